//! Real messages against the fields another decoder found in them. Skipped
//! where the captures are not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixed::explain::explain;
use crate::fixed::tests::rows::shipped;
use crate::kind::Sender;

/// The folder with the captures: named by `TAPTRAIL_DATA`, or beside the project.
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = root.ancestors().map(|folder| folder.join("../shared/data"));
    named.into_iter().chain(beside).find(|folder| folder.is_dir())
}

/// One message: its bytes and where its fields begin and end, from its first byte.
struct Known {
    body: Vec<u8>,
    sender: Option<Sender>,
    cuts: Vec<(u64, u64)>,
}

fn number(field: &Value, key: &str) -> u64 {
    field[key].as_u64().expect("a number")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Puts leaf fields that follow each other together to a message.
fn known(leaves: &[&Value], sender: Option<Sender>) -> Option<Known> {
    let start = number(leaves.first()?, "pos");
    let mut known = Known { body: Vec::new(), sender, cuts: Vec::new() };
    for leaf in leaves {
        assert_eq!(number(leaf, "pos"), start + known.body.len() as u64, "{leaf}");
        known.cuts.push((known.body.len() as u64, number(leaf, "size")));
        known.body.extend(bytes(leaf["hex"].as_str()?));
    }
    Some(known)
}

/// The ITCH messages of a packet: the leaves after each message's length.
fn itch(packet: &Value) -> Vec<Known> {
    let fields = packet["fields"].as_array().expect("fields");
    let leaves: Vec<_> =
        fields.iter().filter(|f| f["hex"].is_string() && f["name"] != "messageindex").collect();
    let starts = |leaf: &&&Value| leaf["name"] == "messagelength";
    let mut messages = Vec::new();
    let mut rest = leaves.as_slice();
    while let Some(at) = rest.iter().position(|leaf| starts(&leaf)) {
        rest = &rest[at + 1..];
        let end = rest.iter().position(|leaf| starts(&leaf)).unwrap_or(rest.len());
        messages.extend(known(&rest[..end], None));
    }
    messages
}

/// The OUCH message of a packet, where it has one.
fn ouch(packet: &Value) -> Vec<Known> {
    let fields = packet["fields"].as_array().expect("fields");
    let leaves: Vec<_> = fields.iter().filter(|f| f["hex"].is_string()).collect();
    let is_type = |name: &str| leaves.iter().position(|leaf| leaf["name"] == *name);
    let sequenced = is_type("sequencedmessagetype").map(|at| (at, Sender::Server));
    let found = sequenced.or(is_type("unsequencedmessagetype").map(|at| (at, Sender::Client)));
    found.and_then(|(at, sender)| known(&leaves[at..], Some(sender))).into_iter().collect()
}

/// Compares the messages of all captures below folders whose name has `part`;
/// gives how many of each type.
fn compare(part: &str, id: &str, messages: fn(&Value) -> Vec<Known>) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let Some(data) = data() else {
        println!("skipped: no captures at ../shared/data");
        return seen;
    };
    let protocol = shipped(id);
    for folder in std::fs::read_dir(data.join("exchange/Nasdaq")).unwrap().flatten() {
        if !folder.file_name().to_string_lossy().contains(part) {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            if file.path().extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let answer: Value =
                serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
            for known in answer["packets"].as_array().unwrap().iter().flat_map(messages) {
                let explained = explain(&protocol, &known.body, known.sender);
                assert_eq!(explained.error, None, "{}", file.path().display());
                let cut = |f: &crate::field::Field| (u64::from(f.offset), u64::from(f.size));
                let cuts: Vec<_> = explained.fields.iter().map(cut).collect();
                assert_eq!(cuts, known.cuts, "{}", file.path().display());
                *seen.entry(explained.msg_type).or_default() += 1;
            }
        }
    }
    seen
}

#[test]
fn itch_fields_lie_where_another_decoder_found_them() {
    let seen = compare("TotalView.Itch.v5.0", "nasdaq.totalview-itch.5.0", itch);
    assert!(seen.is_empty() || seen.len() >= 12, "{seen:?}");
}

#[test]
fn ouch_fields_lie_where_another_decoder_found_them() {
    let seen = compare("Ouch.v5.0", "nasdaq.ouch.5.0", ouch);
    assert!(seen.is_empty() || seen.len() >= 2, "{seen:?}");
}
