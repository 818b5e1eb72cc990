//! Template XML to [`Templates`]: names, dictionaries and references are
//! resolved here, once.
//!
//! ```text
//! <sequence name="MDEntries">            Sequence {end: 5, pmap: true}
//!   <length name="NoMDEntries"/>           Integer U32, no operator
//!   <string name="Symbol"><copy/></string> Ascii, copy, slot 0
//!   <decimal name="Px"/>                   Decimal
//! </sequence>
//! ```
//!
//! FAST 1.1, chapters 6 (templates), 6.3 (operators, dictionaries, keys) and
//! appendix 1 (the grammar); errors carry the codes S1–S5 and D8 of appendix 4.
//! Attributes and elements of foreign namespaces are allowed and passed over.

use std::collections::HashMap;

use roxmltree::{Document, Node};

use super::element::{LocalName, attribute, child, id, inherited, is_foreign, is_yes, qualified};
use super::mapping::{Target, rank, target, template_kind};
use super::templates::{
    DEPTH_MAX, FieldName, Initial, Integer, OPS_MAX, Op, Operator, Program, TemplateError,
    Templates, What,
};

type Result<T> = std::result::Result<T, TemplateError>;

/// Reads a file of templates.
pub(super) fn compile(file: &str, xml: &str) -> Result<Templates> {
    let document = Document::parse(xml).map_err(|error| {
        let pos = error.pos();
        TemplateError {
            file: file.into(),
            line: pos.row,
            column: pos.col,
            element: "xml".into(),
            message: format!("S1: {error}"),
        }
    })?;
    Compiler::new(file, &document).run()
}

/// A dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Dictionary {
    Global,
    Template(String),
    Type(String),
    Named(String),
}

/// What an element inherits from those around it.
#[derive(Clone, Debug)]
struct Context {
    /// Value of the nearest `dictionary` attribute.
    dictionary: String,
    /// The nearest `typeRef`.
    type_name: String,
    template: String,
    /// The nearest `ns`.
    ns: String,
    /// Templates being expanded, outermost first.
    expanding: Vec<String>,
    depth: usize,
}

/// What instructions need on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Need {
    pmap_bits: usize,
    min_bytes: usize,
}

impl Need {
    fn and(self, other: Self) -> Self {
        Self {
            pmap_bits: self.pmap_bits.saturating_add(other.pmap_bits),
            min_bytes: self.min_bytes.saturating_add(other.min_bytes),
        }
    }
}

/// A field's operator element, or its absence.
struct OperatorElement<'a> {
    operator: Operator,
    node: Option<Node<'a, 'a>>,
    value: Option<&'a str>,
}

struct Compiler<'a> {
    file: &'a str,
    document: &'a Document<'a>,
    templates: HashMap<String, Node<'a, 'a>>,
    slots: HashMap<(Dictionary, String), usize>,
    ops: Vec<Op>,
    fields: Vec<FieldName>,
}

impl<'a> Compiler<'a> {
    fn new(file: &'a str, document: &'a Document<'a>) -> Self {
        Self {
            file,
            document,
            templates: HashMap::new(),
            slots: HashMap::new(),
            ops: Vec::new(),
            fields: Vec::new(),
        }
    }

    fn error(&self, node: Node, message: impl Into<String>) -> TemplateError {
        let pos = self.document.text_pos_at(node.range().start);
        TemplateError {
            file: self.file.into(),
            line: pos.row,
            column: pos.col,
            element: node.tag_name().name().into(),
            message: message.into(),
        }
    }

    fn run(mut self) -> Result<Templates> {
        let nodes = self.template_nodes()?;
        for &node in &nodes {
            let name = self.template_name(node)?;
            if self.templates.insert(name.clone(), node).is_some() {
                return Err(self.error(node, format!("S1: a second template named {name:?}")));
            }
        }
        let mut programs = Vec::new();
        for &node in &nodes {
            let program = self.program(node, programs.len())?;
            programs.push(program);
        }
        let ids = self.ids(&programs, &nodes)?;
        let min_entry_bytes = self.min_entry_bytes();
        Ok(Templates {
            slots: self.slots.len(),
            ops: self.ops,
            fields: self.fields,
            programs,
            ids,
            min_entry_bytes,
        })
    }

    /// The `<template>` elements of the file.
    fn template_nodes(&self) -> Result<Vec<Node<'a, 'a>>> {
        let root = self.document.root_element();
        let nodes: Vec<_> = match root.tag_name().name() {
            "template" => vec![root],
            "templates" => {
                let children = root.children();
                children
                    .filter(|node| node.is_element() && node.has_tag_name_of("template"))
                    .collect()
            }
            _ => return Err(self.error(root, "S1: expected <templates> or <template>")),
        };
        match nodes.is_empty() {
            true => Err(self.error(root, "S1: no <template> inside")),
            false => Ok(nodes),
        }
    }

    fn template_name(&self, node: Node) -> Result<String> {
        let ns = inherited(node, "templateNs").unwrap_or("");
        Ok(qualified(ns, self.name(node)?))
    }

    fn name<'n>(&self, node: Node<'n, '_>) -> Result<&'n str> {
        attribute(node, "name").ok_or_else(|| self.error(node, "S1: no attribute \"name\""))
    }

    fn program(&mut self, node: Node<'a, 'a>, index: usize) -> Result<Program> {
        let start = self.ops.len();
        let context = self.template_context(node, Vec::new(), 0)?;
        self.body(node, &context)?;
        let end = self.ops.len();
        choose_main_sequence(&mut self.ops, start, end);
        self.one_field_a_column(start, end);
        let name = self.name(node)?;
        Ok(Program {
            index,
            id: self.template_id(node)?,
            name: name.into(),
            ops: start..end,
            reset: attribute(node, "reset").is_some_and(is_yes),
            kind: template_kind(name),
        })
    }

    /// Leaves each meaning to one field of the message and one of an entry.
    fn one_field_a_column(&mut self, start: usize, end: usize) {
        let main = outermost_sequences(&self.ops, start, end)
            .into_iter()
            .find(|&(at, _)| matches!(self.ops[at].what, What::Sequence { main: true, .. }));
        let (from, to) = main.unwrap_or((end, end));
        let mut outside: Vec<usize> = (start..from).chain(to..end).collect();
        let mut inside: Vec<usize> = (from..to).collect();
        for scope in [&mut outside, &mut inside] {
            scope.retain(|&at| self.ops[at].target != Target::Nothing);
            scope.sort_by_key(|&at| self.fields[self.ops[at].field as usize].rank);
            let mut taken = Vec::new();
            for &mut at in scope {
                let target = self.ops[at].target;
                if taken.contains(&target) {
                    self.ops[at].target = Target::Nothing;
                }
                taken.push(target);
            }
        }
    }

    fn template_id(&self, node: Node) -> Result<Option<u32>> {
        let Some(text) = attribute(node, "id") else { return Ok(None) };
        let id = text.trim().parse();
        id.map(Some).map_err(|_| self.error(node, format!("S1: id {text:?} is no 32-bit number")))
    }

    /// Context of a template's body; `expanding` are the templates around it.
    fn template_context(
        &self,
        node: Node,
        mut expanding: Vec<String>,
        depth: usize,
    ) -> Result<Context> {
        let template = self.template_name(node)?;
        expanding.push(template.clone());
        Ok(Context {
            dictionary: inherited(node, "dictionary").unwrap_or("global").into(),
            type_name: "any".into(),
            template,
            ns: inherited(node, "ns").unwrap_or("").into(),
            expanding,
            depth,
        })
    }

    fn ids(&self, programs: &[Program], nodes: &[Node]) -> Result<Vec<(u32, usize)>> {
        let mut ids: Vec<(u32, usize)> =
            programs.iter().filter_map(|program| Some((program.id?, program.index))).collect();
        ids.sort_unstable();
        for pair in ids.windows(2) {
            if let [(a, _), (b, index)] = *pair
                && a == b
            {
                return Err(self.error(nodes[index], format!("S1: a second template with id {a}")));
            }
        }
        Ok(ids)
    }

    fn min_entry_bytes(&self) -> usize {
        let bytes = self.ops.iter().filter_map(|op| match op.what {
            What::Sequence { main: true, min_bytes, .. } => Some(min_bytes),
            _ => None,
        });
        bytes.min().unwrap_or(1).max(1)
    }

    /// All instructions inside `node`.
    fn body(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        if context.depth > DEPTH_MAX {
            return Err(self.error(node, format!("nested deeper than {DEPTH_MAX}")));
        }
        let mut context = context.clone();
        if let Some(dictionary) = attribute(node, "dictionary") {
            context.dictionary = dictionary.into();
        }
        if let Some(ns) = attribute(node, "ns") {
            context.ns = ns.into();
        }
        if let Some(reference) = child(node, "typeRef") {
            context.type_name = self.name(reference)?.into();
        }
        let mut need = Need::default();
        for instruction in node.children().filter(Node::is_element) {
            need = need.and(self.instruction(instruction, &context)?);
            if self.ops.len() > OPS_MAX {
                return Err(self.error(instruction, format!("more than {OPS_MAX} instructions")));
            }
        }
        Ok(need)
    }

    fn instruction(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        match node.tag_name().name() {
            "typeRef" | "length" => Ok(Need::default()),
            "uInt32" => self.scalar(node, What::Integer(Integer::U32), context),
            "int32" => self.scalar(node, What::Integer(Integer::I32), context),
            "uInt64" => self.scalar(node, What::Integer(Integer::U64), context),
            "int64" => self.scalar(node, What::Integer(Integer::I64), context),
            "decimal" => self.decimal(node, context),
            "string" => {
                let what = self.charset(node)?;
                self.scalar(node, what, context)
            }
            "byteVector" => self.scalar(node, What::Bytes, context),
            "group" => self.group(node, context),
            "sequence" => self.sequence(node, context),
            "templateRef" => self.reference(node, context),
            _ if is_foreign(node) => Ok(Need::default()),
            _ => Err(self.error(node, "S1: no instruction has this name")),
        }
    }

    fn charset(&self, node: Node) -> Result<What> {
        match attribute(node, "charset").map(str::to_ascii_lowercase).as_deref() {
            None | Some("ascii") => Ok(What::Ascii),
            Some("unicode") => Ok(What::Unicode),
            Some(other) => Err(self.error(node, format!("S1: charset {other:?}"))),
        }
    }

    fn is_optional(&self, node: Node) -> Result<bool> {
        match attribute(node, "presence") {
            None | Some("mandatory") => Ok(false),
            Some("optional") => Ok(true),
            Some(other) => Err(self.error(node, format!("S1: presence {other:?}"))),
        }
    }

    /// A field of one value, its operator below `node`.
    fn scalar(&mut self, node: Node<'a, 'a>, what: What, context: &Context) -> Result<Need> {
        let name = self.name(node)?.to_owned();
        let optional = self.is_optional(node)?;
        let target = target(&name, id(node));
        let key = qualified(&context.ns, &name);
        let field = self.field(&name, rank(&name, id(node)));
        self.value(node, what, optional, (target, field), key, context)
    }

    fn field(&mut self, name: &str, rank: u8) -> u32 {
        self.fields.push(FieldName { name: name.into(), rank });
        (self.fields.len() - 1) as u32
    }

    /// One value with the operator that stands below `node`; `key` is its key
    /// where the operator names none.
    fn value(
        &mut self,
        node: Node<'a, 'a>,
        what: What,
        optional: bool,
        (target, field): (Target, u32),
        key: String,
        context: &Context,
    ) -> Result<Need> {
        let element = self.operator(node, what)?;
        let initial = self.initial(node, what, optional, &element)?;
        let slot = self.slot(&element, key, context)?;
        let operator = element.operator;
        self.ops.push(Op { what, operator, optional, slot, initial, target, field });
        Ok(Need {
            pmap_bits: pmap_bits(operator, optional),
            min_bytes: min_bytes(what, operator, optional),
        })
    }

    fn operator(&self, node: Node<'a, 'a>, what: What) -> Result<OperatorElement<'a>> {
        let mut found = OperatorElement { operator: Operator::None, node: None, value: None };
        for child in node.children().filter(Node::is_element) {
            let Some(operator) = operator(child.tag_name().name()) else {
                if is_foreign(child) || child.has_tag_name_of("length") {
                    continue;
                }
                return Err(self.error(child, "S1: no operator has this name"));
            };
            if found.node.is_some() {
                return Err(self.error(child, "S1: a second operator"));
            }
            if !applies(operator, what) {
                return Err(self.error(child, "S2: the operator does not apply to this type"));
            }
            found =
                OperatorElement { operator, node: Some(child), value: attribute(child, "value") };
        }
        Ok(found)
    }

    fn initial(
        &self,
        node: Node,
        what: What,
        optional: bool,
        element: &OperatorElement,
    ) -> Result<Initial> {
        let at = element.node.unwrap_or(node);
        match (element.operator, element.value) {
            (Operator::Constant, None) => Err(self.error(at, "S4: a constant without value")),
            (Operator::Default, None) if !optional => {
                Err(self.error(at, "S5: a mandatory default without value"))
            }
            (_, None) => Ok(Initial::None),
            (_, Some(text)) => initial(what, text)
                .ok_or_else(|| self.error(at, format!("S3: {text:?} is no value of the type"))),
        }
    }

    /// The slot of a value's previous value; 0 for operators without one.
    fn slot(
        &mut self,
        element: &OperatorElement,
        implicit_key: String,
        context: &Context,
    ) -> Result<usize> {
        let Some(node) = element.node.filter(|_| has_previous(element.operator)) else {
            return Ok(0);
        };
        let ns = attribute(node, "ns").unwrap_or(&context.ns);
        let key = attribute(node, "key").map_or(implicit_key, |key| qualified(ns, key));
        let name = attribute(node, "dictionary").unwrap_or(&context.dictionary);
        let dictionary = match name {
            "global" => Dictionary::Global,
            "template" => Dictionary::Template(context.template.clone()),
            "type" => Dictionary::Type(context.type_name.clone()),
            name => Dictionary::Named(name.into()),
        };
        let next = self.slots.len();
        Ok(*self.slots.entry((dictionary, key)).or_insert(next))
    }

    fn decimal(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        let (exponent, mantissa) = (child(node, "exponent"), child(node, "mantissa"));
        if exponent.is_none() && mantissa.is_none() {
            return self.scalar(node, What::Decimal, context);
        }
        let name = self.name(node)?.to_owned();
        let optional = self.is_optional(node)?;
        let field = self.field(&name, rank(&name, id(node)));
        self.ops.push(Op {
            what: What::DecimalPair,
            operator: Operator::None,
            optional,
            slot: 0,
            initial: Initial::None,
            target: target(&name, id(node)),
            field,
        });
        let key = qualified(&context.ns, &name);
        let part = (Target::Nothing, field);
        let (what, part_key) = (What::Integer(Integer::Exponent), format!("{key}\u{1}exponent"));
        let first = self.part(exponent, what, optional, part, part_key, context)?;
        let (what, part_key) = (What::Integer(Integer::I64), format!("{key}\u{1}mantissa"));
        let mut second = self.part(mantissa, what, false, part, part_key, context)?;
        if optional {
            second.min_bytes = 0;
        }
        Ok(first.and(second))
    }

    /// One of a decimal's two parts; without an element it has no operator.
    fn part(
        &mut self,
        node: Option<Node<'a, 'a>>,
        what: What,
        optional: bool,
        (target, field): (Target, u32),
        key: String,
        context: &Context,
    ) -> Result<Need> {
        if let Some(node) = node {
            return self.value(node, what, optional, (target, field), key, context);
        }
        let (operator, initial) = (Operator::None, Initial::None);
        self.ops.push(Op { what, operator, optional, slot: 0, initial, target, field });
        Ok(Need { pmap_bits: 0, min_bytes: 1 })
    }

    fn group(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        let name = self.name(node)?.to_owned();
        let optional = self.is_optional(node)?;
        let at = self.open(&name, optional);
        let inside = self.body(node, &deeper(context))?;
        let pmap = inside.pmap_bits > 0;
        self.ops[at].what = What::Group { end: self.ops.len(), pmap };
        Ok(Need {
            pmap_bits: usize::from(optional),
            min_bytes: if optional { 0 } else { inside.min_bytes + usize::from(pmap) },
        })
    }

    /// A group or sequence whose end is not known yet.
    fn open(&mut self, name: &str, optional: bool) -> usize {
        let field = self.field(name, 0);
        self.ops.push(Op {
            what: What::Group { end: 0, pmap: false },
            operator: Operator::None,
            optional,
            slot: 0,
            initial: Initial::None,
            target: Target::Nothing,
            field,
        });
        self.ops.len() - 1
    }

    fn sequence(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        let name = self.name(node)?.to_owned();
        let optional = self.is_optional(node)?;
        let at = self.open(&name, optional);
        let need = self.length(node, &name, optional, context)?;
        let inside = self.body(node, &deeper(context))?;
        let pmap = inside.pmap_bits > 0;
        let min_bytes = inside.min_bytes + usize::from(pmap);
        self.ops[at].what = What::Sequence { end: self.ops.len(), pmap, min_bytes, main: false };
        Ok(need)
    }

    /// A sequence's length; without an element it has a name of its own that
    /// nothing else has.
    fn length(
        &mut self,
        node: Node<'a, 'a>,
        sequence: &str,
        optional: bool,
        context: &Context,
    ) -> Result<Need> {
        let what = What::Integer(Integer::U32);
        let element = child(node, "length");
        let name = element.and_then(|element| attribute(element, "name"));
        let field = self.field(name.unwrap_or("length"), 0);
        let key = match name {
            Some(name) => qualified(&context.ns, name),
            None => format!("{}\u{1}length", qualified(&context.ns, sequence)),
        };
        self.part(element, what, optional, (Target::Nothing, field), key, context)
    }

    fn reference(&mut self, node: Node<'a, 'a>, context: &Context) -> Result<Need> {
        let Some(name) = attribute(node, "name") else {
            let at = self.open("templateRef", false);
            self.ops[at].what = What::Dynamic;
            return Ok(Need { pmap_bits: 0, min_bytes: 1 });
        };
        let ns = inherited(node, "templateNs").unwrap_or("");
        let full = qualified(ns, name);
        let Some(&target) = self.templates.get(&full) else {
            return Err(self.error(node, format!("D8: no template is named {name:?}")));
        };
        if context.expanding.contains(&full) {
            return Err(self.error(node, format!("template {name:?} refers to itself")));
        }
        let expanding = context.expanding.clone();
        let inner = self.template_context(target, expanding, context.depth + 1)?;
        self.body(target, &inner)
    }
}

fn deeper(context: &Context) -> Context {
    Context { depth: context.depth + 1, ..context.clone() }
}

/// The sequence whose entries become rows: of those that hold events and lie
/// in no other sequence, the one with most fields that have a column. Fields
/// in all other sequences get no column.
fn choose_main_sequence(ops: &mut [Op], start: usize, end: usize) {
    let outermost = outermost_sequences(ops, start, end);
    let score = |&(from, to): &(usize, usize)| {
        let targets = || direct(ops, from, to).map(|op| op.target);
        let events = targets().filter(|target| target.is_event()).count();
        if events == 0 { 0 } else { targets().filter(|target| *target != Target::Nothing).count() }
    };
    let best = outermost.iter().copied().rev().max_by_key(score).filter(|range| score(range) > 0);
    for &(from, to) in &outermost {
        let main_sequence = best == Some((from, to));
        if let What::Sequence { main, .. } = &mut ops[from].what {
            *main = main_sequence;
        }
        let nothing = match main_sequence {
            true => outermost_sequences(ops, from + 1, to),
            false => vec![(from, to)],
        };
        for (from, to) in nothing {
            ops[from..to].iter_mut().for_each(|op| op.target = Target::Nothing);
        }
    }
}

/// Index and end of the sequences of `start..end` that lie in no other there.
fn outermost_sequences(ops: &[Op], start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        if let What::Sequence { end, .. } = ops[at].what {
            found.push((at, end));
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

/// The ops of a sequence that lie in no sequence inside it.
fn direct(ops: &[Op], from: usize, to: usize) -> impl Iterator<Item = &Op> {
    let inner = outermost_sequences(ops, from + 1, to);
    let outside = move |at: &usize| !inner.iter().any(|&(from, to)| (from..to).contains(at));
    (from + 1..to).filter(outside).map(|at| &ops[at])
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "constant" => Operator::Constant,
        "default" => Operator::Default,
        "copy" => Operator::Copy,
        "increment" => Operator::Increment,
        "delta" => Operator::Delta,
        "tail" => Operator::Tail,
        _ => return None,
    })
}

fn applies(operator: Operator, what: What) -> bool {
    match operator {
        Operator::Increment => matches!(what, What::Integer(_)),
        Operator::Tail => matches!(what, What::Ascii | What::Unicode | What::Bytes),
        _ => true,
    }
}

fn has_previous(operator: Operator) -> bool {
    use Operator::{Copy, Delta, Increment, Tail};
    matches!(operator, Copy | Increment | Delta | Tail)
}

fn pmap_bits(operator: Operator, optional: bool) -> usize {
    match operator {
        Operator::None | Operator::Delta => 0,
        Operator::Constant => usize::from(optional),
        _ => 1,
    }
}

/// Fewest bytes a value takes outside the presence map.
fn min_bytes(what: What, operator: Operator, optional: bool) -> usize {
    let two = match (what, operator) {
        (What::Decimal, _) => true,
        (What::Integer(_), _) => false,
        (_, operator) => operator == Operator::Delta,
    };
    match operator {
        Operator::None | Operator::Delta => 1 + usize::from(two && !optional),
        _ => 0,
    }
}

/// An initial value of a type, FAST 1.1 section 6.3.1 and 7.
fn initial(what: What, text: &str) -> Option<Initial> {
    match what {
        What::Integer(integer) => {
            let value: i128 = text.trim().parse().ok()?;
            let (min, max) = integer.range();
            (min..=max).contains(&value).then_some(Initial::Integer(value as i64))
        }
        What::Decimal => initial_decimal(text.trim()),
        What::Bytes => hex(text).map(|bytes| Initial::Text(bytes.into())),
        _ => Some(Initial::Text(text.as_bytes().into())),
    }
}

/// Normalised: the mantissa's last digit is not 0.
fn initial_decimal(text: &str) -> Option<Initial> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(Initial::Decimal { mantissa: 0, exponent: 0 });
    }
    let zeros = i32::try_from(all.len() - significant.len()).ok()?;
    let exponent = zeros - i32::try_from(fraction.len()).ok()?;
    let mantissa = significant.parse::<i64>().ok()? * sign;
    let exponent = i8::try_from(exponent).ok().filter(|exponent| (-63..=63).contains(exponent))?;
    Some(Initial::Decimal { mantissa, exponent })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
    };
    digits.chunks_exact(2).map(byte).collect()
}
