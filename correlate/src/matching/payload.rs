//! Packets that nothing decodes, at several points.
//!
//! ```text
//! P1  x 1.0   y 2.0   x 3.0           payloads, whatever they mean
//! P2     x 1.1   y 2.1   x 3.1        x 1.0 ─> x 1.1, y 2.0 ─> y 2.1, x 3.0 ─> x 3.1
//! ```
//!
//! The key is the payload behind UDP or TCP, by a hash of all its bytes and its
//! length: what routers, address translations and VLANs rewrite is no part of it.
//! Packets with equal payloads are paired in order within a window. Where several
//! could be meant, what packets took otherwise between the two points decides: a
//! repeat whose twin was lost is not paired with the next one. A mirror port's second
//! copy (the same payload, addresses and IP identification soon after) is no packet.

use crate::event::Identity;
use crate::observation::stable_hash;
use crate::points::PointIx;
use crate::text::TextId;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Most packets that wait for their other sightings. Beyond it the oldest is let go
/// before its window has passed, counted.
pub const OPEN_MAX: usize = 1 << 20;

/// Most packets with one payload that wait at once; further ones are not paired,
/// counted.
pub const REPEATS_MAX: usize = 4096;

/// How long a payload is known to be one that repeats.
pub const REPEATS_NS: i64 = 60_000_000_000;

/// Payloads at points whose last time is remembered.
pub const LAST_MAX: usize = 1 << 20;

/// A second copy of a mirror port comes within this time.
const COPY_NS: i64 = 10_000_000;

/// Pairs of points and flows whose times are remembered; further ones share those of
/// their points.
const WAYS_MAX: usize = 1 << 16;

/// Newest differences remembered of each.
const DIFFERENCES_MAX: usize = 64;

/// A packet may be off by so many times as much as others differ, and this much more.
const SPREAD: i64 = 4;
const SPREAD_NS: i64 = 1_000;

/// Four in five packets differ by less than what is left when one in so many is left out
/// at each end.
const OUTER: usize = 10;

/// Nothing else tells: the nearest of several is taken where it is so many times
/// nearer than the next.
const NEARER: i64 = 100;

/// A packet that nothing decodes, at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub point: PointIx,
    /// Time as stamped, ns since the epoch.
    pub ts: i64,
    /// The same time on the reference clock.
    pub at: i64,
    /// The packet; its message is 0.
    pub identity: Identity,
    /// `udp` or `tcp`.
    pub transport: TextId,
    /// Its payload, length and transport, as a number.
    pub payload: u64,
    /// Its addresses and ports here, as a number.
    pub flow: u64,
    /// IPv4 identification; 0 where there is none.
    pub ip_id: u16,
}

/// One packet and where it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Sightings, in the order in which it passed.
    pub seen: SmallVec<[Seen; 4]>,
    /// How many packets it could have been at most.
    pub candidates: u32,
    /// The chance that it is the same everywhere.
    pub confidence: f32,
}

#[derive(Debug)]
struct Open {
    payload: u64,
    group: Group,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: i64,
    ip_id: u16,
    flow: u64,
}

/// Newest differences of time between two points.
#[derive(Clone, Debug, Default)]
struct Differences {
    kept: VecDeque<i64>,
}

impl Differences {
    fn add(&mut self, difference: i64) {
        if self.kept.len() == DIFFERENCES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(difference);
    }

    fn usual(&self) -> Option<Usual> {
        let mut sorted: Vec<i64> = self.kept.iter().copied().collect();
        sorted.sort_unstable();
        let apart = |outer: usize| {
            let high = sorted.len().checked_sub(1 + outer).and_then(|at| sorted.get(at))?;
            Some(high.saturating_sub(*sorted.get(outer)?))
        };
        Some(Usual {
            middle: *sorted.get(sorted.len() / 2)?,
            jitter: apart(sorted.len() / OUTER)?,
            allowed: apart(0)?.saturating_mul(SPREAD).saturating_add(SPREAD_NS),
        })
    }
}

/// What packets take between two points, ns.
#[derive(Clone, Copy, Debug)]
struct Usual {
    middle: i64,
    /// How much most of them differ.
    jitter: i64,
    /// How far one may be off.
    allowed: i64,
}

impl Usual {
    /// How long ago a packet may have been seen elsewhere first.
    fn horizon_ns(self) -> i64 {
        self.middle.saturating_abs().saturating_add(self.allowed).saturating_mul(2)
    }
}

/// From a point to one with a higher number, by the flow there, 0 for all.
type Way = (PointIx, PointIx, u64);

/// See the module.
#[derive(Debug)]
pub struct Payloads {
    window_ns: i64,
    open: VecDeque<Open>,
    /// Number of the oldest open packet.
    base: u64,
    by_payload: HashMap<u64, SmallVec<[u64; 1]>>,
    last: HashMap<(u64, PointIx), Last>,
    ways: HashMap<Way, Differences>,
    newest_at: i64,
    left_out: u64,
}

/// How well a sighting fits an open packet.
#[derive(Clone, Copy, Debug)]
struct Fit {
    /// From what is usual, ns.
    off: i64,
    number: u64,
    /// No more than most packets differ by, so that order tells.
    in_order: bool,
}

/// Which open packet a sighting belongs to.
enum Home {
    Open { number: u64, candidates: u32, confidence: f32, sure: bool },
    New,
    Nowhere,
}

impl Payloads {
    /// Looks for a packet's other sightings for `window_ns`.
    pub fn new(window_ns: i64) -> Self {
        Self {
            window_ns,
            open: VecDeque::new(),
            base: 0,
            by_payload: HashMap::new(),
            last: HashMap::new(),
            ways: HashMap::new(),
            newest_at: i64::MIN,
            left_out: 0,
        }
    }

    /// Packets that a limit left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes a packet, in order of corrected time.
    pub fn push(&mut self, seen: Seen) {
        self.newest_at = self.newest_at.max(seen.at);
        let Some(repeats) = self.note(&seen) else { return };
        match self.home(&seen, repeats) {
            Home::Open { number, candidates, confidence, sure } => {
                self.attach(number, seen, (candidates, confidence), sure);
            }
            Home::New => self.begin(seen),
            Home::Nowhere => self.left_out += 1,
        }
    }

    /// Notes when a payload was seen; says whether it repeats, `None` for the second
    /// copy of a mirror port.
    fn note(&mut self, seen: &Seen) -> Option<bool> {
        if self.last.len() >= LAST_MAX {
            let since = self.newest_at.saturating_sub(REPEATS_NS);
            self.last.retain(|_, last| last.at >= since);
            if self.last.len() >= LAST_MAX {
                self.last.clear();
            }
        }
        let Seen { at, ip_id, flow, .. } = *seen;
        let before = self.last.insert((seen.payload, seen.point), Last { at, ip_id, flow });
        let Some(before) = before else { return Some(false) };
        let apart = at.saturating_sub(before.at);
        let copy = ip_id != 0 && (ip_id, flow) == (before.ip_id, before.flow) && apart <= COPY_NS;
        (!copy).then_some(apart <= REPEATS_NS)
    }

    fn get(&self, number: u64) -> Option<&Open> {
        self.open.get(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Open> {
        self.open.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn home(&self, seen: &Seen, repeats: bool) -> Home {
        let numbers = self.by_payload.get(&seen.payload).map_or(&[][..], SmallVec::as_slice);
        let is_only = !repeats && numbers.len() == 1;
        let usual = numbers.iter().rev().find_map(|&number| self.usual(number, seen));
        let horizon_ns = usual.filter(|_| !is_only).map_or(i64::MAX, Usual::horizon_ns);
        let is_near = |open: &Open| {
            let first = open.group.seen.first();
            first.is_some_and(|first| seen.at.saturating_sub(first.at) <= horizon_ns)
        };
        let near = numbers.iter().rev().filter_map(|n| Some((*n, self.get(*n)?)));
        let lacks =
            |open: &Open| open.group.seen.iter().all(|sighting| sighting.point != seen.point);
        let near = near.take_while(|(_, open)| is_near(open)).filter(|(_, open)| lacks(open));
        let mut candidates: SmallVec<[u64; 4]> = near.map(|(number, _)| number).collect();
        candidates.reverse();
        let Some(&oldest) = candidates.first() else {
            return if numbers.len() < REPEATS_MAX { Home::New } else { Home::Nowhere };
        };
        let count = candidates.len() as u32;
        let found =
            |number, confidence, sure| Home::Open { number, candidates: count, confidence, sure };
        if is_only {
            return found(oldest, 1.0, true);
        }
        if usual.is_some() {
            let fit = |number: &u64| self.fit(*number, seen);
            let mut fitting: SmallVec<[Fit; 4]> = candidates.iter().filter_map(fit).collect();
            let each = 1.0 / fitting.len().max(1) as f32;
            // In order where that is as usual, else the nearest to it.
            let in_order = fitting.iter().find(|fit| fit.in_order).copied();
            fitting.sort_unstable_by_key(|fit| (fit.off, fit.number));
            let best = in_order.or_else(|| fitting.first().copied());
            return best.map_or(Home::New, |fit| found(fit.number, each, false));
        }
        let age = |number: &u64| {
            let first = self.get(*number)?.group.seen.first()?;
            Some(seen.at.saturating_sub(first.at).saturating_abs())
        };
        let mut ages: SmallVec<[(i64, u64); 4]> =
            candidates.iter().filter_map(|n| Some((age(n)?, *n))).collect();
        ages.sort_unstable();
        match ages.as_slice() {
            [(near, number), (next, _), ..] if near.saturating_mul(NEARER) < *next => {
                found(*number, 1.0, true)
            }
            [_] => found(oldest, 1.0, true),
            _ => found(oldest, 1.0 / count as f32, false),
        }
    }

    /// Both ends of a difference: the sighting at the lower point first.
    fn way(a: &Seen, b: &Seen) -> (Way, i64) {
        let (low, high) = if a.point <= b.point { (a, b) } else { (b, a) };
        ((low.point, high.point, low.flow), high.at.saturating_sub(low.at))
    }

    /// What packets take between the first point of an open one and another, from the
    /// lower point to the higher.
    fn usual(&self, number: u64, seen: &Seen) -> Option<Usual> {
        let first = self.get(number)?.group.seen.first()?;
        let (way, _) = Self::way(first, seen);
        let own = self.ways.get(&way).or_else(|| self.ways.get(&(way.0, way.1, 0)));
        own.and_then(Differences::usual)
    }

    /// How well a sighting fits an open one; `None` where it is too far off, or nothing
    /// tells.
    fn fit(&self, number: u64, seen: &Seen) -> Option<Fit> {
        let usual = self.usual(number, seen)?;
        let first = self.get(number)?.group.seen.first()?;
        let off = Self::way(first, seen).1.saturating_sub(usual.middle).saturating_abs();
        let in_order = off <= usual.jitter;
        (off <= usual.allowed).then_some(Fit { off, number, in_order })
    }

    fn attach(
        &mut self,
        number: u64,
        seen: Seen,
        (candidates, confidence): (u32, f32),
        sure: bool,
    ) {
        let Some(open) = self.get_mut(number) else { return };
        let others: SmallVec<[Seen; 4]> = open.group.seen.clone();
        open.group.seen.push(seen);
        open.group.candidates = open.group.candidates.max(candidates);
        open.group.confidence = open.group.confidence.min(confidence);
        for other in others.iter().filter(|_| sure || confidence >= 1.0) {
            let ((low, high, flow), difference) = Self::way(other, &seen);
            for flow in [flow, 0] {
                let key = (low, high, flow);
                if self.ways.len() < WAYS_MAX || self.ways.contains_key(&key) {
                    self.ways.entry(key).or_default().add(difference);
                }
            }
        }
    }

    fn begin(&mut self, seen: Seen) {
        let number = self.base + self.open.len() as u64;
        self.by_payload.entry(seen.payload).or_default().push(number);
        let group = Group { seen: SmallVec::from_iter([seen]), candidates: 1, confidence: 1.0 };
        self.open.push_back(Open { payload: seen.payload, group });
    }

    /// The next packet, oldest first, whose window has passed at `watermark`
    /// (corrected time), or that has to go because too many wait.
    pub fn close_next(&mut self, watermark: i64) -> Option<Group> {
        let opened_at = self.open.front()?.group.seen.first()?.at;
        let due = opened_at.saturating_add(self.window_ns) <= watermark;
        if !due && self.open.len() <= OPEN_MAX {
            return None;
        }
        self.left_out += u64::from(!due);
        let Open { payload, mut group } = self.open.pop_front()?;
        if let Some(numbers) = self.by_payload.get_mut(&payload) {
            numbers.retain(|number| *number != self.base);
            if numbers.is_empty() {
                self.by_payload.remove(&payload);
            }
        }
        self.base += 1;
        self.order(&mut group);
        Some(group)
    }

    /// Puts sightings in the order in which packets usually pass the points: one
    /// packet's own times are only as good as the clocks.
    fn order(&self, group: &mut Group) {
        let before = |a: &Seen, b: &Seen| {
            let (way, own) = Self::way(a, b);
            let usual = self.ways.get(&way).and_then(Differences::usual);
            let apart = usual.map_or(own, |usual| usual.middle);
            let apart = if apart == 0 { 1 } else { apart };
            (apart > 0) == (a.point <= b.point)
        };
        let all = group.seen.clone();
        let wins = |seen: &Seen| {
            all.iter().filter(|other| other.point != seen.point && before(seen, other)).count()
        };
        group.seen.sort_by_key(|seen| (std::cmp::Reverse(wins(seen)), seen.point));
    }
}

/// A number of what a flow is called at a point.
pub fn flow_number(parts: &[u64]) -> u64 {
    stable_hash(parts).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 2_000_000_000;

    fn seen(point: PointIx, at: i64, payload: u64) -> Seen {
        Seen {
            point,
            ts: at,
            at,
            identity: Identity { capture_id: u64::from(point), packet_ix: at as u32, msg_ix: 0 },
            transport: TextId::NONE,
            payload,
            flow: 7 + u64::from(point),
            ip_id: 0,
        }
    }

    /// Times of the sightings of each packet, in the order of its way.
    fn groups(packets: &[(PointIx, i64, u64)]) -> Vec<Vec<(PointIx, i64)>> {
        let mut payloads = Payloads::new(WINDOW);
        let mut packets = packets.to_vec();
        packets.sort_by_key(|packet| packet.1);
        let mut found = Vec::new();
        for (point, at, payload) in packets {
            payloads.push(seen(point, at, payload));
            found.extend(std::iter::from_fn(|| payloads.close_next(at)));
        }
        found.extend(std::iter::from_fn(|| payloads.close_next(i64::MAX)));
        found.iter().map(|group| group.seen.iter().map(|s| (s.point, s.at)).collect()).collect()
    }

    #[test]
    fn one_payload_at_three_points_is_one_packet() {
        let found = groups(&[(0, 100, 5), (1, 900, 5), (2, 1_500, 5), (0, 200, 6), (2, 1_700, 6)]);
        assert_eq!(found, [vec![(0, 100), (1, 900), (2, 1_500)], vec![(0, 200), (2, 1_700)]]);
    }

    #[test]
    fn repeats_that_overtake_nothing_are_paired_in_order() {
        let times = [0, 300, 600, 900];
        let there = times.iter().map(|&at| (0, at, 5));
        let behind = times.iter().map(|&at| (1, at + 1_000, 5));
        let found = groups(&there.chain(behind).collect::<Vec<_>>());
        let expected: Vec<_> = times.iter().map(|&at| vec![(0, at), (1, at + 1_000)]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_repeat_whose_twin_was_lost_is_not_paired_with_the_next() {
        // A sign of life each second, of which P2 misses the first and the third.
        let second = 1_000_000_000;
        let there = (0..6).map(|n| (0, n * second, 5));
        let behind = [1, 3, 4, 5].map(|n| (1, n * second + 800, 5));
        let found = groups(&there.chain(behind).collect::<Vec<_>>());
        let pairs: Vec<_> = found.iter().filter(|group| group.len() > 1).collect();
        let expected = [1, 3, 4, 5].map(|n| vec![(0, n * second), (1, n * second + 800)]);
        assert_eq!(pairs, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_a_window_away_is_another_packet() {
        assert_eq!(groups(&[(0, 0, 5), (0, WINDOW, 6), (1, WINDOW + 1, 5)]).len(), 3);
    }

    #[test]
    fn a_second_copy_is_no_packet() {
        let mut payloads = Payloads::new(WINDOW);
        for (point, at) in [(0, 0), (0, 900), (1, 1_000), (1, 1_500)] {
            payloads.push(Seen { ip_id: 9, ..seen(point, at, 5) });
        }
        let group = payloads.close_next(i64::MAX).unwrap();
        assert_eq!(group.seen.iter().map(|s| s.at).collect::<Vec<_>>(), [0, 1_000]);
        assert!(payloads.close_next(i64::MAX).is_none());
    }

    #[test]
    fn the_usual_way_wins_over_a_clock_that_stands_wrong() {
        // One packet seems to arrive before it left.
        let mut packets: Vec<_> = (0..20)
            .flat_map(|n| [(0, n * 10_000, n as u64), (1, n * 10_000 + 50, n as u64)])
            .collect();
        packets.push((1, 300_000, 99));
        packets.push((0, 300_010, 99));
        let found = groups(&packets);
        assert_eq!(found.last().unwrap(), &[(0, 300_010), (1, 300_000)]);
    }

    #[test]
    fn more_repeats_than_are_kept_are_counted() {
        let mut payloads = Payloads::new(WINDOW);
        (0..REPEATS_MAX as i64 + 36).for_each(|at| payloads.push(seen(0, at, 5)));
        assert_eq!(payloads.left_out(), 36);
    }
}
