//! Prints rows: aligned columns, JSON lines, or CSV.

use crate::cli::RowFormat;
use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::csv;
use arrow::json::LineDelimitedWriter;
use arrow::util::pretty::pretty_format_batches;
use std::io::{self, Write};

/// Most rows an aligned table shows: its column widths need all rows in
/// memory. CSV and JSON have no such limit.
pub const TABLE_ROWS_MAX: usize = 100_000;

/// Prints batches of one shape as they come.
pub struct RowPrinter<W: Write> {
    sink: Sink<W>,
}

enum Sink<W: Write> {
    Table { out: W, batches: Vec<RecordBatch>, rows: usize, cut: bool },
    Json(LineDelimitedWriter<W>),
    Csv(Box<csv::Writer<W>>),
}

impl RowPrinter<io::BufWriter<io::Stdout>> {
    /// Prints to standard output.
    pub fn stdout(format: RowFormat) -> Self {
        Self::new(io::BufWriter::new(io::stdout()), format)
    }
}

impl<W: Write> RowPrinter<W> {
    /// Prints to `out`.
    pub fn new(out: W, format: RowFormat) -> Self {
        let sink = match format {
            RowFormat::Table => Sink::Table { out, batches: Vec::new(), rows: 0, cut: false },
            RowFormat::Json => Sink::Json(LineDelimitedWriter::new(out)),
            RowFormat::Csv => Sink::Csv(Box::new(csv::Writer::new(out))),
        };
        Self { sink }
    }

    /// Takes the next rows.
    pub fn push(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match &mut self.sink {
            Sink::Table { batches, rows, cut, .. } => {
                let keep = batch.num_rows().min(TABLE_ROWS_MAX - *rows);
                *cut |= keep < batch.num_rows();
                *rows += keep;
                batches.push(batch.slice(0, keep));
            }
            Sink::Json(writer) => writer.write(batch)?,
            Sink::Csv(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Prints what is left.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.sink {
            Sink::Table { mut out, batches, cut, .. } => {
                writeln!(out, "{}", pretty_format_batches(&batches)?)?;
                if cut {
                    writeln!(
                        out,
                        "only the first {TABLE_ROWS_MAX} rows: --format csv or json gives all"
                    )?;
                }
                out.flush()?;
            }
            Sink::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush().context("standard output")?;
            }
            Sink::Csv(writer) => writer.into_inner().flush().context("standard output")?,
        }
        Ok(())
    }
}
