//! The one kind of time used everywhere: integer nanoseconds since the Unix
//! epoch, UTC.

use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00 UTC, leap seconds not counted.
///
/// Covers the years 1677 to 2262. Never a float: a `f64` holds epoch
/// nanoseconds only to about 256 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// From whole seconds and nanoseconds; `None` where the sum leaves the range.
    pub fn from_sec_ns(sec: i64, ns: i64) -> Option<Self> {
        sec.checked_mul(1_000_000_000)?.checked_add(ns).map(Self)
    }

    /// Nanoseconds since the epoch.
    pub const fn ns(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    /// `seconds.nanoseconds` since the epoch, nine digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", abs / 1_000_000_000, abs % 1_000_000_000)
    }
}

/// From when on international atomic time is ahead of UTC, and by how many
/// seconds (IERS Bulletin C), newest first. Captures are not older than these.
const LEAPS: [(i64, i64); 5] = [
    (1_483_228_800, 37),
    (1_435_708_800, 36),
    (1_341_100_800, 35),
    (1_230_768_000, 34),
    (i64::MIN, 33),
];

/// UTC of a time that counts the seconds of international atomic time since the
/// epoch, as PTP and some switches do.
pub fn tai_to_utc(tai: Timestamp) -> Timestamp {
    let sec = tai.ns().div_euclid(1_000_000_000);
    let ahead = LEAPS.iter().find(|(from, ahead)| sec.saturating_sub(*ahead) >= *from);
    let ahead_ns = ahead.map_or(0, |(_, ahead)| ahead * 1_000_000_000);
    Timestamp(tai.ns().saturating_sub(ahead_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nine_digits_and_sign() {
        assert_eq!(Timestamp::from_ns(1_500_000_001).to_string(), "1.500000001");
        assert_eq!(Timestamp::from_ns(-1).to_string(), "-0.000000001");
        assert_eq!(Timestamp::from_ns(i64::MIN).to_string(), "-9223372036.854775808");
    }

    #[test]
    fn atomic_time_is_ahead_by_the_leap_seconds() {
        let utc =
            |sec: i64| tai_to_utc(Timestamp::from_ns(sec * 1_000_000_000)).ns() / 1_000_000_000;
        assert_eq!(utc(1_700_000_037), 1_700_000_000);
        assert_eq!(utc(1_483_228_800 + 37), 1_483_228_800);
        assert_eq!(utc(1_483_228_799 + 36), 1_483_228_799);
        assert_eq!(tai_to_utc(Timestamp::from_ns(i64::MIN)).ns(), i64::MIN);
    }

    #[test]
    fn out_of_range_is_none() {
        assert_eq!(Timestamp::from_sec_ns(i64::MAX, 0), None);
        assert_eq!(Timestamp::from_sec_ns(9_223_372_036, 854_775_808), None);
    }
}
