//! FIX in datagrams, and FAST feeds by profile.

use super::tests::{Row, config, rows_of};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::explain::{ExplainedMessage, Explainer};
use crate::fix::tests::message;
use crate::flow::Recognised;
use crate::headers::transport::tcp_flags::ACK;
use crate::kind::flags;
use crate::library::Library;
use crate::testing::{Frame, meta};
use std::path::Path;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;

const TEMPLATES: &str = r#"<templates>
    <template name="PacketHeader" id="73"><uInt32 name="SenderCompID"/>
      <byteVector name="PacketSeqNum"/><byteVector name="SendingTime"/></template>
    <template name="Trade" id="74"><uInt32 name="MsgSeqNum"><increment/></uInt32>
      <uInt32 name="Price"><copy/></uInt32></template></templates>"#;

fn packets(payloads: &[Vec<u8>]) -> PacketBatch {
    let mut batch = PacketBatch::new();
    for (n, payload) in payloads.iter().enumerate() {
        let frame = Frame::udp("10.1.1.1:4000", "233.1.1.1:5000", payload).ethernet();
        batch.push(meta(n as u32, 0, frame.len()), &frame);
    }
    batch
}

fn run(config: &Arc<DecoderConfig>, base: &Path, payloads: &[Vec<u8>]) -> (Vec<Row>, Decoder) {
    let library = Arc::new(Library::load(config, base).unwrap());
    let mut decoder = Decoder::new(Arc::clone(config), library);
    let mut rows = Vec::new();
    decoder.decode(&packets(payloads), &mut |batch, names| rows.extend(rows_of(batch, names)));
    (rows, decoder)
}

fn explain(
    config: &Arc<DecoderConfig>,
    base: &Path,
    payloads: &[Vec<u8>],
) -> Vec<ExplainedMessage> {
    let library = Arc::new(Library::load(config, base).unwrap());
    let mut messages = Vec::new();
    Explainer::new(Arc::clone(config), library)
        .explain(&packets(payloads), &mut |message| messages.push(message));
    messages
}

/// A folder with the templates, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fast-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("t.xml"), TEMPLATES).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn order(number: u32) -> Vec<u8> {
    message("FIX.4.4", &format!("35=D|49=A|56=B|34={number}|11=x|"))
}

/// With a simple open framing header.
fn framed(message: &[u8]) -> Vec<u8> {
    let len = (message.len() as u32 + 6).to_be_bytes();
    [&len[..], &[0xf0, 0x00], message].concat()
}

#[test]
fn fix_in_datagrams_is_recognised_with_any_preamble() {
    let payloads = [
        order(1),
        [order(2), order(3)].concat(),
        [framed(&order(4)), framed(&order(5))].concat(),
        [&b"\x01\x02\x03"[..], &order(6)].concat(),
    ];
    let (rows, decoder) = run(&config(""), Path::new(""), &payloads);
    let ids: Vec<_> = rows.iter().map(|r| (r.packet_ix, r.msg_ix, r.seq, r.gap)).collect();
    let next = Some(0);
    assert_eq!(
        ids,
        [
            (0, 0, Some(1), next),
            (1, 0, Some(2), next),
            (1, 1, Some(3), next),
            (2, 0, Some(4), next),
            (2, 1, Some(5), next),
            (3, 0, Some(6), next)
        ]
    );
    assert!(rows.iter().all(|row| row.protocol == "fix.4.4" && row.flags == 0));
    assert_eq!(decoder.flows()[0].recognised, Some(Recognised::Certain));
    let messages = explain(&config(""), Path::new(""), &payloads);
    let headers: Vec<_> = messages.iter().filter(|m| m.msg_ix.is_none()).collect();
    assert_eq!(headers.len(), 3);
    assert_eq!(headers[0].fields[1].name, "encoding_type");
    assert_eq!(headers[2].fields[0].name, "preamble");
    let sizes: u32 = messages.iter().map(|message| message.size).sum();
    assert_eq!(sizes as usize, payloads.concat().len(), "every byte once");
}

#[test]
fn fix_in_datagrams_is_configured_and_garbage_is_counted() {
    let config = config("[[feed]]\nprotocol = 'fix.4.4'\npreamble = ['u16be len']\n");
    let mut bad = order(1);
    let at = bad.len() - 2;
    bad[at] = if bad[at] == b'0' { b'1' } else { b'0' };
    let payloads = [[&[0, 9][..], &bad].concat(), [order(2), vec![b'x'; 100]].concat()];
    let (rows, decoder) = run(&config, Path::new(""), &payloads);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].flags & flags::BAD_CHECKSUM, flags::BAD_CHECKSUM);
    assert_eq!(decoder.flows()[0].recognised, Some(Recognised::Configured));
    assert_eq!(decoder.flows()[0].errors, 1);
    let messages = explain(&config, Path::new(""), &payloads);
    assert_eq!(messages[0].fields[0].name, "len");
}

#[test]
fn a_garbled_logon_shows_no_password() {
    let logon = b"8=FIX.4.4\x019=5\x0135=A\x01554=hush\x0110=000\x01".to_vec();
    let config = config("[[feed]]\nprotocol = 'fix.4.4'\n");
    let text = format!("{:?}", explain(&config, Path::new(""), &[logon]));
    assert!(!text.contains(&format!("{:?}", b"hush").replace(['[', ']'], "")), "{text}");
}

/// A Eurex datagram: header, reset, two messages that live on values.
fn eurex(sender: u8, seq: u8) -> Vec<u8> {
    let header = [0xc0, 0xc9, 0x80 | sender, 0x84, 0, 0, 0, seq, 0x88, 0, 0, 0, 0, 0, 0, 0, seq];
    [&header[..], &[0xc0, 0xf8], &[0xf0, 0xca, 0x81, 0x87], &[0x80]].concat()
}

#[test]
fn eurex_packet_headers_number_the_messages_behind_them() {
    let folder = Folder::new("eurex");
    let config = config("[[feed]]\nprotocol = 'emdi'\ntemplates = 't.xml'\nprofile = 'eurex'\n");
    let payloads = [eurex(3, 1), eurex(4, 9), eurex(3, 2), eurex(3, 4), eurex(4, 10)];
    let (rows, decoder) = run(&config, &folder.0, &payloads);
    assert_eq!(rows.len(), 15, "reset and two messages each");
    let first: Vec<_> =
        rows.iter().step_by(3).map(|r| (r.channel, r.gap, r.ts_send, r.flags)).collect();
    assert_eq!(
        first,
        [
            (Some(3), None, Some(1), 0),
            (Some(4), None, Some(9), 0),
            (Some(3), Some(0), Some(2), 0),
            (Some(3), Some(1), Some(4), 0),
            (Some(4), Some(0), Some(10), 0)
        ]
    );
    assert_eq!((decoder.flows()[0].gaps, decoder.flows()[0].missing), (1, 1));
    let kinds: Vec<_> = rows.iter().take(3).map(|row| row.msg_type.as_str()).collect();
    assert_eq!(kinds, ["120", "74", "74"]);
    let sizes: u32 = explain(&config, &folder.0, &payloads).iter().map(|m| m.size).sum();
    assert_eq!(sizes as usize, payloads.concat().len(), "every byte once");
}

#[test]
fn moex_and_cme_profiles_number_datagrams_and_forget_before_each_message() {
    let folder = Folder::new("profiles");
    let messages = [0xf0, 0xca, 0x81, 0x87];
    for (profile, preamble, channel) in
        [("moex", &[5, 0, 0, 0][..], None), ("cme", &[0, 0, 0, 5, 7], Some(7))]
    {
        let text =
            format!("[[feed]]\nprotocol = 'f'\ntemplates = 't.xml'\nprofile = '{profile}'\n");
        let (rows, _) = run(&config(&text), &folder.0, &[[preamble, &messages].concat()]);
        assert_eq!((rows.len(), rows[0].channel), (1, channel), "{profile}");
        let text = format!("{text}preamble = 0\n");
        let (rows, _) = run(&config(&text), &folder.0, &[messages.to_vec()]);
        assert_eq!((rows.len(), rows[0].channel), (1, None), "the key goes before the profile");
    }
}

#[test]
fn wrong_profiles_are_told() {
    let folder = Folder::new("wrong");
    let error = |profile: &str, file: &str| {
        let text =
            format!("[[feed]]\nprotocol = 'f'\ntemplates = '{file}'\nprofile = '{profile}'\n");
        let errors = Library::load(&config(&text), &folder.0).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<String>()
    };
    assert!(error("nyse", "t.xml").contains("moex, cme, eurex"));
    let plain = "<template name=\"T\" id=\"1\"><uInt32 name=\"x\"/></template>";
    std::fs::write(folder.0.join("plain.xml"), plain).unwrap();
    assert!(error("eurex", "plain.xml").contains("PacketSeqNum"));
}

/// A FAST message behind its length.
fn measured(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_le_bytes()[..], message].concat()
}

#[test]
fn fast_messages_in_a_stream_stand_behind_their_lengths() {
    const SERVER: &str = "10.1.1.1:9113";
    let folder = Folder::new("stream");
    let config = config(
        "[[feed]]\nprotocol = 'replay'\ntemplates = 't.xml'\npreamble = ['u32le length']\n\
         reset = 'message'\n[[session]]\nprotocol = 'replay'\nserver = '10.1.1.1'\nport = 9113\n",
    );
    // Template 74: a number and a price.
    let trades: Vec<_> = (1..=6).map(|n| measured(&[0xf0, 0xca, 0x80 | n, 0x87])).collect();
    let all = trades.concat();
    let server = |from: usize, to: usize| {
        Frame::tcp(SERVER, "10.2.0.1:50000", from as u32, ACK, &all[from..to]).ethernet()
    };
    let logon = Frame::tcp("10.2.0.1:50000", SERVER, 0, ACK, &order(1)).ethernet();
    let decode = |frames: &[Vec<u8>]| {
        let library = Arc::new(Library::load(&config, &folder.0).unwrap());
        let mut batch = PacketBatch::new();
        for (n, frame) in frames.iter().enumerate() {
            batch.push(meta(n as u32, 0, frame.len()), frame);
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut decoder = Decoder::new(Arc::clone(&config), Arc::clone(&library));
        decoder.decode(&batch, &mut |batch, names| rows.extend(rows_of(batch, names)));
        decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
        let mut explainer = Explainer::new(Arc::clone(&config), library);
        explainer.explain(&batch, &mut |message| bytes += message.size);
        explainer.finish(&mut |message| bytes += message.size);
        let ids = |row: &Row| (row.packet_ix, row.msg_ix, row.msg_type.clone(), row.flags);
        (rows.iter().map(ids).collect::<Vec<_>>(), bytes as usize)
    };
    // Eight bytes a message, wherever the segments are cut.
    for cut in 1..all.len() {
        let (rows, bytes) = decode(&[logon.clone(), server(0, cut), server(cut, all.len())]);
        assert_eq!(rows[0].2, "D", "the client speaks FIX");
        assert_eq!(bytes, all.len() + order(1).len(), "every byte once");
        for (n, (packet_ix, msg_ix, msg_type, flags)) in rows[1..].iter().enumerate() {
            let (first, inside) = (cut / 8, cut % 8 != 0);
            let (packet, place) = if n < first { (1, n) } else { (2, n - first) };
            assert_eq!((*packet_ix, usize::from(*msg_ix)), (packet, place), "cut at {cut}");
            assert_eq!(msg_type, "74");
            // A message, not its length, lies in two packets.
            let split = inside && n == first && cut % 8 > 4;
            assert_eq!(flags & flags::REASSEMBLED != 0, split, "cut at {cut}");
        }
        assert_eq!(rows.len(), 7);
    }
    // Behind a hole the next segment begins a message; one inside a message does not.
    let (rows, _) = decode(&[server(0, 16), server(24, 36), server(36, 48)]);
    let types: Vec<_> = rows.iter().map(|row| (row.0, row.2.as_str())).collect();
    assert_eq!(types, [(0, "74"), (0, "74"), (1, "gap"), (1, "74"), (2, "74"), (2, "74")]);
    let (rows, _) = decode(&[server(0, 16), server(20, 36)]);
    assert_eq!(rows.iter().filter(|row| row.2 == "74").count(), 2);
    let (rows, _) = decode(&[server(0, 16), server(0, 16), server(16, 24)]);
    let repeated = rows.iter().filter(|row| row.3 & flags::RETRANSMIT != 0).count()
        + rows.iter().filter(|row| row.3 & flags::DUPLICATE != 0).count();
    assert_eq!((rows.len(), repeated), (5, 2));
}

/// Rows and explanations of a stream of FAST messages without lengths, in
/// segments that begin where told; a hole is where nothing begins.
struct Unmeasured {
    config: Arc<DecoderConfig>,
    folder: Folder,
}

impl Unmeasured {
    fn new(name: &str, reset: &str) -> Self {
        let text = format!(
            "[[feed]]\nprotocol = 'bare'\ntemplates = 't.xml'\nreset = '{reset}'\n\
             [[session]]\nprotocol = 'bare'\nserver = '10.1.1.1'\nport = 9113\n"
        );
        Self { config: config(&text), folder: Folder::new(name) }
    }

    fn read(&self, segments: &[(u32, &[u8])]) -> (Vec<Row>, Vec<ExplainedMessage>) {
        let library = Arc::new(Library::load(&self.config, &self.folder.0).unwrap());
        let mut batch = PacketBatch::new();
        for (n, &(seq, payload)) in segments.iter().enumerate() {
            let frame = Frame::tcp("10.1.1.1:9113", "10.2.0.1:50000", seq, ACK, payload);
            let frame = frame.ethernet();
            batch.push(meta(n as u32, 0, frame.len()), &frame);
        }
        let (mut rows, mut messages) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::new(Arc::clone(&self.config), Arc::clone(&library));
        decoder.decode(&batch, &mut |batch, names| rows.extend(rows_of(batch, names)));
        decoder.finish(&mut |batch, names| rows.extend(rows_of(batch, names)));
        let mut explainer = Explainer::new(Arc::clone(&self.config), library);
        explainer.explain(&batch, &mut |message| messages.push(message));
        explainer.finish(&mut |message| messages.push(message));
        (rows, messages)
    }
}

/// The values of a field in all messages, `?` where one is not readable.
fn prices(messages: &[ExplainedMessage]) -> Vec<String> {
    let price = |message: &ExplainedMessage| {
        let field = message.fields.iter().find(|field| field.path == "Price")?;
        Some(format!("{:?}", field.value))
    };
    messages.iter().map(|message| price(message).unwrap_or_else(|| "?".to_owned())).collect()
}

#[test]
fn fast_messages_without_lengths_end_where_their_templates_do() {
    let bare = Unmeasured::new("bare", "never");
    // All on the wire; nothing but the map; a price; nothing; a template id too.
    let messages: [&[u8]; 5] =
        [&[0xf0, 0xca, 0x81, 0x87], &[0x80], &[0x90, 0x01, 0x88], &[0x80], &[0xc0, 0xca]];
    let all = messages.concat();
    let wanted = ["Int(7)", "Int(7)", "Int(136)", "Int(136)", "Int(136)"];
    for cut in 1..all.len() {
        let (before, after) = all.split_at(cut);
        let (rows, explained) = bare.read(&[(0, before), (cut as u32, after)]);
        assert_eq!(prices(&explained), wanted, "cut at {cut}");
        assert_eq!(explained.iter().map(|m| m.size as usize).sum::<usize>(), all.len());
        assert!(rows.iter().all(|row| row.msg_type == "74"), "cut at {cut}");
        assert!(rows.iter().all(|row| row.flags & flags::DECODE_ERROR == 0), "cut at {cut}");
        let mut end = 0;
        for (row, message) in rows.iter().zip(messages) {
            end += message.len();
            assert_eq!(row.packet_ix, u32::from(end > cut), "cut at {cut}: where it ends");
        }
    }
}

#[test]
fn bytes_that_are_no_fast_message_are_one_row_up_to_the_next_segment() {
    let bare = Unmeasured::new("bare-garbage", "message");
    let good: &[u8] = &[0xf0, 0xca, 0x81, 0x87];
    // A template that is none, and what stands behind it.
    let bad: &[u8] = &[0xf0, 0xff, 0x81, 0x87, 0xf0, 0xca, 0x81, 0x87];
    let (rows, explained) = bare.read(&[(0, good), (4, bad), (12, good)]);
    let errors: Vec<bool> = rows.iter().map(|r| r.flags & flags::DECODE_ERROR != 0).collect();
    assert_eq!(errors, [false, true, false]);
    assert_eq!(prices(&explained), ["Int(7)", "?", "Int(7)"]);
    // Behind a hole as well.
    let (rows, explained) = bare.read(&[(0, good), (100, good)]);
    assert_eq!(rows.iter().filter(|row| row.msg_type == "74").count(), 2);
    assert_eq!(prices(&explained).iter().filter(|price| *price == "Int(7)").count(), 2);
}

#[test]
fn a_fast_message_without_an_end_is_waited_for_up_to_the_bound() {
    let bare = Unmeasured::new("bare-endless", "message");
    let endless = vec![0u8; 1000];
    let segments: Vec<(u32, &[u8])> = (0..80).map(|n| (n * 1000, &endless[..])).collect();
    let (rows, _) = bare.read(&segments[..60]);
    assert!(rows.is_empty(), "not whole, and not over the bound");
    let (rows, explained) = bare.read(&segments);
    assert!(rows.iter().all(|row| row.flags & flags::DECODE_ERROR != 0));
    assert_eq!(rows.iter().filter(|row| row.packet_ix == 65).count(), 1, "{}", rows.len());
    assert_eq!(explained.iter().map(|m| m.size as usize).sum::<usize>(), 80_000);
}
