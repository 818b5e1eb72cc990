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
        let other = self.median(Route { way: back, ..route }, a, b, clocks);
        let two_way = own.zip(other).filter(|(own, other)| own != other);
        // Requests go the way of the hop, answers come back.
        let by_hop = hops.next(a, b).map(|forward| forward == (route.way == Way::ToVenue));
        two_way.map(|(own, other)| own > other).or(by_time).or(by_hop).unwrap_or(true)
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
