//! Segments: sealed, immutable Parquet files.
//!
//! ```text
//! <store>/tmp/<import>/packets-0.parquet          being written
//!    │ finish, fsync
//!    ▼ rename
//! <store>/packets/point=P1/date=2026-03-02/hour=14/00c0ffee00c0ffee-0.parquet
//!    row group 0   131072 rows, sorted by ts
//!    row group 1   ..
//!    key-value     format, version, table, capture, config, sorted
//! ```

pub mod partition;
pub mod properties;
pub mod reader;
pub mod source;
pub mod writer;

use serde::{Deserialize, Serialize};

/// A range of times, both ends in it, ns since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Earliest.
    pub min_ns: i64,
    /// Latest.
    pub max_ns: i64,
}

impl TimeRange {
    /// The range of both.
    pub fn union(self, other: Self) -> Self {
        Self { min_ns: self.min_ns.min(other.min_ns), max_ns: self.max_ns.max(other.max_ns) }
    }
}

/// A row group of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowGroup {
    /// Rows.
    pub rows: u64,
    /// Times of its rows, where the table has them.
    pub time: Option<TimeRange>,
}

/// A segment as its manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The table.
    pub table: String,
    /// Path below the store, with `/`.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Times of its rows, where the table has them.
    pub time: Option<TimeRange>,
    /// Whether its rows are in order of time from its first to its last.
    pub sorted: bool,
    /// Its row groups, in order.
    pub row_groups: Vec<RowGroup>,
}
