//! Reads a schema: XML in, [`Schema`] out, or what is wrong and where.
//!
//! ```text
//! <types>   type, composite, enum, set     looked up by name
//! <message> field … group … data …         laid out one after the other,
//!                                          or where `offset` says
//! ```
//!
//! Only the element's local names count: the namespace changed between the
//! standard's releases.

use super::shape::{
    Block, Constant, Data, Enum, Exponent, Group, Header, Leaf, Meaning, Message, Schema, Slot,
};
use super::wire::Prim;
use crate::fixed::error::{Fault, SpecError};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::HashMap;
use std::sync::Arc;

/// Largest schema read, in bytes.
pub const SCHEMA_MAX: usize = 16 << 20;

/// Most XML nodes of a schema.
const NODES_MAX: u32 = 1 << 20;

/// Most leaves of all messages of a schema.
pub const LEAVES_MAX: usize = 1 << 17;

/// Deepest nesting of composites, and of groups.
pub const DEPTH_MAX: usize = 8;

/// Most bytes of a block, and of one field.
const BLOCK_MAX: usize = 1 << 16;

impl Schema {
    /// Reads and checks a schema; `file_name` is only for errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(file_name: &str, xml: &str) -> Result<Self, SpecError> {
        parse(file_name, xml).map_err(|fault| fault.in_file(file_name))
    }
}

fn document(xml: &str) -> Result<Document<'_>, Fault> {
    if xml.len() > SCHEMA_MAX {
        return Err(Fault::new(1, format!("{} bytes, at most {SCHEMA_MAX}", xml.len())));
    }
    let options =
        ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let parsed = Document::parse_with_options(xml, options);
    parsed.map_err(|error| Fault::new(error.pos().row as usize, error.to_string()))
}

fn parse(file_name: &str, xml: &str) -> Result<Schema, Fault> {
    let doc = document(xml)?;
    let root = doc.root_element();
    let reader = Reader::new(&doc, root);
    if root.tag_name().name() != "messageSchema" {
        return Err(reader.fault(root, "the root is no <messageSchema>"));
    }
    let little = match root.attribute("byteOrder") {
        None | Some("littleEndian") => true,
        Some("bigEndian") => false,
        Some(other) => return Err(reader.fault(root, format!("byteOrder={other:?}"))),
    };
    let mut messages = Vec::new();
    let mut left = LEAVES_MAX;
    for node in root.children().filter(|node| node.tag_name().name() == "message") {
        let id = reader.number(node, "id")?.ok_or_else(|| reader.fault(node, "no id"))?;
        let block = reader.block(node, 0, &mut left)?;
        messages.push(Message { id, name: reader.name(node)?.to_owned(), block });
    }
    messages.sort_by_key(|message| message.id);
    if let Some(twice) = messages.windows(2).find(|pair| pair[0].id == pair[1].id) {
        let reason = format!("two messages have the id {}", twice[1].id);
        return Err(reader.fault(root, reason));
    }
    Ok(Schema {
        file: file_name.to_owned(),
        id: reader.number(root, "id")?.unwrap_or(0),
        version: reader.number(root, "version")?.unwrap_or(0),
        package: root.attribute("package").unwrap_or_default().to_owned(),
        semantic_version: root.attribute("semanticVersion").unwrap_or_default().to_owned(),
        little,
        header: reader.header(root, little)?,
        messages,
    })
}

/// Looks types up by their names.
struct Reader<'a, 'x> {
    doc: &'a Document<'x>,
    types: HashMap<&'a str, Node<'a, 'x>>,
}

/// Leaves of one field, their places counted from its first byte.
struct Laid {
    leaves: Vec<Leaf>,
    size: usize,
}

impl<'a, 'x> Reader<'a, 'x> {
    fn new(doc: &'a Document<'x>, root: Node<'a, 'x>) -> Self {
        let all = root.children().filter(|node| node.tag_name().name() == "types");
        let all = all.flat_map(|types| types.children()).filter(Node::is_element);
        Self { doc, types: all.filter_map(|node| Some((node.attribute("name")?, node))).collect() }
    }

    fn fault(&self, node: Node<'_, '_>, reason: impl Into<String>) -> Fault {
        let line = self.doc.text_pos_at(node.range().start).row as usize;
        let name = node.attribute("name").map_or(String::new(), |name| format!(" {name:?}"));
        Fault::new(line, format!("<{}{name}>: {}", node.tag_name().name(), reason.into()))
    }

    fn name(&self, node: Node<'a, 'x>) -> Result<&'a str, Fault> {
        node.attribute("name").ok_or_else(|| self.fault(node, "no name"))
    }

    fn number(&self, node: Node<'a, 'x>, name: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = node.attribute(name) else { return Ok(None) };
        let number = text.trim().parse().ok();
        let number = number.ok_or_else(|| self.fault(node, format!("{name}={text:?}")))?;
        Ok(Some(number))
    }

    /// A number of bytes.
    fn bytes(&self, node: Node<'a, 'x>, name: &str) -> Result<Option<usize>, Fault> {
        let Some(number) = self.number(node, name)? else { return Ok(None) };
        let fits = usize::try_from(number).ok().filter(|&bytes| bytes <= BLOCK_MAX);
        let reason = || self.fault(node, format!("{name}={number}: at most {BLOCK_MAX}"));
        fits.map(Some).ok_or_else(reason)
    }

    fn header(&self, root: Node<'a, 'x>, little: bool) -> Result<Option<Header>, Fault> {
        let name = root.attribute("headerType").unwrap_or("messageHeader");
        let Some(node) = self.types.get(name) else { return Ok(None) };
        let laid = self.composite(*node, 0)?;
        Ok(Header::of(laid.leaves, laid.size, little))
    }

    /// The fields, groups and data in a message or a group.
    fn block(&self, node: Node<'a, 'x>, depth: usize, left: &mut usize) -> Result<Block, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault(node, format!("groups more than {DEPTH_MAX} deep")));
        }
        let (mut block, mut at) = (Block::default(), 0);
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "field" => self.add_field(child, &mut block, &mut at, left)?,
                "group" => block.groups.push(self.group(child, depth, left)?),
                "data" => block.data.push(self.data(child)?),
                _ => {}
            }
        }
        block.length = match self.bytes(node, "blockLength")? {
            Some(length) if length < at => {
                let reason = format!("blockLength={length}, its fields take {at} bytes");
                return Err(self.fault(node, reason));
            }
            Some(length) => length,
            None => at,
        };
        Ok(block)
    }

    fn add_field(
        &self,
        node: Node<'a, 'x>,
        block: &mut Block,
        at: &mut usize,
        left: &mut usize,
    ) -> Result<(), Fault> {
        let laid = self.field(node)?;
        let since = self.number(node, "sinceVersion")?.unwrap_or(0);
        if laid.size > 0 {
            let start = self.bytes(node, "offset")?.unwrap_or(*at);
            if start < *at {
                let reason = format!("offset={start} lies in the fields before, which end at {at}");
                return Err(self.fault(node, reason));
            }
            *at = start;
        }
        *left = left.checked_sub(laid.leaves.len().max(1)).ok_or_else(|| {
            self.fault(node, format!("more than {LEAVES_MAX} fields in one schema"))
        })?;
        let base = *at;
        block.leaves.extend(laid.leaves.into_iter().map(|leaf| leaf.moved(base, since)));
        *at = base + laid.size;
        if *at > BLOCK_MAX { Err(self.fault(node, "the block is too long")) } else { Ok(()) }
    }

    /// The leaves of a field.
    fn field(&self, node: Node<'a, 'x>) -> Result<Laid, Fault> {
        let name = self.name(node)?;
        let type_name = node.attribute("type").ok_or_else(|| self.fault(node, "no type"))?;
        let mut laid = self.typed(node, type_name, name, 0)?;
        match node.attribute("presence") {
            Some("constant") => {
                laid.leaves.retain(|leaf| leaf.constant.is_some());
                if laid.leaves.is_empty() {
                    laid.leaves.push(self.constant_field(node, type_name, name)?);
                }
                laid.size = 0;
            }
            Some("optional") => {
                for leaf in laid.leaves.iter_mut().filter(|leaf| leaf.is_first_optional()) {
                    leaf.null = leaf.null.or(Some(leaf.prim.null()));
                }
            }
            _ => {}
        }
        if node.attribute("semanticType") == Some("UTCTimestamp") {
            laid.leaves.iter_mut().for_each(Leaf::make_time);
        }
        Ok(laid)
    }

    /// A field that is constant though its type is not.
    fn constant_field(
        &self,
        node: Node<'a, 'x>,
        type_name: &str,
        name: &str,
    ) -> Result<Leaf, Fault> {
        let target = self.types.get(type_name).copied();
        let is_enum = target.is_some_and(|node| node.tag_name().name() == "enum");
        let (prim, meaning) = match target.filter(|_| is_enum) {
            Some(target) => {
                let (list, prim, _) = self.enumeration(target)?;
                (prim, Meaning::Enum(list))
            }
            None => (self.primitive(node, type_name)?, Meaning::Plain),
        };
        let constant = self.constant(node, prim)?;
        let constant = Some(constant.ok_or_else(|| self.fault(node, "constant without a value"))?);
        Ok(Leaf { size: 0, constant, meaning, ..Leaf::plain(name, 0, prim) })
    }

    /// The leaves of a named type under the name of a field.
    fn typed(
        &self,
        node: Node<'a, 'x>,
        type_name: &str,
        name: &str,
        depth: usize,
    ) -> Result<Laid, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault(node, format!("types more than {DEPTH_MAX} deep")));
        }
        let Some(&target) = self.types.get(type_name) else {
            let prim = Prim::from_text(type_name);
            let prim = prim.ok_or_else(|| self.fault(node, format!("no type {type_name:?}")))?;
            let leaf = Leaf::plain(name, 0, prim);
            return Ok(Laid { size: leaf.size, leaves: vec![leaf] });
        };
        self.element(target, name, depth)
    }

    /// The leaves of a type's definition under a name.
    fn element(&self, node: Node<'a, 'x>, name: &str, depth: usize) -> Result<Laid, Fault> {
        let leaf = match node.tag_name().name() {
            "type" => self.simple(node, name)?,
            "enum" => {
                let (list, prim, null) = self.enumeration(node)?;
                Leaf { null, meaning: Meaning::Enum(list), ..Leaf::plain(name, 0, prim) }
            }
            "set" => self.set(node, name)?,
            "composite" => {
                let laid = self.composite(node, depth + 1)?;
                return Ok(named(laid, name));
            }
            other => return Err(self.fault(node, format!("<{other}> is no type"))),
        };
        Ok(Laid { size: leaf.size, leaves: vec![leaf] })
    }

    /// A `<type>`.
    fn simple(&self, node: Node<'a, 'x>, name: &str) -> Result<Leaf, Fault> {
        let prim_name = node.attribute("primitiveType").unwrap_or_default();
        let prim = Prim::from_text(prim_name);
        let prim = prim.ok_or_else(|| self.fault(node, format!("primitiveType={prim_name:?}")))?;
        let count = self.bytes(node, "length")?.unwrap_or(1);
        let mut leaf = Leaf { count, size: prim.size() * count, ..Leaf::plain(name, 0, prim) };
        match node.attribute("presence") {
            Some("constant") => {
                leaf.size = 0;
                let constant = self.constant(node, prim)?;
                let missing = || self.fault(node, "constant without a value");
                leaf.constant = Some(constant.ok_or_else(missing)?);
            }
            Some("optional") => leaf.null = Some(self.null(node, prim)?),
            _ => {}
        }
        if node.attribute("semanticType") == Some("UTCTimestamp") {
            leaf.make_time();
        }
        Ok(leaf)
    }

    fn null(&self, node: Node<'a, 'x>, prim: Prim) -> Result<u64, Fault> {
        let Some(text) = node.attribute("nullValue") else { return Ok(prim.null()) };
        let number = if prim == Prim::Char { text.trim_start_matches("\\") } else { text };
        prim.bits(number)
            .or_else(|| text.trim().is_empty().then(|| prim.null()))
            .ok_or_else(|| self.fault(node, format!("nullValue={text:?} is no value of its type")))
    }

    /// The value of a constant: `valueRef`, else the element's text.
    fn constant(&self, node: Node<'a, 'x>, prim: Prim) -> Result<Option<Constant>, Fault> {
        if let Some(reference) = node.attribute("valueRef") {
            let wrong = || self.fault(node, format!("valueRef={reference:?} leads nowhere"));
            let (list, name) = reference.split_once('.').ok_or_else(wrong)?;
            let target = self.types.get(list).copied().ok_or_else(wrong)?;
            let (list, ..) = self.enumeration(target)?;
            return list.bits_of(name).map(|bits| Some(Constant::Bits(bits))).ok_or_else(wrong);
        }
        let Some(text) = node.text().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if prim == Prim::Char && text.len() > 1 {
            return Ok(Some(Constant::Text(text.into())));
        }
        let bits = prim.bits(text);
        bits.map(|bits| Some(Constant::Bits(bits)))
            .ok_or_else(|| self.fault(node, format!("{text:?} is no value of its type")))
    }

    /// The primitive type that an encoding's name means.
    fn primitive(&self, node: Node<'a, 'x>, name: &str) -> Result<Prim, Fault> {
        let named = || self.types.get(name)?.attribute("primitiveType");
        let prim = Prim::from_text(name).or_else(|| Prim::from_text(named()?));
        prim.ok_or_else(|| self.fault(node, format!("{name:?} is no primitive type")))
    }

    /// An `<enum>`: its values, their type, and what means "no value".
    fn enumeration(&self, node: Node<'a, 'x>) -> Result<(Arc<Enum>, Prim, Option<u64>), Fault> {
        let encoding = node.attribute("encodingType").unwrap_or_default();
        let prim = self.primitive(node, encoding)?;
        let mut values = Vec::new();
        for value in node.children().filter(|node| node.tag_name().name() == "validValue") {
            let text = value.text().unwrap_or_default();
            let text = if prim == Prim::Char && text.trim().is_empty() { " " } else { text.trim() };
            let bits = prim.bits(text);
            let bits =
                bits.ok_or_else(|| self.fault(value, format!("{text:?} is no {encoding}")))?;
            values.push((bits, self.name(value)?.into()));
        }
        let named = self.types.get(encoding).copied();
        let optional = named.filter(|node| node.attribute("presence") == Some("optional"));
        let null = optional.map(|node| self.null(node, prim)).transpose()?;
        let list = Enum { name: self.name(node)?.into(), values: values.into() };
        Ok((Arc::new(list), prim, null))
    }

    /// A `<set>`.
    fn set(&self, node: Node<'a, 'x>, name: &str) -> Result<Leaf, Fault> {
        let prim = self.primitive(node, node.attribute("encodingType").unwrap_or_default())?;
        let mut choices: Vec<(Box<str>, u32)> = Vec::new();
        for choice in node.children().filter(|node| node.tag_name().name() == "choice") {
            let text = choice.text().unwrap_or_default().trim();
            let bit = text.parse().ok().filter(|&bit: &u32| (bit as usize) < 8 * prim.size());
            let bit = bit.ok_or_else(|| self.fault(choice, format!("{text:?} is no bit")))?;
            choices.push((self.name(choice)?.into(), bit));
        }
        Ok(Leaf { meaning: Meaning::Set(choices.into()), ..Leaf::plain(name, 0, prim) })
    }

    /// The parts of a `<composite>`, named by themselves.
    fn composite(&self, node: Node<'a, 'x>, depth: usize) -> Result<Laid, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault(node, format!("composites more than {DEPTH_MAX} deep")));
        }
        let (mut leaves, mut at) = (Vec::new(), 0);
        for part in node.children().filter(Node::is_element) {
            let name = self.name(part)?;
            let laid = match part.tag_name().name() {
                "ref" => {
                    let target = part.attribute("type").unwrap_or_default();
                    self.typed(part, target, name, depth + 1)?
                }
                _ => self.element(part, name, depth + 1)?,
            };
            let since = self.number(part, "sinceVersion")?.unwrap_or(0);
            if laid.size > 0 {
                let start = self.bytes(part, "offset")?.unwrap_or(at);
                if start < at {
                    return Err(self.fault(part, format!("offset={start} lies in the part before")));
                }
                at = start;
            }
            leaves.extend(laid.leaves.into_iter().map(|leaf| leaf.moved(at, since)));
            at += laid.size;
            if leaves.len() > 256 || at > BLOCK_MAX {
                return Err(self.fault(node, "the composite is too long"));
            }
        }
        decimal(&mut leaves);
        time(&mut leaves);
        Ok(Laid { leaves, size: at })
    }

    fn group(&self, node: Node<'a, 'x>, depth: usize, left: &mut usize) -> Result<Group, Fault> {
        let name = self.name(node)?.to_owned();
        let kind = node.attribute("dimensionType").unwrap_or("groupSizeEncoding");
        let target = self.types.get(kind).copied();
        let target = target.ok_or_else(|| self.fault(node, format!("no dimension {kind:?}")))?;
        let laid = self.composite(target, 0)?;
        let slot = |name: &str| {
            let found = laid.leaves.iter().find(|leaf| leaf.name == name && leaf.size > 0);
            let fits = found.filter(|leaf| matches!(leaf.prim, Prim::Uint(_)) && leaf.count == 1);
            let slot = fits.map(|leaf| Slot { at: leaf.at, size: leaf.size });
            slot.ok_or_else(|| self.fault(target, format!("a dimension needs an unsigned {name}")))
        };
        let (block_length, count) = (slot("blockLength")?, slot("numInGroup")?);
        Ok(Group {
            since: self.number(node, "sinceVersion")?.unwrap_or(0),
            size: laid.size,
            block_length,
            count,
            dimension: laid.leaves,
            block: self.block(node, depth + 1, left)?,
            name,
        })
    }

    fn data(&self, node: Node<'a, 'x>) -> Result<Data, Fault> {
        let kind = node.attribute("type").unwrap_or_default();
        let target = self.types.get(kind).copied();
        let target = target.ok_or_else(|| self.fault(node, format!("no type {kind:?}")))?;
        let part = |name: &str| {
            let mut parts = target.children().filter(Node::is_element);
            parts.find(|part| part.attribute("name") == Some(name))
        };
        let length = part("length").ok_or_else(|| self.fault(target, "no part `length`"))?;
        let leaf = self.simple(length, "length")?;
        if !matches!(leaf.prim, Prim::Uint(_)) || leaf.size == 0 || leaf.count != 1 {
            return Err(self.fault(length, "the length is no unsigned number"));
        }
        let bytes = part("varData");
        let prim = bytes.and_then(|part| part.attribute("primitiveType"));
        let encoding = bytes.and_then(|part| part.attribute("characterEncoding"));
        Ok(Data {
            name: self.name(node)?.to_owned(),
            since: self.number(node, "sinceVersion")?.unwrap_or(0),
            size: leaf.size,
            length: Slot { at: 0, size: leaf.size },
            text: prim == Some("char") || encoding.is_some_and(|encoding| !encoding.is_empty()),
        })
    }
}

/// Leaves of a composite under the name of its field. One that is alone on the
/// wire has the field's name itself.
fn named(mut laid: Laid, name: &str) -> Laid {
    let alone = laid.leaves.iter().filter(|leaf| leaf.size > 0).count() == 1;
    for leaf in &mut laid.leaves {
        let own = alone && leaf.size > 0 && !leaf.name.contains('.');
        leaf.name = if own { name.to_owned() } else { format!("{name}.{}", leaf.name) };
        leaf.field = name.to_owned();
    }
    laid
}

/// Joins a mantissa with its exponent.
fn decimal(leaves: &mut [Leaf]) {
    let is = |leaf: &Leaf| leaf.name.eq_ignore_ascii_case("exponent") && leaf.count == 1;
    let exponent = leaves.iter().find(|leaf| is(leaf));
    let exponent = exponent.and_then(|leaf| match &leaf.constant {
        Some(Constant::Bits(bits)) => {
            i8::try_from(leaf.prim.number(*bits)).ok().map(Exponent::Constant)
        }
        Some(Constant::Text(_)) => None,
        None => Some(Exponent::Field { at: leaf.at, prim: leaf.prim }),
    });
    // The only other value, whatever its name.
    let mut others = leaves.iter_mut().filter(|leaf| leaf.size > 0 && !is(leaf));
    if let (Some(exponent), Some(mantissa), None) = (exponent, others.next(), others.next())
        && mantissa.count == 1
        && matches!(mantissa.prim, Prim::Int(_) | Prim::Uint(_))
    {
        mantissa.meaning = Meaning::Mantissa(exponent);
    }
}

/// Joins a time with its unit, where that is constant.
fn time(leaves: &mut [Leaf]) {
    let unit = leaves.iter().find(|leaf| leaf.name.eq_ignore_ascii_case("unit"));
    let unit = unit.and_then(|leaf| match (&leaf.constant, &leaf.meaning) {
        (Some(Constant::Bits(bits)), _) => Some(*bits),
        _ => None,
    });
    // The standard's codes.
    let unit_ns = match unit {
        Some(0) => 1_000_000_000,
        Some(3) => 1_000_000,
        Some(6) => 1_000,
        Some(9) => 1,
        _ => return,
    };
    for leaf in leaves.iter_mut().filter(|leaf| leaf.name.eq_ignore_ascii_case("time")) {
        if leaf.size == 8 && leaf.count == 1 {
            leaf.meaning = Meaning::Time(unit_ns);
        }
    }
}

impl Leaf {
    /// The same leaf further on in a block.
    fn moved(mut self, by: usize, since: u64) -> Self {
        self.at += by;
        self.since = self.since.max(since);
        if let Meaning::Mantissa(Exponent::Field { at, .. }) = &mut self.meaning {
            *at += by;
        }
        self
    }

    /// Whether an optional field's null is this leaf's.
    fn is_first_optional(&self) -> bool {
        let exponent = self.name.to_ascii_lowercase().ends_with(".exponent");
        self.size > 0 && self.count == 1 && !exponent && !matches!(self.meaning, Meaning::Set(_))
    }

    /// A count of nanoseconds is a time.
    fn make_time(&mut self) {
        let counts = matches!(self.prim, Prim::Uint(8) | Prim::Int(8));
        if counts && self.count == 1 && self.size == 8 && self.meaning == Meaning::Plain {
            self.meaning = Meaning::Time(1);
        }
    }
}
