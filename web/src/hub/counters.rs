//! What a hub counts of its connections; what it knows of nodes is in the store.

use crate::monitor::{Metrics, Probe};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts since the hub began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections without a good certificate, by reason: one of a few words.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Requests of nodes that may not ship here.
    denied: AtomicU64,
    /// Bytes of files that came.
    bytes: AtomicU64,
    /// What was last said, so that it is not said again and again.
    said: Mutex<Option<String>>,
}

impl Counters {
    /// A connection failed.
    pub fn refused_peer(&self, address: SocketAddr, label: &'static str, text: &str) {
        *lock(&self.refused).entry(label).or_default() += 1;
        self.say(format!("{}: refused: {text}", address.ip()));
    }

    /// A node may not ship here.
    pub fn denied(&self, address: SocketAddr, text: &str) {
        self.denied.fetch_add(1, Ordering::Relaxed);
        self.say(format!("{}: denied: {text}", address.ip()));
    }

    /// So many bytes of a file came.
    pub fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn say(&self, text: String) {
        let mut said = lock(&self.said);
        if said.as_ref() != Some(&text) {
            eprintln!("taptrail: hub: {text}");
            *said = Some(text);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Probe for Counters {
    fn metrics(&self) -> String {
        let mut metrics = Metrics::default();
        let name = "taptrail_hub_refused_connections_total";
        metrics.family(name, "counter", "Connections without a good certificate, by reason.");
        for (reason, count) in lock(&self.refused).iter() {
            metrics.value(name, &[("reason", reason)], Some(*count));
        }
        let name = "taptrail_hub_denied_requests_total";
        metrics.family(name, "counter", "Requests of nodes that may not ship here.");
        metrics.value(name, &[], Some(self.denied.load(Ordering::Relaxed)));
        let name = "taptrail_hub_received_bytes_total";
        metrics.family(name, "counter", "Bytes of files that came.");
        metrics.value(name, &[], Some(self.bytes.load(Ordering::Relaxed)));
        metrics.finish()
    }

    fn health(&self) -> Result<String, String> {
        Ok("ok\n".to_owned())
    }
}
