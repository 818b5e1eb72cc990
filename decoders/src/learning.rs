//! What messages teach, over the end of a capture: what was taught when, and
//! what an earlier capture ended with.
//!
//! ```text
//! earlier capture ─ learned, next number ─► scope begins ─► taught: symbol 7 is ALFA, 2 places
//! ```
//!
//! A scope is what messages teach each other: a session and channel of one
//! flow, or of the flows of one configured feed. Its `source` names it so that
//! captures of the same point agree.

use crate::fixed::protocol::FixedProtocol;

/// A value that was taught or taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taught {
    /// The protocol's index in the library.
    pub protocol: u16,
    /// The scope's number in the capture.
    pub scope: u32,
    /// Packet, and place in it, of the message that taught it; `None` where it
    /// was taken over.
    pub at: Option<(u32, u16)>,
    /// Time of that message's packet, of the scope's first one where it was
    /// taken over; ns since the epoch.
    pub ts: i64,
    /// Which table of the protocol.
    pub table: usize,
    /// Its key.
    pub key: u64,
    /// Which of its values.
    pub slot: usize,
    /// The number, or the text's in the decoder's names.
    pub value: u64,
}

/// A scope of a protocol that has learned tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeInfo {
    /// Its number in the capture, as rows have it.
    pub scope: u32,
    /// The protocol's index in the library.
    pub protocol: u16,
    /// What names it in every capture.
    pub source: String,
    /// Time of its first message, ns since the epoch.
    pub first_ts: i64,
    /// The sequence number that comes next, where the capture's end is known.
    pub next_seq: Option<u64>,
}

/// A value as it is kept between captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// What a scope ended with in an earlier capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Table, key, name of the value, value.
    pub values: Vec<(String, u64, String, Kept)>,
    /// The sequence number that came next.
    pub next_seq: Option<u64>,
}

/// Knows what earlier captures of a point ended with.
pub trait Earlier: Send {
    /// What the scope named `source` had ended with before `ts`, its first
    /// message's time here, ns since the epoch; empty where no capture tells.
    fn ended(&mut self, protocol: &FixedProtocol, source: &str, ts: i64) -> Ended;
}

/// A scope begins, as the pipeline tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeStart<'s> {
    pub scope: u32,
    pub protocol: u16,
    pub source: &'s str,
    pub ts: i64,
    /// The first message's sequence number.
    pub seq: Option<u64>,
}

/// What a decoder keeps of what was taught.
#[derive(Default)]
pub(crate) struct Learning {
    pub earlier: Option<Box<dyn Earlier>>,
    pub taught: Vec<Taught>,
    pub scopes: Vec<ScopeInfo>,
}
