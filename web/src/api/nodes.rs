//! The nodes that ship into this store.

use crate::error::ApiError;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use taptrail_store::ship::nodes::{NodeRow, Nodes};

/// `GET /api/nodes`
pub(crate) async fn nodes(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let read = tokio::task::spawn_blocking(move || Nodes::of(&app.store).rows()).await;
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    let rows = read.map_err(ended)??;
    Ok(Json(json!({"nodes": rows.iter().map(node).collect::<Vec<_>>()})))
}

/// Numbers of 64 bits and times are text.
fn node(row: &NodeRow) -> Value {
    let report = &row.known.report;
    let text = |number: u64| number.to_string();
    json!({
        "node": row.node, "light": row.light, "text": row.text, "points": row.points.join(", "),
        "imports": text(row.imports), "bytes": text(row.bytes),
        "newest_here": row.newest_here_ns.map(|ns| ns.to_string()),
        "newest_there": report.newest_ns.map(|ns| ns.to_string()),
        "lag_ms": row.lag_ms.map(text), "silent_ms": text(row.silent_ms),
        "seen": row.known.seen_ns.to_string(), "policy": report.policy,
        "software": report.software, "captures": report.captures, "trouble": report.trouble,
        "waiting": text(report.waiting), "waiting_bytes": text(report.waiting_bytes),
        "spool_bytes": text(report.spool_bytes), "let_go": text(report.let_go),
        "refused": text(row.known.refused), "refusal": row.known.refusal,
    })
}
