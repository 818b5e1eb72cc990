//! Venue clocks that count from midnight or from the epoch.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::fixed::bytes::Body;
use crate::fixed::place::eight_digits;

/// A time further than this from the packet's own is looked at again with the
/// neighbouring days. Days differ by 23 hours or more, so nearer is nearest.
const NEAR_NS: u64 = 11 * 3_600 * 1_000_000_000;

/// A count from midnight beyond two days is no time of day.
const COUNT_MAX_NS: u64 = 2 * 86_400 * 1_000_000_000;

/// What a venue's clock counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The Unix epoch, UTC.
    Epoch,
    /// Midnight in a time zone, of the day that brings the time nearest to the
    /// packet's. Counts are elapsed time: on the day of a clock change they run
    /// on through it.
    Midnight(Tz),
    /// Nothing: it is a date and a time of a time zone, YYYYMMDDhhmmss and
    /// further digits of the second.
    Calendar(Tz),
    /// Midnight, as hhmmss and further digits of the second: what a clock on
    /// the wall shows, which on the day of a clock change is not elapsed time.
    Daytime {
        /// The time zone.
        tz: Tz,
        /// How many digits in all.
        digits: u32,
    },
}

/// A venue's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What it counts from.
    pub since: Since,
    /// Nanoseconds a count.
    pub unit_ns: u64,
}

impl Clock {
    /// Its time zone, where it has one.
    pub fn zone(&self) -> Option<Tz> {
        match self.since {
            Since::Epoch => None,
            Since::Midnight(tz) | Since::Calendar(tz) | Since::Daytime { tz, .. } => Some(tz),
        }
    }

    /// Whether a count may be one of this clock's: none from midnight is beyond
    /// two days.
    pub fn may_show(&self, count: u64) -> bool {
        let ns = count.checked_mul(self.unit_ns);
        !matches!(self.since, Since::Midnight(_)) || ns.is_some_and(|ns| ns < COUNT_MAX_NS)
    }
}

/// A clock with the day it last found.
#[derive(Clone, Copy, Debug)]
pub struct RunningClock {
    clock: Clock,
    /// Midnight.
    base_ns: i64,
    /// Of clocks on the wall: whether no clock changes within days of it, so
    /// that what they show is elapsed time.
    is_calm: bool,
    /// Of calendars: its date.
    date: u32,
}

impl RunningClock {
    /// A clock that has not seen a packet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, base_ns: 0, is_calm: false, date: 0 }
    }

    /// The time that `ns` since what the clock counts from mean, in a packet
    /// seen at `ts_ns`.
    #[inline(always)]
    pub fn time_of_ns(&mut self, ns: u64, ts_ns: i64) -> Option<i64> {
        if matches!(self.clock.since, Since::Epoch) {
            return i64::try_from(ns).ok();
        }
        let time = self.base_ns.wrapping_add(ns as i64);
        let distance = time.wrapping_sub(ts_ns).unsigned_abs();
        if distance < NEAR_NS && ns < COUNT_MAX_NS { Some(time) } else { self.far(ns, ts_ns) }
    }

    /// The time that a number of `digits` digits means.
    pub fn time_of_digits(&mut self, number: u128, digits: u32, ts_ns: i64) -> Option<i64> {
        match self.clock.since {
            Since::Calendar(tz) => self.calendar(tz, number, digits),
            Since::Daytime { tz, digits } => {
                let number = u64::try_from(number).ok()?;
                self.on_the_wall(tz, daytime_ns(number, digits.checked_sub(6)?)?, ts_ns)
            }
            _ => {
                let ns = u64::try_from(number).ok()?.checked_mul(self.clock.unit_ns)?;
                self.time_of_ns(ns, ts_ns)
            }
        }
    }

    /// The time that a clock on the wall shows `ns` after midnight.
    fn on_the_wall(&mut self, tz: Tz, ns: u64, ts_ns: i64) -> Option<i64> {
        if self.is_calm && ns < COUNT_MAX_NS {
            let time = self.base_ns.wrapping_add(ns as i64);
            if time.wrapping_sub(ts_ns).unsigned_abs() < NEAR_NS {
                return Some(time);
            }
        }
        let time = nearest_on_the_wall(tz, ns, ts_ns)?;
        self.base_ns = time.wrapping_sub_unsigned(ns);
        self.is_calm = is_calm(tz, self.base_ns);
        Some(time)
    }

    /// The time of a date and a time of day in digits.
    fn calendar(&mut self, tz: Tz, number: u128, digits: u32) -> Option<i64> {
        let places = digits.checked_sub(14)?;
        let unit = u128::from(power_of_10(places.checked_add(6)?)?);
        let date = u64::try_from(number / unit).ok()?;
        let daytime = u64::try_from(number % unit).ok()?;
        self.time_of_date(tz, date, daytime, places)
    }

    /// The time of a date and a time of day; `places` digits stand after the
    /// seconds.
    fn time_of_date(&mut self, tz: Tz, date: u64, daytime: u64, places: u32) -> Option<i64> {
        let (date, ns) = (u32::try_from(date).ok()?, daytime_ns(daytime, places)?);
        if self.is_calm && date == self.date && ns < COUNT_MAX_NS {
            return self.base_ns.checked_add_unsigned(ns);
        }
        let time = calendar(tz, date, ns)?;
        (self.date, self.base_ns) = (date, time.wrapping_sub_unsigned(ns));
        self.is_calm = is_calm(tz, self.base_ns);
        Some(time)
    }

    /// The time of a date and a time of day that stand in a message as `width`
    /// digits and nothing else; `None` where that has to be looked at.
    #[inline]
    pub fn stamp<B: Body>(&mut self, body: &B, offset: usize, width: usize) -> Option<i64> {
        let Since::Calendar(tz) = self.clock.since else { return None };
        let rest = width.checked_sub(16).filter(|rest| (1..=8).contains(rest))?;
        let date = eight_digits(body, offset, 8)?;
        let hours = eight_digits(body, offset.checked_add(8)?, 8)?;
        let behind = eight_digits(body, offset.checked_add(16)?, rest)?;
        let daytime = hours * power_of_10(rest as u32)? + behind;
        self.time_of_date(tz, date, daytime, rest as u32 + 2)
    }

    /// The time that a count and what is added to it mean; `digits` is how
    /// many of a text it has. Where the clock adds something and that is not
    /// known (`Some(None)`), there is no time.
    #[inline]
    pub fn moment(
        &mut self,
        count: Option<u128>,
        digits: u32,
        plus_ns: Option<Option<u64>>,
        ts_ns: i64,
    ) -> Option<i64> {
        let count = count?;
        match plus_ns {
            None if self.is_digits() => self.time_of_digits(count, digits, ts_ns),
            Some(None) => None,
            plus_ns => {
                let ns = u64::try_from(count).ok()?.checked_mul(self.clock.unit_ns)?;
                self.time_of_ns(ns.checked_add(plus_ns.flatten().unwrap_or(0))?, ts_ns)
            }
        }
    }

    /// Whether counts are digits of a date or a time of day.
    pub fn is_digits(&self) -> bool {
        matches!(self.clock.since, Since::Calendar(_) | Since::Daytime { .. })
    }

    /// The time a count means, ns since the epoch, in a packet seen at `ts_ns`.
    /// `None` where it is no time.
    #[inline(always)]
    pub fn time_ns(&mut self, count: u64, ts_ns: i64) -> Option<i64> {
        self.time_of_ns(count.checked_mul(self.clock.unit_ns)?, ts_ns)
    }

    #[cold]
    fn far(&mut self, ns: u64, ts_ns: i64) -> Option<i64> {
        match self.clock.since {
            Since::Epoch => i64::try_from(ns).ok(),
            Since::Calendar(_) => None,
            Since::Midnight(tz) | Since::Daytime { tz, .. } => {
                if ns >= COUNT_MAX_NS {
                    return None;
                }
                let (base_ns, time) = nearest_from_midnight(tz, ns as i64, ts_ns)?;
                self.base_ns = base_ns;
                Some(time)
            }
        }
    }
}

/// 10^n, of those that a word has.
#[inline]
fn power_of_10(n: u32) -> Option<u64> {
    const POWERS: [u64; 20] = {
        let (mut powers, mut i) = ([1; 20], 1);
        while i < powers.len() {
            powers[i] = 10 * powers[i - 1];
            i += 1;
        }
        powers
    };
    POWERS.get(n as usize).copied()
}

/// A time of day in digits as ns; `places` digits stand after the seconds.
fn daytime_ns(number: u64, places: u32) -> Option<u64> {
    let (hhmmss, part) = match places {
        // Most have so many: division by a constant is a multiplication.
        0 => (number, 0),
        3 => (number / 1_000, number % 1_000),
        6 => (number / 1_000_000, number % 1_000_000),
        9 => (number / 1_000_000_000, number % 1_000_000_000),
        _ => {
            let unit = power_of_10(places)?;
            (number / unit, number % unit)
        }
    };
    let (hours, minutes, seconds) = (hhmmss / 10_000, hhmmss / 100 % 100, hhmmss % 100);
    if hours > 47 || minutes > 59 || seconds > 60 {
        return None;
    }
    let part_ns = match 9u32.checked_sub(places) {
        Some(missing) => part * power_of_10(missing)?,
        None => part / power_of_10(places - 9)?,
    };
    Some((hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + part_ns)
}

/// A date and time of a time zone in digits.
fn calendar(tz: Tz, date: u32, ns: u64) -> Option<i64> {
    let year = i32::try_from(date / 10_000).ok()?;
    let day = NaiveDate::from_ymd_opt(year, date / 100 % 100, date % 100)?;
    let ns = i64::try_from(ns).ok()?;
    let local = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::nanoseconds(ns))?;
    tz.from_local_datetime(&local).earliest()?.timestamp_nanos_opt()
}

/// The midnight whose `ns` lies nearest to `ts_ns`, and that time.
fn nearest_from_midnight(tz: Tz, ns: i64, ts_ns: i64) -> Option<(i64, i64)> {
    let today = DateTime::from_timestamp_nanos(ts_ns).with_timezone(&tz).date_naive();
    let days =
        [today.checked_sub_days(Days::new(1)), Some(today), today.checked_add_days(Days::new(1))];
    let bases = days.into_iter().flatten().filter_map(|day| midnight_ns(tz, day));
    let times = bases.filter_map(|base| Some((base, base.checked_add(ns)?)));
    times.min_by_key(|(_, time)| time.abs_diff(ts_ns))
}

/// The time nearest to `ts_ns` at which a clock on the wall shows `ns` after
/// midnight. A time that is left out when clocks go forward counts from
/// midnight; of one that comes twice when they go back, the nearer.
fn nearest_on_the_wall(tz: Tz, ns: u64, ts_ns: i64) -> Option<i64> {
    let ns = i64::try_from(ns).ok().filter(|ns| ns.unsigned_abs() < COUNT_MAX_NS)?;
    let today = DateTime::from_timestamp_nanos(ts_ns).with_timezone(&tz).date_naive();
    let days =
        [today.checked_sub_days(Days::new(1)), Some(today), today.checked_add_days(Days::new(1))];
    let shown = |day: NaiveDate| {
        day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::nanoseconds(ns))
    };
    let locals = days.into_iter().flatten().filter_map(shown);
    let times = locals.flat_map(|local| {
        let at = tz.from_local_datetime(&local);
        [at.earliest(), at.latest()].into_iter().flatten()
    });
    let times = times.filter_map(|time| time.timestamp_nanos_opt());
    let nearest = times.min_by_key(|time| time.abs_diff(ts_ns));
    let near = nearest.filter(|time| time.abs_diff(ts_ns) < NEAR_NS);
    near.or_else(|| nearest_from_midnight(tz, ns, ts_ns).map(|(_, time)| time)).or(nearest)
}

/// Whether no clock changes from two days before a time to three days after.
fn is_calm(tz: Tz, ns: i64) -> bool {
    const DAY_NS: i64 = 86_400_000_000_000;
    let offset = |days: i64| {
        let time = DateTime::from_timestamp_nanos(ns.saturating_add(days * DAY_NS));
        tz.offset_from_utc_datetime(&time.naive_utc()).fix()
    };
    (-2..=3).all(|days| offset(days) == offset(0))
}

/// The first instant of a day in a time zone, ns since the epoch.
fn midnight_ns(tz: Tz, day: NaiveDate) -> Option<i64> {
    let midnight = day.and_time(NaiveTime::MIN);
    let first = tz.from_local_datetime(&midnight).earliest();
    let first = first.or_else(|| {
        let later = midnight.checked_add_signed(TimeDelta::hours(1))?;
        tz.from_local_datetime(&later).earliest()
    });
    first?.timestamp_nanos_opt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    fn new_york() -> RunningClock {
        let since = Since::Midnight(chrono_tz::America::New_York);
        RunningClock::new(Clock { since, unit_ns: 1 })
    }

    fn utc_ns(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
    }

    #[test]
    fn the_day_is_the_zones_not_utcs() {
        let mut clock = new_york();
        let half_past_nine = (9 * HOUR_NS + HOUR_NS / 2) as u64;
        let winter = clock.time_ns(half_past_nine, utc_ns("2023-01-10T14:30:00.000005Z"));
        assert_eq!(winter, Some(utc_ns("2023-01-10T14:30:00Z")));
        let summer = clock.time_ns(half_past_nine, utc_ns("2023-07-10T13:30:00.000005Z"));
        assert_eq!(summer, Some(utc_ns("2023-07-10T13:30:00Z")));
    }

    #[test]
    fn just_before_midnight_belongs_to_the_day_before() {
        let mut clock = new_york();
        let late = clock.time_ns(24 * HOUR_NS as u64 - 5, utc_ns("2023-01-11T05:00:00.000001Z"));
        assert_eq!(late, Some(utc_ns("2023-01-11T05:00:00Z") - 5));
    }

    #[test]
    fn the_order_of_calls_changes_nothing() {
        let calls: Vec<(u64, i64)> = (0..200)
            .map(|i| {
                ((i * 7 % 24) as u64 * HOUR_NS as u64, 1_700_000_000_000_000_000 + i * HOUR_NS)
            })
            .collect();
        let mut forward = new_york();
        let mut a: Vec<_> = calls.iter().map(|&(c, ts)| forward.time_ns(c, ts)).collect();
        let mut backward = new_york();
        let b: Vec<_> = calls.iter().rev().map(|&(c, ts)| backward.time_ns(c, ts)).collect();
        a.reverse();
        assert_eq!(a, b);
    }

    #[test]
    fn digits_are_dates_and_times_of_day() {
        let zone = chrono_tz::America::Toronto;
        let clock = |since| RunningClock::new(Clock { since, unit_ns: 1 });
        let want = utc_ns("2023-07-10T13:30:01.250Z");
        let stamp = clock(Since::Calendar(zone)).time_of_digits(20230710093001250, 17, 0);
        assert_eq!(stamp, Some(want));
        assert_eq!(clock(Since::Calendar(zone)).time_of_digits(20231310093001, 14, 0), None);
        let mut daytime = clock(Since::Daytime { tz: zone, digits: 9 });
        assert_eq!(daytime.time_of_digits(93001250, 9, want + 7), Some(want));
        assert_eq!(daytime.time_of_digits(996001250, 9, want), None);
    }

    #[test]
    fn a_stamp_read_at_once_is_that_of_its_number() {
        let zone = chrono_tz::America::Toronto;
        let clock = || RunningClock::new(Clock { since: Since::Calendar(zone), unit_ns: 1 });
        for text in ["20230710093001250", "20230710093001250999", "202307100930012509991234"] {
            let body = [text.as_bytes(), b"77777777"].concat();
            let stamp = clock().stamp(&body.as_slice(), 0, text.len());
            let number = text.parse().unwrap();
            let digits = clock().time_of_digits(number, text.len() as u32, 0);
            assert_eq!(stamp, digits, "{text}");
            assert!(stamp.is_some());
        }
        assert_eq!(clock().stamp(&b"2023 710093001250".as_slice(), 0, 17), None);
    }

    #[test]
    fn counts_from_midnight_run_on_through_a_clock_change() {
        // 12 March 2023: 02:00 became 03:00, four hours before 10:00.
        let ten = utc_ns("2023-03-12T14:00:00Z");
        assert_eq!(new_york().time_ns(9 * HOUR_NS as u64, ten + 5), Some(ten));
        // 5 November 2023: 02:00 became 01:00.
        let ten = utc_ns("2023-11-05T15:00:00Z");
        assert_eq!(new_york().time_ns(11 * HOUR_NS as u64, ten + 5), Some(ten));
    }

    #[test]
    fn hhmmss_is_what_the_wall_shows_on_the_day_of_a_clock_change() {
        let since = Since::Daytime { tz: chrono_tz::America::New_York, digits: 6 };
        let mut clock = RunningClock::new(Clock { since, unit_ns: 1 });
        let mut at = |digits, seen: &str| clock.time_of_digits(digits, 6, utc_ns(seen) + 7);
        for (digits, time) in [
            (93_000, "2023-03-11T14:30:00Z"),
            (93_000, "2023-03-12T13:30:00Z"),
            (93_000, "2023-11-04T13:30:00Z"),
            (93_000, "2023-11-05T14:30:00Z"),
            (235_959, "2023-03-13T03:59:59Z"),
            (5, "2023-03-12T05:00:05Z"),
            // Half past one comes twice.
            (13_000, "2023-11-05T05:30:00Z"),
            (13_000, "2023-11-05T06:30:00Z"),
        ] {
            assert_eq!(at(digits, time), Some(utc_ns(time)), "{digits} at {time}");
        }
        // Half past two is left out in spring: counted from midnight.
        let left_out = at(23_000, "2023-03-12T07:30:00Z");
        assert_eq!(left_out, Some(utc_ns("2023-03-12T07:30:00Z")));
    }

    #[test]
    fn just_after_midnight_a_late_count_is_yesterdays_and_an_early_one_todays() {
        for (seen, midnight) in [
            ("2023-01-11T05:00:00.000002Z", "2023-01-11T05:00:00Z"),
            // The nights before and after both clock changes.
            ("2023-03-12T05:00:00.000002Z", "2023-03-12T05:00:00Z"),
            ("2023-03-13T04:00:00.000002Z", "2023-03-13T04:00:00Z"),
            ("2023-11-06T05:00:00.000002Z", "2023-11-06T05:00:00Z"),
        ] {
            let (seen, midnight) = (utc_ns(seen), utc_ns(midnight));
            let mut clock = new_york();
            assert_eq!(clock.time_ns(1_000, seen), Some(midnight + 1_000));
            assert_eq!(clock.time_ns(0, seen - 4_000), Some(midnight));
        }
    }

    #[test]
    fn nonsense_counts_and_packet_times_are_no_times() {
        let mut clock = new_york();
        assert_eq!(clock.time_ns(u64::MAX, 0), None);
        assert_eq!(clock.time_ns(COUNT_MAX_NS, 0), None);
        for ts in [i64::MIN, i64::MAX] {
            clock.time_ns(1, ts);
        }
    }
}
