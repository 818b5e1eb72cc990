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

#[path = "streams/fix.rs"]
mod wire;
use wire::{MESSAGES, mixed, orders};

fn main() {
    divan::main();
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
