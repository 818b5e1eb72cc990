//! Records of a capture card that counts what it drops.
//!
//! ```text
//! time 8 (little-endian, 32.32 s) · type 1 · flags 1 · length 2 · dropped before 2 · wire length 2
//! offset 1 · pad 1 · frame
//! ```
//! Big-endian but for the time. Source: Endace, "ERF types reference", type 2.

use std::io::{self, Write};

const ETHERNET: u8 = 2;
/// Records are as long as their frames.
const VARIABLE_LENGTH: u8 = 0x04;
const HEADER_LEN: usize = 18;
const NS_PER_S: i64 = 1_000_000_000;

/// Writes a frame captured at `ts_ns` since the epoch (before 2106), before
/// which the card `dropped` some; its original length was `wire_len`.
///
/// # Errors
/// What the writer says; [`io::ErrorKind::InvalidInput`] where the frame is
/// too long for a record.
pub fn write(
    out: &mut impl Write,
    ts_ns: i64,
    interface: u32,
    dropped: u64,
    frame: &[u8],
    wire_len: u32,
) -> io::Result<()> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let record_len = u16::try_from(HEADER_LEN + frame.len()).map_err(too_long)?;
    let wire_len = u16::try_from(wire_len).map_err(too_long)?;
    let dropped = u16::try_from(dropped).unwrap_or(u16::MAX);
    let mut record = Vec::with_capacity(HEADER_LEN + frame.len());
    record.extend_from_slice(&ticks(ts_ns).to_le_bytes());
    record.extend_from_slice(&[ETHERNET, VARIABLE_LENGTH | interface as u8 & 3]);
    for number in [record_len, dropped, wire_len, 0] {
        record.extend_from_slice(&number.to_be_bytes());
    }
    record.extend_from_slice(frame);
    out.write_all(&record)
}

/// Parts of 2^-32 s, rounded up: read back, they are the same nanosecond.
fn ticks(ts_ns: i64) -> u64 {
    let (seconds, ns) = (ts_ns.div_euclid(NS_PER_S) as u64, ts_ns.rem_euclid(NS_PER_S) as u64);
    (seconds << 32) + (ns << 32).div_ceil(NS_PER_S as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_header_and_a_frame() {
        let mut out = Vec::new();
        write(&mut out, 3 * NS_PER_S + 500_000_000, 1, 7, b"frame", 9).expect("fits");
        let header = [0, 0, 0, 0x80, 3, 0, 0, 0, 2, 5, 0, 23, 0, 7, 0, 9, 0, 0];
        assert_eq!(out, [&header[..], b"frame"].concat());
    }

    #[test]
    fn times_come_back() {
        for ns in [0, 1, 999_999_999, 1_772_548_200_123_456_789] {
            let ticks = ticks(ns);
            let part = ((ticks & 0xFFFF_FFFF) * NS_PER_S as u64) >> 32;
            assert_eq!((ticks >> 32) as i64 * NS_PER_S + part as i64, ns);
        }
    }
}
