//! Stored messages into the rows of one table.
//!
//! ```text
//! messages  (capture, packet, msg) sorted ─ packet's bytes ─ reader ─> builders, one a column
//!                                                                       └─> RecordBatch
//! ```
//!
//! A reader that goes through streams is given every message in that order, so
//! the bytes of a batch's messages are gathered first.

use crate::error::StoreError;
use crate::import::learned;
use crate::sql::typed::packets::Packets;
use crate::sql::typed::table::Source;
use crate::tables::column::{DECIMAL_PRECISION, DECIMAL_SCALE};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Decimal128Builder, Int64Builder,
    PrimitiveArray, RecordBatch, StringBuilder, TimestampNanosecondBuilder, UInt32Array,
    UInt64Builder,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;
use taptrail_decoders::field::Datum;
use taptrail_decoders::kind::{Sender, flags};
use taptrail_decoders::names::latin1;
use taptrail_decoders::typed::history::History;
use taptrail_decoders::typed::{self, ColumnKind, Standing, StoredMessage, TypedReader};

/// Columns of `messages` that are read.
pub(super) const MESSAGE_COLUMNS: &[&str] = &[
    "point",
    "ts",
    "capture_id",
    "packet_ix",
    "msg_ix",
    "sender",
    "raw_off",
    "raw_len",
    "raw",
    "scope",
    "flow_id",
    "tcp_off",
    "gap_before",
    "flags",
];

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// Decodes the messages of one partition.
pub(super) struct Decoding {
    source: Arc<Source>,
    reader: TypedReader,
    /// The capture read last.
    packets: Option<(u64, Packets, History)>,
    output: Output,
}

/// One message of a batch.
struct Row {
    index: u32,
    at: (u32, u16),
    capture_id: u64,
    ts: i64,
    sender: Option<Sender>,
    scope: u32,
    raw_off: Option<u32>,
    raw_len: u32,
    standing: Standing,
}

/// The messages of a batch, by capture, packet and place in it.
struct Rows<'b> {
    rows: Vec<Row>,
    raw: &'b BinaryArray,
}

impl Decoding {
    /// Where the protocol has no such table any more, an error says so.
    pub fn new(source: Arc<Source>) -> Result<Self, StoreError> {
        let schema = &source.schema;
        let columns = source.table.columns.iter();
        let place = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        let places: Vec<Option<usize>> = columns.clone().map(|c| place(&c.name)).collect();
        let wanted: Vec<bool> = places.iter().map(Option::is_some).collect();
        let (known, table) = (&source.known, &source.table.name);
        let show_secrets = known.config.decode.show_secrets;
        let reader = typed::reader(&known.library, known.protocol, table, &wanted, show_secrets);
        let reader = reader.ok_or_else(|| StoreError::NoTable { name: table.clone() })?;
        let kept = columns.zip(&wanted).enumerate().filter(|(_, (_, wanted))| **wanted);
        let builders = kept.map(|(at, (column, _))| (at, Builder::new(column.kind))).collect();
        let output = Output { builders, indexes: Vec::new(), entries: Vec::new() };
        Ok(Self { source, reader, packets: None, output })
    }

    /// The rows of a batch of messages.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>, StoreError> {
        let to_error = || StoreError::rows(&self.source.table.name);
        let messages = Rows::of(batch).map_err(to_error())?;
        let mut done = Vec::new();
        for of_capture in messages.rows.chunk_by(|a, b| a.capture_id == b.capture_id) {
            self.capture(of_capture, messages.raw, batch, &mut done)?;
        }
        if !self.output.is_empty() {
            done.push(self.output.finish(&self.source, batch)?);
        }
        Ok(done)
    }

    fn capture(
        &mut self,
        rows: &[Row],
        raw: &BinaryArray,
        batch: &RecordBatch,
        done: &mut Vec<RecordBatch>,
    ) -> Result<(), StoreError> {
        let Some(capture_id) = rows.first().map(|row| row.capture_id) else { return Ok(()) };
        let (mut packets, history) = match self.packets.take() {
            Some((known, packets, history)) if known == capture_id => (packets, history),
            _ => {
                self.reader.begin_capture();
                self.open(capture_id)?
            }
        };
        let Self { reader, output, source, .. } = self;
        let is_in_order = reader.is_in_order();
        let mut failed = None;
        let mut gathered: Vec<Option<Vec<u8>>> =
            vec![None; if is_in_order { rows.len() } else { 0 }];
        let mut message = |row: &Row, bytes: Option<&[u8]>, output: &mut Output| {
            let Row { ts, sender, scope, standing, .. } = *row;
            let Some(bytes) = bytes else { return reader.missed(standing) };
            let stored = StoredMessage { bytes, ts, sender, scope, standing };
            let index = row.index;
            let mut before = history.before(row.at);
            reader.rows(&stored, &mut before, &mut |entry, values| {
                output.push(index, entry, values);
            });
            if output.indexes.len() >= BATCH_ROWS {
                match output.finish(source, batch) {
                    Ok(batch) => done.push(batch),
                    Err(error) => failed = Some(error),
                }
            }
        };
        let mut take = |place: usize, row: &Row, bytes: &[u8], output: &mut Output| match gathered
            .get_mut(place)
        {
            Some(kept) => *kept = Some(bytes.to_vec()),
            None => message(row, Some(bytes), output),
        };
        for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.raw_off.is_none()) {
            if raw.is_valid(row.index as usize) {
                take(place, row, raw.value(row.index as usize), output);
            }
        }
        let in_packets = rows.iter().filter(|row| row.raw_off.is_some());
        let mut wanted: Vec<u32> = in_packets.map(|row| row.at.0).collect();
        wanted.dedup();
        packets.read(&wanted, &mut |packet_ix, data| {
            let from = rows.partition_point(|row| row.at.0 < packet_ix);
            let those = rows.iter().enumerate().skip(from);
            for (place, row) in those.take_while(|(_, row)| row.at.0 == packet_ix) {
                let Some(start) = row.raw_off.map(|off| off as usize) else { continue };
                let end = start.saturating_add(row.raw_len as usize);
                if let Some(bytes) = data.get(start..end) {
                    take(place, row, bytes, output);
                }
            }
        })?;
        for (row, bytes) in rows.iter().zip(&gathered) {
            message(row, bytes.as_deref(), output);
        }
        self.packets = Some((capture_id, packets, history));
        failed.map_or(Ok(()), Err)
    }

    /// The packets of a capture, and what its messages taught where the table
    /// asks for that.
    fn open(&self, capture_id: u64) -> Result<(Packets, History), StoreError> {
        let store = &self.source.store;
        let packets = Packets::of(store, capture_id)?;
        let protocol = self.reader.protocol().filter(|_| self.reader.needs_learned());
        let Some(protocol) = protocol else { return Ok((packets, History::new())) };
        let catalog = store.catalog()?;
        let import = catalog.import(capture_id).ok_or(StoreError::NoCapture { capture_id })?;
        Ok((packets, learned::history(store, import, protocol)?))
    }
}

impl<'b> Rows<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        let ts = primitive::<TimestampNanosecondType>(batch, "ts")?;
        let capture_id = primitive::<UInt64Type>(batch, "capture_id")?;
        let packet_ix = primitive::<UInt32Type>(batch, "packet_ix")?;
        let msg_ix = primitive::<UInt16Type>(batch, "msg_ix")?;
        let raw_off = primitive::<UInt32Type>(batch, "raw_off")?;
        let raw_len = primitive::<UInt32Type>(batch, "raw_len")?;
        let flow_id = primitive::<UInt32Type>(batch, "flow_id")?;
        let gap_before = primitive::<UInt32Type>(batch, "gap_before")?;
        let bits = primitive::<UInt32Type>(batch, "flags")?;
        let tcp_off = column(batch, "tcp_off")?;
        let scope = primitive::<UInt32Type>(batch, "scope")?;
        let sender = cast(column(batch, "sender")?, &DataType::Utf8)?;
        let sender = sender.as_string::<i32>();
        let row = |index: usize| Row {
            index: index as u32,
            at: (packet_ix.value(index), msg_ix.value(index)),
            capture_id: capture_id.value(index),
            ts: ts.value(index),
            sender: sender
                .is_valid(index)
                .then(|| Sender::from_text(sender.value(index)))
                .flatten(),
            scope: if scope.is_valid(index) { scope.value(index) } else { 0 },
            raw_off: raw_off.is_valid(index).then(|| raw_off.value(index)),
            raw_len: raw_len.value(index),
            standing: Standing {
                flow_id: flow_id.value(index),
                packet_ix: packet_ix.value(index),
                in_stream: tcp_off.is_valid(index),
                gap: gap_before.is_valid(index) && gap_before.value(index) > 0,
                repeated: bits.value(index) & (flags::DUPLICATE | flags::RETRANSMIT) != 0,
            },
        };
        let mut rows: Vec<Row> = (0..batch.num_rows()).map(row).collect();
        rows.sort_by_key(|row| (row.capture_id, row.at));
        let raw = column(batch, "raw")?.as_binary_opt::<i32>();
        Ok(Self { rows, raw: raw.ok_or_else(|| wrong("raw"))? })
    }
}

fn wrong(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("messages.{name} is of another type"))
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| wrong(name))
}

fn primitive<'b, T: ArrowPrimitiveType>(
    batch: &'b RecordBatch,
    name: &str,
) -> Result<&'b PrimitiveArray<T>, ArrowError> {
    column(batch, name)?.as_primitive_opt::<T>().ok_or_else(|| wrong(name))
}

/// Rows that are not handed out yet.
struct Output {
    /// With the column of the table that each one is.
    builders: Vec<(usize, Builder)>,
    /// Row of the batch of messages that each row is of.
    indexes: Vec<u32>,
    entries: Vec<u32>,
}

impl Output {
    fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    fn push(&mut self, index: u32, entry: u32, values: &[Option<Datum<'_>>]) {
        self.indexes.push(index);
        self.entries.push(entry);
        for (column, builder) in &mut self.builders {
            builder.push(values.get(*column).copied().flatten());
        }
    }

    /// The rows so far; `messages` is the batch that they are of.
    fn finish(
        &mut self,
        source: &Source,
        messages: &RecordBatch,
    ) -> Result<RecordBatch, StoreError> {
        self.batch(source, messages).map_err(StoreError::rows(&source.table.name))
    }

    fn batch(
        &mut self,
        source: &Source,
        messages: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let indexes = UInt32Array::from(std::mem::take(&mut self.indexes));
        let entries = UInt32Array::from(std::mem::take(&mut self.entries));
        let mut arrays: Vec<(usize, ArrayRef)> = Vec::new();
        for (column, builder) in &mut self.builders {
            arrays.push((*column, builder.finish()?));
        }
        let fields = source.schema.fields().iter().map(|field| {
            let own = source.table.columns.iter().position(|c| &c.name == field.name());
            let built = own.and_then(|own| arrays.iter().find(|(column, _)| *column == own));
            match (built, field.name().as_str()) {
                (Some((_, array)), _) => Ok(Arc::clone(array)),
                (None, "entry") => Ok(Arc::new(entries.clone()) as ArrayRef),
                (None, name) => take(column(messages, name)?, &indexes, None),
            }
        });
        let fields = fields.collect::<Result<Vec<_>, ArrowError>>()?;
        let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(indexes.len()));
        RecordBatch::try_new_with_options(Arc::clone(&source.schema), fields, &rows)
    }
}

/// Builds one column.
enum Builder {
    Int(Int64Builder),
    UInt(UInt64Builder),
    Decimal(Decimal128Builder),
    Time(TimestampNanosecondBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl Builder {
    fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Int => Self::Int(Int64Builder::new()),
            ColumnKind::UInt => Self::UInt(UInt64Builder::new()),
            ColumnKind::Decimal => Self::Decimal(Decimal128Builder::new()),
            ColumnKind::Time => Self::Time(TimestampNanosecondBuilder::new()),
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Bytes => Self::Bytes(BinaryBuilder::new()),
        }
    }

    /// Adds a value; one that the column cannot hold is null.
    fn push(&mut self, value: Option<Datum<'_>>) {
        match (self, value) {
            (Self::Int(b), Some(Datum::Int(int))) => b.append_option(i64::try_from(int).ok()),
            (Self::Int(b), _) => b.append_null(),
            (Self::UInt(b), Some(Datum::Int(int))) => b.append_option(u64::try_from(int).ok()),
            (Self::UInt(b), _) => b.append_null(),
            (Self::Decimal(b), value) => {
                let limit = 10u128.pow(DECIMAL_PRECISION.into());
                let value = value.and_then(Datum::billionths);
                b.append_option(value.filter(|value| value.unsigned_abs() < limit));
            }
            (Self::Time(b), Some(Datum::Time(ns))) => b.append_value(ns),
            (Self::Time(b), _) => b.append_null(),
            (Self::Text(b), Some(Datum::Text(text))) if text.is_ascii() => {
                b.append_value(std::str::from_utf8(text).unwrap_or_default());
            }
            (Self::Text(b), Some(Datum::Text(text))) => b.append_value(latin1(text)),
            (Self::Text(b), Some(Datum::Utf8(text))) => b.append_value(text),
            (Self::Text(b), _) => b.append_null(),
            (Self::Bytes(b), Some(Datum::Bytes(bytes) | Datum::Text(bytes))) => {
                b.append_value(bytes);
            }
            (Self::Bytes(b), _) => b.append_null(),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Int(b) => Arc::new(b.finish()),
            Self::UInt(b) => Arc::new(b.finish()),
            Self::Decimal(b) => {
                let array =
                    b.finish().with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE)?;
                Arc::new(array)
            }
            Self::Time(b) => Arc::new(b.finish().with_timezone("UTC")),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Bytes(b) => Arc::new(b.finish()),
        })
    }
}
