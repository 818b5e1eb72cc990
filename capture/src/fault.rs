//! Any source, made worse on purpose: what a bad network, a bad capture and
//! bad clocks do to packets, from a seed.
//!
//! ```text
//! packet ─▶ drop? ─▶ skew ─▶ truncate? ─▶ corrupt? ─▶ hold back? ─▶ out, once or twice
//! ```
//!
//! The same seed, faults and packets give the same result, however the source
//! cuts its batches. Packets are numbered anew: what comes out is a capture of
//! its own.

use crate::account::StatsRecord;
use crate::packet::{PacketBatch, PacketMeta};
use crate::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use crate::time::Timestamp;

/// Most packets that may overtake a held-back one; also bounds how many are
/// held at once.
pub const REORDER_MAX: u32 = 1024;

/// Most bits flipped in one packet.
const CORRUPT_BITS_MAX: u64 = 8;

/// What to do to the packets. Rates are per thousand packets, 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Start of the random numbers.
    pub seed: u64,
    /// Packets left out.
    pub drop_per_mille: u32,
    /// Packets given twice, the second time at once behind the first.
    pub duplicate_per_mille: u32,
    /// Packets held back.
    pub reorder_per_mille: u32,
    /// A held-back packet comes 1 to this many packets late; at most
    /// [`REORDER_MAX`].
    pub reorder_depth: u32,
    /// Packets with 1 to 8 bits flipped.
    pub corrupt_per_mille: u32,
    /// Packets cut to [`snaplen`](Self::snaplen).
    pub truncate_per_mille: u32,
    /// Bytes kept of a cut packet.
    pub snaplen: u32,
    /// Added to every time, in nanoseconds.
    pub skew_ns: i64,
    /// Added to every time besides, in parts per billion of the time since
    /// the first packet.
    pub drift_ppb: i64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Packets taken from the source.
    pub taken: u64,
    /// Packets left out.
    pub dropped: u64,
    /// Packets given twice.
    pub duplicated: u64,
    /// Packets held back.
    pub reordered: u64,
    /// Packets with flipped bits.
    pub corrupted: u64,
    /// Packets that lost bytes.
    pub truncated: u64,
}

/// A packet on its way out.
struct Held {
    meta: PacketMeta,
    data: Vec<u8>,
    copies: u32,
    /// Comes out once this many packets have been taken.
    due: u64,
    /// Comes out behind a packet that is due at the same time and is not late.
    late: bool,
}

/// A source with faults.
pub struct FaultSource<S> {
    inner: S,
    faults: Faults,
    counts: FaultCounts,
    random: SplitMix64,
    batch: PacketBatch,
    next_in: usize,
    inner_ended: bool,
    held: Vec<Held>,
    first_ts: Option<Timestamp>,
    next_ix: u32,
}

impl<S: PacketSource> FaultSource<S> {
    /// Wraps a source.
    pub fn new(inner: S, faults: Faults) -> Self {
        Self {
            inner,
            faults,
            counts: FaultCounts::default(),
            random: SplitMix64(faults.seed),
            batch: PacketBatch::new(),
            next_in: 0,
            inner_ended: false,
            held: Vec::new(),
            first_ts: None,
            next_ix: 0,
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Takes the packet at `next_in` and gives what is due after it.
    fn take_one(&mut self, out: &mut PacketBatch) {
        let packet = self.batch.get(self.next_in);
        let (mut meta, data) = (packet.meta, packet.data);
        self.next_in += 1;
        self.counts.taken += 1;
        let faults = self.faults;
        let first = *self.first_ts.get_or_insert(meta.ts_record);
        // Every draw is made for every packet, so that one fault's rate does
        // not move another's choices.
        let dropped = self.random.per_mille(faults.drop_per_mille);
        let truncated = self.random.per_mille(faults.truncate_per_mille);
        let corrupted = self.random.per_mille(faults.corrupt_per_mille);
        let duplicated = self.random.per_mille(faults.duplicate_per_mille);
        let held = self.random.per_mille(faults.reorder_per_mille);
        let noise = self.random.next();
        if dropped {
            self.counts.dropped += 1;
        } else {
            meta.ts = skewed(meta.ts, first, &faults);
            meta.ts_record = skewed(meta.ts_record, first, &faults);
            let mut data = data.to_vec();
            if truncated && data.len() > faults.snaplen as usize {
                data.truncate(faults.snaplen as usize);
                self.counts.truncated += 1;
            }
            if corrupted && !data.is_empty() {
                flip_bits(&mut data, SplitMix64(noise));
                self.counts.corrupted += 1;
            }
            self.counts.duplicated += u64::from(duplicated);
            let depth = u64::from(faults.reorder_depth.min(REORDER_MAX));
            let late = if held && depth > 0 { 1 + noise % depth } else { 0 };
            self.counts.reordered += u64::from(late > 0);
            let (copies, due) = (1 + u32::from(duplicated), self.counts.taken + late);
            self.held.push(Held { meta, data, copies, due, late: late > 0 });
        }
        self.give_due(out, self.counts.taken);
    }

    /// Gives every held packet that is due once `taken` packets were taken,
    /// in the order of being due.
    fn give_due(&mut self, out: &mut PacketBatch, taken: u64) {
        let mut due: Vec<Held> = self.held.extract_if(.., |held| held.due <= taken).collect();
        due.sort_by_key(|held| (held.due, held.late));
        for mut held in due {
            for _ in 0..held.copies {
                held.meta.packet_ix = self.next_ix;
                self.next_ix = self.next_ix.wrapping_add(1);
                out.push(held.meta, &held.data);
            }
        }
    }
}

impl<S: PacketSource> PacketSource for FaultSource<S> {
    /// As the source's; a batch may go over the usual limit by what was held
    /// back.
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        if self.next_in >= self.batch.len() && !self.inner_ended {
            self.next_in = 0;
            self.inner_ended = self.inner.next_batch(&mut self.batch)? == Progress::End;
        }
        while self.next_in < self.batch.len() {
            if batch.is_full() {
                return Ok(Progress::More);
            }
            self.take_one(batch);
        }
        if !self.inner_ended {
            return Ok(Progress::More);
        }
        self.give_due(batch, u64::MAX);
        Ok(Progress::End)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.inner.take_warnings()
    }

    fn losses(&self) -> LossCounters {
        self.inner.losses()
    }

    fn take_stats(&mut self) -> Vec<StatsRecord> {
        self.inner.take_stats()
    }
}

/// A time on a clock that is off; stays at the ends of the range.
fn skewed(ts: Timestamp, first: Timestamp, faults: &Faults) -> Timestamp {
    let elapsed = i128::from(ts.ns()) - i128::from(first.ns());
    let drift = (elapsed * i128::from(faults.drift_ppb)).div_euclid(1_000_000_000);
    let ns = i128::from(ts.ns()) + i128::from(faults.skew_ns) + drift;
    let clamped = ns.clamp(i64::MIN.into(), i64::MAX.into());
    Timestamp::from_ns(i64::try_from(clamped).unwrap_or_default())
}

fn flip_bits(data: &mut [u8], mut random: SplitMix64) {
    for _ in 0..=random.next() % CORRUPT_BITS_MAX {
        let bit = random.next() % (data.len() as u64 * 8);
        if let Some(byte) = data.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// Steele, Lea and Flood's SplitMix64: small, fast, good enough for choices.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn per_mille(&mut self, rate: u32) -> bool {
        self.next() % 1000 < u64::from(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Direction, LinkType, TsSource};
    use proptest::prelude::*;

    /// `count` packets of 20 bytes, 1 us apart, `batch_len` a batch.
    struct Made {
        count: u32,
        next: u32,
        batch_len: u32,
    }

    impl PacketSource for Made {
        fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
            batch.clear();
            for _ in 0..self.batch_len.min(self.count - self.next) {
                let ts = Timestamp::from_ns(i64::from(self.next) * 1000);
                let meta = PacketMeta {
                    ts,
                    ts_ps: 0,
                    ts_record: ts,
                    ts_source: TsSource::Record,
                    ts_flags: 0,
                    packet_ix: self.next,
                    interface: 0,
                    direction: Direction::Unknown,
                    link_type: LinkType::ETHERNET,
                    wire_len: 20,
                };
                let mut data = [0; 20];
                data[..4].copy_from_slice(&self.next.to_be_bytes());
                batch.push(meta, &data);
                self.next += 1;
            }
            Ok(if self.next == self.count { Progress::End } else { Progress::More })
        }

        fn take_warnings(&mut self) -> Vec<Warning> {
            Vec::new()
        }
    }

    fn run(
        count: u32,
        batch_len: u32,
        faults: Faults,
    ) -> (Vec<(PacketMeta, Vec<u8>)>, FaultCounts) {
        let mut source = FaultSource::new(Made { count, next: 0, batch_len }, faults);
        let (mut batch, mut packets) = (PacketBatch::new(), Vec::new());
        loop {
            let progress = source.next_batch(&mut batch).unwrap();
            packets.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
            if progress == Progress::End {
                return (packets, source.counts());
            }
        }
    }

    fn heavy(seed: u64) -> Faults {
        Faults {
            seed,
            drop_per_mille: 100,
            duplicate_per_mille: 50,
            reorder_per_mille: 80,
            reorder_depth: 7,
            corrupt_per_mille: 30,
            truncate_per_mille: 20,
            snaplen: 12,
            skew_ns: -250,
            drift_ppb: 40_000,
        }
    }

    #[test]
    fn no_faults_change_nothing() {
        let (packets, counts) = run(100, 9, Faults::default());
        assert_eq!(packets, run(100, 100, Faults::default()).0);
        assert_eq!(counts, FaultCounts { taken: 100, ..FaultCounts::default() });
        assert!(packets.iter().enumerate().all(|(i, (meta, _))| meta.packet_ix == i as u32));
    }

    #[test]
    fn counts_agree_with_what_came_out() {
        let (packets, counts) = run(10_000, 500, heavy(3));
        let out = counts.taken - counts.dropped + counts.duplicated;
        assert_eq!(packets.len() as u64, out);
        let cut = packets.iter().filter(|(_, data)| data.len() == 12).count() as u64;
        assert!(cut >= counts.truncated && counts.truncated > 100);
        assert!((800..1200).contains(&counts.dropped), "{counts:?}");
        assert!((150..450).contains(&counts.corrupted) && counts.reordered > 500);
    }

    #[test]
    fn late_packets_are_at_most_the_depth_late() {
        let faults =
            Faults { seed: 1, reorder_per_mille: 300, reorder_depth: 4, ..Faults::default() };
        let (packets, counts) = run(2000, 100, faults);
        let order: Vec<i64> = packets.iter().map(|(meta, _)| meta.ts.ns() / 1000).collect();
        let late = order.iter().enumerate().map(|(at, &was)| at as i64 - was);
        assert!(late.clone().all(|late| (-5..=4).contains(&late)));
        assert!(counts.reordered > 400 && late.clone().any(|late| late == 4));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..2000).collect::<Vec<i64>>());
    }

    #[test]
    fn skew_and_drift_are_exact() {
        let faults = Faults { skew_ns: -7, drift_ppb: 1_000_000, ..Faults::default() };
        let (packets, _) = run(1001, 64, faults);
        assert_eq!(packets[0].0.ts.ns(), -7);
        assert_eq!(packets[1000].0.ts.ns(), 1_000_000 - 7 + 1000);
        assert_eq!(packets[1000].0.ts_record, packets[1000].0.ts);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_seed_decides_everything(seed: u64, first in 1u32..200, second in 1u32..200) {
            prop_assert_eq!(run(500, first, heavy(seed)), run(500, second, heavy(seed)));
        }
    }
}
