//! Stamps that are the ticks of a free-running counter, and the key frames that
//! say what time a tick was: Arista 7150, and the older modes of Exablaze
//! devices.
//!
//! ```text
//! packet      frame │ ticks 4 │ [FCS 4]      or  frame │ ticks 4 in place of the FCS
//! key frame   Exablaze  EtherType 0x88B5 │ "EXKF" │ version 4 │ utc_ns 8 │ ticks 8 │ Hz 8 │ sync 8
//!             Arista    IP protocol 253  │ ticks 8 │ utc_ns 8 │ last sync 8 │ [skew 8 · 8] │
//!                       sent 8 │ drops 8 │ device 2 │ interface 2 │ FCS type 1 │ reserved 1
//!
//! time = key's utc_ns + (ticks - key's ticks) / rate, the turns of the counter
//!        counted by the record's time
//! ```
//!
//! Big-endian. An Exablaze device states its rate; a 7150's is measured between
//! two key frames and has to be near its 350 MHz. A key frame older than
//! [`LOST_SYNC_NS`] is used and said so; older than [`NO_SYNC_NS`] it says
//! nothing any more.

use super::frame::{FCS_LEN, FRAME_LEN_MIN, ends_in_fcs, network, u16_at, u32_at, u64_at};
use super::{Proof, Stamp};
use crate::packet::{TsSource, ts_flags};
use crate::time::Timestamp;

/// From this age of the key frame on, its clock is in holdover.
pub const LOST_SYNC_NS: u64 = 10_000_000_000;

/// From this age on, it is not used.
pub const NO_SYNC_NS: u64 = 60_000_000_000;

/// Time between two key frames of which a rate is measured.
const MEASURED_NS_MIN: i64 = 990_000_000;

/// Nominal ticks a second of an Arista 7150.
const ARISTA_HZ: i128 = 350_000_000;

/// A measured rate may be this much off, in parts per million.
const RATE_ERROR_PPM: i128 = 200;

const EXABLAZE_ETHERTYPE: u16 = 0x88b5;
const EXABLAZE_MAGIC: &[u8] = b"EXKF";
const ARISTA_PROTOCOL: u8 = 253;

/// Payload of an Arista key frame, without and with the skew (EOS 4.13).
const ARISTA_LEN: usize = 46;
const ARISTA_SKEW_LEN: usize = 62;

/// Which of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Exablaze: 32-bit ticks.
    Exablaze,
    /// Arista 7150: 31-bit ticks, the low byte's highest bit unused.
    Arista7150,
}

impl Device {
    fn source(self) -> TsSource {
        match self {
            Self::Exablaze => TsSource::Exablaze,
            Self::Arista7150 => TsSource::Arista7150,
        }
    }

    /// Ticks after which the counter in a packet repeats.
    fn turn(self) -> i128 {
        match self {
            Self::Exablaze => 1 << 32,
            Self::Arista7150 => 1 << 31,
        }
    }

    fn ticks(self, raw: u32) -> u32 {
        match self {
            Self::Exablaze => raw,
            Self::Arista7150 => (raw & 0xffff_ff00) >> 1 | raw & 0x7f,
        }
    }
}

/// A key frame: at `ticks` it was `utc_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// The counter.
    pub ticks: u64,
    /// Its time, nanoseconds since the epoch.
    pub utc_ns: i64,
    /// Ticks a second, where stated.
    pub hz: Option<u64>,
}

/// The key frame that `frame` is, where it is one.
pub fn key_frame(device: Device, frame: &[u8]) -> Option<KeyFrame> {
    match device {
        Device::Exablaze => exablaze_key(frame),
        Device::Arista7150 => arista_key(frame),
    }
}

fn exablaze_key(frame: &[u8]) -> Option<KeyFrame> {
    if u16_at(frame, 12)? != EXABLAZE_ETHERTYPE || frame.get(14..18)? != EXABLAZE_MAGIC {
        return None;
    }
    let hz = Some(u64_at(frame, 38)?).filter(|&hz| hz != 0)?;
    let utc_ns = i64::try_from(u64_at(frame, 22)?).ok()?;
    Some(KeyFrame { ticks: u64_at(frame, 30)?, utc_ns, hz: Some(hz) })
}

fn arista_key(frame: &[u8]) -> Option<KeyFrame> {
    let (ethertype, ip) = network(frame)?;
    if ethertype != 0x0800 || *frame.get(ip + 9)? != ARISTA_PROTOCOL {
        return None;
    }
    let header_len = usize::from(frame.get(ip)? & 0xf) * 4;
    let payload_len = usize::from(u16_at(frame, ip + 2)?).checked_sub(header_len)?;
    if payload_len != ARISTA_LEN && payload_len != ARISTA_SKEW_LEN {
        return None;
    }
    let payload = frame.get(ip + header_len..)?.get(..payload_len)?;
    let utc_ns = i64::try_from(u64_at(payload, 8)?).ok()?;
    Some(KeyFrame { ticks: u64_at(payload, 0)?, utc_ns, hz: None })
}

/// A counter's rate: `ticks` in `ns`.
#[derive(Clone, Copy, Debug)]
struct Rate {
    ticks: i128,
    ns: i128,
}

/// One device's counter, followed by its key frames.
#[derive(Clone, Copy, Debug)]
pub struct TickClock {
    device: Device,
    key: Option<(KeyFrame, Timestamp)>,
    rate: Option<Rate>,
}

impl TickClock {
    /// A clock that has seen no key frame.
    pub fn new(device: Device) -> Self {
        Self { device, key: None, rate: None }
    }

    /// The stamp of a whole frame recorded at `near`. A key frame's is the time
    /// it says. Before the key frames that are needed there is none.
    pub fn stamp(&mut self, frame: &[u8], near: Option<Timestamp>) -> Option<Stamp> {
        let near = near?;
        if let Some(key) = key_frame(self.device, frame) {
            self.learn(key, near);
            let ts = Timestamp::from_ns(key.utc_ns);
            return Some(Stamp::new(self.device.source(), ts, 0, Proof::Checksum));
        }
        let len = if ends_in_fcs(frame) { 2 * FCS_LEN } else { FCS_LEN };
        let at = frame.len().checked_sub(len).filter(|&at| at >= FRAME_LEN_MIN)?;
        let ticks = self.device.ticks(u32_at(frame, at)?);
        let mut stamp = self.time_of(ticks, near)?;
        stamp.len = len;
        Some(stamp)
    }

    /// Whether a key frame has been seen.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn learn(&mut self, key: KeyFrame, near: Timestamp) {
        if let Some(hz) = key.hz {
            self.rate = Some(Rate { ticks: i128::from(hz), ns: 1_000_000_000 });
        } else if let Some((before, _)) = self.key {
            let ns = i128::from(key.utc_ns) - i128::from(before.utc_ns);
            if (0..i128::from(MEASURED_NS_MIN)).contains(&ns) {
                return;
            }
            let ticks = i128::from(key.ticks) - i128::from(before.ticks);
            self.rate = measured(ticks, ns);
        }
        self.key = Some((key, near));
    }

    fn time_of(&self, ticks: u32, near: Timestamp) -> Option<Stamp> {
        let ((key, key_near), rate) = (self.key?, self.rate?);
        let age_ns = near.ns().abs_diff(key_near.ns());
        if age_ns > NO_SYNC_NS {
            return None;
        }
        // How far the counter went by the record's time; the packet says how
        // far within a turn.
        let passed_ns = i128::from(near.ns()) - i128::from(key_near.ns());
        let expected = passed_ns * rate.ticks / rate.ns;
        let turn = self.device.turn();
        let within = (i128::from(ticks) - i128::from(key.ticks) - expected).rem_euclid(turn);
        let off = if within >= turn / 2 { within - turn } else { within };
        let ps = (expected + off).checked_mul(rate.ns * 1000)?.div_euclid(rate.ticks);
        let ns = i64::try_from(i128::from(key.utc_ns) + ps.div_euclid(1000)).ok()?;
        let flags = if age_ns > LOST_SYNC_NS { ts_flags::HOLDOVER } else { 0 };
        let ts = Timestamp::from_ns(ns);
        let stamp = Stamp::new(self.device.source(), ts, 0, Proof::Range);
        Some(Stamp { ts_ps: ps.rem_euclid(1000) as i16, flags, ..stamp })
    }
}

/// The rate between two key frames, where it is one of a 7150.
fn measured(ticks: i128, ns: i128) -> Option<Rate> {
    let nominal = ns * ARISTA_HZ / 1_000_000_000;
    let off = (ticks - nominal).abs();
    (ticks > 0 && ns > 0 && off * 1_000_000 <= nominal * RATE_ERROR_PPM)
        .then_some(Rate { ticks, ns })
}
