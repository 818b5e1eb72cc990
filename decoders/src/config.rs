//! What a configuration says about decoding: feeds, sessions and where to find
//! the files that venues give their members.
//!
//! ```toml
//! [[feed]]
//! protocol = "nasdaq.totalview-itch.5.0"
//! group = "233.54.12.101"
//! port = 26477
//! ```

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A `[[feed]]`: a channel of datagrams. Without group and port it is every
/// UDP flow that no other feed names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Protocol id; with `templates` any name you like.
    pub protocol: String,
    /// Line (`A`, `B`) where the feed is sent twice.
    #[serde(default)]
    pub line: Option<String>,
    /// Destination address.
    #[serde(default)]
    pub group: Option<IpAddr>,
    /// Destination port.
    #[serde(default)]
    pub port: Option<u16>,
    /// Channel number for the rows.
    #[serde(default)]
    pub channel: Option<u32>,
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// FAST: the templates file, in the folder of `[decode] schemas`.
    #[serde(default)]
    pub templates: Option<String>,
    /// FAST: a venue's way of sending, which the keys below change.
    #[serde(default)]
    pub profile: Option<String>,
    /// FAST, and FIX in datagrams: the bytes before the message.
    #[serde(default)]
    pub preamble: Option<PreambleConfig>,
    /// FAST: when previous values are forgotten: `never`, `message`,
    /// `datagram` or `template`.
    #[serde(default)]
    pub reset: Option<String>,
    /// FAST: a template id that means "forget" though no template has it.
    #[serde(default)]
    pub implicit_template: Option<u32>,
}

/// The bytes before a FAST message: how many, or what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PreambleConfig {
    /// So many bytes of no known meaning.
    Bytes(usize),
    /// Fields such as `"u32le seq"`.
    Fields(Vec<String>),
}

/// A `[[session]]`: TCP connections to one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// Protocol id.
    pub protocol: String,
    /// The server's address.
    pub server: IpAddr,
    /// The server's port.
    pub port: u16,
    /// FIX: the user tag with the feed sequence that triggered an order; short
    /// for a [`tags`](Self::tags) entry with the column `trigger_seq`.
    #[serde(default)]
    pub trigger_tag: Option<u32>,
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// FIX: `[[session.tag]]`, tags of the venue's own.
    #[serde(default, rename = "tag", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<FixTagConfig>,
}

/// A `[[session.tag]]` or `[[decode.fix_tag]]`: what a FIX tag means at a
/// venue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixTagConfig {
    /// Its number.
    pub tag: u32,
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// How its value is read: see [`TYPES`](crate::fix::user::TYPES).
    #[serde(default, rename = "type")]
    pub tag_type: Option<String>,
    /// Column of `messages` that it fills.
    #[serde(default)]
    pub column: Option<String>,
    /// Whether it is shown only where secrets are.
    #[serde(default)]
    pub secret: bool,
}

impl FixTagConfig {
    /// The tag with the feed sequence that triggered an order.
    pub fn trigger(tag: u32) -> Self {
        Self { tag, column: Some("trigger_seq".to_owned()), ..Self::default() }
    }
}

/// `[decode]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeConfig {
    /// Folder with SBE schemas and FAST templates.
    #[serde(default)]
    pub schemas: Option<String>,
    /// Folder with protocol files of your own.
    #[serde(default)]
    pub protocols: Option<String>,
    /// Begin every capture without what earlier ones of its point taught.
    #[serde(default)]
    pub fresh: bool,
    /// Show passwords in explanations, and keep them in rows.
    #[serde(default)]
    pub show_secrets: bool,
    /// FIX: `[[decode.fix_tag]]`, tags of every session.
    #[serde(default, rename = "fix_tag", skip_serializing_if = "Vec::is_empty")]
    pub fix_tags: Vec<FixTagConfig>,
}

/// Everything a decoder is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// The `[[feed]]`s.
    #[serde(default, rename = "feed")]
    pub feeds: Vec<FeedConfig>,
    /// The `[[session]]`s.
    #[serde(default, rename = "session")]
    pub sessions: Vec<SessionConfig>,
    /// `[decode]`.
    #[serde(default)]
    pub decode: DecodeConfig,
    /// The protocol of every flow, where the command line names one.
    #[serde(skip)]
    pub protocol: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_design_shows() {
        let config: DecoderConfig = toml::from_str(
            r#"
            [[feed]]
            protocol = "nasdaq.totalview-itch.5.0"
            line = "A"
            group = "233.54.12.101"
            port = 26477
            [[feed]]
            protocol = "bus"
            templates = "bus.xml"
            preamble = ["u32le seq"]
            [[session]]
            protocol = "fix.4.4"
            server = "10.20.5.9"
            port = 9101
            trigger_tag = 9717
            [[session.tag]]
            tag = 5979
            name = "RequestTime"
            type = "epoch-ns"
            column = "ts_exch"
            [decode]
            schemas = "schemas/"
            [[decode.fix_tag]]
            tag = 20001
            secret = true
            "#,
        )
        .unwrap();
        assert_eq!(config.feeds.len(), 2);
        assert_eq!(
            config.feeds[1].preamble,
            Some(PreambleConfig::Fields(vec!["u32le seq".into()]))
        );
        assert_eq!(config.sessions[0].trigger_tag, Some(9717));
        assert_eq!(config.sessions[0].tags[0].column.as_deref(), Some("ts_exch"));
        assert!(config.decode.fix_tags[0].secret);
    }

    #[test]
    fn refuses_unknown_keys() {
        let error = toml::from_str::<DecoderConfig>("[[feed]]\nprotocol = 'x'\nports = 3\n");
        assert!(error.unwrap_err().to_string().contains("ports"));
    }
}
