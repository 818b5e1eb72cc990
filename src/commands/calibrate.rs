//! `taptrail calibrate`: one signal seen at two points becomes configuration.

use crate::cli::CalibrateArgs;
use crate::config::Config;
use anyhow::bail;
use taptrail_correlate::calibrate::{SAMPLES_MIN, clocks, floor_ns, passages};
use taptrail_correlate::points::{Points, STAMP_NOISE_NS};
use taptrail_store::catalog::Store;

/// Prints a `[[clock]]` or the `floor_ns` of a `[[hop]]`.
pub fn run(args: CalibrateArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let store = Store::open(&args.store.store)?;
    let (from, to) = (args.from.as_str(), args.to.as_str());
    let passages = passages(&store, from, to)?;
    if passages.is_empty() {
        bail!("no message was linked from {from} to {to}: correlate the store first");
    }
    let points = Points::new(&config.points, &[from, to]);
    let facts = |name: &str| points.find(name).and_then(|ix| points.all().get(usize::from(ix)));
    let noise = |name: &str| facts(name).map_or(STAMP_NOISE_NS, |facts| facts.noise_ns);
    let clock = |name: &str| facts(name).map_or("", |facts| &facts.clock).to_owned();
    let noise_ns = noise(from) + noise(to);
    if clock(from) == clock(to) {
        let floor = floor_ns(&passages, noise_ns).unwrap_or(0);
        println!("# {} messages, one clock: the quickest less {noise_ns} ns", passages.len());
        println!("[[hop]]\nfrom = \"{from}\"\nto = \"{to}\"\nfloor_ns = {floor}");
        return Ok(());
    }
    let Some(found) = clocks(&passages, args.delay_ns) else {
        bail!(
            "{} messages from {from} to {to}: needs {SAMPLES_MIN} to draw a line",
            passages.len()
        );
    };
    println!(
        "# {} messages, {} left out as delayed. Right where one signal",
        found.used, found.far
    );
    println!("# reaches {to} {} ns after {from}, by cables that you know.", args.delay_ns);
    println!("[[clock]]\nname = \"{}\"\nreference = \"{}\"", clock(to), clock(from));
    println!("offset_ns = {}\nbound_ns = {}", found.offset_ns, found.residual_ns + noise_ns);
    println!("drift_ppb = {}\nat = {}", found.drift_ppb, found.at);
    Ok(())
}
