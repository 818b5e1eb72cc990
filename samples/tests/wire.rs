//! What goes over the simulated wires is right by the rules of each layer.

mod common;

use common::{config, frame, mold, run, streams};
use std::collections::BTreeMap;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::points::{P1, P2, P3, P4, P5, P6, P7, POINTS};
use taptrail_samples::trouble::Trouble;

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| {
        let run = run(&SimConfig { seed, ..config(Faults::Heavy) });
        run.packets.into_iter().map(|p| (p.point, p.meta, p.data)).collect::<Vec<_>>()
    };
    let once = bytes(5);
    assert!(once == bytes(5));
    assert!(once != bytes(6));
}

#[test]
fn every_length_and_checksum_is_right() {
    for faults in [Faults::None, Faults::Heavy] {
        for packet in &run(&config(faults)).packets {
            frame(&packet.data);
            assert_eq!(packet.meta.wire_len as usize, packet.data.len());
        }
    }
}

#[test]
fn packets_of_a_point_are_in_order_and_numbered() {
    let run = run(&config(Faults::Heavy));
    for (point, spec) in POINTS.iter().enumerate() {
        let mut last_ns = 0;
        for (position, packet) in run.at(point).enumerate() {
            assert_eq!(packet.meta.packet_ix as usize, position);
            assert!(packet.meta.ts_record.ns() >= last_ns);
            last_ns = packet.meta.ts_record.ns();
        }
        assert!(last_ns > 0, "{} has packets", spec.name);
    }
}

#[test]
fn the_feed_is_contiguous_on_both_lines_where_nothing_is_lost() {
    let run = run(&config(Faults::None));
    for point in [P1, P2, P3] {
        let mut next: BTreeMap<[u8; 4], u64> = BTreeMap::new();
        for packet in run.at(point) {
            let frame = frame(&packet.data);
            if frame.tcp.is_some() {
                continue;
            }
            let (first, messages) = mold(frame.payload);
            let expected = next.entry(frame.target).or_insert(1);
            assert_eq!(first, *expected, "{}", POINTS[point].name);
            *expected += messages.len() as u64;
        }
        let ends: Vec<u64> = next.into_values().collect();
        assert_eq!(ends.len(), 2, "two lines");
        assert_eq!(ends[0], ends[1], "lines end alike");
    }
}

#[test]
fn the_firewall_tags_and_counts_down() {
    let run = run(&config(Faults::None));
    let feed = |point| {
        let frames = run.at(point).map(|packet| frame(&packet.data));
        let feed: Vec<_> = frames.filter(|frame| frame.tcp.is_none()).collect();
        assert!(!feed.is_empty());
        feed
    };
    assert!(feed(P1).iter().all(|f| f.ttl == 16 && f.vlan.is_none()));
    assert!(feed(P2).iter().all(|f| f.ttl == 15 && matches!(f.vlan, Some(310 | 320))));
    assert!(feed(P3).iter().all(|f| f.ttl == 15 && f.vlan.is_none()));
}

#[test]
fn both_points_of_the_order_line_see_the_same_streams() {
    let run = run(&config(Faults::Light));
    let light = |point| streams(run.at(point).filter(|p| frame(&p.data).tcp.is_some()));
    assert_eq!(light(P6), light(P1));
}

#[test]
fn translation_changes_the_client_only() {
    let run = run(&config(Faults::Heavy));
    let servers = |point: usize| -> Vec<_> {
        let tcp = run.at(point).map(|p| frame(&p.data)).filter(|f| f.tcp.is_some());
        let mut ends: Vec<_> = tcp.map(|f| (f.source, f.ports.0)).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    };
    let (near, far) = (servers(P6), servers(P1));
    assert_eq!((near.len(), far.len()), (2, 2));
    assert!(near.contains(&([10, 90, 1, 20], 15_000)) && far.contains(&([10, 90, 1, 20], 15_000)));
    assert_ne!(near, far);
}

#[test]
fn soup_streams_tile() {
    let run = run(&config(Faults::None));
    let all = streams(run.at(P6));
    assert_eq!(all.len(), 2);
    for bytes in all.values() {
        let (mut at, mut packets) = (0, 0);
        while at < bytes.len() {
            let length = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            assert!(b"SULAHROZ".contains(&bytes[at + 2]), "type {}", bytes[at + 2]);
            at += 2 + length;
            packets += 1;
        }
        assert_eq!(at, bytes.len());
        assert!(packets > 100);
    }
}

/// Splits a FIX stream, checks length and checksum, gives tag and value.
fn fix_messages(stream: &[u8]) -> Vec<Vec<(u32, String)>> {
    let text = String::from_utf8(stream.to_vec()).expect("ASCII");
    let mut rest = text.as_str();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_once("\x019=").expect("BodyLength");
        assert_eq!(head, "8=FIX.4.4");
        let (length, _) = tail.split_once('\x01').expect("ends");
        let body_at = head.len() + 3 + length.len() + 1;
        let end = body_at + length.parse::<usize>().expect("number");
        let sum: u32 = rest[..end].bytes().map(u32::from).sum();
        assert_eq!(&rest[end..end + 7], format!("10={:03}\x01", sum % 256));
        let field = |text: &str| {
            let (tag, value) = text.split_once('=').expect("tag=value");
            (tag.parse().expect("tag"), value.to_string())
        };
        all.push(rest[..end].split_terminator('\x01').map(field).collect());
        rest = &rest[end + 7..];
    }
    all
}

#[test]
fn fix_streams_are_whole_and_numbered() {
    let run = run(&config(Faults::None));
    for (point, directions) in [(P5, 6), (P7, 2)] {
        let all = streams(run.at(point));
        assert_eq!(all.len(), directions);
        for stream in all.values() {
            for (position, message) in fix_messages(stream).iter().enumerate() {
                let number = message.iter().find(|(tag, _)| *tag == 34).expect("34");
                assert_eq!(number.1, (position + 1).to_string());
            }
        }
    }
}

#[test]
fn fills_carry_the_match_number_and_the_references_of_the_exchange() {
    let run = run(&config(Faults::None));
    let mut fills = 0;
    for stream in streams(run.at(P7)).values() {
        for message in fix_messages(stream) {
            let get = |tag| message.iter().find(|(t, _)| *t == tag).map(|(_, v)| v.as_str());
            if get(150) == Some("F") {
                fills += 1;
                let reference: u64 = get(37).expect("37").parse().expect("number");
                assert!(reference > 1_000_000);
                assert!(get(880).is_some() && get(17).is_some());
                assert_eq!(get(797), Some("Y"));
            }
        }
    }
    assert!(fills > 50, "{fills}");
}

#[test]
fn tcp_coalesces_and_splits() {
    let run = run(&config(Faults::None));
    let mut per_packet: BTreeMap<u32, usize> = BTreeMap::new();
    for message in run.messages.iter().filter(|message| message.point == "P6") {
        *per_packet.entry(message.packet_ix.expect("captured")).or_default() += 1;
    }
    assert!(per_packet.values().any(|&n| n > 1), "some packets hold several messages");
    let data = run.at(P6).filter(|p| !frame(&p.data).payload.is_empty()).count();
    assert!(data > per_packet.len(), "some packets hold only the start of one");
}

#[test]
fn the_bus_starts_every_datagram_with_its_number() {
    let run = run(&config(Faults::None));
    for (position, packet) in run.at(P4).enumerate() {
        let frame = frame(&packet.data);
        let number = u32::from_le_bytes(frame.payload[..4].try_into().expect("four"));
        assert_eq!(number as usize, position + 1);
    }
}

/// The first number and the messages of a datagram of Cboe's.
fn unit_messages(payload: &[u8]) -> (u32, Vec<&[u8]>) {
    let length = usize::from(u16::from_le_bytes([payload[0], payload[1]]));
    assert_eq!((length, payload[3]), (payload.len(), 1), "unit 1");
    let first = u32::from_le_bytes(payload[4..8].try_into().expect("four bytes"));
    let (mut rest, mut messages) = (&payload[8..], Vec::new());
    while !rest.is_empty() {
        let (message, after) = rest.split_at(usize::from(rest[0]));
        messages.push(message);
        rest = after;
    }
    assert_eq!(messages.len(), usize::from(payload[2]));
    (first, messages)
}

#[test]
fn the_other_venue_numbers_its_unit_and_tells_every_second_once() {
    let troubles = [Trouble::OtherVenue].into();
    let run = run(&SimConfig { troubles, ..config(Faults::None) });
    for point in [P1, P2, P3] {
        let mut lines: BTreeMap<[u8; 4], (u32, Vec<u8>, Vec<u32>)> = BTreeMap::new();
        for packet in run.at(point) {
            let frame = frame(&packet.data);
            if frame.tcp.is_some() {
                continue;
            }
            let (first, messages) = unit_messages(frame.payload);
            let (next, codes, seconds) =
                lines.entry(frame.target).or_insert((1, Vec::new(), Vec::new()));
            assert_eq!(first, *next, "{}", POINTS[point].name);
            *next += messages.len() as u32;
            for message in messages {
                codes.push(message[1]);
                let number = u32::from_le_bytes(message[2..6].try_into().expect("four bytes"));
                match message[1] {
                    0x20 => seconds.push(number),
                    _ => assert!(number < 1_000_000_000, "nanoseconds of a second: {number}"),
                }
            }
        }
        assert_eq!(lines.len(), 2, "lines");
        for (_, codes, seconds) in lines.into_values() {
            assert_eq!(codes[..3], [0x20, 0x97, 0x31], "a time, clear the unit, trade");
            assert_eq!(codes.last(), Some(&0x2D), "the end of the session");
            // 09:30 in New York.
            assert_eq!(seconds, [34_200, 34_201]);
            for code in [0x22, 0x23, 0x24, 0x26, 0x28, 0x29, 0x2B, 0x2F] {
                assert!(codes.contains(&code), "{code:#x}");
            }
        }
    }
}
