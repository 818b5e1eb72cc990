//! Messages into rows.
//!
//! ```text
//! pass 1   where each group is, how many rows its entries make     (spans)
//! pass 2   rows pushed; root operations over all of them, each group's over its
//! pass 3   what entries take from entries that they refer to; what is learned
//! ```

use super::compile::{From, Link, Op, Program, Take, Teach, To};
use super::protocol::{Found, ROWS_MAX, SbeProtocol};
use super::run::{self, Rows, Tools};
use super::shape::{Block, Group, Told};
use super::walk::{Cut, Nobody, Walk};
use crate::batch::{Full, Head, MessageBatch, NameCol};
use crate::field::Explained;
use crate::fixed::learned::ABSENT;
use crate::kind::{Kind, flags};
use crate::names::{Name, Names};
use std::sync::Arc;

/// Decodes the messages of one protocol.
#[derive(Debug)]
pub struct SbeDecoder {
    protocol: Arc<SbeProtocol>,
    /// By schema and message.
    heads: Vec<Vec<MessageNames>>,
    tools: Tools,
    spans: Vec<Span>,
    entries: Vec<usize>,
    show_secrets: bool,
}

/// Names of one message.
#[derive(Debug)]
struct MessageNames {
    msg_type: Name,
    name: Option<Name>,
    root: Vec<Coded>,
    sections: Vec<Vec<Coded>>,
}

/// Names of the codes of one operation.
type Coded = Vec<(u64, Option<Name>)>;

/// A group's entries that are rows.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Index of the group.
    group: usize,
    /// The first entry's block.
    start: usize,
    block_length: usize,
    /// From entry to entry; `None`: they stand in [`SbeDecoder::entries`].
    stride: Option<usize>,
    /// The first of those.
    entry: usize,
    /// The first row, counted from the message's.
    row: usize,
    count: usize,
}

impl SbeDecoder {
    /// A decoder that has learned nothing; `show_secrets` is for explanations.
    pub fn new(protocol: Arc<SbeProtocol>, show_secrets: bool, names: &mut Names) -> Self {
        let mut heads = Vec::new();
        for compiled in &protocol.schemas {
            let messages = compiled.schema.messages.iter().zip(&compiled.programs);
            let of = messages.map(|(m, program)| MessageNames::new(&m.name, program, names));
            heads.push(of.collect());
        }
        let places = protocol.overlay.instrument.as_ref().map_or(0, |i| i.places.len());
        let (spans, entries) = (Vec::new(), Vec::new());
        let tools = Tools::new(places);
        Self { protocol, heads, tools, spans, entries, show_secrets }
    }

    /// Every field of a message.
    pub fn explain(&self, body: &[u8]) -> Explained {
        super::explain::explain(&self.protocol, body, self.show_secrets)
    }

    /// Pushes the rows of a message, at least one. A message that the schemas
    /// do not know is a row flagged `UNKNOWN_TYPE`; one that ends too early has
    /// what is there and `DECODE_ERROR`, one with bytes left over `IRREGULAR`.
    ///
    /// # Errors
    /// [`Full`]: nothing was pushed.
    pub fn decode(
        &mut self,
        body: &[u8],
        head: &Head,
        scope: u32,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let protocol = Arc::clone(&self.protocol);
        let told = protocol.header.read(body);
        let found = told.and_then(|told| Some((told, protocol.find(&told)?)));
        let Some((told, found)) = found else {
            return unknown(told, head, batch, names);
        };
        self.known(&protocol, (told, found), body, head, scope, batch, names)
    }

    #[expect(clippy::too_many_arguments, reason = "a message and where it goes")]
    fn known(
        &mut self,
        protocol: &SbeProtocol,
        (told, found): (Told, Found<'_>),
        body: &[u8],
        head: &Head,
        scope: u32,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let program = found.compiled.programs.get(found.message);
        let own = self.heads.get(found.schema).and_then(|heads| heads.get(found.message));
        let (Some(program), Some(own), Some(shape)) = (program, own, found.shape()) else {
            return unknown(Some(told), head, batch, names);
        };
        let walk = Walk { body, little: found.compiled.schema.little, version: told.version };
        let root = protocol.header.size;
        self.spans.clear();
        self.entries.clear();
        let mut scan = Scan { spans: &mut self.spans, entries: &mut self.entries, rows: 0 };
        let end = scan.message(&walk, &shape.block, program, root, told.block_length);
        let (rows, too_many) = (scan.rows.max(1), scan.rows > ROWS_MAX);
        let rows = rows.min(ROWS_MAX);
        if rows > batch.room() {
            return Err(Full);
        }
        let first = batch.len();
        let misfit = match end {
            Ok(end) if protocol.is_end(body, end) && !too_many => 0,
            Ok(_) => flags::IRREGULAR,
            Err(_) => flags::DECODE_ERROR,
        };
        let head = &Head { flags: head.flags | program.flags | misfit, ..*head };
        for entry in 0..rows {
            let row = batch.push(head, entry as u16, own.msg_type).ok_or(Full)?;
            batch.set_kind(row, program.kind);
            if let Some(name) = own.name {
                batch.set_name(row, NameCol::MsgName, name);
            }
        }
        let length = told.block_length.min(body.len().saturating_sub(root));
        let all = Rows {
            body,
            little: walk.little,
            base: root,
            stride: 0,
            first,
            count: rows,
            root,
            scope,
        };
        let mut run = Run { tools: &mut self.tools, batch, names, version: told.version };
        run.ops(&program.ops, &own.root, length, all);
        for span in &self.spans {
            run.section(program, own, span, &self.entries, all);
        }
        for span in &self.spans {
            let link = program.sections.get(span.group).and_then(|s| s.refer.as_ref());
            if let Some(link) = link {
                refer(link, span, &self.spans, &self.entries, all, run.batch);
            }
        }
        if let (Some(teach), Ok(_)) = (&program.teach, end) {
            learn(teach, all, &mut self.tools, names);
        }
        Ok(())
    }
}

/// A row for a message that no schema knows.
fn unknown(
    told: Option<Told>,
    head: &Head,
    batch: &mut MessageBatch,
    names: &mut Names,
) -> Result<(), Full> {
    let head = Head { flags: head.flags | flags::UNKNOWN_TYPE, ..*head };
    let text = told.map_or("?".to_owned(), |told| told.template_id.to_string());
    let msg_type = names.intern(text.as_bytes()).unwrap_or(Name(0));
    let row = batch.push(&head, 0, msg_type).ok_or(Full)?;
    batch.set_kind(row, Kind::Unknown);
    Ok(())
}

impl MessageNames {
    fn new(name: &str, program: &Program, names: &mut Names) -> Self {
        Self {
            msg_type: names.intern(program.msg_type.as_bytes()).unwrap_or(Name(0)),
            name: names.intern(name.as_bytes()),
            root: coded(&program.ops, names),
            sections: program.sections.iter().map(|s| coded(&s.ops, names)).collect(),
        }
    }
}

fn coded(ops: &[Op], names: &mut Names) -> Vec<Coded> {
    let mut of = |op: &Op| match &op.to {
        To::Coded(_, codes) => {
            let name = |text: &str, names: &mut Names| {
                if text.is_empty() { None } else { names.intern(text.as_bytes()) }
            };
            codes.iter().map(|(bits, text)| (*bits, name(text, names))).collect()
        }
        _ => Vec::new(),
    };
    ops.iter().map(&mut of).collect()
}

/// Finds the groups of a message.
struct Scan<'s> {
    spans: &'s mut Vec<Span>,
    entries: &'s mut Vec<usize>,
    rows: usize,
}

impl Scan<'_> {
    /// Walks the message and gives where it ends.
    #[inline]
    fn message(
        &mut self,
        walk: &Walk<'_>,
        block: &Block,
        program: &Program,
        root: usize,
        length: usize,
    ) -> Result<usize, Cut> {
        let cut = Cut { at: root, needed: length };
        let end = root.checked_add(length).filter(|&end| end <= walk.body.len());
        let mut at = end.ok_or(cut)?;
        for (index, group) in block.groups.iter().enumerate() {
            if group.since > walk.version {
                continue;
            }
            let rows = program.sections.get(index).is_some_and(|section| section.rows);
            at = match rows {
                true => self.rows(walk, group, index, at)?,
                false => walk.skip(group, at)?,
            };
        }
        walk.data(block, at, &mut Nobody)
    }

    /// A group whose entries are rows.
    #[inline]
    fn rows(
        &mut self,
        walk: &Walk<'_>,
        group: &Group,
        index: usize,
        at: usize,
    ) -> Result<usize, Cut> {
        let dimension = walk.dimension(group, at)?;
        let (start, length) = (dimension.start, dimension.block_length);
        let row = self.rows;
        let room = ROWS_MAX.saturating_sub(row);
        let mut span = Span {
            group: index,
            start,
            block_length: length,
            stride: Some(length),
            entry: self.entries.len(),
            row,
            count: 0,
        };
        if group.is_flat() {
            let there = walk.body.len().saturating_sub(start);
            let whole = there.checked_div(length).unwrap_or(0).min(dimension.count);
            span.count = whole.min(room);
            self.rows = self.rows.saturating_add(whole);
            self.spans.push(span);
            return walk.skip(group, at);
        }
        span.stride = None;
        let (mut at, mut end) = (start, Ok(start));
        for _ in 0..dimension.count {
            if span.count < room && at.checked_add(length).is_some_and(|e| e <= walk.body.len()) {
                self.entries.push(at);
                span.count += 1;
            }
            self.rows = self.rows.saturating_add(1);
            end = walk.block(&group.block, at, length, &mut Nobody);
            match end {
                Ok(next) if next > at => at = next,
                _ => break,
            }
        }
        self.spans.push(span);
        end
    }
}

/// Runs operations.
struct Run<'r> {
    tools: &'r mut Tools,
    batch: &'r mut MessageBatch,
    names: &'r mut Names,
    version: u64,
}

impl Run<'_> {
    #[inline]
    fn ops(&mut self, ops: &[Op], coded: &[Coded], length: usize, rows: Rows<'_>) {
        for (op, coded) in ops.iter().zip(coded) {
            if op.since <= self.version && op.end <= length {
                rows.run(op, coded, self.tools, self.batch, self.names);
            }
        }
    }

    /// A group's rows.
    #[inline]
    fn section(
        &mut self,
        program: &Program,
        own: &MessageNames,
        span: &Span,
        entries: &[usize],
        all: Rows<'_>,
    ) {
        let Some(section) = program.sections.get(span.group) else { return };
        let coded = own.sections.get(span.group).map_or(&[][..], Vec::as_slice);
        let first = all.first + span.row;
        if let Some(kind) = section.kind {
            (first..first + span.count).for_each(|row| self.batch.set_kind(row, kind));
        }
        if let Some(stride) = span.stride {
            let rows = Rows { base: span.start, stride, first, count: span.count, ..all };
            return self.ops(&section.ops, coded, span.block_length, rows);
        }
        for index in 0..span.count {
            let Some(&base) = entries.get(span.entry + index) else { return };
            let rows = Rows { base, stride: 0, first: first + index, count: 1, ..all };
            self.ops(&section.ops, coded, span.block_length, rows);
        }
    }
}

impl Span {
    /// Where the block of an entry begins.
    fn base(&self, index: usize, entries: &[usize]) -> Option<usize> {
        match self.stride {
            Some(stride) => Some(self.start + index * stride),
            None => entries.get(self.entry + index).copied(),
        }
    }
}

/// Copies what entries take from the rows that they refer to.
fn refer(
    link: &Link,
    span: &Span,
    spans: &[Span],
    entries: &[usize],
    all: Rows<'_>,
    batch: &mut MessageBatch,
) {
    let Some(target) = spans.iter().find(|span| span.group == link.group) else { return };
    for index in 0..span.count {
        let number = match &link.by {
            // Only one: no doubt.
            None => (target.count == 1).then_some(1),
            Some((from, null)) => {
                let number = |base| run::number(from, all.body, base, all.little);
                let number = span.base(index, entries).and_then(number);
                number.filter(|&number| Some(number) != *null)
            }
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        let other = number.and_then(|n| n.checked_sub(1)).filter(|&n| n < target.count);
        let Some(other) = other else { continue };
        let (from, to) = (all.first + target.row + other, all.first + span.row + index);
        link.take.iter().for_each(|take| copy(*take, from, to, batch));
    }
}

fn copy(take: Take, from: usize, to: usize, batch: &mut MessageBatch) {
    let present = batch.present().get(from).copied().unwrap_or(0);
    match take {
        Take::Int(col) if present & col.bit() != 0 => {
            let value = batch.ints(col)[from];
            batch.set_int(to, col, value);
        }
        Take::Decimal(col) if present & col.bit() != 0 => {
            let value = batch.decimals(col)[from];
            batch.set_decimal(to, col, value);
        }
        Take::Enum(col) if present & col.bit() != 0 => {
            let value = batch.enums(col)[from];
            batch.set_enum(to, col, value);
        }
        Take::Name(col) if present & col.bit() != 0 => {
            let value = batch.names(col)[from];
            batch.set_name(to, col, Name(value));
        }
        _ => {}
    }
}

/// Keeps what a message teaches of an instrument.
fn learn(teach: &Teach, all: Rows<'_>, tools: &mut Tools, names: &mut Names) {
    let read = |from: &From| run::number(from, all.body, all.base, all.little);
    let Some(key) = read(&teach.key) else { return };
    let symbol = teach.symbol.as_ref().and_then(|from| run::text(from, all.body, all.base));
    if let Some(name) = symbol.filter(|text| !text.is_empty()).and_then(|text| names.intern(text)) {
        tools.instruments.set(all.scope, key, 0, u64::from(name.0));
    }
    for (slot, from) in teach.places.iter().enumerate() {
        if let Some(places) = from.as_ref().and_then(read).filter(|&places| places != ABSENT) {
            tools.instruments.set(all.scope, key, 1 + slot, places);
        }
    }
}
