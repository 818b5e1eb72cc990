//! What networks do to messages beside losing them, each correlated: addresses
//! translated, one update behind several orders, drop copies, cancels that
//! cross fills.

use crate::support::{sql, sql_n, taptrail_ok};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A bad day with baskets, correlated once for all tests here.
fn store() -> &'static Path {
    static STORE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, store) = STORE.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        let (sim, store) = (dir.path().join("sim"), dir.path().join("trail"));
        let (out, trail) = (sim.to_str().unwrap(), store.to_str().unwrap());
        let size = ["--seed", "8", "--orders", "500", "--rate", "4000", "--seconds", "4"];
        let happens = ["--faults", "heavy", "--with", "baskets"];
        taptrail_ok(&[&["sim", "--out", out][..], &size, &happens].concat());
        let config = sim.join("taptrail.toml");
        let mut args = ["import", "--store", trail, "--config"].map(str::to_owned).to_vec();
        args.push(config.to_str().unwrap().to_owned());
        for entry in fs::read_dir(&sim).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some((point, rest)) = name.split_once('.')
                && rest.starts_with("pcap")
            {
                args.push(format!("{point}={}", path.display()));
            }
        }
        taptrail_ok(&args);
        (dir, store)
    });
    store
}

#[test]
fn a_session_is_one_on_both_sides_of_an_address_translation() {
    let clients = |point: &str| -> BTreeSet<String> {
        let flows = "SELECT DISTINCT f.src_addr AS a FROM flows f \
                     JOIN messages m ON m.capture_id = f.capture_id AND m.flow_id = f.flow_id \
                     WHERE m.protocol = 'nasdaq.ouch.5.0' AND m.kind = 'req.new' AND m.point = ";
        let rows = sql(store(), &format!("{flows}'{point}'"));
        rows.iter().map(|row| row["a"].as_str().unwrap().to_owned()).collect()
    };
    let (inside, outside) = (clients("P6"), clients("P1"));
    assert!(!inside.is_empty() && inside.is_disjoint(&outside), "{inside:?} {outside:?}");
    let of = |what: &str| sql_n(store(), &format!("SELECT count(*) AS n FROM {what}"));
    let linked = of("links WHERE kind = 'same' AND from_point = 'P6' AND to_point = 'P1'");
    let sent = of("messages WHERE point = 'P6' AND kind = 'req.new'");
    assert!(linked > sent && sent > 300, "{linked} links of requests, {sent} new orders");
}

#[test]
fn an_update_may_trigger_several_orders() {
    let fans = "SELECT count(*) AS n FROM links WHERE rule = 'explicit_tag' \
                GROUP BY from_capture_id, from_packet_ix, from_msg_ix HAVING count(*) > 1";
    let fans = sql(store(), fans);
    assert!(fans.len() > 10, "{fans:?}");
    let lives = "SELECT count(DISTINCT lineage_id) AS n FROM links WHERE rule = 'explicit_tag'";
    let links = "SELECT count(*) AS n FROM links WHERE rule = 'explicit_tag'";
    assert_eq!(sql_n(store(), lives), sql_n(store(), links), "each order has a life of its own");
}

#[test]
fn a_drop_copy_is_the_report_once_more() {
    let linked = sql_n(
        store(),
        "SELECT count(*) AS n FROM links WHERE rule = 'drop_copy_exec_id' AND to_point = 'P7'",
    );
    let copies =
        sql_n(store(), "SELECT count(DISTINCT exec_id) AS n FROM messages WHERE point = 'P7'");
    assert!(copies > 500 && linked <= copies, "{linked} links, {copies} copies");
    // A copy whose report was not captured has nothing to be linked to.
    assert!(linked * 100 >= copies * 97, "{linked} links, {copies} copies");
}

#[test]
fn a_cancel_that_crosses_a_fill_is_answered_and_the_fill_kept() {
    let late = "SELECT count(*) AS n FROM links l JOIN messages m ON m.capture_id = l.to_capture_id \
                AND m.packet_ix = l.to_packet_ix AND m.msg_ix = l.to_msg_ix \
                WHERE l.kind = 'ack' AND m.kind = 'rpt.cancel_reject' AND m.entry = 0 \
                AND m.protocol = 'fix.4.4'";
    let told = "SELECT count(*) AS n FROM links l JOIN messages m ON m.capture_id = l.to_capture_id \
                AND m.packet_ix = l.to_packet_ix AND m.msg_ix = l.to_msg_ix \
                JOIN orders o ON o.lineage_id = l.lineage_id \
                WHERE l.kind = 'ack' AND m.kind = 'rpt.cancel_reject' AND m.entry = 0 \
                AND m.protocol = 'fix.4.4' AND o.state = 'filled'";
    let (late, filled) = (sql_n(store(), late), sql_n(store(), told));
    assert!(late > 5 && filled > 2, "{late} rejected, {filled} of them filled");
}
