//! The pcapng file format (draft-ietf-opsawg-pcapng).
//!
//! ```text
//! section header · interface descriptions · packets, statistics · section header · …
//!
//! block   type 4 · length 4 · body, padded to 4 · length 4
//! option  code 2 · length 2 · value, padded to 4
//! ```
//!
//! Each section has its own byte order and counts its interfaces from 0; the
//! number given to a packet counts on through the whole file.

use super::InterfaceInfo;
use super::notes::Repeated;
use super::order::Order;
use super::resolution::Resolution;
use super::sink::{Record, Sink, Step};
use super::window::{Have, WINDOW_BYTES, Window};
use crate::account::{OPTION_CLOCK, OPTION_COUNTS, OPTION_STAMP, StatsRecord};
use crate::clock::ClockRecord;
use crate::packet::{CAPLEN_MAX, Direction, LinkType, ts_flags};
use crate::source::LossCounters;
use crate::time::Timestamp;
use std::io;

/// The first bytes of every section, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The longest block that is interpreted; longer ones are passed over.
const BLOCK_LEN_MAX: u32 = WINDOW_BYTES as u32;

/// Most interfaces described in one file.
const INTERFACES_MAX: usize = 65_536;

/// Accounts of interfaces that wait to be taken.
const STATS_MAX: usize = 65_536;

/// Clocks read of one account.
const CLOCKS_MAX: usize = 16;

/// Bytes kept of an interface's name.
const INTERFACE_NAME_MAX: usize = 256;

/// Type, two lengths: a block without a body.
const BLOCK_LEN_MIN: u32 = 12;

const SECTION_HEADER: u32 = u32::from_be_bytes(MAGIC);
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// An interface of one section.
#[derive(Debug)]
struct Interface {
    info: InterfaceInfo,
    resolution: Resolution,
    /// Added to every time.
    offset_s: i64,
    /// The last counts the file gives: dropped by the interface, by the system.
    dropped_interface: Option<u64>,
    dropped_system: Option<u64>,
    /// Those counts where the file begins in the midst of counting.
    before_interface: u64,
    before_system: u64,
}

/// A block being passed over.
#[derive(Clone, Copy, Debug)]
struct Skip {
    offset: u64,
    len: u32,
    left: u64,
}

/// Reads blocks of one file.
#[derive(Debug)]
pub(super) struct PcapngReader {
    order: Order,
    interfaces: Vec<Interface>,
    /// Where the section's interfaces start in `interfaces`.
    section_start: usize,
    /// The section is of a version that is not known: its blocks are passed over.
    section_unread: bool,
    skip: Option<Skip>,
    dropped_between: Option<u64>,
    stats: Vec<StatsRecord>,
}

/// A block's frame.
#[derive(Clone, Copy, Debug)]
struct Block {
    kind: u32,
    len: u32,
    order: Order,
    offset: u64,
}

impl Block {
    fn is_packet(self) -> bool {
        matches!(self.kind, ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET)
    }
}

/// The options of a block, in order; ends at the first that does not fit.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        let (code, len) = (self.order.u16(head, 0), usize::from(self.order.u16(head, 2)));
        if code == 0 {
            return None;
        }
        let value = rest.get(..len)?;
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

impl PcapngReader {
    /// A reader at the start of a file; the first block sets the byte order.
    pub(super) fn new() -> Self {
        Self {
            order: Order::Little,
            interfaces: Vec::new(),
            section_start: 0,
            section_unread: false,
            skip: None,
            dropped_between: None,
            stats: Vec::new(),
        }
    }

    /// The interfaces described so far, in the order of their numbers.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &InterfaceInfo> {
        self.interfaces.iter().map(|interface| &interface.info)
    }

    /// What packets name as lost before them.
    pub(super) fn named_lost(&self) -> Option<u64> {
        self.dropped_between
    }

    /// What the file says was lost, over all interfaces.
    pub(super) fn losses(&self) -> LossCounters {
        let sum = |of: fn(&Interface) -> Option<u64>| {
            self.interfaces.iter().filter_map(of).reduce(u64::saturating_add)
        };
        LossCounters {
            ring: sum(|i| Some(i.dropped_system?.saturating_sub(i.before_system))),
            interface: sum(|i| Some(i.dropped_interface?.saturating_sub(i.before_interface))),
            recorded: self.dropped_between,
        }
    }

    /// Reads one block.
    #[inline]
    pub(super) fn step(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        if self.skip.is_some() {
            return self.go_on_skipping(window, sink);
        }
        match window.need(BLOCK_LEN_MIN as usize)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(0) if !window.compressed_cut => return Ok(Step::End),
            Have::Only(had) => return Ok(cut(window, sink, BLOCK_LEN_MIN, had as u64)),
        }
        let Some(block) = self.frame(window, sink) else { return Ok(Step::End) };
        if !self.is_read(block) || block.len > BLOCK_LEN_MAX {
            return self.start_skipping(block, window, sink);
        }
        match window.need(block.len as usize)? {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => return Ok(cut(window, sink, block.len, had as u64)),
        }
        let went = self.whole_block(block, window.bytes(), sink);
        window.consume(block.len as usize);
        Ok(went)
    }

    /// Whether the block's body matters.
    #[inline]
    fn is_read(&self, block: Block) -> bool {
        match block.kind {
            SECTION_HEADER => true,
            INTERFACE_DESCRIPTION | INTERFACE_STATISTICS => !self.section_unread,
            _ => block.is_packet() && !self.section_unread,
        }
    }

    /// Type and length of the block at the window's start; `None`, with a
    /// warning, where they make no sense.
    #[inline]
    fn frame(&self, window: &Window, sink: &mut Sink<'_>) -> Option<Block> {
        let offset = window.offset();
        let head = window.bytes().first_chunk::<12>()?;
        let is_section = head.first_chunk() == Some(&MAGIC);
        let order = match (is_section, self.order.u32(head, 8)) {
            (false, _) | (true, 0x1a2b_3c4d) => self.order,
            (true, 0x4d3c_2b1a) if self.order == Order::Little => Order::Big,
            (true, 0x4d3c_2b1a) => Order::Little,
            (true, other) => {
                let rest = sink.notes.rest(offset);
                let text = format!("a section's byte-order mark is {other:#010x}: {rest}");
                sink.notes.warn(offset, text);
                return None;
            }
        };
        let (kind, len) = (order.u32(head, 0), order.u32(head, 4));
        if len < BLOCK_LEN_MIN || !len.is_multiple_of(4) {
            let rest = sink.notes.rest(offset);
            sink.notes.warn(
                offset,
                format!("a block claims {len} bytes, which must be a multiple of 4 and at least {BLOCK_LEN_MIN}: {rest}"),
            );
            return None;
        }
        Some(Block { kind, len, order, offset })
    }

    /// Passes over a block that is unknown or too long to hold.
    #[cold]
    fn start_skipping(
        &mut self,
        block: Block,
        window: &mut Window,
        sink: &mut Sink<'_>,
    ) -> io::Result<Step> {
        if block.is_packet() && !self.section_unread {
            sink.notes.count(Repeated::PacketTooLong, block.offset);
        } else if self.is_read(block) {
            let rest = sink.notes.rest(block.offset);
            sink.notes.warn(
                block.offset,
                format!(
                    "a block of type {} claims {} bytes, at most {BLOCK_LEN_MAX} can be: {rest}",
                    block.kind, block.len
                ),
            );
            return Ok(Step::End);
        }
        let left = u64::from(block.len) - 4;
        self.skip = Some(Skip { offset: block.offset, len: block.len, left });
        self.go_on_skipping(window, sink)
    }

    #[cold]
    fn go_on_skipping(&mut self, window: &mut Window, sink: &mut Sink<'_>) -> io::Result<Step> {
        let Some(mut skip) = self.skip else { return Ok(Step::Went) };
        let mut have = window.discard(&mut skip.left)?;
        self.skip = Some(skip);
        if have == Have::All {
            have = window.need(4)?;
        }
        match have {
            Have::All => {}
            Have::Later => return Ok(Step::Wait),
            Have::Only(had) => {
                let had = u64::from(skip.len) - 4 - skip.left + had as u64;
                let compressed = window.compressed_cut;
                sink.notes.cut(skip.offset, "block", skip.len.into(), had, compressed);
                return Ok(Step::End);
            }
        }
        self.skip = None;
        let Some(tail) = window.bytes().first_chunk::<4>() else { return Ok(Step::End) };
        let closing = self.order.u32(tail, 0);
        window.consume(4);
        Ok(check_closing(skip.offset, skip.len, closing, sink))
    }

    /// Reads a block that is wholly at hand.
    #[inline]
    fn whole_block(&mut self, block: Block, bytes: &[u8], sink: &mut Sink<'_>) -> Step {
        let body_end = (block.len - 4) as usize;
        let body = bytes.get(8..body_end).unwrap_or_default();
        let tail = bytes.get(body_end..).unwrap_or_default();
        let Some(tail) = tail.first_chunk::<4>() else { return Step::End };
        let step = check_closing(block.offset, block.len, block.order.u32(tail, 0), sink);
        if step == Step::End {
            return step;
        }
        let read = match block.kind {
            ENHANCED_PACKET => self.enhanced_packet(block, body, sink),
            SIMPLE_PACKET => self.simple_packet(block, body, sink),
            OBSOLETE_PACKET => self.obsolete_packet(block, body, sink),
            INTERFACE_DESCRIPTION => self.interface_description(block, body, sink),
            INTERFACE_STATISTICS => self.interface_statistics(block, body, sink),
            _ => self.section_header(block, body, sink),
        };
        if read.is_none() {
            sink.notes.count(Repeated::BlockTooShort, block.offset);
        }
        Step::Went
    }

    /// Only 1.x is known, whose blocks are as here; of another version only
    /// the block frames are relied on, to find the next section.
    fn section_header(&mut self, block: Block, body: &[u8], sink: &mut Sink<'_>) -> Option<()> {
        let fixed = body.first_chunk::<16>()?;
        self.order = block.order;
        self.section_start = self.interfaces.len();
        self.section_unread = block.order.u16(fixed, 4) != 1;
        if self.section_unread {
            sink.notes.count(Repeated::UnknownVersion, block.offset);
        }
        Some(())
    }

    fn interface_description(
        &mut self,
        block: Block,
        body: &[u8],
        sink: &mut Sink<'_>,
    ) -> Option<()> {
        let (fixed, rest) = body.split_first_chunk::<8>()?;
        if self.interfaces.len() >= INTERFACES_MAX {
            sink.notes.count(Repeated::TooManyInterfaces, block.offset);
            return Some(());
        }
        let mut interface = Interface {
            info: InterfaceInfo {
                name: String::new(),
                link_type: LinkType(self.order.u16(fixed, 0)),
                snaplen: self.order.u32(fixed, 4),
                fcs_len: None,
            },
            resolution: Resolution::MICROSECONDS,
            offset_s: 0,
            dropped_interface: None,
            dropped_system: None,
            before_interface: 0,
            before_system: 0,
        };
        for (code, value) in self.options(rest) {
            match (code, value) {
                (2, name) => {
                    let name = name.get(..INTERFACE_NAME_MAX).unwrap_or(name);
                    interface.info.name = String::from_utf8_lossy(name).into_owned();
                }
                (9, &[byte]) => interface.resolution = Resolution::from_tsresol(byte),
                (13, &[len]) => interface.info.fcs_len = Some(len),
                (14, value) => {
                    let offset_s = value.try_into().map(|bytes| self.order.u64(bytes));
                    interface.offset_s = offset_s.unwrap_or(0).cast_signed();
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Some(())
    }

    fn interface_statistics(
        &mut self,
        block: Block,
        body: &[u8],
        sink: &mut Sink<'_>,
    ) -> Option<()> {
        let (fixed, rest) = body.split_first_chunk::<12>()?;
        let (number, order) = (self.order.u32(fixed, 0), self.order);
        let ticks = (u64::from(order.u32(fixed, 4)) << 32) | u64::from(order.u32(fixed, 8));
        let index = self.section_start.saturating_add(number as usize);
        let Some(interface) = self.interfaces.get_mut(index) else { return Some(()) };
        let at = interface.resolution.ns(ticks).0 + i128::from(interface.offset_s) * 1_000_000_000;
        let at = Timestamp::from_ns(i64::try_from(at).unwrap_or_default());
        let mut record = StatsRecord::new(at, index as u32);
        for (code, value) in (Options { order, rest }) {
            let count = value.try_into().ok().map(|bytes| order.u64(bytes));
            match code {
                5 => interface.dropped_interface = count.or(interface.dropped_interface),
                7 => interface.dropped_system = count.or(interface.dropped_system),
                _ => {}
            }
            stats_option(&mut record, code, count, value);
        }
        if record.begins {
            interface.before_interface = record.counts.dropped_interface.unwrap_or(0);
            interface.before_system = record.counts.dropped_ring.unwrap_or(0);
        }
        if self.stats.len() < STATS_MAX {
            self.stats.push(record);
        } else {
            sink.notes.count(Repeated::TooManyStatistics, block.offset);
        }
        Some(())
    }

    /// The accounts read since this was last asked.
    pub(super) fn take_stats(&mut self) -> Vec<StatsRecord> {
        std::mem::take(&mut self.stats)
    }

    #[inline]
    fn enhanced_packet(&mut self, block: Block, body: &[u8], sink: &mut Sink<'_>) -> Option<()> {
        let (fixed, rest) = body.split_first_chunk::<20>()?;
        let field = |at| self.order.u32(fixed, at);
        let ticks = (u64::from(field(4)) << 32) | u64::from(field(8));
        let (number, caplen, wire_len) = (field(0), field(12), field(16));
        self.packet(block, number, ticks, (caplen, wire_len), rest, sink)
    }

    fn obsolete_packet(&mut self, block: Block, body: &[u8], sink: &mut Sink<'_>) -> Option<()> {
        let (fixed, rest) = body.split_first_chunk::<20>()?;
        let field = |at| self.order.u32(fixed, at);
        let ticks = (u64::from(field(4)) << 32) | u64::from(field(8));
        let (caplen, wire_len) = (field(12), field(16));
        let number = u32::from(self.order.u16(fixed, 0));
        match self.order.u16(fixed, 2) {
            u16::MAX => {}
            drops => self.add_dropped(drops.into()),
        }
        self.packet(block, number, ticks, (caplen, wire_len), rest, sink)
    }

    /// The common part of the two packet blocks that have a time; `rest` is
    /// the data, its padding and the options.
    #[inline]
    fn packet(
        &mut self,
        block: Block,
        number: u32,
        ticks: u64,
        (caplen, wire_len): (u32, u32),
        rest: &[u8],
        sink: &mut Sink<'_>,
    ) -> Option<()> {
        let data = rest.get(..caplen as usize)?;
        let (mut direction, mut flags) = (Direction::Unknown, 0);
        let options = rest.get(data.len().next_multiple_of(4)..).unwrap_or_default();
        for (code, value) in self.options(options) {
            match (code, value.len()) {
                (2, 4) => {
                    let word = value.first_chunk::<4>().map_or(0, |v| self.order.u32(v, 0));
                    flags |= link_flags(word);
                    direction = match word & 3 {
                        1 => Direction::In,
                        2 => Direction::Out,
                        _ => Direction::Unknown,
                    };
                }
                (OPTION_STAMP, 4) => {
                    let word = value.first_chunk::<4>().map_or(0, |v| self.order.u32(v, 0));
                    flags |= word as u16 & ts_flags::SYSTEM_STAMP;
                }
                (4, 8) => {
                    let drops = value.try_into().map_or(0, |bytes| self.order.u64(bytes));
                    self.add_dropped(drops);
                }
                _ => {}
            }
        }
        let index = self.section_start.saturating_add(number as usize);
        let Some(interface) = self.interfaces.get(index) else {
            sink.notes.count(Repeated::UnknownInterface, block.offset);
            return Some(());
        };
        if caplen > CAPLEN_MAX {
            sink.notes.count(Repeated::PacketTooLong, block.offset);
            return Some(());
        }
        let offset_ns = i128::from(interface.offset_s) * 1_000_000_000;
        let (time_ns, time_ps) = interface.resolution.ns(ticks);
        let record = Record {
            time_ns: Some(time_ns + offset_ns),
            time_ps,
            flags,
            interface: index as u32,
            direction,
            link_type: interface.info.link_type,
            wire_len,
        };
        sink.push(block.offset, record, data);
        Some(())
    }

    /// A packet of the section's first interface, without a time.
    fn simple_packet(&mut self, block: Block, body: &[u8], sink: &mut Sink<'_>) -> Option<()> {
        let (fixed, rest) = body.split_first_chunk::<4>()?;
        let wire_len = self.order.u32(fixed, 0);
        let Some(interface) = self.interfaces.get(self.section_start) else {
            sink.notes.count(Repeated::UnknownInterface, block.offset);
            return Some(());
        };
        let snaplen = match interface.info.snaplen {
            0 => u32::MAX,
            snaplen => snaplen,
        };
        let caplen = wire_len.min(snaplen);
        if caplen > CAPLEN_MAX {
            sink.notes.count(Repeated::PacketTooLong, block.offset);
            return Some(());
        }
        let data = rest.get(..caplen as usize)?;
        let record = Record {
            time_ns: None,
            time_ps: 0,
            flags: 0,
            interface: self.section_start as u32,
            direction: Direction::Unknown,
            link_type: interface.info.link_type,
            wire_len,
        };
        sink.push(block.offset, record, data);
        Some(())
    }

    fn add_dropped(&mut self, count: u64) {
        self.dropped_between = Some(self.dropped_between.unwrap_or(0).saturating_add(count));
    }

    #[inline]
    fn options<'a>(&self, rest: &'a [u8]) -> Options<'a> {
        Options { order: self.order, rest }
    }
}

/// The link-layer errors of a packet's flags word: bit 24 is a wrong check
/// sequence, 25 to 31 are the others.
fn link_flags(word: u32) -> u16 {
    let bad_fcs = if word & 1 << 24 != 0 { ts_flags::FCS_BAD } else { 0 };
    bad_fcs | if word >> 25 != 0 { ts_flags::RECEIVE_ERROR } else { 0 }
}

/// A block ends with its length once more.
#[inline]
/// Takes over one option of an interface statistics block.
fn stats_option(record: &mut StatsRecord, code: u16, count: Option<u64>, value: &[u8]) {
    let counts = &mut record.counts;
    match code {
        4 => counts.seen = counts.seen.or(count),
        5 => counts.dropped_interface = count,
        6 => counts.seen = count.or(counts.seen),
        7 => counts.dropped_ring = count,
        8 => counts.taken = count.unwrap_or_default(),
        OPTION_COUNTS => record.read_text(&String::from_utf8_lossy(value)),
        OPTION_CLOCK if record.clocks.len() < CLOCKS_MAX => {
            record.clocks.extend(ClockRecord::from_text(&String::from_utf8_lossy(value)));
        }
        _ => {}
    }
}

fn check_closing(offset: u64, len: u32, closing: u32, sink: &mut Sink<'_>) -> Step {
    if closing == len {
        return Step::Went;
    }
    let rest = sink.notes.rest(offset);
    sink.notes
        .warn(offset, format!("a block starts with length {len} and ends with {closing}: {rest}"));
    Step::End
}

#[cold]
fn cut(window: &Window, sink: &mut Sink<'_>, needed: u32, had: u64) -> Step {
    sink.notes.cut(window.offset(), "block", needed.into(), had, window.compressed_cut);
    Step::End
}
