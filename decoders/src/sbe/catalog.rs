//! The overlays that are shipped, those of a folder, and the schemas of a
//! folder.

use super::overlay::{Overlay, is_overlay};
use super::schema::SCHEMA_MAX;
use super::shape::Schema;
use crate::fixed::error::SpecError;
use crate::framing::source::split;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Most schemas read from a folder and its folders.
pub const SCHEMAS_MAX: usize = 512;

/// Name and text of every file in `overlays/`, listed by the build.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/overlay_files.rs"));

/// Every shipped overlay. A test holds that none is refused.
pub fn embedded() -> &'static [Overlay] {
    static OVERLAYS: LazyLock<Vec<Overlay>> = LazyLock::new(|| {
        let parsed = FILES.iter().map(|(name, text)| Overlay::parse(name, text));
        parsed.filter_map(Result::ok).collect()
    });
    &OVERLAYS
}

/// The overlays in a folder's `.toml` files, in the order of their names.
///
/// # Errors
/// Every fault.
pub fn load_overlays(folder: &Path) -> Result<Vec<Overlay>, Vec<SpecError>> {
    let (mut overlays, mut faults) = (Vec::new(), Vec::new());
    for path in files(folder, "toml") {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Some(text) = split(&text).1.filter(|text| is_overlay(text)) else { continue };
        match Overlay::parse(&path.display().to_string(), &text) {
            Ok(overlay) => overlays.push(overlay),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(overlays) } else { Err(faults) }
}

/// The SBE schemas in a folder's `.xml` files and those of its folders, in the
/// order of their names. Files of another root element are somebody else's.
///
/// # Errors
/// Every fault.
pub fn load_schemas(folder: &Path) -> Result<Vec<Schema>, Vec<SpecError>> {
    let mut paths = files(folder, "xml");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            paths.extend(files(&entry.path(), "xml"));
        }
    }
    paths.sort();
    let (mut schemas, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.display().to_string();
        let fault = |reason: String| SpecError { file: name.clone(), line: 1, reason };
        if schemas.len() == SCHEMAS_MAX {
            faults.push(fault(format!("more than {SCHEMAS_MAX} schemas")));
            break;
        }
        let size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        if size > SCHEMA_MAX as u64 {
            faults.push(fault(format!("{size} bytes, at most {SCHEMA_MAX}")));
            continue;
        }
        // Remarks in such files are not always in the encoding that they declare.
        let text = std::fs::read(&path).map(|raw| String::from_utf8_lossy(&raw).into_owned());
        match text {
            Ok(text) if !mentions_schema(&text) => {}
            Ok(text) => match Schema::parse(&name, &text) {
                Ok(schema) => schemas.push(schema),
                Err(fault) => faults.push(fault),
            },
            Err(error) => faults.push(fault(error.to_string())),
        }
    }
    if faults.is_empty() { Ok(schemas) } else { Err(faults) }
}

/// Whether a file is a message schema, or was meant to be one.
fn mentions_schema(text: &str) -> bool {
    text.contains(":messageSchema") || text.contains("<messageSchema")
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_file() && path.extension().is_some_and(|own| own == ending));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_overlay_compiles_and_is_named_after_its_id() {
        assert!(!FILES.is_empty());
        for (name, text) in FILES {
            let overlay = Overlay::parse(name, text).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(format!("{}.toml", overlay.id), *name);
        }
    }
}
