//! What a target has taken: one small file of the node, written aside and renamed.
//!
//! Lost, everything is offered again and answered `known`: it saves work, no row
//! depends on it.

use crate::catalog::manifest::{ImportManifest, hex};
use crate::catalog::{Catalog, Store};
use crate::error::StoreError;
use crate::ship::Policy;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file below the store.
const FILE: &str = "shipped.json";

/// An import as it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    revision: u32,
    policy: Policy,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Where it went: another target begins anew.
    target: String,
    /// Captures that retention removed before they were taken.
    let_go: u64,
    taken: BTreeMap<String, Taken>,
}

/// What a target has taken of a store.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    contents: Contents,
    changed: bool,
}

impl Ledger {
    /// Reads what is known of `target`; nothing where the file is missing,
    /// damaged, or of another target.
    pub fn open(store: &Store, target: &str) -> Self {
        let path = store.root().join(FILE);
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let contents: Contents = read.unwrap_or_default();
        let contents = if contents.target == target {
            contents
        } else {
            Contents { target: target.to_owned(), let_go: contents.let_go, ..Contents::default() }
        };
        Self { path, contents, changed: false }
    }

    /// Whether the target has taken nothing yet.
    pub fn is_empty(&self) -> bool {
        self.contents.taken.is_empty()
    }

    /// An import was taken as `policy` has it.
    pub fn take(&mut self, import: &ImportManifest, policy: Policy) {
        let taken = Taken { revision: import.revision, policy };
        self.contents.taken.insert(hex(import.capture_id), taken);
        self.changed = true;
    }

    /// Captures were removed that nobody had taken.
    pub fn let_go(&mut self, captures: u64) {
        self.contents.let_go = self.contents.let_go.saturating_add(captures);
        self.changed |= captures > 0;
    }

    /// How many were, since the store was made.
    pub fn gone(&self) -> u64 {
        self.contents.let_go
    }

    /// Whether an import was taken, as it is now and with all that `policy` ships.
    pub fn has(&self, import: &ImportManifest, policy: Policy) -> bool {
        let taken = self.contents.taken.get(&hex(import.capture_id));
        taken.is_some_and(|taken| taken.revision >= import.revision && taken.policy >= policy)
    }

    /// What waits, that with the earliest rows first.
    pub fn waiting(&self, catalog: &Catalog, policy: Policy) -> Vec<Arc<ImportManifest>> {
        if policy == Policy::None {
            return Vec::new();
        }
        let waits = |import: &&Arc<ImportManifest>| !self.has(import, policy);
        let mut waiting: Vec<_> = catalog.imports.iter().filter(waits).cloned().collect();
        waiting.sort_by_key(|import| (first_ns(import), import.capture_id));
        waiting
    }

    /// The captures of those, for retention.
    pub fn waiting_ids(&self, catalog: &Catalog, policy: Policy) -> HashSet<u64> {
        self.waiting(catalog, policy).iter().map(|import| import.capture_id).collect()
    }

    /// Writes what has changed, and forgets captures that are no longer there.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&mut self, catalog: &Catalog) -> Result<(), StoreError> {
        if !self.changed {
            return Ok(());
        }
        let here: HashSet<String> = catalog.imports.iter().map(|i| hex(i.capture_id)).collect();
        self.contents.taken.retain(|capture, _| here.contains(capture));
        let json = serde_json::to_vec(&self.contents).unwrap_or_default();
        write_aside(&self.path, &json).map_err(StoreError::io(&self.path))?;
        self.changed = false;
        Ok(())
    }
}

/// Time of an import's first row, where it has one.
fn first_ns(import: &ImportManifest) -> Option<i64> {
    import.files.iter().filter_map(|file| Some(file.time?.min_ns)).min()
}

/// Writes a whole file under another name, then gives it its own.
pub(crate) fn write_aside(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}
