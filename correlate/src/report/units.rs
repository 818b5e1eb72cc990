//! Numbers as people read them.

/// A duration in ns with a unit that fits: `812 ns`, `1.204 us`, `35.1 ms`.
pub fn duration(ns: i64) -> String {
    let magnitude = ns.unsigned_abs();
    let sign = if ns < 0 { "-" } else { "" };
    let (unit, per_unit) = match magnitude {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => ("us", 1_000_u64),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let thousandths = (u128::from(magnitude) * 1_000 / u128::from(per_unit)) as u64;
    format!("{sign}{}.{:03} {unit}", thousandths / 1_000, thousandths % 1_000)
}

/// A duration, or a dash.
pub fn maybe_duration(ns: Option<i64>) -> String {
    ns.map_or_else(|| "-".to_owned(), duration)
}

/// An interval, or nothing.
pub fn interval(lo: Option<i64>, hi: Option<i64>) -> String {
    match (lo, hi) {
        (Some(lo), Some(hi)) => format!("[{}, {}]", duration(lo), duration(hi)),
        _ => String::new(),
    }
}

/// A number with a comma each three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A decimal that is held as its value times 10^9, exact.
pub fn decimal(scaled: i128) -> String {
    const BILLION: u128 = 1_000_000_000;
    let sign = if scaled < 0 { "-" } else { "" };
    let magnitude = scaled.unsigned_abs();
    let fraction = format!("{:09}", magnitude % BILLION);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}", magnitude / BILLION),
        places => format!("{sign}{}.{places}", magnitude / BILLION),
    }
}

/// A time in ns since the epoch as date and time, UTC.
pub fn time(ns: i64) -> String {
    let (days, in_day) = (ns.div_euclid(86_400_000_000_000), ns.rem_euclid(86_400_000_000_000));
    let (year, month, day) = date(days);
    let (seconds, fraction) = (in_day / 1_000_000_000, in_day % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:09}")
}

/// The Gregorian date of a day counted from 1970-01-01. Years begin in March
/// here, so that a leap day is the last of its year.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, in_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let calendar_month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(calendar_month <= 2), calendar_month, day)
}

/// A number, or that it is unknown.
pub fn maybe_count(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_choose_their_unit() {
        assert_eq!(duration(-12), "-12 ns");
        assert_eq!(duration(1_204), "1.204 us");
        assert_eq!(duration(-35_100_999), "-35.100 ms");
        assert_eq!(duration(2_000_000_000), "2.000 s");
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(101_250_000_000), "101.25");
        assert_eq!(decimal(-1), "-0.000000001");
        assert_eq!(decimal(300_000_000_000), "300");
    }

    #[test]
    fn dates_know_leap_days() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000000000");
        assert_eq!(time(1_709_208_000_000_000_001), "2024-02-29 12:00:00.000000001");
        assert_eq!(time(-1), "1969-12-31 23:59:59.999999999");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!((count(7), count(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
        assert_eq!([maybe_count(Some(7)), maybe_count(None)], ["7", "unknown"]);
    }
}
