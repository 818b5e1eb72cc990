//! Rows from a run that is put together.
//!
//! ```text
//! layouts    operations of the fixed part over all messages of each
//!            put what follows to its like, as each message's outline says
//! parts      operations of each part over all of its kind
//! by itself  messages that have a part twice, or parts in any order
//! ```

use crate::fixed::alone::run_alone;
use crate::fixed::buckets::{PartBuckets, Wide, WideBuckets};
use crate::fixed::bytes::Within;
use crate::fixed::decoder::LayoutHead;
use crate::fixed::outline::{Outline, Outlines, TextAt};
use crate::fixed::parts::Part;
use crate::fixed::place::Parts;
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
    /// The fixed parts of messages of one layout.
    pub fn fixed(&mut self, at: usize, bucket: impl Bucket, out: &mut Output<'_>) {
        let protocol = self.protocol;
        let (Some(layout), Some(head)) = (protocol.layouts.get(at), self.heads.get(at)) else {
            return;
        };
        head.write(bucket.clone(), head.presumed, out.batch);
        for op in &layout.ops {
            self.machine.run(op, bucket.clone(), Tables::of(protocol), out);
        }
    }

    /// Messages that are wide or go on behind their fixed parts.
    pub fn wide(&mut self, wide: &WideBuckets, parts: &mut PartBuckets, out: &mut Output<'_>) {
        for i in 0..wide.count() {
            let Some((at, bucket)) = wide.bucket(i) else { continue };
            self.fixed(at, wide.rows(bucket), out);
            for message in &bucket.messages {
                let Some(outline) = self.outlines.get(message.outline) else { continue };
                if outline.flags != 0 || outline.entries > message.rows {
                    mark(outline, message, out);
                }
                if outline.by_itself {
                    self.by_itself(message, outline, wide, out);
                    continue;
                }
                parts.push(message, outline, self.outlines);
                for text in self.outlines.texts(outline) {
                    put_text(text, message, wide, out);
                }
                if parts.is_full() {
                    self.parts(wide, parts, out);
                }
            }
        }
        self.parts(wide, parts, out);
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
                run_alone(self.machine, &part.ops, item, Tables::of(self.protocol), out);
            }
        }
        texts.for_each(|text| put_text(text, message, wide, out));
    }

    /// The parts that were put together.
    fn parts(&mut self, wide: &WideBuckets, parts: &mut PartBuckets, out: &mut Output<'_>) {
        parts.each(|number, parts| {
            let Some(part) = self.protocol.parts.get(number as usize) else { return };
            if part.slots > 0 {
                self.part(part, parts.within(number, wide, self.outlines), out);
            } else {
                self.part(part, parts.items(number, wide), out);
            }
        });
    }

    fn part(&mut self, part: &Part, items: impl Bucket, out: &mut Output<'_>) {
        let heads = out.batch.heads_mut();
        items.clone().for_each(|item| heads.present[item.slot()] |= part.presumed);
        for op in &part.ops {
            self.machine.run(op, items.clone(), Tables::of(self.protocol), out);
        }
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
