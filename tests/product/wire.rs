//! A wire of its own for capture nodes: two network namespaces joined by virtual
//! interfaces, the node in the one, `taptrail replay` in the other.

use crate::support::{command, sql, sql_n};
use std::collections::BTreeMap;
use std::fs;
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

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn run(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    run.is_ok_and(|output| output.status.success())
}

/// Two namespaces: `tx0` and `tx1` in the one, `rx0` and `rx1` in the other.
pub struct Wire {
    pub dir: TempDir,
    pub tx: String,
    pub rx: String,
}

impl Wire {
    /// `None`, with a word, where it cannot be made.
    pub fn new() -> Option<Self> {
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
    pub fn pair(&self, number: u32) -> bool {
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

    pub fn ip(&self, ns: &str, arguments: &[&str]) -> bool {
        run("ip", &[&["-n", ns], arguments].concat())
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("trail")
    }

    /// Starts a node with `[capture]` keys and one point for each interface.
    pub fn capture(&self, store: &Path, interfaces: &[&str], keys: &str) -> Node {
        self.capture_with(store, interfaces, keys, "")
    }

    /// The same, `more` behind the last point.
    pub fn capture_with(&self, store: &Path, interfaces: &[&str], keys: &str, more: &str) -> Node {
        let node = self.spawn(store, interfaces, keys, more);
        node.wait_for("metrics: http");
        node
    }

    /// The same, without waiting until it is ready.
    pub fn spawn(&self, store: &Path, interfaces: &[&str], keys: &str, more: &str) -> Node {
        let mut text = format!("[capture]\nlisten = '127.0.0.1:9461'\n{keys}\n");
        for interface in interfaces {
            text += &format!("[[point]]\nname = '{interface}'\ninterface = '{interface}'\n");
        }
        self.start_node("node", store, &(text + more))
    }

    /// A second node beside the first, of one interface, that only keeps packets.
    pub fn witness(&self, store: &Path, interface: &str) -> Node {
        let text = format!(
            "[capture]\nlisten = '127.0.0.1:9462'\ndecode = false\n\
             [[point]]\nname = '{interface}'\ninterface = '{interface}'\n"
        );
        let node = self.start_node("witness", store, &text);
        node.wait_for("metrics: http");
        node
    }

    fn start_node(&self, name: &str, store: &Path, text: &str) -> Node {
        let config = self.dir.path().join(format!("{name}.toml"));
        fs::write(&config, text).unwrap();
        let errors = self.dir.path().join(format!("{name}.errors"));
        let child = Command::new("ip")
            .args(["netns", "exec", &self.rx])
            .arg(command().get_program())
            .args(["capture", "--config", config.to_str().unwrap()])
            .args(["--store", store.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        Node { child, errors, rx: self.rx.clone() }
    }

    /// Sends `packets` of `len` bytes, numbered, marked with `round`.
    pub fn send(&self, interface: &str, round: u32, packets: u32, len: usize) {
        assert!(self.start_sending(interface, round, packets, len).wait().unwrap().success());
    }

    pub fn start_sending(&self, interface: &str, round: u32, packets: u32, len: usize) -> Child {
        let file = self.dir.path().join(format!("{interface}-{round}.pcap"));
        write_numbered(&file, round, packets, len);
        self.start_file(interface, &file)
    }

    pub fn send_file(&self, interface: &str, file: &Path) {
        assert!(self.start_file(interface, file).wait().unwrap().success());
    }

    fn start_file(&self, interface: &str, file: &Path) -> Child {
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
pub fn write_numbered(path: &Path, round: u32, packets: u32, len: usize) {
    write_frames(path, round, packets, |data| data.resize(len, 0));
}

/// The same, filled with what no compression makes smaller.
pub fn write_noise(path: &Path, round: u32, packets: u32, len: usize) {
    let mut state = u64::from(round);
    write_frames(path, round, packets, |data| {
        while data.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend(state.to_le_bytes());
        }
    });
}

pub fn write_frames(path: &Path, round: u32, packets: u32, mut fill: impl FnMut(&mut Vec<u8>)) {
    let frames = (0..packets).map(|number| {
        let mut data = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
        data.extend(round.to_be_bytes());
        data.extend(number.to_be_bytes());
        fill(&mut data);
        data
    });
    write_packets(path, frames);
}

/// Ethernet frames, a microsecond apart.
pub fn write_packets(path: &Path, frames: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let mut writer = PcapWriter::new(file, LinkType::ETHERNET).unwrap();
    for (number, data) in (0..).zip(frames) {
        let data = data.as_ref();
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
        writer.write(&meta, data).unwrap();
    }
    writer.finish().unwrap();
}

/// A node that runs in the receiving namespace.
pub struct Node {
    child: Child,
    errors: PathBuf,
    rx: String,
}

impl Node {
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }

    pub fn wait_for(&self, text: &str) {
        until(text, || self.errors().contains(text));
    }

    pub fn signal(&self, signal: &str) {
        assert!(run("kill", &[signal, &self.child.id().to_string()]));
    }

    /// What one of the two addresses answers.
    pub fn ask(&self, path: &str) -> String {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/9461; printf 'GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\n\
             Connection: close\\r\\n\\r\\n' >&3; cat <&3"
        );
        let output =
            Command::new("ip").args(["netns", "exec", &self.rx, "bash", "-c", &script]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }

    /// A metric of a point by the start of its line.
    pub fn metric(&self, name: &str, point: &str, cause: &str) -> Option<u64> {
        let text = self.ask("/metrics");
        let line = text.lines().find(|line| {
            line.starts_with(&format!("{name}{{point=\"{point}\""))
                && (cause.is_empty() || line.contains(&format!("cause=\"{cause}\"")))
        })?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Stops it as a service manager does and gives the account of each point.
    pub fn stop(mut self) -> BTreeMap<String, Account> {
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

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The last line that a node says of a point.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    pub seen: u64,
    pub written: u64,
    pub ring: u64,
    pub queue: u64,
    pub writer: u64,
    pub disk: u64,
    pub left: u64,
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
            writer: number("by the writer "),
            disk: number("by the disk "),
            left: number("left in the ring "),
        }
    }

    /// Everything seen is written or dropped with a cause.
    pub fn closes(&self) {
        let told = self.written + self.ring + self.queue + self.writer + self.disk + self.left;
        assert_eq!(self.seen, told, "{self:?}");
        assert_eq!(self.left, 0, "{self:?}");
    }
}

pub fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "did not come: {what}");
        sleep(ms(20));
    }
}

/// Numbers by round of the packets stored at a point; each at most once.
pub fn stored(store: &Path, point: &str) -> BTreeMap<u32, Vec<u32>> {
    let mut rounds: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (round, number) in stored_at(store, point).into_keys() {
        rounds.entry(round).or_default().push(number);
    }
    rounds
}

/// When packets passed that are stored at a point, ns, by round and number; each at most
/// once.
pub fn stored_at(store: &Path, point: &str) -> BTreeMap<(u32, u32), i64> {
    let statement = format!(
        "SELECT substr(hex(data), 29, 16) AS d, CAST(ts AS bigint) AS ns FROM packets \
         WHERE point = '{point}'"
    );
    let mut stored = BTreeMap::new();
    for row in sql(store, &statement) {
        let data = row["d"].as_str().unwrap();
        let word = |at: usize| u32::from_str_radix(&data[at..at + 8], 16).unwrap();
        // A number of 64 bits may be shown as text.
        let ns = row["ns"].as_i64().or_else(|| row["ns"].as_str()?.parse().ok()).unwrap();
        let before = stored.insert((word(0), word(8)), ns);
        assert!(before.is_none(), "round {} packet {}: stored twice", word(0), word(8));
    }
    stored
}

pub fn sum(store: &Path, column: &str, point: &str) -> i64 {
    let from = format!("FROM capture_stats WHERE point = '{point}'");
    sql_n(store, &format!("SELECT coalesce(sum({column}), 0)::bigint AS n {from}"))
}

/// What `losses` says that captures counted as dropped at a place.
pub fn counted(store: &Path, place: &str) -> u64 {
    let from = format!("FROM losses WHERE cause = 'capture' AND evidence LIKE '{place}:%'");
    sql_n(store, &format!("SELECT coalesce(sum(count), 0)::bigint AS n {from}")) as u64
}
