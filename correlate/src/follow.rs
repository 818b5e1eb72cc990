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
//!
//! Captures under way are taken piece by piece ([`UnderWay`]), which is what makes
//! it quick; once they are sealed, only what the pieces did not have.

use crate::config::Settings;
use crate::merge::Reading;
use crate::pass::{Pass, messages_in};
use crate::run::{CorrelateError, LOCK_PATIENCE, Outcome, Progress, correlate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::live::UnderWay;
use taptrail_store::catalog::manifest::{CorrelateManifest, ImportManifest};
use taptrail_store::catalog::replace::Replacement;
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::error::StoreError;

/// Between two commits, where there is something new.
pub const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// Between two commits that say no more than that time has passed.
const COMMIT_QUIET_EVERY: Duration = Duration::from_secs(1);

/// Between two looks at which captures retention has left; what is told of others goes.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// The order of points is learned again until it was from so many messages: all is
/// taken anew then, and nothing shown meanwhile.
const LEARNED_MESSAGES: u64 = 1 << 17;

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
    /// What was taken of captures under way.
    pieces: BTreeMap<u64, Pieces>,
    shown: BTreeMap<String, Shown>,
    /// Messages that the order of points was learned from.
    learned_from: u64,
    /// When it had begun, and how long that took.
    begun: (Instant, Duration),
    measured: (Instant, Duration),
    /// Everything up to this corrected time was taken.
    until: i64,
    /// When it was last committed.
    committed: Instant,
    /// What was told before this is of captures that are gone, and when that was looked
    /// up.
    since: (Option<SystemTime>, Instant),
    outcome: Outcome,
}

/// What was taken of a capture under way.
#[derive(Clone, Copy, Debug, Default)]
struct Pieces {
    count: usize,
    packets: u32,
    complete: bool,
}

/// What there is: sealed, and under way.
struct Seen {
    catalog: Catalog,
    live: UnderWay,
}

/// What of it is new.
#[derive(Default)]
struct New {
    messages: Vec<Reading>,
    packets: Vec<Arc<ImportManifest>>,
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
        let seen = self.seen()?;
        let mut live = match live {
            None if seen.is_told(&self.config_hash) => return Ok(None),
            Some(live) if !live.must_begin_anew(&seen) => live,
            _ => self.begin(&seen)?,
        };
        let told = self.go_on(&mut live, &seen)?;
        self.live = Some(live);
        Ok(told)
    }

    /// Tells what still waits for something: nothing more will come. Clocks, the order
    /// of points and what orders react to were learned as messages came; where all
    /// is sealed it is told anew as a batch tells it, which learns from all of it.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub fn finish(mut self) -> Result<(), CorrelateError> {
        let Some(mut live) = self.live.take() else { return Ok(()) };
        let seen = self.seen()?;
        if seen.live.captures.is_empty() && live.learned_from < seen.messages() {
            drop(live);
            let Self { store, settings, points, config_hash, .. } = &self;
            return correlate(store, settings, points, config_hash, &mut |_| {}).map(drop);
        }
        let catalog = self.store.catalog()?;
        let mut replacement = self.replacement(&live, &catalog)?;
        live.pass.feed(i64::MAX, &mut replacement, &mut live.outcome, &mut |_| {})?;
        live.pass.finish(&mut replacement, &mut live.outcome)?;
        replacement.commit(&self.store.lock_within(LOCK_PATIENCE)?)?;
        Ok(())
    }

    fn seen(&self) -> Result<Seen, CorrelateError> {
        let catalog = self.store.catalog()?;
        let live = self.store.live(&catalog)?;
        Ok(Seen { catalog, live })
    }

    /// Takes everything from the start.
    fn begin(&self, seen: &Seen) -> Result<Live, CorrelateError> {
        let start = Instant::now();
        let pass = Pass::new(&self.store, &seen.all(), &self.settings, &self.points)?.following();
        Ok(Live {
            pass,
            manifest: None,
            taken: BTreeMap::new(),
            pieces: BTreeMap::new(),
            shown: BTreeMap::new(),
            learned_from: seen.messages(),
            begun: (start, Duration::ZERO),
            measured: (start, Duration::ZERO),
            until: i64::MIN,
            committed: start,
            since: (None, start),
            outcome: Outcome::default(),
        })
    }

    fn go_on(&self, live: &mut Live, seen: &Seen) -> Result<Option<Outcome>, CorrelateError> {
        let new = live.take(seen);
        live.pass.add_readings(&self.store, &seen.catalog, &new.messages, &new.packets)?;
        let until = live.shown_by_all(self.patience, self.settled_ns());
        let quiet = new.packets.is_empty()
            && !live.pass.has_until(until)
            && live.manifest.is_some()
            && live.committed.elapsed() < COMMIT_QUIET_EVERY;
        if until <= live.until || quiet {
            return Ok(None);
        }
        live.look_for_retention(&self.store)?;
        let mut replacement = self.replacement(live, &seen.catalog)?;
        live.pass.feed(until, &mut replacement, &mut live.outcome, &mut |_: Progress| {})?;
        live.pass.advance(until, &mut replacement, &mut live.outcome)?;
        live.until = until;
        live.measure_clocks();
        live.pass.snapshot(&mut replacement, &mut live.outcome)?;
        if live.manifest.is_none() {
            live.begun = (Instant::now(), live.begun.0.elapsed());
        }
        live.manifest = Some(replacement.commit(&self.store.lock_within(LOCK_PATIENCE)?)?);
        live.committed = Instant::now();
        Ok(Some(live.outcome))
    }

    /// New tables where it has just begun, else what goes on.
    fn replacement(&self, live: &Live, catalog: &Catalog) -> Result<Replacement, CorrelateError> {
        let tables = self.store.replace_tables(catalog.inputs(), &self.config_hash)?.live();
        Ok(match &live.manifest {
            Some(before) => tables.extending(Arc::clone(before)).since(live.since.0),
            None => tables,
        })
    }

    fn settled_ns(&self) -> i64 {
        self.settings.correlate.window_ns().saturating_mul(SETTLED_WINDOWS)
    }
}

impl Seen {
    /// Whether a correlation of all of it has been told.
    fn is_told(&self, config_hash: &str) -> bool {
        let nothing = self.catalog.imports.is_empty() || self.catalog.is_correlated(config_hash);
        self.live.captures.iter().all(|live| live.pieces.is_empty()) && nothing
    }

    /// All of it as imports.
    fn all(&self) -> Catalog {
        let live = self.live.captures.iter().map(|live| Arc::new(live.as_import(0)));
        let imports = self.catalog.imports.iter().cloned().chain(live).collect();
        Catalog { imports, correlate: self.catalog.correlate.clone() }
    }

    fn messages(&self) -> u64 {
        let sealed = self.catalog.imports.iter().map(|import| messages_in(import));
        sealed.chain(self.live.captures.iter().map(|live| live.messages())).sum()
    }
}

impl Live {
    /// Captures that are sealed and of which nothing was taken.
    fn not_taken<'s>(&self, seen: &'s Seen) -> impl Iterator<Item = &'s Arc<ImportManifest>> {
        let new = |import: &&Arc<ImportManifest>| {
            let id = import.capture_id;
            !self.taken.contains_key(&id) && !self.pieces.contains_key(&id)
        };
        seen.catalog.imports.iter().filter(new)
    }

    /// Whether what was taken is no longer what there is. Captures that are
    /// gone were kept for as long as they should be.
    fn must_begin_anew(&self, seen: &Seen) -> bool {
        let imports = &seen.catalog.imports;
        let other = |import: &Arc<ImportManifest>| {
            let revision = self.taken.get(&import.capture_id);
            revision.is_some_and(|&revision| revision != import.revision)
        };
        let points = imports.iter().map(|import| import.point.as_str());
        let live = seen.live.captures.iter().map(|live| live.point_config.name.as_str());
        let stranger = points.chain(live).any(|point| !self.pass.knows(point));
        let messages = seen.messages();
        let learns_more = self.learned_from < LEARNED_MESSAGES
            && messages >= self.learned_from.saturating_mul(2)
            && messages > self.learned_from;
        let (at, took) = self.begun;
        let may = self.manifest.is_some() && at.elapsed() >= took.saturating_mul(SHARE);
        let late = may && (self.pass.late() > 0 || self.not_taken(seen).any(|i| self.is_late(i)));
        late || learns_more || stranger || imports.iter().any(other)
    }

    /// Whether an import begins before what is told by now.
    fn is_late(&self, import: &ImportManifest) -> bool {
        let begins = import.files_of("packets").filter_map(|file| Some(file.time?.min_ns)).min();
        let at = begins.and_then(|begins| self.pass.corrected(&import.point, begins));
        at.is_some_and(|at| at < self.until)
    }

    /// What is new; from here on it is taken.
    fn take(&mut self, seen: &Seen) -> New {
        let mut new = New::default();
        for import in &seen.catalog.imports {
            if self.taken.insert(import.capture_id, import.revision).is_some() {
                continue;
            }
            new.packets.push(import.clone());
            let ends = import.files_of("packets").filter_map(|file| Some(file.time?.max_ns));
            self.note(&import.point, ends.max());
            match self.pieces.remove(&import.capture_id) {
                Some(pieces) if pieces.complete => {}
                Some(Pieces { packets, .. }) => {
                    new.messages.push(Reading { import: import.clone(), from_packet: packets });
                }
                None => new.messages.push(import.clone().into()),
            }
        }
        for (point, &shown_ts) in &seen.live.shown {
            self.note(point, Some(shown_ts));
        }
        for live in &seen.live.captures {
            let pieces = self.pieces.entry(live.capture_id).or_default();
            if live.pieces.len() > pieces.count {
                new.messages.push(Arc::new(live.as_import(pieces.count)).into());
            }
            let (count, packets) = (live.pieces.len(), live.packets);
            *pieces = Pieces { count, packets, complete: live.complete };
        }
        new
    }

    /// A point has shown its messages up to a time.
    fn note(&mut self, point: &str, newest_ts: Option<i64>) {
        let Some(newest_ts) = newest_ts else { return };
        let now = Shown { at: Instant::now(), newest_ts: i64::MIN };
        let shown = self.shown.entry(point.to_owned()).or_insert(now);
        if newest_ts > shown.newest_ts {
            *shown = Shown { at: Instant::now(), newest_ts };
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

    /// Finds out since when captures are kept.
    fn look_for_retention(&mut self, store: &Store) -> Result<(), CorrelateError> {
        let (since, at) = &mut self.since;
        if at.elapsed() >= RETENTION_EVERY {
            *at = Instant::now();
            *since = store.oldest_placed()?.and_then(|at| at.checked_sub(RETENTION_EVERY));
        }
        Ok(())
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
