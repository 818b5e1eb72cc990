//! A statement's rows as they come; statements only read.

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

/// Rows of a running statement.
pub struct Rows {
    stream: SendableRecordBatchStream,
}

impl Rows {
    /// Starts a statement; one that would change anything is refused.
    pub async fn of(context: &SessionContext, statement: &str) -> anyhow::Result<Self> {
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = context.sql_with_options(statement, read_only).await?;
        Ok(Self { stream: frame.execute_stream().await? })
    }

    /// The next rows; `None` at the end.
    pub async fn next(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        Ok(self.stream.next().await.transpose()?)
    }

    /// An empty batch of the statement's columns, so that an empty answer
    /// still shows them.
    pub fn header(&self) -> RecordBatch {
        RecordBatch::new_empty(self.stream.schema())
    }
}
