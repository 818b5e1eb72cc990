//! FIX messages a second: cut, checked, every column filled.
//!
//! The message is a new order of 227 bytes; the yardstick is 3 M of them a
//! second on one core.

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
        let mut msg = format!("8=FIX.4.4\x019={}\x01{body}", body.len()).into_bytes();
        let sum = framing::checksum(&msg);
        msg.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
        assert_eq!(msg.len(), 227, "the yardstick's size");
        stream.extend_from_slice(&msg);
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
    let stream = orders();
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
