//! Values become fields for people; they tile the message.
//!
//! ```text
//! c0     82            82                39 45 a3 ...
//! pmap   template_id   NoMDEntries       MDEntries[0].MDEntryPx
//! ```
//!
//! A presence map is a field named `pmap`, a template id one named
//! `template_id`. Values that an operator made have size 0.

use super::error::Code;
use std::ops::Range;

use super::machine::{Found, Sink, Val};
use super::mapping::Target;
use super::rows::RESET_NAME;
use super::templates::{Op, Templates};
use super::wire::plain;
use crate::field::{Explained, Field, Value};
use crate::names::latin1;

/// Collects the fields of one message.
#[derive(Default)]
pub(super) struct FieldSink {
    fields: Vec<Field>,
    path: String,
    /// Lengths of `path` to go back to.
    levels: Vec<usize>,
    name: Option<String>,
    template_id: String,
    msg_type: Option<String>,
}

impl FieldSink {
    pub fn finish(self) -> Explained {
        Explained {
            msg_type: self.msg_type.unwrap_or(self.template_id),
            name: self.name.unwrap_or_default(),
            fields: self.fields,
            error: None,
        }
    }

    fn push(&mut self, name: &str, value: Value, from: usize, to: usize) {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.fields.push(Field {
            name: name.into(),
            path: format!("{}{name}", self.path),
            offset: offset(from),
            size: offset(to.saturating_sub(from)),
            value,
        });
    }

    fn enter(&mut self, level: &str) {
        self.levels.push(self.path.len());
        self.path.push_str(level);
        self.path.push('.');
    }

    fn leave(&mut self) {
        let len = self.levels.pop().unwrap_or(0);
        self.path.truncate(len);
    }
}

impl Sink for FieldSink {
    fn pmap(&mut self, bytes: &[u8], from: usize) {
        self.push("pmap", Value::Bytes(bytes.into()), from, from + bytes.len());
    }

    fn template(&mut self, found: Found<'_>, from: usize, to: usize) {
        let (name, id) = match found {
            Found::Program(program, id) => (&*program.name, id),
            Found::Reset(id) => (RESET_NAME, id),
        };
        self.push("template_id", Value::Int(id.into()), from, to);
        if self.name.is_none() {
            self.name = Some(name.into());
            self.template_id = id.to_string();
            self.levels.push(0);
        } else {
            self.enter(name);
        }
    }

    fn template_end(&mut self) {
        self.leave();
    }

    fn field(&mut self, templates: &Templates, op: &Op, value: Val<'_>, at: Range<usize>) {
        let value = explained(value);
        if let (Target::MsgType, Value::Text(text)) = (op.target, &value) {
            self.msg_type = Some(text.clone());
        }
        self.push(&templates.field(op).name, value, at.start, at.end);
    }

    fn group(&mut self, name: &str) {
        self.enter(name);
    }

    fn group_end(&mut self) {
        self.leave();
    }

    fn entry(&mut self, name: &str, _: bool, index: u32) -> Result<(), Code> {
        self.enter(&format!("{name}[{index}]"));
        Ok(())
    }

    fn entry_end(&mut self, _: bool) {
        self.leave();
    }
}

fn explained(value: Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Int(value) => Value::Int(value.into()),
        Val::Uint(value) => Value::Int(value.into()),
        Val::Decimal(value) => {
            Value::Decimal { mantissa: value.mantissa.into(), scale: -i32::from(value.exponent) }
        }
        Val::Ascii(raw) => {
            let mut text = Vec::new();
            plain(raw, &mut text);
            Value::Text(latin1(&text))
        }
        Val::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.into()),
            Err(_) => Value::Bytes(bytes.into()),
        },
        Val::Bytes(bytes) => Value::Bytes(bytes.into()),
    }
}
