//! Synthetic two-way traffic with a known offset.

use super::fit::{Sample, Unbounded};
use super::gauge::{Direction, PairTraffic, Window};
use super::track::{Knot, Offset, Track};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// Random numbers (SplitMix64).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: i64) -> i64 {
        (self.next() % n.max(1) as u64) as i64
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Traffic both ways over one pair of clocks.
struct Traffic {
    /// Messages a second forward and in reverse.
    rate: (i64, i64),
    seconds: i64,
    /// Share of messages that wait in no queue.
    unqueued: f64,
    /// Share of matches that are wrong.
    mismatched: f64,
}

const USUAL: Traffic = Traffic { rate: (2_000, 500), seconds: 6, unqueued: 0.3, mismatched: 0.0 };

/// Smallest delays forward and in reverse: the asymmetry is 300 ns.
const DELAY: (i64, i64) = (2_000, 2_300);

impl Traffic {
    fn over(&self, theta: impl Fn(i64) -> i64) -> PairTraffic {
        let mut rng = Rng(7);
        let mut pair = PairTraffic::default();
        let sides = [
            (self.rate.0, DELAY.0, 1, Direction::Forward),
            (self.rate.1, DELAY.1, -1, Direction::Reverse),
        ];
        for (rate, delay, sign, direction) in sides {
            for _ in 0..rate * self.seconds {
                let t = rng.below(self.seconds * SECOND);
                let queued = rng.share() >= self.unqueued;
                let queue = if queued { (-rng.share().max(1e-9).ln() * 3_000.0) as i64 } else { 0 };
                let noise = rng.below(9) - 4;
                let wrong = rng.share() < self.mismatched;
                let error = if wrong { rng.below(2_000_000) - 1_000_000 } else { 0 };
                let d = theta(t) + sign * (delay + queue) + noise + error;
                pair.add(Sample { t, d }, direction, 8);
            }
        }
        pair
    }
}

/// Every half second of the traffic.
fn windows(pair: &PairTraffic) -> Vec<Window> {
    let (start, end) = pair.span().unwrap();
    (start..=end).step_by(pair.step_ns() as usize).map(|t| pair.window(t)).collect()
}

fn track(pair: &PairTraffic) -> Track {
    let knot = |window: Window| {
        let fit = window.fit.ok()?;
        let offset = Offset { ns: fit.offset_ns?, bounds: fit.lo_ns.zip(fit.hi_ns) };
        let (drift_ppb, residual_ns) = (fit.drift_ppb, fit.residual_ns);
        Some(Knot { t: window.at, offset, drift_ppb, residual_ns })
    };
    Track::new(windows(pair).into_iter().filter_map(knot).collect())
}

fn drifting(t: i64) -> i64 {
    123_456 + t / 50_000 // 20 ppm
}

/// Largest distance of the estimate from truth + 150 ns, after checking that
/// the truth is inside every window's bound.
fn residual(pair: &PairTraffic, theta: impl Fn(i64) -> i64) -> i64 {
    let windows = windows(pair);
    assert!(windows.len() >= 5);
    let error = |window: &Window| {
        let fit = window.fit.unwrap();
        let truth = theta(window.at);
        let (lo, hi) = (fit.lo_ns.unwrap(), fit.hi_ns.unwrap());
        assert!(lo <= truth && truth <= hi, "{truth} outside {fit:?}");
        (fit.offset_ns.unwrap() - truth + (DELAY.1 - DELAY.0) / 2).abs()
    };
    // The first and last window have traffic on one side of their middle only.
    windows[1..windows.len() - 1].iter().map(error).max().unwrap()
}

#[test]
fn the_error_is_half_the_asymmetry() {
    assert!(residual(&USUAL.over(drifting), drifting) <= 8);
}

#[test]
fn low_rates_take_wider_windows() {
    let low = Traffic { rate: (20, 5), seconds: 60, unqueued: 0.5, ..USUAL };
    let pair = low.over(drifting);
    assert!(windows(&pair).iter().all(|w| w.span.1 - w.span.0 >= 2 * SECOND));
    assert!(residual(&pair, drifting) <= 100);
}

#[test]
fn few_unqueued_messages_are_enough() {
    let queued = Traffic { unqueued: 0.01, seconds: 10, ..USUAL };
    assert!(residual(&queued.over(drifting), drifting) <= 100);
}

#[test]
fn wrong_matches_are_cleaned() {
    let wrong = Traffic { mismatched: 0.01, ..USUAL };
    assert!(residual(&wrong.over(drifting), drifting) <= 30);
}

#[test]
fn one_way_bounds_one_side_and_tells_the_drift() {
    let one_way = Traffic { rate: (2_000, 0), ..USUAL };
    for window in &windows(&one_way.over(drifting))[1..6] {
        let fit = window.fit.unwrap();
        assert_eq!((fit.lo_ns, fit.offset_ns), (None, None));
        let above = fit.hi_ns.unwrap() - drifting(window.at);
        assert!((DELAY.0..DELAY.0 + 100).contains(&above), "{above}");
        assert!((fit.drift_ppb - 20_000).abs() < 500, "{fit:?}");
    }
}

fn held_everywhere(track: &Track, until: i64, theta: impl Fn(i64) -> i64) {
    for t in (SECOND / 2..until - SECOND / 2).step_by(10_000_000) {
        let (lo, hi) = track.at(t).unwrap().bounds.unwrap();
        let truth = theta(t);
        assert!(lo <= truth && truth <= hi, "at {t}: {truth} outside {lo} {hi}");
    }
}

#[test]
fn a_step_is_found_and_bounded() {
    let theta = |t: i64| drifting(t) + if t < 3_210_000_000 { 0 } else { 50_000 };
    let track = track(&USUAL.over(theta));
    let steps = track.steps();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert!(steps[0].between.0 <= 3_210_000_000 && 3_210_000_000 <= steps[0].between.1);
    assert!((steps[0].by_ns - 50_000).abs() < 1_000, "{steps:?}");
    held_everywhere(&track, 6 * SECOND, theta);
}

#[test]
fn wander_stays_inside() {
    let theta = |t: i64| drifting(t) + (500.0 * (t as f64 / 5e8).sin()) as i64;
    let track = track(&USUAL.over(theta));
    assert_eq!(track.steps(), []);
    held_everywhere(&track, 6 * SECOND, theta);
}

proptest! {
    #[test]
    fn truth_is_inside_whatever_the_delays(
        forward in prop::collection::vec((0..SECOND, 0..3_000_000i64), 1..4),
        reverse in prop::collection::vec((0..SECOND, 0..3_000_000i64), 1..4),
        offset in -2_000_000_000i64..2_000_000_000,
        ppb in -200_000i64..200_000,
    ) {
        let theta = |t: i64| offset + (i128::from(t) * i128::from(ppb) / 1_000_000_000) as i64;
        let mut pair = PairTraffic::default();
        for (t, delay) in forward {
            pair.add(Sample { t, d: theta(t) + delay }, Direction::Forward, 1);
        }
        for (t, delay) in reverse {
            pair.add(Sample { t, d: theta(t) - delay }, Direction::Reverse, 1);
        }
        for window in windows(&pair) {
            if let Ok(fit) = window.fit {
                let truth = theta(window.at);
                prop_assert!(fit.lo_ns.is_none_or(|lo| lo <= truth), "{truth} {fit:?}");
                prop_assert!(fit.hi_ns.is_none_or(|hi| truth <= hi), "{truth} {fit:?}");
            } else {
                prop_assert!(window.fit != Err(Unbounded::Contradiction));
            }
        }
    }
}
