//! The overview: what the health strip and the first screen show.

use crate::error::ApiError;
use crate::health::{Facts, lights};
use crate::query::{object, objects};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use futures::try_join;
use serde_json::{Value, json};

const CAPTURES: &str = "SELECT point, count(*) AS captures, sum(packets) AS packets, \
     sum(packet_bytes) AS packet_bytes, sum(messages) AS messages, \
     sum(not_decoded) AS not_decoded, sum(warnings) AS warnings, \
     min(first_warning) AS first_warning, sum(lost_ring) AS lost_ring, \
     sum(lost_interface) AS lost_interface, sum(lost_recorded) AS lost_recorded, \
     min(first_ts) AS first_ts, max(last_ts) AS last_ts \
     FROM captures GROUP BY point ORDER BY point";

const RANGE: &str = "SELECT min(first_ts) AS first_ts, max(last_ts) AS last_ts FROM captures";

const FLOWS: &str = "SELECT point, count(*) AS flows, \
     sum(CASE WHEN protocol IS NULL THEN 1 ELSE 0 END) AS unrecognised, \
     sum(gaps) AS gaps, sum(missing) AS missing, sum(errors) AS errors \
     FROM flows GROUP BY point ORDER BY point";

const LOSSES: &str = "SELECT cause, \
     CASE WHEN protocol = 'packets' THEN 'packets' ELSE 'messages' END AS unit, \
     count(*) AS runs, sum(count) AS missing FROM losses GROUP BY 1, 2 ORDER BY 1, 2";

const MATCHING: &str = "SELECT link_kind, sum(matched) AS matched, \
     sum(unmatched) AS unmatched, sum(lost) AS lost \
     FROM hops WHERE message_kind = 'all' GROUP BY link_kind ORDER BY link_kind";

const RULES: &str = "SELECT kind, rule, count(*) AS n, avg(confidence) AS confidence, \
     max(candidates) AS candidates_max, \
     sum(CASE WHEN skipped > 0 THEN 1 ELSE 0 END) AS skipped \
     FROM links GROUP BY kind, rule ORDER BY kind, rule";

const STATES: &str = "SELECT state, count(*) AS n FROM orders GROUP BY state ORDER BY n DESC";

const CLOCKS: &str = "SELECT clock_from, clock_to, method, \
    min(ts_lo) AS ts_lo, max(ts_hi) AS ts_hi, \
    last_value(offset_ns ORDER BY ts_lo) AS offset_ns, \
    last_value(drift_ppb ORDER BY ts_lo) AS drift_ppb, max(bound_ns) AS bound_ns \
    FROM clocks WHERE state IN ('ok', 'one_way', 'none') \
    GROUP BY clock_from, clock_to, method ORDER BY clock_from, clock_to, method";

/// A stage of an order's life: n, p50, p99, max of a column of `orders`.
fn stage((place, stage): (usize, &str)) -> String {
    format!(
        "SELECT {place} AS place, '{stage}' AS stage, count({stage}_ns) AS n, \
         hdr_quantile({stage}_ns, 0.5) AS p50_ns, hdr_quantile({stage}_ns, 0.99) AS p99_ns, \
         max({stage}_ns) AS max_ns FROM orders"
    )
}

fn stages() -> String {
    let stages = ["tick_to_order", "relay", "ack", "first_fill"].into_iter().enumerate().map(stage);
    let all = stages.collect::<Vec<_>>().join(" UNION ALL ");
    // A union has no order of its own.
    format!("SELECT stage, n, p50_ns, p99_ns, max_ns FROM ({all}) ORDER BY place")
}

/// `GET /api/summary`
pub(crate) async fn summary(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let stages = stages();
    let (range, captures, flows, losses, matching) = try_join!(
        object(&app, RANGE),
        objects(&app, CAPTURES),
        objects(&app, FLOWS),
        objects(&app, LOSSES),
        objects(&app, MATCHING),
    )?;
    let (rules, states, stages, clocks) = try_join!(
        objects(&app, RULES),
        objects(&app, STATES),
        objects(&app, &stages),
        objects(&app, CLOCKS),
    )?;
    let health = lights(&Facts {
        captures: &captures,
        flows: &flows,
        losses: &losses,
        matching: &matching,
        clocks: &clocks,
    });
    Ok(Json(json!({
        "health": health, "range": range, "captures": captures, "flows": flows,
        "losses": losses, "matching": matching, "rules": rules, "states": states,
        "stages": stages, "clocks": clocks,
    })))
}

const POINT_FLOWS: &str = "SELECT point, capture_id, flow_id, transport, src_addr, src_port, \
     dst_addr, dst_port, vlan, protocol, recognised, line, packets, bytes, messages, first_ts, \
     last_ts, gaps, missing, errors, note FROM flows ORDER BY point, packets DESC, flow_id LIMIT 1000";

const POINT_CAPTURES: &str = "SELECT * FROM captures ORDER BY point, first_ts LIMIT 1000";

/// `GET /api/points`
pub(crate) async fn points(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let (captures, flows) = try_join!(objects(&app, POINT_CAPTURES), objects(&app, POINT_FLOWS))?;
    Ok(Json(json!({"captures": captures, "flows": flows})))
}
