//! What live capture costs without a queue, a clock or an account: `benches/capture.sh`
//! runs it beside the node and other tools.
//!
//! ```sh
//! live_cost ring|pcap INTERFACE FILE    # until standard input ends
//! ```

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use taptrail_capture::live::{LiveOptions, LiveSource};
use taptrail_capture::packet::{LinkType, PacketBatch};
use taptrail_capture::pcapng_writer::PcapngWriter;
use taptrail_capture::ring::{RingOptions, RingSource};
use taptrail_capture::source::{PacketSource, Progress};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [source, interface, file] => take(source, interface, Path::new(file)),
        _ => Err("ring|pcap INTERFACE FILE".into()),
    }
}

fn take(source: &str, interface: &str, file: &Path) -> Result<(), Error> {
    let options = LiveOptions { buffer_bytes: 64 << 20, ..LiveOptions::default() };
    let (mut source, stop): (Box<dyn PacketSource>, Arc<AtomicBool>) = match source {
        "ring" => {
            let source = RingSource::open(interface, &options, RingOptions::default())?;
            let stop = source.stop_handle();
            (Box::new(source), stop)
        }
        _ => {
            let source = LiveSource::open(interface, options)?;
            let stop = source.stop_handle();
            (Box::new(source), stop)
        }
    };
    let (ready, opened) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = opened.recv();
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
    });
    ready.send(())?;
    let interfaces = [(LinkType::ETHERNET, interface)];
    let output = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(file)?);
    let mut writer = PcapngWriter::new(output, &interfaces)?;
    let (mut batch, mut packets) = (PacketBatch::new(), 0u64);
    loop {
        let progress = source.next_batch(&mut batch)?;
        for packet in batch.iter() {
            writer.write(&packet.meta, packet.data)?;
        }
        packets += batch.len() as u64;
        if progress == Progress::End {
            break;
        }
    }
    writer.finish()?.flush()?;
    eprintln!("{packets} packets, losses {:?}", source.losses());
    Ok(())
}
