//! The exchange's public feed: messages gathered into datagrams, each sent on
//! both lines.

use crate::calendar;
use crate::context::Context;
use crate::encode::itch::{Head, Itch};
use crate::encode::mold::{self, MoldPacket};
use crate::event::Event;
use crate::net::feed_line::{FeedItem, FeedLine, FeedPacket};
use crate::truth::MessageTag;
use crate::venue::symbols::locate;
use std::sync::Arc;

/// A datagram is closed before it grows beyond this, in bytes.
const DATAGRAM_MAX: usize = 1_400;
/// Longest ITCH message with its length, in bytes.
const MESSAGE_MAX: usize = 52;
/// A heartbeat is due after this long without a datagram.
pub const HEARTBEAT_NS: i64 = 1_000_000_000;
/// Shortest time between two messages of the feed.
const SPACING_NS: i64 = 150;
/// One in so many datagrams changes the leading line, where it changes.
const LEADER_PPM: u64 = 150;
const ITCH: &str = "nasdaq.totalview-itch.5.0";

/// A message on its way to the feed.
#[derive(Clone, Debug)]
pub struct PublicMessage {
    /// Logical id.
    pub id: u64,
    /// What it says.
    pub itch: Itch,
    /// About which instrument; `None`: the whole market.
    pub symbol: Option<usize>,
    /// When the engine made it.
    pub engine_ns: i64,
}

#[derive(Debug)]
struct Open {
    mold: MoldPacket,
    first_seq: u64,
    tags: Vec<MessageTag>,
    items: Vec<FeedItem>,
}

/// See the module.
#[derive(Debug)]
pub struct Publisher {
    session: Arc<str>,
    next_seq: u64,
    open: Option<Open>,
    lines: [FeedLine; 2],
    leader: usize,
    last_message_ns: i64,
    last_datagram_ns: i64,
}

impl Publisher {
    /// A publisher that has sent nothing; `session` has ten characters.
    pub fn new(session: &str) -> Self {
        Self {
            session: session.into(),
            next_seq: 1,
            open: None,
            lines: [FeedLine::new('A'), FeedLine::new('B')],
            leader: 0,
            last_message_ns: 0,
            last_datagram_ns: 0,
        }
    }

    /// Takes what the engine says happened; it is published a little later,
    /// in order. Returns the message's logical id.
    pub fn take(&mut self, ctx: &mut Context, itch: Itch, symbol: Option<usize>) -> u64 {
        let id = ctx.new_id();
        let ready_ns = ctx.now_ns + 1_000 + ctx.rng.waiting(2_500);
        self.last_message_ns = ready_ns.max(self.last_message_ns + SPACING_NS);
        let engine_ns = ctx.now_ns;
        ctx.at(self.last_message_ns, Event::Publish(PublicMessage { id, itch, symbol, engine_ns }));
        id
    }

    /// Puts a message into the open datagram, or opens one.
    pub fn publish(&mut self, ctx: &mut Context, message: PublicMessage) {
        if self.open.as_ref().is_some_and(|open| open.mold.len() + MESSAGE_MAX > DATAGRAM_MAX) {
            self.flush(ctx);
        }
        let open = self.open.get_or_insert_with(|| {
            let wait_ns = ctx.rng.between(300, 2_500);
            ctx.after(wait_ns, Event::FeedFlush);
            Open {
                mold: MoldPacket::new(&self.session, self.next_seq),
                first_seq: self.next_seq,
                tags: Vec::new(),
                items: Vec::new(),
            }
        });
        let head = Head {
            locate: message.symbol.map_or(0, locate),
            tracking: 0,
            time_ns: calendar::since_midnight_ns(message.engine_ns),
        };
        let mut body = Vec::with_capacity(MESSAGE_MAX);
        message.itch.encode(head, &mut body);
        open.mold.push(&body);
        open.tags.push(MessageTag {
            id: message.id,
            protocol: ITCH,
            session: self.session.clone(),
            seq: Some(self.next_seq),
            code: char::from(message.itch.code()),
        });
        open.items.push(FeedItem { itch: message.itch, symbol: message.symbol.unwrap_or(0) });
        ctx.truth.forget_later(message.id, ctx.now_ns);
        self.next_seq += 1;
    }

    /// Sends the open datagram, if there is one.
    pub fn flush(&mut self, ctx: &mut Context) {
        let Some(open) = self.open.take() else { return };
        let packet = FeedPacket {
            payload: open.mold.into_bytes(),
            session: self.session.clone(),
            first_seq: open.first_seq,
            tags: open.tags,
            items: open.items,
        };
        self.send(ctx, packet);
    }

    /// Sends a heartbeat where nothing was sent for a while.
    pub fn idle(&mut self, ctx: &mut Context) {
        if ctx.now_ns - self.last_datagram_ns >= HEARTBEAT_NS {
            let payload = mold::heartbeat(&self.session, self.next_seq);
            self.send_plain(ctx, payload, 'H');
        }
    }

    /// Ends the session, and goes on with another one, from number 1.
    pub fn begin_again(&mut self, ctx: &mut Context) {
        self.end(ctx);
        // Ten characters, as long as before.
        let rest = self.session.get(..9).unwrap_or_default();
        self.session = format!("{rest}X").into();
        self.next_seq = 1;
    }

    /// Sends the end of the session.
    pub fn end(&mut self, ctx: &mut Context) {
        self.flush(ctx);
        let payload = mold::end_of_session(&self.session, self.next_seq);
        self.send_plain(ctx, payload, 'Z');
    }

    fn send_plain(&mut self, ctx: &mut Context, payload: Vec<u8>, code: char) {
        let tag = MessageTag {
            id: ctx.new_id(),
            protocol: "moldudp64",
            session: self.session.clone(),
            seq: Some(self.next_seq),
            code,
        };
        ctx.truth.forget_later(tag.id, ctx.now_ns);
        let packet = FeedPacket {
            payload,
            session: self.session.clone(),
            first_seq: self.next_seq,
            tags: vec![tag],
            items: Vec::new(),
        };
        self.send(ctx, packet);
    }

    fn send(&mut self, ctx: &mut Context, packet: FeedPacket) {
        self.last_datagram_ns = ctx.now_ns;
        if ctx.rates.leader_switches && ctx.fault(LEADER_PPM) {
            self.leader = 1 - self.leader;
        }
        let lost = ctx.fault(ctx.rates.both_lines_loss);
        let packet = Arc::new(packet);
        for (index, line) in self.lines.iter_mut().enumerate() {
            if let Some(at_ns) = line.send(ctx, &packet, index == self.leader, lost) {
                ctx.at(at_ns, Event::FeedArrival(packet.clone()));
            }
        }
    }
}
