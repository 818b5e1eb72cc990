//! A field of a header that a framing's file declares.
//!
//! ```text
//!   4  sequence_number  u32  -> seq        offset, name, type, what it is for
//! ```

use crate::field::{Field, Value};
use crate::names::latin1;

/// Most digits read of a number in text.
const DIGITS_MAX: usize = 19;

/// What a field's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// An unsigned integer.
    Uint {
        /// Lowest byte first.
        little: bool,
    },
    /// Two's complement.
    Int {
        /// Lowest byte first.
        little: bool,
    },
    /// Text, padded.
    Text,
    /// A number in ASCII digits.
    Digits,
    /// Bytes without a meaning.
    Bytes,
}

/// A field: where it is, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its name.
    pub name: String,
    /// First byte, counted from the header's or the message's first.
    pub at: usize,
    /// Bytes; 0 for digits that go on until something else comes.
    pub size: usize,
    /// Whether `at` counts from the end of such digits.
    pub floats: bool,
    /// What they are.
    pub wire: Wire,
}

impl Leaf {
    /// The byte after it, where digits of no fixed number take none.
    pub fn end(&self) -> usize {
        self.at + self.size
    }

    /// Its bytes; `None` where they are not all there. Where the leaf floats,
    /// `shift` is how many digits stand before it.
    #[inline]
    pub fn bytes<'a>(&self, bytes: &'a [u8], shift: usize) -> Option<&'a [u8]> {
        let at = self.at + if self.floats { shift } else { 0 };
        let rest = bytes.get(at..)?;
        if self.size > 0 {
            return rest.get(..self.size);
        }
        rest.get(..digits(rest)).filter(|digits| !digits.is_empty())
    }

    /// Its value as 64 bits: the number, or the text's bytes one after the
    /// other. What conditions compare.
    #[inline]
    pub fn raw(&self, bytes: &[u8], shift: usize) -> Option<u64> {
        let bytes = self.bytes(bytes, shift)?;
        match self.wire {
            Wire::Uint { little } | Wire::Int { little } => Some(unsigned(bytes, little)),
            Wire::Digits => number(bytes),
            Wire::Text | Wire::Bytes => Some(unsigned(bytes, false)),
        }
    }

    /// The field of a header's `bytes`, for people; fewer bytes where they end
    /// before it does.
    pub fn field(&self, bytes: &[u8]) -> Option<Field> {
        let rest = bytes.get(self.at..)?;
        let size = if self.size > 0 { self.size } else { digits(rest) };
        let found = rest.get(..size.min(rest.len()))?;
        let value =
            if found.len() < size { Value::Bytes(found.to_vec()) } else { self.value(found) };
        let (offset, size) = (self.at as u32, found.len() as u32);
        let field = Field { name: self.name.clone(), path: self.name.clone(), offset, size, value };
        (size > 0).then_some(field)
    }

    fn value(&self, bytes: &[u8]) -> Value {
        match self.wire {
            Wire::Uint { little } => Value::Int(unsigned(bytes, little).into()),
            Wire::Int { little } => {
                let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
                let value = (unsigned(bytes, little) << unused) as i64 >> unused;
                Value::Int(value.into())
            }
            Wire::Digits => number(bytes).map_or(Value::Null, |value| Value::Int(value.into())),
            Wire::Text => Value::Text(latin1(bytes.trim_ascii())),
            Wire::Bytes => Value::Bytes(bytes.to_vec()),
        }
    }
}

/// How many digits stand at the beginning of `bytes`.
pub fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Up to eight bytes as a number.
#[inline]
fn unsigned(bytes: &[u8], little: bool) -> u64 {
    let add = |value: u64, &byte: &u8| (value << 8) | u64::from(byte);
    if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
}

/// The number that digits, perhaps padded, mean.
fn number(bytes: &[u8]) -> Option<u64> {
    let text = bytes.trim_ascii();
    let add = |value: u64, &digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(at: usize, size: usize, wire: Wire) -> Leaf {
        Leaf { name: "x".into(), at, size, floats: false, wire }
    }

    #[test]
    fn numbers_texts_and_digits() {
        assert_eq!(leaf(1, 2, Wire::Uint { little: true }).raw(&[9, 1, 2], 0), Some(0x201));
        assert_eq!(leaf(1, 2, Wire::Uint { little: false }).raw(&[9, 1, 2], 0), Some(0x102));
        assert_eq!(leaf(1, 2, Wire::Uint { little: false }).raw(&[9, 1], 0), None);
        assert_eq!(leaf(0, 2, Wire::Text).raw(b"CT", 0), Some(0x4354));
        assert_eq!(leaf(0, 4, Wire::Digits).raw(b" 042", 0), Some(42));
        let open = leaf(1, 0, Wire::Digits);
        assert_eq!(open.raw(b"\x02000123456F ", 0), Some(123_456));
        let after = Leaf { floats: true, ..leaf(1, 2, Wire::Text) };
        assert_eq!(after.bytes(b"\x02000123456F ", 9), Some(&b"F "[..]));
        let below = leaf(0, 2, Wire::Int { little: false }).field(&[0xFF, 0xFE]).unwrap();
        assert_eq!(below.value, Value::Int(-2));
        assert_eq!(leaf(1, 4, Wire::Bytes).field(&[1, 2, 3]).unwrap().size, 2);
    }
}
