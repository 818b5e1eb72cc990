//! The VSS Monitoring (APCON) trailer.
//!
//! ```text
//! frame │ sec 4 │ clock 2 bits · ns 30 bits │ [port 1, or 2] │ [FCS 4]
//! ```
//!
//! Big-endian. The clock is 0 for none, 1 NTP, 2 GPS, 3 PTP. Nothing in it is
//! checked and its length varies: a point has to be configured for it, or all
//! its packets have to agree.

use super::frame::{FCS_LEN, FRAME_LEN_MIN, ends_in_fcs};
use super::{Proof, Stamp, in_range};
use crate::packet::{TsSource, ts_flags};
use crate::time::Timestamp;

/// Seconds and nanoseconds.
const TIME_LEN: usize = 8;

/// Most bytes of port number.
const PORT_LEN_MAX: usize = 2;

/// Looks for a trailer at the end of a whole frame. Where several lengths fit,
/// the one whose time is nearest to the record's is it.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let fcs_lens: &[usize] = if ends_in_fcs(frame) { &[FCS_LEN] } else { &[0, FCS_LEN] };
    let ends = fcs_lens.iter().filter_map(|fcs_len| {
        let bytes = frame.get(..frame.len().checked_sub(*fcs_len)?)?;
        at_end(bytes, near).map(|stamp| Stamp { len: stamp.len + fcs_len, ..stamp })
    });
    ends.min_by_key(|stamp| stamp.distance(near))
}

fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let lens = (0..=PORT_LEN_MAX).filter_map(|port_len| with_port(bytes, port_len, near));
    lens.min_by_key(|stamp| stamp.distance(near))
}

fn with_port(bytes: &[u8], port_len: usize, near: Option<Timestamp>) -> Option<Stamp> {
    let (rest, port) = bytes.split_at_checked(bytes.len().checked_sub(port_len)?)?;
    let (frame, time) = rest.split_last_chunk::<TIME_LEN>()?;
    let [s0, s1, s2, s3, n0, n1, n2, n3] = *time;
    let word = u32::from_be_bytes([n0, n1, n2, n3]);
    let ts = in_range(u32::from_be_bytes([s0, s1, s2, s3]), word & 0x3fff_ffff, near)?;
    if frame.len() < FRAME_LEN_MIN {
        return None;
    }
    let flags = if word >> 30 == 0 { ts_flags::NO_SYNC } else { 0 };
    let port = port.iter().fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
    let stamp = Stamp::new(TsSource::Vss, ts, TIME_LEN + port_len, Proof::Range);
    Some(Stamp { flags, port, ..stamp })
}
