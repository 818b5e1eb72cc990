//! The time in an ERSPAN type III header.
//!
//! ```text
//! Ethernet │ IP, protocol 47 │ GRE 8: flags 2 · 0x22EB · sequence 4 │ ERSPAN III 12 │ [platform 8] │ frame
//! ERSPAN III   version 4 bits · VLAN 12 · … 16 │ time 4 │ group tag 2 │ P 1 … direction 1 · unit 2 · O 1
//! platform     id 6 bits · 26 · 32
//! ```
//!
//! Big-endian. The unit is 0 for 100 us, 1 for 100 ns, 2 for nanoseconds of an
//! IEEE 1588 time. A mirror's counter says nothing by itself: it is a time only
//! where the platform header adds its upper half (ids 3 and 7) or the seconds
//! (5 and 6), or where it is the nanoseconds of a second, which the record's
//! time completes.

use super::frame::{network, u16_at, u32_at};
use super::{Proof, SEC_DIFFERENCE_MAX, Stamp, is_near, unwrap_near};
use crate::packet::TsSource;
use crate::time::Timestamp;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_GRE: u8 = 47;
const GRE_ERSPAN_III: u16 = 0x22eb;

/// The time of the mirrored frame, where it is one.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let header = header(frame)?;
    let (time, bits) = (u32_at(frame, header + 4)?, u16_at(frame, header + 10)?);
    if u16_at(frame, header)? >> 12 != 2 {
        return None;
    }
    let platform = match bits & 1 {
        0 => None,
        _ => Some((u32_at(frame, header + 12)?, u32_at(frame, header + 16)?)),
    };
    let ts = time_of(time, bits >> 1 & 3, platform, near)?;
    is_near(ts, near, SEC_DIFFERENCE_MAX).then_some(Stamp::new(
        TsSource::Erspan,
        ts,
        0,
        Proof::Range,
    ))
}

/// Where the ERSPAN III header begins.
fn header(frame: &[u8]) -> Option<usize> {
    let (ethertype, ip) = network(frame)?;
    let gre = match ethertype {
        ETHERTYPE_IPV4 if *frame.get(ip + 9)? == PROTOCOL_GRE => {
            ip + usize::from(frame.get(ip)? & 0xf) * 4
        }
        ETHERTYPE_IPV6 if *frame.get(ip + 6)? == PROTOCOL_GRE => ip + 40,
        _ => return None,
    };
    let flags = u16_at(frame, gre)?;
    let optional = [0x8000, 0x2000, 0x1000].iter().filter(|&bit| flags & bit != 0).count();
    (u16_at(frame, gre + 2)? == GRE_ERSPAN_III).then_some(gre + 4 + optional * 4)
}

fn time_of(
    time: u32,
    unit: u16,
    platform: Option<(u32, u32)>,
    near: Option<Timestamp>,
) -> Option<Timestamp> {
    let id = platform.map(|(first, _)| first >> 26);
    let second = platform.map_or(0, |(_, second)| second);
    match (unit, id) {
        (0 | 1, Some(3 | 7)) => {
            let count = i64::try_from(u64::from(second) << 32 | u64::from(time)).ok()?;
            count.checked_mul(if unit == 0 { 100_000 } else { 100 }).map(Timestamp::from_ns)
        }
        (2, Some(5 | 6)) if time < 1_000_000_000 => {
            Timestamp::from_sec_ns(i64::from(second), i64::from(time))
        }
        (2, _) if time < 1_000_000_000 => unwrap_near(i64::from(time), 1_000_000_000, near?),
        _ => None,
    }
}
