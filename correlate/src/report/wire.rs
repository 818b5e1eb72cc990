//! The report's sections on bursts, TCP and traffic: the same cells for the
//! terminal and for HTML.

use crate::report::units::{count, maybe_duration, time};
use crate::report::{Report, Section};
use serde::Serialize;
use std::cmp::Reverse;
use taptrail_store::tables::bursts::BurstRow;
use taptrail_store::tables::tcp::TcpRow;
use taptrail_store::tables::traffic::TrafficRow;

/// Most directions of connections, and most lines and sides, that are listed:
/// those with most trouble, and the busiest.
pub const LISTED: usize = 60;

/// The busiest window of one length in a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// Where.
    pub point: String,
    /// Interface of the capture.
    pub interface: u32,
    /// in, out or unknown.
    pub direction: String,
    /// Length of the window.
    pub window_ns: i64,
    /// Its start.
    pub ts: i64,
    /// Bytes on the wire in it.
    pub bytes: u64,
    /// Frames in it.
    pub frames: u64,
    /// Bits a second over it.
    pub bits_per_s: u64,
    /// Share of the link's rate in millionths.
    pub utilisation_ppm: Option<u64>,
}

/// A direction of a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcpSum {
    /// Where.
    pub point: String,
    /// Sender and receiver.
    pub flow: String,
    /// Protocol, empty where not known.
    pub protocol: String,
    /// Segments.
    pub segments: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Shortest round trip on the receiver's side.
    pub rtt_min_ns: Option<i64>,
    /// Median.
    pub rtt_p50_ns: Option<i64>,
    /// 99th percentile.
    pub rtt_p99_ns: Option<i64>,
    /// Sent again: seen before, or late in a hole.
    pub sent_again: u64,
    /// Overtaken.
    pub out_of_order: u64,
    /// Times it closed its window.
    pub zero_windows: u64,
    /// Resets.
    pub resets: u64,
}

/// A feed line or one side of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrafficSum {
    /// Where.
    pub point: String,
    /// Protocol.
    pub protocol: String,
    /// Session, and the channel where there are several.
    pub session: String,
    /// Line, or the side that sends.
    pub line: String,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Most in a second.
    pub peak_per_s: u64,
    /// That second.
    pub peak_ts: i64,
    /// Gaps.
    pub gaps: Option<u64>,
    /// Numbers missing.
    pub missing: Option<u64>,
    /// Copies.
    pub duplicates: u64,
    /// Heartbeats.
    pub heartbeats: u64,
}

impl Report {
    /// Adds a row of `bursts`.
    pub(super) fn burst(&mut self, row: BurstRow) {
        if row.rank != 1 {
            return;
        }
        self.bursts.push(Burst {
            point: row.point.to_string(),
            interface: row.interface,
            direction: row.direction.to_string(),
            window_ns: row.window_ns,
            ts: row.ts,
            bytes: row.bytes,
            frames: row.frames,
            bits_per_s: row.bits_per_s,
            utilisation_ppm: row.utilisation_ppm,
        });
    }

    /// Adds a row of `tcp`.
    pub(super) fn connection(&mut self, row: TcpRow) {
        let end = |address: &str, port: u16| format!("{address}:{port}");
        let (from, to) = (end(&row.src_addr, row.src_port), end(&row.dst_addr, row.dst_port));
        self.tcp.push(TcpSum {
            point: row.point.to_string(),
            flow: format!("{from} > {to}"),
            protocol: row.protocol.map(|protocol| protocol.to_string()).unwrap_or_default(),
            segments: row.segments,
            bytes: row.bytes,
            rtt_min_ns: row.rtt_min_ns,
            rtt_p50_ns: row.rtt_p50_ns,
            rtt_p99_ns: row.rtt_p99_ns,
            sent_again: row.retransmits.saturating_add(row.filled_late),
            out_of_order: row.out_of_order,
            zero_windows: row.zero_windows,
            resets: row.resets,
        });
        if self.tcp.len() >= 2 * LISTED {
            self.keep_most();
        }
    }

    /// Adds a row of `traffic`.
    pub(super) fn source(&mut self, row: TrafficRow) {
        let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
        self.traffic.push(TrafficSum {
            point: row.point.to_string(),
            protocol: row.protocol.to_string(),
            session: match (text(row.session).unwrap_or_default(), row.channel) {
                (session, Some(channel)) => format!("{session} {channel}"),
                (session, None) => session,
            },
            line: text(row.line).or(text(row.sender)).unwrap_or_default(),
            messages: row.messages,
            bytes: row.bytes,
            peak_per_s: row.peak_per_s,
            peak_ts: row.peak_ts,
            gaps: row.gaps,
            missing: row.missing,
            duplicates: row.duplicates,
            heartbeats: row.heartbeats,
        });
        if self.traffic.len() >= 2 * LISTED {
            self.keep_most();
        }
    }

    /// Keeps what is listed, in an order that is always the same.
    pub(super) fn keep_most(&mut self) {
        let trouble =
            |t: &TcpSum| t.sent_again + t.out_of_order + t.zero_windows.saturating_add(t.resets);
        self.tcp.sort_by_cached_key(|t| {
            (Reverse((trouble(t), t.segments)), t.point.clone(), t.flow.clone())
        });
        self.tcp.truncate(LISTED);
        self.traffic.sort_by_cached_key(|t| {
            let place = (t.point.clone(), t.protocol.clone(), t.session.clone(), t.line.clone());
            (Reverse(t.messages), place)
        });
        self.traffic.truncate(LISTED);
    }
}

/// The sections of the wire.
pub(super) fn sections(report: &Report) -> [Section; 3] {
    [
        Section {
            title: "Microbursts: the busiest windows",
            heads: &["point", "lane", "window", "at", "frames", "bytes", "rate", "of the link"],
            right: &[2, 4, 5, 6, 7],
            rows: report.bursts.iter().map(burst).collect(),
        },
        Section {
            title: "TCP, most trouble first",
            heads: &[
                "point",
                "from > to",
                "segments",
                "rtt min",
                "rtt p50",
                "rtt p99",
                "sent again",
                "overtaken",
                "zero windows",
                "resets",
                "protocol",
            ],
            right: &[2, 3, 4, 5, 6, 7, 8, 9],
            rows: report.tcp.iter().map(tcp).collect(),
        },
        Section {
            title: "Feeds and sessions, the busiest first",
            heads: &[
                "point",
                "protocol",
                "session",
                "line",
                "messages",
                "bytes",
                "peak/s",
                "in second",
                "gaps",
                "missing",
                "copies",
                "heartbeats",
            ],
            right: &[4, 5, 6, 8, 9, 10, 11],
            rows: report.traffic.iter().map(traffic).collect(),
        },
    ]
}

fn burst(b: &Burst) -> Vec<String> {
    let mbps = b.bits_per_s / 1_000_000;
    let share = b.utilisation_ppm.map(|ppm| format!("{}.{} %", ppm / 10_000, ppm / 1_000 % 10));
    vec![
        b.point.clone(),
        format!("{} {}", b.interface, b.direction),
        maybe_duration(Some(b.window_ns)),
        time(b.ts),
        count(b.frames),
        count(b.bytes),
        format!("{} Mb/s", count(mbps)),
        share.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn tcp(t: &TcpSum) -> Vec<String> {
    vec![
        t.point.clone(),
        t.flow.clone(),
        count(t.segments),
        maybe_duration(t.rtt_min_ns),
        maybe_duration(t.rtt_p50_ns),
        maybe_duration(t.rtt_p99_ns),
        count(t.sent_again),
        count(t.out_of_order),
        count(t.zero_windows),
        count(t.resets),
        t.protocol.clone(),
    ]
}

fn traffic(t: &TrafficSum) -> Vec<String> {
    let maybe = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    vec![
        t.point.clone(),
        t.protocol.clone(),
        t.session.clone(),
        t.line.clone(),
        count(t.messages),
        count(t.bytes),
        count(t.peak_per_s),
        time(t.peak_ts).chars().skip(11).take(8).collect(),
        maybe(t.gaps),
        maybe(t.missing),
        count(t.duplicates),
        count(t.heartbeats),
    ]
}
