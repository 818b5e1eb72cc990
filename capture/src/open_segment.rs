//! The open segment of a live capture: a plain pcapng file, appended to and
//! synced once a second, that any tool can read while it grows.
//!
//! ```text
//! LiveSource ─▶ <dir>/P1-0000000000-open.pcapng      growing, synced each second
//!                        │ rotation: by size or age, or at the end
//!                        ▼
//!               <dir>/P1-0000000000.pcapng           complete; whoever seals it removes it
//! ```
//!
//! A power cut or `kill -9` loses at most the last unsynced second: the torn
//! file still has its open name, and [`recover`] gives it its final one (the
//! readers take all whole packets of it).

use crate::packet::{LinkType, PacketBatch};
use crate::pcapng_writer::PcapngWriter;
use crate::point::PointName;
use crate::source::LossCounters;
use crate::time::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the open file is synced: what a crash can lose.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What ends the name of a file that is still written.
const OPEN_SUFFIX: &str = "-open.pcapng";

/// When a segment is complete.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Bytes of packets.
    pub bytes: u64,
    /// Age of the file.
    pub age: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes: 256 << 20, age: Duration::from_secs(60) }
    }
}

/// Writes one point's packets into files that rotate.
#[derive(Debug)]
pub struct OpenSegment {
    dir: PathBuf,
    point: PointName,
    link_type: LinkType,
    interface: String,
    rotation: Rotation,
    number: u64,
    current: Option<Current>,
}

/// The file being written.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    writer: PcapngWriter<BufWriter<File>>,
    bytes: u64,
    opened: Instant,
    synced: Instant,
}

impl OpenSegment {
    /// Segments of `point` in `dir`, numbered after those that are there.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn new(
        dir: &Path,
        point: PointName,
        link_type: LinkType,
        interface: &str,
        rotation: Rotation,
    ) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let number = next_number(dir, &point)?;
        let interface = interface.to_string();
        Ok(Self {
            dir: dir.to_path_buf(),
            point,
            link_type,
            interface,
            rotation,
            number,
            current: None,
        })
    }

    /// Appends a batch (it may be empty: then only the clock is looked at).
    /// Gives the path of a segment that became complete.
    ///
    /// # Errors
    /// What the disk says; the packets of the batch are then not all kept.
    pub fn append(
        &mut self,
        batch: &PacketBatch,
        losses: &LossCounters,
    ) -> io::Result<Option<PathBuf>> {
        if self.current.is_none() {
            if batch.is_empty() {
                return Ok(None);
            }
            self.current = Some(self.create()?);
        }
        let Some(current) = &mut self.current else { return Ok(None) };
        for packet in batch.iter() {
            let mut meta = packet.meta;
            meta.interface = 0;
            current.writer.write(&meta, packet.data)?;
        }
        current.bytes += batch.bytes_len() as u64;
        if current.synced.elapsed() >= SYNC_EVERY {
            current.sync()?;
        }
        if current.bytes >= self.rotation.bytes || current.opened.elapsed() >= self.rotation.age {
            let last = batch.len().checked_sub(1).map(|i| batch.get(i).meta.ts_record);
            return self.finish(last, losses);
        }
        Ok(None)
    }

    /// Completes the open file, if there is one, with the losses known at `at`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(
        &mut self,
        at: Option<Timestamp>,
        losses: &LossCounters,
    ) -> io::Result<Option<PathBuf>> {
        let Some(mut current) = self.current.take() else { return Ok(None) };
        if let Some(at) = at {
            current.writer.write_losses(0, at, losses)?;
        }
        current.sync()?;
        complete(&current.path).map(Some)
    }

    fn create(&mut self) -> io::Result<Current> {
        let path = self.dir.join(format!("{}-{:010}{OPEN_SUFFIX}", self.point, self.number));
        self.number += 1;
        let file = BufWriter::with_capacity(1 << 20, File::create_new(&path)?);
        let writer = PcapngWriter::new(file, &[(self.link_type, &self.interface)])?;
        let now = Instant::now();
        Ok(Current { path, writer, bytes: 0, opened: now, synced: now })
    }
}

impl Current {
    fn sync(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().get_ref().sync_data()?;
        self.synced = Instant::now();
        Ok(())
    }
}

/// Gives a file its final name.
fn complete(open: &Path) -> io::Result<PathBuf> {
    let name = open.to_string_lossy();
    let stem = name.strip_suffix(OPEN_SUFFIX).unwrap_or(&name);
    let done = PathBuf::from(format!("{stem}.pcapng"));
    fs::rename(open, &done)?;
    if let Some(dir) = done.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(done)
}

/// The point and number in a segment's file name.
fn parse_name(path: &Path) -> Option<(PointName, u64)> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(OPEN_SUFFIX).or_else(|| name.strip_suffix(".pcapng"))?;
    let (point, number) = stem.rsplit_once('-')?;
    Some((PointName::try_from(point.to_string()).ok()?, number.parse().ok()?))
}

fn next_number(dir: &Path, point: &PointName) -> io::Result<u64> {
    let mut next = 0;
    for entry in fs::read_dir(dir)? {
        if let Some((owner, number)) = parse_name(&entry?.path())
            && owner == *point
        {
            next = next.max(number + 1);
        }
    }
    Ok(next)
}

/// The complete segments in `dir`, oldest first for each point. Files that an
/// earlier run left open are completed first; call it before this run opens
/// its own.
///
/// # Errors
/// Where the directory cannot be read or a file not renamed.
pub fn recover(dir: &Path) -> io::Result<Vec<(PointName, PathBuf)>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some((point, number)) = parse_name(&path) else { continue };
        let open = path.to_string_lossy().ends_with(OPEN_SUFFIX);
        let path = if open { complete(&path)? } else { path };
        found.push((point, number, path));
    }
    found.sort();
    Ok(found.into_iter().map(|(point, _, path)| (point, path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;
    use crate::packet::{Direction, PacketMeta, TsSource};
    use crate::point::TimestampFrom;
    use crate::source::{PacketSource, Progress};

    fn batch(packets: u32) -> PacketBatch {
        let mut batch = PacketBatch::new();
        for packet_ix in 0..packets {
            let ts = Timestamp::from_ns(1_000_000_000 + i64::from(packet_ix));
            let meta = PacketMeta {
                ts,
                ts_ps: 0,
                ts_record: ts,
                ts_source: TsSource::Record,
                ts_flags: 0,
                packet_ix,
                interface: 0,
                direction: Direction::Unknown,
                link_type: LinkType::ETHERNET,
                wire_len: 60,
            };
            batch.push(meta, &[packet_ix as u8; 60]);
        }
        batch
    }

    fn segment(dir: &Path, bytes: u64) -> OpenSegment {
        let point = PointName::try_from("P-1".to_string()).unwrap();
        let rotation = Rotation { bytes, age: Duration::from_secs(3600) };
        OpenSegment::new(dir, point, LinkType::ETHERNET, "eth0", rotation).unwrap()
    }

    fn count(path: &Path) -> usize {
        let mut source = file::open(path, TimestampFrom::Record).unwrap();
        let mut batch = PacketBatch::new();
        let mut packets = 0;
        loop {
            let progress = source.next_batch(&mut batch).unwrap();
            packets += batch.len();
            if progress == Progress::End {
                return packets;
            }
        }
    }

    #[test]
    fn rotates_by_size_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let losses = LossCounters { ring: Some(3), ..LossCounters::default() };
        let mut open = segment(dir.path(), 1000);
        assert_eq!(open.append(&batch(5), &losses).unwrap(), None);
        let first = open.append(&batch(20), &losses).unwrap().unwrap();
        assert_eq!(count(&first), 25);
        drop(open);
        let mut open = segment(dir.path(), 1000);
        let second = open.append(&batch(30), &losses).unwrap().unwrap();
        assert!(first < second);
        let names = recover(dir.path()).unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(names[0].0.as_str(), "P-1");
    }

    #[test]
    fn a_file_left_open_is_recovered_with_its_whole_packets() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), u64::MAX);
        open.append(&batch(7), &LossCounters::default()).unwrap();
        open.current.as_mut().unwrap().sync().unwrap();
        let path = open.current.as_ref().unwrap().path.clone();
        std::mem::forget(open);
        let torn = fs::metadata(&path).unwrap().len() - 10;
        File::options().write(true).open(&path).unwrap().set_len(torn).unwrap();
        let found = recover(dir.path()).unwrap();
        assert_eq!(count(&found[0].1), 6);
    }
}
