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
use crate::text::Texts;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use taptrail_decoders::kind::Kind;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::catalog::{Catalog, Store};
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::flows::FlowRow;
use taptrail_store::tables::row::Row;

/// Rows of one place: a segment or one of its row groups.
struct Source {
    file: PathBuf,
    row_groups: Option<Vec<usize>>,
    point: PointIx,
    capture: usize,
}

struct Cursor {
    reader: SegmentReader,
    columns: MessageColumns,
    row: usize,
    point: PointIx,
    capture: usize,
}

impl Cursor {
    fn open(source: &Source, texts: &mut Texts) -> Result<Option<Self>, CorrelateError> {
        let mut reader =
            SegmentReader::open(&source.file, Some(COLUMNS), source.row_groups.clone())?;
        let Some(columns) = next_columns(&mut reader, texts)? else { return Ok(None) };
        let (point, capture) = (source.point, source.capture);
        Ok(Some(Self { reader, columns, row: 0, point, capture }))
    }

    fn stamp(&self) -> Stamp {
        Stamp { point: self.point, ts: self.columns.ts(self.row) }
    }

    /// Moves to the next row; `false` at the end.
    fn step(&mut self, texts: &mut Texts) -> Result<bool, CorrelateError> {
        self.row += 1;
        if self.row < self.columns.len() {
            return Ok(true);
        }
        let Some(columns) = next_columns(&mut self.reader, texts)? else { return Ok(false) };
        (self.columns, self.row) = (columns, 0);
        Ok(true)
    }
}

/// The next batch with rows.
fn next_columns(
    reader: &mut SegmentReader,
    texts: &mut Texts,
) -> Result<Option<MessageColumns>, CorrelateError> {
    for batch in reader {
        let columns = MessageColumns::new(&batch?, texts)?;
        if !columns.is_empty() {
            return Ok(Some(columns));
        }
    }
    Ok(None)
}

/// A cursor's place in the heap: time first, then which source, so that equal
/// times come in the same order every time.
type Next = Reverse<(i64, usize)>;

/// Gives the observations of a store in order of corrected time.
pub struct Merge {
    clocks: Clocks,
    sources: Vec<Source>,
    flows: Vec<FlowNames>,
    cursors: HashMap<usize, Cursor>,
    heap: BinaryHeap<Next>,
}

impl Merge {
    /// Over all imports of a catalog.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn new(
        store: &Store,
        catalog: &Catalog,
        points: &Points,
        clocks: Clocks,
        texts: &mut Texts,
    ) -> Result<Self, CorrelateError> {
        Self::of(store, &catalog.imports, points, clocks, texts)
    }

    /// Over some imports.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn of(
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &Points,
        clocks: Clocks,
        texts: &mut Texts,
    ) -> Result<Self, CorrelateError> {
        let mut merge = Self {
            clocks,
            sources: Vec::new(),
            flows: Vec::new(),
            cursors: HashMap::new(),
            heap: BinaryHeap::new(),
        };
        for (capture, import) in imports.iter().enumerate() {
            let mut rows: Vec<FlowRow> = Vec::new();
            for segment in import.files_of("flows") {
                for batch in SegmentReader::open(&store.file(segment), None, None)? {
                    rows.extend(FlowRow::from_batch(&batch?)?);
                }
            }
            merge.flows.push(flow_names(&rows, texts));
            let Some(point) = points.find(&import.point) else { continue };
            for segment in import.files_of("messages") {
                let file = store.file(segment);
                if segment.sorted {
                    let start = segment.time.map_or(i64::MIN, |time| time.min_ns);
                    merge.add(Source { file, row_groups: None, point, capture }, start);
                    continue;
                }
                for (number, group) in segment.row_groups.iter().enumerate() {
                    let start = group.time.map_or(i64::MIN, |time| time.min_ns);
                    let row_groups = Some(vec![number]);
                    merge.add(Source { file: file.clone(), row_groups, point, capture }, start);
                }
            }
        }
        Ok(merge)
    }

    fn add(&mut self, source: Source, start: i64) {
        let at = self.clocks.corrected(Stamp { point: source.point, ts: start });
        self.heap.push(Reverse((at, self.sources.len())));
        self.sources.push(source);
    }

    /// The next observation; `None` at the end.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn next(&mut self, texts: &mut Texts) -> Result<Option<Observation>, CorrelateError> {
        while let Some(Reverse((_, number))) = self.heap.pop() {
            let Some(mut cursor) = self.cursors.remove(&number) else {
                if let Some(cursor) = Cursor::open(&self.sources[number], texts)? {
                    self.wait(number, cursor);
                }
                continue;
            };
            let flows = &self.flows[cursor.capture];
            let found = cursor.columns.observation(cursor.row, cursor.point, flows, texts);
            if cursor.step(texts)? {
                self.wait(number, cursor);
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    fn wait(&mut self, number: usize, cursor: Cursor) {
        self.heap.push(Reverse((self.clocks.corrected(cursor.stamp()), number)));
        self.cursors.insert(number, cursor);
    }
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
