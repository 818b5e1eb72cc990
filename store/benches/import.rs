//! How fast a capture becomes rows: from a pcap file to sealed segments of
//! packets, messages and flows, hashing, syncing and renaming included.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_capture::time::Timestamp;
use taptrail_decoders::library::Library;
use taptrail_store::catalog::Store;
use taptrail_store::import::{Decoders, ImportRequest, import};

/// Datagrams in the capture.
const PACKETS: u32 = 200_000;

/// ITCH messages in each.
const MESSAGES: u16 = 4;

fn main() {
    divan::main();
}

/// MoldUDP64 over UDP with add orders, prices and symbols that vary.
fn frame(packet: u32) -> Vec<u8> {
    let mut mold = b"SESSION001".to_vec();
    let seq = 1 + u64::from(packet) * u64::from(MESSAGES);
    mold.extend(seq.to_be_bytes());
    mold.extend(MESSAGES.to_be_bytes());
    for message in 0..MESSAGES {
        let order = seq + u64::from(message);
        mold.extend(36u16.to_be_bytes());
        mold.extend([b'A', 0, (order % 200) as u8, 0, 0]);
        mold.extend(&order.wrapping_mul(977).to_be_bytes()[2..]);
        mold.extend(order.to_be_bytes());
        mold.push(if order % 3 == 0 { b'B' } else { b'S' });
        mold.extend(((order * 7 % 13) as u32 * 100).to_be_bytes());
        mold.extend(format!("S{:<7}", order % 200).as_bytes());
        mold.extend((100_000 + (order * 31 % 5000) as u32).to_be_bytes());
    }
    let udp_len = 8 + mold.len() as u16;
    let mut frame = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + udp_len).to_be_bytes());
    frame.extend([0, 0, 0, 0, 16, 17, 0, 0, 10, 0, 0, 1, 233, 54, 12, 101]);
    frame.extend([0x67, 0x20, 0x67, 0x6d]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(mold);
    frame
}

fn capture(path: &Path) -> u64 {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for packet_ix in 0..PACKETS {
        let data = frame(packet_ix);
        let ts = Timestamp::from_ns(1_700_000_000_000_000_000 + i64::from(packet_ix) * 1013);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        writer.write(&meta, &data).unwrap();
    }
    let bytes = writer.finish().unwrap();
    std::fs::write(path, &bytes).unwrap();
    bytes.len() as u64
}

fn bench(bencher: Bencher, decoders: Option<Decoders>) {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("feed.pcap");
    let bytes = capture(&path);
    let request = ImportRequest {
        point: PointConfig::named(PointName::try_from("P1".to_owned()).unwrap()),
        path,
        decoders,
        config_hash: String::new(),
        segment: None,
    };
    bencher
        .counter(BytesCount::new(bytes))
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| {
            let root = tempfile::tempdir_in(directory.path()).unwrap();
            let store = Store::open_or_create(root.path()).unwrap();
            (root, store)
        })
        .bench_refs(|(_, store)| import(store, &request, &mut |_| {}).unwrap());
}

/// Both tables; items are packets.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn packets_and_messages(bencher: Bencher) {
    let decoders = Decoders {
        config: Arc::default(),
        library: Arc::new(Library::shipped()),
        base: PathBuf::from("."),
    };
    bench(bencher, Some(decoders));
}

/// As with `capture.decode = false`; items are packets.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn packets_only(bencher: Bencher) {
    bench(bencher, None);
}
