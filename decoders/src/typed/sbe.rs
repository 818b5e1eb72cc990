//! The tables of SBE messages: columns from the schemas, values as the walk over
//! a message meets them.
//!
//! ```text
//! Book | Time | Levels[0] Px Size | Levels[1] Px Size | Text
//!
//! book              one row a message     time, text
//! book__levels      one row an entry      time, px, size
//! ```
//!
//! Names are the schema's in lower case, so that SQL takes them as the venue
//! writes them. A decimal is one column, named as its field; an enumeration has
//! a second one with the value's name, a set one for each choice. All versions
//! of a message that the schemas have share its tables.

use crate::field::Datum;
use crate::sbe::protocol::SbeProtocol;
use crate::sbe::run::trimmed;
use crate::sbe::shape::{Block, Constant, Data, Exponent, Group, Leaf, Meaning, Message};
use crate::sbe::walk::{Dimension, Visitor, Walk};
use crate::sbe::wire::{self, Prim};
use crate::typed::names::{KEY_COLUMNS, identifier};
use crate::typed::{ColumnKind, Emit, ROWS_MAX, StoredMessage, TypedColumn, TypedTable, emit_rows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Between the name of a message and that of a group in it.
const GROUP: &str = "__";

/// Columns of a block of one schema, for one table.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// By leaf.
    leaves: Vec<LeafPlan>,
    /// By variable data.
    data: Vec<Option<usize>>,
    /// By group; `None` where it is no part of the table.
    groups: Vec<Option<Plan>>,
    /// Whether its entries are the table's rows.
    rows: bool,
}

/// The columns that a leaf fills.
#[derive(Clone, Debug, Default)]
struct LeafPlan {
    value: Option<usize>,
    word: Option<usize>,
    /// Choices of a set: bit and column.
    choices: Vec<(u32, usize)>,
}

/// The columns of a table while its messages are gone through.
#[derive(Default)]
struct Builder {
    columns: Vec<TypedColumn>,
    /// Columns that the message at hand has filled already.
    used: Vec<usize>,
}

/// Reads the rows of one table.
#[derive(Debug)]
pub struct SbeReader {
    protocol: Arc<SbeProtocol>,
    /// By schema and message of it; the messages of other tables have none.
    plans: BTreeMap<(usize, usize), Plan>,
    columns: usize,
    show_secrets: bool,
}

/// Messages of one name: schema and message, the newest version first.
type Same = Vec<(usize, usize)>;

/// Every table of a protocol, by name.
pub fn tables(protocol: &SbeProtocol) -> Vec<TypedTable> {
    let mut tables = Vec::new();
    for same in named(protocol).values() {
        for group in groups_of(protocol, same) {
            tables.push(build(protocol, same, &group).0);
        }
    }
    tables
}

fn named(protocol: &SbeProtocol) -> BTreeMap<String, Same> {
    let mut named: BTreeMap<String, Same> = BTreeMap::new();
    for (at, compiled) in protocol.schemas.iter().enumerate().rev() {
        for (message, shape) in compiled.schema.messages.iter().enumerate() {
            named.entry(identifier(&shape.name)).or_default().push((at, message));
        }
    }
    named
}

fn shape(protocol: &SbeProtocol, (schema, message): (usize, usize)) -> Option<&Message> {
    protocol.schemas.get(schema)?.schema.messages.get(message)
}

/// The paths of all groups of some messages, the root's first.
fn groups_of(protocol: &SbeProtocol, same: &Same) -> Vec<Vec<String>> {
    fn find(block: &Block, around: &[String], found: &mut Vec<Vec<String>>) {
        for group in &block.groups {
            let path = [around, std::slice::from_ref(&group.name)].concat();
            if !found.contains(&path) {
                found.push(path.clone());
            }
            find(&group.block, &path, found);
        }
    }
    let mut found = vec![Vec::new()];
    for &at in same {
        if let Some(message) = shape(protocol, at) {
            find(&message.block, &[], &mut found);
        }
    }
    found
}

/// The table of a group of some messages, or of the messages themselves.
fn build(
    protocol: &SbeProtocol,
    same: &Same,
    group: &[String],
) -> (TypedTable, BTreeMap<(usize, usize), Plan>) {
    let mut builder = Builder::default();
    let (mut plans, mut msg_types, mut name) = (BTreeMap::new(), Vec::new(), String::new());
    for &at in same {
        let Some(message) = shape(protocol, at) else { continue };
        builder.used.clear();
        let plan = builder.block(&message.block, "", group);
        let code = message.id.to_string();
        if !msg_types.contains(&code) {
            msg_types.push(code);
        }
        let path = [std::slice::from_ref(&message.name), group].concat();
        name = path.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(GROUP);
        plans.insert(at, plan);
    }
    (TypedTable { name, msg_types, columns: builder.columns }, plans)
}

impl Builder {
    /// A block on the way to the table's group, which `path` leads to from here.
    fn block(&mut self, block: &Block, prefix: &str, path: &[String]) -> Plan {
        let leaves = block.leaves.iter().map(|leaf| self.leaf(leaf, block, prefix)).collect();
        let inside = |group: &Group| path.first().is_some_and(|name| *name == group.name);
        let groups = block.groups.iter().map(|group| {
            let rest = path.get(1..).unwrap_or_default();
            inside(group).then(|| self.block(&group.block, &group.name, rest))
        });
        let groups = groups.collect();
        // What stands behind the groups comes after their rows.
        let data = block.data.iter().map(|data| {
            let kind = if data.text { ColumnKind::Text } else { ColumnKind::Bytes };
            path.is_empty().then(|| self.column(&data.name, prefix, kind))
        });
        let data = data.collect();
        Plan { leaves, data, groups, rows: path.is_empty() }
    }

    fn leaf(&mut self, leaf: &Leaf, block: &Block, prefix: &str) -> LeafPlan {
        let is_mantissa = matches!(leaf.meaning, Meaning::Mantissa(_));
        let of_decimal = |other: &Leaf| {
            other.field == leaf.field && matches!(other.meaning, Meaning::Mantissa(_))
        };
        // The constant exponent of a decimal is in its value.
        if leaf.constant.is_some() && !is_mantissa && block.leaves.iter().any(of_decimal) {
            return LeafPlan::default();
        }
        let name = if is_mantissa { &leaf.field } else { &leaf.name };
        let mut plan =
            LeafPlan { value: Some(self.column(name, prefix, kind(leaf))), ..LeafPlan::default() };
        match &leaf.meaning {
            Meaning::Enum(_) => {
                let word = format!("{name}_word");
                plan.word = Some(self.column(&word, prefix, ColumnKind::Text));
            }
            Meaning::Set(choices) => {
                for (choice, bit) in choices.iter() {
                    let column = format!("{name}_{choice}");
                    plan.choices.push((*bit, self.column(&column, prefix, ColumnKind::UInt)));
                }
            }
            _ => {}
        }
        plan
    }

    /// The column of a field: one that another version has under its name, or a
    /// new one; the group's name, then a number, tell it from others.
    fn column(&mut self, name: &str, prefix: &str, kind: ColumnKind) -> usize {
        let name = identifier(name);
        let longer =
            if prefix.is_empty() { name.clone() } else { format!("{}_{name}", identifier(prefix)) };
        let numbered = (2..).map(|n| format!("{longer}_{n}"));
        let names = [name, longer.clone()].into_iter().chain(numbered);
        for name in names.filter(|name| !KEY_COLUMNS.contains(&name.as_str())) {
            let found = self.columns.iter().position(|column| column.name == name);
            let at = match found {
                None => {
                    self.columns.push(TypedColumn { name, kind });
                    self.columns.len() - 1
                }
                Some(at) => at,
            };
            let fits = self.columns.get(at).is_some_and(|column| column.kind == kind);
            if fits && !self.used.contains(&at) {
                self.used.push(at);
                return at;
            }
        }
        usize::MAX
    }
}

fn kind(leaf: &Leaf) -> ColumnKind {
    match (&leaf.meaning, &leaf.constant, leaf.prim) {
        (_, Some(Constant::Text(_)), _) => ColumnKind::Text,
        (Meaning::Mantissa(_), ..) => ColumnKind::Decimal,
        (Meaning::Time(_), ..) => ColumnKind::Time,
        (_, _, Prim::Char) => ColumnKind::Text,
        _ if leaf.count > 1 || leaf.size == 0 && leaf.constant.is_none() => ColumnKind::Bytes,
        (_, _, Prim::Int(_)) => ColumnKind::Int,
        (_, _, Prim::Uint(_)) => ColumnKind::UInt,
        (_, _, Prim::Float(_)) => ColumnKind::Decimal,
    }
}

impl SbeReader {
    /// The reader of the table with this name. Columns that are not `wanted`
    /// stay null.
    pub fn new(
        protocol: Arc<SbeProtocol>,
        table: &str,
        wanted: &[bool],
        show_secrets: bool,
    ) -> Option<Self> {
        let messages = named(&protocol);
        let found = messages.iter().find_map(|(name, same)| {
            table.starts_with(name.as_str()).then_some(())?;
            let groups = groups_of(&protocol, same);
            let mut built = groups.iter().map(|group| build(&protocol, same, group));
            built.find(|(built, _)| built.name == table)
        });
        let (built, mut plans) = found?;
        for plan in plans.values_mut() {
            plan.keep(&|column| wanted.get(column).copied().unwrap_or(true));
        }
        Some(Self { plans, columns: built.columns.len(), protocol, show_secrets })
    }

    /// The rows of a message; none where it is another one.
    pub fn rows(&self, stored: &StoredMessage<'_>, emit: &mut Emit) {
        let protocol = &self.protocol;
        let body = stored.bytes;
        let Some(told) = protocol.header.read(body) else { return };
        let Some(found) = protocol.find(&told) else { return };
        let plan = self.plans.get(&(found.schema, found.message));
        let (Some(message), Some(plan)) = (found.shape(), plan) else { return };
        let little = found.compiled.schema.little;
        let secrets = if self.show_secrets { &[][..] } else { &protocol.overlay.secrets };
        let mut reading = Reading {
            body,
            little,
            secrets,
            version: told.version,
            open: vec![Open { block: &message.block, plan: Some(plan), before: 0 }],
            values: Vec::new(),
            rows: Vec::new(),
        };
        let walk = Walk { body, little, version: told.version };
        // What is whole before a cut counts.
        let _ = walk.block(&message.block, protocol.header.size, told.block_length, &mut reading);
        if plan.rows {
            reading.row();
        }
        emit_rows(self.columns, reading.rows, emit);
    }
}

impl Plan {
    /// Leaves out the columns that are not wanted.
    fn keep(&mut self, wanted: &dyn Fn(usize) -> bool) {
        for leaf in &mut self.leaves {
            leaf.value = leaf.value.filter(|&column| wanted(column));
            leaf.word = leaf.word.filter(|&column| wanted(column));
            leaf.choices.retain(|(_, column)| wanted(*column));
        }
        for data in &mut self.data {
            *data = data.filter(|&column| wanted(column));
        }
        self.groups.iter_mut().flatten().for_each(|plan| plan.keep(wanted));
    }
}

/// A block being read.
struct Open<'a> {
    block: &'a Block,
    /// `None` where it is no part of the table.
    plan: Option<&'a Plan>,
    /// How many values the blocks around it have.
    before: usize,
}

/// One message being read.
struct Reading<'a> {
    body: &'a [u8],
    little: bool,
    secrets: &'a [String],
    version: u64,
    open: Vec<Open<'a>>,
    /// What the open blocks have.
    values: Vec<(usize, Datum<'a>)>,
    rows: Vec<Vec<(usize, Datum<'a>)>>,
}

impl<'a> Reading<'a> {
    fn row(&mut self) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(self.values.clone());
        }
    }

    fn put(&mut self, column: Option<usize>, value: Option<Datum<'a>>) {
        if let (Some(column), Some(value)) = (column, value) {
            self.values.push((column, value));
        }
    }

    /// The leaves of the innermost block, which has `length` bytes from `at` on.
    fn leaves(&mut self, at: usize, length: usize) {
        let Some(&Open { block, plan: Some(plan), .. }) = self.open.last() else { return };
        for (leaf, plan) in block.leaves.iter().zip(&plan.leaves) {
            let there = at.checked_add(leaf.end()).is_some_and(|end| end <= self.body.len());
            let secret = self.secrets.contains(&leaf.name);
            if leaf.is_in(self.version, length) && there && !secret {
                self.leaf(leaf, plan, at);
            }
        }
    }

    fn leaf(&mut self, leaf: &'a Leaf, plan: &LeafPlan, base: usize) {
        let body = self.body;
        let bytes = body.get(base + leaf.at..base + leaf.end()).unwrap_or_default();
        let bits = match &leaf.constant {
            Some(Constant::Text(text)) => {
                return self.put(plan.value, Some(Datum::Text(text.as_bytes())));
            }
            Some(Constant::Bits(bits)) => *bits,
            None if leaf.count > 1 || leaf.size == 0 => {
                return self.put(plan.value, array(leaf, bytes));
            }
            None => wire::bits(bytes, 0, leaf.size, self.little).unwrap_or(0),
        };
        if leaf.null == Some(bits) && leaf.constant.is_none() {
            return;
        }
        let value = match leaf.prim {
            Prim::Char if leaf.constant.is_none() => text(bytes),
            Prim::Char => None,
            _ => self.number(leaf, bits, base),
        };
        self.put(plan.value, value);
        match &leaf.meaning {
            Meaning::Enum(list) => {
                let word = list.name_of(bits).map(|word| Datum::Text(word.as_bytes()));
                self.put(plan.word, word);
            }
            Meaning::Set(_) => {
                for &(bit, column) in &plan.choices {
                    let set = bits.checked_shr(bit).unwrap_or(0) & 1;
                    self.put(Some(column), Some(Datum::Int(set.into())));
                }
            }
            _ => {}
        }
    }

    fn number(&self, leaf: &Leaf, bits: u64, base: usize) -> Option<Datum<'a>> {
        let number = leaf.prim.number(bits);
        match leaf.meaning {
            Meaning::Mantissa(Exponent::Constant(exponent)) => {
                Some(Datum::Decimal(number, -i32::from(exponent)))
            }
            Meaning::Mantissa(Exponent::Field { at, prim }) => {
                let bits = wire::bits(self.body, base + at, prim.size(), self.little)?;
                let exponent = (bits != prim.null()).then(|| prim.number(bits))?;
                Some(Datum::Decimal(number, i32::try_from(exponent).ok()?.checked_neg()?))
            }
            Meaning::Time(unit) => {
                let ns = number.checked_mul(i128::from(unit))?;
                i64::try_from(ns).ok().map(Datum::Time)
            }
            _ => match leaf.prim {
                Prim::Float(4) => decimal(&f32::from_bits(bits as u32).to_string()),
                Prim::Float(_) => decimal(&f64::from_bits(bits).to_string()),
                _ => Some(Datum::Int(number)),
            },
        }
    }
}

/// Text, or elements one after the other.
fn array<'a>(leaf: &Leaf, bytes: &'a [u8]) -> Option<Datum<'a>> {
    match leaf.prim {
        Prim::Char => text(bytes),
        _ => (!bytes.is_empty()).then_some(Datum::Bytes(bytes)),
    }
}

/// Text without its padding; nothing else is no value.
fn text(bytes: &[u8]) -> Option<Datum<'_>> {
    let text = trimmed(bytes);
    (!text.is_empty()).then_some(Datum::Text(text))
}

/// The shortest digits of a floating number, which are exact again; `None`
/// where it is none.
fn decimal<'a>(text: &str) -> Option<Datum<'a>> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part}");
    Some(Datum::Decimal(digits.parse().ok()?, i32::try_from(part.len()).ok()?))
}

impl Visitor for Reading<'_> {
    fn fields(&mut self, _: &Block, at: usize, length: usize) {
        self.leaves(at, length);
    }

    fn cut_fields(&mut self, _: &Block, at: usize, length: usize) {
        self.leaves(at, length);
    }

    fn dimension(&mut self, _: &Group, _: usize, _: Dimension) {}

    fn enter(&mut self, group: &Group, _: usize) {
        let Some(&Open { block, plan, .. }) = self.open.last() else { return };
        let at = block.groups.iter().position(|known| known.name == group.name);
        let known = at.and_then(|at| block.groups.get(at));
        let plan = plan.and_then(|plan| plan.groups.get(at?)?.as_ref());
        let block = known.map_or(block, |known| &known.block);
        self.open.push(Open { block, plan, before: self.values.len() });
    }

    fn leave(&mut self) {
        let Some(Open { plan, before, .. }) = self.open.pop() else { return };
        if plan.is_some_and(|plan| plan.rows) {
            self.row();
        }
        self.values.truncate(before);
    }

    fn data(&mut self, data: &Data, at: usize, length: usize) {
        let Some(&Open { block, plan: Some(plan), .. }) = self.open.last() else { return };
        let known = block.data.iter().position(|known| known.name == data.name);
        let column = known.and_then(|known| plan.data.get(known).copied().flatten());
        let start = at.saturating_add(data.size);
        let body = self.body;
        let bytes = body.get(start..start.saturating_add(length)).unwrap_or_default();
        if self.secrets.contains(&data.name) {
            return;
        }
        let value = match data.text {
            true => text(bytes),
            false => (!bytes.is_empty()).then_some(Datum::Bytes(bytes)),
        };
        self.put(column, value);
    }
}
