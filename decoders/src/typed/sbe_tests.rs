//! Rows of SBE messages: of a schema of our own by hand, and of the exchanges'
//! schemas against the explanation of the same bytes.

use super::sbe::{SbeReader, tables};
use super::{ColumnKind, Standing, StoredMessage, TypedTable};
use crate::explain::decimal_text;
use crate::field::{Datum, Explained, Field, SECRET, Value};
use crate::sbe::catalog;
use crate::sbe::encode::{Recipe, message};
use crate::sbe::explain::explain;
use crate::sbe::overlay::Overlay;
use crate::sbe::protocol::SbeProtocol;
use crate::sbe::shape::Schema;
use crate::typed::names::identifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn acme() -> Arc<SbeProtocol> {
    let schema = Schema::parse("acme.xml", include_str!("../sbe/tests/acme.xml"));
    let overlay = Overlay::parse("acme.toml", include_str!("../sbe/tests/acme.toml"));
    let (schema, overlay) = (schema.expect("a schema"), overlay.expect("an overlay"));
    Arc::new(SbeProtocol::new(overlay, &[schema]))
}

fn table<'t>(tables: &'t [TypedTable], name: &str) -> &'t TypedTable {
    tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("{name}"))
}

/// Rows of a table as text, nulls as `-`.
fn rows(protocol: &Arc<SbeProtocol>, name: &str, bytes: &[u8]) -> Vec<(u32, Vec<String>)> {
    let reader = SbeReader::new(Arc::clone(protocol), name, &[], false).expect("a table");
    let message =
        StoredMessage { bytes, ts: 0, sender: None, scope: 0, standing: Standing::default() };
    let mut rows = Vec::new();
    reader.rows(&message, &mut |entry, values| {
        rows.push((entry, values.iter().map(|value| value.map_or("-".into(), shown)).collect()));
    });
    rows
}

fn shown(datum: Datum<'_>) -> String {
    match datum {
        Datum::Int(int) => int.to_string(),
        Datum::Decimal(mantissa, scale) => decimal_text(mantissa, scale),
        Datum::Time(ns) => ns.to_string(),
        Datum::Text(text) => crate::names::latin1(text),
        Datum::Utf8(text) => text.to_owned(),
        Datum::Bytes(bytes) => format!("{bytes:02x?}"),
    }
}

fn column(table: &TypedTable, name: &str) -> usize {
    let found = table.columns.iter().position(|column| column.name == name);
    found.unwrap_or_else(|| panic!("{} has no column {name}", table.name))
}

#[test]
fn a_message_and_its_groups_are_tables() {
    let protocol = acme();
    let tables = tables(&protocol);
    let level = |px: i64, size: i32, side: u8| {
        let numbers = [&px.to_le_bytes()[..], &size.to_le_bytes(), &42i32.to_le_bytes()].concat();
        let rest = [&7u32.to_le_bytes()[..], &[3, 1, side, 0], &5i32.to_le_bytes()].concat();
        [numbers, rest].concat()
    };
    let mut book: Vec<u8> = [9u16, 1, 77, 3].iter().flat_map(|n| n.to_le_bytes()).collect();
    book.extend(1_700_000_000_000_000_123u64.to_le_bytes());
    book.extend([0x80, 28, 0, 2]);
    book.extend(level(1_500_000_000, 10, b'B'));
    book.extend(level(-2_250_000_000, i32::MAX, b'S'));
    book.extend([14, 0, 0, 0, 0, 0, 0, 0]);
    assert!(protocol.knows(&book, None));
    let root = table(&tables, "book");
    assert_eq!(root.msg_types, ["1"]);
    let of_root = rows(&protocol, "book", &book);
    assert_eq!(of_root.len(), 1);
    assert_eq!(of_root[0].1[column(root, "time")], "1700000000000000123");
    assert_eq!(of_root[0].1[column(root, "flags_end")], "1");
    let levels = table(&tables, "book__levels");
    let of_levels = rows(&protocol, "book__levels", &book);
    let seen = |row: usize, name: &str| of_levels[row].1[column(levels, name)].clone();
    assert_eq!((of_levels[0].0, of_levels[1].0, of_levels.len()), (0, 1, 2));
    assert_eq!((seen(0, "px"), seen(1, "px")), ("1.500000000".into(), "-2.250000000".into()));
    assert_eq!((seen(0, "size"), seen(1, "size")), ("10".into(), "-".into()), "the null value");
    assert_eq!((seen(0, "side"), seen(0, "side_word")), ("B".into(), "Bid".into()));
    assert_eq!(seen(1, "time"), "1700000000000000123", "what encloses an entry");
    assert!(rows(&protocol, "book__orders", &book).is_empty());
    assert_eq!(rows(&protocol, "book__levels", &book[..60]).len(), 2, "as far as it goes");
    assert!(SbeReader::new(protocol, "book__nothing", &[], false).is_none());
}

/// The folder of schemas beside the project.
fn schemas() -> Option<Vec<Schema>> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside = beside.map(|folder| folder.join("../shared/data")).find(|f| f.is_dir());
    let found = named.or(beside).map(|data| data.join("schemas/sbe")).filter(|f| f.is_dir());
    let Some(found) = found else {
        eprintln!("skipped: no folder shared/data beside the project");
        return None;
    };
    Some(catalog::load_schemas(&found).unwrap_or_else(|faults| panic!("{faults:#?}")))
}

/// The group of a field without indexes, and its own name.
fn place(field: &Field) -> (String, String) {
    let mut groups = Vec::new();
    let mut rest = field.path.as_str();
    while let Some((group, behind)) = rest.split_once("].") {
        groups.push(identifier(group.split('[').next().unwrap_or_default()));
        rest = behind;
    }
    (groups.join("__"), identifier(rest))
}

fn value(value: &Value) -> Option<String> {
    match value {
        Value::Int(int) => Some(int.to_string()),
        Value::Decimal { mantissa, scale } => Some(decimal_text(*mantissa, *scale)),
        Value::Time(ns) => Some(ns.to_string()),
        Value::Text(text) if !text.is_empty() && text != SECRET => Some(text.clone()),
        _ => None,
    }
}

/// Every number, time and text that the explanation of a message shows is in the
/// table of its group.
fn check(protocol: &Arc<SbeProtocol>, tables: &[TypedTable], body: &[u8], explained: &Explained) {
    let message = identifier(&explained.name);
    for field in explained.fields.iter().filter(|field| field.size > 0) {
        let (group, name) = place(field);
        let name = name.strip_suffix("_mantissa").map_or(name.clone(), str::to_owned);
        let table_name =
            if group.is_empty() { message.clone() } else { format!("{message}__{group}") };
        let Some(table) = tables.iter().find(|table| table.name == table_name) else {
            panic!("{table_name}")
        };
        let of_name = |column: &&crate::typed::TypedColumn| {
            column.name == name || column.name.ends_with(&format!("_{name}"))
        };
        // The header's fields and a group's dimension are no columns.
        let named = table.columns.iter().enumerate().filter(|(_, column)| of_name(column));
        let named: Vec<usize> = named.map(|(at, _)| at).collect();
        // Nor has a column of times what is too far off to be one.
        let far = |at: &usize| {
            table.columns[*at].kind == ColumnKind::Time && matches!(field.value, Value::Int(_))
        };
        if named.is_empty() || named.iter().any(far) {
            continue;
        }
        let Some(wanted) = value(&field.value) else { continue };
        let rows = rows(protocol, &table_name, body);
        let has = |row: &[String]| named.iter().any(|&at| row[at] == wanted);
        let found = rows.iter().any(|(_, row)| has(row));
        assert!(found, "{table_name}: {} = {wanted} of {rows:?}", field.path);
    }
}

#[test]
fn tables_have_what_explanations_have() {
    let Some(schemas) = schemas() else { return };
    let mut checked = 0;
    for overlay in catalog::embedded() {
        // The newest version of each schema.
        let mut newest: Vec<&Schema> = schemas.iter().filter(|s| overlay.fits(s)).collect();
        newest.sort_by_key(|schema| (schema.id, schema.version));
        let last = newest.iter().rev().take(1);
        for schema in last {
            let alone = std::slice::from_ref(*schema);
            let protocol = Arc::new(SbeProtocol::new(overlay.clone(), alone));
            let tables = tables(&protocol);
            for shape in &schema.messages {
                let recipe = Recipe { entries: 2, data: 3, seed: 1 };
                let body = message(&protocol.header, schema, shape, recipe);
                let explained = explain(&protocol, &body, false);
                check(&protocol, &tables, &body, &explained);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked} messages");
}
