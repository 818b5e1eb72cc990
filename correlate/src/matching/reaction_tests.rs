//! Requests whose triggers are known.

use super::*;
use crate::text::Texts;
use taptrail_decoders::kind::Kind;

/// Numbers without a pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn waiting(&mut self, mean_ns: f64) -> i64 {
        (-mean_ns * (1.0 - self.unit()).ln()) as i64
    }
}

/// A request with its true trigger, if any.
fn request(dice: &mut Dice, session: TextId, per_ns: f64, named: bool) -> (Case, Option<u64>) {
    let price = 50_000_000_000 + (dice.unit() * 400.0) as i128 * CENT;
    let mut candidates = Vec::new();
    let mut latency_ns = dice.waiting(1.0 / per_ns);
    let mut heard = 0;
    while latency_ns < RATE_SPAN_NS {
        heard += 1;
        if latency_ns <= REACTION_MAX_NS {
            let seen = price + ((dice.unit() - 0.5) * 100.0) as i128 * CENT;
            candidates.push(candidate(heard.into(), latency_ns, seen));
        }
        latency_ns += dice.waiting(1.0 / per_ns).max(1);
    }
    let truth = (dice.unit() < 0.85).then_some(1_000_000);
    if let Some(seq) = truth {
        let seen = price + ((dice.unit() * 8.0) as i128 - 4) * CENT;
        candidates.push(candidate(seq, 4_000 + dice.waiting(9_000.0), seen));
        heard += 1;
    }
    candidates.sort_by_key(|c| c.latency_ns);
    let before = Lookback { candidates, heard: [heard, 0] };
    let named = truth.filter(|_| named);
    let (side, price) = (Some(Side::Buy), Some(price));
    dice.0 = dice.0.wrapping_add(2);
    let id = Identity { capture_id: dice.0, packet_ix: 0, msg_ix: 0 };
    let (conversation, protocol) = (session, session);
    (Case { id, conversation, protocol, side, price, before, named }, truth)
}

fn candidate(seq: u64, latency_ns: i64, price: i128) -> Candidate {
    Candidate {
        seq,
        stream: 1,
        latency_ns,
        relayed: false,
        packet: seq as u32,
        mates: 1,
        kind: Kind::OrderAdd,
        mapped: false,
        heard: Identity { capture_id: 1, packet_ix: seq as u32, msg_ix: 0 },
        side: Some(Side::Buy),
        price: Some(price),
    }
}

/// Requests, how many were given a trigger, the right one, and the sum of
/// the confidences.
fn run(per_ns: f64, named_share: f64) -> (usize, usize, usize, f64) {
    let mut texts = Texts::new();
    let session = texts.intern("STRAT1>GW");
    let mut dice = Dice(3);
    let mut sample = Vec::new();
    for _ in 0..2_000 {
        let named = dice.unit() < named_share;
        sample.push(request(&mut dice, session, per_ns, named).0);
    }
    let mut known = Reactions::of_sample(&sample);
    let (mut requests, mut given, mut right, mut sure) = (0, 0, 0, 0.0);
    for _ in 0..4_000 {
        let (case, truth) = request(&mut dice, session, per_ns, false);
        // As in the sample: a share of those with a trigger name it.
        if truth.is_some() && dice.unit() < named_share {
            continue;
        }
        requests += 1;
        if let Some(choice) = known.decide(&case) {
            given += 1;
            let seq = case.before.candidates[choice.candidate].seq;
            right += usize::from(Some(seq) == truth);
            sure += f64::from(choice.confidence);
        }
    }
    (requests, given, right, sure)
}

#[test]
fn confidence_is_how_often_it_is_right() {
    for named_share in [0.0, 0.7] {
        for per_ns in [1e-6, 1e-5, 1e-4] {
            let (_, given, right, sure) = run(per_ns, named_share);
            let off = right as f64 - sure;
            assert!(
                off.abs() <= 0.05 * given as f64,
                "{named_share} named, {per_ns} per ns: {right} right of {given}, said {sure}"
            );
        }
    }
}

#[test]
fn it_finds_more_than_the_last_message() {
    // About three other messages in the time of a reaction.
    let (requests, _, right, _) = run(2e-4, 0.0);
    assert!(right * 100 > requests * 40, "{right} right of {requests}");
    // A quiet instrument: nearly all of the 85 % that have a trigger.
    let (requests, _, right, _) = run(1e-6, 0.0);
    assert!(right * 100 > requests * 78, "{right} right of {requests}");
}

#[test]
fn nothing_before_means_no_trigger() {
    let mut texts = Texts::new();
    let session = texts.intern("S");
    let case = Case {
        id: Identity { capture_id: 0, packet_ix: 0, msg_ix: 0 },
        conversation: session,
        protocol: session,
        side: None,
        price: None,
        before: Lookback::default(),
        named: None,
    };
    assert_eq!(Reactions::default().decide(&case), None);
}

#[test]
fn bins_are_within_their_tables() {
    for latency_ns in [i64::MIN, -1, 0, 1, 63, 64, 1_000, REACTION_MAX_NS, i64::MAX] {
        assert!(lateness_bin(latency_ns).0 < LATENESS_BINS, "{latency_ns}");
    }
    let mut texts = Texts::new();
    let (mut case, _) = request(&mut Dice(1), texts.intern("S"), 1e-5, false);
    for price in [i128::MIN, -CENT, 0, CENT, i128::MAX] {
        case.price = Some(price);
        for seen in [i128::MIN / 2, 0, 15 * CENT, 16 * CENT, i128::MAX / 2] {
            let bin = price_bin(&case, &candidate(1, 1, seen));
            assert!(bin.is_none_or(|bin| bin < PRICE_BINS), "{price} {seen}");
        }
    }
}

/// A market that a bus relays after `BUS_NS`, in packets of one to four
/// messages; strategies react to a message of a packet of the bus.
struct Market {
    dice: Dice,
    session: TextId,
    packets_per_ns: f64,
}

const BUS_NS: i64 = 6_000;

impl Market {
    /// A request, with the number of its true trigger.
    fn request(&mut self, number: u64) -> (Case, Option<u64>) {
        let dice = &mut self.dice;
        let price = 50_000_000_000 + (dice.unit() * 400.0) as i128 * CENT;
        let triggered = dice.unit() < 0.7;
        let reaction_ns = 3_000 + dice.waiting(9_000.0);
        let mut packets: Vec<i64> = triggered.then_some(reaction_ns).into_iter().collect();
        let mut at = dice.waiting(1.0 / self.packets_per_ns);
        while at < RATE_SPAN_NS {
            packets.push(at - BUS_NS);
            at += dice.waiting(1.0 / self.packets_per_ns).max(1);
        }
        let mut heard = [0; 2];
        let mut candidates = Vec::new();
        let mut truth = None;
        for (place, &over_bus) in packets.iter().enumerate() {
            let relayed = over_bus >= 0;
            heard[usize::from(relayed)] += 1;
            let mates = 1 + (dice.unit().powi(2) * 4.0) as u32;
            let it = (triggered && place == 0).then(|| (dice.unit() * f64::from(mates)) as u32);
            for mate in 0..mates {
                let near = it == Some(mate);
                let cents = if near { dice.unit() * 16.0 - 8.0 } else { dice.unit() * 60.0 - 30.0 };
                let seq = number << 20 | (place as u64) << 4 | u64::from(mate);
                truth = truth.or(near.then_some(seq));
                let latency_ns = if relayed { over_bus } else { over_bus + BUS_NS };
                let seen = candidate(seq, latency_ns, price + cents as i128 * CENT);
                candidates.push(Candidate { relayed, packet: place as u32, mates, ..seen });
            }
        }
        candidates.retain(|c| c.latency_ns <= REACTION_MAX_NS);
        candidates.sort_by_key(|c| (c.latency_ns, c.relayed, c.packet, c.price));
        let named = truth.filter(|_| self.dice.unit() < 0.5);
        let id = Identity { capture_id: number, packet_ix: 0, msg_ix: 0 };
        let (conversation, protocol) = (self.session, self.session);
        let (side, price) = (Some(Side::Buy), Some(price));
        let before = Lookback { candidates, heard };
        (Case { id, conversation, protocol, side, price, before, named }, truth)
    }
}

/// Confidences of requests that name nothing, each with whether it was right,
/// and how many had no trigger and were given one.
fn decided(packets_per_ns: f64, requests: u64) -> (Vec<(f64, bool)>, usize) {
    let mut texts = Texts::new();
    let session = texts.intern("STRAT1>GW");
    let (mut told, mut invented) = (Vec::new(), 0);
    for seed in 1..=(5_000 / requests) {
        let mut market = Market { dice: Dice(seed), session, packets_per_ns };
        let cases: Vec<_> = (0..requests).map(|number| market.request(number)).collect();
        let sample: Vec<Case> = cases.iter().map(|(case, _)| case.clone()).collect();
        let mut known = Reactions::of_sample(&sample);
        for (case, truth) in &cases {
            if let Some(choice) = known.decide(case) {
                let seq = case.before.candidates[choice.candidate].seq;
                told.push((f64::from(choice.confidence), Some(seq) == *truth));
                invented += usize::from(truth.is_none());
            }
        }
    }
    (told, invented)
}

#[test]
fn confidence_means_what_it_says_in_every_bin() {
    for (packets_per_ns, requests) in [(5e-7, 2_500), (3e-6, 500), (3e-6, 2_500), (1e-5, 1_000)] {
        let (told, invented) = decided(packets_per_ns, requests);
        let wrong: f64 = told.iter().map(|(confidence, _)| 1.0 - confidence).sum();
        assert!(invented as f64 <= wrong, "{packets_per_ns}: {invented} invented of {wrong} wrong");
        for bin in 0..10 {
            let of = |c: f64| (c * 10.0) as usize == bin;
            let of: Vec<_> = told.iter().filter(|(confidence, _)| of(*confidence)).collect();
            let said: f64 = of.iter().map(|(confidence, _)| confidence).sum();
            let right = of.iter().filter(|(_, right)| *right).count() as f64;
            let n = of.len() as f64;
            // What chance alone is off by in one bin of three.
            let chance = (said * (n - said) / n.max(1.0)).max(0.0).sqrt();
            let off = right - said;
            assert!(
                n < 100.0 || off.abs() <= 0.05 * n + chance,
                "{packets_per_ns} {requests} bin {bin}: {n} said {said} right {right}"
            );
        }
    }
}
