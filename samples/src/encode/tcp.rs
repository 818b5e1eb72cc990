//! TCP segments.
//!
//! ```text
//! 0 source port | 2 destination port | 4 sequence | 8 acknowledgement
//! 12 header words, 4 bits | 13 flags | 14 window | 16 checksum | 18 urgent
//! 20 options | payload
//! ```
//! Source: RFC 9293 section 3.1; the SYN options of RFC 7323 and RFC 2018.

use crate::encode::ip::Ipv4;

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronise sequence numbers.
pub const SYN: u8 = 0x02;
/// Push.
pub const PSH: u8 = 0x08;
/// The acknowledgement field counts.
pub const ACK: u8 = 0x10;

/// Maximum segment size 1460, SACK permitted, window scale 7.
const SYN_OPTIONS: [u8; 12] = [2, 4, 0x05, 0xB4, 4, 2, 1, 3, 3, 7, 1, 1];

/// The header of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first payload byte (or of the SYN).
    pub sequence: u32,
    /// Next sequence number expected from the other side.
    pub acknowledgement: u32,
    /// [`SYN`], [`ACK`], [`PSH`], [`FIN`].
    pub flags: u8,
    /// Receive window, unscaled.
    pub window: u16,
}

impl Tcp {
    /// The segment with its checksum, ready to go below `ip`. A SYN carries
    /// options.
    pub fn segment(&self, ip: &Ipv4, payload: &[u8]) -> Vec<u8> {
        let options: &[u8] = if self.flags & SYN != 0 { &SYN_OPTIONS } else { &[] };
        let header_words = 5 + options.len() as u8 / 4;
        let mut out = Vec::with_capacity(20 + options.len() + payload.len());
        out.extend_from_slice(&self.source_port.to_be_bytes());
        out.extend_from_slice(&self.destination_port.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.acknowledgement.to_be_bytes());
        out.extend_from_slice(&[header_words << 4, self.flags]);
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(options);
        out.extend_from_slice(payload);
        let sum = ip.segment_checksum(&out);
        out[16..18].copy_from_slice(&sum.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::ip;
    use std::net::Ipv4Addr;

    fn ip() -> Ipv4 {
        Ipv4 {
            source: Ipv4Addr::new(10, 20, 5, 9),
            destination: Ipv4Addr::new(10, 90, 1, 20),
            protocol: ip::TCP,
            ttl: 64,
            id: 1,
        }
    }

    fn tcp(flags: u8) -> Tcp {
        Tcp {
            source_port: 40_001,
            destination_port: 15_000,
            sequence: 0x0102_0304,
            acknowledgement: 0x0A0B_0C0D,
            flags,
            window: 0x7FFF,
        }
    }

    #[test]
    fn data_segment() {
        let bytes = tcp(ACK | PSH).segment(&ip(), b"xyz");
        let head =
            [0x9C, 0x41, 0x3A, 0x98, 1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D, 0x50, 0x18, 0x7F, 0xFF];
        assert_eq!(&bytes[..16], &head);
        assert_eq!(&bytes[18..], b"\0\0xyz");
        assert_eq!(ip().segment_checksum(&bytes), 0, "a right checksum sums to zero");
    }

    #[test]
    fn a_syn_has_options() {
        let bytes = tcp(SYN).segment(&ip(), &[]);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[12], 0x80);
        assert_eq!(&bytes[20..24], &[2, 4, 0x05, 0xB4]);
    }
}
