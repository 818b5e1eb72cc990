//! Any bytes: no panic, every byte explained, nothing decoded twice.

use proptest::prelude::*;

use crate::fixed::catalog::embedded;
use crate::fixed::explain::explain;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::tests::rows::Rows;
use crate::kind::Sender;

const SENDERS: [Option<Sender>; 3] = [None, Some(Sender::Client), Some(Sender::Server)];

/// A body of every layout, filled with a pattern, its list of elements empty.
fn bodies(protocol: &FixedProtocol) -> Vec<Vec<u8>> {
    let body = |layout: &crate::fixed::program::Layout| {
        let mut body: Vec<u8> = (0..layout.size as usize).map(|i| (i % 5) as u8).collect();
        body[0] = layout.code as u8;
        if !layout.steps.is_empty() {
            let len = body.len();
            body[len - 2..].fill(0);
        }
        body
    };
    protocol.layouts.iter().map(body).collect()
}

fn check(body: &[u8]) {
    for protocol in embedded() {
        for sender in SENDERS {
            let explained = explain(protocol, body, sender);
            let mut at = 0;
            for field in &explained.fields {
                assert_eq!(field.offset, at, "{}: {}", explained.name, field.name);
                at += field.size;
            }
            assert_eq!(at as usize, body.len());
            assert_eq!(explained.error.is_none(), protocol.knows(body, sender));
        }
    }
}

#[test]
fn every_prefix_and_every_bit_flip_is_explained_and_decoded() {
    for protocol in embedded() {
        let mut messages = Vec::new();
        for body in bodies(protocol) {
            assert!(protocol.knows(&body, None), "{body:?}");
            messages.extend((0..=body.len()).map(|end| (body[..end].to_vec(), 0)));
            for bit in 0..8 * body.len() {
                let mut flipped = body.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                messages.push((flipped, 0));
            }
        }
        for (body, _) in &messages {
            check(body);
        }
        for sender in SENDERS {
            for block in messages.chunks(8_000) {
                let mut rows = Rows::new(protocol.clone());
                rows.decode(block, sender, 1_000);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_explained_and_decoded(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40),
    ) {
        for body in &bodies {
            check(body);
        }
        let messages: Vec<_> = bodies.into_iter().map(|body| (body, 0)).collect();
        for protocol in embedded() {
            let mut whole = Rows::new(protocol.clone());
            whole.decode(&messages, None, messages.len());
            let mut single = Rows::new(protocol.clone());
            single.decode(&messages, None, 1);
            for row in 0..messages.len() {
                prop_assert_eq!(whole.cells(row), single.cells(row));
            }
        }
    }
}
