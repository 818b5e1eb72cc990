//! One pass over messages: everything that there is, or what comes.
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
use crate::clock::{Clocks, Gauge, Stamp};
use crate::config::Settings;
use crate::engine::{Correlator, Learned, Scout};
use crate::losses::health::{CountedCapture, Drops, Health};
use crate::merge::{Merge, is_telling};
use crate::points::Points;
use crate::run::{CorrelateError, Outcome, Progress};
use crate::text::Texts;
use crate::told::{Rows, Summary};
use crate::wire::read::Wires;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::catalog::replace::Replacement;
use taptrail_store::catalog::{Catalog, Store};
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

/// A correlator and what it reads.
pub struct Pass {
    configured: Vec<PointConfig>,
    points: Points,
    /// As configured.
    clocks: Clocks,
    correlator: Correlator,
    merge: Merge,
    wires: Wires,
    messages: u64,
    of: u64,
}

impl Pass {
    /// Learns from what a store holds; reads nothing yet. `configured` are the
    /// configured points; points of imports that are not among them are taken
    /// as they were imported.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn new(
        store: &Store,
        catalog: &Catalog,
        settings: &Settings,
        configured: &[PointConfig],
    ) -> Result<Self, CorrelateError> {
        let mut texts = Texts::new();
        let points = near_points(store, catalog, all_points(catalog, configured), &mut texts)?;
        let configured_clocks = Clocks::new(&points, &settings.clocks, &settings.hops);
        let mut clocks = configured_clocks.clone();
        if clocks.is_many() {
            let doubted = clocks.doubted();
            let learned = learn(store, catalog, settings, &points, &doubted, &mut texts)?;
            let correlator = Correlator::new(settings, &points, learned, texts);
            let correlator = correlator.with_clocks(doubted.clone());
            let mut correlator = correlator.measuring(share_measured(catalog));
            let mut merge = Merge::new(store, catalog, &points, doubted, correlator.texts())?;
            let gauge;
            (gauge, texts) = measure(correlator, &mut merge)?;
            clocks = clocks.measured(&gauge);
        }
        let learned = learn(store, catalog, settings, &points, &clocks, &mut texts)?;
        let correlator = Correlator::new(settings, &points, learned, texts);
        let mut correlator = correlator.with_clocks(clocks.clone());
        let merge = Merge::of(store, &[], &points, clocks, correlator.texts())?;
        Ok(Self {
            configured: configured.to_vec(),
            points,
            clocks: configured_clocks,
            correlator,
            merge,
            wires: Wires::default(),
            messages: 0,
            of: 0,
        })
    }

    /// The same, gathering what crosses between clocks to measure them anew.
    pub fn gauging(mut self) -> Self {
        self.correlator = self.correlator.gauging();
        self
    }

    /// Whether it knows the point of an import.
    pub fn knows(&self, import: &ImportManifest) -> bool {
        self.points.find(&import.point).is_some()
    }

    /// Reads these imports of `catalog` next.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn add(
        &mut self,
        store: &Store,
        catalog: &Catalog,
        imports: &[Arc<ImportManifest>],
    ) -> Result<(), CorrelateError> {
        self.correlator.set_health(health(catalog, &self.points));
        self.merge.add_imports(store, imports, &self.points, self.correlator.texts())?;
        self.wires.read(store, imports, &self.configured)?;
        self.of += imports.iter().map(|import| messages_in(import)).sum::<u64>();
        Ok(())
    }

    /// Takes what was added up to a corrected time and writes the rows that are
    /// certain by then.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub fn feed(
        &mut self,
        until: i64,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CorrelateError> {
        while let Some(observation) = self.merge.next_until(until, self.correlator.texts())? {
            self.correlator.push(&observation);
            self.messages += 1;
            if self.messages.is_multiple_of(WRITE_EVERY) {
                self.write(replacement, outcome)?;
                progress(Progress { messages: self.messages, of: self.of });
            }
        }
        progress(Progress { messages: self.messages, of: self.of });
        Ok(())
    }

    /// Nothing before a corrected time comes any more.
    pub fn advance(&mut self, watermark: i64) {
        self.correlator.advance(watermark);
    }

    /// Measures the clocks by what crossed between them so far; what follows is
    /// taken by them.
    pub fn measure_clocks(&mut self) {
        let Some(gauge) = self.correlator.gauge().filter(|_| self.clocks.is_many()) else { return };
        let clocks = self.clocks.measured(gauge);
        self.merge.set_clocks(clocks.clone());
        self.correlator.set_clocks(clocks);
    }

    /// A stamp on the reference clock.
    pub fn corrected(&self, point: &str, ts: i64) -> Option<i64> {
        let point = self.points.find(point)?;
        Some(self.correlator.clocks().corrected(Stamp { point, ts }))
    }

    /// Messages that came too late for what they belong to.
    pub fn late(&self) -> u64 {
        self.correlator.late()
    }

    /// Writes what is known by now.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn snapshot(
        &mut self,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        self.write(replacement, outcome)?;
        let summary = self.correlator.summary();
        self.write_summary(&summary, replacement, outcome)
    }

    /// Nothing more comes: writes everything.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn finish(
        &mut self,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        let summary = self.correlator.finish();
        self.write(replacement, outcome)?;
        self.write_summary(&summary, replacement, outcome)
    }

    fn write(
        &mut self,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        self.correlator.write_rows(|rows, texts, points| {
            let Rows { links, orders, lineage, losses } = rows;
            outcome.links += links.len() as u64;
            outcome.orders += orders.len() as u64;
            outcome.losses += losses.len() as u64;
            replacement.write("links", rows.links(texts, points)?)?;
            replacement.write_rows(orders)?;
            replacement.write_rows(lineage)?;
            replacement.write_rows(losses)?;
            Ok(())
        })
    }

    fn write_summary(
        &self,
        summary: &Summary,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        outcome.counters = summary.counters;
        let wire = self.wires.rows();
        replacement.write_rows(&summary.hops)?;
        replacement.write_rows(&summary.lines)?;
        replacement.write_rows(&summary.clocks)?;
        replacement.write_rows(&summary.traffic)?;
        replacement.write_rows(&wire.bursts)?;
        replacement.write_rows(&wire.tcp)?;
        Ok(())
    }
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
        let mut counted = CountedCapture { ts_lo, ts_hi, drops: Vec::new() };
        for drops in &import.counters.drops {
            let (ts_lo, ts_hi) = (drops.ts_lo, drops.ts_hi);
            match drops.packets {
                Some(packets) => counted.drops.push(Drops { ts_lo, ts_hi, packets }),
                None => health.uncounted(point, ts_lo, ts_hi),
            }
        }
        health.counted(point, counted);
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

/// Messages of an import.
pub(crate) fn messages_in(import: &ImportManifest) -> u64 {
    import.files_of("messages").map(|segment| segment.rows).sum()
}
