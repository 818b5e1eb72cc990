//! [`MessageBatch`] becomes a record batch of `messages`.
//!
//! ```text
//! present   0b101 0b001 ─> no bit set: a null array; every bit set: no null buffer; else a bitmap
//! names     [7, 7, 3]   ─> dictionary keys; its values are the decoder's names, shared by batches
//! nothing               ─> the null array of the column, made once and shared by batches
//! ```

use crate::arrays::vocabulary::Vocabulary;
use crate::tables::column::{Column, DECIMAL_PRECISION, DECIMAL_SCALE, schema};
use crate::tables::messages::COLUMNS;
use arrow::array::{
    ArrayRef, BinaryBuilder, Decimal128Array, DictionaryArray, Int32Array, RecordBatch,
    StringArray, StringBuilder, TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
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
    /// By column, an array of nulls as long as the longest batch that needed it.
    nulls: Vec<Option<ArrayRef>>,
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
            nulls: COLUMNS.iter().map(|_| None).collect(),
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
        let mut nulls = std::mem::take(&mut self.nulls);
        let view = View::new(self, batch);
        let columns = COLUMNS.iter().zip(&mut nulls);
        let arrays: Result<Vec<ArrayRef>, ArrowError> = columns
            .map(|(column, nulls)| {
                Ok(view.array(column)?.unwrap_or_else(|| null_array(column, batch.len(), nulls)))
            })
            .collect();
        self.nulls = nulls;
        RecordBatch::try_new(self.schema.clone(), arrays?)
    }
}

/// So many nulls, of the array `made` where it has them.
fn null_array(column: &Column, len: usize, made: &mut Option<ArrayRef>) -> ArrayRef {
    match made {
        Some(nulls) if nulls.len() == len => nulls.clone(),
        Some(nulls) if nulls.len() > len => nulls.slice(0, len),
        _ => made.insert(new_null_array(&column.kind.arrow(), len)).clone(),
    }
}

/// A batch under conversion.
struct View<'a> {
    arrays: &'a MessageArrays,
    batch: &'a MessageBatch,
    any: u64,
    all: u64,
}

impl<'a> View<'a> {
    fn new(arrays: &'a MessageArrays, batch: &'a MessageBatch) -> Self {
        let present = batch.present();
        let any = present.iter().fold(0, |bits, row| bits | row);
        let all = present.iter().fold(u64::MAX, |bits, row| bits & row);
        Self { arrays, batch, any, all }
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
        &self,
        bit: u64,
        build: impl FnOnce(Option<NullBuffer>) -> Result<ArrayRef, ArrowError>,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        match self.presence(bit) {
            Presence::None => Ok(None),
            Presence::All => build(None).map(Some),
            Presence::Some(nulls) => build(Some(nulls)).map(Some),
        }
    }

    /// A column; none where every row is null.
    fn array(&self, column: &Column) -> Result<Option<ArrayRef>, ArrowError> {
        let batch = self.batch;
        let array: Result<ArrayRef, ArrowError> = match column.name {
            "ts" => Ok(times(batch.ts(), None)),
            "capture_id" => {
                Ok(Arc::new(UInt64Array::from(vec![self.arrays.capture_id; batch.len()])))
            }
            "packet_ix" => Ok(u32s(batch.packet_ix(), None)),
            "msg_ix" => Ok(u16s(batch.msg_ix())),
            "entry" => Ok(u16s(batch.entry())),
            "flow_id" => Ok(u32s(batch.flow_id(), None)),
            "flags" => Ok(u32s(batch.flags(), None)),
            "raw_len" => Ok(u32s(batch.raw_len(), None)),
            "scope" => return Ok(scopes(batch.scope())),
            "protocol" => self.names(batch.protocol(), None),
            "msg_type" => self.names(batch.msg_type(), None),
            "kind" => self.arrays.kinds.array(batch.kind().iter().copied(), None),
            _ => return self.nullable_array(column),
        };
        array.map(Some)
    }

    fn nullable_array(&self, column: &Column) -> Result<Option<ArrayRef>, ArrowError> {
        let batch = self.batch;
        let name = column.name;
        if let Some(col) = TimeCol::from_text(name) {
            return self.nullable(col.bit(), |nulls| Ok(times(batch.times(col), nulls)));
        }
        if let Some(col) = IntCol::from_text(name) {
            let array = |nulls| UInt64Array::new(batch.ints(col).to_vec().into(), nulls);
            return self.nullable(col.bit(), |nulls| Ok(Arc::new(array(nulls))));
        }
        if let Some(col) = SmallCol::from_text(name) {
            return self.nullable(col.bit(), |nulls| Ok(u32s(batch.smalls(col), nulls)));
        }
        if let Some(col) = DecimalCol::from_text(name) {
            return self.nullable(col.bit(), |nulls| decimals(batch.decimals(col), nulls));
        }
        if let Some(col) = NameCol::from_text(name) {
            return self.nullable(col.bit(), |nulls| {
                self.names(batch.names(col), nulls.map(|nulls| (col.bit(), nulls)))
            });
        }
        if let Some(col) = EnumCol::from_text(name) {
            let vocabulary = &self.arrays.enums[col as usize];
            let numbers = batch.enums(col).iter().copied();
            return self.nullable(col.bit(), |nulls| vocabulary.array(numbers, nulls));
        }
        match TextCol::from_text(name) {
            Some(TextCol::Raw) => self.nullable(TextCol::Raw.bit(), |_| Ok(bytes(batch))),
            Some(col) => self.nullable(col.bit(), |_| Ok(texts(batch, col))),
            None => Err(ArrowError::SchemaError(format!("nothing fills column {name}"))),
        }
    }

    /// Dictionary keys into the decoder's names. Slots that mean nothing may
    /// hold anything and become key 0.
    fn names(
        &self,
        names: &[u32],
        present: Option<(u64, NullBuffer)>,
    ) -> Result<ArrayRef, ArrowError> {
        let keys: Vec<i32> = match &present {
            None => names.iter().map(|&name| name as i32).collect(),
            Some((bit, _)) => {
                let present = names.iter().zip(self.batch.present());
                present.map(|(&name, set)| if set & *bit != 0 { name as i32 } else { 0 }).collect()
            }
        };
        let keys = Int32Array::new(keys.into(), present.map(|(_, nulls)| nulls));
        Ok(Arc::new(DictionaryArray::try_new(keys, self.arrays.texts.clone())?))
    }
}

fn times(ns: &[i64], nulls: Option<NullBuffer>) -> ArrayRef {
    let values = ScalarBuffer::from(ns.to_vec());
    Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone("UTC"))
}

fn u16s(values: &[u16]) -> ArrayRef {
    Arc::new(UInt16Array::from(values.to_vec()))
}

/// Scopes; 0 is none. Nothing where all are.
fn scopes(scopes: &[u32]) -> Option<ArrayRef> {
    if scopes.iter().fold(0, |all, scope| all | scope) == 0 {
        return None;
    }
    let known = BooleanBuffer::collect_bool(scopes.len(), |row| scopes[row] != 0);
    Some(u32s(scopes, Some(NullBuffer::new(known))))
}

fn u32s(values: &[u32], nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(UInt32Array::new(values.to_vec().into(), nulls))
}

/// Decimals; a value with more digits than the column holds becomes null.
fn decimals(values: &[i128], nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let fits = |value: &i128| value.unsigned_abs() < DECIMAL_LIMIT;
    let nulls = if values.iter().all(fits) {
        nulls
    } else {
        let bits = BooleanBuffer::collect_bool(values.len(), |row| fits(&values[row]));
        NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(bits)))
    };
    let array = Decimal128Array::new(values.to_vec().into(), nulls);
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
        let array = decimals(&[i128::MAX, 5], None).unwrap();
        assert!(array.is_null(0));
        assert!(array.is_valid(1));
    }
}
