//! What was read, and what was not, by its reason.

use std::collections::BTreeMap;

/// How often, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Times.
    pub times: u64,
    /// Bytes: of the frame where its headers could not be read, else of the
    /// payload.
    pub bytes: u64,
}

/// Counts of a whole capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Packets taken in.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Messages given out.
    pub messages: u64,
    /// Messages that a framing counted but the capture length cut off.
    pub messages_cut: u64,
    /// What was not decoded. The reasons are fixed texts, so this stays small.
    pub undecoded: BTreeMap<&'static str, Count>,
}

impl Counters {
    /// Counts `bytes` that were not decoded.
    pub fn undecoded(&mut self, reason: &'static str, bytes: usize) {
        let count = self.undecoded.entry(reason).or_default();
        count.times += 1;
        count.bytes += bytes as u64;
    }
}
