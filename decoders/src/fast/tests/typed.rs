//! Rows of typed tables: by hand, and of the Moscow exchange's messages against
//! their explanations.

use super::super::typed::{FastReader, tables};
use super::data::data;
use super::*;
use crate::explain::decimal_text;
use crate::fast::preamble::Preamble;
use crate::field::Datum;
use crate::names::latin1;
use crate::typed::TypedTable;
use crate::typed::names::identifier;
use std::collections::HashMap;

fn shown(datum: Datum<'_>) -> String {
    match datum {
        Datum::Int(int) => int.to_string(),
        Datum::Decimal(mantissa, scale) => decimal_text(mantissa, scale),
        Datum::Time(ns) => ns.to_string(),
        Datum::Text(text) => latin1(text),
        Datum::Utf8(text) => text.to_owned(),
        Datum::Bytes(bytes) => format!("{bytes:02x?}"),
    }
}

fn wanted(value: &Value) -> Option<String> {
    match value {
        Value::Int(int) => Some(int.to_string()),
        Value::Decimal { mantissa, scale } => Some(decimal_text(*mantissa, *scale)),
        Value::Text(text) => Some(text.clone()),
        Value::Bytes(bytes) => Some(format!("{bytes:02x?}")),
        _ => None,
    }
}

/// Rows as text, nulls as `-`.
fn rows(reader: &mut FastReader, message: &[u8]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    reader.rows(message, &mut |entry, values| {
        assert_eq!(entry as usize, rows.len());
        rows.push(values.iter().map(|value| value.map_or("-".into(), shown)).collect());
    });
    rows
}

fn columns(table: &TypedTable) -> Vec<&str> {
    table.columns.iter().map(|column| column.name.as_str()).collect()
}

#[test]
fn a_message_and_its_sequences_are_tables() {
    let inner = "<template name=\"X-One\" id=\"9\"><string name=\"MessageType\" id=\"35\"><constant value=\"X\"/></string>\
        <uInt32 name=\"ts\"/><sequence name=\"Entries\"><length name=\"NoEntries\"/>\
        <string name=\"Symbol\" charset=\"unicode\"/><decimal name=\"Px\" presence=\"optional\"/>\
        <group name=\"Extra\"><int32 name=\"Px\"/></group></sequence></template>";
    let templates = templates(inner);
    let all = tables(&templates);
    let names: Vec<&str> = all.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["x_one", "x_one__entries"]);
    assert_eq!(all[0].msg_types, ["X"]);
    assert_eq!(columns(&all[0]), ["messagetype", "ts_2", "noentries"]);
    assert_eq!(columns(&all[1]), ["messagetype", "ts_2", "noentries", "symbol", "px", "extra_px"]);
    let message = hex("c0 89 85 82  82 d0 96 fc 85 81  80 80 83");
    let reader = |table: &str| FastReader::new(&templates, None, table, &[]).expect("a table");
    let root = rows(&mut reader("x_one"), &message);
    assert_eq!(root, [["X", "5", "2"]]);
    let entries = rows(&mut reader("x_one__entries"), &message);
    assert_eq!(entries[0], ["X", "5", "2", "\u{416}", "0.0005", "1"].map(str::to_owned));
    assert_eq!(entries[1], ["X", "5", "2", "", "-", "3"].map(str::to_owned));
    assert!(FastReader::new(&templates, None, "x_one__nothing", &[]).is_none());
    assert!(rows(&mut reader("x_one"), &message[..5]).is_empty(), "not readable alone");
}

/// Groups of a path without indexes, the innermost index, and the name.
fn place(path: &str) -> (String, usize, String) {
    let (mut groups, mut entry, mut rest) = (Vec::new(), 0, path);
    while let Some((group, behind)) = rest.split_once("].") {
        let (name, index) = group.split_once('[').expect("an index");
        groups.push(identifier(name));
        entry = index.parse().expect("a number");
        rest = behind;
    }
    (groups.join("__"), entry, identifier(rest.rsplit('.').next().expect("a name")))
}

#[test]
fn tables_have_what_every_message_of_the_moscow_exchange_has() {
    let Some(path) = data("fast/moex/incremental.dat") else { return };
    let bytes = std::fs::read(path).unwrap();
    let xml = std::fs::read_to_string(data("fast/moex/templates.xml").unwrap()).unwrap();
    let templates = Arc::new(Templates::parse("templates.xml", &xml).unwrap());
    let all = tables(&templates);
    let mut readers: HashMap<String, FastReader> = HashMap::new();
    let preamble = Preamble::parse(&["u32le seq"]).unwrap();
    let mut decoder = FastDecoder::new(Arc::clone(&templates), ResetPolicy::Message);
    let (mut at, mut checked) = (0, 0);
    while at < bytes.len() {
        at += preamble.read(&bytes[at..]).unwrap().len;
        let (explained, len) = decoder.explain(&bytes[at..]).unwrap();
        let message = &bytes[at..at + len];
        at += len;
        let mut found: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for field in &explained.fields {
            let (group, entry, name) = place(&field.path);
            let message_name = identifier(&explained.name);
            let table = match group.as_str() {
                "" => message_name,
                group => format!("{message_name}__{group}"),
            };
            let known = all.iter().find(|known| known.name == table);
            let known = known.unwrap_or_else(|| panic!("{table}"));
            let Some(column) = columns(known).iter().position(|column| *column == name) else {
                assert!(["pmap", "template_id"].contains(&name.as_str()), "{table}.{name}");
                continue;
            };
            let rows = found.entry(table.clone()).or_insert_with(|| {
                let reader = readers.entry(table.clone()).or_insert_with(|| {
                    FastReader::new(&templates, None, &table, &[]).expect("a table")
                });
                rows(reader, message)
            });
            let value = wanted(&field.value).unwrap_or_else(|| "-".to_owned());
            assert_eq!(rows[entry][column], value, "{table}.{name}");
            checked += 1;
        }
    }
    assert!(checked > 50_000, "{checked} values");
}
