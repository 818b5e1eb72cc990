//! Where numbers stand: in a field, in bits of one, in digits of text, in
//! another part of the message, or in what was learned.

use crate::fixed::bytes::{Body, Window};
use crate::fixed::learned::Learned;
use crate::fixed::program::FactorTable;
use std::ops::Range;

/// Most parts of one layout whose place is remembered.
pub const SLOTS_MAX: usize = 64;

/// A number in the bytes of one part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberAt {
    /// An integer.
    Plain {
        /// Where it is.
        at: Window,
        /// Two's complement.
        signed: bool,
    },
    /// Decimal digits, padded with spaces, zeros or NULs, perhaps signed.
    Digits {
        /// First byte.
        offset: u32,
        /// Bytes.
        width: u32,
    },
    /// Some bits of an integer.
    Bits {
        /// The integer.
        at: Window,
        /// Its lowest bit that counts.
        shift: u8,
        /// The bits that count, shifted down.
        mask: u64,
    },
}

/// A number in one part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref {
    /// Which part; 0 is the message's fixed part.
    pub slot: u8,
    /// Where in it.
    pub at: NumberAt,
}

/// The key of a learned table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// The table has one entry.
    Only,
    /// A number of the message.
    Field(Ref),
    /// A number that was learned itself.
    Learned(Box<LearnedAt>),
}

/// A learned value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedAt {
    /// Which table of the protocol.
    pub table: usize,
    /// Its key.
    pub key: KeyAt,
    /// Which of its values.
    pub slot: usize,
}

/// A message and where its parts begin.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The message.
    pub body: &'a [u8],
    /// By slot.
    pub bases: &'a [u32],
}

impl<'a> Parts<'a> {
    /// The message from the part on.
    #[inline]
    pub fn from(&self, slot: u8) -> &'a [u8] {
        let base = self.bases.get(usize::from(slot)).copied().unwrap_or(0);
        self.body.get(base as usize..).unwrap_or_default()
    }

    /// A number.
    #[inline]
    pub fn number(&self, at: &Ref) -> Option<i128> {
        let part = self.from(at.slot);
        (at.at.end() as usize <= part.len()).then(|| at.at.read(&part)).flatten()
    }

    /// A number from 0 on; of most fields without a detour over wider ones.
    #[inline]
    pub fn count(&self, at: &Ref) -> Option<u64> {
        match at.at {
            NumberAt::Plain { at: field, signed: false } => {
                let part = self.from(at.slot);
                (field.end() as usize <= part.len()).then(|| field.unsigned(part))
            }
            _ => u64::try_from(self.number(at)?).ok(),
        }
    }
}

impl NumberAt {
    /// Its bytes.
    pub fn bytes(&self) -> Range<u32> {
        match self {
            Self::Plain { at, .. } | Self::Bits { at, .. } => at.bytes(),
            Self::Digits { offset, width } => *offset..offset.saturating_add(*width),
        }
    }

    /// First byte after it.
    pub fn end(&self) -> u32 {
        match self {
            Self::Plain { at, .. } | Self::Bits { at, .. } => at.end(),
            Self::Digits { offset, width } => offset.saturating_add(*width),
        }
    }

    /// The number; `None` where digits are blank or none.
    #[inline(always)]
    pub fn read<B: Body>(&self, body: &B) -> Option<i128> {
        match self {
            Self::Plain { at, signed: false } => Some(at.unsigned_in(body).into()),
            Self::Plain { at, signed: true } => Some(at.signed_in(body).into()),
            Self::Bits { at, shift, mask } => Some((at.unsigned_in(body) >> shift & mask).into()),
            Self::Digits { offset, width } => digits_of(body, *offset as usize, *width as usize),
        }
    }

    /// The number without its last character, and what it is multiplied with,
    /// where that is a code.
    pub fn but_last<B: Body>(self, body: &B, factors: &FactorTable) -> (Self, Option<i64>) {
        let Self::Digits { offset, width } = self else { return (self, None) };
        let last = (offset as usize + width as usize).checked_sub(1);
        let code = last.and_then(|last| body.bytes().get(last)).copied();
        match code.and_then(|code| factors.factor(code.into())) {
            None => (self, None),
            times => (Self::Digits { offset, width: width.saturating_sub(1) }, times),
        }
    }

    /// The bits of the number, as keys are compared.
    #[inline(always)]
    pub fn key<B: Body>(&self, body: &B) -> Option<u64> {
        match self {
            Self::Plain { at, .. } => Some(at.unsigned_in(body)),
            other => other.read(body).map(|number| number as u64),
        }
    }
}

/// What the digits before eight others count.
const EIGHT: u64 = 100_000_000;

/// The number that digits write in a field.
#[inline(always)]
fn digits_of<B: Body>(body: &B, offset: usize, width: usize) -> Option<i128> {
    // Most fields are nothing but digits.
    let eight = |before: usize| eight_digits(body, offset + (width - before), 8);
    let first = |before: usize| eight_digits(body, offset, width - before);
    let sixteen = || Some((eight(16)?, eight(8)?));
    let quick = match width {
        1..=8 => first(0).map(i128::from),
        9..=16 => first(8).zip(eight(8)).map(|(high, low)| (high * EIGHT + low).into()),
        17..=24 => first(16).zip(sixteen()).map(|(high, (middle, low))| {
            i128::from(high) * i128::from(EIGHT * EIGHT) + i128::from(middle * EIGHT + low)
        }),
        _ => None,
    };
    if quick.is_some() {
        return quick;
    }
    let rest = body.bytes().get(offset..)?;
    digits(rest.get(..width).unwrap_or(rest))
}

/// The number of up to eight bytes, where all of them are digits: pairs, fours
/// and all eight are put together at once.
#[inline(always)]
pub fn eight_digits<B: Body>(body: &B, offset: usize, width: usize) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    const LANES: u64 = 0x0000_00FF_0000_00FF;
    let read = u64::from_le_bytes(body.eight(offset));
    // The first digit stands lowest; what is before it are zeros.
    let missing = 8 * (8 - width.min(8)) as u32;
    let values = (read ^ ZEROS).checked_shl(missing).unwrap_or(0);
    if (values.wrapping_add(SIXES) | values) & HIGH != 0 {
        return None;
    }
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let first = (pairs & LANES).wrapping_mul(100 + (1_000_000 << 32));
    let second = ((pairs >> 16) & LANES).wrapping_mul(1 + (10_000 << 32));
    Some(first.wrapping_add(second) >> 32)
}

/// So many digits are a number of 64 bits.
const SHORT_DIGITS: usize = 18;

/// The number that digits write; `None` where there are none, or anything else
/// between them.
pub fn digits(text: &[u8]) -> Option<i128> {
    let is_padding = |b: &u8| *b == b' ' || *b == 0;
    let start = text.iter().position(|b| !is_padding(b))?;
    let end = text.iter().rposition(|b| !is_padding(b))?;
    let text = text.get(start..=end)?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 30 {
        return None;
    }
    let value = |digit: u8| digit.is_ascii_digit().then(|| digit - b'0');
    let number = if digits.len() <= SHORT_DIGITS {
        let add = |number: u64, digit: &u8| Some(number * 10 + u64::from(value(*digit)?));
        digits.iter().try_fold(0, add)?.into()
    } else {
        let add = |number: i128, digit: &u8| Some(number * 10 + i128::from(value(*digit)?));
        digits.iter().try_fold(0, add)?
    };
    Some(if negative { -number } else { number })
}

impl KeyAt {
    /// The key, for a message of `scope`; `parts` where the field may stand in
    /// another part than `body`.
    #[inline(always)]
    pub fn find<B: Body>(
        &self,
        body: &B,
        parts: Option<Parts<'_>>,
        scope: u32,
        tables: &mut (impl Learned + ?Sized),
    ) -> Option<u64> {
        match self {
            Self::Only => Some(0),
            Self::Field(at) => match parts {
                None => at.at.key(body),
                Some(parts) => at.at.key(&parts.from(at.slot)),
            },
            Self::Learned(learned) => learned.find(body, parts, scope, tables),
        }
    }

    /// First byte of the fixed part that it does not need.
    pub fn end(&self) -> u32 {
        match self {
            Self::Only => 0,
            Self::Field(at) => at.end(),
            Self::Learned(learned) => learned.key.end(),
        }
    }
}

impl Ref {
    /// First byte of the fixed part that it does not need.
    pub fn end(&self) -> u32 {
        if self.slot == 0 { self.at.end() } else { 0 }
    }

    /// The number, for a message whose part with the operation is `body`.
    #[inline(always)]
    pub fn read<B: Body>(&self, body: &B, parts: Option<Parts<'_>>) -> Option<i128> {
        match parts {
            None => self.at.read(body),
            Some(parts) => parts.number(self),
        }
    }
}

impl LearnedAt {
    /// The value; `None` where it was not learned.
    #[inline(always)]
    pub fn find<B: Body>(
        &self,
        body: &B,
        parts: Option<Parts<'_>>,
        scope: u32,
        tables: &mut (impl Learned + ?Sized),
    ) -> Option<u64> {
        let key = self.key.find(body, parts, scope, tables)?;
        tables.learned(self.table, scope, key, self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_with_padding_and_signs() {
        for (text, want) in [
            (&b"00120"[..], Some(120)),
            (b"  7 ", Some(7)),
            (b"-12", Some(-12)),
            (b"+5", Some(5)),
            (b"", None),
            (b"   ", None),
            (b"-", None),
            (b"1a", None),
            (b"1 2", None),
        ] {
            assert_eq!(digits(text), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn fields_of_digits_are_read_as_their_text_is(
            before in 0usize..9,
            text in "[0-9]{0,26}| *[0-9]{0,18}|[ -9:]{0,18}",
            after in 0usize..9,
        ) {
            let body = [&vec![b'7'; before], text.as_bytes(), &vec![b'8'; after]].concat();
            let at = NumberAt::Digits { offset: before as u32, width: text.len() as u32 };
            prop_assert_eq!(at.read(&body.as_slice()), digits(text.as_bytes()));
        }

        #[test]
        fn written_numbers_are_read(number: i128, shift in 0u32..128) {
            let number = number >> shift;
            let text = number.to_string();
            let want = (text.trim_start_matches('-').len() <= 30).then_some(number);
            prop_assert_eq!(digits(text.as_bytes()), want);
        }
    }
}
