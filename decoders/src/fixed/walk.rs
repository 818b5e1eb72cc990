//! Messages that are not the same size every time, from part to part.
//!
//! ```text
//! fixed part │ once, if a field says so │ group of n │ elements │ text │ rest
//!   slot 0        slot 1                   slot 2 …
//! ```
//!
//! One walk serves everything that needs the parts: rows, explanations, sizes.
//! A part is entered only where all its fixed bytes are there, so a walk has
//! no more steps than the message has bytes, whatever a count says.

use crate::batch::{NameCol, TextCol};
use crate::fixed::bitfields::{Bit, Bitfields};
use crate::fixed::place::{NumberAt, Parts, Ref, SLOTS_MAX};
use crate::fixed::program::{FieldDef, Layout, Learn, Op};
use crate::fixed::switch::Switches;
use crate::fixed::wire::Trim;
use std::sync::Arc;

/// Fields that stand one after the other, and what follows them.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its number among the protocol's parts.
    pub part: u32,
    /// Where its place is remembered.
    pub slot: u8,
    /// Bytes of the fields.
    pub size: u32,
    /// The fields, in order; offsets count from the first one.
    pub fields: Vec<FieldDef>,
    /// What decoding does.
    pub ops: Vec<Op>,
    /// What it teaches.
    pub learn: Vec<Learn>,
    /// What follows.
    pub steps: Vec<Step>,
    /// The fields that decide which of it is there.
    pub switches: Option<Switches>,
}

/// Something behind the fixed part.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name; empty for fields that are the message's own.
    pub name: String,
    /// When it is there.
    pub when: Option<Condition>,
    /// What it is.
    pub what: What,
}

/// What follows the fixed part.
#[derive(Clone, Debug)]
pub enum What {
    /// A part.
    Once(Box<Shape>),
    /// Parts of one kind.
    Each {
        /// How many.
        count: Count,
        /// Where an entry says how many bytes it has.
        length: Option<NumberAt>,
        /// Whether each one makes a row.
        rows: bool,
        /// What each one is.
        shape: Box<Shape>,
    },
    /// Tagged elements.
    Elements {
        /// Bytes of them.
        length: Count,
        /// Which element list of the protocol.
        tlv: usize,
    },
    /// Bytes whose bits choose fields.
    Bits {
        /// How many bytes.
        count: Count,
        /// Where their place is remembered.
        slot: u8,
    },
    /// The fields that the bits of such bytes choose.
    Chosen {
        /// Where the bytes are.
        slot: u8,
        /// How many they are.
        count: Count,
        /// What each bit chooses.
        fields: Arc<Bitfields>,
    },
    /// Text, or bytes without a meaning.
    Text {
        /// How many bytes.
        length: Count,
        /// Whether it is text.
        is_text: bool,
        /// Whether it is shown only to those who ask for secrets.
        secret: bool,
        /// Its padding.
        trim: Trim,
        /// Where it goes.
        to: Vec<TextTo>,
    },
}

/// Where a text of varying length goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTo {
    /// A column of names.
    Name(NameCol),
    /// A column of texts.
    Text(TextCol),
}

/// How many entries or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Always so many.
    Fixed(u32),
    /// As a field says, where it does not have the value that means none.
    Field(Ref, Option<u64>),
    /// To the end of the message, or of the entry that says its length.
    Rest,
}

/// When a part is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The number that decides.
    pub of: Decides,
    /// How.
    pub test: Test,
}

/// A number that decides whether a part is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    /// A field.
    Field(Ref),
    /// Bytes of the message.
    Length,
    /// Bytes from here to the end of the message, or of the entry that says
    /// its length.
    Rest,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// One of these.
    In(Vec<i128>),
    /// None of these.
    NotIn(Vec<i128>),
    /// Less.
    Less(i128),
    /// Greater.
    Greater(i128),
    /// Any of these bits.
    Bits(i128),
}

/// What a walk meets, in wire order.
#[derive(Clone, Copy, Debug)]
pub enum Event<'l> {
    /// A named part begins, with its number in a group.
    Open(&'l str, Option<usize>),
    /// It ends.
    Close,
    /// An entry that makes a row begins.
    Row,
    /// It ends.
    RowEnd,
    /// Fields that are all there.
    Fields(&'l Shape, usize),
    /// A text, with its first byte and its bytes.
    Text(&'l Step, usize, usize),
    /// Bytes whose bits choose fields: the first one and how many.
    Bits(&'l Step, usize, usize),
    /// Elements, with their first byte and their bytes.
    Elements(&'l Step, usize, usize),
    /// Bytes of an entry that it counts and nobody explains.
    Unknown(usize, usize),
}

/// Why a walk can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The message ends inside a part.
    Short {
        /// First byte of what is not whole.
        at: usize,
        /// Bytes it should have.
        needed: usize,
    },
    /// A bit chooses a field that nobody explains.
    Bit {
        /// Where the field would stand.
        at: usize,
        /// The byte of the bit, from 1.
        byte: usize,
        /// The bit, from 0.
        bit: u32,
    },
}

/// Walks one message.
pub struct Walk<'b> {
    body: &'b [u8],
    /// Where the message ends, or the entry that says how long it is.
    limit: usize,
    bases: [u32; SLOTS_MAX],
}

/// Takes in what a walk meets.
pub trait Visitor<'l> {
    /// Whether entries of one size are only counted, not met one by one.
    const COUNTS: bool = false;

    /// Whether fields that fill no column and teach nothing may be passed over.
    const SKIPS: bool = Self::COUNTS;

    /// The walk goes by so many bytes of the message, from `at` on.
    #[inline(always)]
    fn reads(&mut self, _at: usize, _bytes: usize) {}

    /// The next thing.
    fn event(&mut self, event: Event<'l>, parts: Parts<'_>);
}

/// Walks the part of a message behind its fixed part, and gives where it ends.
pub fn walk<'l>(
    layout: &'l Layout,
    body: &[u8],
    visitor: &mut impl Visitor<'l>,
) -> Result<usize, Cut> {
    let start = layout.size as usize;
    if body.len() < start {
        return Err(Cut::Short { at: 0, needed: start });
    }
    let mut walk = Walk { body, limit: body.len(), bases: [0; SLOTS_MAX] };
    walk.steps((&layout.steps, layout.switches.as_ref()), start, visitor)
}

impl Walk<'_> {
    fn parts(&self) -> Parts<'_> {
        Parts { body: self.body, bases: &self.bases }
    }

    fn steps<'l>(
        &mut self,
        (steps, switches): (&'l [Step], Option<&Switches>),
        mut at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        if let Some(switches) = switches {
            return self.switched(steps, switches, at, visitor);
        }
        for step in steps {
            if self.is_there(step.when.as_ref(), at, visitor) {
                at = self.step(step, at, visitor)?;
            }
        }
        Ok(at)
    }

    /// The steps that deciding fields leave.
    fn switched<'l>(
        &mut self,
        steps: &'l [Step],
        switches: &Switches,
        mut at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        switches.fields().for_each(|field| self.goes_by(field, visitor));
        let (mut left, asked) = switches.steps(self.parts());
        while left != 0 {
            let i = left.trailing_zeros();
            left &= left - 1;
            let Some(step) = steps.get(i as usize) else { break };
            let when = step.when.as_ref().filter(|_| (asked >> i) & 1 == 1);
            if self.is_there(when, at, visitor) {
                at = self.step(step, at, visitor)?;
            }
        }
        Ok(at)
    }

    /// Whether something is there by its condition.
    #[inline]
    fn is_there<'l>(
        &self,
        when: Option<&Condition>,
        at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> bool {
        let Some(when) = when else { return true };
        if let Decides::Field(field) = &when.of {
            self.goes_by(field, visitor);
        }
        when.holds(self.parts(), self.limit.saturating_sub(at))
    }

    /// Tells the visitor of a number that the walk goes by.
    #[inline(always)]
    fn goes_by<'l>(&self, field: &Ref, visitor: &mut impl Visitor<'l>) {
        let base = self.bases.get(usize::from(field.slot)).copied().unwrap_or(0) as usize;
        let bytes = field.at.bytes();
        visitor.reads(base.saturating_add(bytes.start as usize), bytes.len());
    }

    fn step<'l>(
        &mut self,
        step: &'l Step,
        at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        match &step.what {
            What::Once(shape) if step.name.is_empty() => self.shape(shape, at, visitor),
            What::Once(shape) => {
                visitor.event(Event::Open(&step.name, None), self.parts());
                let end = self.shape(shape, at, visitor)?;
                visitor.event(Event::Close, self.parts());
                Ok(end)
            }
            What::Each { count, length, rows, shape } => {
                self.entries(step, (count, length.as_ref(), *rows, shape), at, visitor)
            }
            What::Elements { length, .. } => {
                let len = self.bytes(length, at, visitor);
                // A list that is cut still has its first elements.
                let here = len.unwrap_or(self.limit.saturating_sub(at));
                visitor.event(Event::Elements(step, at, here), self.parts());
                Ok(at + len?)
            }
            What::Bits { count, slot } => {
                let len = self.bytes(count, at, visitor)?;
                self.remember(*slot, at);
                visitor.event(Event::Bits(step, at, len), self.parts());
                Ok(at + len)
            }
            What::Chosen { slot, count, fields } => {
                let bytes = self.count(count, 0, visitor);
                self.chosen((*slot, bytes), fields, at, visitor)
            }
            What::Text { length, .. } => {
                let len = self.bytes(length, at, visitor)?;
                visitor.event(Event::Text(step, at, len), self.parts());
                Ok(at + len)
            }
        }
    }

    /// Bytes of an item at `at`, which are all there.
    fn bytes<'l>(
        &self,
        length: &Count,
        at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        let left = self.limit.saturating_sub(at);
        let needed = self.count(length, left as u64, visitor);
        match usize::try_from(needed) {
            Ok(len) if len <= left => Ok(len),
            _ => Err(Cut::Short { at, needed: usize::try_from(needed).unwrap_or(usize::MAX) }),
        }
    }

    fn count<'l>(&self, count: &Count, rest: u64, visitor: &mut impl Visitor<'l>) -> u64 {
        match count {
            Count::Fixed(count) => (*count).into(),
            Count::Rest => rest,
            Count::Field(at, none) => {
                self.goes_by(at, visitor);
                self.parts().count(at).filter(|number| Some(*number) != *none).unwrap_or(0)
            }
        }
    }

    fn remember(&mut self, slot: u8, at: usize) {
        if let Some(base) = self.bases.get_mut(usize::from(slot)) {
            *base = at as u32;
        }
    }

    /// The fields that bits choose, in the order of the bits.
    fn chosen<'l, V: Visitor<'l>>(
        &mut self,
        (slot, bytes): (u8, u64),
        fields: &'l Bitfields,
        mut at: usize,
        visitor: &mut V,
    ) -> Result<usize, Cut> {
        let body = self.body;
        let base = self.bases.get(usize::from(slot)).copied().unwrap_or(0) as usize;
        let from_here = body.get(base..).unwrap_or_default();
        let bits = usize::try_from(bytes).ok().and_then(|bytes| from_here.get(..bytes));
        let bits = bits.unwrap_or_default();
        visitor.reads(base, bits.len());
        for (byte, set) in bits.iter().enumerate() {
            if V::SKIPS
                && let Some(of_byte) = fields.byte(byte).filter(|of| of.unknown & set == 0)
                && let end = at.saturating_add(of_byte.size[usize::from(*set)] as usize)
                && end <= self.limit
            {
                let mut left = if V::COUNTS { 0 } else { set & of_byte.filling };
                while left != 0 {
                    let bit = left.trailing_zeros();
                    left &= left - 1;
                    let before = set & ((1 << bit) - 1);
                    let start = at.saturating_add(of_byte.size[usize::from(before)] as usize);
                    if let Bit::Here(shape) = fields.bit(byte, bit) {
                        visitor.event(Event::Fields(shape, start), self.parts());
                    }
                }
                at = end;
                continue;
            }
            let mut left = *set;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                match fields.bit(byte, bit) {
                    Bit::Elsewhere => {}
                    Bit::Unknown => return Err(Cut::Bit { at, byte: byte + 1, bit }),
                    Bit::Here(shape) => {
                        let needed = shape.size as usize;
                        let end = at.saturating_add(needed);
                        if end > self.limit {
                            return Err(Cut::Short { at, needed });
                        }
                        visitor.event(Event::Fields(shape, at), self.parts());
                        at = end;
                    }
                }
            }
        }
        Ok(at)
    }

    fn entries<'l, V: Visitor<'l>>(
        &mut self,
        step: &'l Step,
        (count, length, rows, shape): (&Count, Option<&NumberAt>, bool, &'l Shape),
        mut at: usize,
        visitor: &mut V,
    ) -> Result<usize, Cut> {
        let to_the_end = *count == Count::Rest;
        let count = self.count(count, u64::MAX, visitor);
        let size = shape.size as usize;
        let is_nothing = !rows && shape.ops.is_empty() && shape.learn.is_empty();
        let fills_nothing = V::SKIPS && is_nothing;
        if (V::COUNTS || fills_nothing) && length.is_none() && shape.steps.is_empty() && size > 0 {
            let fit = self.limit.saturating_sub(at) / size;
            let here = usize::try_from(count).unwrap_or(usize::MAX).min(fit);
            if let Some(last) = here.checked_sub(1) {
                self.remember(shape.slot, at + last * size);
            }
            let end = at + here * size;
            let is_whole = if to_the_end { end >= self.limit } else { here as u64 == count };
            return if is_whole { Ok(end) } else { Err(Cut::Short { at: end, needed: size }) };
        }
        let mut i = 0;
        while i < count && !(to_the_end && at >= self.limit) {
            visitor.event(Event::Open(&step.name, Some(i as usize)), self.parts());
            if rows {
                visitor.event(Event::Row, self.parts());
            }
            let end = self.entry(shape, length, at, visitor)?;
            if rows {
                visitor.event(Event::RowEnd, self.parts());
            }
            visitor.event(Event::Close, self.parts());
            if end == at {
                // Entries without a byte would never end.
                break;
            }
            (at, i) = (end, i + 1);
        }
        Ok(at)
    }

    fn entry<'l>(
        &mut self,
        shape: &'l Shape,
        length: Option<&NumberAt>,
        at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        let Some(length) = length else { return self.shape(shape, at, visitor) };
        let entry = self.body.get(at..self.limit).unwrap_or_default();
        if entry.len() < shape.size as usize {
            return Err(Cut::Short { at, needed: shape.size as usize });
        }
        visitor.reads(at.saturating_add(length.bytes().start as usize), length.bytes().len());
        let told = length.read(&entry).and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
        if told > entry.len() {
            return Err(Cut::Short { at, needed: told });
        }
        let told_end = at + told.max(shape.size as usize);
        let limit = std::mem::replace(&mut self.limit, told_end);
        let end = self.shape(shape, at, visitor);
        self.limit = limit;
        let end = end?;
        if told_end > end {
            visitor.event(Event::Unknown(end, told_end), self.parts());
        }
        Ok(told_end)
    }

    fn shape<'l>(
        &mut self,
        shape: &'l Shape,
        at: usize,
        visitor: &mut impl Visitor<'l>,
    ) -> Result<usize, Cut> {
        let end = at.saturating_add(shape.size as usize);
        if end > self.limit {
            return Err(Cut::Short { at, needed: shape.size as usize });
        }
        self.remember(shape.slot, at);
        visitor.event(Event::Fields(shape, at), self.parts());
        self.steps((&shape.steps, shape.switches.as_ref()), end, visitor)
    }
}

impl Condition {
    /// Whether it holds where the message has got to, with `rest` bytes left.
    #[inline]
    pub fn holds(&self, parts: Parts<'_>, rest: usize) -> bool {
        match &self.of {
            Decides::Field(at @ Ref { at: NumberAt::Plain { signed: false, .. }, .. }) => {
                parts.count(at).is_some_and(|number| self.test.holds(number.into()))
            }
            Decides::Field(at) => parts.number(at).is_some_and(|number| self.test.holds(number)),
            Decides::Length => self.test.holds(parts.body.len() as i128),
            Decides::Rest => self.test.holds(rest as i128),
        }
    }
}

impl Test {
    /// Whether it holds for a number.
    #[inline]
    pub fn holds(&self, number: i128) -> bool {
        match self {
            Self::In(values) => values.contains(&number),
            Self::NotIn(values) => !values.contains(&number),
            Self::Less(value) => number < *value,
            Self::Greater(value) => number > *value,
            Self::Bits(bits) => number & bits != 0,
        }
    }
}

/// Looks at nothing.
pub struct Nothing;

impl<'l> Visitor<'l> for Nothing {
    const COUNTS: bool = true;

    fn event(&mut self, _: Event<'l>, _: Parts<'_>) {}
}
