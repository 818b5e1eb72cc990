//! Tables that messages teach: locate code to symbol, and the like.
//!
//! ```text
//! scope (session) ─▶ key 0 1 2 3 …        keys below 2^16: an array
//!                    value, value, …      above: a map
//! ```

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

/// Keys below this stand in an array.
const DENSE_KEYS: u64 = 1 << 16;

/// Most values one table keeps over all its scopes (128 MB). What would go
/// over it is refused and counted.
pub const VALUES_MAX: usize = 1 << 24;

/// Most scopes a table keeps.
pub const SCOPES_MAX: usize = 1 << 14;

/// In the place of a value: not learned.
pub const ABSENT: u64 = u64::MAX;

/// Where learned values are looked up.
pub trait Learned {
    /// A value of a table; `None` where it was not learned.
    fn learned(&mut self, table: usize, scope: u32, key: u64, slot: usize) -> Option<u64>;
}

impl Learned for [LearnedTable] {
    #[inline(always)]
    fn learned(&mut self, table: usize, scope: u32, key: u64, slot: usize) -> Option<u64> {
        let value = self.get_mut(table)?.reader(scope).get(key, slot);
        (value != ABSENT).then_some(value)
    }
}

/// One table of a protocol, for every scope.
#[derive(Debug)]
pub struct LearnedTable {
    width: usize,
    index: HashMap<u32, usize>,
    scopes: Vec<Scope>,
    last: (u32, usize),
    kept: usize,
    refused: u64,
    doubts: HashSet<(u32, u64)>,
}

#[derive(Debug, Default)]
struct Scope {
    /// A bit for every key of the array that has a value: what is asked for
    /// every message stays in the first-level cache.
    known: Vec<u64>,
    dense: Vec<u64>,
    sparse: HashMap<u64, Box<[u64]>>,
}

impl LearnedTable {
    /// An empty table of `width` values a key.
    pub fn new(width: usize) -> Self {
        let (index, scopes) = (HashMap::new(), Vec::new());
        let (last, doubts) = ((0, usize::MAX), HashSet::new());
        Self { width, index, scopes, last, kept: 0, refused: 0, doubts }
    }

    /// How often a value was refused because of a limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The values of a scope, to read many of them.
    pub fn reader(&mut self, scope: u32) -> Reader<'_> {
        let found = self.find(scope).and_then(|at| self.scopes.get(at));
        Reader { scope: found, width: self.width }
    }

    /// Whether a key was taught in a scope.
    #[inline(always)]
    pub fn knows(&mut self, scope: u32, key: u64) -> bool {
        let Some(at) = self.find(scope) else { return false };
        let Some(table) = self.scopes.get(at) else { return false };
        if key < DENSE_KEYS {
            let word = table.known.get((key >> 6) as usize).copied().unwrap_or(0);
            return word >> (key & 63) & 1 == 1;
        }
        (0..self.width).any(|slot| table.get(key, slot, self.width) != ABSENT)
    }

    #[inline(always)]
    fn find(&mut self, scope: u32) -> Option<usize> {
        if self.last.0 != scope || self.last.1 == usize::MAX {
            self.last = (scope, *self.index.get(&scope)?);
        }
        Some(self.last.1)
    }

    /// A key's values may be wrong until they are taught again.
    pub fn doubt(&mut self, scope: u32, key: u64) {
        self.doubts.insert((scope, key));
    }

    /// Whether a key's values may be wrong.
    pub fn doubts(&self, scope: u32, key: u64) -> bool {
        !self.doubts.is_empty() && self.doubts.contains(&(scope, key))
    }

    /// Whether any value may be wrong.
    pub fn may_doubt(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Teaches a value. [`ABSENT`] can't be taught.
    pub fn set(&mut self, scope: u32, key: u64, slot: usize, value: u64) {
        if !self.doubts.is_empty() {
            self.doubts.remove(&(scope, key));
        }
        let room = VALUES_MAX.saturating_sub(self.kept);
        let Some(at) = self.find_or_add(scope) else {
            self.refused = self.refused.saturating_add(1);
            return;
        };
        let Some(table) = self.scopes.get_mut(at) else { return };
        match table.set(key, slot, value, self.width, room) {
            Some(grown) => self.kept = self.kept.saturating_add(grown),
            None => self.refused = self.refused.saturating_add(1),
        }
    }

    fn find_or_add(&mut self, scope: u32) -> Option<usize> {
        if let Some(at) = self.find(scope) {
            return Some(at);
        }
        if self.scopes.len() >= SCOPES_MAX {
            return None;
        }
        let at = self.scopes.len();
        self.scopes.push(Scope::default());
        self.index.insert(scope, at);
        Some(at)
    }
}

/// The values of one scope.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    scope: Option<&'a Scope>,
    width: usize,
}

impl Reader<'_> {
    /// A value, or [`ABSENT`].
    #[inline(always)]
    pub fn get(&self, key: u64, slot: usize) -> u64 {
        self.scope.map_or(ABSENT, |scope| scope.get(key, slot, self.width))
    }
}

impl Scope {
    #[inline(always)]
    fn get(&self, key: u64, slot: usize, width: usize) -> u64 {
        if key < DENSE_KEYS {
            let at = (key as usize).wrapping_mul(width).wrapping_add(slot);
            return self.dense.get(at).copied().unwrap_or(ABSENT);
        }
        let values = self.sparse.get(&key);
        values.and_then(|values| values.get(slot)).copied().unwrap_or(ABSENT)
    }

    /// Sets a value and says how many slots that took; `None` where more than
    /// `room` would be needed.
    fn set(
        &mut self,
        key: u64,
        slot: usize,
        value: u64,
        width: usize,
        room: usize,
    ) -> Option<usize> {
        let mut grown = 0;
        let place = if key < DENSE_KEYS {
            let needed = (key as usize + 1).next_power_of_two().checked_mul(width)?;
            if needed > self.dense.len() {
                grown = needed - self.dense.len();
                if grown > room {
                    return None;
                }
                self.dense.resize(needed, ABSENT);
                self.known.resize(needed.div_ceil(64), 0);
            }
            if let Some(word) = self.known.get_mut((key >> 6) as usize) {
                *word |= u64::from(value != ABSENT) << (key & 63);
            }
            self.dense.get_mut((key as usize) * width + slot)
        } else {
            let values = match self.sparse.entry(key) {
                Entry::Occupied(values) => values.into_mut(),
                Entry::Vacant(_) if width > room => return None,
                Entry::Vacant(free) => {
                    grown = width;
                    free.insert(vec![ABSENT; width].into())
                }
            };
            values.get_mut(slot)
        };
        *place? = value;
        Some(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_do_not_mix() {
        let mut table = LearnedTable::new(2);
        table.set(1, 7, 0, 70);
        table.set(2, 7, 1, 71);
        table.set(2, 1 << 40, 0, 99);
        assert_eq!(table.reader(1).get(7, 0), 70);
        assert_eq!(table.reader(1).get(7, 1), ABSENT);
        assert_eq!(table.reader(2).get(7, 0), ABSENT);
        assert_eq!(table.reader(2).get(1 << 40, 0), 99);
        assert_eq!(table.reader(3).get(7, 0), ABSENT);
        assert!(table.knows(2, 7) && !table.knows(2, 8) && !table.knows(9, 7));
    }

    #[test]
    fn too_many_scopes_are_refused_and_counted() {
        let mut table = LearnedTable::new(1);
        for scope in 0..SCOPES_MAX as u32 + 3 {
            table.set(scope, 0, 0, 1);
        }
        assert_eq!(table.refused(), 3);
        assert_eq!(table.reader(0).get(0, 0), 1);
    }
}
