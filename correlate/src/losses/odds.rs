//! How likely the capture missed what is missing, where no other point tells.
//!
//! ```text
//! points that others tell of    40 such runs were the capture's  ┐ about so here too,
//!                              900 the network's                 ┘ if not quite
//! here    of 12 runs on all lines 3 were reacted to, 3.1 would be had all passed
//!                                              ──> the chance of each
//! ```
//!
//! Rates at two points are alike, not equal: the logarithm of their ratio is
//! taken to spread by [`POINTS_APART`], so that what others tell is clear only
//! where it differs much. What reacts tells of this point itself: a reaction
//! proves that a message passed, and where reactions are usual their absence
//! speaks against it.

use super::cause::{Cause, Usually};
use std::collections::BTreeMap;

/// How far apart a rate is at two points: the standard deviation of its
/// logarithm. Two in three are within a factor of e of each other.
const POINTS_APART: f64 = 1.0;

/// Runs with a known cause that say something of others.
const KNOWN_MIN: u64 = 5;

/// Where nothing is known, the logarithm of the odds spreads by this: nearly
/// every chance is as likely.
const NOTHING_KNOWN: f64 = 3.0;

/// Lines take ways of their own, so that the network seldom loses a message on
/// all at once, and a capture does: the logarithm of these odds, before
/// anything is known.
const ALL_LINES_ODDS: f64 = 2.0;

/// Longer runs count as runs of so many when their reactions are expected.
const LONG_RUN: u64 = 1 << 12;

/// Named messages at each side that tell how often one is named about then.
const NAMED_ABOUT: usize = 4;

/// Most named messages and missing runs of a stream at a point that are
/// remembered; further ones say nothing.
pub const NAMED_MAX: usize = 1 << 16;
pub const MISSED_MAX: usize = 1 << 14;

/// Logarithms of odds that are summed over: this many steps to each side.
const STEPS: i32 = 40;
const STEP: f64 = 0.25;

/// On which of the lines at a point messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OnLines {
    /// On the only one.
    Only,
    /// On one, each of them seen on another.
    One,
    /// Some of them on all.
    Some,
    /// On all.
    All,
}

/// What a run looks like at the point that misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub lines: OnLines,
    /// Whether it is of several packets in a row.
    pub many: bool,
}

/// Runs whose cause other points told, and how many messages came by where
/// they could.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The capture's, the network's.
    runs: BTreeMap<Look, (u64, u64)>,
    passed: (u64, u64),
}

impl Known {
    /// A message of a stream that so many points see on so many lines: all but
    /// the last can be told to have missed it, all between to have lost it.
    pub fn pass(&mut self, points: usize, lines: usize) {
        let messages = |points: usize| (points * lines) as u64;
        self.passed.0 += messages(points.saturating_sub(1));
        self.passed.1 += messages(points.saturating_sub(2));
    }

    /// Takes a run whose cause another point told.
    pub fn add(&mut self, look: Look, cause: Cause) {
        let (capture, network) = self.runs.entry(look).or_default();
        match cause {
            Cause::Capture => *capture += 1,
            Cause::Network => *network += 1,
            _ => {}
        }
    }

    fn all(&self) -> (u64, u64) {
        self.runs.values().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Runs of this look, else of any, where there are enough.
    fn like(&self, look: Look) -> Option<(u64, u64)> {
        let enough = |(capture, network): &(u64, u64)| capture + network >= KNOWN_MIN;
        let own = self.runs.get(&look).copied().filter(enough);
        own.or_else(|| Some(self.all()).filter(|all| look.lines == OnLines::Only && enough(all)))
    }

    /// The odds of the capture against the network, and what they are from.
    fn odds(&self, look: Look) -> (Odds, Option<(u64, u64)>) {
        let all_lines = matches!(look.lines, OnLines::All | OnLines::Some);
        let nothing = match all_lines {
            true => Odds { log: ALL_LINES_ODDS, apart: POINTS_APART * 2.0_f64.sqrt() },
            false => Odds { log: 0.0, apart: NOTHING_KNOWN },
        };
        let (passed, lost) = (self.passed.0 as f64, self.passed.1 as f64);
        let Some(known) = self.like(look).filter(|_| passed > 0.0 && lost > 0.0) else {
            return (nothing, None);
        };
        let (capture, network) = (known.0 as f64 + 0.5, known.1 as f64 + 0.5);
        let log = (capture / passed).ln() - (network / lost).ln();
        // Both rates are of other points, and counted from so many.
        let apart = 2.0 * POINTS_APART * POINTS_APART + 1.0 / capture + 1.0 / network;
        (Odds { log, apart: apart.sqrt() }, Some(known))
    }

    /// The chance that what a point saw and no later one did was lost between,
    /// not missed at one and lost or missed again at the next.
    pub fn lost_between(&self) -> f64 {
        let (capture, network) = self.all();
        let (capture, network) = (capture as f64 + 0.5, network as f64 + 0.5);
        let (passed, lost) = (self.passed.0.max(1) as f64, self.passed.1.max(1) as f64);
        let (missed, lost) = (capture / passed, network / lost);
        lost / (lost + missed * (missed + lost))
    }

    /// The chance that the capture missed a run that looks so, where `missed`
    /// and the others like it here were reacted to so.
    pub fn chance(
        &self,
        look: Look,
        missed: &Missed,
        reactions: Option<&Reactions>,
    ) -> (f64, Usually) {
        let (odds, known) = self.odds(look);
        let reactions = reactions.filter(|reactions| !reactions.weights.is_empty());
        let all_lines = matches!(look.lines, OnLines::All | OnLines::Some);
        let reacted = reactions.map(Reactions::told);
        (odds.chance(missed, reactions), Usually { known, reacted, all_lines })
    }
}

/// The odds of the capture against anything else, not exactly known.
#[derive(Clone, Copy, Debug)]
struct Odds {
    /// Logarithm.
    log: f64,
    /// Its standard deviation.
    apart: f64,
}

impl Odds {
    /// The mean chance over all odds, each as likely as what was seen makes it.
    fn chance(self, missed: &Missed, reactions: Option<&Reactions>) -> f64 {
        let own = reactions.map_or(0.0, |reactions| reactions.share(missed));
        let weights = reactions.map_or(&[][..], |reactions| &reactions.weights);
        let weighed = |(place, share): (usize, f64)| {
            let off = ((share / (1.0 - share)).ln() - self.log) / self.apart;
            (share, weights.get(place).copied().unwrap_or(0.0) - off * off / 2.0)
        };
        let all: Vec<(f64, f64)> = shares().enumerate().map(weighed).collect();
        let most = all.iter().map(|(_, weight)| *weight).fold(f64::NEG_INFINITY, f64::max);
        let sums = all.iter().fold((0.0, 0.0), |(sum, of), (share, weight)| {
            let weight = (weight - most).exp();
            // Not reacted to, although it passed; or it never came.
            let chance = share * (1.0 - own) / (1.0 - share * own);
            (sum + weight * chance, of + weight)
        });
        sums.0 / sums.1
    }
}

/// The shares of what passed that are summed over, evenly by their odds.
fn shares() -> impl Iterator<Item = f64> {
    (-STEPS..=STEPS).map(|step| 1.0 / (1.0 + (-f64::from(step) * STEP).exp()))
}

/// A run that is missing on all lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    pub first: u64,
    pub last: u64,
    /// Stamps at the point around it.
    pub span: Option<(i64, i64)>,
    /// Whether a later message names one of it.
    pub named: bool,
}

/// How often messages of a stream are named by others, at a point: of those
/// seen there, and of runs of those that it misses on all lines. A run counts
/// once, however long it is and on however many lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Reactions {
    pub seen: u64,
    pub seen_named: u64,
    /// Stamps at the point of messages that were named.
    named_at: Vec<i64>,
    missing: Vec<Missed>,
    /// How likely what was named is, by share that passed: a logarithm.
    weights: Vec<f64>,
}

impl Reactions {
    /// A message that the point stamped so is named.
    pub fn saw_named(&mut self, ts: i64) {
        self.seen_named += 1;
        if self.named_at.len() < NAMED_MAX {
            self.named_at.push(ts);
        }
    }

    /// A run is missing, here on this line at least.
    pub fn miss(&mut self, missed: Missed) {
        let overlaps = |m: &Missed| missed.first <= m.last && m.first <= missed.last;
        let again = self.missing.last().is_some_and(overlaps);
        if !again && self.missing.len() < MISSED_MAX {
            self.missing.push(missed);
        }
    }

    /// One of the missing was named.
    pub fn name(&mut self, seq: u64) {
        let has = |m: &&mut Missed| m.first <= seq && seq <= m.last;
        if let Some(missed) = self.missing.iter_mut().rev().find(has) {
            missed.named = true;
        }
    }

    /// Nothing more comes: weighs what was named and what was not.
    pub fn weigh(&mut self) {
        self.named_at.sort_unstable();
        if self.seen_named == 0 || self.missing.is_empty() {
            return;
        }
        let all: Vec<(f64, bool)> = self.missing.iter().map(|m| (self.share(m), m.named)).collect();
        let weight = |passed: f64| {
            let of = |(share, named): &(f64, bool)| match named {
                true => passed.ln(),
                false => (1.0 - passed * share).ln(),
            };
            all.iter().map(of).sum()
        };
        self.weights = shares().map(weight).collect();
    }

    /// The chance that a run is named had it passed: by how many it is of and
    /// by how often something is named about then. Reactions come and go.
    fn share(&self, missed: &Missed) -> f64 {
        let rate = self.seen_named.min(self.seen) as f64 / self.seen.max(1) as f64;
        let count = missed.last.abs_diff(missed.first).min(LONG_RUN) + 1;
        let by_count = 1.0 - (1.0 - rate).powf(count as f64);
        let by_time = missed.span.map_or(0.0, |(lo, hi)| self.share_about(lo, hi));
        by_count.min(by_time).min(0.999)
    }

    /// The chance that something is named between two stamps, as often as
    /// before and after.
    fn share_about(&self, ts_lo: i64, ts_hi: i64) -> f64 {
        let before = self.named_at.partition_point(|&at| at <= ts_lo);
        let after = self.named_at.partition_point(|&at| at < ts_hi);
        let from = before.checked_sub(NAMED_ABOUT).and_then(|place| self.named_at.get(place));
        let to = self.named_at.get(after + NAMED_ABOUT - 1);
        let Some((from, to)) = from.zip(to) else { return 0.0 };
        let inside_ns = ts_hi.saturating_sub(ts_lo).max(0) as f64;
        let around_ns = (to.saturating_sub(*from) as f64 - inside_ns).max(1.0);
        1.0 - (-inside_ns * (2 * NAMED_ABOUT) as f64 / around_ns).exp()
    }

    /// Runs, those named, and how many would be had all passed.
    fn told(&self) -> (u64, u64, f64) {
        let named = self.missing.iter().filter(|missed| missed.named).count() as u64;
        let usual = self.missing.iter().map(|missed| self.share(missed)).sum();
        (self.missing.len() as u64, named, usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: Look = Look { lines: OnLines::One, many: false };

    fn run(first: u64, last: u64) -> Missed {
        let span = Some((first as i64 * 1_000 - 1_000, last as i64 * 1_000 + 1_000));
        Missed { first, last, span, named: false }
    }

    fn known(capture: u64, network: u64) -> Known {
        let mut known = Known::default();
        (0..100_000).for_each(|_| known.pass(3, 2));
        (0..capture).for_each(|_| known.add(SINGLE, Cause::Capture));
        (0..network).for_each(|_| known.add(SINGLE, Cause::Network));
        known
    }

    #[test]
    fn other_points_tell_where_they_differ_much() {
        let chance = |capture, network| known(capture, network).chance(SINGLE, &run(1, 1), None).0;
        assert!(chance(0, 300) < 0.05, "{}", chance(0, 300));
        assert!(chance(600, 0) > 0.95, "{}", chance(600, 0));
        // Two points can miss it, one can lose it: these rates are the same.
        assert!((chance(200, 100) - 0.5).abs() < 0.02, "{}", chance(200, 100));
        assert!((0.2..0.8).contains(&chance(100, 100)));
        // Too few to say.
        assert!((chance(0, 3) - 0.5).abs() < 0.02, "{}", chance(0, 3));
    }

    /// Messages 0 to 1000, a microsecond apart, of which each fifth is named.
    fn reactions(of: impl Iterator<Item = u64>, named: usize) -> Reactions {
        let mut reactions = Reactions { seen: 1_000, ..Reactions::default() };
        (0..200).for_each(|at| reactions.saw_named(at * 5_000));
        let runs: Vec<u64> = of.collect();
        runs.iter().for_each(|&seq| reactions.miss(run(seq, seq)));
        runs.iter().take(named).for_each(|&seq| reactions.name(seq));
        reactions.weigh();
        reactions
    }

    #[test]
    fn reactions_speak_for_their_point() {
        let chance = |named: usize, runs: u64| {
            let reactions = reactions((0..runs).map(|run| 100 + run * 10), named);
            let look = Look { lines: OnLines::Only, many: false };
            Known::default().chance(look, &run(100, 100), Some(&reactions)).0
        };
        // 8 of 40 are usual.
        assert!(chance(8, 40) > 0.8, "{}", chance(8, 40));
        assert!(chance(0, 40) < 0.2, "{}", chance(0, 40));
        assert!((0.3..0.7).contains(&chance(0, 1)), "{}", chance(0, 1));
    }

    #[test]
    fn where_nothing_reacts_its_absence_says_nothing() {
        let reactions = reactions([100].into_iter(), 0);
        assert!(reactions.share(&run(100, 150)) > 0.9);
        assert_eq!(reactions.share(&run(5_000, 5_050)), 0.0, "after the last reaction");
        assert_eq!(reactions.share(&Missed { span: None, ..run(100, 150) }), 0.0);
    }

    #[test]
    fn a_span_that_ends_before_it_begins_says_nothing() {
        let reactions = reactions([100].into_iter(), 0);
        let turned = Missed { span: Some((100_000, 99_000)), ..run(100, 150) };
        assert_eq!(reactions.share(&turned), 0.0);
    }

    #[test]
    fn both_lines_of_a_run_are_one() {
        let mut reactions = Reactions::default();
        for (first, last) in [(10, 12), (10, 13), (20, 20)] {
            reactions.miss(run(first, last));
        }
        reactions.name(12);
        assert_eq!((reactions.told().0, reactions.told().1), (2, 1));
    }

    #[test]
    fn what_is_lost_between_is_seldom_missed_twice() {
        assert!(known(200, 100).lost_between() > 0.99);
    }
}
