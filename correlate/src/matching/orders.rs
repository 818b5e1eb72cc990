//! Events become orders, orders become trades.
//!
//! ```text
//! conversation "STRAT>GATE"   order 1 (D, G, 8/0, 8/F)  ┐ same order id in the
//! conversation "PORT1"        order 2 (O, U, A, E)      ┘ answers: one trade
//! conversation "GATE>COPY"    order 3 (8/F, 8/F)        same ExecID: a copy of 1
//! ```
//!
//! A gateway that mints new ids is bound late: the venue's answer and the
//! gateway's report carry the same order id. Where no answer ever came, by
//! symbol, side, price and quantity, first in first out.

mod idle;

use crate::clock::Clocks;
use crate::event::Event;
use crate::link::Evidence;
use crate::matching::keys::{Joins, Keys, OwnKey};
use crate::matching::order;
pub use crate::matching::trade::{Bond, Order, OrderNumber, Trade};
use crate::observation::{Amount, Observation, is_report, is_request};
use crate::text::{TextId, Texts};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, Side};

/// Most orders held at once. Beyond it the oldest trade is closed, and counted.
pub const ORDERS_MAX: usize = 1 << 19;

/// The same for the events of all of them, about 600 bytes each, where those that are
/// idle could not be laid down.
pub const EVENTS_MAX: usize = 1 << 20;

/// So many times as many as there are to be, where that is more.
const EVENTS_SHARE: usize = 8;

/// Most events of one order; further ones stand alone, counted.
pub const ORDER_EVENTS_MAX: usize = 1 << 16;

/// How sure first in, first out is with a single candidate: an order of the
/// same attributes may come from elsewhere.
const FIFO_CONFIDENCE: f32 = 0.98;

/// Orders that share a number: those of a gateway's two sides, mostly.
type Sharing = SmallVec<[OrderNumber; 4]>;

/// Side, price and quantity. The symbol is compared where both sides have one:
/// requests to some venues only carry the venue's number of it.
type Attributes = (Option<Side>, Amount, Amount);

fn attributes(order: &Order) -> Option<Attributes> {
    let obs = &order.request().filter(|event| event.obs.kind == Kind::ReqNew)?.obs;
    Some((obs.side, obs.price, obs.qty))
}

/// The open orders of all sessions.
#[derive(Debug, Default)]
pub struct Book {
    window_ns: i64,
    next: OrderNumber,
    orders: BTreeMap<OrderNumber, Order>,
    /// Orders that have become part of another.
    aliases: HashMap<OrderNumber, OrderNumber>,
    by_client_id: HashMap<(TextId, TextId), OrderNumber>,
    by_own_order_id: HashMap<(TextId, u64), OrderNumber>,
    by_order_id: HashMap<u64, Sharing>,
    by_exec_id: HashMap<TextId, Sharing>,
    /// Orders whose first request a rule of the user gives a key.
    by_own_key: HashMap<OwnKey, Sharing>,
    keys: Keys,
    /// Orders of a gateway's client side that nothing is bound to yet.
    waiting: HashMap<Attributes, Sharing>,
    unbound: VecDeque<(i64, OrderNumber)>,
    ending: VecDeque<(i64, OrderNumber)>,
    /// Orders to be looked at whether they are idle.
    resting: VecDeque<(i64, OrderNumber)>,
    /// How often certain evidence said that one conversation feeds another.
    feeds: HashMap<(TextId, TextId), u64>,
    closed_early: u64,
    /// Events of all orders, and how many of them there are to be.
    held: usize,
    held_max: usize,
}

impl Book {
    /// Waits `window_ns` for what belongs together; `keys` are the user's rules.
    pub fn new(window_ns: i64, keys: Keys) -> Self {
        Self { window_ns, keys, ..Self::default() }
    }

    /// The same, in which idle trades are to leave beyond so many events.
    pub fn holding(self, held_max: usize) -> Self {
        Self { held_max, ..self }
    }

    /// Trades that were closed before they had ended because there were too many.
    pub fn closed_early(&self) -> u64 {
        self.closed_early
    }

    /// Whether certain evidence says that the conversation is a gateway's
    /// client side.
    pub fn is_upstream(&self, conversation: TextId) -> bool {
        self.feeds.keys().any(|&(up, _)| up == conversation)
    }

    /// The number that an order has now.
    fn resolve(&self, number: OrderNumber) -> OrderNumber {
        self.aliases.get(&number).copied().unwrap_or(number)
    }

    /// The order, where it is open.
    pub fn order_mut(&mut self, number: OrderNumber) -> Option<&mut Order> {
        let number = self.resolve(number);
        self.orders.get_mut(&number)
    }

    /// Takes an event of a session; gives the event back where it belongs to
    /// no order.
    ///
    /// # Errors
    /// The event itself.
    pub fn take(
        &mut self,
        event: Arc<Event>,
        conversation: TextId,
        texts: &Texts,
        clocks: &Clocks,
    ) -> Result<OrderNumber, Arc<Event>> {
        let Some(number) = self.home(&event, conversation) else { return Err(event) };
        let full = self.orders.get(&number).is_none_or(|o| o.events.len() >= ORDER_EVENTS_MAX);
        if full {
            return Err(event);
        }
        let obs = event.obs;
        if let Some(order) = self.orders.get_mut(&number) {
            order.add(event);
            self.held += 1;
        }
        self.register(number, conversation, &obs, texts);
        self.bind_by_ids(number, &obs, texts, clocks);
        if is_request(obs.kind) {
            self.bind_by_own_key(number, &obs, texts, clocks);
        }
        if matches!(obs.kind, Kind::RptFill | Kind::RptCanceled | Kind::RptDone | Kind::RptReject) {
            self.ending.push_back((obs.at.saturating_add(self.linger_ns()), number));
        }
        Ok(number)
    }

    /// How long an ended trade waits for what comes late: drop copies, the
    /// public feed, late triggers.
    fn linger_ns(&self) -> i64 {
        self.window_ns.saturating_mul(4)
    }

    fn home(&mut self, event: &Event, conversation: TextId) -> Option<OrderNumber> {
        let obs = &event.obs;
        let by_client = |book: &Self, id: TextId| {
            id.some().and_then(|id| book.by_client_id.get(&(conversation, id)).copied())
        };
        let own = by_client(self, obs.cl_ord_id);
        let before = by_client(self, obs.orig_cl_ord_id);
        if obs.kind == Kind::ReqNew {
            let taken = |n: &OrderNumber| self.orders.get(n).is_some_and(|o| o.has(Kind::ReqNew));
            return Some(
                own.filter(|n| !taken(n)).unwrap_or_else(|| self.open(event, conversation)),
            );
        }
        let change = matches!(obs.kind, Kind::ReqCancel | Kind::ReqReplace);
        if !change && !is_report(obs.kind) {
            return None;
        }
        if let (Some(a), Some(b)) = (before, own)
            && a != b
        {
            self.merge(a, b);
        }
        // Two venues may number their orders alike.
        let is_of = |number: &OrderNumber| {
            let symbol = self.orders.get(number).and_then(|order| order.symbol.some());
            symbol.zip(obs.symbol.some()).is_none_or(|(a, b)| a == b)
        };
        let by_venue = || {
            let id = obs.order_id?;
            self.by_own_order_id.get(&(conversation, id)).copied().filter(is_of)
        };
        let known = before.or(own).or_else(by_venue);
        let nameless = obs.cl_ord_id.is_none() && obs.order_id.is_none();
        if known.is_none() && nameless {
            return None;
        }
        Some(known.unwrap_or_else(|| self.open(event, conversation)))
    }

    fn open(&mut self, event: &Event, conversation: TextId) -> OrderNumber {
        let number = self.next;
        self.next += 1;
        self.orders.insert(number, Order::new(event, conversation));
        self.rests(number);
        number
    }

    /// The oldest open order.
    pub fn oldest(&self) -> Option<OrderNumber> {
        self.orders.first_key_value().map(|(number, _)| *number)
    }

    /// Makes order `b` part of order `a`: they turned out to be one.
    fn merge(&mut self, a: OrderNumber, b: OrderNumber) {
        let Some(gone) = self.orders.remove(&b) else { return };
        self.aliases.insert(b, a);
        for &id in &gone.client_ids {
            self.by_client_id.insert((gone.conversation, id), a);
        }
        for &id in &gone.order_ids {
            self.by_own_order_id.insert((gone.conversation, id), a);
            rename_in(&mut self.by_order_id, &id, b, a);
        }
        for id in &gone.exec_ids {
            rename_in(&mut self.by_exec_id, id, b, a);
        }
        for own in &gone.own_keys {
            rename_in(&mut self.by_own_key, own, b, a);
        }
        for down in &gone.downs {
            if let Some(bond) = self.orders.get_mut(down).and_then(|o| o.bond.as_mut()) {
                bond.up = a;
            }
        }
        if let Some(up) = gone.bond.and_then(|bond| self.orders.get_mut(&bond.up)) {
            up.downs.iter_mut().filter(|n| **n == b).for_each(|n| *n = a);
        }
        let Some(kept) = self.orders.get_mut(&a) else { return };
        kept.bond = kept.bond.or(gone.bond);
        kept.downs.extend(gone.downs);
        kept.triggers.extend(gone.triggers);
        kept.likely = kept.likely.take().or(gone.likely);
        kept.heard.extend(gone.heard);
        kept.client_ids.extend(gone.client_ids);
        kept.order_ids.extend(gone.order_ids);
        kept.exec_ids.extend(gone.exec_ids);
        kept.own_keys.extend(gone.own_keys);
        gone.events.into_iter().for_each(|event| kept.add(event));
    }

    fn register(
        &mut self,
        number: OrderNumber,
        conversation: TextId,
        obs: &Observation,
        texts: &Texts,
    ) {
        let Some(order) = self.orders.get_mut(&number) else { return };
        for id in [obs.cl_ord_id, obs.orig_cl_ord_id].into_iter().filter_map(TextId::some) {
            let newest = obs.kind == Kind::ReqNew && id == obs.cl_ord_id;
            let entry = self.by_client_id.entry((conversation, id)).or_insert(number);
            if newest {
                *entry = number;
            }
            if !order.client_ids.contains(&id) {
                order.client_ids.push(id);
            }
        }
        if is_report(obs.kind) {
            for id in [obs.order_id, obs.orig_order_id].into_iter().flatten() {
                self.by_own_order_id.insert((conversation, id), number);
                if !order.order_ids.contains(&id) {
                    order.order_ids.push(id);
                    self.by_order_id.entry(id).or_default().push(number);
                }
            }
            if let Some(id) = obs.exec_id.some() {
                order.exec_ids.push(id);
                self.by_exec_id.entry(id).or_default().push(number);
            }
        }
        if obs.kind == Kind::ReqNew {
            if is_fix(order.protocol, texts)
                && let Some(key) = attributes(order)
            {
                self.waiting.entry(key).or_default().push(number);
            }
            let due = obs.at.saturating_add(self.window_ns.saturating_mul(2));
            self.unbound.push_back((due, number));
        }
    }

    fn bind_by_ids(
        &mut self,
        number: OrderNumber,
        obs: &Observation,
        texts: &Texts,
        clocks: &Clocks,
    ) {
        if let Some(id) = obs.exec_id.some() {
            for other in self.by_exec_id.get(&id).cloned().unwrap_or_default() {
                self.bind_copy(number, other, texts);
            }
        }
        if !is_report(obs.kind) && !is_request(obs.kind) {
            return;
        }
        let Some(order) = self.orders.get(&number) else { return };
        let ids: SmallVec<[u64; 2]> = if is_request(obs.kind) {
            order.order_ids.clone()
        } else {
            [obs.order_id, obs.orig_order_id].into_iter().flatten().collect()
        };
        for id in ids {
            for other in self.by_order_id.get(&id).cloned().unwrap_or_default() {
                self.bind_sides(number, other, "late_bound_order_id", texts, clocks);
            }
        }
    }

    /// Binds the two sides of a gateway by what a rule of the user says they
    /// share.
    fn bind_by_own_key(
        &mut self,
        number: OrderNumber,
        obs: &Observation,
        texts: &Texts,
        clocks: &Clocks,
    ) {
        let Some(own) = self.keys.of(Joins::Relay, obs, texts) else { return };
        let others = self.by_own_key.entry(own).or_default();
        let waiting = others.clone();
        if !others.contains(&number) {
            others.push(number);
            if let Some(order) = self.orders.get_mut(&number) {
                order.own_keys.push(own);
            }
        }
        for other in waiting.into_iter().filter(|other| *other != number) {
            self.bind_sides(number, other, own.rule, texts, clocks);
        }
    }

    /// Binds reports without requests to the order whose executions they
    /// repeat: on the side of the gateway that calls the order what the copy calls
    /// it, else that speaks the copy's protocol, where both have the execution's id.
    fn bind_copy(&mut self, a: OrderNumber, b: OrderNumber, texts: &Texts) {
        let (Some(one), Some(two)) = (self.orders.get(&a), self.orders.get(&b)) else { return };
        if one.conversation == two.conversation || !one.agrees(two) {
            return;
        }
        let (copy, original) = match (one.request(), two.request()) {
            (None, Some(_)) => (a, b),
            (Some(_), None) => (b, a),
            _ => return,
        };
        let Some(copied) = self.orders.get(&copy) else { return };
        // How like the copy an order is: its client's ids, its protocol.
        let like = |number: OrderNumber| {
            let order = self.orders.get(&number)?;
            let named = order.client_ids.iter().any(|id| copied.client_ids.contains(id));
            Some((named, is_fix(order.protocol, texts) == is_fix(copied.protocol, texts)))
        };
        let now = copied.bond.filter(|bond| bond.copy);
        if let Some(now) = now
            && like(original) > like(now.up)
            && self.root_of(original) != copy
        {
            self.unbond(copy);
        }
        self.bond(copy, original, Evidence::certain("drop_copy_exec_id"), true);
    }

    /// Binds the two sides of a gateway, both of which were asked and answered.
    fn bind_sides(
        &mut self,
        a: OrderNumber,
        b: OrderNumber,
        rule: &'static str,
        texts: &Texts,
        clocks: &Clocks,
    ) {
        let (Some(one), Some(two)) = (self.orders.get(&a), self.orders.get(&b)) else { return };
        let asked = one.request().is_some() && two.request().is_some();
        if one.conversation == two.conversation || !asked || !one.agrees(two) {
            return;
        }
        let (up, down) = if self.is_first(one, two, texts, clocks) { (a, b) } else { (b, a) };
        let pair = |up: OrderNumber| self.orders.get(&up).map(|order| order.conversation);
        let conversations = pair(up).zip(pair(down));
        if self.bond(down, up, Evidence::certain(rule), false)
            && let Some(pair) = conversations
        {
            *self.feeds.entry(pair).or_default() += 1;
        }
    }

    fn unbond(&mut self, down: OrderNumber) {
        let bond = self.orders.get_mut(&down).and_then(|order| order.bond.take());
        if let Some(up) = bond.and_then(|bond| self.orders.get_mut(&bond.up)) {
            up.downs.retain(|number| *number != down);
        }
    }

    fn bond(&mut self, down: OrderNumber, up: OrderNumber, evidence: Evidence, copy: bool) -> bool {
        let free = self.orders.get(&down).is_some_and(|order| order.bond.is_none());
        if !free || self.root_of(up) == self.root_of(down) {
            return false;
        }
        if let Some(order) = self.orders.get_mut(&down) {
            order.bond = Some(Bond { up, evidence, copy });
        }
        if let Some(order) = self.orders.get_mut(&up) {
            order.downs.push(down);
        }
        true
    }

    /// Whether order `a` is nearer the strategy than `b`: requests reach it
    /// earlier and answers later, whatever the offset of the clocks.
    fn is_first(&self, a: &Order, b: &Order, texts: &Texts, clocks: &Clocks) -> bool {
        // A replace that came first because the order itself was missed says nothing.
        let (first, second) = (a.opening(), b.opening());
        if let (Some(there), Some(back)) = (between(first, second), answers(a, b))
            && there != back
        {
            return there > back;
        }
        let known = |up, down| self.feeds.get(&(up, down)).copied().unwrap_or(0);
        let (forward, backward) =
            (known(a.conversation, b.conversation), known(b.conversation, a.conversation));
        if forward != backward {
            return forward > backward;
        }
        let fix = (is_fix(a.protocol, texts), is_fix(b.protocol, texts));
        if fix.0 != fix.1 {
            return fix.0;
        }
        let comparable = a
            .request()
            .zip(b.request())
            .is_some_and(|(x, y)| clocks.comparable(x.obs.point, y.obs.point));
        !comparable || between(a.request(), b.request()).is_none_or(|ns| ns >= 0)
    }

    fn root_of(&self, number: OrderNumber) -> OrderNumber {
        let mut root = number;
        // A bond is only made between different roots, so that there is no ring.
        while let Some(bond) = self.orders.get(&root).and_then(|order| order.bond) {
            root = self.resolve(bond.up);
        }
        root
    }

    /// Closes the next trade that is over at `watermark` (corrected time), or that
    /// has to go because too much is held. `wake` puts back what was laid down.
    pub fn close_next(
        &mut self,
        watermark: i64,
        clocks: &Clocks,
        wake: &mut dyn FnMut(&mut Self, OrderNumber),
    ) -> Option<Trade> {
        while let Some(&(due, number)) = self.unbound.front()
            && due <= watermark
        {
            self.unbound.pop_front();
            self.bind_by_attributes(number, clocks);
        }
        while let Some(&(due, number)) = self.ending.front()
            && due <= watermark
        {
            self.ending.pop_front();
            let number = self.resolve(number);
            if !self.orders.contains_key(&number) {
                wake(self, number);
            }
            let closed = self.close_one(number, watermark);
            if closed.is_some() {
                return closed;
            }
        }
        let held_max = self.held_max.saturating_mul(EVENTS_SHARE).max(EVENTS_MAX);
        if self.orders.len() <= ORDERS_MAX && self.held <= held_max {
            return None;
        }
        self.closed_early += 1;
        self.close_oldest()
    }

    /// Closes the oldest trade.
    pub fn close_oldest(&mut self) -> Option<Trade> {
        self.oldest().map(|oldest| self.remove_trade(oldest))
    }

    /// Gives the ids that open orders hold.
    pub fn hold_ids(&self, hold: &mut dyn FnMut(TextId)) {
        self.orders.values().for_each(|order| order.hold_ids(hold));
        self.by_client_id.keys().for_each(|(_, id)| hold(*id));
        self.by_exec_id.keys().for_each(|id| hold(*id));
    }

    fn close_one(&mut self, number: OrderNumber, watermark: i64) -> Option<Trade> {
        self.orders.get(&number)?;
        let members = self.members(number);
        let orders = || members.iter().filter_map(|n| self.orders.get(n));
        let last_at = orders().map(|order| order.last_at).max()?;
        let over = orders().any(|order| order::replay(&order.events).state.is_over());
        if !over {
            return None;
        }
        let due = last_at.saturating_add(self.linger_ns());
        if due > watermark {
            let place = self.ending.partition_point(|(other, _)| *other <= due);
            self.ending.insert(place, (due, number));
            return None;
        }
        Some(self.remove_trade(number))
    }

    /// The orders that hang together with this one, the root first.
    fn members(&self, number: OrderNumber) -> Sharing {
        let mut members = Sharing::from_iter([self.root_of(self.resolve(number))]);
        let mut next = 0;
        while let Some(order) = members.get(next).and_then(|n| self.orders.get(n)) {
            members.extend(order.downs.iter().map(|&n| self.resolve(n)));
            next += 1;
        }
        members
    }

    fn remove_trade(&mut self, number: OrderNumber) -> Trade {
        let trade = self.take_out(self.members(number));
        trade.orders.iter().for_each(|(number, order)| self.forget(*number, order));
        trade
    }

    fn take_out(&mut self, members: Sharing) -> Trade {
        let mut orders = Vec::with_capacity(members.len());
        for number in members {
            if let Some(order) = self.orders.remove(&number) {
                self.held -= order.events.len();
                orders.push((number, order));
            }
        }
        Trade { orders }
    }

    fn forget(&mut self, number: OrderNumber, order: &Order) {
        for &id in &order.client_ids {
            let key = (order.conversation, id);
            if self.by_client_id.get(&key) == Some(&number) {
                self.by_client_id.remove(&key);
            }
        }
        for &id in &order.order_ids {
            let key = (order.conversation, id);
            if self.by_own_order_id.get(&key) == Some(&number) {
                self.by_own_order_id.remove(&key);
            }
            drop_from(&mut self.by_order_id, &id, number);
        }
        for id in &order.exec_ids {
            drop_from(&mut self.by_exec_id, id, number);
        }
        for own in &order.own_keys {
            drop_from(&mut self.by_own_key, own, number);
        }
        if let Some(key) = attributes(order) {
            drop_from(&mut self.waiting, &key, number);
        }
    }

    /// Binds an order that no answer named to the oldest one of the same
    /// attributes on a gateway's other side.
    fn bind_by_attributes(&mut self, number: OrderNumber, clocks: &Clocks) {
        let number = self.resolve(number);
        let Some(order) = self.orders.get(&number).filter(|order| order.bond.is_none()) else {
            return;
        };
        let Some(key) = attributes(order) else { return };
        let waiting = self.waiting.get(&key).cloned().unwrap_or_default();
        // Where a gateway speaks FIX on both sides, others of its orders tell which is which.
        let either_side = waiting.contains(&number);
        let feeds = |up: OrderNumber| {
            let up = self.orders.get(&up).map(|up| up.conversation);
            !either_side || up.is_some_and(|up| self.feeds.contains_key(&(up, order.conversation)))
        };
        let fits: Vec<OrderNumber> = waiting
            .into_iter()
            .filter(|&up| feeds(up) && self.may_feed(up, order, clocks))
            .collect();
        let Some(&up) = fits.first() else { return };
        let candidates = fits.len() as u32;
        let evidence = Evidence {
            rule: "attributes_fifo",
            confidence: FIFO_CONFIDENCE / candidates as f32,
            candidates,
            skipped: 0,
        };
        self.bond(number, up, evidence, false);
    }

    fn may_feed(&self, up: OrderNumber, down: &Order, clocks: &Clocks) -> bool {
        let Some(order) = self.orders.get(&up) else { return false };
        if !order.agrees(down) {
            return false;
        }
        let free = !order
            .downs
            .iter()
            .any(|n| self.orders.get(n).and_then(|o| o.bond).is_some_and(|bond| !bond.copy));
        let (Some(asked), Some(relayed)) = (order.request(), down.request()) else { return false };
        let apart = relayed.at().saturating_sub(asked.at());
        if !free || apart.saturating_abs() > self.window_ns {
            return false;
        }
        if !clocks.comparable(asked.obs.point, relayed.obs.point) {
            return true;
        }
        let answered_before = order.report().is_some_and(|report| report.at() < relayed.at());
        apart >= 0 && !answered_before
    }
}

fn drop_from<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Sharing>, key: &K, number: OrderNumber) {
    if let Some(list) = map.get_mut(key) {
        list.retain(|other| *other != number);
        if list.is_empty() {
            map.remove(key);
        }
    }
}

fn rename_in<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, Sharing>,
    key: &K,
    old: OrderNumber,
    new: OrderNumber,
) {
    if let Some(list) = map.get_mut(key) {
        list.retain(|number| *number != new);
        list.iter_mut().filter(|number| **number == old).for_each(|number| *number = new);
    }
}

/// Whether a protocol is FIX: what a gateway's clients speak.
pub fn is_fix(protocol: TextId, texts: &Texts) -> bool {
    texts.text(protocol).starts_with("fix")
}

fn between(a: Option<&Arc<Event>>, b: Option<&Arc<Event>>) -> Option<i64> {
    Some(b?.at().saturating_sub(a?.at()))
}

/// Time from the answer at `a` to the answer at `b`.
fn answers(a: &Order, b: &Order) -> Option<i64> {
    between(a.report(), b.report())
}
