//! Column chunks. Most columns of `packets` need no encoder: rows of one value, of a few,
//! or without any.
//!
//! ```text
//! of_value    dictionary page │ data page: key 0, n times
//! of_values   dictionary page │ data page: keys, as few bits as they need
//! of_nulls    data page: level 0, n times
//! of_all      as the crate's own writer makes them
//! ```
//!
//! The crate's own writers look every value up, hash it and compare it; that was a third
//! of what sealing a small packet cost.

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::{ColumnCloseResult, get_column_writer, get_typed_column_writer};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use std::io::Write;

/// A value as Parquet stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// 32 bits, signed or not.
    I32(i32),
    /// 64 bits, signed or not.
    I64(i64),
    /// Text.
    Text(&'a str),
}

impl Value<'_> {
    /// As the encoding PLAIN has it.
    fn plain(self, out: &mut Vec<u8>) {
        match self {
            Self::I32(value) => out.extend(value.to_le_bytes()),
            Self::I64(value) => out.extend(value.to_le_bytes()),
            Self::Text(text) => {
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
    }

    /// As statistics have it.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::I32(value) => value.to_le_bytes().to_vec(),
            Self::I64(value) => value.to_le_bytes().to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
        }
    }
}

/// The statistics of rows between two values.
fn statistics(min: Value<'_>, max: Value<'_>) -> Option<Statistics> {
    match (min, max) {
        (Value::I32(min), Value::I32(max)) => {
            Some(Statistics::int32(Some(min), Some(max), None, Some(0), false))
        }
        (Value::I64(min), Value::I64(max)) => {
            Some(Statistics::int64(Some(min), Some(max), None, Some(0), false))
        }
        (Value::Text(min), Value::Text(max)) => {
            let (min, max) = (ByteArray::from(min), ByteArray::from(max));
            Some(Statistics::byte_array(Some(min), Some(max), None, Some(0), false))
        }
        _ => None,
    }
}

/// The statistics of rows without a value.
fn statistics_of_nulls(column: &ColumnDescPtr, rows: usize) -> Statistics {
    let nulls = Some(rows as u64);
    match column.physical_type() {
        Type::INT32 => Statistics::int32(None, None, None, nulls, false),
        Type::INT64 => Statistics::int64(None, None, None, nulls, false),
        Type::FLOAT => Statistics::float(None, None, None, nulls, false),
        Type::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
        Type::FIXED_LEN_BYTE_ARRAY => {
            Statistics::fixed_len_byte_array(None, None, None, nulls, false)
        }
        _ => Statistics::byte_array(None, None, None, nulls, false),
    }
}

/// A column of a row group, encoded.
#[derive(Clone)]
pub(crate) struct Chunk {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl Chunk {
    /// Writes it as the row group's next column.
    pub(crate) fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        group.append_column(&self.bytes, self.close)
    }

    /// Values of which each may be another, as the crate's own writer has them.
    pub(crate) fn of_all<T: DataType>(
        column: &ColumnDescPtr,
        properties: &WriterPropertiesPtr,
        values: &[T::T],
    ) -> Result<Self, ParquetError> {
        let mut out = TrackedWrite::new(Vec::new());
        let pages = Box::new(SerializedPageWriter::new(&mut out));
        let writer = get_column_writer(column.clone(), properties.clone(), pages);
        let mut writer = get_typed_column_writer::<T>(writer);
        writer.write_batch(values, None, None)?;
        let close = writer.close()?;
        Ok(Self { bytes: out.into_inner()?.into(), close })
    }

    /// The same rows as those of another column, of the same type.
    pub(crate) fn of_same(self, column: &ColumnDescPtr) -> Result<Self, ParquetError> {
        let Self { bytes, mut close } = self;
        let same = &close.metadata;
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(same.compression())
            .set_encodings_mask(*same.encodings_mask())
            .set_total_compressed_size(same.compressed_size())
            .set_total_uncompressed_size(same.uncompressed_size())
            .set_num_values(same.num_values())
            .set_data_page_offset(same.data_page_offset())
            .set_dictionary_page_offset(same.dictionary_page_offset());
        if let Some(statistics) = same.statistics() {
            metadata = metadata.set_statistics(statistics.clone());
        }
        if let Some(pages) = same.page_encoding_stats() {
            metadata = metadata.set_page_encoding_stats(pages.clone());
        }
        close.metadata = metadata.build()?;
        Ok(Self { bytes, close })
    }

    /// `rows` rows that all have `value`.
    pub(crate) fn of_value(
        column: &ColumnDescPtr,
        value: Value<'_>,
        rows: usize,
    ) -> Result<Self, ParquetError> {
        let mut keys = vec![1];
        run(rows, &mut keys);
        keys.push(0);
        Self::of_dictionary(column, &[value], rows, &keys)
    }

    /// Rows of a few values, in rising order: each row the place of its own.
    pub(crate) fn of_values(
        column: &ColumnDescPtr,
        values: &[Value<'_>],
        keys: &[u8],
    ) -> Result<Self, ParquetError> {
        let highest = values.len().saturating_sub(1) as u8;
        let width = (u8::BITS - highest.leading_zeros()).max(1) as u8;
        let mut packed = vec![width];
        bit_packed(keys, width, &mut packed);
        Self::of_dictionary(column, values, keys.len(), &packed)
    }

    fn of_dictionary(
        column: &ColumnDescPtr,
        values: &[Value<'_>],
        rows: usize,
        keys: &[u8],
    ) -> Result<Self, ParquetError> {
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Err(ParquetError::General("a dictionary without a value".to_owned()));
        };
        let mut dictionary = Vec::new();
        values.iter().for_each(|value| value.plain(&mut dictionary));
        let mut page = levels(column, rows, 1);
        page.extend_from_slice(keys);
        let mut pages = Pages::default();
        pages.dictionary(dictionary, values.len())?;
        let size = page.len();
        pages.data(page.into(), size, rows, Encoding::RLE_DICTIONARY)?;
        let index = column_index(column, false, min.bytes(), max.bytes(), 0)?;
        pages.close(column, Compression::UNCOMPRESSED, Some(index), statistics(min, max))
    }

    /// `rows` rows without a value.
    pub(crate) fn of_nulls(column: &ColumnDescPtr, rows: usize) -> Result<Self, ParquetError> {
        let page = levels(column, rows, 0);
        let mut pages = Pages::default();
        let size = page.len();
        pages.data(page.into(), size, rows, Encoding::PLAIN)?;
        let index = column_index(column, true, Vec::new(), Vec::new(), rows)?;
        let statistics = Some(statistics_of_nulls(column, rows));
        pages.close(column, Compression::UNCOMPRESSED, Some(index), statistics)
    }
}

/// What stands before the values of a page where a row may have none: whether all rows
/// have one (1) or none does (0).
fn levels(column: &ColumnDescPtr, rows: usize, level: u8) -> Vec<u8> {
    let mut page = Vec::new();
    if column.max_def_level() > 0 {
        let mut runs = Vec::new();
        run(rows, &mut runs);
        runs.push(level);
        page.extend((runs.len() as u32).to_le_bytes());
        page.extend(runs);
    }
    page
}

/// The head of a run of one value.
fn run(len: usize, out: &mut Vec<u8>) {
    varint((len as u64) << 1, out);
}

/// Keys of `width` bits, in one run; those behind the last are zeros.
fn bit_packed(keys: &[u8], width: u8, out: &mut Vec<u8>) {
    varint((keys.len().div_ceil(8) as u64) << 1 | 1, out);
    for eight in keys.chunks(8) {
        let bits = eight.iter().rev().fold(0u64, |bits, &key| bits << width | u64::from(key));
        out.extend(bits.to_le_bytes().iter().take(usize::from(width)));
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The index of a chunk of one page.
fn column_index(
    column: &ColumnDescPtr,
    is_null: bool,
    min: Vec<u8>,
    max: Vec<u8>,
    nulls: usize,
) -> Result<ColumnIndexMetaData, ParquetError> {
    let mut index = ColumnIndexBuilder::new(column.physical_type());
    index.append(is_null, min, max, nulls as i64);
    index.set_boundary_order(BoundaryOrder::ASCENDING);
    index.build()
}

/// The pages of a chunk, as they lie in the file.
pub(crate) struct Pages {
    out: TrackedWrite<Vec<u8>>,
    index: OffsetIndexBuilder,
    uncompressed: usize,
    rows: usize,
    first_data: Option<u64>,
    encodings: Vec<PageEncodingStats>,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            out: TrackedWrite::new(Vec::new()),
            index: OffsetIndexBuilder::new(),
            uncompressed: 0,
            rows: 0,
            first_data: None,
            encodings: Vec::new(),
        }
    }
}

impl Pages {
    fn dictionary(&mut self, values: Vec<u8>, count: usize) -> Result<(), ParquetError> {
        let (size, num_values) = (values.len(), count as u32);
        let (buf, encoding) = (values.into(), Encoding::PLAIN);
        let page = Page::DictionaryPage { buf, num_values, encoding, is_sorted: false };
        let page = CompressedPage::new(page, size);
        let spec = SerializedPageWriter::new(&mut self.out).write_page(page)?;
        self.uncompressed += spec.uncompressed_size;
        let page_type = PageType::DICTIONARY_PAGE;
        self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 });
        Ok(())
    }

    /// A page of `size` bytes before it was compressed.
    pub(crate) fn data(
        &mut self,
        buf: Bytes,
        size: usize,
        rows: usize,
        encoding: Encoding,
    ) -> Result<(), ParquetError> {
        let page = Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, size);
        let spec = SerializedPageWriter::new(&mut self.out).write_page(page)?;
        self.first_data = self.first_data.or(Some(spec.offset));
        self.uncompressed += spec.uncompressed_size;
        self.rows += rows;
        self.index.append_row_count(rows as i64);
        self.index.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        match self.encodings.last_mut().filter(|last| last.page_type == PageType::DATA_PAGE) {
            Some(last) => last.count += 1,
            None => {
                let page_type = PageType::DATA_PAGE;
                self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 });
            }
        }
        Ok(())
    }

    pub(crate) fn close(
        self,
        column: &ColumnDescPtr,
        compression: Compression,
        column_index: Option<ColumnIndexMetaData>,
        statistics: Option<Statistics>,
    ) -> Result<Chunk, ParquetError> {
        let bytes = self.out.bytes_written();
        let is_dictionary = |page: &&PageEncodingStats| page.page_type == PageType::DICTIONARY_PAGE;
        let has_dictionary = self.encodings.iter().any(|page| is_dictionary(&page));
        let encodings = self.encodings.iter().map(|page| page.encoding).chain([Encoding::RLE]);
        let mut metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(compression)
            .set_encodings(encodings.collect())
            .set_page_encoding_stats(self.encodings)
            .set_total_compressed_size(bytes as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(self.first_data.unwrap_or(0) as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0));
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index,
            offset_index: Some(self.index.build()),
        };
        Ok(Chunk { bytes: self.out.into_inner()?.into(), close })
    }
}
