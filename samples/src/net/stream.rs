//! A TCP connection past one or more points.
//!
//! ```text
//! write ─► gathered ─► segments ─► taps ─► in order ─► messages to the actor
//!                          │ lost        (a hole holds back what follows)
//!                          └─► repeated after a while
//! ```
//! Bytes of each direction are counted from 0; on the wire that is the
//! initial sequence number plus one.

use crate::context::Context;
use crate::desk::messages::App;
use crate::encode::tcp::{ACK, FIN, PSH, SYN, Tcp};
use crate::encode::{ether, ip};
use crate::event::Event;
use crate::net::delay::{Delay, wire_ns};
use crate::net::ranges::Ranges;
use crate::net::tap::{PacketKey, Sighting};
use crate::points::{POINTS, PointIx};
use crate::trouble::Trouble;
use crate::truth::{LossTruth, MessageTag};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Largest payload of a segment, in bytes.
const MSS: usize = 1_460;
/// A receiver acknowledges after this long unless data goes back before.
const ACK_DELAY_NS: i64 = 30_000;
/// A sender repeats a lost segment after this long, then twice that.
const REPEAT_NS: i64 = 2_000_000;
/// A segment is not lost more often than this.
const LOSSES_MAX: u8 = 2;
/// Percent of writes that wait for company.
const GATHER_PERCENT: u64 = 12;
/// Percent of flushes that cut at a place of no meaning.
const SPLIT_PERCENT: u64 = 4;
/// Bytes before 2^32 at which a connection may begin that is to pass it.
const WRAPS_WITHIN: u32 = 20_000;
const WINDOW: u16 = 0x7D00;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected.
    Client = 0,
    /// Who listened.
    Server = 1,
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Client { Self::Server } else { Self::Client }
    }
}

/// A segment on its way.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Who sent it.
    side: Side,
    /// Position of its first byte.
    offset: u64,
    bytes: Vec<u8>,
    flags: u8,
    attempt: u8,
}

/// What an arrival means to the actors.
#[derive(Debug)]
pub enum Arrived {
    /// Nothing new.
    Nothing,
    /// The connection stands; the client may write.
    Established,
    /// Messages from `.0`, complete and in order.
    Messages(Side, Vec<App>),
}

/// Where a connection runs.
#[derive(Debug)]
pub struct Way {
    /// The end that connects.
    pub client: SocketAddrV4,
    /// The end that listens.
    pub server: SocketAddrV4,
    /// The client's address as the last point sees it.
    pub client_translated: SocketAddrV4,
    /// Points from client to server.
    pub points: Vec<PointIx>,
    /// Legs from client to server, one more than points.
    pub delays: Vec<Delay>,
}

/// A message that has not been delivered yet.
#[derive(Debug)]
struct InFlight {
    start: u64,
    end: u64,
    tag: MessageTag,
    app: App,
    /// By place on the way.
    seen: Vec<Option<Seen>>,
}

/// A message complete at a point.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When.
    true_ns: i64,
    /// In which packet, where that was captured.
    key: Option<PacketKey>,
    /// Whether all of it was in that packet.
    whole: bool,
}

/// What one tap saw of one direction.
#[derive(Debug, Default)]
struct TapView {
    passed: Ranges,
    captured: Ranges,
    last_ns: i64,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    isn: u32,
    written: u64,
    gathered: Vec<u8>,
    flushing: bool,
    in_flight: VecDeque<InFlight>,
    received: Ranges,
    ack_due: bool,
    views: Vec<TapView>,
    last_arrival_ns: i64,
    ip_id: u16,
    finished: bool,
    /// Whether the other end knows.
    fin_arrived: bool,
    /// When something was last written.
    last_write_ns: i64,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number among the connections.
    ix: usize,
    way: Way,
    halves: [Half; 2],
    protocol: &'static str,
    /// By side that sends.
    sessions: [Arc<str>; 2],
}

impl Connection {
    /// A connection that is not made yet; `protocol` and `sessions`
    /// (what client and server send) name it where bytes of it are lost.
    pub fn new(
        ix: usize,
        way: Way,
        protocol: &'static str,
        sessions: [Arc<str>; 2],
        ctx: &mut Context,
    ) -> Self {
        let half = |ctx: &mut Context| Half {
            isn: first_number(ctx),
            ip_id: ctx.rng.bits() as u16,
            views: way.points.iter().map(|_| TapView::default()).collect(),
            ..Half::default()
        };
        let halves = [half(ctx), half(ctx)];
        Self { ix, way, halves, protocol, sessions }
    }

    /// The client connects.
    pub fn connect(&mut self, ctx: &mut Context) {
        self.transmit(ctx, plain(Side::Client, 0, SYN));
    }

    /// An actor writes a message.
    pub fn write(
        &mut self,
        ctx: &mut Context,
        side: Side,
        bytes: &[u8],
        tag: MessageTag,
        app: App,
    ) {
        let points = self.way.points.len();
        let half = &mut self.halves[side as usize];
        let start = half.written;
        half.written += bytes.len() as u64;
        half.gathered.extend_from_slice(bytes);
        half.last_write_ns = ctx.now_ns;
        let end = half.written;
        half.in_flight.push_back(InFlight { start, end, tag, app, seen: vec![None; points] });
        if !half.flushing {
            half.flushing = true;
            let gather = ctx.rng.percent(GATHER_PERCENT);
            let wait_ns = if gather { ctx.rng.between(1_000, 6_000) } else { 0 };
            ctx.after(wait_ns, Event::TcpFlush(self.ix, side));
        }
    }

    /// How long a side has written nothing.
    pub fn silent_ns(&self, side: Side, now_ns: i64) -> i64 {
        now_ns - self.halves[side as usize].last_write_ns
    }

    /// A side has no more to say.
    pub fn finish(&mut self, ctx: &mut Context, side: Side) {
        let half = &mut self.halves[side as usize];
        if !half.finished {
            half.finished = true;
            let offset = half.written;
            self.transmit(ctx, plain(side, offset, FIN | ACK));
        }
    }

    /// Sends what has been gathered.
    pub fn flush(&mut self, ctx: &mut Context, side: Side) {
        let half = &mut self.halves[side as usize];
        half.flushing = false;
        half.ack_due = false;
        let bytes = std::mem::take(&mut half.gathered);
        let mut offset = half.written - bytes.len() as u64;
        for piece in pieces(ctx, &bytes) {
            let flags = PSH | ACK;
            let segment = Segment { side, offset, bytes: piece.to_vec(), flags, attempt: 0 };
            offset += piece.len() as u64;
            self.transmit(ctx, segment);
        }
    }

    /// A receiver acknowledges, unless data did so already.
    pub fn acknowledge(&mut self, ctx: &mut Context, side: Side) {
        let half = &mut self.halves[side as usize];
        if std::mem::take(&mut half.ack_due) {
            let offset = half.written - half.gathered.len() as u64;
            self.transmit(ctx, plain(side, offset, ACK));
        }
    }

    /// Sends a segment, or sends it again.
    pub fn transmit(&mut self, ctx: &mut Context, segment: Segment) {
        let points = self.way.points.len();
        let may_be_lost = !segment.bytes.is_empty() && segment.attempt < LOSSES_MAX;
        let lost = may_be_lost && ctx.fault(ctx.rates.tcp_loss);
        let lost_before = lost.then(|| ctx.rng.below(points as u64 + 1) as usize);
        let mut at_ns = ctx.now_ns;
        for leg in 0..points {
            if lost_before == Some(leg) {
                return self.lose(ctx, segment, leg, at_ns);
            }
            let place = self.place(segment.side, leg);
            at_ns += self.leg_delay(segment.side, leg).draw(&mut ctx.rng);
            let view = &mut self.halves[segment.side as usize].views[place];
            at_ns = at_ns.max(view.last_ns + wire_ns(segment.bytes.len() + 58));
            view.last_ns = at_ns;
            self.pass(ctx, &segment, leg, at_ns);
        }
        if lost_before == Some(points) {
            return self.lose(ctx, segment, points, at_ns);
        }
        at_ns += self.leg_delay(segment.side, points).draw(&mut ctx.rng);
        let half = &mut self.halves[segment.side as usize];
        half.last_arrival_ns = at_ns.max(half.last_arrival_ns + 1);
        ctx.at(half.last_arrival_ns, Event::TcpArrival(self.ix, segment));
    }

    /// A segment arrives at the other end.
    pub fn arrive(&mut self, ctx: &mut Context, segment: &Segment) -> Arrived {
        if segment.flags & SYN != 0 {
            return self.arrive_syn(ctx, segment);
        }
        if segment.flags & FIN != 0 {
            return self.arrive_fin(ctx, segment.side);
        }
        if segment.bytes.is_empty() {
            return Arrived::Nothing;
        }
        let end = segment.offset + segment.bytes.len() as u64;
        let half = &mut self.halves[segment.side as usize];
        half.received.insert(segment.offset, end);
        let back = &mut self.halves[segment.side.other() as usize];
        if !back.ack_due {
            back.ack_due = true;
            ctx.after(ACK_DELAY_NS, Event::TcpAck(self.ix, segment.side.other()));
        }
        self.deliver(ctx, segment.side)
    }

    fn arrive_syn(&mut self, ctx: &mut Context, segment: &Segment) -> Arrived {
        if segment.side == Side::Client {
            self.transmit(ctx, plain(Side::Server, 0, SYN | ACK));
            return Arrived::Nothing;
        }
        self.transmit(ctx, plain(Side::Client, 0, ACK));
        Arrived::Established
    }

    /// The other end acknowledges, and closes its side if it has not.
    fn arrive_fin(&mut self, ctx: &mut Context, side: Side) -> Arrived {
        self.halves[side as usize].fin_arrived = true;
        let other = side.other();
        self.halves[other as usize].ack_due = true;
        self.acknowledge(ctx, other);
        self.finish(ctx, other);
        Arrived::Nothing
    }

    /// Messages whose bytes have all arrived.
    fn deliver(&mut self, ctx: &mut Context, side: Side) -> Arrived {
        let mut apps = Vec::new();
        let half = &mut self.halves[side as usize];
        let received = half.received.prefix();
        while half.in_flight.front().is_some_and(|message| message.end <= received) {
            let Some(message) = half.in_flight.pop_front() else { break };
            for (place, seen) in message.seen.iter().enumerate() {
                let point = self.way.points[place];
                let captured = half.views[place].captured.covers(message.start, message.end);
                note_seen(ctx, &message.tag, point, *seen, captured);
            }
            apps.push(message.app);
        }
        if apps.is_empty() { Arrived::Nothing } else { Arrived::Messages(side, apps) }
    }

    /// A segment passes the point after `leg`.
    fn pass(&mut self, ctx: &mut Context, segment: &Segment, leg: usize, at_ns: i64) {
        let place = self.place(segment.side, leg);
        let point = self.way.points[place];
        let frame = self.frame(segment, leg, place);
        let key = ctx.taps.pass(point, at_ns, frame, 0);
        if segment.bytes.is_empty() {
            return;
        }
        if key.is_none() {
            self.note_loss(ctx, segment, "capture", point, at_ns);
        }
        let end = segment.offset + segment.bytes.len() as u64;
        let half = &mut self.halves[segment.side as usize];
        let view = &mut half.views[place];
        let again = view.captured.covers(segment.offset, end);
        view.passed.insert(segment.offset, end);
        if key.is_some() {
            view.captured.insert(segment.offset, end);
        }
        let passed = view.passed.prefix();
        for message in half.in_flight.iter_mut().take_while(|message| message.end <= passed) {
            let whole = message.start >= segment.offset;
            match &mut message.seen[place] {
                None => {
                    message.seen[place] = Some(Seen { true_ns: at_ns, key, whole });
                    ctx.truth.passed(message.tag.id, point, at_ns);
                }
                // Passed before, only now captured.
                Some(Seen { key: seen @ None, .. }) => *seen = key,
                Some(_) if again && whole && message.end <= end => {
                    note_again(ctx, &message.tag, key, at_ns);
                }
                Some(_) => {}
            }
        }
    }

    /// The segment is lost before the point after `leg`.
    fn lose(&mut self, ctx: &mut Context, mut segment: Segment, leg: usize, at_ns: i64) {
        if leg < self.way.points.len() {
            let point = self.way.points[self.place(segment.side, leg)];
            self.note_loss(ctx, &segment, "network", point, at_ns);
        }
        let wait_ns = (REPEAT_NS << segment.attempt) + ctx.rng.between(0, 100_000);
        segment.attempt += 1;
        ctx.after(wait_ns, Event::TcpRepeat(self.ix, segment));
    }

    fn note_loss(
        &self,
        ctx: &mut Context,
        segment: &Segment,
        cause: &'static str,
        point: PointIx,
        at_ns: i64,
    ) {
        ctx.truth.loss(LossTruth {
            cause,
            point: POINTS[point].name,
            protocol: self.protocol,
            session: self.sessions[segment.side as usize].clone(),
            line: None,
            unit: if segment.side == Side::Client { "client byte" } else { "server byte" },
            first_seq: segment.offset,
            count: segment.bytes.len() as u64,
            true_ns: at_ns,
        });
    }

    /// Index of the point after the `leg`-th leg of a side's way.
    fn place(&self, side: Side, leg: usize) -> usize {
        if side == Side::Client { leg } else { self.way.points.len() - 1 - leg }
    }

    fn leg_delay(&self, side: Side, leg: usize) -> Delay {
        let legs = &self.way.delays;
        if side == Side::Client { legs[leg] } else { legs[legs.len() - 1 - leg] }
    }

    /// The segment as the point at `place` sees it, after `leg` routers.
    fn frame(&mut self, segment: &Segment, leg: usize, place: usize) -> Vec<u8> {
        let last = place > 0 && place + 1 == self.way.points.len();
        let client = if last { self.way.client_translated } else { self.way.client };
        let (from, to) = match segment.side {
            Side::Client => (client, self.way.server),
            Side::Server => (self.way.server, client),
        };
        let ip = ip::Ipv4 {
            source: *from.ip(),
            destination: *to.ip(),
            protocol: ip::TCP,
            ttl: 64 - leg as u8,
            id: self.ip_id(segment.side, leg),
        };
        let bytes = self.header(segment, from, to).segment(&ip, &segment.bytes);
        let (target, source) = (ether::host_mac(*to.ip()), ether::host_mac(*from.ip()));
        ether::frame(target, source, None, &ip.packet(&bytes))
    }

    /// The identification of the packet now sent: a new one at its first point.
    fn ip_id(&mut self, side: Side, leg: usize) -> u16 {
        let half = &mut self.halves[side as usize];
        if leg == 0 {
            half.ip_id = half.ip_id.wrapping_add(1);
        }
        half.ip_id
    }

    fn header(&self, segment: &Segment, from: SocketAddrV4, to: SocketAddrV4) -> Tcp {
        let own = &self.halves[segment.side as usize];
        let back = &self.halves[segment.side.other() as usize];
        let first = if segment.flags & SYN != 0 { own.isn } else { own.isn.wrapping_add(1) };
        let acknowledged = back.isn.wrapping_add(1).wrapping_add(back.received.prefix() as u32);
        // A FIN counts as one byte.
        let acknowledged = acknowledged.wrapping_add(u32::from(back.fin_arrived));
        let own_fin = u32::from(own.finished && segment.flags == ACK);
        Tcp {
            source_port: from.port(),
            destination_port: to.port(),
            sequence: first.wrapping_add(segment.offset as u32).wrapping_add(own_fin),
            acknowledgement: if segment.flags & ACK == 0 { 0 } else { acknowledged },
            flags: segment.flags,
            window: WINDOW,
        }
    }
}

/// Any number; one that soon passes 2^32 where that is the run's trouble.
fn first_number(ctx: &mut Context) -> u32 {
    let bits = ctx.rng.bits() as u32;
    if ctx.has(Trouble::SequenceWrap) { u32::MAX - bits % WRAPS_WITHIN } else { bits }
}

/// A segment without data.
fn plain(side: Side, offset: u64, flags: u8) -> Segment {
    Segment { side, offset, bytes: Vec::new(), flags, attempt: 0 }
}

/// Cuts what is to be sent into segments.
fn pieces<'a>(ctx: &mut Context, bytes: &'a [u8]) -> Vec<&'a [u8]> {
    if bytes.len() > 1 && bytes.len() <= MSS && ctx.rng.percent(SPLIT_PERCENT) {
        let at = 1 + ctx.rng.below(bytes.len() as u64 - 1) as usize;
        return vec![&bytes[..at], &bytes[at..]];
    }
    bytes.chunks(MSS).collect()
}

/// A delivered message's truth at one point.
fn note_seen(
    ctx: &mut Context,
    tag: &MessageTag,
    point: PointIx,
    seen: Option<Seen>,
    captured: bool,
) {
    match seen {
        Some(Seen { true_ns, key: Some(key), whole }) if captured => {
            let sighting = Sighting { tag: tag.clone(), line: None, true_ns, whole };
            ctx.taps.observe(key, sighting);
        }
        Some(Seen { true_ns, .. }) => ctx.truth.not_captured(tag, point, None, true_ns),
        None => ctx.truth.lost_on_the_way(tag, point, None),
    }
}

/// A message passes a point once more, in a repeated segment.
fn note_again(ctx: &mut Context, tag: &MessageTag, key: Option<PacketKey>, true_ns: i64) {
    if let Some(key) = key {
        let sighting = Sighting { tag: tag.clone(), line: None, true_ns, whole: true };
        ctx.taps.observe_again(key, sighting);
    }
}
