//! The truth agrees with the packets, and holds every case it promises.

mod common;

use common::{Run, config, frame, mold, run};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use taptrail_samples::clock::STAMP_NOISE_NS;
use taptrail_samples::config::Faults;
use taptrail_samples::net::tap::SimPacket;
use taptrail_samples::points::{P1, P2, P3, POINTS};
use taptrail_samples::truth::{MessageTruth, Status};

fn packets(run: &Run) -> HashMap<(&'static str, u32), &SimPacket> {
    let name = |packet: &SimPacket| (POINTS[packet.point].name, packet.meta.packet_ix);
    run.packets.iter().map(|packet| (name(packet), packet)).collect()
}

fn shown(message: &MessageTruth) -> bool {
    matches!(message.status, Status::Captured | Status::Duplicate)
}

#[test]
fn every_message_shown_is_in_its_packet() {
    for faults in [Faults::None, Faults::Heavy] {
        let run = run(&config(faults));
        let packets = packets(&run);
        for message in run.messages.iter().filter(|m| shown(m)) {
            let packet = packets[&(message.point, message.packet_ix.expect("shown"))];
            assert_eq!(message.stamped_ns, Some(packet.meta.ts.ns()));
            if message.protocol == "nasdaq.totalview-itch.5.0" {
                let (first, bodies) = mold(frame(&packet.data).payload);
                let position = message.msg_ix.expect("shown") as usize;
                assert_eq!(Some(first + position as u64), message.seq);
                assert_eq!(char::from(bodies[position][0]), message.code);
            }
        }
    }
}

#[test]
fn every_feed_message_in_a_packet_is_in_the_truth() {
    let run = run(&config(Faults::Heavy));
    for point in [P1, P2, P3] {
        let feed = run.at(point).map(|p| frame(&p.data)).filter(|f| f.tcp.is_none());
        let in_packets: usize = feed.map(|f| mold(f.payload).1.len()).sum();
        let told = run.messages.iter().filter(|m| {
            m.point == POINTS[point].name && shown(m) && m.protocol == "nasdaq.totalview-itch.5.0"
        });
        assert_eq!(told.count(), in_packets);
    }
}

#[test]
fn every_message_has_one_fate_at_each_point_and_line() {
    let run = run(&config(Faults::Heavy));
    let mut fates: BTreeMap<(u64, &str, Option<char>), u32> = BTreeMap::new();
    for message in run.messages.iter().filter(|m| m.status != Status::Duplicate) {
        *fates.entry((message.id, message.point, message.line)).or_default() += 1;
    }
    assert!(fates.values().all(|&fates| fates == 1));
    let points = |protocol: &str| {
        let ids = run.messages.iter().filter(|m| m.protocol == protocol);
        let mut by_id: BTreeMap<u64, BTreeSet<(&str, Option<char>)>> = BTreeMap::new();
        ids.for_each(|m| {
            by_id.entry(m.id).or_default().insert((m.point, m.line));
        });
        by_id.into_values().map(|points| points.len()).collect::<BTreeSet<_>>()
    };
    assert_eq!(points("nasdaq.totalview-itch.5.0"), BTreeSet::from([6]));
    assert_eq!(points("nasdaq.ouch.5.0"), BTreeSet::from([2]));
    assert_eq!(points("fix.4.4"), BTreeSet::from([1]));
}

#[test]
fn stamps_are_within_noise_of_the_clock() {
    let run = run(&config(Faults::None));
    // C1 is true time.
    for message in run.messages.iter().filter(|m| m.point == "P1") {
        let (Some(stamped_ns), Some(true_ns)) = (message.stamped_ns, message.true_ns) else {
            panic!("nothing is lost");
        };
        assert!((stamped_ns - true_ns).abs() <= STAMP_NOISE_NS);
    }
}

#[test]
fn every_kind_of_message_and_link_occurs() {
    let run = run(&config(Faults::None));
    let codes = |protocol: &str| -> String { run.counts[protocol].keys().collect() };
    for (protocol, wanted) in [
        ("nasdaq.totalview-itch.5.0", "ACDEFHPRSUX"),
        ("nasdaq.ouch.5.0", "ACEIJOSUX"),
        ("fix.4.4", "589ADFG"),
        ("fast.bus", "Xh"),
        ("soupbintcp", "ALOZ"),
    ] {
        assert_eq!(codes(protocol), wanted, "{protocol}");
    }
    let kinds: BTreeSet<(&str, &str)> = run.links.iter().map(|l| (l.kind, l.rule)).collect();
    let wanted = [
        ("ack", "life"),
        ("chain", "life"),
        ("done", "life"),
        ("fill", "life"),
        ("public", "event"),
        ("relay", "bus"),
        ("relay", "drop_copy"),
        ("relay", "report"),
        ("relay", "request"),
        ("trigger", "tagged"),
        ("trigger", "untagged"),
    ];
    assert_eq!(kinds, BTreeSet::from(wanted));
}

#[test]
fn effects_follow_causes_and_public_goes_both_ways() {
    let run = run(&config(Faults::None));
    let (public, others): (Vec<_>, Vec<_>) = run.links.iter().partition(|l| l.kind == "public");
    // A drop copy leaves by a queue of its own and may be first.
    let late = others.iter().find(|l| l.latency_ns <= 0 && l.rule != "drop_copy");
    assert!(late.is_none(), "{late:?}");
    assert!(public.iter().any(|link| link.latency_ns > 0));
    assert!(public.iter().any(|link| link.latency_ns < 0));
    let acks = others.iter().filter(|l| l.kind == "ack" && l.from_point == "P1");
    let mut acks: Vec<i64> = acks.map(|link| link.latency_ns).collect();
    acks.sort_unstable();
    let median_ns = acks[acks.len() / 2];
    assert!((20_000..100_000).contains(&median_ns), "{median_ns}");
}

#[test]
fn orders_are_as_many_as_asked_for_and_come_to_an_end() {
    let config = config(Faults::None);
    let run = run(&config);
    // An idea whose update never comes is not sent.
    let sent = run.orders.len() as u64;
    assert!(sent <= config.orders && sent + 3 >= config.orders, "{sent}");
    let states: BTreeSet<&str> = run.orders.iter().map(|order| order.state).collect();
    let ends = BTreeSet::from(["canceled", "done", "filled", "rejected"]);
    assert_eq!(states, ends);
    assert!(run.orders.iter().any(|order| order.trigger_id.is_none()));
    assert!(run.orders.iter().any(|order| order.references.len() > 1));
    assert!(run.orders.iter().all(|order| order.qty_cum == 0 || order.fills > 0));
}

#[test]
fn a_bad_day_has_every_fault() {
    let mut config = config(Faults::Heavy);
    config.rate_msgs_per_s = 10_000;
    let run = run(&config);
    let causes: BTreeSet<(&str, &str)> = run.losses.iter().map(|l| (l.cause, l.unit)).collect();
    for cause in [("network", "message"), ("capture", "message")] {
        assert!(causes.contains(&cause), "{cause:?}");
    }
    assert!(causes.iter().any(|(cause, unit)| *cause == "network" && unit.ends_with("byte")));
    for status in [Status::Captured, Status::Duplicate, Status::LostCapture, Status::LostNetwork] {
        assert!(run.messages.iter().any(|m| m.status == status), "{status:?}");
    }
    let lost = |line| {
        let lost = move |m: &&MessageTruth| {
            m.point == "P3" && m.line == Some(line) && m.status == Status::LostNetwork
        };
        run.messages.iter().filter(lost).map(|m| m.id).collect::<BTreeSet<u64>>()
    };
    assert!(lost('A').intersection(&lost('B')).next().is_some(), "lost on both lines");
    assert!(lost('A').difference(&lost('B')).next().is_some(), "lost on one line");
}

#[test]
fn without_truth_the_packets_are_the_same() {
    let config = config(Faults::Light);
    let silent = taptrail_samples::config::SimConfig { truth: false, ..config.clone() };
    let (with, without) = (run(&config), run(&silent));
    assert!(without.messages.is_empty() && without.links.is_empty());
    assert_eq!(with.packets.len(), without.packets.len());
    assert!(with.packets.iter().zip(&without.packets).all(|(a, b)| a.data == b.data));
}
