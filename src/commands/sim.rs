//! `taptrail sim`: a simulated network's captures, config and truth.

use crate::cli::{Capture, FaultLevel, SimArgs};
use crate::progress::Progress;
use anyhow::bail;
use std::path::Path;
use taptrail_capture::point::PointName;
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

/// The captures of a simulation, in the order of the points.
pub fn captures(dir: &Path) -> anyhow::Result<Vec<Capture>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((point, rest)) = name.split_once('.')
            && rest.starts_with("pcap")
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
