//! Real TCP captures: FIX sessions, segments out of order.

mod common;

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use taptrail_decoders::batch::{IntCol, SmallCol};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::kind::flags;
use taptrail_decoders::library::Library;

/// The layers of each packet, as another dissector has them.
fn layers(path: &Path) -> Vec<Value> {
    let name = format!("{}.tshark.json.gz", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(name).expect("answer");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    let packets: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    packets.into_iter().map(|packet| packet["_source"]["layers"].clone()).collect()
}

fn decoder() -> Decoder {
    Decoder::new(Arc::new(DecoderConfig::default()), Arc::new(Library::shipped()))
}

#[test]
fn fix_sessions_have_the_messages_another_dissector_counts() {
    let Some(data) = common::data() else { return };
    for name in ["fix2", "trace-fix4.0", "trace-fix4.2", "trace-fix4.4", "trace-fixt1.1"] {
        let path = data.join(format!("fix/{name}.pcap"));
        let mut theirs = BTreeMap::new();
        for (packet, layers) in layers(&path).iter().enumerate() {
            let count = match &layers["fix"] {
                Value::Null => continue,
                Value::Array(messages) => messages.len(),
                _ => 1,
            };
            theirs.insert(packet as u32, count);
        }
        let (mut first, mut again) = (BTreeMap::new(), BTreeMap::new());
        let mut decoder = decoder();
        common::packets(&path, |batch| {
            decoder.decode(batch, &mut |rows, names| {
                for row in 0..rows.len() {
                    let protocol = &names.texts()[rows.protocol()[row] as usize];
                    assert!(protocol.starts_with("fix"), "{protocol}");
                    let repeated = rows.flags()[row] & (flags::RETRANSMIT | flags::DUPLICATE) != 0;
                    let seen = if repeated { &mut again } else { &mut first };
                    *seen.entry(rows.packet_ix()[row]).or_insert(0) +=
                        usize::from(rows.entry()[row] == 0);
                }
            });
        });
        // The other dissector names some repeats, not all.
        for (packet, count) in &first {
            assert_eq!(theirs.get(packet), Some(count), "{name}: packet {packet}");
        }
        for (packet, count) in &theirs {
            let ours = first.get(packet).or(again.get(packet));
            assert_eq!(ours, Some(count), "{name}: packet {packet}");
        }
    }
}

#[test]
fn raw_bytes_of_fix_rows_begin_a_message() {
    let Some(data) = common::data() else { return };
    let mut decoder = decoder();
    let mut rows_seen = 0;
    common::packets(&data.join("fix/fix2.pcap"), |batch| {
        let first = batch.get(0).meta.packet_ix;
        decoder.decode(batch, &mut |rows, _| {
            for row in 0..rows.len() {
                assert_ne!(rows.present()[row] & SmallCol::RawOff.bit(), 0);
                let packet = batch.get((rows.packet_ix()[row] - first) as usize);
                let from = rows.smalls(SmallCol::RawOff)[row] as usize;
                let raw = &packet.data[from..from + rows.raw_len()[row] as usize];
                assert!(raw.starts_with(b"8=FIX") && raw.ends_with(b"\x01"));
                assert_ne!(rows.present()[row] & IntCol::TcpOff.bit(), 0);
                rows_seen += 1;
            }
        });
    });
    assert!(rows_seen >= 446, "{rows_seen}");
}

/// None of these streams is ours, so every payload byte comes back as unknown
/// or as seen before: none twice, none not at all.
#[test]
fn out_of_order_streams_lose_no_byte() {
    let Some(data) = common::data() else { return };
    for name in ["dns-ooo.pcap", "http-ooo.pcap", "challenge01_ooo_stream.pcapng.gz"] {
        let path = data.join("formats").join(name);
        let mut sent = 0;
        for layers in layers(&path) {
            let len = layers["tcp"]["tcp.len"].as_str().and_then(|len| len.parse::<u64>().ok());
            sent += len.unwrap_or(0);
        }
        let messages = common::explain(&path, None);
        assert!(messages.iter().all(|m| m.msg_ix.is_none()), "{name}");
        let ours: u64 = messages.iter().map(|message| u64::from(message.size)).sum();
        assert!(ours <= sent && ours * 100 >= sent * 95, "{name}: {ours} of {sent} bytes");
    }
}
