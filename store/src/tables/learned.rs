//! `learned`: what messages taught, one row a value that became another; and
//! what a capture took over from the one before it.
//!
//! ```text
//! scope 1 | packet 3, message 0 | symbol | key 7 | price_scale | 2
//! scope 1 | null                | symbol | key 8 | symbol      | ALFA   from capture 00c0ffee..
//! ```
//!
//! The value at a message is the last one of its `scope`, table, key and name
//! before the message: with `messages.scope` every message can be decoded
//! without those before it.

use crate::tables::row::{Name, Null, Plain, Text, Time, U16, U32, U64, rows};

/// The table of rows that say where a scope's numbers go on.
pub const SEQUENCE: &str = "(sequence)";

/// The name of that number.
pub const NEXT: &str = "next";

rows! {
    /// A value. Its point stands in the path.
    LearnedRow in "learned" {
        /// The capture.
        capture_id: u64 as U64,
        /// Which messages it holds for: messages.scope.
        scope: u32 as U32,
        /// Time of the packet that taught it; of the scope's first one where it was taken over.
        ts: i64 as Time,
        /// Packet of the message that taught it; null where it was taken over.
        packet_ix: Option<u32> as Null<U32>,
        /// Place of that message in the packet; null where it was taken over.
        msg_ix: Option<u16> as Null<U16>,
        /// Protocol id.
        protocol: Text as Name,
        /// Feed or flow, session and channel: the same in every capture of the point.
        source: Option<Text> as Null<Name>,
        /// Trading day in the venue's time zone.
        day: Text as Name,
        /// The learned table, as the protocol file has it; (sequence) is where numbers go on.
        table_name: Text as Name,
        /// Its key: symbol index, locate.
        key: u64 as U64,
        /// The value's name in the table.
        value_name: Text as Name,
        /// The value, where it is a number.
        number: Option<u64> as Null<U64>,
        /// The value, where it is a text.
        text: Option<Text> as Null<Plain>,
        /// The capture it was taken over from.
        from_capture_id: Option<u64> as Null<U64>,
    }
}
