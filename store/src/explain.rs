//! One stored message taken apart, field by field.
//!
//! ```text
//! capture_id, packet_ix, msg_ix ─> row ─whole in its packet─> its bytes ─────────> explained
//!                                   └─cut by TCP, FAST, a framing─> its conversation from the start
//! ```
//!
//! Messages are found as they were when they were decoded: with the settings
//! that the manifest keeps, and where earlier packets matter by going through
//! those of the same conversation.

use crate::arrays::packets::{PacketRows, READ_COLUMNS};
use crate::catalog::Store;
use crate::catalog::manifest::{ImportManifest, hex};
use crate::error::StoreError;
use crate::import::lead_in;
use crate::segment::reader::{SegmentReader, row_groups_with};
use arrow::array::{
    Array, AsArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt16Array, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use taptrail_capture::packet::{Packet, PacketBatch};
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::explain::{ExplainedMessage, Explainer, WholeMessage, explain_whole};
use taptrail_decoders::flow::Recognised;
use taptrail_decoders::headers::{self, Transport};
use taptrail_decoders::kind::Sender;
use taptrail_decoders::library::{Library, ProtocolRef};

/// The message that `messages` names by these three; `None` where there is
/// none.
///
/// # Errors
/// Where the store does not hold the capture, or files that its decoding was
/// configured with are gone.
pub fn explain_message(
    store: &Store,
    capture_id: u64,
    packet_ix: u32,
    msg_ix: u16,
) -> Result<Option<ExplainedMessage>, StoreError> {
    let catalog = store.catalog()?;
    let import = catalog.import(capture_id).ok_or(StoreError::NoCapture { capture_id })?;
    if import.is_without_packets() {
        return Err(StoreError::NoPackets { capture_id });
    }
    let Some(packet) = find_packet(store, import, packet_ix)? else { return Ok(None) };
    let (config, library) = decoders(import)?;
    let wanted = |message: &ExplainedMessage| {
        message.packet_ix == packet_ix && message.msg_ix == Some(msg_ix)
    };
    let whole = explain_row(store, import, &packet, (packet_ix, msg_ix), (&config, &library))?;
    if whole.is_some() {
        return Ok(whole);
    }
    let conversation = packet.iter().next().and_then(|packet| Conversation::of(&packet));
    if conversation.as_ref().is_some_and(|c| c.transport == Transport::Udp) {
        let alone = explain_alone(&packet, &config, &library);
        let sure = alone.iter().all(|message| stands_alone(message, &config, &library));
        if let Some(message) = alone.into_iter().find(|message| sure && wanted(message)) {
            return Ok(Some(message));
        }
    }
    let mut explainer = Explainer::new(config, library);
    if let Some(before) = import.continues.and_then(|id| catalog.import(id)) {
        lead_in::read(store.root(), before, &mut |batch| explainer.lead_in(batch))?;
        explainer.begin();
    }
    replay(store, capture_id, conversation.as_ref(), &mut explainer, &wanted)
}

/// Columns of `messages` that say where a message's bytes are.
const ROW_COLUMNS: &[&str] =
    &["ts", "packet_ix", "msg_ix", "entry", "protocol", "sender", "raw_off", "raw_len"];

/// The message by its row and its packet, where those are enough.
fn explain_row(
    store: &Store,
    import: &ImportManifest,
    packet: &PacketBatch,
    (packet_ix, msg_ix): (u32, u16),
    (config, library): (&DecoderConfig, &Library),
) -> Result<Option<ExplainedMessage>, StoreError> {
    let Some(data) = packet.iter().next().map(|packet| packet.data) else { return Ok(None) };
    for segment in import.files_of("messages") {
        let path = store.file(segment);
        let groups = row_groups_with(&path, segment, "packet_ix", packet_ix)?;
        if groups.is_empty() {
            continue;
        }
        for batch in SegmentReader::open(&path, Some(ROW_COLUMNS), Some(groups))? {
            let batch = batch?;
            let rows = MessageRows::new(&batch).map_err(StoreError::rows("messages"))?;
            if let Some(row) = rows.find(packet_ix, msg_ix) {
                let whole = rows.whole(row, data);
                return Ok(whole.and_then(|whole| explain_whole(&whole, library, config)));
            }
        }
    }
    Ok(None)
}

/// Rows of `messages` with [`ROW_COLUMNS`].
struct MessageRows {
    ts: TimestampNanosecondArray,
    packet_ix: UInt32Array,
    msg_ix: UInt16Array,
    protocol: StringArray,
    sender: StringArray,
    raw_off: UInt32Array,
    raw_len: UInt32Array,
}

impl MessageRows {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            let missing = || ArrowError::SchemaError(format!("messages has no column {name}"));
            batch.column_by_name(name).ok_or_else(missing)
        };
        let text = |name: &str| cast(column(name)?, &DataType::Utf8);
        let number = |name: &str| cast(column(name)?, &DataType::UInt32);
        Ok(Self {
            ts: column("ts")?.as_primitive().clone(),
            packet_ix: number("packet_ix")?.as_primitive().clone(),
            msg_ix: cast(column("msg_ix")?, &DataType::UInt16)?.as_primitive().clone(),
            protocol: text("protocol")?.as_string().clone(),
            sender: text("sender")?.as_string().clone(),
            raw_off: number("raw_off")?.as_primitive().clone(),
            raw_len: number("raw_len")?.as_primitive().clone(),
        })
    }

    fn find(&self, packet_ix: u32, msg_ix: u16) -> Option<usize> {
        let is_it = |&row: &usize| {
            (self.packet_ix.value(row), self.msg_ix.value(row)) == (packet_ix, msg_ix)
        };
        (0..self.ts.len()).find(is_it)
    }

    /// The message of a row, where it lies whole in the packet `data`.
    fn whole<'a>(&'a self, row: usize, data: &'a [u8]) -> Option<WholeMessage<'a>> {
        let offset = self.raw_off.is_valid(row).then(|| self.raw_off.value(row))?;
        let end = (offset as usize).saturating_add(self.raw_len.value(row) as usize);
        let sender = self.sender.is_valid(row).then(|| self.sender.value(row));
        Some(WholeMessage {
            protocol: self.protocol.value(row),
            bytes: data.get(offset as usize..end)?,
            sender: sender.and_then(Sender::from_text),
            packet_ix: self.packet_ix.value(row),
            msg_ix: self.msg_ix.value(row),
            ts: self.ts.value(row),
            offset,
        })
    }
}

/// The packet, alone in a batch.
fn find_packet(
    store: &Store,
    import: &ImportManifest,
    packet_ix: u32,
) -> Result<Option<PacketBatch>, StoreError> {
    for segment in import.files_of("packets") {
        let path = store.file(segment);
        let groups = row_groups_with(&path, segment, "packet_ix", packet_ix)?;
        if groups.is_empty() {
            continue;
        }
        for rows in SegmentReader::open(&path, Some(READ_COLUMNS), Some(groups))? {
            let rows = rows?;
            let rows = PacketRows::new(&rows).map_err(StoreError::rows("packets"))?;
            if let Some(row) = (0..rows.len()).find(|&row| rows.packet_ix(row) == packet_ix) {
                let mut batch = PacketBatch::new();
                batch.push(rows.meta(row), rows.data(row));
                return Ok(Some(batch));
            }
        }
    }
    Ok(None)
}

/// The decoders as the manifest has them.
pub(crate) fn decoders(
    import: &ImportManifest,
) -> Result<(Arc<DecoderConfig>, Arc<Library>), StoreError> {
    let Some(settings) = &import.decode else {
        return Ok((Arc::default(), Arc::new(Library::shipped())));
    };
    let config = config(import)?;
    let base = Path::new(&settings.base);
    if let Ok(library) = Library::load(&config, base) {
        return Ok((config, Arc::new(library)));
    }
    // Templates and protocol files may be gone since; all else can still be explained.
    let config = without_files(DecoderConfig::clone(&config));
    let library = Library::load(&config, base).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        StoreError::Decoders { reason: errors.join("; ") }
    })?;
    Ok((Arc::new(config), Arc::new(library)))
}

/// What the manifest says of feeds and sessions.
pub(crate) fn config(import: &ImportManifest) -> Result<Arc<DecoderConfig>, StoreError> {
    let Some(settings) = &import.decode else { return Ok(Arc::default()) };
    let config: DecoderConfig =
        serde_json::from_value(settings.config.clone()).map_err(|error| {
            let capture = hex(import.capture_id);
            let reason = format!(
                "capture {capture} was decoded with settings that this version does not know \
                 ({error}): use the version that decoded it, or import it into a new store"
            );
            StoreError::Decoders { reason }
        })?;
    Ok(Arc::new(DecoderConfig { protocol: settings.protocol.clone(), ..config }))
}

/// The configuration without what only files of the user's explain.
pub(crate) fn without_files(mut config: DecoderConfig) -> DecoderConfig {
    config.feeds.retain(|feed| feed.templates.is_none());
    config.decode.protocols = None;
    config
}

/// Every message of one packet, without what came before it.
fn explain_alone(
    packet: &PacketBatch,
    config: &Arc<DecoderConfig>,
    library: &Arc<Library>,
) -> Vec<ExplainedMessage> {
    let mut messages = Vec::new();
    let mut explainer = Explainer::new(Arc::clone(config), Arc::clone(library));
    explainer.explain(packet, &mut |message| messages.push(message));
    messages
}

/// Whether earlier packets could not have changed it.
fn stands_alone(message: &ExplainedMessage, config: &DecoderConfig, library: &Library) -> bool {
    let sure = matches!(message.recognised, Some(Recognised::Certain | Recognised::Configured));
    let protocol = message.protocol.as_ref().and_then(|id| library.find(id, config));
    sure && message.error.is_none() && !matches!(protocol, None | Some(ProtocolRef::Fast(_)))
}

/// Both directions between two addresses and ports.
#[derive(Debug, PartialEq, Eq)]
struct Conversation {
    transport: Transport,
    ends: [(IpAddr, u16); 2],
}

impl Conversation {
    fn of(packet: &Packet<'_>) -> Option<Self> {
        let segment = headers::parse(packet.meta.link_type, packet.data).ok()?;
        let mut ends = [(segment.src, segment.src_port), (segment.dst, segment.dst_port)];
        ends.sort_unstable();
        Some(Self { transport: segment.transport, ends })
    }
}

/// Explains the packets of a conversation (of all, where there is none) from
/// the capture's start until the wanted message.
fn replay(
    store: &Store,
    capture_id: u64,
    conversation: Option<&Conversation>,
    explainer: &mut Explainer,
    wanted: &dyn Fn(&ExplainedMessage) -> bool,
) -> Result<Option<ExplainedMessage>, StoreError> {
    let mut source = store.packets(capture_id)?;
    let (mut read, mut kept) = (PacketBatch::new(), PacketBatch::new());
    let mut found = None;
    loop {
        let progress = source.next_batch(&mut read)?;
        kept.clear();
        for packet in read.iter() {
            let apart = conversation.is_some()
                && Conversation::of(&packet).is_some_and(|c| Some(&c) != conversation);
            if !apart {
                kept.push(packet.meta, packet.data);
            }
        }
        let keep = &mut |message| {
            if wanted(&message) {
                found = Some(message);
            }
        };
        explainer.explain(&kept, keep);
        if progress == Progress::End {
            explainer.finish(keep);
        }
        if progress == Progress::End || found.is_some() {
            return Ok(found);
        }
    }
}
