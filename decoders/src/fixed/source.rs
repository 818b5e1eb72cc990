//! The protocol file as TOML has it, before anything is checked.
//!
//! Unknown keys are errors. What a later message must point at keeps its place
//! in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::fixed::error::Fault;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Who and what.
    pub protocol: Protocol,
    /// `[clock.NAME]`.
    #[serde(default)]
    pub clock: BTreeMap<String, Spanned<ClockTable>>,
    /// `[types]`: names for wire types with a meaning.
    #[serde(default)]
    pub types: BTreeMap<String, Spanned<TypeTable>>,
    /// `[enum.NAME]`: wire code to word.
    #[serde(default, rename = "enum")]
    pub enums: BTreeMap<String, Spanned<BTreeMap<String, String>>>,
    /// `[tlv.NAME]`: element lists at the end of a message.
    #[serde(default)]
    pub tlv: BTreeMap<String, Spanned<TlvTable>>,
    /// `[bitfields.NAME]`: fields that bits of the message choose.
    #[serde(default)]
    pub bitfields: BTreeMap<String, Spanned<BitfieldsTable>>,
    /// `[struct.NAME]`: fields that stand together, once or many times.
    #[serde(default, rename = "struct")]
    pub structs: BTreeMap<String, Spanned<StructTable>>,
    /// `[common]`: how every message begins.
    pub common: Option<Spanned<Part>>,
    /// `[mixin.NAME]`: fields that follow the common ones in some messages.
    #[serde(default)]
    pub mixin: BTreeMap<String, Spanned<Part>>,
    /// `[msg.CODE]`: messages that either end may send.
    #[serde(default)]
    pub msg: BTreeMap<String, Spanned<Message>>,
    /// `[client.msg.CODE]`: messages of the end that connected.
    #[serde(default)]
    pub client: Side,
    /// `[server.msg.CODE]`: messages of the end that listens.
    #[serde(default)]
    pub server: Side,
}

/// `[protocol]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// `venue.product.version`, lower case.
    pub id: Spanned<String>,
    /// The protocol's name for people.
    pub title: String,
    /// Document, version and date the layouts were read in.
    pub source: String,
    /// MICs of the venues that speak it.
    pub venues: Vec<String>,
    /// Ids of the framings that carry it.
    pub framings: Vec<String>,
    /// Whether others are guessed before it.
    #[serde(default)]
    pub rare: bool,
    /// IANA time zone whose midnight ends a trading day; where absent, that of
    /// the first clock with one, else UTC.
    pub tz: Option<Spanned<String>>,
    /// `big` or `little`, for types that do not say.
    pub endian: Spanned<String>,
    /// Where the message code is.
    pub code: Spanned<Code>,
    /// Id of a shipped file whose tables this one has too, but for those it
    /// writes itself.
    pub base: Option<Spanned<String>>,
    /// The field that says the release, as the id has it behind venue and
    /// product: a message that says another is of another version.
    pub release: Option<String>,
    /// Codes of the base's messages that this version does not have.
    #[serde(default)]
    pub drop: Vec<String>,
}

/// `code = { at = 0, type = "c1" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Offset in the message.
    pub at: u32,
    /// `c1`, `a2` or an integer of up to four bytes.
    #[serde(rename = "type")]
    pub wire: String,
}

/// `[clock.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockTable {
    /// `ns`, `us`, `ms` or `s`.
    pub unit: Option<String>,
    /// `midnight`, `epoch`, `calendar` or `hhmmss`.
    pub since: String,
    /// IANA time zone, of all but `epoch`.
    pub tz: Option<String>,
    /// Digits of a `hhmmss` count.
    pub digits: Option<u32>,
    /// What is added to the field: seconds that stand elsewhere.
    pub plus: Option<PlusTable>,
}

/// `plus = { field }` or `plus = { table, key, value }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlusTable {
    /// A field of the message.
    pub field: Option<String>,
    /// A learned table.
    pub table: Option<String>,
    /// Its key.
    pub key: Option<Key>,
    /// Its value.
    pub value: Option<String>,
    /// What it counts; seconds where it is not said.
    pub unit: Option<String>,
}

/// The key of a learned table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A field of the message.
    Field(String),
    /// A value that was learned itself.
    Learned(Box<LearnedKey>),
}

/// `{ table, key, value }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedKey {
    /// The table's name.
    pub table: String,
    /// Its key; without one the table has one entry.
    pub key: Option<Key>,
    /// The value's name.
    pub value: String,
}

/// Places after the point: always the same, or told elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scale {
    /// Always so many.
    Places(i32),
    /// By a field of the message.
    Field(ScaleField),
    /// By the last character of the digits.
    Last(ScaleLast),
    /// Learned.
    Learned(LearnedKey),
}

/// `scale = { field, enum }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleField {
    /// The field with the places or their code.
    pub field: String,
    /// Codes to what the number is multiplied with.
    #[serde(rename = "enum")]
    pub codes: Option<String>,
}

/// `scale = { last, }`: the last character of digits may be a code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleLast {
    /// `[enum.NAME]` of the characters that are no digit.
    pub last: String,
}

/// A line of `[types]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeTable {
    /// The bytes: `u32`, `i64le`, `c1`, `a8`, `b16`.
    pub wire: String,
    /// Places after the point.
    pub scale: Option<Scale>,
    /// The field whose `-` makes the number negative.
    pub sign: Option<String>,
    /// Raw values that mean "no value".
    #[serde(default)]
    pub null: Vec<Number>,
    /// `right` (default), `left`, `both` or `none`.
    pub trim: Option<String>,
}

/// A number that may be too large for TOML's integers, then in quotes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// As TOML writes it.
    Int(i64),
    /// Decimal or `0x` hexadecimal text.
    Text(String),
}

/// `[tlv.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlvTable {
    /// Type of the length.
    pub length: String,
    /// What the length counts: `value` (tag and value, the default), `all`
    /// (itself too) or `only_value`.
    pub includes: Option<String>,
    /// Type of the tag that follows it.
    pub tag: String,
    /// Layout lines with the tag's number in the place of an offset.
    pub elements: Spanned<String>,
}

/// `[bitfields.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitfieldsTable {
    /// Layout lines with `byte.bit` in the place of an offset.
    pub fields: Spanned<String>,
}

/// `[struct.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StructTable {
    /// Whether every entry is a row of its own.
    #[serde(default)]
    pub rows: bool,
    /// Field that counts all bytes of an entry.
    pub length: Option<String>,
    /// Layout lines.
    pub layout: Spanned<String>,
    /// Vocabulary columns that are the same in every entry.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// What an entry teaches.
    #[serde(default)]
    pub learn: Vec<Spanned<Learn>>,
    /// Columns to fill from a learned table.
    #[serde(default)]
    pub lookup: Vec<Spanned<Lookup>>,
}

/// `[common]` and `[mixin.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Layout lines.
    pub layout: Spanned<String>,
    /// Columns to fill from a learned table.
    #[serde(default)]
    pub lookup: Vec<Spanned<Lookup>>,
}

/// The messages of one end.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// By code.
    #[serde(default)]
    pub msg: BTreeMap<String, Spanned<Message>>,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The venue's name for it.
    pub name: String,
    /// A word of the `kind` vocabulary; inherited where absent.
    pub kind: Option<String>,
    /// Bytes up to the first item whose place or size varies.
    pub size: u32,
    /// Shorter sizes at which the message may also end.
    #[serde(default)]
    pub may_end_at: Vec<u32>,
    /// Code of the message, of the same end, whose fields come first.
    pub extends: Option<String>,
    /// Mixin whose fields come after the common ones.
    pub mixin: Option<String>,
    /// Layout lines.
    pub layout: Option<Spanned<String>>,
    /// Vocabulary columns that are the same in every such message.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// What the message teaches.
    #[serde(default)]
    pub learn: Vec<Spanned<Learn>>,
    /// Columns to fill from a learned table.
    #[serde(default)]
    pub lookup: Vec<Spanned<Lookup>>,
}

/// `learn = [{ table, key, set = { value = "field" }, when }]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// The table's name.
    pub table: String,
    /// Field with the key; without one the table has one entry.
    pub key: Option<String>,
    /// Value name to the field that holds it, perhaps `field : enum.NAME`.
    pub set: BTreeMap<String, String>,
    /// `always` (default), or `absent`: only where the key is not known yet.
    pub when: Option<String>,
}

/// `lookup = [{ table, key, get = { column = "value" } }]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The table's name.
    pub table: String,
    /// Its key; without one the table has one entry.
    pub key: Option<Key>,
    /// Column to value name.
    pub get: BTreeMap<String, String>,
}

/// The file's text, to tell lines.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

impl Text<'_> {
    /// The line, from 1, of a byte.
    pub fn line_at(self, byte: usize) -> usize {
        let before = self.0.as_bytes().get(..byte).unwrap_or(self.0.as_bytes());
        1 + memchr::memchr_iter(b'\n', before).count()
    }

    /// The line a value starts on.
    pub fn line_of<T>(self, value: &Spanned<T>) -> usize {
        self.line_at(value.span().start)
    }

    /// The line of the first character of a string's content: the next one
    /// where the string opens with `"""` and a newline, which TOML drops.
    pub fn first_line_of(self, value: &Spanned<String>) -> usize {
        let raw = self.0.get(value.span().start..).unwrap_or_default();
        let opens_below = ["\"\"\"\n", "\"\"\"\r\n", "'''\n", "'''\r\n"];
        let below = opens_below.iter().any(|open| raw.starts_with(open));
        self.line_of(value) + usize::from(below)
    }
}

/// Reads the TOML.
pub fn parse(text: &str) -> Result<File, Fault> {
    toml::from_str(text).map_err(|error| {
        let byte = error.span().map_or(0, |span| span.start);
        Fault::new(Text(text).line_at(byte), error.message())
    })
}

impl Number {
    /// The value in 64 bits, negative numbers in two's complement of `width`
    /// bytes. `None` where it does not fit.
    pub fn raw(&self, width: u32) -> Option<u64> {
        let mask = u64::MAX.checked_shr(64u32.checked_sub(8 * width)?)?;
        let value = match self {
            Self::Int(value) => i128::from(*value),
            Self::Text(text) => i128::from(number(text)?),
        };
        let low = -(i128::from(mask) / 2) - 1;
        (low..=i128::from(mask)).contains(&value).then_some(value as u64 & mask)
    }
}

/// A decimal or `0x` hexadecimal number; `_` may stand between digits.
pub fn number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_are_as_wide_as_their_type() {
        assert_eq!(Number::Int(-1).raw(2), Some(0xFFFF));
        assert_eq!(Number::Int(0x1_0000).raw(2), None);
        assert_eq!(Number::Text("0xFFFF_FFFF_FFFF_FFFF".into()).raw(8), Some(u64::MAX));
        assert_eq!(Number::Int(i64::MIN).raw(8), Some(1 << 63));
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line() {
        let fault = parse("[protocol]\nid = \"a.b.1\"\ncolour = 3\n").unwrap_err();
        assert_eq!(fault.line, 3);
        assert!(fault.reason.contains("colour"), "{}", fault.reason);
    }
}
