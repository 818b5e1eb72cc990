//! The internal bus: the handler's updates as FAST over multicast, past P4.

use crate::context::Context;
use crate::desk::handler::Update;
use crate::encode::fast::{BookUpdate, BusDatagram};
use crate::encode::{ether, ip, udp};
use crate::net::addresses::{BUS, BUS_SENDER};
use crate::net::delay::wire_ns;
use crate::net::tap::Sighting;
use crate::points::{P4, POINTS};
use crate::truth::{LossTruth, MessageTag};
use crate::venue::symbols::SYMBOLS;
use std::sync::Arc;

/// Most updates in a datagram.
const UPDATES_MAX: usize = 8;
/// From the handler to P4.
const TO_POINT_NS: i64 = 220;
/// A heartbeat is due after this long without a datagram.
pub const HEARTBEAT_NS: i64 = 500_000_000;
/// Id under which the bus is decoded.
pub const PROTOCOL: &str = "fast.bus";

/// See the module.
#[derive(Debug)]
pub struct Bus {
    datagrams: u32,
    messages: u32,
    session: Arc<str>,
    ip_id: u16,
    last_ns: i64,
}

impl Bus {
    /// Before the day.
    pub fn new() -> Self {
        Self { datagrams: 0, messages: 0, session: "".into(), ip_id: 0, last_ns: 0 }
    }

    /// Sends updates, the oldest first.
    pub fn send(&mut self, ctx: &mut Context, updates: &[Update]) {
        for chunk in updates.chunks(UPDATES_MAX) {
            let mut datagram = self.open();
            let mut tags = Vec::with_capacity(chunk.len());
            for update in chunk {
                let tag = self.tag(ctx, 'X');
                ctx.truth.link_bus(ctx.now_ns, update.feed_id, tag.id);
                datagram.book_update(self.messages, &wire_update(update));
                tags.push(tag);
            }
            self.emit(ctx, datagram, tags);
        }
    }

    /// Says what the bus is up to.
    pub fn status(&mut self, ctx: &mut Context, text: &str) {
        let mut datagram = self.open();
        let tag = self.tag(ctx, 'h');
        datagram.status(self.messages, text);
        self.emit(ctx, datagram, vec![tag]);
    }

    /// Sends a heartbeat where nothing was sent for a while.
    pub fn idle(&mut self, ctx: &mut Context) {
        if ctx.now_ns - self.last_ns >= HEARTBEAT_NS {
            let mut datagram = self.open();
            let tag = self.tag(ctx, '0');
            datagram.heartbeat(self.messages);
            self.emit(ctx, datagram, vec![tag]);
        }
    }

    fn open(&mut self) -> BusDatagram {
        self.datagrams = self.datagrams.wrapping_add(1);
        BusDatagram::new(self.datagrams)
    }

    /// Names the next message.
    fn tag(&mut self, ctx: &mut Context, code: char) -> MessageTag {
        self.messages = self.messages.wrapping_add(1);
        let id = ctx.new_id();
        ctx.truth.forget_later(id, ctx.now_ns);
        let seq = Some(u64::from(self.messages));
        MessageTag { id, protocol: PROTOCOL, session: self.session.clone(), seq, code }
    }

    fn emit(&mut self, ctx: &mut Context, datagram: BusDatagram, tags: Vec<MessageTag>) {
        self.ip_id = self.ip_id.wrapping_add(1);
        let ip = ip::Ipv4 {
            source: *BUS_SENDER.ip(),
            destination: *BUS.ip(),
            protocol: ip::UDP,
            ttl: 1,
            id: self.ip_id,
        };
        let bytes = udp::datagram(&ip, BUS_SENDER.port(), BUS.port(), &datagram.into_bytes());
        let source = ether::host_mac(*BUS_SENDER.ip());
        let group = ether::multicast_mac(*BUS.ip());
        let frame = ether::frame(group, source, None, &ip.packet(&bytes));
        let at_ns = (ctx.now_ns + TO_POINT_NS).max(self.last_ns + wire_ns(frame.len()));
        self.last_ns = at_ns;
        let key = ctx.taps.pass(P4, at_ns, frame, 0);
        if key.is_none() {
            self.note_loss(ctx, &tags, at_ns);
        }
        for tag in tags {
            ctx.truth.passed(tag.id, P4, at_ns);
            match key {
                Some(key) => {
                    let sighting = Sighting { tag, line: None, true_ns: at_ns, whole: true };
                    ctx.taps.observe(key, sighting);
                }
                None => ctx.truth.not_captured(&tag, P4, None, at_ns),
            }
        }
    }

    fn note_loss(&self, ctx: &mut Context, tags: &[MessageTag], at_ns: i64) {
        ctx.truth.loss(LossTruth {
            cause: "capture",
            point: POINTS[P4].name,
            protocol: PROTOCOL,
            session: self.session.clone(),
            line: None,
            unit: "message",
            first_seq: tags.first().and_then(|tag| tag.seq).unwrap_or(0),
            count: tags.len() as u64,
            true_ns: at_ns,
        });
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

fn wire_update(update: &Update) -> BookUpdate<'static> {
    BookUpdate {
        source_sequence: update.feed_seq,
        symbol: SYMBOLS[update.symbol].name,
        action: update.action,
        entry_type: update.entry_type,
        price_e4: i64::from(update.price_e4),
        size: update.size,
        orders: (update.action == 0 && update.entry_type != "2").then_some(1),
    }
}
