//! Orders and what was seen of them at each point.

/// Points and the captures made there.
pub const POINTS: [(&str, u64); 5] = [
    ("P1", 0xa1a1_0000_0000_0001),
    ("P2", 0xa1a1_0000_0000_0002),
    ("P3", 0xa1a1_0000_0000_0003),
    ("P5", 0xa1a1_0000_0000_0005),
    ("P6", 0xa1a1_0000_0000_0006),
];

/// When the network starts: 2026-03-02 14:30:00 UTC.
pub const START: i64 = 1_772_461_800_000_000_000;

/// Protocol of the feed.
pub const ITCH: &str = "nasdaq.totalview-itch.5.0";

/// Protocol of the sessions between strategy and gateway.
pub const FIX: &str = "fix.4.4";

/// Protocol of the sessions between gateway and venue.
pub const OUCH: &str = "nasdaq.ouch.5.0";

/// A message at a point.
#[derive(Clone, Debug)]
pub struct Seen {
    pub point: &'static str,
    pub line: Option<&'static str>,
    pub ts: i64,
    pub packet_ix: u32,
    pub protocol: &'static str,
    pub kind: &'static str,
    pub msg_type: &'static str,
    pub seq: Option<u64>,
    /// Place in `Order::seen` of the one it comes from, kind and rule of the
    /// link, confidence, candidates.
    pub via: Option<(usize, &'static str, &'static str, f32, u32)>,
}

impl Seen {
    pub fn capture_id(&self) -> u64 {
        POINTS.iter().find(|(point, _)| *point == self.point).unwrap().1
    }
}

/// An order and everything seen of it, in order of time.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: u64,
    pub symbol: &'static str,
    pub side: &'static str,
    pub price: i128,
    pub qty: i128,
    pub state: &'static str,
    pub seen: Vec<Seen>,
}

impl Order {
    pub fn cl_ord_id(&self) -> String {
        format!("S1-{:06}", self.id)
    }

    pub fn lineage_id(&self) -> u64 {
        // Beyond 2^53, where a JSON number would lose digits.
        0xf000_0000_0000_0000 | self.id
    }

    /// The first sighting of a kind at a point.
    pub fn at(&self, point: &str, kind: &str) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.point == point && seen.kind == kind)
    }
}

/// The network.
pub struct Network {
    pub orders: Vec<Order>,
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.roll().is_multiple_of(times)
    }

    /// At least `base` ns, mostly near it, now and then far above.
    fn latency(&mut self, base: i64) -> i64 {
        let near = (0..4).map(|_| (self.roll() % 1000) as i64).sum::<i64>() * base / 8000;
        let far = if self.one_in(50) { (self.roll() % 4000) as i64 * base / 1000 } else { 0 };
        base + near + far
    }
}

impl Network {
    pub fn new(orders: u64) -> Self {
        let mut dice = Dice(7);
        let mut counters = [0_u32; POINTS.len()];
        let orders = (0..orders).map(|id| order(id, &mut dice, &mut counters)).collect();
        Self { orders }
    }

    /// Everything seen at a point, with the order it belongs to.
    pub fn at<'a>(&'a self, point: &'a str) -> impl Iterator<Item = (&'a Order, &'a Seen)> {
        let seen = self.orders.iter().flat_map(|order| order.seen.iter().map(move |s| (order, s)));
        seen.filter(move |(_, seen)| seen.point == point)
    }
}

type Via = Option<(usize, &'static str, &'static str, f32, u32)>;

fn order(id: u64, dice: &mut Dice, counters: &mut [u32]) -> Order {
    const SYMBOLS: [&str; 5] = ["ALFA", "BRVO", "CHRL", "DLTA", "ECHO"];
    let mut seen: Vec<Seen> = Vec::new();
    let mut see = |point: &'static str,
                   line,
                   ts,
                   what: (&'static str, &'static str, &'static str),
                   seq,
                   via: Via| {
        let place = POINTS.iter().position(|(name, _)| *name == point).unwrap();
        let packet_ix = counters[place];
        counters[place] += 1;
        let (protocol, kind, msg_type) = what;
        seen.push(Seen { point, line, ts, packet_ix, protocol, kind, msg_type, seq, via });
        seen.len() - 1
    };
    let add = (ITCH, "order.add", "A");
    let seq = Some(88_000 + id * 3);
    let t0 = START + id as i64 * 7_500_000 + (dice.roll() % 5_000_000) as i64;
    let behind = (dice.roll() % 900) as i64 + 60;
    let (a, b) = if !dice.one_in(3) { ("A", "B") } else { ("B", "A") };
    let p1 = see("P1", Some(a), t0, add, seq, None);
    let p1_b = see("P1", Some(b), t0 + behind, add, seq, None);
    let t2 = t0 + dice.latency(900);
    let p2 = see("P2", Some(a), t2, add, seq, Some((p1, "same", "sequence", 1.0, 1)));
    see("P2", Some(b), t2 + behind, add, seq, Some((p1_b, "same", "sequence", 1.0, 1)));
    let t3 = t2 + dice.latency(600);
    let p3 = see("P3", Some(a), t3, add, seq, Some((p2, "same", "sequence", 1.0, 1)));
    let t5 = t3 + dice.latency(9_000);
    let unsure = id % 9 == 4;
    let (rule, confidence, candidates) =
        if unsure { ("last_preceding", 0.74, 3) } else { ("explicit_tag", 1.0, 1) };
    let new = (FIX, "req.new", "D");
    let trigger = Some((p3, "trigger", rule, confidence, candidates));
    let p5 = see("P5", None, t5, new, Some(id + 2), trigger);
    let t6 = t5 + dice.latency(3_500);
    let late = Some((p5, "relay", "late_bound_order_id", 1.0, 1));
    let p6 = see("P6", None, t6, (OUCH, "req.new", "O"), None, late);
    let rejected = id % 23 == 11;
    let answer = if rejected { ("rpt.reject", "J") } else { ("rpt.ack", "A") };
    let t7 = t6 + dice.latency(38_000);
    let ack = Some((p6, "ack", "cl_ord_id", 1.0, 1));
    let p6_ack = see("P6", None, t7, (OUCH, answer.0, answer.1), Some(id * 2 + 1), ack);
    let t8 = t7 + dice.latency(2_800);
    let back = Some((p6_ack, "relay", "late_bound_order_id", 1.0, 1));
    see("P5", None, t8, (FIX, answer.0, "8"), Some(id * 2 + 3), back);
    let mut state = "rejected";
    if !rejected {
        let public = t7 + dice.latency(1_400) - 1_900;
        let feed = Some((p6_ack, "public", "order_id", 1.0, 1));
        see("P1", Some("A"), public, add, Some(88_001 + id * 3), feed);
        state = ["filled", "filled", "canceled", "acked", "partially_filled"][(id % 5) as usize];
    }
    if state.contains("filled") {
        let t9 = t7 + dice.latency(410_000);
        let fill = Some((p6, "fill", "order_id", 1.0, 1));
        let p6_fill = see("P6", None, t9, (OUCH, "rpt.fill", "E"), Some(id * 2 + 2), fill);
        let back = Some((p6_fill, "relay", "late_bound_order_id", 1.0, 1));
        see("P5", None, t9 + dice.latency(2_700), (FIX, "rpt.fill", "8"), Some(id * 2 + 4), back);
    }
    Order {
        id,
        symbol: SYMBOLS[(dice.roll() % 5) as usize],
        side: if dice.one_in(2) { "buy" } else { "sell" },
        price: (10_000 + i128::from(dice.roll() % 900)) * 10_000_000,
        qty: (1 + i128::from(dice.roll() % 9)) * 100_000_000_000,
        state,
        seen,
    }
}
