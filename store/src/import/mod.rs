//! A capture file becomes packets, messages and flows in the store.
//!
//! ```text
//! file ─hash, or a segment's name─> capture id: known? then nothing to do
//!   │
//!   ▼ batches
//! reader, packets writer ─> decoder ─> messages writer, flows
//!                                      │ all went well
//!                                      ▼
//!                         one manifest, made visible by one rename
//! ```
//!
//! Every arrow is a bounded channel between threads, so memory does not grow
//! with the file. A file that cannot be read leaves nothing behind.

mod accounts;
pub(crate) mod lead_in;
pub mod learned;
pub mod live;
mod pipeline;
pub mod redecode;

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{
    CaptureLosses, Counters, DecodeSettings, ImportManifest, SourceFile, WARNINGS_MAX, hex,
};
use crate::catalog::scratch::Scratch;
use crate::catalog::{FORMAT_VERSION, Store};
use crate::error::StoreError;
use crate::identity::{Content, segment_capture_id};
use crate::import::accounts::Accounts;
use crate::import::pipeline::{Decoding, Stages};
use crate::segment::properties::Provenance;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use taptrail_capture::file;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::PointConfig;
use taptrail_capture::source::{LossCounters, PacketSource, Warning};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::library::Library;

/// How long an import waits for another process to finish writing.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The path that means standard input.
pub const STDIN: &str = "-";

/// What turns packets into messages.
#[derive(Clone, Debug)]
pub struct Decoders {
    /// What the configuration says of feeds and sessions.
    pub config: Arc<DecoderConfig>,
    /// The protocols, loaded as `config` names them.
    pub library: Arc<Library>,
    /// Where relative paths of `config` start.
    pub base: PathBuf,
}

/// What to import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Where it was captured.
    pub point: PointConfig,
    /// The file; [`STDIN`] is standard input.
    pub path: PathBuf,
    /// How to decode it; `None` keeps packets only.
    pub decoders: Option<Decoders>,
    /// Hash of the configuration, for the manifest.
    pub config_hash: String,
    /// The name of the live capture's segment that the file is, by which it is known.
    pub segment: Option<String>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// Captured bytes so far.
    pub bytes: u64,
    /// Size of the whole uncompressed file, its own headers included.
    pub total_bytes: u64,
    /// Packets so far.
    pub packets: u64,
}

/// What became of an import.
#[derive(Clone, Debug)]
pub struct ImportReport {
    /// Whether the store had it already; then nothing was done.
    pub known: bool,
    /// The import as the store has it.
    pub manifest: Arc<ImportManifest>,
}

/// Imports a file.
///
/// # Errors
/// Where the file is no capture or cannot be read, where the store cannot be
/// written, or is being written by another process for longer than
/// [`LOCK_PATIENCE`].
pub fn import(
    store: &Store,
    request: &ImportRequest,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, StoreError> {
    import_locked(&store.lock_within(LOCK_PATIENCE)?, request, progress)
}

/// Imports a file, for who writes already.
///
/// # Errors
/// As [`import`].
pub fn import_locked(
    lock: &WriteLock,
    request: &ImportRequest,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, StoreError> {
    let scratch = lock.scratch()?;
    let (path, name) = readable(&request.path, &scratch)?;
    let (capture_id, content) = identity(&path, request)?;
    if let Some(manifest) = lock.store().catalog()?.import(capture_id) {
        return Ok(ImportReport { known: true, manifest: manifest.clone() });
    }
    let bytes = match content {
        Some(content) => content.bytes,
        None => fs::metadata(&path).map_err(StoreError::io(&path))?.len(),
    };
    let mut source = file::open(&path, &request.point)?;
    let mut seen = Seen::default();
    let stages = Stages {
        capture_id,
        directory: scratch.path(),
        provenance: Provenance {
            config_hash: request.config_hash.clone(),
            made_from: format!("capture {}", hex(capture_id)),
        },
        keep_packets: true,
        decoders: request.decoders.clone(),
        store: lock.store(),
        point: request.point.name.as_str(),
    };
    let mut accounts = Accounts::new(&stages)?;
    let mut account = Ok(());
    let mut output = pipeline::run(&mut source, &stages, &mut |source, batch| {
        seen.batch(source, batch);
        if account.is_ok() {
            account = accounts.add(&source.take_stats(), seen.first_ts);
            accounts.take_drops().into_iter().for_each(|drops| seen.counters.dropped(drops));
        }
        progress(ImportProgress {
            bytes: seen.counters.packet_bytes,
            total_bytes: bytes,
            packets: seen.counters.packets,
        });
    })?;
    account?;
    accounts.uncounted().for_each(|drops| seen.counters.dropped(drops));
    output.segments.extend(accounts.finish()?);
    let (first_ts, learned) = (output.decoding.first_ts, output.decoding.learned.clone());
    let continues = output.decoding.continues;
    seen.decoding(output.decoding);
    let manifest = ImportManifest {
        format: FORMAT_VERSION,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: request.config_hash.clone(),
        decode: request.decoders.as_ref().map(settings),
        point: request.point.name.to_string(),
        point_config: request.point.clone(),
        capture_id,
        revision: 0,
        source: SourceFile {
            name,
            bytes,
            content_blake3: content.map_or_else(String::new, |c| c.hash.to_hex().to_string()),
            segment: request.segment.clone(),
        },
        node: None,
        counters: seen.counters,
        warnings: seen.warnings,
        warnings_dropped: seen.warnings_dropped,
        first_ts,
        continues,
        learned,
        files: Vec::new(),
    };
    let manifest = lock.commit_import(&scratch, manifest, output.segments)?;
    Ok(ImportReport { known: false, manifest: Arc::new(manifest) })
}

/// What a capture is called, and its content where that names it.
fn identity(path: &Path, request: &ImportRequest) -> Result<(u64, Option<Content>), StoreError> {
    let point = &request.point.name;
    if let Some(segment) = &request.segment {
        return Ok((segment_capture_id(point, segment), None));
    }
    let content = Content::of(path)?;
    Ok((content.capture_id(point), Some(content)))
}

/// A file that can be read more than once, and what people call it. Standard
/// input is kept in `scratch` first.
fn readable(path: &Path, scratch: &Scratch) -> Result<(PathBuf, String), StoreError> {
    if path != Path::new(STDIN) {
        return Ok((path.to_owned(), path.display().to_string()));
    }
    let spool = scratch.path().join("standard input");
    let mut file = File::create(&spool).map_err(StoreError::io(&spool))?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(StoreError::io(&spool))?;
    Ok((spool, STDIN.to_owned()))
}

/// What a manifest keeps of how it was decoded.
fn settings(decoders: &Decoders) -> DecodeSettings {
    let base = fs::canonicalize(&decoders.base).unwrap_or_else(|_| decoders.base.clone());
    DecodeSettings {
        // A configuration came from text, so it can be written as text.
        config: serde_json::to_value(&*decoders.config).unwrap_or_default(),
        protocol: decoders.config.protocol.clone(),
        base: base.display().to_string(),
    }
}

/// What has been seen of a source.
#[derive(Debug, Default)]
struct Seen {
    counters: Counters,
    warnings: Vec<String>,
    warnings_dropped: u64,
    /// First packet.
    first_ts: Option<i64>,
    /// Latest packet so far.
    last_ts: Option<i64>,
}

impl Seen {
    fn batch(&mut self, source: &mut dyn PacketSource, batch: &PacketBatch) {
        self.counters.packets += batch.len() as u64;
        self.counters.packet_bytes += batch.bytes_len() as u64;
        let times = || batch.metas().iter().map(|meta| meta.ts.ns());
        let last_ts = times().max().or(self.last_ts);
        let first_ts = self.last_ts.or(times().next());
        self.first_ts = self.first_ts.or(first_ts);
        let (first_ts, last_ts) = (first_ts.unwrap_or_default(), last_ts.unwrap_or_default());
        let lost = losses(source.losses());
        let (from_ts, to_ts) = self.named(lost, batch).unwrap_or((first_ts, last_ts));
        self.counters.lost(lost, from_ts, to_ts);
        self.last_ts = (!batch.is_empty()).then_some(last_ts).or(self.last_ts);
        source.take_warnings().iter().for_each(|warning| self.warning(warning));
    }

    /// Between which stamps packets were lost that the last of a batch names.
    fn named(&self, lost: CaptureLosses, batch: &PacketBatch) -> Option<(i64, i64)> {
        let counted = &self.counters.losses;
        let only = (lost.ring, lost.interface) == (counted.ring, counted.interface);
        if !only || lost.recorded == counted.recorded {
            return None;
        }
        let stamped = |back: usize| Some(batch.get(batch.len().checked_sub(back)?).meta.ts.ns());
        let (to, from) = (stamped(1)?, stamped(2).or(self.last_ts)?);
        Some((from.min(to), from.max(to)))
    }

    fn warning(&mut self, warning: &Warning) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning.to_string());
        } else {
            self.warnings_dropped += 1;
        }
    }

    fn decoding(&mut self, decoding: Decoding) {
        self.counters.rows = decoding.rows;
        self.counters.messages = decoding.messages;
        self.counters.not_decoded = decoding.not_decoded;
    }
}

fn losses(losses: LossCounters) -> CaptureLosses {
    CaptureLosses { ring: losses.ring, interface: losses.interface, recorded: losses.recorded }
}

#[cfg(test)]
mod learned_tests;
#[cfg(test)]
pub(crate) mod tests;
