//! Learned tables while a protocol file is compiled: what is taught and what
//! is looked up must agree in the end, in whatever order they stand.

use crate::fixed::error::Fault;
use crate::fixed::protocol::TableSpec;

/// The tables named so far.
#[derive(Debug, Default)]
pub struct Tables {
    tables: Vec<Table>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Table {
    name: String,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    name: String,
    /// Whether it is a text, where something teaches it.
    taught: Option<bool>,
}

#[derive(Debug)]
struct Wanted {
    table: usize,
    slot: usize,
    is_text: bool,
    line: usize,
}

impl Tables {
    fn place(&mut self, table: &str, value: &str) -> (usize, usize) {
        let known = self.tables.iter().position(|known| known.name == table);
        let at = known.unwrap_or_else(|| {
            self.tables.push(Table { name: table.to_owned(), values: Vec::new() });
            self.tables.len() - 1
        });
        let Some(table) = self.tables.get_mut(at) else { return (at, 0) };
        let slot = table.values.iter().position(|known| known.name == value);
        let slot = slot.unwrap_or_else(|| {
            table.values.push(Value { name: value.to_owned(), taught: None });
            table.values.len() - 1
        });
        (at, slot)
    }

    /// A message teaches a value; table and slot.
    pub fn teach(
        &mut self,
        table: &str,
        value: &str,
        is_text: bool,
        line: usize,
    ) -> Result<(usize, usize), Fault> {
        let (at, slot) = self.place(table, value);
        let place = self.tables.get_mut(at).and_then(|table| table.values.get_mut(slot));
        let Some(place) = place else { return Ok((at, slot)) };
        if place.taught.replace(is_text).is_some_and(|before| before != is_text) {
            let reason = format!("`{value}` is a text in one message and a number in another");
            return Err(Fault::new(line, reason));
        }
        Ok((at, slot))
    }

    /// Something needs a value; table and slot.
    pub fn want(&mut self, table: &str, value: &str, is_text: bool, line: usize) -> (usize, usize) {
        let (table, slot) = self.place(table, value);
        self.wanted.push(Wanted { table, slot, is_text, line });
        (table, slot)
    }

    /// The tables, where everything wanted is taught.
    pub fn finish(self) -> Result<Vec<TableSpec>, Fault> {
        for wanted in &self.wanted {
            let Some(table) = self.tables.get(wanted.table) else { continue };
            let Some(value) = table.values.get(wanted.slot) else { continue };
            let reason = match value.taught {
                Some(is_text) if is_text == wanted.is_text => continue,
                Some(true) => format!("`{}` of `{}` is a text", value.name, table.name),
                Some(false) => format!("`{}` of `{}` is a number", value.name, table.name),
                None => format!("`{}` of `{}` is never taught", value.name, table.name),
            };
            return Err(Fault::new(wanted.line, reason));
        }
        let values = |table: &Table| {
            let values = table.values.iter();
            values.map(|value| (value.name.clone(), value.taught.unwrap_or(false))).collect()
        };
        let specs = self.tables.iter();
        Ok(specs.map(|t| TableSpec { name: t.name.clone(), values: values(t) }).collect())
    }
}
