//! FAST messages in a TCP stream, each behind its length, or one behind the
//! other where the templates alone say where they end.
//!
//! ```text
//! client ─► 8=FIX … logon, request │            text, as FIX reads it
//! server ─► length │ message │ length │ message │ …
//!       or  message │ message │ …
//! ```
//!
//! Nothing marks where a message begins. So behind a hole, behind bytes that
//! are none, and in a stream joined somewhere, one is taken to begin with a
//! segment.

use super::connection::{Mode, Recent};
use super::sink::{Engine, Header, Sink};
use super::stream::{Cutter, NO_MESSAGE, piece, place_of};
use crate::fast::feed::FastFeed;
use crate::fast::measure::{Measured, Measurer};
use crate::flow::Recognised;
use crate::kind::SeqUnit;
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
            let behind = rest.get().get(prefix.len..).unwrap_or_default();
            let size = match prefix.length {
                Some(size @ 1..=FAST_LEN_MAX) => Measured::Whole(size),
                Some(_) => Measured::Unreadable,
                None => self.measurer(setup).measure(behind),
            };
            let total = match size {
                Measured::Whole(size) => prefix.len + size,
                Measured::NeedMore => return at,
                Measured::Unreadable => {
                    self.half.synced = false;
                    if prefix.length.is_some() {
                        self.skip(run, at..len, NO_MESSAGE);
                    } else {
                        // A row says why; its decoder forgets what this one forgot.
                        self.fast_message((feed, setup, gap), (at, prefix.len, len - at), run);
                    }
                    return len;
                }
            };
            if rest.get().len() < total {
                return at;
            }
            self.fast_message((feed, setup, gap), (at, prefix.len, total), run);
            (at, gap) = (at + total, false);
        }
        at
    }

    /// What measures messages of this direction.
    fn measurer(&mut self, setup: &FastFeed) -> &mut Measurer {
        let new =
            || Measurer::new(Arc::clone(&setup.templates), setup.reset, setup.implicit_template);
        self.half.measurer.get_or_insert_with(|| Box::new(new()))
    }

    /// A whole message with what stands before it.
    fn fast_message(
        &mut self,
        (feed, setup, gap): (u16, &FastFeed, bool),
        (at, prefix_len, total): (usize, usize, usize),
        run: &mut Run<'p, '_>,
    ) {
        let Some(message) = piece(run, at + prefix_len..at + total) else { return };
        let msg_ix = match self.half.completed.next(message.span.last.packet_ix) {
            Ok(msg_ix) => msg_ix,
            Err(reason) => {
                return self.shared.counters.undecoded(reason, message.bytes.get().len());
            }
        };
        let mut head = self.head(&message, msg_ix);
        let Mode::Fast { protocol, .. } = self.common.mode else { return };
        let before = run.bytes.slice(at..at + prefix_len);
        let prefix = setup.prefix(before.get()).unwrap_or_default();
        if prefix_len > 0 {
            self.sink.header(Header {
                place: place_of(&message.span.last, run.start + at as u64),
                protocol: self.shared.names.text(protocol),
                recognised: Some(Recognised::Configured),
                bytes: before.get(),
                fields: &|bytes| setup.explain_prefix(bytes),
            });
        }
        head.protocol = protocol;
        head.seq = prefix.seq.map(|seq| (seq, SeqUnit::Message));
        head.channel = prefix.channel;
        let (start, len) = (message.start, message.bytes.get().len() as u32);
        self.half.remember(Recent { start, len, next: None });
        let outcome = self.give(&head, message, Engine::Fast { feed, first: true, gap });
        self.half.completed.add(outcome.messages);
    }
}
