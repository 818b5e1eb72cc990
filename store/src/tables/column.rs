//! A column of a table: its name, Arrow type, unit and source, in one place.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// Digits of a decimal column.
pub const DECIMAL_PRECISION: u8 = 38;

/// Places after the point of a decimal column.
pub const DECIMAL_SCALE: i8 = 9;

/// The types that columns have. Few on purpose: each is read as it is by other
/// Parquet tools. Dictionary keys are signed because some tools refuse others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Nanoseconds since the epoch, UTC.
    Time,
    /// Signed 64 bits.
    I64,
    /// Unsigned 64 bits.
    U64,
    /// Unsigned 32 bits.
    U32,
    /// Unsigned 16 bits.
    U16,
    /// Single precision, never for a time or a price.
    F32,
    /// True or false.
    Bool,
    /// Exact, [`DECIMAL_SCALE`] places.
    Decimal,
    /// Text that repeats: a dictionary.
    Name,
    /// Text that rarely repeats.
    Text,
    /// Bytes.
    Bytes,
}

impl ColumnType {
    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::I64 => DataType::Int64,
            Self::U64 => DataType::UInt64,
            Self::U32 => DataType::UInt32,
            Self::U16 => DataType::UInt16,
            Self::F32 => DataType::Float32,
            Self::Bool => DataType::Boolean,
            Self::Decimal => DataType::Decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
            Self::Name => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }
}

/// A column and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name in the table.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnType,
    /// Whether a row may have none.
    pub nullable: bool,
    /// Meaning, unit, source; see [`Column::doc`].
    pub(crate) raw_doc: &'static str,
}

impl Column {
    /// A column that every row has.
    pub const fn always(name: &'static str, kind: ColumnType, doc: &'static str) -> Self {
        Self { name, kind, nullable: false, raw_doc: doc }
    }

    /// A column that a row may lack.
    pub const fn maybe(name: &'static str, kind: ColumnType, doc: &'static str) -> Self {
        Self { name, kind, nullable: true, raw_doc: doc }
    }

    /// Meaning, unit and source, for people.
    pub fn doc(&self) -> &'static str {
        self.raw_doc.trim()
    }

    /// The Arrow field.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.kind.arrow(), self.nullable)
    }
}

/// The Arrow schema of some columns.
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()))
}
