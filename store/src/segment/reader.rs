//! Reads segments back, whole or only some columns and row groups.

use crate::catalog::Store;
use crate::error::StoreError;
use crate::segment::Segment;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::path::{Path, PathBuf};

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
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
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
        Ok(Self { path: path.to_owned(), reader })
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
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
