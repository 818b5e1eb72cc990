//! A set of protocols by their numbers: which ones may be those of some bytes.
//!
//! ```text
//! number  0 1 2 3 … 63 │ 64 … 127 │ … │ 448 … 511
//! word         0       │    1     │ … │     7        a bit a protocol
//! ```

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// Most protocols of fixed layout and SBE at once: the shipped ones and your
/// own.
pub const PROTOCOLS_MAX: usize = 64 * WORDS;

const WORDS: usize = 8;

/// Protocols with numbers below [`PROTOCOLS_MAX`]; others are in no set.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ProtocolSet([u64; WORDS]);

impl ProtocolSet {
    /// No protocol.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Every protocol.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// One protocol.
    pub fn one(protocol: u16) -> Self {
        std::iter::once(protocol).collect()
    }

    /// Adds a protocol.
    pub fn insert(&mut self, protocol: u16) {
        if let Some(word) = self.0.get_mut(usize::from(protocol) / 64) {
            *word |= 1 << (protocol % 64);
        }
    }

    /// Whether a protocol is among them.
    #[inline]
    pub fn contains(&self, protocol: u16) -> bool {
        self.0.get(usize::from(protocol) / 64).is_some_and(|word| word >> (protocol % 64) & 1 == 1)
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Whether there is one and no other.
    pub fn is_single(&self) -> bool {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() == 1
    }

    /// The one with the lowest number.
    pub fn first(&self) -> Option<u16> {
        self.iter().next()
    }

    /// Their numbers, lowest first; as many steps as there are protocols.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        (0..).step_by(64).zip(self.0).flat_map(|(base, word)| {
            let rest = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
            let rest = rest.take_while(|word| *word != 0);
            rest.map(move |word| base + word.trailing_zeros() as u16)
        })
    }
}

impl FromIterator<u16> for ProtocolSet {
    fn from_iter<I: IntoIterator<Item = u16>>(protocols: I) -> Self {
        let mut set = Self::EMPTY;
        protocols.into_iter().for_each(|protocol| set.insert(protocol));
        set
    }
}

impl BitAnd for ProtocolSet {
    type Output = Self;

    fn bitand(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }
}

impl BitOr for ProtocolSet {
    type Output = Self;

    fn bitor(mut self, other: Self) -> Self {
        self |= other;
        self
    }
}

impl BitOrAssign for ProtocolSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }
}

impl fmt::Debug for ProtocolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(
            some in prop::collection::btree_set(0u16..PROTOCOLS_MAX as u16, 0..20),
            others in prop::collection::btree_set(0u16..PROTOCOLS_MAX as u16, 0..20),
        ) {
            let set: ProtocolSet = some.iter().copied().collect();
            let other: ProtocolSet = others.iter().copied().collect();
            let numbers = |set: ProtocolSet| set.iter().collect::<BTreeSet<u16>>();
            prop_assert_eq!(numbers(set & other), &some & &others);
            prop_assert_eq!(numbers(set | other), &some | &others);
            prop_assert!(set.iter().is_sorted() && some.iter().all(|at| set.contains(*at)));
            prop_assert_eq!(set.first(), some.first().copied());
            prop_assert_eq!((set.is_empty(), set.is_single()), (some.is_empty(), some.len() == 1));
        }
    }

    #[test]
    fn numbers_past_the_limit_are_in_no_set() {
        let past = ProtocolSet::one(PROTOCOLS_MAX as u16);
        assert!(past.is_empty() && !ProtocolSet::ALL.contains(PROTOCOLS_MAX as u16));
        assert!(ProtocolSet::ALL.contains(PROTOCOLS_MAX as u16 - 1));
    }
}
