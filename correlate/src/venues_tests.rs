//! Venues with other habits: no session on the feed, symbols told once, cancels
//! without an id, several orders in a message, numbers that another venue has.

use crate::observation::Observation;
use crate::testnet::{Message, Net, shown};
use taptrail_decoders::kind::{Kind, Sender, SeqUnit, Side};

const GROUPS: [(&str, &str); 2] = [("A", "224.0.62.2:30501"), ("B", "233.209.92.11:30501")];

/// A message of a feed that names its unit only.
fn pitch(net: &mut Net, (seq, unit): (u64, u32), kind: Kind, order_id: u64) -> Message {
    let mut obs = net.itch(seq, kind, "", order_id).0;
    obs.protocol = net.text("cboe.pitch-us.2.41");
    obs.channel = Some(unit);
    Message(obs)
}

fn add(net: &mut Net, place: (u64, u32), symbol: &str, order_id: u64) -> Message {
    let mut obs = pitch(net, place, Kind::OrderAdd, order_id).0;
    obs.symbol = net.text(symbol);
    (obs.side, obs.price, obs.qty) =
        (Some(Side::Buy), Some(i128::from(order_id)).into(), Some(100).into());
    Message(obs)
}

/// Sees it on both groups at P1 to P3, B a little later.
fn on_both(net: &mut Net, message: Message, at: i64) {
    for (lag, (line, group)) in [0, 400].into_iter().zip(GROUPS) {
        let session = net.text(group);
        let message = Message(Observation { session, ..message.0 });
        for point in 0..3 {
            net.see_on(message, point, line, at + lag + i64::from(point) * 1_000);
        }
    }
}

#[test]
fn groups_that_say_the_same_are_lines_of_one_feed() {
    let mut net = Net::new();
    for seq in 1..=40 {
        for (unit, symbol) in [(1, "ALFA"), (2, "BRVO")] {
            let order_id = seq * 10 + u64::from(unit);
            let message = add(&mut net, (seq, unit), symbol, order_id);
            on_both(&mut net, message, seq as i64 * 100_000 + i64::from(unit) * 20_000);
        }
    }
    // A fill names its order only; both units have the number 41.
    for (unit, order_id) in [(1, 391), (2, 392)] {
        let fill = pitch(&mut net, (41, unit), Kind::OrderFill, order_id);
        on_both(&mut net, fill, 4_100_000 + i64::from(unit) * 20_000);
    }
    let mut order = net.fix(1, Kind::ReqNew, "C1", "");
    order.0.trigger_seq = Some(41);
    net.see(order, 4, 4_160_000);
    let (rows, _) = net.run();
    let triggers: Vec<(f32, u32, i64)> = rows
        .links
        .iter()
        .filter(|link| &*link.kind == "trigger")
        .map(|link| (link.confidence, link.candidates, link.latency_ns))
        .collect();
    // The order is of ALFA, whose fill was of unit 1, first seen on line A.
    assert_eq!(triggers, [(1.0, 1, 4_160_000 - 4_122_000)]);
    let missing = rows.losses.len();
    assert_eq!(missing, 0, "{:?}", rows.losses);
}

#[test]
fn a_cancel_without_an_id_is_answered_by_its_version() {
    let mut net = Net::new();
    let boe = |net: &mut Net, seq, kind, id: &str, orig: &str| {
        let mut obs = net.ouch(seq, kind, id, orig).0;
        obs.protocol = net.text("cboe.boe-equities.2.4");
        Message(obs)
    };
    let order = boe(&mut net, 1, Kind::ReqNew, "X1", "");
    let ack = boe(&mut net, 1, Kind::RptAck, "X1", "");
    let mut cancel = boe(&mut net, 2, Kind::ReqCancel, "", "X1");
    cancel.0.cl_ord_id = crate::text::TextId::NONE;
    let canceled = boe(&mut net, 2, Kind::RptCanceled, "X1", "");
    for (message, at) in [(order, 10), (ack, 60), (cancel, 200), (canceled, 260)] {
        net.see(message, 5, at * 1_000);
    }
    let (rows, _) = net.run();
    let acks = shown(&rows, "ack");
    assert_eq!(acks, ["cl_ord_id P6>P6 50000", "cl_ord_id P6>P6 60000"]);
    assert!(shown(&rows, "done").is_empty());
}

#[test]
fn a_fill_of_a_version_that_was_not_seen_hangs_on_none() {
    let mut net = Net::new();
    let order = net.fix(1, Kind::ReqNew, "C1", "");
    let ack = net.fix(1, Kind::RptAck, "C1", "");
    let fill = net.fix(3, Kind::RptFill, "C2", "C1");
    for (message, at) in [(order, 10), (ack, 60), (fill, 200)] {
        net.see(message, 4, at * 1_000);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "fill"), [] as [&str; 0]);
}

/// An order of a venue: request, answer, and the answer's order on a feed.
fn order(net: &mut Net, (venue, at): (&str, i64), token: &str, number: u64) {
    let mut request = net.ouch(at as u64, Kind::ReqNew, token, "");
    let mut ack = net.ouch(at as u64, Kind::RptAck, token, "");
    for message in [&mut request, &mut ack] {
        message.0.protocol = net.text(&format!("{venue}.orders"));
        message.0.session = net.text(venue);
        message.0.symbol = net.text(venue);
        (message.0.side, message.0.price) = (Some(Side::Buy), Some(10).into());
    }
    ack.0.order_id = Some(number);
    net.see(request, 5, at);
    net.see(ack, 5, at + 50_000);
}

#[test]
fn a_number_of_another_venue_is_another_order() {
    let mut net = Net::new();
    order(&mut net, ("ALFA", 10_000), "T1", 55);
    order(&mut net, ("BRVO", 20_000), "T2", 55);
    for (venue, at) in [("BRVO", 71_000), ("ALFA", 72_000)] {
        let mut add = net.itch(7, Kind::OrderAdd, venue, 55);
        add.0.protocol = net.text(&format!("{venue}.feed"));
        add.0.session = net.text(&format!("{venue} 1"));
        net.see(add, 0, at);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "public"), ["order_id P6>P1 1000", "order_id P6>P1 12000"]);
}

#[test]
fn an_order_in_a_later_entry_of_a_message_is_public() {
    let mut net = Net::new();
    order(&mut net, ("ALFA", 10_000), "T1", 55);
    let mut level = net.itch(7, Kind::Level, "ALFA", 0);
    level.0.order_id = None;
    level.0.seq_unit = Some(SeqUnit::Packet);
    let packet = net.see(level, 0, 62_000);
    let entry = Observation {
        packet_ix: packet,
        entry: 1,
        kind: Kind::OrderAdd,
        order_id: Some(55),
        ..net.observations.last().copied().unwrap()
    };
    net.observations.push(entry);
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "public"), ["order_id P6>P1 2000"]);
}

#[test]
fn a_copy_is_of_the_side_that_speaks_as_it_does() {
    let mut net = Net::new();
    let request = net.fix(1, Kind::ReqNew, "C1", "");
    let mut fill = net.fix(1, Kind::RptFill, "C1", "");
    let relayed = net.ouch(1, Kind::ReqNew, "T1", "");
    let mut filled = net.ouch(1, Kind::RptFill, "T1", "");
    let mut copy = net.fix(1, Kind::RptFill, "C1", "");
    copy.0.session = net.text("G>COPY");
    copy.0.sender = Some(Sender::Server);
    let id = net.text("E1");
    for message in [&mut fill, &mut filled, &mut copy] {
        message.0.exec_id = id;
        message.0.order_id = Some(55);
    }
    for (message, point, at) in
        [(request, 4, 10), (relayed, 5, 14), (filled, 5, 60), (copy, 6, 68), (fill, 4, 70)]
    {
        net.see(message, point, at * 1_000);
    }
    let (rows, _) = net.run();
    let copies = shown(&rows, "relay");
    let copies: Vec<&String> = copies.iter().filter(|link| link.starts_with("drop")).collect();
    assert_eq!(copies, ["drop_copy_exec_id P5>P7 -2000"]);
}

/// A request and its answer of a session that only addresses name, at P6 and,
/// behind an address translation, at P1.
fn translated(net: &mut Net, number: u64) {
    let at = number as i64 * 1_000_000;
    let mut request = net.ouch(number, Kind::ReqNew, &format!("T{number}"), "").0;
    let mut ack = net.ouch(number, Kind::RptAck, &format!("T{number}"), "").0;
    ack.order_id = Some(5_000 + number);
    for obs in [&mut request, &mut ack] {
        obs.protocol = net.text("cboe.boe-equities.2.4");
        (obs.seq, obs.seq_unit) = (Some(number), Some(SeqUnit::Message));
        obs.price = Some(i128::from(number)).into();
    }
    let inside = net.text("10.40.8.5:52000 198.51.100.11:6001");
    let outside = net.text("192.0.2.44:59000 198.51.100.11:6001");
    for (obs, point, session, at) in [
        (request, 5, inside, at),
        (request, 0, outside, at + 1_000),
        (ack, 0, outside, at + 40_000),
        (ack, 5, inside, at + 41_000),
    ] {
        net.see(Message(Observation { session, ..obs }), point, at);
    }
}

#[test]
fn connections_behind_an_address_translation_are_one_session() {
    let mut net = Net { measured: true, ..Net::new() };
    (1..=40).for_each(|number| translated(&mut net, number));
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "same").len(), 80, "each request, each answer");
    assert_eq!(shown(&rows, "relay"), [] as [&str; 0], "no gateway renames anything");
    assert_eq!(rows.orders.len(), 40);
}

#[test]
fn a_recovery_server_is_no_line_of_the_feed() {
    let mut net = Net::new();
    for seq in 1..=20 {
        let message = net.itch(seq, Kind::OrderAdd, "ALFA", seq);
        for line in ["A", "B"] {
            for point in 0..3 {
                net.see_on(message, point, line, seq as i64 * 100_000 + i64::from(point) * 1_000);
            }
        }
    }
    // Number 5 is asked for again.
    let mut again = net.itch(5, Kind::OrderAdd, "ALFA", 5);
    again.0.flags = taptrail_decoders::kind::flags::RETRANSMIT;
    for point in 0..3 {
        net.see(again, point, 700_000 + i64::from(point) * 1_000);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "same").len(), 20 * 4);
    assert!(rows.losses.is_empty(), "{:#?}", rows.losses);
}

/// Two messages of one packet that say the same, and what a bus made of both.
fn twins(net: &mut Net, relayed: u64) {
    for (place, point) in [(0, 0), (1, 0), (0, 2), (1, 2)] {
        let mut message = net.itch(7, Kind::OrderFill, "ALFA", 55).0;
        (message.seq_unit, message.msg_ix) = (Some(SeqUnit::Packet), place);
        (message.price, message.match_id) = (Some(10).into(), Some(900 + u64::from(place)));
        net.see(Message(message), point, 10_000 + i64::from(point) * 500);
        if let Some(last) = net.observations.last_mut() {
            last.packet_ix = u32::from(point);
        }
    }
    for number in 1..=relayed {
        let mut message = net.bus(number, 7, "ALFA");
        message.0.price = Some(10).into();
        message.0.kind = Kind::Trade;
        net.see(message, 3, 15_000 + number as i64 * 100);
    }
}

#[test]
fn what_is_alike_in_a_packet_is_paired_in_order_with_what_a_bus_made_of_it() {
    let mut net = Net::new();
    twins(&mut net, 2);
    let (rows, _) = net.run();
    let relays = rows.links.iter().filter(|link| &*link.kind == "relay");
    let found: Vec<(u16, f32)> = relays.map(|link| (link.from_msg_ix, link.confidence)).collect();
    assert_eq!(found, [(0, 1.0), (1, 1.0)]);
    // One of them is missing on the bus: which one, nobody knows.
    let mut net = Net::new();
    twins(&mut net, 1);
    let (rows, _) = net.run();
    let relays = rows.links.iter().filter(|link| &*link.kind == "relay");
    assert_eq!(relays.map(|link| link.confidence).collect::<Vec<_>>(), [0.5]);
}

#[test]
fn a_match_of_another_venue_with_the_same_number_is_another() {
    let mut net = Net::new();
    order(&mut net, ("ALFA", 10_000), "T1", 55);
    let mut fill = net.ouch(2, Kind::RptFill, "T1", "").0;
    (fill.protocol, fill.session) = (net.text("ALFA.orders"), net.text("ALFA"));
    (fill.match_id, fill.price) = (Some(9), Some(10).into());
    net.see(Message(fill), 5, 90_000);
    for (venue, price, at) in [("BRVO", 70, 90_100), ("ALFA", 10, 95_000)] {
        let mut trade = net.itch(8, Kind::OrderFill, "", 77).0;
        trade.protocol = net.text(&format!("{venue}.feed"));
        trade.session = net.text(&format!("{venue} 1"));
        (trade.match_id, trade.price) = (Some(9), Some(price).into());
        net.see(Message(trade), 0, at);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "public"), ["match_id P6>P1 5000"]);
}

#[test]
fn a_request_that_names_only_the_order_changes_what_was_asked_for_last() {
    let mut net = Net::new();
    let ilink = |net: &mut Net, kind, id: &str| {
        let mut obs = net.ouch(1, kind, id, "").0;
        (obs.protocol, obs.order_id) = (net.text("cme.ilink3"), Some(55));
        Message(obs)
    };
    let order = ilink(&mut net, Kind::ReqNew, "1");
    let ack = ilink(&mut net, Kind::RptAck, "1");
    let replace = ilink(&mut net, Kind::ReqReplace, "2");
    let cancel = ilink(&mut net, Kind::ReqCancel, "3");
    for (message, at) in [(order, 10), (ack, 60), (replace, 100), (cancel, 130)] {
        net.see(message, 5, at * 1_000);
    }
    let (rows, _) = net.run();
    assert_eq!(shown(&rows, "chain"), ["orig_cl_ord_id P6>P6 30000", "orig_cl_ord_id P6>P6 90000"]);
}

/// An order through a gateway that speaks FIX on both sides, its number `None` where
/// the venue rejects it, and a drop copy of its fill.
fn fix_to_fix(net: &mut Net, n: u64, number: Option<u64>) {
    let at = n as i64 * 10_000_000;
    let (client, venue) = (format!("C{n}"), format!("V{n}"));
    let side = |net: &mut Net, session: &str, kind, id: &str| {
        let mut obs = net.fix(n, kind, id, "").0;
        obs.session = net.text(session);
        (obs.price, obs.order_id) = (Some(i128::from(n)).into(), None);
        if kind != Kind::ReqNew {
            obs.order_id = number;
        }
        if kind == Kind::RptFill {
            obs.exec_id = net.text(&format!("E{n}"));
        }
        Message(obs)
    };
    let answers =
        if number.is_some() { &[Kind::RptAck, Kind::RptFill][..] } else { &[Kind::RptReject] };
    let request = side(net, "S>G", Kind::ReqNew, &client);
    net.see(request, 4, at);
    let relayed = side(net, "G>V", Kind::ReqNew, &venue);
    net.see(relayed, 5, at + 4_000);
    for (place, &kind) in (1..).zip(answers) {
        let at = at + place * 50_000;
        let answer = side(net, "V>G", kind, &venue);
        net.see(answer, 5, at);
        let told = side(net, "G>S", kind, &client);
        net.see(told, 4, at + 5_000);
        if kind == Kind::RptFill {
            let copy = side(net, "G>COPY", kind, &client);
            net.see(copy, 6, at + 9_000);
        }
    }
}

#[test]
fn a_gateway_may_speak_fix_on_both_sides() {
    let mut net = Net::new();
    (1..=4).for_each(|n| fix_to_fix(&mut net, n, (n != 3).then_some(500 + n)));
    let (rows, _) = net.run();
    let relays = shown(&rows, "relay");
    let count = |link: &str| relays.iter().filter(|relay| *relay == link).count();
    assert_eq!(count("late_bound_order_id P5>P6 4000"), 3, "{relays:#?}");
    assert_eq!(count("attributes_fifo P5>P6 4000"), 1, "{relays:#?}");
    assert_eq!(count("attributes_fifo P6>P5 5000"), 1, "{relays:#?}");
    assert_eq!(count("drop_copy_exec_id P5>P7 4000"), 3, "{relays:#?}");
}
