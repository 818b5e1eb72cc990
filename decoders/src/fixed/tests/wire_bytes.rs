//! Messages byte by byte, from nothing that the engine reads.

/// A message being written.
#[derive(Clone, Debug, Default)]
pub struct WireBytes(pub Vec<u8>);

impl WireBytes {
    /// A message that starts with a code.
    pub fn code(code: u8) -> Self {
        Self(vec![code])
    }

    /// The low `width` bytes of a number, most significant first.
    pub fn be(mut self, width: usize, number: u64) -> Self {
        let eight = number.to_be_bytes();
        self.0.extend(&eight[8 - width..]);
        self
    }

    /// The low `width` bytes of a number, least significant first.
    pub fn le(mut self, width: usize, number: u64) -> Self {
        let eight = number.to_le_bytes();
        self.0.extend(&eight[..width]);
        self
    }

    /// A text padded with spaces.
    pub fn text(mut self, width: usize, text: &str) -> Self {
        assert!(text.len() <= width);
        self.0.extend(text.bytes());
        self.0.extend(std::iter::repeat_n(b' ', width - text.len()));
        self
    }

    /// An ITCH message's first 11 bytes.
    pub fn itch(code: u8, locate: u64, time_ns: u64) -> Self {
        Self::code(code).be(2, locate).be(2, 3).be(6, time_ns)
    }

    /// An OUCH answer's first 13 bytes.
    pub fn ouch_event(code: u8, time_ns: u64, user_ref_num: u64) -> Self {
        Self::code(code).be(8, time_ns).be(4, user_ref_num)
    }

    /// A list of elements with its length before it.
    pub fn appendage(self, elements: &[(u8, &[u8])]) -> Self {
        let size: usize = elements.iter().map(|(_, value)| value.len() + 2).sum();
        let mut message = self.be(2, size as u64);
        for (tag, value) in elements {
            message.0.extend([value.len() as u8 + 1, *tag]);
            message.0.extend(*value);
        }
        message
    }
}
