//! Packets whose body is compressed, made whole again.
//!
//! ```text
//! | header | token literals distance … token literals |      as it was sent
//! | header | message message message                  |      as it is cut
//! ```
//!
//! The format is LZ4 in blocks (LZ4 Block Format Description, 2022-07-31):
//! a sequence is a token, literals, and a copy of bytes that came before; the
//! last one has no copy. Written here, in 60 lines that check every place: the
//! crate that the column store brings is built without its checks there.

use crate::framing::condition::Condition;

/// Most bytes that any framing may let a body unpack to.
pub const LIMIT_MAX: usize = 64 << 10;

/// Shortest copy that there is.
const COPY_MIN: usize = 4;

/// Which packets of a framing have a compressed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpack {
    /// Where this holds for the header.
    pub when: Condition,
    /// Most bytes that a body unpacks to.
    pub limit: usize,
}

/// Appends what a block unpacks to; `limit` bounds that, whatever the block's
/// lengths say.
///
/// # Errors
/// What is wrong with the block. What was unpacked before stays in `out`.
pub fn lz4_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const ENDS: &str = "compressed body ends early";
    const LONG: &str = "compressed body unpacks to more than its framing allows";
    let start = out.len();
    let mut rest = block;
    loop {
        let (&token, behind) = rest.split_first().ok_or(ENDS)?;
        rest = behind;
        let literals = length(usize::from(token >> 4), &mut rest).ok_or(ENDS)?;
        let (found, behind) = rest.split_at_checked(literals).ok_or(ENDS)?;
        if out.len() - start + literals > limit {
            return Err(LONG);
        }
        out.extend_from_slice(found);
        rest = behind;
        if rest.is_empty() {
            return Ok(());
        }
        let (&[low, high], behind) = rest.split_first_chunk().ok_or(ENDS)?;
        rest = behind;
        let distance = usize::from(u16::from_le_bytes([low, high]));
        let copied = length(usize::from(token & 15), &mut rest).ok_or(ENDS)? + COPY_MIN;
        if out.len() - start + copied > limit {
            return Err(LONG);
        }
        let from = out.len().checked_sub(distance).filter(|&from| from >= start && distance > 0);
        let from = from.ok_or("compressed body copies from before its beginning")?;
        // A copy may reach into itself: byte by byte.
        for at in from..from + copied {
            let byte = out.get(at).copied().unwrap_or_default();
            out.push(byte);
        }
    }
}

/// A length of four bits, and the bytes that go on from 15. Each adds at most
/// 255, so it stays far below what would overflow.
fn length(mut length: usize, rest: &mut &[u8]) -> Option<usize> {
    if length < 15 {
        return Some(length);
    }
    loop {
        let (&more, behind) = rest.split_first()?;
        *rest = behind;
        length = length.checked_add(usize::from(more))?;
        if more < 255 {
            return Some(length);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn long(mut length: usize, out: &mut Vec<u8>) {
        if length < 15 {
            return;
        }
        length -= 15;
        while length >= 255 {
            out.push(255);
            length -= 255;
        }
        out.push(length as u8);
    }

    fn sequence(literals: &[u8], copy: Option<(usize, usize)>, out: &mut Vec<u8>) {
        let more = copy.map_or(0, |(_, len)| len - COPY_MIN);
        out.push((literals.len().min(15) << 4 | more.min(15)) as u8);
        long(literals.len(), out);
        out.extend_from_slice(literals);
        if let Some((distance, _)) = copy {
            out.extend_from_slice(&(distance as u16).to_le_bytes());
            long(more, out);
        }
    }

    /// A plain packer: the longest copy of what came before, by trying all.
    pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut at, mut told) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            let same = |from: usize| {
                (0..bytes.len().saturating_sub(at + 5))
                    .take_while(|&i| bytes[from + i] == bytes[at + i])
                    .count()
            };
            let best = (at.saturating_sub(2000)..at).map(|from| (same(from), at - from)).max();
            match best {
                Some((len, distance)) if len >= COPY_MIN => {
                    sequence(&bytes[told..at], Some((distance, len)), &mut out);
                    at += len;
                    told = at;
                }
                _ => at += 1,
            }
        }
        sequence(&bytes[told..], None, &mut out);
        out
    }

    fn unpacked(block: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
        let mut out = b"header".to_vec();
        lz4_block(block, limit, &mut out).map(|()| out.split_off(6))
    }

    #[test]
    fn a_block_written_by_hand() {
        // Literals "abcd", six bytes from four before: into itself; "xyz".
        let block = b"\x42abcd\x04\x00\x30xyz";
        assert_eq!(unpacked(block, 64), Ok(b"abcdabcdabxyz".to_vec()));
        assert_eq!(unpacked(b"\x00", 64), Ok(Vec::new()), "an empty one");
        let zeros = [&b"\x1f\0\x01\x00"[..], &[255; 4], b"\x0a\x00"].concat();
        assert_eq!(unpacked(&zeros, 8192), Ok(vec![0; 1 + 15 + 4 * 255 + 10 + 4]));
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_grows_past_the_limit() {
        let fault = |block: &[u8], limit| unpacked(block, limit).unwrap_err();
        assert!(fault(b"", 64).contains("ends early"));
        assert!(fault(b"\x50abc", 64).contains("ends early"), "literals");
        assert!(fault(b"\xf0\xff", 64).contains("ends early"), "a length");
        assert!(fault(b"\x10a\x01", 64).contains("ends early"), "a distance");
        assert!(fault(b"\x10a\x02\x00\x00", 64).contains("before its beginning"));
        assert!(fault(b"\x10a\x00\x00\x00", 64).contains("before its beginning"), "distance 0");
        assert!(fault(b"\x42abcd\x04\x00\x30xyz", 12).contains("more than"), "at the end");
        let bomb = [&b"\x1f\0\x01\x00"[..], &[255; 1 << 20], b"\x00\x00"].concat();
        assert!(fault(&bomb, 8192).contains("more than"), "255 MB");
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            words in prop::collection::vec(prop::sample::select(vec![
                &b"12345678"[..], b"\0\0\0\0\0\0\0\0\0\0\0", b"abc", b"order", b"x",
            ]), 0..400),
        ) {
            let bytes = words.concat();
            let block = pack(&bytes);
            prop_assert_eq!(unpacked(&block, 8192), Ok(bytes));
        }

        #[test]
        fn any_bytes_stay_below_the_limit(block in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            let _ = lz4_block(&block, 500, &mut out);
            prop_assert!(out.len() <= 500);
        }
    }
}
