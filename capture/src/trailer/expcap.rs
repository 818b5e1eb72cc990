//! What exact-capture (ExaNIC) writes behind each packet.
//!
//! ```text
//! frame │ sec 4 │ picoseconds 5 │ flags 1 │ device 1 │ port 1 │ dropped 2 · reserved 2, or FCS 4
//! ```
//!
//! Little-endian. The captured length is larger than the wire length by it, and
//! records of wire length 0 are padding.

use super::{Proof, SEC_DIFFERENCE_MAX, SEC_MIN, Stamp, is_near};
use crate::packet::TsSource;
use crate::time::Timestamp;

/// Bytes behind the frame.
const LEN: usize = 16;

/// The footer of a record of `wire_len`.
pub fn find(data: &[u8], wire_len: u32, near: Option<Timestamp>) -> Option<Stamp> {
    let (frame, footer) = data.split_last_chunk::<LEN>()?;
    if data.len() as u64 <= u64::from(wire_len) {
        return None;
    }
    let [s0, s1, s2, s3, p0, p1, p2, p3, p4, _flags, device, port, ..] = *footer;
    let sec = u32::from_le_bytes([s0, s1, s2, s3]);
    let ps = u64::from_le_bytes([p0, p1, p2, p3, p4, 0, 0, 0]);
    if sec < SEC_MIN || ps >= 1_000_000_000_000 {
        return None;
    }
    let ts = Timestamp::from_sec_ns(i64::from(sec), (ps / 1000) as i64)?;
    if !is_near(ts, near, SEC_DIFFERENCE_MAX) {
        return None;
    }
    let stamp = Stamp::new(TsSource::Expcap, ts, data.len() - frame.len(), Proof::Range);
    Some(Stamp { ts_ps: (ps % 1000) as i16, device: device.into(), port: port.into(), ..stamp })
}
