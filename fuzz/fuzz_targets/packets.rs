//! Any bytes as Ethernet frames, one after the other with two bytes of length
//! before each: headers, TCP, framings, recognition and engines together. The
//! explanation and the rows come from the same packets and find as many
//! messages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use taptrail_capture::file;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::explain::Explainer;
use taptrail_decoders::library::Library;

static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(Library::shipped()));

fuzz_target!(|data: &[u8]| {
    let config = Arc::new(DecoderConfig::default());
    let mut decoder = Decoder::new(Arc::clone(&config), Arc::clone(&LIBRARY));
    let mut explainer = Explainer::new(config, Arc::clone(&LIBRARY));
    let Ok(mut source) = file::from_reader("fuzzed", Box::new(Cursor::new(pcap(data))), TimestampFrom::Record)
    else {
        return;
    };
    let mut batch = PacketBatch::new();
    loop {
        let Ok(progress) = source.next_batch(&mut batch) else { return };
        decoder.decode(&batch, &mut |_, _| {});
        explainer.explain(&batch, &mut |_| {});
        if progress == Progress::End {
            break;
        }
    }
    decoder.finish(&mut |_, _| {});
    explainer.finish(&mut |_| {});
    assert_eq!(decoder.counters().messages, explainer.counters().messages);
});

/// The frames as a capture file with nanoseconds.
fn pcap(mut data: &[u8]) -> Vec<u8> {
    let mut file = Vec::from(0xA1B2_3C4Du32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
    let mut ns = 0u32;
    while let [high, low, rest @ ..] = data {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (frame, after) = rest.split_at(len);
        ns += 1_000;
        file.extend(1_673_361_000u32.to_le_bytes());
        file.extend(ns.to_le_bytes());
        file.extend((len as u32).to_le_bytes());
        file.extend((len as u32).to_le_bytes());
        file.extend(frame);
        data = after;
    }
    file
}
