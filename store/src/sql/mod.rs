//! SQL over everything in a store.
//!
//! ```text
//! manifests ─prune by time, point, capture─> segments ─prune row groups─> rows ─> SELECT ..
//! ```
//!
//! Tables see an import or a correlation as soon as its manifest is there, in
//! a session that was made before, too. Memory is bounded: what sorts, joins
//! and aggregates need beyond it goes to disk, into the store's own `tmp`.

pub mod captures;
pub mod docs;
pub mod functions;
mod losses;
mod prune;
pub mod table;
mod typed;
pub mod views;

use crate::catalog::Store;
use crate::catalog::scratch::Scratch;
use crate::error::StoreError;
use crate::sql::captures::CapturesTable;
use crate::sql::losses::LossesTable;
use crate::sql::table::SegmentTable;
use crate::tables::ALL;
use datafusion::catalog::TableProvider;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

/// Memory that the queries of one session may take for sorts, joins and
/// aggregates before they spill.
pub const MEMORY_BYTES: usize = 1 << 30;

/// Disk that the queries of one session may spill to.
pub const SPILL_BYTES: u64 = 100 << 30;

/// Limits of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// See [`MEMORY_BYTES`].
    pub memory_bytes: usize,
    /// See [`SPILL_BYTES`].
    pub spill_bytes: u64,
    /// Threads a query is spread over; `None` is one a core.
    pub partitions: Option<usize>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { memory_bytes: MEMORY_BYTES, spill_bytes: SPILL_BYTES, partitions: None }
    }
}

/// A session with the usual limits.
///
/// # Errors
/// As [`session_with`].
pub fn session(store: &Store) -> Result<SessionContext, StoreError> {
    session_with(store, SessionOptions::default())
}

/// A session with every table, view and function. Where the store cannot be
/// written, queries spill into the system's directory for temporary files.
///
/// # Errors
/// Where the store cannot be read.
pub fn session_with(store: &Store, options: SessionOptions) -> Result<SessionContext, StoreError> {
    let mut runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
        .with_max_temp_directory_size(options.spill_bytes);
    let scratch = Scratch::new(&store.root().join("tmp"), "sql-").ok();
    if let Some(scratch) = &scratch {
        runtime = runtime.with_temp_file_path(scratch.path());
    }
    let runtime = runtime.build_arc().map_err(StoreError::query)?;
    let context = SessionContext::new_with_config_rt(config(options, scratch), runtime);
    register_files(&context, store)?;
    for table in ALL {
        let provider: Arc<dyn TableProvider> = match table.name {
            "losses" => Arc::new(LossesTable::new(store.clone(), table)),
            _ => Arc::new(SegmentTable::new(store.clone(), table)),
        };
        context.register_table(table.name, provider).map_err(StoreError::query)?;
    }
    let captures = Arc::new(CapturesTable::new(store.clone()));
    context.register_table("captures", captures).map_err(StoreError::query)?;
    context.register_table("docs", docs::table()?).map_err(StoreError::query)?;
    functions::register(&context, store);
    views::register(&context)?;
    typed::register(&context, store);
    Ok(context)
}

/// Keeps the spill directory as long as the session's configuration lives.
#[derive(Debug)]
struct SpillDirectory {
    _scratch: Option<Scratch>,
}

fn config(options: SessionOptions, scratch: Option<Scratch>) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_extension(Arc::new(SpillDirectory { _scratch: scratch }));
    if let Some(partitions) = options.partitions {
        config = config.with_target_partitions(partitions);
    }
    let settings = config.options_mut();
    // Segments say how they are sorted; a plain text type keeps its columns
    // as the tables' documentation has them.
    settings.execution.parquet.schema_force_view_types = false;
    settings.sql_parser.map_string_types_to_utf8view = false;
    config
}

/// Under which address sessions find the files of their store.
pub(crate) fn files_url() -> Result<ObjectStoreUrl, StoreError> {
    ObjectStoreUrl::parse("taptrail://store").map_err(StoreError::query)
}

fn register_files(context: &SessionContext, store: &Store) -> Result<(), StoreError> {
    let files = LocalFileSystem::new_with_prefix(store.root()).map_err(|error| {
        StoreError::Damaged { path: store.root().to_owned(), reason: error.to_string() }
    })?;
    context.register_object_store(files_url()?.as_ref(), Arc::new(files));
    Ok(())
}

#[cfg(test)]
mod tests;
