//! MoldUDP64 packets: sequenced messages over multicast.
//!
//! ```text
//! 0 session a10 | 10 sequence u64 | 18 count u16 | 20 count x (length u16, body)
//! ```
//! A count of 0 is a heartbeat whose sequence is the next expected; 0xFFFF is
//! the end of the session. Big-endian. Source: MoldUDP64 1.00, "Downstream
//! Packet" and "Request Packet".

use crate::encode::put_alpha;

/// Count of an end-of-session packet.
const END_OF_SESSION: u16 = 0xFFFF;
/// Bytes before the first message.
pub const HEADER_LEN: usize = 20;

fn header(session: &str, sequence: u64, count: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN);
    put_alpha(&mut out, session, 10);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out
}

/// A packet under construction.
#[derive(Debug)]
pub struct MoldPacket {
    bytes: Vec<u8>,
    count: u16,
}

impl MoldPacket {
    /// An empty packet whose first message has number `sequence`.
    pub fn new(session: &str, sequence: u64) -> Self {
        Self { bytes: header(session, sequence, 0), count: 0 }
    }

    /// Appends a message body (below 64 KiB).
    pub fn push(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(body);
        self.count += 1;
        self.bytes[18..20].copy_from_slice(&self.count.to_be_bytes());
    }

    /// Bytes so far, header included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no message in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The payload of the datagram.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A heartbeat: `next` is the sequence of the next message.
pub fn heartbeat(session: &str, next: u64) -> Vec<u8> {
    header(session, next, 0)
}

/// The end of the session: `next` is the sequence after its last message.
pub fn end_of_session(session: &str, next: u64) -> Vec<u8> {
    header(session, next, END_OF_SESSION)
}

/// A client's request for `count` messages again, from `sequence` on.
pub fn request(session: &str, sequence: u64, count: u16) -> Vec<u8> {
    header(session, sequence, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_messages() {
        let mut packet = MoldPacket::new("000012345A", 0x0102);
        packet.push(b"ab");
        packet.push(b"c");
        assert_eq!(
            packet.into_bytes(),
            b"000012345A\x00\x00\x00\x00\x00\x00\x01\x02\x00\x02\x00\x02ab\x00\x01c"
        );
    }

    #[test]
    fn heartbeat_and_end() {
        assert_eq!(heartbeat("S", 7), b"S         \x00\x00\x00\x00\x00\x00\x00\x07\x00\x00");
        assert_eq!(end_of_session("S", 7), b"S         \x00\x00\x00\x00\x00\x00\x00\x07\xFF\xFF");
    }
}
