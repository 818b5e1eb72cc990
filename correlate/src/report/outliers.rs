//! Why the slowest orders were slow: the one step of each that took longest
//! beyond what it takes usually.
//!
//! ```text
//! order 4711   same P1 -> P2   950 ns   usual 983 ns
//!              relay P3 -> P4  312 us   usual 4.8 us    ◀ + 307 us: its cause
//!              trigger         18 us    usual 15.6 us
//! ```

use crate::report::units::{count, duration};
use crate::report::{HopSum, Report, Section};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use taptrail_store::tables::lineage::LineageRow;

/// Orders whose causes are looked for: the slowest.
pub const OUTLIERS: usize = 100;

/// Orders named with each cause.
const NAMED: usize = 3;

/// Slow orders with one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlierSum {
    /// Kind of link of the step.
    pub link_kind: String,
    /// Where the step begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Orders.
    pub orders: u64,
    /// Most that the step took beyond its usual time.
    pub excess_max_ns: i64,
    /// The sum of it over the orders.
    pub excess_ns: i64,
    /// The slowest of them, ids of trades as text.
    pub lineage_ids: Vec<String>,
}

/// A step of an order and what it took too long.
struct Cause {
    place: (String, String, String),
    excess_ns: i64,
}

/// The causes of these orders' slowness; `steps` in order of time.
pub fn causes<'a>(
    hops: &[HopSum],
    orders: impl Iterator<Item = &'a [LineageRow]>,
) -> Vec<OutlierSum> {
    let usual = |(kind, from, to): &(String, String, String)| {
        let is = |h: &&HopSum| {
            h.message_kind == "all" && (&h.link_kind, &h.from, &h.to) == (kind, from, to)
        };
        hops.iter().find(is).and_then(|hop| hop.p50_ns)
    };
    let mut sums: BTreeMap<(String, String, String), Vec<(i64, u64)>> = BTreeMap::new();
    for steps in orders {
        let Some(id) = steps.first().map(|step| step.lineage_id) else { continue };
        if let Some(cause) = cause(steps, &usual) {
            sums.entry(cause.place).or_default().push((cause.excess_ns, id));
        }
    }
    let sum = |((link_kind, from, to), mut slow): (_, Vec<(i64, u64)>)| {
        slow.sort_by_key(|&(ns, id)| (Reverse(ns), id));
        OutlierSum {
            link_kind,
            from,
            to,
            orders: slow.len() as u64,
            excess_max_ns: slow.first().map_or(0, |(ns, _)| *ns),
            excess_ns: slow.iter().fold(0, |sum: i64, (ns, _)| sum.saturating_add(*ns)),
            lineage_ids: slow.iter().take(NAMED).map(|(_, id)| id.to_string()).collect(),
        }
    };
    let mut found: Vec<OutlierSum> = sums.into_iter().map(sum).collect();
    found.sort_by_key(|o| (Reverse(o.orders), Reverse(o.excess_ns)));
    found
}

/// The step up to the first answer that took longest beyond its usual time.
fn cause(
    steps: &[LineageRow],
    usual: &impl Fn(&(String, String, String)) -> Option<i64>,
) -> Option<Cause> {
    let answered = steps.iter().find(|step| step.via.as_deref() == Some("ack"));
    let until = answered.map_or(i64::MAX, |step| step.since_first_ns);
    let early = steps.iter().filter(|step| step.since_first_ns <= until);
    let excess = |step: &LineageRow| {
        let via =
            step.via.as_deref().filter(|via| ["same", "relay", "trigger", "ack"].contains(via))?;
        let from = steps.iter().find(|other| Some(other.ord) == step.via_ord)?;
        let place = (via.to_owned(), from.point.to_string(), step.point.to_string());
        let excess_ns = step.latency_ns?.checked_sub(usual(&place)?).filter(|ns| *ns > 0)?;
        Some(Cause { place, excess_ns })
    };
    early.filter_map(excess).max_by_key(|cause| cause.excess_ns)
}

/// The section of outliers.
pub(super) fn section(report: &Report) -> Section {
    Section {
        title: "Why the slowest orders were slow",
        heads: &["step", "orders", "beyond its median, most", "in all", "slowest"],
        right: &[1, 2, 3],
        rows: report.outliers.iter().map(row).collect(),
    }
}

fn row(o: &OutlierSum) -> Vec<String> {
    vec![
        format!("{} {} -> {}", o.link_kind, o.from, o.to),
        count(o.orders),
        duration(o.excess_max_ns),
        duration(o.excess_ns),
        o.lineage_ids.join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn step(ord: u32, point: &str, via: Option<(&str, u32)>, latency_ns: i64) -> LineageRow {
        LineageRow {
            lineage_id: 7,
            ord,
            since_first_ns: i64::from(ord),
            point: Arc::from(point),
            via: via.map(|(via, _)| Arc::from(via)),
            via_ord: via.map(|(_, ord)| ord),
            latency_ns: Some(latency_ns),
            ..LineageRow::default()
        }
    }

    fn hop(kind: &str, from: &str, to: &str, p50_ns: i64) -> HopSum {
        HopSum {
            link_kind: kind.to_owned(),
            message_kind: "all".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            p50_ns: Some(p50_ns),
            ..HopSum::default()
        }
    }

    #[test]
    fn the_step_that_grew_most_is_the_cause_not_the_longest() {
        let hops = [
            hop("same", "P1", "P2", 900),
            hop("relay", "P2", "P4", 5_000),
            hop("trigger", "P4", "P5", 90_000),
            hop("ack", "P5", "P5", 10),
        ];
        let steps = [
            step(0, "P1", None, 0),
            step(1, "P2", Some(("same", 0)), 950),
            step(2, "P4", Some(("relay", 1)), 40_000),
            step(3, "P5", Some(("trigger", 2)), 100_000),
            step(4, "P5", Some(("ack", 3)), 12),
            // After the answer it is the market's business.
            step(5, "P5", Some(("ack", 4)), 900_000),
        ];
        let found = causes(&hops, std::iter::once(&steps[..]));
        assert_eq!(found.len(), 1);
        let place = (&*found[0].link_kind, &*found[0].from, &*found[0].to);
        assert_eq!((place, found[0].excess_max_ns), (("relay", "P2", "P4"), 35_000));
        assert!(causes(&[], std::iter::once(&steps[..])).is_empty(), "nothing is usual");
    }
}
