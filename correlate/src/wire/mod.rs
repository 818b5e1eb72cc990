//! What packets say beside their messages: bursts, and how TCP does.
//!
//! ```text
//! packets of a point ──merge by time──> lane of (interface, direction) ─> bursts
//!                                  └──> connection of (flow, peer) ─────> tcp
//! ```

pub mod bursts;
pub mod read;
pub mod tcp;

use bursts::Lane;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use taptrail_capture::packet::LinkType;
use taptrail_decoders::headers::{self, Segment, Transport};
use taptrail_store::tables::bursts::BurstRow;
use taptrail_store::tables::tcp::TcpRow;
use tcp::Connection;

/// Most lanes of a point; frames of further ones are counted as left out.
pub const LANES_MAX: usize = 256;

/// Most connections of a point; segments of further ones are not followed,
/// counted.
pub const CONNECTIONS_MAX: usize = 1 << 16;

/// A packet as the store has it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// First bit, as stamped.
    pub ts: i64,
    /// Interface of its capture.
    pub interface: u32,
    /// in, out or unknown.
    pub direction: &'a Arc<str>,
    /// Link type.
    pub link_type: LinkType,
    /// Bytes on the wire, as captured: with a trailer, where it has one.
    pub wire_len: u32,
    /// Captured bytes.
    pub data: &'a [u8],
}

type End = (IpAddr, u16);

/// Takes in a point's packets in order of time.
#[derive(Clone, Debug)]
pub struct Wire {
    point: Arc<str>,
    link_gbps: Option<u32>,
    lanes: BTreeMap<(u32, Arc<str>), Lane>,
    left_out: u64,
    connections: HashMap<(End, End), usize>,
    all: Vec<((End, End), Connection)>,
    not_followed: u64,
}

impl Wire {
    /// Of a point whose link has this rate, where known.
    pub fn new(point: Arc<str>, link_gbps: Option<u32>) -> Self {
        Self {
            point,
            link_gbps,
            lanes: BTreeMap::new(),
            left_out: 0,
            connections: HashMap::new(),
            all: Vec::new(),
            not_followed: 0,
        }
    }

    /// Takes the next packet.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let segment = headers::parse(frame.link_type, frame.data).ok();
        // A trailer is no part of the frame: what IP says is the length, where
        // nothing is wrapped around it.
        let told = segment.as_ref().filter(|segment| segment.transport != Transport::Ethernet);
        let told = told.map(|segment| segment.payload.start as u64 + u64::from(segment.wire_len));
        self.lane(frame, told.unwrap_or(frame.wire_len.into()));
        if let Some(segment) = segment.filter(|segment| segment.tcp.is_some()) {
            self.segment(&segment, frame.ts);
        }
    }

    fn lane(&mut self, frame: &Frame<'_>, length: u64) {
        let key = (frame.interface, Arc::clone(frame.direction));
        if self.lanes.len() >= LANES_MAX && !self.lanes.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let lane = self.lanes.entry(key).or_insert_with(|| Lane::new(self.link_gbps));
        lane.push(frame.ts, length);
    }

    fn segment(&mut self, segment: &Segment, ts: i64) {
        let (src, dst) = ((segment.src, segment.src_port), (segment.dst, segment.dst_port));
        let (key, end) = if src <= dst { ((src, dst), 0) } else { ((dst, src), 1) };
        let known = self.connections.get(&key).copied();
        let ix = known.unwrap_or_else(|| {
            if self.all.len() < CONNECTIONS_MAX {
                self.connections.insert(key, self.all.len());
                self.all.push((key, Connection::default()));
                return self.all.len() - 1;
            }
            usize::MAX
        });
        match self.all.get_mut(ix) {
            Some((_, connection)) => connection.segment(end, segment, ts),
            None => self.not_followed += 1,
        }
    }

    /// The rows of `bursts`.
    pub fn bursts(&mut self) -> Vec<BurstRow> {
        let mut rows = Vec::new();
        for ((interface, direction), lane) in &mut self.lanes {
            let left_out = self.left_out.saturating_add(lane.left_out());
            for (window_ns, busiest) in lane.finish() {
                for (rank, busy) in (1..).zip(busiest) {
                    let (bits_per_s, utilisation_ppm) = lane.rate(busy.bytes, window_ns);
                    rows.push(BurstRow {
                        point: self.point.clone(),
                        interface: *interface,
                        direction: direction.clone(),
                        window_ns,
                        rank,
                        ts: busy.ts,
                        bytes: busy.bytes,
                        frames: busy.frames,
                        bits_per_s,
                        utilisation_ppm,
                        lane_bytes: lane.bytes,
                        lane_frames: lane.frames,
                        left_out,
                    });
                }
            }
        }
        rows
    }

    /// The rows of `tcp`; `protocol_of` knows the protocol of a flow.
    pub fn tcp(&self, protocol_of: impl Fn(End, End) -> Option<Arc<str>>) -> Vec<TcpRow> {
        let mut rows = Vec::new();
        for ((a, b), connection) in &self.all {
            for (half, (src, dst)) in connection.halves.iter().zip([(*a, *b), (*b, *a)]) {
                let Some((first_ts, last_ts)) = half.time else { continue };
                rows.push(TcpRow {
                    point: self.point.clone(),
                    src_addr: src.0.to_string().into(),
                    src_port: src.1,
                    dst_addr: dst.0.to_string().into(),
                    dst_port: dst.1,
                    protocol: protocol_of(src, dst),
                    first_ts,
                    last_ts,
                    segments: half.segments,
                    bytes: half.bytes,
                    rtt_n: half.rtt.count(),
                    rtt_min_ns: half.rtt.min(),
                    rtt_p50_ns: half.rtt.per_mille(500),
                    rtt_p99_ns: half.rtt.per_mille(990),
                    retransmits: half.retransmits,
                    filled_late: half.filled_late,
                    out_of_order: half.out_of_order,
                    duplicate_acks: half.duplicate_acks,
                    zero_windows: half.zero_windows,
                    resets: half.resets,
                    copies: half.copies,
                    not_followed: self.not_followed,
                });
            }
        }
        rows
    }
}
