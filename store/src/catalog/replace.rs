//! The tables that correlation makes are replaced all at once.
//!
//! ```text
//! generation 6 visible ──write 7 aside──rename correlate.json──> generation 7 visible
//! ```
//!
//! Files of the generation before are kept until the next replacement has
//! succeeded: a query that began before the rename still finds them.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{CorrelateManifest, Input};
use crate::catalog::scratch::Scratch;
use crate::catalog::{CORRELATE, FORMAT_VERSION, place};
use crate::error::StoreError;
use crate::segment::properties::Provenance;
use crate::segment::writer::TableWriter;
use crate::tables::row::Row;
use crate::tables::{DERIVED, Table};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// New contents of the derived tables, not visible before
/// [`commit`](Self::commit).
pub struct Replacement<'a> {
    lock: &'a WriteLock,
    scratch: Scratch,
    config_hash: String,
    inputs: Vec<Input>,
    writers: BTreeMap<&'static str, TableWriter>,
}

impl WriteLock {
    /// Begins to write all derived tables anew. What is not written becomes
    /// empty. `inputs` and `config_hash` say what they are made from.
    ///
    /// # Errors
    /// Where nothing can be written.
    pub fn replace_tables(
        &self,
        inputs: Vec<Input>,
        config_hash: &str,
    ) -> Result<Replacement<'_>, StoreError> {
        let scratch = self.scratch()?;
        let provenance =
            Provenance { config_hash: config_hash.to_owned(), made_from: "correlation".to_owned() };
        let writer = |table: &'static Table| {
            (table.name, TableWriter::new(table, scratch.path(), &provenance))
        };
        let writers = DERIVED.iter().map(writer).collect();
        Ok(Replacement {
            lock: self,
            writers,
            scratch,
            inputs,
            config_hash: config_hash.to_owned(),
        })
    }
}

impl Replacement<'_> {
    /// Adds rows to a table.
    ///
    /// # Errors
    /// Where there is no such derived table, or a file cannot be written.
    pub fn write(&mut self, table: &str, batch: RecordBatch) -> Result<(), StoreError> {
        let writer = self.writers.get_mut(table);
        writer.ok_or_else(|| StoreError::NoTable { name: table.to_owned() })?.write(batch)
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
    /// Where a file cannot be written; the old contents then stay.
    pub fn commit(self) -> Result<CorrelateManifest, StoreError> {
        let root = self.lock.store().root();
        let before = self.lock.store().catalog()?.correlate;
        let generation = before.as_ref().map_or(1, |before| before.generation + 1);
        let mut manifest = CorrelateManifest {
            format: FORMAT_VERSION,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: self.config_hash,
            generation,
            inputs: self.inputs,
            files: Vec::new(),
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for (table, writer) in self.writers {
            for (number, unplaced) in writer.finish()?.into_iter().enumerate() {
                let mut segment = unplaced.segment;
                segment.path = format!("{table}/{generation}-{number}.parquet");
                manifest.files.push(segment);
                files.push(unplaced.file);
            }
        }
        let paths = manifest.files.iter().map(|segment| segment.path.as_str());
        place::place(root, &files.into_iter().zip(paths).collect::<Vec<_>>())?;
        let path = root.join("manifests").join(CORRELATE);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        place::write_file(&self.scratch.path().join("manifest.json"), &path, &json)?;
        self.lock.remove_generations(generation)?;
        Ok(manifest)
    }
}

impl WriteLock {
    /// Removes derived segments of all generations but the current one and the
    /// one before: what is newer was never committed.
    pub(super) fn remove_generations(&self, current: u64) -> Result<(), StoreError> {
        let root = self.store().root();
        for table in DERIVED {
            let directory = root.join(table.name);
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name());
            let old = names.filter_map(|name| {
                let name = name.to_str()?.to_owned();
                let number: u64 = name.split_once('-')?.0.parse().ok()?;
                (number > current || number + 1 < current).then(|| format!("{}/{name}", table.name))
            });
            let old: Vec<String> = old.collect();
            place::remove(root, old.iter().map(String::as_str))?;
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
        let lock = store.lock().unwrap();
        let mut replacement = lock.replace_tables(Vec::new(), "config").unwrap();
        replacement.write_rows(rows).unwrap();
        replacement.commit().unwrap();
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
        assert_eq!(fs::read_dir(&clocks).unwrap().count(), 2);
        fs::write(clocks.join("5-0.parquet"), "placed, but never committed").unwrap();
        drop(store.lock().unwrap());
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
        let lock = store.lock().unwrap();
        let mut replacement = lock.replace_tables(Vec::new(), "config").unwrap();
        replacement.write_rows(&[clock(2)]).unwrap();
        drop(replacement);
        assert_eq!(read(&store), [clock(1)]);
        assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    }
}
