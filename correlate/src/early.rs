//! When the links of a feed message can be told though its window is still open.
//!
//! ```text
//! the stream has been seen at   P1/A P1/B P2/A P2/B
//! seq 7 was seen at             P1/A P1/B P2/A P2/B    nothing is missing: told
//! seq 8 was seen at             P1/A P1/B P2/A         waits for its window
//! ```
//!
//! Only where messages are followed as they come. What is told early is what would be
//! told at the end: a sighting that comes later is a copy, which is never linked.

use crate::event::{Event, StreamIx};
use crate::points::PointIx;
use crate::text::TextId;
use hashbrown::HashMap;
use smallvec::SmallVec;

type Lanes = SmallVec<[(PointIx, TextId); 6]>;

/// Where each stream has been seen.
#[derive(Debug, Default)]
pub struct Early {
    lanes: HashMap<StreamIx, Lanes>,
}

impl Early {
    /// A message of a stream was seen at a point on a line.
    pub fn note(&mut self, stream: StreamIx, point: PointIx, line: TextId) {
        let lanes = self.lanes.entry(stream).or_default();
        if !lanes.contains(&(point, line)) {
            lanes.push((point, line));
        }
    }

    /// Whether a message was seen wherever its stream is; `way` are the points that
    /// such messages pass.
    pub fn is_everywhere(&self, event: &Event, way: &[PointIx]) -> bool {
        let Some(lanes) = self.lanes.get(&event.stream) else { return false };
        let seen = |point, line| event.firsts().any(|s| s.point == point && s.line == line);
        lanes.len() > 1
            && !way.is_empty()
            && event.firsts().count() >= lanes.len()
            && lanes.iter().all(|&(point, line)| seen(point, line))
            && way.iter().all(|&point| event.firsts().any(|s| s.point == point))
    }
}
