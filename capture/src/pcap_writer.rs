//! Writes pcap files with nanosecond times, little-endian, version 2.4
//! (draft-ietf-opsawg-pcap).

use crate::packet::{CAPLEN_MAX, LinkType, PacketMeta};
use std::io::{self, ErrorKind, Write};

/// Nanosecond magic.
const MAGIC: u32 = 0xa1b2_3c4d;

/// A pcap file being written. Writes twice a packet: give it a buffered writer.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    out: W,
    link_type: LinkType,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(mut out: W, link_type: LinkType) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(4u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(CAPLEN_MAX.to_le_bytes());
        header.extend(u32::from(link_type.0).to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, link_type })
    }

    /// Writes a packet with its record's time (`ts_record`): a trailer's time
    /// stays in the bytes.
    ///
    /// # Errors
    /// What the writer says; [`ErrorKind::InvalidInput`], with nothing
    /// written, where the packet has another link type, is longer than
    /// [`CAPLEN_MAX`], or its time is not from 1970 to 2106.
    pub fn write(&mut self, meta: &PacketMeta, data: &[u8]) -> io::Result<()> {
        if meta.link_type != self.link_type {
            let (has, is) = (self.link_type.0, meta.link_type.0);
            return Err(invalid(format!(
                "a pcap file of link type {has} cannot hold link type {is}"
            )));
        }
        let caplen = checked_len(data)?;
        let ns = meta.ts_record.ns();
        let sec = u32::try_from(ns.div_euclid(1_000_000_000))
            .map_err(|_| invalid(format!("time {} does not fit a pcap record", meta.ts_record)))?;
        let fraction = ns.rem_euclid(1_000_000_000) as u32;
        let mut header = [0; 16];
        let fields = [sec, fraction, caplen, meta.wire_len];
        for (slot, field) in header.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *slot = field.to_le_bytes();
        }
        self.out.write_all(&header)?;
        self.out.write_all(data)
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

    /// Flushes and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

pub(crate) fn checked_len(data: &[u8]) -> io::Result<u32> {
    u32::try_from(data.len()).ok().filter(|&len| len <= CAPLEN_MAX).ok_or_else(|| {
        invalid(format!("a packet of {} bytes is longer than {CAPLEN_MAX}", data.len()))
    })
}
