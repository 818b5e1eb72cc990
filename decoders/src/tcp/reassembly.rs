//! One direction of a TCP connection, put back in order.
//!
//! A segment that continues the stream while nothing waits goes to the framing
//! straight from its packet; only what the framing leaves is copied.

use super::origin::{Bytes, Origin, Run};
use super::pending::Pending;
use crate::headers::TcpInfo;
use crate::headers::transport::tcp_flags::{RST, SYN};

/// Most pieces of segments that wait behind a hole before it is given up.
pub const HOLE_SEGMENTS_MAX: usize = 1024;

/// Most bytes that wait behind a hole before it is given up.
pub const HOLE_BYTES_MAX: usize = 1 << 20;

/// Longest wait behind a hole, in capture time: several retransmission
/// timeouts of common stacks.
pub const HOLE_WAIT_NS: i64 = 3_000_000_000;

/// Wait behind a hole whose bytes the receiver has acknowledged: the capture
/// missed them, and nobody will send them again. Covers packets of the two
/// directions that were captured out of order.
pub const HOLE_ACKNOWLEDGED_WAIT_NS: i64 = 1_000_000;

/// Most bytes in order that a framing may leave for later.
pub const READY_BYTES_MAX: usize = 2 << 20;

/// Most bytes held for all directions together; a direction that would go
/// over it gives its holes up at once.
pub const TOTAL_BYTES_MAX: usize = 256 << 20;

/// A segment further than this from the expected sequence number belongs to
/// something else, unless the next one continues it.
pub const WINDOW_MAX: i64 = 64 << 20;

/// Segments remembered to tell a mirror port's second copy from a retransmit.
const RECENT_SEGMENTS: usize = 64;

/// Without an IP identification, a second copy comes within this time.
const COPY_WAIT_NS: i64 = 1_000_000;

/// An emptied buffer keeps at most this much memory.
const READY_KEPT_MAX: usize = 64 << 10;

/// Bytes held by all directions.
#[derive(Debug, Default)]
pub struct Budget {
    /// Bytes now.
    pub used: usize,
}

/// A segment of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'p> {
    /// Its TCP header.
    pub tcp: TcpInfo,
    /// Captured payload.
    pub payload: &'p [u8],
    /// Payload bytes on the wire.
    pub wire_len: u32,
    /// IPv4 identification, else 0.
    pub ip_id: u16,
    /// The packet's position in its capture.
    pub packet_ix: u32,
    /// Its time, ns since the epoch.
    pub ts: i64,
    /// Where the payload begins in the frame.
    pub frame_off: u32,
}

/// Why bytes in order were not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A gap or the end of the capture came inside a message.
    Unfinished,
    /// The end of the capture did, and the next capture may have the rest.
    GoesOn,
    /// More waited for the end of a message than is kept.
    TooLong,
}

/// What takes the bytes of a direction.
pub trait Consumer<'p> {
    /// The stream begins: at its very start, or somewhere in it.
    fn begin(&mut self, at_start: bool);
    /// Bytes in order; gives how many of them are done with.
    fn run(&mut self, run: &mut Run<'p, '_>) -> usize;
    /// Bytes that came before, again; `copy` where the very same packet did.
    fn again(&mut self, start: u64, bytes: Bytes<'p, '_>, origin: Origin, copy: bool);
    /// `missing` bytes from stream offset `at` never came; `behind` brought
    /// the first byte after them.
    fn gap(&mut self, at: u64, missing: u64, behind: Origin);
    /// Bytes in order that no message could be cut from.
    fn lost(&mut self, start: u64, bytes: &[u8], origins: &[Origin], why: Lost);
}

/// Bytes in order that the framing has left for later.
#[derive(Debug, Default)]
struct Ready {
    start: u64,
    bytes: Vec<u8>,
    origins: Vec<Origin>,
}

/// A segment whose bytes all waited already when it came.
#[derive(Debug)]
struct Repeat {
    start: u64,
    bytes: Vec<u8>,
    origin: Origin,
    copy: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    print: u64,
    ts: i64,
}

/// Counts of what a direction met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Holes given up.
    pub gaps: u64,
    /// Bytes in them.
    pub missing: u64,
    /// Bytes seen more than once.
    pub again: u64,
    /// Segments far outside the window.
    pub strays: u64,
}

/// The state of one direction.
#[derive(Debug, Default)]
pub struct Reassembly {
    /// Sequence number of stream offset `next`; `None` before the first segment.
    next_seq: Option<u32>,
    syn_seq: Option<u32>,
    next: u64,
    ready: Ready,
    pending: Pending,
    repeats: Vec<Repeat>,
    repeats_bytes: usize,
    latest: Option<Origin>,
    /// Stream offsets that the capture length cut off: they cannot come.
    cut: Option<(u64, u64)>,
    stray: Option<u32>,
    /// What the receiver has acknowledged last.
    acknowledged: Option<u32>,
    recent: Vec<Seen>,
    recent_at: usize,
    /// What was met so far.
    pub counts: Counts,
}

impl Reassembly {
    /// A direction of which nothing was seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.ready.bytes.len() + self.pending.bytes() + self.repeats_bytes
    }

    /// Whether segments wait behind a hole.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The receiver has all bytes before `ack`, at the time `now`: holes there
    /// may be given up.
    #[inline]
    pub fn acknowledge<'p>(
        &mut self,
        ack: u32,
        now: i64,
        budget: &mut Budget,
        consumer: &mut impl Consumer<'p>,
    ) {
        self.acknowledged = Some(ack);
        if !self.pending.is_empty() {
            let before = self.held();
            self.enforce_limits(now, consumer);
            budget.used = (budget.used + self.held()).saturating_sub(before);
        }
    }

    /// Takes a segment in and gives the consumer what it completes.
    #[inline]
    pub fn segment<'p>(
        &mut self,
        incoming: &Incoming<'p>,
        budget: &mut Budget,
        consumer: &mut impl Consumer<'p>,
    ) {
        let before = self.held();
        self.take_in(incoming, consumer);
        budget.used = (budget.used + self.held()).saturating_sub(before);
        if budget.used > TOTAL_BYTES_MAX && self.held() > 0 {
            let before = self.held();
            self.flush(consumer);
            budget.used = budget.used.saturating_sub(before);
        }
    }

    fn take_in<'p>(&mut self, incoming: &Incoming<'p>, consumer: &mut impl Consumer<'p>) {
        let syn = incoming.tcp.flags & SYN != 0;
        if syn {
            self.open(incoming.tcp.seq, consumer);
        }
        let seq = incoming.tcp.seq.wrapping_add(u32::from(syn));
        if !incoming.payload.is_empty() || incoming.wire_len > 0 {
            self.data(incoming, seq, consumer);
        }
        if incoming.tcp.flags & RST != 0 && self.distance(seq).is_some_and(near) {
            self.flush(consumer);
        }
    }

    /// A SYN: the stream's start, unless it is the same one again.
    fn open<'p>(&mut self, seq: u32, consumer: &mut impl Consumer<'p>) {
        if self.syn_seq == Some(seq) {
            return;
        }
        if self.next_seq.is_some() {
            self.flush(consumer);
            *self = Self { counts: self.counts, ..Self::default() };
        }
        self.syn_seq = Some(seq);
        self.next_seq = Some(seq.wrapping_add(1));
        consumer.begin(true);
    }

    /// Bytes from the expected sequence number to `seq`, by wrapping arithmetic.
    fn distance(&self, seq: u32) -> Option<i64> {
        self.next_seq.map(|next| i64::from(seq.wrapping_sub(next) as i32))
    }

    fn data<'p>(&mut self, incoming: &Incoming<'p>, seq: u32, consumer: &mut impl Consumer<'p>) {
        let distance = match self.distance(seq) {
            Some(distance) => distance,
            None => {
                self.next_seq = Some(seq);
                consumer.begin(false);
                0
            }
        };
        if !near(distance) && !self.follows_stray(incoming, seq) {
            return;
        }
        let start = if near(distance) {
            self.next as i64 + distance
        } else {
            self.join_elsewhere(incoming, seq, distance, consumer)
        };
        let origin = Origin {
            from: self.next,
            packet_ix: incoming.packet_ix.into(),
            ts: incoming.ts,
            payload_at: start,
            frame_off: incoming.frame_off,
        };
        let perhaps_again = start < self.next as i64 || !self.pending.is_empty();
        let copy = perhaps_again && self.was_seen(incoming);
        self.remember(incoming);
        self.place(start, incoming, origin, copy, consumer);
        self.enforce_limits(incoming.ts, consumer);
        self.note_cut(start, incoming);
    }

    /// Whether a segment far off continues the last one that was far off.
    fn follows_stray(&mut self, incoming: &Incoming<'_>, seq: u32) -> bool {
        let follows = self.stray == Some(seq);
        self.stray = Some(seq.wrapping_add(incoming.wire_len));
        if !follows {
            self.counts.strays += 1;
        }
        follows
    }

    /// The stream goes on far from where it was expected: what waits is let
    /// go, and the distance is a gap.
    fn join_elsewhere<'p>(
        &mut self,
        incoming: &Incoming<'p>,
        seq: u32,
        distance: i64,
        consumer: &mut impl Consumer<'p>,
    ) -> i64 {
        self.flush(consumer);
        let missing = distance.max(0) as u64;
        let behind = Origin {
            from: self.next + missing,
            packet_ix: incoming.packet_ix.into(),
            ts: incoming.ts,
            payload_at: (self.next + missing) as i64,
            frame_off: incoming.frame_off,
        };
        self.skip_hole(self.next + missing, behind, consumer);
        self.next_seq = Some(seq);
        self.stray = None;
        self.next as i64
    }

    /// Sorts a segment's bytes: again, next in order, or behind a hole.
    fn place<'p>(
        &mut self,
        start: i64,
        incoming: &Incoming<'p>,
        origin: Origin,
        copy: bool,
        consumer: &mut impl Consumer<'p>,
    ) {
        let end = start + incoming.payload.len() as i64;
        let known = (self.next as i64).min(end) - start;
        let known = usize::try_from(known).unwrap_or(0);
        if known > 0 {
            self.counts.again += known as u64;
            if let (Ok(from), Some(bytes)) = (u64::try_from(start), incoming.payload.get(..known)) {
                consumer.again(from, Bytes::Frame(bytes), origin, copy);
            }
        }
        let fresh = incoming.payload.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            return;
        }
        match u64::try_from(start) {
            Ok(from) if from > self.next => self.wait(from, fresh, origin, copy),
            _ => self.deliver(fresh, origin, consumer),
        }
    }

    /// Bytes behind a hole: kept, as repeats where others brought them before.
    fn wait(&mut self, start: u64, bytes: &[u8], origin: Origin, copy: bool) {
        if self.pending.covers(start, bytes.len()) {
            self.repeats_bytes += bytes.len();
            self.repeats.push(Repeat { start, bytes: bytes.to_vec(), origin, copy });
        } else {
            self.pending.insert(start, bytes, origin);
        }
    }

    /// Gives the repeats of bytes that are in order by now.
    fn release_repeats<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        let next = self.next;
        let due = |repeat: &mut Repeat| repeat.start + repeat.bytes.len() as u64 <= next;
        for repeat in self.repeats.extract_if(.., due) {
            self.repeats_bytes -= repeat.bytes.len();
            self.counts.again += repeat.bytes.len() as u64;
            let bytes = Bytes::Stream(&repeat.bytes);
            consumer.again(repeat.start, bytes, repeat.origin, repeat.copy);
        }
    }

    /// Bytes that continue the stream.
    fn deliver<'p>(&mut self, bytes: &'p [u8], origin: Origin, consumer: &mut impl Consumer<'p>) {
        let start = self.next;
        let origin = Origin { from: start, ..origin };
        if !self.pending.is_empty() {
            // What waits came first: only the bytes it leaves open are taken.
            self.pending.insert(start, bytes, origin);
            self.pull_pending();
            self.offer_ready(consumer);
            return self.release_repeats(consumer);
        }
        self.advance(bytes.len());
        if !self.ready.bytes.is_empty() {
            self.append(start, bytes, origin);
            return self.offer_ready(consumer);
        }
        let origins = [origin];
        let mut run = Run::new(start, Bytes::Frame(bytes), &origins, self.latest);
        let done = consumer.run(&mut run).min(bytes.len());
        if done > 0 {
            self.latest = Some(self.latest.map_or(origin, |latest| latest.later(origin)));
        }
        let left = bytes.get(done..).unwrap_or_default();
        if !left.is_empty() {
            let from = start + done as u64;
            self.append(from, left, Origin { from, ..origin });
            self.check_ready(consumer);
        }
    }

    fn advance(&mut self, len: usize) {
        self.next += len as u64;
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(len as u32));
    }

    fn append(&mut self, start: u64, bytes: &[u8], origin: Origin) {
        if self.ready.bytes.is_empty() {
            self.ready.start = start;
            self.ready.origins.clear();
        }
        self.ready.bytes.extend_from_slice(bytes);
        self.ready.origins.push(origin);
    }

    /// Moves what is in order by now from waiting to ready.
    fn pull_pending(&mut self) {
        while let Some((from, chunk)) = self.pending.take_at(self.next) {
            let known = (self.next - from) as usize;
            if let Some(fresh) = chunk.bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.append(self.next, fresh, Origin { from: self.next, ..chunk.origin });
                self.advance(fresh.len());
            }
        }
    }

    /// Offers what is ready and drops what the consumer is done with.
    fn offer_ready<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        let ready = std::mem::take(&mut self.ready);
        let bytes = Bytes::Stream(&ready.bytes);
        let mut run = Run::new(ready.start, bytes, &ready.origins, self.latest);
        let done = consumer.run(&mut run).min(ready.bytes.len());
        let reached = ready.start + done as u64;
        self.latest =
            Run::new(ready.start, bytes, &ready.origins, self.latest).latest_before(reached);
        self.ready = ready;
        self.ready.drop_front(done);
        self.check_ready(consumer);
    }

    /// Gives up on a message that never ends.
    fn check_ready<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        if self.ready.bytes.len() > READY_BYTES_MAX {
            self.lose_ready(Lost::TooLong, consumer);
        }
    }

    fn lose_ready<'p>(&mut self, why: Lost, consumer: &mut impl Consumer<'p>) {
        if !self.ready.bytes.is_empty() {
            consumer.lost(self.ready.start, &self.ready.bytes, &self.ready.origins, why);
        }
        self.ready.bytes.clear();
        self.ready.origins.clear();
    }

    /// Remembers which bytes of a segment the capture did not keep.
    fn note_cut(&mut self, start: i64, incoming: &Incoming<'_>) {
        let kept = start + incoming.payload.len() as i64;
        let end = start + i64::from(incoming.wire_len);
        if end <= kept {
            return;
        }
        if let (Ok(kept), Ok(end)) = (u64::try_from(kept), u64::try_from(end)) {
            self.cut = Some((kept, end));
        }
    }

    /// Gives holes up while a limit is exceeded.
    fn enforce_limits<'p>(&mut self, now: i64, consumer: &mut impl Consumer<'p>) {
        while let Some((from, behind)) = self.pending.first() {
            let cut_off = self.cut.is_some_and(|(kept, end)| kept <= self.next && from <= end);
            let too_much = self.pending.len() > HOLE_SEGMENTS_MAX
                || self.repeats.len() > HOLE_SEGMENTS_MAX
                || self.pending.bytes() + self.repeats_bytes > HOLE_BYTES_MAX
                || now.saturating_sub(behind.ts) > HOLE_WAIT_NS;
            let never = self.is_acknowledged(from)
                && now.saturating_sub(behind.ts) > HOLE_ACKNOWLEDGED_WAIT_NS;
            if !cut_off && !too_much && !never {
                return;
            }
            self.give_up_hole(consumer);
        }
    }

    /// Whether the receiver has all bytes before stream offset `to`.
    fn is_acknowledged(&self, to: u64) -> bool {
        let distance = self.acknowledged.and_then(|ack| self.distance(ack));
        distance.is_some_and(|d| near(d) && d >= (to - self.next) as i64)
    }

    /// Reads on behind the first hole.
    fn give_up_hole<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        if let Some((from, behind)) = self.pending.first() {
            self.lose_ready(Lost::Unfinished, consumer);
            self.skip_hole(from, behind, consumer);
            self.pull_pending();
            self.offer_ready(consumer);
            self.release_repeats(consumer);
        }
    }

    fn skip_hole<'p>(&mut self, to: u64, behind: Origin, consumer: &mut impl Consumer<'p>) {
        let missing = to.saturating_sub(self.next);
        self.counts.gaps += 1;
        self.counts.missing += missing;
        consumer.gap(self.next, missing, behind);
        self.latest = None;
        self.next = to;
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(missing as u32));
    }

    /// Another capture begins, in which the stream goes on.
    pub fn go_on(&mut self) {
        let repeats = self.repeats.iter_mut().map(|repeat| &mut repeat.origin);
        let ready = self.ready.origins.iter_mut().chain(&mut self.latest);
        ready.chain(self.pending.origins_mut()).chain(repeats).for_each(Origin::go_on);
    }

    /// Lets everything go: holes are given up, what is left is lost. The
    /// stream may go on afterwards.
    pub fn flush<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        self.end(Lost::Unfinished, consumer);
    }

    /// The same, with why the message that is not whole is lost.
    pub fn end<'p>(&mut self, why: Lost, consumer: &mut impl Consumer<'p>) {
        self.give_up_holes(consumer);
        self.lose_ready(why, consumer);
    }

    /// Gives all holes up.
    pub fn give_up_holes<'p>(&mut self, consumer: &mut impl Consumer<'p>) {
        while !self.pending.is_empty() {
            self.give_up_hole(consumer);
        }
    }

    /// Whether this very segment was seen a moment ago.
    fn was_seen(&self, incoming: &Incoming<'_>) -> bool {
        let print = fingerprint(incoming);
        self.recent.iter().any(|seen| {
            seen.print == print
                && (incoming.ip_id != 0 || incoming.ts.saturating_sub(seen.ts) <= COPY_WAIT_NS)
        })
    }

    fn remember(&mut self, incoming: &Incoming<'_>) {
        let seen = Seen { print: fingerprint(incoming), ts: incoming.ts };
        match self.recent.get_mut(self.recent_at) {
            Some(slot) => *slot = seen,
            None => self.recent.push(seen),
        }
        self.recent_at = (self.recent_at + 1) % RECENT_SEGMENTS;
    }
}

impl Ready {
    /// Drops the first `done` bytes, and the packets only they came from.
    fn drop_front(&mut self, done: usize) {
        self.start += done as u64;
        self.bytes.drain(..done.min(self.bytes.len()));
        let covering = self.origins.iter().rposition(|origin| origin.from <= self.start);
        match covering {
            _ if self.bytes.is_empty() => {
                self.origins.clear();
                self.bytes.shrink_to(READY_KEPT_MAX);
            }
            Some(first) => drop(self.origins.drain(..first)),
            None => {}
        }
    }
}

fn near(distance: i64) -> bool {
    distance.abs() <= WINDOW_MAX
}

/// A number that two segments share only where their headers agree.
fn fingerprint(incoming: &Incoming<'_>) -> u64 {
    let words = [
        u64::from(incoming.tcp.seq) << 32 | u64::from(incoming.tcp.ack),
        u64::from(incoming.wire_len) << 32
            | u64::from(incoming.ip_id) << 16
            | u64::from(incoming.tcp.window),
        u64::from(incoming.tcp.flags),
    ];
    words.iter().fold(0x9E37_79B9_7F4A_7C15, |hash: u64, &word| {
        (hash ^ word).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(29)
    })
}
