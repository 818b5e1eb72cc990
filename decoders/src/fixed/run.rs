//! One operation over all messages of a layout.
//!
//! The branch on what the operation is stands outside the loop over the
//! messages; inside there is a load, two shifts and a store. Presence bits are
//! set for a whole layout at once; an operation clears the bit of a message
//! that has no value.

use crate::batch::{
    BATCH_ROWS, DecimalCol, EnumCol, IntCol, MessageBatch, NameCol, Rows, SmallCol, TextCol,
    TimeCol,
};
use crate::fixed::bytes::{Body, Window};
use crate::fixed::clock::RunningClock;
use crate::fixed::learned::{ABSENT, LearnedTable};
use crate::fixed::program::{CodeTable, LearnedCol, Op, TextAt};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::text::{NO_NAME, NameCache};
use crate::fixed::wire::Trim;
use crate::names::Names;

/// A message of a bucket. `row` is a row of the batch: whoever makes one has
/// checked that.
#[derive(Clone, Copy, Debug)]
pub struct Item<B> {
    /// The message.
    pub body: B,
    /// Its row.
    pub row: u32,
    /// Which learned values are its.
    pub scope: u32,
}

/// A batch has a power of two of rows, so that a masked row needs no check.
const ROW_MASK: usize = BATCH_ROWS - 1;
const _: () = assert!(BATCH_ROWS.is_power_of_two());

impl<B> Item<B> {
    /// The row as a column's index.
    #[inline(always)]
    pub fn slot(&self) -> usize {
        self.row as usize & ROW_MASK
    }
}

/// Calls `f` with every message's row and number.
#[inline(always)]
fn each<B: Body>(at: Window, bucket: &[Item<B>], mut f: impl FnMut(usize, u64)) {
    for item in bucket {
        f(item.slot(), at.unsigned_in(&item.body));
    }
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
    pub fn run<B: Body>(
        &mut self,
        op: &Op,
        bucket: &[Item<B>],
        codes: &[CodeTable],
        out: &mut Output<'_>,
    ) {
        match op {
            Op::Int { at, col, null } => ints(*at, *col, null, bucket, out.batch),
            Op::Small { at, col, null } => smalls(*at, *col, null, bucket, out.batch),
            Op::Time { at, col, clock } => {
                if let Some(clock) = self.clocks.get_mut(*clock) {
                    times(*at, *col, clock, bucket, out.batch);
                }
            }
            Op::Decimal { at, col, factor, signed: false, null } => {
                decimals(*at, *col, *factor, null, bucket, out.batch);
            }
            Op::Decimal { at, col, factor, signed: true, null } => {
                signed_decimals(*at, *col, *factor, null, bucket, out.batch);
            }
            Op::Code { at, col, codes: table } => {
                if let Some(table) = codes.get(*table) {
                    self::codes(*at, *col, table, bucket, out.batch);
                }
            }
            Op::Constant { col, number } => constants(*col, *number, bucket, out.batch),
            Op::Name { from: TextAt::Short { at, cache }, col } => {
                if let Some(cache) = self.caches.get_mut(*cache) {
                    names(*at, *col, cache, bucket, out);
                }
            }
            Op::Name { from: TextAt::Long { offset, width, trim }, col } => {
                long_names((*offset, *width, *trim), *col, bucket, out);
            }
            Op::Text { offset, width, trim, col } => {
                texts((*offset, *width, *trim), *col, bucket, out.batch);
            }
            Op::Digits { at, col, null } => digits(*at, *col, null, bucket, out.batch),
            Op::Lookup { key, table, slot, col } => {
                if let Some(table) = self.tables.get_mut(*table) {
                    lookups(*key, table, *slot, *col, bucket, out.batch);
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

/// Writes a column of numbers; clears the bit of those without a meaning.
#[inline(always)]
fn write<T, B: Body>(
    at: Window,
    null: &[u64],
    bit: u64,
    bucket: &[Item<B>],
    (column, present): (&mut Rows<T>, &mut Rows<u64>),
    value: impl Fn(u64) -> T,
) {
    each(at, bucket, |row, raw| column[row] = value(raw));
    if !null.is_empty() {
        each(at, bucket, |row, raw| {
            if null.contains(&raw) {
                present[row] &= !bit;
            }
        });
    }
}

fn ints<B: Body>(
    at: Window,
    col: IntCol,
    null: &[u64],
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    write(at, null, col.bit(), bucket, batch.ints_mut(col), |raw| raw);
}

fn smalls<B: Body>(
    at: Window,
    col: SmallCol,
    null: &[u64],
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    write(at, null, col.bit(), bucket, batch.smalls_mut(col), |raw| raw as u32);
}

fn decimals<B: Body>(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    let value = |raw: u64| u128::from(raw).wrapping_mul(u128::from(factor)) as i128;
    write(at, null, col.bit(), bucket, batch.decimals_mut(col), value);
}

fn signed_decimals<B: Body>(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    let (column, present) = batch.decimals_mut(col);
    for item in bucket {
        let value = i128::from(at.signed_in(&item.body));
        column[item.slot()] = value.wrapping_mul(i128::from(factor));
        if null.contains(&at.unsigned_in(&item.body)) {
            present[item.slot()] &= !col.bit();
        }
    }
}

fn times<B: Body>(
    at: Window,
    col: TimeCol,
    clock: &mut RunningClock,
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    let (ts, column, present) = batch.ts_and_times_mut(col);
    each(at, bucket, |row, count| match clock.time_ns(count, ts[row]) {
        Some(time) => column[row] = time,
        None => present[row] &= !col.bit(),
    });
}

fn codes<B: Body>(
    at: Window,
    col: EnumCol,
    table: &CodeTable,
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    let (column, present) = batch.enums_mut(col);
    each(at, bucket, |row, code| {
        let number = match u8::try_from(code) {
            Ok(byte) => table.bytes[usize::from(byte)],
            Err(_) => table.number(code),
        };
        column[row] = number;
        if number == 0 {
            present[row] &= !col.bit();
        }
    });
}

fn constants<B>(col: EnumCol, number: u8, bucket: &[Item<B>], batch: &mut MessageBatch) {
    let (column, _) = batch.enums_mut(col);
    bucket.iter().for_each(|item| column[item.slot()] = number);
}

fn names<B: Body>(
    at: Window,
    col: NameCol,
    cache: &mut NameCache,
    bucket: &[Item<B>],
    out: &mut Output<'_>,
) {
    let (column, present) = out.batch.names_mut(col);
    each(at, bucket, |row, raw| {
        let name = cache.name_of(raw, out.names);
        column[row] = name;
        if name == NO_NAME {
            present[row] &= !col.bit();
        }
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

fn long_names<B: Body>(place: Place, col: NameCol, bucket: &[Item<B>], out: &mut Output<'_>) {
    let (column, present) = out.batch.names_mut(col);
    for item in bucket {
        let name = long_name(text_at(item.body.bytes(), place), out.names);
        column[item.slot()] = name;
        if name == NO_NAME {
            present[item.slot()] &= !col.bit();
        }
    }
}

fn texts<B: Body>(place: Place, col: TextCol, bucket: &[Item<B>], batch: &mut MessageBatch) {
    for item in bucket {
        let text = text_at(item.body.bytes(), place);
        if !text.is_empty() {
            batch.set_text(item.slot(), col, text);
        }
    }
}

fn digits<B: Body>(
    at: Window,
    col: TextCol,
    null: &[u64],
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    each(at, bucket, |row, raw| {
        if !null.contains(&raw) {
            let mut digits = [0; 20];
            batch.set_text(row, col, decimal_text(raw, &mut digits));
        }
    });
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

fn lookups<B: Body>(
    key: Window,
    table: &mut LearnedTable,
    slot: usize,
    col: LearnedCol,
    bucket: &[Item<B>],
    batch: &mut MessageBatch,
) {
    match col {
        LearnedCol::Name(col) => {
            let target = batch.names_mut(col);
            learned(key, table, slot, bucket, target, (col.bit(), |value| value as u32));
        }
        LearnedCol::Int(col) => {
            let target = batch.ints_mut(col);
            learned(key, table, slot, bucket, target, (col.bit(), |value| value));
        }
    }
}

#[inline(always)]
fn learned<T, B: Body>(
    key: Window,
    table: &mut LearnedTable,
    slot: usize,
    bucket: &[Item<B>],
    (column, present): (&mut Rows<T>, &mut Rows<u64>),
    (bit, cast): (u64, impl Fn(u64) -> T),
) {
    let Some(mut scope) = bucket.first().map(|item| item.scope) else { return };
    let mut reader = table.reader(scope);
    for item in bucket {
        if item.scope != scope {
            scope = item.scope;
            reader = table.reader(scope);
        }
        let value = reader.get(key.unsigned_in(&item.body), slot);
        column[item.slot()] = cast(value);
        if value == ABSENT {
            present[item.slot()] &= !bit;
        }
    }
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
