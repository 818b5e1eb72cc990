//! `taptrail capture`: packets of live interfaces into the store, unattended.
//!
//! ```text
//! two threads a point: interface ─▶ open segment (pcapng, synced each second)
//! one more a point:    what was just written ─▶ decoded, shown piece by piece
//! the main thread:     complete segments ─▶ import ─▶ store, then retention
//! where told:          a thread that ships what was imported, and gives way to all else
//! beside them:         compaction · clocks · /metrics and /healthz · the service manager's watchdog
//! ```
//!
//! The readers never wait for the import: complete segments queue on disk, by
//! name, and what a crash leaves there is imported at the next start.

mod compact;
mod live;
mod metrics;
mod notify;
mod seal;
mod shipping;

use crate::cli::CaptureArgs;
use crate::commands::ship::Shipping;
use crate::config::Config;
use crate::runtime::{runtime, stop_signal};
use anyhow::{Context, bail};
use compact::Compactor;
use metrics::Node;
use notify::Notify;
use seal::Sealer;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use taptrail_capture::account::Counts;
use taptrail_capture::live::LiveOptions;
use taptrail_capture::node::{Clocks, PointOptions, RunningPoint};
use taptrail_capture::open_segment::{Rotation, recover};
use taptrail_capture::point::{PointConfig, TimestampFrom};
use taptrail_capture::source::PacketSource;
use taptrail_capture::system::{drop_privileges, keep_memory};
use taptrail_store::catalog::Store;
use taptrail_store::ship::send::Shipper;
use taptrail_web::monitor::Probe;

/// Between two looks at complete segments and at retention.
const ROUND: Duration = Duration::from_millis(100);

/// A thread that gave no sign of life for so long is stuck.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Packets of points that come from elsewhere than their interfaces, by point.
pub type Feeds = BTreeMap<String, Box<dyn PacketSource + Send>>;

/// Captures until SIGINT or SIGTERM; what is open then is sealed.
pub fn run(args: CaptureArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signals(Arc::clone(&stop), Notify::from_environment())?;
    node(&config, args.point.as_deref(), &args.store.store, stop, Feeds::new())
        .with_context(|| args.config.display().to_string())
}

/// Captures at the configured points, or the one of a name, until told to stop.
pub fn node(
    config: &Config,
    only: Option<&str>,
    store: &Path,
    stop: Arc<AtomicBool>,
    mut feeds: Feeds,
) -> anyhow::Result<()> {
    let wanted = |point: &&PointConfig| {
        point.interface.is_some() && only.is_none_or(|only| only == point.name.as_str())
    };
    let wanted: Vec<&PointConfig> = config.points.iter().filter(wanted).collect();
    if wanted.is_empty() {
        bail!("no [[point]] with an interface to capture on");
    }
    let listener = config.capture.listen.map(|listen| {
        TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))
    });
    let listener = listener.transpose()?;
    if config.capture.drop_privileges {
        drop_privileges().context("cannot give up privileges")?;
    }
    keep_memory();
    let store = Store::open_or_create(store)?;
    let dir = store.open_directory();
    recover(&dir).with_context(|| format!("{}: open segments", dir.display()))?;
    let notify = Notify::from_environment();
    let (clocks, clock_thread) = Clocks::start(Arc::clone(&stop));
    let mut points = Vec::new();
    for point in wanted {
        let options = options(config, point, &dir);
        eprintln!("taptrail: capturing at {} on {}", point.name, options.interface);
        let (stop, clocks) = (Arc::clone(&stop), clocks.clone());
        points.push(match feeds.remove(point.name.as_str()) {
            Some(feed) => RunningPoint::feed(options, feed, stop, clocks)?,
            None => RunningPoint::start(options, stop, clocks)?,
        });
    }
    let shipping = config.ship.as_ref().map(|ship| Shipping::prepare(ship, &config.dir, &store));
    let showing = live::start(config, &store, &mut points)?;
    // A node without its certificate still captures, and says what is wrong.
    let shipper = shipping.as_ref().map(|prepared| match prepared {
        Ok(shipping) => Ok(Arc::clone(&shipping.shipper)),
        Err(error) => Err(format!("ship: {error:#}")),
    });
    let node = Arc::new(Node::new(store.clone(), &points, shipper.clone()));
    if let Some(listener) = listener {
        eprintln!("taptrail: metrics: http://{}/metrics", listener.local_addr()?);
        metrics::serve(listener, Arc::clone(&node))?;
    }
    if let Some(Ok(shipping)) = shipping {
        let node = Arc::clone(&node);
        // It ends with the process: what it sends then is sent again.
        drop(shipping.start(Arc::clone(&stop), move || Some(node.health().map(drop))));
    }
    notify.send("READY=1");
    watch(notify, Arc::clone(&node), Arc::clone(&stop));
    let compactor = match config.capture.compact {
        true => Compactor::start(store.clone(), Arc::clone(&stop)),
        false => Compactor::off(),
    };
    let shipper = shipper.and_then(Result::ok);
    let sealed = seal_until_finished(config, &store, shipper, &node, &points, compactor);
    stop.store(true, Ordering::Relaxed);
    let ended = finish(points);
    showing.into_iter().for_each(|thread| drop(thread.join()));
    // It only asks clocks.
    let _ = clock_thread.join();
    sealed.and(ended)
}

/// How a point captures: its own keys, else those of `[capture]`.
fn options(config: &Config, point: &PointConfig, dir: &Path) -> PointOptions {
    let general = &config.capture;
    let mib = |mib: u32| u64::from(mib) << 20;
    let buffer = mib(point.buffer_mib.unwrap_or(general.buffer_mib));
    let live = LiveOptions {
        snaplen: point.snaplen.unwrap_or(general.snaplen),
        promiscuous: point.promiscuous.unwrap_or(general.promiscuous),
        buffer_bytes: u32::try_from(buffer).unwrap_or(u32::MAX),
        bpf: point.filter.clone().or(general.filter.clone()).unwrap_or_default(),
        direction: point.direction,
        // Stamps in the bytes are read when the segment is imported.
        timestamp: TimestampFrom::Record.into(),
        ..LiveOptions::default()
    };
    let rotation = Rotation {
        bytes: mib(general.segment_mib),
        age: Duration::from_secs(general.segment_s.into()),
        keep_free: general.keep_free_mib.saturating_mul(1 << 20),
    };
    PointOptions {
        point: point.name.clone(),
        interface: point.interface.clone().unwrap_or_default(),
        live,
        queue_bytes: mib(general.queue_mib),
        adapter_stamps: point.adapter_stamps,
        cpu: point.cpu,
        dir: dir.to_path_buf(),
        rotation,
        tail: general.decode && general.live,
    }
}

/// Seals complete segments and keeps the store within its limits until every
/// point has ended, and then what they left.
fn seal_until_finished(
    config: &Config,
    store: &Store,
    shipper: Option<Arc<Shipper>>,
    node: &Node,
    points: &[RunningPoint],
    compactor: Compactor,
) -> anyhow::Result<()> {
    let mut sealer = Sealer::new(config, store, shipper, SystemTime::now)?;
    loop {
        let finished = points.iter().all(RunningPoint::is_finished);
        sealer.round(node, finished);
        if let Some(prepared) = compactor.take() {
            sealer.compact(node, prepared);
        }
        if finished {
            return Ok(());
        }
        std::thread::sleep(ROUND);
    }
}

/// Says each point's account; an error where one broke down.
fn finish(points: Vec<RunningPoint>) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for point in points {
        let (name, status) = (point.options.point.clone(), Arc::clone(&point.status));
        if !point.join() {
            broken.push(name.to_string());
        }
        eprintln!("taptrail: {name}: {}", summary(&status.get().counts));
    }
    if !broken.is_empty() {
        bail!("{}: a thread ended unexpectedly", broken.join(", "));
    }
    Ok(())
}

/// The account in one line.
fn summary(counts: &Counts) -> String {
    let told = |count: Option<u64>| count.map_or("unknown".to_string(), |n| n.to_string());
    let nic = &counts.nic;
    format!(
        "seen {}: written {} ({} bytes), dropped by the ring {}, by the interface {}, \
         by the queue {}, by the writer {}, by the disk {}; left in the ring {}; adapter: \
         dropped {}, missed {}, fifo {}, errors {}, crc {}",
        told(counts.seen),
        counts.written,
        counts.written_bytes,
        told(counts.dropped_ring),
        told(counts.dropped_interface),
        counts.dropped_queue,
        counts.dropped_writer,
        counts.dropped_disk,
        told(counts.unread()),
        told(nic.dropped),
        told(nic.missed),
        told(nic.fifo),
        told(nic.errors),
        told(nic.crc),
    )
}

/// Tells the service manager that the node lives, as long as its threads do.
fn watch(notify: Notify, node: Arc<Node>, stop: Arc<AtomicBool>) {
    let Some(every) = notify.watchdog_every() else { return };
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            if node.silence() < STUCK_AFTER {
                notify.send("WATCHDOG=1");
            }
            std::thread::sleep(every);
        }
    });
}

/// Sets `stop` at the first SIGINT or SIGTERM.
fn stop_on_signals(stop: Arc<AtomicBool>, notify: Notify) -> anyhow::Result<()> {
    let runtime = runtime()?;
    std::thread::spawn(move || {
        runtime.block_on(stop_signal());
        stop.store(true, Ordering::Relaxed);
        notify.send("STOPPING=1");
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use taptrail_capture::packet::{Direction, LinkType, PacketBatch, PacketMeta, TsSource};
    use taptrail_capture::source::{CaptureError, Progress, Warning};
    use taptrail_capture::time::Timestamp;

    #[test]
    fn a_point_has_its_own_keys_first() {
        let text = "
            [capture]
            snaplen = 100
            filter = 'udp'
            [[point]]
            name = 'P1'
            interface = 'eth0'
            snaplen = 64
            direction = 'in'
            [[point]]
            name = 'P2'
            interface = 'eth1'
            filter = 'tcp'
            buffer_mib = 9000
            cpu = 3
        ";
        let config = Config::parse(text, Path::new(".")).unwrap();
        let of = |n: usize| options(&config, &config.points[n], Path::new("open"));
        let (first, second) = (of(0), of(1));
        assert_eq!((first.live.snaplen, first.live.bpf.as_str()), (64, "udp"));
        assert_eq!((second.live.snaplen, second.live.bpf.as_str()), (100, "tcp"));
        assert_eq!((first.cpu, second.cpu), (None, Some(3)));
        assert_eq!(second.live.buffer_bytes, u32::MAX);
    }

    /// Packets of which each batch has a time of its own, then silence.
    struct Stepping {
        times_ns: Vec<i64>,
        given: Arc<AtomicUsize>,
    }

    impl PacketSource for Stepping {
        fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
            batch.clear();
            std::thread::sleep(Duration::from_millis(20));
            let Some(ns) = self.times_ns.get(self.given.load(Ordering::Relaxed)) else {
                return Ok(Progress::More);
            };
            let ts = Timestamp::from_ns(*ns);
            let meta = PacketMeta {
                ts,
                ts_ps: 0,
                ts_record: ts,
                ts_source: TsSource::Record,
                ts_flags: 0,
                packet_ix: 0,
                interface: 0,
                direction: Direction::Unknown,
                link_type: LinkType::ETHERNET,
                wire_len: 60,
            };
            (0..10).for_each(|_| batch.push(meta, &[7; 60]));
            self.given.fetch_add(1, Ordering::Relaxed);
            Ok(Progress::More)
        }

        fn take_warnings(&mut self) -> Vec<Warning> {
            Vec::new()
        }
    }

    #[test]
    fn a_clock_that_is_set_to_and_fro_loses_only_what_has_no_time() {
        const DAY: i64 = 86_400_000_000_000;
        let directory = tempfile::tempdir().unwrap();
        let text = "[capture]\nsegment_s = 1\nkeep_free_mib = 0\ndrop_privileges = false\n\
                    [[point]]\nname = 'P1'\ninterface = 'none'";
        let config = Config::parse(text, directory.path()).unwrap();
        let (root, stop) = (directory.path().join("trail"), Arc::new(AtomicBool::new(false)));
        let now = 1_700_000_000_000_000_000;
        // Before 1970 a capture file has no place.
        let times = [now, now + DAY, now - DAY, now + 5, 1, now, -5, now + 9, now - 3];
        let times_ns: Vec<i64> = times.iter().cycle().take(90).copied().collect();
        let (given, all) = (Arc::new(AtomicUsize::new(0)), times_ns.len());
        let feed = Stepping { times_ns, given: Arc::clone(&given) };
        let feeds = Feeds::from([("P1".to_owned(), Box::new(feed) as Box<_>)]);
        let running = std::thread::spawn({
            let (root, stop) = (root.clone(), Arc::clone(&stop));
            move || node(&config, None, &root, stop, feeds)
        });
        while given.load(Ordering::Relaxed) < all && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap();
        let store = Store::open(&root).unwrap();
        let imports = store.catalog().unwrap().imports.clone();
        let packets: u64 = imports.iter().map(|import| import.counters.packets).sum();
        assert_eq!(packets, (all - all / 9) as u64 * 10);
        assert!(imports.len() >= 2, "it went on from segment to segment");
        assert!(store.waiting_segments().unwrap().is_empty());
    }

    #[test]
    fn what_is_unknown_is_said_so() {
        let counts = Counts { written: 5, dropped_ring: Some(2), ..Counts::default() };
        let text = summary(&counts);
        assert!(text.starts_with("seen unknown: written 5 "), "{text}");
        assert!(text.contains("by the ring 2, by the interface unknown"), "{text}");
    }
}
