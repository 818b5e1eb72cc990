//! What a schema says of messages, flat: leaves with their places.
//!
//! ```text
//! block   Price.mantissa  at 0   8 bytes  int64, exponent -4
//!         Side            at 8   1 byte   char, enumeration
//!         -                               a hole: reserved
//! group   dimension: block length, count; its own block, groups, data
//! data    a length, and so many bytes
//! ```

use super::wire::{self, Prim};
use std::sync::Arc;

/// A schema, read.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The file's name as given.
    pub file: String,
    /// `id` of the schema.
    pub id: u64,
    /// `version`.
    pub version: u64,
    /// `package`.
    pub package: String,
    /// `semanticVersion`, empty where there is none.
    pub semantic_version: String,
    /// Lowest byte first.
    pub little: bool,
    /// The message header, where the schema has one that says what is needed.
    pub header: Option<Header>,
    /// Messages, by their ids.
    pub messages: Vec<Message>,
}

/// What stands before every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Every part, in order.
    pub leaves: Vec<Leaf>,
    /// Bytes.
    pub size: usize,
    /// Lowest byte first.
    pub little: bool,
    /// Bytes of the root block.
    pub block_length: Slot,
    /// Which message.
    pub template_id: Slot,
    /// Which schema.
    pub schema_id: Slot,
    /// Of which version.
    pub version: Slot,
}

/// Where an unsigned number stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// First byte.
    pub at: usize,
    /// Bytes.
    pub size: usize,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Bytes of the root block.
    pub block_length: usize,
    /// Which message.
    pub template_id: u64,
    /// Which schema.
    pub schema_id: u64,
    /// Of which version.
    pub version: u64,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Template id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// What it is made of.
    pub block: Block,
}

/// Fields, and what follows them.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Bytes of the fields in this version.
    pub length: usize,
    /// Fields, in order of their places; constants, which take no bytes, too.
    pub leaves: Vec<Leaf>,
    /// Repeating groups.
    pub groups: Vec<Group>,
    /// Variable data.
    pub data: Vec<Data>,
}

/// A repeating group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Version it appeared in.
    pub since: u64,
    /// Parts of the dimension.
    pub dimension: Vec<Leaf>,
    /// Bytes of the dimension, at least 1.
    pub size: usize,
    /// Bytes of an entry's fields.
    pub block_length: Slot,
    /// How many entries.
    pub count: Slot,
    /// An entry.
    pub block: Block,
}

/// Variable data.
#[derive(Clone, Debug)]
pub struct Data {
    /// Name.
    pub name: String,
    /// Version it appeared in.
    pub since: u64,
    /// Bytes before the data, at least 1.
    pub size: usize,
    /// How many bytes follow.
    pub length: Slot,
    /// Whether it is text.
    pub text: bool,
}

/// A value's place and meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Names from the field down, joined by points.
    pub name: String,
    /// The field it belongs to.
    pub field: String,
    /// First byte in its block.
    pub at: usize,
    /// Bytes; 0 for a constant.
    pub size: usize,
    /// Primitive type, of each element.
    pub prim: Prim,
    /// Elements.
    pub count: usize,
    /// Bits that mean "no value".
    pub null: Option<u64>,
    /// The value, where it is not on the wire.
    pub constant: Option<Constant>,
    /// Version it appeared in.
    pub since: u64,
    /// What the bits mean.
    pub meaning: Meaning,
}

/// A value that is in the schema and not on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Bits of the primitive type.
    Bits(u64),
    /// Text.
    Text(Box<str>),
}

/// What a value's bits mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What they are.
    Plain,
    /// One of a list.
    Enum(Arc<Enum>),
    /// A name a bit: name, bit.
    Set(Arc<[(Box<str>, u32)]>),
    /// Digits of a decimal.
    Mantissa(Exponent),
    /// Nanoseconds, microseconds … since the epoch: nanoseconds a count.
    Time(u64),
}

/// An enumeration.
#[derive(Debug, PartialEq, Eq)]
pub struct Enum {
    /// Its name.
    pub name: Box<str>,
    /// Bits and name of each value.
    pub values: Box<[(u64, Box<str>)]>,
}

/// The power of ten of a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exponent {
    /// The schema says it.
    Constant(i8),
    /// It is on the wire: its place in the block.
    Field {
        /// Place in the block.
        at: usize,
        /// Its type.
        prim: Prim,
    },
}

impl Enum {
    /// The name of a value.
    pub fn name_of(&self, bits: u64) -> Option<&str> {
        self.values.iter().find(|(of, _)| *of == bits).map(|(_, name)| &**name)
    }

    /// The bits of a named value.
    pub fn bits_of(&self, name: &str) -> Option<u64> {
        self.values.iter().find(|(_, of)| **of == *name).map(|(bits, _)| *bits)
    }
}

impl Slot {
    /// The number, where it is all there.
    #[inline(always)]
    pub fn read(self, bytes: &[u8], base: usize, little: bool) -> Option<u64> {
        wire::bits(bytes, base.checked_add(self.at)?, self.size, little)
    }
}

impl Header {
    /// The header of the standard: four 16-bit numbers.
    pub fn standard(little: bool) -> Self {
        let names = ["blockLength", "templateId", "schemaId", "version"];
        let leaf = |(i, name): (usize, &&str)| Leaf::plain(name, 2 * i, Prim::Uint(2));
        let leaves: Vec<Leaf> = names.iter().enumerate().map(leaf).collect();
        let slot = |i: usize| Slot { at: 2 * i, size: 2 };
        Self {
            leaves,
            size: 8,
            little,
            block_length: slot(0),
            template_id: slot(1),
            schema_id: slot(2),
            version: slot(3),
        }
    }

    /// The header made of `leaves`; `None` where they lack one of the four
    /// numbers.
    pub fn of(leaves: Vec<Leaf>, size: usize, little: bool) -> Option<Self> {
        let plain = |name: &str| -> String {
            name.chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
                .to_ascii_lowercase()
        };
        let slot = |name: &str| {
            let leaf = leaves.iter().find(|leaf| plain(&leaf.name) == name)?;
            let fits = leaf.count == 1 && matches!(leaf.prim, Prim::Uint(_)) && leaf.size > 0;
            fits.then_some(Slot { at: leaf.at, size: leaf.size })
        };
        Some(Self {
            block_length: slot("blocklength")?,
            template_id: slot("templateid")?,
            schema_id: slot("schemaid")?,
            version: slot("version")?,
            leaves,
            size,
            little,
        })
    }

    /// What the header of a message says; `None` where it is not all there.
    #[inline(always)]
    pub fn read(&self, body: &[u8]) -> Option<Told> {
        let block_length = self.block_length.read(body, 0, self.little)?;
        Some(Told {
            block_length: usize::try_from(block_length).ok()?,
            template_id: self.template_id.read(body, 0, self.little)?,
            schema_id: self.schema_id.read(body, 0, self.little)?,
            version: self.version.read(body, 0, self.little)?,
        })
    }
}

impl Leaf {
    /// A single number without a meaning.
    pub fn plain(name: &str, at: usize, prim: Prim) -> Self {
        Self {
            name: name.to_owned(),
            field: name.to_owned(),
            at,
            size: prim.size(),
            prim,
            count: 1,
            null: None,
            constant: None,
            since: 0,
            meaning: Meaning::Plain,
        }
    }

    /// The byte after it.
    pub fn end(&self) -> usize {
        self.at.saturating_add(self.size)
    }

    /// Whether a block of `length` bytes of a message of this version has it.
    #[inline(always)]
    pub fn is_in(&self, version: u64, length: usize) -> bool {
        self.since <= version && self.end() <= length
    }
}

impl Group {
    /// Whether entries are their blocks and nothing else.
    pub fn is_flat(&self) -> bool {
        self.block.groups.is_empty() && self.block.data.is_empty()
    }
}
