//! The one source of chance, in integers only, so that a seed gives the same
//! bytes on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Parts in a million.
pub const MILLION: u64 = 1_000_000;

/// A seeded ChaCha stream with the few draws the simulator needs.
#[derive(Debug)]
pub struct SimRng(ChaCha8Rng);

impl SimRng {
    /// The stream of `seed`; `stream` keeps parts of the simulation apart, so
    /// that one drawing more does not change the others.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..n`, 0 where `n` is 0. The bias is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `low..=high`; `low` where that range is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low).max(0) as u64;
        low + self.below(width + 1) as i64
    }

    /// True in `ppm` of a million draws.
    pub fn chance(&mut self, ppm: u64) -> bool {
        ppm > 0 && self.below(MILLION) < ppm
    }

    /// True in `percent` of a hundred draws.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A waiting time with the given mean, close to exponential: halvings of
    /// probability are exact, between them the time is uniform.
    pub fn waiting(&mut self, mean_ns: i64) -> i64 {
        let bits = self.bits();
        let halvings = i128::from((bits | 1 << 40).trailing_zeros());
        let within = i128::from(bits >> 54);
        // Mean of halvings + within/1024 is 1.5, so scale by two thirds.
        let scaled = i128::from(mean_ns) * (halvings * 1024 + within) * 2;
        (scaled / (3 * 1024)) as i64
    }

    /// One of `items`, which is not empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_stream() {
        let draw = |stream| {
            let mut rng = SimRng::new(7, stream);
            [rng.bits(), rng.bits()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn waiting_has_its_mean() {
        let mut rng = SimRng::new(1, 0);
        let sum: i64 = (0..100_000).map(|_| rng.waiting(1000)).sum();
        let mean = sum / 100_000;
        assert!((980..1020).contains(&mean), "{mean}");
    }

    #[test]
    fn chance_is_in_parts_per_million() {
        let mut rng = SimRng::new(1, 0);
        let hits = (0..100_000).filter(|_| rng.chance(100_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!(!rng.chance(0));
    }

    #[test]
    fn between_reaches_both_ends_and_no_further() {
        let mut rng = SimRng::new(1, 0);
        let drawn: Vec<i64> = (0..1000).map(|_| rng.between(-2, 2)).collect();
        assert_eq!(drawn.iter().min(), Some(&-2));
        assert_eq!(drawn.iter().max(), Some(&2));
        assert_eq!(rng.between(5, 4), 5);
    }
}
