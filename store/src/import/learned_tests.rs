//! A feed of the tutorial's venue, whose prices need a scale and whose times a
//! second that an earlier message taught, cut into two captures.

use crate::catalog::Store;
use crate::catalog::manifest::ImportManifest;
use crate::import::learned::is_stale;
use crate::import::redecode::redecode;
use crate::import::{Decoders, ImportRequest, import};
use crate::sql::session;
use arrow::util::pretty::pretty_format_batches;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taptrail_capture::packet::{Direction, LinkType, PacketMeta, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_capture::time::Timestamp;
use taptrail_decoders::config::{DecodeConfig, DecoderConfig, FeedConfig};
use taptrail_decoders::library::Library;

const SECOND: u32 = 1_673_361_000;
const START_NS: i64 = SECOND as i64 * 1_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

fn time() -> Vec<u8> {
    [&[6, b'T'][..], &SECOND.to_be_bytes()].concat()
}

fn symbol(id: u16, name: &[u8; 6], decimals: u8) -> Vec<u8> {
    [&[11, b'D'][..], &id.to_be_bytes(), name, &[decimals]].concat()
}

/// A bid and an offer.
fn levels(id: u16, bid: u32, offer: u32) -> Vec<u8> {
    let level = |side: u8, price: u32| [&[side][..], &price.to_be_bytes(), &[0, 9]].concat();
    let head = [&[23, b'L'][..], &250_000u32.to_be_bytes(), &id.to_be_bytes(), &[2]].concat();
    [head, level(b'B', bid), level(b'S', offer)].concat()
}

/// A datagram of the venue.
fn frame(seq: u32, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = vec![b'A', b'C', messages.len() as u8];
    payload.extend(seq.to_be_bytes());
    messages.iter().for_each(|message| payload.extend(message));
    let udp_len = 8 + payload.len() as u16;
    let mut frame = vec![1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + udp_len).to_be_bytes());
    frame.extend([0, 0, 0, 0, 16, 17, 0, 0, 10, 0, 0, 1, 239, 1, 2, 3]);
    frame.extend(4000u16.to_be_bytes());
    frame.extend(4001u16.to_be_bytes());
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

fn pcap(start_ns: i64, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for (ix, data) in frames.iter().enumerate() {
        let ts = Timestamp::from_ns(start_ns + ix as i64 * 1000);
        let meta = PacketMeta {
            ts,
            ts_record: ts,
            ts_source: TsSource::Record,
            ts_ps: 0,
            ts_flags: 0,
            packet_ix: ix as u32,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len: data.len() as u32,
        };
        writer.write(&meta, data).unwrap();
    }
    writer.finish().unwrap()
}

/// What the first capture has: the second, a symbol, a quote of it, and the
/// symbol again with other decimals.
fn first() -> Vec<u8> {
    let head = frame(1, &[time(), symbol(7, b"ALFA  ", 2)]);
    let rest = frame(3, &[levels(7, 10_125, 10_130), symbol(7, b"ALFA  ", 3)]);
    pcap(START_NS, &[head, rest])
}

/// What follows it.
fn second(start_ns: i64, seq: u32) -> Vec<u8> {
    pcap(start_ns, &[frame(seq, &[levels(7, 101_250, 101_300)])])
}

struct House {
    directory: tempfile::TempDir,
    store: Store,
    decoders: Decoders,
}

impl House {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(fresh: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(&directory.path().join("store")).unwrap();
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/captures");
        let feed = FeedConfig { protocol: "acme.quotes.1.0".into(), ..FeedConfig::default() };
        let decode =
            DecodeConfig { protocols: Some("tutorial".into()), fresh, ..DecodeConfig::default() };
        let config = DecoderConfig { feeds: vec![feed], decode, ..DecoderConfig::default() };
        let library = Arc::new(Library::load(&config, &base).unwrap());
        let decoders = Decoders { config: Arc::new(config), library, base };
        Self { directory, store, decoders }
    }

    fn import(&self, point: &str, name: &str, bytes: &[u8]) -> Arc<ImportManifest> {
        let path: PathBuf = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let request = ImportRequest {
            point: PointConfig::named(PointName::try_from(point.to_owned()).unwrap()),
            path,
            decoders: Some(self.decoders.clone()),
            config_hash: "c".to_owned(),
            segment: None,
        };
        import(&self.store, &request, &mut |_| {}).unwrap().manifest
    }

    fn stale(&self) -> Vec<u64> {
        let catalog = self.store.catalog().unwrap();
        let stale = catalog.imports.iter().filter(|import| is_stale(&catalog, import));
        stale.map(|import| import.capture_id).collect()
    }

    async fn ask(&self, sql: &str) -> Vec<String> {
        let context = session(&self.store).unwrap();
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
        let cells = |line: &str| {
            let cells = line.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join(" ")
        };
        rows.map(cells).collect()
    }

    /// The quotes of a capture.
    async fn quotes(&self, capture: &ImportManifest) -> Vec<String> {
        self.ask(&format!(
            "SELECT entry, symbol, price, flag_names(flags), ts_exch IS NOT NULL AS timed \
             FROM messages WHERE msg_type = 'L' AND capture_id = {} ORDER BY packet_ix, entry",
            capture.capture_id
        ))
        .await
    }
}

const LATER: i64 = START_NS + 1_000_000_000;
const KNOWN: [&str; 2] = ["0 ALFA 101.250000000  true", "1 ALFA 101.300000000  true"];

#[tokio::test]
async fn a_capture_begins_with_what_the_one_before_it_taught() {
    let house = House::new();
    let before = house.import("P1", "a.pcap", &first());
    let after = house.import("P1", "b.pcap", &second(LATER, 5));
    assert_eq!(
        house.quotes(&before).await,
        ["0 ALFA 101.250000000  true", "1 ALFA 101.300000000  true"]
    );
    assert_eq!(house.quotes(&after).await, KNOWN);
    assert_eq!(after.learned.len(), 1);
    assert_eq!(after.learned[0].from, Some(before.input()));
    assert!(house.stale().is_empty());
    let taken = house
        .ask(&format!(
            "SELECT value_name, number, text FROM learned WHERE capture_id = {} \
             AND from_capture_id = {} ORDER BY table_name, value_name",
            after.capture_id, before.capture_id
        ))
        .await;
    let seconds = format!("seconds {SECOND} ");
    assert_eq!(taken, ["decimals 3 ", "symbol  ALFA", seconds.as_str()]);
}

#[tokio::test]
async fn what_a_gap_may_have_changed_is_flagged() {
    let house = House::new();
    house.import("P1", "a.pcap", &first());
    let after = house.import("P1", "b.pcap", &second(LATER, 6));
    let want = KNOWN.map(|row| row.replace("  true", " maybe_bad_state true"));
    assert_eq!(house.quotes(&after).await, want);
    // What is taught again is certain.
    let again = pcap(
        LATER + 5_000,
        &[frame(9, &[time(), symbol(7, b"ALFA  ", 3), levels(7, 101_250, 101_300)])],
    );
    let again = house.import("P1", "c.pcap", &again);
    assert_eq!(house.quotes(&again).await, KNOWN);
}

#[tokio::test]
async fn the_order_of_imports_changes_nothing_once_stale_captures_are_decoded_anew() {
    let house = House::new();
    let after = house.import("P1", "b.pcap", &second(LATER, 5));
    let unknown = ["0  NULL maybe_bad_state false", "1  NULL maybe_bad_state false"];
    let unknown = unknown.map(|row| row.replace(" NULL ", "  "));
    let rows: Vec<String> =
        house.quotes(&after).await.iter().map(|row| row.replace("NULL", "")).collect();
    assert_eq!(rows, unknown);
    house.import("P1", "a.pcap", &first());
    assert_eq!(house.stale(), [after.capture_id]);
    let lock = house.store.lock().unwrap();
    redecode(&lock, after.capture_id, &house.decoders, "c").unwrap();
    drop(lock);
    assert!(house.stale().is_empty());
    assert_eq!(house.quotes(&after).await, KNOWN);
}

#[tokio::test]
async fn nothing_is_taken_from_another_day_or_point_or_where_told_not_to() {
    let house = House::new();
    house.import("P1", "a.pcap", &first());
    let tomorrow = house.import("P1", "b.pcap", &second(START_NS + DAY_NS, 5));
    let elsewhere = house.import("P2", "b.pcap", &second(LATER, 5));
    let fresh = House::with(true);
    fresh.import("P1", "a.pcap", &first());
    let told = fresh.import("P1", "b.pcap", &second(LATER, 5));
    for (house, capture) in [(&house, tomorrow), (&house, elsewhere), (&fresh, told)] {
        assert!(capture.learned.iter().all(|scope| scope.from.is_none()));
        let rows = house.quotes(&capture).await;
        assert!(rows.iter().all(|row| row.contains("maybe_bad_state false")), "{rows:?}");
        assert!(house.stale().is_empty());
    }
}

#[tokio::test]
async fn typed_tables_know_what_was_learned_before_each_message() {
    let house = House::new();
    house.import("P1", "a.pcap", &first());
    house.import("P1", "b.pcap", &second(LATER, 5));
    let rows = house
        .ask(
            "SELECT x.entry, x.side_word, x.price, x.quantity, x.nanoseconds = m.ts_exch AS same, \
             x.levels_n FROM acme_quotes_1_0.levels x JOIN messages m \
             USING (capture_id, packet_ix, msg_ix, entry) ORDER BY x.ts, x.entry",
        )
        .await;
    let want = [
        "0 buy 101.250000000 9 true 2",
        "1 sell 101.300000000 9 true 2",
        "0 buy 101.250000000 9 true 2",
        "1 sell 101.300000000 9 true 2",
    ];
    assert_eq!(rows, want);
    let symbols = house
        .ask("SELECT symbol_id, symbol, decimals FROM acme_quotes_1_0.symbol ORDER BY ts, msg_ix")
        .await;
    assert_eq!(symbols, ["7 ALFA 2", "7 ALFA 3"]);
}
