//! Links against the truth: right or wrong, found or not, how far off, and
//! whether confidence means what it says.

use super::truth::{KINDS, Kind, Seen, TrueLink, Truth, kind_of};
use super::{ppm, quantile};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use taptrail_store::tables::links::LinkRow;

/// Bins of confidence.
pub const BINS: usize = 10;

/// The links of a rule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleScore {
    /// Kind of the links.
    pub kind: String,
    /// The rule that made them.
    pub rule: String,
    /// How many.
    pub links: u64,
    /// Of them, how many the truth has.
    pub right: u64,
    /// Of them, how many had more than one candidate.
    pub ambiguous: u64,
    /// Right per million.
    pub precision_ppm: Option<u64>,
}

/// What of the truth was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KindScore {
    /// Kind of the links.
    pub kind: String,
    /// Links of the truth whose ends were both captured.
    pub truth: u64,
    /// Of them, how many were found.
    pub found: u64,
    /// Found per million.
    pub recall_ppm: Option<u64>,
}

/// Latencies of right links of a kind over a hop.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LatencyScore {
    /// Kind of the links.
    pub kind: String,
    /// From this point.
    pub from: String,
    /// To this point.
    pub to: String,
    /// Right links.
    pub links: u64,
    /// Of them, how many have bounds.
    pub bounded: u64,
    /// Bounded ones whose true latency is within, per million.
    pub coverage_ppm: Option<u64>,
    /// Median of how far the estimate is off, without its sign.
    pub error_p50_ns: i64,
    /// 99th percentile of the same.
    pub error_p99_ns: i64,
    /// Median width of the bounds.
    pub width_p50_ns: i64,
}

/// Links of about the same confidence.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bin {
    /// From this confidence on, per mille; the last bin ends below 1000.
    pub from_per_mille: u32,
    /// Links (or losses) that are not certain.
    pub links: u64,
    /// Of them, how many are right.
    pub right: u64,
    /// Sum of their confidences, per mille.
    pub sum_per_mille: u64,
}

/// Orders that nothing on the feed triggered.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Untriggered {
    /// How many there are.
    pub orders: u64,
    /// How many were given a trigger all the same.
    pub linked: u64,
    /// How many links to any order may be wrong by their confidence, per mille:
    /// a link that should not be is one of them.
    pub expected_per_mille: u64,
}

/// All scores of links.
#[derive(Clone, Debug, Default)]
pub struct LinksScore {
    /// By kind and rule.
    pub rules: Vec<RuleScore>,
    /// By kind.
    pub kinds: Vec<KindScore>,
    /// By kind and hop.
    pub latencies: Vec<LatencyScore>,
    /// Of uncertain links.
    pub calibration: Vec<Bin>,
    /// Of orders without a trigger.
    pub untriggered: Untriggered,
    /// Links of messages of which a capture kept a part at most: neither right
    /// nor wrong.
    pub set_aside: u64,
}

#[derive(Debug, Default)]
struct Latencies {
    links: u64,
    errors: Vec<i64>,
    widths: Vec<i64>,
    within: u64,
}

/// Takes links in.
#[derive(Debug)]
pub struct Links<'t> {
    truth: &'t Truth,
    found: HashSet<TrueLink>,
    rules: BTreeMap<(Kind, String), RuleScore>,
    latencies: BTreeMap<(Kind, String, String), Latencies>,
    bins: [Bin; BINS],
    untriggered: Untriggered,
    set_aside: u64,
}

impl<'t> Links<'t> {
    /// Before the first link.
    pub fn new(truth: &'t Truth) -> Self {
        let bins = bins();
        let orders = truth.untriggered.len() as u64;
        let untriggered = Untriggered { orders, ..Untriggered::default() };
        let (rules, latencies) = (BTreeMap::new(), BTreeMap::new());
        Self { truth, found: HashSet::new(), rules, latencies, bins, untriggered, set_aside: 0 }
    }

    /// Takes a link of the store in.
    pub fn add(&mut self, row: &LinkRow) {
        let Some(kind) = kind_of(&row.kind) else { return };
        let ends = self.ends(row);
        if self.is_cut(kind, row, ends) {
            self.set_aside += 1;
            return;
        }
        let right = ends.is_some_and(|ends| self.is_right(kind, row, ends));
        let key = (kind, row.rule.to_string());
        let rule = self.rules.entry(key).or_default();
        rule.links += 1;
        rule.right += u64::from(right);
        rule.ambiguous += u64::from(row.candidates > 1);
        calibrate(&mut self.bins, per_mille(row.confidence), right);
        if kind_of("trigger") == Some(kind) {
            let linked = ends.is_some_and(|(_, to)| self.truth.untriggered.contains(&to.id));
            self.untriggered.linked += u64::from(linked);
            self.untriggered.expected_per_mille += 1000 - u64::from(per_mille(row.confidence));
        }
        if let Some((from, to)) = ends.filter(|_| right) {
            self.latency(kind, row, to.true_ns - from.true_ns);
        }
    }

    fn ends(&self, row: &LinkRow) -> Option<(Seen, Seen)> {
        let from = self.truth.point(&row.from_point)?;
        let to = self.truth.point(&row.to_point)?;
        let seen = |place| self.truth.seen.get(&place).copied();
        let from = seen((from, row.from_packet_ix, row.from_msg_ix.into()))?;
        let to = seen((to, row.to_packet_ix, row.to_msg_ix.into()))?;
        Some((from, to))
    }

    /// Whether it rests on a message of which a capture kept a part at most.
    fn is_cut(&self, kind: Kind, row: &LinkRow, ends: Option<(Seen, Seen)>) -> bool {
        if self.truth.cut.is_empty() {
            return false;
        }
        let cut = |point: &str, packet_ix: u32, msg_ix: u16| {
            let point = self.truth.point(point);
            point.is_some_and(|p| self.truth.cut.contains(&(p, packet_ix, msg_ix.into())))
        };
        let way = |seen: &Seen| self.truth.cut_ways.contains(&(seen.id, seen.line));
        cut(&row.from_point, row.from_packet_ix, row.from_msg_ix)
            || cut(&row.to_point, row.to_packet_ix, row.to_msg_ix)
            || kind_of("same") == Some(kind) && ends.is_some_and(|(from, _)| way(&from))
    }

    /// Whether the truth has the link, and it was not found before. Of a feed
    /// each line has links of its own.
    fn is_right(&mut self, kind: Kind, row: &LinkRow, (from, to): (Seen, Seen)) -> bool {
        let points = (self.truth.point(&row.from_point), self.truth.point(&row.to_point));
        let (Some(from_point), Some(to_point)) = points else { return false };
        let link = (kind, from.id, from_point, to.id, to_point);
        if kind_of("same") == Some(kind) {
            let lines = from.line == to.line && !from.copy && !to.copy;
            let right = lines && self.truth.links.contains(&link);
            if right {
                self.found.insert(link);
            }
            return right;
        }
        self.truth.links.contains(&link) && self.found.insert(link)
    }

    fn latency(&mut self, kind: Kind, row: &LinkRow, true_ns: i64) {
        let key = (kind, row.from_point.to_string(), row.to_point.to_string());
        let sums = self.latencies.entry(key).or_default();
        sums.links += 1;
        sums.errors.push((row.latency_ns - true_ns).abs());
        if let (Some(lo_ns), Some(hi_ns)) = (row.lo_ns, row.hi_ns) {
            sums.widths.push(hi_ns - lo_ns);
            sums.within += u64::from((lo_ns..=hi_ns).contains(&true_ns));
        }
    }

    /// The scores of all links taken in.
    pub fn finish(self) -> LinksScore {
        let rules = self.rules.into_iter().map(|((kind, rule), score)| RuleScore {
            kind: name(kind),
            rule,
            precision_ppm: ppm(score.right, score.links),
            ..score
        });
        let kinds = (0..KINDS.len() as Kind).map(|kind| {
            let of = |links: &HashSet<TrueLink>| {
                links.iter().filter(|link| link.0 == kind).count() as u64
            };
            let (truth, found) = (of(&self.truth.links), of(&self.found));
            KindScore { kind: name(kind), truth, found, recall_ppm: ppm(found, truth) }
        });
        LinksScore {
            rules: rules.collect(),
            kinds: kinds.collect(),
            latencies: self.latencies.into_iter().map(latency_score).collect(),
            calibration: self.bins.to_vec(),
            untriggered: self.untriggered,
            set_aside: self.set_aside,
        }
    }
}

fn latency_score(
    ((kind, from, to), mut sums): ((Kind, String, String), Latencies),
) -> LatencyScore {
    sums.errors.sort_unstable();
    sums.widths.sort_unstable();
    let bounded = sums.widths.len() as u64;
    LatencyScore {
        kind: name(kind),
        from,
        to,
        links: sums.links,
        bounded,
        coverage_ppm: ppm(sums.within, bounded),
        error_p50_ns: quantile(&sums.errors, 500),
        error_p99_ns: quantile(&sums.errors, 990),
        width_p50_ns: quantile(&sums.widths, 500),
    }
}

/// Empty bins.
pub(super) fn bins() -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    bins.iter_mut().enumerate().for_each(|(at, bin)| {
        bin.from_per_mille = (at * 1000 / BINS) as u32;
    });
    bins
}

/// Counts what is not certain.
pub(super) fn calibrate(bins: &mut [Bin; BINS], sure_per_mille: u32, right: bool) {
    let place = sure_per_mille as usize * BINS / 1000;
    if let Some(bin) = bins.get_mut(place).filter(|_| sure_per_mille < 1000) {
        bin.links += 1;
        bin.right += u64::from(right);
        bin.sum_per_mille += u64::from(sure_per_mille);
    }
}

fn name(kind: Kind) -> String {
    KINDS.get(usize::from(kind)).copied().unwrap_or_default().to_owned()
}

pub(super) fn per_mille(confidence: f32) -> u32 {
    // 0.9995 and above is certainty.
    (confidence * 1000.0).round() as u32
}
