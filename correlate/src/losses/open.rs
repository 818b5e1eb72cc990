//! Losses that no other point explains, until all is seen.
//!
//! ```text
//! P3 is the last point: 1042..1044 missing on A and B
//!    the capture at P3 counted drops then          capture
//!    the bus names 1043                            somebody got it: capture
//!    both lines at once, P2 had both               one capture, two ways: capture
//!    1 of 3 is usually named, of 40 such runs none  network
//! ```
//!
//! A message that names another (a bus message its source, an order its
//! trigger) proves that the other was delivered. It proves nothing of one line
//! alone, because another may have delivered it.

use super::Place;
use super::cause::{Cause, Counted, Proof, Told};
use super::health::Health;
use super::run::Run;
use crate::event::StreamIx;
use crate::points::PointIx;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Most runs that wait; beyond it the first is decided by what is known then.
pub const OPEN_MAX: usize = 1 << 16;

/// Runs of a stream that are looked at for one named sequence number.
const LOOKED_AT_MAX: usize = 64;

/// Longer runs count as runs of so many when their reactions are expected.
const LONG_RUN: u64 = 1 << 12;

/// Reactions that must be expected, or seen, before their share says something:
/// of five expected none comes by chance less than once in a hundred times.
const REACTIONS_MIN: f64 = 5.0;

/// Above this share of the usual, what is missing was delivered.
const AS_USUAL: f64 = 0.75;

/// A run that waits.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub place: Place,
    pub run: Run,
    pub ts_hi: Option<i64>,
}

/// How often messages of a stream are named by others, at a point: of those
/// seen there, and of runs of those that it misses on all lines. A run counts
/// once, however long it is: reactions come and go with what happens.
#[derive(Clone, Debug, Default)]
struct Reactions {
    seen: u64,
    seen_named: u64,
    /// How many missing runs there are of each length.
    missing: BTreeMap<u64, u64>,
    missing_named: u64,
}

impl Reactions {
    /// Runs with a reaction to be expected, had all been delivered.
    fn expected(&self) -> f64 {
        if self.seen == 0 {
            return 0.0;
        }
        let rate = self.seen_named as f64 / self.seen as f64;
        let expected = |(&count, &runs): (&u64, &u64)| (rate * count as f64).min(1.0) * runs as f64;
        self.missing.iter().map(expected).sum()
    }

    fn miss(&mut self, count: u64) {
        *self.missing.entry(count.min(LONG_RUN)).or_default() += 1;
    }

    /// Whether what is missing was reacted to as if it had been delivered.
    fn as_usual(&self) -> bool {
        let named = self.missing_named as f64;
        named >= REACTIONS_MIN && named >= AS_USUAL * self.expected()
    }

    fn none_where_usual(&self) -> bool {
        self.missing_named == 0 && self.expected() >= REACTIONS_MIN
    }
}

type Key = (StreamIx, u64, u64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenRuns {
    runs: BTreeMap<Key, Open>,
    /// Runs that nobody saw, by the time they end.
    holes: BTreeMap<(i64, u64), Key>,
    numbered: u64,
    reactions: HashMap<(StreamIx, PointIx), Reactions>,
    health: Health,
}

impl OpenRuns {
    pub fn set_health(&mut self, health: Health) {
        self.health = health;
    }

    /// Takes a run; gives the first one where there are too many.
    pub fn push(&mut self, open: Open) -> Option<Open> {
        let last = open.run.last_seq.unwrap_or(u64::MAX);
        if open.run.misses_all_lines() {
            let reactions = self.reactions.entry((open.place.0, open.place.1)).or_default();
            reactions.miss(open.run.count);
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

    /// Counts a message that a point saw and another names.
    pub fn seen_named(&mut self, stream: StreamIx, point: PointIx) {
        self.reactions.entry((stream, point)).or_default().seen_named += 1;
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
            self.reactions.entry((stream, point)).or_default().missing_named += 1;
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
        let before = open.run.named_at.replace(by);
        let (stream, point, _) = open.place;
        let reactions = self.reactions.entry((stream, point)).or_default();
        reactions.missing_named += u64::from(before.is_none());
    }

    /// Takes out all runs, in order.
    pub fn take(&mut self) -> Vec<Open> {
        self.holes.clear();
        std::mem::take(&mut self.runs).into_values().collect()
    }

    /// The cause of a run and what told it; none where nothing does.
    pub fn decide(&self, open: &Open) -> Option<(Cause, Proof)> {
        let (stream, point, _) = open.place;
        let run = &open.run;
        let passed_by = if run.told == Told::OnlyPoint { Cause::Upstream } else { Cause::Network };
        let span = run.ts_lo.zip(open.ts_hi);
        match span.and_then(|(lo, hi)| self.health.at(point, lo, hi)) {
            Some(Counted::Dropped(packets)) => {
                return Some((Cause::Capture, Proof::Dropped(packets)));
            }
            Some(Counted::Nothing) => return Some((passed_by, Proof::NothingDropped)),
            None => {}
        }
        if !run.misses_all_lines() {
            return None;
        }
        if let Some(by) = run.named_at {
            return Some((Cause::Capture, Proof::Named(by)));
        }
        if let Some(reactions) = self.reactions.get(&(stream, point)) {
            if reactions.as_usual() {
                let runs = reactions.missing.values().sum();
                let proof = Proof::ReactedAsUsual(runs, reactions.missing_named);
                return Some((Cause::Capture, proof));
            }
            if reactions.none_where_usual() {
                return Some((passed_by, Proof::NoReaction(reactions.expected() as u64)));
            }
        }
        (run.all_lines > 0).then_some((Cause::Capture, Proof::AllLines))
    }
}
