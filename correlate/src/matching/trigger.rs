//! From market data to the request it triggered, where the request says so, or
//! where [`crate::matching::reaction`] found it likely.
//!
//! ```text
//! ITCH seq 88123: P1/A P1/B P2/A P2/B P3/A P3/B ──trigger, explicit_tag──> FIX D (tag 88123): P5
//!                                       └─relay, source_seq─> bus seq 5521 (source 88123): P4
//! ```
//!
//! The link starts at the first copy of the named message at the point nearest
//! the strategy: the last point of its way whose time is before the request's.
//! What a bus made of it is told beside it; the link starts there only where
//! the named message itself was captured nowhere.

use crate::clock::Clocks;
use crate::config::Instruments;
use crate::event::{Event, Identity, Sighting};
use crate::link::{Evidence, Link, LinkKind};
use crate::matching::reaction::Heard;
use crate::matching::recent::REACTION_MAX_NS;
use crate::observation::Observation;
use crate::packed;
use crate::text::{TextId, Texts};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// How sure a named sequence is when its message is of an instrument that the
/// order is not known to follow.
const OTHER_INSTRUMENT: f32 = 0.9;

/// What triggered a request.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The feed event, and what relayed it, in order of the way.
    pub events: Vec<Arc<Event>>,
    /// The link from the first of them to the second, which has been told already.
    pub way: Option<Link>,
    /// The link to the request.
    pub link: Link,
}

/// Which instruments an order follows.
#[derive(Clone, Copy)]
pub struct Follows<'a> {
    /// Configured pairs.
    pub instruments: &'a Instruments,
    /// The texts of a run.
    pub texts: &'a Texts,
}

impl Follows<'_> {
    fn follows(&self, order: TextId, feed: TextId) -> bool {
        let mapped = || {
            let feeds = self.instruments.get(self.texts.text(order));
            feeds.is_some_and(|feeds| feeds.iter().any(|name| name == self.texts.text(feed)))
        };
        order.is_none() || feed.is_none() || order == feed || mapped()
    }
}

/// The trigger of a request that names feed sequence `seq`, among the events
/// `found` that carry the number.
/// `heard`: how likely each of several such messages is what the request heard.
pub fn explicit(
    request: &Event,
    seq: u64,
    (found, heard): (&[Arc<Event>], &[Heard]),
    follows: &Follows,
    clocks: &Clocks,
) -> Option<Trigger> {
    let named = |candidates: u32, sure: f32| Evidence {
        rule: "explicit_tag",
        confidence: sure,
        candidates,
        skipped: 0,
    };
    of_sequence(request, seq, (found, heard), follows, clocks, named)
}

/// Of messages that are all alike for the order, the one that it heard likeliest, and
/// the chance that it is that one.
fn likeliest<'a>(
    alike: &[&'a Arc<Event>],
    (found, heard): (&[Arc<Event>], &[Heard]),
    clocks: &Clocks,
) -> Option<(&'a Arc<Event>, f32)> {
    let is_it =
        |event: &Event, it: &Heard| event.sightings.iter().any(|s| s.identity == it.message);
    let chance_of = |event: &Arc<Event>| {
        let share = |it: &Heard| {
            if is_it(event, it) {
                return it.chance;
            }
            let bus = found.iter().find(|bus| bus.obs.trigger_seq.is_some() && is_it(bus, it));
            let Some(bus) = bus else { return 0.0 };
            let made_of = sources(bus, found, clocks);
            if let Some(source) = in_order(bus, &made_of, found, clocks) {
                return if Arc::ptr_eq(source, event) { it.chance } else { 0.0 };
            }
            let is_of = made_of.iter().any(|source| Arc::ptr_eq(source, event));
            if is_of { it.chance / made_of.len() as f32 } else { 0.0 }
        };
        heard.iter().map(share).sum::<f32>()
    };
    let chances: SmallVec<[f32; 4]> = alike.iter().map(|event| chance_of(event)).collect();
    let all: f32 = chances.iter().sum();
    let each = 1.0 / alike.len().max(1) as f32;
    let share = |chance: f32| if all > 0.0 { chance / all } else { each };
    let place = |event: &Event| (event.at(), event.stream);
    let better = |a: &(&'a Arc<Event>, f32), b: &(&'a Arc<Event>, f32)| {
        a.1.total_cmp(&b.1).then_with(|| place(a.0).cmp(&place(b.0)))
    };
    let all = alike.iter().copied().zip(chances.into_iter().map(share));
    all.max_by(better)
}

/// What a request that names nothing likely reacted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likely {
    /// Number of the feed message.
    pub seq: u64,
    /// What was heard: the message, or what a bus made of it.
    pub heard: Identity,
    /// Whether it was heard over a bus.
    pub relayed: bool,
    /// The chance that it is the one.
    pub confidence: f32,
    /// How many it was chosen from.
    pub candidates: u32,
    /// The events that carry the number.
    #[serde(with = "packed::shared")]
    pub found: Vec<Arc<Event>>,
}

/// The trigger of a request that names none.
pub fn reacted(
    request: &Event,
    likely: &Likely,
    follows: &Follows,
    clocks: &Clocks,
) -> Option<Trigger> {
    let rule = if likely.relayed { "bus_reaction" } else { "feed_reaction" };
    let Likely { confidence, candidates, .. } = *likely;
    let learned = |_, _| Evidence { rule, confidence, candidates, skipped: 0 };
    let found = meant(likely);
    of_sequence(request, likely.seq, (&found, &[]), follows, clocks, learned)
}

/// The events with the number that are what was heard, or what that was made
/// of; all, where it is not among them.
fn meant(likely: &Likely) -> Vec<Arc<Event>> {
    let is_own = |event: &&Arc<Event>| event.obs.trigger_seq.is_none();
    let is_heard = |event: &&Arc<Event>| event.sightings.iter().any(|s| s.identity == likely.heard);
    let Some(heard) = likely.found.iter().find(is_heard) else { return likely.found.clone() };
    if heard.obs.trigger_seq.is_none() {
        let copies = likely.found.iter().filter(|event| !is_own(event));
        return copies.chain([heard]).cloned().collect();
    }
    let own: Vec<&Arc<Event>> = likely.found.iter().filter(is_own).collect();
    let sources = likest(&own, |event| unlike_source(&heard.obs, event));
    sources.into_iter().chain([heard]).cloned().collect()
}

/// The trigger with a number; `evidence` is made of how many messages have it
/// and how sure it is that the order follows this one of them.
fn of_sequence(
    request: &Event,
    seq: u64,
    (found, known): (&[Arc<Event>], &[Heard]),
    follows: &Follows,
    clocks: &Clocks,
    evidence: impl FnOnce(u32, f32) -> Evidence,
) -> Option<Trigger> {
    let start = request.start()?;
    let early = |event: &Arc<Event>| nearest(event, start, clocks).is_some();
    let fits = |event: &Arc<Event>| follows.follows(request.obs.symbol, event.obs.symbol);
    let own = |event: &&Arc<Event>| event.obs.seq == Some(seq) && event.obs.trigger_seq.is_none();
    let sources: Vec<&Arc<Event>> = found.iter().filter(own).filter(|e| early(e)).collect();
    let sources = recent(&sources, start, clocks).to_vec();
    let fitting: Vec<&Arc<Event>> = sources.iter().copied().filter(|e| fits(e)).collect();
    let chosen_from = if fitting.is_empty() { &sources } else { &fitting };
    let alike = likest(chosen_from, |event| unlike(&request.obs, &event.obs, false));
    let heard = |event: &&&Arc<Event>| {
        let of = |bus: &&Arc<Event>| bus.obs.trigger_seq == Some(seq) && early(bus);
        let is_source = |bus: &Arc<Event>| {
            let made_of = likest(&sources, |event| unlike_source(&bus.obs, event));
            made_of.iter().any(|source| Arc::ptr_eq(source, event))
        };
        found.iter().filter(of).any(is_source)
    };
    // What a bus tells was heard; of the rest the strategy knows nothing.
    let told: SmallVec<[&Arc<Event>; 4]> = alike.iter().filter(heard).copied().collect();
    let alike = if told.is_empty() { alike } else { told };
    let likeliest = likeliest(&alike, (found, known), clocks);
    let source = likeliest.map(|(source, _)| source);
    let copied = found
        .iter()
        .filter(|event| event.obs.trigger_seq == Some(seq) && early(event))
        .filter(|event| source.map_or_else(|| fits(event), |s| same_symbol(s, event)))
        .max_by_key(|event| event.at());
    let by_relay_number = || {
        let carries = |e: &&Arc<Event>| e.obs.seq == Some(seq) && early(e) && fits(e);
        found.iter().filter(carries).max_by_key(|event| event.at())
    };
    let last = source.or(copied).or_else(by_relay_number)?;
    let from = nearest(last, start, clocks)?;
    let candidates = alike.len().max(1) as u32;
    let sure = if fitting.is_empty() && !fits(last) { OTHER_INSTRUMENT } else { 1.0 };
    let sure = sure * likeliest.map_or(1.0, |(_, chance)| chance);
    let skipped = last.missed_after(from.point).saturating_add(request.missed_before());
    let evidence = Evidence { skipped, ..evidence(candidates, sure) };
    let link = Link::new(LinkKind::Trigger, evidence, &last.obs, from, start, clocks);
    let mut events = vec![last.clone()];
    events.extend(copied.filter(|event| !Arc::ptr_eq(event, last)).cloned());
    let way = copied
        .zip(source)
        .and_then(|(copied, source)| relayed(copied, std::slice::from_ref(source), clocks));
    Some(Trigger { events, way, link })
}

fn same_symbol(a: &Event, b: &Event) -> bool {
    a.obs.symbol == b.obs.symbol || a.obs.symbol.is_none() || b.obs.symbol.is_none()
}

/// Those that a request or a bus may still have reacted to, where there are
/// any: what is named is new.
fn recent<'a>(
    from: &[&'a Arc<Event>],
    end: &Sighting,
    clocks: &Clocks,
) -> SmallVec<[&'a Arc<Event>; 4]> {
    let is_new = |event: &&Arc<Event>| {
        let latency = |from: &Sighting| clocks.latency(from.stamp(), end.stamp(), false).ns;
        nearest(event, end, clocks).is_some_and(|from| latency(from) <= REACTION_MAX_NS)
    };
    let new: SmallVec<[&Arc<Event>; 4]> = from.iter().copied().filter(is_new).collect();
    if new.is_empty() { from.iter().copied().collect() } else { new }
}

/// Those that differ least. One number stands for several messages where
/// several units or venues count by themselves, or where packets are counted.
fn likest<'a>(
    from: &[&'a Arc<Event>],
    unlike: impl Fn(&Event) -> u32,
) -> SmallVec<[&'a Arc<Event>; 4]> {
    let least = from.iter().map(|event| unlike(event)).min();
    from.iter().copied().filter(|event| Some(unlike(event)) == least).collect()
}

/// In how many terms a bus message differs from what it may be made of.
fn unlike_source(relay: &Observation, source: &Event) -> u32 {
    let of_entry = |entry| unlike(relay, &source.as_entry(entry).obs, true);
    let own = unlike(relay, &source.obs, true);
    source.entries.iter().map(of_entry).fold(own, u32::min)
}

/// In how many terms two messages differ; what one of them leaves out counts
/// half. `whole`: the one was made of the other, with its side and quantity.
fn unlike(a: &Observation, b: &Observation, whole: bool) -> u32 {
    fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> u32 {
        match (a, b) {
            (Some(a), Some(b)) => 2 * u32::from(a != b),
            (a, b) => u32::from(a.is_some() != b.is_some()),
        }
    }
    let terms = differ(a.symbol.some(), b.symbol.some()) + differ(a.price.get(), b.price.get());
    let parts = || {
        differ(a.side, b.side) + differ(a.qty.get(), b.qty.get()) + differ_in_kind(a.kind, b.kind)
    };
    terms + if whole { parts() } else { 0 }
}

/// What is done, as a bus may call it: a fill is a trade.
fn differ_in_kind(a: Kind, b: Kind) -> u32 {
    let trades = |kind| matches!(kind, Kind::OrderFill | Kind::Trade | Kind::TradeCross);
    if a == b {
        0
    } else if trades(a) == trades(b) {
        1
    } else {
        2
    }
}

/// The first copy at the last point of the event's way that is before `end`,
/// where the clocks can tell; else at the last point.
fn nearest<'a>(event: &'a Event, end: &Sighting, clocks: &Clocks) -> Option<&'a Sighting> {
    let before = |s: &&Sighting| {
        let latency = clocks.latency(s.stamp(), end.stamp(), false);
        let latest = latency.bounds.map_or(latency.ns, |(_, hi)| hi);
        !clocks.comparable(s.point, end.point) || latest >= 0
    };
    event.path.iter().rev().filter_map(|&point| event.first_at(point)).find(before)
}

/// The feed messages that a bus message may be made of, among those with the number
/// that it names: those that are most like it.
pub fn sources<'a>(
    relay: &Event,
    found: &'a [Arc<Event>],
    clocks: &Clocks,
) -> SmallVec<[&'a Arc<Event>; 4]> {
    let Some((seq, start)) = relay.obs.trigger_seq.zip(relay.start()) else {
        return SmallVec::new();
    };
    let carries = |event: &&Arc<Event>| {
        event.obs.seq == Some(seq)
            && event.stream != relay.stream
            && event.obs.trigger_seq.is_none()
            && same_symbol(event, relay)
    };
    let early: SmallVec<[&Arc<Event>; 4]> = found
        .iter()
        .filter(carries)
        .filter(|event| nearest(event, start, clocks).is_some())
        .collect();
    let early = recent(&early, start, clocks);
    likest(&early, |event| unlike_source(&relay.obs, event))
}

/// Of the feed messages with a number that an order names, those that it means:
/// messages of instruments that it follows, where there are any.
pub fn meant_by_order<'a>(
    symbol: TextId,
    seq: u64,
    found: &'a [Arc<Event>],
    follows: &Follows,
) -> SmallVec<[&'a Arc<Event>; 4]> {
    let own = |event: &&Arc<Event>| event.obs.seq == Some(seq) && event.obs.trigger_seq.is_none();
    let all: SmallVec<[&Arc<Event>; 4]> = found.iter().filter(own).collect();
    let fits = |event: &&Arc<Event>| follows.follows(symbol, event.obs.symbol);
    let fitting: SmallVec<[&Arc<Event>; 4]> = all.iter().copied().filter(fits).collect();
    if fitting.is_empty() { all } else { fitting }
}

/// The link from a feed message to what a bus or another feed made of it,
/// where that carries the source's sequence. Several of a packet that are all alike
/// are paired in order with what was made of them, where nothing of that is missing.
pub fn relayed(relay: &Event, found: &[Arc<Event>], clocks: &Clocks) -> Option<Link> {
    let start = relay.start()?;
    let alike = sources(relay, found, clocks);
    let paired = in_order(relay, &alike, found, clocks);
    let sources = paired
        .map_or_else(|| alike.clone(), |source| SmallVec::from_iter([source]))
        .into_iter()
        .filter_map(|event| Some((event, nearest(event, start, clocks)?)));
    let sources: SmallVec<[(&Arc<Event>, &Sighting); 2]> = sources.collect();
    let last = sources.iter().max_by_key(|(event, _)| (event.at(), event.stream));
    let (source, from) = *last?;
    let candidates = sources.len() as u32;
    let evidence = Evidence {
        rule: "source_seq",
        confidence: 1.0 / candidates as f32,
        candidates,
        skipped: source.missed_after(from.point).saturating_add(relay.missed_before()),
    };
    Some(Link::new(LinkKind::Relay, evidence, &source.obs, from, start, clocks))
}

/// Of messages of one packet that are all alike, the one that `relay` is made of: its
/// place among all that the same bus made of them, if that is as many.
fn in_order<'a>(
    relay: &Event,
    alike: &[&'a Arc<Event>],
    found: &[Arc<Event>],
    clocks: &Clocks,
) -> Option<&'a Arc<Event>> {
    let stream = alike.first().filter(|_| alike.len() > 1)?.stream;
    if alike.iter().any(|event| event.stream != stream) {
        return None;
    }
    let place = |event: &Event| Some((event.at(), event.start()?.identity));
    let is_copy = |other: &&Arc<Event>| {
        let its = || sources(other, found, clocks);
        other.stream == relay.stream
            && other.obs.trigger_seq == relay.obs.trigger_seq
            && its().iter().map(|e| Arc::as_ptr(e)).eq(alike.iter().map(|e| Arc::as_ptr(e)))
    };
    let mut copies: Vec<_> = found.iter().filter(is_copy).filter_map(|e| place(e)).collect();
    copies.sort_unstable();
    copies.dedup();
    let own = copies.iter().position(|copy| Some(*copy) == place(relay))?;
    let mut ordered: SmallVec<[&'a Arc<Event>; 4]> = alike.iter().copied().collect();
    ordered.sort_by_key(|event| place(event));
    ordered.get(own).copied().filter(|_| copies.len() == ordered.len())
}
