//! Capture files: pcap, pcapng, ERF and FMADIO chunks, plain or gzip, from a
//! path, standard input or any reader.
//!
//! ```text
//! bytes ─▶ gzip? ─▶ window (512 KiB) ─▶ reader of the format ─▶ sink ─▶ PacketBatch ─▶ stamper
//!                                                                └▶ notes ─▶ warnings
//! ```
//!
//! The format is told by its first bytes, never by the name; the footers of
//! exact-capture (expcap) are pcap with [a stamp](crate::trailer::expcap) behind
//! each packet. Offsets in
//! warnings and errors count in the uncompressed input.

mod erf;
mod fmadio;
mod notes;
mod order;
mod pcap;
mod pcapng;
#[cfg(test)]
mod record_tests;
mod resolution;
mod sink;
#[cfg(test)]
mod tests;
mod window;

use crate::account::StatsRecord;
use crate::packet::{LinkType, PacketBatch};
use crate::point::TimestampFrom;
use crate::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use crate::trailer::stamper::{Stamper, Stamping};
use erf::ErfReader;
use flate2::bufread::MultiGzDecoder;
use fmadio::FmadioReader;
use notes::Notes;
use pcap::PcapReader;
use pcapng::PcapngReader;
use sink::{Sink, Step};
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use window::{Have, Window};

/// The path that means standard input.
pub const STDIN: &str = "-";

/// Compressed bytes read at once.
const GZIP_BUFFER_BYTES: usize = 128 << 10;

/// Its magic number and the only method there is: an ERF file may begin with the
/// first two.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// What a capture file says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Its name, empty where not said; at most 256 bytes are kept.
    pub name: String,
    /// How to read the first header of its packets.
    pub link_type: LinkType,
    /// Most bytes the writer kept of a packet; 0 is no limit.
    pub snaplen: u32,
    /// Bytes of frame check sequence at the end of each packet, where stated.
    pub fcs_len: Option<u8>,
}

/// The format, as the first bytes tell it.
enum Format {
    Pcap(PcapReader),
    Pcapng(PcapngReader),
    Erf(ErfReader),
    Fmadio(FmadioReader),
}

/// Packets of one capture file, in its order.
pub struct FileSource {
    window: Window,
    format: Format,
    notes: Notes,
    stamper: Stamper,
    next_ix: u32,
    /// Hand on what is there rather than wait for a full batch.
    interactive: bool,
    compressed: bool,
    pending: Option<CaptureError>,
    ended: bool,
    /// Batches that ended where a packet names losses.
    drops_told: u32,
}

/// Most batches of a file that end early to tell when packets were lost.
const DROPS_TOLD_MAX: u32 = 4_096;

/// Opens a capture file; [`STDIN`] is standard input. `stamping` is where its
/// packets' times come from.
///
/// # Errors
/// [`CaptureError::Io`] where it cannot be read, [`CaptureError::Format`]
/// where it is not a capture file.
pub fn open(path: &Path, stamping: impl Into<Stamping>) -> Result<FileSource, CaptureError> {
    let stamping = stamping.into();
    if path == Path::new(STDIN) {
        return from_reader("standard input", Box::new(io::stdin()), stamping);
    }
    let name = path.display().to_string();
    let io_error = |error| CaptureError::Io { name: name.clone(), error };
    let file = File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    if metadata.is_dir() {
        return Err(io_error(io::Error::new(
            ErrorKind::IsADirectory,
            "is a directory, not a file",
        )));
    }
    let len = metadata.is_file().then_some(metadata.len());
    FileSource::new(name, Box::new(file), len, !metadata.is_file(), stamping)
}

/// Reads a capture from `input`, which may be a pipe: packets are handed on
/// as soon as they are there. `name` stands in messages.
///
/// # Errors
/// As [`open`].
pub fn from_reader(
    name: impl Into<String>,
    input: Box<dyn Read + Send>,
    stamping: impl Into<Stamping>,
) -> Result<FileSource, CaptureError> {
    FileSource::new(name.into(), input, None, true, stamping.into())
}

impl FileSource {
    fn new(
        name: String,
        input: Box<dyn Read + Send>,
        input_len: Option<u64>,
        interactive: bool,
        stamping: Stamping,
    ) -> Result<Self, CaptureError> {
        let (input, compressed) =
            uncompressed(input).map_err(|error| CaptureError::Io { name: name.clone(), error })?;
        let mut window = Window::new(input);
        let format = match Format::recognise(&mut window) {
            Ok(Ok(format)) => format,
            Ok(Err(reason)) => return Err(CaptureError::Format { name, offset: 0, reason }),
            Err(error) => return Err(read_error(&name, window.offset(), compressed, error)),
        };
        let input_len = if compressed { None } else { input_len };
        Ok(Self {
            window,
            format,
            notes: Notes::new(name, input_len),
            stamper: Stamper::new(stamping),
            next_ix: 0,
            interactive,
            compressed,
            pending: None,
            ended: false,
            drops_told: 0,
        })
    }

    /// The interfaces described so far. For pcapng the place in the list is
    /// [`PacketMeta::interface`](crate::packet::PacketMeta::interface); a
    /// pcap file has one.
    pub fn interfaces(&self) -> Vec<InterfaceInfo> {
        match &self.format {
            Format::Pcap(reader) => vec![InterfaceInfo {
                name: String::new(),
                link_type: reader.link_type(),
                snaplen: reader.snaplen(),
                fcs_len: reader.fcs_len(),
            }],
            Format::Pcapng(reader) => reader.interfaces().cloned().collect(),
            Format::Erf(reader) => reader.interfaces(),
            Format::Fmadio(reader) => vec![InterfaceInfo {
                name: String::new(),
                link_type: reader.link_type(),
                snaplen: reader.snaplen(),
                fcs_len: None,
            }],
        }
    }

    /// While on, the end of the file is only where its writer is now:
    /// [`next_batch`](PacketSource::next_batch) gives what is there, perhaps
    /// nothing, says [`Progress::More`], and a record cut by the end is
    /// waited for. The caller sleeps between calls. Not for gzip.
    pub fn set_follow(&mut self, on: bool) {
        self.window.follow = on;
    }

    /// Bytes of the (uncompressed) input read so far.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    fn fill(&mut self, batch: &mut PacketBatch) -> io::Result<Progress> {
        let Self { window, format, notes, stamper, next_ix, interactive, drops_told, .. } = self;
        let skip_padding = stamper.stamping().from == TimestampFrom::Expcap;
        let in_pieces = *interactive && !stamper.is_learning();
        let mut sink = Sink { batch, notes, next_ix, skip_padding };
        let named = format.named_lost();
        while !sink.batch.is_full() {
            if *sink.next_ix == u32::MAX {
                let rest = sink.notes.rest(window.offset());
                let text = format!("more than {} packets in one capture: {rest}", u32::MAX);
                sink.notes.warn(window.offset(), text);
                return Ok(Progress::End);
            }
            window.may_read = !in_pieces || sink.batch.is_empty();
            let step = match format {
                Format::Pcap(reader) => reader.step(window, &mut sink)?,
                Format::Pcapng(reader) => reader.step(window, &mut sink)?,
                Format::Erf(reader) => reader.step(window, &mut sink)?,
                Format::Fmadio(reader) => reader.step(window, &mut sink)?,
            };
            match step {
                // Ends at a packet before which some were lost: it tells when.
                Step::Went
                    if !stamper.is_learning()
                        && *drops_told < DROPS_TOLD_MAX
                        && !sink.batch.is_empty()
                        && format.named_lost() != named =>
                {
                    *drops_told += 1;
                    return Ok(Progress::More);
                }
                Step::Went => {}
                Step::Wait => return Ok(Progress::More),
                Step::End => return Ok(Progress::End),
            }
        }
        Ok(Progress::More)
    }

    fn end(&mut self) {
        self.ended = true;
        self.notes.finish();
    }
}

impl PacketSource for FileSource {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        if self.ended {
            return Ok(Progress::End);
        }
        let filled = self.fill(batch);
        self.stamper.batch(batch);
        match filled {
            Ok(Progress::More) => Ok(Progress::More),
            Ok(Progress::End) => {
                self.end();
                Ok(Progress::End)
            }
            Err(error) => {
                let error =
                    read_error(self.notes.name(), self.window.offset(), self.compressed, error);
                self.end();
                if batch.is_empty() {
                    return Err(error);
                }
                self.pending = Some(error);
                Ok(Progress::More)
            }
        }
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.notes.take()
    }

    fn losses(&self) -> LossCounters {
        match &self.format {
            Format::Pcap(_) | Format::Fmadio(_) => LossCounters::default(),
            Format::Pcapng(reader) => reader.losses(),
            Format::Erf(reader) => reader.losses(),
        }
    }

    fn take_stats(&mut self) -> Vec<StatsRecord> {
        match &mut self.format {
            Format::Pcapng(reader) => reader.take_stats(),
            _ => Vec::new(),
        }
    }
}

impl Format {
    /// What packets name as lost before them.
    fn named_lost(&self) -> Option<u64> {
        match self {
            Self::Pcap(_) | Self::Fmadio(_) => None,
            Self::Pcapng(reader) => reader.named_lost(),
            Self::Erf(reader) => reader.losses().recorded,
        }
    }

    /// Outside: reading failed. Inside: why it is no capture.
    fn recognise(window: &mut Window) -> io::Result<Result<Self, String>> {
        if let Have::Only(0) = window.need(1)? {
            let what = if window.compressed_cut { "the gzip data ends at once" } else { "empty" };
            return Ok(Err(format!("{what}: a capture was expected")));
        }
        let have = window.need(4)?;
        let magic = window.bytes().first_chunk::<4>().copied();
        match magic {
            Some(magic) if pcap::is_pcap(magic) => Ok(PcapReader::open(window)?.map(Format::Pcap)),
            Some(pcapng::MAGIC) => Ok(Ok(Format::Pcapng(PcapngReader::new()))),
            Some(fmadio::MAGIC) => Ok(FmadioReader::open(window)?.map(Format::Fmadio)),
            _ if erf::recognise(window)? => Ok(Ok(Format::Erf(ErfReader::default()))),
            _ => {
                if have == Have::All {
                    // More of it only makes the message better.
                    window.need(16)?;
                }
                Ok(Err(unknown_format(window.bytes())))
            }
        }
    }
}

/// Other wrappings, by their first bytes, and what undoes them.
const WRAPPINGS: [(&[u8], &str, &str); 5] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstdcat"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "xzcat"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", "lz4cat"),
    (b"BZh", "bzip2", "bzcat"),
    (b"PK\x03\x04", "zip", "unzip -p"),
];

fn unknown_format(bytes: &[u8]) -> String {
    if let Some((_, what, tool)) = WRAPPINGS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return format!(
            "{what}-compressed, which is not read: unpack it first, or pipe `{tool}` into standard input ({STDIN})"
        );
    }
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!(
        "not a pcap, pcapng, ERF or FMADIO file (plain or gzip): the first bytes are {}",
        first.join(" ")
    )
}

/// Unpacks where the input is gzip; also says whether it was.
fn uncompressed(mut input: Box<dyn Read + Send>) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut first = Vec::with_capacity(GZIP_MAGIC.len());
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut first)?;
    let compressed = first == GZIP_MAGIC;
    let whole = Cursor::new(first).chain(input);
    if compressed {
        let buffered = BufReader::with_capacity(GZIP_BUFFER_BYTES, whole);
        return Ok((Box::new(MultiGzDecoder::new(buffered)), true));
    }
    Ok((Box::new(whole), false))
}

/// Damaged compressed data is told as what it is, at its place.
fn read_error(name: &str, offset: u64, compressed: bool, error: io::Error) -> CaptureError {
    let name = name.to_string();
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData if compressed => CaptureError::Format {
            name,
            offset,
            reason: format!("the gzip data is damaged ({error}); everything before it was read"),
        },
        _ => CaptureError::Io { name, error },
    }
}
