use crate::import::tests::{House, capture};
use crate::sql::session;
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;

async fn ask(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let lines = table.lines().skip(3).filter(|line| !line.starts_with('+'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect::<Vec<_>>().join(" ")
    };
    lines.map(cells).collect::<Vec<_>>().join("\n")
}

const ITCH: &str = "nasdaq_totalview_itch_5_0";

#[tokio::test]
async fn a_message_type_is_a_table_with_its_fields() {
    let house = House::new();
    let context = session(&house.store).unwrap();
    let unknown = context.sql(&format!("SELECT * FROM {ITCH}.add_order")).await;
    assert!(unknown.is_err(), "no capture has its messages yet");
    house.import("P1", &house.file("a.pcap", &capture(3000))).unwrap();
    // A session that was made before sees it.
    let sql = format!(
        "SELECT packet_ix, msg_ix, entry, stock, buy_sell_indicator, buy_sell_indicator_word, \
         shares, price, order_reference_number FROM {ITCH}.add_order \
         WHERE packet_ix IN (0, 2999) ORDER BY packet_ix, msg_ix"
    );
    let want = [
        "0 0 0 ALFA B buy 100 10.010000000 0",
        "0 1 0 ALFA B buy 7 20.000000000 1",
        "2999 0 0 ALFA B buy 100 10.010000000 5998",
        "2999 1 0 ALFA B buy 7 20.299900000 5999",
    ];
    assert_eq!(ask(&context, &sql).await, want.join("\n"));
    let sql = format!("SELECT count(*), sum(shares) FROM {ITCH}.add_order");
    assert_eq!(ask(&context, &sql).await, "6000 321000");
    let sql = format!("SELECT count(*) FROM {ITCH}.order_delete");
    assert_eq!(ask(&context, &sql).await, "0");
}

#[tokio::test]
async fn its_rows_join_to_messages_and_are_what_these_say() {
    let house = House::new();
    house.import("P1", &house.file("a.pcap", &capture(500))).unwrap();
    house.import("P2", &house.file("b.pcap", &capture(40))).unwrap();
    let context = session(&house.store).unwrap();
    let sql = format!(
        "SELECT count(*) FROM {ITCH}.add_order x JOIN messages m \
         USING (capture_id, packet_ix, msg_ix, entry) WHERE x.price = m.price \
         AND x.shares = m.qty AND x.ts = m.ts AND x.point = m.point AND x.timestamp = m.ts_exch"
    );
    assert_eq!(ask(&context, &sql).await, "1080");
    let sql = format!("SELECT count(*) FROM {ITCH}.add_order WHERE point = 'P2' AND shares > 50");
    assert_eq!(ask(&context, &sql).await, "40");
    let sql = format!(
        "SELECT count(*) FROM {ITCH}.add_order WHERE ts >= TIMESTAMP '2023-11-14T22:13:20.000499Z'"
    );
    assert_eq!(ask(&context, &sql).await, "2");
}

#[tokio::test]
async fn tables_are_listed_with_their_columns() {
    let house = House::new();
    house.import("P1", &house.file("a.pcap", &capture(2))).unwrap();
    let context = session(&house.store).unwrap();
    let sql = format!(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_schema = '{ITCH}' AND table_name = 'add_order' AND column_name IN \
         ('price', 'stock', 'timestamp', 'shares') ORDER BY column_name"
    );
    let want = [
        "price Decimal128(38, 9)",
        "shares UInt64",
        "stock Utf8",
        "timestamp Timestamp(ns, \"UTC\")",
    ];
    assert_eq!(ask(&context, &sql).await, want.join("\n"));
    let sql = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'messages'";
    assert_eq!(ask(&context, sql).await, "1");
}
