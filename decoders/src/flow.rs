//! Flows: all packets with the same addresses, ports and transport in one
//! direction, inside all tunnels. Neither the VLAN nor the tunnel is part of the
//! key: a mirror port's second copy of a packet often differs in nothing else.

use crate::headers::tunnel::Path;
use crate::headers::{Segment, Transport};
use crate::names::Name;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// Most flows one decoder follows; packets of further ones are counted only.
pub const FLOWS_MAX: usize = 1 << 18;

/// How sure a flow's protocol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recognised {
    /// The best candidate, where only a configuration could tell.
    Guess,
    /// Known codes of exact size filled the payload.
    Certain,
    /// The configuration or the command line says so.
    Configured,
}

impl Recognised {
    /// The text in `flows` and in JSON.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Guess => "guess",
            Self::Certain => "certain",
            Self::Configured => "configured",
        }
    }
}

/// A row of the `flows` table.
#[derive(Clone, Debug)]
pub struct FlowInfo {
    /// UDP, TCP, or none.
    pub transport: Transport,
    /// Source address.
    pub src: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub dst_port: u16,
    /// VLAN id of the first packet.
    pub vlan: Option<u16>,
    /// What the first packet came wrapped in.
    pub path: Path,
    /// Protocol of its messages.
    pub protocol: Option<Name>,
    /// How sure that is.
    pub recognised: Option<Recognised>,
    /// Feed line, where configured.
    pub line: Option<Name>,
    /// Packets.
    pub packets: u64,
    /// Payload bytes on the wire.
    pub bytes: u64,
    /// Messages cut.
    pub messages: u64,
    /// Holes in its sequence numbers, or in its TCP bytes.
    pub gaps: u64,
    /// Messages (UDP) or bytes (TCP) missing in them and not seen since.
    pub missing: u64,
    /// Payloads or messages that could not be read.
    pub errors: u64,
    /// Time of the first packet, ns since the epoch.
    pub first_ts: i64,
    /// Time of the last packet.
    pub last_ts: i64,
    /// The last thing that was wrong.
    pub note: Option<&'static str>,
}

/// Addresses, ports and transport of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    src: u128,
    dst: u128,
    rest: u64,
}

impl FlowKey {
    /// The key of a segment's flow.
    #[inline]
    pub fn of(segment: &Segment) -> Self {
        let ports = u64::from(segment.src_port) << 16 | u64::from(segment.dst_port);
        Self {
            src: number(segment.src),
            dst: number(segment.dst),
            rest: u64::from(segment.transport as u8) << 32 | ports,
        }
    }

    /// The key of the other direction.
    pub fn reversed(self) -> Self {
        let (src_port, dst_port) = (self.rest >> 16 & 0xFFFF, self.rest & 0xFFFF);
        let rest = self.rest & !0xFFFF_FFFF | dst_port << 16 | src_port;
        Self { src: self.dst, dst: self.src, rest }
    }
}

#[inline]
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => 0xFFFF << 32 | u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in [self.src, self.dst] {
            state.write_u64(word as u64);
            state.write_u64((word >> 64) as u64);
        }
        state.write_u64(self.rest);
    }
}

/// Mixes words by multiplication. Its start differs in each process, so that
/// nobody can send flows that all fall into one place of the table.
#[derive(Clone, Debug)]
struct Mix(u64);

impl BuildHasher for Mix {
    type Hasher = MixHasher;

    #[inline]
    fn build_hasher(&self) -> MixHasher {
        MixHasher(self.0)
    }
}

#[derive(Debug)]
struct MixHasher(u64);

impl Hasher for MixHasher {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15_u128;
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// The flows of a capture, numbered from 0 in order of first sight.
#[derive(Debug)]
pub struct FlowTable {
    index: HashMap<FlowKey, u32, Mix>,
    infos: Vec<FlowInfo>,
    last: Option<(FlowKey, u32)>,
}

impl Default for FlowTable {
    fn default() -> Self {
        let mix = Mix(RandomState::new().hash_one(0u8));
        Self { index: HashMap::with_hasher(mix), infos: Vec::new(), last: None }
    }
}

impl FlowTable {
    /// The flow of a packet, with whether it is new; counts the packet.
    /// `None` where there is no room for a new flow.
    #[inline]
    pub fn packet(&mut self, segment: &Segment, ts: i64) -> Option<(u32, bool)> {
        let key = FlowKey::of(segment);
        let (id, new) = match self.last {
            Some((last, id)) if last == key => (id, false),
            _ => self.look_up(key, segment, ts)?,
        };
        self.last = Some((key, id));
        let info = self.infos.get_mut(id as usize)?;
        if info.packets == 0 {
            info.first_ts = ts;
        }
        info.packets += 1;
        info.bytes += u64::from(segment.wire_len);
        info.last_ts = ts;
        Some((id, new))
    }

    fn look_up(&mut self, key: FlowKey, segment: &Segment, ts: i64) -> Option<(u32, bool)> {
        if let Some(&id) = self.index.get(&key) {
            return Some((id, false));
        }
        if self.infos.len() >= FLOWS_MAX {
            return None;
        }
        let id = self.infos.len() as u32;
        self.infos.push(FlowInfo::new(segment, ts));
        self.index.insert(key, id);
        Some((id, true))
    }

    /// The flow in the other direction of `segment`'s, where seen.
    pub fn peer(&self, segment: &Segment) -> Option<u32> {
        self.index.get(&FlowKey::of(segment).reversed()).copied()
    }

    /// Nothing was seen yet of the flows that are known.
    pub fn begin(&mut self) {
        for info in &mut self.infos {
            let counts = [&mut info.packets, &mut info.bytes, &mut info.messages];
            let faults = [&mut info.gaps, &mut info.missing, &mut info.errors];
            counts.into_iter().chain(faults).for_each(|count| *count = 0);
            info.note = None;
        }
    }

    /// All flows, at the index of their number.
    pub fn infos(&self) -> &[FlowInfo] {
        &self.infos
    }

    /// A flow to change; `None` where there is none of this number.
    #[inline]
    pub fn get_mut(&mut self, id: u32) -> Option<&mut FlowInfo> {
        self.infos.get_mut(id as usize)
    }
}

impl FlowInfo {
    fn new(segment: &Segment, ts: i64) -> Self {
        Self {
            transport: segment.transport,
            src: segment.src,
            src_port: segment.src_port,
            dst: segment.dst,
            dst_port: segment.dst_port,
            vlan: segment.vlan,
            path: segment.path,
            protocol: None,
            recognised: None,
            line: None,
            packets: 0,
            bytes: 0,
            messages: 0,
            gaps: 0,
            missing: 0,
            errors: 0,
            first_ts: ts,
            last_ts: ts,
            note: None,
        }
    }

    /// Notes something that could not be read.
    pub fn error(&mut self, what: &'static str) {
        self.errors += 1;
        self.note = Some(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::parse;
    use crate::testing::Frame;
    use taptrail_capture::packet::LinkType;

    fn segment(src: &str, dst: &str) -> Segment {
        parse(LinkType::ETHERNET, &Frame::udp(src, dst, b"x").ethernet()).unwrap()
    }

    #[test]
    fn directions_are_flows_of_their_own() {
        let mut flows = FlowTable::default();
        let there = segment("10.0.0.1:1", "10.0.0.2:2");
        let back = segment("10.0.0.2:2", "10.0.0.1:1");
        assert_eq!(flows.packet(&there, 5), Some((0, true)));
        assert_eq!(flows.peer(&back), Some(0));
        assert_eq!(flows.packet(&back, 6), Some((1, true)));
        assert_eq!(flows.packet(&there, 9), Some((0, false)));
        let info = &flows.infos()[0];
        assert_eq!((info.packets, info.bytes, info.first_ts, info.last_ts), (2, 2, 5, 9));
    }
}
