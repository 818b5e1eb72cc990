//! One pass over messages: everything that there is, or what comes.
//!
//! ```text
//! sample ──by point─> seconds apart
//! sample ──merge──> correlator (measures), or scout ──clocks, order of points─┐
//! messages from the first order on ──merge──> scout ──what orders react to────┤
//! messages ──merge──────────────────────────────> correlator <────────────────┘
//!                     links, hops, losses, lines, orders, lineage, clocks, traffic <─┘
//! packets  ──merge──> lanes and connections ────────────> bursts, tcp    (beside it)
//! ```

use crate::clock::coarse::{self, Meetings};
use crate::clock::reports::Nodes;
use crate::clock::{Clocks, Stamp};
use crate::config::Settings;
use crate::engine::{Correlator, Measured};
use crate::losses::health::{CountedCapture, Drops, Health};
use crate::matching::reaction::Reactions;
use crate::merge::{Merge, Reading, is_telling};
use crate::opaque::Opaque;
use crate::points::Points;
use crate::run::{CorrelateError, Outcome, Progress};
use crate::sample::Sample;
use crate::scout::{Feeds, Learned, OrderScout, ReactionScout};
use crate::shelf::Shelf;
use crate::text::Texts;
use crate::told::{Counters, Rows, Summary};
use crate::topology::Topology;
use crate::wire::read;
use std::collections::BTreeMap;
use std::sync::Arc;
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::catalog::replace::Replacement;
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::segment::TimeRange;

/// Messages from the first order on by which it is learned what orders react to.
pub const SAMPLE_MESSAGES: u64 = 1 << 21;

/// Messages that show the order of points before clocks are measured.
const FIRST_MESSAGES: u64 = 1 << 18;

/// What is looked at before the first order.
const BEFORE_FIRST_NS: i64 = 100_000_000;

/// Messages of a second that the clocks of a point are measured by: thousands
/// of differences a second hold one as quick as any that matters.
const MEASURED_PER_S: u64 = 10_000;

/// Clocks are measured by one of so many messages at least, since a point may
/// be busy only now and then.
const SHARE_MAX: u64 = 16;

/// Observations between two writes of rows.
const WRITE_EVERY: u64 = 1 << 16;

/// Most rows that wait to be written.
const ROWS_WAITING_MAX: usize = 1 << 15;

/// A correlator and what it reads.
pub struct Pass {
    configured: Vec<PointConfig>,
    points: Points,
    /// As configured, and as nodes say.
    clocks: Clocks,
    nodes: Nodes,
    correlator: Correlator,
    merge: Merge,
    wires: read::Reading,
    opaque: Opaque,
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
        let mut configured_clocks = Clocks::new(&points, &settings.clocks, &settings.hops);
        let mut nodes = Nodes::new(&settings.correlate);
        nodes.hear(store, &catalog.imports, &points, &mut configured_clocks)?;
        let sources = Sources { store, catalog, settings, points: &points };
        let Learning { clocks, topology, first_order, feeds } =
            sources.learn(&configured_clocks, &mut texts)?;
        let reactions = match first_order {
            Some(at) => sources.reactions(&clocks, at, &feeds, &mut texts)?,
            None => Reactions::default(),
        };
        let learned = Learned { topology, reactions, feeds };
        let correlator = Correlator::new(settings, &points, learned, texts);
        let correlator =
            correlator.with_clocks(clocks.clone()).with_shelf(Shelf::new(store.scratch_file()?));
        let merge = Merge::empty(clocks);
        Ok(Self {
            configured: configured.to_vec(),
            points,
            clocks: configured_clocks,
            nodes,
            correlator,
            merge,
            wires: read::Reading::default(),
            opaque: Opaque::new(settings.correlate.window_ns()),
            messages: 0,
            of: 0,
        })
    }

    /// The same, for messages that go on coming: it gathers what crosses between clocks
    /// to measure them anew, and tells what is certain at once.
    pub fn following(mut self) -> Self {
        self.correlator = self.correlator.gauging().telling_early();
        self
    }

    /// Whether it knows a point.
    pub fn knows(&self, point: &str) -> bool {
        self.points.find(point).is_some()
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
        let messages: Vec<Reading> = imports.iter().cloned().map(Reading::from).collect();
        self.add_readings(store, catalog, &messages, imports)
    }

    /// The same, where not all messages of the imports are read: `messages` says which,
    /// `packets` are those whose packets are, too.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn add_readings(
        &mut self,
        store: &Store,
        catalog: &Catalog,
        messages: &[Reading],
        packets: &[Arc<ImportManifest>],
    ) -> Result<(), CorrelateError> {
        if !packets.is_empty() {
            self.correlator.set_health(health(catalog, &self.points));
        }
        self.nodes.hear(store, packets, &self.points, &mut self.clocks)?;
        self.merge.add_readings(store, messages, &self.points, self.correlator.texts())?;
        self.wires.add(store, packets, &self.configured)?;
        self.opaque.add(store, packets, &self.points, self.correlator.clocks())?;
        self.of += messages.iter().map(|reading| messages_in(&reading.import)).sum::<u64>();
        Ok(())
    }

    /// Whether a message up to a corrected time was added and not taken yet.
    pub fn has_until(&self, until: i64) -> bool {
        self.merge.has_until(until)
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
            self.catch_up(replacement, outcome)?;
            if self.correlator.rows_waiting() >= ROWS_WAITING_MAX {
                self.write(replacement, outcome)?;
            }
            if self.messages.is_multiple_of(WRITE_EVERY) {
                self.write(replacement, outcome)?;
                progress(Progress { messages: self.messages, of: self.of });
            }
        }
        progress(Progress { messages: self.messages, of: self.of });
        let sealed = self.opaque.sealed(self.correlator.clocks());
        self.feed_opaque(if until == i64::MAX { until } else { until.min(sealed) })
    }

    /// Takes packets that nothing decodes up to a corrected time.
    fn feed_opaque(&mut self, until: i64) -> Result<(), CorrelateError> {
        let Self { opaque, correlator, .. } = self;
        let clocks = correlator.clocks().clone();
        let mut found = Vec::new();
        opaque.feed(until, &clocks, correlator.texts(), &mut |link| found.push(link))?;
        found.into_iter().for_each(|link| correlator.tell_same(link));
        Ok(())
    }

    /// Nothing before a corrected time comes any more.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn advance(
        &mut self,
        watermark: i64,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        self.correlator.advance(watermark);
        self.catch_up(replacement, outcome)
    }

    fn catch_up(
        &mut self,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        while self.correlator.is_behind() {
            self.write(replacement, outcome)?;
            self.correlator.advance(i64::MIN);
        }
        Ok(())
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
        while self.correlator.wind_up() {
            if self.correlator.rows_waiting() >= ROWS_WAITING_MAX {
                self.write(replacement, outcome)?;
            }
        }
        let summary = self.correlator.finish();
        self.write(replacement, outcome)?;
        self.write_summary(&summary, replacement, outcome)
    }

    fn write(
        &mut self,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        if let Some(fault) = self.correlator.take_fault() {
            return Err(CorrelateError::Shelf(fault));
        }
        self.correlator.write_rows(|rows, texts, points| {
            let Rows { links, orders, losses, .. } = rows;
            outcome.links += links.len() as u64;
            outcome.orders += orders.len() as u64;
            outcome.losses += losses.len() as u64;
            replacement.write("links", rows.links(texts, points)?)?;
            replacement.write_rows(orders)?;
            replacement.write("lineage", rows.lineage(texts, points)?)?;
            replacement.write_rows(losses)?;
            Ok(())
        })
    }

    fn write_summary(
        &mut self,
        summary: &Summary,
        replacement: &mut Replacement,
        outcome: &mut Outcome,
    ) -> Result<(), CorrelateError> {
        let payloads_left_out = self.opaque.left_out();
        outcome.counters = Counters { payloads_left_out, ..summary.counters };
        let wire = self.wires.rows()?;
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
        let rows: u64 = here.iter().map(|import| messages_in(import)).sum();
        let sample = Sample::one_of(rows / coarse::SAMPLE_MESSAGES);
        let merge = Merge::empty(clocks.clone()).sampling(sample);
        let mut merge = merge.adding(store, &here, &points, texts)?;
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

/// What is learned from.
struct Sources<'a> {
    store: &'a Store,
    catalog: &'a Catalog,
    settings: &'a Settings,
    points: &'a Points,
}

/// What a sample of everything says.
struct Learning {
    clocks: Clocks,
    topology: Topology,
    /// When the first order was seen, by corrected time.
    first_order: Option<i64>,
    feeds: Feeds,
}

impl Sources<'_> {
    fn learn(&self, configured: &Clocks, texts: &mut Texts) -> Result<Learning, CorrelateError> {
        let sample = Sample::one_of(share(self.catalog, MEASURED_PER_S).min(SHARE_MAX));
        if !configured.is_many() {
            let scout = self.order(configured, sample, u64::MAX, texts)?;
            let (clocks, first_order) = (configured.clone(), scout.first_order());
            let feeds = scout.feeds();
            let topology = scout.finish().finish(self.points, &clocks, &self.settings.hops);
            return Ok(Learning { clocks, topology, first_order, feeds });
        }
        let doubted = configured.doubted();
        let scout = self.order(&doubted, Sample::WHOLE, FIRST_MESSAGES, texts)?;
        let feeds = scout.feeds();
        let topology = scout.finish().finish(self.points, &doubted, &self.settings.hops);
        let learned = Learned { topology, reactions: Reactions::default(), feeds };
        let all = std::mem::take(texts);
        let correlator = Correlator::new(self.settings, self.points, learned, all);
        let correlator = correlator
            .with_clocks(doubted.clone())
            .with_shelf(Shelf::new(self.store.scratch_file()?))
            .measuring(sample);
        let measured = self.measure(correlator, doubted, sample)?;
        *texts = measured.texts;
        let clocks = configured.measured(&measured.gauge);
        let topology = measured.learner.finish(self.points, &clocks, &self.settings.hops);
        let Measured { first_order, feeds, .. } = measured;
        Ok(Learning { clocks, topology, first_order, feeds })
    }

    fn merge(&self, merge: Merge, texts: &mut Texts) -> Result<Merge, CorrelateError> {
        merge.adding(self.store, &self.catalog.imports, self.points, texts)
    }

    /// Looks at so many messages of a sample for the order of points.
    fn order(
        &self,
        clocks: &Clocks,
        sample: Sample,
        messages: u64,
        texts: &mut Texts,
    ) -> Result<OrderScout, CorrelateError> {
        let mut merge = self.merge(Merge::empty(clocks.clone()).sampling(sample), texts)?;
        let mut scout = OrderScout::new(self.settings);
        let mut taken = 0;
        while taken < messages
            && let Some(observation) = merge.next(texts)?
        {
            if is_telling(&observation) {
                scout.push(observation, texts);
                taken += 1;
            }
            if texts.is_full_of_ids() {
                texts.sweep(|hold| scout.hold_ids(hold));
            }
        }
        Ok(scout)
    }

    /// Runs a correlator over a sample only to see what crosses between clocks.
    fn measure(
        &self,
        mut correlator: Correlator,
        clocks: Clocks,
        sample: Sample,
    ) -> Result<Measured, CorrelateError> {
        let mut merge = self.merge(Merge::empty(clocks).sampling(sample), correlator.texts())?;
        let mut messages = 0_u64;
        while let Some(observation) = merge.next(correlator.texts())? {
            correlator.push(&observation);
            messages += 1;
            if messages.is_multiple_of(WRITE_EVERY) {
                correlator.write_rows(|_, _, _| Ok::<(), CorrelateError>(()))?;
            }
        }
        drop(correlator.finish());
        match correlator.take_fault() {
            Some(fault) => Err(CorrelateError::Shelf(fault)),
            None => Ok(correlator.into_measured()),
        }
    }

    /// What requests react to, from the first of them on.
    fn reactions(
        &self,
        clocks: &Clocks,
        first_order: i64,
        feeds: &Feeds,
        texts: &mut Texts,
    ) -> Result<Reactions, CorrelateError> {
        let since = first_order.saturating_sub(BEFORE_FIRST_NS);
        let mut merge = self.merge(Merge::empty(clocks.clone()).since(since), texts)?;
        let mut scout = ReactionScout::new(self.settings, feeds);
        let mut taken = 0;
        while taken < SAMPLE_MESSAGES
            && !scout.is_full()
            && let Some(observation) = merge.next(texts)?
        {
            if observation.at >= since && is_telling(&observation) {
                scout.push(&observation, texts);
                taken += 1;
            }
            if texts.is_full_of_ids() {
                texts.sweep(|_| {});
            }
        }
        Ok(scout.finish())
    }
}

/// One of how many messages there are `per_s` of a second at the busiest point.
fn share(catalog: &Catalog, per_s: u64) -> u64 {
    let mut points: BTreeMap<&str, (u64, Option<TimeRange>)> = BTreeMap::new();
    for import in &catalog.imports {
        let (rows, time) = points.entry(&import.point).or_default();
        for segment in import.files_of("messages") {
            *rows += segment.rows;
            *time = time.iter().copied().chain(segment.time).reduce(TimeRange::union);
        }
    }
    let busy_per_s = |(rows, time): &(u64, Option<TimeRange>)| {
        let ns = time.map_or(0, |time| time.max_ns.abs_diff(time.min_ns));
        rows / (ns / 1_000_000_000).max(1)
    };
    points.values().map(busy_per_s).max().unwrap_or(0) / per_s
}

/// Messages of an import.
pub(crate) fn messages_in(import: &ImportManifest) -> u64 {
    import.files_of("messages").map(|segment| segment.rows).sum()
}
