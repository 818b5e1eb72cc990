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
        protocol(
            "mach",
            "mach",
            "little",
            "{ at = 0, type = \"u8\" }",
            &two("0 type u8", "1", "2", 1),
        ),
        protocol(
            "eobi",
            "eobi",
            "little",
            u16_code,
            &two("0 size u16\n2 type u16\n4 seq u32", "13100", "13101", 8),
        ),
        protocol("ice", "ice-impact", "big", c1_code, &two("0 type c1\n1 length u16", "D", "K", 3)),
        protocol(
            "cts",
            "cta-block",
            "big",
            "{ at = 3, type = \"c1\" }",
            &two("0 length u16\n2 category c1\n3 type c1", "L", "T", 4),
        ),
        protocol(
            "otc",
            "otc-link",
            "big",
            "{ at = 2, type = \"u8\" }",
            &two("0 size u16\n2 type u8", "1", "2", 3),
        ),
        protocol("aspen", "aspen", "little", c1_code, &two("0 type c1", "S", "K", 1)),
        protocol(
            "xmt",
            "xmt",
            "little",
            "{ at = 2, type = \"c1\" }",
            &two(
                "0 length u16\n2 type c1\n3 version u8\n4 source c1\n5 stream u16\n7 high u8\n8 seq u32",
                "J",
                "A",
                12,
            ),
        ),
        protocol(
            "csm",
            "cboe-csm",
            "big",
            "{ at = 2, type = \"u8\" }",
            &two("0 length u16\n2 template u8", "13", "16", 3),
        ),
        protocol(
            "ultra",
            "ultra",
            "big",
            u16_code,
            &two("0 size u16\n2 type u16\n4 header b12", "230", "1", 16),
        ),
        protocol(
            "hsvf",
            "hsvf",
            "big",
            "{ at = 9, type = \"c1\" }",
            &two("0 sequence a9\n9 type c1", "F", "V", 10),
        ),
    ];
    let fixed = fixed.into_iter().map(|protocol| Arc::new(Arc::new(protocol).into())).collect();
    Arc::new(Library::assemble(
        fixed,
        Vec::new(),
        Vec::new(),
        framing::catalog::embedded().to_vec(),
    ))
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
    let odd = [odd];
    check_cover(&odd, &explain(&named, &odd));
}

/// Rows of packets of one flow: sequence, gap, flags, kind.
fn placed(payloads: &[Vec<u8>]) -> Vec<(Option<u64>, Option<u32>, u32, Kind)> {
    let frames: Vec<_> = payloads.iter().map(|payload| on(A, payload)).collect();
    check_cover(&frames, &explain(&config(""), &frames));
    let (rows, decoder) = decode(&config(""), &frames);
    assert_eq!(decoder.flows()[0].recognised, Some(Recognised::Certain), "{rows:#?}");
    assert_eq!(decoder.flows()[0].errors, 0, "{rows:#?}");
    rows.iter().map(|row| (row.seq, row.gap, row.flags, row.kind)).collect()
}

fn mach(kind: u8, seq: u64, body: &[u8]) -> Vec<u8> {
    let len = (12 + body.len()) as u16;
    [&seq.to_le_bytes()[..], &len.to_le_bytes(), &[kind, 1], body].concat()
}

#[test]
fn mach_packets_have_their_own_numbers() {
    let add: &[u8] = &[2, 7, 0, 0, 0];
    let seen = placed(&[
        mach(1, 0, &[]),
        [mach(3, 1, add), mach(3, 2, add)].concat(),
        mach(0, 3, &[]),
        mach(3, 4, add),
    ]);
    assert_eq!(
        seen,
        [
            (None, None, 0, Kind::Session),
            (Some(1), None, 0, Kind::Admin),
            (Some(2), Some(0), 0, Kind::Admin),
            (Some(3), Some(1), 0, Kind::Heartbeat),
            (Some(4), Some(0), 0, Kind::Admin),
        ]
    );
}

fn eobi(seq: u32, reset: u8, messages: &[&[u8]]) -> Vec<u8> {
    let mut packet = vec![32, 0, 0xCB, 0x32, 255, 255, 255, 255];
    packet.extend_from_slice(&seq.to_le_bytes());
    packet.extend_from_slice(&[1, 0, 0, 0, 4, 1, reset, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(&9u64.to_le_bytes());
    [packet, messages.concat()].concat()
}

#[test]
fn eobi_numbers_packets() {
    let add: &[u8] = &[12, 0, 0x2D, 0x33, 1, 0, 0, 0, 7, 0, 0, 0];
    let packets =
        [eobi(8, 0, &[add, add]), eobi(10, 0, &[add]), eobi(1, 1, &[add]), eobi(2, 0, &[add])];
    let seen = placed(&packets);
    let places: Vec<_> = seen.iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(
        places,
        [
            (Some(8), None),
            (Some(8), None),
            (Some(10), Some(1)),
            (Some(1), None),
            (Some(2), Some(0))
        ]
    );
}

fn cta(retransmission: u8, seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let len: usize = 20 + messages.iter().map(|m| m.len()).sum::<usize>();
    let padded = len.next_multiple_of(2);
    let mut block = [&[2][..], &(padded as u16).to_be_bytes(), &[b'T', retransmission]].concat();
    block.extend_from_slice(&seq.to_be_bytes());
    block.push(messages.len() as u8);
    block.extend_from_slice(&[0; 10]);
    block.extend_from_slice(&messages.concat());
    block.resize(padded, 0);
    block
}

#[test]
fn line_integrity_takes_no_number_and_repeats_fill_holes() {
    let trade: &[u8] = b"\x00\x09TL\x07ALFA";
    let integrity: &[u8] = b"\x00\x08CT\x07\0\0\0";
    let reset: &[u8] = b"\x00\x09CL\x07ALFA";
    let seen = placed(&[
        cta(b'O', 5, &[trade, trade]),
        cta(b'O', 6, &[integrity]),
        cta(b'O', 9, &[integrity]),
        cta(b'V', 7, &[trade, trade]),
        cta(b'O', 10, &[trade]),
        cta(b'O', 900, &[reset]),
        cta(b'O', 901, &[trade]),
    ]);
    let places: Vec<_> = seen.iter().map(|row| (row.0, row.1, row.2)).collect();
    assert_eq!(
        places,
        [
            (Some(5), None, 0),
            (Some(6), None, 0),
            (None, Some(0), 0),
            (None, Some(3), 0),
            (Some(7), None, flags::RETRANSMIT),
            (Some(8), None, flags::RETRANSMIT),
            (Some(10), Some(0), 0),
            (Some(900), None, 0),
            (Some(901), Some(0), 0),
        ]
    );
}

#[test]
fn hsvf_is_cut_by_its_marks() {
    let seen = placed(&[
        b"\x02000000041F\x07ALFA\x03\x02000000042F\x07ALFA\x03".to_vec(),
        b"\x02000000042V    \x03".to_vec(),
        b"\x02000000044F\x07ALFA\x03".to_vec(),
    ]);
    let places: Vec<_> = seen.iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(
        places,
        [(Some(41), None), (Some(42), Some(0)), (None, Some(0)), (Some(44), Some(1))]
    );
}

fn ice(seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let head = [&[0x1F, 0x23][..], &seq.to_be_bytes(), &(messages.len() as u16).to_be_bytes()];
    let time = 1_470_355_200_047u64.to_be_bytes();
    [&head.concat()[..], &time, &messages.concat()].concat()
}

fn otc(flag: u8, seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let size: usize = 12 + messages.iter().map(|m| m.len()).sum::<usize>();
    let head = [&(size as u16).to_be_bytes()[..], &seq.to_be_bytes(), &[flag]].concat();
    [&head[..], &[messages.len() as u8], &1000u32.to_be_bytes(), &messages.concat()].concat()
}

fn xmt(messages: &[&[u8]]) -> Vec<u8> {
    let len: usize = 6 + messages.iter().map(|m| m.len()).sum::<usize>();
    let head = [&[2, b'X', b'1'][..], &(len as u16).to_le_bytes(), &[1, 0, 0, 0, b'0']].concat();
    [&head[..], &[messages.len() as u8], &messages.concat()].concat()
}

fn ultra(code: u16, seq: u32, flag: u8, body: &[u8]) -> Vec<u8> {
    let size = (14 + body.len()) as u16;
    let head = [size.to_be_bytes(), code.to_be_bytes()].concat();
    let times = [seq.to_be_bytes(), 34_200_000u32.to_be_bytes()].concat();
    [&head[..], &times, &[12, flag, u8::from(!body.is_empty()), 0], body].concat()
}

fn csm(seq: u32, messages: &[&[u8]]) -> Vec<u8> {
    let size: usize = 16 + messages.iter().map(|m| m.len()).sum::<usize>();
    let head = [&[1][..], &(size as u16).to_be_bytes(), &7u64.to_be_bytes()].concat();
    [&head[..], &[messages.len() as u8], &seq.to_be_bytes(), &messages.concat()].concat()
}

fn aspen(seq: u64, messages: &[&[u8]]) -> Vec<u8> {
    let head = [&b"000019360P"[..], &seq.to_le_bytes(), &(messages.len() as u16).to_le_bytes()];
    let message = |m: &&[u8]| [&(m.len() as u16).to_le_bytes()[..], m].concat();
    let messages: Vec<u8> = messages.iter().flat_map(message).collect();
    [head.concat(), messages].concat()
}

#[test]
fn every_other_framing_numbers_its_messages_and_shows_its_gaps() {
    let ice_add: &[u8] = &[b'K', 0, 4, 7, 0, 0, 0];
    let otc_add: &[u8] = &[0, 7, 2, 7, 0, 0, 0];
    let csm_add: &[u8] = &[0, 7, 16, 7, 0, 0, 0];
    let aspen_add: &[u8] = &[b'K', 7, 0, 0, 0];
    let flow = |packets: &[Vec<u8>]| -> Vec<_> {
        placed(packets).iter().map(|row| (row.0, row.1)).collect()
    };
    let messages = [(Some(5), None), (Some(6), None), (Some(7), Some(0)), (Some(9), Some(2))];
    let two = |one| [one, one];
    assert_eq!(flow(&[ice(5, &two(ice_add)), ice(7, &[]), ice(9, &[ice_add])]), messages);
    assert_eq!(flow(&[aspen(5, &two(aspen_add)), aspen(7, &[]), aspen(9, &[aspen_add])]), messages);
    assert_eq!(
        flow(&[csm(5, &two(csm_add)), csm(7, &[csm_add]), csm(9, &[csm_add])]),
        [(Some(5), None), (Some(6), None), (Some(7), Some(0)), (Some(9), Some(1))]
    );
    assert_eq!(
        flow(&[
            otc(0, 5, &two(otc_add)),
            otc(1, 6, &[]),
            otc(0, 8, &[otc_add]),
            otc(2, 1, &[]),
            otc(0, 1, &[otc_add])
        ]),
        [
            (Some(5), None),
            (Some(5), None),
            (Some(6), Some(0)),
            (Some(8), Some(2)),
            (Some(1), None),
            (Some(1), Some(0))
        ]
    );
    let ultra_add: &[u8] = &[7, 0, 0, 0];
    let full: &[u8] = b"\x07ALFA";
    assert_eq!(
        flow(&[
            ultra(1, 1, 1, ultra_add),
            ultra(230, 2, 1, full),
            ultra(2, 3, 1, &[]),
            ultra(230, 4, 1, full),
            ultra(230, 77, 5, full),
        ]),
        [
            (Some(1), None),
            (Some(2), Some(0)),
            (Some(3), Some(0)),
            (Some(4), Some(1)),
            (Some(77), None)
        ]
    );
    let xmt_add = |stream: u8, seq: u8| {
        [&[16, 0, b'A', 1, b'Q', stream, 0, 0, seq, 0, 0, 0][..], &[7, 0, 0, 0]].concat()
    };
    assert_eq!(
        flow(&[xmt(&[&xmt_add(1, 5), &xmt_add(2, 90)]), xmt(&[&xmt_add(1, 7)])]),
        [(Some(5), None), (Some(90), None), (Some(7), Some(1))]
    );
}

#[test]
fn a_flow_changes_its_protocol_where_another_explains_it() {
    let frames = [
        on(A, &suh(1, 10, &[&[6, 33, 7, 0, 0, 0]])),
        on(A, &xdp(11, 2, &[&xdp_add(7)])),
        on(A, &xdp(11, 3, &[&xdp_add(7)])),
    ];
    let (rows, decoder) = decode(&config(""), &frames);
    let protocols: Vec<_> = rows.iter().map(|row| row.protocol.as_str()).collect();
    assert_eq!(protocols, ["test.pitch.1", "test.xdp.1", "test.xdp.1"]);
    let protocol = decoder.flows()[0].protocol.unwrap();
    assert_eq!(decoder.names().text(protocol), "test.xdp.1");
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
        cut in 0usize..12,
    ) {
        let add: &[u8] = &[6, 33, 7, 0, 0, 0];
        let mut payloads = vec![
            xdp(11, 1, &[&xdp_symbol(7, b"ALFA"), &xdp_add(7)]),
            suh(1, 10, &[add, add]),
            opra(1, &[b"Ck\x07ALFA", b"CH\x07\0\0\0"]),
            cta(b'O', 5, &[b"\x00\x09TL\x07ALFA"]),
            mach(3, 1, &[2, 7, 0, 0, 0]),
            eobi(8, 0, &[&[12, 0, 0x2D, 0x33, 1, 0, 0, 0, 7, 0, 0, 0]]),
            ice(5, &[&[b'K', 0, 4, 7, 0, 0, 0]]),
            otc(0, 5, &[&[0, 7, 2, 7, 0, 0, 0]]),
            ultra(230, 2, 1, b"\x07ALFA"),
            csm(5, &[&[0, 7, 16, 7, 0, 0, 0]]),
            aspen(5, &[&[b'K', 7, 0, 0, 0]]),
            b"\x02000000041F\x07ALFA\x03\x02000000042F\x07ALFA\x03".to_vec(),
        ];
        let mut frames: Vec<_> = payloads.iter().map(|payload| on(A, payload)).collect();
        for payload in &mut payloads {
            for (at, byte) in &flips {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            let mut frame = on(A, payload);
            frame.truncate((frame.len() - cut).max(42));
            frames.push(frame.clone());
            frames.push(frame);
        }
        check_cover(&frames, &explain(&config(""), &frames));
        decode(&config(""), &frames);
    }
}
