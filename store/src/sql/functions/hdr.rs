//! `hdr_quantile(latency_ns, q)`: a quantile of latencies, exact for few and
//! within 0.1 % for many, in memory that does not grow with their number.
//!
//! ```text
//! up to 1024 values    kept as they are: the quantile is one of them
//! more                 two HDR histograms with 3 significant digits
//!                      below zero, by magnitude | zero and above
//! ```
//!
//! Partial results merge whatever way the rows were split: the answer depends
//! on the values alone. The quantile is the smallest value that at least the
//! share `q` of the values does not exceed.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, Signature, Volatility,
};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use std::sync::Arc;

/// So many values are kept as they are.
pub const EXACT_MAX: usize = 1024;

/// Significant decimal digits of the histograms.
const DIGITS: u8 = 3;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct HdrQuantile {
    signature: Signature,
}

impl HdrQuantile {
    /// The function.
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        let arguments = vec![DataType::Int64, DataType::Float64];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for HdrQuantile {
    fn name(&self) -> &str {
        "hdr_quantile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(QuantileAccumulator { q: quantile(&args)?, sketch: Sketch::default() }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "sketch");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }
}

/// The second argument, which must be a number from 0 to 1.
fn quantile(args: &AccumulatorArgs) -> Result<f64> {
    let wrong = || {
        DataFusionError::Plan(
            "hdr_quantile(latency_ns, q): q must be a number from 0 to 1, written out".to_owned(),
        )
    };
    let argument = args.exprs.get(1).ok_or_else(wrong)?;
    let no_rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match argument.evaluate(&no_rows) {
        Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(q)))) if (0.0..=1.0).contains(&q) => {
            Ok(q)
        }
        _ => Err(wrong()),
    }
}

#[derive(Debug)]
struct QuantileAccumulator {
    q: f64,
    sketch: Sketch,
}

impl Accumulator for QuantileAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for value in values.as_primitive::<Int64Type>().iter().flatten() {
            self.sketch.add(value)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.sketch.quantile(self.q)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sketch.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.to_bytes()?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for bytes in states.as_binary::<i32>().iter().flatten() {
            self.sketch.merge(Sketch::from_bytes(bytes)?)?;
        }
        Ok(())
    }
}

/// Values, or what is kept of many.
#[derive(Debug)]
enum Sketch {
    Exact(Vec<i64>),
    Many { below_zero: Histogram<u64>, from_zero: Histogram<u64> },
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

fn failed(what: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(format!("hdr_quantile: {what}"))
}

impl Sketch {
    fn many() -> Result<Self> {
        let histogram = || Histogram::new(DIGITS).map_err(failed);
        Ok(Self::Many { below_zero: histogram()?, from_zero: histogram()? })
    }

    fn add(&mut self, value: i64) -> Result<()> {
        match self {
            Self::Exact(values) if values.len() < EXACT_MAX => {
                values.push(value);
                Ok(())
            }
            Self::Exact(_) => {
                self.spread()?;
                self.add(value)
            }
            Self::Many { below_zero, from_zero } => {
                let side = if value < 0 { below_zero } else { from_zero };
                side.record(value.unsigned_abs()).map_err(failed)
            }
        }
    }

    /// Goes over to histograms.
    fn spread(&mut self) -> Result<()> {
        if let Self::Exact(values) = self {
            let values = std::mem::take(values);
            *self = Self::many()?;
            values.into_iter().try_for_each(|value| self.add(value))?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        match other {
            Self::Exact(values) => values.into_iter().try_for_each(|value| self.add(value)),
            Self::Many { below_zero, from_zero } => {
                self.spread()?;
                if let Self::Many { below_zero: below, from_zero: from } = self {
                    below.add(below_zero).map_err(failed)?;
                    from.add(from_zero).map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    fn quantile(&mut self, q: f64) -> Option<i64> {
        match self {
            Self::Exact(values) => {
                values.sort_unstable();
                let rank = rank(q, values.len() as u64)?;
                values.get(rank as usize - 1).copied()
            }
            Self::Many { below_zero, from_zero } => {
                let below = below_zero.len();
                let rank = rank(q, below + from_zero.len())?;
                Some(if rank <= below {
                    let magnitude = value_at_rank(below_zero, below - rank + 1);
                    0i64.saturating_sub_unsigned(magnitude)
                } else {
                    i64::try_from(value_at_rank(from_zero, rank - below)).unwrap_or(i64::MAX)
                })
            }
        }
    }

    fn size(&self) -> usize {
        let counters = |histogram: &Histogram<u64>| histogram.distinct_values() * 8;
        match self {
            Self::Exact(values) => values.capacity() * size_of::<i64>(),
            Self::Many { below_zero, from_zero } => counters(below_zero) + counters(from_zero),
        }
    }

    /// `0`, then values of 8 bytes; or `1`, the first histogram's length in 8
    /// bytes, and both histograms in HDR's V2 encoding. Little endian.
    fn to_bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Exact(values) => {
                let values = values.iter().flat_map(|value| value.to_le_bytes());
                Ok(std::iter::once(0).chain(values).collect())
            }
            Self::Many { below_zero, from_zero } => {
                let (mut below, mut from) = (Vec::new(), Vec::new());
                let mut serializer = V2Serializer::new();
                serializer.serialize(below_zero, &mut below).map_err(failed)?;
                serializer.serialize(from_zero, &mut from).map_err(failed)?;
                let len = (below.len() as u64).to_le_bytes();
                Ok([&[1], len.as_slice(), &below, &from].concat())
            }
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || failed("a partial result is damaged");
        match bytes.split_first().ok_or_else(damaged)? {
            (0, values) => {
                let (values, rest) = values.as_chunks::<8>();
                if !rest.is_empty() || values.len() > EXACT_MAX {
                    return Err(damaged());
                }
                Ok(Self::Exact(values.iter().map(|value| i64::from_le_bytes(*value)).collect()))
            }
            (1, rest) => {
                let (len, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
                let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| damaged())?;
                let (mut below, mut from) = rest.split_at_checked(len).ok_or_else(damaged)?;
                let mut deserializer = Deserializer::new();
                let below_zero = deserializer.deserialize(&mut below).map_err(failed)?;
                let from_zero = deserializer.deserialize(&mut from).map_err(failed)?;
                Ok(Self::Many { below_zero, from_zero })
            }
            _ => Err(damaged()),
        }
    }
}

/// Which of `n` values, from 1 and by size, is the quantile.
fn rank(q: f64, n: u64) -> Option<u64> {
    (n > 0).then(|| ((q * n as f64).ceil() as u64).clamp(1, n))
}

/// The value of a rank from 1. Half a rank less keeps the histogram's own
/// rounding up from skipping one.
fn value_at_rank(histogram: &Histogram<u64>, rank: u64) -> u64 {
    histogram.value_at_quantile((rank as f64 - 0.5) / histogram.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|&value| sketch.add(value).unwrap());
        sketch
    }

    fn truth(values: &[i64], q: f64) -> i64 {
        let mut values = values.to_vec();
        values.sort_unstable();
        values[rank(q, values.len() as u64).unwrap() as usize - 1]
    }

    #[test]
    fn few_values_are_exact() {
        let mut few = sketch(&[-5, 1_000_000_007, 3]);
        assert_eq!(few.quantile(0.0), Some(-5));
        assert_eq!(few.quantile(0.5), Some(3));
        assert_eq!(few.quantile(1.0), Some(1_000_000_007));
        assert_eq!(sketch(&[]).quantile(0.5), None);
    }

    #[test]
    fn extremes_are_taken() {
        let mut values = vec![i64::MIN, i64::MAX];
        values.extend(0..2000);
        let mut many = sketch(&values);
        assert_eq!(many.quantile(0.0), Some(i64::MIN));
        assert_eq!(many.quantile(1.0), Some(i64::MAX));
    }

    #[test]
    fn damaged_partial_results_are_errors() {
        for bytes in [&[][..], &[2], &[0, 1], &[1], &[1, 9, 0, 0, 0, 0, 0, 0, 0, 1]] {
            assert!(Sketch::from_bytes(bytes).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn near_the_truth_however_the_rows_are_split(
            values in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 1..3000),
            cut in 0usize..3000,
            q in 0.0f64..=1.0,
        ) {
            let whole = sketch(&values).quantile(q).unwrap();
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = Sketch::from_bytes(&sketch(left).to_bytes().unwrap()).unwrap();
            let right = Sketch::from_bytes(&sketch(right).to_bytes().unwrap()).unwrap();
            merged.merge(right).unwrap();
            prop_assert_eq!(merged.quantile(q), Some(whole));
            let truth = truth(&values, q);
            let allowed = if values.len() <= EXACT_MAX { 0 } else { truth.abs() / 1000 + 1 };
            prop_assert!((whole - truth).abs() <= allowed, "{} is not {}", whole, truth);
        }
    }
}
