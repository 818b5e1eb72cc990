//! Packets of a framing that a file declares, into messages.
//!
//! ```text
//! packet ─ header ─► lane (session, channel) ─► gap? copy? ─► message, message, … ─► Sink
//!                        numbers so far                        what is none ─► undecoded
//! ```

use super::datagram::{Known, count, count_gaps, note_error, place, undecoded};
use super::sink::{Cut, Engine, Header, Outcome, OwnMessage, Sink};
use super::{Arrived, Shared};
use crate::batch::Head;
use crate::field::{Explained, Field};
use crate::fixed::clock::{Clock, RunningClock, Since};
use crate::framing::declared::{
    self as framing, Cutter, Framing, Item, Key, Meaning, Numbering, Packet,
};
use crate::framing::sequence::{Placed, Tracker, fingerprint};
use crate::kind::{Kind, SeqUnit, flags};
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
    /// The number of the next message, where they are implied.
    seq: Option<u64>,
}

impl Lanes {
    /// Takes in a packet; `head` is what all messages of the flow share.
    pub fn packet<'p>(
        &mut self,
        flow: Flow<'_>,
        head: Head,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = flow.framing;
        let Some(packet) = framing.packet(arrived.payload) else {
            note_error(arrived, "payload shorter than its header", shared);
            return undecoded(arrived, 0, "payload shorter than its header", shared, sink);
        };
        let alone = framing.is_alone(&packet, arrived.segment.wire_len as usize);
        let lane = self.lane(&packet.key, &flow, arrived.payload, None, shared);
        let placed = match framing.unit {
            Some(unit) if !framing.numbers_each() => {
                let count = match unit {
                    _ if alone => 0,
                    SeqUnit::Message => packet.count.unwrap_or(1),
                    _ => 1,
                };
                let (seq, meaning, bytes) = (packet.seq, packet.meaning, arrived.payload);
                self.place(lane, Numbers { seq, count, meaning, bytes }, arrived, shared)
            }
            _ => NO_PLACE,
        };
        let head = Head {
            protocol: flow.protocol(shared),
            ts_send: self.sent(framing, &packet, arrived.ts),
            session: self.lanes.get(lane).and_then(|lane| lane.session),
            channel: packet.key.channel.or(head.channel),
            gap_before: placed.gap_before,
            flags: head.flags | placed.flags | packet.meaning.flags,
            ..head
        };
        let seq = packet.seq.filter(|&seq| seq != 0);
        let total = Outcome::default();
        let passing = Passing { flow, packet, lane, head, total, seq };
        if alone {
            passing.alone(arrived, shared, sink)
        } else {
            self.messages(passing, arrived, shared, sink);
        }
    }

    /// The lane of a session and channel, made where it is new; `message` is
    /// what names them besides the header.
    fn lane(
        &mut self,
        key: &Key,
        flow: &Flow<'_>,
        header: &[u8],
        message: Option<&[u8]>,
        shared: &mut Shared,
    ) -> usize {
        if let Some(at) = self.lanes.iter().position(|lane| lane.key == *key) {
            return at;
        }
        if self.lanes.len() == LANES_MAX {
            self.lanes.remove(0);
        }
        let mut text = flow.framing.header.session_text(header);
        if let Some(message) = message {
            text.push_str(&flow.framing.message.session_text(message));
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
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        lane.begun = flow.known.fixed;
        let Some(protocol) = flow.known.fixed else { return };
        let source = shared.source(flow.group, arrived.segment, lane.session, lane.key.channel);
        let (scope, ts) = (lane.scope, arrived.ts);
        sink.scope(&mut shared.names, &ScopeStart { scope, protocol, source: &source, ts, seq });
    }

    /// Scopes and the number that comes next in each.
    pub fn next_numbers(&self) -> impl Iterator<Item = (u32, u64)> {
        self.lanes.iter().filter_map(|lane| Some((lane.scope, lane.tracker.expected()?)))
    }

    /// When the packet was sent, ns since the epoch.
    fn sent(&mut self, framing: &Framing, packet: &Packet<'_>, ts: i64) -> Option<i64> {
        let ns = packet.time_ns?;
        let Some(tz) = framing.midnight else { return i64::try_from(ns).ok() };
        let clock = Clock { since: Since::Midnight(tz), unit_ns: 1 };
        self.clock.get_or_insert_with(|| RunningClock::new(clock)).time_ns(ns, ts)
    }

    /// Takes numbers into a lane and counts what is missing before them.
    fn place(
        &mut self,
        lane: usize,
        numbers: Numbers<'_>,
        arrived: &Arrived<'_, '_>,
        shared: &mut Shared,
    ) -> Placed {
        let Some(lane) = self.lanes.get_mut(lane) else { return NO_PLACE };
        let tracker = &mut lane.tracker;
        let before = (tracker.gaps, tracker.missing);
        let placed = numbers.place(tracker);
        let after = (tracker.gaps, tracker.missing);
        if before != after {
            count_gaps(before, after, arrived.flow_id, shared);
        }
        placed
    }

    /// Cuts the messages of a packet.
    fn messages<'p>(
        &mut self,
        mut passing: Passing<'_>,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let Flow { framing, library, known, .. } = passing.flow;
        if framing.cut != framing::Cut::Packet {
            let fields = |bytes: &[u8]| framing.header_fields(bytes);
            passing.header(0..framing.size, &fields, arrived, sink);
        }
        let protocol = known.fixed.and_then(|at| library.fixed.get(usize::from(at)));
        let size_of = |rest: &[u8]| protocol?.size_of(rest, None);
        let mut cutter = framing.cutter(arrived.payload, &passing.packet);
        let mut short = false;
        while let Some(item) = cutter.next(&size_of) {
            short |= !item.whole;
            self.message(&mut passing, &item, arrived, shared, sink);
        }
        count(passing.total, arrived, shared);
        if short && !arrived.segment.truncated {
            note_error(arrived, "message longer than its payload", shared);
        }
        passing.rest(&cutter, arrived, shared, sink);
    }

    /// One message.
    fn message<'p>(
        &mut self,
        passing: &mut Passing<'_>,
        item: &Item,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = passing.flow.framing;
        let bytes = arrived.payload.get(item.at..item.end).unwrap_or_default();
        let meaning = framing.meaning(bytes);
        let mut head = passing.head;
        head.flags |= meaning.flags | if item.whole { 0 } else { flags::TRUNCATED };
        let mut scope = passing.lane;
        if framing.numbers_each() {
            let (seq, key) = framing.own_number(bytes, &passing.packet.key);
            let lane = self.lane(&key, &passing.flow, arrived.payload, Some(bytes), shared);
            let numbers = Numbers { seq, count: 1, meaning, bytes };
            let placed = self.place(lane, numbers, arrived, shared);
            head.gap_before = placed.gap_before;
            head.flags |= placed.flags;
            head.channel = key.channel.or(head.channel);
            head.seq = row_seq(seq, SeqUnit::Message, &meaning);
            if !framing.message.session.is_empty() {
                head.session = self.lanes.get(lane).and_then(|lane| lane.session);
                scope = lane;
            }
        } else if let Some(unit) = framing.unit {
            head.seq = row_seq(passing.seq, unit, &passing.packet.meaning);
        }
        let begun = self.lanes.get(scope).and_then(|lane| lane.begun);
        if begun != passing.flow.known.fixed && meaning.kind.is_none() {
            let (lane, seq) = (scope, passing.packet.seq.or(head.seq.map(|seq| seq.0)));
            self.begin(lane, &passing.flow, seq, arrived, shared, sink);
        }
        let scope = self.lanes.get(scope).map_or(0, |lane| lane.scope);
        match meaning.kind {
            Some(kind) => passing.own(kind, meaning.name, item, head, arrived, shared, sink),
            None => passing.protocols(item, scope, head, arrived, shared, sink),
        }
        passing.next();
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
        let Some(seq) = self.seq else { return NO_PLACE };
        let again = self.meaning.flags & flags::RETRANSMIT != 0;
        if self.meaning.numbering == Numbering::Restart {
            tracker.restart(seq, fingerprint(self.bytes));
        }
        // No numbers begin at 0; it means that there is none.
        match self.meaning.numbering {
            Numbering::Apart | Numbering::Nothing => NO_PLACE,
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
        Numbering::Counts | Numbering::Restart | Numbering::Apart => true,
        // A row of the framing's own says what is on the wire.
        Numbering::Next | Numbering::Last => meaning.kind.is_some(),
        Numbering::Nothing => false,
    };
    seq.filter(|&seq| takes && seq != 0).map(|seq| (seq, unit))
}

impl Passing<'_> {
    /// Counts on to the next message.
    fn next(&mut self) {
        self.head.msg_ix = self.total.messages;
        self.head.gap_before = self.head.gap_before.map(|_| 0);
        if self.flow.framing.unit == Some(SeqUnit::Message) {
            self.seq = self.seq.and_then(|seq| seq.checked_add(1));
        }
    }

    /// A packet that is nothing but its header.
    fn alone<'p>(self, arrived: &Arrived<'p, '_>, shared: &mut Shared, sink: &mut impl Sink<'p>) {
        let Flow { framing, known, .. } = self.flow;
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
        let outcome = self.give(&head, 0..framing.size, Engine::Own(own), arrived, shared, sink);
        count(outcome, arrived, shared);
        if framing.is_padding(arrived.payload, framing.size) {
            self.padding(framing.size, arrived, sink);
        } else {
            note_error(arrived, "bytes after a header that counts no messages", shared);
            let reason = "bytes after the counted messages";
            undecoded(arrived, framing.size, reason, shared, sink);
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
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = self.flow.framing;
        let name = name.unwrap_or(kind.text());
        let head = Head { protocol: shared.ids.carrier(self.flow.known.carrier), ..head };
        let explain = |bytes: &[u8]| -> Explained { framing.explain_own(name, bytes) };
        let own = OwnMessage { msg_type: name, name, kind, explain: &explain };
        let outcome = self.give(&head, item.at..item.end, Engine::Own(own), arrived, shared, sink);
        self.add(outcome);
    }

    /// A message of the protocol.
    fn protocols<'p>(
        &mut self,
        item: &Item,
        scope: u32,
        head: Head,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let framing = self.flow.framing;
        let engine = match self.flow.known.fixed {
            Some(protocol) if item.whole => Engine::Fixed { protocol, scope },
            _ => Engine::Opaque,
        };
        let before = |bytes: &[u8]| framing.message_fields(bytes);
        self.header(item.at..item.body.start, &before, arrived, sink);
        let outcome = self.give(&head, item.body.clone(), engine, arrived, shared, sink);
        self.add(outcome);
        let behind = |bytes: &[u8]| framing::rest_field("end", 0, bytes).into_iter().collect();
        self.header(item.body.end..item.end, &behind, arrived, sink);
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
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) -> Outcome {
        let place = place(arrived, range.start);
        let bytes = arrived.payload.get(range.clone()).unwrap_or_default();
        let head = Head {
            raw_off: Some((arrived.segment.payload.start + range.start) as u32),
            raw_len: bytes.len() as u32,
            ..*head
        };
        let recognised = Some(self.flow.known.recognised);
        let cut = Cut { head: &head, bytes: Bytes::Frame(bytes), place, engine, recognised };
        sink.message(&mut shared.names, cut)
    }

    /// Bytes of the framing around messages.
    fn header<'p>(
        &self,
        range: Range<usize>,
        fields: &dyn Fn(&[u8]) -> Vec<Field>,
        arrived: &Arrived<'p, '_>,
        sink: &mut impl Sink<'p>,
    ) {
        if range.is_empty() {
            return;
        }
        sink.header(Header {
            place: place(arrived, range.start),
            protocol: &self.flow.framing.id,
            recognised: Some(self.flow.known.recognised),
            bytes: arrived.payload.get(range).unwrap_or_default(),
            fields,
        });
    }

    fn padding<'p>(&self, at: usize, arrived: &Arrived<'p, '_>, sink: &mut impl Sink<'p>) {
        let pad = |bytes: &[u8]| framing::rest_field("pad", 0, bytes).into_iter().collect();
        self.header(at..arrived.payload.len(), &pad, arrived, sink);
    }

    /// What stands behind the last message.
    fn rest<'p>(
        &self,
        cutter: &Cutter<'_>,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let left = cutter.left.unwrap_or(0);
        if arrived.segment.truncated {
            shared.counters.messages_cut += left;
        } else if cutter.tiles() {
            return self.padding(cutter.at, arrived, sink);
        } else {
            note_error(arrived, cutter.fault.unwrap_or("messages do not fill the payload"), shared);
        }
        if cutter.at < arrived.payload.len() {
            let reason = cutter.fault.unwrap_or("bytes after the counted messages");
            undecoded(arrived, cutter.at, reason, shared, sink);
        }
    }
}
