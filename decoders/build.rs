//! Lists `protocols/*.toml`, `framings/*.toml` and `overlays/*.toml`, so that a
//! new protocol is one new file.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    list("protocols", "protocol_files.rs");
    list("framings", "framing_files.rs");
    list("overlays", "overlay_files.rs");
}

/// Writes the names and texts of a folder's files as an array into `out`.
fn list(folder: &str, out: &str) {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join(folder);
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(&folder).expect("the folder is part of the source");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let line = |file: &PathBuf| {
        let name = file.file_name().expect("a file").display().to_string();
        format!("({name:?}, include_str!({:?})),\n", file.display().to_string())
    };
    let list: String = files.iter().map(line).collect();
    let out = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join(out);
    fs::write(out, format!("&[\n{list}]")).expect("OUT_DIR is writable");
}
