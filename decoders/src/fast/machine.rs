//! The machine that runs a template's ops over the bytes of one message
//! (FAST 1.1, chapters 6.3 and 10).
//!
//! ```text
//!            bit of the presence map?
//!            set                     not set
//! copy       value from the wire     previous value
//! increment  value from the wire     previous value + 1
//! tail       its end from the wire   previous value
//! default    value from the wire     initial value
//! constant   initial value           absent (optional only; else no bit)
//! delta      no bit: difference from the wire to the previous value
//! ```

use std::ops::Range;

use super::error::{Code, FastError};
use super::slots::{Decimal, Previous, Slots, TEXT_MAX};
use super::templates::{DEPTH_MAX, Initial, Integer, Op, Operator, Program, Templates, What};
use super::wire::{Pmap, Wire, plain};

/// Entries a message may have beyond what its bytes pay for: entries of
/// nothing but constants take no bytes.
pub const FREE_ENTRIES_MAX: usize = 1024;

/// A decoded value on its way to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Val<'v> {
    Null,
    Int(i64),
    Uint(u64),
    Decimal(Decimal),
    /// ASCII as on the wire: the last byte still has its stop bit.
    Ascii(&'v [u8]),
    /// ASCII or Unicode.
    Text(&'v [u8]),
    Bytes(&'v [u8]),
}

/// Takes the values of a message in wire order.
pub(super) trait Sink {
    /// A presence map at `from..to`.
    fn pmap(&mut self, bytes: &[u8], from: usize);
    /// A message, or a template referred to inside it, begins; its id stands
    /// at `from..to`, which is empty where it was left out.
    fn template(&mut self, found: Found<'_>, from: usize, to: usize);
    /// It ends.
    fn template_end(&mut self);
    /// A value at a range of the message's bytes.
    fn field(&mut self, templates: &Templates, op: &Op, value: Val<'_>, at: Range<usize>);
    /// A group begins.
    fn group(&mut self, name: &str);
    /// It ends.
    fn group_end(&mut self);
    /// An entry of a sequence begins.
    fn entry(&mut self, name: &str, main: bool, index: u32) -> Result<(), Code>;
    /// It ends.
    fn entry_end(&mut self, main: bool);
}

/// What a template id on the wire stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'t> {
    Program(&'t Program, u32),
    /// The implicit reset.
    Reset(u32),
}

/// One run over one message.
pub(super) struct Machine<'m, 'b, S> {
    pub templates: &'m Templates,
    pub slots: &'m mut Slots,
    pub wire: Wire<'b>,
    pub scratch: &'m mut Vec<u8>,
    pub sink: &'m mut S,
    pub implicit_reset: Option<u32>,
    /// A template said so.
    pub was_reset: bool,
    /// Of [`FREE_ENTRIES_MAX`], those left.
    pub free_entries: usize,
    pub depth: usize,
    /// For errors: where we are.
    pub template: Option<usize>,
    pub op: Option<usize>,
}

impl<'b, S: Sink> Machine<'_, 'b, S> {
    /// An error with its place.
    #[cold]
    pub fn error(&self, code: Code) -> FastError {
        let fault = self.wire.fault;
        let name = |text: Option<&str>| text.unwrap_or("?").into();
        let template = self.template.and_then(|at| self.templates.programs.get(at));
        let op = self.op.and_then(|at| self.templates.ops.get(at));
        FastError::Message {
            code,
            offset: fault.offset,
            needed: fault.needed,
            had: fault.had,
            template: name(template.map(|program| &*program.name)),
            field: name(op.map(|op| &*self.templates.field(op).name)),
        }
    }

    /// A message or a dynamic reference: presence map, template id, body.
    pub fn template(&mut self) -> Result<(), Code> {
        if self.depth > DEPTH_MAX {
            return Err(self.wire.fail(Code::Depth, 0));
        }
        let mut pmap = self.pmap()?;
        let from = self.wire.pos();
        let id = if pmap.bit() { Some(self.wire.uint(u32::MAX.into())?) } else { None };
        let id = id.map(|id| id as u32).or(self.slots.template_id);
        let Some(id) = id else { return Err(self.wire.fail(Code::D9, 0)) };
        self.start(id, from, pmap)
    }

    fn start(&mut self, id: u32, from: usize, mut pmap: Pmap<'b>) -> Result<(), Code> {
        let to = self.wire.pos();
        let templates = self.templates;
        let program = templates.program(id);
        let implicit = program.is_none() && self.implicit_reset == Some(id);
        if implicit || program.is_some_and(|program| program.reset) {
            self.slots.reset();
            self.was_reset = true;
        }
        self.slots.template_id = Some(id);
        match program {
            Some(program) => {
                self.template = Some(program.index);
                self.sink.template(Found::Program(program, id), from, to);
                self.run(program.ops.start, program.ops.end, &mut pmap)?;
            }
            None if implicit => self.sink.template(Found::Reset(id), from, to),
            None => return Err(self.wire.fail(Code::D9, 0)),
        }
        self.sink.template_end();
        Ok(())
    }

    #[inline(always)]
    fn pmap(&mut self) -> Result<Pmap<'b>, Code> {
        let from = self.wire.pos();
        let bytes = self.wire.stopped()?;
        self.sink.pmap(bytes, from);
        Ok(Pmap::new(bytes))
    }

    /// The ops of `at..end` that lie on one level.
    fn run(&mut self, mut at: usize, end: usize, pmap: &mut Pmap<'b>) -> Result<(), Code> {
        let templates = self.templates;
        while at < end {
            let op = &templates.ops[at];
            self.op = Some(at);
            let from = self.wire.pos();
            let name = || &*templates.field(op).name;
            at = match op.what {
                What::Integer(integer) => {
                    let value = self.integer(op, integer, pmap)?;
                    self.sink.field(
                        templates,
                        op,
                        integer_val(integer, value),
                        from..self.wire.pos(),
                    );
                    at + 1
                }
                What::Decimal => {
                    let value = self.decimal(op, pmap)?.map_or(Val::Null, Val::Decimal);
                    self.sink.field(templates, op, value, from..self.wire.pos());
                    at + 1
                }
                What::DecimalPair => {
                    let value = self.decimal_pair(at, pmap)?.map_or(Val::Null, Val::Decimal);
                    self.sink.field(templates, op, value, from..self.wire.pos());
                    at + 3
                }
                What::Ascii | What::Unicode | What::Bytes => {
                    self.text(op, pmap)?;
                    at + 1
                }
                What::Group { end, pmap: own } => {
                    self.group(name(), op, (at + 1, end), own, pmap)?;
                    end
                }
                What::Sequence { end, .. } => {
                    self.sequence(at, op, pmap)?;
                    end
                }
                What::Dynamic => {
                    self.dynamic()?;
                    at + 1
                }
            };
        }
        Ok(())
    }

    fn dynamic(&mut self) -> Result<(), Code> {
        let outer = self.template;
        self.depth += 1;
        self.template()?;
        self.depth -= 1;
        self.template = outer;
        Ok(())
    }

    fn group(
        &mut self,
        name: &str,
        op: &Op,
        (from, end): (usize, usize),
        own: bool,
        pmap: &mut Pmap<'b>,
    ) -> Result<(), Code> {
        if op.optional && !pmap.bit() {
            return Ok(());
        }
        self.sink.group(name);
        if own {
            let mut pmap = self.pmap()?;
            self.run(from, end, &mut pmap)?;
        } else {
            self.run(from, end, &mut Pmap::new(&[]))?;
        }
        self.sink.group_end();
        Ok(())
    }

    fn sequence(&mut self, at: usize, op: &Op, pmap: &mut Pmap<'b>) -> Result<(), Code> {
        let templates = self.templates;
        let What::Sequence { end, pmap: own, min_bytes, main } = op.what else { return Ok(()) };
        let length = &templates.ops[at + 1];
        self.op = Some(at + 1);
        let from = self.wire.pos();
        let count = self.integer(length, Integer::U32, pmap)?;
        let val = integer_val(Integer::U32, count);
        self.sink.field(templates, length, val, from..self.wire.pos());
        let count = count.unwrap_or(0) as u64;
        if count.saturating_mul(min_bytes as u64) > self.wire.left() as u64 {
            return Err(self.wire.fail(Code::Entries, count.saturating_mul(min_bytes as u64)));
        }
        let name = &*templates.field(op).name;
        for index in 0..count {
            let from = self.wire.pos();
            self.sink.entry(name, main, index as u32)?;
            let mut pmap = if own { self.pmap()? } else { Pmap::new(&[]) };
            self.run(at + 2, end, &mut pmap)?;
            self.sink.entry_end(main);
            if self.wire.pos() == from {
                self.pay_free_entry()?;
            }
        }
        Ok(())
    }

    /// Entries without bytes are limited, or a length alone could keep the
    /// decoder busy for ever.
    fn pay_free_entry(&mut self) -> Result<(), Code> {
        match self.free_entries.checked_sub(1) {
            Some(left) => self.free_entries = left,
            None => return Err(self.wire.fail(Code::Entries, FREE_ENTRIES_MAX as u64 + 1)),
        }
        Ok(())
    }

    /// An integer on the wire, nullable where the field is optional.
    #[inline(always)]
    fn read_integer(&mut self, op: &Op, integer: Integer) -> Result<Option<i64>, Code> {
        const U32: u64 = u32::MAX as u64;
        let unsigned = |value: u64| value as i64;
        Ok(match (integer, op.optional) {
            (Integer::U32, false) => Some(unsigned(self.wire.uint(U32)?)),
            (Integer::U32, true) => self.wire.uint_or_null(U32)?.map(unsigned),
            (Integer::U64, false) => Some(unsigned(self.wire.uint(u64::MAX)?)),
            (Integer::U64, true) => self.wire.uint_or_null(u64::MAX)?.map(unsigned),
            (Integer::I32, false) => Some(self.wire.int(i32::MIN.into(), i32::MAX.into())?),
            (Integer::I32, true) => self.wire.int_or_null(i32::MIN.into(), i32::MAX.into())?,
            (Integer::I64, false) => Some(self.wire.int(i64::MIN, i64::MAX)?),
            (Integer::I64, true) => self.wire.int_or_null(i64::MIN, i64::MAX)?,
            (Integer::Exponent, optional) => self.read_exponent(optional)?,
        })
    }

    /// A decimal's exponent: out of range is R1 here.
    #[inline(always)]
    fn read_exponent(&mut self, optional: bool) -> Result<Option<i64>, Code> {
        let value = match optional {
            true => self.wire.int_or_null(i32::MIN.into(), i32::MAX.into())?,
            false => Some(self.wire.int(i32::MIN.into(), i32::MAX.into())?),
        };
        match value {
            Some(value) if !(-63..=63).contains(&value) => Err(self.wire.fail(Code::R1, 0)),
            value => Ok(value),
        }
    }

    #[inline(always)]
    fn integer(
        &mut self,
        op: &Op,
        integer: Integer,
        pmap: &mut Pmap<'b>,
    ) -> Result<Option<i64>, Code> {
        match op.operator {
            Operator::None => self.read_integer(op, integer),
            Operator::Constant if op.optional && !pmap.bit() => Ok(None),
            Operator::Constant => Ok(initial_integer(op)),
            Operator::Default if !pmap.bit() => Ok(initial_integer(op)),
            Operator::Default => self.read_integer(op, integer),
            Operator::Delta => self.integer_delta(op, integer),
            Operator::Copy | Operator::Increment | Operator::Tail => {
                if pmap.bit() {
                    let value = self.read_integer(op, integer)?;
                    self.keep_integer(op, value);
                    Ok(value)
                } else {
                    self.previous_integer(op, integer)
                }
            }
        }
    }

    #[inline(always)]
    fn keep_integer(&mut self, op: &Op, value: Option<i64>) {
        match value {
            Some(value) => self.slots.put_integer(op.slot, op.what, value),
            None => self.slots.put_empty(op.slot),
        }
    }

    /// Copy and increment where the value is not on the wire.
    #[inline(always)]
    fn previous_integer(&mut self, op: &Op, integer: Integer) -> Result<Option<i64>, Code> {
        let value = match self.previous(op, |slots| slots.integer(op.slot, op.what))? {
            Previous::Assigned(value) if op.operator == Operator::Increment => {
                Some(self.in_type(integer, integer.widen(value) + 1)?)
            }
            Previous::Assigned(value) => return Ok(Some(value)),
            Previous::Undefined => initial_integer(op),
            Previous::Empty => None,
        };
        self.keep_integer(op, value);
        Ok(value)
    }

    /// The previous value, after the rules that end in D4, D5 or D6.
    #[inline(always)]
    fn previous<T>(
        &mut self,
        op: &Op,
        state: impl FnOnce(&Slots) -> Result<Previous<T>, Code>,
    ) -> Result<Previous<T>, Code> {
        let error = match state(self.slots) {
            Ok(Previous::Undefined) if !op.optional && op.initial == Initial::None => Code::D5,
            Ok(Previous::Empty) if !op.optional => Code::D6,
            Ok(previous) => return Ok(previous),
            Err(code) => code,
        };
        Err(self.wire.fail(error, 0))
    }

    #[inline(always)]
    fn integer_delta(&mut self, op: &Op, integer: Integer) -> Result<Option<i64>, Code> {
        let Some(delta) = self.read_delta(op.optional)? else { return Ok(None) };
        let base = match self.slots.integer(op.slot, op.what) {
            Ok(Previous::Assigned(value)) => value,
            Ok(Previous::Undefined) => initial_integer(op).unwrap_or(0),
            Ok(Previous::Empty) => return Err(self.wire.fail(Code::D6, 0)),
            Err(code) => return Err(self.wire.fail(code, 0)),
        };
        let value = self.in_type(integer, integer.widen(base) + delta)?;
        self.slots.put_integer(op.slot, op.what, value);
        Ok(Some(value))
    }

    #[inline(always)]
    fn read_delta(&mut self, optional: bool) -> Result<Option<i128>, Code> {
        if optional { self.wire.delta_or_null() } else { self.wire.delta().map(Some) }
    }

    #[inline(always)]
    fn in_type(&mut self, integer: Integer, value: i128) -> Result<i64, Code> {
        let (min, max) = integer.range();
        if (min..=max).contains(&value) {
            return Ok(value as i64);
        }
        let code = if integer == Integer::Exponent { Code::R1 } else { Code::R4 };
        Err(self.wire.fail(code, 0))
    }

    #[inline(always)]
    fn read_decimal(&mut self, optional: bool) -> Result<Option<Decimal>, Code> {
        let Some(exponent) = self.read_exponent(optional)? else { return Ok(None) };
        let mantissa = self.wire.int(i64::MIN, i64::MAX).map_err(mantissa_code)?;
        Ok(Some(Decimal { mantissa, exponent: exponent as i8 }))
    }

    fn decimal(&mut self, op: &Op, pmap: &mut Pmap<'b>) -> Result<Option<Decimal>, Code> {
        match op.operator {
            Operator::None => self.read_decimal(op.optional),
            Operator::Constant if op.optional && !pmap.bit() => Ok(None),
            Operator::Constant => Ok(initial_decimal(op)),
            Operator::Default if !pmap.bit() => Ok(initial_decimal(op)),
            Operator::Default => self.read_decimal(op.optional),
            Operator::Delta => self.decimal_delta(op),
            Operator::Copy | Operator::Increment | Operator::Tail => {
                let value = match pmap.bit() {
                    true => self.read_decimal(op.optional)?,
                    false => match self.previous(op, |slots| slots.decimal(op.slot))? {
                        Previous::Assigned(value) => return Ok(Some(value)),
                        Previous::Undefined => initial_decimal(op),
                        Previous::Empty => None,
                    },
                };
                match value {
                    Some(value) => self.slots.put_decimal(op.slot, value),
                    None => self.slots.put_empty(op.slot),
                }
                Ok(value)
            }
        }
    }

    fn decimal_delta(&mut self, op: &Op) -> Result<Option<Decimal>, Code> {
        let Some(exponent) = self.read_delta(op.optional)? else { return Ok(None) };
        let mantissa = self.wire.delta()?;
        let base = match self.slots.decimal(op.slot) {
            Ok(Previous::Assigned(value)) => value,
            Ok(Previous::Undefined) => {
                initial_decimal(op).unwrap_or(Decimal { mantissa: 0, exponent: 0 })
            }
            Ok(Previous::Empty) => return Err(self.wire.fail(Code::D6, 0)),
            Err(code) => return Err(self.wire.fail(code, 0)),
        };
        let exponent = self.in_type(Integer::Exponent, i128::from(base.exponent) + exponent)?;
        let mantissa = self.in_type(Integer::I64, i128::from(base.mantissa) + mantissa);
        let mantissa = mantissa.map_err(mantissa_code)?;
        let value = Decimal { mantissa, exponent: exponent as i8 };
        self.slots.put_decimal(op.slot, value);
        Ok(Some(value))
    }

    /// Exponent and mantissa with operators of their own. Where the exponent
    /// is absent there is no mantissa, and none of its presence map bits.
    #[inline(always)]
    fn decimal_pair(&mut self, at: usize, pmap: &mut Pmap<'b>) -> Result<Option<Decimal>, Code> {
        let templates = self.templates;
        let exponent = self.integer(&templates.ops[at + 1], Integer::Exponent, pmap)?;
        let Some(exponent) = exponent else { return Ok(None) };
        let mantissa = self.integer(&templates.ops[at + 2], Integer::I64, pmap);
        let mantissa = mantissa.map_err(mantissa_code)?.unwrap_or(0);
        Ok(Some(Decimal { mantissa, exponent: exponent as i8 }))
    }

    /// Reads a text or vector and hands it to the sink.
    fn text(&mut self, op: &Op, pmap: &mut Pmap<'b>) -> Result<(), Code> {
        let from = self.wire.pos();
        let text = self.text_value(op, pmap)?;
        let to = self.wire.pos();
        let plain =
            |bytes| if op.what == What::Bytes { Val::Bytes(bytes) } else { Val::Text(bytes) };
        let value = match text {
            Text::Null => Val::Null,
            Text::Wire(raw) if op.what == What::Ascii => Val::Ascii(raw),
            Text::Wire(bytes) => plain(bytes),
            Text::Slot => plain(self.slots.text(op.slot)),
            Text::Initial => plain(initial_text(op).unwrap_or(&[])),
        };
        self.sink.field(self.templates, op, value, from..to);
        Ok(())
    }

    #[inline(always)]
    fn read_text(&mut self, op: &Op) -> Result<Option<&'b [u8]>, Code> {
        match (op.what, op.optional) {
            (What::Ascii, false) => self.wire.ascii().map(Some),
            (What::Ascii, true) => self.wire.ascii_or_null(),
            (_, false) => self.wire.vector().map(Some),
            (_, true) => self.wire.vector_or_null(),
        }
    }

    #[inline(always)]
    fn text_value(&mut self, op: &Op, pmap: &mut Pmap<'b>) -> Result<Text<'b>, Code> {
        let or_initial = match op.initial {
            Initial::None => Text::Null,
            _ => Text::Initial,
        };
        let wire = |text: Option<&'b [u8]>| text.map_or(Text::Null, Text::Wire);
        match op.operator {
            Operator::None => self.read_text(op).map(wire),
            Operator::Constant if op.optional && !pmap.bit() => Ok(Text::Null),
            Operator::Constant => Ok(or_initial),
            Operator::Default if !pmap.bit() => Ok(or_initial),
            Operator::Default => self.read_text(op).map(wire),
            Operator::Delta => self.text_delta(op),
            Operator::Copy | Operator::Increment | Operator::Tail if !pmap.bit() => {
                self.previous_text(op)
            }
            Operator::Tail => self.text_tail(op),
            Operator::Copy | Operator::Increment => {
                let text = self.read_text(op)?;
                self.keep_text(op, text)?;
                Ok(wire(text))
            }
        }
    }

    /// Puts a text from the wire into the slot.
    #[inline(always)]
    fn keep_text(&mut self, op: &Op, text: Option<&[u8]>) -> Result<(), Code> {
        let Some(text) = text else {
            self.slots.put_empty(op.slot);
            return Ok(());
        };
        if text.len() > TEXT_MAX {
            return Err(self.wire.fail(Code::Length, text.len() as u64));
        }
        let slot = self.slots.text_mut(op.slot, op.what);
        slot.clear();
        append(op.what, text, slot);
        Ok(())
    }

    #[inline(always)]
    fn previous_text(&mut self, op: &Op) -> Result<Text<'b>, Code> {
        match self.previous(op, |slots| slots.text_state(op.slot, op.what))? {
            Previous::Assigned(()) => return Ok(Text::Slot),
            Previous::Undefined => {
                if let Some(initial) = initial_text(op) {
                    let slot = self.slots.text_mut(op.slot, op.what);
                    slot.clear();
                    slot.extend_from_slice(initial);
                    return Ok(Text::Initial);
                }
            }
            Previous::Empty => {}
        }
        self.slots.put_empty(op.slot);
        Ok(Text::Null)
    }

    /// The base value of tail and delta into the scratch buffer.
    fn text_base(&mut self, op: &Op) -> Result<(), Code> {
        self.scratch.clear();
        match self.slots.text_state(op.slot, op.what) {
            Ok(Previous::Assigned(())) => self.scratch.extend_from_slice(self.slots.text(op.slot)),
            // A string delta has no meaning on an empty value, a tail has.
            Ok(Previous::Empty) if op.operator == Operator::Delta => {
                return Err(self.wire.fail(Code::D6, 0));
            }
            Ok(_) => self.scratch.extend_from_slice(initial_text(op).unwrap_or(&[])),
            Err(code) => return Err(self.wire.fail(code, 0)),
        }
        Ok(())
    }

    fn text_tail(&mut self, op: &Op) -> Result<Text<'b>, Code> {
        let Some(tail) = self.read_text(op)? else {
            self.slots.put_empty(op.slot);
            return Ok(Text::Null);
        };
        self.text_base(op)?;
        let kept = self.scratch.len().saturating_sub(tail.len());
        self.scratch.truncate(kept);
        append(op.what, tail, self.scratch);
        self.keep_scratch(op)
    }

    fn text_delta(&mut self, op: &Op) -> Result<Text<'b>, Code> {
        let Some(cut) = self.read_delta(op.optional)? else { return Ok(Text::Null) };
        let added = match op.what {
            What::Ascii => self.wire.ascii()?,
            _ => self.wire.vector()?,
        };
        self.text_base(op)?;
        // Negative counts from the front, shifted by one: -1 takes nothing.
        let front = cut < 0;
        let count = if front { -1 - cut } else { cut };
        let base = self.scratch.len();
        let count = match usize::try_from(count) {
            Ok(count) if count <= base && i32::try_from(cut).is_ok() => count,
            _ => return Err(self.wire.fail(Code::D7, u64::try_from(count).unwrap_or(u64::MAX))),
        };
        if front {
            self.prepend(op.what, added, count);
        } else {
            self.scratch.truncate(base - count);
            append(op.what, added, self.scratch);
        }
        self.keep_scratch(op)
    }

    /// Replaces the first `count` bytes of the scratch buffer.
    fn prepend(&mut self, what: What, added: &[u8], count: usize) {
        let mut text = Vec::with_capacity(added.len() + self.scratch.len());
        append(what, added, &mut text);
        text.extend_from_slice(&self.scratch[count..]);
        *self.scratch = text;
    }

    fn keep_scratch(&mut self, op: &Op) -> Result<Text<'b>, Code> {
        if self.scratch.len() > TEXT_MAX {
            return Err(self.wire.fail(Code::Length, self.scratch.len() as u64));
        }
        let slot = self.slots.text_mut(op.slot, op.what);
        slot.clear();
        slot.extend_from_slice(self.scratch);
        Ok(Text::Slot)
    }
}

/// Where a text's bytes are.
enum Text<'b> {
    Null,
    Wire(&'b [u8]),
    Slot,
    Initial,
}

#[inline(always)]
fn append(what: What, text: &[u8], buffer: &mut Vec<u8>) {
    match what {
        What::Ascii => plain(text, buffer),
        _ => buffer.extend_from_slice(text),
    }
}

#[inline(always)]
fn integer_val(integer: Integer, value: Option<i64>) -> Val<'static> {
    match value {
        None => Val::Null,
        Some(value) if matches!(integer, Integer::U32 | Integer::U64) => Val::Uint(value as u64),
        Some(value) => Val::Int(value),
    }
}

#[inline(always)]
fn initial_integer(op: &Op) -> Option<i64> {
    match op.initial {
        Initial::Integer(value) => Some(value),
        _ => None,
    }
}

#[inline(always)]
fn initial_decimal(op: &Op) -> Option<Decimal> {
    match op.initial {
        Initial::Decimal { mantissa, exponent } => Some(Decimal { mantissa, exponent }),
        _ => None,
    }
}

#[inline(always)]
fn initial_text(op: &Op) -> Option<&[u8]> {
    match &op.initial {
        Initial::Text(text) => Some(text),
        _ => None,
    }
}

/// Out of type is R2 for a mantissa.
fn mantissa_code(code: Code) -> Code {
    match code {
        Code::D2 | Code::R4 => Code::R2,
        code => code,
    }
}
