//! Whatever the bytes: no panic, every byte explained once, rows within bounds.

use super::super::encode::{Recipe, message};
use super::super::protocol::ROWS_MAX;
use super::*;
use proptest::prelude::*;

/// Messages of every template of a schema.
pub fn messages(protocol: &SbeProtocol, schema: &Schema, recipe: Recipe) -> Vec<Vec<u8>> {
    let of = |shape| message(&protocol.header, schema, shape, recipe);
    schema.messages.iter().map(of).collect()
}

/// Explains and decodes whatever it is.
pub fn any(protocol: &SbeProtocol, bench: &mut Bench, body: &[u8]) {
    covers(protocol, body);
    let explained = explain(protocol, body, false);
    assert!(!protocol.knows(body, None) || explained.error.is_none(), "{explained:?}");
    let rows = bench.decode(body);
    assert!((1..=ROWS_MAX).contains(&rows));
}

#[test]
fn every_prefix_and_every_flipped_bit() {
    let (protocol, schema) = (protocol(), schema());
    let mut bench = Bench::new(&protocol);
    for entries in [0, 1, 3] {
        let recipe = Recipe { entries, data: 2 * entries, seed: 7 };
        for body in messages(&protocol, &schema, recipe) {
            assert!(protocol.knows(&body, None));
            for end in 0..body.len() {
                any(&protocol, &mut bench, &body[..end]);
            }
            for bit in 0..8 * body.len() {
                let mut flipped = body.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                any(&protocol, &mut bench, &flipped);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(template in 0u16..6, version in 0u16..5, rest: Vec<u8>) {
        let protocol = protocol();
        let mut bench = Bench::new(&protocol);
        for block_length in [0, 4, 9, 12, 48] {
            let head = [block_length, template, 77, version];
            let mut body: Vec<u8> = head.iter().flat_map(|n| n.to_le_bytes()).collect();
            body.extend(&rest);
            any(&protocol, &mut bench, &body);
        }
    }
}
