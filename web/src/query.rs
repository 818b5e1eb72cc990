//! SQL, bounded: read only, so long, so many rows, so many at once.

use crate::error::ApiError;
use crate::json::{self, Table};
use crate::state::App;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use futures::StreamExt;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// A query of the API or the SQL page ends after so long.
pub(crate) const QUERY_TIME: Duration = Duration::from_secs(60);

/// A query waits so long for its turn.
const WAIT_TIME: Duration = Duration::from_secs(10);

/// Rows of an answer held in memory.
pub(crate) const ROWS_MAX: usize = 10_000;

/// Arrow bytes of an answer held in memory.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer: its columns, rows, and whether more rows were left out.
pub(crate) struct Answer {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub truncated: bool,
}

impl Answer {
    /// The rows with their columns' names and types once.
    pub fn table(&self) -> Result<Table, ApiError> {
        json::table(&self.schema, &self.batches)
    }
}

/// A running query and its place among those that may run.
pub(crate) struct Running {
    pub stream: SendableRecordBatchStream,
    _slot: OwnedSemaphorePermit,
}

fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Starts a statement that reads; any other is refused.
pub(crate) async fn start(app: &App, sql: &str) -> Result<Running, ApiError> {
    let slot = timeout(WAIT_TIME, app.slots.clone().acquire_owned()).await;
    let slot = slot.map_err(|_| ApiError::busy())?.map_err(|_| ApiError::busy())?;
    let frame = app.context.sql_with_options(sql, read_only()).await?;
    Ok(Running { stream: frame.execute_stream().await?, _slot: slot })
}

/// The first `limit` rows of a statement that reads.
pub(crate) async fn run(app: &App, sql: &str, limit: usize) -> Result<Answer, ApiError> {
    let answer = async {
        let running = start(app, sql).await?;
        collect(running, limit).await
    };
    timeout(QUERY_TIME, answer).await.map_err(|_| ApiError::timeout(QUERY_TIME.as_secs()))?
}

async fn collect(mut running: Running, limit: usize) -> Result<Answer, ApiError> {
    let schema = running.stream.schema();
    let mut batches = Vec::new();
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    while let Some(batch) = running.stream.next().await {
        let batch = batch?;
        let left = limit - rows;
        let full = batch.num_rows() > left;
        let taken = batch.slice(0, batch.num_rows().min(left));
        rows += taken.num_rows();
        bytes += taken.get_array_memory_size();
        batches.push(taken);
        if full || bytes > ANSWER_BYTES_MAX {
            return Ok(Answer { schema, batches, truncated: true });
        }
    }
    Ok(Answer { schema, batches, truncated: false })
}

/// The rows as objects, for statements of our own with few rows.
pub(crate) async fn objects(app: &App, sql: &str) -> Result<Vec<Map<String, Value>>, ApiError> {
    Ok(run(app, sql, ROWS_MAX).await?.table()?.into_objects())
}

/// The only row of a statement, as an object.
pub(crate) async fn object(app: &App, sql: &str) -> Result<Option<Map<String, Value>>, ApiError> {
    Ok(objects(app, sql).await?.into_iter().next())
}

/// Text as a SQL literal. The dialect knows no escapes but the doubled quote.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_text_is_a_literal() {
        let context = datafusion::prelude::SessionContext::new();
        for value in ["", "a", "it's", "''", "\\'", "a\nb", "%_", "'; DROP TABLE x; --", "$1 ?"] {
            let frame = context.sql(&format!("SELECT {} AS x", text(value))).await.unwrap();
            let batches = frame.collect().await.unwrap();
            let table = json::table(&batches[0].schema(), &batches).unwrap();
            assert_eq!(table.rows, vec![vec![Value::from(value)]]);
        }
    }
}
