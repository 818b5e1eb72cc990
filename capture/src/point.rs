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

/// Where a point's packet times come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampFrom {
    /// The capture record's own time.
    #[default]
    Record,
    /// The Metamako / Arista 7130 MetaWatch trailer; the record's time where a
    /// packet carries none.
    Metamako,
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
    /// Which bit of the frame was stamped.
    #[serde(default)]
    pub frame_point: FramePoint,
    /// Speed of the link, for the wire time of a frame.
    #[serde(default)]
    pub link_gbps: Option<u32>,
    /// Live capture: the network interface.
    #[serde(default)]
    pub interface: Option<String>,
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
            frame_point: FramePoint::Start,
            link_gbps: None,
            interface: None,
            stamp_noise_ns: None,
        }
    }
}
