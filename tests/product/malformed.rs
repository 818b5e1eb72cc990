//! Malformed traffic at full rate past a node that decodes it: no crash, no stall, every
//! packet kept and accounted for. Skipped with a word where this user may make no
//! namespaces.

use crate::support::{sql, sql_n};
use crate::wire::{Wire, until, write_packets};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use taptrail_capture::file;
use taptrail_capture::packet::{LinkType, PacketBatch};
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};

/// What a virtual interface carries at most, its link header left out.
const MTU: usize = 65_535;

/// The shortest frame that an interface takes.
const FRAME_MIN: usize = 14;

/// How often a set of frames is sent, one after the other without a pause.
const TIMES: usize = 20;

/// A frame that reaches the node: the kernel drops what ends inside a link header or its
/// VLAN tag before anybody sees it.
fn fit(mut frame: Vec<u8>) -> Vec<u8> {
    let tagged = matches!(frame.get(12..14), Some([0x81, 0] | [0x88, 0xa8]));
    frame.resize(frame.len().max(if tagged { FRAME_MIN + 4 } else { FRAME_MIN }), 0);
    frame
}

/// Every packet of a file as far as it can be read; one that is no Ethernet frame behind
/// an Ethernet header that says it is IPv4 or IPv6, as its first byte does.
fn frames_of(path: &Path) -> Vec<Vec<u8>> {
    let Ok(mut source) = file::open(path, TimestampFrom::Record) else { return Vec::new() };
    let (mut frames, mut batch) = (Vec::new(), PacketBatch::new());
    while let Ok(progress) = source.next_batch(&mut batch) {
        for packet in batch.iter() {
            let mut frame = Vec::new();
            if packet.meta.link_type != LinkType::ETHERNET {
                let six = packet.data.first().is_some_and(|byte| byte >> 4 == 6);
                frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
                frame.extend(if six { [0x86, 0xdd] } else { [8, 0] });
            }
            frame.extend(packet.data);
            frame.truncate(MTU);
            frames.push(fit(frame));
        }
        if progress == Progress::End {
            break;
        }
    }
    frames
}

/// Xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// A frame with something wrong in it: bytes changed, cut off, put in twice or taken
    /// out, lengths that say too much, another frame's end.
    fn damage(&mut self, frame: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = frame.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(7) {
                0 => out[at] = self.below(256) as u8,
                1 => out[at] ^= 1 << self.below(8),
                2 => out.truncate(at + 1),
                3 => out[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                4 => {
                    let piece = out[at..out.len().min(at + 64)].to_vec();
                    out.splice(at..at, piece);
                }
                5 => drop(out.drain(at..(at + 1 + self.below(8)).min(out.len()))),
                _ => out
                    .splice(at.., other[self.below(other.len())..].iter().copied())
                    .for_each(drop),
            }
            out.resize(out.len().max(FRAME_MIN), 0);
        }
        out.truncate(1_514);
        fit(out)
    }
}

/// Frames of every sample capture, damaged.
fn damaged(count: usize) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/captures");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "pcap"));
    files.sort();
    let whole: Vec<Vec<u8>> = files.iter().flat_map(|path| frames_of(path)).collect();
    assert!(files.len() >= 5 && whole.len() > 20, "{files:?}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..count)
        .map(|_| {
            let (one, other) = (random.below(whole.len()), random.below(whole.len()));
            random.damage(&whole[one], &whole[other])
        })
        .collect()
}

/// How often each frame is there.
fn counted(frames: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    frames.into_iter().for_each(|frame| *counts.entry(frame).or_default() += 1);
    counts
}

/// Sends frames again and again while a node decodes them.
fn pass(wire: &Wire, mut frames: Vec<Vec<u8>>) {
    // The type of the frames that come after them.
    frames.retain(|frame| frame.get(12..14) != Some(&[0x88, 0xb5]));
    let mtu = MTU.to_string();
    assert!(wire.ip(&wire.tx, &["link", "set", "tx0", "mtu", &mtu]));
    assert!(wire.ip(&wire.rx, &["link", "set", "rx0", "mtu", &mtu]));
    let file = wire.dir.path().join("malformed.pcap");
    let again = std::iter::repeat_n(&frames, TIMES).flatten();
    write_packets(&file, again.map(Vec::as_slice));
    let (store, all) = (wire.store(), (frames.len() * TIMES) as u64);
    let node = wire.capture(&store, &["rx0"], "segment_s = 1\nkeep_free_mib = 0");
    wire.send_file("tx0", &file);
    until("all packets written", || node.metric("taptrail_packets_total", "rx0", "") == Some(all));
    // It goes on after them as before.
    wire.send("tx0", 7, 100, 60);
    until("what comes after", || {
        node.metric("taptrail_packets_total", "rx0", "") == Some(all + 100)
    });
    let health = node.ask("/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    let account = &node.stop()["rx0"];
    account.closes();
    assert_eq!((account.seen, account.written), (all + 100, all + 100));
    assert_eq!(sql_n(&store, "SELECT count(*) AS n FROM packets") as u64, all + 100);
    let rows =
        sql(&store, "SELECT hex(data) AS d FROM packets WHERE substr(hex(data), 25, 4) <> '88b5'");
    let kept = counted(rows.iter().map(|row| row["d"].as_str().unwrap().to_owned()));
    let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let sent = counted(frames.iter().map(hex));
    let sent: BTreeMap<String, usize> = sent.into_iter().map(|(f, n)| (f, n * TIMES)).collect();
    assert!(kept == sent, "other bytes than were sent");
}

#[test]
fn damaged_frames_of_every_sample_are_kept_and_end_nothing() {
    let Some(wire) = Wire::new() else { return };
    pass(&wire, damaged(2_000));
}

#[test]
fn captures_that_once_broke_other_tools_are_kept_and_end_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/malformed");
    let Ok(entries) = fs::read_dir(&folder) else {
        return println!("skipped: no folder shared/data/malformed beside the project");
    };
    let Some(wire) = Wire::new() else { return };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let frames: Vec<Vec<u8>> = files.iter().flat_map(|path| frames_of(path)).collect();
    assert!(frames.len() > 100, "{} frames of {} files", frames.len(), files.len());
    pass(&wire, frames);
}
