//! What correlation would say of the network.

use crate::support::network::{ITCH, Network, Order, START, Seen};
use std::collections::BTreeMap;
use taptrail_store::catalog::Store;
use taptrail_store::tables::clocks::ClockRow;
use taptrail_store::tables::hops::HopRow;
use taptrail_store::tables::lineage::LineageRow;
use taptrail_store::tables::lines::LineRow;
use taptrail_store::tables::links::LinkRow;
use taptrail_store::tables::losses::LossRow;
use taptrail_store::tables::orders::OrderRow;

/// Replaces the derived tables.
pub fn correlate(store: &Store, network: &Network) {
    let inputs = store.catalog().unwrap().inputs();
    let mut tables = store.replace_tables(inputs, "test").unwrap();
    let links: Vec<LinkRow> = network.orders.iter().flat_map(links).collect();
    tables.write_rows(&hops(&links)).unwrap();
    tables.write_rows(&links).unwrap();
    tables.write_rows(&network.orders.iter().map(order).collect::<Vec<_>>()).unwrap();
    tables.write_rows(&network.orders.iter().flat_map(lineage).collect::<Vec<_>>()).unwrap();
    tables.write_rows(&losses()).unwrap();
    tables.write_rows(&lines(network)).unwrap();
    tables.write_rows(&clocks()).unwrap();
    tables.commit(&store.lock().unwrap()).unwrap();
}

/// P1 and P6 share a clock, so do P2 and P3; half widths in ns between two points.
fn bound(from: &str, to: &str) -> i64 {
    let clock = |point: &str| match point {
        "P1" | "P6" => 1,
        "P2" | "P3" => 2,
        _ => 3,
    };
    if clock(from) == clock(to) { 16 } else { 80 }
}

fn link(order: &Order, from: &Seen, to: &Seen) -> LinkRow {
    let (_, kind, rule, confidence, candidates) = to.via.unwrap();
    let latency = to.ts - from.ts;
    let bound = bound(from.point, to.point);
    LinkRow {
        link_id: order.id * 100 + u64::from(to.packet_ix % 100),
        revision: 0,
        lineage_id: Some(order.lineage_id()),
        kind: kind.into(),
        rule: rule.into(),
        confidence,
        candidates,
        skipped: 0,
        message_kind: from.kind.into(),
        protocol: from.protocol.into(),
        line: from.line.map(Into::into),
        from_point: from.point.into(),
        from_ts: from.ts,
        from_capture_id: from.capture_id(),
        from_packet_ix: from.packet_ix,
        from_msg_ix: 0,
        to_point: to.point.into(),
        to_ts: to.ts,
        to_capture_id: to.capture_id(),
        to_packet_ix: to.packet_ix,
        to_msg_ix: 0,
        latency_ns: latency,
        lo_ns: Some(latency - bound),
        hi_ns: Some(latency + bound),
    }
}

fn links(order: &Order) -> Vec<LinkRow> {
    let linked = order.seen.iter().filter_map(|seen| Some((seen, seen.via?.0)));
    linked.map(|(to, from)| link(order, &order.seen[from], to)).collect()
}

fn hops(links: &[LinkRow]) -> Vec<HopRow> {
    let mut groups: BTreeMap<[&str; 4], Vec<i64>> = BTreeMap::new();
    for link in links {
        for message in ["all", &link.message_kind] {
            let key = [&*link.kind, message, &*link.from_point, &*link.to_point];
            groups.entry(key).or_default().push(link.latency_ns);
        }
    }
    groups.into_iter().map(|(key, latencies)| hop(key, latencies)).collect()
}

fn hop([kind, message, from, to]: [&str; 4], mut latencies: Vec<i64>) -> HopRow {
    latencies.sort_unstable();
    let n = latencies.len();
    let at = |percent: usize| Some(latencies[((n - 1) * percent) / 100]);
    let bound = bound(from, to);
    let lost = if (kind, from, to) == ("same", "P1", "P2") { 3 } else { 0 };
    HopRow {
        link_kind: kind.into(),
        message_kind: message.into(),
        from_point: from.into(),
        to_point: to.into(),
        n: n as u64,
        min_ns: at(0),
        p50_ns: at(50),
        p90_ns: at(90),
        p99_ns: at(99),
        p999_ns: None,
        max_ns: at(100),
        lo_p50_ns: at(50).map(|p50| p50 - bound),
        hi_p50_ns: at(50).map(|p50| p50 + bound),
        same_clock: bound == 16,
        matched: n as u64,
        unmatched: if kind == "trigger" { 1 } else { 0 },
        lost,
        histogram: Vec::new(),
        histogram_base_ns: 0,
    }
}

fn order(order: &Order) -> OrderRow {
    let ts = |point: &str, kind: &str| order.at(point, kind).map(|seen| seen.ts);
    let request = ts("P5", "req.new").unwrap();
    let trigger = ts("P3", "order.add").unwrap();
    let ack = ts("P5", "rpt.ack").or(ts("P5", "rpt.reject"));
    let fill = ts("P5", "rpt.fill");
    let filled = if order.state == "partially_filled" { order.qty / 2 } else { order.qty };
    OrderRow {
        lineage_id: order.lineage_id(),
        symbol: Some(order.symbol.into()),
        side: Some(order.side.into()),
        price: Some(order.price),
        qty: Some(order.qty),
        state: order.state.into(),
        cl_ord_id: Some(order.cl_ord_id().into()),
        order_id: Some(1_000_000 + order.id),
        order_id_txt: None,
        session: Some("STRAT1>GATE".into()),
        account: Some("ACC7".into()),
        fills: fill.is_some().into(),
        qty_cum: fill.map(|_| filled),
        trigger_ts: Some(trigger),
        request_ts: Some(request),
        gateway_ts: ts("P6", "req.new"),
        ack_ts: ack,
        public_ts: None,
        first_fill_ts: fill,
        done_ts: None,
        tick_to_order_ns: Some(request - trigger),
        tick_to_order_lo_ns: Some(request - trigger - 80),
        tick_to_order_hi_ns: Some(request - trigger + 80),
        relay_ns: ts("P6", "req.new").map(|ts| ts - request),
        ack_ns: ack.map(|ts| ts - request),
        first_fill_ns: fill.map(|ts| ts - request),
        observations: order.seen.len() as u32,
    }
}

fn lineage(order: &Order) -> Vec<LineageRow> {
    let mut places: Vec<usize> = (0..order.seen.len()).collect();
    places.sort_by_key(|&place| order.seen[place].ts);
    let ord = |place: usize| places.iter().position(|&p| p == place).unwrap() as u32;
    let row = |&place: &usize| {
        let seen = &order.seen[place];
        let link = seen.via.map(|(from, ..)| link(order, &order.seen[from], seen));
        LineageRow {
            lineage_id: order.lineage_id(),
            ord: ord(place),
            ts: seen.ts,
            since_first_ns: seen.ts - order.seen[places[0]].ts,
            point: seen.point.into(),
            line: seen.line.map(Into::into),
            capture_id: seen.capture_id(),
            packet_ix: seen.packet_ix,
            msg_ix: 0,
            protocol: seen.protocol.into(),
            kind: seen.kind.into(),
            msg_type: seen.msg_type.into(),
            seq: seen.seq,
            symbol: Some(order.symbol.into()),
            side: Some(order.side.into()),
            price: Some(order.price),
            qty: Some(order.qty),
            order_id: Some(1_000_000 + order.id),
            cl_ord_id: Some(order.cl_ord_id().into()),
            exec_id: None,
            via: link.as_ref().map(|link| link.kind.clone()),
            via_ord: seen.via.map(|(from, ..)| ord(from)),
            rule: link.as_ref().map(|link| link.rule.clone()),
            confidence: link.as_ref().map(|link| link.confidence),
            candidates: link.as_ref().map(|link| link.candidates),
            latency_ns: link.as_ref().map(|link| link.latency_ns),
            lo_ns: link.as_ref().and_then(|link| link.lo_ns),
            hi_ns: link.as_ref().and_then(|link| link.hi_ns),
        }
    };
    places.iter().map(row).collect()
}

fn losses() -> Vec<LossRow> {
    let loss = |cause: &str, line: Option<&str>, seq: u64, count: u64| LossRow {
        point: "P2".into(),
        protocol: ITCH.into(),
        session: Some("S000000001".into()),
        line: line.map(Into::into),
        cause: cause.into(),
        confidence: Some(1.0),
        first_seq: Some(seq),
        last_seq: Some(seq + count - 1),
        count: Some(count),
        ts_lo: Some(START + seq as i64 * 1_000),
        ts_hi: Some(START + seq as i64 * 1_000 + 48_211),
        evidence: "seen at P1 on this line, not at P2; ring and interface counters did not move"
            .into(),
    };
    vec![
        loss("network", Some("A"), 88_041, 2),
        loss("network", Some("B"), 88_310, 1),
        loss("capture", Some("A"), 88_644, 4),
        loss("both_lines", None, 88_900, 1),
    ]
}

fn lines(network: &Network) -> Vec<LineRow> {
    let mut rows = Vec::new();
    for point in ["P1", "P2"] {
        let first = |line: &str| {
            let leads = |order: &&Order| order.at(point, "order.add").unwrap().line == Some(line);
            network.orders.iter().filter(leads).count() as u64
        };
        for line in ["A", "B"] {
            rows.push(LineRow {
                point: point.into(),
                protocol: ITCH.into(),
                session: Some("S000000001".into()),
                line: line.into(),
                messages: network.orders.len() as u64,
                first: first(line),
                missing: u64::from(point == "P2" && line == "A") * 2,
                only_here: 0,
                lead_p50_ns: Some(412),
                lead_p99_ns: Some(903),
            });
        }
    }
    rows
}

fn clocks() -> Vec<ClockRow> {
    let clock = |from: &str, offset, bound| ClockRow {
        clock_from: from.into(),
        clock_to: "C1".into(),
        ts_lo: None,
        ts_hi: None,
        offset_ns: Some(offset),
        drift_ppb: None,
        bound_ns: bound,
        lo_ns: None,
        hi_ns: None,
        method: "configured".into(),
        state: "ok".into(),
        residual_ns: None,
        forward: 0,
        reverse: 0,
    };
    vec![clock("C2", 1_500, Some(64)), clock("C3", -820, Some(64))]
}
