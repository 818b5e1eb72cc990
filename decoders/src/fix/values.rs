//! Values of FIX data types, exact: numbers without floats, times in integer
//! nanoseconds (FIX data types, "int", "float", "UTCTimestamp", "TZTimestamp").

use super::words;

/// Places after the point that the decimal columns keep.
const PLACES: usize = 9;

/// Most digits before the point, so that the value times 10^9 has at most 38.
const WHOLE_DIGITS_MAX: usize = 29;

/// A value with what was unusual about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// As the standard writes it.
    Regular(T),
    /// Certain, but written in another way than the standard's.
    Irregular(T),
    /// No value, or none that fits.
    Bad,
}

impl<T> Parsed<T> {
    /// The value, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Regular(value) | Self::Irregular(value) => Some(value),
            Self::Bad => None,
        }
    }

    /// Whether it is anything but regular.
    pub fn irregular(&self) -> bool {
        !matches!(self, Self::Regular(_))
    }
}

/// A number of digits alone; leading zeros are legal.
#[inline]
pub fn unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    if text.len() <= 18 {
        let mut value = 0u64;
        for &byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        return Some(value);
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A number written the one canonical way: digits, no leading zero, in 64 bits.
#[inline]
pub fn canonical_unsigned(text: &[u8]) -> Option<u64> {
    if text.len() > 1 && text.first() == Some(&b'0') {
        return None;
    }
    unsigned(text)
}

/// The number after the last byte that is no digit: all of `88123`, the end of
/// `FEED-A:88123`.
pub fn trailing_unsigned(text: &[u8]) -> Option<u64> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    unsigned(text.get(text.len() - digits..)?)
}

/// A decimal as `mantissa` x 10^-`scale`, with the digits as written.
pub fn decimal(text: &[u8]) -> Parsed<(i128, i32)> {
    let (negative, plus, digits) = sign(text);
    let mut mantissa = 0i128;
    let mut scale = None;
    let mut count = 0;
    for &byte in digits {
        match byte {
            b'0'..=b'9' if count < 38 => {
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                count += usize::from(mantissa != 0);
                scale = scale.map(|places: i32| places.saturating_add(1));
            }
            b'.' if scale.is_none() => scale = Some(0),
            _ => return Parsed::Bad,
        }
    }
    if digits.is_empty() || digits == b"." {
        return Parsed::Bad;
    }
    let value = (if negative { -mantissa } else { mantissa }, scale.unwrap_or(0));
    if plus { Parsed::Irregular(value) } else { Parsed::Regular(value) }
}

/// A decimal times 10^9, exactly: [`Parsed::Bad`] where places beyond the
/// ninth are not zero, or it is no decimal.
#[inline]
pub fn decimal9(text: &[u8]) -> Parsed<i128> {
    match short_decimal9(text) {
        Some(value) => Parsed::Regular(value),
        None => long_decimal9(text),
    }
}

/// The usual case: few digits, at most nine places.
#[inline]
fn short_decimal9(text: &[u8]) -> Option<i128> {
    const POWERS: [u64; PLACES + 1] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let (negative, plus, digits) = sign(text);
    if digits.is_empty() || digits.len() > 18 || plus {
        return None;
    }
    let mut mantissa = 0u64;
    let mut point = None;
    for (at, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() && digits.len() > 1 {
            point = Some(at);
        } else {
            return None;
        }
    }
    let places = point.map_or(0, |at| digits.len() - 1 - at);
    let value = i128::from(mantissa) * i128::from(*POWERS.get(places)?);
    Some(if negative { -value } else { value })
}

fn long_decimal9(text: &[u8]) -> Parsed<i128> {
    let (negative, plus, digits) = sign(text);
    let point = digits.iter().position(|&b| b == b'.');
    let whole = digits.get(..point.unwrap_or(digits.len())).unwrap_or_default();
    let fraction = point.and_then(|at| digits.get(at + 1..)).unwrap_or_default();
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Parsed::Bad;
    }
    let zeros = whole.iter().take_while(|&&b| b == b'0').count();
    let whole = whole.get(zeros..).unwrap_or_default();
    let beyond = fraction.get(PLACES..).unwrap_or_default();
    if whole.len() > WHOLE_DIGITS_MAX || beyond.iter().any(|&b| b != b'0') {
        return Parsed::Bad;
    }
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(PLACES);
    let value = whole
        .iter()
        .copied()
        .chain(padded)
        .fold(0i128, |value, byte| value * 10 + i128::from(byte - b'0'));
    let value = if negative { -value } else { value };
    if plus { Parsed::Irregular(value) } else { Parsed::Regular(value) }
}

/// Whether there is a minus, a plus, and what follows.
#[inline]
fn sign(text: &[u8]) -> (bool, bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, false, rest),
        [b'+', rest @ ..] => (false, true, rest),
        _ => (false, false, text),
    }
}

/// `YYYYMMDD-HH:MM:SS[.fraction]` in UTC, ns since the epoch. Second 60 is the
/// first of the next minute, as UTC clocks count it. Digits beyond the ninth
/// are cut.
#[inline]
pub fn utc_timestamp(text: &[u8]) -> Parsed<i64> {
    let Some((date, rest)) = text.split_first_chunk::<8>() else { return Parsed::Bad };
    let Some((&b'-', clock)) = rest.split_first() else { return Parsed::Bad };
    on_day(days(date), utc_time(clock))
}

/// `YYYYMMDD`, in days since the epoch.
pub fn utc_date(text: &[u8]) -> Option<i64> {
    text.try_into().ok().and_then(|date: &[u8; 8]| days(date))
}

/// `HH:MM:SS[.fraction]`, ns since midnight.
#[inline]
pub fn utc_time(text: &[u8]) -> Parsed<i64> {
    let Some((clock, fraction)) = text.split_first_chunk::<8>() else { return Parsed::Bad };
    let Some((hour, minute, second)) = words::clock(clock) else { return Parsed::Bad };
    if hour > 23 || minute > 59 || second > 60 {
        return Parsed::Bad;
    }
    let ns = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000_000;
    match nanoseconds(fraction) {
        Parsed::Regular(fraction) => Parsed::Regular(ns + fraction),
        Parsed::Irregular(fraction) => Parsed::Irregular(ns + fraction),
        Parsed::Bad => Parsed::Bad,
    }
}

/// Joins days and time of day where the result fits 64 bits.
pub fn on_day(days: Option<i64>, time: Parsed<i64>) -> Parsed<i64> {
    let joined = |ns: i64| days?.checked_mul(86_400_000_000_000)?.checked_add(ns);
    match time {
        Parsed::Regular(ns) => joined(ns).map_or(Parsed::Bad, Parsed::Regular),
        Parsed::Irregular(ns) => joined(ns).map_or(Parsed::Bad, Parsed::Irregular),
        Parsed::Bad => Parsed::Bad,
    }
}

/// `YYYYMMDD-HH:MM[:SS[.fraction]][Z|+hh[:mm]|-hh[:mm]]`, ns since the epoch.
/// Without a zone it is UTC.
pub fn tz_timestamp(text: &[u8]) -> Parsed<i64> {
    let Some((local, zone)) = text.split_at_checked(text.len().min(14)) else {
        return Parsed::Bad;
    };
    let zone_at = zone.iter().position(|b| matches!(b, b'Z' | b'+' | b'-')).unwrap_or(zone.len());
    let (seconds, zone) = zone.split_at_checked(zone_at).unwrap_or_default();
    let mut clock = local.to_vec();
    clock.extend_from_slice(if seconds.is_empty() { b":00" } else { seconds });
    let Some(offset_ns) = zone_offset_ns(zone) else { return Parsed::Bad };
    match utc_timestamp(&clock) {
        Parsed::Regular(ns) => ns.checked_sub(offset_ns).map_or(Parsed::Bad, Parsed::Regular),
        Parsed::Irregular(ns) => ns.checked_sub(offset_ns).map_or(Parsed::Bad, Parsed::Irregular),
        Parsed::Bad => Parsed::Bad,
    }
}

fn zone_offset_ns(zone: &[u8]) -> Option<i64> {
    let (east, hours, minutes) = match *zone {
        [] | [b'Z'] => return Some(0),
        [sign, h0, h1] => (sign == b'+', two(h0, h1)?, 0),
        [sign, h0, h1, b':', m0, m1] => (sign == b'+', two(h0, h1)?, two(m0, m1)?),
        _ => return None,
    };
    let ns = (hours * 60 + minutes) * 60_000_000_000;
    Some(if east { ns } else { -ns })
}

/// A fraction of a second with its point: 0, 3, 6, 9 or 12 digits.
#[inline]
fn nanoseconds(text: &[u8]) -> Parsed<i64> {
    let Some((&b'.', digits)) = text.split_first() else {
        return if text.is_empty() { Parsed::Regular(0) } else { Parsed::Bad };
    };
    if digits.is_empty() || digits.len() > 12 {
        return Parsed::Bad;
    }
    let Some(ns) = nine_digits(digits) else { return Parsed::Bad };
    if digits.len() % 3 == 0 { Parsed::Regular(ns) } else { Parsed::Irregular(ns) }
}

/// The first nine of at most twelve digits, as if zeros followed.
#[inline]
fn nine_digits(digits: &[u8]) -> Option<i64> {
    let Some((eight, rest)) = digits.split_first_chunk::<8>() else {
        let value = i64::try_from(unsigned(digits)?).ok()?;
        return Some(value * 10i64.pow(PLACES as u32 - digits.len() as u32));
    };
    let ninth = rest.first().map_or(b'0', |&byte| byte).wrapping_sub(b'0');
    let digits_only = ninth <= 9 && rest.iter().skip(1).all(u8::is_ascii_digit);
    let value = i64::from(words::eight_digits(eight)?) * 10 + i64::from(ninth);
    digits_only.then_some(value)
}

#[inline]
fn two(tens: u8, units: u8) -> Option<i64> {
    let (tens, units) = (tens.wrapping_sub(b'0'), units.wrapping_sub(b'0'));
    (tens <= 9 && units <= 9).then(|| i64::from(tens) * 10 + i64::from(units))
}

/// Days from the epoch to a date of the Gregorian calendar; the usual
/// arithmetic of years that begin in March.
#[inline]
fn days(date: &[u8; 8]) -> Option<i64> {
    let number = i64::from(words::eight_digits(date)?);
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeZone, Utc};
    use proptest::prelude::*;

    use super::Parsed::{Bad, Irregular, Regular};
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal9(b"101.25"), Regular(101_250_000_000));
        assert_eq!(decimal9(b"-0.000000001"), Regular(-1));
        assert_eq!(decimal9(b"00023."), Regular(23_000_000_000));
        assert_eq!(decimal9(b".5"), Regular(500_000_000));
        assert_eq!(decimal9(b"1.000000000000"), Regular(1_000_000_000));
        assert_eq!(decimal9(b"1.0000000001"), Bad);
        assert_eq!(
            decimal9(b"99999999999999999999999999999.999999999"),
            Regular(99_999_999_999_999_999_999_999_999_999_999_999_999)
        );
        assert_eq!(decimal9(b"100000000000000000000000000000"), Bad);
    }

    #[test]
    fn other_ways_of_writing_are_flagged() {
        assert_eq!(decimal9(b"+1.5"), Irregular(1_500_000_000));
        for text in ["", "-", ".", "1e5", "1.2.3", " 1", "1 ", "0x1", "1,5", "--1"] {
            assert_eq!(decimal9(text.as_bytes()), Bad, "{text:?}");
        }
    }

    #[test]
    fn order_ids_are_numbers_only_when_canonical() {
        assert_eq!(canonical_unsigned(b"1000005"), Some(1_000_005));
        assert_eq!(canonical_unsigned(b"0"), Some(0));
        assert_eq!(canonical_unsigned(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "01", "18446744073709551616", "A1", "+1", "1 "] {
            assert_eq!(canonical_unsigned(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(trailing_unsigned(b"FEED-A:88123"), Some(88_123));
        assert_eq!(trailing_unsigned(b"FEED"), None);
    }

    #[test]
    fn timestamps_of_every_length() {
        let second = Utc.with_ymd_and_hms(2024, 2, 29, 12, 30, 45).unwrap().timestamp();
        let ns = second * 1_000_000_000;
        assert_eq!(utc_timestamp(b"20240229-12:30:45"), Regular(ns));
        assert_eq!(utc_timestamp(b"20240229-12:30:45.123"), Regular(ns + 123_000_000));
        assert_eq!(utc_timestamp(b"20240229-12:30:45.123456"), Regular(ns + 123_456_000));
        assert_eq!(utc_timestamp(b"20240229-12:30:45.123456789"), Regular(ns + 123_456_789));
        assert_eq!(utc_timestamp(b"20240229-12:30:45.123456789012"), Regular(ns + 123_456_789));
        assert_eq!(utc_timestamp(b"20240229-12:30:45.5"), Irregular(ns + 500_000_000));
        for bad in
            ["20230229-12:30:45", "20240229-24:00:00", "20240229 12:30:45", "20240229-12:30:45."]
        {
            assert_eq!(utc_timestamp(bad.as_bytes()), Bad, "{bad}");
        }
        assert_eq!(utc_timestamp(b"99991231-00:00:00"), Bad, "beyond 64 bits");
    }

    #[test]
    fn a_leap_second_is_the_next_minute() {
        assert_eq!(utc_timestamp(b"20161231-23:59:60"), utc_timestamp(b"20170101-00:00:00"));
    }

    #[test]
    fn zones_shift() {
        let utc = utc_timestamp(b"20240301-12:00:00");
        assert_eq!(tz_timestamp(b"20240301-12:00Z"), utc);
        assert_eq!(tz_timestamp(b"20240301-13:00:00+01"), utc);
        assert_eq!(tz_timestamp(b"20240301-06:30:00.000-05:30"), utc);
        assert_eq!(tz_timestamp(b"20240301-06:30:00.000-0530"), Bad);
    }

    proptest! {
        #[test]
        fn dates_agree_with_a_calendar(offset in 0i64..106_000) {
            let date = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Days::new(offset as u64);
            let text = date.format("%Y%m%d").to_string();
            prop_assert_eq!(utc_date(text.as_bytes()), Some(offset));
        }

        #[test]
        fn decimals_come_back(value in -(10i128.pow(37))..10i128.pow(37)) {
            let text = format!("{}{}.{:09}", if value < 0 { "-" } else { "" },
                value.unsigned_abs() / 1_000_000_000, value.unsigned_abs() % 1_000_000_000);
            prop_assert_eq!(decimal9(text.as_bytes()), Regular(value));
            prop_assert_eq!(decimal(text.as_bytes()), Regular((value, 9)));
        }

        #[test]
        fn short_and_long_ways_agree(text in "[-+]?[0-9]{0,12}\\.?[0-9]{0,12}") {
            let long = long_decimal9(text.as_bytes());
            prop_assert_eq!(decimal9(text.as_bytes()), long);
        }

        #[test]
        fn any_bytes_are_no_panic(text in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = (decimal9(&text), decimal(&text), utc_timestamp(&text), tz_timestamp(&text));
            let _ = (unsigned(&text), trailing_unsigned(&text), utc_date(&text));
        }
    }
}
