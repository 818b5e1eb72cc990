//! `taptrail correlate`: links, losses, latencies and orders from the messages.

use crate::cli::CorrelateArgs;
use crate::config::Config;
use crate::progress::Progress;
use taptrail_correlate::run::{Outcome, correlate};
use taptrail_store::catalog::Store;

/// Correlates everything in the store anew.
pub fn run(args: CorrelateArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let store = Store::open(&args.store.store)?;
    all(&store, &config)
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

fn tell(outcome: &Outcome) {
    println!(
        "correlated: {} links, {} orders, {} losses",
        outcome.links, outcome.orders, outcome.losses
    );
}
