//! `fields(capture_id, packet_ix, msg_ix)`: every field of a message, where it
//! lies and what it means.
//!
//! ```sql
//! SELECT name, "offset", size, hex, value FROM fields(13835058055282163712, 7, 0)
//! ```

use crate::catalog::Store;
use crate::explain::explain_message;
use crate::sql::functions::hex::digits;
use crate::tables::column::schema;
use crate::tables::row::{Bool, I64, Null, Plain, Row, Text, U32, rows};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;
use taptrail_decoders::explain::{ExplainedField, decimal_text};
use taptrail_decoders::field::Value;

rows! {
    /// A field.
    FieldRow in "fields" {
        /// The field's own name, as the protocol has it.
        name: Text as Plain,
        /// Names from the message down to it, groups with the entry's index.
        path: Text as Plain,
        /// First byte in the frame; below 0 so many bytes of the stream before it.
        offset: i64 as I64,
        /// The offset counts in what the packet's compressed body was unpacked to.
        unpacked: bool as Bool,
        /// Bytes; 0 where the value is not on the wire.
        size: u32 as U32,
        /// The bytes in hex; empty where they are secret.
        hex: Text as Plain,
        /// What they mean: exact decimals, times in ns since the epoch; null where absent.
        value: Option<Text> as Null<Plain>,
    }
}

impl FieldRow {
    fn new(field: ExplainedField, unpacked: bool) -> Self {
        Self {
            name: field.name.into(),
            path: field.path.into(),
            offset: field.offset,
            unpacked,
            size: field.size,
            hex: digits(&field.raw).into(),
            value: text(field.value).map(Into::into),
        }
    }
}

fn text(value: Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Int(int) => int.to_string(),
        Value::Decimal { mantissa, scale } => decimal_text(mantissa, scale),
        Value::Text(text) => text,
        Value::Bytes(bytes) => digits(&bytes),
        Value::Bool(bool) => bool.to_string(),
        Value::Time(ns) => ns.to_string(),
    })
}

/// The function.
#[derive(Debug)]
pub struct Fields {
    store: Store,
}

impl Fields {
    /// Of a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl TableFunctionImpl for Fields {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [capture_id, packet_ix, msg_ix] = args.exprs() else { return Err(wrong()) };
        Ok(Arc::new(FieldsTable {
            store: self.store.clone(),
            capture_id: number(capture_id)?,
            packet_ix: number(packet_ix)?.try_into().map_err(|_| wrong())?,
            msg_ix: number(msg_ix)?.try_into().map_err(|_| wrong())?,
        }))
    }
}

fn wrong() -> DataFusionError {
    DataFusionError::Plan(
        "fields(capture_id, packet_ix, msg_ix) needs three whole numbers, written out".to_owned(),
    )
}

fn number(expr: &Expr) -> Result<u64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => {
            u64::try_from(*number).map_err(|_| wrong())
        }
        Expr::Literal(ScalarValue::UInt64(Some(number)), _) => Ok(*number),
        _ => Err(wrong()),
    }
}

/// The fields of one message.
#[derive(Debug)]
struct FieldsTable {
    store: Store,
    capture_id: u64,
    packet_ix: u32,
    msg_ix: u16,
}

impl FieldsTable {
    async fn rows(&self) -> Result<Vec<FieldRow>> {
        let Self { capture_id, packet_ix, msg_ix, .. } = *self;
        let store = self.store.clone();
        let explained = tokio::task::spawn_blocking(move || {
            explain_message(&store, capture_id, packet_ix, msg_ix)
        });
        let explained = explained.await.map_err(|error| DataFusionError::External(error.into()))?;
        let explained = explained.map_err(|error| DataFusionError::External(error.into()))?;
        let message = explained.ok_or_else(|| {
            DataFusionError::Execution(format!(
                "capture {capture_id} has no message {msg_ix} in packet {packet_ix}"
            ))
        })?;
        let unpacked = message.unpacked;
        Ok(message.fields.into_iter().map(|field| FieldRow::new(field, unpacked)).collect())
    }
}

#[async_trait]
impl TableProvider for FieldsTable {
    fn schema(&self) -> SchemaRef {
        schema(COLUMNS)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = FieldRow::to_batch(&self.rows().await?)?;
        let plan =
            MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}
