//! The port every source of packets implements.

use crate::account::StatsRecord;
use crate::packet::PacketBatch;
use std::fmt;

/// Whether a source may give more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// The source has ended; this batch is the last (it may hold packets).
    End,
}

/// Something wrong with the input that did not stop the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file or interface.
    pub source: String,
    /// Byte offset in the (uncompressed) input, where there is one.
    pub offset: Option<u64>,
    /// What was found, what was needed, what was done.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} at byte {offset}: {}", self.source, self.text),
            None => write!(f, "{}: {}", self.source, self.text),
        }
    }
}

/// Why a source gives no more.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Reading failed.
    #[error("{name}: {error}")]
    Io {
        /// The file or interface.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The input is not a capture this crate reads.
    #[error("{name} at byte {offset}: {reason}")]
    Format {
        /// The file.
        name: String,
        /// Byte offset in the (uncompressed) input.
        offset: u64,
        /// What was found and what was needed.
        reason: String,
    },
    /// A live interface could not be opened or read.
    #[error("{name}: {reason}")]
    Live {
        /// The interface.
        name: String,
        /// What libpcap said, and what to do.
        reason: String,
    },
}

/// Packets that a source knows it did not give, by cause. `None` is "this
/// source cannot tell", which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounters {
    /// Dropped by the kernel's or library's ring.
    pub ring: Option<u64>,
    /// Dropped by the interface or its driver.
    pub interface: Option<u64>,
    /// Named as lost by the capture file itself.
    pub recorded: Option<u64>,
}

/// Gives packets in batches, in capture order.
pub trait PacketSource {
    /// Clears `batch`, then fills it with the next packets.
    ///
    /// # Errors
    /// Where nothing more can be read. Packets read before the trouble have
    /// been given by then. A capture cut in the middle of a record is no
    /// error but a warning.
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError>;

    /// What was wrong so far, oldest first; each is given once.
    fn take_warnings(&mut self) -> Vec<Warning>;

    /// Losses the source knows of, so far.
    fn losses(&self) -> LossCounters {
        LossCounters::default()
    }

    /// Accounts of interfaces read since this was last asked, in order; each is
    /// given once.
    fn take_stats(&mut self) -> Vec<StatsRecord> {
        Vec::new()
    }
}
