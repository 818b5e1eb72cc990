//! Hops: their table, and one hop's latencies as histogram and over time.
//!
//! ```text
//! links of the hop ──bucket = (latency - start) / width──> n by bucket
//!                  ──bucket = (from_ts - start) / width──> n, p50, p99, max by bucket
//! ```

use crate::api::params::Params;
use crate::buckets::Buckets;
use crate::error::ApiError;
use crate::query::{object, objects, text};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// About so many buckets has a histogram.
const HISTOGRAM_BUCKETS: i64 = 80;

/// About so many buckets has a series.
const SERIES_BUCKETS: i64 = 240;

/// Links in the list of slowest.
const SLOWEST: u32 = 20;

const COLUMNS: &str = "link_kind, message_kind, from_point, to_point, n, min_ns, p50_ns, p90_ns, \
     p99_ns, p999_ns, max_ns, lo_p50_ns, hi_p50_ns, same_clock, matched, unmatched, lost";

/// Which hop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hop {
    link_kind: String,
    #[serde(default = "every_kind")]
    message_kind: String,
    from_point: String,
    to_point: String,
}

fn every_kind() -> String {
    "all".to_owned()
}

impl Hop {
    /// The condition on `hops`.
    fn row(&self) -> String {
        format!(
            "link_kind = {} AND message_kind = {} AND from_point = {} AND to_point = {}",
            text(&self.link_kind),
            text(&self.message_kind),
            text(&self.from_point),
            text(&self.to_point),
        )
    }

    /// The condition on `links`.
    fn links(&self) -> String {
        let message = match self.message_kind.as_str() {
            "all" => String::new(),
            kind => format!(" AND message_kind = {}", text(kind)),
        };
        format!(
            "kind = {} AND from_point = {} AND to_point = {}{message}",
            text(&self.link_kind),
            text(&self.from_point),
            text(&self.to_point),
        )
    }

    /// The hop's row.
    async fn find(&self, app: &App) -> Result<Map<String, Value>, ApiError> {
        let sql = format!("SELECT {COLUMNS} FROM hops WHERE {}", self.row());
        let missing = || {
            ApiError::not_found(format!(
                "there is no hop {} {} from {} to {}",
                self.link_kind, self.message_kind, self.from_point, self.to_point
            ))
        };
        object(app, &sql).await?.ok_or_else(missing)
    }
}

/// `GET /api/hops`
pub(crate) async fn hops(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hops ORDER BY link_kind, from_point, to_point, message_kind"
    );
    Ok(Json(json!({"hops": objects(&app, &sql).await?})))
}

/// A signed number of a row, which JSON has as text.
fn signed(row: &Map<String, Value>, column: &str) -> Option<i64> {
    row.get(column)?.as_str()?.parse().ok()
}

/// `GET /api/hops/histogram`
pub(crate) async fn histogram(
    State(app): State<App>,
    Params(hop): Params<Hop>,
) -> Result<Json<Value>, ApiError> {
    let row = hop.find(&app).await?;
    let (Some(min), Some(max)) = (signed(&row, "min_ns"), signed(&row, "max_ns")) else {
        return Ok(Json(json!({"hop": row, "buckets": [], "beyond": "0"})));
    };
    // The long tail would press everything else into one bucket: it is
    // counted apart, as `beyond`.
    let p99 = signed(&row, "p99_ns").unwrap_or(max);
    let shown = max.min(p99.saturating_add(p99.saturating_sub(min) / 4));
    let buckets = Buckets::covering(min, shown, HISTOGRAM_BUCKETS);
    let bucket = buckets.sql("latency_ns");
    let sql = format!(
        "SELECT CASE WHEN {bucket} < {count} THEN {bucket} ELSE {count} END AS bucket, \
         count(*) AS n FROM links WHERE {} GROUP BY 1 ORDER BY 1",
        hop.links(),
        count = buckets.count,
    );
    let mut rows = objects(&app, &sql).await?;
    let beyond = rows.pop_if(|row| signed(row, "bucket") == Some(buckets.count));
    Ok(Json(json!({
        "hop": row,
        "start_ns": buckets.start.to_string(),
        "width_ns": buckets.width.to_string(),
        "count": buckets.count,
        "buckets": rows,
        "beyond": beyond.and_then(|mut row| row.remove("n")).unwrap_or("0".into()),
    })))
}

/// `GET /api/hops/series`
pub(crate) async fn series(
    State(app): State<App>,
    Params(hop): Params<Hop>,
) -> Result<Json<Value>, ApiError> {
    let links = hop.links();
    let sql =
        format!("SELECT min(from_ts) AS first, max(from_ts) AS last FROM links WHERE {links}");
    let range = object(&app, &sql).await?.unwrap_or_default();
    let (Some(first), Some(last)) = (signed(&range, "first"), signed(&range, "last")) else {
        return Err(ApiError::not_found("no link belongs to this hop"));
    };
    let buckets = Buckets::covering(first, last, SERIES_BUCKETS);
    let bucket = buckets.sql("CAST(from_ts AS BIGINT)");
    let sql = format!(
        "SELECT {bucket} AS bucket, count(*) AS n, min(latency_ns) AS min_ns, \
         hdr_quantile(latency_ns, 0.5) AS p50_ns, hdr_quantile(latency_ns, 0.99) AS p99_ns, \
         max(latency_ns) AS max_ns FROM links WHERE {links} GROUP BY 1 ORDER BY 1"
    );
    Ok(Json(json!({
        "start_ts": buckets.start.to_string(),
        "width_ns": buckets.width.to_string(),
        "count": buckets.count,
        "buckets": objects(&app, &sql).await?,
    })))
}

/// `GET /api/hops/slowest`
pub(crate) async fn slowest(
    State(app): State<App>,
    Params(hop): Params<Hop>,
) -> Result<Json<Value>, ApiError> {
    let sql = format!(
        "SELECT * FROM links WHERE {} ORDER BY latency_ns DESC, from_ts, link_id LIMIT {SLOWEST}",
        hop.links()
    );
    Ok(Json(json!({"links": objects(&app, &sql).await?})))
}
