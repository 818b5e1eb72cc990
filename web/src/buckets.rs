//! Round bucket widths for histograms and series.
//!
//! ```text
//! values 1180 ..= 1702, about 50 buckets  ->  width 20, from 1180: 1180, 1200, ..
//! ```

/// Equal buckets from `start`, `width` wide, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub start: i64,
    pub width: i64,
    pub count: i64,
}

impl Buckets {
    /// Buckets that hold `min ..= max`, at most `about` + 1 of them, with a
    /// width of 1, 2 or 5 times a power of ten.
    pub fn covering(min: i64, max: i64, about: i64) -> Self {
        let (min, max) = (i128::from(min), i128::from(max.max(min)));
        let width = round_up((max - min) / i128::from(about.max(1)) + 1);
        let start = min.div_euclid(width) * width;
        let count = (max - start) / width + 1;
        let start = i64::try_from(start).unwrap_or(i64::MIN);
        // Both are below the range of i64 divided by `about`, or one.
        let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        Self { start, width: narrow(width), count: narrow(count) }
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

    #[test]
    fn widths_are_round_and_every_value_has_a_bucket() {
        let cases = [(0, 0), (1180, 1702), (-970, 1440), (1, i64::MAX), (i64::MIN, i64::MAX)];
        for (min, max) in cases {
            for about in [1, 60, 240] {
                let buckets = Buckets::covering(min, max, about);
                let last =
                    (i128::from(max) - i128::from(buckets.start)) / i128::from(buckets.width);
                assert!(last < i128::from(buckets.count), "{min} {max} {about}: {buckets:?}");
                assert!(buckets.start <= min);
                assert!(buckets.count <= 2 * about + 2, "{min} {max} {about}: {buckets:?}");
            }
        }
        assert_eq!(
            Buckets::covering(1180, 1702, 50),
            Buckets { start: 1180, width: 20, count: 27 }
        );
    }
}
