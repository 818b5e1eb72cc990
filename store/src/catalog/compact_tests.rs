//! Compaction changes no row, wherever it is killed.

use super::*;
use crate::catalog::place::kill;
use crate::catalog::retention::Limits;
use crate::explain::explain_message;
use crate::import::redecode::redecode;
use crate::import::tests::{House, accounted, capture_at, decoders};
use crate::sql::session;
use crate::tables::PER_CAPTURE;
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use std::time::Duration;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::source::{PacketSource, Progress};

/// 2026-03-02 14:00 UTC.
const HOUR: i64 = 1_772_460_000_000_000_000;

/// Captures of one hour and one of the next; each of `packets`, and accounts.
fn house(packets: &[u32]) -> House {
    let house = House::new();
    let minute = 60_000_000_000;
    for (number, &packets) in packets.iter().enumerate() {
        let start = HOUR + number as i64 * minute;
        let path = house.file(&format!("{number}.pcap"), &capture_at(start, packets));
        house.import(if number % 3 == 2 { "P2" } else { "P1" }, &path).unwrap();
    }
    let path = house.file("next.pcap", &capture_at(HOUR + 70 * minute, 3));
    house.import("P1", &path).unwrap();
    for number in 0..2 {
        let path = house.file("node.pcapng", &accounted(HOUR + (10 + number) * minute));
        house.import("P1", &path).unwrap();
    }
    house
}

/// The same store in another directory, as a process finds it that starts there.
fn moved(store: &Store) -> (tempfile::TempDir, Store) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).map(|_| ()).unwrap() }
        }
    }
    // Where there is a file system in memory, syncing costs nothing.
    let memory = tempfile::tempdir_in("/dev/shm");
    let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
    copy(store.root(), directory.path());
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

async fn answer(store: &Store, sql: &str) -> String {
    ask(&session(store).unwrap(), sql).await
}

async fn ask(context: &SessionContext, sql: &str) -> String {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// Every row of every table, in an order of its own; packets and messages once
/// more in that of time.
async fn rows(store: &Store) -> Vec<String> {
    let (mut all, context) = (Vec::new(), session(store).unwrap());
    for table in PER_CAPTURE {
        let text = ask(&context, &format!("SELECT * FROM {}", table.name)).await;
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        all.extend(rows);
    }
    for table in ["packets", "messages"] {
        all.push(ask(&context, &format!("SELECT ts FROM {table} ORDER BY ts")).await);
    }
    all.push(ask(&context, "SELECT * FROM losses ORDER BY point, evidence").await);
    all
}

fn compact(store: &Store) -> Result<Compacted, StoreError> {
    let mut done = Compacted::default();
    for plan in plans(&store.catalog()?, i64::MAX) {
        if let Some(prepared) = plan.prepare(store)? {
            done.add(prepared.commit(&store.lock()?)?);
        }
    }
    Ok(done)
}

fn segment_files(store: &Store) -> Vec<PathBuf> {
    fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    let mut files = Vec::new();
    PER_CAPTURE.iter().for_each(|table| walk(&store.root().join(table.name), &mut files));
    files
}

/// A later writer: what nobody names goes.
fn later(store: &Store) {
    for file in segment_files(store) {
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::open(file).unwrap().set_modified(long_ago).unwrap();
    }
    drop(store.lock().unwrap());
}

#[tokio::test]
async fn an_hour_is_a_file_a_table_and_point() {
    let house = house(&[40, 7, 30, 1, 12, 9]);
    let before = rows(&house.store).await;
    let done = compact(&house.store).unwrap();
    // Six tables at P1; at P2 none of accounts.
    assert_eq!(done.after, 10);
    assert!(done.before > 20, "{done:?}");
    assert_eq!(rows(&house.store).await, before);
    assert!(segment_files(&house.store).len() as u64 > done.after + 8, "still there for readers");
    later(&house.store);
    assert_eq!(rows(&house.store).await, before);
    assert_eq!(plans(&house.store.catalog().unwrap(), i64::MAX).len(), 0);
    assert_eq!(compact(&house.store).unwrap(), Compacted::default());
    assert_eq!(plans(&house.store.catalog().unwrap(), HOUR).len(), 0, "its hour is not over");
}

#[tokio::test]
async fn killed_at_each_step_nothing_is_lost_or_doubled() {
    let house = house(&[4, 2]);
    let before = rows(&house.store).await;
    let mut steps = 0;
    loop {
        let (_directory, store) = moved(&house.store);
        kill::after(Some(steps));
        let result = compact(&store);
        kill::after(None);
        let found = Store::open(store.root()).unwrap();
        assert_eq!(rows(&found).await, before, "killed after {steps} steps");
        later(&found);
        if steps % 4 == 0 || result.is_ok() {
            compact(&found).unwrap();
            later(&found);
            assert_eq!(rows(&found).await, before, "killed after {steps} steps, gone on");
            assert_eq!(plans(&found.catalog().unwrap(), i64::MAX).len(), 0);
        }
        if result.is_ok() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 30, "{steps}");
}

fn packets_of(store: &Store, capture_id: u64) -> Vec<(i64, u32, Vec<u8>)> {
    let mut source = store.packets(capture_id).unwrap();
    let (mut batch, mut all) = (PacketBatch::new(), Vec::new());
    loop {
        let progress = source.next_batch(&mut batch).unwrap();
        all.extend(batch.iter().map(|p| (p.meta.ts.ns(), p.meta.packet_ix, p.data.to_vec())));
        if progress == Progress::End {
            return all;
        }
    }
}

#[tokio::test]
async fn captures_stay_whole_in_a_file_with_others() {
    let house = house(&[30, 6, 5, 8]);
    let store = &house.store;
    let ids: Vec<u64> = store.catalog().unwrap().imports.iter().map(|i| i.capture_id).collect();
    let explain = |id| explain_message(store, id, 2, 1).ok().flatten().map(|m| format!("{m:?}"));
    let before: Vec<_> = ids.iter().map(|&id| (packets_of(store, id), explain(id))).collect();
    let typed = "SELECT capture_id, packet_ix, msg_ix, stock, shares, price \
                 FROM nasdaq_totalview_itch_5_0.add_order ORDER BY 1, 2, 3";
    let (all, orders) = (rows(store).await, answer(store, typed).await);
    compact(store).unwrap();
    later(store);
    for (&id, before) in ids.iter().zip(&before) {
        assert_eq!(&(packets_of(store, id), explain(id)), before);
    }
    assert_eq!(answer(store, typed).await, orders);
    // Decoded anew, a capture leaves holes in the files; the next compaction fills them.
    let lock = store.lock().unwrap();
    let p1 = store.catalog().unwrap().imports[0].capture_id;
    redecode(&lock, p1, &decoders(), "c").unwrap();
    drop(lock);
    assert_eq!(rows(store).await, all);
    assert!(compact(store).unwrap().after > 0);
    later(store);
    assert_eq!(rows(store).await, all);
}

#[tokio::test]
async fn a_file_goes_with_the_last_capture_in_it() {
    let house = house(&[30, 6, 5, 8]);
    let store = &house.store;
    let age = |hours: u64| Limits { age: Some(Duration::from_secs(hours * 3600)), bytes: None };
    let all = store.catalog().unwrap().imports.len() as u64;
    compact(store).unwrap();
    let files = segment_files(store).len();
    later(store);
    assert!(segment_files(store).len() < files);
    let lock = store.lock().unwrap();
    let now = SystemTime::now();
    // The times at which the segments were placed first count, not those of the files.
    assert_eq!(lock.retain(age(2), 0, now).unwrap().captures, 0);
    let first = lock.retain(Limits::default(), 1, now).unwrap();
    assert_eq!(first.captures, 1);
    let files = segment_files(store).len();
    let left = answer(store, "SELECT count(DISTINCT capture_id) FROM packets").await;
    assert!(left.contains("| 4 "), "{left}");
    let later = now + Duration::from_secs(10 * 3600);
    // The newest capture of each point stays.
    assert_eq!(lock.retain(age(2), 0, later).unwrap().captures, all - first.captures - 2);
    assert!(segment_files(store).len() < files);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn any_captures_and_any_kills(
        packets in prop::collection::vec(1u32..60, 1..5),
        kills in prop::collection::vec(0usize..60, 1..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let house = house(&packets);
        let store = &house.store;
        let before = runtime.block_on(rows(store));
        for steps in kills {
            kill::after(Some(steps));
            // Killed or not: both are fine.
            let _ = compact(store);
            kill::after(None);
            prop_assert_eq!(&runtime.block_on(rows(store)), &before);
        }
        compact(store).unwrap();
        later(store);
        prop_assert_eq!(&runtime.block_on(rows(store)), &before);
        prop_assert_eq!(plans(&store.catalog().unwrap(), i64::MAX).len(), 0);
    }
}
