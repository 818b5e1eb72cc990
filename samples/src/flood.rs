//! A large capture of one ITCH feed, made fast: for measuring, not for
//! correlating. The messages are well-formed and refer to orders that exist.

use crate::calendar;
use crate::config::DEFAULT_START_NS;
use crate::encode::itch::{Head, Itch};
use crate::encode::mold::MoldPacket;
use crate::encode::{ether, ip, udp};
use crate::net::addresses::{FEED_A, PUBLISHER};
use crate::rng::SimRng;
use crate::venue::symbols::{SYMBOLS, locate};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::time::Timestamp;

/// Mean messages in a datagram.
const PER_DATAGRAM: u64 = 6;
/// Mean time between datagrams.
const GAP_NS: i64 = 4_000;
/// Orders kept alive at most; beyond it they only leave.
const LIVE_MAX: usize = 20_000;
const SESSION: &str = "FLOOD00001";

/// A live order: instrument, reference, shares.
type Order = (usize, u64, u32);

/// Writes a pcap file with `messages` ITCH messages over MoldUDP64 (about
/// 44 bytes of file each) and gives back the writer. The mix is that of a
/// busy day: 41 % adds, 36 % deletes, 10 % replaces, 7 % executions, 5 %
/// cancels, the rest trades.
///
/// # Errors
/// What the writer says.
pub fn itch_flood<W: Write>(out: W, messages: u64, seed: u64) -> io::Result<W> {
    let mut writer = PcapWriter::new(out, LinkType::ETHERNET)?;
    let mut flood = Flood::new(seed);
    let mut made = 0;
    let mut packet_ix = 0;
    while made < messages {
        let wanted = (1 + flood.rng.below(2 * PER_DATAGRAM - 1)).min(messages - made);
        let frame = flood.datagram(made + 1, wanted);
        made += wanted;
        writer.write(&meta(flood.now_ns, packet_ix, frame.len()), &frame)?;
        packet_ix += 1;
    }
    writer.finish()
}

fn meta(ns: i64, packet_ix: u32, len: usize) -> PacketMeta {
    PacketMeta {
        ts: Timestamp::from_ns(ns),
        ts_ps: 0,
        ts_record: Timestamp::from_ns(ns),
        ts_source: TsSource::Record,
        ts_flags: 0,
        packet_ix,
        interface: 0,
        direction: Direction::Unknown,
        link_type: LinkType::ETHERNET,
        wire_len: len as u32,
    }
}

struct Flood {
    rng: SimRng,
    now_ns: i64,
    live: Vec<Order>,
    next_reference: u64,
    next_match: u64,
    ip_id: u16,
    directory: usize,
}

impl Flood {
    fn new(seed: u64) -> Self {
        Self {
            rng: SimRng::new(seed, 50),
            now_ns: DEFAULT_START_NS,
            live: Vec::new(),
            next_reference: 1,
            next_match: 1,
            ip_id: 0,
            directory: 0,
        }
    }

    fn datagram(&mut self, first_seq: u64, messages: u64) -> Vec<u8> {
        self.now_ns += 100 + self.rng.waiting(GAP_NS);
        self.ip_id = self.ip_id.wrapping_add(1);
        let mut mold = MoldPacket::new(SESSION, first_seq);
        let time_ns = calendar::since_midnight_ns(self.now_ns);
        let mut body = Vec::with_capacity(64);
        for _ in 0..messages {
            let (symbol, itch) = self.message();
            body.clear();
            itch.encode(Head { locate: locate(symbol), tracking: 0, time_ns }, &mut body);
            mold.push(&body);
        }
        let ip = ip::Ipv4 {
            source: *PUBLISHER.ip(),
            destination: *FEED_A.ip(),
            protocol: ip::UDP,
            ttl: 16,
            id: self.ip_id,
        };
        let datagram = udp::datagram(&ip, PUBLISHER.port(), FEED_A.port(), &mold.into_bytes());
        let source = ether::host_mac(Ipv4Addr::new(10, 90, 0, 1));
        ether::frame(ether::multicast_mac(*FEED_A.ip()), source, None, &ip.packet(&datagram))
    }

    fn message(&mut self) -> (usize, Itch) {
        if self.directory < SYMBOLS.len() {
            let symbol = self.directory;
            self.directory += 1;
            return (symbol, Itch::StockDirectory { stock: SYMBOLS[symbol].name, round_lot: 100 });
        }
        match self.rng.below(100) {
            0..=40 if self.live.len() < LIVE_MAX => self.add(),
            _ if self.live.is_empty() => self.add(),
            0..=76 => {
                let (symbol, reference, _) = self.take();
                (symbol, Itch::Delete { reference })
            }
            77..=86 => self.replace(),
            87..=93 => self.execute(),
            94..=98 => self.cancel(),
            _ => self.trade(),
        }
    }

    fn add(&mut self) -> (usize, Itch) {
        let symbol = self.rng.below(SYMBOLS.len() as u64) as usize;
        let (reference, shares) = (self.next_reference, self.shares());
        self.next_reference += 1;
        self.live.push((symbol, reference, shares));
        let side = if self.rng.percent(50) { b'B' } else { b'S' };
        let price_e4 = self.price(symbol);
        (symbol, Itch::Add { reference, side, shares, stock: SYMBOLS[symbol].name, price_e4 })
    }

    fn take(&mut self) -> Order {
        let index = self.rng.below(self.live.len() as u64) as usize;
        self.live.swap_remove(index)
    }

    fn replace(&mut self) -> (usize, Itch) {
        let (symbol, original, _) = self.take();
        let (reference, shares) = (self.next_reference, self.shares());
        self.next_reference += 1;
        self.live.push((symbol, reference, shares));
        let price_e4 = self.price(symbol);
        (symbol, Itch::Replace { original, reference, shares, price_e4 })
    }

    fn execute(&mut self) -> (usize, Itch) {
        let (symbol, reference, shares) = self.take();
        self.next_match += 1;
        (symbol, Itch::Executed { reference, shares, match_number: self.next_match })
    }

    fn cancel(&mut self) -> (usize, Itch) {
        let (symbol, reference, left) = self.take();
        if left < 2 {
            return (symbol, Itch::Delete { reference });
        }
        let shares = left / 2;
        self.live.push((symbol, reference, left - shares));
        (symbol, Itch::Cancel { reference, shares })
    }

    fn trade(&mut self) -> (usize, Itch) {
        let symbol = self.rng.below(SYMBOLS.len() as u64) as usize;
        self.next_match += 1;
        let itch = Itch::Trade {
            side: b'B',
            shares: self.shares(),
            stock: SYMBOLS[symbol].name,
            price_e4: self.price(symbol),
            match_number: self.next_match,
        };
        (symbol, itch)
    }

    fn shares(&mut self) -> u32 {
        100 * (1 + self.rng.below(8) as u32)
    }

    fn price(&mut self, symbol: usize) -> u32 {
        SYMBOLS[symbol].start_e4 + 100 * self.rng.below(20) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_file() {
        let file = |seed| itch_flood(Vec::new(), 5_000, seed).expect("memory");
        assert_eq!(file(1), file(1));
        assert_ne!(file(1), file(2));
    }

    #[test]
    fn holds_as_many_messages_as_asked_for() {
        let file = itch_flood(Vec::new(), 1_003, 1).expect("memory");
        let (mut at, mut messages) = (24, 0);
        while at < file.len() {
            let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().expect("four"));
            // Record 16, Ethernet 14, IPv4 20, UDP 8, then 18 bytes to the count.
            let count = at + 16 + 14 + 20 + 8 + 18;
            messages += u64::from(u16::from_be_bytes([file[count], file[count + 1]]));
            at += 16 + len as usize;
        }
        assert_eq!(messages, 1_003);
        assert_eq!(at, file.len());
    }
}
