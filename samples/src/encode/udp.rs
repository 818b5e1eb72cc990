//! UDP datagrams.
//!
//! ```text
//! 0 source port | 2 destination port | 4 length | 6 checksum | 8 payload
//! ```
//! Source: RFC 768.

use crate::encode::ip::Ipv4;

/// The datagram with its checksum, ready to go below `ip`.
pub fn datagram(ip: &Ipv4, source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + payload.len());
    out.extend_from_slice(&source_port.to_be_bytes());
    out.extend_from_slice(&destination_port.to_be_bytes());
    out.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(payload);
    // A sum of zero is sent as all ones: zero means "no checksum".
    let sum = match ip.segment_checksum(&out) {
        0 => 0xFFFF,
        sum => sum,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::ip;
    use std::net::Ipv4Addr;

    #[test]
    fn ports_length_and_checksum() {
        let ip = Ipv4 {
            source: Ipv4Addr::new(1, 2, 3, 4),
            destination: Ipv4Addr::new(5, 6, 7, 8),
            protocol: ip::UDP,
            ttl: 1,
            id: 0,
        };
        let bytes = datagram(&ip, 0x1111, 0x2222, b"ab");
        let sum: u32 = 0x0102 + 0x0304 + 0x0506 + 0x0708 + 0x0011 + 0x000a;
        let sum = sum + 0x1111 + 0x2222 + 0x000a + 0x6162;
        assert_eq!(&bytes[..6], &[0x11, 0x11, 0x22, 0x22, 0, 10]);
        assert_eq!(u16::from_be_bytes([bytes[6], bytes[7]]), !(sum as u16));
        assert_eq!(&bytes[8..], b"ab");
    }
}
