//! `taptrail import`: capture files into the store, one after another. A file
//! that can't be read is named and leaves nothing behind; the others are still
//! imported.

use crate::cli::{Capture, ImportArgs};
use crate::commands::{correlate, redecode};
use crate::config::Config;
use crate::progress::Progress;
use anyhow::bail;
use std::path::Path;
use std::sync::Arc;
use taptrail_capture::point::PointConfig;
use taptrail_capture::segment_id::segment_id;
use taptrail_decoders::library::Library;
use taptrail_store::catalog::Store;
use taptrail_store::import::{Decoders, ImportReport, ImportRequest, import};

/// Imports every capture, then correlates.
pub fn run(args: ImportArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let importer = Importer::new(&config)?;
    let store = Store::open_or_create(&args.store.store)?;
    let failed = importer.all(&store, &args.captures);
    redecode::warn_of_stale(&store)?;
    if !args.no_correlate {
        correlate::if_stale(&store, &config, args.config.config.is_some())?;
    }
    if failed > 0 {
        bail!("{failed} of {} captures could not be imported, see above", args.captures.len());
    }
    Ok(())
}

/// Imports with one configuration, its protocols loaded once.
pub struct Importer<'a> {
    config: &'a Config,
    library: Arc<Library>,
    decode: bool,
}

impl<'a> Importer<'a> {
    /// Loads what the configuration names.
    pub fn new(config: &'a Config) -> anyhow::Result<Self> {
        Ok(Self { config, library: config.library()?, decode: true })
    }

    /// Keeps packets only where `decode` is false.
    pub fn decoding(self, decode: bool) -> Self {
        Self { decode, ..self }
    }

    /// Imports the captures in order, says what became of each, and gives how
    /// many failed.
    pub fn all(&self, store: &Store, captures: &[Capture]) -> usize {
        let mut failed = 0;
        for capture in captures {
            let point = self.config.point(&capture.point);
            if let Err(error) = self.one(store, &point, &capture.path) {
                eprintln!("taptrail: {}={}: {error:#}", capture.point, capture.path.display());
                failed += 1;
            }
        }
        failed
    }

    /// What turns packets into messages.
    pub fn decoders(&self) -> Decoders {
        Decoders {
            config: Arc::new(self.config.decoder.clone()),
            library: Arc::clone(&self.library),
            base: self.config.dir.clone(),
        }
    }

    /// Imports one capture and says what was in it.
    pub fn one(&self, store: &Store, point: &PointConfig, path: &Path) -> anyhow::Result<()> {
        self.named(store, point, path, None)
    }

    /// The same of a segment of live capture, which is known by its name.
    pub fn segment(&self, store: &Store, point: &PointConfig, path: &Path) -> anyhow::Result<()> {
        self.named(store, point, path, segment_id(path)?)
    }

    fn named(
        &self,
        store: &Store,
        point: &PointConfig,
        path: &Path,
        segment: Option<String>,
    ) -> anyhow::Result<()> {
        let request = ImportRequest {
            point: point.clone(),
            path: path.to_path_buf(),
            decoders: self.decode.then(|| self.decoders()),
            config_hash: self.config.hash.clone(),
            segment,
        };
        let bar = Progress::new(&format!("importing {}", point.name), 0);
        let report = import(store, &request, &mut |at| bar.set_of(at.bytes, at.total_bytes));
        bar.finish();
        tell(&report?);
        Ok(())
    }
}

/// What was in a capture: counts on standard output, warnings on standard error.
fn tell(report: &ImportReport) {
    let manifest = &report.manifest;
    let counters = &manifest.counters;
    if report.known {
        println!("{}: {} is in the store already", manifest.point, manifest.source.name);
        return;
    }
    let by_protocol: Vec<String> =
        counters.messages.iter().map(|(protocol, n)| format!("{protocol} {n}")).collect();
    let messages = if by_protocol.is_empty() { "none".into() } else { by_protocol.join(", ") };
    println!("{}: {} packets, messages: {messages}", manifest.point, counters.packets);
    for (reason, count) in &counters.not_decoded {
        println!("{}: not decoded: {count} x {reason}", manifest.point);
    }
    for warning in &manifest.warnings {
        eprintln!("taptrail: warning: {}: {warning}", manifest.point);
    }
}
