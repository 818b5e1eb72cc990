//! Writes pcapng files with nanosecond times, little-endian, version 1.0
//! (draft-ietf-opsawg-pcapng).
//!
//! ```text
//! section header · one description an interface · packets … · statistics …
//! ```
//!
//! Every block is written with one call, so that a file that was synced ends
//! at a block unless a block itself was torn.

use crate::account::{OPTION_CLOCK, OPTION_COUNTS, OPTION_SEGMENT, StatsRecord};
use crate::packet::{CAPLEN_MAX, LinkType, PacketMeta, ts_flags};
use crate::packet_blocks::encode;
use crate::pcap_writer::{checked_len, invalid};
use crate::source::LossCounters;
use crate::time::Timestamp;
use std::io::{self, Write};

/// Nanoseconds: 10^-9 s a tick.
const TSRESOL_NS: u8 = 9;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;

/// A pcapng file being written. Give it a buffered writer.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    out: W,
    link_types: Vec<LinkType>,
    block: Vec<u8>,
}

impl<W: Write> PcapngWriter<W> {
    /// Writes the section header and a description for each interface, which
    /// are numbered in this order from 0.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, interfaces: &[(LinkType, &str)]) -> io::Result<Self> {
        Self::of_segment(out, interfaces, None)
    }

    /// The same; the header keeps the name of a live capture's segment.
    ///
    /// # Errors
    /// What the writer says.
    pub fn of_segment(
        out: W,
        interfaces: &[(LinkType, &str)],
        segment: Option<&str>,
    ) -> io::Result<Self> {
        let mut writer = Self { out, link_types: Vec::new(), block: Vec::new() };
        writer.begin(SECTION_HEADER);
        writer.put(&0x1a2b_3c4d_u32.to_le_bytes());
        writer.put(&[1, 0, 0, 0]);
        writer.put(&(-1i64).to_le_bytes());
        writer.option(4, b"taptrail");
        if let Some(segment) = segment {
            writer.option(OPTION_SEGMENT, segment.as_bytes());
        }
        writer.end_options();
        writer.end()?;
        for &(link_type, name) in interfaces {
            writer.add_interface(link_type, name)?;
        }
        Ok(writer)
    }

    /// Describes one more interface and gives its number.
    ///
    /// # Errors
    /// What the writer says.
    pub fn add_interface(&mut self, link_type: LinkType, name: &str) -> io::Result<u32> {
        self.begin(INTERFACE_DESCRIPTION);
        self.put(&link_type.0.to_le_bytes());
        self.put(&[0, 0]);
        self.put(&CAPLEN_MAX.to_le_bytes());
        if !name.is_empty() {
            self.option(2, name.as_bytes());
        }
        self.option(9, &[TSRESOL_NS]);
        self.end_options();
        self.end()?;
        self.link_types.push(link_type);
        Ok(self.link_types.len() as u32 - 1)
    }

    /// Writes a packet of the interface `meta.interface` with its record's
    /// time (`ts_record`): a trailer's time stays in the bytes. A whole packet
    /// without a time of an only interface becomes a simple packet.
    ///
    /// # Errors
    /// What the writer says; [`io::ErrorKind::InvalidInput`], with nothing
    /// written, where the interface is not described or has another link
    /// type, the packet is longer than [`CAPLEN_MAX`], or its time is before
    /// 1970.
    pub fn write(&mut self, meta: &PacketMeta, data: &[u8]) -> io::Result<()> {
        let caplen = checked_len(data)?;
        match self.link_types.get(meta.interface as usize) {
            Some(&link_type) if link_type == meta.link_type => {}
            Some(link_type) => {
                let (has, is) = (link_type.0, meta.link_type.0);
                return Err(invalid(format!(
                    "interface {} has link type {has}, its packet {is}",
                    meta.interface
                )));
            }
            None => return Err(invalid(format!("interface {} is not described", meta.interface))),
        }
        let no_time = meta.ts_flags & ts_flags::NO_TIME != 0;
        if no_time && meta.interface == 0 && caplen == meta.wire_len {
            self.begin(SIMPLE_PACKET);
            self.put(&meta.wire_len.to_le_bytes());
            self.put_padded(data);
            return self.end();
        }
        let ticks = ticks(meta.ts_record)?;
        self.block.clear();
        encode(&mut self.block, meta.interface, ticks, meta, data);
        self.out.write_all(&self.block)
    }

    /// Writes what an interface lost so far, counted from the start of the
    /// capture; later statistics replace earlier ones.
    ///
    /// # Errors
    /// What the writer says; [`io::ErrorKind::InvalidInput`] where the
    /// interface is not described or the time is before 1970.
    pub fn write_losses(
        &mut self,
        interface: u32,
        at: Timestamp,
        losses: &LossCounters,
    ) -> io::Result<()> {
        if interface as usize >= self.link_types.len() {
            return Err(invalid(format!("interface {interface} is not described")));
        }
        let ticks = ticks(at)?;
        self.begin(INTERFACE_STATISTICS);
        self.put(&interface.to_le_bytes());
        self.put_ticks(ticks);
        if let Some(count) = losses.interface {
            self.option(5, &count.to_le_bytes());
        }
        if let Some(count) = losses.ring {
            self.option(7, &count.to_le_bytes());
        }
        self.end_options();
        self.end()
    }

    /// Writes the account of an interface, `record.interface`: the counts that
    /// the format names and, for taptrail, all of them and the clocks.
    ///
    /// # Errors
    /// As [`write_losses`](Self::write_losses).
    pub fn write_stats(&mut self, record: &StatsRecord) -> io::Result<()> {
        if record.interface as usize >= self.link_types.len() {
            return Err(invalid(format!("interface {} is not described", record.interface)));
        }
        let ticks = ticks(record.at)?;
        self.begin(INTERFACE_STATISTICS);
        self.put(&record.interface.to_le_bytes());
        self.put_ticks(ticks);
        let counts = &record.counts;
        let standard = [
            (5, counts.dropped_interface),
            (6, counts.seen),
            (7, counts.dropped_ring),
            (8, Some(counts.taken)),
        ];
        for (code, count) in standard {
            if let Some(count) = count {
                self.option(code, &count.to_le_bytes());
            }
        }
        self.option(OPTION_COUNTS, record.to_text().as_bytes());
        for clock in &record.clocks {
            self.option(OPTION_CLOCK, clock.to_text().as_bytes());
        }
        self.end_options();
        self.end()
    }

    /// Flushes what is buffered.
    ///
    /// # Errors
    /// What the writer says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The writer below, for what only it can do (sync to disk).
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// The writer below, to change: where it is a buffer, to empty it.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// Starts a block; its length is filled in by [`end`](Self::end).
    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.put(&kind.to_le_bytes());
        self.put(&[0; 4]);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    fn put_padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn put_ticks(&mut self, ticks: u64) {
        self.put(&((ticks >> 32) as u32).to_le_bytes());
        self.put(&(ticks as u32).to_le_bytes());
    }

    /// Adds an option; a longer value than its length field can say is cut.
    fn option(&mut self, code: u16, value: &[u8]) {
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        self.put(&code.to_le_bytes());
        self.put(&(value.len() as u16).to_le_bytes());
        self.put_padded(value);
    }

    fn end_options(&mut self) {
        self.put(&[0; 4]);
    }

    /// Fills in both lengths and writes the block.
    fn end(&mut self) -> io::Result<()> {
        let len = (self.block.len() as u32 + 4).to_le_bytes();
        self.put(&len);
        if let Some(field) = self.block.get_mut(4..8) {
            field.copy_from_slice(&len);
        }
        self.out.write_all(&self.block)
    }
}

fn ticks(ts: Timestamp) -> io::Result<u64> {
    u64::try_from(ts.ns()).map_err(|_| invalid(format!("time {ts} is before 1970")))
}
