//! The sections of the configuration that correlation reads.

use crate::matching::keys::{self, KeyRule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `[[hop]]`: packets go from one point to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HopConfig {
    /// Name of the point passed first.
    pub from: String,
    /// Name of the point passed next.
    pub to: String,
    /// No packet can be faster, in nanoseconds.
    #[serde(default)]
    pub floor_ns: Option<u32>,
}

/// One `[[clock]]`: what a calibration found out about two clocks.
///
/// time(name) - time(reference) = `offset_ns` + `drift_ppb` x (t - `at`) / 10^9
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockConfig {
    /// The clock, as the points name it.
    pub name: String,
    /// The clock it was compared with.
    pub reference: String,
    /// Offset in nanoseconds.
    pub offset_ns: i64,
    /// Half width of the offset's error in nanoseconds; without it latencies
    /// are corrected but have no bounds.
    #[serde(default)]
    pub bound_ns: Option<u64>,
    /// Drift in parts per billion.
    #[serde(default)]
    pub drift_ppb: Option<i64>,
    /// When the offset was `offset_ns`, in ns since the epoch; needed with a drift.
    #[serde(default)]
    pub at: Option<i64>,
}

/// `[instruments]`: symbol of an order to the feed symbols that may trigger it.
pub type Instruments = BTreeMap<String, Vec<String>>;

/// `[correlate]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrelateConfig {
    /// How long a message may take from one point to the next, or an order to
    /// follow what triggered it, in seconds. Must exceed the largest clock
    /// offset that is not configured. Costs memory: every message is held this long.
    pub window_s: u32,
    /// The same in milliseconds, instead.
    pub window_ms: Option<u32>,
    /// How far the grandmaster and the path to it may be off together, in
    /// nanoseconds, as the user vouches for: what ptp4l tells of a node's clock
    /// bounds nothing without it.
    pub ptp_bound_ns: Option<u64>,
    /// Most messages of open orders that are held in memory, about 1 KB each. Beyond it
    /// the orders of which nothing was heard for longest wait in a file.
    pub open_events_max: u32,
    /// `[[correlate.key]]`: which fields say that messages belong together.
    pub key: Vec<KeyRule>,
}

impl Default for CorrelateConfig {
    fn default() -> Self {
        Self {
            window_s: 2,
            window_ms: None,
            ptp_bound_ns: None,
            open_events_max: 1 << 17,
            key: Vec::new(),
        }
    }
}

impl CorrelateConfig {
    /// The window, ns.
    pub fn window_ns(&self) -> i64 {
        let of_s = i64::from(self.window_s) * 1_000_000_000;
        self.window_ms.map_or(of_s, |ms| i64::from(ms) * 1_000_000)
    }
}

/// A part of an order's way whose time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// From the market data that triggered it to the request.
    TickToOrder,
    /// From the request to the gateway's own to the venue.
    Relay,
    /// From the request to its acknowledgement.
    Ack,
    /// From the request to the first execution.
    FirstFill,
}

impl Stage {
    /// All of them, in order of time.
    pub const ALL: [Self; 4] = [Self::TickToOrder, Self::Relay, Self::Ack, Self::FirstFill];

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TickToOrder => "tick to order",
            Self::Relay => "gateway",
            Self::Ack => "acknowledged",
            Self::FirstFill => "first fill",
        }
    }
}

/// One `[[target]]`: what orders may take, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Its name in the report.
    pub name: String,
    /// Which time is meant.
    pub stage: Stage,
    /// What it may take, in nanoseconds.
    pub max_ns: i64,
    /// How many of a thousand orders have to be within.
    #[serde(default = "every")]
    pub per_mille: u16,
    /// Only orders whose first request came in this session.
    #[serde(default)]
    pub session: Option<String>,
    /// Only orders of this account.
    #[serde(default)]
    pub account: Option<String>,
    /// Only orders of this symbol.
    #[serde(default)]
    pub symbol: Option<String>,
}

fn every() -> u16 {
    1_000
}

/// Everything correlation is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `[correlate]`.
    pub correlate: CorrelateConfig,
    /// `[[hop]]`.
    pub hops: Vec<HopConfig>,
    /// `[[clock]]`.
    pub clocks: Vec<ClockConfig>,
    /// `[instruments]`.
    pub instruments: Instruments,
    /// `[[target]]`.
    pub targets: Vec<TargetConfig>,
}

impl Settings {
    /// What is wrong with the settings, every error at once. `points` are the
    /// names of `[[point]]`, `clocks` the clocks they name.
    pub fn check(&self, points: &[&str], clocks: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.correlate.window_ns() == 0 {
            wrong.push("[correlate] the window is 0: messages take time".to_owned());
        }
        wrong.extend(keys::check(&self.correlate.key));
        for hop in &self.hops {
            for name in [&hop.from, &hop.to] {
                if !points.contains(&name.as_str()) {
                    wrong.push(format!(
                        "[[hop]] {} -> {}: no [[point]] is named {name:?}",
                        hop.from, hop.to
                    ));
                }
            }
            if hop.from == hop.to {
                wrong.push(format!("[[hop]] {} -> {}: both ends are one point", hop.from, hop.to));
            }
        }
        for clock in &self.clocks {
            check_clock(clock, clocks, &mut wrong);
        }
        for target in self.targets.iter().filter(|t| t.per_mille > 1_000 || t.max_ns < 0) {
            wrong.push(format!(
                "[[target]] {}: max_ns is at least 0, per_mille at most 1000",
                target.name
            ));
        }
        wrong
    }
}

fn check_clock(clock: &ClockConfig, known: &[&str], wrong: &mut Vec<String>) {
    let place = format!("[[clock]] {} against {}", clock.name, clock.reference);
    for name in [&clock.name, &clock.reference] {
        if !known.contains(&name.as_str()) {
            wrong.push(format!("{place}: no [[point]] has the clock {name:?}"));
        }
    }
    if clock.name == clock.reference {
        wrong.push(format!("{place}: a clock has no offset to itself"));
    }
    if clock.drift_ppb.is_some_and(|drift| drift != 0) && clock.at.is_none() {
        wrong.push(format!("{place}: drift_ppb needs `at`, the time the offset was measured"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_named_at_once() {
        let settings = Settings {
            correlate: CorrelateConfig { window_s: 0, ..CorrelateConfig::default() },
            hops: vec![HopConfig { from: "P1".into(), to: "PX".into(), floor_ns: None }],
            clocks: vec![ClockConfig {
                name: "C9".into(),
                reference: "C1".into(),
                offset_ns: 0,
                bound_ns: None,
                drift_ppb: Some(5),
                at: None,
            }],
            instruments: Instruments::new(),
            targets: vec![TargetConfig {
                name: "all and more".into(),
                stage: Stage::Ack,
                max_ns: 1,
                per_mille: 1_001,
                session: None,
                account: None,
                symbol: None,
            }],
        };
        let wrong = settings.check(&["P1"], &["C1"]);
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert!(wrong[1].contains("PX"));
    }
}
