//! The chunked format of FMADIO capture systems.
//!
//! ```text
//! file    a pcap header with a magic number of its own
//! chunk   packets 2 · CRC 2 · wire bytes 4 · captured bytes 4 · length 4 · first time 8 · last time 8
//!         [counters of the writer 16, in newer files]
//!         length bytes of packets
//! packet  ns since the epoch 8 · caplen 2 · wire length 2 · port 1 · flags 1 · pad 2 · caplen bytes
//! ```
//!
//! Little-endian. Nothing says whether a chunk has the counters: in the first
//! one that holds a packet, that packet's time lies between the chunk's. The
//! chunk's CRC is of no documented kind and not checked.

use super::notes::Repeated;
use super::pcap::FILE_HEADER_LEN;
use super::sink::{Record, Sink, Step};
use super::window::{Have, Window};
use crate::packet::{Direction, LinkType, ts_flags};
use std::io;

/// The file's first bytes.
pub(super) const MAGIC: [u8; 4] = 0x1337_bab3_u32.to_le_bytes();

const CHUNK_LEN: usize = 32;
const COUNTERS_LEN: usize = 16;
const PACKET_LEN: usize = 16;

/// The frame's check sequence is wrong.
const FLAG_BAD_FCS: u8 = 1;

/// Reads chunks of one file.
#[derive(Debug)]
pub(super) struct FmadioReader {
    link_type: LinkType,
    snaplen: u32,
    /// Bytes of a chunk's header, once known.
    chunk_header_len: Option<usize>,
    /// Bytes of packets left in the chunk.
    left: u64,
    /// Bytes of the chunk to be passed over.
    skip: u64,
}

/// A chunk's header, as far as it matters.
#[derive(Clone, Copy)]
struct Chunk {
    packets: u16,
    len: u32,
    first_ns: u64,
    last_ns: u64,
}

impl Chunk {
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<CHUNK_LEN>()?;
        Some(Self {
            packets: u16::from_le_bytes([head[0], head[1]]),
            len: u32::from_le_bytes([head[12], head[13], head[14], head[15]]),
            first_ns: u64::from_le_bytes(*head[16..].first_chunk()?),
            last_ns: u64::from_le_bytes(*head[24..].first_chunk()?),
        })
    }

    /// Whether a packet of this time may be in it.
    fn holds(&self, bytes: &[u8]) -> bool {
        let ns = bytes.first_chunk().map(|ns| u64::from_le_bytes(*ns));
        ns.is_some_and(|ns| (self.first_ns..=self.last_ns).contains(&ns))
    }
}

impl FmadioReader {
    /// Reads the file header.
    ///
    /// # Errors
    /// Outside: reading failed. Inside: why the header cannot be used.
    pub(super) fn open(window: &mut Window) -> io::Result<Result<Self, String>> {
        if let Have::Only(had) = window.need(FILE_HEADER_LEN)? {
            return Ok(Err(format!("FMADIO header cut: needs {FILE_HEADER_LEN} bytes, has {had}")));
        }
        let field = |at: usize| {
            let bytes = window.bytes().get(at..).and_then(|bytes| bytes.first_chunk::<4>());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let (snaplen, network) = (field(16), field(20));
        let Ok(link_type) = u16::try_from(network & 0x03ff_ffff) else {
            return Ok(Err(format!("link type {network:#x} is not one of the 16-bit registry")));
        };
        window.consume(FILE_HEADER_LEN);
        let link_type = LinkType(link_type);
        Ok(Ok(Self { link_type, snaplen, chunk_header_len: None, left: 0, skip: 0 }))
    }

    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    pub(super) fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// Reads a chunk's header or one packet.
    pub(super) fn step(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        if self.skip > 0 {
            let have = window.discard(&mut self.skip)?;
            return Ok(match have {
                Have::All => Step::Went,
                Have::Later => Step::Wait,
                Have::Only(_) => cut(window, sink, "FMADIO chunk", self.skip as usize, 0),
            });
        }
        if self.left == 0 { self.chunk(window, sink) } else { self.packet(window, sink) }
    }

    fn chunk(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        match window.need(CHUNK_LEN)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(0) if !window.compressed_cut => return Ok(Step::End),
            Have::Only(had) => return Ok(cut(window, sink, "FMADIO chunk", CHUNK_LEN, had)),
        }
        let Some(chunk) = Chunk::read(window.bytes()) else { return Ok(Step::End) };
        let header_len = match self.chunk_header_len {
            Some(len) => len,
            None => {
                let needed = CHUNK_LEN + COUNTERS_LEN + 8;
                if window.need(needed)? == Have::Later {
                    return Ok(Step::Wait);
                }
                self.told(chunk, window.bytes())
            }
        };
        match window.need(header_len)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(cut(window, sink, "FMADIO chunk", header_len, had)),
        }
        window.consume(header_len);
        self.left = u64::from(chunk.len);
        Ok(Step::Went)
    }

    /// The length of this chunk's header, and with it perhaps of all.
    fn told(&mut self, chunk: Chunk, bytes: &[u8]) -> usize {
        let at = |at: usize| chunk.holds(bytes.get(at..).unwrap_or_default());
        let lens = [CHUNK_LEN, CHUNK_LEN + COUNTERS_LEN];
        let fits = lens.into_iter().find(|&len| chunk.packets > 0 && at(len));
        self.chunk_header_len = fits;
        fits.unwrap_or(CHUNK_LEN + COUNTERS_LEN)
    }

    fn packet(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        let offset = window.offset();
        if self.left < PACKET_LEN as u64 {
            return Ok(self.give_up(offset, sink));
        }
        match window.need(PACKET_LEN)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(cut(window, sink, "packet record", PACKET_LEN, had)),
        }
        let Some(head) = window.bytes().first_chunk::<PACKET_LEN>() else { return Ok(Step::End) };
        let [time @ .., c0, c1, w0, w1, port, flags, _, _] = *head;
        let len = PACKET_LEN + usize::from(u16::from_le_bytes([c0, c1]));
        if len as u64 > self.left {
            return Ok(self.give_up(offset, sink));
        }
        match window.need(len)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(cut(window, sink, "packet record", len, had)),
        }
        if let Some(data) = window.bytes().get(PACKET_LEN..len) {
            let record = Record {
                time_ns: Some(u64::from_le_bytes(time).into()),
                time_ps: 0,
                interface: port.into(),
                direction: Direction::Unknown,
                link_type: self.link_type,
                wire_len: u16::from_le_bytes([w0, w1]).into(),
                flags: if flags & FLAG_BAD_FCS != 0 { ts_flags::FCS_BAD } else { 0 },
            };
            sink.push(offset, record, data);
        }
        window.consume(len);
        self.left -= len as u64;
        Ok(Step::Went)
    }

    /// The chunk holds no further packet: on to the next, whose place is known.
    #[cold]
    fn give_up(&mut self, offset: u64, sink: &mut Sink<'_>) -> Step {
        sink.notes.count(Repeated::BlockTooShort, offset);
        self.skip = std::mem::take(&mut self.left);
        Step::Went
    }
}

#[cold]
fn cut(window: &Window, sink: &mut Sink<'_>, what: &str, needed: usize, had: usize) -> Step {
    let compressed = window.compressed_cut;
    sink.notes.cut(window.offset(), what, needed as u64, had as u64, compressed);
    Step::End
}
