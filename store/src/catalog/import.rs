//! An import becomes visible, or is replaced by a newer decoding of itself.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{ImportManifest, hex};
use crate::catalog::place;
use crate::catalog::scratch::Scratch;
use crate::error::StoreError;
use crate::segment::file::Unplaced;
use crate::segment::partition::directory;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

impl WriteLock {
    /// Gives the segments their places, adds them to the manifest's files and
    /// makes the manifest visible. Files of an older manifest of the same
    /// capture that the new one does not name are removed afterwards.
    ///
    /// # Errors
    /// Where a file cannot be written; the store then reads as before.
    pub fn commit_import(
        &self,
        scratch: &Scratch,
        mut manifest: ImportManifest,
        segments: Vec<Unplaced>,
    ) -> Result<ImportManifest, StoreError> {
        let root = self.store().root();
        let before = self.store().catalog()?.import(manifest.capture_id).cloned();
        let mut files: Vec<PathBuf> = Vec::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for Unplaced { file, mut segment } in segments {
            let number = numbers.entry(segment.table.clone()).or_default();
            let start = segment.time.map_or(0, |time| time.min_ns);
            let directory = directory(&segment.table, &manifest.point, start);
            segment.path = format!("{directory}/{}", file_name(&manifest, *number));
            *number += 1;
            files.push(file);
            manifest.files.push(segment);
        }
        let placed = &manifest.files[manifest.files.len() - files.len()..];
        let moves: Vec<(PathBuf, &str)> =
            files.into_iter().zip(placed.iter().map(|segment| segment.path.as_str())).collect();
        place::place(root, &moves)?;
        self.write_manifest(scratch, &manifest)?;
        if let Some(before) = before {
            let imports = self.store().catalog()?.imports;
            let named = imports.iter().flat_map(|import| &import.files);
            let named: BTreeSet<&str> = named.map(|file| file.path.as_str()).collect();
            let old = before.files.iter().map(|file| file.path.as_str());
            place::remove(root, old.filter(|path| !named.contains(path)))?;
        }
        Ok(manifest)
    }

    /// Makes a manifest visible, in place of an older one of the same capture.
    pub(super) fn write_manifest(
        &self,
        scratch: &Scratch,
        manifest: &ImportManifest,
    ) -> Result<(), StoreError> {
        let path = self.store().root().join(manifest.path());
        let json = serde_json::to_vec_pretty(manifest).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        place::write_file(&scratch.path().join("manifest.json"), &path, &json)
    }
}

/// `<capture>-<n>.parquet`, with the revision where it was decoded anew.
fn file_name(manifest: &ImportManifest, number: usize) -> String {
    let capture = hex(manifest.capture_id);
    match manifest.revision {
        0 => format!("{capture}-{number}.parquet"),
        revision => format!("{capture}-r{revision}-{number}.parquet"),
    }
}
