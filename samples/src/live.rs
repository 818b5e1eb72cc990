//! The simulated site in real time: its day goes on as the clock on the wall does.
//!
//! ```text
//! clock on the wall   ──────────────┬───────────> now
//! simulated day       ──────────────┤ events up to now happen
//! packets given       ────────┤     │ those that no later one can precede
//!                             └ 50 ms: the taps' hold
//! ```
//!
//! A day that ends is followed by another one with the next seed, so that trading goes
//! on until nobody asks any more.

use crate::config::SimConfig;
use crate::net::tap::SimPacket;
use crate::sim::{Output, Simulation};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Length of a day, in seconds.
pub const DAY_S: u64 = 86_400;

/// What the site sees, as it happens.
#[derive(Debug)]
pub struct LiveSite {
    sim: Simulation,
    began: Instant,
    /// What the simulation has told before its time: it goes from event to event.
    early: Vec<SimPacket>,
}

/// How far a tap's clock may be ahead, ns.
const AHEAD_NS: i64 = 1_500_000;

impl LiveSite {
    /// A site whose day begins now: `orders_per_s` and the feed's messages a second of
    /// `config`; it keeps no truth.
    pub fn begin(config: &SimConfig, orders_per_s: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let config = SimConfig {
            start_ns: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX / 2),
            seconds: DAY_S,
            orders: orders_per_s.saturating_mul(DAY_S),
            truth: false,
            ..config.clone()
        };
        Self { sim: Simulation::new(&config), began: Instant::now(), early: Vec::new() }
    }

    /// The day under way, for the site's configuration.
    pub fn simulation(&mut self) -> &mut Simulation {
        &mut self.sim
    }

    /// The packets that passed since this was last asked, in order of their stamps.
    pub fn passed(&mut self) -> Vec<SimPacket> {
        self.passed_at(self.began.elapsed())
    }

    fn passed_at(&mut self, elapsed: Duration) -> Vec<SimPacket> {
        let elapsed_ns = i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX);
        let now_ns = self.sim.config.start_ns.saturating_add(elapsed_ns);
        let mut passed = std::mem::take(&mut self.early);
        while self.sim.now_ns() < now_ns {
            match self.sim.next() {
                Some(Output::Packet(packet)) => passed.push(packet),
                Some(Output::Truth(_)) => {}
                None => {
                    let orders_per_s = self.sim.config.orders / DAY_S;
                    let seed = self.sim.config.seed.wrapping_add(1);
                    let next = SimConfig { seed, ..self.sim.config.clone() };
                    *self = Self::begin(&next, orders_per_s);
                    break;
                }
            }
        }
        passed.sort_by_key(|packet| packet.meta.ts);
        let until_ns = now_ns.saturating_add(AHEAD_NS);
        let due = passed.partition_point(|packet| packet.meta.ts.ns() < until_ns);
        self.early = passed.split_off(due);
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::POINTS;

    #[test]
    fn time_goes_on_by_itself_and_every_point_sees_something() {
        let config = SimConfig { rate_msgs_per_s: 500, trailers: true, ..SimConfig::default() };
        let mut site = LiveSite::begin(&config, 50);
        let start_ns = site.sim.config.start_ns;
        let mut seen = [0_u64; POINTS.len()];
        let mut last_ns = [0_i64; POINTS.len()];
        for tick in 1..=40 {
            let elapsed = Duration::from_millis(100 * tick);
            for packet in site.passed_at(elapsed) {
                let ts = packet.meta.ts.ns();
                // A clock may be a millisecond ahead.
                assert!(ts < start_ns + elapsed.as_nanos() as i64 + 2_000_000);
                assert!(ts >= last_ns[packet.point], "in order");
                last_ns[packet.point] = ts;
                seen[packet.point] += 1;
                let trailer = u16::from_be_bytes([packet.data[packet.data.len() - 7], 0x31]);
                assert_eq!(trailer, 0x0A31, "a tap's stamp at every point");
            }
        }
        assert!(seen.iter().all(|&packets| packets > 20), "{seen:?}");
    }
}
