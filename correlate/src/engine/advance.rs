//! Time goes on: what nothing more can come of is closed.
//!
//! ```text
//! watermark ─> events whose window has passed ─> what waited for them ─> trades that are over
//! ```

use super::{Correlator, Pending};
use crate::losses::Names;
use crate::told::Summary;

/// Most rows that wait to be written, but for those of one trade.
const ROWS_MAX: usize = 1 << 16;

impl Correlator {
    /// Nothing before `watermark` (corrected time) comes any more.
    pub fn advance(&mut self, watermark: i64) {
        if watermark > self.watermark {
            self.watermark = watermark;
        }
        self.is_behind = !self.close_due();
        if !self.is_behind {
            self.lay_down();
            self.wants.expire(self.watermark);
        }
    }

    /// Whether rows have to be written before it can [`advance`](Self::advance) further,
    /// to the same time.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Closes what is due, whether or not all of it: much is after a time of silence.
    fn close_due(&mut self) -> bool {
        while self.rows_waiting() < ROWS_MAX {
            if let Some(event) = self.gatherer.close_next(self.watermark) {
                self.closed(event);
                continue;
            }
            self.settle_due();
            let Some(trade) = self.close_next() else {
                return true;
            };
            self.tell(&trade);
        }
        false
    }

    fn settle_due(&mut self) {
        while let Some((_, pending)) = self.next_pending() {
            self.settle(pending);
        }
    }

    fn next_pending(&mut self) -> Option<(i64, Pending)> {
        let due = self.pending.front()?.0;
        if due > self.watermark { None } else { self.pending.pop_front() }
    }

    /// Nothing more comes: closes the next of what is open. `false` when there is
    /// nothing left but to [`finish`](Self::finish).
    pub fn wind_up(&mut self) -> bool {
        if let Some(event) = self.gatherer.close_next(i64::MAX) {
            self.closed(event);
            self.lay_down();
            return true;
        }
        if self.watermark < i64::MAX {
            let names = Names { points: &self.points, streams: &self.streams, texts: &self.texts };
            self.losses.settle_all(&names, &mut self.hops);
            self.watermark = i64::MAX;
            self.settle_due();
        }
        let over = self.close_next();
        let trade = over.or_else(|| self.close_oldest());
        if let Some(trade) = &trade {
            self.tell(trade);
        }
        trade.is_some()
    }

    /// Nothing more comes: closes everything.
    pub fn finish(&mut self) -> Summary {
        while self.wind_up() {}
        let names = Names { points: &self.points, streams: &self.streams, texts: &self.texts };
        self.losses.finish(&names, &mut self.hops);
        self.summary()
    }
}
