//! The tables: one file each, every column's unit and source written once.
//!
//! ```text
//! per capture, written by import      packets  messages  flows  learned  capture_stats  clock_stats
//! replaced whole by correlation       links  hops  losses  lines  orders  lineage  clocks
//!                                     bursts  tcp  traffic
//! ```
//!
//! The first six are Hive-partitioned below the store; `point` is a column
//! of theirs in SQL but stands in the path, not in the file.

pub mod bursts;
pub mod capture_stats;
pub mod clock_stats;
pub mod clocks;
pub mod column;
pub mod flows;
pub mod hops;
pub mod learned;
pub mod lineage;
pub mod lines;
pub mod links;
pub mod losses;
pub mod messages;
pub mod orders;
pub mod packets;
pub mod row;
pub mod tcp;
pub mod traffic;

use crate::tables::column::{Column, ColumnType, schema};
use arrow::datatypes::SchemaRef;

/// A table: its name and columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name in SQL and below the store.
    pub name: &'static str,
    /// One sentence on its rows.
    pub doc: &'static str,
    /// Columns in the file.
    pub columns: &'static [Column],
    /// Columns that stand in the path.
    pub partitions: &'static [Column],
    /// The column of times by which the rows of a row group are sorted.
    pub time: Option<&'static str>,
}

impl Table {
    /// The Arrow schema of the files.
    pub fn schema(&self) -> SchemaRef {
        schema(self.columns)
    }

    /// The Arrow schema in SQL: the files' columns and then those of the path.
    pub fn sql_schema(&self) -> SchemaRef {
        schema(&[self.columns, self.partitions].concat())
    }

    /// Place among the columns of the one by which row groups are sorted.
    pub fn time_index(&self) -> Option<usize> {
        let time = self.time?;
        self.columns.iter().position(|column| column.name == time)
    }

    /// The table with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|table| table.name == name)
    }
}

/// What stands in the path of tables that are written per capture.
pub const PARTITIONS: &[Column] = &[Column::always(
    "point",
    ColumnType::Name,
    "Name of the place on the wire where it was captured.",
)];

/// Tables that are written once per capture.
pub const PER_CAPTURE: &[Table] = &[
    Table {
        name: "packets",
        doc: "One row a captured packet, its bytes included.",
        columns: packets::COLUMNS,
        partitions: PARTITIONS,
        time: Some("ts"),
    },
    Table {
        name: "messages",
        doc: "One row a decoded event: a message with several entries is several rows.",
        columns: messages::COLUMNS,
        partitions: PARTITIONS,
        time: Some("ts"),
    },
    Table {
        name: "flows",
        doc: "One row a direction between two addresses in a capture.",
        columns: flows::COLUMNS,
        partitions: PARTITIONS,
        time: Some("first_ts"),
    },
    Table {
        name: "learned",
        doc: "What messages taught others: symbols, scales, seconds; one row a new value.",
        columns: learned::COLUMNS,
        partitions: PARTITIONS,
        time: Some("ts"),
    },
    Table {
        name: "capture_stats",
        doc: "The account of packets of a live capture, one row a second and interface.",
        columns: capture_stats::COLUMNS,
        partitions: PARTITIONS,
        time: Some("ts"),
    },
    Table {
        name: "clock_stats",
        doc: "What the clocks of a capture node said, one row a second and clock.",
        columns: clock_stats::COLUMNS,
        partitions: PARTITIONS,
        time: Some("ts"),
    },
];

/// A table that correlation replaces whole.
const fn derived(name: &'static str, doc: &'static str, columns: &'static [Column]) -> Table {
    Table { name, doc, columns, partitions: &[], time: None }
}

/// Tables that correlation replaces whole.
pub const DERIVED: &[Table] = &[
    derived("links", "One row a piece of evidence that joins two observations.", links::COLUMNS),
    derived("hops", "Latency of each hop by link kind and message kind.", hops::COLUMNS),
    derived("losses", "What is missing, where, and why.", losses::COLUMNS),
    derived("lines", "How each line of a redundant feed did at a point.", lines::COLUMNS),
    derived("orders", "One row an order, with its times and latencies by stage.", orders::COLUMNS),
    derived("lineage", "A trade's observations in order of time.", lineage::COLUMNS),
    derived("bursts", "The busiest windows of 1 us to 1 ms at each point.", bursts::COLUMNS),
    derived("tcp", "How each direction of a TCP connection did at a point.", tcp::COLUMNS),
    derived("traffic", "What each feed line and session side sent.", traffic::COLUMNS),
    derived("clocks", "How far apart two clocks are, and how surely.", clocks::COLUMNS),
];

/// Every table.
pub const ALL: &[Table] = &{
    let [a, b, c, k, o, p] = *PER_CAPTURE.first_chunk::<6>().expect("six tables");
    let [d, e, f, g, h, i, j, l, m, n] = *DERIVED.first_chunk::<10>().expect("ten tables");
    [a, b, c, k, o, p, d, e, f, g, h, i, j, l, m, n]
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_column_is_documented_and_named_once() {
        for table in ALL {
            let mut seen = HashSet::new();
            for column in table.columns.iter().chain(table.partitions) {
                assert!(!column.doc().is_empty(), "{}.{}", table.name, column.name);
                assert!(seen.insert(column.name), "{}.{} twice", table.name, column.name);
            }
        }
        assert_eq!(ALL.len(), PER_CAPTURE.len() + DERIVED.len());
    }
}
