//! Round bucket widths for histograms and series.
//!
//! ```text
//! values 1180 ..= 1702, about 50 buckets  ->  width 20, from 1180: 1180, 1200, ..
//! ```

/// No time or latency is further from zero: the year 2116.
const FAR: i64 = 1 << 62;

/// Equal buckets from `start`, `width` wide, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub start: i64,
    pub width: i64,
    pub count: i64,
}

impl Buckets {
    /// Buckets that hold `min ..= max` (values beyond [`FAR`] excepted), about
    /// `about` of them, which must be at least 10, with a width of 1, 2 or 5
    /// times a power of ten.
    pub fn covering(min: i64, max: i64, about: i64) -> Self {
        let min = min.clamp(-FAR, FAR);
        let max = max.clamp(min, FAR);
        let range = i128::from(max) - i128::from(min);
        let width = round_up(range / i128::from(about.max(10)) + 1);
        let start = i128::from(min).div_euclid(width) * width;
        let count = (i128::from(max) - start) / width + 1;
        // The range is at most 2^63 and the width a part of it: nothing is cut.
        let fits = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        Self { start: fits(start), width: fits(width), count: fits(count) }
    }

    /// SQL for the number of the bucket that `value` falls into.
    pub fn sql(&self, value: &str) -> String {
        let Self { start, width, .. } = self;
        format!("(({value}) - ({start})) / {width}")
    }
}

/// The smallest 1, 2 or 5 times a power of ten that is at least `value`.
fn round_up(value: i128) -> i128 {
    let mut power = 1;
    loop {
        if let Some(step) = [1, 2, 5].into_iter().find(|step| step * power >= value) {
            return step * power;
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn widths_are_round() {
        let buckets = Buckets::covering(1180, 1702, 50);
        assert_eq!(buckets, Buckets { start: 1180, width: 20, count: 27 });
    }

    proptest! {
        #[test]
        fn every_value_has_a_bucket(a: i64, b: i64, near in 0..100_000_i64, about in 10..300_i64) {
            let far = (a.min(b), a.max(b));
            for (min, max) in [far, (a, a.saturating_add(near))] {
                let Buckets { start, width, count } = Buckets::covering(min, max, about);
                let (min, max) = (min.clamp(-FAR, FAR), max.clamp(-FAR, FAR));
                let bucket = |value: i64| (i128::from(value) - i128::from(start)) / i128::from(width);
                prop_assert!(start <= min && bucket(min) == 0);
                prop_assert!(bucket(max) < i128::from(count));
                prop_assert!(count <= about + 2);
            }
        }
    }
}
