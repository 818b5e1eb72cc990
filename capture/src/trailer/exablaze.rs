//! The Exablaze / Cisco Nexus 3550-F high-precision trailer.
//!
//! ```text
//! frame │ original FCS 4 │ device 1 │ port 1 │ sec 4 │ fraction 5 │ flags 1 │ [new FCS 4]
//! ```
//!
//! Big-endian; the fraction counts 2^-40 seconds, 0.91 ps. The older modes of
//! the same devices carry ticks: see [`ticks`](super::ticks).

use super::frame::{FCS_LEN, FRAME_LEN_MIN, has_fcs_at, without_fcs};
use super::{Proof, SEC_MIN, Stamp, is_near};
use crate::packet::TsSource;
use crate::time::Timestamp;

/// Original FCS to flags.
const LEN: usize = 16;

/// Furthest a stamp may be from the record's time, in seconds: a week.
const DIFFERENCE_S_MAX: u64 = 7 * 86_400;

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
    let [_, _, _, _, device, port, s0, s1, s2, s3, f0, f1, f2, f3, f4, _flags] = *trailer;
    let sec = u32::from_be_bytes([s0, s1, s2, s3]);
    if sec < SEC_MIN || frame.len() < FRAME_LEN_MIN {
        return None;
    }
    let (ns, ts_ps) = nanoseconds(u64::from_be_bytes([0, 0, 0, f0, f1, f2, f3, f4]));
    let ts = Timestamp::from_sec_ns(i64::from(sec), ns)?;
    if !is_near(ts, near, DIFFERENCE_S_MAX) {
        return None;
    }
    let proof = if has_fcs_at(bytes, frame.len()) { Proof::Fcs } else { Proof::Range };
    let stamp = Stamp::new(TsSource::Exablaze, ts, LEN, proof);
    Some(Stamp { ts_ps, device: device.into(), port: port.into(), ..stamp })
}

/// The nearest nanosecond of a fraction, and the picoseconds from there. A
/// device cuts what is finer than its unit, so that the middle of the unit is
/// the best estimate: the fraction of a whole picosecond gives that one back.
fn nanoseconds(fraction: u64) -> (i64, i16) {
    let ps = ((u128::from(fraction) * 2 + 1) * 1_000_000_000_000 + (1 << 40)) >> 41;
    let ps = ps as i64;
    let ns = (ps + 500) / 1000;
    (ns, (ps - ns * 1000) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A time cut to the format's unit comes back to the picosecond.
        #[test]
        fn picoseconds_survive(ps in 0i64..1_000_000_000_000) {
            let fraction = ((ps as u128) << 40) / 1_000_000_000_000;
            let (ns, rest) = nanoseconds(fraction as u64);
            prop_assert_eq!(ns * 1000 + i64::from(rest), ps);
        }
    }
}
