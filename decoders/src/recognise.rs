//! Which framing and protocol some bytes are: by known codes of exactly their
//! sizes that fill the payload, never by sizes alone.

use crate::fix::framing::{Scan, scan};
use crate::framing::declared::{Cut, Framing, Item};
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

/// What cuts the messages of a UDP flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// MoldUDP64.
    Mold,
    /// The declared framing at this index.
    Declared(u16),
}

impl Carrier {
    /// The fixed protocols it carries, a bit each.
    pub fn protocols(self, library: &Library) -> u128 {
        match self {
            Self::Mold => library.on_mold(),
            Self::Declared(at) => library.on_framing(at),
        }
    }

    /// How much a header alone tells.
    fn strength(self, library: &Library) -> usize {
        match self {
            // A session of ten printable characters.
            Self::Mold => 2,
            Self::Declared(at) => {
                library.framings.get(usize::from(at)).map_or(0, |framing| framing.strength())
            }
        }
    }

    /// What a payload is if this carries it, with messages of some of the
    /// `candidates`.
    pub fn verdict(
        self,
        payload: &[u8],
        wire_len: usize,
        candidates: u128,
        library: &Library,
    ) -> Verdict {
        match self {
            Self::Mold => mold(payload, wire_len, candidates, library),
            Self::Declared(at) => match library.framings.get(usize::from(at)) {
                Some(framing) => declared(framing, payload, wire_len, candidates, library),
                None => Verdict::No,
            },
        }
    }
}

/// What can carry a fixed protocol over UDP.
pub fn carriers_of(fixed: u16, library: &Library) -> impl Iterator<Item = Carrier> + '_ {
    let declared = (0..library.framings.len()).map(|at| Carrier::Declared(at as u16));
    let all = std::iter::once(Carrier::Mold).chain(declared);
    all.filter(move |carrier| carrier.protocols(library) >> fixed & 1 == 1)
}

/// The one thing that carries a fixed protocol, or how many there are.
pub fn only_carrier(fixed: u16, library: &Library) -> Result<Carrier, usize> {
    let mut carriers = carriers_of(fixed, library);
    match (carriers.next(), carriers.count()) {
        (Some(only), 0) => Ok(only),
        (first, more) => Err(usize::from(first.is_some()) + more),
    }
}

/// Tries everything that could carry a UDP payload. Messages that protocols
/// know are better than a header alone; where several carriers have such
/// messages, the first one is given and `true`, for nothing is certain.
pub fn datagram(
    payload: &[u8],
    wire_len: usize,
    library: &Library,
) -> Option<(Carrier, Verdict, bool)> {
    let declared = (0..library.framings.len()).map(|at| Carrier::Declared(at as u16));
    let mut best: Option<(Carrier, Verdict, bool)> = None;
    for carrier in std::iter::once(Carrier::Mold).chain(declared) {
        let candidates = carrier.protocols(library);
        // What carries nothing known explains nothing.
        if candidates == 0 {
            continue;
        }
        let verdict = carrier.verdict(payload, wire_len, candidates, library);
        match (verdict, &mut best) {
            (Verdict::Protocols(_), Some((_, Verdict::Protocols(_), rivals))) => *rivals = true,
            (Verdict::Protocols(_), _) => best = Some((carrier, verdict, false)),
            (Verdict::Framing, None) => best = Some((carrier, verdict, false)),
            (Verdict::Framing, Some((other, Verdict::Framing, _)))
                if carrier.strength(library) > other.strength(library) =>
            {
                best = Some((carrier, verdict, false));
            }
            _ => {}
        }
    }
    best
}

/// Whether a UDP payload is of a declared framing, with messages of some of
/// the `candidates`. The header is checked first, which is cheap.
pub fn declared(
    framing: &Framing,
    payload: &[u8],
    wire_len: usize,
    candidates: u128,
    library: &Library,
) -> Verdict {
    if !framing.is_header(payload, wire_len) {
        return Verdict::No;
    }
    let Some(packet) = framing.packet(payload) else { return Verdict::No };
    if framing.is_alone(&packet, wire_len) {
        let alone = framing.is_padding(payload, framing.size);
        return if alone { Verdict::Framing } else { Verdict::No };
    }
    let cut = payload.len() < wire_len;
    let known = narrow_by_header(framing, payload, candidates, library);
    if framing.cut != Cut::Protocol {
        return tiled(framing, payload, cut, known, &|_| None, library);
    }
    let fitting = bits(known).filter(|&at| {
        let Some(protocol) = library.fixed.get(usize::from(at)) else { return false };
        let size_of = |rest: &[u8]| protocol.size_of(rest, None);
        let verdict = tiled(framing, payload, cut, 1 << at, &size_of, library);
        matches!(verdict, Verdict::Protocols(_))
    });
    match fitting.fold(0, |mask, at| mask | 1 << at) {
        0 => Verdict::No,
        mask => Verdict::Protocols(mask),
    }
}

/// The candidates that know every message of a payload which they fill.
fn tiled(
    framing: &Framing,
    payload: &[u8],
    cut: bool,
    candidates: u128,
    size_of: &dyn Fn(&[u8]) -> Option<usize>,
    library: &Library,
) -> Verdict {
    let Some(packet) = framing.packet(payload) else { return Verdict::No };
    let mut cutter = framing.cutter(payload, &packet);
    let (mut known, mut messages, mut own, mut whole) = (candidates, 0, 0, true);
    while let Some(item) = cutter.next(size_of) {
        whole &= item.whole;
        if is_own(framing, payload, &item) {
            own += 1;
        } else if item.whole {
            known = narrow(known, payload.get(item.body).unwrap_or_default(), None, library);
            messages += 1;
        }
        if known == 0 && messages > 0 {
            return Verdict::No;
        }
    }
    let filled = whole && cutter.tiles();
    match (messages, own) {
        (1.., _) if filled || cut => Verdict::Protocols(known),
        // A few small numbers of a cut packet tell nothing.
        (0, 1..) if filled && !cut => Verdict::Framing,
        _ => Verdict::No,
    }
}

/// Whether a message is the framing's own and no protocol's.
fn is_own(framing: &Framing, payload: &[u8], item: &Item) -> bool {
    !framing.each_rules.is_empty() && {
        let message = payload.get(item.at..item.end).unwrap_or_default();
        framing.meaning(message).kind.is_some()
    }
}

/// The candidates that the header allows, where it says which protocol comes;
/// all of them where it allows none that is known.
fn narrow_by_header(
    framing: &Framing,
    payload: &[u8],
    candidates: u128,
    library: &Library,
) -> u128 {
    let Some(prefix) = framing.carried_prefix(payload) else { return candidates };
    let allowed = bits(candidates).filter(|&at| {
        library.fixed.get(usize::from(at)).is_some_and(|p| p.id().starts_with(prefix))
    });
    match allowed.fold(0, |mask, at| mask | 1 << at) {
        0 => candidates,
        allowed => allowed,
    }
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
        assert_eq!(verdict(&mold_packet(b"SESSION001", &delete[..15])), Verdict::No, "size");
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
