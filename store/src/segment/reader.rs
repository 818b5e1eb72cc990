//! Reads segments back, whole or only some columns and row groups.

use crate::error::StoreError;
use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows of one batch that a reader gives.
pub const READ_ROWS: usize = 8192;

/// Gives the rows of a segment in batches.
pub struct SegmentReader {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl SegmentReader {
    /// Opens a segment. `columns` and `row_groups` name what is wanted; `None`
    /// is all.
    ///
    /// # Errors
    /// Where the file is missing or damaged.
    pub fn open(
        path: &Path,
        columns: Option<&[&str]>,
        row_groups: Option<Vec<usize>>,
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
