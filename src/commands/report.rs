//! `taptrail report`.

use crate::cli::{ReportArgs, ReportFormat};
use crate::config::Config;
use anyhow::Context;
use std::io::{self, Write};
use std::path::Path;
use taptrail_correlate::config::TargetConfig;
use taptrail_correlate::report::Report;
use taptrail_correlate::report::stages::Earlier;
use taptrail_store::catalog::Store;

/// Prints the report of what the store's tables say now.
pub fn run(args: ReportArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let earlier: anyhow::Result<Vec<Earlier>> = args.against.iter().map(|f| read(f)).collect();
    let store = Store::open(&args.store.store)?;
    print(&store, &config.settings.targets, &earlier?, args.format)
}

fn read(file: &Path) -> anyhow::Result<Earlier> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{}: cannot read the earlier report", file.display()))?;
    Earlier::parse(&text).with_context(|| {
        format!(
            "{}: not a report in JSON, as `taptrail report --format json` prints",
            file.display()
        )
    })
}

/// Prints the report.
pub fn print(
    store: &Store,
    targets: &[TargetConfig],
    earlier: &[Earlier],
    format: ReportFormat,
) -> anyhow::Result<()> {
    let report = Report::read(store, targets, earlier)?;
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
