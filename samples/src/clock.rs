//! The clocks that stamp: each is true time plus an offset that drifts and,
//! on a bad day, wanders.
//!
//! ```text
//! reading(t) = t + offset + drift x (t - start) + wander(t)
//! ```
//! C1 is the reference: its reading is true time.

use crate::config::{Faults, SimConfig};
use crate::rng::SimRng;
use crate::trouble::Trouble;

const NS_PER_S: i64 = 1_000_000_000;

/// Half width of the noise of one stamp, in nanoseconds.
pub const STAMP_NOISE_NS: i64 = 4;

/// The clocks' names; a point names its clock by the index here.
pub const CLOCK_NAMES: [&str; 3] = ["C1", "C2", "C3"];

/// Half widths of the calibration's error by clock, in nanoseconds: what the
/// site's configuration states as the bound.
pub const CALIBRATION_BOUND_NS: [i64; 3] = [0, 40, 80];

/// TAI minus UTC since 2017.
pub const TAI_AHEAD_NS: i64 = 37 * NS_PER_S;
/// The clocks that count TAI and that are set anew, where those happen.
const TAI_CLOCK: usize = 1;
const STEPPED_CLOCK: usize = 2;
/// How far a clock is set, at least and at most.
const STEP_NS: (i64, i64) = (20_000, 400_000);

/// One clock.
#[derive(Debug)]
pub struct NodeClock {
    start_ns: i64,
    /// Reading minus true time at the start.
    pub offset_ns: i64,
    /// Rate error, parts per billion.
    pub drift_ppb: i64,
    wander_step_ns: i64,
    /// Wander at whole seconds since the start, as far as it was needed.
    wander_ns: Vec<i64>,
    wander_rng: SimRng,
    /// When it is set, and by how much.
    step: Option<(i64, i64)>,
    /// How far ahead it is because it counts other seconds.
    pub ahead_ns: i64,
}

/// When a clock is set: on a whole second, in the middle of the day.
pub fn step_at_ns(config: &SimConfig) -> i64 {
    let seconds = i64::try_from(config.seconds / 2).unwrap_or(i64::MAX / NS_PER_S).max(1);
    config.start_ns.saturating_add(seconds.saturating_mul(NS_PER_S))
}

/// Seconds of wander kept; later ones repeat the last.
const WANDER_MAX_S: usize = 100_000;

impl NodeClock {
    /// The clock `index` of [`CLOCK_NAMES`].
    pub fn new(index: usize, config: &SimConfig) -> Self {
        let mut rng = SimRng::new(config.seed, 100 + index as u64);
        let (offset_max, drift_max, wander_step_ns) = match config.faults {
            _ if index == 0 => (0, 0, 0),
            Faults::None => (5_000, 20, 0),
            Faults::Light => (1_000_000, 2_000, 0),
            Faults::Heavy => (1_000_000, 80_000, 300),
        };
        let has = |trouble| config.troubles.contains(&trouble);
        let tai = index == TAI_CLOCK && has(Trouble::TaiClock);
        let stepped = index == STEPPED_CLOCK && has(Trouble::ClockStep);
        Self {
            start_ns: config.start_ns,
            step: stepped.then(|| (step_at_ns(config), step_ns(config.seed))),
            ahead_ns: if tai { TAI_AHEAD_NS } else { 0 },
            offset_ns: rng.between(-offset_max, offset_max),
            drift_ppb: rng.between(-drift_max, drift_max),
            wander_step_ns,
            wander_ns: vec![0],
            wander_rng: rng,
        }
    }

    /// Reading minus true time at true time `t_ns`.
    pub fn offset_at(&mut self, t_ns: i64) -> i64 {
        let elapsed = i128::from(t_ns - self.start_ns);
        let drift = elapsed * i128::from(self.drift_ppb) / i128::from(NS_PER_S);
        let step = self.step.filter(|&(at_ns, _)| t_ns >= at_ns).map_or(0, |(_, by_ns)| by_ns);
        let wander = self.wander_at(t_ns - self.start_ns);
        self.offset_ns + self.ahead_ns + drift as i64 + wander + step
    }

    /// A random walk, straight between whole seconds.
    fn wander_at(&mut self, elapsed_ns: i64) -> i64 {
        if self.wander_step_ns == 0 {
            return 0;
        }
        let second = (elapsed_ns.max(0) / NS_PER_S) as usize;
        while self.wander_ns.len() < (second + 2).min(WANDER_MAX_S) {
            let last = self.wander_ns.last().copied().unwrap_or(0);
            let step = self.wander_rng.between(-self.wander_step_ns, self.wander_step_ns);
            self.wander_ns.push(last + step);
        }
        let last = self.wander_ns.len() - 1;
        let from = self.wander_ns[second.min(last)];
        let to = self.wander_ns[(second + 1).min(last)];
        from + (to - from) * (elapsed_ns.max(0) % NS_PER_S) / NS_PER_S
    }
}

/// Forward or back.
fn step_ns(seed: u64) -> i64 {
    let mut rng = SimRng::new(seed, 200);
    let by_ns = rng.between(STEP_NS.0, STEP_NS.1);
    if rng.percent(50) { by_ns } else { -by_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(index: usize, faults: Faults, start_ns: i64) -> NodeClock {
        NodeClock::new(index, &SimConfig { seed: 9, faults, start_ns, ..SimConfig::default() })
    }

    #[test]
    fn the_reference_is_true_time() {
        let mut clock = clock(0, Faults::Heavy, 1_000);
        assert_eq!(clock.offset_at(1_000), 0);
        assert_eq!(clock.offset_at(1_000 + 3_600 * NS_PER_S), 0);
    }

    #[test]
    fn drift_adds_up() {
        let mut clock = clock(1, Faults::Light, 0);
        let grown = clock.offset_at(10 * NS_PER_S) - clock.offset_at(0);
        assert_eq!(grown, clock.drift_ppb * 10);
        assert_ne!(clock.drift_ppb, 0);
    }

    #[test]
    fn wander_is_continuous() {
        let mut clock = clock(2, Faults::Heavy, 0);
        let before = clock.offset_at(2 * NS_PER_S - 1);
        let after = clock.offset_at(2 * NS_PER_S);
        assert!((after - before).abs() <= 2, "{before} {after}");
    }

    #[test]
    fn a_set_clock_jumps_and_one_of_tai_is_ahead() {
        let troubles = [Trouble::ClockStep, Trouble::TaiClock].into();
        let config = SimConfig { start_ns: 0, troubles, ..SimConfig::default() };
        let (mut tai, mut stepped) = (NodeClock::new(1, &config), NodeClock::new(2, &config));
        let plain = SimConfig { start_ns: 0, ..SimConfig::default() };
        let mut same = NodeClock::new(1, &plain);
        assert_eq!(tai.offset_at(77) - same.offset_at(77), TAI_AHEAD_NS);
        let at_ns = step_at_ns(&config);
        let jump = stepped.offset_at(at_ns) - stepped.offset_at(at_ns - 1);
        assert!((STEP_NS.0..=STEP_NS.1 + 1).contains(&jump.abs()), "{jump}");
    }
}
