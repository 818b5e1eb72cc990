//! What really happened, as `taptrail sim` wrote it.

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A message in a capture: point, packet, message.
pub type Place = (u16, u32, u32);

/// A link of the truth: kind, message and point of its start, of its end.
pub type TrueLink = (Kind, u64, u16, u64, u16);

/// Kinds of links, as their place in [`KINDS`].
pub type Kind = u8;

/// Every kind of link.
pub const KINDS: [&str; 8] = ["same", "trigger", "relay", "ack", "fill", "done", "chain", "public"];

/// The kind of links with this name.
pub fn kind_of(name: &str) -> Option<Kind> {
    KINDS.iter().position(|kind| *kind == name).map(|at| at as Kind)
}

/// Which message it is, and when it really passed.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The message's number, the same at every point.
    pub id: u64,
    /// Line of a feed.
    pub line: Option<char>,
    /// True time, ns since the epoch.
    pub true_ns: i64,
    /// A copy of one captured before.
    pub copy: bool,
}

/// A message that a capture does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Missing {
    /// Where.
    pub point: String,
    /// Its protocol.
    pub protocol: String,
    /// Its line; empty where there is none.
    pub line: String,
    /// Its number.
    pub seq: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Truth {
    points: Vec<String>,
    /// What each captured message is.
    pub seen: HashMap<Place, Seen>,
    /// Everything that a correlation should find.
    pub links: HashSet<TrueLink>,
    /// Requests that nothing on the feed triggered.
    pub untriggered: HashSet<u64>,
    /// Missing messages and why.
    pub missing: BTreeMap<Missing, String>,
    /// Captured messages of which the capture kept a part at most, and, line
    /// by line, the messages of which that is so anywhere.
    pub cut: HashSet<Place>,
    pub cut_ways: HashSet<(u64, Option<char>)>,
    /// By clock: reading minus true time at true times.
    pub offsets: BTreeMap<String, Vec<(i64, i64)>>,
    /// Shortest true way from a point to another, ns.
    pub shortest: BTreeMap<(String, String), i64>,
}

#[derive(Deserialize)]
struct Message {
    id: u64,
    protocol: String,
    #[serde(rename = "type")]
    code: char,
    point: String,
    line: Option<char>,
    true_ns: Option<i64>,
    packet_ix: Option<u32>,
    msg_ix: Option<u32>,
    status: String,
}

#[derive(Deserialize)]
struct Link {
    kind: String,
    from: u64,
    from_point: String,
    to: u64,
    to_point: String,
}

#[derive(Deserialize)]
struct Loss {
    cause: String,
    point: String,
    protocol: String,
    line: Option<char>,
    unit: String,
    first_seq: u64,
    count: u64,
}

#[derive(Deserialize)]
struct Clock {
    clock: String,
    true_ns: i64,
    offset_ns: i64,
}

#[derive(Deserialize)]
struct Order {
    request_id: u64,
    trigger_id: Option<u64>,
}

/// The true times at which each message passed points, line by line.
type Ways = HashMap<(u64, Option<char>), Vec<(i64, u16)>>;

/// The true times at which each message was captured, with the points.
type Passed = HashMap<u64, Vec<(i64, u16)>>;

impl Truth {
    /// Reads the files in `dir`.
    ///
    /// # Errors
    /// Where one is missing or is not what `taptrail sim` writes.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let mut truth = Self::default();
        let mut ways = Ways::new();
        each(&dir.join("messages.jsonl"), |message| truth.message(message, &mut ways))?;
        truth.same_links(&mut ways);
        let passed = truth.passed();
        each(&dir.join("links.jsonl"), |link| truth.link(&link, &passed))?;
        each(&dir.join("losses.jsonl"), |loss| truth.loss(loss))?;
        each(&dir.join("clocks.jsonl"), |clock: Clock| {
            truth.offsets.entry(clock.clock).or_default().push((clock.true_ns, clock.offset_ns));
        })?;
        each(&dir.join("orders.jsonl"), |order: Order| {
            if order.trigger_id.is_none() {
                truth.untriggered.insert(order.request_id);
            }
        })?;
        Ok(truth)
    }

    /// The number of a point, made where it is new.
    fn point_number(&mut self, name: &str) -> u16 {
        let known = self.points.iter().position(|point| point == name);
        known.unwrap_or_else(|| {
            self.points.push(name.to_owned());
            self.points.len() - 1
        }) as u16
    }

    /// The number of a point that the truth knows.
    pub fn point(&self, name: &str) -> Option<u16> {
        self.points.iter().position(|point| point == name).map(|at| at as u16)
    }

    fn message(&mut self, message: Message, ways: &mut Ways) {
        let point = self.point_number(&message.point);
        let (Some(true_ns), Some(packet_ix), Some(msg_ix)) =
            (message.true_ns, message.packet_ix, message.msg_ix)
        else {
            return;
        };
        if message.status == "cut" {
            self.cut.insert((point, packet_ix, msg_ix));
            self.cut_ways.insert((message.id, message.line));
            return;
        }
        let copy = message.status == "duplicate";
        let seen = Seen { id: message.id, line: message.line, true_ns, copy };
        self.seen.insert((point, packet_ix, msg_ix), seen);
        if !copy && is_linked(&message.protocol, message.code) {
            ways.entry((message.id, message.line)).or_default().push((true_ns, point));
        }
    }

    /// A message at the next point that saw it.
    fn same_links(&mut self, ways: &mut Ways) {
        let same = kind_of("same").unwrap_or(0);
        for ((id, line), way) in ways {
            if self.cut_ways.contains(&(*id, *line)) {
                continue;
            }
            way.sort_unstable();
            for pair in way.windows(2) {
                let [(from_ns, from), (to_ns, to)] = pair else { continue };
                self.links.insert((same, *id, *from, *id, *to));
                let name = |at: &u16| self.points.get(usize::from(*at)).cloned();
                if let (Some(from), Some(to)) = (name(from), name(to)) {
                    let way_ns = to_ns - from_ns;
                    let shortest = self.shortest.entry((from, to)).or_insert(way_ns);
                    *shortest = way_ns.min(*shortest);
                }
            }
        }
    }

    /// When each message was captured where, in order of time.
    fn passed(&self) -> Passed {
        let mut passed = Passed::new();
        for (place, seen) in self.seen.iter().filter(|(_, seen)| !seen.copy) {
            passed.entry(seen.id).or_default().push((seen.true_ns, place.0));
        }
        passed.values_mut().for_each(|way| way.sort_unstable());
        passed
    }

    /// A link that captures can show. Inside an order it needs both ends at
    /// its point. Between points it runs, where one of them missed its
    /// message, between the nearest that did not.
    fn link(&mut self, link: &Link, passed: &Passed) {
        let Some(kind) = kind_of(&link.kind) else { return };
        let (from_point, to_point) =
            (self.point_number(&link.from_point), self.point_number(&link.to_point));
        let way = |id: u64| passed.get(&id).map_or(&[][..], Vec::as_slice);
        let (from, to) = (way(link.from), way(link.to));
        let at = |way: &[(i64, u16)], point| way.iter().find(|(_, at)| *at == point).copied();
        let (start, end) = match link.kind.as_str() {
            "relay" | "trigger" => {
                let end = at(to, to_point).or(to.first().copied());
                let before = |(ns, _): &&(i64, u16)| end.is_some_and(|(end_ns, _)| *ns <= end_ns);
                // A copy that came after the end, by the other line, started nothing.
                // (A drop copy may come before its report.)
                let may = |start: &(i64, u16)| link.kind == "relay" || before(&start);
                let start = at(from, from_point).filter(may);
                (start.or(from.iter().rfind(before).copied()), end)
            }
            "public" => {
                let nearest = |way: &[(i64, u16)], point| at(way, point).or(way.first().copied());
                (nearest(from, from_point), nearest(to, to_point))
            }
            _ => (at(from, from_point), at(to, to_point)),
        };
        if let (Some((_, from_point)), Some((_, to_point))) = (start, end) {
            self.links.insert((kind, link.from, from_point, link.to, to_point));
        }
    }

    fn loss(&mut self, loss: Loss) {
        if loss.unit != "message" {
            return;
        }
        let line = loss.line.map(String::from).unwrap_or_default();
        for seq in loss.first_seq..loss.first_seq.saturating_add(loss.count) {
            let (point, protocol, line) = (loss.point.clone(), loss.protocol.clone(), line.clone());
            self.missing.insert(Missing { point, protocol, line, seq }, loss.cause.clone());
        }
    }

    /// Reading of a clock minus true time, straight between the times known.
    pub fn offset_at(&self, clock: &str, true_ns: i64) -> Option<i64> {
        let known = self.offsets.get(clock)?;
        let after = known.partition_point(|(at, _)| *at < true_ns);
        let (b, a) = (known.get(after).or(known.last())?, known.get(after.saturating_sub(1))?);
        let (span, part) = (i128::from(b.0 - a.0), i128::from(true_ns - a.0));
        let change = i128::from(b.1 - a.1);
        Some(if span <= 0 { b.1 } else { a.1 + (change * part / span) as i64 })
    }
}

/// Whether a message is content: not a heartbeat, not the end of a session.
fn is_linked(protocol: &str, code: char) -> bool {
    match protocol {
        "moldudp64" | "cboe-suh" => false,
        "soupbintcp" => !"HRZ".contains(code),
        "fix.4.4" => code != '0',
        _ => true,
    }
}

/// Calls `with` for every line of a file.
fn each<T: DeserializeOwned>(path: &Path, mut with: impl FnMut(T)) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let told = || format!("{}, line {}", path.display(), number + 1);
        with(serde_json::from_str(&line.with_context(told)?).with_context(told)?);
    }
    Ok(())
}
