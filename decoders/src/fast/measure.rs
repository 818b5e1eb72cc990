//! How long a message is that says nothing of its length.
//!
//! ```text
//! c0 82 b9 … 83 │ c0 81 …       the templates alone tell where the first one ends
//! └── measure ──┘               of its beginning: nothing yet, and nothing is changed
//! ```
//!
//! Where a message ends can hang on values of those before it (the length of a
//! sequence that is copied, a template id left out), so a stream is measured
//! by a decoder of its own, which meets the messages that the rows' decoder
//! meets.

use std::ops::Range;
use std::sync::Arc;

use super::decode::{FastDecoder, ResetPolicy};
use super::error::{Code, FastError};
use super::machine::{Found, Sink, Val};
use super::slots::Slots;
use super::templates::{Op, Templates};

/// Longest message that is waited for.
pub const MESSAGE_MAX: usize = 64 << 10;

/// Measures the messages of one stream, in order.
#[derive(Debug)]
pub struct Measurer {
    decoder: FastDecoder,
    /// The previous values before the message.
    before: Slots,
}

/// What stands at the beginning of some bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// A message of so many bytes, one at least.
    Whole(usize),
    /// The beginning of a message; more bytes are needed.
    NeedMore,
    /// No message of these templates, or a longer one than [`MESSAGE_MAX`].
    /// All previous values are undefined.
    Unreadable,
}

impl Measurer {
    /// One without previous values.
    pub fn new(
        templates: Arc<Templates>,
        policy: ResetPolicy,
        implicit_template: Option<u32>,
    ) -> Self {
        let decoder = FastDecoder::new(templates, policy).with_implicit_reset(implicit_template);
        let before = decoder.previous().clone();
        Self { decoder, before }
    }

    /// Says what stands at the beginning of `bytes`.
    pub fn measure(&mut self, bytes: &[u8]) -> Measured {
        let seen = bytes.get(..MESSAGE_MAX).unwrap_or(bytes);
        if seen.is_empty() {
            return Measured::NeedMore;
        }
        self.before.clone_from(self.decoder.previous());
        self.decoder.start_datagram();
        match self.decoder.visit(seen, &mut Blind) {
            Ok(0) => Measured::Unreadable,
            Ok(len) => Measured::Whole(len),
            Err(error) if is_cut(&error) && bytes.len() < MESSAGE_MAX => {
                self.decoder.previous_mut().clone_from(&self.before);
                Measured::NeedMore
            }
            Err(_) => Measured::Unreadable,
        }
    }
}

/// Whether more bytes may make a message of it.
fn is_cut(error: &FastError) -> bool {
    matches!(error.code(), Some(Code::End | Code::Entries))
}

/// Sees nothing.
struct Blind;

impl Sink for Blind {
    fn pmap(&mut self, _: &[u8], _: usize) {}
    fn template(&mut self, _: Found<'_>, _: usize, _: usize) {}
    fn template_end(&mut self) {}
    fn field(&mut self, _: &Templates, _: &Op, _: Val<'_>, _: Range<usize>) {}
    fn group(&mut self, _: &str) {}
    fn group_end(&mut self) {}
    fn entry(&mut self, _: &str, _: bool, _: u32) -> Result<(), Code> {
        Ok(())
    }
    fn entry_end(&mut self, _: bool) {}
}
