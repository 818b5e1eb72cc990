//! The exchange's public feed: messages gathered into datagrams, each sent on
//! both lines.

use crate::calendar;
use crate::context::Context;
use crate::encode::itch::Head;
use crate::encode::mold;
use crate::encode::pitch::Pitch;
use crate::event::Event;
use crate::net::feed_line::{FeedItem, FeedLine, FeedPacket};
use crate::truth::MessageTag;
use crate::venue::dialect::Dialect;
use crate::venue::frame::{self, Frame};
use crate::venue::public::Public;
use crate::venue::symbols::locate;
use std::sync::Arc;

/// A datagram is closed before it grows beyond this, in bytes.
const DATAGRAM_MAX: usize = 1_400;
/// Longest message with its length, in bytes: ITCH's.
const MESSAGE_MAX: usize = 52;
/// Most messages in a datagram: one byte counts them in Cboe's header.
const MESSAGES_MAX: usize = 255;
/// A heartbeat is due after this long without a datagram.
pub const HEARTBEAT_NS: i64 = 1_000_000_000;
/// Shortest time between two messages of the feed.
const SPACING_NS: i64 = 150;
/// One in so many datagrams changes the leading line, where it changes.
const LEADER_PPM: u64 = 150;
const NS_PER_S: u64 = 1_000_000_000;

/// A message on its way to the feed.
#[derive(Clone, Debug)]
pub struct PublicMessage {
    /// Logical id.
    pub id: u64,
    /// What it says.
    pub public: Public,
    /// About which instrument; `None`: the whole market.
    pub symbol: Option<usize>,
    /// When the engine made it.
    pub engine_ns: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Publisher {
    dialect: Dialect,
    session: Arc<str>,
    next_seq: u64,
    open: Option<Frame>,
    /// Second since midnight that the last Time message told.
    second: Option<u64>,
    lines: [FeedLine; 2],
    leader: usize,
    last_message_ns: i64,
    last_datagram_ns: i64,
}

impl Publisher {
    /// A publisher that has sent nothing; `session`, of ten characters, is
    /// MoldUDP64's (Cboe's units have none).
    pub fn new(dialect: Dialect, session: &str) -> Self {
        Self {
            dialect,
            session: match dialect {
                Dialect::Nasdaq => session.into(),
                Dialect::Cboe => "".into(),
            },
            next_seq: 1,
            open: None,
            second: None,
            lines: [FeedLine::new('A'), FeedLine::new('B')],
            leader: 0,
            last_message_ns: 0,
            last_datagram_ns: 0,
        }
    }

    /// Takes what the engine says happened; it is published a little later,
    /// in order. Returns the message's logical id.
    pub fn take(&mut self, ctx: &mut Context, public: Public, symbol: Option<usize>) -> u64 {
        let id = ctx.new_id();
        let ready_ns = ctx.now_ns + 1_000 + ctx.rng.waiting(2_500);
        self.last_message_ns = ready_ns.max(self.last_message_ns + SPACING_NS);
        let engine_ns = ctx.now_ns;
        let message = PublicMessage { id, public, symbol, engine_ns };
        ctx.at(self.last_message_ns, Event::Publish(message));
        id
    }

    /// Says a message in the exchange's protocol.
    pub fn publish(&mut self, ctx: &mut Context, message: PublicMessage) {
        match self.dialect {
            Dialect::Nasdaq => self.publish_itch(ctx, &message),
            Dialect::Cboe => self.publish_pitch(ctx, &message),
        }
        ctx.truth.forget_later(message.id, ctx.now_ns);
    }

    fn publish_itch(&mut self, ctx: &mut Context, message: &PublicMessage) {
        let head = Head {
            locate: message.symbol.map_or(0, locate),
            tracking: 0,
            time_ns: calendar::since_midnight_ns(message.engine_ns),
        };
        let itch = message.public.itch(message.symbol);
        let mut body = Vec::with_capacity(MESSAGE_MAX);
        itch.encode(head, &mut body);
        self.append(ctx, message.id, itch.code(), &body, FeedItem::of(message));
    }

    /// What PITCH has no word for is not said. The first message of a second
    /// follows one that tells the second.
    fn publish_pitch(&mut self, ctx: &mut Context, message: &PublicMessage) {
        let Some(pitch) = message.public.pitch(message.symbol) else { return };
        let time_ns = calendar::since_midnight_ns(message.engine_ns);
        let second = time_ns / NS_PER_S;
        if self.second != Some(second) {
            self.second = Some(second);
            let time = Pitch::Time { seconds: second as u32 };
            let id = ctx.new_id();
            self.append_pitch(ctx, id, time, 0, FeedItem { public: None, symbol: 0 });
            ctx.truth.forget_later(id, ctx.now_ns);
        }
        let offset_ns = (time_ns % NS_PER_S) as u32;
        self.append_pitch(ctx, message.id, pitch, offset_ns, FeedItem::of(message));
    }

    fn append_pitch(
        &mut self,
        ctx: &mut Context,
        id: u64,
        pitch: Pitch,
        offset_ns: u32,
        item: FeedItem,
    ) {
        let mut body = Vec::with_capacity(MESSAGE_MAX);
        pitch.encode(offset_ns, &mut body);
        self.append(ctx, id, pitch.code(), &body, item);
    }

    /// Puts a message into the open datagram, or opens one.
    fn append(&mut self, ctx: &mut Context, id: u64, code: u8, body: &[u8], item: FeedItem) {
        let full = |open: &Frame| {
            open.len() + MESSAGE_MAX > DATAGRAM_MAX || open.messages() >= MESSAGES_MAX
        };
        if self.open.as_ref().is_some_and(full) {
            self.flush(ctx);
        }
        let open = self.open.get_or_insert_with(|| {
            let wait_ns = ctx.rng.between(300, 2_500);
            ctx.after(wait_ns, Event::FeedFlush);
            Frame::new(self.dialect, &self.session, self.next_seq)
        });
        let tag = MessageTag {
            id,
            protocol: self.dialect.feed_protocol(),
            session: self.session.clone(),
            seq: Some(self.next_seq),
            code: char::from(code),
        };
        open.push(body, tag, item);
        self.next_seq += 1;
    }

    /// Sends the open datagram, if there is one.
    pub fn flush(&mut self, ctx: &mut Context) {
        let Some(open) = self.open.take() else { return };
        let packet = open.close(self.dialect.feed_protocol(), self.session.clone());
        self.send(ctx, packet);
    }

    /// Sends a heartbeat where nothing was sent for a while.
    pub fn idle(&mut self, ctx: &mut Context) {
        if ctx.now_ns - self.last_datagram_ns >= HEARTBEAT_NS {
            let payload = frame::heartbeat(self.dialect, &self.session, self.next_seq);
            self.send_plain(ctx, payload, 'H');
        }
    }

    /// Ends MoldUDP64's session, and goes on with another one, from number 1.
    pub fn begin_again(&mut self, ctx: &mut Context) {
        self.end(ctx);
        // Ten characters, as long as before.
        let rest = self.session.get(..9).unwrap_or_default();
        self.session = format!("{rest}X").into();
        self.next_seq = 1;
    }

    /// Sends the end of the session. (PITCH's is the day's last message.)
    pub fn end(&mut self, ctx: &mut Context) {
        self.flush(ctx);
        if self.dialect == Dialect::Nasdaq {
            let payload = mold::end_of_session(&self.session, self.next_seq);
            self.send_plain(ctx, payload, 'Z');
        }
    }

    fn send_plain(&mut self, ctx: &mut Context, payload: Vec<u8>, code: char) {
        let tag = MessageTag {
            id: ctx.new_id(),
            protocol: self.dialect.feed_framing(),
            session: self.session.clone(),
            seq: Some(self.next_seq),
            code,
        };
        ctx.truth.forget_later(tag.id, ctx.now_ns);
        let packet = FeedPacket {
            payload,
            protocol: self.dialect.feed_protocol(),
            session: self.session.clone(),
            first_seq: self.next_seq,
            tags: vec![tag],
            items: Vec::new(),
            ends: Vec::new(),
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

impl FeedItem {
    fn of(message: &PublicMessage) -> Self {
        Self { public: Some(message.public), symbol: message.symbol.unwrap_or(0) }
    }
}
