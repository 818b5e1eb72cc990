//! Venue clocks that count from midnight or from the epoch.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

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
}

/// A venue's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What it counts from.
    pub since: Since,
    /// Nanoseconds a count.
    pub unit_ns: u64,
}

/// A clock with the day it last found.
#[derive(Clone, Copy, Debug)]
pub struct RunningClock {
    clock: Clock,
    base_ns: i64,
}

impl RunningClock {
    /// A clock that has not seen a packet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, base_ns: 0 }
    }

    /// The time a count means, ns since the epoch, in a packet seen at `ts_ns`.
    /// `None` where it is no time.
    #[inline(always)]
    pub fn time_ns(&mut self, count: u64, ts_ns: i64) -> Option<i64> {
        let ns = count.checked_mul(self.clock.unit_ns)?;
        if matches!(self.clock.since, Since::Epoch) {
            return i64::try_from(ns).ok();
        }
        let time = self.base_ns.wrapping_add(ns as i64);
        let distance = time.wrapping_sub(ts_ns).unsigned_abs();
        if distance < NEAR_NS && ns < COUNT_MAX_NS { Some(time) } else { self.far(ns, ts_ns) }
    }

    #[cold]
    fn far(&mut self, ns: u64, ts_ns: i64) -> Option<i64> {
        match self.clock.since {
            Since::Epoch => i64::try_from(ns).ok(),
            Since::Midnight(tz) => {
                if ns >= COUNT_MAX_NS {
                    return None;
                }
                let (base_ns, time) = nearest(tz, ns as i64, ts_ns)?;
                self.base_ns = base_ns;
                Some(time)
            }
        }
    }
}

/// The midnight whose `ns` lies nearest to `ts_ns`, and that time.
fn nearest(tz: Tz, ns: i64, ts_ns: i64) -> Option<(i64, i64)> {
    let today = DateTime::from_timestamp_nanos(ts_ns).with_timezone(&tz).date_naive();
    let days =
        [today.checked_sub_days(Days::new(1)), Some(today), today.checked_add_days(Days::new(1))];
    let bases = days.into_iter().flatten().filter_map(|day| midnight_ns(tz, day));
    let times = bases.filter_map(|base| Some((base, base.checked_add(ns)?)));
    times.min_by_key(|(_, time)| time.abs_diff(ts_ns))
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
    fn nonsense_counts_and_packet_times_are_no_times() {
        let mut clock = new_york();
        assert_eq!(clock.time_ns(u64::MAX, 0), None);
        assert_eq!(clock.time_ns(COUNT_MAX_NS, 0), None);
        for ts in [i64::MIN, i64::MAX] {
            clock.time_ns(1, ts);
        }
    }
}
