//! Accounts of interfaces in a capture become rows of `capture_stats` and
//! `clock_stats`.
//!
//! ```text
//! counts since the node began:   100 (begins)   130        130        190
//! rows, growth:                                  30          0         60
//! ```

use crate::error::StoreError;
use crate::import::pipeline::{Stages, writer};
use crate::segment::writer::{TableWriter, Unplaced};
use crate::tables::capture_stats::CaptureStatsRow;
use crate::tables::clock_stats::ClockStatsRow;
use crate::tables::row::Row;
use std::collections::HashMap;
use taptrail_capture::account::{Counts, StatsRecord};
use taptrail_capture::clock::ClockRecord;

/// Tables that redecoding leaves as they are, since no decoding made them.
pub(super) const KEPT: [&str; 3] = ["packets", "capture_stats", "clock_stats"];

/// Writes the accounts of one capture.
pub(super) struct Accounts {
    capture_id: u64,
    /// The account before, by interface.
    last: HashMap<u32, (i64, Counts)>,
    stats: TableWriter,
    clocks: TableWriter,
}

impl Accounts {
    pub(super) fn new(stages: &Stages<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            capture_id: stages.capture_id,
            last: HashMap::new(),
            stats: writer("capture_stats", stages)?,
            clocks: writer("clock_stats", stages)?,
        })
    }

    /// Adds what was read since the last call.
    pub(super) fn add(&mut self, records: &[StatsRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let stats: Vec<CaptureStatsRow> =
            records.iter().filter_map(|record| self.row(record)).collect();
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
        let last = self.last.insert(record.interface, (record.at.ns(), *now));
        if record.begins {
            return None;
        }
        let before = last.map(|(_, counts)| counts).unwrap_or_default();
        // Only a node of ours says whether it is up, and then all of its counts.
        let ours = record.up.is_some();
        let own = |now: u64, before: u64| ours.then(|| now.saturating_sub(before));
        let (nic, nic_before) = (&now.nic, &before.nic);
        Some(CaptureStatsRow {
            capture_id: self.capture_id,
            interface: record.interface,
            ts: record.at.ns(),
            since: last.map(|(at, _)| at),
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
            dropped_disk: own(now.dropped_disk, before.dropped_disk),
            nic_packets: growth(nic.packets, nic_before.packets),
            nic_dropped: growth(nic.dropped, nic_before.dropped),
            nic_missed: growth(nic.missed, nic_before.missed),
            nic_fifo: growth(nic.fifo, nic_before.fifo),
            nic_errors: growth(nic.errors, nic_before.errors),
        })
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
