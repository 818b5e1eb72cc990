//! `lineage`: a trade's observations in order of time.
//!
//! ```text
//! ord 0  P2  order.add    via -        the trigger
//! ord 1  P3  req.new      via trigger  from 0, 3400 ns
//! ord 2  P4  req.new      via same     from 1, 1200 ns
//! ```

use crate::tables::row::{Decimal, F32, I64, Name, Null, Plain, Text, Time, U16, U32, U64, rows};

rows! {
    /// An observation of a trade.
    LineageRow in "lineage" {
        /// The trade.
        lineage_id: u64 as U64,
        /// Place in the trade, from 0, by corrected time.
        ord: u32 as U32,
        /// Time as stamped at the point.
        ts: i64 as Time,
        /// Corrected time since the trade's first observation, in ns.
        since_first_ns: i64 as I64,
        /// Where it was seen.
        point: Text as Name,
        /// Feed line, where on one.
        line: Option<Text> as Null<Name>,
        /// Its capture.
        capture_id: u64 as U64,
        /// Its packet.
        packet_ix: u32 as U32,
        /// Its message.
        msg_ix: u16 as U16,
        /// Protocol.
        protocol: Text as Name,
        /// What happened.
        kind: Text as Name,
        /// Native type.
        msg_type: Text as Name,
        /// Sequence number, where it has one.
        seq: Option<u64> as Null<U64>,
        /// Native symbol.
        symbol: Option<Text> as Null<Name>,
        /// Side.
        side: Option<Text> as Null<Name>,
        /// Price.
        price: Option<i128> as Null<Decimal>,
        /// Quantity.
        qty: Option<i128> as Null<Decimal>,
        /// The venue's number of the order.
        order_id: Option<u64> as Null<U64>,
        /// Client order id.
        cl_ord_id: Option<Text> as Null<Plain>,
        /// Execution id.
        exec_id: Option<Text> as Null<Plain>,
        /// Kind of the link it was reached by; null for the first.
        via: Option<Text> as Null<Name>,
        /// Place of the observation that link comes from.
        via_ord: Option<u32> as Null<U32>,
        /// Rule of that link.
        rule: Option<Text> as Null<Name>,
        /// Confidence of that link, 0 to 1.
        confidence: Option<f32> as Null<F32>,
        /// Observations that its rule could have chosen.
        candidates: Option<u32> as Null<U32>,
        /// Latency of that link in ns, clock-corrected.
        latency_ns: Option<i64> as Null<I64>,
        /// Its lower bound in ns.
        lo_ns: Option<i64> as Null<I64>,
        /// Its upper bound in ns.
        hi_ns: Option<i64> as Null<I64>,
    }
}
