//! Trades of which nothing is heard leave memory, and come back when something is, or
//! when they are told.

use super::Correlator;
use crate::matching::orders::{Book, OrderNumber};
use crate::matching::trade::Trade;
use crate::observation::Observation;
use crate::shelf::{Idle, Shelf};
use crate::text::{TextId, Texts};
use crate::wants::Wants;
use std::io;

impl Correlator {
    /// The same correlator, which keeps idle trades in a file.
    pub fn with_shelf(mut self, shelf: Shelf) -> Self {
        self.shelf = Some(shelf);
        self
    }

    /// Why that file could not be used, where it could not.
    pub fn take_fault(&mut self) -> Option<io::Error> {
        self.shelf.as_mut()?.take_fault()
    }

    /// Puts what is idle away, while too much is held.
    pub(super) fn lay_down(&mut self) {
        let Some(shelf) = &mut self.shelf else { return };
        while shelf.is_open()
            && let Some(trade) = self.book.lay_down(self.watermark)
        {
            let published = self.wants.lend(&self.book.own_numbers(&trade));
            if let Err(idle) = shelf.put(Idle::new(trade, published, &self.texts)) {
                self.wants.give_back(idle.published);
                self.book.put_back(idle.trade);
            }
        }
    }

    /// Brings back what a message of a session may concern.
    pub(super) fn wake_for(&mut self, obs: &Observation, conversation: TextId) {
        if self.shelf.is_none() {
            return;
        }
        // What comes back may name further ones.
        while let Some(number) = self.book.elsewhere(obs, conversation, &self.texts)
            && self.wake(number)
        {}
    }

    fn wake(&mut self, number: OrderNumber) -> bool {
        let Self { shelf, texts, wants, book, .. } = self;
        wake(shelf, texts, wants, book, number)
    }

    /// Closes the next trade that is over.
    pub(super) fn close_next(&mut self) -> Option<Trade> {
        let Self { shelf, texts, wants, book, clocks, watermark, .. } = self;
        book.close_next(*watermark, clocks, &mut |book, number| {
            wake(shelf, texts, wants, book, number);
        })
    }

    /// Closes the oldest trade, wherever it is.
    pub(super) fn close_oldest(&mut self) -> Option<Trade> {
        let idle = self.shelf.as_ref().and_then(Shelf::oldest);
        if let Some(idle) = idle
            && self.book.oldest().is_none_or(|open| idle < open)
        {
            self.wake(idle);
        }
        self.book.close_oldest()
    }
}

/// Puts the trade of an order back where it came from, if it is on the shelf.
fn wake(
    shelf: &mut Option<Shelf>,
    texts: &mut Texts,
    wants: &mut Wants,
    book: &mut Book,
    number: OrderNumber,
) -> bool {
    let Some(idle) = shelf.as_mut().and_then(|shelf| shelf.take(number)) else { return false };
    let (trade, published) = idle.wake(texts);
    wants.give_back(published);
    book.put_back(trade);
    true
}
