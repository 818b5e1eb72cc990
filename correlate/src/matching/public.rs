//! From the venue's private answer to the same event on its public feed.
//!
//! ```text
//! OUCH A, order 55801 ──public──> ITCH A, order 55801
//! OUCH E, match 9001  ──public──> ITCH E, match 9001 (ours, or the other side's order)
//! OUCH C (no number)  ──public──> ITCH X or D of the order's current number
//! ```
//!
//! Whichever came first: latencies may be negative. Both at the point nearest
//! the venue that saw them; nearer ones that did not are counted as `skipped`.

use crate::clock::Clocks;
use crate::event::{Event, Identity};
use crate::link::{Evidence, Link, LinkKind};
use crate::matching::orders::Order;
use crate::observation::Observation;
use crate::text::TextId;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// Feed events that name an order or a match of ours.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// By order number, in order of time.
    pub by_order: HashMap<u64, Vec<Arc<Event>>>,
    /// By match number, in order of time.
    pub by_match: HashMap<u64, Vec<Arc<Event>>>,
}

/// A report of the venue and the feed event that says the same.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The report's place in the order's events.
    pub report: usize,
    /// The feed event.
    pub event: Arc<Event>,
    /// The link.
    pub link: Link,
}

/// The feed events of an order of a symbol that the venue itself answered.
/// Numbers are a venue's own: the same one elsewhere is of another symbol.
pub fn publications(
    order: &Order,
    (symbol, published): (TextId, &Published),
    window_ns: i64,
    clocks: &Clocks,
) -> Vec<Publication> {
    let mut found = Vec::new();
    let mut used: HashSet<Identity> = HashSet::new();
    let mut number = None;
    for (report, event) in order.events.iter().enumerate() {
        let chosen =
            Wanted { symbol, event, number, published, used: &used, window_ns, clocks }.find();
        number = event.obs.order_id.filter(|_| gives_number(event.obs.kind)).or(number);
        let Some((public, rule)) = chosen else { continue };
        let (Some(from), Some(to)) = (event.start(), public.start()) else { continue };
        used.insert(to.identity);
        let skipped = event.missed_before().saturating_add(public.missed_before());
        let evidence = Evidence { skipped, ..Evidence::certain(rule) };
        let link = Link::new(LinkKind::Public, evidence, &event.obs, from, to, clocks);
        found.push(Publication { report, event: public.clone(), link });
    }
    found
}

fn gives_number(kind: Kind) -> bool {
    matches!(kind, Kind::RptAck | Kind::RptReplaced)
}

struct Wanted<'a, 'b> {
    symbol: TextId,
    event: &'b Event,
    /// The order's number before this report.
    number: Option<u64>,
    published: &'a Published,
    used: &'b HashSet<Identity>,
    window_ns: i64,
    clocks: &'b Clocks,
}

impl<'a> Wanted<'a, '_> {
    fn find(&self) -> Option<(&'a Arc<Event>, &'static str)> {
        let obs = &self.event.obs;
        let by_order = |id: Option<u64>, kinds: &[Kind], exact: bool| {
            let list = id.and_then(|id| self.published.by_order.get(&id))?;
            list.iter().find(|e| self.fits(e, kinds, exact)).map(|e| (e, "order_id"))
        };
        let number = obs.order_id.or(self.number);
        match obs.kind {
            Kind::RptAck => by_order(number, &[Kind::OrderAdd], false),
            Kind::RptReplaced => by_order(number, &[Kind::OrderReplace, Kind::OrderModify], false),
            Kind::RptFill => match obs.match_id {
                Some(id) => self.of_match(id),
                None => by_order(number, &[Kind::OrderFill, Kind::Trade], true),
            },
            Kind::RptCanceled | Kind::RptDone => {
                let kinds = [Kind::OrderReduce, Kind::OrderDelete];
                by_order(number, &kinds, true).or_else(|| by_order(number, &kinds, false))
            }
            _ => None,
        }
    }

    fn of_match(&self, id: u64) -> Option<(&'a Arc<Event>, &'static str)> {
        let kinds = [Kind::OrderFill, Kind::Trade, Kind::TradeCross];
        let list = self.published.by_match.get(&id)?;
        let fitting = list.iter().filter(|event| self.fits(event, &kinds, false));
        // Venues may number their matches alike: of those at the same price ours, else
        // what is known to be of the symbol, of the same quantity, the nearest in time.
        let same_price = |event: &&Arc<Event>| {
            let prices = self.event.obs.price.get().zip(event.obs.price.get());
            prices.is_none_or(|(here, there)| here == there)
        };
        let rank = |event: &&Arc<Event>| {
            let ours = event.obs.order_id == self.number;
            let symbol = event.obs.symbol == self.symbol;
            (!ours, !symbol, taken(&self.event.obs) != taken(&event.obs), self.apart_ns(event))
        };
        fitting.filter(same_price).min_by_key(rank).map(|event| (event, "match_id"))
    }

    /// Whether the feed event may say what the report says. `exact`: the
    /// quantity taken off is the same.
    fn fits(&self, public: &Event, kinds: &[Kind], exact: bool) -> bool {
        let (here, there) = (&self.event.obs, &public.obs);
        let symbol = self.symbol;
        let other = !symbol.is_none() && !there.symbol.is_none() && there.symbol != symbol;
        let free = public.start().is_some_and(|s| !self.used.contains(&s.identity));
        let quantity = !exact || there.kind == Kind::OrderDelete || taken(here) == taken(there);
        kinds.contains(&there.kind) && !other && free && quantity && self.in_time(public)
    }

    fn in_time(&self, public: &Event) -> bool {
        self.apart_ns(public).is_some_and(|apart| apart <= self.window_ns)
    }

    fn apart_ns(&self, public: &Event) -> Option<i64> {
        let (from, to) = self.event.start().zip(public.start())?;
        Some(self.clocks.latency(from.stamp(), to.stamp(), false).ns.saturating_abs())
    }
}

/// How much a message takes off an order.
fn taken(obs: &Observation) -> Option<i128> {
    obs.qty_delta.get().or(obs.qty.get())
}
