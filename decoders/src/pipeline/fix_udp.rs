//! FIX in datagrams: some bytes of a venue's own, then messages.
//!
//! ```text
//! 00 00 00 d3 f0 00 | 8=FIX.4.4␁9=…␁10=128␁ | 00 00 00 9a f0 00 | 8=FIX.4.4␁…
//! SOFH, preamble    | message               |                   |
//! ```
//!
//! The bytes before a message are a preamble, of 0 or up to
//! [`PREAMBLE_MAX`] bytes: a simple open framing header (FIX SOFH 1.0, encoding
//! 0xF000), what the feed's section says, or bytes that nothing explains.

use super::datagram::{count, note_error, place};
use super::sink::{Cut, Engine, Header, Sink};
use super::{Arrived, Shared};
use crate::batch::Head;
use crate::fast::preamble::Preamble;
use crate::field::Field;
use crate::fix::framing::{Scan, begin_string, protocol_id, scan};
use crate::flow::Recognised;
use crate::framing::fields::FieldReader;
use crate::kind::flags;
use crate::tcp::origin::Bytes;
use memchr::memmem;
use std::sync::Arc;

/// The framing's id.
pub const ID: &str = "fix-udp";

/// Most bytes before a message.
pub const PREAMBLE_MAX: usize = 64;

/// The encoding type of tag=value in a simple open framing header.
const SOFH_TAGVALUE: [u8; 2] = [0xf0, 0x00];

/// Bytes of a simple open framing header.
const SOFH_LEN: usize = 6;

/// Whether a datagram is FIX: a whole message with a right sum soon after its
/// beginning.
pub(crate) fn is_fix(payload: &[u8]) -> bool {
    let begins = memmem::find_iter(payload, b"8=FIX").take_while(|&at| at <= PREAMBLE_MAX);
    begins
        .map(|at| scan(payload.get(at..).unwrap_or_default()))
        .any(|found| matches!(found, Scan::Message { checksum_ok: true, .. }))
}

/// The messages of a datagram; `feed` is the index of its section.
pub(super) fn datagram<'p>(
    feed: Option<u16>,
    recognised: Recognised,
    mut head: Head,
    arrived: &Arrived<'p, '_>,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) {
    let library = Arc::clone(&shared.library);
    let preamble = feed.and_then(|feed| library.preambles.get(usize::from(feed))?.as_ref());
    let (mut at, mut skipped) = (0, 0);
    while let Some(rest) = arrived.payload.get(at + skipped..).filter(|rest| !rest.is_empty()) {
        match scan(rest) {
            Scan::Message { len, checksum_ok } => {
                let bytes = rest.get(..len).unwrap_or_default();
                let id = protocol_id(begin_string(bytes).unwrap_or_default());
                head.protocol = shared.name(id).unwrap_or(shared.ids.unknown);
                shared.publish(arrived.flow_id, head.protocol, recognised);
                header(preamble, skipped, recognised, at, arrived, sink);
                at += skipped;
                head.raw_off = Some((arrived.segment.payload.start + at) as u32);
                head.raw_len = len as u32;
                head.flags = if checksum_ok { 0 } else { flags::BAD_CHECKSUM };
                let (bytes, place) = (Bytes::Frame(bytes), place(arrived, at));
                let engine = Engine::Fix { tags: 0 };
                let cut = Cut { head: &head, bytes, place, engine, recognised: Some(recognised) };
                let outcome = sink.message(&mut shared.names, cut);
                head.msg_ix = head.msg_ix.saturating_add(outcome.messages);
                count(outcome, arrived.flow_id, shared);
                (at, skipped) = (at + len, 0);
            }
            Scan::Skip(len) => skipped += len.max(1),
            Scan::NeedMore => break,
        }
        if skipped > PREAMBLE_MAX {
            (at, skipped) = garbage(at, skipped, arrived, shared, sink);
        }
    }
    if at < arrived.payload.len() {
        garbage(at, arrived.payload.len() - at, arrived, shared, sink);
    }
}

/// Bytes that are no message and too many for a preamble.
fn garbage<'p>(
    at: usize,
    len: usize,
    arrived: &Arrived<'p, '_>,
    shared: &mut Shared,
    sink: &mut impl Sink<'p>,
) -> (usize, usize) {
    const REASON: &str = "no message begins here";
    let bytes = arrived.payload.get(at..).unwrap_or_default();
    let bytes = bytes.get(..len).unwrap_or(bytes);
    shared.counters.undecoded(REASON, bytes.len());
    if arrived.segment.truncated {
        shared.counters.messages_cut += 1;
    } else {
        note_error(arrived, "messages do not fill the payload", shared);
    }
    sink.undecoded(place(arrived, at), bytes, REASON);
    (at + bytes.len(), 0)
}

/// Tells the bytes before a message.
fn header<'p>(
    preamble: Option<&Preamble>,
    len: usize,
    recognised: Recognised,
    at: usize,
    arrived: &Arrived<'p, '_>,
    sink: &mut impl Sink<'p>,
) {
    let bytes = arrived.payload.get(at..at + len).unwrap_or_default();
    if !bytes.is_empty() {
        let fields = |bytes: &[u8]| preamble_fields(preamble, bytes);
        let (place, recognised) = (place(arrived, at), Some(recognised));
        sink.header(Header { place, protocol: ID, recognised, bytes, fields: &fields });
    }
}

/// The fields of a preamble, which tile it.
fn preamble_fields(preamble: Option<&Preamble>, bytes: &[u8]) -> Vec<Field> {
    if let Some(preamble) = preamble
        && preamble.read(bytes).is_ok_and(|prefix| prefix.len == bytes.len())
        && let Ok(fields) = preamble.explain(bytes)
    {
        return fields;
    }
    let mut list = FieldReader::new(bytes);
    if bytes.len() == SOFH_LEN && bytes.ends_with(&SOFH_TAGVALUE) {
        return list.uint("message_length", 4).uint("encoding_type", 2).finish();
    }
    list.rest("preamble").finish()
}
