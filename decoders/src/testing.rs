//! Frames built by hand, for tests.

use std::net::{IpAddr, SocketAddr};
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::time::Timestamp;

/// An IP packet under construction.
pub(crate) struct Frame {
    ip: Vec<u8>,
}

impl Frame {
    /// A UDP datagram from `src` to `dst`.
    pub fn udp(src: &str, dst: &str, payload: &[u8]) -> Self {
        let (src, dst) = (socket(src), socket(dst));
        let mut body = [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat();
        body.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(payload);
        Self { ip: ip(src.ip(), dst.ip(), 17, &body) }
    }

    /// A TCP segment from `src` to `dst`, acknowledging 1.
    pub fn tcp(src: &str, dst: &str, seq: u32, flags: u8, payload: &[u8]) -> Self {
        let (src, dst) = (socket(src), socket(dst));
        let mut body = [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat();
        body.extend_from_slice(&seq.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 1, 5 << 4, flags, 0x10, 0, 0, 0, 0, 0]);
        body.extend_from_slice(payload);
        Self { ip: ip(src.ip(), dst.ip(), 6, &body) }
    }

    /// In an Ethernet frame, without FCS.
    pub fn ethernet(self) -> Vec<u8> {
        let ethertype = if self.ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xDD] };
        [&[2u8; 12][..], &ethertype, &self.ip].concat()
    }
}

/// The bytes of an IPv4 packet with a UDP datagram.
pub(crate) fn ipv4_udp(src: &str, dst: &str, payload: &[u8]) -> Vec<u8> {
    Frame::udp(src, dst, payload).ip
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(src: IpAddr, dst: IpAddr, protocol: u8, body: &[u8]) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let total = (20 + body.len()) as u16;
            let mut header = vec![0x45, 0];
            header.extend_from_slice(&total.to_be_bytes());
            header.extend_from_slice(&[0, 0, 0, 0, 64, protocol, 0, 0]);
            [&header[..], &src.octets(), &dst.octets(), body].concat()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend_from_slice(&(body.len() as u16).to_be_bytes());
            header.extend_from_slice(&[protocol, 64]);
            [&header[..], &src.octets(), &dst.octets(), body].concat()
        }
        _ => panic!("addresses of two families"),
    }
}
/// Facts of an Ethernet packet.
pub(crate) fn meta(packet_ix: u32, ts: i64, len: usize) -> PacketMeta {
    PacketMeta {
        ts: Timestamp::from_ns(ts),
        ts_ps: 0,
        ts_record: Timestamp::from_ns(ts),
        ts_source: TsSource::Record,
        ts_flags: 0,
        packet_ix,
        interface: 0,
        direction: Direction::Unknown,
        link_type: LinkType::ETHERNET,
        wire_len: len as u32,
    }
}
