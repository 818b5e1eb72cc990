//! A schema for every protocol in the store, with a table for every type of
//! message: its fields as typed columns, decoded when they are asked for.
//!
//! ```text
//! SELECT .. FROM nasdaq_totalview_itch_5_0.add_order WHERE ts > ..
//!    │ rows of `messages` with its protocol and types, pruned by ts, point, capture
//!    ▼
//! packet's bytes (raw_off, raw_len), or raw ─ typed reader ─> stock | price | shares ..
//! ```
//!
//! Every table begins with the columns `point`, `ts`, `capture_id`,
//! `packet_ix`, `msg_ix` and `entry`, by which it joins to `messages`. Nothing
//! of it is stored.

mod packets;
mod rows;
mod table;

use crate::catalog::Store;
use crate::explain::decoders;
use crate::sql::typed::table::MessageTable;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::library::{Library, ProtocolRef};
use taptrail_decoders::typed::{self, FIX_SCHEMA, TypedTable, names};

/// What decodes the messages of one protocol.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Ids that `messages.protocol` has for it.
    pub ids: Vec<String>,
    pub library: Arc<Library>,
    pub config: Arc<DecoderConfig>,
    pub protocol: ProtocolRef,
}

/// The tables of the engine's own catalog, and a schema for every protocol.
#[derive(Debug)]
struct ProtocolCatalog {
    own: Arc<dyn CatalogProvider>,
    store: Store,
    /// Decoders of the captures, by what their manifests say of them.
    loaded: Mutex<BTreeMap<String, Arc<Library>>>,
}

/// Adds the schemas to a session whose other tables are there already.
pub(super) fn register(context: &SessionContext, store: &Store) {
    let options = context.copied_config();
    let name = options.options().catalog.default_catalog.clone();
    if let Some(own) = context.catalog(&name) {
        let (store, loaded) = (store.clone(), Mutex::default());
        context.register_catalog(name, Arc::new(ProtocolCatalog { own, store, loaded }));
    }
}

impl ProtocolCatalog {
    /// The protocols that captures have messages of, by the name of their
    /// schema; a capture whose decoders cannot be loaded any more adds none.
    fn protocols(&self) -> BTreeMap<String, Known> {
        let Ok(catalog) = self.store.catalog() else { return BTreeMap::new() };
        let mut found: BTreeMap<String, Known> = BTreeMap::new();
        let mut fix: Option<Known> = None;
        for import in &catalog.imports {
            let key = serde_json::to_string(&import.decode).unwrap_or_default();
            let Ok((config, library)) = self.decoders(&key, import) else { continue };
            for id in import.counters.messages.keys() {
                let Some(protocol) = library.find(id, &config) else { continue };
                let (library, config) = (Arc::clone(&library), Arc::clone(&config));
                let known = Known { ids: vec![id.clone()], library, config, protocol };
                match (protocol, &mut fix) {
                    (ProtocolRef::Fix, Some(fix)) if !fix.ids.contains(id) => {
                        fix.ids.push(id.clone());
                    }
                    (ProtocolRef::Fix, Some(_)) => {}
                    (ProtocolRef::Fix, none) => *none = Some(known),
                    _ if typed::tables(&known.library, protocol).is_empty() => {}
                    _ => drop(found.insert(id.clone(), known)),
                }
            }
        }
        let ids: BTreeSet<String> = found.keys().cloned().collect();
        let named = names::schemas(ids.iter().map(String::as_str));
        let mut schemas: BTreeMap<String, Known> =
            named.into_iter().filter_map(|(name, id)| Some((name, found.remove(id)?))).collect();
        schemas.extend(fix.map(|fix| (FIX_SCHEMA.to_owned(), fix)));
        schemas
    }

    fn decoders(
        &self,
        key: &str,
        import: &crate::catalog::manifest::ImportManifest,
    ) -> std::result::Result<(Arc<DecoderConfig>, Arc<Library>), crate::error::StoreError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.get(key) {
            return Ok((crate::explain::config(import)?, Arc::clone(library)));
        }
        let (config, library) = decoders(import)?;
        loaded.insert(key.to_owned(), Arc::clone(&library));
        Ok((config, library))
    }
}

impl CatalogProvider for ProtocolCatalog {
    fn schema_names(&self) -> Vec<String> {
        let own = self.own.schema_names().into_iter();
        own.chain(self.protocols().into_keys()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if let Some(own) = self.own.schema(name) {
            return Some(own);
        }
        let known = self.protocols().remove(name)?;
        let tables = typed::tables(&known.library, known.protocol);
        Some(Arc::new(ProtocolSchema { store: self.store.clone(), known, tables }))
    }

    fn register_schema(
        &self,
        name: &str,
        schema: Arc<dyn SchemaProvider>,
    ) -> Result<Option<Arc<dyn SchemaProvider>>> {
        self.own.register_schema(name, schema)
    }
}

/// The tables of one protocol.
#[derive(Debug)]
struct ProtocolSchema {
    store: Store,
    known: Known,
    tables: Vec<TypedTable>,
}

impl ProtocolSchema {
    /// The table with this name, written as the protocol's file has it or in
    /// any other case.
    fn find(&self, name: &str) -> Option<&TypedTable> {
        let mut tables = self.tables.iter();
        let exact = tables.clone().find(|table| table.name == name);
        exact.or_else(|| tables.find(|table| table.name.eq_ignore_ascii_case(name)))
    }
}

#[async_trait]
impl SchemaProvider for ProtocolSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.find(name).map(|table| {
            let table = MessageTable::new(self.store.clone(), self.known.clone(), table.clone());
            Arc::new(table) as Arc<dyn TableProvider>
        });
        Ok(table)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

#[cfg(test)]
mod tests;
