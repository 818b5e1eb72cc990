//! `taptrail protocols`: what is decoded.

use crate::cli::ProtocolsArgs;
use crate::config::Config;
use crate::output::RowPrinter;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use std::sync::Arc;
use taptrail_decoders::library::Library;

/// A line of the list.
struct Listed {
    id: String,
    engine: &'static str,
    framing: String,
    messages: Option<u64>,
}

/// Prints a line a protocol.
pub fn run(args: ProtocolsArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.config.as_deref())?;
    let library = config.library()?;
    let mut listed = fixed(&library);
    listed.extend(["4.0", "4.1", "4.2", "4.3", "4.4", "5.0", "5.0sp1", "5.0sp2"].map(fix));
    listed.extend(fast(&config, &library));
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let mut printer = RowPrinter::stdout(args.format);
    printer.push(&batch(&listed)?)?;
    printer.finish()
}

fn fixed(library: &Library) -> Vec<Listed> {
    let protocols = library.fixed.iter().map(|protocol| Listed {
        id: protocol.id().to_string(),
        engine: "fixed",
        framing: protocol.framings().join(", "),
        messages: Some(protocol.messages().count() as u64),
    });
    protocols.collect()
}

fn fix(version: &str) -> Listed {
    Listed {
        id: format!("fix.{version}"),
        engine: "fix",
        framing: "tcp".to_string(),
        messages: None,
    }
}

/// FAST feeds that the configuration gives templates for.
fn fast(config: &Config, library: &Library) -> Vec<Listed> {
    let feeds = config.decoder.feeds.iter().zip(&library.fast);
    let with_templates = feeds.filter_map(|(feed, fast)| fast.as_ref().map(|_| feed));
    let listed = with_templates.map(|feed| Listed {
        id: feed.protocol.clone(),
        engine: "fast",
        framing: "udp".to_string(),
        messages: None,
    });
    listed.collect()
}

fn batch(listed: &[Listed]) -> anyhow::Result<RecordBatch> {
    let text = |get: &dyn Fn(&Listed) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(listed.iter().map(get)))
    };
    let messages: UInt64Array = listed.iter().map(|l| l.messages).collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("protocol", text(&|l| l.id.clone()), false),
        ("engine", text(&|l| l.engine.to_string()), false),
        ("carried_by", text(&|l| l.framing.clone()), false),
        ("messages", Arc::new(messages) as ArrayRef, true),
    ])?)
}
