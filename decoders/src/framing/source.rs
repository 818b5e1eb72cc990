//! A framing's file: TOML in, [`Framing`] out, or what is wrong and where.
//!
//! ```text
//! framings/*.toml ───────────┐                     ┌─ [session]: a protocol
//! a folder's *.toml ─ split ─┴─► File ─► Framing ◄─┘
//!                       └─► the protocol's part, if there is one
//! ```

use crate::fixed::error::{Fault, SpecError};
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::source::{Text, number};
use crate::framing::condition::Condition;
use crate::framing::declared::{Carries, Cut, Framing, Numbering, Part, Rule};
use crate::framing::leaf::{Leaf, Wire};
use crate::framing::unpack::{LIMIT_MAX, Unpack};
use crate::kind::{Kind, Sender, SeqUnit, flags};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;

/// Largest header, of a packet or a message.
const HEADER_MAX: usize = 256;

/// What roles a field of a packet's header may have.
const HEADER_ROLES: [&str; 6] = ["seq", "count", "session", "channel", "size", "ts_send"];

/// What roles a field of a message may have.
const MESSAGE_ROLES: [&str; 5] = ["length", "seq", "session", "channel", "ts_send"];

/// What roles a field of some messages may have.
const RULE_ROLES: [&str; 5] = ["seq", "next", "session", "channel", "ts_send"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    framing: Spanned<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: Spanned<String>,
    title: String,
    source: String,
    endian: Spanned<String>,
    carrier: Option<Spanned<Words>>,
    unit: Option<Spanned<String>>,
    midnight: Option<Spanned<String>>,
    pad_to: Option<Spanned<usize>>,
    short: Option<Spanned<ShortTable>>,
    unpack: Option<Spanned<UnpackTable>>,
    #[serde(default)]
    check: Vec<Spanned<String>>,
    header: Option<Spanned<String>>,
    carries: Option<Spanned<CarriesTable>>,
    message: Spanned<MessageTable>,
    #[serde(default)]
    packet: Vec<Spanned<RuleTable>>,
    #[serde(default)]
    each: Vec<Spanned<RuleTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageTable {
    #[serde(default)]
    header: usize,
    #[serde(default)]
    check: Vec<Spanned<String>>,
    cut: Option<Spanned<String>>,
    marks: Option<[u8; 2]>,
    layout: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortTable {
    size: usize,
    when: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnpackTable {
    when: String,
    method: String,
    limit: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriesTable {
    field: String,
    ids: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    when: Spanned<Words>,
    from: Option<String>,
    usually_from: Option<String>,
    header: Option<usize>,
    layout: Option<Spanned<String>>,
    kind: Option<String>,
    name: Option<String>,
    seq: Option<String>,
    number: Option<String>,
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    All(Vec<String>),
}

impl Words {
    fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::All(texts) => texts,
        }
    }
}

impl Framing {
    /// Reads and checks a framing's file; `file_name` is only for errors.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, SpecError> {
        let (text, session) = split_session(text);
        let mut framing = compile(&text).map_err(|fault| fault.in_file(file_name))?;
        if let Some(session) = session {
            let session = self::session(&framing, &session);
            framing.session = Some(session.map_err(|fault| fault.in_file(file_name))?);
        }
        Ok(framing)
    }
}

/// The two parts of a file that may hold a framing, a protocol, or both; lines
/// of the other part are blank, so that both keep their line numbers.
pub fn split(text: &str) -> (Option<String>, Option<String>) {
    let (mut framing, mut protocol) = (String::new(), String::new());
    let (mut in_framing, mut in_text, mut found) = (false, false, (false, false));
    for line in text.lines() {
        if !in_text && line.starts_with('[') {
            let name = line.trim_start_matches('[');
            in_framing = ["framing]", "framing.", "session]", "session."]
                .iter()
                .any(|beginning| name.starts_with(beginning));
            found = (found.0 | in_framing, found.1 | !in_framing);
        }
        in_text ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        let (own, other) =
            if in_framing { (&mut framing, &mut protocol) } else { (&mut protocol, &mut framing) };
        own.push_str(line);
        own.push('\n');
        other.push('\n');
    }
    // What is neither is left to the protocol's reader to tell.
    let is_protocol = found.1 || !found.0;
    (found.0.then_some(framing), is_protocol.then_some(protocol))
}

/// The framing's tables, and those of `[session]` as a protocol's file would
/// have them; again lines keep their numbers.
fn split_session(text: &str) -> (String, Option<String>) {
    let (mut framing, mut session) = (String::new(), String::new());
    let (mut in_session, mut in_text, mut found) = (false, false, false);
    for line in text.lines() {
        let mut line = line.to_owned();
        if !in_text && line.starts_with('[') {
            in_session = line.starts_with("[session]") || line.starts_with("[session.");
            found |= in_session;
            line = line.replacen("[session]", "[protocol]", 1).replacen("[session.", "[", 1);
        }
        in_text ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        let (own, other) =
            if in_session { (&mut session, &mut framing) } else { (&mut framing, &mut session) };
        own.push_str(&line);
        own.push('\n');
        other.push('\n');
    }
    (framing, found.then_some(session))
}

/// The protocol of the framing's own messages: named as the framing is.
fn session(framing: &Framing, text: &str) -> Result<Arc<FixedProtocol>, Fault> {
    const TABLE: &str = "[protocol]\n";
    let about = format!(
        "{TABLE}id = \"framing.own.messages\"\ntitle = {:?}\nsource = {:?}\nvenues = []\nframings = []\n",
        framing.title, framing.source
    );
    let more = about.lines().count() - 1;
    let first = text.lines().position(|line| line.starts_with("[protocol]")).map_or(0, |at| at + 1);
    let text = text.replacen(TABLE, &about, 1);
    let whole = crate::fixed::compile::compile(&text);
    let mut protocol = whole.map_err(|fault| Fault {
        line: if fault.line > first {
            fault.line.saturating_sub(more).max(first)
        } else {
            fault.line
        },
        ..fault
    })?;
    protocol.about.id = framing.id.clone();
    Ok(Arc::new(protocol))
}

fn compile(text: &str) -> Result<Framing, Fault> {
    let place = Text(text);
    let file: File = toml::from_str(text).map_err(|error| {
        let byte = error.span().map_or(0, |span| span.start);
        Fault::new(place.line_at(byte), error.message())
    })?;
    let table = file.framing.get_ref();
    let at = |value: &Spanned<String>, reason: String| Fault::new(place.line_of(value), reason);
    let little = little(table).map_err(|reason| at(&table.endian, reason))?;
    check_id(&table.id).map_err(|reason| at(&table.id, reason))?;
    let message = table.message.get_ref();
    let fields = Fields { place, little };
    let header = fields.part(table.header.as_ref(), &HEADER_ROLES)?;
    let size = header.leaves.iter().map(Leaf::end).max().unwrap_or(0);
    let parts = Parts { header, message: fields.part(message.layout.as_ref(), &MESSAGE_ROLES)? };
    let table_line = place.line_of(&file.framing);
    tiles(&parts.header, size, "header").map_err(|reason| Fault::new(table_line, reason))?;
    let message_line = place.line_of(&table.message);
    tiles(&parts.message, message.header, "message")
        .map_err(|reason| Fault::new(message_line, reason))?;
    let cut = cut(message, &parts).map_err(|reason| Fault::new(message_line, reason))?;
    let condition =
        |text: &Spanned<String>| parts.condition(text.get_ref()).map_err(|reason| at(text, reason));
    let message_condition = |text: &Spanned<String>| {
        parts.message_condition(text.get_ref()).map_err(|reason| at(text, reason))
    };
    let rules = |rules: &[Spanned<RuleTable>], each: bool| -> Result<Vec<Rule>, Fault> {
        let rule = |rule: &Spanned<RuleTable>| {
            let line = place.line_at(rule.span().start);
            let part = fields.part(rule.get_ref().layout.as_ref(), &RULE_ROLES)?;
            parts.rule(rule.get_ref(), part, each).map_err(|reason| Fault::new(line, reason))
        };
        rules.iter().map(rule).collect()
    };
    let unit = table.unit.as_ref();
    let (on_udp, on_tcp) = carriers(table).map_err(|reason| {
        let line = table.carrier.as_ref().map(|carrier| place.line_at(carrier.span().start));
        Fault::new(line.unwrap_or(table_line), reason)
    })?;
    let each_rules = rules(&table.each, true)?;
    let own_seq =
        |rule: &Rule| rule.part.seq.is_some() || rule.numbering == Some(Numbering::Implied);
    let framing = Framing {
        id: table.id.get_ref().clone(),
        title: table.title.clone(),
        source: table.source.clone(),
        size,
        on_udp,
        on_tcp,
        checks: table.check.iter().map(condition).collect::<Result<_, _>>()?,
        message_checks: message.check.iter().map(message_condition).collect::<Result<_, _>>()?,
        numbers_each: parts.message.seq.is_some() || each_rules.iter().any(own_seq),
        packet_rules: rules(&table.packet, false)?,
        each_rules,
        session: None,
        cut,
        message_header: message.header,
        unit: unit.map_or(Ok(None), |unit| self::unit(unit).map_err(|reason| at(unit, reason)))?,
        midnight: zone(table).map_err(|(value, reason)| at(value, reason))?,
        pad_to: pad_to(table, place)?,
        short: short(table, &parts, place)?,
        unpack: unpack(table, &parts, (on_tcp, cut), place)?,
        carries: carries(table, &parts, place)?,
        header: parts.header,
        message: parts.message,
    };
    if framing.on_tcp && !framing.has_units() {
        let reason = "a stream has no borders: the header needs `-> size`, or without a header the message `-> length`";
        return Err(Fault::new(table_line, reason));
    }
    Ok(framing)
}

/// Whether datagrams have it, and whether streams have it.
fn carriers(table: &Table) -> Result<(bool, bool), String> {
    let Some(carrier) = &table.carrier else { return Ok((true, false)) };
    let words = carrier.get_ref().all();
    if let Some(other) = words.iter().find(|word| !["udp", "tcp"].contains(&word.as_str())) {
        return Err(format!("carrier {other:?} is neither \"udp\" nor \"tcp\""));
    }
    let has = |name: &str| words.iter().any(|word| word == name);
    Ok((has("udp"), has("tcp")))
}

fn little(table: &Table) -> Result<bool, String> {
    match table.endian.get_ref().as_str() {
        "little" => Ok(true),
        "big" => Ok(false),
        other => Err(format!("endian = {other:?} is neither \"big\" nor \"little\"")),
    }
}

fn check_id(id: &Spanned<String>) -> Result<(), String> {
    let id = id.get_ref();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.is_empty() && id.chars().all(fine) {
        return Ok(());
    }
    Err(format!("id = {id:?}: lower case letters, digits and - only"))
}

fn unit(unit: &Spanned<String>) -> Result<Option<SeqUnit>, String> {
    match unit.get_ref().as_str() {
        "message" => Ok(Some(SeqUnit::Message)),
        "packet" => Ok(Some(SeqUnit::Packet)),
        other => Err(format!("unit = {other:?} is neither \"message\" nor \"packet\"")),
    }
}

fn zone(table: &Table) -> Result<Option<chrono_tz::Tz>, (&Spanned<String>, String)> {
    let Some(zone) = &table.midnight else { return Ok(None) };
    let parsed = zone.get_ref().parse();
    let reason = || format!("midnight = {:?} is no time zone", zone.get_ref());
    parsed.map(Some).map_err(|_| (zone, reason()))
}

fn pad_to(table: &Table, place: Text<'_>) -> Result<usize, Fault> {
    let Some(pad) = &table.pad_to else { return Ok(1) };
    let value = *pad.get_ref();
    let reason = || format!("pad_to = {value}: from 2 to 64");
    let line = place.line_at(pad.span().start);
    if (2..=64).contains(&value) { Ok(value) } else { Err(Fault::new(line, reason())) }
}

/// Where some headers end, at the border of a field.
fn short(
    table: &Table,
    parts: &Parts,
    place: Text<'_>,
) -> Result<Option<(usize, Condition)>, Fault> {
    let Some(spanned) = &table.short else { return Ok(None) };
    let ShortTable { size, when } = spanned.get_ref();
    let fault = |reason: String| Fault::new(place.line_at(spanned.span().start), reason);
    if !parts.header.leaves.iter().any(|leaf| leaf.end() == *size) {
        return Err(fault(format!("short: no field of the header ends at {size}")));
    }
    let condition = parts.condition(when).map_err(fault)?;
    if condition.of_message {
        return Err(fault("short: the condition is on a field of the header".to_owned()));
    }
    Ok(Some((*size, condition)))
}

/// Which packets have a compressed body.
fn unpack(
    table: &Table,
    parts: &Parts,
    (on_tcp, cut): (bool, Cut),
    place: Text<'_>,
) -> Result<Option<Unpack>, Fault> {
    let Some(spanned) = &table.unpack else { return Ok(None) };
    let fault = |reason: String| Fault::new(place.line_at(spanned.span().start), reason);
    let UnpackTable { when, method, limit } = spanned.get_ref();
    let when = parts.condition(when).map_err(fault)?;
    match (method.as_str(), *limit) {
        _ if when.of_message => {
            Err(fault("unpack: the condition is on a field of the header".to_owned()))
        }
        _ if on_tcp || cut == Cut::Packet || parts.header.leaves.is_empty() => {
            Err(fault("unpack: only datagrams whose header stands before messages".to_owned()))
        }
        ("lz4-block", 1..=LIMIT_MAX) => Ok(Some(Unpack { when, limit: *limit })),
        ("lz4-block", _) => Err(fault(format!("unpack: limit from 1 to {LIMIT_MAX}"))),
        _ => Err(fault(format!("unpack: method {method:?} is not \"lz4-block\""))),
    }
}

fn carries(table: &Table, parts: &Parts, place: Text<'_>) -> Result<Option<Carries>, Fault> {
    let Some(spanned) = &table.carries else { return Ok(None) };
    let fault = |reason: String| Fault::new(place.line_at(spanned.span().start), reason);
    let carries = spanned.get_ref();
    let field = parts.header.leaves.iter().position(|leaf| leaf.name == carries.field);
    let field = field
        .ok_or_else(|| fault(format!("carries: the header has no field {:?}", carries.field)))?;
    let mut ids = Vec::new();
    for (value, id) in &carries.ids {
        let text = parts.header.leaves.get(field).is_some_and(|leaf| leaf.wire == Wire::Text);
        let raw = if text {
            Some(value.bytes().fold(0, |raw, byte| raw << 8 | u64::from(byte)))
        } else {
            number(value)
        };
        let raw = raw.ok_or_else(|| fault(format!("carries: {value:?} is no number")))?;
        ids.push((raw, id.clone()));
    }
    Ok(Some(Carries { field, ids }))
}

/// How messages are cut, where what that takes is there.
fn cut(message: &MessageTable, parts: &Parts) -> Result<Cut, String> {
    let word = message.cut.as_ref().map_or("length", |cut| cut.get_ref());
    match (word, message.marks, parts.message.length) {
        ("length", None, Some(_)) => Ok(Cut::Length),
        ("length", None, None) => {
            Err("cut by length: a field of the layout needs `-> length`".to_owned())
        }
        ("protocol", None, None) => Ok(Cut::Protocol),
        ("packet", None, None) if message.header == 0 => Ok(Cut::Packet),
        ("marks", Some([first, last]), None) if message.header == 1 => Ok(Cut::Marks(first, last)),
        ("marks", ..) => Err("cut by marks: needs marks = [2, 3], header = 1".to_owned()),
        _ => Err(format!(
            "cut = {word:?}: \"length\", \"protocol\", \"packet\" or \"marks\", and nothing for another of them"
        )),
    }
}

/// Whether the fields before `end` follow each other without a hole.
fn tiles(part: &Part, end: usize, what: &str) -> Result<(), String> {
    if end > HEADER_MAX {
        return Err(format!("{what}: a header of {end} bytes, at most {HEADER_MAX}"));
    }
    let mut at = 0;
    for leaf in part.leaves.iter().filter(|leaf| !leaf.floats && leaf.at < end) {
        if leaf.at != at || leaf.size == 0 || leaf.end() > end {
            return Err(format!("{what}: {} is at {}, expected at {at}", leaf.name, leaf.at));
        }
        at = leaf.end();
    }
    if at == end { Ok(()) } else { Err(format!("{what}: no field covers byte {at}")) }
}

/// The fields of both layouts, to find them by name.
struct Parts {
    header: Part,
    message: Part,
}

impl Parts {
    fn find(&self, name: &str) -> Option<(usize, bool, Option<usize>)> {
        let (part, name, of_message) = match name.strip_prefix("first.") {
            Some(name) => (&self.message, name, true),
            None => (&self.header, name, false),
        };
        let field = part.leaves.iter().position(|leaf| leaf.name == name)?;
        let leaf = part.leaves.get(field)?;
        Some((field, of_message, (leaf.wire == Wire::Text).then_some(leaf.size)))
    }

    /// The index of a field of the first message, by `first.NAME`.
    fn number(&self, name: &str) -> Result<usize, String> {
        let found = self.find(name).filter(|(_, of_message, _)| *of_message);
        found.map(|(at, ..)| at).ok_or_else(|| format!("number = {name:?}: write first.NAME"))
    }

    fn condition(&self, text: &str) -> Result<Condition, String> {
        Condition::parse(text, &|name| self.find(name))
    }

    /// A condition on the fields of a message, which then need no `first.`
    /// before their names.
    fn message_condition(&self, text: &str) -> Result<Condition, String> {
        Condition::parse(text, &|name| self.find(&format!("first.{name}")))
    }

    /// A rule of packets, or of each message; `part` is what it adds to such a
    /// message.
    fn rule(&self, table: &RuleTable, part: Part, each: bool) -> Result<Rule, String> {
        if !each && (table.header.is_some() || table.from.is_some() || !part.leaves.is_empty()) {
            return Err("from, header and layout are for [[framing.each]]".to_owned());
        }
        if let Some(header) = table.header {
            let leaves = self.message.in_a_row(header).chain(&part.leaves).cloned().collect();
            tiles(&Part { leaves, ..Part::default() }, header, "rule")?;
        }
        let condition = |text| {
            if each { self.message_condition(text) } else { self.condition(text) }
        };
        let conditions = table.when.get_ref().all().iter().map(|text| condition(text));
        let kind = table.kind.as_ref().map(|word| {
            Kind::from_text(word).ok_or_else(|| format!("kind = {word:?} is no word of kind"))
        });
        Ok(Rule {
            conditions: conditions.collect::<Result<_, _>>()?,
            kind: kind.transpose()?,
            name: table.name.clone(),
            numbering: table.seq.as_deref().map(numbering).transpose()?,
            flags: table.flags.iter().map(|name| flag(name)).sum::<Result<u32, _>>()?,
            sender: table.from.as_deref().map(sender).transpose()?,
            usually: table.usually_from.as_deref().map(sender).transpose()?,
            header: table.header,
            part,
            number: table.number.as_ref().map(|name| self.number(name)).transpose()?,
        })
    }
}

fn numbering(word: &str) -> Result<Numbering, String> {
    match word {
        "counts" => Ok(Numbering::Counts),
        "next" => Ok(Numbering::Next),
        "last" => Ok(Numbering::Last),
        "restart" => Ok(Numbering::Restart),
        "apart" => Ok(Numbering::Apart),
        "none" => Ok(Numbering::Nothing),
        "implied" => Ok(Numbering::Implied),
        _ => Err(format!("seq = {word:?}: counts, next, last, restart, apart, implied or none")),
    }
}

fn sender(word: &str) -> Result<Sender, String> {
    match word {
        "client" => Ok(Sender::Client),
        "server" => Ok(Sender::Server),
        _ => Err(format!("from {word:?}: client or server")),
    }
}

fn flag(name: &str) -> Result<u32, String> {
    let found = flags::NAMES.iter().find(|(_, known)| *known == name);
    found.map(|(bit, _)| *bit).ok_or_else(|| format!("{name:?} is no flag"))
}

/// Reads layout lines.
struct Fields<'a> {
    place: Text<'a>,
    little: bool,
}

impl Fields<'_> {
    fn part(&self, layout: Option<&Spanned<String>>, roles: &[&str]) -> Result<Part, Fault> {
        let mut part = Part::default();
        let Some(layout) = layout else { return Ok(part) };
        let first = self.place.first_line_of(layout);
        for (number, line) in layout.get_ref().lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                self.line(line, roles, &mut part)
                    .map_err(|reason| Fault::new(first + number, reason))?;
            }
        }
        Ok(part)
    }

    fn line(&self, line: &str, roles: &[&str], part: &mut Part) -> Result<(), String> {
        let (field, role) = match line.split_once("->") {
            Some((field, role)) => (field, Some(role.trim())),
            None => (line, None),
        };
        let words: Vec<&str> = field.split_whitespace().collect();
        let &[offset, name, wire] = words.as_slice() else {
            return Err(format!("{line:?}: write `offset name type -> role`"));
        };
        let (wire, size) = self.wire(wire)?;
        let floats = offset == "+";
        let at = if floats {
            let last = part.leaves.last().filter(|last| last.floats || last.size == 0);
            last.ok_or("`+` stands behind a field of type n*")?.end()
        } else {
            offset.parse().map_err(|_| format!("{offset:?} is no offset"))?
        };
        if at > HEADER_MAX {
            return Err(format!("offset {at}: at most {HEADER_MAX}"));
        }
        let name = if name == "-" { "reserved" } else { name };
        part.leaves.push(Leaf { name: name.to_owned(), at, size, floats, wire });
        role.map_or(Ok(()), |role| add_role(role, roles, part))
    }

    fn wire(&self, text: &str) -> Result<(Wire, usize), String> {
        let unknown = || format!("type {text:?}: u8 to u64, i8 to i64, c1, a8, n9, n*, b4");
        if text == "n*" {
            return Ok((Wire::Digits, 0));
        }
        if text == "c1" {
            return Ok((Wire::Text, 1));
        }
        let (digits, little) = match (text.strip_suffix("le"), text.strip_suffix("be")) {
            (Some(digits), _) => (digits, true),
            (_, Some(digits)) => (digits, false),
            _ => (text, self.little),
        };
        let (letter, size) = digits.split_at_checked(1).ok_or_else(unknown)?;
        let size: usize = size.parse().map_err(|_| unknown())?;
        let whole = size.is_multiple_of(8) && (8..=64).contains(&size);
        match letter {
            "u" if whole => Ok((Wire::Uint { little }, size / 8)),
            "i" if whole => Ok((Wire::Int { little }, size / 8)),
            "a" if (1..=HEADER_MAX).contains(&size) => Ok((Wire::Text, size)),
            "n" if (1..=20).contains(&size) => Ok((Wire::Digits, size)),
            "b" if (1..=HEADER_MAX).contains(&size) => Ok((Wire::Bytes, size)),
            _ => Err(unknown()),
        }
    }
}

/// Gives the last field of `part` its role.
fn add_role(role: &str, roles: &[&str], part: &mut Part) -> Result<(), String> {
    let field = part.leaves.len() - 1;
    let (role, argument) = match role.split_once(':') {
        Some((role, argument)) => (role.trim(), Some(argument.trim())),
        None => (role, None),
    };
    if !roles.contains(&role) {
        return Err(format!("-> {role}: here one of {}", roles.join(", ")));
    }
    let plus = || argument.map_or(Some(0), number).ok_or(format!("-> {role} : a number of bytes"));
    let taken = match role {
        "seq" => part.seq.replace(field).is_some(),
        "next" => part.next.replace(field).is_some(),
        "count" => part.count.replace(field).is_some(),
        "channel" => part.channel.replace(field).is_some(),
        "size" | "length" => part.length.replace((field, plus()?)).is_some(),
        "session" => {
            part.session.push(field);
            false
        }
        _ => {
            part.time.push((field, unit_ns(argument)?));
            false
        }
    };
    if taken { Err(format!("-> {role} twice")) } else { Ok(()) }
}

fn unit_ns(unit: Option<&str>) -> Result<u64, String> {
    match unit {
        Some("s") => Ok(1_000_000_000),
        Some("ms") => Ok(1_000_000),
        Some("us") => Ok(1_000),
        Some("ns") => Ok(1),
        _ => Err("-> ts_send : s, ms, us or ns".to_owned()),
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
