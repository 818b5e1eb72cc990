//! What to simulate.

use crate::trouble::{Trouble, Troubles};
use std::str::FromStr;

/// How much goes wrong in the simulated network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faults {
    /// Nothing is lost, doubled or reordered. TCP still coalesces and splits.
    #[default]
    None,
    /// What a good day looks like: rare losses, clocks apart but calibrated.
    Light,
    /// A bad day: bursts of loss, wandering clocks that nobody calibrated,
    /// address translation, one capture file cut off.
    Heavy,
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "light" => Ok(Self::Light),
            "heavy" => Ok(Self::Heavy),
            _ => Err(format!("faults {text:?}: needs none, light or heavy")),
        }
    }
}

/// Everything a simulation depends on: the same values give the same bytes.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Seeds every draw.
    pub seed: u64,
    /// Orders the strategies send over the whole run.
    pub orders: u64,
    /// Messages a second on the exchange's feed, on average.
    pub rate_msgs_per_s: u64,
    /// Length of the trading day, at least [`SECONDS_MIN`].
    pub seconds: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// What else does.
    pub troubles: Troubles,
    /// Start of the day in nanoseconds since the epoch, UTC.
    pub start_ns: i64,
    /// Whether the tap of every point appends a trailer with its stamp, as that of P3
    /// always does.
    pub trailers: bool,
    /// Whether to keep and give out the truth. A run without it needs memory
    /// only for what is in flight.
    pub truth: bool,
}

/// Shortest day that can be simulated, in seconds.
pub const SECONDS_MIN: u64 = 1;

/// 2026-03-03 14:30:00 UTC: 09:30 in New York, a Tuesday.
pub const DEFAULT_START_NS: i64 = 1_772_548_200_000_000_000;

impl Default for SimConfig {
    /// 2,000 orders in 10 s of a feed of 20,000 messages a second.
    fn default() -> Self {
        Self {
            seed: 1,
            orders: 2_000,
            rate_msgs_per_s: 20_000,
            seconds: 10,
            faults: Faults::None,
            troubles: Troubles::new(),
            start_ns: DEFAULT_START_NS,
            trailers: false,
            truth: true,
        }
    }
}

impl SimConfig {
    /// Whether what shall happen can happen together.
    ///
    /// # Errors
    /// Which troubles exclude each other, and why.
    pub fn check(&self) -> Result<(), String> {
        let both = [Trouble::SessionReset, Trouble::OtherVenue];
        if both.iter().all(|trouble| self.troubles.contains(trouble)) {
            return Err("session-reset and other-venue exclude each other: the units of the \
                        other venue's feed have one session a day"
                .into());
        }
        Ok(())
    }
}

/// How often each fault happens, in parts of a million, by [`Faults`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// Feed packets lost on the way between two points, one line alone.
    pub feed_loss: u64,
    /// Starts of a burst of such losses.
    pub feed_burst: u64,
    /// Most packets in a burst.
    pub burst_packets: u64,
    /// Feed packets lost on both lines.
    pub both_lines_loss: u64,
    /// Packets that pass a point and are not captured.
    pub capture_loss: u64,
    /// Starts of a burst of capture losses.
    pub capture_burst: u64,
    /// Packets captured twice at a point fed by a mirror port (P2, P5).
    pub span_duplicate: u64,
    /// Feed packets overtaken by later ones.
    pub reorder: u64,
    /// TCP segments lost and sent again.
    pub tcp_loss: u64,
    /// Whether the leading line changes during the day.
    pub leader_switches: bool,
}

impl FaultRates {
    /// The rates of a level.
    pub fn of(faults: Faults) -> Self {
        match faults {
            Faults::None => Self::default(),
            Faults::Light => Self {
                feed_loss: 200,
                feed_burst: 5,
                burst_packets: 8,
                both_lines_loss: 10,
                capture_loss: 50,
                capture_burst: 1,
                span_duplicate: 300,
                reorder: 300,
                tcp_loss: 1_000,
                leader_switches: true,
            },
            Faults::Heavy => Self {
                feed_loss: 3_000,
                feed_burst: 100,
                burst_packets: 40,
                both_lines_loss: 150,
                capture_loss: 1_000,
                capture_burst: 30,
                span_duplicate: 5_000,
                reorder: 5_000,
                tcp_loss: 10_000,
                leader_switches: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_venue_has_no_session_to_reset() {
        let of = |troubles: &[Trouble]| {
            let troubles = troubles.iter().copied().collect();
            SimConfig { troubles, ..SimConfig::default() }.check()
        };
        assert!(of(&[Trouble::OtherVenue, Trouble::SequenceWrap]).is_ok());
        assert!(of(&[Trouble::SessionReset]).is_ok());
        let refused = of(&[Trouble::OtherVenue, Trouble::SessionReset]);
        assert!(refused.is_err_and(|why| why.starts_with("session-reset and other-venue")));
    }
}
