//! A trade's story: all its links, its observations in order, its one row.
//!
//! ```text
//! ord 0 P1 ITCH A       -                       the trigger
//! ord 1 P4 bus          via relay from 0
//! ord 2 P5 FIX D        via trigger from 1      the root order's request
//! ord 3 P6 OUCH O       via relay from 2
//! ord 4 P6 OUCH A       via ack from 3 ...
//! ```

use crate::clock::Clocks;
use crate::event::{Event, Identity, Sighting};
use crate::link::{Evidence, Link, LinkKind};
use crate::matching::order::{self, Life};
use crate::matching::orders::{Order, Trade};
use crate::matching::public::Publication;
use crate::matching::relay::{self, SideOfGateway};
use crate::matching::trigger::Trigger;
use crate::observation::{Observation, is_request, stable_hash};
use crate::observed::{Observed, Via};
use crate::points::Points;
use crate::text::Texts;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, Side};
use taptrail_store::tables::orders::OrderRow;

/// A closed trade with everything found about it.
pub struct Story<'a> {
    /// The orders.
    pub trade: &'a Trade,
    /// The life of each, in the trade's order.
    pub lives: Vec<Life>,
    /// What triggered the root order's requests.
    pub triggers: Vec<Trigger>,
    /// What the feed said of it.
    pub publications: Vec<Publication>,
    /// The trade's own links.
    pub links: Vec<Link>,
}

/// The names a story is written with.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// Texts.
    pub texts: &'a Texts,
    /// Points.
    pub points: &'a Points,
}

impl<'a> Story<'a> {
    /// Puts a trade's links together; `same` are those between its events' sightings.
    pub fn new(
        trade: &'a Trade,
        same: Vec<Link>,
        triggers: Vec<Trigger>,
        publications: Vec<Publication>,
        clocks: &Clocks,
    ) -> Self {
        let lives: Vec<Life> =
            trade.orders.iter().map(|(_, order)| order::replay(&order.events)).collect();
        let mut links = same;
        for ((_, order), life) in trade.orders.iter().zip(&lives) {
            links.extend(steps(order, life, clocks));
        }
        links.extend(relays(trade, &lives, clocks));
        links.extend(triggers.iter().map(|trigger| trigger.link));
        links.extend(publications.iter().map(|publication| publication.link));
        links.sort_by_key(|link| (link.to.at, link.kind, link.to.identity, link.from.identity));
        Self { trade, lives, triggers, publications, links }
    }

    /// The trade's id: a hash of its root order's first observation.
    pub fn id(&self) -> u64 {
        let first = self.trade.root().and_then(|order| order.events.first()?.start().copied());
        first.map_or(0, |s| {
            let id = s.identity;
            stable_hash(&[id.capture_id, u64::from(id.packet_ix), u64::from(id.msg_ix)])
        })
    }

    /// The observations in order of corrected time.
    fn observations(&self) -> Vec<(Sighting, &Observation)> {
        let mut found: Vec<(Sighting, &Observation)> = Vec::new();
        let trade = self.trade.orders.iter().flat_map(|(_, order)| &order.events);
        let whole = trade.chain(self.triggers.iter().flat_map(|trigger| &trigger.events));
        for event in whole {
            found.extend(event.firsts().map(|s| (*s, &event.obs)));
        }
        found.extend(self.publications.iter().map(|p| (p.link.to, &p.event.obs)));
        let mut seen = HashSet::new();
        found.retain(|(s, _)| seen.insert(s.identity));
        found.sort_by_key(|(s, _)| (s.at, s.point, s.identity));
        found
    }

    /// Its observations in order of corrected time.
    pub fn lineage(&self) -> Vec<Observed> {
        let lineage_id = self.id();
        let observations = self.observations();
        let first_at = observations.first().map_or(0, |(s, _)| s.at);
        let ords: HashMap<Identity, u32> =
            observations.iter().zip(0..).map(|((s, _), ord)| (s.identity, ord)).collect();
        let vias = self.vias(&ords);
        let row = |(&(sighting, obs), ord): (&(Sighting, &Observation), u32)| {
            let since_first_ns = sighting.at.saturating_sub(first_at);
            let via = vias.get(&sighting.identity).and_then(|link| {
                let Link { kind, evidence, latency, .. } = **link;
                Some(Via { kind, ord: *ords.get(&link.from.identity)?, evidence, latency })
            });
            Observed { lineage_id, ord, since_first_ns, sighting, obs: *obs, via }
        };
        observations.iter().zip(0..).map(row).collect()
    }

    /// The one link by which each observation is reached: the way it came
    /// rather than what it answers.
    fn vias(&self, ords: &HashMap<Identity, u32>) -> HashMap<Identity, &Link> {
        let mut vias: HashMap<Identity, &Link> = HashMap::new();
        let events = self.triggers.iter().flat_map(|trigger| &trigger.events);
        let feed = events.flat_map(|event| &event.same);
        let ways = self.triggers.iter().filter_map(|trigger| trigger.way.as_ref());
        for link in self.links.iter().chain(feed).chain(ways) {
            if !ords.contains_key(&link.from.identity) {
                continue;
            }
            let best = vias.entry(link.to.identity).or_insert(link);
            if rank(link.kind) < rank(best.kind) {
                *best = link;
            }
        }
        vias
    }

    /// The row of `orders`; `None` where the trade has no observation.
    pub fn order(&self, words: Words, observations: u32) -> Option<OrderRow> {
        let root = self.trade.root()?;
        let life = self.lives.first()?;
        let first = root.events.first()?;
        let request = root.request();
        let obs = request.map_or(&first.obs, |event| &event.obs);
        let told = self.lives.iter().find(|life| life.state != order::State::New).unwrap_or(life);
        let report = |kind: Kind| root.events.iter().find(|event| event.obs.kind == kind);
        let start_ts = |event: Option<&Arc<Event>>| event?.start().map(|s| s.ts);
        let trigger = self.triggers.first().map(|trigger| trigger.link);
        let relay = self.first_link(LinkKind::Relay, |link| is_request(link.message_kind));
        let own_first = |kind| self.first_link(kind, |link| Some(link.from) == starts_at(request));
        let order_id = root.events.iter().find_map(|event| event.obs.order_id);
        let any_text = |get: fn(&Observation) -> crate::text::TextId| {
            let found = root.events.iter().find_map(|event| get(&event.obs).some());
            found.and_then(|id| words.texts.shared(id))
        };
        Some(OrderRow {
            lineage_id: self.id(),
            symbol: words.texts.shared(root.symbol),
            side: root.side.map(Side::text).map(Arc::from),
            price: obs.price.get(),
            qty: obs.qty.get(),
            state: Arc::from(told.state.text()),
            cl_ord_id: words.texts.shared(obs.cl_ord_id),
            order_id: order_id.or_else(|| self.any_order_id()),
            order_id_txt: any_text(|obs| obs.order_id_txt),
            session: words.texts.shared(obs.session),
            account: any_text(|obs| obs.account),
            fills: told.fills,
            qty_cum: (told.fills > 0).then_some(told.qty_cum),
            trigger_ts: trigger.map(|link| link.from.ts),
            request_ts: start_ts(request),
            gateway_ts: relay.map(|link| link.to.ts),
            ack_ts: start_ts(report(Kind::RptAck)),
            public_ts: self.publications.first().map(|p| p.link.to.ts),
            first_fill_ts: start_ts(report(Kind::RptFill)),
            done_ts: told.state.is_over().then(|| start_ts(last_end(root))).flatten(),
            tick_to_order_ns: trigger.map(|link| link.latency.ns),
            tick_to_order_lo_ns: trigger.and_then(|link| Some(link.latency.bounds?.0)),
            tick_to_order_hi_ns: trigger.and_then(|link| Some(link.latency.bounds?.1)),
            relay_ns: relay.map(|link| link.latency.ns),
            ack_ns: own_first(LinkKind::Ack).map(|link| link.latency.ns),
            first_fill_ns: own_first(LinkKind::Fill).map(|link| link.latency.ns),
            observations,
        })
    }

    fn first_link(&self, kind: LinkKind, fits: impl Fn(&Link) -> bool) -> Option<&Link> {
        self.links.iter().find(|link| link.kind == kind && fits(link))
    }

    fn any_order_id(&self) -> Option<u64> {
        let events = self.trade.orders.iter().flat_map(|(_, order)| &order.events);
        events.filter_map(|event| event.obs.order_id).next()
    }
}

fn starts_at(event: Option<&Arc<Event>>) -> Option<Sighting> {
    event?.start().copied()
}

/// The last report that can end an order.
fn last_end(order: &Order) -> Option<&Arc<Event>> {
    let ends = [Kind::RptFill, Kind::RptCanceled, Kind::RptDone, Kind::RptReject];
    order.events.iter().rev().find(|event| ends.contains(&event.obs.kind))
}

fn rank(kind: LinkKind) -> u8 {
    match kind {
        LinkKind::Trigger => 0,
        LinkKind::Same => 1,
        LinkKind::Relay => 2,
        LinkKind::Ack | LinkKind::Fill | LinkKind::Done => 3,
        LinkKind::Chain => 4,
        LinkKind::Public => 5,
    }
}

/// The links inside an order, at every point where both ends were seen.
fn steps(order: &Order, life: &Life, clocks: &Clocks) -> Vec<Link> {
    let mut links = Vec::new();
    for step in &life.steps {
        let (Some(from), Some(to)) = (order.events.get(step.from), order.events.get(step.to))
        else {
            continue;
        };
        for &point in &from.path {
            if let Some((start, end)) = from.first_at(point).zip(to.first_at(point)) {
                let evidence = Evidence::certain(step.rule);
                links.push(Link::new(step.kind, evidence, &from.obs, start, end, clocks));
            }
        }
    }
    links
}

fn relays(trade: &Trade, lives: &[Life], clocks: &Clocks) -> Vec<Link> {
    let mut links = Vec::new();
    let side = |number| {
        let place = trade.orders.iter().position(|(n, _)| *n == number)?;
        Some(SideOfGateway { order: &trade.orders.get(place)?.1, life: lives.get(place)? })
    };
    for (number, order) in &trade.orders {
        let sides = order.bond.and_then(|bond| Some((bond, side(bond.up)?, side(*number)?)));
        if let Some((bond, up, down)) = sides {
            links.extend(relay::links(up, down, &bond, clocks));
        }
    }
    links
}
