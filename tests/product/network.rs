//! The main job: a simulated network whose truth is known, from captures to
//! the report.

use crate::support::{sql, sql_n, taptrail_ok};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A network simulated and imported once for all tests here.
pub struct Network {
    dir: TempDir,
}

impl Network {
    /// Where the simulation lies.
    pub fn sim(&self) -> PathBuf {
        self.dir.path().join("sim")
    }

    /// The store with everything imported and correlated.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("trail")
    }

    /// The simulation's captures as POINT=FILE.
    pub fn captures(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.sim()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            if let Some((point, rest)) = name.split_once('.')
                && rest.starts_with("pcap")
            {
                found.push(format!("{point}={}", path.display()));
            }
        }
        found.sort();
        found
    }

    fn truth(&self, name: &str) -> String {
        fs::read_to_string(self.sim().join("truth").join(name)).unwrap()
    }
}

/// Imports captures into a store with the simulation's configuration.
fn import(store: &Path, network: &Network, captures: &[String]) -> String {
    let config = network.sim().join("taptrail.toml");
    let mut args =
        vec!["import", "--store", store.to_str().unwrap(), "--config", config.to_str().unwrap()];
    args.extend(captures.iter().map(String::as_str));
    taptrail_ok(&args).out
}

/// The network without faults.
pub fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let network = Network { dir: TempDir::new().unwrap() };
        let sim = network.sim();
        let out = sim.to_str().unwrap();
        taptrail_ok(&[
            "sim",
            "--out",
            out,
            "--seed",
            "11",
            "--orders",
            "400",
            "--rate",
            "4000",
            "--seconds",
            "4",
            "--faults",
            "none",
        ]);
        let captures = network.captures();
        assert_eq!(captures.len(), 7);
        import(&network.store(), &network, &captures);
        network
    })
}

/// Captured messages by protocol, type and point.
fn true_counts(network: &Network) -> BTreeMap<(String, String, String), i64> {
    let counts: Value = serde_json::from_str(&network.truth("counts.json")).unwrap();
    let mut table = BTreeMap::new();
    for (protocol, types) in counts.as_object().unwrap() {
        for (msg_type, points) in types.as_object().unwrap() {
            for (point, n) in points.as_object().unwrap() {
                // MoldUDP64 has no type codes; its rows name what the packet is.
                let msg_type =
                    if protocol == "moldudp64" { "end_of_session" } else { msg_type.as_str() };
                let n = n["captured"].as_i64().unwrap() + n["duplicate"].as_i64().unwrap();
                if n > 0 {
                    table.insert((protocol.clone(), msg_type.to_string(), point.clone()), n);
                }
            }
        }
    }
    table
}

#[test]
fn every_message_is_counted_at_every_point() {
    let network = network();
    let rows = sql(
        &network.store(),
        "SELECT protocol, msg_type, point, count(*) AS n FROM \
         (SELECT DISTINCT protocol, msg_type, point, capture_id, packet_ix, msg_ix FROM messages) \
         GROUP BY protocol, msg_type, point",
    );
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_string();
    let seen: BTreeMap<(String, String, String), i64> = rows
        .iter()
        .map(|row| {
            let key = (text(row, "protocol"), text(row, "msg_type"), text(row, "point"));
            (key, row["n"].as_i64().unwrap())
        })
        .collect();
    for (key, n) in true_counts(network) {
        assert_eq!(seen.get(&key), Some(&n), "{key:?}");
    }
}

#[test]
fn importing_again_adds_nothing() {
    let network = network();
    let count = "SELECT count(*) AS n FROM messages";
    let before = sql_n(&network.store(), count);
    let out = import(&network.store(), network, &network.captures());
    assert!(out.contains("already"), "{out}");
    assert_eq!(sql_n(&network.store(), count), before);
}

#[test]
fn another_order_of_import_gives_the_same_messages() {
    let network = network();
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("trail");
    let mut captures = network.captures();
    captures.reverse();
    import(&store, network, &captures);
    let digest = "SELECT point, count(*) AS n, sum(packet_ix) AS p, sum(ts::bigint % 1000003) AS t \
                  FROM messages GROUP BY point ORDER BY point";
    assert_eq!(sql(&store, digest), sql(&network.store(), digest));
    let links =
        "SELECT kind, count(*) AS n, sum(latency_ns) AS l FROM links GROUP BY kind ORDER BY kind";
    assert_eq!(sql(&store, links), sql(&network.store(), links));
}

/// Links of the truth by kind, `relay` of the internal bus and the drop copy
/// left out.
fn true_links(network: &Network, kind: &str, rule: &[&str]) -> Vec<i64> {
    let mut latencies = Vec::new();
    for line in network.truth("links.jsonl").lines() {
        let link: Value = serde_json::from_str(line).unwrap();
        if link["kind"] == kind && rule.iter().any(|r| link["rule"] == *r) {
            latencies.push(link["latency_ns"].as_i64().unwrap());
        }
    }
    latencies.sort_unstable();
    latencies
}

#[test]
fn links_and_their_latencies_are_the_true_ones() {
    let network = network();
    let cases: [(&str, &[&str], &str); 3] = [
        ("trigger", &["tagged"], "kind = 'trigger' AND rule = 'explicit_tag'"),
        ("relay", &["request"], "kind = 'relay' AND from_point = 'P5' AND to_point = 'P6'"),
        ("relay", &["report"], "kind = 'relay' AND from_point = 'P6' AND to_point = 'P5'"),
    ];
    for (kind, rules, condition) in cases {
        let truth = true_links(network, kind, rules);
        assert!(truth.len() > 50, "{kind}: only {} in the truth", truth.len());
        let rows = sql(
            &network.store(),
            &format!(
                "SELECT latency_ns AS n, lo_ns, hi_ns FROM links WHERE {condition} ORDER BY 1"
            ),
        );
        let found: Vec<i64> = rows.iter().map(|row| row["n"].as_i64().unwrap()).collect();
        let close = |a: usize, b: usize| a.abs_diff(b) * 1000 <= b * 5;
        assert!(
            close(found.len(), truth.len()),
            "{kind} {rules:?}: {} of {}",
            found.len(),
            truth.len()
        );
        let median = |v: &[i64]| v[v.len() / 2];
        let apart = (median(&found) - median(&truth)).abs();
        assert!(apart <= 2_000, "{kind} {rules:?}: medians {apart} ns apart");
    }
}

#[test]
fn hops_on_one_clock_are_right_within_the_noise() {
    let network = network();
    let rows = sql(
        &network.store(),
        "SELECT p50_ns, lo_p50_ns, hi_p50_ns, n FROM hops WHERE link_kind = 'same' AND \
         message_kind = 'all' AND from_point = 'P2' AND to_point = 'P3'",
    );
    assert_eq!(rows.len(), 1, "{rows:?}");
    let mut truth = true_hop(network, "P2", "P3");
    truth.sort_unstable();
    let p50 = truth[truth.len() / 2];
    let found = rows[0]["p50_ns"].as_i64().unwrap();
    assert!((found - p50).abs() <= 20, "median {found} ns, in truth {p50} ns");
    let bound = rows[0]["lo_p50_ns"].as_i64().unwrap()..=rows[0]["hi_p50_ns"].as_i64().unwrap();
    assert!(bound.contains(&p50), "{p50} ns outside {bound:?}");
}

/// True times from one point to the next of the feed's messages, line by line.
fn true_hop(network: &Network, from: &str, to: &str) -> Vec<i64> {
    let mut left: BTreeMap<(i64, String), i64> = BTreeMap::new();
    let mut arrived: BTreeMap<(i64, String), i64> = BTreeMap::new();
    for line in network.truth("messages.jsonl").lines() {
        let seen: Value = serde_json::from_str(line).unwrap();
        let (Some(line), Some(ns)) = (seen["line"].as_str(), seen["true_ns"].as_i64()) else {
            continue;
        };
        let key = (seen["id"].as_i64().unwrap(), line.to_string());
        if seen["point"] == from {
            left.entry(key).or_insert(ns);
        } else if seen["point"] == to {
            arrived.entry(key).or_insert(ns);
        }
    }
    arrived.iter().filter_map(|(key, at)| Some(at - left.get(key)?)).collect()
}

#[test]
fn fields_of_a_stored_message_are_those_of_the_capture() {
    let network = network();
    let row = &sql(
        &network.store(),
        "SELECT capture_id::varchar AS c, packet_ix AS p, msg_ix AS m FROM messages \
         WHERE protocol = 'nasdaq.ouch.5.0' AND msg_type = 'O' LIMIT 1",
    )[0];
    let (capture, packet, message) = (row["c"].as_str().unwrap(), &row["p"], &row["m"]);
    let fields = sql(
        &network.store(),
        &format!("SELECT name, value FROM fields({capture}, {packet}, {message})"),
    );
    assert!(fields.iter().any(|field| field["name"] == "user_ref_num"), "{fields:?}");
}

#[test]
fn the_report_has_three_forms() {
    let network = network();
    let store = network.store();
    let store = store.to_str().unwrap();
    let text = taptrail_ok(&["report", "--store", store, "--format", "text"]).out;
    assert!(text.contains("P1") && text.contains("P6"), "{text}");
    let json = taptrail_ok(&["report", "--store", store, "--format", "json"]).out;
    serde_json::from_str::<Value>(&json).unwrap();
    let (targets, earlier) =
        (network.dir.path().join("targets.toml"), network.dir.path().join("earlier.json"));
    fs::write(&targets, "[[target]]\nname = \"now\"\nstage = \"ack\"\nmax_ns = 1\n").unwrap();
    fs::write(&earlier, &json).unwrap();
    let (targets, earlier) = (targets.to_str().unwrap(), earlier.to_str().unwrap());
    let options = ["report", "--store", store, "--config", targets, "--against", earlier];
    let compared = taptrail_ok(&options).out;
    assert_eq!(compared, taptrail_ok(&options).out, "the same bytes each time");
    let row = |text: &str, begin: &str| {
        let found = text.lines().find(|line| line.trim_start().starts_with(begin));
        found.unwrap_or_else(|| panic!("no {begin}: {text}")).to_owned()
    };
    assert!(row(&compared, "now ").contains(" no "), "nothing is acknowledged within 1 ns");
    assert!(row(&compared, "tick to order, all sessions").ends_with("+0.0 %"));
    let html = taptrail_ok(&["report", "--store", store, "--format", "html"]).out;
    assert!(html.contains("<html") && !html.contains("src=\"http"), "not self-contained");
}

#[test]
fn packets_come_back_byte_for_byte() {
    let network = network();
    let out = network.dir.path().join("p1.pcapng");
    let store = network.store();
    taptrail_ok(&[
        "export",
        "--store",
        store.to_str().unwrap(),
        "--where",
        "point = 'P1'",
        "-o",
        out.to_str().unwrap(),
    ]);
    let config = network.sim().join("taptrail.toml");
    let decode = |file: &Path| {
        let args = [
            "decode",
            file.to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
            "--format",
            "json",
        ];
        let mut lines: Vec<String> = taptrail_ok(&args).out.lines().map(without_packet).collect();
        lines.sort();
        lines
    };
    assert_eq!(decode(&out), decode(&network.sim().join("P1.pcap")));
}

/// A decoded message without its place in the file: packets of equal time may
/// change places.
fn without_packet(line: &str) -> String {
    let mut message: Value = serde_json::from_str(line).unwrap();
    let object = message.as_object_mut().unwrap();
    object.remove("packet");
    object.remove("packet_ix");
    message.to_string()
}
