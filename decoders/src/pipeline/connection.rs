//! One TCP connection: both directions put in order, and messages cut out of
//! them.

use super::sink::{Cut, Engine, Header, Outcome, OwnMessage, Place, Sink};
use super::{Arrived, Shared};
use crate::batch::Head;
use crate::field::{Explained, Field};
use crate::fix::framing::{self as fix, Scan};
use crate::flow::Recognised;
use crate::framing::soupbintcp::{self as soup, PacketType, Step, Sync};
use crate::headers::Segment;
use crate::headers::transport::tcp_flags::{ACK, SYN};
use crate::kind::{Kind, Sender, SeqUnit, flags};
use crate::library::ProtocolRef;
use crate::names::Name;
use crate::recognise::{self, StreamVerdict, UNDECIDED_BYTES_MAX};
use crate::tcp::origin::{Bytes, Origin, Run, Span};
use crate::tcp::reassembly::{Budget, Consumer, Incoming, Lost, Reassembly};
use std::collections::VecDeque;
use std::sync::Arc;

/// Deliveries of bytes that are looked at before a connection counts as none
/// of ours.
pub const UNDECIDED_DELIVERIES_MAX: u32 = 64;

/// Messages of a direction remembered, to name those that TCP repeats.
pub const RECENT_MESSAGES: usize = 256;

/// Bytes kept in search of a first message.
pub const SYNC_BYTES_MAX: usize = 128 << 10;

/// The place of a gap's row in the packet behind the gap: no message has it,
/// so that messages keep theirs whether or not something before them is lost.
pub const GAP_MSG_IX: u16 = u16::MAX;

const NOT_RECOGNISED: &str = "protocol not recognised";
const NO_MESSAGE: &str = "no message begins here";

#[derive(Clone, Copy, Debug)]
enum Mode {
    Undecided { tried: u32 },
    Soup(Soup),
    Fix { protocol: Option<Name> },
    Ignored,
}

/// Which protocol the messages of a SoupBinTCP connection are.
#[derive(Clone, Copy, Debug)]
struct Soup {
    fixed: Option<u16>,
    candidates: u128,
}

/// What both directions share.
#[derive(Debug)]
struct Common {
    mode: Mode,
    recognised: Recognised,
    /// The side that listens, where known.
    server: Option<usize>,
    session: Option<Name>,
    scope: u32,
    /// The FIX tags of the library.
    tags: u16,
    flows: [Option<u32>; 2],
}

/// A message that was cut, in case TCP repeats it.
#[derive(Clone, Copy, Debug)]
struct Recent {
    start: u64,
    len: u32,
    seq: Option<u64>,
}

/// What one direction's framing remembers.
#[derive(Debug, Default)]
struct Half {
    synced: bool,
    next_seq: Option<u64>,
    recent: VecDeque<Recent>,
    completed: Completed,
}

/// How many messages each packet has completed, for the latest packet and
/// those that still wait in order behind a hole.
#[derive(Debug, Default)]
struct Completed {
    packet_ix: u32,
    count: u16,
    older: Vec<(u32, u16)>,
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    common: Common,
    halves: [Half; 2],
    streams: [Reassembly; 2],
}

impl Connection {
    /// A connection first seen by `segment`, which side 0 sent.
    pub fn open(flow_id: u32, segment: &Segment, shared: &mut Shared) -> Self {
        let session = shared.session_of(segment);
        let session = session.map(|(at, session, from)| (session.protocol.clone(), at, from));
        let id = session.as_ref().map(|session| session.0.as_str());
        let reference = shared.protocol_ref(id);
        let (mode, protocol) = configured_mode(reference, id, shared);
        let opening = segment.tcp.is_some_and(|tcp| tcp.flags & SYN != 0);
        let answer = segment.tcp.is_some_and(|tcp| tcp.flags & ACK != 0);
        let server = match &session {
            Some((_, _, from_server)) => Some(usize::from(!from_server)),
            None if opening => Some(usize::from(!answer)),
            None => None,
        };
        let mut connection = Self {
            common: Common {
                mode,
                recognised: Recognised::Configured,
                server,
                session: None,
                scope: shared.new_scope(),
                tags: session.map_or(0, |session| session.1.saturating_add(1)),
                flows: [Some(flow_id), None],
            },
            halves: Default::default(),
            streams: Default::default(),
        };
        if let Some(protocol) = protocol {
            connection.common.publish(protocol, shared);
        }
        connection
    }

    /// The other direction appears as the flow `flow_id`.
    pub fn join(&mut self, side: usize, flow_id: u32, shared: &mut Shared) {
        if let Some(flow) = self.common.flows.get_mut(side) {
            *flow = Some(flow_id);
        }
        let other = self.common.flows.get(1 - side).copied().flatten();
        let known = other.and_then(|id| shared.flows.infos().get(id as usize));
        if let Some((protocol, recognised)) = known.and_then(|i| Some((i.protocol?, i.recognised?)))
        {
            shared.publish(flow_id, protocol, recognised);
        }
    }

    /// Takes in a segment that `side` sent.
    #[inline]
    pub fn segment<'p>(
        &mut self,
        side: usize,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        let Some(tcp) = arrived.segment.tcp else { return };
        if matches!(self.common.mode, Mode::Ignored) {
            return ignored(arrived, shared, sink);
        }
        let incoming = Incoming {
            tcp,
            payload: arrived.payload,
            wire_len: arrived.segment.wire_len,
            ip_id: arrived.segment.ip_id,
            packet_ix: arrived.packet_ix,
            ts: arrived.ts,
            frame_off: arrived.segment.payload.start as u32,
        };
        let (Some(half), Some(stream)) = (self.halves.get_mut(side), self.streams.get_mut(side))
        else {
            return;
        };
        let before = stream.counts;
        half.completed.start(arrived.packet_ix, stream.is_waiting());
        let (common, flow_id) = (&mut self.common, arrived.flow_id);
        let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
        stream.segment(&incoming, budget, &mut cutter);
        if stream.counts != before {
            count_gaps(stream, flow_id, cutter.shared);
        }
        if tcp.flags & ACK != 0 {
            self.acknowledge(1 - side, tcp.ack, arrived.ts, shared, budget, sink);
        }
        if matches!(self.common.mode, Mode::Ignored) {
            self.finish(shared, budget, sink);
        }
    }

    /// The other side has all bytes of `side` before `ack`.
    #[inline]
    fn acknowledge<'p>(
        &mut self,
        side: usize,
        ack: u32,
        now: i64,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        let (Some(half), Some(stream)) = (self.halves.get_mut(side), self.streams.get_mut(side))
        else {
            return;
        };
        let Some(flow_id) = self.common.flows.get(side).copied().flatten() else { return };
        let before = stream.counts;
        let common = &mut self.common;
        let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
        stream.acknowledge(ack, now, budget, &mut cutter);
        if stream.counts != before {
            count_gaps(stream, flow_id, shared);
        }
    }

    /// Lets go of everything that waits.
    pub fn finish<'p>(
        &mut self,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        for (side, (half, stream)) in self.halves.iter_mut().zip(&mut self.streams).enumerate() {
            let Some(flow_id) = self.common.flows.get(side).copied().flatten() else { continue };
            let common = &mut self.common;
            let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
            budget.used = budget.used.saturating_sub(stream.held());
            stream.flush(&mut cutter);
            count_gaps(stream, flow_id, shared);
        }
    }
}

/// How a connection is read by configuration, with the name of its protocol.
fn configured_mode(
    reference: Option<ProtocolRef>,
    id: Option<&str>,
    shared: &mut Shared,
) -> (Mode, Option<Name>) {
    match reference {
        Some(ProtocolRef::Fixed(at)) if shared.library.on_soup() >> at & 1 == 1 => {
            let soup = Soup { fixed: Some(at), candidates: 0 };
            (Mode::Soup(soup), Some(shared.ids.fixed(at)))
        }
        Some(ProtocolRef::Soup) => {
            (Mode::Soup(Soup { fixed: None, candidates: 0 }), Some(shared.ids.soup))
        }
        Some(ProtocolRef::Fix) => {
            let config = Arc::clone(&shared.config);
            let id = config.protocol.as_deref().or(id).unwrap_or("fix");
            let protocol = shared.name(id);
            (Mode::Fix { protocol }, protocol)
        }
        _ => (Mode::Undecided { tried: 0 }, None),
    }
}

fn ignored<'p>(arrived: &Arrived<'p, '_>, shared: &mut Shared, sink: &mut impl Sink<'p>) {
    if arrived.payload.is_empty() {
        return;
    }
    shared.counters.undecoded(NOT_RECOGNISED, arrived.payload.len());
    let place = Place {
        packet_ix: arrived.packet_ix,
        ts: arrived.ts,
        at: 0,
        payload_off: arrived.segment.payload.start as u32,
    };
    sink.undecoded(place, arrived.payload, NOT_RECOGNISED);
}

fn count_gaps(stream: &Reassembly, flow_id: u32, shared: &mut Shared) {
    if let Some(info) = shared.flows.get_mut(flow_id) {
        info.gaps = stream.counts.gaps;
        info.missing = stream.counts.missing;
    }
}

impl Common {
    /// Writes into the flows table what both directions are.
    fn publish(&mut self, protocol: Name, shared: &mut Shared) {
        for flow_id in self.flows.into_iter().flatten() {
            shared.publish(flow_id, protocol, self.recognised);
        }
    }

    fn sender(&self, side: usize) -> Option<Sender> {
        self.server.map(|server| if server == side { Sender::Server } else { Sender::Client })
    }
}

impl Completed {
    /// A packet arrives: the counts of earlier ones matter only while some of
    /// them wait.
    #[inline]
    fn start(&mut self, packet_ix: u32, waiting: bool) {
        if !waiting {
            self.older.clear();
        }
        self.switch(packet_ix);
    }

    #[inline]
    fn switch(&mut self, packet_ix: u32) {
        if self.packet_ix == packet_ix {
            return;
        }
        if self.count > 0 {
            self.older.push((self.packet_ix, self.count));
        }
        let known = self.older.iter().position(|older| older.0 == packet_ix);
        self.count = known.map_or(0, |at| self.older.swap_remove(at).1);
        self.packet_ix = packet_ix;
    }

    /// The place of the next message that `packet_ix` completes; `None` beyond
    /// 65,535.
    #[inline]
    fn next(&mut self, packet_ix: u32) -> Option<u16> {
        self.switch(packet_ix);
        let place = self.count;
        self.count = place.checked_add(1)?;
        Some(place)
    }
}

/// Cuts messages out of one direction's bytes.
struct Cutter<'c, S> {
    common: &'c mut Common,
    half: &'c mut Half,
    side: usize,
    flow_id: u32,
    shared: &'c mut Shared,
    sink: &'c mut S,
}

/// A message's bytes in the stream and the packets they came in.
#[derive(Clone, Copy)]
struct Piece<'p, 's> {
    start: u64,
    bytes: Bytes<'p, 's>,
    span: Span,
}

impl Piece<'_, '_> {
    fn place(&self) -> Place {
        place_of(&self.span.last, self.start)
    }
}

fn place_of(origin: &Origin, at: u64) -> Place {
    Place {
        packet_ix: origin.packet_ix,
        ts: origin.ts,
        at: at as i64 - origin.payload_at,
        payload_off: origin.frame_off,
    }
}

impl<'p, S: Sink<'p>> Consumer<'p> for Cutter<'_, S> {
    fn begin(&mut self, at_start: bool) {
        self.half.synced = at_start;
        self.half.next_seq = None;
        self.half.recent.clear();
    }

    fn run(&mut self, run: &mut Run<'p, '_>) -> usize {
        if let Mode::Undecided { tried } = self.common.mode
            && let Some(done) = self.decide(tried, run)
        {
            return done;
        }
        match self.common.mode {
            Mode::Soup(_) => self.cut_soup(run),
            Mode::Fix { protocol } => self.cut_fix(protocol, run),
            _ => {
                let len = run.bytes.get().len();
                self.skip(run, 0..len, NOT_RECOGNISED);
                len
            }
        }
    }

    fn again(&mut self, start: u64, bytes: Bytes<'p, '_>, origin: Origin, copy: bool) {
        let flag = if copy { flags::DUPLICATE } else { flags::RETRANSMIT };
        let len = bytes.get().len();
        let end = start + len as u64;
        let inside = |m: &&Recent| m.start >= start && m.start + u64::from(m.len) <= end;
        let recent: Vec<Recent> = self.half.recent.iter().filter(inside).copied().collect();
        let span = Span { first: origin, last: origin, whole: true, several: false };
        let mut at = 0;
        for message in recent {
            let from = (message.start - start) as usize;
            let to = from + message.len as usize;
            self.repeated(start + at as u64, bytes.slice(at..from).get(), &origin);
            let piece = Piece { start: message.start, bytes: bytes.slice(from..to), span };
            self.one_again(piece, message.seq, flag);
            at = to;
        }
        self.repeated(start + at as u64, bytes.slice(at..len).get(), &origin);
    }

    fn gap(&mut self, at: u64, missing: u64, behind: Origin) {
        self.half.synced = false;
        self.half.next_seq = None;
        if !matches!(self.common.mode, Mode::Soup(_) | Mode::Fix { .. }) {
            return;
        }
        let span = Span { first: behind, last: behind, whole: false, several: false };
        let piece = Piece { start: at, bytes: Bytes::Stream(&[]), span };
        let mut head = self.numbered(&piece, self.shared.ids.tcp, 0, GAP_MSG_IX);
        head.raw_len = u32::try_from(missing).unwrap_or(u32::MAX);
        let own =
            OwnMessage { msg_type: "gap", name: "gap", kind: Kind::Gap, explain: &explain_gap };
        self.give(&head, piece, 0, Engine::Own(own));
    }

    fn lost(&mut self, start: u64, bytes: &[u8], origins: &[Origin], why: Lost) {
        let reason = match why {
            Lost::Unfinished => "message not finished",
            Lost::TooLong => "message too long",
        };
        self.half.synced = false;
        self.shared.counters.undecoded(reason, bytes.len());
        let decided = matches!(self.common.mode, Mode::Soup(_) | Mode::Fix { .. });
        if let Some(info) = self.shared.flows.get_mut(self.flow_id).filter(|_| decided) {
            info.error(reason);
        }
        if let Some(last) = origins.iter().copied().reduce(Origin::later) {
            self.sink.undecoded(place_of(&last, start), bytes, reason);
        }
    }
}

fn explain_gap(_: &[u8]) -> Explained {
    let (msg_type, name) = ("gap".to_owned(), "gap".to_owned());
    Explained { msg_type, name, fields: Vec::new(), error: None }
}

impl<'p, S: Sink<'p>> Cutter<'_, S> {
    /// Looks what an undecided connection may be. Gives how many bytes are
    /// done with, or `None` where they can be cut now.
    fn decide(&mut self, tried: u32, run: &mut Run<'p, '_>) -> Option<usize> {
        let bytes = run.bytes.get();
        match recognise::stream(bytes, &self.shared.library) {
            StreamVerdict::Fix => {
                self.common.recognised = Recognised::Certain;
                self.common.mode = Mode::Fix { protocol: None };
                None
            }
            StreamVerdict::Soup => {
                let candidates = self.shared.library.on_soup();
                self.common.recognised = Recognised::Guess;
                self.common.mode = Mode::Soup(Soup { fixed: None, candidates });
                self.common.publish(self.shared.ids.soup, self.shared);
                self.half.synced = true;
                None
            }
            StreamVerdict::Wait if bytes.len() < UNDECIDED_BYTES_MAX => Some(0),
            _ => {
                let tried = tried + 1;
                let ours = tried < UNDECIDED_DELIVERIES_MAX;
                self.common.mode = if ours { Mode::Undecided { tried } } else { Mode::Ignored };
                let len = bytes.len();
                self.skip(run, 0..len, NOT_RECOGNISED);
                Some(len)
            }
        }
    }

    fn cut_soup(&mut self, run: &mut Run<'p, '_>) -> usize {
        let len = run.bytes.get().len();
        let mut at = 0;
        while at < len {
            if !self.half.synced {
                let rest = run.bytes.slice(at..len);
                let (found, skipped) = match soup::synchronise(rest.get()) {
                    Sync::At(skipped) => (true, skipped),
                    Sync::Perhaps(skipped) => {
                        (false, skipped.max(rest.get().len().saturating_sub(SYNC_BYTES_MAX)))
                    }
                };
                self.skip(run, at..at + skipped, NO_MESSAGE);
                at += skipped;
                self.half.synced = found;
                if !found {
                    return at;
                }
            }
            match soup::step(run.bytes.slice(at..len).get()) {
                Step::Packet { kind, len } => {
                    if let Some(piece) = piece(run, at..at + len) {
                        let seq = self.soup_seq(kind, &piece);
                        self.soup_packet(kind, piece, seq, 0);
                    }
                    at += len;
                }
                Step::NeedMore => return at,
                Step::Invalid => self.half.synced = false,
            }
        }
        at
    }

    /// What a packet says of the session and of the sides, and its number.
    fn soup_seq(&mut self, kind: PacketType, piece: &Piece<'p, '_>) -> Option<u64> {
        match kind.sender() {
            Some(Sender::Server) => self.common.server = Some(self.side),
            Some(Sender::Client) => self.common.server = Some(1 - self.side),
            None => {}
        }
        let mut seq = None;
        if kind == PacketType::Sequenced {
            seq = self.half.next_seq;
            self.half.next_seq = seq.and_then(|seq| seq.checked_add(1));
        }
        if kind == PacketType::LoginAccepted
            && let Some((session, next)) = soup::login_accepted(piece.bytes.get())
        {
            self.common.session = self.shared.names.intern(session);
            self.half.next_seq = next;
        }
        self.half.remember(piece, seq);
        seq
    }

    /// A packet into a row: the framing's own, or the message it carries.
    fn soup_packet(
        &mut self,
        kind: PacketType,
        piece: Piece<'p, '_>,
        seq: Option<u64>,
        extra_flags: u32,
    ) {
        let len = piece.bytes.get().len();
        if !kind.carries_message() {
            let Some(mut head) = self.head(&piece, self.shared.ids.soup, 0) else { return };
            head.flags |= extra_flags;
            head.session = self.common.session;
            head.sender = kind.sender().or(head.sender);
            let (msg_type, name) = (kind.code(), kind.name());
            let own = OwnMessage { msg_type, name, kind: kind.kind(), explain: &soup::explain };
            return self.give(&head, piece, 0, Engine::Own(own));
        }
        let sender = kind.sender().or_else(|| self.common.sender(self.side));
        let sender = sender.or_else(|| recognise::soup_sender(kind));
        let body = piece.bytes.slice(soup::HEADER_LEN..len);
        let (engine, protocol) = self.soup_engine(body.get(), sender);
        self.header(&piece, soup::HEADER_LEN, &soup::header_fields);
        let Some(mut head) = self.head(&piece, protocol, soup::HEADER_LEN) else { return };
        head.flags |= extra_flags;
        head.session = self.common.session;
        head.sender = sender;
        head.seq = seq.map(|seq| (seq, SeqUnit::Message));
        head.gap_before = seq.map(|_| 0);
        self.give(&head, piece, soup::HEADER_LEN, engine);
    }

    /// Who reads the messages of the connection, told by `body` where it is
    /// still open.
    fn soup_engine(&mut self, body: &[u8], sender: Option<Sender>) -> (Engine<'static>, Name) {
        let Mode::Soup(mut soup) = self.common.mode else {
            return (Engine::Opaque, self.shared.ids.soup);
        };
        if self.common.recognised == Recognised::Guess {
            let known = recognise::narrow(soup.candidates, body, sender, &self.shared.library);
            // Streams carry orders far more often than feeds.
            let orders = known & self.shared.library.from_client();
            let likely = if orders == 0 { known } else { orders };
            if let Some(first) = recognise::first(likely) {
                soup = Soup { fixed: Some(first), candidates: known };
                if recognise::single(known) {
                    self.common.recognised = Recognised::Certain;
                }
                self.common.publish(self.shared.ids.fixed(first), self.shared);
            }
            self.common.mode = Mode::Soup(soup);
        }
        match soup.fixed {
            Some(protocol) => {
                let scope = self.common.scope;
                (Engine::Fixed { protocol, scope }, self.shared.ids.fixed(protocol))
            }
            None => (Engine::Opaque, self.shared.ids.soup),
        }
    }

    fn cut_fix(&mut self, protocol: Option<Name>, run: &mut Run<'p, '_>) -> usize {
        let len = run.bytes.get().len();
        let mut at = 0;
        while at < len {
            match fix::scan(run.bytes.slice(at..len).get()) {
                Scan::Message { len, checksum_ok } => {
                    if let Some(piece) = piece(run, at..at + len) {
                        self.half.remember(&piece, None);
                        let flag = if checksum_ok { 0 } else { flags::BAD_CHECKSUM };
                        self.fix_message(protocol, piece, flag);
                    }
                    at += len.max(1);
                }
                Scan::NeedMore => return at,
                Scan::Skip(count) => {
                    let end = (at + count.max(1)).min(len);
                    self.skip(run, at..end, NO_MESSAGE);
                    at = end;
                }
            }
        }
        at
    }

    fn fix_message(&mut self, protocol: Option<Name>, piece: Piece<'p, '_>, extra_flags: u32) {
        let protocol = protocol.or_else(|| {
            let begin = fix::begin_string(piece.bytes.get()).unwrap_or_default();
            self.shared.name(fix::protocol_id(begin))
        });
        let protocol = protocol.unwrap_or(self.shared.ids.unknown);
        if self.common.recognised != Recognised::Configured {
            self.common.publish(protocol, self.shared);
        }
        let Some(mut head) = self.head(&piece, protocol, 0) else { return };
        head.flags |= extra_flags;
        let tags = self.common.tags;
        self.give(&head, piece, 0, Engine::Fix { tags });
    }

    /// A message that TCP repeated.
    fn one_again(&mut self, piece: Piece<'p, '_>, seq: Option<u64>, flag: u32) {
        match self.common.mode {
            Mode::Soup(_) => {
                if let Step::Packet { kind, .. } = soup::step(piece.bytes.get()) {
                    self.soup_packet(kind, piece, seq, flag);
                }
            }
            Mode::Fix { protocol } => {
                let good = fix::checksum_ok(piece.bytes.get());
                let flag = flag | if good { 0 } else { flags::BAD_CHECKSUM };
                self.fix_message(protocol, piece, flag);
            }
            _ => {}
        }
    }

    /// Repeated bytes that are no whole message.
    fn repeated(&mut self, at: u64, bytes: &[u8], origin: &Origin) {
        if !bytes.is_empty() {
            self.shared.counters.undecoded("bytes seen before", bytes.len());
            self.sink.undecoded(place_of(origin, at), bytes, "bytes seen before");
        }
    }

    /// Bytes of a run that are no message.
    fn skip(&mut self, run: &mut Run<'p, '_>, range: std::ops::Range<usize>, reason: &'static str) {
        if range.is_empty() {
            return;
        }
        let bytes = run.bytes.slice(range.clone());
        self.shared.counters.undecoded(reason, bytes.get().len());
        let start = run.start + range.start as u64;
        if let Some(span) = run.span(range) {
            self.sink.undecoded(place_of(&span.last, start), bytes.get(), reason);
        }
        if !matches!(self.common.mode, Mode::Undecided { .. } | Mode::Ignored)
            && let Some(info) = self.shared.flows.get_mut(self.flow_id)
        {
            info.error(reason);
        }
    }

    fn header(&mut self, piece: &Piece<'p, '_>, len: usize, fields: &dyn Fn(&[u8]) -> Vec<Field>) {
        let header = piece.bytes.slice(0..len);
        self.sink.header(Header {
            place: piece.place(),
            protocol: soup::ID,
            recognised: Some(self.common.recognised),
            bytes: header.get(),
            fields,
        });
    }

    /// What the row of a message has from the stream; the message begins
    /// `prefix` bytes into the piece. `None` where its packet has completed
    /// more messages than can be numbered.
    fn head(&mut self, piece: &Piece<'p, '_>, protocol: Name, prefix: usize) -> Option<Head> {
        let Some(msg_ix) = self.half.completed.next(piece.span.last.packet_ix) else {
            let len = piece.bytes.get().len();
            self.shared.counters.undecoded("more than 65535 messages in a packet", len);
            return None;
        };
        Some(self.numbered(piece, protocol, prefix, msg_ix))
    }

    fn numbered(&self, piece: &Piece<'p, '_>, protocol: Name, prefix: usize, msg_ix: u16) -> Head {
        let Span { first, last, whole, several } = piece.span;
        let place = piece.place().skip(prefix);
        let start = piece.start + prefix as u64;
        Head {
            ts: last.ts,
            ts_first: (first.packet_ix != last.packet_ix).then_some(first.ts),
            ts_send: None,
            packet_ix: last.packet_ix,
            msg_ix,
            flow_id: self.flow_id,
            protocol,
            line: None,
            session: None,
            channel: None,
            seq: None,
            gap_before: None,
            flags: if several { flags::REASSEMBLED } else { 0 },
            raw_off: if whole { u32::try_from(place.offset(0)).ok() } else { None },
            raw_len: (piece.bytes.get().len() - prefix) as u32,
            tcp_off: Some(start),
            sender: self.common.sender(self.side),
        }
    }

    fn give(&mut self, head: &Head, piece: Piece<'p, '_>, prefix: usize, engine: Engine<'_>) {
        let len = piece.bytes.get().len();
        let cut = Cut {
            head,
            bytes: piece.bytes.slice(prefix..len),
            place: piece.place().skip(prefix),
            engine,
            recognised: Some(self.common.recognised),
        };
        let Outcome { messages, errors } = self.sink.message(&mut self.shared.names, cut);
        self.shared.counters.messages += u64::from(messages);
        if let Some(info) = self.shared.flows.get_mut(self.flow_id) {
            info.messages += u64::from(messages);
            info.errors += u64::from(errors);
        }
    }
}

impl Half {
    fn remember(&mut self, piece: &Piece<'_, '_>, seq: Option<u64>) {
        if self.recent.len() == RECENT_MESSAGES {
            self.recent.pop_front();
        }
        let len = piece.bytes.get().len() as u32;
        self.recent.push_back(Recent { start: piece.start, len, seq });
    }
}

fn piece<'p, 's>(run: &mut Run<'p, 's>, range: std::ops::Range<usize>) -> Option<Piece<'p, 's>> {
    let span = run.span(range.clone())?;
    let start = run.start + range.start as u64;
    Some(Piece { start, bytes: run.bytes.slice(range), span })
}
