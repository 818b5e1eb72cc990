//! `lines`: how each line of a redundant feed did at a point.
//!
//! ```text
//! P1 | nasdaq.totalview-itch.5.0 | S1 | A | messages 100000 | first 61200 | missing 3 | only here 5
//! ```

use crate::tables::row::{I64, Name, Null, Text, U64, rows};

rows! {
    /// A line of a feed at a point.
    LineRow in "lines" {
        /// The point.
        point: Text as Name,
        /// Protocol of the feed.
        protocol: Text as Name,
        /// Session the sequence belongs to.
        session: Option<Text> as Null<Name>,
        /// The line.
        line: Text as Name,
        /// Different messages seen on it.
        messages: u64 as U64,
        /// Times it was the first of the lines with a message.
        first: u64 as U64,
        /// Messages that another line had and this one had not.
        missing: u64 as U64,
        /// Messages that no other line had.
        only_here: u64 as U64,
        /// Median lead in ns over the next line, of the times it was first.
        lead_p50_ns: Option<i64> as Null<I64>,
        /// 99th percentile of the lead in ns.
        lead_p99_ns: Option<i64> as Null<I64>,
    }
}
