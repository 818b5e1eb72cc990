//! `clocks`: how far apart two clocks are, and how surely.
//!
//! ```text
//! C2 | C1 | offset 1500 ns | bound 200 ns | configured     time(C2) - time(C1) = 1500 +- 200
//! ```

use crate::tables::row::{I64, Name, Null, Text, Time, U64, rows};

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
        /// Smallest offset, ns; null where that side is open.
        lo_ns: Option<i64> as Null<I64>,
        /// Largest offset, ns; null where that side is open.
        hi_ns: Option<i64> as Null<I64>,
        /// How it is known: configured, `two_way` traffic, `causality` (one way
        /// only, with what follows from other clocks), all.
        method: Text as Name,
        /// `ok`, `one_way`, `none`; of a row about an event: `step` or `tai_utc`
        /// (`offset_ns` is then the change), `contradiction`, `not_as_configured`.
        state: Text as Name,
        /// What the data leaves unexplained, in ns.
        residual_ns: Option<i64> as Null<I64>,
        /// Messages from `clock_to` to `clock_from`.
        forward: u64 as U64,
        /// Messages from `clock_from` to `clock_to`.
        reverse: u64 as U64,
    }
}
