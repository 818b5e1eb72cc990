//! `clock_stats`: what the clocks of a capture node said of themselves.
//!
//! ```text
//! 14:00:07 | chrony | synchronised | offset -525 ns | bound 250525 ns | ntp1.example
//! ```

use crate::tables::row::{I64, Name, Null, Text, Time, U32, U64, rows};

rows! {
    /// One clock at one moment. Its point stands in the path.
    ClockStatsRow in "clock_stats" {
        /// The capture.
        capture_id: u64 as U64,
        /// Number of the interface in the capture.
        interface: u32 as U32,
        /// When it was asked, by the node's clock.
        ts: i64 as Time,
        /// Who says it: kernel (adjtimex), chrony, ptp4l (linuxptp), phc (the
        /// adapter's clock against the system's), stamp (whose clock stamped the
        /// packets so far, in `reference`: system, adapter, both; what the interface can stamp
        /// and is set to, in `flags`).
        source: Text as Name,
        /// synchronised, unsynchronised or unknown.
        state: Text as Name,
        /// How far the clock is from its reference, ns, with the source's sign.
        offset_ns: Option<i64> as Null<I64>,
        /// Half width of that offset's bound, ns; null where its source vouches for none.
        bound_ns: Option<i64> as Null<I64>,
        /// Rate in parts per billion, as the source counts it.
        drift_ppb: Option<i64> as Null<I64>,
        /// TAI - UTC in seconds; null where not set.
        tai_offset_s: Option<i64> as Null<I64>,
        /// What the clock is set by: a server, a grandmaster, a device.
        reference: Option<Text> as Null<Name>,
        /// The source's own flags, joined by |.
        flags: Option<Text> as Null<Name>,
    }
}
