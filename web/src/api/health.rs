//! Whether the server answers, and whether the store has changed.

use crate::error::ApiError;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use taptrail_store::catalog::Catalog;
use taptrail_store::ship::nodes::Nodes;

/// Captures under way, read away from the threads that answer.
async fn under_way(app: &App, catalog: Catalog) -> Result<usize, ApiError> {
    let store = app.store.clone();
    let read = tokio::task::spawn_blocking(move || store.live(&catalog));
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    Ok(read.await.map_err(ended)??.captures.len())
}

/// What the store holds now, read away from the threads that answer.
async fn catalog(app: &App) -> Result<Catalog, ApiError> {
    let store = app.store.clone();
    let read = tokio::task::spawn_blocking(move || store.catalog());
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    Ok(read.await.map_err(ended)??)
}

/// What has changed of the nodes that ship here; empty where none does.
async fn nodes(app: &App) -> Result<String, ApiError> {
    let store = app.store.clone();
    let read = tokio::task::spawn_blocking(move || Nodes::of(&store).rows());
    let ended = |error: tokio::task::JoinError| ApiError::query(error.to_string());
    let rows = read.await.map_err(ended)??;
    Ok(rows.iter().map(|row| format!(".{}{}", row.light, row.known.report.waiting)).collect())
}

/// `GET /healthz`
pub(crate) async fn healthz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    catalog(&app).await?;
    Ok(Json(json!({"status": "ok"})))
}

/// `GET /api/state`
pub(crate) async fn state(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    Ok(Json(state_now(&app).await?))
}

/// What tells whether the store has changed.
pub(crate) async fn state_now(app: &App) -> Result<Value, ApiError> {
    let catalog = catalog(app).await?;
    let nodes = nodes(app).await?;
    let generation = catalog.correlate.as_ref().map_or(0, |correlate| correlate.generation);
    let decoded: u64 = catalog.imports.iter().map(|import| 1 + u64::from(import.revision)).sum();
    let sealed = catalog.imports.len();
    let captures = sealed + under_way(app, catalog).await?;
    Ok(json!({
        "version": format!("{generation}.{captures}.{sealed}.{decoded}{nodes}"),
        "software": env!("CARGO_PKG_VERSION"),
        "captures": captures,
        "generation": generation.to_string(),
    }))
}
