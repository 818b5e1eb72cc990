//! The decoder: one message after the other, with the values of those before.
//!
//! ```text
//! c0 82 ...            presence map, template id
//! │                    then the template's ops in order; each value goes to
//! └ ops ──> [`Sink`]   a sink: columns of rows, or fields for people
//! ```
//!
//! The previous values live in the decoder: one decoder serves one stream of
//! messages (one channel and line), in order.

use std::sync::Arc;

use super::error::{Code, FastError};
use super::explain::FieldSink;
use super::machine::{FREE_ENTRIES_MAX, Machine, Sink};
use super::rows::{RowMemory, RowSink};
use super::slots::Slots;
use super::templates::Templates;
use super::wire::Wire;
use crate::batch::{BATCH_ROWS, Head, MessageBatch};
use crate::field::Explained;
use crate::kind::flags;
use crate::names::Names;

/// When all previous values become undefined. A template that carries
/// `reset` does it too, whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetPolicy {
    /// Never but by [`FastDecoder::reset`] and by templates that say so.
    Never,
    /// Before each message.
    #[default]
    Message,
    /// Before each datagram.
    Datagram,
    /// Where a template says so: as `Never`, and rows before the first such
    /// template are marked as perhaps wrong.
    Template,
}

impl ResetPolicy {
    /// The policy of a config's word.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "never" => Self::Never,
            "message" => Self::Message,
            "datagram" => Self::Datagram,
            "template" => Self::Template,
            _ => return None,
        })
    }
}

/// Decodes one stream of messages, in order.
#[derive(Debug)]
pub struct FastDecoder {
    state: State,
    rows: RowMemory,
}

/// What lives on from message to message.
#[derive(Debug)]
struct State {
    templates: Arc<Templates>,
    policy: ResetPolicy,
    implicit_reset: Option<u32>,
    slots: Slots,
    scratch: Vec<u8>,
    maybe_bad: bool,
    /// Whether values in doubt are errors, not taken for what they may be.
    strict: bool,
}

impl FastDecoder {
    /// A decoder with no previous values.
    pub fn new(templates: Arc<Templates>, policy: ResetPolicy) -> Self {
        Self {
            rows: RowMemory::new(templates.programs.len()),
            state: State {
                slots: Slots::new(templates.slots),
                templates,
                policy,
                implicit_reset: None,
                scratch: Vec::new(),
                maybe_bad: policy == ResetPolicy::Template,
                strict: false,
            },
        }
    }

    /// A template id that means "reset" though the file may not have it
    /// (Eurex: 120).
    pub fn with_implicit_reset(mut self, id: Option<u32>) -> Self {
        self.state.implicit_reset = id;
        self
    }

    /// Where messages were missed, a value that hangs on one of them is an
    /// error ([`Code::Unknown`]), not taken for what it would be without them.
    pub fn strict(mut self) -> Self {
        self.state.strict = true;
        if self.state.maybe_bad {
            self.state.slots.forget();
        }
        self
    }

    /// A new datagram begins.
    pub fn start_datagram(&mut self) {
        if self.state.policy == ResetPolicy::Datagram {
            self.reset();
        }
    }

    /// All previous values become undefined, as at the start of a stream.
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// Datagrams are missing here: where values live on across them, rows are
    /// marked as perhaps wrong until the next reset.
    pub fn mark_gap(&mut self) {
        self.state.mark_gap();
    }

    /// Decodes the message at the start of `bytes`, pushes its rows and gives
    /// its length, which also replaces `head.raw_len`. A sequence number
    /// inside the message replaces `head.seq`.
    ///
    /// One decoder belongs to one [`Names`].
    ///
    /// # Errors
    /// [`FastError::Full`]: nothing was read or pushed, repeat with room.
    /// [`FastError::Message`]: no row was pushed, the rest of the datagram
    /// cannot be read, all previous values are undefined.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        head: &Head,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<usize, FastError> {
        if batch.room() < self.state.rows_max(bytes.len()) {
            return Err(FastError::Full);
        }
        let mut sink = RowSink::new(&mut self.rows, head, batch, names);
        let result = self.state.run(bytes, &mut sink, |sink, len, flags| sink.finish(len, flags));
        if result.is_err() {
            sink.abandon();
        }
        result
    }

    /// Shows the message at the start of `bytes` to a sink.
    ///
    /// # Errors
    /// As `decode`, never [`FastError::Full`].
    pub(super) fn visit(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<usize, FastError> {
        self.state.run(bytes, sink, |_, _, _| Ok(()))
    }

    /// The previous values.
    pub(super) fn previous(&self) -> &Slots {
        &self.state.slots
    }

    /// The same, to be put back.
    pub(super) fn previous_mut(&mut self) -> &mut Slots {
        &mut self.state.slots
    }

    /// Every field of the message at the start of `bytes`, and its length. It
    /// changes the previous values as [`decode`](Self::decode) does.
    ///
    /// # Errors
    /// As `decode`, never [`FastError::Full`].
    pub fn explain(&mut self, bytes: &[u8]) -> Result<(Explained, usize), FastError> {
        let mut sink = FieldSink::default();
        let len = self.state.run(bytes, &mut sink, |_, _, _| Ok(()))?;
        Ok((sink.finish(), len))
    }
}

impl State {
    fn reset(&mut self) {
        self.slots.reset();
        self.maybe_bad = false;
    }

    fn mark_gap(&mut self) {
        let lives_on = matches!(self.policy, ResetPolicy::Never | ResetPolicy::Template);
        self.maybe_bad |= lives_on;
        if self.strict && lives_on {
            self.slots.forget();
        }
    }

    /// Most rows a message of `len` bytes can have.
    fn rows_max(&self, len: usize) -> usize {
        (len / self.templates.min_entry_bytes).clamp(1, BATCH_ROWS)
    }

    /// Runs one message into a sink; `finish` gets its length and the flags
    /// that the state asks for. After an error nothing of the state is left.
    fn run<S: Sink>(
        &mut self,
        bytes: &[u8],
        sink: &mut S,
        finish: impl FnOnce(&mut S, usize, u32) -> Result<(), Code>,
    ) -> Result<usize, FastError> {
        if self.policy == ResetPolicy::Message {
            self.reset();
        }
        let mut machine = Machine {
            templates: &self.templates,
            slots: &mut self.slots,
            wire: Wire::new(bytes),
            scratch: &mut self.scratch,
            sink,
            implicit_reset: self.implicit_reset,
            was_reset: false,
            free_entries: FREE_ENTRIES_MAX,
            depth: 0,
            template: None,
            op: None,
        };
        let done = machine.template().and_then(|()| {
            let bad = self.maybe_bad && !machine.was_reset;
            let flags = if bad { flags::MAYBE_BAD_STATE } else { 0 };
            finish(machine.sink, machine.wire.pos(), flags)
        });
        let result = done.map(|()| machine.wire.pos()).map_err(|code| machine.error(code));
        self.maybe_bad &= !machine.was_reset;
        if result.is_err() {
            self.slots.reset();
            self.mark_gap();
        }
        result
    }
}
