//! Messages into rows, a block at a time.
//!
//! ```text
//! block   A D R A U      choose a layout each, cut where a message taught
//! run     A D R │ A U    sort by layout
//! buckets A · D · R │ A · U     every operation over its bucket; then learn
//! ```
//!
//! What a message teaches holds for the messages after it, wherever a block is
//! cut: a run ends before the first message after one that teaches.

use std::sync::Arc;

use crate::batch::{MessageBatch, NameCol};
use crate::field::Explained;
use crate::fixed::explain;
use crate::fixed::learned::LearnedTable;
use crate::fixed::program::{Layout, Learn, LearnFrom, Op};
use crate::fixed::protocol::{Fit, FixedProtocol};
use crate::fixed::run::{Entry, Machine, Output};
use crate::fixed::text::NO_NAME;
use crate::kind::{Kind, Sender, flags};
use crate::names::{Name, Names};

/// Messages sorted together. More would leave the first-level cache.
const RUN_MAX: usize = 256;

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
    machine: Machine,
    heads: Vec<LayoutHead>,
    counts: Vec<u32>,
    touched: Vec<u16>,
}

/// What every row of a layout has.
#[derive(Clone, Copy, Debug)]
struct LayoutHead {
    kind: u8,
    msg_type: u32,
    msg_name: u32,
    always: u64,
    teaches: Teaches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Teaches {
    Never,
    WhereAbsent,
    Always,
}

/// Messages that are decoded together.
struct Run<'a> {
    entries: Vec<Entry<'a>>,
    layouts: Vec<u16>,
    sorted: Vec<Entry<'a>>,
    teaches: bool,
}

const NO_ENTRY: Entry<'static> = Entry { body: &[], row: 0, scope: 0 };

impl<'a> Run<'a> {
    fn new(room: usize) -> Self {
        let room = room.min(RUN_MAX);
        let (entries, layouts) = (Vec::with_capacity(room), Vec::with_capacity(room));
        Self { entries, layouts, sorted: vec![NO_ENTRY; room], teaches: false }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.layouts.clear();
        self.teaches = false;
    }
}

impl FixedDecoder {
    /// A decoder that has learned nothing. The names of the protocol's
    /// messages are interned here.
    pub fn new(protocol: Arc<FixedProtocol>, names: &mut Names) -> Self {
        let heads: Vec<_> = protocol.layouts.iter().map(|l| LayoutHead::new(l, names)).collect();
        Self {
            machine: Machine::new(&protocol),
            counts: vec![0; heads.len()],
            touched: Vec::with_capacity(heads.len()),
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

    /// Fills the columns of rows that are in the batch already, sets their
    /// kind, type and name. A message of unknown type keeps its row and gets
    /// the flag `UNKNOWN_TYPE`; one that is too short gets `DECODE_ERROR` and
    /// the fields it has; one that is too long gets `IRREGULAR`. Queued rows
    /// that the batch does not have are passed over.
    pub fn decode(&mut self, block: &[Queued<'_>], batch: &mut MessageBatch, names: &mut Names) {
        let mut out = Output { batch, names };
        let mut run = Run::new(block.len());
        for queued in block {
            if queued.row as usize >= out.batch.len() {
                continue;
            }
            match self.protocol.choose(queued.body, queued.sender) {
                Some(choice) if choice.fit != Fit::Shorter => {
                    if choice.fit == Fit::Longer {
                        out.batch.add_flags(queued.row as usize, flags::IRREGULAR);
                    }
                    self.enqueue(queued, choice.layout, &mut run, &mut out);
                }
                Some(choice) => {
                    self.flush(&mut run, &mut out);
                    self.decode_short(queued, choice.layout, &mut out);
                }
                None => self.unknown(queued, &mut out),
            }
        }
        self.flush(&mut run, &mut out);
    }

    /// Every field of a message.
    pub fn explain(&self, body: &[u8], sender: Option<Sender>) -> Explained {
        explain::explain(&self.protocol, body, sender)
    }

    #[inline(always)]
    fn enqueue<'a>(
        &mut self,
        queued: &Queued<'a>,
        layout: usize,
        run: &mut Run<'a>,
        out: &mut Output<'_>,
    ) {
        let teaches = match self.heads.get(layout).map(|head| head.teaches) {
            None | Some(Teaches::Never) => false,
            Some(Teaches::Always) => true,
            Some(Teaches::WhereAbsent) => self.would_learn(layout, queued),
        };
        if run.entries.len() == RUN_MAX || (run.teaches && !teaches) {
            self.flush(run, out);
        }
        run.teaches |= teaches;
        run.entries.push(Entry { body: queued.body, row: queued.row, scope: queued.scope });
        run.layouts.push(layout as u16);
    }

    /// Whether a message that teaches only unknown keys has one.
    fn would_learn(&mut self, layout: usize, queued: &Queued<'_>) -> bool {
        let Some(layout) = self.protocol.layouts.get(layout) else { return false };
        let tables = &mut self.machine.tables;
        layout.learn.iter().any(|learn| lacks(tables, learn, queued.body, queued.scope))
    }

    fn flush(&mut self, run: &mut Run<'_>, out: &mut Output<'_>) {
        if run.entries.is_empty() {
            return;
        }
        self.sort(run);
        let mut start = 0;
        for at in 0..self.touched.len() {
            let layout = usize::from(self.touched.get(at).copied().unwrap_or_default());
            let end = self.counts.get(layout).map_or(start, |&end| end as usize);
            let bucket = run.sorted.get(start..end).unwrap_or_default();
            self.decode_bucket(layout, bucket, out);
            start = end;
            if let Some(count) = self.counts.get_mut(layout) {
                *count = 0;
            }
        }
        self.touched.clear();
        if run.teaches {
            self.learn_run(run, out.names);
        }
        run.clear();
    }

    /// Sorts a run by layout, stably. Afterwards `touched` has the layouts in
    /// the order of their buckets and `counts` has where each bucket ends.
    fn sort(&mut self, run: &mut Run<'_>) {
        for &layout in &run.layouts {
            if let Some(count) = self.counts.get_mut(usize::from(layout)) {
                if *count == 0 {
                    self.touched.push(layout);
                }
                *count += 1;
            }
        }
        let mut start = 0;
        for &layout in &self.touched {
            if let Some(count) = self.counts.get_mut(usize::from(layout)) {
                let size = *count;
                *count = start;
                start += size;
            }
        }
        for (entry, &layout) in run.entries.iter().zip(&run.layouts) {
            if let Some(next) = self.counts.get_mut(usize::from(layout)) {
                if let Some(place) = run.sorted.get_mut(*next as usize) {
                    *place = *entry;
                }
                *next += 1;
            }
        }
    }

    fn decode_bucket(&mut self, at: usize, bucket: &[Entry<'_>], out: &mut Output<'_>) {
        let protocol = Arc::clone(&self.protocol);
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        head.write(bucket, head.always, out.batch);
        for op in &layout.ops {
            self.machine.run(op, bucket, &protocol.code_tables, out);
        }
        if layout.tail.is_some() {
            for entry in bucket {
                self.decode_tail(&protocol, layout, *entry, out);
            }
        }
    }

    /// The elements after the fixed part.
    fn decode_tail(
        &mut self,
        protocol: &FixedProtocol,
        layout: &Layout,
        entry: Entry<'_>,
        out: &mut Output<'_>,
    ) {
        let Some((tlv, list)) = explain::tail_of(protocol, layout, entry.body) else { return };
        let Some(mut elements) = tlv.elements(list.bytes) else { return };
        for element in elements.by_ref() {
            if let Some(spec) = tlv.element(element.tag, element.value.len()) {
                let value = [Entry { body: element.value, ..entry }];
                self.run_alone(&spec.ops, &value, &protocol.code_tables, out);
            }
        }
        if list.is_cut || elements.at() != list.bytes.len() {
            out.batch.add_flags(entry.row as usize, flags::DECODE_ERROR);
        }
    }

    /// Runs operations on one message, and sets the presence bits that else a
    /// bucket's head sets.
    fn run_alone(
        &mut self,
        ops: &[Op],
        entry: &[Entry<'_>; 1],
        codes: &[crate::fixed::program::CodeTable],
        out: &mut Output<'_>,
    ) {
        for op in ops {
            self.machine.run(op, entry, codes, out);
            if op.always() {
                let [Entry { row, .. }] = entry;
                out.batch.heads_mut().present[*row as usize] |= op.bit();
            }
        }
    }

    fn decode_short(&mut self, queued: &Queued<'_>, at: usize, out: &mut Output<'_>) {
        let protocol = Arc::clone(&self.protocol);
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        let entry = [Entry { body: queued.body, row: queued.row, scope: queued.scope }];
        head.write(&entry, 0, out.batch);
        let whole = |op: &&Op| op.end() as usize <= queued.body.len();
        let ops: Vec<Op> = layout.ops.iter().filter(whole).cloned().collect();
        self.run_alone(&ops, &entry, &protocol.code_tables, out);
        out.batch.add_flags(queued.row as usize, flags::DECODE_ERROR);
    }

    fn unknown(&mut self, queued: &Queued<'_>, out: &mut Output<'_>) {
        let row = queued.row as usize;
        out.batch.add_flags(row, flags::UNKNOWN_TYPE);
        out.batch.set_kind(row, Kind::Unknown);
        let code = self.protocol.code_of(queued.body).map(|code| self.protocol.code_text(code));
        if let Some(name) = out.names.intern(code.unwrap_or_default().as_bytes()) {
            out.batch.set_msg_type(row, name);
        }
    }

    /// Applies what the messages of a run teach, in their order.
    fn learn_run(&mut self, run: &Run<'_>, names: &mut Names) {
        let protocol = Arc::clone(&self.protocol);
        for (entry, &layout) in run.entries.iter().zip(&run.layouts) {
            let Some(layout) = protocol.layouts.get(usize::from(layout)) else { continue };
            for learn in &layout.learn {
                self.learn(learn, entry, names);
            }
        }
    }

    fn learn(&mut self, learn: &Learn, entry: &Entry<'_>, names: &mut Names) {
        if learn.if_absent && !lacks(&mut self.machine.tables, learn, entry.body, entry.scope) {
            return;
        }
        let key = learn.key.unsigned(entry.body);
        for (slot, from) in &learn.values {
            let value = match from {
                LearnFrom::Int(at) => at.unsigned(entry.body),
                LearnFrom::Name(from) => match self.machine.name(from, entry.body, names) {
                    NO_NAME => continue,
                    name => u64::from(name),
                },
            };
            if let Some(table) = self.machine.tables.get_mut(learn.table) {
                table.set(entry.scope, key, *slot, value);
            }
        }
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
        let name_bit = msg_name.map_or(0, |_| NameCol::MsgName.bit());
        let teaches = match layout.learn.as_slice() {
            [] => Teaches::Never,
            all if all.iter().all(|learn| learn.if_absent) => Teaches::WhereAbsent,
            _ => Teaches::Always,
        };
        Self {
            kind: layout.kind as u8,
            msg_type: msg_type.0,
            msg_name: msg_name.map_or(NO_NAME, |name| name.0),
            always: layout.always | name_bit,
            teaches,
        }
    }

    fn write(&self, bucket: &[Entry<'_>], always: u64, batch: &mut MessageBatch) {
        let name_bit = self.always & NameCol::MsgName.bit();
        let heads = batch.heads_mut();
        for entry in bucket {
            let row = entry.row as usize;
            heads.kind[row] = self.kind;
            heads.msg_type[row] = self.msg_type;
            heads.msg_name[row] = self.msg_name;
            heads.present[row] |= always | name_bit;
        }
    }
}
