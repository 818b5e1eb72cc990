//! Layout lines: `offset name type -> column : transform, column # remark`.
//!
//! ```text
//!  11  order_reference_number  u64     -> order_id
//!  19  buy_sell                c1      -> side : enum.side
//!  20  -                       b1                            reserved bytes
//!  47  appendage               tlv.option(appendage_length)  elements to the end
//! ```

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char as one, digit1, space0, space1};
use nom::combinator::{all_consuming, map_res, opt, recognize, rest, verify};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::fixed::error::Fault;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutLine {
    /// Line in the file, from 1.
    pub line: usize,
    /// Offset in the message; in a list of elements the tag.
    pub offset: u32,
    /// The field's name; `-` for reserved bytes.
    pub name: String,
    /// A wire type, a name of `[types]`, or `tlv.NAME`.
    pub type_name: String,
    /// The field in parentheses after the type.
    pub argument: Option<String>,
    /// Where the value goes.
    pub targets: Vec<Target>,
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
        let content = raw.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let line = first_line.saturating_add(i);
        lines.push(layout_line(content, line)?);
    }
    Ok(lines)
}

fn layout_line(content: &str, line: usize) -> Result<LayoutLine, Fault> {
    let parsed = all_consuming(fields).parse(content);
    let Ok((_, (offset, name, (type_name, argument), targets))) = parsed else {
        let form = "expected `offset name type -> column : transform`";
        return Err(Fault::new(line, format!("{form}, found `{content}`")));
    };
    Ok(LayoutLine {
        line,
        offset,
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        argument: argument.map(str::to_owned),
        targets: targets.unwrap_or_default(),
    })
}

type Fields<'a> = (u32, &'a str, (&'a str, Option<&'a str>), Option<Vec<Target>>);

fn fields(input: &str) -> IResult<&str, Fields<'_>> {
    let name = alt((word, tag("-")));
    let argument = delimited(one('('), word, one(')'));
    let targets = preceded((space1, tag("->"), space1), separated_list1(comma, target));
    (offset, preceded(space1, name), (preceded(space1, dotted), opt(argument)), opt(targets))
        .parse(input)
}

fn offset(input: &str) -> IResult<&str, u32> {
    map_res(digit1, str::parse).parse(input)
}

fn comma(input: &str) -> IResult<&str, &str> {
    recognize((space0, one(','), space0)).parse(input)
}

fn target(input: &str) -> IResult<&str, Target> {
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
        assert_eq!((lines[0].line, lines[0].offset), (8, 11));
        assert_eq!(lines[0].name, "order_ref");
        assert_eq!(lines[0].type_name, "u64");
        let columns: Vec<_> = lines[0].targets.iter().map(|t| t.column.as_str()).collect();
        assert_eq!(columns, ["order_id", "cl_ord_id"]);
        assert_eq!(lines[0].targets[1].transform.as_deref(), Some("text"));
    }

    #[test]
    fn elements_name_their_length() {
        let lines = parse("47 appendage tlv.option(appendage_length)", 1).unwrap();
        assert_eq!(lines[0].argument.as_deref(), Some("appendage_length"));
        assert_eq!(reference(&lines[0].type_name, "tlv"), Some("option"));
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
