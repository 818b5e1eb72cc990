//! From market data to the request it triggered, where nothing says so.
//!
//! ```text
//! request ─ looks back ─► candidates ─ how late, how far in price, which side ─► odds
//!                                                                 none of them ─► odds
//! ```
//!
//! Messages that have nothing to do with a request come before it at any time;
//! the one that triggered it comes before it by about the time that the
//! strategy takes, and is about a price near the order's. Both are learned per
//! session: from requests that name their trigger, as far as there are any, and
//! from the others by expectation and maximisation. The odds of a candidate are
//! how much likelier its lateness and its content are for a trigger than for
//! any other message; what the odds leave is the chance that none of them is it.
//! Only these chances are floating point; times and prices are not.

use crate::matching::recent::{Candidate, Lookback, RATE_SPAN_NS, REACTION_MAX_NS};
use crate::text::TextId;
use std::collections::HashMap;
use taptrail_decoders::kind::Side;

/// Bins of lateness in each doubling of it.
const BINS_PER_OCTAVE: u32 = 4;
/// From 64 ns to beyond [`REACTION_MAX_NS`].
const FIRST_OCTAVE: u32 = 6;
const LATENESS_BINS: usize = 17 * BINS_PER_OCTAVE as usize;
/// Ways in which a price can stand to the order's.
const PRICE_BINS: usize = 2 * 40 + 1;
/// Prices nearer than this many cents have a bin a cent.
const NEAR_CENTS: i128 = 16;
/// One cent x 10^9.
const CENT: i128 = 10_000_000;
/// Weight of what is believed before anything was seen.
const PRIOR: f64 = 4.0;
/// Of all requests, how many are believed to be triggered before any was seen.
const TRIGGERED: f64 = 0.8;
/// Sessions with fewer requests learn together with those of their protocol.
const OWN_CASES_MIN: f64 = 100.0;
/// Rounds of expectation and maximisation over a sample.
const ROUNDS: usize = 12;
/// Most requests of a sample that are learned from.
pub const CASES_MAX: usize = 1 << 15;
/// Most sessions with a model of their own.
pub const MODELS_MAX: usize = 1 << 12;

/// A request and what came before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its session, both directions.
    pub conversation: TextId,
    /// Its protocol.
    pub protocol: TextId,
    /// Side of the order.
    pub side: Option<Side>,
    /// Price of the order x 10^9.
    pub price: Option<i128>,
    /// What came before.
    pub before: Lookback,
    /// The feed message that the request itself names.
    pub named: Option<u64>,
}

/// The likeliest trigger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Its place among the candidates.
    pub candidate: usize,
    /// The chance that it is the one.
    pub confidence: f32,
}

/// How often each of some bins occurred.
#[derive(Clone, Debug)]
struct Counts<const N: usize> {
    bins: [f64; N],
    sum: f64,
}

impl<const N: usize> Counts<N> {
    const NONE: Self = Self { bins: [0.0; N], sum: 0.0 };

    fn add(&mut self, bin: usize, weight: f64) {
        if let Some(count) = self.bins.get_mut(bin) {
            *count += weight;
            self.sum += weight;
        }
    }

    /// Share of a bin, drawn towards `believed` by [`PRIOR`].
    fn share(&self, bin: usize, believed: f64) -> f64 {
        let count = self.bins.get(bin).copied().unwrap_or(0.0);
        (count + PRIOR * believed) / (self.sum + PRIOR)
    }

    /// The same with the neighbours' counts taken in.
    fn smooth_share(&self, bin: usize, believed: f64) -> f64 {
        let at =
            |bin: Option<usize>| bin.and_then(|bin| self.bins.get(bin)).copied().unwrap_or(0.0);
        let count = 0.5 * at(Some(bin)) + 0.25 * (at(bin.checked_sub(1)) + at(bin.checked_add(1)));
        (count + PRIOR * believed) / (self.sum + PRIOR)
    }
}

/// What the contents of messages are like.
#[derive(Clone, Debug)]
struct Content {
    kinds: Counts<256>,
    sides: Counts<3>,
    prices: Counts<PRICE_BINS>,
}

impl Content {
    const NONE: Self = Self { kinds: Counts::NONE, sides: Counts::NONE, prices: Counts::NONE };

    fn add(&mut self, case: &Case, candidate: &Candidate, weight: f64) {
        self.kinds.add(candidate.kind as usize, weight);
        self.sides.add(side_bin(case, candidate), weight);
        if let Some(bin) = price_bin(case, candidate) {
            self.prices.add(bin, weight);
        }
    }

    /// How much likelier the content is here than in `others`.
    fn odds(&self, others: &Self, case: &Case, candidate: &Candidate) -> f64 {
        let ratio = |own: f64, other: f64| if other > 0.0 { own / other } else { 1.0 };
        let kind = candidate.kind as usize;
        let other = others.kinds.share(kind, 1.0 / 256.0);
        let mut odds = ratio(self.kinds.share(kind, other), other);
        let side = side_bin(case, candidate);
        let other = others.sides.share(side, 1.0 / 3.0);
        odds *= ratio(self.sides.share(side, other), other);
        if let Some(bin) = price_bin(case, candidate) {
            let other = others.prices.share(bin, 1.0 / PRICE_BINS as f64);
            odds *= ratio(self.prices.share(bin, other), other);
        }
        odds
    }
}

/// What is known of one session's reactions, or of all of a protocol's.
#[derive(Clone, Debug)]
struct Model {
    /// Heard directly, over a bus.
    lateness: [Counts<LATENESS_BINS>; 2],
    triggers: [Content; 2],
    others: [Content; 2],
    /// Requests that name no trigger, and of them those that had one.
    untold: f64,
    triggered: f64,
}

impl Model {
    fn new() -> Self {
        Self {
            lateness: [Counts::NONE; 2],
            triggers: [Content::NONE; 2],
            others: [Content::NONE; 2],
            untold: 0.0,
            triggered: 0.0,
        }
    }

    fn cases(&self) -> f64 {
        self.lateness.iter().map(|counts| counts.sum).sum::<f64>() + self.untold - self.triggered
    }

    /// The chance of each candidate to be the trigger.
    fn chances(&self, case: &Case) -> Vec<f64> {
        let triggered = (self.triggered + PRIOR * TRIGGERED) / (self.untold + PRIOR);
        let reactions: f64 = self.lateness.iter().map(|counts| counts.sum).sum();
        let mut odds: Vec<f64> = Vec::with_capacity(case.before.candidates.len());
        for candidate in &case.before.candidates {
            let way = usize::from(candidate.relayed);
            let (Some(lateness), Some(triggers), Some(others), Some(heard)) = (
                self.lateness.get(way),
                self.triggers.get(way),
                self.others.get(way),
                case.before.heard.get(way),
            ) else {
                continue;
            };
            let of_way = (lateness.sum + PRIOR / 2.0) / (reactions + PRIOR);
            // One of those heard may be the trigger itself.
            let others_per_ns = (f64::from(*heard) - triggered).max(0.3) / RATE_SPAN_NS as f64;
            let (bin, width_ns) = lateness_bin(candidate.latency_ns);
            let density = lateness.smooth_share(bin, 1.0 / LATENESS_BINS as f64) / width_ns;
            let content = triggers.odds(others, case, candidate);
            odds.push(triggered * of_way * density / others_per_ns * content);
        }
        let all: f64 = odds.iter().sum::<f64>() + (1.0 - triggered);
        odds.iter().map(|odds| if all > 0.0 { odds / all } else { 0.0 }).collect()
    }

    /// Learns from a case, given the chances of its candidates.
    fn learn(&mut self, case: &Case, chances: &[f64]) {
        if case.named.is_none() {
            self.untold += 1.0;
            self.triggered += chances.iter().sum::<f64>();
        }
        for (candidate, &chance) in case.before.candidates.iter().zip(chances) {
            let way = usize::from(candidate.relayed);
            let (bin, _) = lateness_bin(candidate.latency_ns);
            if let Some(lateness) = self.lateness.get_mut(way) {
                lateness.add(bin, chance);
            }
            if let Some(content) = self.triggers.get_mut(way) {
                content.add(case, candidate, chance);
            }
            if let Some(content) = self.others.get_mut(way) {
                content.add(case, candidate, 1.0 - chance);
            }
        }
    }
}

/// The bin of a lateness, and how many nanoseconds wide it is.
fn lateness_bin(latency_ns: i64) -> (usize, f64) {
    let ns = latency_ns.clamp(1 << FIRST_OCTAVE, REACTION_MAX_NS) as u64;
    let octave = ns.ilog2();
    let within = ((ns - (1 << octave)) * u64::from(BINS_PER_OCTAVE)) >> octave;
    let bin = (octave - FIRST_OCTAVE) * BINS_PER_OCTAVE + within as u32;
    (bin as usize, (1u64 << octave) as f64 / f64::from(BINS_PER_OCTAVE))
}

/// Not known, the order's side, the other side.
fn side_bin(case: &Case, candidate: &Candidate) -> usize {
    let is_buy = |side: Side| side == Side::Buy;
    match (case.side, candidate.side) {
        (Some(order), Some(message)) => 1 + usize::from(is_buy(order) != is_buy(message)),
        _ => 0,
    }
}

/// How far the order's price is from the message's, towards the other side of
/// the book counted up: by cents where near, else by doublings of a cent.
fn price_bin(case: &Case, candidate: &Candidate) -> Option<usize> {
    let apart = case.price?.checked_sub(candidate.price?)?;
    let cents = if case.side == Some(Side::Buy) { apart } else { -apart } / CENT;
    let far = cents.unsigned_abs();
    let step = if far < NEAR_CENTS as u128 {
        far as usize
    } else {
        (NEAR_CENTS as usize + 2 * (far.ilog2() as usize).saturating_sub(4)).min(PRICE_BINS / 2)
    };
    Some(if cents < 0 { PRICE_BINS / 2 - step } else { PRICE_BINS / 2 + step })
}

/// The reactions of every session.
#[derive(Clone, Debug, Default)]
pub struct Reactions {
    sessions: HashMap<TextId, Model>,
    protocols: HashMap<TextId, Model>,
}

impl Reactions {
    /// Learns from a sample of requests, several times over.
    pub fn of_sample(cases: &[Case]) -> Self {
        let mut known = Self::default();
        for _ in 0..ROUNDS {
            let mut next = Self::default();
            for case in cases {
                next.learn(case, &known.chances(case));
            }
            known = next;
        }
        known
    }

    /// The likeliest trigger; `None` where it is likelier that there is none.
    pub fn choose(&self, case: &Case) -> Option<Choice> {
        let chances = self.unnamed_chances(case);
        let none = 1.0 - chances.iter().sum::<f64>();
        let best = chances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let (candidate, &chance) = best?;
        (chance >= none && chance > 0.0)
            .then_some(Choice { candidate, confidence: chance.min(0.999) as f32 })
    }

    /// Learns from a request as it was chosen or named.
    pub fn note(&mut self, case: &Case) {
        let chances = self.chances(case);
        self.learn(case, &chances);
    }

    /// The chances of a case's candidates: certain where it names one.
    fn chances(&self, case: &Case) -> Vec<f64> {
        let Some(named) = case.named else { return self.unnamed_chances(case) };
        let is = |c: &Candidate| if c.seq == named { 1.0 } else { 0.0 };
        case.before.candidates.iter().map(is).collect()
    }

    fn unnamed_chances(&self, case: &Case) -> Vec<f64> {
        let own = self.sessions.get(&case.conversation);
        let own = own.filter(|model| model.cases() >= OWN_CASES_MIN);
        match own.or_else(|| self.protocols.get(&case.protocol)) {
            Some(model) => model.chances(case),
            None => Model::new().chances(case),
        }
    }

    fn learn(&mut self, case: &Case, chances: &[f64]) {
        for (models, key) in
            [(&mut self.sessions, case.conversation), (&mut self.protocols, case.protocol)]
        {
            if models.len() < MODELS_MAX || models.contains_key(&key) {
                models.entry(key).or_insert_with(Model::new).learn(case, chances);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Texts;
    use taptrail_decoders::kind::Kind;

    /// Numbers without a pattern, the same in every run.
    struct Dice(u64);

    impl Dice {
        fn unit(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
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
        let case = Case { conversation: session, protocol: session, side, price, before, named };
        (case, truth)
    }

    fn candidate(seq: u64, latency_ns: i64, price: i128) -> Candidate {
        Candidate {
            seq,
            stream: 1,
            latency_ns,
            relayed: false,
            kind: Kind::OrderAdd,
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
        let known = Reactions::of_sample(&sample);
        let (mut requests, mut given, mut right, mut sure) = (0, 0, 0, 0.0);
        for _ in 0..4_000 {
            let (case, truth) = request(&mut dice, session, per_ns, false);
            // As in the sample: a share of those with a trigger name it.
            if truth.is_some() && dice.unit() < named_share {
                continue;
            }
            requests += 1;
            if let Some(choice) = known.choose(&case) {
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
            conversation: session,
            protocol: session,
            side: None,
            price: None,
            before: Lookback::default(),
            named: None,
        };
        assert_eq!(Reactions::default().choose(&case), None);
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
}
