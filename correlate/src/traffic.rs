//! What each feed line and each side of a session sent past a point.
//!
//! ```text
//! P1, feed S1, line A    messages a second   8,120  9,412  7,003     the peak and when
//!                        sequence            .. 41 42 45 46 44       one gap, one missing
//! ```

use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::text::{TextId, Texts};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, Sender, SeqUnit};
use taptrail_store::tables::traffic::TrafficRow;

/// Most lines and sides that are counted; further ones are not, counted.
pub const SOURCES_MAX: usize = 1 << 16;

/// Numbers stepped over that may still come late.
const LATE_MAX: usize = 1 << 12;

/// A step back by more than this is a new start of the sequence.
const RESTART_STEP: u64 = 1 << 16;

const SECOND_NS: i64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    point: PointIx,
    protocol: TextId,
    session: TextId,
    channel: Option<u32>,
    line: TextId,
    /// Client 0, server 1, neither 2.
    side: u8,
}

impl Hash for Source {
    /// In whole words: what is stored in parts and read as one has to wait for
    /// everything that was stored before it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
        state.write_u64(pair(self.protocol.number(), self.session.number()));
        state.write_u64(pair(self.line.number(), u32::from(self.point)));
        state.write_u64(pair(self.channel.unwrap_or(u32::MAX), u32::from(self.side)));
    }
}

#[derive(Clone, Debug, Default)]
struct Count {
    first_ts: i64,
    last_ts: i64,
    messages: u64,
    bytes: u64,
    second: i64,
    in_second: u64,
    peak: (u64, i64),
    next: Option<u64>,
    gaps: u64,
    missing: u64,
    late: BTreeSet<u64>,
    duplicates: u64,
    heartbeats: u64,
}

impl Count {
    fn note(&mut self, obs: &Observation) {
        if self.messages + self.duplicates == 0 {
            (self.first_ts, self.last_ts) = (obs.ts, obs.ts);
        }
        self.first_ts = self.first_ts.min(obs.ts);
        self.last_ts = self.last_ts.max(obs.ts);
        if obs.is_copy() {
            self.duplicates += 1;
            return;
        }
        self.messages += 1;
        self.bytes += u64::from(obs.raw_len);
        self.heartbeats += u64::from(obs.kind == Kind::Heartbeat);
        let second = obs.ts.div_euclid(SECOND_NS);
        if second > self.second {
            (self.second, self.in_second) = (second, 0);
        }
        self.in_second += 1;
        if self.in_second > self.peak.0 {
            self.peak = (self.in_second, self.second.saturating_mul(SECOND_NS));
        }
        if let Some(seq) = obs.seq.filter(|_| is_on_the_wire(obs)) {
            self.number(seq);
        }
    }

    fn number(&mut self, seq: u64) {
        match self.next {
            Some(next) if seq > next => {
                self.gaps += 1;
                self.missing = self.missing.saturating_add(seq - next);
                for late in (next..seq).rev().take(LATE_MAX) {
                    self.late.insert(late);
                }
                while self.late.len() > LATE_MAX {
                    self.late.pop_first();
                }
            }
            Some(next) if seq < next && next - seq <= RESTART_STEP => {
                if self.late.remove(&seq) {
                    self.missing -= 1;
                }
                return;
            }
            _ => {}
        }
        self.next = seq.checked_add(1);
    }
}

/// Whether the number was read from the message and counts messages.
fn is_on_the_wire(obs: &Observation) -> bool {
    obs.seq_unit == Some(SeqUnit::Message) && !obs.seq_counted && obs.kind != Kind::Heartbeat
}

/// See the module.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Which of `counts` is a source's.
    places: HashMap<Source, usize>,
    counts: Vec<(Source, Count)>,
    refused: u64,
}

impl Traffic {
    /// Messages of lines and sides past [`SOURCES_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Counts a message; of several entries only the first is one.
    pub fn note(&mut self, obs: &Observation) {
        if obs.entry > 0 || obs.kind == Kind::Gap {
            return;
        }
        let side = match obs.sender {
            Some(Sender::Client) => 0,
            Some(Sender::Server) => 1,
            None => 2,
        };
        let Observation { point, protocol, session, channel, line, .. } = *obs;
        let source = Source { point, protocol, session, channel, line, side };
        let place = self.places.get(&source).copied().or_else(|| self.add(source));
        match place.and_then(|place| self.counts.get_mut(place)) {
            Some((_, count)) => count.note(obs),
            None => self.refused += 1,
        }
    }

    fn add(&mut self, source: Source) -> Option<usize> {
        let place = self.counts.len();
        if place >= SOURCES_MAX {
            return None;
        }
        self.places.insert(source, place);
        self.counts.push((source, Count::default()));
        Some(place)
    }

    /// The rows of `traffic`.
    pub fn rows(&self, points: &Points, texts: &Texts) -> Vec<TrafficRow> {
        let row = |(source, count): &(Source, Count)| TrafficRow {
            point: points.name(source.point),
            protocol: texts.shared(source.protocol).unwrap_or_else(|| Arc::from("")),
            session: texts.shared(source.session),
            channel: source.channel,
            line: texts.shared(source.line),
            sender: ["client", "server"].get(usize::from(source.side)).map(|&s| Arc::from(s)),
            first_ts: count.first_ts,
            last_ts: count.last_ts,
            messages: count.messages,
            bytes: count.bytes,
            peak_per_s: count.peak.0,
            peak_ts: count.peak.1,
            gaps: count.next.map(|_| count.gaps),
            missing: count.next.map(|_| count.missing),
            duplicates: count.duplicates,
            heartbeats: count.heartbeats,
        };
        let mut sorted: Vec<&(Source, Count)> = self.counts.iter().collect();
        sorted.sort_unstable_by_key(|(source, _)| *source);
        sorted.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_decoders::kind::flags;

    fn message(seq: u64, ts: i64) -> Observation {
        let mut obs = Observation::empty(0, ts, Kind::OrderAdd);
        (obs.seq, obs.seq_unit, obs.raw_len) = (Some(seq), Some(SeqUnit::Message), 36);
        obs
    }

    fn counted(observations: &[Observation]) -> TrafficRow {
        let mut traffic = Traffic::default();
        observations.iter().for_each(|obs| traffic.note(obs));
        let points = Points::new(&[], &["P1"]);
        traffic.rows(&points, &Texts::new()).remove(0)
    }

    #[test]
    fn gaps_late_messages_and_copies_count_once() {
        let mut copy = message(7, 70);
        copy.flags = flags::DUPLICATE;
        let seen = [(1, 10), (2, 20), (5, 30), (4, 40), (6, 50), (8, 60)];
        let mut seen: Vec<Observation> = seen.map(|(seq, ts)| message(seq, ts)).to_vec();
        seen.push(copy);
        let row = counted(&seen);
        assert_eq!((row.messages, row.bytes, row.duplicates), (6, 216, 1));
        assert_eq!((row.gaps, row.missing), (Some(2), Some(2)), "3 and 7");
        assert_eq!((row.first_ts, row.last_ts), (10, 70));
    }

    #[test]
    fn the_peak_is_of_one_second_and_numbers_off_the_wire_are_no_gaps() {
        let at = [0, 500, SECOND_NS, SECOND_NS + 1, SECOND_NS + 2, 3 * SECOND_NS];
        let mut seen: Vec<Observation> = at.iter().map(|&ts| message(ts as u64, ts)).collect();
        seen.iter_mut().for_each(|obs| obs.seq_counted = true);
        seen[5].kind = Kind::Heartbeat;
        let row = counted(&seen);
        assert_eq!((row.peak_per_s, row.peak_ts), (3, SECOND_NS));
        assert_eq!((row.gaps, row.heartbeats), (None, 1));
    }
}
