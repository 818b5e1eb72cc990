//! From a captured frame to the payload of its UDP datagram or TCP segment.
//!
//! ```text
//! frame: | Ethernet, VLAN… / SLL / raw | IPv4, IPv6 | UDP, TCP | payload | padding, trailer, FCS |
//!                                                              └ Segment ┘  cut off by the IP length
//! ```
//!
//! The payload ends where the IP total length says, so that padding, capture
//! trailers and the FCS never reach a decoder; it ends earlier, and is marked
//! truncated, where the capture kept fewer bytes.

pub mod bytes;
pub mod error;
pub mod ip;
pub mod link;
pub mod transport;

use error::HeaderError;
use ip::Network;
use std::net::IpAddr;
use std::ops::Range;
use taptrail_capture::packet::LinkType;

/// A transport protocol that carries payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Transport {
    /// UDP, IP protocol 17.
    Udp = 17,
    /// TCP, IP protocol 6.
    Tcp = 6,
}

impl Transport {
    /// The name in the `flows` table.
    pub const fn text(self) -> &'static str {
        match self {
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
    /// UDP or TCP.
    pub transport: Transport,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port.
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
}

/// Reads the headers of `frame`, whose first header is of `link_type`.
///
/// # Errors
/// Where the frame carries no whole UDP or TCP header, with the layer, the
/// offset in the frame and what was needed.
pub fn parse(link_type: LinkType, frame: &[u8]) -> Result<Segment, HeaderError> {
    let link = link::parse(link_type, frame)?;
    let network: Network = ip::parse(frame, &link)?;
    transport::parse(frame, &link, &network)
}

#[cfg(test)]
mod tests;
