//! Losses at the last point, and what tells their cause.

use super::health::{CountedCapture, Drops, Health};
use crate::testnet::{Net, START};
use taptrail_decoders::kind::Kind;

/// 60 messages on lines A and B at P1 to P3; a bus message of each third at P4.
fn feed(lost: impl Fn(u64, &str, u16) -> bool) -> Net {
    let mut net = Net::new();
    for seq in 1..=60_u64 {
        let message = net.itch(seq, Kind::OrderAdd, "ALFA", seq);
        let at = seq as i64 * 100_000;
        for line in ["A", "B"] {
            for point in 0..3 {
                if !lost(seq, line, point) {
                    net.see_on(message, point, line, at + i64::from(point) * 1_000);
                }
            }
        }
    }
    net
}

fn relay(net: &mut Net, source: u64, bus_seq: u64) {
    let mut message = net.bus(bus_seq, source, "ALFA");
    message.0.seq_unit = Some(taptrail_decoders::kind::SeqUnit::Message);
    net.see(message, 3, source as i64 * 100_000 + 9_000);
}

/// `point line cause first..last` of each loss but those of both lines.
fn told(net: Net, health: Health) -> Vec<String> {
    let (rows, _) = net.run_with(health);
    let single = rows.losses.iter().filter(|loss| &*loss.cause != "both_lines");
    let mut told: Vec<String> = single
        .map(|loss| {
            let line = loss.line.as_deref().unwrap_or("-");
            let (first, last) = (loss.first_seq.unwrap(), loss.last_seq.unwrap());
            format!("{} {line} {} {first}..{last}", loss.point, loss.cause)
        })
        .collect();
    told.sort();
    told
}

#[test]
fn a_line_alone_at_the_last_point_never_came_where_nothing_speaks_for_the_capture() {
    let mut net = feed(|seq, line, point| (seq, line, point) == (30, "A", 2));
    (1..=60).for_each(|seq| relay(&mut net, seq, seq));
    assert_eq!(told(net, Health::default()), ["P3 A network 30..30"]);
}

#[test]
fn what_the_bus_names_passed_the_last_point() {
    let mut net = feed(|seq, _, point| (30..33).contains(&seq) && point == 2);
    (1..=60).filter(|&seq| seq == 31).for_each(|seq| relay(&mut net, seq, seq));
    let found = told(net, Health::default());
    assert_eq!(found, ["P3 A capture 30..32", "P3 B capture 30..32"]);
}

#[test]
fn all_lines_at_once_are_one_capture() {
    let net = feed(|seq, _, point| (30..33).contains(&seq) && point == 2);
    let found = told(net, Health::default());
    assert_eq!(found, ["P3 A capture 30..32", "P3 B capture 30..32"]);
}

#[test]
fn nobody_reacting_to_many_losses_means_that_nobody_got_them() {
    let lost = |seq: u64| seq > 5 && seq.is_multiple_of(5) && seq < 60;
    let mut net = feed(|seq, _, point| lost(seq) && point == 2);
    let relayed = (1..=60).filter(|&seq| !lost(seq));
    relayed.zip(1..).for_each(|(seq, bus_seq)| relay(&mut net, seq, bus_seq));
    let found = told(net, Health::default());
    assert_eq!(found.len(), 20, "{found:?}");
    assert!(found.iter().all(|loss| loss.contains("network")), "{found:?}");
}

#[test]
fn an_order_names_what_is_missing_on_the_bus() {
    let build = |named: bool| {
        let mut net = feed(|_, _, _| false);
        for seq in (1..=60).filter(|seq| !(40..43).contains(seq)) {
            relay(&mut net, seq, seq);
        }
        let mut order = net.fix(1, Kind::ReqNew, "C1", "");
        order.0.trigger_seq = Some(if named { 41 } else { 38 });
        net.see(order, 4, 41 * 100_000 + 20_000);
        told(net, Health::default())
    };
    assert_eq!(build(true), ["P4 - capture 40..42"]);
    assert_eq!(build(false), ["P4 - unknown 40..42"]);
}

#[test]
fn the_capture_itself_says_whether_it_dropped() {
    let lost = |seq: u64, line: &str, point: u16| {
        (seq, line, point) == (20, "A", 2) || (seq, line, point) == (40, "B", 2)
    };
    // P3 is on the clock that is ahead by this.
    let at = |seq: i64| START + 1_500_000 + seq * 100_000;
    let mut health = Health::default();
    let drops = vec![Drops { ts_lo: at(19), ts_hi: at(21), packets: 1 }];
    health.counted(2, CountedCapture { ts_lo: at(0), ts_hi: at(70), drops });
    assert_eq!(told(feed(lost), health), ["P3 A capture 20..20", "P3 B network 40..40"]);
}

#[test]
fn a_number_that_two_feeds_have_names_the_one_that_the_bus_message_is_like() {
    let mut net = feed(|seq, _, point| (30..33).contains(&seq) && point == 2);
    // Another venue's feed has the same numbers, and is seen everywhere.
    for seq in 1..=60_u64 {
        let mut message = net.itch(seq, Kind::OrderAdd, "BRVO", seq);
        message.0.session = net.text("FEED2");
        for point in 0..3 {
            net.see_on(message, point, "A", seq as i64 * 100_000 + 500 + i64::from(point) * 1_000);
        }
    }
    (1..=60).for_each(|seq| relay(&mut net, seq, seq));
    let found = told(net, Health::default());
    assert_eq!(found, ["P3 A capture 30..32", "P3 B capture 30..32"]);
}
