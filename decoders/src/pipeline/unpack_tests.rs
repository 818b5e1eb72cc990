//! Packets with a compressed body, from frames to rows and to explanations.

use super::tests::{Row, config, rows_of};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::explain::{ExplainedMessage, Explainer};
use crate::fixed::protocol::FixedProtocol;
use crate::framing;
use crate::framing::unpack::tests::pack;
use crate::library::Library;
use crate::testing::{Frame, meta};
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

const HEADERS: usize = 42;
const OPTIQ: usize = 16;

/// A message with a number that repeats, as they do in a snapshot.
const PROTOCOL: &str = r#"
[protocol]
id       = "test.optiq.1"
title    = "t"
source   = "s"
venues   = ["XXXX"]
framings = ["optiq"]
endian   = "little"
code     = { at = 2, type = "u16" }

[common]
layout = """
  0  block_length  u16
  2  template_id   u16
  4  schema_id     u16
  6  version       u16
"""

[msg.1002]
name = "order"
kind = "order.add"
size = 24
layout = """
  8  symbol_index  u64  -> instrument_id
 16  order_id      u64  -> order_id
"""
"#;

fn library() -> Arc<Library> {
    let protocol =
        FixedProtocol::parse("optiq", PROTOCOL).unwrap_or_else(|fault| panic!("{fault}"));
    let framings = framing::catalog::embedded().to_vec();
    Arc::new(Library::assemble(
        vec![Arc::new(Arc::new(protocol).into())],
        Vec::new(),
        Vec::new(),
        framings,
    ))
}

fn order(id: u64) -> Vec<u8> {
    let head = [26u16, 16, 1002, 0, 367].map(u16::to_le_bytes).concat();
    [head, 1_330_000_007u64.to_le_bytes().to_vec(), id.to_le_bytes().to_vec()].concat()
}

fn packet(seq: u32, flags: u16, body: &[u8]) -> Vec<u8> {
    let head = [&1_700_000_000_000_000_001u64.to_le_bytes()[..], &seq.to_le_bytes()].concat();
    let payload = [&head, &flags.to_le_bytes()[..], &[9, 0], body].concat();
    Frame::udp("10.1.1.1:4000", "224.0.212.1:30001", &payload).ethernet()
}

fn batch(frames: &[Vec<u8>]) -> PacketBatch {
    let mut batch = PacketBatch::new();
    for (packet_ix, frame) in frames.iter().enumerate() {
        batch.push(meta(packet_ix as u32, packet_ix as i64 * 1000, frame.len()), frame);
    }
    batch
}

fn decode(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> (Vec<Row>, Decoder) {
    let mut decoder = Decoder::new(Arc::clone(config), library());
    let mut rows = Vec::new();
    decoder.decode(&batch(frames), &mut |batch, names| rows.extend(rows_of(batch, names)));
    decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
    (rows, decoder)
}

fn explain(frames: &[Vec<u8>]) -> Vec<ExplainedMessage> {
    let mut explainer = Explainer::new(config(""), library());
    let mut messages = Vec::new();
    explainer.explain(&batch(frames), &mut |message| messages.push(message));
    messages
}

#[test]
fn compressed_and_plain_packets_are_rows_of_one_sequence() {
    let three = [order(1), order(2), order(3)].concat();
    let packed = pack(&three);
    assert!(packed.len() < three.len(), "something was compressed");
    let frames =
        [packet(7, 1, &packed), packet(8, 0, &order(4)), packet(10, 1 | 1 << 7, &pack(&order(5)))];
    for config in [config(""), config(FEED)] {
        let (rows, decoder) = decode(&config, &frames);
        let seen: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix, r.seq, r.gap)).collect();
        assert_eq!(
            seen,
            [
                (0, 0, Some(7), None),
                (0, 1, Some(7), None),
                (0, 2, Some(7), None),
                (1, 0, Some(8), Some(0)),
                (2, 0, Some(10), Some(1)),
            ]
        );
        assert!(rows.iter().all(|row| row.protocol == "test.optiq.1" && row.channel == Some(9)));
        assert!(rows.iter().all(|row| row.ts_send == Some(1_700_000_000_000_000_001)));
        assert_eq!((rows[1].raw_off, rows[1].raw.as_deref()), (None, Some(&order(2)[2..])));
        assert_eq!((rows[3].raw_off, &rows[3].raw), (Some((HEADERS + OPTIQ + 2) as u32), &None));
        assert_eq!((decoder.flows()[0].errors, decoder.flows()[0].gaps), (0, 1));
    }
}

const FEED: &str = r#"
[[feed]]
protocol = "test.optiq.1"
group = "224.0.212.1"
port = 30001
"#;

#[test]
fn offsets_say_what_they_count_in() {
    let body = pack(&[order(1), order(2)].concat());
    let frames = [packet(7, 1, &body)];
    let messages = explain(&frames);
    let (in_frame, unpacked): (Vec<_>, Vec<_>) = messages.iter().partition(|m| !m.unpacked);
    let on_wire = in_frame.iter().flat_map(|message| &message.fields);
    let mut next = HEADERS as i64;
    for field in on_wire {
        assert_eq!(field.offset, next);
        assert_eq!(field.raw, frames[0][next as usize..next as usize + field.size as usize]);
        next += i64::from(field.size);
    }
    assert_eq!(next as usize, frames[0].len(), "every byte of the frame has a field");
    let whole = [order(1), order(2)].concat();
    let mut next = 0;
    for field in unpacked.iter().flat_map(|message| &message.fields) {
        assert_eq!(field.offset, next as i64);
        assert_eq!(field.raw, whole[next..next + field.size as usize]);
        next += field.size as usize;
    }
    assert_eq!(next, whole.len(), "every unpacked byte has a field");
    let json = serde_json::to_value(unpacked[0]).unwrap_or_default();
    assert_eq!(json["unpacked"], true);
    assert!(serde_json::to_value(in_frame[0]).unwrap_or_default()["unpacked"].is_null());
}

#[test]
fn a_body_that_does_not_unpack_is_counted_and_its_numbers_are_missing() {
    let bomb = [&b"\x1f\0\x01\x00"[..], &[255; 1000], b"\x00\x00"].concat();
    let mut cut = packet(8, 1, &pack(&[order(2), order(3)].concat()));
    cut.truncate(cut.len() - 3);
    let frames = [
        packet(5, 1, &pack(&order(1))),
        packet(6, 1, &bomb),
        packet(7, 1, b"\x50ab"),
        cut,
        packet(9, 0, &order(4)),
    ];
    let (rows, decoder) = decode(&config(""), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.seq, r.gap)).collect();
    assert_eq!(seen, [(0, Some(5), None), (4, Some(9), Some(3))]);
    assert_eq!(decoder.flows()[0].errors, 3);
    let undecoded = &decoder.counters().undecoded;
    assert_eq!(undecoded["compressed body is not whole"].times, 1);
    assert_eq!(undecoded["compressed body ends early"].times, 1);
    let long = "compressed body unpacks to more than its framing allows";
    assert_eq!(undecoded[long].bytes as usize, OPTIQ + bomb.len());
    let told = explain(&frames);
    assert_eq!(told.iter().filter(|message| message.error.is_some()).count(), 3);
}
