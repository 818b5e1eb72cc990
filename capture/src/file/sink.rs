//! Where a reader puts the packets it finds.

use super::notes::{Notes, Repeated};
use crate::packet::{Direction, LinkType, PacketBatch, PacketMeta, TsSource, ts_flags};
use crate::time::Timestamp;

/// What a reader did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Went on by a record or block.
    Went,
    /// Needs bytes that are not there yet.
    Wait,
    /// The input has ended or cannot be read further.
    End,
}

/// A packet record as a file states it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Nanoseconds since the epoch; `None` where the record has no time.
    pub(super) time_ns: Option<i128>,
    /// Picoseconds to add to it.
    pub(super) time_ps: i16,
    pub(super) interface: u32,
    pub(super) direction: Direction,
    pub(super) link_type: LinkType,
    pub(super) wire_len: u32,
    /// Bits of [`ts_flags`].
    pub(super) flags: u16,
}

/// The batch being filled, and what goes with it.
pub(super) struct Sink<'a> {
    pub(super) batch: &'a mut PacketBatch,
    pub(super) notes: &'a mut Notes,
    pub(super) next_ix: &'a mut u32,
    /// Records of wire length 0 are no packets.
    pub(super) skip_padding: bool,
}

impl Sink<'_> {
    /// Adds a packet whose record starts at `offset`.
    #[inline]
    pub(super) fn push(&mut self, offset: u64, record: Record, data: &[u8]) {
        if self.skip_padding && record.wire_len == 0 {
            return;
        }
        let (ts, ts_flags) = match record.time_ns {
            None => (Timestamp::default(), ts_flags::NO_TIME),
            Some(ns) => match i64::try_from(ns) {
                Ok(ns) => (Timestamp::from_ns(ns), 0),
                Err(_) => {
                    self.notes.count(Repeated::TimeOutOfRange, offset);
                    (Timestamp::default(), ts_flags::TIME_OUT_OF_RANGE)
                }
            },
        };
        let meta = PacketMeta {
            ts,
            ts_ps: record.time_ps,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: ts_flags | record.flags,
            packet_ix: *self.next_ix,
            interface: record.interface,
            direction: record.direction,
            link_type: record.link_type,
            wire_len: record.wire_len,
        };
        *self.next_ix = self.next_ix.wrapping_add(1);
        self.batch.push(meta, data);
    }
}
