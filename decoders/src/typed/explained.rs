//! Rows from explanations, for engines without a layout that lasts.
//!
//! ```text
//! NoMDEntries[1].MDEntryPx = 10.01   ─►   entry 1 | ord 14 | tag 270 | name MDEntryPx | value 10.01 |
//!                                         group_path NoMDEntries
//! ```

use crate::field::{Datum, Explained, Field, SECRET, Value};
use crate::typed::{ColumnKind, Emit, ROWS_MAX, TypedColumn, TypedTable};

/// The table of all FIX fields.
pub const FIX_TAGS: &str = "tags";

/// `tags`: one row a field of a FIX message.
pub fn fix_table() -> TypedTable {
    let column = |(name, kind): (&str, ColumnKind)| TypedColumn { name: name.to_owned(), kind };
    let columns = [
        ("ord", ColumnKind::UInt),
        ("tag", ColumnKind::UInt),
        ("name", ColumnKind::Text),
        ("value", ColumnKind::Text),
        ("group_path", ColumnKind::Text),
    ];
    let columns = columns.map(column).to_vec();
    TypedTable { name: FIX_TAGS.to_owned(), msg_types: Vec::new(), columns }
}

/// The fields of a FIX message, in wire order.
pub fn fix_tags(explained: &Explained, message: &[u8], emit: &mut Emit) {
    for (ord, field) in explained.fields.iter().enumerate().take(ROWS_MAX) {
        let (tag, value) = tag_and_value(field, message);
        let (group, entry) = group_of(&field.path);
        let value = match &field.value {
            Value::Text(text) if text == SECRET => Some(Datum::Text(SECRET.as_bytes())),
            _ => value.map(Datum::Text),
        };
        let row = [
            Some(Datum::Int(ord as i128)),
            tag.map(Datum::Int),
            Some(Datum::Text(field.name.as_bytes())),
            value,
            (!group.is_empty()).then_some(Datum::Text(group.as_bytes())),
        ];
        emit(entry, &row);
    }
}

/// A field's number and the bytes of its value, without the SOH.
fn tag_and_value<'m>(field: &Field, message: &'m [u8]) -> (Option<i128>, Option<&'m [u8]>) {
    let start = field.offset as usize;
    let bytes = message.get(start..start.saturating_add(field.size as usize)).unwrap_or_default();
    let bytes = bytes.strip_suffix(&[1]).unwrap_or(bytes);
    let Some(equals) = bytes.iter().position(|&b| b == b'=') else { return (None, Some(bytes)) };
    let (tag, value) = bytes.split_at(equals);
    (crate::fixed::place::digits(tag), value.get(1..).filter(|value| !value.is_empty()))
}

/// The groups around a field without their indexes, and the innermost index:
/// `A[2].B[1].x` is `A.B` and 1.
fn group_of(path: &str) -> (String, u32) {
    let Some((groups, _)) = path.rsplit_once('.') else { return (String::new(), 0) };
    let mut entry = 0;
    let names = groups.split('.').map(|part| match part.split_once('[') {
        Some((name, index)) => {
            entry = index.trim_end_matches(']').parse().unwrap_or(0);
            name
        }
        None => part,
    });
    let names: Vec<&str> = names.collect();
    (names.join("."), entry)
}
