//! `taptrail hub`: takes what nodes ship, and serves the dashboard over all of it.
//!
//! ```text
//! nodes ──TLS──▶ [hub] listen ─▶ store ◀─ retention, correlation of what comes
//!                                  └────▶ dashboard at [serve] listen
//! ```

use crate::cli::HubArgs;
use crate::commands::correlate;
use crate::config::{Config, HubConfig};
use crate::runtime::{runtime, stop_signal};
use anyhow::Context;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use taptrail_store::catalog::Store;
use taptrail_store::import::LOCK_PATIENCE;
use taptrail_store::ship::inbox::Limits;
use taptrail_web::hub::tls::Files;
use taptrail_web::hub::{HubOptions, HubServer};
use taptrail_web::server::{LISTEN, ServeOptions, Server};

/// Between two looks at what is too old or too much.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// Between two looks at whether to stop.
const TICK: Duration = Duration::from_millis(100);

/// Takes and serves until SIGINT or SIGTERM.
pub fn run(args: HubArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    let hub = config.hub.clone();
    let hub = hub.with_context(|| format!("{}: no [hub] in it", args.config.display()))?;
    let store = Store::open_or_create(&args.store.store)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| retain_now_and_then(&config, &store, &stop));
        if hub.correlate {
            scope.spawn(|| correlate_what_comes(&config, &store, &stop));
        }
        let served = serve(&config, &hub, &store);
        stop.store(true, Ordering::Relaxed);
        served
    })
}

/// Answers nodes and browsers until told to stop.
fn serve(config: &Config, hub: &HubConfig, store: &Store) -> anyhow::Result<()> {
    let listen = config.serve.listen.unwrap_or(LISTEN);
    runtime()?.block_on(async {
        let server = HubServer::bind(store, &options(hub, &config.dir)).await?;
        let probe = Some(server.probe());
        let dashboard = ServeOptions { listen, probe, ..ServeOptions::default() };
        let dashboard = Server::bind(store.clone(), &dashboard).await?;
        println!("hub: https://{}", server.address());
        println!("dashboard: http://{}/  (Ctrl-C ends)", dashboard.address());
        if !listen.ip().is_loopback() {
            eprintln!("taptrail: warning: whoever reaches {listen} can read the store");
        }
        tokio::select! {
            ended = server.run(std::future::pending()) => ended?,
            ended = dashboard.run(stop_signal()) => ended?,
        }
        Ok(())
    })
}

/// How the hub listens; relative paths start at `base`.
pub fn options(hub: &HubConfig, base: &Path) -> HubOptions {
    let mib = |mib: u64| mib.saturating_mul(1 << 20);
    HubOptions {
        listen: hub.listen,
        files: Files {
            ca: base.join(&hub.ca),
            certificate: base.join(&hub.certificate),
            key: base.join(&hub.key),
        },
        nodes: hub.nodes.clone(),
        limits: Limits { node_bytes: mib(hub.incoming_mib), keep_free: mib(hub.keep_free_mib) },
    }
}

fn correlate_what_comes(config: &Config, store: &Store, stop: &AtomicBool) {
    tell("correlating", correlate::if_stale(store, config, true));
    correlate::follow(store, config, stop);
}

fn retain_now_and_then(config: &Config, store: &Store, stop: &AtomicBool) {
    let mut retained = None::<Instant>;
    while !stop.load(Ordering::Relaxed) {
        if retained.is_none_or(|at| at.elapsed() >= RETAIN_EVERY) {
            retained = Some(Instant::now());
            tell("retention", retain(config, store));
        }
        std::thread::sleep(TICK);
    }
}

fn tell(what: &str, done: anyhow::Result<()>) {
    if let Err(error) = done {
        eprintln!("taptrail: {what}: {error:#}");
    }
}

fn retain(config: &Config, store: &Store) -> anyhow::Result<()> {
    let retention = &config.retention;
    if !retention.is_set() {
        return Ok(());
    }
    let needed = retention.needed(store.free_bytes()?);
    let lock = store.lock_within(LOCK_PATIENCE)?;
    let removed = lock.retain(retention.limits(true), needed, SystemTime::now())?;
    if removed.captures > 0 {
        let (captures, bytes) = (removed.captures, removed.bytes);
        eprintln!("taptrail: retention: {captures} captures removed, {bytes} bytes");
    }
    Ok(())
}
