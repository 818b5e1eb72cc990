//! What can go wrong: starting the server, and answering a request.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use datafusion::error::DataFusionError;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use taptrail_store::error::StoreError;

/// Why the server could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {error}. Stop what uses that port, or choose another one")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate or key, or the address it is for, cannot be used.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file, or the address.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The connection loop ended.
    #[error("the server stopped: {0}")]
    Stopped(std::io::Error),
}

/// An answer that is not 200: a status, a word for programs, a sentence for
/// people. As JSON, `{"error": {"code": .., "message": ..}}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
}

impl ApiError {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad_request", message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: message.into() }
    }

    pub fn query(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "query", message: message.into() }
    }

    pub fn timeout(seconds: u64) -> Self {
        Self {
            status: StatusCode::GATEWAY_TIMEOUT,
            code: "timeout",
            message: format!(
                "the query did not end within {seconds} s: narrow it, for example by a range of ts"
            ),
        }
    }

    pub fn busy() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "busy",
            message: "too many queries run at once: try again in a moment".to_owned(),
        }
    }

    fn internal(message: String) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "internal", message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<DataFusionError> for ApiError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        Self::query(match root {
            // These are sentences already; the rest says what it is.
            DataFusionError::Plan(_)
            | DataFusionError::Execution(_)
            | DataFusionError::External(_) => root.message().into_owned(),
            _ => root.strip_backtrace(),
        })
    }
}
