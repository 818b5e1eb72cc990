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
use crate::fixed::doubts::in_doubt;
use crate::fixed::learned::{ABSENT, Learned, LearnedTable};
use crate::fixed::place::{NumberAt, Parts, Ref};
use crate::fixed::program::{
    CodeTable, ElsewhereAt, FactorTable, LearnFrom, LearnedCol, NumberTo, Op, Plus, Radix, ScaleAt,
    TextAt,
};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::radix::{base36_text, set_decimal};
use crate::fixed::scale::{ONE, factor, scale_all};
use crate::fixed::text::{NO_NAME, NameCache};
use crate::fixed::wire::Trim;
use crate::kind::flags;
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

/// A row as a column's index.
#[inline(always)]
pub fn slot(row: u32) -> usize {
    row as usize & ROW_MASK
}

impl<B> Item<B> {
    /// The row as a column's index.
    #[inline(always)]
    pub fn slot(&self) -> usize {
        slot(self.row)
    }

    /// The same with a reference to the message.
    #[inline(always)]
    pub fn as_ref(&self) -> Item<&B> {
        Item { body: &self.body, row: self.row, scope: self.scope }
    }
}

/// Messages of one layout, or parts of one shape, one after the other.
pub trait Bucket: Iterator<Item = Item<Self::Bytes>> + Clone {
    /// What their numbers are read from.
    type Bytes: Body;
}

impl<B: Body, I: Iterator<Item = Item<B>> + Clone> Bucket for I {
    type Bytes = B;
}

/// Calls `f` with every message's row and number.
#[inline(always)]
fn each(at: Window, bucket: impl Bucket, mut f: impl FnMut(usize, u64)) {
    for item in bucket {
        f(item.slot(), at.unsigned_in(&item.body));
    }
}

/// What operations read besides messages.
#[derive(Clone, Copy)]
pub struct Tables<'p> {
    /// The protocol's vocabularies.
    pub codes: &'p [CodeTable],
    /// The protocol's scales.
    pub factors: &'p [FactorTable],
}

impl<'p> Tables<'p> {
    /// Those of a protocol.
    pub fn of(protocol: &'p FixedProtocol) -> Self {
        Self { codes: &protocol.code_tables, factors: &protocol.factor_tables }
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
    /// What was taught since this was last emptied, where it is asked for.
    pub lessons: Option<Vec<Lesson>>,
    /// Whether learned values may be wrong.
    pub has_doubts: bool,
}

/// A value that a message has just taught.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    /// The message's row.
    pub row: u32,
    /// Its scope.
    pub scope: u32,
    /// Which table.
    pub table: usize,
    /// Its key.
    pub key: u64,
    /// Which value.
    pub slot: usize,
    /// What it is now.
    pub value: u64,
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
            lessons: None,
            has_doubts: false,
        }
    }

    /// Runs an operation over the messages of a layout.
    pub fn run(&mut self, op: &Op, bucket: impl Bucket, tables: Tables<'_>, out: &mut Output<'_>) {
        if self.has_doubts {
            for item in bucket.clone() {
                if in_doubt(op, &item, &mut self.tables) {
                    out.batch.add_flags(item.slot(), flags::MAYBE_BAD_STATE);
                }
            }
        }
        match op {
            Op::Moment {
                at: NumberAt::Plain { at, signed: false },
                col,
                clock,
                plus: None,
                null,
            } if self.clocks.get(*clock).is_some_and(|clock| !clock.is_digits()) => {
                if let Some(clock) = self.clocks.get_mut(*clock) {
                    times(*at, *col, clock, null, bucket, out.batch);
                }
            }
            Op::Moment { at, col, clock, plus, null } => {
                self.moments((*at, plus.as_ref(), null), *clock, *col, bucket, out.batch);
            }
            Op::Scaled { at, col, scale, sign, null } => {
                let from = (*at, scale, *sign, &null[..]);
                self.scaled(from, *col, bucket, tables, out.batch);
            }
            Op::Number { at, to, null } => {
                self.numbers((*at, null), *to, bucket, tables, out);
            }
            Op::LookupBy { value, col } => {
                for item in bucket {
                    let (parts, known) = (item.body.parts(), self.tables.as_mut_slice());
                    let found = value.find(&item.body, parts, item.scope, known);
                    put_learned(found, *col, item.slot(), out.batch);
                }
            }
            Op::Int { at, col, null } => ints(*at, *col, null, bucket, out.batch),
            Op::Small { at, col, null } => smalls(*at, *col, null, bucket, out.batch),
            Op::Time { at, col, clock } => {
                if let Some(clock) = self.clocks.get_mut(*clock) {
                    times(*at, *col, clock, &[], bucket, out.batch);
                }
            }
            Op::Decimal { at, col, factor, signed: false, null } => {
                decimals(*at, *col, *factor, null, bucket, out.batch);
            }
            Op::Decimal { at, col, factor, signed: true, null } => {
                signed_decimals(*at, *col, *factor, null, bucket, out.batch);
            }
            Op::Code { at, col, codes: table } => {
                if let Some(table) = tables.codes.get(*table) {
                    codes(*at, *col, table, bucket, out.batch);
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
            Op::Digits { at, col, radix, null } => {
                digits((*at, *radix), *col, null, bucket, out.batch);
            }
            Op::Lookup { key, table, slot, col } => {
                if let Some(table) = self.tables.get_mut(*table) {
                    lookups(*key, table, *slot, *col, bucket, out.batch);
                }
            }
        }
    }

    /// Times of which a part stands elsewhere, or that are written in digits.
    fn moments(
        &mut self,
        (at, plus, null): (NumberAt, Option<&Plus>, &[u64]),
        clock: usize,
        col: TimeCol,
        bucket: impl Bucket,
        batch: &mut MessageBatch,
    ) {
        let Some(clock) = self.clocks.get_mut(clock) else { return };
        let (ts, column, present) = batch.ts_and_times_mut(col);
        let stamp = match at {
            NumberAt::Digits { offset, width } if plus.is_none() && null.is_empty() => {
                Some((offset as usize, width as usize))
            }
            _ => None,
        };
        for item in bucket {
            let row = item.slot();
            if let Some((offset, width)) = stamp
                && let Some(time) = clock.stamp(&item.body, offset, width)
            {
                column[row] = time;
                continue;
            }
            let count = at.read(&item.body).filter(|count| !is_null(null, *count));
            let count = count.and_then(|count| u128::try_from(count).ok());
            let plus_ns = plus.map(|plus| {
                let (parts, known) = (item.body.parts(), self.tables.as_mut_slice());
                let number = elsewhere(&plus.at, &item.body, parts, item.scope, known)?;
                u64::try_from(number).ok()?.checked_mul(plus.unit_ns)
            });
            let time = clock.moment(count, digits_of(at), plus_ns, ts[row]);
            match time {
                Some(time) => column[row] = time,
                None => present[row] &= !col.bit(),
            }
        }
    }

    /// Numbers whose places after the point are told elsewhere.
    fn scaled(
        &mut self,
        (at, scale, sign, null): (NumberAt, &ScaleAt, Option<Ref>, &[u64]),
        col: DecimalCol,
        bucket: impl Bucket,
        tables: Tables<'_>,
        batch: &mut MessageBatch,
    ) {
        let known = self.tables.as_mut_slice();
        let from = (at, sign, null);
        match scale {
            ScaleAt::Last(table) => {
                let Some(factors) = tables.factors.get(*table) else { return };
                scale_all(from, col, bucket, batch, |at, item| {
                    let (at, told) = at.but_last(&item.body, factors);
                    (at, told.or(Some(ONE)))
                });
            }
            scale => scale_all(from, col, bucket, batch, |at, item| {
                let parts = item.body.parts();
                (at, factor(scale, &item.body, parts, item.scope, known, tables.factors))
            }),
        }
    }

    /// Numbers in digits or bits.
    fn numbers(
        &mut self,
        (at, null): (NumberAt, &[u64]),
        to: NumberTo,
        bucket: impl Bucket,
        tables: Tables<'_>,
        out: &mut Output<'_>,
    ) {
        let (batch, names) = (&mut *out.batch, &mut *out.names);
        let (at, bit) = ((at, null), to.bit());
        let plain = |number: i128| u64::try_from(number).ok();
        match to {
            NumberTo::Int(col) => put(at, bit, bucket, batch.ints_mut(col), plain),
            NumberTo::Small(col) => {
                let small = |number: i128| u32::try_from(number).ok();
                put(at, bit, bucket, batch.smalls_mut(col), small);
            }
            NumberTo::Decimal(col, factor) => {
                let decimal = |number: i128| Some(number.wrapping_mul(factor.into()));
                put(at, bit, bucket, batch.decimals_mut(col), decimal);
            }
            NumberTo::Code(col, table) => {
                let Some(table) = tables.codes.get(table) else { return };
                let word = |number| Some(table.number(plain(number)?)).filter(|word| *word != 0);
                put(at, bit, bucket, batch.enums_mut(col), word);
            }
            NumberTo::Name(col, cache) => {
                let Some(cache) = self.caches.get_mut(cache) else { return };
                let name = |number| {
                    Some(cache.name_of(plain(number)?, names)).filter(|name| *name != NO_NAME)
                };
                put(at, bit, bucket, batch.names_mut(col), name);
            }
            NumberTo::Text(col) => {
                for item in bucket {
                    let (at, null) = at;
                    let number = at.read(&item.body).filter(|number| !is_null(null, *number));
                    match number.map(|number| (number, u64::try_from(number))) {
                        None => {}
                        Some((_, Ok(number))) => {
                            set_decimal(batch, item.slot(), col, number);
                        }
                        Some((number, Err(_))) => {
                            batch.set_text(item.slot(), col, number.to_string().as_bytes());
                        }
                    }
                }
            }
        }
    }

    /// A value that a message teaches.
    pub fn value(&mut self, from: &LearnFrom, body: &[u8], names: &mut Names) -> Option<u64> {
        match from {
            LearnFrom::Int(at) => at.key(&body),
            LearnFrom::Name(from) => match self.name(from, body, names) {
                NO_NAME => None,
                name => Some(name.into()),
            },
        }
    }

    /// The name of a text in a message, or [`NO_NAME`].
    fn name(&mut self, from: &TextAt, body: &[u8], names: &mut Names) -> u32 {
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

/// Writes a column of numbers in digits or bits; clears the bit of those
/// without a meaning.
#[inline(always)]
fn put<T>(
    (at, null): (NumberAt, &[u64]),
    bit: u64,
    bucket: impl Bucket,
    (column, present): (&mut Rows<T>, &mut Rows<u64>),
    mut value: impl FnMut(i128) -> Option<T>,
) {
    for item in bucket {
        let number = at.read(&item.body).filter(|number| !is_null(null, *number));
        match number.and_then(&mut value) {
            Some(value) => column[item.slot()] = value,
            None => present[item.slot()] &= !bit,
        }
    }
}

/// Whether a number means that there is none.
pub fn is_null(null: &[u64], number: i128) -> bool {
    null.iter().any(|&null| i128::from(null) == number)
}

/// Digits of a number in text; what a clock needs that counts in them.
pub fn digits_of(at: NumberAt) -> u32 {
    match at {
        NumberAt::Digits { width, .. } => width,
        _ => 0,
    }
}

/// A number outside the field that needs it.
#[inline(always)]
pub fn elsewhere<B: Body>(
    at: &ElsewhereAt,
    body: &B,
    parts: Option<Parts<'_>>,
    scope: u32,
    known: &mut (impl Learned + ?Sized),
) -> Option<i128> {
    match at {
        ElsewhereAt::Field(at) => at.read(body, parts),
        ElsewhereAt::Learned(learned) => learned.find(body, parts, scope, known).map(i128::from),
    }
}

fn put_learned(found: Option<u64>, col: LearnedCol, row: usize, batch: &mut MessageBatch) {
    match (found, col) {
        (Some(name), LearnedCol::Name(col)) => batch.names_mut(col).0[row] = name as u32,
        (Some(number), LearnedCol::Int(col)) => batch.ints_mut(col).0[row] = number,
        (None, LearnedCol::Name(col)) => batch.heads_mut().present[row] &= !col.bit(),
        (None, LearnedCol::Int(col)) => batch.heads_mut().present[row] &= !col.bit(),
    }
}

/// Writes a column of numbers; clears the bit of those without a meaning.
#[inline(always)]
fn write<T>(
    at: Window,
    null: &[u64],
    bit: u64,
    bucket: impl Bucket,
    (column, present): (&mut Rows<T>, &mut Rows<u64>),
    value: impl Fn(u64) -> T,
) {
    each(at, bucket.clone(), |row, raw| column[row] = value(raw));
    if !null.is_empty() {
        each(at, bucket, |row, raw| {
            if null.contains(&raw) {
                present[row] &= !bit;
            }
        });
    }
}

fn ints(at: Window, col: IntCol, null: &[u64], bucket: impl Bucket, batch: &mut MessageBatch) {
    write(at, null, col.bit(), bucket, batch.ints_mut(col), |raw| raw);
}

fn smalls(at: Window, col: SmallCol, null: &[u64], bucket: impl Bucket, batch: &mut MessageBatch) {
    write(at, null, col.bit(), bucket, batch.smalls_mut(col), |raw| raw as u32);
}

fn decimals(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    bucket: impl Bucket,
    batch: &mut MessageBatch,
) {
    let value = |raw: u64| u128::from(raw).wrapping_mul(u128::from(factor)) as i128;
    write(at, null, col.bit(), bucket, batch.decimals_mut(col), value);
}

fn signed_decimals(
    at: Window,
    col: DecimalCol,
    factor: u64,
    null: &[u64],
    bucket: impl Bucket,
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

fn times(
    at: Window,
    col: TimeCol,
    clock: &mut RunningClock,
    null: &[u64],
    bucket: impl Bucket,
    batch: &mut MessageBatch,
) {
    let (ts, column, present) = batch.ts_and_times_mut(col);
    each(at, bucket, |row, count| match clock.time_ns(count, ts[row]) {
        Some(time) if !null.contains(&count) => column[row] = time,
        _ => present[row] &= !col.bit(),
    });
}

fn codes(
    at: Window,
    col: EnumCol,
    table: &CodeTable,
    bucket: impl Bucket,
    batch: &mut MessageBatch,
) {
    let (column, present) = batch.enums_mut(col);
    each(at, bucket, |row, code| {
        let number = table.word(code);
        column[row] = number;
        if number == 0 {
            present[row] &= !col.bit();
        }
    });
}

fn constants(col: EnumCol, number: u8, bucket: impl Bucket, batch: &mut MessageBatch) {
    let (column, _) = batch.enums_mut(col);
    bucket.for_each(|item| column[item.slot()] = number);
}

fn names(
    at: Window,
    col: NameCol,
    cache: &mut NameCache,
    bucket: impl Bucket,
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
pub type Place = (u32, u32, Trim);

/// A text without its padding; what the message has of it.
pub fn text_at(body: &[u8], (offset, width, trim): Place) -> &[u8] {
    let rest = body.get(offset as usize..).unwrap_or_default();
    trim.apply(rest.get(..width as usize).unwrap_or(rest))
}

/// The number of a text's name, or [`NO_NAME`].
pub fn long_name(text: &[u8], names: &mut Names) -> u32 {
    if text.is_empty() {
        return NO_NAME;
    }
    names.intern(text).map_or(NO_NAME, |name| name.0)
}

fn long_names(place: Place, col: NameCol, bucket: impl Bucket, out: &mut Output<'_>) {
    let (column, present) = out.batch.names_mut(col);
    for item in bucket {
        let name = long_name(text_at(item.body.bytes(), place), out.names);
        column[item.slot()] = name;
        if name == NO_NAME {
            present[item.slot()] &= !col.bit();
        }
    }
}

fn texts(place: Place, col: TextCol, bucket: impl Bucket, batch: &mut MessageBatch) {
    const SHORT: usize = 32;
    let (offset, width, trim) = (place.0 as usize, place.1 as usize, place.2);
    for item in bucket {
        let rest = item.body.bytes().get(offset..).unwrap_or_default();
        let text = trim.apply(rest.get(..width).unwrap_or(rest));
        match rest.first_chunk::<SHORT>() {
            _ if text.is_empty() => {}
            // Nothing is trimmed before it: its bytes and some that follow.
            Some(short) if matches!(trim, Trim::Right | Trim::Never) && text.len() <= SHORT => {
                batch.set_start(item.slot(), col, short, text.len());
            }
            _ => batch.set_text(item.slot(), col, text),
        }
    }
}

fn digits(
    (at, radix): (Window, Radix),
    col: TextCol,
    null: &[u64],
    bucket: impl Bucket,
    batch: &mut MessageBatch,
) {
    each(at, bucket, |row, raw| {
        if !null.contains(&raw) {
            match radix {
                Radix::Ten => set_decimal(batch, row, col, raw),
                Radix::ThirtySix => {
                    let (digits, count) = base36_text(raw);
                    batch.set_end(row, col, &digits, count);
                }
            }
        }
    });
}

fn lookups(
    key: Window,
    table: &mut LearnedTable,
    slot: usize,
    col: LearnedCol,
    bucket: impl Bucket,
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
fn learned<T>(
    key: Window,
    table: &mut LearnedTable,
    slot: usize,
    bucket: impl Bucket,
    (column, present): (&mut Rows<T>, &mut Rows<u64>),
    (bit, cast): (u64, impl Fn(u64) -> T),
) {
    let Some(mut scope) = bucket.clone().next().map(|item| item.scope) else { return };
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
