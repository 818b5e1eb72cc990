//! From a packet on the wire to a number on the dashboard, while a node captures.

use crate::support::{Dashboard, command, sql_n};
use crate::wire::{Node, Wire, ms, until};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::time::Timestamp;

/// Messages of one burst.
const BURST: u64 = 20;

/// Bursts that `benches/live.sh` measures.
const BURSTS: usize = 60;

/// A node with two points on one clock, and a dashboard over its store.
struct Site {
    wire: Wire,
    node: Node,
    dashboard: Dashboard,
    sent: u64,
}

impl Site {
    fn new(keys: &str) -> Option<Self> {
        let wire = Wire::new()?;
        let store = wire.store();
        let point = |name: &str, interface: &str| {
            format!("[[point]]\nname = '{name}'\ninterface = '{interface}'\nclock = 'C'\n")
        };
        let text = format!("{keys}\n{}{}", point("edge", "rx0"), point("core", "rx1"));
        let node = wire.capture(&store, &[], &text);
        let mut serving = command();
        let config = wire.dir.path().join("node.toml");
        serving.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
        let dashboard = Dashboard::start(serving.arg("--store").arg(&store));
        Some(Self { wire, node, dashboard, sent: 0 })
    }

    /// Sends new messages past both points.
    fn send(&mut self) {
        let file = self.wire.dir.path().join("burst.pcap");
        write_feed(&file, self.sent + 1, BURST);
        self.sent += BURST;
        self.wire.send_file("tx0", &file);
        self.wire.send_file("tx1", &file);
    }

    /// Messages that the dashboard has seen at both points.
    fn seen(&self) -> u64 {
        seen(&self.dashboard)
    }
}

fn seen(dashboard: &Dashboard) -> u64 {
    let hops = dashboard.get("/api/hops");
    let body = hops.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body = body.find('[').map_or("[]", |at| &body[at..]);
    let end = body.rfind(']').map_or(body, |at| &body[..=at]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(end).unwrap_or_default();
    let all = rows.iter().filter(|row| {
        row["from_point"] == "edge" && row["to_point"] == "core" && row["message_kind"] == "all"
    });
    all.filter_map(|row| row["n"].as_str()?.parse::<u64>().ok()).sum()
}

/// MoldUDP64 datagrams of one message each, as a feed sends them.
fn write_feed(path: &Path, first: u64, count: u64) {
    let file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let mut writer = PcapWriter::new(file, LinkType::ETHERNET).unwrap();
    for seq in first..first + count {
        let data = frame(seq);
        let ts = Timestamp::from_ns(1_700_000_000_000_000_000 + seq as i64 * 1000);
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
            wire_len: data.len() as u32,
        };
        writer.write(&meta, &data).unwrap();
    }
    writer.finish().unwrap();
}

/// An ITCH 5.0 system event over MoldUDP64, UDP, IPv4 and Ethernet.
fn frame(seq: u64) -> Vec<u8> {
    let mut mold = b"20260305AA".to_vec();
    mold.extend(seq.to_be_bytes());
    mold.extend([0, 1, 0, 12]);
    mold.extend([b'S', 0, 0, 0, 0]);
    mold.extend(&(34_200_000_000_000_u64 + seq).to_be_bytes()[2..]);
    mold.push(b'Q');
    let mut frame = vec![1, 0, 0x5e, 0x36, 12, 101, 2, 0, 0, 0, 0, 1, 8, 0];
    let total = (20 + 8 + mold.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 8, 17, 0, 0, 10, 90, 1, 10, 233, 54, 12, 101]);
    frame.extend(31_000_u16.to_be_bytes());
    frame.extend(26_477_u16.to_be_bytes());
    frame.extend((8 + mold.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(mold);
    frame
}

/// How long each burst took from the first packet sent to the last number shown.
fn latencies(site: &mut Site, bursts: usize) -> Vec<Duration> {
    let mut all = Vec::new();
    for _ in 0..bursts {
        let start = Instant::now();
        site.send();
        until("the burst on the dashboard", || site.seen() >= site.sent);
        all.push(start.elapsed());
        sleep(ms(37 * (all.len() as u64 % 11)));
    }
    all.sort_unstable();
    all
}

fn told(what: &str, sorted: &[Duration]) {
    let at = |share: usize| sorted[(sorted.len() - 1) * share / 100].as_millis();
    println!(
        "{what}: {} bursts, ms from wire to dashboard: min {} p50 {} p90 {} p99 {} max {}",
        sorted.len(),
        at(0),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

#[test]
fn packets_become_numbers_before_their_segment_is_sealed() {
    let Some(mut site) = Site::new("") else { return };
    let sorted = latencies(&mut site, 5);
    told("segments of 60 s", &sorted);
    let store = site.wire.store();
    let count = "SELECT count(*) AS n FROM captures";
    assert_eq!(sql_n(&store, count), 0, "nothing was sealed yet");
    let messages = "SELECT count(*) AS n FROM messages WHERE msg_type = 'S'";
    assert_eq!(sql_n(&store, messages) as u64, 2 * site.sent);
    let accounts = site.node.stop();
    accounts["edge"].closes();
    // Sealed, they are the same messages.
    assert!(sql_n(&store, count) >= 2);
    assert_eq!(sql_n(&store, messages) as u64, 2 * site.sent);
    let known = "SELECT count(*) AS n FROM links l JOIN messages m ON l.from_capture_id = \
                 m.capture_id AND l.from_packet_ix = m.packet_ix AND l.from_msg_ix = m.msg_ix";
    until("links of sealed messages", || sql_n(&store, known) as u64 == site.sent);
}

#[test]
fn segments_are_sealed_while_their_pieces_are_followed() {
    let Some(mut site) = Site::new("segment_s = 1") else { return };
    let sorted = latencies(&mut site, 8);
    told("segments of 1 s", &sorted);
    let store = site.wire.store();
    site.node.stop();
    let links = "SELECT count(*) AS n, count(DISTINCT link_id) AS d FROM links";
    until("each message linked", || sql_n(&store, links) as u64 == site.sent);
    // Nothing is taken twice or left out on the way from pieces to segments.
    sleep(ms(1_500));
    assert_eq!(sql_n(&store, links) as u64, site.sent);
    assert_eq!(seen(&site.dashboard), site.sent);
}

#[test]
#[ignore = "measures: benches/live.sh runs it"]
fn measured() {
    for keys in ["", "segment_s = 1"] {
        let Some(mut site) = Site::new(keys) else { return };
        latencies(&mut site, 5);
        let sorted = latencies(&mut site, BURSTS);
        told(if keys.is_empty() { "segments of 60 s" } else { keys }, &sorted);
        site.node.stop();
    }
}
