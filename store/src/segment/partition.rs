//! Where a segment goes: `point=P/date=YYYY-MM-DD/hour=HH` of its first time.

/// A UTC date and hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateHour {
    /// Year.
    pub year: i64,
    /// Month, from 1.
    pub month: u8,
    /// Day, from 1.
    pub day: u8,
    /// Hour, from 0.
    pub hour: u8,
}

impl DateHour {
    /// The date and hour of a time in ns since the epoch.
    pub fn of(ns: i64) -> Self {
        let hours = ns.div_euclid(3_600_000_000_000);
        let (year, month, day) = civil(hours.div_euclid(24));
        Self { year, month, day, hour: hours.rem_euclid(24) as u8 }
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Counts in eras of 400
/// years that begin on 1 March, so that the leap day is an era's last.
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// The directory below the store of a table's segment that starts at `ns`.
pub fn directory(table: &str, point: &str, ns: i64) -> String {
    let at = DateHour::of(ns);
    let DateHour { year, month, day, hour } = at;
    format!("{table}/point={point}/date={year:04}-{month:02}-{day:02}/hour={hour:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    #[test]
    fn known_dates() {
        assert_eq!(directory("packets", "P1", 0), "packets/point=P1/date=1970-01-01/hour=00");
        let leap = 19_782 * 24 + 23;
        assert_eq!(
            directory("messages", "a.b", leap * HOUR_NS),
            "messages/point=a.b/date=2024-02-29/hour=23"
        );
        assert_eq!(directory("p", "x", -1), "p/point=x/date=1969-12-31/hour=23");
        assert_eq!(directory("p", "x", i64::MIN), "p/point=x/date=1677-09-21/hour=00");
        assert_eq!(directory("p", "x", i64::MAX), "p/point=x/date=2262-04-11/hour=23");
    }

    #[test]
    fn days_follow_each_other() {
        let lengths = |year: i64| {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut day = 0;
        for year in 1970..2110 {
            for (month, length) in lengths(year).into_iter().enumerate() {
                for of_month in 1..=length {
                    assert_eq!(civil(day), (year, month as u8 + 1, of_month));
                    day += 1;
                }
            }
        }
    }
}
