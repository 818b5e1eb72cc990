//! The golden decodes beside the sample captures. `UPDATE_GOLDEN=1` (or
//! `make golden`) writes them anew; the diff then shows what changed.

use crate::support::taptrail_ok;
use std::fs;
use std::path::{Path, PathBuf};

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/captures")
}

/// Every capture and, where one lies beside it, its configuration.
fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(captures()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "pcap")).collect();
    found.sort();
    assert!(found.len() >= 4, "only {} samples", found.len());
    found
}

fn decode(capture: &Path) -> String {
    let config = capture.with_extension("toml");
    let mut args = vec!["decode", capture.to_str().unwrap(), "--format", "json"];
    if config.exists() {
        args.extend(["--config", config.to_str().unwrap()]);
    }
    taptrail_ok(&args).out
}

#[test]
fn golden_decodes_are_as_committed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for capture in samples() {
        let decoded = decode(&capture);
        let golden = capture.with_extension("golden.jsonl");
        if update {
            fs::write(&golden, &decoded).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&golden).unwrap();
        for (number, (is, was)) in decoded.lines().zip(expected.lines()).enumerate() {
            assert_eq!(is, was, "{} line {}", golden.display(), number + 1);
        }
        assert_eq!(decoded.lines().count(), expected.lines().count(), "{}", golden.display());
    }
}

#[test]
fn fields_tile_every_message_and_nothing_is_unknown() {
    for capture in samples() {
        for line in decode(&capture).lines() {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            let fields = message["fields"].as_array().unwrap();
            let number = |of: &serde_json::Value, key: &str| of[key].as_i64().unwrap();
            let (start, size) = (number(&message, "offset"), number(&message, "size"));
            let mut at = start;
            for field in fields.iter().filter(|field| number(field, "size") > 0) {
                assert_ne!(field["name"], "unknown", "{}: {line}", capture.display());
                // Where a message began in an earlier packet, offsets step over this
                // packet's headers once.
                if start >= 0 {
                    assert_eq!(number(field, "offset"), at, "{}: {line}", capture.display());
                }
                at += number(field, "size");
            }
            assert_eq!(at, start + size, "{}: {line}", capture.display());
        }
    }
}
