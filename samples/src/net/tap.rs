//! The taps: what each point's capture gets of the frames that pass it.
//!
//! ```text
//! frame, true time ─► stamp = clock reading + noise ─► held a while, sorted
//!        │ capture loss                     │ mirror port: once more
//!        ▼                                  ▼
//!     counted                    packet_ix in order of the stamps
//! ```
//! Packets are held so that what only shows later (which message a packet
//! completed, after a retransmission) can still be noted.

use crate::clock::{CLOCK_NAMES, NodeClock, STAMP_NOISE_NS};
use crate::config::{FaultRates, SimConfig};
use crate::encode::metamako;
use crate::points::{P2, POINTS, PointIx};
use crate::rng::SimRng;
use crate::trouble::{SNAPLEN, Trouble};
use crate::truth::{ClockTruth, MessageTag, MessageTruth, Status, TruthLog};
use std::collections::{BTreeMap, VecDeque};
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource, ts_flags};
use taptrail_capture::time::Timestamp;

/// How long a packet is held before it goes to its capture, in nanoseconds:
/// longer than a TCP segment can be late by retransmission.
pub const CAPTURE_HOLD_NS: i64 = 50_000_000;
/// The record times beside trailers are host times in whole microseconds,
/// late by this much and up to [`HOST_JITTER_NS`] more.
const HOST_DELAY_NS: i64 = 18_000;
const HOST_JITTER_NS: u64 = 15_000;
/// Device and port in the trailers.
const TRAILER_DEVICE: u16 = 0x0A31;
const TRAILER_PORT: u8 = 3;

/// A packet in a point's capture.
#[derive(Clone, Debug)]
pub struct SimPacket {
    /// Where.
    pub point: PointIx,
    /// `ts` is the best stamp (the trailer's where there is one), `ts_record`
    /// what the capture file's record says.
    pub meta: PacketMeta,
    /// The frame, trailer included.
    pub data: Vec<u8>,
    /// Packets that the capture dropped since the one before.
    pub dropped: u64,
}

/// Names a packet that is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketKey {
    point: PointIx,
    stamped_ns: i64,
    number: u64,
}

/// A message seen in a packet.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Which message.
    pub tag: MessageTag,
    /// Feed line.
    pub line: Option<char>,
    /// When it passed.
    pub true_ns: i64,
    /// Whether all of it is in the packet, so that a second copy of the
    /// packet is a second copy of the message.
    pub whole: bool,
}

#[derive(Debug)]
struct Held {
    true_ns: i64,
    frame: Vec<u8>,
    interface: u32,
    direction: Direction,
    sightings: Vec<(Sighting, Status)>,
    twin: Option<PacketKey>,
}

#[derive(Debug, Default)]
struct Tap {
    held: BTreeMap<(i64, u64), Held>,
    numbered: u64,
    packet_ix: u32,
    last_record_ns: i64,
    burst_left: u64,
    /// When packets were dropped that no later one has told of.
    dropped: BTreeMap<i64, u64>,
}

/// The taps of all points.
#[derive(Debug)]
pub struct Taps {
    taps: [Tap; POINTS.len()],
    clocks: [NodeClock; CLOCK_NAMES.len()],
    rng: SimRng,
    rates: FaultRates,
    /// Faults happen only while this is set.
    pub faults_on: bool,
    /// Whether a capture keeps the first bytes only.
    cuts: bool,
    /// Whether every point's tap appends a trailer.
    trailers: bool,
    ready: VecDeque<SimPacket>,
}

impl Taps {
    /// Taps for a run.
    pub fn new(config: &SimConfig) -> Self {
        let clock = |index| NodeClock::new(index, config);
        let cuts = config.troubles.contains(&Trouble::Snaplen);
        Self {
            taps: Default::default(),
            clocks: [clock(0), clock(1), clock(2)],
            rng: SimRng::new(config.seed, 2),
            rates: FaultRates::of(config.faults),
            faults_on: false,
            cuts,
            trailers: config.trailers,
            ready: VecDeque::new(),
        }
    }

    /// A frame passes a point at a true time that is not before any released
    /// one. `None`: it was not captured.
    pub fn pass(
        &mut self,
        point: PointIx,
        true_ns: i64,
        frame: Vec<u8>,
        interface: u32,
    ) -> Option<PacketKey> {
        if self.misses(point) {
            let dropped_ns = true_ns + self.clocks[POINTS[point].clock].offset_at(true_ns);
            *self.taps[point].dropped.entry(dropped_ns).or_default() += 1;
            return None;
        }
        let stamped_ns = self.stamp(point, true_ns);
        let held = Held {
            true_ns,
            frame,
            interface,
            direction: Direction::Unknown,
            sightings: Vec::new(),
            twin: None,
        };
        let mirrored = POINTS[point].mirror && self.fault(self.rates.span_duplicate);
        if !mirrored {
            return Some(self.hold(point, stamped_ns, held));
        }
        let late_ns = self.rng.between(300, 2_000);
        let copy = Held { frame: held.frame.clone(), sightings: Vec::new(), ..held };
        let twin = self.hold(point, stamped_ns + late_ns, copy);
        Some(self.hold(point, stamped_ns, Held { twin: Some(twin), ..held }))
    }

    /// Bytes of a packet that the point's capture keeps; all without a limit.
    pub fn kept(&self, point: PointIx) -> usize {
        if self.cuts && point == P2 { SNAPLEN } else { usize::MAX }
    }

    /// Notes that a packet, still held, shows a message.
    pub fn observe(&mut self, key: PacketKey, sighting: Sighting) {
        let Some(held) = self.held(key) else { return };
        let twin = held.twin.filter(|_| sighting.whole);
        if let Some(copy) = twin.and_then(|twin| self.held(twin)) {
            copy.sightings.push((sighting.clone(), Status::Duplicate));
        }
        if let Some(held) = self.held(key) {
            held.sightings.push((sighting, Status::Captured));
        }
    }

    /// Notes that a packet, still held, has a message of which the capture
    /// keeps a part at most.
    pub fn observe_cut(&mut self, key: PacketKey, sighting: Sighting) {
        let twin = self.held(key).and_then(|held| held.twin);
        if let Some(copy) = twin.and_then(|twin| self.held(twin)) {
            copy.sightings.push((sighting.clone(), Status::Cut));
        }
        if let Some(held) = self.held(key) {
            held.sightings.push((sighting, Status::Cut));
        }
    }

    /// Notes that a packet, still held, shows a message once more.
    pub fn observe_again(&mut self, key: PacketKey, sighting: Sighting) {
        if let Some(held) = self.held(key) {
            held.sightings.push((sighting, Status::Duplicate));
        }
    }

    /// Releases what passed before `now_ns` minus [`CAPTURE_HOLD_NS`].
    pub fn advance(&mut self, now_ns: i64, truth: &mut TruthLog) {
        self.release(now_ns - CAPTURE_HOLD_NS, truth);
    }

    /// Releases everything: the day is over.
    pub fn finish(&mut self, truth: &mut TruthLog) {
        self.release(i64::MAX, truth);
    }

    /// The next packet of any point; those of one point are in order.
    pub fn take(&mut self) -> Option<SimPacket> {
        self.ready.pop_front()
    }

    /// The clocks, for the site's configuration.
    pub fn clocks(&mut self) -> &mut [NodeClock] {
        &mut self.clocks
    }

    /// Notes every clock's offset.
    pub fn note_clocks(&mut self, true_ns: i64, truth: &mut TruthLog) {
        for (clock, name) in self.clocks.iter_mut().zip(CLOCK_NAMES) {
            truth.clock(ClockTruth { clock: name, true_ns, offset_ns: clock.offset_at(true_ns) });
        }
    }

    fn fault(&mut self, ppm: u64) -> bool {
        self.faults_on && self.rng.chance(ppm)
    }

    /// Whether the capture at a point misses the next packet.
    fn misses(&mut self, point: PointIx) -> bool {
        if self.taps[point].burst_left > 0 {
            self.taps[point].burst_left -= 1;
            return true;
        }
        if self.fault(self.rates.capture_burst) {
            self.taps[point].burst_left = self.rng.below(self.rates.burst_packets);
            return true;
        }
        self.fault(self.rates.capture_loss)
    }

    fn stamp(&mut self, point: PointIx, true_ns: i64) -> i64 {
        let offset_ns = self.clocks[POINTS[point].clock].offset_at(true_ns);
        true_ns + offset_ns + self.rng.between(-STAMP_NOISE_NS, STAMP_NOISE_NS)
    }

    fn hold(&mut self, point: PointIx, stamped_ns: i64, held: Held) -> PacketKey {
        let tap = &mut self.taps[point];
        let number = tap.numbered;
        tap.numbered += 1;
        tap.held.insert((stamped_ns, number), held);
        PacketKey { point, stamped_ns, number }
    }

    fn held(&mut self, key: PacketKey) -> Option<&mut Held> {
        self.taps[key.point].held.get_mut(&(key.stamped_ns, key.number))
    }

    fn release(&mut self, until_ns: i64, truth: &mut TruthLog) {
        for point in 0..POINTS.len() {
            while let Some(entry) = self.taps[point].held.first_entry() {
                if entry.get().true_ns > until_ns {
                    break;
                }
                let (stamped_ns, _) = *entry.key();
                let held = entry.remove();
                self.give_out(point, stamped_ns, held, truth);
            }
        }
    }

    fn give_out(&mut self, point: PointIx, stamped_ns: i64, held: Held, truth: &mut TruthLog) {
        let record_ns = self.record_ns(point, stamped_ns);
        let kept = self.kept(point);
        let tap = &mut self.taps[point];
        let later = tap.dropped.split_off(&stamped_ns);
        let dropped = std::mem::replace(&mut tap.dropped, later).into_values().sum();
        let packet_ix = tap.packet_ix;
        tap.packet_ix = tap.packet_ix.wrapping_add(1);
        for (msg_ix, (sighting, status)) in held.sightings.into_iter().enumerate() {
            truth.message(MessageTruth {
                id: sighting.tag.id,
                protocol: sighting.tag.protocol,
                session: sighting.tag.session,
                seq: sighting.tag.seq,
                code: sighting.tag.code,
                point: POINTS[point].name,
                line: sighting.line,
                true_ns: Some(sighting.true_ns),
                stamped_ns: Some(stamped_ns),
                packet_ix: Some(packet_ix),
                msg_ix: Some(msg_ix as u32),
                status,
            });
        }
        let mut data = held.frame;
        let trailer = self.has_trailer(point);
        if trailer {
            metamako::append(&mut data, stamped_ns, TRAILER_DEVICE, TRAILER_PORT);
        }
        let meta = PacketMeta {
            ts: Timestamp::from_ns(stamped_ns),
            ts_ps: 0,
            ts_record: Timestamp::from_ns(record_ns),
            ts_source: if trailer { TsSource::Metamako } else { TsSource::Record },
            ts_flags: if trailer { ts_flags::FCS_VALID } else { 0 },
            packet_ix,
            interface: held.interface,
            direction: held.direction,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        data.truncate(kept);
        self.ready.push_back(SimPacket { point, meta, data, dropped });
    }

    fn has_trailer(&self, point: PointIx) -> bool {
        self.trailers || POINTS[point].trailer
    }

    /// The record's own time, never before the one before.
    fn record_ns(&mut self, point: PointIx, stamped_ns: i64) -> i64 {
        let record_ns = if self.has_trailer(point) {
            let late_ns = HOST_DELAY_NS + self.rng.below(HOST_JITTER_NS) as i64;
            (stamped_ns + late_ns).div_euclid(1_000) * 1_000
        } else {
            stamped_ns
        };
        let tap = &mut self.taps[point];
        tap.last_record_ns = tap.last_record_ns.max(record_ns);
        tap.last_record_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::{P1, P3};

    fn taps() -> (Taps, TruthLog) {
        let config = SimConfig { start_ns: 0, ..SimConfig::default() };
        (Taps::new(&config), TruthLog::new(true))
    }

    #[test]
    fn packets_come_out_by_time_of_the_stamp() {
        let (mut taps, mut truth) = taps();
        taps.pass(P1, 2_000, vec![2], 0);
        taps.pass(P1, 1_000, vec![1], 0);
        taps.advance(CAPTURE_HOLD_NS + 1_500, &mut truth);
        let first = taps.take().expect("released");
        assert_eq!((first.data[0], first.meta.packet_ix), (1, 0));
        assert!((first.meta.ts.ns() - 1_000).abs() <= STAMP_NOISE_NS);
        assert!(taps.take().is_none());
        taps.finish(&mut truth);
        assert_eq!(taps.take().map(|p| p.meta.packet_ix), Some(1));
    }

    #[test]
    fn a_trailer_point_has_coarse_records() {
        let (mut taps, mut truth) = taps();
        taps.pass(P3, 5_000_123, vec![0; 60], 0);
        taps.finish(&mut truth);
        let packet = taps.take().expect("released");
        assert_eq!(packet.data.len(), 80);
        assert_eq!(packet.meta.ts_record.ns() % 1_000, 0);
        assert!(packet.meta.ts_record.ns() > packet.meta.ts.ns() + 10_000);
    }
}
