//! Interned text: every protocol id, session, symbol and message type is kept
//! once and stands in the rows as a small number.

use hashbrown::HashMap;

/// Most different texts one decoder keeps. Real feeds have some 100 k symbols;
/// what would go over it becomes null and is counted.
pub const NAMES_MAX: usize = 1 << 20;

/// Longest text kept, in bytes.
pub const NAME_LEN_MAX: usize = 256;

/// A text in [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u32);

/// The texts, numbered from 0 in order of first sight, never removed.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    index: HashMap<Box<[u8]>, Name>,
    refused: u64,
}

impl Names {
    /// No texts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of `bytes`, given anew where they are new. Bytes outside
    /// ASCII are read as Latin-1, so that distinct bytes stay distinct. `None`
    /// where a limit is reached (counted in [`refused`](Self::refused)).
    pub fn intern(&mut self, bytes: &[u8]) -> Option<Name> {
        if let Some(&name) = self.index.get(bytes) {
            return Some(name);
        }
        if self.texts.len() >= NAMES_MAX || bytes.len() > NAME_LEN_MAX {
            self.refused += 1;
            return None;
        }
        let name = Name(self.texts.len() as u32);
        self.texts.push(latin1(bytes).into());
        self.index.insert(bytes.into(), name);
        Some(name)
    }

    /// The text of a name given by this table.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(name.0 as usize).map_or("", |text| text)
    }

    /// All texts, at the index of their number.
    pub fn texts(&self) -> &[Box<str>] {
        &self.texts
    }

    /// How often a text was refused because of a limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Bytes as text, one character a byte where they are not ASCII.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_bytes_same_name() {
        let mut names = Names::new();
        let a = names.intern(b"ALFA").unwrap();
        let b = names.intern(b"BRVO").unwrap();
        assert_ne!(a, b);
        assert_eq!(names.intern(b"ALFA"), Some(a));
        assert_eq!(names.text(b), "BRVO");
    }

    #[test]
    fn too_long_is_refused_and_counted() {
        let mut names = Names::new();
        assert_eq!(names.intern(&[b'x'; NAME_LEN_MAX + 1]), None);
        assert_eq!(names.refused(), 1);
    }
}
