//! The correlator: observations in, rows out, everything in bounded windows.
//!
//! ```text
//! push ─> gatherer (window) ─> closed event
//!                                    │ losses, lines, same links
//!             feed events wanted ────┤
//!             session events ────────┴─> book ─> closed trade
//!                                                 └─> links, order, lineage
//! ```
//!
//! Where clocks have to be measured it runs twice: over a sample that only
//! shows what crosses between them, then over everything.

mod advance;
mod rest;
mod trades;

use crate::clock::{Clocks, Gauge};
use crate::config::Settings;
use crate::early::Early;
use crate::event::{Event, Identity, Sighting, StreamIx};
use crate::hops::Hops;
use crate::lineage::{Story, Words};
use crate::lines::Lines;
use crate::link::{Found, Link};
use crate::losses::health::Health;
use crate::losses::{Losses, Names};
use crate::matching::keys::{Joins, Keys};
use crate::matching::orders::{Book, OrderNumber, Trade};
use crate::matching::reaction::{Case, Reactions};
use crate::matching::recent::{Lookback, Recent};
use crate::matching::resting::Resting;
use crate::matching::same::{self, Gatherer};
use crate::matching::trade::Numbered;
use crate::matching::trigger::{self, Follows, Likely};
use crate::observation::{Observation, Way, is_request};
use crate::points::{PointIx, Points};
use crate::sample::Sample;
use crate::scout::{Feeds, Framings, Learned, case, followed, is_new_order, window_ns};
use crate::shelf::Shelf;
use crate::stream::Streams;
use crate::text::{TextId, Texts};
use crate::told::{Counters, Rows, Summary};
use crate::topology::{self, Learner, Route, Topology};
use crate::traffic::Traffic;
use crate::wants::{self, KEPT_WINDOWS, Wants};
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// Most requests whose surroundings wait for their orders; those of further
/// ones are not kept, counted.
pub const ASKED_MAX: usize = 1 << 16;

enum Pending {
    /// A request that names a feed sequence.
    Trigger { order: OrderNumber, seq: u64, symbol: TextId, by: PointIx, at: i64 },
    /// A request and what came before it.
    Reaction { order: OrderNumber, case: Case, at: i64 },
    /// A feed message that names the one it was made of.
    Relayed(Arc<Event>),
}

/// Makes rows of observations.
pub struct Correlator {
    settings: Settings,
    points: Points,
    clocks: Clocks,
    topology: Topology,
    texts: Texts,
    framings: Framings,
    streams: Streams,
    keys: Keys,
    gatherer: Gatherer,
    wants: Wants,
    recent: Recent,
    resting: Resting,
    /// Streams whose messages name those that they were made of.
    relays: HashSet<StreamIx>,
    /// What came before requests that have not become part of an order yet.
    asked: HashMap<Identity, Lookback>,
    asked_refused: u64,
    reactions: Reactions,
    book: Book,
    /// Where trades of which nothing is heard are.
    shelf: Option<Shelf>,
    losses: Losses,
    lines: Lines,
    traffic: Traffic,
    hops: Hops,
    pending: VecDeque<(i64, Pending)>,
    watermark: i64,
    is_behind: bool,
    last_at: i64,
    counters: Counters,
    rows: Rows,
    /// Room for the links of an event.
    links: Vec<Link>,
    /// What crosses between clocks, where it is gathered.
    gauge: Option<Gauge>,
    /// Where nothing else is made.
    measuring: Option<Measuring>,
    /// Where links are told as soon as they are certain.
    early: Option<Early>,
}

/// A run that only measures clocks and the order of points, by a sample.
#[derive(Debug)]
struct Measuring {
    sample: Sample,
    learner: Learner,
    first_order: Option<i64>,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// What crossed between clocks.
    pub gauge: Gauge,
    /// What it tells of the order of points.
    pub learner: Learner,
    /// When the first order was seen, by corrected time.
    pub first_order: Option<i64>,
    /// What feeds are like.
    pub feeds: Feeds,
    /// The texts to go on with.
    pub texts: Texts,
}

impl Correlator {
    /// A correlator that knows what was `learned` and has seen nothing. `texts`
    /// are those that it was learned with.
    pub fn new(settings: &Settings, points: &Points, learned: Learned, texts: Texts) -> Self {
        let window = window_ns(settings);
        let Learned { topology, reactions, feeds } = learned;
        Self {
            settings: settings.clone(),
            points: points.clone(),
            clocks: Clocks::new(points, &settings.clocks, &settings.hops),
            topology,
            texts,
            framings: Framings::default(),
            streams: Streams::new().with_feeds(feeds.same),
            keys: Keys::new(&settings.correlate.key),
            gatherer: Gatherer::new(window),
            wants: Wants::new(window),
            recent: Recent::default(),
            resting: Resting::new(feeds.brief),
            relays: HashSet::new(),
            asked: HashMap::new(),
            asked_refused: 0,
            reactions,
            book: Book::new(window, Keys::new(&settings.correlate.key))
                .holding(settings.correlate.open_events_max as usize),
            shelf: None,
            losses: Losses::new(window),
            lines: Lines::new(),
            traffic: Traffic::default(),
            hops: Hops::new(),
            pending: VecDeque::new(),
            watermark: i64::MIN,
            is_behind: false,
            last_at: 0,
            counters: Counters::default(),
            rows: Rows::default(),
            links: Vec::new(),
            gauge: None,
            measuring: None,
            early: None,
        }
    }

    /// The same correlator with clocks that were measured.
    pub fn with_clocks(mut self, clocks: Clocks) -> Self {
        self.clocks = clocks;
        self
    }

    /// Takes what captures say of their own drops.
    pub fn set_health(&mut self, health: Health) {
        self.losses.set_health(health);
    }

    /// The clocks that latencies are taken by.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Messages of earlier time than one before them.
    pub fn late(&self) -> u64 {
        self.counters.late
    }

    /// The same correlator, to measure clocks and the order of points: it makes
    /// no links, only gathers what crosses. Of feeds it looks at a sample.
    pub fn measuring(mut self, sample: Sample) -> Self {
        self.gauge = Some(Gauge::default());
        self.measuring = Some(Measuring { sample, learner: Learner::new(), first_order: None });
        self
    }

    /// The same correlator, which besides gathers what crosses between clocks.
    pub fn gauging(mut self) -> Self {
        self.gauge = Some(Gauge::default());
        self
    }

    /// The same correlator, which tells links of feeds as soon as they are certain.
    pub fn telling_early(mut self) -> Self {
        self.early = Some(Early::default());
        self
    }

    /// What crossed between clocks so far, where it is gathered.
    pub fn gauge(&self) -> Option<&Gauge> {
        self.gauge.as_ref()
    }

    /// From here on latencies are taken by these clocks.
    pub fn set_clocks(&mut self, clocks: Clocks) {
        self.clocks = clocks;
    }

    /// What was measured. Call it after `finish`.
    pub fn into_measured(self) -> Measured {
        let gauge = self.gauge.unwrap_or_default();
        let (learner, first_order) =
            self.measuring.map(|m| (m.learner, m.first_order)).unwrap_or_default();
        let feeds =
            Feeds { same: self.streams.same_feeds().clone(), brief: self.resting.brief().clone() };
        Measured { gauge, learner, first_order, feeds, texts: self.texts }
    }

    /// Where observations' texts are interned.
    pub fn texts(&mut self) -> &mut Texts {
        &mut self.texts
    }

    /// Gives the rows that are certain by now to `write`, then forgets them.
    ///
    /// # Errors
    /// What `write` gives.
    pub fn write_rows<E>(
        &mut self,
        write: impl FnOnce(&Rows, &Texts, &Points) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows.losses.append(&mut self.losses.take_rows());
        let written = write(&self.rows, &self.texts, &self.points);
        self.rows.clear();
        self.forget_ids();
        written
    }

    /// Forgets the ids that nothing holds any more. There must be no rows.
    fn forget_ids(&mut self) {
        if !self.texts.is_full_of_ids() {
            return;
        }
        let Self { texts, gatherer, wants, book, pending, .. } = self;
        texts.sweep(|hold| {
            gatherer.hold_ids(hold);
            wants.hold_ids(hold);
            book.hold_ids(hold);
            for (_, pending) in pending.iter() {
                if let Pending::Relayed(event) = pending {
                    event.obs.ids().into_iter().for_each(&mut *hold);
                }
            }
        });
    }

    /// How many rows there are to be written.
    pub fn rows_waiting(&self) -> usize {
        self.rows.links.len() + self.rows.lineage.len()
    }

    /// What is known by now of that which is only known at the end.
    pub fn summary(&self) -> Summary {
        Summary {
            hops: self.hops.rows(&self.points, &self.clocks),
            lines: self.lines.rows(&self.points, &self.streams, &self.texts),
            clocks: self.clocks.rows(self.last_at),
            traffic: self.traffic.rows(&self.points, &self.texts),
            counters: self.counters(),
        }
    }

    fn counters(&self) -> Counters {
        let over_limits = self.gatherer.closed_early()
            + self.book.closed_early()
            + self.wants.refused()
            + self.recent.forgotten()
            + self.resting.forgotten()
            + self.asked_refused
            + self.texts.refused()
            + self.losses.dropped()
            + self.traffic.refused()
            + self.hops.refused();
        Counters { over_limits, ..self.counters }
    }

    /// Takes the next observation in order of corrected time, those of one time
    /// by place.
    pub fn push(&mut self, observation: &Observation) {
        self.counters.observations += 1;
        self.last_at = observation.at;
        self.counters.late += u64::from(observation.at < self.watermark);
        if observation.kind == Kind::Gap {
            self.losses.bytes_missing(observation, &self.points, &self.texts);
            return;
        }
        if observation.entry > 0 || !self.framings.is_message(observation, &self.texts) {
            self.counters.entries += u64::from(observation.entry > 0);
            self.gatherer.entry(observation);
            self.traffic.note(observation);
            return;
        }
        let stream = self.streams.of(observation, &mut self.texts);
        let way = self.streams.way(stream);
        if let Some(measuring) = &mut self.measuring {
            let Observation { seq, trigger_seq, .. } = *observation;
            if way == Way::Feed && !measuring.sample.looks_at(seq, trigger_seq) {
                return;
            }
            if is_new_order(observation, way) {
                measuring.first_order.get_or_insert(observation.at);
            }
        }
        if !observation.is_copy() {
            self.wants.note(observation, way);
        }
        let complete = match way {
            Way::Feed => self.resting.complete(observation, stream),
            _ => *observation,
        };
        if self.measuring.is_none() {
            self.look_back(&complete, stream, way);
        }
        let seq_counted = self.streams.is_counted(stream);
        let own_key = self.keys.of(Joins::Same, observation, &self.texts);
        let symbol = complete.symbol;
        let known = Observation { seq_counted, own_key, symbol, ..*observation };
        if self.measuring.is_none() {
            self.traffic.note(&known);
        }
        let home = self.gatherer.push(&known, stream, way);
        self.streams.join(home, stream);
        if way == Way::Feed && self.early.is_some() {
            self.tell_early();
        }
        self.advance(observation.at);
    }

    /// Tells the links of the event just seen where it was seen everywhere.
    fn tell_early(&mut self) {
        let Self { gatherer, early: Some(early), streams, topology, clocks, .. } = self else {
            return;
        };
        let Some(event) = gatherer.touched() else { return };
        let Some(last) = event.sightings.last() else { return };
        early.note(event.stream, last.point, last.line);
        let Some(stream) = streams.get(event.stream) else { return };
        let conversation = streams.conversation(stream.conversation);
        let route = Route { protocol: stream.protocol, conversation, way: Way::Feed };
        let way = topology.path(route);
        let told = !event.same.is_empty() || event.sightings.iter().any(|s| s.marked);
        if told || !same::is_linked(event.obs.kind) || !early.is_everywhere(event, way) {
            return;
        }
        event.path = topology::order(way, event);
        let on_line = |point, line| self.losses.on_line(event.stream, point, line);
        same::links(event, way, clocks, &on_line, &mut self.links);
        event.same.clone_from(&self.links);
        let mut links = std::mem::take(&mut self.links);
        for link in links.drain(..) {
            self.emit(&link, None);
        }
        self.links = links;
    }

    /// Remembers market data, and what came before a new order.
    fn look_back(&mut self, observation: &Observation, stream: StreamIx, way: Way) {
        if way == Way::Feed && !observation.is_copy() {
            self.recent.note(observation, stream);
        }
        if !is_new_order(observation, way) {
            return;
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked_refused += 1;
            return;
        }
        let instruments = followed(observation.symbol, &self.settings, &mut self.texts);
        let before = self.recent.before(&instruments, observation.at);
        if observation.trigger_seq.is_none() {
            self.wants.note_candidates(&before.candidates, observation.at);
        }
        self.asked.insert(Sighting::of(observation, false).identity, before);
    }

    fn closed(&mut self, mut closed: Arc<Event>) {
        self.counters.events += 1;
        let event = Arc::make_mut(&mut closed);
        let Some(mut stream) = self.streams.get(event.stream).copied() else { return };
        stream.conversation = self.streams.conversation(stream.conversation);
        event.way = self.streams.way(event.stream);
        let route =
            Route { protocol: stream.protocol, conversation: stream.conversation, way: event.way };
        let learned = self.topology.path(route);
        event.path = topology::order(learned, event);
        if let Some(measuring) = &mut self.measuring {
            measuring.learner.push(event, &self.streams);
        }
        event.note_missed(learned);
        let full_path: &[PointIx] = if learned.is_empty() { &event.path } else { learned };
        let names = Names { points: &self.points, streams: &self.streams, texts: &self.texts };
        if event.is_repeat() {
            self.counters.repeats += 1;
            return self.gatherer.reuse(closed);
        }
        if self.measuring.is_none() {
            self.losses.add(event, full_path, &names, &mut self.hops);
        }
        if event.way != Way::Feed {
            return self.closed_session(closed, stream.conversation);
        }
        let mut links = std::mem::take(&mut self.links);
        self.links_of(&closed, &mut links);
        self.closed_feed(closed, &links);
        links.clear();
        self.links = links;
    }

    /// Adds the links between a closed event's sightings to `found`.
    fn links_of(&self, event: &Event, found: &mut Vec<Link>) {
        let Some(stream) = self.streams.get(event.stream) else { return };
        if !same::is_linked(event.obs.kind) {
            return;
        }
        let conversation = self.streams.conversation(stream.conversation);
        let route = Route { protocol: stream.protocol, conversation, way: event.way };
        let learned = self.topology.path(route);
        let full_path: &[PointIx] = if learned.is_empty() { &event.path } else { learned };
        let on_line = |point, line| self.losses.on_line(event.stream, point, line);
        same::links(event, full_path, &self.clocks, &on_line, found);
    }

    fn closed_feed(&mut self, mut closed: Arc<Event>, links: &[Link]) {
        let event = Arc::make_mut(&mut closed);
        if self.measuring.is_none() {
            self.lines.add(event);
        }
        let told = std::mem::take(&mut event.same);
        let is_told = |link: &Link| {
            told.iter()
                .any(|t| (t.from.identity, t.to.identity) == (link.from.identity, link.to.identity))
        };
        for link in links.iter().filter(|link| !is_told(link)) {
            self.emit(link, None);
        }
        let relayed = event.obs.trigger_seq.is_some();
        if relayed {
            self.relays.insert(event.stream);
        }
        self.wants.hear(event);
        if !relayed && !self.wants.wants(event) {
            return self.gatherer.reuse(closed);
        }
        // They are the way to what the message triggered.
        if self.wants.is_named(event) {
            event.same = links.to_vec();
        }
        self.wants.keep(&closed);
        if relayed {
            self.pend(closed.at(), Pending::Relayed(closed));
        }
    }

    fn closed_session(&mut self, event: Arc<Event>, conversation: TextId) {
        let named = event.obs.trigger_seq.filter(|_| is_request(event.obs.kind));
        let at = event.at();
        let start = event.start().map(|start| start.identity);
        let by = event.start().map(|start| start.point);
        let mut before = None;
        for sighting in &event.sightings {
            let asked = self.asked.remove(&sighting.identity);
            before = before.or(asked.filter(|_| Some(sighting.identity) == start));
        }
        let case = before.map(|before| {
            let case = case(&event.obs, conversation, before);
            Case { id: start.unwrap_or(case.id), ..case }
        });
        let symbol = event.obs.symbol;
        self.wake_for(&event.obs, conversation);
        match self.book.take(event, conversation, &self.texts, &self.clocks) {
            Ok(order) => {
                if let Some((seq, by)) = named.zip(by) {
                    self.pend(at, Pending::Trigger { order, seq, symbol, by, at });
                }
                if let Some(case) = case {
                    self.pend(at, Pending::Reaction { order, case, at });
                }
            }
            Err(event) => {
                self.counters.without_order += 1;
                let mut links = std::mem::take(&mut self.links);
                self.links_of(&event, &mut links);
                links.drain(..).for_each(|link| self.emit(&link, None));
                self.links = links;
            }
        }
    }

    /// What an event names may be closed up to a window later than itself.
    fn pend(&mut self, at: i64, pending: Pending) {
        let due = at.saturating_add(window_ns(&self.settings).saturating_mul(KEPT_WINDOWS));
        self.pending.push_back((due, pending));
    }

    fn settle(&mut self, pending: Pending) {
        match pending {
            Pending::Trigger { order, seq, symbol, by, at } => {
                let found = self.found(seq, at);
                let follows =
                    Follows { instruments: &self.settings.instruments, texts: &self.texts };
                let meant = trigger::meant_by_order(symbol, seq, &found, &follows);
                self.losses.named(seq, (by, at), &meant, &found);
                drop(meant);
                if let Some(order) = self.book.order_mut(order) {
                    order.triggers.push(Numbered { number: seq, events: found.into_vec() });
                }
            }
            Pending::Reaction { order, case, at } => self.react(order, &case, at),
            Pending::Relayed(event) => {
                let Some(seq) = event.obs.trigger_seq else { return };
                let found = self.found(seq, event.at());
                if let Some(start) = event.start() {
                    let meant = trigger::sources(&event, &found, &self.clocks);
                    self.losses.named(seq, (start.point, start.at), &meant, &found);
                }
                let link = trigger::relayed(&event, &found, &self.clocks);
                if let Some(link) = link {
                    self.emit(&link, None);
                }
            }
        }
    }

    /// Feed events that carry a sequence or name it. What is named is a feed's
    /// number: a bus has numbers of its own, which count where no feed has it.
    fn found(&self, seq: u64, at: i64) -> wants::Found {
        let found = self.wants.found(seq, at);
        let own_number = |event: &&Arc<Event>| {
            event.obs.trigger_seq != Some(seq) && self.relays.contains(&event.stream)
        };
        if found.iter().all(|event| own_number(&event)) {
            return found;
        }
        found.iter().filter(|event| !own_number(event)).cloned().collect()
    }

    /// Decides what a request reacted to, and learns from it.
    fn react(&mut self, order: OrderNumber, case: &Case, at: i64) {
        let heard = self.reactions.heard(case);
        let choice = self.reactions.decide(case);
        let chosen = choice.and_then(|choice| {
            let candidate = case.before.candidates.get(choice.candidate)?;
            Some(Likely {
                seq: candidate.seq,
                heard: candidate.heard,
                relayed: candidate.relayed,
                confidence: choice.confidence,
                candidates: case.before.candidates.len() as u32,
                found: self.found(candidate.seq, at).into_vec(),
            })
        });
        if let Some(order) = self.book.order_mut(order) {
            order.likely = order.likely.take().or(chosen);
            order.heard.extend(heard);
        }
    }

    fn emit(&mut self, link: &Link, lineage_id: Option<u64>) {
        if let Some(gauge) = &mut self.gauge
            && link.orders_its_ends()
        {
            gauge.add(link.from.stamp(), link.to.stamp(), &self.clocks);
        }
        if self.measuring.is_some() {
            return;
        }
        let contradicts =
            link.kind.is_causal() && link.latency.bounds.is_some_and(|(_, hi)| hi < 0);
        self.counters.contradictions += u64::from(contradicts);
        self.hops.add(link);
        self.rows.links.push(Found { link: *link, lineage_id });
    }

    /// Writes down a link between packets that nothing decodes.
    pub(crate) fn tell_same(&mut self, link: Link) {
        self.hops.add(&link);
        self.rows.links.push(Found { link, lineage_id: None });
    }

    /// Writes down a closed trade.
    fn tell(&mut self, trade: &Trade) {
        let triggers = self.triggers(trade);
        let publications = self.publications(trade);
        // They are many and not kept, since orders live long.
        let mut same = Vec::new();
        for event in trade.orders.iter().flat_map(|(_, order)| &order.events) {
            self.links_of(event, &mut same);
        }
        let story = Story::new(trade, same, triggers, publications, &self.clocks);
        self.count_unmatched(&story);
        let lineage_id = story.id();
        for link in &story.links {
            self.emit(link, Some(lineage_id));
        }
        if self.measuring.is_some() {
            return;
        }
        let words = Words { texts: &self.texts, points: &self.points };
        let lineage = story.lineage();
        self.rows.orders.extend(story.order(words, lineage.len() as u32));
        self.rows.lineage.extend(lineage);
    }
}
