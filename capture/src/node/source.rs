//! What a node reads an interface through: libpcap, or a ring of our own where
//! the adapter is to stamp packets, since only that one says of each packet
//! which clock did.

use super::PointOptions;
use crate::adapter::stamps::Stamps;
use crate::live::{KernelCounts, LiveSource};
use crate::packet::{LinkType, PacketBatch, PacketSink};
use crate::packet_blocks::PacketBlocks;
use crate::ring::{RingOptions, RingSource};
use crate::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use crate::system::with_network;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An open interface.
pub(super) enum Source {
    Pcap(Box<LiveSource>),
    Ring(Box<RingSource>),
    Fed(Fed),
}

/// Packets that come from elsewhere.
pub(super) struct Fed {
    source: Box<dyn PacketSource + Send>,
    batch: PacketBatch,
    stop: Arc<AtomicBool>,
}

impl Source {
    /// Whatever gives packets; it must not keep a reader waiting for long.
    pub(super) fn fed(source: Box<dyn PacketSource + Send>) -> Self {
        Self::Fed(Fed { source, batch: PacketBatch::new(), stop: Arc::default() })
    }

    /// Opens a point's interface, and says what it can stamp by then.
    pub(super) fn open(options: &PointOptions) -> Result<(Self, Stamps), CaptureError> {
        let PointOptions { interface, live, .. } = options;
        let ring = RingOptions { hardware_times: true, ..RingOptions::default() };
        let source = with_network(|| match options.adapter_stamps {
            true => Ok(Self::Ring(Box::new(RingSource::open(interface, live, ring)?))),
            false => Ok(Self::Pcap(Box::new(LiveSource::open(interface, live.clone())?))),
        })?;
        Ok((source, Stamps::ask(interface)))
    }

    /// Tells it whether to end.
    pub(super) fn stop(&self, stop: bool) {
        let handle = match self {
            Self::Pcap(source) => source.stop_handle(),
            Self::Ring(source) => source.stop_handle(),
            Self::Fed(fed) => Arc::clone(&fed.stop),
        };
        handle.store(stop, Ordering::Relaxed);
    }

    /// The next packets, in place of those that `blocks` has.
    pub(super) fn next(&mut self, blocks: &mut PacketBlocks) -> Result<Progress, CaptureError> {
        blocks.clear();
        match self {
            Self::Pcap(source) => source.fill(blocks),
            Self::Ring(source) => Ok(source.fill(blocks)),
            Self::Fed(fed) => {
                let stopped = fed.stop.load(Ordering::Relaxed);
                let progress = fed.source.next_batch(&mut fed.batch)?;
                fed.batch.iter().for_each(|packet| blocks.push(packet.meta, packet.data));
                Ok(if stopped { Progress::End } else { progress })
            }
        }
    }

    pub(super) fn take_warnings(&mut self) -> Vec<Warning> {
        match self {
            Self::Pcap(source) => source.take_warnings(),
            Self::Ring(source) => source.take_warnings(),
            Self::Fed(fed) => fed.source.take_warnings(),
        }
    }

    pub(super) fn link_type(&self) -> LinkType {
        match self {
            Self::Pcap(source) => source.link_type(),
            Self::Ring(_) | Self::Fed(_) => LinkType::ETHERNET,
        }
    }

    /// What the kernel counted since the interface was opened; what comes from
    /// elsewhere may say itself what it had no room for.
    pub(super) fn kernel_counts(&self) -> Option<KernelCounts> {
        match self {
            Self::Pcap(source) => source.kernel_counts(),
            Self::Ring(source) => source.kernel_counts(),
            Self::Fed(fed) => {
                let LossCounters { ring, interface, .. } = fed.source.losses();
                ring.map(|ring| KernelCounts { seen: None, ring, interface })
            }
        }
    }

    /// Packets that the adapter stamped since then, where it was asked to.
    pub(super) fn stamped_adapter(&self) -> Option<u64> {
        match self {
            Self::Pcap(_) | Self::Fed(_) => None,
            Self::Ring(source) => Some(source.stamped_by().hardware),
        }
    }
}
