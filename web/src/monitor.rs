//! `/metrics` and `/healthz` of a program that serves no dashboard, and the
//! text form of metrics.
//!
//! ```text
//! # HELP taptrail_packets_total Packets written.
//! # TYPE taptrail_packets_total counter
//! taptrail_packets_total{point="P1"} 91232
//! ```

use crate::listener::{CONNECTIONS_MAX, Limited};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The content type of metrics.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a program says of itself.
pub trait Probe: Send + Sync + 'static {
    /// Metrics as text.
    fn metrics(&self) -> String;

    /// `Ok` where it does its work, else why not.
    ///
    /// # Errors
    /// One line that says what is wrong.
    fn health(&self) -> Result<String, String>;
}

/// Answers at `listener` until `stop` ends.
///
/// # Errors
/// Where the listener breaks.
pub async fn serve(
    listener: std::net::TcpListener,
    probe: Arc<dyn Probe>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = Limited::new(TcpListener::from_std(listener)?, CONNECTIONS_MAX);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .with_state(probe);
    tokio::select! {
        ended = axum::serve(listener, router).into_future() => ended,
        () = stop => Ok(()),
    }
}

async fn metrics(State(probe): State<Arc<dyn Probe>>) -> Response {
    text(probe.metrics())
}

async fn health(State(probe): State<Arc<dyn Probe>>) -> Response {
    match probe.health() {
        Ok(text) => text.into_response(),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text).into_response(),
    }
}

/// Metrics as an answer.
pub(crate) fn text(metrics: String) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], metrics).into_response()
}

/// Gathers metrics; what is unknown is left out, never 0.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Begins a metric, whose values follow. `kind` is `counter` or `gauge`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value with its labels.
    pub fn value(&mut self, name: &str, labels: &[(&str, &str)], value: Option<u64>) {
        if let Some(value) = value {
            self.line(name, labels, &value.to_string());
        }
    }

    /// One value in seconds, given in milliseconds.
    pub fn seconds(&mut self, name: &str, labels: &[(&str, &str)], millis: Option<u64>) {
        if let Some(millis) = millis {
            self.line(name, labels, &format!("{}.{:03}", millis / 1000, millis % 1000));
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = match labels.as_slice() {
            [] => writeln!(self.text, "{name} {value}"),
            labels => writeln!(self.text, "{name}{{{}}} {value}", labels.join(",")),
        };
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_left_out_and_labels_are_escaped() {
        let mut metrics = Metrics::default();
        metrics.family("a_total", "counter", "What.");
        metrics.value("a_total", &[("point", "P\"1"), ("cause", "ring")], Some(7));
        metrics.value("a_total", &[("point", "P2")], None);
        metrics.seconds("b_seconds", &[], Some(1_050));
        let text = metrics.finish();
        assert_eq!(
            text,
            "# HELP a_total What.\n# TYPE a_total counter\n\
             a_total{point=\"P\\\"1\",cause=\"ring\"} 7\nb_seconds 1.050\n"
        );
    }
}
