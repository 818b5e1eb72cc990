//! Which orders leave memory when too much is held.
//!
//! ```text
//! opened ──settled after 4 windows──> silent for 8 windows ───────────────> laid down
//!                                     └─ for a moment, where far too much is held ─^
//! ```

use super::{Book, OrderNumber, Sharing};
use crate::matching::keys::Joins;
use crate::matching::trade::{Order, Trade};
use crate::observation::Observation;
use crate::text::{TextId, Texts};

/// So many windows after a request that something waits for (a trigger, the gateway's
/// other side) nothing does any more.
const SETTLED_WINDOWS: i64 = 4;

/// An order that was silent for so many windows rests: most have ended by then.
const SILENT_WINDOWS: i64 = 8;

/// Where so many times as much is held as there is to be (all that rests is cancelled
/// at the close), a part of a window without a message is enough.
const PRESSED: usize = 4;
const MOMENT_SHARE: i64 = 16;

/// Orders that are looked at then before the next message is taken.
const LOOKED_AT: usize = 4;

/// The list of orders that may be idle is not looked through for those that have ended
/// before there are so many.
const RESTING_MIN: usize = 1 << 12;

impl Book {
    /// Has an order looked at for being idle.
    pub(super) fn rests(&mut self, number: OrderNumber) {
        let due = self.orders.get(&number).map_or(i64::MIN, |order| self.idle_at(order));
        self.resting.push_back((due, number));
        // Half of it are orders that have ended.
        if self.resting.len() > self.orders.len().saturating_mul(2).max(RESTING_MIN) {
            self.resting.retain(|(_, number)| self.orders.contains_key(number));
        }
    }

    /// From when on (corrected time) an order may be laid down.
    fn idle_at(&self, order: &Order) -> i64 {
        let settled_ns = self.window_ns.saturating_mul(SETTLED_WINDOWS);
        let settled = order.asked_at.saturating_add(settled_ns);
        let silent_ns = match self.is_pressed() {
            true => self.window_ns / MOMENT_SHARE,
            false => self.window_ns.saturating_mul(SILENT_WINDOWS),
        };
        settled.max(order.last_at.saturating_add(silent_ns))
    }

    fn is_pressed(&self) -> bool {
        self.held > self.held_max.saturating_mul(PRESSED)
    }

    /// Takes out a trade of which nothing was heard for long by `watermark` (corrected
    /// time), while more is held than there is to be. It is found by its ids as before
    /// ([`elsewhere`](Self::elsewhere)), and has to be put back before it is needed.
    pub fn lay_down(&mut self, watermark: i64) -> Option<Trade> {
        if self.held <= self.held_max {
            return None;
        }
        let mut looks = if self.is_pressed() { LOOKED_AT } else { 0 };
        while let Some(&(due, number)) = self.resting.front()
            && (due <= watermark || looks > 0)
        {
            looks = looks.saturating_sub(1);
            self.resting.pop_front();
            let members = self.members(number);
            let orders = members.iter().filter_map(|n| self.orders.get(n));
            let Some(due) = orders.map(|order| self.idle_at(order)).max() else { continue };
            if due <= watermark {
                return Some(self.take_out(members));
            }
            self.resting.push_back((due, number));
        }
        None
    }

    /// Takes back what was laid down.
    pub fn put_back(&mut self, trade: Trade) {
        for (number, order) in trade.orders {
            self.held += order.events.len();
            self.orders.insert(number, order);
            self.rests(number);
        }
    }

    /// An order that a message of a session may concern and that was laid down.
    pub fn elsewhere(
        &mut self,
        obs: &Observation,
        conversation: TextId,
        texts: &Texts,
    ) -> Option<OrderNumber> {
        let own_key = self.keys.of(Joins::Relay, obs, texts);
        let client = [obs.cl_ord_id, obs.orig_cl_ord_id].into_iter().filter_map(TextId::some);
        let client = client.filter_map(|id| self.by_client_id.get(&(conversation, id)).copied());
        let ids = [obs.order_id, obs.orig_order_id].into_iter().flatten();
        let own = ids.clone().filter_map(|id| self.by_own_order_id.get(&(conversation, id)));
        let sides = ids.filter_map(|id| self.by_order_id.get(&id)).flatten();
        let copies = obs.exec_id.some().and_then(|id| self.by_exec_id.get(&id));
        let key = own_key.and_then(|own| self.by_own_key.get(&own));
        // A request has no number, but its order may have.
        let named: Sharing = client.map(|number| self.resolve(number)).collect();
        let numbers = named.iter().filter_map(|n| self.orders.get(n)).flat_map(|o| &o.order_ids);
        let numbered = numbers.filter_map(|id| self.by_order_id.get(id)).flatten();
        let others = own.chain(sides).chain(copies.into_iter().chain(key).flatten());
        let all = named.iter().chain(others).chain(numbered).map(|n| self.resolve(*n));
        all.into_iter().find(|number| !self.orders.contains_key(number))
    }

    /// The numbers at the venue that only orders of this trade have.
    pub fn own_numbers(&self, trade: &Trade) -> Vec<u64> {
        let is_of = |number: &OrderNumber| trade.order(self.resolve(*number)).is_some();
        let numbers = trade.orders.iter().flat_map(|(_, order)| order.order_ids.iter().copied());
        let own = |id: &u64| self.by_order_id.get(id).is_none_or(|all| all.iter().all(is_of));
        numbers.filter(own).collect()
    }
}
