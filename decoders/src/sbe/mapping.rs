//! Column expressions of an overlay: `"price"`, `"side : enum.side"`.

use super::overlay::Instrument;
use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol};
use crate::kind::{Kind, flags};
use std::collections::BTreeMap;

/// Where a field's value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A 64-bit number.
    Int(IntCol),
    /// A 32-bit number.
    Small(SmallCol),
    /// A decimal; with the index of the learned number that says its places.
    Decimal(DecimalCol, Option<usize>),
    /// A time: nanoseconds a count since the epoch.
    Time(TimeCol, u64),
    /// A word of a vocabulary, by this enum.
    Enum(EnumCol, String),
    /// A name: as it is, or by this enum.
    Name(NameCol, Option<String>),
    /// A text.
    Text(TextCol),
    /// What the row is, by this enum.
    Kind(String),
    /// These flags where the value is not zero.
    Flag(u32),
    /// The message's sequence number.
    Seq,
}

type Enums = BTreeMap<String, BTreeMap<String, String>>;

/// Reads expressions separated by commas; an empty text has none.
///
/// # Errors
/// What is not a column, or does not go with its transform.
pub fn parse_expressions(
    text: &str,
    enums: &Enums,
    instrument: Option<&Instrument>,
) -> Result<Vec<Expression>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| expression(part, enums, instrument)).collect()
}

fn expression(
    text: &str,
    enums: &Enums,
    instrument: Option<&Instrument>,
) -> Result<Expression, String> {
    let (column, transform) = match text.split_once(':') {
        Some((column, transform)) => (column.trim(), Some(transform.trim())),
        None => (text, None),
    };
    let wrong = || format!("{text:?}: no such column, or not with this transform");
    let words = transform.and_then(|transform| transform.strip_prefix("enum."));
    if let Some(name) = words {
        check_words(column, name, enums)?;
        let name = name.to_owned();
        return Ok(match (EnumCol::from_text(column), NameCol::from_text(column)) {
            (Some(column), _) => Expression::Enum(column, name),
            (_, Some(column)) => Expression::Name(column, Some(name)),
            _ if column == "kind" => Expression::Kind(name),
            _ => return Err(wrong()),
        });
    }
    if let Some(column) = TimeCol::from_text(column) {
        return unit_ns(transform).map(|unit| Expression::Time(column, unit)).ok_or_else(wrong);
    }
    if let (Some(column), Some(name)) =
        (DecimalCol::from_text(column), transform.and_then(|t| t.strip_prefix("places.")))
    {
        let names = instrument.map(|instrument| &instrument.places);
        let at = names.and_then(|names| names.keys().position(|key| key == name));
        return at.map(|at| Expression::Decimal(column, Some(at))).ok_or_else(wrong);
    }
    if let ("flag", Some(name)) = (column, transform) {
        let found = flags::NAMES.iter().find(|(_, known)| *known == name);
        return found.map(|(bit, _)| Expression::Flag(*bit)).ok_or_else(wrong);
    }
    if transform.is_some() {
        return Err(wrong());
    }
    let int = IntCol::from_text(column).filter(|&c| c != IntCol::Seq && c != IntCol::TcpOff);
    let small =
        SmallCol::from_text(column).filter(|c| matches!(c, SmallCol::Channel | SmallCol::Level));
    let text = TextCol::from_text(column).filter(|&c| c != TextCol::Raw);
    let own = [NameCol::Line, NameCol::Session, NameCol::MsgName];
    let name = NameCol::from_text(column).filter(|c| !own.contains(c));
    let found = (column == "seq").then_some(Expression::Seq);
    let found = found.or(int.map(Expression::Int)).or(small.map(Expression::Small));
    let found = found.or(text.map(Expression::Text));
    let found = found.or(name.map(|column| Expression::Name(column, None)));
    let decimal = || DecimalCol::from_text(column).map(|column| Expression::Decimal(column, None));
    found.or_else(decimal).ok_or_else(wrong)
}

/// Whether the words of an enum are words of the column.
fn check_words(column: &str, name: &str, enums: &Enums) -> Result<(), String> {
    let words = enums.get(name).ok_or_else(|| format!("there is no [enum.{name}]"))?;
    let fine = |word: &str| match EnumCol::from_text(column) {
        _ if word.is_empty() => true,
        Some(column) => column.value_number(word).is_some(),
        None => column != "kind" || Kind::from_text(word).is_some(),
    };
    match words.values().find(|word| !fine(word)) {
        Some(word) => Err(format!("[enum.{name}]: {word:?} is no word of {column}")),
        None => Ok(()),
    }
}

fn unit_ns(unit: Option<&str>) -> Option<u64> {
    match unit? {
        "s" => Some(1_000_000_000),
        "ms" => Some(1_000_000),
        "us" => Some(1_000),
        "ns" => Some(1),
        _ => None,
    }
}
