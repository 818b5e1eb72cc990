//! [`MessageBatch`] becomes a record batch of `messages`.
//!
//! ```text
//! present   0b101 0b001 ─> no bit set: a null array; every bit set: no null buffer; else a bitmap
//! names     [7, 7, 3]   ─> dictionary keys; its values are the decoder's names, shared by batches
//! names     [7, 7, 7]   ─> the column's array of that name, made once and shared by batches
//! nothing               ─> the null array of the column, likewise
//! ```
//!
//! Values are copied, into buffers of earlier batches that are gone.

use crate::arrays::pool::Pool;
use crate::arrays::vocabulary::Vocabulary;
use crate::tables::column::{Column, DECIMAL_PRECISION, DECIMAL_SCALE, schema};
use crate::tables::messages::COLUMNS;
use arrow::array::{
    ArrayRef, BinaryBuilder, Decimal128Array, DictionaryArray, Int32Array, RecordBatch,
    StringArray, StringBuilder, TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use std::sync::Arc;
use taptrail_decoders::batch::{
    DecimalCol, EnumCol, IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol,
};
use taptrail_decoders::kind::Kind;
use taptrail_decoders::names::{Names, latin1};

/// The first number that a decimal column cannot hold.
const DECIMAL_LIMIT: u128 = 10u128.pow(DECIMAL_PRECISION as u32);

/// Which rows of a batch have a column.
enum Presence {
    None,
    All,
    Some(NullBuffer),
}

/// Turns one decoder's batches into record batches.
#[derive(Debug)]
pub struct MessageArrays {
    capture_id: u64,
    schema: SchemaRef,
    texts: ArrayRef,
    kinds: Vocabulary,
    enums: Vec<Vocabulary>,
    /// By column.
    shared: Vec<Shared>,
    pool: Pool,
}

/// What batches share of a column; as long as the longest that needed it.
#[derive(Debug, Default)]
struct Shared {
    nulls: Option<ArrayRef>,
    /// Rows with the same number, and that.
    alike: Option<(u64, ArrayRef)>,
}

impl MessageArrays {
    /// For the messages of a capture.
    pub fn new(capture_id: u64) -> Self {
        let vocabulary = |col: &EnumCol| {
            let col = *col;
            Vocabulary::new(move |number| col.value_text(number))
        };
        Self {
            capture_id,
            schema: schema(COLUMNS),
            texts: Arc::new(StringArray::from(Vec::<&str>::new())),
            kinds: Vocabulary::new(|number| Kind::from_number(number).map(Kind::text)),
            enums: EnumCol::ALL.iter().map(vocabulary).collect(),
            shared: COLUMNS.iter().map(|_| Shared::default()).collect(),
            pool: Pool::default(),
        }
    }

    /// The batch's rows. `names` are those of the decoder that filled it.
    ///
    /// # Errors
    /// Where a row holds a name that `names` does not know.
    pub fn batch(
        &mut self,
        batch: &MessageBatch,
        names: &Names,
    ) -> Result<RecordBatch, ArrowError> {
        if self.texts.len() != names.texts().len() {
            let texts = names.texts().iter().map(|text| &**text);
            self.texts = Arc::new(StringArray::from_iter_values(texts));
        }
        self.pool.sweep();
        let Self { capture_id, texts, kinds, enums, pool, .. } = self;
        let mut view = View::new((*capture_id, texts, kinds, enums), pool, batch);
        let columns = COLUMNS.iter().zip(&mut self.shared);
        let arrays: Result<Vec<ArrayRef>, ArrowError> = columns
            .map(|(column, shared)| {
                let array = view.array(column, shared)?;
                Ok(array.unwrap_or_else(|| shared.nulls(column, batch.len())))
            })
            .collect();
        RecordBatch::try_new(self.schema.clone(), arrays?)
    }
}

impl Shared {
    /// So many nulls.
    fn nulls(&mut self, column: &Column, len: usize) -> ArrayRef {
        match &self.nulls {
            Some(nulls) if nulls.len() >= len => part(nulls, len),
            _ => self.nulls.insert(new_null_array(&column.kind.arrow(), len)).clone(),
        }
    }

    /// So many rows with this number; `build` makes them where it is new.
    fn alike(
        &mut self,
        number: u64,
        len: usize,
        build: impl FnOnce() -> Result<ArrayRef, ArrowError>,
    ) -> Result<ArrayRef, ArrowError> {
        match &self.alike {
            Some((known, rows)) if *known == number && rows.len() >= len => Ok(part(rows, len)),
            _ => Ok(self.alike.insert((number, build()?)).1.clone()),
        }
    }
}

/// The first `len` rows.
fn part(rows: &ArrayRef, len: usize) -> ArrayRef {
    if rows.len() == len { rows.clone() } else { rows.slice(0, len) }
}

/// The number that all rows have.
fn only<T: PartialEq + Copy>(numbers: &[T]) -> Option<T> {
    let (first, after) = numbers.split_first()?;
    let (_, before) = numbers.split_last()?;
    (before == after).then_some(*first)
}

/// A batch under conversion.
struct View<'a> {
    capture_id: u64,
    texts: &'a ArrayRef,
    kinds: &'a Vocabulary,
    enums: &'a [Vocabulary],
    pool: &'a mut Pool,
    batch: &'a MessageBatch,
    any: u64,
    all: u64,
}

impl<'a> View<'a> {
    fn new(
        (capture_id, texts, kinds, enums): (u64, &'a ArrayRef, &'a Vocabulary, &'a [Vocabulary]),
        pool: &'a mut Pool,
        batch: &'a MessageBatch,
    ) -> Self {
        let present = batch.present();
        let any = present.iter().fold(0, |bits, row| bits | row);
        let all = present.iter().fold(u64::MAX, |bits, row| bits & row);
        Self { capture_id, texts, kinds, enums, pool, batch, any, all }
    }

    fn presence(&self, bit: u64) -> Presence {
        if self.any & bit == 0 {
            return Presence::None;
        }
        if self.all & bit != 0 {
            return Presence::All;
        }
        let present = self.batch.present();
        let bits = BooleanBuffer::collect_bool(present.len(), |row| present[row] & bit != 0);
        Presence::Some(NullBuffer::new(bits))
    }

    /// An array that `build` makes, given the null buffer; none where no row
    /// has the column.
    fn nullable(
        &mut self,
        bit: u64,
        build: impl FnOnce(&mut Self, Option<NullBuffer>) -> Result<ArrayRef, ArrowError>,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        match self.presence(bit) {
            Presence::None => Ok(None),
            Presence::All => build(self, None).map(Some),
            Presence::Some(nulls) => build(self, Some(nulls)).map(Some),
        }
    }

    /// A column; none where every row is null.
    fn array(
        &mut self,
        column: &Column,
        shared: &mut Shared,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        let batch = self.batch;
        let array: Result<ArrayRef, ArrowError> = match column.name {
            "ts" => Ok(self.times(batch.ts(), None)),
            "capture_id" => shared.alike(self.capture_id, batch.len(), || {
                Ok(Arc::new(UInt64Array::from(vec![self.capture_id; batch.len()])))
            }),
            "packet_ix" => Ok(self.u32s(batch.packet_ix(), None)),
            "msg_ix" => Ok(self.u16s(batch.msg_ix())),
            "entry" => Ok(self.u16s(batch.entry())),
            "flow_id" => Ok(self.u32s(batch.flow_id(), None)),
            "flags" => Ok(self.u32s(batch.flags(), None)),
            "raw_len" => Ok(self.u32s(batch.raw_len(), None)),
            "scope" => return Ok(self.scopes(batch.scope())),
            "protocol" => self.names(batch.protocol(), None, shared),
            "msg_type" => self.names(batch.msg_type(), None, shared),
            "kind" => self.words(self.kinds, batch.kind(), None, shared),
            _ => return self.nullable_array(column, shared),
        };
        array.map(Some)
    }

    fn nullable_array(
        &mut self,
        column: &Column,
        shared: &mut Shared,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        let batch = self.batch;
        let name = column.name;
        if let Some(col) = TimeCol::from_text(name) {
            return self.nullable(col.bit(), |to, nulls| Ok(to.times(batch.times(col), nulls)));
        }
        if let Some(col) = IntCol::from_text(name) {
            return self.nullable(col.bit(), |to, nulls| {
                let values = to.pool.filled(batch.ints(col).iter().copied());
                Ok(Arc::new(UInt64Array::new(values, nulls)))
            });
        }
        if let Some(col) = SmallCol::from_text(name) {
            return self.nullable(col.bit(), |to, nulls| Ok(to.u32s(batch.smalls(col), nulls)));
        }
        if let Some(col) = DecimalCol::from_text(name) {
            return self
                .nullable(col.bit(), |to, nulls| decimals(batch.decimals(col), nulls, to.pool));
        }
        if let Some(col) = NameCol::from_text(name) {
            return self.nullable(col.bit(), |to, nulls| {
                to.names(batch.names(col), nulls.map(|nulls| (col.bit(), nulls)), shared)
            });
        }
        if let Some(col) = EnumCol::from_text(name) {
            return self.nullable(col.bit(), |to, nulls| {
                to.words(&to.enums[col as usize], batch.enums(col), nulls, shared)
            });
        }
        match TextCol::from_text(name) {
            Some(TextCol::Raw) => self.nullable(TextCol::Raw.bit(), |_, _| Ok(bytes(batch))),
            Some(col) => self.nullable(col.bit(), |_, _| Ok(texts(batch, col))),
            None => Err(ArrowError::SchemaError(format!("nothing fills column {name}"))),
        }
    }

    /// Dictionary keys into the decoder's names. Slots that mean nothing may
    /// hold anything and become key 0.
    fn names(
        &mut self,
        names: &[u32],
        present: Option<(u64, NullBuffer)>,
        shared: &mut Shared,
    ) -> Result<ArrayRef, ArrowError> {
        let key = |&name: &u32| name as i32;
        match present {
            None => match only(names) {
                Some(name) => shared.alike(name.into(), names.len(), || {
                    let keys: Vec<i32> = names.iter().map(key).collect();
                    self.dictionary(Int32Array::from(keys))
                }),
                None => {
                    let keys = self.pool.filled(names.iter().map(key));
                    self.dictionary(Int32Array::new(keys, None))
                }
            },
            Some((bit, nulls)) => {
                let slots = names.iter().zip(self.batch.present());
                let keys = slots.map(|(name, set)| if set & bit != 0 { key(name) } else { 0 });
                let keys = self.pool.filled(keys);
                self.dictionary(Int32Array::new(keys, Some(nulls)))
            }
        }
    }

    fn dictionary(&self, keys: Int32Array) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::try_new(keys, self.texts.clone())?))
    }

    /// Words of a vocabulary.
    fn words(
        &mut self,
        vocabulary: &Vocabulary,
        numbers: &[u8],
        nulls: Option<NullBuffer>,
        shared: &mut Shared,
    ) -> Result<ArrayRef, ArrowError> {
        match only(numbers).filter(|_| nulls.is_none()) {
            Some(number) => shared.alike(number.into(), numbers.len(), || {
                let keys: Vec<i32> = vocabulary.keys(numbers).collect();
                vocabulary.array(Int32Array::from(keys))
            }),
            None => {
                let keys = self.pool.filled(vocabulary.keys(numbers));
                vocabulary.array(Int32Array::new(keys, nulls))
            }
        }
    }

    fn times(&mut self, ns: &[i64], nulls: Option<NullBuffer>) -> ArrayRef {
        let values = self.pool.filled(ns.iter().copied());
        Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone("UTC"))
    }

    fn u16s(&mut self, values: &[u16]) -> ArrayRef {
        Arc::new(UInt16Array::new(self.pool.filled(values.iter().copied()), None))
    }

    fn u32s(&mut self, values: &[u32], nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(UInt32Array::new(self.pool.filled(values.iter().copied()), nulls))
    }

    /// Scopes; 0 is none. Nothing where all are.
    fn scopes(&mut self, scopes: &[u32]) -> Option<ArrayRef> {
        if scopes.iter().fold(0, |all, scope| all | scope) == 0 {
            return None;
        }
        let known = BooleanBuffer::collect_bool(scopes.len(), |row| scopes[row] != 0);
        Some(self.u32s(scopes, Some(NullBuffer::new(known))))
    }
}

/// Decimals; a value with more digits than the column holds becomes null.
fn decimals(
    values: &[i128],
    nulls: Option<NullBuffer>,
    pool: &mut Pool,
) -> Result<ArrayRef, ArrowError> {
    // Of 2^126 or less, at first sight.
    let high = |value: &i128| ((value >> 64) as i64 ^ (value >> 127) as i64) as u64;
    let fit = values.iter().fold(0, |all, value| all | high(value)) < 1 << 62;
    let fits = |value: &i128| value.unsigned_abs() < DECIMAL_LIMIT;
    let nulls = if fit || values.iter().all(fits) {
        nulls
    } else {
        let bits = BooleanBuffer::collect_bool(values.len(), |row| fits(&values[row]));
        NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(bits)))
    };
    let array = Decimal128Array::new(pool.filled(values.iter().copied()), nulls);
    Ok(Arc::new(array.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE)?))
}

/// Texts; bytes that are not UTF-8 are read as Latin-1.
fn texts(batch: &MessageBatch, col: TextCol) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(batch.len(), batch.len() * 16);
    for row in 0..batch.len() {
        match batch.text(row, col) {
            None => builder.append_null(),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => builder.append_value(text),
                Err(_) => builder.append_value(latin1(bytes)),
            },
        }
    }
    Arc::new(builder.finish())
}

fn bytes(batch: &MessageBatch) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    for row in 0..batch.len() {
        builder.append_option(batch.text(row, TextCol::Raw));
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Decimal128Type, Int32Type};
    use taptrail_decoders::batch::Head;
    use taptrail_decoders::kind::{SeqUnit, Side};
    use taptrail_decoders::names::Name;

    fn head(protocol: Name) -> Head {
        Head {
            ts: 1_700_000_000_000_000_001,
            ts_first: None,
            ts_send: None,
            packet_ix: 1,
            msg_ix: 2,
            flow_id: 3,
            protocol,
            line: None,
            session: None,
            channel: None,
            seq: Some((42, SeqUnit::Message)),
            gap_before: Some(0),
            flags: 0,
            raw_off: Some(42),
            raw_len: 36,
            tcp_off: None,
            sender: None,
        }
    }

    fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
        let array = batch.column_by_name(column).unwrap();
        let array = array.as_dictionary::<Int32Type>();
        let key = array.key(row)?;
        Some(array.values().as_string::<i32>().value(key).to_owned())
    }

    #[test]
    fn every_column_is_filled_and_garbage_is_null() {
        let mut names = Names::new();
        let protocol = names.intern(b"nasdaq.totalview-itch.5.0").unwrap();
        let kind = names.intern(b"A").unwrap();
        let symbol = names.intern(b"ALFA").unwrap();
        let mut batch = MessageBatch::new();
        let first = batch.push(&head(protocol), 0, kind).unwrap();
        batch.set_name(first, NameCol::Symbol, Name(999_999));
        batch.clear();
        for row in 0..2 {
            assert_eq!(batch.push(&head(protocol), 0, kind), Some(row));
            batch.set_kind(row, Kind::OrderAdd);
        }
        batch.set_decimal(1, DecimalCol::Price, 10_010_000_000);
        batch.set_name(1, NameCol::Symbol, symbol);
        batch.set_enum(1, EnumCol::Side, Side::Sell as u8);
        batch.set_text(1, TextCol::ClOrdId, b"caf\xe9");

        let rows = MessageArrays::new(7).batch(&batch, &names).unwrap();
        assert_eq!(rows.num_rows(), 2);
        assert_eq!(text(&rows, "kind", 0).as_deref(), Some("order.add"));
        assert_eq!(text(&rows, "protocol", 1).as_deref(), Some("nasdaq.totalview-itch.5.0"));
        assert_eq!(text(&rows, "symbol", 0), None);
        assert_eq!(text(&rows, "symbol", 1).as_deref(), Some("ALFA"));
        assert_eq!(text(&rows, "side", 1).as_deref(), Some("sell"));
        assert_eq!(text(&rows, "seq_unit", 0).as_deref(), Some("message"));
        let price = rows.column_by_name("price").unwrap().as_primitive::<Decimal128Type>();
        assert!(price.is_null(0));
        assert_eq!(price.value(1), 10_010_000_000);
        let cl_ord_id = rows.column_by_name("cl_ord_id").unwrap().as_string::<i32>();
        assert_eq!(cl_ord_id.value(1), "caf\u{e9}");
    }

    #[test]
    fn a_decimal_beyond_the_column_is_null() {
        let limit = DECIMAL_LIMIT as i128;
        let values = [i128::MAX, 5, limit, limit - 1, -limit, 1 - limit, i128::MIN];
        let array = decimals(&values, None, &mut Pool::default()).unwrap();
        let valid: Vec<bool> = (0..values.len()).map(|row| array.is_valid(row)).collect();
        assert_eq!(valid, [false, true, false, true, false, true, false]);
    }

    #[test]
    fn rows_that_are_alike_share_an_array_and_others_their_memory_later() {
        let mut names = Names::new();
        let protocol = names.intern(b"nasdaq.totalview-itch.5.0").unwrap();
        let kinds = [b"A", b"D"].map(|code| names.intern(code).unwrap());
        let mut arrays = MessageArrays::new(7);
        let mut batch = MessageBatch::new();
        let mut kept = Vec::new();
        for round in 0..4 {
            batch.clear();
            for row in 0..6 - round {
                let head = Head { packet_ix: (10 * round + row) as u32, ..head(protocol) };
                batch.push(&head, 0, kinds[row % 2]);
                batch.set_name(row, NameCol::Symbol, kinds[round % 2]);
            }
            kept.push(arrays.batch(&batch, &names).unwrap());
            names.intern(format!("another {round}").as_bytes());
        }
        for (round, rows) in kept.iter().enumerate() {
            assert_eq!(rows.num_rows(), 6 - round);
            let packets = rows.column_by_name("packet_ix").unwrap();
            let packets = packets.as_primitive::<arrow::datatypes::UInt32Type>();
            for row in 0..rows.num_rows() {
                assert_eq!(packets.value(row) as usize, 10 * round + row);
                assert_eq!(text(rows, "msg_type", row).as_deref(), Some(["A", "D"][row % 2]));
                assert_eq!(text(rows, "symbol", row).as_deref(), Some(["A", "D"][round % 2]));
                let protocol = text(rows, "protocol", row);
                assert_eq!(protocol.as_deref(), Some("nasdaq.totalview-itch.5.0"));
            }
        }
    }
}
