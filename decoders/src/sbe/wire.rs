//! Primitive types, and how their bytes are read.

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prim {
    /// One byte of text.
    Char,
    /// Two's complement, of so many bytes.
    Int(u8),
    /// Unsigned, of so many bytes.
    Uint(u8),
    /// IEEE 754, of so many bytes.
    Float(u8),
}

impl Prim {
    /// The type with this name in a schema.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "char" => Self::Char,
            "int8" => Self::Int(1),
            "int16" => Self::Int(2),
            "int32" => Self::Int(4),
            "int64" => Self::Int(8),
            "uint8" => Self::Uint(1),
            "uint16" => Self::Uint(2),
            "uint32" => Self::Uint(4),
            "uint64" => Self::Uint(8),
            "float" => Self::Float(4),
            "double" => Self::Float(8),
            _ => return None,
        })
    }

    /// Bytes.
    #[inline(always)]
    pub const fn size(self) -> usize {
        match self {
            Self::Char => 1,
            Self::Int(size) | Self::Uint(size) | Self::Float(size) => size as usize,
        }
    }

    /// The bits that mean "no value" where the schema names none.
    pub const fn null(self) -> u64 {
        match self {
            Self::Char => 0,
            Self::Int(size) => 1 << (8 * size as u32 - 1),
            Self::Uint(size) => u64::MAX >> (64 - 8 * size as u32),
            Self::Float(4) => 0x7FC0_0000,
            Self::Float(_) => 0x7FF8_0000_0000_0000,
        }
    }

    /// The bits that a number or a character of a schema has on the wire.
    pub fn bits(self, text: &str) -> Option<u64> {
        let mask = u64::MAX >> (64 - 8 * self.size() as u32);
        match self {
            Self::Char => {
                let text =
                    text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap_or(text);
                match text.as_bytes() {
                    [] => Some(u64::from(b' ')),
                    &[one] => Some(u64::from(one)),
                    // A code in digits, as null values are written.
                    _ => text.parse::<u8>().ok().map(u64::from),
                }
            }
            Self::Float(4) => text.trim().parse::<f32>().ok().map(|f| u64::from(f.to_bits())),
            Self::Float(_) => text.trim().parse::<f64>().ok().map(f64::to_bits),
            Self::Int(_) | Self::Uint(_) => {
                let number: i128 = text.trim().parse().ok()?;
                let fits = (-(1 << 63)..1 << 64).contains(&number);
                fits.then_some(number as u64 & mask)
            }
        }
    }

    /// What bits mean as a number.
    #[inline(always)]
    pub fn number(self, bits: u64) -> i128 {
        match self {
            Self::Int(size) => {
                let unused = 64 - 8 * u32::from(size);
                i128::from((bits << unused) as i64 >> unused)
            }
            _ => i128::from(bits),
        }
    }
}

/// The `size` bytes at `at` as bits; `None` where they are not all there.
#[inline(always)]
pub fn bits(bytes: &[u8], at: usize, size: usize, little: bool) -> Option<u64> {
    let raw = bytes.get(at..at.checked_add(size)?)?;
    let value = match *raw {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    let unused = 64 - 8 * size as u32;
    Some(if little { value } else { value.swap_bytes() >> unused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(bits(&bytes, 0, 2, true), Some(0x0201));
        assert_eq!(bits(&bytes, 0, 2, false), Some(0x0102));
        assert_eq!(bits(&bytes, 0, 1, false), Some(1));
        assert_eq!(bits(&bytes, 0, 8, false), Some(0x0102_0304_0506_0708));
        assert_eq!(bits(&bytes, 5, 4, true), None);
        assert_eq!(bits(&bytes, usize::MAX, 4, true), None);
    }

    #[test]
    fn nulls_and_constants_are_bits() {
        assert_eq!(Prim::Int(1).null(), 0x80);
        assert_eq!(Prim::Uint(2).null(), 0xFFFF);
        assert_eq!(Prim::Int(8).null(), 1 << 63);
        assert_eq!(Prim::Int(1).bits("-9"), Some(0xF7));
        assert_eq!(Prim::Int(1).number(0xF7), -9);
        assert_eq!(Prim::Char.bits("J"), Some(0x4A));
        assert_eq!(Prim::Uint(8).bits("18446744073709551615"), Some(u64::MAX));
        assert_eq!(Prim::Uint(1).bits("x"), None);
    }
}
