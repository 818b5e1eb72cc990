//! Arrow as JSON, without losing a digit.
//!
//! ```text
//! bool, integers to 32 bits, floats    JSON values
//! 64-bit integers, decimals            text: "18446744073709551615", "101.25"
//! times                                text: ns since the epoch
//! bytes                                text: lower-case hex
//! ```

use crate::error::ApiError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, SchemaRef, TimeUnit,
    TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Bytes of a binary cell that are shown; a cell that was cut ends with `…`.
const CELL_BYTES_MAX: usize = 4096;

/// A column of an answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Column {
    /// Its name.
    pub name: String,
    /// time, decimal, integer, float, text, bool, bytes or other.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Columns and rows.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// The rows as objects.
    pub fn into_objects(self) -> Vec<Map<String, Value>> {
        let names: Vec<String> = self.columns.into_iter().map(|column| column.name).collect();
        let object = |row: Vec<Value>| names.iter().cloned().zip(row).collect();
        self.rows.into_iter().map(object).collect()
    }
}

/// Batches of one schema as JSON.
pub(crate) fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Table, ApiError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| Column { name: field.name().clone(), kind: kind(field.data_type()) });
    let mut rows = Vec::new();
    for batch in batches {
        rows_of(batch, &mut rows).map_err(|error| ApiError::query(error.to_string()))?;
    }
    Ok(Table { columns: columns.collect(), rows })
}

fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "time",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "decimal",
        other if other.is_integer() => "integer",
        other if other.is_floating() => "float",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Boolean => "bool",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes",
        DataType::FixedSizeBinary(_) => "bytes",
        DataType::Dictionary(_, values) => kind(values),
        _ => "other",
    }
}

fn rows_of(batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<(), ArrowError> {
    let columns = batch.columns().iter().map(widened).collect::<Result<Vec<_>, _>>()?;
    let cells = columns.iter().map(Cells::new).collect::<Result<Vec<_>, _>>()?;
    rows.extend((0..batch.num_rows()).map(|row| cells.iter().map(|c| c.value(row)).collect()));
    Ok(())
}

/// The column in the one type that stands for its kind.
fn widened(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let target = match column.data_type() {
        DataType::Dictionary(_, values) => return widened(&cast(column, values)?),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Float64,
        DataType::UInt8 | DataType::UInt16 => DataType::UInt32,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        _ => return Ok(column.clone()),
    };
    cast(column, &target)
}

/// A column whose cells can be asked for.
struct Cells<'a> {
    array: &'a ArrayRef,
    other: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        let options = FormatOptions::default().with_display_error(true);
        Ok(Self { array, other: ArrayFormatter::try_new(array.as_ref(), &options)? })
    }

    fn value(&self, row: usize) -> Value {
        let array = self.array;
        if array.is_null(row) {
            return Value::Null;
        }
        match array.data_type() {
            DataType::Null => Value::Null,
            DataType::Boolean => array.as_boolean().value(row).into(),
            DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
            DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into()),
            DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string().into(),
            DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string().into(),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().value(row).to_string().into()
            }
            DataType::Decimal128(_, scale) => {
                decimal(array.as_primitive::<Decimal128Type>().value(row), *scale).into()
            }
            DataType::Utf8 => array.as_string::<i32>().value(row).into(),
            DataType::Binary => hex(array.as_binary::<i32>().value(row)).into(),
            _ => self.other.value(row).to_string().into(),
        }
    }
}

/// A number where JSON has one, whole where it is, else text (NaN, infinity).
fn float(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Value::from(value as i64);
    }
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

/// `value` x 10^-`scale` without zeros at the end.
fn decimal(value: i128, scale: i8) -> String {
    let Ok(places) = usize::try_from(scale) else {
        return format!("{value}{}", "0".repeat(scale.unsigned_abs().into()));
    };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let part = part.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}")
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.get(..CELL_BYTES_MAX).unwrap_or(bytes);
    let mut text = String::with_capacity(shown.len() * 2);
    for byte in shown {
        let _ = write!(text, "{byte:02x}");
    }
    if shown.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryArray, Decimal128Array, Float64Array, Int16Array, Int64Array, ListArray,
        StringViewArray, TimestampMicrosecondArray, UInt64Array,
    };
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    fn cell(array: impl Array + 'static) -> Value {
        let batch = RecordBatch::try_from_iter([("x", Arc::new(array) as ArrayRef)]).unwrap();
        table(&batch.schema(), &[batch]).unwrap().rows[0][0].clone()
    }

    #[test]
    fn no_digit_is_lost() {
        assert_eq!(cell(UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
        assert_eq!(cell(Int64Array::from(vec![i64::MIN])), "-9223372036854775808");
        assert_eq!(cell(Int16Array::from(vec![-7])), -7);
        let micros = TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]);
        assert_eq!(cell(micros), "1700000000000001000");
        let price = Decimal128Array::from(vec![101_250_000_000_i128]);
        assert_eq!(cell(price.with_precision_and_scale(38, 9).unwrap()), "101.25");
    }

    #[test]
    fn decimals_are_trimmed() {
        let cases = [(0, 9, "0"), (-1, 9, "-0.000000001"), (1_000_000_000, 9, "1"), (5, -2, "500")];
        for (value, scale, text) in cases {
            assert_eq!(decimal(value, scale), text);
        }
        let least = decimal(i128::MIN, 9);
        assert_eq!(least, "-170141183460469231731687303715.884105728");
    }

    #[test]
    fn other_types_are_text_or_json() {
        assert_eq!(cell(BinaryArray::from_vec(vec![&[0, 255, 16]])), "00ff10");
        assert_eq!(cell(StringViewArray::from(vec!["é"])), "é");
        assert_eq!(cell(Float64Array::from(vec![0.5])), 0.5);
        assert_eq!(cell(Float64Array::from(vec![f64::NAN])), "NaN");
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), Some(2)])]);
        assert_eq!(cell(list), "[1, 2]");
        let long = BinaryArray::from_vec(vec![&[7; CELL_BYTES_MAX + 1]]);
        assert!(cell(long).as_str().unwrap().ends_with("07…"));
    }
}
