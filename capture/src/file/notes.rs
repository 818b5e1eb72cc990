//! What was wrong with a file. Trouble that may come with every packet is
//! counted and told once, at the end, with the place of the first.

use crate::packet::CAPLEN_MAX;
use crate::source::Warning;

/// Trouble that may repeat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repeated {
    /// A time that does not fit.
    TimeOutOfRange,
    /// A fraction of a second of one second or more.
    FractionTooLarge,
    /// A packet of an interface that was not described.
    UnknownInterface,
    /// A packet longer than [`CAPLEN_MAX`] in a block of known length.
    PacketTooLong,
    /// A block too short for what it says it holds.
    BlockTooShort,
    /// An interface description past the limit.
    TooManyInterfaces,
    /// A pcapng section of a version that is not known.
    UnknownVersion,
    /// An interface statistics block past the limit.
    TooManyStatistics,
}

/// One text a kind, at its number.
const TEXTS: [&str; 8] = [
    "packet times do not fit 64-bit nanoseconds and were set to 0",
    "packet times have a fraction of one second or more, added as it stands",
    "packets name an interface that the section does not describe and were left out",
    "packets are longer than can be taken and were left out",
    "blocks are too short for the fields or the packet they claim and were left out",
    "interface descriptions are past the limit; their packets were left out",
    "sections are of another pcapng version than 1.x and were left out",
    "interface statistics are past the limit and were left out of capture_stats",
];

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    first_offset: u64,
    count: u64,
}

/// The warnings of one file.
#[derive(Debug)]
pub(super) struct Notes {
    name: String,
    input_len: Option<u64>,
    warnings: Vec<Warning>,
    tallies: [Tally; TEXTS.len()],
}

impl Notes {
    /// `input_len`: the uncompressed length, where known.
    pub(super) fn new(name: String, input_len: Option<u64>) -> Self {
        Self { name, input_len, warnings: Vec::new(), tallies: Default::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Warns at once; for what happens at most a few times a file.
    pub(super) fn warn(&mut self, offset: u64, text: String) {
        self.warnings.push(Warning { source: self.name.clone(), offset: Some(offset), text });
    }

    /// Counts trouble that may repeat.
    #[cold]
    pub(super) fn count(&mut self, kind: Repeated, offset: u64) {
        if let Some(tally) = self.tallies.get_mut(kind as usize) {
            if tally.count == 0 {
                tally.first_offset = offset;
            }
            tally.count = tally.count.saturating_add(1);
        }
    }

    /// What stays unread from `offset` on, in words.
    pub(super) fn rest(&self, offset: u64) -> String {
        match self.input_len {
            Some(len) => {
                format!("the {} bytes from here on are not read", len.saturating_sub(offset))
            }
            None => "the input from here on is not read".to_string(),
        }
    }

    /// A record or block that the end of the input cuts.
    pub(super) fn cut(&mut self, offset: u64, what: &str, needed: u64, had: u64, compressed: bool) {
        let why = if compressed { "the gzip data ends early" } else { "the input ends" };
        self.warn(
            offset,
            format!("{why} inside a {what}: needs {needed} bytes, has {had}; everything before it was read"),
        );
    }

    /// Turns the counts into warnings; called once the file has ended.
    pub(super) fn finish(&mut self) {
        for (tally, text) in std::mem::take(&mut self.tallies).iter().zip(TEXTS) {
            if tally.count > 0 {
                let limit = if text.contains("longer") {
                    format!(" (limit {CAPLEN_MAX} bytes)")
                } else {
                    String::new()
                };
                self.warn(
                    tally.first_offset,
                    format!("{} {text}{limit}; the first is here", tally.count),
                );
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }
}
