//! Rows of `packets` as they were captured.

use crate::tables::packets::COLUMNS;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::time::Timestamp;

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
