//! `taptrail correlate`: links, losses, latencies and orders from the messages.

use crate::cli::CorrelateArgs;
use crate::config::Config;
use crate::progress::Progress;
use crate::runtime::{runtime, stop_signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use taptrail_correlate::follow::{COMMIT_EVERY, Follower, is_passing};
use taptrail_correlate::run::{Outcome, correlate};
use taptrail_store::catalog::Store;

/// Between two looks at whether to stop, or something is new.
const TICK: Duration = Duration::from_millis(20);

/// Between two looks at what there is, where nothing says that it changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After an error that does not pass by itself.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A point may take this long to show what it captured, besides two segments.
const PATIENCE: Duration = Duration::from_secs(10);

/// Correlates everything in the store anew, or what comes.
pub fn run(args: CorrelateArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let store = Store::open(&args.store.store)?;
    if !args.follow {
        return all(&store, &config);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = runtime()?;
    let stopped = Arc::clone(&stop);
    runtime.spawn(async move {
        stop_signal().await;
        stopped.store(true, Ordering::Relaxed);
    });
    follow(&store, &config, &stop);
    Ok(())
}

/// Correlates where the links are older than the messages, or, where a
/// configuration is given, made with another one.
pub fn if_stale(store: &Store, config: &Config, configured: bool) -> anyhow::Result<()> {
    let catalog = store.catalog()?;
    let made_with = catalog.correlate.as_ref().map(|made| made.config_hash.clone());
    let hash = if configured { config.hash.clone() } else { made_with.unwrap_or_default() };
    if catalog.imports.is_empty() || catalog.is_correlated(&hash) {
        return Ok(());
    }
    all(store, config)
}

fn all(store: &Store, config: &Config) -> anyhow::Result<()> {
    let bar = Progress::new("correlating", 0);
    let (settings, points) = (&config.settings, &config.points);
    let mut progress = |at: taptrail_correlate::run::Progress| bar.set_of(at.messages, at.of);
    let outcome = correlate(store, settings, points, &config.hash, &mut progress);
    bar.finish();
    tell(&outcome?);
    Ok(())
}

/// Correlates what comes until told to stop. What goes wrong is said, and tried
/// again.
pub fn follow(store: &Store, config: &Config, stop: &AtomicBool) {
    let segments = Duration::from_secs(config.capture.segment_s.into()).saturating_mul(2);
    let patience = segments.saturating_add(PATIENCE);
    let (settings, points) = (&config.settings, &config.points);
    let mut follower = Follower::new(store, settings, points, &config.hash, patience);
    let mut next = Instant::now();
    let (mut changed, mut looked) = (store.changed(), None::<Instant>);
    while !stop.load(Ordering::Relaxed) {
        let now = store.changed();
        let late = looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if Instant::now() < next || now == changed && !late {
            std::thread::sleep(TICK);
            continue;
        }
        (changed, looked) = (now, Some(Instant::now()));
        next = Instant::now() + COMMIT_EVERY;
        if let Err(error) = follower.round()
            && !is_passing(&error)
        {
            eprintln!("taptrail: correlating: {error}; trying again");
            next += RETRY_AFTER;
        }
    }
    if let Err(error) = follower.finish() {
        eprintln!("taptrail: correlating: {error}");
    }
}

fn tell(outcome: &Outcome) {
    println!(
        "correlated: {} links, {} orders, {} losses",
        outcome.links, outcome.orders, outcome.losses
    );
    for (count, what) in outcome.counters.noticed() {
        println!("correlated: {count} x {what}");
    }
}
