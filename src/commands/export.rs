//! `taptrail export`: stored packets back as pcapng, byte for byte.

use crate::cli::ExportArgs;
use crate::query::Rows;
use crate::runtime::runtime;
use anyhow::{Context, bail};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use taptrail_capture::packet::LinkType;
use taptrail_capture::pcapng_writer::PcapngWriter;
use taptrail_capture::system::run_idle;
use taptrail_store::arrays::packets::{PacketRows, READ_COLUMNS};
use taptrail_store::catalog::Store;
use taptrail_store::sql::session;

/// Packets at a time: the sort holds some of each of its inputs, and a frame may have
/// many kilobytes.
const ROWS: usize = 512;

/// Writes the packets that meet the condition, in order of time, each point an
/// interface of its own. The file has its name only when it is whole.
pub fn run(args: ExportArgs) -> anyhow::Result<()> {
    if args.idle {
        run_idle();
    }
    let store = Store::open(&args.store.store)?;
    let limit = args.max_mib_s.map(|mib| u64::from(mib.max(1)) << 20);
    let partial = args.output.with_extension("partial");
    let written = write(&store, &args.condition, &partial, limit);
    match written {
        Ok(0) => {
            fs::remove_file(&partial)?;
            bail!("no packet meets {:?}", args.condition)
        }
        Ok(packets) => {
            fs::rename(&partial, &args.output)
                .with_context(|| args.output.display().to_string())?;
            println!("{}: {packets} packets", args.output.display());
            Ok(())
        }
        Err(error) => {
            // The first error is the one to tell.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

/// The statement that gives the packets: `condition` is SQL on the columns of
/// `packets`, or the id of a lineage.
fn statement(condition: &str) -> String {
    let columns = READ_COLUMNS.join(", ");
    let filter = match condition.trim().parse::<u64>() {
        Ok(lineage_id) => format!(
            "EXISTS (SELECT 1 FROM lineage WHERE lineage.capture_id = packets.capture_id \
             AND lineage.packet_ix = packets.packet_ix AND lineage.lineage_id = {lineage_id})"
        ),
        Err(_) => format!("({condition})"),
    };
    format!("SELECT {columns}, point FROM packets WHERE {filter} ORDER BY ts, point, packet_ix")
}

fn write(store: &Store, condition: &str, path: &Path, limit: Option<u64>) -> anyhow::Result<u64> {
    let context = session(store)?;
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut export = Export::new(BufWriter::new(file))?;
    let start = Instant::now();
    runtime()?.block_on(async {
        context.sql(&format!("SET datafusion.execution.batch_size = {ROWS}")).await?;
        let mut rows = Rows::of(&context, &statement(condition)).await?;
        while let Some(batch) = rows.next().await? {
            export.batch(&batch)?;
            if let Some(wait) = limit.and_then(|limit| ahead(export.bytes, limit, start.elapsed()))
            {
                tokio::time::sleep(wait).await;
            }
        }
        export.finish()
    })
}

/// How long to wait so that `bytes` in `elapsed` are at most `limit` a second.
fn ahead(bytes: u64, limit: u64, elapsed: Duration) -> Option<Duration> {
    let ms = u128::from(bytes) * 1000 / u128::from(limit.max(1));
    let due = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    due.checked_sub(elapsed).filter(|wait| !wait.is_zero())
}

/// A pcapng file with an interface for each point and link type.
struct Export {
    writer: PcapngWriter<BufWriter<File>>,
    interfaces: Vec<(String, LinkType)>,
    packets: u64,
    /// Their captured bytes.
    bytes: u64,
}

impl Export {
    fn new(out: BufWriter<File>) -> anyhow::Result<Self> {
        let writer = PcapngWriter::new(out, &[])?;
        Ok(Self { writer, interfaces: Vec::new(), packets: 0, bytes: 0 })
    }

    fn batch(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let rows = PacketRows::new(batch)?;
        let point = batch.column_by_name("point").context("packets have no point")?;
        let points = cast(point, &DataType::Utf8)?;
        let points = points.as_string::<i32>();
        for row in 0..rows.len() {
            let mut meta = rows.meta(row);
            meta.interface = self.interface(points.value(row), meta.link_type)?;
            self.writer.write(&meta, rows.data(row))?;
            self.packets += 1;
            self.bytes += rows.data(row).len() as u64;
        }
        Ok(())
    }

    /// The interface's number, described at first sight.
    fn interface(&mut self, point: &str, link_type: LinkType) -> anyhow::Result<u32> {
        let known = self.interfaces.iter().position(|(p, l)| p == point && *l == link_type);
        if let Some(index) = known {
            return Ok(index as u32);
        }
        self.interfaces.push((point.to_string(), link_type));
        Ok(self.writer.add_interface(link_type, point)?)
    }

    fn finish(self) -> anyhow::Result<u64> {
        let mut out = self.writer.finish()?;
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_on_the_whole() {
        let second = Duration::from_secs(1);
        assert_eq!(ahead(3 << 20, 1 << 20, second), Some(2 * second));
        assert_eq!(ahead(3 << 20, 1 << 20, 4 * second), None);
        assert_eq!(ahead(0, 1, Duration::ZERO), None);
    }
}
