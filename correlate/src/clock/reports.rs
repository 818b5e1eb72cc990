//! What nodes said of their own clocks, as bounds on them.
//!
//! ```text
//! chrony   system clock       within its bound of UTC ───────────┐
//! ptp4l    adapter's clock    |offset| + budget of UTC ──phc──>  ├─ clock that stamps
//! phc      adapter - system   half the distance of two reads ────┘
//!
//! C1 - UTC in [-40, 40] us, C2 - UTC in [-9, 9] us  ──>  C2 - C1 in [-49, 49] us
//! ```
//!
//! Chrony's bound holds: it sums delay and dispersion up to its source. PTP
//! tells an offset without one, since the path's asymmetry and the
//! grandmaster's own error are unknown; where the user vouches for both, they
//! are added. The kernel's `maxerror` is no bound where linuxptp sets the clock.

use super::Clocks;
use super::compose::Interval;
use crate::config::CorrelateConfig;
use crate::points::Points;
use crate::run::CorrelateError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::clock_stats::ClockStatsRow;
use taptrail_store::tables::row::Row;

/// How long what was said holds, before and after, ns.
const HOLD_NS: i64 = 5_000_000_000;

/// Most reports kept of one clock, three days of a second each; later ones are
/// left out.
pub const REPORTS_MAX: usize = 1 << 18;

const SECOND_NS: i64 = 1_000_000_000;

/// How far a clock was from UTC, ns: at least, at most.
type Error = (i64, i64);

/// What was said of one clock, by its own time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said(Vec<(i64, Error)>);

impl Said {
    fn add(&mut self, ts: i64, error: Error) {
        if self.0.len() < REPORTS_MAX {
            let place = self.0.partition_point(|(other, _)| *other <= ts);
            self.0.insert(place, (ts, error));
        }
    }

    /// All that was said around a time together.
    fn around(&self, t: i64) -> Option<Error> {
        let from = self.0.partition_point(|(ts, _)| *ts < t.saturating_sub(HOLD_NS));
        let until = |ts: i64| ts <= t.saturating_add(HOLD_NS);
        let said = self.0.iter().skip(from).take_while(|(ts, _)| until(*ts));
        said.map(|(_, error)| *error).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// What was said of all clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reports(BTreeMap<usize, Said>);

impl Reports {
    /// Takes how far a clock was from UTC at its own time `ts`.
    pub fn add(&mut self, clock: usize, ts: i64, error: Error) {
        self.0.entry(clock).or_default().add(ts, error);
    }

    /// What bounds the pairs of clocks at a time.
    pub fn known(&self, t: i64) -> Vec<Interval> {
        let told: Vec<(usize, Error)> =
            self.0.iter().filter_map(|(&clock, said)| Some((clock, said.around(t)?))).collect();
        let mut known = Vec::new();
        for (place, &(a, (a_lo, a_hi))) in told.iter().enumerate() {
            for &(b, (b_lo, b_hi)) in told.iter().skip(place + 1) {
                let (lo_ns, hi_ns) = (b_lo.saturating_sub(a_hi), b_hi.saturating_sub(a_lo));
                known.push(Interval { pair: (a, b), lo_ns, hi_ns });
            }
        }
        known
    }
}

/// What was said last of the clocks of one interface.
#[derive(Clone, Copy, Debug, Default)]
struct Interface {
    system: Option<(i64, Error)>,
    adapter: Option<(i64, Error)>,
    /// Adapter's less system's.
    apart: Option<(i64, Error)>,
    /// Whether the adapter's clock stamps; `None` where that is not known.
    is_adapter: Option<bool>,
}

impl Interface {
    /// Takes a row; gives how far the clock that stamps is from UTC, where that
    /// follows by now.
    fn take(&mut self, row: &ClockStatsRow, ptp_bound_ns: Option<i64>) -> Option<Error> {
        let is_set = &*row.state == "synchronised";
        match &*row.source {
            "stamp" => {
                self.is_adapter = match row.reference.as_deref() {
                    Some("system") => Some(false),
                    Some("adapter") => Some(true),
                    _ => None,
                };
            }
            "chrony" => {
                let bound = row.bound_ns.filter(|_| is_set);
                self.system = bound.map(|bound| (row.ts, (bound.saturating_neg(), bound)));
            }
            "ptp4l" => {
                let offset = row.offset_ns.filter(|_| is_set);
                let bound = offset.zip(ptp_bound_ns);
                let bound = bound.map(|(ns, budget)| ns.saturating_abs().saturating_add(budget));
                self.adapter = bound.map(|bound| (row.ts, (bound.saturating_neg(), bound)));
            }
            "phc" => {
                let ends = row.offset_ns.zip(row.bound_ns);
                self.apart = ends.map(|(ns, bound)| {
                    let ns = without_seconds(ns);
                    (row.ts, (ns.saturating_sub(bound), ns.saturating_add(bound)))
                });
            }
            _ => return None,
        }
        self.error(row.ts)
    }

    fn error(&self, now: i64) -> Option<Error> {
        let fresh = |said: Option<(i64, Error)>| {
            said.filter(|(ts, _)| now.saturating_sub(*ts).saturating_abs() <= HOLD_NS).map(|s| s.1)
        };
        let (system, adapter) = (fresh(self.system), fresh(self.adapter));
        let apart = fresh(self.apart);
        let (own, over) = if self.is_adapter? {
            let over = system.zip(apart).map(|((lo, hi), (least, most))| {
                (lo.saturating_add(least), hi.saturating_add(most))
            });
            (adapter, over)
        } else {
            let over = adapter.zip(apart).map(|((lo, hi), (least, most))| {
                (lo.saturating_sub(most), hi.saturating_sub(least))
            });
            (system, over)
        };
        match (own, over) {
            (Some(a), Some(b)) => Some((a.0.max(b.0), a.1.min(b.1))).filter(|(lo, hi)| lo <= hi),
            (one, other) => one.or(other),
        }
    }
}

/// A clock that counts TAI is whole seconds from one that counts UTC.
fn without_seconds(ns: i64) -> i64 {
    (ns.saturating_add(SECOND_NS / 2)).rem_euclid(SECOND_NS).saturating_sub(SECOND_NS / 2)
}

/// Hears what the nodes of captures said.
#[derive(Debug, Default)]
pub struct Nodes {
    ptp_bound_ns: Option<i64>,
    interfaces: BTreeMap<(u64, u32), Interface>,
    /// Captures that were heard.
    heard: BTreeSet<u64>,
}

impl Nodes {
    /// Has heard nothing.
    pub fn new(settings: &CorrelateConfig) -> Self {
        let ptp_bound_ns = settings.ptp_bound_ns.map(|ns| i64::try_from(ns).unwrap_or(i64::MAX));
        Self { ptp_bound_ns, ..Self::default() }
    }

    /// Tells `clocks` what the nodes of captures said that were not heard yet.
    ///
    /// # Errors
    /// Where a capture cannot be read.
    pub fn hear(
        &mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &Points,
        clocks: &mut Clocks,
    ) -> Result<(), CorrelateError> {
        let says = |import: &ImportManifest| import.files_of("clock_stats").next().is_some();
        let new = imports.iter().filter(|i| says(i) && self.heard.insert(i.capture_id));
        let new: Vec<_> = new.cloned().collect();
        each(store, &new, |import, row| {
            let error = self.take(row);
            if let Some((point, error)) = points.find(&import.point).zip(error) {
                clocks.report(point, row.ts, error);
            }
        })
    }

    /// Takes a row; gives what it says of the clock that stamps.
    fn take(&mut self, row: &ClockStatsRow) -> Option<Error> {
        let interface = self.interfaces.entry((row.capture_id, row.interface)).or_default();
        interface.take(row, self.ptp_bound_ns)
    }
}

/// Gives every row of `clock_stats` of some captures, those of one in order of time.
///
/// # Errors
/// Where one cannot be read.
pub fn each(
    store: &Store,
    imports: &[Arc<ImportManifest>],
    mut take: impl FnMut(&ImportManifest, &ClockStatsRow),
) -> Result<(), CorrelateError> {
    for import in imports {
        for segment in import.files_of("clock_stats") {
            for batch in SegmentReader::of(store, segment, None)? {
                let rows = ClockStatsRow::from_batch(&batch?)?;
                rows.iter().for_each(|row| take(import, row));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::compose::compose;
    use super::super::fit::Sample;
    use super::super::gauge::{Direction, PairTraffic};
    use super::super::{Gauge, Stamp};
    use super::*;
    use taptrail_capture::point::PointConfig;

    fn said(source: &str, ts: i64, offset_ns: i64, bound_ns: Option<i64>) -> ClockStatsRow {
        ClockStatsRow {
            ts,
            source: source.into(),
            state: "synchronised".into(),
            offset_ns: Some(offset_ns),
            bound_ns,
            ..ClockStatsRow::default()
        }
    }

    fn stamped_by(clock: &str) -> ClockStatsRow {
        ClockStatsRow { reference: Some(clock.into()), ..said("stamp", 0, 0, None) }
    }

    fn errors(rows: &[ClockStatsRow], ptp_bound_ns: Option<u64>) -> Option<Error> {
        let settings = CorrelateConfig { ptp_bound_ns, ..CorrelateConfig::default() };
        let mut nodes = Nodes::new(&settings);
        rows.iter().map(|row| nodes.take(row)).last().flatten()
    }

    #[test]
    fn chrony_bounds_the_system_clock() {
        let chrony = said("chrony", 1, -500, Some(40_000));
        assert_eq!(errors(&[stamped_by("system"), chrony.clone()], None), Some((-40_000, 40_000)));
        assert_eq!(
            errors(std::slice::from_ref(&chrony), None),
            None,
            "whose clock stamps is not known"
        );
        assert_eq!(errors(&[stamped_by("both"), chrony.clone()], None), None);
        let lost = ClockStatsRow { state: "unsynchronised".into(), ..chrony };
        assert_eq!(errors(&[stamped_by("system"), lost], None), None);
    }

    #[test]
    fn ptp_bounds_what_the_user_vouches_for() {
        let rows = [stamped_by("adapter"), said("ptp4l", 1, -30, None)];
        assert_eq!(errors(&rows, None), None);
        assert_eq!(errors(&rows, Some(200)), Some((-230, 230)));
    }

    #[test]
    fn the_adapters_clock_is_bound_over_the_systems_and_back() {
        let apart = said("phc", 1, 37 * SECOND_NS + 1_000, Some(100));
        let chrony = said("chrony", 1, 0, Some(40_000));
        let adapter = [stamped_by("adapter"), apart.clone(), chrony];
        assert_eq!(errors(&adapter, None), Some((-40_000 + 900, 40_000 + 1_100)));
        let system = [stamped_by("system"), apart, said("ptp4l", 1, 30, None)];
        assert_eq!(errors(&system, Some(200)), Some((-230 - 1_100, 230 - 900)));
    }

    #[test]
    fn what_is_said_holds_for_a_while_and_bounds_pairs() {
        let mut reports = Reports::default();
        reports.add(0, SECOND_NS, (-10, 10));
        reports.add(2, SECOND_NS, (-5, 7));
        reports.add(2, 2 * SECOND_NS, (-6, 3));
        let known = reports.known(SECOND_NS);
        assert_eq!(known, [Interval { pair: (0, 2), lo_ns: -16, hi_ns: 17 }]);
        assert!(reports.known(SECOND_NS + HOLD_NS + 1).is_empty());
    }

    /// Messages one way from P1 to P2 in 2 us, whose clock is 5 us ahead.
    fn one_way(reported: bool) -> Option<(i64, i64)> {
        let point = |name: &str, clock: &str| PointConfig {
            clock: Some(clock.to_owned()),
            ..PointConfig::named(name.to_owned().try_into().unwrap())
        };
        let points = Points::new(&[point("P1", "C1"), point("P2", "C2")], &[]);
        let mut clocks = Clocks::new(&points, &[], &[]);
        let (from, to) = (|ts| Stamp { point: 0, ts }, |ts| Stamp { point: 1, ts: ts + 7_000 });
        let mut gauge = Gauge::default();
        for ms in 0..3_000 {
            gauge.add(from(ms * 1_000_000), to(ms * 1_000_000), &clocks);
        }
        for second in (0..3).filter(|_| reported) {
            clocks.report(0, second * SECOND_NS, (-20_000, 20_000));
            clocks.report(1, second * SECOND_NS, (-1_000, 6_000));
        }
        let measured = clocks.measured(&gauge);
        measured.latency(from(SECOND_NS), to(SECOND_NS), true).bounds
    }

    #[test]
    fn one_way_traffic_is_bounded_by_what_nodes_say() {
        assert_eq!(one_way(false), None);
        let (lo, hi) = one_way(true).unwrap();
        assert!(lo <= 2_000 && 2_000 <= hi, "{lo} {hi}");
        assert!(hi <= 7_000 + 21_000 + 1_000, "{lo} {hi}");
    }

    #[test]
    fn a_node_that_is_wrong_is_told_and_not_believed() {
        let composed = |error: Error| {
            let mut reports = Reports::default();
            reports.add(0, SECOND_NS, (0, 0));
            reports.add(1, SECOND_NS, error);
            let mut two_way = PairTraffic::default();
            for ms in 0..2_000 {
                let (t, d) = (ms * 1_000_000, 5_000);
                two_way.add(Sample { t, d: d + 1_000 }, Direction::Forward, 1);
                two_way.add(Sample { t, d: d - 1_000 }, Direction::Reverse, 1);
            }
            let traffic = BTreeMap::from([((0, 1), two_way)]);
            let composed = compose(2, &traffic, &|t| reports.known(t));
            let (lo, hi) = composed.tracks[&(0, 1)].at(SECOND_NS).unwrap().bounds.unwrap();
            (lo <= 5_000 && 5_000 <= hi, hi - lo < 1_000, !composed.alarms.is_empty())
        };
        assert_eq!(composed((4_800, 5_200)), (true, true, false), "narrower than the traffic's");
        assert_eq!(composed((90_000, 91_000)), (true, false, true));
    }
}
