//! A packet header that is itself a FAST message: Eurex's and Xetra's EMDI, MDI
//! and RDI begin each datagram so.
//!
//! ```text
//! c0 c9   9e             84 00 00 0b ce   88 14 ac a5 fe c6 da 68 ce   | c0 f8   | 7a e8 fb …
//! pmap,   SenderCompID   PacketSeqNum     SendingTime                  | reset   | messages
//! id 73   30             3022             ns since 1970                |
//! ```
//!
//! The header is a template of the user's file with a field `PacketSeqNum`
//! whose instructions keep nothing from message to message, so that it is read
//! by itself, whatever was lost before. Vectors are numbers in network order.
//! Numbers count per `SenderCompID`, which becomes the rows' channel.

use std::ops::Range;
use std::sync::Arc;

use super::decode::{FastDecoder, ResetPolicy};
use super::error::Code;
use super::machine::{FREE_ENTRIES_MAX, Found, Machine, Sink, Val};
use super::preamble::Prefix;
use super::slots::Slots;
use super::templates::{Op, Operator, Program, Templates, What};
use super::wire::Wire;
use crate::field::Field;

/// The field that makes a template a packet header.
const SEQ_FIELD: &str = "PacketSeqNum";

/// The packet headers of a templates file.
#[derive(Debug)]
pub struct PacketHeader {
    templates: Arc<Templates>,
    ids: Vec<u32>,
}

impl PacketHeader {
    /// The templates of a file that are packet headers; `None` where there is
    /// none.
    pub fn find(templates: &Arc<Templates>) -> Option<Self> {
        let is_header = |program: &&Program| {
            let ops = templates.ops.get(program.ops.clone()).unwrap_or_default();
            let has_seq = ops.iter().any(|op| *templates.field(op).name == *SEQ_FIELD);
            has_seq && !program.reset && ops.iter().all(keeps_nothing)
        };
        let headers = templates.programs.iter().filter(is_header);
        let ids: Vec<u32> = headers.filter_map(|program| program.id).collect();
        (!ids.is_empty()).then(|| Self { templates: Arc::clone(templates), ids })
    }

    /// What the header at the start of `bytes` says; `None` where no header is
    /// there.
    pub fn read(&self, bytes: &[u8]) -> Option<Prefix> {
        let mut wire = Wire::new(bytes);
        let id = wire.pmap().ok()?.bit().then(|| wire.uint(u32::MAX.into()))?.ok()?;
        self.ids.iter().find(|&&known| u64::from(known) == id)?;
        let mut sink = HeaderSink::default();
        let mut machine = Machine {
            templates: &self.templates,
            slots: &mut Slots::new(0),
            wire: Wire::new(bytes),
            scratch: &mut Vec::new(),
            sink: &mut sink,
            implicit_reset: None,
            was_reset: false,
            free_entries: FREE_ENTRIES_MAX,
            depth: 0,
            template: None,
            op: None,
        };
        machine.template().ok()?;
        let len = machine.wire.pos();
        Some(Prefix { len, ..sink.prefix })
    }

    /// The header's fields, for people; they tile its bytes.
    pub fn explain(&self, bytes: &[u8]) -> Vec<Field> {
        let mut decoder = FastDecoder::new(Arc::clone(&self.templates), ResetPolicy::Message);
        decoder.explain(bytes).map(|(explained, _)| explained.fields).unwrap_or_default()
    }
}

/// Whether an instruction neither needs nor leaves a previous value, and can
/// be read without a loop.
fn keeps_nothing(op: &Op) -> bool {
    let stateless = matches!(op.operator, Operator::None | Operator::Constant | Operator::Default);
    stateless && !matches!(op.what, What::Sequence { .. } | What::Dynamic)
}

/// Picks what a header says.
#[derive(Default)]
struct HeaderSink {
    prefix: Prefix,
}

impl Sink for HeaderSink {
    fn field(&mut self, templates: &Templates, op: &Op, value: Val<'_>, _: Range<usize>) {
        match &*templates.field(op).name {
            SEQ_FIELD => self.prefix.seq = number(value),
            "SenderCompID" => {
                self.prefix.sender = number(value);
                self.prefix.channel = number(value).and_then(|id| u32::try_from(id).ok());
            }
            "SendingTime" => {
                self.prefix.ts_send = number(value).and_then(|ns| i64::try_from(ns).ok());
            }
            _ => {}
        }
    }

    fn pmap(&mut self, _: &[u8], _: usize) {}
    fn template(&mut self, _: Found<'_>, _: usize, _: usize) {}
    fn template_end(&mut self) {}
    fn group(&mut self, _: &str) {}
    fn group_end(&mut self) {}
    fn entry(&mut self, _: &str, _: bool, _: u32) -> Result<(), Code> {
        Ok(())
    }
    fn entry_end(&mut self, _: bool) {}
}

/// An integer, or a vector of up to eight bytes in network order.
fn number(value: Val<'_>) -> Option<u64> {
    match value {
        Val::Uint(value) => Some(value),
        Val::Int(value) => u64::try_from(value).ok(),
        Val::Bytes(bytes) if (1..=8).contains(&bytes.len()) => {
            Some(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Value;

    const FILE: &str = r#"<templates>
        <template name="PacketHeader" id="73"><uInt32 name="SenderCompID" id="49"/>
          <byteVector name="PacketSeqNum"/><byteVector name="SendingTime"/></template>
        <template name="Kept" id="74"><uInt32 name="SenderCompID"><copy/></uInt32>
          <byteVector name="PacketSeqNum"/></template>
        <template name="Other" id="75"><uInt32 name="x"/></template></templates>"#;

    fn header() -> PacketHeader {
        PacketHeader::find(&Arc::new(Templates::parse("t.xml", FILE).unwrap())).unwrap()
    }

    const BYTES: [u8; 18] =
        [0xc0, 0xc9, 0x9e, 0x84, 0, 0, 1, 2, 0x88, 0, 0, 0, 1, 0, 0, 0, 9, 0xc0];

    #[test]
    fn a_header_gives_sender_number_and_time() {
        let prefix = header().read(&BYTES).unwrap();
        assert_eq!((prefix.len, prefix.seq, prefix.channel), (17, Some(258), Some(30)));
        assert_eq!((prefix.sender, prefix.ts_send), (Some(30), Some((1 << 32) + 9)));
        let fields = header().explain(&BYTES);
        assert_eq!(fields.iter().map(|field| field.size).sum::<u32>(), 17);
        assert_eq!(fields[2].value, Value::Int(30));
    }

    #[test]
    fn what_is_no_header_is_left_alone() {
        let header = header();
        assert_eq!(header.ids, [73], "74 keeps a value, 75 has no number");
        assert_eq!(header.read(&[0xc0, 0xcb, 0x81]), None);
        for cut in 0..17 {
            assert_eq!(header.read(&BYTES[..cut]), None, "{cut}");
        }
        let plain = "<template name=\"T\" id=\"1\"><uInt32 name=\"x\"/></template>";
        let plain = Arc::new(Templates::parse("t.xml", plain).unwrap());
        assert!(PacketHeader::find(&plain).is_none());
    }
}
