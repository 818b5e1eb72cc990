//! From a protocol file to a compiled protocol; every fault with its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;

use crate::fixed::base;
use crate::fixed::bitfields::{self, Bitfields};
use crate::fixed::bytes::Window;
use crate::fixed::clock::Clock;
use crate::fixed::error::Fault;
use crate::fixed::layout::{self, LayoutLine, reference};
use crate::fixed::parts;
use crate::fixed::program::{FieldDef, Layout, Op};
use crate::fixed::protocol::{About, Codes, FixedProtocol};
use crate::fixed::shapes::{Extras, Scope, size_before_varying};
use crate::fixed::source::{self, File, Message, Part, PlusTable, Scale, Text, TypeTable};
use crate::fixed::tables::Tables;
use crate::fixed::targets::{self, Targets, literal_code};
use crate::fixed::tlv::{ElementSpec, TlvSpec};
use crate::fixed::walk::Shape;
use crate::fixed::wire::{FieldType, Trim, Wire};
use crate::kind::{Kind, Sender};
use crate::names::latin1;

/// Longest chain of `extends`.
const EXTENDS_MAX: usize = 8;

/// Most layouts of a protocol.
const LAYOUTS_MAX: usize = 4096;

/// Largest fixed part of a message.
pub const SIZE_MAX: u32 = 60_000;

/// A whole file, compiled.
pub fn compile(toml: &str) -> Result<FixedProtocol, Fault> {
    let own_lines = toml.lines().count();
    let (file, text) = base::whole(toml)?;
    let compiled = compile_file(&file, Text(&text));
    compiled.map_err(|fault| base::place(&file, Text(&text), own_lines, fault))
}

fn compile_file(file: &File, text: Text<'_>) -> Result<FixedProtocol, Fault> {
    let mut compiler = Compiler::new(file, text)?;
    compiler.tlvs()?;
    compiler.bitfields()?;
    compiler.messages()?;
    compiler.common()?;
    compiler.finish()
}

/// A file while it is compiled.
pub struct Compiler<'a> {
    pub(super) file: &'a File,
    pub(super) text: Text<'a>,
    little: bool,
    code: Window,
    code_is_text: bool,
    types: BTreeMap<&'a str, FieldType>,
    pub(super) targets: Targets<'a>,
    pub(super) tables: Tables,
    pub(super) tlvs: Vec<TlvSpec>,
    pub(super) bitfields: Vec<Arc<Bitfields>>,
    layouts: Vec<Layout>,
    common: Vec<FieldDef>,
    /// Parts so far.
    parts: u32,
}

/// A message with all that it inherits.
struct Whole<'a> {
    line: usize,
    sender: Option<Sender>,
    code: u64,
    message: &'a Message,
    kind: Kind,
    lines: Vec<LayoutLine>,
    extras: Extras<'a>,
}

impl<'a> Compiler<'a> {
    fn new(file: &'a File, text: Text<'a>) -> Result<Self, Fault> {
        let little = byte_order(file, text)?;
        let (code, code_is_text) = code_field(file, text)?;
        check_id(file, text)?;
        Ok(Self {
            file,
            text,
            little,
            code,
            code_is_text,
            types: types(file, text, little)?,
            targets: Targets::new(clocks(file, text)?, &file.enums),
            tables: Tables::default(),
            tlvs: Vec::new(),
            bitfields: Vec::new(),
            layouts: Vec::new(),
            common: Vec::new(),
            parts: 0,
        })
    }

    fn finish(self) -> Result<FixedProtocol, Fault> {
        let about = about(self.file, self.text)?;
        if self.layouts.is_empty() {
            return Err(Fault::new(1, "no message: write at least one [msg.CODE]"));
        }
        Ok(FixedProtocol {
            about,
            code: self.code,
            code_byte: (self.code_width() == 1).then(|| self.code_start() as usize),
            code_width: self.code_width(),
            code_is_text: self.code_is_text,
            has_rows: self.layouts.iter().any(|layout| layout.has_rows),
            codes: Codes::new(&self.layouts),
            parts: parts::table(&self.layouts, &self.tlvs, &self.bitfields, self.parts),
            layouts: self.layouts,
            common: self.common,
            clocks: self.targets.clocks.into_iter().map(|(_, clock, _)| clock).collect(),
            factor_tables: self.targets.factor_tables,
            code_tables: self.targets.code_tables,
            name_specs: self.targets.name_specs,
            tables: self.tables.finish()?,
            tlvs: self.tlvs,
        })
    }

    /// The number of a part that is new.
    pub fn new_part(&mut self) -> u32 {
        let part = self.parts;
        self.parts = part.saturating_add(1);
        part
    }

    /// The type a line names.
    pub fn field_type(&self, line: &LayoutLine) -> Result<FieldType, Fault> {
        let named = self.types.get(line.type_name.as_str()).cloned();
        let plain = || Wire::parse(&line.type_name, self.little).map(FieldType::plain);
        named.or_else(plain).ok_or_else(|| {
            let reason = format!("`{}` is neither a wire type nor in [types]", line.type_name);
            Fault::new(line.line, reason)
        })
    }

    fn bitfields(&mut self) -> Result<(), Fault> {
        for (name, table) in &self.file.bitfields {
            let list = bitfields::compile(self, name, table)?;
            self.bitfields.push(Arc::new(list));
        }
        Ok(())
    }

    fn tlvs(&mut self) -> Result<(), Fault> {
        for (name, table) in &self.file.tlv {
            let spec = self.tlv(name, table)?;
            self.tlvs.push(spec);
        }
        Ok(())
    }

    fn tlv(&mut self, name: &str, table: &Spanned<source::TlvTable>) -> Result<TlvSpec, Fault> {
        let at = self.text.line_of(table);
        let width = |text: &str| match Wire::parse(text, self.little) {
            Some(Wire::Int { width, signed: false, .. }) if width <= 2 => Ok(width),
            _ => Err(Fault::new(at, "length and tag are u8 or u16")),
        };
        let (length_width, tag_width) =
            (width(&table.get_ref().length)?, width(&table.get_ref().tag)?);
        let lines = &table.get_ref().elements;
        let mut elements = Vec::new();
        for line in layout::parse(lines.get_ref(), self.text.first_line_of(lines))? {
            let no_tag = || Fault::new(line.line, "an element begins with its tag");
            elements.push((u64::from(line.offset.ok_or_else(no_tag)?), self.element(line)?));
        }
        elements.sort_by_key(|(tag, _)| *tag);
        if let Some([(tag, _), _]) = elements.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(Fault::new(at, format!("tag {tag} stands twice in [tlv.{name}]")));
        }
        let uncounted = match table.get_ref().includes.as_deref() {
            None | Some("value") => length_width,
            Some("all") => 0,
            Some("only_value") => length_width + tag_width,
            Some(_) => return Err(Fault::new(at, "includes is value, all or only_value")),
        };
        let (little, uncounted) = (self.little, uncounted as usize);
        let name = name.to_owned();
        Ok(TlvSpec { name, length_width, tag_width, little, uncounted, elements })
    }

    pub(super) fn element(&mut self, line: LayoutLine) -> Result<ElementSpec, Fault> {
        let mut scope = Scope::default();
        let at = line.line;
        let shape = match reference(&line.type_name, "struct") {
            None => {
                let first = LayoutLine { offset: Some(0), ..line };
                let extras = Extras { line: first.line, ..Extras::default() };
                self.shape(&[first], &extras, &mut scope)?
            }
            Some(name) => {
                let missing = || Fault::new(line.line, format!("no [struct.{name}] in this file"));
                let table = self.file.structs.get(name).ok_or_else(missing)?;
                self.struct_shape(table, &mut scope)?
            }
        };
        if !shape.steps.is_empty() || !shape.learn.is_empty() {
            return Err(Fault::new(at, "an element has fields of fixed size and nothing else"));
        }
        let Shape { part, fields, ops, size, .. } = shape;
        Ok(ElementSpec { part, fields, ops, size })
    }

    fn messages(&mut self) -> Result<(), Fault> {
        let file = self.file;
        let ends = [
            (None, &file.msg),
            (Some(Sender::Client), &file.client.msg),
            (Some(Sender::Server), &file.server.msg),
        ];
        for (sender, messages) in ends {
            for (code, message) in messages {
                let whole = self.whole(sender, messages, code, message)?;
                self.message(whole)?;
            }
        }
        Ok(())
    }

    /// What is known of a message of unknown type.
    fn common(&mut self) -> Result<(), Fault> {
        let Some(part) = &self.file.common else { return Ok(()) };
        let layout = &part.get_ref().layout;
        let lines = layout::parse(layout.get_ref(), self.text.first_line_of(layout))?;
        let extras = Extras { line: self.text.line_of(part), ..Extras::default() };
        self.common = self.shape(&lines, &extras, &mut Scope::default())?.fields;
        Ok(())
    }

    /// A message with what it inherits from `[common]`, its mixin and the
    /// message it extends.
    fn whole(
        &self,
        sender: Option<Sender>,
        messages: &'a BTreeMap<String, Spanned<Message>>,
        code: &str,
        spanned: &'a Spanned<Message>,
    ) -> Result<Whole<'a>, Fault> {
        let (line, message) = (self.text.line_of(spanned), spanned.get_ref());
        let chain = chain(messages, spanned, self.text)?;
        let mut parts: Vec<&'a Spanned<Part>> = self.file.common.iter().collect();
        for ancestor in chain.iter().rev() {
            parts.extend(self.mixin(ancestor)?);
        }
        let mut lines = Vec::new();
        for part in &parts {
            let layout = &part.get_ref().layout;
            lines.extend(layout::parse(layout.get_ref(), self.text.first_line_of(layout))?);
        }
        for layout in chain.iter().rev().filter_map(|m| m.get_ref().layout.as_ref()) {
            lines.extend(layout::parse(layout.get_ref(), self.text.first_line_of(layout))?);
        }
        let kind = chain.iter().find_map(|m| m.get_ref().kind.as_deref());
        let kind = kind.ok_or_else(|| Fault::new(line, "the message has no kind"))?;
        let unknown = || Fault::new(line, format!("`{kind}` is no kind of message"));
        let kind = Kind::from_text(kind).ok_or_else(unknown)?;
        let own = chain.iter().flat_map(|m| &m.get_ref().lookup);
        let shared = parts.iter().flat_map(|part| &part.get_ref().lookup);
        let set: BTreeMap<_, _> = chain.iter().rev().flat_map(|m| &m.get_ref().set).collect();
        Ok(Whole {
            line,
            sender,
            code: self.code_number(code, line)?,
            message,
            kind,
            lines,
            extras: Extras {
                learn: chain.iter().flat_map(|m| &m.get_ref().learn).collect(),
                lookup: own.chain(shared).collect(),
                set: set.iter().map(|(column, word)| (column.as_str(), word.as_str())).collect(),
                line,
            },
        })
    }

    fn mixin(&self, message: &'a Spanned<Message>) -> Result<Option<&'a Spanned<Part>>, Fault> {
        let Some(name) = message.get_ref().mixin.as_deref() else { return Ok(None) };
        let missing = || Fault::new(self.text.line_of(message), format!("no [mixin.{name}]"));
        self.file.mixin.get(name).ok_or_else(missing).map(Some)
    }

    fn code_number(&self, code: &str, line: usize) -> Result<u64, Fault> {
        code_number(code, self.code_width(), self.code_is_text).ok_or_else(|| {
            Fault::new(line, format!("`{code}` is no code of type `{}`", self.code_wire()))
        })
    }

    fn code_wire(&self) -> &str {
        &self.file.protocol.code.get_ref().wire
    }

    fn code_width(&self) -> u32 {
        self.code.end().saturating_sub(self.code_start())
    }

    fn code_start(&self) -> u32 {
        self.file.protocol.code.get_ref().at
    }

    fn message(&mut self, whole: Whole<'a>) -> Result<(), Fault> {
        self.check_code_is_new(&whole)?;
        let mut scope = Scope::default();
        let shape = self.shape(&whole.lines, &whole.extras, &mut scope)?;
        let size = whole.message.size;
        if shape.size != size && size_before_varying(&shape) != size {
            let reason = format!("the fields end at {}, the size is said to be {size}", shape.size);
            return Err(Fault::new(whole.line, reason));
        }
        if shape.size < self.code.end() {
            return Err(Fault::new(whole.line, "the message ends before its code"));
        }
        scope.is_full = true;
        self.layout(&whole, &shape, shape.size, &scope)?;
        scope.is_full = false;
        for &end in &whole.message.may_end_at {
            let mut borders = shape.fields.iter().filter(|def| def.bits.is_none());
            let is_border = borders.any(|def| def.offset == end)
                || (end == shape.size && !shape.steps.is_empty());
            if !is_border || end < self.code.end() {
                let reason = format!("no field starts at {end}, where the message may end");
                return Err(Fault::new(whole.line, reason));
            }
            self.layout(
                &whole,
                &Shape { steps: Vec::new(), switches: None, ..shape.clone() },
                end,
                &scope,
            )?;
        }
        Ok(())
    }

    fn check_code_is_new(&self, whole: &Whole<'_>) -> Result<(), Fault> {
        let same_end = |layout: &&Layout| {
            layout.sender.is_none() || whole.sender.is_none() || layout.sender == whole.sender
        };
        let same = self.layouts.iter().find(|l| l.code == whole.code && same_end(l));
        same.map_or(Ok(()), |other| {
            Err(Fault::new(whole.line, format!("the code is that of `{}` too", other.name)))
        })
    }

    /// Adds one size of a message.
    fn layout(
        &mut self,
        whole: &Whole<'a>,
        shape: &Shape,
        size: u32,
        scope: &Scope,
    ) -> Result<(), Fault> {
        if self.layouts.len() >= LAYOUTS_MAX {
            return Err(Fault::new(whole.line, format!("more than {LAYOUTS_MAX} layouts")));
        }
        let ops: Vec<Op> = shape.ops.iter().filter(|op| op.end() <= size).cloned().collect();
        let presumed = ops.iter().filter(|op| op.presumes()).fold(0, |bits, op| bits | op.bit());
        let has_steps = !shape.steps.is_empty();
        self.layouts.push(Layout {
            code: whole.code,
            code_text: code_text(whole.code, self.code_width(), self.code_is_text),
            name: whole.message.name.clone(),
            kind: whole.kind,
            sender: whole.sender,
            size,
            full: scope.is_full,
            in_order: parts::order_matters(&shape.steps, scope.has_rows, &self.tlvs),
            steps: shape.steps.clone(),
            switches: shape.switches.clone(),
            has_rows: has_steps && scope.has_rows,
            teaches_behind: has_steps && scope.teaches_behind,
            fields: shape.fields.iter().filter(|def| def.offset < size).cloned().collect(),
            presumed,
            ops,
            learn: shape.learn.iter().filter(|learn| learn.end() <= size).cloned().collect(),
        });
        Ok(())
    }
}

/// What a file says of the protocol.
pub fn about(file: &File, text: Text<'_>) -> Result<About, Fault> {
    let protocol = &file.protocol;
    let zone = |tz: &Spanned<String>| {
        let reason = || format!("`{}` is no IANA time zone", tz.get_ref());
        tz.get_ref().parse().map_err(|_| Fault::new(text.line_of(tz), reason()))
    };
    Ok(About {
        id: protocol.id.get_ref().clone(),
        title: protocol.title.clone(),
        source: protocol.source.clone(),
        venues: protocol.venues.clone(),
        framings: protocol.framings.clone(),
        rare: protocol.rare,
        tz: protocol.tz.as_ref().map(zone).transpose()?,
        release: protocol.release.clone(),
    })
}

/// The number of a code of `width` bytes, as a file writes it.
pub fn code_number(code: &str, width: u32, is_text: bool) -> Option<u64> {
    let number = match (is_text, code.len()) {
        (true, 1..) => literal_code(code, Wire::Text { width }),
        (true, _) => None,
        (false, _) => source::number(code),
    };
    let max = u64::MAX >> (64 - 8 * width.clamp(1, 8));
    number.filter(|number| *number <= max)
}

/// A code as the tables have it.
pub fn code_text(code: u64, width: u32, is_text: bool) -> String {
    if !is_text {
        return code.to_string();
    }
    let eight = code.to_be_bytes();
    let text = eight.get(8usize.saturating_sub(width as usize)..).unwrap_or_default();
    latin1(text).trim_end().to_owned()
}

/// The messages a message extends, itself first.
fn chain<'a>(
    messages: &'a BTreeMap<String, Spanned<Message>>,
    message: &'a Spanned<Message>,
    text: Text<'_>,
) -> Result<Vec<&'a Spanned<Message>>, Fault> {
    let mut chain = vec![message];
    let mut last = message;
    while let Some(base) = last.get_ref().extends.as_deref() {
        let line = text.line_of(last);
        let missing =
            || Fault::new(line, format!("extends `{base}`, which this end does not send"));
        last = messages.get(base).ok_or_else(missing)?;
        chain.push(last);
        if chain.len() > EXTENDS_MAX {
            return Err(Fault::new(
                line,
                format!("more than {EXTENDS_MAX} messages extend each other"),
            ));
        }
    }
    Ok(chain)
}

fn byte_order(file: &File, text: Text<'_>) -> Result<bool, Fault> {
    match file.protocol.endian.get_ref().as_str() {
        "big" => Ok(false),
        "little" => Ok(true),
        _ => Err(Fault::new(text.line_of(&file.protocol.endian), "endian is big or little")),
    }
}

fn check_id(file: &File, text: Text<'_>) -> Result<(), Fault> {
    let id = &file.protocol.id;
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = |part: &str| !part.is_empty() && part.chars().all(is_part);
    let enough = id.get_ref().split('.').count() >= 3;
    if enough && id.get_ref().split('.').all(sound) {
        return Ok(());
    }
    Err(Fault::new(text.line_of(id), "an id is venue.product.version in lower case"))
}

/// Where the code is, and whether it is text.
pub fn code_field(file: &File, text: Text<'_>) -> Result<(Window, bool), Fault> {
    let little = byte_order(file, text)?;
    let (line, code) = (text.line_of(&file.protocol.code), file.protocol.code.get_ref());
    let (width, is_text, little) = match Wire::parse(&code.wire, little) {
        Some(Wire::Text { width: width @ 1..=8 }) => (width, true, false),
        Some(Wire::Int { width: width @ 1..=4, signed: false, little }) => (width, false, little),
        _ => return Err(Fault::new(line, "a code is c1, a2 to a8, or u8 to u32")),
    };
    let window = Window::new(code.at, width, little).filter(|window| window.end() <= SIZE_MAX);
    window.map(|window| (window, is_text)).ok_or_else(|| Fault::new(line, "the code is too far in"))
}

fn types<'a>(
    file: &'a File,
    text: Text<'_>,
    little: bool,
) -> Result<BTreeMap<&'a str, FieldType>, Fault> {
    let mut types = BTreeMap::new();
    for (name, table) in &file.types {
        let ty = named_type(table.get_ref(), little);
        let ty =
            ty.map_err(|reason| Fault::new(text.line_of(table), format!("{name}: {reason}")))?;
        if Wire::parse(name, little).is_some() {
            let reason = format!("`{name}` is a wire type already");
            return Err(Fault::new(text.line_of(table), reason));
        }
        types.insert(name.as_str(), ty);
    }
    Ok(types)
}

fn named_type(table: &TypeTable, little: bool) -> Result<FieldType, String> {
    let unknown = || format!("`{}` is no wire type", table.wire);
    let wire = Wire::parse(&table.wire, little).ok_or_else(unknown)?;
    let is_number = matches!(wire, Wire::Int { .. } | Wire::Digits { .. });
    if !is_number && (table.scale.is_some() || !table.null.is_empty()) {
        return Err("only a number has a scale or null values".into());
    }
    let tells = |scale: &Option<Scale>| !matches!(scale, None | Some(Scale::Places(_)));
    if table.sign.is_some() && !tells(&table.scale) {
        return Err("a sign needs a scale that another field or table tells".into());
    }
    if is_number && table.trim.is_some() {
        return Err("only a text is trimmed".into());
    }
    let (scale, scale_from) = match &table.scale {
        Some(Scale::Places(places)) => (Some(*places), None),
        from => (None, from.clone()),
    };
    if scale.is_some_and(|scale| !(-9..=9).contains(&scale)) {
        return Err("a scale is -9 to 9".into());
    }
    let trim = table.trim.as_deref().unwrap_or("right");
    let trim = Trim::parse(trim).ok_or_else(|| format!("`{trim}` is no way to trim"))?;
    let width = if matches!(wire, Wire::Digits { .. }) { 8 } else { wire.width() };
    let raw = table.null.iter().map(|number| number.raw(width));
    let null: Option<Vec<u64>> = raw.collect();
    let null = null.ok_or("a null value does not fit the wire type")?;
    let sign = table.sign.clone();
    Ok(FieldType { wire, scale, scale_from, sign, null, trim, secret: false })
}

type Clocks<'a> = Vec<(&'a str, Clock, Option<&'a PlusTable>)>;

fn clocks<'a>(file: &'a File, text: Text<'_>) -> Result<Clocks<'a>, Fault> {
    let mut clocks = Vec::new();
    for (name, table) in &file.clock {
        let clock = targets::clock(table.get_ref());
        let clock = clock.map_err(|reason| Fault::new(text.line_of(table), reason))?;
        clocks.push((name.as_str(), clock, table.get_ref().plus.as_ref()));
    }
    Ok(clocks)
}
