//! How many messages a second of each shipped protocol become rows, from
//! messages made up from its file.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use std::ops::Range;
use taptrail_decoders::batch::{BATCH_ROWS, Head, MessageBatch};
use taptrail_decoders::decoder::FILL_ROWS;
use taptrail_decoders::fixed::catalog;
use taptrail_decoders::fixed::decoder::{FixedDecoder, Queued, Seen};
use taptrail_decoders::fixed::encode::{Dice, MOMENT_NS, Seeded, message};
use taptrail_decoders::fixed::protocol::FixedProtocol;
use taptrail_decoders::kind::{Kind, Sender};
use taptrail_decoders::names::{Name, Names};

/// Messages of one sample.
const MESSAGES: usize = 16 * BATCH_ROWS;

/// Different ones among them: symbols and the like come again and again.
const DIFFERENT: usize = 512;

fn main() {
    divan::main();
}

fn ids() -> Vec<&'static str> {
    catalog::embedded().iter().map(|protocol| protocol.id()).collect()
}

/// Messages one after the other, as on the wire.
struct Stream {
    bytes: Vec<u8>,
    messages: Vec<(Range<usize>, Option<Sender>)>,
}

/// Market events, requests and answers are far more frequent than what only
/// happens at the edges of a day.
fn weight(kind: Kind) -> usize {
    let rare = (Kind::BookClear as u8..=Kind::Reject as u8).contains(&(kind as u8));
    if rare || kind == Kind::Admin { 1 } else { 200 }
}

fn stream(protocol: &FixedProtocol) -> Stream {
    let mut dice = Seeded(11);
    let often: Vec<usize> = protocol
        .layouts
        .iter()
        .enumerate()
        .filter(|(_, layout)| layout.full)
        .flat_map(|(at, layout)| std::iter::repeat_n(at, weight(layout.kind)))
        .collect();
    let pick = |dice: &mut Seeded| {
        let at = often[dice.below(often.len() as u64) as usize];
        let layout = &protocol.layouts[at];
        (message(protocol, layout, dice), layout.sender)
    };
    let pool: Vec<_> = (0..DIFFERENT).map(|_| pick(&mut dice)).collect();
    let mut stream = Stream { bytes: Vec::new(), messages: Vec::new() };
    for _ in 0..MESSAGES {
        let (body, sender) = &pool[dice.below(DIFFERENT as u64) as usize];
        let start = stream.bytes.len();
        stream.bytes.extend(body);
        stream.messages.push((start..stream.bytes.len(), *sender));
    }
    stream
}

fn head(len: usize) -> Head {
    Head {
        ts: MOMENT_NS as i64,
        ts_first: None,
        ts_send: None,
        packet_ix: 0,
        msg_ix: 0,
        flow_id: 1,
        protocol: Name(0),
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(62),
        raw_len: len as u32,
        tcp_off: None,
        sender: None,
    }
}

/// Pushes rows and fills them, as many at a time as the pipeline does.
fn decode(
    stream: &Stream,
    decoder: &mut FixedDecoder,
    batch: &mut MessageBatch,
    names: &mut Names,
) {
    let has_rows = decoder.protocol().has_rows;
    let mut queued = Vec::new();
    batch.clear();
    for (range, sender) in &stream.messages {
        let body = &stream.bytes[range.clone()];
        let seen = if has_rows { decoder.look(body, *sender) } else { Seen::NOTHING };
        let is_full = batch.room() < usize::from(seen.rows);
        if is_full || queued.len() >= FILL_ROWS {
            decoder.decode(&queued, batch, names);
            queued.clear();
        }
        if is_full {
            batch.clear();
        }
        let row = batch.len() as u32;
        for entry in 0..seen.rows {
            batch.push(&head(body.len()), entry, Name(0));
        }
        queued.push(Queued { row, body, scope: 1, sender: *sender, seen });
    }
    decoder.decode(&queued, batch, names);
}

#[divan::bench(args = ids(), sample_count = 10)]
fn push_and_engine(bencher: Bencher<'_, '_>, id: &str) {
    let protocol = catalog::by_id(id).expect("shipped");
    let stream = stream(&protocol);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(id.as_bytes());
    let mut decoder = FixedDecoder::new(protocol, &mut names);
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .counter(BytesCount::new(stream.bytes.len()))
        .bench_local(|| decode(&stream, &mut decoder, &mut batch, &mut names));
}
