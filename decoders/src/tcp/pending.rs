//! Segments that wait behind a hole.

use super::origin::Origin;
use std::collections::BTreeMap;

/// A piece of a segment.
#[derive(Debug)]
pub struct Chunk {
    /// Its bytes, never empty.
    pub bytes: Vec<u8>,
    /// The packet they came in.
    pub origin: Origin,
}

/// Pieces by stream offset, none touching another's bytes.
#[derive(Debug, Default)]
pub struct Pending {
    chunks: BTreeMap<u64, Chunk>,
    bytes: usize,
}

impl Pending {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Pieces waiting.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps the parts of `bytes`, which begin at stream offset `start`, that
    /// no earlier segment brought.
    pub fn insert(&mut self, start: u64, bytes: &[u8], origin: Origin) {
        let end = start + bytes.len() as u64;
        let mut at = start;
        for (from, to) in self.holes(start, end) {
            at = at.max(from);
            let piece = bytes.get((at - start) as usize..(to - start) as usize);
            if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
                self.bytes += piece.len();
                let chunk = Chunk { bytes: piece.to_vec(), origin: Origin { from: at, ..origin } };
                self.chunks.insert(at, chunk);
            }
        }
    }

    /// Whether earlier segments brought all `len` bytes from `start` on.
    pub fn covers(&self, start: u64, len: usize) -> bool {
        self.holes(start, start + len as u64).is_empty()
    }

    /// The parts of `start..end` that no piece covers, ascending.
    fn holes(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let mut at = match self.chunks.range(..=start).next_back() {
            Some((&from, chunk)) => start.max(from + chunk.bytes.len() as u64),
            None => start,
        };
        for (&from, chunk) in self.chunks.range(start..end) {
            if from > at {
                holes.push((at, from));
            }
            at = at.max(from + chunk.bytes.len() as u64);
        }
        if at < end {
            holes.push((at, end));
        }
        holes
    }

    /// Offset and packet of the first piece.
    pub fn first(&self) -> Option<(u64, Origin)> {
        self.chunks.first_key_value().map(|(&from, chunk)| (from, chunk.origin))
    }

    /// The packets of all pieces, to change.
    pub fn origins_mut(&mut self) -> impl Iterator<Item = &mut Origin> {
        self.chunks.values_mut().map(|chunk| &mut chunk.origin)
    }

    /// Takes the first piece where it begins at or before `offset`.
    pub fn take_at(&mut self, offset: u64) -> Option<(u64, Chunk)> {
        let entry = self.chunks.first_entry()?;
        if *entry.key() > offset {
            return None;
        }
        let (from, chunk) = entry.remove_entry();
        self.bytes -= chunk.bytes.len();
        Some((from, chunk))
    }
}
