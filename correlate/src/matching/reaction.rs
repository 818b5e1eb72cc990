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
//! from the others by expectation and maximisation. What all sessions of the
//! protocol do is believed of a session as far as its own requests do not
//! say otherwise. The odds of a candidate are
//! how much likelier its lateness and its content are for a trigger than for
//! any other message; what the odds leave is the chance that none of them is it.
//!
//! Messages come in packets: a packet arrives once, and each message in it may
//! be the one. How often packets arrive by chance is learned by lateness too,
//! for what a bus relays is heard directly only until the bus has it. And no
//! request confirms itself: what it taught is taken back before it is decided.
//! Only these chances are floating point; times and prices are not.

use crate::event::Identity;
use crate::matching::recent::{Candidate, Lookback, RATE_SPAN_NS, REACTION_MAX_NS};
use crate::text::TextId;
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};
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
/// Kinds of messages, each with its side (unknown, the order's, the other), of
/// the order's instrument or of one that it follows.
const KIND_BINS: usize = 64 * 6;
/// How neighbours count into a bin, those at a distance of 0, 1, 2 ...
const NEAR_LATENESS: [f64; 3] = [3.0 / 9.0, 2.0 / 9.0, 1.0 / 9.0];
const NEAR_PRICES: [f64; 5] = [5.0 / 25.0, 4.0 / 25.0, 3.0 / 25.0, 2.0 / 25.0, 1.0 / 25.0];
const NEAR_NONE: [f64; 1] = [1.0];
/// Weight of what is believed before anything was seen.
const PRIOR: f64 = 4.0;
/// The same for a lateness: one request, over all bins.
const LATENESS_PRIOR: f64 = 1.0;
/// Two sides of a bin differ where they are so many times what chance spreads
/// them apart.
const EDGE: f64 = 3.0;
/// Weights that the share of a neighbourhood may have against that of a bin in
/// it: the one that would have foretold best what was seen is taken, so that
/// sharp edges stay where there is enough to see them by.
const SMOOTHINGS: [f64; 5] = [1_024.0, 256.0, 64.0, 16.0, 4.0];
/// After so many requests the weights are chosen anew.
const SMOOTHED_EVERY: u32 = 256;
/// What is believed of prices and lateness before anything was seen.
const ANY_PRICE: (f64, f64) = (1.0 / PRICE_BINS as f64, PRIOR);
const ANY_LATENESS: (f64, f64) = (1.0 / LATENESS_BINS as f64, LATENESS_PRIOR);
/// Weight of the usual rate of messages against that of the moment.
const USUAL_RATE: f64 = 0.1;
/// Of all requests, how many are believed to be triggered before any was seen.
const TRIGGERED: f64 = 0.8;
/// So many requests of its own weigh as much as what is known of all sessions
/// of its protocol.
const ABOVE: f64 = 16.0;
/// So many packets that came by chance in a bin tell how often they do; where there
/// are fewer, so many in its surroundings.
const CHANCE_OWN: f64 = 4.0;
const CHANCE_MIN: f64 = 16.0;
/// Most bins to each side that they are looked for in: three doublings.
const CHANCE_BINS: usize = 3 * BINS_PER_OCTAVE as usize + 1;
/// Rounds of expectation and maximisation over a sample.
const ROUNDS: usize = 12;
/// Most requests of a sample that are learned from.
pub const CASES_MAX: usize = 1 << 13;
/// Most sessions with a model of their own.
pub const MODELS_MAX: usize = 1 << 11;

/// A request and what came before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The request.
    pub id: Identity,
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

/// How likely a message is what a request heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// The message of the feed, or of a bus.
    pub message: Identity,
    /// The chance that it is the one.
    pub chance: f32,
}

/// How often each of some bins occurred.
#[derive(Clone, Debug)]
struct Counts<const N: usize> {
    bins: [f64; N],
    sum: f64,
    /// Of [`SMOOTHINGS`].
    smoothing: f64,
}

impl<const N: usize> Counts<N> {
    const NONE: Self = Self { bins: [0.0; N], sum: 0.0, smoothing: SMOOTHINGS[0] };

    fn add(&mut self, bin: usize, weight: f64) {
        if let Some(count) = self.bins.get_mut(bin) {
            *count += weight;
            self.sum += weight;
        }
    }

    /// Count of a bin `without` some of it, its neighbours taken in by their
    /// distance. Where its two sides differ by more than chance lets them, the
    /// bin is at an edge, and only the side it is like counts.
    fn near(&self, bin: usize, weights: &[f64], without: f64) -> f64 {
        // What is taken back may fall below nothing by rounding.
        let at = |bin: Option<usize>| {
            bin.and_then(|bin| self.bins.get(bin)).map_or(0.0, |count| count.max(0.0))
        };
        let own = (at(Some(bin)) - without).max(0.0);
        let (first, others) = weights.split_first().unwrap_or((&1.0, &[]));
        let side = |count: &dyn Fn(usize) -> f64| {
            let add = |(sum, spread): (f64, f64), (far, weight): (usize, &f64)| {
                let count = count(far + 1);
                (sum + weight * count, spread + weight * weight * count)
            };
            others.iter().enumerate().fold((0.0, 0.0), add)
        };
        let (left, left_spread) = side(&|far| at(bin.checked_sub(far)));
        let (right, right_spread) = side(&|far| at(bin.checked_add(far)));
        let apart = (left - right).powi(2);
        if apart <= EDGE * EDGE * (left_spread + right_spread) {
            return first * own + left + right;
        }
        let expected = own * others.iter().sum::<f64>();
        let like_left = (left - expected).abs() <= (right - expected).abs();
        first * own + 2.0 * if like_left { left } else { right }
    }

    /// Share of a bin, drawn towards that of its neighbourhood.
    fn shape(&self, bin: usize, weights: &[f64], believed: (f64, f64)) -> f64 {
        let around = self.share(bin, weights, believed);
        self.share(bin, &NEAR_NONE, (around, self.smoothing))
    }

    /// Chooses how much the neighbourhood says: each of what was counted is
    /// foretold by all others.
    fn smooth(&mut self, weights: &[f64], (believed, prior): (f64, f64)) {
        let mut sums = [0.0; SMOOTHINGS.len()];
        for (bin, &count) in self.bins.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let one = count.min(1.0);
            let others = (self.sum - one).max(0.0);
            let around = (self.near(bin, weights, one) + prior * believed) / (others + prior);
            for (sum, smoothing) in sums.iter_mut().zip(SMOOTHINGS) {
                let share = (count - one + smoothing * around) / (others + smoothing);
                *sum += count * share.max(f64::MIN_POSITIVE).ln();
            }
        }
        let mut best = (sums[0], SMOOTHINGS[0]);
        for (&sum, smoothing) in sums.iter().zip(SMOOTHINGS) {
            if sum > best.0 {
                best = (sum, smoothing);
            }
        }
        self.smoothing = best.1;
    }

    /// Share of a bin, drawn towards `believed` by the weight of a prior.
    fn share(&self, bin: usize, weights: &[f64], (believed, prior): (f64, f64)) -> f64 {
        (self.near(bin, weights, 0.0) + prior * believed) / (self.sum.max(0.0) + prior)
    }
}

/// What the contents of messages are like.
#[derive(Clone, Debug)]
struct Content {
    /// Kind and side together: what has no side is mostly of one kind.
    kinds: Counts<KIND_BINS>,
    prices: Counts<PRICE_BINS>,
}

impl Content {
    const NONE: Self = Self { kinds: Counts::NONE, prices: Counts::NONE };

    fn add(&mut self, case: &Case, candidate: &Candidate, weight: f64) {
        self.kinds.add(kind_bin(case, candidate), weight);
        if let Some(bin) = price_bin(case, candidate) {
            self.prices.add(bin, weight);
        }
    }

    /// Shares of a kind and of a price here, and in `others`. `above`: the
    /// same of all sessions.
    fn shares(&self, others: &Self, bins: Bins, above: Option<&Shares>) -> Shares {
        let believed = |own: fn(&Shares) -> f64, none: (f64, f64)| {
            above.map_or(none, |above| (own(above), ABOVE))
        };
        let kind_other = believed(|s| s.kind_other, (1.0 / KIND_BINS as f64, PRIOR));
        let kind_other = others.kinds.share(bins.kind, &NEAR_NONE, kind_other);
        let kind = believed(|s| s.kind, (kind_other, PRIOR));
        let kind = self.kinds.share(bins.kind, &NEAR_NONE, kind);
        let Some(price) = bins.price else {
            return Shares { kind, kind_other, price: 1.0, price_other: 1.0 };
        };
        let price_other = believed(|s| s.price_other, ANY_PRICE);
        let price_other = others.prices.shape(price, &NEAR_PRICES, price_other);
        let own = believed(|s| s.price, (price_other, PRIOR));
        let price = self.prices.shape(price, &NEAR_PRICES, own);
        Shares { kind, kind_other, price, price_other }
    }
}

/// Where a message's content is counted.
#[derive(Clone, Copy, Debug)]
struct Bins {
    kind: usize,
    price: Option<usize>,
}

impl Bins {
    fn of(case: &Case, candidate: &Candidate) -> Self {
        Self { kind: kind_bin(case, candidate), price: price_bin(case, candidate) }
    }
}

/// How usual a message's content is for a trigger, and for another message.
#[derive(Clone, Copy, Debug)]
struct Shares {
    kind: f64,
    kind_other: f64,
    price: f64,
    price_other: f64,
}

impl Shares {
    /// How much likelier it is for a trigger.
    fn odds(self) -> f64 {
        let ratio = |own: f64, other: f64| if other > 0.0 { own / other } else { 1.0 };
        ratio(self.kind, self.kind_other) * ratio(self.price, self.price_other)
    }
}

/// Messages heard one way: directly, or over a bus.
#[derive(Clone, Debug)]
struct HeardWay {
    /// Lateness of requests to what triggered them.
    lateness: Counts<LATENESS_BINS>,
    triggers: Content,
    /// Lateness of requests to all other packets.
    others_lateness: Counts<LATENESS_BINS>,
    others: Content,
}

impl HeardWay {
    const NONE: Self = Self {
        lateness: Counts::NONE,
        triggers: Content::NONE,
        others_lateness: Counts::NONE,
        others: Content::NONE,
    };

    fn add(&mut self, case: &Case, candidate: &Candidate, chance: f64, weight: f64) {
        let (bin, _) = lateness_bin(candidate.latency_ns);
        self.lateness.add(bin, weight * chance);
        self.triggers.add(case, candidate, weight * chance);
        // The packet as a whole is another as far as none in it is the trigger.
        let packet = 1.0 / f64::from(candidate.mates.max(1));
        self.others_lateness.add(bin, weight * (packet - chance));
        self.others.add(case, candidate, weight * (1.0 - chance));
    }

    /// Packets that came by chance about as late, and the nanoseconds that they
    /// came in. Where a bin is too narrow to tell, so many bins to both sides are
    /// taken in that there are enough packets, or would be at the usual rate:
    /// messages come in bursts, so that just before a request there are more.
    fn others_near(&self, bin: usize, rates_per_ns: f64) -> (f64, f64) {
        let own = self.others_lateness.near(bin, &NEAR_LATENESS, 0.0);
        let width_ns = bin_width_ns(bin);
        if own.max(rates_per_ns * width_ns) >= CHANCE_OWN {
            return (own, width_ns);
        }
        let bins = &self.others_lateness.bins;
        let (mut seen, mut widths_ns) = (0.0, 0.0);
        for far in 0..CHANCE_BINS {
            let sides = [bin.checked_sub(far), bin.checked_add(far).filter(|_| far > 0)];
            for (bin, count) in sides.into_iter().flatten().filter_map(|b| Some((b, bins.get(b)?)))
            {
                seen += count.max(0.0);
                widths_ns += bin_width_ns(bin);
            }
            if seen.max(rates_per_ns * widths_ns) >= CHANCE_MIN {
                break;
            }
        }
        (seen, widths_ns)
    }

    fn smooth(&mut self) {
        self.lateness.smooth(&NEAR_LATENESS, ANY_LATENESS);
        self.triggers.prices.smooth(&NEAR_PRICES, ANY_PRICE);
        self.others.prices.smooth(&NEAR_PRICES, ANY_PRICE);
    }
}

/// What is known of one session's reactions, or of all of a protocol's.
#[derive(Clone, Debug)]
struct Model {
    /// Heard directly, over a bus.
    ways: [HeardWay; 2],
    /// Packets a nanosecond of the instruments, summed over the requests.
    rates_per_ns: f64,
    /// Requests that name no trigger, and of them those that had one.
    untold: f64,
    triggered: f64,
    /// Requests since the weights were chosen.
    unsmoothed: u32,
}

impl Model {
    fn new() -> Self {
        let ways = [HeardWay::NONE; 2];
        Self { ways, rates_per_ns: 0.0, untold: 0.0, triggered: 0.0, unsmoothed: 0 }
    }

    fn reactions(&self) -> f64 {
        self.ways.iter().map(|way| way.lateness.sum).sum()
    }

    fn cases(&self) -> f64 {
        self.reactions() + self.untold - self.triggered
    }

    /// The chance that a request that names nothing was triggered.
    fn triggered(&self, above: Option<&Self>) -> f64 {
        let believed = above.map_or(TRIGGERED, |above| above.triggered(None));
        (self.triggered + PRIOR * believed) / (self.untold + PRIOR)
    }

    /// What is heard one way, of all that triggers something.
    fn of_way(&self, relayed: bool, above: Option<&Self>) -> f64 {
        let (believed, prior) = above.map_or((0.5, PRIOR), |a| (a.of_way(relayed, None), ABOVE));
        let own = self.ways.get(usize::from(relayed)).map_or(0.0, |way| way.lateness.sum);
        (own + prior * believed) / (self.reactions() + prior)
    }

    /// The chance that what triggers something was heard this way. A session hears one
    /// way, as a rule: what the other seems to explain now and then is chance, unless
    /// it explains much.
    fn hears(&self, relayed: bool, above: Option<&Self>) -> f64 {
        let (own, other) = (self.of_way(relayed, above), self.of_way(!relayed, above));
        let (own, other) = (own * own, other * other);
        own / (own + other)
    }

    /// The share of a lateness, and those of a content.
    fn shares(
        &self,
        relayed: bool,
        (late, content): (usize, Bins),
        above: Option<&Self>,
    ) -> Option<(f64, Shares)> {
        let above = above.and_then(|above| above.shares(relayed, (late, content), None));
        let believed = above.map_or(ANY_LATENESS, |(lateness, _)| (lateness, ABOVE));
        let way = self.ways.get(usize::from(relayed))?;
        let lateness = way.lateness.shape(late, &NEAR_LATENESS, believed);
        let contents = above.as_ref().map(|(_, contents)| contents);
        Some((lateness, way.triggers.shares(&way.others, content, contents)))
    }

    /// The chance of each candidate to be the trigger. `above`: what is known
    /// of all sessions.
    fn chances(&self, case: &Case, above: Option<&Self>) -> Vec<f64> {
        let triggered = self.triggered(above);
        let odds_of = |candidate: &Candidate| {
            let (bin, width_ns) = lateness_bin(candidate.latency_ns);
            let bins = (bin, Bins::of(case, candidate));
            let Some((lateness, content)) = self.shares(candidate.relayed, bins, above) else {
                return 0.0;
            };
            let reacted = triggered * self.hears(candidate.relayed, above) * lateness / width_ns;
            let others = self.others_per_ns(case, candidate, triggered);
            reacted / others * content.odds() / f64::from(candidate.mates.max(1))
        };
        let odds: Vec<f64> = case.before.candidates.iter().map(odds_of).collect();
        let all: f64 = odds.iter().sum::<f64>() + (1.0 - triggered);
        odds.iter().map(|odds| if all > 0.0 { odds / all } else { 0.0 }).collect()
    }

    /// The chance of each candidate with the number that a request names: one number
    /// may be of several messages, which differ in what they say.
    fn named(&self, case: &Case, named: u64, above: Option<&Self>) -> Vec<f64> {
        let several = case.before.candidates.iter().filter(|c| c.seq == named).count() > 1;
        let weight = |candidate: &Candidate| {
            if candidate.seq != named {
                return 0.0;
            }
            let (bin, _) = lateness_bin(candidate.latency_ns);
            let bins = (bin, Bins::of(case, candidate));
            let shares = several.then(|| self.shares(candidate.relayed, bins, above)).flatten();
            shares.map_or(1.0, |(_, content)| content.odds())
        };
        let weights: Vec<f64> = case.before.candidates.iter().map(weight).collect();
        let all: f64 = weights.iter().sum();
        weights.iter().map(|weight| if all > 0.0 { weight / all } else { 0.0 }).collect()
    }

    /// How many packets a nanosecond come this late before a request without
    /// having triggered it: the instruments' rate, times the share of it that
    /// is still heard this way then. What a bus relays is heard directly for
    /// as long as the bus takes, and over the bus from then on.
    fn others_per_ns(&self, case: &Case, candidate: &Candidate, triggered: f64) -> f64 {
        let heard: f64 = case.before.heard.iter().copied().map(f64::from).sum();
        let usual = USUAL_RATE * self.rates_per_ns * RATE_SPAN_NS as f64 / self.cases().max(1.0);
        // One of those heard may be the trigger itself.
        let others = (heard - triggered).max(0.3) + usual;
        let rate_per_ns = others / (1.0 + USUAL_RATE) / RATE_SPAN_NS as f64;
        let relayed = case.before.heard.get(1).copied().map_or(0.0, f64::from);
        let believed = if candidate.relayed { relayed / heard.max(1.0) } else { 1.0 };
        let Some(way) = self.ways.get(usize::from(candidate.relayed)) else { return rate_per_ns };
        let (bin, _) = lateness_bin(candidate.latency_ns);
        let (seen, widths_ns) = way.others_near(bin, self.rates_per_ns);
        let share = (seen + believed) / (self.rates_per_ns * widths_ns + 1.0);
        rate_per_ns * share
    }

    /// Learns from a case, given the chances of its candidates; a negative
    /// weight takes back what was learned.
    fn learn(&mut self, case: &Case, chances: &[f64], weight: f64) {
        if case.named.is_none() {
            self.untold += weight;
            self.triggered += weight * chances.iter().sum::<f64>();
        }
        let heard: f64 = case.before.heard.iter().copied().map(f64::from).sum();
        self.rates_per_ns += weight * heard / RATE_SPAN_NS as f64;
        for (candidate, &chance) in case.before.candidates.iter().zip(chances) {
            if let Some(way) = self.ways.get_mut(usize::from(candidate.relayed)) {
                way.add(case, candidate, chance, weight);
            }
        }
        self.unsmoothed += u32::from(weight > 0.0);
        if self.unsmoothed >= SMOOTHED_EVERY {
            self.unsmoothed = 0;
            self.ways.iter_mut().for_each(HeardWay::smooth);
        }
    }
}

/// How many nanoseconds wide a bin is; the first one is all from 0.
fn bin_width_ns(bin: usize) -> f64 {
    if bin == 0 {
        return (1u64 << FIRST_OCTAVE) as f64 * (1.0 + 1.0 / f64::from(BINS_PER_OCTAVE));
    }
    let octave = FIRST_OCTAVE + bin as u32 / BINS_PER_OCTAVE;
    (1u64 << octave.min(62)) as f64 / f64::from(BINS_PER_OCTAVE)
}

/// The bin of a lateness, and how many nanoseconds wide it is.
fn lateness_bin(latency_ns: i64) -> (usize, f64) {
    let ns = latency_ns.clamp(1 << FIRST_OCTAVE, REACTION_MAX_NS) as u64;
    let octave = ns.ilog2();
    let within = ((ns - (1 << octave)) * u64::from(BINS_PER_OCTAVE)) >> octave;
    let bin = (octave - FIRST_OCTAVE) * BINS_PER_OCTAVE + within as u32;
    (bin as usize, bin_width_ns(bin as usize))
}

/// The kind, with the side: not known, the order's, the other; and whether it
/// is of an instrument that the order follows.
fn kind_bin(case: &Case, candidate: &Candidate) -> usize {
    let is_buy = |side: Side| side == Side::Buy;
    let side = match (case.side, candidate.side) {
        (Some(order), Some(message)) => 1 + usize::from(is_buy(order) != is_buy(message)),
        _ => 0,
    };
    6 * (candidate.kind as usize).min(63) + 3 * usize::from(candidate.mapped) + side
}

/// How far the order's price is from the message's, towards the other side of
/// the book counted up: by cents where near, else by doublings of a cent. Prices
/// of other instruments say nothing.
fn price_bin(case: &Case, candidate: &Candidate) -> Option<usize> {
    if candidate.mapped {
        return None;
    }
    let apart = case.price?.checked_sub(candidate.price?)?;
    let cents = if case.side == Some(Side::Buy) { apart } else { apart.checked_neg()? } / CENT;
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
    /// Requests of the sample that were not decided yet.
    sample: HashSet<Identity>,
}

impl Reactions {
    /// Learns from a sample of requests, several times over. What a request
    /// taught before is taken back while its own chances are looked for, else
    /// it would confirm itself.
    pub fn of_sample(cases: &[Case]) -> Self {
        let mut known = Self::default();
        let mut taught: Vec<Vec<f64>> = Vec::with_capacity(cases.len());
        for round in 0..ROUNDS {
            for (place, case) in cases.iter().enumerate() {
                if let Some(before) = taught.get(place).filter(|_| round > 0) {
                    known.learn(case, before, -1.0);
                }
                let chances = known.chances(case);
                known.learn(case, &chances, 1.0);
                match taught.get_mut(place) {
                    Some(before) => *before = chances,
                    None => taught.push(chances),
                }
            }
        }
        known.sample = cases.iter().map(|case| case.id).collect();
        known
    }

    /// The likeliest trigger; `None` where it is likelier that there is none,
    /// or the request names one. Learns from the request, whose part in the
    /// sample is taken back before.
    pub fn decide(&mut self, case: &Case) -> Option<Choice> {
        if self.sample.remove(&case.id) {
            let before = self.chances(case);
            self.learn(case, &before, -1.0);
        }
        let chances = self.chances(case);
        let choice = likeliest(&chances).filter(|_| case.named.is_none());
        self.learn(case, &chances, 1.0);
        choice
    }

    /// Of a request that names a number which several messages have, how likely
    /// each of them is what it reacted to, by what it reacts to otherwise. Nothing
    /// where the number is of one message only.
    pub fn heard(&self, case: &Case) -> Vec<Heard> {
        let Some(named) = case.named else { return Vec::new() };
        let is_named = |(candidate, _): &(&Candidate, f64)| candidate.seq == named;
        let chances = self.chances(case);
        let all = case.before.candidates.iter().zip(chances).filter(is_named);
        let all: Vec<Heard> =
            all.map(|(c, chance)| Heard { message: c.heard, chance: chance as f32 }).collect();
        if all.len() > 1 { all } else { Vec::new() }
    }

    /// The chances of a case's candidates: certain where it names one.
    fn chances(&self, case: &Case) -> Vec<f64> {
        let above = self.protocols.get(&case.protocol);
        let unknown = Model::new;
        let own = self.sessions.get(&case.conversation);
        match case.named {
            Some(named) => own.map_or_else(
                || unknown().named(case, named, above),
                |own| own.named(case, named, above),
            ),
            None => own.map_or_else(|| unknown().chances(case, above), |o| o.chances(case, above)),
        }
    }

    fn learn(&mut self, case: &Case, chances: &[f64], weight: f64) {
        for (models, key) in
            [(&mut self.sessions, case.conversation), (&mut self.protocols, case.protocol)]
        {
            if models.len() < MODELS_MAX || models.contains_key(&key) {
                models.entry(key).or_insert_with(Model::new).learn(case, chances, weight);
            }
        }
    }
}

/// The candidate with the highest chance, where it is at least that of none.
fn likeliest(chances: &[f64]) -> Option<Choice> {
    let none = 1.0 - chances.iter().sum::<f64>();
    let best = chances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    let (candidate, &chance) = best?;
    (chance >= none && chance > 0.0)
        .then_some(Choice { candidate, confidence: chance.min(0.999) as f32 })
}

#[cfg(test)]
#[path = "reaction_tests.rs"]
mod tests;
