//! Any text as a protocol file: it is refused with a line of the text, or its
//! messages can be made up and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taptrail_decoders::fixed::encode::{Seeded, message};
use taptrail_decoders::fixed::explain::explain;
use taptrail_decoders::fixed::protocol::FixedProtocol;

fuzz_target!(|text: &str| {
    match FixedProtocol::parse("fuzzed.toml", text) {
        Err(fault) => assert!(fault.line <= text.lines().count() + 1, "{fault}"),
        Ok(protocol) => {
            let mut dice = Seeded(1);
            for layout in protocol.layouts.iter().take(16) {
                let body = message(&protocol, layout, &mut dice);
                let explained = explain(&protocol, &body, layout.sender);
                let covered: usize = explained.fields.iter().map(|f| f.size as usize).sum();
                assert_eq!(covered, body.len());
            }
        }
    }
});
