//! Clocks of points: what a difference of two stamps says about a latency.
//!
//! ```text
//! stamp at P1 (clock C1) ─┐           one clock: difference +- noise of both
//!                         ├─ latency          stamps, +- 100 ppm of itself
//! stamp at P3 (clock C2) ─┘           two: difference - offset, +- bound of
//!                                             the offset and noise
//!                                     nothing known: difference, no bounds
//! ```
//!
//! Offsets are configured, and measured from traffic: [`coarse`] takes out
//! mistakes of whole seconds, so that messages meet; [`gauge`] gathers what
//! crosses between clocks, [`fit`] bounds one pair at one moment, [`compose`]
//! puts all pairs, the configuration and what nodes say of their clocks
//! ([`reports`]) together, [`steady`] lets the moments
//! of a run tell of each other, [`track`] fills the time between, [`rows`] tells
//! it all.

pub mod coarse;
pub mod compose;
pub mod fit;
pub mod gauge;
pub mod reports;
pub mod rows;
pub mod steady;
pub mod track;

#[cfg(test)]
mod traffic_tests;

use self::compose::{Composed, Interval, Pair, compose as compose_all};
use self::fit::Sample;
use self::gauge::{Direction, PairTraffic};
use self::reports::Reports;
use self::track::Offset;
use crate::config::{ClockConfig, HopConfig};
use crate::points::{PointIx, Points};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Rate error of a free-running oscillator, 100 parts per million: one ns in
/// so many.
const NS_PER_RATE_ERROR: u64 = 1_000_000 / 100;

/// Corrections of a stamp to the reference's time: each leaves 200 ppm of the
/// error of the one before.
const REFERENCE_ROUNDS: usize = 3;

/// How wrong a free-running clock may measure a time, whole ns.
fn rate_error(ns: i64) -> i64 {
    (ns.unsigned_abs() / NS_PER_RATE_ERROR) as i64
}

/// A linear function of time, exact: value(t) = (constant + slope x t) / 10^9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    constant: i128,
    slope: i128,
}

const BILLION: i128 = 1_000_000_000;

impl Line {
    fn at(self, t: i64) -> i64 {
        let scaled = self.constant + self.slope * i128::from(t);
        let ns = scaled.div_euclid(BILLION) + i128::from(scaled.rem_euclid(BILLION) >= BILLION / 2);
        ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    fn plus(self, other: Self) -> Self {
        Self { constant: self.constant + other.constant, slope: self.slope + other.slope }
    }

    fn negated(self) -> Self {
        Self { constant: -self.constant, slope: -self.slope }
    }
}

/// How one clock stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relation {
    /// Offset in ns over time.
    offset: Line,
    /// Half width in ns; `None` where a part of the chain has none.
    bound_ns: Option<i64>,
}

/// A latency and what bounds it, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Best estimate.
    pub ns: i64,
    /// Lower and upper bound; `None` where nothing bounds it.
    pub bounds: Option<(i64, i64)>,
}

/// Where and when a stamp was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The point.
    pub point: PointIx,
    /// Time as stamped, ns since the epoch.
    pub ts: i64,
}

/// The clocks of all points.
#[derive(Clone, Debug)]
pub struct Clocks {
    names: Vec<Arc<str>>,
    clock_of: Vec<usize>,
    noise_ns: Vec<i64>,
    /// By clock: how far it is ahead in whole seconds, taken out of its stamps.
    ahead_ns: Vec<i64>,
    /// Whether what is configured tells which of two stamps was first.
    trusted: bool,
    /// relations[a][b]: time(a) - time(b).
    relations: Vec<Vec<Option<Relation>>>,
    /// For each clock, the first clock of its component: the reference.
    roots: Vec<usize>,
    floors: HashMap<(PointIx, PointIx), i64>,
    measured: Option<Arc<Composed>>,
    reports: Arc<Reports>,
}

/// What crossed between clocks in a run.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    pairs: BTreeMap<Pair, PairTraffic>,
}

impl Gauge {
    /// Takes a message or its consequence that was at `from` before it was at `to`.
    pub fn add(&mut self, from: Stamp, to: Stamp, clocks: &Clocks) {
        let ends = clocks.clock(from.point).zip(clocks.clock(to.point));
        let Some((a, b)) = ends.filter(|(a, b)| a != b) else { return };
        let (from, to) = (clocks.near(from), clocks.near(to));
        let floor = clocks.floor(from.point, to.point).unwrap_or(0);
        let noise = clocks.noise(from.point).saturating_add(clocks.noise(to.point));
        let delay = to.ts.saturating_sub(from.ts).saturating_sub(floor);
        let (sample, direction) = if a < b {
            (Sample { t: from.ts, d: delay }, Direction::Forward)
        } else {
            (Sample { t: to.ts, d: delay.saturating_neg() }, Direction::Reverse)
        };
        self.pairs.entry((a.min(b), a.max(b))).or_default().add(sample, direction, noise);
    }
}

impl Clocks {
    /// The clocks that `points` name, related as configured; chains of
    /// relations are composed, their bounds added.
    pub fn new(points: &Points, clocks: &[ClockConfig], hops: &[HopConfig]) -> Self {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut clock_of = Vec::new();
        for point in points.all() {
            let known = names.iter().position(|name| *name == point.clock);
            clock_of.push(known.unwrap_or_else(|| {
                names.push(point.clock.clone());
                names.len() - 1
            }));
        }
        for name in clocks.iter().flat_map(|clock| [&clock.name, &clock.reference]) {
            if !names.iter().any(|known| **known == **name) {
                names.push(Arc::from(name.as_str()));
            }
        }
        let mut ahead_ns = vec![0; names.len()];
        for (facts, &clock) in points.all().iter().zip(&clock_of) {
            ahead_ns[clock] = facts.ahead_ns;
        }
        let relations = compose(&names, clocks, &ahead_ns);
        let roots = (0..names.len())
            .map(|a| (0..names.len()).find(|&b| relations[a][b].is_some()).unwrap_or(a))
            .collect();
        let noise_ns = points.all().iter().map(|point| point.noise_ns).collect();
        Self {
            names,
            clock_of,
            noise_ns,
            ahead_ns,
            trusted: true,
            relations,
            roots,
            floors: floors(points, hops),
            measured: None,
            reports: Arc::default(),
        }
    }

    /// Takes how far a node's clock was from UTC at its own time `ts`, ns. A
    /// clock that is whole seconds off is not what its node takes it for.
    pub fn report(&mut self, point: PointIx, ts: i64, error: (i64, i64)) {
        if let Some(clock) = self.clock(point).filter(|clock| self.ahead_ns.get(*clock) == Some(&0))
        {
            Arc::make_mut(&mut self.reports).add(clock, ts, error);
        }
    }

    /// The same clocks, but what is configured does not decide which of two
    /// stamps was first: to measure whether it is true.
    pub fn doubted(&self) -> Self {
        let mut doubted = Self { trusted: false, ..self.clone() };
        for relation in doubted.relations.iter_mut().flatten().flatten() {
            relation.bound_ns = None;
        }
        doubted
    }

    /// The stamp without the seconds that its clock is ahead.
    fn near(&self, stamp: Stamp) -> Stamp {
        let clock = self.clock(stamp.point);
        let ahead_ns = clock.and_then(|clock| self.ahead_ns.get(clock)).copied().unwrap_or(0);
        Stamp { ts: stamp.ts.saturating_sub(ahead_ns), ..stamp }
    }

    /// How far the second clock is ahead of the first, in whole seconds.
    fn ahead(&self, (a, b): Pair) -> i64 {
        let of = |clock: usize| self.ahead_ns.get(clock).copied().unwrap_or(0);
        of(b).saturating_sub(of(a))
    }

    /// Whether more than one clock stamps.
    pub fn is_many(&self) -> bool {
        self.clock_of.iter().any(|&clock| Some(&clock) != self.clock_of.first())
    }

    /// The clocks, with what the traffic says of them besides what is
    /// configured. The first clock becomes the reference of all that traffic
    /// or configuration ties to it.
    pub fn measured(&self, gauge: &Gauge) -> Self {
        let known = |t: i64| self.known(t);
        let composed = compose_all(self.names.len(), &gauge.pairs, &known);
        Self { measured: Some(Arc::new(composed)), ..self.clone() }
    }

    /// What measuring found.
    pub fn composed(&self) -> Option<&Composed> {
        self.measured.as_deref()
    }

    /// The name of a clock by its number.
    pub fn name(&self, clock: usize) -> Arc<str> {
        self.names.get(clock).cloned().unwrap_or_else(|| Arc::from(""))
    }

    /// What the configuration and the nodes bound at a time of the reference.
    fn known(&self, t: i64) -> Vec<Interval> {
        let mut known = self.reports.known(t);
        for (a, row) in self.relations.iter().enumerate() {
            for (b, relation) in row.iter().enumerate().take(a) {
                let Some(relation) = relation else { continue };
                let Some(bound) = relation.bound_ns else { continue };
                let ns = relation.offset.at(t);
                let (lo_ns, hi_ns) = (ns.saturating_sub(bound), ns.saturating_add(bound));
                known.push(Interval { pair: (b, a), lo_ns, hi_ns });
            }
        }
        known
    }

    /// Measured time(b) - time(a) at a time of the reference.
    fn measured_at(&self, a: usize, b: usize, t: i64) -> Option<Offset> {
        let tracks = &self.measured.as_ref()?.tracks;
        let found = tracks.get(&(a.min(b), a.max(b)))?.at(t)?;
        if a <= b {
            return Some(found);
        }
        let bounds = found.bounds.map(|(lo, hi)| (hi.saturating_neg(), lo.saturating_neg()));
        Some(Offset { ns: found.ns.saturating_neg(), bounds })
    }

    /// Reference time of a stamp as measured.
    fn reference_time(&self, clock: usize, ts: i64) -> Option<i64> {
        if clock == 0 {
            return self.measured.as_ref().map(|_| ts);
        }
        let reference = self.measured.as_ref()?.tracks.get(&(0, clock))?;
        let mut t = ts;
        for _ in 0..REFERENCE_ROUNDS {
            let next = ts.saturating_sub(reference.ns_at(t)?);
            if next == t {
                break;
            }
            t = next;
        }
        Some(t)
    }

    fn clock(&self, point: PointIx) -> Option<usize> {
        self.clock_of.get(usize::from(point)).copied()
    }

    fn relation(&self, a: PointIx, b: PointIx) -> Option<Relation> {
        *self.relations.get(self.clock(a)?)?.get(self.clock(b)?)?
    }

    /// The stamp on the reference clock of its component; unchanged where the
    /// clock stands alone.
    pub fn corrected(&self, stamp: Stamp) -> i64 {
        let stamp = self.near(stamp);
        let measured = self.clock(stamp.point).and_then(|c| self.reference_time(c, stamp.ts));
        if let Some(measured) = measured {
            return measured;
        }
        let relation = self.clock(stamp.point).and_then(|clock| {
            self.relations.get(clock)?.get(*self.roots.get(clock)?).copied().flatten()
        });
        relation.map_or(stamp.ts, |r| stamp.ts.saturating_sub(r.offset.at(stamp.ts)))
    }

    /// Whether one clock stamps both points.
    pub fn same(&self, a: PointIx, b: PointIx) -> bool {
        self.clock(a).is_some() && self.clock(a) == self.clock(b)
    }

    /// Whether times of the two points can be compared at all.
    pub fn comparable(&self, a: PointIx, b: PointIx) -> bool {
        let pair = self.clock(a).zip(self.clock(b)).map(|(a, b)| (a.min(b), a.max(b)));
        let measured = pair.is_some_and(|pair| {
            self.measured.as_ref().is_some_and(|all| all.tracks.contains_key(&pair))
        });
        measured || (self.trusted && self.relation(a, b).is_some())
    }

    /// The configured smallest latency between two points, ns.
    fn floor(&self, from: PointIx, to: PointIx) -> Option<i64> {
        self.floors.get(&(from, to)).copied()
    }

    /// The offset of the second stamp's clock to the first's, as measured.
    fn measured_between(&self, from: Stamp, to: Stamp) -> Option<Offset> {
        let (a, b) = (self.clock(from.point)?, self.clock(to.point)?);
        let t = self.reference_time(a, from.ts)?;
        self.measured_at(a, b, t)
    }

    /// Time from one stamp to another. `causal`: the second cannot be before
    /// the first, so that the lower bound is at least 0 or the hop's floor.
    pub fn latency(&self, from: Stamp, to: Stamp, causal: bool) -> Latency {
        let (from, to) = (self.near(from), self.near(to));
        let raw = to.ts.saturating_sub(from.ts);
        let noise = self.noise(from.point) + self.noise(to.point);
        if self.same(from.point, to.point) {
            let width = noise.saturating_add(rate_error(raw)) + 1;
            return self.bounded(from.point, to.point, raw, Some((width, width)), false);
        }
        let offset = self.measured_between(from, to).or_else(|| {
            let relation = self.relation(to.point, from.point)?;
            let ns = relation.offset.at(to.ts);
            let around = |bound: i64| (ns.saturating_sub(bound), ns.saturating_add(bound));
            Some(Offset { ns, bounds: relation.bound_ns.map(around) })
        });
        let Some(offset) = offset else { return Latency { ns: raw, bounds: None } };
        let ns = raw.saturating_sub(offset.ns);
        // The offset is that of the start; until the end it may drift.
        let stamped = noise.saturating_add(rate_error(ns));
        let width = offset.bounds.map(|(lo, hi)| {
            let side = |apart: i64| apart.saturating_add(stamped).max(1);
            (side(hi.saturating_sub(offset.ns)), side(offset.ns.saturating_sub(lo)))
        });
        self.bounded(from.point, to.point, ns, width, causal)
    }

    fn noise(&self, point: PointIx) -> i64 {
        self.noise_ns.get(usize::from(point)).copied().unwrap_or(0)
    }

    /// Intersects ns - width.0 ... ns + width.1 with what the floor or causality allows. Where
    /// nothing is left the evidence contradicts itself and stays as it is.
    fn bounded(
        &self,
        from: PointIx,
        to: PointIx,
        ns: i64,
        width: Option<(i64, i64)>,
        causal: bool,
    ) -> Latency {
        let Some(width) = width else {
            return Latency { ns, bounds: None };
        };
        let (lo, hi) = (ns.saturating_sub(width.0), ns.saturating_add(width.1));
        let floor = self.floor(from, to).or(causal.then_some(0)).unwrap_or(i64::MIN);
        if floor > hi {
            return Latency { ns, bounds: Some((lo, hi)) };
        }
        Latency { ns: ns.max(floor), bounds: Some((lo.max(floor), hi)) }
    }
}

/// Beyond this the nearest whole second is another one.
const HALF_SECOND_NS: u64 = 500_000_000;

fn floors(points: &Points, hops: &[HopConfig]) -> HashMap<(PointIx, PointIx), i64> {
    let mut floors = HashMap::new();
    for hop in hops {
        if let (Some(from), Some(to), Some(floor)) =
            (points.find(&hop.from), points.find(&hop.to), hop.floor_ns)
        {
            floors.insert((from, to), i64::from(floor));
        }
    }
    floors
}

/// A configured offset without the whole seconds that the clocks are apart,
/// which it may or may not have counted; `None` where the messages say that
/// it is seconds off.
fn within_a_second(offset_ns: i64, apart_ns: i64) -> Option<i64> {
    let near = [offset_ns.saturating_sub(apart_ns), offset_ns];
    near.into_iter()
        .find(|ns| ns.unsigned_abs() <= HALF_SECOND_NS)
        .or_else(|| (apart_ns == 0).then_some(offset_ns))
}

/// Relations of all pairs: breadth first from each clock over the configured
/// ones. `ahead_ns`: whole seconds taken out of each clock's stamps.
fn compose(
    names: &[Arc<str>],
    clocks: &[ClockConfig],
    ahead_ns: &[i64],
) -> Vec<Vec<Option<Relation>>> {
    let find = |name: &str| names.iter().position(|known| **known == *name);
    let mut edges: Vec<Vec<(usize, Relation)>> = vec![Vec::new(); names.len()];
    for clock in clocks {
        let (Some(a), Some(b)) = (find(&clock.name), find(&clock.reference)) else { continue };
        let drift = i128::from(clock.drift_ppb.unwrap_or(0));
        let of = |clock: usize| ahead_ns.get(clock).copied().unwrap_or(0);
        let Some(offset_ns) = within_a_second(clock.offset_ns, of(a).saturating_sub(of(b))) else {
            continue;
        };
        let at = i128::from(clock.at.unwrap_or(0)) - i128::from(of(a));
        let constant = i128::from(offset_ns) * BILLION - drift * at;
        let offset = Line { constant, slope: drift };
        let bound_ns = clock.bound_ns.map(|bound| i64::try_from(bound).unwrap_or(i64::MAX));
        edges[a].push((b, Relation { offset, bound_ns }));
        edges[b].push((a, Relation { offset: offset.negated(), bound_ns }));
    }
    (0..names.len()).map(|start| relations_from(start, &edges)).collect()
}

fn relations_from(start: usize, edges: &[Vec<(usize, Relation)>]) -> Vec<Option<Relation>> {
    let mut found: Vec<Option<Relation>> = vec![None; edges.len()];
    let own = Relation { offset: Line::default(), bound_ns: Some(0) };
    found[start] = Some(own);
    let mut queue = VecDeque::from([(start, own)]);
    while let Some((clock, relation)) = queue.pop_front() {
        for &(next, edge) in &edges[clock] {
            if found[next].is_none() {
                let bounds = relation.bound_ns.zip(edge.bound_ns);
                let composed = Relation {
                    offset: relation.offset.plus(edge.offset),
                    bound_ns: bounds.map(|(a, b)| a.saturating_add(b)),
                };
                found[next] = Some(composed);
                queue.push_back((next, composed));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_capture::point::{PointConfig, PointName};

    fn points() -> Points {
        let point = |name: &str, clock: Option<&str>| PointConfig {
            clock: clock.map(str::to_owned),
            ..PointConfig::named(PointName::try_from(name.to_owned()).unwrap())
        };
        Points::new(
            &[
                point("P1", Some("C1")),
                point("P6", Some("C1")),
                point("P2", Some("C2")),
                point("P4", Some("C3")),
                point("PX", None),
            ],
            &[],
        )
    }

    fn clock(name: &str, reference: &str, offset_ns: i64, bound_ns: Option<u64>) -> ClockConfig {
        ClockConfig {
            name: name.into(),
            reference: reference.into(),
            offset_ns,
            bound_ns,
            drift_ppb: None,
            at: None,
        }
    }

    fn stamp(point: PointIx, ts: i64) -> Stamp {
        Stamp { point, ts }
    }

    #[test]
    fn one_clock_has_noise_and_rate_error_never_no_width() {
        let clocks = Clocks::new(&points(), &[], &[]);
        let latency = clocks.latency(stamp(0, 1_000), stamp(1, 51_000_000), true);
        assert_eq!(latency.ns, 50_999_000);
        assert_eq!(latency.bounds, Some((50_999_000 - 16 - 5_100, 50_999_000 + 16 + 5_100)));
    }

    #[test]
    fn a_clock_runs_wrong_below_a_millisecond_too() {
        let configured = [clock("C2", "C1", 0, Some(0))];
        let clocks = Clocks::new(&points(), &configured, &[]);
        for (to, others) in [(1, 17), (2, 16)] {
            let (lo, hi) = clocks.latency(stamp(0, 0), stamp(to, 900_000), true).bounds.unwrap();
            assert_eq!((lo, hi), (900_000 - 90 - others, 900_000 + 90 + others));
        }
    }

    #[test]
    fn chains_add_offsets_and_bounds() {
        let configured = [clock("C2", "C1", 1_000, Some(50)), clock("C3", "C2", -300, Some(20))];
        let clocks = Clocks::new(&points(), &configured, &[]);
        let latency = clocks.latency(stamp(0, 10_000), stamp(3, 12_700), false);
        assert_eq!(latency.ns, 2_000);
        assert_eq!(latency.bounds, Some((2_000 - 86, 2_000 + 86)));
        assert_eq!(clocks.corrected(stamp(3, 12_700)), 12_000);
    }

    #[test]
    fn unknown_clocks_give_the_raw_difference_without_bounds() {
        let clocks = Clocks::new(&points(), &[clock("C2", "C1", 5, None)], &[]);
        assert_eq!(
            clocks.latency(stamp(0, 100), stamp(4, 90), true),
            Latency { ns: -10, bounds: None }
        );
        let corrected_only = clocks.latency(stamp(0, 100), stamp(2, 125), true);
        assert_eq!(corrected_only, Latency { ns: 20, bounds: None });
    }

    #[test]
    fn floors_and_causality_cut_the_lower_bound_only() {
        let hops = [HopConfig { from: "P1".into(), to: "P2".into(), floor_ns: Some(500) }];
        let configured = [clock("C2", "C1", 0, Some(1_000)), clock("C3", "C1", 0, Some(1_000))];
        let clocks = Clocks::new(&points(), &configured, &hops);
        assert_eq!(clocks.latency(stamp(0, 0), stamp(2, 700), true).bounds, Some((500, 1_716)));
        assert_eq!(clocks.latency(stamp(0, 0), stamp(3, 700), true).bounds, Some((0, 1_716)));
        let backwards = clocks.latency(stamp(0, 0), stamp(3, -5_000), true);
        assert_eq!(backwards.ns, -5_000, "flagged by its sign, never clamped");
        assert_eq!(backwards.bounds, Some((-6_016, -3_984)));
    }

    #[test]
    fn drift_is_exact_over_a_day() {
        let mut drifting = clock("C2", "C1", 100, Some(10));
        drifting.drift_ppb = Some(2_000);
        drifting.at = Some(1_700_000_000_000_000_000);
        let clocks = Clocks::new(&points(), &[drifting], &[]);
        let later = 1_700_000_000_000_000_000 + 86_400_000_000_000;
        assert_eq!(clocks.corrected(stamp(2, later)), later - 100 - 172_800_000);
    }

    #[test]
    fn seconds_that_a_clock_is_ahead_are_taken_out() {
        let ahead = [("C2".into(), 37_000_000_000)].into();
        let points = points().with_ahead(&ahead);
        for offset_ns in [2_000, 37_000_002_000] {
            let configured = [clock("C2", "C1", offset_ns, Some(40))];
            let clocks = Clocks::new(&points, &configured, &[]);
            let (from, to) = (stamp(0, 5_000), stamp(2, 37_000_008_000));
            assert_eq!(clocks.corrected(to), 6_000, "configured as {offset_ns}");
            assert_eq!(clocks.latency(from, to, true).ns, 1_000, "configured as {offset_ns}");
            let rows = clocks.rows(0);
            let row = |method: &str| rows.iter().find(|row| &*row.method == method).unwrap();
            assert_eq!(row("configured").offset_ns, Some(37_000_002_000));
            assert_eq!(&*row("messages").state, "tai_utc");
        }
        let wrong = Clocks::new(&points, &[clock("C2", "C1", 5_000_000_000, Some(40))], &[]);
        assert!(wrong.relation(0, 2).is_none(), "the messages say otherwise");
    }

    #[test]
    fn doubted_clocks_correct_but_order_nothing() {
        let clocks = Clocks::new(&points(), &[clock("C2", "C1", 5, Some(1))], &[]);
        let doubted = clocks.doubted();
        assert!(clocks.comparable(0, 2) && !doubted.comparable(0, 2));
        assert_eq!(doubted.corrected(stamp(2, 100)), clocks.corrected(stamp(2, 100)));
        assert_eq!(doubted.latency(stamp(0, 0), stamp(2, 9), true).bounds, None);
    }
}
