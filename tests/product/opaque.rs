//! Packets of protocols that nothing decodes, at two points of a network that
//! rewrites all around them.

use crate::support::{sql, taptrail_ok};
use std::fs::File;
use std::io::BufWriter;
use std::net::Ipv4Addr;
use std::path::Path;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::time::Timestamp;
use taptrail_samples::encode::ip::{self, Ipv4};
use taptrail_samples::encode::tcp::{ACK, PSH, Tcp};
use taptrail_samples::encode::{ether, udp};
use tempfile::TempDir;

const START_NS: i64 = 1_782_950_400_000_000_000;
const US: i64 = 1_000;

/// What a point sees around a payload.
#[derive(Clone, Copy)]
struct Side {
    client: Ipv4Addr,
    client_port: u16,
    group: Ipv4Addr,
    vlan: Option<u16>,
    ttl: u8,
}

const INSIDE: Side = Side {
    client: Ipv4Addr::new(10, 1, 1, 5),
    client_port: 40_001,
    group: Ipv4Addr::new(239, 77, 1, 1),
    vlan: None,
    ttl: 64,
};

const OUTSIDE: Side = Side {
    client: Ipv4Addr::new(192, 0, 2, 9),
    client_port: 61_777,
    group: Ipv4Addr::new(239, 88, 1, 1),
    vlan: Some(812),
    ttl: 62,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

impl Side {
    fn frame(self, source: Ipv4Addr, destination: Ipv4Addr, packet: &[u8]) -> Vec<u8> {
        ether::frame(ether::host_mac(destination), ether::host_mac(source), self.vlan, packet)
    }

    fn datagram(self, number: u16, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = (SERVER, self.group);
        let ip = Ipv4 { source, destination, protocol: ip::UDP, ttl: self.ttl, id: number };
        let packet = ip.packet(&udp::datagram(&ip, 9_000, 19_999, payload));
        self.frame(source, destination, &packet)
    }

    fn segment(self, number: u16, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = (self.client, SERVER);
        let ip = Ipv4 { source, destination, protocol: ip::TCP, ttl: self.ttl, id: number };
        let tcp = Tcp {
            source_port: self.client_port,
            destination_port: 7_777,
            sequence: 1_000 + u32::from(number) * 100,
            acknowledgement: 1,
            flags: PSH | ACK,
            window: 64_000,
        };
        self.frame(source, destination, &ip.packet(&tcp.segment(&ip, payload)))
    }
}

fn capture(file: &Path, packets: impl IntoIterator<Item = (i64, Vec<u8>)>) {
    let out = BufWriter::new(File::create(file).unwrap());
    let mut writer = PcapWriter::new(out, LinkType::ETHERNET).unwrap();
    for (packet_ix, (ns, data)) in (0..).zip(packets) {
        let ts = Timestamp::from_ns(START_NS + ns);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        writer.write(&meta, &data).unwrap();
    }
    writer.finish().unwrap();
}

/// A payload of no protocol: every third one is the same sign of life.
fn payload(number: u16) -> Vec<u8> {
    if number.is_multiple_of(3) {
        return b"\xFE\xFEALIVE".to_vec();
    }
    let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [&b"\xFE\xFE"[..], &mixed.to_le_bytes()].concat()
}

/// Datagrams and segments in turn, each `after_ns` later than on the inside; without
/// the ones that are `lost`.
fn seen(side: Side, after_ns: i64, lost: &[u16]) -> Vec<(i64, Vec<u8>)> {
    let all = (0..400_u16).filter(|number| !lost.contains(number)).map(|number| {
        let at = i64::from(number) * 200 * US + after_ns;
        let payload = payload(number);
        let udp = number.is_multiple_of(2);
        (at, if udp { side.datagram(number, &payload) } else { side.segment(number, &payload) })
    });
    all.collect()
}

#[test]
fn what_nothing_decodes_is_linked_by_its_bytes() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name);
    // Number 3 and 300 are signs of life that the second point misses.
    let lost = [3, 40, 300];
    capture(&file("IN.pcap"), seen(INSIDE, 0, &[]));
    capture(&file("OUT.pcap"), seen(OUTSIDE, 1_500, &lost));
    let config = file("taptrail.toml");
    let points = ["IN", "OUT"].map(|name| format!("[[point]]\nname = \"{name}\"\nclock = \"C\"\n"));
    std::fs::write(&config, points.concat()).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let store = file("trail");
    let point = |name: &str| format!("{name}={}", text(&file(&format!("{name}.pcap"))));
    let (store_text, config) = (text(&store), text(&config));
    taptrail_ok(&[
        "import",
        "--store",
        &store_text,
        "--config",
        &config,
        &point("IN"),
        &point("OUT"),
    ]);
    let pairs = "SELECT kind, rule, protocol, from_point, to_point, latency_ns, f.packet_ix AS a, \
                 f.data AS x, t.data AS y FROM links \
                 JOIN packets f ON f.capture_id = from_capture_id AND f.packet_ix = from_packet_ix \
                 JOIN packets t ON t.capture_id = to_capture_id AND t.packet_ix = to_packet_ix";
    let found = sql(&store, pairs);
    assert_eq!(found.len(), 400 - lost.len());
    for link in &found {
        let text = |column: &str| link[column].as_str().unwrap().to_owned();
        assert_eq!((text("kind"), text("rule")), ("same".to_owned(), "payload_hash".to_owned()));
        assert_eq!((text("from_point"), text("to_point")), ("IN".to_owned(), "OUT".to_owned()));
        assert_eq!(link["latency_ns"], 1_500, "repeats are not shifted: {link}");
        assert!(!lost.contains(&(link["a"].as_u64().unwrap() as u16)));
        assert_ne!(link["x"], link["y"], "addresses, VLAN and sums are rewritten");
    }
    let of = |protocol: &str| found.iter().filter(|link| link["protocol"] == protocol).count();
    assert!(of("udp") > 190 && of("tcp") > 190, "{} {}", of("udp"), of("tcp"));
    let hops =
        "SELECT n, min_ns, max_ns FROM hops WHERE link_kind = 'same' AND message_kind = 'all'";
    let hop = &sql(&store, hops)[0];
    assert_eq!(
        (&hop["n"], &hop["min_ns"], &hop["max_ns"]),
        (&397.into(), &1_500.into(), &1_500.into())
    );
}
