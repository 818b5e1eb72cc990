//! What captures say of their own drops.
//!
//! ```text
//! capture at P3   ├──────────┤12├─────────────┤      12 packets dropped in between
//! missing at P3        ▲       ▲
//!                 nothing    dropped
//! ```

use super::cause::Counted;
use crate::points::PointIx;
use hashbrown::HashMap;

/// Drops counted over a longer time than this say too little of one moment in it:
/// an account a second, and what it may come late.
pub const DROPS_SPAN_MAX_NS: i64 = 1_500_000_000;

/// Packets that a capture dropped between two times of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// Last packet before, ns since the epoch as stamped.
    pub ts_lo: i64,
    /// First packet after.
    pub ts_hi: i64,
    /// How many.
    pub packets: u64,
}

impl Drops {
    fn is_long(&self) -> bool {
        self.ts_hi.saturating_sub(self.ts_lo) > DROPS_SPAN_MAX_NS
    }
}

/// A capture that counts its drops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountedCapture {
    /// First packet, ns since the epoch as stamped.
    pub ts_lo: i64,
    /// Last packet.
    pub ts_hi: i64,
    /// When it dropped packets, in order of time.
    pub drops: Vec<Drops>,
}

/// Captures that count their drops, by point. A point with several captures
/// of one time has several places where packets may be dropped: what one
/// does not count, another may.
#[derive(Clone, Debug, Default)]
pub struct Health {
    captures: HashMap<PointIx, Vec<CountedCapture>>,
    silent: HashMap<PointIx, Vec<(i64, i64)>>,
}

impl Health {
    /// Adds a capture that counts drops.
    pub fn counted(&mut self, point: PointIx, capture: CountedCapture) {
        self.captures.entry(point).or_default().push(capture);
    }

    /// Adds a capture that cannot tell, from its first to its last packet.
    pub fn uncounted(&mut self, point: PointIx, ts_lo: i64, ts_hi: i64) {
        self.silent.entry(point).or_default().push((ts_lo, ts_hi));
    }

    /// Drops that the captures of a point counted, between two stamps or about
    /// then; not those of too long a time.
    pub fn drops(&self, point: PointIx, ts_lo: i64, ts_hi: i64) -> Vec<Drops> {
        let captures = self.captures.get(&point).map_or(&[][..], Vec::as_slice);
        let meets = |drops: &&Drops| drops.ts_lo <= ts_hi && ts_lo <= drops.ts_hi;
        let all = captures.iter().flat_map(|capture| capture.drops.iter().filter(meets));
        all.filter(|drops| !drops.is_long()).copied().collect()
    }

    /// What was counted at the point between two stamps; `None` where a
    /// capture of that time cannot tell, or none covers all of it.
    pub fn at(&self, point: PointIx, ts_lo: i64, ts_hi: i64) -> Option<Counted> {
        let captures = self.captures.get(&point).map_or(&[][..], Vec::as_slice);
        let meets = |lo: i64, hi: i64| lo <= ts_hi && ts_lo <= hi;
        let here = captures.iter().filter(|capture| meets(capture.ts_lo, capture.ts_hi));
        let mut covered = false;
        let (mut dropped, mut wide) = (0_u64, false);
        for capture in here {
            covered |= capture.ts_lo <= ts_lo && ts_hi <= capture.ts_hi;
            let drops = capture.drops.iter().filter(|drops| meets(drops.ts_lo, drops.ts_hi));
            for drops in drops {
                if drops.is_long() {
                    wide = true;
                } else {
                    dropped = dropped.saturating_add(drops.packets);
                }
            }
        }
        let silent = self.silent.get(&point).map_or(&[][..], Vec::as_slice);
        let silent = silent.iter().any(|&(lo, hi)| meets(lo, hi));
        match dropped {
            0 if wide || silent || !covered => None,
            0 => Some(Counted::Nothing),
            packets => Some(Counted::Dropped(packets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_count_where_they_were_counted() {
        let mut health = Health::default();
        let drops = vec![Drops { ts_lo: 400, ts_hi: 500, packets: 12 }];
        health.counted(2, CountedCapture { ts_lo: 0, ts_hi: 1_000, drops });
        assert_eq!(health.at(2, 100, 200), Some(Counted::Nothing));
        assert_eq!(health.at(2, 450, 460), Some(Counted::Dropped(12)));
        assert_eq!(health.at(2, 900, 1_100), None, "past its end");
        assert_eq!(health.at(1, 100, 200), None, "another point");
        let drops = vec![Drops { ts_lo: 0, ts_hi: 2_000_000_000, packets: 1 }];
        health.counted(3, CountedCapture { ts_lo: 0, ts_hi: 2_000_000_000, drops });
        assert_eq!(health.at(3, 100, 200), None, "counted over too long a time");
        health.uncounted(2, 150, 300);
        assert_eq!(health.at(2, 100, 200), None, "another capture there cannot tell");
        assert_eq!(health.at(2, 450, 460), Some(Counted::Dropped(12)));
    }
}
