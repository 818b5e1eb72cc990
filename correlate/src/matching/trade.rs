//! An order in one conversation, and all orders that hang together.
//!
//! ```text
//! Trade ── order on the client side ── order on the venue's side (bond)
//!                                   └─ drop copy (bond, copy)
//! ```

use crate::event::Event;
use crate::link::Evidence;
use crate::matching::keys::OwnKey;
use crate::matching::reaction::Heard;
use crate::matching::trigger::Likely;
use crate::observation::{is_report, is_request};
use crate::packed;
use crate::text::TextId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, Side};

/// Number of an order, in order of first sight.
pub type OrderNumber = u64;

/// How an order hangs on the one it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bond {
    /// The order nearer the strategy.
    pub up: OrderNumber,
    /// Why.
    pub evidence: Evidence,
    /// Whether this one is a drop copy: reports only.
    pub copy: bool,
}

/// Events that are found by a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// The number: of a feed message, an order or a match.
    pub number: u64,
    /// The events.
    #[serde(with = "packed::shared")]
    pub events: Vec<Arc<Event>>,
}

/// An order in one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Both directions of its session.
    pub conversation: TextId,
    /// Protocol.
    pub protocol: TextId,
    /// Its events in order of time.
    #[serde(with = "packed::shared")]
    pub events: Vec<Arc<Event>>,
    /// Symbol, where an event tells.
    pub symbol: TextId,
    /// Side, where an event tells.
    pub side: Option<Side>,
    /// What it comes from.
    pub bond: Option<Bond>,
    /// What comes from it.
    #[serde(with = "packed::small")]
    pub downs: SmallVec<[OrderNumber; 2]>,
    /// Feed events that a request names as its trigger, by the sequence named.
    pub triggers: Vec<Numbered>,
    /// What its first request likely reacted to, where it names nothing.
    pub likely: Option<Likely>,
    /// Of the messages with the number that its request names, where they are
    /// several: how likely each is what was heard.
    pub heard: Vec<Heard>,
    pub(crate) last_at: i64,
    /// When it last asked for something that others wait for.
    pub(crate) asked_at: i64,
    #[serde(with = "packed::small")]
    pub(crate) client_ids: SmallVec<[TextId; 4]>,
    #[serde(with = "packed::small")]
    pub(crate) order_ids: SmallVec<[u64; 2]>,
    #[serde(with = "packed::small")]
    pub(crate) exec_ids: SmallVec<[TextId; 4]>,
    pub(crate) own_keys: Vec<OwnKey>,
}

impl Order {
    pub(crate) fn new(event: &Event, conversation: TextId) -> Self {
        Self {
            conversation,
            protocol: event.obs.protocol,
            events: Vec::new(),
            symbol: TextId::NONE,
            side: None,
            bond: None,
            downs: SmallVec::new(),
            triggers: Vec::new(),
            likely: None,
            heard: Vec::new(),
            last_at: i64::MIN,
            asked_at: event.at(),
            client_ids: SmallVec::new(),
            order_ids: SmallVec::new(),
            exec_ids: SmallVec::new(),
            own_keys: Vec::new(),
        }
    }

    /// Its first request.
    pub fn request(&self) -> Option<&Arc<Event>> {
        self.events.iter().find(|event| is_request(event.obs.kind))
    }

    /// The request that opened it, where it was seen.
    pub(crate) fn opening(&self) -> Option<&Arc<Event>> {
        self.request().filter(|event| event.obs.kind == Kind::ReqNew)
    }

    /// Its first report that decides something ("pending" does not).
    pub fn report(&self) -> Option<&Arc<Event>> {
        let decides = |kind| is_report(kind) && kind != Kind::RptStatus;
        self.events.iter().find(|event| decides(event.obs.kind))
    }

    /// Gives the ids that it holds.
    pub(crate) fn hold_ids(&self, hold: &mut dyn FnMut(TextId)) {
        let triggers = self.triggers.iter().flat_map(|named| &named.events);
        let events = self.events.iter().chain(triggers);
        let events = events.chain(self.likely.iter().flat_map(|likely| &likely.found));
        events.flat_map(|event| event.obs.ids()).for_each(&mut *hold);
        self.client_ids.iter().chain(&self.exec_ids).copied().for_each(hold);
    }

    /// Puts other ids in the place of those that it holds.
    pub(crate) fn rename_ids(&mut self, rename: &mut dyn FnMut(&mut TextId)) {
        let triggers = self.triggers.iter_mut().flat_map(|named| &mut named.events);
        let likely = self.likely.iter_mut().flat_map(|likely| &mut likely.found);
        for event in self.events.iter_mut().chain(triggers).chain(likely) {
            Arc::make_mut(event).obs.ids_mut().into_iter().for_each(&mut *rename);
        }
        self.client_ids.iter_mut().chain(&mut self.exec_ids).for_each(rename);
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.events.iter().any(|event| event.obs.kind == kind)
    }

    pub(crate) fn add(&mut self, event: Arc<Event>) {
        let at = event.at();
        let place = self.events.partition_point(|other| other.at() <= at);
        self.last_at = self.last_at.max(at);
        if event.obs.kind == Kind::ReqNew || event.obs.trigger_seq.is_some() {
            self.asked_at = self.asked_at.max(at);
        }
        self.symbol = self.symbol.some().unwrap_or(event.obs.symbol);
        self.side = self.side.or(event.obs.side);
        self.events.insert(place, event);
    }

    /// Whether both may be one order. Venues number orders as they like: where
    /// one side does not name the symbol, the price has to be the same.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let price = |order: &Self| order.opening().and_then(|event| event.obs.price.get());
        let symbol = match (self.symbol.some(), other.symbol.some()) {
            (Some(a), Some(b)) => a == b,
            _ => price(self).zip(price(other)).is_none_or(|(a, b)| a == b),
        };
        let side = self.side.is_none() || other.side.is_none() || self.side == other.side;
        symbol && side
    }
}

/// All orders that hang together, the root first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// The orders; a bond's `up` is a number here.
    pub orders: Vec<(OrderNumber, Order)>,
}

impl Trade {
    /// The order with this number.
    pub fn order(&self, number: OrderNumber) -> Option<&Order> {
        self.orders.iter().find(|(n, _)| *n == number).map(|(_, order)| order)
    }

    /// The order nearest the strategy.
    pub fn root(&self) -> Option<&Order> {
        self.orders.first().map(|(_, order)| order)
    }
}
