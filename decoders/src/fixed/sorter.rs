//! A run of messages sorted by layout, stably.
//!
//! ```text
//! messages   A D A U D        layouts as they come, counted
//! places     A A │ D D │ U    three lists of one order: bodies, rows, scopes
//! ```

use crate::fixed::bytes::{Lane, write_lane};
use crate::fixed::run::Bucket;

/// Messages sorted together. More would leave the first-level cache.
pub const RUN_MAX: usize = 256;

/// In the place of a layout: the message is done.
pub const DONE: u16 = u16::MAX;

/// Layouts of a run, and where each message goes.
#[derive(Debug, Default)]
pub struct Sorter {
    /// The layout of each message, or [`DONE`].
    pub layouts: Vec<u16>,
    /// The layouts that occur, in the order of their first message.
    touched: Vec<u16>,
    /// A layout's messages; while they are placed, where the next one goes.
    counts: Vec<u32>,
    /// Which layouts' messages stand in lanes.
    narrow: Vec<bool>,
    lanes: Vec<Lane>,
    rows: Vec<u32>,
    scopes: Vec<u32>,
}

/// The bodies of messages that have no lane.
#[derive(Debug)]
pub struct Wide<'a>(Vec<&'a [u8]>);

/// A layout's messages.
#[derive(Debug)]
pub enum Sorted<'s, 'a> {
    /// In lanes.
    Narrow(Bucket<'s, Lane>),
    /// As they are.
    Wide(Bucket<'s, &'a [u8]>),
}

impl<'a> Wide<'a> {
    /// Room for a block of so many messages.
    pub fn new(messages: usize) -> Self {
        Self(vec![&[]; messages.min(RUN_MAX)])
    }
}

impl Sorter {
    /// For layouts of which each is narrow, has its place in a lane, or not.
    pub fn new(narrow: Vec<bool>) -> Self {
        Self {
            layouts: Vec::with_capacity(RUN_MAX),
            touched: Vec::with_capacity(narrow.len()),
            counts: vec![0; narrow.len()],
            lanes: vec![[0; 64]; RUN_MAX],
            rows: vec![0; RUN_MAX],
            scopes: vec![0; RUN_MAX],
            narrow,
        }
    }

    /// Forgets the run.
    pub fn clear(&mut self) {
        for &layout in &self.touched {
            if let Some(count) = self.counts.get_mut(usize::from(layout)) {
                *count = 0;
            }
        }
        self.touched.clear();
        self.layouts.clear();
    }

    /// Adds a message.
    #[inline(always)]
    pub fn push(&mut self, layout: u16) {
        if let Some(count) = self.counts.get_mut(usize::from(layout)) {
            if *count == 0 {
                self.touched.push(layout);
            }
            *count = count.wrapping_add(1);
        }
        self.layouts.push(layout);
    }

    /// Turns counts into places.
    pub fn start_placing(&mut self) {
        let mut start = 0u32;
        for &layout in &self.touched {
            if let Some(count) = self.counts.get_mut(usize::from(layout)) {
                let size = *count;
                *count = start;
                start = start.wrapping_add(size);
            }
        }
    }

    /// Puts the next message of a layout in its place.
    #[inline(always)]
    pub fn place<'a>(
        &mut self,
        layout: u16,
        (body, row, scope): (&'a [u8], u32, u32),
        wide: &mut Wide<'a>,
    ) {
        let Some(next) = self.counts.get_mut(usize::from(layout)) else { return };
        let at = *next as usize;
        *next = next.wrapping_add(1);
        if let (Some(to_row), Some(to_scope)) = (self.rows.get_mut(at), self.scopes.get_mut(at)) {
            *to_row = row;
            *to_scope = scope;
        }
        if self.narrow.get(usize::from(layout)) == Some(&true) {
            if let Some(lane) = self.lanes.get_mut(at) {
                write_lane(lane, body);
            }
        } else if let Some(slot) = wide.0.get_mut(at) {
            *slot = body;
        }
    }

    /// How many layouts occur.
    pub fn buckets(&self) -> usize {
        self.touched.len()
    }

    /// The messages of the `i`th layout that occurs, once all are placed.
    pub fn bucket<'s, 'a>(
        &'s self,
        i: usize,
        wide: &'s Wide<'a>,
    ) -> Option<(usize, Sorted<'s, 'a>)> {
        let end_of = |i: usize| {
            let layout = self.touched.get(i)?;
            self.counts.get(usize::from(*layout)).map(|&end| end as usize)
        };
        let start = i.checked_sub(1).map_or(Some(0), end_of)?;
        let end = end_of(i)?;
        let layout = usize::from(*self.touched.get(i)?);
        let (rows, scopes) = (self.rows.get(start..end)?, self.scopes.get(start..end)?);
        let sorted = if self.narrow.get(layout) == Some(&true) {
            Sorted::Narrow(Bucket { bodies: self.lanes.get(start..end)?, rows, scopes })
        } else {
            Sorted::Wide(Bucket { bodies: wide.0.get(start..end)?, rows, scopes })
        };
        Some((layout, sorted))
    }
}
