//! How many ITCH messages a second become rows: pushing the heads as a framing
//! does, the engine alone, and both.

mod itch;

use divan::Bencher;
use divan::counter::ItemsCount;
use itch::{MESSAGES, Stream, decoder, fill, push, queue};
use taptrail_decoders::batch::{BATCH_ROWS, MessageBatch};
use taptrail_decoders::decoder::FILL_ROWS;
use taptrail_decoders::names::Names;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20)]
fn push_heads(bencher: Bencher<'_, '_>) {
    let stream = Stream::new(MESSAGES);
    let mut batch = MessageBatch::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        for from in (0..MESSAGES).step_by(BATCH_ROWS) {
            batch.clear();
            push(&stream, from..from + BATCH_ROWS, &mut batch);
        }
        batch.len()
    });
}

#[divan::bench(sample_count = 20)]
fn engine(bencher: Bencher<'_, '_>) {
    let stream = Stream::new(MESSAGES);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let mut decoder = decoder(&mut names);
    push(&stream, 0..FILL_ROWS, &mut batch);
    let mut queued = Vec::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        for from in (0..MESSAGES).step_by(FILL_ROWS) {
            queue(&stream, from..from + FILL_ROWS, 0, &mut queued);
            decoder.decode(&queued, &mut batch, &mut names);
        }
        batch.len()
    });
}

#[divan::bench(sample_count = 20)]
fn push_and_engine(bencher: Bencher<'_, '_>) {
    let stream = Stream::new(MESSAGES);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let mut decoder = decoder(&mut names);
    let mut queued = Vec::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        for from in (0..MESSAGES).step_by(BATCH_ROWS) {
            fill(&stream, from, &mut batch, (&mut decoder, &mut names), &mut queued);
        }
        batch.len()
    });
}
