//! SoupBinTCP 3 and 4 (Nasdaq): length-prefixed packets in a TCP stream, big
//! endian.
//!
//! ```text
//! | len u16 | type | payload …      len counts the type and the payload
//! ```
//!
//! Sequenced data carries no number: the server's login answer says which one
//! comes next, and each sequenced packet takes one.

use super::fields::FieldReader;
use crate::field::{Explained, Field};
use crate::kind::{Kind, Sender};

/// The framing's id, and the protocol of its own packets.
pub const ID: &str = "soupbintcp";

/// Bytes in front of a packet's payload.
pub const HEADER_LEN: usize = 3;

/// Packets in a row that make a place in a stream a packet's beginning.
pub const SYNC_PACKETS: usize = 3;

/// A packet's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketType {
    /// Text for people, either way.
    Debug = b'+',
    /// Login accepted.
    LoginAccepted = b'A',
    /// Login rejected.
    LoginRejected = b'J',
    /// A sequenced message.
    Sequenced = b'S',
    /// The server's sign of life.
    ServerHeartbeat = b'H',
    /// No more messages in this session.
    EndOfSession = b'Z',
    /// Login request.
    LoginRequest = b'L',
    /// An unsequenced message, either way.
    Unsequenced = b'U',
    /// The client's sign of life.
    ClientHeartbeat = b'R',
    /// The client leaves.
    Logout = b'O',
}

impl PacketType {
    /// Every type.
    pub const ALL: [Self; 10] = [
        Self::Debug,
        Self::LoginAccepted,
        Self::LoginRejected,
        Self::Sequenced,
        Self::ServerHeartbeat,
        Self::EndOfSession,
        Self::LoginRequest,
        Self::Unsequenced,
        Self::ClientHeartbeat,
        Self::Logout,
    ];

    /// The type with this code.
    #[inline]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The name in `msg_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::LoginAccepted => "login_accepted",
            Self::LoginRejected => "login_rejected",
            Self::Sequenced => "sequenced_data",
            Self::ServerHeartbeat => "server_heartbeat",
            Self::EndOfSession => "end_of_session",
            Self::LoginRequest => "login_request",
            Self::Unsequenced => "unsequenced_data",
            Self::ClientHeartbeat => "client_heartbeat",
            Self::Logout => "logout_request",
        }
    }

    /// The type's code as text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Debug => "+",
            Self::LoginAccepted => "A",
            Self::LoginRejected => "J",
            Self::Sequenced => "S",
            Self::ServerHeartbeat => "H",
            Self::EndOfSession => "Z",
            Self::LoginRequest => "L",
            Self::Unsequenced => "U",
            Self::ClientHeartbeat => "R",
            Self::Logout => "O",
        }
    }

    /// What such a packet is in a row of its own.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Debug => Kind::Admin,
            Self::LoginRejected => Kind::Reject,
            Self::ServerHeartbeat | Self::ClientHeartbeat => Kind::Heartbeat,
            Self::Sequenced | Self::Unsequenced => Kind::Unknown,
            _ => Kind::Session,
        }
    }

    /// Which end sends it, where only one does.
    pub const fn sender(self) -> Option<Sender> {
        match self {
            Self::LoginRequest | Self::ClientHeartbeat | Self::Logout => Some(Sender::Client),
            Self::LoginAccepted
            | Self::LoginRejected
            | Self::Sequenced
            | Self::ServerHeartbeat
            | Self::EndOfSession => Some(Sender::Server),
            Self::Debug | Self::Unsequenced => None,
        }
    }

    /// Whether it carries a message of the application.
    pub const fn carries_message(self) -> bool {
        matches!(self, Self::Sequenced | Self::Unsequenced)
    }

    /// Whether `len`, as the length field has it, fits the type. Logins may
    /// carry a few bytes more in newer versions.
    fn fits(self, len: usize) -> bool {
        match self {
            Self::Debug | Self::Sequenced | Self::Unsequenced => len >= 1,
            Self::LoginAccepted => (31..=64).contains(&len),
            Self::LoginRequest => (47..=64).contains(&len),
            Self::LoginRejected => (2..=8).contains(&len),
            _ => len == 1,
        }
    }
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole packet.
    Packet {
        /// Its type.
        kind: PacketType,
        /// Its bytes, length field included.
        len: usize,
    },
    /// The beginning of a packet.
    NeedMore,
    /// No packet.
    Invalid,
}

/// Looks at the packet at the beginning of `bytes`.
#[inline]
pub fn step(bytes: &[u8]) -> Step {
    let Some(&[high, low, code]) = bytes.first_chunk::<3>() else {
        return Step::NeedMore;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    match PacketType::from_code(code) {
        Some(kind) if !kind.fits(len) => Step::Invalid,
        None => Step::Invalid,
        Some(_) if bytes.len() < len + 2 => Step::NeedMore,
        Some(kind) => Step::Packet { kind, len: len + 2 },
    }
}

/// Where packets begin in a stream joined somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// At this offset.
    At(usize),
    /// Perhaps at this offset or later; nothing before it.
    Perhaps(usize),
}

/// Searches for the first place from which [`SYNC_PACKETS`] packets follow one
/// another, or at least one that ends with the bytes.
pub fn synchronise(bytes: &[u8]) -> Sync {
    let mut perhaps = bytes.len();
    for at in 0..bytes.len() {
        match chain(bytes.get(at..).unwrap_or_default()) {
            Step::Packet { .. } => return Sync::At(at),
            Step::NeedMore => perhaps = perhaps.min(at),
            Step::Invalid => {}
        }
    }
    Sync::Perhaps(perhaps)
}

/// Whether packets chain from the beginning of `bytes`.
fn chain(bytes: &[u8]) -> Step {
    let mut at = 0;
    let mut last = Step::Invalid;
    for _ in 0..SYNC_PACKETS {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        last = step(rest);
        match last {
            Step::Packet { len, .. } => at += len,
            other => return other,
        }
    }
    last
}

/// Whether `bytes` are packets to the last byte.
pub fn tiles(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match step(rest) {
            Step::Packet { len, .. } => at += len,
            _ => return false,
        }
    }
    at > 0
}

/// The session and the number of the next sequenced message, from a login
/// answer as it stands in the stream.
pub fn login_accepted(packet: &[u8]) -> Option<(&[u8], Option<u64>)> {
    let session = packet.get(3..13)?.trim_ascii();
    let number = std::str::from_utf8(packet.get(13..33)?).ok()?;
    Some((session, number.trim().parse().ok()))
}

/// The fields in front of a message.
pub fn header_fields(bytes: &[u8]) -> Vec<Field> {
    FieldReader::new(bytes).uint("packet_length", 2).text("packet_type", 1).finish()
}

/// Takes one of the framing's own packets apart; passwords stay hidden.
pub fn explain(packet: &[u8]) -> Explained {
    let kind = packet.get(2).and_then(|&code| PacketType::from_code(code));
    let mut reader = FieldReader::new(packet);
    reader.uint("packet_length", 2).text("packet_type", 1);
    match kind {
        Some(PacketType::LoginAccepted) => {
            reader.text("session", 10).text("sequence_number", 20);
        }
        Some(PacketType::LoginRequest) => {
            reader.text("username", 6).secret("password", 10);
            reader.text("requested_session", 10).text("requested_sequence_number", 20);
        }
        Some(PacketType::LoginRejected) => {
            reader.text("reject_reason_code", 1);
        }
        Some(PacketType::Debug) => {
            reader.rest_text("text");
        }
        _ => {}
    }
    Explained {
        msg_type: kind.map_or("?", PacketType::code).to_owned(),
        name: kind.map_or("", PacketType::name).to_owned(),
        fields: reader.finish(),
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Value;
    use proptest::prelude::*;

    fn packet(code: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u16 + 1).to_be_bytes().to_vec();
        bytes.push(code);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn steps_over_packets() {
        let sequenced = packet(b'S', b"hello");
        let expected = Step::Packet { kind: PacketType::Sequenced, len: 8 };
        assert_eq!(step(&sequenced), expected);
        assert_eq!(step(&sequenced[..7]), Step::NeedMore);
        assert_eq!(step(b"\x00\x05?"), Step::Invalid);
        assert_eq!(step(b"\x00\x02Hx"), Step::Invalid, "heartbeats carry nothing");
        assert_eq!(step(b"\x00\x00S"), Step::Invalid, "the length counts the type");
    }

    #[test]
    fn a_login_says_session_and_number() {
        let accepted = packet(b'A', b"   ABC1234                  42");
        assert_eq!(login_accepted(&accepted), Some((&b"ABC1234"[..], Some(42))));
        assert_eq!(explain(&accepted).fields.len(), 4);
        let request = packet(b'L', &[b'x'; 46]);
        let explained = explain(&request);
        assert_eq!(explained.name, "login_request");
        assert_eq!(explained.fields[3].value, Value::Text("***".to_owned()));
        assert_eq!(explained.fields.iter().map(|f| f.size).sum::<u32>(), 49);
    }

    #[test]
    fn finds_the_first_packet_in_a_joined_stream() {
        let tail = b"rest of some message";
        let packets = [packet(b'S', b"one"), packet(b'H', b""), packet(b'S', b"two")].concat();
        let joined = [&tail[..], &packets].concat();
        assert_eq!(synchronise(&joined), Sync::At(tail.len()));
        let more = [&joined[..], b"\x00\x09S12"].concat();
        assert_eq!(synchronise(&more), Sync::At(tail.len()));
        let one = [&tail[..], &packet(b'S', b"one"), b"\x00\x09"].concat();
        assert_eq!(synchronise(&one), Sync::Perhaps(tail.len()));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Step::Packet { len, .. } = step(&bytes) {
                prop_assert!(len <= bytes.len());
            }
            let _ = (synchronise(&bytes), tiles(&bytes), login_accepted(&bytes));
            let covered: u32 = explain(&bytes).fields.iter().map(|f| f.size).sum();
            prop_assert_eq!(covered as usize, bytes.len());
        }
    }
}
