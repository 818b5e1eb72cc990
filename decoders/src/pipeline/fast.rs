//! Datagrams of a FAST feed: preamble or packet header, numbers, messages.

use super::datagram::{count, count_gaps, note_error, place, undecoded};
use super::sink::{Cut, Engine, Header, Sink};
use super::{Arrived, Shared};
use crate::batch::Head;
use crate::fast::decode::ResetPolicy;
use crate::fast::feed::FastFeed;
use crate::fast::preamble::Prefix;
use crate::flow::Recognised;
use crate::framing::sequence::{Placed, Tracker, fingerprint};
use crate::kind::{SeqUnit, flags};
use crate::names::Name;
use crate::tcp::origin::Bytes;
use std::sync::Arc;

/// Most senders followed on one flow; the one seen first gives way.
pub const SENDERS_MAX: usize = 64;

/// The numbers of one flow's datagrams.
#[derive(Debug, Default)]
pub(super) struct FastFlow {
    /// By sender; 0 where the feed has none.
    senders: Vec<(u64, Tracker)>,
}

impl FastFlow {
    /// A datagram of the feed at an index; `head` is what its rows share.
    pub fn datagram<'p>(
        &mut self,
        feed: u16,
        mut head: Head,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        sink: &mut impl Sink<'p>,
    ) {
        let library = Arc::clone(&shared.library);
        let Some(Some(setup)) = library.fast.get(usize::from(feed)) else {
            return undecoded(arrived, 0, "no templates", shared, sink);
        };
        let self_contained = matches!(setup.reset, ResetPolicy::Message | ResetPolicy::Datagram);
        let mut at = 0;
        loop {
            let first = at == 0;
            let rest = arrived.payload.get(at..).unwrap_or_default();
            let Ok(prefix) = setup.prefix(rest) else {
                note_error(arrived, "payload ends inside the preamble", shared);
                return undecoded(arrived, at, "payload ends inside the preamble", shared, sink);
            };
            let placed = self.place(first, prefix, arrived, shared);
            let from = at + prefix.len;
            let bytes = arrived.payload.get(from..).unwrap_or_default();
            let len = prefix.length.unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes.get(..len).unwrap_or_default();
            header(setup, head.protocol, prefix.len, at, arrived, shared, sink);
            if first {
                (head.gap_before, head.flags) = (placed.gap_before, placed.flags);
            }
            head.seq = prefix.seq.map(|seq| (seq, SeqUnit::Packet)).or(head.seq);
            head.channel = prefix.channel.or(head.channel);
            head.ts_send = prefix.ts_send.or(head.ts_send);
            head.raw_off = Some((arrived.segment.payload.start + from) as u32);
            head.raw_len = len as u32;
            if arrived.segment.truncated {
                head.flags |= flags::TRUNCATED;
            }
            let repeated = placed.flags & (flags::DUPLICATE | flags::RETRANSMIT) != 0;
            let gap = placed.gap_before.is_some_and(|gap| gap > 0);
            let engine = match repeated && !self_contained {
                true => Engine::Opaque,
                false => Engine::Fast { feed, first, gap },
            };
            if len > 0 {
                let (bytes, place) = (Bytes::Frame(bytes), place(arrived, from));
                let recognised = Some(Recognised::Configured);
                let cut = Cut { head: &head, bytes, place, engine, recognised };
                let outcome = sink.message(&mut shared.names, cut);
                head.msg_ix = head.msg_ix.saturating_add(outcome.messages);
                count(outcome, arrived.flow_id, shared);
            }
            head.gap_before = head.gap_before.map(|_| 0);
            at = from + len;
            if prefix.length.is_none() || at >= arrived.payload.len() || prefix.len + len == 0 {
                return;
            }
        }
    }

    /// Where a datagram stands in its sender's sequence.
    fn place(
        &mut self,
        first: bool,
        prefix: Prefix,
        arrived: &Arrived<'_, '_>,
        shared: &mut Shared,
    ) -> Placed {
        let Some(seq) = prefix.seq.filter(|_| first) else {
            return Placed { gap_before: None, flags: 0 };
        };
        let sender = prefix.sender.unwrap_or(0);
        let at = match self.senders.iter().position(|&(known, _)| known == sender) {
            Some(at) => at,
            None => {
                if self.senders.len() == SENDERS_MAX {
                    self.senders.remove(0);
                }
                self.senders.push((sender, Tracker::new()));
                self.senders.len() - 1
            }
        };
        let Some((_, tracker)) = self.senders.get_mut(at) else {
            return Placed { gap_before: None, flags: 0 };
        };
        let before = (tracker.gaps, tracker.missing);
        let placed = tracker.packet(seq, 1, fingerprint(arrived.payload));
        let after = (tracker.gaps, tracker.missing);
        if before != after {
            count_gaps(before, after, arrived.flow_id, shared);
        }
        placed
    }
}

/// Tells the bytes before the messages.
fn header<'p>(
    setup: &FastFeed,
    protocol: Name,
    len: usize,
    at: usize,
    arrived: &Arrived<'p, '_>,
    shared: &Shared,
    sink: &mut impl Sink<'p>,
) {
    if len > 0 {
        sink.header(Header {
            place: place(arrived, at),
            protocol: shared.names.text(protocol),
            recognised: Some(Recognised::Configured),
            bytes: arrived.payload.get(at..at + len).unwrap_or_default(),
            fields: &|bytes| setup.explain_prefix(bytes),
        });
    }
}
