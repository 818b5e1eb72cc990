//! The asynchronous runtime that SQL and HTTP need; everything else is threads.

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

/// A runtime with a worker a core.
pub fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
