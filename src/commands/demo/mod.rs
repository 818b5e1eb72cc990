//! `taptrail demo`: the main job on embedded defaults.
//!
//! ```text
//! simulated site, in real time ─▶ wires (namespace, virtual interfaces) ─┐
//!                              └▶ where that may not be: in process ─────┤
//!       dashboard ◀─ follow ◀─ store ◀─ `taptrail capture`'s own node ◀──┘
//! ```
//!
//! With `--once` a day that is over is imported instead, and its report printed.

mod play;
mod wires;

use crate::cli::{DemoArgs, ReportFormat};
use crate::commands::capture::{Feeds, node};
use crate::commands::{correlate, import::Importer, report, serve, sim};
use crate::config::Config;
use crate::runtime::{stop_flag, until_set};
use anyhow::{Context, bail};
use play::{InProcess, OnWires, in_process, play};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use taptrail_capture::source::PacketSource;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::encode::fast::BUS_TEMPLATES;
use taptrail_samples::live::LiveSite;
use taptrail_samples::points::POINTS;
use taptrail_samples::site_config::{self, BUS_TEMPLATES_FILE, SCHEMAS_DIR};
use taptrail_store::catalog::Store;
use wires::Wires;

/// What the names of a demo's directory and namespace begin with; the process follows.
const PREFIX: &str = "taptrail-demo-";

/// The configuration of the site, beside its store.
const CONFIG: &str = "taptrail.toml";

/// What the running node says goes here, beside the configuration.
const LOG: &str = "node.log";

/// Between two looks for the first numbers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Longest wait for a node to seal what it holds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a demo keeps what.
struct Place {
    store: PathBuf,
    /// Configuration and templates: fields of stored messages are explained with them, so
    /// they stay where the store stays.
    network: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Place {
    fn new(args: &DemoArgs) -> anyhow::Result<Self> {
        remove_leftovers();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let store = args.store.clone().unwrap_or_else(|| scratch.path().join("trail"));
        let network = match &args.store {
            Some(store) => store.with_extension("network"),
            None => scratch.path().join("network"),
        };
        Ok(Self { store, network, _scratch: scratch })
    }
}

/// Removes what demos that were killed left in the system's directory for such.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.rsplit_once('-').is_some_and(|(name, _)| is_of_the_dead(name)) {
            // It may be somebody else's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a name is one of a demo whose process is gone.
fn is_of_the_dead(name: &str) -> bool {
    let process = name.strip_prefix(PREFIX).and_then(|pid| pid.parse::<u32>().ok());
    process.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// Trades live until stopped, or once.
pub fn run(args: DemoArgs) -> anyhow::Result<()> {
    if let Some(network) = &args.inside {
        return inside(network, &args);
    }
    // Before there is anything to take away again.
    let stop = if args.once { None } else { Some(stop_flag()?) };
    let place = Place::new(&args)?;
    let store = Store::open_or_create(&place.store)?;
    if let Some(stop) = stop {
        return live(&place, &store, &args, stop);
    }
    fill(&store, &place.network, &args)?;
    report::print(&store, &[], &[], ReportFormat::Text)
}

fn sim_config(args: &DemoArgs) -> SimConfig {
    SimConfig {
        seed: args.seed,
        rate_msgs_per_s: args.rate.into(),
        faults: Faults::Light,
        trailers: true,
        ..SimConfig::default()
    }
}

/// A day that is over, imported.
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
    let config = Config::load(Some(&network.join(CONFIG)))?;
    let failed = Importer::new(&config)?.all(store, &sim::captures(network)?);
    if failed > 0 {
        bail!("{failed} captures could not be imported, see above");
    }
    correlate::if_stale(store, &config, true)
}

/// Trades, captures, follows and serves until told to stop.
fn live(
    place: &Place,
    store: &Store,
    args: &DemoArgs,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut site = LiveSite::begin(&sim_config(args), args.orders_per_s.into());
    write_config(place, &mut site, args)?;
    let config = Config::load(Some(&place.network.join(CONFIG)))?;
    let wires = if args.no_wires { Err("--no-wires".to_owned()) } else { Wires::new() };
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    let running = match wires {
        Ok(wires) => {
            println!(
                "a simulated trading network trades live on wires of its own: seven pairs of \
                 virtual interfaces in the network namespace {}",
                wires.namespace()
            );
            Running::on_wires(wires, place, args)?
        }
        Err(reason) => {
            println!(
                "a simulated trading network trades live in this process ({reason}): its packets \
                 go straight into the readers of a node; as root they go over wires"
            );
            Running::in_process(&config, place, site)?
        }
    };
    println!("its node keeps at most {} MiB in {}", args.keep_mib, place.store.display());
    let over = Arc::new(AtomicBool::new(false));
    let first = tell_first_numbers(store.clone(), Arc::clone(&over));
    let served = serve::serve_and_follow(store.clone(), &config, args.listen, until_set(stop));
    over.store(true, Ordering::Relaxed);
    // It only looks.
    let _ = first.join();
    let stopped = running.stop();
    served?;
    stopped?;
    if store.catalog()?.correlate.is_none() {
        println!("it was stopped before there were numbers");
        return Ok(());
    }
    report::print(store, &[], &[], ReportFormat::Text)
}

/// The site's configuration with what makes its points live.
fn write_config(place: &Place, site: &mut LiveSite, args: &DemoArgs) -> anyhow::Result<()> {
    let schemas = place.network.join(SCHEMAS_DIR);
    fs::create_dir_all(&schemas).with_context(|| schemas.display().to_string())?;
    fs::write(schemas.join(BUS_TEMPLATES_FILE), BUS_TEMPLATES)?;
    let mut text = site_config::text(site.simulation());
    for point in POINTS {
        let name = format!("name = \"{}\"\n", point.name);
        text = text.replacen(&name, &format!("{name}interface = \"{}\"\n", point.name), 1);
    }
    text += &format!(
        "\n[capture]\nsegment_s = 5\nbuffer_mib = 16\ndrop_privileges = false\n\n\
         [retention]\nmax_mib = {}\n\n[correlate]\nwindow_ms = 200\n",
        args.keep_mib
    );
    fs::write(place.network.join(CONFIG), text)?;
    Ok(())
}

/// A node that captures what is played.
enum Running {
    /// In a process inside the namespace.
    OnWires { child: Child, log: PathBuf, _wires: Wires },
    /// In threads of this one.
    InProcess {
        stop: Arc<AtomicBool>,
        player: JoinHandle<()>,
        node: JoinHandle<anyhow::Result<()>>,
    },
}

impl Running {
    fn on_wires(wires: Wires, place: &Place, args: &DemoArgs) -> anyhow::Result<Self> {
        let log = place.network.join(LOG);
        let mut command = wires.command(&std::env::current_exe()?);
        command.args(["demo", "--inside"]).arg(&place.network);
        command.arg("--store").arg(&place.store);
        command.args(["--seed", &args.seed.to_string(), "--rate", &args.rate.to_string()]);
        command.args(["--orders-per-s", &args.orders_per_s.to_string()]);
        // It ends when its input does, so that it never outlives this process.
        let child = command
            // Nor does Ctrl-C reach it: it seals what it holds once this process ends it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("ip netns exec")?;
        Ok(Self::OnWires { child, log, _wires: wires })
    }

    fn in_process(config: &Config, place: &Place, mut site: LiveSite) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut taps, feds): (InProcess, _) = in_process();
        let feeds = POINTS.iter().zip(feds).map(|(point, fed)| {
            (point.name.to_owned(), Box::new(fed) as Box<dyn PacketSource + Send>)
        });
        let feeds: Feeds = feeds.collect();
        let (store, config, stopped) = (place.store.clone(), config.clone(), Arc::clone(&stop));
        let node = std::thread::spawn(move || node(&config, None, &store, stopped, feeds));
        let stopped = Arc::clone(&stop);
        let player = std::thread::spawn(move || play(&mut site, &mut taps, &stopped));
        Ok(Self::InProcess { stop, player, node })
    }

    /// Lets the node seal what it holds.
    fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::OnWires { mut child, log, _wires } => {
                drop(child.stdin.take());
                let start = Instant::now();
                let status = loop {
                    if let Some(status) = child.try_wait()? {
                        break status;
                    }
                    if start.elapsed() > PATIENCE {
                        child.kill()?;
                        bail!("the node did not stop; see {}", log.display());
                    }
                    std::thread::sleep(LOOK_EVERY);
                };
                if !status.success() {
                    let said = fs::read_to_string(&log).unwrap_or_default();
                    bail!("the node: {}", said.lines().last().unwrap_or("ended with an error"));
                }
                Ok(())
            }
            Self::InProcess { stop, player, node } => {
                stop.store(true, Ordering::Relaxed);
                let played = player.join();
                let sealed = node.join();
                if played.is_err() {
                    bail!("the simulation broke down");
                }
                sealed.unwrap_or_else(|_| bail!("the node broke down"))
            }
        }
    }
}

/// Inside the namespace: plays onto the wires and runs the node that captures there,
/// until its standard input ends.
fn inside(network: &Path, args: &DemoArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&network.join(CONFIG)))?;
    let store = args.store.as_deref().context("needs --store")?;
    let mut taps = OnWires::open()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        stopped.store(true, Ordering::Relaxed);
    });
    let stopped = Arc::clone(&stop);
    let mut site = LiveSite::begin(&sim_config(args), args.orders_per_s.into());
    let player = std::thread::spawn(move || play(&mut site, &mut taps, &stopped));
    let captured = node(&config, None, store, Arc::clone(&stop), Feeds::new());
    stop.store(true, Ordering::Relaxed);
    // It only sends.
    let _ = player.join();
    captured
}

/// Says once how soon numbers came.
fn tell_first_numbers(store: Store, over: Arc<AtomicBool>) -> JoinHandle<()> {
    let start = Instant::now();
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let links = store
                .catalog()
                .ok()
                .and_then(|catalog| catalog.correlate)
                .map(|told| told.files_of("links").map(|file| file.rows).sum::<u64>());
            if let Some(links) = links.filter(|&links| links > 0) {
                let s = start.elapsed().as_secs_f32();
                return println!("first numbers after {s:.1} s: {links} links");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    })
}
