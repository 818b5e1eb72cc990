//! What captures themselves counted as dropped: where, when, how many; and the
//! rows of `losses` that follow from it without any correlation.
//!
//! ```text
//! 14:00:07..08 ring 12 ┐                 P1 | packets | capture | 14:00:07 .. 14:00:09 | 19 | ring: …
//! 14:00:08..09 ring  7 ┘ one run ──▶
//! 14:00:08..09 disk  3   another ──▶     P1 | packets | capture | 14:00:08 .. 14:00:09 |  3 | disk: …
//! ```
//!
//! Every packet is in one place only, the first in its way where it was lost.

use crate::catalog::Catalog;
use crate::tables::losses::LossRow;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most spans of drops that a manifest keeps; beyond it a drop widens the last
/// one of its place.
pub const DROPS_MAX: usize = 4096;

/// What `losses.protocol` says of packets that a capture counted.
pub const PACKETS: &str = "packets";

/// Where a capture lost packets, in the order of their way.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DropPlace {
    /// The interface was not open.
    Closed,
    /// The frame came damaged.
    NicCrc,
    /// The adapter had no buffer free.
    NicMissed,
    /// The adapter's queue was full: what is counted there beyond
    /// [`NicMissed`](Self::NicMissed).
    NicFifo,
    /// The system, before the ring.
    NicDropped,
    /// The interface, as another capture tool tells it.
    Interface,
    /// The kernel's ring was full.
    Ring,
    /// The node's queue to the disk was full.
    Queue,
    /// The node's writer could not put it into a file.
    Writer,
    /// The disk took nothing.
    Disk,
    /// The capture file names it as lost.
    #[default]
    Recorded,
}

impl DropPlace {
    /// The place and what it means, as evidence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Closed => "closed: the interface was not open",
            Self::NicCrc => "nic_crc: the frame came damaged",
            Self::NicMissed => "nic_missed: the adapter had no buffer free",
            Self::NicFifo => "nic_fifo: the adapter's queue was full",
            Self::NicDropped => "nic_dropped: dropped by the system before the ring",
            Self::Interface => "interface: dropped by the interface, as the capture tells",
            Self::Ring => "ring: the kernel's ring was full",
            Self::Queue => "queue: the node's queue to the disk was full",
            Self::Writer => "writer: the node could not put it into a file",
            Self::Disk => "disk: it took nothing",
            Self::Recorded => "recorded: the capture file says so",
        }
    }
}

/// Packets that a capture lost at one place in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drops {
    /// Where.
    #[serde(default)]
    pub place: DropPlace,
    /// Last time at which the count had not moved, ns since the epoch.
    pub ts_lo: i64,
    /// First time at which it had.
    pub ts_hi: i64,
    /// How many; `None` where the place could not count them.
    pub packets: Option<u64>,
}

impl Drops {
    /// Whether both are of one place and both counted or both not.
    fn is_like(&self, other: &Self) -> bool {
        (self.place, self.packets.is_some()) == (other.place, other.packets.is_some())
    }

    fn widen(&mut self, other: &Self) {
        self.ts_lo = self.ts_lo.min(other.ts_lo);
        self.ts_hi = self.ts_hi.max(other.ts_hi);
        self.packets = self.packets.zip(other.packets).map(|(a, b)| a.saturating_add(b));
    }
}

/// Adds drops to those of a capture.
pub(super) fn add(all: &mut Vec<Drops>, drops: Drops) {
    if drops.packets == Some(0) {
        return;
    }
    let is_full = all.len() >= DROPS_MAX;
    match all.iter_mut().rev().find(|last| last.is_like(&drops)).filter(|_| is_full) {
        Some(last) => last.widen(&drops),
        // One of a place that has none yet is let in all the same.
        None => all.push(drops),
    }
}

/// A row of `losses` for each run of drops that captures counted themselves, by
/// point, place and time.
pub fn counted_losses(catalog: &Catalog) -> Vec<LossRow> {
    let mut places: BTreeMap<(&str, DropPlace), Vec<Drops>> = BTreeMap::new();
    for import in &catalog.imports {
        for drops in &import.counters.drops {
            places.entry((&import.point, drops.place)).or_default().push(*drops);
        }
    }
    let runs = places.into_iter().flat_map(|((point, _), mut drops)| {
        drops.sort_by_key(|drops| (drops.packets.is_none(), drops.ts_lo, drops.ts_hi));
        runs(drops).into_iter().map(move |run| row(point, &run))
    });
    runs.collect()
}

/// Drops of one place that follow each other without a pause, as one.
fn runs(drops: Vec<Drops>) -> Vec<Drops> {
    let mut runs: Vec<Drops> = Vec::new();
    for drops in drops {
        match runs.last_mut() {
            Some(run) if run.is_like(&drops) && drops.ts_lo <= run.ts_hi => run.widen(&drops),
            _ => runs.push(drops),
        }
    }
    runs
}

fn row(point: &str, run: &Drops) -> LossRow {
    let unknown = if run.packets.is_none() { "; how many is unknown" } else { "" };
    LossRow {
        point: point.into(),
        protocol: PACKETS.into(),
        session: None,
        line: None,
        cause: "capture".into(),
        confidence: Some(1.0),
        first_seq: None,
        last_seq: None,
        count: run.packets,
        ts_lo: Some(run.ts_lo),
        ts_hi: Some(run.ts_hi),
        evidence: format!("{}{unknown}", run.place.text()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DropPlace::{Disk, Ring};

    fn drops(place: DropPlace, ts_lo: i64, packets: Option<u64>) -> Drops {
        Drops { place, ts_lo, ts_hi: ts_lo + 10, packets }
    }

    #[test]
    fn what_follows_without_a_pause_is_one_run() {
        let all = [(0, Some(1)), (10, Some(2)), (30, Some(4)), (40, None), (50, None)];
        let all = all.map(|(ts_lo, packets)| drops(Ring, ts_lo, packets));
        let runs = runs(all.into());
        let told: Vec<_> = runs.iter().map(|run| (run.ts_lo, run.ts_hi, run.packets)).collect();
        assert_eq!(told, [(0, 20, Some(3)), (30, 40, Some(4)), (40, 60, None)]);
        assert!(row("P1", &runs[2]).evidence.ends_with("how many is unknown"));
    }

    #[test]
    fn past_the_limit_the_sums_stay_right() {
        let mut all = Vec::new();
        for number in 0..2 * DROPS_MAX as i64 {
            add(&mut all, drops(if number % 2 == 0 { Ring } else { Disk }, number, Some(1)));
            add(&mut all, drops(Ring, number, Some(0)));
        }
        add(&mut all, drops(Ring, 5, None));
        assert_eq!(all.len(), DROPS_MAX + 1);
        let of = |place| all.iter().filter(|d| d.place == place).filter_map(|d| d.packets).sum();
        let sums: [u64; 2] = [of(Ring), of(Disk)];
        assert_eq!(sums, [DROPS_MAX as u64; 2]);
    }

    #[test]
    fn manifests_from_before_places_are_read() {
        let old: Drops = serde_json::from_str(r#"{"ts_lo":1,"ts_hi":2,"packets":3}"#).unwrap();
        assert_eq!(old, Drops { place: DropPlace::Recorded, ts_lo: 1, ts_hi: 2, packets: Some(3) });
    }
}
