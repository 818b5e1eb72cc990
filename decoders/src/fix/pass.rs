//! One pass over the bytes of a message: its fields, the first one of each tag
//! that fills a column, and whether anything needs a second look.
//!
//! ```text
//! 8=FIX.4.4␁9=201␁35=D␁…     64 bytes at a time: a bit for each ␁
//! └ tag: eight bytes as one number, compared with the last message of as many
//!   fields and the same type; only where it differs, read and looked up
//! ```
//!
//! A message with a length of data is read again by [`Fields`], which cuts by
//! count.

use super::columns::{COUNTS, LENGTH, Slots, TagTable};
use super::dictionary::{Dictionary, Version};
use super::fields::{self, Fields, RawField};
use super::groups::TOP;
use super::user::{Met, UserTags};
use super::{SOH, words};

/// Tags below this are told apart exactly where one comes twice; above, a
/// doubt leads to the slow way, which is exact.
const SEEN_TAGS: usize = 2048;

/// What one pass over a message found; its memory is used again.
#[derive(Debug, Default)]
pub struct Pass {
    /// All fields, in wire order.
    pub fields: Vec<RawField>,
    /// The first field of each tag that fills a column.
    pub slots: Slots,
    /// User tags, as if none stood in an entry.
    pub user: Vec<Met>,
    /// Where values end; more than there are.
    ends: Vec<u32>,
    /// A bit for each tag modulo 64.
    mine: u64,
    shapes: Vec<Shape>,
    /// Whether some field was malformed, or the first three are not 8, 9, 35.
    pub irregular: bool,
    /// Whether groups must be worked out: a tag comes twice, or counts entries
    /// that have tags which fill columns.
    pub structured: bool,
}

/// Shapes of messages remembered.
const SHAPES: usize = 64;

/// Whether all fields are as the standard writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regular {
    Yes,
    No,
}

/// The tags of a message in their order, and all that follows from them alone.
/// Sessions repeat few shapes: to see that a field has the tag it had last time
/// is a comparison.
#[derive(Debug, Default)]
struct Shape {
    /// `None` where the shape fits no further message.
    version: Option<Version>,
    parts: Vec<Part>,
    slots: Slots,
    mine: u64,
    structured: bool,
    has_length: bool,
}

/// A field's tag with its `=`, as the number its bytes make.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    bytes: u64,
    mask: u64,
    tag: u32,
    /// Bytes before the value.
    len: u32,
}

impl Shape {
    /// Fills in the fields of a message of as many fields; `None` where their
    /// tags are others.
    #[inline]
    fn fits(&self, msg: &[u8], ends: &[u32], fields: &mut [RawField]) -> Option<Regular> {
        let (mut start, mut differs, mut empty) = (0u32, 0, false);
        for ((part, &end), field) in self.parts.iter().zip(ends).zip(fields) {
            let value = start.wrapping_add(part.len);
            differs |= (words::eight_at(msg, start as usize) & part.mask) ^ part.bytes;
            empty |= end == value;
            *field = RawField { tag: part.tag, start, value, end };
            start = end.wrapping_add(1);
        }
        (differs == 0).then_some(if empty { Regular::No } else { Regular::Yes })
    }

    /// Reads the fields and remembers their tags.
    fn learn(
        &mut self,
        msg: &[u8],
        ends: &[u32],
        fields: &mut [RawField],
        version: Version,
        tags: &TagTable,
    ) -> Regular {
        let (mut seen, mut slots) = (Seen::default(), Slots::default());
        let (mut start, mut bits, mut again, mut mine) = (0usize, 0, 0, 0);
        let (mut empty, mut odd) = (false, false);
        self.parts.clear();
        for ((index, &end), field) in ends.iter().enumerate().zip(fields) {
            let (tag, digits, word) = tag_of(msg, start);
            let byte = tags.byte(tag);
            let len = (digits + usize::from(digits > 0)) as u32;
            let value = (start as u32).wrapping_add(len);
            *field = RawField { tag, start: start as u32, value, end };
            bits |= byte;
            empty |= end == value;
            odd |= (tag == 0) | (word as u8 == b'0') | (len > 8);
            let mask = u64::MAX >> (64u32.saturating_sub(8 * len)).min(63);
            self.parts.push(Part { bytes: word & mask, mask, tag, len });
            again |= seen.again(tag);
            mine |= 1u64 << (tag % 64);
            slots.note_byte(byte, index as u32);
            start = end as usize + 1;
        }
        self.version = (!odd).then_some(version);
        self.slots = slots;
        self.mine = mine;
        self.structured = again != 0 || bits & COUNTS != 0;
        self.has_length = bits & LENGTH != 0;
        if odd || empty { Regular::No } else { Regular::Yes }
    }
}

/// Which tags were there.
struct Seen([u64; SEEN_TAGS / 64]);

impl Default for Seen {
    fn default() -> Self {
        Self([0; SEEN_TAGS / 64])
    }
}

impl Seen {
    /// Notes a tag; not 0 where it, or one that shares its bit, was there.
    #[inline(always)]
    fn again(&mut self, tag: u32) -> u64 {
        let word = &mut self.0[tag as usize / 64 % (SEEN_TAGS / 64)];
        let bit = 1 << (tag % 64);
        let again = *word & bit;
        *word |= bit;
        again
    }
}

/// The tag of the field that begins at `start`, its digits, and the eight bytes
/// there; 0 and 0 where there is none.
#[inline(always)]
fn tag_of(msg: &[u8], start: usize) -> (u32, usize, u64) {
    let word = words::eight_at(msg, start);
    let found = words::tag_of(word).filter(|&(tag, _)| tag != 0);
    let found = found.or_else(|| fields::tag(msg.get(start..).unwrap_or_default()));
    let (tag, digits) = found.unwrap_or((0, 0));
    (tag, digits, word)
}

impl Pass {
    /// Reads a message.
    pub fn read(&mut self, msg: &[u8], version: Version, tags: &TagTable, user: &UserTags) {
        if !self.read_plain(msg, version, tags) {
            self.read_data(msg, Dictionary::of(version), tags);
        }
        let first: [u32; 3] = std::array::from_fn(|at| self.fields.get(at).map_or(0, |f| f.tag));
        self.irregular |= first != [8, 9, 35];
        self.user.clear();
        if self.mine & user.bits() != 0 {
            let met = (0u32..).zip(&self.fields);
            let met = met.filter_map(|(at, field)| Some((TOP, user.number(field.tag)?, at)));
            self.user.extend(met);
        }
    }

    /// Reads a message whose values all end at the next SOH; `false` where one
    /// of them says how long another is.
    fn read_plain(&mut self, msg: &[u8], version: Version, tags: &TagTable) -> bool {
        let mut found = words::ends(msg, &mut self.ends);
        let cut = msg.last().is_some_and(|&last| last != SOH);
        if cut {
            self.ends.truncate(found);
            self.ends.push(msg.len() as u32);
            found += 1;
        }
        self.fields.resize(found, RawField::default());
        let ends = self.ends.get(..found).unwrap_or_default();
        // The third field is the message type.
        let code = ends.get(1).and_then(|&end| msg.get(end as usize + 4)).copied().unwrap_or(0);
        let place = found.wrapping_mul(8).wrapping_add(code.into()) % SHAPES;
        self.shapes.resize_with(SHAPES, Shape::default);
        let Some(shape) = self.shapes.get_mut(place) else { return false };
        let known = shape.version == Some(version) && shape.parts.len() == found;
        let mut read = known.then(|| shape.fits(msg, ends, &mut self.fields)).flatten();
        if read.is_none() {
            read = Some(shape.learn(msg, ends, &mut self.fields, version, tags));
        }
        self.slots = shape.slots;
        self.mine = shape.mine;
        self.irregular = cut || read != Some(Regular::Yes);
        self.structured = shape.structured;
        !shape.has_length
    }

    /// Reads a message with values that are cut by their length.
    #[cold]
    fn read_data(&mut self, msg: &[u8], dictionary: &Dictionary, tags: &TagTable) {
        let mut reader = Fields::new(msg, dictionary);
        self.fields.clear();
        self.fields.extend(reader.by_ref());
        self.irregular = reader.irregular();
        self.slots = Slots::default();
        let mut seen = Seen::default();
        self.structured = false;
        for (index, field) in self.fields.iter().enumerate() {
            let byte = tags.byte(field.tag);
            self.structured |= seen.again(field.tag) != 0 || byte & COUNTS != 0;
            self.slots.note_byte(byte, index as u32);
            self.mine |= 1 << (field.tag % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fix::dictionary::Version;

    proptest! {
        #[test]
        fn a_pass_finds_the_fields_that_cutting_finds(
            parts in prop::collection::vec(prop_oneof![
                "[0-9]{1,5}=[A-Z0-9]{0,9}", "(95|212|1401|10000)=[0-9]{1,2}", "(96|213|1402)=[a-z\u{1}]{0,9}",
                "9[0-9]{3}=x", "[=0-9a]{0,12}"], 0..40), cut in any::<bool>()) {
            let mut msg = parts.join("\u{1}").into_bytes();
            if !cut { msg.push(SOH); }
            let other: Vec<u8> = msg.iter().map(|&b| if b == b'1' { b'2' } else { b }).collect();
            for version in Version::ALL {
                let dictionary = Dictionary::of(version);
                let mut reader = Fields::new(&msg, dictionary);
                let fields: Vec<RawField> = reader.by_ref().collect();
                let mut slots = Slots::default();
                fields.iter().enumerate().for_each(|(at, field)| slots.note(field.tag, at));
                let user = UserTags::trigger(9001);
                let mut pass = Pass::default();
                let mine = fields.iter().filter(|f| f.tag == 9001).count();
                // Once to learn the shape, once to know it, once after another of it.
                for before in [None, Some(&msg), Some(&other)] {
                    if let Some(before) = before {
                        pass.read(before, version, &TagTable::of(version), &user);
                    }
                    pass.read(&msg, version, &TagTable::of(version), &user);
                    prop_assert_eq!(&pass.fields, &fields);
                    prop_assert_eq!(&pass.slots, &slots);
                    prop_assert!(pass.irregular || !reader.irregular());
                    prop_assert_eq!(pass.user.len(), mine);
                }
            }
        }
    }
}
