//! Correlates what comes while it comes.
//!
//! ```text
//! imports ──new ones──> pass ──up to what every point has shown──> rows
//!    P1 ▓▓▓▓▓▓▓▓▓▓▓▓░░                                             │ each second
//!    P2 ▓▓▓▓▓▓▓▓▓▓▓▓│      messages behind the line wait            ▼
//!    P3 ▓▓▓▓▓▓▓▓▓▓▓▓│░░                                  one manifest: tables, inputs
//! ```
//!
//! Messages are taken in one order of time over all points, so that it does
//! not matter in which pieces they came. A point that has been silent for
//! longer than the stated patience holds nobody up. The state between two
//! commits is in memory alone: after a restart everything is taken anew, as it
//! is where messages came too late (unless that had cost more than a twentieth
//! of the time), where a capture was decoded anew, or where a new point appeared. The tables say that they are live; a run over all of
//! it has the last word.

use crate::config::Settings;
use crate::pass::{Pass, SAMPLE_MESSAGES, messages_in};
use crate::run::{CorrelateError, LOCK_PATIENCE, Outcome, Progress};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::manifest::{CorrelateManifest, ImportManifest};
use taptrail_store::catalog::replace::Replacement;
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::error::StoreError;

/// Between two commits, where there is something new.
pub const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// Between two measurements of the clocks.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// What is done again takes one part of so many of the time at most.
const SHARE: u32 = 20;

/// Windows after the newest message within which all that hangs on it is told.
const SETTLED_WINDOWS: i64 = 4;

/// Follows a store.
pub struct Follower {
    store: Store,
    settings: Settings,
    points: Vec<PointConfig>,
    config_hash: String,
    /// How long a point may be silent and still hold up the others.
    patience: Duration,
    live: Option<Live>,
}

/// What is known between two commits.
struct Live {
    pass: Pass,
    /// What was committed last, since it began.
    manifest: Option<Arc<CorrelateManifest>>,
    /// Captures that were taken, with their revisions.
    taken: BTreeMap<u64, u32>,
    shown: BTreeMap<String, Shown>,
    /// Messages that the order of points was learned from.
    learned_from: u64,
    /// When it had begun, and how long that took.
    begun: (Instant, Duration),
    measured: (Instant, Duration),
    /// Everything up to this corrected time was taken.
    until: i64,
    outcome: Outcome,
}

/// How far a point has shown its messages.
struct Shown {
    at: Instant,
    newest_ts: i64,
}

impl Follower {
    /// Follows from what the store holds now. `patience`: how long a point may
    /// take to show what it captured.
    pub fn new(
        store: &Store,
        settings: &Settings,
        points: &[PointConfig],
        config_hash: &str,
        patience: Duration,
    ) -> Self {
        Self {
            store: store.clone(),
            settings: settings.clone(),
            points: points.to_vec(),
            config_hash: config_hash.to_owned(),
            patience,
            live: None,
        }
    }

    /// Takes what is new; `None` where nothing is. After an error the next
    /// round begins anew.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub fn round(&mut self) -> Result<Option<Outcome>, CorrelateError> {
        let live = self.live.take();
        let catalog = self.store.catalog()?;
        let nothing = catalog.imports.is_empty() || catalog.is_correlated(&self.config_hash);
        let mut live = match live {
            None if nothing => return Ok(None),
            Some(live) if !live.must_begin_anew(&catalog) => live,
            _ => self.begin(&catalog)?,
        };
        let told = self.go_on(&mut live, &catalog)?;
        self.live = Some(live);
        Ok(told)
    }

    /// Tells what still waits for something: nothing more will come.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub fn finish(mut self) -> Result<(), CorrelateError> {
        let Some(mut live) = self.live.take() else { return Ok(()) };
        let catalog = self.store.catalog()?;
        let mut replacement = self.replacement(&live, &catalog)?;
        live.pass.feed(i64::MAX, &mut replacement, &mut live.outcome, &mut |_| {})?;
        live.pass.finish(&mut replacement, &mut live.outcome)?;
        replacement.commit(&self.store.lock_within(LOCK_PATIENCE)?)?;
        Ok(())
    }

    /// Takes everything from the start.
    fn begin(&self, catalog: &Catalog) -> Result<Live, CorrelateError> {
        let start = Instant::now();
        let pass = Pass::new(&self.store, catalog, &self.settings, &self.points)?.gauging();
        Ok(Live {
            pass,
            manifest: None,
            taken: BTreeMap::new(),
            shown: BTreeMap::new(),
            learned_from: catalog.imports.iter().map(|import| messages_in(import)).sum(),
            begun: (start, Duration::ZERO),
            measured: (start, Duration::ZERO),
            until: i64::MIN,
            outcome: Outcome::default(),
        })
    }

    fn go_on(&self, live: &mut Live, catalog: &Catalog) -> Result<Option<Outcome>, CorrelateError> {
        let new = live.not_taken(catalog);
        live.pass.add(&self.store, catalog, &new)?;
        live.note(&new);
        let until = live.shown_by_all(self.patience, self.settled_ns());
        if until <= live.until {
            return Ok(None);
        }
        let mut replacement = self.replacement(live, catalog)?;
        live.pass.feed(until, &mut replacement, &mut live.outcome, &mut |_: Progress| {})?;
        live.pass.advance(until);
        live.until = until;
        live.measure_clocks();
        live.pass.snapshot(&mut replacement, &mut live.outcome)?;
        if live.manifest.is_none() {
            live.begun = (Instant::now(), live.begun.0.elapsed());
        }
        live.manifest = Some(replacement.commit(&self.store.lock_within(LOCK_PATIENCE)?)?);
        Ok(Some(live.outcome))
    }

    /// New tables where it has just begun, else what goes on.
    fn replacement(&self, live: &Live, catalog: &Catalog) -> Result<Replacement, CorrelateError> {
        let tables = self.store.replace_tables(catalog.inputs(), &self.config_hash)?.live();
        Ok(match &live.manifest {
            Some(before) => tables.extending(Arc::clone(before)),
            None => tables,
        })
    }

    fn settled_ns(&self) -> i64 {
        let window_ns = i64::from(self.settings.correlate.window_s) * 1_000_000_000;
        window_ns.saturating_mul(SETTLED_WINDOWS)
    }
}

impl Live {
    fn not_taken(&self, catalog: &Catalog) -> Vec<Arc<ImportManifest>> {
        let new = |import: &&Arc<ImportManifest>| !self.taken.contains_key(&import.capture_id);
        catalog.imports.iter().filter(new).cloned().collect()
    }

    /// Whether what was taken is no longer what there is. Captures that are
    /// gone were kept for as long as they should be.
    fn must_begin_anew(&self, catalog: &Catalog) -> bool {
        let other = |import: &Arc<ImportManifest>| {
            let revision = self.taken.get(&import.capture_id);
            revision.is_some_and(|&revision| revision != import.revision)
        };
        let stranger = |import: &Arc<ImportManifest>| !self.pass.knows(import);
        let messages: u64 = catalog.imports.iter().map(|import| messages_in(import)).sum();
        let learns_more = self.learned_from < SAMPLE_MESSAGES
            && messages >= self.learned_from.saturating_mul(2)
            && messages > self.learned_from;
        let (at, took) = self.begun;
        let may = self.manifest.is_some() && at.elapsed() >= took.saturating_mul(SHARE);
        let late = may
            && (self.pass.late() > 0 || self.not_taken(catalog).iter().any(|i| self.is_late(i)));
        late || learns_more || catalog.imports.iter().any(|i| other(i) || stranger(i))
    }

    /// Whether an import begins before what is told by now.
    fn is_late(&self, import: &ImportManifest) -> bool {
        let begins = import.files_of("packets").filter_map(|file| Some(file.time?.min_ns)).min();
        let at = begins.and_then(|begins| self.pass.corrected(&import.point, begins));
        at.is_some_and(|at| at < self.until)
    }

    fn note(&mut self, imports: &[Arc<ImportManifest>]) {
        for import in imports {
            self.taken.insert(import.capture_id, import.revision);
            let ends = import.files_of("packets").filter_map(|file| Some(file.time?.max_ns));
            let Some(newest_ts) = ends.max() else { continue };
            let now = Shown { at: Instant::now(), newest_ts };
            let shown = self.shown.entry(import.point.clone()).or_insert(now);
            shown.newest_ts = shown.newest_ts.max(newest_ts);
            shown.at = Instant::now();
        }
    }

    /// Up to which corrected time all points have shown what they saw. Where
    /// none has shown anything for long, everything that hangs on what there is
    /// may be told.
    fn shown_by_all(&self, patience: Duration, settled_ns: i64) -> i64 {
        let at = |(point, shown): (&String, &Shown)| self.pass.corrected(point, shown.newest_ts);
        let lively = self.shown.iter().filter(|(_, shown)| shown.at.elapsed() < patience);
        lively.filter_map(at).min().unwrap_or_else(|| {
            let newest = self.shown.iter().filter_map(at).max();
            newest.map_or(i64::MIN, |newest| newest.saturating_add(settled_ns))
        })
    }

    fn measure_clocks(&mut self) {
        let (at, took) = self.measured;
        if at.elapsed() < MEASURE_EVERY.max(took.saturating_mul(SHARE)) {
            return;
        }
        let start = Instant::now();
        self.pass.measure_clocks();
        self.measured = (Instant::now(), start.elapsed());
    }
}

/// Whether an error is only that another process was quicker, or a file went
/// where retention is at work: the next round puts it right.
pub fn is_passing(error: &CorrelateError) -> bool {
    match error {
        CorrelateError::Store(StoreError::Superseded | StoreError::Locked { .. }) => true,
        CorrelateError::Store(StoreError::Io { error, .. }) => {
            error.kind() == std::io::ErrorKind::NotFound
        }
        _ => false,
    }
}
