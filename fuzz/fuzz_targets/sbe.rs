//! SBE, two ways by the first byte: any bytes as a message of the tests' schema
//! and overlay; or any text as a schema, and the rest as a message of it. Every
//! byte is explained once, and what is whole is whole for rows too.
//!
//! ```text
//! 0 | message
//! 1 | length of the schema, u16 | schema | message
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::kind::flags;
use taptrail_decoders::names::{Name, Names};
use taptrail_decoders::sbe::decode::SbeDecoder;
use taptrail_decoders::sbe::explain::explain;
use taptrail_decoders::sbe::overlay::Overlay;
use taptrail_decoders::sbe::protocol::{ROWS_MAX, SbeProtocol};
use taptrail_decoders::sbe::shape::Schema;

const SCHEMA: &str = include_str!("../../decoders/src/sbe/tests/acme.xml");
const OVERLAY: &str = include_str!("../../decoders/src/sbe/tests/acme.toml");

fuzz_target!(|data: &[u8]| {
    match data {
        [0, body @ ..] => message(own(), body),
        [_, low, high, rest @ ..] => {
            let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
            let (xml, body) = rest.split_at(len);
            let xml = String::from_utf8_lossy(xml);
            if let Ok(schema) = Schema::parse("fuzz", &xml) {
                let mut overlay = own().overlay.clone();
                overlay.fits.iter_mut().for_each(|fits| {
                    fits.id = schema.id;
                    fits.package.clear();
                    fits.has = None;
                });
                message(&Arc::new(SbeProtocol::new(overlay, &[schema])), body);
            }
        }
        _ => {}
    }
});

fn own() -> &'static Arc<SbeProtocol> {
    static OWN: OnceLock<Arc<SbeProtocol>> = OnceLock::new();
    OWN.get_or_init(|| {
        let schema = Schema::parse("acme.xml", SCHEMA).expect("a good schema");
        let overlay = Overlay::parse("acme.toml", OVERLAY).expect("a good overlay");
        Arc::new(SbeProtocol::new(overlay, &[schema]))
    })
}

fn message(protocol: &Arc<SbeProtocol>, body: &[u8]) {
    let explained = explain(protocol, body, false);
    let covered: usize = explained.fields.iter().map(|field| field.size as usize).sum();
    assert_eq!(covered, body.len(), "{explained:?}");
    let known = protocol.knows(body, None);
    assert!(!known || explained.error.is_none());
    let (mut names, mut batch) = (Names::new(), MessageBatch::new());
    let mut decoder = SbeDecoder::new(Arc::clone(protocol), false, &mut names);
    for _ in 0..2 {
        batch.clear();
        let done = decoder.decode(body, &head(body.len()), 1, &mut batch, &mut names);
        assert!(done.is_ok() && (1..=ROWS_MAX).contains(&batch.len()));
        let wrong = flags::DECODE_ERROR | flags::UNKNOWN_TYPE;
        assert!(!known || batch.flags()[0] & wrong == 0);
    }
}

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
