//! An overlay with the schemas that the user has for it.
//!
//! ```text
//! message: schema 1, version 12, template 46
//!     schemas of id 1:  5   9   11   13
//!                                └── the largest one that is not newer
//! ```

use super::compile::{self, Program};
use super::overlay::Overlay;
use super::shape::{Block, Header, Message, Schema, Told};
use super::walk::{Cut, Dimension, Visitor, Walk};
use crate::kind::Sender;

/// Most rows one message makes.
pub const ROWS_MAX: usize = 4096;

/// A venue's protocol, ready to decode with.
#[derive(Debug)]
pub struct SbeProtocol {
    /// What the messages mean.
    pub overlay: Overlay,
    /// What stands before every message.
    pub header: Header,
    /// Schemas, by id and version.
    pub schemas: Vec<Compiled>,
}

/// A schema with a program for each of its messages.
#[derive(Debug)]
pub struct Compiled {
    /// The schema.
    pub schema: Schema,
    /// At the index of the message.
    pub programs: Vec<Program>,
}

/// A message of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Found<'p> {
    /// The schema.
    pub compiled: &'p Compiled,
    /// Index of the schema.
    pub schema: usize,
    /// Index of the message.
    pub message: usize,
}

impl<'p> Found<'p> {
    /// What the schema says of it.
    pub fn shape(&self) -> Option<&'p Message> {
        self.compiled.schema.messages.get(self.message)
    }
}

impl SbeProtocol {
    /// Puts an overlay and those of the `schemas` together that it fits. Of
    /// several with the same id and version the one with the last semantic
    /// version counts, then the last file.
    pub fn new(overlay: Overlay, schemas: &[Schema]) -> Self {
        let fitting = schemas.iter().filter(|schema| overlay.fits(schema));
        let mut fitting: Vec<&Schema> = fitting.collect();
        fitting.sort_by_key(|s| (s.id, s.version, semantic(&s.semantic_version), s.file.clone()));
        let last = |i: usize| {
            let next = fitting.get(i + 1);
            next.is_none_or(|next| (next.id, next.version) != (fitting[i].id, fitting[i].version))
        };
        let kept = (0..fitting.len()).filter(|&i| last(i)).map(|i| fitting[i]);
        let compiled = |schema: &Schema| Compiled {
            programs: compile::programs(&overlay, schema),
            schema: schema.clone(),
        };
        let schemas: Vec<Compiled> = kept.map(compiled).collect();
        let told = schemas.first().and_then(|compiled| compiled.schema.header.clone());
        let little = schemas.first().is_none_or(|compiled| compiled.schema.little);
        let header = overlay.header.clone().or(told).unwrap_or(Header::standard(little));
        Self { overlay, header, schemas }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.overlay.id
    }

    /// The schema and the message that a header tells.
    #[inline]
    pub fn find(&self, told: &Told) -> Option<Found<'_>> {
        // Those with the id stand together, by version: the last one that is
        // not newer, else the first that is newer.
        let mut best: Option<Found<'_>> = None;
        for (schema, compiled) in self.schemas.iter().enumerate() {
            let Schema { id, version, messages, .. } = &compiled.schema;
            if *id != told.schema_id {
                continue;
            }
            let newer = *version > told.version;
            if newer && best.is_some() {
                break;
            }
            let found = messages.binary_search_by_key(&told.template_id, |message| message.id);
            if let Ok(message) = found {
                best = Some(Found { compiled, schema, message });
            }
        }
        best
    }

    /// Whether a message is of a known template, its blocks have lengths that
    /// their versions can have, and its parts fill it to the byte.
    pub fn knows(&self, body: &[u8], sender: Option<Sender>) -> bool {
        let Some(told) = self.header.read(body) else { return false };
        let Some(found) = self.find(&told) else { return false };
        let Some(message) = found.shape() else { return false };
        let rule = self.overlay.rule(told.schema_id, told.template_id);
        let by = rule.and_then(|rule| rule.sender());
        if sender.is_some() && by.is_some() && by != sender {
            return false;
        }
        let schema = &found.compiled.schema;
        let walk = Walk { body, little: schema.little, version: told.version };
        let mut lengths = Lengths { told: told.version, schema: schema.version, fit: true };
        let end = walk.block(&message.block, self.header.size, told.block_length, &mut lengths);
        lengths.fit && end.is_ok_and(|end| self.is_end(body, end))
    }

    /// Whether the beginning of a message of `len` bytes may go on to be one that
    /// it knows.
    pub fn may_know(&self, start: &[u8], len: usize) -> bool {
        let Some(told) = self.header.read(start) else { return start.len() < self.header.size };
        let fits = told.block_length <= len.saturating_sub(self.header.size);
        let may_be = || self.overlay.fits.iter().any(|fits| fits.id == told.schema_id);
        fits && (self.find(&told).is_some() || self.schemas.is_empty() && may_be())
    }

    /// Whether a message may be one of this protocol as far as that can be told
    /// without its schema: its header names one of the schemas, and its root
    /// block has room.
    pub fn may_be(&self, body: &[u8]) -> bool {
        self.schemas.is_empty()
            && self.header.read(body).is_some_and(|told| {
                self.overlay.fits.iter().any(|fits| fits.id == told.schema_id)
                    && told.block_length <= body.len().saturating_sub(self.header.size)
            })
    }

    /// Whether nothing but padding follows the byte `end`.
    pub fn is_end(&self, body: &[u8], end: usize) -> bool {
        let rest = body.get(end..).unwrap_or_default();
        let pad_to = self.overlay.pad_to;
        rest.is_empty()
            || rest.len() < pad_to
                && body.len().is_multiple_of(pad_to)
                && rest.iter().all(|&byte| byte == 0)
    }

    /// Messages of all schemas, each template once.
    pub fn message_count(&self) -> usize {
        let of = |compiled: &Compiled| {
            let id = compiled.schema.id;
            compiled.schema.messages.iter().map(move |m| (id, m.id)).collect::<Vec<_>>()
        };
        let mut all: Vec<(u64, u64)> = self.schemas.iter().flat_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

/// A version text as numbers, to compare.
fn semantic(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Checks the lengths of blocks.
struct Lengths {
    told: u64,
    schema: u64,
    fit: bool,
}

impl Lengths {
    fn check(&mut self, block: &Block, length: usize) {
        self.fit &= match self.told.cmp(&self.schema) {
            std::cmp::Ordering::Equal => length == block.length,
            std::cmp::Ordering::Greater => length >= block.length,
            std::cmp::Ordering::Less => length <= block.length,
        };
    }
}

impl Visitor for Lengths {
    fn fields(&mut self, block: &Block, _: usize, length: usize) {
        self.check(block, length);
    }
    fn cut_fields(&mut self, _: &Block, _: usize, _: usize) {}
    fn dimension(&mut self, group: &super::shape::Group, _: usize, dimension: Dimension) {
        // An empty group may say anything, but says its block's length or none.
        if dimension.count == 0 && dimension.block_length != 0 {
            self.check(&group.block, dimension.block_length);
        }
    }
    fn enter(&mut self, _: &super::shape::Group, _: usize) {}
    fn leave(&mut self) {}
    fn data(&mut self, _: &super::shape::Data, _: usize, _: usize) {}
}

/// What is wrong where a message ends too early, for people.
pub fn cut_text(name: &str, cut: Cut, body: &[u8]) -> String {
    let had = body.len().saturating_sub(cut.at);
    format!("{name}: {} bytes from byte {} on, here are {had}", cut.needed, cut.at)
}
