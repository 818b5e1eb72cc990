//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::link::Link;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most IPv6 extension headers followed in one packet.
pub const EXTENSION_HEADERS_MAX: usize = 16;

/// What the IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// IPv4 identification, else 0.
    pub ip_id: u16,
    /// IP protocol number of what follows.
    pub protocol: u8,
    /// Where the protocol number stands in the frame.
    pub protocol_offset: usize,
    /// Offset of what follows.
    pub offset: usize,
    /// Offset in the frame where the IP datagram ends by its own length, or what
    /// encloses it; the frame may end before.
    pub end: usize,
}

/// Reads the IP header and what IPv6 puts between it and the transport.
///
/// # Errors
/// Where a header is cut short, contradicts itself, or is a fragment.
#[inline]
pub fn parse(frame: &[u8], link: &Link) -> Result<Network, HeaderError> {
    let at = link.ip_offset;
    match frame.get(at).map(|first| first >> 4) {
        Some(4) => ipv4(frame, link),
        Some(6) => ipv6(frame, link),
        Some(_) => Err(HeaderError::invalid(Layer::Ipv4, at, "ip version is neither 4 nor 6")),
        None => Err(HeaderError::short(Layer::Ipv4, at, 20, 0)),
    }
}

#[inline]
fn ipv4(frame: &[u8], link: &Link) -> Result<Network, HeaderError> {
    let at = link.ip_offset;
    let h: [u8; 20] = take(frame, at, Layer::Ipv4)?;
    let header_len = usize::from(h[0] & 0x0F) * 4;
    let total_len = usize::from(u16::from_be_bytes([h[2], h[3]]));
    if header_len < 20 {
        return Err(HeaderError::invalid(Layer::Ipv4, at, "ipv4 header length below 20"));
    }
    if total_len != 0 && total_len < header_len {
        return Err(HeaderError::invalid(Layer::Ipv4, at, "ipv4 total length below its header"));
    }
    let fragment = u16::from_be_bytes([h[6], h[7]]);
    if fragment & 0x3FFF != 0 {
        let first = fragment & 0x1FFF == 0;
        return Err(HeaderError::Fragment { layer: Layer::Ipv4, offset: at as u32, first });
    }
    // A sender's own capture of offloaded segments has total length 0.
    let end = if total_len == 0 { frame.len() } else { at + total_len }.min(link.limit);
    Ok(Network {
        src: IpAddr::V4(Ipv4Addr::new(h[12], h[13], h[14], h[15])),
        dst: IpAddr::V4(Ipv4Addr::new(h[16], h[17], h[18], h[19])),
        ttl: h[8],
        ip_id: u16::from_be_bytes([h[4], h[5]]),
        protocol: h[9],
        protocol_offset: at + 9,
        offset: at + header_len,
        end,
    })
}

fn ipv6(frame: &[u8], link: &Link) -> Result<Network, HeaderError> {
    let at = link.ip_offset;
    let h: [u8; 8] = take(frame, at, Layer::Ipv6)?;
    let src: [u8; 16] = take(frame, at + 8, Layer::Ipv6)?;
    let dst: [u8; 16] = take(frame, at + 24, Layer::Ipv6)?;
    let payload_len = usize::from(u16::from_be_bytes([h[4], h[5]]));
    // Jumbograms and offloaded segments have payload length 0.
    let end = if payload_len == 0 { frame.len() } else { at + 40 + payload_len };
    let end = end.min(link.limit);
    let (protocol, protocol_offset, offset) = skip_extensions(frame, at, h[6])?;
    Ok(Network {
        src: IpAddr::V6(Ipv6Addr::from(src)),
        dst: IpAddr::V6(Ipv6Addr::from(dst)),
        ttl: h[7],
        ip_id: 0,
        protocol,
        protocol_offset,
        offset,
        end,
    })
}

/// Walks from the fixed header's next-header number to the transport; gives
/// its number, where the number stands, and where the transport begins.
fn skip_extensions(frame: &[u8], at: usize, next: u8) -> Result<(u8, usize, usize), HeaderError> {
    let (mut next, mut next_offset, mut offset) = (next, at + 6, at + 40);
    for _ in 0..EXTENSION_HEADERS_MAX {
        let size = match next {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let head: [u8; 2] = take(frame, offset, Layer::Ipv6)?;
                (usize::from(head[1]) + 1) * 8
            }
            // Authentication header counts 4-byte words.
            51 => {
                let head: [u8; 2] = take(frame, offset, Layer::Ipv6)?;
                (usize::from(head[1]) + 2) * 4
            }
            44 => fragment_header(frame, at, offset)?,
            _ => return Ok((next, next_offset, offset)),
        };
        next = take::<1>(frame, offset, Layer::Ipv6)?[0];
        next_offset = offset;
        offset += size;
    }
    Err(HeaderError::invalid(Layer::Ipv6, offset, "too many ipv6 extension headers"))
}

/// A fragment header's size, where the datagram is whole all the same.
fn fragment_header(frame: &[u8], at: usize, offset: usize) -> Result<usize, HeaderError> {
    let head: [u8; 8] = take(frame, offset, Layer::Ipv6)?;
    let position = u16::from_be_bytes([head[2], head[3]]);
    if position & 0xFFF9 != 0 {
        let first = position & 0xFFF8 == 0;
        return Err(HeaderError::Fragment { layer: Layer::Ipv6, offset: at as u32, first });
    }
    Ok(8)
}

/// Common names from the IANA protocol registry.
pub fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        2 => "igmp",
        50 => "esp",
        58 => "icmpv6",
        59 => "ipv6 without payload",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        _ => "ip protocol not read",
    }
}
