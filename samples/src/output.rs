//! A simulation as files in a folder.
//!
//! ```text
//! DIR/P1.pcap P2.pcapng P3.pcap P4.pcap.gz P5.pcapng P6.pcap.gz P7.pcap
//! DIR/taptrail.toml   schemas/bus.xml
//! DIR/truth/messages.jsonl links.jsonl losses.jsonl clocks.jsonl orders.jsonl counts.json
//! ```

use crate::config::Faults;
use crate::encode::erf;
use crate::encode::fast::BUS_TEMPLATES;
use crate::net::tap::SimPacket;
use crate::points::{FileFormat, P2, POINTS, PointSpec};
use crate::sim::{Output, Simulation};
use crate::site_config::{self, BUS_TEMPLATES_FILE, SCHEMAS_DIR};
use crate::trouble::Troubles;
use crate::truth::Truth;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use taptrail_capture::packet::{LinkType, TsSource};
use taptrail_capture::pcap_writer::PcapWriter;
use taptrail_capture::pcapng_writer::PcapngWriter;

/// How much of P2's file is cut off on a bad day, in bytes: the last record
/// stays incomplete. (It shows the end of the feed's session.)
const CUT_BYTES: u64 = 25;
const BUFFER_BYTES: usize = 1 << 20;

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct OutputError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Packets by point, in the order of the points.
    pub packets: [u64; POINTS.len()],
    /// Captured bytes of all points.
    pub bytes: u64,
    /// Orders sent.
    pub orders: u64,
    /// Links of the truth, those of kind `same` not counted.
    pub links: u64,
    /// Losses of the truth.
    pub losses: u64,
}

impl Simulation {
    /// Runs to the end of the day and writes everything below `dir`, which is
    /// made where it is not there. `progress` is told now and then how much of
    /// the day is over, in thousandths.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_to(
        mut self,
        dir: &Path,
        progress: &mut dyn FnMut(u32),
    ) -> Result<Summary, OutputError> {
        make_dir(&dir.join("truth"))?;
        make_dir(&dir.join(SCHEMAS_DIR))?;
        write_file(&dir.join(SCHEMAS_DIR).join(BUS_TEMPLATES_FILE), BUS_TEMPLATES.as_bytes())?;
        let config = site_config::text(&mut self);
        write_file(&dir.join("taptrail.toml"), config.as_bytes())?;
        let mut captures = Captures::create(dir, &self.config.troubles)?;
        let mut truth = TruthFiles::create(&dir.join("truth"))?;
        let mut summary = Summary::default();
        let mut told = 0;
        while let Some(output) = self.next() {
            match output {
                Output::Packet(packet) => {
                    summary.packets[packet.point] += 1;
                    summary.bytes += packet.data.len() as u64;
                    captures.write(&packet)?;
                }
                Output::Truth(piece) => {
                    truth.write(&piece)?;
                    summary.orders += u64::from(matches!(*piece, Truth::Order(_)));
                    summary.links += u64::from(matches!(*piece, Truth::Link(_)));
                    summary.losses += u64::from(matches!(*piece, Truth::Loss(_)));
                }
            }
            let over = self.over_permille();
            if over != told {
                told = over;
                progress(over);
            }
        }
        captures.finish()?;
        truth.finish()?;
        write_counts(&self, dir)?;
        if self.config.faults == Faults::Heavy {
            cut_end(&dir.join(POINTS[P2].file_name()))?;
        }
        Ok(summary)
    }

    /// How much of the day is over, in thousandths.
    fn over_permille(&self) -> u32 {
        let length_ns = i128::from(self.config.seconds.max(1)) * 1_000_000_000;
        let over_ns = i128::from(self.now_ns() - self.config.start_ns);
        (over_ns * 1000 / length_ns).clamp(0, 1000) as u32
    }
}

fn write_counts(sim: &Simulation, dir: &Path) -> Result<(), OutputError> {
    let path = dir.join("truth").join("counts.json");
    let text = serde_json::to_string_pretty(sim.counts())
        .map_err(|error| OutputError { path: path.clone(), error: error.into() })?;
    write_file(&path, text.as_bytes())
}

fn make_dir(path: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|error| OutputError { path: path.into(), error })
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    fs::write(path, bytes).map_err(|error| OutputError { path: path.into(), error })
}

fn cut_end(path: &Path) -> Result<(), OutputError> {
    let cut = || {
        let file = File::options().write(true).open(path)?;
        let len = file.metadata()?.len();
        file.set_len(len.saturating_sub(CUT_BYTES))
    };
    cut().map_err(|error| OutputError { path: path.into(), error })
}

type GzFile = BufWriter<GzEncoder<File>>;

enum CaptureFile {
    Pcap(PcapWriter<BufWriter<File>>),
    PcapGz(PcapWriter<GzFile>),
    Pcapng(PcapngWriter<BufWriter<File>>),
    Erf(BufWriter<File>),
}

impl CaptureFile {
    fn create(path: &Path, point: &PointSpec) -> io::Result<Self> {
        let file = File::create(path)?;
        let ethernet = LinkType::ETHERNET;
        Ok(match point.format {
            FileFormat::Pcap => {
                Self::Pcap(PcapWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file), ethernet)?)
            }
            FileFormat::PcapGz => {
                let gz = GzEncoder::new(file, Compression::fast());
                let buffered = BufWriter::with_capacity(BUFFER_BYTES, gz);
                Self::PcapGz(PcapWriter::new(buffered, ethernet)?)
            }
            FileFormat::Erf => Self::Erf(BufWriter::with_capacity(BUFFER_BYTES, file)),
            FileFormat::Pcapng => Self::Pcapng(PcapngWriter::new(
                BufWriter::with_capacity(BUFFER_BYTES, file),
                &[(ethernet, "tap0"), (ethernet, "tap1")],
            )?),
        })
    }

    fn write(&mut self, packet: &SimPacket) -> io::Result<()> {
        // A file's record knows nothing of the trailer.
        let mut meta = packet.meta;
        meta.ts = meta.ts_record;
        meta.ts_source = TsSource::Record;
        meta.ts_flags = 0;
        match self {
            Self::Pcap(writer) => writer.write(&meta, &packet.data),
            Self::PcapGz(writer) => writer.write(&meta, &packet.data),
            Self::Pcapng(writer) => writer.write(&meta, &packet.data),
            Self::Erf(out) => {
                let ts_ns = meta.ts.ns();
                erf::write(out, ts_ns, meta.interface, packet.dropped, &packet.data, meta.wire_len)
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Pcap(writer) => writer.finish().map(drop),
            Self::Pcapng(writer) => writer.finish().map(drop),
            Self::Erf(mut out) => out.flush(),
            Self::PcapGz(writer) => {
                let gz = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
                gz.finish().map(drop)
            }
        }
    }
}

/// One capture file a point.
struct Captures(Vec<(PathBuf, CaptureFile)>);

impl Captures {
    fn create(dir: &Path, troubles: &Troubles) -> Result<Self, OutputError> {
        let open = |point: &PointSpec| {
            let point = point.under(troubles);
            let path = dir.join(point.file_name());
            let file = CaptureFile::create(&path, &point);
            file.map(|file| (path.clone(), file)).map_err(|error| OutputError { path, error })
        };
        POINTS.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    fn write(&mut self, packet: &SimPacket) -> Result<(), OutputError> {
        let (path, file) = &mut self.0[packet.point];
        file.write(packet).map_err(|error| OutputError { path: path.clone(), error })
    }

    fn finish(self) -> Result<(), OutputError> {
        for (path, file) in self.0 {
            file.finish().map_err(|error| OutputError { path, error })?;
        }
        Ok(())
    }
}

/// One file a kind of truth.
struct TruthFiles([(PathBuf, BufWriter<File>); 5]);

impl TruthFiles {
    fn create(dir: &Path) -> Result<Self, OutputError> {
        let open = |name: &str| {
            let path = dir.join(format!("{name}.jsonl"));
            match File::create(&path) {
                Ok(file) => Ok((path, BufWriter::with_capacity(BUFFER_BYTES, file))),
                Err(error) => Err(OutputError { path, error }),
            }
        };
        Ok(Self([
            open("messages")?,
            open("links")?,
            open("losses")?,
            open("clocks")?,
            open("orders")?,
        ]))
    }

    fn write(&mut self, truth: &Truth) -> Result<(), OutputError> {
        match truth {
            Truth::Message(line) => self.line(0, line),
            Truth::Link(line) => self.line(1, line),
            Truth::Loss(line) => self.line(2, line),
            Truth::Clock(line) => self.line(3, line),
            Truth::Order(line) => self.line(4, line),
        }
    }

    fn line(&mut self, file: usize, line: &impl Serialize) -> Result<(), OutputError> {
        let (path, out) = &mut self.0[file];
        let written = serde_json::to_writer(&mut *out, line)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"));
        written.map_err(|error| OutputError { path: path.clone(), error })
    }

    fn finish(self) -> Result<(), OutputError> {
        for (path, mut out) in self.0 {
            out.flush().map_err(|error| OutputError { path, error })?;
        }
        Ok(())
    }
}
