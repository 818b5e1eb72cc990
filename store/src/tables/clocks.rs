//! `clocks`: how far apart two clocks are, and how surely.
//!
//! ```text
//! C2 | C1 | offset 1500 ns | bound 200 ns | configured     time(C2) - time(C1) = 1500 +- 200
//! ```

use crate::tables::row::{I64, Name, Null, Text, Time, rows};

rows! {
    /// The offset between two clocks over a window.
    ClockRow in "clocks" {
        /// The clock whose offset it is.
        clock_from: Text as Name,
        /// The clock it is measured against.
        clock_to: Text as Name,
        /// Start of the window, as the first clock has it; null: since ever.
        ts_lo: Option<i64> as Null<Time>,
        /// End of the window; null: for ever.
        ts_hi: Option<i64> as Null<Time>,
        /// time(clock_from) - time(clock_to) in ns; null where unknown.
        offset_ns: Option<i64> as Null<I64>,
        /// Drift of that offset in parts per billion.
        drift_ppb: Option<i64> as Null<I64>,
        /// Half width of the offset's bound in ns; null where nothing bounds it.
        bound_ns: Option<i64> as Null<I64>,
        /// How it is known: configured.
        method: Text as Name,
        /// What the data leaves unexplained, in ns.
        residual_ns: Option<i64> as Null<I64>,
    }
}
