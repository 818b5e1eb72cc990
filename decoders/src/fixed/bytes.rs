//! Reading a number of 1 to 8 bytes with one load.
//!
//! ```text
//! body    0  1  2  3  4  5  6  7  8  9 10 11 ..
//! u48 at 5               [--------------]
//! window           [=====================]      8 bytes from 3, as one u64
//!                   << left, then >> right       drops the neighbours, extends the sign
//! ```
//!
//! Every width and both byte orders are this one form, so an operation needs
//! no branch on the width.

use crate::fixed::place::Parts;
use std::ops::Range;

/// Bytes that numbers are read from.
pub trait Body {
    /// The 8 bytes from `start`; those past the end are zeros.
    fn eight(&self, start: usize) -> [u8; 8];

    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The whole message, where these are one of its parts and need another.
    #[inline(always)]
    fn parts(&self) -> Option<Parts<'_>> {
        None
    }
}

/// A short message in a place of fixed size: reading it needs no check of its
/// length. What is after the message means nothing.
pub type Lane = [u8; 64];

/// Last byte from which a lane has 8 bytes.
const LANE_LAST: usize = size_of::<Lane>() - 8;

impl Body for &Lane {
    #[inline(always)]
    fn eight(&self, start: usize) -> [u8; 8] {
        let rest = self.get(start.min(LANE_LAST)..).and_then(|rest| rest.first_chunk());
        rest.copied().unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Body for &[u8] {
    #[inline(always)]
    fn eight(&self, start: usize) -> [u8; 8] {
        match self.get(start..).and_then(|rest| rest.first_chunk()) {
            Some(eight) => *eight,
            None => eight_padded(self.get(start..).unwrap_or_default()),
        }
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Bytes among many messages', from `at` on. What is after them means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Spot<'a> {
    /// The messages, one after the other.
    pub bytes: &'a [u8],
    /// Where these begin.
    pub at: u32,
}

impl Body for Spot<'_> {
    #[inline(always)]
    fn eight(&self, start: usize) -> [u8; 8] {
        self.bytes.eight((self.at as usize).wrapping_add(start))
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.at as usize..).unwrap_or_default()
    }
}

/// A part of a message, with the message.
#[derive(Clone, Copy, Debug)]
pub struct Within<'a> {
    /// The message from the part on.
    pub body: &'a [u8],
    /// The message, where the part needs another one.
    pub parts: Option<Parts<'a>>,
}

impl Body for Within<'_> {
    #[inline(always)]
    fn eight(&self, start: usize) -> [u8; 8] {
        self.body.eight(start)
    }

    fn bytes(&self) -> &[u8] {
        self.body
    }

    #[inline(always)]
    fn parts(&self) -> Option<Parts<'_>> {
        self.parts
    }
}

#[cold]
fn eight_padded(rest: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    eight
}

/// Copies a message into a lane; what does not fit is left out. Four times
/// sixteen bytes, over each other where the message is shorter: sizes follow
/// each other without a pattern, so that nothing may branch on them.
#[inline(always)]
pub fn write_lane(lane: &mut Lane, body: &[u8]) {
    const PIECE: usize = 16;
    let Some(last) = body.len().min(size_of::<Lane>()).checked_sub(PIECE) else {
        lane.iter_mut().zip(body).for_each(|(to, from)| *to = *from);
        return;
    };
    for at in [0, last.min(PIECE), last.min(2 * PIECE), last] {
        let from = body.get(at..).and_then(|rest| rest.first_chunk::<PIECE>());
        let to = lane.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<PIECE>());
        if let (Some(to), Some(from)) = (to, from) {
            *to = *from;
        }
    }
}

/// Where a number lies and how its neighbours are shifted away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: u32,
    end: u32,
    left: u8,
    right: u8,
    little: bool,
}

impl Window {
    /// The window of `width` bytes (1 to 8) at `offset`. `None` for any other
    /// width or an offset past 2^31.
    pub fn new(offset: u32, width: u32, little: bool) -> Option<Self> {
        if !(1..=8).contains(&width) || offset > i32::MAX as u32 {
            return None;
        }
        let end = offset + width;
        let start = end.saturating_sub(8);
        let before = 8 * (offset - start);
        let right = 64 - 8 * width;
        let left = if little { right - before } else { before };
        Some(Self { start, end, left: left as u8, right: right as u8, little })
    }

    /// The number's bytes.
    pub fn bytes(self) -> Range<u32> {
        let width = 8 - u32::from(self.right) / 8;
        self.end.saturating_sub(width)..self.end
    }

    /// First byte after the number.
    pub fn end(self) -> u32 {
        self.end
    }

    /// Whether the number is one byte.
    pub fn is_byte(self) -> bool {
        self.right == 56
    }

    /// The number, unsigned; bytes past the end of `body` count as zeros.
    #[inline(always)]
    pub fn unsigned(self, body: &[u8]) -> u64 {
        self.unsigned_in(&body)
    }

    /// The same in any kind of body.
    #[inline(always)]
    pub fn unsigned_in(self, body: &impl Body) -> u64 {
        (self.raw(body) << (self.left & 63)) >> (self.right & 63)
    }

    /// The number, sign extended; bytes past the end of `body` count as zeros.
    #[inline(always)]
    pub fn signed_in(self, body: &impl Body) -> i64 {
        ((self.raw(body) << (self.left & 63)) as i64) >> (self.right & 63)
    }

    #[inline(always)]
    fn raw(self, body: &impl Body) -> u64 {
        let raw = u64::from_le_bytes(body.eight(self.start as usize));
        if self.little { raw } else { raw.swap_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The plain way, byte by byte.
    fn by_hand(body: &[u8], offset: usize, width: usize, little: bool) -> u64 {
        let byte = |i: usize| u64::from(body.get(offset + i).copied().unwrap_or(0));
        (0..width).fold(
            0,
            |value, i| {
                if little { value | byte(i) << (8 * i) } else { value << 8 | byte(i) }
            },
        )
    }

    proptest! {
        #[test]
        fn every_width_and_order_reads_as_by_hand(
            body in prop::collection::vec(any::<u8>(), 0..40),
            offset in 0u32..40,
            width in 1u32..9,
            little: bool,
        ) {
            let window = Window::new(offset, width, little).unwrap();
            let want = by_hand(&body, offset as usize, width as usize, little);
            prop_assert_eq!(window.unsigned(&body), want);
            prop_assert_eq!(window.bytes(), offset..offset + width);
            let shift = 64 - 8 * width;
            prop_assert_eq!(window.signed_in(&body.as_slice()), ((want << shift) as i64) >> shift);
        }
    }

    #[test]
    fn a_lane_has_the_messages_first_bytes() {
        let long: Vec<u8> = (1..=100).collect();
        for len in 0..=long.len() {
            let mut lane = [0; 64];
            write_lane(&mut lane, &long[..len]);
            let kept = len.min(64);
            assert_eq!(lane[..kept], long[..kept], "{len}");
            assert!(lane[kept..].iter().all(|&byte| byte == 0), "{len}");
            for end in 1..=kept as u32 {
                let window = Window::new(end - 1, 1, false).unwrap();
                assert_eq!(window.unsigned_in(&&lane), u64::from(long[end as usize - 1]));
            }
        }
    }

    #[test]
    fn other_widths_are_refused() {
        assert_eq!(Window::new(0, 0, false), None);
        assert_eq!(Window::new(0, 9, false), None);
        assert_eq!(Window::new(u32::MAX, 1, false), None);
    }
}
