//! Templates, checked and flattened: what the decoder runs.
//!
//! ```text
//! ops   0 MsgSeqNum   uInt32, no operator          column seq
//!       1 MDEntries   sequence, body 3..6          one row an entry
//!       2 NoMDEntries its length
//!       3 Symbol      string, copy, slot 0         column symbol
//!       4 MDEntryPx   decimal of two operators
//!       5   exponent  default -2
//!       6   mantissa  delta, slot 1
//! ```
//!
//! Static template references are already replaced by what they refer to, and
//! dictionary keys by slot numbers, so decoding follows no names.

use std::ops::Range;

use super::compile;
use super::mapping::Target;
use crate::kind::Kind;

/// Deepest nesting of groups, sequences and template references.
pub const DEPTH_MAX: usize = 16;

/// Most ops of all templates of a file together, references expanded.
pub const OPS_MAX: usize = 1 << 17;

/// A file of templates, ready to decode with.
#[derive(Debug)]
pub struct Templates {
    pub(super) ops: Vec<Op>,
    pub(super) fields: Vec<FieldName>,
    pub(super) programs: Vec<Program>,
    /// (template id, index in `programs`), sorted.
    pub(super) ids: Vec<(u32, usize)>,
    /// Dictionary slots of all dictionaries.
    pub(super) slots: usize,
    /// Fewest bytes an entry of any template's main sequence takes, at least 1.
    pub(super) min_entry_bytes: usize,
}

/// Why a file of templates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: <{element}>: {message}")]
pub struct TemplateError {
    /// The file's name as given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// The element at fault.
    pub element: String,
    /// What is wrong, with the specification's code where it has one.
    pub message: String,
}

impl Templates {
    /// Reads the XML of FAST 1.1 template definitions. `file_name` is only
    /// for messages.
    pub fn parse(file_name: &str, xml: &str) -> Result<Self, TemplateError> {
        compile::compile(file_name, xml)
    }

    /// The template with this id.
    pub(super) fn program(&self, id: u32) -> Option<&Program> {
        let at = self.ids.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        let &(_, index) = self.ids.get(at)?;
        self.programs.get(index)
    }

    /// Whether a template has this id.
    pub fn knows(&self, id: u32) -> bool {
        self.program(id).is_some()
    }

    /// Id and name of each template that has an id, by id.
    pub fn list(&self) -> impl Iterator<Item = (u32, &str)> {
        self.ids.iter().filter_map(|&(id, at)| Some((id, &*self.programs.get(at)?.name)))
    }

    pub(super) fn field(&self, op: &Op) -> &FieldName {
        &self.fields[op.field as usize]
    }
}

/// A template.
#[derive(Debug)]
pub(super) struct Program {
    pub index: usize,
    /// `None`: only other templates refer to it.
    pub id: Option<u32>,
    pub name: Box<str>,
    pub ops: Range<usize>,
    /// `reset` or `scp:reset`: all dictionaries are cleared before it.
    pub reset: bool,
    /// What its messages are where no field says it.
    pub kind: Kind,
}

/// A field's names, for people.
#[derive(Debug)]
pub(super) struct FieldName {
    pub name: Box<str>,
    /// Of several fields with one meaning the smallest fills the column.
    pub rank: u8,
}

/// One instruction.
#[derive(Debug)]
pub(super) struct Op {
    pub what: What,
    pub operator: Operator,
    pub optional: bool,
    /// Previous value, for operators that have one.
    pub slot: usize,
    pub initial: Initial,
    /// What the value means in a row.
    pub target: Target,
    /// Index of its [`FieldName`].
    pub field: u32,
}

/// What an instruction reads. Ends are indexes of ops, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Integer(Integer),
    /// Exponent and mantissa under one operator.
    Decimal,
    /// Exponent and mantissa are the next two ops.
    DecimalPair,
    Ascii,
    Unicode,
    Bytes,
    Group {
        end: usize,
        pmap: bool,
    },
    /// Its length is the next op, its body follows that.
    Sequence {
        end: usize,
        pmap: bool,
        min_bytes: usize,
        main: bool,
    },
    /// A template id on the wire says what follows.
    Dynamic,
}

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    U32,
    I32,
    U64,
    I64,
    /// A decimal's exponent: -63..=63.
    Exponent,
}

impl Integer {
    /// Smallest and largest value.
    #[inline(always)]
    pub fn range(self) -> (i128, i128) {
        match self {
            Self::U32 => (0, u32::MAX as i128),
            Self::I32 => (i32::MIN as i128, i32::MAX as i128),
            Self::U64 => (0, u64::MAX as i128),
            Self::I64 => (i64::MIN as i128, i64::MAX as i128),
            Self::Exponent => (-63, 63),
        }
    }

    /// The value kept in 64 bits.
    #[inline(always)]
    pub fn widen(self, bits: i64) -> i128 {
        match self {
            Self::U64 => i128::from(bits as u64),
            _ => i128::from(bits),
        }
    }
}

/// Field operators, FAST 1.1 section 6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    None,
    Constant,
    Default,
    Copy,
    Increment,
    Delta,
    Tail,
}

/// An operator's initial value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Initial {
    None,
    /// 64 bits, unsigned where the type is.
    Integer(i64),
    Decimal {
        mantissa: i64,
        exponent: i8,
    },
    Text(Box<[u8]>),
}
