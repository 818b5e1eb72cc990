//! Where the packets or messages of a declared framing end in a stream.
//!
//! ```text
//! … tail │ length type … message │ length type … message │ length ty
//!        └──────── unit ─────────┴──────── unit ─────────┴─ more to come
//! ```
//!
//! A unit is what a datagram would be: a packet with its header where the
//! framing has one, else one message with what stands before it.

use super::declared::{Cut, Framing, Meaning};
use crate::framing::condition::Condition;

/// Longest unit that is followed; a longer one is no unit.
pub const UNIT_MAX: usize = 128 << 10;

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole unit of so many bytes, at least one.
    Unit(usize),
    /// Perhaps the beginning of a unit, of so many bytes where they are told.
    NeedMore(Option<usize>),
    /// No unit.
    Invalid,
}

impl Framing {
    /// Whether the framing says of itself how long a unit is: a stream has no
    /// other borders.
    pub fn has_units(&self) -> bool {
        match self.size {
            0 => self.cut == Cut::Length,
            _ => self.header.length.is_some(),
        }
    }

    /// Looks at the unit at the beginning of `bytes`.
    #[inline]
    pub fn step(&self, bytes: &[u8]) -> Step {
        let (part, checks, least) = match self.size {
            0 => (&self.message, &self.message_checks, self.message_header),
            size => (&self.header, &self.checks, size),
        };
        let passes = |check: &Condition| {
            let value = part.raw(Some(check.field), bytes);
            check.of_message != (self.size == 0) || value.is_none() || check.holds(value)
        };
        if !checks.iter().all(passes) {
            return Step::Invalid;
        }
        let Some((field, plus)) = part.length else { return Step::Invalid };
        let Some(length) = part.raw(Some(field), bytes) else { return Step::NeedMore(None) };
        let least = least.max(part.leaves.get(field).map_or(1, |leaf| leaf.end()));
        match length.checked_add(plus).and_then(|total| usize::try_from(total).ok()) {
            Some(total) if total < least || total > UNIT_MAX => Step::Invalid,
            Some(total) if total > bytes.len() => Step::NeedMore(Some(total)),
            Some(total) => Step::Unit(total),
            None => Step::Invalid,
        }
    }

    /// Whether the beginning of a message that is not all there may go on to
    /// be one of the framing's own, as far as its code tells. `true` for a
    /// message that carries another.
    pub fn may_be_own(&self, start: &[u8], total: usize, meaning: &Meaning<'_>) -> bool {
        let Some(session) = &self.session else { return true };
        self.is_carrying(meaning) || session.may_know(start, total, meaning.sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framing(check: &str) -> Framing {
        let text = format!(
            "[framing]\nid = \"x\"\ntitle = \"t\"\nsource = \"s\"\nendian = \"little\"\n\
             carrier = \"tcp\"\n[framing.message]\nheader = 6\n{check}\nlayout = \"\"\"\n\
             0 magic u16\n2 length u32 -> length : 2\n\"\"\"\n"
        );
        Framing::parse("x", &text).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn unit(length: u32) -> Vec<u8> {
        [&[0xBA, 0xBA][..], &length.to_le_bytes()].concat()
    }

    #[test]
    fn lengths_and_checks_make_units() {
        let framing = framing("check = [\"magic = 0xBABA\"]");
        let whole = [unit(6), vec![1, 2]].concat();
        assert_eq!(framing.step(&whole), Step::Unit(8));
        assert_eq!(framing.step(&whole[..7]), Step::NeedMore(Some(8)));
        assert_eq!(framing.step(&whole[..3]), Step::NeedMore(None));
        assert_eq!(framing.step(&[]), Step::NeedMore(None));
        assert_eq!(framing.step(b"\xBA\xBB"), Step::Invalid, "seen before the length is there");
    }

    #[test]
    fn hostile_lengths_are_no_units() {
        let framing = framing("");
        for length in [0, 1, 3, u32::MAX, u32::MAX - 1, UNIT_MAX as u32] {
            assert_eq!(framing.step(&unit(length)), Step::Invalid, "{length}");
        }
        assert_eq!(framing.step(&unit(4)), Step::Unit(6));
        let longest = Some(UNIT_MAX);
        assert_eq!(framing.step(&unit(UNIT_MAX as u32 - 2)), Step::NeedMore(longest));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            for framing in super::super::catalog::embedded() {
                if let Step::Unit(len) = framing.step(&bytes) {
                    prop_assert!(len > 0 && len <= bytes.len());
                }
            }
        }
    }
}
