//! The account of packets at a point: everything that passed is written, still
//! waiting, or dropped with a cause.
//!
//! ```text
//! NIC ──▶ kernel ring ──▶ reader ──▶ queue ──▶ writer ──▶ disk
//!  │        │               │         │                    │
//!  nic      dropped_ring    taken     dropped_queue        written, dropped_writer, dropped_disk
//!
//! seen  = dropped_ring + taken + unread
//! taken = written + dropped_queue + dropped_writer + dropped_disk + waiting
//! ```
//!
//! A count that cannot be read is `None`, never 0. Each packet is in one count of
//! these two lines. The adapter's counts lie before them and overlap with each
//! other and with `dropped_interface`: see [`NicCounts`].

use crate::clock::ClockRecord;
use crate::time::Timestamp;

/// The option of an interface statistics block in which taptrail keeps its own
/// counts, as text. Bit 15 of a pcapng option code means local use.
pub(crate) const OPTION_COUNTS: u16 = 0x8001;

/// Before the name of a counter of the driver's own.
const DRIVER: &str = "driver:";

/// Most of them in an account.
pub const DRIVER_COUNTERS_MAX: usize = 64;

/// The option of a packet with more of its [`ts_flags`](crate::packet::ts_flags)
/// than the format has a place for.
pub(crate) const OPTION_STAMP: u16 = 0x8003;

/// The option of a section header with the name of the segment that it begins.
pub(crate) const OPTION_SEGMENT: u16 = 0x8004;

/// The option with one clock's state, as text; may stand several times.
pub(crate) const OPTION_CLOCK: u16 = 0x8002;

/// Counters of the adapter and its driver, since the account began; they count
/// whatever arrived, also what no filter would have let through.
///
/// The kernel keeps `dropped` and `missed` apart (linux/if_link.h); of the others
/// each driver decides. `crc` is part of `errors`, some drivers count one overflow
/// in both `missed` and `fifo`, and libpcap's `dropped_interface` is the sum of
/// these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NicCounts {
    /// Packets that arrived (`rx_packets`).
    pub packets: Option<u64>,
    /// Dropped for want of room in the system (`rx_dropped`).
    pub dropped: Option<u64>,
    /// Missed by the adapter (`rx_missed_errors`).
    pub missed: Option<u64>,
    /// Lost in the adapter's own queue (`rx_fifo_errors`).
    pub fifo: Option<u64>,
    /// Received damaged or not at all, for whatever reason (`rx_errors`).
    pub errors: Option<u64>,
    /// Of them, with a wrong check sequence (`rx_crc_errors`).
    pub crc: Option<u64>,
}

/// What happened to the packets of a point since its account began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that met the filter, as the kernel counts them.
    pub seen: Option<u64>,
    /// Dropped by the kernel because the ring was full.
    pub dropped_ring: Option<u64>,
    /// Dropped by the interface or its driver, as libpcap tells it.
    pub dropped_interface: Option<u64>,
    /// Packets read from the ring.
    pub taken: u64,
    /// Their captured bytes.
    pub taken_bytes: u64,
    /// Packets written to the open segment.
    pub written: u64,
    /// Their captured bytes.
    pub written_bytes: u64,
    /// Dropped because the queue between reader and writer was full.
    pub dropped_queue: u64,
    /// Dropped by the writer: the file's format has no place for them (a time
    /// before 1970), or it has broken down.
    pub dropped_writer: u64,
    /// Dropped because the disk did not take them.
    pub dropped_disk: u64,
    /// Of those taken, stamped by the adapter's clock; the system stamped the
    /// others. `None` where the system alone was asked to.
    pub stamped_adapter: Option<u64>,
    /// The adapter's own counters.
    pub nic: NicCounts,
}

impl Counts {
    /// Packets between reader and disk.
    pub fn waiting(&self) -> u64 {
        self.taken.saturating_sub(self.written.saturating_add(self.dropped_behind()))
    }

    /// Packets that the kernel counted and the reader has not got: still in the
    /// ring, or let in before the filter held. `None` where the kernel's counts
    /// are unknown or count what is not given (the loopback counts twice).
    pub fn unread(&self) -> Option<u64> {
        self.seen?.checked_sub(self.dropped_ring?.checked_add(self.taken)?)
    }

    /// Everything lost behind the ring.
    fn dropped_behind(&self) -> u64 {
        let behind = self.dropped_queue.saturating_add(self.dropped_writer);
        behind.saturating_add(self.dropped_disk)
    }

    /// Everything lost after the adapter, as far as it is known.
    pub fn dropped(&self) -> u64 {
        self.dropped_ring.unwrap_or(0).saturating_add(self.dropped_behind())
    }

    /// The counts with their names, in the order in which they are told.
    pub fn named(&self) -> [(&'static str, Option<u64>); 17] {
        let nic = &self.nic;
        [
            ("seen", self.seen),
            ("ring", self.dropped_ring),
            ("interface", self.dropped_interface),
            ("taken", Some(self.taken)),
            ("taken_bytes", Some(self.taken_bytes)),
            ("written", Some(self.written)),
            ("written_bytes", Some(self.written_bytes)),
            ("queue", Some(self.dropped_queue)),
            ("writer", Some(self.dropped_writer)),
            ("disk", Some(self.dropped_disk)),
            ("stamped_adapter", self.stamped_adapter),
            ("nic_packets", nic.packets),
            ("nic_dropped", nic.dropped),
            ("nic_missed", nic.missed),
            ("nic_fifo", nic.fifo),
            ("nic_errors", nic.errors),
            ("nic_crc", nic.crc),
        ]
    }

    fn set(&mut self, name: &str, value: u64) {
        match name {
            "seen" => self.seen = Some(value),
            "ring" => self.dropped_ring = Some(value),
            "interface" => self.dropped_interface = Some(value),
            "taken" => self.taken = value,
            "taken_bytes" => self.taken_bytes = value,
            "written" => self.written = value,
            "written_bytes" => self.written_bytes = value,
            "queue" => self.dropped_queue = value,
            "writer" => self.dropped_writer = value,
            "disk" => self.dropped_disk = value,
            "stamped_adapter" => self.stamped_adapter = Some(value),
            "nic_packets" => self.nic.packets = Some(value),
            "nic_dropped" => self.nic.dropped = Some(value),
            "nic_missed" => self.nic.missed = Some(value),
            "nic_fifo" => self.nic.fifo = Some(value),
            "nic_errors" => self.nic.errors = Some(value),
            "nic_crc" => self.nic.crc = Some(value),
            // A later version's count.
            _ => {}
        }
    }
}

/// The account of one interface at one moment, as a capture file keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsRecord {
    /// When it was taken, by the node's clock.
    pub at: Timestamp,
    /// Interface number within the file.
    pub interface: u32,
    /// Whether counting goes on from here: the difference to the record before
    /// it belongs to another file.
    pub begins: bool,
    /// Whether the interface could be read at that moment; `None`: not said.
    pub up: Option<bool>,
    /// The counts since the account began.
    pub counts: Counts,
    /// Counters of the driver's own that tell of drops and have grown since the
    /// account began: name and growth. They say more of what `counts.nic` counts.
    pub driver: Vec<(String, u64)>,
    /// What the clocks of the node said.
    pub clocks: Vec<ClockRecord>,
}

impl StatsRecord {
    /// A record that says nothing yet.
    pub fn new(at: Timestamp, interface: u32) -> Self {
        let (counts, driver, clocks) = (Counts::default(), Vec::new(), Vec::new());
        Self { at, interface, begins: false, up: None, counts, driver, clocks }
    }

    /// The counts as the text of [`OPTION_COUNTS`]: `name=number`, unknown ones
    /// left out.
    pub(crate) fn to_text(&self) -> String {
        let mut words = Vec::new();
        if self.begins {
            words.push("begins=1".to_string());
        }
        if let Some(up) = self.up {
            words.push(format!("up={}", u8::from(up)));
        }
        for (name, count) in self.counts.named() {
            words.extend(count.map(|count| format!("{name}={count}")));
        }
        words.extend(self.driver.iter().map(|(name, count)| format!("{DRIVER}{name}={count}")));
        words.join(" ")
    }

    /// Takes over what such a text says; words that are not known say nothing.
    pub(crate) fn read_text(&mut self, text: &str) {
        for (name, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            match (name, value.parse::<u64>()) {
                ("begins", Ok(value)) => self.begins = value == 1,
                ("up", Ok(value)) => self.up = Some(value == 1),
                (name, Ok(value)) => match name.strip_prefix(DRIVER) {
                    Some(name) if self.driver.len() < DRIVER_COUNTERS_MAX => {
                        self.driver.push((name.to_string(), value));
                    }
                    Some(_) => {}
                    None => self.counts.set(name, value),
                },
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_text() {
        let mut record = StatsRecord::new(Timestamp::from_ns(5), 0);
        record.begins = true;
        record.up = Some(false);
        for (number, (name, _)) in Counts::default().named().into_iter().enumerate() {
            record.counts.set(name, number as u64 + 1);
        }
        record.counts.nic.missed = None;
        record.driver = vec![("rx_queue_0_drops".to_string(), 7), ("[1]:_missed".to_string(), 9)];
        let mut read = StatsRecord::new(record.at, 0);
        read.read_text(&record.to_text());
        assert_eq!(read, record);
        read.read_text("written=x later=1 noise =");
        assert_eq!(read, record);
    }

    #[test]
    fn the_account_closes() {
        let counts = Counts {
            seen: Some(100),
            dropped_ring: Some(10),
            taken: 85,
            written: 60,
            dropped_queue: 12,
            dropped_writer: 3,
            dropped_disk: 3,
            ..Counts::default()
        };
        assert_eq!((counts.waiting(), counts.unread(), counts.dropped()), (7, Some(5), 28));
        assert_eq!(Counts { seen: None, ..counts }.unread(), None);
        assert_eq!(Counts { taken: 95, ..counts }.unread(), None);
    }
}
