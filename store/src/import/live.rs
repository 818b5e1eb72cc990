//! Decodes a point's packets while they are captured, and shows the messages piece by
//! piece.
//!
//! ```text
//! packets of the open segment ─> the point's decoder ─> rows ─each fifth of a second─> a piece
//!         next segment ────────────────┘ goes on: TCP and what was learned are kept
//! ```
//!
//! The sealed import of the segment decodes it once more and has the last word.

use crate::arrays::messages::MessageArrays;
use crate::catalog::Store;
use crate::catalog::live::{LiveManifest, PIECES_QUICK};
use crate::catalog::scratch::Scratch;
use crate::error::StoreError;
use crate::identity::segment_capture_id;
use crate::import::Decoders;
use crate::import::learned::EarlierCaptures;
use crate::import::pipeline::{flow_rows, table};
use crate::segment::Segment;
use crate::segment::properties::Provenance;
use crate::segment::writer::TableWriter;
use crate::tables::flows::FlowRow;
use crate::tables::row::Row;
use arrow::array::RecordBatch;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::{PointConfig, TimestampFrom};
use taptrail_capture::trailer::stamper::{Stamper, Stamping};
use taptrail_decoders::decoder::Decoder;
use taptrail_decoders::flow::Recognised;
use taptrail_decoders::learning::Earlier;

/// Between two pieces.
pub const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// The same, of a capture with many pieces.
const SHOWN_SLOWLY_EVERY: Duration = Duration::from_secs(1);

/// Flows and names that a decoder takes along into another segment; where there are
/// more, the next segment begins anew.
const FLOWS_KEPT: usize = 1 << 14;
const NAMES_KEPT: usize = 1 << 18;

const DAY_NS: i64 = 86_400_000_000_000;

/// Decodes one point.
pub struct LiveDecoder {
    store: Store,
    scratch: Scratch,
    point: PointConfig,
    decoders: Decoders,
    config_hash: String,
    decoder: Option<Decoder>,
    /// Day of the decoder's first packet, counted from the epoch.
    day: i64,
    open: Option<Open>,
    /// The last capture, complete; while none is open it says how far the point is.
    closed: Option<Open>,
}

/// A capture under way.
struct Open {
    manifest: LiveManifest,
    arrays: MessageArrays,
    stamper: Stamper,
    rows: Vec<RecordBatch>,
    /// What of the flows was shown last.
    flows: Vec<Option<Recognised>>,
    /// Whether something was not shown yet.
    is_new: bool,
    shown: Instant,
}

impl LiveDecoder {
    /// For what `point` captures into `store`.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn new(
        store: &Store,
        point: &PointConfig,
        decoders: Decoders,
        config_hash: &str,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            store: store.clone(),
            scratch: Scratch::new(&store.root().join("tmp"), "live-")?,
            point: point.clone(),
            decoders,
            config_hash: config_hash.to_owned(),
            decoder: None,
            day: 0,
            open: None,
            closed: None,
        })
    }

    /// A segment begins, under this name; what was not shown of the one before is not
    /// any more.
    pub fn open(&mut self, segment: &str) {
        self.closed = None;
        let interrupted = self.open.take().is_some();
        let capture_id = segment_capture_id(&self.point.name, segment);
        match &mut self.decoder {
            // Its streams have a hole that nobody counted.
            Some(_) if interrupted => self.decoder = None,
            Some(decoder) => decoder.go_on(),
            None => {}
        }
        self.open = Some(Open {
            manifest: LiveManifest::new(&self.point, capture_id, &self.config_hash),
            arrays: MessageArrays::new(capture_id),
            stamper: Stamper::new(Stamping::from(&self.point)),
            rows: Vec::new(),
            flows: Vec::new(),
            is_new: false,
            shown: Instant::now(),
        });
    }

    /// Takes the segment's next packets.
    ///
    /// # Errors
    /// Where rows cannot be made; the segment is then not shown any further.
    pub fn packets(&mut self, batch: &mut PacketBatch) -> Result<(), StoreError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.stamper.batch(batch);
        let Some(ts) = batch.iter().next().map(|packet| packet.meta.ts.ns()) else {
            self.open = Some(open);
            return Ok(());
        };
        let begins = open.manifest.packets == 0;
        let kept = self.decoder.take().filter(|kept| self.may_go_on(kept, begins, ts));
        let mut decoder = match kept {
            Some(decoder) => decoder,
            None => self.decoder(open.manifest.capture_id, ts)?,
        };
        let mut failed = None;
        decoder.decode(batch, &mut |rows, names| match open.arrays.batch(rows, names) {
            Ok(rows) => open.rows.push(rows),
            Err(error) => failed = Some(error),
        });
        decoder.take_taught();
        if let Some(error) = failed {
            return Err(StoreError::Rows { table: "messages".to_owned(), error });
        }
        let last = batch.iter().map(|packet| packet.meta.ts.ns()).max();
        open.manifest.packets = open.manifest.packets.saturating_add(batch.len() as u32);
        open.manifest.shown_ts = open.manifest.shown_ts.max(last);
        open.is_new = true;
        (self.decoder, self.open) = (Some(decoder), Some(open));
        Ok(())
    }

    /// Nothing that the system stamped before `ts` is still to come.
    pub fn quiet(&mut self, ts: i64) {
        let by_record = Stamping::from(&self.point) == Stamping::from(TimestampFrom::Record);
        let stamped_here = by_record && !self.point.adapter_stamps;
        if let Some(open) = self.open.as_mut().or(self.closed.as_mut()).filter(|_| stamped_here)
            && open.manifest.shown_ts < Some(ts)
        {
            open.manifest.shown_ts = Some(ts);
            open.is_new = true;
        }
    }

    /// The segment is complete.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub fn close(&mut self) -> Result<(), StoreError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.manifest.complete = true;
        self.show_open(&mut open)?;
        self.closed = Some(open);
        Ok(())
    }

    /// When more may be shown.
    pub fn due(&self) -> Option<Instant> {
        let open = self.open.as_ref().or(self.closed.as_ref()).filter(|open| open.is_new)?;
        let slowly = open.manifest.pieces.len() >= PIECES_QUICK;
        Some(open.shown + if slowly { SHOWN_SLOWLY_EVERY } else { SHOWN_EVERY })
    }

    /// Shows what is new.
    ///
    /// # Errors
    /// Where the store cannot be written; the segment is then not shown any further.
    pub fn show(&mut self) -> Result<(), StoreError> {
        let place = if self.open.is_some() { &mut self.open } else { &mut self.closed };
        let Some(mut open) = place.take() else { return Ok(()) };
        self.show_open(&mut open)?;
        let place = if open.manifest.complete { &mut self.closed } else { &mut self.open };
        *place = Some(open);
        Ok(())
    }

    /// Whether a decoder is for packets of this time; `begins`: the first of a segment.
    fn may_go_on(&self, decoder: &Decoder, begins: bool, ts: i64) -> bool {
        let small =
            decoder.flows().len() <= FLOWS_KEPT && decoder.names().texts().len() <= NAMES_KEPT;
        !begins || small && ts.div_euclid(DAY_NS) == self.day
    }

    fn decoder(&mut self, capture_id: u64, first_ts: i64) -> Result<Decoder, StoreError> {
        let Decoders { config, library, .. } = &self.decoders;
        self.day = first_ts.div_euclid(DAY_NS);
        let decoder = Decoder::new(Arc::clone(config), Arc::clone(library));
        if config.decode.fresh {
            return Ok(decoder.learning(None));
        }
        let (store, catalog) = (self.store.clone(), self.store.catalog()?);
        let (point, begun) = (self.point.name.to_string(), Arc::default());
        let earlier = EarlierCaptures { store, catalog, point, capture_id, first_ts, begun };
        Ok(decoder.learning(Some(Box::new(earlier) as Box<dyn Earlier>)))
    }

    fn show_open(&self, open: &mut Open) -> Result<(), StoreError> {
        let root = self.store.root();
        let directory = open.manifest.directory();
        let path = root.join(&directory);
        fs::create_dir_all(&path).map_err(StoreError::io(&path))?;
        let rows = std::mem::take(&mut open.rows);
        let number = open.manifest.pieces.len();
        let pieces = self.write("messages", rows, &format!("{directory}/{number}"))?;
        open.manifest.pieces.extend(pieces);
        let flows = self.decoder.iter().flat_map(Decoder::flows).map(|flow| flow.recognised);
        let flows: Vec<Option<Recognised>> = flows.collect();
        if let Some(decoder) = self.decoder.as_ref().filter(|_| flows != open.flows) {
            let rows = flow_rows(open.manifest.capture_id, decoder);
            let rows = FlowRow::to_batch(&rows).map_err(StoreError::rows("flows"))?;
            let name = format!("{directory}/flows-{}", open.manifest.pieces.len());
            open.manifest.flows = self.write("flows", vec![rows], &name)?;
            open.flows = flows;
        }
        let path = root.join(open.manifest.path());
        let json = serde_json::to_vec(&open.manifest).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let aside = self.scratch.path().join("manifest.json");
        fs::write(&aside, json).map_err(StoreError::io(&aside))?;
        fs::rename(&aside, &path).map_err(StoreError::io(&path))?;
        (open.is_new, open.shown) = (false, Instant::now());
        Ok(())
    }

    /// Rows as files of a name, below the store; none where there are no rows.
    fn write(
        &self,
        of: &str,
        rows: Vec<RecordBatch>,
        name: &str,
    ) -> Result<Vec<Segment>, StoreError> {
        let made_from = "packets of an open segment".to_owned();
        let provenance = Provenance { config_hash: self.config_hash.clone(), made_from };
        let writer = TableWriter::new(table(of)?, self.scratch.path(), &provenance);
        let mut writer = writer.unsynced();
        rows.into_iter().try_for_each(|rows| writer.write(rows))?;
        let mut written = Vec::new();
        for (part, unplaced) in writer.finish()?.into_iter().enumerate() {
            let path = format!("{name}-{part}.parquet");
            let to = self.store.root().join(&path);
            fs::rename(&unplaced.file, &to).map_err(StoreError::io(&to))?;
            written.push(Segment { path, ..unplaced.segment });
        }
        Ok(written)
    }
}
