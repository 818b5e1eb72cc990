//! Headers of real captures, frame by frame, against another dissector: the
//! innermost addresses and ports of tunnels, and every field of PTP.

mod common;

use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::{self, File};
use std::net::IpAddr;
use std::path::PathBuf;
use taptrail_decoders::headers::error::HeaderError;
use taptrail_decoders::headers::{Transport, parse};

/// Wrappings that are not opened: what is in them stays a datagram of theirs, or
/// nothing.
const NOT_OPENED: [&str; 8] =
    ["ppp", "pktap", "ayiya", "teredo", "wlan", "nsh", "ieee8021ah", "erspan:data"];

/// Captures whose answer is of another kind, and why.
const OTHERWISE: [(&str, &str); 5] = [
    ("gtp_create_pdp_ctx", "an address inside control messages is taken for the packet's"),
    ("bigtcp-ipv4-geneve-ipv4", "the dissector stops at a UDP length of 0"),
    ("bigtcp-ipv4-geneve-ipv6", "likewise"),
    ("bigtcp-ipv4-vxlan-ipv4", "likewise"),
    ("bigtcp-ipv4-vxlan-ipv6", "likewise"),
];

fn captures() -> Vec<PathBuf> {
    let Some(data) = common::data() else { return Vec::new() };
    let folders = ["tcpdump", "zeek"].map(|folder| data.join("tunnels").join(folder));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    files.sort();
    files
}

fn frames(capture: &std::path::Path) -> Vec<Value> {
    let mut answer = capture.as_os_str().to_owned();
    answer.push(".tshark.json.gz");
    serde_json::from_reader(GzDecoder::new(File::open(answer).unwrap())).unwrap()
}

/// Innermost source, destination and ports, where the frame carries UDP or TCP
/// and no quoted packet of an error message.
fn said(layers: &Value) -> Option<(Transport, IpAddr, IpAddr, u16, u16)> {
    let protocols = layers["frame"]["frame.protocols"].as_str()?;
    let names: Vec<&str> = protocols.split(':').collect();
    if NOT_OPENED.iter().any(|not| protocols.contains(not)) || protocols.contains("icmp") {
        return None;
    }
    let last = |wanted: &[&str]| names.iter().rposition(|name| wanted.contains(name));
    let at = last(&["udp", "tcp"])?;
    if last(&["gre", "ip", "ipv6", "arp"])? > at {
        return None;
    }
    let transport = if names[at] == "udp" { Transport::Udp } else { Transport::Tcp };
    let ip = names[..at].iter().rfind(|name| **name == "ip" || **name == "ipv6")?;
    let address = |end: &str| layers[ip][format!("{ip}.{end}")].as_str()?.parse().ok();
    let port =
        |end: &str| layers[names[at]][format!("{}.{end}port", names[at])].as_str()?.parse().ok();
    Some((transport, address("src")?, address("dst")?, port("src")?, port("dst")?))
}

#[test]
fn inner_addresses_and_ports_agree() {
    let (mut agreed, mut without, mut fragments) = (0, 0, 0);
    let mut differing = Vec::new();
    for capture in captures() {
        let name = capture.file_stem().unwrap().to_string_lossy().into_owned();
        if OTHERWISE.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let frames = frames(&capture);
        let mut ix = 0;
        common::packets(&capture, |batch| {
            for packet in batch.iter() {
                let layers = &frames[ix]["_source"]["layers"];
                ix += 1;
                let protocols = layers["frame"]["frame.protocols"].as_str().unwrap_or_default();
                let place = format!("{name} frame {ix} {protocols}");
                let ours = parse(packet.meta.link_type, packet.data);
                let Some((transport, src, dst, src_port, dst_port)) = said(layers) else {
                    without += 1;
                    continue;
                };
                let ours = ours.map(|s| (s.transport, s.src, s.dst, s.src_port, s.dst_port));
                let theirs = (transport, src, dst, src_port, dst_port);
                match ours {
                    Ok(ours) if ours == theirs => agreed += 1,
                    // The last of several, which the dissector joined.
                    Err(HeaderError::Fragment { first: false, .. }) => fragments += 1,
                    other => differing.push(format!("{place}: {other:?}, not {theirs:?}")),
                }
            }
        });
        assert_eq!(ix, frames.len(), "{name}");
    }
    assert!(differing.is_empty(), "{differing:#?}");
    println!(
        "{agreed} frames agree, {fragments} are fragments, {without} have no datagram for the dissector"
    );
    assert!(agreed > 500 || captures().is_empty(), "{agreed}");
}

/// Our field, theirs.
const PTP_FIELDS: [(&str, &str); 27] = [
    ("major_sdo_id", "ptp.v2.majorsdoid"),
    ("message_type", "ptp.v2.messagetype"),
    ("minor_version", "ptp.v2.minorversionptp"),
    ("version", "ptp.v2.versionptp"),
    ("message_length", "ptp.v2.messagelength"),
    ("domain_number", "ptp.v2.domainnumber"),
    ("minor_sdo_id", "ptp.v2.minorsdoid"),
    ("flags", "ptp.v2.flags"),
    ("message_type_specific", "ptp.v2.messagetypespecific"),
    ("clock_identity", "ptp.v2.clockidentity"),
    ("source_port", "ptp.v2.sourceportid"),
    ("sequence_id", "ptp.v2.sequenceid"),
    ("control", "ptp.v2.controlfield"),
    ("log_message_interval", "ptp.v2.logmessageperiod"),
    ("origin_seconds", "ptp.v2.sdr.origintimestamp.seconds"),
    ("origin_nanoseconds", "ptp.v2.sdr.origintimestamp.nanoseconds"),
    ("receive_seconds", "ptp.v2.dr.receivetimestamp.seconds"),
    ("receive_nanoseconds", "ptp.v2.dr.receivetimestamp.nanoseconds"),
    ("requesting_clock_identity", "ptp.v2.dr.requestingsourceportidentity"),
    ("requesting_port", "ptp.v2.dr.requestingsourceportid"),
    ("precise_origin_nanoseconds", "ptp.v2.fu.preciseorigintimestamp.nanoseconds"),
    ("current_utc_offset", "ptp.v2.an.origincurrentutcoffset"),
    ("grandmaster_class", "ptp.v2.an.grandmasterclockclass"),
    ("grandmaster_accuracy", "ptp.v2.an.grandmasterclockaccuracy"),
    ("grandmaster_identity", "ptp.v2.an.grandmasterclockidentity"),
    ("steps_removed", "ptp.v2.an.localstepsremoved"),
    ("time_source", "ptp.v2.timesource"),
];

/// A number as the dissector shows it, decimal or 0x.
fn shown(value: &Value) -> Option<i128> {
    let text = value.as_str()?;
    match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[test]
fn every_field_of_ptp_agrees() {
    let Some(data) = common::data() else { return };
    let (mut messages, mut fields) = (0, 0);
    for name in ["ptp", "ptp_corrections", "ptp_ethernet", "ptp_management", "ptp_v2_1"] {
        let capture = data.join("ptp").join(format!("{name}.pcap"));
        let frames = frames(&capture);
        let explained = common::explain(&capture, None);
        assert_eq!(explained.len(), frames.len(), "{name}");
        for (message, frame) in explained.iter().zip(&frames) {
            let place = format!("{name} packet {}", message.packet);
            assert_eq!(message.protocol.as_deref(), Some("ieee.ptp.2"), "{place}");
            assert!(message.error.is_none(), "{place}: {:?}", message.error);
            let ptp = &frame["_source"]["layers"]["ptp"];
            let own = serde_json::to_value(message).unwrap();
            let own_fields = own["fields"].as_array().unwrap();
            for (ours, theirs) in PTP_FIELDS {
                let own = own_fields.iter().find(|field| field["name"] == ours);
                // In Announce theirs has another name, with the same place.
                let theirs = match (message.name.as_str(), ours) {
                    ("announce", "origin_seconds" | "origin_nanoseconds") => {
                        theirs.replace("sdr", "an")
                    }
                    ("pdelay_req", "origin_seconds" | "origin_nanoseconds") => {
                        theirs.replace("sdr", "pdrq")
                    }
                    _ => theirs.to_owned(),
                };
                let Some(said) = ptp.get(&theirs).and_then(shown) else { continue };
                let own = own.unwrap_or_else(|| panic!("{place}: no {ours}"));
                let own = &own["value"];
                let own = own.as_i64().map(i128::from).or(own.as_u64().map(i128::from));
                assert_eq!(own, Some(said), "{place} {ours}");
                fields += 1;
            }
            messages += 1;
        }
    }
    assert_eq!(messages, 261);
    assert!(fields > 4_000, "{fields}");
}
