//! Types of fields: how many bytes, what they are, what they mean.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char as one, u32 as number};
use nom::combinator::{all_consuming, map, opt, value};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::fixed::source::Scale;

/// Most digits of a number in text.
pub const DIGITS_MAX: u32 = 24;

/// Longest text or byte field.
pub const FIELD_MAX: u32 = 4096;

/// The bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `u8` to `u64`, `i8` to `i64`, every multiple of 8 bits.
    Int {
        /// Bytes, 1 to 8.
        width: u32,
        /// Two's complement.
        signed: bool,
        /// Least significant byte first.
        little: bool,
    },
    /// `c1`, `a8`: text of fixed width.
    Text {
        /// Bytes.
        width: u32,
    },
    /// `n9`: a number in decimal digits, perhaps with a sign, perhaps padded.
    Digits {
        /// Bytes.
        width: u32,
    },
    /// `b16`: bytes without a meaning.
    Bytes {
        /// Bytes.
        width: u32,
    },
}

/// Which padding is not part of a text. Spaces and NULs are padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trim {
    /// At the end.
    Right,
    /// At the start.
    Left,
    /// At both ends.
    Both,
    /// None of it.
    Never,
}

/// A field's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldType {
    /// The bytes.
    pub wire: Wire,
    /// Places after the point of an integer that is a decimal.
    pub scale: Option<i32>,
    /// Where the places are told, if they are not always the same.
    pub scale_from: Option<Scale>,
    /// The field whose `-` makes the number negative.
    pub sign: Option<String>,
    /// Raw values that mean "no value".
    pub null: Vec<u64>,
    /// Padding of a text.
    pub trim: Trim,
    /// Whether it is shown only to those who ask for secrets.
    pub secret: bool,
}

impl Wire {
    /// The wire type with this name; `little` is the file's byte order, for
    /// names that do not end in `be` or `le`.
    pub fn parse(text: &str, little: bool) -> Option<Self> {
        let (_, wire) = all_consuming(|input| wire(input, little)).parse(text).ok()?;
        let sound = match wire {
            Self::Int { width, .. } => (1..=8).contains(&width),
            Self::Digits { width } => (1..=DIGITS_MAX).contains(&width),
            Self::Text { width } | Self::Bytes { width } => (1..=FIELD_MAX).contains(&width),
        };
        sound.then_some(wire)
    }

    /// Bytes on the wire.
    pub fn width(self) -> u32 {
        match self {
            Self::Int { width, .. }
            | Self::Text { width }
            | Self::Digits { width }
            | Self::Bytes { width } => width,
        }
    }
}

fn wire(input: &str, little: bool) -> IResult<&str, Wire> {
    alt((
        |i| integer(i, little),
        map(preceded(one('a'), number), |width| Wire::Text { width }),
        map(preceded(one('b'), number), |width| Wire::Bytes { width }),
        map(preceded(one('n'), number), |width| Wire::Digits { width }),
        value(Wire::Text { width: 1 }, tag("c1")),
    ))
    .parse(input)
}

fn integer(input: &str, file_little: bool) -> IResult<&str, Wire> {
    let sign = alt((value(false, one('u')), value(true, one('i'))));
    let order = opt(alt((value(false, tag("be")), value(true, tag("le")))));
    let (rest, (signed, bits, little)) = (sign, number, order).parse(input)?;
    let width = if bits % 8 == 0 { bits / 8 } else { 0 };
    Ok((rest, Wire::Int { width, signed, little: little.unwrap_or(file_little) }))
}

impl Trim {
    /// The rule with this name in protocol files.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "right" => Some(Self::Right),
            "left" => Some(Self::Left),
            "both" => Some(Self::Both),
            "none" => Some(Self::Never),
            _ => None,
        }
    }

    /// The bytes without their padding.
    #[inline]
    pub fn apply(self, bytes: &[u8]) -> &[u8] {
        match self {
            Self::Right => without_end(bytes),
            Self::Left => without_start(bytes),
            Self::Both => without_start(without_end(bytes)),
            Self::Never => bytes,
        }
    }
}

fn is_padding(byte: u8) -> bool {
    byte == b' ' || byte == 0
}

fn without_start(bytes: &[u8]) -> &[u8] {
    let first = bytes.iter().position(|&b| !is_padding(b)).unwrap_or(bytes.len());
    bytes.get(first..).unwrap_or_default()
}

#[inline]
fn without_end(mut bytes: &[u8]) -> &[u8] {
    // Most padding is of many bytes of one kind.
    while let Some((rest, last)) = bytes.split_last_chunk::<8>()
        && (*last == [b' '; 8] || *last == [0; 8])
    {
        bytes = rest;
    }
    while let Some((last, rest)) = bytes.split_last()
        && is_padding(*last)
    {
        bytes = rest;
    }
    bytes
}

impl FieldType {
    /// A bare wire type.
    pub fn plain(wire: Wire) -> Self {
        Self {
            wire,
            scale: None,
            scale_from: None,
            sign: None,
            null: Vec::new(),
            trim: Trim::Right,
            secret: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_wire_types() {
        let int = |width, signed, little| Some(Wire::Int { width, signed, little });
        assert_eq!(Wire::parse("u48", false), int(6, false, false));
        assert_eq!(Wire::parse("i32le", false), int(4, true, true));
        assert_eq!(Wire::parse("u16be", true), int(2, false, false));
        assert_eq!(Wire::parse("c1", false), Some(Wire::Text { width: 1 }));
        assert_eq!(Wire::parse("a14", false), Some(Wire::Text { width: 14 }));
        for wrong in ["u7", "u72", "u0", "a0", "c2", "u32xe", "", "b99999", "u99999999999"] {
            assert_eq!(Wire::parse(wrong, false), None, "{wrong}");
        }
    }

    #[test]
    fn padding_goes_where_the_rule_says() {
        assert_eq!(Trim::Right.apply(b" A \0 "), b" A");
        assert_eq!(Trim::Left.apply(b"  A "), b"A ");
        assert_eq!(Trim::Both.apply(b"  A "), b"A");
        assert_eq!(Trim::Never.apply(b" A "), b" A ");
        for rule in [Trim::Right, Trim::Left, Trim::Both] {
            assert_eq!(rule.apply(b"   "), b"");
            assert_eq!(rule.apply(b""), b"");
        }
    }
}
