//! One operation over the rows of a group, or over all rows of a message.
//!
//! ```text
//! bytes   | entry | entry | entry |      base, stride
//! rows      row     row+1   row+2        a column at a time
//! ```

use super::compile::{From, Op, To};
use super::wire::{self, Prim};
use crate::batch::{DecimalCol, EnumCol, IntCol, MessageBatch, NameCol, TextCol};
use crate::fixed::learned::{ABSENT, LearnedTable};
use crate::kind::{Kind, SeqUnit, flags};
use crate::names::{Name, Names};
use std::collections::HashMap;

/// Most numbers whose names are kept at hand, for each decoder.
const NUMBERS_MAX: usize = 1 << 12;

/// The rows an operation runs over, and where their values stand.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'b> {
    /// The message.
    pub body: &'b [u8],
    /// Lowest byte first.
    pub little: bool,
    /// The first row's block.
    pub base: usize,
    /// From block to block; 0 where all rows have the same.
    pub stride: usize,
    /// The first row.
    pub first: usize,
    /// How many.
    pub count: usize,
    /// Where the message's root block begins.
    pub root: usize,
    /// Whose learned values.
    pub scope: u32,
}

/// What operations need besides.
#[derive(Debug)]
pub struct Tools {
    /// Instruments: symbol, then numbers.
    pub instruments: LearnedTable,
    /// Names of numbers.
    numbers: HashMap<u64, Name>,
}

impl Tools {
    /// Tools for `places` learned numbers an instrument.
    pub fn new(places: usize) -> Self {
        Self { instruments: LearnedTable::new(1 + places), numbers: HashMap::new() }
    }

    fn number_name(&mut self, number: i128, bits: u64, names: &mut Names) -> Option<Name> {
        if number < 0 {
            return names.intern(number.to_string().as_bytes());
        }
        if let Some(&name) = self.numbers.get(&bits) {
            return Some(name);
        }
        let name = names.intern(number.to_string().as_bytes())?;
        if self.numbers.len() < NUMBERS_MAX {
            self.numbers.insert(bits, name);
        }
        Some(name)
    }
}

impl<'b> Rows<'b> {
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut at = self.base;
        for row in self.first..self.first + self.count {
            f(row, at);
            at += self.stride;
        }
    }

    /// Calls back with row and bits of each value that is one.
    #[inline(always)]
    fn bits(&self, op: &Op, mut f: impl FnMut(usize, u64)) {
        match op.from {
            From::Wire { at, prim } => {
                let null = op.null;
                // A loop for each size, so that reading is one load.
                match prim.size() {
                    1 => self.sized::<1>(at, null, &mut f),
                    2 => self.sized::<2>(at, null, &mut f),
                    4 => self.sized::<4>(at, null, &mut f),
                    _ => self.sized::<8>(at, null, &mut f),
                }
            }
            From::Constant(bits, _) => self.each(|row, _| f(row, bits)),
            From::Text { .. } | From::ConstantText(_) => {}
        }
    }

    #[inline(always)]
    fn sized<const N: usize>(&self, at: usize, null: Option<u64>, f: &mut impl FnMut(usize, u64)) {
        self.each(|row, base| {
            let bits = wire::bits(self.body, base + at, N, self.little);
            if let Some(bits) = bits.filter(|&bits| Some(bits) != null) {
                f(row, bits);
            }
        });
    }

    /// Calls back with row and text, without its padding, where there is one.
    fn texts(&self, op: &Op, mut f: impl FnMut(usize, &[u8])) {
        match &op.from {
            From::Text { at, len } => self.each(|row, base| {
                let text = self.body.get(base + at..base + at + len).unwrap_or_default();
                let text = trimmed(text);
                if !text.is_empty() {
                    f(row, text);
                }
            }),
            From::ConstantText(text) => self.each(|row, _| f(row, text.as_bytes())),
            From::Wire { prim: Prim::Char, .. } | From::Constant(_, Prim::Char) => {
                self.bits(op, |row, bits| {
                    let text = [bits as u8];
                    if !trimmed(&text).is_empty() {
                        f(row, &text);
                    }
                });
            }
            From::Wire { prim, .. } | From::Constant(_, prim) => {
                let prim = *prim;
                self.bits(op, |row, bits| f(row, prim.number(bits).to_string().as_bytes()));
            }
        }
    }

    /// Runs an operation; `coded` has the names of its codes.
    #[inline]
    pub fn run(
        &self,
        op: &Op,
        coded: &[(u64, Option<Name>)],
        tools: &mut Tools,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) {
        let prim = match op.from {
            From::Wire { prim, .. } | From::Constant(_, prim) => prim,
            _ => Prim::Char,
        };
        match &op.to {
            To::Int(column) => self.ints(op, *column, batch),
            To::Small(column) => self.bits(op, |row, bits| {
                if let Ok(small) = u32::try_from(bits) {
                    batch.set_small(row, *column, small);
                }
            }),
            To::Decimal(column, factor) => self.decimals(op, prim, *column, *factor, batch),
            To::Divided(column, divisor) => self.bits(op, |row, bits| {
                let (number, divisor) = (prim.number(bits), i128::from(*divisor));
                if number % divisor == 0 {
                    batch.set_decimal(row, *column, number / divisor);
                } else {
                    batch.add_flags(row, flags::IRREGULAR);
                }
            }),
            To::Exponent(column, at, exponent) => {
                self.exponents(op, *column, (*at, *exponent), batch)
            }
            To::Places { .. } => self.places(op, tools, batch),
            To::Time(column, unit) => self.bits(op, |row, bits| {
                let time = i64::try_from(bits).ok().and_then(|n| n.checked_mul(*unit as i64));
                if let Some(time) = time.filter(|&time| time != 0) {
                    batch.set_time(row, *column, time);
                }
            }),
            To::Enum(column, codes) => {
                let (words, present) = batch.enums_mut(*column);
                self.bits(op, |row, bits| {
                    let number = codes.number(bits);
                    words[row] = number;
                    present[row] |= if number == 0 { 0 } else { column.bit() };
                });
            }
            To::Coded(column, _) => self.bits(op, |row, bits| {
                let name = match coded.iter().find(|(of, _)| *of == bits) {
                    Some((_, name)) => *name,
                    None => tools.number_name(prim.number(bits), bits, names),
                };
                if let Some(name) = name {
                    batch.set_name(row, *column, name);
                }
            }),
            To::Name(column) => self.names(op, prim, *column, tools, batch, names),
            To::Text(column) => self.text(op, *column, batch),
            To::Kind(codes) => {
                let kinds = batch.kind_mut();
                self.bits(op, |row, bits| {
                    let number = codes.number(bits);
                    if number != Kind::Unknown as u8 {
                        kinds[row] = number;
                    }
                });
            }
            To::Flag(mask, flags) => self.bits(op, |row, bits| {
                if bits & mask != 0 {
                    batch.add_flags(row, *flags);
                }
            }),
            To::Seq => self.bits(op, |row, bits| {
                if batch.present().get(row).is_some_and(|word| word & IntCol::Seq.bit() == 0) {
                    batch.set_int(row, IntCol::Seq, bits);
                    batch.set_enum(row, EnumCol::SeqUnit, SeqUnit::Message as u8);
                }
            }),
            To::Symbol => self.symbols(op, tools, batch),
        }
    }

    fn ints(&self, op: &Op, column: IntCol, batch: &mut MessageBatch) {
        if matches!(op.from, From::Text { .. } | From::ConstantText(_)) {
            return self.texts(op, |row, text| {
                if let Some(number) = canonical(text) {
                    batch.set_int(row, column, number);
                }
            });
        }
        let (column_bit, (ints, present)) = (column.bit(), batch.ints_mut(column));
        self.bits(op, |row, bits| {
            ints[row] = bits;
            present[row] |= column_bit;
        });
    }

    fn decimals(
        &self,
        op: &Op,
        prim: Prim,
        column: DecimalCol,
        factor: i64,
        batch: &mut MessageBatch,
    ) {
        let (decimals, present) = batch.decimals_mut(column);
        self.bits(op, |row, bits| {
            decimals[row] = prim.number(bits).wrapping_mul(i128::from(factor));
            present[row] |= column.bit();
        });
    }

    fn exponents(
        &self,
        op: &Op,
        column: DecimalCol,
        (at, exponent): (usize, Prim),
        batch: &mut MessageBatch,
    ) {
        let From::Wire { at: digits, prim } = op.from else { return };
        self.each(|row, base| {
            let read =
                |at: usize, prim: Prim| wire::bits(self.body, base + at, prim.size(), self.little);
            let (Some(bits), Some(power)) = (read(digits, prim), read(at, exponent)) else {
                return;
            };
            if Some(bits) == op.null || power == exponent.null() {
                return;
            }
            let power = exponent.number(power).checked_add(9);
            match power.and_then(|power| scaled(prim.number(bits), power)) {
                Some(value) => batch.set_decimal(row, column, value),
                None => batch.add_flags(row, flags::IRREGULAR),
            }
        });
    }

    fn places(&self, op: &Op, tools: &mut Tools, batch: &mut MessageBatch) {
        let From::Wire { at: digits, prim } = op.from else { return };
        let To::Places { column, slot, ref key, in_root } = op.to else { return };
        let reader = tools.instruments.reader(self.scope);
        self.each(|row, base| {
            let bits = wire::bits(self.body, base + digits, prim.size(), self.little);
            let Some(bits) = bits.filter(|&bits| Some(bits) != op.null) else { return };
            let key_base = if in_root { self.root } else { base };
            let key = number(key, self.body, key_base, self.little);
            let places = key.map_or(ABSENT, |key| reader.get(key, 1 + slot));
            let power = i128::from(places).checked_neg().map(|places| places + 9);
            match power.filter(|_| places != ABSENT).and_then(|p| scaled(prim.number(bits), p)) {
                Some(value) => batch.set_decimal(row, column, value),
                None => batch.add_flags(row, flags::MAYBE_BAD_STATE),
            }
        });
    }

    fn names(
        &self,
        op: &Op,
        prim: Prim,
        column: NameCol,
        tools: &mut Tools,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) {
        let is_number = matches!(op.from, From::Wire { .. } | From::Constant(..));
        if is_number && prim != Prim::Char {
            return self.bits(op, |row, bits| {
                if let Some(name) = tools.number_name(prim.number(bits), bits, names) {
                    batch.set_name(row, column, name);
                }
            });
        }
        self.texts(op, |row, text| {
            if let Some(name) = names.intern(text) {
                batch.set_name(row, column, name);
            }
        });
    }

    fn text(&self, op: &Op, column: TextCol, batch: &mut MessageBatch) {
        self.texts(op, |row, text| {
            // A number belongs into the number's column.
            if column != TextCol::OrderIdTxt || canonical(text).is_none() {
                batch.set_text(row, column, text);
            }
        });
    }

    fn symbols(&self, op: &Op, tools: &mut Tools, batch: &mut MessageBatch) {
        let reader = tools.instruments.reader(self.scope);
        let (column, present) = batch.names_mut(NameCol::Symbol);
        self.bits(op, |row, key| {
            let name = reader.get(key, 0);
            if name != ABSENT && present[row] & NameCol::Symbol.bit() == 0 {
                column[row] = name as u32;
                present[row] |= NameCol::Symbol.bit();
            }
        });
    }
}

/// A number in a block.
#[inline(always)]
pub fn number(from: &From, body: &[u8], base: usize, little: bool) -> Option<u64> {
    match from {
        From::Wire { at, prim } => wire::bits(body, base.checked_add(*at)?, prim.size(), little),
        From::Constant(bits, _) => Some(*bits),
        From::Text { .. } | From::ConstantText(_) => None,
    }
}

/// A text in a block, without its padding.
pub fn text<'b>(from: &'b From, body: &'b [u8], base: usize) -> Option<&'b [u8]> {
    match from {
        From::Text { at, len } => {
            let at = base.checked_add(*at)?;
            body.get(at..at.checked_add(*len)?).map(trimmed)
        }
        From::ConstantText(text) => Some(text.as_bytes()),
        From::Wire { .. } | From::Constant(..) => None,
    }
}

/// A text up to its first NUL, without spaces around it.
pub fn trimmed(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_ascii()
}

/// `number` x 10^`power`, where that is a whole number of a sensible size.
fn scaled(number: i128, power: i128) -> Option<i128> {
    let factor = 10i128.checked_pow(u32::try_from(power.unsigned_abs()).ok()?);
    match (power >= 0, factor) {
        _ if number == 0 => Some(0),
        (true, Some(factor)) => number.checked_mul(factor).filter(|n| n.unsigned_abs() < LARGEST),
        (false, Some(factor)) => (number % factor == 0).then(|| number / factor),
        (_, None) => None,
    }
}

/// The first number with more digits than a column holds.
const LARGEST: u128 = 10u128.pow(38);

/// The number that digits without leading zeros mean.
fn canonical(text: &[u8]) -> Option<u64> {
    let starts = matches!(text, [b'0'] | [b'1'..=b'9', ..]);
    let digits = text.iter().all(u8::is_ascii_digit);
    if starts && digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}
