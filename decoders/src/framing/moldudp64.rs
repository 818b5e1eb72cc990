//! MoldUDP64 1.00 (Nasdaq): a header and length-prefixed messages in each
//! datagram, big endian.
//!
//! ```text
//! 0        10       18      20
//! | session | sequence | count | len u16 | message | len u16 | message …
//! ```
//!
//! Count 0 is a heartbeat and 0xFFFF the end of the session; both carry the
//! sequence number that comes next. A request for messages again, from the
//! client, is a header with the first number and the count wanted, and nothing
//! after it.

use super::fields::FieldReader;
use crate::field::{Explained, Field};

/// The framing's id, and the protocol of its own messages.
pub const ID: &str = "moldudp64";

/// Bytes of the header.
pub const HEADER_LEN: usize = 20;

/// The count that ends a session.
pub const END_OF_SESSION: u16 = 0xFFFF;

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Session, padded with spaces.
    pub session: [u8; 10],
    /// Sequence number of the first message.
    pub seq: u64,
    /// Messages in the packet.
    pub count: u16,
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Messages follow.
    Messages,
    /// A sign of life.
    Heartbeat,
    /// No more messages in this session.
    EndOfSession,
    /// A client asks for messages again.
    Request,
}

/// Reads the header; `None` where the payload is too short.
#[inline]
pub fn header(payload: &[u8]) -> Option<Header> {
    let h = payload.first_chunk::<HEADER_LEN>()?;
    let (session, rest) = h.split_first_chunk::<10>()?;
    let (seq, count) = rest.split_first_chunk::<8>()?;
    Some(Header {
        session: *session,
        seq: u64::from_be_bytes(*seq),
        count: u16::from_be_bytes(*count.first_chunk::<2>()?),
    })
}

/// What the packet is, by its count and its length on the wire.
#[inline]
pub fn packet(header: &Header, wire_len: usize) -> Packet {
    match header.count {
        0 => Packet::Heartbeat,
        END_OF_SESSION => Packet::EndOfSession,
        _ if wire_len == HEADER_LEN => Packet::Request,
        _ => Packet::Messages,
    }
}

/// A message and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Offset of the message, behind its length, in the payload.
    pub offset: usize,
    /// Length it claims.
    pub len: usize,
    /// Its bytes: fewer than `len` where the payload ends before.
    pub body: &'a [u8],
}

/// The messages of a payload, at most as many as the header counts.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    payload: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Blocks<'a> {
    /// The messages behind `header`.
    #[inline]
    pub fn new(payload: &'a [u8], header: &Header) -> Self {
        Self { payload, at: HEADER_LEN, left: header.count }
    }

    /// Where the last block given ended.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Messages that the header counts and that were not given yet.
    #[inline]
    pub fn left(&self) -> u16 {
        self.left
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    #[inline]
    fn next(&mut self) -> Option<Block<'a>> {
        if self.left == 0 {
            return None;
        }
        let len = self.payload.get(self.at..)?.first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let offset = self.at + 2;
        let end = (offset + len).min(self.payload.len());
        let body = self.payload.get(offset..end)?;
        self.left -= 1;
        self.at = end;
        Some(Block { offset, len, body })
    }
}

/// Whether the counted messages fill the payload to its last byte.
pub fn tiles(payload: &[u8], header: &Header) -> bool {
    let mut blocks = Blocks::new(payload, header);
    let whole = blocks.by_ref().all(|block| block.body.len() == block.len);
    whole && blocks.left() == 0 && blocks.at() == payload.len()
}

/// Whether the session is text, or was blanked out with zeros.
pub fn plausible_session(session: &[u8; 10]) -> bool {
    session.iter().all(|&b| b == b' ' || b.is_ascii_graphic()) || session.iter().all(|&b| b == 0)
}

/// The header's fields.
pub fn header_fields(bytes: &[u8]) -> Vec<Field> {
    let mut reader = FieldReader::new(bytes);
    reader.text("session", 10).uint("sequence_number", 8).uint("message_count", 2).finish()
}

/// The length in front of a message.
pub fn length_fields(bytes: &[u8]) -> Vec<Field> {
    FieldReader::new(bytes).uint("message_length", 2).finish()
}

impl Packet {
    /// The name of a packet without messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Heartbeat => "heartbeat",
            Self::EndOfSession => "end_of_session",
            Self::Request => "request",
        }
    }

    /// Takes a packet without messages apart.
    pub fn explain(self, bytes: &[u8]) -> Explained {
        let fields = header_fields(bytes);
        let name = self.name().to_owned();
        Explained { msg_type: name.clone(), name, fields, error: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload(count: u16, bodies: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"SESSION001".to_vec();
        bytes.extend_from_slice(&7u64.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        for body in bodies {
            bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    #[test]
    fn messages_tile_the_payload() {
        let payload = payload(3, &[b"abc", b"", b"de"]);
        let header = header(&payload).unwrap();
        assert_eq!((header.seq, header.count), (7, 3));
        assert_eq!(packet(&header, payload.len()), Packet::Messages);
        let blocks: Vec<_> = Blocks::new(&payload, &header).map(|b| (b.offset, b.body)).collect();
        assert_eq!(blocks, [(22, &b"abc"[..]), (27, b""), (29, b"de")]);
        assert!(tiles(&payload, &header));
        assert!(!tiles(&[&payload[..], b"x"].concat(), &header));
        assert!(!tiles(&payload[..payload.len() - 1], &header));
    }

    #[test]
    fn headers_alone_are_told_apart() {
        let kind = |count| {
            let payload = payload(count, &[]);
            packet(&header(&payload).unwrap(), payload.len())
        };
        assert_eq!(kind(0), Packet::Heartbeat);
        assert_eq!(kind(0xFFFF), Packet::EndOfSession);
        assert_eq!(kind(5), Packet::Request);
    }

    #[test]
    fn a_cut_message_is_given_short() {
        let payload = payload(2, &[b"abc", b"defgh"]);
        let header = header(&payload).unwrap();
        let last = Blocks::new(&payload[..payload.len() - 3], &header).last().unwrap();
        assert_eq!((last.len, last.body), (5, &b"de"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_stay_inside(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(header) = header(&bytes) {
                let blocks: usize = Blocks::new(&bytes, &header).map(|b| b.body.len() + 2).sum();
                prop_assert!(blocks + HEADER_LEN <= bytes.len());
                let _ = tiles(&bytes, &header);
            }
            let covered: u32 = header_fields(&bytes).iter().map(|f| f.size).sum();
            prop_assert_eq!(covered as usize, bytes.len());
        }
    }
}
