//! `taptrail check`.

use crate::cli::CheckArgs;
use crate::config::Config;

/// Reads the configuration and says what it found.
pub fn run(args: CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    config.library()?;
    println!(
        "{}: ok ({} points, {} feeds, {} sessions, {} hops, {} clocks)",
        args.config.display(),
        config.points.len(),
        config.decoder.feeds.len(),
        config.decoder.sessions.len(),
        config.settings.hops.len(),
        config.settings.clocks.len(),
    );
    Ok(())
}
