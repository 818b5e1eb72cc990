//! Complete segments into the store, and old captures out of it.
//!
//! Nothing here ends the node: a segment that cannot be imported stays on disk
//! and is tried again later, as is a store that takes nothing.

use super::metrics::Node;
use crate::commands::import::Importer;
use crate::config::{Config, RetentionConfig};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use taptrail_capture::point::PointName;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::compact::Prepared;
use taptrail_store::catalog::retention::{ClockGuard, Removed};
use taptrail_store::import::LOCK_PATIENCE;
use taptrail_store::ship::send::Shipper;

/// How long a segment that failed is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Between two looks at what is too old or too much.
const RETAIN_EVERY: Duration = Duration::from_secs(10);

/// Moves complete segments into the store.
pub(super) struct Sealer<'a> {
    importer: Importer<'a>,
    store: &'a Store,
    config: &'a Config,
    /// What is shipped waits with its removal.
    shipper: Option<Arc<Shipper>>,
    /// When to try again what failed.
    failed: HashMap<PathBuf, Instant>,
    retained: Option<Instant>,
    start: Instant,
    clock: fn() -> SystemTime,
    guard: ClockGuard,
}

impl<'a> Sealer<'a> {
    /// `clock` is the system's.
    pub fn new(
        config: &'a Config,
        store: &'a Store,
        shipper: Option<Arc<Shipper>>,
        clock: fn() -> SystemTime,
    ) -> anyhow::Result<Self> {
        let importer = Importer::new(config)?.decoding(config.capture.decode);
        let guard = ClockGuard::new(clock(), Duration::ZERO);
        let (failed, start) = (HashMap::new(), Instant::now());
        let retained = None;
        Ok(Self { importer, store, config, shipper, failed, retained, start, clock, guard })
    }

    /// Seals what is complete and not left alone (in the last round: all), and
    /// removes what is too old or too much.
    pub fn round(&mut self, node: &Node, last: bool) {
        match self.store.waiting_segments() {
            Ok(waiting) => {
                self.failed.retain(|path, _| path.exists());
                for (point, path) in waiting {
                    let alone = self.failed.get(&path).is_some_and(|at| Instant::now() < *at);
                    if last || !alone {
                        self.seal(node, &point, &path);
                        self.retain(node);
                    }
                }
            }
            Err(error) => node.sealing_error(error.to_string()),
        }
        self.retain(node);
    }

    /// Imports a complete segment and removes its file.
    fn seal(&mut self, node: &Node, point: &PointName, path: &Path) {
        let imported = self.importer.segment(self.store, &self.config.point(point), path);
        // An import is complete by the rename of its manifest: a file that a
        // kill leaves here is known by its content and adds nothing.
        let done = imported.and_then(|()| Ok(fs::remove_file(path)?));
        match done {
            Ok(()) => {
                self.failed.remove(path);
                node.sealed();
            }
            Err(error) => {
                node.sealing_error(format!(
                    "{}: {error:#}; it stays, to be tried again",
                    path.display()
                ));
                self.failed.insert(path.to_path_buf(), Instant::now() + RETRY_AFTER);
            }
        }
    }

    /// Gives prepared files their places.
    pub fn compact(&mut self, node: &Node, prepared: Prepared) {
        let lock = self.store.lock_within(LOCK_PATIENCE);
        match lock.and_then(|lock| prepared.commit(&lock)) {
            Ok(done) => node.compacted(done),
            Err(error) => node.sealing_error(format!("compaction: {error}; it is tried again")),
        }
    }

    fn retain(&mut self, node: &Node) {
        let retention = &self.config.retention;
        if self.retained.is_some_and(|at| at.elapsed() < RETAIN_EVERY) {
            return;
        }
        self.retained = Some(Instant::now());
        let points: Vec<String> = self.config.points.iter().map(|p| p.name.to_string()).collect();
        if let Err(error) = self.store.clean_live(&points, false) {
            node.sealing_error(format!("pieces of sealed segments: {error}"));
        }
        if !retention.is_set() {
            return;
        }
        match self.try_retain(node, retention) {
            Ok(removed) if removed.captures > 0 => eprintln!(
                "taptrail: retention: {} captures removed, {} bytes",
                removed.captures, removed.bytes
            ),
            Ok(_) => {}
            Err(error) => node.sealing_error(format!("retention: {error:#}")),
        }
    }

    fn try_retain(&self, node: &Node, retention: &RetentionConfig) -> anyhow::Result<Removed> {
        let now = (self.clock)();
        let was_set = self.guard.was_set(now, self.start.elapsed());
        if was_set && retention.max_age_hours.is_some() {
            let text = "the system's clock was set: nothing is removed by age until the next start";
            node.sealing_error(format!("retention: {text}"));
        }
        let limits = retention.limits(!was_set);
        let needed = retention.needed(self.store.free_bytes()?);
        let lock = self.store.lock_within(LOCK_PATIENCE)?;
        let Some(shipper) = &self.shipper else { return Ok(lock.retain(limits, needed, now)?) };
        let spool = shipper.spool()?;
        let (removed, unshipped) = lock.retain_unshipped(limits, needed, now, &spool)?;
        shipper.let_go(unshipped);
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use taptrail_capture::packet::LinkType;
    use taptrail_capture::pcapng_writer::PcapngWriter;
    use taptrail_web::monitor::Probe;

    /// How far the clock of these tests was set forward.
    static AHEAD_S: AtomicU64 = AtomicU64::new(0);

    fn clock() -> SystemTime {
        SystemTime::now() + Duration::from_secs(AHEAD_S.load(Ordering::Relaxed))
    }

    #[test]
    fn a_clock_that_is_set_removes_nothing_by_age_until_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[capture]\ndecode = false\n[retention]\nmax_age_hours = 1";
        let config = Config::parse(text, directory.path()).unwrap();
        let store = Store::open_or_create(&directory.path().join("trail")).unwrap();
        let open = store.open_directory();
        fs::create_dir_all(&open).unwrap();
        for name in ["a", "b"] {
            let interfaces = [(LinkType::ETHERNET, name)];
            let file = PcapngWriter::new(Vec::new(), &interfaces).unwrap().finish().unwrap();
            fs::write(open.join(format!("P1-000000000{}.pcapng", name.len())), file).unwrap();
            let node = Node::new(store.clone(), &[], None);
            Sealer::new(&config, &store, None, clock).unwrap().round(&node, true);
        }
        let captures = || store.catalog().unwrap().imports.len();
        assert_eq!(captures(), 2);
        let node = Node::new(store.clone(), &[], None);
        let mut running = Sealer::new(&config, &store, None, clock).unwrap();
        AHEAD_S.store(48 * 3600, Ordering::Relaxed);
        running.round(&node, false);
        assert_eq!(captures(), 2);
        assert!(node.health().unwrap_err().contains("clock was set"));
        let started_then = Node::new(store.clone(), &[], None);
        Sealer::new(&config, &store, None, clock).unwrap().round(&started_then, false);
        assert_eq!((captures(), started_then.health().is_ok()), (1, true), "the newest stays");
    }
}
