//! Offsets of clocks against the truth.
//!
//! With traffic alone an offset cannot be known better than half of how much
//! the shortest ways there and back differ; that part is told apart.

use super::truth::Truth;
use super::{ppm, quantile};
use crate::config::Config;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use taptrail_store::tables::clocks::ClockRow;

/// The offset of one clock to another.
#[derive(Clone, Debug, Serialize)]
pub struct ClockScore {
    /// The clock.
    pub clock: String,
    /// What it is measured against.
    pub against: String,
    /// How it is known.
    pub method: String,
    /// Windows with an offset.
    pub windows: u64,
    /// Windows without.
    pub unknown: u64,
    /// Offsets whose true value is within the bound, per million.
    pub coverage_ppm: Option<u64>,
    /// Median of estimate minus truth.
    pub error_p50_ns: i64,
    /// 99th percentile of how far an estimate is off, without its sign.
    pub error_p99_ns: i64,
    /// Half of the shortest way back less the shortest way there.
    pub asymmetry_ns: Option<i64>,
    /// Median half width of the bounds.
    pub bound_p50_ns: i64,
}

#[derive(Debug, Default)]
struct Sums {
    errors: Vec<i64>,
    bounds: Vec<i64>,
    within: u64,
    unknown: u64,
}

/// Takes rows of `clocks` in.
#[derive(Debug)]
pub struct Clocks<'t> {
    truth: &'t Truth,
    /// The clock of each point.
    clocks: BTreeMap<String, String>,
    sums: BTreeMap<(String, String, String), Sums>,
}

impl<'t> Clocks<'t> {
    /// Before the first row; the simulation's configuration in `dir` says
    /// which clock stamps where.
    ///
    /// # Errors
    /// Where the configuration cannot be read.
    pub fn new(truth: &'t Truth, dir: &Path) -> anyhow::Result<Self> {
        let config = Config::load(Some(&dir.join("taptrail.toml")))?;
        let clock = |point: &taptrail_capture::point::PointConfig| {
            Some((point.name.to_string(), point.clock.clone()?))
        };
        let clocks = config.points.iter().filter_map(clock).collect();
        Ok(Self { truth, clocks, sums: BTreeMap::new() })
    }

    /// Takes a row in. Its offset is that of the middle of its window.
    pub fn add(&mut self, row: &ClockRow) {
        let key = (row.clock_from.to_string(), row.clock_to.to_string(), row.method.to_string());
        let sums = self.sums.entry(key).or_default();
        let Some(offset_ns) = row.offset_ns else {
            sums.unknown += 1;
            return;
        };
        let known = self.truth.offsets.values().next();
        let ends = known.and_then(|known| Some((known.first()?.0, known.last()?.0)));
        let Some((first_ns, last_ns)) = ends else { return };
        let (lo, hi) = (row.ts_lo.unwrap_or(first_ns), row.ts_hi.unwrap_or(last_ns));
        // A row without a window says what its offset is at the start.
        let stamped_ns = if row.ts_lo.is_some() { lo + (hi - lo) / 2 } else { first_ns };
        let own = self.truth.offset_at(&row.clock_to, stamped_ns).unwrap_or(0);
        let true_ns = stamped_ns - own;
        let at = |clock: &str| self.truth.offset_at(clock, true_ns);
        let (Some(from), Some(to)) = (at(&row.clock_from), at(&row.clock_to)) else { return };
        let error_ns = offset_ns - (from - to);
        sums.errors.push(error_ns);
        if let Some(bound_ns) = row.bound_ns {
            sums.bounds.push(bound_ns);
            sums.within += u64::from(error_ns.abs() <= bound_ns);
        }
    }

    /// The scores of all rows taken in.
    pub fn finish(self) -> Vec<ClockScore> {
        let Self { truth, clocks, sums } = self;
        let asymmetry = |from: &str, to: &str| {
            let shortest = |a: &str, b: &str| {
                let on = |point: &str, clock: &str| clocks.get(point).is_some_and(|of| of == clock);
                let ways = truth.shortest.iter();
                let ways = ways.filter(|((p, q), _)| on(p, a) && on(q, b));
                ways.map(|(_, ns)| *ns).min()
            };
            Some((shortest(to, from)? - shortest(from, to)?) / 2)
        };
        let score = |((clock, against, method), mut sums): ((String, String, String), Sums)| {
            sums.errors.sort_unstable();
            sums.bounds.sort_unstable();
            let error_p50_ns = quantile(&sums.errors, 500);
            let mut off: Vec<i64> = sums.errors.iter().map(|error| error.abs()).collect();
            off.sort_unstable();
            ClockScore {
                asymmetry_ns: asymmetry(&clock, &against),
                clock,
                against,
                method,
                windows: sums.errors.len() as u64,
                unknown: sums.unknown,
                coverage_ppm: ppm(sums.within, sums.bounds.len() as u64),
                error_p50_ns,
                error_p99_ns: quantile(&off, 990),
                bound_p50_ns: quantile(&sums.bounds, 500),
            }
        };
        sums.into_iter().map(score).collect()
    }
}
