//! Losses that no other point explains, until all is seen.
//!
//! ```text
//! P3 is the last point: 1042..1044 missing on A and B
//!    the capture at P3 counted drops then          capture
//!    the bus names 1043                            somebody got it: capture
//!    else what is usual, see `odds`                the likelier one, if clear
//! ```
//!
//! A message that names another (a bus message its source, an order its
//! trigger) proves that the other was delivered. It proves nothing of one line
//! alone, because another may have delivered it.

use super::Place;
use super::cause::{Cause, Counted, Proof, Verdict};
use super::health::Health;
use super::odds::{Known, Missed, Reactions};
use super::run::Run;
use crate::event::StreamIx;
use crate::points::PointIx;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Most runs that wait; beyond it the first is decided by what is known then.
pub const OPEN_MAX: usize = 1 << 16;

/// Runs of a stream that are looked at for one named sequence number.
const LOOKED_AT_MAX: usize = 64;

/// A run that waits.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub place: Place,
    pub run: Run,
    pub ts_hi: Option<i64>,
}

impl Open {
    fn missed(&self) -> Missed {
        let last = self.run.last_seq.unwrap_or(u64::MAX);
        let first = self.run.first_seq.unwrap_or(last);
        let named = self.run.named_at.is_some();
        Missed { first, last, span: self.run.ts_lo.zip(self.ts_hi), named }
    }
}

type Key = (StreamIx, u64, u64);

/// Drops that a capture counted: the point, and between which stamps.
type DropKey = (PointIx, i64, i64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenRuns {
    runs: BTreeMap<Key, Open>,
    /// Runs that nobody saw, by the time they end.
    holes: BTreeMap<(i64, u64), Key>,
    numbered: u64,
    reactions: HashMap<(StreamIx, PointIx), Reactions>,
    known: Known,
    health: Health,
    /// Packets missing where drops were counted: those known to be the
    /// capture's, the others.
    explained: HashMap<DropKey, u64>,
    unexplained: HashMap<DropKey, u64>,
}

impl OpenRuns {
    pub fn set_health(&mut self, health: Health) {
        self.health = health;
    }

    /// What is known of losses with a known cause.
    pub fn known(&mut self) -> &mut Known {
        &mut self.known
    }

    /// Takes a run whose cause another point told.
    pub fn settled(&mut self, open: &Open) {
        self.known.add(open.run.look(), open.run.cause);
        if open.run.cause == Cause::Capture {
            for drops in self.drops_near(open) {
                *self.explained.entry(drops).or_default() += open.run.packets;
            }
        }
    }

    /// Takes a run; gives the first one where there are too many.
    pub fn push(&mut self, open: Open) -> Option<Open> {
        let last = open.run.last_seq.unwrap_or(u64::MAX);
        if open.run.misses_all_lines() {
            let reactions = self.reactions.entry((open.place.0, open.place.1)).or_default();
            reactions.miss(open.missed());
        }
        for drops in self.drops_near(&open) {
            *self.unexplained.entry(drops).or_default() += open.run.packets.max(1);
        }
        self.numbered += 1;
        let key = (open.place.0, last, self.numbered);
        if let Some((_, after)) = open.run.between {
            self.holes.insert((after, self.numbered), key);
        }
        self.runs.insert(key, open);
        let over = if self.runs.len() > OPEN_MAX { self.runs.pop_first() } else { None };
        let (key, open) = over?;
        if let Some((_, after)) = open.run.between {
            self.holes.remove(&(after, key.2));
        }
        Some(open)
    }

    /// Counts a message that a point saw.
    pub fn seen(&mut self, stream: StreamIx, point: PointIx) {
        self.reactions.entry((stream, point)).or_default().seen += 1;
    }

    /// Counts a message that a point saw, with this stamp, and another names.
    pub fn seen_named(&mut self, stream: StreamIx, point: PointIx, ts: i64) {
        self.reactions.entry((stream, point)).or_default().saw_named(ts);
    }

    /// A message at `by` names `seq` of the stream, which `is_missing_at` some
    /// points on all lines.
    pub fn named(
        &mut self,
        stream: StreamIx,
        seq: u64,
        by: PointIx,
        is_missing_at: impl Fn(PointIx) -> bool,
    ) {
        let mut points: Vec<PointIx> = Vec::new();
        let from = (stream, seq, 0)..=(stream, u64::MAX, u64::MAX);
        for (_, open) in self.runs.range_mut(from).take(LOOKED_AT_MAX) {
            let (_, point, _) = open.place;
            if open.run.has(seq) && is_missing_at(point) && by != point {
                let before = open.run.named_at.replace(by);
                if before.is_none() && !points.contains(&point) {
                    points.push(point);
                }
            }
        }
        for point in points {
            self.reactions.entry((stream, point)).or_default().name(seq);
        }
    }

    /// A message at `by`, at a time on the reference clock, names one of those
    /// missing in a hole: the only one near for which `is_in` holds.
    pub fn named_hole(
        &mut self,
        by: PointIx,
        at: i64,
        window_ns: i64,
        is_in: impl Fn(&Run) -> bool,
    ) {
        let near = at.saturating_sub(window_ns)..=at.saturating_add(window_ns);
        let mut found = None;
        for (_, key) in self.holes.range((*near.start(), 0)..=(*near.end(), u64::MAX)) {
            let Some(open) = self.runs.get(key) else { continue };
            if is_in(&open.run) && open.run.between.is_some_and(|(before, _)| before <= at) {
                if found.is_some() {
                    return;
                }
                found = Some(*key);
            }
        }
        let Some(open) = found.and_then(|key| self.runs.get_mut(&key)) else { return };
        open.run.named_at = Some(by);
        let ((stream, point, _), seq) = (open.place, open.run.first_seq.unwrap_or_default());
        self.reactions.entry((stream, point)).or_default().name(seq);
    }

    /// Nothing more comes: takes out all runs, in order.
    pub fn take(&mut self) -> Vec<Open> {
        self.holes.clear();
        self.reactions.values_mut().for_each(Reactions::weigh);
        std::mem::take(&mut self.runs).into_values().collect()
    }

    /// The cause of a run, how sure it is and what told it.
    pub fn decide(&self, open: &Open) -> Verdict {
        let (stream, point, _) = open.place;
        let run = &open.run;
        let passed_by = run.told.passed_by();
        if let Some(by) = run.named_at.filter(|_| run.misses_all_lines()) {
            return Verdict::of(1.0, passed_by, Proof::Named(by));
        }
        let span = run.ts_lo.zip(open.ts_hi);
        match span.and_then(|(lo, hi)| self.health.at(point, lo, hi)) {
            Some(Counted::Dropped(packets)) => {
                let explained = self.counted(&self.explained, open);
                let missing = self.counted(&self.unexplained, open).max(run.packets.max(1));
                let share = packets.saturating_sub(explained) as f64 / missing as f64;
                let proof = Proof::Dropped { packets, explained, missing };
                return Verdict::of(share, passed_by, proof);
            }
            Some(Counted::Nothing) => return Verdict::of(0.0, passed_by, Proof::NothingDropped),
            None => {}
        }
        let reactions = self.reactions.get(&(stream, point));
        let reactions = reactions.filter(|_| run.misses_all_lines());
        let (capture, usually) = self.known.chance(run.look(), &open.missed(), reactions);
        Verdict::of(capture, passed_by, Proof::Usual(usually))
    }

    /// Packets of a kind in the spans of counted drops that a run meets.
    fn counted(&self, of: &HashMap<DropKey, u64>, open: &Open) -> u64 {
        let spans = self.drops_near(open);
        spans.iter().map(|span| of.get(span).copied().unwrap_or(0)).sum()
    }

    fn drops_near(&self, open: &Open) -> Vec<DropKey> {
        let (_, point, _) = open.place;
        let span = open.run.ts_lo.zip(open.ts_hi);
        let drops = span.map(|(lo, hi)| self.health.drops(point, lo, hi)).unwrap_or_default();
        drops.into_iter().map(|drops| (point, drops.ts_lo, drops.ts_hi)).collect()
    }
}
