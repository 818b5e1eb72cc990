//! Names, types and repeating groups of a FIX version, from the embedded
//! tables in `dictionaries/` (see `examples/orchestra_table.rs` for their form).
//!
//! ```text
//! M D NewOrderSingle: 11 1 55 54 .. 453
//!                                   └─ G Parties: 448 447 452 802
//!                                                              └─ G PtysSubGrp: 523 803
//! ```
//!
//! Components are dissolved when a table is loaded: a message or group knows
//! its own tags, sorted, and which of them count the entries of which group.
//! Versions between those shipped use the nearest: 4.0 and 4.1 read 4.2; 4.3
//! reads 4.4; 5.0 and 5.0 SP1 read 5.0 SP2, which holds FIXT 1.1 too.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Highest tag a table may define.
pub const TAG_MAX: u32 = 9999;

/// Deepest nesting of components and groups followed while loading.
const DEPTH_MAX: usize = 16;

/// The dictionaries there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// FIX 4.2, also for 4.0 and 4.1.
    Fix42,
    /// FIX 4.4, also for 4.3.
    Fix44,
    /// FIX 5.0 SP2 with FIXT 1.1, also for 5.0, 5.0 SP1 and all others.
    Fix50Sp2,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 3] = [Self::Fix42, Self::Fix44, Self::Fix50Sp2];

    /// The version for a BeginString (tag 8).
    pub fn of_begin_string(text: &[u8]) -> Self {
        match text {
            b"FIX.4.0" | b"FIX.4.1" | b"FIX.4.2" => Self::Fix42,
            b"FIX.4.3" | b"FIX.4.4" => Self::Fix44,
            _ => Self::Fix50Sp2,
        }
    }

    /// The version for an ApplVerID (tags 1128, 1130, 1137; FIXT 1.1
    /// "ApplVerID values").
    pub fn of_appl_ver_id(text: &[u8]) -> Option<Self> {
        match text {
            b"0" | b"1" | b"2" | b"3" | b"4" => Some(Self::Fix42),
            b"5" | b"6" => Some(Self::Fix44),
            b"7" | b"8" | b"9" | b"10" => Some(Self::Fix50Sp2),
            _ => None,
        }
    }
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Whole numbers, lengths and counts.
    Int,
    /// Prices, quantities, amounts, rates.
    Decimal,
    /// `Y` or `N`.
    Boolean,
    /// UTCTimestamp.
    UtcTimestamp,
    /// TZTimestamp.
    TzTimestamp,
    /// Bytes with a length field before them.
    Data,
    /// Everything else.
    Text,
}

/// One field's facts.
#[derive(Debug)]
pub struct FieldDef {
    /// Its number.
    pub tag: u32,
    /// Its name.
    pub name: &'static str,
    /// How to read it.
    pub field_type: FieldType,
}

/// The tags of a message or of a group's entry, its own only.
#[derive(Debug, Default)]
pub struct Members {
    tags: Vec<u32>,
    groups: Vec<(u32, u32)>,
}

impl Members {
    /// Position of the tag among the members, `None` where it is none.
    pub fn position(&self, tag: u32) -> Option<usize> {
        self.tags.binary_search(&tag).ok()
    }

    /// The group whose entries this tag counts here.
    pub fn group(&self, count_tag: u32) -> Option<u32> {
        let at = self.groups.binary_search_by_key(&count_tag, |&(tag, _)| tag).ok()?;
        self.groups.get(at).map(|&(_, group)| group)
    }

    /// Tags in ascending order.
    pub fn tags(&self) -> &[u32] {
        &self.tags
    }

    /// Count tags and their groups.
    pub fn groups(&self) -> &[(u32, u32)] {
        &self.groups
    }
}

/// A repeating group.
#[derive(Debug)]
pub struct Group {
    /// The tag that says how many entries follow.
    pub count_tag: u32,
    /// What an entry is made of.
    pub members: Members,
}

/// A message type.
#[derive(Debug)]
pub struct MessageDef {
    /// Its code (tag 35).
    pub msg_type: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Header, body and trailer.
    pub members: Members,
}

/// One version's facts.
#[derive(Debug)]
pub struct Dictionary {
    fields: Vec<FieldDef>,
    field_at: Vec<u16>,
    data_after: Vec<u32>,
    /// A bit a tag: whether `data_after` has one. Asked for every field.
    lengths: [u64; (TAG_MAX as usize + 1) / 64 + 1],
    groups: Vec<Group>,
    messages: Vec<MessageDef>,
    /// Position plus 1 of the messages whose code is one byte.
    letters: [u8; 256],
}

impl Dictionary {
    /// The dictionary of a version, read from the embedded table at first use.
    pub fn of(version: Version) -> &'static Self {
        static LOADED: [OnceLock<Dictionary>; 3] = [const { OnceLock::new() }; 3];
        let tables: &[&'static str] = match version {
            Version::Fix42 => &[include_str!("../../dictionaries/fix.4.2.tsv")],
            Version::Fix44 => &[include_str!("../../dictionaries/fix.4.4.tsv")],
            Version::Fix50Sp2 => &[
                include_str!("../../dictionaries/fixt.1.1.tsv"),
                include_str!("../../dictionaries/fix.5.0sp2.tsv"),
            ],
        };
        LOADED[version as usize].get_or_init(|| Self::load(tables))
    }

    /// A field's facts.
    pub fn field(&self, tag: u32) -> Option<&FieldDef> {
        let at = *self.field_at.get(tag as usize)?;
        self.fields.get(usize::from(at).checked_sub(1)?)
    }

    /// The data field that follows this length field.
    #[inline]
    pub fn data_after(&self, length_tag: u32) -> Option<u32> {
        let word = *self.lengths.get(length_tag as usize / 64)?;
        if word >> (length_tag % 64) & 1 == 0 {
            return None;
        }
        self.data_after.get(length_tag as usize).copied()
    }

    /// The message with this code.
    pub fn message(&self, msg_type: &[u8]) -> Option<&MessageDef> {
        self.messages.get(self.message_number(msg_type)?)
    }

    /// The position among [`messages`](Self::messages) of the one with this code.
    #[inline]
    pub fn message_number(&self, msg_type: &[u8]) -> Option<usize> {
        match msg_type {
            &[letter] => usize::from(self.letters[usize::from(letter)]).checked_sub(1),
            _ => self.find_message(msg_type),
        }
    }

    fn find_message(&self, msg_type: &[u8]) -> Option<usize> {
        self.messages.binary_search_by(|m| m.msg_type.as_bytes().cmp(msg_type)).ok()
    }

    /// A group by the number that [`Members::group`] gives.
    pub fn group(&self, number: u32) -> Option<&Group> {
        self.groups.get(number as usize)
    }

    /// Every group.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Every message, by code.
    pub fn messages(&self) -> &[MessageDef] {
        &self.messages
    }

    /// Joins tables; where two define the same thing, the first counts.
    fn load(tables: &[&'static str]) -> Self {
        let mut loaded = Self {
            fields: Vec::new(),
            field_at: vec![0; TAG_MAX as usize + 1],
            data_after: vec![0; TAG_MAX as usize + 1],
            lengths: [0; (TAG_MAX as usize + 1) / 64 + 1],
            groups: Vec::new(),
            messages: Vec::new(),
            letters: [0; 256],
        };
        for table in tables {
            Table::read(table).add_to(&mut loaded);
        }
        for (number, message) in (1u8..).zip(&loaded.messages) {
            if let &[letter] = message.msg_type.as_bytes() {
                loaded.letters[usize::from(letter)] = number;
            }
        }
        loaded
    }

    fn add_field(&mut self, tag: u32, name: &'static str, kind: &str, length_tag: Option<u32>) {
        let Some(at) = self.field_at.get_mut(tag as usize).filter(|at| **at == 0) else { return };
        self.fields.push(FieldDef { tag, name, field_type: field_type(kind) });
        *at = self.fields.len() as u16;
        let Some(length_tag) = length_tag else { return };
        if let Some(slot) = self.data_after.get_mut(length_tag as usize) {
            *slot = tag;
            self.lengths[length_tag as usize / 64] |= 1 << (length_tag % 64);
        }
    }
}

/// The type a table's word stands for. FIX 4.2 has no type for counts: `int`.
fn field_type(word: &str) -> FieldType {
    match word {
        "int" | "Length" | "SeqNum" | "NumInGroup" | "DayOfMonth" | "TagNum" => FieldType::Int,
        "Price" | "Qty" | "Amt" | "float" | "PriceOffset" | "Percentage" => FieldType::Decimal,
        "Boolean" => FieldType::Boolean,
        "UTCTimestamp" => FieldType::UtcTimestamp,
        "TZTimestamp" => FieldType::TzTimestamp,
        "data" => FieldType::Data,
        _ => FieldType::Text,
    }
}

/// What stands in one table, components not yet dissolved.
#[derive(Default)]
struct Table {
    fields: Vec<(u32, &'static str, &'static str, Option<u32>)>,
    components: HashMap<&'static str, &'static str>,
    groups: Vec<(&'static str, u32, &'static str)>,
    messages: Vec<(&'static str, &'static str, &'static str)>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            let columns: Vec<&'static str> = line.split('\t').collect();
            match *columns.as_slice() {
                ["F", tag, name, kind, ref length @ ..] => {
                    let length = length.first().and_then(|tag| tag.parse().ok());
                    table.fields.extend(tag.parse().ok().map(|tag| (tag, name, kind, length)));
                }
                ["C", id, members] => {
                    table.components.insert(id, members);
                }
                ["G", id, count, members] => {
                    table.groups.extend(count.parse().ok().map(|count| (id, count, members)));
                }
                ["M", msg_type, name, members] => table.messages.push((msg_type, name, members)),
                _ => {}
            }
        }
        table
    }

    fn add_to(&self, loaded: &mut Dictionary) {
        for &(tag, name, kind, length_tag) in &self.fields {
            loaded.add_field(tag, name, kind, length_tag);
        }
        let first = loaded.groups.len() as u32;
        let numbers: HashMap<&str, (u32, u32)> = (first..)
            .zip(&self.groups)
            .map(|(number, &(id, count_tag, _))| (id, (count_tag, number)))
            .collect();
        for &(_, count_tag, members) in &self.groups {
            let members = self.members(members, &numbers);
            loaded.groups.push(Group { count_tag, members });
        }
        for &(msg_type, name, members) in &self.messages {
            if loaded.find_message(msg_type.as_bytes()).is_none() {
                let members = self.members(members, &numbers);
                loaded.messages.push(MessageDef { msg_type, name, members });
                loaded.messages.sort_unstable_by_key(|m| m.msg_type);
            }
        }
    }

    fn members(&self, text: &str, numbers: &HashMap<&str, (u32, u32)>) -> Members {
        let mut members = Members::default();
        self.dissolve(text, numbers, &mut members, 0);
        members.tags.sort_unstable();
        members.tags.dedup();
        members.groups.sort_unstable();
        members.groups.dedup_by_key(|&mut (tag, _)| tag);
        members
    }

    fn dissolve(
        &self,
        text: &str,
        numbers: &HashMap<&str, (u32, u32)>,
        members: &mut Members,
        depth: usize,
    ) {
        for word in text.split_ascii_whitespace().take_while(|_| depth < DEPTH_MAX) {
            if let Some(inner) = word.strip_prefix('c').and_then(|id| self.components.get(id)) {
                self.dissolve(inner, numbers, members, depth + 1);
            } else if let Some(&group) = word.strip_prefix('g').and_then(|id| numbers.get(id)) {
                members.tags.push(group.0);
                members.groups.push(group);
            } else {
                members.tags.extend(word.parse::<u32>().ok());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_read_whole() {
        for (version, fields, messages) in
            [(Version::Fix42, 405, 46), (Version::Fix44, 912, 93), (Version::Fix50Sp2, 1452, 116)]
        {
            let dictionary = Dictionary::of(version);
            assert!(dictionary.fields.len() >= fields, "{version:?}");
            assert!(dictionary.messages.len() >= messages, "{version:?}");
        }
    }

    #[test]
    fn every_line_of_the_tables_is_understood() {
        for text in [
            include_str!("../../dictionaries/fix.4.2.tsv"),
            include_str!("../../dictionaries/fix.4.4.tsv"),
            include_str!("../../dictionaries/fix.5.0sp2.tsv"),
            include_str!("../../dictionaries/fixt.1.1.tsv"),
        ] {
            let table = Table::read(text);
            let read = table.fields.len()
                + table.components.len()
                + table.groups.len()
                + table.messages.len();
            assert_eq!(read + 1, text.lines().count());
            for &(_, _, _, length) in &table.fields {
                assert!(length.is_none_or(|tag| table.fields.iter().any(|f| f.0 == tag)));
            }
            let ids: Vec<&str> = table.groups.iter().map(|g| g.0).collect();
            let all = table.groups.iter().map(|g| g.2).chain(table.messages.iter().map(|m| m.2));
            for word in
                all.chain(table.components.values().copied()).flat_map(str::split_whitespace)
            {
                let known = match word.split_at(1) {
                    ("c", id) => table.components.contains_key(id),
                    ("g", id) => ids.contains(&id),
                    _ => table.fields.iter().any(|f| f.0.to_string() == word),
                };
                assert!(known, "{word}");
            }
        }
    }

    #[test]
    fn length_fields_know_their_data() {
        let pairs = [
            (90, 91),
            (93, 89),
            (95, 96),
            (212, 213),
            (348, 349),
            (350, 351),
            (352, 353),
            (354, 355),
            (356, 357),
            (358, 359),
            (360, 361),
            (362, 363),
            (364, 365),
            (445, 446),
            (618, 619),
            (621, 622),
            (1184, 1185),
            (1397, 1398),
            (1401, 1402),
        ];
        for (length, data) in pairs {
            assert_eq!(Dictionary::of(Version::Fix50Sp2).data_after(length), Some(data));
        }
        assert_eq!(Dictionary::of(Version::Fix50Sp2).data_after(9), None);
        assert_eq!(Dictionary::of(Version::Fix42).data_after(445), Some(446));
        assert_eq!(Dictionary::of(Version::Fix44).data_after(621), Some(622));
    }

    #[test]
    fn groups_nest_and_depend_on_the_message() {
        let dictionary = Dictionary::of(Version::Fix44);
        let order = dictionary.message(b"D").unwrap();
        assert_eq!(order.name, "NewOrderSingle");
        let parties = dictionary.group(order.members.group(453).unwrap()).unwrap();
        assert!(parties.members.position(448).is_some());
        assert!(parties.members.group(802).is_some());
        assert!(order.members.group(268).is_none());
        assert!(order.members.position(49).is_some(), "the header belongs to it");
        assert!(order.members.position(10).is_some(), "and the trailer");
        let increment = dictionary.message(b"X").unwrap();
        let entries = dictionary.group(increment.members.group(268).unwrap()).unwrap();
        assert!(entries.members.position(279).is_some());
        assert!(entries.members.position(55).is_some(), "the instrument's component is in it");
        assert!(increment.members.position(279).is_none());
    }

    #[test]
    fn fixt_fields_are_there_with_the_application_messages() {
        let dictionary = Dictionary::of(Version::Fix50Sp2);
        let logon = dictionary.message(b"A").unwrap();
        assert!(logon.members.position(1137).is_some());
        assert!(dictionary.message(b"D").unwrap().members.position(1128).is_some());
        assert_eq!(dictionary.field(1128).map(|f| f.name), Some("ApplVerID"));
    }
}
