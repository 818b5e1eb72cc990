//! One message type's table for the query engine.
//!
//! ```text
//! scan ─> messages, filtered ─partition n─> batch ─> rows of this table
//! ```
//!
//! Where messages mean something only behind those before them, all of a
//! capture are read, in one row, and what is not wanted is left out afterwards.

use crate::catalog::Store;
use crate::error::StoreError;
use crate::sql::table::SegmentTable;
use crate::sql::typed::Known;
use crate::sql::typed::rows::{Decoding, MESSAGE_COLUMNS};
use crate::tables::{Table, column::ColumnType};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, col, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use taptrail_decoders::typed::{self, ColumnKind, TypedTable};

/// Key columns that `messages` can be filtered by for this table. Entries are
/// not among them: a message is read once, for all of its rows.
const FILTERED: [&str; 5] = ["point", "ts", "capture_id", "packet_ix", "msg_ix"];

/// Those among them that choose whole captures.
const FILTERED_IN_ORDER: [&str; 2] = ["point", "capture_id"];

/// A table of one type of message.
#[derive(Debug)]
pub(super) struct MessageTable {
    store: Store,
    known: Known,
    table: Arc<TypedTable>,
    schema: SchemaRef,
}

impl MessageTable {
    pub fn new(store: Store, known: Known, table: TypedTable) -> Self {
        let schema = schema(&table);
        Self { store, known, table: Arc::new(table), schema }
    }

    /// The messages whose rows are wanted.
    async fn messages(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let messages = Table::named("messages")
            .ok_or_else(|| DataFusionError::Internal("there is no table messages".to_owned()))?;
        let provider = Arc::new(SegmentTable::new(self.store.clone(), messages));
        let texts = |texts: &[String]| texts.iter().map(|text| lit(text.as_str())).collect();
        let mut wanted = col("entry").eq(lit(0u16));
        wanted = wanted.and(col("protocol").in_list(texts(&self.known.ids), false));
        let in_order = self.is_in_order();
        if !in_order && !self.table.msg_types.is_empty() {
            wanted = wanted.and(col("msg_type").in_list(texts(&self.table.msg_types), false));
        }
        for filter in filters.iter().filter(|filter| self.is_of_messages(filter)) {
            wanted = wanted.and(filter.clone());
        }
        let mut plan = LogicalPlanBuilder::scan("messages", provider_as_source(provider), None)?
            .filter(wanted)?
            .project(MESSAGE_COLUMNS.iter().map(|name| col(*name)))?;
        if in_order {
            let place = ["capture_id", "packet_ix", "msg_ix"];
            plan = plan.sort(place.map(|name| col(name).sort(true, false)))?;
        }
        let plan = state.create_physical_plan(&plan.build()?).await?;
        match plan.output_partitioning().partition_count() {
            2.. if in_order => {
                let why = "sorted messages come in more than one row".to_owned();
                Err(DataFusionError::Internal(why))
            }
            _ => Ok(plan),
        }
    }

    fn is_in_order(&self) -> bool {
        typed::is_in_order(&self.known.library, self.known.protocol)
    }

    /// Whether a filter asks nothing but what `messages` can be filtered by.
    fn is_of_messages(&self, filter: &Expr) -> bool {
        let columns: &[&str] = if self.is_in_order() { &FILTERED_IN_ORDER } else { &FILTERED };
        filter.column_refs().iter().all(|column| columns.contains(&column.name.as_str()))
    }
}

/// The columns of a table: the message's place, then its fields.
fn schema(table: &TypedTable) -> SchemaRef {
    let key = [
        ("point", ColumnType::Name),
        ("ts", ColumnType::Time),
        ("capture_id", ColumnType::U64),
        ("packet_ix", ColumnType::U32),
        ("msg_ix", ColumnType::U16),
        ("entry", ColumnType::U32),
    ];
    let key = key.into_iter().map(|(name, kind)| Field::new(name, kind.arrow(), false));
    let fields = table.columns.iter();
    let fields = fields.map(|column| Field::new(&column.name, arrow(column.kind).arrow(), true));
    Arc::new(Schema::new(key.chain(fields).collect::<Vec<_>>()))
}

fn arrow(kind: ColumnKind) -> ColumnType {
    match kind {
        ColumnKind::Int => ColumnType::I64,
        ColumnKind::UInt => ColumnType::U64,
        ColumnKind::Decimal => ColumnType::Decimal,
        ColumnKind::Time => ColumnType::Time,
        ColumnKind::Text => ColumnType::Text,
        ColumnKind::Bytes => ColumnType::Bytes,
    }
}

#[async_trait]
impl TableProvider for MessageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let how = |filter: &&Expr| match self.is_of_messages(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(how).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let messages = self.messages(state, filters).await?;
        let schema = datafusion::common::project_schema(&self.schema, projection)?;
        let source = Source {
            store: self.store.clone(),
            known: self.known.clone(),
            table: Arc::clone(&self.table),
            schema: Arc::clone(&schema),
        };
        let source = Arc::new(source);
        let partitions = 0..messages.output_partitioning().partition_count();
        let partitions = partitions.map(|partition| {
            let (messages, source) = (Arc::clone(&messages), Arc::clone(&source));
            Arc::new(Partition { messages, partition, source }) as Arc<dyn PartitionStream>
        });
        let partitions: Vec<_> = partitions.collect();
        let plan = StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// What decodes the rows.
#[derive(Debug)]
pub(super) struct Source {
    pub store: Store,
    pub known: Known,
    pub table: Arc<TypedTable>,
    /// The columns that are asked for.
    pub schema: SchemaRef,
}

/// The messages of one partition, as rows.
#[derive(Debug)]
struct Partition {
    messages: Arc<dyn ExecutionPlan>,
    partition: usize,
    source: Arc<Source>,
}

/// Where a partition has got to.
struct State {
    messages: SendableRecordBatchStream,
    decoding: Box<Decoding>,
}

impl Partition {
    fn start(&self, context: Arc<TaskContext>) -> Result<State> {
        let messages = self.messages.execute(self.partition, context)?;
        let decoding = Decoding::new(Arc::clone(&self.source)).map_err(external)?;
        Ok(State { messages, decoding: Box::new(decoding) })
    }
}

impl State {
    /// The rows of the next messages; reading packets may wait for the disk,
    /// so that a thread of its own does it.
    async fn next(mut self) -> Result<Option<(Vec<RecordBatch>, Self)>> {
        let Some(batch) = self.messages.next().await else { return Ok(None) };
        let batch = batch?;
        let Self { messages, mut decoding } = self;
        let decoded = tokio::task::spawn_blocking(move || {
            let rows = decoding.rows(&batch);
            (rows, decoding)
        });
        let (rows, decoding) =
            decoded.await.map_err(|error| DataFusionError::External(error.into()))?;
        Ok(Some((rows.map_err(external)?, Self { messages, decoding })))
    }
}

fn external(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.source.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let started = self.start(context);
        let batches = stream::once(async { started })
            .map_ok(|state| stream::try_unfold(state, State::next))
            .try_flatten()
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.source.schema), batches))
    }
}
