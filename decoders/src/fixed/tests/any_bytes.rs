//! Any bytes: no panic, every byte explained, nothing decoded twice.

use std::collections::HashSet;

use proptest::prelude::*;

use crate::fixed::catalog::embedded;
use crate::fixed::encode::{Seeded, message};
use crate::fixed::explain::explain;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::tests::rows::Rows;
use crate::kind::Sender;

const SENDERS: [Option<Sender>; 3] = [None, Some(Sender::Client), Some(Sender::Server)];

fn check(protocol: &FixedProtocol, body: &[u8]) {
    for sender in SENDERS {
        let explained = explain(protocol, body, sender);
        let mut at = 0;
        for field in explained.fields.iter().filter(|field| field.size > 0) {
            assert_eq!(field.offset, at, "{}: {}", explained.name, field.name);
            at += field.size;
        }
        assert_eq!(at as usize, body.len());
        assert_eq!(explained.error.is_none(), protocol.knows(body, sender), "{explained:?}");
    }
}

/// Prefixes of a message, and the message with single bits flipped: all of
/// them, or some hundred of a long one.
fn damaged(body: &[u8]) -> Vec<(Vec<u8>, u32)> {
    // Odd, so that every bit of a byte has its turn.
    let step = body.len() / 64 * 2 + 1;
    let prefixes = (0..=body.len()).step_by(step).map(|end| body[..end].to_vec());
    let flips = (0..8 * body.len()).step_by(step).map(|bit| {
        let mut flipped = body.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    prefixes.chain(flips).map(|body| (body, 0)).collect()
}

#[test]
fn prefixes_and_bit_flips_are_explained_and_decoded() {
    // Versions share most messages: each layout is tried once.
    let mut tried = HashSet::new();
    for protocol in embedded() {
        let mut dice = Seeded(1);
        let mut rows = Rows::new(protocol.clone());
        for layout in &protocol.layouts {
            if !tried.insert(format!("{} {:?} {:?}", layout.code, layout.fields, layout.steps)) {
                continue;
            }
            let body = message(protocol, layout, &mut dice);
            for damaged in damaged(&body).chunks(500) {
                damaged.iter().for_each(|(body, _)| check(protocol, body));
                rows.batch.clear();
                rows.decode(damaged, layout.sender, 1_000);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_explained_and_decoded(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40),
    ) {
        let messages: Vec<_> = bodies.iter().map(|body| (body.clone(), 0)).collect();
        for protocol in embedded() {
            bodies.iter().for_each(|body| check(protocol, body));
            let mut whole = Rows::new(protocol.clone());
            whole.decode(&messages, None, messages.len());
            let mut single = Rows::new(protocol.clone());
            single.decode(&messages, None, 1);
            for row in 0..whole.batch.len() {
                prop_assert_eq!(whole.cells(row), single.cells(row));
            }
        }
    }
}
