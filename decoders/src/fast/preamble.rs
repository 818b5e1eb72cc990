//! The bytes before the FAST messages of a datagram: every venue has its own.
//!
//! ```text
//! "u32le seq"                          02 66 01 00 | c0 13 d9 ...   Moscow: seq 91650
//! "u32be seq", "u8 subchannel"         00 00 00 07 01 | c0 ...      CQG, old CME
//! "stop length"                        85 | c0 13 d9 05 81          block length, stop-bit coded
//! "5 bytes"                            five bytes of no known meaning
//! ```
//!
//! A field is `TYPE NAME` or `NAME:TYPE`; types are `u8`, `u16le`, `u16be`,
//! `u32le`, `u32be`, `u64le`, `u64be`, `stop` (a FAST integer) and `N bytes`.
//! The names `seq`, `channel` (or `subchannel`) and `length` (bytes of the
//! message that follows) have a meaning; others are only shown.

use super::wire::Wire;
use crate::field::{Field, Value};

/// Most opaque bytes a preamble may have.
pub const PREAMBLE_MAX: usize = 1024;

/// The layout of the bytes before a datagram's FAST messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preamble {
    fields: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    what: PartType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartType {
    Fixed { bytes: usize, big_endian: bool },
    Stop,
    Opaque { bytes: usize },
}

/// A preamble that cannot be understood, or bytes that are too few for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// The config's text.
    #[error(
        "preamble field {0:?}: expected a type and a name such as \"u32le seq\", or \"4 bytes\""
    )]
    Spec(String),
    /// The datagram ends inside the preamble.
    #[error("preamble field {name} at byte {offset}: needed {needed}, had {had}")]
    Short {
        /// The field.
        name: String,
        /// Where it begins.
        offset: usize,
        /// Bytes it needs, at least.
        needed: usize,
        /// Bytes there were.
        had: usize,
    },
}

/// What a preamble said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes of the preamble.
    pub len: usize,
    /// Sequence number of the datagram.
    pub seq: Option<u64>,
    /// Channel or subchannel.
    pub channel: Option<u32>,
    /// Bytes of the message that follows.
    pub length: Option<usize>,
    /// Whose sequence number it is, where senders share a channel.
    pub sender: Option<u64>,
    /// When it was sent, ns since the epoch.
    pub ts_send: Option<i64>,
}

impl Preamble {
    /// No bytes before the message.
    pub fn none() -> Self {
        Self::default()
    }

    /// `count` bytes that mean nothing to us.
    ///
    /// # Errors
    /// More than [`PREAMBLE_MAX`].
    pub fn opaque(count: usize) -> Result<Self, PreambleError> {
        match count {
            0 => Ok(Self::none()),
            _ => Self::parse(&[format!("{count} bytes")]),
        }
    }

    /// A list of fields, in the order of the wire.
    ///
    /// # Errors
    /// The first field that is not of the form the module describes.
    pub fn parse<S: AsRef<str>>(fields: &[S]) -> Result<Self, PreambleError> {
        let fields: Result<Vec<Part>, PreambleError> = fields
            .iter()
            .map(|text| {
                part(text.as_ref()).ok_or_else(|| PreambleError::Spec(text.as_ref().into()))
            })
            .collect();
        Ok(Self { fields: fields? })
    }

    /// Whether a length says where each message ends; such a preamble stands
    /// before each message.
    pub fn has_length(&self) -> bool {
        self.fields.iter().any(|part| part.name == "length")
    }

    /// Reads the preamble at the start of `bytes`.
    ///
    /// # Errors
    /// [`PreambleError::Short`].
    pub fn read(&self, bytes: &[u8]) -> Result<Prefix, PreambleError> {
        let mut prefix = Prefix::default();
        self.walk(bytes, |part, value, _, to| {
            prefix.len = to;
            let Some(value) = value else { return };
            match part.name.as_str() {
                "seq" => prefix.seq = Some(value),
                "channel" | "subchannel" => prefix.channel = u32::try_from(value).ok(),
                "length" => prefix.length = usize::try_from(value).ok(),
                _ => {}
            }
        })?;
        Ok(prefix)
    }

    /// The preamble's fields, for people; they tile its bytes.
    ///
    /// # Errors
    /// [`PreambleError::Short`].
    pub fn explain(&self, bytes: &[u8]) -> Result<Vec<Field>, PreambleError> {
        let mut fields = Vec::new();
        self.walk(bytes, |part, value, from, to| {
            let raw = || Value::Bytes(bytes.get(from..to).unwrap_or(&[]).into());
            fields.push(Field {
                name: part.name.clone(),
                path: part.name.clone(),
                offset: u32::try_from(from).unwrap_or(u32::MAX),
                size: u32::try_from(to - from).unwrap_or(u32::MAX),
                value: value.map_or_else(raw, |value| Value::Int(value.into())),
            });
        })?;
        Ok(fields)
    }

    /// Each field with its number (opaque ones have none) and its range.
    fn walk(
        &self,
        bytes: &[u8],
        mut found: impl FnMut(&Part, Option<u64>, usize, usize),
    ) -> Result<(), PreambleError> {
        let mut at = 0;
        for part in &self.fields {
            let rest = bytes.get(at..).unwrap_or(&[]);
            let Some((value, len)) = part.what.read(rest) else {
                let needed = part.what.needed(rest.len());
                let (name, had) = (part.name.clone(), rest.len());
                return Err(PreambleError::Short { name, offset: at, needed, had });
            };
            found(part, value, at, at + len);
            at += len;
        }
        Ok(())
    }
}

impl PartType {
    fn read(self, bytes: &[u8]) -> Option<(Option<u64>, usize)> {
        match self {
            Self::Opaque { bytes: count } => bytes.get(..count).map(|_| (None, count)),
            Self::Stop => {
                let mut wire = Wire::new(bytes);
                let value = wire.uint(u64::MAX).ok()?;
                Some((Some(value), wire.pos()))
            }
            Self::Fixed { bytes: count, big_endian } => {
                let raw = bytes.get(..count)?;
                let push = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
                let value = match big_endian {
                    true => raw.iter().fold(0, push),
                    false => raw.iter().rev().fold(0, push),
                };
                Some((Some(value), count))
            }
        }
    }

    fn needed(self, had: usize) -> usize {
        match self {
            Self::Fixed { bytes, .. } | Self::Opaque { bytes } => bytes,
            Self::Stop => had + 1,
        }
    }
}

fn part(text: &str) -> Option<Part> {
    let text = text.trim();
    if let Some((name, what)) = text.split_once(':') {
        return Some(Part { name: name.trim().into(), what: part_type(what.trim())? });
    }
    let (first, second) = text.split_once(char::is_whitespace)?;
    let (first, second) = (first.trim(), second.trim());
    if second == "bytes" || second == "byte" {
        let bytes = first.parse().ok().filter(|&bytes| (1..=PREAMBLE_MAX).contains(&bytes))?;
        return Some(Part { name: "preamble".into(), what: PartType::Opaque { bytes } });
    }
    Some(Part { name: second.into(), what: part_type(first)? })
}

fn part_type(text: &str) -> Option<PartType> {
    let fixed = |bytes, big_endian| Some(PartType::Fixed { bytes, big_endian });
    match text {
        "u8" => fixed(1, true),
        "u16le" => fixed(2, false),
        "u16be" => fixed(2, true),
        "u32le" => fixed(4, false),
        "u32be" => fixed(4, true),
        "u64le" => fixed(8, false),
        "u64be" => fixed(8, true),
        "stop" => Some(PartType::Stop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_of_the_module_doc() {
        let preamble = Preamble::parse(&["u32le seq"]).unwrap();
        let prefix = preamble.read(&[0x02, 0x66, 0x01, 0x00, 0xc0]).unwrap();
        assert_eq!((prefix.len, prefix.seq), (4, Some(91_650)));

        let preamble = Preamble::parse(&["seq:u32be", "u8 subchannel"]).unwrap();
        let prefix = preamble.read(&[0, 0, 0, 7, 1, 0xc0]).unwrap();
        assert_eq!((prefix.len, prefix.seq, prefix.channel), (5, Some(7), Some(1)));

        let preamble = Preamble::parse(&["stop length"]).unwrap();
        assert!(preamble.has_length());
        assert_eq!(preamble.read(&[0x85, 1]).unwrap().length, Some(5));
    }

    #[test]
    fn too_few_bytes_say_where() {
        let preamble = Preamble::parse(&["u16be flags", "u64le seq"]).unwrap();
        let error = preamble.read(&[1, 2, 3]).unwrap_err();
        assert_eq!(error.to_string(), "preamble field seq at byte 2: needed 8, had 1");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "seq", "u24le seq", "0 bytes", "9999999999 bytes", "seq:float"] {
            assert!(Preamble::parse(&[text]).is_err(), "{text:?}");
        }
        assert!(Preamble::opaque(PREAMBLE_MAX + 1).is_err());
    }

    proptest! {
        #[test]
        fn fields_tile_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            let fields = ["stop a", "u16le seq", "3 bytes", "u8 channel"];
            let preamble = Preamble::parse(&fields).unwrap();
            if let (Ok(prefix), Ok(fields)) = (preamble.read(&bytes), preamble.explain(&bytes)) {
                let mut end = 0;
                for field in fields {
                    prop_assert_eq!(field.offset, end);
                    end += field.size;
                }
                prop_assert_eq!(end as usize, prefix.len);
            }
        }
    }
}
