//! A message taken apart, every byte of it.
//!
//! ```text
//! 5 5 = A L F A ␁   name Symbol, path Symbol, offset of the first 5, size 8
//! ```
//!
//! A field's bytes are its tag, `=`, its value and the SOH, so that fields
//! tile the message; other dissectors begin at the same place and leave the
//! SOH out.

use super::SOH;
use super::columns::{Row, Slot, Slots};
use super::decode::FixDecoder;
use super::dictionary::{Dictionary, FieldType, Version};
use super::fields::{Fields, RawField};
use super::framing;
use super::groups::{Structure, TOP};
use super::secrets::is_secret;
use super::user::{self, UserTags, UserType};
use super::values::{self, Parsed};
use crate::field::{Explained, Field, SECRET, Value};
use crate::names::latin1;

/// What names and values of one message's fields depend on.
struct Known<'a> {
    dictionary: &'static Dictionary,
    user: &'a UserTags,
    msg: &'a [u8],
    msg_type: &'a [u8],
    show_secrets: bool,
}

impl FixDecoder {
    /// Names, paths and values of all fields of one message; `user` are the
    /// tags that the configuration explains. Sessions seen by
    /// [`decode`](Self::decode) lend their application version.
    pub fn explain(&self, msg: &[u8], user: &UserTags) -> Explained {
        let begin = framing::begin_string(msg).unwrap_or_default();
        let mut version = Version::of_begin_string(begin);
        let mut reader = Fields::new(msg, Dictionary::of(version));
        let fields: Vec<RawField> = reader.by_ref().collect();
        let mut slots = Slots::default();
        fields.iter().enumerate().for_each(|(at, field)| slots.note(field.tag, at));
        let row = Row { msg, fields: &fields, slots: &slots };
        let msg_type = row.get(Slot::MsgType).unwrap_or_default();
        if begin == b"FIXT.1.1" {
            version = self.sessions.version(msg_type, &row);
        }
        let dictionary = Dictionary::of(version);
        let message = dictionary.message(msg_type);
        let mut structure = Structure::default();
        structure.build(dictionary, message, msg, &fields);
        let show_secrets = self.config.show_secrets;
        let known = Known { dictionary, user, msg, msg_type, show_secrets };
        let paths = Paths::of(&known, &structure);
        let placed = fields.iter().zip(&structure.place);
        Explained {
            msg_type: latin1(msg_type),
            name: message.map_or_else(String::new, |m| m.name.to_owned()),
            fields: placed.map(|(f, &at)| known.field(&paths, f, at)).collect(),
            error: error(msg, &fields, &structure, reader.irregular()),
        }
    }
}

impl Known<'_> {
    fn field(&self, paths: &Paths, field: &RawField, place: u32) -> Field {
        let name = self.name(field.tag);
        let end = (field.end as usize + 1).min(self.msg.len());
        Field {
            path: format!("{}{name}", paths.prefix(place)),
            name,
            offset: field.start,
            size: (end - field.start as usize) as u32,
            value: self.value(field),
        }
    }

    fn value(&self, field: &RawField) -> Value {
        let text = field.value(self.msg);
        if !self.show_secrets && is_secret(field.tag, self.msg_type, self.user) {
            return Value::Text(SECRET.to_owned());
        }
        let own = self.user.get(field.tag).and_then(|tag| tag.user_type);
        let standard = || self.dictionary.field(field.tag).map(|def| def.field_type);
        match (field.tag, own) {
            (0, _) => typed(FieldType::Data, text),
            (_, Some(UserType::Standard(own))) => typed(own, text),
            (_, Some(UserType::Epoch(unit_ns))) => {
                user::epoch(text, unit_ns).map_or_else(|| Value::Text(latin1(text)), Value::Time)
            }
            (_, None) => typed(standard().unwrap_or(FieldType::Text), text),
        }
    }

    /// A tag's name: the configuration's, its version's, the newest's, since
    /// numbers are never given twice; else the number.
    fn name(&self, tag: u32) -> String {
        if let Some(name) = self.user.get(tag).and_then(|tag| tag.name.clone()) {
            return name;
        }
        let newest = || Dictionary::of(Version::Fix50Sp2).field(tag);
        match self.dictionary.field(tag).or_else(newest) {
            Some(def) => def.name.to_owned(),
            None if tag == 0 => "unknown".to_owned(),
            None => tag.to_string(),
        }
    }
}

/// The value as its type reads it; as text where it is written otherwise.
fn typed(field_type: FieldType, text: &[u8]) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let value = match field_type {
        FieldType::Int => integer(text).map(Value::Int),
        FieldType::Decimal => values::decimal(text)
            .value()
            .map(|(mantissa, scale)| Value::Decimal { mantissa, scale }),
        FieldType::Boolean => match text {
            b"Y" => Some(Value::Bool(true)),
            b"N" => Some(Value::Bool(false)),
            _ => None,
        },
        FieldType::UtcTimestamp => exact_time(values::utc_timestamp(text), text),
        FieldType::TzTimestamp => exact_time(values::tz_timestamp(text), text),
        FieldType::Data => Some(Value::Bytes(text.to_vec())),
        FieldType::Text => None,
    };
    value.unwrap_or_else(|| Value::Text(latin1(text)))
}

fn integer(text: &[u8]) -> Option<i128> {
    match values::decimal(text) {
        Parsed::Regular((number, 0)) if !text.contains(&b'.') => Some(number),
        _ => None,
    }
}

/// A time, where nanoseconds hold all of its digits.
fn exact_time(time: Parsed<i64>, text: &[u8]) -> Option<Value> {
    let fraction = text.iter().skip_while(|&&b| b != b'.').skip(1);
    let beyond = fraction.take_while(|b| b.is_ascii_digit()).skip(9).any(|&b| b != b'0');
    time.value().filter(|_| !beyond).map(Value::Time)
}

/// `NoMDEntries[1].` for each entry.
struct Paths(Vec<String>);

impl Paths {
    fn of(known: &Known<'_>, structure: &Structure) -> Self {
        let mut paths = Self(Vec::with_capacity(structure.entries.len()));
        for entry in &structure.entries {
            let group = known.name(entry.count_tag);
            let path = format!("{}{group}[{}].", paths.prefix(entry.parent), entry.number);
            paths.0.push(path);
        }
        paths
    }

    fn prefix(&self, place: u32) -> &str {
        if place == TOP { "" } else { self.0.get(place as usize).map_or("", |path| path) }
    }
}

/// The first thing wrong with the message, and where.
fn error(
    msg: &[u8],
    fields: &[RawField],
    structure: &Structure,
    irregular: bool,
) -> Option<String> {
    if let Some(field) = fields.iter().find(|field| field.tag == 0) {
        return Some(format!("byte {}: no tag=value", field.start));
    }
    if let Some(wrong) = structure.mismatches.first() {
        let at = fields.get(wrong.field as usize).copied().unwrap_or_default();
        let says = latin1(at.value(msg));
        return Some(format!(
            "byte {}: tag {} says {says} entries, found {}",
            at.start, at.tag, wrong.found
        ));
    }
    if structure.repeated {
        return Some("a tag is there twice outside its group".to_owned());
    }
    if msg.last() != Some(&SOH) {
        return Some(format!("byte {}: the last field has no end", msg.len()));
    }
    if irregular {
        return Some("a field is empty, padded with zeros, or not as long as it says".to_owned());
    }
    (!framing::checksum_ok(msg)).then(|| "tag 10 is not the sum of the bytes".to_owned())
}
