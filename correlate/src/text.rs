//! Interned text: what repeats in observations stands there as a small number.
//!
//! ```text
//! names   0 absent | 1 "nasdaq.ouch.5.0" | 2 "ALFA" | 3 "STRAT1>GW" | ...    for good
//! ids     "ORD-000017" | (free) | "E9001" | ...       as long as an order is open
//! ```
//!
//! Names of protocols, sessions and symbols are few. Ids of orders and
//! executions are new with every order, so that a day has millions of them:
//! those that nothing holds any more are forgotten now and then, and their
//! numbers given anew.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most different names one run keeps, and most ids at once, about 100 bytes
/// each. What would go over it becomes absent and is counted.
pub const TEXTS_MAX: usize = 1 << 22;

/// Ids are not looked through for those that nothing holds before there are so many.
const SWEEP_MIN: usize = 1 << 16;

/// Marks the numbers of ids.
const ID: u32 = 1 << 31;

/// A text in [`Texts`]; the default is "absent".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
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

    /// Whether it is of an id, which may be forgotten.
    pub const fn is_id(self) -> bool {
        self.0 & ID != 0
    }

    /// The number, 0 for absent.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Texts with their numbers.
#[derive(Clone, Debug, Default)]
struct Pool {
    texts: Vec<Option<Arc<str>>>,
    index: HashMap<Arc<str>, u32>,
    /// Places of texts that were forgotten.
    free: Vec<u32>,
}

impl Pool {
    fn intern(&mut self, text: &str) -> Option<u32> {
        if let Some(&place) = self.index.get(text) {
            return Some(place);
        }
        if self.index.len() >= TEXTS_MAX {
            return None;
        }
        let shared: Arc<str> = Arc::from(text);
        let place = self.free.pop().unwrap_or(self.texts.len() as u32);
        match self.texts.get_mut(place as usize) {
            Some(free) => *free = Some(shared.clone()),
            None => self.texts.push(Some(shared.clone())),
        }
        self.index.insert(shared, place);
        Some(place)
    }

    fn text(&self, place: u32) -> Option<&Arc<str>> {
        self.texts.get(place as usize)?.as_ref()
    }

    fn keep(&mut self, held: &[bool]) {
        for (place, text) in self.texts.iter_mut().enumerate() {
            let is_held = held.get(place).copied().unwrap_or(false);
            if let Some(gone) = text.take_if(|_| !is_held) {
                self.index.remove(&gone);
                self.free.push(place as u32);
            }
        }
    }
}

/// The texts: names, numbered in order of first sight and never removed, and ids.
#[derive(Clone, Debug)]
pub struct Texts {
    names: Pool,
    ids: Pool,
    /// Ids are swept when there are so many.
    sweep_at: usize,
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
        let mut names = Pool::default();
        names.texts.push(None);
        Self {
            names,
            ids: Pool::default(),
            sweep_at: SWEEP_MIN,
            conversations: HashMap::new(),
            refused: 0,
        }
    }

    /// The number of a name; absent for the empty text and beyond [`TEXTS_MAX`].
    pub fn intern(&mut self, text: &str) -> TextId {
        if text.is_empty() {
            return TextId::NONE;
        }
        let place = self.names.intern(text);
        self.refused += u64::from(place.is_none());
        TextId(place.unwrap_or(0))
    }

    /// The number of an order's or an execution's id; absent as for names.
    pub fn intern_id(&mut self, text: &str) -> TextId {
        if text.is_empty() {
            return TextId::NONE;
        }
        let place = self.ids.intern(text);
        self.refused += u64::from(place.is_none());
        TextId(place.map_or(0, |place| place | ID))
    }

    /// The text; empty where absent.
    pub fn text(&self, id: TextId) -> &str {
        self.found(id).map_or("", |text| text)
    }

    /// The text, shared; `None` where absent.
    pub fn shared(&self, id: TextId) -> Option<Arc<str>> {
        self.found(id).cloned()
    }

    fn found(&self, id: TextId) -> Option<&Arc<str>> {
        let pool = if id.is_id() { &self.ids } else { &self.names };
        pool.text(id.0 & !ID)
    }

    /// How often a text was refused because of [`TEXTS_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether there are so many ids that it is time to [`sweep`](Self::sweep).
    pub fn is_full_of_ids(&self) -> bool {
        self.ids.index.len() >= self.sweep_at
    }

    /// Forgets all ids but those that `held` gives to its argument.
    pub fn sweep(&mut self, held: impl FnOnce(&mut dyn FnMut(TextId))) {
        let mut marks = vec![false; self.ids.texts.len()];
        held(&mut |id: TextId| {
            if id.is_id()
                && let Some(mark) = marks.get_mut((id.0 & !ID) as usize)
            {
                *mark = true;
            }
        });
        self.ids.keep(&marks);
        // Twice as many as are held: what a sweep costs is spread over as many new ones.
        self.sweep_at = self.ids.index.len().saturating_mul(2).max(SWEEP_MIN);
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

    #[test]
    fn ids_that_nothing_holds_are_forgotten() {
        let mut texts = Texts::new();
        let name = texts.intern("ALFA");
        let (gone, held) = (texts.intern_id("1"), texts.intern_id("2"));
        texts.sweep(|hold| hold(held));
        assert_eq!((texts.text(name), texts.text(held), texts.text(gone)), ("ALFA", "2", ""));
        assert_eq!(texts.intern_id("2"), held);
        assert_eq!(texts.intern_id("3"), gone, "its number is given anew");
        assert_ne!(texts.intern_id("1"), gone);
    }

    #[test]
    fn sweeps_become_rarer_where_much_is_held() {
        let mut texts = Texts::new();
        let held: Vec<TextId> = (0..SWEEP_MIN).map(|n| texts.intern_id(&n.to_string())).collect();
        assert!(texts.is_full_of_ids());
        texts.sweep(|hold| held.iter().for_each(|&id| hold(id)));
        assert!(!texts.is_full_of_ids());
        assert_eq!(texts.text(held[7]), "7");
    }
}
