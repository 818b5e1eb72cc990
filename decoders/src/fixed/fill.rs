//! Rows from a run that is put together.
//!
//! ```text
//! layouts    operations of the fixed part over all messages of each
//!            put what follows to its like, as each message's outline says
//! parts      operations of each part over all of its kind
//! by itself  messages that have a part twice, or parts in any order
//! ```

use crate::batch::CopyOf;
use crate::fixed::alone::run_alone;
use crate::fixed::buckets::{PartBuckets, Wide, WideBuckets};
use crate::fixed::bytes::Within;
use crate::fixed::decoder::LayoutHead;
use crate::fixed::outline::{Outline, Outlines, TextAt};
use crate::fixed::place::Parts;
use crate::fixed::program::Op;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::run::{Bucket, Item, Machine, Output, Tables, long_name};
use crate::fixed::text::NO_NAME;
use crate::fixed::walk::TextTo;
use crate::kind::flags;
use crate::names::Name;

/// Fills the rows of a run.
pub struct Fill<'d> {
    /// The protocol.
    pub protocol: &'d FixedProtocol,
    /// What every row of a layout has.
    pub heads: &'d [LayoutHead],
    /// Clocks, names and learned values.
    pub machine: &'d mut Machine,
    /// Where the parts of messages are.
    pub outlines: &'d Outlines,
}

impl Fill<'_> {
    /// The fixed parts of messages of one layout, and rows that have the same.
    pub fn fixed(
        &mut self,
        at: usize,
        bucket: impl Bucket,
        copies: &[CopyOf],
        out: &mut Output<'_>,
    ) {
        let protocol = self.protocol;
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        head.write(bucket.clone().map(|item| item.row), head.presumed, out.batch);
        head.write(copies.iter().map(|copy| copy.to), 0, out.batch);
        with_copies(copies, head.bits, out, |out| {
            self.ops(&layout.ops, bucket, out);
        });
    }

    /// Messages that are wide or go on behind their fixed parts.
    pub fn wide(&mut self, wide: &WideBuckets, parts: &PartBuckets, out: &mut Output<'_>) {
        for i in 0..wide.count() {
            if let Some((at, bucket)) = wide.bucket(i) {
                self.fixed(at, wide.firsts(bucket), &bucket.copies, out);
            }
        }
        for message in &wide.special {
            let Some(outline) = self.outlines.get(message.outline) else { continue };
            if outline.flags != 0 || outline.entries > message.rows {
                mark(outline, message, out);
            }
            if outline.by_itself {
                self.by_itself(message, outline, wide, out);
                continue;
            }
            for text in self.outlines.texts(outline) {
                put_text(text, message, wide, out);
            }
        }
        for number in parts.numbers() {
            self.part(number, wide, parts, out);
        }
    }

    /// The parts of one message, as they stand.
    fn by_itself(
        &mut self,
        message: &Wide,
        outline: &Outline,
        wide: &WideBuckets,
        out: &mut Output<'_>,
    ) {
        let (body, outlines) = (wide.body(message), self.outlines);
        let mut texts = outlines.texts(outline).iter().peekable();
        for (i, at) in outlines.parts(outline).iter().enumerate() {
            while let Some(text) = texts.next_if(|text| text.before <= i) {
                put_text(text, message, wide, out);
            }
            let Some(part) = self.protocol.parts.get(at.part as usize) else { continue };
            let Some(rest) = body.get(at.at as usize..) else { continue };
            let bases = outlines.bases(at.bases, part.slots);
            let parts = (part.slots > 0).then_some(Parts { body, bases });
            for row in at.rows(message.row, message.rows) {
                let body = Within { body: rest, parts };
                let item = Item { body, row, scope: message.scope };
                let ops = part.near.iter().chain(&part.far);
                run_alone(self.machine, ops, item, Tables::of(self.protocol), out);
            }
        }
        texts.for_each(|text| put_text(text, message, wide, out));
    }

    /// The parts with one number.
    fn part(&mut self, number: u32, wide: &WideBuckets, parts: &PartBuckets, out: &mut Output<'_>) {
        let Some(part) = self.protocol.parts.get(number as usize) else { return };
        let items = parts.items(number, wide);
        let heads = out.batch.heads_mut();
        items.clone().for_each(|item| heads.present[item.slot()] |= part.presumed);
        with_copies(parts.copies(number), part.bits, out, |out| {
            self.ops(&part.near, items, out);
            if !part.far.is_empty() {
                self.ops(&part.far, parts.within(number, wide, self.outlines), out);
            }
        });
    }

    fn ops(&mut self, ops: &[Op], items: impl Bucket, out: &mut Output<'_>) {
        for op in ops {
            self.machine.run(op, items.clone(), Tables::of(self.protocol), out);
        }
    }
}

/// Fills columns of rows, and gives what they then have to others of the same
/// messages.
fn with_copies(
    copies: &[CopyOf],
    bits: u64,
    out: &mut Output<'_>,
    fill: impl FnOnce(&mut Output<'_>),
) {
    const DOUBT: u32 = flags::MAYBE_BAD_STATE;
    let take = |copy: &CopyOf| out.batch.change_flags(copy.from as usize, 0, DOUBT) & DOUBT;
    let before: Vec<u32> = copies.iter().map(take).collect();
    fill(out);
    out.batch.copy_down(bits, copies);
    for copy in copies {
        let new = out.batch.change_flags(copy.from as usize, 0, 0) & DOUBT;
        out.batch.change_flags(copy.to as usize, new, 0);
    }
    for (copy, before) in copies.iter().zip(before) {
        out.batch.change_flags(copy.from as usize, before, 0);
    }
}

/// Says what is wrong with a message in its rows.
#[cold]
fn mark(outline: &Outline, message: &Wide, out: &mut Output<'_>) {
    let too_many = outline.entries > message.rows;
    let wrong = outline.flags | if too_many { flags::IRREGULAR } else { 0 };
    out.batch.add_flags(message.row as usize, flags::IRREGULAR);
    let rows = message.row..message.row.saturating_add(message.rows);
    rows.for_each(|row| out.batch.add_flags(row as usize, wrong));
}

fn put_text(text: &TextAt, message: &Wide, wide: &WideBuckets, out: &mut Output<'_>) {
    let bytes = wide.body(message).get(text.at..text.at.saturating_add(text.len));
    let trimmed = text.trim.apply(bytes.unwrap_or_default());
    if trimmed.is_empty() {
        return;
    }
    for row in text.rows(message.row, message.rows) {
        let Output { batch, names } = &mut *out;
        match text.to {
            TextTo::Text(col) => batch.set_text(row as usize, col, trimmed),
            TextTo::Name(col) => match long_name(trimmed, names) {
                NO_NAME => {}
                name => batch.set_name(row as usize, col, Name(name)),
            },
        }
    }
}
