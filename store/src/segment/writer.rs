//! Writes the rows of one table into as many segments as they need.
//!
//! ```text
//! batches ──> held until a row group is full ──> sorted by time if they are not ──> Parquet
//! ```

use crate::error::StoreError;
use crate::segment::properties::{Provenance, writer_properties};
use crate::segment::{RowGroup, Segment, TimeRange};
use crate::tables::Table;
use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, TimestampNanosecondType};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Most rows of a row group.
pub const ROW_GROUP_ROWS: usize = 128 << 10;

/// A row group is full once its rows take about this many bytes in memory.
pub const ROW_GROUP_BYTES: usize = 48 << 20;

/// A segment with this many rows is full.
pub const SEGMENT_ROWS: u64 = 4 << 20;

/// A segment of this many bytes on disk is full.
pub const SEGMENT_BYTES: usize = 256 << 20;

/// A finished segment that has not got its final name yet.
#[derive(Debug)]
pub struct Unplaced {
    /// Where it lies.
    pub file: PathBuf,
    /// What it holds; its `path` is still empty.
    pub segment: Segment,
}

/// Writes one table.
pub struct TableWriter {
    table: &'static Table,
    directory: PathBuf,
    time: Option<usize>,
    properties: WriterProperties,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bytes: usize,
    open: Option<OpenSegment>,
    finished: Vec<Unplaced>,
    synced: bool,
}

struct OpenSegment {
    file: PathBuf,
    writer: ArrowWriter<File>,
    row_groups: Vec<RowGroup>,
    sorted: bool,
}

impl TableWriter {
    /// Writes `table` into `directory`.
    pub fn new(table: &'static Table, directory: &Path, provenance: &Provenance) -> Self {
        Self {
            table,
            directory: directory.to_owned(),
            time: table.time_index(),
            properties: writer_properties(table, provenance),
            held: Vec::new(),
            held_rows: 0,
            held_bytes: 0,
            open: None,
            finished: Vec::new(),
            synced: true,
        }
    }

    /// The same, of files that need not outlive a power cut.
    pub fn unsynced(self) -> Self {
        Self { synced: false, ..self }
    }

    /// Takes rows that have the table's schema.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(), StoreError> {
        let rows = batch.num_rows();
        if rows > 0 && self.held_rows + rows > ROW_GROUP_ROWS {
            self.flush_row_group()?;
        }
        self.held_rows += rows;
        self.held_bytes += bytes_of(&batch);
        if rows > 0 {
            self.held.push(batch);
        }
        if self.held_bytes >= ROW_GROUP_BYTES {
            self.flush_row_group()?;
        }
        Ok(())
    }

    /// Writes what is left and gives the segments in order; none where there
    /// was no row.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn finish(mut self) -> Result<Vec<Unplaced>, StoreError> {
        self.flush_row_group()?;
        self.seal()?;
        Ok(self.finished)
    }

    fn flush_row_group(&mut self) -> Result<(), StoreError> {
        let (time, sorted) = match self.time {
            Some(column) => (range(&self.held, column), is_sorted(&self.held, column)),
            None => (None, true),
        };
        if let (Some(column), false) = (self.time, sorted) {
            let batch = sort(&self.held, column).map_err(StoreError::rows(self.table.name))?;
            self.held = vec![batch];
        }
        let rows = self.held_rows as u64;
        let batches = std::mem::take(&mut self.held);
        self.held_rows = 0;
        self.held_bytes = 0;
        if rows == 0 {
            return Ok(());
        }
        let open = self.open_segment()?;
        open.write_row_group(&batches, RowGroup { rows, time })?;
        if open.is_full() { self.seal() } else { Ok(()) }
    }

    fn open_segment(&mut self) -> Result<&mut OpenSegment, StoreError> {
        if self.open.is_none() {
            let name = format!("{}-{}.parquet", self.table.name, self.finished.len());
            let file = self.directory.join(name);
            let output = File::create(&file).map_err(StoreError::io(&file))?;
            let properties = Some(self.properties.clone());
            let writer = ArrowWriter::try_new(output, self.table.schema(), properties)
                .map_err(StoreError::segment(&file))?;
            self.open = Some(OpenSegment { file, writer, row_groups: Vec::new(), sorted: true });
        }
        self.open.as_mut().ok_or(StoreError::Stopped { part: "the segment writer" })
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        if let Some(open) = self.open.take() {
            self.finished.push(open.seal(self.table.name, self.synced)?);
        }
        Ok(())
    }
}

impl OpenSegment {
    fn write_row_group(
        &mut self,
        batches: &[RecordBatch],
        group: RowGroup,
    ) -> Result<(), StoreError> {
        for batch in batches {
            self.writer.write(batch).map_err(StoreError::segment(&self.file))?;
        }
        self.writer.flush().map_err(StoreError::segment(&self.file))?;
        let before = self.row_groups.last().and_then(|group| group.time);
        if let (Some(before), Some(time)) = (before, group.time) {
            self.sorted &= before.max_ns <= time.min_ns;
        }
        self.row_groups.push(group);
        Ok(())
    }

    fn is_full(&self) -> bool {
        let rows: u64 = self.row_groups.iter().map(|group| group.rows).sum();
        rows >= SEGMENT_ROWS || self.writer.bytes_written() >= SEGMENT_BYTES
    }

    fn seal(mut self, table: &str, synced: bool) -> Result<Unplaced, StoreError> {
        let sorted = if self.sorted { "segment" } else { "row group" };
        let pair = KeyValue::new("taptrail.sorted".to_owned(), sorted.to_owned());
        self.writer.append_key_value_metadata(pair);
        let output = self.writer.into_inner().map_err(StoreError::segment(&self.file))?;
        if synced {
            output.sync_all().map_err(StoreError::io(&self.file))?;
        }
        let bytes = output.metadata().map_err(StoreError::io(&self.file))?.len();
        let times = self.row_groups.iter().filter_map(|group| group.time);
        let segment = Segment {
            table: table.to_owned(),
            path: String::new(),
            rows: self.row_groups.iter().map(|group| group.rows).sum(),
            bytes,
            time: times.reduce(TimeRange::union),
            sorted: self.sorted,
            row_groups: self.row_groups,
            part: None,
        };
        Ok(Unplaced { file: self.file, segment })
    }
}

/// The times of a batch's column.
fn times(batch: &RecordBatch, column: usize) -> &[i64] {
    batch.column(column).as_primitive::<TimestampNanosecondType>().values()
}

fn range(batches: &[RecordBatch], column: usize) -> Option<TimeRange> {
    let all = batches.iter().flat_map(|batch| times(batch, column));
    all.map(|&ns| TimeRange { min_ns: ns, max_ns: ns }).reduce(TimeRange::union)
}

fn is_sorted(batches: &[RecordBatch], column: usize) -> bool {
    batches.iter().flat_map(|batch| times(batch, column)).is_sorted()
}

/// All rows in one batch, by time; rows of one time stay in their order.
fn sort(batches: &[RecordBatch], column: usize) -> Result<RecordBatch, arrow::error::ArrowError> {
    let Some(first) = batches.first() else {
        return Err(arrow::error::ArrowError::ComputeError("no rows to sort".to_owned()));
    };
    let all = concat_batches(&first.schema(), batches)?;
    let times = times(&all, column);
    let mut order: Vec<u32> = (0..times.len() as u32).collect();
    order.sort_by_key(|&row| times[row as usize]);
    take_record_batch(&all, &UInt32Array::from(order))
}

/// About how many bytes a batch's rows take, shared dictionaries left out.
fn bytes_of(batch: &RecordBatch) -> usize {
    let rows = batch.num_rows();
    let columns = batch.columns().iter().map(|array| match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value_data().len(),
        DataType::Utf8 => array.as_string::<i32>().value_data().len(),
        other => rows * other.primitive_width().unwrap_or(4),
    });
    columns.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::packets::tests::push;
    use crate::arrays::packets::{PacketArrays, PacketRows};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use taptrail_capture::packet::PacketBatch;

    fn packets(times: &[i64]) -> RecordBatch {
        let mut batch = PacketBatch::new();
        for (ix, &ts) in times.iter().enumerate() {
            push(&mut batch, ix as u32, ts, 60);
        }
        PacketArrays::new(9).batch(&batch).unwrap()
    }

    fn writer(directory: &Path) -> TableWriter {
        let table = Table::named("packets").unwrap();
        TableWriter::new(table, directory, &Provenance::default())
    }

    #[test]
    fn rows_of_a_row_group_are_sorted_by_time() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        writer.write(packets(&[30, 10])).unwrap();
        writer.write(packets(&[20, 10])).unwrap();
        let finished = writer.finish().unwrap();
        assert_eq!(finished.len(), 1);
        let segment = &finished[0].segment;
        assert_eq!(segment.time, Some(TimeRange { min_ns: 10, max_ns: 30 }));
        assert!(segment.sorted);
        let file = File::open(&finished[0].file).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        let rows = PacketRows::new(&batch).unwrap();
        let read: Vec<_> =
            (0..4).map(|row| (rows.meta(row).ts.ns(), rows.packet_ix(row))).collect();
        assert_eq!(read, [(10, 1), (10, 1), (20, 0), (30, 0)]);
    }

    #[test]
    fn payload_has_neither_dictionary_nor_statistics() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        writer.write(packets(&[1, 2, 3])).unwrap();
        let finished = writer.finish().unwrap();
        let file = File::open(&finished[0].file).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let group = reader.metadata().row_group(0);
        let column = |name: &str| {
            group.columns().iter().find(|c| c.column_path().string() == name).unwrap().clone()
        };
        assert!(column("data").statistics().is_none());
        assert_eq!(column("data").dictionary_page_offset(), None);
        assert!(column("ts").statistics().is_some());
        assert!(column("ts_source").dictionary_page_offset().is_some());
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let value = |key: &str| pairs.iter().find(|p| p.key == key).unwrap().value.clone();
        assert_eq!(value("taptrail.sorted").as_deref(), Some("segment"));
        assert_eq!(value("taptrail.table").as_deref(), Some("packets"));
    }

    #[test]
    fn many_rows_are_several_row_groups() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        let times: Vec<i64> = (0..4096).collect();
        for _ in 0..40 {
            writer.write(packets(&times)).unwrap();
        }
        let finished = writer.finish().unwrap();
        let segment = &finished[0].segment;
        assert_eq!(segment.rows, 40 * 4096);
        assert_eq!(segment.row_groups.len(), 2);
        assert!(segment.row_groups.iter().all(|group| group.rows <= ROW_GROUP_ROWS as u64));
        assert!(!segment.sorted);
    }

    #[test]
    fn no_rows_no_segment() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path());
        writer.write(packets(&[])).unwrap();
        assert!(writer.finish().unwrap().is_empty());
    }
}
