//! The capture node on a wire of its own: two network namespaces joined by
//! virtual interfaces, packets sent by `taptrail replay`. Skipped with a word
//! where this user may make no namespaces.

use crate::support::{command, sql, sql_n, taptrail, taptrail_ok};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::time::Timestamp;
use tempfile::TempDir;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    run.is_ok_and(|output| output.status.success())
}

/// Two namespaces: `tx0` and `tx1` in the one, `rx0` and `rx1` in the other.
struct Wire {
    dir: TempDir,
    tx: String,
    rx: String,
}

impl Wire {
    /// `None`, with a word, where it cannot be made.
    fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("taptrail-{}-{number}-{end}", std::process::id());
        let wire = Self { dir: TempDir::new().unwrap(), tx: name("tx"), rx: name("rx") };
        let made = [&wire.tx, &wire.rx].iter().all(|ns| run("ip", &["netns", "add", ns]));
        if made && (0..2).all(|pair| wire.pair(pair)) {
            assert!(wire.ip(&wire.rx, &["link", "set", "lo", "up"]));
            return Some(wire);
        }
        println!("skipped: network namespaces need root");
        None
    }

    /// Makes a pair of interfaces that carry nothing but what is sent.
    fn pair(&self, number: u32) -> bool {
        let ends = [(&self.tx, format!("tx{number}")), (&self.rx, format!("rx{number}"))];
        let [(tx, tx_name), (rx, rx_name)] = &ends;
        let made = run(
            "ip",
            &[
                "-n", tx, "link", "add", tx_name, "type", "veth", "peer", "name", rx_name, "netns",
                rx,
            ],
        );
        made && ends.iter().all(|(ns, name)| {
            let quiet = format!("echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6 || true");
            run("ip", &["netns", "exec", ns, "sh", "-c", &quiet])
                && self.ip(ns, &["link", "set", name, "arp", "off", "up"])
        })
    }

    fn ip(&self, ns: &str, arguments: &[&str]) -> bool {
        run("ip", &[&["-n", ns], arguments].concat())
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("trail")
    }

    /// Starts a node with `[capture]` keys and one point for each interface.
    fn capture(&self, store: &Path, interfaces: &[&str], keys: &str) -> Node {
        self.capture_with(store, interfaces, keys, "")
    }

    /// The same, `more` behind the last point.
    fn capture_with(&self, store: &Path, interfaces: &[&str], keys: &str, more: &str) -> Node {
        let mut text = format!("[capture]\nlisten = '127.0.0.1:9461'\n{keys}\n");
        for interface in interfaces {
            text += &format!("[[point]]\nname = '{interface}'\ninterface = '{interface}'\n");
        }
        let config = self.dir.path().join("node.toml");
        fs::write(&config, text + more).unwrap();
        let errors = self.dir.path().join("errors");
        let child = Command::new("ip")
            .args(["netns", "exec", &self.rx])
            .arg(command().get_program())
            .args(["capture", "--config", config.to_str().unwrap()])
            .args(["--store", store.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let node = Node { child, errors, rx: self.rx.clone() };
        node.wait_for("metrics: http");
        node
    }

    /// Sends `packets` of `len` bytes, numbered, marked with `round`.
    fn send(&self, interface: &str, round: u32, packets: u32, len: usize) {
        assert!(self.start_sending(interface, round, packets, len).wait().unwrap().success());
    }

    fn start_sending(&self, interface: &str, round: u32, packets: u32, len: usize) -> Child {
        let file = self.dir.path().join(format!("{interface}-{round}.pcap"));
        write_numbered(&file, round, packets, len);
        Command::new("ip")
            .args(["netns", "exec", &self.tx])
            .arg(command().get_program())
            .args(["replay", file.to_str().unwrap(), "--interface", interface, "--gap", "none"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for ns in [&self.tx, &self.rx] {
            run("ip", &["netns", "del", ns]);
        }
    }
}

/// Ethernet frames of a local experimental type: round and number behind it.
fn write_numbered(path: &Path, round: u32, packets: u32, len: usize) {
    let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let mut writer = PcapWriter::new(file, LinkType::ETHERNET).unwrap();
    for number in 0..packets {
        let mut data = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
        data.extend(round.to_be_bytes());
        data.extend(number.to_be_bytes());
        data.resize(len, 0);
        let ts = Timestamp::from_ns(1_700_000_000_000_000_000 + i64::from(number) * 1000);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix: number,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        writer.write(&meta, &data).unwrap();
    }
    writer.finish().unwrap();
}

/// A node that runs in the receiving namespace.
struct Node {
    child: Child,
    errors: PathBuf,
    rx: String,
}

impl Node {
    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    fn wait_for(&self, text: &str) {
        until(text, || self.errors().contains(text));
    }

    fn signal(&self, signal: &str) {
        assert!(run("kill", &[signal, &self.child.id().to_string()]));
    }

    /// What one of the two addresses answers.
    fn ask(&self, path: &str) -> String {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/9461; printf 'GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\n\
             Connection: close\\r\\n\\r\\n' >&3; cat <&3"
        );
        let output =
            Command::new("ip").args(["netns", "exec", &self.rx, "bash", "-c", &script]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }

    /// A metric of a point by the start of its line.
    fn metric(&self, name: &str, point: &str, cause: &str) -> Option<u64> {
        let text = self.ask("/metrics");
        let line = text.lines().find(|line| {
            line.starts_with(&format!("{name}{{point=\"{point}\""))
                && (cause.is_empty() || line.contains(&format!("cause=\"{cause}\"")))
        })?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Stops it as a service manager does and gives the account of each point.
    fn stop(mut self) -> BTreeMap<String, Account> {
        self.signal("-TERM");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "does not stop: {}", self.errors());
            sleep(ms(20));
        };
        let text = self.errors();
        assert!(status.success(), "{text}");
        let lines = text.lines().filter_map(|line| line.strip_prefix("taptrail: "));
        lines
            .filter_map(|line| line.split_once(": seen "))
            .filter(|(_, account)| !account.starts_with("unknown"))
            .map(|(point, account)| (point.to_string(), Account::read(account)))
            .collect()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The last line that a node says of a point.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    seen: u64,
    written: u64,
    ring: u64,
    queue: u64,
    disk: u64,
    left: u64,
}

impl Account {
    fn read(text: &str) -> Self {
        let number = |before: &str| -> u64 {
            let rest = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}")).1;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or_else(|_| panic!("{before}: {text}"))
        };
        let (seen, _) = text.split_once(':').unwrap();
        Self {
            seen: seen.parse().unwrap(),
            written: number("written "),
            ring: number("by the ring "),
            queue: number("by the queue "),
            disk: number("by the disk "),
            left: number("left in the ring "),
        }
    }

    /// Everything seen is written or dropped with a cause.
    fn closes(&self) {
        let told = self.written + self.ring + self.queue + self.disk + self.left;
        assert_eq!(self.seen, told, "{self:?}");
        assert_eq!(self.left, 0, "{self:?}");
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "did not come: {what}");
        sleep(ms(20));
    }
}

/// Numbers by round of the packets stored at a point; each at most once.
fn stored(store: &Path, point: &str) -> BTreeMap<u32, Vec<u32>> {
    let statement = format!("SELECT hex(data) AS d FROM packets WHERE point = '{point}'");
    let mut rounds: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in sql(store, &statement) {
        let data = row["d"].as_str().unwrap();
        let word = |at: usize| u32::from_str_radix(&data[at..at + 8], 16).unwrap();
        rounds.entry(word(28)).or_default().push(word(36));
    }
    for (round, numbers) in &mut rounds {
        numbers.sort_unstable();
        let all = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "round {round}: packets stored twice");
    }
    rounds
}

fn sum(store: &Path, column: &str, point: &str) -> i64 {
    let from = format!("FROM capture_stats WHERE point = '{point}'");
    sql_n(store, &format!("SELECT coalesce(sum({column}), 0)::bigint AS n {from}"))
}

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
    assert!(node.ask("/healthz").starts_with("HTTP/1.1 200"), "{}", node.ask("/healthz"));
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
    let lost = "SELECT coalesce(sum(lost_ring), 0)::bigint AS n FROM captures";
    assert_eq!(sql_n(&store, lost), 0);
}

#[test]
fn killed_at_any_moment_nothing_sealed_is_lost_or_doubled() {
    let Some(wire) = Wire::new() else { return };
    let store = wire.store();
    let mut sent = BTreeMap::new();
    for round in 0..8 {
        let node = wire.capture(&store, &["rx0"], "segment_s = 1\nsegment_mib = 1");
        let mut sending = wire.start_sending("tx0", round, 30_000, 200);
        // Another moment each time: while opening, writing, sealing, importing.
        sleep(ms(u64::from(round) * 190 + 40));
        node.kill();
        sending.wait().unwrap();
        sent.insert(round, 30_000);
    }
    wire.capture(&store, &["rx0"], "segment_s = 1").stop();
    let rounds = stored(&store, "rx0");
    assert!(rounds.values().map(Vec::len).sum::<usize>() > 30_000, "hardly anything was kept");
    for (round, numbers) in rounds {
        let span = numbers.last().unwrap() - numbers.first().unwrap() + 1;
        assert_eq!(span as usize, numbers.len(), "round {round}: a hole among kept packets");
    }
    assert_eq!(fs::read_dir(store.join("open")).unwrap().count(), 0);
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
