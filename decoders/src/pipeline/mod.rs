//! The way of a packet to its messages, for rows and for explanations alike.
//!
//! ```text
//! packet ─ headers ─► flow ─┬─ UDP ─ moldudp64, declared, FAST, FIX ─┐
//!                           └─ TCP ─ in order ─ declared, FAST, FIX ─┴─► Sink
//! ```
//!
//! The pipeline knows flows, sequences and recognition; a [`sink::Sink`] runs
//! the engines. Everything that is not decoded is counted by its reason.

pub mod connection;
pub mod counters;
pub mod datagram;
pub(crate) mod declared;
#[cfg(test)]
mod declared_tests;
mod fast;
mod fast_stream;
#[cfg(test)]
mod fix_fast_tests;
pub mod fix_udp;
mod known;
mod resync;
pub mod sink;
pub mod stream;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unpack_tests;

use crate::config::{DecoderConfig, FeedConfig, SessionConfig};
use crate::flow::{FlowTable, Recognised};
use crate::framing::declared::Key;
use crate::framing::moldudp64;
use crate::headers::{self, Segment, Transport};
use crate::library::{Library, ProtocolRef};
use crate::names::{Name, Names};
use crate::recognise::Carrier;
use crate::tcp::reassembly::{Budget, Lost};
use connection::Connection;
use counters::Counters;
use datagram::Datagrams;
use sink::{Nothing, Sink};
use std::collections::HashMap;
use std::sync::Arc;
use taptrail_capture::packet::Packet;

/// The protocol of rows about TCP itself.
pub const TCP_ID: &str = "tcp";

/// Most sessions whose flows share what messages teach; further ones keep it to
/// themselves.
const SHARED_SCOPES_MAX: usize = 1 << 12;

/// What all flows share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub library: Arc<Library>,
    pub config: Arc<DecoderConfig>,
    pub names: Names,
    pub flows: FlowTable,
    pub counters: Counters,
    pub ids: Ids,
    scopes: u32,
    /// Scopes of several flows: by the group of their feeds, and session.
    shared_scopes: HashMap<(u16, Key), u32>,
}

/// Names that every capture needs.
#[derive(Debug)]
pub(crate) struct Ids {
    pub mold: Name,
    pub tcp: Name,
    pub unknown: Name,
    pub fixed: Vec<Name>,
    pub framings: Vec<Name>,
}

/// A packet with its headers read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived<'p, 's> {
    pub packet_ix: u32,
    pub ts: i64,
    pub flow_id: u32,
    pub segment: &'s Segment,
    pub payload: &'p [u8],
}

#[derive(Debug)]
enum FlowState {
    Udp(Box<Datagrams>),
    Tcp { connection: u32, side: usize },
}

/// Follows all flows of one capture.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub shared: Shared,
    states: Vec<FlowState>,
    connections: Vec<Connection>,
    budget: Budget,
}

impl Pipeline {
    pub fn new(config: Arc<DecoderConfig>, library: Arc<Library>) -> Self {
        let mut names = Names::new();
        let ids = Ids::new(&library, &mut names);
        let shared = Shared {
            library,
            config,
            names,
            flows: FlowTable::default(),
            counters: Counters::default(),
            ids,
            scopes: 0,
            shared_scopes: HashMap::new(),
        };
        Self { shared, states: Vec::new(), connections: Vec::new(), budget: Budget::default() }
    }

    /// Takes a packet in and gives the sink every message it completes.
    pub fn packet<'p>(&mut self, packet: Packet<'p>, sink: &mut impl Sink<'p>) {
        self.shared.counters.packets += 1;
        self.shared.counters.bytes += packet.data.len() as u64;
        let segment = match headers::parse(packet.meta.link_type, packet.data) {
            Ok(segment) => segment,
            Err(error) => {
                return self.shared.counters.undecoded(error.reason(), packet.data.len());
            }
        };
        let ts = packet.meta.ts.ns();
        let Some((flow_id, new)) = self.shared.flows.packet(&segment, ts) else {
            return self.shared.counters.undecoded("too many flows", packet.data.len());
        };
        if new {
            self.open(flow_id, &segment);
        }
        let payload = packet.data.get(segment.payload.clone()).unwrap_or_default();
        let packet_ix = packet.meta.packet_ix;
        let arrived = Arrived { packet_ix, ts, flow_id, segment: &segment, payload };
        match self.states.get_mut(flow_id as usize) {
            Some(FlowState::Udp(flow)) => {
                let asked = flow.datagram(&arrived, &mut self.shared, sink);
                if asked {
                    self.expect_answers(&segment);
                }
            }
            Some(FlowState::Tcp { connection, side }) => {
                if let Some(connection) = self.connections.get_mut(*connection as usize) {
                    let side = *side;
                    connection.segment(side, &arrived, &mut self.shared, &mut self.budget, sink);
                }
            }
            None => {}
        }
    }

    /// Another capture begins, in which everything goes on.
    pub fn go_on(&mut self) {
        self.connections.iter_mut().for_each(Connection::go_on);
    }

    /// Takes in a packet of the capture before, for what of its TCP streams goes on.
    pub fn lead_in<'p>(&mut self, packet: Packet<'p>, sink: &mut impl Sink<'p>) {
        let segment = headers::parse(packet.meta.link_type, packet.data);
        if segment.is_ok_and(|segment| segment.transport == Transport::Tcp) {
            self.packet(packet, sink);
        }
    }

    /// The lead-in is over: the packets that follow are the capture's own.
    pub fn begin(&mut self) {
        for connection in &mut self.connections {
            connection.begin(&mut self.shared, &mut self.budget, &mut Nothing);
        }
        self.shared.counters = Counters::default();
        self.shared.flows.begin();
    }

    /// The capture ends: whatever waits is let go; `why` messages are lost that are not
    /// whole.
    pub fn finish<'p>(&mut self, why: Lost, sink: &mut impl Sink<'p>) {
        for connection in &mut self.connections {
            connection.finish(why, &mut self.shared, &mut self.budget, sink);
        }
    }

    /// The number that comes next in each scope that datagrams have, where it
    /// is known.
    pub fn next_numbers(&self) -> HashMap<u32, u64> {
        let mut next = HashMap::new();
        for state in &self.states {
            if let FlowState::Udp(flow) = state {
                for (scope, seq) in flow.next_numbers() {
                    let known: &mut u64 = next.entry(scope).or_default();
                    *known = seq.max(*known);
                }
            }
        }
        next
    }

    /// Makes the state of a new flow.
    fn open(&mut self, flow_id: u32, segment: &Segment) {
        let peer = self.shared.flows.peer(segment).filter(|&peer| peer != flow_id);
        let peer = peer.and_then(|peer| self.states.get(peer as usize));
        let state = match segment.transport {
            Transport::Udp | Transport::Ethernet => {
                let asked = matches!(peer, Some(FlowState::Udp(flow)) if flow.has_asked());
                let mut flow = Datagrams::open(flow_id, segment, &mut self.shared);
                if asked {
                    flow.expect_answers();
                }
                FlowState::Udp(Box::new(flow))
            }
            Transport::Tcp => match peer {
                Some(&FlowState::Tcp { connection, side }) => {
                    if let Some(known) = self.connections.get_mut(connection as usize) {
                        known.join(1 - side, flow_id, &mut self.shared);
                    }
                    FlowState::Tcp { connection, side: 1 - side }
                }
                _ => {
                    let connection = self.connections.len() as u32;
                    self.connections.push(Connection::open(flow_id, segment, &mut self.shared));
                    FlowState::Tcp { connection, side: 0 }
                }
            },
        };
        self.states.push(state);
    }

    /// A client asked for messages again: what comes back are repeats.
    fn expect_answers(&mut self, segment: &Segment) {
        let peer = self.shared.flows.peer(segment);
        if let Some(FlowState::Udp(flow)) = peer.and_then(|p| self.states.get_mut(p as usize)) {
            flow.expect_answers();
        }
    }
}

impl Ids {
    fn new(library: &Library, names: &mut Names) -> Self {
        let mut name = |text: &str| names.intern(text.as_bytes()).unwrap_or(Name(0));
        Self {
            unknown: name("?"),
            mold: name(moldudp64::ID),
            tcp: name(TCP_ID),
            fixed: library.ids().map(&mut name).collect(),
            framings: library.framings.iter().map(|framing| name(&framing.id)).collect(),
        }
    }

    /// The name of what cuts a flow's messages.
    pub fn carrier(&self, carrier: Carrier) -> Name {
        match carrier {
            Carrier::Mold => self.mold,
            Carrier::Declared(at) => {
                self.framings.get(usize::from(at)).copied().unwrap_or(self.unknown)
            }
        }
    }

    /// The name of a fixed protocol.
    #[inline]
    pub fn fixed(&self, protocol: u16) -> Name {
        self.fixed.get(usize::from(protocol)).copied().unwrap_or(self.unknown)
    }
}

impl Shared {
    /// A number for learned tables that nobody else has.
    pub fn new_scope(&mut self) -> u32 {
        self.scopes = self.scopes.wrapping_add(1);
        self.scopes
    }

    /// The scope of a session: one that all flows of its group share, where it
    /// is in one.
    pub fn scope(&mut self, group: Option<u16>, session: &Key) -> u32 {
        let Some(group) = group else { return self.new_scope() };
        if let Some(&scope) = self.shared_scopes.get(&(group, *session)) {
            return scope;
        }
        let scope = self.new_scope();
        if self.shared_scopes.len() < SHARED_SCOPES_MAX {
            self.shared_scopes.insert((group, *session), scope);
        }
        scope
    }

    /// The first feed that is of the same channel as the one at `at`: the same
    /// protocol, and the same channel number or, without one, the same name.
    pub fn group_of(&self, at: u16) -> Option<u16> {
        let feeds = &self.config.feeds;
        let feed = feeds.get(usize::from(at))?;
        if feed.channel.is_none() && feed.name.is_none() {
            return None;
        }
        let same = |other: &FeedConfig| {
            other.protocol == feed.protocol
                && other.channel == feed.channel
                && (feed.channel.is_some() || other.name == feed.name)
        };
        feeds.iter().position(same).map(|at| at as u16)
    }

    /// What names a scope in every capture: the configured feed, or the flow;
    /// and its session and channel.
    pub fn source(
        &self,
        group: Option<u16>,
        flow_id: u32,
        session: Option<Name>,
        channel: Option<u32>,
    ) -> String {
        let feed = group.and_then(|at| self.config.feeds.get(usize::from(at)));
        let mut source = match feed {
            Some(FeedConfig { protocol, channel: Some(channel), .. }) => {
                format!("feed {protocol} channel {channel}")
            }
            Some(FeedConfig { protocol, name, .. }) => {
                format!("feed {protocol} {}", name.as_deref().unwrap_or_default())
            }
            None => {
                let flow = self.flows.infos().get(flow_id as usize);
                flow.map_or_else(String::new, |f| format!("{} > {}:{}", f.src, f.dst, f.dst_port))
            }
        };
        if let Some(session) = session {
            source += &format!(" session {}", self.names.text(session));
        }
        if let Some(channel) = channel {
            source += &format!(" unit {channel}");
        }
        source
    }

    /// A text as a name, where there is room for it.
    pub fn name(&mut self, text: &str) -> Option<Name> {
        self.names.intern(text.as_bytes())
    }

    /// The feed that a UDP flow belongs to: the one with its group and port,
    /// else one that names neither.
    pub fn feed_of(&self, segment: &Segment) -> Option<(u16, &FeedConfig)> {
        let fits = |feed: &FeedConfig| {
            feed.group.is_none_or(|group| group == segment.dst)
                && feed.port.is_none_or(|port| port == segment.dst_port)
        };
        let told = |feed: &&FeedConfig| feed.group.is_some() || feed.port.is_some();
        let feeds = || self.config.feeds.iter().enumerate();
        let exact = feeds().find(|(_, feed)| told(feed) && fits(feed));
        let found = exact.or_else(|| feeds().find(|(_, feed)| !told(feed)));
        found.map(|(at, feed)| (at as u16, feed))
    }

    /// The session that a TCP segment belongs to, with its index in the
    /// configuration, and whether the segment's source is the server.
    pub fn session_of(&self, segment: &Segment) -> Option<(u16, &SessionConfig, bool)> {
        let is = |session: &SessionConfig, address, port| {
            session.server == address && session.port == port
        };
        let sessions = || (0u16..).zip(&self.config.sessions);
        let from = sessions().find(|(_, s)| is(s, segment.src, segment.src_port));
        let to = sessions().find(|(_, s)| is(s, segment.dst, segment.dst_port));
        from.map(|(at, s)| (at, s, true)).or(to.map(|(at, s)| (at, s, false)))
    }

    /// What a protocol id means; the command line's wins over the flow's.
    pub fn protocol_ref(&self, id: Option<&str>) -> Option<ProtocolRef> {
        let id = self.config.protocol.as_deref().or(id)?;
        self.library.find(id, &self.config)
    }

    /// Writes into the flows table what a flow is.
    pub fn publish(&mut self, flow_id: u32, protocol: Name, recognised: Recognised) {
        if let Some(info) = self.flows.get_mut(flow_id) {
            info.protocol = Some(protocol);
            info.recognised = Some(recognised);
        }
    }
}
