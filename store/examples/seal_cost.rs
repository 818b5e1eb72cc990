//! What sealing costs: a capture file into the table `packets`, nothing decoded, as
//! often as told; CPU of all threads a packet, and the size it takes.
//!
//! ```sh
//! seal_cost FILE [ROUNDS] [DIRECTORY OF THE STORE]
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_capture::segment_id::segment_id;
use taptrail_store::catalog::Store;
use taptrail_store::import::{ImportRequest, import};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = PathBuf::from(arguments.first().ok_or("seal_cost FILE [ROUNDS] [DIRECTORY]")?);
    let rounds: u32 = arguments.get(1).map_or(Ok(3), |rounds| rounds.parse())?;
    let directory = arguments.get(2).map_or(std::env::temp_dir(), PathBuf::from);
    for _ in 0..rounds {
        round(&path, &directory)?;
    }
    Ok(())
}

fn round(path: &Path, directory: &Path) -> Result<(), Failure> {
    let root = tempfile::tempdir_in(directory)?;
    let store = Store::open_or_create(root.path())?;
    let request = ImportRequest {
        point: PointConfig::named(PointName::try_from("P1".to_owned())?),
        path: path.to_owned(),
        decoders: None,
        config_hash: String::new(),
        segment: segment_id(path)?,
    };
    let before = cpu_ticks()?;
    let report = import(&store, &request, &mut |_| {})?;
    let seconds = (cpu_ticks()? - before) as f64 / 100.0;
    let packets = report.manifest.counters.packets;
    let captured = report.manifest.counters.packet_bytes;
    let stored: u64 = report.manifest.files.iter().map(|file| file.bytes).sum();
    println!(
        "{packets} packets, {:.3} us CPU each; {stored} bytes, {:.3} of those captured",
        seconds * 1e6 / packets as f64,
        stored as f64 / captured as f64
    );
    Ok(())
}

/// User and system time of this process, in hundredths of a second.
fn cpu_ticks() -> Result<u64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Result<Vec<u64>, _> =
        behind_name.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum())
}
