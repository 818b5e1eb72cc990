//! Causes of losses against the truth, message by message.

use super::links::{Bin, bins, calibrate, per_mille};
use super::ppm;
use super::truth::Truth;
use serde::Serialize;
use std::collections::BTreeMap;
use taptrail_store::tables::losses::LossRow;

/// Most messages of one row that are looked at one by one.
const RUN_MAX: u64 = 1 << 24;

/// How many messages of a true cause were given which cause.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What really happened; `none`: the message was captured.
    pub truth: String,
    /// What the store says; `none`: nothing.
    pub told: String,
    /// Messages.
    pub messages: u64,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct LossScore {
    /// Every pair of causes that occurs.
    pub cells: Vec<Cell>,
    /// Messages really lost.
    pub lost: u64,
    /// Of them, told with the right cause.
    pub right: u64,
    /// Of them, told as unknown or not at all.
    pub untold: u64,
    /// Right per million.
    pub right_ppm: Option<u64>,
    /// Messages of which a capture kept a part at most: nothing of these counts.
    pub set_aside: u64,
    /// Losses told with a chance, in ten bins.
    pub calibration: Vec<Bin>,
}

/// A place that messages are missing at: point, protocol, line.
type At = (String, String, String);

/// Takes rows of `losses` in.
#[derive(Debug)]
pub struct Losses<'t> {
    truth: &'t Truth,
    told: BTreeMap<At, BTreeMap<u64, Told>>,
}

/// A cause and its chance per mille.
#[derive(Clone, Debug)]
struct Told {
    cause: String,
    per_mille: Option<u32>,
}

impl<'t> Losses<'t> {
    /// Before the first row.
    pub fn new(truth: &'t Truth) -> Self {
        Self { truth, told: BTreeMap::new() }
    }

    /// Takes a row in. Rows that say a message is missing on both lines repeat
    /// what those of the lines say.
    pub fn add(&mut self, row: &LossRow) {
        let (Some(first), Some(last)) = (row.first_seq, row.last_seq) else { return };
        if &*row.cause == "both_lines" {
            return;
        }
        let text = |text: &Option<taptrail_store::tables::row::Text>| {
            text.as_ref().map(|text| text.to_string()).unwrap_or_default()
        };
        let at = (row.point.to_string(), row.protocol.to_string(), text(&row.line));
        let told = self.told.entry(at).or_default();
        for seq in first..=last.min(first.saturating_add(RUN_MAX)) {
            let per_mille = row.confidence.map(per_mille);
            told.insert(seq, Told { cause: row.cause.to_string(), per_mille });
        }
    }

    /// The scores of all rows taken in.
    pub fn finish(mut self) -> LossScore {
        let mut cells: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut calibration = bins();
        let (mut lost, mut set_aside) = (0, 0);
        for (missing, cause) in &self.truth.missing {
            let at = (missing.point.clone(), missing.protocol.clone(), missing.line.clone());
            let told = self.told.get_mut(&at).and_then(|told| told.remove(&missing.seq));
            if cause == "snaplen" {
                set_aside += 1;
                continue;
            }
            lost += 1;
            if let Some(Told { cause: named, per_mille: Some(sure) }) = &told {
                calibrate(&mut calibration, *sure, named == cause);
            }
            let told = told.map_or_else(|| "none".to_owned(), |told| told.cause);
            *cells.entry((cause.clone(), told)).or_default() += 1;
        }
        for told in self.told.into_values().flat_map(BTreeMap::into_values) {
            *cells.entry(("none".to_owned(), told.cause)).or_default() += 1;
        }
        let right = cells.iter().filter(|((a, b), _)| a == b).map(|(_, n)| n).sum();
        let untold = |((a, b), _): &(&(String, String), &u64)| {
            a != "none" && (b == "none" || b == "unknown")
        };
        let untold = cells.iter().filter(untold).map(|(_, n)| n).sum();
        let cell = |((truth, told), messages)| Cell { truth, told, messages };
        LossScore {
            cells: cells.into_iter().map(cell).collect(),
            lost,
            right,
            untold,
            right_ppm: ppm(right, lost),
            set_aside,
            calibration: calibration.to_vec(),
        }
    }
}
