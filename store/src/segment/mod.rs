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
//!
//! Compaction puts many small segments into one file; each is then some row groups
//! of it ([`Part`]).

pub(crate) mod chunk;
mod few;
pub mod file;
pub(crate) mod join;
pub mod packets;
pub mod partition;
pub mod properties;
pub mod reader;
mod records;
pub mod source;
pub mod writer;

use serde::{Deserialize, Serialize};
use std::ops::Range;

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
    /// Size of the file, or of its share of one.
    pub bytes: u64,
    /// Times of its rows, where the table has them.
    pub time: Option<TimeRange>,
    /// Whether its rows are in order of time from its first to its last.
    pub sorted: bool,
    /// Its row groups, in order.
    pub row_groups: Vec<RowGroup>,
    /// Its place in a file of several segments; `None`: the file is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// A segment's place in a file that it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which of the file's row groups is its first.
    pub first_group: usize,
    /// Row groups of the file.
    pub groups_of_file: usize,
    /// Size of the file.
    pub file_bytes: u64,
    /// When the segment first got a place on disk, by the system's clock, ns since
    /// the epoch, where it is known.
    pub placed_ns: Option<i64>,
}

impl Segment {
    /// The numbers of its row groups in its file.
    pub fn groups(&self) -> Range<usize> {
        let first = self.part.map_or(0, |part| part.first_group);
        first..first.saturating_add(self.row_groups.len())
    }

    /// The row groups to read of its file; `None` where the file is its own.
    pub fn groups_in_file(&self) -> Option<Vec<usize>> {
        self.part.map(|_| self.groups().collect())
    }

    /// Parts whose rows are in order of time, as row groups to read of its file, with
    /// the times of their rows: the segment whole, else each of its row groups.
    pub fn in_order(&self) -> Vec<(Option<Vec<usize>>, Option<TimeRange>)> {
        if self.sorted {
            return vec![(self.groups_in_file(), self.time)];
        }
        let groups = self.groups().zip(&self.row_groups);
        groups.map(|(number, group)| (Some(vec![number]), group.time)).collect()
    }

    /// Size of its file.
    pub fn file_bytes(&self) -> u64 {
        self.part.map_or(self.bytes, |part| part.file_bytes)
    }
}
