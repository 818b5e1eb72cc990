//! FAST messages in a TCP stream, each behind its length.
//!
//! ```text
//! client ─► 8=FIX … logon, request │            text, as FIX reads it
//! server ─► length │ message │ length │ message │ …
//! ```
//!
//! Nothing marks where a message begins. So behind a hole, and in a stream
//! joined somewhere, one is taken to begin with a segment.

use super::connection::{Mode, Recent};
use super::sink::{Engine, Header, Sink};
use super::stream::{Cutter, NO_MESSAGE, piece, place_of};
use crate::flow::Recognised;
use crate::kind::SeqUnit;
use crate::library::FastFeed;
use crate::tcp::origin::Run;
use std::sync::Arc;

/// A longer message is none.
pub const FAST_LEN_MAX: usize = 1 << 20;

const FIX_BEGIN: &[u8] = b"8=FIX";

impl<'p, S: Sink<'p>> Cutter<'_, S> {
    /// Cuts messages of the feed at an index. Gives how many bytes are done
    /// with.
    pub(super) fn cut_fast(&mut self, feed: u16, run: &mut Run<'p, '_>) -> usize {
        let library = Arc::clone(&self.shared.library);
        let len = run.bytes.get().len();
        if FIX_BEGIN.starts_with(run.bytes.slice(0..len.min(FIX_BEGIN.len())).get()) {
            return self.cut_fix(None, run);
        }
        let joined = !self.half.synced;
        let setup = library.fast.get(usize::from(feed)).and_then(Option::as_ref);
        let Some(setup) = setup.filter(|_| !joined || run.begins_a_segment()) else {
            self.skip(run, 0..len, NO_MESSAGE);
            return len;
        };
        self.half.synced = true;
        let (mut at, mut gap) = (0, joined);
        while at < len {
            let rest = run.bytes.slice(at..len);
            let Ok(prefix) = setup.prefix(rest.get()) else { return at };
            let size = prefix.length.unwrap_or(0);
            if size == 0 || size > FAST_LEN_MAX {
                self.half.synced = false;
                self.skip(run, at..len, NO_MESSAGE);
                return len;
            }
            let total = prefix.len + size;
            if rest.get().len() < total {
                return at;
            }
            self.fast_message((feed, setup, gap), (at, prefix.len, total), run);
            (at, gap) = (at + total, false);
        }
        at
    }

    /// A whole message with what stands before it.
    fn fast_message(
        &mut self,
        (feed, setup, gap): (u16, &FastFeed, bool),
        (at, prefix_len, total): (usize, usize, usize),
        run: &mut Run<'p, '_>,
    ) {
        let Some(before) = piece(run, at..at + prefix_len) else { return };
        let Some(message) = piece(run, at + prefix_len..at + total) else { return };
        let msg_ix = match self.half.completed.next(message.span.last.packet_ix) {
            Ok(msg_ix) => msg_ix,
            Err(reason) => {
                return self.shared.counters.undecoded(reason, message.bytes.get().len());
            }
        };
        let mut head = self.head(&message, msg_ix);
        let Mode::Fast { protocol, .. } = self.common.mode else { return };
        self.sink.header(Header {
            place: place_of(&message.span.last, before.start),
            protocol: self.shared.names.text(protocol),
            recognised: Some(Recognised::Configured),
            bytes: before.bytes.get(),
            fields: &|bytes| setup.explain_prefix(bytes),
        });
        let prefix = setup.prefix(before.bytes.get()).unwrap_or_default();
        head.protocol = protocol;
        head.seq = prefix.seq.map(|seq| (seq, SeqUnit::Message));
        head.channel = prefix.channel;
        let (start, len) = (message.start, message.bytes.get().len() as u32);
        self.half.remember(Recent { start, len, next: None });
        let outcome = self.give(&head, message, Engine::Fast { feed, first: true, gap });
        self.half.completed.add(outcome.messages);
    }
}
