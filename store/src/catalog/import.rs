//! An import becomes visible, or is replaced by a newer decoding of itself.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::{ImportManifest, hex};
use crate::catalog::place;
use crate::catalog::scratch::Scratch;
use crate::error::StoreError;
use crate::segment::partition::directory;
use crate::segment::writer::Unplaced;
use std::collections::BTreeMap;
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
        let path = root.join(manifest.path());
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        place::write_file(&scratch.path().join("manifest.json"), &path, &json)?;
        if let Some(before) = before {
            let kept = |path: &str| manifest.files.iter().any(|file| file.path == path);
            let old = before.files.iter().map(|file| file.path.as_str());
            place::remove(root, old.filter(|path| !kept(path)))?;
        }
        Ok(manifest)
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
