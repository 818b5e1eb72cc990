//! `taptrail export`: stored packets back as pcapng, byte for byte.

use crate::cli::ExportArgs;
use crate::progress::Progress;
use crate::runtime::runtime;
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{BufWriter, Write};
use taptrail_capture::pcapng_writer::PcapngWriter;
use taptrail_store::catalog::Store;
use taptrail_store::export::{PacketRows, select};
use taptrail_store::sql;

/// Writes the packets that meet the condition, in order of time, each point an
/// interface of its own.
pub fn run(args: ExportArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.store.store)?;
    let context = sql::session(&store)?;
    let partial = args.output.with_extension("partial");
    let file = File::create(&partial).with_context(|| partial.display().to_string())?;
    let bar = Progress::new("exporting", 0);
    let written = runtime()?.block_on(async {
        let rows = select(&context, &args.condition).await?;
        write(rows, BufWriter::new(file)).await
    });
    bar.finish();
    let packets = match written {
        Ok(packets) => packets,
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    if packets == 0 {
        let _ = std::fs::remove_file(&partial);
        bail!("no packet meets {:?}", args.condition);
    }
    std::fs::rename(&partial, &args.output).with_context(|| args.output.display().to_string())?;
    println!("{}: {packets} packets", args.output.display());
    Ok(())
}

async fn write(mut rows: PacketRows, out: BufWriter<File>) -> anyhow::Result<u64> {
    let mut writer = PcapngWriter::new(out, &[])?;
    let mut interfaces: Vec<(String, taptrail_capture::packet::LinkType)> = Vec::new();
    let mut packets = 0;
    while let Some(batch) = rows.next().await? {
        for mut packet in batch {
            let key = (packet.point.clone(), packet.meta.link_type);
            let known = interfaces.iter().position(|known| *known == key);
            packet.meta.interface = match known {
                Some(index) => index as u32,
                None => {
                    let index = writer.add_interface(key.1, &key.0)?;
                    interfaces.push(key);
                    index
                }
            };
            writer.write(&packet.meta, &packet.data)?;
            packets += 1;
        }
    }
    let mut out = writer.finish()?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(packets)
}
