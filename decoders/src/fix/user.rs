//! Tags of a venue's own, or of the user's: what the configuration says of
//! them.
//!
//! ```text
//! [[session.tag]]
//! tag = 5979                 name = "RequestTime"
//! type = "epoch-ns"          column = "ts_exch"
//!
//! 5979=1704187800000000000   ─ decode, fields() ─> RequestTime = 2024-01-02T09:30:00Z
//!                            ─ messages ─────────> ts_exch
//! ```
//!
//! What stands here goes before the dictionary: a name, a type or a column
//! given to a standard tag replaces the standard's. A tag inside an entry of a
//! group is that entry's row's, and those of the entries inside it.

use super::dictionary::FieldType;
use super::fields::RawField;
use super::groups::{Structure, TOP};
use super::values::{self, Parsed};
use crate::batch::{DecimalCol, IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol};
use crate::config::FixTagConfig;
use crate::kind::flags;
use crate::names::Names;

/// Most tags of one session, its own and those of all sessions.
pub const USER_TAGS_MAX: usize = 64;

/// The type words of the configuration.
pub const TYPES: &str = "int, decimal, boolean, text, data, utc-timestamp, tz-timestamp, epoch-s, epoch-ms, epoch-us, \
     epoch-ns";

/// How a user tag's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserType {
    /// As a dictionary's field.
    Standard(FieldType),
    /// A whole number of units since 1970, with the nanoseconds of a unit.
    Epoch(i64),
}

impl UserType {
    /// The type of a config's word.
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "int" => Self::Standard(FieldType::Int),
            "decimal" => Self::Standard(FieldType::Decimal),
            "boolean" => Self::Standard(FieldType::Boolean),
            "text" => Self::Standard(FieldType::Text),
            "data" => Self::Standard(FieldType::Data),
            "utc-timestamp" => Self::Standard(FieldType::UtcTimestamp),
            "tz-timestamp" => Self::Standard(FieldType::TzTimestamp),
            "epoch-s" => Self::Epoch(1_000_000_000),
            "epoch-ms" => Self::Epoch(1_000_000),
            "epoch-us" => Self::Epoch(1_000),
            "epoch-ns" => Self::Epoch(1),
            _ => return None,
        })
    }
}

/// The column of `messages` that a tag fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Time(TimeCol),
    Int(IntCol),
    Small(SmallCol),
    Decimal(DecimalCol),
    Name(NameCol),
    Text(TextCol),
}

impl Target {
    /// A column that a tag may fill; those the framing and the session layer
    /// fill are not among them.
    fn from_text(text: &str) -> Option<Self> {
        let own = ["seq", "tcp_off", "gap_before", "raw_off", "raw", "ts_first"];
        let names = ["line", "venue", "session", "msg_name"];
        if own.contains(&text) || names.contains(&text) {
            return None;
        }
        TimeCol::from_text(text)
            .map(Self::Time)
            .or_else(|| IntCol::from_text(text).map(Self::Int))
            .or_else(|| SmallCol::from_text(text).map(Self::Small))
            .or_else(|| DecimalCol::from_text(text).map(Self::Decimal))
            .or_else(|| NameCol::from_text(text).map(Self::Name))
            .or_else(|| TextCol::from_text(text).map(Self::Text))
    }
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTag {
    tag: u32,
    /// Its name; the dictionary's, else the number, where it has none.
    pub name: Option<String>,
    /// Its type; the dictionary's where it has none.
    pub user_type: Option<UserType>,
    /// Whether its value is shown only where secrets are.
    pub secret: bool,
    target: Option<Target>,
}

/// A tag's section that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserTagError {
    /// No tag.
    #[error("tag 0 is none")]
    Zero,
    /// Twice.
    #[error("tag {0} is there twice")]
    Twice(u32),
    /// A type that is none.
    #[error("tag {0}: type {1:?} is none of {TYPES}")]
    Type(u32, String),
    /// A column that is none, or not for tags.
    #[error("tag {0}: column {1:?} is no column of messages that a tag can fill")]
    Column(u32, String),
    /// A secret in a column.
    #[error("tag {0}: a secret fills no column")]
    Secret(u32),
    /// Too many.
    #[error("{0} tags, at most {USER_TAGS_MAX}")]
    TooMany(usize),
}

/// The tags of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserTags {
    /// By tag.
    tags: Vec<UserTag>,
    /// A bit for each tag modulo 64.
    bits: u64,
}

/// A user tag met in a message: its entry or [`TOP`], its number among the
/// [`UserTags`], the field's number.
pub type Met = (u32, u16, u32);

impl UserTags {
    /// Those of a session: its own, then those of every session that it does
    /// not have itself.
    ///
    /// # Errors
    /// The first section that cannot be used.
    pub fn new(own: &[FixTagConfig], general: &[FixTagConfig]) -> Result<Self, UserTagError> {
        let mut tags = Vec::new();
        for (list, is_own) in [(own, true), (general, false)] {
            for (at, config) in list.iter().enumerate() {
                if list.iter().take(at).any(|other| other.tag == config.tag) {
                    return Err(UserTagError::Twice(config.tag));
                }
                let tag = UserTag::new(config)?;
                if is_own || own.iter().all(|other| other.tag != config.tag) {
                    tags.push(tag);
                }
            }
        }
        if tags.len() > USER_TAGS_MAX {
            return Err(UserTagError::TooMany(tags.len()));
        }
        tags.sort_unstable_by_key(|tag| tag.tag);
        let bits = tags.iter().fold(0, |bits, tag| bits | 1 << (tag.tag % 64));
        Ok(Self { tags, bits })
    }

    /// Those of a message whose session is not known: these, and hidden is what
    /// any of `sessions` hides. To show fields, not to fill columns.
    pub fn hiding(&self, sessions: &[Self]) -> Self {
        let mut all = self.clone();
        for secret in sessions.iter().flat_map(|session| &session.tags).filter(|tag| tag.secret) {
            match all.tags.iter_mut().find(|tag| tag.tag == secret.tag) {
                Some(known) => known.secret = true,
                None => all.tags.push(secret.clone()),
            }
        }
        all.tags.sort_unstable_by_key(|tag| tag.tag);
        all.bits = all.tags.iter().fold(0, |bits, tag| bits | 1 << (tag.tag % 64));
        all
    }

    /// No tags.
    pub const fn none() -> Self {
        Self { tags: Vec::new(), bits: 0 }
    }

    /// Only the tag with the feed sequence that triggered an order.
    pub fn trigger(tag: u32) -> Self {
        Self::new(&[FixTagConfig::trigger(tag)], &[]).unwrap_or_default()
    }

    /// A bit for each tag modulo 64: where a message has none of them, it has no
    /// user tag.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// What is known of a tag.
    pub fn get(&self, tag: u32) -> Option<&UserTag> {
        self.tags.get(usize::from(self.number(tag)?))
    }

    /// The number of a tag among these.
    #[inline]
    pub fn number(&self, tag: u32) -> Option<u16> {
        if self.bits >> (tag % 64) & 1 == 0 {
            return None;
        }
        self.tags.binary_search_by_key(&tag, |known| known.tag).ok().map(|at| at as u16)
    }

    /// Fills the columns of the row of `entry` with the tags met in it and
    /// around it. `met` is sorted by entry and tag, without repetitions.
    pub fn fill(&self, row: &mut UserRow<'_>, met: &[Met], structure: Option<(&Structure, u32)>) {
        let parent = |entry: u32| structure?.0.entries.get(entry as usize).map(|e| e.parent);
        let mut filled = 0u64;
        let mut here = structure.map_or(TOP, |(_, entry)| entry);
        loop {
            let from = met.partition_point(|&(place, ..)| place < here);
            let of_here = met.iter().skip(from).take_while(|&&(place, ..)| place == here);
            for &(_, number, field) in of_here {
                if filled >> number & 1 == 0 {
                    filled |= 1 << number;
                    self.put(row, number, field);
                }
            }
            match parent(here).filter(|_| here != TOP) {
                Some(outer) => here = outer,
                None => return,
            }
        }
    }

    fn put(&self, row: &mut UserRow<'_>, number: u16, field: u32) {
        let Some(tag) = self.tags.get(usize::from(number)) else { return };
        let field = row.fields.get(field as usize).copied().unwrap_or_default();
        let text = field.value(row.msg);
        if let Some(target) = tag.target.filter(|_| !text.is_empty())
            && row.set(target, tag.user_type, text).is_none()
        {
            row.batch.add_flags(row.row, flags::IRREGULAR);
        }
    }
}

impl UserTag {
    fn new(config: &FixTagConfig) -> Result<Self, UserTagError> {
        let tag = config.tag;
        if tag == 0 {
            return Err(UserTagError::Zero);
        }
        let user_type = match &config.tag_type {
            None => None,
            Some(text) => Some(
                UserType::from_text(text).ok_or_else(|| UserTagError::Type(tag, text.clone()))?,
            ),
        };
        let target = match &config.column {
            None => None,
            Some(text) => Some(
                Target::from_text(text).ok_or_else(|| UserTagError::Column(tag, text.clone()))?,
            ),
        };
        if config.secret && target.is_some() {
            return Err(UserTagError::Secret(tag));
        }
        Ok(Self { tag, name: config.name.clone(), user_type, secret: config.secret, target })
    }
}

/// The row that user tags fill, and the message they stand in.
pub struct UserRow<'a> {
    /// Where the row is.
    pub batch: &'a mut MessageBatch,
    /// The decoder's texts.
    pub names: &'a mut Names,
    /// Its index.
    pub row: usize,
    /// The message.
    pub msg: &'a [u8],
    /// Its fields.
    pub fields: &'a [RawField],
}

impl UserRow<'_> {
    /// Sets a column; `None` where the value is none of its kind.
    fn set(&mut self, target: Target, user_type: Option<UserType>, text: &[u8]) -> Option<()> {
        match target {
            Target::Time(col) => self.batch.set_time(self.row, col, time(user_type, text)?),
            // The end of `FEED-A:88123` is a number too.
            Target::Int(col) => {
                self.batch.set_int(self.row, col, values::trailing_unsigned(text)?);
            }
            Target::Small(col) => {
                let value = values::trailing_unsigned(text)?;
                self.batch.set_small(self.row, col, u32::try_from(value).ok()?);
            }
            Target::Decimal(col) => {
                let value = match values::decimal9(text) {
                    Parsed::Regular(value) => value,
                    other => {
                        self.batch.add_flags(self.row, flags::IRREGULAR);
                        other.value()?
                    }
                };
                self.batch.set_decimal(self.row, col, value);
            }
            Target::Name(col) => {
                let name = self.names.intern(text)?;
                self.batch.set_name(self.row, col, name);
            }
            Target::Text(col) => self.batch.set_text(self.row, col, text),
        }
        Some(())
    }
}

/// A time as its type writes it; a UTCTimestamp where nothing is said.
fn time(user_type: Option<UserType>, text: &[u8]) -> Option<i64> {
    match user_type {
        Some(UserType::Epoch(unit_ns)) => epoch(text, unit_ns),
        Some(UserType::Standard(FieldType::TzTimestamp)) => values::tz_timestamp(text).value(),
        _ => values::utc_timestamp(text).value(),
    }
}

/// So many units of `unit_ns` since the epoch.
pub fn epoch(text: &[u8], unit_ns: i64) -> Option<i64> {
    i64::try_from(values::unsigned(text)?).ok()?.checked_mul(unit_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> FixTagConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn wrong_sections_say_why() {
        let error = |text: &str| UserTags::new(&[config(text)], &[]).unwrap_err().to_string();
        assert!(error("tag = 0").contains("tag 0"));
        assert!(error("tag = 9\ntype = 'float'").contains("epoch-ns"));
        assert!(error("tag = 9\ncolumn = 'seq'").contains("\"seq\""));
        assert!(error("tag = 9\ncolumn = 'nope'").contains("\"nope\""));
        assert!(error("tag = 9\ncolumn = 'symbol'\nsecret = true").contains("secret"));
        let twice = [config("tag = 9"), config("tag = 9")];
        assert_eq!(UserTags::new(&twice, &[]), Err(UserTagError::Twice(9)));
        let many: Vec<_> = (1..=65).map(|tag| config(&format!("tag = {tag}"))).collect();
        assert_eq!(UserTags::new(&many, &[]), Err(UserTagError::TooMany(65)));
    }

    #[test]
    fn what_one_session_hides_is_hidden_where_no_session_is_known() {
        let general = UserTags::new(&[], &[config("tag = 9002\nname = 'Desk'")]).unwrap();
        let own = [config("tag = 9001\nsecret = true"), config("tag = 9002\nsecret = true")];
        let other = UserTags::new(&[config("tag = 9003\nname = 'Free'")], &[]).unwrap();
        let all = general.hiding(&[UserTags::new(&own, &[]).unwrap(), other]);
        let secret = |tag| all.get(tag).map(|tag| tag.secret);
        assert_eq!((secret(9001), secret(9002), secret(9003)), (Some(true), Some(true), None));
        assert_eq!(all.get(9002).and_then(|tag| tag.name.as_deref()), Some("Desk"));
    }

    #[test]
    fn a_sessions_own_go_before_the_general_ones() {
        let own = [config("tag = 9001\nname = 'Mine'")];
        let general = [config("tag = 9001\nname = 'Theirs'"), config("tag = 9002\nname = 'Both'")];
        let tags = UserTags::new(&own, &general).unwrap();
        let name = |tag| tags.get(tag).and_then(|tag| tag.name.as_deref());
        assert_eq!((name(9001), name(9002), name(9003)), (Some("Mine"), Some("Both"), None));
    }
}
