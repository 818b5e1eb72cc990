//! The files of a table's segments, a row group at a time.
//!
//! ```text
//! row group ─▶ column, column, … ─▶ <table>-0.parquet ── full ─▶ <table>-1.parquet
//! ```

use crate::error::StoreError;
use crate::segment::properties::{Provenance, writer_properties};
use crate::segment::{RowGroup, Segment, TimeRange};
use crate::tables::Table;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A segment with this many rows is full.
pub const SEGMENT_ROWS: u64 = 4 << 20;

/// A segment of this many bytes on disk is full.
pub const SEGMENT_BYTES: usize = 256 << 20;

/// Bytes written at once.
const OUTPUT_BYTES: usize = 256 << 10;

/// A finished segment that has not got its final name yet.
#[derive(Debug)]
pub struct Unplaced {
    /// Where it lies.
    pub file: PathBuf,
    /// What it holds; its `path` is still empty.
    pub segment: Segment,
}

/// Segments of one table, one open at a time.
pub(crate) struct SegmentFiles {
    table: &'static Table,
    directory: PathBuf,
    properties: WriterProperties,
    open: Option<OpenSegment>,
    finished: Vec<Unplaced>,
    /// Whether they are to outlive a power cut.
    pub(crate) synced: bool,
}

/// A row group being written; its columns come in the table's order.
pub(crate) struct GroupWriter<'a> {
    pub(crate) out: SerializedRowGroupWriter<'a, BufWriter<File>>,
    pub(crate) columns: &'a [ColumnDescPtr],
    pub(crate) properties: &'a WriterPropertiesPtr,
    arrow: &'a ArrowRowGroupWriterFactory,
    number: usize,
}

impl GroupWriter<'_> {
    /// Writers of Arrow arrays, for each column one.
    pub(crate) fn arrow(&self) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
        self.arrow.create_column_writers(self.number)
    }
}

struct OpenSegment {
    file: PathBuf,
    out: SerializedFileWriter<BufWriter<File>>,
    columns: Vec<ColumnDescPtr>,
    arrow: ArrowRowGroupWriterFactory,
    row_groups: Vec<RowGroup>,
    sorted: bool,
}

impl SegmentFiles {
    pub(crate) fn new(table: &'static Table, directory: &Path, provenance: &Provenance) -> Self {
        Self {
            table,
            directory: directory.to_owned(),
            properties: writer_properties(table, provenance),
            open: None,
            finished: Vec::new(),
            synced: true,
        }
    }

    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    /// Adds a row group, whose columns `write` writes.
    pub(crate) fn row_group(
        &mut self,
        group: RowGroup,
        write: impl FnOnce(&mut GroupWriter<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), StoreError> {
        let open = self.open_segment()?;
        open.row_group(group, write)?;
        if open.is_full() { self.seal() } else { Ok(()) }
    }

    /// The segments in order; none where there was no row.
    pub(crate) fn finish(mut self) -> Result<Vec<Unplaced>, StoreError> {
        self.seal()?;
        Ok(self.finished)
    }

    fn open_segment(&mut self) -> Result<&mut OpenSegment, StoreError> {
        if self.open.is_none() {
            let name = format!("{}-{}.parquet", self.table.name, self.finished.len());
            let file = self.directory.join(name);
            self.open = Some(OpenSegment::create(file, self.table, self.properties.clone())?);
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
    fn create(
        file: PathBuf,
        table: &Table,
        properties: WriterProperties,
    ) -> Result<Self, StoreError> {
        let out = File::create(&file).map_err(StoreError::io(&file))?;
        let out = BufWriter::with_capacity(OUTPUT_BYTES, out);
        let writer = ArrowWriter::try_new(out, table.schema(), Some(properties));
        let (out, arrow) = writer
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(StoreError::segment(&file))?;
        let columns = out.schema_descr().columns().to_vec();
        Ok(Self { file, out, columns, arrow, row_groups: Vec::new(), sorted: true })
    }

    fn row_group(
        &mut self,
        group: RowGroup,
        write: impl FnOnce(&mut GroupWriter<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), StoreError> {
        self.try_row_group(write).map_err(StoreError::segment(&self.file))?;
        let before = self.row_groups.last().and_then(|group| group.time);
        if let (Some(before), Some(time)) = (before, group.time) {
            self.sorted &= before.max_ns <= time.min_ns;
        }
        self.row_groups.push(group);
        Ok(())
    }

    fn try_row_group(
        &mut self,
        write: impl FnOnce(&mut GroupWriter<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let properties = self.out.properties().clone();
        let number = self.row_groups.len();
        let mut group = GroupWriter {
            out: self.out.next_row_group()?,
            columns: &self.columns,
            properties: &properties,
            arrow: &self.arrow,
            number,
        };
        write(&mut group)?;
        group.out.close().map(|_| ())
    }

    fn is_full(&self) -> bool {
        let rows: u64 = self.row_groups.iter().map(|group| group.rows).sum();
        rows >= SEGMENT_ROWS || self.out.bytes_written() >= SEGMENT_BYTES
    }

    fn seal(mut self, table: &str, synced: bool) -> Result<Unplaced, StoreError> {
        let sorted = if self.sorted { "segment" } else { "row group" };
        let pair = KeyValue::new("taptrail.sorted".to_owned(), sorted.to_owned());
        self.out.append_key_value_metadata(pair);
        let output = self.out.into_inner().map_err(StoreError::segment(&self.file))?;
        let output =
            output.into_inner().map_err(|error| StoreError::io(&self.file)(error.into_error()))?;
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
