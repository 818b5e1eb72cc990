//! The order in which a message passes the points.
//!
//! ```text
//! feed      P1 ─> P2 ─> P3                 hops, else corrected time
//! requests  P6 ─> P1      answers P1 ─> P6  one session, two directions
//!
//! two-way test, needs no common clock (offset o, delays m > 0):
//!   requests  tB - tA = o + m        A is nearer the client exactly if
//!   answers   tB - tA = o - m'       the first difference is the larger one
//! ```

use crate::clock::{Clocks, Stamp};
use crate::config::HopConfig;
use crate::event::{Event, Path};
use crate::observation::Way;
use crate::points::{PointIx, Points};
use crate::stream::Streams;
use crate::text::TextId;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Differences kept of each pair of points in each stream: enough for a median.
pub const DIFFERENCES_MAX: usize = 512;

/// Pairs of points and streams that are learned at most.
pub const PAIRS_MAX: usize = 1 << 18;

/// What takes one path: all messages of a protocol, or of one conversation of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Protocol id.
    pub protocol: TextId,
    /// Conversation; absent for "any of the protocol".
    pub conversation: TextId,
    /// Direction.
    pub way: Way,
}

/// Learns from events which point comes before which.
#[derive(Debug, Default)]
pub struct Learner {
    seen: BTreeMap<Route, BTreeSet<PointIx>>,
    /// Stamps of the same message at both points.
    stamps: HashMap<(Route, PointIx, PointIx), Vec<(i64, i64)>>,
}

impl Learner {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a closed event; its path need not be known.
    pub fn push(&mut self, event: &Event, streams: &Streams) {
        let Some(stream) = streams.get(event.stream) else { return };
        let way = streams.way(event.stream);
        for conversation in [stream.conversation, TextId::NONE] {
            let route = Route { protocol: stream.protocol, conversation, way };
            self.learn(route, event);
        }
    }

    fn learn(&mut self, route: Route, event: &Event) {
        let seen = self.seen.entry(route).or_default();
        seen.extend(event.firsts().map(|s| s.point));
        for a in event.firsts() {
            for b in event.firsts().filter(|b| b.point > a.point && b.line == a.line) {
                self.note((route, a.point, b.point), (a.ts, b.ts));
            }
        }
    }

    fn note(&mut self, key: (Route, PointIx, PointIx), stamps: (i64, i64)) {
        if self.stamps.len() >= PAIRS_MAX && !self.stamps.contains_key(&key) {
            return;
        }
        let kept = self.stamps.entry(key).or_default();
        if kept.len() < DIFFERENCES_MAX {
            kept.push(stamps);
        }
    }

    /// The middle of what lies between the two points on the reference clock.
    fn median(&self, route: Route, a: PointIx, b: PointIx, clocks: &Clocks) -> Option<i64> {
        let at = |point, ts| clocks.corrected(Stamp { point, ts });
        let stamps = self.stamps.get(&(route, a, b))?.iter();
        let mut kept: Vec<i64> =
            stamps.map(|&(ts_a, ts_b)| at(b, ts_b).saturating_sub(at(a, ts_a))).collect();
        let middle = kept.len() / 2;
        (!kept.is_empty()).then(|| *kept.select_nth_unstable(middle).1)
    }

    /// The middle of how much later requests (`there`) are at `b` than answers
    /// (`back`) are, each answer that is nearest in time against its request:
    /// clocks drift, so that only differences of one time tell something. Half
    /// of the pairs, those nearest to each other, are taken.
    fn two_way(&self, there: Route, back: Route, a: PointIx, b: PointIx) -> Option<i64> {
        let differences = |route| {
            let stamps = self.stamps.get(&(route, a, b))?.iter();
            let mut all: Vec<(i64, i64)> =
                stamps.map(|&(ts_a, ts_b)| (ts_a, ts_b.saturating_sub(ts_a))).collect();
            all.sort_unstable();
            Some(all)
        };
        let (there, back) = (differences(there)?, differences(back)?);
        let nearest = |ts: i64| {
            let after = back.partition_point(|other| other.0 < ts);
            let near = [after.checked_sub(1), Some(after)].into_iter().flatten();
            near.filter_map(|at| back.get(at)).min_by_key(|other| other.0.abs_diff(ts))
        };
        let pair = |own: &(i64, i64)| {
            let other = nearest(own.0)?;
            Some((other.0.abs_diff(own.0), own.1.saturating_sub(other.1)))
        };
        let mut pairs: Vec<(u64, i64)> = there.iter().filter_map(pair).collect();
        pairs.sort_unstable();
        pairs.truncate(pairs.len().div_ceil(2));
        let mut apart: Vec<i64> = pairs.into_iter().map(|(_, apart)| apart).collect();
        let middle = apart.len() / 2;
        (!apart.is_empty()).then(|| *apart.select_nth_unstable(middle).1)
    }

    /// What was learned, with what is configured.
    pub fn finish(&self, points: &Points, clocks: &Clocks, hops: &[HopConfig]) -> Topology {
        let hops = HopGraph::new(points, hops);
        let mut paths = HashMap::new();
        for (&route, seen) in &self.seen {
            let seen: Vec<PointIx> = seen.iter().copied().collect();
            let before = |a, b| self.before(route, a, b, clocks, &hops);
            paths.insert(route, sorted(&seen, before));
        }
        Topology { paths }
    }

    /// Whether messages of the route pass `a` before `b` (a < b).
    fn before(
        &self,
        route: Route,
        a: PointIx,
        b: PointIx,
        clocks: &Clocks,
        hops: &HopGraph,
    ) -> bool {
        let own = self.median(route, a, b, clocks);
        let by_time = own.filter(|&d| d != 0 && clocks.comparable(a, b)).map(|d| d > 0);
        let back = match route.way {
            Way::Feed => return hops.before(a, b).or(by_time).unwrap_or(true),
            Way::ToVenue => Way::FromVenue,
            Way::FromVenue => Way::ToVenue,
        };
        let two_way = self.two_way(route, Route { way: back, ..route }, a, b);
        // Requests go the way of the hop, answers come back.
        let by_hop = hops.next(a, b).map(|forward| forward == (route.way == Way::ToVenue));
        two_way
            .filter(|&apart| apart != 0)
            .map(|apart| apart > 0)
            .or(by_time)
            .or(by_hop)
            .unwrap_or(true)
    }
}

/// Points in order, by the number of others each comes before; ties as declared.
fn sorted(seen: &[PointIx], before: impl Fn(PointIx, PointIx) -> bool) -> Vec<PointIx> {
    let wins = |a: PointIx| {
        seen.iter().filter(|&&b| if a < b { before(a, b) } else { a > b && !before(b, a) }).count()
    };
    let mut counted: Vec<(usize, PointIx)> = seen.iter().map(|&a| (wins(a), a)).collect();
    counted.sort_by_key(|&(wins, point)| (std::cmp::Reverse(wins), point));
    counted.into_iter().map(|(_, point)| point).collect()
}

/// Configured hops.
struct HopGraph {
    next: HashMap<PointIx, Vec<PointIx>>,
}

impl HopGraph {
    fn new(points: &Points, hops: &[HopConfig]) -> Self {
        let mut next: HashMap<PointIx, Vec<PointIx>> = HashMap::new();
        for hop in hops {
            if let (Some(from), Some(to)) = (points.find(&hop.from), points.find(&hop.to)) {
                next.entry(from).or_default().push(to);
            }
        }
        Self { next }
    }

    /// Whether the one hop between the two goes from `a` to `b`.
    fn next(&self, a: PointIx, b: PointIx) -> Option<bool> {
        let has = |from: PointIx, to| self.next.get(&from).is_some_and(|next| next.contains(&to));
        match (has(a, b), has(b, a)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }

    /// Whether the shorter way over hops goes from `a` to `b`.
    fn before(&self, a: PointIx, b: PointIx) -> Option<bool> {
        match (self.distance(a, b), self.distance(b, a)) {
            (Some(there), Some(back)) if there == back => None,
            (Some(there), Some(back)) => Some(there < back),
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        }
    }

    fn distance(&self, from: PointIx, to: PointIx) -> Option<u32> {
        let mut seen = BTreeSet::from([from]);
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((point, distance)) = queue.pop_front() {
            if point == to {
                return Some(distance);
            }
            for &next in self.next.get(&point).into_iter().flatten() {
                if seen.insert(next) {
                    queue.push_back((next, distance + 1));
                }
            }
        }
        None
    }
}

/// Puts an event's points in the order of the `learned` path; points that are
/// not on it come last, as declared.
pub fn order(learned: &[PointIx], event: &Event) -> Path {
    let saw = |&&point: &&PointIx| event.firsts().any(|s| s.point == point);
    let mut path: Path = learned.iter().filter(saw).copied().collect();
    let known = path.len();
    for sighting in event.firsts() {
        if !path.contains(&sighting.point) {
            path.push(sighting.point);
        }
    }
    if let Some(others) = path.get_mut(known..) {
        others.sort_unstable();
    }
    path
}

/// The path of every route.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    paths: HashMap<Route, Vec<PointIx>>,
}

impl Topology {
    /// All points that the route's messages pass, in order: of the
    /// conversation, else of the protocol.
    pub fn path(&self, route: Route) -> &[PointIx] {
        let any = Route { conversation: TextId::NONE, ..route };
        self.paths.get(&route).or_else(|| self.paths.get(&any)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_capture::point::PointConfig;

    #[test]
    fn clocks_that_drift_do_not_turn_a_session_around() {
        let point = |name: &str, clock: &str| PointConfig {
            clock: Some(clock.to_owned()),
            ..PointConfig::named(name.to_owned().try_into().unwrap())
        };
        let points = Points::new(&[point("P1", "C1"), point("P2", "C2")], &[]);
        let clocks = Clocks::new(&points, &[], &[]);
        for ppm in [-80, 80] {
            // A request a millisecond, an answer to each and a fill: P1 is nearer the
            // client, 1 us away. Of the requests, what is kept is of twice as long.
            let mut learner = Learner::new();
            let (protocol, conversation) = (TextId::NONE, TextId::NONE);
            let route = |way| Route { protocol, conversation, way };
            let at_p2 = |ns: i64| 5_000_000 + ns + ns * ppm / 1_000_000;
            for n in 0..2_000 {
                let ns = n * 1_000_000;
                learner.note((route(Way::ToVenue), 0, 1), (ns, at_p2(ns + 1_000)));
                for later in [40_000, 60_000] {
                    let (ns, back) = (ns + later, route(Way::FromVenue));
                    learner.note((back, 0, 1), (ns + 1_000, at_p2(ns)));
                }
            }
            let hops = HopGraph::new(&points, &[]);
            let before = |way| learner.before(route(way), 0, 1, &clocks, &hops);
            assert!(before(Way::ToVenue), "{ppm}");
            assert!(!before(Way::FromVenue), "{ppm}");
        }
    }
}
