//! The Arista 7280 / 7500R time stamp header, and its form in place of the
//! source address.
//!
//! ```text
//! addresses 12 │ 0xD28B │ 0x0001 │ timescale 1 │ format 1·hardware 1 (a nibble each) │ time │ type │ …
//! time   format 1: sec 4 · ns 4     format 2: low 16 bits of sec 2 · ns 4
//! or     destination 6 │ sec 2 · ns 4 │ type │ …
//! ```
//!
//! Big-endian. The two low bytes of seconds turn over every 18 hours: the
//! record's time, never today's, says which turn it is. International atomic
//! time is converted to UTC.

use super::frame::{u16_at, u32_at};
use super::{Proof, SEC_DIFFERENCE_MAX, Stamp, is_near, unwrap_near};
use crate::packet::TsSource;
use crate::time::{Timestamp, tai_to_utc};

/// The header's EtherType, Arista's own.
pub const ETHERTYPE: u16 = 0xd28b;

/// The header's subtype of time stamps.
const SUBTYPE: u16 = 1;

/// Seconds after which the low 16 bits repeat.
const TURN_NS: i64 = 65_536 * 1_000_000_000;

/// Where seconds carry their upper bits from the way out and their lower from
/// the way in, they may be this much late.
const ROLL_NS: i64 = 4_000_000_000;

/// How long before a roll the lower bits may have been read.
const ROLL_WINDOW_NS: u32 = 500_000_000;

/// Which scale a clock counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// International atomic time, ahead of UTC by the leap seconds.
    Tai,
    /// Coordinated universal time.
    Utc,
}

impl Scale {
    fn utc(self, ts: Timestamp) -> Timestamp {
        match self {
            Self::Tai => tai_to_utc(ts),
            Self::Utc => ts,
        }
    }

    /// A UTC time in this scale, as far as the nearest second goes.
    fn of_utc(self, ts: Timestamp) -> Timestamp {
        match self {
            Self::Utc => ts,
            Self::Tai => {
                let ahead = ts.ns() - tai_to_utc(ts).ns();
                Timestamp::from_ns(ts.ns().saturating_add(ahead))
            }
        }
    }
}

/// The header's time, where the frame has the header.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    if u16_at(frame, 12)? != ETHERTYPE || u16_at(frame, 14)? != SUBTYPE {
        return None;
    }
    let version = u16_at(frame, 16)?;
    let scale = match version >> 8 {
        0 => Scale::Tai,
        1 => Scale::Utc,
        _ => return None,
    };
    let ts = match version >> 4 & 0xf {
        1 => sec_ns_64(frame, scale, near)?,
        2 => sec_ns_48(frame, 18, scale, near?)?,
        _ => return None,
    };
    is_near(ts, near, SEC_DIFFERENCE_MAX).then_some(Stamp::new(
        TsSource::Arista7280,
        ts,
        0,
        Proof::Checksum,
    ))
}

/// The time in place of the source address; nothing tells that there is one.
pub fn find_in_address(frame: &[u8], scale: Scale, near: Option<Timestamp>) -> Option<Stamp> {
    let ts = sec_ns_48(frame, 6, scale, near?)?;
    Some(Stamp::new(TsSource::Arista7280, ts, 0, Proof::Range))
}

/// Bytes of the header from the EtherType to the original one, where `rest`
/// starts with the EtherType.
pub fn header_len(rest: &[u8]) -> Option<usize> {
    if u16_at(rest, 0)? != ETHERTYPE || u16_at(rest, 2)? != SUBTYPE {
        return None;
    }
    match u16_at(rest, 4)? >> 4 & 0xf {
        1 => Some(14),
        2 => Some(12),
        _ => None,
    }
}

fn sec_ns_64(frame: &[u8], scale: Scale, near: Option<Timestamp>) -> Option<Timestamp> {
    let (sec, ns) = (u32_at(frame, 18)?, u32_at(frame, 22)?);
    u16_at(frame, 26)?;
    if ns >= 1_000_000_000 {
        return None;
    }
    let ts = scale.utc(Timestamp::from_sec_ns(i64::from(sec), i64::from(ns))?);
    let before_roll = sec & 3 == 3 && ns >= 1_000_000_000 - ROLL_WINDOW_NS;
    let earlier = Timestamp::from_ns(ts.ns().checked_sub(ROLL_NS)?);
    let rolled = before_roll && near.is_some() && is_near(earlier, near, 1);
    Some(if rolled { earlier } else { ts })
}

fn sec_ns_48(frame: &[u8], at: usize, scale: Scale, near: Timestamp) -> Option<Timestamp> {
    let (sec, ns) = (u16_at(frame, at)?, u32_at(frame, at + 2)?);
    u16_at(frame, at + 6)?;
    if ns >= 1_000_000_000 {
        return None;
    }
    let low = i64::from(sec) * 1_000_000_000 + i64::from(ns);
    let ts = unwrap_near(low, TURN_NS, scale.of_utc(near))?;
    Some(scale.utc(ts))
}
