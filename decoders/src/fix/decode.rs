//! One FIX message into rows.
//!
//! ```text
//! 35=D …                        row, entry 0
//! 35=X … 268=2 279=… 279=…      row, entry 0
//!                               row, entry 1
//! ```
//!
//! The fast way reads a message once and notes the first field of each tag
//! that fills a column. Only where a tag comes twice, or a group holds such
//! tags, the groups are worked out, so that what stands in an entry is not
//! taken for the message's own.

use super::columns::{Filler, NameCache, Row, SLOT_TAGS, Slot, Slots};
use super::dictionary::{Dictionary, MessageDef, Version};
use super::fields::{Fields, RawField};
use super::groups::{Entry, Structure, TOP};
use super::sequence::Sessions;
use super::{framing, kinds, values};
use crate::batch::{BATCH_ROWS, Full, Head, IntCol, MessageBatch, NameCol};
use crate::kind::{SeqUnit, flags};
use crate::names::{Name, Names};

/// Most rows of one message; entries beyond are not rows, the last row is
/// flagged `truncated`, and they are counted.
pub const MESSAGE_ROWS_MAX: usize = BATCH_ROWS;

/// Entries of one message looked at, of row-making and other groups together.
const ENTRIES_MAX: usize = 4 * MESSAGE_ROWS_MAX;

/// Tags below this are told apart exactly where one comes twice; above, a
/// doubt leads to the slow way, which is exact.
const SEEN_TAGS: usize = 2048;

/// How FIX messages are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixConfig {
    /// Show the values of passwords and user names in explanations.
    pub show_secrets: bool,
}

/// Decodes FIX messages of any version. Keeps what sessions have said: their
/// sequence numbers and application versions. One [`Names`] serves it for its
/// whole life.
pub struct FixDecoder {
    pub(super) config: FixConfig,
    pub(super) sessions: Sessions,
    cache: NameCache,
    structured: [StructuredTags; Version::ALL.len()],
    fields: Vec<RawField>,
    structure: Structure,
    session_text: Vec<u8>,
    entries_dropped: u64,
}

/// What one pass over a message found.
struct Pass {
    slots: Slots,
    trigger: Option<u32>,
    flags: u32,
    /// Whether groups must be worked out.
    structured: bool,
}

impl FixDecoder {
    /// A decoder that has seen nothing yet.
    pub fn new(config: FixConfig) -> Self {
        Self {
            config,
            sessions: Sessions::default(),
            cache: NameCache::default(),
            structured: Version::ALL.map(StructuredTags::of),
            fields: Vec::new(),
            structure: Structure::default(),
            session_text: Vec::new(),
            entries_dropped: 0,
        }
    }

    /// Entries that were no rows because of [`MESSAGE_ROWS_MAX`].
    pub fn entries_dropped(&self) -> u64 {
        self.entries_dropped
    }

    /// Messages whose gaps are unknown because of
    /// [`SESSIONS_MAX`](super::sequence::SESSIONS_MAX).
    pub fn sessions_refused(&self) -> u64 {
        self.sessions.refused()
    }

    /// Pushes the rows of one message, as [`framing::scan`] cut it. Session,
    /// sequence, gap and flags come from the message, the rest from `head`.
    /// `trigger_tag` is the user tag with the feed sequence that triggered it.
    /// Nothing is pushed, and nothing remembered, where the batch is too full.
    pub fn decode(
        &mut self,
        msg: &[u8],
        head: &Head,
        trigger_tag: Option<u32>,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let begin = framing::begin_string(msg).unwrap_or_default();
        let mut version = Version::of_begin_string(begin);
        let mut fields = std::mem::take(&mut self.fields);
        let pass = self.pass(msg, version, trigger_tag, &mut fields);
        let row = Row { msg, fields: &fields, slots: &pass.slots };
        let msg_type = row.get(Slot::MsgType).unwrap_or_default();
        if begin == b"FIXT.1.1" {
            version = self.sessions.version(msg_type, &row);
        }
        let message = Dictionary::of(version).message(msg_type);
        let reading = Reading { msg, fields: &fields, msg_type, version, message };
        let result = self.rows(&reading, &pass, head, batch, names);
        if result.is_ok() && msg_type == b"A" {
            self.note_versions(&row);
        }
        self.fields = fields;
        result
    }

    /// Reads the fields once.
    fn pass(
        &self,
        msg: &[u8],
        version: Version,
        trigger_tag: Option<u32>,
        fields: &mut Vec<RawField>,
    ) -> Pass {
        fields.clear();
        let groups = &self.structured[version as usize];
        let mut seen = [0u64; SEEN_TAGS / 64];
        let mut pass = Pass { slots: Slots::default(), trigger: None, flags: 0, structured: false };
        let mut reader = Fields::new(msg, Dictionary::of(version));
        for field in reader.by_ref() {
            let index = fields.len();
            fields.push(field);
            pass.slots.note(field.tag, index);
            let place = field.tag as usize % SEEN_TAGS;
            let (word, bit) = (&mut seen[place / 64], 1u64 << (place % 64));
            pass.structured |= *word & bit != 0 || groups.has(place);
            *word |= bit;
            if trigger_tag == Some(field.tag) {
                pass.trigger.get_or_insert(index as u32);
            }
        }
        let first: [u32; 3] = std::array::from_fn(|at| fields.get(at).map_or(0, |f| f.tag));
        if reader.irregular() || first != [8, 9, 35] {
            pass.flags |= flags::IRREGULAR;
        }
        if !framing::checksum_ok(msg) {
            pass.flags |= flags::BAD_CHECKSUM;
        }
        pass
    }

    fn rows(
        &mut self,
        reading: &Reading,
        pass: &Pass,
        head: &Head,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let plan = self.plan(reading, pass);
        if batch.room() < plan.entries.len().max(1) {
            return Err(Full);
        }
        let head = self.head(reading, &plan, head, names);
        let code = self.cache.intern(reading.msg_type, names).unwrap_or(head.protocol);
        let name = reading.message.map(|message| message.name.as_bytes());
        let name = name.and_then(|name| self.cache.intern(name, names));
        let trigger = pass.trigger.and_then(|at| reading.fields.get(at as usize));
        let trigger = trigger.and_then(|f| values::trailing_unsigned(f.value(reading.msg)));
        for (entry, slots) in (0u16..).zip(plan.rows()) {
            let Some(row) = batch.push(&head, entry, code) else { break };
            if let Some(name) = name {
                batch.set_name(row, NameCol::MsgName, name);
            }
            if let Some(trigger) = trigger {
                batch.set_int(row, IntCol::TriggerSeq, trigger);
            }
            Filler { batch, names, cache: &mut self.cache, row }
                .fill(reading.msg_type, &reading.row(slots));
        }
        if plan.dropped > 0 {
            batch.add_flags(batch.len() - 1, flags::TRUNCATED);
            self.entries_dropped += plan.dropped as u64;
        }
        Ok(())
    }

    /// Works out the groups where they matter.
    fn plan(&mut self, reading: &Reading, pass: &Pass) -> Plan {
        let mut plan =
            Plan { slots: pass.slots, entries: Vec::new(), dropped: 0, flags: pass.flags };
        if reading.message.is_none() {
            plan.flags |= flags::UNKNOWN_TYPE;
        } else if pass.structured {
            let dictionary = Dictionary::of(reading.version);
            self.structure.build(dictionary, reading.message, reading.msg, reading.fields);
            if self.structure.repeated || !self.structure.mismatches.is_empty() {
                plan.flags |= flags::IRREGULAR;
            }
            plan.slots = top_slots(&self.structure, reading.fields);
            plan.lay_entries(&self.structure, reading);
        }
        plan
    }

    /// What the framing knows, with what the message says of its session.
    fn head(&mut self, reading: &Reading, plan: &Plan, head: &Head, names: &mut Names) -> Head {
        let row = reading.row(&plan.slots);
        let sequence = self.sessions.note(reading.msg_type, &row);
        let mut head = *head;
        head.flags |= plan.flags | sequence.flags;
        head.gap_before = sequence.gap_before;
        let number = row.get(Slot::SeqNum).and_then(values::unsigned);
        head.seq = number.map(|number| (number, SeqUnit::Message));
        if row.yes(Slot::PossDup) || row.yes(Slot::PossResend) {
            head.flags |= flags::POSS_DUP;
        }
        head.session = self.session(&row, names);
        head
    }

    /// `49/50>56/57`, without the sub-ids that are not there.
    fn session(&mut self, row: &Row, names: &mut Names) -> Option<Name> {
        let text = &mut self.session_text;
        text.clear();
        text.extend_from_slice(row.get(Slot::Sender)?);
        append(text, b'/', row.get(Slot::SenderSub));
        append(text, b'>', row.get(Slot::Target));
        append(text, b'/', row.get(Slot::TargetSub));
        self.cache.intern(text, names)
    }

    /// Remembers the versions a FIXT logon gives single message types.
    fn note_versions(&mut self, row: &Row) {
        let mut ref_type = None;
        for field in row.fields {
            let value = field.value(row.msg);
            match (field.tag, ref_type) {
                (372, _) => ref_type = Some(value),
                (1130, Some(ref_type)) => {
                    if let Some(version) = Version::of_appl_ver_id(value) {
                        self.sessions.set_version(row, ref_type, version);
                    }
                }
                _ => {}
            }
        }
    }
}

fn append(text: &mut Vec<u8>, mark: u8, value: Option<&[u8]>) {
    if let Some(value) = value {
        text.push(mark);
        text.extend_from_slice(value);
    }
}

/// One message, read.
struct Reading<'a> {
    msg: &'a [u8],
    fields: &'a [RawField],
    msg_type: &'a [u8],
    version: Version,
    message: Option<&'static MessageDef>,
}

impl<'a> Reading<'a> {
    fn row<'b>(&'b self, slots: &'b Slots) -> Row<'b>
    where
        'a: 'b,
    {
        Row { msg: self.msg, fields: self.fields, slots }
    }
}

/// The rows a message makes.
struct Plan {
    /// The tags outside every group.
    slots: Slots,
    /// One each for entries that are rows; none where the message is one row.
    entries: Vec<Slots>,
    /// Entries that are no rows because there are too many.
    dropped: usize,
    flags: u32,
}

impl Plan {
    fn rows(&self) -> &[Slots] {
        if self.entries.is_empty() { std::slice::from_ref(&self.slots) } else { &self.entries }
    }

    /// Gives each entry that is a row its tags, laid over those of the entries
    /// around it and of the message.
    fn lay_entries(&mut self, structure: &Structure, reading: &Reading) {
        let Some(count_tag) = kinds::row_group(reading.msg_type) else { return };
        let is_row = |entry: &&Entry| entry.count_tag == count_tag;
        let laid = laid_slots(structure, reading.fields, &self.slots);
        for (_, slots) in structure.entries.iter().zip(laid).filter(|(entry, _)| is_row(entry)) {
            let mut slots = slots;
            if reading.msg_type == b"X" {
                inherit_instrument(&mut slots, self.entries.last());
            }
            if self.entries.len() < MESSAGE_ROWS_MAX {
                self.entries.push(slots);
            }
        }
        self.dropped = structure.entries.iter().filter(is_row).count() - self.entries.len();
    }
}

/// An entry of an incremental refresh that names no instrument is about that
/// of the entry before (FIX 4.4, message X, tag 55).
fn inherit_instrument(slots: &mut Slots, before: Option<&Slots>) {
    let named = [Slot::Symbol, Slot::SecurityId, Slot::MdEntryRefId];
    if let Some(before) = before.filter(|_| !named.iter().any(|&slot| slots.has(slot))) {
        slots.inherit(Slot::Symbol, before);
        slots.inherit(Slot::SecurityId, before);
    }
}

/// The slots of the fields outside every group.
fn top_slots(structure: &Structure, fields: &[RawField]) -> Slots {
    let mut slots = Slots::default();
    for (index, (&place, field)) in structure.place.iter().zip(fields).enumerate() {
        if place == TOP {
            slots.note(field.tag, index);
        }
    }
    slots
}

/// For the first [`ENTRIES_MAX`] entries their slots over those around them.
fn laid_slots(structure: &Structure, fields: &[RawField], top: &Slots) -> Vec<Slots> {
    let mut all = vec![Slots::default(); structure.entries.len().min(ENTRIES_MAX)];
    for (index, (&place, field)) in structure.place.iter().zip(fields).enumerate() {
        if let Some(slots) = all.get_mut(place as usize) {
            slots.note(field.tag, index);
        }
    }
    for (index, entry) in structure.entries.iter().enumerate().take(all.len()) {
        let mut slots = all.get(entry.parent as usize).copied().unwrap_or(*top);
        if let Some(own) = all.get_mut(index) {
            slots.overlay(own);
            *own = slots;
        }
    }
    all
}

/// The tags that count entries of groups with tags that fill columns, by their
/// place modulo [`SEEN_TAGS`].
struct StructuredTags([u64; SEEN_TAGS / 64]);

impl StructuredTags {
    fn of(version: Version) -> Self {
        let mut tags = Self([0; SEEN_TAGS / 64]);
        for group in Dictionary::of(version).groups() {
            let fills = SLOT_TAGS.iter().any(|&tag| group.members.position(tag).is_some());
            let rows = [268, 295, 296, 552, 73, 146].contains(&group.count_tag);
            if fills || rows {
                let place = group.count_tag as usize % SEEN_TAGS;
                tags.0[place / 64] |= 1 << (place % 64);
            }
        }
        tags
    }

    #[inline]
    fn has(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }
}
