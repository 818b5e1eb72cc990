//! A message cut into tags and values, without copying.
//!
//! ```text
//! 5 5 = A L F A ␁ 9 5 = 3 ␁ 9 6 = x ␁ y ␁
//! │     │       │             │         │
//! start value   end           a data field is as long as the length field
//!                             before it says, SOHs and all
//! ```

use super::dictionary::Dictionary;
use super::words::{self, SohFinder};
use super::{SOH, values};

/// A field's place in its message. Tag 0 marks bytes that are no field: no
/// `=`, or no number before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawField {
    /// The tag's number.
    pub tag: u32,
    /// First byte of the tag.
    pub start: u32,
    /// First byte of the value.
    pub value: u32,
    /// The byte after the value: its SOH, or the message's end.
    pub end: u32,
}

impl RawField {
    /// The value's bytes.
    #[inline]
    pub fn value<'a>(&self, msg: &'a [u8]) -> &'a [u8] {
        msg.get(self.value as usize..self.end as usize).unwrap_or_default()
    }
}

/// The fields of one message, in wire order.
pub struct Fields<'a> {
    msg: &'a [u8],
    at: usize,
    dictionary: &'a Dictionary,
    /// The data field that a length field announced, [`NO_TAG`] where none is,
    /// and its length.
    announced: (u32, usize),
    ends: SohFinder,
    irregular: bool,
}

/// No field has this tag.
const NO_TAG: u32 = u32::MAX;

/// Most digits of a tag.
const TAG_DIGITS_MAX: usize = 9;

impl<'a> Fields<'a> {
    /// The fields of `msg`; the dictionary knows which fields are data.
    pub fn new(msg: &'a [u8], dictionary: &'a Dictionary) -> Self {
        Self::starting_at(msg, 0, dictionary)
    }

    /// The fields of `msg` from the one that begins at `at` on.
    pub fn starting_at(msg: &'a [u8], at: usize, dictionary: &'a Dictionary) -> Self {
        let mut ends = SohFinder::default();
        ends.seek(msg, at);
        Self { msg, at, dictionary, announced: (NO_TAG, 0), ends, irregular: false }
    }

    /// Whether some field so far was malformed: no tag, a tag with leading
    /// zeros, an empty value, a data field whose length is wrong, no SOH at
    /// the end.
    pub fn irregular(&self) -> bool {
        self.irregular
    }

    #[inline]
    fn value_end(&mut self, tag: u32, value: usize) -> usize {
        if tag == self.announced.0 {
            let end = value.saturating_add(self.announced.1);
            self.announced = (NO_TAG, 0);
            if self.msg.get(end) == Some(&SOH) {
                self.ends.seek(self.msg, end + 1);
                return end;
            }
            self.irregular = true;
        }
        self.ends.next(self.msg).unwrap_or_else(|| {
            self.irregular = true;
            self.msg.len()
        })
    }

    fn announce(&mut self, data_tag: u32, field: &RawField) {
        let text = field.value(self.msg);
        match values::unsigned(text).and_then(|n| usize::try_from(n).ok()) {
            Some(len) => self.announced = (data_tag, len),
            None => self.irregular = true,
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = RawField;

    #[inline]
    fn next(&mut self) -> Option<RawField> {
        let start = self.at;
        let rest = self.msg.get(start..).filter(|rest| !rest.is_empty())?;
        let read = rest.first_chunk().and_then(words::tag).filter(|&(tag, _)| tag != 0);
        let read = read.or_else(|| tag(rest));
        let (tag, digits) = read.unwrap_or((0, 0));
        let value = start.wrapping_add(digits).wrapping_add(usize::from(digits > 0));
        let end = self.value_end(tag, value);
        self.at = end.wrapping_add(1);
        self.irregular |= (tag == 0) | (end == value) | (rest.first() == Some(&b'0'));
        let field = RawField { tag, start: start as u32, value: value as u32, end: end as u32 };
        if let Some(data_tag) = self.dictionary.data_after(tag) {
            self.announce(data_tag, &field);
        }
        Some(field)
    }
}

/// The number before the `=` and its digits, for what [`words::tag`] does not
/// read: long tags, the message's last bytes, and what is no field. Tag 0 is
/// none.
#[cold]
pub(super) fn tag(rest: &[u8]) -> Option<(u32, usize)> {
    let digits = rest.iter().take(TAG_DIGITS_MAX).take_while(|b| b.is_ascii_digit()).count();
    let number = values::unsigned(rest.get(..digits)?).and_then(|n| u32::try_from(n).ok())?;
    (number != 0 && rest.get(digits) == Some(&b'=')).then_some((number, digits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fix::dictionary::{Dictionary, Version};

    fn read(text: &str) -> (Vec<(u32, String)>, bool) {
        let msg = text.replace('|', "\x01").into_bytes();
        let mut fields = Fields::new(&msg, Dictionary::of(Version::Fix50Sp2));
        let mut out = Vec::new();
        for field in fields.by_ref() {
            out.push((field.tag, String::from_utf8_lossy(field.value(&msg)).replace('\x01', "|")));
        }
        (out, fields.irregular())
    }

    #[test]
    fn data_is_cut_by_its_length() {
        let (fields, irregular) = read("95=7|96=a|10=b|c|58=x|");
        assert!(irregular, "7 bytes end before no SOH");
        assert_eq!(fields[1], (96, "a".into()));
        let (fields, irregular) = read("95=8|96=a|10=b|c|58=x|");
        assert!(!irregular);
        assert_eq!(fields[1], (96, "a|10=b|c".into()));
        assert_eq!(fields[2], (58, "x".into()));
    }

    #[test]
    fn a_message_in_a_header_field_stays_one_value() {
        let inner = "8=FIX.4.2|9=5|35=0|10=1|";
        let (fields, irregular) = read(&format!("35=n|212={}|213={inner}|34=2|", inner.len()));
        assert!(!irregular);
        assert_eq!(fields[2], (213, inner.into()));
        assert_eq!(fields[3].0, 34);
    }

    #[test]
    fn what_is_no_field_is_kept_and_flagged() {
        for text in ["55=A|junk|54=1|", "=x|", "055=A|", "55=|", "5 5=A|", "55=A"] {
            let (fields, irregular) = read(text);
            assert!(irregular, "{text}");
            assert!(!fields.is_empty());
        }
        assert_eq!(read("55=A|junk|54=1|").0[1], (0, "junk".into()));
        assert_eq!(read("055=A|").0[0], (55, "A".into()));
    }

    #[test]
    fn a_length_no_memory_could_hold_is_flagged() {
        let (fields, irregular) = read("95=18446744073709551615|96=a|58=b|");
        assert!(irregular);
        assert_eq!(fields.len(), 3);
    }

    proptest! {
        #[test]
        fn fields_tile_any_bytes(msg in prop::collection::vec(
            prop_oneof![Just(SOH), Just(b'='), Just(b'9'), Just(b'5'), Just(b'6'), any::<u8>()], 0..300)) {
            let mut at = 0;
            for field in Fields::new(&msg, Dictionary::of(Version::Fix50Sp2)) {
                prop_assert_eq!(field.start as usize, at);
                prop_assert!(field.value <= field.end && field.start <= field.value);
                at = field.end as usize + 1;
            }
            prop_assert!(at == msg.len() || at == msg.len() + 1);
        }
    }
}
