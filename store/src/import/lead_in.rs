//! A TCP message that the end of a capture cuts is completed by the next one.
//!
//! ```text
//! capture 1   .. │ D F │ D ..          the message's beginning is not a row there: counted
//!                       └────┐
//! lead-in                D ..│         its last packets, read from the store
//! capture 2                  │ .. F │ D F │ ..      the message is one of this capture
//! ```
//!
//! The rule, so that the order of imports changes no row: a capture goes on from the
//! latest capture of the same point that ended before it began, and at most
//! [`GAP_MAX_NS`] before; the manifest says which one that was. Only one capture is
//! looked back, and only so many packets of it: of a message that begins before those
//! the rest is passed over, and counted.

use crate::catalog::Catalog;
use crate::catalog::manifest::ImportManifest;
use crate::error::StoreError;
use crate::import::learned::last_ts;
use crate::segment::source::StoredSource;
use std::path::Path;
use std::sync::Arc;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::source::{PacketSource, Progress};

/// Packets of a lead-in.
pub const PACKETS_MAX: usize = 1 << 14;

/// Longest pause between two captures that may belong together.
pub const GAP_MAX_NS: i64 = 10_000_000_000;

/// The capture that one at `point`, whose first packet is at `first_ts`, goes on from.
pub(crate) fn before<'c>(
    catalog: &'c Catalog,
    (point, capture_id, first_ts): (&str, u64, i64),
) -> Option<&'c Arc<ImportManifest>> {
    let imports = catalog.imports.iter();
    let others = imports.filter(|i| i.point == point && i.capture_id != capture_id);
    let timed = others.filter_map(|import| {
        let last = last_ts(import)?;
        let gap = first_ts.checked_sub(last)?;
        (0..=GAP_MAX_NS).contains(&gap).then_some((last, import))
    });
    timed.max_by_key(|(last, import)| (*last, import.capture_id)).map(|(_, import)| import)
}

/// Reads the last packets of a capture.
pub(crate) fn read(
    root: &Path,
    import: &ImportManifest,
    take: &mut dyn FnMut(&PacketBatch),
) -> Result<(), StoreError> {
    let mut source = StoredSource::last(root, import.files_of("packets"), PACKETS_MAX)?;
    let mut batch = PacketBatch::new();
    loop {
        let progress = source.next_batch(&mut batch)?;
        take(&batch);
        if progress == Progress::End {
            return Ok(());
        }
    }
}
