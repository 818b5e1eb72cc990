//! The tables of FAST messages: columns from the templates, values as the
//! machine meets them.
//!
//! ```text
//! X-OLR-CURR | MsgSeqNum | MDEntries[0] Symbol Px | MDEntries[1] Symbol Px
//!
//! x_olr_curr               one row a message    msgseqnum, nomdentries
//! x_olr_curr__mdentries    one row an entry     msgseqnum, symbol, px
//! ```
//!
//! Names are the templates' in lower case. Where a feed forgets all values
//! before each message (`reset = "message"`), a message is read alone. Any other
//! means something only behind those before it: the reader is given all of a
//! capture, in order. Where some were missed, a message that hangs on them is a
//! row without values, which `undecodable` says why of; nothing is guessed.

use super::decode::{FastDecoder, ResetPolicy};
use super::error::Code;
use super::error::FastError;
use super::feed::FastFeed;
use super::machine::{Found, Sink, Val};
use super::mapping::Target;
use super::templates::{Initial, Integer, Op, Operator, Program, Templates, What};
use super::wire::plain;
use crate::field::Datum;
use crate::typed::names::{KEY_COLUMNS, identifier};
use crate::typed::{
    ColumnKind, Emit, ROWS_MAX, Standing, StoredMessage, TypedColumn, TypedTable, emit_rows,
};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Between the name of a message and that of a sequence in it.
const GROUP: &str = "__";

/// A group around a field, or a sequence: its name, and whether it is a
/// sequence.
type Around = (Box<str>, bool);

/// Columns by the names from the message down to the field.
type Columns = HashMap<Vec<Box<str>>, usize>;

/// The column that says why a message has no values.
const UNDECODABLE: &str = "undecodable";

/// Flows of one capture that are followed; messages of further ones are
/// undecodable.
pub const FLOWS_MAX: usize = 4096;

/// Reads the rows of one table.
#[derive(Debug)]
pub struct FastReader {
    decoding: Decoding,
    /// Template ids of its messages.
    ids: Vec<u32>,
    /// The sequence whose entries are the rows, with those around it.
    sequence: Vec<Box<str>>,
    columns: Columns,
    count: usize,
    /// The column of the reason, where messages hang on others.
    undecodable: Option<usize>,
}

/// Decodes the messages of a feed.
#[derive(Debug)]
struct Decoding {
    templates: Arc<Templates>,
    policy: ResetPolicy,
    implicit_reset: Option<u32>,
    /// By flow, with the packet of its last message; one, where messages stand
    /// alone.
    flows: HashMap<u32, (FastDecoder, Option<u32>)>,
}

/// A table while its templates are gone through.
struct Builder<'t> {
    templates: &'t Templates,
    /// The sequences that lead to the table's.
    sequence: &'t [Box<str>],
    columns: Vec<TypedColumn>,
    places: Columns,
}

/// Templates of one name.
fn named(templates: &Templates) -> BTreeMap<String, Vec<&Program>> {
    let mut named: BTreeMap<String, Vec<&Program>> = BTreeMap::new();
    for &(_, at) in &templates.ids {
        if let Some(program) = templates.programs.get(at) {
            named.entry(identifier(&program.name)).or_default().push(program);
        }
    }
    named
}

/// Every table of a feed's templates, by name.
pub fn tables(templates: &Templates, policy: ResetPolicy) -> Vec<TypedTable> {
    let mut tables = Vec::new();
    for (name, programs) in named(templates) {
        for sequence in sequences(templates, &programs) {
            let mut table = build(templates, &name, &programs, &sequence).0;
            add_undecodable(&mut table, policy);
            tables.push(table);
        }
    }
    tables
}

/// Adds the column that says why a message has no values, where one may have
/// none; gives its place.
fn add_undecodable(table: &mut TypedTable, policy: ResetPolicy) -> Option<usize> {
    if policy == ResetPolicy::Message {
        return None;
    }
    let taken = |name: &String| table.columns.iter().any(|column| &column.name == name);
    let numbered = (2..).map(|n| format!("{UNDECODABLE}_{n}"));
    let mut names = std::iter::once(UNDECODABLE.to_owned()).chain(numbered);
    let name = names.find(|name| !taken(name))?;
    table.columns.push(TypedColumn { name, kind: ColumnKind::Text });
    Some(table.columns.len() - 1)
}

/// The paths of all sequences, that of none first.
fn sequences(templates: &Templates, programs: &[&Program]) -> Vec<Vec<Box<str>>> {
    let mut found: Vec<Vec<Box<str>>> = vec![Vec::new()];
    for program in programs {
        walk(templates, program, &mut |path, op| {
            if matches!(op.what, What::Sequence { .. }) {
                let own = templates.field(op).name.clone();
                let path: Vec<Box<str>> =
                    path.iter().filter(|(_, each)| *each).map(|(name, _)| name.clone()).collect();
                let path = [path, vec![own]].concat();
                if !found.contains(&path) {
                    found.push(path);
                }
            }
        });
    }
    found
}

/// Shows every op with the groups and sequences around it; `true` marks a
/// sequence. Parts of a decimal are no fields of their own.
fn walk(templates: &Templates, program: &Program, each: &mut dyn FnMut(&[Around], &Op)) {
    let mut path: Vec<Around> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    let mut at = program.ops.start;
    while at < program.ops.end {
        while ends.last().is_some_and(|&end| end <= at) {
            ends.pop();
            path.pop();
        }
        let Some(op) = templates.ops.get(at) else { return };
        each(&path, op);
        at += 1;
        match op.what {
            What::DecimalPair => at += 2,
            What::Group { end, .. } => {
                path.push((templates.field(op).name.clone(), false));
                ends.push(end);
            }
            What::Sequence { end, .. } => {
                // The length is a field of what encloses the entries.
                if let Some(length) = templates.ops.get(at) {
                    each(&path, length);
                }
                at += 1;
                path.push((templates.field(op).name.clone(), true));
                ends.push(end);
            }
            _ => {}
        }
    }
}

fn build(
    templates: &Templates,
    name: &str,
    programs: &[&Program],
    sequence: &[Box<str>],
) -> (TypedTable, Columns) {
    let (columns, places) = (Vec::new(), Columns::new());
    let mut builder = Builder { templates, sequence, columns, places };
    let mut msg_types = Some(Vec::new());
    for program in programs {
        let mut used = Vec::new();
        walk(templates, program, &mut |path, op| builder.op(path, op, &mut used));
        match (msg_type(templates, program), &mut msg_types) {
            (Some(code), Some(codes)) if !codes.contains(&code) => codes.push(code),
            (Some(_), _) => {}
            // It is in the message: any may be of the table.
            (None, codes) => *codes = None,
        }
    }
    let names = std::iter::once(name.to_owned()).chain(sequence.iter().map(|s| identifier(s)));
    let name = names.collect::<Vec<_>>().join(GROUP);
    let msg_types = msg_types.unwrap_or_default();
    (TypedTable { name, msg_types, columns: builder.columns }, builder.places)
}

/// The type that all messages of a template have in `messages`; `None` where
/// each says its own.
fn msg_type(templates: &Templates, program: &Program) -> Option<String> {
    let mut told = Some(program.id?.to_string());
    walk(templates, program, &mut |_, op| {
        if op.target == Target::MsgType {
            told = match (&op.initial, op.operator, op.optional) {
                (Initial::Text(text), Operator::Constant, false) => {
                    std::str::from_utf8(text).ok().map(str::to_owned)
                }
                _ => None,
            };
        }
    });
    told
}

impl Builder<'_> {
    fn op(&mut self, path: &[Around], op: &Op, used: &mut Vec<usize>) {
        let kind = match op.what {
            What::Integer(Integer::U32 | Integer::U64) => ColumnKind::UInt,
            What::Integer(_) => ColumnKind::Int,
            What::Decimal | What::DecimalPair => ColumnKind::Decimal,
            What::Ascii | What::Unicode => ColumnKind::Text,
            What::Bytes => ColumnKind::Bytes,
            What::Group { .. } | What::Sequence { .. } | What::Dynamic => return,
        };
        // Only what stands in the table's sequence, or around it.
        let around = path.iter().filter(|(_, each)| *each).map(|(name, _)| name);
        if !around.zip(0..).all(|(name, at)| self.sequence.get(at) == Some(name)) {
            return;
        }
        let name = &self.templates.field(op).name;
        let mut place: Vec<Box<str>> = path.iter().map(|(name, _)| name.clone()).collect();
        place.push(name.clone());
        let before = path.last().map_or("", |(name, _)| name);
        let is_it = |known: &usize| self.columns.get(*known).is_some_and(|c| c.kind == kind);
        if let Some(known) = self.places.get(&place).copied().filter(is_it) {
            used.push(known);
            return;
        }
        let at = self.column(name, before, kind, used);
        self.places.insert(place, at);
    }

    /// A column that no other field of the message has: the name of the part
    /// around it, then a number, tell it from others.
    fn column(
        &mut self,
        name: &str,
        prefix: &str,
        kind: ColumnKind,
        used: &mut Vec<usize>,
    ) -> usize {
        let name = identifier(name);
        let longer =
            if prefix.is_empty() { name.clone() } else { format!("{}_{name}", identifier(prefix)) };
        let numbered = (2..).map(|n| format!("{longer}_{n}"));
        let names = [name, longer.clone()].into_iter().chain(numbered);
        for name in names.filter(|name| !KEY_COLUMNS.contains(&name.as_str())) {
            let found = self.columns.iter().position(|column| column.name == name);
            let at = found.unwrap_or_else(|| {
                self.columns.push(TypedColumn { name, kind });
                self.columns.len() - 1
            });
            let fits = self.columns.get(at).is_some_and(|column| column.kind == kind);
            if fits && !used.contains(&at) {
                used.push(at);
                return at;
            }
        }
        usize::MAX
    }
}

impl FastReader {
    /// The reader of the table with this name. Columns that are not `wanted`
    /// stay null.
    pub fn new(feed: &FastFeed, table: &str, wanted: &[bool]) -> Option<Self> {
        let templates = &feed.templates;
        let named = named(templates);
        let found = named.iter().find_map(|(name, programs)| {
            table.starts_with(name.as_str()).then_some(())?;
            let sequences = sequences(templates, programs);
            let mut built = sequences.into_iter().map(|sequence| {
                let (built, columns) = build(templates, name, programs, &sequence);
                (built, columns, sequence)
            });
            let (built, columns, sequence) = built.find(|(built, ..)| built.name == table)?;
            let ids: Vec<u32> = programs.iter().filter_map(|program| program.id).collect();
            Some((ids, built, columns, sequence))
        });
        let (ids, mut built, mut columns, sequence) = found?;
        columns.retain(|_, column| wanted.get(*column).copied().unwrap_or(true));
        let undecodable = add_undecodable(&mut built, feed.reset);
        let decoding = Decoding {
            templates: Arc::clone(templates),
            policy: feed.reset,
            implicit_reset: feed.implicit_template,
            flows: HashMap::new(),
        };
        let count = built.columns.len();
        Some(Self { decoding, ids, sequence, columns, count, undecodable })
    }

    /// Whether messages hang on those before them.
    pub fn is_in_order(&self) -> bool {
        self.undecodable.is_some()
    }

    /// A capture begins, with what none of its flows has said yet.
    pub fn begin_capture(&mut self) {
        self.decoding.flows.clear();
    }

    /// A message whose bytes are not there.
    pub fn missed(&mut self, standing: Standing) {
        if let Some((decoder, _)) = self.decoding.flow(standing.flow_id) {
            decoder.mark_gap();
        }
    }

    /// The rows of a message; none where it is another one, or cannot be read
    /// at all.
    pub fn rows(&mut self, message: &StoredMessage<'_>, emit: &mut Emit) {
        let mut sink = RowSink {
            ids: &self.ids,
            sequence: &self.sequence,
            columns: &self.columns,
            begun: false,
            is_it: false,
            path: Vec::new(),
            values: Vec::new(),
            marks: Vec::new(),
            rows: Vec::new(),
        };
        let read = self.decoding.read(message, &mut sink);
        if !sink.is_it {
            return;
        }
        if let Err(error) = read {
            if let (Some(column), Some(error)) = (self.undecodable, error) {
                let reason = error.to_string();
                emit_rows(self.count, [[(column, Datum::Utf8(&reason))]], emit);
            }
            return;
        }
        if self.sequence.is_empty() {
            sink.row();
        }
        let rows = sink.rows.iter();
        let rows = rows.map(|values| values.iter().map(|(at, kept)| (*at, kept.datum())));
        emit_rows(self.count, rows, emit);
    }
}

impl Decoding {
    /// The decoder of a flow, and the packet of its last message.
    fn flow(&mut self, flow_id: u32) -> Option<&mut (FastDecoder, Option<u32>)> {
        let alone = self.policy == ResetPolicy::Message;
        let key = if alone { 0 } else { flow_id };
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&key) {
            return None;
        }
        Some(self.flows.entry(key).or_insert_with(|| {
            let decoder = FastDecoder::new(Arc::clone(&self.templates), self.policy);
            (decoder.with_implicit_reset(self.implicit_reset).strict(), None)
        }))
    }

    /// Reads a message as it was decoded; an error that says nothing where it
    /// was not, being there for the second time.
    fn read(
        &mut self,
        message: &StoredMessage<'_>,
        sink: &mut RowSink<'_>,
    ) -> Result<(), Option<FastError>> {
        let Standing { flow_id, packet_ix, in_stream, gap, repeated } = message.standing;
        let is_whole = matches!(self.policy, ResetPolicy::Message | ResetPolicy::Datagram);
        if repeated && !is_whole {
            return Err(None);
        }
        let Some((decoder, last)) = self.flow(flow_id) else { return Err(None) };
        if gap {
            decoder.mark_gap();
        }
        if in_stream || last.replace(packet_ix) != Some(packet_ix) {
            decoder.start_datagram();
        }
        decoder.visit(message.bytes, sink).map(drop).map_err(Some)
    }
}

/// A value that outlives the machine's buffers.
#[derive(Clone, Debug)]
enum Kept {
    Int(i128),
    Decimal(i128, i32),
    Text(String),
    Bytes(Vec<u8>),
}

impl Kept {
    fn of(value: Val<'_>) -> Option<Self> {
        Some(match value {
            Val::Null => return None,
            Val::Int(value) => Self::Int(value.into()),
            Val::Uint(value) => Self::Int(value.into()),
            Val::Decimal(value) => Self::Decimal(value.mantissa.into(), -i32::from(value.exponent)),
            Val::Ascii(raw) => {
                let mut text = Vec::new();
                plain(raw, &mut text);
                Self::Text(crate::names::latin1(&text))
            }
            Val::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Text(crate::names::latin1(bytes)),
            },
            Val::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        })
    }

    fn datum(&self) -> Datum<'_> {
        match self {
            Self::Int(int) => Datum::Int(*int),
            Self::Decimal(mantissa, scale) => Datum::Decimal(*mantissa, *scale),
            Self::Text(text) => Datum::Utf8(text),
            Self::Bytes(bytes) => Datum::Bytes(bytes),
        }
    }
}

/// One message being read.
struct RowSink<'r> {
    ids: &'r [u32],
    sequence: &'r [Box<str>],
    columns: &'r Columns,
    begun: bool,
    is_it: bool,
    /// Names around the next field; `true` marks a sequence.
    path: Vec<Around>,
    values: Vec<(usize, Kept)>,
    /// How many values there were before each open part.
    marks: Vec<usize>,
    rows: Vec<Vec<(usize, Kept)>>,
}

impl RowSink<'_> {
    fn row(&mut self) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(self.values.clone());
        }
    }

    fn enter(&mut self, name: &str, each: bool) {
        self.marks.push(self.values.len());
        self.path.push((name.into(), each));
    }

    fn leave(&mut self) {
        self.path.pop();
        self.marks.pop();
    }
}

impl Sink for RowSink<'_> {
    fn pmap(&mut self, _: &[u8], _: usize) {}

    fn template(&mut self, found: Found<'_>, _: usize, _: usize) {
        // A template inside it is in no table.
        if self.begun {
            return self.enter("", false);
        }
        self.begun = true;
        self.is_it = matches!(found, Found::Program(_, id) if self.ids.contains(&id));
    }

    fn template_end(&mut self) {
        if !self.path.is_empty() {
            self.leave();
        }
    }

    fn field(&mut self, templates: &Templates, op: &Op, value: Val<'_>, _: Range<usize>) {
        if !self.is_it {
            return;
        }
        let mut place: Vec<Box<str>> = self.path.iter().map(|(name, _)| name.clone()).collect();
        place.push(templates.field(op).name.clone());
        if let (Some(&column), Some(value)) = (self.columns.get(&place), Kept::of(value)) {
            self.values.push((column, value));
        }
    }

    fn group(&mut self, name: &str) {
        self.enter(name, false);
    }

    fn group_end(&mut self) {
        self.leave();
    }

    fn entry(&mut self, name: &str, _: bool, _: u32) -> Result<(), Code> {
        self.enter(name, true);
        Ok(())
    }

    fn entry_end(&mut self, _: bool) {
        let around = self.path.iter().filter(|(_, each)| *each).map(|(name, _)| name);
        if self.is_it && around.eq(self.sequence) {
            self.row();
        }
        let before = self.marks.last().copied().unwrap_or(0);
        self.values.truncate(before);
        self.leave();
    }
}
