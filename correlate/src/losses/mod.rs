//! What is missing at a point, and why.
//!
//! ```text
//! line A   P1 seen   P2 -      P3 seen     P2 missed it: capture
//! line A   P1 seen   P2 -      P3 -        lost between P1 and P2: network, at P2
//! line A   P1 -      P2 -      (B seen)    lost before P1: upstream
//! line A   P1 seen   P2 seen   P3 -        nothing behind P3: see `open`
//! A and B  P2 -      and not seen behind   also both_lines, without a line
//! ```
//!
//! A message counts as missing at a point only between others of its stream
//! and line that the point did see: a capture that began later or ended
//! earlier lost nothing. The rows of single lines count messages on that line;
//! the `both_lines` rows count messages that reached nobody behind the point,
//! which the single lines' rows count as well.

pub mod cause;
pub mod health;
mod holes;
mod odds;
mod open;
mod run;
#[cfg(test)]
mod tests;

use crate::event::{Event, Sighting, StreamIx};
use crate::hops::Hops;
use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::stream::Streams;
use crate::text::{TextId, Texts};
use cause::{Cause, Told};
use hashbrown::HashMap;
use health::Health;
use holes::{Hole, Holes, Numbered};
use open::{Open, OpenRuns};
use run::{Packet, Run};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, SeqUnit};
use taptrail_store::tables::losses::LossRow;

/// Most lines at points that are watched.
pub const WATCHED_MAX: usize = 1 << 16;

/// Most runs of missing messages that wait at one line and point for a later
/// message; the oldest are dropped, counted.
pub const WAITING_RUNS_MAX: usize = 1 << 12;

/// A stream on a line at a point.
#[derive(Debug, Default)]
struct Watch {
    last_ts: Option<i64>,
    waiting: VecDeque<Run>,
}

/// A stream, at a point, on a line.
type Place = (StreamIx, PointIx, TextId);

/// Watches closed events for what is missing.
#[derive(Debug)]
pub struct Losses {
    window_ns: i64,
    watched: BTreeMap<Place, Watch>,
    /// How many lines at points each stream has been seen on.
    places: HashMap<StreamIx, usize>,
    holes: HashMap<StreamIx, Holes>,
    open: OpenRuns,
    dropped: u64,
    rows: Vec<LossRow>,
}

/// What a run knows of points and names.
pub struct Names<'a> {
    /// Points.
    pub points: &'a Points,
    /// Streams.
    pub streams: &'a Streams,
    /// Texts.
    pub texts: &'a Texts,
}

impl Losses {
    /// Late messages may fill a hole for `window_ns`.
    pub fn new(window_ns: i64) -> Self {
        Self {
            window_ns,
            watched: BTreeMap::new(),
            places: HashMap::new(),
            holes: HashMap::new(),
            open: OpenRuns::default(),
            dropped: 0,
            rows: Vec::new(),
        }
    }

    /// Takes what captures say of their own drops.
    pub fn set_health(&mut self, health: Health) {
        self.open.set_health(health);
    }

    /// Runs of missing messages that were forgotten because of a limit.
    pub fn dropped(&self) -> u64 {
        self.dropped + self.holes.values().map(|holes| holes.dropped).sum::<u64>()
    }

    /// Whether the stream has been seen on the line at the point.
    pub fn on_line(&self, stream: StreamIx, point: PointIx, line: TextId) -> bool {
        let watch = self.watched.get(&(stream, point, line));
        watch.is_some_and(|watch| watch.last_ts.is_some())
    }

    /// Looks at a closed event. `full_path`: all points of its stream in order.
    pub fn add(&mut self, event: &Event, full_path: &[PointIx], names: &Names, hops: &mut Hops) {
        if event.obs.kind != Kind::Heartbeat || event.obs.seq.is_some() {
            self.confirm(event, names, hops);
            self.look(event, full_path, names);
            self.count(event.stream, full_path, names);
        }
        if !event.obs.seq_counted
            && event.obs.seq_unit == Some(SeqUnit::Message)
            && let Some(seq) = event.obs.seq
        {
            self.sequence(event, seq, full_path, names, hops);
        }
        if let Some(&last) = full_path.last().filter(|&&last| event.first_at(last).is_some()) {
            self.open.seen(event.stream, last);
        }
    }

    /// Counts a message among those whose losses other points tell of.
    fn count(&mut self, stream: StreamIx, full_path: &[PointIx], names: &Names) {
        let reliable = names.streams.get(stream).is_some_and(|s| s.reliable);
        let places = self.places.get(&stream).copied().unwrap_or(0);
        let lines = places.checked_div(full_path.len()).unwrap_or(0).max(1);
        if !reliable && full_path.len() > 1 {
            self.open.known().pass(full_path.len(), lines);
        }
    }

    /// A message at `by`, at a time on the reference clock, names `seq`, of
    /// which these events are known.
    pub fn named(
        &mut self,
        seq: u64,
        (by, at): (PointIx, i64),
        meant: &[&Arc<Event>],
        found: &[Arc<Event>],
    ) {
        let about = |e: &&Arc<Event>| {
            meant.is_empty() || meant.iter().any(|m| m.obs.symbol == e.obs.symbol)
        };
        let relays = found.iter().filter(|e| e.obs.trigger_seq == Some(seq)).filter(about);
        let relays: Vec<&Arc<Event>> = relays.filter(|e| !e.path.contains(&by)).collect();
        let has_source = found.iter().any(|e| e.obs.trigger_seq.is_none());
        // One number may be of several feeds; which of them is named then is not known.
        let one_stream = meant.first().filter(|m| meant.iter().all(|e| e.stream == m.stream));
        match one_stream {
            None if !has_source => self
                .open
                .named_hole(by, at, self.window_ns, |run| run.named.is_none() && run.has(seq)),
            Some(source) => {
                let missing = |p| meant.iter().all(|event| event.first_at(p).is_none());
                self.open.named(source.stream, seq, by, missing);
            }
            None => {}
        }
        if relays.is_empty() {
            let between = |(before, after): (u64, u64)| before < seq && seq < after;
            self.open.named_hole(by, at, self.window_ns, |run| run.named.is_some_and(between));
        }
        for event in one_stream.into_iter().chain(&relays) {
            if let Some(seen) = event.end() {
                self.open.seen_named(event.stream, seen.point, seen.ts);
            }
        }
    }

    /// Points that see a message confirm what they missed before it.
    fn confirm(&mut self, event: &Event, names: &Names, hops: &mut Hops) {
        for sighting in event.firsts() {
            let place = (event.stream, sighting.point, sighting.line);
            if self.watched.len() >= WATCHED_MAX && !self.watched.contains_key(&place) {
                continue;
            }
            let watch = self.watched.entry(place).or_default();
            let runs: Vec<Run> = watch.waiting.drain(..).collect();
            if watch.last_ts.is_none() {
                *self.places.entry(event.stream).or_default() += 1;
            }
            watch.last_ts = Some(sighting.ts);
            for run in runs {
                self.settled(Open { place, run, ts_hi: Some(sighting.ts) }, names, hops);
            }
            self.confirm_all_lines(event.stream, sighting, names);
        }
    }

    /// A run has its end: it is a row, unless something else has to tell why.
    fn settled(&mut self, open: Open, names: &Names, hops: &mut Hops) {
        if !open.run.told.is_open() {
            self.open.settled(&open);
            let chance = match open.run.told {
                Told::SeenBefore(_) => self.open.known().lost_between(),
                _ => 1.0,
            };
            self.tell(&open, (Some(chance), None), names, hops);
        } else if let Some(first) = self.open.push(open) {
            self.decide(&first, names, hops);
        }
    }

    fn decide(&mut self, open: &Open, names: &Names, hops: &mut Hops) {
        let verdict = self.open.decide(open);
        let proof = verdict.proof.text(names.points);
        if verdict.is_blind(open.run.told) {
            return self.tell(open, (None, None), names, hops);
        }
        let certain = verdict.chance >= 0.9995;
        let told = open.run.told.text(names.points);
        let proof =
            if certain { proof } else { format!("{told}; {:.2} likely: {proof}", verdict.chance) };
        let run = Run { cause: verdict.cause, ..open.run.clone() };
        let decided = Open { run, ..open.clone() };
        self.tell(&decided, (Some(verdict.chance), Some(proof)), names, hops);
    }

    /// Writes a run down, with the chance of its cause and what told it where
    /// that was no other point.
    fn tell(
        &mut self,
        open: &Open,
        (chance, proof): (Option<f64>, Option<String>),
        names: &Names,
        hops: &mut Hops,
    ) {
        let run = &open.run;
        if let Told::SeenBefore(from) | Told::LastSeen(from) = run.told
            && run.cause != Cause::Capture
        {
            for (&kind, &count) in &run.kinds {
                hops.lost(from, open.place.1, kind, count);
            }
        }
        let evidence = proof.unwrap_or_else(|| run.told.text(names.points));
        let loss = row(open.place, run, open.ts_hi, evidence, names);
        self.rows.push(LossRow { confidence: chance.map(|chance| chance as f32), ..loss });
    }

    /// The runs that are missing on every line wait under "no line".
    fn confirm_all_lines(&mut self, stream: StreamIx, sighting: &Sighting, names: &Names) {
        let place = (stream, sighting.point, TextId::NONE);
        let Some(watch) = self.watched.get_mut(&place).filter(|_| !sighting.line.is_none()) else {
            return;
        };
        for run in watch.waiting.drain(..).collect::<Vec<_>>() {
            let evidence = run.told.text(names.points);
            self.rows.push(row(place, &run, Some(sighting.ts), evidence, names));
        }
    }

    /// Notes where the event is missing.
    fn look(&mut self, event: &Event, full_path: &[PointIx], names: &Names) {
        let stream = event.stream;
        if self.places.get(&stream) == Some(&event.firsts().count()) {
            return;
        }
        let places: Vec<(PointIx, TextId)> = full_path
            .iter()
            .flat_map(|&point| self.lines_at(stream, point).into_iter().map(move |l| (point, l)))
            .collect();
        let reliable = names.streams.get(stream).is_some_and(|s| s.reliable);
        for &(point, line) in &places {
            if seen_on(event, point, line) {
                continue;
            }
            let around = Around { event, path: full_path, losses: self, line };
            let found = if reliable { around.reliable() } else { around.cause_at(point) };
            if let Some((cause, told)) = found {
                let missing = around.missing(point, told);
                self.miss((stream, point, line), event, (cause, told), missing);
            }
        }
        if !reliable {
            self.look_all_lines(event, full_path, &places);
        }
    }

    fn look_all_lines(
        &mut self,
        event: &Event,
        full_path: &[PointIx],
        places: &[(PointIx, TextId)],
    ) {
        for (ix, &point) in full_path.iter().enumerate() {
            let lines = places.iter().filter(|&&(p, line)| p == point && !line.is_none()).count();
            let behind = full_path.get(ix..).unwrap_or(&[]);
            if lines < 2 || behind.iter().any(|&p| event.first_at(p).is_some()) {
                continue;
            }
            // Reported once, at the first point from which nobody saw it.
            let place = (event.stream, point, TextId::NONE);
            self.watched.entry(place).or_default();
            let missing = Missing { lines: Lines::Some, elsewhere: false, packet: None };
            self.miss(place, event, (Cause::BothLines, Told::NoLine), missing);
            return;
        }
    }

    fn lines_at(&self, stream: StreamIx, point: PointIx) -> Vec<TextId> {
        let all = (stream, point, TextId::NONE)..;
        self.watched
            .range(all)
            .take_while(|((s, p, _), _)| *s == stream && *p == point)
            .filter(|(_, watch)| watch.last_ts.is_some())
            .map(|((_, _, line), _)| *line)
            .collect()
    }

    fn miss(
        &mut self,
        place: Place,
        event: &Event,
        (cause, told): (Cause, Told),
        missing: Missing,
    ) {
        let Some(watch) = self.watched.get_mut(&place) else { return };
        let seq = event.obs.seq;
        let follows = |run: &Run| {
            let next = run.last_seq.map(|last| last.saturating_add(1));
            run.cause == cause && run.told == told && (seq == run.last_seq || seq == next)
        };
        if !watch.waiting.back().is_some_and(follows) {
            if watch.waiting.len() >= WAITING_RUNS_MAX {
                watch.waiting.pop_front();
                self.dropped += 1;
            }
            let run = Run { first_seq: seq, ..Run::new(cause, told, watch.last_ts) };
            watch.waiting.push_back(run);
        }
        let Some(run) = watch.waiting.back_mut() else { return };
        run.last_seq = seq;
        run.count += 1;
        run.all_lines += u64::from(missing.lines == Lines::All);
        run.one_line |= missing.lines == Lines::One;
        run.elsewhere += u64::from(missing.elsewhere);
        run.in_packet(missing.packet);
        *run.kinds.entry(event.obs.kind).or_default() += 1;
    }

    /// Follows the sequence for numbers that nobody saw.
    fn sequence(
        &mut self,
        event: &Event,
        seq: u64,
        full_path: &[PointIx],
        names: &Names,
        hops: &mut Hops,
    ) {
        // FIX restarts and fills gaps by messages of its own; its decoder judges them.
        if names.texts.text(event.obs.session).contains('>') {
            return;
        }
        let at = event.at();
        let ts = event.start().map_or(event.obs.ts, |start| start.ts);
        let holes = self.holes.entry(event.stream).or_default();
        holes.path = (full_path.first().copied().unwrap_or(0), full_path.len());
        holes.push(Numbered { seq, at, ts, names: event.obs.trigger_seq });
        self.settle(event.stream, at.saturating_sub(self.window_ns), names, hops);
    }

    /// Holes from before `limit` are losses.
    fn settle(&mut self, stream: StreamIx, limit: i64, names: &Names, hops: &mut Hops) {
        let Some(holes) = self.holes.get_mut(&stream) else { return };
        let (point, points) = holes.path;
        for hole in holes.settled(limit) {
            let lines = self.lines_at(stream, point).iter().filter(|line| !line.is_none()).count();
            let place = (stream, point, TextId::NONE);
            let run = hole_run(&hole, lines, points);
            self.settled(Open { place, run, ts_hi: Some(hole.after.ts) }, names, hops);
        }
    }

    /// No message comes any more: open holes are losses.
    pub fn settle_all(&mut self, names: &Names, hops: &mut Hops) {
        let mut streams: Vec<StreamIx> = self.holes.keys().copied().collect();
        streams.sort_unstable();
        for stream in streams {
            self.settle(stream, i64::MAX, names, hops);
        }
    }

    /// Takes a row that says that bytes of a TCP stream are not in the capture.
    pub fn bytes_missing(&mut self, gap: &Observation, points: &Points, texts: &Texts) {
        self.rows.push(LossRow {
            point: points.name(gap.point),
            protocol: texts.shared(gap.protocol).unwrap_or_else(|| Arc::from("tcp")),
            session: texts.shared(gap.session),
            line: None,
            cause: Arc::from(Cause::Capture.text()),
            confidence: Some(1.0),
            first_seq: None,
            last_seq: None,
            count: Some(u64::from(gap.raw_len)),
            ts_lo: None,
            ts_hi: Some(gap.ts),
            evidence: Arc::from(Told::Bytes.text(points)),
        });
    }

    /// Takes out the rows that are certain by now.
    pub fn take_rows(&mut self) -> Vec<LossRow> {
        std::mem::take(&mut self.rows)
    }

    /// Nothing more comes, nor names anything. What a point misses after its
    /// last message is no loss: its capture may have ended.
    pub fn finish(&mut self, names: &Names, hops: &mut Hops) {
        for open in self.open.take() {
            self.decide(&open, names, hops);
        }
    }
}

fn seen_on(event: &Event, point: PointIx, line: TextId) -> bool {
    event.firsts().any(|s| s.point == point && s.line == line)
}

/// Numbers that nobody saw, of a stream with so many lines at its first of so
/// many points.
fn hole_run(hole: &Hole, lines: usize, points: usize) -> Run {
    let (cause, told) = match (lines > 1, points > 1) {
        (true, _) => (Cause::BothLines, Told::Nowhere),
        (false, true) => (Cause::Upstream, Told::Nowhere),
        (false, false) => (Cause::Unknown, Told::OnlyPoint),
    };
    Run {
        first_seq: Some(hole.first),
        last_seq: Some(hole.last),
        count: (hole.last - hole.first).saturating_add(1),
        named: hole.before.and_then(|before| before.names).zip(hole.after.names),
        between: hole.before.map(|before| (before.at, hole.after.at)),
        ..Run::new(cause, told, hole.before.map(|before| before.ts))
    }
}

/// On which of a stream's lines at a point a message is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// On its only one.
    One,
    /// On some.
    Some,
    /// On all, which a point before had.
    All,
}

/// How a message is missing.
#[derive(Clone, Copy, Debug)]
struct Missing {
    lines: Lines,
    /// Whether the point has it on another line.
    elsewhere: bool,
    /// The packet that it came in where it was seen.
    packet: Option<Packet>,
}

/// A missing message and the points around.
struct Around<'a> {
    event: &'a Event,
    path: &'a [PointIx],
    losses: &'a Losses,
    line: TextId,
}

impl Around<'_> {
    fn seen(&self, point: &PointIx) -> bool {
        seen_on(self.event, *point, self.line)
    }

    fn reliable(&self) -> Option<(Cause, Told)> {
        let start = self.event.start()?;
        Some((Cause::Capture, Told::Reliable(start.point)))
    }

    /// The cause at a point that saw nothing; `None` where the loss is
    /// reported at a point before.
    fn cause_at(&self, point: PointIx) -> Option<(Cause, Told)> {
        let place = self.path.iter().position(|&p| p == point)?;
        let (before, behind) = (self.path.get(..place)?, self.path.get(place + 1..)?);
        let watched = |p: &&PointIx| self.losses.on_line(self.event.stream, **p, self.line);
        if let Some(&seen) = behind.iter().find(|p| self.seen(p)) {
            return Some((Cause::Capture, Told::SeenBehind(seen)));
        }
        match before.iter().rev().find(watched) {
            None if !behind.iter().any(|p| watched(&p)) => Some((Cause::Unknown, Told::OnlySeen)),
            None => Some((Cause::Upstream, Told::OtherLine)),
            Some(previous) if self.seen(previous) => {
                let tells = behind.iter().any(|p| watched(&p));
                let told = if tells { Told::SeenBefore } else { Told::LastSeen };
                let cause = if tells { Cause::Network } else { Cause::Unknown };
                Some((cause, told(*previous)))
            }
            Some(_) => None,
        }
    }

    /// How a point misses the message, whose cause was told by this.
    fn missing(&self, point: PointIx, told: Told) -> Missing {
        let seen = |s: &&Sighting| Some(s.point) == told.seen_at() && s.line == self.line;
        let seen = self.event.firsts().find(seen).map(|s| s.identity);
        Missing {
            lines: self.lines_missing(point),
            elsewhere: self.event.first_at(point).is_some(),
            packet: seen.map(|seen| (seen.capture_id, seen.packet_ix)),
        }
    }

    /// On which lines a point misses the message.
    fn lines_missing(&self, point: PointIx) -> Lines {
        let lines = self.losses.lines_at(self.event.stream, point);
        let before = self.path.iter().position(|&p| p == point).unwrap_or(0).checked_sub(1);
        let before = before.and_then(|before| self.path.get(before).copied());
        let had = |line: &TextId| before.is_some_and(|p| seen_on(self.event, p, *line));
        match lines.as_slice() {
            [_] => Lines::One,
            _ if self.event.first_at(point).is_none() && lines.iter().all(had) => Lines::All,
            _ => Lines::Some,
        }
    }
}

fn row(
    (stream, point, line): Place,
    run: &Run,
    ts_hi: Option<i64>,
    evidence: String,
    names: &Names,
) -> LossRow {
    let stream = names.streams.get(stream);
    let text = |id: Option<TextId>| id.and_then(|id| names.texts.shared(id));
    LossRow {
        point: names.points.name(point),
        protocol: text(stream.map(|s| s.protocol)).unwrap_or_else(|| Arc::from("")),
        session: text(stream.map(|s| s.session)),
        line: names.texts.shared(line),
        cause: Arc::from(run.cause.text()),
        confidence: Some(1.0),
        first_seq: run.first_seq,
        last_seq: run.last_seq,
        count: Some(run.count),
        ts_lo: run.ts_lo,
        ts_hi,
        evidence: Arc::from(evidence),
    }
}
