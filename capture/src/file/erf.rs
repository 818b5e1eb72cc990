//! The Extensible Record Format of Endace DAG cards.
//!
//! ```text
//! record  time 8 (little-endian, 32.32 s) · type 1 · flags 1 · length 2 · loss or colour 2 · wire length 2
//!         [extension headers 8 each, the first bit says whether another follows]
//!         [Ethernet: offset 1 · pad 1]
//!         packet, padded to the record's length
//! ```
//!
//! Big-endian but for the time; no file header, so that a file is told by its
//! first records making sense. Ethernet and IP packets are given as such;
//! those of other links as whole records (link type 197), so that nothing is
//! lost. Metadata and padding are no packets.

use super::InterfaceInfo;
use super::notes::Repeated;
use super::resolution::Resolution;
use super::sink::{Record, Sink, Step};
use super::window::{Have, Window};
use crate::packet::{Direction, LinkType, ts_flags};
use crate::source::LossCounters;
use std::io;

/// Time to wire length.
const HEADER_LEN: usize = 16;

const EXTENSION_LEN: usize = 8;

/// Most extension headers followed in one record.
const EXTENSIONS_MAX: usize = 16;

/// Offset and padding before an Ethernet frame.
const ETHERNET_PAD_LEN: usize = 2;

/// Records looked at to tell the format.
const RECOGNISED_BY: usize = 4;

/// 1990 and 2100, between which a capture's seconds lie.
const SECONDS: std::ops::Range<u32> = 631_152_000..4_102_444_800;

/// The card cut the packet for want of room.
const FLAG_TRUNCATED: u8 = 0x08;
const FLAG_RECEIVE_ERROR: u8 = 0x10;

const TYPE_ETHERNET: [u8; 4] = [2, 11, 16, 20];
/// Ethernet among them, and the coloured HDLC types.
const TYPE_COLOURED: [u8; 7] = [10, 11, 15, 16, 17, 19, 20];
const TYPE_IPV4: u8 = 22;
const TYPE_IPV6: u8 = 23;
const TYPE_METADATA: u8 = 27;
const TYPE_LAST: u8 = 31;
const TYPE_PAD: u8 = 48;

/// Bit 7 of the type, and of each extension header: another follows.
const MORE: u8 = 0x80;

/// Link type of whole ERF records.
const LINK_ERF: LinkType = LinkType(197);

/// Interfaces that two bits and one more can name.
const INTERFACES: usize = 8;

/// Reads records of one file.
#[derive(Debug, Default)]
pub(super) struct ErfReader {
    lost: Option<u64>,
    seen: [Option<LinkType>; INTERFACES],
}

/// A record's header.
#[derive(Clone, Copy)]
struct Header {
    ticks: u64,
    kind: u8,
    has_extensions: bool,
    flags: u8,
    record_len: usize,
    /// Packets lost before this one, or a colour.
    counter: u16,
    wire_len: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [time @ .., kind, flags, r0, r1, c0, c1, w0, w1] =
            *bytes.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            ticks: u64::from_le_bytes(time),
            kind: kind & !MORE,
            has_extensions: kind & MORE != 0,
            flags,
            record_len: usize::from(u16::from_be_bytes([r0, r1])),
            counter: u16::from_be_bytes([c0, c1]),
            wire_len: u16::from_be_bytes([w0, w1]),
        })
    }

    fn is_plausible(&self) -> bool {
        let known = matches!(self.kind, 1..=TYPE_LAST | TYPE_PAD);
        let timed = self.kind == TYPE_PAD || SECONDS.contains(&((self.ticks >> 32) as u32));
        known && timed && self.record_len >= HEADER_LEN
    }

    fn interface(&self) -> u8 {
        self.flags & 3 | (self.flags & 0x40) >> 4
    }

    fn link_type(&self) -> LinkType {
        match self.kind {
            kind if TYPE_ETHERNET.contains(&kind) => LinkType::ETHERNET,
            TYPE_IPV4 => LinkType::IPV4,
            TYPE_IPV6 => LinkType::IPV6,
            _ => LINK_ERF,
        }
    }
}

/// Whether an input that begins so is ERF: at least two records that make
/// sense, or one that is all there is. Reads ahead.
pub(super) fn recognise(window: &mut Window) -> io::Result<bool> {
    let mut at = 0;
    for record in 0..RECOGNISED_BY {
        match window.need(at + HEADER_LEN)? {
            Have::All => {}
            Have::Later => return Ok(record > 1),
            Have::Only(had) => return Ok(record > 1 || record == 1 && had == at),
        }
        let header = window.bytes().get(at..).and_then(Header::read);
        let header = header.filter(|header| record > 0 || header.kind != TYPE_PAD);
        let Some(header) = header.filter(Header::is_plausible) else { return Ok(false) };
        at += header.record_len;
    }
    Ok(true)
}

impl ErfReader {
    pub(super) fn interfaces(&self) -> Vec<InterfaceInfo> {
        let numbered = self.seen.iter().enumerate();
        let seen = numbered.filter_map(|(number, link)| link.map(|link| (number, link)));
        seen.map(|(number, link_type)| InterfaceInfo {
            name: format!("interface {number}"),
            link_type,
            snaplen: 0,
            fcs_len: None,
        })
        .collect()
    }

    /// What the records say was lost between them.
    pub(super) fn losses(&self) -> LossCounters {
        LossCounters { recorded: self.lost, ..LossCounters::default() }
    }

    /// Reads one record.
    pub(super) fn step(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        let offset = window.offset();
        match window.need(HEADER_LEN)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(0) if !window.compressed_cut => return Ok(Step::End),
            Have::Only(had) => return Ok(cut(window, sink, HEADER_LEN, had)),
        }
        let Some(header) = Header::read(window.bytes()) else { return Ok(Step::End) };
        if header.record_len < HEADER_LEN {
            let rest = sink.notes.rest(offset);
            let text = format!(
                "an ERF record claims {} bytes, at least {HEADER_LEN} are its header: {rest}",
                header.record_len
            );
            sink.notes.warn(offset, text);
            return Ok(Step::End);
        }
        match window.need(header.record_len)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(cut(window, sink, header.record_len, had)),
        }
        if let Some(record) = window.bytes().get(..header.record_len) {
            self.record(offset, &header, record, sink);
        }
        window.consume(header.record_len);
        Ok(Step::Went)
    }

    fn record(&mut self, offset: u64, header: &Header, record: &[u8], sink: &mut Sink<'_>) {
        if matches!(header.kind, TYPE_METADATA | TYPE_PAD) {
            return;
        }
        if !TYPE_COLOURED.contains(&header.kind) {
            let lost = self.lost.unwrap_or(0);
            self.lost = Some(lost.saturating_add(header.counter.into()));
        }
        let link_type = header.link_type();
        if let Some(seen) = self.seen.get_mut(usize::from(header.interface())) {
            *seen = seen.or(Some(link_type));
        }
        let Some(data) = packet(header, record) else {
            return sink.notes.count(Repeated::BlockTooShort, offset);
        };
        let whole = link_type == LINK_ERF;
        let wire_len = if whole { data.len() as u32 } else { header.wire_len.into() };
        let (time_ns, time_ps) = Resolution::BINARY_32.ns(header.ticks);
        let error = header.flags & (FLAG_RECEIVE_ERROR | FLAG_TRUNCATED) != 0;
        let packet = Record {
            time_ns: Some(time_ns),
            time_ps,
            interface: header.interface().into(),
            direction: Direction::Unknown,
            link_type,
            wire_len,
            flags: if error { ts_flags::RECEIVE_ERROR } else { 0 },
        };
        sink.push(offset, packet, data);
    }
}

/// The packet's bytes in its record.
fn packet<'a>(header: &Header, record: &'a [u8]) -> Option<&'a [u8]> {
    if header.link_type() == LINK_ERF {
        return Some(record);
    }
    let mut at = HEADER_LEN;
    let mut more = header.has_extensions;
    for _ in 0..EXTENSIONS_MAX {
        if !more {
            break;
        }
        more = record.get(at)? & MORE != 0;
        at += EXTENSION_LEN;
    }
    if header.link_type() == LinkType::ETHERNET {
        at += ETHERNET_PAD_LEN;
    }
    let data = record.get(at..).filter(|_| !more)?;
    Some(data.get(..usize::from(header.wire_len)).unwrap_or(data))
}

#[cold]
fn cut(window: &Window, sink: &mut Sink<'_>, needed: usize, had: usize) -> Step {
    let compressed = window.compressed_cut;
    sink.notes.cut(window.offset(), "ERF record", needed as u64, had as u64, compressed);
    Step::End
}
