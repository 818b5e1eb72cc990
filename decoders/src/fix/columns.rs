//! Tags into columns of `messages`.
//!
//! ```text
//! fields   35  49  56  34  52  11  55  54  38  44  60 …
//! slots    MsgType→0  Sender→1  …  ClOrdId→5  Symbol→6 …   first field of each tag that matters
//! row      cl_ord_id = fields[slots[ClOrdId]] …
//! ```
//!
//! A message has one set of slots; each entry of a group that makes rows has
//! its own, laid over those of the message.

use super::dictionary::{Dictionary, TAG_MAX, Version};
use super::fields::RawField;
use super::kinds;
use super::values::{self, Parsed};
use crate::batch::{
    DecimalCol, EnumCol, IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol,
};
use crate::kind::{Kind, flags};
use crate::names::{Name, Names};

/// Declares the tags that fill columns.
macro_rules! slots {
    ($($slot:ident = $tag:literal,)*) => {
        /// A tag that fills a column or decides about one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        #[repr(u8)]
        pub enum Slot { $($slot,)* }

        /// The tags, at the index of their slot.
        pub const SLOT_TAGS: &[u32] = &[$($tag,)*];
    };
}

slots! {
    MsgType = 35,
    Sender = 49,
    Target = 56,
    SenderSub = 50,
    TargetSub = 57,
    SeqNum = 34,
    SendingTime = 52,
    PossDup = 43,
    PossResend = 97,
    GapFill = 123,
    NewSeqNo = 36,
    ResetSeqNum = 141,
    ApplVerId = 1128,
    DefaultApplVerId = 1137,
    ClOrdId = 11,
    OrigClOrdId = 41,
    OrderId = 37,
    ExecId = 17,
    TrdMatchId = 880,
    TradeId = 1003,
    Symbol = 55,
    SecurityId = 48,
    Side = 54,
    Price = 44,
    LastPx = 31,
    OrderQty = 38,
    LastQty = 32,
    LeavesQty = 151,
    CumQty = 14,
    Account = 1,
    OrdType = 40,
    TimeInForce = 59,
    OrdStatus = 39,
    ExecType = 150,
    ExecTransType = 20,
    TransactTime = 60,
    Text = 58,
    RejectReason = 103,
    QuoteId = 117,
    BidPx = 132,
    OfferPx = 133,
    BidSize = 134,
    OfferSize = 135,
    PriceType = 423,
    MdUpdateAction = 279,
    MdEntryType = 269,
    MdEntryPx = 270,
    MdEntrySize = 271,
    MdEntryDate = 272,
    MdEntryTime = 273,
    MdEntryPositionNo = 290,
    MdEntryRefId = 280,
    MdPriceLevel = 1023,
    RptSeq = 83,
    SecurityTradingStatus = 326,
    TradeReportTransType = 487,
    TrdType = 828,
    MassResponse = 531,
    AvgPx = 6,
}

/// Tags that say the same as another: the reasons and statuses of other
/// message types, the quantity where there is no order, and what one fill or
/// one allocation has in place of the message's own.
const ALIASES: [(u32, Slot); 13] = [
    (102, Slot::RejectReason),
    (373, Slot::RejectReason),
    (380, Slot::RejectReason),
    (340, Slot::SecurityTradingStatus),
    (1375, Slot::MassResponse),
    (53, Slot::OrderQty),
    (79, Slot::Account),
    (80, Slot::OrderQty),
    (153, Slot::Price),
    (366, Slot::Price),
    (1363, Slot::ExecId),
    (1364, Slot::LastPx),
    (1365, Slot::LastQty),
];

/// Number of slots.
pub const SLOTS: usize = SLOT_TAGS.len();

/// Tags below this have a place in a [`TagTable`]: all that a dictionary may
/// define.
const TAG_END: usize = TAG_MAX as usize + 1;

/// Places for slots: one for tags that have none, and as many as six bits
/// number.
const PLACES: usize = 64;

const _: () = assert!(SLOTS < PLACES);

/// What one pass over a message must know of a tag, a byte each: the slot plus
/// 1 in the low six bits, whether it counts the entries of a group with tags
/// that have slots, and whether it is the length of a data field.
pub struct TagTable(Box<[u8; TAG_END]>);

/// The bit of a [`TagTable`]'s byte that says a tag counts such entries.
pub const COUNTS: u8 = 1 << 6;

/// The bit that says a tag is a data field's length.
pub const LENGTH: u8 = 1 << 7;

impl TagTable {
    /// The table of a version.
    pub fn of(version: Version) -> Self {
        let dictionary = Dictionary::of(version);
        let mut near = Box::new(SLOT_OF_TAG);
        for group in dictionary.groups() {
            let tags = group.members.tags().iter();
            let fills = tags
                .map(|&tag| near.get(tag as usize))
                .any(|byte| byte.is_some_and(|byte| byte % PLACES as u8 != 0));
            if let Some(byte) = near.get_mut(group.count_tag as usize).filter(|_| fills) {
                *byte |= COUNTS;
            }
        }
        for (tag, byte) in (0..).zip(near.iter_mut()) {
            if dictionary.data_after(tag).is_some() {
                *byte |= LENGTH;
            }
        }
        Self(near)
    }

    /// The byte of a tag.
    #[inline(always)]
    pub fn byte(&self, tag: u32) -> u8 {
        self.0.get(tag as usize).copied().unwrap_or(0)
    }
}

/// The slot of a tag plus 1, 0 where it has none.
static SLOT_OF_TAG: [u8; TAG_END] = {
    let mut table = [0; TAG_END];
    let mut at = 0;
    while at < SLOTS {
        table[SLOT_TAGS[at] as usize] = at as u8 + 1;
        at += 1;
    }
    let mut at = 0;
    while at < ALIASES.len() {
        table[ALIASES[at].0 as usize] = ALIASES[at].1 as u8 + 1;
        at += 1;
    }
    table
};

/// For each slot the index of its field plus 1, 0 where there is none. The
/// first place is that of all tags without a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots([u32; PLACES]);

impl Default for Slots {
    fn default() -> Self {
        Self([0; PLACES])
    }
}

impl Slots {
    /// Notes a field; of several with one tag the first counts.
    #[inline]
    pub fn note(&mut self, tag: u32, index: usize) {
        let byte = SLOT_OF_TAG.get(tag as usize).copied().unwrap_or(0);
        self.note_byte(byte, index as u32);
    }

    /// As [`note`](Self::note), by the tag's byte of a [`TagTable`].
    #[inline(always)]
    pub fn note_byte(&mut self, byte: u8, index: u32) {
        let place = &mut self.0[usize::from(byte) % PLACES];
        *place = if *place == 0 { index.wrapping_add(1) } else { *place };
    }

    /// Lays the slots that `other` has over these.
    pub fn overlay(&mut self, other: &Self) {
        for (mine, &theirs) in self.0.iter_mut().zip(&other.0) {
            if theirs != 0 {
                *mine = theirs;
            }
        }
    }

    /// Takes one slot's field from `other` where this has none.
    pub fn inherit(&mut self, slot: Slot, other: &Self) {
        let at = slot as usize + 1;
        if self.0[at] == 0 {
            self.0[at] = other.0[at];
        }
    }

    /// Whether the slot has a field.
    pub fn has(&self, slot: Slot) -> bool {
        self.0[slot as usize + 1] != 0
    }
}

/// The tags that decide over one row, and their values.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The message.
    pub msg: &'a [u8],
    /// All of its fields.
    pub fields: &'a [RawField],
    /// Those that count for this row.
    pub slots: &'a Slots,
}

impl<'a> Row<'a> {
    /// A tag's value; `None` where it is missing or empty.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&'a [u8]> {
        let index = (self.slots.0[slot as usize + 1] as usize).checked_sub(1)?;
        let value = self.fields.get(index)?.value(self.msg);
        (!value.is_empty()).then_some(value)
    }

    /// Whether a tag says `Y`.
    pub fn yes(&self, slot: Slot) -> bool {
        self.get(slot) == Some(b"Y")
    }
}

/// What rows repeat: interned texts of up to sixteen bytes, and the date.
/// It holds for one [`Names`]. FIX names the same few accounts and symbols over
/// and over.
pub struct Memory {
    names: Box<[(Short, Name)]>,
    /// A date as text and its days since the epoch.
    date: ([u8; 8], Option<i64>),
}

impl Default for Memory {
    fn default() -> Self {
        let none = (Short::default(), Name(0));
        Self { names: vec![none; Self::SIZE].into(), date: ([0; 8], None) }
    }
}

impl Memory {
    const SIZE: usize = 2048;

    /// The name of `bytes`, as [`Names::intern`] gives it.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8], names: &mut Names) -> Option<Name> {
        let Some(short) = Short::of(bytes) else { return names.intern(bytes) };
        let place = self.names.get_mut(short.hash() % Self::SIZE)?;
        if place.0 != short {
            *place = (short, names.intern(bytes)?);
        }
        Some(place.1)
    }

    /// Days from the epoch to a date.
    #[inline]
    fn days(&mut self, date: &[u8; 8]) -> Option<i64> {
        if self.date.0 != *date {
            self.date = (*date, values::utc_date(date));
        }
        self.date.1
    }
}

/// A text of one to sixteen bytes as plain numbers; no two texts are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Short {
    first: u64,
    last: u64,
    len: u64,
}

impl Short {
    /// The text as numbers; `None` where it is empty or longer.
    #[inline]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let len = bytes.len() as u64;
        if let (Some(first), Some(last), 8..=16) =
            (bytes.first_chunk(), bytes.last_chunk(), bytes.len())
        {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            return Some(Self { first, last, len });
        }
        let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) if bytes.len() < 8 => {
                (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
            }
            _ => match *bytes {
                [a] => (a.into(), 0),
                [a, b] => (a.into(), b.into()),
                [a, b, c] => (u64::from(a) | u64::from(b) << 8, c.into()),
                _ => return None,
            },
        };
        Some(Self { first, last, len })
    }

    /// Mixes the numbers well enough for a cache.
    #[inline]
    pub fn hash(self) -> usize {
        let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mix(mix(self.len, self.first).rotate_left(29), self.last) >> 40) as usize
    }
}

/// Fills the columns of one row.
pub struct Filler<'a> {
    /// Where the row is.
    pub batch: &'a mut MessageBatch,
    /// The decoder's texts.
    pub names: &'a mut Names,
    /// What rows repeat.
    pub memory: &'a mut Memory,
    /// Its index.
    pub row: usize,
}

impl Filler<'_> {
    /// Sets kind and columns of the row from its tags.
    pub fn fill(&mut self, msg_type: &[u8], from: &Row) {
        let kind = kinds::kind(msg_type, from);
        self.batch.set_kind(self.row, kind);
        self.ids(from);
        self.texts(kind, from);
        self.times(from);
        self.enums(from);
        match msg_type {
            b"W" | b"X" => self.market_data(from, msg_type == b"W"),
            _ => self.order(kind, from),
        }
    }

    fn ids(&mut self, from: &Row) {
        self.text(TextCol::ClOrdId, from.get(Slot::ClOrdId));
        self.text(TextCol::OrigClOrdId, from.get(Slot::OrigClOrdId));
        self.text(TextCol::ExecId, from.get(Slot::ExecId));
        self.text(TextCol::QuoteId, from.get(Slot::QuoteId));
        if let Some(id) = from.get(Slot::OrderId) {
            match values::canonical_unsigned(id) {
                Some(number) => self.batch.set_int(self.row, IntCol::OrderId, number),
                None => self.batch.set_text(self.row, TextCol::OrderIdTxt, id),
            }
        }
        let match_id = from.get(Slot::TrdMatchId).or_else(|| from.get(Slot::TradeId));
        self.canonical(IntCol::MatchId, match_id);
        self.canonical(IntCol::InstrumentId, from.get(Slot::SecurityId));
    }

    fn texts(&mut self, kind: Kind, from: &Row) {
        self.name(NameCol::Symbol, from.get(Slot::Symbol));
        self.name(NameCol::Account, from.get(Slot::Account));
        self.name(NameCol::TradeType, from.get(Slot::TrdType));
        self.name(NameCol::Status, from.get(Slot::SecurityTradingStatus));
        self.name(NameCol::ReasonCode, reason(kind, from));
    }

    fn times(&mut self, from: &Row) {
        self.time(TimeCol::TsSend, from.get(Slot::SendingTime));
        self.time(TimeCol::TsExch, from.get(Slot::TransactTime));
    }

    fn enums(&mut self, from: &Row) {
        self.number(EnumCol::Side, kinds::side(from).map(|v| v as u8));
        self.number(EnumCol::PriceKind, kinds::price_kind(from).map(|v| v as u8));
        let ord_type = from.get(Slot::OrdType).map(kinds::ord_type);
        self.number(EnumCol::OrdType, ord_type.map(|v| v as u8));
        let tif = from.get(Slot::TimeInForce).map(kinds::tif);
        self.number(EnumCol::Tif, tif.map(|v| v as u8));
        let ord_status = from.get(Slot::OrdStatus).and_then(kinds::ord_status);
        self.number(EnumCol::OrdStatus, ord_status.map(|v| v as u8));
        let exec_type = from.get(Slot::ExecType).map(kinds::exec_type);
        self.number(EnumCol::ExecType, exec_type.map(|v| v as u8));
    }

    /// Prices and quantities of everything but market data. A fill's price is
    /// what it traded at.
    fn order(&mut self, kind: Kind, from: &Row) {
        let trade =
            matches!(kind, Kind::RptFill | Kind::Trade | Kind::TradeBust | Kind::TradeCorrect);
        let (price, qty) =
            if trade { (Slot::LastPx, Slot::LastQty) } else { (Slot::Price, Slot::OrderQty) };
        let average = || from.get(Slot::AvgPx).filter(|_| kind == Kind::Admin);
        self.decimal(DecimalCol::Price, from.get(price).or_else(average));
        self.decimal(DecimalCol::Qty, from.get(qty));
        self.decimal(DecimalCol::QtyLeaves, from.get(Slot::LeavesQty));
        self.decimal(DecimalCol::QtyCum, from.get(Slot::CumQty));
        self.decimal(DecimalCol::BidPrice, from.get(Slot::BidPx));
        self.decimal(DecimalCol::AskPrice, from.get(Slot::OfferPx));
        self.decimal(DecimalCol::BidQty, from.get(Slot::BidSize));
        self.decimal(DecimalCol::AskQty, from.get(Slot::OfferSize));
    }

    /// Price level, trade or statistic of one market-data entry.
    fn market_data(&mut self, from: &Row, snapshot: bool) {
        if snapshot {
            self.batch.add_flags(self.row, flags::SNAPSHOT);
        }
        self.decimal(DecimalCol::Price, from.get(Slot::MdEntryPx));
        self.decimal(DecimalCol::Qty, from.get(Slot::MdEntrySize));
        self.number(EnumCol::Action, kinds::action(from).map(|v| v as u8));
        let level = from.get(Slot::MdPriceLevel).or_else(|| from.get(Slot::MdEntryPositionNo));
        if let Some(level) = level.and_then(values::unsigned).and_then(|n| u32::try_from(n).ok()) {
            self.batch.set_small(self.row, SmallCol::Level, level);
        }
        self.canonical(IntCol::InstrumentSeq, from.get(Slot::RptSeq));
        if from.get(Slot::TransactTime).is_none() {
            self.entry_time(from);
        }
    }

    /// An entry's own time of day, on its own date or the message's.
    fn entry_time(&mut self, from: &Row) {
        let Some(clock) = from.get(Slot::MdEntryTime) else { return };
        let sent = from.get(Slot::SendingTime).and_then(|text| text.get(..8));
        let date = from.get(Slot::MdEntryDate).or(sent);
        let time = values::on_day(date.and_then(values::utc_date), values::utc_time(clock));
        self.parsed_time(TimeCol::TsExch, time);
    }

    #[inline]
    fn text(&mut self, col: TextCol, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.batch.set_text(self.row, col, value);
        }
    }

    #[inline]
    fn name(&mut self, col: NameCol, value: Option<&[u8]>) {
        if let Some(name) = value.and_then(|value| self.memory.intern(value, self.names)) {
            self.batch.set_name(self.row, col, name);
        }
    }

    #[inline]
    fn canonical(&mut self, col: IntCol, value: Option<&[u8]>) {
        if let Some(number) = value.and_then(values::canonical_unsigned) {
            self.batch.set_int(self.row, col, number);
        }
    }

    #[inline]
    fn number(&mut self, col: EnumCol, number: Option<u8>) {
        if let Some(number) = number {
            self.batch.set_enum(self.row, col, number);
        }
    }

    #[inline]
    fn time(&mut self, col: TimeCol, value: Option<&[u8]>) {
        if let Some(value) = value {
            let time = self.timestamp(value);
            self.parsed_time(col, time);
        }
    }

    /// A UTCTimestamp, or the TZTimestamp that some send in its place.
    #[inline]
    fn timestamp(&mut self, text: &[u8]) -> Parsed<i64> {
        let utc = match text {
            [_, _, _, _, _, _, _, _, b'-', ..] => {
                let clock = text.get(9..).unwrap_or_default();
                let days = text.first_chunk().and_then(|date| self.memory.days(date));
                values::on_day(days, values::utc_time(clock))
            }
            _ => Parsed::Bad,
        };
        match utc {
            Parsed::Bad => match values::tz_timestamp(text) {
                Parsed::Regular(ns) => Parsed::Irregular(ns),
                other => other,
            },
            good => good,
        }
    }

    fn parsed_time(&mut self, col: TimeCol, time: Parsed<i64>) {
        if time.irregular() {
            self.batch.add_flags(self.row, flags::IRREGULAR);
        }
        if let Some(ns) = time.value() {
            self.batch.set_time(self.row, col, ns);
        }
    }

    #[inline]
    fn decimal(&mut self, col: DecimalCol, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        let number = values::decimal9(value);
        if number.irregular() {
            self.batch.add_flags(self.row, flags::IRREGULAR);
        }
        if let Some(number) = number.value() {
            self.batch.set_decimal(self.row, col, number);
        }
    }
}

/// Why something was refused: the code, or the text where there is none.
fn reason<'a>(kind: Kind, from: &Row<'a>) -> Option<&'a [u8]> {
    let refused = matches!(kind, Kind::RptReject | Kind::RptCancelReject | Kind::Reject);
    let text = || from.get(Slot::Text).filter(|_| refused);
    from.get(Slot::RejectReason).or_else(text)
}
