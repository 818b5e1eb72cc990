//! From a captured frame to the payload of its UDP datagram or TCP segment.
//!
//! ```text
//! frame: | Ethernet, VLAN… / SLL / raw | [tunnels] | IPv4, IPv6 | UDP, TCP | payload | padding, trailer, FCS |
//!                                                                          └ Segment ┘  cut off by the IP length
//! ```
//!
//! The payload ends where the IP total length says, so that padding, capture
//! trailers and the FCS never reach a decoder; it ends earlier, and is marked
//! truncated, where the capture kept fewer bytes. Tunnels are opened: addresses
//! and ports are the innermost, and [`Segment::path`] says what was around them.

pub mod bytes;
pub mod error;
mod gre;
pub mod ip;
pub mod link;
mod mpls;
mod ptp;
pub mod transport;
pub mod tunnel;
#[cfg(test)]
mod tunnel_tests;

use error::HeaderError;
use link::Link;
use std::net::IpAddr;
use std::ops::Range;
use taptrail_capture::packet::LinkType;
use tunnel::Path;

/// A transport protocol that carries payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Transport {
    /// Directly in Ethernet: PTP.
    Ethernet = 0,
    /// UDP, IP protocol 17.
    Udp = 17,
    /// TCP, IP protocol 6.
    Tcp = 6,
}

impl Transport {
    /// The name in the `flows` table.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// What a TCP header says beside the ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Sequence number of the first payload byte (of the SYN, where set).
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flag bits, see [`transport::tcp_flags`].
    pub flags: u8,
    /// Receive window as sent, unscaled.
    pub window: u16,
}

/// A datagram or segment found in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// UDP, TCP, or none where PTP is directly in Ethernet.
    pub transport: Transport,
    /// Source address; of an Ethernet address the link-local one made of it
    /// (RFC 4291, appendix A).
    pub src: IpAddr,
    /// Destination address, likewise.
    pub dst: IpAddr,
    /// Source port; 0 without ports.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Innermost VLAN id, where tagged.
    pub vlan: Option<u16>,
    /// IPv4 time to live, IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// Where the captured payload lies in the frame.
    pub payload: Range<usize>,
    /// Payload bytes on the wire; more than captured where `truncated`.
    pub wire_len: u32,
    /// Whether the capture cut the payload short.
    pub truncated: bool,
    /// The TCP header, for TCP.
    pub tcp: Option<TcpInfo>,
    /// What it came wrapped in.
    pub path: Path,
}

/// Reads the headers of `frame`, whose first header is of `link_type`.
///
/// # Errors
/// Where the frame carries no whole UDP or TCP header, with the layer, the
/// offset in the frame and what was needed.
pub fn parse(link_type: LinkType, frame: &[u8]) -> Result<Segment, HeaderError> {
    let mut path = Path::default();
    match link::parse(link_type, frame, &mut path) {
        Ok(link) => network_in(frame, &link, path),
        Err(HeaderError::Other {
            layer: error::Layer::Link,
            offset,
            number: ptp::ETHERTYPE,
            ..
        }) => ptp::parse(frame, offset as usize, path),
        Err(error) => Err(error),
    }
}

/// From an IP header to the innermost datagram or segment. Each round goes one
/// deeper in `path`, which bounds them.
fn network_in(frame: &[u8], link: &Link, mut path: Path) -> Result<Segment, HeaderError> {
    let network = ip::parse(frame, link)?;
    let outer = path.outer.or(Some((network.src, network.dst)));
    if let Some(inside) = tunnel::in_ip(frame, &network, &mut path) {
        path.outer = outer;
        return network_in(frame, &inside?.or_vlan(link), path);
    }
    let segment = transport::parse(frame, link, &network, path)?;
    if segment.transport != Transport::Udp {
        return Ok(segment);
    }
    match tunnel::in_udp(frame, &segment, &mut path) {
        None => Ok(segment),
        Some(inside) => {
            path.outer = outer;
            let found = inside.and_then(|inside| network_in(frame, &inside.or_vlan(link), path));
            match found {
                Err(error) if !error.names_its_content() => Ok(segment),
                found => found,
            }
        }
    }
}

#[cfg(test)]
mod tests;
