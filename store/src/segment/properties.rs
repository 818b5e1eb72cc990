//! How each type of column is encoded.
//!
//! Payload does not repeat enough for a dictionary, and statistics on it are of no use.
//! Columns of one value or none need none of this ([`chunk`](super::chunk)).

use crate::tables::Table;
use crate::tables::column::{Column, ColumnType};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Columns of numbers that nearly always count up: differences are small.
const COUNTING: &[&str] = &[
    "packet_ix",
    "from_packet_ix",
    "to_packet_ix",
    "seq",
    "order_id",
    "orig_order_id",
    "match_id",
];

/// Columns of hashes: every value another.
const HASHES: &[&str] = &["link_id"];

/// Columns by which one thing of very many is asked for: a filter a row group
/// says where it may be, for so many different values.
const ASKED_FOR: &[&str] = &["lineage_id"];
const ASKED_FOR_VALUES: u64 = 1 << 14;

/// What is said of a segment in its own key-value metadata.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Hash of the configuration it was made with.
    pub config_hash: String,
    /// What it was made from, as text: a capture or "correlation".
    pub made_from: String,
}

/// Writer properties of a table's segments.
pub fn writer_properties(table: &Table, provenance: &Provenance) -> WriterProperties {
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let sorting = table.time_index().map(|index| {
        vec![SortingColumn { column_idx: index as i32, descending: false, nulls_first: false }]
    });
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by(concat!("taptrail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(key_values(table, provenance)))
        .set_sorting_columns(sorting);
    for column in table.columns {
        let path = ColumnPath::from(column.name);
        builder = match encoding(column) {
            Coding::Dictionary => builder.set_column_dictionary_enabled(path, true),
            Coding::Delta => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Coding::Plain => builder.set_column_dictionary_enabled(path, false),
            Coding::Payload => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
        };
        if ASKED_FOR.contains(&column.name) {
            let path = ColumnPath::from(column.name);
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_max_ndv(path, ASKED_FOR_VALUES);
        }
    }
    builder.build()
}

enum Coding {
    Dictionary,
    Delta,
    Plain,
    Payload,
}

fn encoding(column: &Column) -> Coding {
    match column.kind {
        ColumnType::Time => Coding::Delta,
        _ if COUNTING.contains(&column.name) => Coding::Delta,
        ColumnType::I64 => Coding::Delta,
        _ if HASHES.contains(&column.name) => Coding::Plain,
        ColumnType::Text | ColumnType::Bool => Coding::Plain,
        ColumnType::Bytes => Coding::Payload,
        ColumnType::U64
        | ColumnType::U32
        | ColumnType::U16
        | ColumnType::F32
        | ColumnType::Decimal
        | ColumnType::Name => Coding::Dictionary,
    }
}

fn key_values(table: &Table, provenance: &Provenance) -> Vec<KeyValue> {
    let pair = |key: &str, value: String| KeyValue::new(format!("taptrail.{key}"), value);
    vec![
        pair("format", crate::catalog::FORMAT_VERSION.to_string()),
        pair("version", env!("CARGO_PKG_VERSION").to_owned()),
        pair("table", table.name.to_owned()),
        pair("made_from", provenance.made_from.clone()),
        pair("config", provenance.config_hash.clone()),
    ]
}
