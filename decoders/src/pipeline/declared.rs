//! Packets of a framing that a file declares, into messages.
//!
//! ```text
//! unit ─ header ─► lane (session, channel) ─► gap? copy? ─► message, message, … ─► Sink
//!                      numbers so far                        what is none ─► undecoded
//! ```
//!
//! A unit is a datagram's payload, or what was cut out of a stream: a packet,
//! or a single message.

use super::Shared;
use super::datagram::{count, count_gaps};
use super::known::Known;
use super::sink::{Cut, Engine, Header, Outcome, OwnMessage, Place, Sink};
use crate::batch::Head;
use crate::field::{Explained, Field};
use crate::fixed::clock::{Clock, RunningClock, Since};
use crate::framing::declared::{
    self as framing, Cutter, Framing, Item, Key, Meaning, Numbering, Packet,
};
use crate::framing::sequence::{Placed, Tracker, fingerprint};
use crate::kind::{Kind, Sender, SeqUnit, flags};
use crate::learning::ScopeStart;
use crate::library::Library;
use crate::names::Name;
use crate::tcp::origin::Bytes;
use std::ops::Range;

/// Most sessions and channels followed on one flow; the oldest gives way.
pub const LANES_MAX: usize = 64;

const NO_PLACE: Placed = Placed { gap_before: None, flags: 0 };

/// The sessions and channels of one flow.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    clock: Option<RunningClock>,
    /// The number of the next message whose number is not told.
    pub next: Option<u64>,
}

/// A datagram's payload, or what was cut out of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit<'p, 's> {
    /// Its bytes.
    pub bytes: Bytes<'p, 's>,
    /// Where the first one stands.
    pub place: Place,
    /// Whose they are.
    pub flow_id: u32,
    /// Bytes on the wire, perhaps more than there are.
    pub wire_len: usize,
    /// Where its body was compressed.
    pub packed: Option<Packed<'p>>,
    /// Of a stream.
    pub stream: Option<InStream>,
}

/// The compressed body that a unit was unpacked from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'p> {
    /// Where it begins, behind the header.
    pub from: usize,
    /// As it was on the wire.
    pub body: &'p [u8],
}

/// What a unit of a stream has besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InStream {
    /// Bytes of the stream before it.
    pub start: u64,
    /// Whether all of it lies in the packet of its place.
    pub whole: bool,
    /// What all its messages teach and learn together.
    pub scope: u32,
    /// TCP has brought it before.
    pub again: bool,
}

/// What a unit said of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Who sends in this direction.
    pub sender: Option<Sender>,
    /// The session of all that follows.
    pub session: Option<Name>,
    /// How many messages it was.
    pub messages: u16,
}

/// One session and channel.
#[derive(Debug)]
struct Lane {
    key: Key,
    session: Option<Name>,
    scope: u32,
    tracker: Tracker,
    /// The protocol that its scope has begun for.
    begun: Option<u16>,
}

/// What a flow is.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'a> {
    pub framing: &'a Framing,
    pub library: &'a Library,
    pub known: Known,
    /// Flows that share what messages teach.
    pub group: Option<u16>,
}

/// Numbers that a packet or a message takes.
struct Numbers<'a> {
    seq: Option<u64>,
    count: u64,
    meaning: Meaning<'a>,
    bytes: &'a [u8],
}

/// A packet whose messages are being cut.
struct Passing<'a> {
    flow: Flow<'a>,
    packet: Packet<'a>,
    /// The packet's lane.
    lane: usize,
    head: Head,
    total: Outcome,
    /// The number of the next message, where the packet tells that of the first.
    seq: Option<u64>,
    /// The place of its first message in the packet that completes it.
    first_ix: u16,
    told: Told,
}

impl Lanes {
    /// Takes in a unit; `head` is what all messages of the flow share.
    pub fn packet<'p>(
        &mut self,
        flow: Flow<'_>,
        head: Head,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> Told {
        let framing = flow.framing;
        let bytes = unit.bytes.get();
        let Some(packet) = framing.packet(bytes) else {
            unit.note_error("payload shorter than its header", shared);
            unit.undecoded(0, "payload shorter than its header", shared, sink);
            return Told::default();
        };
        let alone = framing.is_alone(&packet, unit.wire_len);
        let lane = self.lane(&packet.key, &flow, bytes, None, shared);
        let placed = match framing.unit {
            Some(unit_of_seq) if !framing.numbers_each => {
                let count = match unit_of_seq {
                    _ if alone => 0,
                    SeqUnit::Message => packet.count.unwrap_or(1),
                    _ => 1,
                };
                let (seq, meaning) = (packet.seq, packet.meaning);
                self.place(lane, Numbers { seq, count, meaning, bytes }, unit, shared)
            }
            _ => NO_PLACE,
        };
        let head = Head {
            protocol: flow.protocol(shared),
            ts_send: self.sent(framing, packet.time_ns, unit.place.ts),
            session: self.lanes.get(lane).and_then(|lane| lane.session).or(head.session),
            channel: packet.key.channel.or(head.channel),
            gap_before: placed.gap_before,
            flags: head.flags | placed.flags | packet.meaning.flags,
            ..head
        };
        let seq = packet.seq.filter(|&seq| seq != 0);
        let (total, told, first_ix) = (Outcome::default(), Told::default(), head.msg_ix);
        let mut passing = Passing { flow, packet, lane, head, total, seq, first_ix, told };
        if alone {
            passing.alone(unit, shared, sink)
        } else {
            self.messages(&mut passing, unit, shared, sink);
        }
        Told { messages: passing.total.messages, ..passing.told }
    }

    /// The lane of a session and channel, made where it is new; `message` is
    /// what names them besides the header.
    fn lane(
        &mut self,
        key: &Key,
        flow: &Flow<'_>,
        header: &[u8],
        message: Option<(&[u8], &Meaning<'_>)>,
        shared: &mut Shared,
    ) -> usize {
        if let Some(at) = self.lanes.iter().position(|lane| lane.key == *key) {
            return at;
        }
        if self.lanes.len() == LANES_MAX {
            self.lanes.remove(0);
        }
        let mut text = flow.framing.header.session_text(header);
        if let Some((message, meaning)) = message {
            text.push_str(&flow.framing.message_session(message, meaning));
        }
        let session = if text.is_empty() { None } else { shared.name(&text) };
        let (scope, tracker) = (shared.scope(flow.group, key), Tracker::new());
        self.lanes.push(Lane { key: *key, session, scope, tracker, begun: None });
        self.lanes.len() - 1
    }

    /// Tells the sink of a lane's scope before its first message.
    #[cold]
    fn begin<'p>(
        &mut self,
        lane: usize,
        flow: &Flow<'_>,
        seq: Option<u64>,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        lane.begun = flow.known.fixed;
        let Some(protocol) = flow.known.fixed else { return };
        let source = shared.source(flow.group, unit.flow_id, lane.session, lane.key.channel);
        let (scope, ts) = (lane.scope, unit.place.ts);
        sink.scope(&mut shared.names, &ScopeStart { scope, protocol, source: &source, ts, seq });
    }

    /// Scopes and the number that comes next in each.
    pub fn next_numbers(&self) -> impl Iterator<Item = (u32, u64)> {
        self.lanes.iter().filter_map(|lane| Some((lane.scope, lane.tracker.expected()?)))
    }

    /// When something was sent, ns since the epoch; `ns` as the framing has it.
    fn sent(&mut self, framing: &Framing, ns: Option<u64>, ts: i64) -> Option<i64> {
        let ns = ns?;
        let Some(tz) = framing.midnight else { return i64::try_from(ns).ok() };
        let clock = Clock { since: Since::Midnight(tz), unit_ns: 1 };
        self.clock.get_or_insert_with(|| RunningClock::new(clock)).time_ns(ns, ts)
    }

    /// Takes numbers into a lane and counts what is missing before them.
    fn place(
        &mut self,
        lane: usize,
        numbers: Numbers<'_>,
        unit: &Unit<'_, '_>,
        shared: &mut Shared,
    ) -> Placed {
        if unit.is_again() {
            return NO_PLACE;
        }
        let Some(lane) = self.lanes.get_mut(lane) else { return NO_PLACE };
        let tracker = &mut lane.tracker;
        let before = (tracker.gaps, tracker.missing);
        let placed = numbers.place(tracker);
        let after = (tracker.gaps, tracker.missing);
        if before != after {
            count_gaps(before, after, unit.flow_id, shared);
        }
        placed
    }

    /// Cuts the messages of a packet.
    fn messages<'p>(
        &mut self,
        passing: &mut Passing<'_>,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Flow { framing, library, known, .. } = passing.flow;
        if framing.cut != framing::Cut::Packet {
            let fields = |bytes: &[u8]| framing.header_fields(bytes);
            passing.header(0..framing.size, &fields, unit, sink);
        }
        passing.packed_body(unit, sink);
        let size_of = |rest: &[u8]| library.size_of(known.fixed?, rest, None);
        let mut cutter = framing.cutter(unit.bytes.get(), &passing.packet);
        let mut short = false;
        while let Some(item) = cutter.next(&size_of) {
            short |= !item.whole;
            self.message(passing, &item, unit, shared, sink);
        }
        count(passing.total, unit.flow_id, shared);
        if short && !unit.is_cut() {
            unit.note_error("message longer than its payload", shared);
        }
        passing.rest(&cutter, unit, shared, sink);
    }

    /// One message.
    fn message<'p>(
        &mut self,
        passing: &mut Passing<'_>,
        item: &Item,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = passing.flow.framing;
        let all = unit.bytes.get();
        let bytes = all.get(item.at..item.end).unwrap_or_default();
        let meaning = framing.meaning(bytes);
        let mut head = passing.head;
        head.flags |= meaning.flags | if item.whole { 0 } else { flags::TRUNCATED };
        let mut scope = passing.lane;
        if framing.numbers_each {
            let (seq, key) = framing.own_number(bytes, &passing.packet.key, &meaning);
            let seq = if meaning.numbering == Numbering::Implied { self.next } else { seq };
            let lane = self.lane(&key, &passing.flow, all, Some((bytes, &meaning)), shared);
            let numbers = Numbers { seq, count: 1, meaning, bytes };
            let placed = self.place(lane, numbers, unit, shared);
            head.gap_before = placed.gap_before;
            head.flags |= placed.flags;
            head.channel = key.channel.or(head.channel);
            head.seq = row_seq(seq, SeqUnit::Message, &meaning);
            let session = self.lanes.get(lane).and_then(|lane| lane.session);
            head.session = session.or(head.session);
            if !framing.message.session.is_empty() {
                scope = lane;
            }
        } else if let Some(unit) = framing.unit {
            head.seq = row_seq(passing.seq, unit, &passing.packet.meaning);
        }
        if let Some(ns) = framing.message_time_ns(bytes, &meaning) {
            head.ts_send = self.sent(framing, Some(ns), unit.place.ts);
        }
        self.take_over(passing, bytes, &meaning, &mut head, unit, shared);
        let begun = self.lanes.get(scope).and_then(|lane| lane.begun);
        if unit.stream.is_none() && begun != passing.flow.known.fixed && meaning.kind.is_none() {
            let (lane, seq) = (scope, passing.packet.seq.or(head.seq.map(|seq| seq.0)));
            self.begin(lane, &passing.flow, seq, unit, shared, sink);
        }
        let own_scope = self.lanes.get(scope).map_or(0, |lane| lane.scope);
        let scope = unit.stream.map_or(own_scope, |stream| stream.scope);
        match meaning.kind {
            Some(kind) => passing.own(kind, meaning.name, item, head, unit, shared, sink),
            None => passing.protocols(item, &meaning, scope, head, unit, shared, sink),
        }
        passing.next();
    }

    /// What a message says of those after it: their session, the next number,
    /// who sends them.
    fn take_over(
        &mut self,
        passing: &mut Passing<'_>,
        bytes: &[u8],
        meaning: &Meaning<'_>,
        head: &mut Head,
        unit: &Unit<'_, '_>,
        shared: &mut Shared,
    ) {
        let (session, next) = passing.flow.framing.told(bytes, meaning);
        if !session.is_empty() {
            head.session = shared.name(&session);
            passing.head.session = head.session;
            passing.told.session = head.session;
        }
        head.sender = meaning.sender.or(head.sender);
        passing.told.sender = meaning.sender.or(passing.told.sender);
        if unit.is_again() {
            return;
        }
        if meaning.numbering == Numbering::Implied {
            self.next = self.next.and_then(|next| next.checked_add(1));
        }
        self.next = next.or(self.next);
    }
}

impl Flow<'_> {
    /// The protocol of its messages; the framing where that is not known.
    fn protocol(&self, shared: &Shared) -> Name {
        match self.known.fixed {
            Some(protocol) => shared.ids.fixed(protocol),
            None => shared.ids.carrier(self.known.carrier),
        }
    }
}

impl Numbers<'_> {
    /// Takes the numbers into a tracker.
    fn place(&self, tracker: &mut Tracker) -> Placed {
        if self.meaning.numbering == Numbering::Restart {
            tracker.restart(self.seq.unwrap_or(1), fingerprint(self.bytes));
        }
        let Some(seq) = self.seq else { return NO_PLACE };
        let again = self.meaning.flags & flags::RETRANSMIT != 0;
        // No numbers begin at 0; it means that there is none.
        match self.meaning.numbering {
            Numbering::Apart | Numbering::Nothing => NO_PLACE,
            // Nothing is missing between messages that only count.
            Numbering::Implied => Placed { gap_before: Some(0), flags: 0 },
            _ if seq == 0 => NO_PLACE,
            Numbering::Last => tracker.heartbeat(seq.saturating_add(1)),
            Numbering::Counts if again => tracker.again(seq, self.count),
            Numbering::Counts | Numbering::Restart if self.count > 0 => {
                tracker.packet(seq, self.count, fingerprint(self.bytes))
            }
            _ => tracker.heartbeat(seq),
        }
    }
}

/// The number of a message's row: none where it takes none.
fn row_seq(seq: Option<u64>, unit: SeqUnit, meaning: &Meaning<'_>) -> Option<(u64, SeqUnit)> {
    let takes = match meaning.numbering {
        Numbering::Counts | Numbering::Restart | Numbering::Apart | Numbering::Implied => true,
        // A row of the framing's own says what is on the wire.
        Numbering::Next | Numbering::Last => meaning.kind.is_some(),
        Numbering::Nothing => false,
    };
    seq.filter(|&seq| takes && seq != 0).map(|seq| (seq, unit))
}

impl Unit<'_, '_> {
    /// Whether TCP has brought it before.
    fn is_again(&self) -> bool {
        self.stream.is_some_and(|stream| stream.again)
    }

    /// Whether bytes of it are missing.
    fn is_cut(&self) -> bool {
        self.bytes.get().len() < self.wire_len
    }

    /// Where its byte `at` stands: in the frame, or in the unpacked body.
    fn place_of(&self, at: usize) -> Place {
        let body = self.packed.and_then(|packed| at.checked_sub(packed.from));
        match body {
            Some(at) => Place { at: at as i64, payload_off: 0, unpacked: true, ..self.place },
            None => self.place.skip(at),
        }
    }

    fn note_error(&self, what: &'static str, shared: &mut Shared) {
        if let Some(info) = shared.flows.get_mut(self.flow_id) {
            info.error(what);
        }
    }

    /// Its bytes from `from` on were not decoded.
    fn undecoded<'p>(
        &self,
        from: usize,
        reason: &'static str,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let bytes = self.bytes.get().get(from..).unwrap_or_default();
        shared.counters.undecoded(reason, bytes.len());
        if !bytes.is_empty() {
            sink.undecoded(self.place_of(from), bytes, reason);
        }
    }
}

impl Passing<'_> {
    /// Counts on to the next message.
    fn next(&mut self) {
        self.head.msg_ix = self.first_ix.saturating_add(self.total.messages);
        self.head.gap_before = self.head.gap_before.map(|_| 0);
        if self.flow.framing.unit == Some(SeqUnit::Message) {
            self.seq = self.seq.and_then(|seq| seq.checked_add(1));
        }
    }

    /// A packet that is nothing but its header.
    fn alone<'p>(&mut self, whole: &Unit<'p, '_>, shared: &mut Shared, sink: &mut impl Sink<'p>) {
        let Flow { framing, known, .. } = self.flow;
        let size = framing.size_of(whole.bytes.get());
        let meaning = self.packet.meaning;
        let kind = meaning.kind.unwrap_or(Kind::Heartbeat);
        let meaning = Meaning { kind: Some(kind), ..meaning };
        let unit = framing.unit.unwrap_or(SeqUnit::Message);
        let head = Head {
            protocol: shared.ids.carrier(known.carrier),
            seq: row_seq(self.seq, unit, &meaning),
            ..self.head
        };
        let name = meaning.name.unwrap_or(kind.text());
        let explain = |bytes: &[u8]| framing.explain_alone(name, bytes);
        let own = OwnMessage { msg_type: name, name, kind, explain: &explain };
        let outcome = self.give(&head, 0..size, Engine::Own(own), whole, shared, sink);
        self.add(outcome);
        count(outcome, whole.flow_id, shared);
        if framing.is_padding(whole.bytes.get(), size) {
            self.padding(size, whole, sink);
        } else {
            whole.note_error("bytes after a header that counts no messages", shared);
            whole.undecoded(size, "bytes after the counted messages", shared, sink);
        }
    }

    /// A message that is the framing's own.
    #[expect(clippy::too_many_arguments, reason = "what a message is, and where it goes")]
    fn own<'p>(
        &mut self,
        kind: Kind,
        name: Option<&str>,
        item: &Item,
        head: Head,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = self.flow.framing;
        let name = name.unwrap_or(kind.text());
        let head = Head { protocol: shared.ids.carrier(self.flow.known.carrier), ..head };
        let explain = |bytes: &[u8]| -> Explained { framing.explain_own(name, bytes) };
        let own = OwnMessage { msg_type: name, name, kind, explain: &explain };
        let outcome = self.give(&head, item.at..item.end, Engine::Own(own), unit, shared, sink);
        self.add(outcome);
    }

    /// A message of the protocol, or of the framing's own session.
    #[expect(clippy::too_many_arguments, reason = "what a message is, and where it goes")]
    fn protocols<'p>(
        &mut self,
        item: &Item,
        meaning: &Meaning<'_>,
        scope: u32,
        head: Head,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Flow { framing, library, known, .. } = self.flow;
        let carrying = framing.is_carrying(meaning);
        let (start, fixed) = match (meaning.header, carrying) {
            (_, false) => (item.at, known.session(library)),
            (None, true) => (item.body.start, known.fixed),
            (Some(header), true) => ((item.at + header).min(item.body.end), known.fixed),
        };
        let body = start..item.body.end;
        let mut head = head;
        if !carrying {
            head.protocol = shared.ids.carrier(known.carrier);
        }
        let bytes = unit.bytes.get().get(body.clone()).unwrap_or_default();
        let open = head.sender.is_none() && unit.stream.is_some();
        if let Some(sender) = told_by_protocol(library, fixed, bytes).filter(|_| open) {
            head.sender = Some(sender);
            self.told.sender = Some(sender);
        }
        head.sender = head.sender.or(meaning.usually);
        let engine = match fixed {
            // A datagram's end may be missing: what is left of a message tells
            // nothing. A stream's messages end where a packet is missing.
            Some(protocol) if item.whole || unit.stream.is_some() => {
                Engine::Fixed { protocol, scope }
            }
            _ => Engine::Opaque,
        };
        let before = |bytes: &[u8]| framing.message_fields(bytes, meaning);
        self.header(item.at..start, &before, unit, sink);
        let outcome = self.give(&head, body.clone(), engine, unit, shared, sink);
        self.add(outcome);
        let behind = |bytes: &[u8]| framing::rest_field("end", 0, bytes).into_iter().collect();
        self.header(body.end..item.end, &behind, unit, sink);
    }

    fn add(&mut self, outcome: Outcome) {
        self.total.messages = self.total.messages.saturating_add(outcome.messages);
        self.total.errors = self.total.errors.saturating_add(outcome.errors);
    }

    fn give<'p>(
        &self,
        head: &Head,
        range: Range<usize>,
        engine: Engine<'_>,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> Outcome {
        let place = unit.place_of(range.start);
        let bytes = unit.bytes.slice(range.clone());
        let in_frame = !place.unpacked && unit.stream.is_none_or(|stream| stream.whole);
        let head = Head {
            raw_off: u32::try_from(place.offset(0)).ok().filter(|_| in_frame),
            raw_len: bytes.get().len() as u32,
            tcp_off: unit.stream.map(|stream| stream.start + range.start as u64),
            ..*head
        };
        let recognised = Some(self.flow.known.recognised);
        let cut = Cut { head: &head, bytes, place, engine, recognised };
        sink.message(&mut shared.names, cut)
    }

    /// Bytes of the framing around messages.
    fn header<'p>(
        &self,
        range: Range<usize>,
        fields: &dyn Fn(&[u8]) -> Vec<Field>,
        unit: &Unit<'p, '_>,
        sink: &mut impl Sink<'p>,
    ) {
        if range.is_empty() {
            return;
        }
        sink.header(Header {
            place: unit.place_of(range.start),
            protocol: &self.flow.framing.id,
            recognised: Some(self.flow.known.recognised),
            bytes: unit.bytes.get().get(range).unwrap_or_default(),
            fields,
        });
    }

    /// The compressed body, as it is in the frame.
    fn packed_body<'p>(&self, unit: &Unit<'p, '_>, sink: &mut impl Sink<'p>) {
        let Some(packed) = unit.packed else { return };
        let fields =
            |bytes: &[u8]| framing::rest_field("packed_body", 0, bytes).into_iter().collect();
        sink.header(Header {
            place: unit.place.skip(packed.from),
            protocol: &self.flow.framing.id,
            recognised: Some(self.flow.known.recognised),
            bytes: packed.body,
            fields: &fields,
        });
    }

    fn padding<'p>(&self, at: usize, unit: &Unit<'p, '_>, sink: &mut impl Sink<'p>) {
        let pad = |bytes: &[u8]| framing::rest_field("pad", 0, bytes).into_iter().collect();
        self.header(at..unit.bytes.get().len(), &pad, unit, sink);
    }

    /// What stands behind the last message.
    fn rest<'p>(
        &self,
        cutter: &Cutter<'_>,
        unit: &Unit<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let left = cutter.left.unwrap_or(0);
        if unit.is_cut() {
            shared.counters.messages_cut += left;
        } else if cutter.tiles() {
            return self.padding(cutter.at, unit, sink);
        } else {
            unit.note_error(cutter.fault.unwrap_or("messages do not fill the payload"), shared);
        }
        if cutter.at < unit.bytes.get().len() {
            let reason = cutter.fault.unwrap_or("bytes after the counted messages");
            unit.undecoded(cutter.at, reason, shared, sink);
        }
    }
}

/// Who sends a message, where the protocol knows it from one end only.
fn told_by_protocol(library: &Library, fixed: Option<u16>, body: &[u8]) -> Option<Sender> {
    let protocol = fixed?;
    let knows = |sender| library.knows(protocol, body, Some(sender));
    match (knows(Sender::Client), knows(Sender::Server)) {
        (true, false) => Some(Sender::Client),
        (false, true) => Some(Sender::Server),
        _ => None,
    }
}
