//! `taptrail sim`: a simulated network's captures, config and truth.

use crate::cli::{Capture, FaultLevel, ScoreArgs, ScoreFormat, SimAction, SimArgs, SimNetwork};
use crate::progress::Progress;
use crate::score;
use anyhow::{Context, bail};
use std::path::Path;
use taptrail_capture::point::PointName;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::output::Summary;
use taptrail_samples::sim::simulate;
use taptrail_store::catalog::Store;

/// Simulates into a directory and says what it wrote, or scores a store.
pub fn run(args: SimArgs) -> anyhow::Result<()> {
    match args.action {
        Some(SimAction::Score(args)) => print_score(&args),
        None => network(args.network),
    }
}

fn print_score(args: &ScoreArgs) -> anyhow::Result<()> {
    let score = score::score(&Store::open(&args.store.store)?, &args.sim)?;
    match args.format {
        ScoreFormat::Text => print!("{}", score.text()),
        ScoreFormat::Json => println!("{}", serde_json::to_string_pretty(&score)?),
    }
    Ok(())
}

fn network(args: SimNetwork) -> anyhow::Result<()> {
    let out = args.out.context("needs --out DIR")?;
    if out.join("taptrail.toml").exists() {
        bail!("{}: holds a simulation already; name another directory", out.display());
    }
    let config = SimConfig {
        seed: args.seed.context("needs --seed N")?,
        orders: args.orders.into(),
        rate_msgs_per_s: args.rate.into(),
        seconds: args.seconds.into(),
        faults: faults(args.faults),
        troubles: args.with.into_iter().collect(),
        ..SimConfig::default()
    };
    config.check().map_err(anyhow::Error::msg)?;
    let summary = write(&config, &out)?;
    println!(
        "{}: {} packets at {} points, {} orders; import with\n  {}",
        out.display(),
        summary.packets.iter().sum::<u64>(),
        summary.packets.len(),
        summary.orders,
        import_line(&out)?,
    );
    Ok(())
}

/// Simulates into `dir` with a progress bar.
pub fn write(config: &SimConfig, dir: &Path) -> anyhow::Result<Summary> {
    let progress = Progress::new("simulating", 1000);
    let summary = simulate(config).write_to(dir, &mut |permille| progress.set(permille.into()))?;
    progress.finish();
    Ok(summary)
}

/// The captures of a simulation, in the order of the points.
pub fn captures(dir: &Path) -> anyhow::Result<Vec<Capture>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((point, rest)) = name.split_once('.')
            && (rest.starts_with("pcap") || rest == "erf")
            && let Ok(point) = PointName::try_from(point.to_string())
        {
            found.push(Capture { point, path });
        }
    }
    found.sort_by(|a, b| a.point.cmp(&b.point));
    Ok(found)
}

fn import_line(dir: &Path) -> anyhow::Result<String> {
    let config = dir.join("taptrail.toml");
    let mut line = format!("taptrail import --store ./trail --config {}", config.display());
    for capture in captures(dir)? {
        line.push_str(&format!(" {}={}", capture.point, capture.path.display()));
    }
    Ok(line)
}

fn faults(level: FaultLevel) -> Faults {
    match level {
        FaultLevel::None => Faults::None,
        FaultLevel::Light => Faults::Light,
        FaultLevel::Heavy => Faults::Heavy,
    }
}
