//! Cisco's timestamp tag (TTAG).
//!
//! ```text
//! addresses 12 │ configured EtherType 2 │ ns 6 │ original EtherType 2 │ …
//! ```
//!
//! Big-endian. Six bytes of nanoseconds turn over every 78 hours: the record's
//! time says which turn it is.

use super::frame::{u16_at, u32_at};
use super::{Proof, Stamp, unwrap_near};
use crate::packet::TsSource;
use crate::time::Timestamp;

/// The EtherType that the switches' documentation uses.
pub const ETHERTYPE_DEFAULT: u16 = 0x88b5;

/// The tag's time, where the frame has the tag.
pub fn find(frame: &[u8], ethertype: u16, near: Option<Timestamp>) -> Option<Stamp> {
    if u16_at(frame, 12)? != ethertype {
        return None;
    }
    u16_at(frame, 20)?;
    let low = i64::from(u16_at(frame, 14)?) << 32 | i64::from(u32_at(frame, 16)?);
    let ts = unwrap_near(low, 1 << 48, near?)?;
    Some(Stamp::new(TsSource::Ttag, ts, 0, Proof::Range))
}
