//! Bytes as they go over the wire, built from the published layouts.
//!
//! ```text
//! itch  ─► mold ────────► udp ─┐
//! pitch ─► unit header ─► udp ─┤
//! fast  ────────────────► udp ─┼─► ip ─► ether ─► [metamako trailer]
//! ouch  ─► soup ────────► tcp ─┤
//! fix   ────────────────► tcp ─┘
//! ```
//!
//! Written without a look at the decoders, so that a mistake made there does
//! not repeat here.

pub mod erf;
pub mod ether;
pub mod fast;
pub mod fix;
pub mod ip;
pub mod itch;
pub mod metamako;
pub mod mold;
pub mod ouch;
pub mod pitch;
pub mod soup;
pub mod tcp;
pub mod udp;
pub mod unit_header;

/// Appends `text` left-justified in `width` bytes, padded with spaces; what
/// does not fit is cut off.
pub(crate) fn put_alpha(out: &mut Vec<u8>, text: &str, width: usize) {
    let bytes = text.as_bytes();
    let taken = bytes.len().min(width);
    out.extend_from_slice(&bytes[..taken]);
    out.resize(out.len() + width - taken, b' ');
}

/// The Internet checksum (RFC 1071) of `parts` laid end to end; every part
/// but the last has an even length.
pub(crate) fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let mut pairs = part.chunks_exact(2);
        for pair in &mut pairs {
            sum += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
        if let [last] = pairs.remainder() {
            sum += u64::from(*last) << 8;
        }
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_padded_and_cut() {
        let mut out = Vec::new();
        put_alpha(&mut out, "AB", 4);
        put_alpha(&mut out, "ABCDEF", 4);
        assert_eq!(out, b"AB  ABCD");
    }

    #[test]
    fn checksum_of_the_rfc_1071_example() {
        // RFC 1071 section 3: sum of these words is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&[&bytes]), !0xddf2);
        assert_eq!(internet_checksum(&[&bytes[..4], &bytes[4..]]), !0xddf2);
    }

    #[test]
    fn checksum_pads_an_odd_byte() {
        assert_eq!(internet_checksum(&[&[0x12]]), !0x1200);
    }
}
