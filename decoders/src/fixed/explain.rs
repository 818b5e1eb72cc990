//! Every field of one message, for people. The fields cover every byte.

use crate::field::{Explained, Field, Value};
use crate::fixed::bytes::Window;
use crate::fixed::program::{FieldDef, Layout};
use crate::fixed::protocol::{Choice, Fit, FixedProtocol};
use crate::fixed::tlv::{Element, TlvSpec};
use crate::fixed::wire::Wire;
use crate::kind::Sender;
use crate::names::latin1;

/// The bytes of a list of elements.
pub struct List<'a> {
    /// What the message has of them.
    pub bytes: &'a [u8],
    /// Whether the message ends before the list does.
    pub is_cut: bool,
}

/// The list of elements at a message's end; `None` where it has none.
pub fn tail_of<'a, 'p>(
    protocol: &'p FixedProtocol,
    layout: &Layout,
    body: &'a [u8],
) -> Option<(&'p TlvSpec, List<'a>)> {
    let tail = layout.tail.as_ref()?;
    let rest = body.get(layout.size as usize..)?;
    let counted = usize::try_from(tail.length.unsigned(body)).unwrap_or(usize::MAX);
    let list = List { bytes: rest.get(..counted).unwrap_or(rest), is_cut: counted > rest.len() };
    Some((protocol.tlvs.get(tail.tlv)?, list))
}

/// A message's fields, in order. Bytes that nothing explains are fields named
/// `unknown`.
pub fn explain(protocol: &FixedProtocol, body: &[u8], sender: Option<Sender>) -> Explained {
    let found = protocol.choose(body, sender);
    let layout = found.and_then(|choice| protocol.layouts.get(choice.layout));
    let (Some(choice), Some(layout)) = (found, layout) else {
        return unknown(protocol, body);
    };
    let mut walk = Walk { body, fields: Vec::with_capacity(layout.fields.len()), at: 0 };
    for def in &layout.fields {
        if !walk.field(def, &def.name, 0) {
            break;
        }
    }
    let mut error = misfit(layout, choice, body);
    if let Some((tlv, list)) = tail_of(protocol, layout, body) {
        error = walk.list(tlv, layout, &list).or(error);
    }
    walk.rest();
    let (msg_type, name) = (layout.code_text.clone(), layout.name.clone());
    Explained { msg_type, name, fields: walk.fields, error }
}

fn unknown(protocol: &FixedProtocol, body: &[u8]) -> Explained {
    let code = protocol.code_of(body).map(|code| protocol.code_text(code));
    let mut walk = Walk { body, fields: Vec::new(), at: 0 };
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
        Fit::Longer if layout.tail.is_none() => {
            Some(format!("{name} ends at byte {size}, here are {len}"))
        }
        Fit::Longer | Fit::Exact => None,
    }
}

/// The fields so far, and the first byte without one.
struct Walk<'a> {
    body: &'a [u8],
    fields: Vec<Field>,
    at: usize,
}

impl Walk<'_> {
    /// Adds a field whose offset counts from `base`; false where the message
    /// ends before it does.
    fn field(&mut self, def: &FieldDef, path: &str, base: usize) -> bool {
        let start = base.saturating_add(def.offset as usize);
        let end = start.saturating_add(def.ty.wire.width() as usize);
        let Some(bytes) = self.body.get(start..end) else { return false };
        let value = value(def, bytes);
        self.push(&def.name, path, start, bytes.len(), value);
        true
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

    /// Adds a list of elements, and says what is wrong with it.
    fn list(&mut self, tlv: &TlvSpec, layout: &Layout, list: &List<'_>) -> Option<String> {
        let base = layout.size as usize;
        let tail = layout.tail.as_ref().map_or("", |tail| &tail.name);
        let mut elements = tlv.elements(list.bytes)?;
        for (i, element) in elements.by_ref().enumerate() {
            self.element(tlv, &format!("{tail}[{i}]"), base, &element);
        }
        let (ended, len) = (base + elements.at(), list.bytes.len());
        self.unknown_to(base + len);
        let name = &layout.name;
        if list.is_cut {
            return Some(format!("{name}: the message ends inside its {tail}, after {len} bytes"));
        }
        if self.at < self.body.len() {
            return Some(format!("{name}: {} bytes after the {tail}", self.body.len() - self.at));
        }
        let is_whole = ended == base + len;
        (!is_whole).then(|| format!("{name}: the {tail} has no whole element at byte {ended}"))
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
                self.field(&spec.field, &named(&spec.field.name), value_at);
            }
            None => self.unknown_to(value_at + element.value.len()),
        }
    }
}

/// What the bytes of a field mean.
fn value(def: &FieldDef, bytes: &[u8]) -> Value {
    match def.ty.wire {
        Wire::Bytes { .. } => Value::Bytes(bytes.to_vec()),
        Wire::Text { .. } => match def.ty.trim.apply(bytes) {
            [] => Value::Null,
            text => Value::Text(latin1(text)),
        },
        Wire::Int { width, signed, little } => {
            let Some(window) = Window::new(0, width, little) else { return Value::Null };
            let raw = window.unsigned(bytes);
            let signed = signed.then(|| i128::from(window.signed_in(&bytes)));
            let number = signed.unwrap_or_else(|| i128::from(raw));
            match def.ty.scale {
                _ if def.ty.null.contains(&raw) => Value::Null,
                Some(scale) => Value::Decimal { mantissa: number, scale },
                None => Value::Int(number),
            }
        }
    }
}
