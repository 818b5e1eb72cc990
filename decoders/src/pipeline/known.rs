//! What a flow, or a connection, is taken for, and how further packets change
//! that.
//!
//! ```text
//! first packet ─► candidates ─┬─ one left ─► certain
//!                             └─ several ──► guess ─► narrowed, or taken back
//! ```

use super::Arrived;
use crate::flow::Recognised;
use crate::library::Library;
use crate::protocol_set::ProtocolSet;
use crate::recognise::{self, Carrier, Verdict};

/// Packets with messages that are looked at again after a flow is certain.
pub const LOOKS_CERTAIN: u32 = 64;

/// Packets with messages in which a guess may still become certain.
pub const LOOKS_GUESS: u32 = 4096;

/// What cuts a flow's messages and which protocol they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub carrier: Carrier,
    pub fixed: Option<u16>,
    pub candidates: ProtocolSet,
    pub recognised: Recognised,
    looked: u32,
}

impl Known {
    pub fn configured(carrier: Carrier, fixed: Option<u16>) -> Self {
        let candidates = ProtocolSet::EMPTY;
        Self { carrier, fixed, candidates, recognised: Recognised::Configured, looked: 0 }
    }

    /// Messages that all `candidates` know; `rivals` where something else knows
    /// them too.
    pub fn of(carrier: Carrier, candidates: ProtocolSet, rivals: bool) -> Self {
        let certain = candidates.is_single() && !rivals;
        let recognised = if certain { Recognised::Certain } else { Recognised::Guess };
        let fixed = candidates.first();
        Self { carrier, fixed, candidates, recognised, looked: 0 }
    }

    /// A header without messages.
    pub fn header(carrier: Carrier, library: &Library) -> Self {
        let candidates = carrier.protocols(library);
        Self { carrier, fixed: None, candidates, recognised: Recognised::Guess, looked: 0 }
    }

    /// The protocol of the framing's own messages.
    pub fn session(&self, library: &Library) -> Option<u16> {
        match self.carrier {
            Carrier::Mold => None,
            Carrier::Declared(at) => library.session_of(at),
        }
    }

    /// What the first bytes of a stream are: messages that all of `known` know,
    /// or only messages of the framing's own.
    pub fn of_stream(
        framing: u16,
        known: Option<ProtocolSet>,
        rivals: bool,
        library: &Library,
    ) -> Self {
        let carrier = Carrier::Declared(framing);
        match known {
            Some(known) => Self::of(carrier, known, rivals).preferring(library.from_client()),
            None => Self::header(carrier, library),
        }
    }

    /// The protocols that its messages may be of.
    pub fn expected(&self, library: &Library) -> ProtocolSet {
        match self.fixed {
            Some(at) if self.recognised != Recognised::Guess => ProtocolSet::one(at),
            _ => self.carrier.protocols(library),
        }
    }

    /// Whether a stream may be something else than it was taken for: a guess
    /// without a message so far, or one that nobody knows.
    pub fn is_doubtful(&self, unit: &[u8], library: &Library) -> bool {
        let Carrier::Declared(at) = self.carrier else { return false };
        let Some(framing) = library.framings.get(usize::from(at)) else { return false };
        let open = self.recognised == Recognised::Guess && self.looked < LOOKS_GUESS;
        let all = self.carrier.protocols(library);
        open && (self.fixed.is_none()
            || recognise::declared(framing, unit, unit.len(), all, library) == Verdict::No)
    }

    /// What a stream is after one more unit of it: fewer candidates, or others
    /// where it contradicts them all.
    pub fn look_at_unit(self, unit: &[u8], library: &Library) -> Self {
        let Carrier::Declared(at) = self.carrier else { return self };
        let Some(framing) = library.framings.get(usize::from(at)) else { return self };
        let enough = match self.recognised {
            Recognised::Configured => return self,
            Recognised::Certain => LOOKS_CERTAIN,
            Recognised::Guess => LOOKS_GUESS,
        };
        if self.looked >= enough {
            return self;
        }
        let verdict = |of: ProtocolSet| recognise::declared(framing, unit, unit.len(), of, library);
        match self.asked_first(library, verdict) {
            Verdict::Protocols(known) => self.narrowed(known).preferring(library.from_client()),
            _ => Self { looked: self.looked.saturating_add(1), ..self },
        }
    }

    /// What those say that it may be by now; all that the carrier has, where none
    /// of these knows it. One odd value makes no other protocol of a flow.
    fn asked_first(&self, library: &Library, verdict: impl Fn(ProtocolSet) -> Verdict) -> Verdict {
        match verdict(self.candidates) {
            known @ Verdict::Protocols(_) => known,
            _ => verdict(self.carrier.protocols(library)),
        }
    }

    /// A guess of those `likely`, where any candidate is: streams carry orders
    /// far more often than feeds.
    pub fn preferring(self, likely: ProtocolSet) -> Self {
        let of = self.candidates & likely;
        match self.fixed {
            Some(at) if !of.is_empty() && !of.contains(at) => Self { fixed: of.first(), ..self },
            _ => self,
        }
    }

    /// What a packet of an unknown flow is.
    pub fn find(arrived: &Arrived<'_, '_>, library: &Library) -> Option<Self> {
        let wire_len = arrived.segment.wire_len as usize;
        match recognise::datagram(arrived.payload, wire_len, library)? {
            (carrier, Verdict::Protocols(known), rivals) => Some(Self::of(carrier, known, rivals)),
            (carrier, ..) => Some(Self::header(carrier, library)),
        }
    }

    /// What carries a protocol that the configuration names, told by the first
    /// packet where several framings could.
    pub fn waited(fixed: u16, arrived: &Arrived<'_, '_>, library: &Library) -> Self {
        let wire_len = arrived.segment.wire_len as usize;
        let carriers = || recognise::carriers_of(fixed, library);
        let fits = |carrier: &Carrier| {
            carrier.verdict(arrived.payload, wire_len, ProtocolSet::one(fixed), library)
                != Verdict::No
        };
        let carrier = carriers().find(fits).or_else(|| carriers().next());
        Self::configured(carrier.unwrap_or(Carrier::Mold), Some(fixed))
    }

    /// Whether a flow's packets are decoded without looking again what they
    /// are.
    #[inline]
    pub fn is_settled(&self, arrived: &Arrived<'_, '_>, library: &Library) -> bool {
        let looks = match self.recognised {
            Recognised::Configured => return true,
            Recognised::Certain => LOOKS_CERTAIN,
            Recognised::Guess => LOOKS_GUESS,
        };
        self.looked >= looks
            && match self.carrier {
                Carrier::Mold => true,
                Carrier::Declared(at) => {
                    let wire_len = arrived.segment.wire_len as usize;
                    let framing = library.framings.get(usize::from(at));
                    framing.is_some_and(|framing| framing.is_header(arrived.payload, wire_len))
                }
            }
    }

    /// What the flow is after one more packet: fewer candidates, others where
    /// the packet contradicts them all, nothing where it is explained by none.
    pub fn look(self, arrived: &Arrived<'_, '_>, library: &Library) -> Option<Self> {
        let wire_len = arrived.segment.wire_len as usize;
        let verdict =
            |of: ProtocolSet| self.carrier.verdict(arrived.payload, wire_len, of, library);
        match self.asked_first(library, verdict) {
            Verdict::Protocols(known) => Some(self.narrowed(known)),
            Verdict::Framing => Some(self),
            Verdict::No => match Self::find(arrived, library) {
                Some(other) if other.fixed.is_some() => Some(other),
                _ if self.recognised == Recognised::Certain => Some(self),
                other => other,
            },
        }
    }

    /// With a further packet whose messages the protocols `known` know.
    pub fn narrowed(self, known: ProtocolSet) -> Self {
        let both = self.candidates & known;
        let next = Self::of(self.carrier, if both.is_empty() { known } else { both }, false);
        let stays = self.fixed.is_some_and(|at| next.candidates.contains(at));
        Self {
            fixed: if stays { self.fixed } else { next.fixed },
            looked: self.looked.saturating_add(1),
            ..next
        }
    }
}
