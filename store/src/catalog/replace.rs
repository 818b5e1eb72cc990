//! The tables that correlation makes are replaced all at once, or go on.
//!
//! ```text
//! replaced    generation 6 visible ──write 7 aside──rename correlate.json──> 7 visible
//! gone on     links/7-0 links/8-0 links/9-0 ..   rows are added
//!             hops/9-0                           summaries are written anew
//! ```
//!
//! Files that are no longer named are kept for a minute: a query that began
//! before the rename still finds them.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{CorrelateManifest, Input, Superseded};
use crate::catalog::scratch::Scratch;
use crate::catalog::{CORRELATE, FORMAT_VERSION, Store, place};
use crate::error::StoreError;
use crate::segment::Segment;
use crate::segment::properties::Provenance;
use crate::segment::reader::SegmentReader;
use crate::segment::writer::TableWriter;
use crate::tables::row::Row;
use crate::tables::{DERIVED, Table};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Tables to which rows are added; the others are summaries of everything.
const ADDED_TO: [&str; 4] = ["links", "orders", "lineage", "losses"];

/// How long a file that is no longer named is kept.
const SUPERSEDED_FOR: Duration = Duration::from_secs(60);

/// So many files of a table that have fewer rows than one of these become one.
const SMALL_ROWS: [u64; 2] = [1 << 14, 1 << 18];
const SMALL_FILES: usize = 16;

/// New contents of the derived tables, not visible before
/// [`commit`](Self::commit).
pub struct Replacement {
    // Before `scratch`, in which it writes: fields go in this order.
    writing: Writing,
    store: Store,
    scratch: Scratch,
    config_hash: String,
    inputs: Vec<Input>,
    /// What the new rows are added to.
    extends: Option<Arc<CorrelateManifest>>,
    /// Rows that were written before this are left out.
    since: Option<SystemTime>,
    live: bool,
}

/// Batches that wait to be written; what makes them goes on meanwhile.
const WAITING_MAX: usize = 4;

type Writers = BTreeMap<&'static str, TableWriter>;

/// The tables that are being written, by a thread from the first rows on.
enum Writing {
    Nothing(Writers),
    Thread(WriterThread),
}

impl Writing {
    /// Adds rows of a table that is among the writers'.
    fn write(&mut self, table: &'static str, batch: RecordBatch) -> Result<(), StoreError> {
        if let Self::Nothing(writers) = self {
            *self = Self::Thread(WriterThread::of(std::mem::take(writers)));
        }
        match self {
            Self::Thread(thread) => thread.write(table, batch),
            Self::Nothing(_) => Ok(()),
        }
    }

    /// The writers with all that was given to them.
    fn writers(self) -> Result<Writers, StoreError> {
        match self {
            Self::Nothing(writers) => Ok(writers),
            Self::Thread(mut thread) => thread.end(),
        }
    }
}

/// Ends, and is waited for, with what it writes for.
struct WriterThread {
    give: Option<SyncSender<(&'static str, RecordBatch)>>,
    thread: Option<JoinHandle<Result<Writers, StoreError>>>,
}

impl WriterThread {
    fn of(writers: Writers) -> Self {
        let (give, batches) = sync_channel(WAITING_MAX);
        let thread = std::thread::spawn(|| write_all(writers, batches));
        Self { give: Some(give), thread: Some(thread) }
    }

    fn write(&mut self, table: &'static str, batch: RecordBatch) -> Result<(), StoreError> {
        match &self.give {
            Some(give) if give.send((table, batch)).is_ok() => Ok(()),
            // It has only ended where a file cannot be written.
            _ => self.end().map(|_| ()),
        }
    }

    fn end(&mut self) -> Result<Writers, StoreError> {
        drop(self.give.take());
        let Some(thread) = self.thread.take() else {
            let error = std::io::Error::other("a table could not be written before");
            return Err(StoreError::io(Path::new("tmp"))(error));
        };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.give.take());
        if let Some(thread) = self.thread.take() {
            // Nobody waits for its files any more.
            drop(thread.join());
        }
    }
}

fn write_all(
    mut writers: Writers,
    batches: Receiver<(&'static str, RecordBatch)>,
) -> Result<Writers, StoreError> {
    for (table, batch) in batches {
        if let Some(writer) = writers.get_mut(table) {
            writer.write(batch)?;
        }
    }
    Ok(writers)
}

impl Store {
    /// Begins to write all derived tables anew. What is not written becomes
    /// empty. `inputs` and `config_hash` say what they are made from.
    ///
    /// # Errors
    /// Where nothing can be written.
    pub fn replace_tables(
        &self,
        inputs: Vec<Input>,
        config_hash: &str,
    ) -> Result<Replacement, StoreError> {
        let scratch = Scratch::new(&self.root().join("tmp"), "write-")?;
        let provenance =
            Provenance { config_hash: config_hash.to_owned(), made_from: "correlation".to_owned() };
        let writer = |table: &'static Table| {
            (table.name, TableWriter::new(table, scratch.path(), &provenance))
        };
        let writers = DERIVED.iter().map(writer).collect();
        Ok(Replacement {
            store: self.clone(),
            writing: Writing::Nothing(writers),
            scratch,
            inputs,
            config_hash: config_hash.to_owned(),
            extends: None,
            since: None,
            live: false,
        })
    }
}

impl Replacement {
    /// The same, of messages that go on coming: not the last word on them.
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The same, but links, orders, lineage and losses are added to those of
    /// `before`.
    pub fn extending(mut self, before: Arc<CorrelateManifest>) -> Self {
        self.extends = Some(before);
        self
    }

    /// The same, without files that were written before `since`.
    pub fn since(mut self, since: Option<SystemTime>) -> Self {
        self.since = since;
        self
    }

    /// Adds rows to a table.
    ///
    /// # Errors
    /// Where there is no such derived table, or a file could not be written, of
    /// these rows or of some before.
    pub fn write(&mut self, table: &str, batch: RecordBatch) -> Result<(), StoreError> {
        let known = DERIVED.iter().find(|known| known.name == table);
        let table = known.ok_or_else(|| StoreError::NoTable { name: table.to_owned() })?.name;
        self.writing.write(table, batch)
    }

    /// Adds rows to the table they are of.
    ///
    /// # Errors
    /// As [`write`](Self::write), and where a decimal does not fit.
    pub fn write_rows<R: Row>(&mut self, rows: &[R]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let batch = R::to_batch(rows).map_err(StoreError::rows(R::TABLE))?;
        self.write(R::TABLE, batch)
    }

    /// Makes the new contents visible, all at once.
    ///
    /// # Errors
    /// Where a file cannot be written, or other tables than those that were to
    /// be extended are current by now; the old contents then stay.
    pub fn commit(mut self, lock: &WriteLock) -> Result<Arc<CorrelateManifest>, StoreError> {
        let before = self.store.catalog()?.correlate;
        let extended = self.extends.as_ref().map(|manifest| manifest.generation);
        if extended.is_some_and(|g| before.as_ref().is_none_or(|now| now.generation != g)) {
            return Err(StoreError::Superseded);
        }
        let generation = before.as_ref().map_or(1, |before| before.generation + 1);
        let mut files = Vec::new();
        if let Some(extends) = self.extends.take() {
            for table in ADDED_TO {
                let kept = extends.files_of(table).filter(|file| self.is_kept(file)).cloned();
                let kept = kept.collect();
                files.extend(self.join_small(table, kept)?);
            }
        }
        let mut new: Vec<(PathBuf, String)> = Vec::new();
        for (table, writer) in self.writing.writers()? {
            for (number, unplaced) in writer.finish()?.into_iter().enumerate() {
                let path = format!("{table}/{generation}-{number}.parquet");
                files.push(Segment { path: path.clone(), ..unplaced.segment });
                new.push((unplaced.file, path));
            }
        }
        let root = self.store.root();
        place::place(root, &new.iter().map(|(f, p)| (f.clone(), p.as_str())).collect::<Vec<_>>())?;
        let manifest = CorrelateManifest {
            format: FORMAT_VERSION,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: self.config_hash,
            generation,
            inputs: self.inputs,
            live: self.live,
            superseded: superseded(before.as_deref(), &files, SystemTime::now()),
            files,
        };
        let path = root.join("manifests").join(CORRELATE);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        place::write_file(&self.scratch.path().join("manifest.json"), &path, &json)?;
        lock.remove_unnamed(Some(&manifest))?;
        Ok(Arc::new(manifest))
    }

    fn is_kept(&self, file: &Segment) -> bool {
        let Some(since) = self.since else { return true };
        let written = fs::metadata(self.store.file(file)).and_then(|found| found.modified());
        written.map_or(true, |at| at >= since)
    }

    /// Reads files that are too many and too small into the one that is being
    /// written; gives the others.
    fn join_small(&mut self, table: &str, kept: Vec<Segment>) -> Result<Vec<Segment>, StoreError> {
        let small = |rows: u64| kept.iter().filter(|s| s.rows < rows).count() >= SMALL_FILES;
        let Some(rows) = SMALL_ROWS.into_iter().rev().find(|&rows| small(rows)) else {
            return Ok(kept);
        };
        let (joined, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(|s| s.rows < rows);
        for segment in joined {
            for batch in SegmentReader::open(&self.store.file(&segment), None, None)? {
                self.write(table, batch?)?;
            }
        }
        Ok(kept)
    }
}

/// What is no longer named by `files`, with those of before that are not old
/// enough to go.
fn superseded(
    before: Option<&CorrelateManifest>,
    files: &[Segment],
    now: SystemTime,
) -> Vec<Superseded> {
    let Some(before) = before else { return Vec::new() };
    let named: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let young = |old: &&Superseded| now.abs_diff(old.at_s) < SUPERSEDED_FOR.as_secs();
    let still = before.superseded.iter().filter(young).cloned();
    let gone = before.files.iter().filter(|file| !named.contains(file.path.as_str()));
    still.chain(gone.map(|file| Superseded { path: file.path.clone(), at_s: now })).collect()
}

impl WriteLock {
    /// Removes derived segments that the manifest does not name, neither as
    /// current nor as superseded a short while ago.
    pub(super) fn remove_unnamed(
        &self,
        manifest: Option<&CorrelateManifest>,
    ) -> Result<(), StoreError> {
        let root = self.store().root();
        let current = manifest.iter().flat_map(|m| m.files.iter().map(|file| &file.path));
        let old = manifest.iter().flat_map(|m| m.superseded.iter().map(|old| &old.path));
        let named: BTreeSet<&str> = current.chain(old).map(String::as_str).collect();
        for table in DERIVED {
            let directory = root.join(table.name);
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let ours = names.filter(|name| name.ends_with(".parquet"));
            let paths = ours.map(|name| format!("{}/{name}", table.name));
            let unnamed: Vec<String> =
                paths.filter(|path| !named.contains(path.as_str())).collect();
            place::remove(root, unnamed.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Store;
    use crate::segment::reader::SegmentReader;
    use crate::tables::clocks::ClockRow;
    use crate::tables::losses::LossRow;

    fn clock(offset_ns: i64) -> ClockRow {
        ClockRow {
            clock_from: "C2".into(),
            clock_to: "C1".into(),
            ts_lo: None,
            ts_hi: None,
            offset_ns: Some(offset_ns),
            drift_ppb: None,
            bound_ns: Some(200),
            lo_ns: None,
            hi_ns: None,
            method: "configured".into(),
            state: "ok".into(),
            residual_ns: None,
            forward: 0,
            reverse: 0,
        }
    }

    fn replace(store: &Store, rows: &[ClockRow]) {
        let mut replacement = store.replace_tables(Vec::new(), "config").unwrap();
        replacement.write_rows(rows).unwrap();
        replacement.commit(&store.lock().unwrap()).unwrap();
    }

    /// Lets a minute pass for what the manifest calls superseded.
    fn a_minute_passes(store: &Store) {
        let path = store.root().join("manifests").join(CORRELATE);
        let mut manifest: CorrelateManifest =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        manifest.superseded.iter_mut().for_each(|old| old.at_s -= 60);
        fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    fn loss(seq: u64) -> LossRow {
        LossRow {
            point: "P2".into(),
            protocol: "moldudp64".into(),
            session: None,
            line: None,
            cause: "network".into(),
            confidence: Some(1.0),
            first_seq: Some(seq),
            last_seq: Some(seq),
            count: Some(1),
            ts_lo: None,
            ts_hi: Some(seq as i64),
            evidence: "".into(),
        }
    }

    fn losses(store: &Store) -> Vec<LossRow> {
        let correlate = store.catalog().unwrap().correlate.unwrap();
        let files = correlate.files_of("losses");
        let rows =
            files.flat_map(|file| SegmentReader::open(&store.file(file), None, None).unwrap());
        rows.flat_map(|batch| LossRow::from_batch(&batch.unwrap()).unwrap()).collect()
    }

    #[test]
    fn rows_are_added_and_summaries_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        let mut before = None;
        for seq in 0..300 {
            let mut more = store.replace_tables(Vec::new(), "config").unwrap().live();
            if let Some(before) = before.take() {
                more = more.extending(before);
            }
            more.write_rows(&[loss(seq)]).unwrap();
            more.write_rows(&[clock(seq as i64)]).unwrap();
            before = Some(more.commit(&store.lock().unwrap()).unwrap());
        }
        let mut seen: Vec<Option<u64>> = losses(&store).iter().map(|l| l.first_seq).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..300).map(Some).collect::<Vec<_>>());
        assert_eq!(read(&store), [clock(299)]);
        let manifest = store.catalog().unwrap().correlate.unwrap();
        assert!(manifest.files_of("losses").count() <= SMALL_FILES, "joined");
        assert!(!store.catalog().unwrap().is_correlated("config"), "not the last word");
    }

    #[test]
    fn what_was_told_of_captures_that_are_gone_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        let told = |seq, before: Option<Arc<CorrelateManifest>>, since| {
            let mut more = store.replace_tables(Vec::new(), "config").unwrap().live();
            if let Some(before) = before {
                more = more.extending(before).since(since);
            }
            more.write_rows(&[loss(seq)]).unwrap();
            more.commit(&store.lock().unwrap()).unwrap()
        };
        let first = told(1, None, None);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = store.file(first.files_of("losses").next().unwrap());
        fs::File::open(file).unwrap().set_modified(hour_ago).unwrap();
        let second = told(2, Some(first), Some(hour_ago));
        assert_eq!(losses(&store).len(), 2);
        told(3, Some(second), Some(hour_ago + Duration::from_secs(60)));
        let left: Vec<_> = losses(&store).iter().map(|loss| loss.first_seq).collect();
        assert_eq!(left, [Some(2), Some(3)]);
    }

    #[test]
    fn what_another_replaced_is_not_extended() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        replace(&store, &[clock(1)]);
        let before = store.catalog().unwrap().correlate.unwrap();
        replace(&store, &[clock(2)]);
        let more = store.replace_tables(Vec::new(), "config").unwrap().extending(before);
        let refused = more.commit(&store.lock().unwrap());
        assert!(matches!(refused, Err(StoreError::Superseded)));
        assert_eq!(read(&store), [clock(2)]);
    }

    fn read(store: &Store) -> Vec<ClockRow> {
        let correlate = store.catalog().unwrap().correlate.unwrap();
        let files = correlate.files_of("clocks");
        let rows =
            files.flat_map(|file| SegmentReader::open(&store.file(file), None, None).unwrap());
        rows.flat_map(|batch| ClockRow::from_batch(&batch.unwrap()).unwrap()).collect()
    }

    #[test]
    fn tables_are_replaced_whole_and_old_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        for offset in 1..=4 {
            replace(&store, &[clock(offset)]);
            assert_eq!(read(&store), [clock(offset)]);
        }
        let clocks = directory.path().join("clocks");
        assert_eq!(fs::read_dir(&clocks).unwrap().count(), 4);
        fs::write(clocks.join("5-0.parquet"), "placed, but never committed").unwrap();
        drop(store.lock().unwrap());
        assert_eq!(fs::read_dir(&clocks).unwrap().count(), 4);
        a_minute_passes(&store);
        replace(&store, &[clock(5)]);
        assert_eq!(fs::read_dir(&clocks).unwrap().count(), 2);
        assert!(store.catalog().unwrap().is_correlated("config"));
        assert!(!store.catalog().unwrap().is_correlated("other"));
        replace(&store, &[]);
        assert_eq!(read(&store), []);
    }

    #[test]
    fn what_is_not_committed_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        replace(&store, &[clock(1)]);
        let mut replacement = store.replace_tables(Vec::new(), "config").unwrap();
        replacement.write_rows(&[clock(2)]).unwrap();
        drop(replacement);
        assert_eq!(read(&store), [clock(1)]);
        assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    }
}
