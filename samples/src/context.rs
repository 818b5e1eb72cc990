//! What every actor of the simulation shares: the time, what happens next,
//! chance, the taps and the truth.

use crate::config::{FaultRates, SimConfig};
use crate::event::Event;
use crate::net::tap::Taps;
use crate::rng::SimRng;
use crate::trouble::{Trouble, Troubles};
use crate::truth::TruthLog;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// An event and when it happens; of several at one time the one scheduled
/// first comes first.
#[derive(Debug)]
struct Scheduled {
    at_ns: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Context {
    /// True time, nanoseconds since the epoch.
    pub now_ns: i64,
    /// Chance.
    pub rng: SimRng,
    /// How often what goes wrong.
    pub rates: FaultRates,
    troubles: Troubles,
    /// The points.
    pub taps: Taps,
    /// What really happened.
    pub truth: TruthLog,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    last_id: u64,
}

impl Context {
    /// At the start of the day, with nothing to happen.
    pub fn new(config: &SimConfig) -> Self {
        Self {
            now_ns: config.start_ns,
            rng: SimRng::new(config.seed, 1),
            rates: FaultRates::of(config.faults),
            troubles: config.troubles.clone(),
            taps: Taps::new(config),
            truth: TruthLog::new(config.truth),
            queue: BinaryHeap::new(),
            scheduled: 0,
            last_id: 0,
        }
    }

    /// Schedules an event; one in the past happens now.
    pub fn at(&mut self, at_ns: i64, event: Event) {
        let number = self.scheduled;
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at_ns: at_ns.max(self.now_ns), number, event }));
    }

    /// Schedules an event `delay_ns` from now.
    pub fn after(&mut self, delay_ns: i64, event: Event) {
        self.at(self.now_ns + delay_ns, event);
    }

    /// Goes to the next event.
    pub fn next_event(&mut self) -> Option<Event> {
        let Reverse(next) = self.queue.pop()?;
        self.now_ns = next.at_ns;
        Some(next.event)
    }

    /// A logical id nobody has.
    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether this is one of the run's troubles.
    pub fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    /// Whether a fault of this rate happens now.
    pub fn fault(&mut self, ppm: u64) -> bool {
        self.taps.faults_on && self.rng.chance(ppm)
    }
}
