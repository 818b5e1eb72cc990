//! Batches of `messages` become observations.
//!
//! ```text
//! dictionary columns: every text of the batch's dictionary interned once
//! plain columns:      read row by row, nulls become "absent"
//! ```

use crate::observation::{Amount, Observation};
use crate::points::PointIx;
use crate::text::{TextId, Texts};
use arrow::array::types::{
    Decimal128Type, Int32Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType};
use arrow::error::ArrowError;
use hashbrown::{HashMap, HashSet};
use taptrail_decoders::kind::{Kind, Sender, SeqUnit, Side};

/// The columns that observations are made of.
pub const COLUMNS: &[&str] = &[
    "line",
    "ts",
    "capture_id",
    "packet_ix",
    "msg_ix",
    "entry",
    "flow_id",
    "protocol",
    "session",
    "channel",
    "seq",
    "seq_unit",
    "flags",
    "kind",
    "msg_type",
    "side",
    "price",
    "qty",
    "qty_delta",
    "qty_leaves",
    "qty_cum",
    "symbol",
    "order_id",
    "order_id_txt",
    "cl_ord_id",
    "orig_cl_ord_id",
    "exec_id",
    "orig_order_id",
    "match_id",
    "trigger_seq",
    "account",
    "reason_code",
    "raw_len",
    "sender",
];

/// What a capture's `flows` say where its messages do not.
#[derive(Clone, Debug, Default)]
pub struct FlowNames {
    /// Name of the conversation, by flow number.
    pub sessions: HashMap<u32, TextId>,
    /// Name of the line, by flow number.
    pub lines: HashMap<u32, TextId>,
    /// Flows of datagrams: feeds, not sessions with two ends.
    pub datagrams: HashSet<u32>,
}

/// A dictionary column: a value for each key.
pub(crate) struct Words<T> {
    keys: PrimitiveArray<Int32Type>,
    values: Vec<T>,
}

impl<T: Clone + Default> Words<T> {
    pub(crate) fn new(
        batch: &RecordBatch,
        name: &str,
        mut read: impl FnMut(&str) -> T,
    ) -> Result<Self, ArrowError> {
        let array = column(batch, name)?;
        let dictionary =
            array.as_any_dictionary_opt().ok_or_else(|| wrong(name, array.data_type()))?;
        let keys = arrow::compute::cast(dictionary.keys(), &DataType::Int32)?;
        let texts = arrow::compute::cast(dictionary.values(), &DataType::Utf8)?;
        let texts: &StringArray = texts.as_string();
        let values = texts.iter().map(|text| text.map_or(T::default(), &mut read)).collect();
        Ok(Self { keys: keys.as_primitive().clone(), values })
    }

    pub(crate) fn get(&self, row: usize) -> T {
        let key = self.keys.is_valid(row).then(|| self.keys.value(row));
        let place = key.and_then(|key| usize::try_from(key).ok());
        place.and_then(|place| self.values.get(place).cloned()).unwrap_or_default()
    }
}

fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::ArrayRef, ArrowError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("messages has no column {name}")))
}

fn wrong(name: &str, found: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("column {name} of messages is {found}"))
}

fn numbers<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let array = column(batch, name)?;
    array.as_primitive_opt::<T>().cloned().ok_or_else(|| wrong(name, array.data_type()))
}

fn texts_of(batch: &RecordBatch, name: &str) -> Result<StringArray, ArrowError> {
    let array = column(batch, name)?;
    array.as_string_opt::<i32>().cloned().ok_or_else(|| wrong(name, array.data_type()))
}

fn number<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

/// The columns of one batch, ready to be read row by row.
pub struct MessageColumns {
    rows: usize,
    line: Words<TextId>,
    ts: PrimitiveArray<TimestampNanosecondType>,
    capture_id: PrimitiveArray<UInt64Type>,
    packet_ix: PrimitiveArray<UInt32Type>,
    msg_ix: PrimitiveArray<UInt16Type>,
    entry: PrimitiveArray<UInt16Type>,
    flow_id: PrimitiveArray<UInt32Type>,
    protocol: Words<TextId>,
    ouch: Words<bool>,
    session: Words<TextId>,
    channel: PrimitiveArray<UInt32Type>,
    seq: PrimitiveArray<UInt64Type>,
    seq_unit: Words<Option<SeqUnit>>,
    flags: PrimitiveArray<UInt32Type>,
    kind: Words<Option<Kind>>,
    msg_type: Words<TextId>,
    side: Words<Option<Side>>,
    decimals: [PrimitiveArray<Decimal128Type>; 5],
    symbol: Words<TextId>,
    ids: [PrimitiveArray<UInt64Type>; 4],
    texts: [StringArray; 4],
    account: Words<TextId>,
    asked: Words<Option<bool>>,
    raw_len: PrimitiveArray<UInt32Type>,
    sender: Words<Option<Sender>>,
}

impl MessageColumns {
    /// The columns of a batch that has at least [`COLUMNS`].
    ///
    /// # Errors
    /// Where one is missing or of another type.
    pub fn new(batch: &RecordBatch, texts: &mut Texts) -> Result<Self, ArrowError> {
        let mut names = |name: &str| Words::new(batch, name, |text| texts.intern(text));
        Ok(Self {
            rows: batch.num_rows(),
            line: names("line")?,
            protocol: names("protocol")?,
            session: names("session")?,
            msg_type: names("msg_type")?,
            symbol: names("symbol")?,
            account: names("account")?,
            ts: numbers(batch, "ts")?,
            capture_id: numbers(batch, "capture_id")?,
            packet_ix: numbers(batch, "packet_ix")?,
            msg_ix: numbers(batch, "msg_ix")?,
            entry: numbers(batch, "entry")?,
            flow_id: numbers(batch, "flow_id")?,
            ouch: Words::new(batch, "protocol", |text| text.starts_with("nasdaq.ouch."))?,
            channel: numbers(batch, "channel")?,
            seq: numbers(batch, "seq")?,
            seq_unit: Words::new(batch, "seq_unit", SeqUnit::from_text)?,
            flags: numbers(batch, "flags")?,
            kind: Words::new(batch, "kind", Kind::from_text)?,
            side: Words::new(batch, "side", Side::from_text)?,
            decimals: [
                numbers(batch, "price")?,
                numbers(batch, "qty")?,
                numbers(batch, "qty_delta")?,
                numbers(batch, "qty_leaves")?,
                numbers(batch, "qty_cum")?,
            ],
            ids: [
                numbers(batch, "order_id")?,
                numbers(batch, "orig_order_id")?,
                numbers(batch, "match_id")?,
                numbers(batch, "trigger_seq")?,
            ],
            texts: [
                texts_of(batch, "order_id_txt")?,
                texts_of(batch, "cl_ord_id")?,
                texts_of(batch, "orig_cl_ord_id")?,
                texts_of(batch, "exec_id")?,
            ],
            // OUCH 5.0, reason codes of Order Canceled: U is "user requested".
            asked: Words::new(batch, "reason_code", |text| Some(text == "U"))?,
            raw_len: numbers(batch, "raw_len")?,
            sender: Words::new(batch, "sender", Sender::from_text)?,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Times of the rows as stamped, ns since the epoch.
    pub fn ts(&self) -> &[i64] {
        self.ts.values()
    }

    /// The observation in a row below [`len`](Self::len), at a point and a time
    /// on the reference clock.
    pub fn observation(
        &self,
        row: usize,
        (point, at): (PointIx, i64),
        flows: Option<&FlowNames>,
        texts: &mut Texts,
    ) -> Observation {
        let kind = self.kind.get(row).unwrap_or(Kind::Unknown);
        let flow = self.flow_id.value(row);
        let named = |id: TextId, names: fn(&FlowNames) -> &HashMap<u32, TextId>| {
            let name = || names(flows?).get(&flow).copied();
            id.some().or_else(name).unwrap_or_default()
        };
        let is_datagram = || flows.is_some_and(|flows| flows.datagrams.contains(&flow));
        let [price, qty, qty_delta, qty_leaves, qty_cum] =
            self.decimals.each_ref().map(|array| Amount::from(number(array, row)));
        let [order_id, orig_order_id, match_id, trigger_seq] =
            self.ids.each_ref().map(|array| number(array, row));
        let [order_id_txt, cl_ord_id, orig_cl_ord_id, exec_id] =
            self.texts.each_ref().map(|array| {
                if array.is_valid(row) { texts.intern_id(array.value(row)) } else { TextId::NONE }
            });
        let answers_cancel = kind == Kind::RptCanceled && self.ouch.get(row);
        Observation {
            line: named(self.line.get(row), |flows| &flows.lines),
            capture_id: self.capture_id.value(row),
            packet_ix: self.packet_ix.value(row),
            msg_ix: self.msg_ix.value(row),
            entry: self.entry.value(row),
            protocol: self.protocol.get(row),
            session: named(self.session.get(row), |flows| &flows.sessions),
            channel: number(&self.channel, row),
            seq: number(&self.seq, row),
            seq_unit: self.seq_unit.get(row),
            msg_type: self.msg_type.get(row),
            symbol: self.symbol.get(row),
            side: self.side.get(row),
            price,
            qty,
            qty_delta,
            qty_leaves,
            qty_cum,
            // Rejects of orders that never got a number say 0.
            order_id: order_id.filter(|id| *id != 0),
            orig_order_id,
            match_id,
            trigger_seq,
            order_id_txt,
            cl_ord_id,
            orig_cl_ord_id,
            exec_id,
            account: self.account.get(row),
            asked: self.asked.get(row).filter(|_| answers_cancel),
            raw_len: self.raw_len.value(row),
            flags: self.flags.value(row),
            sender: self.sender.get(row).filter(|_| !is_datagram()),
            at,
            ..Observation::empty(point, self.ts.value(row), kind)
        }
    }
}
