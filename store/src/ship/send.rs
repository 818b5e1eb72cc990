//! The node's side: what waits goes out, oldest first, slowly and in the
//! background.

use crate::catalog::Store;
use crate::catalog::manifest::ImportManifest;
use crate::catalog::retention::Spool;
use crate::error::StoreError;
use crate::ship::ledger::Ledger;
use crate::ship::nodes::{Report, last_ns};
use crate::ship::offer::Opened;
use crate::ship::{Answer, CHUNK_BYTES, Held, NodeName, Policy, Target, TargetError};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Offers of one import in a row, with files sent between them, before it is put
/// off.
const ROUNDS: usize = 8;

/// Chunks in a row that may bring nothing.
const IDLE_CHUNKS: usize = 8;

/// The least bytes in one request: on links that break often, requests get smaller.
const CHUNK_BYTES_MIN: usize = 16 << 10;

/// How long an import that was refused is left alone.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// The shortest and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Between two looks for what is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// What a node ships and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node.
    pub node: NodeName,
    /// What of an import goes.
    pub policy: Policy,
    /// What may wait, in bytes, before retention takes it.
    pub spool_bytes: u64,
    /// Most bytes a second.
    pub bytes_per_s: Option<u64>,
}

/// What shipping did since the program began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Imports that were taken or known.
    pub shipped: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Imports refused, or unreadable here.
    pub refused: u64,
    /// Other failures.
    pub failures: u64,
    /// Imports that wait.
    pub waiting: u64,
    /// Their bytes, of what is shipped.
    pub waiting_bytes: u64,
    /// The last failure; `None` once something went well.
    pub error: Option<String>,
}

/// Ships a store. Shared between the thread that sends and those that ask.
#[derive(Debug)]
pub struct Shipper {
    store: Store,
    settings: Settings,
    ledger: Mutex<Ledger>,
    counts: Mutex<Counts>,
    /// Bytes of the next request: half after a failure, double after a success.
    chunk: AtomicUsize,
}

/// What ends a thread that sends.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

impl Shipper {
    /// Ships `store` to the target that is named.
    pub fn new(store: &Store, settings: Settings, target: &str) -> Self {
        let ledger = Mutex::new(Ledger::open(store, target));
        let chunk = AtomicUsize::new(CHUNK_BYTES);
        Self { store: store.clone(), settings, ledger, counts: Mutex::default(), chunk }
    }

    /// What it ships and how.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was taken.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done.
    pub fn counts(&self) -> Counts {
        self.counting().clone()
    }

    /// What waits, for retention.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn spool(&self) -> Result<Spool, StoreError> {
        let catalog = self.store.catalog()?;
        let waiting = self.ledger().waiting_ids(&catalog, self.settings.policy);
        Ok(Spool { waiting, bytes: self.settings.spool_bytes })
    }

    /// Retention removed captures that still waited: counted and told.
    pub fn let_go(&self, captures: u64) {
        if captures > 0 {
            self.ledger().let_go(captures);
            eprintln!("taptrail: ship: {captures} captures were removed before they were shipped");
        }
    }

    fn counting(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until `stop`; with `once`, until nothing waits that is not refused, or
    /// the first failure. `trouble` says what else is wrong at this node, where
    /// something captures.
    ///
    /// # Errors
    /// With `once`: why something still waits.
    pub fn run(
        &self,
        target: &mut dyn Target,
        once: bool,
        stop: Stop<'_>,
        trouble: &dyn Fn() -> Option<Result<(), String>>,
    ) -> Result<(), TargetError> {
        let mut refused: HashMap<(u64, u32), Instant> = HashMap::new();
        let (mut pause, mut reported) = (PAUSE.0, None::<Instant>);
        while !stop() {
            let before = self.counting().bytes;
            let round = self.round(target, &mut refused, stop);
            let round = round.and_then(|()| {
                if once || reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                    reported = Some(Instant::now());
                    target.report(&self.report(trouble())?)?;
                }
                Ok(())
            });
            match round {
                Ok(()) if once => return self.end_of_once(&refused),
                Ok(()) => {
                    pause = PAUSE.0;
                    self.counting().error = None;
                    sleep(LOOK_EVERY, stop);
                }
                Err(error) if once => return Err(error),
                Err(error) => {
                    self.failed(&error.to_string());
                    let progress = self.counting().bytes > before;
                    pause = if progress { PAUSE.0 } else { pause };
                    sleep(pause, stop);
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
        self.save()
    }

    fn end_of_once(&self, refused: &HashMap<(u64, u32), Instant>) -> Result<(), TargetError> {
        match refused.len() {
            0 => Ok(()),
            n => Err(TargetError::Refused(format!("{n} imports are left, see above"))),
        }
    }

    fn save(&self) -> Result<(), TargetError> {
        let catalog = self.store.catalog()?;
        Ok(self.ledger().save(&catalog)?)
    }

    fn failed(&self, text: &str) {
        let mut counts = self.counting();
        counts.failures += 1;
        if counts.error.as_deref() != Some(text) {
            eprintln!("taptrail: ship: {text}");
        }
        counts.error = Some(text.to_owned());
    }

    /// Sends what waits now.
    fn round(
        &self,
        target: &mut dyn Target,
        refused: &mut HashMap<(u64, u32), Instant>,
        stop: Stop<'_>,
    ) -> Result<(), TargetError> {
        let waiting = self.count_waiting()?;
        refused.retain(|_, at| at.elapsed() < REFUSED_FOR);
        let mut saved = Instant::now();
        for import in waiting {
            if stop() {
                break;
            }
            let key = (import.capture_id, import.revision);
            if refused.contains_key(&key) {
                continue;
            }
            match self.send(target, &import, stop) {
                Ok(true) => self.taken(&import),
                Ok(false) => {}
                Err(TargetError::Refused(why)) => {
                    self.counting().refused += 1;
                    eprintln!("taptrail: ship: {}: not shipped: {why}", import.source.name);
                    refused.insert(key, Instant::now());
                }
                Err(error) => {
                    self.save()?;
                    return Err(error);
                }
            }
            if saved.elapsed() >= LOOK_EVERY {
                self.save()?;
                saved = Instant::now();
            }
        }
        self.save()?;
        self.count_waiting().map(drop)
    }

    fn taken(&self, import: &ImportManifest) {
        self.ledger().take(import, self.settings.policy);
        let mut counts = self.counting();
        counts.shipped += 1;
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.waiting_bytes = counts.waiting_bytes.saturating_sub(bytes(import, &self.settings));
        counts.error = None;
    }

    fn count_waiting(&self) -> Result<Vec<Arc<ImportManifest>>, TargetError> {
        let catalog = self.store.catalog()?;
        let waiting = self.ledger().waiting(&catalog, self.settings.policy);
        let mut counts = self.counting();
        counts.waiting = waiting.len() as u64;
        let sizes = waiting.iter().map(|import| bytes(import, &self.settings));
        counts.waiting_bytes = sizes.fold(0, u64::saturating_add);
        Ok(waiting)
    }

    /// Sends an import; false where it is gone or `stop` came first.
    fn send(
        &self,
        target: &mut dyn Target,
        import: &ImportManifest,
        stop: Stop<'_>,
    ) -> Result<bool, TargetError> {
        let (node, policy) = (&self.settings.node, self.settings.policy);
        let Some(opened) = self.open(import, node, policy)? else { return Ok(false) };
        for _ in 0..ROUNDS {
            match target.offer(&opened.offer)? {
                Answer::Taken | Answer::Known => return Ok(true),
                Answer::Missing { files } => {
                    for held in files {
                        if !self.upload(target, &opened, &held, stop)? {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        let text = "the target still misses files after all have been sent";
        Err(TargetError::Refused(text.to_owned()))
    }

    /// The files of an import, after its manifest was read anew where they moved.
    /// One that cannot be read is put off and does not keep the others waiting.
    fn open(
        &self,
        import: &ImportManifest,
        node: &NodeName,
        policy: Policy,
    ) -> Result<Option<Opened>, TargetError> {
        let unreadable = |error: StoreError| TargetError::Refused(error.to_string());
        if let Some(opened) = Opened::of(&self.store, import, node, policy).map_err(unreadable)? {
            return Ok(Some(opened));
        }
        match self.store.catalog()?.import(import.capture_id) {
            Some(now) => Opened::of(&self.store, now, node, policy).map_err(unreadable),
            None => Ok(None),
        }
    }

    /// Sends what a target misses of a file; false where `stop` came first.
    fn upload(
        &self,
        target: &mut dyn Target,
        opened: &Opened,
        held: &Held,
        stop: Stop<'_>,
    ) -> Result<bool, TargetError> {
        let contents = opened.offer.files.iter().zip(&opened.files);
        let found = contents.into_iter().find(|(content, _)| content.blake3 == held.blake3);
        let Some((content, mut file)) = found else {
            return Err(TargetError::Unavailable(format!("{}: was never offered", held.blake3)));
        };
        let (mut have, mut idle) = (held.have.min(content.bytes), 0);
        let mut chunk = Vec::new();
        loop {
            if stop() {
                return Ok(false);
            }
            let size = self.chunk.load(Ordering::Relaxed);
            read(&mut file, have, size, &mut chunk).map_err(|error| {
                TargetError::Refused(format!("{}: {error}", opened.offer.import.source.name))
            })?;
            let start = Instant::now();
            let put = target.put(&content.blake3, content.bytes, have, &chunk);
            let next = if put.is_ok() { size.saturating_mul(2) } else { size / 2 };
            self.chunk.store(next.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES), Ordering::Relaxed);
            let now = put?;
            self.counting().bytes += chunk.len() as u64;
            if let Some(rate) = self.settings.bytes_per_s {
                sleep(due(chunk.len(), rate).saturating_sub(start.elapsed()), stop);
            }
            if now >= content.bytes {
                return Ok(true);
            }
            idle = if now > have { 0 } else { idle + 1 };
            if idle > IDLE_CHUNKS {
                let text = format!("{}: stays at {now} of {} bytes", content.blake3, content.bytes);
                return Err(TargetError::Unavailable(text));
            }
            have = now;
        }
    }

    fn report(&self, trouble: Option<Result<(), String>>) -> Result<Report, TargetError> {
        let counts = self.counts();
        let catalog = self.store.catalog()?;
        Ok(Report {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.settings.policy,
            newest_ns: catalog.imports.iter().filter_map(|import| last_ns(import)).max(),
            waiting: counts.waiting,
            waiting_bytes: counts.waiting_bytes,
            spool_bytes: self.settings.spool_bytes,
            let_go: self.ledger().gone(),
            captures: trouble.is_some(),
            trouble: trouble.and_then(Result::err),
        })
    }
}

/// Bytes of an import that are shipped.
fn bytes(import: &ImportManifest, settings: &Settings) -> u64 {
    let shipped =
        import.files.iter().filter(|f| settings.policy > Policy::Messages || f.table != "packets");
    shipped.fold(0, |sum, file| sum.saturating_add(file.bytes))
}

/// Reads the next chunk from `offset`.
fn read(file: &mut &File, offset: u64, size: usize, chunk: &mut Vec<u8>) -> std::io::Result<()> {
    chunk.clear();
    file.seek(SeekFrom::Start(offset))?;
    file.take(size as u64).read_to_end(chunk)?;
    Ok(())
}

/// How long so many bytes may take at the least.
fn due(bytes: usize, per_s: u64) -> Duration {
    let ms = (bytes as u64).saturating_mul(1000) / per_s.max(1);
    Duration::from_millis(ms)
}

/// Sleeps, but not for long once `stop` is true.
fn sleep(time: Duration, stop: Stop<'_>) {
    let end = Instant::now() + time;
    while !stop() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}
