//! A message as one event: what it says and everywhere it was seen.
//!
//! ```text
//! Event "D ALFA buy 300" ── sightings: P5 10.000 | P5 10.004 (copy)
//! Event "ITCH A, seq 7"  ── sightings: P1/A 1.0 | P1/B 1.4 | P2/A 2.1 | ...
//! ```

use crate::clock::Stamp;
use crate::link::Link;
use crate::observation::{Amount, Observation, Way};
use crate::packed;
use crate::points::PointIx;
use crate::text::TextId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use taptrail_decoders::kind::{Kind, Side};

/// The three numbers that name a message for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Capture.
    pub capture_id: u64,
    /// Packet in the capture.
    pub packet_ix: u32,
    /// Message in the packet.
    pub msg_ix: u16,
}

/// One place and time an event was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Where.
    pub point: PointIx,
    /// Feed line.
    pub line: TextId,
    /// Time as stamped, ns since the epoch.
    pub ts: i64,
    /// The same time on the reference clock.
    pub at: i64,
    /// Which message of the store it is.
    pub identity: Identity,
    /// Whether it is a copy of an earlier sighting at the same point and line.
    pub copy: bool,
    /// Whether the decoder marked it as sent again.
    pub marked: bool,
}

impl Sighting {
    /// Of an observation.
    pub fn of(observation: &Observation, copy: bool) -> Self {
        Self {
            point: observation.point,
            line: observation.line,
            ts: observation.ts,
            at: observation.at,
            identity: Identity {
                capture_id: observation.capture_id,
                packet_ix: observation.packet_ix,
                msg_ix: observation.msg_ix,
            },
            copy,
            marked: observation.is_copy(),
        }
    }

    /// Point and time.
    pub fn stamp(&self) -> Stamp {
        Stamp { point: self.point, ts: self.ts }
    }
}

/// Sightings kept in the event itself: those of a session. What a feed's events
/// need besides is used again.
const SIGHTINGS_INLINE: usize = 4;

/// Points in the order in which a message passed them.
pub type Path = SmallVec<[PointIx; 8]>;

/// Number of a stream in [`crate::stream::Streams`].
pub type StreamIx = u32;

/// A message and where it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its columns, as first seen.
    pub obs: Observation,
    /// The stream it belongs to.
    pub stream: StreamIx,
    /// Which way it goes.
    pub way: Way,
    /// Where it was seen, in order of arrival.
    #[serde(with = "packed::small")]
    pub sightings: SmallVec<[Sighting; SIGHTINGS_INLINE]>,
    /// The points that saw it, in the order it passed them.
    #[serde(with = "packed::small")]
    pub path: Path,
    /// For each point of its way that did not see it: how many of `path` come
    /// before it.
    #[serde(with = "packed::small")]
    pub missed: SmallVec<[u16; 8]>,
    /// Of a feed's event, links between its sightings; while it is open, those that
    /// were told already.
    pub same: Vec<Link>,
    /// Orders that its further entries name.
    pub entries: Vec<Entry>,
}

/// Most entries of a message that are kept; the orders in further ones are not
/// found.
pub const ENTRIES_MAX: usize = 256;

/// An order in a message of several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened to it.
    pub kind: Kind,
    /// The venue's number of it.
    pub order_id: u64,
    /// Side.
    pub side: Option<Side>,
    /// Price x 10^9.
    pub price: Amount,
    /// Quantity x 10^9.
    pub qty: Amount,
}

impl Entry {
    /// Of a row of the message, where it names an order.
    pub fn of(row: &Observation) -> Option<Self> {
        let Observation { kind, side, price, qty, .. } = *row;
        Some(Self { kind, order_id: row.order_id?, side, price, qty })
    }
}

impl Default for Event {
    /// Room for an event that has not begun.
    fn default() -> Self {
        Self {
            obs: Observation::empty(0, 0, Kind::Unknown),
            stream: 0,
            way: Way::Feed,
            sightings: SmallVec::new(),
            path: Path::new(),
            missed: SmallVec::new(),
            same: Vec::new(),
            entries: Vec::new(),
        }
    }
}

impl Event {
    /// Of its first observation.
    pub fn of(observation: &Observation, stream: StreamIx, way: Way) -> Self {
        let mut event = Self::default();
        event.begin(observation, stream, way);
        event
    }

    /// Becomes another event, in the room of this one.
    pub fn begin(&mut self, observation: &Observation, stream: StreamIx, way: Way) {
        self.obs = *observation;
        (self.stream, self.way) = (stream, way);
        self.sightings.clear();
        self.sightings.push(Sighting::of(observation, false));
        self.path.clear();
        self.missed.clear();
        self.same.clear();
        self.entries.clear();
    }

    /// The event as one of its entries tells it.
    pub fn as_entry(&self, entry: &Entry) -> Self {
        let Entry { kind, order_id, side, price, qty } = *entry;
        let obs = Observation { kind, order_id: Some(order_id), side, price, qty, ..self.obs };
        Self { obs, entries: Vec::new(), ..self.clone() }
    }

    /// First sightings: all but the copies.
    pub fn firsts(&self) -> impl Iterator<Item = &Sighting> {
        self.sightings.iter().filter(|sighting| !sighting.copy)
    }

    /// The earliest sighting at a point, over all lines.
    pub fn first_at(&self, point: PointIx) -> Option<&Sighting> {
        self.firsts().filter(|s| s.point == point).min_by_key(|s| (s.at, s.identity))
    }

    /// The first sighting on its way.
    pub fn start(&self) -> Option<&Sighting> {
        self.path.iter().find_map(|&point| self.first_at(point))
    }

    /// The last sighting on its way, over all lines the earliest there.
    pub fn end(&self) -> Option<&Sighting> {
        self.path.iter().rev().find_map(|&point| self.first_at(point))
    }

    /// Notes which points of the whole way did not see it.
    pub fn note_missed(&mut self, way: &[PointIx]) {
        let mut passed = 0;
        for point in way {
            if self.path.contains(point) {
                passed += 1;
            } else {
                self.missed.push(passed);
            }
        }
    }

    /// How many points before its first sighting did not see it.
    pub fn missed_before(&self) -> u16 {
        self.missed.iter().filter(|&&passed| passed == 0).count() as u16
    }

    /// How many points of its way after `point` did not see it.
    pub fn missed_after(&self, point: PointIx) -> u16 {
        let place = self.path.iter().position(|&other| other == point);
        let after = |passed: &&u16| place.is_some_and(|place| usize::from(**passed) > place);
        self.missed.iter().filter(after).count() as u16
    }

    /// Whether all that was seen of it was sent again: the original came too
    /// long ago or not at all.
    pub fn is_repeat(&self) -> bool {
        self.sightings.iter().all(|sighting| sighting.marked)
    }

    /// Time of the first arrival on the reference clock.
    pub fn at(&self) -> i64 {
        self.sightings.iter().map(|s| s.at).min().unwrap_or(self.obs.at)
    }
}
