//! Interned text: what repeats in observations stands there as a small number.
//!
//! ```text
//! 0 absent | 1 "nasdaq.ouch.5.0" | 2 "ALFA" | 3 "STRAT1>GW" | ...
//! ```

use hashbrown::HashMap;
use std::sync::Arc;

/// Most different texts one run keeps, about 1.5 GB of ids. What would go over
/// it becomes absent and is counted.
pub const TEXTS_MAX: usize = 1 << 24;

/// A text in [`Texts`]; the default is "absent".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(u32);

impl TextId {
    /// No text.
    pub const NONE: Self = Self(0);

    /// Whether there is no text.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The same, where there is a text.
    pub const fn some(self) -> Option<Self> {
        if self.0 == 0 { None } else { Some(self) }
    }

    /// The number, 0 for absent.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// The texts, numbered from 1 in order of first sight, never removed.
#[derive(Clone, Debug)]
pub struct Texts {
    texts: Vec<Arc<str>>,
    index: HashMap<Arc<str>, TextId>,
    conversations: HashMap<TextId, TextId>,
    refused: u64,
}

impl Default for Texts {
    fn default() -> Self {
        Self::new()
    }
}

impl Texts {
    /// No texts yet.
    pub fn new() -> Self {
        Self {
            texts: vec![Arc::from("")],
            index: HashMap::new(),
            conversations: HashMap::new(),
            refused: 0,
        }
    }

    /// The number of `text`; absent for the empty text and beyond [`TEXTS_MAX`].
    pub fn intern(&mut self, text: &str) -> TextId {
        if text.is_empty() {
            return TextId::NONE;
        }
        if let Some(&id) = self.index.get(text) {
            return id;
        }
        if self.texts.len() >= TEXTS_MAX {
            self.refused += 1;
            return TextId::NONE;
        }
        let id = TextId(self.texts.len() as u32);
        let shared: Arc<str> = Arc::from(text);
        self.texts.push(shared.clone());
        self.index.insert(shared, id);
        id
    }

    /// The text; empty where absent.
    pub fn text(&self, id: TextId) -> &str {
        self.texts.get(id.0 as usize).map_or("", |text| text)
    }

    /// The text, shared; `None` where absent.
    pub fn shared(&self, id: TextId) -> Option<Arc<str>> {
        id.some().and_then(|id| self.texts.get(id.0 as usize).cloned())
    }

    /// How often a text was refused because of [`TEXTS_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// One name for both directions of a session: `A>B` and `B>A` are the same
    /// conversation; other session names are conversations as they are.
    pub fn conversation(&mut self, session: TextId) -> TextId {
        if let Some(&found) = self.conversations.get(&session) {
            return found;
        }
        let turned = match self.text(session).split_once('>') {
            Some((from, to)) if from > to => Some(format!("{to}>{from}")),
            _ => None,
        };
        let found = turned.map_or(session, |text| self.intern(&text));
        self.conversations.insert(session, found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_are_one_conversation() {
        let mut texts = Texts::new();
        let (there, back) = (texts.intern("STRAT>GATE"), texts.intern("GATE>STRAT"));
        assert_ne!(there, back);
        assert_eq!(texts.conversation(there), texts.conversation(back));
        let plain = texts.intern("SESSION001");
        assert_eq!(texts.conversation(plain), plain);
    }

    #[test]
    fn empty_is_absent() {
        let mut texts = Texts::new();
        assert!(texts.intern("").is_none());
        assert_eq!(texts.text(TextId::NONE), "");
    }
}
