//! What can go wrong with a store, in sentences that name the file and what
//! to do.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use std::path::{Path, PathBuf};
use taptrail_capture::source::CaptureError;

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused something.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A segment could not be written or read.
    #[error("segment {}: {error}", path.display())]
    Segment {
        /// The segment.
        path: PathBuf,
        /// What Parquet said.
        error: ParquetError,
    },
    /// Rows could not be brought into a table's columns.
    #[error("table {table}: {error}")]
    Rows {
        /// The table.
        table: String,
        /// What Arrow said.
        error: ArrowError,
    },
    /// The directory is no store.
    #[error(
        "{} is not a store: it has no file FORMAT. Name the directory of a store, or import \
         into an empty or new directory to make one", path.display()
    )]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has other things in it.
    #[error(
        "{} is not a store and is not empty: name an empty or new directory", path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A newer version wrote the store.
    #[error(
        "{}: the store has format {found}, this version knows formats up to {known}. Use the \
         version that wrote it, or a newer one", path.display()
    )]
    Newer {
        /// The FORMAT file.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// An older version wrote the store.
    #[error(
        "{}: the store has format {found}, this version reads format {known}, whose tables have \
         more columns. Import its captures into a new store; `taptrail export` of the version \
         that wrote it gives their packets back", path.display()
    )]
    Older {
        /// The FORMAT file.
        path: PathBuf,
        /// The store's format.
        found: u32,
        /// The format known.
        known: u32,
    },
    /// FORMAT or a manifest is damaged.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found and what was needed.
        reason: String,
    },
    /// Another process writes.
    #[error(
        "{} is being written by another process: wait until it ends, or stop it", path.display()
    )]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// No such capture.
    #[error("the store holds no capture {capture_id}")]
    NoCapture {
        /// The capture, as it was asked for.
        capture_id: u64,
    },
    /// The capture's packets are elsewhere.
    #[error(
        "capture {capture_id} was shipped without its packets: leave its point out, ask the \
         store of its node, or ship with policy = \"all\""
    )]
    NoPackets {
        /// The capture.
        capture_id: u64,
    },
    /// No such table.
    #[error("there is no table {name} that can be replaced")]
    NoTable {
        /// The name.
        name: String,
    },
    /// The tables that were to go on have been replaced meanwhile.
    #[error("another process has correlated the store meanwhile")]
    Superseded,
    /// The capture could not be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The decoders could not be set up.
    #[error("{reason}")]
    Decoders {
        /// What the decoders said.
        reason: String,
    },
    /// The query engine refused something.
    #[error("query: {0}")]
    Query(Box<DataFusionError>),
    /// A thread of the import ended without an answer.
    #[error("{part} stopped without saying why: this is a fault of the program, please report it")]
    Stopped {
        /// Which part.
        part: &'static str,
    },
}

impl StoreError {
    /// What the query engine refused.
    pub(crate) fn query(error: DataFusionError) -> Self {
        Self::Query(Box::new(error))
    }

    /// Names the file that the system refused.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// Names the segment that Parquet refused.
    pub(crate) fn segment(path: &Path) -> impl FnOnce(ParquetError) -> Self + '_ {
        move |error| Self::Segment { path: path.to_owned(), error }
    }

    /// Names the table whose rows Arrow refused.
    pub(crate) fn rows(table: &str) -> impl FnOnce(ArrowError) -> Self + '_ {
        move |error| Self::Rows { table: table.to_owned(), error }
    }
}
