//! FAST fields a second: decoded with all previous values, columns filled.
//!
//! The template has the shape of a futures exchange's incremental refresh:
//! 7 fields and 3 entries of 19, about 60 bytes a message. Most fields are
//! made by operators and are not on the wire. The yardstick is 15 ns a field;
//! every field counts, on the wire or not.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::fast::decode::{FastDecoder, ResetPolicy};
use taptrail_decoders::fast::error::FastError;
use taptrail_decoders::fast::templates::Templates;
use taptrail_decoders::names::{Name, Names};

#[path = "streams/fast.rs"]
mod wire;
use wire::{ENTRIES, MESSAGES, TEMPLATE, message};

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
        protocol: names.intern(b"fast").unwrap_or(Name(0)),
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(42),
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}

struct Stream {
    messages: Vec<Vec<u8>>,
    templates: Arc<Templates>,
    fields: usize,
}

fn stream() -> Stream {
    let messages: Vec<Vec<u8>> = (0..MESSAGES as u64).map(message).collect();
    let templates = Arc::new(Templates::parse("bench", TEMPLATE).expect("a good template"));
    let mut decoder = FastDecoder::new(Arc::clone(&templates), ResetPolicy::Message);
    let mut fields = 0;
    for message in &messages {
        let (explained, len) = decoder.explain(message).expect("a good message");
        assert_eq!(len, message.len());
        fields += explained.fields.iter().filter(|field| field.name != "pmap").count();
    }
    Stream { messages, templates, fields }
}

/// Decodes the stream into one batch, emptied whenever it is full.
fn decode(stream: &Stream, decoder: &mut FastDecoder, batch: &mut MessageBatch, names: &mut Names) {
    let head = head(names);
    batch.clear();
    for message in &stream.messages {
        loop {
            match decoder.decode(black_box(message), &head, batch, names) {
                Err(FastError::Full) => batch.clear(),
                result => break assert!(result.is_ok()),
            }
        }
    }
}

#[divan::bench(sample_count = 1000)]
fn fields(bencher: Bencher) {
    run(bencher, |stream| stream.fields);
}

#[divan::bench(sample_count = 1000)]
fn entries(bencher: Bencher) {
    run(bencher, |_| MESSAGES * ENTRIES);
}

fn run(bencher: Bencher, items: impl Fn(&Stream) -> usize) {
    let stream = stream();
    let bytes: usize = stream.messages.iter().map(Vec::len).sum();
    let mut decoder = FastDecoder::new(Arc::clone(&stream.templates), ResetPolicy::Message);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    bencher
        .counter(ItemsCount::new(items(&stream)))
        .counter(BytesCount::new(bytes))
        .bench_local(|| decode(&stream, &mut decoder, &mut batch, &mut names));
}
