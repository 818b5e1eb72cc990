//! Small segments of an hour become one file a table.
//!
//! ```text
//! packets/point=P1/date=…/hour=14/   a-0  b-0  c-0 … 60 files        manifests of a, b, c …
//!        │ plan: hours that are over                                    │
//!        │ prepare: join row groups aside, without any lock             │
//!        ▼ commit: place the file, then each manifest by its own rename ▼
//! packets/point=P1/date=…/hour=14/   hour-<hash>        a: groups 0..1 of it, b: 1..2, …
//! ```
//!
//! A segment stays what it was, row for row: only its file and its place in it
//! change, so that ids and links hold and correlation need not run again. Each
//! manifest names whole segments before and after, hence a kill between two of
//! them loses and doubles nothing. Files that no manifest names any more are
//! removed a minute later by whoever writes then; a query that began before still
//! finds them.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::ImportManifest;
use crate::catalog::scratch::Scratch;
use crate::catalog::{Catalog, Store, place};
use crate::error::StoreError;
use crate::segment::file::SEGMENT_BYTES;
use crate::segment::join::join;
use crate::segment::{Part, Segment};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files of this size and more are left as they are.
pub const SMALL_BYTES: u64 = 64 << 20;

/// Most segments in one file: its footer is read with it.
const PARTS_MAX: usize = 4096;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Files of one hour at one point that could be fewer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where.
    pub point: String,
    /// Start of the hour, ns since the epoch.
    pub hour_ns: i64,
    files: Vec<PlannedFile>,
}

/// A file to be made, and of what.
#[derive(Clone, Debug)]
struct PlannedFile {
    directory: String,
    segments: Vec<(u64, Segment)>,
    /// Whether row groups that nobody names any more are left out.
    has_holes: bool,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files before.
    pub before: u64,
    /// Files after.
    pub after: u64,
    /// Bytes of those after.
    pub bytes: u64,
}

impl Compacted {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
        self.bytes += other.bytes;
    }
}

/// Segments and their captures, by the directory of their files.
type ByDirectory<'a> = BTreeMap<&'a str, Vec<(u64, &'a Segment)>>;

/// What is worth compacting: hours that end before `before_ns`, by point and hour.
pub fn plans(catalog: &Catalog, before_ns: i64) -> Vec<Plan> {
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    let mut hours: BTreeMap<(&str, i64), ByDirectory<'_>> = BTreeMap::new();
    for import in &catalog.imports {
        for segment in &import.files {
            *named.entry(&segment.path).or_default() += segment.row_groups.len();
            let start = segment.time.map_or(0, |time| time.min_ns);
            let hour = start.div_euclid(HOUR_NS).saturating_mul(HOUR_NS);
            let directory = segment.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            if hour.saturating_add(HOUR_NS) <= before_ns {
                let tables = hours.entry((&import.point, hour)).or_default();
                tables.entry(directory).or_default().push((import.capture_id, segment));
            }
        }
    }
    let plan = |((point, hour_ns), tables): ((&str, i64), ByDirectory<'_>)| {
        let files = tables.into_iter().flat_map(|(dir, segments)| files(dir, segments, &named));
        Plan { point: point.to_owned(), hour_ns, files: files.collect() }
    };
    hours.into_iter().map(plan).filter(|plan| !plan.files.is_empty()).collect()
}

/// The files to be made of a directory's segments.
fn files(
    directory: &str,
    mut segments: Vec<(u64, &Segment)>,
    named: &BTreeMap<&str, usize>,
) -> Vec<PlannedFile> {
    segments.retain(|(_, segment)| segment.file_bytes() < SMALL_BYTES);
    segments
        .sort_by_key(|(capture, s)| (s.time.map(|time| time.min_ns), *capture, s.groups().start));
    let mut files: Vec<PlannedFile> = Vec::new();
    let mut bytes = 0;
    for (capture, segment) in segments {
        let full = |file: &PlannedFile| {
            bytes + segment.bytes > SEGMENT_BYTES as u64 || file.segments.len() >= PARTS_MAX
        };
        if files.last().is_none_or(full) {
            let (directory, segments) = (directory.to_owned(), Vec::new());
            files.push(PlannedFile { directory, segments, has_holes: false });
            bytes = 0;
        }
        bytes += segment.bytes;
        if let Some(file) = files.last_mut() {
            file.segments.push((capture, segment.clone()));
        }
    }
    for file in &mut files {
        file.has_holes = file.segments.iter().any(|(_, segment)| has_holes(segment, named));
    }
    files.retain(|file| file.has_holes || file.paths().len() > 1);
    files
}

/// Whether a segment's file has row groups that nobody names any more.
fn has_holes(segment: &Segment, named: &BTreeMap<&str, usize>) -> bool {
    let all = segment.part.map(|part| part.groups_of_file);
    all.is_some_and(|all| named.get(segment.path.as_str()).is_some_and(|n| *n < all))
}

impl PlannedFile {
    fn paths(&self) -> BTreeSet<&str> {
        self.segments.iter().map(|(_, segment)| segment.path.as_str()).collect()
    }

    /// A name that only these segments, in these files, give.
    fn name(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (capture, segment) in &self.segments {
            hasher.update(&capture.to_le_bytes());
            hasher.update(segment.path.as_bytes());
            hasher.update(&(segment.groups().start as u64).to_le_bytes());
        }
        let hex = hasher.finalize().to_hex();
        format!("{}/hour-{}.parquet", self.directory, hex.get(..16).unwrap_or_default())
    }
}

/// Files that are written and wait to be placed.
#[derive(Debug)]
pub struct Prepared {
    scratch: Scratch,
    files: Vec<PreparedFile>,
}

#[derive(Debug)]
struct PreparedFile {
    file: PathBuf,
    path: String,
    bytes: u64,
    /// Each segment as it was and as it will be.
    moves: Vec<(u64, Segment, Segment)>,
}

impl Plan {
    /// How many segments it moves.
    pub fn segments(&self) -> usize {
        self.files.iter().map(|file| file.segments.len()).sum()
    }

    /// Writes the planned files aside. Needs no lock: segments never change, and
    /// where one is removed meanwhile this fails and nothing has happened. `None`
    /// where nothing can be joined, since versions wrote other columns.
    ///
    /// # Errors
    /// Where a segment cannot be read or a file be written.
    pub fn prepare(&self, store: &Store) -> Result<Option<Prepared>, StoreError> {
        let scratch = Scratch::new(&store.root().join("tmp"), "compact-")?;
        let (mut files, mut number) = (Vec::new(), 0);
        for planned in &self.files {
            let mut left = Some(planned.clone());
            while let Some(planned) = left {
                let file = scratch.path().join(format!("{number}.parquet"));
                number += 1;
                let (prepared, others) = planned.prepare(store, file)?;
                files.extend(prepared);
                left = others;
            }
        }
        Ok((!files.is_empty()).then_some(Prepared { scratch, files }))
    }
}

impl PlannedFile {
    /// Joins the segments that have the first one's columns; gives the others back.
    fn prepare(
        self,
        store: &Store,
        file: PathBuf,
    ) -> Result<(Option<PreparedFile>, Option<Self>), StoreError> {
        let sources: Vec<(PathBuf, &Segment)> =
            self.segments.iter().map(|(_, segment)| (store.file(segment), segment)).collect();
        place::step(&file)?;
        let (shares, bytes) = join(&sources, &file)?;
        place::step(&file)?;
        let (path, all) = (self.name(), self.segments);
        let (joined, left): (Vec<_>, Vec<_>) =
            all.into_iter().zip(shares).partition(|(_, share)| share.is_some());
        let groups_of_file = joined.iter().map(|((_, s), _)| s.row_groups.len()).sum();
        let (mut first_group, mut moves) = (0, Vec::new());
        for ((capture, before), share) in joined {
            let placed_ns = placed_ns(store, &before);
            let part = Part { first_group, groups_of_file, file_bytes: bytes, placed_ns };
            first_group += before.row_groups.len();
            let bytes = share.unwrap_or_default();
            let after = Segment { path: path.clone(), bytes, part: Some(part), ..before.clone() };
            moves.push((capture, before, after));
        }
        let from: BTreeSet<&str> = moves.iter().map(|(_, s, _)| s.path.as_str()).collect();
        let fewer = self.has_holes || from.len() > 1;
        let prepared = fewer.then_some(PreparedFile { file, path, bytes, moves });
        let segments: Vec<(u64, Segment)> = left.into_iter().map(|(segment, _)| segment).collect();
        let left = Self { directory: self.directory, segments, has_holes: self.has_holes };
        Ok((prepared, Some(left).filter(|left| !left.segments.is_empty())))
    }
}

/// When the segment first got its place on disk.
fn placed_ns(store: &Store, segment: &Segment) -> Option<i64> {
    if let Some(part) = segment.part {
        return part.placed_ns;
    }
    let modified = fs::metadata(store.file(segment)).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

impl Prepared {
    /// Places the files and brings each manifest to them. Captures that were
    /// removed or decoded anew meanwhile are passed over.
    ///
    /// # Errors
    /// Where a file cannot be written; every capture then reads as before, from
    /// its old or its new place.
    pub fn commit(self, lock: &WriteLock) -> Result<Compacted, StoreError> {
        let store = lock.store();
        let imports = store.catalog()?.imports;
        let moved = |import: &ImportManifest| self.moved(import);
        let manifests: Vec<ImportManifest> = imports.iter().filter_map(|i| moved(i)).collect();
        let used: BTreeSet<&str> = manifests.iter().flat_map(paths).collect();
        let files: Vec<&PreparedFile> =
            self.files.iter().filter(|file| used.contains(file.path.as_str())).collect();
        let moves: Vec<(PathBuf, &str)> =
            files.iter().map(|file| (file.file.clone(), file.path.as_str())).collect();
        place::place(store.root(), &moves)?;
        for manifest in &manifests {
            lock.write_manifest(&self.scratch, manifest)?;
        }
        let old = leave_behind(store, &imports)?;
        Ok(Compacted {
            before: old,
            after: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
        })
    }

    /// The manifest with the segments that move at their new places; `None` where
    /// none of them does.
    fn moved(&self, import: &ImportManifest) -> Option<ImportManifest> {
        let all = self.files.iter().flat_map(|file| &file.moves);
        let mine: Vec<_> = all.filter(|(capture, ..)| *capture == import.capture_id).collect();
        if mine.is_empty() {
            return None;
        }
        let mut manifest = import.clone();
        let mut changed = false;
        for segment in &mut manifest.files {
            if let Some((_, _, after)) = mine.iter().find(|(_, before, _)| before == segment) {
                *segment = after.clone();
                changed = true;
            }
        }
        changed.then_some(manifest)
    }
}

fn paths(import: &ImportManifest) -> impl Iterator<Item = &str> {
    import.files.iter().map(|file| file.path.as_str())
}

/// Marks the files that nobody names any more, to be removed once queries that
/// began before have ended; gives their number.
fn leave_behind(store: &Store, before: &[Arc<ImportManifest>]) -> Result<u64, StoreError> {
    let now = store.catalog()?.imports;
    let named: BTreeSet<&str> = now.iter().flat_map(|import| paths(import)).collect();
    let before: BTreeSet<&str> = before.iter().flat_map(|import| paths(import)).collect();
    let mut left = 0;
    for path in before.difference(&named) {
        left += 1;
        touch(&store.root().join(path))?;
    }
    Ok(left)
}

/// Makes a file new: what is left behind is removed by its age.
fn touch(path: &Path) -> Result<(), StoreError> {
    place::step(path)?;
    let file = File::options().append(true).open(path).map_err(StoreError::io(path))?;
    file.set_modified(SystemTime::now()).map_err(StoreError::io(path))
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
