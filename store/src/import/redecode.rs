//! Messages anew from stored packets, with today's protocol files.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{ImportManifest, hex};
use crate::error::StoreError;
use crate::import::accounts::KEPT;
use crate::import::pipeline::{self, Stages};
use crate::import::{Decoders, ImportReport, Seen, settings};
use crate::segment::properties::Provenance;
use std::sync::Arc;

/// Decodes a capture again and replaces its messages and flows at once.
///
/// # Errors
/// Where the store does not hold the capture or cannot be written; it then
/// reads as before.
pub fn redecode(
    lock: &WriteLock,
    capture_id: u64,
    decoders: &Decoders,
    config_hash: &str,
) -> Result<ImportReport, StoreError> {
    let store = lock.store();
    let catalog = store.catalog()?;
    let before = catalog.import(capture_id).ok_or(StoreError::NoCapture { capture_id })?;
    if before.is_without_packets() {
        return Err(StoreError::NoPackets { capture_id });
    }
    let scratch = lock.scratch()?;
    let stages = Stages {
        capture_id,
        directory: scratch.path(),
        provenance: Provenance {
            config_hash: config_hash.to_owned(),
            made_from: format!("capture {}", hex(capture_id)),
        },
        keep_packets: false,
        decoders: Some(decoders.clone()),
        store,
        point: &before.point,
    };
    let output = pipeline::run(&mut store.packets(capture_id)?, &stages, &mut |_, _| {})?;
    let mut seen = Seen { counters: before.counters.clone(), ..Seen::default() };
    let (first_ts, learned) = (output.decoding.first_ts, output.decoding.learned.clone());
    let continues = output.decoding.continues;
    seen.decoding(output.decoding);
    let manifest = ImportManifest {
        software: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: config_hash.to_owned(),
        decode: Some(settings(decoders)),
        revision: before.revision + 1,
        counters: seen.counters,
        first_ts,
        continues,
        learned,
        files: KEPT.iter().flat_map(|table| before.files_of(table)).cloned().collect(),
        ..ImportManifest::clone(before)
    };
    let manifest = lock.commit_import(&scratch, manifest, output.segments)?;
    Ok(ImportReport { known: false, manifest: Arc::new(manifest) })
}
