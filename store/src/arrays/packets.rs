//! [`PacketBatch`] becomes a record batch of `packets`, and back.

use crate::arrays::vocabulary::Vocabulary;
use crate::tables::column::{Column, schema};
use crate::tables::packets::COLUMNS;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, TimestampNanosecondArray,
    UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, SchemaRef, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;
use taptrail_capture::packet::{Direction, LinkType, PacketBatch, PacketMeta, TsSource};
use taptrail_capture::time::Timestamp;

/// Turns one capture's packet batches into record batches.
#[derive(Debug)]
pub struct PacketArrays {
    capture_id: u64,
    schema: SchemaRef,
    sources: Vocabulary,
    directions: Vocabulary,
}

/// A vocabulary whose number `n` has the text at index `n`.
fn numbered(texts: &'static [&'static str]) -> Vocabulary {
    Vocabulary::new(|number| texts.get(usize::from(number)).copied())
}

impl PacketArrays {
    /// For the packets of a capture.
    pub fn new(capture_id: u64) -> Self {
        Self {
            capture_id,
            schema: schema(COLUMNS),
            sources: numbered(&TsSource::NAMES),
            directions: numbered(&Direction::NAMES),
        }
    }

    /// The batch's rows.
    ///
    /// # Errors
    /// Where the batch holds more than 2 GiB.
    pub fn batch(&self, batch: &PacketBatch) -> Result<RecordBatch, ArrowError> {
        let arrays: Result<Vec<ArrayRef>, ArrowError> =
            COLUMNS.iter().map(|column| self.array(column, batch)).collect();
        RecordBatch::try_new(self.schema.clone(), arrays?)
    }

    fn array(&self, column: &Column, batch: &PacketBatch) -> Result<ArrayRef, ArrowError> {
        let metas = || batch.metas().iter();
        Ok(match column.name {
            "ts" => times(metas().map(|meta| meta.ts.ns())),
            "ts_ps" => i64s(metas().map(|meta| i64::from(meta.ts_ps))),
            "ts_record" => times(metas().map(|meta| meta.ts_record.ns())),
            "ts_source" => self.sources.of(metas().map(|meta| meta.ts_source as u8))?,
            "ts_flags" => u32s(metas().map(|meta| u32::from(meta.ts_flags))),
            "capture_id" => Arc::new(UInt64Array::from(vec![self.capture_id; batch.len()])),
            "packet_ix" => u32s(metas().map(|meta| meta.packet_ix)),
            "interface" => u32s(metas().map(|meta| meta.interface)),
            "direction" => self.directions.of(metas().map(|meta| meta.direction as u8))?,
            "link_type" => u32s(metas().map(|meta| u32::from(meta.link_type.0))),
            "wire_len" => u32s(metas().map(|meta| meta.wire_len)),
            "cap_len" => u32s(lens(batch)),
            "line" => new_null_array(&column.kind.arrow(), batch.len()),
            "data" => data(batch)?,
            name => {
                return Err(ArrowError::SchemaError(format!("nothing fills column {name}")));
            }
        })
    }
}

fn times(ns: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(ns).with_timezone("UTC"))
}

fn i64s(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn u32s(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}

fn data(batch: &PacketBatch) -> Result<ArrayRef, ArrowError> {
    let (bytes, ends) = batch.arena();
    if i32::try_from(bytes.len()).is_err() {
        return Err(ArrowError::OffsetOverflowError(bytes.len()));
    }
    let offsets = std::iter::once(0).chain(ends.iter().map(|&end| end as i32));
    let offsets = OffsetBuffer::new(offsets.collect::<ScalarBuffer<i32>>());
    Ok(Arc::new(BinaryArray::new(offsets, bytes.to_vec().into(), None)))
}

/// Captured lengths.
fn lens(batch: &PacketBatch) -> impl Iterator<Item = u32> {
    let (_, ends) = batch.arena();
    let starts = std::iter::once(&0).chain(ends);
    ends.iter().zip(starts).map(|(end, start)| (end - start) as u32)
}

/// Columns of `packets` that [`PacketRows`] reads.
pub const READ_COLUMNS: &[&str] = &[
    "ts",
    "ts_ps",
    "ts_record",
    "ts_source",
    "ts_flags",
    "capture_id",
    "packet_ix",
    "interface",
    "direction",
    "link_type",
    "wire_len",
    "data",
];

/// Rows of `packets` as they were captured, by position.
pub struct PacketRows<'a> {
    ts: &'a [i64],
    ts_ps: &'a [i64],
    ts_record: &'a [i64],
    ts_source: Vec<u8>,
    ts_flags: &'a [u32],
    capture_id: &'a [u64],
    packet_ix: &'a [u32],
    interface: &'a [u32],
    direction: Vec<u8>,
    link_type: &'a [u32],
    wire_len: &'a [u32],
    data: &'a BinaryArray,
}

impl<'a> PacketRows<'a> {
    /// The rows of a batch that holds [`READ_COLUMNS`].
    ///
    /// # Errors
    /// Where a column is missing or of another type.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            ts: column(batch, "ts")?.as_primitive::<TimestampNanosecondType>().values(),
            ts_ps: column(batch, "ts_ps")?.as_primitive::<Int64Type>().values(),
            ts_record: column(batch, "ts_record")?
                .as_primitive::<TimestampNanosecondType>()
                .values(),
            ts_source: numbers(batch, "ts_source", &TsSource::NAMES)?,
            ts_flags: column(batch, "ts_flags")?.as_primitive::<UInt32Type>().values(),
            capture_id: column(batch, "capture_id")?.as_primitive::<UInt64Type>().values(),
            packet_ix: column(batch, "packet_ix")?.as_primitive::<UInt32Type>().values(),
            interface: column(batch, "interface")?.as_primitive::<UInt32Type>().values(),
            direction: numbers(batch, "direction", &Direction::NAMES)?,
            link_type: column(batch, "link_type")?.as_primitive::<UInt32Type>().values(),
            wire_len: column(batch, "wire_len")?.as_primitive::<UInt32Type>().values(),
            data: column(batch, "data")?.as_binary::<i32>(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The capture of a row.
    pub fn capture_id(&self, row: usize) -> u64 {
        self.capture_id[row]
    }

    /// The position of a row's packet in its capture.
    pub fn packet_ix(&self, row: usize) -> u32 {
        self.packet_ix[row]
    }

    /// The bytes of a row's packet.
    pub fn data(&self, row: usize) -> &'a [u8] {
        self.data.value(row)
    }

    /// What else is known of a row's packet.
    pub fn meta(&self, row: usize) -> PacketMeta {
        PacketMeta {
            ts: Timestamp::from_ns(self.ts[row]),
            ts_ps: self.ts_ps[row] as i16,
            ts_record: Timestamp::from_ns(self.ts_record[row]),
            ts_source: TsSource::from_number(self.ts_source[row]),
            ts_flags: self.ts_flags[row] as u16,
            packet_ix: self.packet_ix[row],
            interface: self.interface[row],
            direction: match self.direction[row] {
                1 => Direction::In,
                2 => Direction::Out,
                _ => Direction::Unknown,
            },
            link_type: LinkType(self.link_type[row] as u16),
            wire_len: self.wire_len[row],
        }
    }
}

/// A column of `packets` of exactly the type it was written with.
fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, ArrowError> {
    let wrong = |what: String| ArrowError::SchemaError(format!("packets, column {name}: {what}"));
    let expected = COLUMNS.iter().find(|column| column.name == name);
    let expected: DataType =
        expected.ok_or_else(|| wrong("no such column".to_owned()))?.kind.arrow();
    let found = batch.column_by_name(name).ok_or_else(|| wrong("missing".to_owned()))?;
    if *found.data_type() != expected || found.null_count() > 0 {
        let (found, nulls) = (found.data_type(), found.null_count());
        return Err(wrong(format!("is {found} with {nulls} nulls, needs {expected} with none")));
    }
    Ok(found.as_ref())
}

/// The numbers of a vocabulary's texts; texts it does not know count as 0.
fn numbers(batch: &RecordBatch, name: &str, texts: &[&str]) -> Result<Vec<u8>, ArrowError> {
    let array = column(batch, name)?.as_dictionary::<Int32Type>();
    let values = array.values().as_string::<i32>();
    let number_of = |text: &str| texts.iter().position(|t| *t == text).unwrap_or(0) as u8;
    let number_of_key: Vec<u8> =
        (0..values.len()).map(|key| number_of(values.value(key))).collect();
    Ok(array.keys().values().iter().map(|&key| number_of_key[key as usize]).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A packet of `len` bytes at `ts`.
    pub(crate) fn push(batch: &mut PacketBatch, packet_ix: u32, ts: i64, len: usize) {
        let meta = PacketMeta {
            ts: Timestamp::from_ns(ts),
            ts_ps: -7,
            ts_record: Timestamp::from_ns(ts + 1),
            ts_source: TsSource::Metamako,
            ts_flags: 5,
            packet_ix,
            interface: 2,
            direction: Direction::Out,
            link_type: LinkType::ETHERNET,
            wire_len: len as u32 + 4,
        };
        batch.push(meta, &vec![packet_ix as u8; len]);
    }

    #[test]
    fn packets_come_back_as_they_were() {
        let mut batch = PacketBatch::new();
        push(&mut batch, 0, -5, 0);
        push(&mut batch, 1, 1_700_000_000_000_000_001, 60);
        let rows = PacketArrays::new(u64::MAX).batch(&batch).unwrap();
        let rows = PacketRows::new(&rows).unwrap();
        assert_eq!(rows.len(), 2);
        for row in 0..2 {
            assert_eq!(rows.capture_id(row), u64::MAX);
            assert_eq!(rows.meta(row), batch.get(row).meta);
            assert_eq!(rows.data(row), batch.get(row).data);
        }
    }
}
