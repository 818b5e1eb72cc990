//! Where a field's value goes: columns and transforms become operations.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::batch::{
    DECIMAL_SCALE, DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol,
};
use crate::fixed::bytes::Window;
use crate::fixed::clock::Clock;
use crate::fixed::error::Fault;
use crate::fixed::layout::{LayoutLine, Target, reference};
use crate::fixed::program::{CodeTable, FieldDef, LearnedCol, Op, TextAt};
use crate::fixed::source;
use crate::fixed::text::NameSpec;
use crate::fixed::wire::Wire;

/// A column of `messages` that a field may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Times.
    Time(TimeCol),
    /// 64-bit numbers.
    Int(IntCol),
    /// 32-bit numbers.
    Small(SmallCol),
    /// Decimals.
    Decimal(DecimalCol),
    /// Names.
    Name(NameCol),
    /// Texts.
    Text(TextCol),
    /// Vocabularies.
    Enum(EnumCol),
}

impl Column {
    /// The column with this name; none of those that the framing fills.
    pub fn parse(text: &str) -> Option<Self> {
        let framing = [
            "ts_first",
            "seq",
            "seq_unit",
            "sender",
            "gap_before",
            "raw_off",
            "raw",
            "tcp_off",
            "line",
            "session",
            "msg_name",
        ];
        if framing.contains(&text) {
            return None;
        }
        let time = TimeCol::from_text(text).map(Self::Time);
        time.or_else(|| IntCol::from_text(text).map(Self::Int))
            .or_else(|| SmallCol::from_text(text).map(Self::Small))
            .or_else(|| DecimalCol::from_text(text).map(Self::Decimal))
            .or_else(|| NameCol::from_text(text).map(Self::Name))
            .or_else(|| TextCol::from_text(text).map(Self::Text))
            .or_else(|| EnumCol::from_text(text).map(Self::Enum))
    }

    /// The column as one for learned texts or numbers.
    pub fn learned(self, is_text: bool) -> Option<LearnedCol> {
        match self {
            Self::Name(col) if is_text => Some(LearnedCol::Name(col)),
            Self::Int(col) if !is_text => Some(LearnedCol::Int(col)),
            _ => None,
        }
    }
}

/// Turns targets into operations and collects what these share.
pub struct Targets<'a> {
    /// Clocks by name.
    pub clocks: Vec<(&'a str, Clock)>,
    /// Code tables that operations name.
    pub code_tables: Vec<CodeTable>,
    /// Kinds of names that operations name.
    pub name_specs: Vec<NameSpec>,
    enums: &'a BTreeMap<String, Spanned<BTreeMap<String, String>>>,
}

impl<'a> Targets<'a> {
    /// With the file's clocks and enums.
    pub fn new(
        clocks: Vec<(&'a str, Clock)>,
        enums: &'a BTreeMap<String, Spanned<BTreeMap<String, String>>>,
    ) -> Self {
        Self { clocks, code_tables: Vec::new(), name_specs: Vec::new(), enums }
    }

    /// The operations of a field.
    pub fn ops(&mut self, field: &FieldDef, line: &LayoutLine) -> Result<Vec<Op>, Fault> {
        line.targets.iter().map(|target| self.op(field, target, line.line)).collect()
    }

    fn op(&mut self, field: &FieldDef, target: &Target, line: usize) -> Result<Op, Fault> {
        let Some(column) = Column::parse(&target.column) else {
            let reason = format!("no column `{}` that a message may fill", target.column);
            return Err(Fault::new(line, reason));
        };
        let transform = target.transform.as_deref();
        let null: Box<[u64]> = field.ty.null.clone().into();
        let op = match (column, window(field), transform) {
            (Column::Time(col), Some(at), Some(name)) => {
                Op::Time { at, col, clock: self.clock(name, line)? }
            }
            (Column::Int(col), Some(at), None) if whole(field) => Op::Int { at, col, null },
            (Column::Small(col), Some(at), None) if whole(field) && field.ty.wire.width() <= 4 => {
                Op::Small { at, col, null }
            }
            (Column::Decimal(col), _, None) => decimal(field, col, line)?,
            (Column::Enum(col), _, Some(name)) => self.code(field, col, name, line)?,
            (Column::Name(col), _, transform) => {
                Op::Name { from: self.text_at(field, transform, line)?, col }
            }
            (Column::Text(col), Some(at), Some("text")) if whole(field) => {
                Op::Digits { at, col, null }
            }
            (Column::Text(col), None, None) => text(field, col, line)?,
            _ => return Err(mismatch(field, target, line)),
        };
        Ok(op)
    }

    fn clock(&self, transform: &str, line: usize) -> Result<usize, Fault> {
        let name = reference(transform, "clock");
        let found = name.and_then(|name| self.clocks.iter().position(|(n, _)| *n == name));
        found.ok_or_else(|| Fault::new(line, format!("`{transform}` is no clock of this file")))
    }

    /// The words of `enum.NAME`, by code, sorted.
    fn words(
        &self,
        field: &FieldDef,
        transform: &str,
        line: usize,
    ) -> Result<Vec<(u64, String)>, Fault> {
        let table = reference(transform, "enum").and_then(|name| self.enums.get(name));
        let Some(table) = table else {
            return Err(Fault::new(line, format!("`{transform}` is no enum of this file")));
        };
        let mut words = Vec::new();
        for (code, word) in table.get_ref() {
            let Some(code) = enum_code(code, field.ty.wire) else {
                let reason =
                    format!("code `{code}` of `{transform}` does not fit `{}`", field.name);
                return Err(Fault::new(line, reason));
            };
            words.push((code, word.clone()));
        }
        words.sort();
        if words.array_windows().any(|[a, b]| a.0 == b.0) {
            return Err(Fault::new(line, format!("`{transform}` has a code twice")));
        }
        Ok(words)
    }

    fn code(
        &mut self,
        field: &FieldDef,
        col: EnumCol,
        transform: &str,
        line: usize,
    ) -> Result<Op, Fault> {
        let at = any_window(field, line)?;
        let mut table = CodeTable { bytes: Box::new([0; 256]), wide: Vec::new() };
        for (code, word) in self.words(field, transform, line)? {
            let number = if word.is_empty() { Some(0) } else { col.value_number(&word) };
            let Some(number) = number else {
                let reason = format!("`{word}` of `{transform}` is no word of `{}`", col.text());
                return Err(Fault::new(line, reason));
            };
            if let Some(place) =
                usize::try_from(code).ok().and_then(|code| table.bytes.get_mut(code))
            {
                *place = number;
            }
            table.wide.push((code, number));
        }
        Ok(Op::Code { at, col, codes: shared(&mut self.code_tables, table) })
    }

    /// A text, or a number made one by `text` or an enum.
    pub fn text_at(
        &mut self,
        field: &FieldDef,
        transform: Option<&str>,
        line: usize,
    ) -> Result<TextAt, Fault> {
        let width = field.ty.wire.width();
        if let (Wire::Text { .. }, 9.., None) = (field.ty.wire, width, transform) {
            return Ok(TextAt::Long { offset: field.offset, width, trim: field.ty.trim });
        }
        let is_text = matches!(field.ty.wire, Wire::Text { .. });
        let words = match transform {
            None if is_text => Vec::new(),
            Some("text") if whole(field) => Vec::new(),
            Some(name) if name != "text" => self.words(field, name, line)?,
            _ => {
                let reason = format!("`{}` needs `: text` or an enum to be a text", field.name);
                return Err(Fault::new(line, reason));
            }
        };
        let spec = NameSpec { width, decimal: !is_text, trim: field.ty.trim, words };
        let cache = shared(&mut self.name_specs, spec);
        Ok(TextAt::Short { at: any_window(field, line)?, cache })
    }

    /// The operations of a message's `set`.
    pub fn constants(&self, set: &BTreeMap<&str, &str>, line: usize) -> Result<Vec<Op>, Fault> {
        let constant = |(column, word): (&&str, &&str)| {
            let Some(Column::Enum(col)) = Column::parse(column) else {
                return Err(Fault::new(
                    line,
                    format!("`{column}` has no vocabulary to `set` from"),
                ));
            };
            let unknown = || Fault::new(line, format!("`{word}` is no word of `{column}`"));
            Ok(Op::Constant { col, number: col.value_number(word).ok_or_else(unknown)? })
        };
        set.iter().map(constant).collect()
    }
}

/// Whether a field is an unsigned number without places after the point.
fn whole(field: &FieldDef) -> bool {
    matches!(field.ty.wire, Wire::Int { signed: false, .. }) && field.ty.scale.is_none()
}

/// The window of a number.
fn window(field: &FieldDef) -> Option<Window> {
    match field.ty.wire {
        Wire::Int { width, little, .. } => Window::new(field.offset, width, little),
        _ => None,
    }
}

/// The window of a number or of a text of up to 8 bytes.
fn any_window(field: &FieldDef, line: usize) -> Result<Window, Fault> {
    let found = match field.ty.wire {
        Wire::Int { width, little, .. } => Window::new(field.offset, width, little),
        Wire::Text { width } => Window::new(field.offset, width, false),
        Wire::Bytes { .. } => None,
    };
    found.ok_or_else(|| Fault::new(line, format!("`{}` is too wide for a code", field.name)))
}

fn decimal(field: &FieldDef, col: DecimalCol, line: usize) -> Result<Op, Fault> {
    let Wire::Int { signed, .. } = field.ty.wire else {
        return Err(Fault::new(line, format!("`{}` is no number", field.name)));
    };
    let places = DECIMAL_SCALE - field.ty.scale.unwrap_or(0);
    let factor = u32::try_from(places).ok().and_then(|places| 10u64.checked_pow(places));
    let (Some(factor), Some(at)) = (factor, window(field)) else {
        return Err(Fault::new(line, format!("the scale of `{}` is out of range", field.name)));
    };
    Ok(Op::Decimal { at, col, factor, signed, null: field.ty.null.clone().into() })
}

fn text(field: &FieldDef, col: TextCol, line: usize) -> Result<Op, Fault> {
    let Wire::Text { width } = field.ty.wire else {
        return Err(Fault::new(line, format!("`{}` is no text", field.name)));
    };
    Ok(Op::Text { offset: field.offset, width, trim: field.ty.trim, col })
}

fn mismatch(field: &FieldDef, target: &Target, line: usize) -> Fault {
    let how = target
        .transform
        .as_deref()
        .map_or_else(|| "without a transform".into(), |t| format!("by `{t}`"));
    let reason = format!("`{}` can't go to `{}` {how}", field.name, target.column);
    Fault::new(line, reason)
}

/// A code as an enum's key writes it: the characters of a text, padded with
/// spaces, or a number.
fn enum_code(text: &str, wire: Wire) -> Option<u64> {
    match wire {
        Wire::Text { width } => {
            let padded = format!("{text:<width$}", width = width as usize);
            let fits = padded.len() == width as usize && width <= 8;
            fits.then(|| padded.bytes().fold(0, |code, byte| code << 8 | u64::from(byte)))
        }
        Wire::Int { width, signed: false, .. } => {
            let number = source::number(text)?;
            (width == 8 || number < 1 << (8 * width)).then_some(number)
        }
        _ => None,
    }
}

/// The index of an item in a list, new where it is new.
fn shared<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|other| *other == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
