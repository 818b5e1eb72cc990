//! Rows from what follows a message's fixed part.
//!
//! ```text
//! message   fixed │ leg │ leg │ leg │ total      a group that makes rows
//! rows      ▔▔▔▔▔   ▔▔▔   ·     ·     ▔▔▔▔▔      entry 0
//!           ▔▔▔▔▔   ·     ▔▔▔   ·     ▔▔▔▔▔      entry 1
//!           ▔▔▔▔▔   ·     ·     ▔▔▔   ▔▔▔▔▔      entry 2
//! ```

use crate::fixed::buckets::{PartBuckets, Wide};
use crate::fixed::bytes::Within;
use crate::fixed::place::Parts;
use crate::fixed::program::{Learn, Op, TextAt};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::run::{Item, Lesson, Machine, Output, Tables, long_name, text_at};
use crate::fixed::text::NO_NAME;
use crate::fixed::walk::{Event, Shape, Step, TextTo, Visitor, What};
use crate::kind::flags;
use crate::names::{Name, Names};
use std::ops::Range;

/// Does what the parts of one message say, or keeps that for later.
pub trait Does<'o> {
    /// A part that begins at `at` in the message, for some of its rows.
    fn part(&mut self, number: u32, at: usize, rows: Range<u32>, parts: Parts<'_>);

    /// Where rows are written.
    fn out(&mut self) -> &mut Output<'o>;
}

/// Decodes each part when it is met.
pub struct AtOnce<'m, 'b, 'o, 'w> {
    /// Clocks, names and learned values.
    pub machine: &'m mut Machine,
    /// The protocol.
    pub protocol: &'m FixedProtocol,
    /// The message.
    pub body: &'b [u8],
    /// Which learned values are its.
    pub scope: u32,
    /// Where rows are written.
    pub out: &'w mut Output<'o>,
}

impl<'o> Does<'o> for AtOnce<'_, '_, 'o, '_> {
    fn part(&mut self, number: u32, at: usize, rows: Range<u32>, parts: Parts<'_>) {
        let Some(part) = self.protocol.parts.get(number as usize) else { return };
        let Some(body) = self.body.get(at..) else { return };
        let body = Within { body, parts: (part.slots > 0).then_some(parts) };
        for row in rows {
            let item = Item { body, row, scope: self.scope };
            run_alone(self.machine, &part.ops, item, Tables::of(self.protocol), self.out);
        }
    }

    fn out(&mut self) -> &mut Output<'o> {
        self.out
    }
}

/// Puts each part to those of other messages.
pub struct Later<'m, 'o, 'w> {
    /// The parts.
    pub buckets: &'m mut PartBuckets,
    /// The message.
    pub message: Wide,
    /// Where rows are written.
    pub out: &'w mut Output<'o>,
    /// Whether it has a part twice, so that it must be decoded by itself.
    pub has_twice: bool,
}

impl<'o> Does<'o> for Later<'_, 'o, '_> {
    #[inline]
    fn part(&mut self, number: u32, at: usize, rows: Range<u32>, parts: Parts<'_>) {
        self.has_twice |= !self.buckets.push(number, (&self.message, at), rows, parts);
    }

    fn out(&mut self) -> &mut Output<'o> {
        self.out
    }
}

/// Finds the rows of one message that its parts belong to.
pub struct Behind<'m, 'b, 'l, D> {
    /// Takes the parts.
    pub does: D,
    protocol: &'m FixedProtocol,
    body: &'b [u8],
    first: u32,
    rows: u32,
    /// Whether entries make rows.
    has_rows: bool,
    /// Entries that made a row so far, and whether the last one is open.
    entries: u32,
    open: bool,
    within: &'m mut Open<'l>,
    /// What is wrong with the rows.
    pub flags: u32,
}

/// The parts that are open in a message. The memory serves the next one too.
#[derive(Default)]
pub struct Open<'l> {
    /// Fields of groups around the entries that make rows: for each row that
    /// begins inside.
    around: Vec<(&'l Shape, usize)>,
    /// For every open part, how many of those there were before it, and
    /// whether it is of a group.
    parts: Vec<(usize, bool)>,
}

impl<'m, 'b, 'o, 'l, D: Does<'o>> Behind<'m, 'b, 'l, D> {
    /// For a message whose fixed part is done.
    pub fn new(
        does: D,
        protocol: &'m FixedProtocol,
        has_rows: bool,
        (body, first, rows): (&'b [u8], u32, u32),
        within: &'m mut Open<'l>,
    ) -> Self {
        within.around.clear();
        within.parts.clear();
        let (entries, open, flags) = (0, false, 0);
        Self { does, protocol, body, first, rows, has_rows, entries, open, within, flags }
    }

    fn in_group(&self) -> bool {
        self.has_rows && self.within.parts.iter().any(|(_, of_group)| *of_group)
    }

    /// The rows that the next fields belong to.
    fn targets(&self) -> Range<u32> {
        let first = self.first;
        let last = first.saturating_add(self.rows);
        if self.open {
            let row = first.saturating_add(self.entries.saturating_sub(1));
            return row..last.min(row.saturating_add(1));
        }
        if self.in_group() { first..first } else { first..last }
    }

    #[inline]
    fn fields(&mut self, shape: &'l Shape, base: usize, parts: Parts<'_>) {
        if shape.ops.is_empty() {
            return;
        }
        if !self.open && self.in_group() {
            self.within.around.push((shape, base));
        }
        self.does.part(shape.part, base, self.targets(), parts);
    }

    fn row(&mut self, parts: Parts<'_>) {
        (self.open, self.entries) = (true, self.entries.saturating_add(1));
        for i in 0..self.within.around.len() {
            let Some(&(shape, base)) = self.within.around.get(i) else { break };
            self.does.part(shape.part, base, self.targets(), parts);
        }
    }

    fn row_end(&mut self) {
        self.open = false;
        if self.entries > self.rows {
            self.flags |= flags::IRREGULAR;
        }
    }

    fn close(&mut self) {
        if let Some((before, _)) = self.within.parts.pop() {
            self.within.around.truncate(before);
        }
    }

    fn text(&mut self, step: &Step, at: usize, len: usize) {
        let What::Text { trim, to, .. } = &step.what else { return };
        let Some(bytes) = self.body.get(at..at + len) else { return };
        let text = trim.apply(bytes);
        for to in to.iter().filter(|_| !text.is_empty()) {
            for row in self.targets() {
                let Output { batch, names } = self.does.out();
                match to {
                    TextTo::Text(col) => batch.set_text(row as usize, *col, text),
                    TextTo::Name(col) => match long_name(text, names) {
                        NO_NAME => {}
                        name => batch.set_name(row as usize, *col, Name(name)),
                    },
                }
            }
        }
    }

    fn elements(&mut self, step: &Step, at: usize, len: usize, parts: Parts<'_>) {
        let What::Elements { tlv, .. } = step.what else { return };
        let protocol = self.protocol;
        let Some(tlv) = protocol.tlvs.get(tlv) else { return };
        let Some(list) = self.body.get(at..at + len) else { return };
        let Some(mut elements) = tlv.elements(list) else { return };
        while let Some(element) = elements.next() {
            if let Some(spec) = tlv.element(element.tag, element.value.len()) {
                let start = at + elements.at() - element.value.len();
                self.does.part(spec.part, start, self.targets(), parts);
            }
        }
        if elements.at() != len {
            self.flags |= flags::DECODE_ERROR;
        }
    }
}

impl<'o, 'l, D: Does<'o>> Visitor<'l> for Behind<'_, '_, 'l, D> {
    const SKIPS: bool = true;

    fn event(&mut self, event: Event<'l>, parts: Parts<'_>) {
        match event {
            Event::Open(_, i) => self.within.parts.push((self.within.around.len(), i.is_some())),
            Event::Close => self.close(),
            Event::Row => self.row(parts),
            Event::RowEnd => self.row_end(),
            Event::Fields(shape, base) => self.fields(shape, base, parts),
            Event::Text(step, at, len) => self.text(step, at, len),
            Event::Elements(step, at, len) => self.elements(step, at, len, parts),
            Event::Bits(..) | Event::Unknown(..) => {}
        }
    }
}

/// Teaches what the parts behind a message's fixed one say.
pub struct Lessons<'m, 'b, 'n> {
    /// Whose tables learn.
    pub machine: &'m mut Machine,
    /// The message.
    pub item: Item<&'b [u8]>,
    /// For texts.
    pub names: &'n mut Names,
}

impl<'l> Visitor<'l> for Lessons<'_, '_, '_> {
    fn event(&mut self, event: Event<'l>, parts: Parts<'_>) {
        let Event::Fields(shape, base) = event else { return };
        for learn in &shape.learn {
            let body = self.item.body.get(base..).unwrap_or_default();
            let item = Item { body, ..self.item };
            teach(self.machine, learn, item, Some(parts), self.names);
        }
    }
}

/// Whether the parts behind a message's fixed one would teach anything new.
pub struct News<'m, 'b, 'n> {
    /// What is looked for, and the message.
    pub lessons: Lessons<'m, 'b, 'n>,
    /// Whether there is anything.
    pub found: bool,
}

impl<'l> Visitor<'l> for News<'_, '_, '_> {
    fn event(&mut self, event: Event<'l>, parts: Parts<'_>) {
        let Event::Fields(shape, base) = event else { return };
        let Lessons { machine, item, names } = &mut self.lessons;
        let body = item.body.get(base..).unwrap_or_default();
        let item = Item { body, ..*item };
        let mut learns = shape.learn.iter();
        self.found |= learns.any(|learn| is_news(machine, learn, item, Some(parts), names));
    }
}

/// Whether one part would teach anything new.
pub fn is_news(
    machine: &mut Machine,
    learn: &Learn,
    item: Item<&[u8]>,
    parts: Option<Parts<'_>>,
    names: &mut Names,
) -> bool {
    let (scope, tables) = (item.scope, machine.tables.as_mut_slice());
    let Some(key) = learn.key.find(&item.body, parts, scope, tables) else { return false };
    let Some(table) = machine.tables.get_mut(learn.table) else { return false };
    if learn.if_absent {
        return !table.knows(scope, key);
    }
    // What is taught again is in doubt no more.
    let may_doubt = table.may_doubt();
    learn.values.iter().any(|(slot, from)| {
        let Some(value) = machine.value(from, item.body, names) else { return false };
        let table = machine.tables.get_mut(learn.table);
        may_doubt || table.is_some_and(|table| table.reader(scope).get(key, *slot) != value)
    })
}

/// Teaches what one part says.
pub fn teach(
    machine: &mut Machine,
    learn: &Learn,
    item: Item<&[u8]>,
    parts: Option<Parts<'_>>,
    names: &mut Names,
) {
    let (scope, tables) = (item.scope, machine.tables.as_mut_slice());
    let Some(key) = learn.key.find(&item.body, parts, scope, tables) else { return };
    let known = || machine.tables.get_mut(learn.table).is_some_and(|t| t.knows(scope, key));
    if learn.if_absent && { known }() {
        return;
    }
    for (slot, from) in &learn.values {
        let Some(value) = machine.value(from, item.body, names) else { continue };
        let Some(table) = machine.tables.get_mut(learn.table) else { continue };
        let before = machine.lessons.is_some().then(|| table.reader(scope).get(key, *slot));
        table.set(scope, key, *slot, value);
        if let Some(lessons) = &mut machine.lessons {
            let after = table.reader(scope).get(key, *slot);
            if before != Some(after) {
                let (table, slot, row) = (learn.table, *slot, item.row);
                lessons.push(Lesson { row, scope, table, key, slot, value });
            }
        }
    }
}

/// Runs an operation on one message or a part of one, where it is of those that
/// most fields are and that need no other part: what [`Machine::run`] does,
/// without the way there, which is longer than the work for one message.
#[inline(always)]
fn run_plain(
    op: &Op,
    item: &Item<Within<'_>>,
    machine: &mut Machine,
    tables: Tables<'_>,
    out: &mut Output<'_>,
) -> bool {
    let (row, batch) = (item.slot(), &mut *out.batch);
    let known = match op {
        Op::Int { at, col, null } => {
            let raw = at.unsigned_in(&item.body);
            batch.ints_mut(*col).0[row] = raw;
            !null.contains(&raw)
        }
        Op::Small { at, col, null } => {
            let raw = at.unsigned_in(&item.body);
            batch.smalls_mut(*col).0[row] = raw as u32;
            !null.contains(&raw)
        }
        Op::Decimal { at, col, factor, signed, null } => {
            let raw = at.unsigned_in(&item.body);
            let signed = signed.then(|| i128::from(at.signed_in(&item.body)));
            let number = signed.unwrap_or(i128::from(raw));
            batch.decimals_mut(*col).0[row] = number.wrapping_mul(i128::from(*factor));
            !null.contains(&raw)
        }
        Op::Code { at, col, codes } => {
            let Some(table) = tables.codes.get(*codes) else { return false };
            let number = table.word(at.unsigned_in(&item.body));
            batch.enums_mut(*col).0[row] = number;
            number != 0
        }
        Op::Constant { col, number } => {
            batch.enums_mut(*col).0[row] = *number;
            true
        }
        Op::Time { at, col, clock } => {
            let Some(clock) = machine.clocks.get_mut(*clock) else { return false };
            let (ts, column, _) = batch.ts_and_times_mut(*col);
            let time = clock.time_ns(at.unsigned_in(&item.body), ts[row]);
            column[row] = time.unwrap_or_default();
            time.is_some()
        }
        Op::Name { from: TextAt::Short { at, cache }, col } => {
            let Some(cache) = machine.caches.get_mut(*cache) else { return false };
            let name = cache.name_of(at.unsigned_in(&item.body), out.names);
            batch.names_mut(*col).0[row] = name;
            name != NO_NAME
        }
        Op::Text { offset, width, trim, col } => {
            let text = text_at(item.body.body, (*offset, *width, *trim));
            if !text.is_empty() {
                batch.set_text(row, *col, text);
            }
            return true;
        }
        _ => return false,
    };
    let present = &mut batch.heads_mut().present[row];
    *present = if known { *present | op.bit() } else { *present & !op.bit() };
    true
}

/// Runs operations on one message or a part of one.
pub fn run_alone<'p>(
    machine: &mut Machine,
    ops: impl IntoIterator<Item = &'p Op>,
    item: Item<Within<'_>>,
    tables: Tables<'_>,
    out: &mut Output<'_>,
) {
    for op in ops {
        if !machine.has_doubts && run_plain(op, &item, machine, tables, out) {
            continue;
        }
        if op.presumes() {
            out.batch.heads_mut().present[item.slot()] |= op.bit();
        }
        machine.run(op, std::iter::once(item), tables, out);
    }
}
