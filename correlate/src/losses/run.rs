//! Consecutive missing messages of one cause.

use super::cause::{Cause, Told};
use super::odds::{Look, OnLines};
use crate::points::PointIx;
use std::collections::BTreeMap;
use taptrail_decoders::kind::Kind;

/// A packet of a capture.
pub(super) type Packet = (u64, u32);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub cause: Cause,
    pub told: Told,
    pub first_seq: Option<u64>,
    pub last_seq: Option<u64>,
    pub count: u64,
    /// Last stamp at the point before the loss.
    pub ts_lo: Option<i64>,
    pub kinds: BTreeMap<Kind, u64>,
    /// Of them, missing at the point on all of several lines, each of which
    /// a point before had.
    pub all_lines: u64,
    /// Of them, those that the point has on another line.
    pub elsewhere: u64,
    /// Whether its stream has one line there.
    pub one_line: bool,
    /// Packets that they came in where they were seen.
    pub packets: u64,
    /// The last of them.
    pub last_packet: Option<Packet>,
    /// What its neighbours name, for messages that name others.
    pub named: Option<(u64, u64)>,
    /// Times on the reference clock of the messages around a hole.
    pub between: Option<(i64, i64)>,
    /// A message there names one of these.
    pub named_at: Option<PointIx>,
}

impl Run {
    /// Of no message yet.
    pub fn new(cause: Cause, told: Told, ts_lo: Option<i64>) -> Self {
        Self {
            cause,
            told,
            first_seq: None,
            last_seq: None,
            count: 0,
            ts_lo,
            kinds: BTreeMap::new(),
            all_lines: 0,
            elsewhere: 0,
            one_line: false,
            packets: 0,
            last_packet: None,
            named: None,
            between: None,
            named_at: None,
        }
    }

    /// Whether it holds a sequence number.
    pub fn has(&self, seq: u64) -> bool {
        self.first_seq.is_some_and(|first| first <= seq)
            && self.last_seq.is_some_and(|last| seq <= last)
    }

    /// Whether a reaction to one of its messages proves that it passed.
    pub fn misses_all_lines(&self) -> bool {
        self.one_line || self.all_lines > 0 || self.told == Told::OnlyPoint
    }

    /// Counts the packet that one of its messages came in.
    pub fn in_packet(&mut self, packet: Option<Packet>) {
        self.packets += u64::from(packet.is_some() && packet != self.last_packet);
        self.last_packet = packet.or(self.last_packet);
    }

    /// What it looks like at its point.
    pub fn look(&self) -> Look {
        let lines = match self.elsewhere {
            _ if self.one_line || self.told == Told::OnlyPoint => OnLines::Only,
            0 => OnLines::All,
            some if some < self.count => OnLines::Some,
            _ => OnLines::One,
        };
        Look { lines, many: self.packets > 1 }
    }
}
