//! Which packet brought which bytes of a stream.

use std::ops::Range;

/// A packet's share of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// First stream offset taken from the packet.
    pub from: u64,
    /// The packet's position in its capture; below 0 where it was one that came
    /// before, whose stream goes on in this one.
    pub packet_ix: i64,
    /// Its time, ns since the epoch.
    pub ts: i64,
    /// Stream offset of the packet's first payload byte; below 0 where the
    /// stream was joined in the middle of the packet's bytes.
    pub payload_at: i64,
    /// Where that byte stands in the frame.
    pub frame_off: u32,
}

/// From a capture to the next: more positions than one has.
const CAPTURE: i64 = 1 << 32;

impl Origin {
    /// The packet's position; 0 where it came in an earlier capture.
    pub fn place_ix(&self) -> u32 {
        u32::try_from(self.packet_ix).unwrap_or(0)
    }

    /// Another capture begins.
    pub fn go_on(&mut self) {
        self.packet_ix = self.packet_ix.saturating_sub(CAPTURE);
    }

    /// The later of two packets.
    pub fn later(self, other: Origin) -> Origin {
        if other.packet_ix >= self.packet_ix { other } else { self }
    }
}

/// Bytes that either lie in the packet at hand or were put together.
#[derive(Clone, Copy, Debug)]
pub enum Bytes<'p, 's> {
    /// In the packet: they live as long as its batch.
    Frame(&'p [u8]),
    /// In a buffer that changes with the next segment.
    Stream(&'s [u8]),
}

impl<'p, 's> Bytes<'p, 's> {
    /// The bytes themselves.
    #[inline]
    pub fn get(&self) -> &[u8] {
        match self {
            Self::Frame(bytes) => bytes,
            Self::Stream(bytes) => bytes,
        }
    }

    /// A part; empty where `range` leaves the bytes.
    #[inline]
    pub fn slice(&self, range: Range<usize>) -> Bytes<'p, 's> {
        match self {
            Self::Frame(bytes) => Bytes::Frame(bytes.get(range).unwrap_or_default()),
            Self::Stream(bytes) => Bytes::Stream(bytes.get(range).unwrap_or_default()),
        }
    }
}

/// The packets of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Brought the first byte.
    pub first: Origin,
    /// Completed the message: the latest of the packets of its bytes and of
    /// all bytes before them since the last gap.
    pub last: Origin,
    /// Whether all bytes lie in `last`.
    pub whole: bool,
    /// Whether more than one packet brought them.
    pub several: bool,
}

/// Bytes in order, offered to a framing.
#[derive(Debug)]
pub struct Run<'p, 's> {
    /// Stream offset of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: Bytes<'p, 's>,
    origins: &'s [Origin],
    seen: usize,
    first: usize,
    latest: Option<Origin>,
}

impl<'p, 's> Run<'p, 's> {
    /// `origins` ascend by `from`, the first at or before `start`; `latest` is
    /// the latest packet before `start` since the last gap.
    pub fn new(
        start: u64,
        bytes: Bytes<'p, 's>,
        origins: &'s [Origin],
        latest: Option<Origin>,
    ) -> Self {
        Self { start, bytes, origins, seen: 0, first: 0, latest }
    }

    /// Whether the first byte is the first one of a segment's payload.
    pub fn begins_a_segment(&self) -> bool {
        self.origins
            .first()
            .is_some_and(|origin| i128::from(origin.payload_at) == i128::from(self.start))
    }

    /// The packets of the bytes at `range`, counted from the run's start.
    /// Ranges must be asked for in ascending order. `None` where the run has
    /// no packets at all.
    #[inline]
    pub fn span(&mut self, range: Range<usize>) -> Option<Span> {
        let (start, end) = (self.start + range.start as u64, self.start + range.end as u64);
        while let Some(next) = self.origins.get(self.first + 1) {
            if next.from > start {
                break;
            }
            self.first += 1;
        }
        self.advance(end);
        let first = *self.origins.get(self.first)?;
        let last = self.latest?;
        let (mut whole, mut several) = (first.packet_ix == last.packet_ix, false);
        for origin in self.origins.iter().skip(self.first + 1).take_while(|o| o.from < end) {
            whole &= origin.packet_ix == last.packet_ix;
            several |= origin.packet_ix != first.packet_ix;
        }
        Some(Span { first, last, whole, several })
    }

    /// Takes in the packets of all bytes before stream offset `end`.
    #[inline]
    fn advance(&mut self, end: u64) {
        while let Some(origin) = self.origins.get(self.seen) {
            if origin.from >= end {
                break;
            }
            self.latest = Some(self.latest.map_or(*origin, |latest| latest.later(*origin)));
            self.seen += 1;
        }
    }

    /// The latest packet of all bytes before stream offset `end`.
    pub(super) fn latest_before(mut self, end: u64) -> Option<Origin> {
        self.advance(end);
        self.latest
    }
}
