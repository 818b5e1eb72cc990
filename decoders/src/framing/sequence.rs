//! Sequence numbers of one session on one flow: what is missing, what came
//! again, what came late.
//!
//! ```text
//! seen 1 2 3     7 8        expected 9, missing 4..7
//! then 5: late, fills a hole        then 2: came again
//! ```

use crate::kind::flags;

/// Most holes remembered; the oldest are forgotten first and stay missing.
pub const HOLES_MAX: usize = 1024;

/// Packets remembered to tell a second copy from a retransmission.
pub const RECENT_PACKETS: usize = 256;

/// A number further ahead than this is not believed unless the next packet
/// goes on from it.
pub const JUMP_MAX: u64 = 1 << 31;

/// Where a packet stands in the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Numbers missing just before it; `None` is unknown.
    pub gap_before: Option<u32>,
    /// Bits of [`crate::kind::flags`].
    pub flags: u32,
}

/// The numbers of one session on one flow.
#[derive(Debug, Default)]
pub struct Tracker {
    expected: Option<u64>,
    first: u64,
    stray: Option<u64>,
    holes: Vec<(u64, u64)>,
    recent: Vec<(u64, u64)>,
    /// Holes seen so far.
    pub gaps: u64,
    /// Numbers missing and not seen since.
    pub missing: u64,
}

impl Tracker {
    /// Nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number that comes next, where any was seen.
    pub fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Takes in a packet with the numbers `seq..seq + count` and the
    /// fingerprint `print` of its bytes.
    #[inline]
    pub fn packet(&mut self, seq: u64, count: u64, print: u64) -> Placed {
        let placed = match self.expected {
            Some(expected) if seq == expected => Placed { gap_before: Some(0), flags: 0 },
            Some(expected) if seq < expected => self.behind(seq, count, print),
            _ => return self.ahead(seq, count, print),
        };
        self.remember(seq, print);
        self.expect(seq.saturating_add(count));
        placed
    }

    /// Takes in a heartbeat: `seq` is the number that comes next.
    pub fn heartbeat(&mut self, seq: u64) -> Placed {
        match self.expected {
            Some(expected) if seq <= expected => Placed { gap_before: Some(0), flags: 0 },
            _ => self.ahead(seq, 0, 0),
        }
    }

    /// Takes in numbers that the venue sent again: they fill holes and show
    /// none.
    pub fn again(&mut self, seq: u64, count: u64) -> Placed {
        self.fill(seq, seq.saturating_add(count));
        Placed { gap_before: None, flags: flags::RETRANSMIT }
    }

    /// Numbers start anew, with `seq` where it is one. A second copy of what
    /// said so changes nothing. What was counted stays.
    pub fn restart(&mut self, seq: u64, print: u64) {
        let copy = self.recent.get(slot(seq)) == Some(&(seq, print));
        if self.expected == Some(seq) || copy {
            return;
        }
        let (gaps, missing) = (self.gaps, self.missing);
        *self = Self { gaps, missing, ..Self::default() };
    }

    #[inline]
    fn expect(&mut self, next: u64) {
        self.expected = Some(self.expected.map_or(next, |expected| expected.max(next)));
    }

    fn ahead(&mut self, seq: u64, count: u64, print: u64) -> Placed {
        let next = seq.saturating_add(count);
        let Some(expected) = self.expected else {
            self.first = seq;
            self.remember(seq, print);
            self.expect(next);
            return Placed { gap_before: None, flags: 0 };
        };
        let missing = seq - expected;
        if missing > JUMP_MAX && self.stray.replace(next) != Some(seq) {
            return Placed { gap_before: None, flags: flags::IRREGULAR };
        }
        self.gaps += 1;
        self.missing = self.missing.saturating_add(missing);
        if self.holes.len() == HOLES_MAX {
            self.holes.remove(0);
        }
        self.holes.push((expected, seq));
        self.remember(seq, print);
        self.expect(next);
        Placed { gap_before: Some(u32::try_from(missing).unwrap_or(u32::MAX)), flags: 0 }
    }

    /// A number below the expected one: a second copy, late, or again.
    fn behind(&mut self, seq: u64, count: u64, print: u64) -> Placed {
        let flags = if self.recent.get(slot(seq)) == Some(&(seq, print)) {
            flags::DUPLICATE
        } else if seq < self.first {
            self.first = seq;
            0
        } else if self.fill(seq, seq.saturating_add(count)) {
            0
        } else {
            flags::RETRANSMIT
        };
        Placed { gap_before: None, flags }
    }

    /// Takes `from..to` out of the holes; says whether any of it was missing.
    fn fill(&mut self, from: u64, to: u64) -> bool {
        let mut filled = 0;
        let mut left = Vec::with_capacity(self.holes.len() + 1);
        for &(start, end) in &self.holes {
            let (cut_from, cut_to) = (from.clamp(start, end), to.clamp(start, end));
            filled += cut_to - cut_from;
            left.extend([(start, cut_from), (cut_to, end)].into_iter().filter(|(a, b)| a < b));
        }
        if filled > 0 {
            self.holes = left;
            self.missing = self.missing.saturating_sub(filled);
        }
        filled > 0
    }

    #[inline]
    fn remember(&mut self, seq: u64, print: u64) {
        if self.recent.is_empty() {
            self.recent.resize(RECENT_PACKETS, (u64::MAX, 0));
        }
        if let Some(kept) = self.recent.get_mut(slot(seq)) {
            *kept = (seq, print);
        }
    }
}

#[inline]
fn slot(seq: u64) -> usize {
    (seq % RECENT_PACKETS as u64) as usize
}

/// A number that differs, in practice, where the bytes differ.
#[inline]
pub fn fingerprint(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let wide = u128::from(hash ^ word) * 0x9E37_79B9_7F4A_7C15_u128;
        (wide as u64) ^ ((wide >> 64) as u64)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |h, word| mix(h, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |h, &byte| mix(h, u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn placed(gap_before: Option<u32>, flags: u32) -> Placed {
        Placed { gap_before, flags }
    }

    #[test]
    fn gaps_late_packets_and_repeats() {
        let mut tracker = Tracker::new();
        assert_eq!(tracker.packet(10, 2, 1), placed(None, 0));
        assert_eq!(tracker.packet(12, 1, 2), placed(Some(0), 0));
        assert_eq!(tracker.packet(16, 1, 3), placed(Some(3), 0));
        assert_eq!((tracker.gaps, tracker.missing), (1, 3));
        assert_eq!(tracker.packet(14, 1, 4), placed(None, 0));
        assert_eq!(tracker.missing, 2);
        assert_eq!(tracker.packet(14, 1, 4), placed(None, flags::DUPLICATE));
        assert_eq!(tracker.packet(10, 3, 9), placed(None, flags::RETRANSMIT));
        assert_eq!(tracker.packet(17, 1, 5), placed(Some(0), 0));
    }

    #[test]
    fn a_heartbeat_shows_a_gap_and_takes_no_number() {
        let mut tracker = Tracker::new();
        tracker.packet(1, 1, 0);
        assert_eq!(tracker.heartbeat(2), placed(Some(0), 0));
        assert_eq!(tracker.heartbeat(5), placed(Some(3), 0));
        assert_eq!(tracker.packet(5, 1, 0), placed(Some(0), 0));
    }

    #[test]
    fn a_wild_number_is_not_believed_at_once() {
        let mut tracker = Tracker::new();
        tracker.packet(1, 1, 0);
        assert_eq!(tracker.packet(1 << 60, 1, 0), placed(None, flags::IRREGULAR));
        assert_eq!(tracker.packet(2, 1, 0), placed(Some(0), 0));
        tracker.packet(1 << 61, 1, 0);
        assert_eq!(tracker.packet((1 << 61) + 1, 1, 0).gap_before, Some(u32::MAX));
        assert_eq!(tracker.packet((1 << 61) + 2, 1, 0), placed(Some(0), 0));
    }

    proptest! {
        /// What is missing at the end is what was never seen, whatever the order.
        #[test]
        fn missing_is_what_was_not_seen(order in prop::collection::vec(0u64..60, 1..100)) {
            let mut tracker = Tracker::new();
            for &seq in &order {
                tracker.packet(seq, 1, seq);
            }
            let low = order[0];
            let high = *order.iter().max().unwrap();
            let unseen = (low..high).filter(|seq| !order.contains(seq)).count();
            prop_assert_eq!(tracker.missing, unseen as u64);
        }

        #[test]
        fn any_numbers(packets in prop::collection::vec((any::<u64>(), any::<u16>()), 0..50)) {
            let mut tracker = Tracker::new();
            for (seq, count) in packets {
                tracker.packet(seq, u64::from(count), 0);
                tracker.heartbeat(seq);
            }
        }
    }
}
