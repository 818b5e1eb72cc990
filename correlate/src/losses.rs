//! What is missing at a point, and why.
//!
//! ```text
//! line A   P1 seen   P2 -      P3 seen     P2 missed it: capture
//! line A   P1 seen   P2 -      P3 -        lost between P1 and P2: network, at P2
//! line A   P1 -      P2 -      (B seen)    lost before P1: upstream
//! line A   P1 seen   P2 seen   P3 -        nothing behind P3 to tell: unknown
//! A and B  P2 -      and not seen behind   also both_lines, without a line
//! ```
//!
//! A message counts as missing at a point only between others of its stream
//! and line that the point did see: a capture that began later or ended
//! earlier lost nothing. The rows of single lines count messages on that line;
//! the `both_lines` rows count messages that reached nobody behind the point,
//! which the single lines' rows count as well.

use crate::event::{Event, Sighting, StreamIx};
use crate::hops::Hops;
use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::stream::Streams;
use crate::text::{TextId, Texts};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use taptrail_decoders::kind::{Kind, SeqUnit};
use taptrail_store::tables::losses::LossRow;

/// Most lines at points that are watched.
pub const WATCHED_MAX: usize = 1 << 16;

/// Most runs of missing messages that wait at one line and point for a later
/// message; the oldest are dropped, counted.
pub const WAITING_RUNS_MAX: usize = 1 << 12;

/// Most holes of one stream that wait for late messages.
pub const HOLES_MAX: usize = 1 << 12;

/// A step back by more than this is a new start of the sequence, not a
/// message out of order.
pub const RESTART_STEP: u64 = 1 << 16;

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Lost on the way between two points.
    Network,
    /// Passed the point, the capture missed it.
    Capture,
    /// Lost before the first point.
    Upstream,
    /// Missing on every line.
    BothLines,
    /// Nothing tells.
    Unknown,
}

impl Cause {
    /// The text in tables.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Capture => "capture",
            Self::Upstream => "upstream",
            Self::BothLines => "both_lines",
            Self::Unknown => "unknown",
        }
    }
}

/// What told the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    SeenBehind(PointIx),
    SeenBefore(PointIx, bool),
    OtherLine,
    Reliable(PointIx),
    NoLine,
    Nowhere,
    Bytes,
}

impl Told {
    fn text(self, points: &Points) -> String {
        match self {
            Self::SeenBehind(p) => format!("seen behind it at {}", points.name(p)),
            Self::SeenBefore(p, true) => {
                format!("seen at {}, at no point from here on", points.name(p))
            }
            Self::SeenBefore(p, false) => format!(
                "seen at {}; no point behind this one to tell network from capture",
                points.name(p)
            ),
            Self::OtherLine => "at no point on this line, seen on another".to_owned(),
            Self::Reliable(p) => {
                format!("seen at {}; TCP delivers every byte, so it passed here", points.name(p))
            }
            Self::NoLine => "on no line here nor behind".to_owned(),
            Self::Nowhere => "sequence numbers seen at no point on no line".to_owned(),
            Self::Bytes => "later bytes of the TCP stream were captured".to_owned(),
        }
    }
}

/// Consecutive missing messages of one cause.
#[derive(Clone, Debug)]
struct Run {
    cause: Cause,
    told: Told,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    count: u64,
    ts_lo: Option<i64>,
    kinds: BTreeMap<Kind, u64>,
}

/// A stream on a line at a point.
#[derive(Debug, Default)]
struct Watch {
    last_ts: Option<i64>,
    waiting: VecDeque<Run>,
}

/// Sequence numbers of a stream that nobody has seen so far.
#[derive(Debug, Default)]
struct Holes {
    next: Option<u64>,
    last_at: Option<i64>,
    open: VecDeque<Hole>,
}

#[derive(Clone, Copy, Debug)]
struct Hole {
    first: u64,
    last: u64,
    ts_lo: Option<i64>,
    ts_hi: i64,
}

type Place = (StreamIx, PointIx, TextId);

/// Watches closed events for what is missing.
#[derive(Debug)]
pub struct Losses {
    window_ns: i64,
    watched: BTreeMap<Place, Watch>,
    /// How many lines at points each stream has been seen on.
    places: HashMap<StreamIx, usize>,
    holes: HashMap<StreamIx, Holes>,
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
            dropped: 0,
            rows: Vec::new(),
        }
    }

    /// Runs of missing messages that were forgotten because of a limit.
    pub fn dropped(&self) -> u64 {
        self.dropped
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
        }
        if !event.obs.seq_counted
            && event.obs.seq_unit == Some(SeqUnit::Message)
            && let Some(seq) = event.obs.seq
        {
            self.sequence(event, seq, full_path, names);
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
                if let Told::SeenBefore(from, _) = run.told {
                    for (&kind, &count) in &run.kinds {
                        hops.lost(from, sighting.point, kind, count);
                    }
                }
                self.rows.push(row(place, &run, Some(sighting.ts), names));
            }
            self.confirm_all_lines(event.stream, sighting, names);
        }
    }

    /// The runs that are missing on every line wait under "no line".
    fn confirm_all_lines(&mut self, stream: StreamIx, sighting: &Sighting, names: &Names) {
        let place = (stream, sighting.point, TextId::NONE);
        let Some(watch) = self.watched.get_mut(&place).filter(|_| !sighting.line.is_none()) else {
            return;
        };
        for run in watch.waiting.drain(..).collect::<Vec<_>>() {
            self.rows.push(row(place, &run, Some(sighting.ts), names));
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
            let lines = Around { event, path: full_path, losses: self, line };
            let found = if reliable { lines.reliable() } else { lines.cause_at(point) };
            if let Some((cause, told)) = found {
                self.miss((stream, point, line), event, cause, told);
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
            self.miss(place, event, Cause::BothLines, Told::NoLine);
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

    fn miss(&mut self, place: Place, event: &Event, cause: Cause, told: Told) {
        let Some(watch) = self.watched.get_mut(&place) else { return };
        let seq = event.obs.seq;
        let follows = |run: &&mut Run| {
            let next = run.last_seq.map(|last| last.saturating_add(1));
            run.cause == cause && run.told == told && (seq == run.last_seq || seq == next)
        };
        if let Some(run) = watch.waiting.back_mut().filter(follows) {
            run.last_seq = seq;
            run.count += 1;
            *run.kinds.entry(event.obs.kind).or_default() += 1;
            return;
        }
        if watch.waiting.len() >= WAITING_RUNS_MAX {
            watch.waiting.pop_front();
            self.dropped += 1;
        }
        let kinds = BTreeMap::from([(event.obs.kind, 1)]);
        let ts_lo = watch.last_ts;
        let run = Run { cause, told, first_seq: seq, last_seq: seq, count: 1, ts_lo, kinds };
        watch.waiting.push_back(run);
    }

    /// Follows the sequence for numbers that nobody saw.
    fn sequence(&mut self, event: &Event, seq: u64, full_path: &[PointIx], names: &Names) {
        // FIX restarts and fills gaps by messages of its own; its decoder judges them.
        if names.texts.text(event.obs.session).contains('>') {
            return;
        }
        let holes = self.holes.entry(event.stream).or_default();
        let at = event.at();
        match holes.next {
            Some(next) if seq > next => {
                if holes.open.len() >= HOLES_MAX {
                    holes.open.pop_front();
                    self.dropped += 1;
                }
                let hole = Hole { first: next, last: seq - 1, ts_lo: holes.last_at, ts_hi: at };
                holes.open.push_back(hole);
                holes.next = seq.checked_add(1);
            }
            Some(next) if seq < next => {
                fill(&mut holes.open, seq);
                if next - seq > RESTART_STEP {
                    holes.next = seq.checked_add(1);
                }
            }
            _ => holes.next = seq.checked_add(1),
        }
        holes.last_at = Some(at);
        self.settle(event.stream, full_path, at.saturating_sub(self.window_ns), names);
    }

    /// Holes from before `limit` are losses.
    fn settle(&mut self, stream: StreamIx, full_path: &[PointIx], limit: i64, names: &Names) {
        let Some(holes) = self.holes.get_mut(&stream) else { return };
        let mut settled = Vec::new();
        while let Some(&hole) = holes.open.front().filter(|hole| hole.ts_hi <= limit) {
            holes.open.pop_front();
            settled.push(hole);
        }
        for hole in settled {
            let point = full_path.first().copied().unwrap_or(0);
            let lines = self.lines_at(stream, point).iter().filter(|line| !line.is_none()).count();
            let cause = if lines > 1 { Cause::BothLines } else { Cause::Upstream };
            let run = Run {
                cause,
                told: Told::Nowhere,
                first_seq: Some(hole.first),
                last_seq: Some(hole.last),
                count: (hole.last - hole.first).saturating_add(1),
                ts_lo: hole.ts_lo,
                kinds: BTreeMap::new(),
            };
            let place = (stream, point, TextId::NONE);
            self.rows.push(row(place, &run, Some(hole.ts_hi), names));
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
            first_seq: None,
            last_seq: None,
            count: u64::from(gap.raw_len),
            ts_lo: None,
            ts_hi: Some(gap.ts),
            evidence: Arc::from(Told::Bytes.text(points)),
        });
    }

    /// Takes out the rows that are certain by now.
    pub fn take_rows(&mut self) -> Vec<LossRow> {
        std::mem::take(&mut self.rows)
    }

    /// Nothing more comes: open holes are losses; what a point misses after
    /// its last message is not (its capture may have ended).
    pub fn finish(&mut self, path_of: &dyn Fn(StreamIx) -> Vec<PointIx>, names: &Names) {
        let mut streams: Vec<StreamIx> = self.holes.keys().copied().collect();
        streams.sort_unstable();
        for stream in streams {
            self.settle(stream, &path_of(stream), i64::MAX, names);
        }
    }
}

fn seen_on(event: &Event, point: PointIx, line: TextId) -> bool {
    event.firsts().any(|s| s.point == point && s.line == line)
}

/// Takes `seq` out of the hole it lies in.
fn fill(holes: &mut VecDeque<Hole>, seq: u64) {
    let Some(place) = holes.iter().position(|h| h.first <= seq && seq <= h.last) else { return };
    let Some(hole) = holes.remove(place) else { return };
    if seq < hole.last {
        holes.insert(place, Hole { first: seq + 1, ..hole });
    }
    if hole.first < seq {
        holes.insert(place, Hole { last: seq - 1, ..hole });
    }
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
            None => Some((Cause::Upstream, Told::OtherLine)),
            Some(previous) if self.seen(previous) => {
                let tells = behind.iter().any(|p| watched(&p));
                let cause = if tells { Cause::Network } else { Cause::Unknown };
                Some((cause, Told::SeenBefore(*previous, tells)))
            }
            Some(_) => None,
        }
    }
}

fn row((stream, point, line): Place, run: &Run, ts_hi: Option<i64>, names: &Names) -> LossRow {
    let stream = names.streams.get(stream);
    let text = |id: Option<TextId>| id.and_then(|id| names.texts.shared(id));
    LossRow {
        point: names.points.name(point),
        protocol: text(stream.map(|s| s.protocol)).unwrap_or_else(|| Arc::from("")),
        session: text(stream.map(|s| s.session)),
        line: names.texts.shared(line),
        cause: Arc::from(run.cause.text()),
        first_seq: run.first_seq,
        last_seq: run.last_seq,
        count: run.count,
        ts_lo: run.ts_lo,
        ts_hi,
        evidence: Arc::from(run.told.text(names.points)),
    }
}
