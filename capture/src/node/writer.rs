//! The thread that writes one point's packets and its account.

use super::clocks::Clocks;
use super::status::Status;
use super::tail::TailSender;
use crate::account::StatsRecord;
use crate::adapter::counters::{DriverGrowth, NicGrowth, nic_counts};
use crate::open_segment::{OpenSegment, Outcome};
use crate::packet_blocks::PacketBlocks;
use crate::point::PointName;
use crate::time::Timestamp;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the account is written and the file synced.
const TICK: Duration = Duration::from_secs(1);

/// How long the writer waits for packets before it writes what it holds.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long the writer sleeps after much at once, so that the reader need not wake it
/// each time.
const BREATH: Duration = Duration::from_millis(4);

/// What is written between two looks at the time.
const AT_ONCE: usize = 64;

/// So many bytes at once are much.
const MUCH_BYTES: usize = 64 << 10;

/// How long a packet may lie in the kernel's ring before the reader sees it, the
/// ring's own delay (`timeout_ms`) twice over.
const RING_DELAY: Duration = Duration::from_millis(200);

/// What the adapter counted so far.
#[derive(Default)]
struct Adapter {
    nic: NicGrowth,
    driver: DriverGrowth,
}

pub(super) struct Writer {
    pub point: PointName,
    pub interface: String,
    pub status: Arc<Status>,
    pub packets: Receiver<PacketBlocks>,
    pub spent: SyncSender<PacketBlocks>,
    pub segment: OpenSegment,
    pub clocks: Clocks,
    /// Who sees what is written at once.
    pub tail: Option<TailSender>,
}

impl Writer {
    /// Writes until the reader has ended and the queue is empty.
    pub(super) fn run(mut self) {
        let mut adapter = Adapter::default();
        let mut next = Instant::now();
        loop {
            let received = self.packets.recv_timeout(PATIENCE);
            self.status.writer_lives();
            match received {
                Ok(blocks) => self.write_all(blocks),
                Err(RecvTimeoutError::Timeout) => {
                    let outcome = self.segment.flush();
                    self.settle(outcome);
                    self.tell_quiet();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next {
                self.tick(&mut adapter);
                next = Instant::now() + TICK;
            }
        }
        self.tick(&mut adapter);
        let outcome = self.segment.finish();
        self.settle(outcome);
        self.status.update(|state| state.ended = true);
    }

    /// Writes what is there by now.
    fn write_all(&mut self, first: PacketBlocks) {
        let mut much = false;
        let mut next = Some(first);
        for _ in 0..AT_ONCE {
            let Some(blocks) = next else { break };
            much |= blocks.bytes().len() >= MUCH_BYTES;
            self.write(blocks);
            next = self.packets.try_recv().ok();
        }
        if let Some(blocks) = next {
            self.write(blocks);
        } else if much {
            std::thread::sleep(BREATH);
        }
    }

    fn write(&mut self, blocks: PacketBlocks) {
        let outcome = self.segment.set_link_type(blocks.link_type());
        self.settle(outcome);
        let outcome = self.segment.append(&blocks);
        let bytes = blocks.taken().bytes;
        self.status.update(|state| state.queue_bytes = state.queue_bytes.saturating_sub(bytes));
        self.settle(outcome);
        let place = self.segment.place();
        let blocks = match self.tail.as_mut().zip(place) {
            Some((tail, place)) => tail.packets(place, blocks),
            None => Some(blocks),
        };
        if let Some(blocks) = blocks {
            // A full pool has enough of them.
            let _ = self.spent.try_send(blocks);
        }
    }

    /// Says up to when nothing more can come: nothing waited for a while, and the
    /// reader has looked at its ring since.
    fn tell_quiet(&mut self) {
        let Some(tail) = &mut self.tail else { return };
        let looked = self.status.reader_silence().saturating_add(RING_DELAY);
        let ago = i64::try_from(looked.as_nanos()).unwrap_or(i64::MAX);
        tail.quiet(now().ns().saturating_sub(ago));
    }

    /// Writes the account; packets before it are in the file first, so that it
    /// counts them.
    fn tick(&mut self, adapter: &mut Adapter) {
        let outcome = self.segment.flush();
        self.settle(outcome);
        let nic = adapter.nic.add(nic_counts(&self.interface));
        self.status.update(|state| state.counts.nic = nic);
        let driver = adapter.driver.read(&self.interface);
        let mut clocks = self.clocks.of(&self.interface);
        clocks.push(self.status.stamp_record());
        let record = self.status.record(now(), clocks);
        let record = StatsRecord { driver, ..record };
        let outcome = self.segment.tick(record);
        self.settle(outcome);
        let times = self.segment.times();
        self.status.update(|state| {
            state.segment_opened = times.map(|(opened, _)| opened);
            state.synced = times.map(|(_, synced)| synced);
        });
    }

    /// Enters what a call did into the account.
    fn settle(&mut self, outcome: Outcome) {
        let Outcome { written, lost, unwritable, error, synced, complete } = outcome;
        if let Some(tail) = &mut self.tail {
            let differs = lost.packets > 0 || unwritable.packets > 0 || error.is_some();
            match self.segment.place() {
                Some((segment, _)) if differs => tail.give_up(segment),
                _ if differs => tail.give_up_told(),
                _ => {}
            }
            if complete.is_some() {
                tail.closed();
            }
        }
        self.status.update(|state| {
            let counts = &mut state.counts;
            counts.written = counts.written.saturating_add(written.packets);
            counts.written_bytes = counts.written_bytes.saturating_add(written.bytes);
            counts.dropped_disk = counts.dropped_disk.saturating_add(lost.packets);
            counts.dropped_writer = counts.dropped_writer.saturating_add(unwritable.packets);
            if error.is_some() || lost.packets > 0 {
                state.disk_failing = true;
            } else if synced {
                state.disk_failing = false;
            }
        });
        if let Some(error) = error {
            let text = format!("open segment: {error}; packets are dropped until there is room");
            self.status.error(self.point.as_str(), text);
        }
    }
}

/// The node's clock; 0 where it stands before 1970.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ns(i64::try_from(since.as_nanos()).unwrap_or_default())
}
