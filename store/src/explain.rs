//! One stored message taken apart, field by field.
//!
//! ```text
//! capture_id, packet_ix ─> packet ─a datagram of fixed layout─────────> explained at once
//!                             └─TCP, FAST, not sure─> its conversation from the start ─> explained
//! ```
//!
//! Messages are found as they were when they were decoded: with the settings
//! that the manifest keeps, and where earlier packets matter by going through
//! those of the same conversation.

use crate::arrays::packets::{PacketRows, READ_COLUMNS};
use crate::catalog::Store;
use crate::catalog::manifest::{ImportManifest, hex};
use crate::error::StoreError;
use crate::segment::reader::{SegmentReader, row_groups_with};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use taptrail_capture::packet::{Packet, PacketBatch};
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::explain::{ExplainedMessage, Explainer};
use taptrail_decoders::flow::Recognised;
use taptrail_decoders::headers::{self, Transport};
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
    let Some(packet) = find_packet(store, import, packet_ix)? else { return Ok(None) };
    let (config, library) = decoders(import)?;
    let wanted = |message: &ExplainedMessage| {
        message.packet_ix == packet_ix && message.msg_ix == Some(msg_ix)
    };
    let conversation = packet.iter().next().and_then(|packet| Conversation::of(&packet));
    if conversation.as_ref().is_some_and(|c| c.transport == Transport::Udp) {
        let alone = explain_alone(&packet, &config, &library);
        let sure = alone.iter().all(|message| stands_alone(message, &config, &library));
        if let Some(message) = alone.into_iter().find(|message| sure && wanted(message)) {
            return Ok(Some(message));
        }
    }
    let mut explainer = Explainer::new(config, library);
    replay(store, capture_id, conversation.as_ref(), &mut explainer, &wanted)
}

/// The packet, alone in a batch.
fn find_packet(
    store: &Store,
    import: &ImportManifest,
    packet_ix: u32,
) -> Result<Option<PacketBatch>, StoreError> {
    for segment in import.files_of("packets") {
        let path = store.file(segment);
        let groups = row_groups_with(&path, "packet_ix", packet_ix)?;
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
fn decoders(import: &ImportManifest) -> Result<(Arc<DecoderConfig>, Arc<Library>), StoreError> {
    let Some(settings) = &import.decode else {
        return Ok((Arc::default(), Arc::new(Library::shipped())));
    };
    let config: DecoderConfig =
        serde_json::from_value(settings.config.clone()).map_err(|error| {
            let capture = hex(import.capture_id);
            let reason = format!(
                "capture {capture} was decoded with settings that this version does not know \
                 ({error}): use the version that decoded it, or import it into a new store"
            );
            StoreError::Decoders { reason }
        })?;
    let config = DecoderConfig { protocol: settings.protocol.clone(), ..config };
    let base = Path::new(&settings.base);
    if let Ok(library) = Library::load(&config, base) {
        return Ok((Arc::new(config), Arc::new(library)));
    }
    // Templates and protocol files may be gone since; all else can still be explained.
    let config = without_files(config);
    let library = Library::load(&config, base).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        StoreError::Decoders { reason: errors.join("; ") }
    })?;
    Ok((Arc::new(config), Arc::new(library)))
}

/// The configuration without what only files of the user's explain.
fn without_files(mut config: DecoderConfig) -> DecoderConfig {
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
