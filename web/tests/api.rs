//! The server as a client sees it, over a made-up store.

mod support;

use serde_json::Value;
use support::http::Running;

const ORDERS: u64 = 60;

async fn with_server<F: Future<Output = ()>>(test: impl FnOnce(std::sync::Arc<Running>) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let running = std::sync::Arc::new(Running::start(directory.path(), ORDERS).await);
    test(running.clone()).await;
    std::sync::Arc::into_inner(running).unwrap().stop().await;
}

fn rows<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer[name].as_array().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn number(cell: &Value) -> i64 {
    cell.as_str().unwrap_or_else(|| panic!("{cell} is not text")).parse().unwrap()
}

#[tokio::test]
async fn the_summary_says_what_the_store_holds() {
    with_server(async |server| {
        let summary = server.get("/api/summary").await.json();
        let light = |area: &str| {
            let found = rows(&summary, "health").iter().find(|row| row["area"] == area);
            found.unwrap()["light"].clone()
        };
        assert_eq!(light("capture"), "bad", "twelve packets were dropped");
        assert_eq!(light("losses"), "bad", "one message is missing on both lines");
        assert_eq!(light("clocks"), "ok");
        assert_eq!(rows(&summary, "captures").len(), 5);
        let states = rows(&summary, "states").iter().map(|row| number(&row["n"])).sum::<i64>();
        assert_eq!(states, ORDERS as i64);
        let stage = &rows(&summary, "stages")[0];
        assert_eq!(stage["stage"], "tick_to_order");
        assert!(number(&stage["p50_ns"]) <= number(&stage["p99_ns"]));
        let before = server.get("/api/state").await.json()["version"].clone();
        assert_eq!(before, server.get("/api/state").await.json()["version"]);
        assert_eq!(server.get("/healthz").await.json()["status"], "ok");
        assert_eq!(rows(&server.get("/api/points").await.json(), "flows").len(), 5);
    })
    .await;
}

#[tokio::test]
async fn a_hops_histogram_and_series_count_every_link() {
    with_server(async |server| {
        let hops = server.get("/api/hops").await.json();
        assert!(rows(&hops, "hops").len() > 10);
        for hop in rows(&hops, "hops") {
            let word = |name: &str| hop[name].as_str().unwrap().to_owned();
            let query = format!(
                "link_kind={}&message_kind={}&from_point={}&to_point={}",
                word("link_kind"),
                word("message_kind"),
                word("from_point"),
                word("to_point")
            );
            let n = number(&hop["n"]);
            let histogram = server.get(&format!("/api/hops/histogram?{query}")).await.json();
            let counted = rows(&histogram, "buckets").iter().map(|row| number(&row["n"]));
            assert_eq!(counted.sum::<i64>() + number(&histogram["beyond"]), n, "{query}");
            let last = rows(&histogram, "buckets").last().unwrap();
            assert!(number(&last["bucket"]) < histogram["count"].as_i64().unwrap());
            let series = server.get(&format!("/api/hops/series?{query}")).await.json();
            let counted = rows(&series, "buckets").iter().map(|row| number(&row["n"]));
            assert_eq!(counted.sum::<i64>(), n, "{query}");
            let slowest = server.get(&format!("/api/hops/slowest?{query}")).await.json();
            assert_eq!(rows(&slowest, "links")[0]["latency_ns"], hop["max_ns"]);
        }
        let unknown = "/api/hops/histogram?link_kind=it's&from_point=P1&to_point=P9";
        assert_eq!(server.get(unknown).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn orders_are_searched_sorted_and_paged() {
    with_server(async |server| {
        let all = server.get("/api/orders?limit=1000&sort=tick_to_order_ns").await.json();
        assert_eq!(rows(&all, "orders").len() as u64, ORDERS);
        let times: Vec<i64> =
            rows(&all, "orders").iter().map(|row| number(&row["tick_to_order_ns"])).collect();
        assert!(times.is_sorted_by(|a, b| a >= b));
        let page = server.get("/api/orders?limit=7&offset=56&direction=asc").await.json();
        assert_eq!(rows(&page, "orders").len(), 4);
        assert_eq!(page["total"], ORDERS.to_string());
        for q in ["S1-000033", "1000033", "s1-000033"] {
            let found = server.get(&format!("/api/orders?q={q}")).await.json();
            let expected = usize::from(q != "s1-000033");
            assert_eq!(rows(&found, "orders").len(), expected, "{q}");
        }
        let alfa = server.get("/api/orders?q=alfa").await.json();
        assert!(!rows(&alfa, "orders").is_empty());
        assert!(rows(&alfa, "orders").iter().all(|row| row["symbol"] == "ALFA"));
        let rejected = server.get("/api/orders?state=rejected").await.json();
        assert!(rows(&rejected, "orders").iter().all(|row| row["state"] == "rejected"));
        for bad in ["sort=rm", "limit=1001", "limit=x", "nonsense=1", "direction=up"] {
            let answer = server.get(&format!("/api/orders?{bad}")).await;
            assert_eq!(answer.status, 400, "{bad}");
            assert!(!answer.error().is_empty());
        }
        let quoted = server.get("/api/orders?q=%27%20OR%201=1%20--").await.json();
        assert_eq!(quoted["total"], "0");
    })
    .await;
}

#[tokio::test]
async fn an_order_is_shown_whole_down_to_its_bytes() {
    with_server(async |server| {
        let found = server.get("/api/orders?q=S1-000004").await.json();
        let id = rows(&found, "orders")[0]["lineage_id"].as_str().unwrap().to_owned();
        assert_eq!(id, (0xf000_0000_0000_0004_u64).to_string(), "every digit is kept");
        let order = server.get(&format!("/api/orders/{id}")).await.json();
        assert_eq!(order["order"]["cl_ord_id"], "S1-000004");
        let lineage = rows(&order, "lineage");
        assert!(lineage.iter().map(|row| number(&row["since_first_ns"])).is_sorted());
        let trigger = lineage.iter().find(|row| row["via"] == "trigger").unwrap();
        assert_eq!(trigger["rule"], "last_preceding");
        assert_eq!(trigger["candidates"], 3);
        let linked = lineage.iter().filter(|row| !row["via"].is_null()).count();
        assert_eq!(rows(&order, "links").len(), linked);
        let seen = &lineage[2];
        let path = format!(
            "/api/messages/{}/{}/{}",
            seen["capture_id"].as_str().unwrap(),
            seen["packet_ix"],
            seen["msg_ix"]
        );
        let message = server.get(&path).await.json();
        assert_eq!(rows(&message, "entries")[0]["kind"], seen["kind"]);
        assert_eq!(message["packet"]["data"].as_str().unwrap().len(), 98 * 2);
        for missing in ["/api/orders/1", "/api/messages/1/2/3"] {
            assert_eq!(server.get(missing).await.status, 404, "{missing}");
        }
        for bad in ["/api/orders/x", "/api/messages/1/2/99999", "/api/messages/-1/0/0"] {
            assert_eq!(server.get(bad).await.status, 400, "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn losses_and_lines_are_listed() {
    with_server(async |server| {
        let losses = server.get("/api/losses").await.json();
        assert_eq!(losses["total"]["missing"], "8");
        assert_eq!(losses["total"]["packets"], "12", "counted by the capture itself");
        let told = rows(&losses, "losses").iter().find(|row| row["protocol"] == "packets");
        assert!(told.unwrap()["evidence"].as_str().unwrap().starts_with("ring: "));
        let network = server.get("/api/losses?cause=network&point=P2").await.json();
        assert_eq!(rows(&network, "losses").len(), 2);
        assert_eq!(rows(&server.get("/api/lines").await.json(), "lines").len(), 4);
    })
    .await;
}

#[tokio::test]
async fn sql_reads_and_only_reads() {
    with_server(async |server| {
        let answer = server.sql("SELECT 18446744073709551615 AS n, ts FROM messages LIMIT 2").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = answer.json();
        assert_eq!(answer["columns"][1]["type"], "time");
        assert_eq!(answer["rows"][0][0], "18446744073709551615");
        assert_eq!(answer["truncated"], false);
        let many = server.sql("SELECT a.ts FROM messages a CROSS JOIN messages b").await.json();
        assert_eq!(rows(&many, "rows").len(), 1000);
        assert_eq!(many["truncated"], true);
        for statement in [
            "CREATE TABLE x AS SELECT 1",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE VIEW v AS SELECT 1",
            "INSERT INTO hops SELECT * FROM hops",
            "COPY (SELECT 1) TO '/tmp/taptrail-must-not-exist.csv'",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/taptrail-must-not-exist.csv'",
            "DROP TABLE messages",
            "DELETE FROM messages",
            "SET datafusion.execution.batch_size = 1",
            "SELECT * FROM '/etc/passwd'",
            "SELECT 1; SELECT 2",
            "SELEC 1",
            "",
        ] {
            let answer = server.sql(statement).await;
            assert_eq!(answer.status, 400, "{statement}: {}", answer.body);
            assert!(!answer.error().is_empty(), "{statement}");
        }
        assert!(!std::path::Path::new("/tmp/taptrail-must-not-exist.csv").exists());
        assert_eq!(server.sql("EXPLAIN SELECT * FROM hops").await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn csv_has_every_row() {
    with_server(async |server| {
        let body = r#"{"sql": "SELECT symbol, price, request_ts FROM orders ORDER BY lineage_id"}"#;
        let answer = server.post("/api/sql?format=csv", "application/json", body).await;
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("text/csv"), "{}", answer.head);
        assert!(answer.head.contains("attachment"), "{}", answer.head);
        let lines: Vec<&str> = answer.body.split_terminator("\r\n").collect();
        assert_eq!(lines.len() as u64, ORDERS + 1);
        assert_eq!(lines[0], "symbol,price,request_ts");
        assert!(lines[1].ends_with('Z') && lines[1].contains("2026-03-02T14:30"), "{}", lines[1]);
    })
    .await;
}

#[tokio::test]
async fn strangers_and_oversize_are_refused() {
    with_server(async |server| {
        let asked =
            |host: &str| format!("GET /api/state HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        for host in ["Host: evil.example\r\n", "Host: 127.0.0.1.evil.example:8321\r\n"] {
            let answer = server.send(&asked(host)).await;
            assert_eq!(answer.status, 421, "{host}");
        }
        for host in ["Host: 127.0.0.1\r\n", "Host: localhost:1\r\n", "Host: [::1]:8321\r\n"] {
            assert_eq!(server.send(&asked(host)).await.status, 200, "{host}");
        }
        let huge = format!("{{\"sql\": \"SELECT '{}'\"}}", "x".repeat(100_000));
        let answer = server.post("/api/sql", "application/json", &huge).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        let form = server.post("/api/sql", "text/plain", r#"{"sql": "SELECT 1"}"#).await;
        assert_eq!(form.status, 415, "a form of a stranger's page cannot ask");
        assert_eq!(server.get("/api/sql").await.status, 405);
        assert_eq!(server.get("/api/nothing").await.status, 404);
        assert_eq!(server.get("/../Cargo.toml").await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn the_page_is_served_with_its_guards() {
    with_server(async |server| {
        let page = server.get("/").await;
        assert_eq!(page.status, 200);
        for header in [
            "content-security-policy: default-src 'self'",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "content-type: text/html",
        ] {
            assert!(page.head.contains(header), "{header} is not in {}", page.head);
        }
        let script = page.body.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
        let script = server.get(script).await;
        assert!(script.head.contains("immutable"), "{}", script.head);
        let tables = server.get("/api/tables").await.json();
        assert!(rows(&tables, "tables").iter().any(|table| table["name"] == "captures"));
        assert!(rows(&tables, "tables").iter().all(|table| !rows(table, "columns").is_empty()));
        let document = server.get("/api/openapi.json").await.json();
        assert!(document["paths"]["/api/sql"]["post"].is_object());
    })
    .await;
}
