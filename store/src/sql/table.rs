//! A table of a store for the query engine: its segments as the manifests
//! name them.

use crate::catalog::{Catalog, Store};
use crate::error::StoreError;
use crate::segment::Segment;
use crate::sql::{files_url, prune};
use crate::tables::{DERIVED, Table};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use std::sync::Arc;

/// Segments that overlap in time are merged by as many readers; beyond this
/// many the engine sorts instead.
const MERGED_MAX: usize = 64;

/// A segment and what its path says.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) segment: Segment,
    pub(super) point: Option<String>,
    pub(super) capture_id: Option<u64>,
}

/// One table of a store.
#[derive(Debug)]
pub struct SegmentTable {
    store: Store,
    table: &'static Table,
    schema: SchemaRef,
}

impl SegmentTable {
    /// The table of a store.
    pub fn new(store: Store, table: &'static Table) -> Self {
        Self { store, table, schema: table.sql_schema() }
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let catalog = self.store.catalog()?;
        let derived = DERIVED.iter().any(|table| table.name == self.table.name);
        Ok(if derived { self.derived(&catalog) } else { self.imported(&catalog) })
    }

    fn derived(&self, catalog: &Catalog) -> Vec<Listed> {
        let correlate = catalog.correlate.iter();
        let files = correlate.flat_map(|correlate| correlate.files_of(self.table.name));
        let listed =
            files.map(|file| Listed { segment: file.clone(), point: None, capture_id: None });
        listed.collect()
    }

    fn imported(&self, catalog: &Catalog) -> Vec<Listed> {
        let imports = catalog.imports.iter();
        let listed = imports.flat_map(|import| {
            import.files_of(self.table.name).map(|file| Listed {
                segment: file.clone(),
                point: Some(import.point.clone()),
                capture_id: Some(import.capture_id),
            })
        });
        listed.collect()
    }

    fn file(&self, listed: &Listed) -> PartitionedFile {
        let point = listed.point.iter().map(|point| dictionary(point));
        PartitionedFile::new(listed.segment.path.clone(), listed.segment.bytes)
            .with_partition_values(point.collect())
            .with_statistics(Arc::new(self.file_statistics(&listed.segment)))
    }

    /// What the manifest knows of a segment's own columns.
    fn file_statistics(&self, segment: &Segment) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.table.schema());
        statistics.num_rows = Precision::Exact(segment.rows as usize);
        if let (Some(index), Some(time)) = (self.table.time_index(), segment.time)
            && let Some(column) = statistics.column_statistics.get_mut(index)
        {
            *column = ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: Precision::Exact(timestamp(time.min_ns)),
                max_value: Precision::Exact(timestamp(time.max_ns)),
                ..ColumnStatistics::new_unknown()
            };
        }
        statistics
    }

    /// The order of time, where the table has one.
    fn time_order(&self) -> Option<LexOrdering> {
        let index = self.table.time_index()?;
        let column = Column::new(self.table.time?, index);
        let options = SortOptions { descending: false, nulls_first: false };
        LexOrdering::new([PhysicalSortExpr::new(Arc::new(column), options)])
    }

    /// The files as groups that are read side by side, and the order that each
    /// group's rows have.
    fn groups(
        &self,
        listed: &[Listed],
        partitions: usize,
    ) -> Result<(Vec<FileGroup>, Option<LexOrdering>)> {
        let files = FileGroup::new(listed.iter().map(|listed| self.file(listed)).collect());
        if let Some(order) = self.time_order()
            && listed.iter().all(|listed| listed.segment.sorted)
        {
            let groups = FileScanConfig::split_groups_by_statistics_with_target_partitions(
                &self.schema,
                std::slice::from_ref(&files),
                &order,
                partitions,
            )?;
            if groups.len() <= MERGED_MAX {
                return Ok((groups, Some(order)));
            }
        }
        Ok((files.split_files(partitions), None))
    }

    fn source(&self, state: &dyn Session) -> ParquetSource {
        let partitions = self.table.partitions.iter().map(|column| Arc::new(column.field()));
        let schema = TableSchema::builder(self.table.schema())
            .with_table_partition_cols(partitions.collect::<Vec<_>>())
            .build();
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Payload is worth reading only for rows that pass.
        ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_pushdown_filters(self.table.name == "packets")
    }
}

fn dictionary(text: &str) -> ScalarValue {
    ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(ScalarValue::from(text)))
}

pub(super) fn timestamp(ns: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(ns), Some("UTC".into()))
}

#[async_trait]
impl TableProvider for SegmentTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let external = |error: StoreError| DataFusionError::External(Box::new(error));
        let mut listed = self.list().map_err(external)?;
        prune::prune(&mut listed, self.table, &self.schema, filters, state)?;
        if listed.is_empty() {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let (groups, order) = self.groups(&listed, state.config().target_partitions())?;
        let url = files_url().map_err(external)?;
        let config = FileScanConfigBuilder::new(url, Arc::new(self.source(state)))
            .with_statistics(table_statistics(&self.schema, &groups)?)
            .with_file_groups(groups)
            .with_output_ordering(order.into_iter().collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The statistics of all files together.
fn table_statistics(schema: &SchemaRef, groups: &[FileGroup]) -> Result<Statistics> {
    let files = groups.iter().flat_map(FileGroup::iter);
    let known = files.filter_map(|file| file.statistics.as_deref());
    Statistics::try_merge_iter(known, schema)
}
