//! Feeds of declared framings from frames to rows and to explanations, with
//! small protocols of their own.

use super::tests::{Row, config, rows_of};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::explain::{ExplainedMessage, Explainer};
use crate::fixed::protocol::FixedProtocol;
use crate::flow::Recognised;
use crate::framing;
use crate::kind::{Kind, flags};
use crate::library::Library;
use crate::testing::{Frame, meta};
use proptest::prelude::*;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

const A: (&str, &str) = ("10.1.1.1:4000", "233.54.12.1:26477");
const B: (&str, &str) = ("10.1.1.2:4000", "233.54.12.2:26477");

/// A protocol `test.NAME.1` on a framing, with the code where `code` says.
fn protocol(name: &str, framing: &str, endian: &str, code: &str, messages: &str) -> FixedProtocol {
    let text = format!(
        "[protocol]\nid = \"test.{name}.1\"\ntitle = \"t\"\nsource = \"s\"\nvenues = [\"XXXX\"]\n\
         framings = [{framing:?}]\nendian = {endian:?}\ncode = {code}\n{messages}"
    );
    FixedProtocol::parse(name, &text).unwrap_or_else(|fault| panic!("{fault}"))
}

/// A message without fields but its header, as a table of the protocol's file.
fn message(code: &str, name: &str, size: usize, from: usize) -> String {
    let kind = if name == "symbol" { "instrument" } else { "admin" };
    let learn = "learn = [{ table = \"t\", key = \"id\", set = { symbol = \"symbol\" } }]";
    let fields = match name {
        "symbol" => format!("{from} id u8\n{} symbol a4\n\"\"\"\n{learn}", from + 1),
        _ => format!("{from} id u8\n{} rest b{}\n\"\"\"", from + 1, size - from - 1),
    };
    let lookup = "lookup = [{ table = \"t\", key = \"id\", get = { symbol = \"symbol\" } }]";
    let lookup = if name == "symbol" { "" } else { lookup };
    format!(
        "[msg.{code}]\nname = {name:?}\nkind = {kind:?}\nsize = {size}\nlayout = \"\"\"\n{fields}\n{lookup}\n"
    )
}

fn library() -> Arc<Library> {
    let common = |layout: &str| format!("[common]\nlayout = \"\"\"\n{layout}\n\"\"\"\n");
    let two = |head: &str, symbol: &str, add: &str, from: usize| {
        let symbol = message(symbol, "symbol", from + 5, from);
        common(head) + &symbol + &message(add, "add", from + 4, from)
    };
    let u16_code = "{ at = 2, type = \"u16\" }";
    let u8_code = "{ at = 1, type = \"u8\" }";
    let c1_code = "{ at = 0, type = \"c1\" }";
    let fixed = vec![
        protocol("xdp", "xdp", "little", u16_code, &two("0 size u16\n2 type u16", "3", "100", 4)),
        protocol(
            "pitch",
            "cboe-suh",
            "little",
            u8_code,
            &two("0 length u8\n1 type u8", "32", "33", 2),
        ),
        protocol("deep", "iex-tp", "little", c1_code, &two("0 type c1", "D", "8", 1)),
        protocol(
            "opra",
            "opra-block",
            "big",
            "{ at = 1, type = \"c1\" }",
            &two("0 participant c1\n1 type c1", "k", "H", 2),
        ),
    ];
    let fixed = fixed.into_iter().map(Arc::new).collect();
    Arc::new(Library::assemble(fixed, Vec::new(), framing::catalog::embedded().to_vec()))
}

fn decode(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> (Vec<Row>, Decoder) {
    let mut decoder = Decoder::new(Arc::clone(config), library());
    let mut rows = Vec::new();
    let mut batch = PacketBatch::new();
    for (packet_ix, frame) in frames.iter().enumerate() {
        batch.push(meta(packet_ix as u32, packet_ix as i64 * 1000, frame.len()), frame);
    }
    decoder.decode(&batch, &mut |batch, names| rows.extend(rows_of(batch, names)));
    decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
    (rows, decoder)
}

fn explain(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> Vec<ExplainedMessage> {
    let mut explainer = Explainer::new(Arc::clone(config), library());
    let mut batch = PacketBatch::new();
    for (packet_ix, frame) in frames.iter().enumerate() {
        batch.push(meta(packet_ix as u32, 0, frame.len()), frame);
    }
    let mut messages = Vec::new();
    explainer.explain(&batch, &mut |message| messages.push(message));
    explainer.finish(&mut |message| messages.push(message));
    messages
}

fn on(line: (&str, &str), payload: &[u8]) -> Vec<u8> {
    Frame::udp(line.0, line.1, payload).ethernet()
}

fn xdp(flag: u8, seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let size: usize = 16 + messages.iter().map(|m| m.len()).sum::<usize>();
    let head = [&(size as u16).to_le_bytes()[..], &[flag, messages.len() as u8]].concat();
    let times = [1_700_000_000u32.to_le_bytes(), 5u32.to_le_bytes()].concat();
    [&head, &seq.to_le_bytes()[..], &times, &messages.concat()].concat()
}

fn xdp_symbol(id: u8, symbol: &[u8; 4]) -> Vec<u8> {
    [&[9, 0, 3, 0, id][..], symbol].concat()
}

fn xdp_add(id: u8) -> Vec<u8> {
    vec![8, 0, 100, 0, id, 0, 0, 0]
}

/// The fields of each packet cover its payload once, to the byte.
fn check_cover(frames: &[Vec<u8>], messages: &[ExplainedMessage]) {
    for (at, frame) in frames.iter().enumerate() {
        let of = messages.iter().filter(|message| message.packet_ix == at as u32);
        let mut fields: Vec<(i64, i64)> = of
            .flat_map(|message| &message.fields)
            .filter(|field| field.size > 0)
            .map(|field| (field.offset, i64::from(field.size)))
            .collect();
        fields.sort();
        let mut next = 42.min(frame.len()) as i64;
        for (offset, size) in fields {
            assert_eq!(offset, next, "packet {at}: {messages:#?}");
            next += size;
        }
        assert_eq!(next, frame.len() as i64, "packet {at}: {messages:#?}");
    }
}

#[test]
fn messages_heartbeats_gaps_and_resets() {
    let frames = [
        on(A, &xdp(12, 1, &[&xdp_symbol(7, b"ALFA")])),
        on(A, &xdp(11, 2, &[&xdp_add(7), &xdp_add(8)])),
        on(A, &xdp(1, 4, &[])),
        on(A, &xdp(11, 6, &[&xdp_add(7)])),
        on(A, &xdp(13, 4, &[&xdp_add(7)])),
        on(A, &xdp(11, 6, &[&xdp_add(7)])),
        on(A, &xdp(12, 1, &[&xdp_add(7)])),
        on(A, &xdp(17, 900, &[&xdp_add(7)])),
        on(A, &xdp(11, 2, &[&xdp_add(7)])),
    ];
    let (rows, decoder) = decode(&config(""), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.seq, r.gap, r.flags)).collect();
    assert_eq!(
        seen,
        [
            (0, Some(1), None, 0),
            (1, Some(2), Some(0), 0),
            (1, Some(3), Some(0), 0),
            (2, Some(4), Some(0), 0),
            (3, Some(6), Some(2), 0),
            (4, Some(4), None, flags::RETRANSMIT),
            (5, Some(6), None, flags::DUPLICATE),
            (6, Some(1), None, 0),
            (7, Some(900), None, flags::SNAPSHOT),
            (8, Some(2), Some(0), 0),
        ]
    );
    assert_eq!((rows[3].kind, rows[3].protocol.as_str()), (Kind::Heartbeat, "xdp"));
    assert_eq!(rows[1].protocol, "test.xdp.1");
    assert_eq!(rows[1].symbol.as_deref(), Some("ALFA"));
    assert_eq!(rows[1].ts_send, Some(1_700_000_000_000_000_005));
    let flow = &decoder.flows()[0];
    assert_eq!(flow.recognised, Some(Recognised::Certain));
    assert_eq!((flow.messages, flow.gaps, flow.missing, flow.errors), (10, 1, 1, 0));
    check_cover(&frames, &explain(&config(""), &frames));
}

#[test]
fn a_snapped_packet_and_trailing_bytes() {
    let mut snapped = on(A, &xdp(11, 4, &[&xdp_add(1), &xdp_add(2), &xdp_add(3)]));
    snapped.truncate(snapped.len() - 10);
    let longer = [&xdp(11, 7, &[&xdp_add(1)])[..], b"xyz"].concat();
    let frames = [on(A, &xdp(11, 3, &[&xdp_add(1)])), snapped, on(A, &longer)];
    let (rows, decoder) = decode(&config(""), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.seq, r.flags)).collect();
    let cut = flags::TRUNCATED | flags::UNKNOWN_TYPE;
    assert_eq!(seen, [(0, Some(3), 0), (1, Some(4), 0), (1, Some(5), cut), (2, Some(7), 0)]);
    assert_eq!(decoder.counters().messages_cut, 1);
    assert_eq!(decoder.counters().undecoded["bytes after the counted messages"].bytes, 3);
    assert_eq!(decoder.flows()[0].errors, 1);
    check_cover(&frames, &explain(&config(""), &frames));
}

#[test]
fn lines_of_one_channel_teach_each_other() {
    let feeds = r#"
        [[feed]]
        protocol = "test.xdp.1"
        line = "A"
        channel = 3
        group = "233.54.12.1"
        port = 26477
        [[feed]]
        protocol = "test.xdp.1"
        line = "B"
        channel = 3
        group = "233.54.12.2"
        port = 26477
        "#;
    let frames =
        [on(A, &xdp(11, 1, &[&xdp_symbol(7, b"ALFA")])), on(B, &xdp(11, 2, &[&xdp_add(7)]))];
    let (rows, _) = decode(&config(feeds), &frames);
    assert_eq!((rows[1].symbol.as_deref(), rows[1].channel), (Some("ALFA"), Some(3)));
    let apart = feeds.replacen("channel = 3", "channel = 4", 1);
    assert_eq!(decode(&config(&apart), &frames).0[1].symbol, None);
}

fn suh(unit: u8, seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let size: usize = 8 + messages.iter().map(|m| m.len()).sum::<usize>();
    let head = [&(size as u16).to_le_bytes()[..], &[messages.len() as u8, unit]].concat();
    [&head, &seq.to_le_bytes()[..], &messages.concat()].concat()
}

#[test]
fn units_are_channels_and_sequence_0_is_none() {
    let add: &[u8] = &[6, 33, 7, 0, 0, 0];
    let frames = [
        on(A, &suh(1, 10, &[add])),
        on(A, &suh(2, 500, &[add, add])),
        on(A, &suh(1, 12, &[add])),
        on(A, &suh(2, 502, &[])),
        on(A, &suh(0, 0, &[add])),
        on(A, &suh(0, 0, &[])),
    ];
    let (rows, _) = decode(&config(""), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.channel, r.seq, r.gap)).collect();
    assert_eq!(
        seen,
        [
            (Some(1), Some(10), None),
            (Some(2), Some(500), None),
            (Some(2), Some(501), None),
            (Some(1), Some(12), Some(1)),
            (Some(2), Some(502), Some(0)),
            (Some(0), None, None),
            (Some(0), None, None),
        ]
    );
    check_cover(&frames, &explain(&config(""), &frames));
}

#[test]
fn iex_messages_begin_behind_their_length() {
    let body: &[u8] = &[b'8', 7, 0, 0, 0];
    let mut packet = vec![1, 0, 4, 0x80, 1, 0, 0, 0, 0x2A, 0, 0, 0, 7, 0, 1, 0];
    packet.extend_from_slice(&100u64.to_le_bytes());
    packet.extend_from_slice(&33u64.to_le_bytes());
    packet.extend_from_slice(&1_700_000_000_000_000_001u64.to_le_bytes());
    packet.extend_from_slice(&[5, 0]);
    packet.extend_from_slice(body);
    let frames = [on(A, &packet)];
    let (rows, _) = decode(&config(""), &frames);
    let row = &rows[0];
    assert_eq!((row.session.as_deref(), row.channel, row.seq), (Some("42"), Some(1), Some(33)));
    assert_eq!((row.msg_type.as_str(), row.raw_len), ("8", 5));
    assert_eq!(row.ts_send, Some(1_700_000_000_000_000_001));
    check_cover(&frames, &explain(&config(""), &frames));
}

fn opra(seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let len: usize = 21 + messages.iter().map(|m| m.len()).sum::<usize>();
    let padded = len.next_multiple_of(2);
    let mut block = vec![6];
    block.extend_from_slice(&(padded as u16).to_be_bytes());
    block.extend_from_slice(b"O \0");
    block.extend_from_slice(&seq.to_be_bytes());
    block.push(messages.len() as u8);
    block.extend_from_slice(&[0; 10]);
    block.extend_from_slice(&messages.concat());
    block.resize(padded, 0);
    block
}

#[test]
fn opra_sizes_come_from_the_protocol_and_blocks_are_padded() {
    let (long, short): (&[u8], &[u8]) = (b"Ck\x07ALFA", b"CH\x07\0\0\0");
    let frames = [on(A, &opra(1, &[long, short])), on(A, &opra(3, &[long]))];
    assert_eq!(frames[0].len() - 42, 34);
    let (rows, decoder) = decode(&config(""), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.msg_type.as_str(), r.seq, r.raw_len)).collect();
    assert_eq!(seen, [("k", Some(1), 7), ("H", Some(2), 6), ("k", Some(3), 7)]);
    assert_eq!(decoder.flows()[0].errors, 0);
    check_cover(&frames, &explain(&config(""), &frames));
    let odd = on(A, &opra(1, &[long, b"C?\x07\0\0\0"]));
    let named = config("[[feed]]\nprotocol = \"test.opra.1\"");
    let (rows, decoder) = decode(&named, std::slice::from_ref(&odd));
    assert_eq!(rows.len(), 1);
    assert_eq!(decoder.flows()[0].note, Some("message of unknown size"));
    check_cover(&[odd.clone()], &explain(&named, &[odd]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Arbitrary bytes as every framing: no panic, and every byte of a payload
    /// in one place.
    #[test]
    fn any_bytes_are_covered_once(
        at in any::<prop::sample::Index>(),
        start in prop::collection::vec(any::<u8>(), 0..12),
        rest in prop::collection::vec(0u8..24, 0..90),
        cut in 0usize..40,
    ) {
        let framings = framing::catalog::embedded();
        let id = &framings[at.index(framings.len())].id;
        let payload = [&start[..], &rest].concat();
        let mut frame = on(A, &payload);
        let whole = frame.len();
        frame.truncate(whole.saturating_sub(cut).max(42));
        let named = config(&format!("[[feed]]\nprotocol = {id:?}"));
        let frames = [on(A, &payload), frame];
        for config in [named, config("")] {
            check_cover(&frames, &explain(&config, &frames));
            decode(&config, &frames);
        }
    }

    /// Damaged packets of known protocols: the same.
    #[test]
    fn damage_is_covered_once(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in 0usize..30,
    ) {
        let add: &[u8] = &[6, 33, 7, 0, 0, 0];
        let mut payloads = vec![
            xdp(11, 1, &[&xdp_symbol(7, b"ALFA"), &xdp_add(7)]),
            suh(1, 10, &[add, add]),
            opra(1, &[b"Ck\x07ALFA", b"CH\x07\0\0\0"]),
        ];
        let mut frames: Vec<_> = payloads.iter().map(|payload| on(A, payload)).collect();
        for payload in &mut payloads {
            for (at, byte) in &flips {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            let mut frame = on(A, payload);
            frame.truncate(frame.len() - cut);
            frames.push(frame.clone());
            frames.push(frame);
        }
        check_cover(&frames, &explain(&config(""), &frames));
        decode(&config(""), &frames);
    }
}
