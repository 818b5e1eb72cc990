//! `taptrail protocols`: what is decoded.

use crate::cli::{ProtocolsAction, ProtocolsArgs};
use crate::config::Config;
use crate::output::RowPrinter;
use anyhow::Context;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use std::path::PathBuf;
use std::sync::Arc;
use taptrail_decoders::fixed::error::SpecError;
use taptrail_decoders::fixed::protocol::FixedProtocol;
use taptrail_decoders::framing::declared::Framing;
use taptrail_decoders::framing::source::split;
use taptrail_decoders::library::Library;
use taptrail_decoders::sbe::overlay::{Overlay, is_overlay};

/// A line of the list.
struct Listed {
    id: String,
    engine: &'static str,
    framing: String,
    messages: Option<u64>,
}

/// Prints a line a protocol, or checks files.
pub fn run(args: ProtocolsArgs) -> anyhow::Result<()> {
    if let Some(ProtocolsAction::Check { files }) = &args.action {
        return check(files);
    }
    let config = Config::load(args.config.config.as_deref())?;
    let library = config.library()?;
    let mut listed = fixed(&library);
    listed.extend(["4.0", "4.1", "4.2", "4.3", "4.4", "5.0", "5.0sp1", "5.0sp2"].map(fix));
    listed.extend(fast(&config, &library));
    listed.extend(sbe(&library));
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let mut printer = RowPrinter::stdout(args.format);
    printer.push(&batch(&listed)?)?;
    printer.finish()
}

/// Compiles each file and prints its messages, or what is wrong with line and
/// reason; fails where any file is wrong.
fn check(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut wrong = 0;
    for path in files {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        match checked(&path.display().to_string(), &text) {
            Ok(told) => println!("{told}"),
            Err(fault) => {
                wrong += 1;
                println!("{fault}");
            }
        }
    }
    anyhow::ensure!(wrong == 0, "{wrong} of {} files can't be used", files.len());
    Ok(())
}

/// What a file holds: a framing, a protocol or an SBE overlay, or both.
fn checked(name: &str, text: &str) -> Result<String, SpecError> {
    let (framing, protocol) = split(text);
    let mut told = Vec::new();
    if let Some(framing) = framing {
        let framing = Framing::parse(name, &framing)?;
        told.push(format!("{}: framing, header of {} bytes", framing.id, framing.size));
        told.extend(framing.session.as_deref().map(summary));
    }
    if let Some(overlay) = protocol.as_deref().filter(|text| is_overlay(text)) {
        let overlay = Overlay::parse(name, overlay)?;
        told.push(format!("{}: SBE overlay, {} columns", overlay.id, overlay.columns.len()));
    } else if let Some(protocol) = protocol {
        told.push(summary(&FixedProtocol::parse(name, &protocol)?));
    }
    Ok(told.join("\n"))
}

/// A protocol and, line by line, its messages.
fn summary(protocol: &FixedProtocol) -> String {
    let mut text = format!("{}: {} messages", protocol.id(), protocol.messages().count());
    for layout in protocol.messages() {
        let sender = layout.sender.map_or("", |sender| sender.text());
        let and_more = if layout.steps.is_empty() { "" } else { " and more" };
        text += &format!(
            "\n  {:<8} {:<40} {:<16} {:>4} bytes{and_more} {sender}",
            layout.code_text,
            layout.name,
            layout.kind.text(),
            layout.size,
        );
    }
    text
}

fn fixed(library: &Library) -> Vec<Listed> {
    let protocols = library.fixed.iter().take(library.protocols).map(|protocol| Listed {
        id: protocol.id().to_string(),
        engine: "fixed",
        framing: protocol.framings().join(", "),
        messages: Some(protocol.message_count() as u64),
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

/// SBE protocols; how many messages, where their schemas are there.
fn sbe(library: &Library) -> Vec<Listed> {
    let listed = library.sbe.iter().map(|protocol| Listed {
        id: protocol.id().to_string(),
        engine: "sbe",
        framing: protocol.overlay.framings.join(", "),
        messages: (!protocol.schemas.is_empty()).then(|| protocol.message_count() as u64),
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
