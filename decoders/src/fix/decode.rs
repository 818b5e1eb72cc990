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

use super::columns::{COUNTS, Filler, NameCache, Row, Slot, Slots, TagTable, hash};
use super::dictionary::{Dictionary, MessageDef, Version};
use super::fields::{Fields, RawField};
use super::groups::{Entry, Structure, TOP};
use super::sequence::{Sequence, Sessions};
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
    tags: [TagTable; Version::ALL.len()],
    types: [TypeNames; Version::ALL.len()],
    fields: Vec<RawField>,
    structure: Structure,
    session_text: Vec<u8>,
    met: Vec<(Vec<u8>, Met)>,
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
            tags: Version::ALL.map(TagTable::of),
            types: Default::default(),
            fields: Vec::new(),
            structure: Structure::default(),
            session_text: Vec::new(),
            met: vec![Default::default(); MET],
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
        let number = Dictionary::of(version).message_number(msg_type);
        let reading = Reading { msg, fields: &fields, msg_type, version, number };
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
        let tags = &self.tags[version as usize];
        let trigger_tag = trigger_tag.unwrap_or(u32::MAX);
        let mut seen = [0u64; SEEN_TAGS / 64];
        let mut doubt = false;
        let mut trigger = None;
        let mut slots = Slots::default();
        let mut reader = Fields::new(msg, Dictionary::of(version));
        for field in reader.by_ref() {
            let byte = tags.byte(field.tag);
            slots.note_byte(byte, fields.len());
            let word = &mut seen[field.tag as usize / 64 % (SEEN_TAGS / 64)];
            let bit = 1 << (field.tag % 64);
            doubt |= (*word & bit != 0) | (byte & COUNTS != 0);
            *word |= bit;
            if field.tag == trigger_tag && trigger.is_none() {
                trigger = Some(fields.len() as u32);
            }
            fields.push(field);
        }
        let mut pass = Pass { slots, trigger, flags: 0, structured: doubt };
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
        let (code, name) = self.type_names(reading, names);
        let code = code.unwrap_or(head.protocol);
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

    /// The message type's code and name.
    fn type_names(&mut self, reading: &Reading, names: &mut Names) -> (Option<Name>, Option<Name>) {
        let met = &mut self.types[reading.version as usize];
        if let Some(&Some((code, name))) = reading.number.and_then(|number| met.get(number)) {
            return (Some(code), Some(name));
        }
        let code = names.intern(reading.msg_type);
        let Some(message) = reading.message() else { return (code, None) };
        let name = names.intern(message.name.as_bytes());
        if let (Some(number), Some(code), Some(name)) = (reading.number, code, name) {
            met.resize(met.len().max(number + 1), None);
            met[number] = Some((code, name));
        }
        (code, name)
    }

    /// Works out the groups where they matter.
    fn plan(&mut self, reading: &Reading, pass: &Pass) -> Plan {
        let mut plan =
            Plan { slots: pass.slots, entries: Vec::new(), dropped: 0, flags: pass.flags };
        if reading.number.is_none() {
            plan.flags |= flags::UNKNOWN_TYPE;
        } else if pass.structured {
            let dictionary = Dictionary::of(reading.version);
            self.structure.build(dictionary, reading.message(), reading.msg, reading.fields);
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
        let seen_before = head.flags & (flags::RETRANSMIT | flags::DUPLICATE) != 0;
        let met = self.session(&row, names).unwrap_or_default();
        let sequence = match seen_before {
            true => Sequence::default(),
            false => self.sessions.note(met.number, reading.msg_type, &row),
        };
        let mut head = *head;
        head.flags |= plan.flags | sequence.flags;
        head.gap_before = sequence.gap_before;
        let number = row.get(Slot::SeqNum).and_then(values::unsigned);
        head.seq = number.map(|number| (number, SeqUnit::Message));
        if row.yes(Slot::PossDup) || row.yes(Slot::PossResend) {
            head.flags |= flags::POSS_DUP;
        }
        head.session = met.name;
        head
    }

    /// `49/50>56/57`, without the sub-ids that are not there, as a name, and
    /// the number of the session.
    fn session(&mut self, row: &Row, names: &mut Names) -> Option<Met> {
        let (sender, target) = (row.get(Slot::Sender)?, row.get(Slot::Target)?);
        let text = &mut self.session_text;
        text.clear();
        text.extend_from_slice(sender);
        append(text, b'/', row.get(Slot::SenderSub));
        append(text, b'>', Some(target));
        append(text, b'/', row.get(Slot::TargetSub));
        let (known, met) = &mut self.met[hash(text) % MET];
        if known == text && met.number.is_some() {
            return Some(*met);
        }
        *met = Met { name: names.intern(text), number: self.sessions.number(sender, target) };
        known.clone_from(text);
        Some(*met)
    }

    /// Remembers the versions a FIXT logon gives single message types.
    fn note_versions(&mut self, row: &Row) {
        let (Some(sender), Some(target)) = (row.get(Slot::Sender), row.get(Slot::Target)) else {
            return;
        };
        let number = self.sessions.number(sender, target);
        let mut ref_type = None;
        for field in row.fields {
            let value = field.value(row.msg);
            match (field.tag, ref_type) {
                (372, _) => ref_type = Some(value),
                (1130, Some(ref_type)) => {
                    if let Some(version) = Version::of_appl_ver_id(value) {
                        self.sessions.set_version(number, ref_type, version);
                    }
                }
                _ => {}
            }
        }
    }
}

/// A session met before: its name and its number among the sessions.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    name: Option<Name>,
    number: Option<usize>,
}

/// Sessions met lately that are found again without a search.
const MET: usize = 64;

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
    /// The type's number in its dictionary.
    number: Option<usize>,
}

impl<'a> Reading<'a> {
    fn message(&self) -> Option<&'static MessageDef> {
        Dictionary::of(self.version).messages().get(self.number?)
    }

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

/// The interned code and name of each message type of a version, where it was
/// met.
type TypeNames = Vec<Option<(Name, Name)>>;
