//! How a TCP connection does, seen from a point in its middle.
//!
//! ```text
//!  client          point          server
//!    ├── 100..200 ──●───────────────▶│
//!    │              │  round trip on the server's side
//!    │◀─────────────●── ack 200 ─────┤
//!
//!  100..200 200..300 200..300      its bytes passed before: retransmit
//!  100..200 300..400 200..300      fills a hole: overtaken, or lost before the
//!                                  point and sent again, by how late it is
//! ```

use crate::hist::Latencies;
use std::collections::VecDeque;
use taptrail_decoders::headers::transport::tcp_flags::{ACK, FIN, RST, SYN};
use taptrail_decoders::headers::{Segment, TcpInfo};

/// A hole that is filled later than this was lost and sent again: no network
/// keeps a packet back so long, and no sender repeats sooner without three
/// duplicate acknowledgements.
pub const OVERTAKEN_MAX_NS: i64 = 3_000_000;

/// Segments of a direction that wait for their acknowledgement; the oldest
/// goes unmeasured.
const OUTSTANDING_MAX: usize = 256;

/// Holes of a direction that are known; the oldest is forgotten.
const HOLES_MAX: usize = 64;

/// Segments remembered to know a mirror port's copy.
const RECENT: usize = 32;

/// A mirror port's copy comes within this time.
const COPY_WAIT_NS: i64 = 1_000_000;

/// Sequence numbers further away than this are of another connection.
const FAR: i32 = 64 << 20;

#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u32,
    end: u32,
    since: i64,
}

/// What one end sent.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// Segments, copies left out.
    pub segments: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Round trips from its data to the acknowledgement.
    pub rtt: Latencies,
    /// Segments whose bytes had passed before.
    pub retransmits: u64,
    /// Segments that fill a hole late.
    pub filled_late: u64,
    /// Segments that were overtaken.
    pub out_of_order: u64,
    /// Acknowledgements that it sent again.
    pub duplicate_acks: u64,
    /// Times it closed its window.
    pub zero_windows: u64,
    /// Resets.
    pub resets: u64,
    /// Copies of a mirror port.
    pub copies: u64,
    /// First and last segment.
    pub time: Option<(i64, i64)>,
    next: Option<u32>,
    holes: VecDeque<Hole>,
    /// End and time of data that is not acknowledged.
    outstanding: VecDeque<(u32, i64)>,
    last_ack: Option<(u32, u16)>,
    recent: VecDeque<(u64, i64)>,
}

/// `a - b` in sequence space.
fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Half {
    /// Takes a segment of its end; `other` is what the other end sent.
    pub fn segment(&mut self, segment: &Segment, tcp: TcpInfo, ts: i64, other: &mut Self) {
        if self.is_copy(segment, tcp, ts) {
            self.copies += 1;
            return;
        }
        let (first, last) = self.time.unwrap_or((ts, ts));
        self.time = Some((first.min(ts), last.max(ts)));
        self.segments += 1;
        self.bytes += u64::from(segment.wire_len);
        self.resets += u64::from(tcp.flags & RST != 0);
        if tcp.flags & SYN != 0 {
            self.restart(tcp.seq.wrapping_add(1));
        } else {
            self.data(segment.wire_len, tcp, ts);
        }
        if tcp.flags & ACK != 0 && tcp.flags & RST == 0 {
            self.acknowledges(segment.wire_len, tcp, ts, other);
        }
    }

    fn restart(&mut self, next: u32) {
        self.next = Some(next);
        self.holes.clear();
        self.outstanding.clear();
        self.last_ack = None;
    }

    /// The very same packet again: its numbers and its IP identification.
    fn is_copy(&mut self, segment: &Segment, tcp: TcpInfo, ts: i64) -> bool {
        let parts = [
            (u64::from(tcp.seq) << 32) | u64::from(tcp.ack),
            (u64::from(segment.ip_id) << 32) | u64::from(segment.wire_len),
            (u64::from(tcp.flags) << 16) | u64::from(tcp.window),
        ];
        let print = crate::observation::stable_hash(&parts);
        let is_recent =
            |&(other, at): &(u64, i64)| other == print && ts.saturating_sub(at) <= COPY_WAIT_NS;
        // Without an identification an equal packet may be one sent again.
        if segment.ip_id != 0 && self.recent.iter().any(is_recent) {
            return true;
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((print, ts));
        false
    }

    fn data(&mut self, len: u32, tcp: TcpInfo, ts: i64) {
        let (start, end) = (tcp.seq, tcp.seq.wrapping_add(len));
        let near = self.next.filter(|&next| ahead(start, next).saturating_abs() < FAR);
        let next = near.unwrap_or_else(|| {
            self.restart(start);
            start
        });
        if len == 0 {
            return;
        }
        if ahead(start, next) >= 0 {
            if start != next {
                self.open_hole(Hole { start: next, end: start, since: ts });
            }
            self.next = Some(end);
            self.sent(end, ts);
        } else if ahead(end, next) > 0 {
            // Sent again together with what follows.
            self.retransmits += 1;
            self.next = Some(end);
            self.outstanding.clear();
        } else {
            self.behind(start, end, len, next, ts);
        }
    }

    fn open_hole(&mut self, hole: Hole) {
        if self.holes.len() >= HOLES_MAX {
            self.holes.pop_front();
        }
        self.holes.push_back(hole);
    }

    fn sent(&mut self, end: u32, ts: i64) {
        if self.outstanding.len() >= OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back((end, ts));
    }

    /// Bytes from before the newest.
    fn behind(&mut self, start: u32, end: u32, len: u32, next: u32, ts: i64) {
        // A byte before the next is how a quiet connection is kept open.
        if len == 1 && end == next {
            return;
        }
        let meets = |hole: &Hole| ahead(start, hole.end) < 0 && ahead(hole.start, end) < 0;
        // No round trip is certain where something was sent again.
        self.outstanding.retain(|&(other, _)| ahead(other, start) <= 0);
        let Some(place) = self.holes.iter().position(meets) else {
            self.retransmits += 1;
            return;
        };
        let Some(hole) = self.holes.remove(place) else { return };
        if ts.saturating_sub(hole.since) > OVERTAKEN_MAX_NS {
            self.filled_late += 1;
        } else {
            self.out_of_order += 1;
        }
        if ahead(end, hole.end) < 0 {
            self.holes.insert(place, Hole { start: end, ..hole });
        }
        if ahead(hole.start, start) < 0 {
            self.holes.insert(place, Hole { end: start, ..hole });
        }
    }

    fn acknowledges(&mut self, len: u32, tcp: TcpInfo, ts: i64, other: &mut Self) {
        let mut newest = None;
        while let Some(&(end, sent)) = other.outstanding.front()
            && ahead(tcp.ack, end) >= 0
        {
            newest = Some(sent);
            other.outstanding.pop_front();
        }
        if let Some(sent) = newest {
            other.rtt.record(ts.saturating_sub(sent));
        }
        let before = self.last_ack.replace((tcp.ack, tcp.window));
        let closed = before.is_none_or(|(_, window)| window != 0);
        self.zero_windows += u64::from(tcp.window == 0 && closed);
        let repeated = before == Some((tcp.ack, tcp.window)) && !other.outstanding.is_empty();
        let plain = len == 0 && tcp.flags & (SYN | FIN) == 0;
        self.duplicate_acks += u64::from(repeated && plain && newest.is_none());
    }
}

/// The two ends of a connection, by which sends: 0 and 1.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// What each sent.
    pub halves: [Half; 2],
}

impl Connection {
    /// Takes a segment of end 0 or 1.
    pub fn segment(&mut self, end: usize, segment: &Segment, ts: i64) {
        let Some(tcp) = segment.tcp else { return };
        let [a, b] = &mut self.halves;
        let (own, other) = if end == 0 { (a, b) } else { (b, a) };
        own.segment(segment, tcp, ts, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use taptrail_decoders::headers::Transport;

    struct Talk {
        connection: Connection,
        ip_id: u16,
    }

    impl Talk {
        fn new() -> Self {
            Self { connection: Connection::default(), ip_id: 0 }
        }

        fn say(&mut self, end: usize, ts: i64, seq: u32, len: u32, ack: u32, window: u16) {
            self.ip_id += 1;
            self.copy(end, ts, TcpInfo { seq, ack, flags: ACK, window }, len);
        }

        fn copy(&mut self, end: usize, ts: i64, tcp: TcpInfo, len: u32) {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let segment = Segment {
                transport: Transport::Tcp,
                src: address,
                dst: address,
                src_port: 1,
                dst_port: 2,
                vlan: None,
                ttl: 64,
                ip_id: self.ip_id,
                payload: 0..0,
                wire_len: len,
                truncated: false,
                tcp: Some(tcp),
                path: Default::default(),
            };
            self.connection.segment(end, &segment, ts);
        }
    }

    #[test]
    fn round_trips_are_from_data_to_its_acknowledgement_on_either_side() {
        let mut talk = Talk::new();
        talk.say(0, 0, 100, 0, 900, 500);
        talk.say(1, 0, 900, 0, 100, 500);
        talk.say(0, 1_000, 100, 50, 900, 500);
        talk.say(0, 1_100, 150, 50, 900, 500);
        talk.say(1, 9_000, 900, 30, 200, 500);
        talk.say(0, 9_700, 200, 0, 930, 500);
        let [client, server] = &talk.connection.halves;
        assert_eq!((client.rtt.count(), client.rtt.min()), (1, Some(7_900)));
        assert_eq!((server.rtt.count(), server.rtt.min()), (1, Some(700)));
        assert_eq!((client.segments, client.bytes, client.retransmits), (4, 100, 0));
    }

    #[test]
    fn sent_again_overtaken_and_copied_are_told_apart() {
        let mut talk = Talk::new();
        talk.say(0, 0, 100, 100, 1, 500);
        talk.say(0, 10, 100, 100, 1, 500);
        talk.copy(0, 20, TcpInfo { seq: 100, ack: 1, flags: ACK, window: 500 }, 100);
        talk.say(0, 30, 300, 100, 1, 500);
        talk.say(0, 40, 200, 100, 1, 500);
        talk.say(0, 50, 500, 100, 1, 500);
        talk.say(0, 50 + OVERTAKEN_MAX_NS + 1, 400, 100, 1, 500);
        talk.say(0, 4_000_000, 599, 1, 1, 500);
        talk.say(1, 4_000_100, 1, 0, 600, 500);
        let client = &talk.connection.halves[0];
        let told = (client.retransmits, client.copies, client.out_of_order, client.filled_late);
        assert_eq!(told, (1, 1, 1, 1));
        assert_eq!(client.rtt.count(), 0, "never certain which sending was acknowledged");
    }

    #[test]
    fn duplicate_acknowledgements_closed_windows_and_resets_count_for_who_sent_them() {
        let mut talk = Talk::new();
        talk.say(0, 0, 100, 100, 1, 500);
        talk.say(1, 10, 1, 0, 100, 500);
        talk.say(1, 20, 1, 0, 100, 500);
        talk.say(1, 30, 1, 0, 200, 0);
        talk.say(1, 40, 1, 0, 200, 0);
        talk.say(1, 50, 1, 0, 200, 500);
        talk.say(1, 60, 1, 0, 200, 0);
        talk.ip_id += 1;
        talk.copy(1, 70, TcpInfo { seq: 1, ack: 200, flags: ACK | RST, window: 0 }, 0);
        let server = &talk.connection.halves[1];
        let told = (server.duplicate_acks, server.zero_windows, server.resets);
        assert_eq!(told, (1, 2, 1));
    }
}
