//! How each line of a redundant feed did at a point.
//!
//! ```text
//! seq 7 at P1: A 10.000  B 10.412      A was first, by 412 ns
//! seq 8 at P1: A   -     B 10.900      missing on A, only on B
//! ```

use crate::event::{Event, StreamIx};
use crate::hist::Latencies;
use crate::points::{PointIx, Points};
use crate::stream::Streams;
use crate::text::{TextId, Texts};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;
use taptrail_store::tables::lines::LineRow;

/// Most lines at points that are counted.
pub const LINES_MAX: usize = 1 << 16;

#[derive(Clone, Debug, Default)]
struct Score {
    messages: u64,
    first: u64,
    missing: u64,
    only_here: u64,
    lead: Latencies,
}

/// The score of every line at every point.
#[derive(Debug, Default)]
pub struct Lines {
    scores: BTreeMap<(PointIx, StreamIx), BTreeMap<TextId, Score>>,
    count: usize,
}

impl Lines {
    /// No messages yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a closed event at every point that saw it.
    pub fn add(&mut self, event: &Event) {
        for &point in &event.path {
            let mut seen: SmallVec<[(i64, TextId); 4]> = event
                .firsts()
                .filter(|s| s.point == point && !s.line.is_none())
                .map(|s| (s.at, s.line))
                .collect();
            seen.sort_unstable();
            self.add_at(point, event.stream, &seen);
        }
    }

    /// `seen`: arrivals at the point with their lines, earliest first.
    fn add_at(&mut self, point: PointIx, stream: StreamIx, seen: &[(i64, TextId)]) {
        let Some(&(first_at, first)) = seen.first() else { return };
        if self.count >= LINES_MAX {
            return;
        }
        let scores = self.scores.entry((point, stream)).or_default();
        let before = scores.len();
        for &(_, line) in seen {
            scores.entry(line).or_default().messages += 1;
        }
        self.count += scores.len() - before;
        for (line, score) in scores.iter_mut() {
            score.missing += u64::from(!seen.iter().any(|(_, other)| other == line));
        }
        let redundant = scores.len() > 1;
        let Some(score) = scores.get_mut(&first).filter(|_| redundant) else { return };
        score.first += 1;
        match seen.iter().find(|(_, line)| *line != first) {
            Some(&(next_at, _)) => score.lead.record(next_at.saturating_sub(first_at)),
            None => score.only_here += 1,
        }
    }

    /// The rows of `lines`: points where a feed has more than one line.
    pub fn rows(&self, points: &Points, streams: &Streams, texts: &Texts) -> Vec<LineRow> {
        let mut rows = Vec::new();
        for (&(point, stream), scores) in self.scores.iter().filter(|(_, s)| s.len() > 1) {
            let Some(stream) = streams.get(stream) else { continue };
            let mut named: Vec<(Arc<str>, &Score)> = scores
                .iter()
                .filter_map(|(&line, score)| Some((texts.shared(line)?, score)))
                .collect();
            named.sort_by(|a, b| a.0.cmp(&b.0));
            rows.extend(named.into_iter().map(|(line, score)| LineRow {
                point: points.name(point),
                protocol: texts.shared(stream.protocol).unwrap_or_else(|| Arc::from("")),
                session: texts.shared(stream.session),
                line,
                messages: score.messages,
                first: score.first,
                missing: score.missing,
                only_here: score.only_here,
                lead_p50_ns: score.lead.per_mille(500),
                lead_p99_ns: score.lead.per_mille(990),
            }));
        }
        rows
    }
}
