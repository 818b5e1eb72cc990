//! The asynchronous runtime that SQL and HTTP need, and the signals that end
//! a command; everything else is threads.

use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// A runtime with a worker a core.
pub fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Catches SIGINT and SIGTERM from here on: the first sets what this gives.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let runtime = runtime()?;
    let caught = {
        let _inside = runtime.enter();
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
    };
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    std::thread::spawn(move || {
        let [mut interrupt, mut terminate] = caught;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        set.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

/// Ends once a flag is set.
pub async fn until_set(flag: Arc<AtomicBool>) {
    while !flag.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
