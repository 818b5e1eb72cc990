//! The framings that are shipped, and those of a folder.

use crate::fixed::error::SpecError;
use crate::framing::declared::Framing;
use crate::framing::source::split;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Name and text of every file in `framings/`, listed by the build.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/framing_files.rs"));

/// Every shipped framing, compiled once. A test holds that none is refused.
pub fn embedded() -> &'static [Arc<Framing>] {
    static FRAMINGS: LazyLock<Vec<Arc<Framing>>> = LazyLock::new(|| {
        let parsed = FILES.iter().map(|(name, text)| Framing::parse(name, text));
        parsed.filter_map(Result::ok).map(Arc::new).collect()
    });
    &FRAMINGS
}

/// The framings in a folder's `.toml` files, in the order of their names.
/// Every fault is told; a file that can't be read is told by who reads the
/// protocols of the same folder.
pub fn load_dir(folder: &Path) -> Result<Vec<Arc<Framing>>, Vec<SpecError>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let (mut framings, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Some(text) = split(&text).0 else { continue };
        match Framing::parse(&path.display().to_string(), &text) {
            Ok(framing) => framings.push(Arc::new(framing)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(framings) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_compiles_and_is_named_after_its_id() {
        assert!(!FILES.is_empty());
        for (name, text) in FILES {
            let framing = Framing::parse(name, text).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(format!("{}.toml", framing.id), *name);
        }
    }
}
