//! `taptrail report`.

use crate::cli::{ReportArgs, ReportFormat};
use std::io::{self, Write};
use taptrail_correlate::report::Report;
use taptrail_store::catalog::Store;

/// Prints the report of what the store's tables say now.
pub fn run(args: ReportArgs) -> anyhow::Result<()> {
    print(&Store::open(&args.store.store)?, args.format)
}

/// Prints the report.
pub fn print(store: &Store, format: ReportFormat) -> anyhow::Result<()> {
    let report = Report::read(store)?;
    let text = match format {
        ReportFormat::Text => report.text(),
        ReportFormat::Json => report.json()?,
        ReportFormat::Html => report.html(),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
