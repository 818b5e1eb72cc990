//! The life of one order in one session: which answer belongs to which request.
//!
//! ```text
//! D 1 ──ack──> 8/0      G 2 (41=1): D 1 ──chain──> G 2 ──ack──> 8/5
//! D 1 ──fill─> 8/F(11=1)            G 2 ──fill──> 8/F (11=2)
//! G 2 ──done─> 8/4 that nobody asked for
//! ```
//!
//! The same for OUCH and BOE, whose cancel has no id of its own: it and its
//! answer carry the order's, so that answers go to the oldest open cancel.
//! Source: FIX 4.4 volume 4 (order state changes), OUCH 5.0.

use crate::event::Event;
use crate::link::LinkKind;
use crate::observation::{Observation, is_request};
use crate::text::TextId;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// Where an order has got to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Requested, no answer.
    #[default]
    New,
    /// Accepted.
    Acked,
    /// Executed in part.
    PartiallyFilled,
    /// Executed wholly.
    Filled,
    /// Canceled.
    Canceled,
    /// Never accepted.
    Rejected,
    /// Changed by its sender, open.
    Replaced,
    /// Ended by the venue.
    Done,
}

impl State {
    /// The text in tables.
    pub const fn text(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acked => "acked",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::Done => "done",
        }
    }

    /// Whether nothing more is to come.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Rejected | Self::Done)
    }
}

/// A link between two events of an order, by their places in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it says.
    pub kind: LinkKind,
    /// Why.
    pub rule: &'static str,
    /// The earlier event.
    pub from: usize,
    /// The later one.
    pub to: usize,
}

/// What replaying an order's events gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Links, in order of their later event.
    pub steps: Vec<Step>,
    /// Where the order has got to.
    pub state: State,
    /// Executions.
    pub fills: u32,
    /// Executed quantity x 10^9.
    pub qty_cum: i128,
    /// Answers that no request explains.
    pub unexplained: u32,
}

impl Life {
    /// The request that the event at `report` answers.
    pub fn request_of(&self, report: usize) -> Option<usize> {
        let answered = |s: &&Step| s.to == report && s.kind == LinkKind::Ack;
        self.steps.iter().find(answered).map(|s| s.from)
    }

    /// The answer to the request at `request`.
    pub fn answer_to(&self, request: usize) -> Option<usize> {
        let answered = |s: &&Step| s.from == request && s.kind == LinkKind::Ack;
        self.steps.iter().find(answered).map(|s| s.to)
    }
}

struct Request {
    event: usize,
    kind: Kind,
    /// Its own id.
    id: TextId,
    /// The id of the version it changes.
    changes: TextId,
    answered: bool,
}

struct Replay<'a> {
    events: &'a [Arc<Event>],
    requests: Vec<Request>,
    /// The request that made the current version.
    current: Option<usize>,
    /// Quantity of the current version and taken off without execution, x 10^9.
    qty: Option<i128>,
    reduced: i128,
    life: Life,
}

/// Replays the events of one order, in order of time.
pub fn replay(events: &[Arc<Event>]) -> Life {
    let mut replay = Replay {
        events,
        requests: Vec::new(),
        current: None,
        qty: None,
        reduced: 0,
        life: Life::default(),
    };
    for (place, event) in events.iter().enumerate() {
        if is_request(event.obs.kind) {
            replay.request(place, event);
        } else {
            replay.report(place, event);
        }
    }
    replay.life
}

impl Replay<'_> {
    fn request(&mut self, place: usize, event: &Event) {
        let obs = &event.obs;
        let changes = obs.orig_cl_ord_id.some().unwrap_or(obs.cl_ord_id);
        if obs.kind == Kind::ReqNew {
            self.current.get_or_insert(self.requests.len());
            self.qty = self.qty.or(obs.qty.get());
        } else if let Some(before) =
            self.version(changes).or_else(|| self.pending(obs)).or(self.current)
        {
            self.step(LinkKind::Chain, "orig_cl_ord_id", before, place);
        }
        self.requests.push(Request {
            event: place,
            kind: obs.kind,
            id: obs.cl_ord_id,
            changes,
            answered: false,
        });
    }

    /// The newest replace without an answer, which a request means that names only the
    /// order (iLink 3), not the version that it changes.
    fn pending(&self, request: &Observation) -> Option<usize> {
        let open = |r: &Request| r.kind == Kind::ReqReplace && !r.answered;
        let names_version = !request.orig_cl_ord_id.is_none();
        if names_version { None } else { self.requests.iter().rposition(open) }
    }

    fn report(&mut self, place: usize, event: &Event) {
        let obs = &event.obs;
        match obs.kind {
            Kind::RptAck => self.accepted(place, obs.cl_ord_id),
            Kind::RptReplaced => self.replaced(place, obs.cl_ord_id, obs.qty.get()),
            Kind::RptFill => self.filled(place, event),
            Kind::RptCanceled => self.canceled(place, event),
            Kind::RptDone => self.ended(place, event, State::Done),
            Kind::RptReject => self.rejected(place, obs.cl_ord_id),
            Kind::RptCancelReject => {
                let id = (obs.cl_ord_id, obs.orig_cl_ord_id);
                let request = self.open_change(id, |k| k != Kind::ReqNew);
                self.answer(request, "cl_ord_id", place);
            }
            _ => {}
        }
    }

    fn accepted(&mut self, place: usize, id: TextId) {
        let named = self.find(id, |request| request.kind == Kind::ReqNew);
        let request = named.or_else(|| self.only(|r| r.kind == Kind::ReqNew && !r.answered));
        self.answer(request, "cl_ord_id", place);
        if self.life.state == State::New {
            self.life.state = State::Acked;
        }
    }

    fn replaced(&mut self, place: usize, id: TextId, qty: Option<i128>) {
        let request = self.open_change((id, TextId::NONE), |k| k == Kind::ReqReplace);
        self.answer(request, "cl_ord_id", place);
        if let Some(request) = request {
            self.current = Some(request);
            let asked = self.event_of(request).and_then(|event| event.obs.qty.get());
            self.qty = asked.or(qty).or(self.qty);
            self.reduced = 0;
        }
        if !self.life.state.is_over() {
            self.life.state = State::Replaced;
        }
    }

    fn filled(&mut self, place: usize, event: &Event) {
        let obs = &event.obs;
        let named = self.version(obs.cl_ord_id);
        match named.or_else(|| self.current_for(obs.cl_ord_id)) {
            Some(request) => {
                let rule = if named.is_some() { "cl_ord_id" } else { "order_version" };
                self.step(LinkKind::Fill, rule, request, place);
            }
            None => self.life.unexplained += 1,
        }
        self.life.fills += 1;
        self.life.qty_cum += obs.qty.get().unwrap_or(0);
        self.life.qty_cum = obs.qty_cum.get().unwrap_or(self.life.qty_cum);
        if !self.life.state.is_over() {
            let whole = self.left(event) == Some(0);
            self.life.state = if whole { State::Filled } else { State::PartiallyFilled };
        }
    }

    /// Quantity still open after the report, where it or the sums tell.
    fn left(&self, event: &Event) -> Option<i128> {
        let computed = || Some((self.qty? - self.life.qty_cum - self.reduced).max(0));
        event.obs.qty_leaves.get().or_else(computed)
    }

    fn canceled(&mut self, place: usize, event: &Event) {
        let obs = &event.obs;
        let ids = (obs.cl_ord_id, obs.orig_cl_ord_id);
        let request = match obs.asked {
            Some(false) => None,
            _ => self.open_change(ids, |kind| kind == Kind::ReqCancel),
        };
        let request = request.or_else(|| self.replaced_by_nothing(obs.cl_ord_id));
        match request {
            Some(request) => {
                self.answer(Some(request), "cl_ord_id", place);
                self.end(event, State::Canceled);
            }
            None => self.ended(place, event, State::Canceled),
        }
    }

    /// The open replace that a cancel with this id answers: the one it names,
    /// or one of the version it names that asks for no more than was executed
    /// already, so that nothing is left.
    fn replaced_by_nothing(&self, id: TextId) -> Option<usize> {
        let id = id.some()?;
        let qty = |request: &Request| self.events.get(request.event)?.obs.qty.get();
        let answered = |r: &Request| {
            let nothing = || qty(r).is_some_and(|qty| qty <= self.life.qty_cum);
            let open = !r.answered && r.kind == Kind::ReqReplace;
            open && (r.id == id || r.changes == id && nothing())
        };
        self.requests.iter().position(answered)
    }

    fn ended(&mut self, place: usize, event: &Event, state: State) {
        let id = event.obs.cl_ord_id;
        match self.version(id).or_else(|| self.current_for(id)) {
            Some(request) => self.step(LinkKind::Done, "unsolicited", request, place),
            None => self.life.unexplained += 1,
        }
        self.end(event, state);
    }

    fn end(&mut self, event: &Event, state: State) {
        if let Some(taken) = event.obs.qty_delta.get() {
            self.reduced += taken;
            if event.obs.qty_leaves.get().is_none() && self.left(event).is_some_and(|left| left > 0)
            {
                return;
            }
        }
        if self.life.state != State::Filled {
            self.life.state = state;
        }
    }

    fn rejected(&mut self, place: usize, id: TextId) {
        let request = self.find(id, |_| true).or_else(|| self.only(|r| !r.answered));
        self.answer(request, "cl_ord_id", place);
        let first = request.and_then(|r| self.requests.get(r)).map(|r| r.kind);
        if first.is_none_or(|kind| kind == Kind::ReqNew) && !self.life.state.is_over() {
            self.life.state = State::Rejected;
        }
    }

    fn event_of(&self, request: usize) -> Option<&Event> {
        self.events.get(self.requests.get(request)?.event).map(Arc::as_ref)
    }

    /// The oldest unanswered request with the id, else the newest with it.
    fn find(&self, id: TextId, fits: impl Fn(&Request) -> bool) -> Option<usize> {
        let id = id.some()?;
        let named = |(_, r): &(usize, &Request)| r.id == id && fits(r);
        let mut found = self.requests.iter().enumerate().filter(named);
        let open = found.clone().find(|(_, request)| !request.answered);
        open.or_else(|| found.next_back()).map(|(place, _)| place)
    }

    /// The request that made the version with this id.
    fn version(&self, id: TextId) -> Option<usize> {
        self.find(id, |request| request.kind != Kind::ReqCancel)
    }

    /// The request that made the current version, for a report without an id.
    /// One that names a version whose request was not seen has none.
    fn current_for(&self, id: TextId) -> Option<usize> {
        self.current.filter(|_| id.is_none())
    }

    /// The one request that fits, where no other does.
    fn only(&self, fits: impl Fn(&Request) -> bool) -> Option<usize> {
        let mut found = self.requests.iter().enumerate().filter(|(_, r)| fits(r));
        found.next().filter(|_| found.next().is_none()).map(|(place, _)| place)
    }

    /// The open request to change the order that an answer with these ids
    /// means: by its own id; where requests have none (OUCH), the oldest for
    /// that version; where the ids are unknown, the only one open.
    fn open_change(
        &self,
        (id, version): (TextId, TextId),
        fits: impl Fn(Kind) -> bool,
    ) -> Option<usize> {
        let open = |r: &Request| !r.answered && r.kind != Kind::ReqNew && fits(r.kind);
        let own = self.find(id, |request| open(request) && request.changes != request.id);
        let version = version.some().unwrap_or(id);
        let has_no_id = |r: &Request| r.id.is_none() || r.changes == r.id;
        let nameless = |r: &Request| open(r) && has_no_id(r) && r.changes == version;
        let known = self.requests.iter().any(|request| request.id == id);
        own.or_else(|| self.requests.iter().position(nameless))
            .or_else(|| self.only(open).filter(|_| !known))
    }

    fn answer(&mut self, request: Option<usize>, rule: &'static str, place: usize) {
        match request {
            Some(request) => {
                self.step(LinkKind::Ack, rule, request, place);
                if let Some(request) = self.requests.get_mut(request) {
                    request.answered = true;
                }
            }
            None => self.life.unexplained += 1,
        }
    }

    fn step(&mut self, kind: LinkKind, rule: &'static str, request: usize, to: usize) {
        if let Some(request) = self.requests.get(request) {
            self.life.steps.push(Step { kind, rule, from: request.event, to });
        }
    }
}
