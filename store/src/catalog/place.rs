//! Renames that survive a crash: contents first, then the name, then the
//! directory that holds the name.

use crate::error::StoreError;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a whole file under `temporary` and gives it its name.
pub(super) fn write_file(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    step(temporary)?;
    let mut file = File::create(temporary).map_err(StoreError::io(temporary))?;
    file.write_all(bytes).map_err(StoreError::io(temporary))?;
    step(temporary)?;
    file.sync_all().map_err(StoreError::io(temporary))?;
    step(path)?;
    fs::rename(temporary, path).map_err(StoreError::io(path))?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Moves files, each already synced, to their places below `root`, and makes
/// the places durable.
pub(super) fn place(root: &Path, files: &[(PathBuf, &str)]) -> Result<(), StoreError> {
    let mut directories = BTreeSet::new();
    for (from, to) in files {
        let to = root.join(to);
        let parent = to.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
        step(&to)?;
        fs::rename(from, &to).map_err(StoreError::io(&to))?;
        let up_to_root = parent.ancestors().take_while(|path| path.starts_with(root));
        directories.extend(up_to_root.map(Path::to_owned));
    }
    directories.iter().try_for_each(|directory| sync_directory(directory))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    step(path)?;
    let directory = File::open(path).map_err(StoreError::io(path))?;
    directory.sync_all().map_err(StoreError::io(path))
}

/// Removes files below `root`; one that is gone already is fine.
pub(super) fn remove<'a>(
    root: &Path,
    paths: impl Iterator<Item = &'a str>,
) -> Result<(), StoreError> {
    for path in paths {
        let path = root.join(path);
        step(&path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Io { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Before each change of the disk: where a test has the process killed, this and
/// all that follows fails.
pub(super) fn step(path: &Path) -> Result<(), StoreError> {
    #[cfg(test)]
    if !kill::lives() {
        let error = std::io::Error::other("killed");
        return Err(StoreError::Io { path: path.to_owned(), error });
    }
    let _ = path;
    Ok(())
}

/// Kills this thread's writing after so many steps.
#[cfg(test)]
pub(crate) mod kill {
    use std::cell::Cell;

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// From here on `steps` more happen; `None`: all.
    pub fn after(steps: Option<usize>) {
        LEFT.set(steps);
    }

    /// Whether the next step still happens.
    pub fn lives() -> bool {
        let left = LEFT.get();
        LEFT.set(left.map(|left| left.saturating_sub(1)));
        left != Some(0)
    }
}
