//! A point: a named place on the wire where packets are captured.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest point name, in bytes: it becomes part of file names.
pub const POINT_NAME_MAX: usize = 64;

/// A point's name: 1 to [`POINT_NAME_MAX`] bytes of `A-Z a-z 0-9 _ . -`, not
/// starting with a dot, so that it can stand in a path and in a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PointName(String);

impl PointName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PointName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if name.is_empty() || name.len() > POINT_NAME_MAX || name.starts_with('.') {
            return Err(format!(
                "point name {name:?}: needs 1 to {POINT_NAME_MAX} characters, the first not a dot"
            ));
        }
        match name.chars().find(|&c| !fits(c)) {
            Some(c) => Err(format!(
                "point name {name:?}: {c:?} is not allowed, only letters, digits, '_', '.' and '-'"
            )),
            None => Ok(Self(name)),
        }
    }
}

impl From<PointName> for String {
    fn from(name: PointName) -> String {
        name.0
    }
}

impl fmt::Display for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a point's packet times come from. A packet without the stamp keeps the
/// record's time and says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampFrom {
    /// The capture record's own time.
    #[default]
    Record,
    /// Whatever the packets prove or agree on, else the record's.
    Auto,
    /// The Metamako / Arista 7130 MetaWatch trailer.
    Metamako,
    /// The Exablaze / Cisco Nexus 3550-F high-precision trailer.
    Exablaze,
    /// The older Exablaze modes: ticks, with key frames.
    #[serde(rename = "exablaze-ticks")]
    ExablazeTicks,
    /// The cPacket trailer.
    Cpacket,
    /// The Ixia trailer.
    Ixia,
    /// Either of the Gigamon trailers.
    Gigamon,
    /// The VSS Monitoring (APCON) trailer.
    Vss,
    /// The footer that exact-capture writes behind each packet.
    Expcap,
    /// The Arista 7280 / 7500R header.
    Arista7280,
    /// The Arista 7280 time in place of the source address, in UTC.
    #[serde(rename = "arista7280-mac")]
    Arista7280Mac,
    /// The same in international atomic time.
    #[serde(rename = "arista7280-mac-tai")]
    Arista7280MacTai,
    /// Ticks of an Arista 7150, with key frames.
    Arista7150,
    /// A Cisco TTAG.
    Ttag,
    /// The time in an ERSPAN type III header.
    Erspan,
}

/// Which bit of the frame the stamp belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FramePoint {
    /// The first bit.
    #[default]
    Start,
    /// The last bit.
    End,
}

/// Which way packets go that a live point keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveDirection {
    /// Either way.
    #[default]
    Both,
    /// Received by the interface.
    In,
    /// Sent by it.
    Out,
}

/// One `[[point]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointConfig {
    /// The point's name.
    pub name: PointName,
    /// The clock that stamps here. Points that name the same clock have no
    /// offset between them; without one the point has a clock of its own.
    #[serde(default)]
    pub clock: Option<String>,
    /// Where packet times come from.
    #[serde(default)]
    pub timestamp: TimestampFrom,
    /// EtherType of the TTAG, where it is not 0x88B5.
    #[serde(default)]
    pub ttag_ethertype: Option<u16>,
    /// Which bit of the frame was stamped; an end is brought to the start, for
    /// which `link_gbps` is needed.
    #[serde(default)]
    pub frame_point: FramePoint,
    /// Speed of the link, for the wire time of a frame.
    #[serde(default)]
    pub link_gbps: Option<u32>,
    /// Live capture: the network interface.
    #[serde(default)]
    pub interface: Option<String>,
    /// Live capture: a filter in libpcap's language, instead of `[capture]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Live capture: bytes kept of each packet, instead of `[capture]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snaplen: Option<u32>,
    /// Live capture: whether the interface is put into promiscuous mode,
    /// instead of `[capture]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promiscuous: Option<bool>,
    /// Live capture: which way packets must go.
    #[serde(default)]
    pub direction: LiveDirection,
    /// Live capture: the kernel's ring in MiB, instead of `[capture]`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_mib: Option<u32>,
    /// Live capture: the processor that the reading thread stays on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<usize>,
    /// Live capture: whether the adapter is asked to stamp every packet with its
    /// own clock, which must then be kept on time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adapter_stamps: bool,
    /// The noise of one stamp here in nanoseconds (half width), where known.
    #[serde(default)]
    pub stamp_noise_ns: Option<u32>,
}

impl PointConfig {
    /// A point of which nothing but the name is known.
    pub fn named(name: PointName) -> Self {
        Self {
            name,
            clock: None,
            timestamp: TimestampFrom::Record,
            ttag_ethertype: None,
            frame_point: FramePoint::Start,
            link_gbps: None,
            interface: None,
            filter: None,
            snaplen: None,
            promiscuous: None,
            direction: LiveDirection::Both,
            buffer_mib: None,
            cpu: None,
            adapter_stamps: false,
            stamp_noise_ns: None,
        }
    }

    /// What of this section cannot be done, in words.
    pub fn contradictions(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if self.frame_point == FramePoint::End && self.link_gbps.is_none_or(|gbps| gbps == 0) {
            errors.push(format!(
                "[[point]] {}: frame_point = \"end\" needs link_gbps, by which the end is brought to the start",
                self.name
            ));
        }
        if self.ttag_ethertype.is_some() && self.timestamp != TimestampFrom::Ttag {
            errors.push(format!(
                "[[point]] {}: ttag_ethertype is for timestamp = \"ttag\" only",
                self.name
            ));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_frame_needs_a_speed() {
        let mut point = PointConfig::named(PointName("P1".to_string()));
        assert!(point.contradictions().is_empty());
        point.frame_point = FramePoint::End;
        point.ttag_ethertype = Some(0x88b5);
        assert_eq!(point.contradictions().len(), 2);
        point.link_gbps = Some(10);
        point.timestamp = TimestampFrom::Ttag;
        assert!(point.contradictions().is_empty());
    }
}
