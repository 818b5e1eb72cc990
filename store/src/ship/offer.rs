//! What a node offers: a manifest and the hashes of its files.

use crate::catalog::Store;
use crate::catalog::manifest::ImportManifest;
use crate::error::StoreError;
use crate::ship::{NodeName, PROTOCOL, Policy};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read};

/// Bytes hashed at a time.
const HASH_BYTES: usize = 1 << 18;

/// An import with the hashes of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Who offers it.
    pub node: NodeName,
    /// The manifest, with the files that are shipped.
    pub import: ImportManifest,
    /// The file of each of the manifest's segments, in the same order.
    pub files: Vec<Content>,
}

/// A file by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its bytes: 64 hex digits in lower case.
    pub blake3: String,
}

/// An offer with its files open, so that their removal does not matter any more.
#[derive(Debug)]
pub struct Opened {
    /// What is offered.
    pub offer: Offer,
    /// The file of each of its segments.
    pub files: Vec<File>,
}

/// The tables that a policy leaves out of an import.
fn is_shipped(policy: Policy, table: &str) -> bool {
    match policy {
        Policy::None => false,
        Policy::Messages => table != "packets",
        Policy::All => true,
    }
}

impl Opened {
    /// Opens and hashes what `policy` ships of an import. `None` where a file is
    /// gone: the import was removed, or its segments moved to other files, which
    /// the manifest as it is now names.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn of(
        store: &Store,
        import: &ImportManifest,
        node: &NodeName,
        policy: Policy,
    ) -> Result<Option<Self>, StoreError> {
        let mut import = import.clone();
        import.files.retain(|file| is_shipped(policy, &file.table));
        let mut files = Vec::new();
        for segment in &import.files {
            let path = store.file(segment);
            match File::open(&path) {
                Ok(file) => files.push(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(StoreError::Io { path, error }),
            }
        }
        let mut contents = Vec::new();
        for (segment, file) in import.files.iter().zip(&files) {
            let path = store.file(segment);
            contents.push(Content::read(file).map_err(StoreError::io(&path))?);
        }
        let offer = Offer { protocol: PROTOCOL, node: node.clone(), import, files: contents };
        Ok(Some(Self { offer, files }))
    }
}

impl Content {
    /// Reads to the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(mut file: impl Read) -> std::io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; HASH_BYTES];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => hasher.update(chunk.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
        }
        let bytes = hasher.count();
        Ok(Self { bytes, blake3: hasher.finalize().to_hex().to_string() })
    }
}

/// Whether text is a hash as files are named by it.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
