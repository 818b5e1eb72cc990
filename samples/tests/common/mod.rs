//! A run held in memory, and a reader of frames written for these tests only.
#![allow(dead_code)]

use std::collections::BTreeMap;
use taptrail_samples::config::{Faults, SimConfig};
use taptrail_samples::net::tap::SimPacket;
use taptrail_samples::points::PointIx;
use taptrail_samples::sim::{Output, simulate};
use taptrail_samples::truth::{CountTable, LinkTruth, LossTruth, MessageTruth, OrderTruth, Truth};

/// Everything a run gave out.
#[derive(Default)]
pub struct Run {
    pub packets: Vec<SimPacket>,
    pub messages: Vec<MessageTruth>,
    pub links: Vec<LinkTruth>,
    pub losses: Vec<LossTruth>,
    pub orders: Vec<OrderTruth>,
    pub counts: CountTable,
}

/// A short day.
pub fn config(faults: Faults) -> SimConfig {
    SimConfig { seconds: 2, orders: 300, rate_msgs_per_s: 3_000, faults, ..SimConfig::default() }
}

pub fn run(config: &SimConfig) -> Run {
    let mut run = Run::default();
    let mut sim = simulate(config);
    for output in &mut sim {
        match output {
            Output::Packet(packet) => run.packets.push(packet),
            Output::Truth(truth) => match *truth {
                Truth::Message(message) => run.messages.push(message),
                Truth::Link(link) => run.links.push(link),
                Truth::Loss(loss) => run.losses.push(loss),
                Truth::Order(order) => run.orders.push(order),
                Truth::Clock(_) => {}
            },
        }
    }
    run.counts = sim.counts().clone();
    run
}

impl Run {
    pub fn at(&self, point: PointIx) -> impl Iterator<Item = &SimPacket> {
        self.packets.iter().filter(move |packet| packet.point == point)
    }
}

/// A frame taken apart.
#[derive(Debug)]
pub struct Frame<'a> {
    pub vlan: Option<u16>,
    pub ttl: u8,
    pub source: [u8; 4],
    pub target: [u8; 4],
    pub tcp: Option<Tcp>,
    pub ports: (u16, u16),
    pub payload: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// One's complement sum; 0xFFFF where a checksum inside is right.
fn sum(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut total = 0u64;
    for (position, byte) in bytes.enumerate() {
        total += u64::from(byte) << if position % 2 == 0 { 8 } else { 0 };
    }
    while total > 0xFFFF {
        total = (total & 0xFFFF) + (total >> 16);
    }
    total
}

/// Takes a frame apart and checks every length and checksum.
pub fn frame(bytes: &[u8]) -> Frame<'_> {
    let (vlan, ip) = match be16(bytes, 12) {
        0x8100 => (Some(be16(bytes, 14) & 0xFFF), &bytes[18..]),
        _ => (None, &bytes[14..]),
    };
    assert_eq!(be16(bytes, if vlan.is_some() { 16 } else { 12 }), 0x0800);
    assert_eq!(ip[0], 0x45);
    let ip = &ip[..usize::from(be16(ip, 2))];
    assert_eq!(sum(ip[..20].iter().copied()), 0xFFFF, "IP checksum");
    let segment = &ip[20..];
    let length = segment.len() as u16;
    let pseudo = ip[12..20].iter().copied().chain([0, ip[9]]).chain(length.to_be_bytes());
    assert_eq!(sum(pseudo.chain(segment.iter().copied())), 0xFFFF, "segment checksum");
    let (tcp, payload) = if ip[9] == 6 {
        let header = usize::from(segment[12] >> 4) * 4;
        let tcp = Tcp {
            sequence: be32(segment, 4),
            acknowledgement: be32(segment, 8),
            flags: segment[13],
        };
        (Some(tcp), &segment[header..])
    } else {
        assert_eq!(usize::from(be16(segment, 4)), segment.len(), "UDP length");
        (None, &segment[8..])
    };
    Frame {
        vlan,
        ttl: ip[8],
        source: ip[12..16].try_into().unwrap(),
        target: ip[16..20].try_into().unwrap(),
        tcp,
        ports: (be16(segment, 0), be16(segment, 2)),
        payload,
    }
}

/// Sequence of the first message, and the messages, of a MoldUDP64 payload.
pub fn mold(payload: &[u8]) -> (u64, Vec<&[u8]>) {
    let first = u64::from_be_bytes(payload[10..18].try_into().unwrap());
    let count = be16(payload, 18);
    let mut messages = Vec::new();
    let mut rest = &payload[20..];
    if count != 0xFFFF {
        for _ in 0..count {
            let length = usize::from(be16(rest, 0));
            messages.push(&rest[2..2 + length]);
            rest = &rest[2 + length..];
        }
    }
    assert!(rest.is_empty(), "bytes after the last message");
    (first, messages)
}

/// Address and port of both ends, sender first.
pub type Direction = ([u8; 4], u16, [u8; 4], u16);

/// The bytes of every TCP direction at a point, in order of their sequence
/// numbers; panics where bytes are missing.
pub fn streams<'a>(packets: impl Iterator<Item = &'a SimPacket>) -> BTreeMap<Direction, Vec<u8>> {
    let mut first: BTreeMap<Direction, u32> = BTreeMap::new();
    let mut pieces: BTreeMap<Direction, BTreeMap<u32, Vec<u8>>> = BTreeMap::new();
    for packet in packets {
        let frame = frame(&packet.data);
        let Some(tcp) = frame.tcp else { continue };
        let key = (frame.source, frame.ports.0, frame.target, frame.ports.1);
        if tcp.flags & 2 != 0 {
            first.insert(key, tcp.sequence.wrapping_add(1));
        }
        if !frame.payload.is_empty() {
            let offset = tcp.sequence.wrapping_sub(first[&key]);
            pieces.entry(key).or_default().insert(offset, frame.payload.to_vec());
        }
    }
    let join = |pieces: BTreeMap<u32, Vec<u8>>| {
        let mut bytes = Vec::new();
        for (offset, piece) in pieces {
            let known = bytes.len() - offset as usize;
            bytes.extend_from_slice(piece.get(known..).unwrap_or(&[]));
        }
        bytes
    };
    pieces.into_iter().map(|(key, pieces)| (key, join(pieces))).collect()
}
