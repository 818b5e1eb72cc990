//! The offsets of all clocks at once, from everything that bounds a pair.
//!
//! ```text
//! C1 ──feed──> C2 ──bus──> C3 ──orders──> C1     each bounds one side of one pair;
//!                                                round the loop they bound all
//! ```
//!
//! At each moment the bounds are differences: time(b) - time(a) <= hi[a][b].
//! The shortest ways through the table give the tightest bounds that follow
//! from all evidence together (traffic, causality, configuration, reports of
//! nodes). A loop below zero is an empty intersection: an alarm, no clamp.

use super::gauge::{PairTraffic, Window};
use super::track::{BILLION, HOLD_PPB, Knot, Offset, Track, share};
use std::collections::BTreeMap;

/// Most moments that are composed; longer runs have them farther apart.
pub const MOMENTS_MAX: i64 = 1 << 18;

/// Most clocks that are compared.
pub const CLOCKS_MAX: usize = 64;

/// Times a moment is composed anew because offsets moved it.
const ROUNDS: usize = 4;

/// A change of an offset that moves no result: 200 ppm of it are 2 ps.
const SETTLED_NS: i64 = 10_000;

/// Two clocks: time(second) - time(first), first < second.
pub type Pair = (usize, usize);

/// What bounds one pair at one moment from elsewhere, ns: configured offsets,
/// reports of PTP or chrony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The pair.
    pub pair: Pair,
    /// Smallest offset.
    pub lo_ns: i64,
    /// Largest offset.
    pub hi_ns: i64,
}

/// A moment at which the evidence contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// When, by the reference clock.
    pub t: i64,
    /// Whether traffic alone contradicts itself: a step, or wrong matches.
    /// Otherwise it contradicts what is configured or reported.
    pub in_traffic: bool,
}

/// A pair at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The pair.
    pub pair: Pair,
    /// The moment, by the reference clock.
    pub t: i64,
    /// Its own traffic.
    pub window: Window,
    /// What follows from all evidence; `None` where one side stays open.
    pub bounds: Option<(i64, i64)>,
    /// Own traffic's estimate less that of all evidence, ns.
    pub residual_ns: Option<i64>,
}

/// The clocks over time.
#[derive(Clone, Debug, Default)]
pub struct Composed {
    /// Offset of each pair by the reference clock's time.
    pub tracks: BTreeMap<Pair, Track>,
    /// Every pair with traffic at every moment.
    pub moments: Vec<Moment>,
    /// Contradictions.
    pub alarms: Vec<Alarm>,
}

/// Smallest and largest differences of all pairs.
struct Bounds {
    n: usize,
    /// hi[a * n + b]: time(b) - time(a) at most.
    hi: Vec<Option<i64>>,
}

impl Bounds {
    fn new(n: usize) -> Self {
        let hi = (0..n * n).map(|place| (place / n == place % n).then_some(0)).collect();
        Self { n, hi }
    }

    fn hi(&self, a: usize, b: usize) -> Option<i64> {
        self.hi.get(a * self.n + b).copied().flatten()
    }

    fn limit(&mut self, a: usize, b: usize, hi_ns: Option<i64>) {
        let Some(hi_ns) = hi_ns else { return };
        let Some(known) = self.hi.get_mut(a * self.n + b) else { return };
        *known = Some(known.map_or(hi_ns, |known| known.min(hi_ns)));
    }

    fn between(&mut self, (a, b): Pair, lo_ns: Option<i64>, hi_ns: Option<i64>) {
        self.limit(a, b, hi_ns);
        self.limit(b, a, lo_ns.map(|lo| lo.saturating_neg()));
    }

    /// Floyd and Warshall; `false` where nothing satisfies all bounds.
    fn close(&mut self) -> bool {
        for middle in 0..self.n {
            for a in 0..self.n {
                for b in 0..self.n {
                    let way = self.hi(a, middle).zip(self.hi(middle, b));
                    self.limit(a, b, way.map(|(x, y)| x.saturating_add(y)));
                }
            }
        }
        (0..self.n).all(|a| self.hi(a, a).is_none_or(|own| own >= 0))
    }

    fn bounds(&self, (a, b): Pair) -> Option<(i64, i64)> {
        Some((self.hi(b, a)?.saturating_neg(), self.hi(a, b)?))
    }
}

/// Half way between two bounds.
fn middle((lo, hi): (i64, i64)) -> i64 {
    ((i128::from(lo) + i128::from(hi)).div_euclid(2)) as i64
}

/// The offsets of `n` clocks over the time of their traffic. Clock 0 is the
/// reference. `known` gives what else bounds pairs at a time of the reference.
pub fn compose(
    n: usize,
    traffic: &BTreeMap<Pair, PairTraffic>,
    known: &dyn Fn(i64) -> Vec<Interval>,
) -> Composed {
    let mut composed = Composed::default();
    let spans: Vec<(i64, i64)> = traffic.values().filter_map(PairTraffic::span).collect();
    let (Some(start), Some(end)) =
        (spans.iter().map(|s| s.0).min(), spans.iter().map(|s| s.1).max())
    else {
        return composed;
    };
    if n > CLOCKS_MAX {
        return composed;
    }
    let step = traffic.values().map(PairTraffic::step_ns).max().unwrap_or(1);
    let step = step.max(end.saturating_sub(start) / MOMENTS_MAX).max(1);
    let mut offsets = vec![0; n];
    let mut knots: BTreeMap<Pair, Vec<Knot>> = BTreeMap::new();
    let mut drifts: BTreeMap<Pair, i64> = BTreeMap::new();
    let mut t = start;
    while t <= end {
        let (mut bounds, mut windows) = moment(n, traffic, &known(t), t, &mut offsets, &drifts);
        // The wire is right where it contradicts what somebody wrote down.
        if let Err(alarm) = bounds
            && !alarm.in_traffic
        {
            composed.alarms.push(alarm);
            (bounds, windows) = moment(n, traffic, &[], t, &mut offsets, &drifts);
        }
        drifts =
            windows.iter().filter_map(|(pair, w)| Some((*pair, w.fit.ok()?.drift_ppb))).collect();
        match bounds {
            Ok(bounds) => {
                for (pair, knot) in knots_of(t, &bounds, &windows, &offsets) {
                    knots.entry(pair).or_default().push(knot);
                }
                composed
                    .moments
                    .extend(windows.into_iter().map(|(pair, window)| told(t, pair, window)));
            }
            Err(alarm) => composed.alarms.push(alarm),
        }
        t = t.saturating_add(step);
    }
    composed.tracks = knots.into_iter().map(|(pair, knots)| (pair, Track::new(knots))).collect();
    for moment in &mut composed.moments {
        let knot = composed.tracks.get(&moment.pair).and_then(|track| track.knot(moment.t));
        let own = moment.window.fit.ok().and_then(|fit| fit.offset_ns);
        moment.bounds = knot.and_then(|knot| knot.offset.bounds);
        moment.residual_ns = own.zip(knot).map(|(own, all)| own.saturating_sub(all.offset.ns));
    }
    composed
}

type Windows = Vec<(Pair, Window)>;

/// The bounds at a moment. A pair's traffic is ordered by its first clock, so
/// that the moment is looked up by what that clock showed then: by the offsets
/// found so far, again until they stay.
fn moment(
    n: usize,
    traffic: &BTreeMap<Pair, PairTraffic>,
    known: &[Interval],
    t: i64,
    offsets: &mut [i64],
    drifts: &BTreeMap<Pair, i64>,
) -> (Result<Bounds, Alarm>, Windows) {
    let mut found = (Err(Alarm { t, in_traffic: true }), Vec::new());
    for _ in 0..ROUNDS {
        let read = |clock: usize| t.saturating_add(offsets.get(clock).copied().unwrap_or(0));
        let windows: Windows =
            traffic.iter().map(|(&pair, own)| (pair, own.window(read(pair.0)))).collect();
        let bounds = closed(n, &windows, known, t, drifts);
        let mut moved = 0;
        if let Ok(bounds) = &bounds {
            for (clock, offset) in offsets.iter_mut().enumerate().skip(1) {
                let Some(own) = bounds.bounds((0, clock)) else { continue };
                moved = moved.max(middle(own).abs_diff(*offset));
                *offset = middle(own);
            }
        }
        found = (bounds, windows);
        if moved <= SETTLED_NS as u64 {
            break;
        }
    }
    found
}

/// How far an offset may stray from the line that a window took it for: a rate
/// that changed within the window moved its line's rate against that of the
/// window before, half of it earlier.
fn stray_ns(window: &Window, drift_ppb: i64, before_ppb: Option<i64>) -> i64 {
    let change = before_ppb.map_or(0, |before| drift_ppb.abs_diff(before));
    let change = change.min(HOLD_PPB.unsigned_abs()) as i64;
    share(window.span.1.saturating_sub(window.span.0), change, 2 * BILLION)
}

fn closed(
    n: usize,
    windows: &Windows,
    known: &[Interval],
    t: i64,
    drifts: &BTreeMap<Pair, i64>,
) -> Result<Bounds, Alarm> {
    let mut bounds = Bounds::new(n);
    for (pair, window) in windows {
        match window.fit {
            Ok(fit) => {
                let stray = stray_ns(window, fit.drift_ppb, drifts.get(pair).copied());
                let lo = fit.lo_ns.map(|lo| lo.saturating_sub(stray));
                bounds.between(*pair, lo, fit.hi_ns.map(|hi| hi.saturating_add(stray)));
            }
            Err(super::fit::Unbounded::None) => {}
            Err(super::fit::Unbounded::Contradiction) => {
                return Err(Alarm { t, in_traffic: true });
            }
        }
    }
    if !bounds.close() {
        return Err(Alarm { t, in_traffic: true });
    }
    for interval in known {
        bounds.between(interval.pair, Some(interval.lo_ns), Some(interval.hi_ns));
    }
    if bounds.close() { Ok(bounds) } else { Err(Alarm { t, in_traffic: false }) }
}

/// A knot of every pair that is bounded on both sides.
fn knots_of(t: i64, bounds: &Bounds, windows: &Windows, offsets: &[i64]) -> Vec<(Pair, Knot)> {
    let rates = rates(bounds.n, windows);
    let mut knots = Vec::new();
    for a in 0..bounds.n {
        for b in a + 1..bounds.n {
            let Some((lo, hi)) = bounds.bounds((a, b)) else { continue };
            let both = bounds.bounds((0, a)).and(bounds.bounds((0, b)));
            let apart = offsets.get(b).zip(offsets.get(a)).map(|(b, a)| b.saturating_sub(*a));
            let ns = both.and(apart).unwrap_or_else(|| middle((lo, hi))).max(lo).min(hi);
            let rate = |clock: usize| rates.get(clock).copied().unwrap_or(0);
            let residual = windows.iter().filter_map(|(_, w)| w.fit.ok()).map(|f| f.residual_ns);
            let knot = Knot {
                t,
                offset: Offset { ns, bounds: Some((lo, hi)) },
                drift_ppb: rate(b) - rate(a),
                residual_ns: residual.max().unwrap_or(0),
            };
            knots.push(((a, b), knot));
        }
    }
    knots
}

/// Rate of every clock against the reference, ppb, along pairs with traffic,
/// two-way ones first.
fn rates(n: usize, windows: &Windows) -> Vec<i64> {
    let mut edges: Vec<(bool, Pair, i64)> = windows
        .iter()
        .filter_map(|(pair, w)| Some((pair, w.fit.ok()?)))
        .map(|(&pair, fit)| (fit.offset_ns.is_none(), pair, fit.drift_ppb))
        .collect();
    edges.sort_unstable();
    let mut rates: Vec<Option<i64>> = (0..n).map(|clock| (clock == 0).then_some(0)).collect();
    for _ in 0..n {
        for &(_, (a, b), drift) in &edges {
            match (rates.get(a).copied().flatten(), rates.get(b).copied().flatten()) {
                (Some(rate), None) => rates[b] = Some(rate + drift),
                (None, Some(rate)) => rates[a] = Some(rate - drift),
                _ => {}
            }
        }
    }
    rates.into_iter().map(Option::unwrap_or_default).collect()
}

/// A pair with its own traffic; the rest is known once all moments are.
fn told(t: i64, pair: Pair, window: Window) -> Moment {
    Moment { pair, t, window, bounds: None, residual_ns: None }
}

#[cfg(test)]
mod tests {
    use super::super::fit::Sample;
    use super::super::gauge::Direction;
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Messages every ms round a ring of three clocks, one way only.
    fn ring(offsets: [i64; 3]) -> BTreeMap<Pair, PairTraffic> {
        let mut traffic: BTreeMap<Pair, PairTraffic> = BTreeMap::new();
        for ms in 0..3_000 {
            let t = ms * 1_000_000;
            for (from, to, delay) in [(0, 1, 1_000), (1, 2, 2_000), (2, 0, 4_000)] {
                let pair = (from.min(to), from.max(to));
                let stamps = (t + offsets[from], t + offsets[to] + delay);
                let (first, second, way) = if from < to {
                    (stamps.0, stamps.1, Direction::Forward)
                } else {
                    (stamps.1, stamps.0, Direction::Reverse)
                };
                let sample = Sample { t: first, d: second - first };
                traffic.entry(pair).or_default().add(sample, way, 1);
            }
        }
        traffic
    }

    #[test]
    fn a_ring_of_one_way_traffic_bounds_all() {
        let composed = compose(3, &ring([0, 500_000, -700_000]), &|_| Vec::new());
        assert_eq!(composed.alarms, []);
        for (pair, truth) in [((0, 1), 500_000), ((0, 2), -700_000), ((1, 2), -1_200_000)] {
            let offset = composed.tracks[&pair].at(SECOND).unwrap();
            let (lo, hi) = offset.bounds.unwrap();
            assert!(lo <= truth && truth <= hi, "{pair:?}: {lo} {truth} {hi}");
            assert!(hi - lo <= 7_000 + 20, "all delays of the ring: {lo} {hi}");
        }
    }

    #[test]
    fn what_is_known_narrows_and_a_contradiction_is_an_alarm() {
        let known = |lo_ns, hi_ns| move |_| vec![Interval { pair: (0, 1), lo_ns, hi_ns }];
        let traffic = ring([0, 500_000, -700_000]);
        let agrees = compose(3, &traffic, &known(499_960, 500_040));
        let (lo, hi) = agrees.tracks[&(0, 1)].at(SECOND).unwrap().bounds.unwrap();
        assert!(lo >= 499_950 && hi <= 500_050, "{lo} {hi}");
        let disagrees = compose(3, &traffic, &known(600_000, 600_100));
        let (lo, hi) = disagrees.tracks[&(0, 1)].at(SECOND).unwrap().bounds.unwrap();
        assert!(lo <= 500_000 && (500_000..600_000).contains(&hi), "the traffic's own: {lo} {hi}");
        assert!(disagrees.alarms.iter().all(|alarm| !alarm.in_traffic));
        assert!(!disagrees.alarms.is_empty());
    }
}
