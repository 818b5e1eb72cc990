//! Reads segments back, whole or only some columns and row groups.

use crate::catalog::Store;
use crate::error::StoreError;
use crate::segment::Segment;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// Rows of one batch that a reader gives.
pub const READ_ROWS: usize = 8192;

/// Which rows are wanted: some columns of theirs, and what tells by them.
pub struct Wanted {
    /// Names of columns.
    pub columns: &'static [&'static str],
    /// Takes batches of these columns.
    pub test: RowTest,
}

/// Says for each row of a batch whether it is wanted.
pub type RowTest = Box<dyn Fn(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send>;

/// Gives the rows of a segment in batches.
pub struct SegmentReader {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    empty: Option<Empty>,
}

/// Wanted columns that have no value in the row groups that are read: most of a
/// feed's. They are not read but made.
struct Empty {
    /// Of all wanted columns.
    schema: SchemaRef,
    columns: Vec<(String, ArrayRef)>,
}

impl Empty {
    /// Those of `names` without a value in any of `groups`.
    fn of(schema: &Schema, names: &[&str], groups: &[&RowGroupMetaData]) -> Option<Self> {
        let named = |field: &&FieldRef| names.contains(&field.name().as_str());
        let wanted: Vec<FieldRef> = schema.fields().iter().filter(named).cloned().collect();
        let has_none = |field: &&FieldRef| {
            field.is_nullable() && groups.iter().all(|group| is_null(group, field.name()))
        };
        let empty = wanted.iter().filter(has_none);
        let columns: Vec<(String, ArrayRef)> = empty
            .map(|field| (field.name().clone(), new_null_array(field.data_type(), READ_ROWS)))
            .collect();
        // Without a column that is read nobody knows how many rows there are.
        let some = !columns.is_empty() && columns.len() < wanted.len() && !groups.is_empty();
        some.then(|| Self { schema: Arc::new(Schema::new(wanted)), columns })
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(empty, _)| empty == name)
    }

    /// The batch with the columns that were not read.
    fn complete(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |field: &FieldRef| {
            let made = self.columns.iter().find(|(name, _)| name == field.name());
            let made = made.map(|(_, nulls)| nulls.slice(0, batch.num_rows()));
            made.or_else(|| batch.column_by_name(field.name()).cloned())
        };
        let columns = self.schema.fields().iter().filter_map(column).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// Whether a column has no value in a row group, as its statistics say.
fn is_null(group: &RowGroupMetaData, column: &str) -> bool {
    let found = group.columns().iter().find(|chunk| chunk.column_path().string() == column);
    let nulls = found.and_then(|chunk| chunk.statistics()?.null_count_opt());
    nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows()))
}

impl SegmentReader {
    /// Opens a segment of a store; `None` is all columns.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(
        store: &Store,
        segment: &Segment,
        columns: Option<&[&str]>,
    ) -> Result<Self, StoreError> {
        Self::open(&store.file(segment), columns, segment.groups_in_file())
    }

    /// Opens a file of segments. `columns` and `row_groups` name what is wanted;
    /// `None` is all.
    ///
    /// # Errors
    /// Where the file is missing or damaged.
    pub fn open(
        path: &Path,
        columns: Option<&[&str]>,
        row_groups: Option<Vec<usize>>,
    ) -> Result<Self, StoreError> {
        Self::open_where(path, columns, row_groups, None)
    }

    /// The same; of the rows only those that are wanted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_where(
        path: &Path,
        columns: Option<&[&str]>,
        row_groups: Option<Vec<usize>>,
        wanted: Option<Wanted>,
    ) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(StoreError::segment(path))?
            .with_batch_size(READ_ROWS);
        let mut empty = None;
        if let Some(columns) = columns {
            let all = builder.metadata().row_groups();
            let chosen = row_groups.as_ref().map_or_else(
                || all.iter().collect(),
                |numbers| numbers.iter().filter_map(|&number| all.get(number)).collect(),
            );
            let groups: Vec<&RowGroupMetaData> = chosen;
            empty = Empty::of(builder.schema(), columns, &groups);
            let is_read = |name: &&str| !empty.as_ref().is_some_and(|empty| empty.has(name));
            let read = columns.iter().copied().filter(is_read);
            let mask = ProjectionMask::columns(builder.parquet_schema(), read);
            builder = builder.with_projection(mask);
        }
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups);
        }
        if let Some(Wanted { columns, test }) = wanted {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            let predicate = ArrowPredicateFn::new(mask, move |batch| test(&batch));
            builder = builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)]));
        }
        let reader = builder.build().map_err(StoreError::segment(path))?;
        Ok(Self { path: path.to_owned(), reader, empty })
    }

    /// Reads ahead in a thread of its own, a batch.
    pub fn ahead(self) -> ReadAhead {
        let running = RUNNING.fetch_add(1, Ordering::Relaxed);
        if running >= AHEAD_MAX {
            RUNNING.fetch_sub(1, Ordering::Relaxed);
            return ReadAhead::Here(Box::new(self));
        }
        let (give, batches) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let _running = Running;
            for batch in self {
                if give.send(batch).is_err() {
                    break;
                }
            }
        });
        ReadAhead::Thread(batches, Some(thread))
    }
}

/// Most segments that are read ahead at once; others are read when asked.
pub const AHEAD_MAX: usize = 64;

/// Segments that are read ahead now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// One of them, as long as it lives.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives the batches of a segment, most of which are ready when they are asked for.
pub enum ReadAhead {
    /// Read by a thread.
    Thread(mpsc::Receiver<Result<RecordBatch, StoreError>>, Option<JoinHandle<()>>),
    /// Read when asked.
    Here(Box<SegmentReader>),
}

impl Iterator for ReadAhead {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Thread(batches, thread) => {
                let batch = batches.recv().ok();
                // Where the thread has failed, the segment has not ended.
                if batch.is_none()
                    && let Some(Err(panic)) = thread.take().map(JoinHandle::join)
                {
                    std::panic::resume_unwind(panic);
                }
                batch
            }
            Self::Here(reader) => reader.next(),
        }
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        let batch = batch.and_then(|batch| match &self.empty {
            Some(empty) => empty.complete(&batch),
            None => Ok(batch),
        });
        Some(
            batch.map_err(|error| StoreError::Segment {
                path: self.path.clone(),
                error: error.into(),
            }),
        )
    }
}

/// The row groups of a segment in `path` in which a column of unsigned 32-bit
/// numbers may hold `value`, by their statistics.
///
/// # Errors
/// Where the file is missing or damaged.
pub fn row_groups_with(
    path: &Path,
    segment: &Segment,
    column: &str,
    value: u32,
) -> Result<Vec<usize>, StoreError> {
    let file = File::open(path).map_err(StoreError::io(path))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(StoreError::segment(path))?;
    let may_hold = |group: &RowGroupMetaData| {
        range_u32(group, column).is_none_or(|(low, high)| (low..=high).contains(&value))
    };
    let all = builder.metadata().row_groups();
    let wanted = segment.groups().filter(|&number| all.get(number).is_some_and(may_hold));
    Ok(wanted.collect())
}

/// Lowest and highest value of a column of unsigned 32-bit numbers in a row
/// group, where its statistics say.
pub(crate) fn range_u32(group: &RowGroupMetaData, column: &str) -> Option<(u32, u32)> {
    let found = group.columns().iter().find(|chunk| chunk.column_path().string() == column);
    match found.and_then(|chunk| chunk.statistics()) {
        // Unsigned 32-bit numbers are stored as signed ones with the same bits.
        Some(Statistics::Int32(range)) => {
            Some((*range.min_opt()? as u32, *range.max_opt()? as u32))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::properties::Provenance;
    use crate::segment::writer::TableWriter;
    use crate::tables::Table;
    use crate::tables::losses::LossRow;
    use crate::tables::row::Row;

    const NAMES: &[&str] = &["point", "session", "count", "line"];

    /// A file of losses of this session, all without a count.
    fn segment(directory: &Path, session: Option<&str>) -> PathBuf {
        let loss = LossRow { session: session.map(Arc::from), ..LossRow::default() };
        let rows = vec![LossRow { line: Some("A".into()), ..loss.clone() }, loss];
        let table = Table::named("losses").unwrap();
        let mut writer = TableWriter::new(table, directory, &Provenance::default());
        writer.write(LossRow::to_batch(&rows).unwrap()).unwrap();
        writer.finish().unwrap().remove(0).file
    }

    #[test]
    fn columns_without_a_value_are_made_as_they_would_be_read() {
        let directory = tempfile::tempdir().unwrap();
        for session in [None, Some("S1")] {
            let file = segment(directory.path(), session);
            let named = SegmentReader::open(&file, Some(NAMES), None).unwrap();
            assert_eq!(
                named.empty.as_ref().map(|empty| empty.has("session")),
                Some(session.is_none())
            );
            let named = named.ahead().next().unwrap().unwrap();
            let whole = SegmentReader::open(&file, None, None).unwrap().next().unwrap().unwrap();
            assert_eq!((named.num_rows(), named.num_columns()), (2, NAMES.len()));
            for name in NAMES {
                assert_eq!(named.column_by_name(name), whole.column_by_name(name), "{name}");
            }
        }
    }

    #[test]
    fn rows_are_counted_where_no_column_has_a_value() {
        let directory = tempfile::tempdir().unwrap();
        let file = segment(directory.path(), None);
        let batch = SegmentReader::open(&file, Some(&["session", "count"]), None).unwrap().next();
        assert_eq!(batch.unwrap().unwrap().num_rows(), 2);
    }
}
