//! Counters of the store, from its manifests.

use crate::error::ApiError;
use crate::monitor::{Metrics, text};
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::error::StoreError;

/// Sums over the captures of a point.
#[derive(Default)]
struct Sums {
    captures: u64,
    packets: u64,
    bytes: u64,
    messages: u64,
    ring: Option<u64>,
    interface: Option<u64>,
    recorded: Option<u64>,
}

impl Sums {
    fn add(&mut self, import: &ImportManifest) {
        let counters = &import.counters;
        self.captures += 1;
        self.packets = self.packets.saturating_add(counters.packets);
        self.bytes = self.bytes.saturating_add(counters.packet_bytes);
        let messages: u64 = counters.messages.values().sum();
        self.messages = self.messages.saturating_add(messages);
        let more = |sum: &mut Option<u64>, count: Option<u64>| {
            *sum = count.map(|count| sum.unwrap_or(0).saturating_add(count)).or(*sum);
        };
        more(&mut self.ring, counters.losses.ring);
        more(&mut self.interface, counters.losses.interface);
        more(&mut self.recorded, counters.losses.recorded);
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let gathered = tokio::task::spawn_blocking(move || gather(&app.store)).await;
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    Ok(text(gathered.map_err(ended)??))
}

fn gather(store: &Store) -> Result<String, StoreError> {
    let catalog = store.catalog()?;
    let mut points: BTreeMap<&str, Sums> = BTreeMap::new();
    for import in &catalog.imports {
        points.entry(import.point.as_str()).or_default().add(import);
    }
    let mut metrics = Metrics::default();
    type Of = fn(&Sums) -> u64;
    let sums: [(&str, &str, Of); 4] = [
        ("taptrail_store_captures", "Captures in the store.", |sums| sums.captures),
        ("taptrail_store_packets", "Packets in the store.", |sums| sums.packets),
        ("taptrail_store_bytes", "Captured bytes of those packets.", |sums| sums.bytes),
        ("taptrail_store_messages", "Messages decoded.", |sums| sums.messages),
    ];
    for (name, help, of) in sums {
        metrics.family(name, "gauge", help);
        for (point, sums) in &points {
            metrics.value(name, &[("point", point)], Some(of(sums)));
        }
    }
    let name = "taptrail_store_dropped_packets";
    metrics.family(name, "gauge", "Packets that the captures in the store say were lost.");
    for (point, sums) in &points {
        let causes =
            [("ring", sums.ring), ("interface", sums.interface), ("recorded", sums.recorded)];
        for (cause, count) in causes {
            metrics.value(name, &[("point", point), ("cause", cause)], count);
        }
    }
    let waiting = store.waiting_segments()?;
    let oldest = waiting.iter().filter_map(|(_, path)| fs::metadata(path).ok()?.modified().ok());
    let lag = oldest.min().and_then(|at| SystemTime::now().duration_since(at).ok());
    metrics.family("taptrail_waiting_segments", "gauge", "Complete segments not yet sealed.");
    metrics.value("taptrail_waiting_segments", &[], Some(waiting.len() as u64));
    metrics.family("taptrail_decode_lag_seconds", "gauge", "Age of the oldest of them.");
    let millis = lag.map_or(0, |lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
    metrics.seconds("taptrail_decode_lag_seconds", &[], Some(millis));
    metrics.family("taptrail_disk_free_bytes", "gauge", "Free on the store's disk.");
    metrics.value("taptrail_disk_free_bytes", &[], store.free_bytes().ok());
    Ok(metrics.finish())
}
