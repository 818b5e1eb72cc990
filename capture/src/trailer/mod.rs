//! Times that a tap or switch wrote into the frame itself.
//!
//! ```text
//! record's time ─┐
//! frame bytes ───┴─▶ [`stamper::Stamper`] ─▶ ts, ts_ps, ts_source, ts_flags
//!                      │  one format, or all of them ([`auto`])
//!                      ├─ behind the frame: [`metamako`] [`exablaze`] [`cpacket`] [`tlv`]
//!                      │                    [`gigamon`] [`vss`] [`expcap`]
//!                      ├─ in the header:    [`arista_7280`] [`ttag`] [`erspan`]
//!                      └─ ticks of a counter: [`ticks`], with the key frames
//!                                          that say what time they are
//! ```
//!
//! A format gives a [`Stamp`] with the [`Proof`] it has: a checksum that fits,
//! the frame's original check sequence found where it must be, or no more than
//! fields within their range. A point that is configured for a format takes any
//! of them, because many devices leave the original check sequence wrong or out;
//! detection takes a bare range only where nearly all packets agree.
//!
//! Two things hold for all: a packet cut by the snap length has no trailer, as
//! its last bytes are something else; and no trailer lies inside the IP
//! datagram, whose own length says where it ends.

pub mod arista_7280;
mod auto;
pub mod cpacket;
pub mod erspan;
pub mod exablaze;
pub mod expcap;
mod frame;
pub mod gigamon;
pub mod metamako;
pub mod stamper;
#[cfg(test)]
mod tests;
pub mod ticks;
pub mod tlv;
pub mod ttag;
pub mod vss;

use crate::packet::TsSource;
use crate::time::Timestamp;

/// Furthest a stamp may be from the record's time, in seconds: 30 days.
pub const SEC_DIFFERENCE_MAX: u64 = 30 * 86_400;

/// Before this many seconds after the epoch no clock has been set.
pub const SEC_MIN: u32 = 3600;

/// How sure it is that the bytes are a stamp, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Its fields are in range and the time is near the record's.
    Range,
    /// Four bytes are the check sequence of exactly what stands before them.
    Fcs,
    /// A magic number, and a checksum where the format has one.
    Checksum,
}

/// A stamp found in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time.
    pub ts: Timestamp,
    /// Picoseconds to add to `ts`, -500 to 999.
    pub ts_ps: i16,
    /// Bits of [`ts_flags`](crate::packet::ts_flags).
    pub flags: u16,
    /// The format.
    pub source: TsSource,
    /// The stamping device, 0 where not said.
    pub device: u16,
    /// Its port, 0 where not said.
    pub port: u32,
    /// Bytes behind the frame: everything from its original check sequence on.
    pub len: usize,
    /// Why it is taken for one.
    pub proof: Proof,
}

impl Stamp {
    /// A stamp that says nothing but a time.
    fn new(source: TsSource, ts: Timestamp, len: usize, proof: Proof) -> Self {
        Self { ts, ts_ps: 0, flags: 0, source, device: 0, port: 0, len, proof }
    }

    /// Distance from the record's time in nanoseconds; 0 without one.
    fn distance(&self, near: Option<Timestamp>) -> u64 {
        near.map_or(0, |near| near.ns().abs_diff(self.ts.ns()))
    }
}

/// Seconds and nanoseconds as a time, where they are ones: nanoseconds below a
/// second, a clock that was set, and at most [`SEC_DIFFERENCE_MAX`] from `near`.
pub(crate) fn in_range(sec: u32, ns: u32, near: Option<Timestamp>) -> Option<Timestamp> {
    if sec < SEC_MIN || ns >= 1_000_000_000 {
        return None;
    }
    let ts = Timestamp::from_sec_ns(i64::from(sec), i64::from(ns))?;
    is_near(ts, near, SEC_DIFFERENCE_MAX).then_some(ts)
}

/// Whether `ts` is at most `sec_max` seconds from the record's time, where
/// there is one.
pub(crate) fn is_near(ts: Timestamp, near: Option<Timestamp>, sec_max: u64) -> bool {
    near.is_none_or(|near| ts.ns().abs_diff(near.ns()) <= sec_max * 1_000_000_000)
}

/// The time nearest to `near` whose nanoseconds are `low` modulo `modulus`;
/// both below 2^62.
pub(crate) fn unwrap_near(low: i64, modulus: i64, near: Timestamp) -> Option<Timestamp> {
    let turns = near.ns().div_euclid(modulus);
    let candidates = [turns.checked_sub(1)?, turns, turns.checked_add(1)?];
    let times = candidates.iter().filter_map(|turn| turn.checked_mul(modulus)?.checked_add(low));
    times.min_by_key(|ns| ns.abs_diff(near.ns())).map(Timestamp::from_ns)
}
