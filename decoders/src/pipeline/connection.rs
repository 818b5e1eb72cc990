//! One TCP connection: both directions put in order, and what they share.
//! [`super::stream`] cuts messages out of each.

use super::declared::Lanes;
use super::known::Known;
use super::sink::{Place, Sink};
use super::stream::{Cutter, NOT_RECOGNISED};
use super::{Arrived, Shared};
use crate::fast::measure::Measurer;
use crate::flow::Recognised;
use crate::headers::Segment;
use crate::headers::transport::tcp_flags::{ACK, SYN};
use crate::kind::Sender;
use crate::library::ProtocolRef;
use crate::names::Name;
use crate::recognise::{self, Carrier};
use crate::tcp::reassembly::{Budget, Counts, Incoming, Lost, Reassembly};
use std::collections::VecDeque;
use std::sync::Arc;

/// Units of a direction remembered, to name those that TCP repeats.
pub const RECENT_UNITS: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Undecided {
        tried: u32,
    },
    /// The protocol is configured; what carries it, the first bytes tell.
    Waiting(u16),
    Declared(Known),
    Fix {
        protocol: Option<Name>,
    },
    /// FAST messages of the feed at this index.
    Fast {
        feed: u16,
        protocol: Name,
    },
    Ignored,
}

/// What both directions share.
#[derive(Debug)]
pub(super) struct Common {
    pub mode: Mode,
    pub recognised: Recognised,
    /// The side that listens, where known.
    pub server: Option<usize>,
    pub session: Option<Name>,
    pub scope: u32,
    /// The FIX tags of the library.
    pub tags: u16,
    flows: [Option<u32>; 2],
}

/// A unit that was cut, in case TCP repeats it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    pub start: u64,
    pub len: u32,
    /// The number of the next message before it.
    pub next: Option<u64>,
}

/// What one direction's framing remembers.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub synced: bool,
    /// Zeros that wait at the beginning, while nothing is known.
    pub zeros: usize,
    pub lanes: Lanes,
    pub recent: VecDeque<Recent>,
    pub completed: Completed,
    /// Of FAST messages without lengths.
    pub measurer: Option<Box<Measurer>>,
}

/// Why a message gets no place.
const TOO_MANY: &str = "more than 65535 messages in a packet";
const EARLIER: &str = "message of an earlier capture behind a hole";

/// How many messages each packet has completed, for the latest packet and
/// those that still wait in order behind a hole.
#[derive(Debug, Default)]
pub(super) struct Completed {
    packet_ix: u32,
    count: u16,
    older: Vec<(u32, u16)>,
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    common: Common,
    halves: [Half; 2],
    streams: [Reassembly; 2],
}

impl Connection {
    /// A connection first seen by `segment`, which side 0 sent.
    pub fn open(flow_id: u32, segment: &Segment, shared: &mut Shared) -> Self {
        let session = shared.session_of(segment);
        let session = session.map(|(at, session, from)| (session.protocol.clone(), at, from));
        let id = session.as_ref().map(|session| session.0.as_str());
        let reference = shared.protocol_ref(id);
        let (mode, protocol) = configured_mode(reference, id, shared);
        let opening = segment.tcp.is_some_and(|tcp| tcp.flags & SYN != 0);
        let answer = segment.tcp.is_some_and(|tcp| tcp.flags & ACK != 0);
        let server = match &session {
            Some((_, _, from_server)) => Some(usize::from(!from_server)),
            None if opening => Some(usize::from(!answer)),
            None => None,
        };
        let mut connection = Self {
            common: Common {
                mode,
                recognised: Recognised::Configured,
                server,
                session: None,
                scope: shared.new_scope(),
                tags: session.map_or(0, |session| session.1.saturating_add(1)),
                flows: [Some(flow_id), None],
            },
            halves: Default::default(),
            streams: Default::default(),
        };
        if let Some(protocol) = protocol {
            connection.common.publish(protocol, shared);
        }
        connection
    }

    /// The other direction appears as the flow `flow_id`.
    pub fn join(&mut self, side: usize, flow_id: u32, shared: &mut Shared) {
        if let Some(flow) = self.common.flows.get_mut(side) {
            *flow = Some(flow_id);
        }
        let other = self.common.flows.get(1 - side).copied().flatten();
        let known = other.and_then(|id| shared.flows.infos().get(id as usize));
        if let Some((protocol, recognised)) = known.and_then(|i| Some((i.protocol?, i.recognised?)))
        {
            shared.publish(flow_id, protocol, recognised);
        }
    }

    /// Takes in a segment that `side` sent.
    #[inline]
    pub fn segment<'p>(
        &mut self,
        side: usize,
        arrived: &Arrived<'p, '_>,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        let Some(tcp) = arrived.segment.tcp else { return };
        if matches!(self.common.mode, Mode::Ignored) {
            return ignored(arrived, shared, sink);
        }
        let incoming = Incoming {
            tcp,
            payload: arrived.payload,
            wire_len: arrived.segment.wire_len,
            ip_id: arrived.segment.ip_id,
            packet_ix: arrived.packet_ix,
            ts: arrived.ts,
            frame_off: arrived.segment.payload.start as u32,
        };
        let (Some(half), Some(stream)) = (self.halves.get_mut(side), self.streams.get_mut(side))
        else {
            return;
        };
        let before = stream.counts;
        half.completed.start(arrived.packet_ix, stream.is_waiting());
        let (common, flow_id) = (&mut self.common, arrived.flow_id);
        let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
        stream.segment(&incoming, budget, &mut cutter);
        if stream.counts != before {
            count_gaps(stream, flow_id, cutter.shared);
        }
        if tcp.flags & ACK != 0 {
            self.acknowledge(1 - side, tcp.ack, arrived.ts, shared, budget, sink);
        }
        if matches!(self.common.mode, Mode::Ignored) {
            self.finish(Lost::Unfinished, shared, budget, sink);
        }
    }

    /// The other side has all bytes of `side` before `ack`.
    #[inline]
    fn acknowledge<'p>(
        &mut self,
        side: usize,
        ack: u32,
        now: i64,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        let (Some(half), Some(stream)) = (self.halves.get_mut(side), self.streams.get_mut(side))
        else {
            return;
        };
        let Some(flow_id) = self.common.flows.get(side).copied().flatten() else { return };
        let before = stream.counts;
        let common = &mut self.common;
        let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
        stream.acknowledge(ack, now, budget, &mut cutter);
        if stream.counts != before {
            count_gaps(stream, flow_id, shared);
        }
    }

    /// Another capture begins, in which the connection goes on.
    pub fn go_on(&mut self) {
        self.halves.iter_mut().for_each(|half| half.completed = Completed::default());
        self.streams.iter_mut().for_each(Reassembly::go_on);
    }

    /// A capture begins in which the connection goes on that a lead-in has shown: what
    /// waits behind a hole belongs to the capture before.
    pub fn begin<'p>(
        &mut self,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        for (side, (half, stream)) in self.halves.iter_mut().zip(&mut self.streams).enumerate() {
            let Some(flow_id) = self.common.flows.get(side).copied().flatten() else { continue };
            let common = &mut self.common;
            let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
            let before = stream.held();
            stream.give_up_holes(&mut cutter);
            budget.used = (budget.used + stream.held()).saturating_sub(before);
            stream.counts = Counts::default();
        }
        self.go_on();
    }

    /// Lets go of everything that waits; `why` a message that is not whole is lost.
    pub fn finish<'p>(
        &mut self,
        why: Lost,
        shared: &mut Shared,
        budget: &mut Budget,
        sink: &mut impl Sink<'p>,
    ) {
        for (side, (half, stream)) in self.halves.iter_mut().zip(&mut self.streams).enumerate() {
            let Some(flow_id) = self.common.flows.get(side).copied().flatten() else { continue };
            let common = &mut self.common;
            let mut cutter = Cutter { common, half, side, flow_id, shared, sink };
            budget.used = budget.used.saturating_sub(stream.held());
            stream.end(why, &mut cutter);
            count_gaps(stream, flow_id, shared);
        }
    }
}

/// How a connection is read by configuration, with the name of its protocol.
fn configured_mode(
    reference: Option<ProtocolRef>,
    id: Option<&str>,
    shared: &mut Shared,
) -> (Mode, Option<Name>) {
    let undecided = (Mode::Undecided { tried: 0 }, None);
    let declared =
        |framing: u16, fixed| Mode::Declared(Known::configured(Carrier::Declared(framing), fixed));
    match reference {
        Some(ProtocolRef::Fixed(at)) => {
            let name = Some(shared.ids.fixed(at));
            match recognise::only(recognise::stream_carriers_of(at, &shared.library)) {
                Ok(framing) => (declared(framing, Some(at)), name),
                Err(0) => undecided,
                Err(_) => (Mode::Waiting(at), name),
            }
        }
        Some(ProtocolRef::Framing(at)) => {
            let is_on_tcp = recognise::stream_framings(&shared.library).any(|(of, _)| of == at);
            let name = Some(shared.ids.carrier(Carrier::Declared(at)));
            if is_on_tcp { (declared(at, None), name) } else { undecided }
        }
        Some(ProtocolRef::Fast(feed)) if is_read(feed, shared) => {
            let config = Arc::clone(&shared.config);
            let name = config.feeds.get(usize::from(feed)).map(|feed| &feed.protocol);
            match name.and_then(|name| shared.name(name)) {
                Some(protocol) => (Mode::Fast { feed, protocol }, Some(protocol)),
                None => undecided,
            }
        }
        Some(ProtocolRef::Fix) => {
            let config = Arc::clone(&shared.config);
            let id = config.protocol.as_deref().or(id).unwrap_or("fix");
            let protocol = shared.name(id);
            (Mode::Fix { protocol }, protocol)
        }
        _ => undecided,
    }
}

/// Whether a FAST feed has templates that were read.
fn is_read(feed: u16, shared: &Shared) -> bool {
    shared.library.fast.get(usize::from(feed)).is_some_and(Option::is_some)
}

fn ignored<'p>(arrived: &Arrived<'p, '_>, shared: &mut Shared, sink: &mut impl Sink<'p>) {
    if arrived.payload.is_empty() {
        return;
    }
    shared.counters.undecoded(NOT_RECOGNISED, arrived.payload.len());
    let place = Place {
        packet_ix: arrived.packet_ix,
        ts: arrived.ts,
        at: 0,
        payload_off: arrived.segment.payload.start as u32,
        unpacked: false,
    };
    sink.undecoded(place, arrived.payload, NOT_RECOGNISED);
}

fn count_gaps(stream: &Reassembly, flow_id: u32, shared: &mut Shared) {
    if let Some(info) = shared.flows.get_mut(flow_id) {
        info.gaps = stream.counts.gaps;
        info.missing = stream.counts.missing;
    }
}

impl Common {
    /// Whether it is known what the connection is.
    pub fn is_decided(&self) -> bool {
        !matches!(self.mode, Mode::Undecided { .. } | Mode::Ignored)
    }

    /// Writes into the flows table what both directions are.
    pub fn publish(&mut self, protocol: Name, shared: &mut Shared) {
        for flow_id in self.flows.into_iter().flatten() {
            shared.publish(flow_id, protocol, self.recognised);
        }
    }

    pub fn sender(&self, side: usize) -> Option<Sender> {
        self.server.map(|server| if server == side { Sender::Server } else { Sender::Client })
    }
}

impl Completed {
    /// A packet arrives: the counts of earlier ones matter only while some of
    /// them wait.
    #[inline]
    fn start(&mut self, packet_ix: u32, waiting: bool) {
        if !waiting {
            self.older.clear();
        }
        self.switch(packet_ix);
    }

    #[inline]
    fn switch(&mut self, packet_ix: u32) {
        if self.packet_ix == packet_ix {
            return;
        }
        if self.count > 0 {
            self.older.push((self.packet_ix, self.count));
        }
        let known = self.older.iter().position(|older| older.0 == packet_ix);
        self.count = known.map_or(0, |at| self.older.swap_remove(at).1);
        self.packet_ix = packet_ix;
    }

    /// The place of the next message that `packet_ix` completes.
    ///
    /// # Errors
    /// Beyond 65,535, and where the packet was in an earlier capture: why not.
    #[inline]
    pub fn next(&mut self, packet_ix: i64) -> Result<u16, &'static str> {
        let Ok(packet_ix) = u32::try_from(packet_ix) else { return Err(EARLIER) };
        self.switch(packet_ix);
        if self.count < u16::MAX { Ok(self.count) } else { Err(TOO_MANY) }
    }

    /// The packet asked for last completes so many more.
    #[inline]
    pub fn add(&mut self, messages: u16) {
        self.count = self.count.saturating_add(messages);
    }
}

impl Half {
    /// Forgets what came before a hole, or another connection.
    pub fn lose_place(&mut self, synced: bool) {
        self.synced = synced;
        self.zeros = 0;
        self.lanes.next = None;
    }

    pub fn remember(&mut self, recent: Recent) {
        if self.recent.len() == RECENT_UNITS {
            self.recent.pop_front();
        }
        self.recent.push_back(recent);
    }
}
