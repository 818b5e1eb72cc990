//! Latency of each hop, by kind of link and of message.
//!
//! ```text
//! links ──> (same, order.add, P1, P2): n, percentiles, bounds
//!      └──> (same, all,       P1, P2): the sum of its kinds
//! ```

use crate::clock::Clocks;
use crate::hist::Latencies;
use crate::link::{Link, LinkKind};
use crate::points::{PointIx, Points};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;
use taptrail_store::tables::hops::HopRow;

/// Most kinds of links and messages between two points; further ones do not
/// count.
pub const HOPS_MAX: usize = 1 << 14;

#[derive(Clone, Debug, Default)]
struct Hop {
    latency: Latencies,
    lo: Latencies,
    hi: Latencies,
    unmatched: u64,
    lost: u64,
}

impl Hop {
    fn add(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.lo.merge(&other.lo);
        self.hi.merge(&other.hi);
        self.unmatched += other.unmatched;
        self.lost += other.lost;
    }
}

type HopKey = (LinkKind, PointIx, PointIx, Kind);

/// Where a row stands in the table: "all" before its kinds.
type RowKey = (LinkKind, PointIx, PointIx, Option<Kind>);

/// The hops of a run.
#[derive(Clone, Debug, Default)]
pub struct Hops {
    hops: HashMap<HopKey, Hop>,
    refused: u64,
}

impl Hops {
    /// No links yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn count(
        &mut self,
        (kind, from, to): (LinkKind, PointIx, PointIx),
        message: Kind,
        with: impl FnOnce(&mut Hop),
    ) {
        let key = (kind, from, to, message);
        if self.hops.len() >= HOPS_MAX && !self.hops.contains_key(&key) {
            self.refused += 1;
            return;
        }
        with(self.hops.entry(key).or_default());
    }

    /// Counts a link.
    pub fn add(&mut self, link: &Link) {
        let place = (link.kind, link.from.point, link.to.point);
        self.count(place, link.message_kind, |hop| {
            hop.latency.record(link.latency.ns);
            if let Some((lo, hi)) = link.latency.bounds {
                hop.lo.record(lo);
                hop.hi.record(hi);
            }
        });
    }

    /// Counts messages seen at `from` that `to` did not see.
    pub fn lost(&mut self, from: PointIx, to: PointIx, message: Kind, count: u64) {
        self.count((LinkKind::Same, from, to), message, |hop| hop.lost += count);
    }

    /// Counts a message that should have a link of this kind and has none.
    pub fn unmatched(&mut self, kind: LinkKind, from: PointIx, to: PointIx, message: Kind) {
        self.count((kind, from, to), message, |hop| hop.unmatched += 1);
    }

    /// Links and counts that were left out because of [`HOPS_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The rows of `hops`, ordered by link kind, points and message kind.
    pub fn rows(&self, points: &Points, clocks: &Clocks) -> Vec<HopRow> {
        let mut all: BTreeMap<RowKey, Hop> = BTreeMap::new();
        for (&(kind, from, to, message), hop) in &self.hops {
            all.entry((kind, from, to, None)).or_default().add(hop);
            all.insert((kind, from, to, Some(message)), hop.clone());
        }
        let row = |(&(kind, from, to, message), hop): (&RowKey, &Hop)| {
            let (histogram, histogram_base_ns) = hop.latency.encode();
            HopRow {
                link_kind: Arc::from(kind.text()),
                message_kind: Arc::from(message.map_or("all", Kind::text)),
                from_point: points.name(from),
                to_point: points.name(to),
                n: hop.latency.count(),
                min_ns: hop.latency.min(),
                p50_ns: hop.latency.per_mille(500),
                p90_ns: hop.latency.per_mille(900),
                p99_ns: hop.latency.per_mille(990),
                p999_ns: hop.latency.p999(),
                max_ns: hop.latency.max(),
                lo_p50_ns: hop.lo.per_mille(500),
                hi_p50_ns: hop.hi.per_mille(500),
                same_clock: clocks.same(from, to),
                matched: hop.latency.count(),
                unmatched: hop.unmatched,
                lost: hop.lost,
                histogram,
                histogram_base_ns,
            }
        };
        all.iter().map(row).collect()
    }
}
