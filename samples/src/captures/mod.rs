//! The small captures that ship with the project: one a protocol, with every
//! message type at least once.
//!
//! They are made here, committed in `samples/captures`, and never differ from
//! what this code makes; `cargo run -p taptrail-samples --example
//! make_captures` writes them anew.

mod fast;
mod fix;
mod itch;
mod ouch;
mod wire;

pub use itch::itch_of_every_type;
pub use ouch::ouch_of_every_type;

use std::fs;
use std::io;
use std::path::Path;

/// A file of `samples/captures`.
#[derive(Clone, Debug)]
pub struct SampleFile {
    /// File name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// For a capture: the configuration to decode it with, beside it.
    pub config: Option<&'static str>,
}

/// Every file of `samples/captures` that code makes: captures, and what it
/// takes to decode them.
///
/// # Errors
/// Where a capture cannot be written to memory (never in practice).
pub fn small_captures() -> io::Result<Vec<SampleFile>> {
    let capture = |name, bytes| SampleFile { name, bytes, config: None };
    Ok(vec![
        capture("nasdaq.totalview-itch.5.0.pcap", itch::capture()?),
        capture("nasdaq.ouch.5.0.pcap", ouch::capture()?),
        capture("fix.4.4.pcap", fix::capture()?),
        SampleFile {
            name: "fast.bus.pcap",
            bytes: fast::capture()?,
            config: Some("fast.bus.toml"),
        },
        capture("fast.bus.toml", fast::CONFIG.as_bytes().to_vec()),
        capture("fast.bus.xml", crate::encode::fast::BUS_TEMPLATES.as_bytes().to_vec()),
    ])
}

/// Writes every file of [`small_captures`] below `dir`.
///
/// # Errors
/// What the system says.
pub fn regenerate(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for file in small_captures()? {
        fs::write(dir.join(file.name), &file.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_the_code_makes() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
        for file in small_captures().expect("memory") {
            let committed = fs::read(dir.join(file.name)).expect(file.name);
            assert!(committed == file.bytes, "{} differs: make it anew", file.name);
        }
    }

    #[test]
    fn they_are_small() {
        for file in small_captures().expect("memory") {
            assert!(file.bytes.len() < 8_192, "{}: {}", file.name, file.bytes.len());
        }
    }
}
