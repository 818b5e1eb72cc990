//! Times of day as the protocols write them: nanoseconds since midnight in
//! New York (ITCH, OUCH) and FIX UTCTimestamp.

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;
const S_PER_HOUR: i64 = 3_600;

/// Year, month (1 to 12) and day of a day counted from 1970-01-01, in the
/// Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Count from 0000-03-01, so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_month)
}

/// Days from 1970-01-01 to the first of a month.
fn first_of_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// The `n`-th Sunday of a month, in days from 1970-01-01 (a Thursday).
fn sunday(year: i64, month: i64, n: i64) -> i64 {
    let first = first_of_month(year, month);
    let weekday = (first + 4).rem_euclid(7);
    first + (7 - weekday) % 7 + 7 * (n - 1)
}

/// Hours New York is behind UTC: 4 from the second Sunday of March 07:00 UTC
/// to the first Sunday of November 06:00 UTC (US rule since 2007), else 5.
fn new_york_behind_utc_h(utc_s: i64) -> i64 {
    let (year, _, _) = civil(utc_s.div_euclid(S_PER_DAY));
    let begin = sunday(year, 3, 2) * S_PER_DAY + 7 * S_PER_HOUR;
    let end = sunday(year, 11, 1) * S_PER_DAY + 6 * S_PER_HOUR;
    if (begin..end).contains(&utc_s) { 4 } else { 5 }
}

/// Nanoseconds since midnight on New York's clocks at a time in nanoseconds
/// since the epoch, UTC.
pub fn since_midnight_ns(utc_ns: i64) -> u64 {
    let utc_s = utc_ns.div_euclid(NS_PER_S);
    let local_s = utc_s - new_york_behind_utc_h(utc_s) * S_PER_HOUR;
    let second = local_s.rem_euclid(S_PER_DAY);
    (second * NS_PER_S + utc_ns.rem_euclid(NS_PER_S)) as u64
}

/// FIX UTCTimestamp with six decimals, as `20260303-14:30:00.000001`.
pub fn utc_timestamp(utc_ns: i64) -> String {
    let utc_s = utc_ns.div_euclid(NS_PER_S);
    let (year, month, day) = civil(utc_s.div_euclid(S_PER_DAY));
    let second = utc_s.rem_euclid(S_PER_DAY);
    format!(
        "{year:04}{month:02}{day:02}-{:02}:{:02}:{:02}.{:06}",
        second / 3600,
        second / 60 % 60,
        second % 60,
        utc_ns.rem_euclid(NS_PER_S) / 1000
    )
}

/// The date in UTC as `20260303`, for names that carry it.
pub fn utc_date(utc_ns: i64) -> String {
    utc_timestamp(utc_ns)[..8].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-03 14:30:00 UTC, 09:30 in New York.
    const OPEN: i64 = 1_772_548_200 * NS_PER_S;

    #[test]
    fn fix_text() {
        assert_eq!(utc_timestamp(OPEN + 1_999), "20260303-14:30:00.000001");
        assert_eq!(utc_timestamp(951_782_400 * NS_PER_S), "20000229-00:00:00.000000");
        assert_eq!(utc_date(OPEN), "20260303");
    }

    #[test]
    fn winter_and_summer() {
        assert_eq!(since_midnight_ns(OPEN + 5), 9 * 3_600_000_000_000 + 1_800_000_000_000 + 5);
        // 2026-07-01 00:00 UTC is 20:00 of the day before.
        assert_eq!(since_midnight_ns(1_782_864_000 * NS_PER_S), 20 * 3_600_000_000_000);
    }

    #[test]
    fn changes_of_2026() {
        // 8 March 07:00 UTC and 1 November 06:00 UTC.
        let begin = 1_772_953_200;
        assert_eq!(new_york_behind_utc_h(begin - 1), 5);
        assert_eq!(new_york_behind_utc_h(begin), 4);
        let end = 1_793_512_800;
        assert_eq!(new_york_behind_utc_h(end - 1), 4);
        assert_eq!(new_york_behind_utc_h(end), 5);
    }
}
