//! The daily report: what a store's tables say, in one place.
//!
//! ```text
//! captures, hops, lines, losses, clocks ─┐
//! bursts, tcp, traffic ──────────────────┤
//! links, counted by rule ────────────────┼─> Report ─> text | JSON | one HTML file
//! orders, the slowest with lineage ──────┘
//! ```

pub mod html;
pub mod nodes;
pub mod outliers;
pub mod read;
pub mod stages;
pub mod text;
pub mod units;
pub mod wire;

use serde::{Deserialize, Serialize};

/// Orders shown with their whole way.
pub const SLOWEST_ORDERS: usize = 5;

/// Most rows of losses listed one by one; all are in the sums.
pub const LOSSES_LISTED: usize = 200;

/// The report. Times are ns since the epoch, UTC; latencies ns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Version that made the report.
    pub software: String,
    /// Hash of the configuration that the links were made with; `null` where
    /// nothing has been correlated.
    pub config_hash: Option<String>,
    /// Whether captures have come or gone since the links were made.
    pub stale: bool,
    /// First and last packet or message.
    pub time: Option<(i64, i64)>,
    /// What was captured where.
    pub captures: Vec<CaptureSum>,
    /// Links by kind and rule.
    pub rules: Vec<RuleSum>,
    /// Latency of each hop.
    pub hops: Vec<HopSum>,
    /// Feed lines against each other.
    pub lines: Vec<LineSum>,
    /// Losses by place and cause.
    pub loss_sums: Vec<LossSum>,
    /// Losses one by one, the largest first, at most [`LOSSES_LISTED`].
    pub losses: Vec<Loss>,
    /// The busiest window of each length in each lane.
    pub bursts: Vec<wire::Burst>,
    /// TCP connections, at most [`wire::LISTED`] directions.
    pub tcp: Vec<wire::TcpSum>,
    /// Feed lines and sides of sessions, at most [`wire::LISTED`].
    pub traffic: Vec<wire::TrafficSum>,
    /// What orders took.
    pub stages: Vec<stages::StageSum>,
    /// How targets were met.
    pub targets: Vec<stages::TargetSum>,
    /// What it was before.
    pub changes: Vec<stages::Change>,
    /// Why the slowest orders were slow.
    pub outliers: Vec<outliers::OutlierSum>,
    /// How orders ended.
    pub outcomes: Vec<OutcomeSum>,
    /// Orders in all, and what is missing of their stories.
    pub orders: OrderSums,
    /// The orders that took longest from tick to order.
    pub slowest: Vec<SlowOrder>,
    /// How the clocks stand to each other.
    pub clocks: Vec<Clock>,
    /// What captures kept of what passed.
    pub kept: Vec<nodes::Kept>,
    /// What the clocks of nodes said of themselves.
    pub node_clocks: Vec<nodes::NodeClock>,
    /// What the words and numbers mean.
    pub definitions: Vec<Definition>,
}

/// A table of the report, the same cells for the terminal and for HTML.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) heads: &'static [&'static str],
    /// Columns that are numbers, to the right.
    pub(crate) right: &'static [usize],
    pub(crate) rows: Vec<Vec<String>>,
}

/// A capture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptureSum {
    /// Where.
    pub point: String,
    /// File or interface it came from.
    pub source: String,
    /// Clock that stamped.
    pub clock: Option<String>,
    /// Packets.
    pub packets: u64,
    /// Messages.
    pub messages: u64,
    /// Warnings while reading.
    pub warnings: u64,
}

/// Links made by one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleSum {
    /// Kind of link.
    pub kind: String,
    /// Rule.
    pub rule: String,
    /// Links.
    pub links: u64,
    /// Links with more than one candidate.
    pub ambiguous: u64,
    /// Mean confidence in thousandths.
    pub confidence_per_mille: u32,
}

/// A hop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HopSum {
    /// Kind of link.
    pub link_kind: String,
    /// Kind of message, or all.
    pub message_kind: String,
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
    /// Links.
    pub n: u64,
    /// Median.
    pub p50_ns: Option<i64>,
    /// 90th percentile.
    pub p90_ns: Option<i64>,
    /// 99th percentile.
    pub p99_ns: Option<i64>,
    /// 99.9th percentile, of 10,000 links or more.
    pub p999_ns: Option<i64>,
    /// Largest.
    pub max_ns: Option<i64>,
    /// Median of the lower bounds.
    pub lo_p50_ns: Option<i64>,
    /// Median of the upper bounds.
    pub hi_p50_ns: Option<i64>,
    /// Whether one clock stamped both ends.
    pub same_clock: bool,
    /// Messages without a link.
    pub unmatched: u64,
    /// Messages lost between the two.
    pub lost: u64,
}

impl HopSum {
    /// p99 - p50: free of what is wrong with all latencies of the hop alike.
    pub fn jitter_ns(&self) -> Option<i64> {
        self.p99_ns.zip(self.p50_ns).map(|(p99, p50)| p99.saturating_sub(p50))
    }
}

/// A line of a feed at a point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineSum {
    /// Where.
    pub point: String,
    /// Protocol.
    pub protocol: String,
    /// Session.
    pub session: String,
    /// Line.
    pub line: String,
    /// Messages.
    pub messages: u64,
    /// Times it was first.
    pub first: u64,
    /// Messages it missed.
    pub missing: u64,
    /// Messages only it had.
    pub only_here: u64,
    /// Median lead when first.
    pub lead_p50_ns: Option<i64>,
    /// 99th percentile of the lead.
    pub lead_p99_ns: Option<i64>,
}

/// Losses of one cause at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LossSum {
    /// Where.
    pub point: String,
    /// Protocol.
    pub protocol: String,
    /// Line, empty for all or none.
    pub line: String,
    /// Cause.
    pub cause: String,
    /// Runs.
    pub runs: u64,
    /// Messages, bytes of a TCP stream, or packets that a capture counted itself;
    /// none where no run could be counted.
    pub count: Option<u64>,
    /// Runs of them whose cause is likely, not sure.
    pub likely_runs: u64,
}

/// A run of missing messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Where.
    pub point: String,
    /// Protocol.
    pub protocol: String,
    /// Session.
    pub session: String,
    /// Line.
    pub line: String,
    /// Cause.
    pub cause: String,
    /// First missing.
    pub first_seq: Option<u64>,
    /// Last missing.
    pub last_seq: Option<u64>,
    /// How many, where they could be counted.
    pub count: Option<u64>,
    /// When.
    pub ts: Option<i64>,
    /// The chance that the cause is the one; absent where nothing tells.
    pub confidence: Option<f32>,
    /// What told the cause.
    pub evidence: String,
}

/// Orders that ended one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutcomeSum {
    /// State.
    pub state: String,
    /// Orders.
    pub orders: u64,
}

/// What is known of the orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderSums {
    /// Orders.
    pub orders: u64,
    /// With a trigger.
    pub triggered: u64,
    /// With a request to the venue behind a gateway.
    pub relayed: u64,
    /// With an acknowledgement.
    pub acknowledged: u64,
    /// Found on the public feed.
    pub published: u64,
    /// Executions.
    pub fills: u64,
}

/// One of the slowest orders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowOrder {
    /// The trade's id, as text: it exceeds what JSON numbers hold exactly.
    pub lineage_id: String,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: String,
    /// Price, exact.
    pub price: Option<String>,
    /// Quantity, exact.
    pub qty: Option<String>,
    /// Client order id.
    pub cl_ord_id: String,
    /// How it ended.
    pub state: String,
    /// Tick to order.
    pub tick_to_order_ns: Option<i64>,
    /// Request to acknowledgement.
    pub ack_ns: Option<i64>,
    /// Its way.
    pub steps: Vec<Step>,
}

/// An observation of an order's way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Since the first observation, corrected.
    pub since_first_ns: i64,
    /// Where.
    pub point: String,
    /// Line.
    pub line: String,
    /// Protocol.
    pub protocol: String,
    /// What happened.
    pub kind: String,
    /// Sequence number.
    pub seq: Option<u64>,
    /// Kind of the link it was reached by.
    pub via: String,
    /// Rule of that link.
    pub rule: String,
    /// Confidence of that link in thousandths.
    pub confidence_per_mille: Option<u32>,
    /// Latency of that link.
    pub latency_ns: Option<i64>,
    /// Lower bound.
    pub lo_ns: Option<i64>,
    /// Upper bound.
    pub hi_ns: Option<i64>,
}

/// A clock against another: what a certificate of its synchronisation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Clock {
    /// The clock.
    pub clock: String,
    /// Its reference.
    pub reference: String,
    /// Offset, the last known.
    pub offset_ns: Option<i64>,
    /// Drift, parts per billion, the last known.
    pub drift_ppb: Option<i64>,
    /// Half width of the offset's widest bound.
    pub bound_ns: Option<i64>,
    /// How it is known.
    pub method: String,
    /// Windows looked at.
    pub windows: u64,
    /// Windows in which the offset is bounded on both sides.
    pub bounded: u64,
    /// Windows in which the two are surely within 100 us.
    pub within_100us: u64,
    /// The farthest apart they may have been.
    pub divergence_max_ns: Option<i64>,
    /// Steps and contradictions.
    pub events: u64,
}

/// A word of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// The word.
    pub word: &'static str,
    /// What it means.
    pub means: &'static str,
}

/// What the words mean.
pub const DEFINITIONS: &[(&str, &str)] = &[
    ("message time", "time of the packet that completes the message, as stamped at the point"),
    ("latency", "time between two observations after correction of clock offsets"),
    (
        "[lo, hi]",
        "the true latency lies inside: noise of both stamps, and the bound of the offset where \
         two clocks are involved; no interval where nothing bounds the clocks",
    ),
    ("same", "the message at the next point that saw it, each line by itself"),
    ("trigger", "market data to the order that names it, from the copy nearest the strategy"),
    ("relay", "a request or an answer through a gateway that renames it"),
    ("ack", "a request to its answer, at one point"),
    ("fill", "the request that made the order's version to its execution, at one point"),
    (
        "public",
        "the venue's own answer to the same event on its feed; negative: the feed was first",
    ),
    (
        "jitter",
        "p99 - p50 of a hop: free of what is wrong with all of its latencies alike, as the error \
         of a clock's offset is",
    ),
    (
        "over a target",
        "by the best estimate; for sure where the lower bound is over as well; perhaps where only \
         the upper one is",
    ),
    (
        "why orders were slow",
        "of the slowest orders, the step up to the first answer that took longest beyond the \
         median of its hop",
    ),
    (
        "clock certificate",
        "of each source that told of a node's clock: synchronised as it says, in 100 us where \
         offset and bound together are; by itself: longest time without being synchronised",
    ),
    ("tick to order", "the trigger's time to the first sighting of the request"),
    (
        "capture loss",
        "missing here but seen behind, named by a later message, delivered by TCP, or counted as \
         dropped by the capture itself; `packets` are that count, whatever was in them",
    ),
    ("network loss", "seen before this point, not here nor behind"),
    ("upstream loss", "lost before the first point of the line"),
    ("both lines", "missing on every line here and behind; counted in the lines' rows as well"),
    ("unknown loss", "numbers missing at the only point of their stream, and nothing tells why"),
    ("likely loss", "the likelier cause, its chance below 0.95; the others are sure"),
    (
        "microburst",
        "bytes on the wire in a window that ends with a frame: with preamble, FCS and gap, each \
         frame spread over its wire time where the link's rate is configured",
    ),
    (
        "rtt",
        "data to the acknowledgement that covers it, on the receiver's side of the point; none \
         where bytes were sent again",
    ),
    ("p99.9", "shown from 10,000 links on"),
];

impl Report {
    /// The report as JSON, indented.
    ///
    /// # Errors
    /// Never in practice: every value has a JSON form.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}
