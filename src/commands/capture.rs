//! `taptrail capture`: packets of live interfaces into the store.
//!
//! ```text
//! a thread a point: interface ─▶ open segment (pcapng, synced each second)
//! the main thread:  complete segments ─▶ import ─▶ store
//! ```
//!
//! The readers never wait for the import: complete segments queue on disk, by
//! name, and what a crash leaves there is imported at the next start.

use crate::cli::CaptureArgs;
use crate::commands::import::Importer;
use crate::config::Config;
use crate::runtime::{runtime, stop_signal};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use taptrail_capture::live::{LiveOptions, LiveSource};
use taptrail_capture::open_segment::{OpenSegment, Rotation, recover};
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_capture::source::{LossCounters, PacketSource, Progress};
use taptrail_store::catalog::Store;

/// Captures until SIGINT or SIGTERM; what is open then is sealed.
pub fn run(args: CaptureArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    let store = Store::open_or_create(&args.store.store)?;
    let dir = store.root().join("open");
    let wanted = |point: &&PointConfig| {
        point.interface.is_some() && args.point.as_deref().is_none_or(|p| p == point.name.as_str())
    };
    let points: Vec<PointConfig> = config.points.iter().filter(wanted).cloned().collect();
    if points.is_empty() {
        bail!("{}: no [[point]] with an interface to capture on", args.config.display());
    }
    let left = recover(&dir).with_context(|| format!("{}: open segments", dir.display()))?;
    let stop = Arc::new(AtomicBool::new(false));
    let (complete, segments) = channel();
    let mut readers = Vec::new();
    for point in points {
        readers.push(Reader::start(&config, point, &dir, complete.clone(), &stop)?);
    }
    drop(complete);
    stop_on_signals(Arc::clone(&stop))?;
    let importer = Importer::new(&config)?.decoding(config.capture.decode);
    let sealer = Sealer { importer, store: &store, config: &config };
    for (point, path) in left {
        sealer.seal(&point, &path)?;
    }
    sealer.until_stopped(&segments)?;
    readers.into_iter().try_for_each(Reader::finish)
}

/// Moves complete segments into the store.
struct Sealer<'a> {
    importer: Importer<'a>,
    store: &'a Store,
    config: &'a Config,
}

impl Sealer<'_> {
    /// Imports segments as they become complete; ends when all readers have.
    fn until_stopped(&self, segments: &Receiver<(PointName, PathBuf)>) -> anyhow::Result<()> {
        while let Ok((point, path)) = segments.recv() {
            self.seal(&point, &path)?;
        }
        Ok(())
    }

    /// Imports a complete segment and removes its file.
    fn seal(&self, point: &PointName, path: &Path) -> anyhow::Result<()> {
        self.importer.one(self.store, &self.config.point(point), path)?;
        std::fs::remove_file(path).with_context(|| format!("{}: cannot remove", path.display()))
    }
}

/// The thread that empties one interface.
struct Reader {
    point: PointName,
    thread: JoinHandle<anyhow::Result<LossCounters>>,
}

impl Reader {
    fn start(
        config: &Config,
        point: PointConfig,
        dir: &Path,
        complete: Sender<(PointName, PathBuf)>,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let interface = point.interface.clone().unwrap_or_default();
        let options = LiveOptions {
            snaplen: config.capture.snaplen,
            promiscuous: config.capture.promiscuous,
            buffer_bytes: config.capture.buffer_mib.saturating_mul(1 << 20),
            bpf: config.capture.filter.clone().unwrap_or_default(),
            timestamp: (&point).into(),
            ..LiveOptions::default()
        };
        let source = LiveSource::open(&interface, options)?;
        let name = point.name.clone();
        let (link, rotation) = (source.link_type(), Rotation::default());
        let open = OpenSegment::new(dir, name.clone(), link, &interface, rotation)?;
        eprintln!("taptrail: capturing at {name} on {interface}");
        let stop = Arc::clone(stop);
        let for_thread = name.clone();
        let thread = std::thread::spawn(move || read(source, open, for_thread, complete, &stop));
        Ok(Self { point: name, thread })
    }

    fn finish(self) -> anyhow::Result<()> {
        let losses = match self.thread.join() {
            Ok(result) => result.with_context(|| format!("point {}", self.point))?,
            Err(_) => bail!("point {}: its reader ended unexpectedly", self.point),
        };
        let told = |count: Option<u64>| count.map_or("unknown".into(), |n| n.to_string());
        eprintln!(
            "taptrail: {}: dropped by the ring {}, by the interface {}",
            self.point,
            told(losses.ring),
            told(losses.interface)
        );
        Ok(())
    }
}

/// Moves packets from the interface to disk until told to stop.
fn read(
    mut source: LiveSource,
    mut open: OpenSegment,
    point: PointName,
    complete: Sender<(PointName, PathBuf)>,
    stop: &AtomicBool,
) -> anyhow::Result<LossCounters> {
    let source_stop = source.stop_handle();
    let mut batch = PacketBatch::new();
    loop {
        source_stop.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
        let progress = source.next_batch(&mut batch);
        let losses = source.losses();
        let mut done = open.append(&batch, &losses)?;
        let ended = !matches!(progress, Ok(Progress::More));
        if ended && done.is_none() {
            let last = batch.len().checked_sub(1).map(|i| batch.get(i).meta.ts_record);
            done = open.finish(last, &losses)?;
        }
        if let Some(path) = done {
            // The receiver is gone only where the main thread failed; the file stays for recovery.
            let _ = complete.send((point.clone(), path));
        }
        for warning in source.take_warnings() {
            eprintln!("taptrail: warning: {warning}");
        }
        progress?;
        if ended {
            return Ok(losses);
        }
    }
}

/// Sets `stop` at the first SIGINT or SIGTERM.
fn stop_on_signals(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(stop_signal());
        stop.store(true, Ordering::Relaxed);
    });
    Ok(())
}
