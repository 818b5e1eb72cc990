//! From layout lines to the parts of a message.
//!
//! ```text
//!   0  code    c1                    ┐ fixed part, slot 0
//!   1  count   u8                    ┘
//!   2  legs    struct.leg[count]     a step; its entries have slot 1
//!   +  length  u8                    ┐ a step without a name, slot 2
//!   +  flags   u8                    ┘
//!   +  text    text(length)          a step that slot 2 sizes
//! ```

use toml::Spanned;

use crate::fixed::compile::{Compiler, SIZE_MAX};
use crate::fixed::error::Fault;
use crate::fixed::layout::{self, Argument, LayoutLine, Literal, Target, reference};
use crate::fixed::place::{KeyAt, LearnedAt, NumberAt, Ref, SLOTS_MAX};
use crate::fixed::program::{FieldDef, Learn, LearnFrom, LearnedCol, Op};
use crate::fixed::source::{self, Key, LearnedKey};
use crate::fixed::switch::Switches;
use crate::fixed::tables::Tables;
use crate::fixed::targets::{Column, any_number_at, literal_code, number_at};
use crate::fixed::walk::{Condition, Count, Decides, Shape, Step, Test, TextTo, What};
use crate::fixed::wire::{FieldType, Trim, Wire};
use std::sync::Arc;

/// How deep structs stand in each other.
const DEPTH_MAX: usize = 4;

/// A field that later lines may name.
#[derive(Clone, Debug)]
pub struct Visible {
    slot: u8,
    def: FieldDef,
}

/// The names of a message while it is laid out.
#[derive(Debug, Default)]
pub struct Scope {
    visible: Vec<Visible>,
    /// Bytes whose bits choose fields: name, slot and how many.
    bits: Vec<(String, u8, Count)>,
    slots: usize,
    depth: usize,
    /// Whether a group makes rows.
    pub has_rows: bool,
    /// Whether something behind the fixed part teaches.
    pub teaches_behind: bool,
    /// Whether the size being laid out is the message's full one.
    pub is_full: bool,
}

impl Scope {
    /// The field with this name that was laid out last.
    pub fn find(&self, name: &str) -> Option<(u8, &FieldDef)> {
        let found = self.visible.iter().rev().find(|visible| visible.def.name == name);
        found.map(|visible| (visible.slot, &visible.def))
    }

    /// A number of the message.
    pub fn number(&self, name: &str, line: usize) -> Result<Ref, Fault> {
        let missing = || Fault::new(line, format!("no field `{name}` before this line"));
        let (slot, def) = self.find(name).ok_or_else(missing)?;
        let no_number = || Fault::new(line, format!("`{name}` is no number"));
        Ok(Ref { slot, at: number_at(def).ok_or_else(no_number)? })
    }

    /// A number, or a text of up to 8 bytes as one.
    pub fn key(&self, name: &str, line: usize) -> Result<Ref, Fault> {
        let missing = || Fault::new(line, format!("no field `{name}` before this line"));
        let (slot, def) = self.find(name).ok_or_else(missing)?;
        let no_key = || Fault::new(line, format!("`{name}` is too wide for a key"));
        Ok(Ref { slot, at: any_number_at(def).ok_or_else(no_key)? })
    }

    /// The key of a learned table.
    pub fn key_at(
        &self,
        key: Option<&Key>,
        tables: &mut Tables,
        line: usize,
    ) -> Result<KeyAt, Fault> {
        match key {
            None => Ok(KeyAt::Only),
            Some(Key::Field(name)) => Ok(KeyAt::Field(self.key(name, line)?)),
            Some(Key::Learned(learned)) => {
                Ok(KeyAt::Learned(Box::new(self.learned(learned, tables, line)?)))
            }
        }
    }

    /// A learned number.
    pub fn learned(
        &self,
        learned: &LearnedKey,
        tables: &mut Tables,
        line: usize,
    ) -> Result<LearnedAt, Fault> {
        let key = self.key_at(learned.key.as_ref(), tables, line)?;
        let (table, slot) = tables.want(&learned.table, &learned.value, false, line);
        Ok(LearnedAt { table, key, slot })
    }

    fn new_slot(&mut self, line: usize) -> Result<u8, Fault> {
        let slot = self.slots;
        self.slots += 1;
        if slot >= SLOTS_MAX {
            return Err(Fault::new(line, format!("more than {SLOTS_MAX} parts")));
        }
        Ok(slot as u8)
    }
}

/// What a shape has besides its lines.
#[derive(Clone, Debug, Default)]
pub struct Extras<'a> {
    /// What it teaches.
    pub learn: Vec<&'a Spanned<source::Learn>>,
    /// What it looks up.
    pub lookup: Vec<&'a Spanned<source::Lookup>>,
    /// Constant columns.
    pub set: Vec<(&'a str, &'a str)>,
    /// For faults that have no better line.
    pub line: usize,
}

/// A shape while its lines are read.
struct Building {
    shape: Shape,
    /// Where the next field stands, if that is the same in every message.
    at: Option<u32>,
    /// Whether the last step is an open run of fields.
    running: bool,
    /// Fields with the step they belong to (`None`: the fixed part), whose
    /// columns wait until every name is known.
    waiting: Vec<(Option<usize>, FieldDef, LayoutLine)>,
}

impl<'a> Compiler<'a> {
    /// Lays out lines with all that belongs to them.
    pub fn shape(
        &mut self,
        lines: &[LayoutLine],
        extras: &Extras<'a>,
        scope: &mut Scope,
    ) -> Result<Shape, Fault> {
        if scope.depth > DEPTH_MAX {
            let reason = format!("structs stand more than {DEPTH_MAX} deep in each other");
            return Err(Fault::new(extras.line, reason));
        }
        let slot = scope.new_slot(extras.line)?;
        let (seen, bits) = (scope.visible.len(), scope.bits.len());
        let (shape, waiting) = (empty(slot, self.new_part()), Vec::new());
        let mut building = Building { shape, at: Some(0), running: true, waiting };
        for line in lines {
            self.line(line, &mut building, scope)?;
        }
        self.columns(&mut building, scope)?;
        let mut shape = building.shape;
        let constants = self.targets.constants(&extras.set, extras.line)?;
        if constants.iter().any(|op| shape.ops.iter().any(|other| other.bit() == op.bit())) {
            let reason = "`set` names a column that a field fills";
            return Err(Fault::new(extras.line, reason));
        }
        shape.ops.extend(constants);
        for lookup in &extras.lookup {
            self.lookup(lookup, &mut shape, scope)?;
        }
        for learn in &extras.learn {
            let learned = self.learn(learn, shape.slot, scope)?;
            shape.learn.push(learned);
        }
        scope.visible.truncate(seen);
        scope.bits.truncate(bits);
        shape.switches = Switches::new(shape.slot, &shape.steps);
        Ok(shape)
    }

    /// The operations of all fields: a scale or the seconds of a time may
    /// stand behind the field that needs them.
    fn columns(&mut self, building: &mut Building, scope: &Scope) -> Result<(), Fault> {
        for (step, def, line) in std::mem::take(&mut building.waiting) {
            let ops = self.targets.ops(&def, &line, scope, &mut self.tables)?;
            let scale_at = self.targets.scale_at(&def, line.line, scope, &mut self.tables)?;
            let Some(shape) = building.part(step) else { continue };
            if let Some(field) = shape.fields.iter_mut().find(|field| field.name == def.name) {
                field.scale_at = scale_at;
            }
            for op in ops {
                if shape.ops.iter().any(|other| other.bit() == op.bit()) {
                    let reason = format!("`{}` goes to a column that is filled already", line.name);
                    return Err(Fault::new(line.line, reason));
                }
                shape.ops.push(op);
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        line: &LayoutLine,
        building: &mut Building,
        scope: &mut Scope,
    ) -> Result<(), Fault> {
        if line.is_part {
            return self.part(line, building, scope);
        }
        check_offset(line, building)?;
        let what = match (line.type_name.as_str(), reference(&line.type_name, "struct")) {
            (_, Some(name)) => Some(self.struct_step(name, line, scope)?),
            ("text" | "bytes", None) => Some(text_step(line, scope)?),
            ("bitfields", None) => Some(bits_step(line, scope)?),
            _ => match reference(&line.type_name, "tlv") {
                Some(list) => Some(self.tlv_step(list, line, scope)?),
                None => match reference(&line.type_name, "fields") {
                    Some(list) => Some(self.chosen_step(list, line, scope)?),
                    None => None,
                },
            },
        };
        let when = line.condition.as_ref().map(|when| condition(when, line.line, scope));
        let when = when.transpose()?;
        match (what, when) {
            (None, None) => self.field(line, building, scope),
            (None, when) => {
                let shape = empty(scope.new_slot(line.line)?, self.new_part());
                let what = What::Once(Box::new(shape));
                building.add(Step { name: String::new(), when, what }, None);
                let step = Some(building.shape.steps.len() - 1);
                self.field_of(line, step, building, scope)
            }
            (Some(what), when) => {
                let size = if when.is_none() { fixed_size(&what) } else { None };
                building.add(Step { name: line.name.clone(), when, what }, size);
                Ok(())
            }
        }
    }

    /// Adds a field to the fixed part, or to the run behind the last step.
    fn field(
        &mut self,
        line: &LayoutLine,
        building: &mut Building,
        scope: &mut Scope,
    ) -> Result<(), Fault> {
        if !building.running {
            let shape = empty(scope.new_slot(line.line)?, self.new_part());
            let what = What::Once(Box::new(shape));
            building.shape.steps.push(Step { name: String::new(), when: None, what });
            building.running = true;
        }
        let step = building.shape.steps.len().checked_sub(1);
        let before = building.part(step).map_or(0, |shape| shape.size);
        self.field_of(line, step, building, scope)?;
        let after = building.part(step).map_or(0, |shape| shape.size);
        building.at = building.at.map(|at| at.saturating_add(after - before));
        Ok(())
    }

    fn field_of(
        &mut self,
        line: &LayoutLine,
        step: Option<usize>,
        building: &mut Building,
        scope: &mut Scope,
    ) -> Result<(), Fault> {
        let ty = FieldType { secret: line.secret, ..self.field_type(line)? };
        if line.argument.is_some() {
            return Err(Fault::new(
                line.line,
                "only structs, tlv, text and bytes have an argument",
            ));
        }
        let Some(shape) = building.part(step) else { return Ok(()) };
        let is_reserved = line.name == "-";
        if !is_reserved && shape.fields.iter().any(|def| def.name == line.name) {
            return Err(Fault::new(line.line, format!("a second field `{}`", line.name)));
        }
        let (offset, size) = (shape.size, shape.size.saturating_add(ty.wire.width()));
        if size > SIZE_MAX {
            return Err(Fault::new(line.line, format!("a message has {SIZE_MAX} bytes at most")));
        }
        let name = if is_reserved { "reserved".to_owned() } else { line.name.clone() };
        shape.size = size;
        building.define(
            FieldDef { name, offset, ty, bits: None, scale_at: None },
            line,
            step,
            scope,
        );
        Ok(())
    }

    /// Some bits of the field before.
    fn part(
        &mut self,
        line: &LayoutLine,
        building: &mut Building,
        scope: &mut Scope,
    ) -> Result<(), Fault> {
        let fault = |reason: String| Fault::new(line.line, reason);
        let (low, high) = match (line.type_name.as_str(), &line.argument) {
            ("bit", Some(Argument::Number(bit))) => (*bit, *bit),
            ("bits", Some(Argument::Bits(low, high))) => (*low.min(high), *low.max(high)),
            _ => return Err(fault("a part is `bit(3)` or `bits(0-3)`".into())),
        };
        let last = building.shape.steps.last().is_some_and(|step| step.name.is_empty());
        let step = building.shape.steps.len().checked_sub(1).filter(|_| last);
        let Some(shape) = building.part(step) else { return Ok(()) };
        let owner = shape.fields.iter().rev().find(|def| def.bits.is_none());
        let owner = owner.ok_or_else(|| fault("no field before this part".into()))?.clone();
        let Wire::Int { width, .. } = owner.ty.wire else {
            return Err(fault(format!("`{}` has no bits", owner.name)));
        };
        if high >= 8 * width {
            return Err(fault(format!("`{}` has {} bits", owner.name, 8 * width)));
        }
        let def = FieldDef {
            name: line.name.clone(),
            offset: owner.offset,
            ty: FieldType::plain(owner.ty.wire),
            bits: Some((low, high - low + 1)),
            scale_at: None,
        };
        building.define(def, line, step, scope);
        Ok(())
    }

    fn struct_step(
        &mut self,
        name: &str,
        line: &LayoutLine,
        scope: &mut Scope,
    ) -> Result<What, Fault> {
        no_targets(line)?;
        let file = self.file;
        let missing = || Fault::new(line.line, format!("no [struct.{name}] in this file"));
        let table = file.structs.get(name).ok_or_else(missing)?;
        let count = line.argument.as_ref().map(|argument| count(argument, line, scope));
        let count = count.transpose()?;
        scope.depth += 1;
        let rows = table.get_ref().rows;
        scope.has_rows |= rows;
        scope.teaches_behind |= !table.get_ref().learn.is_empty();
        let shape = self.struct_shape(table, scope)?;
        scope.depth -= 1;
        if shape.size == 0 && !shape.steps.iter().any(|step| step.when.is_none()) {
            return Err(Fault::new(line.line, format!("`{name}` may be without a byte")));
        }
        let length = table.get_ref().length.as_deref().map(|field| {
            let def = shape.fields.iter().find(|def| def.name == field);
            let missing = || Fault::new(line.line, format!("`{name}` has no number `{field}`"));
            def.and_then(number_at).ok_or_else(missing)
        });
        let (length, shape) = (length.transpose()?, Box::new(shape));
        Ok(match count {
            None if length.is_none() && !rows => What::Once(shape),
            None => What::Each { count: Count::Fixed(1), length, rows, shape },
            Some(count) => What::Each { count, length, rows, shape },
        })
    }

    /// The shape of a struct.
    pub fn struct_shape(
        &mut self,
        table: &'a Spanned<source::StructTable>,
        scope: &mut Scope,
    ) -> Result<Shape, Fault> {
        let layout = &table.get_ref().layout;
        let lines = layout::parse(layout.get_ref(), self.text.first_line_of(layout))?;
        let set = table.get_ref().set.iter();
        let extras = Extras {
            learn: table.get_ref().learn.iter().collect(),
            lookup: table.get_ref().lookup.iter().collect(),
            set: set.map(|(column, word)| (column.as_str(), word.as_str())).collect(),
            line: self.text.line_of(table),
        };
        self.shape(&lines, &extras, scope)
    }

    fn tlv_step(&mut self, list: &str, line: &LayoutLine, scope: &Scope) -> Result<What, Fault> {
        no_targets(line)?;
        let found = self.tlvs.iter().position(|tlv| tlv.name == list);
        let missing = || Fault::new(line.line, format!("no [tlv.{list}] in this file"));
        let tlv = found.ok_or_else(missing)?;
        let form = || {
            let form = format!("write `tlv.{list}(length_field)` with a number field before it");
            Fault::new(line.line, form)
        };
        let length = count(line.argument.as_ref().ok_or_else(form)?, line, scope)?;
        Ok(What::Elements { length, tlv })
    }

    /// The fields that bits choose.
    fn chosen_step(&self, list: &str, line: &LayoutLine, scope: &Scope) -> Result<What, Fault> {
        no_targets(line)?;
        let fault = |reason: String| Fault::new(line.line, reason);
        let fields = self.bitfields.iter().find(|fields| fields.name == list);
        let fields = fields.ok_or_else(|| fault(format!("no [bitfields.{list}] in this file")))?;
        let Some(Argument::Field(name)) = &line.argument else {
            return Err(fault(format!("write `fields.{list}(bitfields_before)`")));
        };
        let bits = scope.bits.iter().rev().find(|(bits, ..)| bits == name);
        let missing = || fault(format!("no `{name}` of type bitfields before this line"));
        let (_, slot, count) = bits.ok_or_else(missing)?;
        Ok(What::Chosen { slot: *slot, count: *count, fields: Arc::clone(fields) })
    }

    fn lookup(
        &mut self,
        lookup: &Spanned<source::Lookup>,
        shape: &mut Shape,
        scope: &Scope,
    ) -> Result<(), Fault> {
        let (line, lookup) = (self.text.line_of(lookup), lookup.get_ref());
        let key = scope.key_at(lookup.key.as_ref(), &mut self.tables, line)?;
        for (column, value) in &lookup.get {
            let wrong = || Fault::new(line, format!("`{value}` can't go to `{column}`"));
            let col = match Column::parse(column) {
                Some(Column::Name(col)) => LearnedCol::Name(col),
                Some(Column::Int(col)) => LearnedCol::Int(col),
                _ => return Err(wrong()),
            };
            let is_text = matches!(col, LearnedCol::Name(_));
            let (table, slot) = self.tables.want(&lookup.table, value, is_text, line);
            let op = match &key {
                KeyAt::Field(Ref { slot: 0, at: NumberAt::Plain { at, .. } })
                    if shape.slot == 0 =>
                {
                    Op::Lookup { key: *at, table, slot, col }
                }
                key => Op::LookupBy { value: LearnedAt { table, key: key.clone(), slot }, col },
            };
            if shape.ops.iter().all(|other| other.bit() != op.bit()) {
                shape.ops.push(op);
            }
        }
        Ok(())
    }

    fn learn(
        &mut self,
        learn: &Spanned<source::Learn>,
        slot: u8,
        scope: &Scope,
    ) -> Result<Learn, Fault> {
        let (line, learn) = (self.text.line_of(learn), learn.get_ref());
        let if_absent = match learn.when.as_deref() {
            None | Some("always") => false,
            Some("absent") => true,
            Some(other) => {
                return Err(Fault::new(line, format!("`when` is always or absent, not `{other}`")));
            }
        };
        let key = learn.key.clone().map(Key::Field);
        let key = scope.key_at(key.as_ref(), &mut self.tables, line)?;
        let mut values = Vec::new();
        let mut table = None;
        for (value, from) in &learn.set {
            let from = self.learn_from(from, slot, scope, line)?;
            let is_text = matches!(from, LearnFrom::Name(_));
            let (at, place) = self.tables.teach(&learn.table, value, is_text, line)?;
            table = Some(at);
            values.push((place, from));
        }
        let table = table.ok_or_else(|| Fault::new(line, "nothing to learn in `set`"))?;
        Ok(Learn { table, key, values, if_absent })
    }

    /// `field` or `field : enum.NAME`.
    fn learn_from(
        &mut self,
        from: &str,
        slot: u8,
        scope: &Scope,
        line: usize,
    ) -> Result<LearnFrom, Fault> {
        let wrong = |_| Fault::new(line, format!("`{from}` is no field"));
        let (_, Target { column: field, transform }) = layout::target(from).map_err(wrong)?;
        let missing = || Fault::new(line, format!("no field `{field}` to learn"));
        let (found, def) = scope.find(&field).ok_or_else(missing)?;
        if found != slot {
            return Err(Fault::new(line, format!("`{field}` is not of the part that teaches")));
        }
        match (def.ty.wire, &transform) {
            (Wire::Text { .. }, _) | (_, Some(_)) => {
                Ok(LearnFrom::Name(self.targets.text_at(def, transform.as_deref(), line)?))
            }
            _ => number_at(def)
                .map(LearnFrom::Int)
                .ok_or_else(|| Fault::new(line, format!("`{field}` can't be learned"))),
        }
    }
}

impl Building {
    /// The fixed part, or a step's fields.
    fn part(&mut self, step: Option<usize>) -> Option<&mut Shape> {
        match step {
            None => Some(&mut self.shape),
            Some(step) => match &mut self.shape.steps.get_mut(step)?.what {
                What::Once(shape) => Some(shape),
                _ => None,
            },
        }
    }

    /// Adds a field and its name.
    fn define(&mut self, def: FieldDef, line: &LayoutLine, step: Option<usize>, scope: &mut Scope) {
        let Some(shape) = self.part(step) else { return };
        scope.visible.push(Visible { slot: shape.slot, def: def.clone() });
        shape.fields.push(def.clone());
        self.waiting.push((step, def, line.clone()));
    }

    /// Adds a step of so many bytes, if that is always the same.
    fn add(&mut self, step: Step, size: Option<u32>) {
        self.shape.steps.push(step);
        self.running = false;
        self.at = self.at.zip(size).map(|(at, size)| at.saturating_add(size));
    }
}

fn empty(slot: u8, part: u32) -> Shape {
    Shape {
        part,
        slot,
        size: 0,
        fields: vec![],
        ops: vec![],
        learn: vec![],
        steps: vec![],
        switches: None,
    }
}

/// Bytes of a step, if they are always the same.
fn fixed_size(what: &What) -> Option<u32> {
    match what {
        What::Once(shape) => shape_size(shape),
        What::Each { count: Count::Fixed(count), length: None, shape, .. } => {
            shape_size(shape)?.checked_mul(*count)
        }
        What::Text { length: Count::Fixed(size), .. }
        | What::Bits { count: Count::Fixed(size), .. } => Some(*size),
        _ => None,
    }
}

/// Bytes of a shape, if they are always the same.
fn shape_size(shape: &Shape) -> Option<u32> {
    shape.steps.iter().try_fold(shape.size, |size, step| match step.when {
        None => size.checked_add(fixed_size(&step.what)?),
        Some(_) => None,
    })
}

/// Bytes of a shape up to the first item whose size varies.
pub fn size_before_varying(shape: &Shape) -> u32 {
    let fixed = |step: &Step| step.when.is_none().then(|| fixed_size(&step.what)).flatten();
    let sizes = shape.steps.iter().map_while(fixed);
    sizes.fold(shape.size, |size, step| size.saturating_add(step))
}

fn check_offset(line: &LayoutLine, building: &Building) -> Result<(), Fault> {
    let name = &line.name;
    let reason = match (line.offset, building.at) {
        (Some(offset), Some(at)) if offset == at => return Ok(()),
        (None, _) if !building.shape.steps.is_empty() || line.condition.is_some() => return Ok(()),
        (None, Some(at)) => format!("`{name}` stands at {at} in every message: write that"),
        (None, None) => return Ok(()),
        (Some(offset), Some(at)) => {
            format!("`{name}` is at {offset} but the field before it ends at {at}")
        }
        (Some(_), None) => format!("`{name}` has not one place: write `+`"),
    };
    Err(Fault::new(line.line, reason))
}

fn no_targets(line: &LayoutLine) -> Result<(), Fault> {
    if line.targets.is_empty() {
        return Ok(());
    }
    Err(Fault::new(line.line, "the fields inside have columns, not the whole"))
}

fn bits_step(line: &LayoutLine, scope: &mut Scope) -> Result<What, Fault> {
    no_targets(line)?;
    let form = || Fault::new(line.line, "write `bitfields(count_field)` or `bitfields(2)`");
    let count = match count(line.argument.as_ref().ok_or_else(form)?, line, scope)? {
        Count::Rest => return Err(form()),
        count => count,
    };
    let slot = scope.new_slot(line.line)?;
    scope.bits.push((line.name.clone(), slot, count));
    Ok(What::Bits { count, slot })
}

fn count(argument: &Argument, line: &LayoutLine, scope: &Scope) -> Result<Count, Fault> {
    match argument {
        Argument::Field(name) => {
            let none = scope.find(name).and_then(|(_, def)| def.ty.null.first().copied());
            Ok(Count::Field(scope.number(name, line.line)?, none))
        }
        Argument::Number(count) => Ok(Count::Fixed(*count)),
        Argument::Rest => Ok(Count::Rest),
        Argument::Bits(..) => Err(Fault::new(line.line, "a count is a number, a field or `*`")),
    }
}

fn text_step(line: &LayoutLine, scope: &Scope) -> Result<What, Fault> {
    let form = || Fault::new(line.line, "write `text(length_field)` or `text(*)`");
    let length = count(line.argument.as_ref().ok_or_else(form)?, line, scope)?;
    let to = line.targets.iter().map(|target| match Column::parse(&target.column) {
        Some(Column::Name(col)) => Ok(TextTo::Name(col)),
        Some(Column::Text(col)) => Ok(TextTo::Text(col)),
        _ => Err(Fault::new(line.line, format!("`{}` takes no text", target.column))),
    });
    let (is_text, secret) = (line.type_name == "text", line.secret);
    Ok(What::Text { length, is_text, secret, trim: Trim::Right, to: to.collect::<Result<_, _>>()? })
}

fn condition(when: &layout::Condition, line: usize, scope: &Scope) -> Result<Condition, Fault> {
    let of = match when.field.as_str() {
        "length" if scope.find("length").is_none() => Decides::Length,
        "rest" if scope.find("rest").is_none() => Decides::Rest,
        name => Decides::Field(scope.key(name, line)?),
    };
    let wire = scope.find(&when.field).map(|(_, def)| def.ty.wire);
    let value = |literal: &Literal| {
        let fits = match (literal, wire) {
            (Literal::Number(number), _) => Some(i128::from(*number)),
            (Literal::Text(text), Some(wire)) => literal_code(text, wire).map(i128::from),
            (Literal::Text(_), None) => None,
        };
        fits.ok_or_else(|| Fault::new(line, format!("`{}` is never {literal:?}", when.field)))
    };
    let mut values = when.values.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    let single = values.first().copied().unwrap_or(0);
    let test = match when.test {
        layout::Test::In => Test::In(std::mem::take(&mut values)),
        layout::Test::NotIn => Test::NotIn(std::mem::take(&mut values)),
        layout::Test::Less => Test::Less(single),
        layout::Test::Greater => Test::Greater(single),
        layout::Test::Bits => Test::Bits(single),
    };
    Ok(Condition { of, test })
}
