//! Trailers of fields with a checksum: Ixia and Gigamon.
//!
//! ```text
//! frame │ fields: type 1 · len 1 · value │ length of all fields 1 │ magic 2 │ checksum 2 │ [new FCS 4]
//! ```
//!
//! Big-endian. The checksum is the internet checksum (RFC 1071) of the fields,
//! their length and the magic number. Time fields are 8 bytes: seconds and
//! nanoseconds; the type says what set the clock.

use super::frame::{FRAME_LEN_MIN, without_fcs};
use super::{Proof, Stamp, in_range};
use crate::packet::{TsSource, ts_flags};
use crate::time::Timestamp;

const MAGIC_IXIA: u16 = 0xaf12;
const MAGIC_GIGAMON: u16 = 0x22e5;

/// Length of all fields, magic, checksum.
const TAIL_LEN: usize = 5;

/// Looks for either trailer at the end of a whole frame, without and with a
/// new FCS.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    at_end(frame, near).or_else(|| {
        let stamp = at_end(without_fcs(frame)?, near)?;
        Some(Stamp { len: stamp.len + super::frame::FCS_LEN, ..stamp })
    })
}

fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let (before, tail) = bytes.split_last_chunk::<TAIL_LEN>()?;
    let [fields_len, m0, m1, c0, c1] = *tail;
    let source = match u16::from_be_bytes([m0, m1]) {
        MAGIC_IXIA => TsSource::Ixia,
        MAGIC_GIGAMON => TsSource::Gigamon,
        _ => return None,
    };
    let start = before.len().checked_sub(fields_len.into()).filter(|&at| at >= FRAME_LEN_MIN)?;
    let summed = bytes.get(start..bytes.len() - 2)?;
    if checksum(summed) != u16::from_be_bytes([c0, c1]) {
        return None;
    }
    let mut stamp = fields(before.get(start..)?, source, near)?;
    stamp.len = bytes.len() - start;
    Some(stamp)
}

/// The time among the fields; `None` where there is none or it makes no sense.
fn fields(mut fields: &[u8], source: TsSource, near: Option<Timestamp>) -> Option<Stamp> {
    let (mut found, mut port) = (None, 0);
    while let [kind, len, rest @ ..] = fields {
        let (value, after) = rest.split_at_checked((*len).into())?;
        let last_time = if source == TsSource::Ixia { 7 } else { 6 };
        match (*kind, value) {
            (3..=7, &[s0, s1, s2, s3, n0, n1, n2, n3]) if *kind <= last_time => {
                let sec = u32::from_be_bytes([s0, s1, s2, s3]);
                let ts = in_range(sec, u32::from_be_bytes([n0, n1, n2, n3]), near)?;
                let flags = clock_flags(*kind);
                found = Some(Stamp { flags, ..Stamp::new(source, ts, 0, Proof::Checksum) });
            }
            (2 | 8, value) if source == TsSource::Gigamon => {
                port = value.iter().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
            }
            _ => {}
        }
        fields = after;
    }
    found.map(|stamp| Stamp { port, ..stamp })
}

/// Type 3 is the device's own clock, 4 to 6 are NTP, GPS and PTP, 7 is one of
/// these that was lost.
fn clock_flags(kind: u8) -> u16 {
    match kind {
        3 => ts_flags::NO_SYNC,
        7 => ts_flags::HOLDOVER,
        _ => 0,
    }
}

/// The internet checksum; an odd last byte is the high one of a word.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
