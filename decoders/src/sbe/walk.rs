//! The one walk over a message: blocks, groups, data, up to where the bytes
//! end.
//!
//! ```text
//! header | block | dimension | entry: block, groups, data | … | length | data |
//! ```
//!
//! Nothing is entered whose bytes are not there, and an entry that takes no
//! bytes is not repeated, so no count can make the walk longer than the message.

use super::shape::{Block, Data, Group};

/// Where a message ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Byte of the message at which something should be.
    pub at: usize,
    /// Bytes it has.
    pub needed: usize,
}

/// A message being walked.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'b> {
    /// The message.
    pub body: &'b [u8],
    /// Lowest byte first.
    pub little: bool,
    /// The version that it says it has.
    pub version: u64,
}

/// What a group's dimension says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Byte behind the dimension.
    pub start: usize,
    /// Bytes of an entry's block.
    pub block_length: usize,
    /// Entries.
    pub count: usize,
}

/// Is told what a walk meets.
pub trait Visitor {
    /// A block's fields: `length` bytes from `at` on, all there.
    fn fields(&mut self, block: &Block, at: usize, length: usize);
    /// A block of `length` bytes from `at` on, of which not all are there.
    fn cut_fields(&mut self, block: &Block, at: usize, length: usize);
    /// A group's dimension at `at`.
    fn dimension(&mut self, group: &Group, at: usize, dimension: Dimension);
    /// Entry `index` of a group begins.
    fn enter(&mut self, group: &Group, index: usize);
    /// It ends.
    fn leave(&mut self);
    /// Variable data: `length` bytes behind what stands before them at `at`.
    fn data(&mut self, data: &Data, at: usize, length: usize);
}

impl Walk<'_> {
    /// Walks a block whose fields begin at `at`, and gives where it ends.
    ///
    /// # Errors
    /// Where the bytes end too early.
    pub fn block(
        &self,
        block: &Block,
        at: usize,
        length: usize,
        visitor: &mut impl Visitor,
    ) -> Result<usize, Cut> {
        let cut = Cut { at, needed: length };
        let end = at.checked_add(length).filter(|&end| end <= self.body.len());
        let Some(mut at) = end else {
            visitor.cut_fields(block, at, length);
            return Err(cut);
        };
        visitor.fields(block, at - length, length);
        for group in block.groups.iter().filter(|group| group.since <= self.version) {
            at = self.group(group, at, visitor)?;
        }
        self.data(block, at, visitor)
    }

    /// Walks a block's variable data, which begin at `at`, and gives where they
    /// end.
    ///
    /// # Errors
    /// Where the bytes end too early.
    #[inline]
    pub fn data(
        &self,
        block: &Block,
        mut at: usize,
        visitor: &mut impl Visitor,
    ) -> Result<usize, Cut> {
        for data in block.data.iter().filter(|data| data.since <= self.version) {
            let (start, length) = self.length(data, at)?;
            visitor.data(data, at, length);
            at = start + length;
        }
        Ok(at)
    }

    /// What the dimension at `at` says.
    #[inline(always)]
    pub fn dimension(&self, group: &Group, at: usize) -> Result<Dimension, Cut> {
        let cut = Cut { at, needed: group.size };
        let start = at.checked_add(group.size).filter(|&end| end <= self.body.len()).ok_or(cut)?;
        let read = |slot: super::shape::Slot| {
            slot.read(self.body, at, self.little).and_then(|n| usize::try_from(n).ok()).ok_or(cut)
        };
        Ok(Dimension { start, block_length: read(group.block_length)?, count: read(group.count)? })
    }

    fn group(&self, group: &Group, at: usize, visitor: &mut impl Visitor) -> Result<usize, Cut> {
        let dimension = self.dimension(group, at)?;
        visitor.dimension(group, at, dimension);
        let mut at = dimension.start;
        for index in 0..dimension.count {
            visitor.enter(group, index);
            let end = self.block(&group.block, at, dimension.block_length, visitor);
            visitor.leave();
            let end = end?;
            if end == at {
                break;
            }
            at = end;
        }
        Ok(at)
    }

    /// Where the group at `at` ends; entries that are only blocks are passed
    /// over at once.
    ///
    /// # Errors
    /// Where the bytes end too early.
    #[inline]
    pub fn skip(&self, group: &Group, at: usize) -> Result<usize, Cut> {
        if !group.is_flat() {
            return self.group(group, at, &mut Nobody);
        }
        let Dimension { start, block_length, count } = self.dimension(group, at)?;
        let needed = count.saturating_mul(block_length);
        let end = start.checked_add(needed).filter(|&end| end <= self.body.len());
        end.ok_or(Cut { at: start, needed })
    }

    /// Where the data at `at` begin, and how many they are.
    fn length(&self, data: &Data, at: usize) -> Result<(usize, usize), Cut> {
        let length = data.length.read(self.body, at, self.little);
        let length = length.ok_or(Cut { at, needed: data.size })?;
        let start = at.saturating_add(data.size);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let fits = start.checked_add(length).is_some_and(|end| end <= self.body.len());
        if fits { Ok((start, length)) } else { Err(Cut { at: start, needed: length }) }
    }
}

/// Listens to nothing.
pub struct Nobody;

impl Visitor for Nobody {
    fn fields(&mut self, _: &Block, _: usize, _: usize) {}
    fn cut_fields(&mut self, _: &Block, _: usize, _: usize) {}
    fn dimension(&mut self, _: &Group, _: usize, _: Dimension) {}
    fn enter(&mut self, _: &Group, _: usize) {}
    fn leave(&mut self) {}
    fn data(&mut self, _: &Data, _: usize, _: usize) {}
}
