//! The rows of `clocks`.
//!
//! ```text
//! configured   C2 - C1   one row            what `[[clock]]` says
//! messages     C2 - C1   one row            whole seconds apart (`tai_utc`, `apart`)
//! two_way, causality     a row a window     what traffic bounds
//!                        a row a step, a row a contradiction
//! ```

use super::Clocks;
use super::compose::{self, Pair};
use super::fit::Unbounded;
use std::sync::Arc;
use taptrail_store::tables::clocks::ClockRow;

/// TAI - UTC since 2017, ns: what a clock is off that took one for the other.
const TAI_UTC_NS: u64 = 37_000_000_000;

/// How far from it a mistake may lie, ns.
const TAI_SLACK_NS: u64 = 500_000_000;

/// How far from whole seconds two clocks may be that are seconds apart, ns.
const APART_SLACK_NS: i64 = 1_000_000_000;

/// Whether clocks so far apart count TAI and UTC.
fn is_tai(apart_ns: i64) -> bool {
    apart_ns.unsigned_abs().abs_diff(TAI_UTC_NS) < TAI_SLACK_NS
}

fn configured_row(pair: ClockPair) -> ClockRow {
    let bounds = pair
        .bound_ns
        .map(|bound| (pair.offset_ns.saturating_sub(bound), pair.offset_ns.saturating_add(bound)));
    ClockRow {
        clock_from: pair.clock,
        clock_to: pair.reference,
        ts_lo: None,
        ts_hi: None,
        offset_ns: Some(pair.offset_ns),
        drift_ppb: Some(pair.drift_ppb),
        bound_ns: pair.bound_ns,
        lo_ns: bounds.map(|(lo, _)| lo),
        hi_ns: bounds.map(|(_, hi)| hi),
        method: Arc::from("configured"),
        state: Arc::from("ok"),
        residual_ns: None,
        forward: 0,
        reverse: 0,
    }
}

/// A clock and the reference it is corrected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockPair {
    /// The clock.
    pub clock: Arc<str>,
    /// Its reference.
    pub reference: Arc<str>,
    /// time(clock) - time(reference) in ns.
    pub offset_ns: i64,
    /// Change of the offset, parts per billion.
    pub drift_ppb: i64,
    /// Half width in ns.
    pub bound_ns: Option<i64>,
}

impl Clocks {
    /// Every pair of a clock and its reference, with offset and bound, as the
    /// table `clocks` has them: (clock, reference, offset ns at `t`, drift ppb, bound ns).
    pub fn pairs(&self, t: i64) -> Vec<ClockPair> {
        let mut pairs = Vec::new();
        for (a, &root) in self.roots.iter().enumerate() {
            let found = self.relations.get(a).and_then(|row| row.get(root)).copied().flatten();
            let Some(relation) = found.filter(|_| a != root) else { continue };
            pairs.push(ClockPair {
                clock: self.names[a].clone(),
                reference: self.names[root].clone(),
                offset_ns: relation.offset.at(t).saturating_add(self.ahead((root, a))),
                drift_ppb: relation.offset.slope.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
                bound_ns: relation.bound_ns,
            });
        }
        pairs
    }

    /// The rows of `clocks`: what is configured at `t`, then every window of
    /// every pair with traffic, then steps and contradictions.
    pub fn rows(&self, t: i64) -> Vec<ClockRow> {
        let mut rows: Vec<ClockRow> = self.pairs(t).into_iter().map(configured_row).collect();
        rows.extend((0..self.ahead_ns.len()).filter_map(|clock| self.ahead_row(clock)));
        let Some(all) = self.composed() else { return rows };
        for moment in &all.moments {
            rows.push(self.window_row(moment));
        }
        for (&pair, track) in &all.tracks {
            for step in track.steps() {
                let state = if is_tai(step.by_ns) { "tai_utc" } else { "step" };
                rows.push(ClockRow {
                    ts_lo: Some(step.between.0),
                    ts_hi: Some(step.between.1),
                    offset_ns: Some(step.by_ns),
                    ..self.row(pair, "two_way", state)
                });
            }
        }
        for alarm in &all.alarms {
            let state = if alarm.in_traffic { "contradiction" } else { "not_as_configured" };
            rows.push(ClockRow {
                ts_lo: Some(alarm.t),
                ts_hi: Some(alarm.t),
                ..self.row((0, 0), "all", state)
            });
        }
        rows
    }

    fn row(&self, (a, b): Pair, method: &str, state: &str) -> ClockRow {
        ClockRow {
            clock_from: self.name(b),
            clock_to: self.name(a),
            ts_lo: None,
            ts_hi: None,
            offset_ns: None,
            drift_ppb: None,
            bound_ns: None,
            lo_ns: None,
            hi_ns: None,
            method: Arc::from(method),
            state: Arc::from(state),
            residual_ns: None,
            forward: 0,
            reverse: 0,
        }
    }

    /// A clock that is whole seconds ahead of the first.
    fn ahead_row(&self, clock: usize) -> Option<ClockRow> {
        let ahead_ns = Some(self.ahead((0, clock))).filter(|ns| *ns != 0)?;
        let state = if is_tai(ahead_ns) { "tai_utc" } else { "apart" };
        let lo_ns = Some(ahead_ns.saturating_sub(APART_SLACK_NS));
        let hi_ns = Some(ahead_ns.saturating_add(APART_SLACK_NS));
        let row = self.row((0, clock), "messages", state);
        let bound_ns = Some(APART_SLACK_NS);
        Some(ClockRow { offset_ns: Some(ahead_ns), bound_ns, lo_ns, hi_ns, ..row })
    }

    fn window_row(&self, moment: &compose::Moment) -> ClockRow {
        let ahead_ns = self.ahead(moment.pair);
        let whole = |ns: i64| ns.saturating_add(ahead_ns);
        // The window is of the time that the first clock shows.
        let first_ahead_ns = self.ahead_ns.get(moment.pair.0).copied().unwrap_or(0);
        let shown = |ts: i64| ts.saturating_add(first_ahead_ns);
        let window = &moment.window;
        let fit = window.fit.ok();
        let two_way = fit.is_some_and(|fit| fit.offset_ns.is_some());
        let state = match (window.fit, two_way) {
            (Err(Unbounded::None), _) => "none",
            (Err(Unbounded::Contradiction), _) => "contradiction",
            (Ok(_), true) => "ok",
            (Ok(_), false) => "one_way",
        };
        let middle = |(lo, hi): (i64, i64)| lo.saturating_add(hi.saturating_sub(lo) / 2);
        let half = |(lo, hi): (i64, i64)| hi.saturating_sub(lo).saturating_add(1) / 2;
        let method = if two_way { "two_way" } else { "causality" };
        ClockRow {
            ts_lo: Some(shown(window.span.0)),
            ts_hi: Some(shown(window.span.1)),
            offset_ns: moment.bounds.map(middle).map(whole),
            drift_ppb: fit.map(|fit| fit.drift_ppb),
            bound_ns: moment.bounds.map(half),
            lo_ns: moment.bounds.map(|(lo, _)| lo).or(fit.and_then(|fit| fit.lo_ns)).map(whole),
            hi_ns: moment.bounds.map(|(_, hi)| hi).or(fit.and_then(|fit| fit.hi_ns)).map(whole),
            residual_ns: fit.map(|fit| moment.residual_ns.unwrap_or(fit.residual_ns)),
            forward: window.samples.0.into(),
            reverse: window.samples.1.into(),
            ..self.row(moment.pair, method, state)
        }
    }
}
