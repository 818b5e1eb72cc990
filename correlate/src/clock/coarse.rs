//! Clocks that are seconds apart: a machine that counts TAI and says UTC is
//! 37 s ahead, one without a time server anything.
//!
//! ```text
//! P1 (C1)  seq 7 at 10.000 000   seq 8 at 10.000 300 ...   the first messages
//! P2 (C2)  seq 7 at 47.000 001   seq 8 at 47.000 301 ...   of each point
//!          └── the middle of all differences: C2 is 37 s ahead of C1
//! ```
//!
//! Messages are looked for within a window around their time, which is shorter
//! than such a mistake. So it is found first, from what the points saw of the
//! same messages, and taken out in whole seconds; the rest is for
//! [`compose`](super::compose) to bound.

use crate::observation::{Observation, stable_hash};
use crate::points::{PointIx, Points};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages of each point that are compared.
pub const SAMPLE_MESSAGES: u64 = 1 << 16;

/// Most different keys that are compared; what comes after is left out.
pub const KEYS_MAX: usize = 1 << 20;

/// Fewest keys two clocks must share.
const SHARED_MIN: usize = 16;

/// Half of all differences lie this close together, ns, where they are the
/// distance of two clocks and not of unrelated messages.
const SPREAD_NS: i64 = 500_000_000;

const SECOND_NS: i64 = 1_000_000_000;

/// What two observations share that show the same message or name it.
#[derive(Clone, Copy, Debug)]
enum Shared {
    /// All of it.
    Message = 1,
    /// The sequence number of market data.
    Sequence = 2,
    /// The number of a match.
    Match = 3,
}

/// Number of a clock in [`Meetings`].
type ClockIx = u16;

/// When each clock first saw what messages share.
#[derive(Debug, Default)]
pub struct Meetings {
    clocks: Vec<Arc<str>>,
    first: HashMap<u64, SmallVec<[(ClockIx, i64); 2]>>,
}

impl Meetings {
    /// Takes an observation of a point, in order of time of that point.
    pub fn add(&mut self, observation: &Observation, points: &Points) {
        let Some(clock) = self.clock_of(observation.point, points) else { return };
        for key in keys(observation).into_iter().flatten() {
            if self.first.len() >= KEYS_MAX && !self.first.contains_key(&key) {
                continue;
            }
            let seen = self.first.entry(key).or_default();
            if !seen.iter().any(|(other, _)| *other == clock) {
                seen.push((clock, observation.ts));
            }
        }
    }

    fn clock_of(&mut self, point: PointIx, points: &Points) -> Option<ClockIx> {
        let clock = &points.all().get(usize::from(point))?.clock;
        let known = self.clocks.iter().position(|other| other == clock);
        let place = known.unwrap_or_else(|| {
            self.clocks.push(clock.clone());
            self.clocks.len() - 1
        });
        ClockIx::try_from(place).ok()
    }

    /// How far clocks are ahead of the first of those they share messages
    /// with, ns, in whole seconds; those that are not are left out.
    pub fn ahead(&self, points: &Points) -> BTreeMap<Arc<str>, i64> {
        let mut apart: BTreeMap<(ClockIx, ClockIx), Vec<i64>> = BTreeMap::new();
        for seen in self.first.values() {
            for (place, &(a, at_a)) in seen.iter().enumerate() {
                for &(b, at_b) in seen.iter().skip(place + 1) {
                    let (pair, ns) = match a < b {
                        true => ((a, b), at_b.saturating_sub(at_a)),
                        false => ((b, a), at_a.saturating_sub(at_b)),
                    };
                    apart.entry(pair).or_default().push(ns);
                }
            }
        }
        let name = |clock: ClockIx| self.clocks.get(usize::from(clock)).cloned();
        let seconds = apart
            .into_iter()
            .filter_map(|((a, b), all)| Some(((name(a)?, name(b)?), whole_seconds(all)?)));
        spread(&seconds.collect(), points)
    }
}

/// Keys that the same message, or one that names it, has at other points.
fn keys(observation: &Observation) -> [Option<u64>; 3] {
    let Observation { protocol, session, seq, trigger_seq, match_id, .. } = *observation;
    let names = u64::from(protocol.number()) | u64::from(session.number()) << 32;
    let key = |what: Shared, rest: [u64; 3]| stable_hash(&[what as u64, rest[0], rest[1], rest[2]]);
    let message = seq.map(|seq| key(Shared::Message, [names, seq, observation.content()]));
    // A bus counts by itself, and names the number of the feed.
    let feed = seq.filter(|_| observation.way().is_none());
    let sequence = trigger_seq.or(feed).map(|seq| key(Shared::Sequence, [seq, 0, 0]));
    [message, sequence, match_id.map(|id| key(Shared::Match, [id, 0, 0]))]
}

/// The middle of the differences in whole seconds; `None` where they are too
/// few or too unlike to be the distance of two clocks.
fn whole_seconds(mut apart: Vec<i64>) -> Option<i64> {
    apart.sort_unstable();
    let at = |quarter: usize| apart.get(apart.len() * quarter / 4).copied();
    let (low, middle, high) = (at(1)?, at(2)?, at(3)?);
    let alike = high.saturating_sub(low) <= SPREAD_NS;
    (apart.len() >= SHARED_MIN && alike).then(|| {
        middle.saturating_add(SECOND_NS / 2).div_euclid(SECOND_NS).saturating_mul(SECOND_NS)
    })
}

/// From the first clock on, along pairs that share messages.
fn spread(apart: &BTreeMap<(Arc<str>, Arc<str>), i64>, points: &Points) -> BTreeMap<Arc<str>, i64> {
    let mut ahead: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    for first in points.all() {
        if ahead.contains_key(&first.clock) {
            continue;
        }
        ahead.insert(first.clock.clone(), 0);
        let mut reached = vec![first.clock.clone()];
        while let Some(from) = reached.pop() {
            for ((a, b), ns) in apart {
                let (to, ns) = match (*a == from, *b == from) {
                    (true, _) => (b, *ns),
                    (_, true) => (a, ns.saturating_neg()),
                    _ => continue,
                };
                if !ahead.contains_key(to) {
                    let own = ahead.get(&from).copied().unwrap_or(0);
                    ahead.insert(to.clone(), own.saturating_add(ns));
                    reached.push(to.clone());
                }
            }
        }
    }
    ahead.retain(|_, ns| *ns != 0);
    ahead
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_capture::point::PointConfig;
    use taptrail_decoders::kind::Kind;

    fn points() -> Points {
        let point = |name: &str, clock: &str| PointConfig {
            clock: Some(clock.to_owned()),
            ..PointConfig::named(name.to_owned().try_into().unwrap())
        };
        Points::new(&[point("P1", "C1"), point("P2", "C2"), point("P3", "C3")], &[])
    }

    fn update(point: u16, ts: i64, seq: u64) -> Observation {
        Observation { seq: Some(seq), ..Observation::empty(point, ts, Kind::OrderAdd) }
    }

    /// Feed at P1 and P2, a bus at P3 that names every second message of it.
    fn meetings(ahead_2: i64, ahead_3: i64) -> Meetings {
        let mut meetings = Meetings::default();
        for n in 0..100u64 {
            let ts = n as i64 * 40_000_000;
            meetings.add(&update(0, ts, 1_000 + n), &points());
            meetings.add(&update(1, ts + 1_000 + ahead_2, 1_000 + n), &points());
            let bus =
                Observation { trigger_seq: Some(1_000 + n), ..update(2, ts + 9_000 + ahead_3, n) };
            if n % 2 == 0 {
                meetings.add(&bus, &points());
            }
        }
        meetings
    }

    #[test]
    fn clocks_that_agree_are_not_ahead() {
        assert!(meetings(900_000, -400_000_000).ahead(&points()).is_empty());
    }

    #[test]
    fn tai_taken_for_utc_is_37_seconds() {
        let ahead = meetings(37 * SECOND_NS + 800_000, 0).ahead(&points());
        assert_eq!(ahead.into_iter().collect::<Vec<_>>(), [("C2".into(), 37 * SECOND_NS)]);
    }

    #[test]
    fn a_bus_is_compared_by_what_it_names() {
        let ahead = meetings(-3_600 * SECOND_NS, -18 * SECOND_NS + 5).ahead(&points());
        let expected = [("C2".into(), -3_600 * SECOND_NS), ("C3".into(), -18 * SECOND_NS)];
        assert_eq!(ahead.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn times_at_the_ends_of_what_there_is_are_no_fault() {
        let mut meetings = Meetings::default();
        for n in 0..100u64 {
            meetings.add(&update(0, i64::MAX, n), &points());
            meetings.add(&update(1, i64::MIN, n), &points());
        }
        assert!(meetings.ahead(&points()).values().all(|ns| *ns < 0));
    }

    #[test]
    fn unrelated_numbers_say_nothing() {
        let mut meetings = Meetings::default();
        for n in 0..100u64 {
            // The same numbers at quite another pace.
            meetings.add(&update(0, n as i64 * 1_000, n), &points());
            meetings.add(&update(1, n as i64 * 90_000_000 + 50 * SECOND_NS, n), &points());
        }
        assert!(meetings.ahead(&points()).is_empty());
    }
}
