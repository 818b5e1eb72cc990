//! The right to write a store: one process at a time.

use crate::catalog::scratch::{self, Scratch};
use crate::catalog::{Store, place};
use crate::error::StoreError;
use crate::segment::Segment;
use crate::tables::PER_CAPTURE;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a segment that no manifest names stays: a query that began before may
/// still read it.
const ORPHAN_AFTER: Duration = Duration::from_secs(60);

/// Held while writing; others may read.
#[derive(Debug)]
pub struct WriteLock {
    store: Store,
    _file: File,
}

impl Store {
    /// Takes the right to write, and removes what writers that died left
    /// behind.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it.
    pub fn lock(&self) -> Result<WriteLock, StoreError> {
        let path = self.root().join("LOCK");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: self.root().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::Io { path, error }),
        }
        let lock = WriteLock { store: self.clone(), _file: file };
        lock.clean()?;
        Ok(lock)
    }
}

impl Store {
    /// As [`lock`](Self::lock), but waits so long for another process.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_within(&self, patience: Duration) -> Result<WriteLock, StoreError> {
        let start = Instant::now();
        loop {
            match self.lock() {
                Err(StoreError::Locked { .. }) if start.elapsed() < patience => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                result => return result,
            }
        }
    }
}

impl WriteLock {
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A directory to write in, on the store's own file system.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        Scratch::new(&self.store.root().join("tmp"), "write-")
    }

    /// Removes abandoned directories and segments that no manifest has named for a
    /// while.
    fn clean(&self) -> Result<(), StoreError> {
        let root = self.store.root();
        scratch::remove_abandoned(&root.join("tmp"))?;
        let catalog = self.store.catalog()?;
        self.remove_unnamed(catalog.correlate.as_deref())?;
        let imported = catalog.imports.iter().flat_map(|import| &import.files);
        let named: BTreeSet<PathBuf> =
            imported.map(|file: &Segment| root.join(&file.path)).collect();
        let mut orphans = Vec::new();
        for table in PER_CAPTURE {
            collect_orphans(&root.join(table.name), &named, &mut orphans)?;
        }
        let orphans = orphans.iter().filter_map(|path| path.to_str());
        place::remove(root, orphans)
    }
}

/// Adds the segments below `directory` that are not `named`.
fn collect_orphans(
    directory: &Path,
    named: &BTreeSet<PathBuf>,
    orphans: &mut Vec<PathBuf>,
) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(directory))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_orphans(&path, named, orphans)?;
        } else if path.extension().is_some_and(|e| e == "parquet")
            && !named.contains(&path)
            && is_old(&path)
        {
            orphans.push(path);
        }
    }
    Ok(())
}

fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    // A time ahead of the clock is no reason to keep it for ever.
    modified.is_ok_and(|at| at.elapsed().map_or(true, |age| age >= ORPHAN_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn one_writer_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        let lock = store.lock().unwrap();
        assert!(matches!(store.lock(), Err(StoreError::Locked { .. })));
        drop(lock);
        store.lock().unwrap();
    }

    #[test]
    fn segments_that_no_manifest_names_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(directory.path()).unwrap();
        let hour = directory.path().join("packets/point=P1/date=2026-03-02/hour=14");
        fs::create_dir_all(&hour).unwrap();
        let orphan = hour.join("00c0ffee00c0ffee-0.parquet");
        fs::write(&orphan, "a whole segment whose manifest was never written").unwrap();
        let note = hour.join("note.txt");
        fs::write(&note, "not ours").unwrap();
        store.lock().unwrap();
        assert!(orphan.exists(), "somebody may still read it");
        File::open(&orphan).unwrap().set_modified(SystemTime::now() - ORPHAN_AFTER).unwrap();
        store.lock().unwrap();
        assert!(!orphan.exists());
        assert!(note.exists());
    }
}
