//! The newest market data of each instrument, so that a request can look back.
//!
//! ```text
//! ALFA   … P3 add 10.02   P4 bid 10.02   P3 trade 10.03 │ request: what came before it?
//! BRVO   … P3 delete                                    │
//! ```
//!
//! A message counts once: at the last of the points that saw it before the
//! request, its first copy there. What a bus made of a feed message counts as
//! that message, heard over the bus; where the bus does not say which it was,
//! the newest before of the same price and side. Messages of one packet arrive
//! as one.

use crate::event::{Identity, Sighting, StreamIx};
use crate::observation::Observation;
use crate::points::PointIx;
use crate::text::TextId;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use taptrail_decoders::kind::{Kind, SeqUnit, Side};

/// How far a request looks back for what triggered it.
pub const REACTION_MAX_NS: i64 = 5_000_000;

/// How far back the rate of an instrument's messages is counted.
pub const RATE_SPAN_NS: i64 = 4 * REACTION_MAX_NS;

/// Most sightings remembered of one instrument; the oldest are forgotten, and
/// counted where a request could still have meant them.
pub const INSTRUMENT_MAX: usize = 1 << 14;

/// Most instruments watched; further ones have no candidates, counted.
pub const INSTRUMENTS_MAX: usize = 1 << 20;

/// Most candidates of one request; older ones are left out.
pub const CANDIDATES_MAX: usize = 256;

/// Market data as it was sighted.
#[derive(Clone, Copy, Debug)]
struct Sighted {
    at: i64,
    stream: StreamIx,
    seq: u64,
    /// The feed message it was made of.
    source: Option<u64>,
    point: PointIx,
    kind: Kind,
    side: Option<Side>,
    price: Option<i128>,
    /// Of another instrument than the order's, which it may follow.
    mapped: bool,
    /// Which message it is.
    heard: Identity,
    /// Which message of its packet, where packets are numbered.
    part: u64,
}

/// Whether it came over a bus, the feed's number, the stream, and which of
/// those with that number.
type Key = (bool, u64, StreamIx, u64);

/// A message that may have triggered a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Number of the feed message.
    pub seq: u64,
    /// The stream that was heard last.
    pub stream: StreamIx,
    /// From there to the request, ns.
    pub latency_ns: i64,
    /// Whether it was heard over a bus.
    pub relayed: bool,
    /// The packet it was heard in, counted from the newest: one arrival.
    pub packet: u32,
    /// Candidates in that packet, this one included.
    pub mates: u32,
    /// What happened.
    pub kind: Kind,
    /// Side.
    pub side: Option<Side>,
    /// Price x 10^9.
    pub price: Option<i128>,
    /// Whether it is of another instrument, which the order may follow.
    pub mapped: bool,
    /// Which message it is: one number may be of several.
    pub heard: Identity,
}

/// What a request could react to, as seen when it passed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookback {
    /// The candidates, newest first.
    pub candidates: Vec<Candidate>,
    /// Packets with messages of the instruments heard directly and over a bus
    /// within [`RATE_SPAN_NS`].
    pub heard: [u32; 2],
}

/// See the module.
#[derive(Debug, Default)]
pub struct Recent {
    instruments: HashMap<TextId, VecDeque<Sighted>>,
    /// Streams whose messages name those that they were made of.
    relays: HashSet<StreamIx>,
    forgotten: u64,
    room: Room,
}

/// Room for looking back, kept from one request to the next.
#[derive(Debug, Default)]
struct Room {
    heard: HashMap<Key, Sighted>,
    over_bus: HashSet<u64>,
    kept: Vec<(Candidate, PointIx)>,
}

impl Recent {
    /// Sightings that were forgotten because of a limit.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembers market data; `seq` is its number, which names it later.
    pub fn note(&mut self, obs: &Observation, stream: StreamIx) {
        let (Some(seq), Some(symbol)) = (obs.seq, obs.symbol.some()) else { return };
        if !self.instruments.contains_key(&symbol) && self.instruments.len() >= INSTRUMENTS_MAX {
            self.forgotten += 1;
            return;
        }
        if obs.trigger_seq.is_some() {
            self.relays.insert(stream);
        }
        let seen = self.instruments.entry(symbol).or_default();
        while seen.front().is_some_and(|old| obs.at.saturating_sub(old.at) > RATE_SPAN_NS) {
            seen.pop_front();
        }
        if seen.len() >= INSTRUMENT_MAX {
            seen.pop_front();
            self.forgotten += 1;
        }
        seen.push_back(Sighted {
            at: obs.at,
            stream,
            seq,
            source: obs.trigger_seq,
            point: obs.point,
            kind: obs.kind,
            side: obs.side,
            price: obs.price.get(),
            mapped: false,
            heard: Sighting::of(obs, false).identity,
            part: match obs.seq_unit {
                Some(SeqUnit::Packet) => u64::from(obs.msg_ix),
                _ => 0,
            },
        });
    }

    /// What a request at `at` could react to: messages of the instruments that
    /// it follows, its own first.
    pub fn before(&mut self, instruments: &[TextId], at: i64) -> Lookback {
        let mut room = std::mem::take(&mut self.room);
        let heard = &mut room.heard;
        let early = |s: &&Sighted| s.at < at && at.saturating_sub(s.at) <= RATE_SPAN_NS;
        for (place, symbol) in instruments.iter().enumerate() {
            let Some(seen) = self.instruments.get(symbol) else { continue };
            for (ix, sighted) in seen.iter().enumerate().filter(|(_, s)| early(s)) {
                let mut sighted = Sighted { mapped: place > 0, ..*sighted };
                if sighted.source.is_none()
                    && self.relays.contains(&sighted.stream)
                    && let Some((source, heard)) = self.source(seen, ix)
                {
                    (sighted.source, sighted.heard) = (Some(source), heard);
                }
                let relayed = sighted.source.is_some();
                let part = if relayed { sighted.seq } else { sighted.part };
                let key = (relayed, sighted.source.unwrap_or(sighted.seq), sighted.stream, part);
                let nearest = heard.entry(key).or_insert(sighted);
                // In order of time: another point later is nearer to the request,
                // the same point again is another line or a copy.
                if sighted.point != nearest.point {
                    *nearest = sighted;
                }
            }
        }
        let found = lookback(&mut room, at);
        self.room = room;
        found
    }

    /// What a bus message that does not say so was made of: the newest feed
    /// message before it with its price and side.
    fn source(&self, seen: &VecDeque<Sighted>, ix: usize) -> Option<(u64, Identity)> {
        let relay = seen.get(ix)?;
        let near = |s: &&Sighted| relay.at.saturating_sub(s.at) <= REACTION_MAX_NS;
        let before = seen.iter().take(ix).rev().take_while(near);
        let alike = |s: &&Sighted| {
            let is_feed = s.source.is_none() && !self.relays.contains(&s.stream);
            is_feed && (s.price, s.side) == (relay.price, relay.side)
        };
        let found = before.filter(|_| relay.price.is_some()).find(alike);
        found.map(|s| (s.seq, s.heard))
    }
}

fn lookback(Room { heard, over_bus, kept }: &mut Room, at: i64) -> Lookback {
    let mut found = Lookback::default();
    let relays = heard.keys().filter(|(relayed, ..)| *relayed);
    over_bus.clear();
    over_bus.extend(relays.map(|(_, seq, ..)| *seq));
    kept.clear();
    for ((relayed, seq, stream, _), sighted) in heard.drain() {
        if !relayed && over_bus.contains(&seq) {
            continue;
        }
        let latency_ns = at.saturating_sub(sighted.at);
        let Sighted { kind, side, price, point, mapped, heard, .. } = sighted;
        let (packet, mates) = (0, 1);
        let candidate = Candidate {
            seq,
            stream,
            latency_ns,
            relayed,
            packet,
            mates,
            kind,
            side,
            price,
            mapped,
            heard,
        };
        kept.push((candidate, point));
    }
    kept.sort_by_key(|(c, point)| (c.latency_ns, c.relayed, *point, c.stream, c.seq, c.heard));
    let same = |a: &(Candidate, PointIx), b: &(Candidate, PointIx)| {
        (a.0.latency_ns, a.0.relayed, a.1) == (b.0.latency_ns, b.0.relayed, b.1)
    };
    for (packet, together) in kept.chunk_by(same).enumerate() {
        let Some((first, _)) = together.first() else { continue };
        found.heard[usize::from(first.relayed)] += 1;
        if first.latency_ns > REACTION_MAX_NS || found.candidates.len() >= CANDIDATES_MAX {
            continue;
        }
        let (packet, mates) = (packet as u32, together.len() as u32);
        let placed = together.iter().map(|(c, _)| Candidate { packet, mates, ..*c });
        found.candidates.extend(placed);
    }
    found.candidates.truncate(CANDIDATES_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Texts;

    fn seen(texts: &mut Texts, at: i64, point: PointIx, seq: u64) -> Observation {
        let mut obs = Observation::empty(point, at, Kind::OrderAdd);
        obs.symbol = texts.intern("ALFA");
        obs.seq = Some(seq);
        obs
    }

    #[test]
    fn a_message_counts_once_at_its_last_point_first_copy() {
        let mut texts = Texts::new();
        let mut recent = Recent::default();
        for (at, point) in [(100, 0), (110, 0), (200, 1), (230, 1)] {
            recent.note(&seen(&mut texts, at, point, 7), 1);
        }
        let found = recent.before(&[texts.intern("ALFA")], 1_000);
        assert_eq!(found.candidates.len(), 1);
        assert_eq!(found.candidates[0].latency_ns, 800);
        assert_eq!(found.heard, [1, 0]);
        assert_eq!(recent.before(&[texts.intern("ALFA")], 150).candidates[0].latency_ns, 50);
        assert!(recent.before(&[texts.intern("BRVO")], 1_000).candidates.is_empty());
    }

    #[test]
    fn what_a_bus_made_of_it_counts_as_the_message() {
        let mut texts = Texts::new();
        let mut recent = Recent::default();
        recent.note(&seen(&mut texts, 100, 0, 7), 1);
        recent.note(&seen(&mut texts, 120, 0, 8), 1);
        let mut bus = seen(&mut texts, 400, 2, 1);
        bus.trigger_seq = Some(7);
        recent.note(&bus, 2);
        let found = recent.before(&[texts.intern("ALFA")], 1_000);
        let named: Vec<(u64, bool, i64)> =
            found.candidates.iter().map(|c| (c.seq, c.relayed, c.latency_ns)).collect();
        assert_eq!(named, [(7, true, 600), (8, false, 880)]);
        assert_eq!(found.heard, [1, 1]);
    }

    #[test]
    fn messages_of_one_packet_arrive_as_one() {
        let mut texts = Texts::new();
        let mut recent = Recent::default();
        for (at, seq) in [(100, 7), (100, 8), (100, 9), (400, 10)] {
            recent.note(&seen(&mut texts, at, 0, seq), 1);
        }
        let found = recent.before(&[texts.intern("ALFA")], 1_000);
        let placed: Vec<(u64, u32, u32)> =
            found.candidates.iter().map(|c| (c.seq, c.packet, c.mates)).collect();
        assert_eq!(placed, [(10, 0, 1), (7, 1, 3), (8, 1, 3), (9, 1, 3)]);
        assert_eq!(found.heard, [2, 0]);
    }

    #[test]
    fn messages_of_one_number_come_in_their_order() {
        let mut texts = Texts::new();
        let mut recent = Recent::default();
        for msg_ix in 0..16 {
            let mut message = seen(&mut texts, 100, 0, 7);
            (message.seq_unit, message.msg_ix) = (Some(SeqUnit::Packet), msg_ix);
            recent.note(&message, 1);
        }
        let found = recent.before(&[texts.intern("ALFA")], 1_000);
        assert!(found.candidates.iter().map(|c| c.heard.msg_ix).eq(0..16));
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut texts = Texts::new();
        let mut recent = Recent::default();
        for i in 0..10 {
            recent.note(&seen(&mut texts, i * RATE_SPAN_NS / 4, 0, i as u64), 1);
        }
        assert!(recent.instruments.values().all(|seen| seen.len() <= 5));
    }
}
