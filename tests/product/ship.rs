//! Nodes and a hub: the real binary on loopback, with certificates that it made,
//! links that break, and processes that are killed.

use crate::network::network;
use crate::support::{command, sql, sql_n, taptrail, taptrail_ok};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "did not come: {what}");
        sleep(ms(50));
    }
}

/// A directory with certificates, a hub's configuration, and stores.
pub struct Site {
    dir: TempDir,
    port: u16,
}

impl Site {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        // Free now; a hub that is started again needs the same one.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let certs = dir.path().join("certs");
        let out = certs.to_str().unwrap();
        taptrail_ok(&["certs", "--out", out, "--hub", "localhost,127.0.0.1", "--node", "a"]);
        taptrail_ok(&["certs", "--out", out, "--node", "b"]);
        let hub = format!(
            "[hub]\nlisten = '127.0.0.1:{port}'\nca = 'certs/ca.pem'\n\
             certificate = 'certs/hub.pem'\nkey = 'certs/hub.key'\nkeep_free_mib = 0\ncorrelate = false\n\
             [serve]\nlisten = '127.0.0.1:0'\n"
        );
        fs::write(dir.path().join("hub.toml"), hub).unwrap();
        Self { dir, port }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn hub_store(&self) -> PathBuf {
        self.path("hub")
    }

    /// Starts the hub; it answers when this returns.
    fn hub(&self) -> Hub {
        let mut child = command()
            .args(["hub", "--config", self.path("hub.toml").to_str().unwrap(), "--store"])
            .arg(self.hub_store())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.path("hub.errors")).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).find_map(|line| {
            line.strip_prefix("dashboard: http://")?.split('/').next().map(String::from)
        });
        let errors = || fs::read_to_string(self.path("hub.errors")).unwrap();
        Hub { child, dashboard: told.unwrap_or_else(errors).parse().unwrap() }
    }

    /// A node's store with captures, and its configuration.
    pub fn node(&self, name: &str, captures: &[String], more: &str) -> Node {
        let (store, config) = (self.path(name), self.path(&format!("{name}.toml")));
        let sim = network().sim().join("taptrail.toml");
        let mut args = vec!["import", "--no-correlate", "--store", store.to_str().unwrap()];
        args.extend(["--config", sim.to_str().unwrap()]);
        args.extend(captures.iter().map(String::as_str));
        taptrail_ok(&args);
        self.configure(name, self.port, name, more);
        Node { store, config }
    }

    fn configure(&self, name: &str, port: u16, certificate: &str, more: &str) {
        let text = format!(
            "[ship]\nto = 'https://127.0.0.1:{port}'\nca = 'certs/ca.pem'\n\
             certificate = 'certs/{certificate}.pem'\nkey = 'certs/{certificate}.key'\n{more}\n"
        );
        fs::write(self.path(&format!("{name}.toml")), text).unwrap();
    }
}

/// A hub that ends with the test.
struct Hub {
    child: Child,
    dashboard: SocketAddr,
}

impl Hub {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.dashboard).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn nodes(&self) -> Vec<Value> {
        let answer: Value = serde_json::from_str(&self.get("/api/nodes")).unwrap();
        answer["nodes"].as_array().unwrap().clone()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // SIGKILL: a hub never gets the chance to end well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Node {
    pub store: PathBuf,
    config: PathBuf,
}

impl Node {
    pub fn arguments(&self) -> [&str; 5] {
        let (config, store) = (self.config.to_str().unwrap(), self.store.to_str().unwrap());
        ["ship", "--config", config, "--store", store]
    }

    fn ship_once(&self) -> crate::support::Run {
        taptrail(&[&self.arguments()[..], &["--once"]].concat())
    }

    /// Ships in the background until it is killed.
    fn ship(&self) -> Hub {
        let child = command()
            .args(self.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Hub { child, dashboard: ([127, 0, 0, 1], 0).into() }
    }
}

/// What distinguishes the messages of a store, point by point.
pub fn messages(store: &Path) -> Vec<Value> {
    sql(
        store,
        "SELECT point, count(*) AS n, count(DISTINCT capture_id) AS captures, \
         sum(CAST(packet_ix AS bigint) * 31 + msg_ix * 7 + entry) AS places, \
         min(ts) AS first, max(ts) AS last, sum(price) AS prices, \
         count(DISTINCT concat(capture_id, '.', packet_ix, '.', msg_ix, '.', entry)) AS ids \
         FROM messages GROUP BY point ORDER BY point",
    )
}

pub fn captures_of(points: &[&str]) -> Vec<String> {
    let all = network().captures();
    let of = |capture: &&String| points.iter().any(|p| capture.starts_with(&format!("{p}=")));
    let chosen: Vec<String> = all.iter().filter(of).cloned().collect();
    assert_eq!(chosen.len(), points.len(), "{points:?} of {all:?}");
    chosen
}

/// The points of the network in two halves.
pub fn halves() -> (Vec<String>, Vec<String>) {
    let all = network().captures();
    let (a, b) = all.split_at(all.len() / 2);
    (a.to_vec(), b.to_vec())
}

#[test]
fn two_nodes_at_a_hub_are_one_network() {
    let (site, halves) = (Site::new(), halves());
    let hub = site.hub();
    let a = site.node("a", &halves.0, "policy = 'all'");
    let b = site.node("b", &halves.1, "");
    for node in [&a, &b] {
        let run = node.ship_once();
        assert_eq!(run.code, 0, "{}", run.err);
    }
    let again = b.ship_once();
    assert!(again.out.starts_with("0 imports shipped"), "{}", again.out);
    let whole = network().store();
    assert_eq!(messages(&site.hub_store()), messages(&whole));
    let packets = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&site.hub_store(), packets), sql_n(&a.store, packets));
    let rows = sql(&site.hub_store(), "SELECT point, node FROM captures ORDER BY point");
    let of_a = rows.iter().filter(|row| row["node"] == "a").count();
    assert_eq!((rows.len(), of_a), (halves.0.len() + halves.1.len(), halves.0.len()));

    let sim = network().sim().join("taptrail.toml");
    let store = site.hub_store();
    let store = store.to_str().unwrap();
    taptrail_ok(&["correlate", "--store", store, "--config", sim.to_str().unwrap()]);
    let links = "SELECT kind, rule, count(*) AS n, sum(latency_ns) AS ns FROM links \
                 GROUP BY kind, rule ORDER BY kind, rule";
    assert_eq!(sql(&site.hub_store(), links), sql(&whole, links));
    let across = "SELECT count(*) AS n FROM links l \
                  JOIN (SELECT DISTINCT point, node FROM captures) f ON f.point = l.from_point \
                  JOIN (SELECT DISTINCT point, node FROM captures) t ON t.point = l.to_point \
                  WHERE f.node <> t.node";
    assert!(sql_n(&site.hub_store(), across) > 0);

    let nodes = hub.nodes();
    let told: Vec<_> = nodes.iter().map(|n| (&n["node"], &n["light"], &n["lag_ms"])).collect();
    assert_eq!(
        told,
        [(&"a".into(), &"ok".into(), &"0".into()), (&"b".into(), &"ok".into(), &"0".into())]
    );
    let metrics = hub.get("/metrics");
    for line in ["taptrail_node_up{node=\"a\"} 1", "taptrail_node_waiting{node=\"b\"} 0"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // Packets stay with b: asked for they are named, not missed.
    let statement = "SELECT capture_id FROM captures WHERE node = 'b' LIMIT 1";
    let capture = sql(&site.hub_store(), statement)[0]["capture_id"].to_string();
    let run = taptrail(&["redecode", "--store", store, "--capture", &capture]);
    assert!(run.code == 1 && run.err.contains("without its packets"), "{}", run.err);
    let tags = "SELECT count(*) AS n FROM fix.tags WHERE point = ";
    let run = taptrail(&["sql", "--store", store, &format!("{tags}'P7'")]);
    assert!(run.code == 1 && run.err.contains("without its packets"), "{}", run.err);
    let tags = format!("{tags}'P3'");
    assert_eq!(sql_n(&site.hub_store(), &tags), sql_n(&whole, &tags));
    assert_eq!(messages(&site.hub_store()), messages(&whole));
}

#[test]
fn killed_again_and_again_nothing_is_lost_or_doubled() {
    let (site, halves) = (Site::new(), halves());
    // So slow that there is a middle.
    let a = site.node("a", &halves.0, "policy = 'all'\nmax_mib_s = 1");
    let under_way = || fs::read_dir(site.hub_store().join("incoming/a")).map_or(0, Iterator::count);
    let mut middles = 0;
    for round in 0..20 {
        let (mut hub, mut node) = (site.hub(), a.ship());
        until("something under way", || under_way() > 0);
        sleep(ms(round % 3 * 40));
        // SIGKILL for the hub, or for the node, in turns.
        let victim = if round % 2 == 0 { &mut hub } else { &mut node };
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
        middles += usize::from(under_way() > 0);
        if middles >= 4 {
            break;
        }
    }
    assert!(middles >= 2, "never killed in the middle");
    let _hub = site.hub();
    site.configure("a", site.port, "a", "policy = 'all'");
    let run = a.ship_once();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(messages(&site.hub_store()), messages(&a.store));
    let packets = "SELECT point, count(*) AS n, sum(cap_len) AS bytes FROM packets \
                   GROUP BY point ORDER BY point";
    assert_eq!(sql(&site.hub_store(), packets), sql(&a.store, packets));
    let left = fs::read_dir(site.hub_store().join("incoming/a"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

/// A link of which each connection carries so many bytes to the hub and then breaks.
struct Link {
    port: u16,
    broken: Arc<AtomicUsize>,
}

impl Link {
    fn new(hub: u16, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = Self { port, broken: Arc::default() };
        let broken = Arc::clone(&link.broken);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", hub)) else { continue };
                let broken = Arc::clone(&broken);
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                std::thread::spawn(move || carry(back.0, back.1, usize::MAX));
                std::thread::spawn(move || {
                    if carry(near, far, bytes) {
                        broken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        link
    }
}

/// Carries bytes until the end, or so many; true where it broke.
fn carry(mut from: TcpStream, mut to: TcpStream, mut most: usize) -> bool {
    let mut buffer = [0; 16 << 10];
    let broke = loop {
        let len = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break false,
            Ok(len) => len.min(most),
        };
        most -= len;
        if to.write_all(&buffer[..len]).is_err() {
            break false;
        }
        if most == 0 {
            break true;
        }
    };
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
    broke
}

fn largest_file(directory: &Path) -> usize {
    let sizes = fs::read_dir(directory).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            largest_file(&path)
        } else {
            fs::metadata(&path).unwrap().len() as usize
        }
    });
    sizes.max().unwrap_or(0)
}

#[test]
fn a_link_that_breaks_resumes_where_it_was() {
    let (site, halves) = (Site::new(), halves());
    let config = fs::read_to_string(site.path("hub.toml")).unwrap();
    fs::write(site.path("hub.toml"), config.replace("correlate = false", "")).unwrap();
    let hub = site.hub();
    let a = site.node("a", &halves.0, "");
    // Much less than the largest file, which arrives nevertheless.
    let link = Link::new(site.port, largest_file(&a.store) / 3);
    site.configure("a", link.port, "a", "policy = 'all'");
    let shipping = a.ship();
    let imports = |nodes: &[Value]| nodes.first().map(|node| node["imports"].clone());
    let all = Some(Value::from(halves.0.len().to_string()));
    until("all imports", || imports(&hub.nodes()) == all);
    assert!(link.broken.load(Ordering::Relaxed) >= 3);
    let links = "SELECT count(*) AS n FROM links";
    until("the hub's own correlation", || sql_n(&site.hub_store(), links) > 0);
    drop(shipping);
    assert_eq!(messages(&site.hub_store()), messages(&a.store));
    let packets = "SELECT count(*) AS n FROM packets";
    assert_eq!(sql_n(&site.hub_store(), packets), sql_n(&a.store, packets));
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a node's metric without labels says.
fn metric(port: u16, name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name} ")))?;
    line.parse().ok()
}

#[test]
fn a_node_captures_while_its_hub_is_away_and_ships_once_it_is_back() {
    let site = Site::new();
    let [metrics, port] = [free_port(), free_port()];
    let more = format!(
        "policy = 'all'\n[capture]\nlisten = '127.0.0.1:{metrics}'\nsegment_s = 1\n\
         keep_free_mib = 0\n[[point]]\nname = 'P1'\ninterface = 'lo'\n\
         filter = 'udp dst port {port}'\n"
    );
    site.configure("a", site.port, "a", &more);
    let node = Node { store: site.path("a"), config: site.path("a.toml") };
    let errors = site.path("a.errors");
    let child = command()
        .args(["capture", "--config", node.config.to_str().unwrap(), "--store"])
        .arg(&node.store)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let mut capture = Hub { child, dashboard: ([127, 0, 0, 1], metrics).into() };
    let said = || fs::read_to_string(&errors).unwrap();
    until("it captures or may not", || {
        said().contains("metrics: http") || said().contains("CAP_NET")
    });
    if said().contains("CAP_NET") {
        return println!("skipped: capturing needs root");
    }
    let (socket, sent) = (UdpSocket::bind("127.0.0.1:0").unwrap(), AtomicUsize::new(0));
    // Nobody listens: the answer to a datagram is an error of the next one.
    let send = || {
        let done = (0..50).filter(|_| socket.send_to(b"a datagram", ("127.0.0.1", port)).is_ok());
        sent.fetch_add(done.count(), Ordering::Relaxed);
        sleep(ms(100));
    };
    let failing = |is: u64| {
        send();
        metric(metrics, "taptrail_ship_failing") == Some(is)
    };
    until("the hub is away", || failing(1));
    let packets = "SELECT count(*) AS n FROM packets";
    let there =
        || site.hub_store().join("FORMAT").exists().then(|| sql_n(&site.hub_store(), packets));
    let hub = site.hub();
    until("the hub has packets", || failing(0) && there() > Some(0));
    drop(hub);
    until("the hub is away again", || failing(1));
    let (before, _hub) = (there(), site.hub());
    until("the hub has more", || failing(0) && there() > before);
    assert!(Command::new("kill").arg(capture.child.id().to_string()).status().unwrap().success());
    assert!(capture.child.wait().unwrap().success(), "{}", said());
    let run = node.ship_once();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(sql_n(&node.store, packets) as usize, sent.load(Ordering::Relaxed));
    assert_eq!(there(), Some(sql_n(&node.store, packets)));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_on_both_sides() {
    let site = Site::new();
    let hub = site.hub();
    let node = site.node("a", &captures_of(&["P1"]), "");
    let others = site.path("others");
    taptrail_ok(&["certs", "--out", others.to_str().unwrap(), "--node", "stranger"]);
    for end in ["pem", "key"] {
        let name = format!("stranger.{end}");
        fs::copy(others.join(&name), site.path("certs").join(&name)).unwrap();
    }
    site.configure("a", site.port, "stranger", "");
    let run = node.ship_once();
    assert_eq!(run.code, 1);
    assert!(run.err.contains("authority did not sign our certificate"), "{}", run.err);
    let errors = fs::read_to_string(site.path("hub.errors")).unwrap();
    assert!(errors.contains("another authority signed its certificate"), "{errors}");
    let metrics = hub.get("/metrics");
    let line = "taptrail_hub_refused_connections_total{reason=\"unknown_issuer\"} ";
    assert!(metrics.contains(line), "{metrics}");

    // b's certificate, but the configuration says a.
    site.configure("a", site.port, "b", "node = 'a'");
    let run = node.ship_once();
    assert!(run.code == 1 && run.err.contains("names b"), "{}", run.err);
    site.configure("a", site.port, "missing", "");
    let run = taptrail(&["check", "--config", node.config.to_str().unwrap()]);
    assert!(run.code == 1 && run.err.contains("missing"), "{}", run.err);
    assert!(hub.nodes().is_empty());
    site.configure("a", site.port, "a", "");
    assert_eq!(node.ship_once().code, 0);
    // Another node with a point of the same name.
    let twin = site.node("b", &captures_of(&["P1"]), "");
    let run = twin.ship_once();
    assert!(run.code == 1 && run.err.contains("point P1 is one of node a"), "{}", run.err);
    assert_eq!(messages(&site.hub_store()), messages(&node.store));
}

/// The packets of a point in pieces of time, a capture each.
fn pieces(site: &Site, point: &str, pieces: i64) -> Vec<String> {
    let whole = network().store();
    let end = |of: &str| {
        let from = format!("FROM packets WHERE point = '{point}'");
        sql_n(&whole, &format!("SELECT {of}(cast(ts AS bigint)) AS n {from}"))
    };
    let (lo, hi) = (end("min"), end("max") + 1);
    let at = |piece: i64| lo + (hi - lo) * piece / pieces;
    let cut = |piece: i64| {
        let file = site.path(&format!("{point}-{piece}.pcapng"));
        let which = format!(
            "point = '{point}' AND cast(ts AS bigint) >= {} AND cast(ts AS bigint) < {}",
            at(piece),
            at(piece + 1)
        );
        let (store, out) = (whole.to_str().unwrap(), file.to_str().unwrap());
        taptrail_ok(&["export", "--store", store, "--where", &which, "-o", out]);
        format!("{point}={out}")
    };
    (0..pieces).map(cut).collect()
}

#[test]
fn an_hour_that_was_joined_is_shipped_as_the_captures_it_was() {
    let site = Site::new();
    let hub = site.hub();
    let all = pieces(&site, "P1", 4);
    let compact =
        |store: &Path| taptrail_ok(&["compact", "--store", store.to_str().unwrap(), "--all"]).out;
    let a = site.node("a", &all[..2], "policy = 'all'");
    // The first two are joined before they go, the others after.
    assert!(compact(&a.store).contains(" files became "));
    let first = a.ship_once();
    assert!(first.out.starts_with("2 imports shipped"), "{}{}", first.out, first.err);
    site.node("a", &all[2..], "policy = 'all'");
    let second = a.ship_once();
    assert!(second.out.starts_with("2 imports shipped"), "{}{}", second.out, second.err);
    compact(&a.store);
    let packets = "SELECT count(*) AS n, sum(cast(packet_ix AS bigint)) AS places, \
                   count(DISTINCT capture_id) AS captures, min(ts) AS lo, max(ts) AS hi FROM packets";
    let same = || {
        assert_eq!(sql(&site.hub_store(), packets), sql(&a.store, packets));
        assert_eq!(messages(&site.hub_store()), messages(&a.store));
    };
    same();
    // Joining is no news; nor is it to a node that has forgotten what it shipped.
    assert!(a.ship_once().out.starts_with("0 imports shipped"));
    fs::remove_file(a.store.join("shipped.json")).unwrap();
    let again = a.ship_once();
    assert_eq!(again.code, 0, "{}", again.err);
    same();
    // The hub joins on its own account, and knows what it has.
    compact(&site.hub_store());
    same();
    fs::remove_file(a.store.join("shipped.json")).unwrap();
    assert_eq!(a.ship_once().code, 0);
    same();
    assert_eq!(hub.nodes().len(), 1);
}
