//! Correlates a store: reads its messages in order of time, writes the tables
//! that correlation makes, all at once.
//!
//! ```text
//! what is there ──pass──> the tables, replaced by one rename
//! ```

use crate::config::Settings;
use crate::pass::Pass;
use crate::told::Counters;
use arrow::error::ArrowError;
use std::time::Duration;
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::lock::WriteLock;
use taptrail_store::error::StoreError;

/// How long to wait for another process that writes the store.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Why a correlation failed. The tables stay as they were.
#[derive(Debug, thiserror::Error)]
pub enum CorrelateError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A segment has other columns than this version reads.
    #[error("messages: {0}. Decode the store's packets anew with this version")]
    Columns(#[from] ArrowError),
    /// The file in which orders wait that nothing is heard of failed.
    #[error("file of idle orders in the store's tmp: {0}")]
    Shelf(std::io::Error),
}

/// How far a correlation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Messages read.
    pub messages: u64,
    /// Messages to read.
    pub of: u64,
}

/// What a correlation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows of `links`.
    pub links: u64,
    /// Rows of `orders`.
    pub orders: u64,
    /// Rows of `losses`.
    pub losses: u64,
    /// What was seen and what did not fit.
    pub counters: Counters,
}

/// Correlates everything in a store. `points` are the configured ones; points
/// of imports that are not among them are taken as they were imported.
/// `config_hash` is kept with the tables, to tell whether they are of today.
///
/// # Errors
/// Where the store cannot be read or written; its tables are then as before.
pub fn correlate(
    store: &Store,
    settings: &Settings,
    points: &[PointConfig],
    config_hash: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, CorrelateError> {
    let lock = store.lock_within(LOCK_PATIENCE)?;
    correlate_locked(&lock, settings, points, config_hash, progress)
}

/// As [`correlate`], by who holds the right to write.
///
/// # Errors
/// As [`correlate`].
pub fn correlate_locked(
    lock: &WriteLock,
    settings: &Settings,
    points: &[PointConfig],
    config_hash: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, CorrelateError> {
    let store = lock.store();
    let catalog = store.catalog()?;
    let mut pass = Pass::new(store, &catalog, settings, points)?;
    pass.add(store, &catalog, &catalog.imports)?;
    let mut replacement = store.replace_tables(catalog.inputs(), config_hash)?;
    let mut outcome = Outcome::default();
    pass.feed(i64::MAX, &mut replacement, &mut outcome, progress)?;
    pass.finish(&mut replacement, &mut outcome)?;
    replacement.commit(lock)?;
    Ok(outcome)
}
