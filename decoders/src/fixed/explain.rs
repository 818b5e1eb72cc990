//! Every field of one message, for people. The fields cover every byte.

use crate::field::{Datum, Explained, Field, SECRET, Value};
use crate::fixed::bytes::Window;
use crate::fixed::place::{NumberAt, Parts};
use crate::fixed::program::{FieldDef, Layout};
use crate::fixed::protocol::{Choice, Fit, FixedProtocol};
use crate::fixed::tlv::{Element, TlvSpec};
use crate::fixed::value;
use crate::fixed::walk::{self, Cut, Event, Step, Visitor, What};
use crate::fixed::wire::Wire;
use crate::kind::Sender;
use crate::names::latin1;

/// Whether whole elements fill every list of a message exactly.
pub struct Tiling<'p, 'b> {
    /// Whose message it is.
    pub protocol: &'p FixedProtocol,
    /// The message.
    pub body: &'b [u8],
    /// So far.
    pub holds: bool,
}

impl<'l> Visitor<'l> for Tiling<'_, '_> {
    const COUNTS: bool = true;

    fn event(&mut self, event: Event<'l>, _: Parts<'_>) {
        if let Event::Elements(step, at, len) = event
            && let What::Elements { tlv, .. } = step.what
        {
            let list = self.body.get(at..at + len).unwrap_or_default();
            self.holds &= self.protocol.tlvs.get(tlv).is_some_and(|tlv| tlv.tiles(list));
        }
    }
}

/// A message's fields, in order. Bytes that nothing explains are fields named
/// `unknown`.
pub fn explain(protocol: &FixedProtocol, body: &[u8], sender: Option<Sender>) -> Explained {
    explain_with(protocol, body, sender, false)
}

/// The same; passwords are shown where `show_secrets` is true.
pub fn explain_with(
    protocol: &FixedProtocol,
    body: &[u8],
    sender: Option<Sender>,
    show_secrets: bool,
) -> Explained {
    let found = protocol.choose(body, sender);
    let layout = found.and_then(|choice| protocol.layouts.get(choice.layout));
    let (Some(choice), Some(layout)) = (found, layout) else {
        return unknown(protocol, body);
    };
    let fields = Vec::with_capacity(layout.fields.len());
    let (path, error) = (Vec::new(), None);
    let mut walk = Walk { protocol, body, show_secrets, fields, at: 0, path, error };
    walk.fields(&layout.fields, 0);
    let mut error = misfit(layout, choice, body);
    if !layout.steps.is_empty() && body.len() >= layout.size as usize {
        let end = walk::walk(layout, body, &mut walk);
        error = walk.error.take().or_else(|| misfit_behind(layout, end, body));
    }
    walk.rest();
    let (msg_type, name) = (layout.code_text.clone(), layout.name.clone());
    Explained { msg_type, name, fields: walk.fields, error }
}

/// What is wrong behind the fixed part.
fn misfit_behind(layout: &Layout, end: Result<usize, Cut>, body: &[u8]) -> Option<String> {
    let (name, len) = (&layout.name, body.len());
    match end {
        Ok(end) if end == len => None,
        Ok(end) => Some(format!("{name} ends at byte {end}, here are {len}")),
        Err(Cut::Short { at, needed }) => {
            let had = len.saturating_sub(at);
            Some(format!("{name}: {needed} bytes from byte {at} on, here are {had}"))
        }
        Err(Cut::Bit { at, byte, bit }) => Some(format!(
            "{name}: bit {bit} of bitfield {byte} chooses an unknown field at byte {at}"
        )),
    }
}

fn unknown(protocol: &FixedProtocol, body: &[u8]) -> Explained {
    let code = protocol.code_of(body).map(|code| protocol.code_text(code));
    let (fields, path) = (Vec::new(), Vec::new());
    let (show_secrets, error) = (false, None);
    let mut walk = Walk { protocol, body, show_secrets, fields, at: 0, path, error };
    if code.is_some() {
        walk.fields(&protocol.common, 0);
    }
    walk.rest();
    let error = match &code {
        Some(code) => format!("message type `{code}` is not in {}", protocol.id()),
        None => format!("the message has {} bytes, too few for a type", body.len()),
    };
    let msg_type = code.unwrap_or_default();
    Explained { msg_type, name: String::new(), fields: walk.fields, error: Some(error) }
}

fn misfit(layout: &Layout, choice: Choice, body: &[u8]) -> Option<String> {
    let (name, size, len) = (&layout.name, layout.size, body.len());
    match choice.fit {
        Fit::Shorter => Some(format!("{name} has {size} bytes, here are {len}")),
        Fit::Longer if layout.steps.is_empty() => {
            Some(format!("{name} ends at byte {size}, here are {len}"))
        }
        Fit::Longer | Fit::Exact => None,
    }
}

/// The fields so far, and the first byte without one.
struct Walk<'p, 'b> {
    protocol: &'p FixedProtocol,
    body: &'b [u8],
    show_secrets: bool,
    fields: Vec<Field>,
    at: usize,
    /// The named parts that the next field stands in.
    path: Vec<String>,
    error: Option<String>,
}

impl<'l> Visitor<'l> for Walk<'_, '_> {
    fn event(&mut self, event: Event<'l>, _: Parts<'_>) {
        match event {
            Event::Open(name, None) => self.path.push(name.to_owned()),
            Event::Open(name, Some(i)) => self.path.push(format!("{name}[{i}]")),
            Event::Close => drop(self.path.pop()),
            Event::Row | Event::RowEnd => {}
            Event::Fields(shape, base) => self.fields(&shape.fields, base),
            Event::Text(step, at, len) => self.text(step, at, len),
            Event::Bits(step, at, len) => self.bits(step, at, len),
            Event::Elements(step, at, len) => self.list(step, at, len),
            Event::Unknown(_, to) => self.unknown_to(to),
        }
    }
}

impl Walk<'_, '_> {
    /// Adds fields whose offsets count from `base`, as far as they are there.
    fn fields(&mut self, defs: &[FieldDef], base: usize) {
        for def in defs {
            let path = self.path_of(&def.name);
            if !self.field(def, &path, base) {
                break;
            }
        }
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_slice() {
            [] => name.to_owned(),
            path => format!("{}.{name}", path.join(".")),
        }
    }

    /// Adds a field whose offset counts from `base`; false where the message
    /// ends before it does.
    fn field(&mut self, def: &FieldDef, path: &str, base: usize) -> bool {
        let start = base.saturating_add(def.offset as usize);
        let end = start.saturating_add(def.ty.wire.width() as usize);
        let Some(bytes) = self.body.get(start..end) else { return false };
        match def.bits {
            _ if def.ty.secret && !self.show_secrets => {
                self.push(&def.name, path, start, def.size() as usize, secret());
            }
            None => self.push(&def.name, path, start, bytes.len(), value(def, bytes)),
            Some(bits) => {
                let before = self.at;
                self.push(&def.name, path, start, 0, bits_value(def, bits, bytes));
                self.at = before;
            }
        }
        true
    }

    fn text(&mut self, step: &Step, at: usize, len: usize) {
        let bytes = self.body.get(at..at + len).unwrap_or_default();
        let path = self.path_of(&step.name);
        let value = match step.what {
            What::Text { secret: true, .. } if !self.show_secrets => secret(),
            What::Text { is_text: true, trim, .. } => match trim.apply(bytes) {
                [] => Value::Null,
                text => Value::Text(latin1(text)),
            },
            _ => Value::Bytes(bytes.to_vec()),
        };
        self.push(&step.name, &path, at, len, value);
    }

    /// Adds bytes whose bits choose fields.
    fn bits(&mut self, step: &Step, base: usize, len: usize) {
        let path = self.path_of(&step.name);
        let bytes = self.body.get(base..base + len).unwrap_or_default();
        for (i, &byte) in bytes.iter().enumerate() {
            self.push(&step.name, &format!("{path}[{i}]"), base + i, 1, Value::Int(byte.into()));
        }
    }

    /// Adds a list of elements.
    fn list(&mut self, step: &Step, base: usize, len: usize) {
        let What::Elements { tlv, .. } = step.what else { return };
        let (protocol, name) = (self.protocol, self.path_of(&step.name));
        let Some(tlv) = protocol.tlvs.get(tlv) else { return };
        let list = self.body.get(base..base + len).unwrap_or_default();
        let Some(mut elements) = tlv.elements(list) else { return };
        for (i, element) in elements.by_ref().enumerate() {
            self.element(tlv, &format!("{name}[{i}]"), base, &element);
        }
        if elements.at() != len {
            let ended = base + elements.at();
            self.error = Some(format!("the {name} has no whole element at byte {ended}"));
        }
        self.unknown_to(base + len);
    }

    fn push(&mut self, name: &str, path: &str, start: usize, size: usize, value: Value) {
        self.at = start.saturating_add(size);
        self.fields.push(Field {
            name: name.to_owned(),
            path: path.to_owned(),
            offset: start as u32,
            size: size as u32,
            value,
        });
    }

    /// Adds the bytes up to `end` as one field without a meaning.
    fn unknown_to(&mut self, end: usize) {
        let start = self.at;
        if let Some(bytes) = self.body.get(start..end).filter(|bytes| !bytes.is_empty()) {
            let value = Value::Bytes(bytes.to_vec());
            self.push("unknown", "unknown", start, bytes.len(), value);
        }
    }

    fn rest(&mut self) {
        self.unknown_to(self.body.len());
    }

    fn element(&mut self, tlv: &TlvSpec, path: &str, base: usize, element: &Element<'_>) {
        let start = base.saturating_add(element.at);
        let (length_width, tag_width) = (tlv.length_width as usize, tlv.tag_width as usize);
        let length = self.body.get(start..).unwrap_or_default();
        let window = Window::new(0, tlv.length_width, tlv.little);
        let counted = window.map_or(0, |window| window.unsigned(length));
        let named = |name: &str| format!("{path}.{name}");
        self.push("length", &named("length"), start, length_width, Value::Int(counted.into()));
        let tag_at = start + length_width;
        self.push("tag", &named("tag"), tag_at, tag_width, Value::Int(element.tag.into()));
        let value_at = tag_at + tag_width;
        match tlv.element(element.tag, element.value.len()) {
            Some(spec) => {
                for def in &spec.fields {
                    self.field(def, &named(&def.name), value_at);
                }
            }
            None => self.unknown_to(value_at + element.value.len()),
        }
    }
}

fn secret() -> Value {
    Value::Text(SECRET.to_owned())
}

/// What the bytes of a field mean.
fn value(def: &FieldDef, bytes: &[u8]) -> Value {
    value::plain(&def.ty, bytes).map_or(Value::Null, |datum| match datum {
        Datum::Int(int) => Value::Int(int),
        Datum::Decimal(mantissa, scale) => Value::Decimal { mantissa, scale },
        Datum::Time(ns) => Value::Time(ns),
        Datum::Text(text) => Value::Text(latin1(text)),
        Datum::Utf8(text) => Value::Text(text.to_owned()),
        Datum::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

/// What some bits of a field mean.
fn bits_value(def: &FieldDef, (low, count): (u32, u32), bytes: &[u8]) -> Value {
    let Wire::Int { width, little, .. } = def.ty.wire else { return Value::Null };
    let Some(at) = Window::new(0, width, little) else { return Value::Null };
    let mask = u64::MAX.checked_shr(64u32.saturating_sub(count)).unwrap_or(0);
    let bits = NumberAt::Bits { at, shift: low as u8, mask };
    bits.read(&bytes).map_or(Value::Null, Value::Int)
}
