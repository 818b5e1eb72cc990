//! A set of byte ranges of a stream.

use std::collections::BTreeMap;

/// Half-open ranges `start..end` that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `start..end`.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut low, mut high) = (start, end);
        let touching: Vec<u64> = self
            .0
            .range(..=end)
            .rev()
            .take_while(|(_, range_end)| **range_end >= start)
            .map(|(range_start, _)| *range_start)
            .collect();
        for key in touching {
            if let Some(range_end) = self.0.remove(&key) {
                low = low.min(key);
                high = high.max(range_end);
            }
        }
        self.0.insert(low, high);
    }

    /// End of the range that starts at 0, or 0.
    pub fn prefix(&self) -> u64 {
        self.0.get(&0).copied().unwrap_or(0)
    }

    /// Whether all of `start..end` is in the set.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        self.0.range(..=start).next_back().is_some_and(|(_, range_end)| *range_end >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn merges_what_touches() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        assert_eq!(ranges.prefix(), 0);
        ranges.insert(0, 10);
        assert_eq!(ranges.prefix(), 20);
        assert!(ranges.covers(5, 20) && !ranges.covers(5, 21));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_bytes(inserts in prop::collection::vec((0u64..60, 0u64..20), 0..20)) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 100];
            for (start, len) in inserts {
                ranges.insert(start, start + len);
                bytes[start as usize..(start + len) as usize].fill(true);
            }
            let prefix = bytes.iter().take_while(|&&b| b).count() as u64;
            prop_assert_eq!(ranges.prefix(), prefix);
            for at in 0..99u64 {
                prop_assert_eq!(ranges.covers(at, at + 1), bytes[at as usize]);
            }
        }
    }
}
