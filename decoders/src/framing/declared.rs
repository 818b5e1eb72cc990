//! A framing that a file declares: what its header says, and where its
//! messages begin and end.
//!
//! ```text
//! | header: seq count …  | length … | message | length … | message | pad |
//!   └ check ┘ └ rules ┘    └ head ┘ └ body ┘   cut by length, marks, the
//!                                              protocol, or the datagram's end
//! ```
//!
//! In a stream such packets, or messages where there is no header before them,
//! follow each other without a border: [`super::stream`] finds it.
//!
//! `PROTOCOLS.md` says how such a file is written.

use crate::field::{Explained, Field, Value};
use crate::fixed::protocol::FixedProtocol;
use crate::framing::condition::Condition;
use crate::framing::leaf::{Leaf, Wire, digits};
use crate::framing::unpack::{Unpack, lz4_block};
use crate::kind::{Kind, Sender, SeqUnit};
use crate::names::latin1;
use chrono_tz::Tz;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a session that tell it from another.
pub const SESSION_MAX: usize = 24;

/// A sequence number above this is taken for something else than a number.
const SEQ_PLAUSIBLE_MAX: u64 = 1 << 48;

/// A framing's file, compiled.
#[derive(Clone, Debug)]
pub struct Framing {
    /// Its id, e.g. `xdp`.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// The document it was read in.
    pub source: String,
    /// Whether datagrams have it.
    pub on_udp: bool,
    /// Whether streams have it.
    pub on_tcp: bool,
    /// What stands before the messages of a packet.
    pub header: Part,
    /// Bytes of that.
    pub size: usize,
    /// Headers that end earlier than others: where, and which. Nothing follows
    /// them.
    pub short: Option<(usize, Condition)>,
    /// What a header of this framing fulfils.
    pub checks: Vec<Condition>,
    /// What every message of this framing fulfils.
    pub message_checks: Vec<Condition>,
    /// What packets mean.
    pub packet_rules: Vec<Rule>,
    /// What messages mean.
    pub each_rules: Vec<Rule>,
    /// How messages are cut.
    pub cut: Cut,
    /// What stands before each message.
    pub message: Part,
    /// Bytes of that; the protocol's message begins behind them.
    pub message_header: usize,
    /// What a sequence number counts; `None` where there is none.
    pub unit: Option<SeqUnit>,
    /// Where the time of sending counts from midnight, the zone.
    pub midnight: Option<Tz>,
    /// Packets are filled with zeros to a multiple of this.
    pub pad_to: usize,
    /// Which packets have a compressed body.
    pub unpack: Option<Unpack>,
    /// Which field says which protocol is carried.
    pub carries: Option<Carries>,
    /// The messages of the framing's own, where a protocol describes them:
    /// logins, heartbeats. Then only a rule with a header carries others.
    pub session: Option<Arc<FixedProtocol>>,
    /// Whether messages have numbers of their own, told or counted.
    pub numbers_each: bool,
}

/// Fields in a row and what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Every field.
    pub leaves: Vec<Leaf>,
    /// Number of the first message, or of this one.
    pub seq: Option<usize>,
    /// Number of the next message that takes one.
    pub next: Option<usize>,
    /// How many messages.
    pub count: Option<usize>,
    /// How many bytes, and what to add to have all of them.
    pub length: Option<(usize, u64)>,
    /// Feed channel, unit or partition.
    pub channel: Option<usize>,
    /// Session; several fields one after the other.
    pub session: Vec<usize>,
    /// Time of sending: fields to add up, with nanoseconds a count.
    pub time: Vec<(usize, u64)>,
}

/// How messages are cut out of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each says its length.
    Length,
    /// The protocol knows the sizes.
    Protocol,
    /// The whole packet is one message, with the header in it.
    Packet,
    /// Between two bytes.
    Marks(u8, u8),
}

/// Says by a header's field which protocols may follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carries {
    /// Index of the field.
    pub field: usize,
    /// Values, and how the ids of their protocols begin.
    pub ids: Vec<(u64, String)>,
}

/// How a packet's or a message's number is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbering {
    /// It is the number of what is here.
    #[default]
    Counts,
    /// It comes next; nothing here has one.
    Next,
    /// It was the last; nothing here has one.
    Last,
    /// Numbers start anew, with this one.
    Restart,
    /// It is of another row of numbers.
    Apart,
    /// There is none.
    Nothing,
    /// It is not told: one more than the last, since a message that told one.
    Implied,
}

/// What a packet or message is where conditions hold.
#[derive(Clone, Debug)]
pub struct Rule {
    /// All of these.
    pub conditions: Vec<Condition>,
    /// It is the framing's own, of this kind.
    pub kind: Option<Kind>,
    /// Under this name.
    pub name: Option<String>,
    /// How it is numbered.
    pub numbering: Option<Numbering>,
    /// Flags of its rows.
    pub flags: u32,
    /// Which end sends such a message: always, and nobody else.
    pub sender: Option<Sender>,
    /// Which end sends it nearly always.
    pub usually: Option<Sender>,
    /// Bytes of the message that are the framing's, where it carries one.
    pub header: Option<usize>,
    /// Further fields of such a message.
    pub part: Part,
    /// The field of the first message that has the packet's number.
    pub number: Option<usize>,
}

/// What the rules say of a packet or message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meaning<'f> {
    /// The framing's own, of this kind.
    pub kind: Option<Kind>,
    /// Under this name.
    pub name: Option<&'f str>,
    /// How it is numbered.
    pub numbering: Numbering,
    /// Flags of its rows.
    pub flags: u32,
    /// Which end sends such messages.
    pub sender: Option<Sender>,
    /// Which end sends them nearly always.
    pub usually: Option<Sender>,
    /// Bytes of it that are the framing's, where a rule says so.
    pub header: Option<usize>,
    /// Further fields.
    pub part: Option<&'f Part>,
    /// The field of the first message that has the packet's number.
    pub number: Option<usize>,
}

/// A session and channel, whose numbers go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    session: [u8; SESSION_MAX],
    len: u8,
    /// Channel, where the framing has one.
    pub channel: Option<u32>,
}

/// What a packet's header says.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'f> {
    /// Number of its first message, or its own.
    pub seq: Option<u64>,
    /// Messages in it.
    pub count: Option<u64>,
    /// Session and channel.
    pub key: Key,
    /// When it was sent: nanoseconds since the epoch or since midnight.
    pub time_ns: Option<u64>,
    /// What it is.
    pub meaning: Meaning<'f>,
}

/// A message's place in a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// First byte of what stands before the message.
    pub at: usize,
    /// The protocol's message.
    pub body: Range<usize>,
    /// The byte behind it and what closes it.
    pub end: usize,
    /// Whether all of it is there.
    pub whole: bool,
}

/// Cuts the messages of a packet one after the other.
#[derive(Clone, Debug)]
pub struct Cutter<'a> {
    framing: &'a Framing,
    payload: &'a [u8],
    /// Where the last message ended.
    pub at: usize,
    /// Messages counted and not given yet.
    pub left: Option<u64>,
    /// Why no further message was found.
    pub fault: Option<&'static str>,
}

impl Part {
    /// A field's value.
    #[inline]
    pub(super) fn raw(&self, field: Option<usize>, bytes: &[u8]) -> Option<u64> {
        let leaf = self.leaves.get(field?)?;
        leaf.raw(bytes, if leaf.floats { self.shift(bytes) } else { 0 })
    }

    /// How many bytes the digits of no fixed number take.
    fn shift(&self, bytes: &[u8]) -> usize {
        let open = self.leaves.iter().find(|leaf| leaf.size == 0);
        open.map_or(0, |leaf| digits(bytes.get(leaf.at..).unwrap_or_default()))
    }

    /// Session and channel of `bytes`, added to those of `key`.
    fn add_key(&self, key: &mut Key, bytes: &[u8]) {
        for &field in &self.session {
            let found = self.leaves.get(field).and_then(|leaf| leaf.bytes(bytes, 0));
            key.push(found.unwrap_or_default());
        }
        if self.channel.is_some() {
            key.channel = self.raw(self.channel, bytes).map(|channel| channel as u32);
        }
    }

    fn time_ns(&self, bytes: &[u8]) -> Option<u64> {
        let part = |&(field, unit): &(usize, u64)| self.raw(Some(field), bytes)?.checked_mul(unit);
        let mut parts = self.time.iter().map(part);
        let first = parts.next()??;
        parts.try_fold(first, |sum, part| sum.checked_add(part?)).filter(|&ns| ns > 0)
    }

    /// The session as people write it; empty where it is blank.
    pub fn session_text(&self, bytes: &[u8]) -> String {
        let leaves = self.session.iter().filter_map(|&field| self.leaves.get(field));
        let texts = leaves.filter_map(|leaf| Some((leaf, leaf.bytes(bytes, 0)?)));
        let mut session = String::new();
        for (leaf, found) in texts {
            match leaf.wire {
                Wire::Text if found.iter().all(|&byte| byte == 0) => {}
                Wire::Text => session.push_str(&latin1(found.trim_ascii())),
                _ => {
                    let dot = if session.is_empty() { "" } else { "." };
                    let number = leaf.raw(bytes, 0).unwrap_or(0);
                    session.push_str(&format!("{dot}{number}"));
                }
            }
        }
        session
    }

    /// The fields in a row from the first byte on that begin before `end`;
    /// those further in are only looked at.
    pub(super) fn in_a_row(&self, end: usize) -> impl Iterator<Item = &Leaf> {
        let first = self.leaves.first().map_or(0, |leaf| leaf.at);
        let leaves = self.leaves.iter().filter(move |leaf| !leaf.floats && leaf.at < end);
        leaves.scan(first, |at, leaf| {
            let follows = leaf.at == *at;
            *at = leaf.end();
            follows.then_some(leaf)
        })
    }

    /// The fields that begin before `end`, for people.
    fn fields(&self, bytes: &[u8], end: usize) -> Vec<Field> {
        self.in_a_row(end).filter_map(|leaf| leaf.field(bytes)).collect()
    }
}

impl Key {
    /// The key of a session alone.
    pub fn of(session: &[u8]) -> Self {
        let mut key = Self::default();
        key.push(session);
        key
    }

    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(slot) = self.session.get_mut(usize::from(self.len)) {
                *slot = byte;
                self.len += 1;
            }
        }
    }
}

impl Framing {
    /// What a packet's header says; `None` where the payload is shorter.
    pub fn packet<'f>(&'f self, payload: &[u8]) -> Option<Packet<'f>> {
        let size = self.size_of(payload);
        let header = payload.get(..size)?;
        let part = &self.header;
        let mut key = Key::default();
        part.add_key(&mut key, header);
        let count = part.raw(part.count, header);
        let mut meaning = Meaning::default();
        if count == Some(0) {
            meaning.kind = Some(Kind::Heartbeat);
            meaning.numbering = Numbering::Next;
        }
        let rest = payload.get(size..)?;
        self.apply(&self.packet_rules, header, rest, &mut meaning);
        let number = self.message.raw(meaning.number, rest);
        Some(Packet {
            seq: number.or_else(|| part.raw(part.seq, header)),
            count,
            key,
            time_ns: part.time_ns(header),
            meaning,
        })
    }

    /// Bytes of a packet's header.
    #[inline]
    pub fn size_of(&self, payload: &[u8]) -> usize {
        match &self.short {
            Some((size, condition)) if self.holds(condition, payload, &[]) => *size,
            _ => self.size,
        }
    }

    /// Bytes that a packet says it has; 0 where it does not.
    fn claimed(&self, payload: &[u8]) -> usize {
        let claimed = self
            .header
            .length
            .and_then(|(field, plus)| self.header.raw(Some(field), payload)?.checked_add(plus));
        claimed.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }

    /// A packet whose header says that its body is compressed, with the body as
    /// it was before: the header stays. `None` for any other packet.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn unpacked(&self, payload: &[u8]) -> Option<Result<Vec<u8>, &'static str>> {
        let unpack = self.unpack.as_ref()?;
        let (header, body) = payload.split_at_checked(self.size)?;
        if !self.holds(&unpack.when, header, &[]) || body.is_empty() {
            return None;
        }
        let mut whole = header.to_vec();
        Some(lz4_block(body, unpack.limit, &mut whole).map(|()| whole))
    }

    /// How much a header alone tells: the more is checked of it, the more.
    pub fn strength(&self) -> usize {
        self.checks.len() + usize::from(self.header.length.is_some())
    }

    /// Whether a payload of `wire_len` bytes on the wire, perhaps cut, has a
    /// header of this framing. Cheap: nothing behind the header is read that
    /// no check names.
    pub fn is_header(&self, payload: &[u8], wire_len: usize) -> bool {
        let size = self.size_of(payload);
        let Some(header) = payload.get(..size) else { return false };
        let rest = payload.get(size..).unwrap_or_default();
        let part = &self.header;
        let size = part.length.is_none_or(|(field, plus)| {
            part.raw(Some(field), header).and_then(|size| size.checked_add(plus))
                == Some(wire_len as u64)
        });
        size && self.checks.iter().all(|check| self.holds(check, header, rest))
            && part.raw(part.seq, header).is_none_or(|seq| seq <= SEQ_PLAUSIBLE_MAX)
            && part.session.iter().all(|&field| self.plausible_session(field, header))
    }

    /// Whether a session is a number, text, or was blanked out with zeros.
    fn plausible_session(&self, field: usize, header: &[u8]) -> bool {
        let Some(leaf) = self.header.leaves.get(field) else { return true };
        let bytes = leaf.bytes(header, 0).unwrap_or_default();
        leaf.wire != Wire::Text
            || bytes.iter().all(|&b| b == b' ' || b.is_ascii_graphic())
            || bytes.iter().all(|&b| b == 0)
    }

    fn holds(&self, condition: &Condition, header: &[u8], message: &[u8]) -> bool {
        let (part, bytes) =
            if condition.of_message { (&self.message, message) } else { (&self.header, header) };
        condition.holds(part.raw(Some(condition.field), bytes))
    }

    /// Applies the rules that hold; later ones win.
    fn apply<'f>(
        &'f self,
        rules: &'f [Rule],
        header: &[u8],
        message: &[u8],
        meaning: &mut Meaning<'f>,
    ) {
        for rule in rules {
            if rule.conditions.iter().all(|condition| self.holds(condition, header, message)) {
                meaning.kind = rule.kind.or(meaning.kind);
                meaning.name = rule.name.as_deref().or(meaning.name);
                meaning.numbering = rule.numbering.unwrap_or(meaning.numbering);
                meaning.flags |= rule.flags;
                meaning.sender = rule.sender.or(meaning.sender);
                meaning.usually = rule.usually.or(meaning.usually);
                meaning.header = rule.header.or(meaning.header);
                if !rule.part.leaves.is_empty() {
                    meaning.part = Some(&rule.part);
                }
                meaning.number = rule.number.or(meaning.number);
            }
        }
    }

    /// When a message says it was sent: nanoseconds since the epoch or since
    /// midnight.
    pub fn message_time_ns(&self, message: &[u8], meaning: &Meaning<'_>) -> Option<u64> {
        let own = meaning.part.and_then(|part| part.time_ns(message));
        own.or_else(|| self.message.time_ns(message))
    }

    /// Whether a packet is nothing but its header.
    pub fn is_alone(&self, packet: &Packet<'_>, payload_len: usize) -> bool {
        packet.count == Some(0)
            || packet.count.is_none() && self.size > 0 && payload_len <= self.size
    }

    /// What a message is.
    pub fn meaning<'f>(&'f self, message: &[u8]) -> Meaning<'f> {
        let mut meaning = Meaning::default();
        self.apply(&self.each_rules, &[], message, &mut meaning);
        meaning
    }

    /// A message's own number, with session and channel added to the packet's.
    pub fn own_number(
        &self,
        message: &[u8],
        packet: &Key,
        meaning: &Meaning<'_>,
    ) -> (Option<u64>, Key) {
        let mut key = *packet;
        self.message.add_key(&mut key, message);
        let restarts = meaning.numbering == Numbering::Restart;
        let carrying = meaning.part.filter(|_| restarts || self.is_carrying(meaning));
        if let Some(part) = carrying {
            part.add_key(&mut key, message);
        }
        let own = carrying.and_then(|part| part.raw(part.seq, message));
        (own.or_else(|| self.message.raw(self.message.seq, message)), key)
    }

    /// Whether a message carries one of a protocol, and is not the framing's
    /// own.
    pub fn is_carrying(&self, meaning: &Meaning<'_>) -> bool {
        meaning.kind.is_none() && (self.session.is_none() || meaning.header.is_some())
    }

    /// The session that a carried message names; empty where it names none.
    pub fn message_session(&self, message: &[u8], meaning: &Meaning<'_>) -> String {
        let mut text = self.message.session_text(message);
        if let Some(part) = meaning.part.filter(|_| self.is_carrying(meaning)) {
            text.push_str(&part.session_text(message));
        }
        text
    }

    /// What a message of the framing's own says of the messages after it: their
    /// session, and the number of the next one that takes one.
    pub fn told(&self, message: &[u8], meaning: &Meaning<'_>) -> (String, Option<u64>) {
        match meaning.part.filter(|_| !self.is_carrying(meaning)) {
            Some(part) => (part.session_text(message), part.raw(part.next, message)),
            None => (String::new(), None),
        }
    }

    /// Bytes of a message that stand before the protocol's.
    pub fn header_of(&self, meaning: &Meaning<'_>) -> usize {
        meaning.header.unwrap_or(self.message_header)
    }

    /// The header's fields.
    pub fn header_fields(&self, header: &[u8]) -> Vec<Field> {
        self.header.fields(header, self.size)
    }

    /// The fields of what stands before a message.
    pub fn message_fields(&self, bytes: &[u8], meaning: &Meaning<'_>) -> Vec<Field> {
        let end = self.header_of(meaning);
        let mut fields = self.message.fields(bytes, end);
        fields.extend(meaning.part.into_iter().flat_map(|part| part.fields(bytes, end)));
        fields
    }

    /// Takes a packet without messages apart.
    pub fn explain_alone(&self, name: &str, header: &[u8]) -> Explained {
        let fields = self.header_fields(header);
        Explained { msg_type: name.to_owned(), name: name.to_owned(), fields, error: None }
    }

    /// Takes a message apart that is the framing's own.
    pub fn explain_own(&self, name: &str, message: &[u8]) -> Explained {
        let mut fields = self.message_fields(message, &Meaning::default());
        let at = self.message_header.min(message.len());
        fields.extend(rest_field("unknown", at, message));
        Explained { msg_type: name.to_owned(), name: name.to_owned(), fields, error: None }
    }

    /// Whether bytes behind the last message only fill the packet up.
    pub fn is_padding(&self, payload: &[u8], at: usize) -> bool {
        let rest = payload.get(at..).unwrap_or_default();
        rest.len() < self.pad_to
            && payload.len().is_multiple_of(self.pad_to)
            && rest.iter().all(|&byte| byte == 0)
    }

    /// How the ids of the protocols begin that the header allows.
    pub fn carried_prefix(&self, payload: &[u8]) -> Option<&str> {
        let carries = self.carries.as_ref()?;
        let value = self.header.raw(Some(carries.field), payload)?;
        let found = carries.ids.iter().find(|(of, _)| *of == value);
        found.map(|(_, prefix)| prefix.as_str())
    }

    /// The messages of a packet.
    pub fn cutter<'a>(&'a self, payload: &'a [u8], packet: &Packet<'_>) -> Cutter<'a> {
        let at = if self.cut == Cut::Packet { 0 } else { self.size };
        let left = if self.cut == Cut::Packet { Some(1) } else { packet.count };
        Cutter { framing: self, payload, at, left, fault: None }
    }
}

/// What is left of `bytes` from `at` on, as one field.
pub fn rest_field(name: &str, at: usize, bytes: &[u8]) -> Option<Field> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let (offset, size) = (at as u32, rest.len() as u32);
    let value = Value::Bytes(rest.to_vec());
    Some(Field { name: name.to_owned(), path: name.to_owned(), offset, size, value })
}

impl Cutter<'_> {
    /// The next message. `size_of` tells a message's size where only the
    /// protocol knows it.
    pub fn next(&mut self, size_of: &dyn Fn(&[u8]) -> Option<usize>) -> Option<Item> {
        if self.left == Some(0) || self.at >= self.payload.len() || self.fault.is_some() {
            return None;
        }
        let rest = self.payload.get(self.at..)?;
        let item = match self.extent(rest, size_of) {
            Ok((total, trailer)) => self.item(total, trailer),
            Err(fault) => {
                self.fault = Some(fault);
                return None;
            }
        };
        self.at = item.end;
        self.left = self.left.map(|left| left - 1);
        Some(item)
    }

    /// How many bytes the message at the beginning of `rest` takes, with what
    /// stands before and behind it, and how many stand behind it.
    fn extent(
        &self,
        rest: &[u8],
        size_of: &dyn Fn(&[u8]) -> Option<usize>,
    ) -> Result<(usize, usize), &'static str> {
        let part = &self.framing.message;
        let head = self.framing.message_header;
        let body = || rest.get(head..).ok_or("payload ends inside a message's header");
        let total = match (self.framing.cut, part.length) {
            (Cut::Packet, _) => return Ok((self.framing.claimed(rest).max(rest.len()), 0)),
            (Cut::Marks(first, last), _) => return marked(rest, first, last),
            (Cut::Length, Some((field, plus))) => {
                let length = part.raw(Some(field), rest);
                let length = length.ok_or("payload ends inside a message's header")?;
                usize::try_from(length.saturating_add(plus)).unwrap_or(usize::MAX)
            }
            _ => {
                let size = size_of(body()?).ok_or("message of unknown size")?;
                size.saturating_add(head)
            }
        };
        body()?;
        if total < head || total == 0 { Err("message length too small") } else { Ok((total, 0)) }
    }

    fn item(&self, total: usize, trailer: usize) -> Item {
        let (at, len) = (self.at, self.payload.len());
        let whole = total <= len - at;
        let end = at.saturating_add(total).min(len);
        let head = if self.framing.cut == Cut::Packet { 0 } else { self.framing.message_header };
        let start = (at + head).min(end);
        let body = if whole { start..(end - trailer).max(start) } else { start..end };
        Item { at, body, end, whole }
    }

    /// Whether the messages given fill the payload.
    pub fn tiles(&self) -> bool {
        let done = self.fault.is_none() && self.left.is_none_or(|left| left == 0);
        done && (self.at == self.payload.len() || self.framing.is_padding(self.payload, self.at))
    }
}

/// The bytes from one mark to the other; more than there are where the second
/// is missing.
fn marked(rest: &[u8], first: u8, last: u8) -> Result<(usize, usize), &'static str> {
    if rest.first() != Some(&first) {
        return Err("no message begins here");
    }
    let found = memchr::memchr(last, rest);
    Ok((found.map_or(rest.len().saturating_add(1), |at| at + 1), 1))
}
