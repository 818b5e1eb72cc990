//! Which repeating-group entry each field of a message stands in.
//!
//! ```text
//! 268=2   279=0 269=0 270=101.2   279=1 269=1 270=101.3   10=…
//! place ─   0     0      0          1     1      1         ─
//! entries   0: group 268 number 0   1: group 268 number 1
//! ```
//!
//! An entry begins at the tag that came first after the count. A tag that no
//! open level knows stays in the innermost entry: a venue's own fields do not
//! break it. A tag that an outer level knows ends the inner groups. Without a
//! definition of the message nothing is grouped.

use std::collections::HashSet;

use super::dictionary::{Dictionary, Group, Members, MessageDef};
use super::fields::RawField;
use super::values;

/// The place of a field outside every group, and the parent of an outermost
/// entry.
pub const TOP: u32 = u32::MAX;

/// Deepest nesting of groups; the dictionaries' deepest is five.
const DEPTH_MAX: usize = 16;

/// Members of a group whose repetition inside one entry is noticed; the
/// largest group of the dictionaries has fewer.
const SEEN_MAX: usize = 512;

/// One entry of a repeating group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The tag that counts the group's entries.
    pub count_tag: u32,
    /// The entry it stands in, or [`TOP`].
    pub parent: u32,
    /// Its number within its group, from 0.
    pub number: u32,
    /// Index of its first field.
    pub first: u32,
}

/// A count that is not the number of entries found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Index of the field that counts.
    pub field: u32,
    /// What it says; `None` where it is no number.
    pub declared: Option<u64>,
    /// Entries found.
    pub found: u32,
}

/// The entries of one message and the place of each field.
#[derive(Debug, Default)]
pub struct Structure {
    /// For each field the index of its entry, or [`TOP`].
    pub place: Vec<u32>,
    /// Entries in the order of their first field.
    pub entries: Vec<Entry>,
    /// Counts that disagree.
    pub mismatches: Vec<Mismatch>,
    /// Whether a tag is there twice within one entry or outside the groups.
    pub repeated: bool,
    top_seen: HashSet<u32>,
}

/// A group that is open while the fields are walked.
struct Level<'a> {
    group: &'a Group,
    count_field: u32,
    declared: Option<u64>,
    parent: u32,
    entry: u32,
    found: u32,
    /// The tag that begins each entry, once the first has begun.
    delimiter: u32,
    seen: [u64; SEEN_MAX / 64],
}

impl Structure {
    /// Walks the fields of one message; reuses its memory.
    pub fn build(
        &mut self,
        dictionary: &Dictionary,
        message: Option<&MessageDef>,
        msg: &[u8],
        fields: &[RawField],
    ) {
        self.place.clear();
        self.entries.clear();
        self.mismatches.clear();
        self.top_seen.clear();
        self.repeated = false;
        let Some(message) = message else {
            self.place.resize(fields.len(), TOP);
            return;
        };
        let mut levels: Vec<Level> = Vec::new();
        for (index, field) in (0u32..).zip(fields) {
            self.settle(&mut levels, &message.members, field.tag, index);
            let members = levels.last().map_or(&message.members, |level| &level.group.members);
            let group = members.group(field.tag).and_then(|number| dictionary.group(number));
            if let Some(group) = group.filter(|_| levels.len() < DEPTH_MAX) {
                let declared = values::unsigned(field.value(msg));
                levels.push(Level::open(group, index, declared, self.here(&levels)));
            }
        }
        while let Some(level) = levels.pop() {
            self.close(&level);
        }
    }

    /// The entry that is open now.
    fn here(&self, levels: &[Level]) -> u32 {
        levels.last().map_or(TOP, |level| level.entry)
    }

    /// Finds the place of a field, closing the levels it ends.
    fn settle(&mut self, levels: &mut Vec<Level>, top: &Members, tag: u32, index: u32) {
        let target = target(levels, top, tag);
        while levels.len() > target {
            levels.pop().inspect(|level| self.close(level));
        }
        let Some(level) = levels.last_mut() else {
            self.place.push(TOP);
            self.repeated |= tag != 0 && !self.top_seen.insert(tag);
            return;
        };
        if level.begins_entry(tag) {
            level.entry = self.entries.len() as u32;
            self.entries.push(Entry {
                count_tag: level.group.count_tag,
                parent: level.parent,
                number: level.found,
                first: index,
            });
            level.found += 1;
            level.delimiter = tag;
            level.seen = Default::default();
        }
        self.repeated |= level.note(tag);
        self.place.push(level.entry);
    }

    fn close(&mut self, level: &Level) {
        if level.declared != Some(u64::from(level.found)) {
            self.mismatches.push(Mismatch {
                field: level.count_field,
                declared: level.declared,
                found: level.found,
            });
        }
    }
}

/// How many levels stay open for a tag: those up to the innermost that knows
/// it, or all where none does.
fn target(levels: &[Level], top: &Members, tag: u32) -> usize {
    let outer_knows = |depth: usize| {
        levels.iter().take(depth).any(|level| level.group.members.position(tag).is_some())
            || top.position(tag).is_some()
    };
    for (at, level) in levels.iter().enumerate().rev() {
        let mine = level.takes(tag) && !(level.has(tag) && outer_knows(at));
        if mine || (level.may_hold_unknown() && !outer_knows(at)) {
            return at + 1;
        }
    }
    0
}

impl<'a> Level<'a> {
    fn open(group: &'a Group, count_field: u32, declared: Option<u64>, parent: u32) -> Self {
        Self {
            group,
            count_field,
            declared,
            parent,
            entry: parent,
            found: 0,
            delimiter: 0,
            seen: Default::default(),
        }
    }

    /// Whether the tag is a member; none is where the count says there is no
    /// entry.
    fn takes(&self, tag: u32) -> bool {
        self.expects_entries()
            && (tag == self.delimiter || self.group.members.position(tag).is_some())
    }

    fn expects_entries(&self) -> bool {
        self.found > 0 || self.declared != Some(0)
    }

    /// Whether a tag nobody knows stays here: in an open entry, or as the
    /// first of one where a count announced some.
    fn may_hold_unknown(&self) -> bool {
        self.found > 0 || self.declared.is_some_and(|count| count > 0)
    }

    fn begins_entry(&self, tag: u32) -> bool {
        self.found == 0 || tag == self.delimiter
    }

    /// Whether the open entry has the member already. The tag that begins
    /// entries is never in the way of the next one.
    fn has(&self, tag: u32) -> bool {
        tag != self.delimiter && self.bit(tag).is_some_and(|(word, bit)| self.seen[word] & bit != 0)
    }

    /// Notes a member of the open entry; says whether it was there before.
    fn note(&mut self, tag: u32) -> bool {
        let Some((word, bit)) = self.bit(tag) else { return false };
        let before = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        before
    }

    fn bit(&self, tag: u32) -> Option<(usize, u64)> {
        let position = self.group.members.position(tag).filter(|&at| at < SEEN_MAX)?;
        Some((position / 64, 1 << (position % 64)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fix::dictionary::Version;
    use crate::fix::fields::Fields;

    /// Each field as `path:tag`, and whether counts disagree or tags repeat.
    fn places(version: Version, msg_type: &str, text: &str) -> (String, usize, bool) {
        let dictionary = Dictionary::of(version);
        let msg = text.replace('|', "\x01").into_bytes();
        let fields: Vec<RawField> = Fields::new(&msg, dictionary).collect();
        let mut structure = Structure::default();
        structure.build(dictionary, dictionary.message(msg_type.as_bytes()), &msg, &fields);
        let path = |mut at: u32| {
            let mut path = String::new();
            while at != TOP {
                let entry = structure.entries[at as usize];
                path = format!("{}.{}/{path}", entry.count_tag, entry.number);
                at = entry.parent;
            }
            path
        };
        let out: Vec<String> = fields
            .iter()
            .zip(&structure.place)
            .map(|(field, &at)| format!("{}{}", path(at), field.tag))
            .collect();
        (out.join(" "), structure.mismatches.len(), structure.repeated)
    }

    #[test]
    fn entries_begin_at_the_same_tag() {
        let (text, mismatches, repeated) = places(
            Version::Fix44,
            "X",
            "262=r|268=2|279=0|269=0|55=A|270=1|279=1|269=1|270=2|10=0|",
        );
        assert_eq!(
            text,
            "262 268 268.0/279 268.0/269 268.0/55 268.0/270 268.1/279 268.1/269 268.1/270 10"
        );
        assert_eq!((mismatches, repeated), (0, false));
    }

    #[test]
    fn groups_nest() {
        let (text, mismatches, repeated) = places(
            Version::Fix44,
            "D",
            "453=2|448=a|447=D|452=1|802=2|523=x|803=1|523=y|803=2|448=b|452=3|54=1|",
        );
        assert_eq!(
            text,
            "453 453.0/448 453.0/447 453.0/452 453.0/802 453.0/802.0/523 453.0/802.0/803 \
             453.0/802.1/523 453.0/802.1/803 453.1/448 453.1/452 54"
        );
        assert_eq!((mismatches, repeated), (0, false));
    }

    #[test]
    fn unknown_tags_stay_in_their_entry() {
        let (text, mismatches, _) =
            places(Version::Fix44, "X", "268=2|279=0|9001=q|270=1|279=0|9001=r|10=0|");
        assert_eq!(text, "268 268.0/279 268.0/9001 268.0/270 268.1/279 268.1/9001 10");
        assert_eq!(mismatches, 0);
    }

    #[test]
    fn a_wrong_count_loses_no_field() {
        for (count, found) in [("3", 2), ("1", 2), ("x", 2)] {
            let text = format!("268={count}|279=0|270=1|279=0|270=2|10=0|");
            let (places, mismatches, _) = places(Version::Fix44, "X", &text);
            assert_eq!(places, "268 268.0/279 268.0/270 268.1/279 268.1/270 10", "{found}");
            assert_eq!(mismatches, 1, "{count}");
        }
    }

    #[test]
    fn an_empty_group_has_no_entries() {
        let (text, mismatches, repeated) = places(Version::Fix44, "W", "268=0|55=A|10=0|");
        assert_eq!((text.as_str(), mismatches, repeated), ("268 55 10", 0, false));
    }

    #[test]
    fn tags_there_twice_are_noticed() {
        assert!(places(Version::Fix44, "D", "55=A|55=B|").2);
        assert!(places(Version::Fix44, "X", "268=1|279=0|270=1|270=2|").2);
        assert!(!places(Version::Fix44, "D", "453=2|448=a|452=1|448=b|452=1|").2);
    }

    #[test]
    fn an_entry_may_begin_with_another_member_or_the_venues_own_tag() {
        let (text, mismatches, _) =
            places(Version::Fix44, "X", "268=2|269=0|279=0|269=1|279=0|10=0|");
        assert_eq!(text, "268 268.0/269 268.0/279 268.1/269 268.1/279 10");
        assert_eq!(mismatches, 0);
        let (text, _, _) = places(Version::Fix44, "X", "268=2|9001=a|279=0|9001=b|279=0|10=0|");
        assert_eq!(text, "268 268.0/9001 268.0/279 268.1/9001 268.1/279 10");
    }

    #[test]
    fn without_a_definition_everything_is_flat() {
        let (text, mismatches, _) = places(Version::Fix44, "??", "268=2|279=0|279=1|");
        assert_eq!((text.as_str(), mismatches), ("268 279 279", 0));
    }

    proptest! {
        #[test]
        fn every_field_has_a_place_and_parents_come_first(
            tags in prop::collection::vec((prop::sample::select(
                vec![268u32, 279, 269, 453, 448, 802, 523, 55, 10, 9001, 711, 311, 295, 296, 299]), 0u32..4), 0..80),
            msg_type in prop::sample::select(vec!["X", "W", "D", "i", "8", "?"]),
        ) {
            let text: String = tags.iter().map(|(tag, value)| format!("{tag}={value}|")).collect();
            let dictionary = Dictionary::of(Version::Fix50Sp2);
            let msg = text.replace('|', "\x01").into_bytes();
            let fields: Vec<RawField> = Fields::new(&msg, dictionary).collect();
            let mut structure = Structure::default();
            structure.build(dictionary, dictionary.message(msg_type.as_bytes()), &msg, &fields);
            prop_assert_eq!(structure.place.len(), fields.len());
            for (at, entry) in structure.entries.iter().enumerate() {
                prop_assert!(entry.parent == TOP || (entry.parent as usize) < at);
            }
            for &place in &structure.place {
                prop_assert!(place == TOP || (place as usize) < structure.entries.len());
            }
        }
    }
}
