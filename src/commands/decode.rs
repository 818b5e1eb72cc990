//! `taptrail decode`: every message of a capture, every field, every byte.

use crate::cli::{DecodeArgs, DecodeFormat};
use crate::config::Config;
use std::io::{self, Write};
use std::sync::Arc;
use taptrail_capture::file;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_capture::time::Timestamp;
use taptrail_decoders::explain::{ExplainedMessage, Explainer};

/// Prints the messages as they are decoded.
pub fn run(args: DecodeArgs) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.config.as_deref())?;
    config.decoder.protocol = args.protocol;
    let library = config.library()?;
    let mut source = file::open(&args.file, TimestampFrom::Record)?;
    let mut explainer = Explainer::new(Arc::new(config.decoder), library);
    let mut printer = Printer { out: io::BufWriter::new(io::stdout()), format: args.format };
    let mut batch = PacketBatch::new();
    let mut failed = None;
    loop {
        let progress = source.next_batch(&mut batch);
        printer.print(|out| explainer.explain(&batch, out))?;
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::End) => break,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    printer.print(|out| explainer.finish(out))?;
    printer.out.flush()?;
    for warning in source.take_warnings() {
        eprintln!("taptrail: warning: {warning}");
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

struct Printer<W: Write> {
    out: W,
    format: DecodeFormat,
}

impl<W: Write> Printer<W> {
    /// Prints what `explain` gives; the first trouble with the output is kept
    /// until it returns.
    fn print(
        &mut self,
        explain: impl FnOnce(&mut dyn FnMut(ExplainedMessage)),
    ) -> anyhow::Result<()> {
        let mut result = Ok(());
        explain(&mut |message| {
            if result.is_ok() {
                result = self.message(&message);
            }
        });
        Ok(result?)
    }

    fn message(&mut self, message: &ExplainedMessage) -> io::Result<()> {
        match self.format {
            DecodeFormat::Json => {
                serde_json::to_writer(&mut self.out, message)?;
                writeln!(self.out)
            }
            DecodeFormat::Table => self.table(message),
        }
    }

    fn table(&mut self, message: &ExplainedMessage) -> io::Result<()> {
        let sure = message.recognised.map_or("not recognised", |r| r.text());
        writeln!(
            self.out,
            "packet {} at {}  {} {} {}  {} bytes at {}{}  ({sure})",
            message.packet,
            Timestamp::from_ns(message.ts),
            message.protocol.as_deref().unwrap_or("-"),
            message.msg_type,
            message.name,
            message.size,
            message.offset,
            if message.unpacked { " of the unpacked body" } else { "" },
        )?;
        if let Some(error) = &message.error {
            writeln!(self.out, "    error: {error}")?;
        }
        for field in &message.fields {
            let json = serde_json::to_value(field)?;
            let value = match &json["value"] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            writeln!(
                self.out,
                "    {:>6} {:>4}  {:<28} {value}",
                field.offset, field.size, field.path
            )?;
        }
        Ok(())
    }
}
