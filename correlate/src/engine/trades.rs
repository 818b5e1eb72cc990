//! What a closed trade says beside its own links.
//!
//! ```text
//! trade ─┬─ the requests of its first order ─> triggers
//!        ├─ what the venue itself answered ──> publications
//!        └─ requests without an answer, answers without a request ─> counted
//! ```

use super::Correlator;
use crate::lineage::Story;
use crate::link::LinkKind;
use crate::matching::orders::{Order, OrderNumber, Trade, is_fix};
use crate::matching::public::{self, Publication};
use crate::matching::trigger::{self, Follows, Trigger};
use crate::observation::is_request;
use crate::scout::window_ns;
use crate::text::TextId;

impl Correlator {
    /// What triggered the trade's requests.
    pub(super) fn triggers(&mut self, trade: &Trade) -> Vec<Trigger> {
        let Some(root) = trade.root() else { return Vec::new() };
        let follows = Follows { instruments: &self.settings.instruments, texts: &self.texts };
        let mut found = Vec::new();
        let mut named = 0;
        for request in root.events.iter().filter(|event| is_request(event.obs.kind)) {
            let Some(seq) = request.obs.trigger_seq else { continue };
            named += 1;
            let events = root.triggers.iter().find(|named| named.number == seq);
            let events = events.map_or(&[][..], |named| named.events.as_slice());
            let found_and_heard = (events, root.heard.as_slice());
            found.extend(trigger::explicit(request, seq, found_and_heard, &follows, &self.clocks));
        }
        self.counters.trigger_not_found += (named - found.len()) as u64;
        let first = root.request().filter(|request| request.obs.trigger_seq.is_none());
        if let (Some(request), Some(likely)) = (first, &root.likely) {
            found.extend(trigger::reacted(request, likely, &follows, &self.clocks));
        }
        self.counters.without_trigger += u64::from(named == 0 && found.is_empty());
        found
    }

    /// The feed's news of the order that the venue itself answered.
    pub(super) fn publications(&mut self, trade: &Trade) -> Vec<Publication> {
        let events = || trade.orders.iter().flat_map(|(_, order)| &order.events);
        let orders: Vec<u64> =
            events().flat_map(|e| [e.obs.order_id, e.obs.orig_order_id]).flatten().collect();
        let matches: Vec<u64> = events().filter_map(|event| event.obs.match_id).collect();
        let by: Vec<TextId> = events().map(|event| event.obs.protocol).collect();
        let symbol = trade.orders.iter().find_map(|(_, order)| order.symbol.some());
        let published = self.wants.take(&orders, &matches, &by);
        let window = window_ns(&self.settings);
        let mut found = Vec::new();
        for (number, order) in &trade.orders {
            if self.is_venue_side(trade, *number, order) {
                found.extend(public::publications(
                    order,
                    (symbol.unwrap_or_default(), &published),
                    window,
                    &self.clocks,
                ));
            }
        }
        found
    }

    /// Whether the venue itself answers the order: nothing behind it, no copy,
    /// and not the client side of a gateway whose other side was not captured.
    fn is_venue_side(&self, trade: &Trade, number: OrderNumber, order: &Order) -> bool {
        let feeds = |(_, other): &(OrderNumber, Order)| {
            other.bond.is_some_and(|bond| bond.up == number && !bond.copy)
        };
        let copy = order.bond.is_some_and(|bond| bond.copy) || order.request().is_none();
        let gateway =
            is_fix(order.protocol, &self.texts) && self.book.is_upstream(order.conversation);
        !copy && !gateway && !trade.orders.iter().any(feeds)
    }

    pub(super) fn count_unmatched(&mut self, story: &Story) {
        for ((_, order), life) in story.trade.orders.iter().zip(&story.lives) {
            if !order.bond.is_some_and(|bond| bond.copy) {
                self.counters.unexplained_answers += u64::from(life.unexplained);
            }
            for (place, event) in order.events.iter().enumerate() {
                if is_request(event.obs.kind) && life.answer_to(place).is_none() {
                    for &point in &event.path {
                        self.hops.unmatched(LinkKind::Ack, point, point, event.obs.kind);
                    }
                }
            }
        }
    }
}
