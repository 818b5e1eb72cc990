//! From a protocol file to a compiled protocol; every fault with its line.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::fixed::bytes::Window;
use crate::fixed::clock::{Clock, Since};
use crate::fixed::error::Fault;
use crate::fixed::layout::{self, LayoutLine, reference};
use crate::fixed::program::{FieldDef, Layout, Learn, LearnFrom, Op, Tail};
use crate::fixed::protocol::{About, Codes, FixedProtocol, TableSpec};
use crate::fixed::source::{self, File, Lookup, Message, Part, Text, TypeTable};
use crate::fixed::targets::{Column, Targets};
use crate::fixed::tlv::{ElementSpec, TlvSpec};
use crate::fixed::wire::{FieldType, Trim, Wire};
use crate::kind::{Kind, Sender};

/// Longest chain of `extends`.
const EXTENDS_MAX: usize = 8;

/// Most layouts of a protocol.
const LAYOUTS_MAX: usize = 4096;

/// Largest fixed part of a message.
const SIZE_MAX: u32 = 60_000;

/// A whole file, compiled.
pub fn compile(toml: &str) -> Result<FixedProtocol, Fault> {
    let file = source::parse(toml)?;
    let mut compiler = Compiler::new(&file, Text(toml))?;
    compiler.tlvs()?;
    compiler.messages()?;
    compiler.lookups()?;
    compiler.finish()
}

struct Compiler<'a> {
    file: &'a File,
    text: Text<'a>,
    little: bool,
    code: Window,
    code_is_text: bool,
    types: BTreeMap<&'a str, FieldType>,
    targets: Targets<'a>,
    tables: Vec<TableSpec>,
    tlvs: Vec<TlvSpec>,
    layouts: Vec<Layout>,
    /// What each layout looks up, and the line of its message.
    wanted: Vec<(usize, Vec<&'a Spanned<Lookup>>)>,
}

/// A message with all that it inherits.
struct Whole<'a> {
    line: usize,
    sender: Option<Sender>,
    code: u64,
    message: &'a Message,
    kind: Kind,
    lines: Vec<LayoutLine>,
    learn: Vec<&'a Spanned<source::Learn>>,
    lookup: Vec<&'a Spanned<Lookup>>,
    set: BTreeMap<&'a str, &'a str>,
}

/// Fields as they are laid out one after the other.
#[derive(Default)]
struct Fields {
    defs: Vec<FieldDef>,
    lines: Vec<LayoutLine>,
    size: u32,
    tail: Option<Tail>,
}

impl<'a> Compiler<'a> {
    fn new(file: &'a File, text: Text<'a>) -> Result<Self, Fault> {
        let little = byte_order(file, text)?;
        let (code, code_is_text) = code_field(file, text, little)?;
        check_id(file, text)?;
        Ok(Self {
            file,
            text,
            little,
            code,
            code_is_text,
            types: types(file, text, little)?,
            targets: Targets::new(clocks(file, text)?, &file.enums),
            tables: Vec::new(),
            tlvs: Vec::new(),
            layouts: Vec::new(),
            wanted: Vec::new(),
        })
    }

    fn finish(self) -> Result<FixedProtocol, Fault> {
        let protocol = &self.file.protocol;
        let about = About {
            id: protocol.id.get_ref().clone(),
            title: protocol.title.clone(),
            source: protocol.source.clone(),
            venues: protocol.venues.clone(),
            framings: protocol.framings.clone(),
        };
        if self.layouts.is_empty() {
            return Err(Fault::new(1, "no message: write at least one [msg.CODE]"));
        }
        Ok(FixedProtocol {
            about,
            code: self.code,
            code_byte: (self.code_width() == 1).then(|| self.code_start() as usize),
            code_is_text: self.code_is_text,
            codes: Codes::new(&self.layouts),
            layouts: self.layouts,
            clocks: self.targets.clocks.into_iter().map(|(_, clock)| clock).collect(),
            code_tables: self.targets.code_tables,
            name_specs: self.targets.name_specs,
            tables: self.tables,
            tlvs: self.tlvs,
        })
    }

    fn field_type(&self, line: &LayoutLine) -> Result<FieldType, Fault> {
        let named = self.types.get(line.type_name.as_str()).cloned();
        let plain = || Wire::parse(&line.type_name, self.little).map(FieldType::plain);
        named.or_else(plain).ok_or_else(|| {
            let reason = format!("`{}` is neither a wire type nor in [types]", line.type_name);
            Fault::new(line.line, reason)
        })
    }

    /// Lays lines out one after the other and checks their offsets.
    fn fields(&self, lines: Vec<LayoutLine>) -> Result<Fields, Fault> {
        let mut fields = Fields::default();
        for line in lines {
            if fields.tail.is_some() {
                return Err(Fault::new(line.line, "nothing may follow a list of elements"));
            }
            if line.offset != fields.size {
                let (name, at) = (&line.name, fields.size);
                let reason =
                    format!("`{name}` is at {} but the field before it ends at {at}", line.offset);
                return Err(Fault::new(line.line, reason));
            }
            match reference(&line.type_name, "tlv") {
                Some(list) => fields.tail = Some(self.tail(list, &line, &fields.defs)?),
                None => self.field(line, &mut fields)?,
            }
        }
        Ok(fields)
    }

    fn field(&self, line: LayoutLine, fields: &mut Fields) -> Result<(), Fault> {
        let ty = self.field_type(&line)?;
        if line.argument.is_some() {
            return Err(Fault::new(line.line, "only tlv types have an argument"));
        }
        let is_reserved = line.name == "-";
        if !is_reserved && fields.defs.iter().any(|def| def.name == line.name) {
            return Err(Fault::new(line.line, format!("a second field `{}`", line.name)));
        }
        let size = fields.size.saturating_add(ty.wire.width());
        if size > SIZE_MAX {
            return Err(Fault::new(line.line, format!("a message has {SIZE_MAX} bytes at most")));
        }
        let name = if is_reserved { "reserved".to_owned() } else { line.name.clone() };
        fields.defs.push(FieldDef { name, offset: fields.size, ty });
        fields.lines.push(line);
        fields.size = size;
        Ok(())
    }

    fn tail(&self, list: &str, line: &LayoutLine, before: &[FieldDef]) -> Result<Tail, Fault> {
        let fault = |reason: String| Fault::new(line.line, reason);
        let found = self.tlvs.iter().position(|tlv| tlv.name == list);
        let tlv = found.ok_or_else(|| fault(format!("no [tlv.{list}] in this file")))?;
        let counted = line.argument.as_deref();
        let length = counted.and_then(|name| before.iter().find(|def| def.name == name));
        let length = length.and_then(number_window);
        let form = || format!("write `tlv.{list}(length_field)` with a number field before it");
        let length = length.ok_or_else(|| fault(form()))?;
        Ok(Tail { name: line.name.clone(), length, tlv })
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
            elements.push((u64::from(line.offset), self.element(line)?));
        }
        elements.sort_by_key(|(tag, _)| *tag);
        if let Some([(tag, _), _]) = elements.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(Fault::new(at, format!("tag {tag} stands twice in [tlv.{name}]")));
        }
        let little = self.little;
        Ok(TlvSpec { name: name.to_owned(), length_width, tag_width, little, elements })
    }

    fn element(&mut self, line: LayoutLine) -> Result<ElementSpec, Fault> {
        let first = LayoutLine { offset: 0, ..line };
        let fields = self.fields(vec![first])?;
        let (Some(field), Some(line)) = (fields.defs.first(), fields.lines.first()) else {
            return Err(Fault::new(1, "an element is one field"));
        };
        let ops = self.targets.ops(field, line)?;
        Ok(ElementSpec { field: field.clone(), ops })
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
        let set = chain.iter().rev().flat_map(|m| &m.get_ref().set);
        Ok(Whole {
            line,
            sender,
            code: self.code_number(code, line)?,
            message,
            kind,
            lines,
            learn: chain.iter().flat_map(|m| &m.get_ref().learn).collect(),
            lookup: own.chain(shared).collect(),
            set: set.map(|(column, word)| (column.as_str(), word.as_str())).collect(),
        })
    }

    fn mixin(&self, message: &'a Spanned<Message>) -> Result<Option<&'a Spanned<Part>>, Fault> {
        let Some(name) = message.get_ref().mixin.as_deref() else { return Ok(None) };
        let missing = || Fault::new(self.text.line_of(message), format!("no [mixin.{name}]"));
        self.file.mixin.get(name).ok_or_else(missing).map(Some)
    }

    fn code_number(&self, code: &str, line: usize) -> Result<u64, Fault> {
        let number = match code.as_bytes() {
            [byte] if self.code_is_text => Some(u64::from(*byte)),
            _ if self.code_is_text => None,
            _ => source::number(code),
        };
        let max = if self.code_width() == 1 { 0xFF } else { 0xFFFF };
        number.filter(|number| *number <= max).ok_or_else(|| {
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
        let fields = self.fields(whole.lines.clone())?;
        if fields.size != whole.message.size {
            let (found, size) = (fields.size, whole.message.size);
            let reason = format!("the fields end at {found}, the size is said to be {size}");
            return Err(Fault::new(whole.line, reason));
        }
        if fields.size < self.code.end() {
            return Err(Fault::new(whole.line, "the message ends before its code"));
        }
        let ops = self.ops(&whole, &fields)?;
        self.layout(&whole, &fields, &ops, fields.size, fields.tail.clone())?;
        for &end in &whole.message.may_end_at {
            let is_border = fields.defs.iter().any(|def| def.offset == end);
            if !is_border || end < self.code.end() {
                let reason = format!("no field starts at {end}, where the message may end");
                return Err(Fault::new(whole.line, reason));
            }
            self.layout(&whole, &fields, &ops, end, None)?;
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

    fn ops(&mut self, whole: &Whole<'_>, fields: &Fields) -> Result<Vec<Op>, Fault> {
        let mut ops: Vec<Op> = Vec::new();
        let mut taken = 0u64;
        let constants = self.targets.constants(&whole.set, whole.line)?;
        for (field, line) in fields.defs.iter().zip(&fields.lines) {
            for op in self.targets.ops(field, line)? {
                if taken & op.bit() != 0 {
                    let reason = format!("`{}` goes to a column that is filled already", line.name);
                    return Err(Fault::new(line.line, reason));
                }
                taken |= op.bit();
                ops.push(op);
            }
        }
        let doubled = constants.iter().any(|op| taken & op.bit() != 0);
        if doubled {
            return Err(Fault::new(whole.line, "`set` names a column that a field fills"));
        }
        ops.extend(constants);
        Ok(ops)
    }

    /// Adds one size of a message.
    fn layout(
        &mut self,
        whole: &Whole<'a>,
        fields: &Fields,
        ops: &[Op],
        size: u32,
        tail: Option<Tail>,
    ) -> Result<(), Fault> {
        if self.layouts.len() >= LAYOUTS_MAX {
            return Err(Fault::new(whole.line, format!("more than {LAYOUTS_MAX} layouts")));
        }
        let ops: Vec<Op> = ops.iter().filter(|op| op.end() <= size).cloned().collect();
        let defs = fields.defs.iter().filter(|def| def.offset < size).cloned().collect();
        let mut layout = Layout {
            code: whole.code,
            code_text: String::new(),
            name: whole.message.name.clone(),
            kind: whole.kind,
            sender: whole.sender,
            size,
            full: size == fields.size,
            tail,
            fields: defs,
            presumed: 0,
            ops,
            learn: Vec::new(),
        };
        layout.code_text = match u8::try_from(whole.code) {
            Ok(byte) if self.code_is_text => char::from(byte).to_string(),
            _ => whole.code.to_string(),
        };
        for learn in &whole.learn {
            let learned = self.learn(learn, &layout)?;
            layout.learn.push(learned);
        }
        self.layouts.push(layout);
        self.wanted.push((whole.line, whole.lookup.clone()));
        Ok(())
    }

    fn learn(&mut self, learn: &Spanned<source::Learn>, layout: &Layout) -> Result<Learn, Fault> {
        let (line, learn) = (self.text.line_of(learn), learn.get_ref());
        let if_absent = match learn.when.as_deref() {
            None | Some("always") => false,
            Some("absent") => true,
            Some(other) => {
                return Err(Fault::new(line, format!("`when` is always or absent, not `{other}`")));
            }
        };
        let key = self.key(&learn.key, layout, line)?;
        let mut values = Vec::new();
        for (value, field) in &learn.set {
            let def = find_field(layout, field, line)?;
            let from = self.learn_from(def, line)?;
            let is_text = matches!(from, LearnFrom::Name(_));
            values.push((self.value(&learn.table, value, is_text, line)?, from));
        }
        let table = self.tables.iter().position(|table| table.name == learn.table);
        let table = table.ok_or_else(|| Fault::new(line, "nothing to learn in `set`"))?;
        Ok(Learn { table, key: key.1, values, if_absent: if_absent && key.0 })
    }

    /// The window of a key field; the flag says that it is one of the layout's.
    fn key(&self, name: &str, layout: &Layout, line: usize) -> Result<(bool, Window), Fault> {
        let def = find_field(layout, name, line)?;
        let window = number_window(def);
        window
            .map(|window| (true, window))
            .ok_or_else(|| Fault::new(line, format!("the key `{name}` is no number")))
    }

    fn learn_from(&mut self, def: &FieldDef, line: usize) -> Result<LearnFrom, Fault> {
        match def.ty.wire {
            Wire::Text { .. } => Ok(LearnFrom::Name(self.targets.text_at(def, None, line)?)),
            _ => number_window(def)
                .map(LearnFrom::Int)
                .ok_or_else(|| Fault::new(line, format!("`{}` can't be learned", def.name))),
        }
    }

    /// The slot of a table's value, new where it is new.
    fn value(
        &mut self,
        table: &str,
        value: &str,
        is_text: bool,
        line: usize,
    ) -> Result<usize, Fault> {
        if !self.tables.iter().any(|spec| spec.name == table) {
            self.tables.push(TableSpec { name: table.to_owned(), values: Vec::new() });
        }
        let missing = || Fault::new(line, format!("no table `{table}`"));
        let spec = self.tables.iter_mut().find(|spec| spec.name == table).ok_or_else(missing)?;
        match spec.values.iter().position(|(name, _)| name == value) {
            Some(slot) if spec.values.get(slot).is_some_and(|(_, text)| *text == is_text) => {
                Ok(slot)
            }
            Some(_) => Err(Fault::new(
                line,
                format!("`{value}` is a text in one message and a number in another"),
            )),
            None => {
                spec.values.push((value.to_owned(), is_text));
                Ok(spec.values.len() - 1)
            }
        }
    }

    /// Adds to every layout what it looks up: after all messages, so that any
    /// of them may teach.
    fn lookups(&mut self) -> Result<(), Fault> {
        let wanted = std::mem::take(&mut self.wanted);
        for (at, (line, lookups)) in wanted.into_iter().enumerate() {
            let Some(mut layout) = self.layouts.get(at).cloned() else { continue };
            for lookup in lookups {
                self.lookup(lookup, &mut layout, line)?;
            }
            let presumed = layout.ops.iter().filter(|op| op.presumes());
            layout.presumed = presumed.fold(0, |bits, op| bits | op.bit());
            if let Some(place) = self.layouts.get_mut(at) {
                *place = layout;
            }
        }
        Ok(())
    }

    fn lookup(
        &self,
        lookup: &Spanned<Lookup>,
        layout: &mut Layout,
        message_line: usize,
    ) -> Result<(), Fault> {
        let (line, lookup) = (self.text.line_of(lookup), lookup.get_ref());
        let fault = |reason: String| Fault::new(line, reason);
        let found = self.tables.iter().position(|table| table.name == lookup.table);
        let table = found.ok_or_else(|| fault(format!("no message teaches `{}`", lookup.table)))?;
        if !layout.fields.iter().any(|def| def.name == lookup.key) && !layout.full {
            return Ok(());
        }
        let (_, key) = self.key(&lookup.key, layout, message_line)?;
        for (column, value) in &lookup.get {
            let values =
                self.tables.get(table).map(|table| table.values.as_slice()).unwrap_or_default();
            let slot = values.iter().position(|(name, _)| name == value);
            let slot = slot.ok_or_else(|| fault(format!("`{value}` is never taught")))?;
            let is_text = values.get(slot).is_some_and(|(_, is_text)| *is_text);
            let col = Column::parse(column).and_then(|column| column.learned(is_text));
            let col = col.ok_or_else(|| fault(format!("`{value}` can't go to `{column}`")))?;
            let op = Op::Lookup { key, table, slot, col };
            if layout.ops.iter().all(|other| other.bit() != op.bit()) {
                layout.ops.push(op);
            }
        }
        Ok(())
    }
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

fn find_field<'l>(layout: &'l Layout, name: &str, line: usize) -> Result<&'l FieldDef, Fault> {
    let found = layout.fields.iter().find(|def| def.name == name);
    found.ok_or_else(|| Fault::new(line, format!("`{}` has no field `{name}`", layout.name)))
}

/// The window of an unsigned number.
fn number_window(def: &FieldDef) -> Option<Window> {
    match def.ty.wire {
        Wire::Int { width, signed: false, little } => Window::new(def.offset, width, little),
        _ => None,
    }
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

fn code_field(file: &File, text: Text<'_>, little: bool) -> Result<(Window, bool), Fault> {
    let (line, code) = (text.line_of(&file.protocol.code), file.protocol.code.get_ref());
    let (width, is_text, little) = match Wire::parse(&code.wire, little) {
        Some(Wire::Text { width: 1 }) => (1, true, false),
        Some(Wire::Int { width: width @ 1..=2, signed: false, little }) => (width, false, little),
        _ => return Err(Fault::new(line, "a code is c1, u8 or u16")),
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
    let is_int = matches!(wire, Wire::Int { .. });
    if !is_int && (table.scale.is_some() || !table.null.is_empty()) {
        return Err("only a number has a scale or null values".into());
    }
    if is_int && table.trim.is_some() {
        return Err("only a text is trimmed".into());
    }
    if table.scale.is_some_and(|scale| !(-9..=9).contains(&scale)) {
        return Err("a scale is -9 to 9".into());
    }
    let trim = table.trim.as_deref().unwrap_or("right");
    let trim = Trim::parse(trim).ok_or_else(|| format!("`{trim}` is no way to trim"))?;
    let raw = table.null.iter().map(|number| number.raw(wire.width()));
    let null: Option<Vec<u64>> = raw.collect();
    let null = null.ok_or("a null value does not fit the wire type")?;
    Ok(FieldType { wire, scale: table.scale, null, trim })
}

fn clocks<'a>(file: &'a File, text: Text<'_>) -> Result<Vec<(&'a str, Clock)>, Fault> {
    let mut clocks = Vec::new();
    for (name, table) in &file.clock {
        let clock = clock(table.get_ref());
        let clock = clock.map_err(|reason| Fault::new(text.line_of(table), reason))?;
        clocks.push((name.as_str(), clock));
    }
    Ok(clocks)
}

fn clock(table: &source::ClockTable) -> Result<Clock, String> {
    let unit_ns = match table.unit.as_str() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        other => return Err(format!("a unit is ns, us, ms or s, not `{other}`")),
    };
    let since = match (table.since.as_str(), table.tz.as_deref()) {
        ("epoch", None) => Since::Epoch,
        ("midnight", Some(tz)) => {
            Since::Midnight(tz.parse().map_err(|_| format!("`{tz}` is no IANA time zone"))?)
        }
        ("midnight", None) => return Err("midnight needs a tz".into()),
        _ => return Err("since is `midnight` with a tz, or `epoch` without".into()),
    };
    Ok(Clock { since, unit_ns })
}
