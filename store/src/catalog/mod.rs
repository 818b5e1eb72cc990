//! What a store holds, and how it changes: by one rename at a time.
//!
//! ```text
//! <store>/FORMAT                           "taptrail store 2"
//! <store>/LOCK                             held by the one process that writes
//! <store>/manifests/P1-00c0ffee00c0ffee.json   one an import; its rename makes the import visible
//! <store>/manifests/correlate.json         the current files of links, hops, ..
//! <store>/packets/point=P1/..              segments
//! <store>/links/7-0.parquet                segments of generation 7
//! <store>/nodes/a.json                     a hub's node: when it was heard of, how it is
//! <store>/incoming/a/..                    files of that node whose manifest has not come
//! <store>/live/..                          what captures under way show before they are sealed
//! <store>/shipped.json                     what a hub has taken of this store
//! <store>/tmp/..                           being written
//! ```
//!
//! A segment counts only once a manifest names it, so a crash at any moment
//! leaves a store that reads as before. What it left behind is removed by a
//! process that writes a minute later or more.

pub(crate) mod arrive;
pub mod compact;
pub mod drops;
pub mod import;
pub mod live;
pub mod lock;
pub mod manifest;
pub(crate) mod place;
pub mod replace;
pub mod retention;
pub mod scratch;

use crate::catalog::manifest::{CorrelateManifest, ImportManifest};
use crate::error::StoreError;
use crate::segment::Segment;
use crate::segment::source::StoredSource;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use taptrail_capture::open_segment::complete_segments;
use taptrail_capture::point::PointName;

/// The newest store format that this version knows, and the one it writes.
pub const FORMAT_VERSION: u32 = 2;

/// What FORMAT begins with.
const FORMAT_WORDS: &str = "taptrail store ";

/// What the file FORMAT of a store says.
pub fn format_text() -> String {
    format!("{FORMAT_WORDS}{FORMAT_VERSION}\n")
}

/// The manifest of correlation.
const CORRELATE: &str = "correlate.json";

/// A store in a directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<PathBuf>,
    read: Arc<Mutex<HashMap<PathBuf, ReadManifest>>>,
}

/// A manifest as last read, and what told that it has not changed since.
#[derive(Clone, Debug)]
struct ReadManifest {
    modified: Option<SystemTime>,
    len: u64,
    import: Arc<ImportManifest>,
}

/// What a store held at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The imports, by point and capture id.
    pub imports: Vec<Arc<ImportManifest>>,
    /// The latest correlation, where there was one.
    pub correlate: Option<Arc<CorrelateManifest>>,
}

impl Catalog {
    /// The import of a capture.
    pub fn import(&self, capture_id: u64) -> Option<&Arc<ImportManifest>> {
        self.imports.iter().find(|import| import.capture_id == capture_id)
    }

    /// Whether the latest correlation was made from exactly these imports and
    /// this configuration, all of them known beforehand.
    pub fn is_correlated(&self, config_hash: &str) -> bool {
        let Some(correlate) = &self.correlate else { return false };
        let same = correlate.config_hash == config_hash && correlate.inputs == self.inputs();
        same && !correlate.live
    }

    /// What a correlation of everything here is made from.
    pub fn inputs(&self) -> Vec<manifest::Input> {
        self.imports.iter().map(|import| import.input()).collect()
    }
}

impl Store {
    /// A file to put something aside in, which is gone with its last handle.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn scratch_file(&self) -> Result<File, StoreError> {
        scratch::file(&self.root.join("tmp"))
    }

    /// Opens a store.
    ///
    /// # Errors
    /// Where the directory is no store, or one of a newer format.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let path = root.join("FORMAT");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NotAStore { path: root.to_owned() });
            }
            Err(error) => return Err(StoreError::Io { path, error }),
        };
        check_format(&path, &text)?;
        Ok(Self { root: Arc::new(root.to_owned()), read: Arc::default() })
    }

    /// Opens a store, or makes one in an empty or new directory.
    ///
    /// # Errors
    /// Where the directory is neither a store nor empty, or cannot be written.
    pub fn open_or_create(root: &Path) -> Result<Self, StoreError> {
        match Self::open(root) {
            Err(StoreError::NotAStore { .. }) => Self::create(root),
            result => result,
        }
    }

    fn create(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(StoreError::io(root))?;
        let mut entries = fs::read_dir(root).map_err(StoreError::io(root))?;
        // What an interrupted creation left is not a stranger's.
        let ours = |name: &std::ffi::OsStr| name == "tmp" || name == "manifests";
        if entries.any(|entry| entry.is_ok_and(|entry| !ours(&entry.file_name()))) {
            return Err(StoreError::NotEmpty { path: root.to_owned() });
        }
        for directory in ["tmp", "manifests"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).map_err(StoreError::io(&path))?;
        }
        let text = format_text();
        place::write_file(&root.join("tmp/FORMAT"), &root.join("FORMAT"), text.as_bytes())?;
        Self::open(root)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the store holds now.
    ///
    /// # Errors
    /// Where a manifest is damaged or cannot be read.
    pub fn catalog(&self) -> Result<Catalog, StoreError> {
        let directory = self.root.join("manifests");
        let mut imports = Vec::new();
        for entry in fs::read_dir(&directory).map_err(StoreError::io(&directory))? {
            let path = entry.map_err(StoreError::io(&directory))?.path();
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            if is_json && path.file_name().is_some_and(|name| name != CORRELATE) {
                imports.push(self.import_manifest(&path)?);
            }
        }
        imports.sort_by(|a, b| (&a.point, a.capture_id).cmp(&(&b.point, b.capture_id)));
        let correlate = read_json(&directory.join(CORRELATE))?.map(Arc::new);
        Ok(Catalog { imports, correlate })
    }

    /// The packets of a capture, in capture order.
    ///
    /// # Errors
    /// Where the store does not hold it.
    pub fn packets(&self, capture_id: u64) -> Result<StoredSource, StoreError> {
        let catalog = self.catalog()?;
        let import = catalog.import(capture_id).ok_or(StoreError::NoCapture { capture_id })?;
        Ok(StoredSource::new(&self.root, import.files_of("packets")))
    }

    /// Bytes that may still be written on the store's disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        taptrail_capture::system::free_bytes(&self.root).map_err(StoreError::io(&self.root))
    }

    /// Where live capture keeps segments until they are sealed.
    pub fn open_directory(&self) -> PathBuf {
        self.root.join("open")
    }

    /// Complete segments of live capture that wait to be sealed.
    ///
    /// # Errors
    /// Where their directory cannot be read.
    pub fn waiting_segments(&self) -> Result<Vec<(PointName, PathBuf)>, StoreError> {
        let directory = self.open_directory();
        if !directory.exists() {
            return Ok(Vec::new());
        }
        complete_segments(&directory).map_err(StoreError::io(&directory))
    }

    /// The file of a segment.
    pub fn file(&self, segment: &Segment) -> PathBuf {
        self.root.join(&segment.path)
    }

    /// A manifest of an import, read anew only where it has changed.
    fn import_manifest(&self, path: &Path) -> Result<Arc<ImportManifest>, StoreError> {
        let metadata = fs::metadata(path).map_err(StoreError::io(path))?;
        let (modified, len) = (metadata.modified().ok(), metadata.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.get(path)
            && known.modified.is_some()
            && (known.modified, known.len) == (modified, len)
        {
            return Ok(known.import.clone());
        }
        let import: Option<ImportManifest> = read_json(path)?;
        let gone = || StoreError::Damaged { path: path.to_owned(), reason: "vanished".to_owned() };
        let import = Arc::new(import.ok_or_else(gone)?);
        read.insert(path.to_owned(), ReadManifest { modified, len, import: import.clone() });
        Ok(import)
    }
}

fn check_format(path: &Path, text: &str) -> Result<(), StoreError> {
    let number = text.trim().strip_prefix(FORMAT_WORDS).and_then(|n| n.parse::<u32>().ok());
    match number {
        Some(found) if found > FORMAT_VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT_VERSION })
        }
        Some(FORMAT_VERSION) => Ok(()),
        Some(found @ 1..) => {
            Err(StoreError::Older { path: path.to_owned(), found, known: FORMAT_VERSION })
        }
        _ => Err(StoreError::Damaged {
            path: path.to_owned(),
            reason: format!("needs the words \"{FORMAT_WORDS}\" and a number, has {text:?}"),
        }),
    }
}

/// A JSON file; `None` where there is none.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::Io { path: path.to_owned(), error }),
    };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        reason: format!("the manifest cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_becomes_a_store_and_opens_again() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/b");
        assert!(matches!(Store::open(&root), Err(StoreError::NotAStore { .. })));
        Store::open_or_create(&root).unwrap();
        let store = Store::open_or_create(&root).unwrap();
        let catalog = store.catalog().unwrap();
        assert!(catalog.imports.is_empty());
        assert!(catalog.correlate.is_none());
    }

    #[test]
    fn a_strangers_directory_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("letter.txt"), "mine").unwrap();
        let result = Store::open_or_create(directory.path());
        assert!(matches!(result, Err(StoreError::NotEmpty { .. })));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Store::open_or_create(directory.path()).unwrap();
        for other in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
            let text = format!("taptrail store {other}\n");
            fs::write(directory.path().join("FORMAT"), text).unwrap();
            let error = Store::open_or_create(directory.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("has format {other}")), "{error}");
        }
        for damaged in ["", "taptrail store 0", "taptrail store x", "other"] {
            fs::write(directory.path().join("FORMAT"), damaged).unwrap();
            assert!(matches!(Store::open(directory.path()), Err(StoreError::Damaged { .. })));
        }
    }
}
