//! What every request handler shares.

use crate::monitor::Probe;
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use taptrail_store::catalog::Store;
use tokio::sync::{Semaphore, watch};

/// Requests that may query at once; more wait, see [`crate::query`].
pub(crate) const QUERIES_MAX: usize = 8;

/// The store, a session over it, and the places for queries.
#[derive(Clone)]
pub(crate) struct App {
    pub store: Store,
    pub context: SessionContext,
    pub slots: Arc<Semaphore>,
    /// What else this process does, for `/metrics`.
    pub probe: Option<Arc<dyn Probe>>,
    /// Becomes true when the server stops: streams end then.
    pub stopping: watch::Receiver<bool>,
}

impl App {
    pub fn new(
        store: Store,
        context: SessionContext,
        probe: Option<Arc<dyn Probe>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { store, context, slots: Arc::new(Semaphore::new(QUERIES_MAX)), probe, stopping }
    }
}
