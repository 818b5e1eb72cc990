//! Everything that can happen.

use crate::desk::handler::Update;
use crate::desk::messages::{FixReport, OuchReport, OuchRequest};
use crate::desk::strategy::FollowUp;
use crate::net::feed_line::FeedPacket;
use crate::net::stream::{Segment, Side};
use crate::venue::publisher::PublicMessage;
use std::sync::Arc;

/// What happens at a point in time.
#[derive(Debug)]
pub enum Event {
    /// The trading day moves to its next phase.
    Phase(Phase),
    /// Other participants trade.
    OtherFlow,
    /// The venue's engine takes a request.
    EngineRequest(OuchRequest),
    /// Somebody hits one of our resting orders, named by its UserRefNum.
    HitResting(u32),
    /// The venue sends a private answer.
    PrivateReport(OuchReport),
    /// The venue publishes a message.
    Publish(PublicMessage),
    /// The publisher closes the datagram it is filling.
    FeedFlush,
    /// The publisher looks whether it has been silent.
    FeedIdle,
    /// A datagram arrives at the feed handler.
    FeedArrival(Arc<FeedPacket>),
    /// The handler stops waiting for messages of a session before this
    /// sequence number.
    FeedGapTimeout(Arc<str>, u64),
    /// The handler puts updates onto the bus.
    BusSend(Vec<Update>),
    /// The handler looks whether the bus has been silent.
    BusIdle,
    /// A strategy gets the idea for an order.
    Intent,
    /// A strategy sends the order it has decided on.
    SendNew(usize),
    /// A strategy cancels or replaces an order.
    FollowUp(FollowUp),
    /// A strategy or the gateway looks whether its session has been silent.
    FixIdle(usize),
    /// Either side of the OUCH session looks whether it has been silent.
    SoupIdle,
    /// The gateway passes a request on.
    GatewayForward(OuchRequest),
    /// The gateway reports to a strategy.
    GatewayReport(FixReport),
    /// The gateway sends the drop copy of a report.
    DropCopy(FixReport),
    /// A TCP sender lets go of what it has gathered.
    TcpFlush(usize, Side),
    /// A TCP segment arrives.
    TcpArrival(usize, Segment),
    /// A TCP sender repeats a segment.
    TcpRepeat(usize, Segment),
    /// A TCP receiver acknowledges.
    TcpAck(usize, Side),
    /// The site writes down its clocks.
    NoteClocks,
    /// It does so once more, between.
    NoteClocksOnce,
    /// The feed and a FIX session begin again.
    SessionReset,
}

/// Phases of the trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connections are made, reference data is sent.
    Connect,
    /// Continuous trading begins.
    Open,
    /// No new orders; the venue ends what is left.
    Close,
    /// Everybody logs out.
    Logout,
    /// Sessions end.
    End,
    /// Connections end.
    HangUp,
}
