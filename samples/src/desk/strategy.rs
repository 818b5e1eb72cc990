//! The strategies: each gets ideas, waits for the next update of the bus (or
//! not), sends an order, and later cancels, replaces or leaves it.

use crate::context::Context;
use crate::desk::handler::Update;
use crate::desk::messages::{Ask, FixReport, FixRequest, Said, Terms};
use crate::event::Event;
use crate::trouble::Trouble;
use crate::venue::symbols::{SYMBOLS, TICK_E4};
use std::collections::{BTreeMap, VecDeque};

/// Number of strategies.
pub const STRATEGIES: usize = 3;
/// Percent of orders that nothing on the feed triggered.
const UNTRIGGERED_PERCENT: u64 = 12;
/// Percent of triggered orders that name their trigger.
const TAGGED_PERCENT: u64 = 70;
/// Percent of triggers that move a strategy to a basket, where they do, and
/// most orders in one beside the first.
const BASKET_PERCENT: u64 = 15;
const BASKET_MAX: usize = 3;
/// From the bus to the decision: floor and mean of the rest.
const DECISION_FLOOR_NS: i64 = 3_200;
const DECISION_WAIT_NS: i64 = 8_500;
/// Mean time an order rests before its strategy does something about it.
const PATIENCE_NS: i64 = 12_000_000;
/// Most changes to one order.
const CHANGES_MAX: u32 = 4;

/// A cancel or replace that is due.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp {
    /// The order's number.
    pub order: u64,
    /// [`Ask::Cancel`] or [`Ask::Replace`].
    pub ask: Ask,
}

/// The feed message an order reacts to.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    /// Logical id.
    pub feed_id: u64,
    /// Sequence on the feed.
    pub feed_seq: u64,
    /// Whether the order says so.
    pub tagged: bool,
}

/// A request, and what goes with it on the wire.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The request.
    pub request: FixRequest,
    /// The exchange's number of the order, where known.
    pub reference: Option<u64>,
    /// Its trigger.
    pub trigger: Option<Trigger>,
}

#[derive(Debug)]
struct Own {
    strategy: usize,
    cl_ord_id: String,
    reference: Option<u64>,
    terms: Terms,
    cum: u32,
    pending: bool,
    changes: u32,
}

#[derive(Debug, Default)]
struct Strategy {
    armed: u32,
    drafts: VecDeque<(Terms, Option<Trigger>)>,
    last_send_ns: i64,
    last_cl_ord_id: u32,
}

/// All strategies and their orders.
#[derive(Debug, Default)]
pub struct Desk {
    strategies: [Strategy; STRATEGIES],
    orders: BTreeMap<u64, Own>,
    last_order: u64,
}

impl Desk {
    /// A strategy gets an idea: it sends at once, or waits for an update.
    pub fn intent(&mut self, ctx: &mut Context) {
        let index = ctx.rng.below(STRATEGIES as u64) as usize;
        if !ctx.rng.percent(UNTRIGGERED_PERCENT) {
            self.strategies[index].armed += 1;
            return;
        }
        let watched = SYMBOLS.iter().filter(|symbol| symbol.watched).count() as u64;
        let symbol = ctx.rng.below(watched) as usize;
        let terms = draw_terms(ctx, symbol, SYMBOLS[symbol].start_e4);
        self.decide(ctx, index, terms, None);
    }

    /// The bus brings updates.
    pub fn updates(&mut self, ctx: &mut Context, updates: &[Update]) {
        for index in 0..STRATEGIES {
            if self.strategies[index].armed == 0 || updates.is_empty() {
                continue;
            }
            self.strategies[index].armed -= 1;
            let update = ctx.rng.pick(updates).clone();
            let terms = draw_terms(ctx, update.symbol, update.price_e4);
            let Update { feed_id, feed_seq, .. } = update;
            let tagged = ctx.rng.percent(TAGGED_PERCENT);
            let trigger = Trigger { feed_id, feed_seq, tagged };
            self.decide(ctx, index, terms, Some(trigger));
            if ctx.has(Trouble::Baskets) && ctx.rng.percent(BASKET_PERCENT) {
                self.basket(ctx, index, update.symbol, trigger);
            }
        }
    }

    /// The same trigger moves the strategy to orders of other instruments.
    fn basket(&mut self, ctx: &mut Context, index: usize, but: usize, trigger: Trigger) {
        let others = SYMBOLS.iter().enumerate().filter(|(ix, s)| s.watched && *ix != but);
        for (symbol, spec) in others.take(BASKET_MAX) {
            let terms = draw_terms(ctx, symbol, spec.start_e4);
            self.decide(ctx, index, terms, Some(trigger));
        }
    }

    fn decide(&mut self, ctx: &mut Context, index: usize, terms: Terms, trigger: Option<Trigger>) {
        let strategy = &mut self.strategies[index];
        strategy.drafts.push_back((terms, trigger));
        let ready_ns = ctx.now_ns + DECISION_FLOOR_NS + ctx.rng.waiting(DECISION_WAIT_NS);
        strategy.last_send_ns = ready_ns.max(strategy.last_send_ns + 400);
        ctx.at(strategy.last_send_ns, Event::SendNew(index));
    }

    /// The order a strategy decided on is due.
    pub fn send_new(&mut self, ctx: &mut Context, index: usize) -> Option<Outgoing> {
        let (terms, trigger) = self.strategies[index].drafts.pop_front()?;
        self.last_order += 1;
        let order = self.last_order;
        let cl_ord_id = self.new_cl_ord_id(index);
        let own = Own {
            strategy: index,
            cl_ord_id: cl_ord_id.clone(),
            reference: None,
            terms,
            cum: 0,
            pending: false,
            changes: 0,
        };
        self.orders.insert(order, own);
        let request = FixRequest {
            id: ctx.new_id(),
            ask: Ask::New,
            order,
            strategy: index,
            cl_ord_id,
            orig_cl_ord_id: None,
            terms,
        };
        note_new(ctx, &request, trigger);
        Some(Outgoing { request, reference: None, trigger })
    }

    /// A cancel or replace is due; `None` where the order is past it.
    pub fn follow_up(&mut self, ctx: &mut Context, due: FollowUp) -> Option<Outgoing> {
        let own = self.orders.get(&due.order).filter(|own| !own.pending)?;
        let index = own.strategy;
        let cl_ord_id = self.new_cl_ord_id(index);
        let own = self.orders.get_mut(&due.order)?;
        own.pending = true;
        own.changes += 1;
        let mut terms = own.terms;
        if due.ask == Ask::Replace {
            let away = (1 + ctx.rng.below(3) as u32) * TICK_E4;
            terms.price_e4 =
                if terms.side == b'B' { terms.price_e4 - away } else { terms.price_e4 + away };
            terms.qty = own.cum + 100 * (1 + ctx.rng.below(5) as u32);
        }
        if let Some(order) = ctx.truth.order(due.order) {
            order.cl_ord_ids.push(cl_ord_id.clone());
        }
        let request = FixRequest {
            id: ctx.new_id(),
            ask: due.ask,
            order: due.order,
            strategy: index,
            cl_ord_id,
            orig_cl_ord_id: Some(own.cl_ord_id.clone()),
            terms,
        };
        Some(Outgoing { request, reference: own.reference, trigger: None })
    }

    /// A report arrives. Says whether the order is over.
    pub fn report(&mut self, ctx: &mut Context, report: &FixReport) -> bool {
        let Some(own) = self.orders.get_mut(&report.order) else { return true };
        own.reference = report.reference;
        own.cum = report.cum;
        let answers_change =
            matches!(report.said, Said::Replaced | Said::CancelRejected | Said::ReplaceRejected);
        own.pending &= !answers_change;
        if report.said == Said::Replaced {
            own.cl_ord_id.clone_from(&report.cl_ord_id);
            own.terms = report.terms;
        }
        let over = report.leaves == 0 && !own.pending;
        if over {
            self.orders.remove(&report.order);
            return true;
        }
        if report.said == Said::New || answers_change {
            self.plan(ctx, report.order);
        }
        false
    }

    /// Decides what to do about a resting order, if anything.
    fn plan(&mut self, ctx: &mut Context, order: u64) {
        let Some(own) = self.orders.get(&order) else { return };
        if own.terms.ioc || own.changes >= CHANGES_MAX {
            return;
        }
        let ask = match ctx.rng.below(100) {
            0..=44 => Ask::Cancel,
            45..=74 => Ask::Replace,
            _ => return,
        };
        let wait_ns = 60_000 + ctx.rng.waiting(PATIENCE_NS);
        ctx.after(wait_ns, Event::FollowUp(FollowUp { order, ask }));
    }

    fn new_cl_ord_id(&mut self, index: usize) -> String {
        let strategy = &mut self.strategies[index];
        strategy.last_cl_ord_id += 1;
        format!("S{}-{:06}", index + 1, strategy.last_cl_ord_id)
    }
}

/// An order near a price just seen: some take, most rest.
fn draw_terms(ctx: &mut Context, symbol: usize, seen_e4: u32) -> Terms {
    let buys = ctx.rng.percent(50);
    let style = ctx.rng.below(100);
    let ticks = 1 + ctx.rng.below(8) as u32;
    // The first 40 % cross the book, and most of those are IOC.
    let crosses = style < 40;
    let higher = buys == crosses;
    let away = ticks * TICK_E4;
    let price_e4 = if higher { seen_e4 + away } else { seen_e4.saturating_sub(away).max(TICK_E4) };
    Terms {
        symbol,
        side: if buys { b'B' } else { b'S' },
        qty: 100 * (1 + ctx.rng.below(9) as u32),
        price_e4: price_e4 / TICK_E4 * TICK_E4,
        ioc: style < 22,
        hidden: style >= 90,
    }
}

fn note_new(ctx: &mut Context, request: &FixRequest, trigger: Option<Trigger>) {
    if let Some(trigger) = trigger {
        ctx.truth.link_trigger(ctx.now_ns, trigger.feed_id, request.id, trigger.tagged);
    }
    if let Some(order) = ctx.truth.order(request.order) {
        order.session = format!("STRAT{}>RISKGW", request.strategy + 1);
        order.symbol = SYMBOLS[request.terms.symbol].name;
        order.side = char::from(request.terms.side);
        order.price_e4 = u64::from(request.terms.price_e4);
        order.qty = request.terms.qty;
        order.cl_ord_ids.push(request.cl_ord_id.clone());
        order.request_id = request.id;
        order.trigger_id = trigger.map(|trigger| trigger.feed_id);
        order.trigger_seq = trigger.map(|trigger| trigger.feed_seq);
        order.trigger_tagged = trigger.is_some_and(|trigger| trigger.tagged);
    }
}
