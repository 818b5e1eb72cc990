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

    /// First byte after the number.
    pub fn end(self) -> u32 {
        self.end
    }

    /// Whether the number's first byte is its least significant.
    pub fn is_little(self) -> bool {
        self.little
    }

    /// The number, unsigned; bytes past the end of `body` count as zeros.
    pub fn unsigned(self, body: &[u8]) -> u64 {
        if self.little { self.unsigned_le(body) } else { self.unsigned_be(body) }
    }

    /// The number, sign extended; bytes past the end of `body` count as zeros.
    pub fn signed(self, body: &[u8]) -> i64 {
        let raw = if self.little {
            u64::from_le_bytes(self.eight(body))
        } else {
            u64::from_be_bytes(self.eight(body))
        };
        ((raw << self.left) as i64) >> self.right
    }

    /// [`unsigned`](Self::unsigned) for a big-endian window.
    #[inline(always)]
    pub fn unsigned_be(self, body: &[u8]) -> u64 {
        (u64::from_be_bytes(self.eight(body)) << (self.left & 63)) >> (self.right & 63)
    }

    /// [`unsigned`](Self::unsigned) for a little-endian window.
    #[inline(always)]
    pub fn unsigned_le(self, body: &[u8]) -> u64 {
        (u64::from_le_bytes(self.eight(body)) << (self.left & 63)) >> (self.right & 63)
    }

    #[inline(always)]
    fn eight(self, body: &[u8]) -> [u8; 8] {
        match body.get(self.start as usize..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(eight) => *eight,
            None => self.eight_padded(body),
        }
    }

    #[cold]
    fn eight_padded(self, body: &[u8]) -> [u8; 8] {
        let mut eight = [0; 8];
        let rest = body.get(self.start as usize..).unwrap_or_default();
        for (to, from) in eight.iter_mut().zip(rest) {
            *to = *from;
        }
        eight
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
            let shift = 64 - 8 * width;
            prop_assert_eq!(window.signed(&body), ((want << shift) as i64) >> shift);
        }
    }

    #[test]
    fn other_widths_are_refused() {
        assert_eq!(Window::new(0, 0, false), None);
        assert_eq!(Window::new(0, 9, false), None);
        assert_eq!(Window::new(u32::MAX, 1, false), None);
    }
}
