//! One instrument's resting orders of other participants.

use crate::rng::SimRng;
use crate::venue::symbols::{SYMBOLS, TICK_E4};

/// Most resting orders of others in one book; above it they only leave.
pub const RESTING_MAX: usize = 400;
/// The farthest a resting order is from the middle, in ticks.
const DEPTH_TICKS: u64 = 12;

/// A resting order.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    /// The exchange's reference number.
    pub reference: u64,
    /// `B` or `S`.
    pub side: u8,
    /// Shares left.
    pub shares: u32,
    /// Four implied decimals.
    pub price_e4: u32,
}

/// The orders of others and the price they gather around.
#[derive(Debug)]
pub struct Book {
    /// The middle, four implied decimals.
    pub middle_e4: u32,
    start_e4: u32,
    resting: Vec<Resting>,
}

impl Book {
    /// An empty book.
    pub fn new(symbol: usize) -> Self {
        let start_e4 = SYMBOLS[symbol].start_e4;
        Self { middle_e4: start_e4, start_e4, resting: Vec::new() }
    }

    /// Number of resting orders.
    pub fn len(&self) -> usize {
        self.resting.len()
    }

    /// Whether nothing rests.
    pub fn is_empty(&self) -> bool {
        self.resting.is_empty()
    }

    /// A price at which an order of this side may rest. The middle moves now
    /// and then, and stays within half and twice its start.
    pub fn passive_price(&mut self, side: u8, rng: &mut SimRng) -> u32 {
        if rng.percent(2) {
            let up = rng.percent(50);
            let moved = if up { self.middle_e4 + TICK_E4 } else { self.middle_e4 - TICK_E4 };
            self.middle_e4 = moved.clamp(self.start_e4 / 2, self.start_e4 * 2);
        }
        let away = (1 + rng.below(DEPTH_TICKS)) as u32 * TICK_E4;
        if side == b'B' { self.middle_e4 - away } else { self.middle_e4 + away }
    }

    /// Puts an order into the book.
    pub fn add(&mut self, order: Resting) {
        self.resting.push(order);
    }

    /// Index of a random resting order, where there is one.
    pub fn any(&self, rng: &mut SimRng) -> Option<usize> {
        (!self.resting.is_empty()).then(|| rng.below(self.resting.len() as u64) as usize)
    }

    /// The order at an index.
    pub fn get_mut(&mut self, index: usize) -> &mut Resting {
        &mut self.resting[index]
    }

    /// Takes an order out.
    pub fn remove(&mut self, index: usize) -> Resting {
        self.resting.swap_remove(index)
    }

    /// Takes up to `shares` off an order, and the order away once it is empty;
    /// says how many were taken.
    pub fn take_shares(&mut self, index: usize, shares: u32) -> u32 {
        let order = &mut self.resting[index];
        let taken = order.shares.min(shares);
        order.shares -= taken;
        if order.shares == 0 {
            self.resting.swap_remove(index);
        }
        taken
    }

    /// The best order an order of `side` with this limit would trade with.
    pub fn best_against(&self, side: u8, limit_e4: u32) -> Option<usize> {
        let crosses = |order: &Resting| match side {
            b'B' => order.side == b'S' && order.price_e4 <= limit_e4,
            _ => order.side == b'B' && order.price_e4 >= limit_e4,
        };
        let rank = |order: &Resting| {
            let price = i64::from(order.price_e4);
            (if side == b'B' { price } else { -price }, order.reference)
        };
        let crossing = self.resting.iter().enumerate().filter(|(_, order)| crosses(order));
        crossing.min_by_key(|(_, order)| rank(order)).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_price_first_then_oldest() {
        let mut book = Book::new(0);
        for (reference, price_e4) in [(1, 300), (2, 200), (3, 200), (4, 500)] {
            book.add(Resting { reference, side: b'S', shares: 10, price_e4 });
        }
        let best = book.best_against(b'B', 300).expect("crosses");
        assert_eq!(book.get_mut(best).reference, 2);
        assert!(book.best_against(b'B', 100).is_none());
        assert!(book.best_against(b'S', 100).is_none(), "own side does not count");
    }

    #[test]
    fn an_empty_order_leaves() {
        let mut book = Book::new(0);
        book.add(Resting { reference: 1, side: b'S', shares: 10, price_e4: 300 });
        assert_eq!(book.take_shares(0, 4), 4);
        assert_eq!(book.take_shares(0, 40), 6);
        assert!(book.is_empty());
    }
}
