//! Latencies counted in mergeable histograms, negative ones too.
//!
//! ```text
//! ... -2000 -1000 | 0 1000 2000 ...     two HDR histograms of magnitudes,
//!      negative   |   positive          three digits each; smallest and largest exact
//! ```

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};

/// Digits that a bucket keeps.
const DIGITS: u8 = 3;

/// Samples from which the 99.9th percentile means something.
pub const P999_SAMPLES_MIN: u64 = 10_000;

/// Largest magnitude counted as it is, one day; larger ones count as this.
const MAGNITUDE_MAX: u64 = 86_400_000_000_000;

/// A distribution of latencies in ns.
#[derive(Clone, Debug)]
pub struct Latencies {
    negative: Histogram<u64>,
    positive: Histogram<u64>,
    range: Option<(i64, i64)>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// An empty histogram that grows with its values.
fn empty() -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).expect("three digits are allowed");
    histogram.auto(true);
    histogram
}

impl Latencies {
    /// No samples.
    pub fn new() -> Self {
        Self { negative: empty(), positive: empty(), range: None }
    }

    /// Counts one latency.
    pub fn record(&mut self, ns: i64) {
        let side = if ns < 0 { &mut self.negative } else { &mut self.positive };
        // Not the saturating way: that one does not grow the histogram.
        let counted = side.record(ns.unsigned_abs().min(MAGNITUDE_MAX));
        debug_assert!(counted.is_ok());
        let (min, max) = self.range.unwrap_or((ns, ns));
        self.range = Some((min.min(ns), max.max(ns)));
    }

    /// Adds another distribution's samples.
    pub fn merge(&mut self, other: &Self) {
        // Growing histograms of the same digits always fit each other.
        let fits = self.negative.add(&other.negative).and(self.positive.add(&other.positive));
        debug_assert!(fits.is_ok());
        self.range = match (self.range, other.range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, None) => one,
            (None, one) => one,
        };
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.negative.len() + self.positive.len()
    }

    /// Smallest sample, exact.
    pub fn min(&self) -> Option<i64> {
        self.range.map(|(min, _)| min)
    }

    /// Largest sample, exact.
    pub fn max(&self) -> Option<i64> {
        self.range.map(|(_, max)| max)
    }

    /// The smallest latency that at least `per_mille` of the samples do not
    /// exceed; to three digits. `None` without samples.
    pub fn per_mille(&self, per_mille: u32) -> Option<i64> {
        let (min, max) = self.range?;
        let count = u128::from(self.count());
        let rank = (count * u128::from(per_mille)).div_ceil(1000).max(1) as u64;
        let below = self.negative.len();
        let value = if rank <= below {
            -at_rank(&self.negative, below - rank + 1)
        } else {
            at_rank(&self.positive, rank - below)
        };
        Some(value.clamp(min, max))
    }

    /// The 99.9th percentile; `None` below [`P999_SAMPLES_MIN`] samples.
    pub fn p999(&self) -> Option<i64> {
        (self.count() >= P999_SAMPLES_MIN).then(|| self.per_mille(999)).flatten()
    }

    /// The distribution as one HDR histogram (V2 encoding) of latency - base,
    /// and the base: the smallest sample.
    pub fn encode(&self) -> (Vec<u8>, i64) {
        let base = self.min().unwrap_or(0);
        let mut shifted = empty();
        let signed = |histogram: &Histogram<u64>, sign: i64| -> Vec<(i64, u64)> {
            let recorded = histogram.iter_recorded();
            recorded.map(|v| (sign * v.value_iterated_to() as i64, v.count_at_value())).collect()
        };
        for (ns, count) in signed(&self.negative, -1).into_iter().chain(signed(&self.positive, 1)) {
            let above = ns.saturating_sub(base).max(0).unsigned_abs();
            let counted = shifted.record_n(above, count);
            debug_assert!(counted.is_ok());
        }
        let mut bytes = Vec::new();
        match V2Serializer::new().serialize(&shifted, &mut bytes) {
            Ok(_) => (bytes, base),
            Err(_) => (Vec::new(), base),
        }
    }
}

/// The value of the sample with this rank, from 1.
fn at_rank(histogram: &Histogram<u64>, rank: u64) -> i64 {
    let mut seen = 0;
    for value in histogram.iter_recorded() {
        seen += value.count_at_value();
        if seen >= rank {
            return value.value_iterated_to() as i64;
        }
    }
    histogram.max() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    fn of(samples: impl IntoIterator<Item = i64>) -> Latencies {
        let mut latencies = Latencies::new();
        samples.into_iter().for_each(|ns| latencies.record(ns));
        latencies
    }

    #[test]
    fn percentiles_cross_zero() {
        let latencies = of(-100..=100);
        assert_eq!(latencies.per_mille(0), Some(-100));
        assert_eq!(latencies.per_mille(500), Some(0));
        assert_eq!(latencies.per_mille(250), Some(-50));
        assert_eq!(latencies.max(), Some(100));
    }

    #[test]
    fn percentiles_of_large_values_are_right_to_three_digits() {
        let latencies = of((1..=100_000).map(|i| i * 1_000));
        let p50 = latencies.per_mille(500).unwrap();
        assert!((p50 - 50_000_000).abs() <= 50_000, "{p50}");
        let p99 = latencies.per_mille(990).unwrap();
        assert!((p99 - 99_000_000).abs() <= 99_000, "{p99}");
    }

    #[test]
    fn merged_halves_are_the_whole() {
        let mut merged = of((0..5_000).map(|i| i * 7 - 900));
        merged.merge(&of((5_000..12_000).map(|i| i * 7 - 900)));
        let whole = of((0..12_000).map(|i| i * 7 - 900));
        for per_mille in [1, 500, 900, 990] {
            assert_eq!(merged.per_mille(per_mille), whole.per_mille(per_mille));
        }
        assert_eq!(merged.p999(), whole.p999());
        assert!(whole.p999().is_some());
    }

    #[test]
    fn percentiles_are_the_sorted_samples_to_three_digits() {
        // Three digits hold to 1 in 1000, over ranges from ns to seconds.
        for scale in [1, 37, 4_001, 1_000_003] {
            let mut samples: Vec<i64> = (0..997).map(|i| (i * 7_919 % 997 - 400) * scale).collect();
            let latencies = of(samples.iter().copied());
            samples.sort_unstable();
            for per_mille in [1, 10, 250, 500, 900, 990, 1_000] {
                let rank = (samples.len() * per_mille).div_ceil(1000);
                let (exact, found) =
                    (samples[rank - 1], latencies.per_mille(per_mille as u32).unwrap());
                let apart = (exact - found).abs() * 1_000;
                assert!(apart <= exact.abs().max(1_000), "{scale} {per_mille}: {found} {exact}");
            }
            let (bytes, base) = latencies.encode();
            let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            let max = samples[996] - base;
            assert!(read.max().abs_diff(max as u64) * 500 <= max as u64 + 500);
        }
    }

    #[test]
    fn few_samples_hide_the_far_tail() {
        assert_eq!(of(0..9_999).p999(), None);
        assert_eq!(of([]).per_mille(500), None);
    }

    #[test]
    fn encoded_histogram_reads_back_above_its_base() {
        let (bytes, base) = of([-500, 20, 1_000]).encode();
        assert_eq!(base, -500);
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        assert_eq!((read.len(), read.max()), (3, 1_500));
    }
}
