//! `taptrail demo`: the main job on embedded defaults.

use crate::cli::{DemoArgs, ReportFormat};
use crate::commands::{correlate, import::Importer, report, serve, sim};
use crate::config::Config;
use anyhow::bail;
use std::path::Path;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_store::catalog::Store;

/// Simulates a trading network, imports what its seven points captured,
/// correlates, reports, and serves the dashboard.
pub fn run(args: DemoArgs) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("taptrail-demo-").tempdir()?;
    let dir = args.store.clone().unwrap_or_else(|| scratch.path().join("trail"));
    let store = Store::open_or_create(&dir)?;
    // Fields of stored messages are explained with the network's templates, so
    // they stay where the store stays.
    let network = match &args.store {
        Some(store) => store.with_extension("network"),
        None => scratch.path().join("network"),
    };
    fill(&store, &network, &args)?;
    report::print(&store, &[], &[], ReportFormat::Text)?;
    if args.once {
        return Ok(());
    }
    serve::serve(store, args.listen)
}

fn fill(store: &Store, network: &Path, args: &DemoArgs) -> anyhow::Result<()> {
    let simulated = SimConfig {
        seed: args.seed,
        orders: args.orders.into(),
        faults: Faults::Light,
        ..SimConfig::default()
    };
    println!("simulating a trading network with seven capture points");
    let summary = sim::write(&simulated, network)?;
    println!(
        "{} orders sent, {} packets captured",
        summary.orders,
        summary.packets.iter().sum::<u64>()
    );
    let config = Config::load(Some(&network.join("taptrail.toml")))?;
    let failed = Importer::new(&config)?.all(store, &sim::captures(network)?);
    if failed > 0 {
        bail!("{failed} captures could not be imported, see above");
    }
    correlate::if_stale(store, &config, true)
}
