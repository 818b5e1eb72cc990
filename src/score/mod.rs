//! How close a correlation came to a simulation's truth.
//!
//! ```text
//! truth/*.jsonl ─► which message is where, what joins them ┐
//!                                                          ├─► score, by kind and rule
//! links, losses, clocks of the store ──────────────────────┘
//! ```
//!
//! A message keeps its number at every point, so a link is right where the
//! truth joins the two messages that its ends are.

pub mod clocks;
pub mod links;
pub mod losses;
pub mod text;
pub mod truth;

use anyhow::Context;
use serde::Serialize;
use std::path::{Path, PathBuf};
use taptrail_store::catalog::Store;
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::row::Row;

/// All scores.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Links by kind and rule.
    pub rules: Vec<links::RuleScore>,
    /// What of the truth was found, by kind.
    pub kinds: Vec<links::KindScore>,
    /// Latencies by kind and hop.
    pub latencies: Vec<links::LatencyScore>,
    /// Confidence against how often it was right, in ten bins.
    pub calibration: Vec<links::Bin>,
    /// Orders that nothing triggered.
    pub untriggered: links::Untriggered,
    /// Links of messages of which a capture kept a part at most: they count
    /// neither as right nor as wrong.
    pub set_aside: u64,
    /// Offsets of clocks.
    pub clocks: Vec<clocks::ClockScore>,
    /// Causes of losses.
    pub losses: losses::LossScore,
}

/// Scores what a store's correlation says against the truth below `dir`, the
/// folder that `taptrail sim` wrote.
///
/// # Errors
/// Where the truth or the store cannot be read, or nothing is correlated.
pub fn score(store: &Store, dir: &Path) -> anyhow::Result<Score> {
    let truth = truth::Truth::read(&dir.join("truth"))?;
    let tables = Tables::open(store)?;
    let mut links = links::Links::new(&truth);
    tables.each(|row| links.add(&row))?;
    let mut clocks = clocks::Clocks::new(&truth, dir)?;
    tables.each(|row| clocks.add(&row))?;
    let mut losses = losses::Losses::new(&truth);
    tables.each(|row| losses.add(&row))?;
    let links = links.finish();
    Ok(Score {
        rules: links.rules,
        kinds: links.kinds,
        latencies: links.latencies,
        calibration: links.calibration,
        untriggered: links.untriggered,
        set_aside: links.set_aside,
        clocks: clocks.finish(),
        losses: losses.finish(),
    })
}

/// The tables of a store's newest correlation.
struct Tables(Vec<(&'static str, PathBuf)>);

impl Tables {
    fn open(store: &Store) -> anyhow::Result<Self> {
        let correlate = store.catalog()?.correlate.clone();
        let made = correlate.context("nothing is correlated: run `taptrail correlate` first")?;
        let mut files = Vec::new();
        for table in ["links", "clocks", "losses"] {
            files.extend(made.files_of(table).map(|s| (table, store.file(s))));
        }
        Ok(Self(files))
    }

    /// Calls `with` for every row of a table.
    fn each<R: Row>(&self, mut with: impl FnMut(R)) -> anyhow::Result<()> {
        for (_, path) in self.0.iter().filter(|(table, _)| *table == R::TABLE) {
            for batch in SegmentReader::open(path, None, None)? {
                R::from_batch(&batch?)?.into_iter().for_each(&mut with);
            }
        }
        Ok(())
    }
}

/// The value at a quantile of sorted values; 0 where there are none.
fn quantile(sorted: &[i64], per_mille: usize) -> i64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * per_mille + 500) / 1000).copied().unwrap_or(0)
}

/// A share in parts per million, exact enough to tell 1.000 from 0.99999.
fn ppm(part: u64, whole: u64) -> Option<u64> {
    (whole > 0).then(|| part * 1_000_000 / whole)
}
