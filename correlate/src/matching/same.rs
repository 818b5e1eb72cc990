//! The same message at several points.
//!
//! ```text
//! P1/A seq 7 ──same──> P2/A seq 7 ──same──> P3/A seq 7      each line by itself
//! P1/B seq 7 ──same──> (not seen) ─────────> P3/B seq 7      skipped = 1
//! ```
//!
//! The key is (stream, sequence number); messages without a number on the wire,
//! such as those of SoupBinTCP, are known by their content. Repeated keys are paired in
//! order: the second different message with a key at one point belongs with
//! the second at the next. Copies (mirror ports, retransmits) attach to their
//! event and are never linked.

use crate::clock::Clocks;
use crate::event::{ENTRIES_MAX, Entry, Event, Identity, Sighting, StreamIx};
use crate::link::{Evidence, Link, LinkKind};
use crate::observation::{Observation, Way};
use crate::points::PointIx;
use crate::stream::STREAMS_MAX;
use crate::text::TextId;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, SeqUnit};

/// Most events held open at once. Beyond it the oldest is closed before its
/// window has passed, and counted. About 700 bytes each.
pub const OPEN_EVENTS_MAX: usize = 1 << 20;

/// Events whose room is kept for the next ones.
const SPARE_MAX: usize = 1 << 10;

/// Most messages with one key that are open at once; further ones are copies.
pub const REPEATS_MAX: usize = 64;

/// Marks the key of a message that is known by its content.
const BY_CONTENT: u64 = u64::MAX;

/// Marks the key that a rule of the user made, which no stream limits.
const BY_OWN_KEY: u64 = u64::MAX - 1;
const ANY_STREAM: StreamIx = StreamIx::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamIx,
    seq: u64,
    part: u64,
}

impl Key {
    fn is_numbered(&self) -> bool {
        !matches!(self.part, BY_CONTENT | BY_OWN_KEY)
    }

    fn of(observation: &Observation, stream: StreamIx) -> Self {
        if let Some(own) = observation.own_key {
            return Self { stream: ANY_STREAM, seq: own.key, part: BY_OWN_KEY };
        }
        let written = observation.seq.filter(|_| !observation.seq_counted);
        match (written, observation.seq_unit) {
            (Some(seq), Some(SeqUnit::Packet)) => {
                Self { stream, seq, part: u64::from(observation.msg_ix) + 1 }
            }
            (Some(seq), _) => Self { stream, seq, part: 0 },
            (None, _) => Self { stream, seq: observation.content(), part: BY_CONTENT },
        }
    }
}

struct Open {
    key: Key,
    content: u64,
    /// Whether its columns may be wrong.
    unsure: bool,
    opened_at: i64,
    /// The next open event with the same key.
    next: Option<u64>,
    event: Arc<Event>,
}

/// Places of numbers: neighbours in a sequence lie beside each other, since
/// they come one after the other. Only for the keys of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Beside;

/// Room between the messages of two packets where packets are numbered.
const PACKET_ROOM: u64 = 8;

impl BuildHasher for Beside {
    type Hasher = Placed;

    fn build_hasher(&self) -> Placed {
        Placed(0)
    }
}

/// The place of a [`Key`] so far: it is a sum, its upper bits mixed, since maps
/// tell keys that lie together apart by those.
struct Placed(u64);

impl Hasher for Placed {
    fn write_u64(&mut self, part: u64) {
        self.0 = self.0.wrapping_mul(PACKET_ROOM).wrapping_add(part);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn finish(&self) -> u64 {
        const UPPER: u32 = 56;
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> UPPER;
        (self.0 & (u64::MAX >> (u64::BITS - UPPER))) | (mixed << UPPER)
    }
}

/// The oldest open event of each key.
#[derive(Debug, Default)]
struct Oldest {
    /// By stream: of a sequence number and what it is part of.
    numbered: Vec<HashMap<Number, u64, Beside>>,
    others: HashMap<Key, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    seq: u64,
    part: u64,
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.seq);
        state.write_u64(self.part);
    }
}

impl Oldest {
    fn numbered(&mut self, key: &Key) -> Option<(&mut HashMap<Number, u64, Beside>, Number)> {
        let stream = key.stream as usize;
        if !key.is_numbered() || stream >= STREAMS_MAX {
            return None;
        }
        if stream >= self.numbered.len() {
            self.numbered.resize_with(stream + 1, HashMap::default);
        }
        let Key { seq, part, .. } = *key;
        self.numbered.get_mut(stream).map(|map| (map, Number { seq, part }))
    }

    fn get(&mut self, key: &Key) -> Option<u64> {
        match self.numbered(key) {
            Some((map, number)) => map.get(&number).copied(),
            None => self.others.get(key).copied(),
        }
    }

    fn set(&mut self, key: Key, event: Option<u64>) {
        match (self.numbered(&key), event) {
            (Some((map, number)), Some(event)) => drop(map.insert(number, event)),
            (Some((map, number)), None) => drop(map.remove(&number)),
            (None, Some(event)) => drop(self.others.insert(key, event)),
            (None, None) => drop(self.others.remove(&key)),
        }
    }
}

/// Gathers observations into events over a sliding window. Events are numbered
/// as they begin and close in that order, so that the open ones are a queue.
pub struct Gatherer {
    window_ns: i64,
    open: VecDeque<Open>,
    /// Number of the oldest open event.
    base: u64,
    by_key: Oldest,
    /// Room of events that are done with, held here alone.
    spare: Vec<Arc<Event>>,
    /// The message that began the newest event.
    newest: Option<Identity>,
    closed_early: u64,
    /// The event that the last observation was a first sighting of.
    touched: Option<u64>,
}

impl Gatherer {
    /// Holds every event for `window_ns` after its first observation.
    pub fn new(window_ns: i64) -> Self {
        Self {
            window_ns,
            open: VecDeque::new(),
            base: 0,
            by_key: Oldest::default(),
            spare: Vec::new(),
            newest: None,
            closed_early: 0,
            touched: None,
        }
    }

    fn open(&self, number: u64) -> Option<&Open> {
        self.open.get(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn open_mut(&mut self, number: u64) -> Option<&mut Open> {
        self.open.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    /// Takes an observation (in order of corrected time). Gives the stream of
    /// the event that it is part of: its own, but where a rule of the user
    /// joins messages of several.
    pub fn push(&mut self, observation: &Observation, stream: StreamIx, way: Way) -> StreamIx {
        let key = Key::of(observation, stream);
        let content = observation.own_key.map_or_else(|| observation.content(), |own| own.key);
        match self.home(key, content, observation) {
            Home::Open { number, copy } => {
                let copy = copy || self.is_resent(number, observation);
                self.attach(number, observation, copy);
                self.touched = (!copy).then_some(number);
                self.open(number).map_or(stream, |open| open.event.stream)
            }
            Home::New { after } => {
                self.begin(key, (content, stream), observation, way, after);
                stream
            }
        }
    }

    /// Takes a further entry of a message: it counts where the message began
    /// the newest event.
    pub fn entry(&mut self, row: &Observation) {
        let newest = self.newest.filter(|newest| *newest == Sighting::of(row, false).identity);
        let newest = newest.and_then(|_| self.open.back_mut());
        let event = newest.map(|open| Arc::make_mut(&mut open.event));
        if let Some((event, entry)) = event.zip(Entry::of(row))
            && event.entries.len() < ENTRIES_MAX
        {
            event.entries.push(entry);
        }
    }

    /// Where the observation belongs.
    fn home(&mut self, key: Key, content: u64, observation: &Observation) -> Home {
        let (mut last, mut seen_here, mut repeats) = (None, None, 0);
        let mut next = self.by_key.get(&key);
        while let Some((number, open)) = next.and_then(|n| Some((n, self.open(n)?))) {
            if open.content == content || open.unsure || observation.is_unsure() {
                let here =
                    |s: &Sighting| s.point == observation.point && s.line == observation.line;
                if !open.event.sightings.iter().any(here) {
                    return Home::Open { number, copy: false };
                }
                seen_here = Some(number);
            }
            repeats += 1;
            last = Some(number);
            next = open.next;
        }
        let copy = observation.is_copy() || key.is_numbered() || repeats >= REPEATS_MAX;
        match seen_here.filter(|_| copy) {
            Some(number) => Home::Open { number, copy: true },
            None => Home::New { after: last },
        }
    }

    /// Whether it is sent again what was seen as it was sent first: a recovery server
    /// is no line of the feed.
    fn is_resent(&self, number: u64, observation: &Observation) -> bool {
        let sent = || self.open(number).map(|open| &open.event.sightings);
        observation.is_copy() && sent().is_some_and(|all| all.iter().any(|s| !s.marked))
    }

    fn attach(&mut self, number: u64, observation: &Observation, copy: bool) {
        let Some(open) = self.open_mut(number) else { return };
        let event = Arc::make_mut(&mut open.event);
        event.sightings.push(Sighting::of(observation, copy));
        if event.obs.symbol.is_none() {
            event.obs.symbol = observation.symbol;
        }
    }

    fn begin(
        &mut self,
        key: Key,
        (content, stream): (u64, StreamIx),
        observation: &Observation,
        way: Way,
        after: Option<u64>,
    ) {
        let number = self.base + self.open.len() as u64;
        self.newest = Some(Sighting::of(observation, false).identity);
        match after.and_then(|number| self.open_mut(number)) {
            Some(last) => last.next = Some(number),
            None => self.by_key.set(key, Some(number)),
        }
        let mut event = self.spare.pop().unwrap_or_default();
        Arc::make_mut(&mut event).begin(observation, stream, way);
        let unsure = observation.is_unsure();
        let opened_at = observation.at;
        self.open.push_back(Open { key, content, unsure, opened_at, next: None, event });
        self.touched = Some(number);
    }

    /// The event that the last observation was a first sighting of.
    pub fn touched(&mut self) -> Option<&mut Event> {
        self.touched
            .and_then(|number| self.open_mut(number))
            .map(|open| Arc::make_mut(&mut open.event))
    }

    /// The next event, oldest first, whose window has passed at `watermark`
    /// (corrected time), or that has to go because too many are open.
    pub fn close_next(&mut self, watermark: i64) -> Option<Arc<Event>> {
        let front = self.open.front()?;
        let due = front.opened_at.saturating_add(self.window_ns) <= watermark;
        if !due && self.open.len() <= OPEN_EVENTS_MAX {
            return None;
        }
        self.closed_early += u64::from(!due);
        let closed = self.open.pop_front()?;
        self.base += 1;
        self.by_key.set(closed.key, closed.next);
        Some(closed.event)
    }

    /// Takes back the room of an event that is done with.
    pub fn reuse(&mut self, event: Arc<Event>) {
        if self.spare.len() < SPARE_MAX && Arc::strong_count(&event) == 1 {
            self.spare.push(event);
        }
    }

    /// Gives the ids that open events hold.
    pub fn hold_ids(&self, hold: &mut dyn FnMut(TextId)) {
        self.open.iter().flat_map(|open| open.event.obs.ids()).for_each(hold);
    }

    /// Events that were closed before their window had passed.
    pub fn closed_early(&self) -> u64 {
        self.closed_early
    }
}

enum Home {
    Open { number: u64, copy: bool },
    New { after: Option<u64> },
}

/// Whether the message at two points is worth a link: signs of life are not.
pub fn is_linked(kind: Kind) -> bool {
    kind != Kind::Heartbeat
}

/// Adds the links between an event's sightings to `found`, each line by itself.
/// `on_line` says whether traffic of the event's stream passes a point on a line.
pub fn links(
    event: &Event,
    full_path: &[PointIx],
    clocks: &Clocks,
    on_line: &dyn Fn(PointIx, TextId) -> bool,
    found: &mut Vec<Link>,
) {
    let mut lines: SmallVec<[TextId; 8]> = event.firsts().map(|s| s.line).collect();
    lines.sort_unstable();
    lines.dedup();
    for &line in &lines {
        let mut chain: SmallVec<[&Sighting; 8]> =
            event.path.iter().filter_map(|&point| first_on(event, point, line)).collect();
        if line.is_none() && lines.len() > 1 {
            let before = before_merge(event, chain.first().copied());
            chain.insert_many(0, before);
        }
        for pair in chain.windows(2) {
            let [from, to] = pair else { continue };
            let skipped = skipped(full_path, from.point, to.point, |p| on_line(p, line));
            let evidence = Evidence { rule: rule(event), skipped, ..Evidence::certain("") };
            found.push(Link::new(LinkKind::Same, evidence, &event.obs, from, to, clocks));
        }
    }
}

fn rule(event: &Event) -> &'static str {
    if let Some(own) = event.obs.own_key {
        return own.rule;
    }
    match event.obs.seq {
        Some(_) if !event.obs.seq_counted => "session_seq",
        _ => "session_content",
    }
}

fn first_on(event: &Event, point: PointIx, line: TextId) -> Option<&Sighting> {
    event.firsts().filter(|s| s.point == point && s.line == line).min_by_key(|s| (s.at, s.identity))
}

/// Where lines have been merged into one without a name: the earliest sighting
/// on any line at the nearest point before.
fn before_merge<'a>(event: &'a Event, merged: Option<&Sighting>) -> Option<&'a Sighting> {
    let place = event.path.iter().position(|&p| Some(p) == merged.map(|s| s.point))?;
    event.path.get(..place)?.iter().rev().find_map(|&point| event.first_at(point))
}

fn skipped(path: &[PointIx], from: PointIx, to: PointIx, on_line: impl Fn(PointIx) -> bool) -> u16 {
    let place = |point| path.iter().position(|&p| p == point);
    let (Some(start), Some(end)) = (place(from), place(to)) else { return 0 };
    let between = path.get(start + 1..end).unwrap_or(&[]);
    between.iter().filter(|&&point| on_line(point)).count() as u16
}
