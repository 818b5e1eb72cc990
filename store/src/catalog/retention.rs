//! Captures that are removed to make room, oldest on disk first.
//!
//! ```text
//! first placed  ────────────────────────────▶ last placed
//! [removed][removed][kept][kept][kept][kept]
//!                  └ from here on all limits hold
//! ```
//!
//! The order is that in which segments were placed on disk, never packet time:
//! a capture whose packets carry a wrong time removes nobody else. The manifest
//! goes first, then the files: a kill between leaves files that no manifest
//! names, which a later writer removes. A file that compaction made goes with the
//! last of the captures in it.

use crate::catalog::lock::WriteLock;
use crate::catalog::manifest::ImportManifest;
use crate::catalog::{Store, place};
use crate::error::StoreError;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of all captures.
    pub bytes: Option<u64>,
    /// Longest age on disk.
    pub age: Option<Duration>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Captures.
    pub captures: u64,
    /// Bytes of their segments.
    pub bytes: u64,
}

/// What waits to be shipped: held back until it is too much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spool {
    /// The captures that wait.
    pub waiting: HashSet<u64>,
    /// Most bytes of them that are held back, the newest first.
    pub bytes: u64,
}

/// A capture as retention sees it.
struct Placed {
    import: Arc<ImportManifest>,
    at: SystemTime,
    bytes: u64,
}

impl WriteLock {
    /// Removes captures until `limits` hold and, of those that are left, the
    /// oldest until `needed` more bytes are free. The newest capture of each
    /// point stays.
    ///
    /// # Errors
    /// Where a manifest cannot be read or a file not be removed.
    pub fn retain(
        &self,
        limits: Limits,
        needed: u64,
        now: SystemTime,
    ) -> Result<Removed, StoreError> {
        Ok(self.retain_unshipped(limits, needed, now, &Spool::default())?.0)
    }

    /// As [`retain`](Self::retain), but leaves what waits to be shipped, as far as
    /// the spool goes. Also gives how many captures went that still waited.
    ///
    /// # Errors
    /// As [`retain`](Self::retain).
    pub fn retain_unshipped(
        &self,
        limits: Limits,
        needed: u64,
        now: SystemTime,
        spool: &Spool,
    ) -> Result<(Removed, u64), StoreError> {
        let placed = placed(self.store())?;
        let mut named: HashMap<&str, usize> = HashMap::new();
        for file in placed.iter().flat_map(|capture| &capture.import.files) {
            *named.entry(&file.path).or_default() += 1;
        }
        let (mut removed, mut unshipped) = (Removed::default(), 0);
        for (number, bytes) in expired(&placed, limits, needed, now, &held(&placed, spool)) {
            let import = &placed[number].import;
            self.remove_import(import, &mut named)?;
            removed.captures += 1;
            removed.bytes += bytes;
            unshipped += u64::from(spool.waiting.contains(&import.capture_id));
        }
        Ok((removed, unshipped))
    }

    /// Removes a capture, and of its files those that no other one is in.
    fn remove_import<'a>(
        &self,
        import: &'a ImportManifest,
        named: &mut HashMap<&'a str, usize>,
    ) -> Result<(), StoreError> {
        let root = self.store().root();
        place::remove(root, std::iter::once(import.path().as_str()))?;
        place::sync_directory(&root.join("manifests"))?;
        let mut free = Vec::new();
        for file in &import.files {
            let others = named.entry(&file.path).or_default();
            *others = others.saturating_sub(1);
            free.extend((*others == 0).then_some(file.path.as_str()));
        }
        place::remove(root, free.into_iter())
    }
}

impl Store {
    /// When the oldest capture that is kept was placed on disk; `None` where there is
    /// none.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn oldest_placed(&self) -> Result<Option<SystemTime>, StoreError> {
        Ok(placed(self)?.first().map(|first| first.at))
    }
}

/// All captures, in the order in which their first segment was placed.
fn placed(store: &Store) -> Result<Vec<Placed>, StoreError> {
    let mut placed = Vec::new();
    for import in store.catalog()?.imports {
        // Redecoding writes a new manifest and leaves the packets.
        let packets = import.files_of("packets").next();
        // A compacted file is younger than its segments.
        let known = packets.and_then(|file| u64::try_from(file.part?.placed_ns?).ok());
        let at = match known {
            Some(ns) => UNIX_EPOCH + Duration::from_nanos(ns),
            None => {
                let path = packets.map(|file| store.file(file));
                let path = path.unwrap_or_else(|| store.root().join(import.path()));
                let at = fs::metadata(&path).and_then(|metadata| metadata.modified());
                at.map_err(StoreError::io(&path))?
            }
        };
        let bytes = import.files.iter().map(|file| file.bytes).sum();
        placed.push(Placed { import, at, bytes });
    }
    placed.sort_by(|a, b| (a.at, &a.import.source.name).cmp(&(b.at, &b.import.source.name)));
    Ok(placed)
}

/// Captures that wait to be shipped and fit into the spool, the newest first.
fn held(placed: &[Placed], spool: &Spool) -> HashSet<u64> {
    let mut bytes = 0_u64;
    let waiting = placed.iter().rev().filter(|p| spool.waiting.contains(&p.import.capture_id));
    let fits = waiting.take_while(|capture| {
        bytes = bytes.saturating_add(capture.bytes);
        bytes <= spool.bytes
    });
    fits.map(|capture| capture.import.capture_id).collect()
}

/// Places and bytes of the captures that go; of `held` only what a full disk
/// needs: a capture that stops for want of space loses more.
fn expired(
    placed: &[Placed],
    limits: Limits,
    needed: u64,
    now: SystemTime,
    held: &HashSet<u64>,
) -> Vec<(usize, u64)> {
    let mut left: u64 = placed.iter().map(|capture| capture.bytes).sum();
    let mut freed = 0;
    let mut gone = Vec::new();
    let last = |number: usize, capture: &Placed| {
        let mut after = placed.iter().skip(number + 1);
        !after.any(|later| later.import.point == capture.import.point)
    };
    let is_held = |capture: &Placed| held.contains(&capture.import.capture_id);
    for held_too in [false, true] {
        for (number, capture) in placed.iter().enumerate() {
            if last(number, capture) || is_held(capture) != held_too {
                continue;
            }
            let age = now.duration_since(capture.at).unwrap_or_default();
            let old = limits.age.is_some_and(|most| age > most);
            let large = limits.bytes.is_some_and(|most| left > most);
            if freed < needed || (!held_too && (old || large)) {
                left -= capture.bytes;
                freed += capture.bytes;
                gone.push((number, capture.bytes));
            }
        }
    }
    gone
}

/// Whether the system's clock was set since this began: ages on disk then mean
/// nothing until the next start.
#[derive(Clone, Copy, Debug)]
pub struct ClockGuard {
    wall: SystemTime,
    steady: Duration,
}

/// How far a clock may be set without stopping removal by age.
const STEP_MAX: Duration = Duration::from_secs(300);

impl ClockGuard {
    /// Begins with the time of the system's clock and that of one that is never
    /// set.
    pub fn new(wall: SystemTime, steady: Duration) -> Self {
        Self { wall, steady }
    }

    /// Whether the clock was set, forward or back.
    pub fn was_set(&self, wall: SystemTime, steady: Duration) -> bool {
        let expected = self.wall + steady.saturating_sub(self.steady);
        let apart = match wall.duration_since(expected) {
            Ok(ahead) => ahead,
            Err(behind) => behind.duration(),
        };
        apart > STEP_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::tests::{House, capture};
    use std::path::Path;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A store with `n` captures of a point, placed an hour apart, the last now.
    fn house(n: u32, now: SystemTime) -> House {
        let house = House::new();
        for number in 0..n {
            let path = house.file(&format!("{number:02}.pcap"), &capture(number + 1));
            let report = house.import("P1", &path).unwrap();
            for file in &report.manifest.files {
                let file = fs::File::open(house.store.file(file)).unwrap();
                file.set_modified(now - HOUR * (n - 1 - number)).unwrap();
            }
        }
        house
    }

    fn names(store: &Store) -> Vec<String> {
        let mut names: Vec<String> = store
            .catalog()
            .unwrap()
            .imports
            .iter()
            .filter_map(|import| Some(Path::new(&import.source.name).file_name()?.to_str()?.into()))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_on_disk_go_first() {
        let now = SystemTime::now();
        let store = house(5, now);
        let store = &store.store;
        let lock = store.lock().unwrap();
        let limits = Limits { age: Some(HOUR * 3 + HOUR / 2), bytes: None };
        assert_eq!(lock.retain(limits, 0, now).unwrap().captures, 1);
        assert_eq!(names(store), ["01.pcap", "02.pcap", "03.pcap", "04.pcap"]);
        let sizes: Vec<u64> = placed(store).unwrap().iter().map(|p| p.bytes).collect();
        let limits = Limits { age: None, bytes: Some(sizes[1..].iter().sum()) };
        assert_eq!(lock.retain(limits, 0, now).unwrap(), Removed { captures: 1, bytes: sizes[0] });
        assert_eq!(lock.retain(Limits::default(), 1, now).unwrap().captures, 1);
        assert_eq!(names(store), ["03.pcap", "04.pcap"]);
        let nothing = Limits { age: Some(Duration::ZERO), bytes: Some(0) };
        lock.retain(nothing, u64::MAX, now + HOUR).unwrap();
        assert_eq!(names(store), ["04.pcap"]);
        drop(lock);
        drop(store.lock().unwrap());
        assert_eq!(names(store), ["04.pcap"]);
    }

    #[test]
    fn what_waits_to_be_shipped_is_held_as_far_as_the_spool_goes() {
        let now = SystemTime::now();
        let house = house(6, now);
        let store = &house.store;
        let all = placed(store).unwrap();
        let id = |n: usize| all[n].import.capture_id;
        // The first is shipped; of the four that wait, the spool holds two.
        let waiting = [id(1), id(2), id(3), id(4)].into();
        let spool = Spool { waiting, bytes: all[3].bytes + all[4].bytes };
        let lock = store.lock().unwrap();
        let old = Limits { age: Some(HOUR / 2), bytes: None };
        let (removed, unshipped) = lock.retain_unshipped(old, 0, now, &spool).unwrap();
        assert_eq!((removed.captures, unshipped), (3, 2));
        assert_eq!(names(store), ["03.pcap", "04.pcap", "05.pcap"]);
        // A full disk comes first, and takes the oldest.
        let (removed, unshipped) = lock.retain_unshipped(old, 1, now, &spool).unwrap();
        assert_eq!((removed.captures, unshipped), (1, 1));
        let shipped = Spool { waiting: HashSet::new(), ..spool };
        assert_eq!(lock.retain_unshipped(old, 0, now, &shipped).unwrap().0.captures, 1);
    }

    #[test]
    fn a_kill_between_manifest_and_files_leaves_nothing() {
        let house = house(2, SystemTime::now());
        let store = &house.store;
        let first = placed(store).unwrap()[0].import.clone();
        fs::remove_file(store.root().join(first.path())).unwrap();
        assert!(first.files.iter().any(|file| store.file(file).exists()));
        for file in &first.files {
            let file = fs::File::open(store.file(file)).unwrap();
            file.set_modified(SystemTime::now() - HOUR).unwrap();
        }
        drop(store.lock().unwrap());
        assert!(first.files.iter().all(|file| !store.file(file).exists()));
        assert_eq!(names(store), ["01.pcap"]);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let (wall, second) = (SystemTime::now(), Duration::from_secs(1));
        let guard = ClockGuard::new(wall, second);
        assert!(!guard.was_set(wall + HOUR, HOUR + second));
        assert!(!guard.was_set(wall + HOUR + 60 * second, HOUR));
        assert!(guard.was_set(wall + HOUR * 24, second));
        assert!(guard.was_set(wall - HOUR, HOUR));
    }
}
