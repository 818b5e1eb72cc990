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

use super::columns::{Filler, Memory, Row, Short, Slot, Slots, TagTable};
use super::dictionary::{Dictionary, MessageDef, Version};
use super::fields::RawField;
use super::groups::{Entry, Structure, TOP};
use super::pass::Pass;
use super::sequence::{Sequence, Sessions};
use super::user::{Met, UserRow, UserTags};
use super::{framing, kinds, secrets, values};
use crate::batch::{BATCH_ROWS, Full, Head, MessageBatch, NameCol};
use crate::kind::{SeqUnit, flags};
use crate::names::{Name, Names};

/// Most rows of one message; entries beyond are not rows, the last row is
/// flagged `truncated`, and they are counted.
pub const MESSAGE_ROWS_MAX: usize = BATCH_ROWS;

/// Entries of one message looked at, of row-making and other groups together.
const ENTRIES_MAX: usize = 4 * MESSAGE_ROWS_MAX;

/// How FIX messages are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixConfig {
    /// Show the values of passwords and user names.
    pub show_secrets: bool,
}

/// Decodes FIX messages of any version. Keeps what sessions have said: their
/// sequence numbers and application versions. One [`Names`] serves it for its
/// whole life.
pub struct FixDecoder {
    pub(super) config: FixConfig,
    pub(super) sessions: Sessions,
    memory: Memory,
    tags: [TagTable; Version::ALL.len()],
    types: [TypeNames; Version::ALL.len()],
    scratch: Option<Box<Scratch>>,
    session_text: Vec<u8>,
    met: Vec<MetSession>,
    entries_dropped: u64,
}

/// Memory that every message uses again.
#[derive(Default)]
struct Scratch {
    pass: Pass,
    plan: Plan,
    structure: Structure,
}

impl FixDecoder {
    /// A decoder that has seen nothing yet.
    pub fn new(config: FixConfig) -> Self {
        Self {
            config,
            sessions: Sessions::default(),
            memory: Memory::default(),
            tags: Version::ALL.map(TagTable::of),
            types: Default::default(),
            scratch: None,
            session_text: Vec::new(),
            met: vec![Default::default(); MET],
            entries_dropped: 0,
        }
    }

    /// Whether passwords are shown.
    pub fn shows_secrets(&self) -> bool {
        self.config.show_secrets
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

    /// Pushes the rows of one message, as [`framing::scan`] cut it, which says
    /// in `head.flags` where its sum is wrong. Session, sequence, gap and the
    /// other flags come from the message, the rest from `head`; `user` are the
    /// tags that the configuration explains. Nothing is pushed, and nothing
    /// remembered, where the batch is too full.
    pub fn decode(
        &mut self,
        msg: &[u8],
        head: &Head,
        user: &UserTags,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let mut scratch = self.scratch.take().unwrap_or_default();
        let Scratch { pass, plan, structure } = &mut *scratch;
        let begin = framing::begin_string(msg).unwrap_or_default();
        let mut version = Version::of_begin_string(begin);
        if let Some(tags) = self.tags.get(version as usize) {
            pass.read(msg, version, tags, user);
        }
        let row = Row { msg, fields: &pass.fields, slots: &pass.slots };
        let msg_type = row.get(Slot::MsgType).unwrap_or_default();
        if begin == b"FIXT.1.1" {
            version = self.sessions.version(msg_type, &row);
        }
        let number = Dictionary::of(version).message_number(msg_type);
        let reading = Reading { msg, fields: &pass.fields, msg_type, version, number };
        plan.make(&reading, pass, structure);
        place_user_tags(&mut pass.user, plan, structure);
        let rows = Rows { reading: &reading, plan, structure, user, met: &pass.user };
        let result = self.rows(&rows, head, batch, names);
        if result.is_ok() && msg_type == b"A" {
            self.note_versions(&row);
        }
        self.scratch = Some(scratch);
        result
    }

    /// The message's bytes with its secrets overwritten, for rows that keep
    /// them; `None` where it has none or they may be shown.
    pub fn masked(&self, msg: &[u8], user: &UserTags) -> Option<Vec<u8>> {
        let version = Version::of_begin_string(framing::begin_string(msg).unwrap_or_default());
        let mut bytes = msg.to_vec();
        let hide = !self.config.show_secrets;
        (hide && secrets::mask(&mut bytes, Dictionary::of(version), user)).then_some(bytes)
    }

    fn rows(
        &mut self,
        rows: &Rows<'_>,
        head: &Head,
        batch: &mut MessageBatch,
        names: &mut Names,
    ) -> Result<(), Full> {
        let Rows { reading, plan, .. } = *rows;
        if batch.room() < plan.entries.len().max(1) {
            return Err(Full);
        }
        let head = self.head(reading, plan, head, names);
        let (code, name) = self.type_names(reading, names);
        let code = code.unwrap_or(head.protocol);
        for number in 0..plan.entries.len().max(1) {
            let entry = plan.entries.get(number);
            let (entry, slots) = entry.map_or((TOP, &plan.slots), |(entry, slots)| (*entry, slots));
            let Some(row) = batch.push(&head, number as u16, code) else { break };
            if let Some(name) = name {
                batch.set_name(row, NameCol::MsgName, name);
            }
            Filler { batch, names, memory: &mut self.memory, row }
                .fill(reading.msg_type, &reading.row(slots));
            if !rows.met.is_empty() {
                rows.fill_user_tags(batch, names, row, entry);
            }
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

    /// What the framing knows, with what the message says of its session.
    fn head(&mut self, reading: &Reading, plan: &Plan, head: &Head, names: &mut Names) -> Head {
        let row = reading.row(&plan.slots);
        let seen_before = head.flags & (flags::RETRANSMIT | flags::DUPLICATE) != 0;
        let met = self.session(&row, names).unwrap_or_default();
        let number = row.get(Slot::SeqNum).and_then(values::unsigned);
        let sequence = match seen_before {
            true => Sequence::default(),
            false => self.sessions.note(met.number, reading.msg_type, number, &row),
        };
        let mut head = *head;
        head.flags |= plan.flags | sequence.flags;
        head.gap_before = sequence.gap_before;
        head.seq = number.map(|number| (number, SeqUnit::Message));
        if row.yes(Slot::PossDup) || row.yes(Slot::PossResend) {
            head.flags |= flags::POSS_DUP;
        }
        head.session = met.name;
        head
    }

    /// `49/50>56/57`, without the sub-ids that are not there, as a name, and
    /// the number of the session.
    fn session(&mut self, row: &Row, names: &mut Names) -> Option<Session> {
        let (sender, target) = (row.get(Slot::Sender)?, row.get(Slot::Target)?);
        let subs = (row.get(Slot::SenderSub), row.get(Slot::TargetSub));
        // Most have short ids and no sub-ids: two numbers find them again.
        let short = match subs {
            (None, None) => Short::of(sender).zip(Short::of(target)),
            _ => None,
        };
        let place = short.map(|(from, to)| (from.hash() ^ to.hash().rotate_left(7)) % MET);
        let met = place.and_then(|place| self.met.get(place));
        if let Some(met) = met.filter(|met| Some(met.ids) == short) {
            return Some(met.session);
        }
        let text = &mut self.session_text;
        text.clear();
        text.extend_from_slice(sender);
        append(text, b'/', subs.0);
        append(text, b'>', Some(target));
        append(text, b'/', subs.1);
        let number = self.sessions.number(sender, target);
        let session = Session { name: names.intern(text), number };
        let place = place.filter(|_| number.is_some());
        if let (Some(met), Some(ids)) = (place.and_then(|at| self.met.get_mut(at)), short) {
            *met = MetSession { ids, session };
        }
        Some(session)
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

/// A session's name, and its number among the sessions.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    name: Option<Name>,
    number: Option<usize>,
}

/// A session met before, by its two CompIDs.
#[derive(Clone, Copy, Debug, Default)]
struct MetSession {
    ids: (Short, Short),
    session: Session,
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
#[derive(Default)]
struct Plan {
    /// The tags outside every group.
    slots: Slots,
    /// For entries that are rows their number and tags; none where the message
    /// is one row.
    entries: Vec<(u32, Slots)>,
    /// Entries that are no rows because there are too many.
    dropped: usize,
    flags: u32,
    /// Whether the groups were worked out.
    structured: bool,
}

impl Plan {
    /// Works out the groups where they matter.
    fn make(&mut self, reading: &Reading, pass: &Pass, structure: &mut Structure) {
        self.slots = pass.slots;
        self.entries.clear();
        self.dropped = 0;
        self.structured = pass.structured && reading.number.is_some();
        self.flags = if pass.irregular { flags::IRREGULAR } else { 0 };
        if reading.number.is_none() {
            self.flags |= flags::UNKNOWN_TYPE;
        }
        if self.structured {
            let dictionary = Dictionary::of(reading.version);
            structure.build(dictionary, reading.message(), reading.msg, reading.fields);
            if structure.repeated || !structure.mismatches.is_empty() {
                self.flags |= flags::IRREGULAR;
            }
            self.slots = top_slots(structure, reading.fields);
            self.lay_entries(structure, reading);
        }
    }

    /// Gives each entry that is a row its tags, laid over those of the entries
    /// around it and of the message.
    fn lay_entries(&mut self, structure: &Structure, reading: &Reading) {
        let Some(count_tag) = kinds::row_group(reading.msg_type) else { return };
        let is_row = |entry: &Entry| entry.count_tag == count_tag;
        let laid = laid_slots(structure, reading.fields, &self.slots);
        for (number, (entry, mut slots)) in (0u32..).zip(structure.entries.iter().zip(laid)) {
            if !is_row(entry) {
                continue;
            }
            if reading.msg_type == b"X" {
                inherit_instrument(&mut slots, self.entries.last().map(|(_, slots)| slots));
            }
            if self.entries.len() < MESSAGE_ROWS_MAX {
                self.entries.push((number, slots));
            }
        }
        let rows = structure.entries.iter().filter(|entry| is_row(entry)).count();
        self.dropped = rows - self.entries.len();
    }
}

/// What the rows of one message are made of.
#[derive(Clone, Copy)]
struct Rows<'a> {
    reading: &'a Reading<'a>,
    plan: &'a Plan,
    structure: &'a Structure,
    user: &'a UserTags,
    /// User tags met, by entry and tag.
    met: &'a [Met],
}

impl Rows<'_> {
    #[cold]
    fn fill_user_tags(&self, batch: &mut MessageBatch, names: &mut Names, row: usize, entry: u32) {
        let (msg, fields) = (self.reading.msg, self.reading.fields);
        let mut row = UserRow { batch, names, row, msg, fields };
        let structure = self.plan.structured.then_some((self.structure, entry));
        self.user.fill(&mut row, self.met, structure);
    }
}

/// Gives the user tags met the entries they stand in, once each.
fn place_user_tags(met: &mut Vec<Met>, plan: &Plan, structure: &Structure) {
    if !plan.structured || met.is_empty() {
        return;
    }
    for (place, _, field) in met.iter_mut() {
        *place = structure.place.get(*field as usize).copied().unwrap_or(TOP);
    }
    met.sort_unstable();
    met.dedup_by_key(|&mut (place, number, _)| (place, number));
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
