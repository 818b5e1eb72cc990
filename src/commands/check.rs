//! `taptrail check`.

use crate::cli::CheckArgs;
use crate::commands::{hub, ship};
use crate::config::Config;
use taptrail_web::hub::tls::Loaded;

/// Reads the configuration and says what it found.
pub fn run(args: CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    config.library()?;
    if let Some(ship) = &config.ship {
        ship::target(ship, &config.dir, false)?;
    }
    if let Some(hub) = &config.hub {
        Loaded::read(&hub::options(hub, &config.dir).files)?;
    }
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
