//! What a hub knows of its nodes: a small file each, so that whoever opens the
//! store can ask.
//!
//! ```text
//! <store>/nodes/<node>.json   last seen, what the node said of itself, what was refused
//! manifests                   which imports came from it, hence how far it is
//! ```

use crate::catalog::manifest::ImportManifest;
use crate::catalog::{Catalog, Store};
use crate::error::StoreError;
use crate::ship::ledger::write_aside;
use crate::ship::{NODES_MAX, NodeName, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest text of an error that is kept.
const TEXT_MAX: usize = 1000;

/// A node that was not heard of for so long is silent, in ms.
pub const SILENT_AFTER_MS: u64 = 60_000;

/// A node that is so far behind is late, in ms.
pub const LATE_AFTER_MS: u64 = 300_000;

/// How long a refusal is a warning: what is still refused is offered again sooner.
const REFUSAL_WARNS_MS: u64 = 3_600_000;

/// How long captures that went before they were shipped are an alarm.
const LET_GO_WARNS_MS: u64 = 24 * 3_600_000;

/// What a node says of itself. What a newer node says besides is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Version of its program.
    pub software: String,
    /// What it ships.
    pub policy: Policy,
    /// Time of the last row of what it has sealed, ns since the epoch.
    pub newest_ns: Option<i64>,
    /// Imports that wait.
    pub waiting: u64,
    /// Bytes of those that are to be shipped.
    pub waiting_bytes: u64,
    /// What may wait, in bytes, before retention takes it.
    pub spool_bytes: u64,
    /// Captures that retention removed before they were shipped, in all.
    pub let_go: u64,
    /// What its capture says is wrong; `None` where all is well.
    pub trouble: Option<String>,
    /// Whether all is well was asked at all: a node without capture has nobody to
    /// ask.
    pub captures: bool,
}

/// What is kept of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFile {
    /// When it last said something, by the hub's clock, ns since the epoch.
    pub seen_ns: i64,
    /// What it last said of itself.
    pub report: Report,
    /// Imports and files that were refused.
    pub refused: u64,
    /// Why, the last time.
    pub refusal: Option<String>,
    /// When that was, ns since the epoch.
    pub refusal_ns: i64,
    /// When it last said that retention had removed more before it was shipped.
    pub let_go_ns: i64,
}

/// A node as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRow {
    /// Its name.
    pub node: String,
    /// `ok`, `warn` or `bad`.
    pub light: &'static str,
    /// Why.
    pub text: String,
    /// Its points that have imports here.
    pub points: Vec<String>,
    /// Imports here.
    pub imports: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time of the last row here, ns since the epoch.
    pub newest_here_ns: Option<i64>,
    /// How much later the node's own last row is, in ms.
    pub lag_ms: Option<u64>,
    /// Since it was last heard of, in ms.
    pub silent_ms: u64,
    /// What is kept of it.
    pub known: NodeFile,
}

/// The files of the nodes of a store.
#[derive(Clone, Debug)]
pub struct Nodes {
    store: Store,
}

impl Nodes {
    /// Those of a store.
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    fn path(&self, node: &NodeName) -> PathBuf {
        self.store.root().join("nodes").join(format!("{node}.json"))
    }

    /// Every node that was ever heard of.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn all(&self) -> Result<BTreeMap<NodeName, NodeFile>, StoreError> {
        let directory = self.store.root().join("nodes");
        let mut nodes = BTreeMap::new();
        if !directory.exists() {
            return Ok(nodes);
        }
        for entry in fs::read_dir(&directory).map_err(StoreError::io(&directory))? {
            let path = entry.map_err(StoreError::io(&directory))?.path();
            let json = path.extension().is_some_and(|extension| extension == "json");
            let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| json);
            if let Some(name) = name.and_then(|name| NodeName::try_from(name.to_owned()).ok()) {
                nodes.insert(name.clone(), self.read(&name));
            }
        }
        Ok(nodes)
    }

    fn read(&self, node: &NodeName) -> NodeFile {
        let bytes = fs::read(self.path(node)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Keeps what a node says of itself.
    ///
    /// # Errors
    /// Where the file cannot be written, or there are [`NODES_MAX`] others.
    pub fn report(&self, node: &NodeName, report: &Report) -> Result<(), StoreError> {
        let mut report = report.clone();
        report.trouble = report.trouble.map(short);
        report.software = short(report.software);
        self.change(node, |file| {
            if report.let_go > file.report.let_go {
                file.let_go_ns = now_ns();
            }
            file.report = report;
        })
    }

    /// Counts a refusal.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub fn refused(&self, node: &NodeName, why: &str) -> Result<(), StoreError> {
        self.change(node, |file| {
            file.refused = file.refused.saturating_add(1);
            file.refusal = Some(short(why.to_owned()));
            file.refusal_ns = now_ns();
        })
    }

    fn change(
        &self,
        node: &NodeName,
        change: impl FnOnce(&mut NodeFile),
    ) -> Result<(), StoreError> {
        let path = self.path(node);
        if !path.exists() {
            let others = self.all()?.len();
            if others >= NODES_MAX {
                let reason = format!("{others} nodes are known, no more may be");
                return Err(StoreError::Damaged { path, reason });
            }
        }
        let directory = self.store.root().join("nodes");
        fs::create_dir_all(&directory).map_err(StoreError::io(&directory))?;
        let mut file = self.read(node);
        change(&mut file);
        file.seen_ns = now_ns();
        let json = serde_json::to_vec(&file).unwrap_or_default();
        write_aside(&path, &json).map_err(StoreError::io(&path))
    }

    /// Every node that is known or has imports here.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn rows(&self) -> Result<Vec<NodeRow>, StoreError> {
        let catalog = self.store.catalog()?;
        let now = now_ns();
        let mut nodes = self.all()?;
        for import in &catalog.imports {
            if let Some(node) = &import.node {
                nodes.entry(node.clone()).or_default();
            }
        }
        Ok(nodes.into_iter().map(|(node, known)| row(&node, known, &catalog, now)).collect())
    }
}

/// Time of an import's last row.
pub(crate) fn last_ns(import: &ImportManifest) -> Option<i64> {
    import.files.iter().filter_map(|file| Some(file.time?.max_ns)).max()
}

fn row(node: &NodeName, known: NodeFile, catalog: &Catalog, now: i64) -> NodeRow {
    let imports: Vec<_> =
        catalog.imports.iter().filter(|import| import.node.as_ref() == Some(node)).collect();
    let mut points: Vec<String> = imports.iter().map(|import| import.point.clone()).collect();
    points.dedup();
    let files = imports.iter().flat_map(|import| &import.files);
    let bytes = files.fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    let newest_here_ns = imports.iter().filter_map(|import| last_ns(import)).max();
    let lag_ms = match (newest_here_ns, known.report.newest_ns) {
        // Nothing of it is missing here, whatever the times in the packets say.
        (_, Some(_)) if known.report.waiting == 0 => Some(0),
        (Some(here), Some(there)) => Some(apart_ms(here, there)),
        _ => None,
    };
    let silent_ms = apart_ms(known.seen_ns, now);
    let (light, text) = light(&known, lag_ms, now);
    NodeRow {
        node: node.to_string(),
        light,
        text,
        points,
        imports: imports.len() as u64,
        bytes,
        newest_here_ns,
        lag_ms,
        silent_ms,
        known,
    }
}

/// How much later a time is than another, in ms; 0 where it is earlier.
fn apart_ms(from_ns: i64, to_ns: i64) -> u64 {
    u64::try_from(to_ns.saturating_sub(from_ns)).unwrap_or(0) / 1_000_000
}

fn light(known: &NodeFile, lag_ms: Option<u64>, now: i64) -> (&'static str, String) {
    let report = &known.report;
    let silent_ms = apart_ms(known.seen_ns, now);
    let let_go = report.let_go > 0 && apart_ms(known.let_go_ns, now) < LET_GO_WARNS_MS;
    let refused = known.refused > 0 && apart_ms(known.refusal_ns, now) < REFUSAL_WARNS_MS;
    let late = lag_ms.is_some_and(|lag| lag > LATE_AFTER_MS);
    match &report.trouble {
        _ if silent_ms > SILENT_AFTER_MS => {
            ("bad", format!("not heard of for {} s", silent_ms / 1000))
        }
        Some(trouble) => ("bad", trouble.trim_end().replace('\n', "; ")),
        None if let_go => {
            ("bad", format!("{} captures went before they were shipped", report.let_go))
        }
        None if late => ("warn", format!("{} s behind", lag_ms.unwrap_or(0) / 1000)),
        None if refused => {
            let why = known.refusal.clone().unwrap_or_default();
            ("warn", format!("{} refused, the last: {why}", known.refused))
        }
        None => ("ok", "all arrives".to_owned()),
    }
}

/// At most so much of a text as is kept.
fn short(text: String) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// The system's clock; 0 where it stands before 1970.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_told_and_old_troubles_are_forgotten() {
        let now = 1_000_000_000_000_000_000;
        let ago = |ms: u64| now - i64::try_from(ms).unwrap() * 1_000_000;
        let light = |known: &NodeFile, lag: u64| light(known, Some(lag), now).0;
        let mut known = NodeFile { seen_ns: ago(10), ..NodeFile::default() };
        assert_eq!(light(&known, 0), "ok");
        assert_eq!(light(&known, LATE_AFTER_MS + 1), "warn");
        (known.refused, known.refusal_ns) = (1, ago(1000));
        assert_eq!(light(&known, 0), "warn");
        known.refusal_ns = ago(REFUSAL_WARNS_MS + 1);
        assert_eq!(light(&known, 0), "ok");
        (known.report.let_go, known.let_go_ns) = (3, ago(1000));
        assert_eq!(light(&known, 0), "bad");
        known.let_go_ns = ago(LET_GO_WARNS_MS + 1);
        assert_eq!(light(&known, 0), "ok");
        known.report.trouble = Some("eth2 is not open\n".to_owned());
        assert_eq!(light(&known, 0), "bad");
        known.report.trouble = None;
        known.seen_ns = ago(SILENT_AFTER_MS + 1);
        assert_eq!(light(&known, 0), "bad");
    }
}
