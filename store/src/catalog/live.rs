//! What captures under way show before their segments are sealed.
//!
//! ```text
//! <store>/live/P1-00c0ffee00c0ffee.json           pieces so far, up to when; renamed with each piece
//! <store>/live/00c0ffee00c0ffee/0.parquet ..      rows of messages, a piece each
//! <store>/live/00c0ffee00c0ffee/flows-0.parquet   the flows, anew where one is new
//!        │ the segment is complete: it is imported under the same id
//!        ▼
//! <store>/manifests/P1-00c0ffee00c0ffee.json      from here on the pieces count no more
//! ```
//!
//! Nothing here is synced, since all of it comes from the open segment, which is: what a
//! crash leaves is removed by the next node. A capture has at most a few hundred pieces
//! ([`PIECES_QUICK`]), then one a second, and all go once it is sealed.

use crate::catalog::manifest::{Counters, ImportManifest, SourceFile, hex, hex_id};
use crate::catalog::{Catalog, FORMAT_VERSION, Store, read_json};
use crate::error::StoreError;
use crate::segment::{Segment, TimeRange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use taptrail_capture::point::PointConfig;

/// Where they are, below the store.
pub const DIRECTORY: &str = "live";

/// Pieces of a capture that may come as quickly as they are made; further ones come
/// once a second.
pub const PIECES_QUICK: usize = 512;

/// How long pieces stay after their capture was sealed: who reads them may not be
/// done.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A capture under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveManifest {
    /// Store format it was written with.
    pub format: u32,
    /// Version that wrote it.
    pub software: String,
    /// Hash of the configuration that decoded it.
    pub config_hash: String,
    /// The point as it is configured.
    pub point_config: PointConfig,
    /// The capture; its import will have the same id.
    #[serde(with = "hex_id")]
    pub capture_id: u64,
    /// Packets whose messages are in the pieces, those before this position.
    pub packets: u32,
    /// All packets stamped before this time are among them, ns since the epoch.
    pub shown_ts: Option<i64>,
    /// Whether these are all packets of the capture.
    pub complete: bool,
    /// Pieces of `messages`, in order.
    pub pieces: Vec<Segment>,
    /// `flows` as they are now.
    pub flows: Vec<Segment>,
}

impl LiveManifest {
    /// A capture at a point of which nothing is shown yet.
    pub fn new(point: &PointConfig, capture_id: u64, config_hash: &str) -> Self {
        Self {
            format: FORMAT_VERSION,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: config_hash.to_owned(),
            point_config: point.clone(),
            capture_id,
            packets: 0,
            shown_ts: None,
            complete: false,
            pieces: Vec::new(),
            flows: Vec::new(),
        }
    }

    /// Its file below the store.
    pub fn path(&self) -> String {
        format!("{DIRECTORY}/{}-{}.json", self.point_config.name, hex(self.capture_id))
    }

    /// Where its pieces lie, below the store.
    pub fn directory(&self) -> String {
        format!("{DIRECTORY}/{}", hex(self.capture_id))
    }

    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.rows).sum()
    }

    /// Time of the last message so far.
    pub fn newest_ts(&self) -> Option<i64> {
        let times = self.pieces.iter().filter_map(|piece| piece.time);
        times.reduce(TimeRange::union).map(|time| time.max_ns)
    }

    /// The pieces from the one with this number on, as an import that has nothing else.
    pub fn as_import(&self, from: usize) -> ImportManifest {
        let pieces = self.pieces.get(from..).unwrap_or_default();
        ImportManifest {
            format: self.format,
            software: self.software.clone(),
            config_hash: self.config_hash.clone(),
            decode: None,
            point: self.point_config.name.to_string(),
            point_config: self.point_config.clone(),
            capture_id: self.capture_id,
            revision: 0,
            source: SourceFile {
                name: String::new(),
                bytes: 0,
                content_blake3: String::new(),
                segment: None,
            },
            node: None,
            counters: Counters::default(),
            warnings: Vec::new(),
            warnings_dropped: 0,
            first_ts: None,
            continues: None,
            learned: Vec::new(),
            files: pieces.iter().chain(&self.flows).cloned().collect(),
        }
    }
}

/// All captures under way.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    /// Those that are not sealed yet, by point and id.
    pub captures: Vec<Arc<LiveManifest>>,
    /// Up to when each point has shown everything, ns since the epoch; also where its
    /// last segment was sealed and nothing came since.
    pub shown: BTreeMap<String, i64>,
}

impl Store {
    /// Captures under way, besides those that are sealed in `catalog`.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn live(&self, catalog: &Catalog) -> Result<UnderWay, StoreError> {
        let mut found = UnderWay::default();
        for path in self.live_manifests()? {
            // It may have gone since.
            let Some(live) = read_json::<LiveManifest>(&path)? else { continue };
            if let Some(ts) = live.shown_ts {
                let shown = found.shown.entry(live.point_config.name.to_string()).or_insert(ts);
                *shown = ts.max(*shown);
            }
            if catalog.import(live.capture_id).is_none() {
                found.captures.push(Arc::new(live));
            }
        }
        let key = |live: &Arc<LiveManifest>| (live.point_config.name.to_string(), live.capture_id);
        found.captures.sort_by_key(key);
        Ok(found)
    }

    fn live_manifests(&self) -> Result<Vec<PathBuf>, StoreError> {
        let directory = self.root.join(DIRECTORY);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::io(&directory))?,
        };
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect())
    }

    /// Removes what was sealed a minute ago. `all`: whatever an earlier node of these
    /// points left, too.
    ///
    /// # Errors
    /// Where something cannot be read or removed.
    pub fn clean_live(&self, points: &[String], all: bool) -> Result<(), StoreError> {
        let catalog = self.catalog()?;
        for path in self.live_manifests()? {
            let Some(live) = read_json::<LiveManifest>(&path)? else { continue };
            let ours = points.iter().any(|point| *point == *live.point_config.name.as_str());
            let sealed = catalog.import(live.capture_id).is_some() && is_old(&path);
            if ours && (all || sealed) {
                let pieces = self.root.join(live.directory());
                gone(fs::remove_file(&path), &path)?;
                gone(fs::remove_dir_all(&pieces), &pieces)?;
            }
        }
        Ok(())
    }

    /// Changes whenever an import or correlation became visible, or a capture under way
    /// showed more: when the two directories of manifests were changed.
    pub fn changed(&self) -> [Option<SystemTime>; 2] {
        ["manifests", DIRECTORY].map(|directory| {
            fs::metadata(self.root.join(directory)).and_then(|found| found.modified()).ok()
        })
    }
}

fn is_old(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| at.elapsed().map_or(true, |age| age >= KEPT_FOR))
}

fn gone(removed: std::io::Result<()>, path: &Path) -> Result<(), StoreError> {
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}
