//! The offset of two clocks at one moment, from messages that cross both ways.
//!
//! ```text
//! tB - tA   .  . forward: theta + delay          hi: highest line below all forward,
//!            ._____________ lower hull     <───      at the moment
//!              ───────────  theta
//!            '‾‾‾‾‾‾‾‾‾‾‾‾‾ upper hull     <───  lo: lowest line above all reverse
//!           '   ' reverse: theta - delay
//! ```
//!
//! Delays are never negative, so theta, a line within a window, lies between
//! the hulls. The bound is all that such lines reach at the moment; the
//! estimate lies midway at the slope where the hulls are farthest apart (Moon,
//! Skelly and Towsley 1999; Zhang, Liu and Xia 2002). A constant asymmetry of
//! the two delays cannot be seen: it is inside the bound, not in the estimate.
//!
//! Floats live only here, relative to the moment and to one of the samples:
//! below 2^40 ns an error of 2^-12 ns, which the rounding of the bound, outwards
//! by at least 1 ns, contains.

/// Largest rate of one clock against another: twice the 100 ppm of a
/// free-running oscillator.
pub const SLOPE_MAX: f64 = 200e-6;

/// Smallest spread that outliers are measured in, ns.
const SPREAD_MIN_NS: f64 = 8.0;

/// Spreads beyond the envelope from which a sample is a wrong match.
const SPREADS_MAX: f64 = 6.0;

/// Buckets that the robust line is drawn through at most.
const ROBUST_MAX: usize = 64;

/// Fewest buckets among which an outlier can be told.
const ROBUST_MIN: usize = 5;

/// Halvings and thirds of a search: beyond what a float tells apart.
const SEARCH_STEPS: usize = 90;

/// A difference of two stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Time by the first clock, ns.
    pub t: i64,
    /// time(second) - time(first), ns, less the known smallest delay.
    pub d: i64,
}

/// What the traffic around a moment says about the offset then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Lower bound, ns; `None` without traffic in reverse.
    pub lo_ns: Option<i64>,
    /// Upper bound, ns; `None` without traffic forward.
    pub hi_ns: Option<i64>,
    /// Best estimate, ns; `None` where traffic went one way only.
    pub offset_ns: Option<i64>,
    /// Rate, parts per billion.
    pub drift_ppb: i64,
    /// Median distance of the buckets' extremes from their line, ns.
    pub residual_ns: i64,
}

/// Why there is no bound at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbounded {
    /// No message.
    None,
    /// No line lies between the hulls: the clock stepped, or matches are wrong.
    Contradiction,
}

type Dot = (f64, f64);

/// The offset at `at`. `forward` and `reverse` are buckets of time, each with
/// its most extreme samples, the most extreme first: the smallest differences
/// forward, the largest in reverse. `noise_ns` is how wrong a difference of
/// two stamps can be.
///
/// # Errors
/// [`Unbounded`] where no bound follows.
pub fn fit(
    at: i64,
    forward: &[Vec<Sample>],
    reverse: &[Vec<Sample>],
    noise_ns: i64,
) -> Result<Fit, Unbounded> {
    let all = forward.iter().chain(reverse).flatten();
    let Some(zero) = all.map(|sample| sample.d).next() else { return Err(Unbounded::None) };
    let above = Side::new(at, zero, 1.0, forward, noise_ns);
    let below = Side::new(at, zero, -1.0, reverse, noise_ns);
    let upper = |reach: f64| zero.saturating_add(reach.ceil() as i64).saturating_add(1);
    let lower = |reach: f64| zero.saturating_add((-reach).floor() as i64).saturating_sub(1);
    let one_way = |side: &Side, sign: f64, lo_ns, hi_ns| Fit {
        lo_ns,
        hi_ns,
        offset_ns: None,
        drift_ppb: (sign * side.slope() * 1e9).round() as i64,
        residual_ns: side.spread.ceil() as i64,
    };
    if below.hull.is_empty() {
        return Ok(one_way(&above, 1.0, None, Some(upper(above.highest(-SLOPE_MAX, SLOPE_MAX)))));
    }
    if above.hull.is_empty() {
        return Ok(one_way(&below, -1.0, Some(lower(below.highest(-SLOPE_MAX, SLOPE_MAX))), None));
    }
    let gap = |slope: f64| above.reach(slope) + below.reach(-slope);
    let best = highest(-SLOPE_MAX, SLOPE_MAX, gap);
    if gap(best) < 0.0 {
        return Err(Unbounded::Contradiction);
    }
    let least = last_feasible(best, -SLOPE_MAX, gap);
    let most = last_feasible(best, SLOPE_MAX, gap);
    let middle = (above.reach(best) - below.reach(-best)) / 2.0;
    let (lo, hi) = (lower(below.highest(-most, -least)), upper(above.highest(least, most)));
    Ok(Fit {
        lo_ns: Some(lo),
        hi_ns: Some(hi),
        offset_ns: Some(zero.saturating_add(middle.round() as i64).max(lo).min(hi)),
        drift_ppb: (best * 1e9).round() as i64,
        residual_ns: above.spread.max(below.spread).ceil() as i64,
    })
}

/// One direction, turned so that theta lies below its dots.
struct Side {
    hull: Vec<Dot>,
    spread: f64,
}

impl Side {
    fn new(at: i64, zero: i64, sign: f64, buckets: &[Vec<Sample>], noise_ns: i64) -> Self {
        let dot = |s: &Sample| -> Dot {
            let x = s.t.saturating_sub(at) as f64;
            (x, sign * s.d.saturating_sub(zero) as f64 + noise_ns as f64)
        };
        let dots: Vec<Vec<Dot>> =
            buckets.iter().map(|bucket| bucket.iter().map(dot).collect()).collect();
        let (kept, spread) = without_outliers(&dots);
        Self { hull: lower_hull(kept), spread }
    }

    /// Where the highest line of this slope below all dots stands at the moment.
    fn reach(&self, slope: f64) -> f64 {
        self.hull.iter().map(|(x, y)| y - slope * x).fold(f64::INFINITY, f64::min)
    }

    /// What lines with a slope between the two reach at the moment.
    fn highest(&self, least: f64, most: f64) -> f64 {
        self.reach(highest(least, most, |slope| self.reach(slope)))
    }

    /// The slope of the hull below the middle of the traffic.
    fn slope(&self) -> f64 {
        let ends = self.hull.first().zip(self.hull.last());
        let middle = ends.map_or(0.0, |(a, b)| (a.0 + b.0) / 2.0);
        let edge = self.hull.windows(2).find(|edge| edge[1].0 >= middle && edge[1].0 > edge[0].0);
        edge.map_or(0.0, |edge| (edge[1].1 - edge[0].1) / (edge[1].0 - edge[0].0))
            .clamp(-SLOPE_MAX, SLOPE_MAX)
    }
}

/// Drops what lies far below a robust line through the buckets' second
/// extremes, which one wrong match a bucket cannot move. What is dropped only
/// widens the bound. Also gives the median distance from the line.
fn without_outliers(buckets: &[Vec<Dot>]) -> (Vec<Dot>, f64) {
    let seconds: Vec<Dot> =
        buckets.iter().filter_map(|b| b.get(1).or(b.first()).copied()).collect();
    let all = || buckets.iter().flatten().copied();
    if seconds.len() < ROBUST_MIN {
        return (all().collect(), 0.0);
    }
    let stride = seconds.len().div_ceil(ROBUST_MAX);
    let chosen: Vec<Dot> = seconds.into_iter().step_by(stride).collect();
    let slope = theil_sen(&chosen);
    let level = median(chosen.iter().map(|(x, y)| y - slope * x).collect());
    let distance = |&(x, y): &Dot| y - slope * x - level;
    let spread = median(chosen.iter().map(|dot| distance(dot).abs()).collect());
    let floor = -SPREADS_MAX * spread.max(SPREAD_MIN_NS);
    (all().filter(|dot| distance(dot) >= floor).collect(), spread)
}

/// The median of the slopes between all pairs.
fn theil_sen(dots: &[Dot]) -> f64 {
    let mut slopes = Vec::with_capacity(dots.len() * dots.len() / 2);
    for (place, (x, y)) in dots.iter().enumerate() {
        let later = dots.iter().skip(place + 1).filter(|(other, _)| other != x);
        slopes.extend(later.map(|(x2, y2)| (y2 - y) / (x2 - x)));
    }
    median(slopes).clamp(-SLOPE_MAX, SLOPE_MAX)
}

fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}

/// The vertices below which no dot lies, by time (Andrew's monotone chain).
fn lower_hull(mut dots: Vec<Dot>) -> Vec<Dot> {
    dots.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut hull: Vec<Dot> = Vec::new();
    for dot in dots {
        while let [.., a, b] = hull[..]
            && (b.0 - a.0) * (dot.1 - a.1) <= (b.1 - a.1) * (dot.0 - a.0)
        {
            hull.pop();
        }
        hull.push(dot);
    }
    hull
}

/// Where a concave function is highest.
fn highest(mut from: f64, mut to: f64, value: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..SEARCH_STEPS {
        let third = (to - from) / 3.0;
        if value(from + third) < value(to - third) { from += third } else { to -= third }
    }
    (from + to) / 2.0
}

/// The slope farthest from `best` towards `limit` at which the gap is open.
/// It is left a little on the closed side, so that rounding cannot narrow.
fn last_feasible(best: f64, limit: f64, gap: impl Fn(f64) -> f64) -> f64 {
    if gap(limit) >= 0.0 {
        return limit;
    }
    let (mut open, mut closed) = (best, limit);
    for _ in 0..SEARCH_STEPS {
        let middle = (open + closed) / 2.0;
        if gap(middle) >= 0.0 { open = middle } else { closed = middle }
    }
    closed
}
