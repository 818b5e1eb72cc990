//! The pcap file format (draft-ietf-opsawg-pcap) and its older variants.
//!
//! ```text
//! file    magic 4 · major 2 · minor 2 · zone 4 · accuracy 4 · snaplen 4 · network 4
//!         [Ixia: size of all records 4]
//! record  seconds 4 · fraction 4 · caplen 4 · length 4
//!         [Kuznetsov: interface index 4 · protocol 2 · packet type 1 · pad 1]
//!         caplen bytes
//! ```

use super::notes::Repeated;
use super::order::Order;
use super::sink::{Record, Sink, Step};
use super::window::{Have, Window};
use crate::packet::{CAPLEN_MAX, Direction, LinkType};
use std::io;

/// Bytes of the file header.
pub(super) const FILE_HEADER_LEN: usize = 24;

/// Bytes of a plain record header.
const RECORD_HEADER_LEN: usize = 16;

/// Bytes of a Kuznetsov record header.
const KUZNETSOV_HEADER_LEN: usize = 24;

/// What a magic number tells.
#[derive(Clone, Copy, Debug)]
struct Variant {
    magic: u32,
    fraction_ns: u32,
    record_header_len: usize,
    /// Bytes of the file header after the first 24.
    more_header_len: usize,
}

/// Ixia's two (hardware and software capture) count microseconds, as
/// Wireshark's reader takes them.
const VARIANTS: [Variant; 5] = [
    Variant { magic: 0xa1b2_c3d4, fraction_ns: 1000, record_header_len: 16, more_header_len: 0 },
    Variant { magic: 0xa1b2_3c4d, fraction_ns: 1, record_header_len: 16, more_header_len: 0 },
    Variant { magic: 0xa1b2_cd34, fraction_ns: 1000, record_header_len: 24, more_header_len: 0 },
    Variant { magic: 0x1c00_01ac, fraction_ns: 1000, record_header_len: 16, more_header_len: 4 },
    Variant { magic: 0x1c00_01ab, fraction_ns: 1000, record_header_len: 16, more_header_len: 4 },
];

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Versions before 2.3.
    WireFirst,
    /// Version 2.3 was written both ways; the captured one is the smaller.
    SmallerIsCaptured,
}

/// Reads records of one file.
#[derive(Debug)]
pub(super) struct PcapReader {
    order: Order,
    variant: Variant,
    lengths: Lengths,
    link_type: LinkType,
    snaplen: u32,
    fcs_len: Option<u8>,
}

/// One record's header.
struct Header {
    sec: u32,
    fraction: u32,
    caplen: u32,
    wire_len: u32,
    interface: u32,
    direction: Direction,
}

fn variant(magic: [u8; 4]) -> Option<(Order, Variant)> {
    let find = |number| VARIANTS.into_iter().find(|variant| variant.magic == number);
    let little = find(u32::from_le_bytes(magic)).map(|v| (Order::Little, v));
    little.or_else(|| find(u32::from_be_bytes(magic)).map(|v| (Order::Big, v)))
}

/// Whether a file that starts so is pcap.
pub(super) fn is_pcap(magic: [u8; 4]) -> bool {
    variant(magic).is_some()
}

impl PcapReader {
    /// Reads the file header.
    ///
    /// # Errors
    /// Outside: reading failed. Inside: why the header cannot be used.
    pub(super) fn open(window: &mut Window) -> io::Result<Result<Self, String>> {
        if let Have::Only(had) = window.need(FILE_HEADER_LEN)? {
            return Ok(Err(format!("pcap header cut: needs {FILE_HEADER_LEN} bytes, has {had}")));
        }
        let Some(header) = window.bytes().first_chunk::<FILE_HEADER_LEN>() else {
            return Ok(Err("pcap header cut".to_string()));
        };
        let reader = match Self::from_header(header) {
            Ok(reader) => reader,
            Err(reason) => return Ok(Err(reason)),
        };
        let len = FILE_HEADER_LEN + reader.variant.more_header_len;
        if let Have::Only(had) = window.need(len)? {
            return Ok(Err(format!("pcap header cut: needs {len} bytes, has {had}")));
        }
        window.consume(len);
        Ok(Ok(reader))
    }

    fn from_header(header: &[u8; FILE_HEADER_LEN]) -> Result<Self, String> {
        let magic = [header[0], header[1], header[2], header[3]];
        let (order, variant) = variant(magic).ok_or("not a pcap magic number")?;
        let (major, minor) = (order.u16(header, 4), order.u16(header, 6));
        if major != 2 {
            return Err(format!("pcap version {major}.{minor} is not read, only 2.x"));
        }
        let network = order.u32(header, 20);
        if network & 0x03ff_0000 != 0 {
            return Err(format!("pcap link type {network:#x} is not one of the 16-bit registry"));
        }
        let has_fcs = network & 0x0400_0000 != 0;
        Ok(Self {
            order,
            variant,
            lengths: match minor {
                0..=2 => Lengths::WireFirst,
                3 => Lengths::SmallerIsCaptured,
                _ => Lengths::CapturedFirst,
            },
            link_type: LinkType((network & 0xffff) as u16),
            snaplen: order.u32(header, 16),
            fcs_len: has_fcs.then_some((network >> 28) as u8 * 2),
        })
    }

    /// How to read the first header of every packet.
    pub(super) fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Most bytes the writer kept of a packet; 0 is no limit.
    pub(super) fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// Bytes of frame check sequence at the end of each packet, where stated.
    pub(super) fn fcs_len(&self) -> Option<u8> {
        self.fcs_len
    }

    /// Reads one record.
    #[inline]
    pub(super) fn step(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        let header_len = self.variant.record_header_len;
        let offset = window.offset();
        match window.need(header_len)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(0) if !window.compressed_cut => return Ok(Step::End),
            Have::Only(had) => return Ok(self.cut(window, sink, header_len, had)),
        }
        let Some(header) = self.header(window.bytes()) else { return Ok(Step::End) };
        if header.caplen > CAPLEN_MAX {
            let rest = sink.notes.rest(offset);
            let text = format!(
                "a record claims {} captured bytes, at most {CAPLEN_MAX} can be; where the next record starts is unknown: {rest}",
                header.caplen
            );
            sink.notes.warn(offset, text);
            return Ok(Step::End);
        }
        let len = header_len + header.caplen as usize;
        match window.need(len)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(self.cut(window, sink, len, had)),
        }
        if let Some(data) = window.bytes().get(header_len..len) {
            let fraction_ns = u64::from(header.fraction) * u64::from(self.variant.fraction_ns);
            if fraction_ns >= 1_000_000_000 {
                sink.notes.count(Repeated::FractionTooLarge, offset);
            }
            let time_ns = i128::from(u64::from(header.sec) * 1_000_000_000 + fraction_ns);
            let record = Record {
                time_ns: Some(time_ns),
                time_ps: 0,
                flags: 0,
                interface: header.interface,
                direction: header.direction,
                link_type: self.link_type,
                wire_len: header.wire_len,
            };
            sink.push(offset, record, data);
        }
        window.consume(len);
        Ok(Step::Went)
    }

    #[cold]
    fn cut(&self, window: &Window, sink: &mut Sink<'_>, needed: usize, had: usize) -> Step {
        let compressed = window.compressed_cut;
        sink.notes.cut(window.offset(), "packet record", needed as u64, had as u64, compressed);
        Step::End
    }

    #[inline]
    fn header(&self, bytes: &[u8]) -> Option<Header> {
        let plain = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
        let (first, second) = (self.order.u32(plain, 8), self.order.u32(plain, 12));
        let swapped = match self.lengths {
            Lengths::CapturedFirst => false,
            Lengths::WireFirst => true,
            Lengths::SmallerIsCaptured => first > second,
        };
        let (caplen, wire_len) = if swapped { (second, first) } else { (first, second) };
        let (interface, direction) = if self.variant.record_header_len == RECORD_HEADER_LEN {
            (0, Direction::Unknown)
        } else {
            self.kuznetsov(bytes.first_chunk::<KUZNETSOV_HEADER_LEN>()?)
        };
        Some(Header {
            sec: self.order.u32(plain, 0),
            fraction: self.order.u32(plain, 4),
            caplen,
            wire_len,
            interface,
            direction,
        })
    }

    /// Interface index and direction; the packet type is the kernel's
    /// `PACKET_HOST` (0) to `PACKET_OUTGOING` (4).
    fn kuznetsov(&self, header: &[u8; KUZNETSOV_HEADER_LEN]) -> (u32, Direction) {
        let direction = match header[22] {
            0..=3 => Direction::In,
            4 => Direction::Out,
            _ => Direction::Unknown,
        };
        (self.order.u32(header, 16), direction)
    }
}
