//! Rows whose values rest on what was taken over from an earlier capture
//! without a proof that nothing was missed in between.

use crate::fixed::bytes::Body;
use crate::fixed::learned::LearnedTable;
use crate::fixed::place::{KeyAt, LearnedAt};
use crate::fixed::program::{ElsewhereAt, Op, ScaleAt};
use crate::fixed::run::Item;

/// Whether what an operation looks up for a message is in doubt.
pub fn in_doubt<B: Body>(op: &Op, item: &Item<B>, tables: &mut [LearnedTable]) -> bool {
    match op {
        Op::Lookup { key, table, .. } => {
            let key = key.unsigned_in(&item.body);
            tables.get(*table).is_some_and(|table| table.doubts(item.scope, key))
        }
        Op::LookupBy { value, .. } => learned(value, item, tables),
        Op::Scaled { scale: ScaleAt::Places(at), .. } => elsewhere(at, item, tables),
        Op::Moment { plus: Some(plus), .. } => elsewhere(&plus.at, item, tables),
        _ => false,
    }
}

fn elsewhere<B: Body>(at: &ElsewhereAt, item: &Item<B>, tables: &mut [LearnedTable]) -> bool {
    match at {
        ElsewhereAt::Field(_) => false,
        ElsewhereAt::Learned(value) => learned(value, item, tables),
    }
}

fn learned<B: Body>(value: &LearnedAt, item: &Item<B>, tables: &mut [LearnedTable]) -> bool {
    if let KeyAt::Learned(key) = &value.key
        && learned(key, item, tables)
    {
        return true;
    }
    let key = value.key.find(&item.body, item.body.parts(), item.scope, tables);
    let table = tables.get(value.table);
    key.zip(table).is_some_and(|(key, table)| table.doubts(item.scope, key))
}
