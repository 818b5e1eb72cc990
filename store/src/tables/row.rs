//! Plain structs as rows, and the way to Arrow and back.
//!
//! ```text
//! rows! { LinkRow { link_id: u64 as U64, lineage_id: Option<u64> as Null<U64>, .. } }
//!   │ struct LinkRow          what `correlate` fills and `web` reads
//!   │ COLUMNS                 names, types, docs, once
//!   ▼ Row::to_batch / from_batch
//! ```

use crate::tables::column::{Column, ColumnType, DECIMAL_PRECISION, DECIMAL_SCALE, schema};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, DictionaryArray, PrimitiveArray,
    RecordBatch, StringBuilder, StringDictionaryBuilder,
};
use arrow::datatypes::ArrowPrimitiveType;
use arrow::datatypes::{
    Decimal128Type, Float32Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// Text of a row. Shared, since most of it repeats.
pub type Text = Arc<str>;

/// A row of a table.
pub trait Row: Sized {
    /// Name of the table.
    const TABLE: &'static str;
    /// Its columns, in order.
    const COLUMNS: &'static [Column];

    /// The rows as columns.
    ///
    /// # Errors
    /// Where a decimal has more digits than its column.
    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ArrowError>;

    /// The columns, found by name, as rows; other columns are left out.
    ///
    /// # Errors
    /// Where a column is missing, of another type, or null where it may not be.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ArrowError>;
}

/// How one type of column is built and read.
pub trait Cell {
    /// A value of a row.
    type Value: 'static;
    /// The column's type.
    const KIND: ColumnType;
    /// Whether a row may have none.
    const NULLABLE: bool = false;

    /// The values as an array.
    ///
    /// # Errors
    /// Where a value does not fit the type.
    fn array<'a>(
        values: impl Iterator<Item = Option<&'a Self::Value>>,
    ) -> Result<ArrayRef, ArrowError>;

    /// A value of an array of exactly this type; `None` where it is null and
    /// may not be.
    fn read(array: &dyn Array, row: usize) -> Option<Self::Value>;
}

/// A column of `C` that a row may lack.
pub struct Null<C>(C);

impl<C: Cell> Cell for Null<C> {
    type Value = Option<C::Value>;
    const KIND: ColumnType = C::KIND;
    const NULLABLE: bool = true;

    fn array<'a>(
        values: impl Iterator<Item = Option<&'a Self::Value>>,
    ) -> Result<ArrayRef, ArrowError> {
        C::array(values.map(|value| value.and_then(Option::as_ref)))
    }

    fn read(array: &dyn Array, row: usize) -> Option<Self::Value> {
        Some(C::read(array, row))
    }
}

/// A cell held in an Arrow primitive array.
macro_rules! primitive_cell {
    ($(#[$doc:meta])* $cell:ident, $kind:ident, $arrow:ty, $finish:expr) => {
        $(#[$doc])*
        pub struct $cell;

        impl Cell for $cell {
            type Value = <$arrow as ArrowPrimitiveType>::Native;
            const KIND: ColumnType = ColumnType::$kind;

            fn array<'a>(
                values: impl Iterator<Item = Option<&'a Self::Value>>,
            ) -> Result<ArrayRef, ArrowError> {
                let array: PrimitiveArray<$arrow> = values.map(|value| value.copied()).collect();
                let finish: fn(PrimitiveArray<$arrow>) -> Result<ArrayRef, ArrowError> = $finish;
                finish(array)
            }

            fn read(array: &dyn Array, row: usize) -> Option<Self::Value> {
                array.is_valid(row).then(|| array.as_primitive::<$arrow>().value(row))
            }
        }
    };
}

primitive_cell! {
    /// Nanoseconds since the epoch, UTC.
    Time, Time, TimestampNanosecondType, |a| Ok(Arc::new(a.with_timezone("UTC")))
}
primitive_cell! {
    /// Signed 64 bits.
    I64, I64, Int64Type, |a| Ok(Arc::new(a))
}
primitive_cell! {
    /// Unsigned 64 bits.
    U64, U64, UInt64Type, |a| Ok(Arc::new(a))
}
primitive_cell! {
    /// Unsigned 32 bits.
    U32, U32, UInt32Type, |a| Ok(Arc::new(a))
}
primitive_cell! {
    /// Unsigned 16 bits.
    U16, U16, UInt16Type, |a| Ok(Arc::new(a))
}
primitive_cell! {
    /// Single precision.
    F32, F32, Float32Type, |a| Ok(Arc::new(a))
}
primitive_cell! {
    /// Exact decimal; the value is the number times 10^9.
    Decimal, Decimal, Decimal128Type, |a| {
        let a = a.with_precision_and_scale(DECIMAL_PRECISION, DECIMAL_SCALE)?;
        a.validate_decimal_precision(DECIMAL_PRECISION)?;
        Ok(Arc::new(a))
    }
}

/// True or false.
pub struct Bool;

impl Cell for Bool {
    type Value = bool;
    const KIND: ColumnType = ColumnType::Bool;

    fn array<'a>(values: impl Iterator<Item = Option<&'a bool>>) -> Result<ArrayRef, ArrowError> {
        let array: BooleanArray = values.map(|value| value.copied()).collect();
        Ok(Arc::new(array))
    }

    fn read(array: &dyn Array, row: usize) -> Option<bool> {
        array.is_valid(row).then(|| array.as_boolean().value(row))
    }
}

/// Text that repeats.
pub struct Name;

impl Cell for Name {
    type Value = Text;
    const KIND: ColumnType = ColumnType::Name;

    fn array<'a>(values: impl Iterator<Item = Option<&'a Text>>) -> Result<ArrayRef, ArrowError> {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        for value in values {
            match value {
                Some(text) => drop(builder.append(text)?),
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn read(array: &dyn Array, row: usize) -> Option<Text> {
        let dictionary: &DictionaryArray<Int32Type> = array.as_dictionary();
        let key = dictionary.key(row)?;
        Some(dictionary.values().as_string::<i32>().value(key).into())
    }
}

/// Text that rarely repeats.
pub struct Plain;

impl Cell for Plain {
    type Value = Text;
    const KIND: ColumnType = ColumnType::Text;

    fn array<'a>(values: impl Iterator<Item = Option<&'a Text>>) -> Result<ArrayRef, ArrowError> {
        let mut builder = StringBuilder::new();
        values.for_each(|value| builder.append_option(value));
        Ok(Arc::new(builder.finish()))
    }

    fn read(array: &dyn Array, row: usize) -> Option<Text> {
        array.is_valid(row).then(|| array.as_string::<i32>().value(row).into())
    }
}

/// Bytes.
pub struct Bytes;

impl Cell for Bytes {
    type Value = Vec<u8>;
    const KIND: ColumnType = ColumnType::Bytes;

    fn array<'a>(
        values: impl Iterator<Item = Option<&'a Vec<u8>>>,
    ) -> Result<ArrayRef, ArrowError> {
        let mut builder = BinaryBuilder::new();
        values.for_each(|value| builder.append_option(value));
        Ok(Arc::new(builder.finish()))
    }

    fn read(array: &dyn Array, row: usize) -> Option<Vec<u8>> {
        array.is_valid(row).then(|| array.as_binary::<i32>().value(row).to_vec())
    }
}

/// Makes a batch of arrays that are in the order of `columns`.
pub(crate) fn batch(columns: &[Column], arrays: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema(columns), arrays)
}

/// The named column of a batch, cast to the column's own type where a query
/// engine gave another one that holds the same values.
pub(crate) fn column(batch: &RecordBatch, column: &Column) -> Result<ArrayRef, ArrowError> {
    let found = batch
        .column_by_name(column.name)
        .ok_or_else(|| ArrowError::SchemaError(format!("column {} is missing", column.name)))?;
    arrow::compute::cast(found, &column.kind.arrow())
}

/// What [`Row::from_batch`] says of a null where none may be.
pub(crate) fn unexpected_null(column: &Column, row: usize) -> ArrowError {
    ArrowError::SchemaError(format!("column {} is null in row {row}", column.name))
}

/// Declares a row struct, its columns and how it becomes a batch and back.
macro_rules! rows {
    (
        $(#[$doc:meta])* $row:ident in $table:literal {
            $($(#[doc = $cdoc:literal])+ $field:ident: $value:ty as $cell:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $row { $($(#[doc = $cdoc])+ pub $field: $value,)* }

        /// The table's columns, in order.
        pub const COLUMNS: &[$crate::tables::column::Column] = &[
            $($crate::tables::column::Column {
                name: stringify!($field),
                kind: <$cell as $crate::tables::row::Cell>::KIND,
                nullable: <$cell as $crate::tables::row::Cell>::NULLABLE,
                raw_doc: concat!($($cdoc),+),
            },)*
        ];

        impl $crate::tables::row::Row for $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [$crate::tables::column::Column] = COLUMNS;

            fn to_batch(
                rows: &[Self],
            ) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
                let arrays = vec![$(
                    <$cell as $crate::tables::row::Cell>::array(
                        rows.iter().map(|row| Some(&row.$field)),
                    )?,
                )*];
                $crate::tables::row::batch(COLUMNS, arrays)
            }

            fn from_batch(
                batch: &arrow::array::RecordBatch,
            ) -> Result<Vec<Self>, arrow::error::ArrowError> {
                let mut columns = COLUMNS.iter();
                $(
                    let description = columns.next().unwrap_or(&COLUMNS[0]);
                    let $field = (
                        $crate::tables::row::column(batch, description)?,
                        description,
                    );
                )*
                (0..batch.num_rows())
                    .map(|row| Ok($row { $(
                        $field: <$cell as $crate::tables::row::Cell>::read(&$field.0, row)
                            .ok_or_else(|| {
                                $crate::tables::row::unexpected_null($field.1, row)
                            })?,
                    )* }))
                    .collect()
            }
        }
    };
}

pub(crate) use rows;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::losses::LossRow;
    use arrow::datatypes::DataType;

    fn loss(evidence: &str, first_seq: Option<u64>) -> LossRow {
        LossRow {
            point: "P2".into(),
            protocol: "moldudp64".into(),
            session: None,
            line: Some("A".into()),
            cause: "network".into(),
            confidence: Some(0.9),
            first_seq,
            last_seq: first_seq,
            count: Some(1),
            ts_lo: Some(1_700_000_000_000_000_001),
            ts_hi: None,
            evidence: evidence.into(),
        }
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let rows = vec![loss("seen at P1", Some(u64::MAX)), loss("", None)];
        let batch = LossRow::to_batch(&rows).unwrap();
        assert_eq!(batch.schema(), schema(LossRow::COLUMNS));
        assert_eq!(LossRow::from_batch(&batch).unwrap(), rows);
    }

    #[test]
    fn columns_are_found_by_name_and_cast() {
        let rows = vec![loss("seen at P1", Some(1))];
        let batch = LossRow::to_batch(&rows).unwrap();
        let mut arrays = batch.columns().to_vec();
        arrays[0] = arrow::compute::cast(&arrays[0], &DataType::Utf8View).unwrap();
        let named = LossRow::COLUMNS.iter().zip(arrays).rev();
        let named = named.map(|(column, array)| (column.name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named);
        assert_eq!(LossRow::from_batch(&batch.unwrap()).unwrap(), rows);
    }

    #[test]
    fn a_missing_column_is_named() {
        let batch = LossRow::to_batch(&[loss("", None)]).unwrap().project(&[0]).unwrap();
        let error = LossRow::from_batch(&batch).unwrap_err().to_string();
        assert!(error.contains("protocol"), "{error}");
    }
}
