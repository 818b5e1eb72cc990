//! Real exchange packets, field by field, against a dissector of other authors:
//! offset in the frame, size and bytes of every leaf field.

mod common;

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use taptrail_decoders::explain::ExplainedMessage;
use taptrail_decoders::flow::Recognised;

/// Folders of protocols that are shipped, with their id.
const SHIPPED: [(&str, &str); 6] = [
    ("Bx.Equities.TotalView.Itch.v5.0", "nasdaq.totalview-itch.5.0"),
    ("Bx.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq.Equities.TotalView.Itch.v5.0", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Psx.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq.Nsm.Ouch.v5.0", "nasdaq.ouch.5.0"),
];

/// A leaf field: offset, size, hex.
type Leaf = (i64, u64, String);

fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "pcap"));
    paths.sort();
    paths
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

/// The answer beside a capture: the leaf fields of each packet, by its number.
fn answer(path: &Path) -> BTreeMap<u64, Vec<Leaf>> {
    let text = std::fs::read_to_string(path.with_extension("fields.json")).expect("answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let packets = answer["packets"].as_array().expect("packets");
    let leaf = |field: &Value| {
        let size = field["size"].as_u64()?;
        let hex = field["hex"].as_str()?.to_owned();
        (size > 0).then_some((field["pos"].as_i64()?, size, hex))
    };
    let leaves = |packet: &Value| {
        let fields = packet["fields"].as_array().expect("fields");
        (packet["frame"].as_u64().expect("frame"), fields.iter().filter_map(leaf).collect())
    };
    packets.iter().map(leaves).collect()
}

fn ours(messages: &[ExplainedMessage]) -> BTreeMap<u64, Vec<Leaf>> {
    let mut packets: BTreeMap<u64, Vec<Leaf>> = BTreeMap::new();
    for message in messages {
        for field in message.fields.iter().filter(|field| field.size > 0) {
            let hex = field.raw.iter().map(|byte| format!("{byte:02x}")).collect();
            let leaf = (field.offset, u64::from(field.size), hex);
            packets.entry(message.packet).or_default().push(leaf);
        }
    }
    packets.values_mut().for_each(|leaves| leaves.sort());
    packets
}

#[test]
fn every_leaf_field_is_where_another_dissector_sees_it() {
    let Some(data) = common::data() else { return };
    let mut compared = 0;
    for (folder, protocol) in SHIPPED {
        for path in captures(&data.join("exchange/Nasdaq").join(folder)) {
            let messages = common::explain(&path, Some(protocol));
            let ours = ours(&messages);
            for (packet, theirs) in answer(&path) {
                let mut theirs = theirs;
                theirs.sort();
                let ours = ours.get(&packet).cloned().unwrap_or_default();
                for leaf in &theirs {
                    assert!(
                        ours.contains(leaf),
                        "{}: packet {packet}: {leaf:?} is missing in {ours:#?}",
                        path.display()
                    );
                    compared += 1;
                }
                assert_eq!(
                    ours.len(),
                    theirs.len(),
                    "{}: packet {packet}\n{ours:#?}\n{theirs:#?}",
                    path.display()
                );
            }
        }
    }
    assert!(compared > 400, "{compared} fields");
}

#[test]
fn shipped_protocols_are_recognised_without_being_named() {
    let Some(data) = common::data() else { return };
    for (folder, protocol) in SHIPPED {
        for path in captures(&data.join("exchange/Nasdaq").join(folder)) {
            let messages = common::explain(&path, None);
            let named = common::explain(&path, Some(protocol));
            let alone = named.iter().all(|m| m.protocol.as_deref() != Some(protocol));
            for message in messages.iter().filter(|_| !alone) {
                assert!(
                    message.recognised >= Some(Recognised::Certain),
                    "{}: {message:#?}",
                    path.display()
                );
            }
            assert_eq!(ours(&messages), ours(&named), "{}", path.display());
        }
    }
}

/// Every venue's captures: other protocols are not taken for ours, and every
/// payload byte is accounted for once.
#[test]
fn other_protocols_are_left_alone_and_no_byte_is_lost() {
    let Some(data) = common::data() else { return };
    let mut files = 0;
    for venue in folders(&data.join("exchange")) {
        for folder in folders(&venue) {
            for path in captures(&folder) {
                files += 1;
                let messages = common::explain(&path, None);
                check_recognised(&folder, &path, &messages);
                check_payloads(&path, &messages);
            }
        }
    }
    assert!(files > 200, "{files} files");
}

/// What is not shipped is not taken for certain to be one of ours.
fn check_recognised(folder: &Path, path: &Path, messages: &[ExplainedMessage]) {
    let name = folder.file_name().expect("name").to_string_lossy();
    let ours = SHIPPED.iter().any(|(shipped, _)| *shipped == name);
    // This capture holds packets of Nasdaq under another venue's name.
    let memx = folder.parent().is_some_and(|venue| venue.ends_with("Memx"));
    let mislabelled = memx && path.ends_with("StockTradingActionMessage.pcap");
    for message in messages.iter().filter(|_| !ours && !mislabelled) {
        assert!(message.recognised < Some(Recognised::Certain), "{}: {message:#?}", path.display());
    }
}

/// The payload bytes the other dissector counts are those our fields cover.
fn check_payloads(path: &Path, messages: &[ExplainedMessage]) {
    let text = std::fs::read_to_string(path.with_extension("fields.json")).expect("answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    for packet in answer["packets"].as_array().expect("packets") {
        let number = packet["frame"].as_u64().expect("frame");
        let (pos, len) = (packet["payload_pos"].as_i64(), packet["payload_len"].as_i64());
        let (Some(pos), Some(len)) = (pos, len) else { continue };
        let mut fields: Vec<(i64, i64)> = messages
            .iter()
            .filter(|message| message.packet == number)
            .flat_map(|message| &message.fields)
            .filter(|field| field.size > 0)
            .map(|field| (field.offset, i64::from(field.size)))
            .collect();
        fields.sort();
        let mut at = pos;
        for (offset, size) in fields {
            assert_eq!(offset, at, "{} packet {number}", path.display());
            at += size;
        }
        assert_eq!(at, pos + len, "{} packet {number}", path.display());
    }
}
