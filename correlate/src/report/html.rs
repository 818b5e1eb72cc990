//! The report as one HTML file that needs nothing else: style and pictures
//! are inside, nothing is fetched.

use crate::report::text::{reached, sequences, share, short, shown, title};
use crate::report::units::{count, duration, interval, maybe_count, maybe_duration, time};
use crate::report::{HopSum, Report, Section, SlowOrder, nodes, outliers, stages, wire};
use std::fmt::Write;
use taptrail_store::catalog::drops::PACKETS;

const STYLE: &str = include_str!("style.css");

/// Text with what HTML would read as markup taken out.
fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            c => shown.push(c),
        }
    }
    shown
}

/// A table; heads that begin with `#` are of numbers, to the right.
struct Table {
    heads: Vec<String>,
    body: String,
}

impl Table {
    fn new(heads: &[&str]) -> Self {
        Self { heads: heads.iter().map(|&head| head.to_owned()).collect(), body: String::new() }
    }

    /// A row of plain text.
    fn row(&mut self, cells: &[String]) {
        self.body.push_str("<tr>");
        for (cell, head) in cells.iter().zip(&self.heads) {
            let class = if head.starts_with('#') { " class=\"n\"" } else { "" };
            let _ = write!(self.body, "<td{class}>{}</td>", safe(cell));
        }
        self.body.push_str("</tr>\n");
    }

    fn write(&self, out: &mut String, heading: &str) {
        if self.body.is_empty() {
            return;
        }
        let _ = write!(
            out,
            "<section><h2>{}</h2><div class=\"wide\"><table><thead><tr>",
            safe(heading)
        );
        for head in &self.heads {
            let class = if head.starts_with('#') { " class=\"n\"" } else { "" };
            let _ = write!(out, "<th{class}>{}</th>", safe(head.trim_start_matches('#')));
        }
        let _ =
            write!(out, "</tr></thead><tbody>\n{}</tbody></table></div></section>\n", self.body);
    }
}

impl Report {
    /// The report as one HTML file.
    pub fn html(&self) -> String {
        let mut out =
            String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        let _ = write!(out, "<title>taptrail report</title><style>{STYLE}</style></head><body>");
        let parts: [fn(&Self, &mut String); 14] = [
            head,
            cards,
            strip,
            of_orders,
            slowest,
            hops,
            lines,
            losses,
            on_the_wire,
            matching,
            clocks,
            of_nodes,
            captures,
            definitions,
        ];
        parts.iter().for_each(|part| part(self, &mut out));
        out.push_str("</body></html>\n");
        out
    }
}

fn head(report: &Report, out: &mut String) {
    out.push_str("<header><h1>taptrail <span>report</span></h1><p>");
    if let Some((from, to)) = report.time {
        let _ = write!(out, "{} to {} UTC", time(from), time(to));
    }
    let _ = write!(out, " &middot; version {}", safe(&report.software));
    match &report.config_hash {
        Some(hash) => drop(write!(out, " &middot; configuration {}", safe(short(hash)))),
        None => out.push_str(" &middot; <b class=\"bad\">nothing correlated yet</b>"),
    }
    if report.stale {
        out.push_str(" &middot; <b class=\"bad\">captures have changed since: correlate again</b>");
    }
    out.push_str("</p></header>\n");
}

fn on_the_wire(report: &Report, out: &mut String) {
    sections(wire::sections(report), out);
}

fn of_orders(report: &Report, out: &mut String) {
    sections(stages::sections(report), out);
    sections([outliers::section(report)], out);
}

fn of_nodes(report: &Report, out: &mut String) {
    sections(nodes::sections(report), out);
}

fn sections(sections: impl IntoIterator<Item = Section>, out: &mut String) {
    for section in sections {
        let head = |(column, head): (usize, &&str)| {
            let number = section.right.contains(&column);
            if number { format!("#{head}") } else { (*head).to_owned() }
        };
        let heads: Vec<String> = section.heads.iter().enumerate().map(head).collect();
        let mut table = Table { heads, body: String::new() };
        section.rows.iter().for_each(|row| table.row(row));
        table.write(out, section.title);
    }
}

/// What captures counted as dropped themselves, in words, and whether it is nothing.
fn dropped(report: &Report) -> (String, bool) {
    let runs = report.loss_sums.iter().filter(|l| l.protocol == PACKETS);
    let runs: Vec<Option<u64>> = runs.map(|l| l.count).collect();
    let packets = runs.iter().flatten().sum();
    let more = if runs.iter().any(Option::is_none) { " and some uncounted" } else { "" };
    (format!("messages; packets dropped: {}{more}", count(packets)), runs.is_empty())
}

/// The first glance: is the capture sound, what was matched, how fast.
fn cards(report: &Report, out: &mut String) {
    let sum = |causes: &[&str]| -> u64 {
        let counted = report.loss_sums.iter().filter(|l| causes.contains(&l.cause.as_str()));
        counted
            .filter(|l| l.protocol != "tcp" && l.protocol != PACKETS)
            .filter_map(|l| l.count)
            .sum()
    };
    let packets = report.captures.iter().map(|c| c.packets).sum();
    let messages = report.captures.iter().map(|c| c.messages).sum();
    let hop = |kind: &str| {
        let of_kind = report.hops.iter().filter(|h| h.link_kind == kind && h.message_kind == "all");
        maybe_duration(of_kind.max_by_key(|h| h.n).and_then(|h| h.p50_ns))
    };
    let captured = sum(&["capture"]);
    let dropped = dropped(report);
    let lost = sum(&["network", "upstream", "unknown"]);
    let orders = &report.orders;
    let cards = [
        ("packets", count(packets), format!("{} messages", count(messages)), true),
        ("missed by capture", count(captured), dropped.0, captured == 0 && dropped.1),
        ("lost on the network", count(lost), "messages on a line".to_owned(), lost == 0),
        (
            "lost on both lines",
            count(sum(&["both_lines"])),
            "messages".to_owned(),
            sum(&["both_lines"]) == 0,
        ),
        ("orders", count(orders.orders), format!("{} executions", count(orders.fills)), true),
        (
            "tick to order",
            hop("trigger"),
            format!("median, {} orders with a trigger", count(orders.triggered)),
            true,
        ),
        ("order to answer", hop("ack"), "median at the busiest point".to_owned(), true),
    ];
    out.push_str("<div class=\"cards\">");
    for (name, value, more, good) in cards {
        let class = if good { "card" } else { "card warn" };
        let _ = write!(
            out,
            "<div class=\"{class}\"><h3>{}</h3><b>{}</b><p>{}</p></div>",
            safe(name),
            safe(&value),
            safe(&more)
        );
    }
    out.push_str("</div>\n");
}

/// The way of the messages, hop by hop: a bar from p50 to p99 on one scale.
fn strip(report: &Report, out: &mut String) {
    let way = |h: &&HopSum| matches!(h.link_kind.as_str(), "same" | "relay" | "trigger");
    let hops: Vec<&HopSum> =
        report.hops.iter().filter(|h| h.message_kind == "all" && h.n > 0).filter(way).collect();
    let largest = hops.iter().filter_map(|h| h.p99_ns).max().unwrap_or(0).max(1);
    if hops.is_empty() {
        return;
    }
    out.push_str("<section><h2>The way, hop by hop</h2><div class=\"strip\">");
    for hop in hops {
        let (p50, p99) = (hop.p50_ns.unwrap_or(0), hop.p99_ns.unwrap_or(0));
        let _ = write!(
            out,
            "<div class=\"hop\"><span>{} &rarr; {} <i>{}</i></span>{}<span class=\"n\">p50 {}</span>\
             <span class=\"n\">p99 {}</span><span class=\"n dim\">{}</span></div>",
            safe(&hop.from),
            safe(&hop.to),
            safe(&hop.link_kind),
            hop_bar(p50, p99, largest),
            duration(p50),
            duration(p99),
            safe(&interval(hop.lo_p50_ns, hop.hi_p50_ns)),
        );
    }
    out.push_str("</div></section>\n");
}

/// 0 to 1000 of a width, on a logarithmic scale from 100 ns.
fn place(ns: i64, largest: i64) -> i64 {
    let log = |ns: i64| (ns.max(100) as f64 / 100.0).ln();
    (log(ns) / log(largest.max(200)) * 1000.0).clamp(0.0, 1000.0) as i64
}

fn hop_bar(p50: i64, p99: i64, largest: i64) -> String {
    let (start, end) = (place(p50, largest), place(p99, largest));
    format!(
        "<svg viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"p50 {} p99 {}\"><rect class=\"rail\" y=\"9\" width=\"1000\" height=\"2\"/>\
         <rect class=\"bar\" x=\"0\" y=\"5\" width=\"{start}\" height=\"10\"/>\
         <rect class=\"tail\" x=\"{start}\" y=\"7\" width=\"{}\" height=\"6\"/></svg>",
        duration(p50),
        duration(p99),
        (end - start).max(2),
    )
}

fn slowest(report: &Report, out: &mut String) {
    if report.slowest.is_empty() {
        return;
    }
    out.push_str("<section><h2>Slowest orders</h2>");
    for order in &report.slowest {
        let _ = write!(out, "<details open><summary>{}</summary>", safe(&title(order)));
        waterfall(order, out);
        out.push_str("</details>");
    }
    out.push_str("</section>\n");
}

/// Each observation at its time, the link that reached it as a bar from its
/// start. The scale is logarithmic, so that microseconds and milliseconds
/// of one order are both seen.
fn waterfall(order: &SlowOrder, out: &mut String) {
    let largest = order.steps.iter().map(|step| step.since_first_ns).max().unwrap_or(0).max(1);
    out.push_str("<div class=\"wide\"><table class=\"fall\"><tbody>");
    for step in &order.steps {
        let end = place(step.since_first_ns, largest);
        let start_ns = step.since_first_ns.saturating_sub(step.latency_ns.unwrap_or(0));
        let start = place(start_ns.max(0), largest).min(end);
        let seq = step.seq.map(|seq| format!("seq {seq}")).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td class=\"n\">{}</td><td>{} {}</td><td>{} <i>{}</i></td><td class=\"dim\">{seq}</td>\
             <td class=\"chart\"><svg viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\">\
             <rect class=\"rail\" y=\"9\" width=\"1000\" height=\"2\"/>\
             <rect class=\"via-{}\" x=\"{start}\" y=\"5\" width=\"{}\" height=\"10\"/>\
             <rect class=\"dot\" x=\"{}\" y=\"2\" width=\"5\" height=\"16\"/></svg></td>\
             <td>{}</td><td class=\"n\">{}</td><td class=\"n dim\">{}</td></tr>",
            duration(step.since_first_ns),
            safe(&step.point),
            safe(&step.line),
            safe(&step.kind),
            safe(&step.protocol),
            if step.via.is_empty() { "none" } else { &step.via },
            (end - start).max(1),
            (end - 2).max(0),
            safe(&reached(step)),
            step.latency_ns.map(duration).unwrap_or_default(),
            safe(&interval(step.lo_ns, step.hi_ns)),
        );
    }
    out.push_str("</tbody></table></div>");
}

fn hops(report: &Report, out: &mut String) {
    let heads = [
        "link",
        "message",
        "hop",
        "#n",
        "#p50",
        "[lo, hi] of p50",
        "#p90",
        "#p99",
        "#p99.9",
        "#max",
        "#unmatched",
        "#lost",
        "clocks",
    ];
    let mut table = Table::new(&heads);
    for h in report.hops.iter().filter(|h| shown(h)) {
        table.row(&[
            h.link_kind.clone(),
            h.message_kind.clone(),
            format!("{} \u{2192} {}", h.from, h.to),
            count(h.n),
            maybe_duration(h.p50_ns),
            interval(h.lo_p50_ns, h.hi_p50_ns),
            maybe_duration(h.p90_ns),
            maybe_duration(h.p99_ns),
            maybe_duration(h.p999_ns),
            maybe_duration(h.max_ns),
            count(h.unmatched),
            count(h.lost),
            if h.same_clock { "one" } else { "two" }.to_owned(),
        ]);
    }
    table.write(out, "Latency by hop");
}

fn lines(report: &Report, out: &mut String) {
    let heads = [
        "point",
        "session",
        "line",
        "#messages",
        "#first",
        "#lead p50",
        "#lead p99",
        "#missing",
        "#only here",
    ];
    let mut table = Table::new(&heads);
    for l in &report.lines {
        table.row(&[
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

fn losses(report: &Report, out: &mut String) {
    let mut sums =
        Table::new(&["point", "line", "cause", "#runs", "#only likely", "#count", "protocol"]);
    for l in &report.loss_sums {
        sums.row(&[
            l.point.clone(),
            l.line.clone(),
            l.cause.clone(),
            count(l.runs),
            count(l.likely_runs),
            maybe_count(l.count),
            l.protocol.clone(),
        ]);
    }
    sums.write(out, "Losses by cause");
    let heads = ["point", "line", "cause", "session", "#sequence", "#count", "after", "evidence"];
    let mut table = Table::new(&heads);
    for l in &report.losses {
        table.row(&[
            l.point.clone(),
            l.line.clone(),
            l.cause.clone(),
            l.session.clone(),
            sequences(l.first_seq, l.last_seq),
            maybe_count(l.count),
            l.ts.map(time).unwrap_or_default(),
            l.evidence.clone(),
        ]);
    }
    table.write(out, "Largest losses");
}

fn matching(report: &Report, out: &mut String) {
    let mut outcomes = Table::new(&["outcome", "#orders", "#share"]);
    for o in &report.outcomes {
        outcomes.row(&[o.state.clone(), count(o.orders), share(o.orders, report.orders.orders)]);
    }
    outcomes.write(out, "How orders ended");
    let mut rules = Table::new(&["link", "rule", "#links", "#ambiguous", "#confidence"]);
    for r in &report.rules {
        let sure =
            format!("{}.{:03}", r.confidence_per_mille / 1000, r.confidence_per_mille % 1000);
        rules.row(&[r.kind.clone(), r.rule.clone(), count(r.links), count(r.ambiguous), sure]);
    }
    rules.write(out, "How messages were matched");
}

fn clocks(report: &Report, out: &mut String) {
    let mut table = Table::new(&[
        "clock",
        "against",
        "#offset",
        "#bound",
        "#drift",
        "#at most",
        "#in 100 us",
        "#steps",
        "method",
    ]);
    for c in &report.clocks {
        table.row(&[
            c.clock.clone(),
            c.reference.clone(),
            maybe_duration(c.offset_ns),
            c.bound_ns.map(|bound| format!("\u{b1}{}", duration(bound))).unwrap_or_default(),
            c.drift_ppb.map(|drift| format!("{drift} ppb")).unwrap_or_default(),
            maybe_duration(c.divergence_max_ns),
            format!("{}/{}", c.within_100us, c.windows),
            c.events.to_string(),
            c.method.clone(),
        ]);
    }
    table.write(out, "Clocks");
}

fn captures(report: &Report, out: &mut String) {
    let heads = ["point", "clock", "#packets", "#messages", "#warnings", "source"];
    let mut table = Table::new(&heads);
    for c in &report.captures {
        table.row(&[
            c.point.clone(),
            c.clock.clone().unwrap_or_else(|| "own".to_owned()),
            count(c.packets),
            count(c.messages),
            count(c.warnings),
            c.source.clone(),
        ]);
    }
    table.write(out, "Captures");
}

fn definitions(report: &Report, out: &mut String) {
    out.push_str("<section><h2>Definitions</h2><dl>");
    for d in &report.definitions {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", safe(d.word), safe(d.means));
    }
    out.push_str("</dl></section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{CaptureSum, Step};

    fn report() -> Report {
        let step = |ns, via: &str| Step {
            since_first_ns: ns,
            point: "P1".into(),
            line: "A".into(),
            protocol: "itch".into(),
            kind: "order.add".into(),
            seq: Some(7),
            via: via.into(),
            rule: "session_seq".into(),
            confidence_per_mille: (!via.is_empty()).then_some(1000),
            latency_ns: (!via.is_empty()).then_some(ns),
            lo_ns: None,
            hi_ns: None,
        };
        Report {
            captures: vec![CaptureSum {
                point: "<P1>".into(),
                source: "a&b.pcap".into(),
                clock: None,
                packets: 1_000,
                messages: 2_000,
                warnings: 0,
            }],
            slowest: vec![SlowOrder {
                lineage_id: "1".into(),
                symbol: "\"ALFA\"".into(),
                side: "buy".into(),
                price: None,
                qty: None,
                cl_ord_id: "C1".into(),
                state: "filled".into(),
                tick_to_order_ns: Some(11_000),
                ack_ns: None,
                steps: vec![step(0, ""), step(11_000, "trigger")],
            }],
            ..Report::default()
        }
    }

    #[test]
    fn names_from_the_wire_cannot_become_markup() {
        let page = report().html();
        assert!(page.contains("&lt;P1&gt;") && !page.contains("<P1>"));
        assert!(page.contains("a&amp;b.pcap"));
        assert!(page.contains("&quot;ALFA&quot;"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let page = report().html();
        for word in ["http:", "https:", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn every_opened_element_is_closed() {
        let page = report().html();
        for tag in ["table", "tr", "td", "svg", "section", "div", "details", "dl"] {
            let opened = page.matches(&format!("<{tag}")).count();
            let longer = page.matches(&format!("<{tag}er")).count();
            assert_eq!(opened - longer, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
