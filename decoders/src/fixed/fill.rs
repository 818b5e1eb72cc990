//! Rows from a run that is put together.
//!
//! ```text
//! layouts    operations of the fixed part over all messages of each
//!            walk what follows, message by message; put parts to their like
//! parts      operations of each part over all of its kind
//! by itself  messages that have a part twice, or parts in any order
//! ```

use crate::fixed::behind::{AtOnce, Behind, Does, Later, Open};
use crate::fixed::buckets::{PartBuckets, Wide, WideBuckets};
use crate::fixed::decoder::LayoutHead;
use crate::fixed::program::Layout;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::run::{Bucket, Machine, Output, Tables};
use crate::fixed::walk;
use crate::kind::flags;

/// Fills the rows of a run.
pub struct Fill<'d> {
    /// The protocol.
    pub protocol: &'d FixedProtocol,
    /// What every row of a layout has.
    pub heads: &'d [LayoutHead],
    /// Clocks, names and learned values.
    pub machine: &'d mut Machine,
    /// Whether each message is decoded by itself.
    pub plainly: bool,
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
        let (mut again, mut open) = (Vec::new(), Open::default());
        for i in 0..wide.count() {
            let Some((at, bucket)) = wide.bucket(i) else { continue };
            self.fixed(at, wide.rows(bucket), out);
            let layout = self.protocol.layouts.get(at).filter(|layout| layout.varies());
            let Some(layout) = layout else { continue };
            for message in &bucket.messages {
                if self.plainly || layout.in_order {
                    self.by_itself(layout, message, wide, &mut open, out);
                    continue;
                }
                let buckets = &mut *parts;
                let does = Later { buckets, message: *message, out, has_twice: false };
                if behind(does, layout, message, wide, &mut open, self.protocol).has_twice {
                    again.push((layout, *message));
                }
                if parts.is_full() {
                    self.parts(wide, parts, out);
                }
            }
        }
        self.parts(wide, parts, out);
        for (layout, message) in &again {
            self.by_itself(layout, message, wide, &mut open, out);
        }
    }

    fn by_itself<'l>(
        &mut self,
        layout: &'l Layout,
        message: &Wide,
        wide: &WideBuckets,
        open: &mut Open<'l>,
        out: &mut Output<'_>,
    ) {
        let (body, scope) = (wide.body(message), message.scope);
        let does = AtOnce { machine: self.machine, protocol: self.protocol, body, scope, out };
        behind(does, layout, message, wide, open, self.protocol);
    }

    /// The parts that were put together.
    fn parts(&mut self, wide: &WideBuckets, parts: &mut PartBuckets, out: &mut Output<'_>) {
        parts.each(|number, parts| {
            let Some(part) = self.protocol.parts.get(number as usize) else { return };
            let tables = Tables::of(self.protocol);
            if part.slots > 0 {
                let items = parts.within(number, wide);
                presume(items.clone(), part.presumed, out);
                for op in &part.ops {
                    self.machine.run(op, items.clone(), tables, out);
                }
                return;
            }
            let items = parts.items(number, wide);
            presume(items.clone(), part.presumed, out);
            for op in &part.ops {
                self.machine.run(op, items.clone(), tables, out);
            }
        });
    }
}

fn presume(items: impl Bucket, presumed: u64, out: &mut Output<'_>) {
    let heads = out.batch.heads_mut();
    items.for_each(|item| heads.present[item.slot()] |= presumed);
}

/// Walks what follows a message's fixed part.
fn behind<'o, 'l, D: Does<'o>>(
    does: D,
    layout: &'l Layout,
    message: &Wide,
    wide: &WideBuckets,
    open: &mut Open<'l>,
    protocol: &FixedProtocol,
) -> D {
    let (body, first, rows) = (wide.body(message), message.row, message.rows);
    let mut behind = Behind::new(does, protocol, layout.has_rows, (body, first, rows), open);
    let misfit = match walk::walk(layout, body, &mut behind) {
        Ok(end) if end == body.len() => 0,
        Ok(_) => flags::IRREGULAR,
        Err(_) => flags::DECODE_ERROR,
    };
    let wrong = behind.flags | misfit;
    let mut does = behind.does;
    if wrong != 0 {
        let batch = &mut *does.out().batch;
        batch.add_flags(first as usize, flags::IRREGULAR);
        (first..first.saturating_add(rows)).for_each(|row| batch.add_flags(row as usize, wrong));
    }
    does
}
