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
use taptrail_store::ship::nodes::{NodeRow, Nodes, SILENT_AFTER_MS};

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
    let probe = app.probe.clone();
    let gathered = tokio::task::spawn_blocking(move || gather(&app.store)).await;
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    let more = probe.map_or(String::new(), |probe| probe.metrics());
    Ok(text(gathered.map_err(ended)?? + &more))
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
    nodes(&Nodes::of(store).rows()?, &mut metrics);
    Ok(metrics.finish())
}

type OfNode = (&'static str, &'static str, &'static str, fn(&NodeRow) -> Option<u64>);

/// One value a node that ships here.
const BY_NODE: [OfNode; 7] = [
    ("taptrail_node_up", "gauge", "1 while it is heard of.", |row| {
        Some(u64::from(row.silent_ms <= SILENT_AFTER_MS))
    }),
    ("taptrail_node_imports", "gauge", "Imports of it here.", |row| Some(row.imports)),
    ("taptrail_node_bytes", "gauge", "Their bytes.", |row| Some(row.bytes)),
    ("taptrail_node_waiting", "gauge", "Imports that wait there.", |row| {
        Some(row.known.report.waiting)
    }),
    ("taptrail_node_waiting_bytes", "gauge", "Their bytes.", |row| {
        Some(row.known.report.waiting_bytes)
    }),
    (
        "taptrail_node_let_go_total",
        "counter",
        "Captures removed before they were shipped.",
        |row| Some(row.known.report.let_go),
    ),
    ("taptrail_node_refused_total", "counter", "Imports and files refused.", |row| {
        Some(row.known.refused)
    }),
];

fn nodes(rows: &[NodeRow], metrics: &mut Metrics) {
    if rows.is_empty() {
        return;
    }
    for (name, kind, help, of) in BY_NODE {
        metrics.family(name, kind, help);
        for row in rows {
            metrics.value(name, &[("node", &row.node)], of(row));
        }
    }
    type Ms = fn(&NodeRow) -> Option<u64>;
    let times: [(&str, &str, Ms); 2] = [
        ("taptrail_node_lag_seconds", "How far it is behind its own last row.", |r| r.lag_ms),
        ("taptrail_node_silent_seconds", "Since it was last heard of.", |r| Some(r.silent_ms)),
    ];
    for (name, help, of) in times {
        metrics.family(name, "gauge", help);
        for row in rows {
            metrics.seconds(name, &[("node", &row.node)], of(row));
        }
    }
}
