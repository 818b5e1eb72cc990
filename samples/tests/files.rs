//! The files of a run, read back.

mod common;

use common::{config, run};
use std::fs;
use std::path::Path;
use taptrail_capture::file;
use taptrail_capture::packet::{PacketBatch, ts_flags};
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_samples::config::Faults;
use taptrail_samples::points::{P2, POINTS};
use taptrail_samples::sim::simulate;

/// Times and bytes of a capture, and how many warnings there were.
fn read(path: &Path, ts: TimestampFrom) -> (Vec<(i64, u16, Vec<u8>)>, usize) {
    let mut source = file::open(path, ts).expect("opens");
    let (mut all, mut batch) = (Vec::new(), PacketBatch::new());
    loop {
        let progress = source.next_batch(&mut batch).expect("reads");
        all.extend(batch.iter().map(|p| (p.meta.ts.ns(), p.meta.ts_flags, p.data.to_vec())));
        if progress == Progress::End {
            return (all, source.take_warnings().len());
        }
    }
}

#[test]
fn captures_read_back_to_the_nanosecond() {
    let dir = tempfile::tempdir().expect("folder");
    let config = config(Faults::Light);
    let summary = simulate(&config).write_to(dir.path(), &mut |_| ()).expect("writes");
    let run = run(&config);
    for (ix, point) in POINTS.iter().enumerate() {
        let ts = if point.trailer { TimestampFrom::Metamako } else { TimestampFrom::Record };
        let (packets, warnings) = read(&dir.path().join(point.file_name()), ts);
        assert_eq!(warnings, 0);
        assert_eq!(packets.len() as u64, summary.packets[ix]);
        for (read, made) in packets.iter().zip(run.at(ix)) {
            assert_eq!((read.0, &read.2), (made.meta.ts.ns(), &made.data), "{}", point.name);
            assert_eq!(read.1 & ts_flags::TRAILER_MISSING, 0);
        }
    }
}

#[test]
fn a_bad_day_cuts_one_file_off() {
    let dir = tempfile::tempdir().expect("folder");
    let summary =
        simulate(&config(Faults::Heavy)).write_to(dir.path(), &mut |_| ()).expect("writes");
    let path = dir.path().join(POINTS[P2].file_name());
    let (packets, warnings) = read(&path, TimestampFrom::Record);
    assert_eq!(packets.len() as u64, summary.packets[P2] - 1);
    assert_eq!(warnings, 1);
}

#[test]
fn truth_is_one_json_object_a_line() {
    let dir = tempfile::tempdir().expect("folder");
    let summary =
        simulate(&config(Faults::Light)).write_to(dir.path(), &mut |_| ()).expect("writes");
    let lines = |name: &str| {
        let text = fs::read_to_string(dir.path().join("truth").join(name)).expect(name);
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(lines("links.jsonl").len() as u64, summary.links);
    assert_eq!(lines("orders.jsonl").len() as u64, summary.orders);
    assert_eq!(lines("losses.jsonl").len() as u64, summary.losses);
    assert!(lines("messages.jsonl").iter().all(|line| line["id"].is_u64()));
    assert!(lines("clocks.jsonl").len() >= 9);
    let counts = fs::read_to_string(dir.path().join("truth/counts.json")).expect("counts");
    serde_json::from_str::<serde_json::Value>(&counts).expect("counts");
}

#[test]
fn the_configuration_states_bounds_that_hold() {
    let dir = tempfile::tempdir().expect("folder");
    simulate(&config(Faults::Light)).write_to(dir.path(), &mut |_| ()).expect("writes");
    let text = fs::read_to_string(dir.path().join("taptrail.toml")).expect("config");
    let clocks: Vec<&str> = text.split("[[clock]]").skip(1).collect();
    assert_eq!(clocks.len(), 2);
    let number = |section: &str, key: &str| -> i64 {
        let line = section.lines().find(|line| line.starts_with(key)).expect(key);
        line.split(" = ").nth(1).expect("value").parse().expect("number")
    };
    let truth = fs::read_to_string(dir.path().join("truth/clocks.jsonl")).expect("clocks");
    for section in clocks {
        let name = section.lines().find(|line| line.starts_with("name")).expect("name");
        let name = name.split('"').nth(1).expect("quoted");
        for line in truth.lines().filter(|line| line.contains(name)) {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let elapsed_ns = line["true_ns"].as_i64().expect("time") - number(section, "at");
            let drift_ns = elapsed_ns / 1_000_000 * number(section, "drift_ppb") / 1_000;
            let stated_ns = number(section, "offset_ns") + drift_ns;
            let off_ns = (line["offset_ns"].as_i64().expect("offset") - stated_ns).abs();
            assert!(off_ns <= number(section, "bound_ns"), "{name}: {off_ns}");
        }
    }
}
