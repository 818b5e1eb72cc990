//! `losses`: what is missing at a point, and why.
//!
//! ```text
//! P2 | moldudp64 | session S1 | line A | network | 1042..1044 | 3 | seen at P1, not at P2
//! P2 | packets   |            |        | capture |            | 19 | ring: the kernel's ring was full
//! ```
//!
//! Rows of messages and bytes are written by correlation. Those of `packets` are
//! what captures counted themselves; they come from the manifests, are in the table
//! in SQL as soon as the capture is, and in no file of `losses`. A message that was
//! in such a packet is in a row of its own as well: the two are not to be added.

use crate::tables::row::{F32, Name, Null, Plain, Text, Time, U64, rows};

rows! {
    /// A run of missing messages or bytes.
    LossRow in "losses" {
        /// Where it is missing.
        point: Text as Name,
        /// Protocol of the feed or session; `packets`: a capture's own count of dropped
        /// packets, whatever was in them.
        protocol: Text as Name,
        /// Session the sequence belongs to.
        session: Option<Text> as Null<Name>,
        /// Feed line, where it has lines.
        line: Option<Text> as Null<Name>,
        /// network, capture, upstream, both_lines or unknown.
        cause: Text as Name,
        /// The chance that this is the cause; null where it is unknown.
        confidence: Option<f32> as Null<F32>,
        /// First missing sequence number or byte; null where messages are not numbered.
        first_seq: Option<u64> as Null<U64>,
        /// Last missing sequence number or byte.
        last_seq: Option<u64> as Null<U64>,
        /// Messages missing (bytes for a TCP stream, packets for a capture's own count);
        /// null: some, but they could not be counted.
        count: Option<u64> as Null<U64>,
        /// Last time at this point before the loss.
        ts_lo: Option<i64> as Null<Time>,
        /// First time at this point after the loss.
        ts_hi: Option<i64> as Null<Time>,
        /// What the cause was told by. For a capture's own count it begins with the place and
        /// a colon: closed, nic_crc, nic_missed, nic_fifo, nic_dropped, interface, ring,
        /// queue, writer, disk, recorded.
        evidence: Text as Plain,
    }
}
