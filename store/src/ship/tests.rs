use super::accept::{DirectoryTarget, Hub};
use super::fault::kill;
use super::inbox::Limits;
use super::ledger::Ledger;
use super::nodes::Nodes;
use super::offer::{Content, Offer, Opened};
use super::send::{Settings, Shipper};
use super::*;
use crate::catalog::Store;
use crate::catalog::manifest::ImportManifest;
use crate::explain::explain_message;
use crate::import::tests::{House, capture};
use crate::sql::session;
use arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn name(text: &str) -> NodeName {
    NodeName::try_from(text.to_owned()).unwrap()
}

fn settings(node: &str, policy: Policy) -> Settings {
    Settings { node: name(node), policy, spool_bytes: 1 << 30, bytes_per_s: None }
}

/// A node with imports of some packets each at a point.
fn node(point: &str, packets: &[u32]) -> House {
    let house = House::new();
    for (number, &packets) in packets.iter().enumerate() {
        let path = house.file(&format!("{point}-{number}.pcap"), &capture(packets));
        house.import(point, &path).unwrap();
    }
    house
}

struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("hub")
    }

    fn store(&self) -> Store {
        Store::open_or_create(&self.root()).unwrap()
    }

    fn target(&self, node: &str) -> DirectoryTarget {
        DirectoryTarget::new(&self.root(), name(node), true)
    }
}

fn ship(
    house: &House,
    node: &str,
    policy: Policy,
    target: &mut dyn Target,
) -> Result<(), TargetError> {
    let shipper = Shipper::new(&house.store, settings(node, policy), "a target");
    shipper.run(target, true, &|| false, &|| None)
}

/// Every row of a table, in an order of its own.
fn rows(store: &Store, table: &str) -> String {
    let context = session(store).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let columns = match table {
        "captures" => "point, capture_id, revision, packets, messages, first_ts, last_ts",
        _ => "*",
    };
    let statement = format!("SELECT {columns} FROM {table}");
    let batches =
        runtime.block_on(async { context.sql(&statement).await.unwrap().collect().await.unwrap() });
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn same_rows(a: &Store, b: &Store, tables: &[&str]) {
    for table in tables {
        let (a, b) = (rows(a, table), rows(b, table));
        assert!(a == b, "{table}: {} and {} lines", a.lines().count(), b.lines().count());
    }
}

const MESSAGES: &[&str] = &["messages", "flows", "learned", "captures"];
const ALL: &[&str] = &["packets", "messages", "flows", "learned", "captures"];

fn first(house: &House) -> Arc<ImportManifest> {
    house.store.catalog().unwrap().imports[0].clone()
}

fn opened(house: &House, node: &str, policy: Policy) -> Opened {
    Opened::of(&house.store, &first(house), &name(node), policy).unwrap().unwrap()
}

#[test]
fn what_a_policy_names_arrives_and_nothing_twice() {
    let (house, site) = (node("P1", &[30, 40]), Site::new());
    ship(&house, "a", Policy::None, &mut site.target("a")).unwrap();
    assert!(site.store().catalog().unwrap().imports.is_empty());
    for _ in 0..2 {
        ship(&house, "a", Policy::Messages, &mut site.target("a")).unwrap();
        // As if what was taken had been forgotten.
        fs::remove_file(house.store.root().join("shipped.json")).unwrap();
    }
    let hub = site.store();
    same_rows(&house.store, &hub, MESSAGES);
    let import = hub.catalog().unwrap().imports[0].clone();
    assert_eq!(import.node, Some(name("a")));
    assert_eq!(import.files_of("packets").count(), 0);
    let error = explain_message(&hub, import.capture_id, 0, 0).unwrap_err().to_string();
    assert!(error.contains("without its packets"), "{error}");
    ship(&house, "a", Policy::All, &mut site.target("a")).unwrap();
    same_rows(&house.store, &hub, ALL);
    assert!(explain_message(&hub, import.capture_id, 0, 0).unwrap().is_some());
    assert_eq!(fs::read_dir(hub.root().join("incoming/a")).unwrap().count(), 0);
    let row = &Nodes::of(&hub).rows().unwrap()[0];
    assert_eq!((row.imports, row.lag_ms, row.light), (2, Some(0), "ok"));
}

/// A link that breaks at the nth call, before or after the target has acted.
struct Breaking<'a> {
    target: &'a mut dyn Target,
    calls_left: usize,
    after: bool,
}

impl Breaking<'_> {
    fn call<T>(
        &mut self,
        call: impl FnOnce(&mut dyn Target) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let broken = || Err(TargetError::Unavailable("the link broke".to_owned()));
        if self.calls_left == 0 {
            if self.after {
                let _ = call(self.target);
            }
            return broken();
        }
        self.calls_left -= 1;
        call(self.target)
    }
}

impl Target for Breaking<'_> {
    fn offer(&mut self, offer: &Offer) -> Result<Answer, TargetError> {
        self.call(|target| target.offer(offer))
    }

    fn put(&mut self, b: &str, total: u64, offset: u64, bytes: &[u8]) -> Result<u64, TargetError> {
        self.call(|target| target.put(b, total, offset, bytes))
    }

    fn report(&mut self, report: &nodes::Report) -> Result<(), TargetError> {
        self.call(|target| target.report(report))
    }
}

#[test]
fn a_link_that_breaks_anywhere_loses_and_doubles_nothing() {
    for after in [false, true] {
        let (house, site) = (node("P1", &[10, 20]), Site::new());
        let mut broke = 0;
        for calls_left in 0.. {
            // A node that starts anew each time: what it knows is its file.
            let mut target = site.target("a");
            let result = ship(
                &house,
                "a",
                Policy::All,
                &mut Breaking { target: &mut target, calls_left, after },
            );
            if result.is_ok() {
                break;
            }
            broke += 1;
            assert!(broke < 100, "never arrives");
        }
        same_rows(&house.store, &site.store(), ALL);
    }
}

#[test]
fn a_hub_killed_at_any_step_shows_an_import_wholly_or_not_at_all() {
    let house = node("P1", &[10]);
    let whole = rows(&house.store, "messages");
    let (mut killed, mut seen_none, mut seen_all) = (0, false, false);
    for steps in 0.. {
        let site = Site::new();
        let mut target = site.target("a");
        kill::after(Some(steps));
        let result = ship(&house, "a", Policy::All, &mut target);
        kill::after(None);
        drop(target);
        // The next writer removes what lies about.
        drop(site.store().lock().unwrap());
        let now = rows(&site.store(), "messages");
        let none = site.store().catalog().unwrap().imports.is_empty();
        assert!(none || now == whole, "step {steps}: something in between");
        (seen_none, seen_all) = (seen_none || none, seen_all || !none);
        let _ = fs::remove_file(house.store.root().join("shipped.json"));
        ship(&house, "a", Policy::All, &mut site.target("a")).unwrap();
        assert_eq!(rows(&site.store(), "messages"), whole);
        fs::remove_file(house.store.root().join("shipped.json")).unwrap();
        if result.is_ok() {
            break;
        }
        killed += 1;
        assert!(killed < 200);
    }
    assert!(killed > 10 && seen_none && seen_all, "{killed} steps");
}

#[test]
fn nodes_do_not_mix() {
    let (a, b, site) = (node("P1", &[10]), node("P2", &[10]), Site::new());
    ship(&a, "a", Policy::All, &mut site.target("a")).unwrap();
    ship(&b, "b", Policy::All, &mut site.target("b")).unwrap();
    let hub = site.store();
    let of: Vec<_> = hub.catalog().unwrap().imports.iter().map(|i| i.node.clone()).collect();
    assert_eq!(of, [Some(name("a")), Some(name("b"))]);

    // The same point and content at another node, hence the same capture id.
    let twin = node("P1", &[10]);
    assert_eq!(first(&a).capture_id, first(&twin).capture_id);
    let error = ship(&twin, "b", Policy::All, &mut site.target("b")).unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error}");
    // The same point, another capture.
    let other = node("P1", &[11]);
    assert!(ship(&other, "b", Policy::All, &mut site.target("b")).is_err());
    assert_eq!(hub.catalog().unwrap().imports.len(), 2);
    let rows = Nodes::of(&hub).rows().unwrap();
    let b = rows.iter().find(|row| row.node == "b").unwrap();
    assert_eq!((b.known.refused, b.light), (2, "warn"));
    assert!(b.text.contains("point P1 is one of node a"), "{}", b.text);
    // A certificate of b with the name of a.
    let offer = opened(&a, "a", Policy::All).offer;
    let hub = Hub::new(&hub, Limits::default());
    let error = hub.offer(&name("b"), &offer).unwrap_err().to_string();
    assert!(error.contains("its certificate b"), "{error}");
}

#[test]
fn what_the_hub_imported_itself_is_not_replaced() {
    let (house, site) = (node("P1", &[10]), Site::new());
    let own = node("P1", &[10]);
    let hub = Hub::new(&own.store, Limits::default());
    let error = hub.offer(&name("a"), &opened(&house, "a", Policy::All).offer).unwrap_err();
    assert!(error.to_string().contains("the hub itself"), "{error}");
    drop(site);
}

#[test]
fn hostile_offers_and_chunks_are_refused_and_leave_nothing() {
    let (house, site) = (node("P1", &[10]), Site::new());
    let store = site.store();
    let hub = Hub::new(&store, Limits { node_bytes: 1 << 20, keep_free: 0 });
    let good = opened(&house, "a", Policy::All).offer;
    type Spoil = fn(&mut Offer);
    let spoil: [(&str, Spoil); 15] = [
        ("protocol", |o| o.protocol = 9),
        ("node", |o| o.node = name("b")),
        ("format", |o| o.import.format += 1),
        ("point", |o| o.import.point = "../../etc".into()),
        ("another point", |o| o.import.point = "P2".into()),
        ("came from", |o| o.import.node = Some(name("b"))),
        ("content", |o| o.import.source.content_blake3 = "x".into()),
        ("id", |o| o.import.capture_id ^= 1),
        ("table", |o| o.import.files[0].table = "../links".into()),
        ("derived table", |o| o.import.files[0].table = "links".into()),
        ("hash", |o| o.files[0].blake3 = "../../../../tmp/x".into()),
        ("upper case", |o| o.files[0].blake3 = "A".repeat(64)),
        ("count", |o| drop(o.files.pop())),
        ("rows", |o| o.import.files[0].rows += 1),
        ("size", |o| o.files[0].bytes = u64::MAX),
    ];
    for (what, spoil) in spoil {
        let mut offer = good.clone();
        spoil(&mut offer);
        let result = hub.offer(&name("a"), &offer);
        assert!(matches!(result, Err(TargetError::Refused(_))), "{what}: {result:?}");
    }
    let hash = "0".repeat(64);
    let put =
        |hash: &str, total, offset, bytes: &[u8]| hub.put(&name("a"), hash, total, offset, bytes);
    for result in [
        put("..", 1, 0, b"x"),
        put(&"g".repeat(64), 1, 0, b"x"),
        put(&hash, 1, 0, b"xy"),
        put(&hash, 5, u64::MAX, b"x"),
        put(&hash, (1 << 20) + 1, 0, b"x"),
        put(&hash, 1 << 20, 0, &vec![0; CHUNK_BYTES + 1]),
        put(&hash, 3, 0, b"abc"),
    ] {
        assert!(matches!(result, Err(TargetError::Refused(_))), "{result:?}");
    }
    // A path in a manifest is never used.
    let mut offer = good.clone();
    for file in &mut offer.import.files {
        file.path = "../../escaped.parquet".to_owned();
    }
    assert!(matches!(hub.offer(&name("a"), &offer), Ok(Answer::Missing { .. })));
    assert!(store.catalog().unwrap().imports.is_empty());
    assert_eq!(fs::read_dir(store.root().join("incoming/a")).unwrap().count(), 0);
    let outside = fs::read_dir(site.directory.path()).unwrap().count();
    assert_eq!(outside, 1, "only the hub's store");
}

#[test]
fn a_file_that_is_no_segment_is_refused() {
    let (house, site) = (node("P1", &[10]), Site::new());
    let hub = Hub::new(&site.store(), Limits { node_bytes: 1 << 30, keep_free: 0 });
    let good = opened(&house, "a", Policy::All);
    let text = b"PAR1 but not really PAR1";
    let content = Content::read(&text[..]).unwrap();
    hub.put(&name("a"), &content.blake3, content.bytes, 0, text).unwrap();
    for (number, file) in good.offer.files.iter().enumerate() {
        let bytes = fs::read(house.store.file(&good.offer.import.files[number])).unwrap();
        hub.put(&name("a"), &file.blake3, file.bytes, 0, &bytes).unwrap();
    }
    let mut offer = good.offer.clone();
    offer.files[0] = content;
    let error = hub.offer(&name("a"), &offer).unwrap_err().to_string();
    assert!(error.contains("a file of"), "{error}");
    // Messages in the place of packets: other columns.
    let mut offer = good.offer.clone();
    let at = |table: &str| offer.import.files.iter().position(|f| f.table == table).unwrap();
    let (packets, messages) = (at("packets"), at("messages"));
    offer.files.swap(packets, messages);
    let error = hub.offer(&name("a"), &offer).unwrap_err().to_string();
    assert!(error.contains("a file of"), "{error}");
    assert!(site.store().catalog().unwrap().imports.is_empty());
}

#[test]
fn a_newer_decoding_replaces_and_an_older_one_does_not() {
    let (house, site) = (node("P1", &[10]), Site::new());
    ship(&house, "a", Policy::Messages, &mut site.target("a")).unwrap();
    let old = opened(&house, "a", Policy::Messages);
    let mut newer = ImportManifest::clone(&first(&house));
    newer.revision = 3;
    let path = house.store.root().join(newer.path());
    fs::write(&path, serde_json::to_vec_pretty(&newer).unwrap()).unwrap();
    ship(&house, "a", Policy::Messages, &mut site.target("a")).unwrap();
    let store = site.store();
    assert_eq!(store.catalog().unwrap().imports[0].revision, 3);
    same_rows(&house.store, &store, &["messages"]);
    let hub = Hub::new(&store, Limits::default());
    assert_eq!(hub.offer(&name("a"), &old.offer).unwrap(), Answer::Known);
    assert_eq!(store.catalog().unwrap().imports[0].revision, 3);
}

#[test]
fn segments_that_moved_or_went_do_not_stop_the_others() {
    let (house, site) = (node("P1", &[10, 20]), Site::new());
    let stale = first(&house);
    // The first one's files get other names, as compaction gives them.
    let mut moved = ImportManifest::clone(&stale);
    for file in &mut moved.files {
        let to = file.path.replace(".parquet", "-moved.parquet");
        fs::rename(house.store.file(file), house.store.root().join(&to)).unwrap();
        file.path = to;
    }
    assert!(Opened::of(&house.store, &stale, &name("a"), Policy::All).unwrap().is_none());
    // The other one goes while it waits.
    let other = house.store.catalog().unwrap().imports[1].clone();
    fs::write(house.store.root().join(moved.path()), serde_json::to_vec_pretty(&moved).unwrap())
        .unwrap();
    fs::remove_file(house.store.file(&other.files[0])).unwrap();
    // A third one cannot be read: a directory stands in its place.
    let path = house.file("third.pcap", &capture(30));
    let third = house.import("P1", &path).unwrap().manifest;
    let file = house.store.file(&third.files[0]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = ship(&house, "a", Policy::All, &mut site.target("a")).unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error}");
    let arrived = site.store().catalog().unwrap().imports;
    assert_eq!(arrived.iter().map(|i| i.capture_id).collect::<Vec<_>>(), [stale.capture_id]);
    let ledger = Ledger::open(&house.store, "a target");
    assert!(ledger.has(&moved, Policy::All) && !ledger.has(&other, Policy::All));
    assert!(!Ledger::open(&house.store, "another target").has(&moved, Policy::All));
}

#[test]
fn a_share_that_is_not_mounted_is_not_taken_for_an_empty_one() {
    let (house, site) = (node("P1", &[10]), Site::new());
    fs::create_dir(site.root()).unwrap();
    let mut target = DirectoryTarget::new(&site.root(), name("a"), false);
    let error = ship(&house, "a", Policy::All, &mut target).unwrap_err().to_string();
    assert!(error.contains("not a store"), "{error}");
    assert_eq!(fs::read_dir(site.root()).unwrap().count(), 0);
    drop(site.store());
    ship(&house, "a", Policy::All, &mut target).unwrap();
    same_rows(&house.store, &site.store(), ALL);
}

#[test]
fn what_means_something_on_the_node_only_is_not_taken_over() {
    let (house, site) = (node("P1", &[10]), Site::new());
    let mut offer = opened(&house, "a", Policy::All);
    let import = &mut offer.offer.import;
    import.point_config.clock = Some("PTP".to_owned());
    let decode = import.decode.as_mut().unwrap();
    decode.base = "/etc".to_owned();
    decode.config["decode"]["schemas"] = "ssl".into();
    decode.config["decode"]["protocols"] = "../root".into();
    decode.config["decode"]["show_secrets"] = true.into();
    let store = site.store();
    let hub = Hub::new(&store, Limits { node_bytes: 1 << 30, keep_free: 0 });
    for (content, segment) in offer.offer.files.iter().zip(&first(&house).files) {
        let bytes = fs::read(house.store.file(segment)).unwrap();
        hub.put(&name("a"), &content.blake3, content.bytes, 0, &bytes).unwrap();
    }
    assert_eq!(hub.offer(&name("a"), &offer.offer).unwrap(), Answer::Taken);
    assert_eq!(hub.offer(&name("a"), &offer.offer).unwrap(), Answer::Known);
    let ours = store.catalog().unwrap().imports[0].clone();
    assert_eq!(ours.point_config.clock.as_deref(), Some("a/PTP"));
    let text = serde_json::to_string(&ours.decode).unwrap();
    for foreign in ["/etc", "ssl", "../root", "\"show_secrets\":true"] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
    assert!(explain_message(&store, ours.capture_id, 0, 0).unwrap().is_some());
    // Settings that this version does not know would break its SQL.
    offer.offer.import.decode.as_mut().unwrap().config["decode"] = 7.into();
    offer.offer.import.revision += 1;
    let error = hub.offer(&name("a"), &offer.offer).unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error}");
}

#[test]
fn what_was_left_behind_makes_room() {
    let site = Site::new();
    let hub = Hub::new(&site.store(), Limits { node_bytes: 3000, keep_free: 0 });
    let hash = |n: u32| format!("{n:064x}");
    for n in 0..5 {
        assert_eq!(hub.put(&name("a"), &hash(n), 2000, 0, &[1; 1000]).unwrap(), 1000);
    }
    let left = fs::read_dir(site.root().join("incoming/a")).unwrap();
    let sizes: u64 = left.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(sizes <= 3000, "{sizes}");
    // Another place than the file's end: the hub says where to go on.
    assert_eq!(hub.put(&name("a"), &hash(4), 2000, 500, &[1; 100]).unwrap(), 1000);
    let full = Hub::new(&site.store(), Limits { node_bytes: 3000, keep_free: u64::MAX / 2 });
    let error = full.put(&name("a"), &hash(9), 2000, 0, &[1; 10]).unwrap_err();
    assert!(matches!(error, TargetError::Unavailable(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Chunks in any order and size, some twice, and a sender that goes on where it
    /// is told: the file is whole in the end, or nothing counts.
    #[test]
    fn chunks_may_come_in_any_way(
        bytes in proptest::collection::vec(any::<u8>(), 1..400),
        tries in proptest::collection::vec((0_usize..400, 1_usize..100), 0..30),
    ) {
        let site = Site::new();
        let hub = Hub::new(&site.store(), Limits { node_bytes: 1 << 20, keep_free: 0 });
        let content = Content::read(&bytes[..]).unwrap();
        let put = |from: usize, len: usize| {
            let part = &bytes[from..bytes.len().min(from + len)];
            hub.put(&name("a"), &content.blake3, content.bytes, from as u64, part).unwrap()
        };
        for (from, len) in tries {
            put(from.min(bytes.len() - 1), len);
        }
        let mut have = put(0, 1) as usize;
        while have < bytes.len() {
            have = put(have, 50) as usize;
        }
        let whole = site.root().join("incoming/a").join(&content.blake3);
        prop_assert_eq!(fs::read(whole).unwrap(), bytes);
    }

    /// No text gives a name that leaves its directory.
    #[test]
    fn names_stay_where_they_are(text in ".{0,80}") {
        if let Ok(node) = NodeName::try_from(text) {
            prop_assert_eq!(Path::new(node.as_str()).components().count(), 1);
            prop_assert!(!node.as_str().starts_with('.'));
        }
    }
}
