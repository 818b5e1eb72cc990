//! Any bytes as a FIX stream: cutting ends, and every message is explained.

#![no_main]

use libfuzzer_sys::fuzz_target;
use taptrail_decoders::fix::decode::{FixConfig, FixDecoder};
use taptrail_decoders::fix::framing::{Scan, scan};
use taptrail_decoders::fix::user::UserTags;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let decoder = FixDecoder::new(FixConfig { show_secrets: false });
    while !rest.is_empty() {
        match scan(rest) {
            Scan::Message { len, .. } => {
                let (message, after) = rest.split_at(len.clamp(1, rest.len()));
                let explained = decoder.explain(message, &UserTags::default());
                assert!(explained.fields.iter().all(|f| (f.offset + f.size) as usize <= message.len()));
                rest = after;
            }
            Scan::Skip(len) => rest = rest.get(len.max(1)..).unwrap_or_default(),
            Scan::NeedMore => return,
        }
    }
});
