//! The risk gateway: takes FIX orders, checks them, sends them on as OUCH
//! under identifiers of its own, and reports back.
//!
//! ```text
//! FIX ClOrdID ─► new UserRefNum and token ─► exchange
//! FIX ClOrdID, ExecID, 37, 880 ◄─ found by UserRefNum ◄─
//! ```

use crate::context::Context;
use crate::desk::messages::{
    Answer, Ask, FixReport, FixRequest, OuchReport, OuchRequest, Said, Terms,
};
use crate::event::Event;
use crate::trouble::Trouble;
use std::collections::BTreeMap;

/// Shortest time between two requests that are passed on, and where the
/// gateway throttles.
const SPACING_NS: i64 = 250;
const THROTTLE_NS: i64 = 150_000;
/// Requests leave together at multiples of this, where the gateway batches.
const BATCH_NS: i64 = 40_000;
/// Percent of new orders that fail the gateway's own checks.
const RISK_PERCENT: u64 = 1;
/// The bound above which an order fails them, as text for its sender.
const RISK_TEXT: &str = "risk limit";
/// OUCH reasons of a cancel that somebody asked for, and by the system.
const ASKED_FOR: [u8; 2] = [b'U', b'Z'];
/// OUCH reason of an IOC order's end.
const IOC: u8 = b'I';

/// An order as the gateway knows it.
#[derive(Debug)]
struct Entry {
    strategy: usize,
    cl_ord_id: String,
    user_ref: u32,
    /// FIX and OUCH request that made the current version.
    fix_request: u64,
    ouch_request: u64,
    terms: Terms,
    reference: Option<u64>,
    cum: u32,
    leaves: u32,
    notional_e4: u64,
    done: bool,
    pending: Option<Pending>,
}

/// A cancel or replace on its way.
#[derive(Clone, Debug)]
struct Pending {
    request: FixRequest,
    user_ref: u32,
    ouch_request: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Gateway {
    orders: BTreeMap<u64, Entry>,
    last_user_ref: u32,
    last_exec: u64,
    last_forward_ns: i64,
    last_report_ns: i64,
}

/// What a report says beside the order itself.
struct News {
    said: Said,
    cl_ord_id: String,
    orig_cl_ord_id: Option<String>,
    last: Option<(u32, u32, u64)>,
    text: Option<&'static str>,
}

impl News {
    fn of(said: Said, cl_ord_id: &str) -> Self {
        let cl_ord_id = cl_ord_id.to_string();
        Self { said, cl_ord_id, orig_cl_ord_id: None, last: None, text: None }
    }

    fn answering(said: Said, request: &FixRequest) -> Self {
        let orig_cl_ord_id = request.orig_cl_ord_id.clone();
        Self { orig_cl_ord_id, ..Self::of(said, &request.cl_ord_id) }
    }
}

impl Gateway {
    /// A strategy's request arrives.
    pub fn request(&mut self, ctx: &mut Context, request: FixRequest) {
        match request.ask {
            Ask::New => self.new_order(ctx, request),
            Ask::Cancel | Ask::Replace => self.change(ctx, request),
        }
    }

    /// Forgets an order nobody will ask about any more.
    pub fn forget(&mut self, order: u64) {
        self.orders.remove(&order);
    }

    fn new_order(&mut self, ctx: &mut Context, request: FixRequest) {
        let entry = Entry {
            strategy: request.strategy,
            cl_ord_id: request.cl_ord_id.clone(),
            user_ref: 0,
            fix_request: request.id,
            ouch_request: 0,
            terms: request.terms,
            reference: None,
            cum: 0,
            leaves: request.terms.qty,
            notional_e4: 0,
            done: false,
            pending: None,
        };
        self.orders.insert(request.order, entry);
        if ctx.rng.percent(RISK_PERCENT) {
            self.finish(request.order);
            note_state(ctx, request.order, "rejected");
            let text = Some(RISK_TEXT);
            let news = News { text, ..News::of(Said::Rejected, &request.cl_ord_id) };
            let id = self.report(ctx, request.order, news);
            return ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        }
        let user_ref = self.new_user_ref();
        let ouch = self.forward(ctx, &request, user_ref, None);
        if let Some(entry) = self.orders.get_mut(&request.order) {
            entry.user_ref = user_ref;
            entry.ouch_request = ouch;
        }
        if let Some(order) = ctx.truth.order(request.order) {
            order.user_refs.push(user_ref);
        }
    }

    fn change(&mut self, ctx: &mut Context, request: FixRequest) {
        let Some(entry) = self.orders.get(&request.order) else { return };
        let (before, fix_before, ouch_before) =
            (entry.user_ref, entry.fix_request, entry.ouch_request);
        ctx.truth.link_at_points(ctx.now_ns, "chain", fix_before, request.id);
        if entry.done {
            return self.too_late(ctx, &request);
        }
        let (user_ref, original) = match request.ask {
            Ask::Replace => (self.new_user_ref(), Some(before)),
            _ => (before, None),
        };
        let ouch_request = self.forward(ctx, &request, user_ref, original);
        ctx.truth.link_at_points(ctx.now_ns, "chain", ouch_before, ouch_request);
        if let Some(order) = ctx.truth.order(request.order)
            && original.is_some()
        {
            order.user_refs.push(user_ref);
        }
        if let Some(entry) = self.orders.get_mut(&request.order) {
            entry.pending = Some(Pending { request, user_ref, ouch_request });
        }
    }

    fn new_user_ref(&mut self) -> u32 {
        self.last_user_ref += 1;
        self.last_user_ref
    }

    /// Sends a request on; returns its logical id there.
    fn forward(
        &mut self,
        ctx: &mut Context,
        request: &FixRequest,
        user_ref: u32,
        original: Option<u32>,
    ) -> u64 {
        let id = ctx.new_id();
        ctx.truth.link_request(ctx.now_ns, request.id, id);
        let ready_ns = ctx.now_ns + 1_100 + ctx.rng.waiting(2_200);
        self.last_forward_ns = self.forward_at(ctx, ready_ns);
        let FixRequest { ask, order, terms, .. } = *request;
        // Letters and digits only, different from every identifier of FIX.
        let token = format!("GW{:08X}", u64::from(user_ref) * 2_654_435_761 % 4_294_967_296);
        let forward = OuchRequest { id, ask, order, user_ref, original, token, terms };
        ctx.at(self.last_forward_ns, Event::GatewayForward(forward));
        id
    }

    /// When a request that is ready leaves.
    fn forward_at(&self, ctx: &Context, ready_ns: i64) -> i64 {
        if ctx.has(Trouble::Batching) {
            let batch_ns = (ready_ns / BATCH_NS + 1) * BATCH_NS;
            return batch_ns.max(self.last_forward_ns);
        }
        let spacing_ns = if ctx.has(Trouble::Throttling) { THROTTLE_NS } else { SPACING_NS };
        ready_ns.max(self.last_forward_ns + spacing_ns)
    }

    /// The exchange's report arrives.
    pub fn answer(&mut self, ctx: &mut Context, report: &OuchReport) {
        let Some(entry) = self.orders.get_mut(&report.order) else { return };
        let current = entry.cl_ord_id.clone();
        let id = match report.answer {
            Answer::Accepted { reference } => {
                entry.reference = Some(reference);
                let request = entry.fix_request;
                let id = self.report(ctx, report.order, News::of(Said::New, &current));
                ctx.truth.link_at_points(ctx.now_ns, "ack", request, id);
                note_state(ctx, report.order, "acked");
                id
            }
            Answer::Executed { qty, price_e4, match_number, .. } => {
                self.executed(ctx, report, (qty, price_e4, match_number))
            }
            Answer::Canceled { reason, .. } => self.canceled(ctx, report.order, reason),
            Answer::Replaced { reference, open, .. } => self.replaced(ctx, report, reference, open),
            Answer::Rejected { .. } => self.rejected(ctx, report),
            Answer::CancelRejected => self.pending_rejected(ctx, report.order, "not now"),
        };
        ctx.truth.link_report(ctx.now_ns, report.id, id);
        self.answer_pending_of_done(ctx, report.order);
    }

    fn executed(&mut self, ctx: &mut Context, report: &OuchReport, last: (u32, u32, u64)) -> u64 {
        let Some(entry) = self.orders.get_mut(&report.order) else { return 0 };
        let (qty, price_e4, _) = last;
        entry.cum += qty;
        entry.leaves = entry.leaves.saturating_sub(qty);
        entry.notional_e4 += u64::from(qty) * u64::from(price_e4);
        let (leaves, request) = (entry.leaves, entry.fix_request);
        let news = News { last: Some(last), ..News::of(Said::Trade, &entry.cl_ord_id.clone()) };
        if leaves == 0 {
            self.finish(report.order);
        }
        let id = self.report(ctx, report.order, news);
        ctx.truth.link_at_points(ctx.now_ns, "fill", request, id);
        if let Some(order) = ctx.truth.order(report.order) {
            order.fills += 1;
            order.qty_cum += qty;
            order.state = if leaves == 0 { "filled" } else { "partially_filled" };
        }
        id
    }

    fn canceled(&mut self, ctx: &mut Context, order: u64, reason: u8) -> u64 {
        let Some(entry) = self.orders.get_mut(&order) else { return 0 };
        entry.leaves = 0;
        let current = entry.cl_ord_id.clone();
        let asked = ASKED_FOR.contains(&reason).then(|| entry.pending.take()).flatten();
        let request = asked.as_ref().map_or(entry.fix_request, |pending| pending.request.id);
        let news = match &asked {
            Some(pending) => News::answering(Said::Canceled, &pending.request),
            None if reason == IOC => News::of(Said::Canceled, &current),
            None => News::of(Said::Expired, &current),
        };
        let kind = if asked.is_some() { "ack" } else { "done" };
        self.finish(order);
        let id = self.report(ctx, order, news);
        ctx.truth.link_at_points(ctx.now_ns, kind, request, id);
        note_state(ctx, order, if kind == "ack" { "canceled" } else { "done" });
        id
    }

    fn replaced(
        &mut self,
        ctx: &mut Context,
        report: &OuchReport,
        reference: u64,
        open: u32,
    ) -> u64 {
        let Some(entry) = self.orders.get_mut(&report.order) else { return 0 };
        let Some(pending) = entry.pending.take() else { return 0 };
        entry.reference = Some(reference);
        entry.leaves = open;
        entry.terms = pending.request.terms;
        entry.cl_ord_id.clone_from(&pending.request.cl_ord_id);
        entry.user_ref = pending.user_ref;
        entry.fix_request = pending.request.id;
        entry.ouch_request = pending.ouch_request;
        let news = News::answering(Said::Replaced, &pending.request);
        let id = self.report(ctx, report.order, news);
        ctx.truth.link_at_points(ctx.now_ns, "ack", pending.request.id, id);
        id
    }

    /// An order or a replace is rejected by the exchange.
    fn rejected(&mut self, ctx: &mut Context, report: &OuchReport) -> u64 {
        let Some(entry) = self.orders.get_mut(&report.order) else { return 0 };
        if entry.pending.is_some() {
            return self.pending_rejected(ctx, report.order, "replace not allowed");
        }
        entry.leaves = 0;
        let request = entry.fix_request;
        let news =
            News { text: Some("invalid price"), ..News::of(Said::Rejected, &entry.cl_ord_id) };
        self.finish(report.order);
        let id = self.report(ctx, report.order, news);
        ctx.truth.link_at_points(ctx.now_ns, "ack", request, id);
        note_state(ctx, report.order, "rejected");
        id
    }

    /// The cancel or replace under way is rejected; the order lives on.
    fn pending_rejected(&mut self, ctx: &mut Context, order: u64, text: &'static str) -> u64 {
        let pending = self.orders.get_mut(&order).and_then(|entry| entry.pending.take());
        let Some(pending) = pending else { return 0 };
        self.refuse(ctx, &pending.request, text)
    }

    /// The order ended while a cancel or replace was under way: the exchange
    /// will ignore that, so the gateway answers it.
    fn answer_pending_of_done(&mut self, ctx: &mut Context, order: u64) {
        let Some(entry) = self.orders.get_mut(&order) else { return };
        if entry.done
            && let Some(pending) = entry.pending.take()
        {
            self.too_late(ctx, &pending.request);
        }
    }

    fn too_late(&mut self, ctx: &mut Context, request: &FixRequest) {
        self.refuse(ctx, request, "too late");
    }

    fn refuse(&mut self, ctx: &mut Context, request: &FixRequest, text: &'static str) -> u64 {
        let said = match request.ask {
            Ask::Replace => Said::ReplaceRejected,
            _ => Said::CancelRejected,
        };
        let news = News { text: Some(text), ..News::answering(said, request) };
        let id = self.report(ctx, request.order, news);
        ctx.truth.link_at_points(ctx.now_ns, "ack", request.id, id);
        id
    }

    fn finish(&mut self, order: u64) {
        if let Some(entry) = self.orders.get_mut(&order) {
            entry.done = true;
            entry.leaves = 0;
        }
    }

    /// Queues a report; returns its logical id.
    fn report(&mut self, ctx: &mut Context, order: u64, news: News) -> u64 {
        let Some(entry) = self.orders.get(&order) else { return 0 };
        let id = ctx.new_id();
        self.last_exec += 1;
        let report = FixReport {
            id,
            order,
            strategy: entry.strategy,
            said: news.said,
            cl_ord_id: news.cl_ord_id,
            orig_cl_ord_id: news.orig_cl_ord_id,
            exec_id: format!("E{:07}", self.last_exec),
            reference: entry.reference,
            terms: entry.terms,
            cum: entry.cum,
            leaves: entry.leaves,
            notional_e4: entry.notional_e4,
            last: news.last,
            text: news.text,
        };
        let ready_ns = ctx.now_ns + 1_000 + ctx.rng.waiting(1_900);
        self.last_report_ns = ready_ns.max(self.last_report_ns + 200);
        ctx.at(self.last_report_ns, Event::GatewayReport(report));
        id
    }
}

fn note_state(ctx: &mut Context, order: u64, state: &'static str) {
    if let Some(order) = ctx.truth.order(order) {
        order.state = state;
    }
}
