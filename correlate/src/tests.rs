//! The rules together, on a network whose truth is known.

use crate::matching::keys::{Joins, KeyOf, KeyRule};
use crate::testnet::{Message, Net, shown};
use proptest::prelude::*;
use taptrail_decoders::kind::{Kind, Side, flags};
use taptrail_store::tables::links::LinkRow;

const UNIT: i128 = 1_000_000_000;

/// Feed message `seq` on both lines at P1, P2 and P3, and on the bus.
fn publish(net: &mut Net, message: Message, bus: Option<Message>, at: i64) {
    for (line, skew) in [("A", 0), ("B", 400)] {
        for (point, way) in [(0, 0), (1, 1_000), (2, 1_500)] {
            net.see_on(message, point, line, at + way + skew);
        }
    }
    if let Some(bus) = bus {
        net.see(bus, 3, at + 9_000);
    }
}

/// The order of the design's picture: triggered, relayed, acknowledged, filled.
fn order(net: &mut Net, at: i64) {
    let symbol = "ALFA";
    let tick = net.itch(100, Kind::OrderAdd, symbol, 7);
    let bus = net.bus(55, 100, symbol);
    publish(net, tick, Some(bus), at);

    let mut request = net.fix(2, Kind::ReqNew, "C1", "");
    request.0.price = Some(10 * UNIT).into();
    request.0.qty = Some(300 * UNIT).into();
    request.0.trigger_seq = Some(100);
    net.see(request, 4, at + 20_000);
    let mut relayed = net.ouch(0, Kind::ReqNew, "991", "");
    relayed.0.price = Some(10 * UNIT).into();
    relayed.0.qty = Some(300 * UNIT).into();
    net.see(relayed, 5, at + 24_000);
    net.see(relayed, 0, at + 25_000);

    let mut accepted = net.ouch(1, Kind::RptAck, "991", "");
    accepted.0.order_id = Some(55_801);
    net.see(accepted, 0, at + 70_000);
    net.see(accepted, 5, at + 71_000);
    let mut told = net.fix(2, Kind::RptAck, "C1", "");
    told.0.order_id = Some(55_801);
    told.0.exec_id = net.text("X1");
    net.see(told, 4, at + 75_000);
    let public = net.itch(101, Kind::OrderAdd, symbol, 55_801);
    publish(net, public, None, at + 69_000);

    let mut filled = net.ouch(2, Kind::RptFill, "991", "");
    filled.0.qty = Some(300 * UNIT).into();
    filled.0.price = Some(10 * UNIT).into();
    filled.0.match_id = Some(9_001);
    net.see(filled, 0, at + 900_000);
    net.see(filled, 5, at + 901_000);
    let mut fill = net.fix(3, Kind::RptFill, "C1", "");
    fill.0.qty = Some(300 * UNIT).into();
    fill.0.price = Some(10 * UNIT).into();
    fill.0.match_id = Some(9_001);
    fill.0.qty_leaves = Some(0).into();
    fill.0.order_id = Some(55_801);
    fill.0.exec_id = net.text("X2");
    net.see(fill, 4, at + 905_000);
    let mut copy = fill;
    copy.0.session = net.text("G>COPY");
    copy.0.seq = Some(77);
    net.see(copy, 6, at + 906_000);
    let mut trade = net.itch(102, Kind::OrderFill, symbol, 55_801);
    trade.0.match_id = Some(9_001);
    publish(net, trade, None, at + 902_500);
}

#[test]
fn an_order_is_followed_from_tick_to_fill() {
    let mut net = Net::new();
    order(&mut net, 0);
    let (rows, summary) = net.run();
    assert_eq!(shown(&rows, "trigger"), ["explicit_tag P3>P5 18500"]);
    assert_eq!(
        shown(&rows, "relay"),
        [
            "drop_copy_exec_id P5>P7 1000",
            "late_bound_order_id P5>P6 4000",
            "late_bound_order_id P6>P5 4000",
            "match_id P6>P5 4000",
            "source_seq P3>P4 7500",
        ]
    );
    assert_eq!(
        shown(&rows, "ack"),
        ["cl_ord_id P1>P1 45000", "cl_ord_id P5>P5 55000", "cl_ord_id P6>P6 47000"]
    );
    assert_eq!(
        shown(&rows, "fill"),
        ["cl_ord_id P1>P1 875000", "cl_ord_id P5>P5 885000", "cl_ord_id P6>P6 877000"]
    );
    assert_eq!(shown(&rows, "public"), ["match_id P1>P1 2500", "order_id P1>P1 -1000"]);
    let same = shown(&rows, "same");
    assert_eq!(same.len(), 3 * 2 * 2 + 3, "{same:#?}");
    assert!(same.contains(&"session_content P6>P1 1000".to_owned()));
    assert_eq!(same.iter().filter(|s| *s == "session_content P1>P6 1000").count(), 2);

    let [order] = rows.orders.as_slice() else { panic!("{:#?}", rows.orders) };
    assert_eq!((&*order.state, order.fills, order.order_id), ("filled", 1, Some(55_801)));
    assert_eq!(order.tick_to_order_ns, Some(18_500));
    assert_eq!(
        (order.relay_ns, order.ack_ns, order.first_fill_ns),
        (Some(4_000), Some(55_000), Some(885_000))
    );
    assert!(
        rows.links
            .iter()
            .filter(|l| &*l.kind != "same")
            .all(|l| { l.lineage_id == Some(order.lineage_id) || &*l.rule == "source_seq" })
    );
    assert_eq!(rows.lineage.len(), order.observations as usize);
    let first = &rows.lineage[0];
    assert_eq!((&*first.point, first.seq, first.since_first_ns), ("P1", Some(100), 0));
    let without_way = rows.lineage.iter().filter(|row| row.via.is_none()).count();
    assert_eq!(without_way, 2, "the tick's two lines: {:#?}", rows.lineage);
    assert_eq!(summary.counters.unexplained_answers, 0);
    assert_eq!(summary.counters.over_limits, 0);
    assert!(rows.losses.is_empty(), "{:#?}", rows.losses);
}

#[test]
fn bounds_hold_the_true_latencies() {
    let mut net = Net::new();
    order(&mut net, 0);
    let (rows, _) = net.run();
    let relay = rows.links.iter().find(|l| &*l.kind == "relay" && &*l.from_point == "P5").unwrap();
    assert_eq!((relay.lo_ns, relay.hi_ns), (Some(4_000 - 116), Some(4_000 + 116)));
    let trigger = rows.links.iter().find(|l| &*l.kind == "trigger").unwrap();
    assert!(trigger.lo_ns.unwrap() < 18_500 && 18_500 < trigger.hi_ns.unwrap());
}

#[test]
fn without_calibration_the_links_are_the_same_without_bounds() {
    let build = |calibrated| {
        let mut net = Net { calibrated, ..Net::new() };
        order(&mut net, 0);
        let (rows, _) = net.run();
        let mut ids: Vec<u64> = rows.links.iter().map(|link| link.link_id).collect();
        ids.sort_unstable();
        (ids, rows)
    };
    let ((known, _), (unknown, rows)) = (build(true), build(false));
    assert_eq!(known, unknown);
    let across =
        rows.links.iter().find(|l| &*l.from_point == "P5" && &*l.to_point == "P6").unwrap();
    assert_eq!((across.latency_ns, across.lo_ns), (704_000, None));
}

#[test]
fn a_missing_middle_is_skipped_and_told_as_a_capture_loss() {
    let mut net = Net::new();
    for seq in 1..=5 {
        let message = net.itch(seq, Kind::OrderAdd, "ALFA", seq);
        let at = seq as i64 * 100_000;
        for (point, way) in [(0, 0), (1, 1_000), (2, 1_500)] {
            if (seq, point) != (3, 1) {
                net.see_on(message, point, "A", at + way);
            }
        }
    }
    let (rows, _) = net.run();
    let skipping: Vec<_> = rows.links.iter().filter(|link| link.skipped > 0).collect();
    assert_eq!(skipping.len(), 1);
    assert_eq!(
        (&*skipping[0].from_point, &*skipping[0].to_point, skipping[0].latency_ns),
        ("P1", "P3", 1_500)
    );
    let [loss] = rows.losses.as_slice() else { panic!("{:#?}", rows.losses) };
    assert_eq!(
        (&*loss.point, &*loss.cause, loss.first_seq, loss.count),
        ("P2", "capture", Some(3), Some(1))
    );
}

#[test]
fn links_run_between_the_neighbours_of_a_point_that_missed_the_message() {
    let mut net = Net::new();
    order(&mut net, 0);
    let missed = |o: &crate::observation::Observation| match o.kind {
        Kind::RptFill => o.point == 5,
        Kind::RptAck => o.point == 0,
        Kind::OrderAdd => o.seq == Some(100) && o.point == 2,
        _ => false,
    };
    net.observations.retain(|o| !missed(o));
    let (rows, _) = net.run();
    let links = rows.links.iter().filter(|link| &*link.kind != "same");
    let shown = |l: &LinkRow| format!("{} {}>{} {}", l.rule, l.from_point, l.to_point, l.skipped);
    let mut skipping: Vec<String> = links.filter(|link| link.skipped > 0).map(shown).collect();
    skipping.sort();
    let expected =
        ["explicit_tag P2>P5 1", "match_id P1>P5 1", "order_id P6>P1 1", "source_seq P2>P4 1"];
    assert_eq!(skipping, expected);
}

#[test]
fn an_order_missed_before_the_gateway_is_bound_by_what_followed_it() {
    let mut net = Net::new();
    order(&mut net, 0);
    net.observations.retain(|o| !(o.point == 4 && o.kind == Kind::ReqNew));
    let mut change = net.fix(3, Kind::ReqReplace, "C2", "C1");
    change.0.qty = Some(200 * UNIT).into();
    net.see(change, 4, 200_000);
    let mut relayed = net.ouch(0, Kind::ReqReplace, "992", "991");
    relayed.0.qty = Some(200 * UNIT).into();
    net.see(relayed, 5, 204_000);
    let (rows, _) = net.run();
    let relays = shown(&rows, "relay");
    assert!(relays.contains(&"late_bound_order_id P5>P6 4000".to_owned()), "{relays:?}");
}

#[test]
fn losses_are_told_by_where_they_were_seen() {
    let mut net = Net::new();
    for seq in 1..=9_u64 {
        let message = net.itch(seq, Kind::OrderAdd, "ALFA", seq);
        for line in ["A", "B"] {
            for point in 0..3 {
                let lost = match (seq, line) {
                    (3, "A") => point >= 1,
                    (4, "A") => true,
                    (5, _) => point >= 1,
                    (6, "B") => point == 2,
                    (7, _) => true,
                    _ => false,
                };
                if !lost {
                    let at = seq as i64 * 100_000 + i64::from(point) * 1_000;
                    net.see_on(message, point, line, at);
                }
            }
        }
    }
    let (rows, summary) = net.run();
    let mut found: Vec<String> = rows
        .losses
        .iter()
        .map(|l| {
            let line = l.line.as_deref().unwrap_or("-");
            format!(
                "{} {line} {} {:?} {}",
                l.point,
                l.cause,
                l.first_seq,
                l.count.unwrap_or_default()
            )
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "P1 - both_lines Some(7) 1",
            "P1 A upstream Some(4) 1",
            "P2 - both_lines Some(5) 1",
            "P2 A network Some(3) 1",
            "P2 A network Some(5) 1",
            "P2 B network Some(5) 1",
            "P3 B network Some(6) 1",
        ]
    );
    let hop = summary.hops.iter().find(|h| &*h.message_kind == "all" && &*h.from_point == "P1");
    assert_eq!(hop.map(|h| h.lost), Some(3));
    let line = |name: &str| {
        let at =
            |l: &&taptrail_store::tables::lines::LineRow| &*l.point == "P1" && &*l.line == name;
        summary.lines.iter().find(at).unwrap().clone()
    };
    assert_eq!((line("A").missing, line("A").messages, line("B").only_here), (1, 7, 1));
}

#[test]
fn copies_are_never_linked_twice() {
    let mut net = Net::new();
    for seq in 1..=3 {
        let mut message = net.itch(seq, Kind::OrderAdd, "ALFA", seq);
        let at = seq as i64 * 100_000;
        net.see_on(message, 0, "A", at);
        net.see_on(message, 1, "A", at + 1_000);
        message.0.flags = flags::DUPLICATE;
        net.see_on(message, 0, "A", at + 10);
        net.see_on(message, 1, "A", at + 1_010);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "same"), vec!["session_seq P1>P2 1000"; 3]);
    assert!(rows.losses.is_empty());
}

#[test]
fn repeated_requests_without_numbers_pair_in_order() {
    let mut net = Net::new();
    for at in [0, 50_000, 90_000] {
        let cancel = net.ouch(0, Kind::ReqCancel, "5", "");
        net.see(cancel, 5, at);
        net.see(cancel, 0, at + 1_000);
        let reject = net.ouch(1 + at as u64, Kind::RptCancelReject, "5", "");
        net.see(reject, 0, at + 20_000);
        net.see(reject, 5, at + 21_000);
    }
    let (rows, _) = net.run();
    let mut pairs = vec!["session_content P1>P6 1000"; 3];
    pairs.extend(["session_content P6>P1 1000"; 3]);
    assert_eq!(shown(&rows, "same"), pairs);
    assert_eq!(shown(&rows, "ack").len(), 6);
}

/// One session's order through a list of (kind, own id, id before).
fn fix_life(steps: &[(Kind, &str, &str)]) -> Vec<String> {
    let mut net = Net::new();
    for (place, (kind, id, orig)) in steps.iter().enumerate() {
        let mut message = net.fix(place as u64 + 1, *kind, id, orig);
        message.0.qty = Some(UNIT).into();
        net.see(message, 4, place as i64 * 1_000);
    }
    let (rows, _) = net.run();
    let mut found = Vec::new();
    for kind in ["ack", "chain", "done", "fill"] {
        found.extend(shown(&rows, kind).into_iter().map(|s| format!("{kind} {s}")));
    }
    found.extend(rows.orders.iter().map(|order| format!("state {}", order.state)));
    found
}

#[test]
fn a_fill_may_cross_a_replace() {
    let found = fix_life(&[
        (Kind::ReqNew, "1", ""),
        (Kind::RptAck, "1", ""),
        (Kind::ReqReplace, "2", "1"),
        (Kind::RptFill, "1", ""),
        (Kind::RptReplaced, "2", "1"),
        (Kind::RptFill, "2", ""),
    ]);
    let expected = [
        "ack cl_ord_id P5>P5 1000",
        "ack cl_ord_id P5>P5 2000",
        "chain orig_cl_ord_id P5>P5 2000",
        "fill cl_ord_id P5>P5 3000",
        "fill cl_ord_id P5>P5 3000",
    ];
    assert_eq!(found[..5], expected);
}

#[test]
fn an_asked_for_cancel_is_an_answer_and_another_an_end() {
    let asked = fix_life(&[
        (Kind::ReqNew, "1", ""),
        (Kind::RptAck, "1", ""),
        (Kind::ReqCancel, "2", "1"),
        (Kind::RptCanceled, "2", "1"),
    ]);
    assert_eq!(asked[1], "ack cl_ord_id P5>P5 1000");
    assert_eq!(asked.last().unwrap(), "state canceled");
    let unasked =
        fix_life(&[(Kind::ReqNew, "1", ""), (Kind::RptAck, "1", ""), (Kind::RptCanceled, "1", "")]);
    assert!(unasked.contains(&"done unsolicited P5>P5 2000".to_owned()), "{unasked:?}");
}

#[test]
fn a_replace_that_leaves_nothing_is_answered_by_a_cancel() {
    let named = fix_life(&[
        (Kind::ReqNew, "1", ""),
        (Kind::RptAck, "1", ""),
        (Kind::ReqReplace, "2", "1"),
        (Kind::RptCanceled, "2", "1"),
    ]);
    assert_eq!(named.iter().filter(|s| s.starts_with("ack")).count(), 2, "{named:?}");
    assert_eq!(named.last().unwrap(), "state canceled");

    let mut net = Net::new();
    let steps = [
        (Kind::ReqNew, "7", "", 5),
        (Kind::RptAck, "7", "", 5),
        (Kind::RptFill, "7", "", 3),
        (Kind::ReqReplace, "8", "7", 3),
        (Kind::RptCanceled, "7", "", 2),
    ];
    for (place, (kind, id, orig, qty)) in steps.into_iter().enumerate() {
        let mut message = net.ouch(place as u64 + 1, kind, id, orig);
        message.0.qty = Some(qty * UNIT).into();
        message.0.asked = (kind == Kind::RptCanceled).then_some(false);
        net.see(message, 5, place as i64 * 1_000);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "ack").len(), 2);
    assert!(shown(&rows, "done").is_empty());
}

#[test]
fn a_rejected_cancel_leaves_the_order_alive() {
    let found = fix_life(&[
        (Kind::ReqNew, "1", ""),
        (Kind::RptAck, "1", ""),
        (Kind::ReqCancel, "2", "1"),
        (Kind::RptCancelReject, "2", "1"),
    ]);
    assert_eq!(found.iter().filter(|s| s.starts_with("ack")).count(), 2);
    assert_eq!(found.last().unwrap(), "state acked");
}

#[test]
fn a_rejected_order_is_bound_by_attributes_first_in_first_out() {
    let mut net = Net::new();
    for (n, at) in [(1, 0), (2, 10_000)] {
        let mut request = net.fix(n, Kind::ReqNew, &format!("C{n}"), "");
        request.0.price = Some(UNIT).into();
        request.0.qty = Some(UNIT).into();
        net.see(request, 4, at);
        let mut relayed = net.ouch(0, Kind::ReqNew, &format!("{n}"), "");
        relayed.0.price = Some(UNIT).into();
        relayed.0.qty = Some(UNIT).into();
        net.see(relayed, 5, at + 15_000);
        let rejected = net.ouch(n, Kind::RptReject, &format!("{n}"), "");
        net.see(rejected, 5, at + 60_000);
        let told = net.fix(n, Kind::RptReject, &format!("C{n}"), "");
        net.see(told, 4, at + 64_000);
    }
    let (rows, _) = net.run();
    assert_eq!(
        shown(&rows, "relay"),
        [
            "attributes_fifo P5>P6 15000",
            "attributes_fifo P5>P6 15000",
            "attributes_fifo P6>P5 4000",
            "attributes_fifo P6>P5 4000",
        ]
    );
    let mut candidates: Vec<u32> =
        rows.links.iter().filter(|l| &*l.kind == "relay").map(|l| l.candidates).collect();
    candidates.sort_unstable();
    assert_eq!(candidates, [1, 1, 2, 2]);
    assert_eq!(rows.orders.len(), 2);
    assert!(rows.orders.iter().all(|order| &*order.state == "rejected"));
}

#[test]
fn a_gateway_that_refuses_by_itself_gets_no_partner() {
    let mut net = Net::new();
    let mut refused = net.fix(1, Kind::ReqNew, "C1", "");
    refused.0.price = Some(UNIT).into();
    net.see(refused, 4, 0);
    let told = net.fix(1, Kind::RptReject, "C1", "");
    net.see(told, 4, 5_000);
    let mut other = net.ouch(0, Kind::ReqNew, "1", "");
    other.0.price = Some(UNIT).into();
    net.see(other, 5, 20_000);
    let (rows, _) = net.run();
    assert!(shown(&rows, "relay").is_empty());
    assert_eq!(rows.orders.len(), 2);
}

#[test]
fn a_tag_of_another_instrument_counts_only_alone() {
    let mut net = Net::new();
    let wrong = net.itch(100, Kind::OrderAdd, "OTHER", 1);
    publish(&mut net, wrong, None, 0);
    let mut request = net.fix(1, Kind::ReqNew, "C1", "");
    request.0.trigger_seq = Some(100);
    net.see(request, 4, 30_000);
    let (rows, _) = net.run();
    let trigger = rows.links.iter().find(|link| &*link.kind == "trigger").unwrap();
    assert!(trigger.confidence < 1.0);
    assert_eq!((&*trigger.from_point, trigger.latency_ns), ("P3", 28_500));
}

#[test]
fn a_named_message_that_only_the_bus_shows_triggers_from_there() {
    let mut net = Net::new();
    let bus = net.bus(55, 100, "ALFA");
    net.see(bus, 3, 9_000);
    let mut request = net.fix(1, Kind::ReqNew, "C1", "");
    request.0.trigger_seq = Some(100);
    net.see(request, 4, 20_000);
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "trigger"), ["explicit_tag P4>P5 11000"]);
}

#[test]
fn an_order_without_a_tag_has_a_likely_trigger_and_no_certain_one() {
    let mut net = Net::new();
    let tick = net.itch(100, Kind::OrderAdd, "ALFA", 1);
    publish(&mut net, tick, None, 0);
    let request = net.fix(1, Kind::ReqNew, "C1", "");
    net.see(request, 4, 30_000);
    let (rows, summary) = net.run();
    let triggers: Vec<_> = rows.links.iter().filter(|link| &*link.kind == "trigger").collect();
    assert_eq!(triggers.len(), 1);
    assert_eq!((&*triggers[0].rule, triggers[0].candidates), ("feed_reaction", 1));
    assert!(triggers[0].confidence < 1.0, "{}", triggers[0].confidence);
    assert_eq!(summary.counters.without_trigger, 0);
}

#[test]
fn an_order_that_nothing_came_before_has_no_trigger() {
    let mut net = Net::new();
    let request = net.fix(1, Kind::ReqNew, "C1", "");
    net.see(request, 4, 30_000);
    let (rows, summary) = net.run();
    assert!(shown(&rows, "trigger").is_empty());
    assert_eq!(summary.counters.without_trigger, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Observations of one time may come in any order.
    #[test]
    fn input_order_of_equal_times_changes_nothing(seed in any::<u64>()) {
        let build = |shuffled: bool| {
            let mut net = Net::new();
            order(&mut net, 0);
            for observation in &mut net.observations {
                // Coarse stamps make many observations equal in time.
                observation.ts -= observation.ts.rem_euclid(50_000);
            }
            if shuffled {
                net.observations.sort_by_key(|o| {
                    crate::observation::stable_hash(&[seed, u64::from(o.packet_ix)])
                });
            }
            net.run()
        };
        prop_assert_eq!(build(false), build(true));
    }

    /// Whatever is left out, nothing is linked to two messages by one rule.
    #[test]
    fn any_losses_leave_sound_links(kept in proptest::collection::vec(any::<bool>(), 64)) {
        let mut net = Net::new();
        order(&mut net, 0);
        let mut keep = kept.iter().cycle();
        net.observations.retain(|_| *keep.next().unwrap());
        let (rows, _) = net.run();
        let mut ids: Vec<u64> = rows.links.iter().map(|link| link.link_id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        prop_assert_eq!(ids.len(), all);
        for link in rows.links.iter().filter(|link| &*link.kind == "same") {
            prop_assert!(link.latency_ns > 0, "{:?}", link);
        }
    }
}

#[test]
fn two_sides_disagree_on_nothing_but_ids() {
    let mut net = Net::new();
    order(&mut net, 0);
    let sell = net.observations.iter_mut().filter(|o| o.cl_ord_id.number() != 0);
    sell.filter(|o| o.point == 4).for_each(|o| o.side = Some(Side::Sell));
    let (rows, _) = net.run();
    assert!(!shown(&rows, "relay").iter().any(|s| s.contains("P5>P6")), "sides differ");
}

#[test]
fn two_way_traffic_bounds_clocks_that_nobody_configured() {
    let mut net = Net::new();
    (net.calibrated, net.measured) = (false, true);
    for number in 0..400_i64 {
        let at = number * 5_000_000;
        let id = format!("O{number}");
        let queue = number * 7_919 % 5_000;
        let request = net.fix(number as u64 + 1, Kind::ReqNew, &id, "");
        net.see(request, 4, at);
        net.see(request, 5, at + 2_000 + queue);
        let report = net.fix(number as u64 + 1, Kind::RptAck, &id, "");
        net.see(report, 5, at + 40_000);
        net.see(report, 4, at + 42_300 + queue);
    }
    let (rows, summary) = net.run();
    let way = |from: &str, to: &str| -> Vec<_> {
        let links = rows.links.iter();
        links
            .filter(|l| &*l.kind == "same" && &*l.from_point == from && &*l.to_point == to)
            .collect()
    };
    for (links, delay) in [(way("P5", "P6"), 2_000), (way("P6", "P5"), 2_300)] {
        assert_eq!(links.len(), 400);
        for (number, link) in (0_i64..).zip(links) {
            let truth = delay + number * 7_919 % 5_000;
            let (lo, hi) = (link.lo_ns.unwrap(), link.hi_ns.unwrap());
            assert!(lo <= truth && truth <= hi, "{number}: {truth} outside [{lo}, {hi}]");
            assert!(hi - lo <= 2 * (2_000 + 2_300), "{number}: [{lo}, {hi}] is too wide");
        }
    }
    assert!(summary.clocks.iter().any(|row| &*row.state == "ok" && row.forward > 0));
}

fn key_rule(name: &str, link: Joins, of: &[(&str, &[&str])]) -> KeyRule {
    let made = |(protocol, fields): &(&str, &[&str])| KeyOf {
        protocol: (*protocol).to_owned(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    KeyRule { name: name.to_owned(), link, of: of.iter().map(made).collect() }
}

/// A port whose session is called otherwise behind a router that translates
/// addresses, asked at P6 and P1, answered at P1 and P6.
fn translated(net: &mut Net) {
    for (n, token) in ["T1", "T2", "T1"].iter().enumerate() {
        let at = n as i64 * 1_000_000;
        for (name, steps) in
            [("inside", [(5, 0), (5, 90_000)]), ("outside", [(0, 2_000), (0, 80_000)])]
        {
            let session = net.text(name);
            for (kind, (point, after)) in [Kind::ReqNew, Kind::RptAck].into_iter().zip(steps) {
                let mut message = net.ouch(1, kind, token, "");
                message.0.session = session;
                net.see(message, point, at + after);
            }
        }
    }
}

#[test]
fn a_rule_of_the_user_finds_a_session_under_another_name() {
    let mut net = Net::new();
    translated(&mut net);
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "same"), [] as [&str; 0], "two sessions, for all that is known");
    let mut net = Net::new();
    translated(&mut net);
    net.keys =
        vec![key_rule("port_ids", Joins::Same, &[("nasdaq.ouch.*", &["msg_type", "cl_ord_id"])])];
    let (rows, _) = net.run();
    assert_eq!(
        shown(&rows, "same"),
        ["port_ids P1>P6 10000", "port_ids P1>P6 10000", "port_ids P1>P6 10000"]
            .into_iter()
            .chain(["port_ids P6>P1 2000", "port_ids P6>P1 2000", "port_ids P6>P1 2000"])
            .collect::<Vec<_>>()
    );
    assert_eq!(shown(&rows, "ack").len(), 6, "asked and answered in one conversation");
}

#[test]
fn a_rule_of_the_user_binds_the_two_sides_of_a_gateway() {
    let sides = |keys: Vec<KeyRule>| {
        let mut net = Net { keys, ..Net::new() };
        // Refused on both sides, so that no order number ties them; the
        // attributes are all alike.
        for (n, (id, token)) in [("S-0001", "1"), ("S-0002", "2")].into_iter().enumerate() {
            let asked = net.fix(n as u64 + 1, Kind::ReqNew, id, "");
            net.see(asked, 4, n as i64 * 1_000);
            let relayed = net.ouch(0, Kind::ReqNew, token, "");
            // The second one overtakes the first in the gateway.
            net.see(relayed, 5, 50_000 - n as i64 * 10_000);
        }
        shown(&net.run().0, "relay")
    };
    assert_eq!(sides(Vec::new()), ["attributes_fifo P5>P6 40000", "attributes_fifo P5>P6 49000"]);
    let token = key_rule(
        "token",
        Joins::Relay,
        &[("fix.*", &["cl_ord_id | last 1"]), ("nasdaq.ouch.*", &["cl_ord_id"])],
    );
    assert_eq!(sides(vec![token]), ["token P5>P6 39000", "token P5>P6 50000"]);
}
