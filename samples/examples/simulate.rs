//! Writes a simulated day: `simulate DIR [SEED [ORDERS [RATE [SECONDS [FAULTS]]]]]`.

use std::path::PathBuf;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::sim::simulate;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = PathBuf::from(args.first().ok_or("needs a folder to write to")?);
    let mut config = SimConfig::default();
    let number = |index: usize, default: u64| {
        args.get(index).map_or(Ok(default), |text| text.parse::<u64>())
    };
    config.seed = number(1, config.seed)?;
    config.orders = number(2, config.orders)?;
    config.rate_msgs_per_s = number(3, config.rate_msgs_per_s)?;
    config.seconds = number(4, config.seconds)?;
    config.faults = args.get(5).map_or(Ok(Faults::None), |text| text.parse())?;
    let summary = simulate(&config).write_to(&dir, &mut |_| ())?;
    println!("{summary:?}");
    Ok(())
}
