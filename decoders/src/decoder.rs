//! Packets into rows of `messages`.
//!
//! ```text
//! PacketBatch ─► pipeline ─┬─ fixed layouts: row pushed now, columns filled
//!                          │  a block at a time
//!                          └─ FIX, FAST, SBE, framings: row filled at once
//!                                     │ full, or the packets end
//!                                     ▼
//!                               MessageBatch, Names
//! ```

use crate::batch::{Head, MessageBatch, NameCol, TextCol};
use crate::config::DecoderConfig;
use crate::fast::decode::FastDecoder;
use crate::fast::error::FastError;
use crate::fix::decode::{FixConfig, FixDecoder};
use crate::fixed::decoder::{FixedDecoder, Queued, Seen};
use crate::fixed::run::Lesson;
use crate::flow::FlowInfo;
use crate::hidden;
use crate::kind::{Kind, Sender, flags};
use crate::learning::{Earlier, Kept, Learning, ScopeInfo, ScopeStart, Taught};
use crate::library::Library;
use crate::names::{Name, Names};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::Counters;
use crate::pipeline::sink::{Cut, Engine, Outcome, OwnMessage, Sink};
use crate::sbe::decode::SbeDecoder;
use crate::tcp::origin::Bytes;
use crate::tcp::reassembly::Lost;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

/// Rows that wait for their columns at once: few enough that they are still in
/// the second-level cache, enough for blocks of each type.
pub const FILL_ROWS: usize = 1024;

/// Decodes the packets of one capture, in order.
///
/// Rows come out in the order in which messages complete. Where a TCP hole is
/// given up late, rows of the packets behind it come after rows of later
/// packets of other flows.
pub struct Decoder {
    pipeline: Pipeline,
    engines: Engines,
    batch: MessageBatch,
}

/// Decodes nothing itself: the engines with their states.
pub(crate) struct Engines {
    pub library: Arc<Library>,
    show_secrets: bool,
    fixed: Vec<Option<FixedDecoder>>,
    pub fix: FixDecoder,
    /// By flow: each line of a feed has values of its own.
    fast: HashMap<u32, FastDecoder>,
    sbe: Vec<Option<SbeDecoder>>,
    learning: Option<Learning>,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(config: Arc<DecoderConfig>, library: Arc<Library>) -> Self {
        let engines = Engines::new(&config, Arc::clone(&library));
        Self { pipeline: Pipeline::new(config, library), engines, batch: MessageBatch::new() }
    }

    /// Also keeps what messages teach, for [`take_taught`](Self::take_taught);
    /// scopes begin with what `earlier` says an earlier capture ended with.
    pub fn learning(mut self, earlier: Option<Box<dyn Earlier>>) -> Self {
        self.engines.learning = Some(Learning { earlier, ..Learning::default() });
        self
    }

    /// What was taught since the last call, in the order of the rows.
    pub fn take_taught(&mut self) -> Vec<Taught> {
        let learning = self.engines.learning.as_mut();
        learning.map_or_else(Vec::new, |learning| std::mem::take(&mut learning.taught))
    }

    /// The scopes of protocols with learned tables, and where each one's
    /// numbers go on.
    pub fn scopes(&self) -> Vec<ScopeInfo> {
        let Some(learning) = &self.engines.learning else { return Vec::new() };
        let next = self.pipeline.next_numbers();
        let scopes = learning.scopes.iter();
        scopes.map(|s| ScopeInfo { next_seq: next.get(&s.scope).copied(), ..s.clone() }).collect()
    }

    /// Decodes the packets that follow. `out` gets the rows as often as the
    /// batch fills and once at the end; the names are those of all rows so
    /// far, and names once given stay.
    pub fn decode(&mut self, packets: &PacketBatch, out: &mut dyn FnMut(&MessageBatch, &Names)) {
        let mut sink = RowSink::new(&mut self.engines, &mut self.batch, out);
        for packet in packets.iter() {
            self.pipeline.packet(packet, &mut sink);
        }
        sink.hand_out(&mut self.pipeline.shared.names);
    }

    /// The packets that follow are another capture's, of the same wire, that goes on
    /// where this one ended: their positions count from 0 again, and what waits for
    /// its end stays. A message then is that of the capture that completed it.
    pub fn go_on(&mut self) {
        self.pipeline.go_on();
    }

    /// Takes in the last packets of the capture before, for what of its TCP streams goes
    /// on: no rows come of it. [`begin`](Self::begin) ends it.
    pub fn lead_in(&mut self, packets: &PacketBatch) {
        let nothing = &mut |_: &MessageBatch, _: &Names| {};
        let learning = self.engines.learning.take();
        let mut sink = RowSink::new(&mut self.engines, &mut self.batch, nothing);
        packets.iter().for_each(|packet| self.pipeline.lead_in(packet, &mut sink));
        sink.hand_out(&mut self.pipeline.shared.names);
        self.engines.learning = learning;
    }

    /// The packets that follow are the capture's own. What the lead-in has taught is
    /// forgotten, but the numbers of FIX sessions.
    pub fn begin(&mut self) {
        self.pipeline.begin();
        self.engines.begin();
    }

    /// The capture has ended, and another one may go on: as [`finish`](Self::finish), but
    /// a message that it cuts is left to the next one, and counted.
    pub fn end(&mut self, out: &mut dyn FnMut(&MessageBatch, &Names)) {
        self.close(Lost::GoesOn, out);
    }

    /// The capture has ended: gives the rows of what still waited.
    pub fn finish(&mut self, out: &mut dyn FnMut(&MessageBatch, &Names)) {
        self.close(Lost::Unfinished, out);
    }

    fn close(&mut self, why: Lost, out: &mut dyn FnMut(&MessageBatch, &Names)) {
        let mut sink = RowSink::new(&mut self.engines, &mut self.batch, out);
        self.pipeline.finish(why, &mut sink);
        sink.hand_out(&mut self.pipeline.shared.names);
    }

    /// The flows so far, at the index of their `flow_id`; those that only the lead-in had
    /// without packets.
    pub fn flows(&self) -> &[FlowInfo] {
        self.pipeline.shared.flows.infos()
    }

    /// The names of all rows so far.
    pub fn names(&self) -> &Names {
        &self.pipeline.shared.names
    }

    /// What was read, and what was not.
    pub fn counters(&self) -> &Counters {
        &self.pipeline.shared.counters
    }
}

impl Engines {
    pub fn new(config: &DecoderConfig, library: Arc<Library>) -> Self {
        Self {
            show_secrets: config.decode.show_secrets,
            fixed: library.fixed.iter().map(|_| None).collect(),
            fix: FixDecoder::new(FixConfig { show_secrets: config.decode.show_secrets }),
            fast: HashMap::new(),
            sbe: library.sbe.iter().map(|_| None).collect(),
            learning: None,
            library,
        }
    }

    /// Forgets everything but the numbers of FIX sessions.
    fn begin(&mut self) {
        self.fixed.fill_with(|| None);
        self.sbe.fill_with(|| None);
        self.fast.clear();
    }

    /// The decoder of a fixed protocol, made where it is new.
    pub fn fixed(&mut self, protocol: u16, names: &mut Names) -> Option<&mut FixedDecoder> {
        let at = usize::from(protocol);
        let known = self.library.fixed_at(protocol)?;
        let slot = self.fixed.get_mut(at)?;
        let show_secrets = self.show_secrets;
        let keeps = self.learning.is_some();
        Some(slot.get_or_insert_with(|| {
            let new = FixedDecoder::new(Arc::clone(known), names);
            let mut decoder = new.showing_secrets(show_secrets);
            if keeps {
                decoder.keep_lessons();
            }
            decoder
        }))
    }

    /// The decoder of the SBE protocol with this number, made where it is new.
    pub fn sbe(&mut self, protocol: u16, names: &mut Names) -> Option<&mut SbeDecoder> {
        let known = self.library.sbe_at(protocol)?;
        let slot = self.sbe.get_mut(usize::from(protocol).checked_sub(self.fixed.len())?)?;
        let new = || SbeDecoder::new(Arc::clone(known), self.show_secrets, names);
        Some(slot.get_or_insert_with(new))
    }

    /// A scope begins with what an earlier capture ended with. A value that
    /// the protocol's file does not know any more is left out.
    #[cold]
    fn begin_scope(&mut self, start: &ScopeStart<'_>, names: &mut Names) {
        let &ScopeStart { scope, protocol, source, ts, seq } = start;
        let Some(known) = self.library.fixed_at(protocol).cloned() else { return };
        let Some(learning) = &mut self.learning else { return };
        let is_it = |info: &ScopeInfo| info.scope == scope && info.protocol == protocol;
        if known.tables.is_empty() || learning.scopes.iter().any(is_it) {
            return;
        }
        let (source, first_ts) = (source.to_owned(), ts);
        let info = ScopeInfo { scope, protocol, source, first_ts, next_seq: None };
        let ended = learning.earlier.as_mut().map(|e| e.ended(&known, &info.source, ts));
        learning.scopes.push(info);
        let Some(ended) = ended else { return };
        let doubt = ended.next_seq.is_none() || ended.next_seq != seq;
        for (table, key, value, kept) in ended.values {
            let Some((table, slot)) = known.learned_place(&table, &value) else { continue };
            let value = match kept {
                Kept::Number(number) => number,
                Kept::Text(text) => match names.intern(text.as_bytes()) {
                    Some(name) => name.0.into(),
                    None => continue,
                },
            };
            let at = None;
            if let Some(decoder) = self.fixed(protocol, names) {
                decoder.take_over(scope, (table, key, slot), value, doubt);
            }
            if let Some(learning) = &mut self.learning {
                let taught = Taught { protocol, scope, at, ts, table, key, slot, value };
                learning.taught.push(taught);
            }
        }
    }

    /// Keeps what the rows of a protocol have just taught.
    fn note(&mut self, protocol: u16, batch: &MessageBatch, names: &mut Names) {
        if self.learning.is_none() {
            return;
        }
        let Some(decoder) = self.fixed(protocol, names) else { return };
        let lessons: Vec<Lesson> = decoder.lessons().collect();
        let taught = lessons.into_iter().filter_map(|lesson| {
            let Lesson { row, scope, table, key, slot, value } = lesson;
            let packet_ix = *batch.packet_ix().get(row as usize)?;
            let at = Some((packet_ix, *batch.msg_ix().get(row as usize)?));
            let ts = *batch.ts().get(row as usize)?;
            Some(Taught { protocol, scope, at, ts, table, key, slot, value })
        });
        if let Some(learning) = &mut self.learning {
            learning.taught.extend(taught);
        }
    }

    /// The FAST decoder of a flow, made where it is new.
    pub fn fast(&mut self, feed: u16, flow_id: u32) -> Option<&mut FastDecoder> {
        let setup = self.library.fast.get(usize::from(feed))?.as_ref()?;
        Some(self.fast.entry(flow_id).or_insert_with(|| {
            FastDecoder::new(Arc::clone(&setup.templates), setup.reset)
                .with_implicit_reset(setup.implicit_template)
        }))
    }
}

/// A message whose row is pushed and whose columns are still to be filled.
struct Waiting<'p> {
    row: u32,
    body: Body<'p>,
    scope: u32,
    sender: Option<Sender>,
    seen: Seen,
}

enum Body<'p> {
    Packet(&'p [u8]),
    Copied(Range<usize>),
}

struct RowSink<'p, 'o> {
    engines: &'o mut Engines,
    batch: &'o mut MessageBatch,
    out: &'o mut dyn FnMut(&MessageBatch, &Names),
    /// By fixed protocol.
    waiting: Vec<Vec<Waiting<'p>>>,
    /// Bodies that lie in no packet.
    copied: Vec<u8>,
    unknown: Option<Name>,
}

impl<'p, 'o> RowSink<'p, 'o> {
    fn new(
        engines: &'o mut Engines,
        batch: &'o mut MessageBatch,
        out: &'o mut dyn FnMut(&MessageBatch, &Names),
    ) -> Self {
        let waiting = engines.fixed.iter().map(|_| Vec::new()).collect();
        Self { engines, batch, out, waiting, copied: Vec::new(), unknown: None }
    }

    /// Fills the columns of the rows that wait.
    fn fill(&mut self, names: &mut Names) {
        for (protocol, waiting) in self.waiting.iter_mut().enumerate() {
            if waiting.is_empty() {
                continue;
            }
            let copied = &self.copied;
            let block: Vec<Queued<'_>> = waiting.iter().map(|w| w.queued(copied)).collect();
            if let Some(decoder) = self.engines.fixed(protocol as u16, names) {
                decoder.decode(&block, self.batch, names);
            }
            self.engines.note(protocol as u16, self.batch, names);
            waiting.clear();
        }
        self.copied.clear();
    }

    /// Gives the rows out and makes room.
    fn hand_out(&mut self, names: &mut Names) {
        self.fill(names);
        if !self.batch.is_empty() {
            (self.out)(self.batch, names);
            self.batch.clear();
        }
    }

    /// A row of a message; makes room where there is none.
    #[inline]
    fn push(&mut self, names: &mut Names, head: &Head, msg_type: Name) -> Option<usize> {
        if let Some(row) = self.batch.push(head, 0, msg_type) {
            return Some(row);
        }
        self.hand_out(names);
        self.batch.push(head, 0, msg_type)
    }

    #[inline]
    fn fixed(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>, protocol: u16, scope: u32) {
        let unknown = self.unknown(names);
        let mut seen = self.look(names, cut, protocol);
        if usize::from(seen.rows) > self.batch.room() {
            self.hand_out(names);
        }
        let Some(row) = self.push(names, cut.head, unknown) else { return };
        let more = (1..seen.rows).map_while(|entry| self.batch.push(cut.head, entry, unknown));
        seen.rows = 1 + more.count() as u16;
        if self.learns(protocol) {
            let rows = row..row + usize::from(seen.rows);
            rows.for_each(|row| self.batch.set_scope(row, scope));
        }
        self.keep_bytes(row, cut, Some(protocol));
        let body = match cut.bytes {
            Bytes::Frame(bytes) => Body::Packet(bytes),
            Bytes::Stream(bytes) => {
                let start = self.copied.len();
                self.copied.extend_from_slice(bytes);
                Body::Copied(start..self.copied.len())
            }
        };
        if let Some(waiting) = self.waiting.get_mut(usize::from(protocol)) {
            let (row, sender) = (row as u32, cut.head.sender);
            waiting.push(Waiting { row, body, scope, sender, seen });
            if waiting.len() >= FILL_ROWS {
                self.fill(names);
            }
        }
    }

    /// Whether a protocol's messages teach.
    #[inline]
    fn learns(&self, protocol: u16) -> bool {
        let protocol = self.engines.library.fixed_at(protocol);
        protocol.is_some_and(|protocol| !protocol.tables.is_empty())
    }

    /// What a message is, where it may have more than one row.
    #[inline]
    fn look(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>, protocol: u16) -> Seen {
        let known = self.engines.library.fixed_at(protocol);
        let decoder = match known.is_some_and(|protocol| protocol.has_rows) {
            true => self.engines.fixed(protocol, names),
            false => None,
        };
        decoder.map_or(Seen::NOTHING, |decoder| decoder.look(cut.bytes.get(), cut.head.sender))
    }

    fn fix(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>, tags: u16) {
        for _ in 0..2 {
            let row = self.batch.len();
            let bytes = cut.bytes.get();
            let engines = &mut *self.engines;
            let user = engines.library.fix_tags(tags);
            if engines.fix.decode(bytes, cut.head, user, self.batch, names).is_ok() {
                if self.batch.len() > row && cut.head.raw_off.is_none() {
                    let masked = engines.fix.masked(bytes, user);
                    let bytes = masked.as_deref().unwrap_or(bytes);
                    self.batch.set_text(row, TextCol::Raw, bytes);
                }
                return;
            }
            self.hand_out(names);
        }
    }

    /// A message of the SBE protocol with this number.
    fn sbe(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>, protocol: u16, scope: u32) {
        for _ in 0..2 {
            let row = self.batch.len();
            let Some(decoder) = self.engines.sbe(protocol, names) else { return };
            if decoder.decode(cut.bytes.get(), cut.head, scope, self.batch, names).is_ok() {
                return self.keep_bytes(row, cut, Some(protocol));
            }
            self.hand_out(names);
        }
    }

    /// FAST messages one after the other; the rest after an error is a row.
    fn fast(
        &mut self,
        names: &mut Names,
        cut: &Cut<'p, '_, '_>,
        feed: u16,
        first: bool,
        gap: bool,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut head = *cut.head;
        let mut rest = cut.bytes.get();
        if let Some(decoder) = self.engines.fast(feed, head.flow_id) {
            if gap {
                decoder.mark_gap();
            }
            if first {
                decoder.start_datagram();
            }
        }
        while !rest.is_empty() {
            head.raw_len = rest.len() as u32;
            let Some(decoder) = self.engines.fast(feed, head.flow_id) else { break };
            let row = self.batch.len();
            match decoder.decode(rest, &head, self.batch, names) {
                Ok(len) => {
                    if head.raw_off.is_none() && self.batch.len() > row {
                        let bytes = rest.get(..len).unwrap_or_default();
                        self.batch.set_text(row, TextCol::Raw, bytes);
                    }
                    rest = rest.get(len.max(1)..).unwrap_or_default();
                    head.raw_off = head.raw_off.map(|off| off.saturating_add(len.max(1) as u32));
                    head.gap_before = head.gap_before.map(|_| 0);
                }
                Err(FastError::Full) if !self.batch.is_empty() => {
                    self.hand_out(names);
                    continue;
                }
                Err(_) => {
                    head.flags |= flags::DECODE_ERROR;
                    let unknown = self.unknown(names);
                    let row = self.push(names, &head, unknown);
                    if let Some(row) = row.filter(|_| head.raw_off.is_none()) {
                        self.batch.set_text(row, TextCol::Raw, rest);
                    }
                    outcome.errors += 1;
                    rest = &[];
                }
            }
            outcome.messages = outcome.messages.saturating_add(1);
            head.msg_ix = head.msg_ix.saturating_add(1);
        }
        outcome
    }

    /// A row that says only that the message was there, and its first byte.
    fn opaque(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>) {
        let bytes = cut.bytes.get();
        let code = bytes.first().filter(|code| code.is_ascii_graphic());
        let code = code.and_then(|&code| names.intern(&[code]));
        let msg_type = code.unwrap_or_else(|| self.unknown(names));
        let head = Head { flags: cut.head.flags | flags::UNKNOWN_TYPE, ..*cut.head };
        if let Some(row) = self.push(names, &head, msg_type) {
            self.keep_bytes(row, cut, None);
        }
    }

    /// A framing's own message.
    fn own(&mut self, names: &mut Names, cut: &Cut<'p, '_, '_>, own: &OwnMessage<'_>) {
        let msg_type = names.intern(own.msg_type.as_bytes());
        let msg_type = msg_type.unwrap_or_else(|| self.unknown(names));
        let msg_name = names.intern(own.name.as_bytes());
        let Some(row) = self.push(names, cut.head, msg_type) else { return };
        self.batch.set_kind(row, own.kind);
        if let Some(name) = msg_name {
            self.batch.set_name(row, NameCol::MsgName, name);
        }
        if own.kind != Kind::Gap {
            self.keep_bytes(row, cut, None);
        }
    }

    /// Keeps the message's bytes in its row where no packet holds them all,
    /// without the secrets of its protocol.
    #[inline]
    fn keep_bytes(&mut self, row: usize, cut: &Cut<'p, '_, '_>, protocol: Option<u16>) {
        if cut.head.raw_off.is_none() {
            let bytes = cut.bytes.get();
            let protocol = protocol.filter(|_| !self.engines.show_secrets);
            let library = &self.engines.library;
            let masked =
                protocol.and_then(|at| hidden::masked(library, at, bytes, cut.head.sender));
            self.batch.set_text(row, TextCol::Raw, masked.as_deref().unwrap_or(bytes));
        }
    }

    #[inline]
    fn unknown(&mut self, names: &mut Names) -> Name {
        match self.unknown {
            Some(name) => name,
            None => {
                let name = names.intern(b"?").unwrap_or(Name(0));
                *self.unknown.insert(name)
            }
        }
    }
}

impl Waiting<'_> {
    #[inline]
    fn queued<'a>(&'a self, copied: &'a [u8]) -> Queued<'a> {
        let body = match &self.body {
            Body::Packet(bytes) => bytes,
            Body::Copied(range) => copied.get(range.clone()).unwrap_or_default(),
        };
        let &Self { row, scope, sender, seen, .. } = self;
        Queued { row, body, scope, sender, seen }
    }
}

impl<'p> Sink<'p> for RowSink<'p, '_> {
    fn scope(&mut self, names: &mut Names, start: &ScopeStart<'_>) {
        self.engines.begin_scope(start, names);
    }

    #[inline]
    fn message(&mut self, names: &mut Names, cut: Cut<'p, '_, '_>) -> Outcome {
        match &cut.engine {
            Engine::Fixed { protocol, scope } if usize::from(*protocol) < self.waiting.len() => {
                self.fixed(names, &cut, *protocol, *scope);
            }
            Engine::Fixed { protocol, scope } => self.sbe(names, &cut, *protocol, *scope),
            Engine::Fix { tags } => self.fix(names, &cut, *tags),
            Engine::Fast { feed, first, gap } => {
                return self.fast(names, &cut, *feed, *first, *gap);
            }
            Engine::Opaque => self.opaque(names, &cut),
            Engine::Own(own) => self.own(names, &cut, own),
        }
        Outcome::ONE
    }
}
