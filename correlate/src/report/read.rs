//! Reads a report from a store's tables.

use crate::clock::reports;
use crate::columns::Words;
use crate::config::TargetConfig;
use crate::losses::cause::SURE;
use crate::report::nodes::{NodeClock, NodeClocks, kept};
use crate::report::outliers::{OUTLIERS, causes};
use crate::report::stages::{Earlier, Stages, changes};
use crate::report::units::decimal;
use crate::report::{
    CaptureSum, Clock, DEFINITIONS, Definition, HopSum, LOSSES_LISTED, LineSum, Loss, LossSum,
    OrderSums, OutcomeSum, Report, RuleSum, SLOWEST_ORDERS, SlowOrder, Step,
};
use crate::run::CorrelateError;
use arrow::array::AsArray;
use arrow::array::types::{Float32Type, UInt32Type};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use taptrail_store::catalog::drops::counted_losses;
use taptrail_store::catalog::manifest::{CorrelateManifest, ImportManifest};
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::clocks::ClockRow;
use taptrail_store::tables::hops::HopRow;
use taptrail_store::tables::lineage::LineageRow;
use taptrail_store::tables::lines::LineRow;
use taptrail_store::tables::losses::LossRow;
use taptrail_store::tables::orders::OrderRow;
use taptrail_store::tables::row::Row;

/// Links, ambiguous ones and the sum of confidences, by kind and rule.
type RuleTotals = BTreeMap<(Arc<str>, Arc<str>), (u64, u64, f64)>;

impl Report {
    /// Reads what a store's tables say now, measured by `targets` and against
    /// `earlier` reports.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn read(
        store: &Store,
        targets: &[TargetConfig],
        earlier: &[Earlier],
    ) -> Result<Self, CorrelateError> {
        let catalog = store.catalog()?;
        let correlate = catalog.correlate.clone();
        let definition = |&(word, means): &(&'static str, &'static str)| Definition { word, means };
        let mut report = Self {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: correlate.as_ref().map(|manifest| manifest.config_hash.clone()),
            stale: correlate.as_ref().is_some_and(|made| made.inputs != catalog.inputs()),
            time: time_of(&catalog),
            captures: captures(&catalog),
            kept: kept(&catalog),
            node_clocks: node_clocks(store, &catalog)?,
            definitions: DEFINITIONS.iter().map(definition).collect(),
            ..Self::default()
        };
        let mut losses = Losses::default();
        for row in counted_losses(&catalog) {
            losses.add(&mut report.losses, row);
        }
        if let Some(correlate) = &correlate {
            let tables = Tables { store, correlate };
            report.rules = tables.rules()?;
            tables.each(|row: HopRow| report.hops.push(hop(row)))?;
            tables.each(|row: LineRow| report.lines.push(line(row)))?;
            tables.each(|row: ClockRow| clock(&mut report.clocks, &row))?;
            tables.each(|row| losses.add(&mut report.losses, row))?;
            tables.each(|row| report.burst(row))?;
            tables.each(|row| report.connection(row))?;
            tables.each(|row| report.source(row))?;
            report.keep_most();
            tables.orders(&mut report, targets)?;
        }
        report.changes = earlier.iter().flat_map(|earlier| changes(&report, earlier)).collect();
        largest(&mut report.losses);
        report.loss_sums = losses.sums();
        Ok(report)
    }
}

fn time_of(catalog: &Catalog) -> Option<(i64, i64)> {
    let files = catalog.imports.iter().flat_map(|import| &import.files);
    let whole = files.filter_map(|file| file.time).reduce(|a, b| a.union(b))?;
    Some((whole.min_ns, whole.max_ns))
}

fn captures(catalog: &Catalog) -> Vec<CaptureSum> {
    let rows = |import: &taptrail_store::catalog::manifest::ImportManifest, table: &str| {
        import.files_of(table).map(|file| file.rows).sum()
    };
    let sum = |import: &Arc<taptrail_store::catalog::manifest::ImportManifest>| CaptureSum {
        point: import.point.clone(),
        source: import.source.name.clone(),
        clock: import.point_config.clock.clone(),
        packets: rows(import, "packets"),
        messages: rows(import, "messages"),
        warnings: import.warnings.len() as u64 + import.warnings_dropped,
    };
    catalog.imports.iter().map(sum).collect()
}

struct Tables<'a> {
    store: &'a Store,
    correlate: &'a CorrelateManifest,
}

impl Tables<'_> {
    /// Calls `with` for every row of a table.
    fn each<R: Row>(&self, mut with: impl FnMut(R)) -> Result<(), CorrelateError> {
        for segment in self.correlate.files_of(R::TABLE) {
            for batch in SegmentReader::open(&self.store.file(segment), None, None)? {
                R::from_batch(&batch?)?.into_iter().for_each(&mut with);
            }
        }
        Ok(())
    }

    fn rules(&self) -> Result<Vec<RuleSum>, CorrelateError> {
        let wanted = ["kind", "rule", "confidence", "candidates"];
        let mut sums: RuleTotals = BTreeMap::new();
        for segment in self.correlate.files_of("links") {
            for batch in SegmentReader::open(&self.store.file(segment), Some(&wanted), None)? {
                let batch = batch?;
                let kinds: Words<Option<Arc<str>>> =
                    Words::new(&batch, "kind", |t| Some(t.into()))?;
                let rules: Words<Option<Arc<str>>> =
                    Words::new(&batch, "rule", |t| Some(t.into()))?;
                let sure = batch
                    .column_by_name("confidence")
                    .and_then(|a| a.as_primitive_opt::<Float32Type>());
                let many = batch
                    .column_by_name("candidates")
                    .and_then(|a| a.as_primitive_opt::<UInt32Type>());
                for row in 0..batch.num_rows() {
                    let key =
                        (kinds.get(row).unwrap_or_default(), rules.get(row).unwrap_or_default());
                    let sum = sums.entry(key).or_default();
                    sum.0 += 1;
                    sum.1 += u64::from(many.is_some_and(|many| many.value(row) > 1));
                    sum.2 += sure.map_or(0.0, |sure| f64::from(sure.value(row)));
                }
            }
        }
        type Sum = ((Arc<str>, Arc<str>), (u64, u64, f64));
        let rule = |((kind, rule), (links, ambiguous, sure)): Sum| RuleSum {
            kind: Arc::to_string(&kind),
            rule: Arc::to_string(&rule),
            links,
            ambiguous,
            confidence_per_mille: (sure * 1000.0 / links as f64).round() as u32,
        };
        Ok(sums.into_iter().map(rule).collect())
    }

    fn orders(&self, report: &mut Report, targets: &[TargetConfig]) -> Result<(), CorrelateError> {
        let mut stages = Stages::new(targets);
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        let mut slowest: Vec<OrderRow> = Vec::new();
        let sums = &mut report.orders;
        self.each(|row: OrderRow| {
            count(sums, &row);
            stages.add(&row);
            *states.entry(row.state.to_string()).or_default() += 1;
            slowest.push(row);
            if slowest.len() >= 2 * OUTLIERS {
                keep_slowest(&mut slowest);
            }
        })?;
        keep_slowest(&mut slowest);
        (report.stages, report.targets) = stages.finish();
        let outcome = |(state, orders): (String, u64)| OutcomeSum { state, orders };
        report.outcomes = states.into_iter().map(outcome).collect();
        let mut steps: BTreeMap<u64, Vec<LineageRow>> = BTreeMap::new();
        let shown: HashSet<u64> = slowest.iter().map(|row| row.lineage_id).collect();
        self.each(|row: LineageRow| {
            if shown.contains(&row.lineage_id) {
                steps.entry(row.lineage_id).or_default().push(row);
            }
        })?;
        steps.values_mut().for_each(|steps| steps.sort_by_key(|step| step.ord));
        report.outliers = causes(&report.hops, steps.values().map(Vec::as_slice));
        let told = |row| slow_order(row, &mut steps);
        report.slowest = slowest.into_iter().take(SLOWEST_ORDERS).map(told).collect();
        Ok(())
    }
}

/// Sums of losses: runs, how many are missing where any could be counted, and
/// runs whose cause is only likely.
#[derive(Default)]
struct Losses(BTreeMap<[String; 4], (u64, Option<u64>, u64)>);

impl Losses {
    /// Takes a row in; the largest of all are `listed`.
    fn add(&mut self, listed: &mut Vec<Loss>, row: LossRow) {
        let line = plain(row.line.as_ref());
        let place = [row.point.to_string(), row.protocol.to_string(), line, row.cause.to_string()];
        let (runs, count, likely) = self.0.entry(place).or_default();
        *runs += 1;
        *likely += u64::from(row.confidence.is_some_and(|chance| chance < SURE));
        *count = count.map_or(row.count, |count| Some(count + row.count.unwrap_or(0)));
        listed.push(loss(row));
        if listed.len() >= 2 * LOSSES_LISTED {
            largest(listed);
        }
    }

    fn sums(self) -> Vec<LossSum> {
        type Sum = ([String; 4], (u64, Option<u64>, u64));
        let sum = |([point, protocol, line, cause], (runs, count, likely_runs)): Sum| LossSum {
            point,
            protocol,
            line,
            cause,
            runs,
            count,
            likely_runs,
        };
        self.0.into_iter().map(sum).collect()
    }
}

/// What the clocks of nodes said of themselves, in order of time.
fn node_clocks(store: &Store, catalog: &Catalog) -> Result<Vec<NodeClock>, CorrelateError> {
    let mut clocks = NodeClocks::default();
    let mut imports = catalog.imports.clone();
    let begin = |import: &ImportManifest| {
        import.files_of("clock_stats").filter_map(|file| Some(file.time?.min_ns)).min()
    };
    imports.sort_by_key(|import| (begin(import), import.capture_id));
    reports::each(store, &imports, |import, row| clocks.add(&import.point, row))?;
    Ok(clocks.finish())
}

/// Keeps the slowest orders, in a stable order.
fn keep_slowest(slowest: &mut Vec<OrderRow>) {
    slowest.sort_by_key(|row| (Reverse(slowness(row)), row.lineage_id));
    slowest.truncate(OUTLIERS);
}

/// What orders are ranked by: tick to order, else request to answer.
fn slowness(row: &OrderRow) -> (bool, i64) {
    let answered = row.ack_ns.or(row.first_fill_ns).unwrap_or(i64::MIN);
    (row.tick_to_order_ns.is_some(), row.tick_to_order_ns.unwrap_or(answered))
}

fn count(sums: &mut OrderSums, row: &OrderRow) {
    sums.orders += 1;
    sums.triggered += u64::from(row.trigger_ts.is_some());
    sums.relayed += u64::from(row.gateway_ts.is_some());
    sums.acknowledged += u64::from(row.ack_ts.is_some());
    sums.published += u64::from(row.public_ts.is_some());
    sums.fills += u64::from(row.fills);
}

/// Keeps the largest losses, in a stable order.
fn largest(losses: &mut Vec<Loss>) {
    losses.sort_by(|a, b| {
        let place = |l: &Loss| (Reverse(l.count), l.ts, l.first_seq);
        place(a).cmp(&place(b)).then_with(|| (&a.point, &a.line).cmp(&(&b.point, &b.line)))
    });
    losses.truncate(LOSSES_LISTED);
}

fn plain(text: Option<&Arc<str>>) -> String {
    text.map(|text| text.to_string()).unwrap_or_default()
}

fn hop(row: HopRow) -> HopSum {
    HopSum {
        link_kind: row.link_kind.to_string(),
        message_kind: row.message_kind.to_string(),
        from: row.from_point.to_string(),
        to: row.to_point.to_string(),
        n: row.n,
        p50_ns: row.p50_ns,
        p90_ns: row.p90_ns,
        p99_ns: row.p99_ns,
        p999_ns: row.p999_ns,
        max_ns: row.max_ns,
        lo_p50_ns: row.lo_p50_ns,
        hi_p50_ns: row.hi_p50_ns,
        same_clock: row.same_clock,
        unmatched: row.unmatched,
        lost: row.lost,
    }
}

fn line(row: LineRow) -> LineSum {
    LineSum {
        point: row.point.to_string(),
        protocol: row.protocol.to_string(),
        session: plain(row.session.as_ref()),
        line: row.line.to_string(),
        messages: row.messages,
        first: row.first,
        missing: row.missing,
        only_here: row.only_here,
        lead_p50_ns: row.lead_p50_ns,
        lead_p99_ns: row.lead_p99_ns,
    }
}

/// Adds a row to its pair's certificate.
fn clock(clocks: &mut Vec<Clock>, row: &ClockRow) {
    let names = (&*row.clock_from, &*row.clock_to, &*row.method);
    let found = clocks.iter().position(|c| (&*c.clock, &*c.reference, &*c.method) == names);
    let place = found.unwrap_or_else(|| {
        clocks.push(Clock {
            clock: row.clock_from.to_string(),
            reference: row.clock_to.to_string(),
            method: row.method.to_string(),
            ..Clock::default()
        });
        clocks.len() - 1
    });
    let Some(clock) = clocks.get_mut(place) else { return };
    if !["ok", "one_way", "none"].contains(&&*row.state) {
        clock.events += 1;
        return;
    }
    clock.windows += 1;
    clock.bounded += u64::from(row.bound_ns.is_some());
    clock.offset_ns = row.offset_ns.or(clock.offset_ns);
    clock.drift_ppb = row.drift_ppb.or(clock.drift_ppb);
    clock.bound_ns = clock.bound_ns.max(row.bound_ns);
    let ends = row.lo_ns.zip(row.hi_ns).filter(|_| row.bound_ns.is_some());
    let farthest = ends.map(|(lo, hi)| lo.saturating_abs().max(hi.saturating_abs()));
    clock.divergence_max_ns = clock.divergence_max_ns.max(farthest);
    clock.within_100us += u64::from(farthest.is_some_and(|ns| ns <= 100_000));
}

fn loss(row: LossRow) -> Loss {
    Loss {
        point: row.point.to_string(),
        protocol: row.protocol.to_string(),
        session: plain(row.session.as_ref()),
        line: plain(row.line.as_ref()),
        cause: row.cause.to_string(),
        first_seq: row.first_seq,
        last_seq: row.last_seq,
        count: row.count,
        ts: row.ts_lo.or(row.ts_hi),
        confidence: row.confidence,
        evidence: row.evidence.to_string(),
    }
}

fn slow_order(row: OrderRow, steps: &mut BTreeMap<u64, Vec<LineageRow>>) -> SlowOrder {
    let steps = steps.remove(&row.lineage_id).unwrap_or_default();
    SlowOrder {
        lineage_id: row.lineage_id.to_string(),
        symbol: plain(row.symbol.as_ref()),
        side: plain(row.side.as_ref()),
        price: row.price.map(decimal),
        qty: row.qty.map(decimal),
        cl_ord_id: plain(row.cl_ord_id.as_ref()),
        state: row.state.to_string(),
        tick_to_order_ns: row.tick_to_order_ns,
        ack_ns: row.ack_ns,
        steps: steps.into_iter().map(step).collect(),
    }
}

fn step(row: LineageRow) -> Step {
    Step {
        since_first_ns: row.since_first_ns,
        point: row.point.to_string(),
        line: plain(row.line.as_ref()),
        protocol: row.protocol.to_string(),
        kind: row.kind.to_string(),
        seq: row.seq,
        via: plain(row.via.as_ref()),
        rule: plain(row.rule.as_ref()),
        confidence_per_mille: row.confidence.map(|sure| (sure * 1000.0).round() as u32),
        latency_ns: row.latency_ns,
        lo_ns: row.lo_ns,
        hi_ns: row.hi_ns,
    }
}
