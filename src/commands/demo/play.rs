//! Plays the simulated site in real time: onto wires, or into the points' readers.

use super::wires::sending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use taptrail_capture::packet::{PacketBatch, PacketMeta};
use taptrail_capture::replay::Sender;
use taptrail_capture::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use taptrail_samples::live::LiveSite;
use taptrail_samples::net::tap::SimPacket;
use taptrail_samples::points::POINTS;

/// Between two looks at what passed meanwhile.
const TICK: Duration = Duration::from_millis(2);

/// Packets that may wait for a point's reader.
const WAITING: usize = 1 << 14;

/// Longest wait of a reader for a packet.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where the packets of points go.
pub(super) trait Taps {
    /// A packet passes a point.
    fn pass(&mut self, packet: SimPacket);
}

/// Lets trading go on until told to stop.
pub(super) fn play(site: &mut LiveSite, taps: &mut dyn Taps, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        site.passed().into_iter().for_each(|packet| taps.pass(packet));
        std::thread::sleep(TICK);
    }
}

/// The sending ends of wires.
pub(super) struct OnWires {
    senders: Vec<Sender>,
    /// Whether a refusal was told already.
    refused: bool,
}

impl OnWires {
    /// Opens them, in the namespace that this process is in.
    pub fn open() -> Result<Self, CaptureError> {
        let senders: Result<Vec<Sender>, _> =
            (0..POINTS.len()).map(|point| Sender::open(&sending(point))).collect();
        Ok(Self { senders: senders?, refused: false })
    }
}

impl Taps for OnWires {
    fn pass(&mut self, packet: SimPacket) {
        let Some(sender) = self.senders.get_mut(packet.point) else { return };
        if let Err(error) = sender.send(&packet.data)
            && !std::mem::replace(&mut self.refused, true)
        {
            eprintln!("taptrail: {error}: packets are not sent");
        }
    }
}

type Packet = (PacketMeta, Vec<u8>);

/// Straight into the readers of points.
pub(super) struct InProcess {
    points: Vec<(SyncSender<Packet>, Arc<AtomicU64>)>,
}

/// What one point's reader reads.
pub(super) struct Fed {
    packets: Receiver<Packet>,
    /// Packets for which there was no room, as a ring's are counted.
    dropped: Arc<AtomicU64>,
}

/// Both ends, for each point.
pub(super) fn in_process() -> (InProcess, Vec<Fed>) {
    let (points, feds) = POINTS
        .iter()
        .map(|_| {
            let (sender, packets) = sync_channel(WAITING);
            let dropped = Arc::new(AtomicU64::new(0));
            ((sender, Arc::clone(&dropped)), Fed { packets, dropped })
        })
        .unzip();
    (InProcess { points }, feds)
}

impl Taps for InProcess {
    fn pass(&mut self, packet: SimPacket) {
        if let Some((point, dropped)) = self.points.get(packet.point)
            && point.try_send((packet.meta, packet.data)).is_err()
        {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl PacketSource for Fed {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        match self.packets.recv_timeout(PATIENCE) {
            Ok((meta, data)) => batch.push(meta, &data),
            Err(RecvTimeoutError::Timeout) => return Ok(Progress::More),
            Err(RecvTimeoutError::Disconnected) => return Ok(Progress::End),
        }
        while !batch.is_full()
            && let Ok((meta, data)) = self.packets.try_recv()
        {
            batch.push(meta, &data);
        }
        Ok(Progress::More)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        Vec::new()
    }

    fn losses(&self) -> LossCounters {
        let dropped = self.dropped.load(Ordering::Relaxed);
        LossCounters { ring: Some(dropped), ..LossCounters::default() }
    }
}
