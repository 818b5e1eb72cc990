//! Fields that are there where a bit of the message says so.
//!
//! ```text
//! count │ bitfield 1 │ bitfield 2 │ … │ field │ field │ field
//!   2     0000 0101    0100 0000         1.0     1.2     2.6
//! ```
//!
//! The fields stand in the order of their bits: the first byte first, its
//! lowest bit first. A bit that no list explains leaves what follows without a
//! meaning, for nobody knows how long its field is.

use toml::Spanned;

use crate::fixed::compile::Compiler;
use crate::fixed::error::Fault;
use crate::fixed::layout;
use crate::fixed::source;
use crate::fixed::walk::Shape;

/// Most bytes of bits that a list explains.
const BYTES_MAX: usize = 64;

/// What each bit chooses.
#[derive(Clone, Debug)]
pub struct Bitfields {
    /// The list's name in the file.
    pub name: String,
    /// By byte and bit.
    bits: Vec<[Bit; 8]>,
    /// The same by byte, for those who only want fields that fill columns.
    bytes: Vec<ByteOfBits>,
}

/// What the bits of one byte choose.
#[derive(Clone, Debug)]
pub struct ByteOfBits {
    /// Bits that nobody knows.
    pub unknown: u8,
    /// Bits whose fields fill columns.
    pub filling: u8,
    /// Bytes of the fields that the bits of a value choose.
    pub size: Box<[u32; 256]>,
}

impl ByteOfBits {
    fn new(bits: &[Bit; 8]) -> Self {
        let mut byte = Self { unknown: 0, filling: 0, size: Box::new([0; 256]) };
        for (i, bit) in bits.iter().enumerate() {
            let mask = 1u8 << i;
            match bit {
                Bit::Unknown => byte.unknown |= mask,
                Bit::Here(shape) => {
                    byte.filling |= if shape.ops.is_empty() { 0 } else { mask };
                    let with = byte.size.iter_mut().enumerate();
                    with.filter(|(value, _)| *value as u8 & mask != 0)
                        .for_each(|(_, size)| *size = size.saturating_add(shape.size));
                }
                Bit::Elsewhere => {}
            }
        }
        byte
    }
}

/// What a bit chooses.
#[derive(Clone, Debug, Default)]
pub enum Bit {
    /// Nobody knows.
    #[default]
    Unknown,
    /// A field that another list has, or none at all.
    Elsewhere,
    /// Fields.
    Here(Shape),
}

impl Bitfields {
    /// What a bit chooses; bytes and bits count from 0.
    pub fn bit(&self, byte: usize, bit: u32) -> &Bit {
        let bits = self.bits.get(byte);
        bits.and_then(|bits| bits.get(bit as usize)).unwrap_or(&Bit::Unknown)
    }

    /// What the bits of a byte choose.
    pub fn byte(&self, byte: usize) -> Option<&ByteOfBits> {
        self.bytes.get(byte)
    }

    /// What any bit chooses.
    pub fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.bits.iter().flatten().filter_map(|bit| match bit {
            Bit::Here(shape) => Some(shape),
            _ => None,
        })
    }

    /// The bits that are explained, byte by byte.
    pub fn known(&self) -> Vec<u8> {
        let set = |bits: &[Bit; 8]| {
            let bits = bits.iter().enumerate();
            bits.fold(0, |set, (i, bit)| set | u8::from(!matches!(bit, Bit::Unknown)) << i)
        };
        self.bits.iter().map(set).collect()
    }
}

/// The bits that are set, with their byte, in the order of their fields.
pub fn set_bits(bytes: &[u8]) -> impl Iterator<Item = (usize, u32)> + '_ {
    let bits = |(at, byte): (usize, &u8)| {
        let rest = std::iter::successors(Some(*byte), |byte| Some(byte & byte.wrapping_sub(1)));
        rest.take_while(|rest| *rest != 0).map(move |rest| (at, rest.trailing_zeros()))
    };
    bytes.iter().enumerate().flat_map(bits)
}

/// `[bitfields.NAME]` as a list.
pub fn compile<'a>(
    compiler: &mut Compiler<'a>,
    name: &str,
    table: &'a Spanned<source::BitfieldsTable>,
) -> Result<Bitfields, Fault> {
    let fields = &table.get_ref().fields;
    let mut list = Bitfields { name: name.to_owned(), bits: Vec::new(), bytes: Vec::new() };
    for line in layout::parse_bits(fields.get_ref(), compiler.text.first_line_of(fields))? {
        let at = line.line;
        let number = line.offset.unwrap_or(u32::MAX) as usize;
        let (byte, bit) = (number / 8, number % 8);
        if byte >= BYTES_MAX {
            return Err(Fault::new(at, format!("more than {BYTES_MAX} bitfields")));
        }
        if list.bits.len() <= byte {
            list.bits.resize(byte + 1, Default::default());
        }
        let chosen = match line.type_name.as_str() {
            "elsewhere" if line.targets.is_empty() => Bit::Elsewhere,
            _ => Bit::Here(shape(compiler, line)?),
        };
        let Some(place) = list.bits.get_mut(byte).and_then(|bits| bits.get_mut(bit)) else {
            continue;
        };
        if !matches!(place, Bit::Unknown) {
            let reason = format!("bit {bit} of byte {} stands twice", byte + 1);
            return Err(Fault::new(at, reason));
        }
        *place = chosen;
    }
    list.bytes = list.bits.iter().map(ByteOfBits::new).collect();
    Ok(list)
}

/// The fields of one bit.
fn shape(compiler: &mut Compiler<'_>, line: layout::LayoutLine) -> Result<Shape, Fault> {
    let element = compiler.element(line)?;
    let (steps, learn) = (Vec::new(), Vec::new());
    Ok(Shape {
        part: element.part,
        slot: 0,
        size: element.size,
        fields: element.fields,
        ops: element.ops,
        learn,
        steps,
        switches: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_met_lowest_first() {
        let bits: Vec<_> = set_bits(&[0b101, 0, 0x80]).collect();
        assert_eq!(bits, [(0, 0), (0, 2), (2, 7)]);
    }
}
