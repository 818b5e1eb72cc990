//! A message's leaves and the overlay's columns become lists of operations.
//!
//! ```text
//! root block       TransactTime 0 u64        -> ts_exch       runs over all rows
//! NoMDEntries      MDEntryPx 0 i64 x 10^0    -> price         runs over its rows
//!                  MDEntryType 26 char       -> side, kind
//! ```

use super::mapping::Expression;
use super::overlay::{Columns, GroupRule, MessageRule, Overlay};
use super::shape::{Block, Constant, Exponent, Group, Leaf, Meaning, Message, Schema};
use super::wire::Prim;
use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol};
use crate::kind::Kind;
use std::collections::BTreeMap;

/// What a message's rows are made with.
#[derive(Debug)]
pub struct Program {
    /// Template id as text.
    pub msg_type: String,
    /// What the rows are where no field says it.
    pub kind: Kind,
    /// Their flags.
    pub flags: u32,
    /// Whether the overlay knows the message.
    pub known: bool,
    /// Operations on the root block.
    pub ops: Vec<Op>,
    /// At the index of the group.
    pub sections: Vec<Section>,
    /// What the message teaches.
    pub teach: Option<Teach>,
    /// Fields that the overlay maps to columns which cannot take them.
    pub misfits: Vec<String>,
}

/// What a group of the root is made into.
#[derive(Debug, Default)]
pub struct Section {
    /// Whether its entries are rows.
    pub rows: bool,
    /// What those are.
    pub kind: Option<Kind>,
    /// Operations on an entry's block.
    pub ops: Vec<Op>,
    /// The group that its entries belong to.
    pub refer: Option<Link>,
}

/// How entries belong to those of another group.
#[derive(Debug)]
pub struct Link {
    /// Index of that group.
    pub group: usize,
    /// Where the number of the entry stands; `None`: it is the only one.
    pub by: Option<(From, Option<u64>)>,
    /// What to take.
    pub take: Vec<Take>,
}

/// A column that is copied from row to row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// A 64-bit number.
    Int(IntCol),
    /// A decimal.
    Decimal(DecimalCol),
    /// A word.
    Enum(EnumCol),
    /// A name.
    Name(NameCol),
}

/// What a message teaches of an instrument.
#[derive(Debug)]
pub struct Teach {
    /// Its number.
    pub key: From,
    /// Its symbol.
    pub symbol: Option<From>,
    /// Numbers, at the index of `places`.
    pub places: Vec<Option<From>>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A number in the block.
    Wire {
        /// Place.
        at: usize,
        /// Type.
        prim: Prim,
    },
    /// A text in the block.
    Text {
        /// Place.
        at: usize,
        /// Bytes.
        len: usize,
    },
    /// A number that is not on the wire.
    Constant(u64, Prim),
    /// A text that is not on the wire.
    ConstantText(Box<str>),
}

/// One field into one column.
#[derive(Debug)]
pub struct Op {
    /// The value.
    pub from: From,
    /// The byte of the block after it.
    pub end: usize,
    /// Version it appeared in.
    pub since: u64,
    /// Bits that mean "no value".
    pub null: Option<u64>,
    /// The column.
    pub to: To,
}

/// A column, and how a value gets there.
#[derive(Debug)]
pub enum To {
    /// A 64-bit number.
    Int(IntCol),
    /// A 32-bit number.
    Small(SmallCol),
    /// A number times this.
    Decimal(DecimalCol, i64),
    /// A number divided by this, where that leaves nothing over.
    Divided(DecimalCol, i64),
    /// A number with an exponent elsewhere in the block.
    Exponent(DecimalCol, usize, Prim),
    /// A number whose places were learned: the slot, and the instrument, which
    /// may stand in the root block.
    Places {
        /// The column.
        column: DecimalCol,
        /// Which number of the instrument.
        slot: usize,
        /// The instrument.
        key: From,
        /// Whether it stands in the root block.
        in_root: bool,
    },
    /// A time, nanoseconds a count.
    Time(TimeCol, u64),
    /// A word.
    Enum(EnumCol, Codes),
    /// A name, by the code.
    Coded(NameCol, Vec<(u64, Box<str>)>),
    /// A number or a text as a name.
    Name(NameCol),
    /// A number or a text as text.
    Text(TextCol),
    /// What the row is.
    Kind(Codes),
    /// Flags, where any of these bits is set.
    Flag(u64, u32),
    /// The message's number.
    Seq,
    /// The symbol that was learned for this instrument.
    Symbol,
}

/// Numbers of a vocabulary by codes; 0 is none.
#[derive(Debug)]
pub struct Codes {
    /// Codes of one byte.
    pub bytes: Box<[u8; 256]>,
    /// Others.
    pub wide: Vec<(u64, u8)>,
}

impl Codes {
    /// The number of a code; 0 where it has none.
    #[inline(always)]
    pub fn number(&self, bits: u64) -> u8 {
        match u8::try_from(bits) {
            Ok(byte) => self.bytes[usize::from(byte)],
            Err(_) => {
                let found = self.wide.iter().find(|(of, _)| *of == bits);
                found.map_or(0, |(_, number)| *number)
            }
        }
    }
}

/// The program of each message of a schema.
pub fn programs(overlay: &Overlay, schema: &Schema) -> Vec<Program> {
    schema.messages.iter().map(|message| program(overlay, schema, message)).collect()
}

fn program(overlay: &Overlay, schema: &Schema, message: &Message) -> Program {
    let rule = overlay.rule(schema.id, message.id);
    let mut compiler = Compiler { overlay, rule, root: &message.block, misfits: Vec::new() };
    let mut ops = compiler.ops(&message.block, None);
    ops.extend(compiler.set());
    let sections = message.block.groups.iter().map(|group| compiler.section(group)).collect();
    Program {
        msg_type: message.id.to_string(),
        kind: rule.map_or(Kind::Unknown, |rule| rule.kind),
        flags: rule.map_or(0, |rule| rule.flags),
        known: rule.is_some(),
        sections,
        teach: compiler.teach(message),
        ops,
        misfits: compiler.misfits,
    }
}

struct Compiler<'a> {
    overlay: &'a Overlay,
    rule: Option<&'a MessageRule>,
    root: &'a Block,
    misfits: Vec<String>,
}

impl Compiler<'_> {
    fn section(&mut self, group: &Group) -> Section {
        let Some(rule) = self.rule else { return Section::default() };
        if !rule.rows.contains(&group.name) {
            return Section::default();
        }
        let own = rule.groups.iter().find(|own| own.name == group.name);
        Section {
            rows: true,
            kind: own.and_then(|own| own.kind),
            ops: self.ops(&group.block, own),
            refer: own.and_then(|own| self.link(own, &group.block)),
        }
    }

    fn link(&self, rule: &GroupRule, block: &Block) -> Option<Link> {
        let refer = rule.refer.as_ref()?;
        let group = self.root.groups.iter().position(|group| group.name == refer.group)?;
        let by = match &refer.by {
            Some(name) => {
                let leaf = block.leaves.iter().find(|leaf| leaf.name == *name)?;
                Some((from(leaf)?, leaf.null))
            }
            None => None,
        };
        let take = refer.take.iter().filter_map(|name| {
            let int = IntCol::from_text(name).map(Take::Int);
            let decimal = DecimalCol::from_text(name).map(Take::Decimal);
            let word = EnumCol::from_text(name).map(Take::Enum);
            int.or(decimal).or(word).or(NameCol::from_text(name).map(Take::Name))
        });
        Some(Link { group, by, take: take.collect() })
    }

    /// The operations of a block, then those that look something up.
    fn ops(&mut self, block: &Block, own: Option<&GroupRule>) -> Vec<Op> {
        let mut ops = Vec::new();
        for leaf in &block.leaves {
            let names = match &leaf.meaning {
                // A choice of a set is named by itself.
                Meaning::Set(choices) => choices.iter().map(|c| (Some(c), &*leaf.name)).collect(),
                _ => vec![(None, &*leaf.name)],
            };
            for (choice, name) in names {
                let path = choice.map_or(name.to_owned(), |(choice, _)| format!("{name}.{choice}"));
                for expression in self.expressions(&path, leaf, own) {
                    let mask = choice.map_or(u64::MAX, |(_, bit)| 1 << bit);
                    match self.op(leaf, &expression, mask, block) {
                        Some(op) => ops.push(op),
                        None => self.misfits.push(format!("{path} -> {expression:?}")),
                    }
                }
            }
        }
        if let Some(key) = self.key(block).filter(|_| self.learns_symbols()) {
            let end = end_of(&key);
            ops.push(Op { from: key, end, since: 0, null: None, to: To::Symbol });
        }
        ops
    }

    fn learns_symbols(&self) -> bool {
        self.overlay.instrument.as_ref().is_some_and(|instrument| instrument.symbol.is_some())
    }

    /// The columns of a leaf: those of the group, of the message, of all.
    fn expressions(&self, path: &str, leaf: &Leaf, own: Option<&GroupRule>) -> Vec<Expression> {
        let find = |columns: &Columns| {
            let found = columns.get(path);
            let is_digits = matches!(leaf.meaning, Meaning::Mantissa(_));
            found.or_else(|| columns.get(&leaf.field).filter(|_| is_digits)).cloned()
        };
        let found = own.and_then(|own| find(&own.columns));
        let found = found.or_else(|| find(&self.rule?.columns));
        found.or_else(|| find(&self.overlay.columns)).unwrap_or_default()
    }

    fn op(&self, leaf: &Leaf, expression: &Expression, mask: u64, block: &Block) -> Option<Op> {
        let from = from(leaf)?;
        let is_text = matches!(from, From::Text { .. } | From::ConstantText(_));
        let integer = !is_text && !matches!(leaf.prim, Prim::Float(_));
        let to = match expression {
            Expression::Int(column) if integer || is_text => To::Int(*column),
            Expression::Small(column) if integer => To::Small(*column),
            Expression::Decimal(column, None) if integer => decimal(leaf, *column)?,
            Expression::Decimal(column, Some(slot)) if integer => {
                let own = self.key(block);
                let (column, slot, in_root) = (*column, *slot, own.is_none());
                To::Places { column, slot, key: own.or_else(|| self.key(self.root))?, in_root }
            }
            Expression::Time(column, unit) if integer => To::Time(*column, *unit),
            Expression::Enum(column, words) if integer => {
                To::Enum(*column, self.codes(leaf, words, |word| column.value_number(word)))
            }
            Expression::Kind(words) if integer => To::Kind(
                self.codes(leaf, words, |word| Kind::from_text(word).map(|kind| kind as u8)),
            ),
            Expression::Name(column, words) => match (&leaf.meaning, words) {
                (Meaning::Enum(list), words) => {
                    let words = words.as_ref().and_then(|name| self.overlay.enums.get(name));
                    let named = list.values.iter().map(|(bits, name)| {
                        let code = code_text(leaf.prim, *bits);
                        let of = |words: &'_ BTreeMap<String, String>| {
                            words.get(&**name).or_else(|| words.get(&code)).cloned()
                        };
                        let word = words.and_then(of);
                        (*bits, word.map_or_else(|| name.clone(), Into::into))
                    });
                    To::Coded(*column, named.collect())
                }
                (_, Some(words)) if integer => {
                    let words = self.overlay.enums.get(words)?;
                    let coded = words.iter().filter_map(|(code, word)| {
                        Some((leaf.prim.bits(code)?, word.as_str().into()))
                    });
                    To::Coded(*column, coded.collect())
                }
                _ if integer || is_text => To::Name(*column),
                _ => return None,
            },
            Expression::Text(column) if integer || is_text => To::Text(*column),
            Expression::Flag(bits) if integer => To::Flag(mask, *bits),
            Expression::Seq if integer => To::Seq,
            _ => return None,
        };
        let null = leaf.null.filter(|_| !matches!(to, To::Flag(..)));
        let end = match to {
            To::Exponent(_, at, prim) => end_of(&from).max(at + prim.size()),
            _ => end_of(&from),
        };
        Some(Op { end, from, since: leaf.since, null, to })
    }

    /// Numbers by the codes of a leaf, from words by names or codes.
    fn codes(&self, leaf: &Leaf, words: &str, number: impl Fn(&str) -> Option<u8>) -> Codes {
        let empty = BTreeMap::new();
        let words = self.overlay.enums.get(words).unwrap_or(&empty);
        let mut codes = Codes { bytes: Box::new([0; 256]), wide: Vec::new() };
        let mut add = |bits: u64, word: &str| {
            let number = number(word).unwrap_or(0);
            match u8::try_from(bits) {
                Ok(byte) => codes.bytes[usize::from(byte)] = number,
                Err(_) => codes.wide.push((bits, number)),
            }
        };
        let is_enum = matches!(leaf.meaning, Meaning::Enum(_));
        for (name, word) in words.iter().filter(|_| !is_enum) {
            if let Some(bits) = leaf.prim.bits(name) {
                add(bits, word);
            }
        }
        if let Meaning::Enum(list) = &leaf.meaning {
            for (bits, name) in &list.values {
                let code = || words.get(&code_text(leaf.prim, *bits));
                if let Some(word) = words.get(&**name).or_else(code) {
                    add(*bits, word);
                }
            }
        }
        codes
    }

    /// Where a block names the instrument.
    fn key(&self, block: &Block) -> Option<From> {
        let name = &self.overlay.instrument.as_ref()?.key;
        let leaf = block.leaves.iter().find(|leaf| leaf.name == *name && leaf.count == 1)?;
        from(leaf)
    }

    /// Columns that are always the same.
    fn set(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        for (column, word) in self.rule.map_or(&[][..], |rule| &rule.set) {
            let found = EnumCol::from_text(column);
            let found = found.and_then(|col| Some((col, col.value_number(word)?)));
            let Some((column, number)) = found else {
                self.misfits.push(format!("set {column} = {word}"));
                continue;
            };
            let codes = Codes { bytes: Box::new([number; 256]), wide: Vec::new() };
            let from = From::Constant(0, Prim::Uint(1));
            ops.push(Op { from, end: 0, since: 0, null: None, to: To::Enum(column, codes) });
        }
        ops
    }

    fn teach(&self, message: &Message) -> Option<Teach> {
        let instrument = self.overlay.instrument.as_ref()?;
        if !instrument.from.contains(&message.id) {
            return None;
        }
        let leaf = |name: &str| {
            let found = message.block.leaves.iter().find(|leaf| leaf.name == name);
            found.and_then(from)
        };
        Some(Teach {
            key: self.key(&message.block)?,
            symbol: instrument.symbol.as_deref().and_then(leaf),
            places: instrument.places.values().map(|name| leaf(name)).collect(),
        })
    }
}

/// Where a leaf's value comes from; `None` for what no column takes.
fn from(leaf: &Leaf) -> Option<From> {
    match (&leaf.constant, leaf.count) {
        (Some(Constant::Bits(bits)), _) => Some(From::Constant(*bits, leaf.prim)),
        (Some(Constant::Text(text)), _) => Some(From::ConstantText(text.clone())),
        (None, 1) => Some(From::Wire { at: leaf.at, prim: leaf.prim }),
        (None, 2..) if leaf.prim == Prim::Char => Some(From::Text { at: leaf.at, len: leaf.size }),
        _ => None,
    }
}

/// A code as overlays write it.
fn code_text(prim: Prim, bits: u64) -> String {
    match prim {
        Prim::Char => char::from(bits as u8).to_string(),
        _ => prim.number(bits).to_string(),
    }
}

/// The byte after a value.
fn end_of(from: &From) -> usize {
    match from {
        From::Wire { at, prim } => at + prim.size(),
        From::Text { at, len } => at + len,
        From::Constant(..) | From::ConstantText(_) => 0,
    }
}

/// A number as a decimal of nine places.
fn decimal(leaf: &Leaf, column: DecimalCol) -> Option<To> {
    let exponent = match leaf.meaning {
        Meaning::Mantissa(Exponent::Constant(exponent)) => exponent,
        Meaning::Mantissa(Exponent::Field { at, prim }) => {
            return Some(To::Exponent(column, at, prim));
        }
        _ => 0,
    };
    let power = 9 + i32::from(exponent);
    let factor = 10i64.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { To::Divided(column, factor) } else { To::Decimal(column, factor) })
}
