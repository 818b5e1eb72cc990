//! Messages made up from a protocol file, for tests, benches and fuzzers.
//!
//! They have the sizes, counts and codes that the file demands, and anything
//! in the fields that are free. They can't show that a file is right, only
//! that it is read as it is written.

use crate::fixed::bitfields::{Bit, set_bits};
use crate::fixed::clock::Since;
use crate::fixed::place::{NumberAt, Parts, Ref, SLOTS_MAX};
use crate::fixed::program::{ElsewhereAt, FieldDef, Layout, Op, Plus};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::targets::{any_number_at, number_at};
use crate::fixed::walk::{Condition, Count, Decides, Shape, Step, Test, What};
use crate::fixed::wire::Wire;

/// When messages made up say that they were sent: half past nine in New York
/// on 10 January 2023, ns since the epoch.
pub const MOMENT_NS: u64 = 1_673_361_000_000_000_000;

/// The same since midnight, in the venue's own zone whatever that is.
const DAYTIME_NS: u64 = 34_200_000_000_000;

/// Most entries of a group made up.
const ENTRIES_MAX: u64 = 3;

/// Most bytes of a text made up.
const TEXT_MAX: u64 = 12;

/// Bytes of length and tag, at most.
const ELEMENT_MIN: u64 = 4;

/// Gives numbers below a limit.
pub trait Dice {
    /// The next one; `limit` is above 0.
    fn below(&mut self, limit: u64) -> u64;
}

/// Numbers without a pattern, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Dice for Seeded {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// A message with this layout.
pub fn message(protocol: &FixedProtocol, layout: &Layout, dice: &mut impl Dice) -> Vec<u8> {
    let mut wanted = Wanted::default();
    wanted.steps(&layout.steps);
    let bases = [0; SLOTS_MAX];
    let mut encoder = Encoder { protocol, wanted, bytes: Vec::new(), bases, dice };
    encoder.fields(0, &layout.fields, layout.size);
    encoder.times(0, &layout.fields, &layout.ops);
    encoder.code(layout);
    encoder.steps(&layout.steps);
    encoder.bytes
}

/// Fields that decide how the message goes on.
#[derive(Default)]
struct Wanted {
    /// Entries of groups.
    entries: Vec<Ref>,
    /// Bytes of texts.
    texts: Vec<Ref>,
    /// Bytes of lists of elements.
    elements: Vec<Ref>,
    /// Bytes whose bits choose fields, and how many there are at most.
    bits: Vec<(Ref, u64)>,
    /// The bits that may be set in them, by slot.
    known: Vec<(u8, Vec<u8>)>,
    /// Values that conditions ask for.
    values: Vec<(Ref, i128)>,
}

impl Wanted {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            if let Some(Condition { of: Decides::Field(of), test }) = &step.when {
                let values: Vec<i128> = match test {
                    Test::In(values) | Test::NotIn(values) => values.clone(),
                    Test::Less(value) => vec![value - 1],
                    Test::Greater(value) => vec![value + 1],
                    Test::Bits(bits) => vec![*bits],
                };
                self.values.extend(values.into_iter().map(|value| (*of, value)));
            }
            match &step.what {
                What::Once(shape) => self.steps(&shape.steps),
                What::Each { count, shape, .. } => {
                    self.entries.extend(field_of(count));
                    self.steps(&shape.steps);
                }
                What::Elements { length, .. } => self.elements.extend(field_of(length)),
                What::Text { length, .. } => self.texts.extend(field_of(length)),
                What::Bits { .. } => {}
                What::Chosen { slot, count, fields } => {
                    let most = fields.known().len() as u64;
                    self.bits.extend(field_of(count).map(|count| (count, most)));
                    self.choose(*slot, fields.known());
                }
            }
        }
    }
}

impl Wanted {
    /// Only bits that every list for these bytes knows may be set.
    fn choose(&mut self, slot: u8, known: Vec<u8>) {
        match self.known.iter_mut().find(|(at, _)| *at == slot) {
            None => self.known.push((slot, known)),
            Some((_, both)) => {
                both.truncate(known.len());
                both.iter_mut().zip(known).for_each(|(bits, known)| *bits &= known);
            }
        }
    }
}

fn field_of(count: &Count) -> Option<Ref> {
    match count {
        Count::Field(at, _) => Some(*at),
        _ => None,
    }
}

struct Encoder<'p, 'd, D> {
    protocol: &'p FixedProtocol,
    wanted: Wanted,
    bytes: Vec<u8>,
    bases: [u32; SLOTS_MAX],
    dice: &'d mut D,
}

impl<D: Dice> Encoder<'_, '_, D> {
    /// Appends the fields of a part of `size` bytes.
    fn fields(&mut self, slot: u8, defs: &[FieldDef], size: u32) {
        let base = self.bytes.len();
        if let Some(place) = self.bases.get_mut(usize::from(slot)) {
            *place = base as u32;
        }
        self.bytes.resize(base + size as usize, 0);
        for def in defs.iter().filter(|def| def.bits.is_none()) {
            let value = self.free(def);
            let at = base + def.offset as usize;
            if let Some(place) = self.bytes.get_mut(at..at + value.len()) {
                place.copy_from_slice(&value);
            }
        }
        for def in defs {
            if let Some(number) = self.decided(slot, def) {
                self.write(base, def, number);
            }
        }
    }

    /// Anything that a field may hold.
    fn free(&mut self, def: &FieldDef) -> Vec<u8> {
        let width = def.ty.wire.width() as usize;
        let mut some = |low: u8, count: u64| -> Vec<u8> {
            (0..width).map(|_| low + self.dice.below(count) as u8).collect()
        };
        match def.ty.wire {
            Wire::Text { .. } => some(b'A', 26),
            Wire::Digits { .. } => some(b'0', 10),
            Wire::Int { .. } | Wire::Bytes { .. } => some(0, 256),
        }
    }

    /// A number that decides how the message goes on, where the field is one.
    fn decided(&mut self, slot: u8, def: &FieldDef) -> Option<i128> {
        let at = any_number_at(def)?;
        let of = Ref { slot, at };
        if self.wanted.entries.contains(&of) {
            return Some(self.dice.below(ENTRIES_MAX + 1).into());
        }
        if self.wanted.texts.contains(&of) {
            return Some(self.dice.below(TEXT_MAX + 1).into());
        }
        let mut most = self.wanted.bits.iter().filter(|(at, _)| *at == of).map(|(_, most)| *most);
        if let Some(most) = most.next() {
            return Some(self.dice.below(most + 1).into());
        }
        if self.wanted.elements.contains(&of) {
            let some = ELEMENT_MIN + self.dice.below(TEXT_MAX);
            return Some(if self.dice.below(3) == 0 { 0 } else { some.into() });
        }
        let values: Vec<i128> =
            self.wanted.values.iter().filter(|(at, _)| *at == of).map(|(_, v)| *v).collect();
        let pick = self.dice.below(values.len() as u64 + 1) as usize;
        values.get(pick).copied()
    }

    fn write(&mut self, base: usize, def: &FieldDef, number: i128) {
        let at = base + def.offset as usize;
        let width = def.ty.wire.width() as usize;
        let Some(place) = self.bytes.get_mut(at..at + width) else { return };
        match def.ty.wire {
            Wire::Digits { .. } => {
                let digits = format!("{number:0>width$}");
                let bytes = digits.bytes().rev().zip(place.iter_mut().rev());
                bytes.for_each(|(digit, to)| *to = digit);
            }
            Wire::Int { little, .. } => {
                put(place, bits_into(place_value(place, little), def, number), little)
            }
            Wire::Text { .. } | Wire::Bytes { .. } => put(place, number as u64, false),
        }
    }

    /// Writes times near the moment into the fields that tell them.
    fn times(&mut self, base: usize, defs: &[FieldDef], ops: &[Op]) {
        for op in ops {
            let (at, clock, plus, some_ns) = match op {
                Op::Time { at, clock, .. } => {
                    let some_ns = self.dice.below(1_000_000_000);
                    (NumberAt::Plain { at: *at, signed: false }, *clock, None, some_ns)
                }
                Op::Moment { at, clock, plus, .. } => (*at, *clock, plus.as_ref(), 123_456_789),
                _ => continue,
            };
            let Some(clock) = self.protocol.clocks.get(clock) else { continue };
            let since = if clock.since == Since::Epoch { MOMENT_NS } else { DAYTIME_NS };
            let (mut count, unit) = (since + some_ns, clock.unit_ns.max(1));
            if let Some(Plus { at, unit_ns }) = plus {
                let ElsewhereAt::Field(whole) = at else { continue };
                self.write_at(base, defs, whole.at, (since / unit_ns.max(&1)).into());
                count = some_ns % unit_ns.max(&1);
            }
            let number = match (clock.since, at) {
                (Since::Calendar(_) | Since::Daytime { .. }, NumberAt::Digits { width, .. }) => {
                    in_digits(clock.since, some_ns, width)
                }
                _ => (count / unit).into(),
            };
            self.write_at(base, defs, at, number);
        }
    }

    /// Writes a number where one of these fields has it.
    fn write_at(&mut self, base: usize, defs: &[FieldDef], at: NumberAt, number: i128) {
        if let Some(def) = defs.iter().find(|def| number_at(def) == Some(at)).cloned() {
            self.write(base, &def, number);
        }
    }

    fn code(&mut self, layout: &Layout) {
        let end = self.protocol.code.end() as usize;
        let start = end.saturating_sub(self.protocol.code_width as usize);
        let (bytes, code) = (&mut self.bytes, &self.protocol.code);
        for little in [false, true] {
            if let Some(place) = bytes.get_mut(start..end) {
                put(place, layout.code, little);
            }
            if code.unsigned(bytes) == layout.code {
                return;
            }
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            let of_rest = step.when.as_ref().is_some_and(|when| when.of == Decides::Rest);
            // Whether bytes are left is for us to say.
            let is_end = of_rest && self.dice.below(2) == 0;
            let rest = if is_end { 0 } else { usize::from(u16::MAX) };
            let parts = Parts { body: &self.bytes, bases: &self.bases };
            if step.when.as_ref().is_none_or(|when| when.holds(parts, rest)) {
                self.step(step);
            } else if is_end {
                return;
            }
        }
    }

    fn count(&mut self, count: &Count, free: u64) -> u64 {
        match count {
            Count::Fixed(count) => (*count).into(),
            Count::Rest => self.dice.below(free + 1),
            Count::Field(at, none) => {
                let parts = Parts { body: &self.bytes, bases: &self.bases };
                let number = u64::try_from(parts.number(at).unwrap_or(0)).ok();
                number.filter(|number| Some(*number) != *none).unwrap_or(0)
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match &step.what {
            What::Once(shape) => self.shape(shape),
            What::Each { count, length, shape, .. } => {
                for _ in 0..self.count(count, ENTRIES_MAX) {
                    let base = self.bytes.len();
                    self.shape(shape);
                    self.entry_length(base, length.as_ref(), shape);
                }
            }
            What::Text { length, is_text, .. } => {
                let len = self.count(length, TEXT_MAX) as usize;
                let filler = if *is_text { b'x' } else { 7 };
                self.bytes.resize(self.bytes.len() + len, filler);
            }
            What::Bits { count, slot } => {
                let bytes = self.count(count, 0) as usize;
                self.bits(*slot, bytes);
            }
            What::Chosen { slot, count, fields } => {
                let base = self.bases.get(usize::from(*slot)).copied().unwrap_or(0) as usize;
                let end = base + self.count(count, 0) as usize;
                let bits = self.bytes.get(base..end).unwrap_or_default().to_vec();
                for (byte, bit) in set_bits(&bits) {
                    if let Bit::Here(shape) = fields.bit(byte, bit) {
                        let slot = SLOTS_MAX as u8;
                        self.fields(slot, &shape.fields, shape.size);
                    }
                }
            }
            What::Elements { length, tlv } => {
                let len = self.count(length, 0) as usize;
                self.elements(*tlv, len);
            }
        }
    }

    /// Fills `len` bytes with one element without a meaning.
    fn elements(&mut self, tlv: usize, len: usize) {
        let Some(tlv) = self.protocol.tlvs.get(tlv) else { return };
        let base = self.bytes.len();
        self.bytes.resize(base + len, 0);
        let counted = len.saturating_sub(tlv.uncounted) as u64;
        let width = tlv.length_width as usize;
        if let Some(place) = self.bytes.get_mut(base..base + width.min(len)) {
            put(place, counted, tlv.little);
        }
    }

    /// Appends bytes of which only known bits are set.
    fn bits(&mut self, slot: u8, bytes: usize) {
        if let Some(place) = self.bases.get_mut(usize::from(slot)) {
            *place = self.bytes.len() as u32;
        }
        let known = self.wanted.known.iter().find(|(at, _)| *at == slot);
        let known = known.map(|(_, known)| known.clone()).unwrap_or_default();
        for i in 0..bytes {
            let some = self.dice.below(256) as u8;
            self.bytes.push(some & known.get(i).copied().unwrap_or(0));
        }
    }

    fn shape(&mut self, shape: &Shape) {
        let base = self.bytes.len();
        self.fields(shape.slot, &shape.fields, shape.size);
        self.times(base, &shape.fields, &shape.ops);
        self.steps(&shape.steps);
    }

    /// Writes how long an entry became.
    fn entry_length(&mut self, base: usize, length: Option<&NumberAt>, shape: &Shape) {
        let Some(length) = length else { return };
        let len = self.bytes.len() - base;
        let def = shape.fields.iter().find(|def| number_at(def).as_ref() == Some(length)).cloned();
        if let Some(def) = def {
            self.write(base, &def, len as i128);
        }
    }
}

/// Half past nine and some ns, with the date where a clock shows it, in so many
/// digits.
fn in_digits(since: Since, some_ns: u64, width: u32) -> i128 {
    let has_date = matches!(since, Since::Calendar(_));
    let second = if has_date { "20230110093000" } else { "093000" };
    let digits = format!("{second}{some_ns:09}");
    digits.get(..width as usize).unwrap_or(&digits).parse().unwrap_or(0)
}

fn place_value(place: &[u8], little: bool) -> u64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if little { place.iter().rev().fold(0, add) } else { place.iter().fold(0, add) }
}

/// A number in the bits that a part of a field has, or in all of them.
fn bits_into(old: u64, def: &FieldDef, number: i128) -> u64 {
    match def.bits {
        None => number as u64,
        Some((low, count)) => {
            let mask = (u64::MAX >> (64 - count.clamp(1, 64))) << low;
            old & !mask | (number as u64) << low & mask
        }
    }
}

fn put(place: &mut [u8], number: u64, little: bool) {
    let bytes = (0..place.len()).map(|i| number.checked_shr(8 * i as u32).unwrap_or(0) as u8);
    if little {
        place.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    } else {
        place.iter_mut().rev().zip(bytes).for_each(|(to, byte)| *to = byte);
    }
}
