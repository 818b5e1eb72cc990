//! What a venue's messages mean in a row: a small TOML file beside the venue's
//! own schema.
//!
//! ```toml
//! [columns]
//! MDEntryPx = "price"
//! ```
//!
//! `PROTOCOLS.md` says how such a file is written. It names fields, never
//! places: those are the schema's, so one overlay serves its versions.

use super::mapping::{Expression, parse_expressions};
use super::shape::{Header, Leaf, Schema};
use super::wire::Prim;
use crate::fixed::error::{Fault, SpecError};
use crate::fixed::source::Text;
use crate::kind::{Kind, Sender, flags};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// Largest message header, in bytes.
const HEADER_MAX: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sbe: Spanned<Table>,
    #[serde(default, rename = "enum")]
    enums: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<String>>,
    instrument: Option<Instrument>,
    #[serde(default)]
    message: Vec<Spanned<MessageTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: Spanned<String>,
    title: String,
    source: String,
    #[serde(default)]
    venues: Vec<String>,
    framings: Vec<String>,
    schemas: Vec<Fits>,
    endian: Option<Spanned<String>>,
    header: Option<Spanned<String>>,
    pad_to: Option<usize>,
    #[serde(default)]
    secrets: Vec<String>,
}

/// Which schemas an overlay is for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Fits {
    /// The schema's id.
    pub id: u64,
    /// How its package begins.
    #[serde(default)]
    pub package: String,
    /// A template that tells it from others of the same id and package.
    pub has: Option<u64>,
}

/// What messages teach of instruments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// The field that names the instrument by a number.
    pub key: String,
    /// The field with its symbol.
    pub symbol: Option<String>,
    /// Fields with places after the point, which `places.NAME` refers to.
    #[serde(default)]
    pub places: BTreeMap<String, String>,
    /// Templates of the messages that teach.
    pub from: Vec<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageTable {
    templates: Vec<u64>,
    schema: Option<u64>,
    kind: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    rows: Vec<String>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    group: Vec<GroupTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupTable {
    name: String,
    kind: Option<String>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<String>>,
    refer: Option<Refer>,
}

/// Entries that belong to entries of a group before theirs.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Refer {
    /// That group.
    pub group: String,
    /// The field with the number of the entry, from 1; without one, the entry
    /// must be the only one.
    pub by: Option<String>,
    /// Columns to take from its row.
    pub take: Vec<String>,
}

/// Columns by field names.
pub type Columns = BTreeMap<String, Vec<Expression>>;

/// An overlay, read.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Protocol id, e.g. `cme.mdp3`.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Where its meaning was read.
    pub source: String,
    /// MICs.
    pub venues: Vec<String>,
    /// Framings that carry it.
    pub framings: Vec<String>,
    /// Which schemas it is for.
    pub fits: Vec<Fits>,
    /// The message header, where it is not the standard's.
    pub header: Option<Header>,
    /// Messages are filled with zeros to a multiple of this.
    pub pad_to: usize,
    /// Fields with passwords.
    pub secrets: Vec<String>,
    /// Words of codes.
    pub enums: BTreeMap<String, BTreeMap<String, String>>,
    /// Columns of fields in any message.
    pub columns: Columns,
    /// What is learned.
    pub instrument: Option<Instrument>,
    /// What messages are.
    pub messages: Vec<MessageRule>,
}

/// What messages of some templates are.
#[derive(Clone, Debug)]
pub struct MessageRule {
    /// Their template ids.
    pub templates: Vec<u64>,
    /// Of this schema only.
    pub schema: Option<u64>,
    /// What happened.
    pub kind: Kind,
    /// Flags of the rows.
    pub flags: u32,
    /// Groups whose entries are rows.
    pub rows: Vec<String>,
    /// Columns of fields, before the general ones; none takes a field out.
    pub columns: Columns,
    /// Vocabulary columns that are always the same: column, word.
    pub set: Vec<(String, String)>,
    /// Groups with a meaning of their own.
    pub groups: Vec<GroupRule>,
}

/// What a group's entries are.
#[derive(Clone, Debug)]
pub struct GroupRule {
    /// The group.
    pub name: String,
    /// What happened.
    pub kind: Option<Kind>,
    /// Columns of its fields.
    pub columns: Columns,
    /// What entries belong to.
    pub refer: Option<Refer>,
}

impl Overlay {
    /// Reads and checks an overlay; `file_name` is only for errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, SpecError> {
        read(text).map_err(|fault| fault.in_file(file_name))
    }

    /// The rule for a message.
    pub fn rule(&self, schema: u64, template: u64) -> Option<&MessageRule> {
        self.messages.iter().find(|rule| {
            rule.schema.is_none_or(|of| of == schema) && rule.templates.contains(&template)
        })
    }

    /// Whether it has messages that a client sends.
    pub fn has_requests(&self) -> bool {
        self.messages.iter().any(|rule| rule.sender() == Some(Sender::Client))
    }

    /// Whether a schema is one of those it is for.
    pub fn fits(&self, schema: &Schema) -> bool {
        let has = |id| schema.messages.iter().any(|message| message.id == id);
        self.fits.iter().any(|fits| {
            fits.id == schema.id
                && schema.package.starts_with(&fits.package)
                && fits.has.is_none_or(has)
        })
    }
}

impl MessageRule {
    /// Which end sends such messages, where what they are says so.
    pub fn sender(&self) -> Option<Sender> {
        match self.kind {
            Kind::ReqNew | Kind::ReqCancel | Kind::ReqReplace => Some(Sender::Client),
            Kind::RptAck
            | Kind::RptFill
            | Kind::RptCanceled
            | Kind::RptReplaced
            | Kind::RptReject
            | Kind::RptCancelReject
            | Kind::RptDone
            | Kind::RptStatus => Some(Sender::Server),
            _ => None,
        }
    }
}

/// Whether a file's text is an overlay's.
pub fn is_overlay(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == "[sbe]")
}

fn read(text: &str) -> Result<Overlay, Fault> {
    let place = Text(text);
    let file: File = toml::from_str(text).map_err(|error| {
        let byte = error.span().map_or(0, |span| span.start);
        Fault::new(place.line_at(byte), error.message())
    })?;
    let table = file.sbe.get_ref();
    check_id(&table.id).map_err(|reason| Fault::new(place.line_of(&table.id), reason))?;
    let reader = Reader { place, enums: &file.enums, instrument: file.instrument.as_ref() };
    let mut messages = Vec::new();
    for message in &file.message {
        let line = place.line_at(message.span().start);
        messages.push(reader.message(message.get_ref(), line)?);
    }
    Ok(Overlay {
        id: table.id.get_ref().clone(),
        title: table.title.clone(),
        source: table.source.clone(),
        venues: table.venues.clone(),
        framings: table.framings.clone(),
        fits: table.schemas.clone(),
        header: header(table, place)?,
        pad_to: table.pad_to.unwrap_or(1).clamp(1, 64),
        secrets: table.secrets.clone(),
        columns: reader.columns(&file.columns)?,
        messages,
        instrument: file.instrument,
        enums: file.enums,
    })
}

fn check_id(id: &Spanned<String>) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let id = id.get_ref();
    if id.contains('.') && id.chars().all(fine) {
        return Ok(());
    }
    Err(format!("id = {id:?}: venue.product, lower case letters, digits, . and -"))
}

/// The header that layout lines `offset name type` declare.
fn header(table: &Table, place: Text<'_>) -> Result<Option<Header>, Fault> {
    let little = match table.endian.as_ref().map(|endian| (endian, endian.get_ref().as_str())) {
        None | Some((_, "little")) => true,
        Some((_, "big")) => false,
        Some((at, other)) => {
            let reason = format!("endian = {other:?} is neither \"big\" nor \"little\"");
            return Err(Fault::new(place.line_of(at), reason));
        }
    };
    let Some(lines) = &table.header else {
        return Ok((!little).then(|| Header::standard(false)));
    };
    let first = place.first_line_of(lines);
    let (mut leaves, mut at) = (Vec::new(), 0);
    for (number, line) in lines.get_ref().lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let wrong = |reason: String| Fault::new(first + number, reason);
        let &[offset, name, wire] = words.as_slice() else {
            return Err(wrong(format!("{line:?}: write `offset name type`")));
        };
        let prim = match wire.split_at_checked(1).map(|(c, bits)| (c, bits.parse().ok())) {
            Some(("u", Some(bits @ (8 | 16 | 32 | 64u8)))) => Prim::Uint(bits / 8),
            Some(("i", Some(bits @ (8 | 16 | 32 | 64u8)))) => Prim::Int(bits / 8),
            _ => return Err(wrong(format!("type {wire:?}: u8, u16, u32, u64, i8 to i64"))),
        };
        if offset.parse() != Ok(at) {
            return Err(wrong(format!("{name} is at {offset}, expected at {at}")));
        }
        leaves.push(Leaf::plain(name, at, prim));
        at += prim.size();
    }
    let header = Header::of(leaves, at, little).filter(|_| at <= HEADER_MAX);
    let reason = "header: block_length, template_id, schema_id and version, each unsigned";
    header.map(Some).ok_or_else(|| Fault::new(first, reason))
}

struct Reader<'a> {
    place: Text<'a>,
    enums: &'a BTreeMap<String, BTreeMap<String, String>>,
    instrument: Option<&'a Instrument>,
}

impl Reader<'_> {
    fn columns(&self, table: &BTreeMap<String, Spanned<String>>) -> Result<Columns, Fault> {
        let mut columns = Columns::new();
        for (field, text) in table {
            let parsed = parse_expressions(text.get_ref(), self.enums, self.instrument);
            let line = self.place.line_of(text);
            columns.insert(field.clone(), parsed.map_err(|reason| Fault::new(line, reason))?);
        }
        Ok(columns)
    }

    fn message(&self, table: &MessageTable, line: usize) -> Result<MessageRule, Fault> {
        let wrong = |reason: String| Fault::new(line, reason);
        let bits = table.flags.iter().map(|name| {
            let found = flags::NAMES.iter().find(|(_, known)| known == name);
            found.map(|(bit, _)| *bit).ok_or_else(|| wrong(format!("{name:?} is no flag")))
        });
        let groups = table.group.iter().map(|group| {
            Ok(GroupRule {
                name: group.name.clone(),
                kind: group.kind.as_deref().map(kind).transpose().map_err(wrong)?,
                columns: self.columns(&group.columns)?,
                refer: group.refer.clone(),
            })
        });
        Ok(MessageRule {
            templates: table.templates.clone(),
            schema: table.schema,
            kind: kind(&table.kind).map_err(wrong)?,
            flags: bits.sum::<Result<u32, Fault>>()?,
            rows: table.rows.clone(),
            columns: self.columns(&table.columns)?,
            set: table.set.clone().into_iter().collect(),
            groups: groups.collect::<Result<_, Fault>>()?,
        })
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    Kind::from_text(word).ok_or_else(|| format!("kind = {word:?} is no word of kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[sbe]\nid = \"a.b\"\ntitle = \"t\"\nsource = \"s\"\nframings = [\"x\"]\n\
        schemas = [{ id = 1 }]\n[enum.side]\nBuy = \"buy\"\n[columns]\nSide = \"side : enum.side\"\n\
        Px = \"price\"\n[[message]]\ntemplates = [1]\nkind = \"trade\"\n";

    #[test]
    fn faults_are_told_with_their_line() {
        assert_eq!(Overlay::parse("x", SMALL).unwrap().columns.len(), 2);
        let told = |from: &str, to: &str, line: usize, what: &str| {
            let fault = Overlay::parse("x", &SMALL.replacen(from, to, 1)).unwrap_err();
            assert!(fault.line == line && fault.reason.contains(what), "{fault}");
        };
        told("\"price\"", "\"prize\"", 11, "prize");
        told("enum.side\"\nPx", "enum.sides\"\nPx", 10, "enum.sides");
        told("a.b", "AB", 2, "lower case");
        told("\"trade\"", "\"trades\"", 12, "no word of kind");
        told("framings", "framing", 5, "unknown field");
        told("source", "endian = \"middle\"\nsource", 4, "neither");
        told("schemas", "header = \"0 x u16\"\nschemas", 6, "block_length");
        assert!(is_overlay(SMALL) && !is_overlay("[protocol]\n"));
    }
}
