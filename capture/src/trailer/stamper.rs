//! A point's packets get their best time.
//!
//! ```text
//! batch ─▶ learn (auto: what do this port's packets agree on?) ─▶ stamp ─▶ start of frame
//! ```

use super::auto::{self, Evidence};
use super::frame::datagram_end;
use super::ticks::{Device, TickClock};
use super::{
    Stamp, arista_7280, cpacket, erspan, exablaze, expcap, gigamon, metamako, tlv, ttag, vss,
};
use crate::packet::{LinkType, PacketBatch, PacketMeta, ts_flags};
use crate::point::{FramePoint, PointConfig, TimestampFrom};
use crate::time::Timestamp;

/// Most interfaces of a capture that have a clock or evidence of their own;
/// packets of further ones keep the record's time unless they prove themselves.
pub const PORTS_MAX: usize = 256;

/// The shortest Ethernet frame without its check sequence.
const ETHERNET_LEN_MIN: u64 = 60;

/// What a point's configuration says about times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamping {
    /// The format.
    pub from: TimestampFrom,
    /// EtherType of a TTAG.
    pub ttag_ethertype: u16,
    /// Which bit of the frame was stamped.
    pub frame_point: FramePoint,
    /// Speed of the link, by which an end of frame is brought to its start.
    pub link_gbps: Option<u32>,
}

impl From<TimestampFrom> for Stamping {
    fn from(from: TimestampFrom) -> Self {
        Self {
            from,
            ttag_ethertype: ttag::ETHERTYPE_DEFAULT,
            frame_point: FramePoint::Start,
            link_gbps: None,
        }
    }
}

impl From<&PointConfig> for Stamping {
    fn from(point: &PointConfig) -> Self {
        Self {
            from: point.timestamp,
            ttag_ethertype: point.ttag_ethertype.unwrap_or(ttag::ETHERTYPE_DEFAULT),
            frame_point: point.frame_point,
            link_gbps: point.link_gbps,
        }
    }
}

/// A packet as the formats see it.
pub(super) struct Seen<'a> {
    pub(super) frame: &'a [u8],
    pub(super) wire_len: u32,
    pub(super) near: Option<Timestamp>,
    datagram_end: Option<usize>,
}

impl<'a> Seen<'a> {
    /// `None` for a packet that can carry no stamp: cut, or not Ethernet.
    fn new(meta: &PacketMeta, frame: &'a [u8]) -> Option<Self> {
        let snapped = (frame.len() as u64) < u64::from(meta.wire_len);
        if snapped || meta.link_type != LinkType::ETHERNET {
            return None;
        }
        let has_time = meta.ts_flags & (ts_flags::NO_TIME | ts_flags::TIME_OUT_OF_RANGE) == 0;
        let near = has_time.then_some(meta.ts_record);
        Some(Self { frame, wire_len: meta.wire_len, near, datagram_end: datagram_end(frame) })
    }

    /// Whether the stamp lies behind the IP datagram.
    pub(super) fn allows(&self, stamp: &Stamp) -> bool {
        let end = self.frame.len().saturating_sub(stamp.len);
        stamp.len == 0 || self.datagram_end.is_none_or(|datagram_end| datagram_end <= end)
    }
}

/// An interface of the capture.
#[derive(Clone, Debug)]
struct Port {
    interface: u32,
    evidence: Evidence,
    verdict: Option<TimestampFrom>,
    clock: Option<TickClock>,
}

/// Stamps the packets of one capture, in its order.
#[derive(Clone, Debug)]
pub struct Stamper {
    stamping: Stamping,
    ports: Vec<Port>,
}

impl Stamper {
    /// For a capture at a point that is configured so.
    pub fn new(stamping: Stamping) -> Self {
        Self { stamping, ports: Vec::new() }
    }

    /// The configuration.
    pub fn stamping(&self) -> Stamping {
        self.stamping
    }

    /// Whether it matters how many packets come in a batch: the format is still
    /// being told from them.
    pub fn is_learning(&self) -> bool {
        self.stamping.from == TimestampFrom::Auto
            && self.ports.iter().all(|port| port.verdict.is_none() && !port.evidence.is_complete())
    }

    /// Sets the times of a batch. What has no stamp keeps the record's time and
    /// gets [`ts_flags::TRAILER_MISSING`] where the point is configured for a
    /// format, or its packets agreed on one.
    pub fn batch(&mut self, batch: &mut PacketBatch) {
        let Stamping { from, frame_point, link_gbps, .. } = self.stamping;
        let shift = (frame_point == FramePoint::End).then_some(link_gbps).flatten();
        if from == TimestampFrom::Record && shift.is_none() {
            return;
        }
        if from == TimestampFrom::Auto {
            self.learn(batch);
        }
        for (meta, data) in batch.iter_mut() {
            let trailer_len = self.packet(meta, data);
            if let Some(gbps) = shift
                && meta.ts_flags & UNTIMED == 0
            {
                to_start(meta, trailer_len, gbps);
            }
        }
    }

    fn learn(&mut self, batch: &PacketBatch) {
        for packet in batch.iter() {
            let Some(seen) = Seen::new(&packet.meta, packet.data) else { continue };
            let Some(port) = self.port(packet.meta.interface) else { continue };
            if port.verdict.is_none() {
                port.evidence.add(&seen);
            }
        }
        for port in &mut self.ports {
            port.verdict = port.verdict.or_else(|| port.evidence.verdict());
        }
    }

    /// Stamps a packet; gives the bytes that its trailer takes.
    fn packet(&mut self, meta: &mut PacketMeta, data: &[u8]) -> usize {
        let seen = Seen::new(meta, data);
        let auto = self.stamping.from == TimestampFrom::Auto;
        let from = if auto { self.verdict(meta.interface) } else { Some(self.stamping.from) };
        let proven = seen.as_ref().filter(|_| auto).and_then(auto::proven);
        let found = proven.or_else(|| {
            let (seen, from) = (seen.as_ref()?, from?);
            self.find(from, meta.interface, seen).filter(|stamp| seen.allows(stamp))
        });
        match found {
            Some(stamp) => {
                meta.ts = stamp.ts;
                meta.ts_ps = stamp.ts_ps;
                meta.ts_source = stamp.source;
                meta.ts_flags |= stamp.flags;
                meta.ts_flags &= !(ts_flags::NO_TIME | ts_flags::TIME_OUT_OF_RANGE);
                stamp.len
            }
            None => {
                if from.is_some_and(|from| from != TimestampFrom::Record) {
                    meta.ts_flags |= ts_flags::TRAILER_MISSING;
                }
                0
            }
        }
    }

    fn find(&mut self, from: TimestampFrom, interface: u32, seen: &Seen<'_>) -> Option<Stamp> {
        let Seen { frame, wire_len, near, .. } = *seen;
        match from {
            TimestampFrom::Record | TimestampFrom::Auto => None,
            TimestampFrom::Metamako => metamako::find(frame, near),
            TimestampFrom::Exablaze => exablaze::find(frame, near),
            TimestampFrom::ExablazeTicks => self.ticks(interface, Device::Exablaze, seen),
            TimestampFrom::Cpacket => cpacket::find(frame, near),
            TimestampFrom::Ixia => tlv::find(frame, near),
            TimestampFrom::Gigamon => tlv::find(frame, near).or_else(|| gigamon::find(frame, near)),
            TimestampFrom::Vss => vss::find(frame, near),
            TimestampFrom::Expcap => expcap::find(frame, wire_len, near),
            TimestampFrom::Arista7280 => arista_7280::find(frame, near),
            TimestampFrom::Arista7280Mac => {
                arista_7280::find_in_address(frame, arista_7280::Scale::Utc, near)
            }
            TimestampFrom::Arista7280MacTai => {
                arista_7280::find_in_address(frame, arista_7280::Scale::Tai, near)
            }
            TimestampFrom::Arista7150 => self.ticks(interface, Device::Arista7150, seen),
            TimestampFrom::Ttag => ttag::find(frame, self.stamping.ttag_ethertype, near),
            TimestampFrom::Erspan => erspan::find(frame, near),
        }
    }

    fn ticks(&mut self, interface: u32, device: Device, seen: &Seen<'_>) -> Option<Stamp> {
        let clock = &mut self.port(interface)?.clock;
        clock.get_or_insert_with(|| TickClock::new(device)).stamp(seen.frame, seen.near)
    }

    fn verdict(&mut self, interface: u32) -> Option<TimestampFrom> {
        self.port(interface)?.verdict
    }

    fn port(&mut self, interface: u32) -> Option<&mut Port> {
        let at = self.ports.iter().position(|port| port.interface == interface);
        if at.is_none() && self.ports.len() < PORTS_MAX {
            let evidence = Evidence::default();
            self.ports.push(Port { interface, evidence, verdict: None, clock: None });
        }
        let last = self.ports.len().checked_sub(1)?;
        self.ports.get_mut(at.unwrap_or(last)).filter(|port| port.interface == interface)
    }
}

/// Packets whose time is no stamp of this point's.
const UNTIMED: u16 = ts_flags::TRAILER_MISSING | ts_flags::NO_TIME | ts_flags::TIME_OUT_OF_RANGE;

/// Brings a stamp of the frame's last bit to its first: earlier by the time the
/// frame, its check sequence included, takes on the wire.
fn to_start(meta: &mut PacketMeta, trailer_len: usize, gbps: u32) {
    let original = u64::from(meta.wire_len).saturating_sub(trailer_len as u64);
    let bytes = original.max(ETHERNET_LEN_MIN) + 4;
    let on_wire_ps = i128::from(bytes) * 8_000 / i128::from(gbps.max(1));
    let ps = i128::from(meta.ts.ns()) * 1_000 + i128::from(meta.ts_ps) - on_wire_ps;
    let ns = (ps + 500).div_euclid(1_000);
    if let Ok(ns_64) = i64::try_from(ns) {
        meta.ts = Timestamp::from_ns(ns_64);
        meta.ts_ps = (ps - ns * 1_000) as i16;
    }
}
