//! A table of a store for the query engine: its segments as the manifests
//! name them.

use crate::catalog::{Catalog, Store};
use crate::error::StoreError;
use crate::segment::{Segment, TimeRange};
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
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
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
use std::collections::HashMap;
use std::ops::Range;
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
        let mut listed = if derived { self.derived(&catalog) } else { self.imported(&catalog) };
        if matches!(self.table.name, "messages" | "flows") {
            listed.extend(self.live(&catalog)?);
        }
        Ok(listed)
    }

    /// What captures under way show.
    fn live(&self, catalog: &Catalog) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for live in self.store.live(catalog)?.captures {
            let point = live.point_config.name.to_string();
            let files = if self.table.name == "flows" { &live.flows } else { &live.pieces };
            listed.extend(files.iter().map(|file| Listed {
                segment: file.clone(),
                point: Some(point.clone()),
                capture_id: Some(live.capture_id),
            }));
        }
        Ok(listed)
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

    fn file(&self, named: &NamedFile) -> PartitionedFile {
        let point = named.point.iter().map(|point| dictionary(point));
        let file = PartitionedFile::new(named.path.clone(), named.bytes)
            .with_partition_values(point.collect())
            .with_statistics(Arc::new(self.file_statistics(named)));
        match named.access() {
            Some(access) => file.with_extension(access),
            None => file,
        }
    }

    /// What the manifests know of a file's own columns.
    fn file_statistics(&self, named: &NamedFile) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.table.schema());
        statistics.num_rows = Precision::Exact(named.rows as usize);
        if let (Some(index), Some(time)) = (self.table.time_index(), named.time)
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
        let named = NamedFile::all(listed);
        let files = FileGroup::new(named.iter().map(|named| self.file(named)).collect());
        if let Some(order) = self.time_order()
            && named.iter().all(|named| named.sorted)
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

/// A file and what of it is wanted: the segments in it that are listed.
#[derive(Clone, Debug)]
struct NamedFile {
    path: String,
    bytes: u64,
    point: Option<String>,
    rows: u64,
    time: Option<TimeRange>,
    /// Whether the wanted rows are in order of time.
    sorted: bool,
    /// Row groups wanted, and how many there are; `None`: all.
    groups: Option<(Vec<Range<usize>>, usize)>,
}

impl NamedFile {
    /// The files of segments, each once, in the order of their first segments.
    fn all(listed: &[Listed]) -> Vec<Self> {
        let mut files: Vec<Self> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut parts: Vec<&Listed> = listed.iter().collect();
        parts.sort_by_key(|listed| listed.segment.groups().start);
        for listed in parts {
            match places.get(listed.segment.path.as_str()).and_then(|&at| files.get_mut(at)) {
                Some(file) => file.add(&listed.segment),
                None => {
                    places.insert(&listed.segment.path, files.len());
                    files.push(Self::new(listed));
                }
            }
        }
        files
    }

    fn new(listed: &Listed) -> Self {
        let segment = &listed.segment;
        Self {
            path: segment.path.clone(),
            bytes: segment.file_bytes(),
            point: listed.point.clone(),
            rows: segment.rows,
            time: segment.time,
            sorted: segment.sorted,
            groups: segment.part.map(|part| (vec![segment.groups()], part.groups_of_file)),
        }
    }

    /// Adds a segment that lies further on in the file.
    fn add(&mut self, segment: &Segment) {
        let follows = match (self.time, segment.time) {
            (Some(before), Some(after)) => before.max_ns <= after.min_ns,
            _ => true,
        };
        self.sorted &= segment.sorted && follows;
        self.rows += segment.rows;
        self.time = self.time.into_iter().chain(segment.time).reduce(TimeRange::union);
        if let Some((groups, _)) = &mut self.groups {
            groups.push(segment.groups());
        }
    }

    /// Which row groups to read, where not all.
    fn access(&self) -> Option<ParquetAccessPlan> {
        let (wanted, all) = self.groups.as_ref()?;
        let mut access = ParquetAccessPlan::new_none(*all);
        wanted.iter().cloned().flatten().filter(|group| group < all).for_each(|g| access.scan(g));
        Some(access)
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
