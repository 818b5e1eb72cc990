//! Any bytes as a message of any shipped protocol: the first byte chooses it,
//! the second one who sent it. Every byte is explained once; rows and
//! explanations agree on what is whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::fixed::catalog;
use taptrail_decoders::fixed::decoder::{FixedDecoder, Queued};
use taptrail_decoders::fixed::explain::explain;
use taptrail_decoders::kind::Sender;
use taptrail_decoders::names::{Name, Names};

fuzz_target!(|data: &[u8]| {
    let [which, sender, body @ ..] = data else { return };
    let protocols = catalog::embedded();
    let protocol = &protocols[usize::from(*which) % protocols.len()];
    let sender = [None, Some(Sender::Client), Some(Sender::Server)][usize::from(sender % 3)];
    let explained = explain(protocol, body, sender);
    let covered: usize = explained.fields.iter().map(|field| field.size as usize).sum();
    assert_eq!(covered, body.len(), "{explained:?}");
    assert_eq!(explained.error.is_none(), protocol.knows(body, sender));
    let mut names = Names::new();
    let mut batch = MessageBatch::new();
    let mut decoder = FixedDecoder::new(Arc::clone(protocol), &mut names);
    let seen = decoder.look(body, sender);
    for entry in 0..seen.rows {
        batch.push(&head(body.len()), entry, Name(0));
    }
    let queued = Queued { row: 0, body, scope: 1, sender, seen };
    decoder.decode(&[queued, queued], &mut batch, &mut names);
});

fn head(len: usize) -> Head {
    Head {
        ts: 1_673_361_000_000_000_000,
        ts_first: None,
        ts_send: None,
        packet_ix: 0,
        msg_ix: 0,
        flow_id: 1,
        protocol: Name(0),
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: None,
        flags: 0,
        raw_off: None,
        raw_len: len as u32,
        tcp_off: None,
        sender: None,
    }
}
