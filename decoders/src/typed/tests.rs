//! Rows of typed tables, from bytes made by hand.

use crate::field::Datum;
use crate::fixed::protocol::FixedProtocol;
use crate::kind::Sender;
use crate::typed::fixed::{FixedReader, tables};
use crate::typed::history::History;
use crate::typed::{ColumnKind, Standing, StoredMessage, TypedTable, names};
use std::sync::Arc;

/// A venue with what shipped protocols have: learned scales and seconds, rows
/// of a group, a group of its own, texts, words.
const ACME: &str = r#"
[protocol]
id = "acme.quotes.1.0"
title = "Acme"
source = "made up"
venues = ["XXXX"]
framings = ["moldudp64"]
endian = "big"
code = { at = 0, type = "c1" }

[clock.here]
unit = "ns"
since = "epoch"
plus = { table = "second", value = "seconds" }

[types]
px = { wire = "u32", null = [0], scale = { table = "symbol", key = "index", value = "places" } }

[enum.side]
B = "buy"
S = "sell"

[common]
layout = """
 0 type c1
 1 ts u32 -> ts_exch : clock.here
"""

[struct.leg]
rows = true
layout = """
 0 index u16 -> instrument_id
 2 price px -> price
 6 entry u8
"""

[struct.note]
layout = """
 0 length u8
 1 text text(length)
"""

[msg.D]
name = "definition"
kind = "instrument"
size = 8
layout = """
 5 index u16 -> instrument_id
 7 places u8
"""
learn = [{ table = "symbol", key = "index", set = { places = "places" } }]

[msg.T]
name = "second"
kind = "clock"
size = 9
layout = """
 5 seconds u32
"""
learn = [{ table = "second", set = { seconds = "seconds" } }]

[msg.Q]
name = "quote"
kind = "quote"
size = 8
layout = """
 5 side c1 -> side : enum.side
 6 legs u8
 7 notes u8
 8 leg struct.leg[legs]
 + note struct.note[notes]
 + last u16
"""
"#;

fn acme() -> Arc<FixedProtocol> {
    Arc::new(FixedProtocol::parse("acme.toml", ACME).unwrap())
}

fn columns(table: &TypedTable) -> Vec<(&str, ColumnKind)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect()
}

fn quote() -> Vec<u8> {
    let mut bytes = b"Q\0\0\0\x07B\x02\x02".to_vec();
    bytes.extend([0, 1, 0, 0, 0x30, 0x39, 8]);
    bytes.extend([0, 2, 0, 0, 0, 0, 9]);
    bytes.extend(b"\x02hi\x03you");
    bytes.extend([1, 0]);
    bytes
}

/// The rows of a table as text, nulls as `-`.
fn rows(
    protocol: &Arc<FixedProtocol>,
    table: &str,
    bytes: &[u8],
    history: &History,
) -> Vec<String> {
    let mut reader = FixedReader::new(Arc::clone(protocol), table, &[]).unwrap();
    let message = StoredMessage {
        bytes,
        ts: 1_700_000_000_000_000_000,
        sender: Some(Sender::Client),
        scope: 5,
        standing: Standing::default(),
    };
    let mut rows = Vec::new();
    reader.rows(&message, &mut history.before((10, 3)), &mut |entry, row| {
        let cells: Vec<String> = row.iter().map(|cell| text(*cell)).collect();
        rows.push(format!("{entry}: {}", cells.join(" ")));
    });
    rows
}

fn text(cell: Option<Datum<'_>>) -> String {
    match cell {
        None => "-".to_owned(),
        Some(Datum::Int(int)) => int.to_string(),
        Some(Datum::Time(ns)) => format!("@{ns}"),
        Some(Datum::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        Some(Datum::Bytes(bytes)) => format!("{bytes:02x?}"),
        Some(decimal) => format!("{}e-9", decimal.billionths().unwrap()),
    }
}

#[test]
fn a_group_that_makes_rows_is_the_messages_own_and_others_have_tables() {
    let tables = tables(&acme());
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["definition", "quote", "quote__note", "second"]);
    let (quote, note) = (&tables[1], &tables[2]);
    assert_eq!(quote.msg_types, ["Q"]);
    use ColumnKind::{Decimal, Text, Time, UInt};
    let want = [
        ("type", Text),
        ("leg_ts", Time),
        ("side", Text),
        ("side_word", Text),
        ("legs", UInt),
        ("notes", UInt),
        ("index", UInt),
        ("price", Decimal),
        ("leg_entry", UInt),
        ("last", UInt),
    ];
    let mut want = want.to_vec();
    // A field with the name of a key column gets a number where no part is around it.
    want[1].0 = "ts_2";
    assert_eq!(columns(quote), want);
    assert_eq!(columns(note), [("length", UInt), ("text", Text)]);
}

#[test]
fn rows_have_what_was_learned_before_the_message_and_nothing_later() {
    let protocol = acme();
    let places = |value: &str| {
        let at = protocol.tables.iter().position(|table| table.name == value).unwrap();
        (at, 5)
    };
    let mut history = History::new();
    let (symbol, scope) = places("symbol");
    let (second, _) = places("second");
    let unknown = rows(&protocol, "quote", &quote(), &history);
    assert_eq!(unknown, ["0: Q - B buy 2 2 1 - 8 256", "1: Q - B buy 2 2 2 - 9 256"]);
    history.teach((second, scope, 0, 0), None, 1_700_000_000);
    history.teach((symbol, scope, 1, 0), Some((10, 3)), 4);
    history.teach((symbol, scope, 1, 0), Some((2, 0)), 2);
    let known = rows(&protocol, "quote", &quote(), &history);
    assert_eq!(known[0], "0: Q @1700000000000000007 B buy 2 2 1 123450000000e-9 8 256");
    // The sentinel has no price, with or without a scale.
    assert_eq!(known[1], "1: Q @1700000000000000007 B buy 2 2 2 - 9 256");
    history.teach((symbol, scope + 1, 1, 0), Some((3, 0)), 0);
    assert_eq!(rows(&protocol, "quote", &quote(), &history), known);
}

#[test]
fn entries_of_other_groups_are_rows_of_their_own_tables() {
    let history = History::new();
    assert_eq!(rows(&acme(), "quote__note", &quote(), &history), ["0: 2 hi", "1: 3 you"]);
    // Cut inside the second note: the first one is whole.
    let cut = &quote()[..quote().len() - 4];
    assert_eq!(rows(&acme(), "quote__note", cut, &history), ["0: 2 hi"]);
    assert!(rows(&acme(), "quote__note", b"Q\0\0\0\x07B\0\0\0\0", &history).is_empty());
    assert!(rows(&acme(), "definition", &quote(), &history).is_empty());
    // No leg: one row, as `messages` has one.
    let none = rows(&acme(), "quote", b"Q\0\0\0\x07S\0\0\x01\x02", &history);
    assert_eq!(none, ["0: Q - S sell 0 0 - - - 258"]);
}

#[test]
fn every_shipped_protocol_has_tables_whose_columns_are_named_once() {
    for protocol in crate::fixed::catalog::embedded() {
        let mut names = std::collections::HashSet::new();
        let tables = tables(protocol);
        assert!(!tables.is_empty(), "{}", protocol.id());
        for table in tables {
            assert!(names.insert(table.name.clone()), "{} {}", protocol.id(), table.name);
            let mut seen: std::collections::HashSet<&str> = names::KEY_COLUMNS.into();
            for column in &table.columns {
                assert!(
                    seen.insert(&column.name),
                    "{} {}.{}",
                    protocol.id(),
                    table.name,
                    column.name
                );
            }
        }
    }
}

#[test]
fn columns_not_wanted_stay_null() {
    let shipped = crate::fixed::catalog::embedded().iter();
    let protocol = shipped.clone().find(|p| p.id() == "nasdaq.totalview-itch.5.0").unwrap().clone();
    let table = tables(&protocol).into_iter().find(|table| table.name == "add_order").unwrap();
    let wanted: Vec<bool> = table.columns.iter().map(|column| column.name == "shares").collect();
    let mut reader = FixedReader::new(protocol, "add_order", &wanted).unwrap();
    let mut body = vec![b'A'];
    body.extend([0; 18]);
    body.extend(b"B\0\0\0\x64ALFA    \0\0\x03\xe8");
    let message = StoredMessage {
        bytes: &body,
        ts: 0,
        sender: None,
        scope: 0,
        standing: Standing::default(),
    };
    let mut values = Vec::new();
    reader.rows(&message, &mut History::new().before((0, 0)), &mut |_, row| {
        values = row.iter().map(|cell| text(*cell)).filter(|cell| cell != "-").collect();
    });
    assert_eq!(values, ["100"]);
}

#[test]
fn schemas_are_identifiers_and_clash_free() {
    assert_eq!(names::identifier("nasdaq.totalview-itch.5.0"), "nasdaq_totalview_itch_5_0");
    assert_eq!(names::identifier("24x.Feed"), "p24x_feed");
    let ids = ["a.b-c", "a.b.c", "public"];
    let schemas: Vec<String> = names::schemas(ids).into_iter().map(|(name, _)| name).collect();
    assert_eq!(schemas, ["a_b_c", "a_b_c_2", "public_2"]);
}
