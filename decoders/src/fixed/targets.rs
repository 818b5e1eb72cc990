//! Where a field's value goes: columns and transforms become operations.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::batch::{
    DECIMAL_SCALE, DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol,
};
use crate::fixed::bytes::Window;
use crate::fixed::clock::{Clock, Since};
use crate::fixed::error::Fault;
use crate::fixed::layout::{LayoutLine, Target, reference};
use crate::fixed::place::NumberAt;
use crate::fixed::program::{
    CodeTable, ElsewhereAt, FactorTable, FieldDef, NumberTo, Op, Plus, Radix, ScaleAt, TextAt,
};
use crate::fixed::shapes::Scope;
use crate::fixed::source::{self, ClockTable, Key, LearnedKey, PlusTable, Scale};
use crate::fixed::tables::Tables;
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
}

/// The key of an enum for codes that it does not list ...
const OTHER: &str = "other";

/// ... and what it says of them: that the field never has one.
const NEVER: &str = "never";

/// What an enum lists.
#[derive(Default)]
struct Words {
    /// By code, sorted.
    words: Vec<(u64, String)>,
    /// Whether the field never has another code.
    complete: bool,
}

/// Turns targets into operations and collects what these share.
pub struct Targets<'a> {
    /// Clocks by name, and what is added to their counts.
    pub clocks: Vec<(&'a str, Clock, Option<&'a PlusTable>)>,
    /// Codes of scales that operations name.
    pub factor_tables: Vec<FactorTable>,
    /// Code tables that operations name.
    pub code_tables: Vec<CodeTable>,
    /// Kinds of names that operations name.
    pub name_specs: Vec<NameSpec>,
    enums: &'a BTreeMap<String, Spanned<BTreeMap<String, String>>>,
}

impl<'a> Targets<'a> {
    /// With the file's clocks and enums.
    pub fn new(
        clocks: Vec<(&'a str, Clock, Option<&'a PlusTable>)>,
        enums: &'a BTreeMap<String, Spanned<BTreeMap<String, String>>>,
    ) -> Self {
        Self {
            clocks,
            factor_tables: Vec::new(),
            code_tables: Vec::new(),
            name_specs: Vec::new(),
            enums,
        }
    }

    /// The operations of a field.
    pub fn ops(
        &mut self,
        field: &FieldDef,
        line: &LayoutLine,
        scope: &Scope,
        tables: &mut Tables,
    ) -> Result<Vec<Op>, Fault> {
        let mut ops = Vec::new();
        for target in &line.targets {
            ops.push(self.op(field, target, line.line, scope, tables)?);
        }
        Ok(ops)
    }

    fn op(
        &mut self,
        field: &FieldDef,
        target: &Target,
        line: usize,
        scope: &Scope,
        tables: &mut Tables,
    ) -> Result<Op, Fault> {
        let Some(column) = Column::parse(&target.column) else {
            let reason = format!("no column `{}` that a message may fill", target.column);
            return Err(Fault::new(line, reason));
        };
        let transform = target.transform.as_deref();
        match (column, transform) {
            (Column::Time(col), Some(name)) => self.time(field, col, name, line, scope, tables),
            (Column::Decimal(col), None) if field.ty.scale_from.is_some() => {
                self.scaled(field, col, line, scope, tables)
            }
            _ if field.bits.is_some() || matches!(field.ty.wire, Wire::Digits { .. }) => {
                self.number(field, column, target, line)
            }
            _ => self.plain(field, column, target, line),
        }
    }

    /// An operation over an integer or a text.
    fn plain(
        &mut self,
        field: &FieldDef,
        column: Column,
        target: &Target,
        line: usize,
    ) -> Result<Op, Fault> {
        let null: Box<[u64]> = field.ty.null.clone().into();
        let op = match (column, window(field), target.transform.as_deref()) {
            (Column::Int(col), Some(at), None) if field.ty.scale.is_none() => {
                Op::Int { at, col, null }
            }
            (Column::Small(col), Some(at), None) if whole(field) && field.ty.wire.width() <= 4 => {
                Op::Small { at, col, null }
            }
            (Column::Decimal(col), _, None) => decimal(field, col, line)?,
            (Column::Enum(col), _, Some(name)) => {
                let at = any_window(field, line)?;
                Op::Code { at, col, codes: self.codes(field, col, name, line)? }
            }
            (Column::Name(col), _, transform) => {
                Op::Name { from: self.text_at(field, transform, line)?, col }
            }
            (Column::Text(col), Some(at), Some("text")) if whole(field) => {
                Op::Digits { at, col, radix: Radix::Ten, null }
            }
            (Column::Text(col), Some(at), Some("base36")) if whole(field) => {
                Op::Digits { at, col, radix: Radix::ThirtySix, null }
            }
            (Column::Text(col), None, None) => text(field, col, line)?,
            _ => return Err(mismatch(field, target, line)),
        };
        Ok(op)
    }

    /// An operation over digits or bits.
    fn number(
        &mut self,
        field: &FieldDef,
        column: Column,
        target: &Target,
        line: usize,
    ) -> Result<Op, Fault> {
        let wrong = || mismatch(field, target, line);
        let at = number_at(field).ok_or_else(wrong)?;
        let to = match (column, target.transform.as_deref()) {
            (Column::Int(col), None) if field.ty.scale.is_none() => NumberTo::Int(col),
            (Column::Small(col), None) if field.ty.scale.is_none() => NumberTo::Small(col),
            (Column::Decimal(col), None) => NumberTo::Decimal(col, factor(field, line)?),
            (Column::Enum(col), Some(name)) => {
                NumberTo::Code(col, self.codes(field, col, name, line)?)
            }
            (Column::Name(col), transform) => {
                NumberTo::Name(col, self.number_names(field, transform, line)?)
            }
            (Column::Text(col), None | Some("text")) => NumberTo::Text(col),
            _ => return Err(wrong()),
        };
        Ok(Op::Number { at, to, null: field.ty.null.clone().into() })
    }

    /// The names of numbers in digits or bits.
    fn number_names(
        &mut self,
        field: &FieldDef,
        transform: Option<&str>,
        line: usize,
    ) -> Result<usize, Fault> {
        let Words { words, complete } = match transform {
            None | Some("text") => Words::default(),
            Some(name) => self.words(field, name, line)?,
        };
        let spec = NameSpec { width: 8, decimal: true, trim: field.ty.trim, words, complete };
        Ok(shared(&mut self.name_specs, spec))
    }

    fn time(
        &mut self,
        field: &FieldDef,
        col: TimeCol,
        transform: &str,
        line: usize,
        scope: &Scope,
        tables: &mut Tables,
    ) -> Result<Op, Fault> {
        let name = reference(transform, "clock");
        let found = name.and_then(|name| self.clocks.iter().position(|(n, ..)| *n == name));
        let missing = || Fault::new(line, format!("`{transform}` is no clock of this file"));
        let clock = found.ok_or_else(missing)?;
        let known = self.clocks.get(clock).map(|(_, known, plus)| (known.since, *plus));
        let (since, plus) = known.ok_or_else(missing)?;
        let no_number = || Fault::new(line, format!("`{}` is no number", field.name));
        let at = number_at(field).ok_or_else(no_number)?;
        match (at, since, plus) {
            (NumberAt::Plain { at, .. }, Since::Epoch | Since::Midnight(_), None)
                if field.ty.null.is_empty() =>
            {
                Ok(Op::Time { at, col, clock })
            }
            (at, _, plus) => {
                let plus = plus.map(|plus| plus_at(plus, line, scope, tables)).transpose()?;
                Ok(Op::Moment { at, col, clock, plus, null: field.ty.null.clone().into() })
            }
        }
    }

    fn scaled(
        &mut self,
        field: &FieldDef,
        col: DecimalCol,
        line: usize,
        scope: &Scope,
        tables: &mut Tables,
    ) -> Result<Op, Fault> {
        let no_number = || Fault::new(line, format!("`{}` is no number", field.name));
        let at = number_at(field).ok_or_else(no_number)?;
        let scale = self.scale_at(field, line, scope, tables)?.ok_or_else(no_number)?;
        let sign = field.ty.sign.as_ref().map(|sign| scope.key(sign, line)).transpose()?;
        Ok(Op::Scaled { at, col, scale, sign, null: field.ty.null.clone().into() })
    }

    /// Where the places of a field are told, if they are not always the same.
    pub fn scale_at(
        &mut self,
        field: &FieldDef,
        line: usize,
        scope: &Scope,
        tables: &mut Tables,
    ) -> Result<Option<ScaleAt>, Fault> {
        Ok(Some(match &field.ty.scale_from {
            Some(Scale::Learned(learned)) => {
                ScaleAt::Places(ElsewhereAt::Learned(scope.learned(learned, tables, line)?))
            }
            Some(Scale::Field(from)) => match &from.codes {
                None => ScaleAt::Places(ElsewhereAt::Field(scope.number(&from.field, line)?)),
                Some(codes) => {
                    let wire = scope.find(&from.field).map(|(_, def)| def.ty.wire);
                    let code = scope.key(&from.field, line)?;
                    ScaleAt::Code(code, self.factors(wire, codes, line)?)
                }
            },
            Some(Scale::Last(from))
                if matches!(number_at(field), Some(NumberAt::Digits { .. })) =>
            {
                let wire = Some(Wire::Text { width: 1 });
                ScaleAt::Last(self.factors(wire, &from.last, line)?)
            }
            _ => return Ok(None),
        }))
    }

    /// The factors of `[enum.NAME]`, which the codes of a scale lead to.
    fn factors(&mut self, wire: Option<Wire>, codes: &str, line: usize) -> Result<usize, Fault> {
        let missing = || Fault::new(line, format!("no [enum.{codes}] in this file"));
        let table = self.enums.get(codes).ok_or_else(missing)?;
        let mut factors = Vec::new();
        for (code, factor) in table.get_ref() {
            let wrong = |what: &str| Fault::new(line, format!("[enum.{codes}]: {what}"));
            let number = wire.and_then(|wire| literal_code(code, wire));
            let number = number.ok_or_else(|| wrong(&format!("`{code}` is no code")))?;
            let exact = || wrong(&format!("`{factor}` is no factor such as 1, 1/100 or 1/8"));
            factors.push((number, billionths(factor).ok_or_else(exact)?));
        }
        Ok(shared(&mut self.factor_tables, FactorTable::new(factors)))
    }

    /// What `enum.NAME` lists.
    fn words(&self, field: &FieldDef, transform: &str, line: usize) -> Result<Words, Fault> {
        let table = reference(transform, "enum").and_then(|name| self.enums.get(name));
        let Some(table) = table else {
            return Err(Fault::new(line, format!("`{transform}` is no enum of this file")));
        };
        let mut words = Vec::new();
        let complete = match table.get_ref().get(OTHER).map(String::as_str) {
            None => false,
            Some(NEVER) => true,
            Some(_) => {
                let reason = format!("`{OTHER}` of `{transform}` can only be `{NEVER}`");
                return Err(Fault::new(line, reason));
            }
        };
        for (code, word) in table.get_ref().iter().filter(|(code, _)| *code != OTHER) {
            let Some(code) = literal_code(code, field.ty.wire) else {
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
        Ok(Words { words, complete })
    }

    /// The code table of a field for a vocabulary.
    fn codes(
        &mut self,
        field: &FieldDef,
        col: EnumCol,
        transform: &str,
        line: usize,
    ) -> Result<usize, Fault> {
        let Words { words, complete } = self.words(field, transform, line)?;
        let mut table = CodeTable { bytes: Box::new([0; 256]), wide: Vec::new(), complete };
        for (code, word) in words {
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
        Ok(shared(&mut self.code_tables, table))
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
        let Words { words, complete } = match transform {
            None if is_text => Words::default(),
            Some("text") if whole(field) => Words::default(),
            Some(name) if name != "text" => self.words(field, name, line)?,
            _ => {
                let reason = format!("`{}` needs `: text` or an enum to be a text", field.name);
                return Err(Fault::new(line, reason));
            }
        };
        let trim = field.ty.trim;
        let spec = NameSpec { width, decimal: !is_text, trim, words, complete };
        let cache = shared(&mut self.name_specs, spec);
        Ok(TextAt::Short { at: any_window(field, line)?, cache })
    }

    /// The operations of a message's `set`.
    pub fn constants(&self, set: &[(&str, &str)], line: usize) -> Result<Vec<Op>, Fault> {
        let constant = |(column, word): &(&str, &str)| {
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
        Wire::Digits { .. } | Wire::Bytes { .. } => None,
    };
    found.ok_or_else(|| Fault::new(line, format!("`{}` is too wide for a code", field.name)))
}

fn decimal(field: &FieldDef, col: DecimalCol, line: usize) -> Result<Op, Fault> {
    let Wire::Int { signed, .. } = field.ty.wire else {
        return Err(Fault::new(line, format!("`{}` is no number", field.name)));
    };
    let no_number = || Fault::new(line, format!("`{}` is no number", field.name));
    let (factor, at) = (factor(field, line)?, window(field).ok_or_else(no_number)?);
    Ok(Op::Decimal { at, col, factor, signed, null: field.ty.null.clone().into() })
}

/// What a number of the field's scale is multiplied with.
fn factor(field: &FieldDef, line: usize) -> Result<u64, Fault> {
    let places = DECIMAL_SCALE - field.ty.scale.unwrap_or(0);
    let factor = u32::try_from(places).ok().and_then(|places| 10u64.checked_pow(places));
    factor.ok_or_else(|| Fault::new(line, format!("the scale of `{}` is out of range", field.name)))
}

/// `1/100`, `-1/8`, `10` as billionths, where that is exact.
fn billionths(factor: &str) -> Option<i64> {
    let (above, below) = factor.split_once('/').unwrap_or((factor, "1"));
    let (above, below): (i64, i64) = (above.trim().parse().ok()?, below.trim().parse().ok()?);
    let billionths = above.checked_mul(1_000_000_000)?;
    (below > 0 && billionths % below == 0).then(|| billionths / below)
}

/// What a clock adds to its counts.
fn plus_at(
    plus: &PlusTable,
    line: usize,
    scope: &Scope,
    tables: &mut Tables,
) -> Result<Plus, Fault> {
    let unit = plus.unit.as_deref().unwrap_or("s");
    let unknown = || Fault::new(line, format!("a unit is ns, us, ms or s, not `{unit}`"));
    let unit_ns = unit_ns(unit).ok_or_else(unknown)?;
    let at = match (&plus.field, &plus.table, &plus.value) {
        (Some(field), None, None) => ElsewhereAt::Field(scope.number(field, line)?),
        (None, Some(table), Some(value)) => {
            let key: Option<Key> = plus.key.clone();
            let learned = LearnedKey { table: table.clone(), key, value: value.clone() };
            ElsewhereAt::Learned(scope.learned(&learned, tables, line)?)
        }
        _ => {
            let form = "plus is { field } or { table, key, value }";
            return Err(Fault::new(line, form));
        }
    };
    Ok(Plus { at, unit_ns })
}

/// A clock as the file has it.
pub fn clock(table: &ClockTable) -> Result<Clock, String> {
    let unit = table.unit.as_deref().unwrap_or("ns");
    let unknown = || format!("a unit is ns, us, ms or s, not `{unit}`");
    let unit_ns = unit_ns(unit).ok_or_else(unknown)?;
    let tz = || {
        let tz = table.tz.as_deref().ok_or_else(|| format!("{} needs a tz", table.since))?;
        tz.parse().map_err(|_| format!("`{tz}` is no IANA time zone"))
    };
    let since = match table.since.as_str() {
        "epoch" if table.tz.is_some() => return Err("epoch takes no tz".into()),
        "epoch" => Since::Epoch,
        "midnight" => Since::Midnight(tz()?),
        "calendar" => Since::Calendar(tz()?),
        "hhmmss" => {
            let digits = table.digits.unwrap_or(6);
            if !(6..=15).contains(&digits) {
                return Err("hhmmss has 6 to 15 digits".into());
            }
            Since::Daytime { tz: tz()?, digits }
        }
        other => {
            return Err(format!("since is midnight, epoch, calendar or hhmmss, not `{other}`"));
        }
    };
    Ok(Clock { since, unit_ns })
}

fn unit_ns(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        _ => None,
    }
}

/// The number of a field.
pub fn number_at(def: &FieldDef) -> Option<NumberAt> {
    match (def.ty.wire, def.bits) {
        (Wire::Int { width, little, .. }, Some((low, count))) => {
            let mask = u64::MAX.checked_shr(64u32.checked_sub(count)?)?;
            let at = Window::new(def.offset, width, little)?;
            Some(NumberAt::Bits { at, shift: low as u8, mask })
        }
        (Wire::Int { width, little, signed }, None) => {
            Some(NumberAt::Plain { at: Window::new(def.offset, width, little)?, signed })
        }
        (Wire::Digits { width }, None) => Some(NumberAt::Digits { offset: def.offset, width }),
        _ => None,
    }
}

/// The number of a field, or a text of up to 8 bytes as one.
pub fn any_number_at(def: &FieldDef) -> Option<NumberAt> {
    match def.ty.wire {
        Wire::Text { width } => {
            Some(NumberAt::Plain { at: Window::new(def.offset, width, false)?, signed: false })
        }
        _ => number_at(def),
    }
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
pub fn literal_code(text: &str, wire: Wire) -> Option<u64> {
    match wire {
        Wire::Text { width } => {
            let padded = format!("{text:<width$}", width = width as usize);
            let fits = padded.len() == width as usize && width <= 8;
            fits.then(|| padded.bytes().fold(0, |code, byte| code << 8 | u64::from(byte)))
        }
        Wire::Digits { .. } => source::number(text),
        Wire::Int { width, .. } => {
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
