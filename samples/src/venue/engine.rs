//! The matching engine: takes our requests, answers privately, tells the feed.
//!
//! Private answers and public messages leave by separate queues, so either
//! may be first on the wire.

use crate::context::Context;
use crate::desk::messages::{Answer, Ask, OuchReport, OuchRequest, Terms};
use crate::event::Event;
use crate::venue::book::Book;
use crate::venue::dialect::Dialect;
use crate::venue::public::{Public, Stage};
use crate::venue::publisher::Publisher;
use crate::venue::symbols::SYMBOLS;
use std::collections::BTreeMap;

/// Percent of new orders and of replaces that are rejected.
const REJECT_PERCENT: u64 = 3;
/// Percent of cancels that are rejected.
const CANCEL_REJECT_PERCENT: u64 = 4;
/// Percent of resting orders that somebody hits, each time anew.
const HIT_PERCENT: u64 = 55;
/// Mean time until then.
const HIT_WAIT_NS: i64 = 25_000_000;
/// Most orders an incoming one trades with.
const SWEEP_MAX: usize = 4;
/// Shortest time between two private answers.
const SPACING_NS: i64 = 120;

/// OUCH 5.0 appendix C: immediate or cancel.
const IOC: u8 = b'I';
/// OUCH 5.0 appendix C: closed.
const CLOSED: u8 = b'E';
/// OUCH 5.0 appendix C: on request.
const ON_REQUEST: u8 = b'U';
/// OUCH 5.0 appendix C: by the system.
const BY_SYSTEM: u8 = b'Z';
/// OUCH 5.0 appendix D: invalid price.
const INVALID_PRICE: u16 = 0x1D;
/// OUCH 5.0 appendix D: replace not allowed.
const REPLACE_NOT_ALLOWED: u16 = 0x15;

/// One of our orders that can still trade.
#[derive(Clone, Debug)]
struct Live {
    order: u64,
    reference: u64,
    terms: Terms,
    /// Shares executed over the whole chain.
    cum: u32,
    leaves: u32,
    token: String,
    /// Request that made this version.
    request: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Venue {
    /// The feed.
    pub publisher: Publisher,
    /// Orders of others by instrument.
    pub(crate) books: Vec<Book>,
    /// Whether other participants trade.
    pub trading: bool,
    /// How much they do.
    pub(crate) rate_msgs_per_s: u64,
    dialect: Dialect,
    live: BTreeMap<u32, Live>,
    next_reference: u64,
    next_match: u64,
    last_engine_ns: i64,
    last_private_ns: i64,
}

impl Venue {
    /// Before the day; `session` names the feed's.
    pub fn new(dialect: Dialect, session: &str, rate_msgs_per_s: u64) -> Self {
        Self {
            publisher: Publisher::new(dialect, session),
            books: (0..SYMBOLS.len()).map(Book::new).collect(),
            trading: false,
            rate_msgs_per_s,
            dialect,
            live: BTreeMap::new(),
            next_reference: 1_000_000,
            next_match: 50_000,
            last_engine_ns: 0,
            last_private_ns: 0,
        }
    }

    pub(crate) fn new_reference(&mut self) -> u64 {
        self.next_reference += 1;
        self.next_reference
    }

    /// The number of an order after a replace.
    pub(crate) fn reference_after(&mut self, before: u64) -> u64 {
        if self.dialect.keeps_reference() { before } else { self.new_reference() }
    }

    pub(crate) fn new_match(&mut self) -> u64 {
        self.next_match += 1;
        self.next_match
    }

    /// A request reached the exchange; the engine takes it in turn.
    pub fn receive(&mut self, ctx: &mut Context, request: OuchRequest) {
        let ready_ns = ctx.now_ns + 14_000 + ctx.rng.waiting(12_000);
        self.last_engine_ns = ready_ns.max(self.last_engine_ns + 500);
        ctx.at(self.last_engine_ns, Event::EngineRequest(request));
    }

    /// The engine takes a request.
    pub fn request(&mut self, ctx: &mut Context, request: &OuchRequest) {
        match request.ask {
            Ask::New => self.enter(ctx, request),
            Ask::Cancel => self.cancel(ctx, request),
            Ask::Replace => self.replace(ctx, request),
        }
    }

    /// Reference data and the start of the day, on the feed.
    pub fn open_feed(&mut self, ctx: &mut Context) {
        self.publisher.take(ctx, Public::Day(Stage::Begin), None);
        for symbol in 0..SYMBOLS.len() {
            self.publisher.take(ctx, Public::Listed, Some(symbol));
            self.publisher.take(ctx, Public::Trading, Some(symbol));
        }
        self.publisher.take(ctx, Public::Day(Stage::SystemOpen), None);
    }

    /// Continuous trading begins.
    pub fn open_market(&mut self, ctx: &mut Context) {
        self.publisher.take(ctx, Public::Day(Stage::MarketOpen), None);
        self.trading = true;
        ctx.after(0, Event::OtherFlow);
    }

    /// The day ends: what still lives is canceled by the exchange.
    pub fn close_market(&mut self, ctx: &mut Context) {
        self.trading = false;
        for (user_ref, live) in std::mem::take(&mut self.live) {
            self.end_order(ctx, user_ref, &live, CLOSED);
        }
        self.publisher.take(ctx, Public::Day(Stage::MarketClose), None);
    }

    /// The last messages of the feed.
    pub fn close_feed(&mut self, ctx: &mut Context) {
        self.publisher.take(ctx, Public::Day(Stage::SystemClose), None);
        self.publisher.take(ctx, Public::Day(Stage::End), None);
    }

    /// Somebody hits one of our resting orders.
    pub fn hit(&mut self, ctx: &mut Context, user_ref: u32) {
        let Some(mut live) = self.live.remove(&user_ref) else { return };
        let all = ctx.rng.percent(45) || live.leaves <= 100;
        let qty = if all { live.leaves } else { 100 };
        let match_number = self.new_match();
        let price_e4 = live.terms.price_e4;
        let private = self.execute(ctx, user_ref, &mut live, qty, price_e4, b'A', match_number);
        let symbol = live.terms.symbol;
        let traded = if live.terms.hidden {
            Public::HiddenTrade { shares: qty, price_e4, match_number }
        } else {
            Public::Executed { reference: live.reference, shares: qty, match_number }
        };
        let public = self.publisher.take(ctx, traded, Some(symbol));
        ctx.truth.link_public(ctx.now_ns, private, public);
        if live.leaves > 0 {
            self.rest(ctx, user_ref, live);
        }
    }

    fn enter(&mut self, ctx: &mut Context, request: &OuchRequest) {
        if ctx.rng.percent(REJECT_PERCENT) {
            let answer = Answer::Rejected { reason: INVALID_PRICE };
            let id = self.answer(ctx, request.user_ref, request, answer);
            return ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        }
        let reference = self.new_reference();
        let accepted = self.answer(ctx, request.user_ref, request, Answer::Accepted { reference });
        ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, accepted);
        if let Some(order) = ctx.truth.order(request.order) {
            order.references.push(reference);
        }
        let mut live = Live {
            order: request.order,
            reference,
            terms: request.terms,
            cum: 0,
            leaves: request.terms.qty,
            token: request.token.clone(),
            request: request.id,
        };
        self.sweep(ctx, request.user_ref, &mut live);
        if live.leaves == 0 {
            return;
        }
        if live.terms.ioc {
            return self.end_order(ctx, request.user_ref, &live, IOC);
        }
        if !live.terms.hidden {
            let Terms { symbol, side, price_e4, .. } = live.terms;
            let shares = live.leaves;
            let added = Public::Added { reference, side, shares, price_e4, mpid: None };
            let public = self.publisher.take(ctx, added, Some(symbol));
            ctx.truth.link_public(ctx.now_ns, accepted, public);
        }
        self.rest(ctx, request.user_ref, live);
    }

    /// Trades an incoming order against what rests at its price or better.
    fn sweep(&mut self, ctx: &mut Context, user_ref: u32, live: &mut Live) {
        let Terms { symbol, side, price_e4, .. } = live.terms;
        for _ in 0..SWEEP_MAX {
            let Some(index) = self.books[symbol].best_against(side, price_e4) else { return };
            if live.leaves == 0 {
                return;
            }
            let other = *self.books[symbol].get_mut(index);
            let qty = self.books[symbol].take_shares(index, live.leaves);
            let match_number = self.new_match();
            let private =
                self.execute(ctx, user_ref, live, qty, other.price_e4, b'R', match_number);
            let executed =
                Public::Executed { reference: other.reference, shares: qty, match_number };
            let public = self.publisher.take(ctx, executed, Some(symbol));
            ctx.truth.link_public(ctx.now_ns, private, public);
        }
    }

    fn cancel(&mut self, ctx: &mut Context, request: &OuchRequest) {
        // A cancel of an order that is done is silently ignored (section 2.3).
        let Some(live) = self.live.remove(&request.user_ref) else { return };
        if ctx.rng.percent(CANCEL_REJECT_PERCENT) {
            let id = self.answer_live(ctx, request.user_ref, &live, Answer::CancelRejected);
            ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
            self.live.insert(request.user_ref, live);
            return;
        }
        let id = self.take_off(ctx, request.user_ref, &live, ON_REQUEST);
        ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
    }

    fn replace(&mut self, ctx: &mut Context, request: &OuchRequest) {
        let original = request.original.unwrap_or(0);
        let Some(before) = self.live.remove(&original) else { return };
        if ctx.rng.percent(REJECT_PERCENT) {
            self.live.insert(original, before);
            let answer = Answer::Rejected { reason: REPLACE_NOT_ALLOWED };
            let id = self.answer(ctx, request.user_ref, request, answer);
            return ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        }
        if request.terms.qty <= before.cum {
            // Nothing would be left open: the order is taken out (section 2.2).
            let id = self.take_off(ctx, original, &before, BY_SYSTEM);
            return ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        }
        let reference = self.reference_after(before.reference);
        let open = request.terms.qty - before.cum;
        let answer = Answer::Replaced { original, reference, open };
        let id = self.answer(ctx, request.user_ref, request, answer);
        ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        if reference != before.reference
            && let Some(order) = ctx.truth.order(request.order)
        {
            order.references.push(reference);
        }
        let Terms { symbol, price_e4, hidden, .. } = request.terms;
        if !hidden {
            let original = before.reference;
            let replaced = Public::Replaced { original, reference, shares: open, price_e4 };
            let public = self.publisher.take(ctx, replaced, Some(symbol));
            ctx.truth.link_public(ctx.now_ns, id, public);
        }
        let live = Live {
            reference,
            terms: request.terms,
            leaves: open,
            token: request.token.clone(),
            request: request.id,
            ..before
        };
        self.rest(ctx, request.user_ref, live);
    }

    /// An order stays, and may be hit later.
    fn rest(&mut self, ctx: &mut Context, user_ref: u32, live: Live) {
        self.live.insert(user_ref, live);
        if ctx.rng.percent(HIT_PERCENT) {
            let wait_ns = 40_000 + ctx.rng.waiting(HIT_WAIT_NS);
            ctx.after(wait_ns, Event::HitResting(user_ref));
        }
    }

    /// The exchange ends an order unasked.
    fn end_order(&mut self, ctx: &mut Context, user_ref: u32, live: &Live, reason: u8) {
        let id = if live.terms.ioc {
            self.answer_live(ctx, user_ref, live, Answer::Canceled { qty: live.leaves, reason })
        } else {
            self.take_off(ctx, user_ref, live, reason)
        };
        ctx.truth.link_at_points(ctx.now_ns, "done", live.request, id);
    }

    /// Cancels a resting order privately and on the feed.
    fn take_off(&mut self, ctx: &mut Context, user_ref: u32, live: &Live, reason: u8) -> u64 {
        let answer = Answer::Canceled { qty: live.leaves, reason };
        let id = self.answer_live(ctx, user_ref, live, answer);
        if !live.terms.hidden {
            let deleted = Public::Deleted { reference: live.reference };
            let public = self.publisher.take(ctx, deleted, Some(live.terms.symbol));
            ctx.truth.link_public(ctx.now_ns, id, public);
        }
        id
    }

    #[allow(clippy::too_many_arguments)]
    fn execute(
        &mut self,
        ctx: &mut Context,
        user_ref: u32,
        live: &mut Live,
        qty: u32,
        price_e4: u32,
        liquidity: u8,
        match_number: u64,
    ) -> u64 {
        live.leaves -= qty;
        live.cum += qty;
        let answer = Answer::Executed { qty, price_e4, liquidity, match_number };
        let id = self.answer_live(ctx, user_ref, live, answer);
        ctx.truth.link_at_points(ctx.now_ns, "fill", live.request, id);
        id
    }

    fn answer_live(
        &mut self,
        ctx: &mut Context,
        user_ref: u32,
        live: &Live,
        answer: Answer,
    ) -> u64 {
        self.send(ctx, user_ref, live.order, live.token.clone(), live.terms, answer)
    }

    fn answer(
        &mut self,
        ctx: &mut Context,
        user_ref: u32,
        request: &OuchRequest,
        answer: Answer,
    ) -> u64 {
        self.send(ctx, user_ref, request.order, request.token.clone(), request.terms, answer)
    }

    /// Queues a private answer; returns its logical id.
    fn send(
        &mut self,
        ctx: &mut Context,
        user_ref: u32,
        order: u64,
        token: String,
        terms: Terms,
        answer: Answer,
    ) -> u64 {
        let id = ctx.new_id();
        let ready_ns = ctx.now_ns + 900 + ctx.rng.waiting(3_500);
        self.last_private_ns = ready_ns.max(self.last_private_ns + SPACING_NS);
        let engine_ns = ctx.now_ns;
        let report = OuchReport { id, order, user_ref, token, answer, terms, engine_ns };
        ctx.at(self.last_private_ns, Event::PrivateReport(report));
        id
    }
}
