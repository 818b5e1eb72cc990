//! Gathers what crosses between two clocks, in bounded memory.
//!
//! ```text
//! link P1 (C1) -> P2 (C2)  ──> pair C1 C2, forward ┐ buckets of time with their
//! link P6 (C3) -> P1 (C1)  ──> pair C1 C3, reverse ┘ extremes ──windows──> track
//! ```
//!
//! Buckets stay for the whole run, since links come late. Where there are too
//! many, neighbours are joined: longer days have longer windows.

use super::fit::{Fit, Sample, Unbounded, fit};
use std::collections::BTreeMap;

/// First length of a bucket, ns.
pub const BUCKET_NS: i64 = 20_000_000;

/// Buckets of a window: 1 s at first. Windows start half of that apart.
pub const WINDOW_BUCKETS: i64 = 50;

/// Buckets of one pair of clocks. One costs about 200 bytes.
pub const BUCKETS_MAX: usize = 1 << 18;

/// Extremes kept of each bucket and direction.
const EXTREMES: usize = 4;

/// Fewest samples each way of a window; with fewer it is made wider.
const SAMPLES_MIN: usize = 16;

/// How many times a window is made twice as wide.
const WIDENINGS: u32 = 4;

/// Which way a message went between the clocks of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first clock to the second.
    Forward,
    /// From the second to the first.
    Reverse,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    forward: Vec<Sample>,
    reverse: Vec<Sample>,
    counts: (u32, u32),
}

impl Bucket {
    fn keep(kept: &mut Vec<Sample>, sample: Sample, worse: impl Fn(&Sample) -> bool) {
        let place = kept.partition_point(|other| !worse(other));
        if place < EXTREMES {
            kept.insert(place, sample);
            kept.truncate(EXTREMES);
        }
    }

    fn add(&mut self, sample: Sample, direction: Direction) {
        match direction {
            Direction::Forward => {
                self.counts.0 = self.counts.0.saturating_add(1);
                Self::keep(&mut self.forward, sample, |o| (o.d, o.t) > (sample.d, sample.t));
            }
            Direction::Reverse => {
                self.counts.1 = self.counts.1.saturating_add(1);
                Self::keep(&mut self.reverse, sample, |o| (o.d, o.t) < (sample.d, sample.t));
            }
        }
    }

    fn join(&mut self, other: Self) {
        let (forward, reverse) = self.counts;
        other.forward.into_iter().for_each(|s| self.add(s, Direction::Forward));
        other.reverse.into_iter().for_each(|s| self.add(s, Direction::Reverse));
        self.counts =
            (forward.saturating_add(other.counts.0), reverse.saturating_add(other.counts.1));
    }
}

/// What one window of a pair says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Start and end by the first clock, ns.
    pub span: (i64, i64),
    /// The moment asked for.
    pub at: i64,
    /// Offset then, or why there is none.
    pub fit: Result<Fit, Unbounded>,
    /// Messages forward and in reverse.
    pub samples: (u32, u32),
}

/// The traffic between two clocks.
#[derive(Clone, Debug)]
pub struct PairTraffic {
    bucket_ns: i64,
    buckets: BTreeMap<i64, Bucket>,
    noise_ns: i64,
}

impl Default for PairTraffic {
    fn default() -> Self {
        Self { bucket_ns: BUCKET_NS, buckets: BTreeMap::new(), noise_ns: 0 }
    }
}

impl PairTraffic {
    /// Takes a difference of two stamps that is wrong by `noise_ns` at most.
    pub fn add(&mut self, sample: Sample, direction: Direction, noise_ns: i64) {
        self.noise_ns = self.noise_ns.max(noise_ns);
        let number = sample.t.div_euclid(self.bucket_ns);
        self.buckets.entry(number).or_default().add(sample, direction);
        if self.buckets.len() > BUCKETS_MAX {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.bucket_ns = self.bucket_ns.saturating_mul(2);
        let fine = std::mem::take(&mut self.buckets);
        for (number, bucket) in fine {
            self.buckets.entry(number.div_euclid(2)).or_default().join(bucket);
        }
    }

    /// First and last time of traffic, by the first clock.
    pub fn span(&self) -> Option<(i64, i64)> {
        let (first, last) = self.buckets.first_key_value().zip(self.buckets.last_key_value())?;
        let start = |number: i64| number.saturating_mul(self.bucket_ns);
        Some((start(*first.0), start(last.0 + 1)))
    }

    /// How far apart windows are, ns: half their length.
    pub fn step_ns(&self) -> i64 {
        self.bucket_ns.saturating_mul(WINDOW_BUCKETS / 2)
    }

    /// The window around a time by the first clock, wider where there is
    /// little in it.
    pub fn window(&self, at: i64) -> Window {
        let middle = at.div_euclid(self.bucket_ns);
        let mut half = WINDOW_BUCKETS / 2;
        let widest = half << WIDENINGS;
        let (forward, reverse) = self.counts(middle - widest, middle + widest);
        let one_way = forward.min(reverse) == 0;
        for _ in 0..WIDENINGS {
            let (forward, reverse) = self.counts(middle - half, middle + half);
            let fewest = if one_way { forward.max(reverse) } else { forward.min(reverse) };
            if fewest as usize >= SAMPLES_MIN {
                break;
            }
            half *= 2;
        }
        let (from, to) = (middle - half, middle + half);
        let side = |pick: fn(&Bucket) -> &Vec<Sample>| -> Vec<Vec<Sample>> {
            let buckets = self.buckets.range(from..to);
            buckets.map(|(_, b)| pick(b).clone()).filter(|kept| !kept.is_empty()).collect()
        };
        Window {
            at,
            span: (from.saturating_mul(self.bucket_ns), to.saturating_mul(self.bucket_ns)),
            fit: fit(at, &side(|b| &b.forward), &side(|b| &b.reverse), self.noise_ns),
            samples: self.counts(from, to),
        }
    }

    fn counts(&self, from: i64, to: i64) -> (u32, u32) {
        self.buckets.range(from..to).fold((0, 0), |(forward, reverse), (_, bucket)| {
            (forward.saturating_add(bucket.counts.0), reverse.saturating_add(bucket.counts.1))
        })
    }
}
