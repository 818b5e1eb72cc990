//! The thread that empties one interface's ring.

use super::PointOptions;
use super::source::Source;
use super::status::Status;
use crate::open_segment::Tally;
use crate::packet::PacketSink;
use crate::packet_blocks::PacketBlocks;
use crate::source::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

/// How often an interface that is gone is tried again.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// How long the reader sleeps on a busy line before it looks again: to be woken for
/// every block of the ring costs more than to read it.
const BREATH: Duration = Duration::from_millis(4);

/// A line is busy that gave so many packets at once.
const BUSY_PACKETS: u64 = 256;

/// How long the reader sleeps at a time while it has no interface.
const NAP: Duration = Duration::from_millis(50);

pub(super) struct Reader {
    pub options: PointOptions,
    pub status: Arc<Status>,
    pub source: Option<Source>,
    pub queue: SyncSender<PacketBlocks>,
    /// Blocks that were written, to be filled again.
    pub pool: Receiver<PacketBlocks>,
    pub stop: Arc<AtomicBool>,
}

impl Reader {
    /// Reads until told to stop and the ring is dry.
    pub(super) fn run(mut self) {
        if let Some(cpu) = self.options.cpu
            && let Err(error) = pin(cpu)
        {
            self.error(format!("processor {cpu}: {error}; the reader runs on any"));
        }
        self.status.update(|state| state.up = Some(true));
        while self.source.is_some() || !self.stopped() {
            self.status.reader_lives();
            match self.source.take() {
                Some(source) => self.source = self.read(source),
                None => self.source = self.reopen(),
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn error(&self, text: String) {
        self.status.error(self.options.point.as_str(), text);
    }

    /// Reads what is there; gives the source back unless it has ended.
    fn read(&self, mut source: Source) -> Option<Source> {
        let before = source.stamped_adapter();
        source.stop(self.stopped());
        let mut blocks = self.pool.try_recv().unwrap_or_default();
        let progress = source.next(&mut blocks);
        let kernel = source.kernel_counts();
        self.status.stamped(before, source.stamped_adapter());
        for warning in source.take_warnings() {
            self.error(warning.to_string());
        }
        let (full, packets) = (blocks.is_full(), blocks.taken().packets);
        self.hand_on(blocks);
        match progress {
            Ok(Progress::More) => {
                self.status.kernel(kernel);
                if packets >= BUSY_PACKETS && !full {
                    std::thread::sleep(BREATH);
                }
                Some(source)
            }
            Ok(Progress::End) => {
                self.status.kernel(kernel);
                None
            }
            Err(error) => {
                self.error(error.to_string());
                self.status.closed(kernel);
                None
            }
        }
    }

    /// Gives packets to the writer, or drops and counts them.
    fn hand_on(&self, blocks: PacketBlocks) {
        if blocks.is_empty() {
            return;
        }
        let tally = blocks.taken();
        self.status.taken(tally);
        let mut fits = false;
        self.status.update(|state| {
            let waiting = state.queue_bytes.saturating_add(tally.bytes);
            // What is larger than the whole queue is let in alone.
            fits = waiting <= self.options.queue_bytes || state.queue_bytes == 0;
            if fits {
                state.queue_bytes = waiting;
            }
        });
        if !fits {
            return self.queue_full(tally);
        }
        let Err(refused) = self.queue.try_send(blocks) else { return };
        self.status.update(|state| {
            state.queue_bytes = state.queue_bytes.saturating_sub(tally.bytes);
        });
        match refused {
            TrySendError::Full(_) => self.queue_full(tally),
            TrySendError::Disconnected(_) => {
                self.status.writer_gone(tally);
                self.error("the writer has broken down: packets are dropped".to_string());
            }
        }
    }

    fn queue_full(&self, tally: Tally) {
        self.status.queue_full(tally);
        self.error("the queue to the disk is full: packets are dropped".to_string());
    }

    /// Opens the interface again, or sleeps.
    fn reopen(&self) -> Option<Source> {
        let naps = REOPEN_EVERY.as_millis() / NAP.as_millis();
        for _ in 0..naps {
            if self.stopped() {
                return None;
            }
            std::thread::sleep(NAP);
        }
        match Source::open(&self.options) {
            Ok((source, stamps)) => {
                self.error(format!("{} is open again", self.options.interface));
                self.status.update(|state| {
                    state.up = Some(true);
                    state.stamps = stamps;
                    state.reopened += 1;
                });
                Some(source)
            }
            Err(error) => {
                self.error(error.to_string());
                None
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn pin(cpu: usize) -> std::io::Result<()> {
    crate::ring::pin_to_cpu(cpu)
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
