//! Messages into rows, a block at a time.
//!
//! ```text
//! block   A D R A U      choose a layout each, cut where a message taught
//! run     A D R │ A U    sort by layout
//! buckets A · D · R │ A · U     every operation over its bucket; then learn
//! ```
//!
//! What a message teaches holds for the messages after it, wherever a block is
//! cut: a run ends before the first message that does not teach after one that
//! does.

use std::sync::Arc;

use crate::batch::{MessageBatch, NameCol};
use crate::field::Explained;
use crate::fixed::bytes::{Body, Lane};
use crate::fixed::explain;
use crate::fixed::learned::LearnedTable;
use crate::fixed::program::{CodeTable, Layout, Learn, LearnFrom, Op};
use crate::fixed::protocol::{Choice, Fit, FixedProtocol};
use crate::fixed::run::{Bucket, Machine, Output};
use crate::fixed::sorter::{DONE, RUN_MAX, Sorted, Sorter, Wide};
use crate::fixed::text::NO_NAME;
use crate::kind::{Kind, Sender, flags};
use crate::names::{Name, Names};

/// A message whose row the framing has pushed.
#[derive(Clone, Copy, Debug)]
pub struct Queued<'a> {
    /// The row to fill.
    pub row: u32,
    /// The message, without its framing.
    pub body: &'a [u8],
    /// Which learned values are its: one number a flow and session.
    pub scope: u32,
    /// Which end sent it, where known.
    pub sender: Option<Sender>,
}

/// Decodes the messages of one protocol.
#[derive(Debug)]
pub struct FixedDecoder {
    protocol: Arc<FixedProtocol>,
    heads: Vec<LayoutHead>,
    machine: Machine,
    sorter: Sorter,
    run_teaches: bool,
}

/// What every row of a layout has.
#[derive(Clone, Copy, Debug)]
struct LayoutHead {
    kind: u8,
    msg_type: u32,
    msg_name: u32,
    name_bit: u64,
    presumed: u64,
    teaches: Teaches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Teaches {
    Never,
    WhereAbsent,
    Always,
}

impl FixedDecoder {
    /// A decoder that has learned nothing. The names of the protocol's
    /// messages are interned here.
    pub fn new(protocol: Arc<FixedProtocol>, names: &mut Names) -> Self {
        let heads = protocol.layouts.iter().map(|layout| LayoutHead::new(layout, names)).collect();
        let narrow = protocol.layouts.iter().map(has_lane).collect();
        Self {
            machine: Machine::new(&protocol),
            sorter: Sorter::new(narrow),
            run_teaches: false,
            heads,
            protocol,
        }
    }

    /// The protocol.
    pub fn protocol(&self) -> &Arc<FixedProtocol> {
        &self.protocol
    }

    /// Values that were not learned because of a limit.
    pub fn refused(&self) -> u64 {
        self.machine.tables.iter().fold(0, |sum, table| sum.saturating_add(table.refused()))
    }

    /// Every field of a message.
    pub fn explain(&self, body: &[u8], sender: Option<Sender>) -> Explained {
        explain::explain(&self.protocol, body, sender)
    }

    /// Fills the columns of rows that are in the batch already, sets their
    /// kind, type and name. A message of unknown type keeps its row and gets
    /// the flag `UNKNOWN_TYPE`; one that is too short gets `DECODE_ERROR` and
    /// the fields it has; one that is too long gets `IRREGULAR`. Queued rows
    /// that the batch does not have are passed over.
    pub fn decode(&mut self, block: &[Queued<'_>], batch: &mut MessageBatch, names: &mut Names) {
        let protocol = Arc::clone(&self.protocol);
        let mut out = Output { batch, names };
        let mut wide = Wide::new(block.len());
        let mut rest = block;
        while !rest.is_empty() {
            let taken = self.begin_run(&protocol, rest, &mut out);
            let (messages, after) = rest.split_at(taken);
            self.decode_run(&protocol, messages, &mut wide, &mut out);
            rest = after;
        }
    }

    /// Chooses layouts until a run must end, and gives how many messages it
    /// has, at least one.
    fn begin_run(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        out: &mut Output<'_>,
    ) -> usize {
        self.sorter.clear();
        self.run_teaches = false;
        let rows = out.batch.len();
        for queued in messages.iter().take(RUN_MAX) {
            let quick = protocol.choose_exact(queued.body, queued.sender);
            let goes_on = match quick {
                Some(layout) if (queued.row as usize) < rows => self.join(protocol, queued, layout),
                _ => self.join_unusual(protocol, queued, out),
            };
            if !goes_on {
                break;
            }
        }
        self.sorter.layouts.len()
    }

    /// Adds a message to the run; false where the run must end before it.
    #[inline(always)]
    fn join(&mut self, protocol: &FixedProtocol, queued: &Queued<'_>, layout: u16) -> bool {
        let teaches = match self.heads.get(usize::from(layout)).map(|head| head.teaches) {
            None | Some(Teaches::Never) => false,
            Some(Teaches::Always) => true,
            Some(Teaches::WhereAbsent) => self.would_learn(protocol, queued, layout),
        };
        if self.run_teaches && !teaches {
            return false;
        }
        self.run_teaches |= teaches;
        self.sorter.push(layout);
        true
    }

    /// The same for a message whose size varies, is wrong, or whose type is
    /// unknown.
    #[inline(never)]
    fn join_unusual(
        &mut self,
        protocol: &FixedProtocol,
        queued: &Queued<'_>,
        out: &mut Output<'_>,
    ) -> bool {
        let row = queued.row as usize;
        if row >= out.batch.len() {
            self.sorter.push(DONE);
            return true;
        }
        match protocol.choose(queued.body, queued.sender) {
            Some(Choice { layout, fit: Fit::Shorter }) => {
                if self.run_teaches {
                    return false;
                }
                self.decode_short(protocol, queued, layout, out);
                self.sorter.push(DONE);
                true
            }
            Some(Choice { layout, fit }) => {
                if fit == Fit::Longer {
                    out.batch.add_flags(row, flags::IRREGULAR);
                }
                self.join(protocol, queued, layout as u16)
            }
            None => {
                unknown(protocol, queued, out);
                self.sorter.push(DONE);
                true
            }
        }
    }

    /// Whether a message that teaches only unknown keys has one.
    #[inline(always)]
    fn would_learn(&mut self, protocol: &FixedProtocol, queued: &Queued<'_>, layout: u16) -> bool {
        let Some(layout) = protocol.layouts.get(usize::from(layout)) else { return false };
        let tables = &mut self.machine.tables;
        layout.learn.iter().any(|learn| lacks(tables, learn, queued.body, queued.scope))
    }

    fn decode_run<'a>(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'a>],
        wide: &mut Wide<'a>,
        out: &mut Output<'_>,
    ) {
        let mut sorter = std::mem::take(&mut self.sorter);
        sorter.start_placing();
        for (i, queued) in messages.iter().enumerate() {
            let layout = sorter.layouts.get(i).copied().unwrap_or(DONE);
            sorter.place(layout, (queued.body, queued.row, queued.scope), wide);
        }
        for i in 0..sorter.buckets() {
            match sorter.bucket(i, wide) {
                Some((layout, Sorted::Narrow(bucket))) => {
                    self.decode_bucket(protocol, layout, bucket, out);
                }
                Some((layout, Sorted::Wide(bucket))) => {
                    self.decode_bucket(protocol, layout, bucket, out);
                    self.decode_tails(protocol, layout, bucket, out);
                }
                None => {}
            }
        }
        if self.run_teaches {
            self.learn_run(protocol, messages, &sorter.layouts, out.names);
        }
        self.sorter = sorter;
    }

    fn decode_bucket<B: Body>(
        &mut self,
        protocol: &FixedProtocol,
        at: usize,
        bucket: Bucket<'_, B>,
        out: &mut Output<'_>,
    ) {
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        head.write(bucket.rows, head.presumed, out.batch);
        for op in &layout.ops {
            self.machine.run(op, bucket, &protocol.code_tables, out);
        }
    }

    /// The elements after the fixed part.
    fn decode_tails(
        &mut self,
        protocol: &FixedProtocol,
        at: usize,
        bucket: Bucket<'_, &[u8]>,
        out: &mut Output<'_>,
    ) {
        let Some(layout) = protocol.layouts.get(at) else { return };
        let messages = bucket.bodies.iter().zip(bucket.rows).zip(bucket.scopes);
        for ((&body, &row), &scope) in messages {
            let Some((tlv, list)) = explain::tail_of(protocol, layout, body) else { return };
            let Some(mut elements) = tlv.elements(list.bytes) else { return };
            for element in elements.by_ref() {
                if let Some(spec) = tlv.element(element.tag, element.value.len()) {
                    self.run_alone(&spec.ops, (element.value, row, scope), protocol, out);
                }
            }
            if list.is_cut || elements.at() != list.bytes.len() {
                out.batch.add_flags(row as usize, flags::DECODE_ERROR);
            }
        }
    }

    /// Runs operations on one message.
    fn run_alone<'o>(
        &mut self,
        ops: impl IntoIterator<Item = &'o Op>,
        (body, row, scope): (&[u8], u32, u32),
        protocol: &FixedProtocol,
        out: &mut Output<'_>,
    ) {
        let codes: &[CodeTable] = &protocol.code_tables;
        for op in ops {
            if op.presumes() {
                out.batch.heads_mut().present[row as usize] |= op.bit();
            }
            let bucket = Bucket { bodies: &[body], rows: &[row], scopes: &[scope] };
            self.machine.run(op, bucket, codes, out);
        }
    }

    fn decode_short(
        &mut self,
        protocol: &FixedProtocol,
        queued: &Queued<'_>,
        at: usize,
        out: &mut Output<'_>,
    ) {
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        head.write(&[queued.row], 0, out.batch);
        let ops = layout.ops.iter().filter(|op| op.end() as usize <= queued.body.len());
        self.run_alone(ops, (queued.body, queued.row, queued.scope), protocol, out);
        out.batch.add_flags(queued.row as usize, flags::DECODE_ERROR);
    }

    /// Applies what the messages of a run teach, in their order.
    fn learn_run(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        layouts: &[u16],
        names: &mut Names,
    ) {
        for (queued, &layout) in messages.iter().zip(layouts) {
            let Some(layout) = protocol.layouts.get(usize::from(layout)) else { continue };
            for learn in &layout.learn {
                self.learn(learn, queued, names);
            }
        }
    }

    fn learn(&mut self, learn: &Learn, queued: &Queued<'_>, names: &mut Names) {
        let (body, scope) = (queued.body, queued.scope);
        if learn.if_absent && !lacks(&mut self.machine.tables, learn, body, scope) {
            return;
        }
        let key = learn.key.unsigned(body);
        for (slot, from) in &learn.values {
            let value = match from {
                LearnFrom::Int(at) => at.unsigned(body),
                LearnFrom::Name(from) => match self.machine.name(from, body, names) {
                    NO_NAME => continue,
                    name => u64::from(name),
                },
            };
            if let Some(table) = self.machine.tables.get_mut(learn.table) {
                table.set(scope, key, *slot, value);
            }
        }
    }
}

/// Whether a layout's messages fit in lanes.
fn has_lane(layout: &Layout) -> bool {
    layout.tail.is_none() && layout.size as usize <= size_of::<Lane>()
}

fn unknown(protocol: &FixedProtocol, queued: &Queued<'_>, out: &mut Output<'_>) {
    let row = queued.row as usize;
    out.batch.add_flags(row, flags::UNKNOWN_TYPE);
    out.batch.set_kind(row, Kind::Unknown);
    let code = protocol.code_of(queued.body).map(|code| protocol.code_text(code));
    if let Some(name) = out.names.intern(code.unwrap_or_default().as_bytes()) {
        out.batch.set_msg_type(row, name);
    }
}

/// Whether the table does not know the message's key.
#[inline(always)]
fn lacks(tables: &mut [LearnedTable], learn: &Learn, body: &[u8], scope: u32) -> bool {
    let key = learn.key.unsigned(body);
    tables.get_mut(learn.table).is_some_and(|table| !table.knows(scope, key))
}

impl LayoutHead {
    fn new(layout: &Layout, names: &mut Names) -> Self {
        let msg_type = names.intern(layout.code_text.as_bytes()).unwrap_or(Name(0));
        let msg_name = names.intern(layout.name.as_bytes());
        let teaches = match layout.learn.as_slice() {
            [] => Teaches::Never,
            all if all.iter().all(|learn| learn.if_absent) => Teaches::WhereAbsent,
            _ => Teaches::Always,
        };
        Self {
            kind: layout.kind as u8,
            msg_type: msg_type.0,
            msg_name: msg_name.map_or(NO_NAME, |name| name.0),
            name_bit: msg_name.map_or(0, |_| NameCol::MsgName.bit()),
            presumed: layout.presumed,
            teaches,
        }
    }

    /// Writes what every row of the layout has, and presence bits.
    fn write(&self, rows: &[u32], presumed: u64, batch: &mut MessageBatch) {
        let heads = batch.heads_mut();
        for &row in rows {
            let row = row as usize;
            heads.kind[row] = self.kind;
            heads.msg_type[row] = self.msg_type;
            heads.msg_name[row] = self.msg_name;
            heads.present[row] |= presumed | self.name_bit;
        }
    }
}
