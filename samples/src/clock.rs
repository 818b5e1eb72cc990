//! The clocks that stamp: each is true time plus an offset that drifts and,
//! on a bad day, wanders.
//!
//! ```text
//! reading(t) = t + offset + drift x (t - start) + wander(t)
//! ```
//! C1 is the reference: its reading is true time.

use crate::config::Faults;
use crate::rng::SimRng;

const NS_PER_S: i64 = 1_000_000_000;

/// Half width of the noise of one stamp, in nanoseconds.
pub const STAMP_NOISE_NS: i64 = 4;

/// The clocks' names; a point names its clock by the index here.
pub const CLOCK_NAMES: [&str; 3] = ["C1", "C2", "C3"];

/// Half widths of the calibration's error by clock, in nanoseconds: what the
/// site's configuration states as the bound.
pub const CALIBRATION_BOUND_NS: [i64; 3] = [0, 40, 80];

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
}

/// Seconds of wander kept; later ones repeat the last.
const WANDER_MAX_S: usize = 100_000;

impl NodeClock {
    /// The clock `index` of [`CLOCK_NAMES`] for a seed and level of faults.
    pub fn new(index: usize, seed: u64, faults: Faults, start_ns: i64) -> Self {
        let mut rng = SimRng::new(seed, 100 + index as u64);
        let (offset_max, drift_max, wander_step_ns) = match faults {
            _ if index == 0 => (0, 0, 0),
            Faults::None => (5_000, 20, 0),
            Faults::Light => (1_000_000, 2_000, 0),
            Faults::Heavy => (1_000_000, 80_000, 300),
        };
        Self {
            start_ns,
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
        self.offset_ns + drift as i64 + self.wander_at(t_ns - self.start_ns)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_true_time() {
        let mut clock = NodeClock::new(0, 9, Faults::Heavy, 1_000);
        assert_eq!(clock.offset_at(1_000), 0);
        assert_eq!(clock.offset_at(1_000 + 3_600 * NS_PER_S), 0);
    }

    #[test]
    fn drift_adds_up() {
        let mut clock = NodeClock::new(1, 9, Faults::Light, 0);
        let grown = clock.offset_at(10 * NS_PER_S) - clock.offset_at(0);
        assert_eq!(grown, clock.drift_ppb * 10);
        assert_ne!(clock.drift_ppb, 0);
    }

    #[test]
    fn wander_is_continuous() {
        let mut clock = NodeClock::new(2, 9, Faults::Heavy, 0);
        let before = clock.offset_at(2 * NS_PER_S - 1);
        let after = clock.offset_at(2 * NS_PER_S);
        assert!((after - before).abs() <= 2, "{before} {after}");
    }
}
