//! A small network for tests: observations built by hand, times known.
//!
//! ```text
//! P1 venue hand-off ─ P2 switch ─ P3 feed handler ─ P4 bus ─ P5 strategies ─ P6 gateway out
//! clocks: P1 P6 on C1, P2 P3 on C2, P4 P5 P7 on C3; P7 is the drop copy
//! ```

use crate::clock::{Clocks, Stamp};
use crate::config::{ClockConfig, CorrelateConfig, HopConfig, Settings};
use crate::engine::Correlator;
use crate::losses::health::Health;
use crate::matching::keys::KeyRule;
use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::sample::Sample;
use crate::scout::{Learned, OrderScout, ReactionScout};
use crate::shelf::Shelf;
use crate::text::{TextId, Texts};
use crate::told::{self, Summary};
use arrow::error::ArrowError;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_decoders::kind::{Kind, Sender, SeqUnit, Side};
use taptrail_store::tables::lineage::LineageRow;
use taptrail_store::tables::links::LinkRow;
use taptrail_store::tables::losses::LossRow;
use taptrail_store::tables::orders::OrderRow;
use taptrail_store::tables::row::Row;

/// Where the tests' times begin.
pub const START: i64 = 1_700_000_000_000_000_000;

/// Offsets of the clocks against C1 in ns.
pub const OFFSETS: [(&str, i64); 2] = [("C2", 1_500_000), ("C3", -700_000)];

/// Builds observations.
pub struct Net {
    pub texts: Texts,
    pub observations: Vec<Observation>,
    pub packets: u32,
    /// Whether the clocks' offsets are configured.
    pub calibrated: bool,
    /// Whether the traffic is asked for the clocks' offsets.
    pub measured: bool,
    /// Whether all that is idle waits in a file.
    pub shelved: bool,
    /// Key rules of the user.
    pub keys: Vec<KeyRule>,
}

/// A message to be seen somewhere.
#[derive(Clone, Copy)]
pub struct Message(pub Observation);

impl Net {
    pub fn new() -> Self {
        Self {
            texts: Texts::new(),
            observations: Vec::new(),
            packets: 0,
            calibrated: true,
            measured: false,
            shelved: false,
            keys: Vec::new(),
        }
    }

    pub fn text(&mut self, text: &str) -> TextId {
        self.texts.intern(text)
    }

    /// Sees a message at a point at `true_ns` after the start, by the point's clock.
    pub fn see(&mut self, message: Message, point: PointIx, true_ns: i64) -> u32 {
        self.see_on(message, point, "", true_ns)
    }

    pub fn see_on(&mut self, message: Message, point: PointIx, line: &str, true_ns: i64) -> u32 {
        let offset = match point {
            1 | 2 => OFFSETS[0].1,
            3 | 4 | 6 => OFFSETS[1].1,
            _ => 0,
        };
        let packet_ix = self.packets;
        self.packets += 1;
        let ts = START + true_ns + offset;
        let line = self.texts.intern(line);
        self.observations.push(Observation {
            point,
            line,
            ts,
            at: ts,
            capture_id: u64::from(point) + 1,
            packet_ix,
            ..message.0
        });
        packet_ix
    }

    pub fn itch(&mut self, seq: u64, kind: Kind, symbol: &str, order_id: u64) -> Message {
        let mut obs = Observation::empty(0, 0, kind);
        obs.protocol = self.text("nasdaq.totalview-itch.5.0");
        obs.session = self.text("FEED1");
        obs.msg_type = self.text(kind.text());
        obs.symbol = self.text(symbol);
        obs.seq = Some(seq);
        obs.seq_unit = Some(SeqUnit::Message);
        obs.order_id = Some(order_id);
        Message(obs)
    }

    pub fn bus(&mut self, seq: u64, source: u64, symbol: &str) -> Message {
        let mut obs = Observation::empty(0, 0, Kind::OrderAdd);
        obs.protocol = self.text("fast");
        obs.session = self.text("BUS");
        obs.symbol = self.text(symbol);
        obs.seq = Some(seq);
        obs.seq_unit = Some(SeqUnit::Packet);
        obs.trigger_seq = Some(source);
        Message(obs)
    }

    /// A FIX message of the strategy `S` or of the gateway `G`.
    pub fn fix(&mut self, seq: u64, kind: Kind, id: &str, orig: &str) -> Message {
        let request = crate::observation::is_request(kind);
        let mut obs = Observation::empty(0, 0, kind);
        obs.protocol = self.text("fix.4.4");
        obs.session = self.text(if request { "S>G" } else { "G>S" });
        obs.sender = Some(if request { Sender::Client } else { Sender::Server });
        obs.msg_type = self.text(kind.text());
        obs.seq = Some(seq);
        obs.seq_unit = Some(SeqUnit::Message);
        obs.cl_ord_id = self.text(id);
        obs.orig_cl_ord_id = self.text(orig);
        obs.symbol = self.text("ALFA");
        obs.side = Some(Side::Buy);
        Message(obs)
    }

    /// An OUCH message; answers are numbered.
    pub fn ouch(&mut self, seq: u64, kind: Kind, token: &str, orig: &str) -> Message {
        let request = crate::observation::is_request(kind);
        let mut obs = Observation::empty(0, 0, kind);
        obs.protocol = self.text("nasdaq.ouch.5.0");
        obs.session = self.text("PORT1");
        obs.sender = Some(if request { Sender::Client } else { Sender::Server });
        obs.msg_type = self.text(kind.text());
        obs.seq = (!request).then_some(seq);
        obs.seq_unit = (!request).then_some(SeqUnit::Message);
        obs.cl_ord_id = self.text(token);
        obs.orig_cl_ord_id = self.text(orig);
        if kind == Kind::ReqNew || kind == Kind::RptAck {
            obs.symbol = self.text("ALFA");
            obs.side = Some(Side::Buy);
        }
        Message(obs)
    }

    pub fn points() -> Points {
        let clocks = ["C1", "C2", "C2", "C3", "C3", "C1", "C3"];
        let configured: Vec<PointConfig> = (1..=7)
            .zip(clocks)
            .map(|(number, clock)| PointConfig {
                clock: Some(clock.to_owned()),
                ..PointConfig::named(PointName::try_from(format!("P{number}")).unwrap())
            })
            .collect();
        Points::new(&configured, &[])
    }

    pub fn settings(&self) -> Settings {
        let hop = |from: usize, to: usize| HopConfig {
            from: format!("P{from}"),
            to: format!("P{to}"),
            floor_ns: None,
        };
        let clock = |(name, offset_ns): (&str, i64)| ClockConfig {
            name: name.to_owned(),
            reference: "C1".to_owned(),
            offset_ns,
            bound_ns: Some(100),
            drift_ppb: None,
            at: None,
        };
        Settings {
            correlate: CorrelateConfig {
                key: self.keys.clone(),
                open_events_max: if self.shelved { 0 } else { u32::MAX },
                ..CorrelateConfig::default()
            },
            hops: vec![hop(1, 2), hop(2, 3), hop(3, 4), hop(4, 5), hop(5, 6), hop(6, 1)],
            clocks: if self.calibrated { OFFSETS.map(clock).to_vec() } else { Vec::new() },
            ..Settings::default()
        }
    }

    /// Correlates everything seen, in order of time.
    pub fn run(self) -> (Rows, Summary) {
        self.run_with(Health::default())
    }

    /// The same with what captures say of their drops.
    pub fn run_with(self, health: Health) -> (Rows, Summary) {
        let (settings, points) = (self.settings(), Self::points());
        let clocks = Clocks::new(&points, &settings.clocks, &settings.hops);
        let mut texts = self.texts;
        let mut scout = OrderScout::new(&settings);
        let seen = ordered(self.observations, &clocks);
        seen.iter().for_each(|observation| scout.push(*observation, &mut texts));
        let feeds = scout.feeds();
        let mut reactions = ReactionScout::new(&settings, &feeds);
        seen.iter().for_each(|observation| reactions.push(observation, &mut texts));
        let topology = scout.finish().finish(&points, &clocks, &settings.hops);
        let learned = Learned { topology, reactions: reactions.finish(), feeds };
        let mut first = Correlator::new(&settings, &points, learned.clone(), texts.clone())
            .measuring(Sample::WHOLE);
        seen.iter().for_each(|observation| first.push(observation));
        first.finish();
        let clocks =
            if self.measured { clocks.measured(&first.into_measured().gauge) } else { clocks };
        let seen = ordered(seen, &clocks);
        let mut correlator =
            Correlator::new(&settings, &points, learned, texts).with_clocks(clocks);
        if self.shelved {
            let file = tempfile::tempfile().expect("a file for idle trades");
            correlator = correlator.with_shelf(Shelf::new(file));
        }
        correlator.set_health(health);
        seen.iter().for_each(|observation| correlator.push(observation));
        let summary = correlator.finish();
        assert!(correlator.take_fault().is_none());
        let mut found = Rows::default();
        let written = correlator.write_rows(|rows, texts, points| {
            let told::Rows { orders, losses, .. } = rows.clone();
            let lineage = LineageRow::from_batch(&rows.lineage(texts, points)?)?;
            let links = LinkRow::from_batch(&rows.links(texts, points)?)?;
            found = Rows { links, orders, lineage, losses };
            Ok::<(), ArrowError>(())
        });
        written.expect("links are rows of their table");
        (found, summary)
    }
}

/// On the clocks' common time and in the order that a correlator takes them.
fn ordered(mut observations: Vec<Observation>, clocks: &Clocks) -> Vec<Observation> {
    for o in &mut observations {
        o.at = clocks.corrected(Stamp { point: o.point, ts: o.ts });
    }
    observations.sort_by_key(Observation::place);
    observations
}

/// What a run of the network made.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    pub links: Vec<LinkRow>,
    pub orders: Vec<OrderRow>,
    pub lineage: Vec<LineageRow>,
    pub losses: Vec<LossRow>,
}

/// `kind rule from>to latency` of each link of one kind, sorted.
pub fn shown(rows: &Rows, kind: &str) -> Vec<String> {
    let show = |link: &LinkRow| {
        format!("{} {}>{} {}", link.rule, link.from_point, link.to_point, link.latency_ns)
    };
    let mut shown: Vec<String> =
        rows.links.iter().filter(|link| &*link.kind == kind).map(show).collect();
    shown.sort();
    shown
}
