//! Packets of one interface as the packet blocks of a pcapng file: encoded once, where
//! they are read, and written as they are.
//!
//! ```text
//! ring ─▶ block │ block │ … ─▶ open segment
//!                      └─▶ a batch again, for whoever wants to see them at once
//! block   6 · length · interface 0 · time 8 · captured · on the wire · data · options · length
//! ```

use crate::account::OPTION_STAMP;
use crate::open_segment::Tally;
use crate::packet::{
    BATCH_PACKETS_MAX, CAPLEN_MAX, Direction, LinkType, PacketBatch, PacketMeta, PacketSink,
    TsSource, ts_flags,
};
use crate::time::Timestamp;

/// Full at so many bytes: as much as a processor's own cache keeps until they are
/// written, and enough for one call.
const BYTES_MAX: usize = 256 << 10;

/// An enhanced packet block.
pub(crate) const ENHANCED_PACKET: u32 = 6;

/// Its bytes before the data.
const HEAD: usize = 28;

/// A packet's options: flags, who stamped, their end.
const OPTIONS_MAX: usize = 8 + 8 + 4;

/// Packets, ready for a file that describes their interface first.
#[derive(Debug)]
pub struct PacketBlocks {
    bytes: Vec<u8>,
    link_type: LinkType,
    taken: Tally,
    unwritable: Tally,
}

impl Default for PacketBlocks {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            link_type: LinkType::ETHERNET,
            taken: Tally::default(),
            unwritable: Tally::default(),
        }
    }
}

impl PacketBlocks {
    /// Forgets the packets, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.taken, self.unwritable) = (Tally::default(), Tally::default());
    }

    /// Packets that came, and their captured bytes.
    pub fn taken(&self) -> Tally {
        self.taken
    }

    /// Of them, those for which the format has no place: of a time before 1970.
    pub fn unwritable(&self) -> Tally {
        self.unwritable
    }

    /// The blocks.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How to read the first header of the packets.
    pub fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Adds the packets to a batch, as a reader of the file would, the first with the
    /// number `packet_ix`.
    pub fn read_into(&self, mut packet_ix: u32, batch: &mut PacketBatch) {
        let mut rest = self.bytes.as_slice();
        while let Some((meta, data, behind)) = self.read_one(rest, packet_ix) {
            batch.push(meta, data);
            packet_ix = packet_ix.saturating_add(1);
            rest = behind;
        }
    }

    fn read_one<'a>(
        &self,
        bytes: &'a [u8],
        packet_ix: u32,
    ) -> Option<(PacketMeta, &'a [u8], &'a [u8])> {
        let head = bytes.first_chunk::<HEAD>()?.as_chunks::<4>().0;
        let word = |at: usize| head.get(at).map_or(0, |word| u32::from_le_bytes(*word));
        let (block, behind) = bytes.split_at_checked(word(1) as usize)?;
        let data = block.get(HEAD..)?.get(..word(5) as usize)?;
        let ns = (u64::from(word(3)) << 32) | u64::from(word(4));
        let ts = Timestamp::from_ns(i64::try_from(ns).ok()?);
        let options = HEAD + data.len().next_multiple_of(4);
        let (direction, ts_flags) = read_options(block.get(options..)?);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags,
            packet_ix,
            interface: 0,
            direction,
            link_type: self.link_type,
            wire_len: word(6),
        };
        Some((meta, data, behind))
    }
}

/// Options of four bytes each, as [`encode`] writes them.
fn read_options(mut options: &[u8]) -> (Direction, u16) {
    let (mut direction, mut flags) = (Direction::Unknown, 0);
    while let Some((option, rest)) = options.split_first_chunk::<8>() {
        let [c0, c1, 4, 0, value @ ..] = *option else { break };
        match (u16::from_le_bytes([c0, c1]), u32::from_le_bytes(value)) {
            (2, 1) => direction = Direction::In,
            (2, 2) => direction = Direction::Out,
            (OPTION_STAMP, word) => flags = word as u16 & ts_flags::SYSTEM_STAMP,
            _ => {}
        }
        options = rest;
    }
    (direction, flags)
}

impl PacketSink for PacketBlocks {
    fn push(&mut self, meta: PacketMeta, data: &[u8]) {
        let one = Tally { packets: 1, bytes: data.len() as u64 };
        self.taken.add(one);
        self.link_type = meta.link_type;
        let ticks = u64::try_from(meta.ts_record.ns()).ok();
        match ticks.filter(|_| data.len() <= CAPLEN_MAX as usize) {
            Some(ticks) => encode(&mut self.bytes, 0, ticks, &meta, data),
            None => self.unwritable.add(one),
        }
    }

    fn len(&self) -> usize {
        self.taken.packets as usize
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX || self.len() >= BATCH_PACKETS_MAX
    }

    fn bytes_len(&self) -> usize {
        self.taken.bytes as usize
    }
}

/// Appends the block of a packet of `interface`; its data is at most [`CAPLEN_MAX`] long.
#[inline]
pub(crate) fn encode(
    out: &mut Vec<u8>,
    interface: u32,
    ticks: u64,
    meta: &PacketMeta,
    data: &[u8],
) {
    // What is behind the data: its padding, options, the length once more.
    let mut tail = [0; 3 + OPTIONS_MAX + 4];
    let padding = data.len().next_multiple_of(4) - data.len();
    let mut end = padding;
    let mut put = |bytes: &[u8]| {
        if let Some(slot) = tail.get_mut(end..end + bytes.len()) {
            slot.copy_from_slice(bytes);
            end += bytes.len();
        }
    };
    let stamp = meta.ts_flags & ts_flags::SYSTEM_STAMP;
    if stamp != 0 || meta.direction != Direction::Unknown {
        if meta.direction != Direction::Unknown {
            put(&option(2, meta.direction as u32));
        }
        if stamp != 0 {
            put(&option(OPTION_STAMP, stamp.into()));
        }
        put(&[0; 4]);
    }
    let len = (HEAD + data.len() + end + 4) as u32;
    let words = [
        ENHANCED_PACKET,
        len,
        interface,
        (ticks >> 32) as u32,
        ticks as u32,
        data.len() as u32,
        meta.wire_len,
    ];
    out.extend_from_slice(words.map(u32::to_le_bytes).as_flattened());
    out.extend_from_slice(data);
    if let Some(slot) = tail.get_mut(end..end + 4) {
        slot.copy_from_slice(&len.to_le_bytes());
    }
    out.extend_from_slice(tail.get(..end + 4).unwrap_or_default());
}

/// An option of four bytes.
fn option(code: u16, value: u32) -> [u8; 8] {
    let ([c0, c1], [v0, v1, v2, v3]) = (code.to_le_bytes(), value.to_le_bytes());
    [c0, c1, 4, 0, v0, v1, v2, v3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;
    use crate::pcapng_writer::PcapngWriter;
    use crate::point::TimestampFrom;
    use crate::source::{PacketSource, Progress};
    use proptest::prelude::*;
    use std::io::Write;

    fn meta(ns: i64, direction: u8, flags: u16, wire_len: u32) -> PacketMeta {
        let ts = Timestamp::from_ns(ns);
        PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: flags,
            packet_ix: 0,
            interface: 9,
            direction: [Direction::Unknown, Direction::In, Direction::Out][usize::from(direction)],
            link_type: LinkType::ETHERNET,
            wire_len,
        }
    }

    fn packets(batch: &PacketBatch) -> Vec<(PacketMeta, Vec<u8>)> {
        batch.iter().map(|packet| (packet.meta, packet.data.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn blocks_are_a_file_and_a_batch_of_the_same_packets(
            told in proptest::collection::vec(
                (0..i64::MAX, 0..3u8, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..70)),
                0..20,
            )
        ) {
            let mut blocks = PacketBlocks::default();
            let mut whole = PcapngWriter::new(Vec::new(), &[(LinkType::ETHERNET, "e")]).unwrap();
            for (ns, direction, stamp, data) in &told {
                let flags = if *stamp { ts_flags::SYSTEM_STAMP } else { 0 };
                let meta = meta(*ns, *direction, flags, data.len() as u32 + 5);
                blocks.push(meta, data);
                whole.write(&PacketMeta { interface: 0, ..meta }, data).unwrap();
            }
            let head = PcapngWriter::new(Vec::new(), &[(LinkType::ETHERNET, "e")]).unwrap();
            let mut file = head.finish().unwrap();
            file.write_all(blocks.bytes()).unwrap();
            prop_assert_eq!(&file, &whole.finish().unwrap());
            let input = Box::new(std::io::Cursor::new(file));
            let mut source = file::from_reader("x", input, TimestampFrom::Record).unwrap();
            let (mut read, mut batch) = (Vec::new(), PacketBatch::new());
            while source.next_batch(&mut batch).unwrap() == Progress::More {
                read.extend(packets(&batch));
            }
            read.extend(packets(&batch));
            prop_assert_eq!(read.len(), told.len());
            batch.clear();
            blocks.read_into(0, &mut batch);
            prop_assert_eq!(packets(&batch), read);
        }
    }

    #[test]
    fn what_the_format_has_no_place_for_is_counted() {
        let mut blocks = PacketBlocks::default();
        blocks.push(meta(-1, 0, 0, 60), &[0; 60]);
        blocks.push(meta(1, 0, 0, 60), &[0; 60]);
        let one = Tally { packets: 1, bytes: 60 };
        assert_eq!((blocks.taken(), blocks.unwritable()), (Tally { packets: 2, bytes: 120 }, one));
        let mut batch = PacketBatch::new();
        blocks.read_into(7, &mut batch);
        assert_eq!((batch.len(), batch.get(0).meta.packet_ix), (1, 7));
        blocks.clear();
        assert!(blocks.is_empty() && blocks.bytes().is_empty());
    }
}
