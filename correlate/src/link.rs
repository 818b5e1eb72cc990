//! A link: evidence that joins two observations.
//!
//! ```text
//! from: message at P1 ──same, session_seq, 1200 ns [1180, 1220]──> to: message at P2
//! ```

use crate::clock::{Clocks, Latency};
use crate::event::Sighting;
use crate::observation::{Observation, stable_hash};
use crate::points::Points;
use crate::text::{TextId, Texts};
use std::sync::Arc;
use taptrail_decoders::kind::Kind;
use taptrail_store::tables::links::LinkRow;

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    /// The message at the next point that saw it.
    Same,
    /// Market data to the order it triggered.
    Trigger,
    /// Through something that renames it.
    Relay,
    /// A request to its answer.
    Ack,
    /// A request to an execution.
    Fill,
    /// A request to an end nobody asked for.
    Done,
    /// The version before to the request that changes it.
    Chain,
    /// The venue's private message to the public one.
    Public,
}

impl LinkKind {
    /// The text in tables.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Trigger => "trigger",
            Self::Relay => "relay",
            Self::Ack => "ack",
            Self::Fill => "fill",
            Self::Done => "done",
            Self::Chain => "chain",
            Self::Public => "public",
        }
    }

    /// Whether the end cannot be before the start.
    pub const fn is_causal(self) -> bool {
        !matches!(self, Self::Public)
    }
}

/// What a link rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The rule's name.
    pub rule: &'static str,
    /// How sure it is, 0 to 1.
    pub confidence: f32,
    /// Observations it could have chosen, the chosen one included.
    pub candidates: u32,
    /// Points on the way that should have seen the message and did not.
    pub skipped: u16,
}

impl Evidence {
    /// An identifier says so.
    pub const fn certain(rule: &'static str) -> Self {
        Self { rule, confidence: 1.0, candidates: 1, skipped: 0 }
    }
}

/// A link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// What it says.
    pub kind: LinkKind,
    /// What it rests on.
    pub evidence: Evidence,
    /// Kind of the message at the start.
    pub message_kind: Kind,
    /// Protocol of the message at the start.
    pub protocol: TextId,
    /// Feed line of the start.
    pub line: TextId,
    /// Start.
    pub from: Sighting,
    /// End.
    pub to: Sighting,
    /// Time between them.
    pub latency: Latency,
}

impl Link {
    /// A link from a sighting of `message` to another sighting.
    pub fn new(
        kind: LinkKind,
        evidence: Evidence,
        message: &Observation,
        from: &Sighting,
        to: &Sighting,
        clocks: &Clocks,
    ) -> Self {
        Self {
            kind,
            evidence,
            message_kind: message.kind,
            protocol: message.protocol,
            line: from.line,
            from: *from,
            to: *to,
            latency: clocks.latency(from.stamp(), to.stamp(), kind.is_causal()),
        }
    }

    /// Whether it is sure that the end came after the start, so that the link
    /// says something about their clocks. A drop copy may overtake.
    pub fn orders_its_ends(&self) -> bool {
        let caused = matches!(self.kind, LinkKind::Same | LinkKind::Relay | LinkKind::Trigger);
        let sure = self.evidence.candidates == 1 && self.evidence.confidence >= 1.0;
        let copied = ["drop_copy_exec_id", "match_id"].contains(&self.evidence.rule);
        caused && sure && !copied
    }

    /// The link's id: a hash of kind, rule and ends.
    pub fn id(&self) -> u64 {
        let ends = [self.from.identity, self.to.identity];
        let text = |text: &str| text.bytes().fold(0, |h, b| stable_hash(&[h, u64::from(b)]));
        let mut parts = vec![text(self.kind.text()), text(self.evidence.rule)];
        for end in ends {
            parts.push(end.capture_id);
            parts.push(u64::from(end.packet_ix) << 16 | u64::from(end.msg_ix));
        }
        stable_hash(&parts)
    }

    /// The row of `links`.
    pub fn row(&self, lineage_id: Option<u64>, texts: &Texts, points: &Points) -> LinkRow {
        LinkRow {
            link_id: self.id(),
            revision: 0,
            lineage_id,
            kind: Arc::from(self.kind.text()),
            rule: Arc::from(self.evidence.rule),
            confidence: self.evidence.confidence,
            candidates: self.evidence.candidates,
            skipped: self.evidence.skipped,
            message_kind: Arc::from(self.message_kind.text()),
            protocol: texts.shared(self.protocol).unwrap_or_else(|| Arc::from("")),
            line: texts.shared(self.line),
            from_point: points.name(self.from.point),
            from_ts: self.from.ts,
            from_capture_id: self.from.identity.capture_id,
            from_packet_ix: self.from.identity.packet_ix,
            from_msg_ix: self.from.identity.msg_ix,
            to_point: points.name(self.to.point),
            to_ts: self.to.ts,
            to_capture_id: self.to.identity.capture_id,
            to_packet_ix: self.to.identity.packet_ix,
            to_msg_ix: self.to.identity.msg_ix,
            latency_ns: self.latency.ns,
            lo_ns: self.latency.bounds.map(|(lo, _)| lo),
            hi_ns: self.latency.bounds.map(|(_, hi)| hi),
        }
    }
}
