//! Times as FAST feeds write them: FIX texts and numbers of digits.
//!
//! | value | meaning |
//! |---|---|
//! | `20240315-13:30:00.123` | FIX UTCTimestamp, 0 to 9 digits of fraction |
//! | 17 digits | `yyyymmddHHMMSSsss` |
//! | 18 digits | `yymmddHHMMSSuuuuuu` |
//! | 14 digits | `yyyymmddHHMMSS` |
//! | 19 digits | nanoseconds since 1970 |
//! | 16 digits | microseconds since 1970 |
//! | 13 digits | milliseconds since 1970 |
//!
//! Anything else, and any date that does not exist, is no time. An entry's
//! time of day (FIX 273) is `HHMMSSsss` or `HHMMSSnnnnnnnnn`; leading zeros are
//! lost in a number, so values that could also be a shorter form are no time.

/// Nanoseconds in a second.
const SECOND_NS: i64 = 1_000_000_000;

/// Nanoseconds in a day.
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// The unit of a time whose field says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUnit {
    /// Nanoseconds since 1970.
    Nanoseconds,
}

/// The time of a number, ns since the epoch.
pub(super) fn from_number(value: u64) -> Option<i64> {
    match value.checked_ilog10()? + 1 {
        13 => i64::try_from(value).ok()?.checked_mul(1_000_000),
        14 => digits(value, 0, 0),
        16 => i64::try_from(value).ok()?.checked_mul(1_000),
        17 => digits(value / 1_000, value % 1_000 * 1_000_000, 0),
        18 => digits(value / 1_000_000, value % 1_000_000 * 1_000, 2_000),
        19 => i64::try_from(value).ok(),
        _ => None,
    }
}

/// `(yy)yymmddHHMMSS` and nanoseconds.
fn digits(value: u64, ns: u64, century: u64) -> Option<i64> {
    let (date, time) = (value / 1_000_000, value % 1_000_000);
    let day = day(century + date / 10_000, date / 100 % 100, date % 100)?;
    time_of_day(day, time / 10_000, time / 100 % 100, time % 100, ns)
}

/// A time of day, ns from midnight.
pub(super) fn clock(value: u64) -> Option<i64> {
    let (time, ns) = match value {
        240_000..=235_959_999 => (value / 1_000, value % 1_000 * 1_000_000),
        236_000_000_000.. => (value / 1_000_000_000, value % 1_000_000_000),
        _ => return None,
    };
    time_of_day(0, time / 10_000, time / 100 % 100, time % 100, ns)
}

/// The midnight of a date `yyyymmdd`, ns since the epoch.
pub(super) fn date(value: u64) -> Option<i64> {
    day(value / 10_000, value / 100 % 100, value % 100)?.checked_mul(DAY_NS)
}

/// The moment nearest to `moment` whose time of day is `clock`.
pub(super) fn near(clock: i64, moment: i64) -> Option<i64> {
    let days = moment.checked_sub(clock)?.checked_add(DAY_NS / 2)?.div_euclid(DAY_NS);
    days.checked_mul(DAY_NS)?.checked_add(clock)
}

fn time_of_day(day: i64, hour: u64, minute: u64, second: u64, ns: u64) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = day.checked_mul(86_400)? + (hour * 3600 + minute * 60 + second) as i64;
    seconds.checked_mul(SECOND_NS)?.checked_add(ns as i64)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn day(year: u64, month: u64, day: u64) -> Option<i64> {
    if !(1970..2262).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days as i64 - 719_469)
}

/// The time of a FIX UTCTimestamp, ns since the epoch.
pub(super) fn from_text(text: &[u8]) -> Option<i64> {
    let (moment, fraction) = match text.get(17) {
        None => (text, &[][..]),
        Some(b'.') => (text.get(..17)?, text.get(18..)?),
        Some(_) => return None,
    };
    let [y0, y1, y2, y3, m0, m1, d0, d1, b'-', h0, h1, b':', n0, n1, b':', s0, s1] = *moment else {
        return None;
    };
    let day = day(number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?)?;
    let ns = fraction_ns(fraction)?;
    time_of_day(day, number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?, ns)
}

fn fraction_ns(digits: &[u8]) -> Option<u64> {
    let zeros = 9usize.checked_sub(digits.len())?;
    Some(number(digits)? * 10u64.pow(zeros as u32))
}

/// Decimal digits only; at most 19 of them.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_one_moment() {
        let ns = 1_710_509_400_123_000_000;
        assert_eq!(from_text(b"20240315-13:30:00.123"), Some(ns));
        assert_eq!(from_text(b"20240315-13:30:00.123000000"), Some(ns));
        assert_eq!(from_text(b"20240315-13:30:00"), Some(ns - 123_000_000));
        assert_eq!(from_number(20_240_315_133_000_123), Some(ns));
        assert_eq!(from_number(240_315_133_000_123_000), Some(ns));
        assert_eq!(from_number(20_240_315_133_000), Some(ns - 123_000_000));
        assert_eq!(from_number(1_710_509_400_123), Some(ns));
        assert_eq!(from_number(1_710_509_400_123_000), Some(ns));
        assert_eq!(from_number(ns as u64), Some(ns));
    }

    #[test]
    fn what_is_no_date_is_no_time() {
        assert_eq!(from_text(b"20230229-00:00:00"), None);
        assert_eq!(from_text(b"20240229-24:00:00"), None);
        assert_eq!(from_text(b"20240229-23:00:00.1234567890"), None);
        assert_eq!(from_text(b""), None);
        assert_eq!(from_number(20_241_315_133_000_123), None);
        assert_eq!(from_number(0), None);
        assert_eq!(from_number(93_000_000), None);
    }

    #[test]
    fn times_of_day_fall_on_the_nearest_day() {
        let midnight = date(20_240_315).unwrap();
        assert_eq!(midnight, 1_710_460_800_000_000_000);
        assert_eq!(clock(83_636_000), Some((8 * 3600 + 36 * 60 + 36) * SECOND_NS));
        assert_eq!(clock(83_636_123_456_789), clock(83_636_000).map(|ns| ns + 123_456_789));
        assert_eq!(clock(93_000), None, "09:30:00 or 00:01:33.000");
        assert_eq!(clock(99_999_999), None);
        let late = clock(235_959_900).unwrap();
        assert_eq!(near(late, midnight + 5), Some(midnight - SECOND_NS / 10));
        assert_eq!(near(5, midnight - 1), Some(midnight + 5));
        assert_eq!(near(5, i64::MIN), None);
    }

    #[test]
    fn days_agree_with_a_calendar_of_other_authors() {
        for days in 0..106_000u64 {
            let date = chrono::DateTime::from_timestamp(days as i64 * 86_400, 0).unwrap();
            let parts = date.format("%Y %m %d").to_string();
            let mut parts = parts.split(' ').map(|part| part.parse().unwrap());
            let mut next = || parts.next().unwrap();
            assert_eq!(day(next(), next(), next()), Some(days as i64));
        }
    }
}
