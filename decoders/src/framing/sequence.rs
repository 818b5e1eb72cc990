//! Sequence numbers of one session on one flow: what is missing, what came
//! again, what came late.
//!
//! ```text
//! seen 1 2 3     7 8        expected 9, missing 4..7
//! then 5: late, fills a hole        then 2: came again
//! then 1 2 3 with other bytes: the numbers began anew
//! ```
//!
//! Venues that say so when numbers start anew have [`Tracker::restart`]. Others just
//! do it, or their numbers have no more bits: number 1 with other bytes than it had,
//! far behind, is a start; so is any run of numbers far behind that go on from
//! each other while none goes on from what was there.

use crate::kind::flags;

/// Most holes remembered; the oldest are forgotten first and stay missing.
pub const HOLES_MAX: usize = 1024;

/// Packets remembered to tell a second copy from a retransmission.
pub const RECENT_PACKETS: usize = 256;

/// A number further ahead than this is not believed unless the next packet
/// goes on from it.
pub const JUMP_MAX: u64 = 1 << 31;

/// So many packets that go on from each other far behind are a new start, where
/// its first number was not seen.
pub const BEGUN_AGAIN: u32 = 16;

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
    /// The bytes that number 1 had.
    one: Option<u64>,
    /// What goes on from the last packet far behind, and how many did so.
    back: (u64, u32),
    /// What came next before numbers began anew: if it comes after all, they did not.
    resumes: Option<u64>,
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
            Some(expected) if seq == expected => {
                self.back = (0, 0);
                Placed { gap_before: Some(0), flags: 0 }
            }
            Some(expected) if seq < expected => {
                if self.begins_anew(seq, count, print, expected) {
                    let (gaps, missing) = (self.gaps, self.missing);
                    let resumes = Some(expected);
                    *self = Self { gaps, missing, resumes, ..Self::default() };
                    return self.ahead(seq, count, print);
                }
                self.behind(seq, count, print)
            }
            Some(_) if self.resumes == Some(seq) => {
                self.resumes = None;
                Placed { gap_before: Some(0), flags: 0 }
            }
            _ => return self.ahead(seq, count, print),
        };
        self.remember(seq, print);
        self.expect(seq.saturating_add(count));
        placed
    }

    /// Whether a packet far behind shows that numbers began anew.
    fn begins_anew(&mut self, seq: u64, count: u64, print: u64, expected: u64) -> bool {
        if expected - seq <= RECENT_PACKETS as u64 || self.is_missing(seq) {
            return false;
        }
        if seq == 1 && self.one.is_none_or(|one| one != print) {
            return true;
        }
        let (next, run) = self.back;
        let run = if seq == next { run.saturating_add(1) } else { 1 };
        self.back = (seq.saturating_add(count), run);
        run >= BEGUN_AGAIN
    }

    fn is_missing(&self, seq: u64) -> bool {
        self.holes.iter().any(|&(start, end)| start <= seq && seq < end)
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
        self.back = (0, 0);
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
        if seq == 1 {
            self.one = Some(print);
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

    /// A tracker that has seen 1 to 1,000, each with its number as its bytes.
    fn long() -> Tracker {
        let mut tracker = Tracker::new();
        for seq in 1..=1_000 {
            tracker.packet(seq, 1, seq);
        }
        tracker
    }

    #[test]
    fn number_one_with_other_bytes_is_a_start() {
        let mut tracker = long();
        assert_eq!(tracker.packet(1, 1, 1), placed(None, flags::RETRANSMIT), "the same bytes");
        assert_eq!(tracker.packet(1_001, 1, 9), placed(Some(0), 0));
        assert_eq!(tracker.packet(1, 1, 77), placed(None, 0));
        assert_eq!(tracker.packet(2, 1, 78), placed(Some(0), 0));
        assert_eq!(tracker.packet(1, 1, 77), placed(None, flags::DUPLICATE));
        assert_eq!(tracker.packet(5, 1, 79), placed(Some(2), 0));
        assert_eq!((tracker.gaps, tracker.missing), (1, 2));
    }

    #[test]
    fn a_start_whose_first_packets_are_lost_shows_after_a_while() {
        let mut tracker = long();
        let flags: Vec<u32> =
            (3..40).map(|seq| tracker.packet(seq, 1, 5_000 + seq).flags).collect();
        let before = BEGUN_AGAIN as usize - 1;
        assert!(flags[..before].iter().all(|&flags| flags == flags::RETRANSMIT));
        assert!(flags[before..].iter().all(|&flags| flags == 0));
    }

    #[test]
    fn a_long_replay_is_no_start_where_numbers_then_go_on() {
        let mut tracker = long();
        for seq in 3..40 {
            tracker.packet(seq, 1, seq);
        }
        assert_eq!(tracker.packet(1_001, 1, 0), placed(Some(0), 0));
        assert_eq!(tracker.packet(1_002, 1, 0), placed(Some(0), 0));
        assert_eq!((tracker.gaps, tracker.missing), (0, 0));
    }

    #[test]
    fn what_is_sent_again_between_new_numbers_is_no_start() {
        let mut tracker = long();
        for seq in 3..200 {
            assert_eq!(tracker.packet(seq, 1, seq).flags, flags::RETRANSMIT);
            assert_eq!(tracker.packet(998 + seq, 1, 0), placed(Some(0), 0));
        }
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
