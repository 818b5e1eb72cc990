//! A line of the exchange's multicast feed, from the publisher past P1, P2
//! and P3 to the feed handler.

use crate::config::FaultRates;
use crate::context::Context;
use crate::encode::{ether, ip, udp};
use crate::net::addresses::{FEED_A, FEED_B, PUBLISHER};
use crate::net::delay::{Delay, wire_ns};
use crate::net::tap::Sighting;
use crate::points::{P1, P2, P3, POINTS, PointIx};
use crate::truth::{LossTruth, MessageTag};
use crate::venue::public::Public;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// The points on the way, and how a frame looks there.
const WAY: [(PointIx, u8, bool); 3] = [(P1, 16, false), (P2, 15, true), (P3, 15, false)];
/// Publisher to P1, P1 to P2 (firewall and switch), P2 to P3 (switch).
const DELAYS: [Delay; 3] = [Delay::new(400, 40), Delay::new(750, 350), Delay::new(380, 60)];
/// P3 to the handler's application.
const LAST_DELAY: Delay = Delay::new(250, 50);
/// How much later than the other the following line is.
const FOLLOWER_LAG: Delay = Delay::new(150, 300);
/// A packet that is overtaken arrives this much later.
const OVERTAKEN: Delay = Delay::new(2_000, 60_000);

/// A datagram of the feed.
#[derive(Debug)]
pub struct FeedPacket {
    /// What the datagram carries.
    pub payload: Vec<u8>,
    /// Protocol id of its messages.
    pub protocol: &'static str,
    /// MoldUDP64 session, or the number of the unit.
    pub session: Arc<str>,
    /// Sequence of the first message (of the next, where there is none).
    pub first_seq: u64,
    /// Its messages in order, or its one heartbeat.
    pub tags: Vec<MessageTag>,
    /// What they say, beside `tags`; empty for a heartbeat.
    pub items: Vec<FeedItem>,
    /// Where in the payload each of them ends; empty for a heartbeat.
    pub ends: Vec<usize>,
}

/// A message of the feed as the handler reads it.
#[derive(Clone, Debug)]
pub struct FeedItem {
    /// The message; `None`: what time it is.
    pub public: Option<Public>,
    /// The instrument, an index of [`SYMBOLS`](crate::venue::symbols::SYMBOLS).
    pub symbol: usize,
}

impl FeedPacket {
    /// Messages that have a sequence number.
    pub fn count(&self) -> u64 {
        self.items.len() as u64
    }

    /// How many of its tags are of messages that are whole in the first `len`
    /// bytes of its payload.
    fn whole_in(&self, len: usize) -> usize {
        if self.ends.is_empty() {
            return self.tags.len();
        }
        self.ends.partition_point(|end| *end <= len)
    }
}

/// One of the two lines.
#[derive(Debug)]
pub struct FeedLine {
    /// `A` or `B`.
    pub name: char,
    group: SocketAddrV4,
    vlan: u16,
    ip_id: u16,
    last_ns: [i64; 3],
    burst_left: u64,
}

impl FeedLine {
    /// Line `A` or `B`.
    pub fn new(name: char) -> Self {
        let (group, vlan) = if name == 'A' { (FEED_A, 310) } else { (FEED_B, 320) };
        Self { name, group, vlan, ip_id: 0, last_ns: [0; 3], burst_left: 0 }
    }

    /// Sends a packet now. `leads`: this line is the faster one; `lost`: it
    /// is lost on both lines. Returns when it arrives at the handler.
    pub fn send(
        &mut self,
        ctx: &mut Context,
        packet: &FeedPacket,
        leads: bool,
        lost: bool,
    ) -> Option<i64> {
        self.ip_id = self.ip_id.wrapping_add(1);
        let lost_before = if lost { Some(1) } else { self.loses(ctx) };
        let overtaken = ctx.fault(ctx.rates.reorder);
        let mut at_ns = ctx.now_ns + if leads { 0 } else { FOLLOWER_LAG.draw(&mut ctx.rng) };
        for (leg, &(point, ttl, tagged)) in WAY.iter().enumerate() {
            if lost_before == Some(leg) {
                self.note_loss(ctx, packet, leg, at_ns);
                return None;
            }
            at_ns += DELAYS[leg].draw(&mut ctx.rng);
            if overtaken && leg == 1 {
                at_ns += OVERTAKEN.draw(&mut ctx.rng);
            } else if !(overtaken && leg == 2) {
                at_ns = at_ns.max(self.last_ns[leg] + wire_ns(packet.payload.len() + 46));
                self.last_ns[leg] = at_ns;
            }
            self.show(ctx, packet, point, at_ns, ttl, tagged);
        }
        Some(at_ns + LAST_DELAY.draw(&mut ctx.rng))
    }

    /// The leg before which this line loses the next packet.
    fn loses(&mut self, ctx: &mut Context) -> Option<usize> {
        let FaultRates { feed_loss, feed_burst, burst_packets, .. } = ctx.rates;
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return Some(1);
        }
        if ctx.fault(feed_burst) {
            self.burst_left = ctx.rng.below(burst_packets);
            return Some(1);
        }
        ctx.fault(feed_loss).then(|| 1 + ctx.rng.below(2) as usize)
    }

    /// The packet passes a point.
    fn show(
        &mut self,
        ctx: &mut Context,
        packet: &FeedPacket,
        point: PointIx,
        at_ns: i64,
        ttl: u8,
        tagged: bool,
    ) {
        let frame = self.frame(packet, point, ttl, tagged);
        let interface = u32::from(tagged && self.name == 'B');
        let headers = frame.len() - packet.payload.len();
        let whole = packet.whole_in(ctx.taps.kept(point).saturating_sub(headers));
        let key = ctx.taps.pass(point, at_ns, frame, interface);
        match key {
            Some(_) => self.note(ctx, packet, "snaplen", point, at_ns, whole as u64),
            None => self.note(ctx, packet, "capture", point, at_ns, 0),
        }
        for (position, tag) in packet.tags.iter().enumerate() {
            ctx.truth.passed(tag.id, point, at_ns);
            let line = Some(self.name);
            match key {
                Some(key) => {
                    let (tag, is_whole) = (tag.clone(), position < whole);
                    let sighting = Sighting { tag, line, true_ns: at_ns, whole: is_whole };
                    if is_whole {
                        ctx.taps.observe(key, sighting);
                    } else {
                        ctx.taps.observe_cut(key, sighting);
                    }
                }
                None => ctx.truth.not_captured(tag, point, line, at_ns),
            }
        }
    }

    fn frame(&self, packet: &FeedPacket, point: PointIx, ttl: u8, tagged: bool) -> Vec<u8> {
        let ip = ip::Ipv4 {
            source: *PUBLISHER.ip(),
            destination: *self.group.ip(),
            protocol: ip::UDP,
            ttl,
            id: self.ip_id,
        };
        let datagram = udp::datagram(&ip, PUBLISHER.port(), self.group.port(), &packet.payload);
        // The last router or switch port before the point.
        let router = ether::host_mac(Ipv4Addr::new(10, 90, point as u8, self.name as u8));
        let vlan = tagged.then_some(self.vlan);
        ether::frame(ether::multicast_mac(*self.group.ip()), router, vlan, &ip.packet(&datagram))
    }

    /// The packet is lost before `leg`: no later point sees it.
    fn note_loss(&self, ctx: &mut Context, packet: &FeedPacket, leg: usize, at_ns: i64) {
        self.note(ctx, packet, "network", WAY[leg].0, at_ns, 0);
        for &(point, ..) in &WAY[leg..] {
            for tag in &packet.tags {
                ctx.truth.lost_on_the_way(tag, point, Some(self.name));
            }
        }
    }

    /// All messages of the packet but the first `kept` are lost at a point.
    fn note(
        &self,
        ctx: &mut Context,
        packet: &FeedPacket,
        cause: &'static str,
        point: PointIx,
        at_ns: i64,
        kept: u64,
    ) {
        if packet.count() <= kept {
            return;
        }
        ctx.truth.loss(LossTruth {
            cause,
            point: POINTS[point].name,
            protocol: packet.protocol,
            session: packet.session.clone(),
            line: Some(self.name),
            unit: "message",
            first_seq: packet.first_seq + kept,
            count: packet.count() - kept,
            true_ns: at_ns,
        });
    }
}
