//! Compaction beside a capture: a thread that nothing waits for writes an hour's
//! files aside, the sealer gives them their places.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use taptrail_capture::system::run_idle;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::compact::{Plan, Prepared, plans};

/// Between two looks for hours that are over.
const EVERY: Duration = Duration::from_secs(30);

/// An hour is over once its last segments can be sealed.
const OVER_AFTER: Duration = Duration::from_secs(120);

/// Files that wait for their places.
pub(super) struct Compactor {
    prepared: Option<Receiver<Prepared>>,
}

impl Compactor {
    /// None.
    pub fn off() -> Self {
        Self { prepared: None }
    }

    /// Starts the thread. It takes no lock and ends with the process: what it
    /// leaves then is removed like any unfinished work.
    pub fn start(store: Store, stop: Arc<AtomicBool>) -> Self {
        let (sender, prepared) = sync_channel(0);
        std::thread::spawn(move || {
            run_idle();
            run(&store, &stop, &sender);
        });
        Self { prepared: Some(prepared) }
    }

    /// The next files, where some are ready.
    pub fn take(&self) -> Option<Prepared> {
        self.prepared.as_ref()?.try_recv().ok()
    }
}

fn run(store: &Store, stop: &AtomicBool, sender: &SyncSender<Prepared>) {
    // Hours in which versions with other columns lie side by side stay as they are.
    let mut fruitless: HashSet<(String, i64, usize)> = HashSet::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        for plan in due(store) {
            let key = (plan.point.clone(), plan.hour_ns, plan.segments());
            if stop.load(Ordering::Relaxed) || fruitless.contains(&key) {
                continue;
            }
            match plan.prepare(store) {
                Ok(Some(prepared)) => {
                    if sender.send(prepared).is_err() {
                        return;
                    }
                }
                Ok(None) => drop(fruitless.insert(key)),
                // A segment was removed meanwhile, or the disk is full: later again.
                Err(_) => break,
            }
        }
        while start.elapsed() < EVERY && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

fn due(store: &Store) -> Vec<Plan> {
    let Some(before) = SystemTime::now().checked_sub(OVER_AFTER) else { return Vec::new() };
    let before = before.duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = i64::try_from(before.as_nanos()).unwrap_or_default();
    store.catalog().map(|catalog| plans(&catalog, before)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::capture::metrics::Node;
    use crate::commands::capture::seal::Sealer;
    use crate::config::Config;
    use std::collections::BTreeSet;
    use taptrail_capture::account::StatsRecord;
    use taptrail_capture::packet::LinkType;
    use taptrail_capture::pcapng_writer::PcapngWriter;
    use taptrail_capture::time::Timestamp;
    use taptrail_web::monitor::Probe;

    /// A segment with one account, of 2023.
    fn segment(second: i64) -> Vec<u8> {
        let interfaces = [(LinkType::ETHERNET, "eth0")];
        let mut writer = PcapngWriter::new(Vec::new(), &interfaces).unwrap();
        let at = Timestamp::from_ns((1_700_000_000 + second) * 1_000_000_000);
        let record = StatsRecord { up: Some(true), ..StatsRecord::new(at, 0) };
        writer.write_stats(&record).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn an_hour_that_is_over_is_joined_beside_the_capture() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::parse("[capture]\ndecode = false", directory.path()).unwrap();
        let store = Store::open_or_create(&directory.path().join("trail")).unwrap();
        let node = Node::new(store.clone(), &[], None);
        let mut sealer = Sealer::new(&config, &store, None, SystemTime::now).unwrap();
        std::fs::create_dir_all(store.open_directory()).unwrap();
        for second in 0..3 {
            let path = store.open_directory().join("P1-0000000000.pcapng");
            std::fs::write(path, segment(second)).unwrap();
            sealer.round(&node, false);
        }
        let files = || {
            let imports = store.catalog().unwrap().imports;
            let files = imports.iter().flat_map(|import| import.files_of("capture_stats"));
            files.map(|file| file.path.clone()).collect::<BTreeSet<String>>()
        };
        assert_eq!(files().len(), 3);
        let stop = Arc::new(AtomicBool::new(false));
        let compactor = Compactor::start(store.clone(), Arc::clone(&stop));
        let start = Instant::now();
        while files().len() > 1 {
            if let Some(prepared) = compactor.take() {
                sealer.compact(&node, prepared);
            }
            assert!(start.elapsed() < Duration::from_secs(60), "nothing was prepared");
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(node.health().is_ok(), "{:?}", node.health());
        let metrics = node.metrics();
        assert!(
            metrics.contains("taptrail_compacted_files_total{files=\"replaced\"} 3"),
            "{metrics}"
        );
    }
}
