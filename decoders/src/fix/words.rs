//! Text read eight bytes at a time, in plain integers: a FIX field is a few
//! bytes, where a branch a byte costs more than the work.

use super::SOH;

/// Every byte 1 and 0x80.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// The number before the `=` in the first five bytes, and its digits, one to
/// four; `None` where there is none.
#[inline]
pub fn tag(bytes: &[u8; 8]) -> Option<(u32, usize)> {
    tag_of(u64::from_le_bytes(*bytes))
}

/// As [`tag`], of bytes as one number, the first one lowest.
#[inline(always)]
pub fn tag_of(word: u64) -> Option<(u32, usize)> {
    // The lowest match is exact, which is the one asked for.
    let difference = word ^ (ONES * u64::from(b'='));
    let found = difference.wrapping_sub(ONES) & !difference & HIGH;
    let digits = found.trailing_zeros() / 8;
    if digits.wrapping_sub(1) >= 4 {
        return None;
    }
    let four = (word as u32 ^ 0x3030_3030).wrapping_shl(32u32.wrapping_sub(8 * digits));
    if (four.wrapping_add(0x7676_7676) | four) & 0x8080_8080 != 0 {
        return None;
    }
    let pairs = four.wrapping_mul(10).wrapping_add(four >> 8) & 0x00ff_00ff;
    Some((pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0xffff, digits as usize))
}

/// The number of eight decimal digits, the first in the lowest byte; `None`
/// where a byte is above 9. Each step joins neighbours.
#[inline]
fn digits_value(digits: u64) -> Option<u32> {
    if (digits.wrapping_add(ONES * 0x76) | digits) & HIGH != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff) as u32)
}

/// The number of eight decimal digits; `None` where a byte is none.
#[inline]
pub fn eight_digits(bytes: &[u8; 8]) -> Option<u32> {
    digits_value(u64::from_le_bytes(*bytes) ^ (ONES * u64::from(b'0')))
}

/// `HH:MM:SS` as the three numbers; `None` where it is written otherwise.
#[inline]
pub fn clock(bytes: &[u8; 8]) -> Option<(u32, u32, u32)> {
    const COLONS: u64 = u64::from_le_bytes(*b"\0\0:\0\0:\0\0");
    const ZEROS: u64 = u64::from_le_bytes(*b"00\x0000\x0000");
    let digits = u64::from_le_bytes(*bytes) ^ COLONS ^ ZEROS;
    let packed = digits_value(digits).filter(|_| bytes[2] == b':' && bytes[5] == b':')?;
    Some((packed / 1_000_000, packed / 1000 % 1000, packed % 1000))
}

/// The eight bytes from `start`, zeros after fewer, the first one lowest.
#[inline(always)]
pub fn eight_at(bytes: &[u8], start: usize) -> u64 {
    let rest = bytes.get(start..).unwrap_or_default();
    match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(eight), _) => u64::from_le_bytes(*eight),
        (_, Some(last)) if !rest.is_empty() => {
            u64::from_le_bytes(*last) >> (64 - 8 * rest.len() as u32)
        }
        _ => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Writes the places of all SOHs of `bytes` to the beginning of `ends`, which
/// grows where it must, and gives their number.
#[inline]
pub fn ends(bytes: &[u8], ends: &mut Vec<u32>) -> usize {
    let mut found = 0;
    for start in (0..bytes.len()).step_by(64) {
        if ends.len() < found + 64 {
            ends.resize(found + 64, 0);
        }
        let room = ends.get_mut(found..).and_then(|rest| rest.first_chunk_mut::<64>());
        let Some(room) = room else { break };
        let mut mask = block_mask(bytes, start);
        found = found.wrapping_add(mask.count_ones() as usize);
        let mut next = || {
            let at = (start as u32).wrapping_add(mask.trailing_zeros());
            mask &= mask.wrapping_sub(1);
            (at, mask)
        };
        // Few blocks have more than eight fields: so many without a branch,
        // those beyond the last one mean nothing.
        let (eight, more) = room.split_at_mut(8);
        let mut left = 0;
        eight.iter_mut().for_each(|end| (*end, left) = next());
        for end in more {
            if left == 0 {
                break;
            }
            (*end, left) = next();
        }
    }
    found
}

/// Gives the places of the SOHs of some bytes, one after the other: a bit a
/// byte for the block of 64 bytes looked at last.
#[derive(Debug, Default)]
pub struct SohFinder {
    /// First byte after the block.
    block_end: usize,
    /// The block's SOHs that were not given yet.
    mask: u64,
}

impl SohFinder {
    /// The next SOH of `bytes`.
    #[inline]
    pub fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.mask == 0 {
            if self.block_end >= bytes.len() {
                return None;
            }
            self.mask = block_mask(bytes, self.block_end);
            self.block_end += 64;
        }
        let at = self.mask.trailing_zeros() as usize;
        self.mask &= self.mask.wrapping_sub(1);
        Some(self.block_end.wrapping_sub(64).wrapping_add(at))
    }

    /// Goes on at `from`, wherever it was.
    pub fn seek(&mut self, bytes: &[u8], from: usize) {
        let start = from / 64 * 64;
        self.mask = block_mask(bytes, start) >> (from % 64) << (from % 64);
        self.block_end = start + 64;
    }
}

/// Which of the 64 bytes from `start` are SOH; none beyond the end is.
#[inline]
fn block_mask(bytes: &[u8], start: usize) -> u64 {
    let rest = bytes.get(start..).unwrap_or_default();
    if let Some(block) = rest.first_chunk::<64>() {
        return mask(block);
    }
    if let Some(last) = bytes.last_chunk::<64>().filter(|_| !rest.is_empty()) {
        return mask(last) >> (64 - rest.len());
    }
    let mut block = [0; 64];
    block.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    mask(&block)
}

/// A bit for each byte of a block that is SOH: first a 1 for each that is,
/// which compilers do for many at once, then the eight of a word side by side.
#[inline]
fn mask(block: &[u8; 64]) -> u64 {
    let mut found = [0u8; 64];
    found.iter_mut().zip(block).for_each(|(one, &byte)| *one = u8::from(byte == SOH));
    let (words, _) = found.as_chunks::<8>();
    words.iter().enumerate().fold(0, |mask, (at, word)| {
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask | bits << (8 * at)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read() {
        assert_eq!(tag(b"55=ALFA\x01"), Some((55, 2)));
        assert_eq!(tag(b"8=FIX.4."), Some((8, 1)));
        assert_eq!(tag(b"9717=abc"), Some((9717, 4)));
        assert_eq!(tag(b"035=D\x0149"), Some((35, 3)));
        for text in
            [b"=5555555", b"12345678", b"12345=67", b"5a=bcdef", b"\x0155=ABCD", b"5 5=ABCD"]
        {
            assert_eq!(tag(text), None);
        }
    }

    proptest! {
        #[test]
        fn tags_agree_with_parsing(number in 0u32..10_000) {
            let text = format!("{number}=xxxxxxxx");
            let bytes = text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(tag(bytes), Some((number, number.to_string().len())));
        }

        #[test]
        fn any_word_agrees_with_reading_bytes(bytes in prop::array::uniform8(
            prop_oneof![Just(b'='), b'0'..=b':', any::<u8>()])) {
            let end = bytes.iter().position(|&b| b == b'=').filter(|at| (1..=4).contains(at));
            let digits = end.map(|end| &bytes[..end]).filter(|d| d.iter().all(u8::is_ascii_digit));
            let number = digits.map(|d| (std::str::from_utf8(d).unwrap().parse().unwrap(), d.len()));
            prop_assert_eq!(tag(&bytes), number);
        }

        #[test]
        fn every_soh_is_found(bytes in prop::collection::vec(
            prop_oneof![3 => Just(SOH), 3 => 0u8..4, 1 => any::<u8>()], 0..300), from in 0usize..300) {
            let places = |from: usize| -> Vec<usize> {
                let found = bytes.iter().enumerate().skip(from).filter(|(_, b)| **b == SOH);
                found.map(|(at, _)| at).collect()
            };
            let mut finder = SohFinder::default();
            let found: Vec<usize> = std::iter::from_fn(|| finder.next(&bytes)).collect();
            prop_assert_eq!(found, places(0));
            finder.seek(&bytes, from);
            let found: Vec<usize> = std::iter::from_fn(|| finder.next(&bytes)).collect();
            prop_assert_eq!(found, places(from));
        }

        #[test]
        fn clocks_are_read(hour in 0u32..100, minute in 0u32..100, second in 0u32..100) {
            let text = format!("{hour:02}:{minute:02}:{second:02}");
            let bytes = text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(clock(bytes), Some((hour, minute, second)));
        }

        #[test]
        fn other_clocks_are_not(bytes in prop::array::uniform8(
            prop_oneof![Just(b':'), b'/'..=b';', any::<u8>()])) {
            let regular = [0, 1, 3, 4, 6, 7].iter().all(|&at: &usize| bytes[at].is_ascii_digit())
                && bytes[2] == b':' && bytes[5] == b':';
            prop_assert_eq!(clock(&bytes).is_some(), regular);
        }
    }
}
