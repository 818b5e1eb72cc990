//! Message types as tables of their own: a column for every field, typed.
//!
//! ```text
//! protocol file ─► add_order(timestamp Time, stock Text, price Decimal, …)       once
//!                  order_group(…) one row an entry that makes rows, as `messages` has
//!                  order_group__legs(…) one row an entry of any other group
//! SBE schema    ─► book(…) one row a message, book__levels(…) one row an entry
//! FAST template ─► likewise
//! a message's bytes ─────────────► rows of one table                             on demand
//! ```
//!
//! The columns come from what the layout or the explanation of a message knows
//! already; nothing is decoded by a second program. An engine takes part with
//! a variant of [`TypedReader`]: one that has layouts gives values as its walk
//! meets them, any other gives its [`Explained`] messages to
//! [`explained::Paths`].

pub mod explained;
pub mod fixed;
pub mod history;
pub mod names;
mod plan;
pub mod sbe;

use crate::fast::decode::ResetPolicy;
use crate::fast::feed::FastFeed;
use crate::fast::typed::{self as fast, FastReader};
use crate::field::Datum;
use crate::fix::decode::{FixConfig, FixDecoder};
use crate::fix::user::UserTags;
use crate::fixed::protocol::FixedProtocol;
use crate::kind::Sender;
use crate::library::{Library, ProtocolRef};
use crate::typed::explained::fix_tags;
use crate::typed::fixed::FixedReader;
use crate::typed::history::Before;
use crate::typed::sbe::SbeReader;
use std::sync::Arc;

/// Most rows of one table that one message makes; what a group has beyond them
/// is left out, as in `messages`.
pub const ROWS_MAX: usize = crate::fixed::protocol::ROWS_MAX;

/// The schema that all versions of FIX share.
pub const FIX_SCHEMA: &str = "fix";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Signed 64 bits.
    Int,
    /// Unsigned 64 bits.
    UInt,
    /// Exact, [`DECIMAL_SCALE`](crate::batch::DECIMAL_SCALE) places; null where these do not hold it.
    Decimal,
    /// Nanoseconds since the epoch, UTC.
    Time,
    /// Text without its padding.
    Text,
    /// Bytes without a meaning.
    Bytes,
}

/// A column of a message's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedColumn {
    /// Its name: the field's.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// The table of a message type, or of one of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedTable {
    /// The message's name in the protocol's file, `__` and the group's behind
    /// it.
    pub name: String,
    /// Native codes of its messages, as `messages.msg_type` has them; empty
    /// where it is of every message.
    pub msg_types: Vec<String>,
    /// Its columns.
    pub columns: Vec<TypedColumn>,
}

/// A stored message.
#[derive(Clone, Copy, Debug)]
pub struct StoredMessage<'a> {
    /// Its bytes, without its framing.
    pub bytes: &'a [u8],
    /// Time of the packet that completed it, ns since the epoch.
    pub ts: i64,
    /// Which end sent it, where known.
    pub sender: Option<Sender>,
    /// Which learned values are its.
    pub scope: u32,
    /// Its place among those of its flow.
    pub standing: Standing,
}

/// Where a message stands in its flow: for readers of messages that mean
/// something only behind those before them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The flow.
    pub flow_id: u32,
    /// The packet that completed it.
    pub packet_ix: u32,
    /// Whether the flow is a stream, not datagrams.
    pub in_stream: bool,
    /// Whether messages are missing before it.
    pub gap: bool,
    /// Whether it was there before.
    pub repeated: bool,
}

/// Takes a row: its entry and a value for every column.
pub type Emit<'e> = dyn FnMut(u32, &[Option<Datum<'_>>]) + 'e;

/// Gives rows that are known as columns with their values; the other ones of
/// `columns` are null.
pub(crate) fn emit_rows<'v, Row>(
    columns: usize,
    rows: impl IntoIterator<Item = Row>,
    emit: &mut Emit,
) where
    Row: IntoIterator<Item = (usize, Datum<'v>)>,
{
    for (entry, values) in (0..).zip(rows) {
        let mut row = vec![None; columns];
        for (column, value) in values {
            if let Some(place) = row.get_mut(column) {
                *place = Some(value);
            }
        }
        emit(entry, &row);
    }
}

/// Gives the rows of one table.
pub enum TypedReader {
    /// Of a message of fixed layout, or of a group of it.
    Fixed(Box<FixedReader>),
    /// Of a FAST message, or of a sequence of it.
    Fast(Box<FastReader>),
    /// Of an SBE message, or of a group of it.
    Sbe(Box<SbeReader>),
    /// The tags of FIX messages, with those of every session.
    Fix(Box<(FixDecoder, UserTags)>),
}

impl TypedReader {
    /// The rows of a message of this table's; `before` is what was learned
    /// before it.
    pub fn rows(&mut self, message: &StoredMessage<'_>, before: &mut Before<'_>, emit: &mut Emit) {
        match self {
            Self::Fixed(reader) => reader.rows(message, before, emit),
            Self::Sbe(reader) => reader.rows(message, emit),
            Self::Fast(reader) => reader.rows(message, emit),
            Self::Fix(fix) => {
                let explained = fix.0.explain(message.bytes, &fix.1);
                fix_tags(&explained, message.bytes, emit);
            }
        }
    }

    /// Whether it must be given every message of the protocol, from a capture's
    /// first one on, in the order in which they were decoded.
    pub fn is_in_order(&self) -> bool {
        matches!(self, Self::Fast(reader) if reader.is_in_order())
    }

    /// A capture begins.
    pub fn begin_capture(&mut self) {
        if let Self::Fast(reader) = self {
            reader.begin_capture();
        }
    }

    /// A message whose bytes are not there.
    pub fn missed(&mut self, standing: Standing) {
        if let Self::Fast(reader) = self {
            reader.missed(standing);
        }
    }

    /// Whether a column that is wanted asks what was learned, so that the
    /// history it is given must have it.
    pub fn needs_learned(&self) -> bool {
        match self {
            Self::Fixed(reader) => reader.needs_learned(),
            Self::Fast(_) | Self::Sbe(_) | Self::Fix(_) => false,
        }
    }

    /// The protocol with learned tables.
    pub fn protocol(&self) -> Option<&FixedProtocol> {
        match self {
            Self::Fixed(reader) => Some(reader.protocol()),
            Self::Fast(_) | Self::Sbe(_) | Self::Fix(_) => None,
        }
    }
}

/// The tables of a protocol, by name; none where it has no layouts that say
/// them.
pub fn tables(library: &Library, protocol: ProtocolRef) -> Vec<TypedTable> {
    match protocol {
        ProtocolRef::Fixed(at) => match (library.fixed_at(at), library.sbe_at(at)) {
            (Some(fixed), _) => fixed::tables(fixed),
            (None, Some(sbe)) => sbe::tables(sbe),
            (None, None) => Vec::new(),
        },
        ProtocolRef::Fix => vec![explained::fix_table()],
        ProtocolRef::Fast(at) => {
            fast_feed(library, at).map_or_else(Vec::new, |f| fast::tables(&f.templates, f.reset))
        }
        _ => Vec::new(),
    }
}

fn fast_feed(library: &Library, feed: u16) -> Option<&FastFeed> {
    library.fast.get(usize::from(feed))?.as_ref()
}

/// Whether a protocol's messages mean something only behind those before
/// them, so that a reader of its tables [must be given](TypedReader::is_in_order)
/// all of them.
pub fn is_in_order(library: &Library, protocol: ProtocolRef) -> bool {
    let ProtocolRef::Fast(at) = protocol else { return false };
    fast_feed(library, at).is_some_and(|feed| feed.reset != ResetPolicy::Message)
}

/// Reads the rows of a table; `wanted` says which columns are asked for.
pub fn reader(
    library: &Library,
    protocol: ProtocolRef,
    table: &str,
    wanted: &[bool],
    show_secrets: bool,
) -> Option<TypedReader> {
    match protocol {
        ProtocolRef::Fixed(at) => {
            if let Some(sbe) = library.sbe_at(at) {
                let reader = SbeReader::new(Arc::clone(sbe), table, wanted, show_secrets)?;
                return Some(TypedReader::Sbe(Box::new(reader)));
            }
            let known = library.fixed_at(at)?;
            let reader = FixedReader::new(Arc::clone(known), table, wanted)?;
            Some(TypedReader::Fixed(Box::new(reader)))
        }
        ProtocolRef::Fast(at) => {
            let reader = FastReader::new(fast_feed(library, at)?, table, wanted)?;
            Some(TypedReader::Fast(Box::new(reader)))
        }
        ProtocolRef::Fix if table == explained::FIX_TAGS => {
            let decoder = FixDecoder::new(FixConfig { show_secrets });
            Some(TypedReader::Fix(Box::new((decoder, library.any_fix_tags().clone()))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod sbe_tests;
#[cfg(test)]
mod tests;
