//! Where the first unit begins in a stream joined somewhere, or behind a hole.
//!
//! ```text
//! … of a message │ unit │ unit │ unit │ …        three in a row that are known,
//! … of a message │ unit │ unit ┤                 or fewer to the very end
//! ```
//!
//! A unit is known where the framing's checks hold and the framing or a
//! protocol that it carries knows its messages by code and exact size. Small
//! messages of the framing's own, heartbeats of three bytes, prove nothing
//! alone. What nobody knows is taken where a segment is units from its first
//! byte to its last.

use crate::framing::declared::Framing;
use crate::framing::stream::Step;
use crate::library::Library;
use crate::protocol_set::ProtocolSet;
use crate::recognise::{self, Verdict};

/// Units in a row that make a place in a stream a unit's beginning.
pub const SYNC_UNITS: usize = 3;

/// Units in a row that are looked at in search of one that proves something.
const LOOKED_AT_MAX: usize = 64;

/// A message of the framing's own of so many bytes proves something.
const PROOF_BYTES: usize = 8;

/// Where units begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// At this offset.
    At(usize),
    /// Perhaps at this offset or later; nothing before it.
    Perhaps(usize),
}

/// Whether units begin at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    Yes,
    No,
    More,
}

/// What is searched for.
#[derive(Clone, Copy)]
pub(super) struct Search<'l> {
    framing: &'l Framing,
    library: &'l Library,
    /// Protocols that may know the messages.
    candidates: ProtocolSet,
}

impl<'l> Search<'l> {
    pub fn of(framing: &'l Framing, library: &'l Library, candidates: ProtocolSet) -> Self {
        Self { framing, library, candidates }
    }

    /// Whether bytes may begin with a unit.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        match self.framing.step(bytes) {
            Step::Invalid => false,
            Step::NeedMore(None) => true,
            Step::NeedMore(Some(total)) => self.may_begin(bytes, total),
            Step::Unit(len) => self.proof(bytes.get(..len).unwrap_or_default()).is_some(),
        }
    }

    /// Searches for the first unit. `border`: the bytes begin as a segment
    /// does, where a message mostly begins too; `last`: nothing follows them.
    pub fn first_unit(&self, bytes: &[u8], border: bool, last: bool) -> Sync {
        let mut perhaps = bytes.len();
        for at in 0..bytes.len() {
            match self.chain(bytes.get(at..).unwrap_or_default(), border && at == 0, last) {
                Chain::Yes => return Sync::At(at),
                Chain::More => perhaps = perhaps.min(at),
                Chain::No => {}
            }
        }
        if border && self.tiles(bytes, last) {
            return Sync::At(0);
        }
        Sync::Perhaps(if last { bytes.len() } else { perhaps })
    }

    /// Whether known units follow each other from the beginning of `bytes`.
    fn chain(&self, bytes: &[u8], border: bool, last: bool) -> Chain {
        let (mut at, mut proven) = (0, false);
        for units in 0..LOOKED_AT_MAX {
            if units >= SYNC_UNITS && proven {
                return Chain::Yes;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return if proven || border { Chain::Yes } else { Chain::More };
            }
            match self.framing.step(rest) {
                Step::Invalid => return Chain::No,
                Step::Unit(len) => match self.proof(rest.get(..len).unwrap_or_default()) {
                    Some(proof) => (at, proven) = (at + len, proven || proof),
                    None => return Chain::No,
                },
                Step::NeedMore(total) => {
                    let may = total.is_none_or(|total| self.may_begin(rest, total));
                    return match may {
                        true if last && proven => Chain::Yes,
                        true => Chain::More,
                        false => Chain::No,
                    };
                }
            }
        }
        Chain::No
    }

    /// Whether a unit is known, and then whether that proves that it is one.
    fn proof(&self, unit: &[u8]) -> Option<bool> {
        let Self { framing, library, candidates } = *self;
        match recognise::declared(framing, unit, unit.len(), candidates, library) {
            Verdict::Protocols(_) => Some(true),
            Verdict::Framing => Some(unit.len() >= PROOF_BYTES),
            // Nobody knows the messages: only a framing with marks is known.
            Verdict::No => {
                (candidates.is_empty() && !framing.message_checks.is_empty()).then_some(true)
            }
        }
    }

    /// Whether a segment is units to its last byte, known or not; where nothing
    /// follows, the last one may be cut.
    fn tiles(&self, bytes: &[u8], last: bool) -> bool {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.framing.step(rest) {
                Step::Unit(len) => {
                    let unit = rest.get(..len).unwrap_or_default();
                    if recognise::is_foreign(self.framing, unit) {
                        return false;
                    }
                    at += len;
                }
                Step::NeedMore(Some(total)) if last => return self.may_begin(rest, total),
                _ => return false,
            }
        }
        at > 0
    }

    fn may_begin(&self, start: &[u8], total: usize) -> bool {
        recognise::may_begin(self.framing, start, total, self.candidates, self.library)
    }
}
