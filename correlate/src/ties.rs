//! Observations of equal time, in one order whatever order they came in.
//!
//! ```text
//! 10.1  10.1  10.1 | 10.2     the three are given, sorted, once 10.2 has come
//! ```

use crate::observation::Observation;

/// Most observations of exactly one time that are put in order; beyond it
/// they are taken as they come.
pub const TIES_MAX: usize = 1 << 16;

/// Puts observations of equal time into one order, whatever order they came in.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    waiting: Vec<Observation>,
}

impl Ties {
    /// Takes an observation; gives those before it, in order, once their time
    /// has passed.
    pub fn push(&mut self, observation: Observation) -> Vec<Observation> {
        let same = self.waiting.first().is_none_or(|first| first.at == observation.at);
        let ready = if same && self.waiting.len() < TIES_MAX { Vec::new() } else { self.take() };
        self.waiting.push(observation);
        ready
    }

    /// Those that wait, in order.
    pub fn take(&mut self) -> Vec<Observation> {
        let mut ready = std::mem::take(&mut self.waiting);
        ready.sort_by_key(Observation::place);
        ready
    }
}
