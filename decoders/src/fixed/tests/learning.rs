//! What messages teach holds for the messages after them, however blocks are cut.

use proptest::prelude::*;

use crate::fixed::tests::rows::{MIDNIGHT_NS, OPEN_NS, Rows, shipped};
use crate::fixed::tests::wire_bytes::WireBytes;

const ID: &str = "nasdaq.totalview-itch.5.0";

fn directory(locate: u64, stock: &str) -> Vec<u8> {
    let mut body = WireBytes::itch(b'R', locate, OPEN_NS).text(8, stock).0;
    body.resize(39, b' ');
    body
}

fn add(locate: u64, stock: &str) -> Vec<u8> {
    let body = WireBytes::itch(b'A', locate, OPEN_NS).be(8, 1).text(1, "B").be(4, 1);
    body.text(8, stock).be(4, 1).0
}

fn delete(locate: u64) -> Vec<u8> {
    WireBytes::itch(b'D', locate, OPEN_NS).be(8, 1).0
}

fn symbols(messages: &[(Vec<u8>, u32)], block: usize) -> Vec<String> {
    let mut rows = Rows::new(shipped(ID));
    rows.decode(messages, None, block);
    let symbol = |cells: String| {
        let found =
            cells.split(' ').find_map(|cell| cell.strip_prefix("symbol=").map(str::to_owned));
        found.unwrap_or_default()
    };
    (0..messages.len()).map(|row| symbol(rows.cells(row))).collect()
}

#[test]
fn a_symbol_is_known_after_its_directory_message_and_not_before() {
    let messages = [
        (delete(1), 0),
        (directory(1, "ALFA"), 0),
        (delete(1), 0),
        (directory(1, "BRVO"), 0),
        (delete(1), 0),
        (delete(1), 9),
        (delete(2), 0),
    ];
    assert_eq!(symbols(&messages, 100), ["", "ALFA", "ALFA", "BRVO", "BRVO", "", ""]);
}

#[test]
fn what_teaches_may_need_what_the_message_before_it_taught() {
    let seconds = (MIDNIGHT_NS / 1_000_000_000) as u32;
    let time = [&[49][..], &seconds.to_le_bytes()].concat();
    let mut update = [&[1][..], &7u32.to_le_bytes(), &9u32.to_le_bytes(), b"ALFA       "].concat();
    update.resize(42, b' ');
    let mut rows = Rows::new(shipped("miax.pearl-dom.1.3"));
    rows.decode(&[(time, 0), (update, 0)], None, 2);
    assert!(rows.cells(1).contains("ts_exch=7 instrument_id=9"), "{}", rows.cells(1));
}

#[test]
fn an_order_teaches_only_what_no_directory_did() {
    let messages = [
        (add(1, "ALFA"), 0),
        (delete(1), 0),
        (directory(2, "BRVO"), 0),
        (add(2, "XXXX"), 0),
        (delete(2), 0),
        (directory(1, "CHRL"), 0),
        (delete(1), 0),
    ];
    let want = ["ALFA", "ALFA", "BRVO", "XXXX", "BRVO", "CHRL", "CHRL"];
    assert_eq!(symbols(&messages, 100), want);
}

fn any_message() -> impl Strategy<Value = (Vec<u8>, u32)> {
    let stock = prop::sample::select(vec!["ALFA", "BRVO", "CHRL"]);
    let body = prop_oneof![
        (0..4u64, stock.clone()).prop_map(|(locate, stock)| directory(locate, stock)),
        (0..4u64, stock).prop_map(|(locate, stock)| add(locate, stock)),
        (0..4u64).prop_map(delete),
        (0..4u64).prop_map(|locate| delete(locate)[..15].to_vec()),
    ];
    (body, 0..2u32)
}

/// The plain way: one message after the other.
fn by_hand(messages: &[(Vec<u8>, u32)]) -> Vec<String> {
    let mut known = std::collections::HashMap::new();
    let mut symbols = Vec::new();
    for (body, scope) in messages {
        let key = (*scope, body[2]);
        let stock = |at: usize| String::from_utf8_lossy(&body[at..at + 8]).trim().to_owned();
        symbols.push(match body[0] {
            b'R' => known.insert(key, stock(11)).map_or(stock(11), |_| stock(11)),
            b'A' => {
                known.entry(key).or_insert_with(|| stock(24));
                stock(24)
            }
            _ => known.get(&key).cloned().unwrap_or_default(),
        });
    }
    symbols
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_cut_of_blocks_changes_nothing(
        messages in prop::collection::vec(any_message(), 1..600),
        block in 1usize..700,
    ) {
        prop_assert_eq!(symbols(&messages, block), by_hand(&messages));
    }
}
