//! A refresh of 3 entries, each message with all it needs.

use super::fix::head;
use super::{Contender, measure};
use fastlib::{Decoder, MessageFactory, Value};
use std::sync::Arc;
use taptrail_decoders::batch::MessageBatch;
use taptrail_decoders::fast::decode::{FastDecoder, ResetPolicy};
use taptrail_decoders::fast::error::FastError;
use taptrail_decoders::fast::templates::Templates;
use taptrail_decoders::names::{Name, Names};

#[path = "../../streams/fast.rs"]
mod wire;

/// The template without the one field that fastlib refuses (an optional decimal
/// whose exponent has the operator default and no value); no message has it.
fn template() -> String {
    let begin = wire::TEMPLATE.find("<decimal name=\"NetChgPrevDay\"").expect("the field");
    let end = begin + wire::TEMPLATE[begin..].find("</decimal>").expect("its end");
    let rest = &wire::TEMPLATE[end + "</decimal>".len()..];
    format!("{}{rest}", &wire::TEMPLATE[..begin])
}

pub fn run() {
    let messages: Vec<Vec<u8>> = (0..wire::MESSAGES as u64).map(wire::message).collect();
    measure(
        "FAST refresh, 3 entries",
        messages.len(),
        vec![ours(messages.clone()), fastlib(messages)],
    );
}

fn ours(messages: Vec<Vec<u8>>) -> Contender {
    let templates = Arc::new(Templates::parse("bench", &template()).expect("a good template"));
    let mut decoder = FastDecoder::new(templates, ResetPolicy::Message);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    let head = head(names.intern(b"fast").unwrap_or(Name(0)));
    let read = move || {
        batch.clear();
        let mut rows = 0;
        for message in &messages {
            loop {
                match decoder.decode(message, &head, &mut batch, &mut names) {
                    Err(FastError::Full) => {
                        rows += batch.len() as u64;
                        batch.clear();
                    }
                    result => break assert!(result.is_ok()),
                }
            }
        }
        rows + batch.len() as u64
    };
    Contender { name: "taptrail", makes: "columns of rows", read: Box::new(read) }
}

/// Counts values and entries.
#[derive(Default)]
struct Counts {
    values: u64,
    entries: u64,
}

impl MessageFactory for Counts {
    fn start_template(&mut self, _: u32, _: &str) {}
    fn stop_template(&mut self) {}
    fn set_value(&mut self, _: u32, _: &str, value: Option<Value>) {
        self.values += u64::from(value.is_some());
    }
    fn start_sequence(&mut self, _: u32, _: &str, _: u32) {}
    fn start_sequence_item(&mut self, _: u32) {
        self.entries += 1;
    }
    fn stop_sequence_item(&mut self) {}
    fn stop_sequence(&mut self) {}
    fn start_group(&mut self, _: &str) {}
    fn stop_group(&mut self) {}
    fn start_template_ref(&mut self, _: &str, _: bool) {}
    fn stop_template_ref(&mut self) {}
}

fn fastlib(messages: Vec<Vec<u8>>) -> Contender {
    let text = format!(
        "<templates xmlns=\"http://www.fixprotocol.org/ns/fast/td/1.1\">{}</templates>",
        template()
    );
    let mut decoder = Decoder::new_from_xml(&text).expect("a good template");
    let read = move || {
        let mut counts = Counts::default();
        for message in &messages {
            decoder.reset();
            decoder.decode_slice(message, &mut counts).expect("a good message");
        }
        assert_eq!(counts.entries, (messages.len() * wire::ENTRIES) as u64);
        counts.values
    };
    Contender {
        name: "fastlib 0.3.8 (MIT)",
        makes: "a call a value, nothing kept",
        read: Box::new(read),
    }
}
