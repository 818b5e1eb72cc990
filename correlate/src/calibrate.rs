//! What one signal seen at two points says of their clocks, or of the way
//! between them.
//!
//! ```text
//! splitter ─┬─ cable ─────────────> P1 (clock C1)     same message: ts at P2 - ts at P1
//!           └─ cable + delay_ns ──> P2 (clock C2)       = offset + drift x time + delay
//!
//! one clock:  smallest latency, less the stamps' noise = floor of the hop
//! two clocks: the line through all differences        = offset and drift
//! ```
//!
//! Only who knows the cables knows the delay: traffic cannot tell a constant
//! asymmetry from an offset. What comes out is written as configuration.

use crate::columns::Words;
use crate::run::CorrelateError;
use arrow::array::types::{TimestampNanosecondType, UInt16Type};
use arrow::array::{AsArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::ArrowPrimitiveType;
use arrow::error::ArrowError;
use taptrail_store::catalog::Store;
use taptrail_store::segment::reader::SegmentReader;

/// Most differences that are kept; where there are more, every second one goes,
/// as often as needed.
pub const SAMPLES_MAX: usize = 1 << 18;

/// Fewest differences that a line is drawn through.
pub const SAMPLES_MIN: usize = 16;

/// A difference farther from the line than so many times the usual distance is
/// no plain passage: a queue, or a link that is wrong.
const FAR: i64 = 8;

/// How often the line is drawn anew without what was far from it.
const ROUNDS: usize = 4;

const COLUMNS: &[&str] = &["kind", "from_point", "to_point", "from_ts", "to_ts", "skipped"];

const BILLION: i128 = 1_000_000_000;

/// One message at both points, ns since the epoch by their own clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// At the first point.
    pub from_ts: i64,
    /// At the second.
    pub to_ts: i64,
}

/// time(second clock) - time(first clock) = `offset_ns` + `drift_ppb` x (t - `at`) / 10^9
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// A moment, by the first clock.
    pub at: i64,
    /// Offset then, ns.
    pub offset_ns: i64,
    /// Change of the offset in whole parts per billion; what that leaves out is in
    /// the residual.
    pub drift_ppb: i64,
    /// No difference is farther from the line, ns; the stamps' noise comes on top.
    pub residual_ns: i64,
    /// Differences that the line was drawn through, and those left out.
    pub used: usize,
    /// Differences that were too far from it.
    pub far: usize,
}

/// The passages of a store from one point to the next, of its `same` links that
/// left no point out, evenly thinned to [`SAMPLES_MAX`].
///
/// # Errors
/// Where `links` cannot be read.
pub fn passages(store: &Store, from: &str, to: &str) -> Result<Vec<Passage>, CorrelateError> {
    let catalog = store.catalog()?;
    let mut thinned = Thinned::default();
    let files = catalog.correlate.iter().flat_map(|made| made.files_of("links"));
    for segment in files {
        for batch in SegmentReader::open(&store.file(segment), Some(COLUMNS), None)? {
            read(&batch?, (from, to), &mut thinned)?;
        }
    }
    Ok(thinned.kept)
}

fn read(
    batch: &RecordBatch,
    (from, to): (&str, &str),
    thinned: &mut Thinned,
) -> Result<(), CorrelateError> {
    let kind = Words::new(batch, "kind", |text| text == "same")?;
    let from_point = Words::new(batch, "from_point", |text| text == from)?;
    let to_point = Words::new(batch, "to_point", |text| text == to)?;
    let skipped = numbers::<UInt16Type>(batch, "skipped")?;
    let from_ts = numbers::<TimestampNanosecondType>(batch, "from_ts")?;
    let to_ts = numbers::<TimestampNanosecondType>(batch, "to_ts")?;
    for row in 0..batch.num_rows() {
        if kind.get(row) && from_point.get(row) && to_point.get(row) && skipped.value(row) == 0 {
            thinned.push(Passage { from_ts: from_ts.value(row), to_ts: to_ts.value(row) });
        }
    }
    Ok(())
}

fn numbers<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    let missing = || ArrowError::SchemaError(format!("links has no column {name} of its type"));
    column.cloned().ok_or_else(missing)
}

/// One of every so many, more of them as there come more.
#[derive(Debug)]
struct Thinned {
    kept: Vec<Passage>,
    one_of: usize,
    seen: usize,
}

impl Default for Thinned {
    fn default() -> Self {
        Self { kept: Vec::new(), one_of: 1, seen: 0 }
    }
}

impl Thinned {
    fn push(&mut self, passage: Passage) {
        if self.seen.is_multiple_of(self.one_of) {
            self.kept.push(passage);
        }
        self.seen += 1;
        if self.kept.len() >= SAMPLES_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.one_of *= 2;
        }
    }
}

/// The line through the differences of two clocks, of which `delay_ns` is the
/// way; `None` with fewer than [`SAMPLES_MIN`].
pub fn clocks(passages: &[Passage], delay_ns: i64) -> Option<Calibration> {
    let at = passages.iter().map(|p| p.from_ts).min()?;
    let point = |p: &Passage| {
        let apart = p.to_ts.saturating_sub(p.from_ts).saturating_sub(delay_ns);
        (p.from_ts.saturating_sub(at), apart)
    };
    let all: Vec<(i64, i64)> = passages.iter().map(point).collect();
    let mut used = all.clone();
    let mut line = Fit::of(&used)?;
    for _ in 0..ROUNDS {
        let mut apart: Vec<i64> = used.iter().map(|&point| line.residual(point)).collect();
        let middle = apart.len() / 2;
        let usual = *apart.select_nth_unstable(middle).1;
        let near = |&&point: &&(i64, i64)| line.residual(point) <= usual.saturating_mul(FAR).max(1);
        let kept: Vec<(i64, i64)> = all.iter().filter(near).copied().collect();
        let settled = kept.len() == used.len();
        used = kept;
        line = Fit::of(&used)?;
        if settled {
            break;
        }
    }
    Some(Calibration {
        at,
        offset_ns: line.at(0),
        drift_ppb: line.drift_ppb,
        residual_ns: used.iter().map(|&point| line.residual(point)).max()?,
        used: used.len(),
        far: all.len() - used.len(),
    })
}

/// The smallest latency of a hop on one clock less what both stamps may be
/// wrong by: no packet is faster. `None` without a passage.
pub fn floor_ns(passages: &[Passage], noise_ns: i64) -> Option<i64> {
    let smallest = passages.iter().map(|p| p.to_ts.saturating_sub(p.from_ts)).min()?;
    Some(smallest.saturating_sub(noise_ns).max(0))
}

/// A line by least squares, in whole numbers.
#[derive(Clone, Copy, Debug)]
struct Fit {
    mean: (i64, i64),
    drift_ppb: i64,
}

impl Fit {
    fn of(points: &[(i64, i64)]) -> Option<Self> {
        if points.len() < SAMPLES_MIN {
            return None;
        }
        let n = points.len() as i128;
        let sum =
            |of: fn(&(i64, i64)) -> i64| points.iter().map(|p| i128::from(of(p))).sum::<i128>();
        let mean = (sum(|p| p.0) / n, sum(|p| p.1) / n);
        // Microseconds: squares of a year of them, a quarter of a million times, fit.
        let centred =
            |p: &(i64, i64)| ((i128::from(p.0) - mean.0) / 1_000, i128::from(p.1) - mean.1);
        let products = points.iter().map(centred).map(|(x, y)| x.saturating_mul(y));
        let squares = points.iter().map(centred).map(|(x, _)| x.saturating_mul(x));
        let (xy, xx) = products
            .zip(squares)
            .fold((0i128, 0i128), |(xy, xx), (a, b)| (xy.saturating_add(a), xx.saturating_add(b)));
        let scaled = xy.saturating_mul(BILLION / 1_000).saturating_add(xx / 2);
        let drift = if xx == 0 { 0 } else { scaled.div_euclid(xx) };
        let whole = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Some(Self { mean: (whole(mean.0), whole(mean.1)), drift_ppb: whole(drift) })
    }

    fn at(&self, t: i64) -> i64 {
        let moved =
            i128::from(t.saturating_sub(self.mean.0)) * i128::from(self.drift_ppb) / BILLION;
        self.mean.1.saturating_add(moved.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    fn residual(&self, (t, apart): (i64, i64)) -> i64 {
        apart.saturating_sub(self.at(t)).saturating_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_700_000_000_000_000_000;

    fn signal(
        offset_ns: i64,
        drift_ppb: i64,
        delay_ns: i64,
        noise: impl Fn(i64) -> i64,
    ) -> Vec<Passage> {
        let at = |n: i64| START + n * 1_000_000;
        (0..5_000)
            .map(|n| {
                let drifted = n * 1_000_000 / 1_000_000 * drift_ppb / 1_000;
                let to_ts = at(n) + offset_ns + drifted + delay_ns + noise(n);
                Passage { from_ts: at(n), to_ts }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn offset_and_drift_are_found_within_the_noise(
            offset_ns in -10_000_000_000i64..10_000_000_000,
            drift_ppb in -50_000i64..50_000,
            delay_ns in 0i64..1_000,
            noise_ns in 0i64..20,
        ) {
            let noise = |n: i64| (n * 7_919 % 41 - 20) * noise_ns / 20;
            let found = clocks(&signal(offset_ns, drift_ppb, delay_ns, noise), delay_ns).unwrap();
            prop_assert_eq!(found.at, START);
            let bound = found.residual_ns + noise_ns + 1;
            prop_assert!((found.offset_ns - offset_ns).abs() <= bound, "{:?}", found);
            // Over the whole signal the line is right within its bound.
            let end = |offset: i64, drift: i64| offset + 5 * drift;
            let apart = end(found.offset_ns, found.drift_ppb) - end(offset_ns, drift_ppb);
            prop_assert!(apart.abs() <= bound + 1, "{:?}", found);
            // Whole parts per billion: 5 s of half of one, and what the signal rounds.
            prop_assert!(found.residual_ns <= 2 * noise_ns + 5, "{:?}", found);
        }
    }

    #[test]
    fn what_waited_in_a_queue_is_left_out() {
        let queued = |n: i64| if n % 10 == 3 { 4_000 + n } else { n % 7 - 3 };
        let found = clocks(&signal(1_500, 200, 0, queued), 0).unwrap();
        assert_eq!((found.used, found.far), (4_500, 500));
        assert!((found.offset_ns - 1_500).abs() <= 4, "{found:?}");
        assert!((found.drift_ppb - 200).abs() <= 2, "{found:?}");
    }

    #[test]
    fn a_floor_is_the_smallest_latency_less_the_noise() {
        let passages = signal(0, 0, 400, |n| n % 50);
        assert_eq!(floor_ns(&passages, 10), Some(390));
        assert_eq!(floor_ns(&passages, 1_000), Some(0));
        assert_eq!(floor_ns(&[], 10), None);
        assert_eq!(clocks(&passages[..SAMPLES_MIN - 1], 0), None);
    }

    #[test]
    fn more_than_fit_are_thinned_evenly() {
        let mut thinned = Thinned::default();
        for n in 0..3 * SAMPLES_MAX as i64 {
            thinned.push(Passage { from_ts: n, to_ts: n });
        }
        assert!(thinned.kept.len() < SAMPLES_MAX);
        let steps = thinned.kept.windows(2).map(|p| p[1].from_ts - p[0].from_ts);
        assert!(steps.clone().all(|step| step == 4), "{:?}", steps.max());
    }
}
