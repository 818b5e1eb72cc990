//! Where one FIX message ends and the next begins.
//!
//! ```text
//! 8=FIX.4.4␁9=178␁35=D␁ ... ␁10=128␁
//!                 └── 178 bytes ──┘└ sum of all bytes before, modulo 256
//! ```
//!
//! A message is what has tag 8, then tag 9, then `10=ddd` exactly where the
//! length says (FIX tag=value encoding, "Message Format"). Everything else is
//! garbage to be skipped: one byte at least, up to what may begin a message.

use memchr::{memchr, memmem};

use super::SOH;

/// Longest message followed; a longer length is taken for garbage.
pub const MESSAGE_MAX: usize = 1 << 20;

/// Longest BeginString, `8=` and its end counted.
pub const BEGIN_MAX: usize = 32;

/// Most digits of a BodyLength; seven hold [`MESSAGE_MAX`].
const LENGTH_DIGITS_MAX: usize = 7;

/// Bytes of `10=ddd` and its end.
const TRAILER_LEN: usize = 7;

/// What stands at the beginning of some bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A whole message.
    Message {
        /// Its bytes, trailer included.
        len: usize,
        /// Whether the sum of the bytes is what tag 10 says.
        checksum_ok: bool,
    },
    /// The beginning of a message; more bytes are needed. At most
    /// [`MESSAGE_MAX`] bytes in all.
    NeedMore,
    /// So many bytes, at least one, are no message.
    Skip(usize),
}

/// Says what stands at the beginning of `buf`.
pub fn scan(buf: &[u8]) -> Scan {
    match header(buf) {
        Header::Short => Scan::NeedMore,
        Header::Garbled => skip(buf),
        Header::Body { start, len } => body(buf, start, len),
    }
}

/// The protocol id for a BeginString, `fix` where it is none of the standard.
pub fn protocol_id(begin_string: &[u8]) -> &'static str {
    match begin_string {
        b"FIX.4.0" => "fix.4.0",
        b"FIX.4.1" => "fix.4.1",
        b"FIX.4.2" => "fix.4.2",
        b"FIX.4.3" => "fix.4.3",
        b"FIX.4.4" => "fix.4.4",
        b"FIX.5.0" => "fix.5.0",
        b"FIX.5.0SP1" => "fix.5.0sp1",
        b"FIX.5.0SP2" => "fix.5.0sp2",
        b"FIXT.1.1" => "fixt.1.1",
        _ => "fix",
    }
}

/// The value of tag 8 where it begins `msg`.
pub fn begin_string(msg: &[u8]) -> Option<&[u8]> {
    let rest = msg.strip_prefix(b"8=")?;
    let end = memchr(SOH, rest.get(..BEGIN_MAX).unwrap_or(rest))?;
    rest.get(..end)
}

/// The sum of bytes modulo 256, as tag 10 has it.
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
}

/// Whether the message's tag 10 is the sum of what precedes it.
pub fn checksum_ok(msg: &[u8]) -> bool {
    let Some((rest, trailer)) = msg.split_last_chunk::<TRAILER_LEN>() else { return false };
    trailer_value(trailer) == Some(u16::from(checksum(rest)))
}

enum Header {
    Body { start: usize, len: usize },
    Short,
    Garbled,
}

/// Reads `8=...␁9=n␁`.
fn header(buf: &[u8]) -> Header {
    let Some(begin_end) = memchr(SOH, buf.get(..BEGIN_MAX).unwrap_or(buf)) else {
        return if buf.len() < BEGIN_MAX && begins_alike(buf, b"8=") {
            Header::Short
        } else {
            Header::Garbled
        };
    };
    if !buf.starts_with(b"8=") || begin_end == 2 {
        return Header::Garbled;
    }
    let rest = buf.get(begin_end + 1..).unwrap_or_default();
    match body_length(rest) {
        Some((digits, len)) => Header::Body { start: begin_end + 1 + 2 + digits + 1, len },
        None if rest.len() < 2 + LENGTH_DIGITS_MAX + 1 && length_may_follow(rest) => Header::Short,
        None => Header::Garbled,
    }
}

/// Digits and value of `9=n␁`.
fn body_length(rest: &[u8]) -> Option<(usize, usize)> {
    let digits = rest.strip_prefix(b"9=")?;
    let count =
        digits.iter().take(LENGTH_DIGITS_MAX + 1).take_while(|b| b.is_ascii_digit()).count();
    if count == 0 || count > LENGTH_DIGITS_MAX || digits.get(count) != Some(&SOH) {
        return None;
    }
    let value = digits.iter().take(count).fold(0, |n, &b| n * 10 + usize::from(b - b'0'));
    Some((count, value))
}

/// Whether `rest`, cut short, may be the beginning of `9=n␁`.
fn length_may_follow(rest: &[u8]) -> bool {
    begins_alike(rest, b"9=") && rest.iter().skip(2).all(u8::is_ascii_digit)
}

/// Whether one begins with the other.
fn begins_alike(buf: &[u8], prefix: &[u8]) -> bool {
    buf.iter().zip(prefix).all(|(a, b)| a == b)
}

fn body(buf: &[u8], start: usize, len: usize) -> Scan {
    let total = start + len + TRAILER_LEN;
    if total > MESSAGE_MAX {
        return skip(buf);
    }
    let Some(message) = buf.get(..total) else { return Scan::NeedMore };
    let Some((rest, trailer)) = message.split_last_chunk::<TRAILER_LEN>() else {
        return skip(buf);
    };
    match trailer_value(trailer) {
        Some(sum) if rest.last() == Some(&SOH) => {
            Scan::Message { len: total, checksum_ok: sum == u16::from(checksum(rest)) }
        }
        _ => skip(buf),
    }
}

/// The number in `10=ddd␁`.
fn trailer_value(trailer: &[u8; TRAILER_LEN]) -> Option<u16> {
    let &[b'1', b'0', b'=', digits @ .., SOH] = trailer else { return None };
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| digits.iter().fold(0, |n, &b| n * 10 + u16::from(b - b'0')))
}

/// Skips to the next place where a message may begin: `8=FIX` anywhere, or
/// `8=` after an SOH, for BeginStrings of other names. What may be the first
/// bytes of one at the end is kept.
fn skip(buf: &[u8]) -> Scan {
    for found in memmem::find_iter(buf.get(1..).unwrap_or_default(), b"8=") {
        let at = found + 1;
        let after_soh = buf.get(at - 1) == Some(&SOH);
        if after_soh || begins_alike(buf.get(at..).unwrap_or_default(), b"8=FIX") {
            return Scan::Skip(at);
        }
    }
    let keep = usize::from(buf.len() > 1 && buf.last() == Some(&b'8'));
    Scan::Skip((buf.len() - keep).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fix::tests::message;

    #[test]
    fn a_whole_message_and_every_prefix() {
        let msg = message("FIX.4.4", "35=0|49=A|56=B|34=1|");
        assert_eq!(scan(&msg), Scan::Message { len: msg.len(), checksum_ok: true });
        for cut in 0..msg.len() {
            assert_eq!(scan(&msg[..cut]), Scan::NeedMore, "{cut}");
        }
    }

    #[test]
    fn garbage_before_a_message_is_skipped_up_to_it() {
        let msg = message("FIX.4.2", "35=0|");
        let mut buf = b"\x00junk 8=".to_vec();
        let garbage = buf.len();
        buf.extend_from_slice(&msg);
        let mut at = 0;
        let len = loop {
            match scan(&buf[at..]) {
                Scan::Skip(n) => at += n,
                Scan::Message { len, checksum_ok } => break checksum_ok.then_some(len),
                Scan::NeedMore => panic!("stuck at {at}"),
            }
        };
        assert_eq!((at, len), (garbage, Some(msg.len())));
    }

    #[test]
    fn a_wrong_sum_is_a_message_with_a_flag() {
        let mut msg = message("FIX.4.4", "35=0|49=A|");
        let at = msg.len() - 9;
        msg[at] = b'B';
        assert_eq!(scan(&msg), Scan::Message { len: msg.len(), checksum_ok: false });
    }

    #[test]
    fn a_wrong_length_leads_to_the_next_message() {
        let good = message("FIX.4.4", "35=0|49=A|");
        let mut buf = String::from_utf8(good.clone()).unwrap().replace("9=10", "9=11").into_bytes();
        let garbled = buf.len();
        buf.extend_from_slice(&good);
        assert_eq!(scan(&buf), Scan::Skip(garbled));
    }

    #[test]
    fn other_begin_strings_are_followed_where_length_and_trailer_fit() {
        let msg = message("XYZ.1", "35=0|");
        assert!(matches!(scan(&msg), Scan::Message { checksum_ok: true, .. }));
        let mut buf = b"8=XYZ.1\x01junk\x01".to_vec();
        let garbage = buf.len();
        buf.extend_from_slice(&msg);
        assert_eq!(scan(&buf), Scan::Skip(garbage));
    }

    #[test]
    fn a_length_over_the_limit_is_garbage() {
        assert!(matches!(scan(b"8=FIX.4.4\x019=9999999\x0135=0\x01"), Scan::Skip(_)));
        assert!(matches!(scan(b"8=FIX.4.4\x019=99999999\x0135=0\x01"), Scan::Skip(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_never_go_past_the_end(buf in prop::collection::vec(
            prop_oneof![Just(b'8'), Just(b'='), Just(b'F'), Just(b'9'), Just(SOH), Just(b'1'), any::<u8>()], 0..200)) {
            let mut at = 0;
            while at < buf.len() {
                match scan(&buf[at..]) {
                    Scan::NeedMore => break,
                    Scan::Skip(n) | Scan::Message { len: n, .. } => {
                        prop_assert!(n > 0 && at + n <= buf.len());
                        at += n;
                    }
                }
            }
        }

        #[test]
        fn a_flipped_bit_is_never_a_message_with_a_right_sum_and_other_length(bit in 0usize..8 * 60) {
            let msg = message("FIX.4.4", "35=0|49=SENDER|56=TARGET|34=1|");
            let mut bad = msg.clone();
            let at = (bit / 8) % msg.len();
            bad[at] ^= 1 << (bit % 8);
            if let Scan::Message { len, .. } = scan(&bad) {
                prop_assert_eq!(len, msg.len());
            }
        }
    }
}
