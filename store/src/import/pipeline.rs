//! The threads of an import and the channels between them.

use crate::arrays::messages::MessageArrays;
use crate::catalog::Store;
use crate::catalog::manifest::LearnedScope;
use crate::error::StoreError;
use crate::import::learned::{Begun, EarlierCaptures, LearnedRows};
use crate::import::{Decoders, lead_in};
use crate::segment::file::Unplaced;
use crate::segment::packets::PacketWriter;
use crate::segment::properties::Provenance;
use crate::segment::writer::TableWriter;
use crate::tables::flows::FlowRow;
use crate::tables::learned::LearnedRow;
use crate::tables::row::{Row, Text};
use crate::tables::{PER_CAPTURE, Table};
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_decoders::batch::MessageBatch;
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::flow::FlowInfo;
use taptrail_decoders::headers::Transport;
use taptrail_decoders::learning::Earlier;
use taptrail_decoders::library::Library;
use taptrail_decoders::names::{Name, Names};

/// Batches that wait between two threads. A packet batch is about 1 MiB, a
/// batch of rows about 4.
const WAITING: usize = 4;

/// What an import does with packets.
pub(super) struct Stages<'a> {
    pub(super) capture_id: u64,
    /// Where segments are written.
    pub(super) directory: &'a Path,
    pub(super) provenance: Provenance,
    pub(super) keep_packets: bool,
    pub(super) decoders: Option<Decoders>,
    /// Where earlier captures are.
    pub(super) store: &'a Store,
    pub(super) point: &'a str,
}

/// What decoding gave, in numbers.
#[derive(Debug, Default)]
pub(super) struct Decoding {
    pub(super) rows: u64,
    /// By protocol.
    pub(super) messages: BTreeMap<String, u64>,
    /// By reason.
    pub(super) not_decoded: BTreeMap<String, u64>,
    /// Time of the first packet.
    pub(super) first_ts: Option<i64>,
    /// The capture whose TCP streams go on.
    pub(super) continues: Option<u64>,
    pub(super) learned: Vec<LearnedScope>,
}

/// What an import gave.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) segments: Vec<Unplaced>,
    pub(super) decoding: Decoding,
}

type Batches = Receiver<PacketBatch>;

/// Reads `source` to its end; `observe` sees each batch as it is read.
pub(super) fn run<S: PacketSource>(
    source: &mut S,
    stages: &Stages<'_>,
    observe: &mut dyn FnMut(&mut S, &PacketBatch),
) -> Result<Output, StoreError> {
    thread::scope(|scope| {
        let (spent, pool) = sync_channel(2 * WAITING);
        let mut packets = match stages.keep_packets {
            true => Some(packet_writer(stages)?),
            false => None,
        };
        let decoding = stages.decoders.as_ref().map(|decoders| {
            let (sender, batches) = sync_channel(WAITING);
            (sender, scope.spawn(move || decode(scope, stages, decoders, batches, spent)))
        });
        let (sender, decoding) = decoding.unzip();
        let read = read(source, packets.as_mut(), sender, &pool, observe);
        let mut output = Output::default();
        if let Some(decoding) = decoding {
            output.add(joined(decoding, "the thread that decodes")?);
        }
        read?;
        if let Some(packets) = packets {
            output.segments.extend(packets.finish()?);
        }
        Ok(output)
    })
}

impl Output {
    fn add(&mut self, other: Self) {
        self.segments.extend(other.segments);
        let Decoding { rows, messages, not_decoded, first_ts, continues, learned } = other.decoding;
        self.decoding.continues = self.decoding.continues.or(continues);
        self.decoding.rows += rows;
        self.decoding.messages.extend(messages);
        self.decoding.not_decoded.extend(not_decoded);
        self.decoding.first_ts = self.decoding.first_ts.or(first_ts);
        self.decoding.learned.extend(learned);
    }
}

fn joined<T>(
    handle: ScopedJoinHandle<'_, Result<T, StoreError>>,
    part: &'static str,
) -> Result<T, StoreError> {
    handle.join().unwrap_or(Err(StoreError::Stopped { part }))
}

/// Writes packets and hands them on until the source ends or the decoder has failed,
/// whose own error tells why.
fn read<S: PacketSource>(
    source: &mut S,
    mut packets: Option<&mut PacketWriter>,
    decoder: Option<SyncSender<PacketBatch>>,
    pool: &Receiver<PacketBatch>,
    observe: &mut dyn FnMut(&mut S, &PacketBatch),
) -> Result<(), StoreError> {
    let mut batch = PacketBatch::new();
    loop {
        let progress = source.next_batch(&mut batch)?;
        observe(source, &batch);
        if let Some(packets) = &mut packets {
            packets.write(&batch)?;
        }
        if let Some(decoder) = &decoder {
            let next = pool.try_recv().unwrap_or_default();
            if decoder.send(std::mem::replace(&mut batch, next)).is_err() {
                return Ok(());
            }
        }
        if progress == Progress::End {
            return Ok(());
        }
    }
}

pub(super) fn table(name: &str) -> Result<&'static Table, StoreError> {
    let table = PER_CAPTURE.iter().find(|table| table.name == name);
    table.ok_or_else(|| StoreError::NoTable { name: name.to_owned() })
}

pub(super) fn writer(name: &str, stages: &Stages<'_>) -> Result<TableWriter, StoreError> {
    Ok(TableWriter::new(table(name)?, stages.directory, &stages.provenance))
}

fn packet_writer(stages: &Stages<'_>) -> Result<PacketWriter, StoreError> {
    let Stages { capture_id, directory, provenance, .. } = stages;
    PacketWriter::new(table("packets")?, *capture_id, directory, provenance)
}

/// Decodes; the rows are written by a thread of their own.
fn decode<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stages: &'scope Stages<'scope>,
    decoders: &Decoders,
    batches: Batches,
    spent: SyncSender<PacketBatch>,
) -> Result<Output, StoreError> {
    let (rows, written) = sync_channel(WAITING);
    let messages = scope.spawn(move || write_messages(stages, written));
    let mut sender = RowSender::new(stages.capture_id, rows);
    let mut batches = batches.into_iter();
    let first = batches.next();
    let times = |batch: &PacketBatch| batch.iter().map(|p| p.meta.ts.ns()).collect::<Vec<_>>();
    let first_ts = first.as_ref().and_then(|batch| batch.iter().next().map(|p| p.meta.ts.ns()));
    let mut last_ts = first_ts.unwrap_or_default();
    let mut lessons = Lessons::new(stages, decoders, first_ts)?;
    let decoder = Decoder::new(Arc::clone(&decoders.config), Arc::clone(&decoders.library));
    let mut decoder = decoder.learning(lessons.earlier.take());
    let continues = go_on(stages, decoders, first_ts, &mut decoder)?;
    for batch in first.into_iter().chain(batches) {
        decoder.decode(&batch, &mut |batch, names| sender.send(batch, names));
        last_ts = times(&batch).into_iter().fold(last_ts, i64::max);
        lessons.write(&mut decoder)?;
        // A full pool has enough of them.
        let _ = spent.try_send(batch);
        if sender.ended() {
            break;
        }
    }
    decoder.end(&mut |batch, names| sender.send(batch, names));
    let (counts, failure) = sender.finish();
    let mut segments = joined(messages, "the thread that writes messages")?;
    if let Some(error) = failure {
        return Err(StoreError::Rows { table: "messages".to_owned(), error });
    }
    segments.extend(write_flows(stages, &decoder)?);
    lessons.write(&mut decoder)?;
    let learned = lessons.finish(&decoder, last_ts, &mut segments)?;
    let decoding = Decoding { first_ts, continues, learned, ..decoding(&decoder, &counts) };
    Ok(Output { segments, decoding })
}

/// Lets TCP streams go on from the capture before; which one that is.
fn go_on(
    stages: &Stages<'_>,
    decoders: &Decoders,
    first_ts: Option<i64>,
    decoder: &mut Decoder,
) -> Result<Option<u64>, StoreError> {
    let Some(first_ts) = first_ts.filter(|_| !decoders.config.decode.fresh) else {
        return Ok(None);
    };
    let catalog = stages.store.catalog()?;
    let here = (stages.point, stages.capture_id, first_ts);
    let Some(before) = lead_in::before(&catalog, here) else { return Ok(None) };
    lead_in::read(stages.store.root(), before, &mut |batch| decoder.lead_in(batch))?;
    decoder.begin();
    Ok(Some(before.capture_id))
}

fn write_messages(
    stages: &Stages<'_>,
    batches: Receiver<RecordBatch>,
) -> Result<Vec<Unplaced>, StoreError> {
    let mut writer = writer("messages", stages)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

/// Turns rows into arrays and sends them on.
struct RowSender {
    arrays: MessageArrays,
    rows: Option<SyncSender<RecordBatch>>,
    counts: Counts,
    failure: Option<ArrowError>,
}

/// Rows, and messages by their protocol's name.
#[derive(Default)]
struct Counts {
    rows: u64,
    messages: HashMap<u32, u64>,
}

impl RowSender {
    fn new(capture_id: u64, rows: SyncSender<RecordBatch>) -> Self {
        let arrays = MessageArrays::new(capture_id);
        Self { arrays, rows: Some(rows), counts: Counts::default(), failure: None }
    }

    fn send(&mut self, batch: &MessageBatch, names: &Names) {
        let Some(rows) = &self.rows else { return };
        let arrays = match self.arrays.batch(batch, names) {
            Ok(arrays) => arrays,
            Err(error) => {
                self.failure = Some(error);
                self.rows = None;
                return;
            }
        };
        self.counts.add(batch);
        if rows.send(arrays).is_err() {
            self.rows = None;
        }
    }

    /// Whether sending more is of no use.
    fn ended(&self) -> bool {
        self.rows.is_none()
    }

    fn finish(self) -> (Counts, Option<ArrowError>) {
        (self.counts, self.failure)
    }
}

impl Counts {
    fn add(&mut self, batch: &MessageBatch) {
        self.rows += batch.len() as u64;
        for (&protocol, &entry) in batch.protocol().iter().zip(batch.entry()) {
            if entry == 0 {
                *self.messages.entry(protocol).or_default() += 1;
            }
        }
    }
}

fn decoding(decoder: &Decoder, counts: &Counts) -> Decoding {
    let names = decoder.names();
    let by_name = |(&name, &count): (&u32, &u64)| (names.text(Name(name)).to_owned(), count);
    let undecoded = decoder.counters().undecoded.iter();
    let mut not_decoded: BTreeMap<String, u64> =
        undecoded.map(|(reason, count)| ((*reason).to_owned(), count.times)).collect();
    let cut = decoder.counters().messages_cut;
    if cut > 0 {
        not_decoded.insert("message cut by the capture length".to_owned(), cut);
    }
    if names.refused() > 0 {
        not_decoded.insert("name beyond the limit, left null".to_owned(), names.refused());
    }
    Decoding {
        rows: counts.rows,
        messages: counts.messages.iter().map(by_name).collect(),
        not_decoded,
        ..Decoding::default()
    }
}

/// Writes what messages teach.
struct Lessons<'a> {
    capture_id: u64,
    library: &'a Library,
    earlier: Option<Box<dyn Earlier>>,
    begun: Begun,
    rows: LearnedRows,
    writer: TableWriter,
}

impl<'a> Lessons<'a> {
    fn new(
        stages: &Stages<'_>,
        decoders: &'a Decoders,
        first_ts: Option<i64>,
    ) -> Result<Self, StoreError> {
        let begun = Begun::default();
        let catalog = stages.store.catalog()?;
        let earlier = first_ts.filter(|_| !decoders.config.decode.fresh).map(|first_ts| {
            let (store, begun) = (stages.store.clone(), Arc::clone(&begun));
            let (point, capture_id) = (stages.point.to_owned(), stages.capture_id);
            let earlier = EarlierCaptures { store, catalog, point, capture_id, first_ts, begun };
            Box::new(earlier) as Box<dyn Earlier>
        });
        let (library, rows) = (&*decoders.library, LearnedRows::default());
        let writer = writer("learned", stages)?;
        Ok(Self { capture_id: stages.capture_id, library, earlier, begun, rows, writer })
    }

    fn write(&mut self, decoder: &mut Decoder) -> Result<(), StoreError> {
        let taught = decoder.take_taught();
        if taught.is_empty() {
            return Ok(());
        }
        let Self { capture_id, library, begun, .. } = self;
        let rows = self.rows.taught(*capture_id, decoder, library, taught, begun);
        self.writer.write(LearnedRow::to_batch(&rows).map_err(StoreError::rows("learned"))?)
    }

    fn finish(
        mut self,
        decoder: &Decoder,
        last_ts: i64,
        segments: &mut Vec<Unplaced>,
    ) -> Result<Vec<LearnedScope>, StoreError> {
        let rows = self.rows.sequences(self.capture_id, decoder, self.library, last_ts);
        if !rows.is_empty() {
            let batch = LearnedRow::to_batch(&rows).map_err(StoreError::rows("learned"))?;
            self.writer.write(batch)?;
        }
        segments.extend(self.writer.finish()?);
        Ok(self.rows.scopes(decoder, self.library, &self.begun))
    }
}

/// The flows that a decoder knows.
pub(super) fn flow_rows(capture_id: u64, decoder: &Decoder) -> Vec<FlowRow> {
    let names = decoder.names();
    let flows = (0..).zip(decoder.flows()).filter(|(_, info)| info.packets > 0);
    flows.map(|(flow_id, info)| flow(capture_id, flow_id, info, names)).collect()
}

fn write_flows(stages: &Stages<'_>, decoder: &Decoder) -> Result<Vec<Unplaced>, StoreError> {
    let mut writer = writer("flows", stages)?;
    let rows = flow_rows(stages.capture_id, decoder);
    writer.write(FlowRow::to_batch(&rows).map_err(StoreError::rows("flows"))?)?;
    writer.finish()
}

fn flow(capture_id: u64, flow_id: u32, info: &FlowInfo, names: &Names) -> FlowRow {
    let text = |name: Name| -> Text { names.text(name).into() };
    let has_ports = info.transport != Transport::Ethernet;
    let outer = info.path.outer.map(|(src, dst)| [src, dst].map(|end| end.to_string().into()));
    let [outer_src, outer_dst] = outer.map_or([None, None], |ends| ends.map(Some));
    FlowRow {
        capture_id,
        flow_id,
        transport: info.transport.text().into(),
        src_addr: info.src.to_string().into(),
        src_port: has_ports.then_some(info.src_port),
        dst_addr: info.dst.to_string().into(),
        dst_port: has_ports.then_some(info.dst_port),
        vlan: info.vlan,
        tunnel: (!info.path.is_empty()).then(|| info.path.to_string().into()),
        outer_src,
        outer_dst,
        protocol: info.protocol.map(text),
        recognised: info.recognised.map(|recognised| recognised.text().into()),
        line: info.line.map(text),
        packets: info.packets,
        bytes: info.bytes,
        messages: info.messages,
        first_ts: info.first_ts,
        last_ts: info.last_ts,
        gaps: info.gaps,
        missing: info.missing,
        errors: info.errors,
        note: info.note.map(Into::into),
    }
}
