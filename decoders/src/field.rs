//! One decoded field, for people: the answer of `taptrail decode` and of the
//! SQL function `fields`.

use crate::batch::DECIMAL_SCALE;

/// A field's value, exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Absent, or the protocol's sentinel for "no value".
    Null,
    /// An integer.
    Int(i128),
    /// `mantissa` x 10^-`scale`.
    Decimal {
        /// Digits.
        mantissa: i128,
        /// Places after the point; negative for zeros before it.
        scale: i32,
    },
    /// Text, padding removed.
    Text(String),
    /// Bytes with no other meaning.
    Bytes(Vec<u8>),
    /// True or false.
    Bool(bool),
    /// A point in time, nanoseconds since the epoch, UTC.
    Time(i64),
}

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's own name, as the protocol's file, dictionary or template has it.
    pub name: String,
    /// The names from the message down to this field, groups with the entry's
    /// index from 0: `NoMDEntries[1].MDEntryPx`. Equals `name` outside groups.
    pub path: String,
    /// First byte, counted from the message's first byte.
    pub offset: u32,
    /// Bytes on the wire; 0 where the value is not on the wire (operators).
    pub size: u32,
    /// What the bytes mean.
    pub value: Value,
}

/// A whole message taken apart, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Native type code.
    pub msg_type: String,
    /// The type's name, empty where the protocol's file does not know it.
    pub name: String,
    /// Fields in wire order. Those with bytes tile the whole message: what
    /// nothing explains is named `unknown`, what the venue reserves `reserved`.
    pub fields: Vec<Field>,
    /// What was wrong, and where.
    pub error: Option<String>,
}

/// Stands for a password and the like; its bytes are not shown either.
pub const SECRET: &str = "***";

/// A value, still where the message has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum<'a> {
    /// An integer.
    Int(i128),
    /// `mantissa` x 10^-`scale`.
    Decimal(i128, i32),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// Text, one character a byte where it is not ASCII.
    Text(&'a [u8]),
    /// Text of any characters.
    Utf8(&'a str),
    /// Bytes with no other meaning.
    Bytes(&'a [u8]),
}

impl Datum<'_> {
    /// The value times 10^9; `None` where it is no number or nine places do
    /// not hold it.
    pub fn billionths(self) -> Option<i128> {
        let (mantissa, scale) = match self {
            Self::Int(int) => (int, 0),
            Self::Decimal(mantissa, scale) => (mantissa, scale),
            _ => return None,
        };
        let places = DECIMAL_SCALE.checked_sub(scale)?;
        let factor = 10i128.checked_pow(places.unsigned_abs())?;
        if places >= 0 {
            return mantissa.checked_mul(factor);
        }
        (mantissa % factor == 0).then(|| mantissa / factor)
    }
}
