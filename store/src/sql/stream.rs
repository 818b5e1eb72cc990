//! The rows of one statement, as they come.

use crate::error::StoreError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

/// Rows that a statement gives, a batch at a time.
pub struct RowStream {
    stream: SendableRecordBatchStream,
}

impl RowStream {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// Where the query fails midway.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        self.stream.next().await.transpose().map_err(StoreError::query)
    }
}

/// Runs a statement that reads. What would write files, tables or settings is
/// refused.
///
/// # Errors
/// Where it is not understood, not allowed or cannot start.
pub async fn stream(context: &SessionContext, sql: &str) -> Result<RowStream, StoreError> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
    let options = options.with_allow_statements(false);
    let frame = context.sql_with_options(sql, options).await.map_err(StoreError::query)?;
    let stream = frame.execute_stream().await.map_err(StoreError::query)?;
    Ok(RowStream { stream })
}
