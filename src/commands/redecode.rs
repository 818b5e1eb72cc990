//! `taptrail redecode`: messages anew from stored packets, with today's
//! protocol files and configuration.
//!
//! ```text
//! captures by point and time ─> each begins with what the one before it taught ─> links anew
//! ```

use crate::cli::RedecodeArgs;
use crate::commands::correlate;
use crate::config::Config;
use anyhow::Context;
use std::sync::Arc;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::manifest::ImportManifest;
use taptrail_store::import::learned::is_stale;
use taptrail_store::import::redecode::redecode;
use taptrail_store::import::{Decoders, LOCK_PATIENCE};

/// Decodes the captures that are named, those that are stale, or all; then
/// correlates.
pub fn run(args: RedecodeArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let decoders = Decoders {
        config: Arc::new(config.decoder.clone()),
        library: config.library()?,
        base: config.dir.clone(),
    };
    let store = Store::open(&args.store.store)?;
    let lock = store.lock_within(LOCK_PATIENCE)?;
    let mut captures = wanted(&store, &args)?;
    if args.captures.is_empty() {
        leave_out_shipped(&mut captures);
    }
    captures.sort_by_key(|import| (import.point.clone(), first_ns(import), import.capture_id));
    let mut done = 0;
    for before in &captures {
        // What was decoded a moment ago may be what the next one begins with.
        if args.stale && !is_stale(&store.catalog()?, before) {
            continue;
        }
        let report = redecode(&lock, before.capture_id, &decoders, &config.hash)?;
        tell(before, &report.manifest);
        done += 1;
    }
    println!("{done} of {} captures decoded anew", store.catalog()?.imports.len());
    drop(lock);
    if !args.no_correlate {
        correlate::if_stale(&store, &config, args.config.config.is_some())?;
    }
    Ok(())
}

/// Takes out captures whose packets stayed at their nodes.
fn leave_out_shipped(captures: &mut Vec<Arc<ImportManifest>>) {
    let all = captures.len();
    captures.retain(|import| !import.is_without_packets());
    if captures.len() < all {
        let left_out = all - captures.len();
        eprintln!(
            "taptrail: {left_out} captures were shipped without packets and stay as they are"
        );
    }
}

fn wanted(store: &Store, args: &RedecodeArgs) -> anyhow::Result<Vec<Arc<ImportManifest>>> {
    let catalog = store.catalog()?;
    if args.captures.is_empty() {
        return Ok(catalog.imports);
    }
    let find = |id: &u64| {
        let found = catalog.import(*id).cloned();
        found.with_context(|| format!("the store holds no capture {id}: see the table captures"))
    };
    args.captures.iter().map(find).collect()
}

fn first_ns(import: &ImportManifest) -> Option<i64> {
    import.files_of("packets").filter_map(|file| Some(file.time?.min_ns)).min()
}

fn tell(before: &ImportManifest, after: &ImportManifest) {
    let by_protocol: Vec<String> =
        after.counters.messages.iter().map(|(protocol, n)| format!("{protocol} {n}")).collect();
    let messages = if by_protocol.is_empty() { "none".into() } else { by_protocol.join(", ") };
    let (point, name) = (&after.point, &after.source.name);
    println!("{point}: {name}: revision {}, messages: {messages}", after.revision);
    let from = |import: &ImportManifest| -> Vec<_> {
        let scopes = import.learned.iter();
        scopes.filter_map(|scope| Some((scope.source.clone(), scope.from.clone()?))).collect()
    };
    if from(before) != from(after) {
        println!("{point}: {name}: begins with what another capture taught");
    }
}

/// Says which captures were decoded without what an earlier one, imported
/// later, teaches.
pub fn warn_of_stale(store: &Store) -> anyhow::Result<()> {
    let catalog = store.catalog()?;
    let stale = catalog.imports.iter().filter(|import| is_stale(&catalog, import));
    let names: Vec<&str> = stale.map(|import| import.source.name.as_str()).collect();
    if !names.is_empty() {
        eprintln!(
            "taptrail: warning: {} began without what an earlier capture teaches: run \
             taptrail redecode --stale --store {}",
            names.join(", "),
            store.root().display()
        );
    }
    Ok(())
}
