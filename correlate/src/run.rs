//! Correlates a store: reads its messages in order of time, writes the tables
//! that correlation makes, all at once.
//!
//! ```text
//! messages ──by point─> seconds apart ─> scout ─> correlator (measures) ─clocks─┐
//!                                               where more than one clock stamps │
//! messages ──merge──> scout (a sample) ──learned──┬──────────────────────────────┘
//! messages ──merge──────────────────> correlator <─┘ ──> links, hops, losses, lines,
//!                                                         orders, lineage, clocks, traffic
//! packets  ──merge──> lanes and connections ────────────> bursts, tcp
//! ```

use crate::clock::coarse::{self, Meetings};
use crate::clock::{Clocks, Gauge};
use crate::config::Settings;
use crate::engine::{Correlator, Counters, Learned, Rows, Scout, Summary};
use crate::losses::health::{CountedCapture, Drops, Health};
use crate::merge::{Merge, is_telling};
use crate::points::Points;
use crate::text::Texts;
use crate::wire;
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::lock::WriteLock;
use taptrail_store::catalog::replace::Replacement;
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::error::StoreError;
use taptrail_store::segment::TimeRange;

/// Messages that the order of points is learned from.
pub const SAMPLE_MESSAGES: u64 = 1 << 21;

/// Messages of a second that the clocks of a point are measured by: thousands
/// of differences a second hold one as quick as any that matters.
const MEASURED_PER_S: u64 = 10_000;

/// Clocks are measured by one of so many messages at least, since a point may
/// be busy only now and then.
const SHARE_MAX: u64 = 16;

/// Observations between two writes of rows.
const WRITE_EVERY: u64 = 1 << 16;

/// How long to wait for another process that writes the store.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Why a correlation failed. The tables stay as they were.
#[derive(Debug, thiserror::Error)]
pub enum CorrelateError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A segment has other columns than this version reads.
    #[error("messages: {0}. Decode the store's packets anew with this version")]
    Columns(#[from] ArrowError),
}

/// How far a correlation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Messages read.
    pub messages: u64,
    /// Messages to read.
    pub of: u64,
}

/// What a correlation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows of `links`.
    pub links: u64,
    /// Rows of `orders`.
    pub orders: u64,
    /// Rows of `losses`.
    pub losses: u64,
    /// What was seen and what did not fit.
    pub counters: Counters,
}

/// Correlates everything in a store. `points` are the configured ones; points
/// of imports that are not among them are taken as they were imported.
/// `config_hash` is kept with the tables, to tell whether they are of today.
///
/// # Errors
/// Where the store cannot be read or written; its tables are then as before.
pub fn correlate(
    store: &Store,
    settings: &Settings,
    points: &[PointConfig],
    config_hash: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, CorrelateError> {
    let lock = store.lock_within(LOCK_PATIENCE)?;
    correlate_locked(&lock, settings, points, config_hash, progress)
}

/// As [`correlate`], by who holds the right to write.
///
/// # Errors
/// As [`correlate`].
pub fn correlate_locked(
    lock: &WriteLock,
    settings: &Settings,
    points: &[PointConfig],
    config_hash: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, CorrelateError> {
    let store = lock.store();
    let catalog = store.catalog()?;
    let configured = points;
    let mut texts = Texts::new();
    let points = near_points(store, &catalog, all_points(&catalog, configured), &mut texts)?;
    let mut clocks = Clocks::new(&points, &settings.clocks, &settings.hops);
    if clocks.is_many() {
        let doubted = clocks.doubted();
        let learned = learn(store, &catalog, settings, &points, &doubted, &mut texts)?;
        let correlator = Correlator::new(settings, &points, learned, texts);
        let correlator = correlator.with_clocks(doubted.clone());
        let mut correlator = correlator.measuring(share_measured(&catalog));
        let mut merge = Merge::new(store, &catalog, &points, doubted, correlator.texts())?;
        let gauge;
        (gauge, texts) = measure(correlator, &mut merge)?;
        clocks = clocks.measured(&gauge);
    }
    let learned = learn(store, &catalog, settings, &points, &clocks, &mut texts)?;
    let correlator = Correlator::new(settings, &points, learned, texts);
    let mut correlator = correlator.with_clocks(clocks.clone());
    correlator = correlator.with_health(health(&catalog, &points));
    let mut merge = Merge::new(store, &catalog, &points, clocks, correlator.texts())?;
    let mut replacement = lock.replace_tables(catalog.inputs(), config_hash)?;
    let mut outcome = Outcome::default();
    let of = messages_in(&catalog);
    let mut messages = 0;
    while let Some(observation) = merge.next(correlator.texts())? {
        correlator.push(&observation);
        messages += 1;
        if messages % WRITE_EVERY == 0 {
            correlator.write_rows(|rows, texts, points| {
                write(&mut replacement, rows, (texts, points), &mut outcome)
            })?;
            progress(Progress { messages, of });
        }
    }
    let summary = correlator.finish();
    correlator.write_rows(|rows, texts, points| {
        write(&mut replacement, rows, (texts, points), &mut outcome)
    })?;
    write_summary(&mut replacement, &summary)?;
    let wire = wire::read::read(store, &catalog, configured)?;
    replacement.write_rows(&wire.bursts)?;
    replacement.write_rows(&wire.tcp)?;
    replacement.commit()?;
    progress(Progress { messages, of });
    outcome.counters = summary.counters;
    Ok(outcome)
}

/// The configured points, then those of imports, as they were imported.
fn all_points(catalog: &Catalog, configured: &[PointConfig]) -> Points {
    let mut all = configured.to_vec();
    for import in &catalog.imports {
        if !all.iter().any(|point| point.name == import.point_config.name) {
            all.push(import.point_config.clone());
        }
    }
    Points::new(&all, &[])
}

/// The points, with clocks that are whole seconds apart brought together.
fn near_points(
    store: &Store,
    catalog: &Catalog,
    points: Points,
    texts: &mut Texts,
) -> Result<Points, CorrelateError> {
    let clocks = Clocks::new(&points, &[], &[]);
    if !clocks.is_many() {
        return Ok(points);
    }
    let mut meetings = Meetings::default();
    for point in points.all() {
        let here = catalog.imports.iter().filter(|import| *import.point == *point.name);
        let here: Vec<_> = here.cloned().collect();
        let mut merge = Merge::of(store, &here, &points, clocks.clone(), texts)?;
        let mut taken = 0;
        while taken < coarse::SAMPLE_MESSAGES
            && let Some(observation) = merge.next(texts)?
        {
            if is_telling(&observation) {
                meetings.add(&observation, &points);
                taken += 1;
            }
        }
    }
    let ahead = meetings.ahead(&points);
    Ok(points.with_ahead(&ahead))
}

/// What captures counted of their own drops.
fn health(catalog: &Catalog, points: &Points) -> Health {
    let mut health = Health::default();
    for import in &catalog.imports {
        let Some(point) = points.find(&import.point) else { continue };
        let time = import.files_of("packets").filter_map(|file| file.time);
        let Some(time) = time.reduce(|a, b| a.union(b)) else { continue };
        let (ts_lo, ts_hi) = (time.min_ns, time.max_ns);
        if import.counters.losses.total().is_none() {
            health.uncounted(point, ts_lo, ts_hi);
            continue;
        }
        let drops = import.counters.drops.iter();
        let drops = drops.map(|d| Drops { ts_lo: d.ts_lo, ts_hi: d.ts_hi, packets: d.packets });
        health.counted(point, CountedCapture { ts_lo, ts_hi, drops: drops.collect() });
    }
    health
}

fn learn(
    store: &Store,
    catalog: &Catalog,
    settings: &Settings,
    points: &Points,
    clocks: &Clocks,
    texts: &mut Texts,
) -> Result<Learned, CorrelateError> {
    let mut merge = Merge::new(store, catalog, points, clocks.clone(), texts)?;
    let mut scout = Scout::new(settings, points, clocks);
    let mut taken = 0;
    while taken < SAMPLE_MESSAGES
        && let Some(observation) = merge.next(texts)?
    {
        if is_telling(&observation) {
            scout.push(observation, texts);
            taken += 1;
        }
    }
    Ok(scout.finish())
}

/// Runs a correlator over everything only to see what crosses between clocks.
fn measure(
    mut correlator: Correlator,
    merge: &mut Merge,
) -> Result<(Gauge, Texts), CorrelateError> {
    let mut messages = 0;
    while let Some(observation) = merge.next(correlator.texts())? {
        correlator.push(&observation);
        messages += 1;
        if messages % WRITE_EVERY == 0 {
            correlator.write_rows(|_, _, _| Ok::<(), CorrelateError>(()))?;
        }
    }
    drop(correlator.finish());
    Ok(correlator.into_gauge())
}

/// One of how many messages the clocks are measured by: all of them up to
/// [`MEASURED_PER_S`] at the busiest point.
fn share_measured(catalog: &Catalog) -> NonZeroU64 {
    let mut points: BTreeMap<&str, (u64, Option<TimeRange>)> = BTreeMap::new();
    for import in &catalog.imports {
        let (rows, time) = points.entry(&import.point).or_default();
        for segment in import.files_of("messages") {
            *rows += segment.rows;
            *time = time.iter().copied().chain(segment.time).reduce(TimeRange::union);
        }
    }
    let per_s = |(rows, time): &(u64, Option<TimeRange>)| {
        let ns = time.map_or(0, |time| time.max_ns.abs_diff(time.min_ns));
        rows / (ns / 1_000_000_000).max(1)
    };
    let busiest = points.values().map(per_s).max().unwrap_or(0);
    NonZeroU64::new((busiest / MEASURED_PER_S).min(SHARE_MAX)).unwrap_or(NonZeroU64::MIN)
}

fn messages_in(catalog: &Catalog) -> u64 {
    let segments = catalog.imports.iter().flat_map(|import| import.files_of("messages"));
    segments.map(|segment| segment.rows).sum()
}

fn write(
    replacement: &mut Replacement,
    rows: &Rows,
    (texts, points): (&Texts, &Points),
    outcome: &mut Outcome,
) -> Result<(), CorrelateError> {
    outcome.links += rows.links.len() as u64;
    outcome.orders += rows.orders.len() as u64;
    outcome.losses += rows.losses.len() as u64;
    replacement.write("links", rows.links(texts, points)?)?;
    replacement.write_rows(&rows.orders)?;
    replacement.write_rows(&rows.lineage)?;
    replacement.write_rows(&rows.losses)?;
    Ok(())
}

fn write_summary(replacement: &mut Replacement, summary: &Summary) -> Result<(), CorrelateError> {
    replacement.write_rows(&summary.hops)?;
    replacement.write_rows(&summary.lines)?;
    replacement.write_rows(&summary.clocks)?;
    replacement.write_rows(&summary.traffic)?;
    Ok(())
}
