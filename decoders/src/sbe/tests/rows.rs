//! Rows, from bytes put together by hand.

use super::super::encode::{Recipe, message, put};
use super::super::shape::Slot;
use super::*;
use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, TimeCol};
use crate::field::Value;
use crate::kind::{Kind, flags};

/// A header: block length, template, schema 77, version.
fn header(block_length: u16, template: u16, version: u16) -> Vec<u8> {
    [block_length, template, 77, version].iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn level(px: i64, size: i32, side: u8) -> Vec<u8> {
    let mut bytes = px.to_le_bytes().to_vec();
    bytes.extend(size.to_le_bytes());
    bytes.extend(42i32.to_le_bytes());
    bytes.extend(7u32.to_le_bytes());
    bytes.extend([3, 1, side, 0]);
    bytes.extend(5i32.to_le_bytes());
    bytes
}

/// Two levels, and two orders of which one belongs to the second level.
fn book() -> Vec<u8> {
    let mut bytes = header(9, 1, 3);
    bytes.extend(1_700_000_000_000_000_123u64.to_le_bytes());
    bytes.push(0x80);
    bytes.extend([28, 0, 2]);
    bytes.extend(level(1_500_000_000, 10, b'B'));
    bytes.extend(level(-2_250_000_000, i32::MAX, b'S'));
    bytes.extend([14, 0, 0, 0, 0, 0, 0, 2]);
    for (id, reference, action) in [(900u64, 2u8, 0u8), (901, 255, 2)] {
        bytes.extend(id.to_le_bytes());
        bytes.extend(11i32.to_le_bytes());
        bytes.extend([reference, action]);
    }
    bytes
}

#[test]
fn entries_are_rows_and_refer_to_each_other() {
    let mut bench = Bench::new(&protocol());
    let body = book();
    assert!(protocol().knows(&body, None));
    assert_eq!(bench.decode(&body), 4);
    let batch = &bench.batch;
    let kinds = [Kind::Level, Kind::Level, Kind::OrderAdd, Kind::OrderDelete];
    assert_eq!(batch.kind(), kinds.map(|kind| kind as u8));
    assert_eq!(batch.entry(), [0, 1, 2, 3]);
    let has = |row: usize, bit: u64| batch.present()[row] & bit != 0;
    assert_eq!(
        batch.decimals(DecimalCol::Price)[..3],
        [1_500_000_000, -2_250_000_000, -2_250_000_000]
    );
    assert!(!has(3, DecimalCol::Price.bit()), "refers to nothing");
    assert!(!has(1, DecimalCol::Qty.bit()), "the null value");
    assert_eq!(batch.decimals(DecimalCol::Qty)[0], 10_000_000_000);
    assert_eq!(batch.decimals(DecimalCol::Qty)[2], 11_000_000_000);
    assert_eq!(batch.ints(IntCol::OrderId)[2..], [900, 901]);
    assert_eq!(batch.ints(IntCol::InstrumentId)[..3], [42, 42, 42]);
    assert_eq!(batch.enums(EnumCol::Side)[..3], [1, 2, 2]);
    assert_eq!(batch.enums(EnumCol::Action)[..2], [2, 2]);
    for row in 0..4 {
        assert_eq!(batch.times(TimeCol::TsExch)[row], 1_700_000_000_000_000_123);
        assert_eq!(batch.flags()[row], flags::LAST_IN_EVENT);
        assert_eq!(bench.names.text(Name(batch.msg_type()[row])), "1");
    }
}

#[test]
fn the_pane_shows_every_field_with_its_path() {
    let body = book();
    covers(&protocol(), &body);
    let explained = explain(&protocol(), &body, false);
    assert_eq!((explained.error, explained.name.as_str()), (None, "Book"));
    let find = |path: &str| {
        let found = explained.fields.iter().find(|field| field.path == path);
        let found = found.unwrap_or_else(|| panic!("{path}"));
        (found.offset, found.size, found.value.clone())
    };
    assert_eq!(find("Time").2, Value::Time(1_700_000_000_000_000_123));
    assert_eq!(find("Flags.End"), (17, 0, Value::Bool(true)));
    assert_eq!(find("Levels.numInGroup"), (19, 1, Value::Int(2)));
    let px = Value::Decimal { mantissa: -2_250_000_000, scale: 9 };
    assert_eq!(find("Levels[1].Px"), (48, 8, px));
    assert_eq!(find("Levels[1].Size").2, Value::Null);
    assert_eq!(find("Levels[0].Side").2, Value::Text("B".into()));
    assert_eq!(find("Levels[0].Side.word"), (43, 0, Value::Text("Bid".into())));
    assert_eq!(find("Levels[0].reserved"), (43, 1, Value::Bytes(vec![0])));
    assert_eq!(find("Orders[1].Ref").2, Value::Null);
}

#[test]
fn other_versions_have_fewer_fields_or_more() {
    // Version 2 had no `Shown`; its entries are shorter.
    let mut old = header(9, 1, 2);
    old.extend([0; 9]);
    old.extend([23, 0, 1]);
    old.extend(&level(1, 2, b'B')[..23]);
    old.extend([14, 0, 0, 0, 0, 0, 0, 0]);
    assert!(protocol().knows(&old, None));
    covers(&protocol(), &old);
    let explained = explain(&protocol(), &old, false);
    assert!(explained.fields.iter().all(|field| field.name != "Shown"));
    // Version 9 has a longer root block and longer entries.
    let mut new = header(11, 1, 9);
    new.extend([1; 11]);
    new.extend([30, 0, 1]);
    new.extend(level(1, 2, b'S'));
    new.extend([8, 9]);
    new.extend([14, 0, 0, 0, 0, 0, 0, 0]);
    assert!(protocol().knows(&new, None));
    covers(&protocol(), &new);
    let explained = explain(&protocol(), &new, false);
    let unknown: Vec<_> =
        explained.fields.iter().filter(|f| f.name == "unknown").map(|f| f.path.as_str()).collect();
    assert_eq!(unknown, ["unknown", "Levels[0].unknown"]);
    let mut bench = Bench::new(&protocol());
    assert_eq!(bench.decode(&new), 1);
    assert_eq!(bench.batch.enums(EnumCol::Side)[0], 2);
    // A length that the version cannot have.
    let mut wrong = header(8, 1, 3);
    wrong.extend([0; 8]);
    wrong.extend([28, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0]);
    assert!(!protocol().knows(&wrong, None));
}

#[test]
fn instruments_teach_symbol_and_places() {
    let mut bench = Bench::new(&protocol());
    let mut package = header(12, 3, 2);
    package.extend(42i32.to_le_bytes());
    package.extend(12_345i64.to_le_bytes());
    package.extend([0; 12]);
    assert_eq!(bench.decode(&package), 1);
    let price = DecimalCol::Price.bit();
    assert_eq!(bench.batch.present()[0] & price, 0, "places not known");
    assert_eq!(bench.batch.flags()[0], flags::MAYBE_BAD_STATE);
    let mut directory = header(48, 2, 1);
    directory.extend(42i32.to_le_bytes());
    directory.extend(b"ACME\0\0\0\0");
    directory.push(2);
    directory.extend([0; 6]);
    directory.extend([1, b'S', 0, 9]);
    directory.extend((-25i64).to_le_bytes());
    directory.push(0xFE);
    directory.extend(3_000i64.to_le_bytes());
    directory.extend([0; 8]);
    directory.extend([3, 0]);
    directory.extend(b"Abc");
    assert!(protocol().knows(&directory, None));
    assert_eq!(bench.decode(&directory), 1);
    assert_eq!(bench.batch.decimals(DecimalCol::BidPrice)[0], -250_000_000, "-25 x 10^-2");
    assert_eq!(bench.batch.decimals(DecimalCol::AskPrice)[0], 3, "3000 x 10^-12");
    assert_eq!(bench.batch.enums(EnumCol::Side)[0], 2);
    bench.decode(&package);
    assert_eq!(bench.batch.decimals(DecimalCol::Price)[0], 123_450_000_000);
    let symbol = bench.batch.names(NameCol::Symbol)[0];
    assert_eq!(bench.names.text(Name(symbol)), "ACME");
    assert_eq!(bench.batch.flags()[0], 0);
}

#[test]
fn hostile_numbers_end_with_the_message() {
    let protocol = protocol();
    let shape = schema();
    let mut bench = Bench::new(&protocol);
    // More entries than there are bytes for.
    let recipe = Recipe { entries: 1, data: 0, seed: 1 };
    let package = message(&protocol.header, &shape, &shape.messages[2], recipe);
    let slot = Slot { at: 8 + 12 + 4, size: 8 };
    for count in [2, 4_097, 1 << 40, u64::MAX] {
        let mut body = package.clone();
        put(&mut body, 0, slot, count, true);
        covers(&protocol, &body);
        assert!(bench.decode(&body) <= super::super::protocol::ROWS_MAX);
        assert_eq!(bench.batch.flags()[0] & flags::DECODE_ERROR, flags::DECODE_ERROR, "{count}");
    }
    // Entries without bytes.
    let mut empty = header(9, 1, 0);
    empty.extend([0; 9]);
    empty.extend([0, 0, 255]);
    empty.extend([0, 0, 0, 0, 0, 0, 0, 255]);
    covers(&protocol, &empty);
    assert_eq!(bench.decode(&empty), 1);
    // A block longer than the message.
    let mut long = header(u16::MAX, 1, 3);
    long.extend([5; 20]);
    covers(&protocol, &long);
    assert_eq!(bench.decode(&long), 1);
    assert_eq!(bench.batch.flags()[0] & flags::DECODE_ERROR, flags::DECODE_ERROR);
    // Nothing at all, and an unknown template.
    covers(&protocol, &[]);
    bench.decode(&[]);
    let unknown = header(0, 99, 3);
    covers(&protocol, &unknown);
    bench.decode(&unknown);
    assert_eq!(bench.batch.flags()[0], flags::UNKNOWN_TYPE);
    assert_eq!(bench.names.text(Name(bench.batch.msg_type()[0])), "99");
}

#[test]
fn more_than_the_most_rows_are_told() {
    let protocol = protocol();
    let shape = schema();
    let recipe = Recipe { entries: 5_000, data: 0, seed: 0 };
    let mut message_of_legs = shape.messages[2].clone();
    message_of_legs.block.groups[0].block.groups.clear();
    message_of_legs.block.groups.truncate(1);
    let mut body = message(&protocol.header, &shape, &message_of_legs, recipe);
    // An entry: leg, an empty group of fills, an empty note.
    body.truncate(8 + 12);
    body.extend(4u32.to_le_bytes());
    body.extend(5_000u64.to_le_bytes());
    for _ in 0..5_000 {
        body.extend([1, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
    body.extend([1, 0, 0]);
    let mut bench = Bench::new(&protocol);
    assert_eq!(bench.decode(&body), super::super::protocol::ROWS_MAX);
    assert_eq!(bench.batch.flags()[7] & flags::IRREGULAR, flags::IRREGULAR);
}

#[test]
fn without_a_schema_a_message_is_a_row() {
    let protocol = Arc::new(SbeProtocol::new(overlay(), &[]));
    let mut bench = Bench::new(&protocol);
    let body = book();
    assert!(!protocol.knows(&body, None) && protocol.may_be(&body));
    assert_eq!(bench.decode(&body), 1);
    assert_eq!(bench.batch.flags()[0], flags::UNKNOWN_TYPE);
    assert_eq!(bench.names.text(Name(bench.batch.msg_type()[0])), "1");
    covers(&protocol, &body);
    assert!(explain(&protocol, &body, false).error.unwrap().contains("schemas"));
}
