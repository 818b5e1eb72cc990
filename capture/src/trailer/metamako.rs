//! The Metamako / Arista 7130 MetaWatch trailer.
//!
//! ```text
//! frame │ original FCS 4 │ extensions │ sec 4 │ ns 4 │ flags 1 │ device 2 │ port 1 │ [new FCS 4]
//!                          ◀─ read backwards from sec
//! extension    len words of 4 · header 4: data 24 bits │ len 2 │ last 1 │ tag 5
//! secondary    len + 1 words of 4 · header 4: tag 16 │ len 10 │ last 1 │ 11111
//! ```
//!
//! Big-endian. The layout is Arista's MetaWatch format; nothing in it is a
//! magic number, so that it is only looked for where a point is configured
//! for it, and accepted where the time fits the record's.

use crate::packet::ts_flags;
use crate::time::Timestamp;

/// Furthest a stamp may be from the record's time, in seconds: 30 days.
pub const SEC_DIFFERENCE_MAX: u64 = 30 * 86_400;

/// Before this many seconds after the epoch no clock has been set.
const SEC_MIN: u32 = 3600;

/// Seconds to port.
const FIXED_LEN: usize = 12;

/// A frame check sequence, the original or the new one.
const FCS_LEN: usize = 4;

/// The shortest frame before a trailer: its two addresses and type.
const FRAME_LEN_MIN: usize = 14;

/// Tag of an extension whose real tag is in its own header.
const TAG_SECONDARY: u32 = 0x1f;

const FLAG_FCS_VALID: u8 = 0x01;
const FLAG_EXTENSIONS: u8 = 0x02;
const FLAG_DUPLICATE: u8 = 0x04;
const FLAG_DEGRADED: u8 = 0x10;

/// A trailer that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The stamp.
    pub ts: Timestamp,
    /// Bits of [`ts_flags`].
    pub flags: u16,
    /// The stamping device.
    pub device: u16,
    /// Its port.
    pub port: u8,
    /// Bytes from the original FCS to the end of the frame.
    pub len: usize,
}

/// Looks for a trailer at the end of a whole (not snapped) frame, first taken
/// without, then with a new FCS behind it. `near` is the record's time, where
/// there is one.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Trailer> {
    at_end(frame, near).or_else(|| {
        let without_fcs = frame.get(..frame.len().checked_sub(FCS_LEN)?)?;
        let trailer = at_end(without_fcs, near)?;
        Some(Trailer { len: trailer.len + FCS_LEN, ..trailer })
    })
}

/// The trailer whose port is the last byte of `bytes`.
fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<Trailer> {
    let (before, fixed) = bytes.split_last_chunk::<FIXED_LEN>()?;
    let [s0, s1, s2, s3, n0, n1, n2, n3, flags, d0, d1, port] = *fixed;
    let sec = u32::from_be_bytes([s0, s1, s2, s3]);
    let ns = u32::from_be_bytes([n0, n1, n2, n3]);
    if sec < SEC_MIN || ns >= 1_000_000_000 {
        return None;
    }
    let ts = Timestamp::from_sec_ns(i64::from(sec), i64::from(ns))?;
    if near.is_some_and(|near| ts.ns().abs_diff(near.ns()) > SEC_DIFFERENCE_MAX * 1_000_000_000) {
        return None;
    }
    let before = if flags & FLAG_EXTENSIONS == 0 { before } else { before_extensions(before)? };
    let frame_len = before.len().checked_sub(FCS_LEN)?;
    if frame_len < FRAME_LEN_MIN {
        return None;
    }
    let device = u16::from_be_bytes([d0, d1]);
    Some(Trailer { ts, flags: packet_flags(flags), device, port, len: bytes.len() - frame_len })
}

/// What stands before the extensions that end `bytes`.
fn before_extensions(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (rest, header) = bytes.split_last_chunk::<4>()?;
        let header = u32::from_be_bytes(*header);
        let words = if header & 0x1f == TAG_SECONDARY {
            ((header >> 6) & 0x3ff) as usize + 1
        } else {
            ((header >> 6) & 3) as usize
        };
        bytes = rest.get(..rest.len().checked_sub(words * 4)?)?;
        if header & 0x20 != 0 {
            return Some(bytes);
        }
    }
}

fn packet_flags(flags: u8) -> u16 {
    let pairs = [
        (FLAG_FCS_VALID, ts_flags::FCS_VALID),
        (FLAG_DUPLICATE, ts_flags::DUPLICATE),
        (FLAG_DEGRADED, ts_flags::CLOCK_DEGRADED),
    ];
    pairs.iter().filter(|(bit, _)| flags & bit != 0).fold(0, |sum, (_, ours)| sum | ours)
}

/// Appends what a tap appends: an original FCS and the fixed part, without
/// extensions and without a new FCS. `frame` comes without FCS.
pub fn append(frame: &mut Vec<u8>, ts: Timestamp, flags: u8, device: u16, port: u8) {
    let mut crc = flate2::Crc::new();
    crc.update(frame);
    frame.extend(crc.sum().to_le_bytes());
    let (sec, ns) = (ts.ns().div_euclid(1_000_000_000), ts.ns().rem_euclid(1_000_000_000));
    frame.extend((sec as u32).to_be_bytes());
    frame.extend((ns as u32).to_be_bytes());
    frame.push(flags);
    frame.extend(device.to_be_bytes());
    frame.push(port);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEAR: Timestamp = Timestamp::from_ns(1_700_000_000_123_456_789);

    fn frame(extensions: &[u8], flags: u8, new_fcs: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x55; 64];
        append(&mut frame, NEAR, flags, 7, 3);
        let at = frame.len() - FIXED_LEN;
        frame.splice(at..at, extensions.iter().copied());
        frame.extend(new_fcs);
        frame
    }

    #[test]
    fn without_and_with_a_new_fcs() {
        for new_fcs in [&[][..], &[0x7e, 0x20, 0xd4, 0x5c]] {
            let trailer = find(&frame(&[], 0x15, new_fcs), Some(NEAR)).unwrap();
            assert_eq!((trailer.ts, trailer.device, trailer.port), (NEAR, 7, 3));
            assert_eq!(trailer.len, 16 + new_fcs.len());
            let all = ts_flags::FCS_VALID | ts_flags::DUPLICATE | ts_flags::CLOCK_DEGRADED;
            assert_eq!(trailer.flags, all);
        }
    }

    #[test]
    fn walks_extensions_backwards() {
        // The sub-nanosecond part (last), an 8-byte hash, then a string of 3 words.
        let sub_ns = [0x12, 0x34, 0x56, 0x21];
        let hash = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0x82];
        let string = [b'a'; 12].into_iter().chain([0, 1, 0x00, 0x9f]);
        let extensions: Vec<u8> = sub_ns.into_iter().chain(hash).chain(string).collect();
        let trailer = find(&frame(&extensions, 0x02, &[]), Some(NEAR)).unwrap();
        assert_eq!((trailer.ts, trailer.len), (NEAR, 16 + 4 + 12 + 16));
    }

    #[test]
    fn extensions_that_never_end_are_no_trailer() {
        let mut fixed = Vec::new();
        append(&mut fixed, NEAR, 0x02, 7, 3);
        let frame = [&[0; 64], &fixed[FCS_LEN..]].concat();
        assert_eq!(find(&frame, Some(NEAR)), None);
    }

    #[test]
    fn a_time_that_does_not_fit_is_no_trailer() {
        let month_later = Timestamp::from_ns(NEAR.ns() + 31 * 86_400 * 1_000_000_000);
        assert_eq!(find(&frame(&[], 0, &[]), Some(month_later)), None);
        assert!(find(&frame(&[], 0, &[]), None).is_some());
        let mut unset = vec![0; 64];
        append(&mut unset, Timestamp::from_ns(3_599_999_999_999), 0, 0, 0);
        assert_eq!(find(&unset, None), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            if let Some(trailer) = find(&bytes, None) {
                prop_assert!(trailer.len + FRAME_LEN_MIN <= bytes.len());
            }
        }

        #[test]
        fn any_extensions(extensions in prop::collection::vec(any::<u8>(), 0..64)) {
            let frame = frame(&extensions, 0x02, &[]);
            if let Some(trailer) = find(&frame, Some(NEAR)) {
                prop_assert!(trailer.len <= frame.len());
            }
        }
    }
}
