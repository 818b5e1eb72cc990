//! The messages of all points in one order of time.
//!
//! ```text
//! capture at P1   segment ─ segment ─ ...        ┐
//! capture at P2   row group ┐                    ├─ heap by corrected time ─> observation
//!                 row group ┘ (not sorted)       ┘
//! ```
//!
//! A segment is a cursor of its own where its rows are sorted, else each of
//! its row groups is. A cursor is opened when its first time has come and
//! holds one batch, so that memory does not grow with the store.

use crate::clock::{Clocks, Stamp};
use crate::columns::{COLUMNS, FlowNames, MessageColumns};
use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::run::CorrelateError;
use crate::sample::{self, Sample};
use crate::text::Texts;
use arrow::array::RecordBatch;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::PathBuf;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::segment::reader::{ReadAhead, SegmentReader, Wanted};
use taptrail_store::segment::{RowGroup, Segment, TimeRange};
use taptrail_store::tables::flows::FlowRow;
use taptrail_store::tables::row::Row;

/// Captures whose flows are remembered for their next piece.
const LAST_FLOWS_MAX: usize = 1024;

/// Rows of one place: a segment or one of its row groups.
struct Source {
    file: PathBuf,
    row_groups: Option<Vec<usize>>,
    point: PointIx,
    capture: usize,
    /// Position of the first packet whose messages are read.
    from_packet: u32,
    /// While it is being read.
    cursor: Option<Box<Cursor>>,
}

struct Cursor {
    reader: ReadAhead,
    columns: MessageColumns,
    /// Corrected times of the batch.
    at: Vec<i64>,
    row: usize,
}

impl Cursor {
    fn open(
        source: &Source,
        wanted: Option<Wanted>,
        clocks: &Clocks,
        texts: &mut Texts,
    ) -> Result<Option<Self>, CorrelateError> {
        let groups = source.row_groups.clone();
        let reader = SegmentReader::open_where(&source.file, Some(COLUMNS), groups, wanted)?;
        Self::fill(reader.ahead(), source.point, clocks, texts)
    }

    /// At the next batch that has rows.
    fn fill(
        mut reader: ReadAhead,
        point: PointIx,
        clocks: &Clocks,
        texts: &mut Texts,
    ) -> Result<Option<Self>, CorrelateError> {
        for batch in reader.by_ref() {
            let columns = MessageColumns::new(&batch?, texts)?;
            if !columns.is_empty() {
                let at = columns.ts().iter().map(|&ts| clocks.corrected(Stamp { point, ts }));
                return Ok(Some(Self { at: at.collect(), reader, columns, row: 0 }));
            }
        }
        Ok(None)
    }

    fn at(&self) -> i64 {
        self.at.get(self.row).copied().unwrap_or(i64::MAX)
    }
}

/// An import and which of its messages are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The import.
    pub import: Arc<ImportManifest>,
    /// Those of packets from this position on.
    pub from_packet: u32,
}

impl From<Arc<ImportManifest>> for Reading {
    fn from(import: Arc<ImportManifest>) -> Self {
        Self { import, from_packet: 0 }
    }
}

/// A source's place in the heap: time first, then its number, so that equal
/// times come in the same order every time.
type Next = Reverse<(i64, usize)>;

/// Gives the observations of a store in order of corrected time; those of one
/// time by point, capture and place in it.
pub struct Merge {
    clocks: Clocks,
    sample: Sample,
    /// What ends before this corrected time is not read.
    since: i64,
    sources: Vec<Source>,
    flows: Vec<FlowNames>,
    /// By capture: its files of flows and their number.
    last_flows: HashMap<u64, (String, usize)>,
    heap: BinaryHeap<Next>,
    /// Numbers of sources that were read to their end.
    read: Vec<usize>,
}

impl Merge {
    /// Over nothing yet.
    pub fn empty(clocks: Clocks) -> Self {
        let (sample, since) = (Sample::WHOLE, i64::MIN);
        Self {
            clocks,
            sample,
            since,
            sources: Vec::new(),
            flows: Vec::new(),
            last_flows: HashMap::new(),
            heap: BinaryHeap::new(),
            read: Vec::new(),
        }
    }

    /// Reads only a part of the feeds.
    pub fn sampling(mut self, sample: Sample) -> Self {
        self.sample = sample;
        self
    }

    /// Leaves out what lies together and all before a corrected time.
    pub fn since(mut self, at: i64) -> Self {
        self.since = at;
        self
    }

    /// The same with imports to read.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn adding(
        mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &Points,
        texts: &mut Texts,
    ) -> Result<Self, CorrelateError> {
        self.add_imports(store, imports, points, texts)?;
        Ok(self)
    }

    /// Adds imports to those that are being read.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn add_imports(
        &mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &Points,
        texts: &mut Texts,
    ) -> Result<(), CorrelateError> {
        let whole: Vec<Reading> = imports.iter().cloned().map(Reading::from).collect();
        self.add_readings(store, &whole, points, texts)
    }

    /// The same, of some of whose messages only the later ones are read.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn add_readings(
        &mut self,
        store: &Store,
        readings: &[Reading],
        points: &Points,
        texts: &mut Texts,
    ) -> Result<(), CorrelateError> {
        let known = readings.iter().filter_map(|r| Some((points.find(&r.import.point)?, r)));
        let mut readings: Vec<(PointIx, &Reading)> = known.collect();
        readings.sort_by_key(|(point, reading)| (*point, reading.import.capture_id));
        for (point, Reading { import, from_packet }) in readings {
            let capture = self.flows_of(store, import, texts)?;
            for segment in import.files_of("messages") {
                let file = store.file(segment);
                let row_groups = segment.groups_in_file();
                let from_packet = *from_packet;
                let source = Source { file, row_groups, point, capture, from_packet, cursor: None };
                self.add_segment(source, segment);
            }
        }
        Ok(())
    }

    /// The number of an import's flows; those of the last piece of the same capture
    /// where they are the same.
    fn flows_of(
        &mut self,
        store: &Store,
        import: &ImportManifest,
        texts: &mut Texts,
    ) -> Result<usize, CorrelateError> {
        let paths: Vec<&str> = import.files_of("flows").map(|file| file.path.as_str()).collect();
        let paths = paths.join(" ");
        if let Some((known, number)) = self.last_flows.get(&import.capture_id)
            && *known == paths
        {
            return Ok(*number);
        }
        let mut rows: Vec<FlowRow> = Vec::new();
        for segment in import.files_of("flows") {
            for batch in SegmentReader::of(store, segment, None)? {
                rows.extend(FlowRow::from_batch(&batch?)?);
            }
        }
        let number = self.flows.len();
        self.flows.push(flow_names(&rows, texts));
        // Only captures under way come in pieces, and of a point there is one.
        if self.last_flows.len() >= LAST_FLOWS_MAX {
            self.last_flows.clear();
        }
        self.last_flows.insert(import.capture_id, (paths, number));
        Ok(number)
    }

    /// Whether there is an observation up to a corrected time, as far as sources say
    /// that were not opened yet.
    pub fn has_until(&self, until: i64) -> bool {
        self.heap.peek().is_some_and(|Reverse((at, _))| *at <= until)
    }

    /// From here on times are corrected so.
    pub fn set_clocks(&mut self, clocks: Clocks) {
        self.clocks = clocks;
    }

    /// A segment whole where it is sorted, else each of its row groups.
    fn add_segment(&mut self, source: Source, segment: &Segment) {
        let (clocks, since, point) = (&self.clocks, self.since, source.point);
        let early = |time: &TimeRange| clocks.corrected(Stamp { point, ts: time.max_ns }) < since;
        let is_late = |group: &RowGroup| !group.time.as_ref().is_some_and(early);
        let groups = segment.groups().zip(&segment.row_groups).filter(|(_, g)| is_late(g));
        let groups: Vec<(usize, &RowGroup)> = groups.collect();
        if segment.sorted {
            let time = groups.iter().filter_map(|(_, g)| g.time).reduce(TimeRange::union);
            let all = groups.len() == segment.row_groups.len();
            let numbers = || Some(groups.iter().map(|(number, _)| *number).collect());
            let row_groups = if all { source.row_groups } else { numbers() };
            if all || !groups.is_empty() {
                self.add(Source { row_groups, ..source }, time.or(segment.time));
            }
            return;
        }
        for (number, group) in groups {
            let (file, row_groups) = (source.file.clone(), Some(vec![number]));
            self.add(Source { file, row_groups, cursor: None, ..source }, group.time);
        }
    }

    fn add(&mut self, source: Source, time: Option<TimeRange>) {
        let start = time.map_or(i64::MIN, |time| time.min_ns);
        let at = self.clocks.corrected(Stamp { point: source.point, ts: start });
        // Where captures come piece by piece, sources would be without number.
        let number = self.read.pop().unwrap_or(self.sources.len());
        self.heap.push(Reverse((at, number)));
        match self.sources.get_mut(number) {
            Some(place) => *place = source,
            None => self.sources.push(source),
        }
    }

    /// The next observation; `None` at the end.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn next(&mut self, texts: &mut Texts) -> Result<Option<Observation>, CorrelateError> {
        self.next_until(i64::MAX, texts)
    }

    /// The next observation up to a corrected time; `None` where there is none.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn next_until(
        &mut self,
        until: i64,
        texts: &mut Texts,
    ) -> Result<Option<Observation>, CorrelateError> {
        while let Some(mut first) = self.heap.peek_mut() {
            let Reverse((at, number)) = *first;
            if at > until {
                return Ok(None);
            }
            let Some(source) = self.sources.get_mut(number) else { return Ok(None) };
            let point = source.point;
            let Some(cursor) = &mut source.cursor else {
                let wanted = self.flows.get(source.capture).and_then(|f| wanted(self.sample, f));
                source.cursor = Cursor::open(source, wanted, &self.clocks, texts)?.map(Box::new);
                match &source.cursor {
                    Some(cursor) => *first = Reverse((cursor.at(), number)),
                    None => {
                        PeekMut::pop(first);
                        self.read.push(number);
                    }
                }
                continue;
            };
            let at = cursor.at();
            let flows = self.flows.get(source.capture);
            let found = cursor.columns.observation(cursor.row, (point, at), flows, texts);
            cursor.row += 1;
            if cursor.row >= cursor.columns.len()
                && let Some(read) = source.cursor.take()
            {
                let next = Cursor::fill(read.reader, point, &self.clocks, texts)?;
                source.cursor = next.map(Box::new);
            }
            let is_read = found.packet_ix >= source.from_packet;
            match &source.cursor {
                Some(cursor) => *first = Reverse((cursor.at(), number)),
                None => {
                    PeekMut::pop(first);
                    self.read.push(number);
                }
            }
            if is_read {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The rows of a capture that are of a sample; `None` for all of them.
fn wanted(sample: Sample, flows: &FlowNames) -> Option<Wanted> {
    let datagrams = flows.datagrams.clone();
    let test = move |batch: &RecordBatch| sample.rows(batch, &datagrams);
    (!sample.is_whole()).then(|| Wanted { columns: sample::COLUMNS, test: Box::new(test) })
}

/// Names for flows whose messages have none: both ends of a connection in one
/// order; the groups of a feed where the capture has more than one of the
/// protocol and no line is configured.
fn flow_names(rows: &[FlowRow], texts: &mut Texts) -> FlowNames {
    let mut names = FlowNames::default();
    for row in rows {
        let from = end(&row.src_addr, row.src_port);
        let to = end(&row.dst_addr, row.dst_port);
        let name = match (&*row.transport, from <= to) {
            ("udp", _) => to.clone(),
            (_, true) => format!("{from} {to}"),
            (_, false) => format!("{to} {from}"),
        };
        names.sessions.insert(row.flow_id, texts.intern(&name));
        if &*row.transport == "udp" {
            names.datagrams.insert(row.flow_id);
        }
        let others = rows.iter().any(|other| is_other_group(row, other));
        if is_multicast(row) && row.line.is_none() && others {
            names.lines.insert(row.flow_id, texts.intern(&to));
        }
    }
    names
}

fn end(address: &str, port: Option<u16>) -> String {
    port.map_or_else(|| address.to_owned(), |port| format!("{address}:{port}"))
}

fn is_multicast(row: &FlowRow) -> bool {
    let address = row.dst_addr.parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.is_multicast())
}

fn is_other_group(a: &FlowRow, b: &FlowRow) -> bool {
    let ends = |row: &FlowRow| -> (Arc<str>, Option<u16>) { (row.dst_addr.clone(), row.dst_port) };
    a.protocol.is_some() && a.protocol == b.protocol && is_multicast(b) && ends(a) != ends(b)
}

/// Whether the observation may say something about the order of points.
pub fn is_telling(observation: &Observation) -> bool {
    observation.entry == 0 && observation.kind != Kind::Gap
}
