//! `bursts`: the busiest moments of each lane of a point, for windows of
//! 1 us to 1 ms.
//!
//! ```text
//! P3 | if 0 | in | 10,000 ns | rank 1 | 14:30:00.649382571 | 12,500 bytes | 10.0 Gb/s | 100 %
//! ```

use crate::tables::row::{I64, Name, Null, Text, Time, U32, U64, rows};

rows! {
    /// One of the busiest windows.
    BurstRow in "bursts" {
        /// Where.
        point: Text as Name,
        /// Interface of the capture.
        interface: u32 as U32,
        /// in, out or unknown, as the capture says.
        direction: Text as Name,
        /// Length of the window in ns.
        window_ns: i64 as I64,
        /// 1 for the busiest window of this length, 2 for the busiest that does not overlap it, and so on.
        rank: u32 as U32,
        /// Start of the window, as stamped.
        ts: i64 as Time,
        /// Bytes on the wire in it, with preamble, FCS and gap; of frames cut by its ends the part inside.
        bytes: u64 as U64,
        /// Frames in it, cut ones included.
        frames: u64 as U64,
        /// Bits a second over the window.
        bits_per_s: u64 as U64,
        /// Share of the link's rate in millionths; null where link_gbps is not configured.
        utilisation_ppm: Option<u64> as Null<U64>,
        /// Bytes on the wire in the lane over the whole time.
        lane_bytes: u64 as U64,
        /// Frames in the lane over the whole time.
        lane_frames: u64 as U64,
        /// Frames in no lane, because the point has too many, or in no window, because one has too many frames.
        left_out: u64 as U64,
    }
}
