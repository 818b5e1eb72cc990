//! FIX captures of other people, message by message against the answer of an
//! independent dissector. Skipped where the captures are not at hand.

use std::io::Read;
use std::path::{Path, PathBuf};

use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::field::Value;
use taptrail_decoders::fix::decode::{FixConfig, FixDecoder};
use taptrail_decoders::fix::framing::{self, Scan};
use taptrail_decoders::fix::user::UserTags;
use taptrail_decoders::kind::flags;
use taptrail_decoders::names::Names;

const CAPTURES: [(&str, usize); 5] = [
    ("fix2", 446),
    ("trace-fix4.0", 4),
    ("trace-fix4.2", 4),
    ("trace-fix4.4", 5),
    ("trace-fixt1.1", 4),
];

/// The folder of captures: `TAPTRAIL_DATA`, or `../shared/data` beside the
/// project.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    named.into_iter().chain([beside]).map(|dir| dir.join("fix")).find(|dir| dir.is_dir())
}

/// The TCP payloads of a little-endian pcap file with Ethernet frames.
fn payloads(pcap: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &pcap[24..];
    let mut out = Vec::new();
    while let Some((record, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
        let (frame, after) = after.split_at(len);
        out.push(tcp_payload(frame).unwrap_or_default().to_vec());
        rest = after;
    }
    out
}

fn tcp_payload(frame: &[u8]) -> Option<&[u8]> {
    let ip = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let tcp = ip.get(usize::from(ip[0] & 15) * 4..total).filter(|_| ip[9] == 6)?;
    tcp.get(usize::from(tcp[12] >> 4) * 4..)
}

/// Name and value of each field that the dissector shows, one packet a list.
fn answers(path: &Path) -> Vec<Vec<(String, String)>> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let packets: serde_json::Value = serde_json::from_str(&text).unwrap();
    packets.as_array().unwrap().iter().map(fix_fields).collect()
}

fn fix_fields(packet: &serde_json::Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let layers = &packet["_source"]["layers"];
    for (name, value) in layers["fix"].as_object().into_iter().flatten() {
        let name = name.strip_prefix("fix.").unwrap_or(name);
        match value {
            serde_json::Value::String(text) => out.push((name.to_owned(), text.clone())),
            serde_json::Value::Array(all) => out.extend(
                all.iter().filter_map(|v| v.as_str()).map(|v| (name.to_owned(), v.to_owned())),
            ),
            _ => {}
        }
    }
    out.sort();
    out
}

fn head(protocol: taptrail_decoders::names::Name) -> Head {
    Head {
        ts: 0,
        ts_first: None,
        ts_send: None,
        packet_ix: 0,
        msg_ix: 0,
        flow_id: 0,
        protocol,
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: None,
        flags: 0,
        raw_off: None,
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}

/// The dissector gives a field its newest name whatever the version.
fn today(name: String) -> String {
    if name == "LastShares" { "LastQty".to_owned() } else { name }
}

/// Name and value of each field of a message, after checking that they tile it.
fn ours(decoder: &FixDecoder, msg: &[u8]) -> Vec<(String, String)> {
    let explained = decoder.explain(msg, &UserTags::default());
    // Some of these messages were made by a machine and count entries that
    // they do not have.
    let error = explained.error.unwrap_or_default();
    assert!(error.is_empty() || error.contains("entries, found"), "{error}");
    let mut at = 0;
    let mut out = Vec::new();
    for field in explained.fields {
        assert_eq!(field.offset, at);
        at += field.size;
        let bytes = &msg[field.offset as usize..at as usize - 1];
        let text = String::from_utf8_lossy(bytes);
        let (tag, value) = text.split_once('=').unwrap();
        assert!(tag.parse::<u32>().is_ok());
        assert_ne!(field.value, Value::Null);
        out.push((today(field.name), value.to_owned()));
    }
    assert_eq!(at as usize, msg.len());
    out.sort();
    out
}

#[test]
fn every_message_has_the_fields_that_the_dissector_found() {
    let Some(dir) = data() else {
        println!("skipped: no captures");
        return;
    };
    for (name, expected) in CAPTURES {
        let pcap = std::fs::read(dir.join(format!("{name}.pcap"))).unwrap();
        let answers = answers(&dir.join(format!("{name}.pcap.tshark.json.gz")));
        let payloads = payloads(&pcap);
        assert_eq!(payloads.len(), answers.len(), "{name}");
        let mut decoder = FixDecoder::new(FixConfig { show_secrets: true });
        let (mut names, mut batch) = (Names::new(), MessageBatch::new());
        let head = head(names.intern(b"fix").unwrap());
        let mut messages = 0;
        for (packet, (payload, answer)) in payloads.iter().zip(answers).enumerate() {
            if answer.is_empty() {
                continue;
            }
            let Scan::Message { len, checksum_ok } = framing::scan(payload) else {
                panic!("{name}: packet {}: {:?}", packet + 1, framing::scan(payload));
            };
            assert!(checksum_ok && len == payload.len(), "{name}: packet {}", packet + 1);
            assert_eq!(ours(&decoder, payload), answer, "{name}: packet {}", packet + 1);
            let row = batch.len();
            decoder.decode(payload, &head, &UserTags::default(), &mut batch, &mut names).unwrap();
            assert!(batch.len() > row);
            let wrong = flags::BAD_CHECKSUM | flags::UNKNOWN_TYPE | flags::DECODE_ERROR;
            assert_eq!(batch.flags()[row] & wrong, 0, "{name}: packet {}", packet + 1);
            messages += 1;
        }
        assert_eq!(messages, expected, "{name}");
    }
}
