//! The feed handler: takes whichever line brings a message first, keeps what
//! it must know of each order, and makes updates for the bus.
//!
//! ```text
//! line A ─┐ first copy, in order ─► orders by reference ─► updates of what
//! line B ─┘ a gap waits a while                            the desk watches
//! ```

use crate::context::Context;
use crate::event::Event;
use crate::net::feed_line::{FeedItem, FeedPacket};
use crate::venue::public::Public;
use crate::venue::symbols::SYMBOLS;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How long the other line may still bring what is missing.
const GAP_WAIT_NS: i64 = 400_000;
/// Most orders remembered; those beyond are not (their later updates are
/// left out).
const ORDERS_MAX: usize = 1_000_000;

/// A watched change, ready for the bus.
#[derive(Clone, Debug)]
pub struct Update {
    /// Feed message it comes from: logical id and sequence.
    pub feed_id: u64,
    /// Sequence of that message.
    pub feed_seq: u64,
    /// Index of the instrument.
    pub symbol: usize,
    /// FIX 279: 0 new, 1 change, 2 delete.
    pub action: u32,
    /// FIX 269: `0` bid, `1` offer, `2` trade.
    pub entry_type: &'static str,
    /// Four implied decimals.
    pub price_e4: u32,
    /// Shares.
    pub size: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    side: u8,
    price_e4: u32,
    shares: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Handler {
    session: Arc<str>,
    ended: Vec<Arc<str>>,
    next_seq: u64,
    waiting: BTreeMap<u64, Arc<FeedPacket>>,
    orders: HashMap<u64, Known>,
    updates: Vec<Update>,
    last_send_ns: i64,
}

impl Handler {
    /// Before the day.
    pub fn new() -> Self {
        Self {
            session: "".into(),
            ended: Vec::new(),
            next_seq: 1,
            waiting: BTreeMap::new(),
            orders: HashMap::new(),
            updates: Vec::new(),
            last_send_ns: 0,
        }
    }

    /// A datagram arrives on one of the lines.
    pub fn arrive(&mut self, ctx: &mut Context, packet: Arc<FeedPacket>) {
        if self.ended.contains(&packet.session) {
            return;
        }
        if packet.session != self.session {
            let before = std::mem::replace(&mut self.session, packet.session.clone());
            self.ended.push(before);
            self.waiting.clear();
            self.next_seq = 1;
        }
        let end = packet.first_seq + packet.count();
        if end <= self.next_seq {
            return;
        }
        if packet.first_seq > self.next_seq {
            let missing = (packet.session.clone(), packet.first_seq);
            ctx.after(GAP_WAIT_NS, Event::FeedGapTimeout(missing.0, missing.1));
        }
        self.waiting.entry(packet.first_seq).or_insert(packet);
        self.take_in_order(ctx);
    }

    /// Neither line brought what is missing before `seq` of a session: go on
    /// without.
    pub fn give_up_before(&mut self, ctx: &mut Context, session: &str, seq: u64) {
        if *self.session == *session && self.next_seq < seq {
            self.next_seq = seq;
            self.take_in_order(ctx);
        }
    }

    fn take_in_order(&mut self, ctx: &mut Context) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.next_seq {
                break;
            }
            let packet = entry.remove();
            self.take(&packet);
        }
        if !self.updates.is_empty() {
            let ready_ns = ctx.now_ns + 2_000 + ctx.rng.waiting(2_800);
            self.last_send_ns = ready_ns.max(self.last_send_ns + 300);
            let updates = std::mem::take(&mut self.updates);
            ctx.at(self.last_send_ns, Event::BusSend(updates));
        }
    }

    fn take(&mut self, packet: &FeedPacket) {
        let messages = packet.tags.iter().zip(&packet.items).enumerate();
        for (position, (tag, item)) in messages {
            let feed_seq = packet.first_seq + position as u64;
            if feed_seq < self.next_seq {
                continue;
            }
            self.next_seq = feed_seq + 1;
            let change = self.learn(item);
            if let Some((action, entry_type, price_e4, size)) = change
                && SYMBOLS[item.symbol].watched
            {
                self.updates.push(Update {
                    feed_id: tag.id,
                    feed_seq,
                    symbol: item.symbol,
                    action,
                    entry_type,
                    price_e4,
                    size,
                });
            }
        }
    }

    /// Takes a message into the known orders; what it means for the bus.
    fn learn(&mut self, item: &FeedItem) -> Option<(u32, &'static str, u32, u32)> {
        match item.public? {
            Public::Added { reference, side, shares, price_e4, .. } => {
                self.know(reference, Known { side, price_e4, shares });
                Some((0, entry_type(side), price_e4, shares))
            }
            Public::Executed { reference, shares, .. }
            | Public::ExecutedAt { reference, shares, .. } => {
                let known = self.reduce(reference, shares)?;
                Some((0, "2", known.price_e4, shares))
            }
            Public::Reduced { reference, shares } => {
                let known = self.reduce(reference, shares)?;
                Some((1, entry_type(known.side), known.price_e4, known.shares))
            }
            Public::Deleted { reference } => {
                let known = self.orders.remove(&reference)?;
                Some((2, entry_type(known.side), known.price_e4, 0))
            }
            Public::Replaced { original, reference, shares, price_e4 } => {
                let known = self.orders.remove(&original)?;
                self.know(reference, Known { shares, price_e4, ..known });
                Some((1, entry_type(known.side), price_e4, shares))
            }
            Public::HiddenTrade { shares, price_e4, .. } => Some((0, "2", price_e4, shares)),
            _ => None,
        }
    }

    fn know(&mut self, reference: u64, order: Known) {
        if self.orders.len() < ORDERS_MAX {
            self.orders.insert(reference, order);
        }
    }

    /// Takes shares off an order; the order after that.
    fn reduce(&mut self, reference: u64, shares: u32) -> Option<Known> {
        let known = self.orders.get_mut(&reference)?;
        known.shares = known.shares.saturating_sub(shares);
        let after = *known;
        if after.shares == 0 {
            self.orders.remove(&reference);
        }
        Some(after)
    }
}

impl Default for Handler {
    fn default() -> Self {
        Self::new()
    }
}

fn entry_type(side: u8) -> &'static str {
    if side == b'B' { "0" } else { "1" }
}
