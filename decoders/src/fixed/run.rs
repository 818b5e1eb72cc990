//! One operation over all messages of a layout.
//!
//! The branch on what the operation is stands outside the loop over the
//! messages; inside there is a load, two shifts and a store.

use crate::batch::{
    DecimalCol, EnumCol, IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol,
};
use crate::fixed::bytes::Window;
use crate::fixed::clock::RunningClock;
use crate::fixed::learned::{ABSENT, LearnedTable};
use crate::fixed::program::{CodeTable, LearnedCol, Op, TextAt};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::text::{NO_NAME, NameCache};
use crate::fixed::wire::Trim;
use crate::names::Names;

/// A message of a bucket. `row` is a row of the batch: whoever makes an entry
/// has checked that.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The message.
    pub body: &'a [u8],
    /// Its row.
    pub row: u32,
    /// Which learned values are its.
    pub scope: u32,
}

/// What operations change besides the batch.
#[derive(Debug)]
pub struct Machine {
    /// The protocol's clocks.
    pub clocks: Vec<RunningClock>,
    /// The protocol's kinds of names.
    pub caches: Vec<NameCache>,
    /// The protocol's learned tables.
    pub tables: Vec<LearnedTable>,
}

/// Where rows are written.
pub struct Output<'b> {
    /// The rows.
    pub batch: &'b mut MessageBatch,
    /// Their texts.
    pub names: &'b mut Names,
}

impl Machine {
    /// Nothing seen, nothing learned.
    pub fn new(protocol: &FixedProtocol) -> Self {
        Self {
            clocks: protocol.clocks.iter().map(|&clock| RunningClock::new(clock)).collect(),
            caches: protocol.name_specs.iter().cloned().map(NameCache::new).collect(),
            tables: protocol.tables.iter().map(|t| LearnedTable::new(t.values.len())).collect(),
        }
    }

    /// Runs an operation over the messages of a layout.
    pub fn run(
        &mut self,
        op: &Op,
        entries: &[Entry<'_>],
        codes: &[CodeTable],
        out: &mut Output<'_>,
    ) {
        match op {
            Op::Int { at, col, null } => ints(*at, *col, null, entries, out.batch),
            Op::Small { at, col, null } => smalls(*at, *col, null, entries, out.batch),
            Op::Time { at, col, clock } => {
                if let Some(clock) = self.clocks.get_mut(*clock) {
                    times(*at, *col, clock, entries, out.batch);
                }
            }
            Op::Decimal { at, col, factor, signed: false, null } => {
                decimals(*at, *col, *factor, null, entries, out.batch);
            }
            Op::Decimal { at, col, factor, signed: true, null } => {
                signed_decimals(*at, *col, *factor, null, entries, out.batch);
            }
            Op::Code { at, col, codes: table } => {
                if let Some(table) = codes.get(*table) {
                    self::codes(*at, *col, table, entries, out.batch);
                }
            }
            Op::Constant { col, number } => constants(*col, *number, entries, out.batch),
            Op::Name { from: TextAt::Short { at, cache }, col } => {
                if let Some(cache) = self.caches.get_mut(*cache) {
                    names(*at, *col, cache, entries, out);
                }
            }
            Op::Name { from: TextAt::Long { offset, width, trim }, col } => {
                long_names((*offset, *width, *trim), *col, entries, out);
            }
            Op::Text { offset, width, trim, col } => {
                texts((*offset, *width, *trim), *col, entries, out.batch);
            }
            Op::Digits { at, col, null } => digits(*at, *col, null, entries, out.batch),
            Op::Lookup { key, table, slot, col } => {
                if let Some(table) = self.tables.get(*table) {
                    lookups(*key, table, *slot, *col, entries, out.batch);
                }
            }
        }
    }

    /// The name of a text in a message, or [`NO_NAME`].
    pub fn name(&mut self, from: &TextAt, body: &[u8], names: &mut Names) -> u32 {
        match from {
            TextAt::Short { at, cache } => match self.caches.get_mut(*cache) {
                Some(cache) => cache.name_of(at.unsigned(body), names),
                None => NO_NAME,
            },
            TextAt::Long { offset, width, trim } => {
                long_name(text_at(body, (*offset, *width, *trim)), names)
            }
        }
    }
}

/// Calls `f` with every message and its number.
#[inline(always)]
fn each(at: Window, entries: &[Entry<'_>], mut f: impl FnMut(&Entry<'_>, u64)) {
    if at.is_little() {
        entries.iter().for_each(|entry| f(entry, at.unsigned_le(entry.body)));
    } else {
        entries.iter().for_each(|entry| f(entry, at.unsigned_be(entry.body)));
    }
}

/// Writes a column; where some raw values mean nothing, the presence bits too.
#[inline(always)]
fn write<T>(
    at: Window,
    null: &[u64],
    bit: u64,
    entries: &[Entry<'_>],
    (column, present): (&mut [T], &mut [u64]),
    value: impl Fn(u64) -> T,
) {
    if null.is_empty() {
        each(at, entries, |entry, raw| column[entry.row as usize] = value(raw));
        return;
    }
    each(at, entries, |entry, raw| {
        if !null.contains(&raw) {
            column[entry.row as usize] = value(raw);
            present[entry.row as usize] |= bit;
        }
    });
}

fn ints(at: Window, col: IntCol, null: &[u64], entries: &[Entry<'_>], batch: &mut MessageBatch) {
    write(at, null, col.bit(), entries, batch.ints_mut(col), |raw| raw);
}

fn smalls(
    at: Window,
    col: SmallCol,
    null: &[u64],
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    write(at, null, col.bit(), entries, batch.smalls_mut(col), |raw| raw as u32);
}

fn decimals(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    let value = |raw: u64| u128::from(raw).wrapping_mul(u128::from(factor)) as i128;
    write(at, null, col.bit(), entries, batch.decimals_mut(col), value);
}

fn signed_decimals(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    let (column, present) = batch.decimals_mut(col);
    for entry in entries {
        if null.is_empty() || !null.contains(&at.unsigned(entry.body)) {
            let value = i128::from(at.signed(entry.body));
            column[entry.row as usize] = value.wrapping_mul(i128::from(factor));
            present[entry.row as usize] |= col.bit();
        }
    }
}

fn times(
    at: Window,
    col: TimeCol,
    clock: &mut RunningClock,
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    let (ts, column, present) = batch.ts_and_times_mut(col);
    each(at, entries, |entry, count| {
        let row = entry.row as usize;
        if let Some(time) = clock.time_ns(count, ts[row]) {
            column[row] = time;
            present[row] |= col.bit();
        }
    });
}

fn codes(
    at: Window,
    col: EnumCol,
    table: &CodeTable,
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    let (column, present) = batch.enums_mut(col);
    each(at, entries, |entry, code| {
        let number = match u8::try_from(code) {
            Ok(byte) => table.bytes[usize::from(byte)],
            Err(_) => table.number(code),
        };
        column[entry.row as usize] = number;
        present[entry.row as usize] |= if number == 0 { 0 } else { col.bit() };
    });
}

fn constants(col: EnumCol, number: u8, entries: &[Entry<'_>], batch: &mut MessageBatch) {
    let (column, _) = batch.enums_mut(col);
    entries.iter().for_each(|entry| column[entry.row as usize] = number);
}

fn names(
    at: Window,
    col: NameCol,
    cache: &mut NameCache,
    entries: &[Entry<'_>],
    out: &mut Output<'_>,
) {
    let (column, present) = out.batch.names_mut(col);
    each(at, entries, |entry, raw| {
        let name = cache.name_of(raw, out.names);
        column[entry.row as usize] = name;
        present[entry.row as usize] |= if name == NO_NAME { 0 } else { col.bit() };
    });
}

/// Offset, width and padding of a text.
type Place = (u32, u32, Trim);

/// A text without its padding; what the message has of it.
fn text_at(body: &[u8], (offset, width, trim): Place) -> &[u8] {
    let rest = body.get(offset as usize..).unwrap_or_default();
    trim.apply(rest.get(..width as usize).unwrap_or(rest))
}

fn long_name(text: &[u8], names: &mut Names) -> u32 {
    if text.is_empty() {
        return NO_NAME;
    }
    names.intern(text).map_or(NO_NAME, |name| name.0)
}

fn long_names(place: Place, col: NameCol, entries: &[Entry<'_>], out: &mut Output<'_>) {
    let (column, present) = out.batch.names_mut(col);
    for entry in entries {
        let name = long_name(text_at(entry.body, place), out.names);
        column[entry.row as usize] = name;
        present[entry.row as usize] |= if name == NO_NAME { 0 } else { col.bit() };
    }
}

fn texts(place: Place, col: TextCol, entries: &[Entry<'_>], batch: &mut MessageBatch) {
    for entry in entries {
        let text = text_at(entry.body, place);
        if !text.is_empty() {
            batch.set_text(entry.row as usize, col, text);
        }
    }
}

fn digits(at: Window, col: TextCol, null: &[u64], entries: &[Entry<'_>], batch: &mut MessageBatch) {
    for entry in entries {
        let raw = at.unsigned(entry.body);
        if !null.contains(&raw) {
            let mut digits = [0; 20];
            batch.set_text(entry.row as usize, col, decimal_text(raw, &mut digits));
        }
    }
}

/// A number in decimal digits.
fn decimal_text(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

fn lookups(
    key: Window,
    table: &LearnedTable,
    slot: usize,
    col: LearnedCol,
    entries: &[Entry<'_>],
    batch: &mut MessageBatch,
) {
    match col {
        LearnedCol::Name(col) => {
            let target = batch.names_mut(col);
            learned(key, table, slot, entries, target, (col.bit(), |value| value as u32));
        }
        LearnedCol::Int(col) => {
            let target = batch.ints_mut(col);
            learned(key, table, slot, entries, target, (col.bit(), |value| value));
        }
    }
}

#[inline(always)]
fn learned<T>(
    key: Window,
    table: &LearnedTable,
    slot: usize,
    entries: &[Entry<'_>],
    (column, present): (&mut [T], &mut [u64]),
    (bit, cast): (u64, impl Fn(u64) -> T),
) {
    let Some(first) = entries.first() else { return };
    let mut scope = first.scope;
    let mut reader = table.reader(scope);
    each(key, entries, |entry, key| {
        if entry.scope != scope {
            scope = entry.scope;
            reader = table.reader(scope);
        }
        let value = reader.get(key, slot);
        column[entry.row as usize] = cast(value);
        present[entry.row as usize] |= if value == ABSENT { 0 } else { bit };
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_those_of_display(number: u64) {
            let mut digits = [0; 20];
            let want = number.to_string();
            prop_assert_eq!(decimal_text(number, &mut digits), want.as_bytes());
        }
    }
}
