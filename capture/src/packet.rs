//! A packet as captured, and a batch of them.

use crate::time::Timestamp;

/// Most packets in one batch. Bounds memory and latency; large enough that
/// per-batch work does not show.
pub const BATCH_PACKETS_MAX: usize = 8192;

/// A batch is full once its payload reaches this many bytes (one packet may
/// go over it): what a processor's own cache keeps until the batch has been used.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The largest captured length taken from any source: 256 KiB covers jumbo
/// frames and offloaded segments. A record that claims more is an error, not
/// an allocation.
pub const CAPLEN_MAX: u32 = 256 << 10;

/// A link type as numbered by the tcpdump link-type registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// Ethernet II / 802.3.
    pub const ETHERNET: Self = Self(1);
    /// Raw IPv4 or IPv6, told by the first nibble.
    pub const RAW: Self = Self(101);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// What stamped a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TsSource {
    /// The capture record's own time.
    #[default]
    Record = 0,
    /// A Metamako / Arista 7130 trailer.
    Metamako = 1,
    /// An Exablaze / Cisco Nexus 3550-F trailer, or ticks with key frames.
    Exablaze = 2,
    /// A cPacket trailer.
    Cpacket = 3,
    /// An Ixia trailer.
    Ixia = 4,
    /// A Gigamon trailer, either kind.
    Gigamon = 5,
    /// A VSS Monitoring trailer.
    Vss = 6,
    /// What exact-capture writes behind a packet.
    Expcap = 7,
    /// An Arista 7280 / 7500R header, or its time in the source address.
    Arista7280 = 8,
    /// Ticks of an Arista 7150 with key frames.
    Arista7150 = 9,
    /// A Cisco TTAG.
    Ttag = 10,
    /// An ERSPAN type III header.
    Erspan = 11,
}

impl TsSource {
    /// Every source, at the index of its number.
    pub const ALL: [Self; 12] = [
        Self::Record,
        Self::Metamako,
        Self::Exablaze,
        Self::Cpacket,
        Self::Ixia,
        Self::Gigamon,
        Self::Vss,
        Self::Expcap,
        Self::Arista7280,
        Self::Arista7150,
        Self::Ttag,
        Self::Erspan,
    ];

    /// Their names in tables, at the index of their number.
    pub const NAMES: [&'static str; 12] = [
        "record",
        "metamako",
        "exablaze",
        "cpacket",
        "ixia",
        "gigamon",
        "vss",
        "expcap",
        "arista7280",
        "arista7150",
        "ttag",
        "erspan",
    ];

    /// The source of a number; the record where there is none of it.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }
}

/// Bits of [`Packet::ts_flags`].
pub mod ts_flags {
    /// The point is configured for a trailer and this packet has none that fits.
    pub const TRAILER_MISSING: u16 = 1 << 0;
    /// The stamping device says its clock is degraded.
    pub const CLOCK_DEGRADED: u16 = 1 << 1;
    /// The device says the frame's original FCS was valid.
    pub const FCS_VALID: u16 = 1 << 2;
    /// The device marked the frame as a duplicate.
    pub const DUPLICATE: u16 = 1 << 3;
    /// The record's time does not fit 64-bit nanoseconds and was set to 0.
    pub const TIME_OUT_OF_RANGE: u16 = 1 << 4;
    /// The record carries no time (a simple packet): 0.
    pub const NO_TIME: u16 = 1 << 5;
    /// The stamping clock has lost its reference and runs on by itself.
    pub const HOLDOVER: u16 = 1 << 6;
    /// The stamping clock has no reference.
    pub const NO_SYNC: u16 = 1 << 7;
    /// The device or the capture says the frame's FCS was wrong.
    pub const FCS_BAD: u16 = 1 << 8;
    /// The capture says the frame was received with another error, or cut for
    /// want of room.
    pub const RECEIVE_ERROR: u16 = 1 << 9;
    /// The adapter was to stamp the packet and the system did: its time is
    /// another clock's.
    pub const SYSTEM_STAMP: u16 = 1 << 10;
}

/// Which way a packet went past the interface, where the source says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Not said.
    #[default]
    Unknown = 0,
    /// Received.
    In = 1,
    /// Sent.
    Out = 2,
}

impl Direction {
    /// Every direction, at the index of its number.
    pub const NAMES: [&'static str; 3] = ["unknown", "in", "out"];
}

/// What is known of a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketMeta {
    /// Best time of the packet: the stamp's where configured or told, else the record's.
    pub ts: Timestamp,
    /// Picoseconds to add to `ts`, -500 to 999; 0 where the source has none.
    pub ts_ps: i16,
    /// The capture record's own time.
    pub ts_record: Timestamp,
    /// What gave `ts`.
    pub ts_source: TsSource,
    /// Bits of [`ts_flags`].
    pub ts_flags: u16,
    /// The packet's position in its capture, from 0.
    pub packet_ix: u32,
    /// Interface number within the capture (pcapng), else 0.
    pub interface: u32,
    /// Which way it went.
    pub direction: Direction,
    /// How to read the first header.
    pub link_type: LinkType,
    /// Length on the wire, in bytes, as the record says.
    pub wire_len: u32,
}

/// A packet of a batch: its facts and its captured bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Everything but the bytes.
    pub meta: PacketMeta,
    /// The captured bytes, trailer and FCS included.
    pub data: &'a [u8],
}

/// What packets are read into.
pub trait PacketSink {
    /// Adds a copy of a packet.
    fn push(&mut self, meta: PacketMeta, data: &[u8]);

    /// Number of packets.
    fn len(&self) -> usize;

    /// Whether there is no packet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it should be handed on.
    fn is_full(&self) -> bool;

    /// Sum of the captured lengths, in bytes.
    fn bytes_len(&self) -> usize;
}

impl PacketSink for PacketBatch {
    fn push(&mut self, meta: PacketMeta, data: &[u8]) {
        self.push(meta, data);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn is_full(&self) -> bool {
        self.is_full()
    }

    fn bytes_len(&self) -> usize {
        self.bytes_len()
    }
}

/// Bytes of the length before a packet's own.
const LENGTH: usize = size_of::<u32>();

/// Packets in capture order, their bytes in one arena:
///
/// ```text
/// records  length 4 │ bytes │ length 4 │ bytes │ …
/// ends                     ▲                  ▲
/// ```
///
/// A length before each packet is how they are stored, so that nothing has to be copied
/// for that.
#[derive(Debug, Default)]
pub struct PacketBatch {
    metas: Vec<PacketMeta>,
    ends: Vec<usize>,
    records: Vec<u8>,
}

impl PacketBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the packets, keeps the memory.
    pub fn clear(&mut self) {
        self.metas.clear();
        self.ends.clear();
        self.records.clear();
    }

    /// Number of packets.
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    /// Sum of the captured lengths, in bytes.
    pub fn bytes_len(&self) -> usize {
        self.records.len() - LENGTH * self.len()
    }

    /// Whether a source should hand the batch on.
    pub fn is_full(&self) -> bool {
        self.metas.len() >= BATCH_PACKETS_MAX || self.records.len() >= BATCH_BYTES_MAX
    }

    /// Appends a copy of a packet.
    #[inline]
    pub fn push(&mut self, meta: PacketMeta, data: &[u8]) {
        self.records.reserve(LENGTH + data.len());
        self.records.extend_from_slice(&(data.len() as u32).to_le_bytes());
        self.records.extend_from_slice(data);
        self.ends.push(self.records.len());
        self.metas.push(meta);
    }

    /// Appends copies of another batch's packets.
    pub fn append(&mut self, other: &Self) {
        let start = self.records.len();
        self.records.extend_from_slice(&other.records);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.metas.extend_from_slice(&other.metas);
    }

    /// The packet at `index`, from 0.
    ///
    /// # Panics
    /// Where `index` is not below [`len`](Self::len).
    pub fn get(&self, index: usize) -> Packet<'_> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Packet { meta: self.metas[index], data: &self.records[start + LENGTH..self.ends[index]] }
    }

    /// The packets in order, their facts to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut PacketMeta, &[u8])> {
        let (records, mut start) = (self.records.as_slice(), 0);
        self.metas.iter_mut().zip(&self.ends).map(move |(meta, &end)| {
            let data = records.get(start + LENGTH..end).unwrap_or_default();
            start = end;
            (meta, data)
        })
    }

    /// What is known of the packets, in order.
    pub fn metas(&self) -> &[PacketMeta] {
        &self.metas
    }

    /// Captured lengths, in order.
    pub fn lens(&self) -> impl Iterator<Item = u32> + Clone {
        let starts = std::iter::once(&0).chain(&self.ends);
        self.ends.iter().zip(starts).map(|(end, start)| (end - start - LENGTH) as u32)
    }

    /// Each packet's length, in 32 bits with the lowest byte first, and its bytes, one
    /// behind the other; and where each ends.
    pub fn records(&self) -> (&[u8], &[usize]) {
        (&self.records, &self.ends)
    }

    /// The packets in order.
    pub fn iter(&self) -> impl Iterator<Item = Packet<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_stand_at_their_numbers() {
        for (number, source) in TsSource::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, number);
            assert_eq!(TsSource::from_number(number as u8), source);
        }
        assert_eq!(TsSource::from_number(200), TsSource::Record);
    }

    fn batch(packets: &[&[u8]]) -> PacketBatch {
        let mut batch = PacketBatch::new();
        for (packet_ix, data) in (0..).zip(packets) {
            let meta = PacketMeta {
                ts: Timestamp::from_ns(7),
                ts_ps: 0,
                ts_record: Timestamp::from_ns(7),
                ts_source: TsSource::Record,
                ts_flags: 0,
                packet_ix,
                interface: 0,
                direction: Direction::Unknown,
                link_type: LinkType::ETHERNET,
                wire_len: 9,
            };
            batch.push(meta, data);
        }
        batch
    }

    #[test]
    fn packets_lie_behind_their_lengths() {
        let mut all = batch(&[b"ab", b""]);
        all.append(&batch(&[b"cde"]));
        assert_eq!(all.records().0, b"\x02\0\0\0ab\0\0\0\0\x03\0\0\0cde");
        assert_eq!((all.len(), all.bytes_len()), (3, 5));
        assert_eq!(all.lens().collect::<Vec<_>>(), [2, 0, 3]);
        let data: Vec<&[u8]> = all.iter().map(|packet| packet.data).collect();
        assert_eq!(data, [&b"ab"[..], b"", b"cde"]);
        assert!(all.iter_mut().map(|(_, data)| data.len()).eq([2, 0, 3]));
    }
}
