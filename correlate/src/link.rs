//! A link: evidence that joins two observations.
//!
//! ```text
//! from: message at P1 ──same, session_seq, 1200 ns [1180, 1220]──> to: message at P2
//! ```

use crate::clock::{Clocks, Latency};
use crate::dictionary::names;
use crate::event::Sighting;
use crate::observation::{Observation, stable_hash};
use crate::packed::{self, Lasting};
use crate::points::Points;
use crate::text::{TextId, Texts};
use arrow::array::{
    ArrayRef, Float32Array, Int64Array, RecordBatch, TimestampNanosecondArray, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;
use taptrail_store::tables::column::schema;
use taptrail_store::tables::links::COLUMNS;

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule's name.
    #[serde(with = "packed::lasting")]
    pub rule: Lasting,
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// A link as it goes into the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The link.
    pub link: Link,
    /// The trade it belongs to, where to one.
    pub lineage_id: Option<u64>,
}

/// A link's id: a hash of kind, rule and ends.
fn id(link: &Link, text_hash: &mut impl FnMut(&'static str) -> u64) -> u64 {
    let place =
        |end: &Sighting| u64::from(end.identity.packet_ix) << 16 | u64::from(end.identity.msg_ix);
    stable_hash(&[
        text_hash(link.kind.text()),
        text_hash(link.evidence.rule),
        link.from.identity.capture_id,
        place(&link.from),
        link.to.identity.capture_id,
        place(&link.to),
    ])
}

/// Remembers the hashes of the few texts that ids are made of.
fn text_hashes() -> impl FnMut(&'static str) -> u64 {
    let mut known: Vec<(&'static str, u64)> = Vec::new();
    move |text| {
        let found = known.iter().find(|(other, _)| std::ptr::eq(*other, text));
        found.map(|(_, hash)| *hash).unwrap_or_else(|| {
            let hash = text.bytes().fold(0, |h, b| stable_hash(&[h, u64::from(b)]));
            known.push((text, hash));
            hash
        })
    }
}

/// The rows of `links`, in the order of its columns. Made column by column: a
/// run makes most of its rows here.
///
/// # Errors
/// Where the columns are not those of the table.
pub fn batch(found: &[Found], texts: &Texts, points: &Points) -> Result<RecordBatch, ArrowError> {
    let mut hash = text_hashes();
    let links = || found.iter().map(|found| &found.link);
    let words = |word: fn(&Link) -> &'static str| -> ArrayRef {
        names(links().map(word), |word: &'static str| Some(Cow::Borrowed(word)))
    };
    let bound = |side: fn((i64, i64)) -> i64| -> ArrayRef {
        Arc::new(links().map(|l| l.latency.bounds.map(side)).collect::<Int64Array>())
    };
    let end = |from: bool| {
        let ends = move || links().map(move |link| if from { &link.from } else { &link.to });
        let named = |point| Some(Cow::Owned(points.name(point).to_string()));
        let ts = TimestampNanosecondArray::from_iter_values(ends().map(|end| end.ts));
        let columns: [ArrayRef; 5] = [
            names(ends().map(|end| end.point), named),
            Arc::new(ts.with_timezone("UTC")),
            Arc::new(UInt64Array::from_iter_values(ends().map(|end| end.identity.capture_id))),
            Arc::new(UInt32Array::from_iter_values(ends().map(|end| end.identity.packet_ix))),
            Arc::new(UInt16Array::from_iter_values(ends().map(|end| end.identity.msg_ix))),
        ];
        columns
    };
    let text_of = |id| Some(Cow::Borrowed(texts.text(id)));
    let line_of = |id: TextId| id.some().map(|id| Cow::Borrowed(texts.text(id)));
    let skipped = links().map(|link| link.evidence.skipped);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(links().map(|link| id(link, &mut hash)))),
        Arc::new(UInt32Array::from_value(0, found.len())),
        Arc::new(found.iter().map(|found| found.lineage_id).collect::<UInt64Array>()),
        words(|link| link.kind.text()),
        words(|link| link.evidence.rule),
        Arc::new(Float32Array::from_iter_values(links().map(|link| link.evidence.confidence))),
        Arc::new(UInt32Array::from_iter_values(links().map(|link| link.evidence.candidates))),
        Arc::new(UInt16Array::from_iter_values(skipped)),
        words(|link| link.message_kind.text()),
        names(links().map(|link| link.protocol), text_of),
        names(links().map(|link| link.line), line_of),
    ];
    columns.extend(end(true));
    columns.extend(end(false));
    columns.push(Arc::new(Int64Array::from_iter_values(links().map(|link| link.latency.ns))));
    columns.extend([bound(|(lo, _)| lo), bound(|(_, hi)| hi)]);
    RecordBatch::try_new(schema(COLUMNS), columns)
}
