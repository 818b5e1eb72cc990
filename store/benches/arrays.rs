//! How many ITCH messages a second become finished Arrow batches of
//! `messages`: heads, engine and arrays, and the arrays alone.

#[path = "../../decoders/benches/itch/mod.rs"]
mod itch;

use divan::Bencher;
use divan::counter::ItemsCount;
use itch::{MESSAGES, Stream, decoder, fill};
use taptrail_decoders::batch::{BATCH_ROWS, MessageBatch};
use taptrail_decoders::names::Names;
use taptrail_store::arrays::messages::MessageArrays;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20)]
fn heads_engine_and_arrays(bencher: Bencher<'_, '_>) {
    let stream = Stream::new(MESSAGES);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let mut decoder = decoder(&mut names);
    let mut arrays = MessageArrays::new(1);
    let mut queued = Vec::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        for from in (0..MESSAGES).step_by(BATCH_ROWS) {
            fill(&stream, from, &mut batch, (&mut decoder, &mut names), &mut queued);
            divan::black_box(arrays.batch(&batch, &names).expect("names are the decoder's"));
        }
    });
}

#[divan::bench(sample_count = 20)]
fn arrays_alone(bencher: Bencher<'_, '_>) {
    let stream = Stream::new(BATCH_ROWS);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let mut decoder = decoder(&mut names);
    let mut arrays = MessageArrays::new(1);
    let mut queued = Vec::new();
    fill(&stream, 0, &mut batch, (&mut decoder, &mut names), &mut queued);
    bencher
        .counter(ItemsCount::new(BATCH_ROWS))
        .bench_local(|| arrays.batch(&batch, &names).expect("names are the decoder's"));
}
