//! `capture_stats`: the account of packets, second by second.
//!
//! ```text
//! 14:00:07 | seen 91244 = ring 12 + taken 91232 | taken = written 91232 + queue 0 + disk 0
//! ```
//!
//! Every count is the growth from `since` to `ts`, so that sums over any time
//! are right; what cannot be read is null, never 0.
//!
//! ```text
//! seen  = dropped_ring + taken + unread
//! taken = written + dropped_queue + dropped_writer + dropped_disk + growth of waiting
//! ```
//!
//! These are apart from each other. The adapter's counts lie before them and
//! overlap: `nic_crc` is part of `nic_errors`; `dropped_interface` is libpcap's sum
//! of `nic_missed` and `nic_fifo`; some drivers count one packet in both of these.

use crate::tables::row::{Bool, Null, Plain, Text, Time, U32, U64, rows};

rows! {
    /// An account of one interface. Its point stands in the path.
    CaptureStatsRow in "capture_stats" {
        /// The capture.
        capture_id: u64 as U64,
        /// Number of the interface in the capture.
        interface: u32 as U32,
        /// When the account was taken, by the node's clock.
        ts: i64 as Time,
        /// When the one before was; null: the counts are from the start of the capture.
        since: Option<i64> as Null<Time>,
        /// Whether the interface was open; null where the capture does not say.
        up: Option<bool> as Null<Bool>,
        /// Packets that met the filter, as the kernel counts them.
        seen: Option<u64> as Null<U64>,
        /// Packets read from the kernel.
        taken: Option<u64> as Null<U64>,
        /// Their captured bytes.
        taken_bytes: Option<u64> as Null<U64>,
        /// Packets written to disk.
        written: Option<u64> as Null<U64>,
        /// Their captured bytes.
        written_bytes: Option<u64> as Null<U64>,
        /// Packets between reader and disk at `ts`.
        waiting: Option<u64> as Null<U64>,
        /// Dropped by the kernel: its ring was full.
        dropped_ring: Option<u64> as Null<U64>,
        /// Dropped by the interface or its driver, as libpcap tells it.
        dropped_interface: Option<u64> as Null<U64>,
        /// Dropped by the node: its queue to the disk was full.
        dropped_queue: Option<u64> as Null<U64>,
        /// Dropped by the node's writer: the file's format has no place for them, or it broke down.
        dropped_writer: Option<u64> as Null<U64>,
        /// Dropped by the node: the disk took nothing.
        dropped_disk: Option<u64> as Null<U64>,
        /// Of those taken, stamped by the adapter's clock; null where the system alone was
        /// asked to.
        stamped_adapter: Option<u64> as Null<U64>,
        /// Packets that the adapter received, whatever the filter.
        nic_packets: Option<u64> as Null<U64>,
        /// Dropped by the system behind the adapter (rx_dropped).
        nic_dropped: Option<u64> as Null<U64>,
        /// Missed by the adapter (rx_missed_errors).
        nic_missed: Option<u64> as Null<U64>,
        /// Lost in the adapter's queue (rx_fifo_errors).
        nic_fifo: Option<u64> as Null<U64>,
        /// Received damaged or not at all, for whatever reason (rx_errors).
        nic_errors: Option<u64> as Null<U64>,
        /// Of them, with a wrong check sequence (rx_crc_errors).
        nic_crc: Option<u64> as Null<U64>,
        /// The driver's own counters that tell of drops and grew, as name=growth joined by |;
        /// they say more of the counts before and are not to be added to them.
        nic_driver: Option<Text> as Null<Plain>,
    }
}
