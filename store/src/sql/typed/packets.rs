//! Bytes of some packets of one capture.
//!
//! ```text
//! wanted 3 9 1200 ─> row groups that may hold them ─> only those rows of `data`
//! ```

use crate::catalog::Store;
use crate::error::StoreError;
use crate::segment::Segment;
use crate::segment::reader::range_u32;
use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt32Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use std::fs::File;
use std::path::PathBuf;

/// Packets read at a time: with the longest ones 64 MiB.
const READ_PACKETS: usize = 256;

/// The packets of one capture.
#[derive(Debug)]
pub(super) struct Packets {
    files: Vec<Stored>,
    /// The row group read last, and the packet of each of its rows.
    last: Option<((usize, usize), Vec<u32>)>,
}

#[derive(Debug)]
struct Stored {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// The capture's first row group in the file.
    first_group: usize,
    /// Lowest and highest packet of each of its row groups, where statistics say.
    groups: Vec<Option<(u32, u32)>>,
}

impl Packets {
    /// Those of a capture.
    pub fn of(store: &Store, capture_id: u64) -> Result<Self, StoreError> {
        let catalog = store.catalog()?;
        let import = catalog.import(capture_id).ok_or(StoreError::NoCapture { capture_id })?;
        if import.is_without_packets() {
            return Err(StoreError::NoPackets { capture_id });
        }
        let files = import.files_of("packets").map(|segment| Stored::open(store, segment));
        Ok(Self { files: files.collect::<Result<_, _>>()?, last: None })
    }

    /// Gives the bytes of the packets `wanted`, which are sorted.
    pub fn read(
        &mut self,
        wanted: &[u32],
        give: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), StoreError> {
        let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) else { return Ok(()) };
        for at in 0..self.files.len() {
            let groups = self.files.get(at).map_or(0, |file| file.groups.len());
            for group in 0..groups {
                let range = self.files.get(at).and_then(|file| *file.groups.get(group)?);
                let overlaps = range.is_none_or(|(low, high)| {
                    let from = wanted.partition_point(|&ix| ix < low);
                    low <= last && first <= high && wanted.get(from).is_some_and(|&ix| ix <= high)
                });
                if overlaps {
                    self.read_group(at, group, wanted, give)?;
                }
            }
        }
        Ok(())
    }

    fn read_group(
        &mut self,
        at: usize,
        group: usize,
        wanted: &[u32],
        give: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), StoreError> {
        let Some(file) = self.files.get(at) else { return Ok(()) };
        if self.last.as_ref().is_none_or(|(known, _)| *known != (at, group)) {
            self.last = Some(((at, group), file.packet_ix(group)?));
        }
        let rows = self.last.as_ref().map(|(_, rows)| rows.as_slice()).unwrap_or_default();
        let selected = rows.iter().map(|ix| wanted.binary_search(ix).is_ok());
        let (selection, count) = selection(selected);
        if count > 0 { file.data(group, selection, give) } else { Ok(()) }
    }
}

/// Runs of rows to read and to leave out, and how many are read.
fn selection(selected: impl Iterator<Item = bool>) -> (RowSelection, usize) {
    let mut runs: Vec<RowSelector> = Vec::new();
    let mut count = 0;
    for is_selected in selected {
        count += usize::from(is_selected);
        match runs.last_mut() {
            Some(run) if run.skip != is_selected => run.row_count += 1,
            _ if is_selected => runs.push(RowSelector::select(1)),
            _ => runs.push(RowSelector::skip(1)),
        }
    }
    (runs.into(), count)
}

impl Stored {
    fn open(store: &Store, segment: &Segment) -> Result<Self, StoreError> {
        let path = store.file(segment);
        let file = File::open(&path).map_err(StoreError::io(&path))?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata =
            ArrowReaderMetadata::load(&file, options).map_err(StoreError::segment(&path))?;
        let (all, own) = (metadata.metadata().row_groups(), segment.groups());
        let range = |number| all.get(number).and_then(|group| range_u32(group, "packet_ix"));
        let (first_group, groups) = (own.start, own.map(range).collect());
        Ok(Self { path, metadata, first_group, groups })
    }

    fn builder(
        &self,
        group: usize,
        columns: &[&str],
    ) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
        let file = File::open(&self.path).map_err(StoreError::io(&self.path))?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        Ok(builder.with_projection(mask).with_row_groups(vec![self.first_group + group]))
    }

    /// The packet of each row of a row group.
    fn packet_ix(&self, group: usize) -> Result<Vec<u32>, StoreError> {
        let builder = self.builder(group, &["packet_ix"])?;
        let reader = builder.build().map_err(StoreError::segment(&self.path))?;
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|error| self.damaged(error.to_string()))?;
            let column = batch.column(0).as_primitive_opt::<UInt32Type>();
            let column = column.ok_or_else(|| self.damaged("packet_ix is no number".to_owned()))?;
            rows.extend_from_slice(column.values());
        }
        Ok(rows)
    }

    /// Gives the bytes of the selected rows of a row group.
    fn data(
        &self,
        group: usize,
        selection: RowSelection,
        give: &mut dyn FnMut(u32, &[u8]),
    ) -> Result<(), StoreError> {
        let builder = self.builder(group, &["packet_ix", "data"])?;
        let builder = builder.with_row_selection(selection).with_batch_size(READ_PACKETS);
        for batch in builder.build().map_err(StoreError::segment(&self.path))? {
            let batch = batch.map_err(|error| self.damaged(error.to_string()))?;
            let packets = batch.column_by_name("packet_ix");
            let packets = packets.and_then(|column| column.as_primitive_opt::<UInt32Type>());
            let data =
                batch.column_by_name("data").and_then(|column| column.as_binary_opt::<i32>());
            let (Some(packets), Some(data)) = (packets, data) else {
                return Err(self.damaged("packet_ix or data is of another type".to_owned()));
            };
            for row in (0..batch.num_rows()).filter(|&row| data.is_valid(row)) {
                give(packets.value(row), data.value(row));
            }
        }
        Ok(())
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason }
    }
}
