use super::*;
use crate::catalog::manifest::{Counters, ImportManifest, SourceFile};
use crate::segment::packets::tests::{push, written};
use crate::tables::orders::OrderRow;
use arrow::util::pretty::pretty_format_batches;
use std::path::Path;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::{PointConfig, PointName};

/// Imports `count` packets of a capture, the first at `start`, one a
/// nanosecond.
fn import(store: &Store, point: &str, capture_id: u64, start: i64, count: u32) {
    let lock = store.lock().unwrap();
    let scratch = lock.scratch().unwrap();
    let mut batch = PacketBatch::new();
    for ix in 0..count {
        push(&mut batch, ix, start + i64::from(ix), 60);
    }
    let written = written(scratch.path(), capture_id, vec![batch]);
    let name = PointName::try_from(point.to_owned()).unwrap();
    let manifest = ImportManifest {
        format: crate::catalog::FORMAT_VERSION,
        software: "test".to_owned(),
        config_hash: String::new(),
        decode: None,
        point: point.to_owned(),
        point_config: PointConfig::named(name),
        capture_id,
        revision: 0,
        source: SourceFile {
            name: "x.pcap".into(),
            bytes: 1,
            content_blake3: String::new(),
            segment: None,
        },
        node: None,
        counters: Counters { packets: u64::from(count), ..Counters::default() },
        warnings: vec!["cut at byte 7".to_owned()],
        warnings_dropped: 0,
        first_ts: None,
        continues: None,
        learned: Vec::new(),
        files: Vec::new(),
    };
    lock.commit_import(&scratch, manifest, written).unwrap();
}

async fn ask(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// The only cell of an answer.
async fn one(context: &SessionContext, sql: &str) -> String {
    let text = ask(context, sql).await;
    let cell = text.lines().nth(3).unwrap_or_else(|| panic!("no row: {text}"));
    cell.trim_matches(|c| c == '|' || c == ' ').to_owned()
}

fn new_store(root: &Path) -> Store {
    Store::open_or_create(root).unwrap()
}

#[tokio::test]
async fn empty_tables_are_tables() {
    let directory = tempfile::tempdir().unwrap();
    let context = session(&new_store(directory.path())).unwrap();
    for table in ALL {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        assert_eq!(one(&context, &sql).await, "0", "{}", table.name);
    }
    for view in views::VIEWS {
        let sql = format!("SELECT count(*) FROM {}", view.name);
        assert_eq!(one(&context, &sql).await, "0", "{}", view.name);
    }
    assert_eq!(one(&context, "SELECT count(*) FROM captures").await, "0");
    let sql = "SELECT doc FROM docs WHERE table_name = 'packets' AND column_name = 'wire_len'";
    assert_eq!(one(&context, sql).await, "Bytes on the wire.");
}

#[tokio::test]
async fn imports_are_seen_by_an_older_session() {
    let directory = tempfile::tempdir().unwrap();
    let store = new_store(directory.path());
    let context = session(&store).unwrap();
    import(&store, "P1", u64::MAX, 1_700_000_000_000_000_000, 100);
    import(&store, "P2", 7, 1_700_000_000_000_000_050, 10);
    assert_eq!(one(&context, "SELECT count(*) FROM packets").await, "110");
    let sql = format!("SELECT count(*) FROM packets WHERE capture_id = {}", u64::MAX);
    assert_eq!(one(&context, &sql).await, "100");
    let sql = "SELECT packet_ix FROM packets WHERE capture_id = 7 AND packet_ix = 3";
    assert_eq!(one(&context, sql).await, "3");
    let sql = "SELECT count(*) FROM packets WHERE point = 'P2'";
    assert_eq!(one(&context, sql).await, "10");
    let sql = "SELECT max(ts) FROM packets WHERE point = 'P1'";
    assert_eq!(one(&context, sql).await, "2023-11-14T22:13:20.000000099Z");
    let sql = "SELECT hex(data) FROM packets WHERE point = 'P2' AND packet_ix = 1";
    assert_eq!(one(&context, sql).await, "01".repeat(60));
    let sql = "SELECT sum(packets) FROM captures WHERE first_warning LIKE 'cut%'";
    assert_eq!(one(&context, sql).await, "110");
}

#[tokio::test]
async fn segments_outside_a_filter_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = new_store(directory.path());
    let hour = 3_600_000_000_000;
    for n in 0..4u32 {
        import(&store, "P1", u64::from(n), i64::from(n) * hour, 10);
    }
    let context = session(&store).unwrap();
    let files = async |condition: &str| {
        let sql = format!("EXPLAIN SELECT packet_ix FROM packets WHERE {condition}");
        ask(&context, &sql).await.matches(".parquet").count()
    };
    assert_eq!(files("wire_len > 0").await, 4);
    assert_eq!(files("ts >= TIMESTAMP '1970-01-01T02:00:00Z'").await, 2);
    assert_eq!(files("capture_id = 3").await, 1);
    assert_eq!(files("point = 'P9'").await, 0);
    let sql = "SELECT count(*) FROM packets WHERE ts >= TIMESTAMP '1970-01-01T02:00:00Z'";
    assert_eq!(one(&context, sql).await, "20");
}

#[tokio::test]
async fn rows_in_order_of_time_need_no_sort() {
    let directory = tempfile::tempdir().unwrap();
    let store = new_store(directory.path());
    for (n, start) in [(1u64, 0), (2, 5), (3, 100)] {
        import(&store, "P1", n, start, 10);
    }
    let context = session(&store).unwrap();
    let sql = "SELECT ts, capture_id, packet_ix FROM packets ORDER BY ts";
    let plan = ask(&context, &format!("EXPLAIN {sql}")).await;
    assert!(!plan.contains("SortExec"), "{plan}");
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 30);
    let sql = "SELECT count(*) FROM (SELECT ts, lag(ts) OVER (ORDER BY ts) AS before FROM packets) \
               WHERE before > ts";
    assert_eq!(one(&context, sql).await, "0");
}

#[tokio::test]
async fn files_are_whole_for_other_readers() {
    let directory = tempfile::tempdir().unwrap();
    let store = new_store(directory.path());
    import(&store, "P1", 5, 1_700_000_000_000_000_000, 10);
    let context = SessionContext::new();
    let path = directory.path().join("packets").display().to_string();
    let sql = format!("CREATE EXTERNAL TABLE p STORED AS PARQUET LOCATION '{path}/'");
    context.sql(&sql).await.unwrap();
    assert_eq!(one(&context, "SELECT count(*) FROM p WHERE capture_id = 5").await, "10");
    let hour = directory.path().join("packets/point=P1/date=2023-11-14/hour=22");
    assert!(hour.join("0000000000000005-0.parquet").exists());
}

#[tokio::test]
async fn quantiles_and_flags_in_sql() {
    let directory = tempfile::tempdir().unwrap();
    let context = session(&new_store(directory.path())).unwrap();
    let sql = "SELECT hdr_quantile(value - 3, 0.5) FROM generate_series(1, 9) AS t(value)";
    assert_eq!(one(&context, sql).await, "2");
    let sql = "SELECT hdr_quantile(v, 1) FROM (SELECT arrow_cast(value, 'Int64') AS v \
               FROM generate_series(1, 5000) AS t(value)) GROUP BY v % 2 ORDER BY 1 LIMIT 1";
    assert_eq!(one(&context, sql).await, "4999");
    let sql = "SELECT flag_names(arrow_cast(65, 'UInt32'))";
    assert_eq!(one(&context, sql).await, "snapshot|unknown_type");
    let error =
        context.sql("SELECT hdr_quantile(value, 1.5) FROM generate_series(1, 9) AS t(value)");
    let error = error.await.unwrap().collect().await.unwrap_err().to_string();
    assert!(error.contains("from 0 to 1"), "{error}");
}

#[tokio::test]
async fn a_trigger_makes_tick_to_trade() {
    let directory = tempfile::tempdir().unwrap();
    let store = new_store(directory.path());
    let order = |trigger_ts| OrderRow {
        lineage_id: 1,
        symbol: Some("ALFA".into()),
        side: Some("buy".into()),
        price: Some(10_010_000_000),
        qty: Some(100_000_000_000),
        state: "filled".into(),
        cl_ord_id: Some("C1".into()),
        order_id: Some(1_000_005),
        order_id_txt: None,
        session: None,
        account: None,
        fills: 1,
        qty_cum: Some(100_000_000_000),
        trigger_ts,
        request_ts: Some(3_000),
        gateway_ts: None,
        ack_ts: None,
        public_ts: None,
        first_fill_ts: None,
        done_ts: None,
        tick_to_order_ns: Some(2_000),
        tick_to_order_lo_ns: None,
        tick_to_order_hi_ns: None,
        relay_ns: None,
        ack_ns: Some(500),
        first_fill_ns: None,
        observations: 4,
    };
    let mut replacement = store.replace_tables(Vec::new(), "c").unwrap();
    replacement.write_rows(&[order(Some(1_000)), order(None)]).unwrap();
    replacement.commit(&store.lock().unwrap()).unwrap();
    let context = session(&store).unwrap();
    assert_eq!(one(&context, "SELECT count(*) FROM orders").await, "2");
    assert_eq!(one(&context, "SELECT tick_to_ack_ns FROM tick_to_trade").await, "2500");
    assert_eq!(one(&context, "SELECT price FROM tick_to_trade").await, "10.010000000");
}
