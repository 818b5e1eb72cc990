//! Stored packets as a source, in the order in which they were captured.
//!
//! ```text
//! row group, sorted by ts    packet_ix 1 0 2 ──> packet_ix 0 1 2 ──> PacketBatch
//! ```
//!
//! Row groups follow each other in capture order and are sorted only within,
//! so one row group at a time is put back in order.

use crate::arrays::packets::{PacketRows, READ_COLUMNS};
use crate::error::StoreError;
use crate::segment::Segment;
use crate::segment::reader::SegmentReader;
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::source::{CaptureError, PacketSource, Progress, Warning};

/// Gives the packets of one capture.
pub struct StoredSource {
    groups: VecDeque<(PathBuf, usize)>,
    current: Option<RecordBatch>,
    next_row: usize,
}

impl StoredSource {
    /// The packets in `segments`, which are those of one capture in order,
    /// lying below `root`.
    pub fn new<'a>(root: &Path, segments: impl Iterator<Item = &'a Segment>) -> Self {
        let groups = segments.flat_map(|segment| {
            let path = root.join(&segment.path);
            segment.groups().map(move |group| (path.clone(), group))
        });
        Self { groups: groups.collect(), current: None, next_row: 0 }
    }

    /// The last packets of `segments`: at most so many, and of the last row group.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn last<'a>(
        root: &Path,
        segments: impl Iterator<Item = &'a Segment>,
        packets: usize,
    ) -> Result<Self, StoreError> {
        let mut source = Self::new(root, segments);
        source.groups = source.groups.pop_back().into_iter().collect();
        if let Some(group) = source.current()? {
            source.next_row = group.num_rows().saturating_sub(packets);
        }
        Ok(source)
    }

    /// The row group with rows left to give; `None` at the end.
    fn current(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        let left = |batch: &RecordBatch| self.next_row < batch.num_rows();
        if !self.current.as_ref().is_some_and(left) {
            self.next_row = 0;
            self.current = match self.groups.pop_front() {
                Some((path, group)) => Some(row_group(&path, group)?),
                None => None,
            };
        }
        Ok(self.current.clone())
    }

    fn fill(&mut self, batch: &mut PacketBatch) -> Result<Progress, StoreError> {
        while !batch.is_full() {
            let Some(current) = self.current()? else {
                return Ok(Progress::End);
            };
            let rows = PacketRows::new(&current).map_err(StoreError::rows("packets"))?;
            while self.next_row < rows.len() && !batch.is_full() {
                batch.push(rows.meta(self.next_row), rows.data(self.next_row));
                self.next_row += 1;
            }
        }
        Ok(Progress::More)
    }
}

/// The rows of a row group by `packet_ix`.
fn row_group(path: &Path, group: usize) -> Result<RecordBatch, StoreError> {
    let reader = SegmentReader::open(path, Some(READ_COLUMNS), Some(vec![group]))?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    let Some(first) = batches.first() else {
        let reason = format!("row group {group} is empty");
        return Err(StoreError::Damaged { path: path.to_owned(), reason });
    };
    let to_error = || StoreError::rows("packets");
    let all = concat_batches(&first.schema(), &batches).map_err(to_error())?;
    let rows = PacketRows::new(&all).map_err(to_error())?;
    if (0..rows.len()).is_sorted_by_key(|row| rows.packet_ix(row)) {
        return Ok(all);
    }
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    order.sort_by_key(|&row| rows.packet_ix(row as usize));
    take_record_batch(&all, &UInt32Array::from(order)).map_err(to_error())
}

impl PacketSource for StoredSource {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        self.fill(batch).map_err(|error| CaptureError::Format {
            name: "stored packets".to_owned(),
            offset: 0,
            reason: error.to_string(),
        })
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::packets::tests::{push, written};

    #[test]
    fn packets_come_in_capture_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut batch = PacketBatch::new();
        for ix in 0..10_000u32 {
            push(&mut batch, ix, i64::from(ix ^ 3), ix as usize % 100);
        }
        let mut copy = PacketBatch::new();
        copy.append(&batch);
        let mut finished = written(directory.path(), 1, vec![copy]);
        finished[0].segment.path = "packets-0.parquet".to_owned();

        let mut source = StoredSource::new(directory.path(), finished.iter().map(|f| &f.segment));
        let mut read = PacketBatch::new();
        let mut ix = 0;
        loop {
            let progress = source.next_batch(&mut read).unwrap();
            for packet in read.iter() {
                let wanted = batch.get(ix);
                assert_eq!((packet.meta, packet.data), (wanted.meta, wanted.data));
                ix += 1;
            }
            if progress == Progress::End {
                break;
            }
        }
        assert_eq!(ix, batch.len());
    }
}
