//! Which field of a layout fills which column of a table.
//!
//! ```text
//! layout   price u32 ─► column 4, Decimal     side c1 ─► column 2, Text
//!          legs[n]   ─► rows of this table, or a table of their own     └─► column 3, its word
//! ```

use crate::batch::EnumCol;
use crate::fixed::place::NumberAt;
use crate::fixed::program::{ElsewhereAt, FieldDef, Layout, NumberTo, Op, Plus, ScaleAt, TextAt};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::targets::{any_number_at, number_at};
use crate::fixed::walk::{Count, Shape, Step, What};
use crate::fixed::wire::Wire;
use crate::typed::names::KEY_COLUMNS;
use crate::typed::{ColumnKind, TypedColumn};
use std::collections::HashSet;

/// Most digits of a number in text that 64 bits always hold.
const INT_DIGITS: u32 = 18;

/// How a field becomes a value.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// As its type says.
    Plain,
    /// Some bits of an integer.
    Bits(NumberAt),
    /// The count of a clock.
    Time { at: NumberAt, clock: usize, plus: Option<Plus>, null: Box<[u64]> },
    /// A number whose places are told elsewhere.
    Scaled { at: NumberAt, scale: ScaleAt },
}

/// A field that fills a column, or two: its value, and the word for it.
#[derive(Clone, Debug)]
pub(super) struct FieldPlan {
    pub def: FieldDef,
    pub reading: Reading,
    pub column: usize,
    pub word: Option<(usize, Words)>,
    /// Whether it is of an entry, not of the whole message.
    pub of_entry: bool,
}

/// Words by code, sorted, and where the code is.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub at: NumberAt,
    pub words: Vec<(u64, String)>,
}

/// A text or bytes of varying length.
#[derive(Clone, Debug)]
pub(super) struct TextPlan {
    pub path: Vec<String>,
    pub name: String,
    pub column: usize,
    pub of_entry: bool,
}

/// The fields of one element of a list.
#[derive(Clone, Debug)]
pub(super) struct ElementPlan {
    pub path: Vec<String>,
    pub tlv: usize,
    pub tag: u64,
    pub fields: Vec<FieldPlan>,
}

/// What one layout gives to one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// By slot.
    pub slots: Vec<Vec<FieldPlan>>,
    pub texts: Vec<TextPlan>,
    pub elements: Vec<ElementPlan>,
    /// The slot whose entries are the rows; `None` where those are the rows of
    /// `messages`.
    pub entries: Option<u8>,
}

/// Where the builder stands in a layout.
#[derive(Clone, Debug, Default)]
struct Here {
    /// Names of all parts around.
    path: Vec<String>,
    /// Names of the groups around that are none of the table's rows.
    group: Vec<String>,
    /// Names that tell two fields of the same name apart.
    prefix: String,
    of_entry: bool,
}

/// The columns of a table while its layouts are gone through.
pub(super) struct Builder<'p> {
    protocol: &'p FixedProtocol,
    /// The group of the table; empty for the rows of `messages`.
    group: Vec<String>,
    pub columns: Vec<TypedColumn>,
    used: HashSet<usize>,
    plan: Plan,
}

/// The groups of a layout that make no rows, each with those around it.
pub(super) fn groups(layout: &Layout) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    find_groups(&layout.steps, &mut Vec::new(), &mut found);
    found
}

fn find_groups(steps: &[Step], around: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for step in steps {
        match &step.what {
            What::Once(shape) => find_groups(&shape.steps, around, found),
            What::Each { shape, .. } if !is_apart(step) => {
                find_groups(&shape.steps, around, found);
            }
            What::Each { shape, .. } => {
                around.push(step.name.clone());
                found.push(around.clone());
                find_groups(&shape.steps, around, found);
                around.pop();
            }
            _ => {}
        }
    }
}

/// Whether a group has a table of its own: one that makes no rows, holds none
/// that does, and may have more than one entry.
fn is_apart(step: &Step) -> bool {
    match &step.what {
        What::Each { count, rows, shape, .. } => {
            *count != Count::Fixed(1) && !rows && !holds_rows(&shape.steps)
        }
        _ => false,
    }
}

fn holds_rows(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.what {
        What::Once(shape) => holds_rows(&shape.steps),
        What::Each { rows, shape, .. } => *rows || holds_rows(&shape.steps),
        _ => false,
    })
}

impl<'p> Builder<'p> {
    pub fn new(protocol: &'p FixedProtocol, group: Vec<String>) -> Self {
        let (columns, used) = (Vec::new(), HashSet::new());
        Self { protocol, group, columns, used, plan: Plan::default() }
    }

    /// Adds a layout's columns.
    pub fn layout(&mut self, layout: &Layout) -> Plan {
        self.used.clear();
        let here = Here::default();
        if self.is_here(&here) {
            self.fields(0, &layout.fields, &layout.ops, &here);
        }
        self.steps(&layout.steps, &here);
        std::mem::take(&mut self.plan)
    }

    fn is_here(&self, here: &Here) -> bool {
        here.group == self.group
    }

    fn steps(&mut self, steps: &[Step], here: &Here) {
        for step in steps {
            let inside = inside(step, here);
            match &step.what {
                What::Once(shape) => self.shape(shape, &inside),
                What::Each { shape, .. } => {
                    if is_apart(step) && self.is_here(&inside) {
                        self.plan.entries = Some(shape.slot);
                    }
                    self.shape(shape, &inside);
                }
                What::Elements { tlv, .. } if self.is_here(here) => {
                    self.elements(&step.name, *tlv, here);
                }
                What::Text { is_text, .. } if self.is_here(here) => {
                    let kind = if *is_text { ColumnKind::Text } else { ColumnKind::Bytes };
                    let column = self.column(&step.name, &here.prefix, kind);
                    let (path, name) = (here.path.clone(), step.name.clone());
                    self.plan.texts.push(TextPlan { path, name, column, of_entry: here.of_entry });
                }
                _ => {}
            }
        }
    }

    fn shape(&mut self, shape: &Shape, here: &Here) {
        if self.is_here(here) {
            self.fields(shape.slot, &shape.fields, &shape.ops, here);
        }
        self.steps(&shape.steps, here);
    }

    fn fields(&mut self, slot: u8, defs: &[FieldDef], ops: &[Op], here: &Here) {
        let fields = self.field_plans(defs, ops, here);
        let at = usize::from(slot);
        if self.plan.slots.len() <= at {
            self.plan.slots.resize(at + 1, Vec::new());
        }
        if let Some(place) = self.plan.slots.get_mut(at) {
            *place = fields;
        }
    }

    fn field_plans(&mut self, defs: &[FieldDef], ops: &[Op], here: &Here) -> Vec<FieldPlan> {
        let meant = defs.iter().filter(|def| def.name != "reserved");
        let plans = meant.map(|def| {
            let reading = reading(def, ops);
            let column = self.column(&def.name, &here.prefix, kind(def, &reading));
            let words = words(def, ops, self.protocol);
            let word = words.map(|words| {
                let name = format!("{}_word", def.name);
                (self.column(&name, &here.prefix, ColumnKind::Text), words)
            });
            FieldPlan { def: def.clone(), reading, column, word, of_entry: here.of_entry }
        });
        plans.collect()
    }

    fn elements(&mut self, list: &str, tlv: usize, here: &Here) {
        let Some(spec) = self.protocol.tlvs.get(tlv) else { return };
        let inside = Here { prefix: list.to_owned(), ..here.clone() };
        for (tag, element) in &spec.elements {
            let fields = self.field_plans(&element.fields, &element.ops, &inside);
            self.plan.elements.push(ElementPlan {
                path: here.path.clone(),
                tlv,
                tag: *tag,
                fields,
            });
        }
    }

    /// The column of a field: one that another layout of the message has under
    /// its name, or a new one; the name of the part around it, then a number,
    /// tell it from others.
    fn column(&mut self, name: &str, prefix: &str, kind: ColumnKind) -> usize {
        let longer = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}_{name}") };
        let numbered = (2..).map(|n| format!("{longer}_{n}"));
        let names = [name.to_owned(), longer.clone()].into_iter().chain(numbered);
        for name in names.filter(|name| !KEY_COLUMNS.contains(&name.as_str())) {
            match self.columns.iter().position(|column| column.name == name) {
                None => {
                    self.columns.push(TypedColumn { name, kind });
                    self.used.insert(self.columns.len() - 1);
                    break;
                }
                Some(at) if self.columns.get(at).is_some_and(|c| c.kind == kind) => {
                    if self.used.insert(at) {
                        return at;
                    }
                }
                Some(_) => {}
            }
        }
        self.columns.len().saturating_sub(1)
    }
}

/// Where the fields of a step's part stand.
fn inside(step: &Step, here: &Here) -> Here {
    let mut inside = here.clone();
    if !step.name.is_empty() {
        inside.path.push(step.name.clone());
        inside.prefix.clone_from(&step.name);
    }
    if let What::Each { count, .. } = &step.what {
        inside.of_entry |= *count != Count::Fixed(1) || holds_rows(std::slice::from_ref(step));
        if is_apart(step) {
            inside.group.push(step.name.clone());
        }
    }
    inside
}

fn kind(def: &FieldDef, reading: &Reading) -> ColumnKind {
    match (reading, def.ty.wire) {
        (Reading::Time { .. }, _) => ColumnKind::Time,
        (Reading::Scaled { .. }, _) => ColumnKind::Decimal,
        (Reading::Bits(_), _) => ColumnKind::UInt,
        (_, Wire::Text { .. }) => ColumnKind::Text,
        (_, Wire::Bytes { .. }) => ColumnKind::Bytes,
        _ if def.ty.scale.is_some() => ColumnKind::Decimal,
        (_, Wire::Int { signed: true, .. }) => ColumnKind::Int,
        (_, Wire::Int { signed: false, .. }) => ColumnKind::UInt,
        (_, Wire::Digits { width }) if width <= INT_DIGITS => ColumnKind::Int,
        (_, Wire::Digits { .. }) => ColumnKind::Decimal,
    }
}

/// How a field is read, told by what decoding does with it.
fn reading(def: &FieldDef, ops: &[Op]) -> Reading {
    let Some(number) = number_at(def) else { return Reading::Plain };
    for op in ops {
        match op {
            Op::Time { at, clock, .. }
                if number == (NumberAt::Plain { at: *at, signed: false }) =>
            {
                return Reading::Time { at: number, clock: *clock, plus: None, null: [].into() };
            }
            Op::Moment { at, clock, plus, null, .. } if *at == number => {
                let (clock, plus, null) = (*clock, plus.clone(), null.clone());
                return Reading::Time { at: number, clock, plus, null };
            }
            _ => {}
        }
    }
    match (&def.scale_at, def.bits) {
        (Some(scale), _) => Reading::Scaled { at: number, scale: scale.clone() },
        (None, Some(_)) => Reading::Bits(number),
        (None, None) => Reading::Plain,
    }
}

/// The words of a field's codes, where its protocol has any.
fn words(def: &FieldDef, ops: &[Op], protocol: &FixedProtocol) -> Option<Words> {
    let at = if def.bits.is_some() { number_at(def) } else { any_number_at(def) }?;
    let is_here = |window| matches!(at, NumberAt::Plain { at, .. } if at == window);
    let of_name = |cache: usize| {
        let spec = protocol.name_specs.get(cache)?;
        (!spec.words.is_empty()).then(|| spec.words.clone())
    };
    let words = ops.iter().find_map(|op| match op {
        Op::Code { at, col, codes } if is_here(*at) => code_words(protocol, *codes, *col),
        Op::Name { from: TextAt::Short { at, cache }, .. } if is_here(*at) => of_name(*cache),
        Op::Number { at: there, to: NumberTo::Code(col, codes), .. } if *there == at => {
            code_words(protocol, *codes, *col)
        }
        Op::Number { at: there, to: NumberTo::Name(_, cache), .. } if *there == at => {
            of_name(*cache)
        }
        _ => None,
    });
    words.map(|words| Words { at, words })
}

fn code_words(protocol: &FixedProtocol, codes: usize, col: EnumCol) -> Option<Vec<(u64, String)>> {
    let table = protocol.code_tables.get(codes)?;
    let bytes = table.bytes.iter().enumerate().map(|(code, number)| (code as u64, *number));
    let known = bytes.chain(table.wide.iter().copied());
    let words = known.filter_map(|(code, number)| Some((code, col.value_text(number)?.to_owned())));
    let mut words: Vec<(u64, String)> = words.collect();
    words.sort();
    words.dedup();
    Some(words)
}

impl FieldPlan {
    /// Whether reading it asks what was learned.
    pub fn is_learned(&self) -> bool {
        let from = match &self.reading {
            Reading::Time { plus, .. } => plus.as_ref().map(|plus| &plus.at),
            Reading::Scaled { scale: ScaleAt::Places(at), .. } => Some(at),
            _ => None,
        };
        matches!(from, Some(ElsewhereAt::Learned(_)))
    }
}
