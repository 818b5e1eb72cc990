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
//! magic number, so that it is only taken where a point is configured for it or
//! where the original FCS stands in its place.

use super::frame::{FCS_LEN, FRAME_LEN_MIN, has_fcs_at, without_fcs};
use super::{Proof, Stamp, in_range};
use crate::packet::{TsSource, ts_flags};
use crate::time::Timestamp;

/// Seconds to port.
const FIXED_LEN: usize = 12;

/// Tag of an extension whose real tag is in its own header.
const TAG_SECONDARY: u32 = 0x1f;

const TAG_INGRESS_SEQ: u32 = 0;
const TAG_SUB_NS: u32 = 1;
const TAG_DEDUP_HASH: u32 = 2;
const TAG_EGRESS_SEQ: u32 = 3;

const FLAG_FCS_VALID: u8 = 0x01;
const FLAG_EXTENSIONS: u8 = 0x02;
const FLAG_DUPLICATE: u8 = 0x04;
const FLAG_DEGRADED: u8 = 0x10;
/// The stamp is that of the physical coding sublayer.
const FLAG_PCS: u8 = 0x20;

/// What the extensions say; the last of a kind counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Fraction of a nanosecond, in 2^-24.
    pub sub_ns: Option<u32>,
    /// Low 16 bits of the count of frames taken in at the port.
    pub ingress_seq: Option<u16>,
    /// Low 20 bits of the count of frames sent to the capture.
    pub egress_seq: Option<u32>,
    /// Hash of the frame by which the device finds copies.
    pub dedup_hash: Option<u64>,
}

/// A trailer taken apart.
struct Parts {
    stamp: Stamp,
    extensions: Extensions,
    flags: u8,
}

/// Looks for a trailer at the end of a whole (not snapped) frame, without and
/// with a new FCS behind it. `near` is the record's time, where there is one.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    parts(frame, near).map(|parts| parts.stamp)
}

/// The extensions of the trailer that [`find`] finds.
pub fn extensions(frame: &[u8], near: Option<Timestamp>) -> Option<Extensions> {
    parts(frame, near).map(|parts| parts.extensions)
}

/// As [`find`], and only where no bit is set that the format does not have.
pub(super) fn find_strict(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let known = FLAG_FCS_VALID | FLAG_EXTENSIONS | FLAG_DUPLICATE | FLAG_DEGRADED | FLAG_PCS;
    parts(frame, near).filter(|parts| parts.flags & !known == 0).map(|parts| parts.stamp)
}

fn parts(frame: &[u8], near: Option<Timestamp>) -> Option<Parts> {
    let plain = at_end(frame, near);
    if plain.as_ref().is_some_and(|parts| parts.stamp.proof == Proof::Fcs) {
        return plain;
    }
    let with_fcs = without_fcs(frame).and_then(|frame| at_end(frame, near)).map(|mut parts| {
        parts.stamp.len += FCS_LEN;
        parts
    });
    match with_fcs {
        Some(parts) if plain.is_none() || parts.stamp.proof == Proof::Fcs => Some(parts),
        _ => plain,
    }
}

/// The trailer whose port is the last byte of `bytes`.
fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<Parts> {
    let (before, fixed) = bytes.split_last_chunk::<FIXED_LEN>()?;
    let [s0, s1, s2, s3, n0, n1, n2, n3, flags, d0, d1, port] = *fixed;
    let sec = u32::from_be_bytes([s0, s1, s2, s3]);
    let ns = u32::from_be_bytes([n0, n1, n2, n3]);
    let ts = in_range(sec, ns, near)?;
    let (before, extensions) = match flags & FLAG_EXTENSIONS {
        0 => (before, Extensions::default()),
        _ => read_extensions(before)?,
    };
    let frame_len = before.len().checked_sub(FCS_LEN)?;
    if frame_len < FRAME_LEN_MIN {
        return None;
    }
    let proof = if has_fcs_at(bytes, frame_len) { Proof::Fcs } else { Proof::Range };
    let stamp = Stamp {
        ts_ps: extensions.sub_ns.map_or(0, |part| ((u64::from(part) * 1000) >> 24) as i16),
        flags: packet_flags(flags),
        device: u16::from_be_bytes([d0, d1]),
        port: u32::from(port),
        ..Stamp::new(TsSource::Metamako, ts, bytes.len() - frame_len, proof)
    };
    Some(Parts { stamp, extensions, flags })
}

/// The extensions that end `bytes`, and what stands before them.
fn read_extensions(mut bytes: &[u8]) -> Option<(&[u8], Extensions)> {
    let mut found = Extensions::default();
    loop {
        let (rest, header) = bytes.split_last_chunk::<4>()?;
        let header = u32::from_be_bytes(*header);
        let secondary = header & 0x1f == TAG_SECONDARY;
        let words = if secondary { ((header >> 6) & 0x3ff) + 1 } else { (header >> 6) & 3 };
        let split = rest.len().checked_sub(words as usize * 4)?;
        let (before, value) = rest.split_at_checked(split)?;
        if !secondary {
            found.take(header & 0x1f, header >> 8, value);
        }
        bytes = before;
        if header & 0x20 != 0 {
            return Some((bytes, found));
        }
    }
}

impl Extensions {
    /// `data` is the 24 bits of the header, `value` the words before it.
    fn take(&mut self, tag: u32, data: u32, value: &[u8]) {
        match tag {
            TAG_INGRESS_SEQ => self.ingress_seq = Some(data as u16),
            TAG_SUB_NS => self.sub_ns = Some(data),
            TAG_EGRESS_SEQ => self.egress_seq = Some(data & 0xf_ffff),
            TAG_DEDUP_HASH => {
                self.dedup_hash = value.first_chunk().map(|hash| u64::from_be_bytes(*hash));
            }
            _ => {}
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
    frame.extend(super::frame::fcs(frame));
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
            let stamp = find(&frame(&[], 0x15, new_fcs), Some(NEAR)).unwrap();
            assert_eq!((stamp.ts, stamp.device, stamp.port), (NEAR, 7, 3));
            assert_eq!((stamp.len, stamp.proof), (16 + new_fcs.len(), Proof::Fcs));
            let all = ts_flags::FCS_VALID | ts_flags::DUPLICATE | ts_flags::CLOCK_DEGRADED;
            assert_eq!(stamp.flags, all);
        }
    }

    #[test]
    fn walks_extensions_backwards() {
        // The sub-nanosecond part (last), an 8-byte hash, both counts, then a
        // string of 3 words.
        let sub_ns = [0x80, 0x00, 0x00, 0x21];
        let hash = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0x82];
        let counts = [0xff, 0x12, 0x34, 0x00, 0xfa, 0xbc, 0xde, 0x03];
        let string = [b'a'; 12].into_iter().chain([0, 1, 0x00, 0x9f]);
        let bytes: Vec<u8> = sub_ns.into_iter().chain(hash).chain(counts).chain(string).collect();
        let frame = frame(&bytes, 0x02, &[]);
        let stamp = find(&frame, Some(NEAR)).unwrap();
        assert_eq!((stamp.ts, stamp.ts_ps), (NEAR, 500));
        assert_eq!((stamp.len, stamp.proof), (16 + 4 + 12 + 8 + 16, Proof::Fcs));
        let expected = Extensions {
            sub_ns: Some(0x80_0000),
            ingress_seq: Some(0x1234),
            egress_seq: Some(0xa_bcde),
            dedup_hash: Some(0x0102_0304_0506_0708),
        };
        assert_eq!(extensions(&frame, Some(NEAR)), Some(expected));
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

    #[test]
    fn bits_the_format_does_not_have_are_seen() {
        assert!(find_strict(&frame(&[], 0x21, &[]), Some(NEAR)).is_some());
        assert!(find_strict(&frame(&[], 0x41, &[]), Some(NEAR)).is_none());
    }

    proptest! {
        #[test]
        fn any_extensions(extensions in prop::collection::vec(any::<u8>(), 0..64)) {
            let frame = frame(&extensions, 0x02, &[]);
            if let Some(stamp) = find(&frame, Some(NEAR)) {
                prop_assert!(stamp.len <= frame.len());
            }
        }
    }
}
