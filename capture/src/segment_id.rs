//! The name of a segment of live capture: what a capture is called before its
//! content is known.
//!
//! ```text
//! section header: .. │ 0x8004 │ "5c0f7d0e9a…" (32 hex digits) │ ..
//! ```
//!
//! It stands in the file's first block, so that whoever finds the file after a crash
//! calls it the same.

use crate::account::OPTION_SEGMENT;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Digits of a name.
const DIGITS: usize = 32;

/// A section header is not longer where this module wrote it.
const HEADER_MAX: u64 = 256;

/// Where a section header's options begin.
const OPTIONS_AT: usize = 24;

/// A name that no other segment has: 128 bits that the system made at random, mixed
/// with the time and the process.
pub fn new_segment_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let half = |number: u8| RandomState::new().hash_one((now, std::process::id(), number));
    format!("{:016x}{:016x}", half(0), half(1))
}

/// Whether a text is such a name.
pub fn is_segment_id(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The name in the header of a segment; `None` in any other file.
///
/// # Errors
/// Where the file cannot be read.
pub fn segment_id(path: &Path) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEADER_MAX).read_to_end(&mut head)?;
    Ok(find(&head))
}

fn find(head: &[u8]) -> Option<String> {
    let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let half = |at: usize| head.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    if (word(0)?, word(8)?) != (0x0a0d_0d0a, 0x1a2b_3c4d) {
        return None;
    }
    let end = usize::try_from(word(4)?).ok()?.min(head.len());
    let mut at = OPTIONS_AT;
    while at + 4 <= end {
        let (code, len) = (half(at)?, usize::from(half(at + 2)?));
        if code == OPTION_SEGMENT {
            let text = std::str::from_utf8(head.get(at + 4..at + 4 + len)?).ok()?;
            return is_segment_id(text).then(|| text.to_owned());
        }
        if code == 0 {
            return None;
        }
        at += 4 + len.next_multiple_of(4);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::LinkType;
    use crate::pcapng_writer::PcapngWriter;
    use proptest::prelude::*;

    fn header(segment: Option<&str>) -> Vec<u8> {
        let interfaces = [(LinkType::ETHERNET, "eth0")];
        PcapngWriter::of_segment(Vec::new(), &interfaces, segment).unwrap().finish().unwrap()
    }

    #[test]
    fn a_name_is_found_again_and_no_other_file_has_one() {
        let id = new_segment_id();
        assert!(is_segment_id(&id) && id != new_segment_id());
        assert_eq!(find(&header(Some(&id))), Some(id));
        assert_eq!(find(&header(None)), None);
        assert_eq!(find(&header(Some("../../etc/passwd"))), None);
    }

    proptest! {
        #[test]
        fn any_bytes(start in 0..64_usize, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut head = header(Some(&new_segment_id()));
            head.truncate(start);
            head.extend(bytes);
            if let Some(id) = find(&head) {
                prop_assert!(is_segment_id(&id));
            }
        }
    }
}
