//! Bad input: a clear message, the right exit code, and everything else still
//! imported.

use crate::support::{command, sql_n, taptrail};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A microsecond pcap, Ethernet, with `records` as (captured length claimed, bytes).
fn pcap(records: &[(u32, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (claimed, bytes) in records {
        for word in [1_700_000_000, 0, *claimed, *claimed] {
            file.extend(word.to_le_bytes());
        }
        file.extend(*bytes);
    }
    file
}

/// An Ethernet frame with a UDP datagram of `payload` to an unknown port.
fn unknown_datagram(payload: &[u8]) -> Vec<u8> {
    let udp_len = (8 + payload.len()) as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend((20 + udp_len).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x30, 0x39, 0x30, 0x3a]);
    frame.extend(udp_len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Imports `bad` beside a good capture; gives the run's code and its standard error.
fn import_beside_a_good_one(bad: &[u8]) -> (i32, String, i64) {
    let dir = TempDir::new().unwrap();
    let frame = unknown_datagram(b"hello");
    let good = pcap(&[(frame.len() as u32, &frame), (frame.len() as u32, &frame)]);
    fs::write(dir.path().join("good.pcap"), good).unwrap();
    fs::write(dir.path().join("bad.pcap"), bad).unwrap();
    let store = dir.path().join("trail");
    let named = |point: &str| format!("{point}={}", dir.path().join(point).display());
    let run = taptrail(&[
        "import",
        "--store",
        store.to_str().unwrap(),
        &named("bad.pcap"),
        &named("good.pcap"),
    ]);
    let good_packets = packets_at(&store, "good.pcap");
    (run.code, run.err, good_packets)
}

fn packets_at(store: &Path, point: &str) -> i64 {
    sql_n(store, &format!("SELECT count(*) AS n FROM packets WHERE point = '{point}'"))
}

#[test]
fn an_empty_file_and_a_text_file_are_named_and_the_rest_is_imported() {
    for bad in [&b""[..], b"date,price\n2026-01-05,1.25\n"] {
        let (code, err, good) = import_beside_a_good_one(bad);
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("bad.pcap"), "{err}");
        assert_eq!(good, 2);
    }
}

#[test]
fn a_record_that_claims_four_gigabytes_is_an_error_with_its_offset() {
    let frame = unknown_datagram(b"x");
    let bad = pcap(&[(frame.len() as u32, &frame), (u32::MAX, b"short")]);
    let (_, err, good) = import_beside_a_good_one(&bad);
    let offset = 24 + 16 + frame.len();
    assert!(err.contains("bad.pcap") && err.contains(&offset.to_string()), "{err}");
    assert_eq!(good, 2);
}

#[test]
fn a_capture_cut_in_a_record_gives_its_whole_packets_and_a_warning() {
    let dir = TempDir::new().unwrap();
    let frame = unknown_datagram(b"hello");
    let record = (frame.len() as u32, &frame[..]);
    let whole = pcap(&[record, record, record]);
    let file = dir.path().join("cut.pcap");
    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let store = dir.path().join("trail");
    let capture = format!("cut={}", file.display());
    let run = taptrail(&["import", "--store", store.to_str().unwrap(), &capture]);
    assert_eq!(run.code, 0, "{}", run.err);
    let offset = whole.len() - frame.len() - 16;
    assert!(run.err.contains(&offset.to_string()), "{}", run.err);
    assert_eq!(packets_at(&store, "cut"), 2);
}

#[test]
fn an_unknown_protocol_is_said_and_its_packets_are_kept() {
    let dir = TempDir::new().unwrap();
    let frame = unknown_datagram(b"nobody knows this protocol");
    let file = dir.path().join("strange.pcap");
    fs::write(&file, pcap(&[(frame.len() as u32, &frame)])).unwrap();
    let store = dir.path().join("trail");
    let capture = format!("edge={}", file.display());
    let run = taptrail(&["import", "--store", store.to_str().unwrap(), &capture]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(format!("{}{}", run.out, run.err).contains("not recognised"), "{}{}", run.out, run.err);
    assert_eq!(packets_at(&store, "edge"), 1);
}

#[test]
fn wrong_usage_is_two_and_wrong_config_is_one() {
    assert_eq!(taptrail(&["import"]).code, 2);
    assert_eq!(taptrail(&["no-such-command"]).code, 2);
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("site.toml");
    fs::write(&config, "[[point]]\nname = 'P1'\nclok = 'C1'\n[nonsense]\n").unwrap();
    let run = taptrail(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    for part in ["site.toml", "clok", "nonsense"] {
        assert!(run.err.contains(part), "{part} not in {}", run.err);
    }
}

#[test]
fn a_configuration_in_the_working_directory_needs_no_path() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("site.toml"), "[[point]]\nname = 'P1'\n").unwrap();
    let run = command()
        .current_dir(dir.path())
        .args(["check", "--config", "site.toml"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
