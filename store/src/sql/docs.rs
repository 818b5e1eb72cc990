//! `docs`: every column of every table, its unit and source, to ask for in
//! SQL.

use crate::error::StoreError;
use crate::sql::captures;
use crate::sql::functions::fields;
use crate::tables::ALL;
use crate::tables::column::Column;
use crate::tables::row::{Bool, Name, Plain, Row, Text, rows};
use datafusion::datasource::MemTable;
use std::sync::Arc;

rows! {
    /// A column.
    DocRow in "docs" {
        /// The table.
        table_name: Text as Name,
        /// The column.
        column_name: Text as Plain,
        /// Its Arrow type.
        data_type: Text as Name,
        /// Whether a row may have none.
        nullable: bool as Bool,
        /// What it means, its unit and source.
        doc: Text as Plain,
    }
}

fn row(table: &str, column: &Column) -> DocRow {
    DocRow {
        table_name: table.into(),
        column_name: column.name.into(),
        data_type: column.kind.arrow().to_string().into(),
        nullable: column.nullable,
        doc: column.doc().into(),
    }
}

/// All columns, table by table.
pub fn all() -> Vec<DocRow> {
    let tables = ALL.iter().flat_map(|table| {
        table.columns.iter().chain(table.partitions).map(|column| row(table.name, column))
    });
    let captures = captures::COLUMNS.iter().map(|column| row("captures", column));
    let fields = fields::COLUMNS.iter().map(|column| row("fields", column));
    tables.chain(captures).chain(fields).collect()
}

/// The table.
pub(super) fn table() -> Result<Arc<MemTable>, StoreError> {
    let batch = DocRow::to_batch(&all()).map_err(StoreError::rows("docs"))?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
    table.map(Arc::new).map_err(StoreError::query)
}
