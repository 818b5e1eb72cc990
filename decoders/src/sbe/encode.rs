//! Messages made up from a schema, for tests: every part is there, and its
//! bytes are numbers that go on.

use super::shape::{Block, Header, Message, Schema, Slot};

/// What a made-up message is like.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Entries of each group.
    pub entries: usize,
    /// Bytes of each variable datum.
    pub data: usize,
    /// The first byte of the content.
    pub seed: u8,
}

/// A message as the schema has it.
pub fn message(header: &Header, schema: &Schema, message: &Message, recipe: Recipe) -> Vec<u8> {
    let mut bytes = vec![0; header.size];
    let little = header.little;
    put(&mut bytes, 0, header.block_length, message.block.length as u64, little);
    put(&mut bytes, 0, header.template_id, message.id, little);
    put(&mut bytes, 0, header.schema_id, schema.id, little);
    put(&mut bytes, 0, header.version, schema.version, little);
    let mut encoder = Encoder { bytes, little: schema.little, recipe };
    encoder.block(&message.block);
    encoder.bytes
}

struct Encoder {
    bytes: Vec<u8>,
    little: bool,
    recipe: Recipe,
}

impl Encoder {
    fn fill(&mut self, count: usize) {
        for _ in 0..count {
            let next = self.recipe.seed.wrapping_add(self.bytes.len() as u8);
            self.bytes.push(next);
        }
    }

    fn block(&mut self, block: &Block) {
        self.fill(block.length);
        for group in &block.groups {
            let at = self.bytes.len();
            self.bytes.resize(at + group.size, 0);
            let length = group.block.length as u64;
            put(&mut self.bytes, at, group.block_length, length, self.little);
            let entries = self.recipe.entries;
            put(&mut self.bytes, at, group.count, entries as u64, self.little);
            (0..entries).for_each(|_| self.block(&group.block));
        }
        for data in &block.data {
            let at = self.bytes.len();
            self.bytes.resize(at + data.size, 0);
            put(&mut self.bytes, at, data.length, self.recipe.data as u64, self.little);
            self.fill(self.recipe.data);
        }
    }
}

/// Writes a number into its place.
pub fn put(bytes: &mut [u8], base: usize, slot: Slot, value: u64, little: bool) {
    let digits = value.to_be_bytes();
    let digits = &digits[8 - slot.size..];
    let place = &mut bytes[base + slot.at..base + slot.at + slot.size];
    place.copy_from_slice(digits);
    if little {
        place.reverse();
    }
}
