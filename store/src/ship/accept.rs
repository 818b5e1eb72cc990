//! An import that a node offers becomes one of the hub's: files first, manifest
//! last.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::ImportManifest;
use crate::catalog::{Catalog, Store};
use crate::explain::{config, without_files};
use crate::segment::partition::directory;
use crate::ship::check::{check, check_segment};
use crate::ship::inbox::{Inbox, Limits};
use crate::ship::nodes::{Nodes, Report};
use crate::ship::offer::Offer;
use crate::ship::{Answer, Held, NodeName, Target, TargetError};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use taptrail_decoders::config::DecoderConfig;

/// How long an offer waits for another process that writes the store.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A hub's side of shipping, for every node.
#[derive(Debug)]
pub struct Hub {
    inbox: Inbox,
    nodes: Nodes,
}

/// A file of an offer: where it is to be, and where it lies until then.
struct Placement {
    path: String,
    blake3: String,
    incoming: PathBuf,
}

impl Hub {
    /// That of a store.
    pub fn new(store: &Store, limits: Limits) -> Self {
        Self { inbox: Inbox::new(store, limits), nodes: Nodes::of(store) }
    }

    /// Its nodes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Takes a chunk of a node's file, as [`Inbox::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put(
        &self,
        node: &NodeName,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError> {
        self.counted(node, self.inbox.put(node, blake3, total, offset, bytes))
    }

    /// Takes an import whose files have come, or says which have not.
    ///
    /// # Errors
    /// Where it is not one that `node` may bring, another process writes the store
    /// for too long, or the disk refuses.
    pub fn offer(&self, node: &NodeName, offer: &Offer) -> Result<Answer, TargetError> {
        self.counted(node, self.try_offer(node, offer))
    }

    /// Keeps what a node says of itself.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn report(&self, node: &NodeName, report: &Report) -> Result<(), TargetError> {
        Ok(self.nodes.report(node, report)?)
    }

    fn counted<T>(
        &self,
        node: &NodeName,
        result: Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        if let Err(TargetError::Refused(why)) = &result {
            // The refusal is the answer, whether it could be noted or not.
            let _ = self.nodes.refused(node, why);
        }
        result
    }

    fn try_offer(&self, node: &NodeName, offer: &Offer) -> Result<Answer, TargetError> {
        let refused = TargetError::Refused;
        let manifest = arrival(node, offer, self.inbox.limits().node_bytes).map_err(refused)?;
        let placements = self.placements(node, offer, &manifest);
        // Most offers are answered without keeping other writers waiting.
        if let Some(answer) = self.answered(node, &manifest, &placements)? {
            return Ok(answer);
        }
        let lock = self.inbox.store().lock_within(LOCK_PATIENCE)?;
        if let Some(answer) = self.answered(node, &manifest, &placements)? {
            return Ok(answer);
        }
        for (placement, segment) in placements.iter().zip(&offer.import.files) {
            let lies = self.lies(placement);
            if let Err(why) = check_segment(&lies, segment) {
                // What is no segment never will be.
                let _ = fs::remove_file(&placement.incoming);
                return Err(refused(why));
            }
        }
        let places = placements.iter().map(|p| (p.incoming.as_path(), p.path.as_str()));
        lock.arrive(places, &manifest)?;
        for placement in &placements {
            // What stays is removed with what is stale.
            let _ = fs::remove_file(&placement.incoming);
        }
        Ok(Answer::Taken)
    }

    /// The answer where nothing is to be done.
    fn answered(
        &self,
        node: &NodeName,
        import: &ImportManifest,
        placements: &[Placement],
    ) -> Result<Option<Answer>, TargetError> {
        let catalog = self.inbox.store().catalog()?;
        if is_known(&catalog, node, import).map_err(TargetError::Refused)? {
            // A hub that was killed behind the manifest's rename left them.
            placements.iter().for_each(|placement| drop(fs::remove_file(&placement.incoming)));
            return Ok(Some(Answer::Known));
        }
        let files = self.missing(node, placements);
        Ok((!files.is_empty()).then_some(Answer::Missing { files }))
    }

    fn placements(
        &self,
        node: &NodeName,
        offer: &Offer,
        manifest: &ImportManifest,
    ) -> Vec<Placement> {
        let segments = manifest.files.iter().zip(&offer.files);
        let placement = segments.map(|(segment, content)| Placement {
            path: segment.path.clone(),
            blake3: content.blake3.clone(),
            incoming: self.inbox.whole(node, &content.blake3),
        });
        placement.collect()
    }

    /// Where a file lies now: at its place, which its hash names, or on its way.
    fn lies(&self, placement: &Placement) -> PathBuf {
        let placed = self.inbox.store().root().join(&placement.path);
        if placed.exists() { placed } else { placement.incoming.clone() }
    }

    fn missing(&self, node: &NodeName, placements: &[Placement]) -> Vec<Held> {
        let mut asked = HashSet::new();
        let missing = placements.iter().filter(|p| !self.lies(p).exists());
        let missing = missing.filter(|placement| asked.insert(&placement.blake3));
        let held = missing.map(|placement| {
            let have = self.inbox.have(node, &placement.blake3);
            Held { blake3: placement.blake3.clone(), have }
        });
        held.collect()
    }
}

/// What an offer becomes at its target: the manifest as it is kept there, with the places
/// of its files, in the offer's order. A place is made of table, point, hour and hash.
///
/// # Errors
/// Why it is none that `node` may bring.
pub fn arrival(node: &NodeName, offer: &Offer, bytes_max: u64) -> Result<ImportManifest, String> {
    check(offer, node, bytes_max)?;
    let mut manifest = as_ours(&offer.import, node)?;
    let point = manifest.point.clone();
    for (segment, content) in manifest.files.iter_mut().zip(&offer.files) {
        let start = segment.time.map_or(0, |time| time.min_ns);
        let directory = directory(&segment.table, &point, start);
        segment.path = format!("{directory}/{}.parquet", content.blake3);
    }
    Ok(manifest)
}

/// Whether `known` is what `import` would become, or a newer decoding of it; why not where
/// it is of another capture.
///
/// # Errors
/// Where both have one id and are not one capture.
pub fn is_as_good(known: &ImportManifest, import: &ImportManifest) -> Result<bool, String> {
    if known.point != import.point || known.source.known_by() != import.source.known_by() {
        return Err(format!("another capture of point {} has the same id", known.point));
    }
    let rank = |of: &ImportManifest| (of.revision, of.files_of("packets").next().is_some());
    Ok(rank(known) >= rank(import))
}

/// A manifest as the hub keeps it. Names that mean something on the node only are
/// not taken over: no file is read that it names, its clocks are its own (a `PTP`
/// of two nodes is one clock only where the hub's configuration says so), and what
/// is secret stays so.
fn as_ours(import: &ImportManifest, node: &NodeName) -> Result<ImportManifest, String> {
    let mut ours = import.clone();
    ours.node = Some(node.clone());
    let clock = &mut ours.point_config.clock;
    *clock = clock.take().map(|clock| format!("{node}/{clock}"));
    if let Some(decode) = &mut ours.decode {
        let config = config(import).map_err(|error| error.to_string())?;
        let mut config = without_files(DecoderConfig::clone(&config));
        config.decode.schemas = None;
        config.decode.show_secrets = false;
        config.protocol = None;
        decode.config = serde_json::to_value(&config).map_err(|error| error.to_string())?;
        decode.base = String::new();
    }
    Ok(ours)
}

/// Whether the hub has an import already, or a newer decoding of it; why not where
/// it may not come from `node`.
fn is_known(catalog: &Catalog, node: &NodeName, import: &ImportManifest) -> Result<bool, String> {
    let point = &import.point;
    let others = catalog.imports.iter().filter(|known| known.point == *point);
    if let Some(other) = others.into_iter().find(|known| known.node.as_ref() != Some(node)) {
        let owner =
            other.node.as_ref().map_or("the hub itself".to_owned(), |n| format!("node {n}"));
        return Err(format!(
            "point {point} is one of {owner}: points have one name each at all nodes of a hub, \
             rename one"
        ));
    }
    catalog.import(import.capture_id).map_or(Ok(false), |known| is_as_good(known, import))
}

/// A target in this process: a directory that is a store. It may be a share that
/// is not there now, so it is opened when something is sent.
#[derive(Debug)]
pub struct DirectoryTarget {
    root: PathBuf,
    node: NodeName,
    create: bool,
    hub: Option<Hub>,
}

impl DirectoryTarget {
    /// The store at `root`. With `create` it is made where there is none: without,
    /// a share that is not mounted is not taken for an empty one.
    pub fn new(root: &Path, node: NodeName, create: bool) -> Self {
        Self { root: root.to_owned(), node, create, hub: None }
    }

    fn hub(&mut self) -> Result<(&Hub, &NodeName), TargetError> {
        let hub = match self.hub.take() {
            // A share that went and came back empty is no longer that store.
            Some(hub) if self.root.join("FORMAT").exists() => hub,
            _ => {
                let opened = if self.create {
                    Store::open_or_create(&self.root)
                } else {
                    Store::open(&self.root)
                };
                let opened = opened?;
                self.create = false;
                Hub::new(&opened, Limits::default())
            }
        };
        Ok((self.hub.insert(hub), &self.node))
    }
}

impl Target for DirectoryTarget {
    fn offer(&mut self, offer: &Offer) -> Result<Answer, TargetError> {
        let (hub, node) = self.hub()?;
        hub.offer(node, offer)
    }

    fn put(
        &mut self,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError> {
        let (hub, node) = self.hub()?;
        hub.put(node, blake3, total, offset, bytes)
    }

    fn report(&mut self, report: &Report) -> Result<(), TargetError> {
        let (hub, node) = self.hub()?;
        hub.report(node, report)
    }
}

impl WriteLock {
    /// Gives files that lie in `incoming/` their places and makes the manifest that
    /// names them visible. Files of an older manifest of the same capture that
    /// nobody names any more go.
    fn arrive<'a>(
        &self,
        places: impl Iterator<Item = (&'a Path, &'a str)>,
        manifest: &ImportManifest,
    ) -> Result<(), TargetError> {
        let scratch = self.scratch()?;
        let root = self.store().root();
        let before = self.store().catalog()?.import(manifest.capture_id).cloned();
        crate::catalog::arrive::link(root, places)?;
        crate::ship::fault::step()?;
        crate::catalog::arrive::show(self, &scratch, manifest)?;
        crate::ship::fault::step()?;
        if let Some(before) = before {
            crate::catalog::arrive::remove_unnamed(self, &before)?;
        }
        Ok(())
    }
}
