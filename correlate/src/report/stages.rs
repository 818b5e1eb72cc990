//! What orders took, by session; what was promised of it; what it was before.
//!
//! ```text
//! orders ──by session and stage──> n, p50, p99, max ──against an earlier report──> change
//!        └──[[target]]───────────> within or over, for sure or perhaps, the worst orders
//! ```

use crate::config::{Stage, TargetConfig};
use crate::hist::Latencies;
use crate::report::units::{count, duration, maybe_duration, time};
use crate::report::{HopSum, Report, Section};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use taptrail_store::tables::orders::OrderRow;

/// Most sessions that are listed by themselves, those with most orders.
pub const SESSIONS_LISTED: usize = 40;

/// Orders named with each target: the slowest that are over.
pub const OVER_LISTED: usize = 10;

/// Most pairs of session and stage that are counted; orders of further sessions
/// count in the whole only.
const STAGES_MAX: usize = 1 << 12;

/// One stage of the orders of a session, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSum {
    /// Session of the first request; empty for all of them.
    pub session: String,
    /// The stage.
    pub stage: Stage,
    /// Orders that have it.
    pub n: u64,
    /// Median.
    pub p50_ns: Option<i64>,
    /// 99th percentile.
    pub p99_ns: Option<i64>,
    /// Largest.
    pub max_ns: Option<i64>,
}

/// How a target was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetSum {
    /// Its name.
    pub name: String,
    /// The stage.
    pub stage: Stage,
    /// What it may take.
    pub max_ns: i64,
    /// How many of a thousand orders have to be within.
    pub per_mille: u16,
    /// Orders that it is about.
    pub n: u64,
    /// Orders over it, by the best estimate.
    pub over: u64,
    /// Of them, those that are over whatever the clocks' bounds allow.
    pub surely_over: u64,
    /// Orders within that may be over, by their bounds.
    pub perhaps_over: u64,
    /// The slowest that are over, at most [`OVER_LISTED`].
    pub orders: Vec<OverOrder>,
}

impl TargetSum {
    /// Whether it was met; `None` where there was no order, or the clocks are
    /// not good enough to tell.
    pub fn is_met(&self) -> Option<bool> {
        let allowed = |over: u64| {
            u128::from(over) * 1_000 <= u128::from(self.n) * u128::from(1_000 - self.per_mille)
        };
        let (most, fewest) = (self.over + self.perhaps_over, self.surely_over);
        match (self.n, allowed(most), allowed(fewest)) {
            (0, ..) => None,
            (_, true, _) => Some(true),
            (_, _, false) => Some(false),
            _ => None,
        }
    }
}

/// An order over a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverOrder {
    /// The trade's id, as text.
    pub lineage_id: String,
    /// Client order id.
    pub cl_ord_id: String,
    /// What the stage took.
    pub ns: i64,
}

/// Gathers orders.
#[derive(Debug, Default)]
pub struct Stages {
    sums: BTreeMap<(String, Stage), Latencies>,
    targets: Vec<(TargetConfig, TargetSum)>,
}

impl Stages {
    /// To be measured by these targets.
    pub fn new(targets: &[TargetConfig]) -> Self {
        let sum = |target: &TargetConfig| TargetSum {
            name: target.name.clone(),
            stage: target.stage,
            max_ns: target.max_ns,
            per_mille: target.per_mille,
            n: 0,
            over: 0,
            surely_over: 0,
            perhaps_over: 0,
            orders: Vec::new(),
        };
        let targets = targets.iter().map(|target| (target.clone(), sum(target))).collect();
        Self { sums: BTreeMap::new(), targets }
    }

    /// Takes an order.
    pub fn add(&mut self, row: &OrderRow) {
        let session = row.session.as_deref().unwrap_or_default();
        for stage in Stage::ALL {
            let Some(ns) = of(stage, row) else { continue };
            self.sums.entry((String::new(), stage)).or_default().record(ns);
            let own = (session.to_owned(), stage);
            if !session.is_empty() && (self.sums.len() < STAGES_MAX || self.sums.contains_key(&own))
            {
                self.sums.entry(own).or_default().record(ns);
            }
        }
        for (target, sum) in self.targets.iter_mut().filter(|(target, _)| is_about(target, row)) {
            sum.take(target.stage, row);
        }
    }

    /// What there is to tell.
    pub fn finish(self) -> (Vec<StageSum>, Vec<TargetSum>) {
        let mut orders: BTreeMap<&str, u64> = BTreeMap::new();
        for ((session, _), sum) in &self.sums {
            let most = orders.entry(session).or_default();
            *most = (*most).max(sum.count());
        }
        let mut busiest: Vec<(&str, u64)> = orders.into_iter().collect();
        busiest.sort_by_key(|&(session, n)| (!session.is_empty(), Reverse(n), session));
        busiest.truncate(SESSIONS_LISTED + 1);
        let of_session = |(session, _): &(&str, u64)| {
            let own = |stage: Stage| {
                let sum = self.sums.get(&((*session).to_owned(), stage))?;
                Some(StageSum {
                    session: (*session).to_owned(),
                    stage,
                    n: sum.count(),
                    p50_ns: sum.per_mille(500),
                    p99_ns: sum.per_mille(990),
                    max_ns: sum.max(),
                })
            };
            Stage::ALL.into_iter().filter_map(own).collect::<Vec<_>>()
        };
        let stages = busiest.iter().flat_map(of_session).collect();
        (stages, self.targets.into_iter().map(|(_, sum)| sum).collect())
    }
}

/// What a stage took.
fn of(stage: Stage, row: &OrderRow) -> Option<i64> {
    match stage {
        Stage::TickToOrder => row.tick_to_order_ns,
        Stage::Relay => row.relay_ns,
        Stage::Ack => row.ack_ns,
        Stage::FirstFill => row.first_fill_ns,
    }
}

/// Where only the estimate is known: the requests and answers of the other
/// stages are stamped at one point.
fn bounds(stage: Stage, row: &OrderRow, ns: i64) -> (i64, i64) {
    let told = row.tick_to_order_lo_ns.zip(row.tick_to_order_hi_ns);
    told.filter(|_| stage == Stage::TickToOrder).unwrap_or((ns, ns))
}

fn is_about(target: &TargetConfig, row: &OrderRow) -> bool {
    let is = |wanted: &Option<String>, told: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| told == Some(wanted))
    };
    is(&target.session, row.session.as_deref())
        && is(&target.account, row.account.as_deref())
        && is(&target.symbol, row.symbol.as_deref())
}

impl TargetSum {
    fn take(&mut self, stage: Stage, row: &OrderRow) {
        let Some(ns) = of(stage, row) else { return };
        let (lo, hi) = bounds(stage, row, ns);
        self.n += 1;
        if ns <= self.max_ns {
            self.perhaps_over += u64::from(hi > self.max_ns);
            return;
        }
        self.over += 1;
        self.surely_over += u64::from(lo > self.max_ns);
        let cl_ord_id = row.cl_ord_id.as_deref().unwrap_or_default().to_owned();
        self.orders.push(OverOrder { lineage_id: row.lineage_id.to_string(), cl_ord_id, ns });
        self.orders.sort_by(|a, b| (b.ns, &a.lineage_id).cmp(&(a.ns, &b.lineage_id)));
        self.orders.truncate(OVER_LISTED);
    }
}

/// What an earlier report said, as its JSON has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Earlier {
    /// First and last packet or message.
    pub time: Option<(i64, i64)>,
    /// Latency of each hop.
    #[serde(default)]
    pub hops: Vec<HopSum>,
    /// What orders took.
    #[serde(default)]
    pub stages: Vec<StageSum>,
}

impl Earlier {
    /// From the text of a report in JSON.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

/// The same measure now and before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What was measured.
    pub what: String,
    /// When the earlier report begins.
    pub since: Option<i64>,
    /// How many, before and now.
    pub n: (u64, u64),
    /// Median, before and now.
    pub p50_ns: (Option<i64>, Option<i64>),
    /// 99th percentile, before and now.
    pub p99_ns: (Option<i64>, Option<i64>),
}

type Measure = (u64, Option<i64>, Option<i64>);

/// Compares a report with an earlier one: what both have.
pub fn changes(report: &Report, earlier: &Earlier) -> Vec<Change> {
    let before: BTreeMap<String, Measure> = measures(&earlier.stages, &earlier.hops).collect();
    let since = earlier.time.map(|(from, _)| from);
    let change = |(what, (n, p50, p99)): (String, Measure)| {
        let &(n_before, p50_before, p99_before) = before.get(&what)?;
        let (p50_ns, p99_ns) = ((p50_before, p50), (p99_before, p99));
        Some(Change { what, since, n: (n_before, n), p50_ns, p99_ns })
    };
    measures(&report.stages, &report.hops).filter_map(change).collect()
}

fn measures<'a>(
    stages: &'a [StageSum],
    hops: &'a [HopSum],
) -> impl Iterator<Item = (String, Measure)> + 'a {
    let stages = stages.iter().map(|s| {
        let of = if s.session.is_empty() { "all sessions" } else { &s.session };
        (format!("{}, {of}", s.stage.text()), (s.n, s.p50_ns, s.p99_ns))
    });
    let hops = hops
        .iter()
        .filter(|h| h.message_kind == "all" && h.n > 0)
        .map(|h| (format!("{} {} -> {}", h.link_kind, h.from, h.to), (h.n, h.p50_ns, h.p99_ns)));
    stages.chain(hops)
}

/// The sections of orders.
pub(super) fn sections(report: &Report) -> [Section; 3] {
    [
        Section {
            title: "Targets",
            heads: &[
                "target",
                "stage",
                "at most",
                "of orders",
                "orders",
                "over",
                "for sure",
                "perhaps",
                "met",
                "slowest",
            ],
            right: &[2, 3, 4, 5, 6, 7],
            rows: report.targets.iter().map(target).collect(),
        },
        Section {
            title: "What orders took",
            heads: &["session", "stage", "orders", "p50", "p99", "max"],
            right: &[2, 3, 4, 5],
            rows: report.stages.iter().map(stage).collect(),
        },
        Section {
            title: "Change against earlier reports",
            heads: &[
                "what",
                "since",
                "n before",
                "n",
                "p50 before",
                "p50",
                "p99 before",
                "p99",
                "",
            ],
            right: &[2, 3, 4, 5, 6, 7, 8],
            rows: report.changes.iter().map(change).collect(),
        },
    ]
}

fn target(t: &TargetSum) -> Vec<String> {
    let met = match t.is_met() {
        Some(true) => "yes",
        Some(false) => "no",
        None if t.n == 0 => "no orders",
        None => "the clocks do not tell",
    };
    let over = |o: &OverOrder| format!("{} {}", o.cl_ord_id, duration(o.ns));
    vec![
        t.name.clone(),
        t.stage.text().to_owned(),
        duration(t.max_ns),
        format!("{}.{} %", t.per_mille / 10, t.per_mille % 10),
        count(t.n),
        count(t.over),
        count(t.surely_over),
        count(t.perhaps_over),
        met.to_owned(),
        t.orders.iter().take(3).map(over).collect::<Vec<_>>().join(", "),
    ]
}

fn stage(s: &StageSum) -> Vec<String> {
    let session = if s.session.is_empty() { "all" } else { &s.session };
    vec![
        session.to_owned(),
        s.stage.text().to_owned(),
        count(s.n),
        maybe_duration(s.p50_ns),
        maybe_duration(s.p99_ns),
        maybe_duration(s.max_ns),
    ]
}

fn change(c: &Change) -> Vec<String> {
    vec![
        c.what.clone(),
        c.since.map(|since| time(since).chars().take(16).collect()).unwrap_or_default(),
        count(c.n.0),
        count(c.n.1),
        maybe_duration(c.p50_ns.0),
        maybe_duration(c.p50_ns.1),
        maybe_duration(c.p99_ns.0),
        maybe_duration(c.p99_ns.1),
        growth(c.p99_ns),
    ]
}

/// Growth in percent: `+12.3 %`.
fn growth((before, now): (Option<i64>, Option<i64>)) -> String {
    let (Some(before), Some(now)) = (before, now) else { return String::new() };
    if before == 0 {
        return String::new();
    }
    let apart = (i128::from(now) - i128::from(before)) * 1_000;
    let per_mille = apart / i128::from(before.saturating_abs());
    let sign = if per_mille < 0 { "-" } else { "+" };
    format!("{sign}{}.{} %", per_mille.abs() / 10, per_mille.abs() % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn order(id: u64, ns: i64, half: i64, session: &str) -> OrderRow {
        OrderRow {
            lineage_id: id,
            session: Some(Arc::from(session)),
            cl_ord_id: Some(Arc::from(format!("C{id}"))),
            tick_to_order_ns: Some(ns),
            tick_to_order_lo_ns: Some(ns - half),
            tick_to_order_hi_ns: Some(ns + half),
            ..OrderRow::default()
        }
    }

    fn told(orders: &[OrderRow], per_mille: u16, session: Option<&str>) -> TargetSum {
        let target = TargetConfig {
            name: "tick".to_owned(),
            stage: Stage::TickToOrder,
            max_ns: 100,
            per_mille,
            session: session.map(str::to_owned),
            account: None,
            symbol: None,
        };
        let mut stages = Stages::new(&[target]);
        orders.iter().for_each(|row| stages.add(row));
        stages.finish().1.remove(0)
    }

    #[test]
    fn a_target_is_missed_only_where_the_clocks_are_sure() {
        let orders = [order(1, 90, 5, "A"), order(2, 102, 5, "A"), order(3, 200, 5, "B")];
        let all = told(&orders, 1_000, None);
        assert_eq!((all.n, all.over, all.surely_over, all.perhaps_over), (3, 2, 1, 0));
        assert_eq!(all.is_met(), Some(false));
        assert_eq!(all.orders[0].cl_ord_id, "C3");
        assert_eq!(told(&orders, 1_000, Some("A")).is_met(), None, "102 may be 97");
        assert_eq!(told(&orders[..1], 1_000, None).is_met(), Some(true));
        assert_eq!(told(&orders, 300, None).is_met(), Some(true), "two of three may be over");
        assert_eq!(told(&[], 1_000, None).is_met(), None);
        let near = [order(1, 98, 5, "A")];
        assert_eq!(
            (told(&near, 1_000, None).perhaps_over, told(&near, 0, None).is_met()),
            (1, Some(true))
        );
    }

    #[test]
    fn an_earlier_report_is_read_from_its_json() {
        let mut stages = Stages::new(&[]);
        [100, 200, 300].iter().for_each(|&ns| stages.add(&order(1, ns, 0, "A")));
        let mut report = Report { time: Some((5, 9)), ..Report::default() };
        (report.stages, report.targets) = stages.finish();
        let earlier = Earlier::parse(&report.json().unwrap()).unwrap();
        assert_eq!(earlier.stages, report.stages);
        let found = changes(&report, &earlier);
        assert_eq!(found.len(), 2, "of all sessions, and of A");
        assert!(found.iter().all(|c| c.n == (3, 3) && c.p99_ns.0 == c.p99_ns.1));
        assert_eq!(growth((Some(200), Some(250))), "+25.0 %");
        assert_eq!(growth((Some(-200), Some(-250))), "-25.0 %");
    }
}
