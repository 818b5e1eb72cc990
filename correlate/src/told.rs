//! What a correlator makes.
//!
//! ```text
//! as it becomes certain   links, orders, lineage, losses
//! at the end, or by now   hops, lines, clocks, traffic, counters
//! ```

use crate::link::{self, Found};
use crate::observed::{self, Observed};
use crate::points::Points;
use crate::text::Texts;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use taptrail_store::tables::clocks::ClockRow;
use taptrail_store::tables::hops::HopRow;
use taptrail_store::tables::lines::LineRow;
use taptrail_store::tables::losses::LossRow;
use taptrail_store::tables::orders::OrderRow;
use taptrail_store::tables::traffic::TrafficRow;

/// Rows that are certain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Of `links`.
    pub links: Vec<Found>,
    /// Of `orders`.
    pub orders: Vec<OrderRow>,
    /// Of `lineage`.
    pub lineage: Vec<Observed>,
    /// Of `losses`.
    pub losses: Vec<LossRow>,
}

impl Rows {
    /// Forgets them; their room stays.
    pub fn clear(&mut self) {
        self.links.clear();
        self.orders.clear();
        self.lineage.clear();
        self.losses.clear();
    }

    /// The rows of `links` as columns.
    ///
    /// # Errors
    /// Where the columns are not those of the table.
    pub fn links(&self, texts: &Texts, points: &Points) -> Result<RecordBatch, ArrowError> {
        link::batch(&self.links, texts, points)
    }

    /// The rows of `lineage` as columns.
    ///
    /// # Errors
    /// Where the columns are not those of the table.
    pub fn lineage(&self, texts: &Texts, points: &Points) -> Result<RecordBatch, ArrowError> {
        observed::batch(&self.lineage, texts, points)
    }
}

/// Rows that are only known at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Of `hops`.
    pub hops: Vec<HopRow>,
    /// Of `lines`.
    pub lines: Vec<LineRow>,
    /// Of `clocks`.
    pub clocks: Vec<ClockRow>,
    /// Of `traffic`.
    pub traffic: Vec<TrafficRow>,
    /// What did not fit a limit or a rule.
    pub counters: Counters,
}

/// What was seen and what did not fit a limit or a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Observations taken.
    pub observations: u64,
    /// Observations of earlier time than one before them.
    pub late: u64,
    /// Further entries of messages, which links do not name.
    pub entries: u64,
    /// Events: different messages.
    pub events: u64,
    /// Events that are copies of messages from before their window.
    pub repeats: u64,
    /// Messages of sessions that belong to no order.
    pub without_order: u64,
    /// Orders that name no trigger.
    pub without_trigger: u64,
    /// Orders whose named trigger was not found.
    pub trigger_not_found: u64,
    /// Answers that no request explains.
    pub unexplained_answers: u64,
    /// Links whose latency contradicts its clocks' bounds.
    pub contradictions: u64,
    /// Events and trades closed early, texts, numbers and rows refused, all
    /// because of a stated limit.
    pub over_limits: u64,
    /// Packets that nothing decodes and that could not be looked for elsewhere: cut by
    /// their capture, or over a limit.
    pub payloads_left_out: u64,
}

impl Counters {
    /// What did not fit, in words; nothing of what did not occur.
    pub fn noticed(&self) -> Vec<(u64, &'static str)> {
        let all = [
            (self.late, "message in another order than that of time"),
            (self.repeats, "copy that came after its window"),
            (self.without_order, "session message that belongs to no order"),
            (self.without_trigger, "order without a trigger"),
            (self.trigger_not_found, "trigger that is named and was not seen"),
            (self.unexplained_answers, "answer that no request explains"),
            (self.contradictions, "link that contradicts the bounds of its clocks"),
            (self.over_limits, "closed early or left out because of a limit"),
            (self.payloads_left_out, "packet that nothing decodes, cut or over a limit"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_occurred_is_noticed() {
        assert_eq!(Counters { observations: 9, events: 3, ..Counters::default() }.noticed(), []);
        let noticed = Counters { late: 2, payloads_left_out: 1, ..Counters::default() }.noticed();
        let counts: Vec<u64> = noticed.iter().map(|(count, _)| *count).collect();
        assert_eq!(counts, [2, 1]);
    }
}
