//! Tables of a protocol's own columns, and messages decoded anew.

use crate::support::{sql, sql_n, taptrail_ok};
use std::path::Path;

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/captures").join(name).display().to_string()
}

fn import(store: &Path, config: Option<&str>, captures: &[(&str, &str)]) {
    let mut args = vec!["import".to_owned(), "--store".to_owned(), store.display().to_string()];
    args.extend(config.map(|config| format!("--config={}", sample(config))));
    args.extend(captures.iter().map(|(point, file)| format!("{point}={}", sample(file))));
    taptrail_ok(&args);
}

#[test]
fn every_message_of_the_samples_is_a_row_of_its_typed_table() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path();
    let captures = [
        ("P1", "nasdaq.totalview-itch.5.0.pcap"),
        ("P2", "nasdaq.ouch.5.0.pcap"),
        ("P3", "fix.4.4.pcap"),
    ];
    import(store, None, &captures);
    let named = sql(
        store,
        "SELECT protocol, msg_name, count(*) AS n FROM messages \
         WHERE protocol IN ('nasdaq.totalview-itch.5.0', 'nasdaq.ouch.5.0') \
         GROUP BY protocol, msg_name ORDER BY protocol, msg_name",
    );
    assert!(named.len() > 20, "{named:?}");
    for row in named {
        let schema = row["protocol"].as_str().unwrap().replace(['.', '-'], "_");
        let name = row["msg_name"].as_str().unwrap();
        let n = sql_n(store, &format!("SELECT count(*) AS n FROM {schema}.{name}"));
        assert_eq!(Some(n), row["n"].as_i64(), "{schema}.{name}");
    }
    // What the table says is what `fields` says.
    let order = &sql(
        store,
        "SELECT capture_id, packet_ix, msg_ix, price, shares, stock \
         FROM nasdaq_totalview_itch_5_0.add_order ORDER BY packet_ix, msg_ix LIMIT 1",
    )[0];
    let fields = sql(
        store,
        &format!(
            "SELECT name, value FROM fields({}, {}, {})",
            order["capture_id"], order["packet_ix"], order["msg_ix"]
        ),
    );
    let field = |name: &str| {
        let found = fields.iter().find(|field| field["name"] == name).unwrap();
        found["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(order["stock"], field("stock").as_str());
    assert_eq!(order["shares"].to_string(), field("shares"));
    let price = |text: &str| text.trim_matches('"').parse::<f64>().unwrap();
    assert_eq!(price(&order["price"].to_string()), price(&field("price")));
    // FIX: every message has its type, once, and order ids are those of `messages`.
    let n =
        sql_n(store, "SELECT count(*) AS n FROM fix.tags WHERE tag = 35 AND group_path IS NULL");
    let messages = "SELECT count(*) AS n FROM messages WHERE protocol LIKE 'fix%' AND entry = 0";
    assert_eq!(n, sql_n(store, messages));
    let same = "SELECT count(*) AS n FROM messages m JOIN fix.tags t \
                USING (capture_id, packet_ix, msg_ix) \
                WHERE t.tag = 11 AND t.name = 'ClOrdID' AND t.value = m.cl_ord_id";
    let with = "SELECT count(*) AS n FROM messages WHERE protocol LIKE 'fix%' \
                AND cl_ord_id IS NOT NULL";
    assert_eq!(sql_n(store, same), sql_n(store, with));
}

#[test]
fn learned_scales_reach_typed_tables_and_decoding_anew_changes_no_row() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path();
    import(store, Some("acme.quotes.1.0.toml"), &[("P1", "acme.quotes.1.0.pcap")]);
    let prices = "SELECT count(*) AS n FROM acme_quotes_1_0.levels x JOIN messages m \
                  USING (capture_id, packet_ix, msg_ix, entry) \
                  WHERE (x.price IS NOT DISTINCT FROM m.price) AND x.nanoseconds = m.ts_exch";
    let levels = sql_n(store, "SELECT count(*) AS n FROM messages WHERE msg_name = 'levels'");
    assert!(levels > 0);
    assert_eq!(sql_n(store, prices), levels);
    let all = "SELECT * FROM messages ORDER BY packet_ix, msg_ix, entry";
    let (before, id) = (sql(store, all), sql(store, "SELECT capture_id FROM captures"));
    let id = id[0]["capture_id"].to_string();
    let store_text = store.display().to_string();
    let config = format!("--config={}", sample("acme.quotes.1.0.toml"));
    let args = ["redecode", "--store", &store_text, &config, "--capture", &id];
    let told = taptrail_ok(&args).out;
    assert!(told.contains("revision 1"), "{told}");
    assert_eq!(sql(store, all), before);
    assert_eq!(sql_n(store, "SELECT revision AS n FROM captures"), 1);
    let stale = taptrail_ok(&["redecode", "--store", &store_text, &config, "--stale"]).out;
    assert!(stale.contains("0 of 1 captures"), "{stale}");
}
