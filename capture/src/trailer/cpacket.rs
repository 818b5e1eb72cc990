//! The cPacket trailer.
//!
//! ```text
//! frame │ original FCS 4 │ sec 4 │ ns 4 │ version 1 │ device 2 │ port 1 │ [new FCS 4]
//! ```
//!
//! Big-endian. The same 16 bytes as Metamako's without extensions, the version
//! in place of the flags: where both fit, only the name of the format differs.

use super::frame::{FCS_LEN, FRAME_LEN_MIN, has_fcs_at, without_fcs};
use super::{Proof, Stamp, in_range};
use crate::packet::TsSource;
use crate::time::Timestamp;

/// Original FCS to port.
const LEN: usize = 16;

/// Looks for a trailer at the end of a whole frame, without and with a new FCS.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let with_fcs = || {
        let stamp = at_end(without_fcs(frame)?, near)?;
        Some(Stamp { len: stamp.len + FCS_LEN, ..stamp })
    };
    match at_end(frame, near) {
        Some(stamp) if stamp.proof == Proof::Fcs => Some(stamp),
        Some(stamp) => Some(with_fcs().filter(|s| s.proof == Proof::Fcs).unwrap_or(stamp)),
        None => with_fcs(),
    }
}

fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let (frame, trailer) = bytes.split_last_chunk::<LEN>()?;
    let [_, _, _, _, s0, s1, s2, s3, n0, n1, n2, n3, _version, d0, d1, port] = *trailer;
    let sec = u32::from_be_bytes([s0, s1, s2, s3]);
    let ts = in_range(sec, u32::from_be_bytes([n0, n1, n2, n3]), near)?;
    if frame.len() < FRAME_LEN_MIN {
        return None;
    }
    let proof = if has_fcs_at(bytes, frame.len()) { Proof::Fcs } else { Proof::Range };
    let device = u16::from_be_bytes([d0, d1]);
    Some(Stamp { device, port: port.into(), ..Stamp::new(TsSource::Cpacket, ts, LEN, proof) })
}
