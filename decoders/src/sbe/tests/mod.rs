//! Tests of the engine with a schema and an overlay of our own.

mod properties;
mod real;
mod rows;
mod schemas;

use super::decode::SbeDecoder;
use super::explain::explain;
use super::overlay::Overlay;
use super::protocol::SbeProtocol;
use super::shape::Schema;
use crate::batch::{Head, MessageBatch};
use crate::names::{Name, Names};
use std::sync::Arc;

const SCHEMA: &str = include_str!("acme.xml");
const OVERLAY: &str = include_str!("acme.toml");

fn schema() -> Schema {
    Schema::parse("acme.xml", SCHEMA).unwrap_or_else(|fault| panic!("{fault}"))
}

fn overlay() -> Overlay {
    Overlay::parse("acme.toml", OVERLAY).unwrap_or_else(|fault| panic!("{fault}"))
}

fn protocol() -> Arc<SbeProtocol> {
    Arc::new(SbeProtocol::new(overlay(), &[schema()]))
}

fn head(len: usize) -> Head {
    Head {
        ts: 1_700_000_000_000_000_000,
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
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(0),
        raw_len: len as u32,
        tcp_off: None,
        sender: None,
    }
}

/// A decoder with what it writes into.
struct Bench {
    decoder: SbeDecoder,
    batch: MessageBatch,
    names: Names,
}

impl Bench {
    fn new(protocol: &Arc<SbeProtocol>) -> Self {
        let mut names = Names::new();
        let decoder = SbeDecoder::new(Arc::clone(protocol), false, &mut names);
        Self { decoder, batch: MessageBatch::new(), names }
    }

    /// Decodes one message into an empty batch and gives the number of rows.
    fn decode(&mut self, body: &[u8]) -> usize {
        self.batch.clear();
        let (batch, names) = (&mut self.batch, &mut self.names);
        self.decoder.decode(body, &head(body.len()), 1, batch, names).expect("room");
        self.batch.len()
    }
}

/// Whether the fields of an explanation follow each other and cover the bytes.
fn covers(protocol: &SbeProtocol, body: &[u8]) {
    let explained = explain(protocol, body, false);
    let mut at = 0;
    for field in explained.fields.iter().filter(|field| field.size > 0) {
        assert_eq!(field.offset as usize, at, "{field:?}");
        at += field.size as usize;
    }
    assert_eq!(at, body.len());
}
