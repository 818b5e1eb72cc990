//! `taptrail compact`: many small segments of an hour become one file.

use crate::cli::CompactArgs;
use anyhow::Context;
use std::time::{SystemTime, UNIX_EPOCH};
use taptrail_capture::system::run_idle;
use taptrail_store::catalog::Store;
use taptrail_store::catalog::compact::{Compacted, Plan, plans};
use taptrail_store::import::LOCK_PATIENCE;

/// Compacts what is worth it, hour by hour, and says what became of it.
pub fn run(args: CompactArgs) -> anyhow::Result<()> {
    // A node may capture beside it.
    run_idle();
    let store = Store::open(&args.store.store)?;
    let before = if args.all { i64::MAX } else { now_ns() };
    let mut done = Compacted::default();
    for plan in plans(&store.catalog()?, before) {
        done.add(
            compact(&store, &plan).with_context(|| {
                format!("{}: compacting; what was done before stays", plan.point)
            })?,
        );
    }
    println!("{} files became {}, {} bytes", done.before, done.after, done.bytes);
    Ok(())
}

fn compact(store: &Store, plan: &Plan) -> anyhow::Result<Compacted> {
    let Some(prepared) = plan.prepare(store)? else { return Ok(Compacted::default()) };
    Ok(prepared.commit(&store.lock_within(LOCK_PATIENCE)?)?)
}

/// The system's clock; 0 where it stands before 1970.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or_default()
}
