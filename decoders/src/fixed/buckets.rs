//! The messages of a run, put together by layout.
//!
//! ```text
//! run        A D A U D
//! buckets    A: A A    D: D D    U: U      in the order of their first message
//! ```

use crate::fixed::bytes::{Lane, write_lane};
use crate::fixed::run::Item;

/// Messages decoded together. More would leave the first-level cache.
pub const RUN_MAX: usize = 256;

const NOTHING: Item<Lane> = Item { body: [0; 64], row: 0, scope: 0 };

/// A bucket for every layout. Their memory stays from run to run.
#[derive(Debug, Default)]
pub struct Buckets {
    lanes: Vec<Lanes>,
    touched: Vec<u16>,
}

#[derive(Debug, Default)]
struct Lanes {
    /// As long as the fullest run was.
    items: Vec<Item<Lane>>,
    len: usize,
}

impl Buckets {
    /// Empty buckets for so many layouts.
    pub fn new(layouts: usize) -> Self {
        let mut lanes = Vec::new();
        lanes.resize_with(layouts, Lanes::default);
        Self { lanes, touched: Vec::with_capacity(layouts) }
    }

    /// Adds a message, which is to fit in a lane.
    #[inline(always)]
    pub fn push(&mut self, layout: u16, body: &[u8], row: u32, scope: u32) {
        let Some(lanes) = self.lanes.get_mut(usize::from(layout)) else { return };
        if lanes.len == 0 {
            self.touched.push(layout);
        }
        if lanes.len == lanes.items.len() {
            lanes.grow();
        }
        if let Some(item) = lanes.items.get_mut(lanes.len) {
            write_lane(&mut item.body, body);
            item.row = row;
            item.scope = scope;
            lanes.len += 1;
        }
    }

    /// How many layouts occur.
    pub fn count(&self) -> usize {
        self.touched.len()
    }

    /// The `i`th layout that occurs and its messages.
    pub fn bucket(&self, i: usize) -> Option<(usize, &[Item<Lane>])> {
        let layout = usize::from(*self.touched.get(i)?);
        let lanes = self.lanes.get(layout)?;
        Some((layout, lanes.items.get(..lanes.len)?))
    }

    /// Forgets the messages.
    pub fn clear(&mut self) {
        for &layout in &self.touched {
            if let Some(lanes) = self.lanes.get_mut(usize::from(layout)) {
                lanes.len = 0;
            }
        }
        self.touched.clear();
    }
}

impl Lanes {
    #[cold]
    fn grow(&mut self) {
        let room = (2 * self.items.len()).clamp(16, RUN_MAX);
        self.items.resize(room, NOTHING);
    }
}

/// The same for messages that are too long for a lane, or of varying size.
#[derive(Debug, Default)]
pub struct WideBuckets<'a> {
    items: Vec<(u16, Item<&'a [u8]>, u32)>,
}

/// Such messages of one layout.
#[derive(Debug)]
pub struct WideBucket<'a> {
    /// Their layout.
    pub layout: u16,
    /// One for every row.
    pub items: Vec<Item<&'a [u8]>>,
    /// Of each message, its first item and how many it has.
    messages: Vec<(usize, u32)>,
}

impl<'a> WideBucket<'a> {
    /// Each message once, with its first row and how many it has.
    pub fn messages(&self) -> impl Iterator<Item = (Item<&'a [u8]>, u32)> {
        self.messages.iter().filter_map(|(at, rows)| Some((*self.items.get(*at)?, *rows)))
    }
}

impl<'a> WideBuckets<'a> {
    /// Adds a message that has so many rows.
    pub fn push(&mut self, layout: u16, item: Item<&'a [u8]>, rows: u32) {
        self.items.push((layout, item, rows));
    }

    /// Forgets the messages.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Takes the messages out: each layout with its own, these in order.
    pub fn take(&mut self) -> Vec<WideBucket<'a>> {
        self.items.sort_by_key(|(layout, ..)| *layout);
        let buckets = self.items.chunk_by(|a, b| a.0 == b.0).filter_map(bucket).collect();
        self.items.clear();
        buckets
    }
}

fn bucket<'a>(same: &[(u16, Item<&'a [u8]>, u32)]) -> Option<WideBucket<'a>> {
    let mut bucket =
        WideBucket { layout: same.first()?.0, items: Vec::new(), messages: Vec::new() };
    for (_, item, rows) in same {
        bucket.messages.push((bucket.items.len(), *rows));
        let rows = (0..*rows).map(|i| Item { row: item.row.saturating_add(i), ..*item });
        bucket.items.extend(rows);
    }
    Some(bucket)
}
