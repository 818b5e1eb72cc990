//! `taptrail sim`: a simulated network's captures, config and truth.

use crate::cli::{FaultLevel, SimArgs};
use crate::progress::Progress;
use anyhow::bail;
use std::path::Path;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::output::Summary;
use taptrail_samples::sim::simulate;

/// Simulates into a directory and says what it wrote.
pub fn run(args: SimArgs) -> anyhow::Result<()> {
    if args.out.join("taptrail.toml").exists() {
        bail!("{}: holds a simulation already; name another directory", args.out.display());
    }
    let config = SimConfig {
        seed: args.seed,
        orders: args.orders.into(),
        rate_msgs_per_s: args.rate.into(),
        seconds: args.seconds.into(),
        faults: faults(args.faults),
        ..SimConfig::default()
    };
    let summary = write(&config, &args.out)?;
    println!(
        "{}: {} packets at {} points, {} orders; import with\n  {}",
        args.out.display(),
        summary.packets.iter().sum::<u64>(),
        summary.packets.len(),
        summary.orders,
        import_line(&args.out)?,
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

/// The captures of a simulation as POINT=FILE, in the order of the points.
pub fn captures(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((point, rest)) = name.split_once('.')
            && rest.starts_with("pcap")
        {
            found.push(format!("{point}={}", path.display()));
        }
    }
    found.sort();
    Ok(found)
}

fn import_line(dir: &Path) -> anyhow::Result<String> {
    let captures = captures(dir)?.join(" ");
    let config = dir.join("taptrail.toml");
    Ok(format!("taptrail import --store ./trail --config {} {captures}", config.display()))
}

fn faults(level: FaultLevel) -> Faults {
    match level {
        FaultLevel::None => Faults::None,
        FaultLevel::Light => Faults::Light,
        FaultLevel::Heavy => Faults::Heavy,
    }
}
