//! The offset of two clocks over time: fits at regular moments, and what holds
//! between them.
//!
//! ```text
//! knot ───── knot ───── knot   │   knot ───── (nothing) ───── knot
//!   straight between two       step    straight, wider by the hold rate
//!                           both sides' bounds together
//! ```
//!
//! The knots of a run tell of each other ([`super::steady`]): rates change
//! slowly, so that a knot with little traffic of its own lies where the others
//! point to, and one that cannot lie there is behind a step.

use super::steady;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Longest time without a fit that is bridged, ns.
pub const HOLD_MAX_NS: i64 = 60_000_000_000;

/// How much a clock's rate may change where no traffic shows it: 1 ppm.
pub const HOLD_PPB: i64 = 1_000;

/// A change that the rate does not explain may be a step from here on, ns.
pub const STEP_MIN_NS: i64 = 1_000;

/// A change may be a step from so many residuals on.
const STEP_RESIDUALS: i64 = 8;

/// Parts of a rate.
pub const BILLION: i128 = 1_000_000_000;

/// An offset and what bounds it, ns. `lo_ns <= offset_ns <= hi_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Best estimate.
    pub ns: i64,
    /// Lower and upper bound; `None` where nothing bounds it.
    pub bounds: Option<(i64, i64)>,
}

/// The offset at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knot {
    /// The moment.
    pub t: i64,
    /// The offset then.
    pub offset: Offset,
    /// Its rate, parts per billion.
    pub drift_ppb: i64,
    /// What the data leaves unexplained, ns.
    pub residual_ns: i64,
}

impl Knot {
    /// The knot's line at another moment, its bounds wider by the hold rate.
    fn held(&self, t: i64) -> Offset {
        let elapsed = t.saturating_sub(self.t);
        let moved = share(elapsed, self.drift_ppb, BILLION);
        let wander = share(elapsed.saturating_abs(), HOLD_PPB, BILLION);
        let bounds = self.offset.bounds.map(|(lo, hi)| {
            let by = |bound: i64, ns: i64| bound.saturating_add(moved).saturating_add(ns);
            (by(lo, -wander - 1), by(hi, wander + 1))
        });
        Offset { ns: self.offset.ns.saturating_add(moved), bounds }
    }

    /// Distance of the bounds, ns; 0 without any.
    fn width_ns(&self) -> i64 {
        self.offset.bounds.map_or(0, |(lo, hi)| hi.saturating_sub(lo))
    }
}

/// value x by / of, rounded to the nearest.
pub fn share(value: i64, by: i64, of: i128) -> i64 {
    // What fits 64 bits, nearly everything, is several times quicker there.
    if let (Some(product), Ok(of)) = (value.checked_mul(by), i64::try_from(of))
        && let Some(rounded) = product.checked_add(of.signum() * of / 2)
    {
        return rounded.div_euclid(of);
    }
    let product = i128::from(value) * i128::from(by);
    ((product + of.signum() * of / 2).div_euclid(of)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A sudden change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The last moment before it and the first after it that are known.
    pub between: (i64, i64),
    /// By how much the offset changed beyond its rate, ns.
    pub by_ns: i64,
}

/// Knots in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    knots: Vec<Knot>,
    /// What holds from each knot to the next.
    spans: Vec<Span>,
    steps: Vec<Step>,
    /// Where the last moment asked for lay: the next is mostly near it.
    hint: Hint,
}

/// A place that may be wrong; it is no part of what a track says.
#[derive(Debug, Default)]
struct Hint(AtomicUsize);

impl Clone for Hint {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl PartialEq for Hint {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Hint {}

/// The knots next to a moment.
enum Around<'a> {
    Between(&'a Knot, &'a Knot, Span),
    Beside(&'a Knot),
}

/// The value at `t` on the line from one (moment, value) to another.
fn straight((from_t, from): (i64, i64), (to_t, to): (i64, i64), t: i64) -> i64 {
    let gap = i128::from(to_t.saturating_sub(from_t).max(1));
    from.saturating_add(share(t.saturating_sub(from_t), to.saturating_sub(from), gap))
}

/// What holds between two knots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Too long to be bridged.
    Far,
    /// A step lies in it, or may.
    Step,
    /// Straight from one to the other, bounds wider by so many ns.
    Straight { wander_ns: i64 },
}

impl Span {
    fn of(a: &Knot, b: &Knot, steps: &[Step]) -> Self {
        let gap = b.t.saturating_sub(a.t);
        let place = steps.partition_point(|step| step.between.1 < b.t);
        let known = steps.get(place).is_some_and(|step| step.between.0 <= a.t);
        match () {
            () if gap > HOLD_MAX_NS => Self::Far,
            () if known || may_be_step(a, b) => Self::Step,
            () => Self::Straight { wander_ns: bend(a, b, gap) },
        }
    }
}

impl Track {
    /// Of knots in any order.
    pub fn new(mut knots: Vec<Knot>) -> Self {
        knots.sort_by_key(|knot| knot.t);
        let behind = steady::settle(&mut knots);
        let mut steps: Vec<Step> = Vec::new();
        for place in behind {
            let ends = place.checked_sub(1).and_then(|a| knots.get(a)).zip(knots.get(place));
            let Some((a, b)) = ends else { continue };
            match steps.last_mut().filter(|step| step.between.1 == a.t) {
                // Windows that reach over a step lie on neither side.
                Some(step) => {
                    step.between.1 = b.t;
                    step.by_ns = step.by_ns.saturating_add(change(a, b));
                }
                None => steps.push(Step { between: (a.t, b.t), by_ns: change(a, b) }),
            }
        }
        let pairs = knots.iter().zip(knots.iter().skip(1));
        let spans = pairs.map(|(a, b)| Span::of(a, b, &steps)).collect();
        Self { knots, spans, steps, hint: Hint::default() }
    }

    /// The knots, by time.
    pub fn knots(&self) -> &[Knot] {
        &self.knots
    }

    /// The knot at a moment.
    pub fn knot(&self, t: i64) -> Option<&Knot> {
        let place = self.knots.binary_search_by_key(&t, |knot| knot.t).ok()?;
        self.knots.get(place)
    }

    /// The offset at a moment; without bounds farther than [`HOLD_MAX_NS`] from
    /// what is known; `None` where there is no knot at all.
    pub fn at(&self, t: i64) -> Option<Offset> {
        match self.around(t)? {
            Around::Between(a, b, span) => Some(span.at(a, b, t)),
            Around::Beside(one) => Some(limited(one, t)),
        }
    }

    /// The same without its bounds, which take twice the time to find.
    pub fn ns_at(&self, t: i64) -> Option<i64> {
        match self.around(t)? {
            Around::Between(a, b, Span::Straight { .. }) => {
                Some(straight((a.t, a.offset.ns), (b.t, b.offset.ns), t))
            }
            _ => self.at(t).map(|offset| offset.ns),
        }
    }

    /// How many knots there are up to a moment.
    fn place(&self, t: i64) -> usize {
        let hint = self.hint.0.load(Ordering::Relaxed);
        let before = hint.checked_sub(1).map(|before| self.knots.get(before));
        let after_it = before.is_none_or(|knot| knot.is_some_and(|knot| knot.t <= t));
        if after_it && self.knots.get(hint).is_none_or(|knot| t < knot.t) {
            return hint;
        }
        let place = self.knots.partition_point(|knot| knot.t <= t);
        self.hint.0.store(place, Ordering::Relaxed);
        place
    }

    fn around(&self, t: i64) -> Option<Around<'_>> {
        let place = self.place(t);
        let before = place.checked_sub(1);
        let a = before.and_then(|before| self.knots.get(before));
        match (a, self.knots.get(place)) {
            (Some(a), Some(b)) => {
                let span = before.and_then(|before| self.spans.get(before));
                Some(Around::Between(a, b, span.copied().unwrap_or(Span::Far)))
            }
            (one, other) => one.or(other).map(Around::Beside),
        }
    }

    /// The steps: changes between knots that no rate explains.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Span {
    /// The offset at a moment between the two knots.
    fn at(self, a: &Knot, b: &Knot, t: i64) -> Offset {
        let nearer_a = t.saturating_sub(a.t) < b.t.saturating_sub(t);
        let wander = match self {
            Self::Far => {
                let tied = t.saturating_sub(a.t) <= b.t.saturating_sub(t);
                return Offset { bounds: None, ..if tied { a } else { b }.held(t) };
            }
            Self::Step => return either(a.held(t), b.held(t), nearer_a),
            Self::Straight { wander_ns } => wander_ns,
        };
        let straight = |from: i64, to: i64| straight((a.t, from), (b.t, to), t);
        let bounds = a.offset.bounds.zip(b.offset.bounds).map(|(a, b)| {
            let lo = straight(a.0, b.0).saturating_sub(wander);
            (lo, straight(a.1, b.1).saturating_add(wander))
        });
        Offset { ns: straight(a.offset.ns, b.offset.ns), bounds }
    }
}

fn limited(knot: &Knot, t: i64) -> Offset {
    let held = knot.held(t);
    let near = t.saturating_sub(knot.t).saturating_abs() <= HOLD_MAX_NS;
    Offset { bounds: held.bounds.filter(|_| near), ..held }
}

/// What the rates of two knots do not explain of the way from one to the other.
fn change(a: &Knot, b: &Knot) -> i64 {
    let rate = (a.drift_ppb + b.drift_ppb) / 2;
    let moved = share(b.t.saturating_sub(a.t), rate, BILLION);
    b.offset.ns.saturating_sub(a.offset.ns).saturating_sub(moved)
}

/// Whether a step too small to be certain of may lie between two knots: their
/// bounds then hold on their own sides only. An estimate lies midway between
/// its bounds, so that it moves where only one of them does.
fn may_be_step(a: &Knot, b: &Knot) -> bool {
    let residual = a.residual_ns.max(b.residual_ns).saturating_mul(STEP_RESIDUALS);
    let wander = share(b.t.saturating_sub(a.t), HOLD_PPB, BILLION);
    let wider = a.width_ns().abs_diff(b.width_ns()) / 2;
    let explained = STEP_MIN_NS.max(residual).saturating_add(wander);
    change(a, b).unsigned_abs() > (explained.unsigned_abs()).saturating_add(wider)
}

/// How far a clock strays from the straight line between two knots: half the
/// way, the rates' difference; over a long gap, what the hold rate allows.
fn bend(a: &Knot, b: &Knot, gap: i64) -> i64 {
    let change = a.drift_ppb.abs_diff(b.drift_ppb).min(HOLD_PPB as u64) as i64;
    let unseen = if gap > LONG_GAP_NS { HOLD_PPB } else { 0 };
    share(gap, change.max(unseen), 4 * BILLION) + 1
}

/// A gap from which on neighbouring windows no longer overlap, ns.
const LONG_GAP_NS: i64 = 1_000_000_000;

fn either(a: Offset, b: Offset, first: bool) -> Offset {
    let bounds = a.bounds.zip(b.bounds).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
    Offset { ns: if first { a.ns } else { b.ns }, bounds }
}
