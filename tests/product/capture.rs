//! The capture node on a wire of its own. Skipped with a word where this user may
//! make no namespaces.

use crate::support::{Dashboard, command, sql, sql_n, taptrail, taptrail_ok};
use crate::wire::{Wire, counted, ms, run, stored, sum, until, write_noise, write_numbered};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Instant;

#[test]
fn every_packet_of_two_points_is_written_and_accounted() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let node = wire.capture(&store, &["rx0", "rx1"], "segment_s = 1");
    wire.send("tx0", 1, 20_000, 120);
    wire.send("tx1", 2, 5_000, 60);
    until("all packets written", || {
        node.metric("taptrail_packets_total", "rx0", "") == Some(20_000)
            && node.metric("taptrail_packets_total", "rx1", "") == Some(5_000)
    });
    assert_eq!(node.metric("taptrail_dropped_packets_total", "rx0", "disk"), Some(0));
    assert!(node.metric("taptrail_nic_packets_total", "rx0", "").is_some());
    let health = node.ask("/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.contains("rx0: rx0 stamped by system (can:"), "{health}");
    let accounts = node.stop();
    for (point, packets) in [("rx0", 20_000), ("rx1", 5_000)] {
        let account = &accounts[point];
        account.closes();
        assert_eq!((account.seen, account.written), (packets, packets));
        let rounds = stored(&store, point);
        assert_eq!(rounds.values().map(Vec::len).sum::<usize>() as u64, packets);
        for column in ["seen", "taken", "written"] {
            assert_eq!(sum(&store, column, point), packets as i64, "{point} {column}");
        }
    }
    let clocks = "SELECT count(*) AS n FROM clock_stats WHERE source = 'kernel'";
    assert!(sql_n(&store, clocks) > 0);
    let stamps = "SELECT count(*) AS n FROM clock_stats WHERE source = 'stamp' \
                  AND reference = 'system' AND flags LIKE 'can:%software%|set:%'";
    assert!(sql_n(&store, stamps) > 0);
    assert_eq!(sql_n(&store, "SELECT count(*) AS n FROM losses"), 0);
    let lost = "SELECT coalesce(sum(lost_ring), 0)::bigint AS n FROM captures";
    assert_eq!(sql_n(&store, lost), 0);
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn new(wire: &Wire, mib: u32) -> Self {
        let path = wire.dir.path().join("disk");
        fs::create_dir(&path).unwrap();
        let size = format!("size={mib}m");
        assert!(run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", path.to_str().unwrap()]));
        Self(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

#[test]
fn a_full_disk_is_told_counted_and_got_over() {
    let Some(wire) = Wire::new() else { return };
    let disk = Disk::new(&wire, 64);
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 54 << 20]).unwrap();
    let store = disk.0.join("trail");
    let keys = "segment_mib = 2\nkeep_free_mib = 1\ndecode = false";
    let node = wire.capture(&store, &["rx0"], keys);
    wire.send("tx0", 1, 20_000, 1000);
    until("the disk is full", || {
        node.metric("taptrail_dropped_packets_total", "rx0", "disk").is_some_and(|n| n > 0)
    });
    assert!(node.ask("/healthz").starts_with("HTTP/1.1 503"));
    fs::remove_file(&ballast).unwrap();
    let before = node.metric("taptrail_packets_total", "rx0", "").unwrap();
    for round in 2.. {
        wire.send("tx0", round, 500, 100);
        sleep(ms(300));
        if node.metric("taptrail_packets_total", "rx0", "").is_some_and(|n| n > before + 500) {
            break;
        }
        assert!(round < 60, "nothing is written again");
    }
    until("healthy again", || node.ask("/healthz").starts_with("HTTP/1.1 200"));
    let account = &node.stop()["rx0"];
    account.closes();
    assert!(account.disk > 0 && account.queue == 0, "{account:?}");
    let count = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&store, count) as u64, account.written);
    assert_eq!(sum(&store, "dropped_disk", "rx0") as u64, account.disk);
    assert_eq!(counted(&store, "disk"), account.disk);
}

#[test]
fn a_store_that_cannot_be_written_is_refused_at_once() {
    let Some(wire) = Wire::new() else { return };
    let disk = Disk::new(&wire, 8);
    assert!(run("mount", &["-o", "remount,ro", disk.0.to_str().unwrap()]));
    let config = wire.dir.path().join("node.toml");
    fs::write(&config, "[[point]]\nname = 'P1'\ninterface = 'lo'\n").unwrap();
    let store = disk.0.join("trail");
    let run = taptrail(&[
        "capture",
        "--config",
        config.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ]);
    assert_eq!(run.code, 1);
    assert!(run.err.to_lowercase().contains("read-only"), "{}", run.err);
}

#[test]
fn a_store_that_takes_nothing_for_a_while_is_told_counted_and_got_over() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let node = wire.capture(&store, &["rx0"], "segment_s = 1\ndecode = false\nkeep_free_mib = 0");
    wire.send("tx0", 1, 1_000, 100);
    until("written", || node.metric("taptrail_packets_total", "rx0", "") == Some(1_000));
    // The node has given up the privilege of writing where it may not.
    let open = store.join("open");
    let mode = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let sent = AtomicU32::new(2);
    let more = || wire.send("tx0", sent.fetch_add(1, Ordering::Relaxed), 300, 100);
    until("it is told", || {
        more();
        node.ask("/healthz").starts_with("HTTP/1.1 503")
            && node.metric("taptrail_dropped_packets_total", "rx0", "disk").is_some_and(|n| n > 0)
    });
    mode(0o755);
    let before = node.metric("taptrail_packets_total", "rx0", "").unwrap();
    until("it is got over", || {
        more();
        node.ask("/healthz").starts_with("HTTP/1.1 200")
            && node.metric("taptrail_packets_total", "rx0", "") > Some(before + 300)
    });
    let account = &node.stop()["rx0"];
    account.closes();
    assert!(account.disk > 0 && account.queue == 0, "{account:?}");
    let count = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&store, count) as u64, account.written);
    assert_eq!(counted(&store, "disk"), account.disk);
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
}

#[test]
fn an_interface_may_go_down_vanish_and_come_back() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let node = wire.capture(&store, &["rx0"], "segment_s = 1");
    wire.send("tx0", 1, 1_000, 100);
    let written = |n: u64| {
        until("written", || node.metric("taptrail_packets_total", "rx0", "") >= Some(n));
    };
    written(1_000);
    assert!(wire.ip(&wire.rx, &["link", "set", "rx0", "down"]));
    sleep(ms(300));
    assert!(wire.ip(&wire.rx, &["link", "set", "rx0", "up"]));
    let up = || node.metric("taptrail_interface_up", "rx0", "") == Some(1);
    until("open after down", up);
    sleep(ms(1_200));
    until("open after down", up);
    wire.send("tx0", 2, 1_000, 100);
    written(2_000);
    assert!(wire.ip(&wire.rx, &["link", "del", "rx0"]));
    until("seen as gone", || node.ask("/healthz").starts_with("HTTP/1.1 503"));
    assert!(wire.pair(0));
    until("open again", up);
    wire.send("tx0", 3, 1_000, 100);
    written(3_000);
    let account = &node.stop()["rx0"];
    account.closes();
    assert_eq!(account.written, 3_000);
    let rounds = stored(&store, "rx0");
    assert!((1..=3).all(|round| rounds[&round].len() == 1_000));
    let down = "SELECT count(*) AS n FROM capture_stats WHERE NOT up";
    assert!(sql_n(&store, down) > 0);
    let closed = "SELECT count(*) AS n FROM losses WHERE evidence LIKE 'closed:%' \
                  AND count IS NULL AND ts_lo < ts_hi";
    assert!(sql_n(&store, closed) > 0, "nobody listened for a while");
}

#[test]
fn a_paused_node_counts_what_the_ring_dropped() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let node = wire.capture(&store, &["rx0"], "buffer_mib = 1\nsegment_s = 1");
    wire.send("tx0", 1, 500, 100);
    until("written", || node.metric("taptrail_packets_total", "rx0", "") == Some(500));
    node.signal("-STOP");
    wire.send("tx0", 2, 20_000, 500);
    node.signal("-CONT");
    until("drops are told", || {
        node.metric("taptrail_dropped_packets_total", "rx0", "ring").is_some_and(|n| n > 0)
    });
    let account = &node.stop()["rx0"];
    account.closes();
    assert_eq!(account.seen, 20_500);
    assert_eq!(sum(&store, "dropped_ring", "rx0") as u64, account.ring);
    let lost = "SELECT coalesce(sum(lost_ring), 0)::bigint AS n FROM captures";
    assert_eq!(sql_n(&store, lost) as u64, account.ring);
    assert_eq!(counted(&store, "ring"), account.ring);
    let count = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&store, count) as u64, account.written);
}

#[test]
fn directions_filters_and_lengths_are_a_points_own() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let text = "direction = 'in'\nsnaplen = 64\nfilter = 'ether proto 0x88b5'\ncpu = 0\n\
                [[point]]\nname = 'out'\ninterface = 'rx0'\ndirection = 'out'\n";
    let node = wire.capture_with(&store, &["rx0"], "", text);
    let backwards = wire.dir.path().join("back.pcap");
    write_numbered(&backwards, 9, 200, 100);
    let back = ["replay", backwards.to_str().unwrap(), "--interface", "rx0", "--gap", "none"];
    let command = command();
    let rx = ["netns", "exec", &wire.rx, command.get_program().to_str().unwrap()];
    assert!(run("ip", &[&rx[..], &back[..]].concat()));
    wire.send("tx0", 1, 300, 100);
    until("both written", || {
        node.metric("taptrail_packets_total", "rx0", "") == Some(300)
            && node.metric("taptrail_packets_total", "out", "") == Some(200)
    });
    let unknown = node.metric("taptrail_seen_packets_total", "out", "");
    assert_eq!(unknown, None, "the kernel counts both directions");
    let accounts = node.stop();
    accounts["rx0"].closes();
    assert!(!accounts.contains_key("out"), "its account has no number of packets seen");
    assert_eq!(stored(&store, "rx0")[&1].len(), 300);
    assert_eq!(stored(&store, "out")[&9].len(), 200);
    let cut = "SELECT max(cap_len)::bigint AS n FROM packets WHERE point = 'rx0'";
    assert_eq!(sql_n(&store, cut), 64);
}

/// Every row of every table of captures, in order.
fn all_rows(store: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["packets", "messages", "flows", "capture_stats", "clock_stats", "losses"] {
        let lines = sql(store, &format!("SELECT * FROM {table}"));
        rows.extend(lines.iter().map(|row| format!("{table} {row}")));
    }
    rows.sort();
    rows
}

fn files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 1 };
    entries.map(|entry| files(&entry.unwrap().path())).sum()
}

#[test]
fn segments_of_an_hour_are_joined_and_stay_what_they_were() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let node = wire.capture(&store, &["rx0"], "segment_s = 1\nbuffer_mib = 1");
    for round in 1..=4 {
        wire.send("tx0", round, 500, 100);
        let all = u64::from(round) * 500;
        until("written", || node.metric("taptrail_packets_total", "rx0", "") == Some(all));
        sleep(ms(1_000));
    }
    node.stop().remove("rx0").unwrap().closes();
    let captures = sql_n(&store, "SELECT count(*) AS n FROM captures");
    assert!(captures >= 2, "{captures}");
    let (rows, before) = (all_rows(&store), files(&store.join("packets")));
    let run = taptrail_ok(&["compact", "--store", store.to_str().unwrap(), "--all"]);
    assert!(run.out.contains(" files became "), "{}", run.out);
    assert_eq!(all_rows(&store), rows);
    assert_eq!(files(&store.join("packets")), before + 1, "the old ones stay for a while");
    assert_eq!(stored(&store, "rx0").values().map(Vec::len).sum::<usize>(), 2_000);
    let run = taptrail_ok(&["compact", "--store", store.to_str().unwrap(), "--all"]);
    assert!(run.out.starts_with("0 files became 0"), "{}", run.out);
    // A node goes on in such a store.
    wire.capture(&store, &["rx0"], "segment_s = 1").stop();
    assert_eq!(sql_n(&store, "SELECT count(*) AS n FROM packets"), 2_000);
}

#[test]
fn a_running_node_keeps_to_its_limits() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let keys = "segment_s = 1\nsegment_mib = 1\ndecode = false\n[retention]\nmax_mib = 4";
    let node = wire.capture(&store, &["rx0"], keys);
    for round in 1..=4 {
        let noise = wire.dir.path().join("noise.pcap");
        write_noise(&noise, round, 1_500, 1_000);
        wire.send_file("tx0", &noise);
        let all = u64::from(round) * 1_500;
        until("written", || node.metric("taptrail_packets_total", "rx0", "") == Some(all));
        // In captures of its own.
        let sealed = || {
            let metrics = node.ask("/metrics");
            let mut lines = metrics.lines();
            let count = lines.find_map(|line| line.strip_prefix("taptrail_sealed_segments_total "));
            count.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
        };
        let before = sealed();
        until("sealed", || sealed() >= before + 2);
    }
    until("old captures go", || node.errors().contains("retention: "));
    // It may have gone by before the last round.
    until("it keeps to its limit", || size(&store.join("packets")) <= 4 << 20);
    let account = &node.stop()["rx0"];
    account.closes();
    assert_eq!(account.written, 6_000);
    let rounds = stored(&store, "rx0");
    assert!(rounds.contains_key(&4) && !rounds.contains_key(&1), "{:?}", rounds.keys());
}

/// Bytes of all files; those that vanish meanwhile have none.
fn size(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}

#[test]
fn a_full_queue_is_counted_and_told_as_a_loss() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    // A batch at a time fits: what comes while one is written is dropped.
    let node = wire.capture(&store, &["rx0"], "queue_mib = 0\nsegment_mib = 4");
    let full =
        || node.metric("taptrail_dropped_packets_total", "rx0", "queue").is_some_and(|n| n > 0);
    for round in 1.. {
        wire.send("tx0", round, 20_000, 1_200);
        if full() {
            break;
        }
        assert!(round < 30, "the queue never filled");
    }
    let account = &node.stop()["rx0"];
    account.closes();
    assert!(account.queue > 0 && account.disk == 0, "{account:?}");
    assert_eq!(counted(&store, "queue"), account.queue);
    let count = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&store, count) as u64, account.written);
    let report = taptrail_ok(&["report", "--store", store.to_str().unwrap(), "--format", "text"]);
    assert!(report.out.contains("queue: the node's queue to the disk was full"), "{}", report.out);
}

#[test]
fn stamps_that_an_adapter_cannot_give_are_flagged_and_counted() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let text = "adapter_stamps = true\ndirection = 'in'\nfilter = 'ether proto 0x88b5'\n";
    let node = wire.capture_with(&store, &["rx0"], "segment_s = 1", text);
    wire.send("tx0", 1, 700, 100);
    until("written", || node.metric("taptrail_packets_total", "rx0", "") == Some(700));
    let metrics = node.ask("/metrics");
    let stamped = |clock: &str| {
        let start = "taptrail_stamped_packets_total{point=\"rx0\",interface=\"rx0\",clock=\"";
        metrics.lines().find_map(|line| line.strip_prefix(&format!("{start}{clock}\"}} ")))
    };
    assert_eq!((stamped("adapter"), stamped("system")), (Some("0"), Some("700")));
    assert!(node.errors().contains("the adapter does not stamp packets"), "{}", node.errors());
    let account = &node.stop()["rx0"];
    account.closes();
    assert_eq!((account.seen, account.written), (700, 700));
    assert_eq!(stored(&store, "rx0")[&1].len(), 700);
    let flagged = "SELECT count(*) AS n FROM packets WHERE ts_flags & 1024 = 1024";
    assert_eq!(sql_n(&store, flagged), 700);
    let stamped = "SELECT sum(stamped_adapter)::bigint AS n FROM capture_stats";
    assert_eq!(sql_n(&store, stamped), 0);
}

#[test]
fn a_node_ships_while_it_captures_and_goes_on_at_its_next_start() {
    let Some(wire) = Wire::new() else { return };
    let (store, share) = (wire.store(), wire.dir.path().join("share"));
    let ship = format!(
        "[ship]\nto = '{}'\nnode = 'a'\npolicy = 'all'\n[retention]\nmax_mib = 0\n",
        share.display()
    );
    let node = wire.capture_with(&store, &["rx0"], "segment_s = 1", &ship);
    let sent = AtomicU32::new(0);
    // Retention wants all of it gone at once: what waits is held for the share.
    until("shipped while capturing", || {
        wire.send("tx0", sent.fetch_add(1, Ordering::Relaxed), 500, 100);
        sleep(ms(300));
        share.join("FORMAT").exists() && sql_n(&share, "SELECT count(*) AS n FROM packets") > 0
    });
    node.stop();
    let at_once = "SELECT count(*) AS n FROM captures WHERE node = 'a'";
    let before = sql_n(&share, at_once);
    let config = wire.dir.path().join("node.toml");
    taptrail_ok(&[
        "ship",
        "--once",
        "--config",
        config.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ]);
    assert!(sql_n(&share, at_once) >= before);
    let rounds = stored(&share, "rx0");
    assert_eq!(rounds.len() as u32, sent.load(Ordering::Relaxed));
    assert!(rounds.values().all(|numbers| numbers.len() == 500), "{:?}", rounds.keys());
}

#[test]
fn hops_of_a_running_node_come_to_the_dashboard() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let point = |name: &str, interface: &str| {
        format!("[[point]]\nname = '{name}'\ninterface = '{interface}'\nclock = 'C'\n")
    };
    let points = format!("segment_s = 1\n{}{}", point("edge", "rx0"), point("core", "rx1"));
    let node = wire.capture(&store, &[], &points);
    let mut serving = command();
    let config = wire.dir.path().join("node.toml");
    serving.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    let dashboard = Dashboard::start(serving.arg("--store").arg(&store));
    let feed =
        concat!(env!("CARGO_MANIFEST_DIR"), "/samples/captures/nasdaq.totalview-itch.5.0.pcap");
    let start = Instant::now();
    // As on a line that is in use: time goes on by what comes.
    let found = || {
        wire.send_file("tx0", Path::new(feed));
        wire.send_file("tx1", Path::new(feed));
        let hops = dashboard.get("/api/hops");
        hops.contains("\"from_point\":\"edge\"") && hops.contains("\"to_point\":\"core\"")
    };
    until("the hop", found);
    println!("on the dashboard {} ms after the first packet was sent", start.elapsed().as_millis());
    node.stop();
}

#[test]
fn gaps_are_replayed() {
    let Some(wire) = Wire::new() else { return };
    let file = wire.dir.path().join("gaps.pcap");
    // 1 us apart: at a hundredth of the speed 301 packets take 30 ms.
    write_numbered(&file, 1, 301, 60);
    let start = Instant::now();
    let mut child = Command::new("ip")
        .args(["netns", "exec", &wire.tx])
        .arg(command().get_program())
        .args(["replay", file.to_str().unwrap(), "--interface", "tx0", "--speed", "0.01"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(start.elapsed() >= ms(30));
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("301 packets"), "{text}");
}
