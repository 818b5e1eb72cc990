//! Sends the packets of a capture to an interface, with their gaps.
//!
//! ```text
//! packet times   t0 ─ 40 us ─ t1 ─ 2 ms ─ t2          speed 2: 20 us, 1 ms
//! sent           s0 ─ 40 us ─ s1 ─ 2 ms ─ s2          never before its time
//! ```
//!
//! Times count from the first packet, so that errors of single gaps do not add
//! up. A packet whose time is before the one sent last goes at once.

use crate::source::CaptureError;
use pcap::{Active, Capture};
use std::time::{Duration, Instant};

/// Below this a wait is spun, since sleeping takes longer.
const SPIN: Duration = Duration::from_micros(200);

/// How to space packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As they were captured, times `percent` / 100 in speed.
    Original {
        /// 100 is the original speed.
        percent: u32,
    },
    /// As fast as the interface takes them.
    Flat,
}

/// When each packet is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pace: Pace,
    first_ns: Option<i64>,
}

impl Schedule {
    /// A schedule that begins with the first packet asked for.
    pub fn new(pace: Pace) -> Self {
        Self { pace, first_ns: None }
    }

    /// How long after the first packet one of this time is due.
    pub fn due(&mut self, ts_ns: i64) -> Duration {
        let first = *self.first_ns.get_or_insert(ts_ns);
        let gap = u128::from(ts_ns.saturating_sub(first).max(0).unsigned_abs());
        match self.pace {
            Pace::Flat => Duration::ZERO,
            Pace::Original { percent } => {
                let ns = gap * 100 / u128::from(percent.max(1));
                Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
            }
        }
    }
}

/// Waits until `due` after `start`.
pub fn wait_until(start: Instant, due: Duration) {
    loop {
        let left = due.saturating_sub(start.elapsed());
        if left.is_zero() {
            return;
        }
        if left > SPIN {
            std::thread::sleep(left - SPIN);
        } else {
            std::hint::spin_loop();
        }
    }
}

/// An interface to send on.
pub struct Sender {
    name: String,
    handle: Capture<Active>,
}

impl Sender {
    /// Opens an interface.
    ///
    /// # Errors
    /// What libpcap says.
    pub fn open(interface: &str) -> Result<Self, CaptureError> {
        let open = || Capture::from_device(interface)?.snaplen(64).immediate_mode(true).open();
        let handle = open().map_err(|error| failed(interface, &error))?;
        Ok(Self { name: interface.to_string(), handle })
    }

    /// Sends a packet, its link header first.
    ///
    /// # Errors
    /// What libpcap says: longer than the interface takes, or the interface is
    /// down.
    pub fn send(&mut self, packet: &[u8]) -> Result<(), CaptureError> {
        self.handle.sendpacket(packet).map_err(|error| failed(&self.name, &error))
    }
}

fn failed(interface: &str, error: &pcap::Error) -> CaptureError {
    CaptureError::Live { name: interface.to_string(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_kept_from_the_first_packet() {
        let mut original = Schedule::new(Pace::Original { percent: 100 });
        let due: Vec<u128> =
            [1_000, 41_000, 2_041_000, 500].map(|ts| original.due(ts).as_nanos()).into();
        assert_eq!(due, [0, 40_000, 2_040_000, 0]);
        let mut twice = Schedule::new(Pace::Original { percent: 200 });
        assert_eq!([7, 107].map(|ts| twice.due(ts).as_nanos()), [0, 50]);
        assert_eq!(Schedule::new(Pace::Flat).due(99), Duration::ZERO);
        let mut far = Schedule::new(Pace::Original { percent: 1 });
        far.due(i64::MIN);
        assert_eq!(far.due(i64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn nothing_is_sent_before_its_time() {
        let start = Instant::now();
        wait_until(start, Duration::from_millis(3));
        assert!(start.elapsed() >= Duration::from_millis(3));
    }
}
