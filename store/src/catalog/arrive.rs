//! Places for files that came from another machine.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::ImportManifest;
use crate::catalog::place;
use crate::catalog::scratch::Scratch;
use crate::error::StoreError;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

/// Gives files a second name below `root`, and makes it durable. A name that is
/// there already is left: it has the file's hash in it. The first name stays, so
/// that a kill before the manifest costs nothing.
pub(crate) fn link<'a>(
    root: &Path,
    files: impl Iterator<Item = (&'a Path, &'a str)>,
) -> Result<(), StoreError> {
    let mut directories = BTreeSet::new();
    for (from, to) in files {
        let to = root.join(to);
        let parent = to.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
        if !to.exists() {
            link_or_copy(from, &to).map_err(StoreError::io(&to))?;
        }
        let up_to_root = parent.ancestors().take_while(|path| path.starts_with(root));
        directories.extend(up_to_root.map(Path::to_owned));
    }
    directories.iter().try_for_each(|directory| place::sync_directory(directory))
}

/// Some shares know no second names.
fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let aside = to.with_extension("new");
            fs::copy(from, &aside)?;
            File::open(&aside)?.sync_all()?;
            fs::rename(&aside, to)
        }
        result => result,
    }
}

/// Makes a manifest visible.
pub(crate) fn show(
    lock: &WriteLock,
    scratch: &Scratch,
    manifest: &ImportManifest,
) -> Result<(), StoreError> {
    let path = lock.store().root().join(manifest.path());
    let json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
    place::write_file(&scratch.path().join("manifest.json"), &path, &json)
}

/// Removes the files of a manifest that is no longer there, but for those that
/// others name.
pub(crate) fn remove_unnamed(lock: &WriteLock, before: &ImportManifest) -> Result<(), StoreError> {
    let catalog = lock.store().catalog()?;
    let named: HashSet<&str> =
        catalog.imports.iter().flat_map(|import| &import.files).map(|f| f.path.as_str()).collect();
    let old = before.files.iter().map(|file| file.path.as_str());
    place::remove(lock.store().root(), old.filter(|path| !named.contains(path)))
}
