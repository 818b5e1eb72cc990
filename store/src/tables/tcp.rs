//! `tcp`: how each direction of a TCP connection did, as a point saw it.
//!
//! ```text
//! P6 | 10.20.6.9:40001 -> 10.90.1.20:15000 | nasdaq.ouch.5.0 | rtt p50 61.2 us | 3 retransmits
//! ```

use crate::tables::row::{I64, Name, Null, Plain, Text, Time, U16, U64, rows};

rows! {
    /// A direction of a connection at a point.
    TcpRow in "tcp" {
        /// Where.
        point: Text as Name,
        /// Address of the sender.
        src_addr: Text as Plain,
        /// Port of the sender.
        src_port: u16 as U16,
        /// Address of the receiver.
        dst_addr: Text as Plain,
        /// Port of the receiver.
        dst_port: u16 as U16,
        /// Protocol id; null where it was not recognised.
        protocol: Option<Text> as Null<Name>,
        /// First segment, as stamped.
        first_ts: i64 as Time,
        /// Last segment, as stamped.
        last_ts: i64 as Time,
        /// Segments from the sender, copies of a mirror port left out.
        segments: u64 as U64,
        /// Payload bytes in them.
        bytes: u64 as U64,
        /// Round trips measured on the receiver's side: from data here to the acknowledgement here.
        rtt_n: u64 as U64,
        /// Shortest.
        rtt_min_ns: Option<i64> as Null<I64>,
        /// Median; an acknowledgement may wait for data to ride on.
        rtt_p50_ns: Option<i64> as Null<I64>,
        /// 99th percentile.
        rtt_p99_ns: Option<i64> as Null<I64>,
        /// Segments whose bytes had passed here before.
        retransmits: u64 as U64,
        /// Segments that fill a hole later than 3 ms after it opened: lost before this point and sent again.
        filled_late: u64 as U64,
        /// Segments that fill a hole sooner: overtaken.
        out_of_order: u64 as U64,
        /// Acknowledgements sent again without data while the other side's data is outstanding.
        duplicate_acks: u64 as U64,
        /// Times the sender closed its receive window.
        zero_windows: u64 as U64,
        /// Resets it sent.
        resets: u64 as U64,
        /// Copies of a mirror port.
        copies: u64 as U64,
        /// Segments of the point that are in no row, because it has too many connections.
        not_followed: u64 as U64,
    }
}
