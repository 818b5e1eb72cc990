//! An object store as a target of what a node ships: a bucket of S3, or of anything that
//! speaks like it.
//!
//! ```text
//! s3://bucket/prefix/FORMAT
//!                   /points/P1.json                 which node P1 is of, written once
//!                   /packets/point=P1/date=…/hour=…/<hash>.parquet      first
//!                   /manifests/P1-00c0ffee00c0ffee.json                 last
//!                   /reports/a.json                 what the node said of itself
//! ```
//!
//! The keys are the paths of a store, so that a copy of the bucket is one, and what reads
//! Parquet from object stores reads it where it lies. A file's key has its hash: sent
//! again it is the same object. What one decoding replaces stays; the manifests name what
//! counts. Where the bucket is and who we are says the environment, as other tools have
//! it: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
//! `AWS_SESSION_TOKEN`.

mod client;
mod sign;

use client::{Body, Bucket};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use taptrail_store::catalog::format_text;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::ship::accept::{arrival, is_as_good};
use taptrail_store::ship::nodes::Report;
use taptrail_store::ship::offer::Offer;
use taptrail_store::ship::{Answer, Held, NodeName, Target, TargetError};

/// Most bytes of a file: what one request may carry at an object store.
const FILE_BYTES_MAX: u64 = 5 << 30;

/// Why a bucket cannot be a target.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// It is no bucket's address.
    #[error("{0:?}: needs s3://BUCKET or s3://BUCKET/PREFIX")]
    Address(String),
    /// The environment's address of the store.
    #[error("AWS_ENDPOINT_URL {0:?}: needs http://HOST:PORT or https://HOST")]
    Endpoint(String),
    /// A variable of the environment that has to be set.
    #[error("{0} is not set in the environment")]
    Unset(&'static str),
    /// No authorities of certificates are known.
    #[error("no file of the system's authorities: set [ship] ca")]
    NoAuthorities,
    /// They cannot be read.
    #[error("{}: {reason}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A bucket as a target.
#[derive(Debug)]
pub struct S3Target {
    bucket: Bucket,
    node: NodeName,
    /// Whether the bucket says its format.
    begun: bool,
    /// Points that are known to be ours.
    points: Vec<String>,
    /// Where files go that were found missing, by hash.
    places: HashMap<String, String>,
    /// A file of which not all has come.
    spool: Option<Spool>,
}

/// Chunks of one file, until they are all there: an object is sent as a whole.
#[derive(Debug)]
struct Spool {
    blake3: String,
    file: File,
    len: u64,
}

/// Whose a point is.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    node: NodeName,
}

impl S3Target {
    /// The bucket at `to`, `s3://BUCKET/PREFIX`; `ca`: authorities in place of the
    /// system's. Connects once something is sent.
    ///
    /// # Errors
    /// Where `to` or the environment says too little.
    pub fn new(to: &str, node: NodeName, ca: Option<&Path>) -> Result<Self, S3Error> {
        let bucket = Bucket::new(to, ca, &|name| std::env::var(name).ok())?;
        let (points, places) = (Vec::new(), HashMap::new());
        Ok(Self { bucket, node, begun: false, points, places, spool: None })
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, TargetError> {
        let answer = self.bucket.send("GET", key, Body::None, false)?;
        Ok((answer.status != 404).then_some(answer.body))
    }

    /// Writes an object unless there is one; what is there then.
    fn once(&self, key: &str, bytes: &[u8]) -> Result<Vec<u8>, TargetError> {
        if let Some(there) = self.get(key)? {
            return Ok(there);
        }
        self.bucket.send("PUT", key, Body::Bytes(bytes), true)?;
        let gone = || TargetError::Unavailable(format!("{key}: was written and is not there"));
        self.get(key)?.ok_or_else(gone)
    }

    fn begin(&mut self) -> Result<(), TargetError> {
        if !self.begun {
            let there = self.once("FORMAT", format_text().as_bytes())?;
            if there != format_text().as_bytes() {
                let text = "the bucket has a store of another format";
                return Err(TargetError::Denied(text.to_owned()));
            }
            self.begun = true;
        }
        Ok(())
    }

    /// A point is one node's, as at a hub.
    fn own(&mut self, point: &str) -> Result<(), TargetError> {
        if self.points.iter().any(|known| known == point) {
            return Ok(());
        }
        let json = json(&Owner { node: self.node.clone() })?;
        let there = self.once(&format!("points/{point}.json"), &json)?;
        match serde_json::from_slice::<Owner>(&there) {
            Ok(owner) if owner.node == self.node => self.points.push(point.to_owned()),
            Ok(owner) => {
                return Err(TargetError::Refused(format!(
                    "point {point} is one of node {}: points have one name each at all nodes",
                    owner.node
                )));
            }
            Err(error) => {
                return Err(TargetError::Refused(format!("points/{point}.json: {error}")));
            }
        }
        Ok(())
    }

    /// Whether the bucket has an import, or a newer decoding of it.
    fn has(&self, import: &ImportManifest) -> Result<bool, TargetError> {
        let key = import.path();
        let Some(bytes) = self.get(&key)? else { return Ok(false) };
        let known = serde_json::from_slice::<ImportManifest>(&bytes);
        let known = known.map_err(|error| TargetError::Refused(format!("{key}: {error}")))?;
        is_as_good(&known, import).map_err(TargetError::Refused)
    }

    /// The files that are not there.
    fn missing(
        &mut self,
        import: &ImportManifest,
        offer: &Offer,
    ) -> Result<Vec<Held>, TargetError> {
        let mut missing: Vec<Held> = Vec::new();
        self.places.clear();
        for (segment, content) in import.files.iter().zip(&offer.files) {
            let answer = self.bucket.send("HEAD", &segment.path, Body::None, false)?;
            let whole = answer.status != 404 && answer.len == Some(content.bytes);
            if whole || self.places.contains_key(&content.blake3) {
                continue;
            }
            self.places.insert(content.blake3.clone(), segment.path.clone());
            let spooled = self.spool.as_ref().filter(|spool| spool.blake3 == content.blake3);
            let have = spooled.map_or(0, |spool| spool.len);
            missing.push(Held { blake3: content.blake3.clone(), have });
        }
        Ok(missing)
    }

    /// Keeps a chunk; how much is kept by now.
    fn keep(&mut self, blake3: &str, offset: u64, bytes: &[u8]) -> Result<u64, TargetError> {
        let io =
            |error: std::io::Error| TargetError::Unavailable(format!("temporary file: {error}"));
        if self.spool.as_ref().is_none_or(|spool| spool.blake3 != blake3) {
            let file = tempfile::tempfile().map_err(io)?;
            self.spool = Some(Spool { blake3: blake3.to_owned(), file, len: 0 });
        }
        let Some(spool) = &mut self.spool else { return Ok(0) };
        if offset == spool.len {
            spool.file.seek(SeekFrom::Start(offset)).map_err(io)?;
            spool.file.write_all(bytes).map_err(io)?;
            spool.len += bytes.len() as u64;
        }
        Ok(spool.len)
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, TargetError> {
    serde_json::to_vec_pretty(value).map_err(|error| TargetError::Refused(error.to_string()))
}

impl Target for S3Target {
    fn offer(&mut self, offer: &Offer) -> Result<Answer, TargetError> {
        let import = arrival(&self.node, offer, FILE_BYTES_MAX).map_err(TargetError::Refused)?;
        self.begin()?;
        self.own(&import.point)?;
        if self.has(&import)? {
            return Ok(Answer::Known);
        }
        let files = self.missing(&import, offer)?;
        if !files.is_empty() {
            return Ok(Answer::Missing { files });
        }
        self.bucket.send("PUT", &import.path(), Body::Bytes(&json(&import)?), false)?;
        Ok(Answer::Taken)
    }

    fn put(
        &mut self,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError> {
        let asked = || TargetError::Refused(format!("{blake3}: nobody asked for it"));
        let key = self.places.get(blake3).ok_or_else(asked)?.clone();
        let have = self.keep(blake3, offset, bytes)?;
        if have < total {
            return Ok(have);
        }
        let mut spool = self.spool.take().ok_or_else(asked)?;
        let sent = self.bucket.send("PUT", &key, Body::File(&mut spool.file), false);
        if sent.is_err() {
            // Only the request is made again.
            self.spool = Some(spool);
        }
        sent.map(|_| total)
    }

    fn report(&mut self, report: &Report) -> Result<(), TargetError> {
        let key = format!("reports/{}.json", self.node);
        self.bucket.send("PUT", &key, Body::Bytes(&json(report)?), false).map(drop)
    }
}
