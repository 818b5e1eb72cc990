//! `hops`: latency between two points, one row a link kind and message kind,
//! and one with message kind `all`.
//!
//! ```text
//! same | order.add | P1 -> P2 | n 10432 | p50 1210 | p99 1702 | p99.9 2210 | max 9100 | lost 3
//! ```

use crate::tables::row::{Bool, Bytes, I64, Name, Null, Text, U64, rows};

rows! {
    /// The latency of a hop.
    HopRow in "hops" {
        /// Kind of the links it sums up.
        link_kind: Text as Name,
        /// Kind of the messages, or all.
        message_kind: Text as Name,
        /// Point of the start.
        from_point: Text as Name,
        /// Point of the end.
        to_point: Text as Name,
        /// Links in the sum.
        n: u64 as U64,
        /// Smallest latency in ns.
        min_ns: Option<i64> as Null<I64>,
        /// Median latency in ns.
        p50_ns: Option<i64> as Null<I64>,
        /// 90th percentile in ns.
        p90_ns: Option<i64> as Null<I64>,
        /// 99th percentile in ns.
        p99_ns: Option<i64> as Null<I64>,
        /// 99.9th percentile in ns; null below 10,000 links.
        p999_ns: Option<i64> as Null<I64>,
        /// Largest latency in ns.
        max_ns: Option<i64> as Null<I64>,
        /// Median of the lower bounds in ns; null without bounds.
        lo_p50_ns: Option<i64> as Null<I64>,
        /// Median of the upper bounds in ns; null without bounds.
        hi_p50_ns: Option<i64> as Null<I64>,
        /// Whether one clock stamps both ends.
        same_clock: bool as Bool,
        /// Messages at the start that have a link.
        matched: u64 as U64,
        /// Messages at the start that have none, and none explains.
        unmatched: u64 as U64,
        /// Messages at the start that the end did not see.
        lost: u64 as U64,
        /// HDR histogram (V2 encoding) of latency minus histogram_base_ns, in ns.
        histogram: Vec<u8> as Bytes,
        /// What was taken off each latency before it was counted, in ns.
        histogram_base_ns: i64 as I64,
    }
}
