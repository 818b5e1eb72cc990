//! The asynchronous runtime that SQL and HTTP need, and the signals that end
//! a command; everything else is threads.

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// A runtime with a worker a core.
pub fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Ends at the first SIGINT or SIGTERM.
pub async fn stop_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without a handler SIGTERM still ends the process.
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
