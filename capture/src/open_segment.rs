//! The open segment of a live capture: a plain pcapng file, appended to and
//! synced once a second, that any tool can read while it grows.
//!
//! ```text
//! blocks of packets ─────────▶ <dir>/P1-0000000000-open.pcapng   growing, synced each second
//! few, account ─▶ buffer ─┘           │ rotation: by size or age, or at the end
//!                                     ▼
//!                              <dir>/P1-0000000000.pcapng        complete; whoever seals it removes it
//! ```
//!
//! A power cut or `kill -9` loses at most the last unsynced second: the torn
//! file still has its open name, and [`recover`] gives it its final one (the
//! readers take all whole packets of it).
//!
//! Where the disk takes no more, the file ends at the last whole block and
//! becomes complete, what was in the buffer is counted as lost, and a new file
//! is tried once a second.

use crate::account::StatsRecord;
use crate::file;
use crate::packet::LinkType;
use crate::packet_blocks::PacketBlocks;
use crate::pcapng_writer::PcapngWriter;
use crate::point::{PointName, TimestampFrom};
use crate::segment_id::new_segment_id;
use crate::source::CaptureError;
use crate::system::free_bytes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the open file is synced: what a crash can lose.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// So many bytes at once are not gathered.
const DIRECT_BYTES: usize = 64 << 10;

/// What ends the name of a file that is still written.
const OPEN_SUFFIX: &str = "-open.pcapng";

/// When a segment is complete, and when none is written.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Bytes of packets.
    pub bytes: u64,
    /// Age of the file, by a clock that is never set.
    pub age: Duration,
    /// Bytes that stay free on the disk: below it nothing is written.
    pub keep_free: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes: 256 << 20, age: Duration::from_secs(60), keep_free: 0 }
    }
}

/// Packets and their captured bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    fn without(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(other.packets),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What a call did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Packets that went into the file.
    pub written: Tally,
    /// Packets that the disk did not take.
    pub lost: Tally,
    /// Packets that the format has no place for.
    pub unwritable: Tally,
    /// Whether the account and everything before it is on disk.
    pub synced: bool,
    /// A segment that became complete.
    pub complete: Option<PathBuf>,
    /// Why packets were lost, or may be at a power cut.
    pub error: Option<io::Error>,
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
    /// The last account written: where counting goes on in the next file.
    last: Option<StatsRecord>,
    /// After a failure: when to try again.
    retry: Option<Instant>,
    /// Complete files that could not be given their final name yet.
    unnamed: Vec<PathBuf>,
}

/// The file being written.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    id: String,
    file: File,
    writer: PcapngWriter<Vec<u8>>,
    /// Bytes of the file that are whole blocks.
    good: u64,
    /// Packets that were given to it and are not in the file yet.
    held: Tally,
    /// Bytes of packets in the file.
    bytes: u64,
    /// Packets that were given to it.
    packets: u32,
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
        Ok(Self {
            dir: dir.to_path_buf(),
            point,
            link_type,
            interface: interface.to_string(),
            rotation,
            number,
            current: None,
            last: None,
            retry: None,
            unnamed: Vec::new(),
        })
    }

    /// When the open file was opened, and when it was last synced.
    pub fn times(&self) -> Option<(Instant, Instant)> {
        self.current.as_ref().map(|current| (current.opened, current.synced))
    }

    /// The name of the open file's segment, and how many packets it was given.
    pub fn place(&self) -> Option<(&str, u32)> {
        self.current.as_ref().map(|current| (current.id.as_str(), current.packets))
    }

    /// Goes on with packets of another link type, in a new file.
    pub fn set_link_type(&mut self, link_type: LinkType) -> Outcome {
        if link_type == self.link_type {
            return Outcome::default();
        }
        let outcome = self.finish();
        self.link_type = link_type;
        outcome
    }

    /// Appends packets.
    pub fn append(&mut self, blocks: &PacketBlocks) -> Outcome {
        let mut outcome = Outcome { unwritable: blocks.unwritable(), ..Outcome::default() };
        let packets = blocks.taken().without(blocks.unwritable());
        if packets.packets == 0 {
            return outcome;
        }
        if self.is_waiting() {
            outcome.lost = packets;
        } else if let Err(error) = self.try_append(blocks.bytes(), packets, &mut outcome) {
            self.fail(error, &mut outcome);
        }
        outcome
    }

    /// Where it fails, the packets are lost, or held and lost with what else is held.
    fn try_append(
        &mut self,
        blocks: &[u8],
        packets: Tally,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let current = match self.current() {
            Ok(current) => current,
            Err(error) => {
                outcome.lost.add(packets);
                return Err(error);
            }
        };
        current.held.add(packets);
        let count = u32::try_from(packets.packets).unwrap_or(u32::MAX);
        current.packets = current.packets.saturating_add(count);
        current.bytes = current.bytes.saturating_add(packets.bytes);
        if blocks.len() >= DIRECT_BYTES {
            current.write_buffer()?;
            return current.write(blocks, outcome);
        }
        current.writer.get_mut().extend_from_slice(blocks);
        if current.writer.get_ref().len() >= BUFFER_BYTES {
            current.flush(outcome)?;
        }
        Ok(())
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(current) = &mut self.current
            && let Err(error) = current.flush(&mut outcome)
        {
            self.fail(error, &mut outcome);
        }
        outcome
    }

    /// Writes an account, syncs, and completes a file that is large or old
    /// enough. Meant to be called once a second.
    pub fn tick(&mut self, record: StatsRecord) -> Outcome {
        let mut outcome = Outcome::default();
        if self.is_waiting() {
            return outcome;
        }
        self.name_again();
        if let Err(error) = self.try_tick(record, &mut outcome) {
            self.fail(error, &mut outcome);
        }
        if outcome.complete.is_none() && self.is_due() {
            self.complete(&mut outcome);
        }
        outcome
    }

    fn try_tick(&mut self, record: StatsRecord, outcome: &mut Outcome) -> io::Result<()> {
        if let Some(current) = self.current.as_mut().filter(|current| current.good > 0) {
            current.flush(outcome)?;
        }
        let free = if self.rotation.keep_free == 0 { u64::MAX } else { free_bytes(&self.dir)? };
        if free < self.rotation.keep_free {
            return Err(io::Error::other(format!(
                "{} MiB free, {} are to stay free",
                free >> 20,
                self.rotation.keep_free >> 20
            )));
        }
        let current = self.current()?;
        current.writer.write_stats(&record)?;
        current.flush(outcome)?;
        current.sync()?;
        outcome.synced = true;
        self.last = Some(StatsRecord { begins: true, ..record });
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.current.as_ref().is_some_and(|current| {
            // At the tick that is nearest to its age, not at the one behind it.
            let age = current.opened.elapsed() + SYNC_EVERY / 2;
            current.bytes >= self.rotation.bytes || age >= self.rotation.age
        })
    }

    /// Completes the open file, if there is one.
    pub fn finish(&mut self) -> Outcome {
        let mut outcome = self.flush();
        self.complete(&mut outcome);
        self.name_again();
        outcome
    }

    fn name_again(&mut self) {
        self.unnamed.retain(|path| path.exists() && complete(path).is_err());
    }

    fn complete(&mut self, outcome: &mut Outcome) {
        let Some(mut current) = self.current.take() else { return };
        if current.good == 0 {
            // Nothing is in it, not even its header.
            let _ = fs::remove_file(&current.path);
            return;
        }
        let synced = current.sync();
        match synced.and_then(|()| complete(&current.path)) {
            Ok(path) => outcome.complete = Some(path),
            // The file keeps its open name until the next try, or start.
            Err(error) => {
                outcome.error = Some(error);
                self.unnamed.push(current.path);
            }
        }
    }

    /// Ends the file at its last whole block; the next is tried in a second.
    fn fail(&mut self, error: io::Error, outcome: &mut Outcome) {
        self.retry = Some(Instant::now() + SYNC_EVERY);
        if let Some(current) = &mut self.current {
            outcome.lost.add(std::mem::take(&mut current.held));
            current.writer.get_mut().clear();
            // A torn end is read up to its last whole block, too.
            let _ = current.file.set_len(current.good);
            self.complete(outcome);
        }
        outcome.error = Some(error);
    }

    /// Whether the disk failed a moment ago.
    fn is_waiting(&self) -> bool {
        self.retry.is_some_and(|at| Instant::now() < at)
    }

    /// The open file; a new one where there is none.
    fn current(&mut self) -> io::Result<&mut Current> {
        if self.current.is_none() {
            self.retry = None;
            self.current = Some(self.create()?);
        }
        self.current.as_mut().ok_or_else(|| io::Error::other("no open file"))
    }

    fn create(&mut self) -> io::Result<Current> {
        let path = self.dir.join(format!("{}-{:010}{OPEN_SUFFIX}", self.point, self.number));
        let file = File::create_new(&path)?;
        self.number += 1;
        let interfaces = [(self.link_type, self.interface.as_str())];
        let id = new_segment_id();
        let buffer = Vec::with_capacity(2 * BUFFER_BYTES);
        let mut writer = PcapngWriter::of_segment(buffer, &interfaces, Some(&id))?;
        if let Some(last) = &self.last {
            writer.write_stats(last)?;
        }
        let (now, held) = (Instant::now(), Tally::default());
        let (opened, synced) = (now, now);
        Ok(Current { path, id, file, writer, good: 0, held, bytes: 0, packets: 0, opened, synced })
    }
}

impl Current {
    /// Moves the buffer into the file: all of it or, at an error, nothing that counts.
    fn flush(&mut self, outcome: &mut Outcome) -> io::Result<()> {
        self.write_buffer()?;
        outcome.written.add(std::mem::take(&mut self.held));
        Ok(())
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let buffer = self.writer.get_mut();
        self.file.write_all(buffer)?;
        self.good += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Writes blocks behind what is in the file; then all that was held is in it.
    fn write(&mut self, blocks: &[u8], outcome: &mut Outcome) -> io::Result<()> {
        self.file.write_all(blocks)?;
        self.good += blocks.len() as u64;
        outcome.written.add(std::mem::take(&mut self.held));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
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

/// A segment that a crash left, where it is a capture at all. One without a
/// byte is removed; one whose beginning never reached the disk is put aside
/// under another name, since nothing could ever read it.
fn readable(path: PathBuf) -> io::Result<Option<PathBuf>> {
    if fs::metadata(&path)?.len() == 0 {
        fs::remove_file(&path)?;
        return Ok(None);
    }
    match file::open(&path, TimestampFrom::Record) {
        Err(CaptureError::Format { reason, .. }) => {
            let aside = path.with_extension("damaged");
            eprintln!("taptrail: {}: {reason}; put aside as {}", path.display(), aside.display());
            fs::rename(&path, &aside)?;
            Ok(None)
        }
        _ => Ok(Some(path)),
    }
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

/// The complete segments in `dir`, oldest first for each point.
///
/// # Errors
/// Where the directory cannot be read.
pub fn complete_segments(dir: &Path) -> io::Result<Vec<(PointName, PathBuf)>> {
    segments(dir, false)
}

/// The complete segments in `dir`, oldest first for each point. Files that an
/// earlier run left open are completed first; call it before this run opens
/// its own.
///
/// # Errors
/// Where the directory cannot be read or a file not renamed.
pub fn recover(dir: &Path) -> io::Result<Vec<(PointName, PathBuf)>> {
    segments(dir, true)
}

fn segments(dir: &Path, with_open: bool) -> io::Result<Vec<(PointName, PathBuf)>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some((point, number)) = parse_name(&path) else { continue };
        let open = path.to_string_lossy().ends_with(OPEN_SUFFIX);
        let path = match (open, with_open) {
            (false, _) => path,
            (true, true) => match readable(complete(&path)?)? {
                Some(path) => path,
                None => continue,
            },
            (true, false) => continue,
        };
        found.push((point, number, path));
    }
    found.sort();
    Ok(found.into_iter().map(|(point, _, path)| (point, path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Direction, PacketBatch, PacketMeta, PacketSink, TsSource};
    use crate::source::{PacketSource, Progress};
    use crate::time::Timestamp;

    fn batch(packets: u32) -> PacketBlocks {
        let mut batch = PacketBlocks::default();
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
        let rotation = Rotation { bytes, age: Duration::from_secs(3600), keep_free: 0 };
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

    fn record(written: u64) -> StatsRecord {
        let mut record = StatsRecord::new(Timestamp::from_ns(1_000_000_000), 0);
        record.counts.taken = written;
        record.counts.written = written;
        record.counts.dropped_ring = Some(3);
        record
    }

    #[test]
    fn rotates_by_size_and_numbers_and_counts_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), 1000);
        assert_eq!(open.append(&batch(5)).written, Tally::default());
        let outcome = open.tick(record(5));
        assert_eq!(outcome.written, Tally { packets: 5, bytes: 300 });
        assert!(outcome.complete.is_none());
        open.append(&batch(20));
        let first = open.tick(record(25)).complete.unwrap();
        assert_eq!(count(&first), 25);
        open.append(&batch(30));
        let second = open.tick(record(55)).complete.unwrap();
        assert!(first < second);
        let mut source = file::open(&second, TimestampFrom::Record).unwrap();
        source.next_batch(&mut PacketBatch::new()).unwrap();
        let told: Vec<(bool, u64)> =
            source.take_stats().iter().map(|r| (r.begins, r.counts.written)).collect();
        assert_eq!(told, [(true, 25), (false, 55)]);
        let names = recover(dir.path()).unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(names[0].0.as_str(), "P-1");
        assert!(segment(dir.path(), 1).number == 2);
    }

    #[test]
    fn a_file_left_open_is_recovered_with_its_whole_packets() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), u64::MAX);
        open.append(&batch(7));
        open.flush();
        let path = open.current.as_ref().unwrap().path.clone();
        std::mem::forget(open);
        let torn = fs::metadata(&path).unwrap().len() - 10;
        File::options().write(true).open(&path).unwrap().set_len(torn).unwrap();
        assert!(complete_segments(dir.path()).unwrap().is_empty());
        let found = recover(dir.path()).unwrap();
        assert_eq!(count(&found[0].1), 6);
    }

    #[test]
    fn what_never_became_a_capture_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        for (number, bytes) in [&b""[..], &[0; 4096]].into_iter().enumerate() {
            fs::write(dir.path().join(format!("P-1-{number:010}{OPEN_SUFFIX}")), bytes).unwrap();
        }
        assert!(recover(dir.path()).unwrap().is_empty());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [dir.path().join("P-1-0000000001.damaged")]);
    }

    #[test]
    fn what_the_disk_does_not_take_is_counted_and_the_file_stays_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), u64::MAX);
        open.append(&batch(7));
        assert_eq!(open.flush().written.packets, 7);
        // Writing to a file that was opened for reading fails as a full disk does.
        let current = open.current.as_mut().unwrap();
        current.file = File::open(&current.path).unwrap();
        open.append(&batch(4));
        let outcome = open.tick(record(7));
        assert_eq!((outcome.lost.packets, outcome.written.packets), (4, 0));
        assert!(outcome.error.is_some());
        assert_eq!(count(&outcome.complete.unwrap()), 7);
        assert_eq!(open.append(&batch(2)).lost.packets, 2);
        open.retry = None;
        open.append(&batch(3));
        assert_eq!(open.tick(record(10)).written.packets, 3);
    }

    #[test]
    fn what_is_not_gathered_is_written_behind_what_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), u64::MAX);
        assert_eq!(open.append(&batch(7)).written.packets, 0);
        let many = batch(2_000);
        assert!(many.bytes().len() >= DIRECT_BYTES);
        assert_eq!(open.append(&many).written, Tally { packets: 2_007, bytes: 2_007 * 60 });
        assert_eq!(open.place().unwrap().1, 2_007);
        let current = open.current.as_mut().unwrap();
        current.file = File::open(&current.path).unwrap();
        let outcome = open.append(&many);
        assert_eq!((outcome.lost.packets, outcome.written.packets), (2_000, 0));
        assert_eq!(count(&outcome.complete.unwrap()), 2_007);
    }

    #[test]
    fn a_name_that_could_not_be_given_is_given_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), 100);
        open.append(&batch(5));
        open.flush();
        // A directory in the way.
        let name = dir.path().join("P-1-0000000000.pcapng");
        fs::create_dir(&name).unwrap();
        let outcome = open.tick(record(5));
        assert!(outcome.error.is_some() && outcome.complete.is_none(), "{outcome:?}");
        open.append(&batch(1));
        open.tick(record(6));
        fs::remove_dir(&name).unwrap();
        open.finish();
        assert_eq!(count(&name), 5);
        assert_eq!(complete_segments(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn room_is_kept_free() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = segment(dir.path(), u64::MAX);
        open.append(&batch(2));
        open.rotation.keep_free = u64::MAX;
        let outcome = open.tick(record(0));
        assert_eq!(outcome.lost.packets, 2);
        assert!(outcome.error.unwrap().to_string().contains("stay free"));
    }
}
