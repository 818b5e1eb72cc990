//! One order, whole: what a waterfall is drawn from.

use crate::api::params::InPath;
use crate::error::ApiError;
use crate::query::{object, objects};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// Observations and links that one answer has.
const OBSERVATIONS_MAX: u32 = 2000;

/// Other orders of the same trigger.
const SIBLINGS_MAX: u32 = 20;

/// `GET /api/orders/{lineage_id}`
pub(crate) async fn order(
    State(app): State<App>,
    InPath(id): InPath<u64>,
) -> Result<Json<Value>, ApiError> {
    let row = format!("SELECT * FROM orders WHERE lineage_id = {id}");
    let lineage = format!(
        "SELECT * FROM lineage WHERE lineage_id = {id} ORDER BY ord LIMIT {OBSERVATIONS_MAX}"
    );
    let links = format!(
        "SELECT * FROM links WHERE lineage_id = {id} \
         ORDER BY from_ts, to_ts, link_id LIMIT {OBSERVATIONS_MAX}"
    );
    let siblings = format!(
        "SELECT o.lineage_id, o.symbol, o.side, o.price, o.qty, o.state, o.cl_ord_id, \
         o.tick_to_order_ns FROM orders o JOIN orders this ON o.trigger_ts = this.trigger_ts \
         WHERE this.lineage_id = {id} AND o.lineage_id <> {id} \
         ORDER BY o.request_ts, o.lineage_id LIMIT {SIBLINGS_MAX}"
    );
    let (row, lineage, links, siblings) = futures::try_join!(
        object(&app, &row),
        objects(&app, &lineage),
        objects(&app, &links),
        objects(&app, &siblings),
    )?;
    let missing = || ApiError::not_found(format!("there is no order with lineage_id {id}"));
    let row = row.ok_or_else(missing)?;
    Ok(Json(json!({"order": row, "lineage": lineage, "links": links, "siblings": siblings})))
}
