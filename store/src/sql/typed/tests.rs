use crate::import::tests::{House, capture, datagrams};
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

/// A count that goes on and a price that stays.
const TEMPLATES: &str = "<templates><template name=\"Quote\" id=\"1\">\
    <uInt32 name=\"Count\"><increment/></uInt32><uInt32 name=\"Price\"><copy/></uInt32>\
    </template></templates>";

#[tokio::test]
async fn messages_that_hang_on_those_before_them_are_decoded_behind_them() {
    let house = House::new();
    house.file("t.xml", TEMPLATES.as_bytes());
    // All values once; then nothing but a count that goes on, 9,000 times; one is
    // missing; a message that hangs on it; all values again.
    let message = |seq: u32, message: &[u8]| [&seq.to_be_bytes(), message].concat();
    let mut payloads = vec![message(1, &[0xf0, 0x81, 0x85, 0x87])];
    payloads.extend((2..=9001).map(|seq| message(seq, &[0xc0, 0x81])));
    payloads.push(message(9003, &[0xc0, 0x81]));
    payloads.push(message(9004, &[0xf0, 0x81, 0x90, 0x91]));
    for point in ["P1", "P2"] {
        let feed = serde_json::json!({"feed": [{"protocol": "house.fast", "port": 26477,
            "templates": "t.xml", "preamble": ["u32be seq"], "reset": "never"}]});
        house.import_by(feed, point, &house.file("a.pcap", &datagrams(&payloads)));
    }
    let context = session(&house.store).unwrap();
    // The middle alone is what the whole says it is.
    let sql = "SELECT point, packet_ix, count, price, undecodable FROM house_fast.quote \
               WHERE packet_ix IN (200, 8800) AND ts > TIMESTAMP '2023-11-14T22:13:20.0001Z' \
               ORDER BY point, packet_ix";
    let want = ["P1 200 205 7 ", "P1 8800 8805 7 ", "P2 200 205 7 ", "P2 8800 8805 7 "];
    let lines = |text: String| text.lines().map(|line| format!("{line} ")).collect::<Vec<_>>();
    let found = lines(ask(&context, sql).await);
    assert_eq!(
        found.iter().map(|line| line.trim_end()).collect::<Vec<_>>(),
        want.map(str::trim_end)
    );
    // Behind the hole nothing is guessed, and what is not known is counted.
    let sql = "SELECT count(*), count(count), count(price), count(undecodable), sum(count) \
               FROM house_fast.quote WHERE point = 'P2'";
    let sum: u64 = (5..=9005).sum::<u64>() + 16;
    assert_eq!(ask(&context, sql).await, format!("9003 9002 9002 1 {sum}"));
    let sql = "SELECT packet_ix, count, price, undecodable LIKE '%not seen%' \
               FROM house_fast.quote WHERE point = 'P1' AND packet_ix > 9000 ORDER BY packet_ix";
    assert_eq!(ask(&context, sql).await, "9001   true\n9002 16 17 ");
    // As many rows as messages.
    let sql = "SELECT count(*) FROM house_fast.quote q JOIN messages m \
               USING (capture_id, packet_ix, msg_ix)";
    assert_eq!(ask(&context, sql).await, "18006");
}
