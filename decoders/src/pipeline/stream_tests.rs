//! Declared framings on streams, from segments to rows and to explanations,
//! with messages made up from the shipped files.

use super::tests::{Row, config, rows_of};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::explain::{ExplainedMessage, Explainer};
use crate::fixed::encode::{Dice, Seeded, message};
use crate::flow::Recognised;
use crate::headers;
use crate::headers::transport::tcp_flags::ACK;
use crate::kind::{Kind, Sender, flags};
use crate::library::{Library, ProtocolRef};
use crate::testing::{Frame, meta};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use taptrail_capture::packet::{PacketBatch, PacketMeta};
use taptrail_capture::source::PacketSource;

const SERVER: &str = "10.2.0.9:9101";
const CLIENT: &str = "10.2.0.5:40001";

/// What is sent over which framing in these tests.
const CARRIED: [(&str, &str); 6] = [
    ("soupbintcp", "nasdaq.ouch.4.2"),
    ("soupbintcp", "nasdaq.ouch.5.0"),
    ("esesm", "miax.pearl-meo.2.6"),
    ("esesm", "miax.pearl-meo.2.7"),
    ("rake", "txse.seed.1.0"),
    ("pillar-stream", "nyse.pillar-gateway.5.17"),
];

static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(Library::shipped()));

fn from_server(seq: usize, payload: &[u8]) -> Vec<u8> {
    Frame::tcp(SERVER, CLIENT, seq as u32, ACK, payload).ethernet()
}

fn from_client(seq: usize, payload: &[u8]) -> Vec<u8> {
    Frame::tcp(CLIENT, SERVER, seq as u32, ACK, payload).ethernet()
}

fn batch(frames: &[Vec<u8>]) -> PacketBatch {
    let mut batch = PacketBatch::new();
    for (packet_ix, frame) in frames.iter().enumerate() {
        batch.push(meta(packet_ix as u32, packet_ix as i64 * 1000, frame.len()), frame);
    }
    batch
}

fn decode(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> (Vec<Row>, Decoder) {
    let mut decoder = Decoder::new(Arc::clone(config), Arc::clone(&LIBRARY));
    let mut rows = Vec::new();
    decoder.decode(&batch(frames), &mut |batch, names| rows.extend(rows_of(batch, names)));
    decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
    (rows, decoder)
}

fn explain(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> Vec<ExplainedMessage> {
    let mut explainer = Explainer::new(Arc::clone(config), Arc::clone(&LIBRARY));
    let mut messages = Vec::new();
    explainer.explain(&batch(frames), &mut |message| messages.push(message));
    explainer.finish(&mut |message| messages.push(message));
    messages
}

/// Nothing configured.
fn open() -> Arc<DecoderConfig> {
    config("")
}

/// The connection configured as `protocol`.
fn session(protocol: &str) -> Arc<DecoderConfig> {
    let text =
        format!("[[session]]\nprotocol = {protocol:?}\nserver = \"10.2.0.9\"\nport = 9101\n");
    config(&text)
}

/// A message of a protocol, with the code or the name, from an end.
fn made(protocol: &str, code: &str, sender: Sender, seed: u64) -> Vec<u8> {
    let Some(ProtocolRef::Fixed(at)) = LIBRARY.find(protocol, &DecoderConfig::default()) else {
        panic!("{protocol}")
    };
    let protocol = LIBRARY.fixed_at(at).unwrap();
    let is = |layout: &&crate::fixed::program::Layout| {
        [&layout.code_text, &layout.name].iter().any(|text| *text == code)
            && layout.sender.is_none_or(|of| of == sender)
    };
    let layout = protocol.messages().find(is).unwrap_or_else(|| panic!("{code}"));
    message(protocol, layout, &mut Seeded(seed))
}

/// A message as a framing carries it; `seq` where the framing tells it.
fn carried(framing: &str, sender: Sender, body: &[u8], seq: u64) -> Vec<u8> {
    let server = sender == Sender::Server;
    match framing {
        "soupbintcp" => soup(if server { b'S' } else { b'U' }, body),
        "esesm" if server => esesm(b's', &[&seq.to_le_bytes()[..], &[1], body].concat()),
        "esesm" => esesm(b'U', body),
        "rake" if server => esesm(b'2', &[&[7][..], body].concat()),
        "rake" => esesm(b'6', body),
        "pillar-stream" => envelope(seq, body),
        _ => panic!("{framing}"),
    }
}

fn soup(code: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u16 + 1).to_be_bytes()[..], &[code], payload].concat()
}

/// ESesM's packets; RAKE's look alike.
fn esesm(code: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u16 + 1).to_le_bytes()[..], &[code], payload].concat()
}

/// A Pillar message in its envelope, on stream 5.6.
fn envelope(seq: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        [&0x0905u16.to_le_bytes()[..], &(32 + body.len() as u16).to_le_bytes()].concat();
    bytes.extend_from_slice(&5u32.to_le_bytes());
    bytes.extend_from_slice(&6u32.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&1_700_000_000_000_000_001u64.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A sequenced MEO message of the venue.
fn meo(seq: u64, code: &str) -> Vec<u8> {
    let body = made("miax.pearl-meo.2.6", code, Sender::Server, seq);
    carried("esesm", Sender::Server, &body, seq)
}

#[test]
fn messages_have_numbers_channels_and_ends() {
    let (first, second, third) = (meo(5, "SU"), meo(6, "E1"), meo(9, "XN"));
    let request = made("miax.pearl-meo.2.6", "CX", Sender::Client, 1);
    let request = carried("esesm", Sender::Client, &request, 0);
    let stream = [&first[..], &second, &third].concat();
    let (there, back) = stream.split_at(first.len() + 20);
    let frames = [
        from_client(1, &request),
        from_server(100, there),
        from_server(100 + there.len(), back),
        from_server(100 + there.len(), back),
    ];
    let (rows, decoder) = decode(&open(), &frames);
    let seen: Vec<_> = rows
        .iter()
        .map(|r| (r.packet_ix, r.msg_ix, r.msg_type.as_str(), r.seq, r.gap, r.flags))
        .collect();
    assert_eq!(
        seen,
        [
            (0, 0, "CX", None, None, 0),
            (1, 0, "SU", Some(5), None, 0),
            (2, 0, "E1", Some(6), Some(0), flags::REASSEMBLED),
            (2, 1, "XN", Some(9), Some(2), 0),
            (3, 0, "XN", Some(9), None, flags::DUPLICATE),
        ]
    );
    assert!(rows.iter().all(|row| row.protocol == "miax.pearl-meo.2.6"));
    assert_eq!(decoder.flows()[1].recognised, Some(Recognised::Guess), "2.7 has these too");
}

#[test]
fn numbers_that_are_not_told_follow_a_login() {
    let logon = [&7u64.to_le_bytes()[..], &41u64.to_le_bytes(), &[0; 8], &[0, 1], &[0; 4]].concat();
    let fill = |seed| {
        let body = made("txse.seed.1.0", "E", Sender::Server, seed);
        carried("rake", Sender::Server, &body, 0)
    };
    let before = fill(1);
    let after = [esesm(b'1', &logon), fill(2), esesm(b'3', b""), fill(3)].concat();
    let frames = [from_server(0, &before), from_server(before.len(), &after)];
    let (rows, decoder) = decode(&open(), &frames);
    let seen: Vec<_> =
        rows.iter().map(|r| (r.msg_type.as_str(), r.seq, r.session.as_deref())).collect();
    let session = Some("7");
    assert_eq!(
        seen,
        [
            ("E", None, None),
            ("1", None, session),
            ("E", Some(41), session),
            ("3", None, session),
            ("E", Some(42), session)
        ]
    );
    assert_eq!(decoder.flows()[0].recognised, Some(Recognised::Certain));
}

#[test]
fn envelopes_name_stream_number_and_time() {
    let id = "nyse.pillar-gateway.5.17";
    let body = made(id, "execution_report", Sender::Server, 1);
    let echo = envelope(900, &envelope(3, &body));
    let frames = [from_server(0, &[envelope(12, &body), echo].concat())];
    let (rows, _) = decode(&open(), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.kind, r.seq, r.session.as_deref())).collect();
    let session = Some("5.6");
    assert_eq!(seen, [(Kind::RptFill, Some(12), session), (Kind::RptFill, Some(900), session)]);
    let headers: Vec<_> = explain(&open(), &frames).into_iter().map(|m| (m.size, m.name)).collect();
    assert_eq!(headers[2], (64, "packet_header".to_owned()));
}

#[test]
fn a_stream_joined_in_the_middle_is_found_and_its_last_message_read_as_far_as_it_goes() {
    let messages = [meo(1, "O1"), meo(2, "E1"), meo(3, "XN"), meo(4, "E1")].concat();
    let frames = [from_server(0, &messages[50..messages.len() - 30])];
    for config in [session("miax.pearl-meo.2.6"), session("esesm")] {
        let (rows, _) = decode(&config, &frames);
        let seen: Vec<_> = rows.iter().map(|r| (r.seq, r.flags & flags::TRUNCATED != 0)).collect();
        assert_eq!(seen, [(Some(2), false), (Some(3), false), (Some(4), true)]);
    }
    let explained = explain(&session("miax.pearl-meo.2.6"), &frames);
    let last = explained.last().expect("messages");
    assert_eq!((last.msg_type.as_str(), last.fields[2].name.as_str()), ("E1", "mpid"));
    assert!(last.error.is_some());
}

#[test]
fn a_segment_that_ends_in_its_first_message_is_read_where_it_is_configured() {
    let whole = meo(7, "O1");
    let frames = [from_server(0, &whole[..100])];
    let (rows, _) = decode(&session("miax.pearl-meo.2.6"), &frames);
    assert_eq!((rows.len(), rows[0].seq, rows[0].msg_type.as_str()), (1, Some(7), "O1"));
    let (rows, _) = decode(&open(), &frames);
    assert!(rows.is_empty(), "nothing is certain of it");
}

#[test]
fn behind_a_hole_the_next_message_is_found() {
    let parts = [meo(1, "E1"), meo(2, "E1"), meo(3, "O1"), meo(4, "E1"), meo(5, "SU")];
    let stream = parts.concat();
    // The second message's end and the third one's beginning are lost.
    let (from, to) = (parts[0].len() + 30, parts[0].len() + parts[1].len() + 40);
    let frames = [from_server(0, &stream[..from]), from_server(to, &stream[to..])];
    let (rows, _) = decode(&open(), &frames);
    let seen: Vec<_> = rows
        .iter()
        .map(|r| (r.kind == Kind::Gap, r.seq, r.flags & flags::TRUNCATED != 0))
        .collect();
    assert_eq!(
        seen,
        [
            (false, Some(1), false),
            (false, Some(2), true),
            (true, None, false),
            (false, Some(4), false),
            (false, Some(5), false)
        ]
    );
}

#[test]
fn packets_with_a_header_are_cut_from_a_stream_too() {
    let mut delete = made("cboe.pitch-us.2.41", "delete_order", Sender::Server, 1);
    delete[0] = delete.len() as u8;
    let packet = |seq: u32, count: u8| {
        let messages = delete.repeat(usize::from(count));
        let mut bytes = (8 + messages.len() as u16).to_le_bytes().to_vec();
        bytes.extend_from_slice(&[count, 3]);
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&messages);
        bytes
    };
    let stream = [packet(10, 2), packet(12, 0), packet(14, 1)].concat();
    let (there, back) = stream.split_at(13);
    let frames = [from_server(0, there), from_server(there.len(), back)];
    let (rows, _) = decode(&session("cboe.pitch-us.2.41"), &frames);
    let seen: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix, r.seq, r.gap)).collect();
    assert_eq!(
        seen,
        [
            (1, 0, Some(10), None),
            (1, 1, Some(11), None),
            (1, 2, Some(12), Some(0)),
            (1, 3, Some(14), Some(2))
        ]
    );
}

#[test]
fn a_guess_that_later_messages_contradict_is_taken_back() {
    // Three bytes that are a heartbeat of ESesM and a debug text of RAKE.
    let frames = [from_server(0, b"\x01\x000"), from_server(3, &meo(1, "E1"))];
    let (rows, _) = decode(&open(), &frames);
    assert_eq!(rows.last().map(|row| row.protocol.as_str()), Some("miax.pearl-meo.2.6"));
    let fill = made("txse.seed.1.0", "E", Sender::Server, 1);
    let fill = carried("rake", Sender::Server, &fill, 0);
    let frames = [from_server(0, b"\x01\x000"), from_server(3, &fill)];
    let (rows, _) = decode(&open(), &frames);
    assert_eq!(rows.last().map(|row| row.protocol.as_str()), Some("txse.seed.1.0"));
}

#[test]
fn zeros_before_the_first_message_settle_nothing() {
    // Three zeros are a heartbeat of MEMX-TCP, or the end of any message.
    for (framing, id) in CARRIED {
        let Some(ProtocolRef::Fixed(at)) = LIBRARY.find(id, &DecoderConfig::default()) else {
            panic!("{id}")
        };
        let protocol = LIBRARY.fixed_at(at).unwrap();
        let mut dice = Seeded(5);
        let messages: Vec<Vec<u8>> = protocol
            .messages()
            .filter(|layout| layout.sender != Some(Sender::Client))
            .take(9)
            .map(|layout| message(protocol, layout, &mut dice))
            .collect();
        for zeros in [1, 3, 6, 300] {
            let (mut frames, mut at) = (vec![from_server(0, &vec![0; zeros])], zeros);
            for (seq, body) in (1..).zip(&messages) {
                let unit = carried(framing, Sender::Server, body, seq);
                frames.push(from_server(at, &unit));
                at += unit.len();
            }
            let (rows, decoder) = decode(&open(), &frames);
            let decoded = rows.iter().filter(|row| row.kind != Kind::Gap).count();
            let what = format!("{id} behind {zeros} zeros: {:?}", decoder.flows());
            assert!(decoded >= messages.len(), "{decoded} rows, {what}");
            assert!(rows.iter().all(|row| row.protocol != "memx-tcp"), "{what}");
        }
    }
}

#[test]
fn heartbeats_of_zeros_are_kept_where_what_follows_explains_them() {
    let id = "memx.memo";
    let accepted = [&[1u8, 0, 1][..], b"A"].concat();
    let frames = [from_server(0, &[0; 3]), from_server(3, &accepted), from_server(7, &[0; 3])];
    let (rows, _) = decode(&open(), &frames);
    let seen: Vec<_> = rows.iter().map(|row| (row.packet_ix, row.kind)).collect();
    assert_eq!(rows.iter().filter(|row| row.kind == Kind::Heartbeat).count(), 2, "{id} {seen:?}");
}

#[test]
fn hostile_lengths_lose_nothing_and_good_messages_behind_them_are_found() {
    let good = [meo(1, "E1"), meo(2, "O1"), meo(3, "E1")].concat();
    for length in [0u16, 1, 2, u16::MAX] {
        let bad = [&length.to_le_bytes()[..], b"s", &[0xFF; 20]].concat();
        let stream = [&meo(9, "SU")[..], &bad, &good].concat();
        let frames = [from_server(0, &stream), from_client(0, b"")];
        let config = session("miax.pearl-meo.2.6");
        let (rows, _) = decode(&config, &frames);
        let explained: usize = explain(&config, &frames).iter().map(|m| m.size as usize).sum();
        assert_eq!(explained, stream.len(), "{length}");
        let found = rows.iter().filter(|r| [Some(1), Some(2), Some(3)].contains(&r.seq)).count();
        assert_eq!(found, 3, "{length}: {rows:?}");
    }
}

/// A conversation: messages of one protocol after the other, either end's.
fn conversation(of: usize, seed: u64) -> [Vec<u8>; 2] {
    let (framing, id) = CARRIED[of % CARRIED.len()];
    let Some(ProtocolRef::Fixed(at)) = LIBRARY.find(id, &DecoderConfig::default()) else {
        panic!("{id}")
    };
    let protocol = LIBRARY.fixed_at(at).unwrap();
    let mut dice = Seeded(seed);
    let mut streams = [Vec::new(), Vec::new()];
    for seq in 1..40u64 {
        let layout = &protocol.layouts[dice.below(protocol.layouts.len() as u64) as usize];
        let body = message(protocol, layout, &mut dice);
        let sender = layout.sender.unwrap_or(Sender::Server);
        let unit = carried(framing, sender, &body, seq);
        streams[usize::from(sender == Sender::Server)].extend_from_slice(&unit);
    }
    streams
}

/// Both streams in segments of at most `most` bytes.
fn segments(streams: &[Vec<u8>; 2], most: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (side, stream) in streams.iter().enumerate() {
        for (i, part) in stream.chunks(most).enumerate() {
            let send = if side == 1 { from_server } else { from_client };
            frames.push((i, side, send(i * most, part)));
        }
    }
    frames.sort();
    frames.into_iter().map(|(_, _, frame)| frame).collect()
}

/// Rows and explanations agree; says how many bytes the explanations have.
fn check(config: &Arc<DecoderConfig>, frames: &[Vec<u8>]) -> usize {
    let (rows, _) = decode(config, frames);
    let explained = explain(config, frames);
    let ours: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix)).collect();
    let theirs: Vec<_> = explained.iter().filter_map(|m| Some((m.packet_ix, m.msg_ix?))).collect();
    assert_eq!(ours, theirs);
    for message in &explained {
        let covered: usize = message.fields.iter().map(|field| field.size as usize).sum();
        assert_eq!(covered, message.size as usize, "{message:#?}");
    }
    explained.iter().map(|message| message.size as usize).sum()
}

#[test]
fn every_message_of_a_conversation_is_known() {
    for (of, (_, id)) in CARRIED.iter().enumerate() {
        let streams = conversation(of, of as u64 + 1);
        let (rows, _) = decode(&session(id), &segments(&streams, 700));
        assert_eq!(rows.len(), 39, "{id}");
        let bad = flags::UNKNOWN_TYPE | flags::IRREGULAR | flags::DECODE_ERROR | flags::TRUNCATED;
        for row in &rows {
            assert!(row.protocol == *id && row.flags & bad == 0, "{row:?}");
        }
    }
}

/// Every prefix of a small stream and every bit flip, each on a connection of
/// its own: no byte is lost.
#[test]
fn every_prefix_and_every_bit_flip_keeps_every_byte() {
    for (of, (framing, id)) in CARRIED.iter().enumerate() {
        let streams = conversation(of, 7);
        let stream = &streams[1][..streams[1].len().min(180)];
        let prefixes = (1..=stream.len()).map(|end| stream[..end].to_vec());
        let flips = (0..stream.len() * 8).map(|bit| {
            let mut flipped = stream.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        let damaged: Vec<Vec<u8>> = prefixes.chain(flips).collect();
        let frame = |(i, bytes): (usize, &Vec<u8>)| {
            let client = format!("10.2.{}.5:{}", i / 256, 40_000 + i);
            Frame::tcp(SERVER, &client, 0, ACK, bytes).ethernet()
        };
        let frames: Vec<Vec<u8>> = damaged.iter().enumerate().map(frame).collect();
        let sent: usize = damaged.iter().map(Vec::len).sum();
        for config in [open(), session(id), session(framing)] {
            assert_eq!(check(&config, &frames), sent, "{id}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows do not depend on where segments end, and however the bytes are
    /// damaged, none is lost and none told twice.
    #[test]
    fn any_cut_and_any_damage(
        of in 0usize..CARRIED.len(),
        seed in any::<u64>(),
        most in 1usize..1400,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..12),
        configured in any::<bool>(),
    ) {
        let mut streams = conversation(of, seed);
        let config = if configured { session(CARRIED[of].1) } else { open() };
        if flips.is_empty() && configured {
            let all = |most| -> Vec<(String, Option<u64>)> {
                let (rows, _) = decode(&config, &segments(&streams, most));
                let mut all: Vec<_> = rows.into_iter().map(|r| (r.msg_type, r.seq)).collect();
                all.sort();
                all
            };
            prop_assert_eq!(all(most), all(1460));
        }
        for (at, bit) in flips {
            for stream in streams.iter_mut().filter(|stream| !stream.is_empty()) {
                let at = at.index(stream.len());
                stream[at] ^= 1 << bit;
            }
        }
        let sent: usize = streams.iter().map(Vec::len).sum();
        prop_assert_eq!(check(&config, &segments(&streams, most.max(40))), sent);
    }

    /// Any bytes on a connection that is configured.
    #[test]
    fn any_bytes_are_told_once(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..12),
        of in 0usize..CARRIED.len(),
    ) {
        let mut at = 0;
        let mut frames = Vec::new();
        for part in &parts {
            frames.push(from_server(at, part));
            at += part.len();
        }
        for config in [open(), session(CARRIED[of].1), session(CARRIED[of].0)] {
            prop_assert_eq!(check(&config, &frames), at);
        }
    }
}

/// The frames of a sample capture, its TCP payload in pieces of at most `most` bytes.
fn sample(name: &str, most: usize) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/captures/");
    let mut source = taptrail_capture::file::open(
        std::path::Path::new(&format!("{folder}{name}")),
        taptrail_capture::point::TimestampFrom::Record,
    )
    .unwrap();
    let (mut read, mut frames) = (PacketBatch::new(), Vec::new());
    loop {
        let progress = source.next_batch(&mut read).unwrap();
        for packet in read.iter() {
            let segment = headers::parse(packet.meta.link_type, packet.data).unwrap();
            let payload = &packet.data[segment.payload.clone()];
            let Some(tcp) = segment.tcp.filter(|_| !payload.is_empty()) else {
                frames.push(packet.data.to_vec());
                continue;
            };
            let [src, dst] = [(segment.src, segment.src_port), (segment.dst, segment.dst_port)]
                .map(|(address, port)| format!("{address}:{port}"));
            for (number, piece) in payload.chunks(most).enumerate() {
                let seq = tcp.seq.wrapping_add((number * most) as u32);
                frames.push(Frame::tcp(&src, &dst, seq, ACK, piece).ethernet());
            }
        }
        if progress == taptrail_capture::source::Progress::End {
            return frames;
        }
    }
}

/// The rows of frames in two captures that go on from each other, positions counted as in
/// one; the second with or without what the first one ended with.
fn in_two(frames: &[Vec<u8>], at: usize, lead_in: bool) -> (Vec<Row>, u64) {
    let whole = batch(frames);
    let part = |range: std::ops::Range<usize>| {
        let mut part = PacketBatch::new();
        for (packet_ix, packet) in range.map(|at| whole.get(at)).enumerate() {
            part.push(PacketMeta { packet_ix: packet_ix as u32, ..packet.meta }, packet.data);
        }
        part
    };
    let (first, second) = (part(0..at), part(at..frames.len()));
    let mut rows = Vec::new();
    let mut decoder = Decoder::new(open(), Arc::clone(&LIBRARY));
    decoder.decode(&first, &mut |batch, names| rows.extend(rows_of(batch, names)));
    decoder.end(&mut |batch, names| rows.extend(rows_of(batch, names)));
    let mut decoder = Decoder::new(open(), Arc::clone(&LIBRARY));
    if lead_in {
        decoder.lead_in(&first);
        decoder.begin();
    }
    let mut more = Vec::new();
    decoder.decode(&second, &mut |batch, names| more.extend(rows_of(batch, names)));
    decoder.end(&mut |batch, names| more.extend(rows_of(batch, names)));
    more.iter_mut().for_each(|row| row.packet_ix += at as u32);
    rows.extend(more);
    let packets: u64 = decoder.flows().iter().map(|flow| flow.packets).sum();
    (rows, packets)
}

#[test]
fn a_capture_cut_anywhere_is_the_same_messages() {
    for name in ["fix.4.4.pcap", "nasdaq.ouch.5.0.pcap"] {
        for most in [usize::MAX, 29, 7] {
            let mut frames = sample(name, most);
            frames.truncate(120);
            let mut decoder = Decoder::new(open(), Arc::clone(&LIBRARY));
            let mut whole = Vec::new();
            decoder.decode(&batch(&frames), &mut |b, names| whole.extend(rows_of(b, names)));
            decoder.end(&mut |b, names| whole.extend(rows_of(b, names)));
            assert!(whole.len() > 2, "{name}");
            let mut straddled = 0;
            for at in 1..frames.len() {
                let (rows, packets) = in_two(&frames, at, true);
                assert_eq!(rows, whole, "{name} in pieces of {most}, cut at packet {at}");
                assert_eq!(packets, (frames.len() - at) as u64, "only its own packets count");
                let (alone, _) = in_two(&frames, at, false);
                straddled += usize::from(alone.len() < whole.len());
                // Where bytes alone tell what they are, nothing is taken for a message.
                let invented = alone.iter().filter(|row| !row.is_like_one_of(&whole)).count();
                assert!(invented == 0 || !name.starts_with("fix"), "{name}, cut at {at}");
            }
            assert!(most > 29 || straddled > 10, "{name}: {straddled} cuts in messages");
        }
    }
}
