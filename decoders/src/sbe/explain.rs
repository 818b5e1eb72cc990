//! Every field of one message, for people. The fields cover every byte.
//!
//! ```text
//! blockLength templateId schemaId version          the header's
//! TransactTime  MatchEventIndicator .EndOfEvent    the root block's
//! NoMDEntries.blockLength  NoMDEntries.numInGroup
//! NoMDEntries[0].MDEntryPx …                       holes: reserved
//! ```
//!
//! Bytes of a block that the schema does not know, because the message is of a
//! newer version, and bytes behind the last part are fields named `unknown`.

use super::protocol::{SbeProtocol, cut_text};
use super::shape::{Block, Constant, Data, Exponent, Group, Leaf, Meaning};
use super::walk::{Dimension, Visitor, Walk};
use super::wire::{self, Prim};
use crate::field::{Explained, Field, SECRET, Value};
use crate::names::latin1;

/// Bytes between the fields of a block.
const RESERVED: &str = "reserved";

/// Bytes that nothing explains.
const UNKNOWN: &str = "unknown";

/// A message's fields, in order. Passwords are hidden, unless they are to be
/// shown.
pub fn explain(protocol: &SbeProtocol, body: &[u8], show_secrets: bool) -> Explained {
    let little = protocol.header.little;
    let secrets = if show_secrets { &[][..] } else { &protocol.overlay.secrets };
    let (fields, path) = (Vec::new(), Vec::new());
    let mut walker = Walker { body, little, secrets, version: 0, fields, at: 0, path };
    walker.leaves(&protocol.header.leaves, 0, usize::MAX);
    let Some(told) = protocol.header.read(body) else {
        walker.rest();
        let error = format!("the message has {} bytes, too few for a header", body.len());
        let (msg_type, fields) = (String::new(), walker.fields);
        return Explained { msg_type, name: String::new(), fields, error: Some(error) };
    };
    let msg_type = told.template_id.to_string();
    walker.fill(protocol.header.size, RESERVED);
    let found = protocol.find(&told).and_then(|found| Some((found, found.shape()?)));
    let Some((found, message)) = found else {
        walker.rest();
        let error = match protocol.schemas.is_empty() {
            true => format!(
                "no schema of {} is there; [decode] schemas names the folder",
                protocol.id()
            ),
            false => format!("template {msg_type} of schema {} is not known", told.schema_id),
        };
        let (name, fields) = (String::new(), walker.fields);
        return Explained { msg_type, name, fields, error: Some(error) };
    };
    let little = found.compiled.schema.little;
    (walker.little, walker.version) = (little, told.version);
    let walk = Walk { body, little, version: told.version };
    let end = walk.block(&message.block, protocol.header.size, told.block_length, &mut walker);
    let error = match end {
        Ok(end) if protocol.is_end(body, end) => {
            walker.fill(body.len(), RESERVED);
            None
        }
        Ok(end) => Some(format!("{} ends at byte {end}, here are {}", message.name, body.len())),
        Err(cut) => Some(cut_text(&message.name, cut, body)),
    };
    walker.rest();
    Explained { msg_type, name: message.name.clone(), fields: walker.fields, error }
}

/// The fields so far, and the first byte without one.
struct Walker<'b> {
    body: &'b [u8],
    little: bool,
    /// Names of fields whose values are hidden.
    secrets: &'b [String],
    version: u64,
    fields: Vec<Field>,
    at: usize,
    /// The entries that the next field stands in.
    path: Vec<String>,
}

impl Walker<'_> {
    fn path_of(&self, name: &str) -> String {
        match self.path.as_slice() {
            [] => name.to_owned(),
            path => format!("{}.{name}", path.join(".")),
        }
    }

    fn push(&mut self, name: &str, offset: usize, size: usize, value: Value) {
        let path = self.path_of(name);
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        self.fields.push(Field { name, path, offset: offset as u32, size: size as u32, value });
        self.at = self.at.max(offset + size);
    }

    /// Names the bytes up to `to` that have no field yet.
    fn fill(&mut self, to: usize, name: &str) {
        let (from, to) = (self.at, to.min(self.body.len()));
        if let Some(bytes) = self.body.get(from..to).filter(|bytes| !bytes.is_empty()) {
            let value = Value::Bytes(bytes.to_vec());
            self.push(name, from, to - from, value);
        }
    }

    fn rest(&mut self) {
        self.fill(self.body.len(), UNKNOWN);
    }

    /// The leaves of a block at `base` that lie in its first `length` bytes and
    /// are all there.
    fn leaves(&mut self, leaves: &[Leaf], base: usize, length: usize) {
        for leaf in leaves {
            let there = base.checked_add(leaf.end()).is_some_and(|end| end <= self.body.len());
            if leaf.is_in(self.version, length) && there {
                self.leaf(leaf, base);
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf, base: usize) {
        let at = base + leaf.at;
        if leaf.size > 0 {
            if at < self.at {
                return;
            }
            self.fill(at, RESERVED);
        }
        let bytes = self.body.get(at..at + leaf.size).unwrap_or_default();
        let at = if leaf.size == 0 { self.at } else { at };
        let bits = match &leaf.constant {
            Some(Constant::Text(text)) => {
                return self.push(&leaf.name, at, 0, Value::Text(text.to_string()));
            }
            Some(Constant::Bits(bits)) => *bits,
            None if leaf.count > 1 || leaf.size == 0 => {
                let value = self.array(leaf, bytes);
                return self.push(&leaf.name, at, leaf.size, value);
            }
            None => wire::bits(bytes, 0, leaf.size, self.little).unwrap_or(0),
        };
        let value = self.value(leaf, bits, base);
        self.push(&leaf.name, at, leaf.size, value);
        self.words(leaf, bits);
    }

    /// What a code or bits mean, as fields without bytes.
    fn words(&mut self, leaf: &Leaf, bits: u64) {
        match &leaf.meaning {
            Meaning::Enum(list) => {
                if let Some(word) = list.name_of(bits) {
                    let name = format!("{}.word", leaf.name);
                    self.push(&name, self.at, 0, Value::Text(word.to_owned()));
                }
            }
            Meaning::Set(choices) => {
                for (choice, bit) in choices.iter() {
                    let name = format!("{}.{choice}", leaf.name);
                    self.push(&name, self.at, 0, Value::Bool(bits >> bit & 1 == 1));
                }
            }
            _ => {}
        }
    }

    /// Text, or elements one after the other.
    fn array(&self, leaf: &Leaf, bytes: &[u8]) -> Value {
        match leaf.prim {
            _ if self.secrets.contains(&leaf.name) => Value::Text(SECRET.to_owned()),
            Prim::Char => Value::Text(latin1(super::run::trimmed(bytes))),
            _ => Value::Bytes(bytes.to_vec()),
        }
    }

    fn value(&self, leaf: &Leaf, bits: u64, base: usize) -> Value {
        if leaf.null == Some(bits) && leaf.constant.is_none() {
            return Value::Null;
        }
        let number = leaf.prim.number(bits);
        match leaf.meaning {
            Meaning::Mantissa(Exponent::Constant(exponent)) => {
                Value::Decimal { mantissa: number, scale: -i32::from(exponent) }
            }
            Meaning::Mantissa(Exponent::Field { at, prim }) => {
                let bits = wire::bits(self.body, base + at, prim.size(), self.little);
                let scale = bits.filter(|&bits| bits != prim.null()).map(|bits| prim.number(bits));
                match scale.and_then(|scale| i32::try_from(scale).ok()).filter(|s| *s != i32::MIN) {
                    Some(scale) => Value::Decimal { mantissa: number, scale: -scale },
                    None => Value::Int(number),
                }
            }
            Meaning::Time(unit) => {
                let ns = number.checked_mul(i128::from(unit));
                let ns = ns.and_then(|ns| i64::try_from(ns).ok());
                ns.map_or(Value::Int(number), Value::Time)
            }
            _ => match leaf.prim {
                Prim::Char => Value::Text(latin1(super::run::trimmed(&[bits as u8]))),
                Prim::Float(4) => Value::Text(f32::from_bits(bits as u32).to_string()),
                Prim::Float(_) => Value::Text(f64::from_bits(bits).to_string()),
                _ => Value::Int(number),
            },
        }
    }
}

impl Visitor for Walker<'_> {
    fn fields(&mut self, block: &Block, at: usize, length: usize) {
        self.leaves(&block.leaves, at, length);
        // What a newer version added is not known, what fills up is reserved.
        self.fill(at + length.min(block.length), RESERVED);
        self.fill(at + length, UNKNOWN);
    }

    fn cut_fields(&mut self, block: &Block, at: usize, length: usize) {
        self.leaves(&block.leaves, at, length);
    }

    fn dimension(&mut self, group: &Group, at: usize, _: Dimension) {
        self.path.push(group.name.clone());
        self.leaves(&group.dimension, at, usize::MAX);
        self.path.pop();
        self.fill(at + group.size, RESERVED);
    }

    fn enter(&mut self, group: &Group, index: usize) {
        self.path.push(format!("{}[{index}]", group.name));
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn data(&mut self, data: &Data, at: usize, length: usize) {
        let size = data.length.read(self.body, at, self.little).unwrap_or(0);
        self.push(&format!("{}.length", data.name), at, data.size, Value::Int(size.into()));
        let start = at + data.size;
        let bytes = self.body.get(start..start + length).unwrap_or_default();
        if bytes.is_empty() {
            return;
        }
        let value = match data.text {
            _ if self.secrets.contains(&data.name) => Value::Text(SECRET.to_owned()),
            true => Value::Text(latin1(super::run::trimmed(bytes))),
            false => Value::Bytes(bytes.to_vec()),
        };
        self.push(&data.name, start, length, value);
    }
}
