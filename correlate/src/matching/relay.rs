//! Through a gateway that renames: the same request and the same answer on
//! its two sides, and drop copies.
//!
//! ```text
//!      client side (FIX)          venue side (OUCH)
//! D ──────────relay──────────────> O
//! 8/0 <───────relay─────────────── A        the answer to the paired request
//! 8/F <───────relay─────────────── E        same match number
//!  └──relay, drop_copy_exec_id──> 8/F on another session
//! ```
//!
//! A link runs from the last sighting before the gateway to the first one
//! behind it. Where a point between missed the message, the neighbours are
//! linked, and the points left out counted as `skipped`.

use crate::clock::Clocks;
use crate::event::{Event, Sighting};
use crate::link::{Evidence, Link, LinkKind};
use crate::matching::order::Life;
use crate::matching::orders::{Bond, Order};
use crate::observation::{is_report, is_request};
use hashbrown::HashSet;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// One side of a gateway.
#[derive(Clone, Copy)]
pub struct SideOfGateway<'a> {
    /// Its order.
    pub order: &'a Order,
    /// The order's life.
    pub life: &'a Life,
}

impl SideOfGateway<'_> {
    fn events(&self) -> impl DoubleEndedIterator<Item = (usize, &Arc<Event>)> {
        self.order.events.iter().enumerate()
    }

    fn get(&self, place: usize) -> Option<&Event> {
        self.order.events.get(place).map(Arc::as_ref)
    }
}

/// The links between an order and the one it comes from.
pub fn links(up: SideOfGateway, down: SideOfGateway, bond: &Bond, clocks: &Clocks) -> Vec<Link> {
    if bond.copy {
        return copies(up, down, clocks);
    }
    let requests = pair_requests(up, down, clocks);
    let mut found = Vec::new();
    for &(a, b) in &requests {
        found.extend(link(up.get(a), down.get(b), bond.evidence, clocks));
    }
    for (b, a, rule) in pair_reports(up, down, &requests) {
        let evidence = Evidence { rule: rule.unwrap_or(bond.evidence.rule), ..bond.evidence };
        found.extend(link(down.get(b), up.get(a), evidence, clocks));
    }
    found
}

fn link(
    from: Option<&Event>,
    to: Option<&Event>,
    evidence: Evidence,
    clocks: &Clocks,
) -> Option<Link> {
    let (from, to) = from.zip(to)?;
    let (start, end) = from.end().zip(to.start())?;
    let skipped = from.missed_after(start.point).saturating_add(to.missed_before());
    let evidence = Evidence { skipped, ..evidence };
    Some(Link::new(LinkKind::Relay, evidence, &from.obs, start, end, clocks))
}

/// Requests of the client side with what became of them, as places in the two lists.
fn pair_requests(up: SideOfGateway, down: SideOfGateway, clocks: &Clocks) -> Vec<(usize, usize)> {
    let mut used = HashSet::new();
    let mut pairs = Vec::new();
    for (b, relayed) in down.events().filter(|(_, event)| is_request(event.obs.kind)) {
        let fits = |exact: bool| {
            up.events()
                .filter(|(a, asked)| !used.contains(a) && asked.obs.kind == relayed.obs.kind)
                .filter(|(a, asked)| in_time(up, *a, asked, relayed, clocks))
                .find(|(_, asked)| !exact || same_terms(asked, relayed))
                .map(|(a, _)| a)
        };
        if let Some(a) = fits(true).or_else(|| fits(false)) {
            used.insert(a);
            pairs.push((a, b));
        }
    }
    pairs
}

/// Whether the request could have been relayed: not before it was made, nor
/// after it was answered.
fn in_time(
    up: SideOfGateway,
    place: usize,
    asked: &Event,
    relayed: &Event,
    clocks: &Clocks,
) -> bool {
    let Some((start, end)) = asked.end().zip(relayed.start()) else { return false };
    if !clocks.comparable(start.point, end.point) {
        return true;
    }
    let apart = clocks.latency(start.stamp(), end.stamp(), false);
    let not_before = apart.bounds.map_or(apart.ns, |(_, hi)| hi) >= 0;
    let answer = up.life.answer_to(place).and_then(|a| up.get(a)?.start().copied());
    not_before
        && answer.is_none_or(|answer: Sighting| {
            let left = clocks.latency(end.stamp(), answer.stamp(), false);
            left.bounds.map_or(left.ns, |(_, hi)| hi) >= 0
        })
}

fn same_terms(a: &Event, b: &Event) -> bool {
    a.obs.price == b.obs.price && a.obs.qty == b.obs.qty
}

/// What kind of news a report is, the same on both sides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Accepted,
    Replaced,
    Filled,
    Ended,
    Refused,
}

fn news(kind: Kind) -> Option<News> {
    match kind {
        Kind::RptAck => Some(News::Accepted),
        Kind::RptReplaced => Some(News::Replaced),
        Kind::RptFill => Some(News::Filled),
        Kind::RptCanceled | Kind::RptDone => Some(News::Ended),
        Kind::RptReject | Kind::RptCancelReject => Some(News::Refused),
        _ => None,
    }
}

/// Reports of the venue side with what the client was told, as places in the
/// two lists, with the rule where it is stronger than the bond's.
fn pair_reports(
    up: SideOfGateway,
    down: SideOfGateway,
    requests: &[(usize, usize)],
) -> Vec<(usize, usize, Option<&'static str>)> {
    let mut used = HashSet::new();
    let mut pairs = Vec::new();
    for (b, report) in down.events().filter(|(_, event)| is_report(event.obs.kind)) {
        let Some(news_here) = news(report.obs.kind) else { continue };
        let free = |a: &usize| !used.contains(a);
        let found = match down.life.request_of(b) {
            Some(request) => answer_of_pair(up, requests, request).map(|a| (a, None)),
            None if news_here == News::Filled => fill_of((up, down), report, &used),
            None => unasked(up, news_here, &used).map(|a| (a, None)),
        };
        if let Some((a, rule)) = found.filter(|(a, _)| free(a)) {
            used.insert(a);
            pairs.push((b, a, rule));
        }
    }
    pairs
}

fn answer_of_pair(
    up: SideOfGateway,
    requests: &[(usize, usize)],
    down_request: usize,
) -> Option<usize> {
    let asked = requests.iter().find(|&&(_, b)| b == down_request)?.0;
    up.life.answer_to(asked)
}

fn fill_of(
    (up, down): (SideOfGateway, SideOfGateway),
    report: &Event,
    used: &HashSet<usize>,
) -> Option<(usize, Option<&'static str>)> {
    let wire = &report.obs;
    let fill = |fits: &dyn Fn(&Event) -> bool| {
        let open = |a: &usize, event: &Event| {
            !used.contains(a) && event.obs.kind == Kind::RptFill && fits(event)
        };
        up.events().find(|(a, event)| open(a, event)).map(|(a, _)| a)
    };
    let same_execution =
        |event: &Event| wire.exec_id.some().is_some() && event.obs.exec_id == wire.exec_id;
    if let Some(a) = fill(&same_execution) {
        return Some((a, Some("exec_id")));
    }
    let same_match = |event: &Event| wire.match_id.is_some() && event.obs.match_id == wire.match_id;
    if let Some(a) = fill(&same_match) {
        return Some((a, Some("match_id")));
    }
    let unnumbered = |event: &Event| wire.match_id.is_none() || event.obs.match_id.is_none();
    // An execution that the other side knows by its id is no other.
    let known = |event: &Event| {
        let id = event.obs.exec_id.some();
        id.is_some() && down.events().any(|(_, other)| other.obs.exec_id.some() == id)
    };
    let same =
        |event: &Event| event.obs.qty == wire.qty && event.obs.price == wire.price && !known(event);
    fill(&|event| unnumbered(event) && same(event)).map(|a| (a, None))
}

fn unasked(up: SideOfGateway, wanted: News, used: &HashSet<usize>) -> Option<usize> {
    let told = |(a, event): &(usize, &Arc<Event>)| {
        !used.contains(a)
            && news(event.obs.kind) == Some(wanted)
            && up.life.request_of(*a).is_none()
    };
    up.events().find(told).map(|(a, _)| a)
}

/// Drop copies: the same execution on another session. The link goes from the
/// original's first sighting to the copy's.
fn copies(up: SideOfGateway, down: SideOfGateway, clocks: &Clocks) -> Vec<Link> {
    let mut found = Vec::new();
    for (_, copy) in down.events().filter(|(_, event)| is_report(event.obs.kind)) {
        let Some(id) = copy.obs.exec_id.some() else { continue };
        let original = up.events().map(|(_, event)| event).find(|event| event.obs.exec_id == id);
        let ends = original.and_then(|event| event.start()).zip(copy.start());
        if let (Some(original), Some((from, to))) = (original, ends) {
            let evidence = Evidence::certain("drop_copy_exec_id");
            found.push(Link::new(LinkKind::Relay, evidence, &original.obs, from, to, clocks));
        }
    }
    found
}
