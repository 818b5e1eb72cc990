//! A capture node that is killed under load, at random moments, while another one, which
//! is not, says what was on the wire.
//!
//! ```text
//! bursts ═══╦══▶ node, killed and started again and again ─▶ store
//!           ╚══▶ witness ─▶ its own store: every packet and when it passed
//! ```
//!
//! After each kill everything that was sealed is there, once. At the end: of each life
//! everything is there from its first packet to a second before the kill, without a hole,
//! and the accounts never claim a packet that is not there. Skipped with a word where this
//! user may make no namespaces.

use crate::support::{sql, sql_n};
use crate::wire::{Wire, ms, stored_at};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a node is killed, unless `TAPTRAIL_KILLS` says otherwise.
const KILLS: u32 = 40;

/// Packets of a burst.
const BURST: u32 = 1_000;

/// What a kill may lose, and the time that this machine takes to deliver it.
const UNSYNCED_NS: i64 = 1_200_000_000;

/// Two sockets stamp a packet one after the other.
const APART_NS: i64 = 1_000_000;

/// A node from its start to its kill.
struct Life {
    bursts: Range<u32>,
    /// When the kill was sent, ns.
    killed: i64,
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// Another moment each time, the same ones in each run (Knuth's multiplier).
struct Moments(u64);

impl Moments {
    /// One in eight lives lasts longer than a sync.
    fn next(&mut self, round: u32) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = self.0 >> 33;
        ms(if round % 8 == 7 { 1_500 + random % 1_000 } else { 30 + random % 220 })
    }
}

/// Sends bursts while a node lives, and kills it.
fn live_and_die(wire: &Wire, store: &Path, life: Duration, next_burst: &mut u32) -> Life {
    let keys = "segment_s = 1\nsegment_mib = 1\nkeep_free_mib = 0";
    let node = wire.spawn(store, &["rx0"], keys, "");
    let (start, first) = (Instant::now(), *next_burst);
    let mut sending: Vec<Child> = Vec::new();
    while start.elapsed() < life {
        sending.push(wire.start_sending("tx0", *next_burst, BURST, 120));
        *next_burst += 1;
        sleep(ms(150).min(life.saturating_sub(start.elapsed())));
    }
    let killed = now_ns();
    node.kill();
    sending.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    Life { bursts: first..*next_burst, killed }
}

/// What is sealed by now; each packet once.
fn sealed(store: &Path) -> i64 {
    if !store.join("FORMAT").exists() {
        return 0;
    }
    let counts =
        "SELECT count(*) AS n, count(DISTINCT substr(hex(data), 29, 16)) AS d FROM packets";
    let row = &sql(store, counts)[0];
    assert_eq!(row["n"], row["d"], "packets that are sealed twice");
    row["n"].as_i64().unwrap()
}

#[test]
fn killed_at_random_moments_only_the_last_second_is_lost() {
    let Some(wire) = Wire::new() else { return };
    let (store, seen) = (wire.store(), wire.dir.path().join("witness"));
    let witness = wire.witness(&seen, "rx0");
    let kills = std::env::var("TAPTRAIL_KILLS").ok().and_then(|kills| kills.parse().ok());
    let (mut moments, mut next_burst, mut before) = (Moments(7), 0, 0);
    let mut lives = Vec::new();
    for round in 0..kills.unwrap_or(KILLS) {
        lives.push(live_and_die(&wire, &store, moments.next(round), &mut next_burst));
        let now = sealed(&store);
        assert!(now >= before, "kill {round}: {before} packets were sealed, {now} are");
        before = now;
    }
    wire.capture(&store, &["rx0"], "segment_s = 1").stop().remove("rx0").unwrap().closes();
    assert_eq!(fs::read_dir(store.join("open")).unwrap().count(), 0);
    assert!(sealed(&store) >= before);
    let account = witness.stop().remove("rx0").unwrap();
    account.closes();
    assert_eq!(account.written, u64::from(next_burst * BURST), "the witness saw all");

    let (passed, kept) = (stored_at(&seen, "rx0"), stored_at(&store, "rx0"));
    let judged: usize = lives.iter().map(|life| judge(life, &passed, &kept)).sum();
    assert!(judged > lives.len() / 8 * 1_000, "only {judged} packets were old enough");
    println!("{} kills, {} packets kept, {judged} of them had to be", lives.len(), kept.len());
    accounts_claim_nothing_that_is_not_there(&store);
}

/// Of a life everything is there from its first packet to a second before its kill, and
/// without a hole to its last; gives how many packets had to be.
fn judge(
    life: &Life,
    passed: &BTreeMap<(u32, u32), i64>,
    kept: &BTreeMap<(u32, u32), i64>,
) -> usize {
    let of_life = (life.bursts.start, 0)..(life.bursts.end, 0);
    let first = kept.range(of_life.clone()).map(|(_, ns)| *ns).min();
    let Some(first) = first else { return 0 };
    let last = kept.range(of_life.clone()).map(|(_, ns)| *ns).max().unwrap();
    let (mut had_to_be, safe) = (0, life.killed - UNSYNCED_NS);
    for (packet, ns) in passed.range(of_life) {
        let behind_first = *ns > first + APART_NS;
        let between = behind_first && *ns < last - APART_NS;
        let old = behind_first && *ns < safe;
        had_to_be += usize::from(old);
        if between || old {
            let ago = (life.killed - ns) / 1_000_000;
            assert!(kept.contains_key(packet), "{packet:?}, {ago} ms before the kill, is gone");
        }
    }
    had_to_be
}

fn accounts_claim_nothing_that_is_not_there(store: &Path) {
    let claimed = "(SELECT capture_id, sum(written) AS written, sum(dropped_ring) AS ring, sum(dropped_queue + dropped_writer + dropped_disk) AS \
                   dropped FROM capture_stats GROUP BY capture_id) a";
    let there = "(SELECT p.capture_id, count(*) AS packets, count(*) FILTER (WHERE p.ts < s.last - \
                 INTERVAL '1' SECOND) AS old FROM packets p JOIN (SELECT capture_id, max(ts) AS last \
                 FROM capture_stats GROUP BY capture_id) s ON s.capture_id = p.capture_id \
                 GROUP BY p.capture_id) p";
    let all = format!("FROM {claimed} LEFT JOIN {there} ON p.capture_id = a.capture_id");
    let wrong = format!(
        "SELECT a.capture_id, a.written, p.packets, p.old {all} WHERE \
         a.written > coalesce(p.packets, 0) OR a.written < coalesce(p.old, 0) \
         OR a.ring > 0 OR a.dropped > 0"
    );
    assert_eq!(sql(store, &wrong), Vec::<serde_json::Value>::new());
    assert!(sql_n(store, &format!("SELECT count(*) AS n {all} WHERE a.written > 0")) > 0);
}
