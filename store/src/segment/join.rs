//! Several segments in one file, their row groups byte for byte as they are.
//!
//! ```text
//! a.parquet  │ 0 │ 1 │ footer ┐
//! b.parquet  │ 0 │ footer     ├─▶ │ a 0 │ a 1 │ b 0 │ c 4 │ footer
//! c.parquet  │ … │ 4 │ footer ┘
//! ```
//!
//! Nothing is decoded: column chunks are copied, with their statistics, filters and
//! page indexes, and only the footer is new.

use crate::error::StoreError;
use crate::segment::Segment;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment and where its file lies.
pub(crate) type Source<'a> = (PathBuf, &'a Segment);

/// Writes the segments' row groups one after the other into a new file, synced;
/// gives the bytes of each segment's share and of the file. Segments with other
/// columns than the first (those of another version) are left out: `None`.
///
/// # Errors
/// Where a file cannot be read or written.
pub(crate) fn join(
    sources: &[Source<'_>],
    to: &Path,
) -> Result<(Vec<Option<u64>>, u64), StoreError> {
    let mut joined: Option<Joined> = None;
    let mut shares = Vec::new();
    for (path, segment) in sources {
        let input = Input::open(path)?;
        let joined = match &mut joined {
            Some(joined) => joined,
            none => none.insert(Joined::create(&input, to)?),
        };
        let fits = input.schema() == joined.schema;
        shares.push(if fits { Some(joined.add(&input, segment)?) } else { None });
    }
    match joined {
        Some(joined) => Ok((shares, joined.close(to)?)),
        None => Ok((shares, 0)),
    }
}

/// A file to copy from.
struct Input {
    path: PathBuf,
    file: File,
    metadata: ParquetMetaData,
}

impl Input {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = reader.parse_and_finish(&file).map_err(StoreError::segment(path))?;
        Ok(Self { path: path.to_owned(), file, metadata })
    }

    fn schema(&self) -> TypePtr {
        self.metadata.file_metadata().schema_descr().root_schema_ptr()
    }

    /// What the joined file says of itself: what this one does, but its origin.
    fn key_values(&self) -> Vec<KeyValue> {
        let known = self.metadata.file_metadata().key_value_metadata().cloned();
        let mut pairs = known.unwrap_or_default();
        for pair in &mut pairs {
            match pair.key.as_str() {
                "taptrail.made_from" => pair.value = Some("compaction".to_owned()),
                "taptrail.sorted" => pair.value = Some("row group".to_owned()),
                _ => {}
            }
        }
        pairs
    }
}

/// The file being written.
struct Joined {
    schema: TypePtr,
    writer: SerializedFileWriter<File>,
}

impl Joined {
    fn create(first: &Input, to: &Path) -> Result<Self, StoreError> {
        let file = File::create(to).map_err(StoreError::io(to))?;
        let schema = first.schema();
        let sorting = first.metadata.row_groups().first().and_then(|g| g.sorting_columns());
        let properties = WriterProperties::builder()
            .set_created_by(concat!("taptrail ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(first.key_values()))
            .set_sorting_columns(sorting.cloned())
            .build();
        let writer = SerializedFileWriter::new(file, Arc::clone(&schema), Arc::new(properties));
        Ok(Self { schema, writer: writer.map_err(StoreError::segment(to))? })
    }

    /// Copies the segment's row groups; gives their bytes.
    fn add(&mut self, input: &Input, segment: &Segment) -> Result<u64, StoreError> {
        let mut bytes = 0_u64;
        for number in segment.groups() {
            let copied = self.copy(input, number).map_err(StoreError::segment(&input.path))?;
            bytes = bytes.saturating_add(copied);
        }
        Ok(bytes)
    }

    fn copy(&mut self, input: &Input, number: usize) -> Result<u64, ParquetError> {
        let missing = || ParquetError::General(format!("has no row group {number}"));
        let group = input.metadata.row_groups().get(number).ok_or_else(missing)?;
        let columns = input.metadata.column_index().and_then(|index| index.get(number));
        let offsets = input.metadata.offset_index().and_then(|index| index.get(number));
        let mut out = self.writer.next_row_group()?;
        let mut bytes = 0;
        for (at, column) in group.columns().iter().enumerate() {
            let chunk = ColumnCloseResult {
                bytes_written: column.compressed_size().cast_unsigned(),
                rows_written: group.num_rows().cast_unsigned(),
                metadata: column.clone(),
                bloom_filter: Sbbf::read_from_column_chunk(column, &input.file)?,
                column_index: columns.and_then(|columns| columns.get(at)).cloned(),
                offset_index: offsets.and_then(|offsets| offsets.get(at)).cloned(),
            };
            bytes += chunk.bytes_written;
            out.append_column(&input.file, chunk)?;
        }
        out.close()?;
        Ok(bytes)
    }

    fn close(self, to: &Path) -> Result<u64, StoreError> {
        let file = self.writer.into_inner().map_err(StoreError::segment(to))?;
        file.sync_all().map_err(StoreError::io(to))?;
        Ok(file.metadata().map_err(StoreError::io(to))?.len())
    }
}
