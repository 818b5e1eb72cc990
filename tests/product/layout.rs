//! The house keeps its order: imports run one way,
//! `capture <- decoders <- store <- correlate <- web <- src`, and `samples`
//! knows nothing of ours but `capture`.

use std::fs;
use std::path::{Path, PathBuf};

/// Each crate and the crates of ours it may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("capture", &[]),
    ("decoders", &["capture"]),
    ("store", &["capture", "decoders"]),
    ("correlate", &["capture", "decoders", "store"]),
    ("web", &["store", "correlate"]),
    ("samples", &["capture"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below `dir`.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn imports_run_one_way() {
    for (name, allowed) in MAY_USE {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let depends = manifest.split("[dev-dependencies]").next().unwrap();
        for (other, _) in MAY_USE {
            if other == name || allowed.contains(&other) {
                continue;
            }
            assert!(!depends.contains(&format!("taptrail-{other}")), "{name} depends on {other}");
            for file in sources(&root().join(name).join("src")) {
                let text = fs::read_to_string(&file).unwrap();
                assert!(
                    !text.contains(&format!("taptrail_{other}::")),
                    "{} uses {other}, which {name} may not",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_stays_in_capture() {
    for name in ["decoders", "store", "correlate", "web", "samples"] {
        for file in sources(&root().join(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("unsafe {"), "{} has unsafe code", file.display());
        }
    }
}

#[test]
fn decoders_do_no_io() {
    let is_test = |file: &Path| file.components().any(|part| part.as_os_str() == "tests");
    for file in sources(&root().join("decoders/src")) {
        if is_test(file.strip_prefix(root()).unwrap()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for io in ["std::net::Tcp", "std::net::Udp", "std::io::Read", "File::open"] {
            assert!(!code.contains(io), "{} does I/O: {io}", file.display());
        }
    }
}

#[test]
fn every_crate_denies_missing_docs() {
    for (name, _) in MAY_USE {
        let text = fs::read_to_string(root().join(name).join("src/lib.rs")).unwrap();
        assert!(text.contains("#![deny(missing_docs)]"), "{name} does not deny missing docs");
    }
}
