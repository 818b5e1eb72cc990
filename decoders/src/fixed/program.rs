//! What a message's layout is compiled to: fields to explain it, operations to
//! decode it.

use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol};
use crate::fixed::bytes::Window;
use crate::fixed::place::{KeyAt, LearnedAt, NumberAt, Ref};
use crate::fixed::switch::Switches;
use crate::fixed::walk::Step;
use crate::fixed::wire::{FieldType, Trim};
use crate::kind::{Kind, Sender};

/// A field of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDef {
    /// Its name; `reserved` for bytes the venue reserves.
    pub name: String,
    /// First byte, counted from the message's first.
    pub offset: u32,
    /// Its type.
    pub ty: FieldType,
    /// The bits it has of the field before, which are no bytes of its own:
    /// the lowest one and how many.
    pub bits: Option<(u32, u32)>,
    /// Where the places of its number are told, if they are not always the
    /// same.
    pub scale_at: Option<ScaleAt>,
}

impl FieldDef {
    /// Bytes of its own.
    pub fn size(&self) -> u32 {
        if self.bits.is_some() { 0 } else { self.ty.wire.width() }
    }
}

/// One field into one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A number into a 64-bit column.
    Int {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: IntCol,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// A number into a 32-bit column.
    Small {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: SmallCol,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// A count of a clock into a time column.
    Time {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: TimeCol,
        /// Which clock of the protocol.
        clock: usize,
    },
    /// A time of which a part stands elsewhere, or that is written in digits.
    Moment {
        /// Where it is.
        at: NumberAt,
        /// Where it goes.
        col: TimeCol,
        /// Which clock of the protocol.
        clock: usize,
        /// What is added to it.
        plus: Option<Plus>,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// A number whose places after the point are told elsewhere.
    Scaled {
        /// Where it is.
        at: NumberAt,
        /// Where it goes.
        col: DecimalCol,
        /// Its places.
        scale: ScaleAt,
        /// Where a `-` may make it negative.
        sign: Option<Ref>,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// A number in digits or bits.
    Number {
        /// Where it is.
        at: NumberAt,
        /// Where it goes.
        to: NumberTo,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// What a table learned for a key in any place, into a column.
    LookupBy {
        /// Which value.
        value: LearnedAt,
        /// Where it goes.
        col: LearnedCol,
    },
    /// A number times a power of ten into a decimal column.
    Decimal {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: DecimalCol,
        /// 10^(9 - scale).
        factor: u64,
        /// Two's complement.
        signed: bool,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// A code into a vocabulary column.
    Code {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: EnumCol,
        /// Which code table of the protocol.
        codes: usize,
    },
    /// The same word in every message.
    Constant {
        /// Where it goes.
        col: EnumCol,
        /// The word's number.
        number: u8,
    },
    /// A text into a column of names.
    Name {
        /// Where it is.
        from: TextAt,
        /// Where it goes.
        col: NameCol,
    },
    /// A text into a column of texts.
    Text {
        /// First byte.
        offset: u32,
        /// Bytes.
        width: u32,
        /// Its padding.
        trim: Trim,
        /// Where it goes.
        col: TextCol,
    },
    /// A number as text into a column of texts.
    Digits {
        /// Where it is.
        at: Window,
        /// Where it goes.
        col: TextCol,
        /// How it is written.
        radix: Radix,
        /// Raw values without a meaning.
        null: Box<[u64]>,
    },
    /// What a table learned for the key, into a column.
    Lookup {
        /// Where the key is.
        key: Window,
        /// Which table of the protocol.
        table: usize,
        /// Which of its values.
        slot: usize,
        /// Where it goes.
        col: LearnedCol,
    },
}

impl Layout {
    /// Whether something follows the fixed part.
    pub fn varies(&self) -> bool {
        !self.steps.is_empty()
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radix {
    /// In decimal digits.
    Ten,
    /// In `0` to `9` and `A` to `Z`, nine of them at least.
    ThirtySix,
}

/// What is added to a count of a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plus {
    /// Where it is.
    pub at: ElsewhereAt,
    /// Nanoseconds a count.
    pub unit_ns: u64,
}

/// A number outside the field that needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElsewhereAt {
    /// In the message.
    Field(Ref),
    /// Learned.
    Learned(LearnedAt),
}

/// Where the places after the point are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleAt {
    /// As a number.
    Places(ElsewhereAt),
    /// As a code; which factor table of the protocol.
    Code(Ref, usize),
    /// As a code in the place of the last digit; which factor table of the
    /// protocol.
    Last(usize),
}

/// Codes to what a number times 10^9 is multiplied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorTable {
    /// For one-byte codes; 0 is none.
    bytes: Box<[i64; 256]>,
    /// For all codes, sorted.
    all: Vec<(u64, i64)>,
}

impl FactorTable {
    /// With these codes.
    pub fn new(mut all: Vec<(u64, i64)>) -> Self {
        all.sort_unstable();
        let mut bytes = Box::new([0; 256]);
        for (code, factor) in &all {
            if let Some(place) = usize::try_from(*code).ok().and_then(|at| bytes.get_mut(at)) {
                *place = *factor;
            }
        }
        Self { bytes, all }
    }

    /// What a number with this code is multiplied with.
    #[inline]
    pub fn factor(&self, code: u64) -> Option<i64> {
        if let Ok(byte) = u8::try_from(code) {
            let factor = self.bytes[usize::from(byte)];
            if factor != 0 {
                return Some(factor);
            }
        }
        let at = self.all.binary_search_by_key(&code, |(code, _)| *code).ok()?;
        self.all.get(at).map(|(_, factor)| *factor)
    }
}

/// Where a number in digits or bits goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberTo {
    /// A 64-bit column.
    Int(IntCol),
    /// A 32-bit column.
    Small(SmallCol),
    /// A decimal column, times a factor.
    Decimal(DecimalCol, u64),
    /// A vocabulary, by a code table of the protocol.
    Code(EnumCol, usize),
    /// A column of names, by a cache of the protocol.
    Name(NameCol, usize),
    /// A column of texts, as digits.
    Text(TextCol),
}

/// Columns that learned values go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnedCol {
    /// Learned names.
    Name(NameCol),
    /// Learned numbers.
    Int(IntCol),
}

/// A text that becomes a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextAt {
    /// Up to 8 bytes, or a number, through a cache.
    Short {
        /// Where it is.
        at: Window,
        /// Which cache of the protocol.
        cache: usize,
    },
    /// Longer.
    Long {
        /// First byte.
        offset: u32,
        /// Bytes.
        width: u32,
        /// Its padding.
        trim: Trim,
    },
}

/// Code of a field to the number of a word in a column's vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTable {
    /// For one-byte codes; 0 is no word.
    pub bytes: Box<[u8; 256]>,
    /// For wider codes, sorted.
    pub wide: Vec<(u64, u8)>,
    /// Whether the field never has another code.
    pub complete: bool,
}

/// What a message teaches a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learn {
    /// Which table of the protocol.
    pub table: usize,
    /// Where the key is.
    pub key: KeyAt,
    /// Slot and value.
    pub values: Vec<(usize, LearnFrom)>,
    /// Only where the key is not known yet.
    pub if_absent: bool,
}

/// A value to learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnFrom {
    /// A text, as a name.
    Name(TextAt),
    /// A number.
    Int(NumberAt),
}

/// One size of one message.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Native code.
    pub code: u64,
    /// Native code as the tables have it.
    pub code_text: String,
    /// The venue's name for the message.
    pub name: String,
    /// What it says happened.
    pub kind: Kind,
    /// Who sends it; `None` is either end.
    pub sender: Option<Sender>,
    /// Bytes of the fixed part.
    pub size: u32,
    /// Whether this is the message at its full size.
    pub full: bool,
    /// What follows the fixed part.
    pub steps: Vec<Step>,
    /// The fields that decide which of it is there.
    pub switches: Option<Switches>,
    /// Whether parts must be decoded in the order in which a message has them.
    pub in_order: bool,
    /// Whether the message may make more than one row.
    pub has_rows: bool,
    /// Whether something behind the fixed part teaches.
    pub teaches_behind: bool,
    /// The fields, in order, without a hole.
    pub fields: Vec<FieldDef>,
    /// What decoding does.
    pub ops: Vec<Op>,
    /// Presence bits that are set before the operations run.
    pub presumed: u64,
    /// What the message teaches.
    pub learn: Vec<Learn>,
}

impl Op {
    /// Whether it needs what was learned.
    pub fn asks(&self) -> bool {
        let learned = |at: &ElsewhereAt| matches!(at, ElsewhereAt::Learned(_));
        match self {
            Self::Lookup { .. } | Self::LookupBy { .. } => true,
            Self::Moment { plus: Some(plus), .. } => learned(&plus.at),
            Self::Scaled { scale: ScaleAt::Places(at), .. } => learned(at),
            _ => false,
        }
    }

    /// First byte that the operation does not need.
    pub fn end(&self) -> u32 {
        match self {
            Self::Int { at, .. }
            | Self::Small { at, .. }
            | Self::Time { at, .. }
            | Self::Decimal { at, .. }
            | Self::Code { at, .. }
            | Self::Digits { at, .. }
            | Self::Lookup { key: at, .. } => at.end(),
            Self::Moment { at, plus, .. } => {
                at.end().max(plus.as_ref().map_or(0, |plus| plus.at.end()))
            }
            Self::Scaled { at, scale, sign, .. } => at
                .end()
                .max(match scale {
                    ScaleAt::Places(at) => at.end(),
                    ScaleAt::Code(at, _) => at.end(),
                    ScaleAt::Last(_) => 0,
                })
                .max(sign.map_or(0, |sign| sign.end())),
            Self::Number { at, .. } => at.end(),
            Self::LookupBy { value, .. } => value.key.end(),
            Self::Name { from, .. } => from.end(),
            Self::Text { offset, width, .. } => offset.saturating_add(*width),
            Self::Constant { .. } => 0,
        }
    }

    /// The column's presence bit.
    pub fn bit(&self) -> u64 {
        match self {
            Self::Int { col, .. } => col.bit(),
            Self::Small { col, .. } => col.bit(),
            Self::Time { col, .. } | Self::Moment { col, .. } => col.bit(),
            Self::Decimal { col, .. } | Self::Scaled { col, .. } => col.bit(),
            Self::Number { to, .. } => to.bit(),
            Self::LookupBy { col: LearnedCol::Name(col), .. } => col.bit(),
            Self::LookupBy { col: LearnedCol::Int(col), .. } => col.bit(),
            Self::Code { col, .. } | Self::Constant { col, .. } => col.bit(),
            Self::Name { col, .. } | Self::Lookup { col: LearnedCol::Name(col), .. } => col.bit(),
            Self::Text { col, .. } | Self::Digits { col, .. } => col.bit(),
            Self::Lookup { col: LearnedCol::Int(col), .. } => col.bit(),
        }
    }

    /// Whether the column's presence bit is set before the operation runs,
    /// which then clears it where there is no value. Texts are copied, and set
    /// their bit themselves.
    pub fn presumes(&self) -> bool {
        !matches!(
            self,
            Self::Text { .. } | Self::Digits { .. } | Self::Number { to: NumberTo::Text(_), .. }
        )
    }
}

impl NumberTo {
    /// The column's presence bit.
    pub fn bit(self) -> u64 {
        match self {
            Self::Int(col) => col.bit(),
            Self::Small(col) => col.bit(),
            Self::Decimal(col, _) => col.bit(),
            Self::Code(col, _) => col.bit(),
            Self::Name(col, _) => col.bit(),
            Self::Text(col) => col.bit(),
        }
    }
}

impl ElsewhereAt {
    /// First byte of the fixed part that it does not need.
    pub fn end(&self) -> u32 {
        match self {
            Self::Field(at) => at.end(),
            Self::Learned(learned) => learned.key.end(),
        }
    }
}

impl TextAt {
    /// First byte that is not part of it.
    pub fn end(&self) -> u32 {
        match self {
            Self::Short { at, .. } => at.end(),
            Self::Long { offset, width, .. } => offset.saturating_add(*width),
        }
    }
}

impl Learn {
    /// First byte of the fixed part that it does not need.
    pub fn end(&self) -> u32 {
        let values = self.values.iter().map(|(_, from)| match from {
            LearnFrom::Name(text) => text.end(),
            LearnFrom::Int(at) => at.end(),
        });
        values.fold(self.key.end(), u32::max)
    }
}

impl CodeTable {
    /// The same, one-byte codes with one load.
    #[inline(always)]
    pub fn word(&self, code: u64) -> u8 {
        match u8::try_from(code) {
            Ok(byte) => self.bytes[usize::from(byte)],
            Err(_) => self.number(code),
        }
    }

    /// The number of a code's word; 0 is none.
    pub fn number(&self, code: u64) -> u8 {
        let at = self.wide.binary_search_by_key(&code, |(code, _)| *code);
        at.ok().and_then(|at| self.wide.get(at)).map_or(0, |(_, number)| *number)
    }
}
