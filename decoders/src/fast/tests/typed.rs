//! Rows of typed tables: by hand, and of the Moscow exchange's messages against
//! their explanations.

use super::super::typed::{FastReader, tables};
use super::data::data;
use super::*;
use crate::explain::decimal_text;
use crate::fast::decode::ResetPolicy;
use crate::fast::feed::FastFeed;
use crate::fast::preamble::Preamble;
use crate::field::Datum;
use crate::names::latin1;
use crate::typed::names::identifier;
use crate::typed::{Standing, StoredMessage, TypedTable};
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

fn feed(templates: &Arc<Templates>, reset: ResetPolicy) -> FastFeed {
    let (templates, preamble) = (Arc::clone(templates), Preamble::none());
    FastFeed { templates, preamble, reset, implicit_template: None, packet_header: None }
}

/// Rows as text, nulls as `-`.
fn rows(reader: &mut FastReader, message: &[u8]) -> Vec<Vec<String>> {
    rows_at(reader, message, Standing::default())
}

fn rows_at(reader: &mut FastReader, bytes: &[u8], standing: Standing) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let message = StoredMessage { bytes, ts: 0, sender: None, scope: 0, standing };
    reader.rows(&message, &mut |entry, values| {
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
    let all = tables(&templates, ResetPolicy::Message);
    let names: Vec<&str> = all.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["x_one", "x_one__entries"]);
    assert_eq!(all[0].msg_types, ["X"]);
    assert_eq!(columns(&all[0]), ["messagetype", "ts_2", "noentries"]);
    assert_eq!(columns(&all[1]), ["messagetype", "ts_2", "noentries", "symbol", "px", "extra_px"]);
    let message = hex("c0 89 85 82  82 d0 96 fc 85 81  80 80 83");
    let alone = feed(&templates, ResetPolicy::Message);
    let reader = |table: &str| FastReader::new(&alone, table, &[]).expect("a table");
    let root = rows(&mut reader("x_one"), &message);
    assert_eq!(root, [["X", "5", "2"]]);
    let entries = rows(&mut reader("x_one__entries"), &message);
    assert_eq!(entries[0], ["X", "5", "2", "\u{416}", "0.0005", "1"].map(str::to_owned));
    assert_eq!(entries[1], ["X", "5", "2", "", "-", "3"].map(str::to_owned));
    assert!(FastReader::new(&alone, "x_one__nothing", &[]).is_none());
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
    let all = tables(&templates, ResetPolicy::Message);
    let alone = feed(&templates, ResetPolicy::Message);
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
                let reader = readers
                    .entry(table.clone())
                    .or_insert_with(|| FastReader::new(&alone, &table, &[]).expect("a table"));
                rows(reader, message)
            });
            let value = wanted(&field.value).unwrap_or_else(|| "-".to_owned());
            assert_eq!(rows[entry][column], value, "{table}.{name}");
            checked += 1;
        }
    }
    assert!(checked > 50_000, "{checked} values");
}

/// A count that goes on and a price that stays, and a template that forgets.
const LIVES_ON: &str = "<template name=\"T\" id=\"1\"><uInt32 name=\"Seq\"><increment/></uInt32>\
    <uInt32 name=\"Px\"><copy/></uInt32></template><template name=\"R\" id=\"2\" reset=\"Y\"/>";
/// All on the wire: 5, 7; nothing; a template id; a template id and a price; the reset.
const WHOLE: [u8; 4] = [0xf0, 0x81, 0x85, 0x87];
const NOTHING: [u8; 1] = [0x80];
const ONLY_ID: [u8; 2] = [0xc0, 0x81];
const WITH_PRICE: [u8; 3] = [0xd0, 0x81, 0x89];
const FORGET: [u8; 2] = [0xc0, 0x82];

/// Rows of messages one after the other, `Seq Px` or `?` where the reader says why not.
fn in_order(reset: ResetPolicy, messages: &[(&[u8], Standing)]) -> Vec<String> {
    let templates = templates(LIVES_ON);
    assert_eq!(columns(&tables(&templates, reset)[1]), ["seq", "px", "undecodable"]);
    let mut reader = FastReader::new(&feed(&templates, reset), "t", &[]).unwrap();
    assert!(reader.is_in_order());
    let mut shown = Vec::new();
    for (message, standing) in messages {
        for row in rows_at(&mut reader, message, *standing) {
            let [seq, px, why] = &row[..] else { panic!("{row:?}") };
            assert!(why == "-" || (seq, px) == (&"-".to_owned(), &"-".to_owned()), "{row:?}");
            shown.push(if why == "-" { format!("{seq} {px}") } else { "?".to_owned() });
        }
    }
    shown
}

#[test]
fn messages_that_hang_on_others_are_read_behind_them() {
    let at = |packet_ix| Standing { packet_ix, ..Standing::default() };
    let other = Standing { flow_id: 9, ..at(2) };
    let again = Standing { repeated: true, ..at(2) };
    let messages: [(&[u8], Standing); 6] = [
        (&WHOLE, at(1)),
        (&NOTHING, at(2)),
        (&NOTHING, again),
        (&WITH_PRICE, other),
        (&WITH_PRICE, at(3)),
        (&NOTHING, at(4)),
    ];
    // A flow of its own has no count; a copy changes nothing.
    let wanted = ["5 7", "6 7", "?", "7 9", "8 9"];
    assert_eq!(in_order(ResetPolicy::Never, &messages), wanted);
}

#[test]
fn behind_a_hole_nothing_is_guessed_until_it_is_said_again() {
    let at = |packet_ix| Standing { packet_ix, ..Standing::default() };
    let gap = Standing { gap: true, ..at(3) };
    let messages: [(&[u8], Standing); 6] = [
        (&WHOLE, at(1)),
        (&NOTHING, at(2)),
        (&WITH_PRICE, gap),
        (&ONLY_ID, at(4)),
        (&WHOLE, at(5)),
        (&NOTHING, at(6)),
    ];
    assert_eq!(in_order(ResetPolicy::Never, &messages), ["5 7", "6 7", "?", "?", "5 7", "6 7"]);
    // Joined in the middle, where only a template forgets: unknown up to that.
    let messages: [(&[u8], Standing); 5] = [
        (&ONLY_ID, at(1)),
        (&WITH_PRICE, at(2)),
        (&FORGET, at(3)),
        (&WHOLE, at(4)),
        (&ONLY_ID, at(5)),
    ];
    assert_eq!(in_order(ResetPolicy::Template, &messages), ["?", "?", "5 7", "6 7"]);
}

#[test]
fn a_datagram_that_forgets_is_read_from_its_first_message() {
    let at = |packet_ix| Standing { packet_ix, ..Standing::default() };
    let messages: [(&[u8], Standing); 4] =
        [(&WHOLE, at(1)), (&NOTHING, at(1)), (&ONLY_ID, at(2)), (&WHOLE, at(3))];
    assert_eq!(in_order(ResetPolicy::Datagram, &messages), ["5 7", "6 7", "?", "5 7"]);
}

#[test]
fn a_reader_that_missed_bytes_or_begins_a_capture_knows_nothing_of_before() {
    let templates = templates(LIVES_ON);
    let mut reader =
        FastReader::new(&feed(&templates, ResetPolicy::Never), "t", &[]).expect("a table");
    let here = Standing::default();
    assert_eq!(rows(&mut reader, &WHOLE)[0][..2], ["5", "7"]);
    reader.missed(here);
    assert_eq!(rows(&mut reader, &ONLY_ID)[0][..2], ["-", "-"]);
    assert_eq!(rows(&mut reader, &WHOLE)[0][..2], ["5", "7"]);
    reader.begin_capture();
    // As the decoder takes a capture's beginning: nothing was said before.
    assert!(rows(&mut reader, &ONLY_ID)[0][2].contains("mandatory"));
}
