//! One message, down to its bytes.

use crate::api::params::InPath;
use crate::error::ApiError;
use crate::query::{object, objects};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// `GET /api/messages/{capture_id}/{packet_ix}/{msg_ix}`
pub(crate) async fn message(
    State(app): State<App>,
    InPath((capture_id, packet_ix, msg_ix)): InPath<(u64, u32, u16)>,
) -> Result<Json<Value>, ApiError> {
    let packet_is = format!("capture_id = {capture_id} AND packet_ix = {packet_ix}");
    let entries = format!(
        "SELECT *, flag_names(flags) AS flag_names FROM messages \
         WHERE {packet_is} AND msg_ix = {msg_ix} ORDER BY entry LIMIT 1000"
    );
    let packet = format!("SELECT * FROM packets WHERE {packet_is}");
    let fields = format!("SELECT * FROM fields({capture_id}, {packet_ix}, {msg_ix})");
    let (entries, packet) = futures::try_join!(objects(&app, &entries), object(&app, &packet))?;
    if entries.is_empty() {
        return Err(ApiError::not_found(format!(
            "there is no message {msg_ix} in packet {packet_ix} of capture {capture_id}"
        )));
    }
    // The columns say something even where the bytes cannot be taken apart.
    let (fields, fields_error) = match objects(&app, &fields).await {
        Ok(fields) => (fields, None),
        Err(error) => (Vec::new(), Some(error.message)),
    };
    Ok(Json(json!({
        "entries": entries, "packet": packet, "fields": fields, "fields_error": fields_error,
    })))
}
