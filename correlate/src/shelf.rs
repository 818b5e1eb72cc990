//! Trades of which nothing was heard for long, in a file until something is.
//!
//! ```text
//! open orders ──idle, and too much is held──> [ trade | trade | ... ]   a file without a name
//!      ^                                            │
//!      └── a message with one of its ids, the end ──┘
//! ```
//!
//! An order that rests until the close costs its ids then, not its messages. What
//! nobody wants any more stays in the file until nothing in it is wanted.

use crate::matching::trade::{Numbered, OrderNumber, Trade};
use crate::text::{TextId, Texts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Most orders on the shelf; further ones stay in memory.
pub const SHELVED_MAX: usize = 1 << 22;

/// Most bytes of the file; beyond it what is idle stays in memory.
pub const FILE_MAX: u64 = 1 << 36;

/// A trade of which nothing is heard.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    /// Its orders.
    pub trade: Trade,
    /// What the feed said of its orders, by their numbers.
    pub published: Vec<Numbered>,
    /// The texts of its ids, which are forgotten meanwhile.
    texts: Vec<(TextId, String)>,
}

impl Idle {
    /// A trade and what the feed said of it.
    pub fn new(trade: Trade, published: Vec<Numbered>, texts: &Texts) -> Self {
        let mut ids = BTreeSet::new();
        let mut hold = |id: TextId| ids.extend(Some(id).filter(|id| id.is_id()));
        trade.orders.iter().for_each(|(_, order)| order.hold_ids(&mut hold));
        let events = published.iter().flat_map(|of| &of.events);
        events.flat_map(|event| event.obs.ids()).for_each(hold);
        let texts = ids.into_iter().map(|id| (id, texts.text(id).to_owned())).collect();
        Self { trade, published, texts }
    }

    /// The trade and what the feed said of it, with the ids that its texts have now.
    pub fn wake(self, texts: &mut Texts) -> (Trade, Vec<Numbered>) {
        let Self { mut trade, mut published, texts: known } = self;
        let now: BTreeMap<TextId, TextId> =
            known.iter().map(|(id, text)| (*id, texts.intern_id(text))).collect();
        if now.iter().all(|(before, now)| before == now) {
            return (trade, published);
        }
        let mut rename = |id: &mut TextId| *id = now.get(id).copied().unwrap_or(*id);
        trade.orders.iter_mut().for_each(|(_, order)| order.rename_ids(&mut rename));
        for event in published.iter_mut().flat_map(|of| &mut of.events) {
            Arc::make_mut(event).obs.ids_mut().into_iter().for_each(&mut rename);
        }
        (trade, published)
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    len: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    file: File,
    end: u64,
    places: BTreeMap<OrderNumber, Place>,
    fault: Option<io::Error>,
}

impl Shelf {
    /// An empty shelf in a file that nobody else uses.
    pub fn new(file: File) -> Self {
        Self { file, end: 0, places: BTreeMap::new(), fault: None }
    }

    /// Whether there is room and the file works.
    pub fn is_open(&self) -> bool {
        self.fault.is_none() && self.places.len() < SHELVED_MAX && self.end < FILE_MAX
    }

    /// Why the file could not be written or read, where it could not, once.
    pub fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    /// The order with the lowest number.
    pub fn oldest(&self) -> Option<OrderNumber> {
        self.places.first_key_value().map(|(number, _)| *number)
    }

    /// Takes a trade; gives it back where it cannot be written.
    ///
    /// # Errors
    /// The trade itself; [`take_fault`](Self::take_fault) says why.
    pub fn put(&mut self, idle: Idle) -> Result<(), Idle> {
        match self.write(&idle) {
            Ok(place) => {
                let numbers = idle.trade.orders.iter().map(|(number, _)| (*number, place));
                self.places.extend(numbers);
                Ok(())
            }
            Err(error) => {
                self.fault = Some(error);
                Err(idle)
            }
        }
    }

    fn write(&mut self, idle: &Idle) -> io::Result<Place> {
        let bytes = postcard::to_allocvec(idle).map_err(io::Error::other)?;
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.file.write_all_at(&bytes, self.end)?;
        let place = Place { at: self.end, len };
        self.end += u64::from(len);
        Ok(place)
    }

    /// The trade that an order is part of, where it is here, which it is no more then.
    pub fn take(&mut self, number: OrderNumber) -> Option<Idle> {
        let place = *self.places.get(&number)?;
        match self.read(place) {
            Ok(idle) => {
                for (number, _) in &idle.trade.orders {
                    self.places.remove(number);
                }
                if self.places.is_empty() {
                    self.end = 0;
                }
                Some(idle)
            }
            Err(error) => {
                self.places.remove(&number);
                self.fault = Some(error);
                None
            }
        }
    }

    fn read(&self, place: Place) -> io::Result<Idle> {
        let mut bytes = vec![0; place.len as usize];
        self.file.read_exact_at(&mut bytes, place.at)?;
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }
}
