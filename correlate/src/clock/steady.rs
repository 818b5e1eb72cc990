//! What the moments of a run say about each other: rates change slowly.
//!
//! ```text
//!    own bounds   ┃     ┃     ┃     ╏  wide: no traffic on its far side
//!                  ╲─ ─ ─ ─ ─ ─ ─ ─┨  where lines through the others reach
//!                  ╱─ ─ ─ ─ ─ ─ ─ ─┨
//!                                       ┃  cannot be reached: behind a step
//! ```
//!
//! A line through two moments' bounds bounds the rate between them, and with
//! it, as far as the rate may change, the offset at a third. Bounds are cut to
//! what the others allow, forward and backward; where nothing is left the clock
//! has stepped. That is a proof, not a guess: bounds that grow wider at a run's
//! ends, where traffic lies on one side only, make no step.

use super::fit::SLOPE_MAX;
use super::track::{BILLION, HOLD_MAX_NS, HOLD_PPB, Knot, share};

/// Moments looked back.
const REACH: usize = 16;

/// Moments to each side that a rate is checked against.
const RATE_REACH: usize = 4;

/// A rate may change by this many of the deviations that three of four rates
/// of a run stay within.
const DEVIATIONS: i64 = 3;

#[derive(Clone, Copy)]
struct Bounds {
    t: i64,
    lo: i64,
    hi: i64,
}

/// Cuts the bounds of knots, which are in order of time, to what the others
/// allow. Gives the places of those that lie behind a step.
pub fn settle(knots: &mut [Knot]) -> Vec<usize> {
    let change_ppb = rate_change(knots);
    let mut known: Vec<Bounds> = Vec::with_capacity(knots.len());
    let mut behind = Vec::new();
    let mut start = 0;
    for (place, knot) in knots.iter().enumerate() {
        let (lo, hi) = knot.offset.bounds.unwrap_or((i64::MIN, i64::MAX));
        let own = Bounds { t: knot.t, lo, hi };
        let before = known.get(start..).unwrap_or_default().iter().rev();
        let cut = reached(before, own.t, change_ppb).map(|reached| overlap(own, reached));
        if let Some(None) = cut {
            behind.push(place);
            start = place;
        }
        known.push(cut.flatten().unwrap_or(own));
    }
    let mut end = known.len();
    for start in behind.iter().rev().copied().chain([0]) {
        if let (Some(known), Some(knots)) = (known.get_mut(start..end), knots.get_mut(start..end)) {
            backward(known, change_ppb);
            apply(known, knots, change_ppb);
        }
        end = start;
    }
    behind
}

/// How much a rate may change, parts per billion.
fn rate_change(knots: &[Knot]) -> i64 {
    let mut rates: Vec<i64> = knots.iter().map(|knot| knot.drift_ppb).collect();
    rates.sort_unstable();
    let Some(&middle) = rates.get(rates.len() / 2) else { return HOLD_PPB };
    let mut apart: Vec<i64> =
        rates.iter().map(|rate| rate.saturating_sub(middle).saturating_abs()).collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() * 3 / 4).copied().unwrap_or(0);
    usual.saturating_mul(DEVIATIONS).clamp(HOLD_PPB, slope_max_ppb())
}

fn slope_max_ppb() -> i64 {
    (SLOPE_MAX * 1e9) as i64
}

/// Where lines through moments, the nearest first, reach at `t`.
fn reached<'b>(
    mut near: impl Iterator<Item = &'b Bounds>,
    t: i64,
    change_ppb: i64,
) -> Option<Bounds> {
    let last = near.next()?;
    let way = t.saturating_sub(last.t).saturating_abs();
    if way > HOLD_MAX_NS {
        return None;
    }
    let most = share(way, slope_max_ppb(), BILLION);
    let bent = share(way, change_ppb, BILLION) + 1;
    let (mut down, mut up) = (-most, most);
    for far in near.take(REACH) {
        let base = last.t.saturating_sub(far.t).saturating_abs();
        if base == 0 || base > HOLD_MAX_NS {
            break;
        }
        let moved = |from: i64, to: i64| share(to.saturating_sub(from), way, base.into());
        up = up.min(moved(far.lo, last.hi).saturating_add(bent));
        down = down.max(moved(far.hi, last.lo).saturating_sub(bent));
    }
    let (lo, hi) = (last.lo.saturating_add(down), last.hi.saturating_add(up));
    (lo <= hi).then_some(Bounds { t, lo, hi })
}

fn overlap(a: Bounds, b: Bounds) -> Option<Bounds> {
    let both = Bounds { t: a.t, lo: a.lo.max(b.lo), hi: a.hi.min(b.hi) };
    (both.lo <= both.hi).then_some(both)
}

/// Cuts each moment to what the later ones allow.
fn backward(known: &mut [Bounds], change_ppb: i64) {
    for place in (0..known.len()).rev() {
        let Some((own, later)) = known.get_mut(place..).and_then(<[Bounds]>::split_first_mut)
        else {
            continue;
        };
        let cut = reached(later.iter(), own.t, change_ppb).and_then(|other| overlap(*own, other));
        *own = cut.unwrap_or(*own);
    }
}

/// Puts the knots of one stretch between their bounds.
fn apply(known: &[Bounds], knots: &mut [Knot], change_ppb: i64) {
    for (place, (knot, cut)) in knots.iter_mut().zip(known).enumerate() {
        let Some((lo, hi)) = knot.offset.bounds else { continue };
        let (was, is) = (hi.saturating_sub(lo), cut.hi.saturating_sub(cut.lo));
        if is < was - was / 4 {
            knot.offset.ns = cut.lo + is / 2;
        }
        knot.offset.ns = knot.offset.ns.clamp(cut.lo, cut.hi);
        knot.offset.bounds = Some((cut.lo, cut.hi));
        let ends = (place.saturating_sub(RATE_REACH), (place + RATE_REACH).min(known.len() - 1));
        let Some((a, b)) = known.get(ends.0).zip(known.get(ends.1)) else { continue };
        let base = b.t.saturating_sub(a.t);
        if base > 0 {
            let rate = |ns: i64| share(ns, BILLION as i64, base.into());
            let least = rate(b.lo.saturating_sub(a.hi)).saturating_sub(change_ppb);
            let most = rate(b.hi.saturating_sub(a.lo)).saturating_add(change_ppb);
            knot.drift_ppb = knot.drift_ppb.clamp(least.min(most), most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::track::{Offset, Track};
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// A clock that drifts by 30 ppm, known to 2 us by its traffic.
    fn knot(number: i64, ns: i64, half: (i64, i64), drift_ppb: i64) -> Knot {
        let bounds = Some((ns - half.0, ns + half.1));
        let offset = Offset { ns: ns + (half.1 - half.0) / 2, bounds };
        Knot { t: number * SECOND / 2, offset, drift_ppb, residual_ns: 20 }
    }

    fn drifting(number: i64) -> i64 {
        15_000 * number
    }

    #[test]
    fn bounds_that_widen_at_the_ends_of_a_run_make_no_step() {
        let mut knots: Vec<Knot> =
            (1..18).map(|n| knot(n, drifting(n), (2_000, 2_300), 30_000)).collect();
        knots.push(knot(0, drifting(0), (80_000, 300), 0));
        knots.push(knot(18, drifting(18), (130_000, 200), -109_000));
        let track = Track::new(knots);
        assert_eq!(track.steps(), []);
        for number in [0, 18] {
            let t = number * SECOND / 2;
            let (lo, hi) = track.at(t).unwrap().bounds.unwrap();
            assert!(lo <= drifting(number) && drifting(number) <= hi, "{number}: {lo} {hi}");
            assert!(hi - lo < 8_000, "{number}: {lo} {hi}");
        }
        let middle = track.at(35 * SECOND / 4).unwrap();
        let (lo, hi) = middle.bounds.unwrap();
        let truth = drifting(35) / 2;
        assert!(lo <= truth && truth <= hi && hi - lo < 10_000, "{middle:?}");
    }

    #[test]
    fn what_no_rate_explains_is_a_step() {
        let stepped = |n: i64| drifting(n) + if n < 9 { 0 } else { 12_000 };
        let knots = (0..18).map(|n| knot(n, stepped(n), (2_000, 2_300), 30_000)).collect();
        let track = Track::new(knots);
        let [step] = track.steps() else { panic!("{:?}", track.steps()) };
        assert_eq!(step.between, (4 * SECOND, 9 * SECOND / 2));
        assert!((step.by_ns - 12_000).abs() < 100, "{step:?}");
        for n in 0..18 {
            let (lo, hi) = track.at(n * SECOND / 2).unwrap().bounds.unwrap();
            assert!(lo <= stepped(n) && stepped(n) <= hi, "{n}: {lo} {hi}");
        }
    }

    #[test]
    fn a_bent_line_stays_inside() {
        let bent = |n: i64| drifting(n) + 250 * (n - 9).max(0);
        let drift = |n: i64| if n < 9 { 30_000 } else { 30_500 };
        let knots = (0..18).map(|n| knot(n, bent(n), (300, 300), drift(n))).collect();
        let track = Track::new(knots);
        assert_eq!(track.steps(), []);
        for n in 0..18 {
            let (lo, hi) = track.at(n * SECOND / 2).unwrap().bounds.unwrap();
            assert!(lo <= bent(n) && bent(n) <= hi, "{n}: {lo} {hi}");
        }
    }
}
