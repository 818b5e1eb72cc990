//! `captures`: one row an import, read from the manifests.

use crate::catalog::Store;
use crate::catalog::manifest::ImportManifest;
use crate::error::StoreError;
use crate::segment::TimeRange;
use crate::tables::column::schema;
use crate::tables::row::{Name, Null, Plain, Row, Text, Time, U32, U64, rows};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

rows! {
    /// An import.
    CaptureRow in "captures" {
        /// Where it was captured.
        point: Text as Name,
        /// The capture.
        capture_id: u64 as U64,
        /// The node that shipped it; null where it was imported here.
        node: Option<Text> as Null<Name>,
        /// How often it has been decoded anew.
        revision: u32 as U32,
        /// The file as it was named.
        source: Text as Plain,
        /// Its bytes, uncompressed.
        source_bytes: u64 as U64,
        /// BLAKE3 of its uncompressed bytes, in hex; empty for a segment of live capture.
        content_blake3: Text as Plain,
        /// First packet's time.
        first_ts: Option<i64> as Null<Time>,
        /// Last packet's time.
        last_ts: Option<i64> as Null<Time>,
        /// Packets.
        packets: u64 as U64,
        /// Captured bytes of the packets.
        packet_bytes: u64 as U64,
        /// Messages decoded.
        messages: u64 as U64,
        /// Packets, streams or messages that were not decoded, all reasons together.
        not_decoded: u64 as U64,
        /// Warnings of the import.
        warnings: u64 as U64,
        /// The first warning.
        first_warning: Option<Text> as Null<Plain>,
        /// Packets dropped by the ring; null where the source cannot tell.
        lost_ring: Option<u64> as Null<U64>,
        /// Packets dropped by the interface; null where the source cannot tell.
        lost_interface: Option<u64> as Null<U64>,
        /// Packets that the capture file names as lost; null where it cannot tell.
        lost_recorded: Option<u64> as Null<U64>,
    }
}

impl CaptureRow {
    fn new(import: &ImportManifest) -> Self {
        // Without packets its messages say when it was.
        let table = if import.is_without_packets() { "messages" } else { "packets" };
        let times = import.files_of(table).filter_map(|file| file.time);
        let time = times.reduce(TimeRange::union);
        let counters = &import.counters;
        Self {
            point: import.point.as_str().into(),
            capture_id: import.capture_id,
            node: import.node.as_ref().map(|node| node.as_str().into()),
            revision: import.revision,
            source: import.source.name.as_str().into(),
            source_bytes: import.source.bytes,
            content_blake3: import.source.content_blake3.as_str().into(),
            first_ts: time.map(|time| time.min_ns),
            last_ts: time.map(|time| time.max_ns),
            packets: counters.packets,
            packet_bytes: counters.packet_bytes,
            messages: counters.messages.values().sum(),
            not_decoded: counters.not_decoded.values().sum(),
            warnings: import.warnings.len() as u64 + import.warnings_dropped,
            first_warning: import.warnings.first().map(|text| text.as_str().into()),
            lost_ring: counters.losses.ring,
            lost_interface: counters.losses.interface,
            lost_recorded: counters.losses.recorded,
        }
    }
}

/// The imports of a store, in order of point and capture.
///
/// # Errors
/// Where a manifest cannot be read.
pub fn rows(store: &Store) -> Result<Vec<CaptureRow>, StoreError> {
    let catalog = store.catalog()?;
    Ok(catalog.imports.iter().map(|import| CaptureRow::new(import)).collect())
}

/// The table.
#[derive(Debug)]
pub struct CapturesTable {
    store: Store,
}

impl CapturesTable {
    /// Of a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl TableProvider for CapturesTable {
    fn schema(&self) -> SchemaRef {
        schema(COLUMNS)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = rows(&self.store).map_err(|error| DataFusionError::External(error.into()))?;
        let batch = CaptureRow::to_batch(&rows)?;
        let plan =
            MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}
