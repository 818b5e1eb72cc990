//! Reads the packets of each point in order of time.
//!
//! ```text
//! captures of P3: segment ─ segment     ┐
//!                 row group (unsorted)  ├─ heap by stamp ─> one frame after the other
//! ```

use super::{End, Frame, Wire};
use crate::columns::Words;
use crate::run::CorrelateError;
use arrow::array::types::{TimestampNanosecondType, UInt32Type};
use arrow::array::{AsArray, BinaryArray, PrimitiveArray, RecordBatch};
use arrow::datatypes::ArrowPrimitiveType;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use taptrail_capture::packet::LinkType;
use taptrail_capture::point::PointConfig;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::bursts::BurstRow;
use taptrail_store::tables::flows::FlowRow;
use taptrail_store::tables::row::Row;
use taptrail_store::tables::tcp::TcpRow;

const COLUMNS: &[&str] = &["ts", "interface", "direction", "link_type", "wire_len", "data"];

/// Rows made of packets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireRows {
    /// Of `bursts`.
    pub bursts: Vec<BurstRow>,
    /// Of `tcp`.
    pub tcp: Vec<TcpRow>,
}

type Protocols = HashMap<(End, End), Arc<str>>;

/// The packets of all points so far.
#[derive(Debug, Default)]
pub struct Wires {
    points: BTreeMap<String, (Wire, Protocols)>,
}

/// [`Wires`] that are read while messages are correlated.
pub enum Reading {
    /// All was read.
    Done(Wires),
    /// A thread reads.
    Thread(JoinHandle<Result<Wires, CorrelateError>>),
}

impl Default for Reading {
    fn default() -> Self {
        Self::Done(Wires::default())
    }
}

impl Reading {
    /// Reads the packets of further imports, once those before are read.
    ///
    /// # Errors
    /// Where one of those before cannot be read.
    pub fn add(
        &mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &[PointConfig],
    ) -> Result<(), CorrelateError> {
        if imports.is_empty() {
            return Ok(());
        }
        let mut wires = self.wait()?;
        let (store, imports, points) = (store.clone(), imports.to_vec(), points.to_vec());
        *self = Self::Thread(std::thread::spawn(move || {
            wires.read(&store, &imports, &points)?;
            Ok(wires)
        }));
        Ok(())
    }

    /// The rows, once all is read.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn rows(&mut self) -> Result<WireRows, CorrelateError> {
        let wires = self.wait()?;
        let rows = wires.rows();
        *self = Self::Done(wires);
        Ok(rows)
    }

    fn wait(&mut self) -> Result<Wires, CorrelateError> {
        match std::mem::take(self) {
            Self::Done(wires) => Ok(wires),
            Self::Thread(thread) => {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        }
    }
}

impl Wires {
    /// Reads the packets of imports, which come after those read before.
    /// `points` are the configured ones; others are taken as they were imported.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn read(
        &mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &[PointConfig],
    ) -> Result<(), CorrelateError> {
        let mut by_point: BTreeMap<&str, Vec<&ImportManifest>> = BTreeMap::new();
        for import in imports {
            by_point.entry(&import.point).or_default().push(import);
        }
        for (point, imports) in by_point {
            let configured = points.iter().find(|config| config.name.as_str() == point);
            let imported = imports.first().map(|import| &import.point_config);
            let link_gbps = configured.or(imported).and_then(|config| config.link_gbps);
            let new = || (Wire::new(Arc::from(point), link_gbps), Protocols::default());
            let (wire, known) = self.points.entry(point.to_owned()).or_insert_with(new);
            frames(store, &imports, &mut |frame| wire.push(frame))?;
            protocols(store, &imports, known)?;
        }
        Ok(())
    }

    /// The rows as they are now.
    pub fn rows(&self) -> WireRows {
        let mut rows = WireRows::default();
        for (wire, protocols) in self.points.values() {
            rows.bursts.append(&mut wire.clone().bursts());
            rows.tcp.append(&mut wire.tcp(|src, dst| protocols.get(&(src, dst)).cloned()));
        }
        rows
    }
}

/// Adds the protocols of the point's TCP flows.
fn protocols(
    store: &Store,
    imports: &[&ImportManifest],
    protocols: &mut Protocols,
) -> Result<(), CorrelateError> {
    for segment in imports.iter().flat_map(|import| import.files_of("flows")) {
        for batch in SegmentReader::of(store, segment, None)? {
            for row in FlowRow::from_batch(&batch?)? {
                let ends = (row.src_addr.parse().ok()).zip(row.dst_addr.parse().ok());
                if let (Some((src, dst)), "tcp", Some(protocol)) =
                    (ends, &*row.transport, row.protocol)
                {
                    let ports = (row.src_port.unwrap_or(0), row.dst_port.unwrap_or(0));
                    protocols.insert(((src, ports.0), (dst, ports.1)), protocol);
                }
            }
        }
    }
    Ok(())
}

/// Rows of one place in order of time: a segment, or a row group of one that
/// is not sorted.
struct Source {
    file: PathBuf,
    row_groups: Option<Vec<usize>>,
}

struct Cursor {
    reader: SegmentReader,
    columns: Columns,
    row: usize,
}

struct Columns {
    ts: PrimitiveArray<TimestampNanosecondType>,
    interface: PrimitiveArray<UInt32Type>,
    direction: Words<Arc<str>>,
    link_type: PrimitiveArray<UInt32Type>,
    wire_len: PrimitiveArray<UInt32Type>,
    data: BinaryArray,
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let data = batch.column_by_name("data").and_then(|data| data.as_binary_opt::<i32>());
        Ok(Self {
            ts: numbers(batch, "ts")?,
            interface: numbers(batch, "interface")?,
            direction: Words::new(batch, "direction", |text| Arc::from(text))?,
            link_type: numbers(batch, "link_type")?,
            wire_len: numbers(batch, "wire_len")?,
            data: data.cloned().ok_or_else(|| missing("data"))?,
        })
    }

    fn frame(&self, row: usize, with: &mut dyn FnMut(&Frame<'_>)) {
        with(&Frame {
            ts: self.ts.value(row),
            interface: self.interface.value(row),
            direction: &self.direction.get(row),
            link_type: LinkType(self.link_type.value(row) as u16),
            wire_len: self.wire_len.value(row),
            data: self.data.value(row),
        });
    }
}

pub(crate) fn numbers<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    column.cloned().ok_or_else(|| missing(name))
}

pub(crate) fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("packets has no column {name} of its type"))
}

/// The next batch with rows.
fn next(reader: &mut SegmentReader) -> Result<Option<Columns>, CorrelateError> {
    for batch in reader {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(Columns::new(&batch)?));
        }
    }
    Ok(None)
}

/// Gives the frames of captures in one order of time. A source is opened when
/// its first time has come, and holds one batch.
fn frames(
    store: &Store,
    imports: &[&ImportManifest],
    with: &mut dyn FnMut(&Frame<'_>),
) -> Result<(), CorrelateError> {
    let mut sources = Vec::new();
    let mut heap = BinaryHeap::new();
    for segment in imports.iter().flat_map(|import| import.files_of("packets")) {
        for (row_groups, time) in segment.in_order() {
            heap.push(Reverse((time.map_or(i64::MIN, |time| time.min_ns), sources.len())));
            sources.push(Source { file: store.file(segment), row_groups });
        }
    }
    let mut cursors: HashMap<usize, Cursor> = HashMap::new();
    while let Some(Reverse((_, number))) = heap.pop() {
        let Some(cursor) = cursors.get_mut(&number) else {
            let Some(source) = sources.get(number) else { continue };
            let groups = source.row_groups.clone();
            let mut reader = SegmentReader::open(&source.file, Some(COLUMNS), groups)?;
            if let Some(columns) = next(&mut reader)? {
                heap.push(Reverse((columns.ts.value(0), number)));
                cursors.insert(number, Cursor { reader, columns, row: 0 });
            }
            continue;
        };
        let until = heap.peek().map_or(i64::MAX, |Reverse((ts, _))| *ts);
        match cursor.run(until, with)? {
            Some(ts) => heap.push(Reverse((ts, number))),
            None => drop(cursors.remove(&number)),
        }
    }
    Ok(())
}

impl Cursor {
    /// Gives one frame and those after it up to the time `until`; the time of
    /// the next one, `None` at the end.
    fn run(
        &mut self,
        until: i64,
        with: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<i64>, CorrelateError> {
        loop {
            self.columns.frame(self.row, with);
            self.row += 1;
            if self.row >= self.columns.ts.len() {
                let Some(columns) = next(&mut self.reader)? else { return Ok(None) };
                (self.columns, self.row) = (columns, 0);
            }
            let ts = self.columns.ts.value(self.row);
            if ts > until {
                return Ok(Some(ts));
            }
        }
    }
}
