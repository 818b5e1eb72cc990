//! The ring on the loopback, where this machine lets us; its headers from bytes.

use super::*;
use proptest::prelude::*;
use std::net::UdpSocket;

fn open(port: u16, options: RingOptions) -> Option<RingSource> {
    let live = LiveOptions {
        bpf: format!("udp dst port {port}"),
        timeout_ms: 10,
        buffer_bytes: 4 << 20,
        snaplen: 60,
        promiscuous: false,
        ..LiveOptions::default()
    };
    match RingSource::open("lo", &live, options) {
        Ok(source) => Some(source),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

/// Everything until `count` packets are there, or five seconds are over.
fn take(source: &mut RingSource, count: usize) -> Vec<(PacketMeta, Vec<u8>)> {
    let (stop, until) = (source.stop_handle(), Instant::now() + Duration::from_secs(5));
    let (mut batch, mut seen) = (PacketBatch::new(), Vec::new());
    loop {
        let progress = source.next_batch(&mut batch).unwrap();
        seen.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
        if seen.len() >= count || Instant::now() > until {
            stop.store(true, Ordering::Relaxed);
        }
        if progress == Progress::End {
            return seen;
        }
    }
}

#[test]
fn sees_each_datagram_on_the_loopback_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let Some(mut source) = open(port, RingOptions::default()) else { return };
    for number in 0..3_000u32 {
        socket
            .send_to(&[&number.to_be_bytes()[..], &[7; 40]].concat(), ("127.0.0.1", port))
            .unwrap();
    }
    let seen = take(&mut source, 3_000);
    assert_eq!(seen.len(), 3_000);
    for (number, (meta, data)) in seen.iter().enumerate() {
        assert_eq!((meta.packet_ix as usize, meta.wire_len), (number, 14 + 20 + 8 + 44));
        assert_eq!(data.len(), 60);
        assert_eq!(data[42..46], (number as u32).to_be_bytes());
    }
    assert_eq!(source.losses().ring, Some(0));
    assert_eq!(source.stamped_by(), StampedBy { hardware: 0, software: 3_000 });
}

#[test]
fn rings_of_a_group_share_the_packets() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let options = RingOptions { fanout: Some(port), ..RingOptions::default() };
    let (Some(mut one), Some(mut other)) = (open(port, options), open(port, options)) else {
        return;
    };
    for _ in 0..500 {
        socket.send_to(&[1; 40], ("127.0.0.1", port)).unwrap();
    }
    let both: usize = [&mut one, &mut other]
        .into_iter()
        .map(|source| {
            source.stop_handle().store(true, Ordering::Relaxed);
            take(source, 500).len()
        })
        .sum();
    assert_eq!(both, 500);
}

#[test]
fn an_adapter_that_cannot_stamp_is_told() {
    let options = RingOptions { hardware_times: true, ..RingOptions::default() };
    let Some(mut source) = open(9, options) else { return };
    let warnings = source.take_warnings();
    assert!(warnings[0].text.contains("does not stamp packets"), "{warnings:?}");
}

#[test]
fn an_unknown_interface_and_a_bad_filter_are_clear_errors() {
    let open = |name: &str, bpf: &str| {
        let live = LiveOptions { bpf: bpf.to_string(), ..LiveOptions::default() };
        RingSource::open(name, &live, RingOptions::default()).err().unwrap().to_string()
    };
    let text = open("no-such-net", "");
    assert!(text.contains("ip link") || text.contains("CAP_NET_RAW"), "{text}");
    let text = open("lo", "udp dst prot 1");
    assert!(text.contains("filter") || text.contains("CAP_NET_RAW"), "{text}");
}

fn header(status: u32, tci: u32, tpid: u16, data: &[u8]) -> Vec<u8> {
    let words = [0, 1_700_000_000, 5, data.len() as u32, 100, status];
    let mut packet = words.map(u32::to_ne_bytes).concat();
    packet.extend([82u16, 96].map(u16::to_ne_bytes).concat());
    packet.extend([0, tci].map(u32::to_ne_bytes).concat());
    packet.extend(tpid.to_ne_bytes());
    packet.resize(82, 0);
    packet.extend(data);
    packet
}

#[test]
fn a_vlan_tag_that_was_taken_out_is_put_back() {
    let (mut batch, mut by) = (PacketBatch::new(), StampedBy::default());
    let valid = libc::TP_STATUS_VLAN_VALID;
    let told = valid | libc::TP_STATUS_VLAN_TPID_VALID | libc::TP_STATUS_TS_RAW_HARDWARE;
    let data: Vec<u8> = (0..20).collect();
    for (status, tpid) in [(0, 0), (valid, 0), (told, 0x88a8)] {
        let packet = header(status, 0x2005, tpid, &data);
        assert!(push(&packet, Direction::In, 0, ts_flags::SYSTEM_STAMP, &mut by, &mut batch));
    }
    let tagged = |tpid: [u8; 2]| [&data[..12], &tpid, &[0x20, 5], &data[12..]].concat();
    assert_eq!(batch.get(0).data, data);
    assert_eq!(batch.get(1).data, tagged([0x81, 0]));
    assert_eq!((batch.get(2).data, batch.get(2).meta.wire_len), (&tagged([0x88, 0xa8])[..], 104));
    assert_eq!(batch.get(0).meta.ts.ns(), 1_700_000_000_000_000_005);
    assert_eq!(by, StampedBy { hardware: 1, software: 2 });
    let flags: Vec<u16> = batch.iter().map(|packet| packet.meta.ts_flags).collect();
    assert_eq!(flags, [ts_flags::SYSTEM_STAMP, ts_flags::SYSTEM_STAMP, 0]);
}

proptest! {
    #[test]
    fn any_header_stays_in_its_block(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut batch, mut by) = (PacketBatch::new(), StampedBy::default());
        push(&bytes, Direction::In, 0, 0, &mut by, &mut batch);
        prop_assert!(batch.bytes_len() <= bytes.len() + 4);
    }
}
