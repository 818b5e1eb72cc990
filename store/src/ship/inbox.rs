//! Files that are on their way: chunks in order, checked by size and hash before
//! they count.
//!
//! ```text
//! <store>/incoming/<node>/<blake3>.part   as far as it has come
//! <store>/incoming/<node>/<blake3>        whole and checked, waits for its manifest
//! ```

use crate::catalog::Store;
use crate::ship::offer::{Content, is_hash};
use crate::ship::{CHUNK_BYTES, NodeName, TargetError, fault};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What nobody asked for so long goes: its import was let go by the node.
const STALE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// What an inbox may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a node that may wait for their manifests; hence of one import.
    pub node_bytes: u64,
    /// What stays free on the disk.
    pub keep_free: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { node_bytes: 8 << 30, keep_free: 1 << 30 }
    }
}

/// Takes the files of nodes into a store's `incoming/`.
#[derive(Debug)]
pub struct Inbox {
    store: Store,
    limits: Limits,
    /// One chunk of a node at a time.
    busy: Mutex<HashMap<NodeName, Arc<Mutex<()>>>>,
}

impl Inbox {
    /// That of a store. What is stale is removed.
    pub fn new(store: &Store, limits: Limits) -> Self {
        let inbox = Self { store: store.clone(), limits, busy: Mutex::default() };
        inbox.remove_stale();
        inbox
    }

    /// What it may take.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn directory(&self, node: &NodeName) -> PathBuf {
        self.store.root().join("incoming").join(node.as_str())
    }

    /// A whole and checked file, where it has come. `blake3` is a hash.
    pub(super) fn whole(&self, node: &NodeName, blake3: &str) -> PathBuf {
        self.directory(node).join(blake3)
    }

    fn part(&self, node: &NodeName, blake3: &str) -> PathBuf {
        self.directory(node).join(format!("{blake3}.part"))
    }

    /// How much of a file has come.
    pub(super) fn have(&self, node: &NodeName, blake3: &str) -> u64 {
        let len = |path: PathBuf| fs::metadata(path).map(|metadata| metadata.len()).ok();
        len(self.whole(node, blake3)).or_else(|| len(self.part(node, blake3))).unwrap_or(0)
    }

    /// Takes a chunk and gives how much of the file is here now.
    ///
    /// # Errors
    /// Where the request is none that a node makes, there is no room, or the whole
    /// file has another hash: then it begins anew.
    pub fn put(
        &self,
        node: &NodeName,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError> {
        let end = offset.checked_add(bytes.len() as u64);
        if !is_hash(blake3) || bytes.len() > CHUNK_BYTES || end.is_none_or(|end| end > total) {
            return Err(TargetError::Refused(format!(
                "a chunk of {} bytes at {offset} of {total} for {blake3:?}: needs 64 hex digits, \
                 at most {CHUNK_BYTES} bytes, none behind the end",
                bytes.len()
            )));
        }
        if total > self.limits.node_bytes {
            return Err(TargetError::Refused(format!(
                "{total} bytes are more than {} ([hub] incoming_mib)",
                self.limits.node_bytes
            )));
        }
        let busy = self.busy(node);
        let _one = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory(node);
        fs::create_dir_all(&directory).map_err(TargetError::io(&directory))?;
        if self.whole(node, blake3).exists() {
            return Ok(total);
        }
        let part = self.part(node, blake3);
        let have = fs::metadata(&part).map_or(0, |metadata| metadata.len());
        if have > total {
            fs::remove_file(&part).map_err(TargetError::io(&part))?;
            return Ok(0);
        }
        if have != offset {
            return Ok(have);
        }
        self.make_room(node, blake3, total - have)?;
        self.append(&part, bytes)?;
        let have = have + bytes.len() as u64;
        if have == total {
            self.finish(node, blake3, &part)?;
        }
        Ok(have)
    }

    fn busy(&self, node: &NodeName) -> Arc<Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(busy.entry(node.clone()).or_default())
    }

    fn append(&self, part: &Path, bytes: &[u8]) -> Result<(), TargetError> {
        fault::step()?;
        let file = OpenOptions::new().create(true).append(true).open(part);
        let mut file = file.map_err(TargetError::io(part))?;
        file.write_all(bytes).map_err(TargetError::io(part))
    }

    /// A whole file counts once its hash is right and the disk has it.
    fn finish(&self, node: &NodeName, blake3: &str, part: &Path) -> Result<(), TargetError> {
        fault::step()?;
        let file = File::open(part).map_err(TargetError::io(part))?;
        let content = Content::read(&file).map_err(TargetError::io(part))?;
        if content.blake3 != blake3 {
            fs::remove_file(part).map_err(TargetError::io(part))?;
            return Err(TargetError::Refused(format!(
                "{blake3}: what came has the hash {}: it was damaged on its way or on a disk",
                content.blake3
            )));
        }
        file.sync_all().map_err(TargetError::io(part))?;
        fault::step()?;
        let whole = self.whole(node, blake3);
        fs::rename(part, &whole).map_err(TargetError::io(&whole))?;
        fault::step()?;
        let directory = self.directory(node);
        let opened = File::open(&directory).map_err(TargetError::io(&directory))?;
        opened.sync_all().map_err(TargetError::io(&directory))
    }

    /// Makes room for `more` bytes of a node: what was left behind longest goes.
    fn make_room(&self, node: &NodeName, blake3: &str, more: u64) -> Result<(), TargetError> {
        if self.store.free_bytes()? < more.saturating_add(self.limits.keep_free) {
            return Err(TargetError::Unavailable(format!(
                "no room: less than {more} bytes beside [hub] keep_free_mib are free"
            )));
        }
        let mut files = self.files(node);
        files.sort_by_key(|(_, at, _)| *at);
        let mut sum = files.iter().fold(more, |sum, (_, _, len)| sum.saturating_add(*len));
        for (path, _, len) in files {
            let is_own = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(blake3));
            if sum > self.limits.node_bytes && !is_own {
                fs::remove_file(&path).map_err(TargetError::io(&path))?;
                sum = sum.saturating_sub(len);
            }
        }
        Ok(())
    }

    fn files(&self, node: &NodeName) -> Vec<(PathBuf, SystemTime, u64)> {
        let entries = fs::read_dir(self.directory(node)).into_iter().flatten().flatten();
        let known = entries.filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((entry.path(), metadata.modified().ok()?, metadata.len()))
        });
        known.collect()
    }

    fn remove_stale(&self) {
        let nodes = fs::read_dir(self.store.root().join("incoming")).into_iter().flatten();
        for node in nodes.flatten() {
            let Ok(name) = NodeName::try_from(node.file_name().to_string_lossy().into_owned())
            else {
                continue;
            };
            for (path, at, _) in self.files(&name) {
                if at.elapsed().is_ok_and(|age| age > STALE_AFTER) {
                    // What stays is tried again at the next start.
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}
