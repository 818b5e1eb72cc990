//! A part of a store's messages that tells of all of it.
//!
//! ```text
//! feed      ▓▓░░░░░░▓▓░░░░░░░░▓▓░░░░   one of `share` blocks of numbers, the same at
//!           ▓▓░░░░░░▓▓░░░░░░░░▓▓░░░░   every point, so that a message is looked at
//! sessions  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓   everywhere or nowhere
//! ```

use crate::observation::{is_report, is_request, stable_hash};
use arrow::array::types::{Int32Type, UInt32Type, UInt64Type};
use arrow::array::{Array, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use hashbrown::HashSet;
use std::num::NonZeroU64;
use taptrail_decoders::kind::Kind;

/// Numbers of a block are so many bits of a sequence number: what is read
/// together lies together.
const BLOCK_BITS: u32 = 8;

/// The columns that tell whether a row is of the sample.
pub const COLUMNS: &[&str] = &["flow_id", "seq", "trigger_seq", "kind"];

/// How much of the feeds is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    share: NonZeroU64,
}

impl Sample {
    /// Everything.
    pub const WHOLE: Self = Self { share: NonZeroU64::MIN };

    /// One of about `share` messages, rounded down to a power of two: what a
    /// smaller sample looks at, a larger one looks at too.
    pub fn one_of(share: u64) -> Self {
        let power = 1 << share.max(1).ilog2();
        Self { share: NonZeroU64::new(power).unwrap_or(NonZeroU64::MIN) }
    }

    /// Whether it is everything.
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }

    /// Whether a message of a feed is looked at, by the number of the feed
    /// message it was made of, else its own.
    pub fn looks_at(self, seq: Option<u64>, trigger_seq: Option<u64>) -> bool {
        let number = trigger_seq.or(seq);
        number.is_none_or(|number| {
            stable_hash(&[number >> BLOCK_BITS]).is_multiple_of(self.share.get())
        })
    }

    /// Which rows of a batch with [`COLUMNS`] are looked at; `datagrams` are the
    /// flows that may be feeds.
    ///
    /// # Errors
    /// Where a column is missing or of another type.
    pub fn rows(
        self,
        batch: &RecordBatch,
        datagrams: &HashSet<u32>,
    ) -> Result<BooleanArray, ArrowError> {
        let flow = column(batch, "flow_id")?.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        let seq = column(batch, "seq")?.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
        let named = column(batch, "trigger_seq")?.as_primitive_opt::<UInt64Type>();
        let named = named.ok_or_else(wrong)?;
        let kinds = column(batch, "kind")?.as_any_dictionary_opt().ok_or_else(wrong)?;
        let keys = cast(kinds.keys(), &DataType::Int32)?;
        let keys: &PrimitiveArray<Int32Type> = keys.as_primitive();
        let texts = cast(kinds.values(), &DataType::Utf8)?;
        let of_sessions: Vec<bool> = texts.as_string::<i32>().iter().map(is_of_sessions).collect();
        let of = |row: usize| usize::try_from(keys.value(row)).unwrap_or(usize::MAX);
        let is_wanted = |row: usize| {
            !datagrams.contains(&flow.value(row))
                || of_sessions.get(of(row)).copied().unwrap_or(true)
                || self.looks_at(number(seq, row), number(named, row))
        };
        Ok((0..batch.num_rows()).map(|row| Some(is_wanted(row))).collect())
    }
}

fn is_of_sessions(kind: Option<&str>) -> bool {
    kind.and_then(Kind::from_text).is_none_or(|kind| is_request(kind) || is_report(kind))
}

fn number(array: &PrimitiveArray<UInt64Type>, row: usize) -> Option<u64> {
    array.is_valid(row).then(|| array.value(row))
}

fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(wrong)
}

fn wrong() -> ArrowError {
    ArrowError::SchemaError(format!("messages has no {} of their types", COLUMNS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_sample_is_a_part_of_a_larger_one() {
        let (few, many) = (Sample::one_of(16), Sample::one_of(5));
        let looked = |sample: Sample| (0..1 << 20).filter(move |&n| sample.looks_at(Some(n), None));
        assert!(looked(few).all(|number| many.looks_at(Some(number), None)));
        let (few, many) = (looked(few).count(), looked(many).count());
        assert!((many as f64 / few as f64 - 4.0).abs() < 0.5, "{few} {many}");
        assert!(Sample::one_of(1).is_whole() && Sample::one_of(0).is_whole());
    }

    #[test]
    fn what_was_made_of_a_message_is_looked_at_with_it() {
        let sample = Sample::one_of(8);
        for number in 0..1 << 14 {
            let own = sample.looks_at(Some(number), None);
            assert_eq!(own, sample.looks_at(Some(7), Some(number)));
        }
        assert!(sample.looks_at(None, None), "what has no number");
    }
}
