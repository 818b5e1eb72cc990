//! Layout lines: `offset name type ? condition -> column : transform # remark`.
//!
//! ```text
//!  11  order_reference_number  u64     -> order_id
//!  19  buy_sell                c1      -> side : enum.side
//!  20  -                       b1                            reserved bytes
//!  20  .closing                bit(3)                        a part of the field before
//!  21  legs                    struct.leg[number_of_legs]    a group
//!   +  offer                   struct.quote ? kind in "AC"   there or not
//!   +  appendage               tlv.option(appendage_length)  elements
//!   +  optional                fields.order(bitfields)      fields that bits choose
//! ```

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while1};
use nom::character::complete::{char as one, digit1, space0, space1};
use nom::combinator::{all_consuming, map, map_opt, map_res, opt, recognize, rest, value, verify};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded, separated_pair};
use nom::{IResult, Parser};

use crate::fixed::error::Fault;
use crate::fixed::source;

/// In the place of a column: no column.
const SECRET: &str = "secret";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutLine {
    /// Line in the file, from 1.
    pub line: usize,
    /// Offset in the message, in a list of elements the tag; `None` is `+`,
    /// right after what is before.
    pub offset: Option<u32>,
    /// The field's name; `-` for reserved bytes.
    pub name: String,
    /// Whether it is a part of the field before.
    pub is_part: bool,
    /// A wire type, a name of `[types]`, `tlv.NAME`, `struct.NAME`, `text`,
    /// `bytes`, `bit`, `bits`.
    pub type_name: String,
    /// What stands in parentheses or brackets after the type.
    pub argument: Option<Argument>,
    /// When the field is there.
    pub condition: Option<Condition>,
    /// Where the value goes.
    pub targets: Vec<Target>,
    /// A password or the like: in no column, and shown only to those who ask.
    pub secret: bool,
}

/// What stands after a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// As many, or as long, as a field says.
    Field(String),
    /// So many.
    Number(u32),
    /// To the end of the message.
    Rest,
    /// From one bit to another.
    Bits(u32, u32),
}

/// `field test value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// A field, or `length` for the bytes of the message.
    pub field: String,
    /// What is compared.
    pub test: Test,
    /// With what: one value, or several after `in`.
    pub values: Vec<Literal>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// Less than the value.
    Less,
    /// Greater than the value.
    Greater,
    /// Any of the value's bits is set.
    Bits,
}

/// A value of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A number.
    Number(u64),
    /// A text in quotes; after `in` each of its characters.
    Text(String),
}

/// A column, and how the value gets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the column.
    pub column: String,
    /// `text`, `enum.NAME` or `clock.NAME`.
    pub transform: Option<String>,
}

/// The lines of a layout whose first line is `first_line` of the file. Empty
/// lines and remarks are skipped.
pub fn parse(text: &str, first_line: usize) -> Result<Vec<LayoutLine>, Fault> {
    let mut lines = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let content = without_remark(raw).trim();
        if content.is_empty() {
            continue;
        }
        let line = first_line.saturating_add(i);
        lines.push(layout_line(content, line)?);
    }
    Ok(lines)
}

/// The lines of a list of fields that bits choose: `byte.bit name type`, bytes
/// from 1, bits from 0. The offset of a line is the number of its bit.
pub fn parse_bits(text: &str, first_line: usize) -> Result<Vec<LayoutLine>, Fault> {
    let mut lines = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let content = without_remark(raw).trim();
        if content.is_empty() {
            continue;
        }
        let line = first_line.saturating_add(i);
        let form = || Fault::new(line, format!("expected `byte.bit name type`, found `{content}`"));
        let (place, rest) = content.split_once(char::is_whitespace).ok_or_else(form)?;
        let bit = bit_number(place).ok_or_else(form)?;
        lines.push(layout_line(&format!("{bit} {}", rest.trim_start()), line)?);
    }
    Ok(lines)
}

/// `2.3` as the number of the fourth bit of the second byte.
fn bit_number(place: &str) -> Option<u32> {
    let (byte, bit) = place.split_once('.')?;
    let (byte, bit): (u32, u32) = (byte.parse().ok()?, bit.parse().ok()?);
    (bit < 8).then_some(())?;
    byte.checked_sub(1)?.checked_mul(8)?.checked_add(bit)
}

/// What stands before the first `#` outside quotes.
fn without_remark(raw: &str) -> &str {
    let mut quoted = false;
    let end = raw.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    end.and_then(|end| raw.get(..end)).unwrap_or(raw)
}

fn layout_line(content: &str, line: usize) -> Result<LayoutLine, Fault> {
    let parsed = all_consuming(fields).parse(content);
    let Ok((_, (offset, (dot, name), (type_name, argument), condition, targets))) = parsed else {
        let form = "expected `offset name type ? condition -> column : transform`";
        return Err(Fault::new(line, format!("{form}, found `{content}`")));
    };
    let targets = targets.unwrap_or_default();
    let secret = matches!(targets.as_slice(), [only] if only.column == SECRET);
    Ok(LayoutLine {
        line,
        offset,
        name: name.to_owned(),
        is_part: dot.is_some(),
        type_name: type_name.to_owned(),
        argument,
        condition,
        targets: if secret { Vec::new() } else { targets },
        secret,
    })
}

type Fields<'a> = (
    Option<u32>,
    (Option<char>, &'a str),
    (&'a str, Option<Argument>),
    Option<Condition>,
    Option<Vec<Target>>,
);

fn fields(input: &str) -> IResult<&str, Fields<'_>> {
    let offset = alt((map(offset, Some), value(None, one('+'))));
    let name = (opt(one('.')), alt((word, tag("-"))));
    let condition = preceded((space1, one('?'), space1), condition);
    let targets = preceded((space1, tag("->"), space1), separated_list1(comma, target));
    (
        offset,
        preceded(space1, name),
        (preceded(space1, dotted), opt(argument)),
        opt(condition),
        opt(targets),
    )
        .parse(input)
}

fn offset(input: &str) -> IResult<&str, u32> {
    map_res(digit1, str::parse).parse(input)
}

fn argument(input: &str) -> IResult<&str, Argument> {
    let inner = || {
        alt((
            map(word, |field| Argument::Field(field.to_owned())),
            map(separated_pair(offset, one('-'), offset), |(from, to)| Argument::Bits(from, to)),
            map(offset, Argument::Number),
            value(Argument::Rest, one('*')),
        ))
    };
    alt((delimited(one('('), inner(), one(')')), delimited(one('['), inner(), one(']'))))
        .parse(input)
}

/// `field = 3`, `field != "A"`, `field & 4`, `field in "ABC"`, `field in 1,2`.
fn condition(input: &str) -> IResult<&str, Condition> {
    let several = separated_list1(comma, literal);
    let listed = (
        alt((
            value(Test::NotIn, (tag("not"), space1, tag("in"), space1)),
            value(Test::In, (tag("in"), space1)),
        )),
        map(several, |values| values.into_iter().flat_map(characters).collect()),
    );
    let test = alt((
        value(Test::NotIn, tag("!=")),
        value(Test::In, alt((tag("=="), tag("=")))),
        value(Test::Less, tag("<")),
        value(Test::Greater, tag(">")),
        value(Test::Bits, tag("&")),
    ));
    let compared = ((test, space0), map(literal, |one| vec![one]));
    let compared = map(compared, |((test, _), values)| (test, values));
    let (left, (field, (test, values))) =
        (word, preceded(space0, alt((listed, compared)))).parse(input)?;
    Ok((left, Condition { field: field.to_owned(), test, values }))
}

/// The characters of a text, each a value of its own.
fn characters(literal: Literal) -> Vec<Literal> {
    match literal {
        Literal::Text(text) => text.chars().map(|c| Literal::Text(c.to_string())).collect(),
        number => vec![number],
    }
}

fn literal(input: &str) -> IResult<&str, Literal> {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == 'x' || c == '_';
    let number = map_opt(take_while1(is_part), source::number);
    let text = delimited(one('"'), opt(is_not("\"")), one('"'));
    alt((
        map(text, |text: Option<&str>| Literal::Text(text.unwrap_or_default().to_owned())),
        map(number, Literal::Number),
    ))
    .parse(input)
}

fn comma(input: &str) -> IResult<&str, &str> {
    recognize((space0, one(','), space0)).parse(input)
}

/// `column : transform`.
pub fn target(input: &str) -> IResult<&str, Target> {
    let transform = preceded((space1, one(':'), space1), dotted);
    let (left, (column, transform)) = (word, opt(transform)).parse(input)?;
    let transform = transform.map(str::to_owned);
    Ok((left, Target { column: column.to_owned(), transform }))
}

/// A word in snake case.
fn word(input: &str) -> IResult<&str, &str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = |w: &str| w.starts_with(|c: char| c.is_ascii_lowercase());
    verify(take_while1(is_part), starts_well).parse(input)
}

fn dotted(input: &str) -> IResult<&str, &str> {
    recognize(separated_list1(one('.'), word)).parse(input)
}

/// `kind.NAME` as its name, where it is of that kind.
pub fn reference<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let parts: IResult<&str, (&str, char, &str)> = (word, one('.'), rest).parse(text);
    parts.ok().and_then(|(_, (found, _, name))| (found == kind).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_with_everything() {
        let text = "\n  11  order_ref u64 -> order_id, cl_ord_id : text  # why\n";
        let lines = parse(text, 7).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].line, lines[0].offset), (8, Some(11)));
        assert_eq!(lines[0].name, "order_ref");
        assert_eq!(lines[0].type_name, "u64");
        let columns: Vec<_> = lines[0].targets.iter().map(|t| t.column.as_str()).collect();
        assert_eq!(columns, ["order_id", "cl_ord_id"]);
        assert_eq!(lines[0].targets[1].transform.as_deref(), Some("text"));
    }

    #[test]
    fn elements_name_their_length() {
        let lines = parse("47 appendage tlv.option(appendage_length)", 1).unwrap();
        assert_eq!(lines[0].argument, Some(Argument::Field("appendage_length".into())));
        assert_eq!(reference(&lines[0].type_name, "tlv"), Some("option"));
    }

    #[test]
    fn groups_parts_and_conditions() {
        let text = "+ legs struct.leg[*]\n12 .closing bits(0-3) -> side : enum.side\n\
                    + a u8 ? kind in \"A#\" -> qty # remark\n+ b u8 ? flags & 0x0C\n\
                    + c u8 ? n not in 1,2";
        let lines = parse(text, 1).unwrap();
        assert_eq!((lines[0].offset, &lines[0].argument), (None, &Some(Argument::Rest)));
        assert!(lines[1].is_part && lines[1].argument == Some(Argument::Bits(0, 3)));
        let condition = lines[2].condition.clone().unwrap();
        let want = [Literal::Text("A".into()), Literal::Text("#".into())];
        assert_eq!((condition.test, condition.values), (Test::In, want.to_vec()));
        assert_eq!(lines[3].condition.clone().unwrap().values, [Literal::Number(12)]);
        assert_eq!(lines[4].condition.clone().unwrap().test, Test::NotIn);
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        for bad in ["x name u8", "1 Name u8", "1 name", "1 name u8 -> ", "1 name u8 -> a : B"] {
            let fault = parse(&format!("0 fine u8\n{bad}"), 10).unwrap_err();
            assert_eq!(fault.line, 11, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text, usize::MAX);
        }
    }
}
