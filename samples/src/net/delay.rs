//! The delay of one leg of a wire.

use crate::rng::SimRng;

/// A delay: a floor plus a waiting time on top.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// Shortest delay, in nanoseconds.
    pub floor_ns: i64,
    /// Mean of what comes on top, in nanoseconds.
    pub jitter_ns: i64,
}

impl Delay {
    /// A delay of at least `floor_ns`, on average `jitter_ns` more.
    pub const fn new(floor_ns: i64, jitter_ns: i64) -> Self {
        Self { floor_ns, jitter_ns }
    }

    /// Draws one.
    pub fn draw(self, rng: &mut SimRng) -> i64 {
        self.floor_ns + rng.waiting(self.jitter_ns)
    }
}

/// Time a frame of `bytes` takes at 10 Gb/s, preamble and gap included, in
/// nanoseconds.
pub fn wire_ns(bytes: usize) -> i64 {
    (bytes as i64 + 24) * 8 / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_below_the_floor() {
        let mut rng = SimRng::new(3, 0);
        let delay = Delay::new(500, 100);
        assert!((0..1000).all(|_| delay.draw(&mut rng) >= 500));
    }

    #[test]
    fn a_full_frame_takes_over_a_microsecond() {
        assert_eq!(wire_ns(1518), 1233);
    }
}
