//! What the pipeline gives to whoever turns messages into rows or into text.

use crate::batch::Head;
use crate::field::{Explained, Field};
use crate::flow::Recognised;
use crate::kind::Kind;
use crate::learning::ScopeStart;
use crate::names::Names;
use crate::tcp::origin::Bytes;

/// Who reads a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine<'h> {
    /// The protocol of fixed layout or SBE with this number in the library.
    Fixed { protocol: u16, scope: u32 },
    /// FIX, with the library's user tags at this index.
    Fix { tags: u16 },
    /// FAST messages up to the end of the bytes, of the feed at this index;
    /// `first` where a datagram begins here, `gap` where one is missing.
    Fast { feed: u16, first: bool, gap: bool },
    /// Nobody: the row says only that it was there.
    Opaque,
    /// The framing itself.
    Own(OwnMessage<'h>),
}

/// A framing's own message.
#[derive(Clone, Copy)]
pub(crate) struct OwnMessage<'h> {
    pub msg_type: &'h str,
    pub name: &'h str,
    pub kind: Kind,
    pub explain: &'h dyn Fn(&[u8]) -> Explained,
}

impl std::fmt::Debug for OwnMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnMessage").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

/// A message cut out of a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<'p, 's, 'h> {
    pub head: &'h Head,
    pub bytes: Bytes<'p, 's>,
    pub place: Place,
    pub engine: Engine<'h>,
    pub recognised: Option<Recognised>,
}

/// Where bytes stand: an offset in the frame of a packet, or, below 0, so many
/// bytes of the stream before that packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub packet_ix: u32,
    pub ts: i64,
    /// Stream or payload offset of the first byte, from the payload's start.
    pub at: i64,
    /// Where the payload begins in the frame.
    pub payload_off: u32,
    /// Not in the frame: in what the packet's body was unpacked to, from whose
    /// first byte `at` counts.
    pub unpacked: bool,
}

impl Place {
    /// The offset of the byte `ahead` bytes further.
    pub fn offset(&self, ahead: u32) -> i64 {
        let at = self.at + i64::from(ahead);
        if at < 0 { at } else { at + i64::from(self.payload_off) }
    }

    /// The place `ahead` bytes further.
    pub fn skip(self, ahead: usize) -> Self {
        Self { at: self.at + ahead as i64, ..self }
    }
}

/// How many messages a cut turned out to be, and how many were unreadable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub messages: u16,
    pub errors: u16,
}

impl Outcome {
    pub const ONE: Self = Self { messages: 1, errors: 0 };
}

/// Takes messages. `'p` is how long bytes that lie in packets live.
pub(crate) trait Sink<'p> {
    /// What messages teach in a scope begins, before its first message.
    fn scope(&mut self, _names: &mut Names, _start: &ScopeStart<'_>) {}

    /// A message, or a datagram's worth of FAST messages.
    fn message(&mut self, names: &mut Names, cut: Cut<'p, '_, '_>) -> Outcome;

    /// A framing's header before messages.
    #[inline]
    fn header(&mut self, _header: Header<'_>) {}

    /// Bytes that nothing explains.
    #[inline]
    fn undecoded(&mut self, _place: Place, _bytes: &[u8], _reason: &'static str) {}
}

/// A framing's header before messages.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    pub place: Place,
    pub protocol: &'a str,
    pub recognised: Option<Recognised>,
    pub bytes: &'a [u8],
    pub fields: &'a dyn Fn(&[u8]) -> Vec<Field>,
}

/// Takes messages in and makes nothing of them.
pub(crate) struct Nothing;

impl<'p> Sink<'p> for Nothing {
    fn message(&mut self, _: &mut Names, _: Cut<'p, '_, '_>) -> Outcome {
        Outcome::ONE
    }
}
