//! Every message of a capture and every byte of it, for people: the answer of
//! `taptrail decode` and of the SQL function `fields`.
//!
//! ```text
//! frame   … | session | sequence | count | len | type | … | price |
//!             └──── packet_header ────┘ └ packet_header     │
//!                                            └─ message ────┘   offsets count in the frame
//! ```
//!
//! Messages come as the rows of [`crate::decoder`] do, with the same ids.

use crate::batch::MessageBatch;
use crate::config::DecoderConfig;
use crate::decoder::Engines;
use crate::field::{Explained, Field, SECRET, Value};
use crate::fix::decode::{FixConfig, FixDecoder};
use crate::fix::secrets;
use crate::fixed;
use crate::flow::{FlowInfo, Recognised};
use crate::kind::Sender;
use crate::library::{Library, ProtocolRef};
use crate::names::{Names, latin1};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::Counters;
use crate::pipeline::sink::{Cut, Engine, Header, Nothing, Outcome, Place, Sink};
use crate::tcp::reassembly::Lost;
use serde::{Serialize, Serializer};
use std::fmt::Write;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

/// The name of the message that a framing's header makes.
pub const PACKET_HEADER: &str = "packet_header";

/// The name of fields that nothing explains.
pub const UNKNOWN: &str = "unknown";

/// A message taken apart. As JSON, one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedMessage {
    /// The packet that completed it, counted from 1.
    pub packet: u64,
    /// The same, counted from 0.
    pub packet_ix: u32,
    /// Its place among those that complete in the packet; `None` for framing
    /// headers and for bytes that are no message.
    pub msg_ix: Option<u16>,
    /// Time of that packet, ns since the epoch.
    pub ts: i64,
    /// Protocol id; `None` where none is known.
    pub protocol: Option<String>,
    /// How sure the protocol is.
    pub recognised: Option<Recognised>,
    /// Native type code, empty for framing headers.
    pub msg_type: String,
    /// The type's name.
    pub name: String,
    /// First byte in the frame of that packet; below 0, so many bytes of the
    /// stream before that packet's payload.
    pub offset: i64,
    /// Whether offsets count in what the packet's compressed body was unpacked
    /// to, from its first byte, and not in the frame.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unpacked: bool,
    /// Bytes.
    pub size: u32,
    /// Fields in wire order.
    pub fields: Vec<ExplainedField>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A field. As JSON, an object with `hex` for the raw bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedField {
    /// The field's own name.
    pub name: String,
    /// Names from the message down to it.
    pub path: String,
    /// First byte, as the message's `offset` counts.
    pub offset: i64,
    /// Bytes; 0 where the value is not on the wire.
    pub size: u32,
    /// The bytes; empty where they are secret or not on the wire.
    #[serde(rename = "hex", serialize_with = "as_hex")]
    pub raw: Vec<u8>,
    /// What they mean.
    #[serde(serialize_with = "as_json")]
    pub value: Value,
}

/// Explains the packets of one capture, in order.
pub struct Explainer {
    pipeline: Pipeline,
    engines: Engines,
    /// FIX messages are also decoded, so that sessions are known; the rows are
    /// thrown away.
    scratch: MessageBatch,
}

impl Explainer {
    /// An explainer that has seen nothing.
    pub fn new(config: Arc<DecoderConfig>, library: Arc<Library>) -> Self {
        let engines = Engines::new(&config, Arc::clone(&library));
        Self { pipeline: Pipeline::new(config, library), engines, scratch: MessageBatch::new() }
    }

    /// Explains the packets that follow; `out` gets each message as it
    /// completes.
    pub fn explain(&mut self, packets: &PacketBatch, out: &mut dyn FnMut(ExplainedMessage)) {
        let (engines, scratch) = (&mut self.engines, &mut self.scratch);
        let mut sink = TextSink { engines, scratch, out };
        for packet in packets.iter() {
            self.pipeline.packet(packet, &mut sink);
        }
    }

    /// The capture has ended: gives what still waited.
    pub fn finish(&mut self, out: &mut dyn FnMut(ExplainedMessage)) {
        let (engines, scratch) = (&mut self.engines, &mut self.scratch);
        self.pipeline.finish(Lost::Unfinished, &mut TextSink { engines, scratch, out });
    }

    /// Takes in the last packets of the capture before, as
    /// [`Decoder::lead_in`](crate::decoder::Decoder::lead_in) does.
    pub fn lead_in(&mut self, packets: &PacketBatch) {
        packets.iter().for_each(|packet| self.pipeline.lead_in(packet, &mut Nothing));
    }

    /// The packets that follow are the capture's own.
    pub fn begin(&mut self) {
        self.pipeline.begin();
    }

    /// The flows so far.
    pub fn flows(&self) -> &[FlowInfo] {
        self.pipeline.shared.flows.infos()
    }

    /// The names that flows refer to.
    pub fn names(&self) -> &Names {
        &self.pipeline.shared.names
    }

    /// What was read, and what was not.
    pub fn counters(&self) -> &Counters {
        &self.pipeline.shared.counters
    }
}

/// A stored message that lies whole in one packet.
#[derive(Clone, Copy, Debug)]
pub struct WholeMessage<'a> {
    /// Its protocol's id.
    pub protocol: &'a str,
    /// Its bytes, without its framing.
    pub bytes: &'a [u8],
    /// Which end sent it, where known.
    pub sender: Option<Sender>,
    /// The packet, from 0.
    pub packet_ix: u32,
    /// Its place in the packet.
    pub msg_ix: u16,
    /// Time of the packet, ns since the epoch.
    pub ts: i64,
    /// First byte in the frame.
    pub offset: u32,
}

/// Explains a message by its bytes alone. `None` where its protocol needs those
/// before it: FAST, FIXT (whose version a logon tells), framings.
pub fn explain_whole(
    whole: &WholeMessage<'_>,
    library: &Library,
    config: &DecoderConfig,
) -> Option<ExplainedMessage> {
    let explained = match library.find(whole.protocol, config)? {
        ProtocolRef::Fixed(at) => {
            let protocol = library.fixed_at(at)?;
            let show_secrets = config.decode.show_secrets;
            fixed::explain::explain_with(protocol, whole.bytes, whole.sender, show_secrets)
        }
        ProtocolRef::Fix if !whole.bytes.starts_with(b"8=FIXT") => {
            let show_secrets = config.decode.show_secrets;
            FixDecoder::new(FixConfig { show_secrets }).explain(whole.bytes, library.any_fix_tags())
        }
        _ => return None,
    };
    let facts = Facts {
        msg_ix: Some(whole.msg_ix),
        protocol: Some(whole.protocol.to_owned()),
        recognised: None,
    };
    let (packet_ix, ts) = (whole.packet_ix, whole.ts);
    let place = Place { packet_ix, ts, at: 0, payload_off: whole.offset, unpacked: false };
    Some(message(facts, &place, whole.bytes, explained))
}

struct TextSink<'o> {
    engines: &'o mut Engines,
    scratch: &'o mut MessageBatch,
    out: &'o mut dyn FnMut(ExplainedMessage),
}

impl TextSink<'_> {
    /// Gives a message that an engine has taken apart.
    fn give(&mut self, names: &Names, cut: &Cut<'_, '_, '_>, explained: Explained) {
        let head = Facts {
            msg_ix: Some(cut.head.msg_ix),
            protocol: Some(names.text(cut.head.protocol).to_owned()),
            recognised: cut.recognised,
        };
        (self.out)(message(head, &cut.place, cut.bytes.get(), explained));
    }

    fn fixed(
        &mut self,
        names: &mut Names,
        protocol: u16,
        body: &[u8],
        sender: Option<Sender>,
    ) -> Explained {
        match self.engines.fixed(protocol, names) {
            Some(decoder) => decoder.explain(body, sender),
            None => match self.engines.sbe(protocol, names) {
                Some(decoder) => decoder.explain(body),
                None => opaque(body, None),
            },
        }
    }

    fn fix(&mut self, names: &mut Names, cut: &Cut<'_, '_, '_>, tags: u16) -> Explained {
        self.scratch.clear();
        let bytes = cut.bytes.get();
        let user = self.engines.library.fix_tags(tags);
        // An empty batch has room for any message.
        let _ = self.engines.fix.decode(bytes, cut.head, user, self.scratch, names);
        self.engines.fix.explain(bytes, user)
    }

    fn fast(&mut self, names: &Names, cut: &Cut<'_, '_, '_>, feed: u16, first: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let flow_id = cut.head.flow_id;
        if let Some(decoder) = self.engines.fast(feed, flow_id).filter(|_| first) {
            decoder.start_datagram();
        }
        let whole = cut.bytes.get();
        let mut at = 0;
        while let Some(rest) = whole.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(decoder) = self.engines.fast(feed, flow_id) else { break };
            let (explained, len) = match decoder.explain(rest) {
                Ok((explained, len)) => (explained, len.clamp(1, rest.len())),
                Err(error) => {
                    outcome.errors += 1;
                    (opaque(rest, Some(error.to_string())), rest.len())
                }
            };
            let facts = Facts {
                msg_ix: Some(cut.head.msg_ix.saturating_add(outcome.messages)),
                protocol: Some(names.text(cut.head.protocol).to_owned()),
                recognised: cut.recognised,
            };
            let bytes = rest.get(..len).unwrap_or_default();
            (self.out)(message(facts, &cut.place.skip(at), bytes, explained));
            outcome.messages = outcome.messages.saturating_add(1);
            at += len;
        }
        outcome
    }
}

impl<'p> Sink<'p> for TextSink<'_> {
    fn message(&mut self, names: &mut Names, cut: Cut<'p, '_, '_>) -> Outcome {
        let bytes = cut.bytes.get();
        let explained = match cut.engine {
            Engine::Fixed { protocol, .. } => self.fixed(names, protocol, bytes, cut.head.sender),
            Engine::Fix { tags } => self.fix(names, &cut, tags),
            Engine::Fast { feed, first, .. } => return self.fast(names, &cut, feed, first),
            Engine::Opaque => opaque(bytes, None),
            Engine::Own(own) => (own.explain)(bytes),
        };
        self.give(names, &cut, explained);
        Outcome::ONE
    }

    fn header(&mut self, header: Header<'_>) {
        let explained = Explained {
            msg_type: String::new(),
            name: PACKET_HEADER.to_owned(),
            fields: (header.fields)(header.bytes),
            error: None,
        };
        let facts = Facts {
            msg_ix: None,
            protocol: Some(header.protocol.to_owned()),
            recognised: header.recognised,
        };
        (self.out)(message(facts, &header.place, header.bytes, explained));
    }

    fn undecoded(&mut self, place: Place, bytes: &[u8], reason: &'static str) {
        // A logon that is cut or garbled still has its password.
        let mut masked = bytes.to_vec();
        let hide = !self.engines.fix.shows_secrets() && secrets::mask_loose(&mut masked);
        let bytes = if hide { masked.as_slice() } else { bytes };
        let explained = Explained {
            msg_type: String::new(),
            name: UNKNOWN.to_owned(),
            fields: vec![unknown_field(bytes)],
            error: Some(reason.to_owned()),
        };
        let facts = Facts { msg_ix: None, protocol: None, recognised: None };
        (self.out)(message(facts, &place, bytes, explained));
    }
}

/// What a message has beside its place and its fields.
struct Facts {
    msg_ix: Option<u16>,
    protocol: Option<String>,
    recognised: Option<Recognised>,
}

fn message(facts: Facts, place: &Place, bytes: &[u8], explained: Explained) -> ExplainedMessage {
    let placed = |field: Field| {
        let from = field.offset as usize;
        let raw = bytes.get(from..from.saturating_add(field.size as usize)).unwrap_or_default();
        let secret = field.value == Value::Text(SECRET.to_owned());
        ExplainedField {
            offset: place.offset(field.offset),
            size: field.size,
            raw: if secret { Vec::new() } else { raw.to_vec() },
            name: field.name,
            path: field.path,
            value: field.value,
        }
    };
    ExplainedMessage {
        packet: u64::from(place.packet_ix) + 1,
        packet_ix: place.packet_ix,
        msg_ix: facts.msg_ix,
        ts: place.ts,
        protocol: facts.protocol,
        recognised: facts.recognised,
        msg_type: explained.msg_type,
        name: explained.name,
        offset: place.offset(0),
        unpacked: place.unpacked,
        size: bytes.len() as u32,
        fields: explained.fields.into_iter().map(placed).collect(),
        error: explained.error,
    }
}

/// A message of which only its first byte is told.
fn opaque(bytes: &[u8], error: Option<String>) -> Explained {
    let code = bytes.first().filter(|code| code.is_ascii_graphic());
    let msg_type = code.map_or_else(|| "?".to_owned(), |code| latin1(&[*code]));
    Explained { msg_type, name: String::new(), fields: vec![unknown_field(bytes)], error }
}

fn unknown_field(bytes: &[u8]) -> Field {
    Field {
        name: UNKNOWN.to_owned(),
        path: UNKNOWN.to_owned(),
        offset: 0,
        size: bytes.len() as u32,
        value: Value::Bytes(bytes.to_vec()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn as_hex<S: Serializer>(raw: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(raw))
}

/// Integers as JSON numbers where 64 bits hold them, decimals as exact text,
/// times as nanoseconds, bytes as hex.
fn as_json<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Value::Null => serializer.serialize_none(),
        Value::Int(int) => match (i64::try_from(*int), u64::try_from(*int)) {
            (Ok(int), _) => serializer.serialize_i64(int),
            (_, Ok(int)) => serializer.serialize_u64(int),
            _ => serializer.serialize_str(&int.to_string()),
        },
        Value::Decimal { mantissa, scale } => {
            serializer.serialize_str(&decimal_text(*mantissa, *scale))
        }
        Value::Text(text) => serializer.serialize_str(text),
        Value::Bytes(bytes) => serializer.serialize_str(&hex(bytes)),
        Value::Bool(bool) => serializer.serialize_bool(*bool),
        Value::Time(ns) => serializer.serialize_i64(*ns),
    }
}

/// `mantissa` x 10^-`scale` in digits, with as many places as `scale` says.
pub fn decimal_text(mantissa: i128, scale: i32) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs().to_string();
    let places = usize::try_from(scale).unwrap_or(0);
    if places > 64 || scale < -64 {
        return format!("{sign}{digits}e{}", -i64::from(scale));
    }
    if scale <= 0 {
        let zeros = if mantissa == 0 { 0 } else { scale.unsigned_abs() as usize };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    format!("{sign}{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_text() {
        assert_eq!(decimal_text(12345, 4), "1.2345");
        assert_eq!(decimal_text(-5, 3), "-0.005");
        assert_eq!(decimal_text(7, -2), "700");
        assert_eq!(decimal_text(0, 2), "0.00");
        assert_eq!(decimal_text(3, 4000), "3e-4000");
        assert_eq!(decimal_text(i128::MIN, 0), i128::MIN.to_string());
    }
}
