//! `taptrail ship`: imports of this store to a hub, a bucket or a directory. A node that
//! captures does the same in a thread of its own.

use crate::cli::ShipArgs;
use crate::config::{Config, ShipConfig};
use crate::runtime::{runtime, stop_signal};
use anyhow::{Context, bail};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use taptrail_capture::system::run_idle;
use taptrail_store::catalog::Store;
use taptrail_store::ship::accept::DirectoryTarget;
use taptrail_store::ship::ledger::Ledger;
use taptrail_store::ship::send::{Settings, Shipper};
use taptrail_store::ship::{NodeName, Target};
use taptrail_web::hub::client::HubTarget;
use taptrail_web::hub::tls::{Files, Loaded};
use taptrail_web::s3::S3Target;

/// Ships until SIGINT or SIGTERM, or, with `--once`, all that is there.
pub fn run(args: ShipArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    let Some(ship) = &config.ship else {
        bail!("{}: no [ship] in it", args.config.display());
    };
    let store = Store::open(&args.store.store)?;
    let mut shipping = Shipping::prepare(ship, &config.dir, &store)?;
    run_idle();
    let stop = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&stop);
    let runtime = runtime()?;
    runtime.spawn(async move {
        stop_signal().await;
        on_signal.store(true, Ordering::Relaxed);
    });
    let stopped = || stop.load(Ordering::Relaxed);
    let result = shipping.shipper.run(&mut *shipping.target, args.once, &stopped, &|| None);
    let counts = shipping.shipper.counts();
    println!("{} imports shipped, {} bytes", counts.shipped, counts.bytes);
    Ok(result?)
}

/// A target that is ready, and what goes there.
pub struct Shipping {
    /// What goes.
    pub shipper: Arc<Shipper>,
    /// Where.
    pub target: Box<dyn Target>,
    /// One process ships a store.
    _lock: File,
}

impl Shipping {
    /// Reads the certificates and what was shipped before. Connects to nothing.
    pub fn prepare(config: &ShipConfig, base: &Path, store: &Store) -> anyhow::Result<Self> {
        let lock = lock(store)?;
        let first = Ledger::open(store, &config.to).is_empty();
        let (node, target) = target(config, base, first)?;
        let settings = Settings {
            node,
            policy: config.policy,
            spool_bytes: config.spool_mib.saturating_mul(1 << 20),
            bytes_per_s: config.max_mib_s.map(|mib| u64::from(mib.max(1)) << 20),
        };
        let shipper = Arc::new(Shipper::new(store, settings, &config.to));
        Ok(Self { shipper, target, _lock: lock })
    }

    /// Ships in a thread of its own, which gives way to everything else.
    pub fn start(
        mut self,
        stop: Arc<AtomicBool>,
        trouble: impl Fn() -> Option<Result<(), String>> + Send + 'static,
    ) -> JoinHandle<()> {
        std::thread::spawn(move || {
            run_idle();
            let stopped = || stop.load(Ordering::Relaxed);
            let ended = self.shipper.run(&mut *self.target, false, &stopped, &trouble);
            if let Err(error) = ended {
                eprintln!("taptrail: ship: {error}");
            }
        })
    }
}

fn lock(store: &Store) -> anyhow::Result<File> {
    let path = store.root().join("SHIP.LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{} is being shipped by another process", store.root().display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Where `[ship]` goes, and as which node. `first`: nothing has gone there yet.
pub fn target(
    config: &ShipConfig,
    base: &Path,
    first: bool,
) -> anyhow::Result<(NodeName, Box<dyn Target>)> {
    if config.is_directory() {
        let node = config.node.clone().context("[ship]: a directory needs node = \"NAME\"")?;
        let directory = base.join(&config.to);
        return Ok((node.clone(), Box::new(DirectoryTarget::new(&directory, node, first))));
    }
    if config.is_bucket() {
        let node = config.node.clone().context("[ship]: a bucket needs node = \"NAME\"")?;
        let ca = config.ca.as_ref().map(|ca| base.join(ca));
        let target = S3Target::new(&config.to, node.clone(), ca.as_deref());
        return Ok((node, Box::new(target.context("[ship]")?)));
    }
    let needs = "[ship]: https needs ca, certificate and key";
    let file = |path: &Option<_>| path.as_ref().map(|path| base.join::<&_>(path)).context(needs);
    let files = Files {
        ca: file(&config.ca)?,
        certificate: file(&config.certificate)?,
        key: file(&config.key)?,
    };
    let loaded = Loaded::read(&files)?;
    let named = loaded.node().map_err(|error| {
        anyhow::anyhow!("{}: no node's certificate: {error}", files.certificate.display())
    })?;
    if let Some(node) = config.node.as_ref().filter(|node| **node != named) {
        bail!("[ship]: node is {node}, but {} names {named}", files.certificate.display());
    }
    Ok((named, Box::new(HubTarget::new(&config.to, &loaded)?)))
}
