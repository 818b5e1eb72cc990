//! What a node knows of a point while it captures, shared by its threads.

use crate::account::{Counts, StatsRecord};
use crate::adapter::stamps::Stamps;
use crate::clock::ClockRecord;
use crate::live::KernelCounts;
use crate::open_segment::Tally;
use crate::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A point's state at one moment.
#[derive(Clone, Debug, Default)]
pub struct PointState {
    /// The account so far.
    pub counts: Counts,
    /// Whether the interface is open; `None` before the first try.
    pub up: Option<bool>,
    /// Bytes that wait between reader and writer.
    pub queue_bytes: u64,
    /// Since when the open segment is open.
    pub segment_opened: Option<Instant>,
    /// When it was last synced.
    pub synced: Option<Instant>,
    /// How often the interface was opened anew.
    pub reopened: u64,
    /// The last thing that went wrong, and when.
    pub last_error: Option<(SystemTime, String)>,
    /// What the interface said of its stamps when it was opened.
    pub stamps: Stamps,
    /// Whether the disk takes packets at the moment.
    pub disk_failing: bool,
    /// Whether the account is the final one.
    pub ended: bool,
}

impl PointState {
    /// Whose clock stamped the packets so far: `system`, `adapter`, or `both`.
    pub fn stamp_clock(&self) -> &'static str {
        match self.counts.stamped_adapter {
            None | Some(0) => "system",
            Some(packets) if packets >= self.counts.taken => "adapter",
            Some(_) => "both",
        }
    }
}

/// The state with its lock; held for a few instructions at a time.
#[derive(Debug)]
pub struct Status {
    state: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: PointState,
    /// Kernel counts of earlier openings of the interface; `None`: none yet.
    before: Option<KernelCounts>,
    reader_alive: Instant,
    writer_alive: Instant,
}

impl Default for Status {
    fn default() -> Self {
        let now = Instant::now();
        let state = PointState::default();
        let inner = Inner { state, before: None, reader_alive: now, writer_alive: now };
        Self { state: Mutex::new(inner) }
    }
}

impl Status {
    /// The state now.
    pub fn get(&self) -> PointState {
        self.lock().state.clone()
    }

    /// How long ago the slower of both threads gave a sign of life.
    pub fn silence(&self) -> Duration {
        let inner = self.lock();
        if inner.state.ended {
            return Duration::ZERO;
        }
        inner.reader_alive.elapsed().max(inner.writer_alive.elapsed())
    }

    /// Which clock stamped the packets so far, in a word, and what the interface
    /// says of its own.
    pub fn stamp_record(&self) -> ClockRecord {
        let state = &self.lock().state;
        let mut record = ClockRecord::of("stamp");
        record.reference = state.stamp_clock().to_string();
        record.flags = state.stamps.text();
        record
    }

    /// The account at this moment, as the open segment keeps it.
    pub fn record(&self, at: Timestamp, clocks: Vec<ClockRecord>) -> StatsRecord {
        let state = &self.lock().state;
        let (up, counts) = (state.up, state.counts);
        StatsRecord { up, counts, clocks, ..StatsRecord::new(at, 0) }
    }

    /// Tells of trouble: on standard error once, until the text changes.
    pub fn error(&self, point: &str, text: String) {
        let mut inner = self.lock();
        let known = inner.state.last_error.as_ref().is_some_and(|(_, last)| *last == text);
        if !known {
            eprintln!("taptrail: {point}: {text}");
        }
        inner.state.last_error = Some((SystemTime::now(), text));
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut PointState)) {
        change(&mut self.lock().state);
    }

    /// How long ago the reader looked for packets.
    pub(super) fn reader_silence(&self) -> Duration {
        self.lock().reader_alive.elapsed()
    }

    pub(super) fn reader_lives(&self) {
        self.lock().reader_alive = Instant::now();
    }

    pub(super) fn writer_lives(&self) {
        self.lock().writer_alive = Instant::now();
    }

    /// Takes over what the kernel counted since the interface was opened.
    pub(super) fn kernel(&self, now: Option<KernelCounts>) {
        let Some(now) = now else { return };
        let mut inner = self.lock();
        let total = sum(inner.before, now);
        let counts = &mut inner.state.counts;
        counts.seen = total.seen;
        counts.dropped_ring = Some(total.ring);
        counts.dropped_interface = total.interface;
    }

    /// The interface is closed: what comes next counts from zero again.
    pub(super) fn closed(&self, last: Option<KernelCounts>) {
        self.kernel(last);
        let mut inner = self.lock();
        inner.before = last.map(|last| sum(inner.before, last)).or(inner.before);
        inner.state.up = Some(false);
    }

    pub(super) fn taken(&self, tally: Tally) {
        let counts = &mut self.lock().state.counts;
        counts.taken = counts.taken.saturating_add(tally.packets);
        counts.taken_bytes = counts.taken_bytes.saturating_add(tally.bytes);
    }

    pub(super) fn queue_full(&self, tally: Tally) {
        let counts = &mut self.lock().state.counts;
        counts.dropped_queue = counts.dropped_queue.saturating_add(tally.packets);
    }

    /// Counts what the adapter stamped between two readings of its count.
    pub(super) fn stamped(&self, before: Option<u64>, now: Option<u64>) {
        let Some(now) = now else { return };
        let stamped = &mut self.lock().state.counts.stamped_adapter;
        *stamped = Some(stamped.unwrap_or(0) + now.saturating_sub(before.unwrap_or(0)));
    }

    pub(super) fn writer_gone(&self, tally: Tally) {
        let counts = &mut self.lock().state.counts;
        counts.dropped_writer = counts.dropped_writer.saturating_add(tally.packets);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum(before: Option<KernelCounts>, now: KernelCounts) -> KernelCounts {
    let Some(before) = before else { return now };
    let both = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
    KernelCounts {
        seen: both(before.seen, now.seen),
        ring: before.ring.saturating_add(now.ring),
        interface: both(before.interface, now.interface),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_an_interface_is_opened_anew() {
        let status = Status::default();
        let at = |seen, ring| Some(KernelCounts { seen: Some(seen), ring, interface: None });
        status.kernel(at(5, 1));
        status.closed(at(10, 2));
        status.kernel(at(3, 1));
        status.closed(None);
        status.kernel(at(4, 1));
        let counts = status.get().counts;
        assert_eq!((counts.seen, counts.dropped_ring), (Some(14), Some(3)));
        assert_eq!(counts.dropped_interface, None);
    }
}
