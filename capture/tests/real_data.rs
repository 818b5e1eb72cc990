//! Captures that others made, against what another tool says of them. They
//! are not part of the project: without them these tests say so and pass.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use taptrail_capture::file;
use taptrail_capture::packet::{PacketBatch, PacketMeta, TsSource, ts_flags};
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{CaptureError, PacketSource, Progress, Warning};

/// The folder of test data: `$TAPTRAIL_DATA`, else `../shared/data` beside a
/// folder above this crate.
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = root.ancestors().skip(1).map(|folder| folder.join("../shared/data"));
    let found = named.into_iter().chain(beside).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no test data");
    }
    found
}

type Packets = Vec<(PacketMeta, Vec<u8>)>;

fn read(path: &Path, timestamp: TimestampFrom) -> Result<(Packets, Vec<Warning>), CaptureError> {
    let mut source = file::open(path, timestamp)?;
    let (mut batch, mut packets) = (PacketBatch::new(), Vec::new());
    loop {
        let progress = source.next_batch(&mut batch)?;
        packets.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
        if progress == Progress::End {
            return Ok((packets, source.take_warnings()));
        }
    }
}

fn json(path: &Path) -> Vec<Value> {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        { file }.read_to_string(&mut text).unwrap();
    }
    serde_json::from_str(&text).unwrap()
}

/// A layer of a dissected frame.
fn layer<'a>(frame: &'a Value, name: &str) -> &'a Value {
    &frame["_source"]["layers"][name]
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn formats_agree_with_a_dissector() {
    let Some(data) = data() else { return };
    let mut compared = 0;
    let answers = ["formats", "erf"].map(|folder| files_below(&data.join(folder)));
    for answer in answers.concat() {
        let name = answer.to_string_lossy().into_owned();
        let Some(capture) = name.strip_suffix(".tshark.json.gz") else { continue };
        let (packets, warnings) = read(Path::new(capture), TimestampFrom::Record).unwrap();
        assert!(warnings.is_empty(), "{capture}: {warnings:?}");
        // The dissector shows custom blocks and metadata as frames too.
        let frames: Vec<Value> = json(&answer)
            .into_iter()
            .filter(|frame| layer(frame, "frame").get("frame.cb_pen").is_none())
            .filter(|frame| layer(frame, "erf")["erf.types_tree"]["erf.types.type"] != "27")
            .collect();
        assert_eq!(packets.len(), frames.len(), "{capture}");
        for (ix, ((meta, bytes), frame)) in packets.iter().zip(&frames).enumerate() {
            let frame = layer(frame, "frame");
            let place = format!("{capture} packet {ix}");
            match frame.get("frame.time_epoch") {
                Some(time) => assert_eq!(meta.ts.to_string(), time.as_str().unwrap(), "{place}"),
                None => assert_eq!(meta.ts_flags, ts_flags::NO_TIME, "{place}"),
            }
            assert_eq!(u64::from(meta.wire_len), number(&frame["frame.len"]), "{place}");
            assert_eq!(bytes.len() as u64, number(&frame["frame.cap_len"]), "{place}");
            assert_eq!(meta.packet_ix as usize, ix, "{place}");
            compared += 1;
        }
    }
    assert!(compared > 10_500, "{compared}");
}

/// Packet blocks of the version 1 sections of a pcapng file, counted without
/// reading them.
fn count_packet_blocks(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let (mut at, mut count, mut big, mut known) = (0, 0, false, true);
    while let Some(head) = bytes.get(at..at + 12) {
        if head.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            big = head[8] == 0x1a;
            known = bytes[at + 12..at + 14].contains(&1);
        }
        let number = |at: usize| {
            let field = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            if big { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) }
        };
        count += usize::from(known && matches!(number(0), 2 | 3 | 6));
        at += number(4) as usize;
    }
    count
}

#[test]
fn both_byte_orders_give_the_same() {
    let Some(data) = data() else { return };
    let mut total = 0;
    for big in files_below(&data.join("formats/be")) {
        let little = data.join("formats/le").join(big.file_name().unwrap());
        let (from_big, big_warnings) = read(&big, TimestampFrom::Record).unwrap();
        let (from_little, little_warnings) = read(&little, TimestampFrom::Record).unwrap();
        assert_eq!(from_big, from_little, "{big:?}");
        assert_eq!(big_warnings.len(), little_warnings.len(), "{big:?}");
        assert_eq!(from_big.len(), count_packet_blocks(&big), "{big:?} {big_warnings:?}");
        total += from_big.len();
    }
    for part in ["1", "2", "3"] {
        let path = data.join(format!("formats/many_interfaces.pcapng.{part}"));
        let (packets, warnings) = read(&path, TimestampFrom::Record).unwrap();
        assert_eq!(packets.len(), count_packet_blocks(&path));
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    assert!(total > 50, "{total}");
}

#[test]
fn a_header_alone_has_no_packets() {
    let Some(data) = data() else { return };
    let (packets, warnings) =
        read(&data.join("formats/empty.pcap"), TimestampFrom::Record).unwrap();
    assert!(packets.is_empty() && warnings.is_empty());
}

/// Configured and detected: no original FCS of these fits, so that detection
/// has to see that the packets agree.
#[test]
fn metamako_times_to_the_nanosecond() {
    let Some(data) = data() else { return };
    let frames = json(&data.join("hwts/metamako_trailer.truth.json"));
    for from in [TimestampFrom::Metamako, TimestampFrom::Auto] {
        let (packets, _) = read(&data.join("hwts/metamako_trailer.pcap"), from).unwrap();
        assert_eq!((packets.len(), frames.len()), (111, 111));
        for ((meta, bytes), frame) in packets.iter().zip(&frames) {
            // "Feb  5, 2016 01:31:08.495676994 UTC": the record's second, as
            // both lie in it or in its neighbour, and the nanoseconds.
            let said = layer(frame, "metamako")["metamako.time"].as_str().unwrap();
            let (clock, ns) = said.rsplit_once('.').unwrap();
            let second: i64 = clock.rsplit_once(':').unwrap().1.parse().unwrap();
            let ns: i64 = ns.trim_end_matches(" UTC").parse().unwrap();
            assert_eq!(meta.ts.ns() % 1_000_000_000, ns);
            assert_eq!(meta.ts.ns() / 1_000_000_000 % 60, second);
            assert!(meta.ts.ns().abs_diff(meta.ts_record.ns()) < 1_000_000_000);
            assert_eq!((meta.ts_source, meta.ts_flags), (TsSource::Metamako, ts_flags::FCS_VALID));
            assert_eq!(bytes.len() as u64, number(&layer(frame, "frame")["frame.len"]));
        }
    }
}

/// "2016/02/24-03:31:59.000000000    82 bytes", a packet a line.
#[test]
fn exablaze_ticks_to_the_nanosecond() {
    let Some(data) = data() else { return };
    for mode in ["append", "fcs"] {
        let truth = fs::read_to_string(data.join(format!("hwts/exa.mode.{mode}.truth.txt")));
        let truth = truth.unwrap();
        for from in [TimestampFrom::ExablazeTicks, TimestampFrom::Auto] {
            let path = data.join(format!("hwts/exa.mode.{mode}.pcap"));
            let (packets, _) = read(&path, from).unwrap();
            assert_eq!(packets.len(), truth.lines().count());
            for ((meta, bytes), said) in packets.iter().zip(truth.lines()) {
                let (clock, rest) = said.split_once('.').unwrap();
                let (ns, len) = rest.split_once(' ').unwrap();
                let digits = clock.rsplit_once('-').unwrap().1;
                let parts: Vec<i64> = digits.split(':').map(|n| n.parse().unwrap()).collect();
                let of_day = (parts[0] * 60 + parts[1]) * 60 + parts[2];
                assert_eq!(meta.ts.ns() / 1_000_000_000 % 86_400, of_day, "{said}");
                assert_eq!(meta.ts.ns() % 1_000_000_000, ns.parse::<i64>().unwrap(), "{said}");
                assert!(meta.ts.ns().abs_diff(meta.ts_record.ns()) < 1_000_000_000);
                assert_eq!(format!("{} bytes", bytes.len()), len.trim());
                assert_eq!((meta.ts_source, meta.ts_flags), (TsSource::Exablaze, 0));
            }
        }
    }
}

/// Ordinary traffic without stamps is left alone.
#[test]
fn detection_finds_nothing_where_nothing_is() {
    let Some(data) = data() else { return };
    let mut packets = 0;
    for folder in ["iex", "fix", "tunnels", "ptp", "formats/libtrace"] {
        for path in files_below(&data.join(folder)) {
            let is_capture = path.extension().is_some_and(|e| e == "pcap" || e == "pcapng");
            let Some(read) = is_capture.then(|| read(&path, TimestampFrom::Auto)).transpose().ok()
            else {
                continue;
            };
            for (meta, _) in read.into_iter().flat_map(|(packets, _)| packets) {
                assert_eq!(meta.ts_source, TsSource::Record, "{path:?}");
                packets += 1;
            }
        }
    }
    assert!(packets > 8_000, "{packets}");
    // Single packets whose original FCS proves a trailer, and no others.
    let mut proven = 0;
    for path in files_below(&data.join("exchange")) {
        let is_capture = path.extension().is_some_and(|e| e == "pcap");
        let stamped = is_capture.then(|| read(&path, TimestampFrom::Auto).unwrap().0);
        for (meta, _) in stamped.into_iter().flatten() {
            if meta.ts_source != TsSource::Record {
                assert_eq!((meta.ts_source, meta.ts), (TsSource::Metamako, meta.ts_record));
                proven += 1;
            }
        }
    }
    assert_eq!(proven, 4);
}

/// These were written with the trailer's time as the record's.
#[test]
fn metamako_trailers_behind_exchange_traffic() {
    let Some(data) = data() else { return };
    let mut stamped = 0;
    for path in files_below(&data.join("exchange/Nasdaq/Nasdaq.Nsm.Ouch.v5.0")) {
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        for (meta, _) in read(&path, TimestampFrom::Metamako).unwrap().0 {
            assert_eq!(meta.ts, meta.ts_record, "{path:?}");
            stamped += usize::from(meta.ts_source == TsSource::Metamako);
        }
    }
    assert!(stamped >= 4, "{stamped}");
}

#[test]
fn every_exchange_capture_is_read_whole() {
    let Some(data) = data() else { return };
    let mut files = 0;
    for path in files_below(&data.join("exchange")) {
        if path.extension().is_some_and(|extension| extension == "pcap") {
            let (packets, warnings) = read(&path, TimestampFrom::Record).unwrap();
            assert!(!packets.is_empty() && warnings.is_empty(), "{path:?} {warnings:?}");
            files += 1;
        }
    }
    assert!(files > 200, "{files}");
}

#[test]
fn other_trailers_are_not_taken_for_metamako() {
    let Some(data) = data() else { return };
    for name in ["exa.mode.append.pcap", "exa.mode.fcs.pcap"] {
        let (packets, _) = read(&data.join("hwts").join(name), TimestampFrom::Metamako).unwrap();
        assert!(!packets.is_empty());
        assert!(packets.iter().all(|(meta, _)| meta.ts_flags == ts_flags::TRAILER_MISSING));
    }
}

#[test]
fn malformed_captures_end_in_order() {
    let Some(data) = data() else { return };
    let mut packets_read = 0;
    for path in files_below(&data.join("malformed")) {
        if path.extension().is_some_and(|extension| extension == "out") {
            assert!(matches!(
                read(&path, TimestampFrom::Metamako),
                Err(CaptureError::Format { offset: 0, .. })
            ));
            continue;
        }
        let len = fs::metadata(&path).unwrap().len();
        let (packets, _) = read(&path, TimestampFrom::Metamako).unwrap();
        let bytes: usize = packets.iter().map(|(_, bytes)| bytes.len() + 16).sum();
        assert!(bytes as u64 <= len, "{path:?}");
        packets_read += packets.len();
    }
    let late = data.join("malformed/time_2106_overflow.pcapng");
    let (packets, _) = read(&late, TimestampFrom::Record).unwrap();
    assert_eq!(packets[0].0.ts.to_string(), "4294967296.000000000");
    assert!(packets_read > 100);
}
