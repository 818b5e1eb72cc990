//! Messages while they are captured: a thread for each point that decodes what was just
//! written and shows it piece by piece, until the segment is sealed.

use crate::commands::import::Importer;
use crate::config::Config;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use taptrail_capture::node::RunningPoint;
use taptrail_capture::node::tail::{Tail, Told};
use taptrail_store::catalog::Store;
use taptrail_store::error::StoreError;
use taptrail_store::import::live::LiveDecoder;

/// Longest wait where nothing is to be shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Starts the threads, as far as points tell what they write. They end with their
/// points.
pub(super) fn start(
    config: &Config,
    store: &Store,
    points: &mut [RunningPoint],
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let names: Vec<String> = points.iter().map(|point| point.options.point.to_string()).collect();
    store.clean_live(&names, true)?;
    let importer = Importer::new(config)?;
    let mut threads = Vec::new();
    for point in points {
        let Some(tail) = point.take_tail() else { continue };
        let name = point.options.point.clone();
        let (at, decoders) = (config.point(&name), importer.decoders());
        let decoder = LiveDecoder::new(store, &at, decoders, &config.hash)?;
        threads.push(std::thread::spawn(move || run(name.as_str(), decoder, &tail)));
    }
    Ok(threads)
}

fn run(point: &str, mut decoder: LiveDecoder, tail: &Tail) {
    let mut last = String::new();
    loop {
        let wait = decoder.due().map(|due| due.saturating_duration_since(Instant::now()));
        let Ok(told) = tail.next(wait.unwrap_or(PATIENCE)) else { break };
        let mut done = match told {
            Some(told) => take(&mut decoder, tail, told),
            None => Ok(()),
        };
        if done.is_ok() && decoder.due().is_some_and(|due| due <= Instant::now()) {
            done = decoder.show();
        }
        if let Err(error) = done {
            // Its messages come with the sealed segment.
            let text = format!("taptrail: {point}: not shown before it is sealed: {error}");
            if text != last {
                eprintln!("{text}");
            }
            last = text;
        }
    }
}

fn take(decoder: &mut LiveDecoder, tail: &Tail, told: Told) -> Result<(), StoreError> {
    match told {
        Told::Opened(segment) => decoder.open(&segment),
        Told::Packets(mut batch) => {
            let taken = decoder.packets(&mut batch);
            tail.give_back(batch);
            return taken;
        }
        Told::Quiet(ts) => decoder.quiet(ts),
        Told::Closed => return decoder.close(),
    }
    Ok(())
}
