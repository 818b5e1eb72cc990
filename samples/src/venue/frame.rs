//! A datagram of the feed while it is filled.

use crate::encode::mold::{self, MoldPacket};
use crate::encode::unit_header::{self, UnitPacket};
use crate::net::feed_line::{FeedItem, FeedPacket};
use crate::truth::MessageTag;
use crate::venue::dialect::Dialect;
use std::sync::Arc;

/// The matching unit whose messages the feed carries.
pub const UNIT: u8 = 1;

#[derive(Debug)]
enum Packet {
    Mold(MoldPacket),
    Unit(UnitPacket),
}

/// See the module.
#[derive(Debug)]
pub struct Frame {
    packet: Packet,
    first_seq: u64,
    tags: Vec<MessageTag>,
    items: Vec<FeedItem>,
    ends: Vec<usize>,
}

impl Frame {
    /// An empty one; `session` is MoldUDP64's.
    pub fn new(dialect: Dialect, session: &str, first_seq: u64) -> Self {
        let packet = match dialect {
            Dialect::Nasdaq => Packet::Mold(MoldPacket::new(session, first_seq)),
            Dialect::Cboe => Packet::Unit(UnitPacket::new(UNIT, first_seq as u32)),
        };
        Self { packet, first_seq, tags: Vec::new(), items: Vec::new(), ends: Vec::new() }
    }

    /// Appends a message.
    pub fn push(&mut self, body: &[u8], tag: MessageTag, item: FeedItem) {
        match &mut self.packet {
            Packet::Mold(packet) => packet.push(body),
            Packet::Unit(packet) => packet.push(body),
        }
        self.tags.push(tag);
        self.items.push(item);
        self.ends.push(self.len());
    }

    /// Bytes of its payload so far.
    pub fn len(&self) -> usize {
        match &self.packet {
            Packet::Mold(packet) => packet.len(),
            Packet::Unit(packet) => packet.len(),
        }
    }

    /// Whether there is no message in it.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Messages so far.
    pub fn messages(&self) -> usize {
        self.tags.len()
    }

    /// The datagram, full.
    pub fn close(self, protocol: &'static str, session: Arc<str>) -> FeedPacket {
        let Self { packet, first_seq, tags, items, ends } = self;
        let payload = match packet {
            Packet::Mold(packet) => packet.into_bytes(),
            Packet::Unit(packet) => packet.into_bytes(),
        };
        FeedPacket { payload, protocol, session, first_seq, tags, items, ends }
    }
}

/// A heartbeat's payload: `next` is the number of the next message.
pub fn heartbeat(dialect: Dialect, session: &str, next: u64) -> Vec<u8> {
    match dialect {
        Dialect::Nasdaq => mold::heartbeat(session, next),
        Dialect::Cboe => unit_header::heartbeat(UNIT, next as u32),
    }
}
