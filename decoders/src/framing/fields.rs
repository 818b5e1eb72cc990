//! Fields of the framings' own headers, for people.

use crate::field::{Field, Value};
use crate::names::latin1;

/// Takes fields off the front of bytes, each starting where the last ended.
#[derive(Debug)]
pub struct FieldReader<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: Vec<Field>,
}

impl<'a> FieldReader<'a> {
    /// From the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, fields: Vec::new() }
    }

    /// The next `size` bytes as a field whose value `read` gives; fewer where
    /// the bytes end before, none at all where nothing is left.
    fn field(&mut self, name: &str, size: usize, read: impl FnOnce(&[u8]) -> Value) -> &mut Self {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..size.min(rest.len())).unwrap_or_default();
        if !bytes.is_empty() {
            let (name, path) = (name.to_owned(), name.to_owned());
            let (offset, size) = (self.at as u32, bytes.len() as u32);
            self.fields.push(Field { name, path, offset, size, value: read(bytes) });
            self.at += bytes.len();
        }
        self
    }

    /// A big-endian unsigned integer of up to 8 bytes.
    pub fn uint(&mut self, name: &str, size: usize) -> &mut Self {
        self.field(name, size, |bytes| {
            Value::Int(bytes.iter().fold(0, |value, &b| (value << 8) | i128::from(b)))
        })
    }

    /// Text padded with spaces at either end.
    pub fn text(&mut self, name: &str, size: usize) -> &mut Self {
        self.field(name, size, |bytes| Value::Text(latin1(bytes.trim_ascii())))
    }

    /// Everything that is left.
    pub fn rest(&mut self, name: &str) -> &mut Self {
        let size = self.bytes.len().saturating_sub(self.at);
        self.field(name, size, |bytes| Value::Bytes(bytes.to_vec()))
    }

    /// The fields, with what is left as one named `unknown`.
    pub fn finish(&mut self) -> Vec<Field> {
        self.rest("unknown");
        std::mem::take(&mut self.fields)
    }
}
