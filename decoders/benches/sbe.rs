//! SBE entries a second into column buffers: an incremental book refresh with
//! the shape of a futures exchange's market by price, 2 entries of 32 bytes a
//! message, and the same with the orders behind them. The yardstick is 100 ns
//! an entry.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::names::{Name, Names};
use taptrail_decoders::sbe::decode::SbeDecoder;
use taptrail_decoders::sbe::overlay::Overlay;
use taptrail_decoders::sbe::protocol::SbeProtocol;
use taptrail_decoders::sbe::shape::Schema;

#[path = "streams/sbe.rs"]
mod wire;
use wire::{ENTRIES, MESSAGES, OVERLAY, SCHEMA, message};

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
        protocol: names.intern(b"bench.book").unwrap_or(Name(0)),
        line: None,
        session: None,
        channel: Some(310),
        seq: None,
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(42),
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}

/// Levels alone.
#[divan::bench(sample_count = 1000)]
fn book_entries(bencher: Bencher) {
    run(bencher, 0);
}

/// Levels, and as many orders.
#[divan::bench(sample_count = 1000)]
fn book_and_order_entries(bencher: Bencher) {
    run(bencher, ENTRIES);
}

fn run(bencher: Bencher, orders: usize) {
    let messages: Vec<Vec<u8>> = (0..MESSAGES as u64).map(|n| message(n, orders)).collect();
    let schema = Schema::parse("bench", SCHEMA).expect("a good schema");
    let overlay = Overlay::parse("bench", OVERLAY).expect("a good overlay");
    let protocol = Arc::new(SbeProtocol::new(overlay, &[schema]));
    assert!(messages.iter().all(|message| protocol.knows(message, None)));
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let mut decoder = SbeDecoder::new(protocol, false, &mut names);
    let head = head(&mut names);
    bencher
        .counter(ItemsCount::new(MESSAGES * (ENTRIES + orders)))
        .counter(BytesCount::new(messages.iter().map(Vec::len).sum::<usize>()))
        .bench_local(|| {
            batch.clear();
            for message in &messages {
                let done = decoder.decode(black_box(message), &head, 1, &mut batch, &mut names);
                assert!(done.is_ok());
            }
            batch.len()
        });
}
