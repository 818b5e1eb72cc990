//! Sequence numbers of FIX sessions: what is missing, and what starts anew
//! (FIX session layer, "Message sequencing", "Sequence reset").
//!
//! ```text
//! A>B   34=5   34=6   34=9              34=10
//! gap     0      0      2 (7 and 8)       0
//! ```
//!
//! A number counts per (49, 56), one way; sub-ids share it. Resent messages
//! (43=Y) fill no gap of ours and move nothing back; a gap fill (35=4 with
//! 123=Y) or a reset (35=4 without) says itself what comes next; a logon with
//! 141=Y starts anew.

use std::collections::HashMap;

use super::columns::{Row, Slot};
use super::dictionary::Version;
use super::values;
use crate::kind::flags;

/// Most sessions followed, each way one. Of more, gaps are unknown, and each
/// message so met is counted.
pub const SESSIONS_MAX: usize = 4096;

/// Longest pair of CompIDs followed.
const KEY_MAX: usize = 256;

/// Most message types with an application version of their own in one session.
const REF_VERSIONS_MAX: usize = 256;

/// What a message's number says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Messages missing just before; `None` is unknown.
    pub gap_before: Option<u32>,
    /// Bits of [`flags`].
    pub flags: u32,
}

/// One direction of one session.
#[derive(Debug, Default)]
struct Session {
    next: Option<u64>,
    version: Option<Version>,
    versions: Vec<(Box<[u8]>, Version)>,
}

/// The sessions of one decoder.
#[derive(Debug, Default)]
pub struct Sessions {
    index: HashMap<Box<[u8]>, usize>,
    states: Vec<Session>,
    refused: u64,
}

impl Sessions {
    /// Messages of sessions that were over the limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes note of a message numbered `seq` of the session with this number
    /// and says what is missing before it.
    pub fn note(
        &mut self,
        number: Option<usize>,
        msg_type: &[u8],
        seq: Option<u64>,
        row: &Row,
    ) -> Sequence {
        let named = row.get(Slot::Sender).is_some() && row.get(Slot::Target).is_some();
        let (Some(seq), true) = (seq, named) else {
            return Sequence { gap_before: None, flags: flags::IRREGULAR };
        };
        let Some(state) = number.and_then(|number| self.states.get_mut(number)) else {
            return Sequence::default();
        };
        if msg_type == b"A"
            && let Some(version) = row.get(Slot::DefaultApplVerId).and_then(Version::of_appl_ver_id)
        {
            state.version = Some(version);
        }
        state.advance(msg_type, seq, row)
    }

    /// Says which version the session's logon gave a message type of its own
    /// (tags 372 and 1130).
    pub fn set_version(&mut self, number: Option<usize>, msg_type: &[u8], version: Version) {
        let Some(state) = number.and_then(|number| self.states.get_mut(number)) else { return };
        state.versions.retain(|(known, _)| **known != *msg_type);
        if state.versions.len() < REF_VERSIONS_MAX {
            state.versions.push((msg_type.into(), version));
        }
    }

    /// The application version of a FIXT message: its own (1128), else the
    /// session's for its type, else the session's default, else the newest.
    /// Where only the other side's logon was seen, that one counts.
    pub fn version(&self, msg_type: &[u8], row: &Row) -> Version {
        let own = row.get(Slot::ApplVerId).and_then(Version::of_appl_ver_id);
        let (sender, target) = (row.get(Slot::Sender), row.get(Slot::Target));
        let of = |from, to| self.known(from?, to?)?.version(msg_type);
        own.or_else(|| of(sender, target))
            .or_else(|| of(target, sender))
            .unwrap_or(Version::Fix50Sp2)
    }

    fn known(&self, sender: &[u8], target: &[u8]) -> Option<&Session> {
        self.states.get(*self.index.get(key(sender, target).as_slice())?)
    }

    /// The number of the session between two CompIDs, this way; `None`, and
    /// counted, where there are too many.
    pub fn number(&mut self, sender: &[u8], target: &[u8]) -> Option<usize> {
        let key = key(sender, target);
        if let Some(&number) = self.index.get(key.as_slice()) {
            return Some(number);
        }
        if self.states.len() >= SESSIONS_MAX || key.len() > KEY_MAX {
            self.refused += 1;
            return None;
        }
        let number = self.states.len();
        self.states.push(Session::default());
        self.index.insert(key.into(), number);
        Some(number)
    }
}

fn key(sender: &[u8], target: &[u8]) -> Vec<u8> {
    [sender, b"\x01", target].concat()
}

impl Session {
    fn version(&self, msg_type: &[u8]) -> Option<Version> {
        let own = self.versions.iter().find(|(known, _)| **known == *msg_type);
        own.map(|&(_, version)| version).or(self.version)
    }

    fn advance(&mut self, msg_type: &[u8], seq: u64, row: &Row) -> Sequence {
        let gap_fill = row.yes(Slot::GapFill);
        let new_seq = row.get(Slot::NewSeqNo).and_then(values::unsigned);
        if msg_type == b"4" && !gap_fill {
            self.next = new_seq;
            return Sequence { gap_before: Some(0), flags: 0 };
        }
        if msg_type == b"A" && row.yes(Slot::ResetSeqNum) {
            self.next = seq.checked_add(1);
            return Sequence { gap_before: Some(0), flags: 0 };
        }
        let sequence = self.compare(msg_type, seq, row.yes(Slot::PossDup));
        if let (b"4", Some(new_seq)) = (msg_type, new_seq) {
            self.next = self.next.max(Some(new_seq));
        }
        sequence
    }

    /// Compares with what was expected and moves on.
    fn compare(&mut self, msg_type: &[u8], seq: u64, poss_dup: bool) -> Sequence {
        let after = seq.checked_add(1);
        let Some(next) = self.next else {
            self.next = after.filter(|_| !poss_dup);
            return Sequence { gap_before: (seq <= 1).then_some(0), flags: 0 };
        };
        if seq >= next {
            self.next = after;
            let gap = u32::try_from(seq - next).unwrap_or(u32::MAX);
            return Sequence { gap_before: Some(gap), flags: 0 };
        }
        if poss_dup {
            return Sequence { gap_before: Some(0), flags: 0 };
        }
        self.next = after;
        let flags = if msg_type == b"A" { 0 } else { flags::IRREGULAR };
        Sequence { gap_before: None, flags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::columns::Slots;
    use crate::fix::dictionary::Dictionary;
    use crate::fix::fields::{Fields, RawField};

    /// Notes one message of `session` and gives its gap.
    fn note(sessions: &mut Sessions, text: &str) -> Option<u32> {
        sequence(sessions, text).gap_before
    }

    fn sequence(sessions: &mut Sessions, text: &str) -> Sequence {
        let msg = text.replace('|', "\x01").into_bytes();
        let dictionary = Dictionary::of(Version::Fix44);
        let fields: Vec<RawField> = Fields::new(&msg, dictionary).collect();
        let mut slots = Slots::default();
        fields.iter().enumerate().for_each(|(at, field)| slots.note(field.tag, at));
        let row = Row { msg: &msg, fields: &fields, slots: &slots };
        let (sender, target) = (row.get(Slot::Sender), row.get(Slot::Target));
        let number = sender.zip(target).and_then(|(from, to)| sessions.number(from, to));
        let seq = row.get(Slot::SeqNum).and_then(values::unsigned);
        sessions.note(number, row.get(Slot::MsgType).unwrap_or_default(), seq, &row)
    }

    #[test]
    fn gaps_are_counted_each_way() {
        let mut s = Sessions::default();
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=7|"), None, "from the middle");
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=8|"), Some(0));
        assert_eq!(note(&mut s, "35=8|49=B|56=A|34=1|"), Some(0), "the other way begins");
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=11|"), Some(2));
        assert_eq!(note(&mut s, "35=D|49=A|50=trader|56=B|34=12|"), Some(0), "sub-ids share it");
    }

    #[test]
    fn resends_and_gap_fills_move_nothing_back() {
        let mut s = Sessions::default();
        note(&mut s, "35=D|49=A|56=B|34=10|");
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=5|43=Y|"), Some(0));
        assert_eq!(note(&mut s, "35=4|49=A|56=B|34=6|43=Y|123=Y|36=10|"), Some(0));
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=11|"), Some(0));
        assert_eq!(note(&mut s, "35=4|49=A|56=B|34=12|123=Y|36=20|"), Some(0));
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=20|"), Some(0));
    }

    #[test]
    fn resets_start_anew() {
        let mut s = Sessions::default();
        note(&mut s, "35=D|49=A|56=B|34=100|");
        assert_eq!(note(&mut s, "35=4|49=A|56=B|34=1|36=50|"), Some(0));
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=50|"), Some(0));
        assert_eq!(note(&mut s, "35=A|49=A|56=B|34=1|141=Y|"), Some(0));
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=2|"), Some(0));
        let low = sequence(&mut s, "35=D|49=A|56=B|34=1|");
        assert_eq!((low.gap_before, low.flags), (None, flags::IRREGULAR));
    }

    #[test]
    fn a_capture_that_begins_in_a_resend_claims_no_loss() {
        let mut s = Sessions::default();
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=5|43=Y|"), None);
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=500|"), None);
        assert_eq!(note(&mut s, "35=D|49=A|56=B|34=501|"), Some(0));
    }

    #[test]
    fn sessions_over_the_limit_are_counted() {
        let mut s = Sessions::default();
        for n in 0..SESSIONS_MAX + 3 {
            note(&mut s, &format!("35=0|49=A{n}|56=B|34=1|"));
        }
        assert_eq!(s.refused(), 3);
        assert_eq!(note(&mut s, "35=0|49=A0|56=B|34=3|"), Some(1));
    }

    #[test]
    fn what_has_no_number_is_flagged() {
        let mut s = Sessions::default();
        for text in ["35=0|49=A|56=B|", "35=0|49=A|56=B|34=x|", "35=0|34=1|"] {
            assert_eq!(sequence(&mut s, text).flags, flags::IRREGULAR, "{text}");
        }
    }
}
