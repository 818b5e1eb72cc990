//! Previous values (FAST 1.1, section 6.3.1): one slot for each key of each
//! dictionary, resolved when the templates are read.
//!
//! ```text
//! undefined ──value──> assigned ──absent──> empty ──value──> assigned
//!     ^──────────────── reset ────────────────┴
//! ```
//!
//! A reset is the change of one number, however many slots there are: a slot
//! written in an earlier epoch is undefined; or, where messages were missed,
//! unknown, until it is written.

use super::error::Code;
use super::templates::{Integer, What};

/// Longest text or byte vector kept as a previous value: delta and tail could
/// otherwise let it grow without end.
pub const TEXT_MAX: usize = 16 << 10;

/// Previous values of all dictionaries.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    texts: Vec<Vec<u8>>,
    epoch: u64,
    /// Whether slots that this epoch has not written are unknown.
    doubt: bool,
    /// The last template id on the wire; it is in the global dictionary.
    pub template_id: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Integer or mantissa; of texts the length is kept in `texts`.
    value: i64,
    epoch: u64,
    class: Class,
    exponent: i8,
    empty: bool,
}

/// Types that may share a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Integer(Integer),
    Decimal,
    Ascii,
    Unicode,
    Bytes,
}

/// State of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Previous<T> {
    Undefined,
    Empty,
    Assigned(T),
}

/// A decimal's two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub mantissa: i64,
    pub exponent: i8,
}

#[inline(always)]
fn class(what: What) -> Class {
    match what {
        What::Integer(integer) => Class::Integer(integer),
        What::Ascii => Class::Ascii,
        What::Unicode => Class::Unicode,
        What::Bytes => Class::Bytes,
        _ => Class::Decimal,
    }
}

impl Clone for Slots {
    fn clone(&self) -> Self {
        let (slots, texts) = (self.slots.clone(), self.texts.clone());
        Self { slots, texts, ..*self }
    }

    /// Uses the memory that is there again.
    fn clone_from(&mut self, other: &Self) {
        self.slots.clone_from(&other.slots);
        self.texts.clone_from(&other.texts);
        (self.epoch, self.doubt) = (other.epoch, other.doubt);
        self.template_id = other.template_id;
    }
}

impl Slots {
    pub fn new(count: usize) -> Self {
        let slot = Slot { value: 0, epoch: 0, class: Class::Decimal, exponent: 0, empty: true };
        Self {
            slots: vec![slot; count],
            texts: vec![Vec::new(); count],
            epoch: 1,
            doubt: false,
            template_id: None,
        }
    }

    /// All previous values become undefined.
    pub fn reset(&mut self) {
        self.epoch += 1;
        (self.doubt, self.template_id) = (false, None);
    }

    /// No previous value is known any more.
    pub fn forget(&mut self) {
        self.reset();
        self.doubt = true;
    }

    #[inline(always)]
    fn slot(&self, at: usize, what: What) -> Result<Previous<&Slot>, Code> {
        let slot = &self.slots[at];
        if slot.epoch != self.epoch {
            if self.doubt { Err(Code::Unknown) } else { Ok(Previous::Undefined) }
        } else if slot.empty {
            Ok(Previous::Empty)
        } else if slot.class != class(what) {
            Err(Code::D4)
        } else {
            Ok(Previous::Assigned(slot))
        }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, what: What, value: i64, exponent: i8) {
        let epoch = self.epoch;
        self.slots[at] = Slot { value, epoch, class: class(what), exponent, empty: false };
    }

    /// The value was absent.
    #[inline(always)]
    pub fn put_empty(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        slot.epoch = self.epoch;
        slot.empty = true;
    }

    #[inline(always)]
    pub fn integer(&self, at: usize, what: What) -> Result<Previous<i64>, Code> {
        Ok(match self.slot(at, what)? {
            Previous::Undefined => Previous::Undefined,
            Previous::Empty => Previous::Empty,
            Previous::Assigned(slot) => Previous::Assigned(slot.value),
        })
    }

    #[inline(always)]
    pub fn put_integer(&mut self, at: usize, what: What, value: i64) {
        self.put(at, what, value, 0);
    }

    #[inline(always)]
    pub fn decimal(&self, at: usize) -> Result<Previous<Decimal>, Code> {
        Ok(match self.slot(at, What::Decimal)? {
            Previous::Undefined => Previous::Undefined,
            Previous::Empty => Previous::Empty,
            Previous::Assigned(slot) => {
                Previous::Assigned(Decimal { mantissa: slot.value, exponent: slot.exponent })
            }
        })
    }

    #[inline(always)]
    pub fn put_decimal(&mut self, at: usize, value: Decimal) {
        self.put(at, What::Decimal, value.mantissa, value.exponent);
    }

    /// The state of a text; its bytes are in [`text`](Self::text).
    #[inline(always)]
    pub fn text_state(&self, at: usize, what: What) -> Result<Previous<()>, Code> {
        Ok(match self.slot(at, what)? {
            Previous::Undefined => Previous::Undefined,
            Previous::Empty => Previous::Empty,
            Previous::Assigned(_) => Previous::Assigned(()),
        })
    }

    #[inline(always)]
    pub fn text(&self, at: usize) -> &[u8] {
        &self.texts[at]
    }

    /// Marks a text as assigned and gives its buffer to be changed.
    #[inline(always)]
    pub fn text_mut(&mut self, at: usize, what: What) -> &mut Vec<u8> {
        self.put(at, what, 0, 0);
        &mut self.texts[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_through_its_states() {
        let what = What::Integer(Integer::U32);
        let mut slots = Slots::new(2);
        assert_eq!(slots.integer(1, what), Ok(Previous::Undefined));
        slots.put_integer(1, what, 7);
        assert_eq!(slots.integer(1, what), Ok(Previous::Assigned(7)));
        assert_eq!(slots.integer(1, What::Integer(Integer::I64)), Err(Code::D4));
        slots.put_empty(1);
        assert_eq!(slots.integer(1, what), Ok(Previous::Empty));
        slots.reset();
        assert_eq!(slots.integer(1, what), Ok(Previous::Undefined));
        assert_eq!(slots.integer(0, what), Ok(Previous::Undefined));
    }
}
