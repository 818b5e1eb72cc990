//! Values become columns of rows: one row an entry of the main sequence, one
//! row for a message without entries.
//!
//! ```text
//! MsgSeqNum 91650 | MDEntries: {Symbol AFLT, Px 74.78} {Symbol AFLT, Px 74.79}
//!       │                        │                        │
//!     header cells ──────────> row 0 ─────────────────> row 1
//! ```

use super::error::Code;
use std::ops::Range;

use super::machine::{Found, Sink, Val};
use super::mapping::{self, Target};
use super::slots::Decimal;
use super::templates::{Op, Templates};
use super::times;
use super::wire::plain;
use crate::batch::{
    DECIMAL_SCALE, DecimalCol, EnumCol, Head, IntCol, MessageBatch, NameCol, SmallCol, TextCol,
    TimeCol,
};
use crate::kind::{Action, Kind, SeqUnit, Side, flags};
use crate::names::{Name, Names};

/// Values of a message outside its main sequence that have a column; more are
/// counted as irregular.
pub const HEADER_CELLS_MAX: usize = 256;

/// Slots of the cache of short texts.
const CACHE_SLOTS: usize = 1024;

/// Longest text the cache keeps.
const CACHE_TEXT_MAX: usize = 15;

/// Buffers that live on from message to message.
#[derive(Debug)]
pub(super) struct RowMemory {
    cells: Vec<Cell>,
    text: Vec<u8>,
    cache: Vec<(u128, Name)>,
    templates: Vec<Option<TemplateNames>>,
}

#[derive(Clone, Copy, Debug)]
struct TemplateNames {
    id: Name,
    name: Option<Name>,
}

impl RowMemory {
    pub fn new(templates: usize) -> Self {
        Self {
            cells: Vec::new(),
            text: Vec::new(),
            cache: vec![(0, Name(0)); CACHE_SLOTS],
            templates: vec![None; templates],
        }
    }
}

/// A value and its column; texts are ranges of [`RowMemory::text`].
#[derive(Clone, Copy, Debug)]
enum Cell {
    Nothing,
    Int(IntCol, u64),
    Seq(u64),
    Small(SmallCol, u32),
    Time(TimeCol, i64),
    Decimal(DecimalCol, i128),
    Name(NameCol, Name),
    Text(TextCol, u32, u32),
    Side(Side),
    MsgType(Name, Option<Kind>, bool),
    EntryType(u8),
    EntryClock(i64),
    EntryDate(i64),
    Action(Action),
    /// The value does not fit its column.
    Irregular,
}

/// What decides a row's kind.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// From the MsgType, where it settles it.
    kind: Option<Kind>,
    snapshot: bool,
    entry_type: Option<u8>,
    action: Option<Action>,
    has_order_id: bool,
    has_level: bool,
    has_side: bool,
    has_exch_time: bool,
    send_time: Option<i64>,
    /// Of an entry, ns from midnight.
    entry_clock: Option<i64>,
    /// Of an entry, its midnight.
    entry_date: Option<i64>,
}

/// Writes one message's rows.
pub(super) struct RowSink<'m> {
    memory: &'m mut RowMemory,
    head: &'m Head,
    batch: &'m mut MessageBatch,
    names: &'m mut Names,
    first_row: usize,
    /// The entry being read.
    row: Option<usize>,
    facts: Facts,
    header: Facts,
    template: Option<TemplateNames>,
    kind: Kind,
    /// Header cells that each row has had.
    applied: usize,
}

impl<'m> RowSink<'m> {
    pub fn new(
        memory: &'m mut RowMemory,
        head: &'m Head,
        batch: &'m mut MessageBatch,
        names: &'m mut Names,
    ) -> Self {
        memory.cells.clear();
        memory.text.clear();
        Self {
            first_row: batch.len(),
            memory,
            head,
            batch,
            names,
            row: None,
            facts: Facts::default(),
            header: Facts::default(),
            template: None,
            kind: Kind::Unknown,
            applied: 0,
        }
    }

    /// Completes the rows of a message of `len` bytes.
    pub fn finish(&mut self, len: usize, flags: u32) -> Result<(), Code> {
        if self.batch.len() == self.first_row {
            let row = self.push()?;
            self.facts = self.header;
            self.close(row);
        }
        let last = self.batch.len();
        let late = self.applied..self.memory.cells.len();
        for row in self.first_row..last {
            for at in late.clone() {
                let cell = self.memory.cells[at];
                self.put(row, cell);
            }
            self.batch.set_raw_len(row, u32::try_from(len).unwrap_or(u32::MAX));
            self.batch.add_flags(row, flags);
        }
        Ok(())
    }

    /// Takes the rows of a message back.
    pub fn abandon(&mut self) {
        self.batch.truncate(self.first_row);
    }

    /// A new row with all that is known of the message so far.
    #[inline(always)]
    fn push(&mut self) -> Result<usize, Code> {
        let entry = self.batch.len() - self.first_row;
        let entry = u16::try_from(entry).map_err(|_| Code::Entries)?;
        let msg_type = self.template.map_or(self.head.protocol, |template| template.id);
        let row = self.batch.push(self.head, entry, msg_type).ok_or(Code::Entries)?;
        if let Some(name) = self.template.and_then(|template| template.name) {
            self.batch.set_name(row, NameCol::MsgName, name);
        }
        if entry == 0 {
            self.applied = self.memory.cells.len();
        }
        for at in 0..self.applied {
            let cell = self.memory.cells[at];
            self.put(row, cell);
        }
        Ok(row)
    }

    /// Sets what follows from all of a row's values.
    #[inline(always)]
    fn close(&mut self, row: usize) {
        let facts = self.facts;
        self.batch.set_kind(row, kind(facts, self.kind));
        if facts.snapshot {
            self.batch.add_flags(row, flags::SNAPSHOT);
        }
        if !facts.has_exch_time
            && let Some(ns) = entry_time(facts)
        {
            self.batch.set_time(row, TimeCol::TsExch, ns);
        }
        let side = match facts.entry_type {
            Some(b'0') => Side::Buy,
            Some(b'1') => Side::Sell,
            _ => return,
        };
        if !facts.has_side {
            self.batch.set_enum(row, EnumCol::Side, side as u8);
        }
    }

    #[inline(always)]
    fn put(&mut self, row: usize, cell: Cell) {
        let batch = &mut *self.batch;
        match cell {
            Cell::Nothing | Cell::EntryType(_) | Cell::EntryClock(_) | Cell::EntryDate(_) => {}
            Cell::Int(col, value) => batch.set_int(row, col, value),
            Cell::Seq(value) => {
                batch.set_int(row, IntCol::Seq, value);
                batch.set_enum(row, EnumCol::SeqUnit, SeqUnit::Message as u8);
            }
            Cell::Small(col, value) => batch.set_small(row, col, value),
            Cell::Time(col, value) => batch.set_time(row, col, value),
            Cell::Decimal(col, value) => batch.set_decimal(row, col, value),
            Cell::Name(col, value) => batch.set_name(row, col, value),
            Cell::Text(col, from, to) => {
                let text = self.memory.text.get(from as usize..to as usize).unwrap_or(&[]);
                batch.set_text(row, col, text);
            }
            Cell::Side(side) => batch.set_enum(row, EnumCol::Side, side as u8),
            Cell::MsgType(name, ..) => batch.set_msg_type(row, name),
            Cell::Action(action) => batch.set_enum(row, EnumCol::Action, action as u8),
            Cell::Irregular => batch.add_flags(row, flags::IRREGULAR),
        }
    }

    /// The column and value of a field.
    #[inline(always)]
    fn cell(&mut self, target: Target, value: Val<'_>) -> Cell {
        if value == Val::Null {
            return Cell::Nothing;
        }
        match target {
            Target::Decimal(col) => {
                decimal(value).map_or(Cell::Irregular, |v| Cell::Decimal(col, v))
            }
            Target::Symbol => self.name(NameCol::Symbol, value),
            Target::Status => self.name(NameCol::Status, value),
            Target::TradeType => self.name(NameCol::TradeType, value),
            Target::MsgType => self.msg_type(value),
            Target::EntryType => self.code(value).map_or(Cell::Irregular, Cell::EntryType),
            Target::Action => {
                self.code(value).and_then(action).map_or(Cell::Irregular, Cell::Action)
            }
            Target::EntryClock => {
                number(value).and_then(times::clock).map_or(Cell::Nothing, Cell::EntryClock)
            }
            Target::EntryDate => {
                number(value).and_then(times::date).map_or(Cell::Nothing, Cell::EntryDate)
            }
            Target::Side => self.code(value).and_then(side).map_or(Cell::Irregular, Cell::Side),
            Target::Seq => number(value).map_or(Cell::Irregular, Cell::Seq),
            Target::InstrumentSeq => int(IntCol::InstrumentSeq, value),
            Target::TriggerSeq => int(IntCol::TriggerSeq, value),
            Target::InstrumentId => self.id(IntCol::InstrumentId, None, value),
            Target::OrderId => self.id(IntCol::OrderId, Some(TextCol::OrderIdTxt), value),
            Target::OrigOrderId => self.id(IntCol::OrigOrderId, None, value),
            Target::MatchId => self.id(IntCol::MatchId, None, value),
            Target::Level => small(SmallCol::Level, value),
            Target::Channel => small(SmallCol::Channel, value),
            Target::SendTime => self.time(TimeCol::TsSend, value),
            Target::ExchTime => self.time(TimeCol::TsExch, value),
            Target::ExchTimeIn(times::TimeUnit::Nanoseconds) => {
                let ns = number(value).and_then(|ns| i64::try_from(ns).ok());
                ns.map_or(Cell::Irregular, |ns| Cell::Time(TimeCol::TsExch, ns))
            }
            Target::ClOrdId => self.text(TextCol::ClOrdId, value),
            Target::OrigClOrdId => self.text(TextCol::OrigClOrdId, value),
            Target::ExecId => self.text(TextCol::ExecId, value),
            Target::QuoteId => self.text(TextCol::QuoteId, value),
            Target::Nothing => Cell::Nothing,
        }
    }

    /// The text of a value at the end of the text buffer, trimmed; numbers in
    /// digits.
    fn bytes(&mut self, value: Val<'_>) -> (usize, usize) {
        let text = &mut self.memory.text;
        let from = text.len();
        match value {
            Val::Ascii(raw) => plain(raw, text),
            Val::Text(bytes) | Val::Bytes(bytes) => text.extend_from_slice(bytes),
            Val::Int(value) => text.extend_from_slice(value.to_string().as_bytes()),
            Val::Uint(value) => text.extend_from_slice(value.to_string().as_bytes()),
            Val::Decimal(_) | Val::Null => {}
        }
        let padding = text[from..].iter().rev().take_while(|&&byte| byte == b' ').count();
        text.truncate(text.len() - padding);
        (from, text.len())
    }

    fn text(&mut self, col: TextCol, value: Val<'_>) -> Cell {
        match self.bytes(value) {
            (from, to) if from == to => Cell::Nothing,
            (from, to) => Cell::Text(col, from as u32, to as u32),
        }
    }

    fn name(&mut self, col: NameCol, value: Val<'_>) -> Cell {
        let short = match value {
            Val::Ascii(raw) => short_key(raw),
            _ => None,
        };
        if let Some(key) = short
            && let Some(name) = self.memory.cached(key)
        {
            return Cell::Name(col, name);
        }
        let (from, to) = self.bytes(value);
        if from == to {
            return Cell::Nothing;
        }
        let name = self.names.intern(&self.memory.text[from..to]);
        self.memory.text.truncate(from);
        if let (Some(key), Some(name)) = (short, name) {
            self.memory.cache(key, name);
        }
        name.map_or(Cell::Nothing, |name| Cell::Name(col, name))
    }

    fn msg_type(&mut self, value: Val<'_>) -> Cell {
        let (from, to) = self.bytes(value);
        let text = &self.memory.text[from..to];
        let cell = match self.names.intern(text) {
            Some(name) => Cell::MsgType(name, mapping::msg_type_kind(text), text == b"W"),
            None => Cell::Nothing,
        };
        self.memory.text.truncate(from);
        cell
    }

    /// A number, or text that is a number in canonical form; other text goes
    /// to `text`.
    fn id(&mut self, col: IntCol, text: Option<TextCol>, value: Val<'_>) -> Cell {
        if let Some(number) = number(value) {
            return Cell::Int(col, number);
        }
        let (from, to) = self.bytes(value);
        match canonical(&self.memory.text[from..to]) {
            Some(number) => {
                self.memory.text.truncate(from);
                Cell::Int(col, number)
            }
            None if from == to => Cell::Nothing,
            None => text.map_or(Cell::Nothing, |col| Cell::Text(col, from as u32, to as u32)),
        }
    }

    fn time(&mut self, col: TimeCol, value: Val<'_>) -> Cell {
        let ns = match number(value) {
            Some(number) => times::from_number(number),
            None => {
                let (from, to) = self.bytes(value);
                let ns = times::from_text(&self.memory.text[from..to]);
                self.memory.text.truncate(from);
                ns
            }
        };
        ns.map_or(Cell::Irregular, |ns| Cell::Time(col, ns))
    }

    /// A one-character code; numbers below 10 are their digit.
    fn code(&mut self, value: Val<'_>) -> Option<u8> {
        match value {
            Val::Ascii(&[byte]) => Some(byte & 0x7f),
            Val::Text(&[byte]) => Some(byte),
            value => number(value).filter(|&code| code < 10).map(|code| b'0' + code as u8),
        }
    }

    fn template_names(&mut self, found: Found<'_>) -> Option<TemplateNames> {
        let (id, at) = match found {
            Found::Program(program, id) => (id, Some(program.index)),
            Found::Reset(id) => (id, None),
        };
        let known = at.and_then(|at| self.memory.templates.get(at).copied().flatten());
        if known.is_some() {
            return known;
        }
        let name = match found {
            Found::Program(program, _) => self.names.intern(program.name.as_bytes()),
            Found::Reset(_) => self.names.intern(RESET_NAME.as_bytes()),
        };
        let names = TemplateNames { id: self.names.intern(id.to_string().as_bytes())?, name };
        if let Some(slot) = at.and_then(|at| self.memory.templates.get_mut(at)) {
            *slot = Some(names);
        }
        Some(names)
    }
}

/// Name of the message that resets and stands in no template file.
pub(super) const RESET_NAME: &str = "FASTReset";

impl Sink for RowSink<'_> {
    #[inline(always)]
    fn pmap(&mut self, _: &[u8], _: usize) {}

    #[inline(always)]
    fn template(&mut self, found: Found<'_>, _: usize, _: usize) {
        if self.template.is_none() {
            self.template = self.template_names(found);
            self.kind = match found {
                Found::Program(program, _) => program.kind,
                Found::Reset(_) => Kind::SequenceReset,
            };
        }
    }

    #[inline(always)]
    fn template_end(&mut self) {}

    #[inline(always)]
    fn field(&mut self, _: &Templates, op: &Op, value: Val<'_>, _: Range<usize>) {
        if op.target == Target::Nothing {
            return;
        }
        let cell = self.cell(op.target, value);
        match self.row {
            Some(row) => {
                self.facts.note(cell);
                self.put(row, cell);
            }
            None if self.memory.cells.len() < HEADER_CELLS_MAX => {
                self.header.note(cell);
                self.memory.cells.push(cell);
            }
            None => {}
        }
    }

    #[inline(always)]
    fn group(&mut self, _: &str) {}

    #[inline(always)]
    fn group_end(&mut self) {}

    #[inline(always)]
    fn entry(&mut self, _: &str, main: bool, _: u32) -> Result<(), Code> {
        if main {
            self.facts = self.header;
            self.row = Some(self.push()?);
        }
        Ok(())
    }

    #[inline(always)]
    fn entry_end(&mut self, main: bool) {
        if let (true, Some(row)) = (main, self.row) {
            self.close(row);
            self.row = None;
        }
    }
}

impl RowMemory {
    #[inline(always)]
    fn cached(&self, key: u128) -> Option<Name> {
        let &(known, name) = self.cache.get(cache_slot(key))?;
        (known == key).then_some(name)
    }

    fn cache(&mut self, key: u128, name: Name) {
        if let Some(slot) = self.cache.get_mut(cache_slot(key)) {
            *slot = (key, name);
        }
    }
}

#[inline(always)]
fn cache_slot(key: u128) -> usize {
    let mixed = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 54) as usize % CACHE_SLOTS
}

/// A short text and its length as one number, never 0.
#[inline(always)]
fn short_key(raw: &[u8]) -> Option<u128> {
    if raw.is_empty() || raw.len() > CACHE_TEXT_MAX {
        return None;
    }
    let bytes = raw.iter().fold(0u128, |key, &byte| key << 8 | u128::from(byte));
    Some(bytes | (raw.len() as u128) << 120)
}

impl Facts {
    #[inline(always)]
    fn note(&mut self, cell: Cell) {
        match cell {
            Cell::MsgType(_, kind, snapshot) => {
                self.kind = kind;
                self.snapshot = snapshot;
            }
            Cell::EntryType(code) => self.entry_type = Some(code),
            Cell::Action(action) => self.action = Some(action),
            Cell::Int(IntCol::OrderId, _) | Cell::Text(TextCol::OrderIdTxt, ..) => {
                self.has_order_id = true;
            }
            Cell::Small(SmallCol::Level, _) => self.has_level = true,
            Cell::Side(_) => self.has_side = true,
            Cell::Time(TimeCol::TsExch, _) => self.has_exch_time = true,
            Cell::Time(TimeCol::TsSend, ns) => self.send_time = Some(ns),
            Cell::EntryClock(ns) => self.entry_clock = Some(ns),
            Cell::EntryDate(ns) => self.entry_date = Some(ns),
            _ => {}
        }
    }
}

/// The time of an entry that gives its time of day: on its own date, else on
/// the day that brings it nearest to the sending time.
fn entry_time(facts: Facts) -> Option<i64> {
    let clock = facts.entry_clock?;
    match facts.entry_date {
        Some(date) => date.checked_add(clock),
        None => times::near(clock, facts.send_time?),
    }
}

/// What a row says happened: FIX MsgType (35), then MDEntryType (269) with
/// MDUpdateAction (279), then the template's name; the same words as for FIX.
fn kind(facts: Facts, template: Kind) -> Kind {
    if let Some(kind) = facts.kind {
        return kind;
    }
    match facts.entry_type {
        Some(b'0' | b'1') if facts.has_order_id && !facts.has_level => match facts.action {
            Some(Action::Change | Action::Overlay) => Kind::OrderModify,
            Some(Action::Delete | Action::DeleteThru | Action::DeleteFrom) => Kind::OrderDelete,
            _ => Kind::OrderAdd,
        },
        // z is the Moscow Exchange's trade.
        Some(b'2' | b'z') => match facts.action {
            Some(Action::Change) => Kind::TradeCorrect,
            Some(Action::Delete) => Kind::TradeBust,
            _ => Kind::Trade,
        },
        Some(b'3') => Kind::Index,
        Some(b'A') => Kind::Imbalance,
        Some(b'J') => Kind::BookClear,
        Some(b'4'..=b'9' | b'B' | b'C' | b'N' | b'O') => Kind::Statistics,
        Some(_) => Kind::Level,
        None if facts.snapshot => Kind::BookClear,
        None if facts.action.is_some() => Kind::Level,
        None => template,
    }
}

/// FIX tag 279.
fn action(code: u8) -> Option<Action> {
    Some(match code {
        b'0' => Action::New,
        b'1' => Action::Change,
        b'2' => Action::Delete,
        b'3' => Action::DeleteThru,
        b'4' => Action::DeleteFrom,
        b'5' => Action::Overlay,
        _ => return None,
    })
}

/// FIX tag 54, and the letters of feeds that write them.
fn side(code: u8) -> Option<Side> {
    Some(match code {
        b'1' | b'B' => Side::Buy,
        b'2' | b'S' => Side::Sell,
        b'5' => Side::SellShort,
        b'6' => Side::SellShortExempt,
        b'8' => Side::Cross,
        _ => return None,
    })
}

#[inline(always)]
fn number(value: Val<'_>) -> Option<u64> {
    match value {
        Val::Uint(value) => Some(value),
        Val::Int(value) => u64::try_from(value).ok(),
        _ => None,
    }
}

fn int(col: IntCol, value: Val<'_>) -> Cell {
    number(value).map_or(Cell::Irregular, |value| Cell::Int(col, value))
}

fn small(col: SmallCol, value: Val<'_>) -> Cell {
    let value = number(value).and_then(|value| u32::try_from(value).ok());
    value.map_or(Cell::Irregular, |value| Cell::Small(col, value))
}

/// Decimal digits without leading zeros that fit 64 bits.
fn canonical(text: &[u8]) -> Option<u64> {
    if text.is_empty() || (text.len() > 1 && text.first() == Some(&b'0')) {
        return None;
    }
    times::number(text)
}

/// A number times 10^9, where that is exact.
#[inline(always)]
fn decimal(value: Val<'_>) -> Option<i128> {
    match value {
        Val::Int(value) => Some(i128::from(value) * ONE),
        Val::Uint(value) => Some(i128::from(value) * ONE),
        Val::Decimal(value) => scaled(value),
        _ => None,
    }
}

const ONE: i128 = 10i128.pow(DECIMAL_SCALE as u32);

/// Powers of ten that fit `i128`.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[inline(always)]
fn scaled(value: Decimal) -> Option<i128> {
    let shift = i32::from(value.exponent) + DECIMAL_SCALE;
    let mantissa = i128::from(value.mantissa);
    if (0..=19).contains(&shift) {
        return Some(mantissa * POWERS[shift as usize]);
    }
    wide_scaled(mantissa, shift)
}

#[cold]
fn wide_scaled(mantissa: i128, shift: i32) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    let power = *POWERS.get(shift.unsigned_abs() as usize)?;
    match shift >= 0 {
        true => mantissa.checked_mul(power),
        false => (mantissa % power == 0).then(|| mantissa / power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_nothing() {
        let scaled = |mantissa, exponent| scaled(Decimal { mantissa, exponent });
        assert_eq!(scaled(942_755, -2), Some(9_427_550_000_000));
        assert_eq!(scaled(-1, -9), Some(-1));
        assert_eq!(scaled(-10, -10), Some(-1));
        assert_eq!(scaled(-1, -10), None);
        assert_eq!(scaled(i64::MAX, 10), Some(i128::from(i64::MAX) * POWERS[19]));
        assert_eq!(scaled(i64::MAX, 11), None);
        assert_eq!(scaled(1, 63), None);
        assert_eq!(scaled(0, 63), Some(0));
        assert_eq!(scaled(1, -63), None);
    }

    #[test]
    fn order_ids_are_numbers_only_in_canonical_form() {
        assert_eq!(canonical(b"1000005"), Some(1_000_005));
        assert_eq!(canonical(b"0"), Some(0));
        assert_eq!(canonical(b"01"), None);
        assert_eq!(canonical(b"18446744073709551616"), None);
        assert_eq!(canonical(b"A1"), None);
    }

    #[test]
    fn cache_keys_keep_texts_apart() {
        assert_ne!(short_key(b"\0\0"), short_key(b"\0"));
        assert_ne!(short_key(b"AB"), short_key(b"BA"));
        assert_eq!(short_key(b"sixteen letters!"), None);
    }
}
