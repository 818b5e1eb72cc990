//! Which framing and protocol some bytes are: by known codes of exactly their
//! sizes that fill the payload, never by sizes alone.

use crate::fix::framing::{Scan, scan};
use crate::framing::moldudp64::{self, Blocks, Packet};
use crate::framing::soupbintcp::{self, PacketType, Step};
use crate::kind::Sender;
use crate::library::Library;
use memchr::memmem;

/// A sequence number above this is taken for something else than a number.
const SEQ_PLAUSIBLE_MAX: u64 = 1 << 48;

/// Bytes that may wait for the end of a first message before a stream counts
/// as not recognised.
pub const UNDECIDED_BYTES_MAX: usize = 64 << 10;

/// What a UDP payload may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not this.
    No,
    /// The framing, but no message to tell the protocol by.
    Framing,
    /// The framing with messages that all these protocols know, a bit each.
    Protocols(u128),
}

/// Whether a UDP payload of `wire_len` bytes on the wire, perhaps cut, is
/// MoldUDP64 with messages of some of the `candidates`.
pub fn mold(payload: &[u8], wire_len: usize, candidates: u128, library: &Library) -> Verdict {
    let Some(header) = moldudp64::header(payload) else { return Verdict::No };
    if !moldudp64::plausible_session(&header.session) || header.seq > SEQ_PLAUSIBLE_MAX {
        return Verdict::No;
    }
    if moldudp64::packet(&header, wire_len) != Packet::Messages {
        let alone = wire_len == moldudp64::HEADER_LEN;
        return if alone { Verdict::Framing } else { Verdict::No };
    }
    let cut = payload.len() < wire_len;
    if !cut && !moldudp64::tiles(payload, &header) {
        return Verdict::No;
    }
    let whole = Blocks::new(payload, &header).filter(|block| block.body.len() == block.len);
    let mut known = candidates;
    let mut messages = 0;
    for block in whole {
        known = narrow(known, block.body, None, library);
        messages += 1;
    }
    if known == 0 || messages == 0 { Verdict::No } else { Verdict::Protocols(known) }
}

/// The `candidates` that know a message. A client's messages tell only of
/// protocols that have requests: no client sends market data.
pub fn narrow(candidates: u128, body: &[u8], sender: Option<Sender>, library: &Library) -> u128 {
    let speaks = if sender == Some(Sender::Client) { library.from_client() } else { u128::MAX };
    let known = bits(candidates & speaks).filter(|&at| {
        library.fixed.get(usize::from(at)).is_some_and(|protocol| protocol.knows(body, sender))
    });
    known.fold(0, |mask, at| mask | 1 << at)
}

/// The numbers of the bits set.
fn bits(mask: u128) -> impl Iterator<Item = u16> {
    (0..128).filter(move |&at| mask >> at & 1 == 1)
}

/// The first of the candidates.
pub fn first(candidates: u128) -> Option<u16> {
    (candidates != 0).then(|| candidates.trailing_zeros() as u16)
}

/// Whether one candidate is left.
pub fn single(candidates: u128) -> bool {
    candidates.count_ones() == 1
}

/// What the first bytes of a stream may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamVerdict {
    /// Nothing known.
    No,
    /// More bytes may tell.
    Wait,
    /// FIX.
    Fix,
    /// SoupBinTCP.
    Soup,
}

/// Looks at bytes in order, from a segment's beginning.
pub fn stream(bytes: &[u8], library: &Library) -> StreamVerdict {
    let fix = fix(bytes);
    if fix == StreamVerdict::Fix {
        return fix;
    }
    match soup(bytes, library) {
        StreamVerdict::No => fix,
        found => found,
    }
}

fn fix(bytes: &[u8]) -> StreamVerdict {
    const BEGIN: &[u8] = b"8=FIX";
    if BEGIN.starts_with(bytes) {
        return StreamVerdict::Wait;
    }
    for at in memmem::find_iter(bytes, BEGIN) {
        match scan(bytes.get(at..).unwrap_or_default()) {
            Scan::Message { .. } => return StreamVerdict::Fix,
            Scan::NeedMore => return StreamVerdict::Wait,
            Scan::Skip(_) => {}
        }
    }
    StreamVerdict::No
}

/// Packets of the framing from the first byte, whose messages one protocol
/// knows.
fn soup(bytes: &[u8], library: &Library) -> StreamVerdict {
    let (mut at, mut known) = (0, library.on_soup());
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, len) = match soupbintcp::step(rest) {
            Step::Packet { kind, len } => (kind, len),
            Step::NeedMore if at == 0 => return StreamVerdict::Wait,
            Step::NeedMore => return StreamVerdict::Soup,
            Step::Invalid => return StreamVerdict::No,
        };
        if kind.carries_message() {
            let body = rest.get(soupbintcp::HEADER_LEN..len).unwrap_or_default();
            known = narrow(known, body, soup_sender(kind), library);
        }
        if known == 0 {
            return StreamVerdict::No;
        }
        at += len;
    }
    StreamVerdict::Soup
}

/// Who sends such a packet; unsequenced data is nearly always the client's.
pub fn soup_sender(kind: PacketType) -> Option<Sender> {
    match kind {
        PacketType::Unsequenced => Some(Sender::Client),
        other => other.sender(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mold_packet(session: &[u8; 10], body: &[u8]) -> Vec<u8> {
        let mut bytes = session.to_vec();
        bytes.extend_from_slice(&5u64.to_be_bytes());
        bytes.extend_from_slice(&1u16.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn codes_and_sizes_tell_mold() {
        let library = Library::shipped();
        let verdict = |bytes: &[u8]| mold(bytes, bytes.len(), library.on_mold(), &library);
        let delete = [&b"D"[..], &[0; 18]].concat();
        assert!(matches!(verdict(&mold_packet(b"SESSION001", &delete)), Verdict::Protocols(_)));
        assert!(matches!(verdict(&mold_packet(&[0; 10], &delete)), Verdict::Protocols(_)));
        assert_eq!(verdict(&mold_packet(&[7; 10], &delete)), Verdict::No, "unprintable session");
        assert_eq!(verdict(&mold_packet(b"SESSION001", &delete[..18])), Verdict::No, "size");
        let unknown = [&b"~"[..], &[0; 18]].concat();
        assert_eq!(verdict(&mold_packet(b"SESSION001", &unknown)), Verdict::No, "code");
        let heartbeat = [&b"SESSION001"[..], &[0; 10]].concat();
        assert_eq!(verdict(&heartbeat), Verdict::Framing);
    }

    #[test]
    fn streams_are_told_by_their_first_bytes() {
        let library = Library::shipped();
        assert_eq!(stream(b"GET / HTTP/1.1\r\n", &library), StreamVerdict::No);
        assert_eq!(stream(b"\x00\x01H", &library), StreamVerdict::Soup);
        assert_eq!(stream(b"8=F", &library), StreamVerdict::Wait);
        assert_eq!(stream(b"\x00\x30S", &library), StreamVerdict::Wait);
        assert_eq!(stream(b"\x00\x04S~~~", &library), StreamVerdict::No);
    }
}
