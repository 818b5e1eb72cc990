//! The captured bytes of a row group, compressed while they are at hand.
//!
//! ```text
//! batch: length, bytes, length, bytes, … ─▶ zstd ─▶ page │ page │ … ─▶ column `data`
//!                                                    └─ not in order of time? unpacked and sorted
//! ```
//!
//! That is how Parquet wants bytes, so that pages are compressed from where the reader
//! of the capture put them, which the processor's own cache still has.

use crate::segment::chunk::{Chunk, Pages};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use std::io;
use taptrail_capture::packet::PacketBatch;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Level of compression.
const ZSTD_LEVEL: i32 = 1;

/// Places that are remembered, as a power of two: as many as fit into a processor's
/// first-level cache. A seventh faster on feeds than what the level has, and no larger.
const HASH_LOG: u32 = 12;

/// Bytes of a page, before they are compressed.
const PAGE_BYTES: usize = 1 << 20;

/// A row group whose first page keeps more of its size, in hundredths, is stored as it is.
const WORTH_COMPRESSING: usize = 95;

/// Bytes of a record's length.
const LENGTH: usize = size_of::<u32>();

/// Records of a row group.
pub(crate) struct Records {
    compressor: Compressor<'static>,
    /// What a page becomes, before it is kept.
    packed: Vec<u8>,
    pages: Vec<Page>,
    /// How all pages of the row group are kept; `None` before the first.
    kept: Option<Kept>,
    /// Whether those of the last row group had to be sorted, as these will have to be.
    disordered: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Packed,
    Plain,
    /// Packed once they are sorted.
    Unsorted,
}

struct Page {
    bytes: Bytes,
    /// Bytes before they were compressed.
    size: usize,
    rows: usize,
}

impl Records {
    /// # Errors
    /// Where there is no memory to compress with.
    pub(crate) fn new() -> io::Result<Self> {
        let mut compressor = Compressor::new(ZSTD_LEVEL)?;
        compressor.set_parameter(CParameter::HashLog(HASH_LOG))?;
        Ok(Self {
            compressor,
            packed: Vec::new(),
            pages: Vec::new(),
            kept: None,
            disordered: false,
        })
    }

    /// Adds a batch's packets.
    pub(crate) fn add(&mut self, batch: &PacketBatch) -> Result<(), ParquetError> {
        if self.disordered {
            self.kept = Some(Kept::Unsorted);
        }
        let (records, ends) = batch.records();
        self.add_records(records, ends)
    }

    fn add_records(&mut self, records: &[u8], ends: &[usize]) -> Result<(), ParquetError> {
        for (page, rows) in cut(records, ends) {
            let bytes = self.keep(page)?;
            self.pages.push(Page { bytes, size: page.len(), rows });
        }
        Ok(())
    }

    fn keep(&mut self, page: &[u8]) -> Result<Bytes, ParquetError> {
        if matches!(self.kept, Some(Kept::Plain | Kept::Unsorted)) {
            return Ok(Bytes::copy_from_slice(page));
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(page.len()));
        self.compressor.compress_to_buffer(page, &mut self.packed)?;
        let worth = self.packed.len() < page.len() / 100 * WORTH_COMPRESSING;
        if *self.kept.insert(self.kept.unwrap_or(if worth { Kept::Packed } else { Kept::Plain }))
            == Kept::Plain
        {
            return Ok(Bytes::copy_from_slice(page));
        }
        Ok(Bytes::copy_from_slice(&self.packed))
    }

    /// Brings the rows into this order, of each of which the length is known.
    pub(crate) fn sort(
        &mut self,
        order: &[u32],
        lens: impl Iterator<Item = u32>,
    ) -> Result<(), ParquetError> {
        let all = self.unpacked()?;
        let (mut ends, mut end) = (Vec::with_capacity(order.len()), 0);
        let mut rest = all.as_slice();
        let records: Vec<&[u8]> = lens
            .map_while(|len| {
                let (record, behind) = rest.split_at_checked(LENGTH + len as usize)?;
                rest = behind;
                Some(record)
            })
            .collect();
        let mut sorted = Vec::with_capacity(all.len());
        for &row in order {
            let record = records.get(row as usize).copied().unwrap_or_default();
            sorted.extend_from_slice(record);
            end += record.len();
            ends.push(end);
        }
        self.add_records(&sorted, &ends)
    }

    /// All records as they were added; then there are none.
    fn unpacked(&mut self) -> Result<Vec<u8>, ParquetError> {
        let mut all = Vec::with_capacity(self.pages.iter().map(|page| page.size).sum());
        let mut unpack = Decompressor::new()?;
        let packed = self.kept.take() == Some(Kept::Packed);
        for page in self.pages.drain(..) {
            if packed {
                all.extend(unpack.decompress(&page.bytes, page.size)?);
            } else {
                all.extend_from_slice(&page.bytes);
            }
        }
        Ok(all)
    }

    /// The column; the next row group begins. `sorted`: whether its rows had to be.
    pub(crate) fn take(
        &mut self,
        column: &ColumnDescPtr,
        sorted: bool,
    ) -> Result<Chunk, ParquetError> {
        if self.kept == Some(Kept::Unsorted) {
            // They were in order after all.
            let pages = std::mem::take(&mut self.pages);
            self.kept = None;
            for Page { bytes, size, rows } in pages {
                let bytes = self.keep(&bytes)?;
                self.pages.push(Page { bytes, size, rows });
            }
        }
        self.disordered = sorted;
        let compression = match self.kept.take() {
            Some(Kept::Plain) => Compression::UNCOMPRESSED,
            _ => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        };
        let mut pages = Pages::default();
        for Page { bytes, size, rows } in self.pages.drain(..) {
            pages.data(bytes, size, rows, Encoding::PLAIN)?;
        }
        pages.close(column, compression, None, None)
    }
}

/// Records as pages, each with its rows.
fn cut<'a>(records: &'a [u8], ends: &'a [usize]) -> impl Iterator<Item = (&'a [u8], usize)> {
    let (mut start, mut left) = (0, ends);
    std::iter::from_fn(move || {
        // The one that reaches the size is the last, as in a batch.
        let short = left.partition_point(|&end| end < start + PAGE_BYTES);
        let (rows, rest) = left.split_at_checked(short + 1).unwrap_or((left, &[]));
        let end = *rows.last()?;
        let page = records.get(start..end)?;
        (start, left) = (end, rest);
        Some((page, rows.len()))
    })
}
