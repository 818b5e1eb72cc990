//! The seven places on the wire where the simulated site captures.

use crate::trouble::{Trouble, Troubles};

/// Index of a point in [`POINTS`].
pub type PointIx = usize;

/// Exchange hand-off: feed A and B, the OUCH line after the firewall.
pub const P1: PointIx = 0;
/// After switch and firewall: feed A and B, tagged, one hop less to live.
pub const P2: PointIx = 1;
/// Into the feed handler: feed A and B.
pub const P3: PointIx = 2;
/// Internal bus: the normalised feed.
pub const P4: PointIx = 3;
/// Strategies to risk gateway: FIX.
pub const P5: PointIx = 4;
/// Risk gateway to exchange: OUCH.
pub const P6: PointIx = 5;
/// Drop copy: FIX execution reports.
pub const P7: PointIx = 6;

/// How a point's capture file looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// pcap with nanoseconds.
    Pcap,
    /// The same, compressed.
    PcapGz,
    /// pcapng, feed lines on interfaces of their own.
    Pcapng,
    /// ERF, which counts what was dropped before each packet.
    Erf,
}

/// A point of the site.
#[derive(Clone, Copy, Debug)]
pub struct PointSpec {
    /// Its name.
    pub name: &'static str,
    /// Its clock, an index of [`CLOCK_NAMES`](crate::clock::CLOCK_NAMES).
    pub clock: usize,
    /// How its file looks.
    pub format: FileFormat,
    /// Whether a tap adds a Metamako trailer and the record's time is coarse.
    pub trailer: bool,
    /// Whether it hangs on a mirror port, which may give a packet twice.
    pub mirror: bool,
    /// Speed of its link.
    pub link_gbps: u32,
}

/// Every point, in the order of the way of market data and orders.
pub const POINTS: [PointSpec; 7] = [
    point("P1", 0, FileFormat::Pcap),
    PointSpec { mirror: true, ..point("P2", 1, FileFormat::Pcapng) },
    PointSpec { trailer: true, ..point("P3", 1, FileFormat::Pcap) },
    point("P4", 2, FileFormat::PcapGz),
    PointSpec { mirror: true, ..point("P5", 2, FileFormat::Pcapng) },
    point("P6", 0, FileFormat::PcapGz),
    point("P7", 2, FileFormat::Pcap),
];

const fn point(name: &'static str, clock: usize, format: FileFormat) -> PointSpec {
    PointSpec { name, clock, format, trailer: false, mirror: false, link_gbps: 10 }
}

impl PointSpec {
    /// The point as it is under these troubles.
    pub fn under(self, troubles: &Troubles) -> Self {
        let counts = troubles.contains(&Trouble::DropCounts);
        match self.name {
            "P3" | "P4" if counts => Self { format: FileFormat::Erf, ..self },
            _ => self,
        }
    }

    /// Name of its capture file.
    pub fn file_name(&self) -> String {
        let suffix = match self.format {
            FileFormat::Pcap => "pcap",
            FileFormat::PcapGz => "pcap.gz",
            FileFormat::Pcapng => "pcapng",
            FileFormat::Erf => "erf",
        };
        format!("{}.{suffix}", self.name)
    }
}
