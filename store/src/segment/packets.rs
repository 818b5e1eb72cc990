//! Packets as they were read become rows of `packets`.
//!
//! ```text
//! batch ─┬ facts ─▶ values, a column each ─ one for all? ─▶ a page of a few bytes  ┐
//!        │                               └─ others ──────▶ the crate's writers     ├─▶ row group
//!        └ bytes ─▶ pages ────────────────────────────────────────────────────────┘
//! ```
//!
//! Rows that are not in order of time are sorted before they are written.

use crate::error::StoreError;
use crate::segment::chunk::{Chunk, Value};
use crate::segment::few::few;
use crate::segment::file::{SegmentFiles, Unplaced};
use crate::segment::properties::Provenance;
use crate::segment::records::Records;
use crate::segment::writer::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};
use crate::segment::{RowGroup, TimeRange};
use crate::tables::{Table, packets};
use parquet::data_type::{Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::schema::types::ColumnDescPtr;
use std::path::{Path, PathBuf};
use taptrail_capture::packet::{Direction, PacketBatch, TsSource};

/// Writes the packets of one capture.
pub struct PacketWriter {
    files: SegmentFiles,
    directory: PathBuf,
    capture_id: u64,
    facts: Facts,
    records: Records,
    bytes: usize,
}

impl PacketWriter {
    /// Writes into `directory`.
    ///
    /// # Errors
    /// Where there is no memory to compress with.
    pub fn new(
        table: &'static Table,
        capture_id: u64,
        directory: &Path,
        provenance: &Provenance,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            files: SegmentFiles::new(table, directory, provenance),
            directory: directory.to_owned(),
            capture_id,
            facts: Facts::default(),
            records: Records::new().map_err(StoreError::io(directory))?,
            bytes: 0,
        })
    }

    /// Adds packets.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&mut self, batch: &PacketBatch) -> Result<(), StoreError> {
        if self.facts.rows() + batch.len() > ROW_GROUP_ROWS {
            self.flush_row_group()?;
        }
        self.facts.add(batch);
        self.records.add(batch).map_err(StoreError::segment(&self.directory))?;
        self.bytes += batch.bytes_len();
        if self.bytes >= ROW_GROUP_BYTES { self.flush_row_group() } else { Ok(()) }
    }

    /// Writes what is left and gives the segments in order; none where there
    /// was no packet.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn finish(mut self) -> Result<Vec<Unplaced>, StoreError> {
        self.flush_row_group()?;
        self.files.finish()
    }

    fn flush_row_group(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let Self { files, directory, capture_id, facts, records, .. } = self;
        if facts.rows() == 0 {
            return Ok(());
        }
        let order = facts.order();
        if let Some(order) = &order {
            records.sort(order, facts.lens()).map_err(StoreError::segment(directory))?;
            facts.sort(order);
        }
        let group = RowGroup { rows: facts.rows() as u64, time: facts.ts.range() };
        files.row_group(group, |group| {
            let mut done: Vec<(&str, Chunk)> = Vec::new();
            for (column, descriptor) in packets::COLUMNS.iter().zip(group.columns) {
                let twin = done.iter().find(|(name, _)| facts.are_same(name, column.name));
                let chunk = match (column.name, twin) {
                    (_, Some((_, twin))) => twin.clone().of_same(descriptor)?,
                    ("capture_id", _) => {
                        let one = Value::I64(capture_id.cast_signed());
                        Chunk::of_value(descriptor, one, facts.rows())?
                    }
                    ("data", _) => records.take(descriptor, order.is_some())?,
                    (name, _) => facts.chunk(name, descriptor, group.properties)?,
                };
                if TWINS.iter().any(|(first, _)| *first == column.name) {
                    done.push((column.name, chunk.clone()));
                }
                chunk.append_to(&mut group.out)?;
            }
            Ok(())
        })?;
        facts.clear();
        Ok(())
    }
}

/// Columns that mostly have the same values, and are then encoded once.
const TWINS: [(&str, &str); 2] = [("ts", "ts_record"), ("wire_len", "cap_len")];

/// What is known of the packets of a row group, a column each.
#[derive(Default)]
struct Facts {
    ts: Values<i64>,
    ts_ps: Values<i64>,
    ts_record: Values<i64>,
    ts_source: Values<u8>,
    ts_flags: Values<u32>,
    packet_ix: Values<u32>,
    interface: Values<u32>,
    direction: Values<u8>,
    link_type: Values<u32>,
    wire_len: Values<u32>,
    cap_len: Values<u32>,
}

impl Facts {
    fn rows(&self) -> usize {
        self.ts.rows
    }

    fn add(&mut self, batch: &PacketBatch) {
        let metas = batch.metas();
        self.ts.add(metas.iter().map(|meta| meta.ts.ns()));
        self.ts_ps.add(metas.iter().map(|meta| i64::from(meta.ts_ps)));
        self.ts_record.add(metas.iter().map(|meta| meta.ts_record.ns()));
        self.ts_source.add(metas.iter().map(|meta| meta.ts_source as u8));
        self.ts_flags.add(metas.iter().map(|meta| u32::from(meta.ts_flags)));
        self.packet_ix.add(metas.iter().map(|meta| meta.packet_ix));
        self.interface.add(metas.iter().map(|meta| meta.interface));
        self.direction.add(metas.iter().map(|meta| meta.direction as u8));
        self.link_type.add(metas.iter().map(|meta| u32::from(meta.link_type.0)));
        self.wire_len.add(metas.iter().map(|meta| meta.wire_len));
        self.cap_len.add(batch.lens());
    }

    /// The order of time, where the rows are not in it; those of one time stay in theirs.
    fn order(&self) -> Option<Vec<u32>> {
        let times = &self.ts.values;
        (!times.is_sorted()).then(|| {
            let mut order: Vec<u32> = (0..times.len() as u32).collect();
            order.sort_by_key(|&row| times.get(row as usize));
            order
        })
    }

    /// Captured lengths, in order.
    fn lens(&self) -> impl Iterator<Item = u32> {
        let one = self.cap_len.one();
        let lens = self.cap_len.values.iter().copied();
        lens.chain(one.into_iter().cycle().take(self.rows()))
    }

    fn sort(&mut self, order: &[u32]) {
        self.ts.sort(order);
        self.ts_ps.sort(order);
        self.ts_record.sort(order);
        self.ts_source.sort(order);
        self.ts_flags.sort(order);
        self.packet_ix.sort(order);
        self.interface.sort(order);
        self.direction.sort(order);
        self.link_type.sort(order);
        self.wire_len.sort(order);
        self.cap_len.sort(order);
    }

    /// Forgets the rows, keeps the memory.
    fn clear(&mut self) {
        self.ts.clear();
        self.ts_ps.clear();
        self.ts_record.clear();
        self.ts_source.clear();
        self.ts_flags.clear();
        self.packet_ix.clear();
        self.interface.clear();
        self.direction.clear();
        self.link_type.clear();
        self.wire_len.clear();
        self.cap_len.clear();
    }

    /// Whether two columns are twins and have the same values.
    fn are_same(&self, first: &str, second: &str) -> bool {
        match (first, second) {
            ("ts", "ts_record") => self.ts == self.ts_record,
            ("wire_len", "cap_len") => self.wire_len == self.cap_len,
            _ => false,
        }
    }

    /// One column.
    fn chunk(
        &self,
        name: &str,
        column: &ColumnDescPtr,
        properties: &WriterPropertiesPtr,
    ) -> Result<Chunk, ParquetError> {
        match name {
            "ts" => self.ts.chunk(column, properties),
            "ts_ps" => self.ts_ps.chunk(column, properties),
            "ts_record" => self.ts_record.chunk(column, properties),
            "ts_source" => self.ts_source.chunk(column, &TsSource::NAMES),
            "ts_flags" => self.ts_flags.chunk(column, properties),
            "packet_ix" => self.packet_ix.chunk(column, properties),
            "interface" => self.interface.chunk(column, properties),
            "direction" => self.direction.chunk(column, &Direction::NAMES),
            "link_type" => self.link_type.chunk(column, properties),
            "wire_len" => self.wire_len.chunk(column, properties),
            "cap_len" => self.cap_len.chunk(column, properties),
            "line" => Chunk::of_nulls(column, self.rows()),
            name => Err(ParquetError::General(format!("nothing fills column {name}"))),
        }
    }
}

/// The values of a column: as long as they are all one, only that one is kept.
#[derive(Default, PartialEq)]
struct Values<T> {
    rows: usize,
    first: T,
    /// Empty while all rows have the first one.
    values: Vec<T>,
}

impl<T: Copy + Default + PartialEq> Values<T> {
    fn add(&mut self, new: impl Iterator<Item = T> + Clone) {
        if self.rows == 0 {
            self.first = new.clone().next().unwrap_or_default();
        }
        if self.values.is_empty() {
            let mut rows = 0;
            let mut same = new.clone().inspect(|_| rows += 1);
            if same.all(|value| value == self.first) {
                self.rows += rows;
                return;
            }
            self.values.resize(self.rows, self.first);
        }
        self.values.extend(new);
        self.rows = self.values.len();
    }

    /// What every row has, if they have one and the same.
    fn one(&self) -> Option<T> {
        (self.rows > 0 && self.values.is_empty()).then_some(self.first)
    }

    fn sort(&mut self, order: &[u32]) {
        let sorted = order.iter().filter_map(|&row| self.values.get(row as usize).copied());
        self.values = sorted.collect();
        self.first = self.values.first().copied().unwrap_or(self.first);
    }

    fn clear(&mut self) {
        self.rows = 0;
        self.values.clear();
    }
}

impl Values<i64> {
    fn chunk(
        &self,
        column: &ColumnDescPtr,
        properties: &WriterPropertiesPtr,
    ) -> Result<Chunk, ParquetError> {
        match self.one() {
            Some(one) => Chunk::of_value(column, Value::I64(one), self.rows),
            None => Chunk::of_all::<Int64Type>(column, properties, &self.values),
        }
    }

    /// Of sorted times.
    fn range(&self) -> Option<TimeRange> {
        let min_ns = self.first;
        let max_ns = self.values.last().copied().unwrap_or(min_ns);
        (self.rows > 0).then_some(TimeRange { min_ns, max_ns })
    }
}

impl Values<u32> {
    fn chunk(
        &self,
        column: &ColumnDescPtr,
        properties: &WriterPropertiesPtr,
    ) -> Result<Chunk, ParquetError> {
        let value = |number: u32| Value::I32(number.cast_signed());
        if let Some(one) = self.one() {
            return Chunk::of_value(column, value(one), self.rows);
        }
        if let Some((numbers, keys)) = few(&self.values) {
            let numbers: Vec<Value<'_>> = numbers.into_iter().map(value).collect();
            return Chunk::of_values(column, &numbers, &keys);
        }
        let stored: Vec<i32> = self.values.iter().map(|number| number.cast_signed()).collect();
        Chunk::of_all::<Int32Type>(column, properties, &stored)
    }
}

impl Values<u8> {
    /// Names of numbers.
    fn chunk(&self, column: &ColumnDescPtr, names: &[&'static str]) -> Result<Chunk, ParquetError> {
        let name = |number: u8| names.get(usize::from(number)).copied().unwrap_or_default();
        if let Some(one) = self.one() {
            return Chunk::of_value(column, Value::Text(name(one)), self.rows);
        }
        let mut is_used = [false; 256];
        self.values.iter().for_each(|&number| is_used[usize::from(number)] = true);
        let mut used: Vec<u8> = (0..=u8::MAX).filter(|&n| is_used[usize::from(n)]).collect();
        // In the order of the names, not of their numbers.
        used.sort_by_key(|&number| name(number));
        let mut key_of = [0; 256];
        for (key, &number) in (0..).zip(&used) {
            key_of[usize::from(number)] = key;
        }
        let keys: Vec<u8> = self.values.iter().map(|&n| key_of[usize::from(n)]).collect();
        let dictionary: Vec<Value<'_>> = used.iter().map(|&n| Value::Text(name(n))).collect();
        Chunk::of_values(column, &dictionary, &keys)
    }
}

#[cfg(test)]
#[path = "packets_tests.rs"]
pub(crate) mod tests;
