//! Gigamon's trailer of fixed size; its trailer of fields is in
//! [`tlv`](super::tlv).
//!
//! ```text
//! frame │ original CRC 4 │ port 2 │ sec 4 │ ns 4 │ new CRC 4
//! ```
//!
//! Big-endian but for the two check sequences. The new one continues the
//! original over the fourteen bytes before it, so that it proves the trailer
//! even where the frame itself was damaged.

use super::frame::{FCS_LEN, FRAME_LEN_MIN};
use super::{Proof, Stamp, in_range};
use crate::packet::TsSource;
use crate::time::Timestamp;

/// Without the new check sequence.
const LEN: usize = 14;

/// Looks for a trailer at the end of a whole frame; without a new check
/// sequence, or with a wrong one, it is no more than in range.
pub fn find(frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
    let with_crc = || {
        let (rest, new) = frame.split_last_chunk::<FCS_LEN>()?;
        let (stamp, continued) = at_end(rest, near)?;
        let proof = if continued == *new { Proof::Checksum } else { Proof::Range };
        Some(Stamp { len: LEN + FCS_LEN, proof, ..stamp })
    };
    with_crc().or_else(|| at_end(frame, near).map(|(stamp, _)| stamp))
}

/// The trailer that ends `bytes`, and the check sequence that continues its own.
fn at_end(bytes: &[u8], near: Option<Timestamp>) -> Option<(Stamp, [u8; FCS_LEN])> {
    let (frame, trailer) = bytes.split_last_chunk::<LEN>()?;
    let [c0, c1, c2, c3, p0, p1, s0, s1, s2, s3, n0, n1, n2, n3] = *trailer;
    let sec = u32::from_be_bytes([s0, s1, s2, s3]);
    let ts = in_range(sec, u32::from_be_bytes([n0, n1, n2, n3]), near)?;
    if frame.len() < FRAME_LEN_MIN {
        return None;
    }
    let mut crc = crc32fast::Hasher::new_with_initial(u32::from_le_bytes([c0, c1, c2, c3]));
    crc.update(trailer);
    let port = u16::from_be_bytes([p0, p1]).into();
    let stamp = Stamp { port, ..Stamp::new(TsSource::Gigamon, ts, LEN, Proof::Range) };
    Some((stamp, crc.finalize().to_le_bytes()))
}
