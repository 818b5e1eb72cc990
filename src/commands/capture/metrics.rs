//! What the node says of itself: `/metrics` and `/healthz`.

use super::{STUCK_AFTER, shipping};
use crate::runtime::runtime;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use taptrail_capture::node::RunningPoint;
use taptrail_capture::node::status::{PointState, Status};
use taptrail_store::catalog::Store;
use taptrail_store::catalog::compact::Compacted;
use taptrail_store::ship::send::Shipper;
use taptrail_web::monitor::{Metrics, Probe};

/// A node as seen from outside its threads.
pub(super) struct Node {
    store: Store,
    points: Vec<(String, String, Arc<Status>)>,
    sealing: Mutex<Sealing>,
    /// What ships, or why nothing does.
    shipper: Option<Result<Arc<Shipper>, String>>,
}

#[derive(Default)]
struct Sealing {
    segments: u64,
    compacted: Compacted,
    failures: u64,
    /// The last failure since a segment was sealed.
    error: Option<String>,
}

impl Node {
    pub fn new(
        store: Store,
        points: &[RunningPoint],
        shipper: Option<Result<Arc<Shipper>, String>>,
    ) -> Self {
        if let Some(Err(error)) = &shipper {
            eprintln!("taptrail: {error}; captured, but not shipped");
        }
        let seen = |point: &RunningPoint| {
            let options = &point.options;
            (options.point.to_string(), options.interface.clone(), Arc::clone(&point.status))
        };
        let points = points.iter().map(seen).collect();
        Self { store, points, sealing: Mutex::default(), shipper }
    }

    /// A segment was sealed.
    pub fn sealed(&self) {
        let mut sealing = self.sealing();
        sealing.segments += 1;
        sealing.error = None;
    }

    /// Small files of an hour were joined.
    pub fn compacted(&self, done: Compacted) {
        self.sealing().compacted.add(done);
    }

    /// Sealing, compaction or retention failed; told on standard error until the text
    /// changes.
    pub fn sealing_error(&self, text: String) {
        let mut sealing = self.sealing();
        sealing.failures += 1;
        if sealing.error.as_ref() != Some(&text) {
            eprintln!("taptrail: {text}");
        }
        sealing.error = Some(text);
    }

    /// How long ago the slowest thread gave a sign of life.
    pub fn silence(&self) -> Duration {
        let silences = self.points.iter().map(|(_, _, status)| status.silence());
        silences.max().unwrap_or_default()
    }

    fn sealing(&self) -> MutexGuard<'_, Sealing> {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which clock stamps at each point, a line each.
    fn stamps(&self) -> String {
        let line = |(point, interface, status): &(String, String, Arc<Status>)| {
            let record = status.stamp_record();
            format!("{point}: {interface} stamped by {} ({})\n", record.reference, record.flags)
        };
        self.points.iter().map(line).collect()
    }

    fn store_metrics(&self, metrics: &mut Metrics) {
        let (segments, failures, compacted) = {
            let sealing = self.sealing();
            (sealing.segments, sealing.failures, sealing.compacted)
        };
        metrics.family(
            "taptrail_sealed_segments_total",
            "counter",
            "Segments moved into the store.",
        );
        metrics.value("taptrail_sealed_segments_total", &[], Some(segments));
        metrics.family("taptrail_sealing_failures_total", "counter", "Failures of that.");
        metrics.value("taptrail_sealing_failures_total", &[], Some(failures));
        let name = "taptrail_compacted_files_total";
        metrics.family(name, "counter", "Small files that others replaced, and those others.");
        metrics.value(name, &[("files", "replaced")], Some(compacted.before));
        metrics.value(name, &[("files", "made")], Some(compacted.after));
        let waiting = self.store.waiting_segments().ok();
        let oldest = waiting.as_ref().map(|waiting| {
            let modified = waiting.iter().filter_map(|(_, p)| p.metadata().ok()?.modified().ok());
            let age = modified.min().and_then(|at| SystemTime::now().duration_since(at).ok());
            millis(age.unwrap_or_default())
        });
        metrics.family("taptrail_waiting_segments", "gauge", "Complete segments not yet sealed.");
        metrics.value("taptrail_waiting_segments", &[], waiting.map(|w| w.len() as u64));
        metrics.family("taptrail_decode_lag_seconds", "gauge", "Age of the oldest of them.");
        metrics.seconds("taptrail_decode_lag_seconds", &[], oldest);
        metrics.family("taptrail_disk_free_bytes", "gauge", "Free on the store's disk.");
        metrics.value("taptrail_disk_free_bytes", &[], self.store.free_bytes().ok());
    }
}

/// Which clocks stamped, and what each interface says it can and is set to.
fn stamps(metrics: &mut Metrics, states: &[(&str, &str, PointState)]) {
    let name = "taptrail_stamped_packets_total";
    metrics.family(name, "counter", "Packets by whose clock stamped them.");
    for (point, interface, state) in states {
        let adapter = state.counts.stamped_adapter.unwrap_or(0);
        let system = state.counts.taken.saturating_sub(adapter);
        for (clock, count) in [("adapter", adapter), ("system", system)] {
            let labels = [("point", *point), ("interface", *interface), ("clock", clock)];
            metrics.value(name, &labels, Some(count));
        }
    }
    let name = "taptrail_stamp_info";
    metrics.family(name, "gauge", "What the interface can stamp and is set to.");
    for (point, interface, state) in states {
        let says = state.stamps.text();
        let labels = [("point", *point), ("interface", *interface), ("says", &says)];
        metrics.value(name, &labels, Some(1));
    }
}

type Gauge = (&'static str, &'static str, &'static str, fn(&PointState) -> Option<u64>);

/// One value a point.
const BY_POINT: [Gauge; 9] = [
    ("taptrail_seen_packets_total", "counter", "Packets that met the filter.", |s| s.counts.seen),
    ("taptrail_packets_total", "counter", "Packets written.", |s| Some(s.counts.written)),
    ("taptrail_bytes_total", "counter", "Their bytes.", |s| Some(s.counts.written_bytes)),
    ("taptrail_queue_bytes", "gauge", "Bytes between reader and disk.", |s| Some(s.queue_bytes)),
    ("taptrail_queue_packets", "gauge", "Packets there.", |s| Some(s.counts.waiting())),
    ("taptrail_nic_packets_total", "counter", "Packets at the adapter.", |s| s.counts.nic.packets),
    ("taptrail_interface_up", "gauge", "1 while it is open.", |s| s.up.map(u64::from)),
    ("taptrail_reopened_total", "counter", "Interface opened anew.", |s| Some(s.reopened)),
    ("taptrail_disk_failing", "gauge", "1 while the disk takes nothing.", |s| {
        Some(s.disk_failing.into())
    }),
];

/// Drops by cause; a cause that cannot be read is left out.
fn causes(state: &PointState) -> [(&'static str, Option<u64>); 10] {
    let (counts, nic) = (&state.counts, &state.counts.nic);
    [
        ("ring", counts.dropped_ring),
        ("interface", counts.dropped_interface),
        ("queue", Some(counts.dropped_queue)),
        ("writer", Some(counts.dropped_writer)),
        ("disk", Some(counts.dropped_disk)),
        ("nic_dropped", nic.dropped),
        ("nic_missed", nic.missed),
        ("nic_fifo", nic.fifo),
        ("nic_errors", nic.errors),
        ("nic_crc", nic.crc),
    ]
}

impl Probe for Node {
    fn metrics(&self) -> String {
        let mut metrics = Metrics::default();
        let states: Vec<_> = self
            .points
            .iter()
            .map(|(p, i, status)| (p.as_str(), i.as_str(), status.get()))
            .collect();
        for (name, kind, help, of) in BY_POINT {
            metrics.family(name, kind, help);
            for (point, interface, state) in &states {
                metrics.value(name, &[("point", point), ("interface", interface)], of(state));
            }
        }
        let name = "taptrail_dropped_packets_total";
        metrics.family(name, "counter", "Packets lost, by cause.");
        for (point, interface, state) in &states {
            for (cause, count) in causes(state) {
                let labels = [("point", *point), ("interface", *interface), ("cause", cause)];
                metrics.value(name, &labels, count);
            }
        }
        stamps(&mut metrics, &states);
        type Since = fn(&PointState) -> Option<Instant>;
        let ages: [(&str, &str, Since); 2] = [
            ("taptrail_open_segment_age_seconds", "Age of the open segment.", |s| s.segment_opened),
            ("taptrail_sync_lag_seconds", "Since it was synced.", |s| s.synced),
        ];
        for (name, help, of) in ages {
            metrics.family(name, "gauge", help);
            for (point, interface, state) in &states {
                let labels = [("point", *point), ("interface", *interface)];
                metrics.seconds(name, &labels, of(state).map(|at| millis(at.elapsed())));
            }
        }
        let name = "taptrail_last_error_timestamp_seconds";
        metrics.family(name, "gauge", "When something last went wrong.");
        for (point, interface, state) in &states {
            let at =
                state.last_error.as_ref().and_then(|(at, _)| at.duration_since(UNIX_EPOCH).ok());
            metrics.value(
                name,
                &[("point", point), ("interface", interface)],
                at.map(|at| at.as_secs()),
            );
        }
        self.store_metrics(&mut metrics);
        if let Some(Ok(shipper)) = &self.shipper {
            shipping::metrics(shipper, &mut metrics);
        }
        metrics.finish()
    }

    fn health(&self) -> Result<String, String> {
        let mut wrong = Vec::new();
        for (point, interface, status) in &self.points {
            let state = status.get();
            let last = state.last_error.map_or(String::new(), |(_, text)| format!(": {text}"));
            if state.up == Some(false) {
                wrong.push(format!("{point}: {interface} is not open{last}"));
            } else if state.disk_failing {
                wrong.push(format!("{point}: the disk takes nothing{last}"));
            }
        }
        let silence = self.silence();
        if silence >= STUCK_AFTER {
            wrong.push(format!("a thread gave no sign of life for {} s", silence.as_secs()));
        }
        wrong.extend(self.sealing().error.clone());
        wrong.extend(self.shipper.iter().filter_map(|shipper| shipper.clone().err()));
        if wrong.is_empty() {
            Ok(format!("ok\n{}", self.stamps()))
        } else {
            Err(wrong.join("\n") + "\n")
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Answers at `listener` until the process ends.
pub(super) fn serve(listener: TcpListener, node: Arc<Node>) -> anyhow::Result<()> {
    let runtime = runtime()?;
    std::thread::spawn(move || {
        let served = taptrail_web::monitor::serve(listener, node, std::future::pending());
        if let Err(error) = runtime.block_on(served) {
            eprintln!("taptrail: metrics: {error}");
        }
    });
    Ok(())
}
