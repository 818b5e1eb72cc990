//! FIX messages a second: cut, checked, every column filled.
//!
//! The message is a new order of 227 bytes; the yardstick is 3 M of them a
//! second on one core. A mix of requests and reports says what it costs that
//! messages differ.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::fix::decode::{FixConfig, FixDecoder};
use taptrail_decoders::fix::framing::{self, Scan};
use taptrail_decoders::fix::user::UserTags;
use taptrail_decoders::names::{Name, Names};

const MESSAGES: usize = 4096;

fn main() {
    divan::main();
}

/// Orders of 227 bytes one after the other, as a stream.
fn orders() -> Vec<u8> {
    let mut stream = Vec::new();
    for n in 0..MESSAGES {
        let body = format!(
            "35=D|49=CLIENT01|56=BROKER01|34={:06}|52=20240102-09:30:00.{:09}|11=ORD-{:010}|\
             1=ACC-{:03}|55=SYM{:04}|54={}|38={:05}|40=2|44={:03}.{:02}|59=0|\
             60=20240102-09:30:00.{:09}|100=XNAS|21=1|47=A|9717={:05}|",
            n + 1,
            n * 1000,
            n,
            n % 50,
            n % 500,
            1 + n % 2,
            n % 900 + 100,
            100 + n % 50,
            n % 100,
            n * 997,
            n * 13,
        )
        .replace('|', "\x01");
        let msg = whole(&body);
        assert_eq!(msg.len(), 227, "the yardstick's size");
        stream.extend_from_slice(&msg);
    }
    stream
}

/// A message with its length and sum.
fn whole(body: &str) -> Vec<u8> {
    let mut msg = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
    let sum = framing::checksum(&msg);
    msg.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    msg
}

/// Messages of six types, each with or without two of its fields: 24 shapes,
/// in no order.
fn mixed() -> Vec<u8> {
    const TYPES: [(&str, &str); 6] = [
        ("D", "21=1|38=00300|40=2|44=101.25|59=0|"),
        ("8", "37=X77|17=E5|150=F|39=1|31=101.25|32=100|38=300|151=200|14=100|6=101.25|"),
        ("8", "37=X77|17=E5|150=0|39=0|38=300|151=300|14=0|6=0|"),
        ("F", "41=ORD-1|37=X77|38=300|"),
        ("G", "41=ORD-1|38=200|40=2|44=101.5|59=0|"),
        ("9", "37=X77|41=ORD-1|39=4|434=1|102=1|"),
    ];
    let mut dice = 1u64;
    let mut stream = Vec::new();
    for n in 0..MESSAGES {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let shape = (dice >> 33) as usize % 24;
        let (msg_type, fields) = TYPES[shape / 4];
        let account = if shape & 1 == 0 { "" } else { "1=ACC-007|" };
        let text = if shape & 2 == 0 { "" } else { "58=as agreed|" };
        let body = format!(
            "35={msg_type}|49=CLIENT01|56=BROKER01|34={:06}|52=20240102-09:30:00.{:09}|\
             11=ORD-{:010}|{account}55=SYM{:04}|54={}|{fields}60=20240102-09:30:00.{:09}|{text}",
            n + 1,
            n * 1000,
            n,
            n % 500,
            1 + n % 2,
            n * 997,
        );
        stream.extend(whole(&body.replace('|', "\x01")));
    }
    stream
}

fn head(names: &mut Names) -> Head {
    Head {
        ts: 1,
        ts_first: None,
        ts_send: None,
        packet_ix: 1,
        msg_ix: 0,
        flow_id: 1,
        protocol: names.intern(b"fix.4.4").unwrap_or(Name(0)),
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: None,
        flags: 0,
        raw_off: Some(54),
        raw_len: 227,
        tcp_off: None,
        sender: None,
    }
}

/// Finds every message and its sum.
#[divan::bench]
fn scan(bencher: Bencher) {
    let stream = orders();
    bencher.counter(ItemsCount::new(MESSAGES)).counter(BytesCount::new(stream.len())).bench(|| {
        let mut at = 0;
        while let Scan::Message { len, .. } = framing::scan(black_box(&stream[at..])) {
            at += len;
        }
        assert_eq!(at, stream.len());
    });
}

/// Finds every message and fills its row.
#[divan::bench]
fn scan_and_decode(bencher: Bencher) {
    decode_all(bencher, &orders());
}

/// The same of many shapes.
#[divan::bench]
fn scan_and_decode_24_shapes(bencher: Bencher) {
    decode_all(bencher, &mixed());
}

fn decode_all(bencher: Bencher, stream: &[u8]) {
    let (mut names, mut batch) = (Names::new(), MessageBatch::new());
    let mut decoder = FixDecoder::new(FixConfig::default());
    let (head, user) = (head(&mut names), UserTags::trigger(9717));
    let counters = (ItemsCount::new(MESSAGES), BytesCount::new(stream.len()));
    bencher.counter(counters.0).counter(counters.1).bench_local(|| {
        batch.clear();
        let mut at = 0;
        while let Scan::Message { len, checksum_ok } = framing::scan(&stream[at..]) {
            assert!(checksum_ok);
            let msg = &stream[at..at + len];
            decoder.decode(msg, &head, &user, &mut batch, &mut names).unwrap();
            at += len;
        }
        assert_eq!(black_box(&batch).len(), MESSAGES);
    });
}
