//! One UDP flow: what it is, and MoldUDP64 packets. [`super::declared`] has the
//! packets of other framings, [`super::fast`] and [`super::fix_udp`] those of
//! FAST and FIX.

use super::declared::{Flow, Lanes, Packed, Unit};
use super::fast::FastFlow;
use super::fix_udp;
use super::known::Known;
use super::sink::{Cut, Engine, Header, Outcome, OwnMessage, Place, Sink};
use super::{Arrived, Shared};
use crate::batch::Head;
use crate::flow::Recognised;
use crate::framing::declared::{Framing, Key};
use crate::framing::moldudp64::{self, Block, Blocks, Packet};
use crate::framing::sequence::{Placed, Tracker, fingerprint};
use crate::headers::Segment;
use crate::kind::{Kind, Sender, SeqUnit, flags};
use crate::learning::ScopeStart;
use crate::library::{Library, ProtocolRef};
use crate::names::Name;
use crate::recognise::{self, Carrier};
use crate::tcp::origin::Bytes;
use std::sync::Arc;

/// Packets that are looked at before a flow counts as none of ours.
pub const UNDECIDED_PACKETS_MAX: u32 = 64;

/// Most MoldUDP64 sessions followed on one flow; the oldest gives way.
pub const SESSIONS_MAX: usize = 16;

/// Why a payload was not decoded.
const NOT_RECOGNISED: &str = "protocol not recognised";

#[derive(Debug)]
enum Mode {
    Undecided {
        tried: u32,
    },
    /// The protocol is configured; what carries it, the first packet tells.
    Waiting(u16),
    Known(Known),
    Fast(u16),
    /// With the section that the flow belongs to.
    Fix(Option<u16>, Recognised),
    Ignored,
}

#[derive(Debug)]
struct Session {
    bytes: [u8; 10],
    name: Option<Name>,
    scope: u32,
    tracker: Tracker,
    /// The protocol that its scope has begun for.
    begun: Option<u16>,
}

/// The state of one UDP flow.
#[derive(Debug)]
pub(crate) struct Datagrams {
    mode: Mode,
    line: Option<Name>,
    channel: Option<u32>,
    /// Flows that share what messages teach.
    group: Option<u16>,
    sessions: Vec<Session>,
    current: usize,
    lanes: Lanes,
    fast: FastFlow,
    asked: bool,
    answers: bool,
}

impl Datagrams {
    /// The state of a flow whose first packet is `segment`.
    pub fn open(flow_id: u32, segment: &Segment, shared: &mut Shared) -> Self {
        let feed = shared
            .feed_of(segment)
            .map(|(at, feed)| (at, feed.protocol.clone(), feed.line.clone(), feed.channel));
        let id = feed.as_ref().map(|(_, protocol, ..)| protocol.as_str());
        let (mode, protocol) = match shared.protocol_ref(id) {
            Some(ProtocolRef::Fixed(at)) => {
                match recognise::only(recognise::carriers_of(at, &shared.library)) {
                    Ok(carrier) => {
                        let known = Known::configured(carrier, Some(at));
                        (Mode::Known(known), Some(shared.ids.fixed(at)))
                    }
                    Err(0) => (Mode::Undecided { tried: 0 }, None),
                    Err(_) => (Mode::Waiting(at), Some(shared.ids.fixed(at))),
                }
            }
            Some(ProtocolRef::Mold) => {
                (Mode::Known(Known::configured(Carrier::Mold, None)), Some(shared.ids.mold))
            }
            Some(ProtocolRef::Framing(at)) if is_on_udp(at, &shared.library) => {
                let carrier = Carrier::Declared(at);
                let name = shared.ids.carrier(carrier);
                (Mode::Known(Known::configured(carrier, None)), Some(name))
            }
            Some(ProtocolRef::Fast(at)) => {
                // The flow's own feed, where it speaks the same protocol.
                let own = feed.as_ref().map(|feed| feed.0).filter(|own| same(shared, *own, at));
                let at = own.unwrap_or(at);
                (Mode::Fast(at), fast_name(shared, at))
            }
            Some(ProtocolRef::Fix) => {
                let feed = feed.as_ref().map(|feed| feed.0);
                (Mode::Fix(feed, Recognised::Configured), None)
            }
            _ => (Mode::Undecided { tried: 0 }, None),
        };
        let line = feed.as_ref().and_then(|feed| shared.name(feed.2.as_deref()?));
        if let Some(info) = shared.flows.get_mut(flow_id) {
            info.line = line;
        }
        if let Some(protocol) = protocol {
            shared.publish(flow_id, protocol, Recognised::Configured);
        }
        Self {
            mode,
            line,
            group: feed.as_ref().and_then(|feed| shared.group_of(feed.0)),
            channel: feed.and_then(|feed| feed.3),
            sessions: Vec::new(),
            current: 0,
            lanes: Lanes::default(),
            fast: FastFlow::default(),
            asked: false,
            answers: false,
        }
    }

    /// Whether the flow's sender asked for messages again.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// The other direction asked: what comes here are repeats.
    pub fn expect_answers(&mut self) {
        self.answers = true;
    }

    /// Takes a datagram in; says whether it was a request for messages again.
    pub fn datagram<'p>(
        &mut self,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> bool {
        if self.packed(arrived, shared, sink) {
            return false;
        }
        match self.mode {
            Mode::Known(known) if known.is_settled(arrived, &shared.library) => {
                self.carried(known, arrived, shared, sink)
            }
            Mode::Fast(feed) => {
                let protocol = fast_name(shared, feed).unwrap_or(shared.ids.unknown);
                let head = Head { protocol, ..self.head(arrived, shared) };
                self.fast.datagram(feed, head, arrived, shared, sink);
                false
            }
            Mode::Fix(feed, recognised) => {
                let head = self.head(arrived, shared);
                fix_udp::datagram(feed, recognised, head, arrived, shared, sink);
                false
            }
            Mode::Ignored => {
                undecoded(arrived, 0, NOT_RECOGNISED, shared, sink);
                false
            }
            _ => self.decide(arrived, shared, sink),
        }
    }

    /// Decodes a packet of a flow that is known.
    #[inline]
    fn carried<'p>(
        &mut self,
        known: Known,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> bool {
        let Carrier::Declared(at) = known.carrier else {
            return self.mold(known, arrived, shared, sink);
        };
        let library = Arc::clone(&shared.library);
        if let Some(framing) = library.framings.get(usize::from(at)) {
            let head = self.head(arrived, shared);
            let flow = Flow { framing, library: &library, known, group: self.group };
            self.lanes.packet(flow, head, &unit(arrived), shared, sink);
        }
        false
    }

    /// Takes in a packet whose body is compressed; says whether it was one.
    fn packed<'p>(
        &mut self,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> bool {
        let framing = match self.mode {
            Mode::Known(Known { carrier: Carrier::Declared(at), .. }) => Some(at),
            Mode::Undecided { .. } | Mode::Waiting(_) => None,
            _ => return false,
        };
        let body = match framing {
            Some(at) => {
                let framing = shared.library.framings.get(usize::from(at));
                framing.and_then(|framing| unpacked(framing, arrived))
            }
            None => shared.library.framings.iter().find_map(|framing| unpacked(framing, arrived)),
        };
        let (id, from, whole) = match body {
            Some((framing, Ok(whole))) => (framing.id.clone(), framing.size, whole),
            // A flow that is not known may as well be something else.
            Some((_, Err(fault))) if framing.is_some() => {
                let cut = arrived.segment.truncated;
                let fault = if cut { "compressed body is not whole" } else { fault };
                note_error(arrived, fault, shared);
                undecoded(arrived, 0, fault, shared, sink);
                return true;
            }
            _ => return false,
        };
        let library = Arc::clone(&shared.library);
        let wire_len = whole.len() as u32;
        let segment = Segment { wire_len, truncated: false, ..arrived.segment.clone() };
        let as_sent = Arrived { payload: whole.as_slice(), segment: &segment, ..*arrived };
        let Some(known) = self.taken_for(&as_sent, shared) else { return false };
        let Carrier::Declared(at) = known.carrier else { return false };
        let framing = library.framings.get(usize::from(at)).filter(|framing| framing.id == id);
        let Some(framing) = framing else { return false };
        self.become_known(known, arrived.flow_id, shared);
        let body = arrived.payload.get(from..).unwrap_or_default();
        let unit = Unit {
            bytes: Bytes::Stream(&whole),
            wire_len: whole.len(),
            packed: Some(Packed { from, body }),
            ..unit(arrived)
        };
        let head = self.head(arrived, shared);
        let flow = Flow { framing, library: &library, known, group: self.group };
        self.lanes.packet(flow, head, &unit, shared, sink);
        true
    }

    /// What the flow is with one more packet.
    fn taken_for(&self, arrived: &Arrived<'_, '_>, shared: &Shared) -> Option<Known> {
        match self.mode {
            Mode::Known(known) if known.is_settled(arrived, &shared.library) => Some(known),
            Mode::Known(known) => known.look(arrived, &shared.library),
            Mode::Waiting(fixed) => Some(Known::waited(fixed, arrived, &shared.library)),
            _ => Known::find(arrived, &shared.library),
        }
    }

    /// Looks what the flow may be, and decodes the packet as that.
    fn decide<'p>(
        &mut self,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> bool {
        if let Some(known) = self.taken_for(arrived, shared) {
            self.become_known(known, arrived.flow_id, shared);
            return self.carried(known, arrived, shared, sink);
        }
        if matches!(self.mode, Mode::Undecided { .. }) && fix_udp::is_fix(arrived.payload) {
            self.mode = Mode::Fix(None, Recognised::Certain);
            return self.datagram(arrived, shared, sink);
        }
        let tried = if let Mode::Undecided { tried } = self.mode { tried + 1 } else { 1 };
        self.mode =
            if tried < UNDECIDED_PACKETS_MAX { Mode::Undecided { tried } } else { Mode::Ignored };
        undecoded(arrived, 0, NOT_RECOGNISED, shared, sink);
        false
    }

    /// Takes over what the flow is now taken for.
    fn become_known(&mut self, known: Known, flow_id: u32, shared: &mut Shared) {
        let before = if let Mode::Known(before) = self.mode { Some(before) } else { None };
        let same = before.is_some_and(|before| {
            before.carrier == known.carrier
                && before.fixed == known.fixed
                && before.recognised == known.recognised
        });
        if before.is_some_and(|before| before.carrier != known.carrier) {
            self.lanes = Lanes::default();
            self.sessions.clear();
        }
        self.mode = Mode::Known(known);
        if !same {
            let protocol = known.fixed.map(|at| shared.ids.fixed(at));
            let protocol = protocol.unwrap_or_else(|| shared.ids.carrier(known.carrier));
            shared.publish(flow_id, protocol, known.recognised);
        }
    }

    /// A MoldUDP64 packet; says whether it was a request.
    #[inline]
    fn mold<'p>(
        &mut self,
        known: Known,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> bool {
        let Some(header) = moldudp64::header(arrived.payload) else {
            note_error(arrived, "payload shorter than its header", shared);
            undecoded(arrived, 0, "payload shorter than its header", shared, sink);
            return false;
        };
        self.current = self.session(&header.session, shared);
        let packet = moldudp64::packet(&header, arrived.segment.wire_len as usize);
        let placed = self.place(&header, packet, arrived, shared);
        let session = self.sessions.get(self.current);
        let head = Head {
            session: session.and_then(|session| session.name),
            gap_before: placed.gap_before,
            flags: placed.flags,
            ..self.head(arrived, shared)
        };
        match packet {
            Packet::Messages => {
                let scope = session.map_or(0, |session| session.scope);
                let begun = session.and_then(|session| session.begun);
                if begun != known.fixed {
                    self.begin(known, &header, arrived, shared, sink);
                }
                messages(known, scope, &header, head, arrived, shared, sink);
            }
            other => header_alone(other, known, &header, head, arrived, shared, sink),
        }
        self.asked |= packet == Packet::Request;
        packet == Packet::Request
    }

    /// Tells the sink of a session's scope before its first message.
    #[cold]
    fn begin<'p>(
        &mut self,
        known: Known,
        header: &moldudp64::Header,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Some(session) = self.sessions.get_mut(self.current) else { return };
        session.begun = known.fixed;
        let Some(protocol) = known.fixed else { return };
        let source = shared.source(self.group, arrived.flow_id, session.name, None);
        let (scope, ts, seq) = (session.scope, arrived.ts, (header.seq != 0).then_some(header.seq));
        sink.scope(&mut shared.names, &ScopeStart { scope, protocol, source: &source, ts, seq });
    }

    /// Scopes and the number that comes next in each.
    pub fn next_numbers(&self) -> impl Iterator<Item = (u32, u64)> {
        let sessions = self.sessions.iter();
        let sessions = sessions.filter_map(|s| Some((s.scope, s.tracker.expected()?)));
        sessions.chain(self.lanes.next_numbers())
    }

    /// The session with these bytes, made where it is new.
    #[inline]
    fn session(&mut self, bytes: &[u8; 10], shared: &mut Shared) -> usize {
        match self.sessions.get(self.current) {
            Some(session) if session.bytes == *bytes => self.current,
            _ => self.other_session(bytes, shared),
        }
    }

    fn other_session(&mut self, bytes: &[u8; 10], shared: &mut Shared) -> usize {
        if let Some(at) = self.sessions.iter().position(|session| session.bytes == *bytes) {
            return at;
        }
        if self.sessions.len() == SESSIONS_MAX {
            self.sessions.remove(0);
        }
        let text = bytes.trim_ascii();
        let blank = text.iter().all(|&b| b == 0);
        let name = if blank { None } else { shared.names.intern(text) };
        let (scope, tracker) = (shared.scope(self.group, &Key::of(text)), Tracker::new());
        self.sessions.push(Session { bytes: *bytes, name, scope, tracker, begun: None });
        self.sessions.len() - 1
    }

    /// Where the packet stands in its session's sequence.
    #[inline]
    fn place(
        &mut self,
        header: &moldudp64::Header,
        packet: Packet,
        arrived: &Arrived<'_, '_>,
        shared: &mut Shared,
    ) -> Placed {
        let unknown = Placed { gap_before: None, flags: 0 };
        if self.answers && packet == Packet::Messages {
            return Placed { gap_before: None, flags: flags::RETRANSMIT };
        }
        // Numbers start at 1; 0 is what blanked-out captures have.
        if header.seq == 0 || packet == Packet::Request {
            return unknown;
        }
        let Some(session) = self.sessions.get_mut(self.current) else { return unknown };
        let before = (session.tracker.gaps, session.tracker.missing);
        let placed = match packet {
            Packet::Messages => {
                let print = fingerprint(arrived.payload);
                session.tracker.packet(header.seq, u64::from(header.count), print)
            }
            _ => session.tracker.heartbeat(header.seq),
        };
        let after = (session.tracker.gaps, session.tracker.missing);
        if before != after {
            count_gaps(before, after, arrived.flow_id, shared);
        }
        placed
    }

    /// What every message of the packet shares.
    #[inline]
    fn head(&self, arrived: &Arrived<'_, '_>, shared: &Shared) -> Head {
        Head {
            ts: arrived.ts,
            ts_first: None,
            ts_send: None,
            packet_ix: arrived.packet_ix,
            msg_ix: 0,
            flow_id: arrived.flow_id,
            protocol: shared.ids.mold,
            line: self.line,
            session: None,
            channel: self.channel,
            seq: None,
            gap_before: None,
            flags: 0,
            raw_off: None,
            raw_len: 0,
            tcp_off: None,
            // A feed is sent to whoever listens: only a session has two ends.
            sender: None,
        }
    }
}

/// The messages of a MoldUDP64 packet.
#[inline]
fn messages<'p>(
    known: Known,
    scope: u32,
    header: &moldudp64::Header,
    mut head: Head,
    arrived: &Arrived<'p, '_>,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) {
    let recognised = Some(known.recognised);
    let whole_engine = match known.fixed {
        Some(protocol) => Engine::Fixed { protocol, scope },
        None => Engine::Opaque,
    };
    head.protocol = known.fixed.map_or(shared.ids.mold, |protocol| shared.ids.fixed(protocol));
    let packet_flags = head.flags;
    framing_header(arrived, 0, moldudp64::HEADER_LEN, recognised, &moldudp64::header_fields, sink);
    let mut blocks = Blocks::new(arrived.payload, header);
    let mut total = Outcome::default();
    let mut seq = (header.seq != 0).then_some(header.seq);
    for block in blocks.by_ref() {
        let Block { offset, len, body } = block;
        framing_header(arrived, offset - 2, 2, recognised, &moldudp64::length_fields, sink);
        head.seq = seq.map(|seq| (seq, SeqUnit::Message));
        head.raw_off = Some((arrived.segment.payload.start + offset) as u32);
        head.raw_len = body.len() as u32;
        let mut engine = whole_engine;
        if body.len() < len {
            engine = Engine::Opaque;
            head.flags = packet_flags | flags::TRUNCATED;
        }
        let bytes = Bytes::Frame(body);
        let cut = Cut { head: &head, bytes, place: place(arrived, offset), engine, recognised };
        let outcome = sink.message(&mut shared.names, cut);
        total.messages += outcome.messages;
        total.errors += outcome.errors;
        head.msg_ix = total.messages;
        head.gap_before = head.gap_before.map(|_| 0);
        seq = seq.and_then(|seq| seq.checked_add(1));
    }
    count(total, arrived.flow_id, shared);
    let (left, at) = (blocks.left(), blocks.at());
    if left > 0 || at < arrived.payload.len() || arrived.segment.truncated {
        not_tiled(left, at, arrived, shared, sink);
    }
}

/// A packet whose messages do not end with its payload.
#[cold]
fn not_tiled<'p>(
    left: u16,
    at: usize,
    arrived: &Arrived<'p, '_>,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) {
    if arrived.segment.truncated {
        shared.counters.messages_cut += u64::from(left);
    } else {
        note_error(arrived, "messages do not fill the payload", shared);
    }
    if at < arrived.payload.len() {
        undecoded(arrived, at, "bytes after the counted messages", shared, sink);
    }
}

/// A heartbeat, end of session or request: a row of the framing itself.
fn header_alone<'p>(
    packet: Packet,
    known: Known,
    header: &moldudp64::Header,
    mut head: Head,
    arrived: &Arrived<'p, '_>,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) {
    head.seq = (header.seq != 0).then_some((header.seq, SeqUnit::Message));
    head.raw_off = Some(arrived.segment.payload.start as u32);
    head.raw_len = moldudp64::HEADER_LEN as u32;
    let kind = match packet {
        Packet::EndOfSession => Kind::Session,
        Packet::Request => Kind::ResendRequest,
        _ => Kind::Heartbeat,
    };
    let explain = |bytes: &[u8]| packet.explain(bytes);
    if packet == Packet::Request {
        head.sender = Some(Sender::Client);
    }
    let own = OwnMessage { msg_type: packet.name(), name: packet.name(), kind, explain: &explain };
    let bytes = arrived.payload.get(..moldudp64::HEADER_LEN).unwrap_or_default();
    let cut = Cut {
        head: &head,
        bytes: Bytes::Frame(bytes),
        place: place(arrived, 0),
        engine: Engine::Own(own),
        recognised: Some(known.recognised),
    };
    let outcome = sink.message(&mut shared.names, cut);
    count(outcome, arrived.flow_id, shared);
    if arrived.payload.len() > moldudp64::HEADER_LEN {
        not_tiled(0, moldudp64::HEADER_LEN, arrived, shared, sink);
    }
}

#[inline]
fn framing_header<'p>(
    arrived: &Arrived<'p, '_>,
    at: usize,
    len: usize,
    recognised: Option<Recognised>,
    fields: &dyn Fn(&[u8]) -> Vec<crate::field::Field>,
    sink: &mut impl Sink<'p>,
) {
    sink.header(Header {
        place: place(arrived, at),
        protocol: moldudp64::ID,
        recognised,
        bytes: arrived.payload.get(at..at + len).unwrap_or_default(),
        fields,
    });
}

/// A datagram's payload.
fn unit<'p>(arrived: &Arrived<'p, '_>) -> Unit<'p, 'p> {
    Unit {
        bytes: Bytes::Frame(arrived.payload),
        place: place(arrived, 0),
        flow_id: arrived.flow_id,
        wire_len: arrived.segment.wire_len as usize,
        packed: None,
        stream: None,
    }
}

/// The packet as it was before its body was compressed, and whose it is.
#[inline]
fn unpacked<'f>(
    framing: &'f Framing,
    arrived: &Arrived<'_, '_>,
) -> Option<(&'f Framing, Result<Vec<u8>, &'static str>)> {
    Some((framing, framing.unpacked(arrived.payload)?))
}

fn is_on_udp(framing: u16, library: &Library) -> bool {
    library.framings.get(usize::from(framing)).is_some_and(|framing| framing.on_udp)
}

/// Where the payload's byte `at` stands.
#[inline]
pub(super) fn place(arrived: &Arrived<'_, '_>, at: usize) -> Place {
    Place {
        packet_ix: arrived.packet_ix,
        ts: arrived.ts,
        at: at as i64,
        payload_off: arrived.segment.payload.start as u32,
        unpacked: false,
    }
}

/// The payload from byte `from` on was not decoded.
pub(super) fn undecoded<'p>(
    arrived: &Arrived<'p, '_>,
    from: usize,
    reason: &'static str,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) {
    let bytes = arrived.payload.get(from..).unwrap_or_default();
    shared.counters.undecoded(reason, bytes.len());
    if !bytes.is_empty() {
        sink.undecoded(place(arrived, from), bytes, reason);
    }
}

pub(super) fn note_error(arrived: &Arrived<'_, '_>, what: &'static str, shared: &mut Shared) {
    if let Some(info) = shared.flows.get_mut(arrived.flow_id) {
        info.error(what);
    }
}

/// Adds to a flow what its tracker's gaps and missing numbers grew by.
pub(super) fn count_gaps(before: (u64, u64), after: (u64, u64), flow_id: u32, shared: &mut Shared) {
    if let Some(info) = shared.flows.get_mut(flow_id) {
        info.gaps += after.0.saturating_sub(before.0);
        info.missing = info.missing.saturating_add(after.1).saturating_sub(before.1);
    }
}

#[inline]
pub(super) fn count(outcome: Outcome, flow_id: u32, shared: &mut Shared) {
    shared.counters.messages += u64::from(outcome.messages);
    if let Some(info) = shared.flows.get_mut(flow_id) {
        info.messages += u64::from(outcome.messages);
        if outcome.errors > 0 {
            info.errors += u64::from(outcome.errors) - 1;
            info.error("message not readable");
        }
    }
}

/// The name of a FAST feed's protocol.
fn fast_name(shared: &mut Shared, feed: u16) -> Option<Name> {
    let config = Arc::clone(&shared.config);
    shared.name(&config.feeds.get(usize::from(feed))?.protocol)
}

/// Whether two feeds speak the same protocol and the first one is FAST.
fn same(shared: &Shared, own: u16, other: u16) -> bool {
    let feed = |at: u16| shared.config.feeds.get(usize::from(at));
    let protocols = (feed(own).map(|f| &f.protocol), feed(other).map(|f| &f.protocol));
    protocols.0 == protocols.1 && matches!(shared.library.fast.get(usize::from(own)), Some(Some(_)))
}
