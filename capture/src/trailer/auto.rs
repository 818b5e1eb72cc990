//! Telling the format from the packets.
//!
//! ```text
//! a packet by itself     header magic, checksum ─▶ original FCS in its place, flags that exist
//! a port as a whole      key frames seen ─▶ more than 99 % of its packets within one format's ranges
//! ```
//!
//! Range checks alone pass for 3 of 10,000 packets of anything, so they count
//! only over a port's first packets, [`SEEN_MIN`] at least; a port is an
//! interface of the capture. A port that has not agreed by [`SEEN_MAX`] packets
//! never does: then only packets that prove themselves are stamped. What bytes
//! cannot tell at all is not tried: a tag of any EtherType, a time in place of
//! an address, ERSPAN.

use super::stamper::Seen;
use super::ticks::{self, Device};
use super::{Proof, Stamp, arista_7280, cpacket, exablaze, expcap, gigamon, metamako, tlv, vss};
use crate::point::TimestampFrom;

/// Packets of a port before its ranges count.
pub(super) const SEEN_MIN: u32 = 32;

/// Packets of a port after which no more are counted.
pub(super) const SEEN_MAX: u32 = 4096;

/// Formats that may be told by their ranges, the stricter first: the first that
/// nearly all packets fit is it.
const BY_RANGE: [TimestampFrom; 6] = [
    TimestampFrom::Expcap,
    TimestampFrom::Metamako,
    TimestampFrom::Exablaze,
    TimestampFrom::Cpacket,
    TimestampFrom::Gigamon,
    TimestampFrom::Vss,
];

/// What a port's packets so far say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    seen: u32,
    fit: [u32; BY_RANGE.len()],
    keys_exablaze: u32,
    keys_arista: u32,
}

/// Key frames that make a port one of ticks.
const KEYS_MIN: u32 = 2;

impl Evidence {
    /// Takes a whole Ethernet frame into account.
    pub(super) fn add(&mut self, seen: &Seen<'_>) {
        if self.seen >= SEEN_MAX {
            return;
        }
        self.seen += 1;
        for (fit, format) in self.fit.iter_mut().zip(BY_RANGE) {
            *fit += u32::from(by_range(format, seen).is_some_and(|stamp| seen.allows(&stamp)));
        }
        let key = |device| ticks::key_frame(device, seen.frame).is_some();
        self.keys_exablaze += u32::from(key(Device::Exablaze));
        self.keys_arista += u32::from(key(Device::Arista7150));
    }

    /// Whether more packets cannot change the verdict.
    pub(super) fn is_complete(&self) -> bool {
        self.seen >= SEEN_MAX
    }

    /// The format that the packets so far agree on.
    pub(super) fn verdict(&self) -> Option<TimestampFrom> {
        if self.keys_exablaze >= KEYS_MIN {
            return Some(TimestampFrom::ExablazeTicks);
        }
        if self.keys_arista >= KEYS_MIN {
            return Some(TimestampFrom::Arista7150);
        }
        if self.seen < SEEN_MIN {
            return None;
        }
        let agree = |fit: u32| u64::from(fit) * 100 > u64::from(self.seen) * 99;
        BY_RANGE.into_iter().zip(self.fit).find(|(_, fit)| agree(*fit)).map(|(format, _)| format)
    }
}

fn by_range(format: TimestampFrom, seen: &Seen<'_>) -> Option<Stamp> {
    // Without a record's time any second would do.
    seen.near?;
    match format {
        TimestampFrom::Expcap => expcap::find(seen.frame, seen.wire_len, seen.near),
        TimestampFrom::Metamako => metamako::find_strict(seen.frame, seen.near),
        TimestampFrom::Exablaze => exablaze::find(seen.frame, seen.near),
        TimestampFrom::Cpacket => cpacket::find(seen.frame, seen.near),
        TimestampFrom::Gigamon => gigamon::find(seen.frame, seen.near),
        TimestampFrom::Vss => vss::find(seen.frame, seen.near),
        _ => None,
    }
}

/// A stamp that one packet proves by itself.
pub(super) fn proven(seen: &Seen<'_>) -> Option<Stamp> {
    let certain = [
        arista_7280::find(seen.frame, seen.near),
        tlv::find(seen.frame, seen.near),
        gigamon::find(seen.frame, seen.near).filter(|stamp| stamp.proof == Proof::Checksum),
    ];
    if let Some(stamp) = certain.into_iter().flatten().find(|stamp| seen.allows(stamp)) {
        return Some(stamp);
    }
    let of_fcs = [
        metamako::find_strict(seen.frame, seen.near),
        exablaze::find(seen.frame, seen.near),
        cpacket::find(seen.frame, seen.near),
    ];
    let fit = of_fcs.into_iter().flatten();
    let fit = fit.filter(|stamp| stamp.proof == Proof::Fcs && seen.allows(stamp));
    fit.min_by_key(|stamp| stamp.distance(seen.near))
}
