//! The tables, for people who write SQL.

use axum::Json;
use serde_json::{Value, json};
use taptrail_store::sql::docs;
use taptrail_store::sql::views::VIEWS;
use taptrail_store::tables::ALL;

/// `GET /api/tables`
pub(crate) async fn tables() -> Json<Value> {
    let rows = docs::all();
    let columns = |table: &str| -> Vec<Value> {
        let of_table = rows.iter().filter(|row| &*row.table_name == table);
        let column = |row: &docs::DocRow| {
            json!({
                "name": &*row.column_name, "type": &*row.data_type,
                "nullable": row.nullable, "doc": &*row.doc,
            })
        };
        of_table.map(column).collect()
    };
    let table = |name: &str, doc: &str| json!({"name": name, "doc": doc, "columns": columns(name)});
    let mut tables: Vec<Value> = ALL.iter().map(|known| table(known.name, known.doc)).collect();
    tables.push(table("captures", "One row an import: a capture of a point."));
    let views: Vec<Value> = VIEWS
        .iter()
        .map(|view| json!({"name": view.name, "doc": view.doc, "sql": view.sql}))
        .collect();
    Json(json!({"tables": tables, "views": views}))
}
