use crate::batch::{IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::explain::{ExplainedMessage, Explainer};
use crate::flow::Recognised;
use crate::headers::transport::tcp_flags::{ACK, SYN};
use crate::kind::{Kind, flags};
use crate::library::Library;
use crate::names::Names;
use crate::testing::{Frame, meta};
use proptest::prelude::*;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

const FEED: (&str, &str) = ("10.1.1.1:4000", "233.54.12.1:26477");
const CLIENT: &str = "10.2.0.1:50000";
const SERVER: &str = "10.2.0.9:9101";

/// The columns the pipeline itself is answerable for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub packet_ix: u32,
    pub msg_ix: u16,
    ts: i64,
    ts_first: Option<i64>,
    pub ts_send: Option<i64>,
    pub protocol: String,
    pub msg_type: String,
    pub kind: Kind,
    pub session: Option<String>,
    pub channel: Option<u32>,
    pub seq: Option<u64>,
    pub gap: Option<u32>,
    pub flags: u32,
    pub raw_off: Option<u32>,
    pub raw_len: u32,
    pub raw: Option<Vec<u8>>,
    pub symbol: Option<String>,
}

impl Row {
    /// Whether one of the others is the same message: numbers and names that come from
    /// what was said before may differ.
    pub(super) fn is_like_one_of(&self, others: &[Self]) -> bool {
        let key = |row: &Self| (row.packet_ix, row.ts, row.msg_type.clone(), row.kind);
        others.iter().any(|other| key(other) == key(self))
    }
}

pub(super) fn rows_of(batch: &MessageBatch, names: &Names) -> Vec<Row> {
    let text = |number: u32| names.texts()[number as usize].to_string();
    let name = |row: usize, col: NameCol| {
        (batch.present()[row] & col.bit() != 0).then(|| text(batch.names(col)[row]))
    };
    let small = |row: usize, col: SmallCol| {
        (batch.present()[row] & col.bit() != 0).then(|| batch.smalls(col)[row])
    };
    let time = |row: usize, col: TimeCol| {
        (batch.present()[row] & col.bit() != 0).then(|| batch.times(col)[row])
    };
    let row = |row: usize| Row {
        packet_ix: batch.packet_ix()[row],
        msg_ix: batch.msg_ix()[row],
        ts: batch.ts()[row],
        ts_first: time(row, TimeCol::TsFirst),
        ts_send: time(row, TimeCol::TsSend),
        protocol: text(batch.protocol()[row]),
        msg_type: text(batch.msg_type()[row]),
        kind: Kind::from_number(batch.kind()[row]).unwrap(),
        session: name(row, NameCol::Session),
        channel: small(row, SmallCol::Channel),
        seq: (batch.present()[row] & IntCol::Seq.bit() != 0).then(|| batch.ints(IntCol::Seq)[row]),
        gap: small(row, SmallCol::GapBefore),
        flags: batch.flags()[row],
        raw_off: small(row, SmallCol::RawOff),
        raw_len: batch.raw_len()[row],
        raw: batch.text(row, TextCol::Raw).map(<[u8]>::to_vec),
        symbol: name(row, NameCol::Symbol),
    };
    (0..batch.len()).map(row).collect()
}

pub(super) fn config(text: &str) -> Arc<DecoderConfig> {
    Arc::new(toml::from_str(text).unwrap())
}

/// Decodes frames in batches of `cut` packets; packet n has the time n us.
fn decode_cut(config: &Arc<DecoderConfig>, frames: &[Vec<u8>], cut: usize) -> (Vec<Row>, Decoder) {
    let mut decoder = Decoder::new(Arc::clone(config), Arc::new(Library::shipped()));
    let mut rows = Vec::new();
    let mut packet_ix = 0;
    for frames in frames.chunks(cut.max(1)) {
        let mut batch = PacketBatch::new();
        for frame in frames {
            batch.push(meta(packet_ix, i64::from(packet_ix) * 1000, frame.len()), frame);
            packet_ix += 1;
        }
        decoder.decode(&batch, &mut |batch, names| rows.extend(rows_of(batch, names)));
    }
    decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
    (rows, decoder)
}

fn decode(frames: &[Vec<u8>]) -> (Vec<Row>, Decoder) {
    decode_cut(&config(""), frames, 1000)
}

fn explain(frames: &[Vec<u8>]) -> Vec<ExplainedMessage> {
    let mut explainer = Explainer::new(config(""), Arc::new(Library::shipped()));
    let mut batch = PacketBatch::new();
    for (packet_ix, frame) in frames.iter().enumerate() {
        batch.push(meta(packet_ix as u32, 0, frame.len()), frame);
    }
    let mut messages = Vec::new();
    explainer.explain(&batch, &mut |message| messages.push(message));
    explainer.finish(&mut |message| messages.push(message));
    messages
}

fn mold(seq: u64, count: u16, bodies: &[&[u8]]) -> Vec<u8> {
    let mut payload = b"DAY0000001".to_vec();
    payload.extend_from_slice(&seq.to_be_bytes());
    payload.extend_from_slice(&count.to_be_bytes());
    for body in bodies {
        payload.extend_from_slice(&(body.len() as u16).to_be_bytes());
        payload.extend_from_slice(body);
    }
    payload
}

fn mold_frame(seq: u64, bodies: &[&[u8]]) -> Vec<u8> {
    Frame::udp(FEED.0, FEED.1, &mold(seq, bodies.len() as u16, bodies)).ethernet()
}

/// An ITCH order delete, 19 bytes.
fn delete(reference: u64) -> Vec<u8> {
    [&b"D"[..], &[0; 10], &reference.to_be_bytes()].concat()
}

fn soup(code: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u16 + 1).to_be_bytes()[..], &[code], payload].concat()
}

/// An OUCH system event, 10 bytes.
fn event(code: u8) -> Vec<u8> {
    [&b"S"[..], &[0; 8], &[code]].concat()
}

fn from_server(seq: u32, payload: &[u8]) -> Vec<u8> {
    Frame::tcp(SERVER, CLIENT, seq, ACK, payload).ethernet()
}

fn fix_message(number: u32) -> Vec<u8> {
    let body = format!("35=0\x0149=CLIENT\x0156=VENUE\x0134={number}\x0152=20260101-00:00:00\x01");
    let mut text = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
    let sum = text.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
    text.push_str(&format!("10={sum:03}\x01"));
    text.into_bytes()
}

#[test]
fn messages_of_a_datagram_are_numbered_and_placed() {
    let frames = [
        mold_frame(1, &[&delete(7), &delete(8)]),
        Frame::udp(FEED.0, FEED.1, &mold(3, 0, &[])).ethernet(),
        mold_frame(5, &[&delete(9)]),
        mold_frame(5, &[&delete(9)]),
    ];
    let (rows, decoder) = decode(&frames);
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.session.as_deref() == Some("DAY0000001")));
    let ids: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix, r.seq, r.gap)).collect();
    assert_eq!(ids[0], (0, 0, Some(1), None));
    assert_eq!(ids[1], (0, 1, Some(2), None));
    assert_eq!(ids[2], (1, 0, Some(3), Some(0)));
    assert_eq!(ids[3], (2, 0, Some(5), Some(2)));
    assert_eq!((rows[2].kind, rows[2].protocol.as_str()), (Kind::Heartbeat, "moldudp64"));
    assert_eq!((rows[0].kind, rows[0].msg_type.as_str()), (Kind::OrderDelete, "D"));
    assert_eq!(rows[4].flags & flags::DUPLICATE, flags::DUPLICATE);
    let from = rows[1].raw_off.unwrap() as usize;
    assert_eq!(&frames[0][from..from + rows[1].raw_len as usize], delete(8));
    let flow = &decoder.flows()[0];
    assert_eq!(flow.recognised, Some(Recognised::Certain));
    assert_eq!(decoder.names().text(flow.protocol.unwrap()), "nasdaq.totalview-itch.5.0");
    assert_eq!((flow.packets, flow.messages, flow.gaps, flow.missing), (4, 5, 1, 2));
}

#[test]
fn a_request_makes_the_answers_repeats() {
    let request = Frame::udp("10.3.0.1:1000", "10.3.0.2:2000", &mold(7, 2, &[])).ethernet();
    let answer = mold(7, 2, &[&delete(1), &delete(2)]);
    let answer = Frame::udp("10.3.0.2:2000", "10.3.0.1:1000", &answer).ethernet();
    let (rows, _) = decode(&[request, answer]);
    let kinds: Vec<_> = rows.iter().map(|r| (r.kind, r.seq, r.flags)).collect();
    assert_eq!(kinds[0], (Kind::ResendRequest, Some(7), 0));
    assert_eq!(kinds[2], (Kind::OrderDelete, Some(8), flags::RETRANSMIT));
}

#[test]
fn a_snapped_datagram_keeps_what_is_whole() {
    let mut frame = mold_frame(1, &[&delete(7), &delete(8), &delete(9)]);
    frame.truncate(frame.len() - 25);
    let (rows, decoder) = decode(&[frame]);
    let found: Vec<_> = rows.iter().map(|r| (r.kind, r.flags & flags::TRUNCATED)).collect();
    assert_eq!(found, [(Kind::OrderDelete, 0), (Kind::Unknown, flags::TRUNCATED)]);
    assert_eq!(decoder.counters().messages_cut, 1);
}

#[test]
fn a_soup_session_counts_its_messages() {
    let login = soup(b'A', b"   SESS001                   7");
    let first = [login, soup(b'S', &event(b'S'))].concat();
    let second = soup(b'S', &event(b'E'));
    let third = soup(b'H', b"");
    let at = 1000 + first.len() as u32;
    let frames = [
        Frame::tcp(CLIENT, SERVER, 1, SYN, b"").ethernet(),
        Frame::tcp(SERVER, CLIENT, 999, SYN | ACK, b"").ethernet(),
        from_server(1000, &first),
        from_server(at, &second[..5]),
        from_server(at + 5, &[&second[5..], &third].concat()),
        from_server(at, &second),
    ];
    let (rows, decoder) = decode(&frames);
    let seen: Vec<_> =
        rows.iter().map(|r| (r.packet_ix, r.msg_ix, r.msg_type.as_str(), r.seq)).collect();
    assert_eq!(
        seen,
        [
            (2, 0, "A", None),
            (2, 1, "S", Some(7)),
            (4, 0, "S", Some(8)),
            (4, 1, "H", None),
            (5, 0, "S", Some(8))
        ]
    );
    assert_eq!(
        (rows[1].protocol.as_str(), rows[3].protocol.as_str()),
        ("nasdaq.ouch.5.0", "soupbintcp")
    );
    assert_eq!((rows[2].ts, rows[2].ts_first), (4000, Some(3000)));
    assert_eq!((rows[2].raw_off, rows[2].raw.as_deref()), (None, Some(&event(b'E')[..])));
    assert_eq!(rows[2].flags, flags::REASSEMBLED);
    assert_eq!(rows[4].flags, flags::RETRANSMIT);
    assert!(rows.iter().all(|row| row.session.as_deref() == Some("SESS001")));
    assert_eq!(decoder.flows()[1].recognised, Some(Recognised::Guess));
}

#[test]
fn behind_a_tcp_gap_messages_keep_their_own_packets() {
    let message = |code| soup(b'S', &event(code));
    let size = message(b'S').len() as u32;
    let frames = [
        from_server(0, &message(b'S')),
        from_server(2 * size, &[message(b'E'), message(b'C')].concat()),
        from_server(4 * size, &message(b'O')),
    ];
    let (rows, decoder) = decode(&frames);
    let seen: Vec<_> =
        rows.iter().map(|r| (r.kind == Kind::Gap, r.packet_ix, r.msg_ix, r.ts)).collect();
    assert_eq!(
        seen,
        [
            (false, 0, 0, 0),
            (true, 1, u16::MAX, 1000),
            (false, 1, 0, 1000),
            (false, 1, 1, 1000),
            (false, 2, 0, 2000)
        ]
    );
    assert_eq!((rows[1].protocol.as_str(), rows[1].raw_len), ("tcp", size));
    assert_eq!((decoder.flows()[0].gaps, decoder.flows()[0].missing), (1, u64::from(size)));
}

#[test]
fn fix_is_found_in_the_middle_of_a_stream() {
    let stream = [&b"34=5\x0110=000\x01"[..], &fix_message(6), &fix_message(7)].concat();
    let (there, back) = stream.split_at(60);
    let frames = [
        Frame::tcp(CLIENT, SERVER, 5, ACK, there).ethernet(),
        Frame::tcp(CLIENT, SERVER, 65, ACK, back).ethernet(),
    ];
    let (rows, _) = decode(&frames);
    let seen: Vec<_> =
        rows.iter().map(|r| (r.protocol.as_str(), r.seq, r.session.as_deref())).collect();
    let session = Some("CLIENT>VENUE");
    assert_eq!(seen, [("fix.4.4", Some(6), session), ("fix.4.4", Some(7), session)]);
}

#[test]
fn configured_feeds_and_sessions_say_what_they_are() {
    let config = config(
        r#"
        [[feed]]
        protocol = "nasdaq.totalview-itch.5.0"
        line = "B"
        channel = 4
        group = "233.54.12.1"
        port = 26477
        [[session]]
        protocol = "nasdaq.ouch.5.0"
        server = "10.2.0.9"
        port = 9101
        "#,
    );
    let unknown = [&b"~"[..], &[0; 5]].concat();
    let frames = [mold_frame(1, &[&unknown]), from_server(0, &soup(b'S', b"~~"))];
    let (rows, decoder) = decode_cut(&config, &frames, 10);
    assert!(rows.iter().all(|row| row.flags & flags::UNKNOWN_TYPE != 0));
    assert_eq!(rows[0].protocol, "nasdaq.totalview-itch.5.0");
    assert_eq!(rows[1].protocol, "nasdaq.ouch.5.0");
    let flows = decoder.flows();
    assert!(flows.iter().all(|flow| flow.recognised == Some(Recognised::Configured)));
    assert_eq!(decoder.names().text(flows[0].line.unwrap()), "B");
}

#[test]
fn explanations_tile_the_payload_and_share_the_ids_of_rows() {
    let second = soup(b'S', &event(b'E'));
    let frames = [
        mold_frame(1, &[&delete(7), &delete(8)]),
        from_server(0, &soup(b'S', &event(b'S'))),
        from_server(13, &second[..6]),
        from_server(19, &second[6..]),
        Frame::udp("1.1.1.1:1", "2.2.2.2:2", b"something else").ethernet(),
    ];
    let (rows, _) = decode(&frames);
    let messages = explain(&frames);
    let ids: Vec<_> = messages.iter().filter_map(|m| Some((m.packet_ix, m.msg_ix?))).collect();
    assert_eq!(ids, rows.iter().map(|r| (r.packet_ix, r.msg_ix)).collect::<Vec<_>>());
    for message in &messages {
        let mut at = message.offset;
        for field in message.fields.iter().filter(|_| message.offset >= 0) {
            assert_eq!(field.offset, at, "{message:#?}");
            at += i64::from(field.size);
        }
        assert!(message.offset < 0 || at == message.offset + i64::from(message.size));
    }
    // The message in two segments: 3 bytes of it, behind its header, in the first.
    let across = messages.iter().find(|m| m.packet == 4 && m.msg_ix.is_some()).unwrap();
    assert_eq!((across.offset, across.size), (-3, 10));
    assert!(across.fields.last().unwrap().offset >= 54);
    let last = messages.last().unwrap();
    assert_eq!((last.name.as_str(), last.size), ("unknown", 14));
}

#[test]
fn json_names_offset_size_and_hex() {
    let messages = explain(&[mold_frame(1, &[&delete(7)])]);
    let json = serde_json::to_value(messages.last().unwrap()).unwrap();
    assert_eq!(json["packet"], 1);
    assert_eq!(json["protocol"], "nasdaq.totalview-itch.5.0");
    assert_eq!(json["recognised"], "certain");
    assert_eq!(json["msg_type"], "D");
    assert_eq!(json["offset"], 64);
    assert_eq!(json["size"], 19);
    assert_eq!(json["fields"][0]["hex"], "44");
}

#[test]
fn what_is_not_decoded_is_counted_by_reason() {
    let arp = [&[0u8; 12], &[0x08, 0x06][..], &[0; 28]].concat();
    let other = Frame::udp("1.1.1.1:1", "2.2.2.2:2", b"something else").ethernet();
    let (rows, decoder) = decode(&[arp, other.clone(), other]);
    assert!(rows.is_empty());
    let counted = &decoder.counters().undecoded;
    assert_eq!(counted["arp"].times, 1);
    assert_eq!(
        (counted["protocol not recognised"].times, counted["protocol not recognised"].bytes),
        (2, 28)
    );
}

/// A mixture of all framings, some of it lost, repeated and late.
fn mixture(drops: &[prop::sample::Index], repeats: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let (mut soup_at, mut fix_at) = (0u32, 0u32);
    for i in 0..40u32 {
        frames.push(mold_frame(u64::from(i) * 2 + 1, &[&delete(1), &delete(2)]));
        let packet = [soup(b'S', &event(b'S')), soup(b'H', b"")].concat();
        frames.push(from_server(soup_at, &packet[..9]));
        frames.push(from_server(soup_at + 9, &packet[9..]));
        soup_at += packet.len() as u32;
        let message = fix_message(i);
        frames.push(Frame::tcp("10.9.0.1:1", "10.9.0.2:2", fix_at, ACK, &message).ethernet());
        fix_at += message.len() as u32;
    }
    for drop in drops {
        frames.remove(drop.index(frames.len()));
    }
    for repeat in repeats {
        let at = repeat.index(frames.len());
        frames.insert((at + 3).min(frames.len()), frames[at].clone());
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows do not depend on how the packets are cut into batches, and no two
    /// messages share an id.
    #[test]
    fn batches_do_not_matter(
        drops in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        cut in 1usize..20,
    ) {
        let frames = mixture(&drops, &repeats);
        let (all, decoder) = decode(&frames);
        let (some, _) = decode_cut(&config(""), &frames, cut);
        prop_assert_eq!(&all, &some);
        let mut ids: Vec<_> = all.iter().map(|r| (r.packet_ix, r.msg_ix)).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), all.len());
        prop_assert_eq!(decoder.counters().messages, all.len() as u64);
    }

    /// Damaged frames: no panic, and rows and explanations agree.
    #[test]
    fn damage_does_no_harm(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
    ) {
        let mut frames = mixture(&[], &[]);
        for (frame, bit) in flips {
            let frame = frame.index(frames.len());
            let bit = bit.index(frames[frame].len().max(1) * 8);
            if let Some(byte) = frames[frame].get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        for (frame, len) in cuts {
            let frame = frame.index(frames.len());
            let len = len.index(frames[frame].len() + 1);
            frames[frame].truncate(len);
        }
        let (rows, _) = decode(&frames);
        let explained = explain(&frames);
        let ours: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix)).collect();
        let theirs: Vec<_> = explained.iter().filter_map(|m| Some((m.packet_ix, m.msg_ix?))).collect();
        prop_assert_eq!(ours, theirs);
    }
}
