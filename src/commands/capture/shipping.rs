//! What a node says of what it ships.

use taptrail_store::ship::send::{Counts, Shipper};
use taptrail_web::monitor::Metrics;

type Value = (&'static str, &'static str, &'static str, fn(&Counts) -> u64);

const VALUES: [Value; 7] = [
    ("taptrail_ship_imports_total", "counter", "Imports that arrived.", |c| c.shipped),
    ("taptrail_ship_bytes_total", "counter", "Bytes sent.", |c| c.bytes),
    ("taptrail_ship_refused_total", "counter", "Imports that the target refused.", |c| c.refused),
    ("taptrail_ship_failures_total", "counter", "Other failures.", |c| c.failures),
    ("taptrail_ship_waiting", "gauge", "Imports that wait.", |c| c.waiting),
    ("taptrail_ship_waiting_bytes", "gauge", "Their bytes.", |c| c.waiting_bytes),
    ("taptrail_ship_failing", "gauge", "1 while nothing goes out.", |c| c.error.is_some().into()),
];

/// Adds what shipping did.
pub(super) fn metrics(shipper: &Shipper, metrics: &mut Metrics) {
    let counts = shipper.counts();
    for (name, kind, help, of) in VALUES {
        metrics.family(name, kind, help);
        metrics.value(name, &[], Some(of(&counts)));
    }
    let spool = shipper.settings().spool_bytes;
    metrics.family("taptrail_ship_spool_bytes", "gauge", "What may wait before retention.");
    metrics.value("taptrail_ship_spool_bytes", &[], Some(spool));
    let name = "taptrail_ship_let_go_total";
    metrics.family(name, "counter", "Captures that retention removed before they were shipped.");
    metrics.value(name, &[], Some(shipper.ledger().gone()));
}
