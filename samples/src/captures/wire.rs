//! A pcap in memory, and the two ways to put payloads into it.

use crate::config::DEFAULT_START_NS;
use crate::encode::tcp::{ACK, PSH, SYN, Tcp};
use crate::encode::{ether, ip, udp};
use std::io;
use std::net::SocketAddrV4;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::time::Timestamp;

/// A capture under construction; a packet every 10.001 us.
pub struct Capture {
    writer: PcapWriter<Vec<u8>>,
    packets: u32,
}

impl Capture {
    pub fn new() -> io::Result<Self> {
        Ok(Self { writer: PcapWriter::new(Vec::new(), LinkType::ETHERNET)?, packets: 0 })
    }

    /// Time of the next packet, nanoseconds since the epoch.
    pub fn now_ns(&self) -> i64 {
        DEFAULT_START_NS + i64::from(self.packets) * 10_001
    }

    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.writer.finish()
    }

    /// A datagram to a multicast group.
    pub fn multicast(
        &mut self,
        from: SocketAddrV4,
        group: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        let ip = self.ip(from, group, ip::UDP);
        let datagram = udp::datagram(&ip, from.port(), group.port(), payload);
        let target = ether::multicast_mac(*group.ip());
        let frame = ether::frame(target, ether::host_mac(*from.ip()), None, &ip.packet(&datagram));
        self.frame(&frame)
    }

    fn ip(&self, from: SocketAddrV4, to: SocketAddrV4, protocol: u8) -> ip::Ipv4 {
        let id = self.packets as u16 + 1;
        ip::Ipv4 { source: *from.ip(), destination: *to.ip(), protocol, ttl: 16, id }
    }

    fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let ts = Timestamp::from_ns(self.now_ns());
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix: self.packets,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: frame.len() as u32,
        };
        self.packets += 1;
        self.writer.write(&meta, frame)
    }
}

/// A TCP connection of a capture: `[client, server]`.
pub struct Talk {
    ends: [SocketAddrV4; 2],
    next: [u32; 2],
}

/// The client's index.
pub const CLIENT: usize = 0;
/// The server's index.
pub const SERVER: usize = 1;

impl Talk {
    /// Makes the connection.
    pub fn open(
        capture: &mut Capture,
        client: SocketAddrV4,
        server: SocketAddrV4,
    ) -> io::Result<Self> {
        let mut talk = Self { ends: [client, server], next: [1_000_000, 0xFFFF_FF00] };
        talk.segment(capture, CLIENT, SYN, &[])?;
        talk.next[CLIENT] = talk.next[CLIENT].wrapping_add(1);
        talk.segment(capture, SERVER, SYN | ACK, &[])?;
        talk.next[SERVER] = talk.next[SERVER].wrapping_add(1);
        talk.segment(capture, CLIENT, ACK, &[])?;
        Ok(talk)
    }

    /// One end says something, in one segment.
    pub fn say(&mut self, capture: &mut Capture, end: usize, bytes: &[u8]) -> io::Result<()> {
        self.segment(capture, end, PSH | ACK, bytes)?;
        self.next[end] = self.next[end].wrapping_add(bytes.len() as u32);
        Ok(())
    }

    fn segment(
        &self,
        capture: &mut Capture,
        end: usize,
        flags: u8,
        bytes: &[u8],
    ) -> io::Result<()> {
        let (from, to) = (self.ends[end], self.ends[1 - end]);
        let ip = capture.ip(from, to, ip::TCP);
        let tcp = Tcp {
            source_port: from.port(),
            destination_port: to.port(),
            sequence: self.next[end],
            acknowledgement: if flags & ACK == 0 { 0 } else { self.next[1 - end] },
            flags,
            window: 0x7D00,
        };
        let packet = ip.packet(&tcp.segment(&ip, bytes));
        let frame =
            ether::frame(ether::host_mac(*to.ip()), ether::host_mac(*from.ip()), None, &packet);
        capture.frame(&frame)
    }
}
