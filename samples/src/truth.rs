//! What really happened, which no capture says outright.
//!
//! ```text
//! messages.jsonl  one line a message and point: when, which packet, or why not
//! links.jsonl     which message caused, answered or showed which other one
//! losses.jsonl    what was lost, where, why
//! clocks.jsonl    each clock's reading minus true time, second by second
//! orders.jsonl    one line an order: ids, terms, end
//! counts.json     messages by protocol, type and point
//! ```
//! A message keeps its `id` at every point, so the links of kind `same` are
//! the successive points of one id (feed messages: line by line) and are not
//! written out. Times are nanoseconds since the epoch: `true_ns` on the
//! reference clock C1, `stamped_ns` as the point's clock stamped. A message
//! of a TCP stream passes a point when all bytes up to its end have passed on
//! the wire, captured or not; `msg_ix` counts messages only, not gaps.

use crate::points::{P1, P3, P4, P5, P6, P7, POINTS, PointIx};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// How long a link waits for its ends to pass every point, in nanoseconds.
const LINK_HOLD_NS: i64 = 200_000_000;
/// How long the times of a feed or bus message are remembered.
const FEED_MEMORY_NS: i64 = 1_000_000_000;

/// What a message is called.
#[derive(Clone, Debug)]
pub struct MessageTag {
    /// Logical id: the same at every point.
    pub id: u64,
    /// Protocol id, as in the decoders' rows.
    pub protocol: &'static str,
    /// Session, as in the decoders' rows; empty where there is none.
    pub session: Arc<str>,
    /// Sequence number in the session, where it has one.
    pub seq: Option<u64>,
    /// Native type code; of a protocol whose codes are numbers, the character
    /// with that number.
    pub code: char,
}

/// What became of a message at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In the capture.
    Captured,
    /// Never got there.
    LostNetwork,
    /// Passed, but the capture missed it.
    LostCapture,
    /// Passed in a packet of which the capture kept the first bytes only: a part
    /// of the message at most.
    Cut,
    /// In the capture once more: a mirror port gave the packet twice, or TCP
    /// sent the segment again though it had passed here.
    Duplicate,
}

/// A line of `messages.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct MessageTruth {
    pub id: u64,
    pub protocol: &'static str,
    #[serde(serialize_with = "as_text")]
    pub session: Arc<str>,
    pub seq: Option<u64>,
    #[serde(rename = "type")]
    pub code: char,
    pub point: &'static str,
    pub line: Option<char>,
    pub true_ns: Option<i64>,
    pub stamped_ns: Option<i64>,
    pub packet_ix: Option<u32>,
    pub msg_ix: Option<u32>,
    pub status: Status,
}

/// A line of `links.jsonl`. `rule` says what joins the two.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct LinkTruth {
    pub kind: &'static str,
    pub rule: &'static str,
    pub from: u64,
    pub from_point: &'static str,
    pub to: u64,
    pub to_point: &'static str,
    /// True time of `to` minus true time of `from`; feed messages at their
    /// first copy.
    pub latency_ns: i64,
}

/// A line of `losses.jsonl`: messages `first_seq..first_seq + count`, or for
/// a TCP stream bytes counted from the start of the stream.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct LossTruth {
    pub cause: &'static str,
    /// The first point that did not see it.
    pub point: &'static str,
    pub protocol: &'static str,
    #[serde(serialize_with = "as_text")]
    pub session: Arc<str>,
    pub line: Option<char>,
    pub unit: &'static str,
    pub first_seq: u64,
    pub count: u64,
    pub true_ns: i64,
}

/// A line of `clocks.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct ClockTruth {
    pub clock: &'static str,
    pub true_ns: i64,
    /// Reading minus true time.
    pub offset_ns: i64,
}

/// A line of `orders.jsonl`.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct OrderTruth {
    pub order: u64,
    pub session: String,
    pub symbol: &'static str,
    pub side: char,
    /// Price and quantity of the first version; four implied decimals.
    pub price_e4: u64,
    pub qty: u32,
    /// ClOrdID of every version and cancel request, the root first.
    pub cl_ord_ids: Vec<String>,
    pub user_refs: Vec<u32>,
    /// The exchange's order reference numbers, by version.
    pub references: Vec<u64>,
    pub qty_cum: u32,
    pub fills: u32,
    /// How it ended: new, acked, partially_filled, filled, canceled, rejected, done.
    pub state: &'static str,
    /// Feed message that made the strategy send it.
    pub trigger_id: Option<u64>,
    pub trigger_seq: Option<u64>,
    /// Whether the order says so in its trigger tag.
    pub trigger_tagged: bool,
    pub request_id: u64,
    /// True time between the trigger's first copy at P3 and the order at P5.
    pub tick_to_order_ns: Option<i64>,
}

/// How many messages of a type at a point met which end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub captured: u64,
    pub duplicate: u64,
    pub lost_network: u64,
    pub lost_capture: u64,
    pub cut: u64,
}

/// Protocol, type code and point name to counts.
pub type CountTable = BTreeMap<&'static str, BTreeMap<char, BTreeMap<&'static str, Counts>>>;

/// One finished piece of the truth.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Truth {
    Message(MessageTruth),
    Link(LinkTruth),
    Loss(LossTruth),
    Clock(ClockTruth),
    Order(OrderTruth),
}

/// Between which points a link runs.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// At each point that saw both ends.
    SamePoint,
    /// From one point to another.
    Between(PointIx, PointIx),
}

#[derive(Debug)]
struct PendingLink {
    due_ns: i64,
    kind: &'static str,
    rule: &'static str,
    from: u64,
    to: u64,
    reach: Reach,
}

/// True times of a message by point.
type Sightings = [Option<i64>; POINTS.len()];

/// Collects the truth and gives it out as soon as it is final.
#[derive(Debug, Default)]
pub struct TruthLog {
    enabled: bool,
    ready: VecDeque<Truth>,
    sightings: HashMap<u64, Sightings>,
    feed_ids: VecDeque<(i64, u64)>,
    pending: VecDeque<PendingLink>,
    orders: BTreeMap<u64, OrderTruth>,
    counts: CountTable,
}

impl TruthLog {
    /// A log; one that is not enabled keeps nothing.
    pub fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// The next final piece.
    pub fn take(&mut self) -> Option<Truth> {
        self.ready.pop_front()
    }

    /// Messages by protocol, type and point, so far.
    pub fn counts(&self) -> &CountTable {
        &self.counts
    }

    /// A message passed a point (captured or not) at a true time.
    pub fn passed(&mut self, id: u64, point: PointIx, true_ns: i64) {
        if !self.enabled {
            return;
        }
        let seen = &mut self.sightings.entry(id).or_default()[point];
        *seen = Some(seen.map_or(true_ns, |first| first.min(true_ns)));
    }

    /// The times of this message may be forgotten after a while.
    pub fn forget_later(&mut self, id: u64, now_ns: i64) {
        if self.enabled {
            self.feed_ids.push_back((now_ns + FEED_MEMORY_NS, id));
        }
    }

    /// A line of `messages.jsonl` is final.
    pub fn message(&mut self, line: MessageTruth) {
        if !self.enabled {
            return;
        }
        let types = self.counts.entry(line.protocol).or_default();
        let counts = types.entry(line.code).or_default().entry(line.point).or_default();
        match line.status {
            Status::Captured => counts.captured += 1,
            Status::Duplicate => counts.duplicate += 1,
            Status::LostNetwork => counts.lost_network += 1,
            Status::LostCapture => counts.lost_capture += 1,
            Status::Cut => counts.cut += 1,
        }
        self.ready.push_back(Truth::Message(line));
    }

    /// A message that never got to a point.
    pub fn lost_on_the_way(&mut self, tag: &MessageTag, point: PointIx, line: Option<char>) {
        self.unseen(tag, point, line, None, Status::LostNetwork);
    }

    /// A message that passed a point at `true_ns` and was not captured.
    pub fn not_captured(
        &mut self,
        tag: &MessageTag,
        point: PointIx,
        line: Option<char>,
        true_ns: i64,
    ) {
        self.unseen(tag, point, line, Some(true_ns), Status::LostCapture);
    }

    fn unseen(
        &mut self,
        tag: &MessageTag,
        point: PointIx,
        line: Option<char>,
        true_ns: Option<i64>,
        status: Status,
    ) {
        self.message(MessageTruth {
            id: tag.id,
            protocol: tag.protocol,
            session: tag.session.clone(),
            seq: tag.seq,
            code: tag.code,
            point: POINTS[point].name,
            line,
            true_ns,
            stamped_ns: None,
            packet_ix: None,
            msg_ix: None,
            status,
        });
    }

    /// A loss happened.
    pub fn loss(&mut self, loss: LossTruth) {
        if self.enabled {
            self.ready.push_back(Truth::Loss(loss));
        }
    }

    /// A clock's offset at a time.
    pub fn clock(&mut self, clock: ClockTruth) {
        if self.enabled {
            self.ready.push_back(Truth::Clock(clock));
        }
    }

    /// `ack`, `fill`, `done` and `chain`: at every point that saw both.
    pub fn link_at_points(&mut self, now_ns: i64, kind: &'static str, from: u64, to: u64) {
        self.link(now_ns, kind, "life", from, to, Reach::SamePoint);
    }

    /// Market data to bus: the handler relays a feed message.
    pub fn link_bus(&mut self, now_ns: i64, feed: u64, bus: u64) {
        self.link(now_ns, "relay", "bus", feed, bus, Reach::Between(P3, P4));
    }

    /// Market data to order; `tagged` where the order names the message.
    pub fn link_trigger(&mut self, now_ns: i64, feed: u64, order: u64, tagged: bool) {
        let rule = if tagged { "tagged" } else { "untagged" };
        self.link(now_ns, "trigger", rule, feed, order, Reach::Between(P3, P5));
    }

    /// A request through the gateway.
    pub fn link_request(&mut self, now_ns: i64, fix: u64, ouch: u64) {
        self.link(now_ns, "relay", "request", fix, ouch, Reach::Between(P5, P6));
    }

    /// An answer back through the gateway.
    pub fn link_report(&mut self, now_ns: i64, ouch: u64, fix: u64) {
        self.link(now_ns, "relay", "report", ouch, fix, Reach::Between(P6, P5));
    }

    /// A report and its drop copy.
    pub fn link_drop_copy(&mut self, now_ns: i64, report: u64, copy: u64) {
        self.link(now_ns, "relay", "drop_copy", report, copy, Reach::Between(P5, P7));
    }

    /// A private answer and the same event on the public feed.
    pub fn link_public(&mut self, now_ns: i64, private: u64, public: u64) {
        self.link(now_ns, "public", "event", private, public, Reach::Between(P1, P1));
    }

    fn link(
        &mut self,
        now_ns: i64,
        kind: &'static str,
        rule: &'static str,
        from: u64,
        to: u64,
        reach: Reach,
    ) {
        if self.enabled {
            let due_ns = now_ns + LINK_HOLD_NS;
            self.pending.push_back(PendingLink { due_ns, kind, rule, from, to, reach });
        }
    }

    /// The order with this number, made on first use.
    pub fn order(&mut self, order: u64) -> Option<&mut OrderTruth> {
        self.enabled.then(|| {
            self.orders.entry(order).or_insert_with(|| OrderTruth {
                order,
                state: "new",
                ..OrderTruth::default()
            })
        })
    }

    /// Gives out what is final at `now_ns`.
    pub fn advance(&mut self, now_ns: i64) {
        while self.pending.front().is_some_and(|link| link.due_ns <= now_ns) {
            if let Some(link) = self.pending.pop_front() {
                self.resolve(&link);
            }
        }
        while self.feed_ids.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            if let Some((_, id)) = self.feed_ids.pop_front() {
                self.sightings.remove(&id);
            }
        }
    }

    /// Gives out everything: the day is over.
    pub fn finish(&mut self) {
        while let Some(link) = self.pending.pop_front() {
            self.resolve(&link);
        }
        let orders = std::mem::take(&mut self.orders);
        self.ready.extend(orders.into_values().map(Truth::Order));
    }

    fn resolve(&mut self, link: &PendingLink) {
        let from = self.sightings.get(&link.from).copied().unwrap_or_default();
        let to = self.sightings.get(&link.to).copied().unwrap_or_default();
        let pairs: Vec<(PointIx, PointIx)> = match link.reach {
            Reach::SamePoint => (0..POINTS.len()).map(|point| (point, point)).collect(),
            Reach::Between(a, b) => vec![(a, b)],
        };
        for (a, b) in pairs {
            let (Some(start_ns), Some(end_ns)) = (from[a], to[b]) else { continue };
            if link.kind == "trigger" {
                self.note_tick_to_order(link.to, end_ns - start_ns);
            }
            self.ready.push_back(Truth::Link(LinkTruth {
                kind: link.kind,
                rule: link.rule,
                from: link.from,
                from_point: POINTS[a].name,
                to: link.to,
                to_point: POINTS[b].name,
                latency_ns: end_ns - start_ns,
            }));
        }
    }

    fn note_tick_to_order(&mut self, request_id: u64, latency_ns: i64) {
        // Orders are numbered in the order they are sent: the newest are last.
        let order = self.orders.values_mut().rev().find(|order| order.request_id == request_id);
        if let Some(order) = order {
            order.tick_to_order_ns = Some(latency_ns);
        }
    }
}

/// A shared text as plain text.
fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_wait_for_both_ends() {
        let mut log = TruthLog::new(true);
        log.passed(1, P5, 100);
        log.link_request(100, 1, 2);
        log.advance(100);
        assert!(log.take().is_none());
        log.passed(2, P6, 400);
        log.advance(100 + LINK_HOLD_NS);
        match log.take() {
            Some(Truth::Link(link)) => {
                assert_eq!((link.from_point, link.to_point, link.latency_ns), ("P5", "P6", 300));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_copy_counts() {
        let mut log = TruthLog::new(true);
        log.passed(1, P3, 500);
        log.passed(1, P3, 400);
        log.passed(2, P4, 1_000);
        log.link_bus(1_000, 1, 2);
        log.finish();
        assert!(matches!(log.take(), Some(Truth::Link(l)) if l.latency_ns == 600));
    }

    #[test]
    fn a_log_that_is_off_keeps_nothing() {
        let mut log = TruthLog::new(false);
        log.passed(1, P5, 100);
        log.link_at_points(0, "ack", 1, 1);
        log.finish();
        assert!(log.take().is_none());
        assert!(log.order(1).is_none());
    }
}
