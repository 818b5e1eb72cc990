//! The tables of protocols with fixed layouts.
//!
//! ```text
//! walk      fixed part ─► base      leg 0 ─► entry │ leg 1 ─► entry      total ─► base
//! rows      base + entry 0, base + entry 1
//! ```

use crate::batch::DECIMAL_SCALE;
use crate::field::Datum;
use crate::fixed::clock::RunningClock;
use crate::fixed::place::{Parts, SLOTS_MAX};
use crate::fixed::program::FieldDef;
use crate::fixed::protocol::{Fit, FixedProtocol};
use crate::fixed::run::{self, elsewhere};
use crate::fixed::scale::factor;
use crate::fixed::value;
use crate::fixed::walk::{self, Event, Step, Visitor, What};
use crate::typed::history::Before;
use crate::typed::plan::{self, Builder, FieldPlan, Plan, Reading};
use crate::typed::{Emit, ROWS_MAX, StoredMessage, TypedTable};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Between the name of a message and that of a group in it.
const GROUP: &str = "__";

/// Reads the rows of one table.
#[derive(Debug)]
pub struct FixedReader {
    protocol: Arc<FixedProtocol>,
    /// By layout of the protocol; `None` where its messages are not the table's.
    plans: Vec<Option<Plan>>,
    clocks: Vec<RunningClock>,
    columns: usize,
}

/// Layouts by message name, and the groups that have tables of their own.
struct Named {
    layouts: Vec<usize>,
    groups: Vec<Vec<String>>,
}

fn named(protocol: &FixedProtocol) -> BTreeMap<&str, Named> {
    let mut messages = BTreeMap::new();
    for (at, layout) in protocol.layouts.iter().enumerate() {
        let new = || Named { layouts: Vec::new(), groups: Vec::new() };
        let message = messages.entry(layout.name.as_str()).or_insert_with(new);
        message.layouts.push(at);
        for group in plan::groups(layout) {
            if !message.groups.contains(&group) {
                message.groups.push(group);
            }
        }
    }
    // The full size first: its order of columns is the table's.
    for message in messages.values_mut() {
        message.layouts.sort_by_key(|&at| !protocol.layouts.get(at).is_some_and(|l| l.full));
    }
    messages
}

fn build(
    protocol: &FixedProtocol,
    name: &str,
    message: &Named,
    group: &[String],
) -> (TypedTable, Vec<(usize, Plan)>) {
    let mut builder = Builder::new(protocol, group.to_vec());
    let mut msg_types: Vec<String> = Vec::new();
    let mut plans = Vec::new();
    for &at in &message.layouts {
        let Some(layout) = protocol.layouts.get(at) else { continue };
        if !msg_types.contains(&layout.code_text) {
            msg_types.push(layout.code_text.clone());
        }
        plans.push((at, builder.layout(layout)));
    }
    let name = [&[name.to_owned()], group].concat().join(GROUP);
    (TypedTable { name, msg_types, columns: builder.columns }, plans)
}

/// Every table of a protocol, by name.
pub fn tables(protocol: &FixedProtocol) -> Vec<TypedTable> {
    let mut tables: Vec<TypedTable> = Vec::new();
    for (name, message) in named(protocol) {
        let groups = message.groups.iter().map(Vec::as_slice);
        for group in std::iter::once(&[][..]).chain(groups) {
            tables.push(build(protocol, name, &message, group).0);
        }
    }
    tables
}

impl FixedReader {
    /// The reader of the table with this name. Columns that are not `wanted`
    /// stay null; those beyond its end are wanted.
    pub fn new(protocol: Arc<FixedProtocol>, table: &str, wanted: &[bool]) -> Option<Self> {
        let messages = named(&protocol);
        let found = messages.iter().find_map(|(name, message)| {
            let groups = message.groups.iter().map(Vec::as_slice);
            let mut groups = std::iter::once(&[][..]).chain(groups);
            let is_it =
                |group: &&[String]| [&[(*name).to_owned()], *group].concat().join(GROUP) == table;
            groups.find(is_it).map(|group| build(&protocol, name, message, group))
        });
        let (built, found) = found?;
        let mut plans: Vec<Option<Plan>> = protocol.layouts.iter().map(|_| None).collect();
        for (at, mut plan) in found {
            plan.keep(|column| wanted.get(column).copied().unwrap_or(true));
            if let Some(place) = plans.get_mut(at) {
                *place = Some(plan);
            }
        }
        let clocks = protocol.clocks.iter().map(|&clock| RunningClock::new(clock)).collect();
        Some(Self { plans, clocks, columns: built.columns.len(), protocol })
    }

    /// The protocol.
    pub fn protocol(&self) -> &FixedProtocol {
        &self.protocol
    }

    /// Whether any column asks what was learned.
    pub fn needs_learned(&self) -> bool {
        self.plans.iter().flatten().any(|plan| plan.fields().any(FieldPlan::is_learned))
    }

    /// The rows of a message; none where it is another one.
    pub fn rows(&mut self, message: &StoredMessage<'_>, before: &mut Before<'_>, emit: &mut Emit) {
        let choice = self.protocol.choose(message.bytes, message.sender);
        let Some(choice) = choice else { return };
        let layout = self.protocol.layouts.get(choice.layout);
        let plan = self.plans.get(choice.layout).and_then(Option::as_ref);
        let (Some(layout), Some(plan)) = (layout, plan) else { return };
        let mut reading = Reader {
            protocol: &self.protocol,
            clocks: &mut self.clocks,
            plan,
            message,
            before,
            base: vec![None; self.columns],
            entry: Vec::new(),
            open: Vec::new(),
            entries_at: None,
            rows: Vec::new(),
        };
        let first = plan.slots.first().map(Vec::as_slice).unwrap_or_default();
        let parts = Parts { body: message.bytes, bases: &[0; SLOTS_MAX] };
        reading.fields(first, 0, parts);
        if choice.fit != Fit::Shorter {
            // What is whole before a cut counts.
            let _ = walk::walk(layout, message.bytes, &mut reading);
        }
        reading.finish(emit);
    }
}

impl Plan {
    /// Every field.
    fn fields(&self) -> impl Iterator<Item = &FieldPlan> {
        let elements = self.elements.iter().flat_map(|element| &element.fields);
        self.slots.iter().flatten().chain(elements)
    }

    /// Leaves out what fills no wanted column.
    fn keep(&mut self, wanted: impl Fn(usize) -> bool) {
        let keeps = |field: &FieldPlan| {
            wanted(field.column) || field.word.as_ref().is_some_and(|(word, _)| wanted(*word))
        };
        self.slots.iter_mut().for_each(|fields| fields.retain(keeps));
        self.elements.iter_mut().for_each(|element| element.fields.retain(keeps));
        self.texts.retain(|text| wanted(text.column));
    }
}

/// One message being read.
struct Reader<'a, 'm, 'h> {
    protocol: &'a FixedProtocol,
    clocks: &'m mut [RunningClock],
    plan: &'a Plan,
    message: &'a StoredMessage<'a>,
    before: &'m mut Before<'h>,
    /// What every row has.
    base: Vec<Option<Datum<'a>>>,
    /// What the open entries have.
    entry: Vec<(usize, Datum<'a>)>,
    /// Names of the open parts, and how much of `entry` was there before each.
    open: Vec<(&'a str, usize)>,
    /// How many parts are open inside an entry of the table's group.
    entries_at: Option<usize>,
    rows: Vec<Vec<(usize, Datum<'a>)>>,
}

impl<'a> Reader<'a, '_, '_> {
    fn put(&mut self, column: usize, of_entry: bool, datum: Option<Datum<'a>>) {
        let Some(datum) = datum else { return };
        if of_entry {
            self.entry.push((column, datum));
        } else if let Some(place) = self.base.get_mut(column) {
            // An element that comes twice: the first one counts.
            place.get_or_insert(datum);
        }
    }

    /// Fields of the part at `base`, as far as they are there.
    fn fields(&mut self, fields: &'a [FieldPlan], base: usize, parts: Parts<'_>) {
        let Some(body) = self.message.bytes.get(base..) else { return };
        self.fields_of(fields, body, Some(parts));
    }

    fn fields_of(&mut self, fields: &'a [FieldPlan], body: &'a [u8], parts: Option<Parts<'_>>) {
        for field in fields {
            let end = field.def.offset as usize + field.def.ty.wire.width() as usize;
            // Secrets are in no table.
            if end > body.len() || field.def.ty.secret {
                continue;
            }
            let datum = self.datum(field, body, parts);
            self.put(field.column, field.of_entry, datum);
            if let Some((column, words)) = &field.word {
                let code = words.at.key(&body).unwrap_or(u64::MAX);
                let at = words.words.binary_search_by_key(&code, |(code, _)| *code).ok();
                let word = at.and_then(|at| words.words.get(at)).map(|(_, word)| word.as_bytes());
                let word = word.filter(|word| !word.is_empty()).map(Datum::Text);
                self.put(*column, field.of_entry, word);
            }
        }
    }

    fn datum(
        &mut self,
        field: &FieldPlan,
        body: &'a [u8],
        parts: Option<Parts<'_>>,
    ) -> Option<Datum<'a>> {
        let scope = self.message.scope;
        match &field.reading {
            Reading::Plain => value::plain(&field.def.ty, bytes_of(&field.def, body)),
            Reading::Bits(at) => at.read(&body).map(Datum::Int),
            Reading::Scaled { at, scale } => {
                let number = at
                    .read(&body)
                    .filter(|_| !value::is_sentinel(&field.def.ty, bytes_of(&field.def, body)))?;
                let factors = &self.protocol.factor_tables;
                let factor = factor(scale, &body, parts, scope, self.before, factors)?;
                Some(Datum::Decimal(number.checked_mul(factor.into())?, DECIMAL_SCALE))
            }
            Reading::Time { at, clock, plus, null } => {
                let count = at.read(&body).filter(|count| !run::is_null(null, *count));
                let count = count.and_then(|count| u128::try_from(count).ok());
                let plus_ns = plus.as_ref().map(|plus| {
                    let number = elsewhere(&plus.at, &body, parts, scope, self.before)?;
                    u64::try_from(number).ok()?.checked_mul(plus.unit_ns)
                });
                let clock = self.clocks.get_mut(*clock)?;
                clock.moment(count, run::digits_of(*at), plus_ns, self.message.ts).map(Datum::Time)
            }
        }
    }

    /// Whether the open parts have these names.
    fn is_at(&self, path: &[String]) -> bool {
        self.open.len() == path.len() && self.open.iter().zip(path).all(|((a, _), b)| a == b)
    }

    fn text(&mut self, step: &'a Step, at: usize, len: usize) {
        let What::Text { is_text, trim, secret: false, .. } = &step.what else { return };
        let plans = &self.plan.texts;
        let found = plans.iter().find(|plan| plan.name == step.name && self.is_at(&plan.path));
        let bytes = self.message.bytes.get(at..at + len);
        let (Some(plan), Some(bytes)) = (found, bytes) else { return };
        let datum = match is_text {
            true => Datum::Text(trim.apply(bytes)),
            false => Datum::Bytes(bytes),
        };
        let is_blank = matches!(datum, Datum::Text([]) | Datum::Bytes([]));
        self.put(plan.column, plan.of_entry, (!is_blank).then_some(datum));
    }

    fn elements(&mut self, step: &'a Step, at: usize, len: usize, parts: Parts<'_>) {
        let What::Elements { tlv, .. } = step.what else { return };
        let (protocol, plan) = (self.protocol, self.plan);
        let list = self.message.bytes.get(at..at + len).unwrap_or_default();
        let Some(spec) = protocol.tlvs.get(tlv) else { return };
        let Some(elements) = spec.elements(list) else { return };
        for element in elements {
            let known = plan.elements.iter().find(|known| {
                known.tlv == tlv && known.tag == element.tag && self.is_at(&known.path)
            });
            if let Some(known) =
                known.filter(|_| spec.element(element.tag, element.value.len()).is_some())
            {
                self.fields_of(&known.fields, element.value, Some(parts));
            }
        }
    }

    fn row(&mut self) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(self.entry.clone());
        }
    }

    fn close(&mut self) {
        if self.entries_at == Some(self.open.len()) {
            self.row();
            self.entries_at = None;
        }
        if let Some((_, before)) = self.open.pop() {
            self.entry.truncate(before);
        }
    }

    /// Gives the rows: of a message without entries one, of a group without
    /// any none.
    fn finish(mut self, emit: &mut Emit) {
        if self.plan.entries.is_none() && self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        for (entry, values) in self.rows.iter().enumerate() {
            let mut row = self.base.clone();
            for (column, datum) in values {
                if let Some(place) = row.get_mut(*column) {
                    *place = Some(*datum);
                }
            }
            emit(entry as u32, &row);
        }
    }
}

impl<'a> Visitor<'a> for Reader<'a, '_, '_> {
    fn event(&mut self, event: Event<'a>, parts: Parts<'_>) {
        match event {
            Event::Open(name, _) => self.open.push((name, self.entry.len())),
            Event::Close => self.close(),
            Event::Row | Event::Bits(..) | Event::Unknown(..) => {}
            Event::RowEnd if self.plan.entries.is_none() => self.row(),
            Event::RowEnd => {}
            Event::Fields(shape, base) => {
                if self.plan.entries == Some(shape.slot) {
                    self.entries_at = Some(self.open.len());
                }
                let fields = self.plan.slots.get(usize::from(shape.slot));
                self.fields(fields.map(Vec::as_slice).unwrap_or_default(), base, parts);
            }
            Event::Text(step, at, len) => self.text(step, at, len),
            Event::Elements(step, at, len) => self.elements(step, at, len, parts),
        }
    }
}

fn bytes_of<'b>(def: &FieldDef, body: &'b [u8]) -> &'b [u8] {
    let start = def.offset as usize;
    body.get(start..start.saturating_add(def.ty.wire.width() as usize)).unwrap_or_default()
}
