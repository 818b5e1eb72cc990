//! The three requests of a node.

use crate::hub::counters::Counters;
use crate::hub::listener::Peer;
use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use taptrail_store::ship::accept::Hub;
use taptrail_store::ship::nodes::Report;
use taptrail_store::ship::offer::Offer;
use taptrail_store::ship::{Answer, CHUNK_BYTES, NodeName, OFFER_BYTES_MAX, TargetError};
use tokio::sync::Semaphore;

/// Offers that are read and acted on at once.
const OFFERS_MAX: usize = 8;

/// Most bytes of a report.
const REPORT_BYTES_MAX: usize = 64 << 10;

/// How long a request may take, its body included.
pub(crate) const REQUEST: Duration = Duration::from_secs(60);

/// What requests share.
#[derive(Clone)]
struct Shared {
    hub: Arc<Hub>,
    nodes: Option<Arc<[NodeName]>>,
    counters: Arc<Counters>,
    offers: Arc<Semaphore>,
}

/// Requests to their handlers.
pub(crate) fn router(
    hub: Arc<Hub>,
    nodes: Option<Vec<NodeName>>,
    counters: Arc<Counters>,
) -> Router {
    let offers = Arc::new(Semaphore::new(OFFERS_MAX));
    Router::new()
        .route("/ship/v1/imports", put(offer))
        .route("/ship/v1/files/{blake3}", put(file))
        .route("/ship/v1/report", put(report))
        .layer(from_fn(in_time))
        .with_state(Shared { hub, nodes: nodes.map(Into::into), counters, offers })
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure(TargetError::Unavailable("took too long".to_owned())).into_response(),
    }
}

/// Why a request failed, as an answer.
struct Failure(TargetError);

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code, message) = match self.0 {
            TargetError::Refused(text) => (StatusCode::UNPROCESSABLE_ENTITY, "refused", text),
            TargetError::Denied(text) => (StatusCode::FORBIDDEN, "denied", text),
            TargetError::Unavailable(text) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
            }
        };
        (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
    }
}

impl Shared {
    /// The node at the other end, where it may ship here.
    fn node(&self, peer: &Peer) -> Result<NodeName, Failure> {
        let denied = |text: String| {
            self.counters.denied(peer.address, &text);
            Failure(TargetError::Denied(text))
        };
        let node = peer.node.clone().map_err(denied)?;
        match &self.nodes {
            Some(nodes) if !nodes.contains(&node) => {
                Err(denied(format!("node {node} is not among [hub] nodes")))
            }
            _ => Ok(node),
        }
    }
}

/// A body of at most `most` bytes.
async fn body(body: Body, most: usize) -> Result<Bytes, Failure> {
    let read = to_bytes(body, most).await;
    read.map_err(|error| {
        let text = format!("a body that breaks off or has more than {most} bytes: {error}");
        Failure(TargetError::Refused(text))
    })
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = format!("not what this hub reads: {error}. Is the node newer than the hub?");
        Failure(TargetError::Refused(text))
    })
}

/// Does what waits for the disk away from the threads that answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TargetError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| TargetError::Unavailable(error.to_string()))??)
}

/// `PUT /ship/v1/imports`
async fn offer(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Result<Json<Answer>, Failure> {
    let node = shared.node(&peer)?;
    // The semaphore is never closed.
    let _place = shared.offers.clone().acquire_owned().await.ok();
    let offer: Offer = parsed(&body(request.into_body(), OFFER_BYTES_MAX).await?)?;
    blocking(move || shared.hub.offer(&node, &offer)).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    total: u64,
    offset: u64,
}

/// How much of a file is there.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Have {
    /// Bytes from its start.
    pub have: u64,
}

/// `PUT /ship/v1/files/{blake3}`
async fn file(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(blake3): Path<String>,
    Query(place): Query<Place>,
    request: Request,
) -> Result<Json<Have>, Failure> {
    let node = shared.node(&peer)?;
    let bytes = body(request.into_body(), CHUNK_BYTES).await?;
    shared.counters.received(bytes.len());
    let have = blocking(move || shared.hub.put(&node, &blake3, place.total, place.offset, &bytes));
    Ok(Json(Have { have: have.await? }))
}

/// `PUT /ship/v1/report`
async fn report(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Result<Json<serde_json::Value>, Failure> {
    let node = shared.node(&peer)?;
    let report: Report = parsed(&body(request.into_body(), REPORT_BYTES_MAX).await?)?;
    blocking(move || shared.hub.report(&node, &report)).await?;
    Ok(Json(json!({})))
}
