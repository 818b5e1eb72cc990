//! Which framing and protocol some bytes are: by known codes of exactly their
//! sizes that fill the payload, never by sizes alone.

use crate::fix::framing::{Scan, scan};
use crate::framing::declared::{Cut, Framing, Item};
use crate::framing::moldudp64::{self, Blocks, Packet};
use crate::framing::stream::Step;
use crate::kind::Sender;
use crate::library::Library;
use crate::protocol_set::ProtocolSet;
use memchr::memmem;

/// A sequence number above this is taken for something else than a number.
const SEQ_PLAUSIBLE_MAX: u64 = 1 << 48;

/// Bytes that may wait for the end of a first message before a stream counts
/// as not recognised.
pub const UNDECIDED_BYTES_MAX: usize = 64 << 10;

/// A first message longer than this is not waited for: letters taken for a
/// length make more.
const UNDECIDED_UNIT_MAX: usize = 8 << 10;

/// What a UDP payload may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not this.
    No,
    /// The framing, but no message to tell the protocol by.
    Framing,
    /// The framing with messages that all these protocols know.
    Protocols(ProtocolSet),
}

/// Whether a UDP payload of `wire_len` bytes on the wire, perhaps cut, is
/// MoldUDP64 with messages of some of the `candidates`.
pub fn mold(
    payload: &[u8],
    wire_len: usize,
    candidates: ProtocolSet,
    library: &Library,
) -> Verdict {
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
    if known.is_empty() || messages == 0 { Verdict::No } else { Verdict::Protocols(known) }
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
    /// The fixed protocols it carries.
    pub fn protocols(self, library: &Library) -> ProtocolSet {
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
        candidates: ProtocolSet,
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
    datagram_carriers(library).filter(move |carrier| carrier.protocols(library).contains(fixed))
}

/// Everything that cuts datagrams.
fn datagram_carriers(library: &Library) -> impl Iterator<Item = Carrier> + '_ {
    let declared = library.framings.iter().enumerate().filter(|(_, framing)| framing.on_udp);
    let declared = declared.map(|(at, _)| Carrier::Declared(at as u16));
    std::iter::once(Carrier::Mold).chain(declared)
}

/// The declared framings of streams, by their place in the library.
pub fn stream_framings(library: &Library) -> impl Iterator<Item = (u16, &Framing)> + '_ {
    let framings = library.framings.iter().enumerate().filter(|(_, framing)| framing.on_tcp);
    framings.map(|(at, framing)| (at as u16, framing.as_ref()))
}

/// What can carry a fixed protocol over TCP.
pub fn stream_carriers_of(fixed: u16, library: &Library) -> impl Iterator<Item = u16> + '_ {
    let framings = stream_framings(library).map(|(at, _)| at);
    framings.filter(move |&at| library.on_framing(at).contains(fixed))
}

/// The one thing among several, or how many there are.
pub fn only<T>(mut several: impl Iterator<Item = T>) -> Result<T, usize> {
    match (several.next(), several.count()) {
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
    let mut best: Option<(Carrier, Verdict, bool)> = None;
    for carrier in datagram_carriers(library) {
        let candidates = carrier.protocols(library);
        // What carries nothing known explains nothing.
        if candidates.is_empty() {
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

/// Whether a UDP payload, or a unit of a stream, is of a declared framing,
/// with messages of some of the `candidates`. The header is checked first,
/// which is cheap.
pub fn declared(
    framing: &Framing,
    payload: &[u8],
    wire_len: usize,
    candidates: ProtocolSet,
    library: &Library,
) -> Verdict {
    if !framing.is_header(payload, wire_len) {
        return Verdict::No;
    }
    let Some(packet) = framing.packet(payload) else { return Verdict::No };
    if framing.is_alone(&packet, wire_len) {
        let alone = framing.is_padding(payload, framing.size_of(payload));
        return if alone { Verdict::Framing } else { Verdict::No };
    }
    let cut = payload.len() < wire_len;
    let known = narrow_by_header(framing, payload, candidates, library);
    if framing.cut != Cut::Protocol {
        return tiled(framing, payload, cut, known, &|_| None, library);
    }
    let fitting = known.iter().filter(|&at| {
        let size_of = |rest: &[u8]| library.size_of(at, rest, None);
        let verdict = tiled(framing, payload, cut, ProtocolSet::one(at), &size_of, library);
        matches!(verdict, Verdict::Protocols(_))
    });
    let fitting: ProtocolSet = fitting.collect();
    if fitting.is_empty() { Verdict::No } else { Verdict::Protocols(fitting) }
}

/// The candidates that know every message of a payload which they fill.
fn tiled(
    framing: &Framing,
    payload: &[u8],
    cut: bool,
    candidates: ProtocolSet,
    size_of: &dyn Fn(&[u8]) -> Option<usize>,
    library: &Library,
) -> Verdict {
    let Some(packet) = framing.packet(payload) else { return Verdict::No };
    let mut cutter = framing.cutter(payload, &packet);
    let (mut known, mut messages, mut own, mut whole) = (candidates, 0, 0, true);
    // Protocols whose schema is not there: nothing of them is known.
    let mut possible = library.without_schema();
    while let Some(item) = cutter.next(size_of) {
        whole &= item.whole;
        let message = payload.get(item.at..item.end).unwrap_or_default();
        match heard(framing, message, &item, known, library) {
            Heard::Own(true) => own += 1,
            Heard::Own(false) => return Verdict::No,
            Heard::Carried(by, perhaps) if item.whole => {
                known = by;
                possible = possible & perhaps;
                messages += 1;
            }
            Heard::Carried(..) => {}
        }
        if (known | possible).is_empty() && messages > 0 {
            return Verdict::No;
        }
    }
    let filled = whole && cutter.tiles();
    match (messages, own) {
        (1.., _) if (filled || cut) && !known.is_empty() => Verdict::Protocols(known),
        (1.., _) if filled && !cut => Verdict::Framing,
        // A few small numbers of a cut packet tell nothing.
        (0, 1..) if filled && !cut => Verdict::Framing,
        _ => Verdict::No,
    }
}

/// Who knows a message.
enum Heard {
    /// It is the framing's own; whether the framing knows it.
    Own(bool),
    /// Protocols that it carries, of the candidates: those that know it, and
    /// those whose schema is not there.
    Carried(ProtocolSet, ProtocolSet),
}

/// Who knows a carried message.
fn carried(
    candidates: ProtocolSet,
    body: &[u8],
    sender: Option<Sender>,
    library: &Library,
) -> Heard {
    let possible = library.without_schema().iter();
    let possible = possible.filter(|&at| library.may_be(at, body)).collect();
    Heard::Carried(narrow(candidates, body, sender, library), possible)
}

/// Who knows a message of a declared framing by its code and its size: the
/// place where every engine that knows messages is asked.
fn heard(
    framing: &Framing,
    message: &[u8],
    item: &Item,
    candidates: ProtocolSet,
    library: &Library,
) -> Heard {
    if framing.each_rules.is_empty() && framing.session.is_none() {
        let body = item.body.start - item.at..item.body.end - item.at;
        let body = message.get(body).unwrap_or_default();
        return carried(candidates, body, None, library);
    }
    let meaning = framing.meaning(message);
    if meaning.kind.is_some() {
        return Heard::Own(true);
    }
    let sender = meaning.sender.or(meaning.usually);
    match &framing.session {
        Some(own) if !framing.is_carrying(&meaning) => Heard::Own(own.knows(message, sender)),
        _ => {
            let body = framing.header_of(&meaning)..item.body.end - item.at;
            let body = message.get(body).unwrap_or_default();
            carried(candidates, body, sender, library)
        }
    }
}

/// The candidates that the header allows, where it says which protocol comes;
/// all of them where it allows none that is known.
fn narrow_by_header(
    framing: &Framing,
    payload: &[u8],
    candidates: ProtocolSet,
    library: &Library,
) -> ProtocolSet {
    let Some(prefix) = framing.carried_prefix(payload) else { return candidates };
    let allows = |at: &u16| library.id_of(*at).is_some_and(|id| id.starts_with(prefix));
    let allowed: ProtocolSet = candidates.iter().filter(allows).collect();
    if allowed.is_empty() { candidates } else { allowed }
}

/// The `candidates` that know a message. A client's messages tell only of
/// protocols that have requests: no client sends market data. Where several know
/// it, those are dropped to which a field of it means nothing, unless it is so
/// for all: two feeds may have messages of one code and one size.
pub fn narrow(
    candidates: ProtocolSet,
    body: &[u8],
    sender: Option<Sender>,
    library: &Library,
) -> ProtocolSet {
    let speaks =
        if sender == Some(Sender::Client) { library.from_client() } else { ProtocolSet::ALL };
    let known = (candidates & speaks).iter().filter(|&at| library.knows(at, body, sender));
    let known: ProtocolSet = known.collect();
    if known.iter().nth(1).is_none() {
        return known;
    }
    let fixed = |at: u16| library.fixed.get(usize::from(at));
    let agrees = |at: &u16| fixed(*at).is_none_or(|fixed| fixed.agrees(body, sender));
    let agreeing: ProtocolSet = known.iter().filter(agrees).collect();
    if agreeing.is_empty() { known } else { agreeing }
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
    /// The declared framing at this index, with messages that all these
    /// protocols know, or `None` where only the framing's own were seen; `true`
    /// where something else is as likely.
    Declared(u16, Option<ProtocolSet>, bool),
}

/// Looks at bytes in order, from a segment's beginning. Messages that
/// protocols know are better than a framing's own.
pub fn stream(bytes: &[u8], library: &Library) -> StreamVerdict {
    let fix = fix(bytes);
    if fix == StreamVerdict::Fix {
        return fix;
    }
    let mut best = fix;
    for (at, framing) in stream_framings(library) {
        let candidates = library.on_framing(at);
        // What carries nothing known explains nothing.
        if candidates.is_empty() {
            continue;
        }
        best = match (units(framing, bytes, candidates, library), best) {
            (Units::No, best) => best,
            (Units::Wait, StreamVerdict::No) => StreamVerdict::Wait,
            (Units::Wait, best) => best,
            (Units::Known(known), StreamVerdict::Declared(first, was, _))
                if known.is_some() == was.is_some() =>
            {
                StreamVerdict::Declared(first, was, true)
            }
            (Units::Known(None), best @ StreamVerdict::Declared(..)) => best,
            (Units::Known(known), _) => StreamVerdict::Declared(at, known, false),
        };
    }
    best
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

/// What bytes are to a framing.
enum Units {
    /// Not its own.
    No,
    /// Perhaps the beginning of a first unit.
    Wait,
    /// Units from the first byte on; what they carry, these protocols know.
    Known(Option<ProtocolSet>),
}

/// Cuts bytes into units of a framing, from the first byte to the last.
fn units(framing: &Framing, bytes: &[u8], candidates: ProtocolSet, library: &Library) -> Units {
    let (mut at, mut known) = (0, None);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match framing.step(rest) {
            Step::Unit(len) => {
                let unit = rest.get(..len).unwrap_or_default();
                let left = known.unwrap_or(candidates);
                match declared(framing, unit, len, left, library) {
                    Verdict::No => return Units::No,
                    Verdict::Framing => {}
                    Verdict::Protocols(those) => known = Some(those),
                }
                at += len;
            }
            Step::NeedMore(total) if at == 0 => {
                // A header that nothing is checked of is not waited for.
                let telling = framing.size == 0 || !framing.checks.is_empty();
                let may = telling
                    && total.is_none_or(|total| {
                        total <= UNDECIDED_UNIT_MAX
                            && may_begin(framing, rest, total, candidates, library)
                    });
                return if may { Units::Wait } else { Units::No };
            }
            Step::NeedMore(_) => break,
            Step::Invalid => return Units::No,
        }
    }
    Units::Known(known)
}

/// Whether a unit is none of the framing's: a message that nothing says is
/// carried, and that the framing does not have.
pub fn is_foreign(framing: &Framing, unit: &[u8]) -> bool {
    let Some(own) = framing.session.as_ref().filter(|_| framing.size == 0) else { return false };
    let meaning = framing.meaning(unit);
    meaning.kind.is_none()
        && !framing.is_carrying(&meaning)
        && !own.knows_code(unit, meaning.sender)
}

/// Whether the beginning of a unit of `total` bytes may go on to be a message
/// that the framing or one of the candidates knows.
pub fn may_begin(
    framing: &Framing,
    start: &[u8],
    total: usize,
    candidates: ProtocolSet,
    library: &Library,
) -> bool {
    let told = framing.message.leaves.iter().map(|leaf| leaf.end()).max().unwrap_or(0);
    if framing.size > 0 || start.len() < told {
        return true;
    }
    let meaning = framing.meaning(start);
    if !framing.is_carrying(&meaning) {
        return framing.may_be_own(start, total, &meaning);
    }
    let header = framing.header_of(&meaning);
    let (Some(body), Some(len)) = (start.get(header..), total.checked_sub(header)) else {
        return total >= header;
    };
    let sender = meaning.sender.or(meaning.usually);
    let mut protocols = candidates.iter();
    candidates.is_empty() || protocols.any(|protocol| library.may_know(protocol, body, len, sender))
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
    fn a_code_that_its_list_does_not_have_excludes_a_protocol() {
        let library = Library::shipped();
        let ids = |body: &[u8]| -> Vec<String> {
            let packet = mold_packet(b"SESSION001", body);
            match mold(&packet, packet.len(), library.on_mold(), &library) {
                Verdict::Protocols(known) => {
                    known.iter().filter_map(|at| library.id_of(at)).map(str::to_owned).collect()
                }
                other => panic!("{other:?}"),
            }
        };
        let at_nine = 32_400_000_000_000u64.to_be_bytes();
        let add = |side: u8| {
            let numbers = [&b"A\0\x07\0\0"[..], &at_nine[2..], &99u64.to_be_bytes()];
            let order = [&[side][..], &100u32.to_be_bytes(), b"ALFA    ", &[0, 1, 2, 3]];
            [numbers.concat(), order.concat()].concat()
        };
        assert_eq!(ids(&add(b'B')), ["nasdaq.totalview-itch.5.0"]);
        // Nobody knows the side: nobody is better than the other.
        assert!(ids(&add(b'?')).len() > 1);
        let ask = |condition: u8| {
            [&b"A\0\0"[..], &at_nine, &7u32.to_be_bytes(), &[condition], &[0; 20]].concat()
        };
        for condition in *b" XY" {
            let ids = ids(&ask(condition));
            assert!(ids.contains(&"nasdaq.options-top.2.1".to_owned()), "{ids:?}");
            assert!(ids.iter().all(|id| id.contains("options-top")), "{ids:?}");
        }
        // A time of day of that many nanoseconds is none.
        let event = |tracking: u8| [&b"S\0\0\0"[..], &[tracking], &at_nine[2..], b"O"].concat();
        assert!(ids(&event(0)).len() > 1);
        assert_eq!(ids(&event(9)), ["nasdaq.totalview-itch.5.0"]);
    }

    #[test]
    fn a_login_says_the_release() {
        let library = Library::shipped();
        let ids = |release: &str| {
            let mut login = vec![0; 280];
            login[..6].copy_from_slice(&[24, 1, 0, 0, 0x10, 0x27]);
            login[32..32 + release.len()].copy_from_slice(release.as_bytes());
            login[94..97].copy_from_slice(b"AAY");
            match stream(&login, &library) {
                StreamVerdict::Declared(_, Some(known), _) => {
                    known.iter().filter_map(|at| library.id_of(at)).map(str::to_owned).collect()
                }
                other => panic!("{other:?}"),
            }
        };
        let known: Vec<String> = ids("9.0");
        assert_eq!(known, ["eurex.eti.9.0", "xetra.eti.9.0"]);
        assert_eq!(ids("14.1"), ["eurex.eti.14.1", "xetra.eti.14.1"]);
        assert!(ids("99.9").len() > 10, "one of those that are not here");
    }

    #[test]
    fn streams_are_told_by_their_first_bytes() {
        let library = Library::shipped();
        assert_eq!(stream(b"GET / HTTP/1.1\r\n", &library), StreamVerdict::No);
        let Some(soup) = library.framings.iter().position(|f| f.id == "soupbintcp") else {
            panic!("soupbintcp is shipped")
        };
        let heartbeat = stream(b"\x00\x01H", &library);
        assert_eq!(heartbeat, StreamVerdict::Declared(soup as u16, None, false));
        assert_eq!(stream(b"8=F", &library), StreamVerdict::Wait);
        assert_eq!(stream(b"\x00\x30S", &library), StreamVerdict::Wait);
        assert_eq!(stream(b"\x00\x04S~~~", &library), StreamVerdict::No);
    }
}
