//! `taptrail demo`: a site that trades live until it is stopped.

use crate::support::{command, sql_n, taptrail_ok};
use crate::wire::{run, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A demo that runs.
struct Demo {
    dir: TempDir,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut child = command()
            .args(["demo", "--listen", "127.0.0.1:0", "--rate", "200", "--store"])
            .arg(dir.path().join("trail"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let (out, kept) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { dir, child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// What the dashboard answers, or the beginning of a stream that does not end.
    fn get(&self, path: &str, most: usize) -> String {
        let said = self.said();
        let host = said.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
        let Some(mut stream) = host.and_then(|(host, _)| TcpStream::connect(host).ok()) else {
            return String::new();
        };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; most];
        let mut len = 0;
        while let Ok(more) = stream.read(&mut answer[len..])
            && more > 0
            && !String::from_utf8_lossy(&answer[..len + more]).contains("event: state")
        {
            len += more;
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Ends it as a user does.
    fn end(&mut self) {
        assert!(run("kill", &["-TERM", &self.child.id().to_string()]));
        assert!(self.child.wait().unwrap().success());
    }

    /// Numbers come while it trades, and it ends as it should.
    fn trades(mut self, words: &str) {
        let hop = |from: &str, to: &str| {
            let hops = self.get("/api/hops", 1 << 20);
            let row = format!("\"from_point\":\"{from}\"");
            hops.split('{')
                .any(|r| r.contains(&row) && r.contains(&format!("\"to_point\":\"{to}\"")))
        };
        until("market data past two points", || hop("P1", "P2"));
        until("an order through the gateway", || hop("P5", "P6"));
        let stream = self.get("/api/events", 1 << 12);
        assert!(stream.contains("text/event-stream"), "{stream}");
        until("told", || self.said().contains("first numbers after"));
        assert!(self.said().contains(words), "{}", self.said());
        self.end();
        until("its report", || self.said().contains("message time"));
        let store = self.dir.path().join("trail");
        // What was open is sealed, what was told is of what is there.
        assert_eq!(std::fs::read_dir(store.join("open")).unwrap().count(), 0);
        assert!(sql_n(&store, "SELECT count(*) AS n FROM packets") > 100);
        let orders = "SELECT count(*) AS n FROM orders WHERE state = 'filled'";
        assert!(sql_n(&store, orders) > 0);
        let lost = "SELECT count(*) AS n FROM links l LEFT JOIN messages m ON l.to_capture_id = \
                    m.capture_id AND l.to_packet_ix = m.packet_ix AND l.to_msg_ix = m.msg_ix \
                    WHERE m.ts IS NULL";
        assert_eq!(sql_n(&store, lost), 0, "links of messages that are not there");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a demo of this process has a namespace.
fn has_namespace(pid: u32) -> bool {
    std::path::Path::new(&format!("/run/netns/taptrail-demo-{pid}")).exists()
}

#[test]
fn it_trades_on_wires_where_it_may() {
    let demo = Demo::start(&[]);
    let pid = demo.child.id();
    until("it said how", || demo.said().contains("trades live"));
    if demo.said().contains("in this process") {
        return println!("skipped: network namespaces need root");
    }
    assert!(has_namespace(pid));
    demo.trades("on wires of its own");
    assert!(!has_namespace(pid));
}

#[test]
fn what_a_killed_demo_left_goes_at_the_next_start() {
    let mut killed = Demo::start(&[]);
    let pid = killed.child.id();
    until("it said how", || killed.said().contains("trades live"));
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    let mut next = Demo::start(&[]);
    until("it said how", || next.said().contains("trades live"));
    assert!(!has_namespace(pid));
    until("told", || next.said().contains("first numbers after"));
    next.end();
    assert!(!has_namespace(next.child.id()));
}

#[test]
fn stopped_in_the_first_instant_it_leaves_nothing_behind() {
    let mut ended_well = 0;
    for wait_ms in [0, 5, 15, 30, 60, 120, 250, 500, 1_000] {
        let mut demo = Demo::start(&[]);
        let pid = demo.child.id();
        std::thread::sleep(Duration::from_millis(wait_ms));
        // As Ctrl-C does: to everything that was started from the terminal.
        assert!(run("kill", &["-INT", "--", &format!("-{pid}")]));
        let status = demo.child.wait().unwrap();
        // Before it listened to signals there was nothing yet.
        assert!(status.success() || status.signal() == Some(2), "{wait_ms} ms: {status}");
        ended_well += u32::from(status.success());
        assert!(!has_namespace(pid), "{wait_ms} ms");
        let begins = format!("taptrail-demo-{pid}-");
        let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let left = left.filter(|e| e.file_name().to_string_lossy().starts_with(&begins));
        assert_eq!(left.count(), 0, "{wait_ms} ms");
    }
    assert!(ended_well >= 3, "{ended_well} of them were told to end after they listened");
}

#[test]
fn without_wires_it_trades_in_its_own_process() {
    Demo::start(&["--no-wires"]).trades("in this process");
}

#[test]
fn once_it_is_over_by_itself() {
    let said = taptrail_ok(&["demo", "--once", "--orders", "100"]).out;
    assert!(said.contains("100 orders sent") && said.contains("message time"), "{said}");
}
