//! Lists of tagged elements at the end of a message.
//!
//! ```text
//! | length | tag | value .......... | length | tag | value | …
//!            [------ length -------]
//! ```

use crate::fixed::bytes::Window;
use crate::fixed::program::{FieldDef, Op};

/// How the elements of a list are cut and what each tag means.
#[derive(Debug)]
pub struct TlvSpec {
    /// The list's name in the file.
    pub name: String,
    /// Bytes of an element's length, 1 or 2.
    pub length_width: u32,
    /// Bytes of its tag, 1 or 2.
    pub tag_width: u32,
    /// Byte order of both.
    pub little: bool,
    /// Bytes of an element that its length does not count.
    pub uncounted: usize,
    /// By tag, sorted.
    pub elements: Vec<(u64, ElementSpec)>,
}

/// What a tag means.
#[derive(Debug)]
pub struct ElementSpec {
    /// Its number among the protocol's parts.
    pub part: u32,
    /// The fields of the value; offsets count from its first byte.
    pub fields: Vec<FieldDef>,
    /// Where they go.
    pub ops: Vec<Op>,
    /// Bytes of the value.
    pub size: u32,
}

/// An element found in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Offset in the list.
    pub at: usize,
    /// Its tag.
    pub tag: u64,
    /// Its value.
    pub value: &'a [u8],
}

/// Walks a list; ends at its end or before the first element that does not fit.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    list: &'a [u8],
    at: usize,
    length: Window,
    tag: Window,
    uncounted: usize,
}

impl TlvSpec {
    /// The elements of a list. `None` only for widths no file can have.
    pub fn elements<'a>(&self, list: &'a [u8]) -> Option<Elements<'a>> {
        let length = Window::new(0, self.length_width, self.little)?;
        let tag = Window::new(self.length_width, self.tag_width, self.little)?;
        Some(Elements { list, at: 0, length, tag, uncounted: self.uncounted })
    }

    /// Bytes of an element before its value.
    pub fn head(&self) -> usize {
        (self.length_width + self.tag_width) as usize
    }

    /// What a tag means, where the file says it and the size is right.
    pub fn element(&self, tag: u64, size: usize) -> Option<&ElementSpec> {
        let at = self.elements.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        let (_, spec) = self.elements.get(at)?;
        (spec.size as usize == size).then_some(spec)
    }

    /// Whether whole elements fill a list exactly.
    pub fn tiles(&self, list: &[u8]) -> bool {
        let Some(mut elements) = self.elements(list) else { return false };
        elements.by_ref().for_each(drop);
        elements.at() == list.len()
    }
}

impl Elements<'_> {
    /// Bytes consumed so far.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let rest = self.list.get(self.at..)?;
        let head = self.tag.end() as usize;
        if rest.len() < head {
            return None;
        }
        let counted = self.length.unsigned(rest) as usize;
        let end = self.uncounted.checked_add(counted)?;
        let value = rest.get(head..end)?;
        let element = Element { at: self.at, tag: self.tag.unsigned(rest), value };
        self.at = self.at.checked_add(end)?;
        Some(element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one_byte() -> TlvSpec {
        let elements = Vec::new();
        TlvSpec {
            name: "t".into(),
            length_width: 1,
            tag_width: 1,
            little: false,
            uncounted: 1,
            elements,
        }
    }

    #[test]
    fn elements_are_cut_by_their_lengths() {
        let spec = one_byte();
        let list = [5, 2, b'M', b'L', b'R', b'O', 2, 18, b'0'];
        let found: Vec<_> = spec.elements(&list).unwrap().collect();
        assert_eq!(found[0], Element { at: 0, tag: 2, value: b"MLRO" });
        assert_eq!(found[1], Element { at: 6, tag: 18, value: b"0" });
        assert!(spec.tiles(&list) && spec.tiles(&[]));
        assert!(!spec.tiles(&list[..8]) && !spec.tiles(&[0, 1]) && !spec.tiles(&[1]));
    }

    proptest! {
        #[test]
        fn any_bytes_end(list in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut elements = one_byte().elements(&list).unwrap();
            prop_assert!(elements.by_ref().count() <= list.len() / 2);
            prop_assert!(elements.at() <= list.len());
        }
    }
}
