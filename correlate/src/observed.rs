//! A trade's observations as rows of `lineage`, made column by column.
//!
//! ```text
//! ord 2  P4  req.new      via same     from 1, 1200 ns
//! ```

use crate::clock::Latency;
use crate::dictionary::names;
use crate::event::Sighting;
use crate::link::{Evidence, LinkKind};
use crate::observation::{Amount, Observation};
use crate::points::Points;
use crate::text::{TextId, Texts};
use arrow::array::{
    ArrayRef, Decimal128Array, Float32Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::error::ArrowError;
use std::borrow::Cow;
use std::sync::Arc;
use taptrail_decoders::kind::Side;
use taptrail_store::tables::column::{DECIMAL_PRECISION, DECIMAL_SCALE, schema};
use taptrail_store::tables::lineage::COLUMNS;

/// The link by which an observation is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Via {
    /// What it says.
    pub kind: LinkKind,
    /// Place of the observation it comes from.
    pub ord: u32,
    /// What it rests on.
    pub evidence: Evidence,
    /// Time between the two.
    pub latency: Latency,
}

/// An observation of a trade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// The trade.
    pub lineage_id: u64,
    /// Place in the trade, from 0, by corrected time.
    pub ord: u32,
    /// Corrected time since the trade's first observation, in ns.
    pub since_first_ns: i64,
    /// Where and when.
    pub sighting: Sighting,
    /// What the message says.
    pub obs: Observation,
    /// How it was reached; `None` for the first.
    pub via: Option<Via>,
}

/// The rows of `lineage`, in the order of its columns.
///
/// # Errors
/// Where the columns are not those of the table.
pub fn batch(rows: &[Observed], texts: &Texts, points: &Points) -> Result<RecordBatch, ArrowError> {
    let columns = [place(rows, texts, points), message(rows, texts)?, way(rows)].concat();
    RecordBatch::try_new(schema(COLUMNS), columns)
}

/// Which observation it is.
fn place(rows: &[Observed], texts: &Texts, points: &Points) -> Vec<ArrayRef> {
    let seen = || rows.iter().map(|row| &row.sighting);
    let point = |point| Some(Cow::Owned(points.name(point).to_string()));
    let ts = TimestampNanosecondArray::from_iter_values(seen().map(|s| s.ts));
    let since_first_ns = rows.iter().map(|row| row.since_first_ns);
    vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.lineage_id))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.ord))),
        Arc::new(ts.with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(since_first_ns)),
        names(seen().map(|s| s.point), point),
        names(seen().map(|s| s.line), |id| some_text(id, texts)),
        Arc::new(UInt64Array::from_iter_values(seen().map(|s| s.identity.capture_id))),
        Arc::new(UInt32Array::from_iter_values(seen().map(|s| s.identity.packet_ix))),
        Arc::new(UInt16Array::from_iter_values(seen().map(|s| s.identity.msg_ix))),
    ]
}

/// What its message says.
fn message(rows: &[Observed], texts: &Texts) -> Result<Vec<ArrayRef>, ArrowError> {
    let said = || rows.iter().map(|row| &row.obs);
    let text = |id| Some(Cow::Borrowed(texts.text(id)));
    let amounts = |amount: fn(&Observation) -> Amount| -> Result<ArrayRef, ArrowError> {
        let amounts: Decimal128Array = said().map(|obs| amount(obs).get()).collect();
        let amounts = amounts.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE)?;
        amounts.validate_decimal_precision(DECIMAL_PRECISION)?;
        Ok(Arc::new(amounts))
    };
    let ids = |id: fn(&Observation) -> TextId| -> ArrayRef {
        let texts = said().map(|obs| id(obs).some().map(|id| texts.text(id)));
        Arc::new(texts.collect::<StringArray>())
    };
    Ok(vec![
        names(said().map(|obs| obs.protocol), text),
        names(said().map(|obs| obs.kind), |kind| Some(Cow::Borrowed(kind.text()))),
        names(said().map(|obs| obs.msg_type), text),
        Arc::new(said().map(|obs| obs.seq).collect::<UInt64Array>()),
        names(said().map(|obs| obs.symbol), |id| some_text(id, texts)),
        names(said().map(|obs| obs.side), |side| side.map(Side::text).map(Cow::Borrowed)),
        amounts(|obs| obs.price)?,
        amounts(|obs| obs.qty)?,
        Arc::new(said().map(|obs| obs.order_id).collect::<UInt64Array>()),
        ids(|obs| obs.cl_ord_id),
        ids(|obs| obs.exec_id),
    ])
}

/// How it was reached.
fn way(rows: &[Observed]) -> Vec<ArrayRef> {
    let vias = || rows.iter().map(|row| row.via);
    let word = |word: fn(Via) -> &'static str| {
        names(vias().map(move |via| via.map(word)), |word| word.map(Cow::Borrowed))
    };
    let ns = |ns: fn(Latency) -> Option<i64>| -> ArrayRef {
        Arc::new(vias().map(|via| ns(via?.latency)).collect::<Int64Array>())
    };
    let confidences = vias().map(|via| Some(via?.evidence.confidence));
    let candidates = vias().map(|via| Some(via?.evidence.candidates));
    vec![
        word(|via| via.kind.text()),
        Arc::new(vias().map(|via| Some(via?.ord)).collect::<UInt32Array>()),
        word(|via| via.evidence.rule),
        Arc::new(confidences.collect::<Float32Array>()),
        Arc::new(candidates.collect::<UInt32Array>()),
        ns(|latency| Some(latency.ns)),
        ns(|latency| latency.bounds.map(|(lo, _)| lo)),
        ns(|latency| latency.bounds.map(|(_, hi)| hi)),
    ]
}

fn some_text(id: TextId, texts: &Texts) -> Option<Cow<'_, str>> {
    id.some().map(|id| Cow::Borrowed(texts.text(id)))
}
