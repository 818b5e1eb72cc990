//! The points of a run, by small numbers.

use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use taptrail_capture::point::PointConfig;

/// Half width of a stamp's error where the point does not say, in ns. Between
/// the 4 ns tick of common capture cards and the 8.5 ns that audited
/// hardware taps reach; a point that software stamps must say more.
pub const STAMP_NOISE_NS: i64 = 8;

/// Most points of a run; their numbers are 16 bits.
pub const POINTS_MAX: usize = 4096;

/// A point's number: its place in the order of declaration.
pub type PointIx = u16;

/// What correlation knows of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointFacts {
    /// Its name.
    pub name: Arc<str>,
    /// The clock that stamps there.
    pub clock: Arc<str>,
    /// Half width of one stamp's error in ns.
    pub noise_ns: i64,
    /// How far its clock is ahead of the others, in whole seconds, ns.
    pub ahead_ns: i64,
}

/// The points, configured ones first, in order.
#[derive(Clone, Debug, Default)]
pub struct Points {
    facts: Vec<PointFacts>,
    index: HashMap<Arc<str>, PointIx>,
}

impl Points {
    /// The configured points, then those of `seen` that are not configured, in
    /// the order given. Beyond [`POINTS_MAX`] they are left out.
    pub fn new(configured: &[PointConfig], seen: &[&str]) -> Self {
        let mut points = Self::default();
        for point in configured {
            let noise = point.stamp_noise_ns.map_or(STAMP_NOISE_NS, i64::from);
            points.add(point.name.as_str(), point.clock.as_deref(), noise);
        }
        for name in seen {
            points.add(name, None, STAMP_NOISE_NS);
        }
        points
    }

    fn add(&mut self, name: &str, clock: Option<&str>, noise_ns: i64) {
        if self.index.contains_key(name) || self.facts.len() >= POINTS_MAX {
            return;
        }
        let name: Arc<str> = Arc::from(name);
        let own = format!("clock of {name}");
        let clock = Arc::from(clock.unwrap_or(&own));
        self.index.insert(name.clone(), self.facts.len() as PointIx);
        self.facts.push(PointFacts { name, clock, noise_ns, ahead_ns: 0 });
    }

    /// The same points, with clocks that are ahead of the others, ns by name.
    pub fn with_ahead(mut self, ahead: &BTreeMap<Arc<str>, i64>) -> Self {
        for facts in &mut self.facts {
            facts.ahead_ns = ahead.get(&facts.clock).copied().unwrap_or(0);
        }
        self
    }

    /// The number of the point with this name.
    pub fn find(&self, name: &str) -> Option<PointIx> {
        self.index.get(name).copied()
    }

    /// Every point, at the index of its number.
    pub fn all(&self) -> &[PointFacts] {
        &self.facts
    }

    /// The name of a point; empty where there is none with this number.
    pub fn name(&self, point: PointIx) -> Arc<str> {
        self.facts.get(usize::from(point)).map_or_else(|| Arc::from(""), |f| f.name.clone())
    }

    /// Half width of one stamp's error there, in ns.
    pub fn noise_ns(&self, point: PointIx) -> i64 {
        self.facts.get(usize::from(point)).map_or(STAMP_NOISE_NS, |f| f.noise_ns)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}
