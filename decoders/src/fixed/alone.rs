//! One message, or one part of a message, by itself: what it teaches, and its
//! operations without the loops over columns.

use crate::fixed::bytes::Within;
use crate::fixed::place::Parts;
use crate::fixed::program::{Learn, Op, TextAt};
use crate::fixed::run::{Item, Lesson, Machine, Output, Tables, text_at};
use crate::fixed::text::NO_NAME;
use crate::names::Names;

/// Whether one part would teach anything new.
pub fn is_news(
    machine: &mut Machine,
    learn: &Learn,
    item: Item<&[u8]>,
    parts: Option<Parts<'_>>,
    names: &mut Names,
) -> bool {
    let (scope, tables) = (item.scope, machine.tables.as_mut_slice());
    let Some(key) = learn.key.find(&item.body, parts, scope, tables) else { return false };
    let Some(table) = machine.tables.get_mut(learn.table) else { return false };
    if learn.if_absent {
        return !table.knows(scope, key);
    }
    // What is taught again is in doubt no more.
    let may_doubt = table.may_doubt();
    learn.values.iter().any(|(slot, from)| {
        let Some(value) = machine.value(from, item.body, names) else { return false };
        let table = machine.tables.get_mut(learn.table);
        may_doubt || table.is_some_and(|table| table.reader(scope).get(key, *slot) != value)
    })
}

/// Teaches what one part says.
pub fn teach(
    machine: &mut Machine,
    learn: &Learn,
    item: Item<&[u8]>,
    parts: Option<Parts<'_>>,
    names: &mut Names,
) {
    let (scope, tables) = (item.scope, machine.tables.as_mut_slice());
    let Some(key) = learn.key.find(&item.body, parts, scope, tables) else { return };
    let known = || machine.tables.get_mut(learn.table).is_some_and(|t| t.knows(scope, key));
    if learn.if_absent && { known }() {
        return;
    }
    for (slot, from) in &learn.values {
        let Some(value) = machine.value(from, item.body, names) else { continue };
        let Some(table) = machine.tables.get_mut(learn.table) else { continue };
        let before = machine.lessons.is_some().then(|| table.reader(scope).get(key, *slot));
        table.set(scope, key, *slot, value);
        if let Some(lessons) = &mut machine.lessons {
            let after = table.reader(scope).get(key, *slot);
            if before != Some(after) {
                let (table, slot, row) = (learn.table, *slot, item.row);
                lessons.push(Lesson { row, scope, table, key, slot, value });
            }
        }
    }
}

/// Runs an operation on one message or a part of one, where it is of those that
/// most fields are and that need no other part: what [`Machine::run`] does,
/// without the way there, which is longer than the work for one message.
#[inline(always)]
fn run_plain(
    op: &Op,
    item: &Item<Within<'_>>,
    machine: &mut Machine,
    tables: Tables<'_>,
    out: &mut Output<'_>,
) -> bool {
    let (row, batch) = (item.slot(), &mut *out.batch);
    let known = match op {
        Op::Int { at, col, null } => {
            let raw = at.unsigned_in(&item.body);
            batch.ints_mut(*col).0[row] = raw;
            !null.contains(&raw)
        }
        Op::Small { at, col, null } => {
            let raw = at.unsigned_in(&item.body);
            batch.smalls_mut(*col).0[row] = raw as u32;
            !null.contains(&raw)
        }
        Op::Decimal { at, col, factor, signed, null } => {
            let raw = at.unsigned_in(&item.body);
            let signed = signed.then(|| i128::from(at.signed_in(&item.body)));
            let number = signed.unwrap_or(i128::from(raw));
            batch.decimals_mut(*col).0[row] = number.wrapping_mul(i128::from(*factor));
            !null.contains(&raw)
        }
        Op::Code { at, col, codes } => {
            let Some(table) = tables.codes.get(*codes) else { return false };
            let number = table.word(at.unsigned_in(&item.body));
            batch.enums_mut(*col).0[row] = number;
            number != 0
        }
        Op::Constant { col, number } => {
            batch.enums_mut(*col).0[row] = *number;
            true
        }
        Op::Time { at, col, clock } => {
            let Some(clock) = machine.clocks.get_mut(*clock) else { return false };
            let (ts, column, _) = batch.ts_and_times_mut(*col);
            let time = clock.time_ns(at.unsigned_in(&item.body), ts[row]);
            column[row] = time.unwrap_or_default();
            time.is_some()
        }
        Op::Name { from: TextAt::Short { at, cache }, col } => {
            let Some(cache) = machine.caches.get_mut(*cache) else { return false };
            let name = cache.name_of(at.unsigned_in(&item.body), out.names);
            batch.names_mut(*col).0[row] = name;
            name != NO_NAME
        }
        Op::Text { offset, width, trim, col } => {
            let text = text_at(item.body.body, (*offset, *width, *trim));
            if !text.is_empty() {
                batch.set_text(row, *col, text);
            }
            return true;
        }
        _ => return false,
    };
    let present = &mut batch.heads_mut().present[row];
    *present = if known { *present | op.bit() } else { *present & !op.bit() };
    true
}

/// Runs operations on one message or a part of one.
pub fn run_alone<'p>(
    machine: &mut Machine,
    ops: impl IntoIterator<Item = &'p Op>,
    item: Item<Within<'_>>,
    tables: Tables<'_>,
    out: &mut Output<'_>,
) {
    for op in ops {
        if !machine.has_doubts && run_plain(op, &item, machine, tables, out) {
            continue;
        }
        if op.presumes() {
            out.batch.heads_mut().present[item.slot()] |= op.bit();
        }
        machine.run(op, std::iter::once(item), tables, out);
    }
}
