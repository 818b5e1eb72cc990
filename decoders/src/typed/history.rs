//! What messages taught, and when: asked for any message in any order.
//!
//! ```text
//! (table, scope, key, slot) ─► (packet 3, message 0): 4   (packet 90, message 2): 2   …
//! ```

use crate::fixed::learned::Learned;
use std::collections::HashMap;

/// Most values a history keeps; with more, older ones than those are not
/// known.
pub const VALUES_MAX: usize = 1 << 24;

/// A place in a capture: packet, and message in it.
pub type Position = (u32, u16);

/// Where a value stands: table, scope, key, slot.
pub type Place = (usize, u32, u64, usize);

/// What one protocol's messages of one capture taught.
#[derive(Debug, Default)]
pub struct History {
    values: HashMap<Place, Vec<(Option<Position>, u64)>>,
    kept: usize,
    refused: u64,
}

impl History {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A message at `at` taught a value; `None` is before the first message.
    pub fn teach(&mut self, place: Place, at: Option<Position>, value: u64) {
        if self.kept >= VALUES_MAX {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        self.kept += 1;
        let values = self.values.entry(place).or_default();
        let after = values.partition_point(|(before, _)| *before <= at);
        values.insert(after, (at, value));
    }

    /// Values that were not kept because of the limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What was known before the message at `at`.
    pub fn before(&self, at: Position) -> Before<'_> {
        Before { history: self, at }
    }
}

/// What was known before a message.
#[derive(Clone, Copy, Debug)]
pub struct Before<'h> {
    history: &'h History,
    at: Position,
}

impl Learned for Before<'_> {
    fn learned(&mut self, table: usize, scope: u32, key: u64, slot: usize) -> Option<u64> {
        let values = self.history.values.get(&(table, scope, key, slot))?;
        let known = values.partition_point(|(taught, _)| *taught < Some(self.at));
        values.get(known.checked_sub(1)?).map(|(_, value)| *value)
    }
}
