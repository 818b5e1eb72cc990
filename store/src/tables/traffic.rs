//! `traffic`: what each feed line and each side of a session sent past a point.
//!
//! ```text
//! P1 | nasdaq.totalview-itch.5.0 | S1 | A | 44,120 messages | peak 9,412/s at 14:30:04 | 3 gaps
//! ```

use crate::tables::row::{Name, Null, Text, Time, U32, U64, rows};

rows! {
    /// A feed line, or one side of a session, at a point.
    TrafficRow in "traffic" {
        /// Where.
        point: Text as Name,
        /// Protocol id; heartbeats of a framing are that of the framing.
        protocol: Text as Name,
        /// Session, else the flow.
        session: Option<Text> as Null<Name>,
        /// Channel of a feed, where it has several.
        channel: Option<u32> as Null<U32>,
        /// Feed line.
        line: Option<Text> as Null<Name>,
        /// client or server; null for a feed.
        sender: Option<Text> as Null<Name>,
        /// First message, as stamped.
        first_ts: i64 as Time,
        /// Last message, as stamped.
        last_ts: i64 as Time,
        /// Messages, copies left out.
        messages: u64 as U64,
        /// Their bytes.
        bytes: u64 as U64,
        /// Most messages in one second.
        peak_per_s: u64 as U64,
        /// That second.
        peak_ts: i64 as Time,
        /// Steps of the sequence over numbers not seen here before, late ones included; null where it is not on the wire.
        gaps: Option<u64> as Null<U64>,
        /// Numbers stepped over and not seen later.
        missing: Option<u64> as Null<U64>,
        /// Copies: of a mirror port, sent again, marked as possible duplicates.
        duplicates: u64 as U64,
        /// Heartbeats among the messages.
        heartbeats: u64 as U64,
    }
}
