//! `taptrail serve`: the dashboard, and correlation of what comes.

use crate::cli::ServeArgs;
use crate::commands::correlate;
use crate::config::Config;
use crate::runtime::{runtime, stop_signal};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use taptrail_store::catalog::Store;
use taptrail_web::server::{LISTEN, ServeOptions, Server};

/// Correlates what is new, then serves, and goes on with what comes, until told
/// to stop.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let store = Store::open(&args.store.store)?;
    let listen = args.listen.or(config.serve.listen).unwrap_or(LISTEN);
    if args.no_correlate {
        return serve(store, listen, stop_signal());
    }
    let configured = args.config.config.is_some();
    correlate::if_stale(&store, &config, configured)?;
    // With another configuration than the tables were made with it would undo them.
    let made = store.catalog()?.correlate;
    if configured || made.is_none_or(|made| made.config_hash == config.hash) {
        return serve_and_follow(store, &config, listen, stop_signal());
    }
    serve(store, listen, stop_signal())
}

/// Serves a store while what comes is correlated, until `stopped` ends.
pub fn serve_and_follow(
    store: Store,
    config: &Config,
    listen: SocketAddr,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let stop = AtomicBool::new(false);
    let followed = store.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| correlate::follow(&followed, config, &stop));
        let served = serve(store, listen, stopped);
        stop.store(true, Ordering::Relaxed);
        served
    })
}

/// Serves a store at `listen` until `stopped` ends; says where.
pub fn serve(
    store: Store,
    listen: SocketAddr,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let options = ServeOptions { listen, ..ServeOptions::default() };
        let server = Server::bind(store, &options).await?;
        println!("dashboard: http://{}/  (Ctrl-C ends)", server.address());
        if !listen.ip().is_loopback() {
            eprintln!("taptrail: warning: whoever reaches {listen} can read the store");
        }
        Ok(server.run(stopped).await?)
    })
}
