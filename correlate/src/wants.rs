//! What sessions say about the feed, noted as soon as it is seen.
//!
//! ```text
//! time ──────────────────────────────────────────────>
//! feed event seen ......... closed (one window later) ── offered: wanted?
//!          report seen: wants order 55801, match 9001
//!          request seen: wants sequence 88123
//! ```
//!
//! Every event is closed one window after it was seen. What a session wants
//! is noted when the session's message is *seen*, so that all feed events up
//! to one window earlier are still to be offered, and no index of the whole
//! feed is needed.

use crate::event::Event;
use crate::matching::public::Published;
use crate::matching::recent::Candidate;
use crate::matching::trade::Numbered;
use crate::observation::{Observation, Way, is_report};
use crate::stream::STREAMS_MAX;
use crate::text::TextId;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most order and match numbers wanted at once; further ones are not looked
/// for, and counted.
pub const WANTED_MAX: usize = 1 << 22;

/// What is found for a sequence is kept for so many windows: whoever named it
/// asks by then.
pub const KEPT_WINDOWS: i64 = 2;

/// Most feed events kept for one number.
pub const FOUND_MAX: usize = 4096;

/// Events found for one number: the message and what a bus made of it.
pub type Found = SmallVec<[Arc<Event>; 2]>;

#[derive(Debug, Default)]
struct Sequence {
    until: i64,
    wanted_at: i64,
    found: Found,
}

/// A number of an order or a match. Venues may use the same ones: it is
/// wanted as long as a protocol wants it.
#[derive(Debug, Default)]
struct Wanted {
    by: SmallVec<[TextId; 2]>,
    found: Vec<Arc<Event>>,
}

/// Numbers that feed events are looked for by.
#[derive(Debug, Default)]
pub struct Wants {
    window_ns: i64,
    orders: HashMap<u64, Wanted>,
    matches: HashMap<u64, Wanted>,
    sequences: HashMap<u64, Sequence>,
    expiry: VecDeque<(i64, u64)>,
    /// From when to when each stream was heard.
    heard: Vec<Option<(i64, i64)>>,
    refused: u64,
}

impl Wants {
    /// Looks for feed events up to `window_ns` away.
    pub fn new(window_ns: i64) -> Self {
        Self { window_ns, ..Self::default() }
    }

    /// How often a number was not noted because of [`WANTED_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Notes what an observation makes worth looking for.
    pub fn note(&mut self, obs: &Observation, way: Way) {
        if is_report(obs.kind) {
            for id in [obs.order_id, obs.orig_order_id].into_iter().flatten() {
                note_in(&mut self.orders, (id, obs.protocol), &mut self.refused);
            }
            if let Some(id) = obs.match_id {
                note_in(&mut self.matches, (id, obs.protocol), &mut self.refused);
            }
        }
        if let Some(seq) = obs.trigger_seq
            && way != Way::FromVenue
        {
            self.note_sequence(seq, obs.at);
        }
    }

    /// Notes what a request may have reacted to.
    pub fn note_candidates(&mut self, candidates: &[Candidate], at: i64) {
        for candidate in candidates {
            self.note_sequence(candidate.seq, at);
        }
    }

    fn note_sequence(&mut self, seq: u64, at: i64) {
        if self.sequences.len() >= WANTED_MAX {
            self.refused += 1;
            return;
        }
        let until = at.saturating_add(self.window_ns.saturating_mul(KEPT_WINDOWS));
        let entry = self.sequences.entry(seq).or_default();
        entry.until = until;
        entry.wanted_at = at;
        self.expiry.push_back((until, seq));
    }

    /// Notes when a closed feed event was heard.
    pub fn hear(&mut self, event: &Event) {
        let (stream, at) = (event.stream as usize, event.at());
        if stream >= self.heard.len() && stream < STREAMS_MAX {
            self.heard.resize(stream + 1, None);
        }
        if let Some(heard) = self.heard.get_mut(stream) {
            let (from, to) = heard.unwrap_or((at, at));
            *heard = Some((from.min(at), to.max(at)));
        }
    }

    /// Whether a closed feed event carries a wanted number.
    pub fn wants(&self, event: &Event) -> bool {
        let obs = &event.obs;
        let has = |map: &HashMap<u64, Wanted>, id: Option<u64>| {
            id.is_some_and(|id| map.contains_key(&id))
        };
        has(&self.orders, obs.order_id)
            || has(&self.orders, obs.orig_order_id)
            || has(&self.matches, obs.match_id)
            || event.entries.iter().any(|entry| self.orders.contains_key(&entry.order_id))
            || self.is_named(event)
    }

    /// Whether a request or a bus may have named a closed feed event.
    pub fn is_named(&self, event: &Event) -> bool {
        self.sequence(event.obs.seq, event).is_some()
            || self.sequence(event.obs.trigger_seq, event).is_some()
    }

    fn sequence(&self, seq: Option<u64>, event: &Event) -> Option<u64> {
        let seq = seq?;
        let near = |s: &&Sequence| {
            event.at().saturating_sub(s.wanted_at).saturating_abs() <= self.window_ns
        };
        self.sequences.get(&seq).filter(near).map(|_| seq)
    }

    /// Keeps a closed feed event that [`wants`](Self::wants) it.
    pub fn keep(&mut self, event: &Arc<Event>) {
        let obs = &event.obs;
        let mut orders: SmallVec<[u64; 2]> =
            [obs.order_id, obs.orig_order_id].into_iter().flatten().collect();
        orders.dedup();
        for &id in &orders {
            keep_in(&mut self.orders, id, event);
        }
        if let Some(id) = obs.match_id {
            keep_in(&mut self.matches, id, event);
        }
        for entry in event.entries.iter().filter(|entry| !orders.contains(&entry.order_id)) {
            if self.orders.contains_key(&entry.order_id) {
                keep_in(&mut self.orders, entry.order_id, &Arc::new(event.as_entry(entry)));
            }
        }
        let named = self.sequence(obs.seq, event);
        let other = self.sequence(obs.trigger_seq, event).filter(|_| obs.trigger_seq != obs.seq);
        for seq in named.into_iter().chain(other) {
            if let Some(wanted) = self.sequences.get_mut(&seq)
                && wanted.found.len() < FOUND_MAX
            {
                wanted.found.push(event.clone());
            }
        }
    }

    /// Feed events that carry the sequence, or name it as their source, within
    /// a window of a time. Where a feed has begun again, the number is that of
    /// its newest session that had come so far by then.
    pub fn found(&self, seq: u64, at: i64) -> Found {
        let Some(wanted) = self.sequences.get(&seq) else { return Found::new() };
        let near =
            |event: &&Arc<Event>| event.at().saturating_sub(at).saturating_abs() <= self.window_ns;
        let found: Found = wanted.found.iter().filter(near).cloned().collect();
        if found.len() < 2 {
            return found;
        }
        let ended = |event: &&Arc<Event>| {
            let is_after = |other: &Arc<Event>| other.at() <= at && self.follows(event, other);
            found.iter().any(is_after)
        };
        found.iter().filter(|event| !ended(event)).cloned().collect()
    }

    /// Whether the stream of the one ended before that of the other, of the
    /// same protocol, began.
    fn follows(&self, event: &Event, other: &Event) -> bool {
        let heard = |event: &Event| *self.heard.get(event.stream as usize)?;
        let (ended, began) = (heard(event).map(|h| h.1), heard(other).map(|h| h.0));
        event.obs.protocol == other.obs.protocol
            && ended.zip(began).is_some_and(|(ended, began)| ended < began)
    }

    /// Takes out what was found for the order and match numbers of a trade
    /// told by these protocols.
    pub fn take(&mut self, orders: &[u64], matches: &[u64], by: &[TextId]) -> Published {
        let take = |map: &mut HashMap<u64, Wanted>, ids: &[u64]| {
            ids.iter().filter_map(|id| Some((*id, take_from(map, *id, by)?))).collect()
        };
        let by_order = take(&mut self.orders, orders);
        Published { by_order, by_match: take(&mut self.matches, matches) }
    }

    /// Takes out what was found for the numbers of orders so far; they stay wanted.
    pub fn lend(&mut self, orders: &[u64]) -> Vec<Numbered> {
        let lent = orders.iter().filter_map(|&number| {
            let events = std::mem::take(&mut self.orders.get_mut(&number)?.found);
            (!events.is_empty()).then_some(Numbered { number, events })
        });
        lent.collect()
    }

    /// Takes back what was lent, before what was found since.
    pub fn give_back(&mut self, lent: Vec<Numbered>) {
        for Numbered { number, mut events } in lent {
            if let Some(wanted) = self.orders.get_mut(&number) {
                events.append(&mut wanted.found);
                events.truncate(FOUND_MAX);
                wanted.found = events;
            }
        }
    }

    /// Gives the ids that kept events hold.
    pub fn hold_ids(&self, hold: &mut dyn FnMut(TextId)) {
        let numbered = self.orders.values().chain(self.matches.values());
        let named = self.sequences.values().flat_map(|wanted| &wanted.found);
        let events = numbered.flat_map(|wanted| &wanted.found).chain(named);
        events.flat_map(|event| event.obs.ids()).for_each(hold);
    }

    /// Forgets sequences whose time has passed.
    pub fn expire(&mut self, watermark: i64) {
        while let Some(&(until, seq)) = self.expiry.front()
            && until <= watermark
        {
            self.expiry.pop_front();
            if self.sequences.get(&seq).is_some_and(|wanted| wanted.until <= watermark) {
                self.sequences.remove(&seq);
            }
        }
    }
}

fn note_in(map: &mut HashMap<u64, Wanted>, (id, by): (u64, TextId), refused: &mut u64) {
    if map.len() >= WANTED_MAX && !map.contains_key(&id) {
        *refused += 1;
        return;
    }
    let wanted = map.entry(id).or_default();
    if !wanted.by.contains(&by) {
        wanted.by.push(by);
    }
}

fn keep_in(map: &mut HashMap<u64, Wanted>, id: u64, event: &Arc<Event>) {
    if let Some(wanted) = map.get_mut(&id)
        && wanted.found.len() < FOUND_MAX
    {
        wanted.found.push(event.clone());
    }
}

/// What was found for a number, which others than these may want as well.
fn take_from(map: &mut HashMap<u64, Wanted>, id: u64, by: &[TextId]) -> Option<Vec<Arc<Event>>> {
    let wanted = map.get_mut(&id)?;
    wanted.by.retain(|protocol| !by.contains(protocol));
    if wanted.by.is_empty() {
        return map.remove(&id).map(|wanted| wanted.found);
    }
    Some(wanted.found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taptrail_decoders::kind::Kind;

    fn event(stream: u32, seq: u64, at: i64) -> Arc<Event> {
        let obs = Observation { seq: Some(seq), ..Observation::empty(0, at, Kind::OrderAdd) };
        Arc::new(Event::of(&obs, stream, Way::Feed))
    }

    /// Streams and times of what is found for number 5, named at 100.
    fn found(events: &[(u32, u64, i64)]) -> Vec<(u32, i64)> {
        let mut wants = Wants::new(1_000);
        let named =
            Observation { trigger_seq: Some(5), ..Observation::empty(1, 100, Kind::ReqNew) };
        wants.note(&named, Way::ToVenue);
        for &(stream, seq, at) in events {
            let event = event(stream, seq, at);
            wants.hear(&event);
            if wants.wants(&event) {
                wants.keep(&event);
            }
        }
        wants.found(5, 100).iter().map(|event| (event.stream, event.at())).collect()
    }

    #[test]
    fn a_feed_that_began_again_is_not_the_one_before() {
        assert_eq!(found(&[(1, 5, 20), (1, 9, 40), (2, 1, 50), (2, 5, 90)]), [(2, 90)]);
        // It has not come so far yet.
        assert_eq!(found(&[(1, 5, 20), (2, 1, 50), (2, 5, 110)]), [(1, 20), (2, 110)]);
    }

    #[test]
    fn feeds_of_one_time_both_count() {
        let both = [(1, 5, 20), (2, 1, 50), (2, 5, 90), (1, 9, 95)];
        assert_eq!(found(&both), [(1, 20), (2, 90)]);
    }

    #[test]
    fn what_is_a_window_away_is_another() {
        assert_eq!(found(&[(1, 5, -901), (1, 5, 90)]), [(1, 90)]);
    }
}
