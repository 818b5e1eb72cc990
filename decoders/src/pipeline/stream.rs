//! Messages out of one direction of a connection.
//!
//! ```text
//! bytes in order ─┬─ undecided: what may it be? ─┐
//!                 ├─ a declared framing: units ──┼─► rows, explanations
//!                 └─ FIX, FAST: messages ────────┘   what is none ─► undecoded
//! ```
//!
//! Behind a hole, and in a stream joined somewhere, [`super::resync`] finds the
//! first unit again. Where bytes end before their unit does, for good, it is
//! read as far as it goes.

use super::Shared;
use super::connection::{Common, Half, Mode, Recent};
use super::declared::{Flow, InStream, Unit};
use super::known::Known;
use super::resync::{Search, Sync};
use super::sink::{Cut, Engine, Outcome, OwnMessage, Place, Sink};
use crate::batch::Head;
use crate::field::Explained;
use crate::fix::framing::{self as fix, Scan};
use crate::flow::Recognised;
use crate::framing::declared::Framing;
use crate::framing::stream::Step;
use crate::kind::{Kind, Sender, flags};
use crate::library::Library;
use crate::names::Name;
use crate::protocol_set::ProtocolSet;
use crate::recognise::{self, Carrier, StreamVerdict, UNDECIDED_BYTES_MAX};
use crate::tcp::origin::{Bytes, Origin, Run, Span};
use crate::tcp::reassembly::{Consumer, Lost};
use std::ops::Range;
use std::sync::Arc;

/// Deliveries of bytes that are looked at before a connection counts as none
/// of ours.
pub const UNDECIDED_DELIVERIES_MAX: u32 = 64;

/// Bytes kept in search of a first message.
pub const SYNC_BYTES_MAX: usize = 128 << 10;

/// Most zeros at a stream's beginning that wait for what follows them.
const ZEROS_MAX: usize = 256;

/// The place of a gap's row in the packet behind the gap: no message has it,
/// so that messages keep theirs whether or not something before them is lost.
pub const GAP_MSG_IX: u16 = u16::MAX;

/// Why bytes of a connection were not decoded.
pub(super) const NOT_RECOGNISED: &str = "protocol not recognised";
pub(super) const NO_MESSAGE: &str = "no message begins here";
const UNFINISHED: &str = "message not finished";
const GOES_ON: &str = "message cut by the capture's end";

/// Cuts messages out of one direction's bytes.
pub(super) struct Cutter<'c, S> {
    pub common: &'c mut Common,
    pub half: &'c mut Half,
    pub side: usize,
    pub flow_id: u32,
    pub shared: &'c mut Shared,
    pub sink: &'c mut S,
}

/// A message's bytes in the stream and the packets they came in.
#[derive(Clone, Copy)]
pub(super) struct Piece<'p, 's> {
    pub start: u64,
    pub bytes: Bytes<'p, 's>,
    pub span: Span,
}

/// How a unit came.
#[derive(Clone, Copy)]
struct Arrival {
    /// Bytes it has, perhaps more than there are.
    total: usize,
    /// Flags of its rows.
    flags: u32,
    /// TCP has brought it before.
    again: bool,
}

impl Piece<'_, '_> {
    fn place(&self) -> Place {
        place_of(&self.span.last, self.start)
    }
}

pub(super) fn place_of(origin: &Origin, at: u64) -> Place {
    Place {
        packet_ix: origin.place_ix(),
        ts: origin.ts,
        at: at as i64 - origin.payload_at,
        payload_off: origin.frame_off,
        unpacked: false,
    }
}

pub(super) fn piece<'p, 's>(run: &mut Run<'p, 's>, range: Range<usize>) -> Option<Piece<'p, 's>> {
    let span = run.span(range.clone())?;
    let start = run.start + range.start as u64;
    Some(Piece { start, bytes: run.bytes.slice(range), span })
}

impl<'p, S: Sink<'p>> Consumer<'p> for Cutter<'_, S> {
    fn begin(&mut self, at_start: bool) {
        self.half.lose_place(at_start);
        self.half.recent.clear();
    }

    fn run(&mut self, run: &mut Run<'p, '_>) -> usize {
        match self.common.mode {
            Mode::Undecided { tried } => {
                if let Some(done) = self.decide(tried, run) {
                    return done;
                }
            }
            Mode::Waiting(fixed) => self.choose_carrier(fixed, run.bytes.get()),
            _ => {}
        }
        match self.common.mode {
            Mode::Declared(_) => self.cut_units(run, false),
            Mode::Fix { protocol } => self.cut_fix(protocol, run),
            Mode::Fast { feed, .. } => self.cut_fast(feed, run),
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
        for unit in recent {
            let from = (unit.start - start) as usize;
            let to = from + unit.len as usize;
            self.repeated(start + at as u64, bytes.slice(at..from).get(), &origin);
            let piece = Piece { start: unit.start, bytes: bytes.slice(from..to), span };
            self.one_again(piece, unit.next, flag);
            at = to;
        }
        self.repeated(start + at as u64, bytes.slice(at..len).get(), &origin);
    }

    fn gap(&mut self, at: u64, missing: u64, behind: Origin) {
        self.half.lose_place(false);
        if !self.common.is_decided() {
            return;
        }
        let span = Span { first: behind, last: behind, whole: false, several: false };
        let piece = Piece { start: at, bytes: Bytes::Stream(&[]), span };
        let mut head = self.head(&piece, GAP_MSG_IX);
        head.protocol = self.shared.ids.tcp;
        head.raw_len = u32::try_from(missing).unwrap_or(u32::MAX);
        let own =
            OwnMessage { msg_type: "gap", name: "gap", kind: Kind::Gap, explain: &explain_gap };
        self.give(&head, piece, Engine::Own(own));
    }

    fn lost(&mut self, start: u64, bytes: &[u8], origins: &[Origin], why: Lost) {
        let mut done = 0;
        if why == Lost::Unfinished && matches!(self.common.mode, Mode::Declared(_)) {
            let mut run = Run::new(start, Bytes::Stream(bytes), origins, None);
            done = self.cut_units(&mut run, true);
        }
        self.half.synced = false;
        let left = bytes.get(done..).unwrap_or_default();
        if left.is_empty() {
            return;
        }
        let reason = match why {
            Lost::Unfinished => UNFINISHED,
            Lost::GoesOn => GOES_ON,
            Lost::TooLong => "message too long",
        };
        self.shared.counters.undecoded(reason, left.len());
        let decided = self.common.is_decided();
        if let Some(info) = self.shared.flows.get_mut(self.flow_id).filter(|_| decided) {
            info.error(reason);
        }
        if let Some(last) = origins.iter().copied().reduce(Origin::later) {
            self.sink.undecoded(place_of(&last, start + done as u64), left, reason);
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
        let library = Arc::clone(&self.shared.library);
        let all = run.bytes;
        let bytes = all.get();
        if bytes.iter().all(|byte| *byte == 0) {
            return Some(self.only_zeros(run));
        }
        let zeros = std::mem::take(&mut self.half.zeros);
        let behind = bytes.get(zeros..).filter(|_| zeros > 0);
        match recognise::stream(bytes, &library) {
            // Zeros may be heartbeats, or the end of a message: what they are, what follows
            // them tells.
            StreamVerdict::No | StreamVerdict::Wait | StreamVerdict::Declared(_, None, _)
                if let Some(behind) = behind =>
            {
                self.behind_zeros(tried, zeros, behind, run, &library)
            }
            StreamVerdict::Fix => {
                self.common.recognised = Recognised::Certain;
                self.common.mode = Mode::Fix { protocol: None };
                None
            }
            StreamVerdict::Declared(framing, known, rivals) => {
                self.become_known(Known::of_stream(framing, known, rivals, &library));
                self.half.synced = true;
                None
            }
            StreamVerdict::Wait if bytes.len() < UNDECIDED_BYTES_MAX => Some(0),
            _ => Some(self.not_recognised(tried, run)),
        }
    }

    /// Nothing explains the bytes.
    fn not_recognised(&mut self, tried: u32, run: &mut Run<'p, '_>) -> usize {
        let tried = tried + 1;
        let ours = tried < UNDECIDED_DELIVERIES_MAX;
        self.common.mode = if ours { Mode::Undecided { tried } } else { Mode::Ignored };
        let len = run.bytes.get().len();
        self.skip(run, 0..len, NOT_RECOGNISED);
        len
    }

    /// Zeros alone tell nothing: some wait for what follows.
    fn only_zeros(&mut self, run: &mut Run<'p, '_>) -> usize {
        let len = run.bytes.get().len();
        if len <= ZEROS_MAX {
            self.half.zeros = len;
            return 0;
        }
        self.half.zeros = 0;
        self.skip(run, 0..len, NOT_RECOGNISED);
        len
    }

    /// Decides by the bytes behind zeros that explain nothing.
    fn behind_zeros(
        &mut self,
        tried: u32,
        zeros: usize,
        behind: &[u8],
        run: &mut Run<'p, '_>,
        library: &Library,
    ) -> Option<usize> {
        match recognise::stream(behind, library) {
            StreamVerdict::Fix => {
                self.common.recognised = Recognised::Certain;
                self.common.mode = Mode::Fix { protocol: None };
                None
            }
            StreamVerdict::Declared(framing, known, rivals) => {
                self.become_known(Known::of_stream(framing, known, rivals, library));
                // The first unit is searched for.
                self.half.synced = false;
                None
            }
            StreamVerdict::Wait if behind.len() < UNDECIDED_BYTES_MAX => {
                self.half.zeros = zeros;
                Some(0)
            }
            _ => Some(self.not_recognised(tried, run)),
        }
    }

    /// What carries a protocol that the configuration names, told by the first
    /// bytes where several framings could.
    fn choose_carrier(&mut self, fixed: u16, bytes: &[u8]) {
        let library = Arc::clone(&self.shared.library);
        let carriers = || recognise::stream_carriers_of(fixed, &library);
        let fits = |&at: &u16| {
            let framing = library.framings.get(usize::from(at));
            framing.is_some_and(|framing| {
                Search::of(framing, &library, ProtocolSet::one(fixed)).fits(bytes)
            })
        };
        if let Some(framing) = carriers().find(fits).or_else(|| carriers().next()) {
            let known = Known::configured(Carrier::Declared(framing), Some(fixed));
            self.common.mode = Mode::Declared(known);
        }
    }

    /// Takes over what the connection is now taken for.
    fn become_known(&mut self, known: Known) {
        let before =
            if let Mode::Declared(before) = self.common.mode { Some(before) } else { None };
        self.common.mode = Mode::Declared(known);
        self.common.recognised = known.recognised;
        let same = before.is_some_and(|before| {
            (before.carrier, before.fixed, before.recognised)
                == (known.carrier, known.fixed, known.recognised)
        });
        if !same {
            let protocol = known.fixed.map(|at| self.shared.ids.fixed(at));
            let protocol = protocol.unwrap_or_else(|| self.shared.ids.carrier(known.carrier));
            self.common.publish(protocol, self.shared);
        }
    }

    /// Cuts units of a declared framing; `last` where nothing follows the
    /// bytes. Gives how many are done with.
    fn cut_units(&mut self, run: &mut Run<'p, '_>, last: bool) -> usize {
        let library = Arc::clone(&self.shared.library);
        let len = run.bytes.get().len();
        let mut at = 0;
        while at < len {
            let Some((known, framing)) = self.declared(&library) else { return at };
            if !self.half.synced {
                let search = Search::of(framing, &library, known.expected(&library));
                let border = at == 0 && run.begins_a_segment();
                let rest = run.bytes.slice(at..len);
                let (found, skipped) = match search.first_unit(rest.get(), border, last) {
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
            let rest = run.bytes.slice(at..len);
            let step = framing.step(rest.get());
            if self.contradicts(step, rest.get(), framing, known, &library) {
                continue;
            }
            match step {
                Step::Unit(size) => {
                    self.unit(run, at..at + size, size, &library);
                    at += size;
                }
                Step::NeedMore(Some(total)) if last => {
                    let candidates = known.expected(&library);
                    if !recognise::may_begin(framing, rest.get(), total, candidates, &library) {
                        return at;
                    }
                    self.unit(run, at..len, total, &library);
                    at = len;
                }
                Step::NeedMore(_) => return at,
                Step::Invalid => self.half.synced = false,
            }
        }
        at
    }

    /// What the connection is known to be.
    fn declared<'l>(&self, library: &'l Library) -> Option<(Known, &'l Framing)> {
        let Mode::Declared(known) = self.common.mode else { return None };
        let Carrier::Declared(at) = known.carrier else { return None };
        Some((known, library.framings.get(usize::from(at))?))
    }

    /// Whether bytes are no unit of the framing, though a unit was expected
    /// here. Then either the connection is taken for something else, or a unit
    /// is searched for.
    fn contradicts(
        &mut self,
        step: Step,
        rest: &[u8],
        framing: &Framing,
        known: Known,
        library: &Library,
    ) -> bool {
        let unit = match step {
            Step::NeedMore(total) => {
                let candidates = known.expected(library);
                let may = |total| recognise::may_begin(framing, rest, total, candidates, library);
                let doubtful = known.recognised == Recognised::Guess && known.fixed.is_none();
                if !doubtful || total.is_none_or(may) {
                    return false;
                }
                // Not to be waited for, where anything else begins here.
                return self.becomes_another(rest, known, library);
            }
            Step::Unit(len) => rest.get(..len).unwrap_or_default(),
            Step::Invalid => &[],
        };
        let foreign = step == Step::Invalid || recognise::is_foreign(framing, unit);
        if !foreign && !known.is_doubtful(unit, library) {
            return false;
        }
        if known.recognised == Recognised::Guess && self.becomes_another(rest, known, library) {
            return true;
        }
        if foreign {
            self.half.synced = false;
        }
        foreign
    }

    /// Takes the connection for something else that knows these bytes.
    fn becomes_another(&mut self, rest: &[u8], known: Known, library: &Library) -> bool {
        let StreamVerdict::Declared(other, Some(mask), rivals) = recognise::stream(rest, library)
        else {
            return false;
        };
        if Carrier::Declared(other) == known.carrier {
            return false;
        }
        self.half.lanes = super::declared::Lanes::default();
        self.become_known(Known::of_stream(other, Some(mask), rivals, library));
        true
    }

    /// A unit of `total` bytes, perhaps cut.
    fn unit(
        &mut self,
        run: &mut Run<'p, '_>,
        range: Range<usize>,
        total: usize,
        library: &Library,
    ) {
        let Some(piece) = piece(run, range) else { return };
        let bytes = piece.bytes.get();
        if let Mode::Declared(known) = self.common.mode
            && bytes.len() == total
        {
            self.become_known(known.look_at_unit(bytes, library));
            let (start, len) = (piece.start, bytes.len() as u32);
            self.half.remember(Recent { start, len, next: self.half.lanes.next });
        }
        self.decode_unit(piece, Arrival { total, flags: 0, again: false }, library);
    }

    fn decode_unit(&mut self, piece: Piece<'p, '_>, arrival: Arrival, library: &Library) {
        let Some((known, framing)) = self.declared(library) else { return };
        let len = piece.bytes.get().len();
        let msg_ix = match self.half.completed.next(piece.span.last.packet_ix) {
            Ok(msg_ix) => msg_ix,
            Err(reason) => return self.shared.counters.undecoded(reason, len),
        };
        let mut head = self.head(&piece, msg_ix);
        head.flags |= arrival.flags;
        let unit = Unit {
            bytes: piece.bytes,
            place: piece.place(),
            flow_id: self.flow_id,
            wire_len: arrival.total,
            packed: None,
            stream: Some(InStream {
                start: piece.start,
                whole: piece.span.whole,
                scope: self.common.scope,
                again: arrival.again,
            }),
        };
        let flow = Flow { framing, library, known, group: None };
        let told = self.half.lanes.packet(flow, head, &unit, self.shared, self.sink);
        self.half.completed.add(told.messages);
        match told.sender {
            Some(Sender::Server) => self.common.server = Some(self.side),
            Some(Sender::Client) => self.common.server = Some(1 - self.side),
            None => {}
        }
        self.common.session = told.session.or(self.common.session);
    }

    pub(super) fn cut_fix(&mut self, protocol: Option<Name>, run: &mut Run<'p, '_>) -> usize {
        let len = run.bytes.get().len();
        let mut at = 0;
        while at < len {
            match fix::scan(run.bytes.slice(at..len).get()) {
                Scan::Message { len, .. } => {
                    if let Some(piece) = piece(run, at..at + len) {
                        let (start, len) = (piece.start, len as u32);
                        self.half.remember(Recent { start, len, next: None });
                        self.fix_message(protocol, piece, 0);
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
        let msg_ix = match self.half.completed.next(piece.span.last.packet_ix) {
            Ok(msg_ix) => msg_ix,
            Err(reason) => {
                return self.shared.counters.undecoded(reason, piece.bytes.get().len());
            }
        };
        let mut head = self.head(&piece, msg_ix);
        head.protocol = protocol;
        head.flags |= extra_flags;
        let tags = self.common.tags;
        self.give(&head, piece, Engine::Fix { tags });
        self.half.completed.add(1);
    }

    /// A unit that TCP repeated; before it, `next` was the next message's number.
    fn one_again(&mut self, piece: Piece<'p, '_>, next: Option<u64>, flags: u32) {
        match self.common.mode {
            Mode::Declared(_) => {
                let library = Arc::clone(&self.shared.library);
                let now = std::mem::replace(&mut self.half.lanes.next, next);
                let total = piece.bytes.get().len();
                self.decode_unit(piece, Arrival { total, flags, again: true }, &library);
                self.half.lanes.next = now;
            }
            Mode::Fix { protocol } => self.fix_message(protocol, piece, flags),
            Mode::Fast { protocol, .. } => {
                let mut head = self.head(&piece, 0);
                let Ok(msg_ix) = self.half.completed.next(head.packet_ix.into()) else { return };
                (head.protocol, head.msg_ix) = (protocol, msg_ix);
                head.flags |= flags;
                let outcome = self.give(&head, piece, Engine::Opaque);
                self.half.completed.add(outcome.messages);
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
    pub(super) fn skip(
        &mut self,
        run: &mut Run<'p, '_>,
        range: Range<usize>,
        reason: &'static str,
    ) {
        if range.is_empty() {
            return;
        }
        let bytes = run.bytes.slice(range.clone());
        self.shared.counters.undecoded(reason, bytes.get().len());
        let start = run.start + range.start as u64;
        if let Some(span) = run.span(range) {
            self.sink.undecoded(place_of(&span.last, start), bytes.get(), reason);
        }
        if self.common.is_decided()
            && let Some(info) = self.shared.flows.get_mut(self.flow_id)
        {
            info.error(reason);
        }
    }

    /// What the rows of a message, or of a unit's messages, have from the
    /// stream.
    pub(super) fn head(&self, piece: &Piece<'p, '_>, msg_ix: u16) -> Head {
        let Span { first, last, whole, several } = piece.span;
        let place = piece.place();
        Head {
            ts: last.ts,
            ts_first: (first.packet_ix != last.packet_ix).then_some(first.ts),
            ts_send: None,
            packet_ix: last.place_ix(),
            msg_ix,
            flow_id: self.flow_id,
            protocol: self.shared.ids.unknown,
            line: None,
            session: self.common.session,
            channel: None,
            seq: None,
            gap_before: None,
            flags: if several { flags::REASSEMBLED } else { 0 },
            raw_off: if whole { u32::try_from(place.offset(0)).ok() } else { None },
            raw_len: piece.bytes.get().len() as u32,
            tcp_off: Some(piece.start),
            sender: self.common.sender(self.side),
        }
    }

    /// A message that is not a declared framing's.
    pub(super) fn give(
        &mut self,
        head: &Head,
        piece: Piece<'p, '_>,
        engine: Engine<'_>,
    ) -> Outcome {
        let (bytes, place) = (piece.bytes, piece.place());
        let recognised = Some(self.common.recognised);
        let cut = Cut { head, bytes, place, engine, recognised };
        let outcome = self.sink.message(&mut self.shared.names, cut);
        super::datagram::count(outcome, self.flow_id, self.shared);
        outcome
    }
}
