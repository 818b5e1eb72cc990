//! SQL: a page of rows as JSON, or every row as CSV.

use crate::api::params::Params;
use crate::error::ApiError;
use crate::query::{QUERY_TIME, ROWS_MAX, Running, run, start};
use crate::state::App;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use datafusion::error::DataFusionError;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::{Instant as Deadline, timeout, timeout_at};

/// Rows unless told.
const ROWS_DEFAULT: usize = 1000;

/// A CSV answer, which may be long, ends after so long.
const CSV_TIME: Duration = Duration::from_secs(900);

/// A statement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    sql: String,
    limit: Option<usize>,
}

/// The answer's form.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// The query string.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    format: Format,
}

/// `POST /api/sql`
pub(crate) async fn sql(
    State(app): State<App>,
    Params(asked): Params<Asked>,
    body: Result<Json<Statement>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(statement) = body.map_err(|error| ApiError {
        status: error.status(),
        ..ApiError::bad_request(error.body_text())
    })?;
    match asked.format {
        Format::Json => rows(&app, &statement).await,
        Format::Csv => csv(&app, &statement).await,
    }
}

async fn rows(app: &App, statement: &Statement) -> Result<Response, ApiError> {
    let limit = statement.limit.unwrap_or(ROWS_DEFAULT);
    if limit > ROWS_MAX {
        let message = format!("limit is {limit}, at most {ROWS_MAX} rows; csv has no limit");
        return Err(ApiError::bad_request(message));
    }
    let started = Instant::now();
    let answer = run(app, &statement.sql, limit).await?;
    let table = answer.table()?;
    let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let body = json!({
        "columns": table.columns, "rows": table.rows,
        "truncated": answer.truncated, "elapsed_us": elapsed,
    });
    Ok(Json(body).into_response())
}

/// Every row, sent as it is found. A query that fails midway breaks the
/// connection, so that no half answer looks whole.
async fn csv(app: &App, statement: &Statement) -> Result<Response, ApiError> {
    let started = timeout(QUERY_TIME, start(app, &statement.sql)).await;
    let running = started.map_err(|_| ApiError::timeout(QUERY_TIME.as_secs()))??;
    let head = header_line(&running.stream.schema());
    let lines = futures::stream::once(async { Ok(head) }).chain(csv_lines(running));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"taptrail.csv\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn csv_lines(running: Running) -> impl futures::Stream<Item = Result<String, DataFusionError>> {
    let end = Deadline::now() + CSV_TIME;
    futures::stream::try_unfold(running, move |mut running| async move {
        let batch = timeout_at(end, running.stream.next()).await;
        let late = |_| DataFusionError::Execution("the query took too long".to_owned());
        match batch.map_err(late)?.transpose()? {
            Some(batch) => Ok(Some((lines_of(&batch)?, running))),
            None => Ok(None),
        }
    })
}

fn header_line(schema: &SchemaRef) -> String {
    let names = schema.fields().iter().map(|field| quoted(field.name()));
    names.collect::<Vec<_>>().join(",") + "\r\n"
}

fn lines_of(batch: &RecordBatch) -> Result<String, ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut lines = String::new();
    for row in 0..batch.num_rows() {
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                lines.push(',');
            }
            lines.push_str(&quoted(&column.value(row).try_to_string()?));
        }
        lines.push_str("\r\n");
    }
    Ok(lines)
}

/// A cell as RFC 4180 has it.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray, UInt64Array};
    use std::sync::Arc;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\"\n"), None]));
        let number: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("a,b", text, true), ("n", number, false)])
                .unwrap();
        assert_eq!(header_line(&batch.schema()), "\"a,b\",n\r\n");
        let lines = lines_of(&batch).unwrap();
        assert_eq!(lines, "\"a,\"\"b\"\"\n\",18446744073709551615\r\n,1\r\n");
    }
}
