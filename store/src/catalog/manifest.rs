//! Manifests: JSON files that say which segments count and where they came
//! from.

use crate::catalog::drops::{self, DropPlace, Drops};
use crate::identity::{Content, segment_capture_id};
use crate::segment::Segment;
use crate::ship::NodeName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use taptrail_capture::point::{PointConfig, PointName};

/// Most warnings that a manifest keeps; the rest is counted.
pub const WARNINGS_MAX: usize = 1000;

/// A capture id as 16 hex digits: more than 2^53 is no safe number in JSON.
pub mod hex_id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the digits.
    ///
    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::hex(*id))
    }

    /// Reads the digits.
    ///
    /// # Errors
    /// Where they are none.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// The same of one that there may be.
pub mod maybe_hex_id {
    use serde::{Deserializer, Serializer};

    /// Writes the digits.
    ///
    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => super::hex_id::serialize(id, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the digits.
    ///
    /// # Errors
    /// Where they are none.
    pub fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
        super::hex_id::deserialize(source).map(Some)
    }
}

/// A capture id as file names have it.
pub fn hex(capture_id: u64) -> String {
    format!("{capture_id:016x}")
}

/// The file an import was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its name as it was given.
    pub name: String,
    /// Its bytes, uncompressed.
    pub bytes: u64,
    /// BLAKE3 of its uncompressed bytes, in hex; empty for a segment of live capture,
    /// which has a name and is read by nobody again.
    pub content_blake3: String,
    /// The name of the live capture's segment that it was; `None`: any other file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

impl SourceFile {
    /// The id of this at a point; `None` where the hash is none, and no name stands for it.
    pub fn capture_id(&self, point: &PointName) -> Option<u64> {
        let hash = blake3::Hash::from_hex(&self.content_blake3).ok();
        match &self.segment {
            Some(segment) if hash.is_some() || self.content_blake3.is_empty() => {
                Some(segment_capture_id(point, segment))
            }
            Some(_) => None,
            None => Some(Content { hash: hash?, bytes: self.bytes }.capture_id(point)),
        }
    }

    /// What it is known by: a segment's name, else the hash of its content.
    pub fn known_by(&self) -> &str {
        self.segment.as_deref().unwrap_or(&self.content_blake3)
    }
}

/// Packets that the source itself says it lost; `null` where it cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureLosses {
    /// Dropped by the kernel's or library's ring.
    pub ring: Option<u64>,
    /// Dropped by the interface or its driver.
    pub interface: Option<u64>,
    /// Named as lost by the capture file.
    pub recorded: Option<u64>,
}

/// What an import saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Captured bytes of the packets.
    pub packet_bytes: u64,
    /// Rows of `messages`.
    pub rows: u64,
    /// Messages by protocol.
    pub messages: BTreeMap<String, u64>,
    /// What was not decoded, by reason.
    pub not_decoded: BTreeMap<String, u64>,
    /// What the source lost.
    pub losses: CaptureLosses,
    /// Where and when: [`DROPS_MAX`](drops::DROPS_MAX) and at most one more a place.
    #[serde(default)]
    pub drops: Vec<Drops>,
}

/// What a correlation was made from: a capture, decoded for the nth time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The capture.
    #[serde(with = "hex_id")]
    pub capture_id: u64,
    /// How often it has been decoded anew.
    pub revision: u32,
}

/// Messages of one protocol, source and trading day that teach each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedScope {
    /// Protocol id.
    pub protocol: String,
    /// Feed or flow, session and channel.
    pub source: String,
    /// Trading day in the venue's time zone.
    pub day: String,
    /// Whether its first message in the capture is of this day.
    pub begins: bool,
    /// The capture with whose values it began.
    pub from: Option<Input>,
}

/// How packets were decoded, so that they can be explained the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeSettings {
    /// What the configuration said, as it was: read only where a message is
    /// explained, so that a store outlives changes of the configuration.
    pub config: serde_json::Value,
    /// The protocol of every flow, where the command line named one.
    pub protocol: Option<String>,
    /// Where relative paths of the configuration start.
    pub base: String,
}

/// One import: a capture's packets, messages and flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportManifest {
    /// Store format it was written with.
    pub format: u32,
    /// Version that wrote it.
    pub software: String,
    /// Hash of the configuration that decoded it.
    pub config_hash: String,
    /// How its packets were decoded; `null` where only packets were kept.
    pub decode: Option<DecodeSettings>,
    /// Name of the point.
    pub point: String,
    /// The point as it was configured.
    pub point_config: PointConfig,
    /// The capture.
    #[serde(with = "hex_id")]
    pub capture_id: u64,
    /// How often it has been decoded anew.
    pub revision: u32,
    /// What it was made from.
    pub source: SourceFile,
    /// The node that shipped it; `None`: it was imported here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// What was seen.
    pub counters: Counters,
    /// What was wrong, oldest first, at most [`WARNINGS_MAX`].
    pub warnings: Vec<String>,
    /// Warnings beyond those.
    pub warnings_dropped: u64,
    /// Time of its first packet, ns since the epoch; `null` where it has none
    /// or nothing was decoded.
    #[serde(default)]
    pub first_ts: Option<i64>,
    /// The capture whose TCP streams it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_hex_id")]
    pub continues: Option<u64>,
    /// What its messages teach, and where that began.
    #[serde(default)]
    pub learned: Vec<LearnedScope>,
    /// The segments, each table's in order.
    pub files: Vec<Segment>,
}

impl CaptureLosses {
    /// All of them; `None` where the source cannot tell of any.
    pub fn total(&self) -> Option<u64> {
        let known = [self.ring, self.interface, self.recorded];
        known.into_iter().flatten().reduce(u64::saturating_add)
    }
}

impl Counters {
    /// Takes what the source says it lost once its packets from `first_ts` to
    /// `last_ts` have been read. What records name as lost was lost just then;
    /// accounts tell of the rest by themselves.
    pub fn lost(&mut self, losses: CaptureLosses, first_ts: i64, last_ts: i64) {
        let before = self.losses.recorded.unwrap_or(0);
        let packets = losses.recorded.unwrap_or(0).saturating_sub(before);
        self.losses = losses;
        let packets = Some(packets);
        self.dropped(Drops {
            place: DropPlace::Recorded,
            ts_lo: first_ts,
            ts_hi: last_ts,
            packets,
        });
    }

    /// Adds drops that were counted.
    pub fn dropped(&mut self, drops: Drops) {
        drops::add(&mut self.drops, drops);
    }
}

impl DecodeSettings {
    /// Whether nothing was to be taken over from earlier captures.
    pub fn is_fresh(&self) -> bool {
        let fresh = self.config.get("decode").and_then(|decode| decode.get("fresh"));
        fresh.and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}

impl ImportManifest {
    /// The segments of a table, in order.
    pub fn files_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Segment> {
        self.files.iter().filter(move |file| file.table == table)
    }

    /// Whether its packets are somewhere else: the node that shipped it kept them.
    pub fn is_without_packets(&self) -> bool {
        self.counters.packets > 0 && self.files_of("packets").next().is_none()
    }

    /// What a correlation of this import is made from.
    pub fn input(&self) -> Input {
        Input { capture_id: self.capture_id, revision: self.revision }
    }

    /// Its file below the store.
    pub fn path(&self) -> String {
        format!("manifests/{}-{}.json", self.point, hex(self.capture_id))
    }
}

/// The current files of the tables that correlation makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrelateManifest {
    /// Store format it was written with.
    pub format: u32,
    /// Version that wrote it.
    pub software: String,
    /// Hash of the configuration.
    pub config_hash: String,
    /// Counts up with every replacement.
    pub generation: u64,
    /// What it was made from.
    pub inputs: Vec<Input>,
    /// Whether it was made while messages came: not the last word on them.
    #[serde(default)]
    pub live: bool,
    /// The segments, each table's in order.
    pub files: Vec<Segment>,
    /// Segments of before that queries may still read.
    #[serde(default)]
    pub superseded: Vec<Superseded>,
}

/// A segment that is no longer current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Superseded {
    /// Its file, below the store.
    pub path: String,
    /// Since when, s since the epoch.
    pub at_s: u64,
}

impl CorrelateManifest {
    /// The segments of a table, in order.
    pub fn files_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Segment> {
        self.files.iter().filter(move |file| file.table == table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_with_their_time_where_the_count_moved() {
        let losses = |recorded| CaptureLosses { recorded, ..CaptureLosses::default() };
        let mut counters = Counters::default();
        counters.lost(losses(Some(0)), 0, 10);
        counters.lost(losses(Some(3)), 10, 20);
        counters.lost(losses(Some(3)), 20, 30);
        counters.lost(losses(Some(4)), 30, 40);
        let place = DropPlace::Recorded;
        let drops = |ts_lo, ts_hi, n| Drops { place, ts_lo, ts_hi, packets: Some(n) };
        assert_eq!(counters.drops, [drops(10, 20, 3), drops(30, 40, 1)]);
        assert_eq!(counters.losses.total(), Some(4));
        assert_eq!(CaptureLosses::default().total(), None);
    }
}
