//! `links`: one row a piece of evidence that joins two observations.
//!
//! ```text
//! from: message at P1 (ts 10.000) ──same, latency 1200 ns [1180, 1220]──> to: message at P2
//! ```

use crate::tables::row::{F32, I64, Name, Null, Text, Time, U16, U32, U64, rows};

rows! {
    /// A link.
    LinkRow in "links" {
        /// Hash of kind, rule and ends.
        link_id: u64 as U64,
        /// Counts up when a later look at the same data changed the link.
        revision: u32 as U32,
        /// The trade it belongs to, where to one.
        lineage_id: Option<u64> as Null<U64>,
        /// same, trigger, relay, ack, fill, done, chain or public.
        kind: Text as Name,
        /// The rule that made it, e.g. explicit_tag.
        rule: Text as Name,
        /// How sure the rule is, 0 to 1; 1 where an identifier says so.
        confidence: f32 as F32,
        /// Observations that the rule could have chosen, this one included.
        candidates: u32 as U32,
        /// Points on the way that should have seen the message and did not.
        skipped: u16 as U16,
        /// Kind of the message at the link's start.
        message_kind: Text as Name,
        /// Protocol of the message at the link's start.
        protocol: Text as Name,
        /// Feed line, where it goes along one.
        line: Option<Text> as Null<Name>,
        /// Point of the start.
        from_point: Text as Name,
        /// Time of the start as stamped there, uncorrected.
        from_ts: i64 as Time,
        /// Capture of the start.
        from_capture_id: u64 as U64,
        /// Packet of the start.
        from_packet_ix: u32 as U32,
        /// Message of the start.
        from_msg_ix: u16 as U16,
        /// Point of the end.
        to_point: Text as Name,
        /// Time of the end as stamped there, uncorrected.
        to_ts: i64 as Time,
        /// Capture of the end.
        to_capture_id: u64 as U64,
        /// Packet of the end.
        to_packet_ix: u32 as U32,
        /// Message of the end.
        to_msg_ix: u16 as U16,
        /// Best estimate in ns after clock correction; negative where the end came first.
        latency_ns: i64 as I64,
        /// Lower bound in ns; null where nothing bounds the two clocks.
        lo_ns: Option<i64> as Null<I64>,
        /// Upper bound in ns; null where nothing bounds the two clocks.
        hi_ns: Option<i64> as Null<I64>,
    }
}
