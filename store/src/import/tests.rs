use super::*;
use crate::explain::explain_message;
use crate::import::redecode::redecode;
use crate::segment::reader::SegmentReader;
use crate::sql::session;
use arrow::array::AsArray;
use arrow::datatypes::{UInt16Type, UInt32Type};
use arrow::util::pretty::pretty_format_batches;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use taptrail_capture::account::StatsRecord;
use taptrail_capture::clock::ClockRecord;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::pcapng_writer::PcapngWriter;
use taptrail_capture::point::PointName;
use taptrail_capture::source::Progress;
use taptrail_capture::time::Timestamp;
use taptrail_decoders::explain::Explainer;

const START_NS: i64 = 1_700_000_000_000_000_001;

/// An ITCH 5.0 add order: ALFA, buy, `shares` at `price` x 10^-4.
fn add_order(order: u64, shares: u32, price: u32) -> Vec<u8> {
    let mut body = vec![b'A', 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
    body.extend(order.to_be_bytes());
    body.push(b'B');
    body.extend(shares.to_be_bytes());
    body.extend(b"ALFA    ");
    body.extend(price.to_be_bytes());
    body
}

/// A MoldUDP64 datagram in UDP, IPv4 and Ethernet.
fn frame(seq: u64, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut mold = b"SESSION001".to_vec();
    mold.extend(seq.to_be_bytes());
    mold.extend((bodies.len() as u16).to_be_bytes());
    for body in bodies {
        mold.extend((body.len() as u16).to_be_bytes());
        mold.extend(body);
    }
    datagram(&mold)
}

/// A payload in UDP, IPv4 and Ethernet, to port 26477.
fn datagram(payload: &[u8]) -> Vec<u8> {
    let udp_len = 8 + payload.len() as u16;
    let mut frame = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend((20 + udp_len).to_be_bytes());
    frame.extend([0, 0, 0, 0, 16, 17, 0, 0, 10, 0, 0, 1, 233, 54, 12, 101]);
    frame.extend(26_400u16.to_be_bytes());
    frame.extend(26_477u16.to_be_bytes());
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// A capture of `packets` datagrams with two orders each.
pub(crate) fn capture(packets: u32) -> Vec<u8> {
    capture_at(START_NS, packets)
}

/// The same, the first at `start_ns`.
pub(crate) fn capture_at(start_ns: i64, packets: u32) -> Vec<u8> {
    let frames = (0..packets).map(|ix| {
        let order = u64::from(ix) * 2;
        let bodies = [add_order(order, 100, 10_0100), add_order(order + 1, 7, 20_0000 + ix)];
        frame(order + 1, &bodies)
    });
    capture_of(start_ns, frames)
}

/// A capture of datagrams with these payloads, a microsecond apart.
pub(crate) fn datagrams(payloads: &[Vec<u8>]) -> Vec<u8> {
    capture_of(START_NS, payloads.iter().map(|payload| datagram(payload)))
}

fn capture_of(start_ns: i64, frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for (ix, data) in (0..).zip(frames) {
        let ts = Timestamp::from_ns(start_ns + i64::from(ix) * 1000);
        let meta = PacketMeta {
            ts,
            ts_ps: 0,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix: ix,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        writer.write(&meta, &data).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) struct House {
    directory: tempfile::TempDir,
    pub(crate) store: Store,
}

impl House {
    pub(crate) fn new() -> Self {
        // Where there is a file system in memory, syncing costs nothing.
        let memory = tempfile::tempdir_in("/dev/shm");
        let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let store = Store::open_or_create(&directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn import(&self, point: &str, path: &Path) -> Result<ImportReport, StoreError> {
        import(&self.store, &request(point, path), &mut |_| {})
    }

    /// Imports with a configuration; its files lie beside the captures.
    pub(crate) fn import_by(
        &self,
        config: serde_json::Value,
        point: &str,
        path: &Path,
    ) -> ImportReport {
        let config: DecoderConfig = serde_json::from_value(config).unwrap();
        let base = self.directory.path().to_owned();
        let library = Library::load(&config, &base).unwrap_or_else(|faults| panic!("{faults:?}"));
        let decoders = Decoders { config: Arc::new(config), library: Arc::new(library), base };
        let request = ImportRequest { decoders: Some(decoders), ..request(point, path) };
        import(&self.store, &request, &mut |_| {}).unwrap()
    }

    /// Every file of the store but its lock, with its size.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        fn walk(directory: &Path, files: &mut Vec<(PathBuf, u64)>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files);
                } else if path.file_name().unwrap() != "LOCK" {
                    files.push((path.clone(), fs::metadata(&path).unwrap().len()));
                }
            }
        }
        let mut files = Vec::new();
        walk(self.store.root(), &mut files);
        files.sort();
        files
    }

    async fn ask(&self, sql: &str) -> String {
        let context = session(&self.store).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let rows: Vec<String> = text
            .lines()
            .skip(3)
            .filter(|line| line.starts_with('|'))
            .map(|line| {
                let cells = line.trim_matches('|').split('|').map(str::trim);
                cells.collect::<Vec<_>>().join(",")
            })
            .collect();
        rows.join("\n")
    }
}

pub(crate) fn decoders() -> Decoders {
    Decoders {
        config: Arc::default(),
        library: Arc::new(Library::shipped()),
        base: PathBuf::from("."),
    }
}

fn request(point: &str, path: &Path) -> ImportRequest {
    ImportRequest {
        point: PointConfig::named(PointName::try_from(point.to_owned()).unwrap()),
        path: path.to_owned(),
        decoders: Some(decoders()),
        config_hash: "c".to_owned(),
        segment: None,
    }
}

#[tokio::test]
async fn packets_become_rows() {
    let house = House::new();
    let path = house.file("a.pcap", &capture(5000));
    let report = house.import("P1", &path).unwrap();
    assert!(!report.known);
    let counters = &report.manifest.counters;
    assert_eq!((counters.packets, counters.rows), (5000, 10_000));
    assert_eq!(counters.messages.get("nasdaq.totalview-itch.5.0"), Some(&10_000));
    assert!(report.manifest.warnings.is_empty());

    let sql = "SELECT packet_ix, msg_ix, seq, kind, symbol, side, price, qty, order_id, ts, point \
               FROM messages WHERE packet_ix = 4000 ORDER BY msg_ix";
    let expected = "4000,0,8001,order.add,ALFA,buy,10.010000000,100.000000000,8000,\
                    2023-11-14T22:13:20.004000001Z,P1\n\
                    4000,1,8002,order.add,ALFA,buy,20.400000000,7.000000000,8001,\
                    2023-11-14T22:13:20.004000001Z,P1";
    assert_eq!(house.ask(sql).await, expected);
    let sql = "SELECT src_addr, dst_port, packets, messages, recognised FROM flows";
    // Options feeds have a message of this code and size too, but not of this side.
    assert_eq!(house.ask(sql).await, "10.0.0.1,26477,5000,10000,certain");
    let sql = "SELECT count(*) FROM messages m JOIN packets p USING (capture_id, packet_ix) \
               WHERE substr(hex(p.data), 1 + 2 * m.raw_off, 2 * m.raw_len) LIKE '41%414c4641%'";
    assert_eq!(house.ask(sql).await, "10000");
}

#[tokio::test]
async fn the_same_content_is_imported_once() {
    let house = House::new();
    let bytes = capture(100);
    let plain = house.file("a.pcap", &bytes);
    let first = house.import("P1", &plain).unwrap();
    let files = house.files();
    assert!(house.import("P1", &plain).unwrap().known);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let gzip = house.file("elsewhere.pcap.gz", &gzip.finish().unwrap());
    let again = house.import("P1", &gzip).unwrap();
    assert!(again.known);
    assert_eq!(again.manifest, first.manifest);
    assert_eq!(house.files(), files);
    assert!(!house.import("P2", &gzip).unwrap().known);
    assert_eq!(
        house.ask("SELECT count(*), count(DISTINCT capture_id) FROM packets").await,
        "200,2"
    );
}

#[tokio::test]
async fn ids_do_not_depend_on_the_store() {
    let (one, other) = (House::new(), House::new());
    let (a, b) = (capture(10), capture(20));
    for (house, order) in [(&one, [&a, &b]), (&other, [&b, &a])] {
        for (n, bytes) in order.into_iter().enumerate() {
            house.import("P1", &house.file(&format!("{n}.pcap"), bytes)).unwrap();
        }
    }
    let sql = "SELECT capture_id, packet_ix, msg_ix, entry, ts, seq FROM messages \
               ORDER BY capture_id, packet_ix, msg_ix, entry";
    assert_eq!(one.ask(sql).await, other.ask(sql).await);
}

#[test]
fn what_is_no_capture_leaves_nothing() {
    let house = House::new();
    let before = house.files();
    for (name, bytes) in [("empty", &b""[..]), ("letter", b"Dear Sir, this is no capture at all")] {
        let error = house.import("P1", &house.file(name, bytes)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        assert_eq!(house.files(), before);
    }
    let error = house.import("P1", Path::new("/nowhere/x.pcap")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.pcap"), "{error}");
    assert_eq!(house.files(), before);
}

#[tokio::test]
async fn a_cut_capture_is_imported_up_to_the_cut() {
    let house = House::new();
    let mut bytes = capture(10);
    bytes.truncate(bytes.len() - 5);
    let report = house.import("P1", &house.file("cut.pcap", &bytes)).unwrap();
    assert_eq!(report.manifest.counters.packets, 9);
    assert_eq!(report.manifest.warnings.len(), 1, "{:?}", report.manifest.warnings);
    assert_eq!(house.ask("SELECT packets, messages, warnings FROM captures").await, "9,18,1");
}

#[tokio::test]
async fn a_capture_without_packets_is_known() {
    let house = House::new();
    let path = house.file("empty.pcap", &capture(0));
    assert_eq!(house.import("P1", &path).unwrap().manifest.counters.packets, 0);
    assert!(house.import("P1", &path).unwrap().known);
    assert_eq!(house.ask("SELECT packets, first_ts FROM captures").await, "0,");
}

/// A capture of one packet between accounts, the first of which goes on from
/// another file.
pub(crate) fn accounted(start_ns: i64) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), &[(LinkType::ETHERNET, "eth0")]).unwrap();
    let mut record = StatsRecord::new(Timestamp::from_ns(start_ns), 0);
    record.up = Some(true);
    record.begins = true;
    record.counts.taken = 100;
    record.counts.written = 90;
    record.counts.dropped_ring = Some(7);
    record.clocks = vec![ClockRecord::of("kernel")];
    writer.write_stats(&record).unwrap();
    record.begins = false;
    for (taken, written, ring) in [(130, 125, 7), (130, 130, 12)] {
        record.at = Timestamp::from_ns(record.at.ns() + 1_000_000_000);
        record.counts.taken = taken;
        record.counts.written = written;
        record.counts.dropped_ring = Some(ring);
        writer.write_stats(&record).unwrap();
    }
    writer.finish().unwrap()
}

#[tokio::test]
async fn accounts_are_growth_and_outlive_decoding_anew() {
    let house = House::new();
    let path = house.file("node.pcapng", &accounted(START_NS));
    let manifest = house.import("P1", &path).unwrap().manifest;
    assert_eq!(manifest.counters.losses.ring, Some(5));
    assert_eq!(manifest.counters.losses.interface, None);
    let wanted = "true,30,35,5,0,\ntrue,0,5,0,5,";
    let ask = "SELECT up, taken, written, waiting, dropped_ring, dropped_interface \
               FROM capture_stats ORDER BY ts";
    assert_eq!(house.ask(ask).await, wanted);
    let lock = house.store.lock().unwrap();
    redecode(&lock, manifest.capture_id, &decoders(), "c").unwrap();
    assert_eq!(house.ask(ask).await, wanted);
    let clocks = "SELECT count(*), min(source), min(state) FROM clock_stats";
    assert_eq!(house.ask(clocks).await, "2,kernel,unknown");
    // What the capture counted is a loss, uncorrelated and correlated.
    let losses = "SELECT point, protocol, cause, count, evidence, (ts_hi - ts_lo) >= INTERVAL '1' \
                  SECOND FROM losses WHERE cause = 'capture' ORDER BY evidence";
    let counted = "P1,packets,capture,,nic_missed: the adapter had no buffer free; how many is \
                   unknown,true\nP1,packets,capture,5,ring: the kernel's ring was full,true";
    assert_eq!(house.ask(losses).await, counted);
    house.store.replace_tables(Vec::new(), "c").unwrap().commit(&lock).unwrap();
    assert_eq!(house.ask(losses).await, counted);
    assert_eq!(house.ask("SELECT sum(count) FROM losses LIMIT 1").await, "5");
}

#[tokio::test]
async fn a_clock_that_is_set_while_counting_loses_no_count() {
    let mut writer = PcapngWriter::new(Vec::new(), &[(LinkType::ETHERNET, "eth0")]).unwrap();
    let mut record = StatsRecord::new(Timestamp::from_ns(START_NS), 0);
    record.up = Some(true);
    // An hour ahead, and back again.
    for (seconds, ring) in [(0, 1), (1, 2), (3_602, 4), (3, 8), (4, 8)] {
        record.at = Timestamp::from_ns(START_NS + seconds * 1_000_000_000);
        record.counts.dropped_ring = Some(ring);
        record.counts.nic.missed = Some(0);
        writer.write_stats(&record).unwrap();
    }
    let house = House::new();
    let path = house.file("node.pcapng", &writer.finish().unwrap());
    house.import("P1", &path).unwrap();
    let stats = "SELECT sum(dropped_ring), count(*) FROM capture_stats";
    assert_eq!(house.ask(stats).await, "8,5");
    let losses = "SELECT sum(count), bool_and(ts_lo <= ts_hi) FROM losses WHERE cause = 'capture'";
    assert_eq!(house.ask(losses).await, "8,true");
}

#[tokio::test]
async fn a_crash_before_the_manifest_is_as_if_nothing_was_imported() {
    let house = House::new();
    let path = house.file("a.pcap", &capture(100));
    house.import("P1", &path).unwrap();
    let other = House::new();
    let other_path = other.file("b.pcap", &capture(200));
    other.import("P1", &other_path).unwrap();
    // The other import's segments got their names, its manifest did not.
    for (from, _) in other.files() {
        let relative = from.strip_prefix(other.store.root()).unwrap();
        if relative.extension().is_some_and(|extension| extension == "parquet") {
            let to = house.store.root().join(relative);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&from, &to).unwrap();
        }
    }
    assert_eq!(house.ask("SELECT count(*) FROM packets").await, "100");
    house.import("P1", &other_path).unwrap();
    assert_eq!(house.ask("SELECT count(*) FROM packets").await, "300");
    assert_eq!(house.ask("SELECT count(*) FROM messages").await, "600");
}

#[test]
fn stored_packets_are_those_of_the_file() {
    let house = House::new();
    let path = house.file("a.pcap", &capture(5000));
    let capture_id = house.import("P1", &path).unwrap().manifest.capture_id;
    let mut stored = house.store.packets(capture_id).unwrap();
    let mut from_file = file::open(&path, request("P1", &path).point.timestamp).unwrap();
    let read = |source: &mut dyn PacketSource| {
        let mut all = Vec::new();
        let mut batch = PacketBatch::new();
        loop {
            let progress = source.next_batch(&mut batch).unwrap();
            all.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
            if progress == Progress::End {
                return all;
            }
        }
    };
    assert_eq!(read(&mut stored), read(&mut from_file));
}

#[tokio::test]
async fn packets_alone_are_decoded_later() {
    let house = House::new();
    let path = house.file("a.pcap", &capture(100));
    let request = ImportRequest { decoders: None, ..request("P1", &path) };
    let report = import(&house.store, &request, &mut |_| {}).unwrap();
    assert_eq!(house.ask("SELECT count(*) FROM messages").await, "0");
    let capture_id = report.manifest.capture_id;
    for revision in 1..=2 {
        let lock = house.store.lock().unwrap();
        let report = redecode(&lock, capture_id, &decoders(), "d").unwrap();
        drop(lock);
        assert_eq!(report.manifest.revision, revision);
        assert_eq!(house.ask("SELECT count(*) FROM messages").await, "200");
        assert_eq!(house.ask("SELECT count(*) FROM flows").await, "1");
        assert_eq!(house.ask("SELECT messages, packets FROM captures").await, "200,100");
    }
    let parquet = |(path, _): &(PathBuf, u64)| path.extension().is_some_and(|e| e == "parquet");
    assert_eq!(house.files().iter().filter(|file| parquet(file)).count(), 4);
}

#[tokio::test]
async fn fields_of_a_message() {
    let house = House::new();
    let path = house.file("a.pcap", &capture(100));
    let capture_id = house.import("P1", &path).unwrap().manifest.capture_id;
    let sql = format!(
        "SELECT \"offset\", size, hex, value FROM fields({capture_id}, 42, 1) \
         WHERE lower(name) LIKE '%price%'"
    );
    // 42 bytes of headers, 20 of Mold, 2 + 36 of the first message, 2, then 32.
    assert_eq!(house.ask(&sql).await, "134,4,00030d6a,20.0042");
    let sql = format!("SELECT sum(size), min(\"offset\") FROM fields({capture_id}, 42, 1)");
    assert_eq!(house.ask(&sql).await, "36,102");
    let context = session(&house.store).unwrap();
    let sql = format!("SELECT * FROM fields({capture_id}, 42, 2)");
    let error = context.sql(&sql).await.unwrap().collect().await.unwrap_err().to_string();
    assert!(error.contains("no message 2 in packet 42"), "{error}");
}

/// The folder with real captures: named by `TAPTRAIL_DATA`, or beside the
/// project.
fn real_captures() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    named.into_iter().chain([beside]).find(|folder| folder.is_dir())
}

/// Files of some folders, those that are no captures included.
fn files_in(root: &Path, folders: &[&str]) -> Vec<PathBuf> {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn real_and_hostile_captures_are_imported_or_refused() {
    let Some(root) = real_captures() else {
        println!("skipped: no folder of real captures");
        return;
    };
    let house = House::new();
    let lock = house.store.lock().unwrap();
    let files = files_in(&root, &["fix", "formats", "hwts", "malformed"]);
    let (mut packets, mut rows, mut imported) = (0, 0, 0);
    for (n, path) in files.iter().enumerate() {
        match import_locked(&lock, &request(&format!("P{n}"), path), &mut |_| {}) {
            Ok(report) => {
                packets += report.manifest.counters.packets;
                rows += report.manifest.counters.rows;
                imported += 1;
            }
            Err(error) => assert!(matches!(error, StoreError::Capture(_)), "{error}"),
        }
    }
    assert!(imported > 20, "{imported} captures");
    // All FIX: 4 + 4 + 5 + 4, and 698 in fix2.pcap, where a scan of the TCP
    // payloads finds as many BeginStrings, 324 of them sent again.
    assert_eq!(rows, 715);
    let counted = house.ask("SELECT count(*) FROM packets").await;
    assert_eq!(counted, packets.to_string());
    assert_eq!(house.ask("SELECT count(*) FROM messages").await, rows.to_string());
    assert_eq!(house.ask("SELECT sum(packets) FROM captures").await, packets.to_string());
}

#[test]
fn every_message_of_a_real_tcp_session_can_be_explained() {
    let Some(root) = real_captures() else {
        println!("skipped: no folder of real captures");
        return;
    };
    let house = House::new();
    let report = house.import("P1", &root.join("fix/trace-fix4.4.pcap")).unwrap();
    let capture_id = report.manifest.capture_id;
    let mut explained = 0;
    for segment in report.manifest.files_of("messages") {
        let path = house.store.file(segment);
        for batch in SegmentReader::open(&path, None, None).unwrap() {
            let batch = batch.unwrap();
            let packet_ix = batch.column_by_name("packet_ix").unwrap().as_primitive::<UInt32Type>();
            let msg_ix = batch.column_by_name("msg_ix").unwrap().as_primitive::<UInt16Type>();
            for (&packet_ix, &msg_ix) in packet_ix.values().iter().zip(msg_ix.values()) {
                let message = explain_message(&house.store, capture_id, packet_ix, msg_ix);
                let message = message.unwrap().unwrap_or_else(|| panic!("{packet_ix} {msg_ix}"));
                assert!(!message.fields.is_empty());
                explained += 1;
            }
        }
    }
    assert_eq!(explained, report.manifest.counters.rows);
    assert!(explained > 0);
}

#[test]
fn a_message_explained_by_its_row_is_what_the_whole_capture_explains() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/captures");
    for name in ["fix.4.4.pcap", "nasdaq.ouch.5.0.pcap", "nasdaq.totalview-itch.5.0.pcap"] {
        let house = House::new();
        let report = house.import("P1", &samples.join(name)).unwrap();
        let capture_id = report.manifest.capture_id;
        let mut messages = Vec::new();
        let mut explainer = Explainer::new(Arc::default(), Arc::new(Library::shipped()));
        let mut source = house.store.packets(capture_id).unwrap();
        let mut batch = PacketBatch::new();
        while source.next_batch(&mut batch).unwrap() != Progress::End || !batch.is_empty() {
            explainer.explain(&batch, &mut |message| messages.push(message));
        }
        explainer.finish(&mut |message| messages.push(message));
        let mut compared = 0;
        for message in messages.iter().filter(|message| message.msg_ix.is_some()) {
            let (packet_ix, msg_ix) = (message.packet_ix, message.msg_ix.unwrap());
            let found = explain_message(&house.store, capture_id, packet_ix, msg_ix);
            let found = found.unwrap().unwrap();
            assert_eq!((&found.name, &found.fields), (&message.name, &message.fields));
            compared += 1;
        }
        assert!(compared > 10, "{name}: {compared}");
    }
}
