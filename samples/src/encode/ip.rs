//! IPv4 headers without options.
//!
//! ```text
//! 0 version 4, header words 5 | 1 DSCP | 2 total length | 4 id | 6 flags, offset
//! 8 TTL | 9 protocol | 10 checksum | 12 source | 16 destination | 20 payload
//! ```
//! Source: RFC 791 section 3.1.

use crate::encode::internet_checksum;
use std::net::Ipv4Addr;

/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;

/// What a sender puts into the header.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    /// Where from.
    pub source: Ipv4Addr,
    /// Where to.
    pub destination: Ipv4Addr,
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    /// Hops left.
    pub ttl: u8,
    /// Identification.
    pub id: u16,
}

impl Ipv4 {
    /// The packet: header with its checksum, then `payload` (at most 65,515
    /// bytes; what is longer is cut off).
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let payload = &payload[..payload.len().min(65_515)];
        let mut out = Vec::with_capacity(20 + payload.len());
        out.extend_from_slice(&[0x45, 0]);
        out.extend_from_slice(&(20 + payload.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&[0x40, 0, self.ttl, self.protocol, 0, 0]);
        out.extend_from_slice(&self.source.octets());
        out.extend_from_slice(&self.destination.octets());
        let sum = internet_checksum(&[&out]);
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend_from_slice(payload);
        out
    }

    /// Checksum of a UDP or TCP segment under this header's pseudo header
    /// (RFC 768, RFC 9293 section 3.1); its own checksum field is zero.
    pub fn segment_checksum(&self, segment: &[u8]) -> u16 {
        let [a, b, c, d] = self.source.octets();
        let [e, f, g, h] = self.destination.octets();
        let [high, low] = (segment.len() as u16).to_be_bytes();
        let pseudo = [a, b, c, d, e, f, g, h, 0, self.protocol, high, low];
        internet_checksum(&[&pseudo, segment])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_a_known_packet() {
        // The header widely used to teach the checksum: b861 over these words.
        let ip = Ipv4 {
            source: Ipv4Addr::new(192, 168, 0, 1),
            destination: Ipv4Addr::new(192, 168, 0, 199),
            protocol: UDP,
            ttl: 64,
            id: 0,
        };
        let bytes = ip.packet(&[0u8; 95]);
        let expected = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(&bytes[..20], &expected);
        assert_eq!(bytes.len(), 115);
    }

    #[test]
    fn header_sums_to_all_ones() {
        let ip = Ipv4 {
            source: Ipv4Addr::new(10, 1, 2, 3),
            destination: Ipv4Addr::new(233, 54, 12, 101),
            protocol: TCP,
            ttl: 15,
            id: 0xBEEF,
        };
        assert_eq!(internet_checksum(&[&ip.packet(&[1, 2, 3])[..20]]), 0);
    }
}
