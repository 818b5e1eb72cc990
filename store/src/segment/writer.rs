//! Writes the rows of one table into as many segments as they need.
//!
//! ```text
//! batches ──> held until a row group is full ──> sorted by time if they are not ──> Parquet
//! ```

use crate::error::StoreError;
use crate::segment::chunk::{Chunk, Value};
use crate::segment::file::{GroupWriter, SegmentFiles, Unplaced};
use crate::segment::properties::Provenance;
use crate::segment::{RowGroup, TimeRange};
use crate::tables::Table;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, SchemaRef, TimestampNanosecondType, UInt16Type, UInt32Type,
    UInt64Type,
};
use parquet::arrow::arrow_writer::compute_leaves;
use parquet::errors::ParquetError;
use std::path::Path;

/// Most rows of a row group.
pub const ROW_GROUP_ROWS: usize = 128 << 10;

/// A row group is full once its rows take about this many bytes in memory.
pub const ROW_GROUP_BYTES: usize = 48 << 20;

/// Writes one table.
pub struct TableWriter {
    files: SegmentFiles,
    schema: SchemaRef,
    time: Option<usize>,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bytes: usize,
}

impl TableWriter {
    /// Writes `table` into `directory`.
    pub fn new(table: &'static Table, directory: &Path, provenance: &Provenance) -> Self {
        Self {
            files: SegmentFiles::new(table, directory, provenance),
            schema: table.schema(),
            time: table.time_index(),
            held: Vec::new(),
            held_rows: 0,
            held_bytes: 0,
        }
    }

    /// The same, of files that need not outlive a power cut.
    pub fn unsynced(mut self) -> Self {
        self.files.synced = false;
        self
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
        self.files.finish()
    }

    fn flush_row_group(&mut self) -> Result<(), StoreError> {
        let (time, sorted) = match self.time {
            Some(column) => (range(&self.held, column), is_sorted(&self.held, column)),
            None => (None, true),
        };
        if let (Some(column), false) = (self.time, sorted) {
            let batch = sort(&self.held, column);
            self.held = vec![batch.map_err(StoreError::rows(self.files.table().name))?];
        }
        let rows = self.held_rows as u64;
        let batches = std::mem::take(&mut self.held);
        self.held_rows = 0;
        self.held_bytes = 0;
        if rows == 0 {
            return Ok(());
        }
        let schema = &self.schema;
        self.files.row_group(RowGroup { rows, time }, |group| columns(group, schema, &batches))
    }
}

/// Writes all columns of a row group.
fn columns(
    group: &mut GroupWriter<'_>,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<(), ParquetError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let writers = group.arrow()?.into_iter().zip(group.columns).zip(schema.fields());
    for (index, ((mut writer, column), field)) in writers.enumerate() {
        let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(index)).collect();
        if group.properties.bloom_filter_properties(column.path()).is_none()
            && let Some(one) = one(&arrays)
        {
            let chunk = match one {
                Some(value) => Chunk::of_value(column, value, rows)?,
                None => Chunk::of_nulls(column, rows)?,
            };
            chunk.append_to(&mut group.out)?;
            continue;
        }
        for array in arrays {
            for leaf in compute_leaves(field, array)? {
                writer.write(&leaf)?;
            }
        }
        writer.close()?.append_to_row_group(&mut group.out)?;
    }
    Ok(())
}

/// Longest text that is written as the one of all rows: statistics have it whole.
const ONE_TEXT_MAX: usize = 64;

/// What all rows have, if that is one thing: a value, or none.
fn one<'a>(arrays: &[&'a ArrayRef]) -> Option<Option<Value<'a>>> {
    if arrays.iter().all(|array| array.null_count() == array.len()) {
        return Some(None);
    }
    let first = one_of(arrays.first()?)?;
    let rest = arrays.get(1..).unwrap_or_default();
    rest.iter().all(|array| one_of(array) == Some(first)).then_some(Some(first))
}

/// The value that all rows of an array have, if it is one.
fn one_of(array: &ArrayRef) -> Option<Value<'_>> {
    fn same<T: Copy + PartialEq>(values: &[T]) -> Option<T> {
        let (&first, rest) = values.split_first()?;
        rest.iter().all(|value| *value == first).then_some(first)
    }
    if array.null_count() > 0 {
        return None;
    }
    match array.data_type() {
        DataType::UInt16 => {
            Some(Value::I32(same(array.as_primitive::<UInt16Type>().values())?.into()))
        }
        DataType::UInt32 => {
            Some(Value::I32(same(array.as_primitive::<UInt32Type>().values())?.cast_signed()))
        }
        DataType::UInt64 => {
            Some(Value::I64(same(array.as_primitive::<UInt64Type>().values())?.cast_signed()))
        }
        DataType::Int64 => Some(Value::I64(same(array.as_primitive::<Int64Type>().values())?)),
        DataType::Timestamp(..) => {
            Some(Value::I64(same(array.as_primitive::<TimestampNanosecondType>().values())?))
        }
        DataType::Dictionary(..) => {
            let array = array.as_dictionary_opt::<Int32Type>()?;
            let key = usize::try_from(same(array.keys().values())?).ok()?;
            let texts = array.values().as_string_opt::<i32>()?;
            let text = (key < texts.len()).then(|| texts.value(key))?;
            (text.len() <= ONE_TEXT_MAX).then_some(Value::Text(text))
        }
        _ => None,
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
    use crate::tables::learned::LearnedRow;
    use crate::tables::row::Row;
    use arrow::util::pretty::pretty_format_batches;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::prelude::*;
    use std::fs::File;

    fn row(ts: i64, number: Option<u64>) -> LearnedRow {
        let (protocol, day) = ("p.1".into(), "2026-01-05".into());
        LearnedRow { capture_id: u64::MAX, ts, number, protocol, day, ..LearnedRow::default() }
    }

    fn written(directory: &Path, batches: &[Vec<LearnedRow>]) -> Vec<Unplaced> {
        let table = Table::named("learned").unwrap();
        let mut writer = TableWriter::new(table, directory, &Provenance::default());
        for rows in batches {
            writer.write(LearnedRow::to_batch(rows).unwrap()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(file: &Path) -> Vec<RecordBatch> {
        let file = File::open(file).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(Result::unwrap).collect()
    }

    fn column(file: &Path, name: &str) -> ColumnChunkMetaData {
        let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
        let group = reader.metadata().row_group(0);
        group.columns().iter().find(|c| c.column_path().string() == name).unwrap().clone()
    }

    #[test]
    fn rows_of_a_row_group_are_sorted_by_time() {
        let directory = tempfile::tempdir().unwrap();
        let rows = |times: [(i64, u64); 2]| times.map(|(ts, n)| row(ts, Some(n))).to_vec();
        let batches = [rows([(30, 0), (10, 1)]), rows([(20, 2), (10, 3)])];
        let finished = written(directory.path(), &batches);
        assert_eq!(finished.len(), 1);
        let segment = &finished[0].segment;
        assert_eq!(segment.time, Some(TimeRange { min_ns: 10, max_ns: 30 }));
        assert!(segment.sorted);
        let read = read(&finished[0].file).remove(0);
        let numbers = read.column_by_name("number").unwrap().as_primitive::<UInt64Type>();
        assert_eq!(numbers.values(), &[1, 3, 2, 0]);
    }

    #[test]
    fn columns_of_one_value_or_none_say_so() {
        let directory = tempfile::tempdir().unwrap();
        let batches = [vec![row(1, None), row(2, None)], vec![row(2, None)]];
        let finished = written(directory.path(), &batches);
        let file = &finished[0].file;
        let nulls = |name| column(file, name).statistics().unwrap().null_count_opt();
        assert_eq!((nulls("number"), nulls("text"), nulls("ts")), (Some(3), Some(3), Some(0)));
        let range = |name| {
            let column = column(file, name);
            let range = column.statistics().unwrap();
            (range.min_bytes_opt().unwrap().to_vec(), range.max_bytes_opt().unwrap().to_vec())
        };
        assert_eq!(range("capture_id"), (vec![255; 8], vec![255; 8]));
        assert_eq!(range("protocol"), (b"p.1".to_vec(), b"p.1".to_vec()));
        let group = &finished[0].segment.row_groups[0];
        assert_eq!((group.rows, group.time.unwrap().max_ns), (3, 2));
    }

    #[test]
    fn many_rows_are_several_row_groups() {
        let directory = tempfile::tempdir().unwrap();
        let batch: Vec<LearnedRow> = (0..4096).map(|ts| row(ts, Some(1))).collect();
        let finished = written(directory.path(), &vec![batch; 40]);
        let segment = &finished[0].segment;
        assert_eq!(segment.rows, 40 * 4096);
        assert_eq!(segment.row_groups.len(), 2);
        assert!(segment.row_groups.iter().all(|group| group.rows <= ROW_GROUP_ROWS as u64));
        assert!(!segment.sorted);
    }

    #[test]
    fn no_rows_no_segment() {
        let directory = tempfile::tempdir().unwrap();
        assert!(written(directory.path(), &[Vec::new()]).is_empty());
    }

    fn any_row() -> impl Strategy<Value = LearnedRow> {
        let numbers = (0..2u32, prop::option::of(0..2u32), prop::option::of(0..2u64));
        let text = || prop::option::of(prop::sample::select(vec!["", "ALFA", "BRVO"]));
        (0..4i64, numbers, text(), text(), 0..2u16).prop_map(
            |(ts, (scope, packet_ix, number), source, text, msg_ix)| LearnedRow {
                scope,
                packet_ix,
                source: source.map(Into::into),
                text: text.map(Into::into),
                msg_ix: packet_ix.map(|_| msg_ix),
                ..row(ts, number)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_rows_come_back_by_time(
            batches in prop::collection::vec(prop::collection::vec(any_row(), 1..5), 1..4),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let finished = written(directory.path(), &batches);
            let mut rows = batches.concat();
            rows.sort_by_key(|row| row.ts);
            let expected = [LearnedRow::to_batch(&rows).unwrap()];
            let found = read(&finished[0].file);
            prop_assert_eq!(found[0].schema(), expected[0].schema());
            let text = |batches: &[RecordBatch]| pretty_format_batches(batches).unwrap().to_string();
            prop_assert_eq!(text(&found), text(&expected));
        }
    }
}
