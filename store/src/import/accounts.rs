//! Accounts of interfaces in a capture become rows of `capture_stats` and
//! `clock_stats`.
//!
//! ```text
//! counts since the node began:   100 (begins)   130        130        190
//! rows, growth:                                  30          0         60
//! ```

use crate::catalog::drops::{DropPlace, Drops};
use crate::error::StoreError;
use crate::import::pipeline::{Stages, writer};
use crate::segment::file::Unplaced;
use crate::segment::writer::TableWriter;
use crate::tables::capture_stats::CaptureStatsRow;
use crate::tables::clock_stats::ClockStatsRow;
use crate::tables::row::{Row, Text};
use std::collections::{BTreeMap, HashMap};
use taptrail_capture::account::{Counts, StatsRecord};
use taptrail_capture::clock::ClockRecord;

/// Tables that redecoding leaves as they are, since no decoding made them.
pub(super) const KEPT: [&str; 3] = ["packets", "capture_stats", "clock_stats"];

/// An account that the next one has grown from.
struct Last {
    at: i64,
    counts: Counts,
    driver: Vec<(String, u64)>,
}

/// Writes the accounts of one capture.
pub(super) struct Accounts {
    capture_id: u64,
    /// The account before, by interface.
    last: HashMap<u32, Last>,
    /// Since when a place of an interface could not count.
    unknown: BTreeMap<(u32, DropPlace), (i64, i64)>,
    drops: Vec<Drops>,
    stats: TableWriter,
    clocks: TableWriter,
}

impl Accounts {
    pub(super) fn new(stages: &Stages<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            capture_id: stages.capture_id,
            last: HashMap::new(),
            unknown: BTreeMap::new(),
            drops: Vec::new(),
            stats: writer("capture_stats", stages)?,
            clocks: writer("clock_stats", stages)?,
        })
    }

    /// Adds what was read since the last call, of a capture whose first packet
    /// has this time.
    pub(super) fn add(
        &mut self,
        records: &[StatsRecord],
        first_ts: Option<i64>,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let stats: Vec<CaptureStatsRow> =
            records.iter().filter_map(|record| self.row(record)).collect();
        stats.iter().for_each(|row| self.dropped(row, first_ts));
        // A record with which a file begins repeats the last one of the file before.
        let own = records.iter().filter(|record| !record.begins);
        let clocks: Vec<ClockStatsRow> = own
            .flat_map(|record| {
                record.clocks.iter().map(|clock| clock_row(self.capture_id, record, clock))
            })
            .collect();
        if !stats.is_empty() {
            let batch = CaptureStatsRow::to_batch(&stats);
            self.stats.write(batch.map_err(StoreError::rows("capture_stats"))?)?;
        }
        if !clocks.is_empty() {
            let batch = ClockStatsRow::to_batch(&clocks);
            self.clocks.write(batch.map_err(StoreError::rows("clock_stats"))?)?;
        }
        Ok(())
    }

    /// The growth since the account before; `None` for one with which counting
    /// goes on from another file.
    fn row(&mut self, record: &StatsRecord) -> Option<CaptureStatsRow> {
        let now = &record.counts;
        let last = Last { at: record.at.ns(), counts: *now, driver: record.driver.clone() };
        let last = self.last.insert(record.interface, last);
        if record.begins {
            return None;
        }
        let before = last.as_ref().map(|last| last.counts).unwrap_or_default();
        let driver_before = last.as_ref().map_or(&[][..], |last| &last.driver);
        // Only a node of ours says whether it is up, and then all of its counts.
        let ours = record.up.is_some();
        let own = |now: u64, before: u64| ours.then(|| now.saturating_sub(before));
        let (nic, nic_before) = (&now.nic, &before.nic);
        Some(CaptureStatsRow {
            capture_id: self.capture_id,
            interface: record.interface,
            ts: record.at.ns(),
            since: last.as_ref().map(|last| last.at),
            up: record.up,
            seen: growth(now.seen, before.seen),
            taken: own(now.taken, before.taken),
            taken_bytes: own(now.taken_bytes, before.taken_bytes),
            written: own(now.written, before.written),
            written_bytes: own(now.written_bytes, before.written_bytes),
            waiting: ours.then(|| now.waiting()),
            dropped_ring: growth(now.dropped_ring, before.dropped_ring),
            dropped_interface: growth(now.dropped_interface, before.dropped_interface),
            dropped_queue: own(now.dropped_queue, before.dropped_queue),
            dropped_writer: own(now.dropped_writer, before.dropped_writer),
            dropped_disk: own(now.dropped_disk, before.dropped_disk),
            stamped_adapter: growth(now.stamped_adapter, before.stamped_adapter),
            nic_packets: growth(nic.packets, nic_before.packets),
            nic_dropped: growth(nic.dropped, nic_before.dropped),
            nic_missed: growth(nic.missed, nic_before.missed),
            nic_fifo: growth(nic.fifo, nic_before.fifo),
            nic_errors: growth(nic.errors, nic_before.errors),
            nic_crc: growth(nic.crc, nic_before.crc),
            nic_driver: driver(&record.driver, driver_before),
        })
    }

    /// Takes the drops out of a row. A place that could not count and later can
    /// has counted from its start: then nothing is unknown.
    fn dropped(&mut self, row: &CaptureStatsRow, first_ts: Option<i64>) {
        let ts_lo = row.since.or(first_ts).map_or(row.ts, |ts| ts.min(row.ts));
        for (place, packets) in places(row) {
            let key = (row.interface, place);
            match packets {
                Some(packets) => {
                    let (ts_lo, _) = self.unknown.remove(&key).unwrap_or((ts_lo, row.ts));
                    let packets = Some(packets);
                    self.drops.push(Drops { place, ts_lo, ts_hi: row.ts, packets });
                }
                None => self.unknown.entry(key).or_insert((ts_lo, row.ts)).1 = row.ts,
            }
        }
        if row.up == Some(false) {
            let place = DropPlace::Closed;
            self.drops.push(Drops { place, ts_lo, ts_hi: row.ts, packets: None });
        }
    }

    /// The drops since this was last asked.
    pub(super) fn take_drops(&mut self) -> Vec<Drops> {
        std::mem::take(&mut self.drops)
    }

    /// What could not be counted to the end.
    pub(super) fn uncounted(&self) -> impl Iterator<Item = Drops> {
        let unknown = self.unknown.iter();
        unknown.map(|(&(_, place), &(ts_lo, ts_hi))| Drops { place, ts_lo, ts_hi, packets: None })
    }

    pub(super) fn finish(self) -> Result<Vec<Unplaced>, StoreError> {
        let mut segments = self.stats.finish()?;
        segments.extend(self.clocks.finish()?);
        Ok(segments)
    }
}

/// A count that was not known before has grown from 0.
fn growth(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(before.unwrap_or(0)))
}

/// Where a row's packets were lost, each in one place; `None` where the place
/// could not count. Another tool's account says nothing of what it leaves out.
fn places(row: &CaptureStatsRow) -> Vec<(DropPlace, Option<u64>)> {
    use DropPlace::{Disk, Interface, NicCrc, NicDropped, NicFifo, NicMissed, Queue, Ring, Writer};
    let beyond = |more: u64| more.saturating_sub(row.nic_missed.unwrap_or(0));
    let mut places = vec![(Ring, row.dropped_ring), (NicMissed, row.nic_missed)];
    if row.up.is_none() {
        places.retain(|(_, packets)| packets.is_some());
    }
    let interface = row.dropped_interface.filter(|_| row.nic_missed.is_none());
    let more = [
        (NicFifo, row.nic_fifo.map(beyond)),
        (NicDropped, row.nic_dropped),
        (NicCrc, row.nic_crc),
        (Interface, interface),
        (Queue, row.dropped_queue),
        (Writer, row.dropped_writer),
        (Disk, row.dropped_disk),
    ];
    places.extend(more.into_iter().filter(|(_, packets)| packets.is_some()));
    places
}

/// The driver's counters that grew, as words.
fn driver(now: &[(String, u64)], before: &[(String, u64)]) -> Option<Text> {
    let grown = now.iter().filter_map(|(name, count)| {
        let before = before.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
        let growth = count.saturating_sub(before);
        (growth > 0).then(|| format!("{name}={growth}"))
    });
    let words: Vec<String> = grown.collect();
    (!words.is_empty()).then(|| words.join("|").into())
}

fn clock_row(capture_id: u64, record: &StatsRecord, clock: &ClockRecord) -> ClockStatsRow {
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    ClockStatsRow {
        capture_id,
        interface: record.interface,
        ts: record.at.ns(),
        source: clock.source.as_str().into(),
        state: clock.state.as_str().into(),
        offset_ns: clock.offset_ns,
        bound_ns: clock.bound_ns,
        drift_ppb: clock.drift_ppb,
        tai_offset_s: clock.tai_offset_s,
        reference: text(&clock.reference),
        flags: text(&clock.flags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_driver_counted_since_is_told() {
        let count = |name: &str, n: u64| (name.to_owned(), n);
        let before = [count("rx_drops", 5), count("rx_missed", 2)];
        let now = [count("rx_drops", 9), count("rx_missed", 2), count("rx_crc", 1)];
        assert_eq!(driver(&now, &before).as_deref(), Some("rx_drops=4|rx_crc=1"));
        assert_eq!(driver(&before, &before), None);
    }
}
