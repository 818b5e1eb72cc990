//! From frames to rows: MoldUDP64 with one ITCH order delete a packet (the
//! dearest case for the framing) and with twenty.
//!
//! `cargo bench --profile dev -p taptrail-decoders --bench pipeline`

use divan::counter::ItemsCount;
use std::hint::black_box;
use std::sync::Arc;
use taptrail_capture::packet::{Direction, LinkType, PacketBatch, PacketMeta, TsSource};
use taptrail_capture::time::Timestamp;
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::framing::moldudp64::{self, Blocks};
use taptrail_decoders::headers;
use taptrail_decoders::library::Library;

const PACKETS: usize = 4096;

fn main() {
    divan::main();
}

/// Line A and line B in turn, `messages` order deletes in each packet.
fn packets(messages: u64, first_seq: u64) -> PacketBatch {
    let mut batch = PacketBatch::new();
    for index in 0..PACKETS as u64 {
        let frame = frame((index % 2) as u8, first_seq + index / 2 * messages, messages);
        let ts = Timestamp::from_ns(1_700_000_000_000_000_000 + index as i64 * 500);
        batch.push(meta(index as u32, ts, frame.len()), &frame);
    }
    batch
}

fn meta(packet_ix: u32, ts: Timestamp, len: usize) -> PacketMeta {
    PacketMeta {
        ts,
        ts_ps: 0,
        ts_record: ts,
        ts_source: TsSource::Record,
        ts_flags: 0,
        packet_ix,
        interface: 0,
        direction: Direction::Unknown,
        link_type: LinkType::ETHERNET,
        wire_len: len as u32,
    }
}

fn frame(line: u8, seq: u64, messages: u64) -> Vec<u8> {
    let mut payload = b"DAY0000001".to_vec();
    payload.extend_from_slice(&seq.to_be_bytes());
    payload.extend_from_slice(&(messages as u16).to_be_bytes());
    for message in 0..messages {
        payload.extend_from_slice(&[0, 19, b'D', 0, 1, 0, 0, 31, 26, 206, 216, 90, 216]);
        payload.extend_from_slice(&(seq + message).to_be_bytes());
    }
    let mut frame = [&[2u8; 12][..], &[8, 0, 0x45, 0]].concat();
    frame.extend_from_slice(&(28 + payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 16, 17, 0, 0, 10, 0, 0, 1, 233, 54, 12, 101 + line]);
    frame.extend_from_slice(&[0x10, 0, 0x67, 0x6D]);
    frame.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&payload);
    frame
}

/// Headers and blocks alone, without flows, sequences and rows.
#[divan::bench(args = [1, 20])]
fn headers_and_blocks(bencher: divan::Bencher, messages: u64) {
    let batch = packets(messages, 1);
    bencher.counter(ItemsCount::new(PACKETS)).bench(|| {
        let mut bytes = 0;
        for packet in batch.iter() {
            let Ok(segment) = headers::parse(packet.meta.link_type, packet.data) else { continue };
            let payload = packet.data.get(segment.payload).unwrap_or_default();
            if let Some(header) = moldudp64::header(payload) {
                bytes += Blocks::new(payload, &header).map(|block| block.body.len()).sum::<usize>();
            }
        }
        black_box(bytes)
    });
}

/// The whole way to filled rows; items are packets.
#[divan::bench(args = [1, 20])]
fn to_rows(bencher: divan::Bencher, messages: u64) {
    let library = Arc::new(Library::shipped());
    bencher
        .counter(ItemsCount::new(PACKETS))
        .with_inputs(|| {
            let config = Arc::new(DecoderConfig::default());
            let mut decoder = Decoder::new(config, Arc::clone(&library));
            decoder.decode(&packets(messages, 1), &mut |_, _| ());
            (decoder, packets(messages, 1 + messages * PACKETS as u64 / 2))
        })
        .bench_local_values(|(mut decoder, batch)| {
            let mut rows = 0;
            decoder.decode(&batch, &mut |batch, _| rows += batch.len());
            black_box((rows, decoder))
        });
}
