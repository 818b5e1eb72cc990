//! Messages into rows, a block at a time.
//!
//! ```text
//! block   A D R A U      choose a layout each, cut where a message taught
//! run     A D R │ A U    put together by layout
//! buckets A · D · R │ A · U     every operation over its bucket; then learn
//! ```
//!
//! What a message teaches holds for the messages after it, wherever a block is
//! cut: after a message that teaches, a run ends before the first one that does
//! not, or that needs what was taught. Most runs teach nothing new. So a run is
//! first put together without asking; where it turns out to teach, it is put
//! together once more, message by message.

use std::sync::Arc;

use crate::batch::{MessageBatch, NameCol};
use crate::field::Explained;
use crate::fixed::alone::{is_news, run_alone, teach};
use crate::fixed::buckets::{Buckets, PartBuckets, RUN_MAX, WideBuckets};
use crate::fixed::bytes::{Lane, Window, Within};
use crate::fixed::explain;
use crate::fixed::fill::Fill;
use crate::fixed::outline::{NO_OUTLINE, Outlines};
use crate::fixed::place::{KeyAt, NumberAt, Parts, Ref};
use crate::fixed::program::{Layout, Learn, Op};
use crate::fixed::protocol::{Choice, Fit, FixedProtocol};
use crate::fixed::run::{self, Item, Lesson, Machine, Output, Tables};
use crate::fixed::text::NO_NAME;
use crate::fixed::walk::{Step, What};
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
    /// What [`FixedDecoder::look`] says of it.
    pub seen: Seen,
}

/// What a message is at first sight.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its rows, one after the other.
    pub rows: u16,
    /// Its layout, where that is known.
    layout: Option<u16>,
    /// Where its parts are, as far as that is known.
    outline: u32,
}

impl Seen {
    /// A message of one row that nobody has looked at.
    pub const NOTHING: Self = Self { rows: 1, layout: None, outline: NO_OUTLINE };
}

/// Decodes the messages of one protocol.
#[derive(Debug)]
pub struct FixedDecoder {
    protocol: Arc<FixedProtocol>,
    heads: Vec<LayoutHead>,
    machine: Machine,
    buckets: Buckets,
    wide: WideBuckets,
    parts: PartBuckets,
    outlines: Outlines,
    /// Whether every message of a run is asked what it teaches.
    asking: bool,
    run_teaches: bool,
    /// Whether any message of the run had to be asked.
    has_asked: bool,
    show_secrets: bool,
}

/// What every row of a layout has.
#[derive(Clone, Copy, Debug)]
pub struct LayoutHead {
    kind: u8,
    msg_type: u32,
    msg_name: u32,
    name_bit: u64,
    /// Presence bits that are set before the operations run.
    pub presumed: u64,
    /// Those of all columns that the operations fill.
    pub bits: u64,
    /// Whether a message may teach.
    teaches: bool,
    /// Whether one teaches where `lesson` is not known yet.
    where_absent: bool,
    /// Whether it needs what others taught.
    asks: bool,
    /// Key and table of the only lesson.
    lesson: (Window, usize),
    /// Whether the messages of a run are asked together whether they teach.
    asked_together: bool,
    has_lane: bool,
    /// Whether something follows the fixed part.
    varies: bool,
}

impl FixedDecoder {
    /// A decoder that has learned nothing. The names of the protocol's
    /// messages are interned here.
    pub fn new(protocol: Arc<FixedProtocol>, names: &mut Names) -> Self {
        let heads: Vec<_> =
            protocol.layouts.iter().map(|l| LayoutHead::new(l, protocol.code, names)).collect();
        Self {
            machine: Machine::new(&protocol),
            buckets: Buckets::new(heads.len()),
            wide: WideBuckets::new(heads.len()),
            parts: PartBuckets::new(&protocol.parts),
            outlines: Outlines::new(&protocol),
            asking: false,
            run_teaches: false,
            has_asked: false,
            show_secrets: false,
            heads,
            protocol,
        }
    }

    /// The same decoder; passwords are shown where `show_secrets` is true.
    pub fn showing_secrets(mut self, show_secrets: bool) -> Self {
        self.show_secrets = show_secrets;
        self
    }

    /// Decodes parts as if learned values could be wrong: without shortcuts.
    #[cfg(test)]
    pub(crate) fn take_the_plain_way(&mut self) {
        self.machine.has_doubts = true;
        self.outlines.take_the_plain_way();
    }

    /// The protocol.
    pub fn protocol(&self) -> &Arc<FixedProtocol> {
        &self.protocol
    }

    /// Values that were not learned because of a limit.
    pub fn refused(&self) -> u64 {
        self.machine.tables.iter().fold(0, |sum, table| sum.saturating_add(table.refused()))
    }

    /// Keeps what is taught for [`lessons`](Self::lessons).
    pub fn keep_lessons(&mut self) {
        self.machine.lessons.get_or_insert_default();
    }

    /// What was taught since the last call, in order.
    pub fn lessons(&mut self) -> impl Iterator<Item = Lesson> {
        self.machine.lessons.iter_mut().flat_map(|lessons| lessons.drain(..))
    }

    /// Takes over a value from before the first message; it may be wrong where
    /// `doubt`.
    pub fn take_over(&mut self, scope: u32, at: (usize, u64, usize), value: u64, doubt: bool) {
        let (table, key, slot) = at;
        let Some(table) = self.machine.tables.get_mut(table) else { return };
        table.set(scope, key, slot, value);
        if doubt {
            table.doubt(scope, key);
            self.machine.has_doubts = true;
        }
    }

    /// Every field of a message.
    pub fn explain(&self, body: &[u8], sender: Option<Sender>) -> Explained {
        explain::explain_with(&self.protocol, body, sender, self.show_secrets)
    }

    /// What a message is at first sight: how many rows to push for it.
    #[inline]
    pub fn look(&mut self, body: &[u8], sender: Option<Sender>) -> Seen {
        let Self { protocol, outlines, heads, .. } = self;
        let quick = protocol.choose_quickly(body, sender);
        let Some(layout) = quick.or_else(|| protocol.layout_of(body, sender)) else {
            return Seen::NOTHING;
        };
        let varies = heads.get(usize::from(layout)).is_some_and(|head| head.varies);
        let outline = if varies { outlines.ahead(protocol, layout, body) } else { NO_OUTLINE };
        let rows = outlines.get(outline).map_or(1, |outline| outline.rows);
        Seen { rows, layout: quick, outline }
    }

    /// Fills the columns of rows that are in the batch already, sets their
    /// kind, type and name. A message of unknown type keeps its row and gets
    /// the flag `UNKNOWN_TYPE`; one that is too short gets `DECODE_ERROR` and
    /// the fields it has; one that is too long gets `IRREGULAR`. Queued rows
    /// that the batch does not have are passed over.
    pub fn decode(&mut self, block: &[Queued<'_>], batch: &mut MessageBatch, names: &mut Names) {
        let protocol = Arc::clone(&self.protocol);
        let mut out = Output { batch, names };
        let mut rest = block;
        while !rest.is_empty() {
            let taken = self.begin_run(&protocol, rest, &mut out);
            let (messages, after) = rest.split_at(taken.max(1));
            self.decode_run(&protocol, messages, &mut out);
            rest = after;
        }
        self.outlines.make_room();
    }

    /// Chooses layouts until a run must end, and gives how many messages it
    /// has.
    fn begin_run(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        out: &mut Output<'_>,
    ) -> usize {
        self.run_teaches = false;
        if !self.asking {
            let taken = self.gather::<false>(protocol, messages, out);
            if taken > 0 && !self.gathered_teaches() {
                return taken;
            }
            self.forget_run();
        }
        self.has_asked = false;
        let taken = self.gather::<true>(protocol, messages, out);
        self.asking = self.run_teaches || self.has_asked;
        taken
    }

    /// Adds messages until one may not be in the run; where `ASKING`, each is
    /// asked whether it teaches.
    fn gather<const ASKING: bool>(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        out: &mut Output<'_>,
    ) -> usize {
        let rows = out.batch.len();
        for (i, queued) in messages.iter().take(RUN_MAX).enumerate() {
            let choose = || protocol.choose_quickly(queued.body, queued.sender);
            let quick = queued.seen.layout.or_else(choose);
            let goes_on = match quick {
                Some(layout) if (queued.row as usize) < rows => {
                    self.join::<ASKING>(protocol, queued, layout, out.names)
                }
                _ => self.join_unusual::<ASKING>(protocol, queued, out),
            };
            if !goes_on {
                return i;
            }
            if self.wide.is_full() || self.parts.is_full() {
                return i + 1;
            }
        }
        messages.len().min(RUN_MAX)
    }

    /// Whether a message of the buckets teaches a key that is not known yet.
    fn gathered_teaches(&mut self) -> bool {
        for i in 0..self.buckets.count() {
            let Some((layout, bucket)) = self.buckets.bucket(i) else { continue };
            let Some(head) = self.heads.get(layout).filter(|head| head.where_absent) else {
                continue;
            };
            let (key, table) = head.lesson;
            let Some(table) = self.machine.tables.get_mut(table) else { continue };
            for item in bucket {
                if !table.knows(item.scope, key.unsigned_in(&item.body)) {
                    return true;
                }
            }
        }
        false
    }

    /// Adds a message to the run; false where the run must end before it.
    #[inline(always)]
    fn join<const ASKING: bool>(
        &mut self,
        protocol: &FixedProtocol,
        queued: &Queued<'_>,
        layout: u16,
        names: &mut Names,
    ) -> bool {
        let Some(head) = self.heads.get(usize::from(layout)) else { return true };
        let (has_lane, mut outline) = (head.has_lane, NO_OUTLINE);
        if head.varies {
            outline = self.outlines.of(protocol, layout, queued.body, queued.seen.outline);
        }
        let may_join = if ASKING {
            self.may_join(protocol, queued, (layout, outline), names)
        } else {
            head.asked_together
        };
        if !may_join {
            return false;
        }
        let Queued { body, row, scope, .. } = *queued;
        if has_lane {
            self.buckets.push(layout, body, row, scope);
        } else {
            let rows = u32::from(queued.seen.rows);
            let message = self.wide.push(layout, body, (row, rows), (scope, outline));
            if let Some(outline) = self.outlines.get(outline) {
                if self.outlines.is_special(outline, rows) {
                    self.wide.special.push(message);
                }
                if !outline.by_itself {
                    self.parts.push(&message, outline, &self.outlines);
                }
            }
        }
        true
    }

    /// Whether a message may be in the run, by what it teaches and needs.
    #[inline(never)]
    fn may_join(
        &mut self,
        protocol: &FixedProtocol,
        queued: &Queued<'_>,
        (layout, outline): (u16, u32),
        names: &mut Names,
    ) -> bool {
        let Some(head) = self.heads.get(usize::from(layout)) else { return true };
        self.has_asked |= !head.asked_together;
        let mut taught = Taught { protocol, outlines: &self.outlines, machine: &mut self.machine };
        let teaches = head.teaches && taught.is_news(queued, (layout, outline), names);
        if self.run_teaches && (!teaches || head.asks) {
            return false;
        }
        self.run_teaches |= teaches;
        true
    }

    /// The same for a message whose size is wrong or has to be looked at, or
    /// whose type is unknown.
    #[inline(never)]
    fn join_unusual<const ASKING: bool>(
        &mut self,
        protocol: &FixedProtocol,
        queued: &Queued<'_>,
        out: &mut Output<'_>,
    ) -> bool {
        let row = queued.row as usize;
        if row >= out.batch.len() {
            return true;
        }
        match protocol.choose(queued.body, queued.sender) {
            Some(Choice { fit: Fit::Shorter, .. }) if self.run_teaches => false,
            // It is decoded at once: what the run teaches must be known by then.
            Some(Choice { fit: Fit::Shorter, .. }) if !ASKING => false,
            Some(Choice { layout, fit: Fit::Shorter }) => {
                self.decode_short(protocol, queued, layout, out);
                true
            }
            Some(Choice { layout, fit }) => {
                if fit == Fit::Longer {
                    out.batch.add_flags(row, flags::IRREGULAR);
                }
                self.join::<ASKING>(protocol, queued, layout as u16, out.names)
            }
            None => {
                unknown(protocol, queued, out);
                true
            }
        }
    }

    fn decode_run(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        out: &mut Output<'_>,
    ) {
        let (machine, heads, outlines) = (&mut self.machine, &self.heads, &self.outlines);
        let mut fill = Fill { protocol, heads, machine, outlines };
        for i in 0..self.buckets.count() {
            if let Some((layout, bucket)) = self.buckets.bucket(i) {
                fill.fixed(layout, bucket, &[], out);
            }
        }
        fill.wide(&self.wide, &self.parts, out);
        self.forget_run();
        if self.run_teaches {
            self.learn_run(protocol, messages, out);
        }
    }

    fn forget_run(&mut self) {
        self.buckets.clear();
        self.wide.clear();
        self.parts.clear();
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
        let body = Within { body: queued.body, parts: None };
        let item = Item { body, row: queued.row, scope: queued.scope };
        head.write(std::iter::once(queued.row), 0, out.batch);
        let ops = layout.ops.iter().filter(|op| op.end() as usize <= queued.body.len());
        run_alone(&mut self.machine, ops, item, Tables::of(protocol), out);
        out.batch.add_flags(queued.row as usize, flags::DECODE_ERROR);
    }

    /// Applies what the messages of a run teach, in their order.
    fn learn_run(
        &mut self,
        protocol: &FixedProtocol,
        messages: &[Queued<'_>],
        out: &mut Output<'_>,
    ) {
        let rows = out.batch.len();
        for queued in messages.iter().filter(|queued| (queued.row as usize) < rows) {
            let Some(layout) = protocol.layout_of(queued.body, queued.sender) else { continue };
            let outline = match protocol.layouts.get(usize::from(layout)) {
                Some(Layout { teaches_behind: true, .. }) => {
                    self.outlines.of(protocol, layout, queued.body, queued.seen.outline)
                }
                _ => NO_OUTLINE,
            };
            let mut taught =
                Taught { protocol, outlines: &self.outlines, machine: &mut self.machine };
            taught.each(queued, (layout, outline), |machine, learn, item, parts| {
                teach(machine, learn, item, parts, out.names);
                false
            });
        }
    }
}

/// What messages teach.
struct Taught<'d> {
    protocol: &'d FixedProtocol,
    outlines: &'d Outlines,
    machine: &'d mut Machine,
}

impl Taught<'_> {
    /// Calls `f` with all that a message teaches, until it is true; whether it
    /// was. What is whole before a cut is taught.
    fn each(
        &mut self,
        queued: &Queued<'_>,
        (layout, outline): (u16, u32),
        mut f: impl FnMut(&mut Machine, &Learn, Item<&[u8]>, Option<Parts<'_>>) -> bool,
    ) -> bool {
        let Queued { body, row, scope, .. } = *queued;
        let layout = self.protocol.layouts.get(usize::from(layout));
        for learn in layout.into_iter().flat_map(|layout| &layout.learn) {
            if f(self.machine, learn, Item { body, row, scope }, None) {
                return true;
            }
        }
        let Some(outline) = self.outlines.get(outline) else { return false };
        for (lesson, bases) in self.outlines.lessons(outline) {
            let Some(part) = self.protocol.parts.get(lesson.part as usize) else { continue };
            let item = Item { body: body.get(lesson.at..).unwrap_or_default(), row, scope };
            let parts = Parts { body, bases };
            if part.learn.iter().any(|learn| f(self.machine, learn, item, Some(parts))) {
                return true;
            }
        }
        false
    }

    /// Whether a message would teach anything new.
    #[inline(never)]
    fn is_news(&mut self, queued: &Queued<'_>, at: (u16, u32), names: &mut Names) -> bool {
        self.each(queued, at, |machine, learn, item, parts| {
            is_news(machine, learn, item, parts, names)
        })
    }
}

/// Whether any of these needs what was learned.
fn asks(ops: &[Op], learn: &[Learn], steps: &[Step]) -> bool {
    let of = |step: &Step| match &step.what {
        What::Once(shape) | What::Each { shape, .. } => {
            asks(&shape.ops, &shape.learn, &shape.steps)
        }
        // Their operations are the protocol's: they may.
        What::Elements { .. } | What::Chosen { .. } => true,
        What::Text { .. } | What::Bits { .. } => false,
    };
    let by_learned = |learn: &Learn| matches!(learn.key, KeyAt::Learned(_));
    ops.iter().any(Op::asks) || learn.iter().any(by_learned) || steps.iter().any(of)
}

/// Whether a layout's messages fit in lanes.
fn has_lane(layout: &Layout) -> bool {
    layout.steps.is_empty() && layout.size as usize <= size_of::<Lane>()
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

impl LayoutHead {
    fn new(layout: &Layout, code: Window, names: &mut Names) -> Self {
        let msg_type = names.intern(layout.code_text.as_bytes()).unwrap_or(Name(0));
        let msg_name = names.intern(layout.name.as_bytes());
        let absent = layout.learn.iter().all(|learn| learn.if_absent) && !layout.teaches_behind;
        let lesson = match layout.learn.as_slice() {
            [
                Learn {
                    key: KeyAt::Field(Ref { at: NumberAt::Plain { at, .. }, .. }), table, ..
                },
            ] => Some((*at, *table)),
            _ => None,
        };
        let (has_lane, where_absent) = (has_lane(layout), absent && lesson.is_some());
        let many_lessons = absent && lesson.is_none() && !layout.learn.is_empty();
        Self {
            kind: layout.kind as u8,
            msg_type: msg_type.0,
            msg_name: msg_name.map_or(NO_NAME, |name| name.0),
            name_bit: msg_name.map_or(0, |_| NameCol::MsgName.bit()),
            presumed: layout.presumed,
            bits: layout.ops.iter().fold(0, |bits, op| bits | op.bit()),
            teaches: !layout.learn.is_empty() || layout.teaches_behind,
            asks: asks(&layout.ops, &layout.learn, &layout.steps),
            where_absent,
            lesson: lesson.unwrap_or((code, 0)),
            asked_together: absent && !many_lessons && (has_lane || !where_absent),
            has_lane,
            varies: layout.varies(),
        }
    }

    /// Writes what every row of the layout has, and presence bits.
    pub fn write(&self, rows: impl Iterator<Item = u32>, presumed: u64, batch: &mut MessageBatch) {
        let heads = batch.heads_mut();
        for row in rows.map(run::slot) {
            heads.kind[row] = self.kind;
            heads.msg_type[row] = self.msg_type;
            heads.msg_name[row] = self.msg_name;
            heads.present[row] |= presumed | self.name_bit;
        }
    }
}
