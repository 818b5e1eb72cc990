//! A capture node: for each point a thread that reads the interface and one
//! that writes, with a bounded queue between them.
//!
//! ```text
//! interface ─▶ reader ─▶ queue (bounded, says what it drops) ─▶ writer ─▶ open segment
//!                │                                               │
//!                └────────────▶ Status: the account ◀────────────┘ ◀── clocks, once a second
//!                                          Tail: what was written ◀────┘
//! ```
//!
//! The reader waits for nothing but packets: not for the disk, not for a
//! decoder. An interface that goes away is opened anew once a second; a disk
//! that takes nothing is tried once a second. Until then packets are dropped
//! and counted by cause.

mod clocks;
mod reader;
mod source;
pub mod status;
pub mod tail;
mod writer;

use crate::adapter::stamps::Stamps;
use crate::live::LiveOptions;
use crate::open_segment::{OpenSegment, Rotation};
use crate::point::PointName;
use crate::source::{CaptureError, PacketSource};
pub use clocks::Clocks;
use reader::Reader;
use source::Source;
use status::Status;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use tail::Tail;
use writer::Writer;

/// What was read at once that may wait between reader and writer, whatever its size.
const QUEUE_BATCHES: usize = 16_384;

/// Where and how a point captures.
#[derive(Clone, Debug)]
pub struct PointOptions {
    /// The point.
    pub point: PointName,
    /// Its interface.
    pub interface: String,
    /// How to listen.
    pub live: LiveOptions,
    /// Captured bytes that may wait for the disk.
    pub queue_bytes: u64,
    /// Whether the adapter is to stamp packets.
    pub adapter_stamps: bool,
    /// The processor that the reader stays on.
    pub cpu: Option<usize>,
    /// Where segments go.
    pub dir: PathBuf,
    /// When they are complete.
    pub rotation: Rotation,
    /// Whether somebody wants to see what is written at once.
    pub tail: bool,
}

/// Why a point cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The interface.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The directory of segments.
    #[error("{}: {error}", path.display())]
    Disk {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A point that captures.
#[derive(Debug)]
pub struct RunningPoint {
    /// How.
    pub options: PointOptions,
    /// Its account and state.
    pub status: Arc<Status>,
    tail: Option<Tail>,
    threads: [JoinHandle<()>; 2],
}

impl RunningPoint {
    /// Opens the interface and starts both threads; they end once `stop` is set
    /// and what the ring and the queue held is on disk.
    ///
    /// # Errors
    /// Where the interface cannot be opened now, or no segment be made.
    pub fn start(
        options: PointOptions,
        stop: Arc<AtomicBool>,
        clocks: Clocks,
    ) -> Result<Self, StartError> {
        let (source, stamps) = Source::open(&options)?;
        Self::run(options, (source, stamps), stop, clocks)
    }

    /// The same of packets that come from elsewhere than the interface; once they end,
    /// the interface is tried.
    ///
    /// # Errors
    /// Where no segment can be made.
    pub fn feed(
        options: PointOptions,
        packets: Box<dyn PacketSource + Send>,
        stop: Arc<AtomicBool>,
        clocks: Clocks,
    ) -> Result<Self, StartError> {
        Self::run(options, (Source::fed(packets), Stamps::default()), stop, clocks)
    }

    fn run(
        options: PointOptions,
        (source, stamps): (Source, Stamps),
        stop: Arc<AtomicBool>,
        clocks: Clocks,
    ) -> Result<Self, StartError> {
        let (dir, point) = (&options.dir, options.point.clone());
        let segment =
            OpenSegment::new(dir, point, source.link_type(), &options.interface, options.rotation);
        let segment = segment.map_err(|error| StartError::Disk { path: dir.clone(), error })?;
        let status = Arc::new(Status::default());
        status.update(|state| state.stamps = stamps);
        let (queue, packets) = sync_channel(QUEUE_BATCHES);
        let (spent, pool) = sync_channel(64);
        let (told, tail) = match options.tail {
            true => Some(tail::tail(spent.clone())).unzip(),
            false => (None, None),
        };
        let reader = Reader {
            options: options.clone(),
            status: Arc::clone(&status),
            source: Some(source),
            queue,
            pool,
            stop,
        };
        let writer = Writer {
            point: options.point.clone(),
            interface: options.interface.clone(),
            status: Arc::clone(&status),
            packets,
            spent,
            segment,
            clocks,
            tail: told,
        };
        let threads =
            [std::thread::spawn(move || reader.run()), std::thread::spawn(move || writer.run())];
        Ok(Self { options, status, tail, threads })
    }

    /// What it writes, as it writes it, where that was asked for; once.
    pub fn take_tail(&mut self) -> Option<Tail> {
        self.tail.take()
    }

    /// Whether both threads have ended.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for both threads; false where one of them broke down.
    pub fn join(self) -> bool {
        let [reader, writer] = self.threads.map(JoinHandle::join);
        reader.is_ok() && writer.is_ok()
    }
}
