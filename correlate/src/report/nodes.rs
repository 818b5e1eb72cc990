//! How far the captures themselves can be trusted: what they kept of what
//! passed, and what the clocks that stamped said of themselves.
//!
//! ```text
//! P1   9,000,000 captured   12 dropped    99.9998 %
//! P1   chrony   86,400 looks, 86,390 synchronised   within 100 us in 86,390   worst 41 us
//! ```
//!
//! The second is what RTS 25 and CAT ask a firm to show of its clocks. Its
//! limits are the reader's: the worst divergence is told beside them.

use crate::report::units::{count, duration, maybe_count, maybe_duration};
use crate::report::{Report, Section};
use serde::Serialize;
use std::collections::BTreeMap;
use taptrail_store::catalog::Catalog;
use taptrail_store::tables::clock_stats::ClockStatsRow;

/// What RTS 25 allows the clocks of high frequency traders, ns.
const WITHIN_NS: i64 = 100_000;

/// Most clocks that are listed; looks at further ones are left out.
pub const CLOCKS_MAX: usize = 1 << 12;

/// What a point kept of what passed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Where.
    pub point: String,
    /// Packets captured.
    pub packets: u64,
    /// Packets dropped, as far as they were counted.
    pub dropped: u64,
    /// Whether every capture of the point counted its drops.
    pub is_counted: bool,
}

/// Sums the captures by point.
pub fn kept(catalog: &Catalog) -> Vec<Kept> {
    let mut points: BTreeMap<&str, Kept> = BTreeMap::new();
    for import in &catalog.imports {
        let point = points.entry(&import.point).or_insert_with(|| Kept {
            point: import.point.clone(),
            packets: 0,
            dropped: 0,
            is_counted: true,
        });
        let packets = import.files_of("packets").map(|file| file.rows);
        point.packets = packets.fold(point.packets, u64::saturating_add);
        let dropped = import.counters.losses.total();
        point.dropped = point.dropped.saturating_add(dropped.unwrap_or(0));
        point.is_counted &= dropped.is_some();
    }
    points.into_values().collect()
}

/// What one source said of the clock of an interface at a point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeClock {
    /// Where.
    pub point: String,
    /// Interface of the captures.
    pub interface: u32,
    /// Who said it: kernel, chrony, ptp4l, phc.
    pub source: String,
    /// What the clock was set by last.
    pub reference: String,
    /// Looks at it.
    pub looks: u64,
    /// Looks at which it was synchronised.
    pub synchronised: u64,
    /// Looks at which it was within 100 us for sure.
    pub within_100us: u64,
    /// The farthest it may have been, where a bound was told.
    pub divergence_max_ns: Option<i64>,
    /// Longest time between two looks at which it was synchronised, where it was
    /// not at any in between: it ran on by itself.
    pub holdover_max_ns: i64,
    /// How often what it was set by changed.
    pub changes: u64,
    #[serde(skip)]
    last_ts: Option<i64>,
    #[serde(skip)]
    is_free: bool,
}

impl NodeClock {
    fn look(&mut self, row: &ClockStatsRow) {
        self.looks += 1;
        let reference = row.reference.as_deref().unwrap_or_default();
        if !reference.is_empty() {
            self.changes += u64::from(!self.reference.is_empty() && self.reference != reference);
            reference.clone_into(&mut self.reference);
        }
        let ends = row.offset_ns.zip(row.bound_ns);
        let farthest = ends.map(|(ns, bound)| ns.saturating_abs().saturating_add(bound));
        self.divergence_max_ns = self.divergence_max_ns.max(farthest);
        if &*row.state != "synchronised" {
            self.is_free = true;
            return;
        }
        self.synchronised += 1;
        self.within_100us += u64::from(farthest.is_some_and(|ns| ns <= WITHIN_NS));
        if let Some(last) = self.last_ts.filter(|_| self.is_free) {
            self.holdover_max_ns = self.holdover_max_ns.max(row.ts.saturating_sub(last));
        }
        (self.last_ts, self.is_free) = (Some(row.ts), false);
    }
}

/// The clocks of nodes.
#[derive(Debug, Default)]
pub struct NodeClocks(BTreeMap<(String, u32, String), NodeClock>);

impl NodeClocks {
    /// Takes what was said at a point, in order of time.
    pub fn add(&mut self, point: &str, row: &ClockStatsRow) {
        // Whose clock stamped says nothing of how right it is.
        if &*row.source == "stamp" {
            return;
        }
        let key = (point.to_owned(), row.interface, row.source.to_string());
        if self.0.len() >= CLOCKS_MAX && !self.0.contains_key(&key) {
            return;
        }
        let new = || NodeClock {
            point: point.to_owned(),
            interface: row.interface,
            source: row.source.to_string(),
            ..NodeClock::default()
        };
        self.0.entry(key).or_insert_with(new).look(row);
    }

    /// By point, interface and source.
    pub fn finish(self) -> Vec<NodeClock> {
        self.0.into_values().collect()
    }
}

/// The sections of captures and their clocks.
pub(super) fn sections(report: &Report) -> [Section; 2] {
    [
        Section {
            title: "What captures kept",
            heads: &["point", "packets", "dropped", "kept"],
            right: &[1, 2, 3],
            rows: report.kept.iter().map(kept_row).collect(),
        },
        Section {
            title: "Clocks of nodes: certificate",
            heads: &[
                "point",
                "clock",
                "set by",
                "looks",
                "synchronised",
                "in 100 us",
                "at most",
                "by itself",
                "changes",
            ],
            right: &[3, 4, 5, 6, 7, 8],
            rows: report.node_clocks.iter().map(clock_row).collect(),
        },
    ]
}

fn kept_row(k: &Kept) -> Vec<String> {
    let passed = k.packets.saturating_add(k.dropped).max(1);
    let millionths = u128::from(k.packets) * 1_000_000 / u128::from(passed);
    let share = format!("{}.{:04} %", millionths / 10_000, millionths % 10_000);
    let dropped = maybe_count(Some(k.dropped).filter(|_| k.is_counted));
    let share = if k.is_counted { share } else { "not counted".to_owned() };
    vec![k.point.clone(), count(k.packets), dropped, share]
}

fn clock_row(c: &NodeClock) -> Vec<String> {
    vec![
        c.point.clone(),
        format!("{} {}", c.source, c.interface),
        c.reference.clone(),
        count(c.looks),
        count(c.synchronised),
        count(c.within_100us),
        maybe_duration(c.divergence_max_ns),
        duration(c.holdover_max_ns),
        count(c.changes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn said(ts: i64, state: &str, offset_ns: i64, reference: &str) -> ClockStatsRow {
        ClockStatsRow {
            ts,
            source: Arc::from("chrony"),
            state: Arc::from(state),
            offset_ns: Some(offset_ns),
            bound_ns: Some(1_000),
            reference: Some(Arc::from(reference)),
            ..ClockStatsRow::default()
        }
    }

    #[test]
    fn a_clock_left_alone_shows_for_how_long() {
        let mut clocks = NodeClocks::default();
        let second = 1_000_000_000;
        let looks = [
            said(0, "synchronised", 50, "a"),
            said(second, "unsynchronised", 90, "a"),
            said(3 * second, "synchronised", -200_000, "b"),
            said(4 * second, "synchronised", 10, "b"),
        ];
        looks.iter().for_each(|row| clocks.add("P1", row));
        clocks.add("P1", &ClockStatsRow { source: Arc::from("stamp"), ..looks[0].clone() });
        let found = clocks.finish();
        assert_eq!(found.len(), 1);
        let clock = &found[0];
        assert_eq!((clock.looks, clock.synchronised, clock.within_100us), (4, 3, 2));
        assert_eq!((clock.divergence_max_ns, clock.changes), (Some(201_000), 1));
        assert_eq!(clock.holdover_max_ns, 3 * second);
    }
}
