//! Whole messages through whole templates.

mod data;
mod operators;
mod properties;
mod rows;
mod structure;
mod typed;

use std::sync::Arc;

use super::decode::{FastDecoder, ResetPolicy};
use super::error::{Code, FastError};
use super::templates::Templates;
use crate::batch::{Head, MessageBatch};
use crate::field::{Field, Value};
use crate::kind::SeqUnit;
use crate::names::{Name, Names};

/// A file with these templates.
fn templates(inner: &str) -> Arc<Templates> {
    let xml = format!("<templates xmlns=\"urn:td\">{inner}</templates>");
    Arc::new(Templates::parse("test.xml", &xml).unwrap())
}

/// A file with one template, id 1, of these instructions.
fn template(instructions: &str) -> Arc<Templates> {
    templates(&format!("<template name=\"T\" id=\"1\">{instructions}</template>"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

/// An unsigned integer as on the wire.
fn stop_bits(value: u64) -> Vec<u8> {
    let groups = (value.max(1).ilog2() / 7 + 1) as usize;
    let group = |at: usize| (value >> (7 * at)) as u8 & 0x7f | u8::from(at == 0) << 7;
    (0..groups).rev().map(group).collect()
}

fn head() -> Head {
    Head {
        ts: 1,
        ts_first: None,
        ts_send: None,
        packet_ix: 0,
        msg_ix: 0,
        flow_id: 0,
        protocol: Name(0),
        line: None,
        session: None,
        channel: None,
        seq: Some((7, SeqUnit::Packet)),
        gap_before: None,
        flags: 0,
        raw_off: None,
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}

/// A decoder for rows and one for fields, which must agree.
struct Pair {
    rows: FastDecoder,
    fields: FastDecoder,
    batch: MessageBatch,
    names: Names,
}

impl Pair {
    fn new(templates: &Arc<Templates>, policy: ResetPolicy) -> Self {
        let decoder = || FastDecoder::new(Arc::clone(templates), policy);
        let mut names = Names::new();
        names.intern(b"test").unwrap();
        Self { rows: decoder(), fields: decoder(), batch: MessageBatch::new(), names }
    }

    /// Decodes the message at the start of `bytes` twice: its fields.
    fn decode(&mut self, bytes: &[u8]) -> Result<(Vec<Field>, usize), FastError> {
        if self.batch.room() < 2000 {
            self.batch.clear();
        }
        let before = self.batch.len();
        let rows = self.rows.decode(bytes, &head(), &mut self.batch, &mut self.names);
        let fields = self.fields.explain(bytes);
        match (&rows, &fields) {
            (Ok(len), Ok((explained, other))) => {
                assert_eq!(len, other);
                assert!(self.batch.len() > before);
                assert_tiles(&explained.fields, *len);
            }
            (Err(error), Err(other)) => {
                assert_eq!(error, other);
                assert_eq!(self.batch.len(), before);
            }
            _ => panic!("rows {rows:?}, fields {fields:?}"),
        }
        fields.map(|(explained, len)| (explained.fields, len))
    }
}

/// Each field begins where the one before ended, and the last ends the message.
fn assert_tiles(fields: &[Field], len: usize) {
    let mut end = 0;
    for field in fields {
        assert_eq!(field.offset, end, "{field:?}");
        end += field.size;
    }
    assert_eq!(end as usize, len);
}

/// The fields that are values: no presence maps, no template ids.
fn values(fields: &[Field]) -> Vec<Value> {
    let is_value = |field: &&Field| field.name != "pmap" && field.name != "template_id";
    fields.iter().filter(is_value).map(|field| field.value.clone()).collect()
}

fn int(value: i128) -> Value {
    Value::Int(value)
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn decimal(mantissa: i128, exponent: i32) -> Value {
    Value::Decimal { mantissa, scale: -exponent }
}

/// The codes of decoding these messages one after the other, `None` where a
/// message is well.
fn code(templates: &Arc<Templates>, bytes: &[u8]) -> Option<Code> {
    let mut pair = Pair::new(templates, ResetPolicy::Never);
    pair.decode(bytes).err().and_then(|error| error.code())
}
