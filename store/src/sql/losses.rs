//! `losses`: what correlation found, and what captures counted themselves.
//!
//! ```text
//! losses/7-0.parquet ──┐
//!                      ├─▶ losses
//! manifests, counted ──┘
//! ```

use crate::catalog::Store;
use crate::catalog::drops::counted_losses;
use crate::error::StoreError;
use crate::sql::table::SegmentTable;
use crate::tables::Table;
use crate::tables::losses::LossRow;
use crate::tables::row::Row;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use std::sync::Arc;

/// The table.
#[derive(Debug)]
pub struct LossesTable {
    store: Store,
    found: SegmentTable,
}

impl LossesTable {
    /// Of a store; `table` is that of what correlation found.
    pub fn new(store: Store, table: &'static Table) -> Self {
        Self { found: SegmentTable::new(store.clone(), table), store }
    }

    fn counted(&self) -> Result<RecordBatch> {
        let external = |error: StoreError| DataFusionError::External(Box::new(error));
        let catalog = self.store.catalog().map_err(external)?;
        Ok(LossRow::to_batch(&counted_losses(&catalog))?)
    }
}

#[async_trait]
impl TableProvider for LossesTable {
    fn schema(&self) -> SchemaRef {
        self.found.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let found = self.found.scan(state, projection, filters, None).await?;
        let counted = vec![vec![self.counted()?]];
        let counted =
            MemorySourceConfig::try_new_exec(&counted, self.schema(), projection.cloned())?;
        UnionExec::try_new(vec![found, counted])
    }
}
