//! The messages of a run, put together by layout.
//!
//! ```text
//! run        A D A U D
//! buckets    A: A A    D: D D    U: U      in the order of their first message
//! ```

use crate::batch::CopyOf;
use crate::fixed::bytes::{Lane, Spot, Within, write_lane};
use crate::fixed::outline::{Outline, Outlines};
use crate::fixed::parts::Part;
use crate::fixed::place::Parts;
use crate::fixed::run::{Bucket, Item};

/// Messages decoded together. More would leave the first-level cache.
pub const RUN_MAX: usize = 1024;

/// Bytes of wide messages decoded together, about.
const RUN_BYTES_MAX: usize = 256 << 10;

/// Parts decoded together, about.
const PARTS_MAX: usize = 1 << 15;

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
    pub fn bucket(&self, i: usize) -> Option<(usize, impl Bucket)> {
        let layout = usize::from(*self.touched.get(i)?);
        let lanes = self.lanes.get(layout)?;
        Some((layout, lanes.items.get(..lanes.len)?.iter().map(Item::as_ref)))
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

/// Bytes of messages, or of parts, that stand among those of a run.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    at: u32,
    row: u32,
    scope: u32,
}

/// A message that is too long for a lane, or of varying size.
#[derive(Clone, Copy, Debug)]
pub struct Wide {
    at: u32,
    len: u32,
    /// Its first row.
    pub row: u32,
    /// How many it has.
    pub rows: u32,
    /// Which learned values are its.
    pub scope: u32,
    /// Where its parts are; see [`Outlines`].
    pub outline: u32,
}

/// Such messages, a bucket for every layout. Their memory stays from run to
/// run.
#[derive(Debug, Default)]
pub struct WideBuckets {
    /// The messages, one after the other.
    bytes: Vec<u8>,
    layouts: Vec<WideBucket>,
    touched: Vec<u16>,
    /// Those that are more than parts that can be put to their like.
    pub special: Vec<Wide>,
}

/// Those of one layout.
#[derive(Debug, Default)]
pub struct WideBucket {
    /// The first row of each.
    firsts: Vec<Placed>,
    /// Of those with more rows, the others.
    pub copies: Vec<CopyOf>,
}

impl WideBuckets {
    /// Empty buckets for so many layouts.
    pub fn new(layouts: usize) -> Self {
        let mut buckets = Self::default();
        buckets.layouts.resize_with(layouts, WideBucket::default);
        buckets
    }

    /// Adds a message that has so many rows, and gives where it now is.
    #[inline(always)]
    pub fn push(
        &mut self,
        layout: u16,
        body: &[u8],
        (row, rows): (u32, u32),
        (scope, outline): (u32, u32),
    ) -> Wide {
        let (at, len) = (self.bytes.len() as u32, body.len() as u32);
        let message = Wide { at, len, row, rows, scope, outline };
        let Some(bucket) = self.layouts.get_mut(usize::from(layout)) else { return message };
        if bucket.firsts.is_empty() {
            self.touched.push(layout);
        }
        self.bytes.extend_from_slice(body);
        bucket.firsts.push(Placed { at, row, scope });
        for entry in 1..rows {
            bucket.copies.push(CopyOf { from: row, to: row.saturating_add(entry) });
        }
        message
    }

    /// Whether the run should end, as its messages would leave the
    /// second-level cache.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > RUN_BYTES_MAX
    }

    /// How many layouts occur.
    pub fn count(&self) -> usize {
        self.touched.len()
    }

    /// The `i`th layout that occurs and its messages.
    pub fn bucket(&self, i: usize) -> Option<(usize, &WideBucket)> {
        let layout = usize::from(*self.touched.get(i)?);
        Some((layout, self.layouts.get(layout)?))
    }

    /// The messages of a bucket, for the first row of each.
    pub fn firsts<'a>(&'a self, bucket: &'a WideBucket) -> impl Bucket + use<'a> {
        placed(&self.bytes, &bucket.firsts)
    }

    /// The bytes of a message.
    pub fn body(&self, message: &Wide) -> &[u8] {
        let (start, len) = (message.at as usize, message.len as usize);
        self.bytes.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// Forgets the messages.
    pub fn clear(&mut self) {
        for &layout in &self.touched {
            if let Some(bucket) = self.layouts.get_mut(usize::from(layout)) {
                bucket.firsts.clear();
                bucket.copies.clear();
            }
        }
        self.touched.clear();
        self.special.clear();
        self.bytes.clear();
    }
}

fn placed<'a>(bytes: &'a [u8], items: &'a [Placed]) -> impl Bucket + use<'a> {
    let item = |item: &'a Placed| Item {
        body: Spot { bytes, at: item.at },
        row: item.row,
        scope: item.scope,
    };
    items.iter().map(item)
}

/// Parts of messages, a bucket for every part of the protocol.
#[derive(Debug, Default)]
pub struct PartBuckets {
    parts: Vec<PartBucket>,
    touched: Vec<u32>,
    kept: usize,
}

#[derive(Debug, Default)]
struct PartBucket {
    /// As many slots as the part needs the places of.
    slots: usize,
    /// Those of the first row of several that have the same.
    items: Vec<Placed>,
    copies: Vec<CopyOf>,
    /// Of each item, where its message is and where the places of the message's
    /// parts are, if the part needs that.
    places: Vec<Place>,
}

/// Where the message of a part is, and the places of its parts.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u32,
    len: u32,
    bases: u32,
}

impl PartBuckets {
    /// Empty buckets for these parts.
    pub fn new(parts: &[Part]) -> Self {
        let empty = |part: &Part| PartBucket { slots: part.slots, ..PartBucket::default() };
        Self { parts: parts.iter().map(empty).collect(), ..Self::default() }
    }

    /// Adds the parts of a message.
    #[inline]
    pub fn push(&mut self, message: &Wide, outline: &Outline, outlines: &Outlines) {
        for part in outlines.parts(outline) {
            let Some(bucket) = self.parts.get_mut(part.part as usize) else { continue };
            if bucket.items.is_empty() {
                self.touched.push(part.part);
            }
            let rows = part.rows(message.row, message.rows);
            if rows.is_empty() {
                continue;
            }
            let (at, row) = (message.at.wrapping_add(part.at), rows.start);
            bucket.items.push(Placed { at, row, scope: message.scope });
            for to in rows.skip(1) {
                bucket.copies.push(CopyOf { from: row, to });
            }
            if bucket.slots > 0 {
                let Wide { at, len, .. } = *message;
                bucket.places.push(Place { at, len, bases: part.bases });
            }
        }
        self.kept += outlines.parts(outline).len();
    }

    /// Whether the run should end, as there are many.
    pub fn is_full(&self) -> bool {
        self.kept > PARTS_MAX
    }

    /// The numbers of the parts that occur, in order.
    pub fn numbers(&self) -> Vec<u32> {
        let mut numbers = self.touched.clone();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Forgets the parts.
    pub fn clear(&mut self) {
        for &number in &self.touched {
            if let Some(bucket) = self.parts.get_mut(number as usize) {
                bucket.items.clear();
                bucket.copies.clear();
                bucket.places.clear();
            }
        }
        self.touched.clear();
        self.kept = 0;
    }

    /// The rows that have the same as others in the columns of a part.
    pub fn copies(&self, number: u32) -> &[CopyOf] {
        self.parts.get(number as usize).map_or(&[], |bucket| &bucket.copies)
    }

    /// The parts with this number.
    pub fn items<'a>(&'a self, number: u32, wide: &'a WideBuckets) -> impl Bucket + use<'a> {
        let items = self.parts.get(number as usize).map_or(&[][..], |bucket| &bucket.items);
        placed(&wide.bytes, items)
    }

    /// The same for parts that need others.
    pub fn within<'a>(
        &'a self,
        number: u32,
        wide: &'a WideBuckets,
        outlines: &'a Outlines,
    ) -> impl Bucket + use<'a> {
        const NONE: &PartBucket =
            &PartBucket { slots: 0, items: vec![], copies: vec![], places: vec![] };
        let bucket = self.parts.get(number as usize).unwrap_or(NONE);
        let bytes = wide.bytes.as_slice();
        bucket.items.iter().zip(&bucket.places).filter_map(move |(item, place)| {
            let message = bytes.get(place.at as usize..)?.get(..place.len as usize)?;
            let body = bytes.get(item.at as usize..)?;
            let bases = outlines.bases(place.bases, bucket.slots);
            let parts = Some(Parts { body: message, bases });
            Some(Item { body: Within { body, parts }, row: item.row, scope: item.scope })
        })
    }
}
