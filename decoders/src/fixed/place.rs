//! Where numbers stand: in a field, in bits of one, in digits of text, in
//! another part of the message, or in what was learned.

use crate::fixed::bytes::{Body, Window};
use crate::fixed::learned::Learned;

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
    pub fn from(&self, slot: u8) -> &'a [u8] {
        let base = self.bases.get(usize::from(slot)).copied().unwrap_or(0);
        self.body.get(base as usize..).unwrap_or_default()
    }

    /// A number.
    pub fn number(&self, at: &Ref) -> Option<i128> {
        let part = self.from(at.slot);
        (at.at.end() as usize <= part.len()).then(|| at.at.read(&part)).flatten()
    }
}

impl NumberAt {
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
            Self::Digits { offset, width } => {
                let rest = body.bytes().get(*offset as usize..)?;
                digits(rest.get(..*width as usize).unwrap_or(rest))
            }
        }
    }

    /// The number without its last character, and what it is multiplied with,
    /// where that is a code.
    pub fn but_last<B: Body>(self, body: &B, factors: &[(u64, i64)]) -> (Self, Option<i64>) {
        let Self::Digits { offset, width } = self else { return (self, None) };
        let last = (offset as usize + width as usize).checked_sub(1);
        let code = last.and_then(|last| body.bytes().get(last)).copied();
        match code.and_then(|code| factor(factors, code.into())) {
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

/// What a number with this code is multiplied with.
pub fn factor(factors: &[(u64, i64)], code: u64) -> Option<i64> {
    let at = factors.binary_search_by_key(&code, |(code, _)| *code).ok()?;
    factors.get(at).map(|(_, factor)| *factor)
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
        fn written_numbers_are_read(number: i128, shift in 0u32..128) {
            let number = number >> shift;
            let text = number.to_string();
            let want = (text.trim_start_matches('-').len() <= 30).then_some(number);
            prop_assert_eq!(digits(text.as_bytes()), want);
        }
    }
}
