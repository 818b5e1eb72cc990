//! Lines of redundant feeds, and what is missing.

use crate::api::params::{Params, filter, page};
use crate::error::ApiError;
use crate::query::{object, objects, text};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/lines`
pub(crate) async fn lines(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let sql = "SELECT * FROM lines ORDER BY point, protocol, session, line";
    Ok(Json(json!({"lines": objects(&app, sql).await?})))
}

/// Which losses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Losses {
    cause: Option<String>,
    point: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

/// `GET /api/losses`
pub(crate) async fn losses(
    State(app): State<App>,
    Params(asked): Params<Losses>,
) -> Result<Json<Value>, ApiError> {
    let cause = asked.cause.map(|cause| format!("cause = {}", text(&cause)));
    let point = asked.point.map(|point| format!("point = {}", text(&point)));
    let conditions: Vec<String> = [cause, point].into_iter().flatten().collect();
    let filter = filter(&conditions);
    let page = page(asked.limit, asked.offset)?;
    let sql =
        format!("SELECT * FROM losses {filter} ORDER BY ts_lo, point, line, first_seq {page}");
    let counted = format!(
        "SELECT count(*) AS n, \
         sum(CASE WHEN protocol = 'packets' THEN 0 ELSE count END) AS missing, \
         sum(CASE WHEN protocol = 'packets' THEN count END) AS packets FROM losses {filter}"
    );
    let (rows, total) = futures::try_join!(objects(&app, &sql), object(&app, &counted))?;
    Ok(Json(json!({"losses": rows, "total": total})))
}
