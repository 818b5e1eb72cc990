//! Cboe's Sequenced Unit Header: messages of a matching unit over multicast.
//!
//! ```text
//! 0 length u16 | 2 count u8 | 3 unit u8 | 4 sequence u32 | 8 count x message
//! ```
//! The length counts the header too. A count of 0 is a heartbeat whose
//! sequence is the next expected. Little-endian. Source: Cboe US
//! Equities/Options Multicast Depth of Book (PITCH) 2.41.66, "Message
//! Framing", table 2 and "Heartbeat Messages".

/// Bytes before the first message.
pub const HEADER_LEN: usize = 8;

/// A packet under construction.
#[derive(Debug)]
pub struct UnitPacket {
    bytes: Vec<u8>,
}

impl UnitPacket {
    /// An empty packet of a unit whose first message has number `sequence`.
    pub fn new(unit: u8, sequence: u32) -> Self {
        let [s0, s1, s2, s3] = sequence.to_le_bytes();
        Self { bytes: vec![HEADER_LEN as u8, 0, 0, unit, s0, s1, s2, s3] }
    }

    /// Appends a message. At most 255 fit, in 64 KiB.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.bytes[2] += 1;
        let length = self.bytes.len() as u16;
        self.bytes[..2].copy_from_slice(&length.to_le_bytes());
    }

    /// Bytes so far, header included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no message in it: a heartbeat.
    pub fn is_empty(&self) -> bool {
        self.bytes[2] == 0
    }

    /// The payload of the datagram.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A heartbeat: `next` is the sequence of the next message.
pub fn heartbeat(unit: u8, next: u32) -> Vec<u8> {
    UnitPacket::new(unit, next).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_messages() {
        let mut packet = UnitPacket::new(3, 0x0102);
        packet.push(b"\x03\x20a");
        packet.push(b"\x02\x97");
        assert_eq!(packet.into_bytes(), b"\x0D\x00\x02\x03\x02\x01\x00\x00\x03\x20a\x02\x97");
    }

    #[test]
    fn a_heartbeat_has_no_message() {
        assert_eq!(heartbeat(1, 7), b"\x08\x00\x00\x01\x07\x00\x00\x00");
        assert!(UnitPacket::new(1, 7).is_empty());
    }
}
