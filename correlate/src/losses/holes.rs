//! Sequence numbers of a stream that nobody has seen so far.
//!
//! ```text
//! 1 2 3 · · 6 7      hole 4..5, between the times of 3 and 6
//!       4            seen late: taken out of the hole
//! ```

use crate::points::PointIx;
use std::collections::VecDeque;

/// Most holes of one stream that wait for late messages.
pub const HOLES_MAX: usize = 1 << 12;

/// A step back by more than this is a new start of the sequence, not a
/// message out of order.
pub const RESTART_STEP: u64 = 1 << 16;

/// A message of the sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub seq: u64,
    /// Time on the reference clock.
    pub at: i64,
    /// Time as stamped at the first point that saw it.
    pub ts: i64,
    /// What it names.
    pub names: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub first: u64,
    pub last: u64,
    pub before: Option<Numbered>,
    pub after: Numbered,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// The first point of the stream, and how many it has.
    pub path: (PointIx, usize),
    next: Option<u64>,
    last: Option<Numbered>,
    open: VecDeque<Hole>,
    /// Holes forgotten because of [`HOLES_MAX`].
    pub dropped: u64,
}

impl Holes {
    /// Takes the next message.
    pub fn push(&mut self, found: Numbered) {
        let seq = found.seq;
        match self.next {
            Some(next) if seq > next => {
                if self.open.len() >= HOLES_MAX {
                    self.open.pop_front();
                    self.dropped += 1;
                }
                let hole = Hole { first: next, last: seq - 1, before: self.last, after: found };
                self.open.push_back(hole);
                self.next = seq.checked_add(1);
            }
            Some(next) if seq < next => {
                self.fill(seq);
                if next - seq > RESTART_STEP {
                    self.next = seq.checked_add(1);
                }
            }
            _ => self.next = seq.checked_add(1),
        }
        self.last = Some(found);
    }

    /// Takes `seq` out of the hole it lies in.
    fn fill(&mut self, seq: u64) {
        let has = |hole: &Hole| hole.first <= seq && seq <= hole.last;
        let Some(place) = self.open.iter().position(has) else { return };
        let Some(hole) = self.open.remove(place) else { return };
        if seq < hole.last {
            self.open.insert(place, Hole { first: seq + 1, ..hole });
        }
        if hole.first < seq {
            self.open.insert(place, Hole { last: seq - 1, ..hole });
        }
    }

    /// Takes out the holes from before `limit`, which nothing fills any more.
    pub fn settled(&mut self, limit: i64) -> Vec<Hole> {
        let count = self.open.iter().take_while(|hole| hole.after.at <= limit).count();
        self.open.drain(..count).collect()
    }
}
