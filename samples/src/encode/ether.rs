//! Ethernet II frames, with an optional 802.1Q tag.
//!
//! ```text
//! destination 6 | source 6 | [8100 vlan 2+2] | type 2 | payload | zeros to 60
//! ```
//! Source: IEEE 802.3 clause 3, 802.1Q clause 9.6, RFC 1112 section 6.4.

use std::net::Ipv4Addr;

/// Shortest frame without its check sequence, in bytes.
pub const FRAME_MIN: usize = 60;

/// EtherType of IPv4.
const IPV4: u16 = 0x0800;
/// EtherType of an 802.1Q tag.
const VLAN: u16 = 0x8100;

/// A hardware address.
pub type Mac = [u8; 6];

/// The group address that carries an IPv4 multicast group.
pub fn multicast_mac(group: Ipv4Addr) -> Mac {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5E, b & 0x7F, c, d]
}

/// A locally administered address for a host, derived from its IPv4 address.
pub fn host_mac(host: Ipv4Addr) -> Mac {
    let [a, b, c, d] = host.octets();
    [0x02, 0x1C, a, b, c, d]
}

/// A frame around an IPv4 packet, padded to [`FRAME_MIN`]; `vlan` is the
/// 12-bit id of an 802.1Q tag with priority 0.
pub fn frame(destination: Mac, source: Mac, vlan: Option<u16>, ip_packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(18 + ip_packet.len().max(FRAME_MIN));
    out.extend_from_slice(&destination);
    out.extend_from_slice(&source);
    if let Some(id) = vlan {
        out.extend_from_slice(&VLAN.to_be_bytes());
        out.extend_from_slice(&(id & 0x0FFF).to_be_bytes());
    }
    out.extend_from_slice(&IPV4.to_be_bytes());
    out.extend_from_slice(ip_packet);
    if out.len() < FRAME_MIN {
        out.resize(FRAME_MIN, 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multicast_takes_the_low_23_bits() {
        let mac = multicast_mac(Ipv4Addr::new(233, 182, 12, 101));
        assert_eq!(mac, [0x01, 0x00, 0x5E, 54, 12, 101]);
    }

    #[test]
    fn tagged_and_padded() {
        let bytes = frame([1; 6], [2; 6], Some(310), &[0xAA, 0xBB]);
        let head = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x81, 0x00, 0x01, 0x36, 8, 0, 0xAA, 0xBB];
        assert_eq!(&bytes[..20], &head);
        assert_eq!(bytes.len(), 60);
        assert!(bytes[20..].iter().all(|&b| b == 0));
    }

    #[test]
    fn long_frames_are_not_padded() {
        assert_eq!(frame([1; 6], [2; 6], None, &[7; 100]).len(), 114);
    }
}
