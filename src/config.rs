//! The configuration: one TOML file, each section owned by the crate that
//! uses it, joined here. Unknown keys are errors; every error is reported at
//! once, with the section it stands in.

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_correlate::config::Settings;
use taptrail_decoders::config::DecoderConfig;
use taptrail_decoders::library::Library;
use taptrail_store::catalog::retention::Limits;
use taptrail_store::ship::{NodeName, Policy};

/// `[capture]`: how a node keeps packets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureConfig {
    /// Whether a live node decodes what it keeps.
    pub decode: bool,
    /// Whether its messages are shown before their segment is sealed.
    pub live: bool,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// The kernel's ring, in MiB.
    pub buffer_mib: u32,
    /// Whether the interface is put into promiscuous mode.
    pub promiscuous: bool,
    /// A filter in libpcap's language.
    pub filter: Option<String>,
    /// Captured bytes that may wait for the disk, each point, in MiB.
    pub queue_mib: u32,
    /// Size at which a segment is sealed, in MiB of packets.
    pub segment_mib: u32,
    /// Age at which a segment is sealed, in seconds.
    pub segment_s: u32,
    /// What stays free on the disk: below it packets are dropped and counted.
    pub keep_free_mib: u64,
    /// Where `/metrics` and `/healthz` are answered; nowhere unless told.
    pub listen: Option<SocketAddr>,
    /// Whether every privilege but those for opening an interface is given up.
    pub drop_privileges: bool,
    /// Join the small files of an hour once it is over.
    pub compact: bool,
}

/// `[retention]`: what a node keeps on disk. Nothing is removed unless told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Most MiB of all captures.
    pub max_mib: Option<u64>,
    /// Longest age on disk, in hours.
    pub max_age_hours: Option<u64>,
    /// MiB that are to be free: the oldest captures go for it.
    pub min_free_mib: Option<u64>,
}

impl RetentionConfig {
    /// Whether anything may be removed.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// What is kept; `by_age` is false where the clock cannot be trusted.
    pub fn limits(&self, by_age: bool) -> Limits {
        let hours = self.max_age_hours.filter(|_| by_age);
        Limits {
            bytes: self.max_mib.map(|mib| mib.saturating_mul(1 << 20)),
            age: hours.map(|hours| Duration::from_secs(hours.saturating_mul(3600))),
        }
    }

    /// Bytes to be freed where so many are free.
    pub fn needed(&self, free: u64) -> u64 {
        self.min_free_mib.map_or(0, |mib| mib.saturating_mul(1 << 20)).saturating_sub(free)
    }
}

/// `[ship]`: where a node's imports go.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipConfig {
    /// `https://HOST:PORT` of a hub, `s3://BUCKET/PREFIX`, or a directory.
    pub to: String,
    /// The node's name, as its certificate has it; needed for a directory or a bucket.
    pub node: Option<NodeName>,
    /// What of each import goes.
    #[serde(default)]
    pub policy: Policy,
    /// The authority of the hub's certificate; of a bucket, in place of the system's.
    pub ca: Option<PathBuf>,
    /// The node's certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// What may wait, in MiB, before retention takes it.
    #[serde(default = "spool_mib")]
    pub spool_mib: u64,
    /// Most MiB a second.
    pub max_mib_s: Option<u32>,
}

fn spool_mib() -> u64 {
    10_240
}

/// `[hub]`: what takes the imports of nodes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubConfig {
    /// Address and port for nodes.
    pub listen: SocketAddr,
    /// The authority of the nodes' certificates.
    pub ca: PathBuf,
    /// The hub's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The nodes that may ship; all that have a certificate unless told.
    pub nodes: Option<Vec<NodeName>>,
    /// Most MiB of a node that may lie there unfinished; hence of one import.
    #[serde(default = "incoming_mib")]
    pub incoming_mib: u64,
    /// What stays free on the disk.
    #[serde(default = "keep_free_mib")]
    pub keep_free_mib: u64,
    /// Whether what comes is correlated.
    #[serde(default = "yes")]
    pub correlate: bool,
}

fn yes() -> bool {
    true
}

fn incoming_mib() -> u64 {
    8192
}

fn keep_free_mib() -> u64 {
    1024
}

impl ShipConfig {
    /// Whether it goes to a directory.
    pub fn is_directory(&self) -> bool {
        !self.to.contains("://")
    }

    /// Whether it goes to a bucket.
    pub fn is_bucket(&self) -> bool {
        self.to.starts_with("s3://")
    }

    fn contradictions(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut say = |wrong: bool, text: &str| {
            if wrong {
                errors.push(format!("[ship]: {text}"));
            }
        };
        let files = [&self.ca, &self.certificate, &self.key];
        if self.is_directory() || self.is_bucket() {
            say(self.node.is_none(), "a directory or a bucket needs node = \"NAME\"");
        } else {
            let needs = "to needs https://HOST:PORT, s3://BUCKET/PREFIX or a directory";
            say(!self.to.starts_with("https://"), needs);
            let missing = files.iter().any(|file| file.is_none());
            say(missing, "https needs ca, certificate and key: `taptrail certs` makes them");
        }
        errors
    }
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            decode: true,
            live: true,
            snaplen: 65_535,
            buffer_mib: 64,
            promiscuous: true,
            filter: None,
            queue_mib: 256,
            segment_mib: 256,
            segment_s: 60,
            keep_free_mib: 64,
            listen: None,
            drop_privileges: true,
            compact: true,
        }
    }
}

/// `[serve]`: the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Address and port to listen on.
    pub listen: Option<SocketAddr>,
}

/// Everything the file says; all defaults where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Places on the wire, in the order of the file.
    pub points: Vec<PointConfig>,
    /// Feeds, sessions and decoding in general.
    pub decoder: DecoderConfig,
    /// Live capture in general.
    pub capture: CaptureConfig,
    /// What a node keeps.
    pub retention: RetentionConfig,
    /// Hops, clocks, instruments and windows.
    pub settings: Settings,
    /// The dashboard.
    pub serve: ServeConfig,
    /// Where imports go.
    pub ship: Option<ShipConfig>,
    /// What takes those of others.
    pub hub: Option<HubConfig>,
    /// BLAKE3 of the file's text, hex; of the empty text where there is none.
    pub hash: String,
    /// The file's directory: relative paths in it start there.
    pub dir: PathBuf,
}

impl Config {
    /// Reads `path`, or gives the defaults where there is none.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Self::parse("", Path::new(".")) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: cannot read the configuration", path.display()))?;
        // The parent of a bare file name is the empty path, which means here.
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        Self::parse(&text, dir).with_context(|| format!("{}: not usable", path.display()))
    }

    /// Reads the text of a configuration whose relative paths start at `dir`.
    pub fn parse(text: &str, dir: &Path) -> anyhow::Result<Self> {
        let table: toml::Table = text.parse().context("not TOML")?;
        let mut sections = Sections { table, errors: Vec::new() };
        let config = Self {
            points: sections.list("point"),
            decoder: DecoderConfig {
                feeds: sections.list("feed"),
                sessions: sections.list("session"),
                decode: sections.one("decode"),
                protocol: None,
            },
            capture: sections.one("capture"),
            retention: sections.one("retention"),
            settings: Settings {
                hops: sections.list("hop"),
                clocks: sections.list("clock"),
                instruments: sections.one("instruments"),
                targets: sections.list("target"),
                correlate: sections.one("correlate"),
            },
            serve: sections.one("serve"),
            ship: sections.maybe("ship"),
            hub: sections.maybe("hub"),
            hash: taptrail_store::identity::content_hash(text.as_bytes()),
            dir: std::path::absolute(dir)?,
        };
        let mut errors = sections.finish();
        errors.extend(config.contradictions());
        if errors.is_empty() { Ok(config) } else { Err(joined(&errors)) }
    }

    /// The protocols that hold, with the files that the configuration names.
    pub fn library(&self) -> anyhow::Result<Arc<Library>> {
        let loaded = Library::load(&self.decoder, &self.dir);
        loaded
            .map(Arc::new)
            .map_err(|errors| joined(&errors.iter().map(ToString::to_string).collect::<Vec<_>>()))
    }

    /// The point's section, or a point of which only the name is known.
    pub fn point(&self, name: &PointName) -> PointConfig {
        let known = self.points.iter().find(|point| point.name == *name);
        known.cloned().unwrap_or_else(|| PointConfig::named(name.clone()))
    }

    /// What no single section can see: names that are given twice or not at all.
    fn contradictions(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut seen = HashSet::new();
        for point in &self.points {
            if !seen.insert(&point.name) {
                errors.push(format!("[[point]] {}: named twice", point.name));
            }
            errors.extend(point.contradictions());
        }
        let points: Vec<&str> = self.points.iter().map(|point| point.name.as_str()).collect();
        let clocks: Vec<&str> = self.points.iter().filter_map(|p| p.clock.as_deref()).collect();
        errors.extend(self.settings.check(&points, &clocks));
        errors.extend(self.ship.iter().flat_map(ShipConfig::contradictions));
        errors
    }
}

/// One error that says all of them.
fn joined(errors: &[String]) -> anyhow::Error {
    match errors {
        [one] => anyhow!("{one}"),
        many => anyhow!("{} errors:\n  {}", many.len(), many.join("\n  ")),
    }
}

/// The file's sections, taken out one by one; what is left is unknown.
struct Sections {
    table: toml::Table,
    errors: Vec<String>,
}

impl Sections {
    /// `[name]`, or its default.
    fn one<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        let Some(value) = self.table.remove(name) else { return T::default() };
        self.read(format!("[{name}]"), value).unwrap_or_default()
    }

    /// `[name]`, where it is there.
    fn maybe<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.table.remove(name)?;
        self.read(format!("[{name}]"), value)
    }

    /// Every `[[name]]`, in order.
    fn list<T: DeserializeOwned>(&mut self, name: &str) -> Vec<T> {
        let items = match self.table.remove(name) {
            None => return Vec::new(),
            Some(toml::Value::Array(items)) => items,
            Some(_) => {
                self.errors.push(format!("{name}: needs double brackets, [[{name}]]"));
                return Vec::new();
            }
        };
        let numbered = items.into_iter().enumerate();
        numbered
            .filter_map(|(i, item)| self.read(format!("[[{name}]] number {}", i + 1), item))
            .collect()
    }

    fn read<T: DeserializeOwned>(&mut self, place: String, value: toml::Value) -> Option<T> {
        match value.try_into() {
            Ok(read) => Some(read),
            Err(error) => {
                let text = error.to_string();
                self.errors.push(format!("{place}: {}", text.trim_end().replace('\n', " ")));
                None
            }
        }
    }

    fn finish(mut self) -> Vec<String> {
        let unknown = self.table.keys().map(|key| format!("{key}: not a section taptrail knows"));
        self.errors.extend(unknown);
        self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_named_at_once() {
        let text = "
            [[point]]
            name = 'P1'
            [[point]]
            name = 'bad name'
            [[hop]]
            from = 'P1'
            to = 'P9'
            [wrong]
            [[feed]]
            line = 'A'
            colour = 'red'
        ";
        let error = Config::parse(text, Path::new(".")).unwrap_err().to_string();
        for part in ["[[point]] number 2", "P9", "wrong", "[[feed]] number 1"] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }

    #[test]
    fn no_file_is_the_defaults() {
        let config = Config::load(None).unwrap();
        assert!(config.points.is_empty() && config.capture.decode);
    }
}
