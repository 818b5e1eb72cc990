//! Values on the wire: stop-bit integers, strings, byte vectors, presence maps
//! (FAST 1.1, section 10.6 and 10.5).
//!
//! ```text
//! 942755 as uInt32   39 45 a3      7 bits a byte, the last has its high bit set
//! "CME"              43 4d c5      so have ASCII strings
//! c1 b3 as vector    82 c1 b3      length first
//! presence map       c0 = 1 1000000: first instruction's bit is set, the rest 0
//! ```
//!
//! Nullable integers are shifted by one (0 is "absent", v > 0 means v - 1), so
//! that 64-bit types need 65 bits on the way in.

use super::error::Code;

/// Most bytes of an integer: 65 bits in groups of seven.
pub const INT_BYTES_MAX: usize = 10;

/// Groups that fit 64 bits without a look at the sign.
const NARROW_GROUPS: usize = 9;

/// A high bit in each byte.
const STOP_BITS: u64 = 0x8080_8080_8080_8080;

/// A reader over one message; errors leave the place in [`Wire::fault`].
#[derive(Debug)]
pub struct Wire<'b> {
    bytes: &'b [u8],
    pos: usize,
    /// Where the last error was.
    pub fault: Fault,
}

/// The place of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Byte of the message where the failing value begins.
    pub offset: usize,
    /// Bytes needed.
    pub needed: u64,
    /// Bytes there were.
    pub had: u64,
}

impl<'b> Wire<'b> {
    /// Reads from the first byte of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, pos: 0, fault: Fault::default() }
    }

    /// Bytes read so far.
    #[inline(always)]
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Bytes not read yet.
    #[inline(always)]
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.pos)
    }

    /// The bytes of `from..to` of the message.
    pub fn slice(&self, from: usize, to: usize) -> &'b [u8] {
        self.bytes.get(from..to).unwrap_or(&[])
    }

    /// Notes the place of an error and passes its code on.
    #[cold]
    pub fn fail(&mut self, code: Code, needed: u64) -> Code {
        self.fault = Fault { offset: self.pos, needed, had: self.left() as u64 };
        code
    }

    #[inline(always)]
    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.pos..).unwrap_or(&[])
    }

    #[cold]
    fn end(&mut self) -> Code {
        let needed = self.left() as u64 + 1;
        self.fail(Code::End, needed)
    }

    /// An unsigned integer of at most 63 bits, or `None` where it is wider
    /// (nothing read then).
    #[inline(always)]
    fn narrow_uint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, &byte) in self.rest().iter().take(NARROW_GROUPS).enumerate() {
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                self.pos += at + 1;
                return Some(value);
            }
        }
        None
    }

    /// As [`narrow_uint`](Self::narrow_uint), with sign.
    #[inline(always)]
    fn narrow_int(&mut self) -> Option<i64> {
        let rest = self.rest();
        let mut value = sign(rest) as i64;
        for (at, &byte) in rest.iter().take(NARROW_GROUPS).enumerate() {
            value = value << 7 | i64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                self.pos += at + 1;
                return Some(value);
            }
        }
        None
    }

    /// An integer of up to [`INT_BYTES_MAX`] groups on top of `value`, the
    /// bits before its first group.
    #[cold]
    fn wide(&mut self, mut value: i128) -> Result<i128, Code> {
        for (at, &byte) in self.rest().iter().take(INT_BYTES_MAX).enumerate() {
            value = value << 7 | i128::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                self.pos += at + 1;
                return Ok(value);
            }
        }
        if self.left() < INT_BYTES_MAX {
            return Err(self.end());
        }
        Err(self.fail(Code::R6, INT_BYTES_MAX as u64 + 1))
    }

    /// A mandatory unsigned integer up to `max`.
    #[inline(always)]
    pub fn uint(&mut self, max: u64) -> Result<u64, Code> {
        let from = self.pos;
        let value = match self.narrow_uint() {
            Some(value) => value,
            None => self.wide(0)?.try_into().map_err(|_| self.out_of_type(from))?,
        };
        if value > max { Err(self.out_of_type(from)) } else { Ok(value) }
    }

    /// A nullable unsigned integer up to `max`.
    #[inline(always)]
    pub fn uint_or_null(&mut self, max: u64) -> Result<Option<u64>, Code> {
        let from = self.pos;
        match self.narrow_uint() {
            Some(0) => return Ok(None),
            Some(value) if value - 1 <= max => return Ok(Some(value - 1)),
            Some(_) => return Err(self.out_of_type(from)),
            None => {}
        }
        self.wide_uint_or_null(from, max)
    }

    #[cold]
    fn wide_uint_or_null(&mut self, from: usize, max: u64) -> Result<Option<u64>, Code> {
        match self.wide(0)? {
            0 => Ok(None),
            value if value - 1 <= i128::from(max) => Ok(Some((value - 1) as u64)),
            _ => Err(self.out_of_type(from)),
        }
    }

    /// A mandatory signed integer of `min..=max`.
    #[inline(always)]
    pub fn int(&mut self, min: i64, max: i64) -> Result<i64, Code> {
        let from = self.pos;
        let value = match self.narrow_int() {
            Some(value) => value,
            None => {
                let sign = sign(self.rest());
                self.wide(sign)?.try_into().map_err(|_| self.out_of_type(from))?
            }
        };
        if (min..=max).contains(&value) { Ok(value) } else { Err(self.out_of_type(from)) }
    }

    /// A nullable signed integer of `min..=max`.
    #[inline(always)]
    pub fn int_or_null(&mut self, min: i64, max: i64) -> Result<Option<i64>, Code> {
        let from = self.pos;
        let Some(delta) = self.delta_or_null()? else { return Ok(None) };
        match i64::try_from(delta) {
            Ok(value) if (min..=max).contains(&value) => Ok(Some(value)),
            _ => Err(self.out_of_type(from)),
        }
    }

    /// A signed difference of up to 65 bits.
    #[inline(always)]
    pub fn delta(&mut self) -> Result<i128, Code> {
        match self.narrow_int() {
            Some(value) => Ok(i128::from(value)),
            None => {
                let sign = sign(self.rest());
                self.wide(sign)
            }
        }
    }

    /// A nullable signed difference.
    #[inline(always)]
    pub fn delta_or_null(&mut self) -> Result<Option<i128>, Code> {
        Ok(match self.delta()? {
            0 => None,
            value if value > 0 => Some(value - 1),
            value => Some(value),
        })
    }

    #[cold]
    fn out_of_type(&mut self, from: usize) -> Code {
        let needed = (self.pos - from) as u64;
        self.pos = from;
        self.fail(Code::D2, needed)
    }

    /// A mandatory ASCII string: its bytes on the wire without the zero
    /// preamble; the last still has its stop bit (see [`plain`]).
    #[inline(always)]
    pub fn ascii(&mut self) -> Result<&'b [u8], Code> {
        Ok(match self.stopped()? {
            [0x80] => &[],
            [0, rest @ ..] => rest,
            text => text,
        })
    }

    /// A nullable ASCII string, as [`ascii`](Self::ascii).
    #[inline(always)]
    pub fn ascii_or_null(&mut self) -> Result<Option<&'b [u8]>, Code> {
        Ok(match self.stopped()? {
            [0x80] => None,
            [0, 0x80] => Some(&[]),
            [0, 0, rest @ ..] | [0, rest @ ..] => Some(rest),
            text => Some(text),
        })
    }

    /// The bytes up to and with the next stop bit.
    #[inline(always)]
    pub fn stopped(&mut self) -> Result<&'b [u8], Code> {
        let rest = self.rest();
        match stop_at(rest) {
            Some(last) => {
                self.pos += last + 1;
                Ok(rest.get(..=last).unwrap_or(&[]))
            }
            None => Err(self.end()),
        }
    }

    /// A mandatory byte vector or Unicode string: the length, then the bytes.
    pub fn vector(&mut self) -> Result<&'b [u8], Code> {
        let len = self.uint(u64::from(u32::MAX))?;
        self.take(len)
    }

    /// A nullable byte vector or Unicode string.
    pub fn vector_or_null(&mut self) -> Result<Option<&'b [u8]>, Code> {
        match self.uint_or_null(u64::from(u32::MAX))? {
            None => Ok(None),
            Some(len) => self.take(len).map(Some),
        }
    }

    fn take(&mut self, len: u64) -> Result<&'b [u8], Code> {
        let wanted = usize::try_from(len).ok().and_then(|len| self.rest().get(..len));
        match wanted {
            Some(bytes) => {
                self.pos += bytes.len();
                Ok(bytes)
            }
            None => Err(self.fail(Code::End, len)),
        }
    }

    /// A presence map, of any length.
    #[inline(always)]
    pub fn pmap(&mut self) -> Result<Pmap<'b>, Code> {
        self.stopped().map(Pmap::new)
    }
}

/// The bits before a signed integer's first group: all ones where negative.
#[inline(always)]
fn sign(rest: &[u8]) -> i128 {
    match rest.first() {
        Some(byte) if byte & 0x40 != 0 => -1,
        _ => 0,
    }
}

/// Index of the first byte with its stop bit set.
#[inline(always)]
fn stop_at(bytes: &[u8]) -> Option<usize> {
    if let Some(word) = bytes.first_chunk::<8>() {
        let stops = u64::from_le_bytes(*word) & STOP_BITS;
        if stops != 0 {
            return Some(stops.trailing_zeros() as usize / 8);
        }
    }
    bytes.iter().position(|byte| byte & 0x80 != 0)
}

/// An ASCII string's bytes without the stop bit, appended to `text`.
#[inline(always)]
pub fn plain(raw: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(raw);
    if let (Some(last), false) = (text.last_mut(), raw.is_empty()) {
        *last &= 0x7f;
    }
}

/// A presence map: bits in order of the instructions, endless zeros after.
#[derive(Clone, Copy, Debug)]
pub struct Pmap<'b> {
    /// Next bits, the first at the top.
    bits: u64,
    /// How many of `bits` count.
    left: u32,
    rest: &'b [u8],
}

impl<'b> Pmap<'b> {
    /// The bits of a map's bytes.
    #[inline(always)]
    pub fn new(bytes: &'b [u8]) -> Self {
        match bytes {
            [byte, rest @ ..] => Self { bits: u64::from(*byte) << 57, left: 7, rest },
            [] => Self { bits: 0, left: 0, rest: bytes },
        }
    }

    /// The next instruction's bit.
    #[inline(always)]
    pub fn bit(&mut self) -> bool {
        if self.left == 0 {
            *self = Self::new(self.rest);
        }
        let bit = self.bits >> 63 != 0;
        self.bits <<= 1;
        self.left = self.left.saturating_sub(1);
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(bytes: &[u8]) -> Wire<'_> {
        Wire::new(bytes)
    }

    /// Bytes of a number in groups of seven bits, for round trips.
    fn groups(value: i128, signed: bool) -> Vec<u8> {
        let mut bytes = vec![(value & 0x7f) as u8 | 0x80];
        let mut rest = value >> 7;
        let done = |rest: i128, last: u8| match signed {
            true => (rest == 0 && last & 0x40 == 0) || (rest == -1 && last & 0x40 != 0),
            false => rest == 0,
        };
        while !done(rest, bytes[0]) {
            bytes.insert(0, (rest & 0x7f) as u8);
            rest >>= 7;
        }
        bytes
    }

    #[test]
    fn integers_of_the_specification() {
        assert_eq!(wire(&[0x39, 0x45, 0xa3]).uint(u32::MAX.into()), Ok(942_755));
        assert_eq!(wire(&[0x39, 0x45, 0xa4]).uint_or_null(u32::MAX.into()), Ok(Some(942_755)));
        assert_eq!(wire(&[0x80]).uint_or_null(u32::MAX.into()), Ok(None));
        assert_eq!(wire(&[0x46, 0x3a, 0xdd]).int(i32::MIN.into(), i32::MAX.into()), Ok(-942_755));
        assert_eq!(wire(&[0x00, 0x40, 0x81]).int(i32::MIN.into(), i32::MAX.into()), Ok(8193));
        assert_eq!(wire(&[0x7f, 0x3f, 0xff]).int(i32::MIN.into(), i32::MAX.into()), Ok(-8193));
    }

    #[test]
    fn the_largest_values_of_each_type_pass_and_one_more_does_not() {
        let max = i128::from(u64::MAX);
        assert_eq!(wire(&groups(max, false)).uint(u64::MAX), Ok(u64::MAX));
        assert_eq!(wire(&groups(max + 1, false)).uint(u64::MAX), Err(Code::D2));
        assert_eq!(wire(&groups(max + 1, false)).uint_or_null(u64::MAX), Ok(Some(u64::MAX)));
        assert_eq!(wire(&groups(max + 2, false)).uint_or_null(u64::MAX), Err(Code::D2));
        let top = i128::from(i64::MAX);
        assert_eq!(
            wire(&groups(top + 1, true)).int_or_null(i64::MIN, i64::MAX),
            Ok(Some(i64::MAX))
        );
        assert_eq!(wire(&groups(top + 1, true)).int(i64::MIN, i64::MAX), Err(Code::D2));
        assert_eq!(wire(&groups(1 << 32, false)).uint(u32::MAX.into()), Err(Code::D2));
        assert_eq!(
            wire(&groups(1 << 32, false)).uint_or_null(u32::MAX.into()),
            Ok(Some(u32::MAX.into()))
        );
    }

    #[test]
    fn an_endless_integer_is_refused_at_its_eleventh_byte() {
        let bytes = [0x01; 40];
        assert_eq!(wire(&bytes).uint(u64::MAX), Err(Code::R6));
        assert_eq!(wire(&bytes).delta(), Err(Code::R6));
        assert_eq!(wire(&bytes[..4]).uint(u64::MAX), Err(Code::End));
    }

    #[test]
    fn strings_with_zero_preamble() {
        type Case<'c> = (&'c [u8], Option<&'c [u8]>, Option<&'c [u8]>);
        let cases: [Case; 5] = [
            (&[0x80], Some(b""), None),
            (&[0x00, 0x80], Some(b"\0"), Some(b"")),
            (&[0x00, 0x00, 0x80], Some(b"\0\0"), Some(b"\0")),
            (&[0x41, 0xc2], Some(b"AB"), Some(b"AB")),
            (&[0x00, 0xc2], Some(b"B"), Some(b"B")),
        ];
        let text = |raw: &[u8]| {
            let mut text = Vec::new();
            plain(raw, &mut text);
            text
        };
        for (bytes, mandatory, nullable) in cases {
            assert_eq!(wire(bytes).ascii().ok().map(text).as_deref(), mandatory, "{bytes:x?}");
            let read = wire(bytes).ascii_or_null().unwrap().map(text);
            assert_eq!(read.as_deref(), nullable, "{bytes:x?}");
        }
    }

    #[test]
    fn a_hostile_length_is_an_error_and_says_what_it_needed() {
        let mut hostile = groups(1 << 31, false);
        hostile.extend([1, 2, 3]);
        let mut wire = wire(&hostile);
        assert_eq!(wire.vector(), Err(Code::End));
        assert_eq!(wire.fault, Fault { offset: 5, needed: 1 << 31, had: 3 });
        let huge = groups(1 << 40, false);
        assert_eq!(Wire::new(&huge).vector(), Err(Code::D2));
    }

    #[test]
    fn a_presence_map_of_eleven_bytes_and_zeros_after_it() {
        let mut bytes = [0x7f; 11];
        bytes[10] = 0xc0;
        let mut pmap = wire(&bytes).pmap().unwrap();
        let bits: Vec<bool> = (0..100).map(|_| pmap.bit()).collect();
        assert!(bits[..71].iter().all(|&bit| bit));
        assert!(bits[71..].iter().all(|&bit| !bit));
    }

    proptest! {
        #[test]
        fn integers_lead_back(value in any::<i64>(), shift in 0u32..63) {
            let value = value >> shift;
            prop_assert_eq!(wire(&groups(value.into(), true)).int(i64::MIN, i64::MAX), Ok(value));
            let unsigned = value as u64;
            prop_assert_eq!(wire(&groups(unsigned.into(), false)).uint(u64::MAX), Ok(unsigned));
            let shifted = i128::from(unsigned) + 1;
            prop_assert_eq!(wire(&groups(shifted, false)).uint_or_null(u64::MAX), Ok(Some(unsigned)));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = wire(&bytes).uint(9);
            let _ = wire(&bytes).int(-3, 9);
            let _ = wire(&bytes).uint_or_null(u64::MAX);
            let _ = wire(&bytes).int_or_null(i64::MIN, i64::MAX);
            let _ = wire(&bytes).ascii();
            let _ = wire(&bytes).ascii_or_null();
            let _ = wire(&bytes).vector();
            let _ = wire(&bytes).vector_or_null();
            let _ = wire(&bytes).pmap().map(|mut pmap| (0..99).filter(|_| pmap.bit()).count());
        }
    }
}
