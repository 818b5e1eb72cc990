//! UDP (RFC 768) and TCP (RFC 9293) headers.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::ip::{Network, protocol_name};
use super::link::Link;
use super::tunnel::Path;
use super::{Segment, TcpInfo, Transport};

/// TCP flag bits.
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Opens a connection.
    pub const SYN: u8 = 2;
    /// Aborts it.
    pub const RST: u8 = 4;
    /// Push.
    pub const PSH: u8 = 8;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 16;
}

/// Reads the transport header.
///
/// # Errors
/// Where it is cut short, contradicts the IP length, or is neither UDP nor TCP.
#[inline]
pub fn parse(
    frame: &[u8],
    link: &Link,
    network: &Network,
    path: Path,
) -> Result<Segment, HeaderError> {
    let segment = match network.protocol {
        17 => udp(frame, link, network),
        6 => tcp(frame, link, network),
        other => Err(HeaderError::Other {
            layer: Layer::Ipv4,
            offset: network.protocol_offset as u32,
            number: u32::from(other),
            name: protocol_name(other),
        }),
    };
    segment.map(|segment| Segment { path, ..segment })
}

#[inline]
fn udp(frame: &[u8], link: &Link, network: &Network) -> Result<Segment, HeaderError> {
    let at = network.offset;
    let h: [u8; 8] = take(frame, at, Layer::Udp)?;
    let length = usize::from(u16::from_be_bytes([h[4], h[5]]));
    if length != 0 && length < 8 {
        return Err(HeaderError::invalid(Layer::Udp, at, "udp length below its header"));
    }
    let end = if length == 0 { network.end } else { network.end.min(at + length) };
    segment(frame, link, network, Transport::Udp, at + 8..end, None, [h[0], h[1], h[2], h[3]])
}

#[inline]
fn tcp(frame: &[u8], link: &Link, network: &Network) -> Result<Segment, HeaderError> {
    let at = network.offset;
    let h: [u8; 20] = take(frame, at, Layer::Tcp)?;
    let header_len = usize::from(h[12] >> 4) * 4;
    if header_len < 20 {
        return Err(HeaderError::invalid(Layer::Tcp, at, "tcp header length below 20"));
    }
    let info = TcpInfo {
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        flags: h[13],
        window: u16::from_be_bytes([h[14], h[15]]),
    };
    let payload = at + header_len..network.end;
    segment(frame, link, network, Transport::Tcp, payload, Some(info), [h[0], h[1], h[2], h[3]])
}

/// Joins what the layers said; `wire` is the payload's range on the wire.
#[inline]
fn segment(
    frame: &[u8],
    link: &Link,
    network: &Network,
    transport: Transport,
    wire: std::ops::Range<usize>,
    tcp: Option<TcpInfo>,
    ports: [u8; 4],
) -> Result<Segment, HeaderError> {
    if wire.end < wire.start {
        let layer = if tcp.is_some() { Layer::Tcp } else { Layer::Udp };
        return Err(HeaderError::invalid(
            layer,
            network.offset,
            "transport header over the ip length",
        ));
    }
    let start = wire.start.min(frame.len());
    let end = wire.end.min(frame.len());
    Ok(Segment {
        transport,
        src: network.src,
        dst: network.dst,
        src_port: u16::from_be_bytes([ports[0], ports[1]]),
        dst_port: u16::from_be_bytes([ports[2], ports[3]]),
        vlan: link.vlan,
        ttl: network.ttl,
        ip_id: network.ip_id,
        payload: start..end,
        wire_len: (wire.end - wire.start) as u32,
        truncated: end - start < wire.end - wire.start,
        tcp,
        path: Path::default(),
    })
}
