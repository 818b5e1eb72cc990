//! The protocol files that are shipped, and those of a folder.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::fixed::error::SpecError;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::shelf::ShelvedProtocol;
use crate::{framing, sbe};

/// Name and text of every file in `protocols/`, listed by the build.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/protocol_files.rs"));

/// Every shipped protocol, the rare ones last; each is compiled once, when it is
/// first needed. A test holds that none is refused.
pub fn shelf() -> &'static [Arc<ShelvedProtocol>] {
    static SHELF: LazyLock<Vec<Arc<ShelvedProtocol>>> = LazyLock::new(|| {
        let read = FILES.iter().map(|(name, text)| ShelvedProtocol::new(name, text));
        let mut shelf: Vec<_> = read.filter_map(Result::ok).map(Arc::new).collect();
        shelf.sort_by_key(|protocol| protocol.about().rare);
        shelf
    });
    &SHELF
}

/// The same, all compiled now.
pub fn embedded() -> &'static [Arc<FixedProtocol>] {
    static PROTOCOLS: LazyLock<Vec<Arc<FixedProtocol>>> =
        LazyLock::new(|| shelf().iter().filter_map(|p| p.compiled().cloned()).collect());
    &PROTOCOLS
}

/// The shipped protocol with this id, compiled now.
pub fn by_id(id: &str) -> Option<Arc<FixedProtocol>> {
    shelf().iter().find(|protocol| protocol.id() == id)?.compiled().cloned()
}

/// The protocols of a folder's `.toml` files, in the order of their names.
/// Every fault is told: one bad file does not hide another.
pub fn load_dir(folder: &Path) -> Result<Vec<Arc<FixedProtocol>>, Vec<SpecError>> {
    let whole = |error: std::io::Error, path: &Path| {
        let file = path.display().to_string();
        vec![SpecError { file, line: 1, reason: format!("can't be read: {error}") }]
    };
    let entries = std::fs::read_dir(folder).map_err(|error| whole(error, folder))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let (mut protocols, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| whole(error, &path));
        let parsed = text.and_then(|text| {
            // A file may hold a framing, a protocol or both.
            let Some(text) = framing::source::split(&text).1 else { return Ok(None) };
            // An overlay is another engine's.
            if sbe::overlay::is_overlay(&text) {
                return Ok(None);
            }
            let parsed = FixedProtocol::parse(&path.display().to_string(), &text);
            parsed.map(Some).map_err(|fault| vec![fault])
        });
        match parsed {
            Ok(protocol) => protocols.extend(protocol.map(Arc::new)),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(protocols) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_compiles_and_is_named_after_its_id() {
        assert!(!FILES.is_empty());
        for (name, text) in FILES {
            let protocol =
                FixedProtocol::parse(name, text).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(format!("{}.toml", protocol.id()), *name);
        }
        assert_eq!(embedded().len(), FILES.len());
    }

    #[test]
    fn a_folder_tells_every_fault() {
        let folder = std::env::temp_dir().join(format!("protocol-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["a.toml", "b.toml"] {
            std::fs::write(folder.join(name), "[protocol]\nid = 3\n").unwrap();
        }
        let faults = load_dir(&folder).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 2]);
        assert!(load_dir(&folder).is_err());
    }
}
