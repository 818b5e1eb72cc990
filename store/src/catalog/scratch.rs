//! Directories for what is not finished, each held by a locked file, so that
//! those of a process that died can be told from those in use.

use crate::error::StoreError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An unlocked directory is removed only once it is this old: a younger one
/// may be about to be locked.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// A directory that vanishes when this value does.
#[derive(Debug)]
pub struct Scratch {
    directory: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// A new directory in `parent`.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
        let directory = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(parent)
            .map_err(StoreError::io(parent))?;
        let path = directory.path().join("lock");
        let lock = File::create(&path).map_err(StoreError::io(&path))?;
        lock.lock().map_err(StoreError::io(&path))?;
        Ok(Self { directory, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A file in `parent` that has no name and is gone with its last handle.
pub(crate) fn file(parent: &Path) -> Result<File, StoreError> {
    fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
    tempfile::tempfile_in(parent).map_err(StoreError::io(parent))
}

/// Removes what dead processes left in `parent`.
pub(crate) fn remove_abandoned(parent: &Path) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(StoreError::io(parent))?.path();
        if is_abandoned(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn is_abandoned(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|metadata| metadata.modified());
    let old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= ABANDONED_AFTER));
    old && match File::open(path.join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
    }
}

fn remove(path: &PathBuf) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.clone(), error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn age(path: &Path) {
        let past = SystemTime::now() - 2 * ABANDONED_AFTER;
        File::open(path).unwrap().set_modified(past).unwrap();
    }

    #[test]
    fn only_old_and_unlocked_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::new(parent.path(), "used-").unwrap();
        age(used.path());
        let dead = parent.path().join("dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("packets-0.parquet"), "half").unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        age(&dead);
        let young = parent.path().join("young");
        fs::create_dir(&young).unwrap();
        let stray = parent.path().join("stray.json");
        fs::write(&stray, "{").unwrap();
        age(&stray);

        remove_abandoned(parent.path()).unwrap();
        assert!(used.path().exists());
        assert!(!dead.exists());
        assert!(young.exists());
        assert!(!stray.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
