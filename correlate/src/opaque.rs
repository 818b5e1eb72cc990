//! Packets that nothing decodes, of all points in one order of time.
//!
//! ```text
//! flows      flow 4: udp 10.0.0.1:9000 -> 239.1.1.1:9000, protocol null
//!               │ which packets
//! packets   P1 ─┴─ segment ─ row group ...  ┐
//!           P2 ─── segment ─ ...            ├─ heap by corrected time ─> payloads ─> links
//! ```
//!
//! Packets have no time of their own in the order of messages: a capture's are
//! there only once it is sealed. So they are taken up to what every point has
//! sealed. Nothing is read while fewer than two points have such flows.

use crate::clock::{Clocks, Stamp};
use crate::event::{Identity, Sighting};
use crate::link::{Evidence, Link, LinkKind};
use crate::matching::payload::{Group, Payloads, Seen, flow_number};
use crate::observation::Observation;
use crate::points::{PointIx, Points};
use crate::run::CorrelateError;
use crate::text::{TextId, Texts};
use crate::wire::read::{missing, numbers};
use arrow::array::types::{TimestampNanosecondType, UInt32Type};
use arrow::array::{AsArray, BinaryArray, PrimitiveArray, RecordBatch};
use arrow::error::ArrowError;
use hashbrown::{HashMap, HashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use taptrail_capture::packet::LinkType;
use taptrail_decoders::framing::sequence::fingerprint;
use taptrail_decoders::headers::{self, Segment, Transport};
use taptrail_decoders::kind::Kind;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::segment::reader::SegmentReader;
use taptrail_store::tables::flows::FlowRow;
use taptrail_store::tables::row::Row;

const COLUMNS: &[&str] = &["ts", "packet_ix", "link_type", "data"];

/// The rule's name in `links`.
pub const RULE: &str = "payload_hash";

/// Most segments, or row groups of such as are not sorted, that wait to be read: those
/// of one point wait for a second one.
pub const SOURCES_MAX: usize = 1 << 16;

/// A point that has sealed nothing for so long, by the time of others, holds nobody up.
const SILENT_NS: i64 = 120_000_000_000;

type FlowKey = (Transport, IpAddr, u16, IpAddr, u16);

/// Packets of one place in order of time.
struct Source {
    file: PathBuf,
    row_groups: Option<Vec<usize>>,
    point: PointIx,
    capture_id: u64,
    flows: Arc<HashSet<FlowKey>>,
    cursor: Option<Cursor>,
}

struct Cursor {
    reader: SegmentReader,
    batch: Columns,
    row: usize,
}

struct Columns {
    ts: PrimitiveArray<TimestampNanosecondType>,
    packet_ix: PrimitiveArray<UInt32Type>,
    link_type: PrimitiveArray<UInt32Type>,
    data: BinaryArray,
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let data = batch.column_by_name("data").and_then(|data| data.as_binary_opt::<i32>());
        Ok(Self {
            ts: numbers(batch, "ts")?,
            packet_ix: numbers(batch, "packet_ix")?,
            link_type: numbers(batch, "link_type")?,
            data: data.cloned().ok_or_else(|| missing("data"))?,
        })
    }
}

/// See the module.
pub struct Opaque {
    payloads: Payloads,
    sources: Vec<Source>,
    /// By corrected time.
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    /// Points with flows that nothing decodes.
    points: HashSet<PointIx>,
    /// Up to when each point has sealed its packets, as stamped.
    sealed: HashMap<PointIx, i64>,
    cut: u64,
    /// Sources that were not read because of [`SOURCES_MAX`].
    not_read: u64,
    /// Numbers of sources that were read to their end.
    read: Vec<usize>,
}

impl Opaque {
    /// Looks for a packet's other sightings for `window_ns`.
    pub fn new(window_ns: i64) -> Self {
        Self {
            payloads: Payloads::new(window_ns),
            sources: Vec::new(),
            heap: BinaryHeap::new(),
            points: HashSet::new(),
            sealed: HashMap::new(),
            cut: 0,
            not_read: 0,
            read: Vec::new(),
        }
    }

    /// Packets that a limit, or a capture that cut them, left out; segments that wait
    /// without end count as one.
    pub fn left_out(&self) -> u64 {
        self.payloads.left_out() + self.cut + self.not_read
    }

    /// Adds the packets of imports.
    ///
    /// # Errors
    /// Where `flows` cannot be read.
    pub fn add(
        &mut self,
        store: &Store,
        imports: &[Arc<ImportManifest>],
        points: &Points,
        clocks: &Clocks,
    ) -> Result<(), CorrelateError> {
        for import in imports {
            let Some(point) = points.find(&import.point) else { continue };
            let ends = import.files_of("packets").filter_map(|file| Some(file.time?.max_ns));
            if let Some(end) = ends.max() {
                let sealed = self.sealed.entry(point).or_insert(end);
                *sealed = end.max(*sealed);
            }
            let flows = undecoded(store, import)?;
            if flows.is_empty() {
                continue;
            }
            self.points.insert(point);
            let (flows, capture_id) = (Arc::new(flows), import.capture_id);
            for segment in import.files_of("packets") {
                for (row_groups, time) in segment.in_order() {
                    let (file, flows) = (store.file(segment), Arc::clone(&flows));
                    let ts = time.map_or(i64::MIN, |time| time.min_ns);
                    let at = clocks.corrected(Stamp { point, ts });
                    let cursor = None;
                    self.wait(at, Source { file, row_groups, point, capture_id, flows, cursor });
                }
            }
        }
        Ok(())
    }

    /// A source waits for its first time.
    fn wait(&mut self, at: i64, source: Source) {
        if self.heap.len() >= SOURCES_MAX {
            self.not_read += 1;
            return;
        }
        // Where captures come without end, sources would be without number.
        let number = self.read.pop().unwrap_or(self.sources.len());
        self.heap.push(Reverse((at, number)));
        match self.sources.get_mut(number) {
            Some(place) => *place = source,
            None => self.sources.push(source),
        }
    }

    /// Up to which corrected time all points have sealed their packets.
    pub fn sealed(&self, clocks: &Clocks) -> i64 {
        let at = |(&point, &ts): (&PointIx, &i64)| clocks.corrected(Stamp { point, ts });
        let newest = self.sealed.iter().map(at).max().unwrap_or(i64::MIN);
        let lively = |at: &i64| newest.saturating_sub(*at) <= SILENT_NS;
        self.sealed.iter().map(at).filter(lively).min().unwrap_or(i64::MIN)
    }

    /// Takes packets up to a corrected time and gives the links that are certain by
    /// then to `tell`.
    ///
    /// # Errors
    /// Where a segment cannot be read.
    pub fn feed(
        &mut self,
        until: i64,
        clocks: &Clocks,
        texts: &mut Texts,
        tell: &mut dyn FnMut(Link),
    ) -> Result<(), CorrelateError> {
        if self.points.len() < 2 {
            return Ok(());
        }
        let transports = [texts.intern("udp"), texts.intern("tcp")];
        while let Some(&Reverse((at, number))) = self.heap.peek().filter(|next| next.0.0 <= until) {
            self.heap.pop();
            match self.step(number, clocks, transports)? {
                Some(next) => self.heap.push(Reverse((next, number))),
                None => self.read.push(number),
            }
            self.close(at, clocks, tell);
        }
        self.close(until, clocks, tell);
        Ok(())
    }

    /// Takes the next packet of a source; the time of the one after it.
    fn step(
        &mut self,
        number: usize,
        clocks: &Clocks,
        transports: [TextId; 2],
    ) -> Result<Option<i64>, CorrelateError> {
        let Some(source) = self.sources.get_mut(number) else { return Ok(None) };
        let point = source.point;
        let corrected = |ts| clocks.corrected(Stamp { point, ts });
        let Some(cursor) = &mut source.cursor else {
            let groups = source.row_groups.clone();
            let mut reader = SegmentReader::open(&source.file, Some(COLUMNS), groups)?;
            let Some(batch) = next(&mut reader)? else { return Ok(None) };
            let at = corrected(batch.ts.value(0));
            source.cursor = Some(Cursor { reader, batch, row: 0 });
            return Ok(Some(at));
        };
        let (batch, row) = (&cursor.batch, cursor.row);
        let data = batch.data.value(row);
        let link = LinkType(batch.link_type.value(row) as u16);
        let segment = headers::parse(link, data).ok();
        if let Some(segment) = segment.filter(|s| source.flows.contains(&key(s))) {
            let payload = data.get(segment.payload.clone()).unwrap_or_default();
            if segment.truncated {
                self.cut += 1;
            } else if !payload.is_empty() {
                let ts = batch.ts.value(row);
                let packet_ix = batch.packet_ix.value(row);
                let capture_id = source.capture_id;
                let identity = Identity { capture_id, packet_ix, msg_ix: 0 };
                let udp = segment.transport != Transport::Tcp;
                self.payloads.push(Seen {
                    point,
                    ts,
                    at: corrected(ts),
                    identity,
                    transport: transports[usize::from(!udp)],
                    payload: flow_number(&[fingerprint(payload), u64::from(udp)]),
                    flow: number_of(&segment),
                    ip_id: segment.ip_id,
                });
            }
        }
        cursor.row += 1;
        if cursor.row >= cursor.batch.ts.len() {
            let Some(batch) = next(&mut cursor.reader)? else {
                source.cursor = None;
                return Ok(None);
            };
            (cursor.batch, cursor.row) = (batch, 0);
        }
        Ok(Some(corrected(cursor.batch.ts.value(cursor.row))))
    }

    fn close(&mut self, watermark: i64, clocks: &Clocks, tell: &mut dyn FnMut(Link)) {
        while let Some(group) = self.payloads.close_next(watermark) {
            links(&group, clocks, tell);
        }
    }
}

/// The links from each sighting to the next.
fn links(group: &Group, clocks: &Clocks, tell: &mut dyn FnMut(Link)) {
    let evidence = Evidence {
        rule: RULE,
        confidence: group.confidence,
        candidates: group.candidates,
        skipped: 0,
    };
    for pair in group.seen.windows(2) {
        let [from, to] = pair else { continue };
        let observation = |seen: &Seen| Observation {
            at: seen.at,
            protocol: seen.transport,
            capture_id: seen.identity.capture_id,
            packet_ix: seen.identity.packet_ix,
            ..Observation::empty(seen.point, seen.ts, Kind::Unknown)
        };
        let (start, end) = (observation(from), observation(to));
        let (from, to) = (Sighting::of(&start, false), Sighting::of(&end, false));
        tell(Link::new(LinkKind::Same, evidence, &start, &from, &to, clocks));
    }
}

fn key(segment: &Segment) -> FlowKey {
    let Segment { transport, src, src_port, dst, dst_port, .. } = *segment;
    (transport, src, src_port, dst, dst_port)
}

/// A number of a packet's addresses and ports.
fn number_of(segment: &Segment) -> u64 {
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let halves = |ip: IpAddr| [(address(ip) >> 64) as u64, address(ip) as u64];
    let ports = u64::from(segment.src_port) << 16 | u64::from(segment.dst_port);
    let ([a, b], [c, d]) = (halves(segment.src), halves(segment.dst));
    flow_number(&[a, b, c, d, ports])
}

/// The flows of an import that were not recognised.
fn undecoded(store: &Store, import: &ImportManifest) -> Result<HashSet<FlowKey>, CorrelateError> {
    let mut found = HashSet::new();
    for segment in import.files_of("flows") {
        for batch in SegmentReader::of(store, segment, None)? {
            for row in FlowRow::from_batch(&batch?)? {
                let transport = match &*row.transport {
                    "udp" => Transport::Udp,
                    "tcp" => Transport::Tcp,
                    _ => continue,
                };
                let ends = row.src_addr.parse().ok().zip(row.dst_addr.parse().ok());
                if let (Some((src, dst)), None) = (ends, &row.protocol) {
                    let ports = (row.src_port.unwrap_or(0), row.dst_port.unwrap_or(0));
                    found.insert((transport, src, ports.0, dst, ports.1));
                }
            }
        }
    }
    Ok(found)
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
