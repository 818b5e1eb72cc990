//! `taptrail serve`: the dashboard.

use crate::cli::ServeArgs;
use crate::commands::correlate;
use crate::config::Config;
use crate::runtime::{runtime, stop_signal};
use std::net::SocketAddr;
use taptrail_store::catalog::Store;
use taptrail_web::server::{LISTEN, ServeOptions, Server};

/// Correlates what is new, then serves until told to stop.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let store = Store::open(&args.store.store)?;
    if !args.no_correlate {
        correlate::if_stale(&store, &config, args.config.config.is_some())?;
    }
    serve(store, args.listen.or(config.serve.listen).unwrap_or(LISTEN))
}

/// Serves a store at `listen` until SIGINT or SIGTERM; says where.
pub fn serve(store: Store, listen: SocketAddr) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let options = ServeOptions { listen, ..ServeOptions::default() };
        let server = Server::bind(store, &options).await?;
        println!("dashboard: http://{}/  (Ctrl-C ends)", server.address());
        if !listen.ip().is_loopback() {
            eprintln!("taptrail: warning: whoever reaches {listen} can read the store");
        }
        Ok(server.run(stop_signal()).await?)
    })
}
