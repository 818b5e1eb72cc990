//! A bounded view of an input that is read once, from front to back.
//!
//! ```text
//!            start          end
//!              ▼             ▼
//! buf   [consumed│ unread    │ free      ]   WINDOW_BYTES
//!                 ▲
//!                 offset: this byte's place in the whole input
//! ```

use std::io::{self, ErrorKind, Read};

/// Bytes held at once: more than the largest packet record, small enough to
/// stay in the processor's second-level cache.
pub(super) const WINDOW_BYTES: usize = 512 << 10;

/// Whether the window holds what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Have {
    /// All of it.
    All,
    /// Not yet; ask again later.
    Later,
    /// The input ended: only this many bytes.
    Only(usize),
}

/// The unread part of an input.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
    /// Where false, nothing is read and what is missing comes [`Have::Later`].
    pub(super) may_read: bool,
    /// The end of the input is where its writer is now.
    pub(super) follow: bool,
    /// A compressed input ended in the middle.
    pub(super) compressed_cut: bool,
}

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            buf: vec![0; WINDOW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            may_read: true,
            follow: false,
            compressed_cut: false,
        }
    }

    /// The unread bytes at hand.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Where in the (uncompressed) input the first unread byte stands.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `len` bytes are unread; `len` is at most [`WINDOW_BYTES`].
    #[inline]
    pub(super) fn need(&mut self, len: usize) -> io::Result<Have> {
        if self.end - self.start >= len { Ok(Have::All) } else { self.read_more(len) }
    }

    #[cold]
    fn read_more(&mut self, len: usize) -> io::Result<Have> {
        debug_assert!(len <= WINDOW_BYTES);
        if !self.may_read {
            return Ok(Have::Later);
        }
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < len {
            let free = self.buf.get_mut(self.end..).unwrap_or_default();
            match self.input.read(free) {
                Ok(0) if self.follow => return Ok(Have::Later),
                Ok(0) => return Ok(Have::Only(self.end)),
                Ok(n) => self.end += n.min(free.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    self.compressed_cut = true;
                    return Ok(Have::Only(self.end));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Have::All)
    }

    /// Takes the first `len` unread bytes as read; at most what is at hand.
    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.end - self.start);
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads past `left` bytes without holding them, and lowers `left` by
    /// what it passed.
    pub(super) fn discard(&mut self, left: &mut u64) -> io::Result<Have> {
        while *left > 0 {
            match self.need(1)? {
                Have::All => {}
                other => return Ok(other),
            }
            let at_hand = (self.end - self.start) as u64;
            let step = at_hand.min(*left);
            self.consume(step as usize);
            *left -= step;
        }
        Ok(Have::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a call.
    struct Drip(Vec<u8>);

    impl Read for Drip {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match (buf.first_mut(), self.0.is_empty()) {
                (Some(first), false) => {
                    *first = self.0.remove(0);
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    #[test]
    fn joins_short_reads_and_counts_offsets() {
        let mut window = Window::new(Box::new(Drip((0..10).collect())));
        assert_eq!(window.need(4).unwrap(), Have::All);
        assert_eq!(window.bytes(), [0, 1, 2, 3]);
        window.consume(3);
        assert_eq!(window.need(4).unwrap(), Have::All);
        assert_eq!((window.offset(), window.bytes()), (3, &[3, 4, 5, 6][..]));
        assert_eq!(window.need(8).unwrap(), Have::Only(7));
    }

    #[test]
    fn reads_nothing_when_it_may_not() {
        let mut window = Window::new(Box::new(Drip(vec![1, 2])));
        window.may_read = false;
        assert_eq!(window.need(1).unwrap(), Have::Later);
        window.may_read = true;
        assert_eq!(window.need(2).unwrap(), Have::All);
    }

    #[test]
    fn discards_more_than_it_holds() {
        let len = WINDOW_BYTES * 3 + 5;
        let mut window = Window::new(Box::new(io::Cursor::new(vec![7; len])));
        let mut left = len as u64 - 2;
        assert_eq!(window.discard(&mut left).unwrap(), Have::All);
        assert_eq!(window.need(3).unwrap(), Have::Only(2));
        left = 10;
        assert_eq!(window.discard(&mut left).unwrap(), Have::Only(0));
        assert_eq!(left, 8);
    }
}
