//! What is learned before rows are made.
//!
//! ```text
//! part of every feed, all sessions ─> gatherer ─> in which order messages pass the points
//! all messages around requests ─────> newest market data ─> what requests react to
//! ```

use crate::config::Settings;
use crate::event::Sighting;
use crate::matching::keys::{Joins, Keys};
use crate::matching::reaction::{CASES_MAX, Case, Reactions};
use crate::matching::recent::{Lookback, Recent};
use crate::matching::resting::{Brief, Resting};
use crate::matching::same::Gatherer;
use crate::observation::{Observation, Way};
use crate::stream::{SameFeeds, Streams};
use crate::text::{TextId, Texts};
use crate::topology::{Learner, Topology};
use hashbrown::HashMap;
use taptrail_decoders::framing::catalog as framing;
use taptrail_decoders::kind::Kind;

/// Protocols whose rows are a framing's own, not messages.
const FRAMINGS: [&str; 2] = ["moldudp64", "tcp"];

/// Tells messages that points may share from rows of a framing.
#[derive(Debug, Default)]
pub struct Framings {
    known: HashMap<TextId, bool>,
}

impl Framings {
    /// Whether it is a message.
    pub fn is_message(&mut self, observation: &Observation, texts: &Texts) -> bool {
        let framing = *self.known.entry(observation.protocol).or_insert_with(|| {
            let protocol = texts.text(observation.protocol);
            let declared = || framing::embedded().iter().any(|framing| framing.id == protocol);
            FRAMINGS.contains(&protocol) || declared()
        });
        observation.kind != Kind::Gap && !framing
    }
}

/// What a sample says.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// In which order messages pass the points.
    pub topology: Topology,
    /// What requests react to.
    pub reactions: Reactions,
    /// What feeds are like.
    pub feeds: Feeds,
}

/// What feeds are like.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    /// Groups that are one feed.
    pub same: SameFeeds,
    /// Protocols that name an order's symbol once.
    pub brief: Brief,
}

/// Learns in which order messages pass the points.
pub struct OrderScout {
    framings: Framings,
    streams: Streams,
    gatherer: Gatherer,
    learner: Learner,
    keys: Keys,
    resting: Resting,
    first_order: Option<i64>,
}

impl OrderScout {
    /// Knows the configuration only.
    pub fn new(settings: &Settings) -> Self {
        Self {
            framings: Framings::default(),
            streams: Streams::new(),
            gatherer: Gatherer::new(window_ns(settings)),
            learner: Learner::new(),
            keys: Keys::new(&settings.correlate.key),
            resting: Resting::default(),
            first_order: None,
        }
    }

    /// Takes an observation, in order of corrected time.
    pub fn push(&mut self, mut observation: Observation, texts: &mut Texts) {
        if observation.entry > 0 || !self.framings.is_message(&observation, texts) {
            return;
        }
        let stream = self.streams.of(&observation, texts);
        let way = self.streams.way(stream);
        observation.seq_counted = self.streams.is_counted(stream);
        observation.own_key = self.keys.of(Joins::Same, &observation, texts);
        if way == Way::Feed {
            self.resting.note(&observation);
        }
        if is_new_order(&observation, way) {
            self.first_order.get_or_insert(observation.at);
        }
        let home = self.gatherer.push(&observation, stream, way);
        self.streams.join(home, stream);
        self.close(observation.at);
    }

    fn close(&mut self, watermark: i64) {
        while let Some(event) = self.gatherer.close_next(watermark) {
            self.learner.push(&event, &self.streams);
            self.gatherer.reuse(event);
        }
    }

    /// Gives the ids that open events hold.
    pub fn hold_ids(&self, hold: &mut dyn FnMut(TextId)) {
        self.gatherer.hold_ids(hold);
    }

    /// When the first order was seen, by corrected time.
    pub fn first_order(&self) -> Option<i64> {
        self.first_order
    }

    /// What feeds are like.
    pub fn feeds(&self) -> Feeds {
        Feeds { same: self.streams.same_feeds().clone(), brief: self.resting.brief().clone() }
    }

    /// What was learned.
    pub fn finish(mut self) -> Learner {
        self.close(i64::MAX);
        self.learner
    }
}

/// Learns what requests react to.
pub struct ReactionScout {
    framings: Framings,
    streams: Streams,
    recent: Recent,
    resting: Resting,
    cases: Vec<Case>,
    settings: Settings,
}

impl ReactionScout {
    /// Knows the configuration and what feeds are like.
    pub fn new(settings: &Settings, feeds: &Feeds) -> Self {
        Self {
            framings: Framings::default(),
            streams: Streams::new().with_feeds(feeds.same.clone()),
            recent: Recent::default(),
            resting: Resting::new(feeds.brief.clone()),
            cases: Vec::new(),
            settings: settings.clone(),
        }
    }

    /// Takes an observation, in order of corrected time: a request at the first
    /// point that sees it, or market data.
    pub fn push(&mut self, observation: &Observation, texts: &mut Texts) {
        if observation.entry > 0 || !self.framings.is_message(observation, texts) {
            return;
        }
        let stream = self.streams.of(observation, texts);
        let way = self.streams.way(stream);
        if way == Way::Feed && !observation.is_copy() {
            self.recent.note(&self.resting.complete(observation, stream), stream);
        }
        if !is_new_order(observation, way) || self.is_full() {
            return;
        }
        let instruments = followed(observation.symbol, &self.settings, texts);
        let before = self.recent.before(&instruments, observation.at);
        let conversation = self.streams.get(stream).map(|stream| stream.conversation);
        self.cases.push(case(observation, conversation.unwrap_or_default(), before));
    }

    /// Whether it has seen as many requests as it learns from.
    pub fn is_full(&self) -> bool {
        self.cases.len() >= CASES_MAX
    }

    /// What was learned.
    pub fn finish(self) -> Reactions {
        Reactions::of_sample(&self.cases)
    }
}

/// Whether a request opens an order, sent for the first time.
pub(crate) fn is_new_order(observation: &Observation, way: Way) -> bool {
    observation.kind == Kind::ReqNew && way == Way::ToVenue && !observation.is_copy()
}

/// The instruments that an order of `symbol` may follow.
pub(crate) fn followed(symbol: TextId, settings: &Settings, texts: &mut Texts) -> Vec<TextId> {
    let mapped = settings.instruments.get(texts.text(symbol)).into_iter().flatten();
    let names: Vec<TextId> = mapped.map(|name| texts.intern(name)).collect();
    symbol.some().into_iter().chain(names).collect()
}

pub(crate) fn case(request: &Observation, conversation: TextId, before: Lookback) -> Case {
    let Observation { protocol, side, price, trigger_seq: named, .. } = *request;
    let id = Sighting::of(request, false).identity;
    Case { id, conversation, protocol, side, price: price.get(), before, named }
}

pub(crate) fn window_ns(settings: &Settings) -> i64 {
    settings.correlate.window_ns()
}
