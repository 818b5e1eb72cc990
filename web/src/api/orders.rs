//! Orders: searched, sorted, in pages.

use crate::api::params::{Direction, Params, filter, page};
use crate::error::ApiError;
use crate::query::{object, objects, text};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

/// Columns that orders can be sorted by.
const SORTS: [&str; 12] = [
    "request_ts",
    "tick_to_order_ns",
    "relay_ns",
    "ack_ns",
    "first_fill_ns",
    "symbol",
    "side",
    "price",
    "qty",
    "state",
    "fills",
    "observations",
];

/// Which orders.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    q: Option<String>,
    state: Option<String>,
    symbol: Option<String>,
    sort: Option<String>,
    #[serde(default)]
    direction: Direction,
    limit: Option<u32>,
    offset: Option<u32>,
}

impl Asked {
    fn conditions(&self) -> Vec<String> {
        let equal = |column: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{column} = {}", text(value)))
        };
        let words = self.q.as_deref().map(str::trim).filter(|q| !q.is_empty()).map(search);
        let exact = [equal("state", &self.state), equal("symbol", &self.symbol)];
        exact.into_iter().flatten().chain(words).collect()
    }

    fn order(&self) -> Result<String, ApiError> {
        let asked = self.sort.as_deref().unwrap_or("request_ts");
        let column = SORTS.iter().find(|column| **column == asked).ok_or_else(|| {
            let sorts = SORTS.join(", ");
            ApiError::bad_request(format!("cannot sort by {asked:?}: one of {sorts}"))
        })?;
        let direction = self.direction.sql();
        Ok(format!("ORDER BY {column} {direction} NULLS LAST, request_ts, lineage_id"))
    }
}

/// What was typed, wherever an order may have it.
fn search(q: &str) -> String {
    let (exact, upper) = (text(q), text(&q.to_uppercase()));
    let mut any = vec![
        format!("upper(symbol) = {upper}"),
        format!("starts_with(cl_ord_id, {exact})"),
        format!("order_id_txt = {exact}"),
        format!("account = {exact}"),
        format!("session = {exact}"),
    ];
    if let Ok(number) = q.parse::<u64>() {
        any.extend([format!("order_id = {number}"), format!("lineage_id = {number}")]);
    }
    format!("({})", any.join(" OR "))
}

/// `GET /api/orders`
pub(crate) async fn orders(
    State(app): State<App>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, ApiError> {
    let filter = filter(&asked.conditions());
    let (order, page) = (asked.order()?, page(asked.limit, asked.offset)?);
    let sql = format!("SELECT * FROM orders {filter} {order} {page}");
    let counted = format!("SELECT count(*) AS n FROM orders {filter}");
    let (rows, total) = futures::try_join!(objects(&app, &sql), object(&app, &counted))?;
    let total = total.and_then(|mut row| row.remove("n"));
    Ok(Json(json!({"orders": rows, "total": total})))
}
