//! Orders that rest: told the same, whether they waited in memory or in a file.

use crate::event::Event;
use crate::matching::trade::{Numbered, Order, Trade};
use crate::observation::{Observation, Way};
use crate::shelf::{Idle, Shelf};
use crate::testnet::Net;
use crate::text::Texts;
use proptest::prelude::*;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;

/// An order on both sides of a gateway that is told of now and then, in seconds.
fn order(net: &mut Net, number: u64, seconds: &[i64]) {
    let at = |second: i64| second * 1_000_000_000 + number as i64 * 1_000;
    let (id, token) = (format!("C{number}"), format!("{}", 990 + number));
    let (begin, rest) = seconds.split_first().expect("an order begins");
    let tick = net.itch(100 + number, Kind::OrderAdd, "ALFA", 7);
    net.see(tick, 2, at(*begin));
    let mut request = net.fix(1000 * number, Kind::ReqNew, &id, "");
    request.0.trigger_seq = Some(100 + number);
    net.see(request, 4, at(*begin) + 20_000);
    let relayed = net.ouch(0, Kind::ReqNew, &token, "");
    net.see(relayed, 5, at(*begin) + 24_000);
    for (seq, second) in (1..).zip([begin].into_iter().chain(rest)) {
        let is_first = seq == 1;
        let (kind, public) = match is_first {
            true => (Kind::RptAck, Kind::OrderAdd),
            false => (Kind::RptFill, Kind::OrderFill),
        };
        let seq = 1000 * number + seq;
        let mut told = net.ouch(seq, kind, &token, "");
        let mut passed = net.fix(seq, kind, &id, "");
        let mut shown = net.itch(seq, public, "ALFA", 55_000 + number);
        for message in [&mut told, &mut passed] {
            message.0.order_id = Some(55_000 + number);
            message.0.qty = (!is_first).then_some(1).into();
        }
        passed.0.exec_id = net.text(&format!("X{seq}"));
        for message in [&mut told, &mut shown] {
            message.0.match_id = (!is_first).then_some(seq);
        }
        net.see(shown, 0, at(*second) + 69_000);
        net.see(told, 5, at(*second) + 71_000);
        net.see(passed, 4, at(*second) + 75_000);
        let mut copy = passed;
        copy.0.session = net.text("G>COPY");
        net.see(copy, 6, at(*second) + 90_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_shelf_changes_nothing(
        lives in prop::collection::vec(prop::collection::vec(0_i64..300, 1..5), 1..12),
    ) {
        let run = |shelved: bool| {
            let mut net = Net { shelved, ..Net::new() };
            for (number, life) in (1..).zip(&lives) {
                let mut life = life.clone();
                life.sort_unstable();
                order(&mut net, number, &life);
            }
            net.run()
        };
        let (shelved, held) = (run(true), run(false));
        prop_assert_eq!(shelved.0.orders, held.0.orders);
        prop_assert_eq!(shelved.0.links, held.0.links);
        prop_assert_eq!(shelved.0.lineage, held.0.lineage);
        prop_assert_eq!(shelved.1.counters, held.1.counters);
    }
}

#[test]
fn a_trade_comes_back_with_ids_that_were_forgotten() {
    let mut texts = Texts::new();
    let [gone, id, exec] = ["0", "C1", "X1"].map(|text| texts.intern_id(text));
    let symbol = texts.intern("ALFA");
    let obs = Observation {
        cl_ord_id: id,
        exec_id: exec,
        symbol,
        price: Some(-5).into(),
        ..Observation::empty(3, 7, Kind::RptFill)
    };
    let event = Arc::new(Event::of(&obs, 1, Way::FromVenue));
    let mut order = Order::new(&event, symbol);
    order.client_ids.push(id);
    order.add(event.clone());
    let trade = Trade { orders: vec![(8, order)] };
    let published = vec![Numbered { number: 55, events: vec![event] }];
    let idle = Idle::new(trade.clone(), published.clone(), &texts);

    let mut shelf = Shelf::new(tempfile::tempfile().unwrap());
    shelf.put(idle).unwrap();
    assert_eq!(shelf.oldest(), Some(8));
    texts.sweep(|hold| hold(gone));
    let others = ["Y1", "Y2", "Y3"].map(|text| texts.intern_id(text));
    let (woken, told) = shelf.take(8).unwrap().wake(&mut texts);
    assert_eq!(shelf.oldest(), None);
    let back = &woken.orders[0].1;
    let obs = back.events[0].obs;
    assert_eq!((texts.text(obs.cl_ord_id), texts.text(obs.exec_id)), ("C1", "X1"));
    assert!(!others.contains(&obs.cl_ord_id), "another id has its number now");
    assert_eq!(texts.text(back.client_ids[0]), "C1");
    assert_eq!(told[0].events[0].obs, obs);
    assert_eq!((obs.price, obs.symbol), (Some(-5).into(), symbol));
}

#[test]
fn what_cannot_be_written_is_given_back_and_told() {
    let texts = Texts::new();
    let read_only = std::fs::File::open("/dev/null").unwrap();
    let mut shelf = Shelf::new(read_only);
    let idle = Idle::new(Trade { orders: Vec::new() }, Vec::new(), &texts);
    assert!(shelf.put(idle).is_err());
    assert!(!shelf.is_open());
    assert!(shelf.take_fault().is_some());
}
