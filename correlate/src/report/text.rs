//! The report as text for a terminal.

use crate::report::units::{count, duration, interval, maybe_count, maybe_duration, time};
use crate::report::{HopSum, Report, Section, SlowOrder, Step, nodes, outliers, stages, wire};
use std::fmt::Write;

/// A table of text: columns as wide as their widest cell.
struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that are numbers, to the right.
    right: &'static [usize],
}

impl Table {
    fn new(heads: &[&str], right: &'static [usize]) -> Self {
        Self { rows: vec![heads.iter().map(|&head| head.to_owned()).collect()], right }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table where it has rows.
    fn write(&self, out: &mut String, title: &str) {
        if self.rows.len() < 2 {
            return;
        }
        let _ = writeln!(out, "\n{title}");
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::from(" ");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = match self.right.contains(&column) {
                    true => write!(line, " {cell:>width$}"),
                    false => write!(line, " {cell:<width$}"),
                };
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

impl Report {
    /// The report as text for a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        head(self, &mut out);
        captures(self, &mut out);
        hops(self, &mut out);
        lines(self, &mut out);
        losses(self, &mut out);
        sections(wire::sections(self), &mut out);
        orders(self, &mut out);
        sections(stages::sections(self), &mut out);
        sections([outliers::section(self)], &mut out);
        rules(self, &mut out);
        clocks(self, &mut out);
        sections(nodes::sections(self), &mut out);
        for order in &self.slowest {
            slow(order, &mut out);
        }
        definitions(self, &mut out);
        out
    }
}

fn sections(sections: impl IntoIterator<Item = Section>, out: &mut String) {
    for section in sections {
        let mut table = Table::new(section.heads, section.right);
        section.rows.into_iter().for_each(|row| table.row(row));
        table.write(out, section.title);
    }
}

fn definitions(report: &Report, out: &mut String) {
    let mut words = Table::new(&["word", "means"], &[]);
    report.definitions.iter().for_each(|d| words.row([d.word.to_owned(), d.means.to_owned()]));
    words.write(out, "Definitions");
}

fn head(report: &Report, out: &mut String) {
    let _ = writeln!(out, "taptrail report, version {}", report.software);
    if let Some((from, to)) = report.time {
        let _ = writeln!(out, "{} to {} UTC", time(from), time(to));
    }
    match &report.config_hash {
        None => drop(writeln!(out, "Nothing has been correlated yet: run taptrail correlate.")),
        Some(hash) => drop(writeln!(out, "configuration {}", short(hash))),
    }
    if report.stale {
        let _ = writeln!(
            out,
            "Captures have changed since the links were made: run taptrail correlate again."
        );
    }
}

/// The first digits of a hash.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

fn captures(report: &Report, out: &mut String) {
    let mut table =
        Table::new(&["point", "clock", "packets", "messages", "warnings", "source"], &[2, 3, 4]);
    for c in &report.captures {
        let clock = c.clock.clone().unwrap_or_else(|| "own".to_owned());
        let counts = [count(c.packets), count(c.messages), count(c.warnings)];
        table.row([c.point.clone(), clock].into_iter().chain(counts).chain([c.source.clone()]));
    }
    table.write(out, "Captures");
}

fn hops(report: &Report, out: &mut String) {
    let heads = [
        "link",
        "message",
        "hop",
        "n",
        "p50",
        "[lo, hi] of p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "jitter",
        "unmatched",
        "lost",
    ];
    let mut table = Table::new(&heads, &[3, 4, 6, 7, 8, 9, 10, 11, 12]);
    for h in report.hops.iter().filter(|h| shown(h)) {
        table.row([
            h.link_kind.clone(),
            h.message_kind.clone(),
            format!("{} -> {}", h.from, h.to),
            count(h.n),
            maybe_duration(h.p50_ns),
            interval(h.lo_p50_ns, h.hi_p50_ns),
            maybe_duration(h.p90_ns),
            maybe_duration(h.p99_ns),
            maybe_duration(h.p999_ns),
            maybe_duration(h.max_ns),
            maybe_duration(h.jitter_ns()),
            count(h.unmatched),
            count(h.lost),
        ]);
    }
    table.write(out, "Hops");
}

/// The same message's hops are shown as a whole, answers by their request.
pub(crate) fn shown(hop: &HopSum) -> bool {
    let by_kind = matches!(hop.link_kind.as_str(), "ack" | "relay" | "public");
    (hop.message_kind == "all") != by_kind
}

fn lines(report: &Report, out: &mut String) {
    let heads = [
        "point",
        "session",
        "line",
        "messages",
        "first",
        "lead p50",
        "lead p99",
        "missing",
        "only here",
    ];
    let mut table = Table::new(&heads, &[3, 4, 5, 6, 7, 8]);
    for l in &report.lines {
        table.row([
            l.point.clone(),
            l.session.clone(),
            l.line.clone(),
            count(l.messages),
            share(l.first, l.messages),
            maybe_duration(l.lead_p50_ns),
            maybe_duration(l.lead_p99_ns),
            count(l.missing),
            count(l.only_here),
        ]);
    }
    table.write(out, "Feed lines");
}

/// A part of a whole in percent, one place.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let per_mille = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

fn losses(report: &Report, out: &mut String) {
    let mut sums = Table::new(
        &["point", "line", "cause", "runs", "only likely", "count", "protocol"],
        &[3, 4, 5],
    );
    for l in &report.loss_sums {
        let counts = [count(l.runs), count(l.likely_runs), maybe_count(l.count)];
        let place = [l.point.clone(), l.line.clone(), l.cause.clone()];
        sums.row(place.into_iter().chain(counts).chain([l.protocol.clone()]));
    }
    sums.write(out, "Losses");
    let mut table =
        Table::new(&["point", "line", "cause", "seq", "count", "after", "evidence"], &[3, 4]);
    for l in report.losses.iter().take(20) {
        table.row([
            l.point.clone(),
            l.line.clone(),
            l.cause.clone(),
            sequences(l.first_seq, l.last_seq),
            maybe_count(l.count),
            l.ts.map(time).unwrap_or_default(),
            l.evidence.clone(),
        ]);
    }
    table.write(out, "Largest losses");
}

/// `7` or `7..9`.
pub(crate) fn sequences(first: Option<u64>, last: Option<u64>) -> String {
    match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first}..{last}"),
        (Some(first), _) => first.to_string(),
        _ => String::new(),
    }
}

fn orders(report: &Report, out: &mut String) {
    let sums = &report.orders;
    if sums.orders == 0 {
        return;
    }
    let mut table = Table::new(&["orders", "", ""], &[1, 2]);
    let mut line = |name: &str, number: u64| {
        table.row([name.to_owned(), count(number), share(number, sums.orders)]);
    };
    line("all", sums.orders);
    report.outcomes.iter().for_each(|outcome| line(&outcome.state, outcome.orders));
    line("with a trigger", sums.triggered);
    line("relayed to the venue", sums.relayed);
    line("acknowledged", sums.acknowledged);
    line("seen on the public feed", sums.published);
    table.write(out, "Orders");
    let _ = writeln!(out, "  {} executions", count(sums.fills));
}

fn rules(report: &Report, out: &mut String) {
    let mut table = Table::new(&["link", "rule", "links", "ambiguous", "confidence"], &[2, 3, 4]);
    for r in &report.rules {
        let sure =
            format!("{}.{:03}", r.confidence_per_mille / 1000, r.confidence_per_mille % 1000);
        table.row([r.kind.clone(), r.rule.clone(), count(r.links), count(r.ambiguous), sure]);
    }
    table.write(out, "How messages were matched");
}

fn clocks(report: &Report, out: &mut String) {
    let mut table = Table::new(&CLOCK_HEADS, &[2, 3, 4, 5, 6, 7]);
    for c in &report.clocks {
        table.row([
            c.clock.clone(),
            c.reference.clone(),
            maybe_duration(c.offset_ns),
            c.bound_ns.map(|bound| format!("+-{}", duration(bound))).unwrap_or_default(),
            c.drift_ppb.map(|drift| format!("{drift} ppb")).unwrap_or_default(),
            maybe_duration(c.divergence_max_ns),
            format!("{}/{}", c.within_100us, c.windows),
            c.events.to_string(),
            c.method.clone(),
        ]);
    }
    table.write(out, "Clocks");
}

const CLOCK_HEADS: [&str; 9] =
    ["clock", "against", "offset", "bound", "drift", "at most", "in 100 us", "steps", "method"];

fn slow(order: &SlowOrder, out: &mut String) {
    let heads =
        ["since first", "point", "line", "message", "seq", "reached by", "latency", "[lo, hi]"];
    let mut table = Table::new(&heads, &[0, 4, 6]);
    for step in &order.steps {
        table.row([
            duration(step.since_first_ns),
            step.point.clone(),
            step.line.clone(),
            format!("{} ({})", step.kind, step.protocol),
            step.seq.map(|seq| seq.to_string()).unwrap_or_default(),
            reached(step),
            maybe_duration(step.latency_ns),
            interval(step.lo_ns, step.hi_ns),
        ]);
    }
    table.write(out, &title(order));
}

/// `ALFA buy 300 @ 101.25, C1, filled: tick to order 11.0 us`.
pub(crate) fn title(order: &SlowOrder) -> String {
    let price = order.price.as_deref().unwrap_or("market");
    let qty = order.qty.as_deref().unwrap_or("?");
    let tick = maybe_duration(order.tick_to_order_ns);
    format!(
        "Order {} {} {qty} @ {price}, {}, {}: tick to order {tick}, acknowledged after {}",
        order.symbol,
        order.side,
        order.cl_ord_id,
        order.state,
        maybe_duration(order.ack_ns)
    )
}

/// The link a step was reached by, with its rule and what is not certain.
pub(crate) fn reached(step: &Step) -> String {
    match step.confidence_per_mille {
        None => String::new(),
        Some(1000) => format!("{}, {}", step.via, step.rule),
        Some(sure) => format!("{}, {}, confidence 0.{sure:03}", step.via, step.rule),
    }
}
