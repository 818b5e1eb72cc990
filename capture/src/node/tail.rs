//! What a point has just written, for whoever wants to see it before its segment is
//! complete.
//!
//! ```text
//! writer ─▶ open segment ─▶ disk
//!    └ the same packets, numbered by their place in it ─▶ bounded queue ─▶ decoding
//! ```
//!
//! The writer never waits for it: where the queue is full, or the disk did not take
//! a packet, the rest of the segment is not told, and who listens waits for the
//! segment itself.

use crate::packet::PacketBatch;
use crate::packet_blocks::PacketBlocks;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Things told that may wait.
const TOLD_MAX: usize = 1024;

/// Bytes that may wait.
pub const TAIL_BYTES_MAX: usize = 64 << 20;

/// What happened at a point.
#[derive(Debug)]
pub enum Told {
    /// A segment begins, under this name. One before that was not closed is not
    /// told further.
    Opened(String),
    /// Its next packets; their positions are those in the file.
    Packets(PacketBatch),
    /// All packets that the system stamped before this time, ns since the epoch, have
    /// been told.
    Quiet(i64),
    /// The segment is complete, and every packet of it was told.
    Closed,
}

/// What is on its way.
#[derive(Debug)]
enum Item {
    Told(Told),
    /// Packets, the first with this number.
    Packets(u32, PacketBlocks),
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct TailSender {
    queue: SyncSender<Item>,
    waiting: Arc<AtomicUsize>,
    /// The segment that is told, where it is.
    segment: Option<String>,
    /// The segment that cannot be told any further.
    broken: Option<String>,
}

/// The end of whoever listens.
#[derive(Debug)]
pub struct Tail {
    queue: Receiver<Item>,
    waiting: Arc<AtomicUsize>,
    spent: SyncSender<PacketBlocks>,
    /// A batch to be filled again.
    batch: RefCell<PacketBatch>,
}

/// A queue; packets that were read go back to `spent`.
pub(super) fn tail(spent: SyncSender<PacketBlocks>) -> (TailSender, Tail) {
    let (sender, receiver) = sync_channel(TOLD_MAX);
    let waiting = Arc::new(AtomicUsize::new(0));
    let batch = RefCell::default();
    let tail = Tail { queue: receiver, waiting: Arc::clone(&waiting), spent, batch };
    (TailSender { queue: sender, waiting, segment: None, broken: None }, tail)
}

impl TailSender {
    /// Packets that `segment` was just given, the last ones of its `packets`; gives
    /// them back where they cannot be told.
    pub fn packets(
        &mut self,
        (segment, packets): (&str, u32),
        blocks: PacketBlocks,
    ) -> Option<PacketBlocks> {
        if self.broken.as_deref() == Some(segment) || !self.open(segment) {
            return Some(blocks);
        }
        let count = u32::try_from(blocks.taken().packets).unwrap_or(u32::MAX);
        let first = packets.saturating_sub(count);
        let bytes = blocks.bytes().len();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if waiting > 0 && waiting.saturating_add(bytes) > TAIL_BYTES_MAX {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.give_up(segment);
            return Some(blocks);
        }
        match self.tell(Item::Packets(first, blocks)) {
            Some(Item::Packets(_, blocks)) => {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                Some(blocks)
            }
            _ => None,
        }
    }

    /// Whether the segment is being told.
    fn open(&mut self, segment: &str) -> bool {
        if self.segment.as_deref() == Some(segment) {
            return true;
        }
        // A segment is told from its first packet on, or not at all.
        self.segment = Some(segment.to_owned());
        self.tell(Item::Told(Told::Opened(segment.to_owned()))).is_none()
    }

    /// Something was told that is not in the segment, or the other way round.
    pub fn give_up(&mut self, segment: &str) {
        self.broken = Some(segment.to_owned());
    }

    /// The same, of the segment that was told last.
    pub fn give_up_told(&mut self) {
        self.broken = self.segment.clone();
    }

    /// The segment that was told is complete.
    pub fn closed(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if self.broken.as_ref() != Some(&segment) {
            self.tell(Item::Told(Told::Closed));
        }
    }

    /// Nothing stamped before `ts` is still to come.
    pub fn quiet(&mut self, ts: i64) {
        // It is told again soon.
        let _ = self.queue.try_send(Item::Told(Told::Quiet(ts)));
    }

    /// Gives back what finds no room; then the segment is not told further.
    fn tell(&mut self, item: Item) -> Option<Item> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        match self.queue.try_send(item) {
            Ok(()) => None,
            Err(Full(item) | Disconnected(item)) => {
                self.broken = self.segment.clone();
                Some(item)
            }
        }
    }
}

impl Tail {
    /// The next thing, after a wait of at most `patience`; `None`: nothing came.
    ///
    /// # Errors
    /// Where the writer has ended and everything was told.
    pub fn next(&self, patience: Duration) -> Result<Option<Told>, Ended> {
        match self.queue.recv_timeout(patience) {
            Ok(Item::Told(told)) => Ok(Some(told)),
            Ok(Item::Packets(first, blocks)) => {
                self.waiting.fetch_sub(blocks.bytes().len(), Ordering::Relaxed);
                let mut batch = self.batch.take();
                batch.clear();
                blocks.read_into(first, &mut batch);
                // A full pool has enough of them.
                let _ = self.spent.try_send(blocks);
                Ok(Some(Told::Packets(batch)))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Gives a batch back to be filled again.
    pub fn give_back(&self, batch: PacketBatch) {
        self.batch.replace(batch);
    }
}

/// Nothing more is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Direction, LinkType, PacketMeta, PacketSink, TsSource};
    use crate::time::Timestamp;

    fn batch(packets: usize, len: usize) -> PacketBlocks {
        let mut batch = PacketBlocks::default();
        let ts = Timestamp::from_ns(1);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix: 77,
            interface: 3,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: len as u32,
        };
        (0..packets).for_each(|_| batch.push(meta, &vec![0; len]));
        batch
    }

    fn told(tail: &Tail) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(Some(told)) = tail.next(Duration::ZERO) {
            all.push(match told {
                Told::Opened(segment) => format!("open {segment}"),
                Told::Packets(batch) => {
                    let places: Vec<u32> = batch.iter().map(|p| p.meta.packet_ix).collect();
                    format!("{places:?}")
                }
                Told::Quiet(ts) => format!("quiet {ts}"),
                Told::Closed => "closed".to_owned(),
            });
        }
        all
    }

    #[test]
    fn packets_are_told_by_their_places() {
        let (mut sender, tail) = tail(sync_channel(1).0);
        assert!(sender.packets(("a", 2), batch(2, 60)).is_none());
        assert!(sender.packets(("a", 5), batch(3, 60)).is_none());
        sender.closed();
        sender.quiet(9);
        assert!(sender.packets(("b", 1), batch(1, 60)).is_none());
        let all = ["open a", "[0, 1]", "[2, 3, 4]", "closed", "quiet 9", "open b", "[0]"];
        assert_eq!(told(&tail), all);
        assert_eq!(tail.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn too_much_ends_the_segment_and_not_the_next() {
        let (mut sender, tail) = tail(sync_channel(1).0);
        let mut packets = 0;
        while sender.packets(("a", packets + 64), batch(64, 64 << 10)).is_none() {
            packets += 64;
        }
        assert!(packets as usize * (64 << 10) <= TAIL_BYTES_MAX);
        told(&tail);
        assert!(sender.packets(("a", packets + 128), batch(64, 60)).is_some(), "a hole in it");
        sender.closed();
        assert!(sender.packets(("b", 1), batch(1, 60)).is_none());
        assert_eq!(told(&tail), ["open b", "[0]"]);
    }
}
